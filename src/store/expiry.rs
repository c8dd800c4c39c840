//! Which entries end when: an exact index, kept in step with every change of an expiry.
//!
//! A search tree for now. A timing wheel over entries' handles is to take its place behind the same functions, once
//! entries have handles that stay; it would cut a record from about forty bytes to a few.

use std::collections::BTreeSet;

use super::slot::SlotId;

/// An estimate of what the tree asks of the heap for a record: its nodes have eleven places and are two thirds full.
const RECORD_BYTES: usize = 48;

/// One entry that ends. Both hashes, because the entry's page may come to be keyed, and to be unkeyed again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Record {
    /// When.
    pub(super) expires_ms: u64,
    /// In which slot.
    pub(super) slot: SlotId,
    /// The fast hash of the key.
    pub(super) fast: u64,
    /// The keyed hash of the key. It tells keys apart whose other fields are equal, crafted ones included.
    pub(super) keyed: u64,
}

/// The records of all entries that end, the earliest first.
#[derive(Default)]
pub(super) struct ExpiryIndex {
    records: BTreeSet<Record>,
    /// All their times together: what the mean of them is made from.
    sum_ms: u128,
}

impl ExpiryIndex {
    /// How many entries end.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// About what the index asks of the heap.
    pub(super) fn bytes(&self) -> usize {
        self.len() * RECORD_BYTES
    }

    /// The mean of the times at which entries end; none where none does.
    pub(super) fn mean_ms(&self) -> Option<u64> {
        self.sum_ms.checked_div(self.len() as u128).map(|mean| mean as u64)
    }

    /// Notes an entry.
    pub(super) fn insert(&mut self, record: Record) {
        self.sum_ms += u128::from(record.expires_ms);
        let new = self.records.insert(record);
        debug_assert!(new, "a key ends once");
    }

    /// Forgets an entry.
    pub(super) fn remove(&mut self, record: &Record) {
        self.sum_ms -= u128::from(record.expires_ms);
        let known = self.records.remove(record);
        debug_assert!(known, "an entry that ends has a record");
    }

    /// The entry that ends first.
    pub(super) fn first(&self) -> Option<&Record> {
        self.records.first()
    }

    /// Forgets some entry of an index that is being freed; false when there is none.
    pub(super) fn pop(&mut self) -> bool {
        self.records.pop_first().is_some()
    }

    /// Whether this very record is there.
    #[cfg(test)]
    pub(super) fn contains(&self, record: &Record) -> bool {
        self.records.contains(record)
    }
}
