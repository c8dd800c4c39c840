//! Deadlines: set, cancel, the earliest, the expired. Knows no clock; time comes in as milliseconds.

use crate::pairs::Pairs;

/// The earlier of two times, where there is any.
pub fn earlier_ms(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        _ => one.or(other),
    }
}

/// Deadlines in milliseconds, each for a key; a key may stand under several deadlines. A key is a number that the owner
/// makes of whatever it names, so that all timers share one set's code.
#[derive(Default)]
pub struct Timers {
    deadlines: Pairs,
}

impl Timers {
    /// Adds a deadline.
    pub fn set(&mut self, deadline_ms: u64, key: u64) {
        self.deadlines.insert((deadline_ms, key));
    }

    /// Takes a deadline out; one that is not there is no error.
    pub fn cancel(&mut self, deadline_ms: u64, key: u64) {
        self.deadlines.remove((deadline_ms, key));
    }

    /// The earliest deadline.
    pub fn earliest_ms(&self) -> Option<u64> {
        self.deadlines.first().map(|(deadline_ms, _)| deadline_ms)
    }

    /// Takes out the earliest deadline if it is due, and gives its key.
    pub fn expired(&mut self, now_ms: u64) -> Option<u64> {
        let (deadline_ms, key) = self.deadlines.first()?;
        if deadline_ms > now_ms {
            return None;
        }
        self.cancel(deadline_ms, key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_expire_in_order_and_never_early() {
        let mut timers = Timers::default();
        assert_eq!((timers.earliest_ms(), timers.expired(100)), (None, None));
        timers.set(30, 3);
        timers.set(10, 1);
        timers.set(20, 2);
        timers.cancel(20, 2);
        timers.cancel(99, 9);
        assert_eq!(timers.earliest_ms(), Some(10));
        assert_eq!(timers.expired(9), None);
        assert_eq!((timers.expired(10), timers.expired(29), timers.expired(31)), (Some(1), None, Some(3)));
        assert_eq!(timers.earliest_ms(), None);
    }
}
