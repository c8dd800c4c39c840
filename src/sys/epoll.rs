//! `epoll(7)`, level-triggered, straight over nix.

use super::{Call, fault};
use nix::errno::Errno;
use nix::sys::epoll::{EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::io;
use std::os::fd::AsFd;

/// What a descriptor is watched for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Bytes, a connection or the end can be read.
    pub read: bool,
    /// Bytes can be written.
    pub write: bool,
    /// That the connection is gone or broken is reported for as long as it is so; else once.
    pub hangup: bool,
}

impl Interest {
    /// Errors and hang-ups alone.
    pub const NONE: Interest = Interest { read: false, write: false, hangup: true };
    /// Reading alone.
    pub const READ: Interest = Interest { read: true, write: false, hangup: true };
    /// Writing alone.
    pub const WRITE: Interest = Interest { read: false, write: true, hangup: true };
    /// Nothing: that it is gone is known.
    pub const GONE: Interest = Interest { read: false, write: false, hangup: false };

    fn flags(self) -> EpollFlags {
        let mut flags = EpollFlags::empty();
        flags.set(EpollFlags::EPOLLIN, self.read);
        flags.set(EpollFlags::EPOLLOUT, self.write);
        // They are reported whatever is asked for (epoll_ctl(2)); but once only where that is said.
        flags.set(EpollFlags::EPOLLET, !self.hangup);
        flags
    }
}

/// What was reported of one descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// The number that the descriptor was added with.
    pub data: u64,
    /// A read will not block: there are bytes, a connection, the end, or an error to fetch.
    pub readable: bool,
    /// A write will not block.
    pub writable: bool,
    /// The connection is gone in both directions, or broken.
    pub hangup: bool,
}

/// A set of watched descriptors. A descriptor leaves it by being closed.
pub struct Epoll {
    epoll: nix::sys::epoll::Epoll,
    events: Vec<EpollEvent>,
}

impl Epoll {
    /// A set that reports at most `events_max` descriptors at a time.
    ///
    /// # Errors
    /// Those of `epoll_create1(2)`.
    pub fn new(events_max: usize) -> io::Result<Epoll> {
        let epoll = nix::sys::epoll::Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        Ok(Epoll { epoll, events: vec![EpollEvent::empty(); events_max] })
    }

    /// Watches `fd`; its reports carry `data`.
    ///
    /// # Errors
    /// Those of `epoll_ctl(2)`; `ENOSPC` and `ENOMEM` can come at any time.
    pub fn add(&self, fd: impl AsFd, interest: Interest, data: u64) -> io::Result<()> {
        fault::allow(Call::Watch, 1)?;
        Ok(self.epoll.add(fd, EpollEvent::new(interest.flags(), data))?)
    }

    /// Changes what a watched `fd` is watched for.
    ///
    /// # Errors
    /// Those of `epoll_ctl(2)`.
    pub fn modify(&self, fd: impl AsFd, interest: Interest, data: u64) -> io::Result<()> {
        fault::allow(Call::Watch, 1)?;
        Ok(self.epoll.modify(fd, &mut EpollEvent::new(interest.flags(), data))?)
    }

    /// Waits until something is ready, at most `timeout_ms` (`None`: for ever), and appends what is to `ready`.
    /// An interrupted wait appends nothing.
    ///
    /// # Errors
    /// Those of `epoll_wait(2)` but `EINTR`.
    pub fn wait(&mut self, timeout_ms: Option<u64>, ready: &mut Vec<Ready>) -> io::Result<()> {
        // A time-out beyond what the call can say only makes the loop look once more in between.
        let timeout = match timeout_ms {
            None => EpollTimeout::NONE,
            Some(ms) => EpollTimeout::try_from(ms.min(i32::MAX as u64)).unwrap_or(EpollTimeout::MAX),
        };
        let room = match fault::allow(Call::Wait, self.events.len()) {
            Ok(room) => room,
            Err(_) => return Ok(()),
        };
        let count = match self.epoll.wait(&mut self.events[..room], timeout) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        ready.extend(self.events[..count].iter().map(|event| {
            let flags = event.events();
            let hangup = flags.intersects(EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR);
            Ready {
                data: event.data(),
                readable: flags.contains(EpollFlags::EPOLLIN),
                writable: flags.contains(EpollFlags::EPOLLOUT),
                hangup,
            }
        }));
        Ok(())
    }
}
