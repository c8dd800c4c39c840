//! This program, started once more as a process of its own: for work that may block.
//!
//! Its end is nobody's business: SIGCHLD is ignored (`sys/signal.rs`), so that the kernel takes it away by itself. Whether
//! it did what it was to do is told on the socket.

use super::socket::Socket;
use super::{reason, sentence};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use std::ffi::{CStr, c_char};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;

/// What runs, even where another file has taken its name since (proc(5)).
const ITSELF: &CStr = c"/proc/self/exe";

/// So many words it can be given.
const WORDS_MAX: usize = 3;

unsafe extern "C" {
    /// The environment (environ(7)).
    static environ: *const *mut c_char;
}

/// Starts this program with these words, of which the first is the name that it is called by, and with this process's
/// environment. The socket leads to its standard input.
///
/// The child has no page of this process even for a moment: posix_spawn(3) waits until the program has been started, as
/// vfork(2) does, instead of copying the tables of gigabytes. What this process ignores and blocks stays ignored and
/// blocked in the child, on purpose: a service manager signals all processes of a service at once when it is to end, and
/// what the server does for its last time is to be done by then.
///
/// # Errors
/// Those of `socketpair(2)`; a sentence where it cannot be started.
#[inline(never)]
pub fn itself(words: &[&CStr]) -> io::Result<Socket> {
    assert!(words.len() <= WORDS_MAX);
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)?;
    // This end alone, since the child is to wait.
    fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    let mut list = [ptr::null_mut(); WORDS_MAX + 1];
    for (place, word) in list.iter_mut().zip(words) {
        *place = word.as_ptr().cast_mut();
    }
    match spawn(&list, &theirs) {
        Ok(()) => Ok(ours.into()),
        Err(error) => {
            let hint = if error == Errno::ENOENT { " (is /proc mounted?)" } else { "" };
            let why = reason(&error.into());
            let itself = ITSELF.to_str().unwrap_or_default();
            Err(sentence(io::ErrorKind::Other, format_args!("cannot start {itself}: {why}{hint}")))
        }
    }
}

/// Starts this program with the descriptor as its standard input. The last of the words is null.
fn spawn(words: &[*mut c_char; WORDS_MAX + 1], input: &OwnedFd) -> nix::Result<()> {
    let mut actions = MaybeUninit::uninit();
    // SAFETY: this makes of the memory what the calls below want.
    told(unsafe { libc::posix_spawn_file_actions_init(actions.as_mut_ptr()) })?;
    // SAFETY: the actions were made above.
    let added = unsafe { libc::posix_spawn_file_actions_adddup2(actions.as_mut_ptr(), input.as_raw_fd(), 0) };
    let started = told(added).and_then(|()| {
        // SAFETY: nothing in this program changes the environment.
        let environment = unsafe { environ };
        let mut id = 0;
        // SAFETY: path and words end with a zero, the lists with a null, and all live until the program has been started;
        // that there are no attributes is said by a null.
        told(unsafe {
            libc::posix_spawn(&mut id, ITSELF.as_ptr(), actions.as_ptr(), ptr::null(), words.as_ptr(), environment)
        })
    });
    // SAFETY: the actions were made above, and nobody uses them any more.
    unsafe { libc::posix_spawn_file_actions_destroy(actions.as_mut_ptr()) };
    started
}

/// What came of a call that gives the error's number.
fn told(number: i32) -> nix::Result<()> {
    if number == 0 { Ok(()) } else { Err(Errno::from_raw(number)) }
}

/// Gives this process the name that it was called by, instead of `exe`, for those who look at all processes.
pub fn show_name(name: &CStr) {
    // SAFETY: the name ends with a zero, and the kernel copies as much of it as it wants.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}
