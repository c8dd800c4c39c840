//! What the store does by itself: taking back the memory of what has ended, was flushed or deleted, a piece at a time.

use super::graveyard::Remains;
use super::*;
use std::mem::swap;

impl Store {
    /// Removes everything. A few entries are freed at once; the memory of many is given back by [`Store::reclaim`].
    pub fn flush(&mut self) {
        self.changes.flush();
        let mut remains = Box::<Remains>::default();
        remains.blocks = self.slots.take();
        swap(&mut remains.due, &mut self.due);
        swap(&mut remains.tables, &mut self.tables);
        swap(&mut remains.heap, &mut self.heap);
        // The time goes on.
        swap(&mut remains.tables.usage, &mut self.tables.usage);
        self.graveyard.bury(remains);
        self.tidy.go_on(None);
        // So that a client that sets and flushes in turn does not bury faster than is reclaimed.
        self.reclaim(FLUSHED_AT_ONCE_MAX);
    }

    /// Takes back the memory of at most so many ended entries, those of the page that is due first before others; a page
    /// whose entries were all given a later end meanwhile counts as one. Returns how many entries they were.
    pub fn sweep(&mut self, now_ms: u64, entries_max: usize) -> usize {
        self.tidy.tell_time(now_ms, self.len());
        self.see_to_spares(now_ms);
        let (mut left, mut total) = (entries_max, 0);
        while left > 0
            && let Some((due_ms, at)) = self.due.first()
            && due_ms <= now_ms
        {
            let swept = self.sweep_page(at, now_ms, left);
            left -= swept.max(1);
            total += swept;
        }
        total
    }

    /// Lets the memory that is kept for the next long value go when none has come for a while.
    fn see_to_spares(&mut self, now_ms: u64) {
        let (any, used) = mapping::spares();
        if used {
            self.spares_ms = now_ms;
        } else if any && now_ms >= self.spares_ms + SPARES_KEPT_MS {
            mapping::let_spares_go();
        }
    }

    /// Before this no entry ends; none where none does. May lie in the past.
    #[cfg_attr(memento_small, optimize(speed))]
    pub fn next_expiry_ms(&self) -> Option<u64> {
        self.due.first().map(|(due_ms, _)| due_ms)
    }

    /// When [`Store::sweep`] and [`Store::reclaim`] are to be called again at the latest, if ever. May lie in the past.
    #[cfg_attr(memento_small, optimize(speed))]
    pub fn next_work_ms(&self) -> Option<u64> {
        let spares_ms = mapping::has_spares().then_some(self.spares_ms + SPARES_KEPT_MS);
        let earlier_ms = |one: u64, other: Option<u64>| one.min(other.unwrap_or(u64::MAX));
        let due = [self.next_expiry_ms(), self.tidy.next_ms(self.len()), spares_ms];
        Some(due.into_iter().fold(u64::MAX, earlier_ms)).filter(|&due_ms| due_ms < u64::MAX)
    }

    /// Frees about so many entries (at most a page more) of what a flush took away; when that is gone, some steps of
    /// memory that got empty. Then it moves entries together where many have gone and, in a store that has been quiet for
    /// a while by the times that [`Store::sweep`] was told, makes some pages smaller that have more room than they need.
    /// Of the memory of long values that went, in this store or elsewhere, gives back a piece besides. True while there is
    /// more to do: that ends, unless more entries come or go.
    pub fn reclaim(&mut self, entries_max: usize) -> bool {
        let more_waits = mapping::give_back(LET_GO_BYTES_PER_TURN);
        self.reclaim_entries(entries_max) || more_waits
    }

    pub(super) fn reclaim_entries(&mut self, entries_max: usize) -> bool {
        if self.graveyard.reclaim(entries_max, &mut self.account) {
            return true;
        }
        let mut released = 0;
        while self.heap.release() | self.tables.release() {
            released += 1;
            if released == STEPS_RELEASED_AT_ONCE {
                return true;
            }
        }
        if let Some((round, at)) = self.tidy.position(self.len()) {
            self.tidy_some(round, at, entries_max);
            return true;
        }
        self.compact()
    }

    /// Goes on with looking over the pages, for about the work of so many entries.
    pub(super) fn tidy_some(&mut self, round: Round, at: Cursor, entries_max: usize) {
        let (mut work, mut at) = (0, Some(at));
        while let Some(from) = at
            && work < entries_max
        {
            let mut behind = None;
            if let Some((root, mut growth)) = self.grown(from.slot()) {
                let (entries, position) = root.tidy(from.position(), round, &mut growth);
                work += entries;
                behind = position.map(|position| Cursor::new(from.slot(), position));
            }
            at = behind.or_else(|| self.slots.used_from(from.slot().index() + 1).map(Cursor::at));
        }
        self.tidy.go_on(match (at, round) {
            (Some(at), _) => Some((round, at)),
            (None, Round::Shrink) => {
                self.tables.leave_thin_steps();
                Some((Round::Move, Cursor::START))
            }
            (None, Round::Move) => None,
        });
    }

    /// Moves some entries together where those that went left much room between them. True when there may be more such.
    pub(super) fn compact(&mut self) -> bool {
        let mut leaving = std::mem::take(&mut self.leaving);
        leaving.clear();
        self.heap.leave_thin(ENTRIES_MOVED_AT_ONCE, &mut leaving);
        leaving.iter().for_each(|&old| self.heap.prefetch(old));
        for &old in &leaving {
            let key = Key::from(self.heap.entry(old).key());
            let found = self.slots.find_apart(key, &self.heap, &self.tables, &self.state);
            let (page, _, place, _) = found.expect("a block in use is an entry's");
            page.set_handle(place, self.heap.moved(old), &mut self.tables);
        }
        leaving.iter().for_each(|&old| self.heap.leave(old));
        let any = !leaving.is_empty();
        self.leaving = leaving;
        any
    }

    /// Takes ended entries out of the page that begins at a place, and frees them; returns how many.
    pub(super) fn sweep_page(&mut self, at: Cursor, now_ms: u64, entries_max: usize) -> usize {
        let mut swept = std::mem::take(&mut self.swept);
        let (root, mut growth) = self.grown(at.slot()).expect("a page with a record is there");
        root.sweep(at.position(), &mut Sweep { now_ms, entries_max, swept: &mut swept }, &mut growth);
        for &(_, handle, expires_ms) in &swept {
            self.changes.note_end(|| self.heap.entry(handle).key());
            self.heap.free(handle);
            self.due.count(Some(expires_ms), None);
        }
        self.slots.sub(at.slot(), swept.len(), &mut self.account);
        self.tidy.count(swept.len());
        let count = swept.len();
        self.swept = swept;
        count
    }
}
