//! How the program begins: the words that it was called with, and its environment.
//!
//! The static program begins in a `main` of its own, as a C program does. The standard library's brings a handler for stacks
//! that overflow, and for that all that it knows of threads.

use std::ffi::{CStr, OsString};
use std::os::unix::ffi::OsStringExt;

/// Makes `main` of a function that is given the words that the program was called with, its own name first, and gives the
/// exit status.
#[macro_export]
macro_rules! program {
    ($run:path) => {
        #[cfg(not(memento_small))]
        fn main() {
            std::process::exit($run(std::env::args_os().collect()));
        }

        #[cfg(memento_small)]
        #[allow(unsafe_code)]
        #[unsafe(no_mangle)]
        extern "C" fn main(_count: std::ffi::c_int, words: *const *const std::ffi::c_char) -> std::ffi::c_int {
            // SAFETY: these are the words that the C library calls `main` with.
            $run(unsafe { $crate::sys::program::begin(words) })
        }
    };
}

/// What the standard library does before `main` besides what `sys/descriptors.rs` does; gives the words.
///
/// # Safety
/// `words` are those that the C library calls `main` with.
#[cfg(memento_small)]
pub unsafe fn begin(mut words: *const *const std::ffi::c_char) -> Vec<OsString> {
    use nix::sys::signal::{SigHandler, Signal, signal};

    // What nobody reads any more is an error of the write.
    // SAFETY: ignoring installs no handler of ours, so nothing runs at the signal's time.
    let _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigIgn) };
    let mut found = Vec::new();
    loop {
        // SAFETY: the last of the words is null, and behind it nothing is read.
        let word = unsafe { *words };
        if word.is_null() {
            return found;
        }
        // SAFETY: each word ends with a zero, and stays as it is.
        let word = unsafe { CStr::from_ptr(word) };
        found.push(OsString::from_vec(word.to_bytes().to_vec()));
        // SAFETY: this one was not the last.
        words = unsafe { words.add(1) };
    }
}

/// The variable of the environment that has this name.
pub fn variable(name: &CStr) -> Option<OsString> {
    // SAFETY: the name ends with a zero, and nothing in this program changes the environment.
    let value = unsafe { libc::getenv(name.as_ptr()) };
    if value.is_null() {
        return None;
    }
    // SAFETY: what getenv(3) finds ends with a zero.
    let value = unsafe { CStr::from_ptr(value) };
    Some(OsString::from_vec(value.to_bytes().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_those_that_the_standard_library_finds() {
        for (name, standard) in [(c"PATH", "PATH"), (c"HOME", "HOME"), (c"MEMENTO_NO_SUCH", "MEMENTO_NO_SUCH")] {
            assert_eq!(variable(name), std::env::var_os(standard));
        }
    }
}
