//! Letting entries go that the memory policy chooses.
//!
//! How lately or how often entries were used is compared for a sample: all entries of one group of a random page are about
//! a dozen, and cost little more than one, since they lie together; small pages give less, so that others follow.

use super::arena::Handle;
use super::cursor::Position;
use super::heap::bounded;
use super::page::Page;
use super::usage::{Draws, Policy};
use super::*;
use crate::limits::SLOTS;

/// So many slots are drawn for one whose length fits, before one is found by counting.
const SLOT_DRAWS: u32 = 4;

/// Where most entries end, so many random pages are looked at for one that does, before pages are taken that are known to
/// have some.
const PAGES_BLIND_MAX: usize = 4;

/// Where fewer entries end than one in so many, such pages are taken at once.
const SPARSE: usize = 8;

/// A sample is no larger than what so many pages give.
const SAMPLE_PAGES_MAX: usize = 64;

/// The bounds of so many pages are made exact, before what ends first in a page whose bound is not is good enough.
const EXACT_PAGES_MAX: usize = 16;

/// The worst of the entries that were looked at.
pub(super) struct Sample {
    of_ending: bool,
    left: usize,
    worst: Option<(u8, Handle)>,
}

impl Sample {
    /// Whether only entries that end belong to it.
    pub(super) fn of_ending(&self) -> bool {
        self.of_ending
    }

    /// Whether it has as many entries as were asked for.
    pub(super) fn is_large(&self) -> bool {
        self.left == 0
    }

    /// Looks at an entry with this mark.
    #[inline]
    pub(super) fn look(&mut self, mark: u8, handle: Handle) {
        self.left = self.left.saturating_sub(1);
        if self.worst.is_none_or(|(least, _)| mark < least) {
            self.worst = Some((mark, handle));
        }
    }
}

impl Store {
    /// Entries go by this policy from now on, the worst of so many at least that are looked at.
    pub fn set_policy(&mut self, policy: Policy, samples: usize) {
        (self.policy, self.samples) = (policy, samples);
        self.tables.usage.track(policy.tracks());
    }

    /// The time goes on; who tracks use learns it from this alone.
    #[inline]
    pub fn pass_time(&mut self, now_ms: u64) {
        self.tables.usage.pass(now_ms);
    }

    /// Whether the policy wants to hear of uses: where it does not, [`Store::get`] is [`Store::read`].
    #[inline]
    pub fn tracks_use(&self) -> bool {
        self.tables.usage.tracked().is_some()
    }

    /// As [`Store::get`]; the policy hears that the entry was used.
    pub fn read<'k>(&mut self, key: impl Into<Key<'k>>, now_ms: u64) -> Option<EntryRef<'_>> {
        let key = key.into();
        if self.tracks_use() { self.read_and_mark(key, now_ms) } else { self.get(key, now_ms) }
    }

    fn read_and_mark(&mut self, key: Key<'_>, now_ms: u64) -> Option<EntryRef<'_>> {
        let (page, _, place, item) = self.slots.find_apart(key, &self.heap, &self.tables, &self.state)?;
        page.mark_use(place, &mut self.tables);
        EntryRef::of_live(&self.heap, item, now_ms)
    }

    /// For how many milliseconds a key was not used, as far as the policy tells times apart.
    pub fn idle_ms<'k>(&mut self, key: impl Into<Key<'k>>) -> Option<u64> {
        self.mark(key.into()).map(|mark| self.tables.usage.idle_ms(mark))
    }

    /// How often a key is used, by the policy's counter.
    pub fn use_count<'k>(&mut self, key: impl Into<Key<'k>>) -> Option<u8> {
        self.mark(key.into())
    }

    /// Tells for how long the entry of a key was not used, where the policy asks for that.
    pub fn set_idle_ms(&mut self, key: &[u8], idle_ms: u64) {
        if self.policy.tracks() == Some(Tracked::Lately) {
            self.set_mark(key.into(), self.tables.usage.of_idle(idle_ms));
        }
    }

    /// Tells how often the entry of a key is used, by the policy's counter, where there is one.
    pub fn set_use_count(&mut self, key: &[u8], count: u8) {
        if self.policy.tracks() == Some(Tracked::Often) {
            self.set_mark(key.into(), count);
        }
    }

    fn set_mark(&mut self, key: Key<'_>, mark: u8) {
        if let Some(mut entry) = self.get_mut(key, 0) {
            entry.set_mark(mark);
        }
    }

    fn mark(&mut self, key: Key<'_>) -> Option<u8> {
        let (page, _, place, _) = self.slots.find_apart(key, &self.heap, &self.tables, &self.state)?;
        Some(page.mark(place, &self.tables))
    }

    /// Lets one entry go; false where the policy lets none go, or none is left that may.
    pub fn evict(&mut self) -> bool {
        let (of_ending, by_use) = (self.policy.is_volatile(), self.policy.tracks().is_some());
        let any = if of_ending { self.expiring() > 0 } else { !self.is_empty() };
        let chosen = match self.policy {
            Policy::NoEviction => None,
            _ if !any => None,
            Policy::VolatileTtl => self.first_to_end(),
            _ if by_use => self.least_used(of_ending),
            _ => self.any(of_ending),
        };
        let Some(handle) = chosen.or_else(|| if any && !of_ending { self.first_found() } else { None }) else {
            return false;
        };
        let mut key = std::mem::take(&mut self.evicted_key);
        key.clear();
        key.extend_from_slice(self.heap.entry(handle).key());
        self.take(Key::from(&key[..])).expect("an entry that was just seen");
        self.heap.free(handle);
        self.changes.note(|| &key);
        self.changes.note_end(|| &key);
        self.evicted_key = bounded(key);
        true
    }

    /// Of some entries, the one that is used least.
    fn least_used(&mut self, of_ending: bool) -> Option<Handle> {
        let mut draws = self.tables.usage.draws();
        let mut sample = Sample { of_ending, left: self.samples, worst: None };
        for tried in 0..SAMPLE_PAGES_MAX {
            let blindly = tried < PAGES_BLIND_MAX || sample.worst.is_some();
            let page = self.some_page(of_ending, blindly, &mut draws)?;
            page.sample(draws.next(), &self.tables, &mut sample);
            if sample.is_large() {
                break;
            }
        }
        sample.worst.map(|(_, handle)| handle)
    }

    /// Any entry, each about as likely as any other.
    fn any(&mut self, of_ending: bool) -> Option<Handle> {
        let mut draws = self.tables.usage.draws();
        (0..SAMPLE_PAGES_MAX).find_map(|tried| {
            let page = self.some_page(of_ending, tried < PAGES_BLIND_MAX, &mut draws)?;
            page.random(draws.next(), &self.tables, &|item| !of_ending || item.time.is_some()).map(|item| item.handle)
        })
    }

    /// The first entry of some slot: where draws meet empty pages alone.
    fn first_found(&mut self) -> Option<Handle> {
        if self.policy == Policy::NoEviction {
            return None;
        }
        let mut draws = self.tables.usage.draws();
        let slot = self.some_slot(&mut draws);
        let (root, mut at) = (self.slots.get(slot)?, Some(Position::START));
        while let Some(position) = at {
            let (page, behind) = root.page_at(position);
            if let Some(item) = page.random(0, &self.tables, &|_| true) {
                return Some(item.handle);
            }
            at = behind;
        }
        None
    }

    /// The entry that ends first.
    fn first_to_end(&mut self) -> Option<Handle> {
        let mut found: Option<(u64, Handle)> = None;
        for _ in 0..EXACT_PAGES_MAX {
            let (due_ms, at) = self.due.first()?;
            let (page, _) = self.slots.get(at.slot())?.page_at(at.position());
            let (first_ms, handle) = page.first_to_end(&self.heap, &self.tables)?;
            if found.is_none_or(|(found_ms, _)| first_ms < found_ms) {
                found = Some((first_ms, handle));
            }
            if first_ms == due_ms {
                break;
            }
            // Takes nothing out, but makes the page's bound exact, so that another page may be the first one.
            self.sweep_page(at, 0, 0);
        }
        found.map(|(_, handle)| handle)
    }

    /// Some page: any; or where entries that end are wanted and few do, or not `blindly`, one that has some.
    fn some_page(&self, of_ending: bool, blindly: bool, draws: &mut Draws) -> Option<&Page> {
        let is_sparse = self.expiring() * SPARSE < self.len();
        if of_ending && (is_sparse || !blindly) {
            let at = self.due.some(draws.next(), draws.next())?;
            let (page, _) = self.slots.get(at.slot())?.page_at(at.position());
            return Some(page);
        }
        let slot = self.some_slot(draws);
        let (fast, keyed) = (draws.next(), draws.next());
        let (page, _) = self.slots.get(slot)?.page(fast, || keyed);
        Some(page)
    }

    /// Some slot with entries, the likelier the more it has. Finding one by counting takes a look at many; so slots are
    /// drawn, and taken with a probability that is their length, but for those twice as long as the mean and more. Where
    /// slots are too uneven for that, counting it is.
    fn some_slot(&self, draws: &mut Draws) -> SlotId {
        let (slots, chances) = (draws.next(), draws.next());
        for draw in 0..SLOT_DRAWS {
            let slot = SlotId::wrapping((slots >> (16 * draw)) as u16 as usize);
            let chance = (chances >> (16 * draw)) as u16;
            let length = self.slot_len(slot) as u64 * SLOTS as u64;
            if length << 16 > u64::from(chance) * 2 * self.len() as u64 {
                return slot;
            }
        }
        let nth = draws.next() % self.len() as u64;
        self.slots.of_nth(nth as usize)
    }

    /// Frees about so many entries of what a flush took away, and a piece of long values that went; false where nothing
    /// is left of either.
    pub fn free_buried(&mut self, entries_max: usize) -> bool {
        let any = !self.graveyard.is_empty() || mapping::waiting_bytes() > 0;
        if any {
            mapping::let_spares_go();
            mapping::give_back(LET_GO_BYTES_PER_TURN);
            self.graveyard.reclaim(entries_max, &mut self.account);
        }
        any
    }
}

#[cfg(test)]
mod tests;
