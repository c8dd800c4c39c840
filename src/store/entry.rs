//! A key with its value and its times: how they lie in memory. Knows nothing of slots, hashes and clocks.

use std::rc::Rc;

use crate::limits::INLINE_VALUE_BYTES_MAX;

/// A value, borrowed from where it is stored.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// The bytes of a short value.
    Inline(&'a [u8]),
    /// A value longer than [`INLINE_VALUE_BYTES_MAX`]: a clone of the `Rc` keeps these bytes as they are while a reply
    /// sends them; a change meanwhile is made to a copy.
    Shared(&'a Rc<Vec<u8>>),
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

/// An entry. The default one is a placeholder without a heap block, for the free lanes of a page.
pub(super) struct Entry(Body);

enum Body {
    /// One block: flags, creation time, key length, expiry if any, key, value up to the block's end.
    Small(Box<[u8]>),
    /// An entry whose value is longer than [`INLINE_VALUE_BYTES_MAX`].
    Large(Box<Large>),
}

struct Large {
    created_ms: u64,
    expires_ms: Option<u64>,
    key: Box<[u8]>,
    value: Rc<Vec<u8>>,
}

/// In a block's first byte: eight bytes of expiry stand before the key.
const FLAG_EXPIRES: u8 = 1;
/// In a block's first byte: the key's length takes four bytes, not one.
const FLAG_LONG_KEY: u8 = 2;

/// Creation times have six bytes, which last 8,900 years.
const CREATED_BYTES: usize = 6;
const CREATED_END: usize = 1 + CREATED_BYTES;

/// What an `Rc<Vec<u8>>` asks of the heap apart from the bytes: two counts and the vector's three words.
const SHARED_HEADER_BYTES: usize = 2 * size_of::<usize>() + size_of::<Vec<u8>>();

impl Default for Entry {
    fn default() -> Entry {
        Entry(Body::Small(Box::default()))
    }
}

impl Entry {
    /// A new entry. `created_ms` is below 2^48.
    pub(super) fn new(key: &[u8], value: &[u8], created_ms: u64, expires_ms: Option<u64>) -> Entry {
        if value.len() <= INLINE_VALUE_BYTES_MAX {
            Entry(Body::Small(small_block(key, value, created_ms, expires_ms)))
        } else {
            Entry::from_shared(key, Rc::new(value.to_vec()), created_ms, expires_ms)
        }
    }

    /// A new entry of a value longer than [`INLINE_VALUE_BYTES_MAX`], which is not copied.
    pub(super) fn from_shared(key: &[u8], value: Rc<Vec<u8>>, created_ms: u64, expires_ms: Option<u64>) -> Entry {
        debug_assert!(value.len() > INLINE_VALUE_BYTES_MAX);
        Entry(Body::Large(Box::new(Large { created_ms, expires_ms, key: key.into(), value })))
    }

    /// The entry under another key.
    pub(super) fn with_key(self, key: &[u8]) -> Entry {
        let (created_ms, expires_ms) = (self.created_ms(), self.expires_ms());
        match self.0 {
            Body::Small(block) => {
                let value = &block[KeySpan::of(&block).end..];
                Entry(Body::Small(small_block(key, value, created_ms, expires_ms)))
            }
            Body::Large(large) => Entry(Body::Large(Box::new(Large { key: key.into(), ..*large }))),
        }
    }

    /// A new entry with this one's value and expiry. A long value is shared by the two.
    pub(super) fn copied_to(&self, key: &[u8], created_ms: u64) -> Entry {
        let expires_ms = self.expires_ms();
        match self.value() {
            Value::Inline(value) => Entry::new(key, value, created_ms, expires_ms),
            Value::Shared(value) => {
                let value = Rc::clone(value);
                Entry(Body::Large(Box::new(Large { created_ms, expires_ms, key: key.into(), value })))
            }
        }
    }

    /// A byte of the entry's block, or 0 where that is not near: read to have the block in the cache, not for itself.
    #[inline]
    pub(super) fn touch(&self) -> u8 {
        match &self.0 {
            Body::Small(block) => block.first().copied().unwrap_or(0),
            Body::Large(_) => 0,
        }
    }

    /// The key.
    #[inline]
    pub(super) fn key(&self) -> &[u8] {
        match &self.0 {
            Body::Small(block) => {
                let key = KeySpan::of(block);
                &block[key.start..key.end]
            }
            Body::Large(large) => &large.key,
        }
    }

    /// The value.
    pub(super) fn value(&self) -> Value<'_> {
        match &self.0 {
            Body::Small(block) => Value::Inline(&block[KeySpan::of(block).end..]),
            Body::Large(large) => Value::Shared(&large.value),
        }
    }

    /// When the value was set, as the store was told.
    pub(super) fn created_ms(&self) -> u64 {
        match &self.0 {
            Body::Small(block) => {
                let mut bytes = [0; 8];
                bytes[..CREATED_BYTES].copy_from_slice(&block[1..CREATED_END]);
                u64::from_le_bytes(bytes)
            }
            Body::Large(large) => large.created_ms,
        }
    }

    /// When the entry ends, if ever.
    pub(super) fn expires_ms(&self) -> Option<u64> {
        match &self.0 {
            Body::Small(block) if block[0] & FLAG_EXPIRES == 0 => None,
            Body::Small(block) => {
                let start = KeySpan::of(block).start - 8;
                Some(u64::from_le_bytes(block[start..start + 8].try_into().expect("eight bytes")))
            }
            Body::Large(large) => large.expires_ms,
        }
    }

    /// Whether the entry is still there for a reader at this time.
    pub(super) fn is_live(&self, now_ms: u64) -> bool {
        self.expires_ms().is_none_or(|expires_ms| expires_ms > now_ms)
    }

    /// Heap bytes that the entry asked for.
    pub(super) fn block_bytes(&self) -> usize {
        match &self.0 {
            Body::Small(block) => block.len(),
            Body::Large(large) => size_of::<Large>() + large.key.len() + SHARED_HEADER_BYTES + large.value.capacity(),
        }
    }

    /// Sets value and times, without allocating where the lengths are the same as before.
    pub(super) fn replace(&mut self, value: &[u8], created_ms: u64, expires_ms: Option<u64>) {
        match &mut self.0 {
            Body::Small(block) if fits_in_place(block, value, expires_ms) => {
                write_times(block, created_ms, expires_ms);
                let start = KeySpan::of(block).end;
                block[start..].copy_from_slice(value);
            }
            Body::Large(large) if value.len() > INLINE_VALUE_BYTES_MAX => {
                large.created_ms = created_ms;
                large.expires_ms = expires_ms;
                large.set_value(value);
            }
            _ => *self = Entry::new(self.key(), value, created_ms, expires_ms),
        }
    }

    /// Sets the value; the times stay.
    pub(super) fn set_value(&mut self, value: &[u8]) {
        self.replace(value, self.created_ms(), self.expires_ms());
    }

    /// Sets or takes away the expiry; the value stays where it is if it is a long one.
    pub(super) fn set_expires(&mut self, expires_ms: Option<u64>) {
        let created_ms = self.created_ms();
        match &mut self.0 {
            Body::Small(block) => {
                let key = KeySpan::of(block);
                let (key, value) = (&block[key.start..key.end], &block[key.end..]);
                if fits_in_place(block, value, expires_ms) {
                    write_times(block, created_ms, expires_ms);
                } else {
                    *block = small_block(key, value, created_ms, expires_ms);
                }
            }
            Body::Large(large) => large.expires_ms = expires_ms,
        }
    }

    /// Adds bytes at the value's end.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        self.grow(bytes.len(), |buffer, _| buffer.extend_from_slice(bytes));
    }

    /// Adds bytes before the value's start.
    pub(super) fn prepend(&mut self, bytes: &[u8]) {
        self.grow(bytes.len(), |buffer, start| drop(buffer.splice(start..start, bytes.iter().copied())));
    }

    /// Writes bytes over the value from `offset` on; what lies between the old end and `offset` becomes zeros.
    pub(super) fn write_at(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        let extra = end.saturating_sub(self.value().bytes().len());
        self.grow(extra, |buffer, start| {
            buffer.resize(buffer.len() + extra, 0);
            buffer[start + offset..start + end].copy_from_slice(bytes);
        });
    }

    /// Edits the value in a buffer that has room for `extra` more bytes; the value begins at the given place of the
    /// buffer and ends at its end.
    fn grow(&mut self, extra: usize, edit: impl FnOnce(&mut Vec<u8>, usize)) {
        match &mut self.0 {
            Body::Small(block) if block.len() - KeySpan::of(block).end + extra <= INLINE_VALUE_BYTES_MAX => {
                let start = KeySpan::of(block).end;
                let mut buffer = std::mem::take(block).into_vec();
                buffer.reserve_exact(extra);
                edit(&mut buffer, start);
                *block = buffer.into_boxed_slice();
            }
            Body::Small(_) => {
                let mut large = Large {
                    created_ms: self.created_ms(),
                    expires_ms: self.expires_ms(),
                    key: self.key().into(),
                    value: Rc::new(self.value().bytes().to_vec()),
                };
                edit(large.value_with_room(extra), 0);
                self.0 = Body::Large(Box::new(large));
            }
            Body::Large(large) => edit(large.value_with_room(extra), 0),
        }
    }
}

impl Large {
    fn set_value(&mut self, value: &[u8]) {
        match Rc::get_mut(&mut self.value) {
            Some(old) if old.len() == value.len() => old.copy_from_slice(value),
            _ => self.value = Rc::new(value.to_vec()),
        }
    }

    /// The value to be changed: the stored one, or a copy of it where a reply has it pinned. Slack of a quarter makes
    /// appending cheap on the whole, where doubling would waste half of a small box.
    fn value_with_room(&mut self, extra: usize) -> &mut Vec<u8> {
        let length = self.value.len() + extra;
        if Rc::get_mut(&mut self.value).is_none() {
            let mut copy = Vec::with_capacity(length + length / 4);
            copy.extend_from_slice(&self.value);
            self.value = Rc::new(copy);
        }
        let value = Rc::get_mut(&mut self.value).expect("nobody else has what was just made");
        if length > value.capacity() {
            value.reserve_exact(extra + length / 4);
        }
        value
    }
}

/// Where the key lies in a block.
struct KeySpan {
    start: usize,
    end: usize,
}

impl KeySpan {
    fn of(block: &[u8]) -> KeySpan {
        let flags = block[0];
        let (length_end, length) = if flags & FLAG_LONG_KEY == 0 {
            (CREATED_END + 1, block[CREATED_END] as usize)
        } else {
            let length = block[CREATED_END..CREATED_END + 4].try_into().expect("four bytes");
            (CREATED_END + 4, u32::from_le_bytes(length) as usize)
        };
        let start = length_end + if flags & FLAG_EXPIRES == 0 { 0 } else { 8 };
        KeySpan { start, end: start + length }
    }
}

/// A block written from its parts.
fn small_block(key: &[u8], value: &[u8], created_ms: u64, expires_ms: Option<u64>) -> Box<[u8]> {
    let long_key = key.len() > u8::MAX as usize;
    let header_bytes = CREATED_END + if long_key { 4 } else { 1 } + if expires_ms.is_some() { 8 } else { 0 };
    let mut block = Vec::with_capacity(header_bytes + key.len() + value.len());
    let flags = if expires_ms.is_some() { FLAG_EXPIRES } else { 0 } | if long_key { FLAG_LONG_KEY } else { 0 };
    block.push(flags);
    block.extend_from_slice(&[0; CREATED_BYTES]);
    if long_key {
        let length = u32::try_from(key.len()).expect("the protocol bounds a key well below 4 GiB");
        block.extend_from_slice(&length.to_le_bytes());
    } else {
        block.push(key.len() as u8);
    }
    block.resize(header_bytes, 0);
    block.extend_from_slice(key);
    block.extend_from_slice(value);
    write_times(&mut block, created_ms, expires_ms);
    block.into_boxed_slice()
}

/// Whether value and expiry have the room of the old ones exactly.
fn fits_in_place(block: &[u8], value: &[u8], expires_ms: Option<u64>) -> bool {
    block.len() - KeySpan::of(block).end == value.len() && (block[0] & FLAG_EXPIRES != 0) == expires_ms.is_some()
}

/// Writes the times into a block that has room for the expiry if there is one.
fn write_times(block: &mut [u8], created_ms: u64, expires_ms: Option<u64>) {
    block[1..CREATED_END].copy_from_slice(&created_ms.to_le_bytes()[..CREATED_BYTES]);
    if let Some(expires_ms) = expires_ms {
        let start = KeySpan::of(block).start - 8;
        block[start..start + 8].copy_from_slice(&expires_ms.to_le_bytes());
    }
}

#[cfg(test)]
mod tests;
