//! A page: a small open-addressing table, the leaf of a slot's index.
//!
//! Handles of entries stand in groups of sixteen lanes, each with a tag byte (a bit of the entry's hash, 0 for a free
//! lane). A search begins at the hash's home group and goes on to the next group only while the group's overflow counter
//! says that somebody was pushed past it; so a removal needs no tombstone and a full page is still searched briefly (the
//! idea is that of Folly's F14). A page does not know its place in a directory, nor which of the hashes it is given.
//!
//! All of it but a few words lies in a block of memory, its table (`table`). When its entries end stands there as well.

use super::account::work;
use super::arena::Handle;
use super::entry::Entry;
use super::eviction::Sample;
use super::hash::{self, Hashing};
use super::heap::Heap;
use super::key::Home;
use super::table::{Item, Place, Shape, Table, TableMut, lanes};
use super::tables::{Moved, Tables};
use crate::limits::PAGE_ENTRIES_MAX;
use crate::sys::reserve;
use crate::sys::simd::LANES;

/// A page being rebuilt gets a group for so many entries, so that it neither grows nor shrinks again soon.
const REBUILT_GROUP_ENTRIES: usize = 13;

/// A page with fewer entries a group than this is rebuilt smaller.
const THIN_GROUP_ENTRIES: usize = 9;

/// Of the about twenty entries that a search passes, one in 255 has the wanted tag by chance: more than this never do.
const SUSPECTS_MAX: usize = 16;

/// A column shrinks when more room than this is free: a quarter, and so many times.
const SPARE_TIMES: usize = 16;

/// Up to [`PAGE_ENTRIES_MAX`] entries; the default page is empty and has no table.
#[derive(Default)]
pub(super) struct Page {
    /// Void where there is no group.
    table: Handle,
    shape: Shape,
    len: u16,
    /// With more entries than this the page grows.
    limit: u16,
    /// How many of the entries end. There is a column of times where there is one, and only there.
    expiring: u16,
}

impl Page {
    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.len.into()
    }

    /// How many of them end.
    fn expiring(&self) -> usize {
        self.expiring.into()
    }

    /// Whether one more entry asks for a split.
    pub(super) fn is_full(&self) -> bool {
        self.len() >= PAGE_ENTRIES_MAX
    }

    /// Whether so many entries look like one with this hash that they were made to.
    pub(super) fn is_crowded(&self, hash: u64, tables: &Tables) -> bool {
        let mut suspects = 0;
        let too_many = |_| {
            suspects += 1;
            suspects > SUSPECTS_MAX
        };
        self.table(tables).is_some_and(|table| table.search(hash, too_many).is_some())
    }

    /// Before this no entry ends; none where none does.
    pub(super) fn due_ms(&self, tables: &Tables) -> Option<u64> {
        if self.expiring == 0 { None } else { self.table(tables).map(Table::due_ms) }
    }

    /// All entries, in no order.
    pub(super) fn items<'a>(&self, tables: &'a Tables) -> impl Iterator<Item = Item> + use<'a> {
        let table = self.table(tables);
        let mut entries = table.map(Table::entries);
        std::iter::from_fn(move || {
            let (place, handle) = entries.as_mut()?.next()?;
            Some(Item { handle, time: table?.time(place) })
        })
    }

    /// The first entry at or behind a random lane that `accepts`.
    pub(super) fn random(&self, random: u64, tables: &Tables, accepts: &dyn Fn(Item) -> bool) -> Option<Item> {
        let skipped = if self.len == 0 { 0 } else { (random % u64::from(self.len)) as usize };
        let mut before = None;
        for (index, item) in self.items(tables).enumerate().filter(|&(_, item)| accepts(item)) {
            if index >= skipped {
                return Some(item);
            }
            before = before.or(Some(item));
        }
        before
    }

    /// An entry that `accepts` among those that may have this hash, and where it stands. (A closure of each caller's own
    /// is put into its code, which one of all would not be.)
    #[inline(always)]
    #[cfg_attr(memento_small, optimize(speed))]
    pub(super) fn find(
        &self,
        hash: u64,
        heap: &Heap,
        tables: &Tables,
        accepts: impl Fn(Entry<'_>) -> bool,
    ) -> Option<(Place, Item)> {
        let table = self.table(tables)?;
        let wanted = |handle| {
            work::add(1);
            accepts(heap.entry(handle))
        };
        let (place, handle) = table.search(hash, wanted)?;
        let time = if self.expiring == 0 { None } else { table.time(place) };
        Some((place, Item { handle, time }))
    }

    /// The entry with this key, as [`Page::find`] finds it, for those to whom a call matters little: the code is there
    /// once.
    #[cfg_attr(memento_small, inline(never))]
    pub(super) fn find_apart(&self, hash: u64, key: &[u8], heap: &Heap, tables: &Tables) -> Option<(Place, Item)> {
        self.find(hash, heap, tables, |entry| entry.has_key(key))
    }

    /// Writes another handle for the entry at a place.
    pub(super) fn set_handle(&mut self, place: Place, handle: Handle, tables: &mut Tables) {
        self.table_mut(tables).set_handle(place, handle);
    }

    /// Writes when the entry at a place ends, which was at `before`.
    pub(super) fn set_time(&mut self, place: Place, before: Option<u64>, time: Option<u64>, tables: &mut Tables) {
        match (before, time) {
            (None, None) => {}
            (None, Some(time)) => self.insert_time(place, time, tables),
            (Some(_), None) => {
                self.remove_time(place, tables);
                self.fit_column(tables);
            }
            (Some(_), Some(time)) => {
                let mut table = self.table_mut(tables);
                table.set_time(place, time);
                table.lower_due(time);
            }
        }
    }

    /// Puts an entry in whose key is not there yet.
    pub(super) fn insert(&mut self, hash: u64, item: Item, hashing: Hashing<'_>, tables: &mut Tables) {
        if self.len >= self.limit {
            let groups = self.shape.groups() + (self.shape.groups() / 5).max(1);
            let times = self.expiring() + usize::from(item.time.is_some());
            self.rebuild(groups, times, hash, hashing, tables);
        }
        let place = self.table_mut(tables).place(hash, item.handle);
        self.len += 1;
        if tables.usage.tracked().is_some() {
            self.be_marked(tables);
            tables.mark_new(self.table, self.shape, place);
        }
        if let Some(time) = item.time {
            self.insert_time(place, time, tables);
        }
    }

    /// Marks the entry at a place as used.
    pub(super) fn mark_use(&mut self, place: Place, tables: &mut Tables) {
        self.be_marked(tables);
        tables.mark_use(self.table, self.shape, place);
    }

    /// Gives the entry at a place this mark.
    pub(super) fn set_mark(&mut self, place: Place, mark: u8, tables: &mut Tables) {
        self.be_marked(tables);
        tables.set_mark(self.table, self.shape, place, mark);
    }

    /// The mark of the entry at a place.
    pub(super) fn mark(&self, place: Place, tables: &Tables) -> u8 {
        tables.mark(tables.table(self.table, self.shape), place)
    }

    /// Adds a column of marks where there is none.
    fn be_marked(&mut self, tables: &mut Tables) {
        if !self.shape.is_marked() {
            self.refit(self.expiring(), tables);
        }
    }

    /// Looks at entries from some group on, group by group, until the sample is large enough or all were looked at.
    pub(super) fn sample(&self, random: u64, tables: &Tables, sample: &mut Sample) {
        let Some(table) = self.table(tables).filter(|_| !sample.of_ending() || self.expiring > 0) else { return };
        let groups = self.shape.groups();
        let first = (random % groups as u64) as usize;
        for index in (first..groups).chain(0..first) {
            let group = table.group(index);
            let ending = if sample.of_ending() { table.mask(index) } else { u16::MAX };
            for lane in lanes(!group.lanes_with(0) & ending) {
                sample.look(tables.mark(table, Place { group: index, lane }), group.handle(lane));
            }
            if sample.is_large() {
                return;
            }
        }
    }

    /// Of the entries that end, the first, and when that is.
    pub(super) fn first_to_end(&self, heap: &Heap, tables: &Tables) -> Option<(u64, Handle)> {
        let ending = self.items(tables).filter_map(|item| Some((heap.expires_ms(item)?, item.handle)));
        ending.min()
    }

    /// Takes the entry with this key out.
    pub(super) fn remove(&mut self, hash: u64, key: &[u8], hashing: Hashing<'_>, tables: &mut Tables) -> Option<Item> {
        let (place, item) = self.find_apart(hash, key, hashing.heap, tables)?;
        if item.time.is_some() {
            self.remove_time(place, tables);
        }
        self.table_mut(tables).remove(hash, place);
        self.len -= 1;
        self.shrink_if_thin(hash, hashing, tables);
        self.fit_column(tables);
        Some(item)
    }

    /// Takes at most so many of the entries out that have ended, adds them to `swept`, each with when that was, and makes
    /// the lower bound exact.
    pub(super) fn sweep(
        &mut self,
        now_ms: u64,
        entries_max: usize,
        hashing: Hashing<'_>,
        tables: &mut Tables,
        swept: &mut Vec<(Place, Handle, u64)>,
    ) {
        swept.clear();
        let mut due_ms = u64::MAX;
        let Some(table) = self.table(tables).filter(|_| self.expiring > 0) else { return };
        for (place, time) in table.ending() {
            let handle = table.group(place.group).handle(place.lane);
            let expires_ms = hashing.heap.expires_ms(Item { handle, time: Some(time) }).unwrap_or(time);
            if expires_ms <= now_ms && swept.len() < entries_max {
                hashing.heap.prefetch(handle);
                swept.push((place, handle, expires_ms));
            } else {
                due_ms = due_ms.min(expires_ms);
            }
        }
        work::add(swept.len());
        if swept.len() == self.len() {
            tables.free(self.table);
            *self = Page::default();
            return;
        }
        self.len -= swept.len() as u16;
        self.expiring -= swept.len() as u16;
        let mut table = self.table_mut(tables);
        for &(place, handle, _) in &*swept {
            table.remove(hashing.hash(handle), place);
        }
        table.drop_times_of_free_lanes();
        table.set_due(due_ms);
        self.shrink_if_thin(now_ms, hashing, tables);
        self.fit_column(tables);
    }

    /// Takes all entries of another page that is hashed in the same way.
    pub(super) fn absorb(&mut self, mut other: Page, hashing: Hashing<'_>, tables: &mut Tables) {
        let together = self.len() + other.len();
        if together > self.limit.into() {
            let groups = together.div_ceil(REBUILT_GROUP_ENTRIES);
            self.rebuild(groups, self.expiring() + other.expiring(), together as u64, hashing, tables);
        }
        let moved = other.take(hashing, tables);
        for moved in &moved {
            let place = self.table_mut(tables).place(moved.hash, moved.item.handle);
            self.len += 1;
            if self.shape.is_marked() {
                tables.set_mark(self.table, self.shape, place, moved.mark);
            }
            if let Some(time) = moved.item.time {
                self.insert_time(place, time, tables);
            }
        }
        tables.put_back(moved);
    }

    /// How many entries `belong`, by their hash.
    pub(super) fn count(&self, hashing: Hashing<'_>, tables: &Tables, belongs: impl Fn(u64) -> bool) -> usize {
        work::add(self.len());
        self.items(tables).for_each(|item| hashing.heap.prefetch(item.handle));
        self.items(tables).filter(|item| belongs(hashing.hash(item.handle))).count()
    }

    /// Parts the page in two: the entries that `belong` to the second go there.
    pub(super) fn split(&mut self, hashing: Hashing<'_>, belongs: impl Fn(u64) -> bool, tables: &mut Tables) -> Page {
        let mut moved = self.take(hashing, tables);
        let mut middle = 0;
        for index in 0..moved.len() {
            if !belongs(moved[index].hash) {
                moved.swap(middle, index);
                middle += 1;
            }
        }
        let (first, second) = moved.split_at(middle);
        let (first, second) = (Page::with_room(first, tables), Page::with_room(second, tables));
        tables.put_back(moved);
        *self = first;
        second
    }

    /// The same entries placed by another hash.
    pub(super) fn rehashed(mut self, hashing: Hashing<'_>, tables: &mut Tables) -> Page {
        self.rebuild(self.shape.groups(), self.expiring(), self.limit.into(), hashing, tables);
        self
    }

    /// Gives the page a smaller table, if one will do. Tells about how many entries' work that was.
    pub(super) fn shrink(&mut self, hashing: Hashing<'_>, tables: &mut Tables) -> usize {
        if reserve::is_short() {
            return 1;
        }
        let groups = (2 * self.len()).div_ceil(2 * LANES - 1);
        let fitting = tables.shape(groups, self.expiring());
        if groups < self.shape.groups() {
            self.rebuild(groups, self.expiring(), 0, hashing, tables);
            return self.len();
        }
        if groups == self.shape.groups() && fitting.bytes() < self.shape.bytes() {
            self.refit(self.expiring(), tables);
            return groups;
        }
        1
    }

    /// Moves a table whose step of memory is being left. Tells about how many entries' work that was.
    pub(super) fn leave(&mut self, tables: &mut Tables) -> usize {
        if self.shape.groups() == 0 || !tables.is_leaving(self.table) {
            return 1;
        }
        self.table = tables.refit(self.table, self.shape, self.shape, self.expiring());
        self.shape.groups()
    }

    /// A page of these entries, with room for some more.
    fn with_room(entries: &[Moved], tables: &mut Tables) -> Page {
        let shape = tables.shape(entries.len().div_ceil(REBUILT_GROUP_ENTRIES), expiring(entries));
        Page::filled(shape, entries.len() as u64, entries, tables)
    }

    /// A page of these entries. The limit lies between 29/32 and 31/32 of the lanes, differently by `stagger`: otherwise
    /// all pages of an evenly growing store would grow in the same moment.
    fn filled(shape: Shape, stagger: u64, entries: &[Moved], tables: &mut Tables) -> Page {
        let groups = shape.groups();
        if groups == 0 {
            return Page::default();
        }
        let limit = (groups * (2 * LANES - 1) - groups * 2 * (stagger % 16) as usize / 16) / 2;
        let table = tables.fill(shape, entries);
        Page { table, shape, len: entries.len() as u16, limit: limit as u16, expiring: expiring(entries) as u16 }
    }

    /// Places all entries anew among so many groups, with room for so many times.
    fn rebuild(&mut self, groups: usize, times: usize, stagger: u64, hashing: Hashing<'_>, tables: &mut Tables) {
        let moved = self.take(hashing, tables);
        *self = Page::filled(tables.shape(groups, times), stagger, &moved, tables);
        tables.put_back(moved);
    }

    /// Leaves the page empty and without a table.
    fn take(&mut self, hashing: Hashing<'_>, tables: &mut Tables) -> Vec<Moved> {
        let page = std::mem::take(self);
        if page.shape.groups() == 0 { Vec::new() } else { tables.take(page.table, page.shape, hashing) }
    }

    fn shrink_if_thin(&mut self, stagger: u64, hashing: Hashing<'_>, tables: &mut Tables) {
        let groups = self.len().div_ceil(REBUILT_GROUP_ENTRIES);
        let is_thin = self.len() < self.shape.groups() * THIN_GROUP_ENTRIES && groups < self.shape.groups();
        // A smaller table may want a step of memory, which is not there before others have gone.
        if is_thin && !reserve::is_short() {
            self.rebuild(groups, self.expiring(), stagger, hashing, tables);
        }
    }

    fn insert_time(&mut self, place: Place, time: u64, tables: &mut Tables) {
        let expiring = self.expiring();
        if expiring == self.shape.room() {
            self.refit(expiring + 1, tables);
        }
        let mut table = self.table_mut(tables);
        table.insert_time(place, time, expiring);
        table.lower_due(time);
        self.expiring += 1;
    }

    /// Leaves the column as large as it is.
    fn remove_time(&mut self, place: Place, tables: &mut Tables) {
        let expiring = self.expiring();
        self.table_mut(tables).remove_time(place, expiring);
        self.expiring -= 1;
    }

    /// Makes a column smaller that has much room, and drops one without times.
    fn fit_column(&mut self, tables: &mut Tables) {
        let spare = self.shape.room() - self.expiring();
        let is_wide = spare > self.shape.room() / 4 + SPARE_TIMES && !reserve::is_short();
        if self.shape.room() > 0 && (self.expiring == 0 || is_wide) {
            self.refit(self.expiring(), tables);
        }
    }

    /// Moves to a table with room for so many times.
    fn refit(&mut self, times: usize, tables: &mut Tables) {
        let shape = tables.shape(self.shape.groups(), times);
        self.table = tables.refit(self.table, self.shape, shape, self.expiring());
        self.shape = shape;
    }

    #[inline]
    fn table<'a>(&self, tables: &'a Tables) -> Option<Table<'a>> {
        (self.shape.groups() > 0).then(|| tables.table(self.table, self.shape))
    }

    fn table_mut<'a>(&self, tables: &'a mut Tables) -> TableMut<'a> {
        tables.table_mut(self.table, self.shape)
    }

    /// Where a search for a hash begins.
    #[inline]
    pub(super) fn home(&self, hash: u64) -> Home {
        Home { table: self.table, group: hash::home(hash, self.shape.groups()) as u16 }
    }
}

/// How many of these entries end.
fn expiring(entries: &[Moved]) -> usize {
    entries.iter().filter(|moved| moved.item.time.is_some()).count()
}

#[cfg(test)]
impl Page {
    /// The table, if there is one.
    pub(super) fn table_handle(&self) -> Option<Handle> {
        (self.shape.groups() > 0).then_some(self.table)
    }

    /// Bytes of the table's block.
    pub(super) fn table_bytes(&self) -> usize {
        self.table_handle().map_or(0, |_| super::arena::block_bytes(self.shape.bytes()))
    }

    /// Asserts that the entries are where a search looks for them, that every counter is exact or saturated, and that
    /// the column has the times in order.
    pub(super) fn check(&self, hashing: Hashing<'_>, tables: &Tables) {
        let Some(table) = self.table(tables) else { return assert_eq!((self.len, self.expiring), (0, 0)) };
        let groups = self.shape.groups();
        let mut overflow = vec![0usize; groups];
        for (place, handle) in table.entries() {
            let hash = hashing.hash(handle);
            assert!(table.group(place.group).lanes_with(hash::tag(hash)) >> place.lane & 1 == 1);
            let mut index = hash::home(hash, groups);
            while index != place.group {
                overflow[index] += 1;
                index = (index + 1) % groups;
            }
        }
        assert_eq!(table.entries().count(), self.len());
        assert!(0 < self.len && self.len <= self.limit && usize::from(self.limit) <= groups * LANES);
        for (index, exact) in overflow.into_iter().enumerate() {
            let counter = table.group(index).overflow();
            assert!(usize::from(counter) == exact || counter == super::table::OVERFLOW_MAX && exact > 0);
        }
        self.check_column(table);
    }

    fn check_column(&self, table: Table<'_>) {
        assert_eq!(self.expiring == 0, self.shape.room() == 0, "a column where entries end, and only there");
        assert!(self.expiring() <= self.shape.room());
        assert_eq!(table.ending().count(), self.expiring());
        let mut before = 0;
        for group in (0..self.shape.groups()).filter(|_| self.expiring > 0) {
            assert_eq!(table.first_time(group), before);
            assert_eq!(table.mask(group) & table.group(group).lanes_with(0), 0, "who ends is there");
            before += table.mask(group).count_ones() as usize;
        }
        for (place, time) in table.ending() {
            assert_eq!(table.time(place), Some(time));
        }
    }
}
