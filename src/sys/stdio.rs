//! Standard input, output and error as the descriptors that they are: nothing is kept back, a read or a write is a call.

use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, RawFd};

/// Standard input.
pub const INPUT: Stream = stream(0);
/// Standard output.
pub const OUTPUT: Stream = stream(1);
/// Standard error.
pub const ERRORS: Stream = stream(2);

/// One of the three.
#[derive(Clone, Copy, Debug)]
pub struct Stream(BorrowedFd<'static>);

const fn stream(number: RawFd) -> Stream {
    // SAFETY: `sys/descriptors.rs` sees to it that the three are open, and nothing closes them.
    Stream(unsafe { BorrowedFd::borrow_raw(number) })
}

impl Stream {
    /// Whether people sit there.
    pub fn is_terminal(self) -> bool {
        self.0.is_terminal()
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        super::retry(|| nix::unistd::read(self.0, buffer))
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        super::retry(|| nix::unistd::write(self.0, bytes))
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        super::files::write_all(self.0, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a line to standard error: who complains, and what of. Where nobody reads it, the program goes on all the same.
pub fn complain(who: &str, what: &str) {
    let line = [who, ": ", what, "\n"].concat();
    let mut errors = ERRORS;
    let _ = errors.write_all(line.as_bytes());
}
