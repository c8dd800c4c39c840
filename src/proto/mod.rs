//! The protocols: bytes in, requests out; answers in, bytes out. No descriptors, no keys, no clock.
//!
//! A request is found where it lies: [`Args`] are spans of the bytes received, and nothing is copied. The parser
//! resumes: it remembers how far it looked, so that no byte is scanned twice, however the input is cut.

mod number;
mod output;
mod reply;
mod text;

pub use number::{Digits, integer};
pub use output::{Output, Piece};
pub use reply::{Face, Progress, Reply};

use std::ops::Index;

/// Where an argument lies in the bytes of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

/// The words of one request, the command's name first, borrowed from the bytes received.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    bytes: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Args<'a> {
    /// The words that `spans` mark in `bytes`; at least one.
    pub fn new(bytes: &'a [u8], spans: &'a [Span]) -> Args<'a> {
        debug_assert!(!spans.is_empty());
        Args { bytes, spans }
    }

    /// How many words, the name included.
    #[expect(clippy::len_without_is_empty, reason = "a request has at least its name")]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// The command's name as it was sent.
    pub fn name(&self) -> &'a [u8] {
        self.slice(self.spans[0])
    }

    /// Word `index`, 0 being the name, where there is one.
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        self.spans.get(index).map(|&span| self.slice(span))
    }

    /// The words from `first` on.
    pub fn from(&self, first: usize) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let bytes = self.bytes;
        self.spans.get(first..).unwrap_or(&[]).iter().map(move |span| &bytes[span.start as usize..span.end as usize])
    }

    fn slice(&self, span: Span) -> &'a [u8] {
        &self.bytes[span.start as usize..span.end as usize]
    }
}

impl Index<usize> for Args<'_> {
    type Output = [u8];

    fn index(&self, index: usize) -> &[u8] {
        self.slice(self.spans[index])
    }
}

/// What the parser found at the beginning of the bytes it was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// No whole request yet.
    Incomplete,
    /// `consumed` bytes that ask for nothing.
    Blank {
        /// How many bytes to skip.
        consumed: usize,
    },
    /// A request of `consumed` bytes; its words are in the spans.
    Request {
        /// How many bytes the request takes.
        consumed: usize,
    },
    /// Framing is lost: answer, flush, close.
    Broken(ParseError),
}

/// Why the bytes are no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// A text line beyond [`crate::limits::LINE_BYTES_MAX`].
    LineTooLong,
}

impl ParseError {
    /// The error reply's text, its code first.
    pub fn text(self) -> &'static str {
        match self {
            ParseError::LineTooLong => "ERR line too long",
        }
    }
}

/// Finds one request after the other; keeps only how far it has looked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parser {
    /// So many bytes at the front were looked at and hold no line end.
    scanned: u32,
}

impl Parser {
    /// Looks for a request at the beginning of `input`, which continues what an `Incomplete` answer was given for.
    ///
    /// The words' places go to `spans`. `rest_of` tells, of a command's name as it was sent, which of its words takes the
    /// rest of the line in the text protocol (0: none).
    pub fn parse(&mut self, input: &[u8], spans: &mut Vec<Span>, rest_of: impl FnOnce(&[u8]) -> usize) -> Parsed {
        text::parse(&mut self.scanned, input, spans, rest_of)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What a stream of bytes comes to: the words of each request, then the error that ended it.
    pub(crate) type Stream = (Vec<Vec<Vec<u8>>>, Option<ParseError>);

    /// Parses pieces as a connection does: what is left over is kept, and shown again with the next piece.
    pub(crate) fn parse_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, rest_of: fn(&[u8]) -> usize) -> Stream {
        let (mut parser, mut spans, mut kept, mut requests) = (Parser::default(), Vec::new(), Vec::new(), Vec::new());
        for piece in pieces {
            kept.extend_from_slice(piece);
            loop {
                match parser.parse(&kept, &mut spans, rest_of) {
                    Parsed::Incomplete => break,
                    Parsed::Blank { consumed } => drop(kept.drain(..consumed)),
                    Parsed::Request { consumed } => {
                        let args = Args::new(&kept[..consumed], &spans);
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
