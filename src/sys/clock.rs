//! The clocks: milliseconds since boot, which never jump, and wall time, which is only shown.

use super::zone;
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

pub(super) const DAY: i64 = 86_400;
pub(super) const HOUR: i64 = 3600;

/// Days from the first of March of the year 0 to the Unix epoch.
pub(super) const DAYS_BEFORE: i64 = 719_468;

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
    zone::local(read(ClockId::CLOCK_REALTIME).tv_sec())
}

/// The date of the Gregorian calendar, and the time of day, so many seconds after the Unix epoch began in UTC.
#[inline(never)]
pub fn date(seconds: i64) -> LocalTime {
    let (shifted, second) = (seconds.div_euclid(DAY) + DAYS_BEFORE, seconds.rem_euclid(DAY));
    // In turns of 400 years.
    let (turn, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    LocalTime {
        year: (year + turn * 400 + i64::from(month < 3)) as i32,
        month: month as i32,
        day: day as i32,
        hour: (second / HOUR) as i32,
        minute: (second / 60 % 60) as i32,
        second: (second % 60) as i32,
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

    #[test]
    fn dates_before_the_epoch_are_dates() {
        let at = |seconds| {
            let LocalTime { year, month, day, hour, minute, second } = date(seconds);
            [year, month, day, hour, minute, second]
        };
        assert_eq!(at(-1), [1969, 12, 31, 23, 59, 59]);
        assert_eq!(at(-62_135_596_800), [1, 1, 1, 0, 0, 0]);
    }
}
