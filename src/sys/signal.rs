//! The signals that end the program, as a descriptor (`signalfd(2)`).

use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// SIGTERM and SIGINT, to be read when they come instead of interrupting.
pub struct Signals {
    fd: SignalFd,
}

impl Signals {
    /// Blocks SIGTERM and SIGINT in this thread and reads them from now on. SIGHUP is ignored: a server that was
    /// started from a terminal outlives it, and there is no configuration to read again. So is SIGXFSZ, which comes when
    /// the file that the log goes to is as long as it may be (`ulimit -f`): such a line is dropped like any other that
    /// cannot be written. And so is SIGCHLD.
    ///
    /// # Errors
    /// Those of `sigprocmask(2)` and `signalfd(2)`.
    pub fn new() -> io::Result<Signals> {
        let mut set = SigSet::empty();
        set.add(Signal::SIGTERM);
        set.add(Signal::SIGINT);
        set.thread_block()?;
        // Nobody waits for a child's end, neither for that of its own (`sys/spawn.rs`) nor, as the first process of a
        // container, for those whose parents ended: the kernel itself takes away those whose end is ignored.
        for ignored in [Signal::SIGHUP, Signal::SIGXFSZ, Signal::SIGCHLD] {
            // SAFETY: ignoring installs no handler of ours, so nothing runs at the signal's time.
            unsafe { signal(ignored, SigHandler::SigIgn) }?;
        }
        Ok(Signals { fd: SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)? })
    }

    /// The name of the next signal that came, or `None` when there is none.
    ///
    /// # Errors
    /// Those of `read(2)` on a signal descriptor.
    pub fn next(&self) -> io::Result<Option<&'static str>> {
        let info = super::retry(|| self.fd.read_signal())?;
        Ok(info.map(|info| if info.ssi_signo == Signal::SIGINT as u32 { "SIGINT" } else { "SIGTERM" }))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
