//! What a flush took away and nobody reads any more, freed little by little: dropping millions of entries takes
//! seconds on a small box.

use std::collections::VecDeque;

use super::Tree;
use super::account::Account;
use super::expiry::ExpiryIndex;
use super::heap::Heap;

/// Giving a step of memory back counts as the freeing of so many entries: about as long does it take.
const STEP_ENTRIES: usize = 64;

/// What flushed stores have left.
#[derive(Default)]
pub(super) struct Graveyard {
    #[expect(clippy::vec_box, reason = "they come boxed from their slots; unboxing would copy each")]
    trees: Vec<Box<Tree>>,
    expiries: VecDeque<ExpiryIndex>,
    /// What the entries of these trees lie in: nobody reads it, so that it goes without looking at single entries.
    heaps: Vec<Heap>,
}

impl Graveyard {
    /// Takes over a slot's index.
    pub(super) fn bury(&mut self, tree: Box<Tree>) {
        self.trees.push(tree);
    }

    /// Takes over an index of expiry.
    pub(super) fn bury_expiry(&mut self, expiry: ExpiryIndex) {
        if expiry.len() > 0 {
            self.expiries.push_back(expiry);
        }
    }

    /// Takes over what entries lie in.
    pub(super) fn bury_heap(&mut self, heap: Heap) {
        if heap.bytes() > 0 {
            self.heaps.push(heap);
        }
    }

    /// Whether nothing is left to free.
    pub(super) fn is_empty(&self) -> bool {
        self.trees.is_empty() && self.expiries.is_empty() && self.heaps.is_empty()
    }

    /// Bytes of what buried entries lie in.
    pub(super) fn heap_bytes(&self) -> usize {
        self.heaps.iter().map(Heap::bytes).sum()
    }

    /// About what the buried indexes of expiry ask of the heap; pages are in the account.
    pub(super) fn expiry_bytes(&self) -> usize {
        self.expiries.iter().map(ExpiryIndex::bytes).sum()
    }

    /// Frees at least so many entries or records of expiry, and at most a page or chunk more. True while there is more to free.
    pub(super) fn reclaim(&mut self, entries_max: usize, account: &mut Account) -> bool {
        let mut freed = 0;
        while freed < entries_max && self.free_some(account, &mut freed) {}
        if self.trees.is_empty() {
            // A flush of a full store leaves a long list; it is not kept for the next one.
            self.trees = Vec::new();
        }
        !self.trees.is_empty() || !self.expiries.is_empty() || !self.heaps.is_empty()
    }

    /// Frees a chunk of records of expiry, or a page, or a step of memory, and counts it in `freed`; false when nothing
    /// is left.
    fn free_some(&mut self, account: &mut Account, freed: &mut usize) -> bool {
        if let Some(expiry) = self.expiries.front_mut() {
            match expiry.pop() {
                Some(records) => *freed += records,
                None => drop(self.expiries.pop_front()),
            }
            return true;
        }
        let Some(tree) = self.trees.last_mut() else { return self.free_some_memory(freed) };
        match tree.root.pop_page(account) {
            Some(page) => {
                account.sub(page.table_bytes());
                *freed += page.len();
            }
            None => {
                account.sub(size_of_val(&**tree));
                self.trees.pop();
                *freed += 1;
            }
        }
        true
    }

    fn free_some_memory(&mut self, freed: &mut usize) -> bool {
        let Some(heap) = self.heaps.last_mut() else { return false };
        if heap.free_some() {
            *freed += STEP_ENTRIES;
        } else {
            self.heaps.pop();
        }
        true
    }

    /// The indexes that are not freed yet.
    #[cfg(test)]
    pub(super) fn trees(&self) -> &[Box<Tree>] {
        &self.trees
    }
}
