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
    overflowed: bool,
}

/// A place in an [`Output`].
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    bytes: usize,
    shared: usize,
    shared_bytes: usize,
    overflowed: bool,
}

/// A part of an [`Output`], in the order of sending.
pub enum Piece<'a> {
    /// Copied bytes.
    Bytes(&'a [u8]),
    /// A stored value.
    Shared(&'a Rc<Blob>),
}

impl Output {
    /// Appends bytes. Beyond [`OUTPUT_HARD_BYTES_MAX`] they are dropped, and [`Output::overflowed`] says so.
    #[inline]
    pub fn push(&mut self, bytes: &[u8]) {
        if self.bytes.len() + bytes.len() > OUTPUT_HARD_BYTES_MAX {
            self.overflowed = true;
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Appends the first `count` of eight bytes, which the caller has in a register: so they are written with one store.
    #[inline]
    pub fn push_few(&mut self, bytes: [u8; 8], count: usize) {
        let end = self.bytes.len() + count.min(8);
        if end > OUTPUT_HARD_BYTES_MAX {
            self.overflowed = true;
        } else {
            self.bytes.extend_from_slice(&bytes);
            self.bytes.truncate(end);
        }
    }

    /// Appends a stored value without a copy; it stays as it is until it is sent.
    pub fn push_shared(&mut self, value: &Rc<Blob>) {
        self.shared_bytes += value.len();
        self.shared.push((self.bytes.len(), Rc::clone(value)));
    }

    /// Where it ends now.
    pub fn mark(&self) -> Mark {
        let Output { bytes, shared, shared_bytes, overflowed } = self;
        Mark { bytes: bytes.len(), shared: shared.len(), shared_bytes: *shared_bytes, overflowed: *overflowed }
    }

    /// Takes back everything behind a mark.
    pub fn truncate(&mut self, mark: Mark) {
        self.bytes.truncate(mark.bytes);
        self.shared.truncate(mark.shared);
        self.shared_bytes = mark.shared_bytes;
        self.overflowed = mark.overflowed;
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
        let mut at = 0;
        let shared = self.shared.iter().flat_map(move |(after, value)| {
            let bytes = &self.bytes[at..*after];
            at = *after;
            [Piece::Bytes(bytes), Piece::Shared(value)]
        });
        let last = self.shared.last().map_or(0, |(after, _)| *after);
        let pieces = shared.chain([Piece::Bytes(&self.bytes[last..])]);
        pieces.filter(|piece| !matches!(piece, Piece::Bytes(bytes) if bytes.is_empty()))
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

    /// Whether bytes were dropped: what is here is not whole, and must not be sent.
    pub fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// Empties it for the next replies. Room for four times `bytes_max` is kept where it is there: what a
    /// turn usually overshoots by must not be given back and asked for again each time.
    pub fn clear(&mut self, bytes_max: usize) {
        self.bytes.clear();
        if self.bytes.capacity() > 4 * bytes_max {
            self.bytes.shrink_to(bytes_max);
        }
        self.shared.clear();
        self.shared.shrink_to(SEND_PIECES_MAX);
        self.shared_bytes = 0;
        self.overflowed = false;
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
        assert!(!output.overflowed());
        output.push(b"x");
        assert!(output.overflowed());
        assert_eq!(output.copied_bytes(), OUTPUT_HARD_BYTES_MAX);
        output.clear(1000);
        assert!(!output.overflowed());
    }
}
