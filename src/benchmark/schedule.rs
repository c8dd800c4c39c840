//! When a request is due in an open loop: at so many a second, whatever the server does. Knows no clock.

/// The due times of one thread: every so often, each thread a part of a step after the one before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    /// Steps in a million seconds.
    rate: u64,
    /// This thread's first step, and how many steps it is to its next.
    first: u64,
    threads: u64,
}

impl Schedule {
    /// Thread `number` of `threads` at `rate` requests in a million seconds in all, which is not 0.
    pub(super) fn new(rate: u64, number: u64, threads: u64) -> Schedule {
        Schedule { rate, first: number, threads }
    }

    /// When this thread's request of this number is due, in nanoseconds from the start. It is counted from the start
    /// and not from the request before, so that nothing adds up.
    pub(super) fn due_ns(&self, number: u64) -> u64 {
        let step = u128::from(self.first) + u128::from(number) * u128::from(self.threads);
        (step * 1_000_000_000_000_000 / u128::from(self.rate)).min(u128::from(u64::MAX)) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_due_evenly_over_all_threads() {
        let threads: Vec<Schedule> = (0..3).map(|number| Schedule::new(3_000_000_000, number, 3)).collect();
        let due: Vec<u64> = (0..7).map(|step| threads[step % 3].due_ns(step as u64 / 3)).collect();
        assert_eq!(due, [0, 333_333, 666_666, 1_000_000, 1_333_333, 1_666_666, 2_000_000]);
    }

    #[test]
    fn no_error_adds_up_and_nothing_overflows() {
        let schedule = Schedule::new(7_000_000, 0, 1);
        assert_eq!(schedule.due_ns(7 * 3600 * 24 * 365), 3600 * 24 * 365 * 1_000_000_000);
        assert_eq!(Schedule::new(500_000, 0, 1).due_ns(3), 6_000_000_000);
        assert_eq!(Schedule::new(1, 0, 1).due_ns(u64::MAX), u64::MAX);
    }
}
