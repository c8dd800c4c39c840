//! An entry as the store lends it: to be read, or to be changed in place with all books kept.

use std::collections::hash_map::RandomState;

use super::arena::Handle;
use super::changes::Changes;
use super::entry::{Entry, Times, Value};
use super::expiry::{ExpiryIndex, Record};
use super::hash;
use super::heap::Heap;
use super::slot::SlotId;

/// A stored entry, to be read.
#[derive(Clone, Copy)]
pub struct EntryRef<'a> {
    entry: Entry<'a>,
}

impl<'a> EntryRef<'a> {
    /// An entry that has not ended.
    pub(super) fn of_live(entry: Entry<'a>, now_ms: u64) -> Option<EntryRef<'a>> {
        entry.is_live(now_ms).then_some(EntryRef { entry })
    }

    /// The key.
    pub fn key(&self) -> &'a [u8] {
        self.entry.key()
    }

    /// The value.
    pub fn value(&self) -> Value<'a> {
        self.entry.value()
    }

    /// The `now_ms` of the call that set the value.
    pub fn created_ms(&self) -> u64 {
        self.entry.created_ms()
    }

    /// When the entry ends, on the clock of `now_ms`; none when it does not.
    pub fn expires_ms(&self) -> Option<u64> {
        self.entry.expires_ms()
    }

    /// Bytes of the entry's own blocks: header, key, value, and their slack.
    pub fn block_bytes(&self) -> usize {
        self.entry.bytes()
    }
}

/// A stored entry, to be changed in place: the creation time stays, and so does the expiry unless it is what changes.
pub struct EntryMut<'a> {
    handle: &'a mut Handle,
    heap: &'a mut Heap,
    place: Place<'a>,
    books: Books<'a>,
}

/// The store's books, which an entry's changes go into.
pub(super) struct Books<'a> {
    pub(super) expiry: &'a mut ExpiryIndex,
    pub(super) changes: &'a mut Changes,
}

/// What the index of expiry needs to know of an entry, apart from when it ends.
pub(super) struct Place<'a> {
    pub(super) slot: SlotId,
    pub(super) fast: u64,
    pub(super) state: &'a RandomState,
}

impl<'a> EntryMut<'a> {
    /// An entry, where it lies and stands, and the books that its changes go into.
    pub(super) fn new(handle: &'a mut Handle, heap: &'a mut Heap, place: Place<'a>, books: Books<'a>) -> EntryMut<'a> {
        EntryMut { handle, heap, place, books }
    }

    fn entry(&self) -> Entry<'_> {
        self.heap.entry(*self.handle)
    }

    /// Whether the entry has not ended.
    pub(super) fn is_live(&self, now_ms: u64) -> bool {
        self.entry().is_live(now_ms)
    }

    /// The key.
    pub fn key(&self) -> &[u8] {
        self.entry().key()
    }

    /// The value.
    pub fn value(&self) -> Value<'_> {
        self.entry().value()
    }

    /// The `now_ms` of the call that set the value.
    pub fn created_ms(&self) -> u64 {
        self.entry().created_ms()
    }

    /// When the entry ends, on the clock of `now_ms`; none when it does not.
    pub fn expires_ms(&self) -> Option<u64> {
        self.entry().expires_ms()
    }

    /// Bytes of the entry's own blocks: header, key, value, and their slack.
    pub fn block_bytes(&self) -> usize {
        self.entry().bytes()
    }

    /// Replaces the value; the times stay.
    pub fn set_value(&mut self, value: &[u8]) {
        self.change(|heap, handle| heap.set_value(handle, value));
    }

    /// Adds bytes at the value's end. To a long value this copies what is added, and nothing else on the whole.
    pub fn append(&mut self, bytes: &[u8]) {
        self.change(|heap, handle| heap.append(handle, bytes));
    }

    /// Adds bytes before the value's start.
    pub fn prepend(&mut self, bytes: &[u8]) {
        self.change(|heap, handle| heap.prepend(handle, bytes));
    }

    /// Writes bytes over the value from `offset` on; what lies between the old end and `offset` becomes zeros. The
    /// caller bounds `offset`: the value is made that long.
    pub fn write_at(&mut self, offset: usize, bytes: &[u8]) {
        self.change(|heap, handle| heap.write_at(handle, offset, bytes));
    }

    /// Sets when the entry ends, on the clock of `now_ms`, or that it does not.
    pub fn set_expires(&mut self, expires_ms: Option<u64>) {
        self.reschedule(expires_ms);
        self.change(|heap, handle| heap.set_expires(handle, expires_ms));
    }

    /// Replaces value and times; `key` is the entry's own.
    pub(super) fn replace(&mut self, key: &[u8], value: &[u8], times: Times) {
        self.reschedule(times.expires_ms);
        self.change(|heap, handle| heap.replace(handle, key, value, times));
    }

    /// Replaces the entry by another one with the same key.
    pub(super) fn replace_whole(&mut self, new: Handle) {
        debug_assert_eq!(self.key(), self.heap.entry(new).key());
        self.reschedule(self.heap.entry(new).expires_ms());
        self.change(|heap, old| {
            heap.free(old);
            new
        });
    }

    /// Changes the entry, which may get another handle by it, and notes that.
    fn change(&mut self, change: impl FnOnce(&mut Heap, Handle) -> Handle) {
        *self.handle = change(self.heap, *self.handle);
        self.books.changes.note(self.heap.entry(*self.handle).key());
    }

    /// Brings the index of expiry to what the entry is about to be.
    fn reschedule(&mut self, expires_ms: Option<u64>) {
        let before_ms = self.expires_ms();
        if before_ms == expires_ms {
            return;
        }
        let Place { slot, fast, state } = self.place;
        let keyed = hash::keyed(state, self.key());
        let record = |expires_ms| Record { expires_ms, slot, fast, keyed };
        if let Some(before_ms) = before_ms {
            self.books.expiry.remove(&record(before_ms));
        }
        if let Some(expires_ms) = expires_ms {
            self.books.expiry.insert(record(expires_ms));
        }
    }
}
