//! Standard output, written to only when it takes the bytes at once.

use super::stdio::OUTPUT;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::Write;
use std::os::fd::AsFd;

/// Writes `line` if standard output takes it now; `false` means that it was dropped.
///
/// The descriptor may be shared with a shell, so it cannot be left nonblocking. `poll(2)` reports a pipe writable only
/// when a whole page of it is free (pipe(7), `PIPE_BUF`): a line of at most 4096 bytes then cannot block. A terminal is
/// reported writable when it has any room at all, so that it is made nonblocking for the one write.
pub fn write_now(line: &[u8]) -> bool {
    debug_assert!(line.len() <= 4096);
    let mut stdout = OUTPUT;
    if !is_writable(stdout) {
        return false;
    }
    let flags = stdout.is_terminal().then(|| fcntl(stdout.as_fd(), FcntlArg::F_GETFL)).and_then(Result::ok);
    let flags = flags.map(OFlag::from_bits_retain);
    let set = |flags: OFlag| fcntl(OUTPUT.as_fd(), FcntlArg::F_SETFL(flags)).is_ok();
    let written = flags.is_none_or(|flags| set(flags | OFlag::O_NONBLOCK)) && stdout.write_all(line).is_ok();
    flags.is_none_or(set) && written
}

fn is_writable(stdout: impl AsFd) -> bool {
    let mut fds = [PollFd::new(stdout.as_fd(), PollFlags::POLLOUT)];
    matches!(poll(&mut fds, PollTimeout::ZERO), Ok(1)) && fds[0].revents() == Some(PollFlags::POLLOUT)
}
