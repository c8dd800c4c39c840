//! The index of a slot: a page, or a directory of pages.

use std::collections::hash_map::RandomState;

use super::account::Account;
use super::arena::Handle;
use super::cursor::Position;
use super::directory::Directory;
use super::hash::{self, Hashing, POSITIONS, position};
use super::heap::Heap;
use super::page::Page;

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
    /// Where pages and directories are booked.
    pub(super) account: &'a mut Account,
    /// How many entries the slot has.
    pub(super) slot_entries: usize,
}

impl<'a> Growth<'a> {
    /// How entries are hashed below a directory that is keyed, or not.
    pub(super) fn hashing(&self, keyed: bool) -> Hashing<'a> {
        Hashing { heap: self.heap, keyed: keyed.then_some(self.state) }
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

    /// As [`Node::page`], to be changed inside.
    pub(super) fn page_mut(&mut self, fast: u64, keyed: impl Fn() -> u64) -> (&mut Page, u64) {
        let (mut node, mut hash) = (self, fast);
        loop {
            match node {
                Node::Page(page) => return (page, hash),
                Node::Directory(directory) => {
                    if directory.is_keyed() {
                        hash = keyed();
                    }
                    node = &mut directory.leaf_mut(position(hash)).node;
                }
            }
        }
    }

    /// The entry with this key.
    pub(super) fn get(&self, fast: u64, key: &[u8], heap: &Heap, state: &RandomState) -> Option<Handle> {
        let (page, hash) = self.page(fast, || hash::keyed(state, key));
        page.get(hash, key, heap)
    }

    /// The handle of the entry with this key, to be changed with the entry; its key stays.
    pub(super) fn get_mut(&mut self, fast: u64, key: &[u8], heap: &Heap, state: &RandomState) -> Option<&mut Handle> {
        let (page, hash) = self.page_mut(fast, || hash::keyed(state, key));
        page.get_mut(hash, key, heap)
    }

    /// Puts an entry in whose key is not there yet. (A page here is hashed fast: it is a slot's only one.)
    pub(super) fn insert(&mut self, fast: u64, handle: Handle, growth: &mut Growth<'_>) {
        match self {
            Node::Page(page) if page.is_full() || page.is_crowded(fast) => {
                *self = Node::Directory(Directory::new(std::mem::take(page), false, growth.account));
                self.insert(fast, handle, growth);
            }
            Node::Page(page) => page.insert(fast, handle, growth.hashing(false), growth.account),
            Node::Directory(directory) => {
                directory.insert(fast, handle, growth);
                self.collapse(growth.account);
            }
        }
    }

    /// Takes the entry with this key out. (A page here is hashed fast: it is a slot's only one.)
    pub(super) fn remove(&mut self, fast: u64, key: &[u8], growth: &mut Growth<'_>) -> Option<Handle> {
        match self {
            Node::Page(page) => page.remove(fast, key, growth.hashing(false), growth.account),
            Node::Directory(directory) => {
                let handle = directory.remove(fast, key, growth)?;
                self.collapse(growth.account);
                Some(handle)
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
            Node::Directory(child) if child.is_keyed() => keyed_page_at(child, 0, 0, at),
            Node::Directory(directory) => {
                let leaf = directory.leaf(at.fast());
                match &leaf.node {
                    Node::Page(page) => (page, Position::before(leaf.end())),
                    Node::Directory(child) => keyed_page_at(child, leaf.start, leaf.depth, at),
                }
            }
        }
    }

    /// Takes a page out of a node that is being freed; none when nothing is left.
    pub(super) fn pop_page(&mut self, account: &mut Account) -> Option<Page> {
        match self {
            Node::Page(page) if page.len() == 0 => None,
            Node::Page(page) => Some(std::mem::take(page)),
            Node::Directory(directory) => {
                while let Some(leaf) = directory.last_leaf_mut() {
                    if let Some(page) = leaf.node.pop_page(account) {
                        return Some(page);
                    }
                    directory.pop_leaf();
                }
                account.sub(directory.own_bytes());
                *self = Node::default();
                None
            }
        }
    }
}

/// The page of a keyed child at a position, and the position behind it. The child has the positions from `start` on that
/// share `depth` leading bits. A position inside some other child, or none inside a child, means this one's beginning.
fn keyed_page_at(child: &Directory, start: u32, depth: u32, at: Position) -> (&Page, Option<Position>) {
    let leaf = child.leaf(at.within(start, depth).unwrap_or(0));
    let Node::Page(page) = &leaf.node else { unreachable!("keyed children have only pages") };
    let behind = if leaf.end() < POSITIONS {
        Some(Position::inside(start, depth, leaf.end()))
    } else {
        Position::before(start + (POSITIONS >> depth))
    };
    (page, behind)
}
