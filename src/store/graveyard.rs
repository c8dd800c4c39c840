//! What a flush took away and nobody reads any more, freed little by little: dropping millions of entries takes
//! seconds on a small box.

use super::account::Account;
use super::expiry::DueIndex;
use super::heap::Heap;
use super::slots::Block;
use super::tables::Tables;

/// Giving a step of memory back counts as the freeing of so many entries: about as long does it take.
const STEP_ENTRIES: usize = 64;

/// What one flushed store has left. Nobody looks at single entries or pages: what they lie in goes as a whole.
#[derive(Default)]
pub(super) struct Remains {
    #[expect(clippy::vec_box, reason = "they come boxed from their store; unboxing would copy each")]
    pub(super) blocks: Vec<Box<Block>>,
    pub(super) due: DueIndex,
    pub(super) tables: Tables,
    pub(super) heap: Heap,
}

impl Remains {
    /// Frees a part, and tells about how many entries that is in time; 0 when nothing is left.
    fn free_some(&mut self, account: &mut Account) -> usize {
        if let Some(block) = self.blocks.last_mut() {
            if !block.free_some(account) {
                account.sub(size_of::<Block>());
                self.blocks.pop();
            }
            return 1;
        }
        if self.due.pop() {
            return 1;
        }
        if self.tables.free_some() || self.heap.free_some() { STEP_ENTRIES } else { 0 }
    }
}

/// What flushed stores have left.
#[derive(Default)]
pub(super) struct Graveyard {
    #[expect(clippy::vec_box, reason = "a list that grows would copy each")]
    stores: Vec<Box<Remains>>,
}

impl Graveyard {
    /// Takes over all of a store.
    pub(super) fn bury(&mut self, remains: Box<Remains>) {
        self.stores.push(remains);
    }

    /// Whether nothing is left to free.
    pub(super) fn is_empty(&self) -> bool {
        self.stores.is_empty()
    }

    /// Bytes of what is buried, apart from what is in the account.
    pub(super) fn bytes(&self) -> usize {
        self.stores.iter().map(|store| store.due.bytes() + store.tables.bytes() + store.heap.bytes()).sum()
    }

    /// Frees about what so many entries take. True while there is more to free.
    pub(super) fn reclaim(&mut self, entries_max: usize, account: &mut Account) -> bool {
        if self.stores.capacity() == 0 {
            // Nothing was buried since all was freed, as nearly always.
            return false;
        }
        let mut freed = 0;
        while freed < entries_max {
            let Some(store) = self.stores.last_mut() else {
                // A list that flushes made long is not kept for the next one.
                self.stores = Vec::new();
                return false;
            };
            freed += match store.free_some(account) {
                0 => {
                    self.stores.pop();
                    1
                }
                entries => entries,
            };
        }
        true
    }

    /// The blocks that are not freed yet.
    #[cfg(test)]
    pub(super) fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.stores.iter().flat_map(|store| &store.blocks).map(|block| &**block)
    }
}
