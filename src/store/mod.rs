//! The slot table: keys, values, times, and nothing else.
//!
//! Each of the 8192 slots has an index of its own (`slots`, `node`): a page of entries (`page`), or a directory of pages
//! (`directory`), so that every step (growing, shrinking, walking, freeing) takes at most a page or two, however keys
//! are spread over slots or crafted. What bounds them stands in [`crate::limits`]. The entries lie in memory of the
//! store's own (`heap`, `arena`), and so do the pages' tables (`tables`); handles of 32 bits tell where. When an entry
//! ends stands in its page's table (`table`), and pages stand in order of when they are due (`expiry`).
//!
//! The store reads no clock: `now_ms` comes with each call, in milliseconds of one clock that never goes back. It does
//! not know commands, replies, or whether there is memory left.

mod account;
mod arena;
mod changes;
mod cursor;
mod directory;
mod entry;
mod eviction;
mod expiry;
mod graveyard;
mod hash;
mod heap;
mod key;
mod long;
mod node;
mod page;
pub mod slot;
mod slots;
mod table;
mod tables;
mod tidy;
mod trail;
mod upkeep;
mod usage;
mod view;

#[cfg(test)]
mod check;
#[cfg(test)]
mod model;
#[cfg(test)]
mod spread;
#[cfg(test)]
mod walk;

use std::collections::hash_map::RandomState;
use std::rc::Rc;

#[cfg(fuzzing)]
pub use account::work::take as take_work;
pub use cursor::Cursor;
pub use directory::DirectoryPart;
pub use entry::Value;
pub use hash::unforeseen;
pub use key::{Key, Probe};
pub use slot::{SlotId, crc16};
pub use usage::{Policy, Tracked};
pub use view::{EntryMut, EntryRef};

use crate::blob::Blob;
use crate::limits::{EVICTION_SAMPLES, INLINE_VALUE_BYTES_MAX, LET_GO_BYTES_PER_TURN, PAGE_ENTRIES_MAX, SLOTS};
use crate::sys::pages::STEP_BYTES;
use crate::sys::{mapping, reserve};
use account::Account;
use arena::Handle;
use changes::Changes;
use cursor::Position;
use entry::Times;
use expiry::DueIndex;
use graveyard::Graveyard;
use heap::Heap;
use key::Home;
use node::{Growth, Node, Sweep};
use slots::Slots;
use table::{Item, Place, Table};
use tables::Tables;
use tidy::{Round, Tidy};
use trail::Trail;
use view::column_time;

/// What a write does to a key's expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// The key keeps the one it has; a new key has none.
    Keep,
    /// The key has none.
    Never,
    /// The key ends at this time, in ms of the clock that `now_ms` is of. A time that is not after `now_ms` ends it at once.
    At(u64),
}

/// What the reserve has room for, where the system has no memory to give: so many words, of whatever sizes.
const RESERVED_WORDS: usize = 32;

/// Each of so many words may be of a size of its own, and want a step of memory for it.
const WORD_SIZES: usize = 400;

/// What a word takes at most beside its bytes, index included.
const WORD_OVERHEAD_BYTES: usize = 64;

/// How many pages are tried for a random entry where most entries have ended and are not swept yet.
const RANDOM_TRIES: u64 = 16;

/// How many entries are walked then for one that has not ended, before the store is taken for empty.
const RANDOM_VISITS_MAX: usize = 8 * PAGE_ENTRIES_MAX;

/// So many emptied steps of memory of each kind are given back at a time: some microseconds each.
const STEPS_RELEASED_AT_ONCE: usize = 8;

/// So many entries are moved together at a time.
const ENTRIES_MOVED_AT_ONCE: usize = 256;

/// A flush frees so many entries itself.
const FLUSHED_AT_ONCE_MAX: usize = 512;

/// The memory of long values that went is kept for so long where no other comes.
const SPARES_KEPT_MS: u64 = 50;

/// All keys of a node with their values. What is asked for most comes first, what is large last: the instructions that reach
/// what lies near are shorter.
#[repr(C)]
pub struct Store {
    account: Account,
    /// When a long value last took memory that is kept for such, or left some.
    spares_ms: u64,
    /// So many are looked at for one that goes.
    samples: usize,
    /// Which entries go when memory is short.
    policy: Policy,
    /// The key of the keyed hash: one for the whole store.
    state: RandomState,
    heap: Heap,
    due: DueIndex,
    tables: Tables,
    changes: Changes,
    tidy: Tidy,
    graveyard: Graveyard,
    /// Which entries are being moved together.
    leaving: Vec<Handle>,
    /// What a sweep takes out of a page.
    swept: Vec<(Place, Handle, u64)>,
    /// The key of an entry that goes.
    evicted_key: Vec<u8>,
    slots: Slots,
}

impl Default for Store {
    fn default() -> Store {
        Store::new()
    }
}

impl Store {
    /// An empty store.
    #[inline(never)]
    pub fn new() -> Store {
        Store {
            slots: Slots::default(),
            heap: Heap::default(),
            tables: Tables::default(),
            due: DueIndex::default(),
            graveyard: Graveyard::default(),
            account: Account::default(),
            changes: Changes::default(),
            state: RandomState::new(),
            leaving: Vec::with_capacity(ENTRIES_MOVED_AT_ONCE),
            swept: Vec::new(),
            tidy: Tidy::default(),
            policy: Policy::default(),
            samples: EVICTION_SAMPLES,
            evicted_key: Vec::new(),
            spares_ms: 0,
        }
    }

    /// How many entries there are, those included that ended and are not swept yet.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the system had no memory to give when the store last wanted some, and has not had enough since: then
    /// nothing is to be stored before [`Store::refill`].
    #[inline(always)]
    pub fn is_short(&self) -> bool {
        reserve::is_short()
    }

    /// Tries to get the memory back that is kept for when there is none; whether it is there.
    pub fn refill(&mut self) -> bool {
        reserve::refill()
    }

    /// Whether so many words of so many bytes together can be stored, where that is more than the reserve is for.
    pub fn has_room(&self, words: usize, bytes: usize) -> bool {
        let most = 2 * bytes + words.saturating_mul(WORD_OVERHEAD_BYTES) + words.min(WORD_SIZES) * STEP_BYTES;
        words <= RESERVED_WORDS && bytes <= STEP_BYTES || reserve::has_room(most)
    }

    /// How many of the entries have an expiry.
    pub fn expiring(&self) -> usize {
        self.due.entries()
    }

    /// The mean of the times at which entries end, ended ones that are not swept included; none where none ends.
    pub fn expires_mean_ms(&self) -> Option<u64> {
        self.due.mean_ms()
    }

    /// How many entries a slot has, those included that ended and are not swept yet.
    pub fn slot_len(&self, slot: SlotId) -> usize {
        self.slots.get(slot).map_or(0, Node::len)
    }

    /// Bytes that the store uses: blocks of entries, tables of pages and directories exactly, the index of pages that are
    /// due by estimate. Room between blocks does not count, nor does a value that only a reply still holds; what a flush
    /// took away counts until it is reclaimed, and so does the memory of long values that went, whoever had them last; a
    /// long value that [`Store::copy`] made two keys share counts for each of them.
    pub fn bytes_used(&self) -> usize {
        let index = self.tables.bytes() + self.tables.usage.bytes() + self.account.bytes() + self.due.bytes();
        self.heap.bytes() + index + self.graveyard.bytes() + mapping::waiting_bytes()
    }

    /// The entry of a key.
    #[inline]
    pub fn get<'k>(&self, key: impl Into<Key<'k>>, now_ms: u64) -> Option<EntryRef<'_>> {
        EntryRef::of_live(&self.heap, self.item(key.into())?, now_ms)
    }

    /// The entry of a key, to be changed in place.
    pub fn get_mut<'k>(&mut self, key: impl Into<Key<'k>>, now_ms: u64) -> Option<EntryMut<'_>> {
        self.any_mut_apart(key.into()).filter(|entry| entry.is_live(now_ms))
    }

    /// Sets a key's value. The entry is a new one: `now_ms` becomes its creation time.
    #[cfg_attr(memento_small, optimize(speed))]
    pub fn upsert<'k>(&mut self, key: impl Into<Key<'k>>, value: &[u8], expiry: Expiry, now_ms: u64) {
        let key = key.into();
        if let Some(mut entry) = self.any_mut(key) {
            let kept = entry.expires_ms().filter(|&expires_ms| expires_ms > now_ms);
            entry.replace(key.bytes, value, now_ms, expiry.resolve(kept));
        } else {
            let expires_ms = expiry.resolve(None);
            let handle = self.heap.insert(key.bytes, value, Times::new(now_ms, expires_ms));
            self.insert(key, handle, expires_ms);
        }
    }

    /// As [`Store::upsert`], of a value that is handed over: a longer one than [`INLINE_VALUE_BYTES_MAX`] is stored as
    /// it is, without a copy, so that whoever hands it over leaves no more slack in it than is to stay.
    pub fn upsert_shared<'k>(&mut self, key: impl Into<Key<'k>>, value: Rc<Blob>, expiry: Expiry, now_ms: u64) {
        let key = key.into();
        if value.len() <= INLINE_VALUE_BYTES_MAX {
            return self.upsert(key, &value, expiry, now_ms);
        }
        let expires_ms = expiry.resolve(self.get(key, now_ms).and_then(|entry| entry.expires_ms()));
        let handle = self.heap.insert_shared(key.bytes, value, Times::new(now_ms, expires_ms));
        self.put(key, handle, expires_ms);
    }

    /// Removes a key. True when it was there.
    pub fn remove<'k>(&mut self, key: impl Into<Key<'k>>, now_ms: u64) -> bool {
        let key = key.into();
        let Some((handle, expires_ms)) = self.take(key) else { return false };
        self.heap.free(handle);
        let was_there = expires_ms.is_none_or(|expires_ms| expires_ms > now_ms);
        if was_there {
            self.changes.note(|| key.bytes);
        }
        was_there
    }

    /// Removes the entry of a key whose time has come. True when there was one.
    pub fn end<'k>(&mut self, key: impl Into<Key<'k>>, now_ms: u64) -> bool {
        let key = key.into();
        if self.item(key).is_none() || self.get(key, now_ms).is_some() {
            return false;
        }
        let ended = self.take(key);
        ended.into_iter().for_each(|(handle, _)| self.heap.free(handle));
        true
    }

    /// Gives the entry of `from` the key `to`, whose own entry goes; value and times stay. True when there was one. A
    /// key that is given its own name is left as it is.
    pub fn rename<'k>(&mut self, from: impl Into<Key<'k>>, to: impl Into<Key<'k>>, now_ms: u64) -> bool {
        let (from, to) = (from.into(), to.into());
        let was_there = self.get(from, now_ms).is_some();
        if was_there && from.bytes != to.bytes {
            let (handle, expires_ms) = self.take(from).expect("the entry that was just seen");
            self.changes.note(|| from.bytes);
            let handle = self.heap.with_key(handle, to.bytes);
            self.put(to, handle, expires_ms);
        }
        was_there
    }

    /// Sets `to`, whatever it has, to the value and the expiry of `from`; it is a new entry, made at `now_ms`. A long
    /// value is not copied: the two share it until one of them is changed. True when there was a `from`.
    pub fn copy<'k>(&mut self, from: impl Into<Key<'k>>, to: impl Into<Key<'k>>, now_ms: u64) -> bool {
        let to = to.into();
        let Some(source) = self.item(from.into()) else { return false };
        let Some(entry) = EntryRef::of_live(&self.heap, source, now_ms) else { return false };
        let expires_ms = entry.expires_ms();
        let copy = self.heap.copied_to(source.handle, to.bytes, now_ms);
        self.put(to, copy, expires_ms);
        true
    }

    /// Begins to look for a key that will be asked for soon, and fetches its slot's record.
    #[inline]
    pub fn probe(&self, key: &[u8]) -> Probe {
        let Key { slot, fast, .. } = Key::of(key);
        self.slots.prefetch(slot);
        Probe { slot, fast, home: Home::default() }
    }

    /// Whether there are so many keys that a slot's record likely leads to a directory, whose parts are to be fetched.
    pub fn is_deep(&self) -> bool {
        self.slots.len() > SLOTS * PAGE_ENTRIES_MAX / 2
    }

    /// Goes on where the store [is deep](Store::is_deep): fetches the next part of the directory that leads to the key's
    /// page.
    pub fn probe_directory(&self, probe: &Probe, part: DirectoryPart) {
        if let Some(Node::Directory(directory)) = self.slots.get(probe.slot) {
            directory.prefetch(probe.fast, part);
        }
    }

    /// Goes on: finds the key's page, and fetches the lines of it where the search begins.
    #[inline]
    pub fn probe_page(&self, probe: &mut Probe) {
        if let Some(page) = self.slots.get(probe.slot).and_then(|root| root.page_by_fast(probe.fast)) {
            probe.home = page.home(probe.fast);
            if let Some(table) = self.tables.bytes_from(probe.home.table) {
                Table::prefetch_group(table, probe.home.group.into());
            }
        }
    }

    /// Goes on: finds what is most likely the key's entry, and fetches its first lines.
    #[inline]
    pub fn probe_entry(&self, probe: &mut Probe) {
        if let Some(table) = self.tables.bytes_from(probe.home.table)
            && let Some(entry) = Table::candidate(table, probe.home.group.into(), probe.fast)
        {
            self.heap.prefetch(entry);
        }
    }

    /// Begins to note which keys are changed, or ends it: each insertion, replacement, change in place, change of
    /// expiry and removal of a live key, and no more. Neither a flush is noted, nor what ends because its time has come.
    pub fn track_changes(&mut self, on: bool) {
        self.changes.track(on);
    }

    /// A key counts as changed, though there is none.
    pub fn note_change(&mut self, key: Key<'_>) {
        self.changes.note(|| key.bytes);
    }

    /// The keys that were changed since the last call, in the order of the changes; one may stand there more than once.
    pub fn take_changes(&mut self) -> Vec<Box<[u8]>> {
        self.changes.take()
    }

    /// Begins to note which keys go because their time has come, or since the policy lets them go; or ends it.
    pub fn follow_ends(&mut self, on: bool) {
        (self.changes.follows_ends, self.changes.ends) = (on, Vec::new());
    }

    /// The keys that went like this since the last call.
    pub fn take_ends(&mut self) -> Vec<Box<[u8]>> {
        std::mem::take(&mut self.changes.ends)
    }

    /// Counts all changes from now on, a flush as one: [`Store::changes`].
    pub fn count_changes(&mut self) {
        self.changes.count();
    }

    /// How many changes were counted.
    pub fn changes(&self) -> u64 {
        self.changes.counted()
    }

    /// Begins to note which keys are changed behind a walk that tells of all entries ([`Store::walk`]), in so many bytes at
    /// most.
    pub fn begin_trail(&mut self, bytes_max: usize) {
        self.changes.follow(Some(Trail::new(bytes_max)));
    }

    /// Nobody walks any more.
    pub fn end_trail(&mut self) {
        self.changes.follow(None);
    }

    /// How many keys the walk has to tell again; none where they became too many to be noted.
    pub fn trail_len(&mut self) -> Option<usize> {
        self.changes.trail().filter(|trail| !trail.is_lost()).map(|trail| trail.len())
    }

    /// That part of `whole` which they take of the memory that they may.
    pub fn trail_part(&mut self, whole: u64) -> u64 {
        self.changes.trail().map_or(0, |trail| trail.part(whole))
    }

    /// Whether all keys went since the last call.
    pub fn trail_flushed(&mut self) -> bool {
        self.changes.trail().is_some_and(Trail::take_flushed)
    }

    /// Puts the next key that the walk has to tell again into `key`; false where there is none.
    pub fn trail_next(&mut self, key: &mut Vec<u8>) -> bool {
        self.changes.trail().is_some_and(|trail| trail.next(key))
    }

    /// As [`Store::scan`] of one page, for the walk whose trail is followed.
    pub fn walk(&mut self, from: Cursor, now_ms: u64, each: &mut dyn FnMut(EntryRef<'_>)) -> Option<Cursor> {
        let next = self.scan(from, 1, now_ms, &mut |entry| each(entry));
        if let Some(trail) = self.changes.trail() {
            trail.reach(next.map_or(SLOTS, |next| next.slot().index()));
        }
        next
    }

    /// Calls `each` with entries from a cursor on, a page at a time, until it visited `visits_max` (the last page may
    /// go over it by [`PAGE_ENTRIES_MAX`]; ended entries and empty pages count as visits, slots without
    /// entries do not). Returns where to go on, or none at the end of the store. A key that is there from
    /// [`Cursor::START`] to the end, whatever is changed between the calls, is given at least once, maybe more often.
    pub fn scan<'a>(
        &'a self,
        from: Cursor,
        visits_max: usize,
        now_ms: u64,
        each: &mut dyn FnMut(EntryRef<'a>),
    ) -> Option<Cursor> {
        let mut visits_left = visits_max;
        let (mut slot, mut position) = (from.slot(), from.position());
        loop {
            if let Some(stop) = self.scan_from(slot, position, &mut visits_left, now_ms, each) {
                return Some(Cursor::new(slot, stop));
            }
            (slot, position) = (self.slots.used_from(slot.index() + 1)?, Position::START);
            if visits_left == 0 {
                return Some(Cursor::new(slot, position));
            }
        }
    }

    /// As [`Store::scan`], within one slot: the cursor is [`Cursor::START`] or what this function returned for it.
    pub fn scan_slot<'a>(
        &'a self,
        slot: SlotId,
        from: Cursor,
        visits_max: usize,
        now_ms: u64,
        each: &mut dyn FnMut(EntryRef<'a>),
    ) -> Option<Cursor> {
        let mut visits_left = visits_max;
        let stop = self.scan_from(slot, from.position(), &mut visits_left, now_ms, each)?;
        Some(Cursor::new(slot, stop))
    }

    /// Some entry, by a random number. Slots are met according to their number of entries, pages of a slot nearly so.
    /// Where nearly all of very many entries have ended and are not swept yet, it may find none.
    pub fn random(&self, random: u64, now_ms: u64) -> Option<EntryRef<'_>> {
        if self.is_empty() {
            return None;
        }
        let tried = (0..RANDOM_TRIES).find_map(|attempt| {
            let draw = |n: u64| hash::fast(&(random ^ (attempt * 4 + n).rotate_left(56)).to_le_bytes());
            let root = self.slots.get(self.slots.of_nth((draw(0) % self.len() as u64) as usize))?;
            let (page, _) = root.page(draw(1), || draw(2));
            let of_live = |item| EntryRef::of_live(&self.heap, item, now_ms);
            page.random(draw(3), &self.tables, &|item| of_live(item).is_some()).and_then(of_live)
        });
        tried.or_else(|| {
            let mut first = None;
            self.scan(Cursor::START, RANDOM_VISITS_MAX, now_ms, &mut |entry| first = first.or(Some(entry)));
            first
        })
    }

    /// The index of a slot, and what growing and shrinking it needs.
    fn grown(&mut self, slot: SlotId) -> Option<(&mut Node, Growth<'_>)> {
        let root = self.slots.get_mut(slot)?;
        let (heap, state, tables) = (&self.heap, &self.state, &mut self.tables);
        let (due, account, slot_entries) = (&mut self.due, &mut self.account, root.len());
        Some((root, Growth { heap, state, tables, due, account, slot, slot_entries }))
    }

    /// What the index has for a key.
    #[inline(never)]
    #[cfg_attr(memento_small, optimize(speed))]
    fn item(&self, key: Key<'_>) -> Option<Item> {
        self.slots.get(key.slot)?.get(key.fast, key.bytes, &self.heap, &self.tables, &self.state)
    }

    /// The entry of a key, ended or not.
    #[inline(always)]
    fn any_mut(&mut self, key: Key<'_>) -> Option<EntryMut<'_>> {
        let Store { slots, heap, tables, due, changes, state, .. } = self;
        let found = slots.find(key, heap, tables, state)?;
        Some(EntryMut::new(key.slot, found, heap, tables, due, changes))
    }

    /// As [`Store::any_mut`], for those to whom a call matters little.
    #[cfg_attr(memento_small, inline(never))]
    fn any_mut_apart(&mut self, key: Key<'_>) -> Option<EntryMut<'_>> {
        let Store { slots, heap, tables, due, changes, state, .. } = self;
        let found = slots.find_apart(key, heap, tables, state)?;
        Some(EntryMut::new(key.slot, found, heap, tables, due, changes))
    }

    /// Stores an entry in the place of the one that has its key, if there is one.
    fn put(&mut self, key: Key<'_>, handle: Handle, expires_ms: Option<u64>) {
        match self.any_mut_apart(key) {
            Some(mut old) => old.replace_whole(handle, expires_ms),
            None => self.insert(key, handle, expires_ms),
        }
    }

    /// Stores an entry whose key is not there yet.
    #[inline(never)]
    fn insert(&mut self, key: Key<'_>, handle: Handle, expires_ms: Option<u64>) {
        self.slots.add(key.slot, &mut self.account);
        self.tidy.count(1);
        self.due.count(None, expires_ms);
        self.changes.note(|| key.bytes);
        self.tables.usage.insert(self.slots.len());
        let (root, mut growth) = self.grown(key.slot).expect("a slot that has an entry");
        root.insert(key.fast, Item { handle, time: expires_ms.map(column_time) }, &mut growth);
    }

    /// Takes the entry of a key out, ended or not; it is the caller's to be freed. Tells when it ends as well.
    fn take(&mut self, key: Key<'_>) -> Option<(Handle, Option<u64>)> {
        let (root, mut growth) = self.grown(key.slot)?;
        let item = root.remove(key.fast, key.bytes, &mut growth)?;
        let expires_ms = self.heap.expires_ms(item);
        self.due.count(expires_ms, None);
        self.slots.sub(key.slot, 1, &mut self.account);
        self.tidy.count(1);
        Some((item.handle, expires_ms))
    }

    /// Walks the pages of a slot from a position on; returns where it stopped, or none at the end.
    fn scan_from<'a>(
        &'a self,
        slot: SlotId,
        mut position: Position,
        visits_left: &mut usize,
        now_ms: u64,
        each: &mut dyn FnMut(EntryRef<'a>),
    ) -> Option<Position> {
        let root = self.slots.get(slot).filter(|root| root.len() > 0)?;
        loop {
            let (page, behind) = root.page_at(position);
            page.items(&self.tables).for_each(|item| self.heap.prefetch(item.handle));
            let items = page.items(&self.tables);
            items.filter_map(|item| EntryRef::of_live(&self.heap, item, now_ms)).for_each(&mut *each);
            *visits_left = visits_left.saturating_sub(page.len().max(1));
            position = behind?;
            if *visits_left == 0 {
                return Some(position);
            }
        }
    }
}

impl Expiry {
    /// The expiry after a write to a key that has `kept` before.
    fn resolve(self, kept: Option<u64>) -> Option<u64> {
        match self {
            Expiry::Keep => kept,
            Expiry::Never => None,
            Expiry::At(expires_ms) => Some(expires_ms),
        }
    }
}
