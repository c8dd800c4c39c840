//! The slots' indexes, side by side in blocks that are there only where one of them has entries.

use std::collections::hash_map::RandomState;

use super::account::Account;
use super::cursor::Position;
use super::hash;
use super::heap::Heap;
use super::key::Key;
use super::node::Node;
use super::page::Page;
use super::slot::SlotId;
use super::table::{Item, Place};
use super::tables::Tables;
use crate::limits::SLOTS;
use crate::sys::simd::prefetch;

/// So many slots are in a block: a random entry's slot is found in few steps, and a store of few keys is small.
const BLOCK_SLOTS: usize = 64;
const BLOCKS: usize = SLOTS / BLOCK_SLOTS;

/// Some slots, and how many entries they have together.
pub(super) struct Block {
    len: usize,
    roots: [Node; BLOCK_SLOTS],
}

/// See [`Slots::find`].
pub(super) type Found<'a> = (&'a mut Page, Position, Place, Item);

/// All slots.
pub(super) struct Slots {
    blocks: [Option<Box<Block>>; BLOCKS],
    len: usize,
}

impl Default for Slots {
    fn default() -> Slots {
        Slots { blocks: [const { None }; BLOCKS], len: 0 }
    }
}

impl Slots {
    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The index of a slot; none where neither it nor any of its neighbours has entries.
    #[inline]
    pub(super) fn get(&self, slot: SlotId) -> Option<&Node> {
        let block = self.blocks[slot.index() / BLOCK_SLOTS].as_ref()?;
        Some(&block.roots[slot.index() % BLOCK_SLOTS])
    }

    /// As [`Slots::get`], to be changed; the caller tells of entries that came or went.
    #[inline]
    pub(super) fn get_mut(&mut self, slot: SlotId) -> Option<&mut Node> {
        let block = self.blocks[slot.index() / BLOCK_SLOTS].as_mut()?;
        Some(&mut block.roots[slot.index() % BLOCK_SLOTS])
    }

    /// The entry of a key, ended or not: its page, that page's position, its place there, and what is there.
    #[inline(always)]
    pub(super) fn find(
        &mut self,
        key: Key<'_>,
        heap: &Heap,
        tables: &Tables,
        state: &RandomState,
    ) -> Option<Found<'_>> {
        let root = self.get_mut(key.slot)?;
        let (page, hash, position) = root.page_mut(key.fast, || hash::keyed(state, key.bytes));
        let (place, item) = page.find(hash, heap, tables, |entry| entry.has_key(key.bytes))?;
        Some((page, position, place, item))
    }

    /// As [`Slots::find`], by [`Page::find_apart`].
    #[cfg_attr(memento_small, inline(never))]
    pub(super) fn find_apart(
        &mut self,
        key: Key<'_>,
        heap: &Heap,
        tables: &Tables,
        state: &RandomState,
    ) -> Option<Found<'_>> {
        let root = self.get_mut(key.slot)?;
        let (page, hash, position) = root.page_mut(key.fast, || hash::keyed(state, key.bytes));
        let (place, item) = page.find_apart(hash, key.bytes, heap, tables)?;
        Some((page, position, place, item))
    }

    /// Asks for a slot's index.
    #[inline]
    pub(super) fn prefetch(&self, slot: SlotId) {
        if let Some(block) = &self.blocks[slot.index() / BLOCK_SLOTS] {
            prefetch(&block.roots[slot.index() % BLOCK_SLOTS..]);
        }
    }

    /// One more entry is about to be in a slot, which has an index from now on.
    pub(super) fn add(&mut self, slot: SlotId, account: &mut Account) {
        let block = self.blocks[slot.index() / BLOCK_SLOTS].get_or_insert_with(|| {
            account.add(size_of::<Block>());
            Box::default()
        });
        block.len += 1;
        self.len += 1;
    }

    /// So many entries of a slot went.
    pub(super) fn sub(&mut self, slot: SlotId, count: usize, account: &mut Account) {
        let place = &mut self.blocks[slot.index() / BLOCK_SLOTS];
        let Some(block) = place else { return };
        self.len -= count;
        block.len -= count;
        if block.len == 0 {
            account.sub(size_of::<Block>());
            *place = None;
        }
    }

    /// The first slot with entries from this number on.
    pub(super) fn used_from(&self, number: usize) -> Option<SlotId> {
        let mut number = number;
        while number < SLOTS {
            match &self.blocks[number / BLOCK_SLOTS] {
                None => number = (number / BLOCK_SLOTS + 1) * BLOCK_SLOTS,
                Some(block) if block.roots[number % BLOCK_SLOTS].len() > 0 => return SlotId::new(number),
                Some(_) => number += 1,
            }
        }
        None
    }

    /// The slot in which the n-th entry of the store stands, counted from 0.
    pub(super) fn of_nth(&self, mut n: usize) -> SlotId {
        let mut is_here = |len: usize| {
            let here = n < len;
            n -= if here { 0 } else { len };
            here
        };
        let block = self.blocks.iter().position(|block| block.as_ref().is_some_and(|block| is_here(block.len)));
        let block = block.expect("the counts add up to the number of entries");
        let roots = self.blocks[block].iter().flat_map(|block| &block.roots);
        let root = roots.map(Node::len).position(is_here).expect("the counts add up to the length of the block");
        SlotId::wrapping(block * BLOCK_SLOTS + root)
    }

    /// All blocks; none are left.
    #[expect(clippy::vec_box, reason = "unboxing would copy each")]
    pub(super) fn take(&mut self) -> Vec<Box<Block>> {
        self.len = 0;
        self.blocks.iter_mut().filter_map(Option::take).collect()
    }
}

impl Default for Block {
    fn default() -> Block {
        Block { len: 0, roots: std::array::from_fn(|_| Node::default()) }
    }
}

impl Block {
    /// Frees some part of a block whose pages' tables nobody reads any more; false when only the block itself is left.
    pub(super) fn free_some(&mut self, account: &mut Account) -> bool {
        self.roots.iter_mut().any(|root| root.free_some(account))
    }
}

#[cfg(test)]
impl Slots {
    /// All slots that are in blocks, with their indexes.
    pub(super) fn iter(&self) -> impl Iterator<Item = (SlotId, &Node)> {
        (0..SLOTS).filter_map(|number| {
            let slot = SlotId::wrapping(number);
            Some((slot, self.get(slot)?))
        })
    }

    /// How many blocks there are.
    pub(super) fn block_count(&self) -> usize {
        self.blocks.iter().flatten().count()
    }

    /// Asserts that the counts are right, and that a block has entries.
    pub(super) fn check(&self) {
        for block in self.blocks.iter().flatten() {
            assert!(block.len > 0);
            assert_eq!(block.roots.iter().map(Node::len).sum::<usize>(), block.len);
        }
        assert_eq!(self.blocks.iter().flatten().map(|block| block.len).sum::<usize>(), self.len);
    }
}

#[cfg(test)]
impl Block {
    /// The indexes of its slots.
    pub(super) fn roots(&self) -> &[Node] {
        &self.roots
    }
}
