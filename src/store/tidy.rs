//! When the store looks over all pages, to make tables smaller that have more room than they need.
//!
//! Pages that grow have room for some more entries, and leave smaller blocks behind. In a store that is no longer written
//! to much, that is memory for nothing. So once many entries have come or gone since the last time, and the store has been
//! quiet for a while, a walk begins, a piece a call: first each page with too large a table gets a smaller one; then, in
//! another round, tables move out of steps of memory that few are left in. Then there is rest until many entries have come
//! or gone again. A store that gets busy meanwhile interrupts the walk, which goes on later.

use super::cursor::Cursor;

/// A walk begins when as many entries came or went as one in so many that there are.
const CHANGED_PART: usize = 8;

/// The store is quiet when in a time of this length fewer entries came or went than a few, and one in so many.
const QUIET_MS: u64 = 1000;
const QUIET_ENTRIES: u64 = 16;
const QUIET_PART: usize = 256;

/// What a walk does to the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Round {
    /// Makes tables smaller.
    Shrink,
    /// Moves tables out of steps that are being left.
    Move,
}

/// Where the walk stands, and what tells when it begins.
#[derive(Default)]
pub(super) struct Tidy {
    at: Option<(Round, Cursor)>,
    /// How many entries came or went, ever; and how many had when the last walk began, and when the present time began.
    changed: u64,
    changed_at_walk: u64,
    changed_at_mark: u64,
    mark_ms: u64,
    /// Whether the time before the present one was quiet.
    was_quiet: bool,
}

impl Tidy {
    /// So many entries came or went.
    pub(super) fn count(&mut self, entries: usize) {
        self.changed += entries as u64;
    }

    /// It is now this late; the store has so many entries.
    pub(super) fn tell_time(&mut self, now_ms: u64, len: usize) {
        if now_ms.saturating_sub(self.mark_ms) >= QUIET_MS {
            self.was_quiet = self.is_quiet_since_mark(len);
            (self.mark_ms, self.changed_at_mark) = (now_ms, self.changed);
        }
    }

    /// Where the walk goes on, or begins, if that is to be now.
    pub(super) fn position(&mut self, len: usize) -> Option<(Round, Cursor)> {
        if let Some((Round::Move, _)) = self.at {
            // Steps are being left meanwhile, whose room is of no use before that is done.
            return self.at;
        }
        if !self.is_wanted(len) || !self.was_quiet || !self.is_quiet_since_mark(len) {
            return None;
        }
        if self.at.is_none() {
            self.begin();
        }
        self.at
    }

    /// Begins a walk.
    pub(super) fn begin(&mut self) {
        self.changed_at_walk = self.changed;
        self.at = Some((Round::Shrink, Cursor::START));
    }

    /// The walk got to here, or is over.
    pub(super) fn go_on(&mut self, at: Option<(Round, Cursor)>) {
        self.at = at;
    }

    /// When it is to be asked again whether a walk begins, if one is due.
    pub(super) fn next_ms(&self, len: usize) -> Option<u64> {
        self.is_wanted(len).then_some(self.mark_ms + QUIET_MS)
    }

    fn is_wanted(&self, len: usize) -> bool {
        self.at.is_some() || self.changed - self.changed_at_walk > (len / CHANGED_PART) as u64
    }

    fn is_quiet_since_mark(&self, len: usize) -> bool {
        self.changed - self.changed_at_mark <= QUIET_ENTRIES + (len / QUIET_PART) as u64
    }
}

#[cfg(test)]
impl Tidy {
    /// Where the walk stands.
    pub(super) fn at(&self) -> Option<(Round, Cursor)> {
        self.at
    }
}
