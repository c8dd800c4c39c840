//! This program, started once more as a process of its own: for work that may block.
//!
//! Its end is nobody's business: SIGCHLD is ignored (`sys/signal.rs`), so that the kernel takes it away by itself. Whether
//! it did what it was to do is told on the socket.

use super::sentence;
use super::socket::Socket;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

/// What runs, even where another file has taken its name since (proc(5)).
const ITSELF: &CStr = c"/proc/self/exe";

unsafe extern "C" {
    /// The environment (environ(7)).
    static environ: *const *const c_char;
}

/// What the child makes its two calls on.
#[repr(align(16))]
struct Stack {
    _room: [u8; 8192],
}

/// What the child is to do, and what came of it.
struct Order {
    /// The last one is null.
    words: [*const c_char; 4],
    environment: *const *const c_char,
    /// Where the program is looked for.
    paths: [*const c_char; 2],
    input: RawFd,
    /// The number of what went wrong.
    error: AtomicI32,
}

/// Starts this program with these words, of which the first is the name that it is called by, and with this process's
/// environment. The socket leads to its standard input.
///
/// Nothing of this process is copied, no table of its gigabytes either: as with vfork(2), the child uses the memory of this
/// process, which waits meanwhile, for the two calls until the program runs (`CLONE_VM` and `CLONE_VFORK` of clone(2);
/// posix_spawn(3) does the same and takes 2 kB more). No signal can surprise it there, since this program has no handlers.
/// What this process ignores and blocks stays ignored and blocked, on purpose: a service manager signals all processes of
/// a service at once when it is to end, and what the server has done for its last time is to be done by then.
///
/// # Errors
/// Those of `socketpair(2)`, `clone(2)` and `execve(2)`; a sentence where the program is not found.
#[inline(never)]
pub fn itself(words: &[&CStr; 3]) -> io::Result<Socket> {
    let (ours, theirs) = pair()?;
    // This end alone, since the child is to wait.
    fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    let mut order = Order {
        words: [words[0].as_ptr(), words[1].as_ptr(), words[2].as_ptr(), ptr::null()],
        // SAFETY: nothing in this program changes the environment.
        environment: unsafe { environ },
        // Without /proc it is looked for where it was when this process began (getauxval(3)).
        // SAFETY: the call only reads what the kernel left for the process; the path lies there for as long as it runs.
        paths: [ITSELF.as_ptr(), unsafe { libc::getauxval(libc::AT_EXECFN) } as *const c_char],
        input: theirs.as_raw_fd(),
        error: AtomicI32::new(0),
    };
    let mut stack = MaybeUninit::<Stack>::uninit();
    // SAFETY: a stack is used from its end, which belongs to it.
    let end = unsafe { stack.as_mut_ptr().add(1) };
    let how = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the child has a stack of its own, and ends or becomes another program before this call returns; until then
    // what it is given lives.
    let cloned = unsafe { libc::clone(become_itself, end.cast(), how, (&raw mut order).cast()) };
    match if cloned < 0 { Errno::last_raw() } else { order.error.load(Ordering::Relaxed) } {
        0 => Ok(ours.into()),
        libc::ENOENT => Err(sentence(
            io::ErrorKind::NotFound,
            format_args!("there is no /proc/self/exe (is /proc mounted?), and the program's file has gone"),
        )),
        number => Err(io::Error::from_raw_os_error(number)),
    }
}

/// Two sockets that lead to each other. (socketpair(2) of musl does without it what kernels before 2.6.27 cannot do.)
fn pair() -> nix::Result<(OwnedFd, OwnedFd)> {
    let mut pair: [RawFd; 2] = [0; 2];
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
    // SAFETY: the array is as long as the call wants it, and lives.
    Errno::result(unsafe { libc::syscall(libc::SYS_socketpair, libc::AF_UNIX, kind, 0, pair.as_mut_ptr()) })?;
    // SAFETY: the call has just made these descriptors, and nobody else knows their numbers.
    Ok(pair.map(|number| unsafe { OwnedFd::from_raw_fd(number) }).into())
}

/// What the child does.
extern "C" fn become_itself(order: *mut c_void) -> c_int {
    // SAFETY: this is what clone(2) was called with, and its owner waits.
    let order = unsafe { &*order.cast::<Order>() };
    // SAFETY: dup2(2) knows of nothing but the descriptors; the new one stays open in the program.
    if unsafe { libc::dup2(order.input, 0) } == 0 {
        for path in order.paths {
            // SAFETY: the paths and the words end with a zero, the lists with a null.
            unsafe { libc::execve(path, order.words.as_ptr(), order.environment) };
            if Errno::last() != Errno::ENOENT {
                break;
            }
        }
    }
    order.error.store(Errno::last_raw(), Ordering::Relaxed);
    127
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::stdio::INPUT;
    use std::io::{Read, Write};

    const NAME: &CStr = c"memento-started-once-more";
    const VARIABLE: &CStr = c"PATH";

    /// Alone a test like others; called by that name, what the next test talks to.
    #[test]
    fn whoever_is_started() {
        if std::env::args_os().next().is_none_or(|name| name.as_encoded_bytes() != NAME.to_bytes()) {
            return;
        }
        let mut server = INPUT;
        let mut bytes = [0; 5];
        server.read_exact(&mut bytes).expect("it waits for what is said");
        let ours = |number| std::fs::read_link(format!("/proc/self/fd/{number}")).ok();
        let others = (3..100).filter(|&number| ours(number) == ours(0)).count();
        let text = format!("{} {others} {}", bytes.escape_ascii(), std::env::var("PATH").unwrap_or_default());
        server.write_all(text.as_bytes()).expect("somebody who hears it");
    }

    #[test]
    fn this_program_runs_once_more_with_words_an_environment_and_a_descriptor() {
        let words = [NAME, c"sys::spawn::tests::whoever_is_started", c"--exact"];
        let socket = itself(&words).expect("another process");
        let mut bytes = [0; 4096];
        assert_eq!(socket.receive(&mut bytes).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(socket.send(b"hello").expect("room"), 5);
        let mut heard = Vec::new();
        loop {
            match socket.receive(&mut bytes) {
                Ok(0) => break,
                Ok(count) => heard.extend_from_slice(&bytes[..count]),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let path = crate::sys::program::variable(VARIABLE).unwrap_or_default();
        assert_eq!(String::from_utf8_lossy(&heard), format!("hello 0 {}", path.to_string_lossy()));
    }
}
