//! The memory of all pages' tables: an arena of their own, and what rebuilding a page needs room for meanwhile.

use super::arena::{Arena, Handle};
use super::hash::Hashing;
use super::table::{Item, Place, Shape, Table, TableMut};
use super::usage::Usage;
use crate::sys::simd::LANES;

/// An entry on its way from one table into another.
#[derive(Clone, Copy)]
pub(super) struct Moved {
    pub(super) item: Item,
    pub(super) hash: u64,
    /// As it has faded by now.
    pub(super) mark: u8,
}

/// The tables of a store.
#[derive(Default)]
pub(super) struct Tables {
    arena: Arena,
    /// What the marks in the tables mean.
    pub(super) usage: Usage,
    /// The entries of a page that is rebuilt.
    moved: Vec<Moved>,
    /// When the entry of each lane ends, while a page is filled.
    times: Vec<Option<u64>>,
    /// A table that gets another block.
    bytes: Vec<u8>,
}

impl Tables {
    /// The bytes of all tables.
    pub(super) fn bytes(&self) -> usize {
        self.arena.bytes()
    }

    /// Gives a part of tables that nobody reads any more back; false when there is none left.
    pub(super) fn free_some(&mut self) -> bool {
        self.arena.give_back()
    }

    /// The shape of a table that is made now: with marks where use is tracked.
    pub(super) fn shape(&self, groups: usize, times: usize) -> Shape {
        Shape::new(groups, times, self.usage.tracked().is_some())
    }

    /// Marks an entry that has just come.
    pub(super) fn mark_new(&mut self, handle: Handle, shape: Shape, place: Place) {
        self.set_mark(handle, shape, place, self.usage.of_new());
    }

    /// Marks an entry that was used.
    pub(super) fn mark_use(&mut self, handle: Handle, shape: Shape, place: Place) {
        let before = self.mark(self.table(handle, shape), place);
        let mark = self.usage.after_use(before);
        self.set_mark(handle, shape, place, mark);
    }

    /// Gives the entry at a place this mark.
    pub(super) fn set_mark(&mut self, handle: Handle, shape: Shape, place: Place, mark: u8) {
        let mut table = TableMut::of(self.arena.block_mut(handle), shape);
        table.fade_marks(self.usage.tick());
        table.set_mark(place, mark);
    }

    /// The mark of an entry as it has faded by now; what nothing is known of has one as well.
    #[inline]
    pub(super) fn mark(&self, table: Table<'_>, place: Place) -> u8 {
        table.mark(place, self.usage.tick()).unwrap_or_else(|| self.usage.of_unknown())
    }

    /// Gives memory back that is empty; false when there is none but some that is kept.
    pub(super) fn release(&mut self) -> bool {
        self.arena.release()
    }

    /// Has the steps of memory left that few tables are in, as far as other steps have room for them.
    pub(super) fn leave_thin_steps(&mut self) {
        self.arena.leave_thin_steps();
    }

    /// Whether a table is to move.
    pub(super) fn is_leaving(&self, handle: Handle) -> bool {
        self.arena.is_leaving(handle)
    }

    /// A table, to be read.
    #[inline]
    pub(super) fn table(&self, handle: Handle, shape: Shape) -> Table<'_> {
        Table::of(self.arena.block(handle), shape)
    }

    /// A table, to be changed.
    pub(super) fn table_mut(&mut self, handle: Handle, shape: Shape) -> TableMut<'_> {
        TableMut::of(self.arena.block_mut(handle), shape)
    }

    /// The bytes from a table's beginning on, if there is memory.
    pub(super) fn bytes_from(&self, handle: Handle) -> Option<&[u8]> {
        self.arena.block_if_there(handle)
    }

    /// Frees a table and keeps its entries with their hashes, to be filled in elsewhere.
    pub(super) fn take(&mut self, handle: Handle, shape: Shape, hashing: Hashing<'_>) -> Vec<Moved> {
        let mut moved = std::mem::take(&mut self.moved);
        moved.clear();
        let table = Table::of(self.arena.block(handle), shape);
        // The blocks are asked for together, so that their cache misses overlap; hashing key after key would wait for
        // each.
        table.entries().for_each(|(_, handle)| hashing.heap.prefetch(handle));
        moved.extend(table.entries().map(|(place, handle)| Moved {
            item: Item { handle, time: table.time(place) },
            hash: hashing.hash(handle),
            mark: self.mark(table, place),
        }));
        self.arena.free(handle);
        moved
    }

    /// Takes the list of [`Tables::take`] back.
    pub(super) fn put_back(&mut self, moved: Vec<Moved>) {
        if moved.capacity() > self.moved.capacity() {
            self.moved = moved;
        }
    }

    /// A new table with these entries.
    pub(super) fn fill(&mut self, shape: Shape, entries: &[Moved]) -> Handle {
        let handle = self.arena.take(shape.bytes());
        let mut table = TableMut::of(self.arena.block_mut(handle), shape);
        table.clear();
        if shape.is_marked() {
            table.fill_marks(0, self.usage.tick());
        }
        let has_times = shape.room() > 0;
        self.times.clear();
        self.times.resize(if has_times { shape.groups() * LANES } else { 0 }, None);
        for moved in entries {
            let place = table.place(moved.hash, moved.item.handle);
            if has_times {
                self.times[place.group * LANES + place.lane] = moved.item.time;
            }
            if shape.is_marked() {
                table.set_mark(place, moved.mark);
            }
        }
        if has_times {
            table.write_column(|lane| self.times[lane]);
        }
        handle
    }

    /// The same table with room for another number of times, with marks or without; it has `times` now.
    pub(super) fn refit(&mut self, handle: Handle, from: Shape, to: Shape, times: usize) -> Handle {
        self.bytes.clear();
        self.bytes.extend_from_slice(&self.arena.block(handle)[..from.bytes_with(times)]);
        self.arena.free(handle);
        let handle = self.arena.take(to.bytes());
        let block = self.arena.block_mut(handle);
        let column = &self.bytes[from.due_at()..];
        block[to.due_at()..to.due_at() + column.len()].copy_from_slice(column);
        let end = if from.is_marked() && to.is_marked() { from.due_at() } else { from.marks_at() };
        block[..end].copy_from_slice(&self.bytes[..end]);
        if to.is_marked() && !from.is_marked() {
            TableMut::of(block, to).fill_marks(self.usage.of_unknown(), self.usage.tick());
        }
        if times == 0 && to.room() > 0 {
            self.table_mut(handle, to).clear_column();
        }
        handle
    }

    /// Frees a table.
    pub(super) fn free(&mut self, handle: Handle) {
        self.arena.free(handle);
    }
}

#[cfg(test)]
impl Tables {
    /// Asserts that the blocks in use are exactly those that are owned.
    pub(super) fn check(&self, owned: &std::collections::BTreeSet<Handle>) {
        self.arena.check(owned);
    }
}
