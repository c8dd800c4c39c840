//! What encoders write: bytes, and between them values that are sent from where they are stored.

use crate::blob::Blob;
use crate::limits::{OUTPUT_HARD_BYTES_MAX, SEND_PIECES_MAX};
use std::rc::Rc;

/// Encoded replies on their way out.
#[derive(Default)]
pub struct Output {
    bytes: Vec<u8>,
    /// Values to be sent between the bytes: each after the byte count that stands beside it.
    shared: Vec<(usize, Rc<Blob>)>,
    shared_bytes: usize,
    lost: Option<Lost>,
}

/// Why a part of an [`Output`] is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// It is larger than [`OUTPUT_HARD_BYTES_MAX`].
    TooLarge,
    /// The system has no memory for it.
    NoMemory,
}

/// A place in an [`Output`].
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    bytes: usize,
    shared: usize,
    shared_bytes: usize,
    lost: Option<Lost>,
}

/// A part of an [`Output`], in the order of sending.
pub enum Piece<'a> {
    /// Copied bytes.
    Bytes(&'a [u8]),
    /// A stored value.
    Shared(&'a Rc<Blob>),
}

impl Output {
    /// Appends bytes. Beyond [`OUTPUT_HARD_BYTES_MAX`], or where there is no memory, they are dropped, and
    /// [`Output::lost`] says so.
    #[inline]
    #[cfg_attr(memento_small, optimize(speed))]
    pub fn push(&mut self, bytes: &[u8]) {
        if bytes.len() <= self.bytes.capacity() - self.bytes.len() {
            self.bytes.extend_from_slice(bytes);
        } else {
            self.grow_and_push(bytes);
        }
    }

    #[cold]
    #[inline(never)]
    fn grow_and_push(&mut self, bytes: &[u8]) {
        if self.grow(bytes.len()) {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Makes room for so many more bytes: twice as much as there is, but never beyond the limit; so what fits the room
    /// that is there keeps to the limit.
    fn grow(&mut self, more: usize) -> bool {
        let (len, capacity) = (self.bytes.len(), self.bytes.capacity());
        if len + more > OUTPUT_HARD_BYTES_MAX {
            self.lost = Some(Lost::TooLarge);
            return false;
        }
        let wanted = (2 * capacity).clamp(len + more, OUTPUT_HARD_BYTES_MAX).max(64);
        let grown = self.bytes.try_reserve_exact(wanted - len).or_else(|_| self.bytes.try_reserve_exact(more));
        if grown.is_err() {
            self.lost.get_or_insert(Lost::NoMemory);
        }
        grown.is_ok()
    }

    /// Appends the first `count` of eight bytes, which the caller has in a register: so they are written with one store.
    #[inline]
    pub fn push_few(&mut self, bytes: [u8; 8], count: usize) {
        let count = count.min(8);
        let end = self.bytes.len() + count;
        if bytes.len() <= self.bytes.capacity() - self.bytes.len() {
            self.bytes.extend_from_slice(&bytes);
            self.bytes.truncate(end);
        } else {
            self.push(&bytes[..count]);
        }
    }

    /// Appends a stored value without a copy; it stays as it is until it is sent.
    pub fn push_shared(&mut self, value: &Rc<Blob>) {
        if self.shared.len() == self.shared.capacity() && self.shared.try_reserve(1).is_err() {
            self.lost.get_or_insert(Lost::NoMemory);
            return;
        }
        self.shared_bytes += value.len();
        self.shared.push((self.bytes.len(), Rc::clone(value)));
    }

    /// Where it ends now.
    pub fn mark(&self) -> Mark {
        let Output { bytes, shared, shared_bytes, lost } = self;
        Mark { bytes: bytes.len(), shared: shared.len(), shared_bytes: *shared_bytes, lost: *lost }
    }

    /// Takes back everything behind a mark.
    pub fn truncate(&mut self, mark: Mark) {
        self.bytes.truncate(mark.bytes);
        self.shared.truncate(mark.shared);
        self.shared_bytes = mark.shared_bytes;
        self.lost = mark.lost;
    }

    /// The bytes, where no stored value stands between them.
    pub fn plain(&self) -> Option<&[u8]> {
        self.shared.is_empty().then_some(&self.bytes)
    }

    /// The copied bytes alone, without the stored values between them.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The stored values alone, in order.
    pub fn longs(&self) -> impl ExactSizeIterator<Item = &Rc<Blob>> {
        self.shared.iter().map(|(_, value)| value)
    }

    /// Everything, in order.
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        let (mut at, mut shared) = (0, self.shared.iter().peekable());
        std::iter::from_fn(move || {
            let end = shared.peek().map_or(self.bytes.len(), |(after, _)| *after);
            if at < end {
                let start = std::mem::replace(&mut at, end);
                return Some(Piece::Bytes(&self.bytes[start..end]));
            }
            shared.next().map(|(_, value)| Piece::Shared(value))
        })
    }

    /// How many bytes were copied here; stored values do not count.
    pub fn copied_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// How many bytes of stored values are to be sent.
    pub fn shared_bytes(&self) -> usize {
        self.shared_bytes
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.shared.is_empty()
    }

    /// Whether bytes were dropped, and why: what is here is not whole then, and must not be sent.
    #[inline]
    pub fn lost(&self) -> Option<Lost> {
        self.lost
    }

    /// Empties it for the next replies. Room for four times `bytes_max` is kept where it is there: what a
    /// turn usually overshoots by must not be given back and asked for again each time.
    pub fn clear(&mut self, bytes_max: usize) {
        self.bytes.clear();
        self.lost = None;
        if self.bytes.capacity() > 4 * bytes_max || !self.shared.is_empty() || self.shared.capacity() > SEND_PIECES_MAX
        {
            self.give_back(bytes_max);
        }
    }

    /// What [`Output::clear`] seldom has to do.
    #[cfg_attr(memento_small, inline(never))]
    fn give_back(&mut self, bytes_max: usize) {
        if self.bytes.capacity() > 4 * bytes_max {
            self.bytes.shrink_to(bytes_max);
        }
        self.shared.clear();
        self.shared.shrink_to(SEND_PIECES_MAX);
        self.shared_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_bytes_are_those_that_were_meant() {
        let mut output = Output::default();
        for count in 0..=8 {
            output.push_few(*b"01234567", count);
            output.push(b" ");
        }
        assert_eq!(output.bytes(), b" 0 01 012 0123 01234 012345 0123456 01234567 ");
    }

    #[test]
    fn pieces_come_in_order() {
        let mut output = Output::default();
        let value = Rc::new(Blob::from(&b"VALUE"[..]));
        output.push_shared(&value);
        output.push(b"ab");
        output.push(b"c");
        output.push_shared(&value);
        output.push_shared(&value);
        output.push(b"d");
        let flat: Vec<u8> = output
            .pieces()
            .flat_map(|piece| match piece {
                Piece::Bytes(bytes) => bytes.to_vec(),
                Piece::Shared(value) => value.to_vec(),
            })
            .collect();
        assert_eq!(flat, b"VALUEabcVALUEVALUEd");
        assert_eq!((output.copied_bytes(), output.shared_bytes(), output.plain()), (4, 15, None));
        assert_eq!(Rc::strong_count(&value), 4);
        output.clear(0);
        assert_eq!((Rc::strong_count(&value), output.is_empty(), output.plain()), (1, true, Some(&b""[..])));
    }

    #[test]
    fn too_much_is_dropped_and_told() {
        let mut output = Output::default();
        output.push(&vec![0; OUTPUT_HARD_BYTES_MAX]);
        assert_eq!(output.lost(), None);
        output.push_few(*b"01234567", 0);
        assert_eq!(output.lost(), None);
        output.push(b"x");
        assert_eq!(output.lost(), Some(Lost::TooLarge));
        assert_eq!(output.copied_bytes(), OUTPUT_HARD_BYTES_MAX);
        output.clear(1000);
        assert_eq!(output.lost(), None);
    }

    #[test]
    fn room_grows_to_the_limit_and_no_further() {
        let mut output = Output::default();
        for _ in 0..OUTPUT_HARD_BYTES_MAX / 100_000 {
            output.push(&[0; 100_000]);
            assert!(output.lost().is_none() && output.bytes.capacity() <= OUTPUT_HARD_BYTES_MAX);
        }
        let left = OUTPUT_HARD_BYTES_MAX - output.copied_bytes();
        output.push(&vec![0; left - 3]);
        output.push_few(*b"01234567", 3);
        assert_eq!((output.lost(), output.copied_bytes()), (None, OUTPUT_HARD_BYTES_MAX));
        output.push_few(*b"01234567", 1);
        assert_eq!((output.lost(), output.copied_bytes()), (Some(Lost::TooLarge), OUTPUT_HARD_BYTES_MAX));
    }
}
