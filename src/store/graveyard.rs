//! What a flush took away and nobody reads any more, freed little by little: dropping millions of entries takes
//! seconds on a small box.

use super::account::Account;
use super::expiry::DueIndex;
use super::heap::Heap;
use super::slots::{Block, Blocks};
use super::tables::Tables;

/// Giving a step of memory back counts as the freeing of so many entries: about as long does it take.
const STEP_ENTRIES: usize = 64;

/// What flushed stores have left. Nobody looks at single entries or pages: what they lie in goes as a whole.
#[derive(Default)]
pub(super) struct Graveyard {
    #[expect(clippy::vec_box, reason = "they come boxed from their store; unboxing would copy each")]
    blocks: Vec<Box<Block>>,
    dues: Vec<DueIndex>,
    tables: Vec<Tables>,
    heaps: Vec<Heap>,
}

impl Graveyard {
    /// Takes over all of a store.
    pub(super) fn bury(&mut self, blocks: Blocks, due: DueIndex, tables: Tables, heap: Heap) {
        self.blocks.extend(blocks.into_iter().flatten());
        self.dues.push(due);
        self.tables.push(tables);
        self.heaps.push(heap);
    }

    /// Whether nothing is left to free.
    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.dues.is_empty() && self.tables.is_empty() && self.heaps.is_empty()
    }

    /// Bytes of what is buried, apart from what is in the account.
    pub(super) fn bytes(&self) -> usize {
        let dues: usize = self.dues.iter().map(DueIndex::bytes).sum();
        let tables: usize = self.tables.iter().map(Tables::bytes).sum();
        dues + tables + self.heaps.iter().map(Heap::bytes).sum::<usize>()
    }

    /// Frees about what so many entries take. True while there is more to free.
    pub(super) fn reclaim(&mut self, entries_max: usize, account: &mut Account) -> bool {
        if self.heaps.capacity() == 0 {
            // Nothing was buried since all was freed, as nearly always.
            return false;
        }
        let mut freed = 0;
        while freed < entries_max {
            let Some(entries) = self.free_some(account) else {
                // A list that flushes made long is not kept for the next one.
                *self = Graveyard::default();
                return false;
            };
            freed += entries;
        }
        true
    }

    /// Frees a part, and tells about how many entries that is in time; none when nothing is left.
    fn free_some(&mut self, account: &mut Account) -> Option<usize> {
        if let Some(block) = self.blocks.last_mut() {
            if !block.free_some(account) {
                account.sub(size_of::<Block>());
                self.blocks.pop();
            }
            return Some(1);
        }
        if let Some(due) = self.dues.last_mut() {
            if !due.pop() {
                self.dues.pop();
            }
            return Some(1);
        }
        if let Some(tables) = self.tables.last_mut() {
            if tables.free_some() {
                return Some(STEP_ENTRIES);
            }
            self.tables.pop();
            return Some(1);
        }
        if self.heaps.last_mut()?.free_some() {
            return Some(STEP_ENTRIES);
        }
        self.heaps.pop();
        Some(1)
    }

    /// The blocks that are not freed yet.
    #[cfg(test)]
    pub(super) fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.blocks.iter().map(|block| &**block)
    }
}
