//! The index of a slot: a page, or a directory of pages.

use std::collections::hash_map::RandomState;

use super::account::Account;
use super::arena::Handle;
use super::cursor::{Cursor, Position};
use super::directory::Directory;
use super::expiry::DueIndex;
use super::hash::{self, Hashing, position};
use super::heap::Heap;
use super::page::Page;
use super::slot::SlotId;
use super::table::{Item, Place};
use super::tables::Tables;
use super::tidy::Round;

/// What a directory has at a place, and what a slot begins with.
pub(super) enum Node {
    /// A page.
    Page(Page),
    /// Many pages.
    Directory(Box<Directory>),
}

/// What growing and shrinking need to know of the store around.
pub(super) struct Growth<'a> {
    /// The entries, which stay where they are.
    pub(super) heap: &'a Heap,
    /// The key of the keyed hash.
    pub(super) state: &'a RandomState,
    /// The pages' memory.
    pub(super) tables: &'a mut Tables,
    /// Which pages have entries that end.
    pub(super) due: &'a mut DueIndex,
    /// Where directories are booked.
    pub(super) account: &'a mut Account,
    /// The slot whose index changes.
    pub(super) slot: SlotId,
    /// How many entries the slot has.
    pub(super) slot_entries: usize,
}

/// What a sweep looks for, and what it found.
pub(super) struct Sweep<'a> {
    pub(super) now_ms: u64,
    pub(super) entries_max: usize,
    /// The entries that were taken out, each with when it ended.
    pub(super) swept: &'a mut Vec<(Place, Handle, u64)>,
}

impl<'a> Growth<'a> {
    /// How entries are hashed below a directory that is keyed, or not.
    pub(super) fn hashing(&self, keyed: bool) -> Hashing<'a> {
        Hashing { heap: self.heap, keyed: keyed.then_some(self.state) }
    }

    /// Changes a page and brings its record of when it is due to that.
    pub(super) fn change_page<R>(
        &mut self,
        page: &mut Page,
        position: Position,
        change: impl FnOnce(&mut Page, &mut Tables) -> R,
    ) -> R {
        let before = page.due_ms(self.tables);
        let result = change(page, self.tables);
        self.due.move_record(Cursor::new(self.slot, position), before, page.due_ms(self.tables));
        result
    }

    /// Takes the record of a page away that is to stand elsewhere.
    pub(super) fn lift_page(&mut self, page: &Page, position: Position) {
        self.due.move_record(Cursor::new(self.slot, position), page.due_ms(self.tables), None);
    }

    /// Makes a record for a page that stands here now.
    pub(super) fn lay_page(&mut self, page: &Page, position: Position) {
        self.due.move_record(Cursor::new(self.slot, position), None, page.due_ms(self.tables));
    }
}

impl Default for Node {
    fn default() -> Node {
        Node::Page(Page::default())
    }
}

impl Node {
    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Node::Page(page) => page.len(),
            Node::Directory(directory) => directory.len(),
        }
    }

    /// The page where a key stands or would stand, with the hash that counts there.
    #[inline]
    pub(super) fn page(&self, fast: u64, keyed: impl Fn() -> u64) -> (&Page, u64) {
        let (mut node, mut hash) = (self, fast);
        loop {
            match node {
                Node::Page(page) => return (page, hash),
                Node::Directory(directory) => {
                    if directory.is_keyed() {
                        hash = keyed();
                    }
                    node = &directory.leaf(position(hash)).node;
                }
            }
        }
    }

    /// The page of a key whose fast hash is known; none where the keyed one counts.
    #[inline]
    pub(super) fn page_by_fast(&self, fast: u64) -> Option<&Page> {
        let mut node = self;
        loop {
            match node {
                Node::Page(page) => return Some(page),
                Node::Directory(directory) if directory.is_keyed() => return None,
                Node::Directory(directory) => node = &directory.leaf(position(fast)).node,
            }
        }
    }

    /// As [`Node::page`], to be changed inside; and the page's own position.
    #[inline]
    pub(super) fn page_mut(&mut self, fast: u64, keyed: impl Fn() -> u64) -> (&mut Page, u64, Position) {
        let (mut node, mut hash, mut at) = (self, fast, Position::START);
        loop {
            match node {
                Node::Page(page) => return (page, hash, at),
                Node::Directory(directory) => {
                    if directory.is_keyed() {
                        hash = keyed();
                    }
                    let position = position(hash);
                    at = directory.page_position(directory.leaf(position));
                    node = &mut directory.leaf_mut(position).node;
                }
            }
        }
    }

    /// The entry with this key.
    #[inline]
    pub(super) fn get(&self, fast: u64, key: &[u8], heap: &Heap, tables: &Tables, state: &RandomState) -> Option<Item> {
        let (page, hash) = self.page(fast, || hash::keyed(state, key));
        page.find(hash, heap, tables, |entry| entry.has_key(key)).map(|(_, item)| item)
    }

    /// Puts an entry in whose key is not there yet. (A page here is hashed fast: it is a slot's only one.)
    pub(super) fn insert(&mut self, fast: u64, item: Item, growth: &mut Growth<'_>) {
        match self {
            Node::Page(page) if page.is_full() || page.is_crowded(fast, growth.tables) => {
                *self = Node::Directory(Directory::new(std::mem::take(page), None, growth.account));
                self.insert(fast, item, growth);
            }
            Node::Page(page) => {
                let hashing = growth.hashing(false);
                growth.change_page(page, Position::START, |page, tables| page.insert(fast, item, hashing, tables));
            }
            Node::Directory(directory) => {
                directory.insert(fast, item, growth);
                self.collapse(growth.account);
            }
        }
    }

    /// Takes the entry with this key out. (A page here is hashed fast: it is a slot's only one.)
    pub(super) fn remove(&mut self, fast: u64, key: &[u8], growth: &mut Growth<'_>) -> Option<Item> {
        match self {
            Node::Page(page) => {
                let hashing = growth.hashing(false);
                growth.change_page(page, Position::START, |page, tables| page.remove(fast, key, hashing, tables))
            }
            Node::Directory(directory) => {
                let item = directory.remove(fast, key, growth)?;
                self.collapse(growth.account);
                Some(item)
            }
        }
    }

    /// Takes entries that have ended out of the page at a position.
    pub(super) fn sweep(&mut self, at: Position, sweep: &mut Sweep<'_>, growth: &mut Growth<'_>) {
        match self {
            Node::Page(page) => sweep_page(page, Position::START, false, sweep, growth),
            Node::Directory(directory) => {
                directory.sweep(at, sweep, growth);
                self.collapse(growth.account);
            }
        }
    }

    /// A directory that came down to one leaf is replaced by it.
    fn collapse(&mut self, account: &mut Account) {
        if let Node::Directory(directory) = self
            && let Some(only) = directory.take_only_leaf(account)
        {
            *self = only;
        }
    }

    /// The page at a position of a slot, and the position behind it; none when that is the slot's end.
    pub(super) fn page_at(&self, at: Position) -> (&Page, Option<Position>) {
        match self {
            Node::Page(page) => (page, None),
            Node::Directory(directory) => {
                let leaf = directory.leaf(directory.position_of(at));
                match &leaf.node {
                    Node::Page(page) => (page, directory.behind(leaf)),
                    Node::Directory(child) => {
                        let leaf = child.leaf(child.position_of(at));
                        let Node::Page(page) = &leaf.node else { unreachable!("keyed children have only pages") };
                        (page, child.behind(leaf))
                    }
                }
            }
        }
    }

    /// Looks over the page at a position of a slot. Tells about how many entries' work that was, and the position behind;
    /// none when that is the slot's end.
    pub(super) fn tidy(&mut self, at: Position, round: Round, growth: &mut Growth<'_>) -> (usize, Option<Position>) {
        let (mut node, mut own, mut keyed, mut behind) = (self, Position::START, false, None);
        while let Node::Directory(directory) = node {
            let position = directory.position_of(at);
            let leaf = directory.leaf(position);
            (own, behind) = (directory.page_position(leaf), directory.behind(leaf));
            keyed = directory.is_keyed();
            node = &mut directory.leaf_mut(position).node;
        }
        let Node::Page(page) = node else { unreachable!("a directory was gone into") };
        let hashing = growth.hashing(keyed);
        let work = growth.change_page(page, own, |page, tables| match round {
            Round::Shrink => page.shrink(hashing, tables),
            Round::Move => page.leave(tables),
        });
        (work, behind)
    }

    /// Frees some part of a node whose tables nobody reads any more; false when nothing is left.
    pub(super) fn free_some(&mut self, account: &mut Account) -> bool {
        let Node::Directory(directory) = self else { return false };
        if !directory.free_leaf(account) {
            account.sub(directory.own_bytes());
            *self = Node::default();
        }
        true
    }
}

/// Takes entries that have ended out of a page.
pub(super) fn sweep_page(page: &mut Page, at: Position, keyed: bool, sweep: &mut Sweep<'_>, growth: &mut Growth<'_>) {
    let hashing = growth.hashing(keyed);
    growth.change_page(page, at, |page, tables| {
        page.sweep(sweep.now_ms, sweep.entries_max, hashing, tables, sweep.swept);
    });
}

#[cfg(test)]
impl Node {
    /// The position of the page where a key stands.
    pub(super) fn position_of(&self, fast: u64, keyed: impl Fn() -> u64) -> Position {
        let (mut node, mut at) = (self, Position::START);
        while let Node::Directory(directory) = node {
            let leaf = directory.leaf(position(if directory.is_keyed() { keyed() } else { fast }));
            at = directory.page_position(leaf);
            node = &leaf.node;
        }
        at
    }
}
