//! A directory: the pages of a slot that one page cannot hold, chosen by the leading bits of the hash (extendible
//! hashing).
//!
//! A page that overflows is parted by the next bit of the hash; the directory doubles when the page is the only one at
//! its place. Buddies that got thin are joined, and the directory halves when no page needs all of its bits.
//!
//! Keys with equal fast hashes are easy to craft: they crowd in a page, and no split separates them; nor is a directory
//! to grow because each split peels off one entry. Such a page becomes a *keyed child*: a directory of its own, by a hash
//! that nobody can foresee, until it is empty again.

use super::account::{Account, work};
use super::cursor::Position;
use super::hash::{self, Hashing, POSITION_BITS, POSITIONS, position};
use super::node::{Growth, Node, Sweep, sweep_page};
use super::page::Page;
use super::table::Item;
use crate::limits::{DIRECTORY_PLACES_MAX, PAGE_ENTRIES_MAX, PAGE_MERGE_ENTRIES_MAX};
use crate::sys::reserve;
use crate::sys::simd::prefetch;

/// How unevenly a page may be parted: each half gets at least one in so many.
const SPLIT_PART_MIN: usize = 8;

/// The pages of a slot, or of a part of a slot.
pub(super) struct Directory {
    /// Which part of the slot's positions it has, if it is by the keyed hash.
    keyed: Option<Part>,
    /// How many entries its pages have, those of keyed children included.
    len: usize,
    /// So many leading bits of a position choose a place.
    depth: u32,
    /// The number of the leaf at each of the `1 << depth` places.
    places: Box<[u32]>,
    leaves: Vec<Leaf>,
}

/// What a search reads of a directory, one after the other.
#[derive(Clone, Copy, Debug)]
pub enum DirectoryPart {
    /// Its beginning.
    Head,
    /// A place.
    Place,
    /// A leaf.
    Leaf,
}

/// The positions by the fast hash that share so many leading bits.
#[derive(Clone, Copy)]
pub(super) struct Part {
    start: u32,
    depth: u32,
}

/// What stands at one or more places: all positions that share so many leading bits.
pub(super) struct Leaf {
    /// How many bits.
    depth: u32,
    /// The first of the positions.
    start: u32,
    /// A page; in a directory by the fast hash, maybe a keyed child.
    pub(super) node: Node,
}

impl Leaf {
    /// One past the last of the leaf's positions.
    fn end(&self) -> u32 {
        self.start + (POSITIONS >> self.depth)
    }

    /// The first position that belongs to the other half of a pair: of what this leaf was split from.
    fn buddy_start(&self) -> u32 {
        self.start ^ (POSITIONS >> self.depth)
    }

    /// How many entries the page has; none for a keyed child.
    fn page_len(&self) -> Option<usize> {
        match &self.node {
            Node::Page(page) => Some(page.len()),
            Node::Directory(_) => None,
        }
    }

    /// The page, where it is known to be one.
    fn page_mut(&mut self) -> &mut Page {
        match &mut self.node {
            Node::Page(page) => page,
            Node::Directory(_) => unreachable!("only pages are split and joined"),
        }
    }

    /// Makes a keyed child of a page that stands at a position.
    fn make_keyed(&mut self, at: Position, growth: &mut Growth<'_>) {
        let page = std::mem::take(self.page_mut());
        growth.lift_page(&page, at);
        let page = page.rehashed(growth.hashing(true), growth.tables);
        let part = Part { start: self.start, depth: self.depth };
        growth.lay_page(&page, part.inside(0));
        self.node = Node::Directory(Directory::new(page, Some(part), growth.account));
    }
}

impl Part {
    /// The position in a directory of this part where the keyed hash's leading bits are these.
    fn inside(self, keyed: u32) -> Position {
        Position::inside(self.start, self.depth, keyed)
    }
}

impl Directory {
    /// A directory with one place, at which this page stands.
    pub(super) fn new(page: Page, keyed: Option<Part>, account: &mut Account) -> Box<Directory> {
        let len = page.len();
        let leaf = Leaf { depth: 0, start: 0, node: Node::Page(page) };
        let directory = Directory { keyed, len, depth: 0, places: Box::new([0]), leaves: vec![leaf] };
        account.add(directory.own_bytes());
        Box::new(directory)
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether the keyed hash chooses the page.
    pub(super) fn is_keyed(&self) -> bool {
        self.keyed.is_some()
    }

    /// Heap bytes of the directory without its pages.
    pub(super) fn own_bytes(&self) -> usize {
        size_of::<Directory>() + size_of_val(&*self.places) + self.leaves.capacity() * size_of::<Leaf>()
    }

    /// Asks for the part that leads from the one before to the page of this hash. The parts before are read for it.
    pub(super) fn prefetch(&self, fast: u64, part: DirectoryPart) {
        let position = position(fast);
        match part {
            DirectoryPart::Head => prefetch(std::slice::from_ref(self)),
            DirectoryPart::Place => prefetch(&self.places[self.place(position)..]),
            DirectoryPart::Leaf => prefetch(&self.leaves[self.number(position)..]),
        }
    }

    /// The leaf at a position.
    pub(super) fn leaf(&self, position: u32) -> &Leaf {
        &self.leaves[self.number(position)]
    }

    /// The leaf at a position, to be changed inside.
    pub(super) fn leaf_mut(&mut self, position: u32) -> &mut Leaf {
        let number = self.number(position);
        &mut self.leaves[number]
    }

    /// Where in the slot a page stands that is one of the leaves.
    pub(super) fn page_position(&self, leaf: &Leaf) -> Position {
        match self.keyed {
            None => Position::before(leaf.start).expect("a leaf begins before the slot's end"),
            Some(part) => part.inside(leaf.start),
        }
    }

    /// The leading bits that a position of the slot means here. A position inside some other keyed directory, or none
    /// inside one, means this one's beginning.
    pub(super) fn position_of(&self, at: Position) -> u32 {
        match self.keyed {
            None => at.fast(),
            Some(part) => at.within(part.start, part.depth).unwrap_or(0),
        }
    }

    /// The slot's position behind a leaf; none when that is the slot's end.
    pub(super) fn behind(&self, leaf: &Leaf) -> Option<Position> {
        match self.keyed {
            None => Position::before(leaf.end()),
            Some(part) if leaf.end() < POSITIONS => Some(part.inside(leaf.end())),
            Some(part) => Position::before(part.start + (POSITIONS >> part.depth)),
        }
    }

    /// All leaves, in no order.
    #[cfg(test)]
    pub(super) fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    /// Frees some leaf, or a part of it, of a directory whose tables nobody reads any more; false when none is left.
    pub(super) fn free_leaf(&mut self, account: &mut Account) -> bool {
        let Some(leaf) = self.leaves.last_mut() else { return false };
        if !leaf.node.free_some(account) {
            self.leaves.pop();
        }
        true
    }

    /// The hash of a key whose fast hash is known: the one that places it here.
    fn hash_of(&self, fast: u64, key: &[u8], growth: &Growth<'_>) -> u64 {
        if self.is_keyed() { hash::keyed(growth.state, key) } else { fast }
    }

    /// Puts an entry in whose key is not there yet.
    pub(super) fn insert(&mut self, fast: u64, item: Item, growth: &mut Growth<'_>) {
        let hash = self.hash_of(fast, growth.heap.entry(item.handle).key(), growth);
        self.len += 1;
        let (keyed, hashing) = (self.is_keyed(), growth.hashing(self.is_keyed()));
        // A page by the fast hash always finds room: at the last bit it becomes a keyed child.
        let depth_max = if keyed { POSITION_BITS } else { POSITION_BITS + 1 };
        loop {
            let number = self.number(position(hash));
            let at = self.page_position(&self.leaves[number]);
            let leaf = &mut self.leaves[number];
            match &mut leaf.node {
                Node::Directory(_) => return leaf.node.insert(fast, item, growth),
                Node::Page(page) if !keyed && page.is_crowded(hash, growth.tables) => leaf.make_keyed(at, growth),
                Node::Page(page) if page.is_full() && leaf.depth < depth_max => self.make_room(number, growth),
                Node::Page(page) => {
                    return growth.change_page(page, at, |page, tables| page.insert(hash, item, hashing, tables));
                }
            }
        }
    }

    /// Takes the entry with this key out.
    pub(super) fn remove(&mut self, fast: u64, key: &[u8], growth: &mut Growth<'_>) -> Option<Item> {
        let hash = self.hash_of(fast, key, growth);
        let hashing = growth.hashing(self.is_keyed());
        let at = self.page_position(self.leaf(position(hash)));
        let item = match &mut self.leaf_mut(position(hash)).node {
            Node::Page(page) => growth.change_page(page, at, |page, tables| page.remove(hash, key, hashing, tables))?,
            child => child.remove(fast, key, growth)?,
        };
        self.len -= 1;
        self.join_buddies(position(hash), growth);
        Some(item)
    }

    /// Takes entries that have ended out of the page at a position of the slot.
    pub(super) fn sweep(&mut self, at: Position, sweep: &mut Sweep<'_>, growth: &mut Growth<'_>) {
        let (position, keyed) = (self.position_of(at), self.is_keyed());
        match &mut self.leaf_mut(position).node {
            Node::Page(page) => sweep_page(page, at, keyed, sweep, growth),
            child => child.sweep(at, sweep, growth),
        }
        self.len -= sweep.swept.len();
        self.join_buddies(position, growth);
    }

    /// The node to put in this directory's place, once it is no longer needed: its only leaf. A keyed directory stays
    /// until it is empty, so that an attacker cannot have it converted to and fro.
    pub(super) fn take_only_leaf(&mut self, account: &mut Account) -> Option<Node> {
        let over = self.depth == 0 && (!self.is_keyed() || self.leaves[0].page_len() == Some(0));
        if !over {
            return None;
        }
        account.sub(self.own_bytes());
        self.leaves.pop().map(|leaf| leaf.node)
    }

    fn number(&self, position: u32) -> usize {
        self.places[self.place(position)] as usize
    }

    /// The place of a position. (Of no bits at all the shift makes 0, whatever the position.)
    fn place(&self, position: u32) -> usize {
        (position >> (POSITION_BITS - self.depth)) as usize
    }

    /// Splits a full page, or makes a keyed child of it where that is no use.
    fn make_room(&mut self, number: usize, growth: &mut Growth<'_>) {
        let (keyed, hashing) = (self.is_keyed(), growth.hashing(self.is_keyed()));
        let at = self.page_position(&self.leaves[number]);
        let leaf = &mut self.leaves[number];
        let (depth, page) = (leaf.depth, leaf.page_mut());
        let upper_len = page.count(hashing, growth.tables, |hash| is_upper(hash, depth));
        let separated = upper_len.min(page.len() - upper_len) >= page.len() / SPLIT_PART_MIN;
        let places_max = growth.slot_entries * DIRECTORY_PLACES_MAX / PAGE_ENTRIES_MAX;
        let affordable = depth < self.depth || depth < POSITION_BITS && self.places.len() * 2 <= places_max;
        if keyed || separated && affordable {
            self.split(number, at, hashing, growth);
        } else {
            leaf.make_keyed(at, growth);
        }
    }

    /// Parts the page at a position by the next bit of the hash.
    fn split(&mut self, number: usize, at: Position, hashing: Hashing<'_>, growth: &mut Growth<'_>) {
        let bytes = self.own_bytes();
        let depth = self.leaves[number].depth;
        if depth == self.depth {
            self.double();
        }
        let lower = &mut self.leaves[number];
        let is_upper = |hash| is_upper(hash, depth);
        let page = growth.change_page(lower.page_mut(), at, |page, tables| page.split(hashing, is_upper, tables));
        lower.depth += 1;
        let upper = Leaf { depth: lower.depth, start: lower.end(), node: Node::Page(page) };
        let at = self.page_position(&upper);
        self.leaves.push(upper);
        let number = self.leaves.len() - 1;
        growth.lay_page(self.leaves[number].page_mut(), at);
        self.write_places(number);
        growth.account.change(bytes, self.own_bytes());
    }

    /// Joins the page at a position with its buddy while both together are thin. Afterwards no two buddies are thin, if
    /// so it was before the last removal; so a directory that got empty is back at one place.
    fn join_buddies(&mut self, position: u32, growth: &mut Growth<'_>) {
        let bytes = self.own_bytes();
        while let Some((lower, upper)) = self.thin_buddies(position) {
            self.join(lower, upper, growth);
            self.halve_while_possible();
        }
        growth.account.change(bytes, self.own_bytes());
    }

    /// The leaf at a position and its buddy, the lower one first, if they are to be joined.
    fn thin_buddies(&self, position: u32) -> Option<(usize, usize)> {
        let number = self.number(position);
        let leaf = &self.leaves[number];
        let len = leaf.page_len()?;
        // To join two takes memory before it gives some back.
        if len > PAGE_MERGE_ENTRIES_MAX || leaf.depth == 0 || reserve::is_short() {
            return None;
        }
        let buddy_number = self.number(leaf.buddy_start());
        let buddy = &self.leaves[buddy_number];
        let thin = buddy.depth == leaf.depth && len + buddy.page_len()? <= PAGE_MERGE_ENTRIES_MAX;
        let ordered = if leaf.start < buddy.start { (number, buddy_number) } else { (buddy_number, number) };
        thin.then_some(ordered)
    }

    /// Moves the fewer entries to the more, into one leaf.
    fn join(&mut self, lower: usize, upper: usize, growth: &mut Growth<'_>) {
        let hashing = growth.hashing(self.is_keyed());
        let positions = [lower, upper].map(|number| self.page_position(&self.leaves[number]));
        let mut few = std::mem::take(self.leaves[upper].page_mut());
        let leaf = &mut self.leaves[lower];
        let page = leaf.page_mut();
        growth.lift_page(page, positions[0]);
        growth.lift_page(&few, positions[1]);
        if page.len() < few.len() {
            std::mem::swap(page, &mut few);
        }
        page.absorb(few, hashing, growth.tables);
        growth.lay_page(page, positions[0]);
        leaf.depth -= 1;
        self.write_places(lower);
        self.leaves.swap_remove(upper);
        if upper < self.leaves.len() {
            self.write_places(upper);
        }
        if self.leaves.len() < self.leaves.capacity() / 4 {
            self.leaves.shrink_to(self.leaves.len() * 2);
        }
    }

    /// Writes a leaf's number at its places.
    fn write_places(&mut self, number: usize) {
        let leaf = &self.leaves[number];
        let count = 1 << (self.depth - leaf.depth);
        let first = self.place(leaf.start);
        count_copied(count);
        self.places[first..first + count].fill(number as u32);
    }

    fn double(&mut self) {
        count_copied(self.places.len() * 2);
        self.places = (0..self.places.len() * 2).map(|place| self.places[place / 2]).collect();
        self.depth += 1;
    }

    fn halve_while_possible(&mut self) {
        while self.depth > 0 && self.leaves.iter().all(|leaf| leaf.depth < self.depth) {
            count_copied(self.places.len());
            self.places = (0..self.places.len() / 2).map(|place| self.places[place * 2]).collect();
            self.depth -= 1;
        }
    }
}

/// Whether the bit behind the first `depth` bits is set.
fn is_upper(hash: u64, depth: u32) -> bool {
    hash << depth >> 63 == 1
}

/// Counts the cache lines of so many places.
fn count_copied(places: usize) {
    work::add(places / 16);
}

#[cfg(test)]
impl Directory {
    /// Asserts that leaves and places agree, and that nothing is left to be joined or halved.
    pub(super) fn check(&self) {
        assert_eq!(self.places.len(), 1 << self.depth);
        assert!(self.depth == 0 || self.leaves.iter().any(|leaf| leaf.depth == self.depth));
        let mut covered = 0;
        for (number, leaf) in self.leaves.iter().enumerate() {
            let (first, end) = (leaf.start, leaf.end());
            assert_eq!(first % (POSITIONS >> leaf.depth), 0);
            for position in (first..end).step_by((POSITIONS >> self.depth) as usize) {
                assert_eq!(self.number(position), number);
                covered += 1;
            }
            assert!(self.thin_buddies(first).is_none());
            assert!(leaf.page_len().is_none_or(|len| len <= PAGE_ENTRIES_MAX));
            assert!(!self.is_keyed() || leaf.page_len().is_some(), "a keyed child has no children");
        }
        assert_eq!(covered, self.places.len());
    }

    /// How many places there are.
    pub(super) fn place_count(&self) -> usize {
        self.places.len()
    }

    /// Whether a hash belongs to a leaf by its leading bits.
    pub(super) fn owns(leaf: &Leaf, hash: u64) -> bool {
        (leaf.start..leaf.end()).contains(&position(hash))
    }
}
