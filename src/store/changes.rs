//! Which keys were changed, for who asks: off, it costs a branch a change.

use crate::limits::EVENT_KEY_BYTES_MAX;

/// The keys that were changed since they were last asked for, while somebody wants to know.
#[derive(Default)]
pub(super) struct Changes {
    tracking: bool,
    keys: Vec<Box<[u8]>>,
    /// Whether the keys of entries that go by themselves are noted.
    pub(super) follows_ends: bool,
    /// Those that went since they were last asked for.
    pub(super) ends: Vec<Box<[u8]>>,
}

impl Changes {
    /// Begins to note keys, or ends it; what was noted and not taken is forgotten at the end.
    pub(super) fn track(&mut self, tracking: bool) {
        self.tracking = tracking;
        if !tracking {
            self.keys = Vec::new();
        }
    }

    /// A key was changed, which is looked for only where somebody wants to know.
    #[inline]
    pub(super) fn note<'k>(&mut self, key: impl FnOnce() -> &'k [u8]) {
        if self.tracking {
            self.keep(key());
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

    #[cold]
    #[inline(never)]
    fn keep(&mut self, key: &[u8]) {
        self.keys.push(key.into());
    }

    /// What was noted, in the order of the changes.
    pub(super) fn take(&mut self) -> Vec<Box<[u8]>> {
        std::mem::take(&mut self.keys)
    }
}
