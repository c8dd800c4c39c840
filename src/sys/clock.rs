//! The clocks: milliseconds since boot, which never jump, and wall time, which is only shown.

use nix::sys::time::TimeValLike;
use nix::time::{ClockId, clock_gettime};

fn read(clock: ClockId) -> nix::sys::time::TimeSpec {
    // clock_gettime(2) fails only for a clock that the kernel does not know; these are as old as Linux 2.6.39.
    clock_gettime(clock).expect("clock_gettime(2) knows this clock")
}

/// Milliseconds since boot, suspended time included (`CLOCK_BOOTTIME`): no jump of the wall clock moves it.
pub fn boot_ms() -> u64 {
    let time = read(ClockId::CLOCK_BOOTTIME);
    time.tv_sec() as u64 * 1000 + time.tv_nsec() as u64 / 1_000_000
}

/// Nanoseconds of a clock that neither jumps nor goes back (`CLOCK_MONOTONIC`), to measure how long something took. Every
/// kernel answers this one without a system call; older ones make one of `CLOCK_BOOTTIME`.
pub fn monotonic_ns() -> u64 {
    let time = read(ClockId::CLOCK_MONOTONIC);
    time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
}

/// Milliseconds since the Unix epoch by the wall clock; may be anything on a box that has no clock of its own.
pub fn wall_ms() -> i64 {
    read(ClockId::CLOCK_REALTIME).num_milliseconds()
}

/// Microseconds since the Unix epoch by the wall clock.
pub fn wall_us() -> i64 {
    read(ClockId::CLOCK_REALTIME).num_microseconds()
}

/// A moment as people write it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LocalTime {
    /// Year, for example 2026.
    pub year: i32,
    /// Month, 1 to 12.
    pub month: i32,
    /// Day of the month, 1 to 31.
    pub day: i32,
    /// Hour, 0 to 23.
    pub hour: i32,
    /// Minute, 0 to 59.
    pub minute: i32,
    /// Second, 0 to 60.
    pub second: i32,
}

/// The wall clock in the box's time zone (`TZ`, else /etc/localtime); in UTC where neither is known.
pub fn local_time() -> LocalTime {
    let seconds = read(ClockId::CLOCK_REALTIME).tv_sec();
    // SAFETY: `tm` is plain numbers and a pointer that may be null; all zeros is a value of it.
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live locals of the right types; localtime_r(3) keeps neither.
    let found = unsafe { libc::localtime_r(&seconds, &mut tm) };
    if found.is_null() {
        // Only a year beyond what `tm` can hold is refused: the clock is nonsense, and so may the stamp be.
        return LocalTime::default();
    }
    LocalTime {
        year: tm.tm_year + 1900,
        month: tm.tm_mon + 1,
        day: tm.tm_mday,
        hour: tm.tm_hour,
        minute: tm.tm_min,
        second: tm.tm_sec,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_clock_does_not_go_back() {
        let first = boot_ms();
        assert!(first > 0 && boot_ms() >= first);
    }

    #[test]
    fn local_time_is_a_date() {
        let now = local_time();
        assert!((1..=12).contains(&now.month) && (1..=31).contains(&now.day) && now.hour < 24, "{now:?}");
    }
}
