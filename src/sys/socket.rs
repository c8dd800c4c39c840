//! Nonblocking stream sockets, TCP and Unix: listen, accept, receive, send.

use super::files::remove;
use super::{Call, c_path, fault, retry_moving, sentence};
use crate::limits::RECEIVE_BYTES;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::socket::{
    self, AddressFamily, MsgFlags, Shutdown, SockFlag, SockProtocol, SockType, SockaddrIn, SockaddrIn6,
    SockaddrStorage, UnixAddr, getsockopt, setsockopt, sockopt,
};
use nix::sys::stat::{Mode, lstat, umask};
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

const FLAGS: SockFlag = SockFlag::SOCK_NONBLOCK.union(SockFlag::SOCK_CLOEXEC);

/// What every TCP connection gets on acceptance.
#[derive(Clone, Copy, Debug)]
pub struct TcpOptions {
    /// Seconds of silence after which the kernel probes the peer (`TCP_KEEPIDLE`); 0: never.
    pub keepalive_s: u32,
}

/// Sets what connections inherit from their listener.
fn set_options(fd: &OwnedFd, options: TcpOptions) -> nix::Result<()> {
    setsockopt(fd, sockopt::TcpNoDelay, &true)?;
    if options.keepalive_s > 0 {
        setsockopt(fd, sockopt::KeepAlive, &true)?;
        setsockopt(fd, sockopt::TcpKeepIdle, &options.keepalive_s)?;
        // As Redis has it: after a third of that time each, three probes without an answer end it.
        setsockopt(fd, sockopt::TcpKeepInterval, &(options.keepalive_s / 3).max(1))?;
        setsockopt(fd, sockopt::TcpKeepCount, &3)?;
    }
    Ok(())
}

/// `listen(2)`. The kernel bounds the queue itself (net.core.somaxconn); nix refuses what is above the SOMAXCONN of the C
/// library, which is 128 in musl.
fn listen(fd: &OwnedFd, backlog: i32) -> nix::Result<()> {
    // SAFETY: the descriptor is borrowed, and there is no pointer.
    Errno::result(unsafe { libc::listen(fd.as_raw_fd(), backlog) }).map(drop)
}

/// A listening socket.
pub struct Listener {
    fd: OwnedFd,
    /// A Unix socket's file, which goes with the listener.
    file: Option<SocketFile>,
}

/// A file that was made here; somebody may have put another one in its place since.
struct SocketFile {
    path: PathBuf,
    device: libc::dev_t,
    inode: libc::ino_t,
}

impl SocketFile {
    fn at(path: &Path) -> io::Result<SocketFile> {
        let found = lstat(c_path(path)?.as_c_str())?;
        Ok(SocketFile { path: path.to_owned(), device: found.st_dev, inode: found.st_ino })
    }
}

impl Listener {
    /// Listens on a TCP address; port 0 takes any free one ([`Listener::tcp_port`] tells which).
    ///
    /// # Errors
    /// Those of `socket(2)`, `bind(2)` (`EADDRINUSE`: somebody else listens there) and `listen(2)`.
    pub fn tcp(address: SocketAddr, backlog: i32, options: TcpOptions) -> io::Result<Listener> {
        let family = if address.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
        let fd = socket::socket(family, SockType::Stream, FLAGS, SockProtocol::Tcp)?;
        // A server that restarts must get its port back while connections of its past are in TIME_WAIT.
        setsockopt(&fd, sockopt::ReuseAddr, &true)?;
        set_options(&fd, options)?;
        match address {
            SocketAddr::V4(v4) => socket::bind(fd.as_raw_fd(), &SockaddrIn::from(v4))?,
            SocketAddr::V6(v6) => {
                // So that `-a 0.0.0.0 -a ::` can be given together.
                setsockopt(&fd, sockopt::Ipv6V6Only, &true)?;
                socket::bind(fd.as_raw_fd(), &SockaddrIn6::from(v6))?;
            }
        }
        listen(&fd, backlog)?;
        Ok(Listener { fd, file: None })
    }

    /// Listens on a Unix socket at `path` with the file mode `mode`. A stale socket there, which nobody listens on,
    /// is replaced.
    ///
    /// # Errors
    /// `AddrInUse` when somebody listens there or something that is no socket is there; those of `bind(2)`.
    pub fn unix(path: &Path, mode: u32, backlog: i32) -> io::Result<Listener> {
        remove_stale(path)?;
        let fd = socket::socket(AddressFamily::Unix, SockType::Stream, FLAGS, None)?;
        // The mode must hold from the first moment: bind(2) makes the file with 0777 less the mask.
        let address = UnixAddr::new(c_path(path)?.as_c_str())?;
        let before = umask(Mode::from_bits_truncate(!mode & 0o777));
        let bound = socket::bind(fd.as_raw_fd(), &address);
        umask(before);
        bound?;
        listen(&fd, backlog)?;
        let file = Some(SocketFile::at(path)?);
        Ok(Listener { fd, file })
    }

    /// A socket that listens already, opened by whoever started this program; a Unix socket's file is not ours.
    ///
    /// # Errors
    /// Those of `fcntl(2)`.
    pub fn passed(fd: OwnedFd) -> io::Result<Listener> {
        fcntl(fd.as_fd(), FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        let flags = OFlag::from_bits_retain(fcntl(fd.as_fd(), FcntlArg::F_GETFL)?);
        fcntl(fd.as_fd(), FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        Ok(Listener { fd, file: None })
    }

    /// The port that a TCP listener has; `None` for a Unix one.
    pub fn tcp_port(&self) -> Option<u16> {
        address_of(self.fd.as_raw_fd(), socket::getsockname).map(|address| address.port())
    }

    /// Where it listens, as people write it: address and port, or a path.
    pub fn name(&self) -> String {
        match &self.file {
            Some(file) => file.path.to_string_lossy().into_owned(),
            None => match address_of(self.fd.as_raw_fd(), socket::getsockname) {
                Some(address) => address.to_string(),
                None => unix_name(self.fd.as_raw_fd()),
            },
        }
    }

    /// Whether only this box can reach it: a Unix socket, or a loopback address.
    pub fn is_local(&self) -> bool {
        address_of(self.fd.as_raw_fd(), socket::getsockname).is_none_or(|address| address.ip().is_loopback())
    }

    /// Changes what the next connections get on acceptance; a Unix listener has nothing to change.
    pub fn set_options(&mut self, options: TcpOptions) {
        if self.file.is_none() {
            // What a listener takes once, it takes again.
            let _ = set_options(&self.fd, options);
        }
    }

    /// Takes one connection from the queue.
    ///
    /// # Errors
    /// `WouldBlock` when the queue is empty; those of `accept4(2)`, of which most concern the one connection.
    pub fn accept(&self) -> io::Result<Socket> {
        let raw = retry_moving(Call::Accept, 1, |_| socket::accept4(self.fd.as_raw_fd(), FLAGS))?;
        // SAFETY: accept4(2) has just made this descriptor, and nobody else knows its number.
        Ok(Socket { fd: unsafe { OwnedFd::from_raw_fd(raw) } })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(file) = &self.file
            && SocketFile::at(&file.path).is_ok_and(|now| now.device == file.device && now.inode == file.inode)
        {
            // A failure has nobody left to be told to.
            let _ = remove(&file.path);
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Removes a socket that nobody listens on from `path`.
fn remove_stale(path: &Path) -> io::Result<()> {
    let in_use = |why: &str| Err(sentence(io::ErrorKind::AddrInUse, format_args!("{why}")));
    match lstat(c_path(path)?.as_c_str()) {
        Err(Errno::ENOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
        Ok(found) if found.st_mode & libc::S_IFMT != libc::S_IFSOCK => {
            return in_use("there is a file that is no socket");
        }
        Ok(_) => {}
    }
    // Nonblocking, since a listener whose queue is full would keep a connect waiting; it listens all the same.
    let probe = socket::socket(AddressFamily::Unix, SockType::Stream, FLAGS, None)?;
    match socket::connect(probe.as_raw_fd(), &UnixAddr::new(c_path(path)?.as_c_str())?) {
        Err(Errno::ECONNREFUSED) => remove(path),
        Err(Errno::EAGAIN) | Ok(()) => in_use("another process listens on it"),
        Err(error) => Err(error.into()),
    }
}

/// Whether a number is that of a descriptor that is a stream socket of TCP or Unix and listens; any other may be asked about.
pub(super) fn listens(raw: RawFd) -> bool {
    let ask = |option| {
        let (mut value, mut bytes) = (0, size_of::<libc::c_int>() as libc::socklen_t);
        let target: *mut libc::c_int = &mut value;
        // SAFETY: both pointers are to live locals, and `bytes` is the size of the first.
        let asked = unsafe { libc::getsockopt(raw, libc::SOL_SOCKET, option, target.cast(), &mut bytes) };
        (asked == 0).then_some(value)
    };
    let families = [libc::AF_INET, libc::AF_INET6, libc::AF_UNIX];
    ask(libc::SO_ACCEPTCONN) == Some(1)
        && ask(libc::SO_TYPE) == Some(libc::SOCK_STREAM)
        && ask(libc::SO_DOMAIN).is_some_and(|family| families.contains(&family))
}

/// The path or abstract name of a Unix socket, as people write it.
fn unix_name(fd: RawFd) -> String {
    let address = socket::getsockname::<UnixAddr>(fd).ok();
    let address = address.as_ref();
    let (mark, name) = match (address.and_then(UnixAddr::path), address.and_then(UnixAddr::as_abstract)) {
        (Some(path), _) => ("", path.as_os_str().as_bytes()),
        (None, Some(name)) => ("@", name),
        (None, None) => ("", &b"a socket without a name"[..]),
    };
    [mark, &String::from_utf8_lossy(name)].concat()
}

/// The internet address that `ask` gives for a socket.
fn address_of(fd: i32, ask: fn(i32) -> nix::Result<SockaddrStorage>) -> Option<SocketAddr> {
    let address = ask(fd).ok()?;
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into())))
}

/// A connected stream socket.
pub struct Socket {
    fd: OwnedFd,
}

impl Socket {
    /// Begins to connect to `peer` from the address `local` (its port is of the kernel's choice). The socket becomes
    /// writable when it is decided; [`Socket::connect_outcome`] then tells how.
    ///
    /// # Errors
    /// Those of `socket(2)`, `bind(2)` and `connect(2)`, as far as they are known at once.
    pub fn connect(local: IpAddr, peer: SocketAddr) -> io::Result<Socket> {
        Socket::connect_from(Some(local), peer)
    }

    /// The same from any address, of the kernel's choice, where `local` is none.
    #[inline(never)]
    pub(super) fn connect_from(local: Option<IpAddr>, peer: SocketAddr) -> io::Result<Socket> {
        fault::allow(Call::Connect, 1)?;
        let family = if peer.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
        let fd = socket::socket(family, SockType::Stream, FLAGS, SockProtocol::Tcp)?;
        // Without this the kernel holds back a small request until the answer to the one before is acknowledged.
        setsockopt(&fd, sockopt::TcpNoDelay, &true)?;
        match local {
            None => {}
            Some(IpAddr::V4(v4)) => socket::bind(fd.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(v4, 0)))?,
            Some(IpAddr::V6(v6)) => socket::bind(fd.as_raw_fd(), &SockaddrIn6::from(SocketAddrV6::new(v6, 0, 0, 0)))?,
        }
        let outcome = match peer {
            SocketAddr::V4(v4) => socket::connect(fd.as_raw_fd(), &SockaddrIn::from(v4)),
            SocketAddr::V6(v6) => socket::connect(fd.as_raw_fd(), &SockaddrIn6::from(v6)),
        };
        match outcome {
            // Interrupted, it goes on all the same (connect(2)).
            Ok(()) | Err(Errno::EINPROGRESS | Errno::EINTR) => Ok(Socket { fd }),
            Err(error) => Err(error.into()),
        }
    }

    /// Lets the kernel take no more to be sent when `bytes` are not sent yet (tcp(7) lacks it; socket option
    /// `TCP_NOTSENT_LOWAT`, Linux 3.12).
    pub fn limit_unsent(&self, bytes: u32) {
        // SAFETY: the option's value is this number, whose address and size are given, and the descriptor is ours.
        let _ = unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                libc::IPPROTO_TCP,
                libc::TCP_NOTSENT_LOWAT,
                (&raw const bytes).cast(),
                size_of::<u32>() as libc::socklen_t,
            )
        };
        // A kernel without it keeps more: that is slower for some, and wrong for nobody.
    }

    /// How a connect that was begun has ended.
    ///
    /// # Errors
    /// Those of `connect(2)`.
    pub fn connect_outcome(&self) -> io::Result<()> {
        match getsockopt(&self.fd, sockopt::SocketError)? {
            0 => Ok(()),
            number => Err(io::Error::from_raw_os_error(number)),
        }
    }

    /// Makes a call that moves at most `length` bytes.
    fn moving(&self, call: Call, length: usize, make: impl FnMut(usize) -> nix::Result<usize>) -> io::Result<usize> {
        let outcome = retry_moving(call, length, make);
        // A reset that a test made up has the effects of one: nothing comes any more, and the peer learns of it.
        #[cfg(test)]
        if outcome.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset) {
            let _ = socket::shutdown(self.fd.as_raw_fd(), socket::Shutdown::Both);
        }
        outcome
    }

    /// Receives into `buffer`; 0 means that the peer has ended its side.
    ///
    /// # Errors
    /// `WouldBlock` when there is nothing; those of `recv(2)`.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.moving(Call::Receive, buffer.len(), |room| {
            socket::recv(self.fd.as_raw_fd(), &mut buffer[..room], MsgFlags::empty())
        })
    }

    /// Throws away some of what was received, and says how much; 0 means the peer's end.
    /// On TCP the kernel does not even copy it (tcp(7), `MSG_TRUNC`).
    ///
    /// # Errors
    /// As [`Socket::receive`].
    #[inline(never)]
    pub fn discard(&self) -> io::Result<usize> {
        let mut buffer = [0; RECEIVE_BYTES];
        self.moving(Call::Receive, buffer.len(), |room| {
            socket::recv(self.fd.as_raw_fd(), &mut buffer[..room], MsgFlags::MSG_TRUNC)
        })
    }

    /// Sends the beginning of `bytes`, and says how much of it.
    ///
    /// # Errors
    /// `WouldBlock` when the socket takes nothing; those of `send(2)`. Never raises SIGPIPE.
    pub fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.moving(Call::Send, bytes.len(), |room| {
            socket::send(self.fd.as_raw_fd(), &bytes[..room], MsgFlags::MSG_NOSIGNAL)
        })
    }

    /// Sends the beginning of these pieces, one after the other, with one call, and says how many bytes.
    ///
    /// # Errors
    /// As [`Socket::send`].
    pub fn send_pieces(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let whole = pieces.iter().map(|piece| piece.len()).sum();
        self.moving(Call::Send, whole, |room| {
            if room < whole {
                // Only in tests: a call that falls short is made with the first piece alone.
                let first = pieces.iter().find(|piece| !piece.is_empty()).map_or(&[][..], |piece| piece);
                return socket::send(self.fd.as_raw_fd(), &first[..room.min(first.len())], MsgFlags::MSG_NOSIGNAL);
            }
            socket::sendmsg::<()>(self.fd.as_raw_fd(), pieces, &[], MsgFlags::MSG_NOSIGNAL, None)
        })
    }

    /// Where the peer is; `None` for a Unix socket, or when it has gone.
    pub fn peer(&self) -> Option<SocketAddr> {
        address_of(self.fd.as_raw_fd(), socket::getpeername)
    }

    /// Which of this box's addresses the peer has connected to; `None` for a Unix socket.
    pub fn local(&self) -> Option<SocketAddr> {
        address_of(self.fd.as_raw_fd(), socket::getsockname)
    }

    /// The descriptor's number, to be shown.
    pub fn number(&self) -> i32 {
        self.fd.as_raw_fd()
    }

    /// Whether the peer is on this box: on a Unix socket, on the loopback interface, or where the address that it comes
    /// from is the one that it connected to.
    pub fn is_local(&self) -> bool {
        match (self.peer(), self.local()) {
            (Some(peer), Some(local)) => peer.ip().is_loopback() || peer.ip() == local.ip(),
            // A TCP peer that has gone already has no address, and no use for one.
            (None, local) => local.is_none(),
            (Some(_), None) => false,
        }
    }

    /// Ends our side: the peer gets what was sent, then the end.
    pub fn end_sending(&self) {
        // It fails only when the peer is gone, which the next receive reports.
        let _ = socket::shutdown(self.fd.as_raw_fd(), Shutdown::Write);
    }
}

impl From<OwnedFd> for Socket {
    /// A nonblocking stream socket.
    fn from(fd: OwnedFd) -> Socket {
        Socket { fd }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
