//! RESP requests: an array of bulk strings, `*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n`.
//!
//! What a header announces is believed only as its bytes arrive: nothing is allocated for a length alone. Errors, and
//! what is not looked at (the byte behind a CR, the two behind a bulk), are as Redis has them.

use super::{Form, ParseError, Parsed, Parser, Words, integer};
use crate::blob::Blob;
use crate::limits::{
    ARGS_MAX, HEADER_BYTES_MAX, LONG_RECEIVE_BYTES_MAX, RECEIVED_WHOLE_BYTES_MAX, REQUEST_BYTES_MAX,
    UNAUTHENTICATED_ARGS_MAX, UNAUTHENTICATED_BYTES_MAX, VALUE_BYTES_MAX,
};
use std::rc::Rc;

/// The space for a long word grows by at least so much at a time.
const LONG_STEP_BYTES: usize = 32 * 1024;

const _: () = assert!(LONG_STEP_BYTES <= LONG_RECEIVE_BYTES_MAX);

/// A request on its way: how far the parser is in its bytes, and what it expects next.
#[derive(Debug, Default)]
pub(super) struct Array {
    words: Words,
    /// So many bytes of the request's input are parsed.
    at: usize,
    /// So many words are still to come.
    missing: usize,
    /// The length of the word that comes next, once its header is parsed.
    bulk: Option<usize>,
    /// A long word that is being received.
    long: Option<Long>,
}

/// A long word that is being received; its length runs ahead of what has come.
#[derive(Debug)]
struct Long {
    bytes: Blob,
    filled: usize,
    length: usize,
    /// Whether there was no memory for more of it: then what is received is of no use, and the request is over.
    failed: bool,
}

impl Long {
    fn is_whole(&self) -> bool {
        self.filled == self.length
    }

    fn space(&mut self) -> &mut [u8] {
        if self.filled == self.bytes.len() {
            // By half of what has come, since what is announced is not believed.
            let step = (self.filled / 2).clamp(LONG_STEP_BYTES, LONG_RECEIVE_BYTES_MAX).min(self.length - self.filled);
            if self.bytes.try_reserve(step).is_err() {
                self.failed = true;
                return &mut self.bytes;
            }
            self.bytes.lengthen(self.filled + step);
        }
        &mut self.bytes[self.filled..]
    }
}

impl Array {
    pub(super) fn recv_space(&mut self) -> Option<&mut [u8]> {
        self.long.as_mut().filter(|long| !long.is_whole()).map(Long::space)
    }

    pub(super) fn recv_advance(&mut self, count: usize) -> bool {
        self.long.as_mut().is_some_and(|long| {
            if !long.failed {
                long.filled += count;
            }
            long.is_whole() || long.failed
        })
    }

    pub(super) fn bytes_used(&self) -> usize {
        self.words.bytes_used() + self.long_bytes()
    }

    /// Bytes of the long word that is being received.
    pub(super) fn long_bytes(&self) -> usize {
        self.long.as_ref().map_or(0, |long| long.bytes.bytes_used())
    }
}

/// See [`Parser::parse`].
#[inline(never)]
pub(super) fn parse(parser: &mut Parser, input: &[u8], words: &mut Words, trusted: bool) -> Parsed {
    let mut array = match parser.array.take() {
        Some(boxed) => *boxed,
        None => {
            let count = match header(&mut parser.scanned, input, 1) {
                Header::Incomplete => return Parsed::Incomplete { keep: input.len() },
                Header::Endless => return Parsed::Broken(ParseError::MultibulkLine),
                Header::Line(text, end) => match word_count(text, trusted) {
                    Ok(0) => return Parsed::Blank { consumed: end },
                    Ok(count) => (count, end),
                    Err(error) => return Parsed::Broken(error),
                },
            };
            Array { at: count.1, missing: count.0, ..Array::default() }
        }
    };
    let parsed = go_on(&mut array, &mut parser.scanned, input, trusted);
    if matches!(parsed, Parsed::Incomplete { .. }) {
        if input.len() + array.bytes_used() > REQUEST_BYTES_MAX {
            return Parsed::Broken(ParseError::RequestTooLarge);
        }
        parser.array = Some(Box::new(array));
    } else if matches!(parsed, Parsed::Request { .. }) && !words.append(array.words) {
        return Parsed::Broken(ParseError::NoMemory);
    }
    parsed
}

/// Parses an array of which all bytes are here and nothing is out of the ordinary: nearly every one. None for others,
/// which [`parse`] looks at more closely.
#[inline]
#[cfg_attr(memento_small, optimize(speed))]
pub(super) fn parse_whole(input: &[u8], words: &mut Words) -> Option<usize> {
    let before = words.len();
    let (count, mut at) = short_header(input, 0, b'*')?;
    for _ in 0..count {
        let word = short_header(input, at, b'$').map(|(length, start)| (start, start + length));
        let Some((start, end)) = word.filter(|(_, end)| end + 2 <= input.len()) else {
            words.truncate(before);
            return None;
        };
        words.push(start, end);
        at = end + 2;
    }
    (count > 0).then_some(at)
}

/// The number in a header of this mark that begins at `at`, if it has up to three digits, and where the bytes behind its
/// line begin. Six bytes there are in any request that is whole.
#[inline(always)]
fn short_header(input: &[u8], at: usize, mark: u8) -> Option<(usize, usize)> {
    let &[first, digits @ .., _] = input.get(at..)?.first_chunk::<6>()?;
    let [one, two, three] = [digits[0], digits[1], digits[2]].map(|byte| usize::from(byte.wrapping_sub(b'0')));
    let (number, length) = match digits {
        [_, b'\r', ..] => (one, 1),
        [_, _, b'\r', _] if two < 10 => (one * 10 + two, 2),
        [_, _, _, b'\r'] if two < 10 && three < 10 => (one * 100 + two * 10 + three, 3),
        _ => return None,
    };
    // No number begins with a zero but zero itself.
    let is_number = one < 10 && (one > 0 || length == 1);
    (first == mark && is_number).then_some((number, at + 1 + length + 2))
}

fn go_on(array: &mut Array, scanned: &mut u32, input: &[u8], trusted: bool) -> Parsed {
    let lacks_memory = |array: &Array| array.long.as_ref().is_some_and(|long| long.failed);
    if lacks_memory(array) {
        return Parsed::Broken(ParseError::NoMemory);
    }
    while array.missing > 0 {
        if !array.words.make_room(1) {
            return Parsed::Broken(ParseError::NoMemory);
        }
        let length = match array.bulk {
            Some(length) => length,
            None => match input.get(array.at) {
                None => return Parsed::Incomplete { keep: input.len() },
                Some(b'$') => match header(scanned, input, array.at + 1) {
                    Header::Incomplete => return Parsed::Incomplete { keep: input.len() },
                    Header::Endless => return Parsed::Broken(ParseError::BulkLine),
                    Header::Line(text, end) => match bulk_length(text, trusted) {
                        Ok(length) => {
                            array.at = end;
                            length
                        }
                        Err(error) => return Parsed::Broken(error),
                    },
                },
                // As Redis, which waits for a line's end before it looks at what begins it.
                Some(&byte) => match header(scanned, input, array.at) {
                    Header::Incomplete => return Parsed::Incomplete { keep: input.len() },
                    Header::Endless => return Parsed::Broken(ParseError::BulkLine),
                    Header::Line(..) => return Parsed::Broken(ParseError::NoDollar(byte)),
                },
            },
        };
        if let Some(keep) = take_bulk(array, input, length) {
            if lacks_memory(array) {
                return Parsed::Broken(ParseError::NoMemory);
            }
            return Parsed::Incomplete { keep };
        }
        array.missing -= 1;
    }
    Parsed::Request { consumed: array.at, form: Form::Array }
}

/// Takes a word of `length` bytes and the two behind it. Where it has not come whole: how many bytes are still needed
/// of the input.
fn take_bulk(array: &mut Array, input: &[u8], length: usize) -> Option<usize> {
    array.bulk = Some(length);
    let here = input.len() - array.at;
    if array.long.is_none() && length > RECEIVED_WHOLE_BYTES_MAX && here < length {
        let arriving = Blob::for_arrival(here + LONG_STEP_BYTES.min(length - here), length);
        let failed = arriving.is_err();
        let mut bytes = arriving.unwrap_or_default();
        if !failed {
            bytes.extend_from_slice(&input[array.at..]);
        }
        array.long = Some(Long { bytes, filled: here, length, failed });
        return Some(array.at);
    }
    let behind = if array.long.is_some() { 0 } else { length };
    if here < behind + 2 || array.long.as_ref().is_some_and(|long| !long.is_whole()) {
        return Some(input.len());
    }
    match array.long.take() {
        Some(mut long) => {
            // It is stored as it is.
            long.bytes.shrink_to_fit();
            array.words.push_long(Rc::new(long.bytes));
        }
        None => array.words.push(array.at, array.at + length),
    }
    array.at += behind + 2;
    array.bulk = None;
    None
}

/// A line that says how many or how long.
enum Header<'a> {
    Incomplete,
    /// Its text, and where the bytes behind it begin.
    Line(&'a [u8], usize),
    /// It has no end where every number would have one.
    Endless,
}

/// The line of `input` whose text begins at `from`; `scanned` is how far earlier calls have looked for its end.
fn header<'a>(scanned: &mut u32, input: &'a [u8], from: usize) -> Header<'a> {
    let looked = from.max(*scanned as usize);
    let Some(found) = input.get(looked..).and_then(|rest| rest.iter().position(|&byte| byte == b'\r')) else {
        if input.len().saturating_sub(from) > HEADER_BYTES_MAX {
            return Header::Endless;
        }
        *scanned = input.len() as u32;
        return Header::Incomplete;
    };
    let end = looked + found;
    // The LF must be here too, though its value is never looked at.
    if end + 1 >= input.len() {
        *scanned = end as u32;
        return Header::Incomplete;
    }
    *scanned = 0;
    Header::Line(&input[from..end], end + 2)
}

fn word_count(text: &[u8], trusted: bool) -> Result<usize, ParseError> {
    let count = integer(text).filter(|&count| count <= ARGS_MAX as i64).ok_or(ParseError::MultibulkLength)?;
    let count = usize::try_from(count).unwrap_or(0);
    if !trusted && count > UNAUTHENTICATED_ARGS_MAX {
        return Err(ParseError::UnauthenticatedMultibulkLength);
    }
    Ok(count)
}

fn bulk_length(text: &[u8], trusted: bool) -> Result<usize, ParseError> {
    let length = integer(text).and_then(|length| usize::try_from(length).ok());
    let length = length.filter(|&length| length <= VALUE_BYTES_MAX).ok_or(ParseError::BulkLength)?;
    if !trusted && length > UNAUTHENTICATED_BYTES_MAX {
        return Err(ParseError::UnauthenticatedBulkLength);
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, parse_pieces};
    use super::*;

    fn no_rest(_name: &[u8]) -> usize {
        0
    }

    #[test]
    fn requests() {
        check(b"*1\r\n$4\r\nPING\r\n", no_rest, &[&[b"PING"]]);
        check(b"*2\r\n$3\r\nGET\r\n$0\r\n\r\n", no_rest, &[&[b"GET", b""]]);
        check(b"*2\r\n$1\r\na\r\n$4\r\n\r\n\0\xff\r\n", no_rest, &[&[b"a", b"\r\n\0\xff"]]);
        check(b"*0\r\n*-1\r\n*-99\r\n*1\r\n$1\r\na\r\n", no_rest, &[&[b"a"]]);
        check(b"*1\r\n$1\r\na\r\nGET b\r\n*1\r\n$1\r\nc\r\n", no_rest, &[&[b"a"], &[b"GET", b"b"], &[b"c"]]);
        // Redis looks neither at the byte behind a CR nor at the two behind a bulk.
        check(b"*1\rx$1\ryaZZ", no_rest, &[&[b"a"]]);
    }

    #[test]
    fn a_long_word_is_received_apart() {
        for length in [RECEIVED_WHOLE_BYTES_MAX, RECEIVED_WHOLE_BYTES_MAX + 1, 1_000_000] {
            let word: Vec<u8> = (0..length).map(|number| number as u8).collect();
            let head = [b"*3\r\n$1\r\na\r\n$", length.to_string().as_bytes(), b"\r\n"].concat();
            let stream = [&head[..], &word, b"\r\n$1\r\nb\r\nPING\r\n"].concat();
            let wanted = vec![vec![b"a".to_vec(), word.clone(), b"b".to_vec()], vec![b"PING".to_vec()]];
            for piece in [stream.len(), 16_384, 1000, head.len(), head.len() + length + 1] {
                assert_eq!(parse_pieces(stream.chunks(piece), no_rest), (wanted.clone(), None), "{length} {piece}");
            }
        }
    }

    #[test]
    fn lengths_cost_nothing_before_their_bytes_arrive() {
        let mut parser = Parser::default();
        let input = b"*1000000\r\n$536870912\r\nabc";
        let parsed = parser.parse(input, &mut Words::default(), true, no_rest);
        assert_eq!(parsed, Parsed::Incomplete { keep: input.len() - 3 });
        assert!(parser.bytes_used() < 40_000, "{}", parser.bytes_used());
        let space = parser.recv_space().unwrap();
        assert!(space.len() <= LONG_STEP_BYTES);
    }

    /// The real bound, with words whose bytes are counted as received and never written, so that they take no memory.
    #[cfg(target_pointer_width = "64")]
    #[test]
    fn a_request_has_a_bound_in_all() {
        let (mut parser, mut words) = (Parser::default(), Words::default());
        let mut show = |input: &[u8]| match parser.parse(input, &mut words, true, no_rest) {
            Parsed::Incomplete { keep } => {
                let mut received = 0;
                while let Some(space) = parser.recv_space() {
                    let count = space.len();
                    received += count;
                    parser.recv_advance(count);
                }
                Ok((keep, received))
            }
            other => Err(other),
        };
        let mut input = format!("*4\r\n${VALUE_BYTES_MAX}\r\n").into_bytes();
        for _ in 0..REQUEST_BYTES_MAX / VALUE_BYTES_MAX {
            assert_eq!(show(&input), Ok((input.len(), VALUE_BYTES_MAX)));
            input.extend_from_slice(format!("\r\n${VALUE_BYTES_MAX}\r\n").as_bytes());
        }
        assert_eq!(show(&input), Err(Parsed::Broken(ParseError::RequestTooLarge)));
        assert_eq!(ParseError::RequestTooLarge.text(), "ERR Protocol error: too big request");
    }

    #[test]
    fn what_is_no_request() {
        let error = |input: &[u8]| parse_pieces([input], no_rest).1;
        assert_eq!(error(b"*x\r\n"), Some(ParseError::MultibulkLength));
        assert_eq!(error(b"*01\r\n"), Some(ParseError::MultibulkLength));
        assert_eq!(error(b"*\r\n"), Some(ParseError::MultibulkLength));
        assert_eq!(error(b"*1048577\r\n"), Some(ParseError::MultibulkLength));
        assert_eq!(error(b"*1048576\r\n"), None);
        assert_eq!(error(b"*1\r\nx\r\n"), Some(ParseError::NoDollar(b'x')));
        assert_eq!(error(b"*1\r\nx"), None);
        assert_eq!(error(b"*1\r\n$x\r\n"), Some(ParseError::BulkLength));
        assert_eq!(error(b"*1\r\n$-1\r\n"), Some(ParseError::BulkLength));
        assert_eq!(error(b"*1\r\n$536870913\r\n"), Some(ParseError::BulkLength));
        assert_eq!(error(b"*1\r\n$536870912\r\n"), None);
        let long = [&b"*"[..], &vec![b'1'; HEADER_BYTES_MAX + 1]].concat();
        assert_eq!(error(&long), Some(ParseError::MultibulkLine));
        let long = [&b"*1\r\n$"[..], &vec![b'1'; HEADER_BYTES_MAX + 1]].concat();
        assert_eq!(error(&long), Some(ParseError::BulkLine));
    }

    #[test]
    fn who_has_not_authenticated_may_send_little() {
        let error = |input: &[u8]| Parser::default().parse(input, &mut Words::default(), false, no_rest);
        assert_eq!(error(b"*11\r\n"), Parsed::Broken(ParseError::UnauthenticatedMultibulkLength));
        assert_eq!(error(b"*10\r\n"), Parsed::Incomplete { keep: 5 });
        assert_eq!(error(b"*1\r\n$16385\r\n"), Parsed::Broken(ParseError::UnauthenticatedBulkLength));
        assert_eq!(error(&vec![b'x'; UNAUTHENTICATED_BYTES_MAX + 2]), Parsed::Broken(ParseError::LineTooLong));
    }
}
