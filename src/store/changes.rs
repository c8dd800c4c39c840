//! Which keys were changed, for who asks: off, it costs a branch a change.

use super::trail::Trail;
use crate::limits::EVENT_KEY_BYTES_MAX;

/// The keys that were changed since they were last asked for, while somebody wants to know.
#[derive(Default)]
pub(super) struct Changes {
    /// Whether anybody wants to know anything.
    tracking: bool,
    /// Whether the keys are wanted.
    listing: bool,
    keys: Vec<Box<[u8]>>,
    /// Whether the keys of entries that go by themselves are noted.
    pub(super) follows_ends: bool,
    /// Those that went since they were last asked for.
    pub(super) ends: Vec<Box<[u8]>>,
    /// How many changes there were, where they are counted.
    count: Option<u64>,
    /// What a walk has to tell again.
    trail: Option<Box<Trail>>,
}

impl Changes {
    /// Begins to note keys, or ends it; what was noted and not taken is forgotten at the end.
    pub(super) fn track(&mut self, tracking: bool) {
        self.listing = tracking;
        if !tracking {
            self.keys = Vec::new();
        }
        self.settle();
    }

    /// Counts all changes from now on.
    pub(super) fn count(&mut self) {
        self.count = Some(0);
        self.settle();
    }

    /// How many changes were counted.
    pub(super) fn counted(&self) -> u64 {
        self.count.unwrap_or(0)
    }

    /// Follows a walk, or does not any more.
    pub(super) fn follow(&mut self, trail: Option<Trail>) {
        self.trail = trail.map(Box::new);
        self.settle();
    }

    /// What a walk has to tell again, while there is one that is followed.
    pub(super) fn trail(&mut self) -> Option<&mut Trail> {
        self.trail.as_deref_mut()
    }

    fn settle(&mut self) {
        self.tracking = self.listing || self.count.is_some() || self.trail.is_some();
    }

    /// A key was changed, which is looked for only where somebody wants to know.
    #[inline]
    pub(super) fn note<'k>(&mut self, key: impl FnOnce() -> &'k [u8]) {
        if self.tracking {
            self.keep(key());
        }
    }

    /// All keys went.
    pub(super) fn flush(&mut self) {
        self.add(1);
        if let Some(trail) = &mut self.trail {
            trail.flush();
        }
    }

    /// An entry goes by itself. Of a long key nobody is told, as memory may be short.
    pub(super) fn note_end<'k>(&mut self, key: impl FnOnce() -> &'k [u8]) {
        if self.follows_ends {
            let key = key();
            if key.len() <= EVENT_KEY_BYTES_MAX {
                self.ends.push(key.into());
            }
        }
    }

    /// Whether somebody wants to know.
    #[inline]
    pub(super) fn is_tracking(&self) -> bool {
        self.tracking
    }

    fn add(&mut self, changes: u64) {
        if let Some(count) = &mut self.count {
            *count += changes;
        }
    }

    #[cold]
    #[inline(never)]
    fn keep(&mut self, key: &[u8]) {
        self.add(1);
        if let Some(trail) = &mut self.trail {
            trail.note(key);
        }
        if self.listing {
            self.keys.push(key.into());
        }
    }

    /// What was noted, in the order of the changes.
    pub(super) fn take(&mut self) -> Vec<Box<[u8]>> {
        std::mem::take(&mut self.keys)
    }
}
