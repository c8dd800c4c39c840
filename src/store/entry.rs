//! A key with its value and its times: how they lie in a block. Knows nothing of slots, hashes and clocks.
//!
//! A block begins with five bytes that hold the creation time and whether the entry ends late, then the lengths of key
//! and value, of one byte or two each; then when it ends, if that is late; then the key, then the value. An entry with a
//! long key or value has the number of its place among [`Longs`] there instead.
//!
//! When entries end stands in the page's table; only a time that has no room there ([`TIME_LATE`]) is in the block.

use std::rc::Rc;

use super::arena;
use super::long::{Long, Longs};
use super::table::TIME_LATE;
use crate::blob::Blob;
use crate::limits::INLINE_VALUE_BYTES_MAX;

/// A value, borrowed from where it is stored.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// The bytes of a short value.
    Inline(&'a [u8]),
    /// A value longer than [`INLINE_VALUE_BYTES_MAX`]: a clone of the `Rc` keeps these bytes as they are while a reply
    /// sends them; a change meanwhile is made to a copy.
    Shared(&'a Rc<Blob>),
}

impl<'a> Value<'a> {
    /// The bytes, whichever way they are stored.
    pub fn bytes(&self) -> &'a [u8] {
        match *self {
            Value::Inline(bytes) => bytes,
            Value::Shared(bytes) => bytes,
        }
    }
}

/// The times that an entry's block tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    /// When the value was set.
    pub(super) created_ms: u64,
    /// When the entry ends, if that is not before [`TIME_LATE`].
    pub(super) late_ms: Option<u64>,
}

impl Times {
    /// Those of an entry that was made then and ends then, if ever.
    pub(super) fn new(created_ms: u64, expires_ms: Option<u64>) -> Times {
        Times { created_ms, late_ms: late(expires_ms) }
    }

    /// How many bytes the late expiry takes.
    fn late_bytes(&self) -> usize {
        if self.late_ms.is_some() { LATE_BYTES } else { 0 }
    }
}

/// The expiry, if it is to stand in the block.
pub(super) fn late(expires_ms: Option<u64>) -> Option<u64> {
    expires_ms.filter(|&expires_ms| expires_ms >= TIME_LATE)
}

/// A key of more bytes is kept apart from the block.
const INLINE_KEY_BYTES_MAX: usize = 1024;

/// Creation times have 39 bits, beside one that tells of a late expiry: a clock that starts with the box reaches that after
/// seventeen years, and stands still then.
const CREATED_MS_MAX: u64 = (1 << 39) - 1;
const CREATED_END: usize = 5;

const LATE_BYTES: usize = 8;

/// A length below this has one byte. Others have two, the lower seven bits first, with this bit set in the first.
const LENGTH_MORE: usize = 0x80;

/// What stands for the key's length where key and value are kept apart: more than any key has in a block.
const LENGTH_LONG: usize = 0x3FFF;

/// The number of a place, which stands as the value then.
const PLACE_BYTES: usize = 4;

const _: () = assert!(INLINE_KEY_BYTES_MAX < LENGTH_LONG && INLINE_VALUE_BYTES_MAX <= LENGTH_LONG);
const _: () =
    assert!(CREATED_END + 4 + LATE_BYTES + INLINE_KEY_BYTES_MAX + INLINE_VALUE_BYTES_MAX <= arena::BLOCK_BYTES_MAX);

/// Whether key and value of these lengths are kept apart from the block.
pub(super) fn is_long(key_bytes: usize, value_bytes: usize) -> bool {
    key_bytes > INLINE_KEY_BYTES_MAX || value_bytes > INLINE_VALUE_BYTES_MAX
}

/// Where things lie in a block.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    is_long: bool,
    key_start: usize,
    key_end: usize,
    value_end: usize,
}

impl Layout {
    /// Of a block with key and value of these lengths.
    pub(super) fn of(key_bytes: usize, value_bytes: usize, times: Times) -> Layout {
        debug_assert!(!is_long(key_bytes, value_bytes));
        let lengths_end = CREATED_END + length_bytes(key_bytes) + length_bytes(value_bytes);
        Layout::ending(lengths_end + times.late_bytes(), key_bytes, value_bytes, false)
    }

    /// Of a block that tells where key and value are kept.
    pub(super) fn of_place(times: Times) -> Layout {
        let lengths_end = CREATED_END + length_bytes(LENGTH_LONG) + length_bytes(PLACE_BYTES);
        Layout::ending(lengths_end + times.late_bytes(), 0, PLACE_BYTES, true)
    }

    /// Of a block that is written.
    #[inline]
    pub(super) fn read(block: &[u8]) -> Layout {
        let head = u64::from_le_bytes(*block.first_chunk().expect("a block has eight bytes"));
        let late_bytes = if head & 1 == 1 { LATE_BYTES } else { 0 };
        let (key, value) = (head >> (8 * CREATED_END) & 0xFF, head >> (8 * CREATED_END + 8) & 0xFF);
        if (key | value) < LENGTH_MORE as u64 {
            return Layout::ending(CREATED_END + 2 + late_bytes, key as usize, value as usize, false);
        }
        Layout::read_long_lengths(block, late_bytes)
    }

    /// Goes on where a length has two bytes.
    #[cfg_attr(memento_small, inline(never))]
    fn read_long_lengths(block: &[u8], late_bytes: usize) -> Layout {
        let (key_bytes, at) = read_length(block, CREATED_END);
        let (value_bytes, at) = read_length(block, at);
        let is_long = key_bytes == LENGTH_LONG;
        Layout::ending(at + late_bytes, if is_long { 0 } else { key_bytes }, value_bytes, is_long)
    }

    /// Writes a value over one that is as long, in a block where nothing else changes but the time; false, and nothing is
    /// written, where more is to be done.
    #[inline(always)]
    pub(super) fn overwrite(block: &mut [u8], value: &[u8], times: Times) -> bool {
        let layout = Layout::read(block);
        let fits = !layout.is_long && layout.value_end - layout.key_end == value.len();
        if !fits || block[0] & 1 == 1 || times.late_ms.is_some() {
            return false;
        }
        write_head(block, times);
        block[layout.key_end..layout.value_end].copy_from_slice(value);
        true
    }

    /// Writes bytes over a part of a value that stands in its block; false, and nothing is written, where it does not, or
    /// where they go beyond its end.
    pub(super) fn write_within(block: &mut [u8], offset: usize, bytes: &[u8]) -> bool {
        let layout = Layout::read(block);
        let value = &mut block[layout.key_end..layout.value_end];
        match value.get_mut(offset..offset + bytes.len()) {
            Some(part) if !layout.is_long => {
                part.copy_from_slice(bytes);
                true
            }
            _ => false,
        }
    }

    #[inline]
    fn ending(key_start: usize, key_bytes: usize, value_bytes: usize, is_long: bool) -> Layout {
        let key_end = key_start + key_bytes;
        Layout { is_long, key_start, key_end, value_end: key_end + value_bytes }
    }

    /// How many bytes a block needs for it.
    pub(super) fn bytes(&self) -> usize {
        self.value_end
    }

    /// Writes it into a block with all that it speaks of; where key and value are kept apart, the value is the number of
    /// their place, and the key is empty.
    pub(super) fn write(&self, block: &mut [u8], key: &[u8], value: &[u8], times: Times) {
        write_head(block, times);
        let at = write_length(block, CREATED_END, if self.is_long { LENGTH_LONG } else { key.len() });
        let at = write_length(block, at, value.len());
        if let Some(late_ms) = times.late_ms {
            block[at..at + LATE_BYTES].copy_from_slice(&late_ms.to_le_bytes());
        }
        block[self.key_start..self.key_end].copy_from_slice(key);
        block[self.key_end..self.value_end].copy_from_slice(value);
    }
}

/// Where the lengths end.
fn lengths_end(block: &[u8]) -> usize {
    let (_, at) = read_length(block, CREATED_END);
    let (_, at) = read_length(block, at);
    at
}

fn length_bytes(length: usize) -> usize {
    if length < LENGTH_MORE { 1 } else { 2 }
}

/// Writes when the value was set, and whether a late expiry follows.
#[inline]
fn write_head(block: &mut [u8], times: Times) {
    let head = times.created_ms.min(CREATED_MS_MAX) << 1 | u64::from(times.late_ms.is_some());
    block[..CREATED_END].copy_from_slice(&head.to_le_bytes()[..CREATED_END]);
}

/// A length, and where it ends.
fn read_length(block: &[u8], at: usize) -> (usize, usize) {
    let low = block[at] as usize;
    if low < LENGTH_MORE { (low, at + 1) } else { (low - LENGTH_MORE + ((block[at + 1] as usize) << 7), at + 2) }
}

/// Writes a length; returns where it ends.
fn write_length(block: &mut [u8], at: usize, length: usize) -> usize {
    if length < LENGTH_MORE {
        block[at] = length as u8;
        return at + 1;
    }
    block[at] = (LENGTH_MORE + length % LENGTH_MORE) as u8;
    block[at + 1] = (length >> 7) as u8;
    at + 2
}

/// Whether these bytes are those. Most keys have 8 to 32 bytes: words that overlap hold all of them, so that no function
/// is called for it.
#[inline]
#[cfg_attr(memento_small, optimize(speed))]
fn is_same(these: &[u8], those: &[u8]) -> bool {
    let word = |bytes: &[u8], at: usize| u64::from_le_bytes(*bytes[at..].first_chunk().expect("eight bytes"));
    let differs = |at: usize| word(these, at) ^ word(those, at);
    let len = these.len();
    len == those.len()
        && match len {
            8..=16 => differs(0) | differs(len - 8) == 0,
            17..=32 => differs(0) | differs(8) | differs(len - 16) | differs(len - 8) == 0,
            _ => these == those,
        }
}

/// An entry, to be read.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    block: &'a [u8],
    longs: &'a Longs,
}

impl<'a> Entry<'a> {
    /// The entry in a block, which may be followed by anything.
    #[inline]
    pub(super) fn of(block: &'a [u8], longs: &'a Longs) -> Entry<'a> {
        Entry { block, longs }
    }

    /// Where things lie.
    #[inline]
    pub(super) fn layout(&self) -> Layout {
        Layout::read(self.block)
    }

    /// The place of key and value that are kept apart.
    pub(super) fn place(&self) -> Option<u32> {
        let layout = self.layout();
        layout.is_long.then(|| {
            u32::from_le_bytes(self.block[layout.key_end..layout.value_end].try_into().expect("a place's number"))
        })
    }

    fn long(&self) -> Option<&'a Long> {
        self.place().map(|place| self.longs.get(place))
    }

    /// The key.
    #[inline]
    pub(super) fn key(&self) -> &'a [u8] {
        let layout = self.layout();
        if layout.is_long {
            return self.long().map_or(&[], |long| &long.key);
        }
        &self.block[layout.key_start..layout.key_end]
    }

    /// Whether this is its key.
    #[inline(always)]
    pub(super) fn has_key(&self, key: &[u8]) -> bool {
        let layout = self.layout();
        if layout.is_long {
            return self.has_long_key(key);
        }
        is_same(&self.block[layout.key_start..layout.key_end], key)
    }

    #[cfg_attr(memento_small, inline(never))]
    fn has_long_key(&self, key: &[u8]) -> bool {
        self.key() == key
    }

    /// The value.
    #[inline(always)]
    pub(super) fn value(&self) -> Value<'a> {
        let layout = self.layout();
        if !layout.is_long {
            return Value::Inline(&self.block[layout.key_end..layout.value_end]);
        }
        self.long_value()
    }

    #[inline(never)]
    fn long_value(&self) -> Value<'a> {
        match self.long() {
            Some(long) if long.value.len() > INLINE_VALUE_BYTES_MAX => Value::Shared(&long.value),
            Some(long) => Value::Inline(&long.value),
            None => Value::Inline(&[]),
        }
    }

    /// When the value was set, as the store was told.
    pub(super) fn created_ms(&self) -> u64 {
        let head = u64::from_le_bytes(*self.block.first_chunk().expect("a block has eight bytes"));
        head >> 1 & CREATED_MS_MAX
    }

    /// When the entry ends, if that is late.
    #[cfg_attr(memento_small, inline(never))]
    fn late_ms(&self) -> Option<u64> {
        let at = lengths_end(self.block);
        let is_late = self.block[0] & 1 == 1;
        is_late.then(|| u64::from_le_bytes(*self.block[at..].first_chunk().expect("a late expiry has eight bytes")))
    }

    /// When the entry ends, whose page has this time for it.
    #[inline]
    pub(super) fn expires_ms(&self, time: Option<u64>) -> Option<u64> {
        if time == Some(TIME_LATE) { self.late_ms() } else { time }
    }

    /// Both times.
    pub(super) fn times(&self) -> Times {
        Times { created_ms: self.created_ms(), late_ms: self.late_ms() }
    }

    /// Bytes of the block, and of what is kept apart from it.
    pub(super) fn bytes(&self) -> usize {
        arena::block_bytes(self.layout().bytes()) + self.long().map_or(0, Long::bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_the_same_or_differ_at_any_place() {
        for len in 0..70 {
            let these: Vec<u8> = (0..len).collect();
            assert!(is_same(&these, &these.clone()));
            assert!(!is_same(&these, &[&these[..], b"x"].concat()), "{len}");
            for at in 0..these.len() {
                let mut those = these.clone();
                those[at] ^= 0x80;
                assert!(!is_same(&these, &those), "{len} {at}");
            }
        }
    }
}
