//! Where all entries lie, and all changes to an entry that do not concern its place in an index.
//!
//! Most entries are one block of the arena. What changes an entry gives back its handle, which is a new one where the
//! block had to be another; the old handle is void then.

use std::rc::Rc;

use super::arena::{Arena, Handle, block_bytes};
use super::entry::{Entry, Layout, Times, Value, is_long};
use super::long::{Edit, Long, Longs};
use super::table::{Item, TIME_LATE};
use crate::blob::{Blob, HEAP_BYTES_MAX, OutOfMemory};
use crate::sys::reserve;
use crate::sys::simd::{LINE_BYTES, prefetch};

/// The entries of a store.
#[derive(Default)]
pub(super) struct Heap {
    arena: Arena,
    longs: Longs,
    /// Where an entry is put together that is made from itself or from another one.
    scratch: Vec<u8>,
}

impl Heap {
    /// Bytes of all entries: of blocks, and of what is kept apart from them.
    pub(super) fn bytes(&self) -> usize {
        self.arena.bytes() + self.longs.bytes()
    }

    /// An entry, to be read.
    #[inline]
    pub(super) fn entry(&self, handle: Handle) -> Entry<'_> {
        Entry::of(self.arena.block(handle), &self.longs)
    }

    /// When an entry of an index ends, if ever.
    #[inline]
    pub(super) fn expires_ms(&self, item: Item) -> Option<u64> {
        if item.time == Some(TIME_LATE) { self.entry(item.handle).expires_ms(item.time) } else { item.time }
    }

    /// Asks for the first lines of an entry's block; the handle may be void.
    #[inline]
    pub(super) fn prefetch(&self, handle: Handle) {
        if let Some(block) = self.arena.block_if_there(handle) {
            prefetch(block);
            prefetch(block.get(LINE_BYTES..).unwrap_or_default());
        }
    }

    /// A new entry.
    #[inline(never)]
    pub(super) fn insert(&mut self, key: &[u8], value: &[u8], times: Times) -> Handle {
        if is_long(key.len(), value.len()) {
            return self.insert_long(key, Rc::new(value.into()), times);
        }
        self.write(None, key, value, times)
    }

    /// A new entry of a long value, which is not copied.
    pub(super) fn insert_shared(&mut self, key: &[u8], value: Rc<Blob>, times: Times) -> Handle {
        debug_assert!(is_long(key.len(), value.len()));
        self.insert_long(key, value, times)
    }

    /// Takes an entry away.
    pub(super) fn free(&mut self, handle: Handle) {
        if let Some(place) = self.entry(handle).place() {
            self.longs.remove(place);
        }
        self.arena.free(handle);
    }

    /// Sets value and times of the entry with this key; nothing is allocated where the sizes are about the same.
    #[inline(always)]
    pub(super) fn replace(&mut self, handle: Handle, key: &[u8], value: &[u8], times: Times) -> Handle {
        if Layout::overwrite(self.arena.block_mut(handle), value, times) {
            return handle;
        }
        self.rewrite_whole(handle, key, value, times)
    }

    /// As [`Heap::replace`], where the block is to be another one.
    #[inline(never)]
    fn rewrite_whole(&mut self, handle: Handle, key: &[u8], value: &[u8], times: Times) -> Handle {
        match (self.entry(handle).place(), is_long(key.len(), value.len())) {
            (None, false) => self.write(Some(handle), key, value, times),
            (Some(place), true) => {
                self.longs.change(place, |long| long.set_value(value));
                self.write_place(Some(handle), place, times)
            }
            _ => {
                self.free(handle);
                self.insert(key, value, times)
            }
        }
    }

    /// Sets the value; key and times stay.
    pub(super) fn set_value(&mut self, handle: Handle, value: &[u8]) -> Handle {
        let times = self.entry(handle).times();
        let key = self.take_scratch(|entry, scratch| scratch.extend_from_slice(entry.key()), handle);
        let handle = self.replace(handle, &key, value, times);
        self.scratch = bounded(key);
        handle
    }

    /// Sets or takes away a late expiry; a long value stays where it is.
    pub(super) fn set_late(&mut self, handle: Handle, late_ms: Option<u64>) -> Handle {
        let times = Times { late_ms, ..self.entry(handle).times() };
        if times == self.entry(handle).times() {
            return handle;
        }
        match self.entry(handle).place() {
            Some(place) => self.write_place(Some(handle), place, times),
            None => self.rewrite(handle, times, |_, _| ()),
        }
    }

    /// The entry under another key.
    pub(super) fn with_key(&mut self, handle: Handle, key: &[u8]) -> Handle {
        let times = self.entry(handle).times();
        let new = match self.entry(handle).place() {
            Some(place) => {
                let Long { value, .. } = self.longs.remove(place);
                self.arena.free(handle);
                return if is_long(key.len(), value.len()) {
                    self.insert_long(key, value, times)
                } else {
                    self.insert(key, &value, times)
                };
            }
            None => self.copied_to(handle, key, times.created_ms),
        };
        self.free(handle);
        new
    }

    /// A new entry with this one's value and expiry. A long value is shared by the two.
    pub(super) fn copied_to(&mut self, handle: Handle, key: &[u8], created_ms: u64) -> Handle {
        let entry = self.entry(handle);
        let times = Times { created_ms, ..entry.times() };
        if let Value::Shared(value) = entry.value() {
            let value = Rc::clone(value);
            return self.insert_long(key, value, times);
        }
        let value = self.take_scratch(|entry, scratch| scratch.extend_from_slice(entry.value().bytes()), handle);
        let copy = self.insert(key, &value, times);
        self.scratch = bounded(value);
        copy
    }

    /// Makes sure that the value can become so long.
    pub(super) fn try_reserve(&mut self, handle: Handle, len: usize) -> Result<(), OutOfMemory> {
        match self.entry(handle).place() {
            Some(place) => self.longs.try_reserve(place, len),
            // A shorter one comes from the allocator, which has a reserve.
            None if len <= HEAP_BYTES_MAX || reserve::has_room(len) => Ok(()),
            None => Err(OutOfMemory { bytes: len }),
        }
    }

    /// Adds bytes at the value's end.
    pub(super) fn append(&mut self, handle: Handle, bytes: &[u8]) -> Handle {
        self.edit(handle, Edit::Append(bytes))
    }

    /// Adds bytes before the value's start.
    pub(super) fn prepend(&mut self, handle: Handle, bytes: &[u8]) -> Handle {
        self.edit(handle, Edit::Prepend(bytes))
    }

    /// Writes bytes over the value from `offset` on; what lies between the old end and `offset` becomes zeros.
    pub(super) fn write_at(&mut self, handle: Handle, offset: usize, bytes: &[u8]) -> Handle {
        self.edit(handle, Edit::WriteAt(offset, bytes))
    }

    /// Gives memory back that is empty; false when there is none but some that is kept.
    pub(super) fn release(&mut self) -> bool {
        self.arena.release()
    }

    /// At most so many entries that leave much room between them, each of which is to be copied now and then left; none
    /// when there is nothing to gain by it.
    pub(super) fn leave_thin(&mut self, entries_max: usize, entries: &mut Vec<Handle>) {
        self.arena.leave_thin(entries_max, entries);
    }

    /// A copy of an entry's block, for the entry to be there from now on; the old one is to be left.
    pub(super) fn moved(&mut self, handle: Handle) -> Handle {
        let mut block = self.take_scratch(|_, _| (), handle);
        let bytes = self.entry(handle).layout().bytes();
        block.extend_from_slice(&self.arena.block(handle)[..bytes]);
        let new = self.arena.take(bytes);
        self.arena.block_mut(new)[..bytes].copy_from_slice(&block);
        self.scratch = bounded(block);
        new
    }

    /// Frees the block of an entry that has moved.
    pub(super) fn leave(&mut self, handle: Handle) {
        self.arena.free(handle);
    }

    /// Frees a part of a heap whose entries nobody reads any more: a step of memory, or a long entry. False when there is
    /// none left.
    pub(super) fn free_some(&mut self) -> bool {
        self.longs.pop() || self.arena.give_back()
    }

    fn edit(&mut self, handle: Handle, edit: Edit<'_>) -> Handle {
        if let Edit::WriteAt(offset, bytes) = edit
            && Layout::write_within(self.arena.block_mut(handle), offset, bytes)
        {
            return handle;
        }
        let entry = self.entry(handle);
        let (key, value) = (entry.key(), entry.value().bytes());
        if let Some(place) = entry.place() {
            self.longs.change(place, |long| long.edit(edit));
            return handle;
        }
        let times = entry.times();
        if !is_long(key.len(), edit.new_len(value.len())) {
            return self.rewrite(handle, times, |buffer, start| edit.change_buffer(buffer, start));
        }
        let mut long = Long { key: key.into(), value: Rc::new(value.into()) };
        long.edit(edit);
        self.free(handle);
        let place = self.longs.add(long);
        self.write_place(None, place, times)
    }

    /// Writes an entry that is one block, and stays so, anew: its value, which begins at the place
    /// that `edit` is given and ends at the buffer's end, changed.
    fn rewrite(&mut self, handle: Handle, times: Times, edit: impl FnOnce(&mut Vec<u8>, usize)) -> Handle {
        let key_bytes = self.entry(handle).key().len();
        let mut buffer = self.take_scratch(
            |entry, scratch| {
                scratch.extend_from_slice(entry.key());
                scratch.extend_from_slice(entry.value().bytes());
            },
            handle,
        );
        edit(&mut buffer, key_bytes);
        let (key, value) = buffer.split_at(key_bytes);
        let handle = self.write(Some(handle), key, value, times);
        self.scratch = bounded(buffer);
        handle
    }

    /// The scratch buffer, filled from an entry; whoever has it gives it back.
    fn take_scratch(&mut self, fill: impl FnOnce(Entry<'_>, &mut Vec<u8>), handle: Handle) -> Vec<u8> {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        fill(self.entry(handle), &mut scratch);
        scratch
    }

    fn insert_long(&mut self, key: &[u8], value: Rc<Blob>, times: Times) -> Handle {
        let place = self.longs.add(Long { key: key.into(), value });
        self.write_place(None, place, times)
    }

    /// Writes the block of an entry whose key and value are kept apart.
    fn write_place(&mut self, old: Option<Handle>, place: u32, times: Times) -> Handle {
        self.write_block(old, Layout::of_place(times), &[], &place.to_le_bytes(), times)
    }

    /// Writes the block of an entry that is one.
    fn write(&mut self, old: Option<Handle>, key: &[u8], value: &[u8], times: Times) -> Handle {
        self.write_block(old, Layout::of(key.len(), value.len(), times), key, value, times)
    }

    /// Writes a block: over the old one where there is one of this size, else into a new one.
    #[inline]
    fn write_block(&mut self, old: Option<Handle>, layout: Layout, key: &[u8], value: &[u8], times: Times) -> Handle {
        let handle = match old {
            Some(old) if block_bytes(self.entry(old).layout().bytes()) == block_bytes(layout.bytes()) => old,
            _ => {
                if let Some(old) = old {
                    self.arena.free(old);
                }
                self.arena.take(layout.bytes())
            }
        };
        layout.write(self.arena.block_mut(handle), key, value, times);
        handle
    }
}

/// The scratch buffer to be kept: not one that a long key made large.
pub(super) fn bounded(scratch: Vec<u8>) -> Vec<u8> {
    if scratch.capacity() <= super::arena::BLOCK_BYTES_MAX { scratch } else { Vec::new() }
}

#[cfg(test)]
mod tests;
