//! What a flush took away and nobody reads any more, freed little by little: dropping millions of entries takes
//! seconds on a small box.

use std::collections::VecDeque;

use super::account::Account;
use super::expiry::ExpiryIndex;
use super::{Slot, own_slot_bytes};

/// Flushed stores, the oldest first.
#[derive(Default)]
pub(super) struct Graveyard {
    graves: VecDeque<Grave>,
}

/// One flushed store.
struct Grave {
    slots: Vec<Slot>,
    expiry: ExpiryIndex,
}

impl Graveyard {
    /// Takes over what a flush took away.
    pub(super) fn bury(&mut self, slots: Box<[Slot]>, expiry: ExpiryIndex) {
        self.graves.push_back(Grave { slots: slots.into_vec(), expiry });
    }

    /// About what the buried indexes of expiry ask of the heap; the rest is in the account.
    pub(super) fn expiry_bytes(&self) -> usize {
        self.graves.iter().map(|grave| grave.expiry.bytes()).sum()
    }

    /// Frees at least so many entries or records of expiry, and at most a page more. True while there is more to free.
    pub(super) fn reclaim(&mut self, entries_max: usize, account: &mut Account) -> bool {
        let mut freed = 0;
        while freed < entries_max {
            let Some(grave) = self.graves.front_mut() else { return false };
            match grave.free_some(account) {
                0 => drop(self.graves.pop_front()),
                count => freed += count,
            }
        }
        !self.graves.is_empty()
    }

    /// The slots that are not freed yet.
    #[cfg(test)]
    pub(super) fn slot_arrays(&self) -> impl Iterator<Item = &Vec<Slot>> + Clone {
        self.graves.iter().map(|grave| &grave.slots)
    }
}

impl Grave {
    /// Frees a page of entries or a record of expiry; returns how many, 0 when the grave is empty.
    fn free_some(&mut self, account: &mut Account) -> usize {
        if self.expiry.pop() {
            return 1;
        }
        while let Some(slot) = self.slots.last_mut() {
            if let Some(tree) = slot {
                if let Some(page) = tree.root.pop_page(account) {
                    account.sub(page.table_bytes() + page.entry_bytes());
                    return page.len();
                }
                account.sub(size_of_val(&**tree));
            }
            self.slots.pop();
        }
        account.sub(own_slot_bytes());
        0
    }
}
