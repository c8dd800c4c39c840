//! The slot table: keys, values, times, and nothing else.
//!
//! Each of the 8192 slots has an index of its own (`node`): a page of entries (`page`), or a directory of pages
//! (`directory`), so that every step (growing, shrinking, walking, freeing) takes at most a page or two, however keys
//! are spread over slots or crafted. What bounds them stands in [`crate::limits`]. The entries lie in memory of the
//! store's own (`heap`, `arena`); the index knows them by handles of 32 bits.
//!
//! The store reads no clock: `now_ms` comes with each call, in milliseconds of one clock that never goes back. It does
//! not know commands, replies, or whether there is memory left.

mod account;
mod arena;
mod changes;
mod cursor;
mod directory;
mod entry;
mod expiry;
mod graveyard;
mod hash;
mod heap;
mod long;
mod node;
mod page;
pub mod slot;
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

pub use cursor::Cursor;
pub use entry::Value;
pub use slot::{SlotId, crc16};
pub use view::{EntryMut, EntryRef};

use crate::blob::Blob;
use crate::limits::{INLINE_VALUE_BYTES_MAX, LET_GO_BYTES_PER_TURN, PAGE_ENTRIES_MAX, SLOTS};
use crate::sys::mapping;
use account::Account;
use arena::Handle;
use changes::Changes;
use cursor::Position;
use entry::Times;
use expiry::{ExpiryIndex, Record};
use graveyard::Graveyard;
use heap::Heap;
use node::{Growth, Node};

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

/// The index of a slot that has entries.
#[derive(Default)]
struct Tree {
    root: Node,
}

type Slot = Option<Box<Tree>>;

/// Slots are counted in blocks of so many, so that a random entry's slot is found in few steps.
const BLOCK_SLOTS: usize = 64;

/// How many pages are tried for a random entry where most entries have ended and are not swept yet.
const RANDOM_TRIES: u64 = 16;

/// How many entries are walked then for one that has not ended, before the store is taken for empty.
const RANDOM_VISITS_MAX: usize = 8 * PAGE_ENTRIES_MAX;

/// A flush frees so many entries itself.
const FLUSHED_AT_ONCE_MAX: usize = 512;

/// All keys of a node with their values.
pub struct Store {
    slots: Box<[Slot]>,
    block_lens: [usize; SLOTS / BLOCK_SLOTS],
    len: usize,
    heap: Heap,
    expiry: ExpiryIndex,
    graveyard: Graveyard,
    account: Account,
    changes: Changes,
    /// The key of the keyed hash: one for the whole store.
    state: RandomState,
    /// Where the sweep keeps the key it is about to remove.
    swept_key: Vec<u8>,
}

impl Default for Store {
    fn default() -> Store {
        Store::new()
    }
}

impl Store {
    /// An empty store.
    pub fn new() -> Store {
        let mut account = Account::default();
        Store {
            slots: empty_slots(&mut account),
            block_lens: [0; SLOTS / BLOCK_SLOTS],
            len: 0,
            heap: Heap::default(),
            expiry: ExpiryIndex::default(),
            graveyard: Graveyard::default(),
            account,
            changes: Changes::default(),
            state: RandomState::new(),
            swept_key: Vec::new(),
        }
    }

    /// How many entries there are, those included that ended and are not swept yet.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many of the entries have an expiry.
    pub fn expiring(&self) -> usize {
        self.expiry.len()
    }

    /// The mean of the times at which entries end, ended ones that are not swept included; none where none ends.
    pub fn expires_mean_ms(&self) -> Option<u64> {
        self.expiry.mean_ms()
    }

    /// How many entries a slot has, those included that ended and are not swept yet.
    pub fn slot_len(&self, slot: SlotId) -> usize {
        self.slots[slot.index()].as_ref().map_or(0, |tree| tree.root.len())
    }

    /// Bytes that the store uses: blocks of entries, pages and directories exactly, the index of expiry by estimate. Room
    /// between blocks does not count, nor does a value that only a reply still holds; what a flush took away counts until
    /// it is reclaimed, and so does the memory of long values that went, whoever had them last; a long value that
    /// [`Store::copy`] made two keys share counts for each of them.
    pub fn bytes_used(&self) -> usize {
        let buried = self.graveyard.heap_bytes() + self.graveyard.expiry_bytes();
        self.heap.bytes() + self.account.bytes() + self.expiry.bytes() + buried + mapping::waiting_bytes()
    }

    /// The entry of a key.
    pub fn get(&self, key: &[u8], now_ms: u64) -> Option<EntryRef<'_>> {
        let tree = self.slots[SlotId::of_key(key).index()].as_ref()?;
        let handle = tree.root.get(hash::fast(key), key, &self.heap, &self.state)?;
        EntryRef::of_live(self.heap.entry(handle), now_ms)
    }

    /// The entry of a key, to be changed in place.
    pub fn get_mut(&mut self, key: &[u8], now_ms: u64) -> Option<EntryMut<'_>> {
        self.any_mut(SlotId::of_key(key), key).filter(|entry| entry.is_live(now_ms))
    }

    /// Sets a key's value. The entry is a new one: `now_ms` becomes its creation time.
    pub fn upsert(&mut self, key: &[u8], value: &[u8], expiry: Expiry, now_ms: u64) {
        let slot = SlotId::of_key(key);
        if let Some(mut entry) = self.any_mut(slot, key) {
            let kept = entry.expires_ms().filter(|&expires_ms| expires_ms > now_ms);
            entry.replace(key, value, Times { created_ms: now_ms, expires_ms: expiry.resolve(kept) });
        } else {
            let times = Times { created_ms: now_ms, expires_ms: expiry.resolve(None) };
            let handle = self.heap.insert(key, value, times);
            self.insert(slot, key, handle);
        }
    }

    /// As [`Store::upsert`], of a value that is handed over: a longer one than [`INLINE_VALUE_BYTES_MAX`] is stored as
    /// it is, without a copy, so that whoever hands it over leaves no more slack in it than is to stay.
    pub fn upsert_shared(&mut self, key: &[u8], value: Rc<Blob>, expiry: Expiry, now_ms: u64) {
        if value.len() <= INLINE_VALUE_BYTES_MAX {
            return self.upsert(key, &value, expiry, now_ms);
        }
        let kept = self.get(key, now_ms).and_then(|entry| entry.expires_ms());
        let times = Times { created_ms: now_ms, expires_ms: expiry.resolve(kept) };
        let handle = self.heap.insert_shared(key, value, times);
        self.put(key, handle);
    }

    /// Removes a key. True when it was there.
    pub fn remove(&mut self, key: &[u8], now_ms: u64) -> bool {
        let Some(handle) = self.take(SlotId::of_key(key), key) else { return false };
        let was_there = self.heap.entry(handle).is_live(now_ms);
        self.heap.free(handle);
        if was_there {
            self.changes.note(key);
        }
        was_there
    }

    /// Gives the entry of `from` the key `to`, whose own entry goes; value and times stay. True when there was one. A
    /// key that is given its own name is left as it is.
    pub fn rename(&mut self, from: &[u8], to: &[u8], now_ms: u64) -> bool {
        let was_there = self.get(from, now_ms).is_some();
        if was_there && from != to {
            let handle = self.take(SlotId::of_key(from), from).expect("the entry that was just seen");
            self.changes.note(from);
            let handle = self.heap.with_key(handle, to);
            self.put(to, handle);
        }
        was_there
    }

    /// Sets `to`, whatever it has, to the value and the expiry of `from`; it is a new entry, made at `now_ms`. A long
    /// value is not copied: the two share it until one of them is changed. True when there was a `from`.
    pub fn copy(&mut self, from: &[u8], to: &[u8], now_ms: u64) -> bool {
        let slot = SlotId::of_key(from);
        let tree = self.slots[slot.index()].as_ref();
        let source = tree.and_then(|tree| tree.root.get(hash::fast(from), from, &self.heap, &self.state));
        let Some(source) = source.filter(|source| self.heap.entry(*source).is_live(now_ms)) else { return false };
        let copy = self.heap.copied_to(source, to, now_ms);
        self.put(to, copy);
        true
    }

    /// Begins to note which keys are changed, or ends it: each insertion, replacement, change in place, change of
    /// expiry and removal of a live key, and no more. Neither a flush is noted, nor what ends because its time has come.
    pub fn track_changes(&mut self, on: bool) {
        self.changes.track(on);
    }

    /// The keys that were changed since the last call, in the order of the changes; one may stand there more than once.
    pub fn take_changes(&mut self) -> Vec<Box<[u8]>> {
        self.changes.take()
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
            if let Some(tree) = &self.slots[slot.index()] {
                let stop = tree.scan(&self.heap, position, &mut visits_left, now_ms, each);
                if let Some(position) = stop {
                    return Some(Cursor::new(slot, position));
                }
            }
            let behind = slot.index() + 1;
            let next = self.slots[behind..].iter().position(Option::is_some)?;
            (slot, position) = (SlotId::wrapping(behind + next), Position::START);
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
        let tree = self.slots[slot.index()].as_ref()?;
        let mut visits_left = visits_max;
        let stop = tree.scan(&self.heap, from.position(), &mut visits_left, now_ms, each)?;
        Some(Cursor::new(slot, stop))
    }

    /// Some entry, by a random number. Slots are met according to their number of entries, pages of a slot nearly so.
    /// Where nearly all of very many entries have ended and are not swept yet, it may find none.
    pub fn random(&self, random: u64, now_ms: u64) -> Option<EntryRef<'_>> {
        if self.len == 0 {
            return None;
        }
        let tried = (0..RANDOM_TRIES).find_map(|attempt| {
            let draw = |n: u64| hash::fast(&(random ^ (attempt * 4 + n).rotate_left(56)).to_le_bytes());
            let tree = self.tree_of_nth(draw(0) as usize % self.len);
            let (page, _) = tree.root.page(draw(1), || draw(2));
            let handle = page.random(draw(3), |handle| self.heap.entry(handle).is_live(now_ms))?;
            EntryRef::of_live(self.heap.entry(handle), now_ms)
        });
        tried.or_else(|| {
            let mut first = None;
            self.scan(Cursor::START, RANDOM_VISITS_MAX, now_ms, &mut |entry| first = first.or(Some(entry)));
            first
        })
    }

    /// Removes everything. A few entries are freed at once; the memory of many is given back by [`Store::reclaim`].
    pub fn flush(&mut self) {
        self.len = 0;
        for (slots, len) in self.slots.chunks_mut(BLOCK_SLOTS).zip(&mut self.block_lens) {
            if std::mem::take(len) > 0 {
                slots.iter_mut().filter_map(Option::take).for_each(|tree| self.graveyard.bury(tree));
            }
        }
        self.graveyard.bury_expiry(std::mem::take(&mut self.expiry));
        self.graveyard.bury_heap(std::mem::take(&mut self.heap));
        // So that a client that sets and flushes in turn does not bury faster than is reclaimed.
        self.reclaim(FLUSHED_AT_ONCE_MAX);
    }

    /// Takes back the memory of at most so many ended entries, the earliest first; returns how many they were.
    pub fn sweep(&mut self, now_ms: u64, entries_max: usize) -> usize {
        for swept in 0..entries_max {
            let Some(record) = self.expiry.first().filter(|record| record.expires_ms <= now_ms) else {
                return swept;
            };
            self.sweep_one(record.handle);
        }
        entries_max
    }

    /// When the first entry ends, if any does: from then on [`Store::sweep`] has work. May lie in the past.
    pub fn next_expiry_ms(&self) -> Option<u64> {
        self.expiry.first().map(|record| record.expires_ms)
    }

    /// Frees about so many entries (at most a page more) of what a flush took away; when that is gone, moves entries out
    /// of a step of memory that few are left in. Of the memory of long values that went, in this store or elsewhere, gives
    /// back a piece besides. True while there is more to do.
    pub fn reclaim(&mut self, entries_max: usize) -> bool {
        let more_waits = mapping::give_back(LET_GO_BYTES_PER_TURN);
        let more_is_left = self.graveyard.reclaim(entries_max, &mut self.account) || self.compact();
        more_waits || more_is_left
    }

    /// Empties one step of memory where entries that went left much room between others. True when there may be more
    /// such steps.
    fn compact(&mut self) -> bool {
        let leaving = self.heap.leave_thin_step();
        for &old in &leaving {
            let entry = self.heap.entry(old);
            let (key, expires_ms) = (entry.key(), entry.expires_ms());
            let tree = self.slots[SlotId::of_key(key).index()].as_mut();
            let place = tree.and_then(|tree| tree.root.get_mut(hash::fast(key), key, &self.heap, &self.state));
            let place = place.expect("a block in use is an entry's");
            *place = self.heap.relocate(old);
            if let Some(expires_ms) = expires_ms {
                self.expiry.remove(Record { expires_ms, handle: old });
                self.expiry.insert(Record { expires_ms, handle: *place });
            }
        }
        !leaving.is_empty()
    }

    fn sweep_one(&mut self, handle: Handle) {
        let mut key = std::mem::take(&mut self.swept_key);
        key.clear();
        key.extend_from_slice(self.heap.entry(handle).key());
        let taken = self.take(SlotId::of_key(&key), &key);
        debug_assert_eq!(taken, Some(handle), "an entry with a record is stored");
        self.heap.free(handle);
        self.swept_key = key;
    }

    /// The entry of a key, ended or not.
    fn any_mut(&mut self, slot: SlotId, key: &[u8]) -> Option<EntryMut<'_>> {
        let fast = hash::fast(key);
        let handle = self.slots[slot.index()].as_mut()?.root.get_mut(fast, key, &self.heap, &self.state)?;
        let books = view::Books { expiry: &mut self.expiry, changes: &mut self.changes };
        Some(EntryMut::new(handle, &mut self.heap, books))
    }

    /// Stores an entry in the place of the one that has its key, if there is one.
    fn put(&mut self, key: &[u8], handle: Handle) {
        let slot = SlotId::of_key(key);
        match self.any_mut(slot, key) {
            Some(mut old) => old.replace_whole(handle),
            None => self.insert(slot, key, handle),
        }
    }

    /// Stores an entry whose key is not there yet.
    fn insert(&mut self, slot: SlotId, key: &[u8], handle: Handle) {
        let fast = hash::fast(key);
        let tree = self.slots[slot.index()].get_or_insert_with(|| {
            self.account.add(size_of::<Tree>());
            Box::default()
        });
        if let Some(expires_ms) = self.heap.entry(handle).expires_ms() {
            self.expiry.insert(Record { expires_ms, handle });
        }
        self.changes.note(key);
        let (heap, state, account) = (&self.heap, &self.state, &mut self.account);
        tree.root.insert(fast, handle, &mut Growth { heap, state, account, slot_entries: tree.root.len() });
        self.block_lens[slot.index() / BLOCK_SLOTS] += 1;
        self.len += 1;
    }

    /// Takes the entry of a key out, ended or not; it is the caller's to be freed.
    fn take(&mut self, slot: SlotId, key: &[u8]) -> Option<Handle> {
        let fast = hash::fast(key);
        let place = &mut self.slots[slot.index()];
        let tree = place.as_mut()?;
        let (heap, state, account) = (&self.heap, &self.state, &mut self.account);
        let handle =
            tree.root.remove(fast, key, &mut Growth { heap, state, account, slot_entries: tree.root.len() })?;
        if tree.root.len() == 0 {
            self.account.sub(size_of::<Tree>());
            *place = None;
        }
        if let Some(expires_ms) = self.heap.entry(handle).expires_ms() {
            self.expiry.remove(Record { expires_ms, handle });
        }
        self.block_lens[slot.index() / BLOCK_SLOTS] -= 1;
        self.len -= 1;
        Some(handle)
    }

    /// The index of the slot in which the n-th entry of the store stands, counted from 0.
    fn tree_of_nth(&self, mut n: usize) -> &Tree {
        let mut is_before = |len: usize| {
            let before = len <= n;
            n -= if before { len } else { 0 };
            before
        };
        let block = self.block_lens.iter().take_while(|len| is_before(**len)).count();
        let slots = &self.slots[block * BLOCK_SLOTS..][..BLOCK_SLOTS];
        let tree = slots.iter().flatten().find(|tree| !is_before(tree.root.len()));
        tree.expect("the counts add up to the number of entries")
    }
}

impl Tree {
    /// Walks pages from a position on; returns where it stopped, or none at the end.
    fn scan<'a>(
        &self,
        heap: &'a Heap,
        mut position: Position,
        visits_left: &mut usize,
        now_ms: u64,
        each: &mut dyn FnMut(EntryRef<'a>),
    ) -> Option<Position> {
        loop {
            let (page, behind) = self.root.page_at(position);
            let entries = page.handles().map(|handle| heap.entry(handle));
            entries.filter_map(|entry| EntryRef::of_live(entry, now_ms)).for_each(&mut *each);
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

/// A new array of slots, and it costs this much.
fn empty_slots(account: &mut Account) -> Box<[Slot]> {
    account.add(own_slot_bytes());
    std::iter::repeat_with(|| None).take(SLOTS).collect()
}

/// What the array of slots asks of the heap.
const fn own_slot_bytes() -> usize {
    SLOTS * size_of::<Slot>()
}
