//! Standard output, written to only when it takes the bytes at once.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, Write};
use std::os::fd::AsFd;

/// Writes `line` if standard output takes it now; `false` means that nothing was written.
///
/// The descriptor may be shared with a shell, so it cannot be made nonblocking. `poll(2)` reports a pipe writable
/// only when a whole page of it is free (pipe(7), `PIPE_BUF`): a line of at most 4096 bytes then cannot block.
pub fn write_now(line: &[u8]) -> bool {
    debug_assert!(line.len() <= 4096);
    let mut stdout = io::stdout();
    let fd = stdout.as_fd();
    let writable = {
        let mut fds = [PollFd::new(fd, PollFlags::POLLOUT)];
        matches!(poll(&mut fds, PollTimeout::ZERO), Ok(1)) && fds[0].revents() == Some(PollFlags::POLLOUT)
    };
    writable && stdout.write_all(line).and_then(|()| stdout.flush()).is_ok()
}
