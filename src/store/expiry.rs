//! Which pages have entries that end, in the order of when they are due: exact, though no entry has a record.
//!
//! A page with entries that end has one record, of a time before which none of them does, and of the position where the
//! page begins. Such a time is lowered by an earlier one that comes in; that the earliest entry goes leaves it, until the
//! page is looked at because of it. So most changes of an expiry touch nothing here.

use super::cursor::Cursor;
use crate::pairs::Pairs;

/// What a record takes in the index, by estimate: two words, and rows are two thirds full.
const RECORD_BYTES: usize = 3 * size_of::<(u64, Cursor)>() / 2;

/// The records of all pages that have entries that end, and what those entries are together.
#[derive(Default)]
pub(super) struct DueIndex {
    /// Cursors as numbers, as which they have the same order.
    records: Pairs,
    /// How many entries end.
    entries: usize,
    /// All their times together: what the mean of them is made from.
    sum_ms: u128,
}

impl DueIndex {
    /// How many entries end.
    pub(super) fn entries(&self) -> usize {
        self.entries
    }

    /// The mean of the times at which entries end; none where none does.
    pub(super) fn mean_ms(&self) -> Option<u64> {
        self.sum_ms.checked_div(self.entries as u128).map(|mean| mean as u64)
    }

    /// About what the index asks of the heap.
    pub(super) fn bytes(&self) -> usize {
        self.records.len() * RECORD_BYTES
    }

    /// An entry ended then, if it did, and now ends then, if it does.
    pub(super) fn count(&mut self, before_ms: Option<u64>, after_ms: Option<u64>) {
        if let Some(before_ms) = before_ms {
            self.entries -= 1;
            self.sum_ms -= u128::from(before_ms);
        }
        if let Some(after_ms) = after_ms {
            self.entries += 1;
            self.sum_ms += u128::from(after_ms);
        }
    }

    /// The page at a place was due then, if it was, and now is then, if it is.
    #[inline]
    pub(super) fn move_record(&mut self, at: Cursor, before_ms: Option<u64>, after_ms: Option<u64>) {
        if before_ms == after_ms {
            return;
        }
        if let Some(before_ms) = before_ms {
            let was_there = self.records.remove((before_ms, at.to_u64()));
            debug_assert!(was_there, "a page with entries that end has a record");
        }
        if let Some(after_ms) = after_ms {
            let is_new = self.records.insert((after_ms, at.to_u64()));
            debug_assert!(is_new, "a page has one record");
        }
    }

    /// The page that is due first, and when.
    pub(super) fn first(&self) -> Option<(u64, Cursor)> {
        self.records.first().map(|(due_ms, at)| (due_ms, Cursor::from_u64(at)))
    }

    /// Some page with entries that end, by two random numbers: one that is due about a time that is as likely as any
    /// other, and of many that are due then, any.
    pub(super) fn some(&self, time: u64, place: u64) -> Option<Cursor> {
        let (first_ms, first) = self.records.first()?;
        let (last_ms, _) = self.records.last()?;
        let at_ms = first_ms + time % (last_ms - first_ms).saturating_add(1);
        let behind = self.records.since((at_ms, Cursor::from_u64(place).to_u64()));
        Some(Cursor::from_u64(behind.map_or(first, |(_, at)| at)))
    }

    /// Forgets a record of an index that is being freed; false when none is left.
    pub(super) fn pop(&mut self) -> bool {
        self.records.last().is_some_and(|last| self.records.remove(last))
    }
}

#[cfg(test)]
impl DueIndex {
    /// Asserts that the records are exactly these, and the sum of times is this one.
    pub(super) fn check(&self, records: &std::collections::BTreeSet<(u64, Cursor)>, sum_ms: u128) {
        let own = self.records.iter().map(|(due_ms, at)| (due_ms, Cursor::from_u64(at)));
        assert!(own.eq(records.iter().copied()), "every page with a column has its record, and none else");
        assert_eq!(self.sum_ms, sum_ms);
    }
}
