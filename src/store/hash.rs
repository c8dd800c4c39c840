//! The two hashes of a key: a fast one that anyone can make collide, and a keyed one that nobody can.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use super::arena::Handle;
use super::heap::Heap;

/// The fast hash: fxhash, folded and multiplied once more, because its own bits are uneven: the last byte of
/// a key changes only the top byte of fxhash, and its low bits change hardly at all between numbered keys.
#[cfg_attr(memento_small, optimize(speed))]
pub(super) fn fast(key: &[u8]) -> u64 {
    let hash = fxhash::hash64(key);
    (hash ^ hash >> 32).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// The keyed hash (SipHash with the store's own random key).
#[inline(never)]
pub(super) fn keyed(state: &RandomState, key: &[u8]) -> u64 {
    state.hash_one(key)
}

/// A number that nobody can foresee: each state has a key of its own.
pub fn unforeseen() -> u64 {
    keyed(&RandomState::new(), &[])
}

/// Which of the two places entries in a page, and where those lie.
#[derive(Clone, Copy)]
pub(super) struct Hashing<'a> {
    /// The entries.
    pub(super) heap: &'a Heap,
    /// The key of the keyed hash; none where the fast one counts.
    pub(super) keyed: Option<&'a RandomState>,
}

impl Hashing<'_> {
    /// The hash of an entry's key.
    pub(super) fn hash(self, handle: Handle) -> u64 {
        let key = self.heap.entry(handle).key();
        match self.keyed {
            None => fast(key),
            Some(state) => keyed(state, key),
        }
    }
}

/// A directory chooses a page by so many leading bits of the hash at most. 2^24 pages are eight billion entries.
pub(super) const POSITION_BITS: u32 = 24;

/// One past the last position.
pub(super) const POSITIONS: u32 = 1 << POSITION_BITS;

/// The leading bits of a hash, by which a directory chooses.
pub(super) fn position(hash: u64) -> u32 {
    (hash >> (64 - POSITION_BITS)) as u32
}

/// The byte by which a page recognises an entry; never 0, which marks a free lane.
pub(super) fn tag(hash: u64) -> u8 {
    ((hash >> 32) as u8).max(1)
}

/// Where among `count` groups an entry's search begins: bits that neither position nor tag use, scaled,
/// so that `count` need be no power of two.
pub(super) fn home(hash: u64, count: usize) -> usize {
    ((u64::from(hash as u32) * count as u64) >> 32) as usize
}
