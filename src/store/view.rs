//! An entry as the store lends it: to be read, or to be changed in place with all books kept.

use super::arena::Handle;
use super::changes::Changes;
use super::cursor::Cursor;
use super::entry::{Entry, Times, Value, late};
use super::expiry::DueIndex;
use super::heap::Heap;
use super::page::Page;
use super::slot::SlotId;
use super::slots::Found;
use super::table::{Item, Place, TIME_LATE};
use super::tables::Tables;
use crate::blob::OutOfMemory;

/// A stored entry, to be read.
#[derive(Clone, Copy)]
pub struct EntryRef<'a> {
    entry: Entry<'a>,
    expires_ms: Option<u64>,
}

impl<'a> EntryRef<'a> {
    /// An entry that has not ended.
    #[inline(always)]
    pub(super) fn of_live(heap: &'a Heap, item: Item, now_ms: u64) -> Option<EntryRef<'a>> {
        let expires_ms = heap.expires_ms(item);
        let is_live = expires_ms.is_none_or(|expires_ms| expires_ms > now_ms);
        is_live.then(|| EntryRef { entry: heap.entry(item.handle), expires_ms })
    }

    /// The key.
    pub fn key(&self) -> &'a [u8] {
        self.entry.key()
    }

    /// The value.
    #[inline]
    pub fn value(&self) -> Value<'a> {
        self.entry.value()
    }

    /// The `now_ms` of the call that set the value.
    pub fn created_ms(&self) -> u64 {
        self.entry.created_ms()
    }

    /// When the entry ends, on the clock of `now_ms`; none when it does not.
    pub fn expires_ms(&self) -> Option<u64> {
        self.expires_ms
    }

    /// Bytes of the entry's own blocks: header, key, value, and their slack.
    pub fn block_bytes(&self) -> usize {
        self.entry.bytes()
    }
}

/// A stored entry, to be changed in place: the creation time stays, and so does the expiry unless it is what changes.
pub struct EntryMut<'a> {
    page: &'a mut Page,
    place: Place,
    handle: Handle,
    expires_ms: Option<u64>,
    /// Whether its change is noted: once is enough, however many changes there are.
    noted: bool,
    books: Books<'a>,
}

/// What of the store an entry's changes go into.
struct Books<'a> {
    /// Where the entry's page begins.
    at: Cursor,
    heap: &'a mut Heap,
    tables: &'a mut Tables,
    due: &'a mut DueIndex,
    changes: &'a mut Changes,
}

impl<'a> EntryMut<'a> {
    /// An entry that was found in a slot, which the policy hears of, and what its changes go into.
    #[inline(always)]
    pub(super) fn new(
        slot: SlotId,
        (page, position, place, item): Found<'a>,
        heap: &'a mut Heap,
        tables: &'a mut Tables,
        due: &'a mut DueIndex,
        changes: &'a mut Changes,
    ) -> EntryMut<'a> {
        if tables.usage.tracked().is_some() {
            page.mark_use(place, tables);
        }
        let (handle, expires_ms) = (item.handle, heap.expires_ms(item));
        let books = Books { at: Cursor::new(slot, position), heap, tables, due, changes };
        EntryMut { page, place, handle, expires_ms, noted: false, books }
    }

    fn entry(&self) -> Entry<'_> {
        self.books.heap.entry(self.handle)
    }

    /// Whether the entry has not ended.
    pub(super) fn is_live(&self, now_ms: u64) -> bool {
        self.expires_ms.is_none_or(|expires_ms| expires_ms > now_ms)
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
        self.expires_ms
    }

    /// Bytes of the entry's own blocks: header, key, value, and their slack.
    pub fn block_bytes(&self) -> usize {
        self.entry().bytes()
    }

    /// Replaces the value; the times stay.
    pub fn set_value(&mut self, value: &[u8]) {
        self.change(|heap, handle| heap.set_value(handle, value));
    }

    /// Makes sure that the value can become so long; the changes below end the process where it cannot.
    ///
    /// # Errors
    /// When the system has no memory for so much; the value is what it was then.
    pub fn try_reserve(&mut self, len: usize) -> Result<(), OutOfMemory> {
        self.books.heap.try_reserve(self.handle, len)
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
        self.change(|heap, handle| heap.set_late(handle, late(expires_ms)));
        self.write_expiry(expires_ms);
    }

    /// Sets what is remembered of its use.
    pub(super) fn set_mark(&mut self, mark: u8) {
        self.page.set_mark(self.place, mark, self.books.tables);
    }

    /// Replaces value and times; `key` is the entry's own.
    #[inline(always)]
    pub(super) fn replace(&mut self, key: &[u8], value: &[u8], created_ms: u64, expires_ms: Option<u64>) {
        self.change(|heap, handle| heap.replace(handle, key, value, Times::new(created_ms, expires_ms)));
        self.write_expiry(expires_ms);
    }

    /// Replaces the entry by another one with the same key, which ends then, if ever.
    pub(super) fn replace_whole(&mut self, new: Handle, expires_ms: Option<u64>) {
        debug_assert_eq!(self.key(), self.books.heap.entry(new).key());
        self.change(|heap, old| {
            heap.free(old);
            new
        });
        self.write_expiry(expires_ms);
    }

    /// Changes the entry, which may get another handle by it, and notes that.
    #[inline(always)]
    fn change(&mut self, change: impl FnOnce(&mut Heap, Handle) -> Handle) {
        let handle = change(self.books.heap, self.handle);
        if handle != self.handle || self.books.changes.is_tracking() {
            self.note_change(handle);
        }
    }

    #[inline(never)]
    fn note_change(&mut self, handle: Handle) {
        let Books { heap, tables, changes, .. } = &mut self.books;
        if handle != self.handle {
            self.page.set_handle(self.place, handle, tables);
            self.handle = handle;
        }
        if !self.noted {
            self.noted = true;
            changes.note(|| heap.entry(handle).key());
        }
    }

    /// Writes when the entry ends, if that changes.
    #[inline(always)]
    fn write_expiry(&mut self, expires_ms: Option<u64>) {
        if self.expires_ms != expires_ms {
            self.move_expiry(expires_ms);
        }
    }

    /// Writes when the entry ends to where its page has that, and brings the books to it.
    #[inline(never)]
    fn move_expiry(&mut self, expires_ms: Option<u64>) {
        let before_ms = std::mem::replace(&mut self.expires_ms, expires_ms);
        let Books { at, tables, due, .. } = &mut self.books;
        let page_before_ms = self.page.due_ms(tables);
        self.page.set_time(self.place, before_ms.map(column_time), expires_ms.map(column_time), tables);
        due.move_record(*at, page_before_ms, self.page.due_ms(tables));
        due.count(before_ms, expires_ms);
    }
}

/// What a page's column has for an entry that ends then.
pub(super) fn column_time(expires_ms: u64) -> u64 {
    expires_ms.min(TIME_LATE)
}
