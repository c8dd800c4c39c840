//! Connecting as a client, and waiting for one socket for a time.

use super::socket::Socket;
use super::{Call, fault};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, UnixAddr, setsockopt, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

const FLAGS: SockFlag = SockFlag::SOCK_NONBLOCK.union(SockFlag::SOCK_CLOEXEC);

/// Begins to connect to `peer`, from the address that the kernel chooses. The socket becomes writable when it is decided;
/// [`Socket::connect_outcome`] then tells how.
///
/// # Errors
/// Those of `socket(2)` and `connect(2)`, as far as they are known at once.
pub fn tcp(peer: SocketAddr) -> io::Result<Socket> {
    Socket::connect_from(None, peer)
}

/// Connects to the Unix socket at `path`.
///
/// # Errors
/// `WouldBlock` when the listener's queue is full: it is to be tried again; those of `connect(2)`, and `ENAMETOOLONG`
/// for a path of more than 107 bytes.
pub fn unix(path: &Path) -> io::Result<Socket> {
    fault::allow(Call::Connect, 1)?;
    let address = UnixAddr::new(super::c_path(path)?.as_c_str())?;
    let fd = socket::socket(AddressFamily::Unix, SockType::Stream, FLAGS, None)?;
    super::retry(|| socket::connect(fd.as_raw_fd(), &address))?;
    Ok(Socket::from(fd))
}

/// Lets calls on the socket wait: to receive for so long, then they would block; to send for ever.
///
/// # Errors
/// Those of `fcntl(2)` and `setsockopt(2)`.
pub fn block(fd: BorrowedFd<'_>, timeout: Duration) -> io::Result<()> {
    fcntl(fd, FcntlArg::F_SETFL(OFlag::empty()))?;
    setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::seconds(timeout.as_secs() as i64))?;
    Ok(())
}

/// Waits until the socket can be received from, or sent to where `to_send` says so, at most for `timeout`; `None` is for
/// ever. An error or an end counts as both, and the next call on the socket tells of it. `poll(2)` may report nothing
/// before its time, as when a signal comes: who waits looks at its own clock.
///
/// # Errors
/// Those of `poll(2)`, which are for a kernel without memory.
pub fn wait(fd: BorrowedFd<'_>, to_send: bool, timeout: Option<Duration>) -> io::Result<Ready> {
    let events = if to_send { PollFlags::POLLIN | PollFlags::POLLOUT } else { PollFlags::POLLIN };
    // Rounded up, since a wait that is too short by a part of a millisecond would become a busy one.
    let timeout = timeout.map_or(PollTimeout::NONE, |time| {
        let ms = time.as_secs().saturating_mul(1000).saturating_add(time.subsec_nanos().div_ceil(1_000_000).into());
        PollTimeout::try_from(ms.min(i32::MAX as u64) as i32).unwrap_or(PollTimeout::MAX)
    });
    let mut asked = [PollFd::new(fd, events)];
    match poll(&mut asked, timeout) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(error) => return Err(error.into()),
    }
    let found = asked[0].revents().unwrap_or(PollFlags::empty());
    let ended = found.intersects(PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL);
    Ok(Ready { receive: ended || found.contains(PollFlags::POLLIN), send: ended || found.contains(PollFlags::POLLOUT) })
}

/// What can be done without waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Something was received, or the peer has ended.
    pub receive: bool,
    /// Something can be sent.
    pub send: bool,
}
