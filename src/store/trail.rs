//! Which keys were changed behind a walk over the store: what has to be told again of it.
//!
//! Each such key is noted at least once after its last change. One that is noted and not told yet is seldom noted again:
//! a few places, by hash, remember where a key was noted last. So what is changed over and over costs little, and no table
//! has to grow. What is too much is not waited for: the trail is lost then.

use super::key::Key;

/// So many keys are remembered besides the list of all.
const RECENT: usize = 4096;

/// Before each key stands its length, in so many bytes.
const LENGTH_BYTES: usize = size_of::<u32>();

/// What was told goes from the list when there is so much of it, and a quarter of the list.
const TOLD_BYTES_KEPT: usize = 64 * 1024;

/// The list grows by such a part of what it may take.
const GROWTH_PART: usize = 16;

/// See the module.
pub(super) struct Trail {
    /// The keys, each behind its length.
    keys: Vec<u8>,
    /// Those before this place are told.
    told: usize,
    /// So many bytes have gone from the front of the list.
    gone: u64,
    /// The keys that are not told yet.
    len: usize,
    /// Where a key of this hash was noted last, counted from the first byte that ever was in the list.
    recent: Box<[u64]>,
    /// The walk has seen no slot beyond this one: it will meet their keys as they are then.
    slot: usize,
    /// The list may take so many bytes.
    bytes_max: usize,
    /// Whether keys were left out.
    lost: bool,
    /// Whether all keys went since that was last asked.
    flushed: bool,
}

impl Trail {
    /// The trail of a walk that is about to begin.
    pub(super) fn new(bytes_max: usize) -> Trail {
        Trail {
            keys: Vec::new(),
            told: 0,
            gone: 1,
            len: 0,
            recent: vec![0; RECENT].into(),
            slot: 0,
            bytes_max,
            lost: false,
            flushed: false,
        }
    }

    /// The walk is about to see keys of this slot.
    pub(super) fn reach(&mut self, slot: usize) {
        self.slot = slot;
    }

    /// How many keys are to be told.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// That part of `whole` which the list has of what it may take.
    pub(super) fn part(&self, whole: u64) -> u64 {
        self.keys.len() as u64 * whole / self.bytes_max as u64
    }

    /// Whether keys were left out.
    pub(super) fn is_lost(&self) -> bool {
        self.lost
    }

    /// Whether all keys went since the last call.
    pub(super) fn take_flushed(&mut self) -> bool {
        std::mem::take(&mut self.flushed)
    }

    /// A key was changed.
    pub(super) fn note(&mut self, key: &[u8]) {
        let Key { slot, fast, .. } = Key::from(key);
        if slot.index() > self.slot || self.lost {
            return;
        }
        let recent = &mut self.recent[(fast >> 32) as usize % RECENT];
        let last = recent.checked_sub(self.gone).map(|at| at as usize).filter(|&at| at >= self.told);
        if last.is_some_and(|at| key_at(&self.keys, at) == key) {
            return;
        }
        let bytes = LENGTH_BYTES + key.len();
        let is_too_much = self.keys.len() + bytes > self.bytes_max;
        let has_room = self.keys.capacity() - self.keys.len() >= bytes;
        if is_too_much || !has_room && self.keys.try_reserve_exact(bytes.max(self.bytes_max / GROWTH_PART)).is_err() {
            self.lost = true;
            self.forget();
            return;
        }
        *recent = self.gone + self.keys.len() as u64;
        self.keys.extend_from_slice(&(key.len() as u32).to_ne_bytes());
        self.keys.extend_from_slice(key);
        self.len += 1;
    }

    /// All keys went.
    pub(super) fn flush(&mut self) {
        self.flushed = true;
        self.forget();
    }

    fn forget(&mut self) {
        self.gone += self.keys.len() as u64;
        (self.keys, self.told, self.len) = (Vec::new(), 0, 0);
    }

    /// Puts the next key that is to be told into `key`; false where there is none.
    pub(super) fn next(&mut self, key: &mut Vec<u8>) -> bool {
        if self.len == 0 {
            return false;
        }
        key.clear();
        key.extend_from_slice(key_at(&self.keys, self.told));
        self.told += LENGTH_BYTES + key.len();
        self.len -= 1;
        if self.len == 0 || self.told > TOLD_BYTES_KEPT.max(self.keys.len() / 4) {
            self.keys.drain(..self.told);
            self.gone += self.told as u64;
            self.told = 0;
        }
        true
    }
}

/// The key behind the length at a place.
fn key_at(keys: &[u8], at: usize) -> &[u8] {
    let (length, rest) = keys[at..].split_first_chunk().expect("a length before each key");
    &rest[..u32::from_ne_bytes(*length) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SlotId;
    use crate::testkit::{Random, seeds};
    use std::collections::BTreeSet;

    fn all(trail: &mut Trail) -> Vec<Vec<u8>> {
        let mut key = Vec::new();
        std::iter::from_fn(|| trail.next(&mut key).then(|| key.clone())).collect()
    }

    #[test]
    fn a_key_that_is_not_told_yet_is_noted_once_and_again_when_it_was_told() {
        let mut trail = Trail::new(1000);
        trail.reach(usize::MAX);
        for key in [&b"a"[..], b"b", b"a", b"", b"a"] {
            trail.note(key);
        }
        assert_eq!(trail.len(), 3);
        assert_eq!(all(&mut trail), [&b"a"[..], b"b", b""]);
        trail.note(b"a");
        assert_eq!((all(&mut trail), trail.len()), (vec![b"a".to_vec()], 0));
    }

    #[test]
    fn what_the_walk_has_not_seen_is_not_noted() {
        let slot = |key: &[u8]| SlotId::of_key(key).index();
        let (low, high) = if slot(b"x") < slot(b"y") { (b"x", b"y") } else { (b"y", b"x") };
        let mut trail = Trail::new(1000);
        trail.reach(slot(low));
        trail.note(low);
        trail.note(high);
        assert_eq!(all(&mut trail), [low]);
    }

    #[test]
    fn what_is_too_much_is_lost_and_a_flush_makes_all_void() {
        let mut trail = Trail::new(100);
        trail.reach(usize::MAX);
        trail.note(&[b'k'; 90]);
        assert!(!trail.is_lost());
        trail.flush();
        assert_eq!((trail.len(), trail.take_flushed(), trail.take_flushed()), (0, true, false));
        trail.note(&[b'k'; 90]);
        trail.note(&[b'l'; 90]);
        assert!(trail.is_lost() && trail.len() == 0 && !trail.next(&mut Vec::new()));
    }

    #[test]
    fn every_change_is_told_after_it() {
        for seed in seeds(20) {
            let mut random = Random::new(seed);
            let mut trail = Trail::new(1 << 20);
            trail.reach(usize::MAX);
            let (mut wanted, mut key) = (BTreeSet::new(), Vec::new());
            for _ in 0..20_000 {
                let number = random.below(10_000).to_string().into_bytes();
                if random.below(2) == 0 || wanted.is_empty() {
                    trail.note(&number);
                    wanted.insert(number);
                } else {
                    assert!(trail.next(&mut key), "seed {seed}: {} keys are missing", wanted.len());
                    wanted.remove(&key);
                }
                assert!(trail.len() >= wanted.len(), "seed {seed}");
                assert!(trail.keys.len() <= 2 * (TOLD_BYTES_KEPT + 8 * trail.len().max(1)), "seed {seed}");
            }
            for key in all(&mut trail) {
                wanted.remove(&key);
            }
            assert!(wanted.is_empty(), "seed {seed}");
        }
    }
}
