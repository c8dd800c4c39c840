//! A descriptor that becomes readable at a time: `timerfd_create(2)`, for waits shorter than `epoll_wait` can say.

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// One alarm, which is not set at first.
pub struct Alarm(TimerFd);

impl Alarm {
    /// An alarm.
    ///
    /// # Errors
    /// Those of `timerfd_create(2)`.
    pub fn new() -> io::Result<Alarm> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        Ok(Alarm(TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?))
    }

    /// Makes the descriptor readable after this time, and not before, whatever was set or had come until now.
    ///
    /// # Errors
    /// Those of `timerfd_settime(2)`.
    pub fn set(&self, after: Duration) -> io::Result<()> {
        // Zero would mean never.
        let after = TimeSpec::from_duration(after.max(Duration::from_nanos(1)));
        Ok(self.0.set(Expiration::OneShot(after), TimerSetTimeFlags::empty())?)
    }

    /// Takes back what was set or had come.
    ///
    /// # Errors
    /// Those of `timerfd_settime(2)`.
    pub fn unset(&self) -> io::Result<()> {
        Ok(self.0.unset()?)
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::epoll::{Epoll, Interest};
    use std::time::Instant;

    #[test]
    fn an_alarm_comes_once_it_is_time_until_it_is_set_again() {
        let alarm = Alarm::new().unwrap();
        let mut epoll = Epoll::new(4).unwrap();
        epoll.add(&alarm, Interest::READ, 7).unwrap();
        let mut ready = Vec::new();
        let start = Instant::now();
        alarm.set(Duration::from_micros(1500)).unwrap();
        while ready.is_empty() {
            epoll.wait(Some(10_000), &mut ready).unwrap();
        }
        assert!(start.elapsed() >= Duration::from_micros(1500));
        assert!(ready[0].data == 7 && ready[0].readable);
        for quiet in [
            |alarm: &Alarm| alarm.set(Duration::from_secs(3600)),
            |alarm: &Alarm| {
                alarm.set(Duration::ZERO)?;
                alarm.unset()
            },
        ] {
            quiet(&alarm).unwrap();
            ready.clear();
            epoll.wait(Some(0), &mut ready).unwrap();
            assert!(ready.is_empty());
        }
    }
}
