//! Tests only: what must hold of a store between any two calls.

use std::collections::BTreeSet;

use super::directory::Directory;
use super::hash::Hashing;
use super::node::Node;
use super::page::Page;
use super::*;

/// What a slow count over everything finds.
#[derive(Default)]
pub(super) struct Census {
    pub(super) bytes: usize,
    pub(super) entry_bytes: usize,
    pub(super) handles: Vec<Handle>,
    pub(super) entries: usize,
    pub(super) expiring: usize,
    /// Entries of each page, and lanes' bytes of all.
    pub(super) page_lens: Vec<usize>,
    pub(super) keyed_children: usize,
    pub(super) places: usize,
}

impl Store {
    /// Asserts all invariants.
    pub(super) fn check(&self) {
        let census = self.census();
        assert_eq!(census.entries, self.len());
        assert_eq!(census.expiring, self.expiring());
        assert_eq!(census.bytes, self.account.bytes(), "bytes used");
        assert_eq!(census.entry_bytes, self.heap.bytes(), "bytes of entries");
        let owned: BTreeSet<Handle> = census.handles.iter().copied().collect();
        assert_eq!(owned.len(), census.entries, "a block has one owner");
        self.heap.check(&owned);
        self.expiry.check();
        for (number, slot) in self.slots.iter().enumerate() {
            let Some(tree) = slot else { continue };
            let slot = SlotId::wrapping(number);
            assert!(tree.root.len() > 0, "a slot without entries has no index");
            let mut entries = 0;
            let fast = Hashing { heap: &self.heap, keyed: None };
            for_each_page(&tree.root, fast, &self.state, &mut |page, hashing| {
                page.check(hashing);
                page.handles().for_each(|handle| self.check_entry(slot, handle));
                entries += page.len();
            });
            check_directories(&tree.root, None, fast, &self.state);
            assert_eq!(entries, self.slot_len(slot));
        }
        for (block, &len) in self.block_lens.iter().enumerate() {
            let slots = block * BLOCK_SLOTS..(block + 1) * BLOCK_SLOTS;
            assert_eq!(slots.map(|slot| self.slot_len(SlotId::wrapping(slot))).sum::<usize>(), len);
        }
    }

    /// Counts everything, graveyard included in the bytes alone.
    pub(super) fn census(&self) -> Census {
        let mut census = Census::default();
        self.slots.iter().flatten().for_each(|tree| census.add(&tree.root));
        for &handle in &census.handles {
            let entry = self.heap.entry(handle);
            census.entry_bytes += entry.bytes();
            census.expiring += usize::from(entry.expires_ms().is_some());
        }
        let buried = self.graveyard.trees();
        let mut buried_census = Census::default();
        buried.iter().for_each(|tree| buried_census.add(&tree.root));
        let trees = self.slots.iter().flatten().count() + buried.len();
        census.bytes += buried_census.bytes + trees * size_of::<Tree>() + own_slot_bytes();
        census
    }

    fn check_entry(&self, slot: SlotId, handle: Handle) {
        let entry = self.heap.entry(handle);
        let (key, fast) = (entry.key(), hash::fast(entry.key()));
        assert_eq!(SlotId::of_key(key), slot);
        let tree = self.slots[slot.index()].as_ref().expect("the slot of an entry");
        let found = tree.root.get(fast, key, &self.heap, &self.state).expect("an entry is found by its key");
        assert_eq!(found, handle, "one entry a key");
        if let Some(expires_ms) = entry.expires_ms() {
            assert!(self.expiry.contains(Record { expires_ms, handle }));
        }
    }
}

impl Census {
    fn add(&mut self, node: &Node) {
        match node {
            Node::Page(page) => {
                self.bytes += page.table_bytes();
                self.entries += page.len();
                self.handles.extend(page.handles());
                self.page_lens.push(page.len());
            }
            Node::Directory(directory) => {
                self.bytes += directory.own_bytes();
                self.keyed_children += usize::from(directory.is_keyed());
                self.places += directory.place_count();
                directory.leaves().iter().for_each(|leaf| self.add(&leaf.node));
            }
        }
    }
}

fn for_each_page<'a>(
    node: &Node,
    hashing: Hashing<'a>,
    state: &'a RandomState,
    each: &mut dyn FnMut(&Page, Hashing<'a>),
) {
    match node {
        Node::Page(page) => each(page, hashing),
        Node::Directory(directory) => {
            let hashing = Hashing { keyed: directory.is_keyed().then_some(state), ..hashing };
            directory.leaves().iter().for_each(|leaf| for_each_page(&leaf.node, hashing, state, each));
        }
    }
}

/// Asserts that each directory is whole, and that each key is below the places of its hash; `keyed` tells of the
/// directory around, if there is one.
fn check_directories(node: &Node, around: Option<&Directory>, hashing: Hashing<'_>, state: &RandomState) {
    let Node::Directory(directory) = node else { return };
    assert!(around.is_none_or(|around| !around.is_keyed() && directory.is_keyed()));
    directory.check();
    let hashing = Hashing { keyed: directory.is_keyed().then_some(state), ..hashing };
    for leaf in directory.leaves() {
        for_each_page(&leaf.node, hashing, state, &mut |page, _| {
            page.handles().for_each(|handle| assert!(Directory::owns(leaf, hashing.hash(handle))));
        });
        check_directories(&leaf.node, Some(directory), hashing, state);
    }
}
