//! Deadlines: set, cancel, the earliest, the expired. Knows no clock; time comes in as milliseconds.

use std::collections::BTreeSet;

/// Deadlines in milliseconds, each for a key; a key may stand under several deadlines.
pub struct Timers<K> {
    deadlines: BTreeSet<(u64, K)>,
}

impl<K: Ord + Copy> Timers<K> {
    /// No deadline.
    pub fn new() -> Timers<K> {
        Timers { deadlines: BTreeSet::new() }
    }

    /// Adds a deadline.
    pub fn set(&mut self, deadline_ms: u64, key: K) {
        self.deadlines.insert((deadline_ms, key));
    }

    /// Takes a deadline out; one that is not there is no error.
    pub fn cancel(&mut self, deadline_ms: u64, key: K) {
        self.deadlines.remove(&(deadline_ms, key));
    }

    /// The earliest deadline.
    pub fn earliest_ms(&self) -> Option<u64> {
        self.deadlines.first().map(|&(deadline_ms, _)| deadline_ms)
    }

    /// Takes out the earliest deadline if it is due, and gives its key.
    pub fn expired(&mut self, now_ms: u64) -> Option<K> {
        let &(deadline_ms, _) = self.deadlines.first()?;
        if deadline_ms > now_ms {
            return None;
        }
        self.deadlines.pop_first().map(|(_, key)| key)
    }
}

impl<K: Ord + Copy> Default for Timers<K> {
    fn default() -> Timers<K> {
        Timers::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_expire_in_order_and_never_early() {
        let mut timers = Timers::new();
        assert_eq!((timers.earliest_ms(), timers.expired(100)), (None, None));
        timers.set(30, 'c');
        timers.set(10, 'a');
        timers.set(20, 'b');
        timers.cancel(20, 'b');
        timers.cancel(99, 'x');
        assert_eq!(timers.earliest_ms(), Some(10));
        assert_eq!(timers.expired(9), None);
        assert_eq!((timers.expired(10), timers.expired(29), timers.expired(31)), (Some('a'), None, Some('c')));
        assert_eq!(timers.earliest_ms(), None);
    }
}
