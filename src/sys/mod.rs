//! The operating system behind one wall: everything that memento asks of the kernel goes through here.
//!
//! Offers safe functions on owned descriptors and owned memory, and knows nothing of protocols, commands or the loop.
//! What only the processor can do fast ([`simd`]) stands here too, since it needs unsafe code.
//!
//! Three rules hold for every call. A failure is an [`std::io::Error`] with the kernel's number. `EINTR` never
//! leaves this module: a call that was interrupted is made again, except [`epoll::Epoll::wait`], which reports
//! that nothing is ready. And before each call that moves bytes or makes descriptors, [`fault`] is asked: in the
//! tests it shortens, delays or fails the call by a seed; in the shipped program it is nothing at all.

#![allow(unsafe_code)]

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::{fmt, io};

pub mod alarm;
pub mod clock;
mod descriptors;
pub mod dial;
pub mod epoll;
#[cfg(test)]
pub(crate) mod fault;
pub mod files;
pub mod mapping;
pub mod pages;
pub mod program;
pub mod reserve;
pub mod resolve;
pub mod resource;
pub mod service;
pub mod signal;
pub mod simd;
pub mod socket;
pub mod spawn;
pub mod stdio;
pub mod stdout;
pub mod threads;
pub mod tty;
pub mod zone;

/// What a thread has of its own until it ends. The static program has one thread that has any of it, and lets it go with
/// the process; to end it before takes 3 kB of the C library and the standard one.
#[cfg(memento_small)]
type Held<T> = std::mem::ManuallyDrop<T>;
#[cfg(not(memento_small))]
type Held<T> = T;

#[cfg(memento_small)]
const fn held<T>(what: T) -> Held<T> {
    std::mem::ManuallyDrop::new(what)
}
#[cfg(not(memento_small))]
const fn held<T>(what: T) -> Held<T> {
    what
}

/// Outside the tests no call is tampered with; the compiler removes this.
#[cfg(not(test))]
pub(crate) mod fault {
    use crate::sys::Call;

    #[inline(always)]
    pub(crate) fn allow(_call: Call, length: usize) -> nix::Result<usize> {
        Ok(length)
    }
}

/// The calls that a test can tamper with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// `epoll_wait(2)`; its length is the number of events.
    Wait,
    /// `accept4(2)`.
    Accept,
    /// `connect(2)`.
    Connect,
    /// `recv(2)`.
    Receive,
    /// `send(2)` and `sendmsg(2)`.
    Send,
    /// `mmap(2)` and `mremap(2)` of a long value's memory; its length is the bytes.
    Map,
    /// `mmap(2)` of a step of memory; its length is the bytes.
    Step,
    /// `epoll_ctl(2)` that adds or changes.
    Watch,
}

/// A sentence as an error. (One that the standard library makes of a text can also be written as {:?} writes it, for which
/// there are 4 kB of tables.)
struct Sentence(String);

impl fmt::Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Sentence {}

/// An error of this kind that says this.
#[cold]
#[inline(never)]
pub fn sentence(kind: io::ErrorKind, text: fmt::Arguments<'_>) -> io::Error {
    io::Error::new(kind, Sentence(text.to_string()))
}

/// What went wrong in the system's words, without the number that the standard library adds in parentheses behind them.
pub fn reason(error: &io::Error) -> String {
    let mut text = error.to_string();
    if error.raw_os_error().is_some()
        && let Some(at) = text.bytes().rposition(|byte| byte == b'(')
    {
        text.truncate(text[..at].trim_ascii_end().len());
    }
    text
}

/// A path as system calls take it. (Nix would copy it in a function of its own for each call.)
#[inline(never)]
fn c_path(path: &Path) -> nix::Result<CString> {
    // None has a zero inside.
    CString::new(path.as_os_str().as_bytes()).map_err(|_| nix::errno::Errno::EINVAL)
}

/// Makes a system call again for as long as a signal interrupts it.
fn retry<T>(mut call: impl FnMut() -> nix::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(nix::errno::Errno::EINTR) => continue,
            other => return other.map_err(io::Error::from),
        }
    }
}

/// Makes a system call that moves at most `length` again for as long as a signal interrupts it. The tests may have it
/// fail, and tell it to move less.
fn retry_moving<T>(call: Call, length: usize, mut make: impl FnMut(usize) -> nix::Result<T>) -> io::Result<T> {
    retry(|| make(fault::allow(call, length)?))
}
