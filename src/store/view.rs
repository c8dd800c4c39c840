//! An entry as the store lends it: to be read, or to be changed in place with all books kept.

use super::arena::Handle;
use super::changes::Changes;
use super::entry::{Entry, Times, Value};
use super::expiry::{ExpiryIndex, Record};
use super::heap::Heap;

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
    books: Books<'a>,
}

/// The store's books, which an entry's changes go into.
pub(super) struct Books<'a> {
    pub(super) expiry: &'a mut ExpiryIndex,
    pub(super) changes: &'a mut Changes,
}

impl<'a> EntryMut<'a> {
    /// An entry, where it lies, and the books that its changes go into.
    pub(super) fn new(handle: &'a mut Handle, heap: &'a mut Heap, books: Books<'a>) -> EntryMut<'a> {
        EntryMut { handle, heap, books }
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
        self.change(|heap, handle| heap.set_expires(handle, expires_ms));
    }

    /// Replaces value and times; `key` is the entry's own.
    pub(super) fn replace(&mut self, key: &[u8], value: &[u8], times: Times) {
        self.change(|heap, handle| heap.replace(handle, key, value, times));
    }

    /// Replaces the entry by another one with the same key.
    pub(super) fn replace_whole(&mut self, new: Handle) {
        debug_assert_eq!(self.key(), self.heap.entry(new).key());
        self.change(|heap, old| {
            heap.free(old);
            new
        });
    }

    /// Changes the entry, which may get another handle by it, and brings the books to that.
    fn change(&mut self, change: impl FnOnce(&mut Heap, Handle) -> Handle) {
        let before = self.record();
        *self.handle = change(self.heap, *self.handle);
        let after = self.record();
        if before != after {
            before.into_iter().for_each(|record| self.books.expiry.remove(record));
            after.into_iter().for_each(|record| self.books.expiry.insert(record));
        }
        self.books.changes.note(self.heap.entry(*self.handle).key());
    }

    /// What stands in the index of expiry.
    fn record(&self) -> Option<Record> {
        self.expires_ms().map(|expires_ms| Record { expires_ms, handle: *self.handle })
    }
}
