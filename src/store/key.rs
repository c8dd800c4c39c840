//! A key with the two numbers by which it is found, made once; and a look ahead by them.

use super::arena::Handle;
use super::hash;
use super::slot::SlotId;

/// A key, its slot and its hash. Made from the key's bytes wherever the store takes one; a [`Probe`] makes one that is
/// not computed again.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    /// The key itself.
    pub bytes: &'a [u8],
    pub(super) slot: SlotId,
    pub(super) fast: u64,
}

impl<'a, T: AsRef<[u8]> + ?Sized> From<&'a T> for Key<'a> {
    #[cfg_attr(memento_small, inline(never))]
    #[cfg_attr(not(memento_small), inline)]
    fn from(bytes: &'a T) -> Key<'a> {
        Key::of(bytes.as_ref())
    }
}

impl<'a> Key<'a> {
    /// As `from`, its code put where it is used.
    #[inline]
    pub(super) fn of(bytes: &'a [u8]) -> Key<'a> {
        Key { bytes, slot: SlotId::of_key(bytes), fast: hash::fast(bytes) }
    }
}

/// What is known of a key that a command will soon ask for, while the memory that it will read is fetched: the store's
/// `probe` functions ask for one piece after the other, each found by means of the one before. Whoever has many keys
/// before him takes each step for all of them; so their cache misses overlap.
///
/// It tells nothing of whether there is an entry, and may be used after any change of the store.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    pub(super) slot: SlotId,
    pub(super) fast: u64,
    /// The group of a table where the key's search begins; void before that is known.
    pub(super) home: Home,
}

/// A group of a table; of no table by default.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Home {
    pub(super) table: Handle,
    pub(super) group: u16,
}

impl Probe {
    /// The key's slot.
    #[inline]
    pub fn slot(&self) -> SlotId {
        self.slot
    }

    /// The key that the probe was made for, with what the probe knows of it.
    #[inline]
    pub fn key<'k>(&self, bytes: &'k [u8]) -> Key<'k> {
        debug_assert!(hash::fast(bytes) == self.fast, "the probe is of this key");
        Key { bytes, slot: self.slot, fast: self.fast }
    }
}
