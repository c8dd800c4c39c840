//! The protocols: bytes in, requests out; answers in, bytes out. No descriptors, no keys, no clock.
//!
//! A request is found where it lies: [`Args`] are spans of the bytes received, and nothing is copied. The parser
//! resumes: it remembers how far it looked, so that no byte is scanned twice, however the input is cut.

mod number;
mod output;
mod reply;
mod resp;
mod text;
mod typed;
mod words;

pub use number::{Digits, integer, memory_size, put_varint, short_line, varint};
pub use output::{Lost, Output, Piece};
pub use reply::{Encoding, Face, Progress, PushWord, Reply};
pub use typed::{Malformed, Token, Typed, TypedReader};
pub use words::{Args, OwnedArgs, Word, Words};

use crate::limits::{LINE_BYTES_MAX, UNAUTHENTICATED_BYTES_MAX};
use resp::Array;

/// In which of the two protocols a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A line of the text protocol.
    Line,
    /// A RESP array.
    Array,
}

/// What the parser found at the beginning of the bytes it was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// No whole request yet. The first `keep` bytes are needed again; those behind them are taken.
    Incomplete {
        /// How many bytes to show again, with more behind them.
        keep: usize,
    },
    /// `consumed` bytes that ask for nothing.
    Blank {
        /// How many bytes to skip.
        consumed: usize,
    },
    /// A request of `consumed` bytes; its words are in the words.
    Request {
        /// How many bytes the request takes.
        consumed: usize,
        /// In which protocol it came.
        form: Form,
    },
    /// Framing is lost: answer, flush, close.
    Broken(ParseError),
}

/// Why the bytes are no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// A text line beyond the limit.
    LineTooLong,
    /// The number of words is no number, or too large.
    MultibulkLength,
    /// More words than who has not authenticated may send.
    UnauthenticatedMultibulkLength,
    /// The line with the number of words does not end.
    MultibulkLine,
    /// Where a word's length should be, there is this instead.
    NoDollar(u8),
    /// A word's length is no number, or too large.
    BulkLength,
    /// A longer word than who has not authenticated may send.
    UnauthenticatedBulkLength,
    /// The line with a word's length does not end.
    BulkLine,
    /// More bytes in one request than [`crate::limits::REQUEST_BYTES_MAX`].
    RequestTooLarge,
    /// The system has no memory for a word.
    NoMemory,
}

impl ParseError {
    /// The error reply's text, its code first; for RESP in Redis's words.
    pub fn text(self) -> String {
        let what = match self {
            ParseError::LineTooLong => return "ERR line too long".into(),
            ParseError::MultibulkLength => "invalid multibulk length",
            ParseError::UnauthenticatedMultibulkLength => "unauthenticated multibulk length",
            ParseError::MultibulkLine => "too big mbulk count string",
            ParseError::NoDollar(byte) => {
                let shown = if byte.is_ascii_graphic() || byte == b' ' { char::from(byte) } else { '?' };
                return format!("ERR Protocol error: expected '$', got '{shown}'");
            }
            ParseError::BulkLength => "invalid bulk length",
            ParseError::UnauthenticatedBulkLength => "unauthenticated bulk length",
            ParseError::BulkLine => "too big bulk count string",
            ParseError::NoMemory => return "OOM the system has no memory left for this request".into(),
            ParseError::RequestTooLarge => "too big request",
        };
        format!("ERR Protocol error: {what}")
    }
}

/// Finds one request after the other; keeps only how far it has looked.
#[derive(Debug, Default)]
pub struct Parser {
    /// So many bytes at the front were looked at and hold no end of the line that they belong to.
    scanned: u32,
    /// An array of which a part has come.
    array: Option<Box<Array>>,
}

impl Parser {
    /// Looks for a request at the beginning of `input`, which continues what an `Incomplete` answer was given for.
    ///
    /// Its words are added to `words`. `trusted` tells whether the client may send more than what it takes to authenticate.
    /// `rest_of` tells, of a command's name as it was sent, which of its words takes the rest of the line in the text
    /// protocol (0: none).
    #[cfg_attr(memento_small, optimize(speed))]
    pub fn parse(
        &mut self,
        input: &[u8],
        words: &mut Words,
        trusted: bool,
        rest_of: impl FnOnce(&[u8]) -> usize,
    ) -> Parsed {
        if self.array.is_some() || input.first() == Some(&b'*') {
            if self.array.is_none()
                && trusted
                && let Some(consumed) = resp::parse_whole(input, words)
            {
                self.scanned = 0;
                return Parsed::Request { consumed, form: Form::Array };
            }
            return resp::parse(self, input, words, trusted);
        }
        let line_bytes_max = if trusted { LINE_BYTES_MAX } else { UNAUTHENTICATED_BYTES_MAX };
        text::parse(&mut self.scanned, input, words, line_bytes_max, rest_of)
    }

    /// Where the next bytes are to be received, if they belong to a long word: straight into what will be stored. They
    /// are not to be shown to [`Parser::parse`], but told of with [`Parser::recv_advance`].
    pub fn recv_space(&mut self) -> Option<&mut [u8]> {
        self.array.as_mut()?.recv_space()
    }

    /// So many bytes were received into the space; says whether the word is whole.
    pub fn recv_advance(&mut self, count: usize) -> bool {
        self.array.as_mut().is_some_and(|array| array.recv_advance(count))
    }

    /// Whether a part of an array was taken, which is not looked at again.
    pub fn is_amid(&self) -> bool {
        self.array.is_some()
    }

    /// Bytes of the long word that is being received.
    pub fn long_bytes(&self) -> usize {
        self.array.as_ref().map_or(0, |array| array.long_bytes())
    }

    /// Bytes that a request on its way holds here.
    pub fn bytes_used(&self) -> usize {
        self.array.as_ref().map_or(0, |array| array.bytes_used())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What a stream of bytes comes to: the words of each request, then the error that ended it.
    pub(crate) type Stream = (Vec<Vec<Vec<u8>>>, Option<ParseError>);

    /// Parses pieces as a connection does: what is left over is kept, and shown again with the next piece.
    pub(crate) fn parse_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, rest_of: fn(&[u8]) -> usize) -> Stream {
        let (mut parser, mut words, mut kept, mut requests) =
            (Parser::default(), Words::default(), Vec::new(), Vec::new());
        for mut piece in pieces {
            while let Some(space) = parser.recv_space() {
                let count = space.len().min(piece.len());
                space[..count].copy_from_slice(&piece[..count]);
                piece = &piece[count..];
                if !parser.recv_advance(count) && piece.is_empty() {
                    break;
                }
            }
            kept.extend_from_slice(piece);
            loop {
                words.clear();
                match parser.parse(&kept, &mut words, true, rest_of) {
                    Parsed::Incomplete { keep } => break kept.truncate(keep),
                    Parsed::Blank { consumed } => drop(kept.drain(..consumed)),
                    Parsed::Request { consumed, .. } => {
                        let args = Args::new(&kept[..consumed], &words);
                        requests.push(args.from(0).map(<[u8]>::to_vec).collect());
                        kept.drain(..consumed);
                    }
                    Parsed::Broken(error) => return (requests, Some(error)),
                }
            }
        }
        (requests, None)
    }

    /// Asserts that the bytes come to `wanted` whole, cut in two at every place, byte by byte, and doubled.
    pub(crate) fn check(input: &[u8], rest_of: fn(&[u8]) -> usize, wanted: &[&[&[u8]]]) {
        let wanted: Vec<Vec<Vec<u8>>> =
            wanted.iter().map(|words| words.iter().map(|word| word.to_vec()).collect()).collect();
        let same = |pieces: Vec<&[u8]>| {
            let got = parse_pieces(pieces.iter().copied(), rest_of);
            assert_eq!(got, (wanted.clone(), None), "in pieces {pieces:?}");
        };
        same(vec![input]);
        (0..=input.len()).for_each(|cut| same(vec![&input[..cut], &input[cut..]]));
        same(input.chunks(1).collect());
        let twice = [input, input].concat();
        let (requests, _) = parse_pieces([&twice[..]], rest_of);
        assert_eq!(requests, [&wanted[..], &wanted[..]].concat(), "pipelined");
    }
}
