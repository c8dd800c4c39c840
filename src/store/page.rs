//! A page: a small open-addressing table, the leaf of a slot's index.
//!
//! Handles of entries stand in groups of sixteen lanes, each with a tag byte (a bit of the entry's hash, 0 for a free
//! lane). A search begins at the hash's home group and goes on to the next group only while the group's overflow counter
//! says that somebody was pushed past it; so a removal needs no tombstone and a full page is still searched briefly (the
//! idea is that of Folly's F14). A page does not know its place in a directory, nor which of the hashes it is given.

use super::account::{Account, work};
use super::arena::Handle;
use super::entry::Entry;
use super::hash::{self, Hashing};
use super::heap::Heap;
use crate::limits::PAGE_ENTRIES_MAX;
use crate::sys::simd::{LANES, lanes_equal};

/// A page being rebuilt gets a group for so many entries, so that it neither grows nor shrinks again soon.
const REBUILT_GROUP_ENTRIES: usize = 13;

/// A page with fewer entries a group than this is rebuilt smaller.
const THIN_GROUP_ENTRIES: usize = 9;

/// Of the about twenty entries that a search passes, one in 255 has the wanted tag by chance: more than this never do.
const SUSPECTS_MAX: usize = 16;

/// A counter that got here is no longer exact: it stays until the page is rebuilt.
const OVERFLOW_MAX: u8 = u8::MAX;

#[derive(Default)]
struct Group {
    tags: [u8; LANES],
    /// How many entries whose home is this group, or one before on their way, stand behind it.
    overflow: u8,
    handles: [Handle; LANES],
}

/// The handles of up to [`PAGE_ENTRIES_MAX`] entries; the default page is empty and has no block of memory.
#[derive(Default)]
pub(super) struct Page {
    groups: Box<[Group]>,
    len: u32,
    /// With more entries than this the page grows.
    limit: u32,
}

/// Where an entry stands in a page.
#[derive(Clone, Copy)]
pub(super) struct Place {
    group: usize,
    lane: usize,
}

impl Page {
    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether one more entry asks for a split.
    pub(super) fn is_full(&self) -> bool {
        self.len() >= PAGE_ENTRIES_MAX
    }

    /// Whether so many entries look like one with this hash that they were made to.
    pub(super) fn is_crowded(&self, hash: u64) -> bool {
        let mut suspects = 0;
        let too_many = |_| {
            suspects += 1;
            suspects > SUSPECTS_MAX
        };
        self.search(hash, too_many).is_some()
    }

    /// Heap bytes of the page itself, without the entries.
    pub(super) fn table_bytes(&self) -> usize {
        size_of_val(&*self.groups)
    }

    /// All entries, in no order.
    pub(super) fn handles(&self) -> impl Iterator<Item = Handle> {
        self.groups.iter().flat_map(|group| lanes(!group.lanes_with(0)).map(|lane| group.handles[lane]))
    }

    /// The first entry at or behind a random lane that `accepts`.
    pub(super) fn random(&self, random: u64, accepts: impl Fn(Handle) -> bool) -> Option<Handle> {
        let skipped = if self.len == 0 { 0 } else { (random % u64::from(self.len)) as usize };
        self.handles().skip(skipped).chain(self.handles().take(skipped)).find(|handle| accepts(*handle))
    }

    pub(super) fn prefetch(&self, hash: u64) {
        if let Some(group) = self.groups.get(hash::home(hash, self.groups.len())) {
            crate::sys::simd::prefetch(group);
            crate::sys::simd::prefetch(&group.handles[12]);
        }
    }

    pub(super) fn prefetch_entry(&self, hash: u64, heap: &Heap) {
        if let Some(group) = self.groups.get(hash::home(hash, self.groups.len()))
            && let Some(lane) = lanes(group.lanes_with(hash::tag(hash))).next()
        {
            heap.prefetch(group.handles[lane]);
        }
    }

    /// The entry with this key.
    #[inline]
    pub(super) fn get(&self, hash: u64, key: &[u8], heap: &Heap) -> Option<Handle> {
        self.find_entry(hash, heap, |entry| entry.key() == key)
    }

    /// The handle of the entry with this key, to be changed with the entry; its key stays.
    #[inline]
    pub(super) fn get_mut(&mut self, hash: u64, key: &[u8], heap: &Heap) -> Option<&mut Handle> {
        let place = self.find(hash, heap, |entry| entry.key() == key)?;
        Some(&mut self.groups[place.group].handles[place.lane])
    }

    /// An entry that `accepts` among those that may have this hash.
    #[inline]
    pub(super) fn find_entry(&self, hash: u64, heap: &Heap, accepts: impl Fn(Entry<'_>) -> bool) -> Option<Handle> {
        self.find(hash, heap, accepts).map(|place| self.groups[place.group].handles[place.lane])
    }

    /// Puts an entry in whose key is not there yet.
    pub(super) fn insert(&mut self, hash: u64, handle: Handle, hashing: Hashing<'_>, account: &mut Account) {
        if self.len >= self.limit {
            let groups = self.groups.len() + (self.groups.len() / 5).max(1);
            self.rebuild(groups, hash, hashing, account);
        }
        self.place(hash, handle);
    }

    /// Takes the entry with this key out.
    pub(super) fn remove(
        &mut self,
        hash: u64,
        key: &[u8],
        hashing: Hashing<'_>,
        account: &mut Account,
    ) -> Option<Handle> {
        let place = self.find(hash, hashing.heap, |entry| entry.key() == key)?;
        let mut index = hash::home(hash, self.groups.len());
        while index != place.group {
            let overflow = &mut self.groups[index].overflow;
            if *overflow != OVERFLOW_MAX {
                *overflow -= 1;
            }
            index = self.next(index);
        }
        let group = &mut self.groups[place.group];
        group.tags[place.lane] = 0;
        let handle = group.handles[place.lane];
        self.len -= 1;
        self.shrink_if_thin(hash, hashing, account);
        Some(handle)
    }

    /// Takes all entries of another page that is hashed in the same way.
    pub(super) fn absorb(&mut self, mut other: Page, hashing: Hashing<'_>, account: &mut Account) {
        let together = self.len() + other.len();
        if together > self.limit as usize {
            self.rebuild(together.div_ceil(REBUILT_GROUP_ENTRIES), together as u64, hashing, account);
        }
        for handle in other.take_handles(hashing.heap, account) {
            self.place(hashing.hash(handle), handle);
        }
    }

    /// How many entries `belong`, by their hash.
    pub(super) fn count(&self, hashing: Hashing<'_>, belongs: impl Fn(u64) -> bool) -> usize {
        work::add(self.len());
        self.touch_entries(hashing.heap);
        self.handles().filter(|handle| belongs(hashing.hash(*handle))).count()
    }

    /// Parts the page in two: the entries that `belong` to the second, which are `second_len`, go there.
    pub(super) fn split(
        &mut self,
        hashing: Hashing<'_>,
        second_len: usize,
        belongs: impl Fn(u64) -> bool,
        account: &mut Account,
    ) -> Page {
        let mut first = Page::with_room(self.len() - second_len, account);
        let mut second = Page::with_room(second_len, account);
        for handle in self.take_handles(hashing.heap, account) {
            let hash = hashing.hash(handle);
            let page = if belongs(hash) { &mut second } else { &mut first };
            page.place(hash, handle);
        }
        *self = first;
        second
    }

    /// The same entries placed by another hash.
    pub(super) fn rehashed(mut self, hashing: Hashing<'_>, account: &mut Account) -> Page {
        self.rebuild(self.groups.len(), self.limit.into(), hashing, account);
        self
    }

    fn with_room(entries: usize, account: &mut Account) -> Page {
        let mut page = Page::default();
        page.allot(entries.div_ceil(REBUILT_GROUP_ENTRIES), entries as u64, account);
        page
    }

    /// Gives an empty page so many groups. The limit lies between 29/32 and 31/32 of the lanes, differently by `stagger`:
    /// otherwise all pages of an evenly growing store would grow in the same moment.
    fn allot(&mut self, groups: usize, stagger: u64, account: &mut Account) {
        self.groups = std::iter::repeat_with(Group::default).take(groups).collect();
        self.limit = ((groups * (2 * LANES - 1) - groups * 2 * (stagger % 16) as usize / 16) / 2) as u32;
        account.add(self.table_bytes());
    }

    /// Places all entries anew among so many groups.
    fn rebuild(&mut self, groups: usize, stagger: u64, hashing: Hashing<'_>, account: &mut Account) {
        let handles = self.take_handles(hashing.heap, account);
        self.allot(groups, stagger, account);
        for handle in handles {
            self.place(hashing.hash(handle), handle);
        }
    }

    /// Reads a byte of every entry. The reads do not depend on each other, so that their cache misses overlap; hashing
    /// key after key would wait for each. This halves what rebuilding a page costs in a store that the cache does not
    /// hold.
    fn touch_entries(&self, heap: &Heap) {
        std::hint::black_box(self.handles().fold(0, |bytes, handle| bytes ^ heap.touch(handle)));
    }

    /// Leaves the page empty and without a block.
    fn take_handles(&mut self, heap: &Heap, account: &mut Account) -> impl Iterator<Item = Handle> + use<> {
        self.touch_entries(heap);
        account.sub(self.table_bytes());
        let groups = std::mem::take(self).groups;
        groups.into_iter().flat_map(|group| lanes(!group.lanes_with(0)).map(move |lane| group.handles[lane]))
    }

    fn shrink_if_thin(&mut self, stagger: u64, hashing: Hashing<'_>, account: &mut Account) {
        let groups = self.len().div_ceil(REBUILT_GROUP_ENTRIES);
        if self.len() < self.groups.len() * THIN_GROUP_ENTRIES && groups < self.groups.len() {
            self.rebuild(groups, stagger, hashing, account);
        }
    }

    /// Stands an entry in the first free lane from its home on; there is one.
    fn place(&mut self, hash: u64, handle: Handle) {
        work::add(1);
        let mut index = hash::home(hash, self.groups.len());
        let lane = loop {
            let group = &mut self.groups[index];
            if let Some(lane) = lanes(group.lanes_with(0)).next() {
                break lane;
            }
            group.overflow = group.overflow.saturating_add(1);
            index = self.next(index);
        };
        let group = &mut self.groups[index];
        group.tags[lane] = hash::tag(hash);
        group.handles[lane] = handle;
        self.len += 1;
    }

    #[inline]
    fn find(&self, hash: u64, heap: &Heap, accepts: impl Fn(Entry<'_>) -> bool) -> Option<Place> {
        self.search(hash, |place| {
            work::add(1);
            accepts(heap.entry(self.groups[place.group].handles[place.lane]))
        })
    }

    /// The first place that is `wanted` of those whose tag is that of this hash, from the home group on to the first
    /// group that nobody was pushed past.
    #[inline]
    fn search(&self, hash: u64, mut wanted: impl FnMut(Place) -> bool) -> Option<Place> {
        let mut index = hash::home(hash, self.groups.len());
        for _ in 0..self.groups.len() {
            let group = &self.groups[index];
            for lane in lanes(group.lanes_with(hash::tag(hash))) {
                let place = Place { group: index, lane };
                if wanted(place) {
                    return Some(place);
                }
            }
            if group.overflow == 0 {
                return None;
            }
            index = self.next(index);
        }
        None
    }

    /// The group after this one, the first after the last.
    fn next(&self, index: usize) -> usize {
        if index + 1 == self.groups.len() { 0 } else { index + 1 }
    }
}

impl Group {
    /// The lanes whose tag is this one, a bit each.
    #[inline]
    fn lanes_with(&self, tag: u8) -> u16 {
        lanes_equal(&self.tags, tag)
    }
}

/// The numbers of the set bits, lowest first.
fn lanes(mut bits: u16) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lane = bits.trailing_zeros() as usize;
        bits &= bits.wrapping_sub(1);
        (lane < LANES).then_some(lane)
    })
}

#[cfg(test)]
impl Page {
    /// Asserts that the entries are where a search looks for them, and that every counter is exact or saturated.
    pub(super) fn check(&self, hashing: Hashing<'_>) {
        let mut overflow = vec![0usize; self.groups.len()];
        let mut len = 0;
        for (at, group) in self.groups.iter().enumerate() {
            for (lane, &handle) in group.handles.iter().enumerate().filter(|(lane, _)| group.tags[*lane] != 0) {
                let hash = hashing.hash(handle);
                assert_eq!(group.tags[lane], hash::tag(hash));
                let mut index = hash::home(hash, self.groups.len());
                while index != at {
                    overflow[index] += 1;
                    index = self.next(index);
                }
                len += 1;
            }
        }
        assert_eq!(len, self.len());
        assert!(self.len <= self.limit && self.limit as usize <= self.groups.len() * LANES);
        for (group, exact) in self.groups.iter().zip(overflow) {
            assert!(usize::from(group.overflow) == exact || group.overflow == OVERFLOW_MAX && exact > 0);
        }
        assert!(self.len > 0 || self.groups.is_empty(), "an empty page has no block of memory");
    }
}
