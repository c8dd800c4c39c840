//! The words of a request, as they stand in its head: each a number, twice its length and whether it travels in pieces, and
//! its bytes where it does not.

use super::Malformed;
use crate::proto::{put_varint, varint};

/// Appends a word to a request's words.
#[inline]
pub fn put_word(out: &mut Vec<u8>, word: &[u8]) {
    put_varint(out, (word.len() as u64) << 1);
    out.extend_from_slice(word);
}

/// Appends the mark of a word of so many bytes that travels in pieces.
pub fn put_long_word(out: &mut Vec<u8>, bytes: usize) {
    put_varint(out, (bytes as u64) << 1 | 1);
}

/// A word of a request, by where its bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadWord {
    /// From `start` to `end` of the words' bytes.
    Here {
        /// Its first byte.
        start: usize,
        /// Behind its last byte.
        end: usize,
    },
    /// The next of the long words; it has so many bytes.
    Long {
        /// How many.
        bytes: u64,
    },
}

/// The words of a request, one after the other, until they end or are seen to be none.
#[derive(Clone, Debug)]
pub struct HeadWords<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> HeadWords<'a> {
    /// Of the bytes that are left when the parts and the last frame of a request are put together.
    pub fn new(bytes: &'a [u8]) -> HeadWords<'a> {
        HeadWords { bytes, at: 0 }
    }
}

impl Iterator for HeadWords<'_> {
    type Item = Result<HeadWord, Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Result<HeadWord, Malformed>> {
        let rest = &self.bytes[self.at..];
        if rest.is_empty() {
            return None;
        }
        let word = match varint(rest) {
            Some((mark, taken)) if mark & 1 == 0 && mark >> 1 <= (rest.len() - taken) as u64 => {
                let start = self.at + taken;
                let end = start + (mark >> 1) as usize;
                self.at = end;
                Ok(HeadWord::Here { start, end })
            }
            Some((mark, taken)) if mark & 1 == 1 => {
                self.at += taken;
                Ok(HeadWord::Long { bytes: mark >> 1 })
            }
            _ => {
                self.at = self.bytes.len();
                Err(Malformed::Value { what: "a word of a request" })
            }
        };
        Some(word)
    }
}
