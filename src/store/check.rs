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
    /// Of directories and blocks of slots.
    pub(super) bytes: usize,
    pub(super) entry_bytes: usize,
    pub(super) table_bytes: usize,
    pub(super) tables: BTreeSet<Handle>,
    pub(super) items: Vec<Item>,
    pub(super) entries: usize,
    pub(super) expiring: usize,
    /// Entries of each page that has some.
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
        assert_eq!(census.bytes, self.account.bytes(), "bytes of directories and slots");
        assert_eq!(census.entry_bytes, self.heap.bytes(), "bytes of entries");
        assert_eq!(census.table_bytes, self.tables.bytes(), "bytes of tables");
        let owned: BTreeSet<Handle> = census.items.iter().map(|item| item.handle).collect();
        assert_eq!(owned.len(), census.entries, "a block has one owner");
        self.heap.check(&owned);
        self.tables.check(&census.tables);
        self.slots.check();
        let (mut records, mut sum_ms) = (BTreeSet::new(), 0);
        for (slot, root) in self.slots.iter() {
            let mut entries = 0;
            let fast = Hashing { heap: &self.heap, keyed: None };
            for_each_page(root, fast, &self.state, &mut |page, hashing| {
                page.check(hashing, &self.tables);
                page.items(&self.tables).for_each(|item| self.check_entry(slot, item));
                let expires_ms = || page.items(&self.tables).filter_map(|item| self.heap.expires_ms(item));
                sum_ms += expires_ms().map(u128::from).sum::<u128>();
                assert!(page.due_ms(&self.tables) <= expires_ms().min(), "a page is due before its entries end");
                entries += page.len();
            });
            check_directories(root, None, fast, self);
            assert_eq!(entries, root.len());
            self.collect_records(slot, &mut records);
        }
        self.due.check(&records, sum_ms);
    }

    /// The records that the pages of a slot are to have, found as a walk finds the pages.
    fn collect_records(&self, slot: SlotId, records: &mut BTreeSet<(u64, Cursor)>) {
        let root = self.slots.get(slot).expect("a slot with an index");
        let mut position = Some(Position::START);
        let (mut pages, mut walked) = (0, 0);
        while let Some(at) = position {
            let (page, behind) = root.page_at(at);
            let first = page.items(&self.tables).next();
            let own = first.map(|item| self.position_of(root, item));
            if let Some(due_ms) = page.due_ms(&self.tables) {
                records.insert((due_ms, Cursor::new(slot, own.expect("a page with an entry"))));
            }
            walked += page.len();
            pages += 1;
            position = behind;
        }
        assert!(walked == root.len() && pages > 0);
    }

    /// The position of the page where an entry stands.
    fn position_of(&self, root: &Node, item: Item) -> Position {
        let key = self.heap.entry(item.handle).key();
        root.position_of(hash::fast(key), || hash::keyed(&self.state, key))
    }

    /// Counts everything, graveyard included in the bytes of directories and slots alone.
    pub(super) fn census(&self) -> Census {
        let mut census = Census::default();
        self.slots.iter().for_each(|(_, root)| census.add(root, &self.tables));
        census.entry_bytes = census.items.iter().map(|item| self.heap.entry(item.handle).bytes()).sum();
        census.expiring = census.items.iter().filter(|item| item.time.is_some()).count();
        let buried = || self.graveyard.blocks();
        census.bytes += buried().flat_map(slots::Block::roots).map(directory_bytes).sum::<usize>();
        census.bytes += (self.slots.block_count() + buried().count()) * size_of::<slots::Block>();
        census
    }

    fn check_entry(&self, slot: SlotId, item: Item) {
        let entry = self.heap.entry(item.handle);
        assert_eq!(SlotId::of_key(entry.key()), slot);
        assert_eq!(self.item(entry.key().into()), Some(item), "an entry is found by its key, one a key");
        assert_eq!(entry.times().late_ms.is_some(), item.time == Some(table::TIME_LATE));
    }
}

impl Census {
    fn add(&mut self, node: &Node, tables: &Tables) {
        match node {
            Node::Page(page) => {
                self.table_bytes += page.table_bytes();
                self.tables.extend(page.table_handle());
                self.entries += page.len();
                self.items.extend(page.items(tables));
                // A slot without entries has an empty page where a neighbour has some: that is no page to count.
                self.page_lens.extend(Some(page.len()).filter(|&len| len > 0));
            }
            Node::Directory(directory) => {
                self.bytes += directory.own_bytes();
                self.keyed_children += usize::from(directory.is_keyed());
                self.places += directory.place_count();
                directory.leaves().iter().for_each(|leaf| self.add(&leaf.node, tables));
            }
        }
    }
}

/// Bytes of the directories of an index.
fn directory_bytes(node: &Node) -> usize {
    match node {
        Node::Page(_) => 0,
        Node::Directory(directory) => {
            let children: usize = directory.leaves().iter().map(|leaf| directory_bytes(&leaf.node)).sum();
            directory.own_bytes() + children
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
fn check_directories(node: &Node, around: Option<&Directory>, hashing: Hashing<'_>, store: &Store) {
    let Node::Directory(directory) = node else { return };
    assert!(around.is_none_or(|around| !around.is_keyed() && directory.is_keyed()));
    directory.check();
    let hashing = Hashing { keyed: directory.is_keyed().then_some(&store.state), ..hashing };
    for leaf in directory.leaves() {
        for_each_page(&leaf.node, hashing, &store.state, &mut |page, _| {
            let owned = |item: Item| Directory::owns(leaf, hashing.hash(item.handle));
            assert!(page.items(&store.tables).all(owned));
        });
        check_directories(&leaf.node, Some(directory), hashing, store);
    }
}
