//! Replies between nodes: what a command answered, typed, before any client's encoding has been chosen.
//!
//! A reply is a row of tokens, one for each call of [`Reply`]; so passing one on makes the very calls that the handler
//! made, and writes the very bytes. Long values are no part of the bytes: they lie beside them, in order. What comes
//! from another node is not trusted: lengths, depth and text are checked, and junk is [`Malformed`].

use super::{Face, Output, Reply, varint};
use crate::blob::Blob;
use crate::limits::TYPED_DEPTH_MAX;
use std::rc::Rc;

/// A reply as another node sent it, or as it is to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Typed<'a> {
    bytes: &'a [u8],
    longs: &'a [Rc<Blob>],
}

/// Bytes that are no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// One call of [`Reply`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// [`Reply::set_face`]
    Face(Face),
    /// [`Reply::simple`]
    Simple(&'a str),
    /// [`Reply::null`]
    Null,
    /// [`Reply::null_array`]
    NullArray,
    /// [`Reply::integer`]
    Integer(i64),
    /// [`Reply::double`]
    Double(&'a str),
    /// [`Reply::boolean`]
    Boolean(bool),
    /// [`Reply::bulk`]
    Bulk(&'a [u8]),
    /// [`Reply::shared`]
    Long(&'a Rc<Blob>),
    /// [`Reply::verbatim`]
    Verbatim(&'a str),
    /// [`Reply::array`]
    Array(usize),
    /// [`Reply::set`]
    Set(usize),
    /// [`Reply::map`]
    Map(usize),
    /// [`Reply::field`]
    Field(&'a str),
    /// [`Reply::integer_field`]
    IntegerField(i64),
    /// [`Reply::error`]
    Error(&'a str),
    /// [`Reply::unknown_command`]
    UnknownCommand(&'a str),
}

mod tag {
    pub(super) const NULL: u8 = 1;
    pub(super) const NULL_ARRAY: u8 = 2;
    pub(super) const TRUE: u8 = 3;
    pub(super) const FALSE: u8 = 4;
    pub(super) const LONG: u8 = 5;
    pub(super) const SIMPLE: u8 = 6;
    pub(super) const INTEGER: u8 = 7;
    pub(super) const DOUBLE: u8 = 8;
    pub(super) const BULK: u8 = 9;
    pub(super) const VERBATIM: u8 = 10;
    pub(super) const ARRAY: u8 = 11;
    pub(super) const SET: u8 = 12;
    pub(super) const MAP: u8 = 13;
    pub(super) const FIELD: u8 = 14;
    pub(super) const INTEGER_FIELD: u8 = 15;
    pub(super) const ERROR: u8 = 16;
    pub(super) const UNKNOWN_COMMAND: u8 = 17;
    pub(super) const FACE: u8 = 18;
}

/// The faces, each at the place of its number in the bytes.
const FACES: [Face; 4] = [Face::Typed, Face::OkOrNull, Face::Ok, Face::Silent];

/// Appends a token.
pub(super) fn push(output: &mut Output, token: Token<'_>) {
    let mut counted = |tag, number| Varint::of(number).push(tag, output);
    match token {
        Token::Face(face) => {
            let place = FACES.iter().position(|&other| other == face).unwrap_or_default();
            output.push(&[tag::FACE, place as u8]);
        }
        Token::Null => output.push(&[tag::NULL]),
        Token::NullArray => output.push(&[tag::NULL_ARRAY]),
        Token::Boolean(true) => output.push(&[tag::TRUE]),
        Token::Boolean(false) => output.push(&[tag::FALSE]),
        Token::Integer(number) => counted(tag::INTEGER, zigzag(number)),
        Token::IntegerField(number) => counted(tag::INTEGER_FIELD, zigzag(number)),
        Token::Array(length) => counted(tag::ARRAY, length as u64),
        Token::Set(length) => counted(tag::SET, length as u64),
        Token::Map(length) => counted(tag::MAP, length as u64),
        Token::Long(value) => {
            output.push(&[tag::LONG]);
            output.push_shared(value);
        }
        Token::Simple(text) => push_bytes(tag::SIMPLE, text.as_bytes(), output),
        Token::Double(digits) => push_bytes(tag::DOUBLE, digits.as_bytes(), output),
        Token::Bulk(bytes) => push_bytes(tag::BULK, bytes, output),
        Token::Verbatim(text) => push_bytes(tag::VERBATIM, text.as_bytes(), output),
        Token::Field(name) => push_bytes(tag::FIELD, name.as_bytes(), output),
        Token::Error(text) => push_bytes(tag::ERROR, text.as_bytes(), output),
        Token::UnknownCommand(text) => push_bytes(tag::UNKNOWN_COMMAND, text.as_bytes(), output),
    }
}

fn push_bytes(tag: u8, bytes: &[u8], output: &mut Output) {
    Varint::of(bytes.len() as u64).push(tag, output);
    output.push(bytes);
}

/// A number in groups of seven bits, the lowest first; all but the last have their high bit set.
struct Varint {
    bytes: [u8; 10],
    length: usize,
}

impl Varint {
    fn of(mut number: u64) -> Varint {
        let mut varint = Varint { bytes: [0; 10], length: 1 };
        while number >= 0x80 {
            varint.bytes[varint.length - 1] = number as u8 | 0x80;
            varint.length += 1;
            number >>= 7;
        }
        varint.bytes[varint.length - 1] = number as u8;
        varint
    }

    fn push(&self, tag: u8, output: &mut Output) {
        output.push(&[tag]);
        output.push(&self.bytes[..self.length]);
    }
}

/// Small numbers of either sign as small numbers without one.
fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63) as u64
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

impl<'a> Typed<'a> {
    /// The reply in these bytes, its long values in order. Nothing is checked yet.
    pub fn new(bytes: &'a [u8], longs: &'a [Rc<Blob>]) -> Typed<'a> {
        Typed { bytes, longs }
    }

    /// Its bytes, the long values left out.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Its long values, in order.
    pub fn longs(&self) -> &'a [Rc<Blob>] {
        self.longs
    }

    /// Its tokens, from the first one on.
    pub fn reader(&self) -> TypedReader<'a> {
        TypedReader { bytes: self.bytes, longs: self.longs }
    }

    /// Whether it is one whole value and nothing besides.
    pub fn check(&self) -> Result<(), Malformed> {
        let mut reader = self.reader();
        reader.skip_value()?;
        if reader.bytes.is_empty() && reader.longs.is_empty() { Ok(()) } else { Err(Malformed) }
    }

    /// The text of the error that it is, if it is one.
    pub fn error(&self) -> Option<&'a str> {
        match self.reader().next() {
            Ok(Some(Token::Error(text) | Token::UnknownCommand(text))) => Some(text),
            _ => None,
        }
    }
}

/// Reads a typed reply, token by token.
#[derive(Clone, Debug)]
pub struct TypedReader<'a> {
    bytes: &'a [u8],
    longs: &'a [Rc<Blob>],
}

impl<'a> TypedReader<'a> {
    /// The next token; none at the end.
    #[expect(clippy::should_implement_trait, reason = "junk ends it for good, which an iterator cannot say")]
    pub fn next(&mut self) -> Result<Option<Token<'a>>, Malformed> {
        let Some((&tag, rest)) = self.bytes.split_first() else { return Ok(None) };
        self.bytes = rest;
        let token = match tag {
            tag::NULL => Token::Null,
            tag::NULL_ARRAY => Token::NullArray,
            tag::TRUE => Token::Boolean(true),
            tag::FALSE => Token::Boolean(false),
            tag::LONG => {
                let (value, longs) = self.longs.split_first().ok_or(Malformed)?;
                self.longs = longs;
                Token::Long(value)
            }
            tag::SIMPLE => Token::Simple(self.line()?),
            tag::INTEGER => Token::Integer(unzigzag(self.number()?)),
            tag::DOUBLE => Token::Double(self.line()?),
            tag::BULK => Token::Bulk(self.counted_bytes()?),
            tag::VERBATIM => Token::Verbatim(self.text()?),
            tag::ARRAY => Token::Array(self.length(1)?),
            tag::SET => Token::Set(self.length(1)?),
            tag::MAP => Token::Map(self.length(2)?),
            tag::FIELD => Token::Field(self.line()?),
            tag::INTEGER_FIELD => Token::IntegerField(unzigzag(self.number()?)),
            tag::ERROR => Token::Error(self.line()?),
            tag::UNKNOWN_COMMAND => Token::UnknownCommand(self.line()?),
            tag::FACE => {
                let (&place, rest) = self.bytes.split_first().ok_or(Malformed)?;
                self.bytes = rest;
                Token::Face(*FACES.get(place as usize).ok_or(Malformed)?)
            }
            _ => return Err(Malformed),
        };
        Ok(Some(token))
    }

    /// Writes the next value into `reply`, a nested one whole. After an error, what stands there is a part of one: who
    /// cannot take that back checks first.
    pub fn pass_value(&mut self, reply: &mut Reply<'_>) -> Result<(), Malformed> {
        self.value(TYPED_DEPTH_MAX, &mut |token| reply.token(token))
    }

    /// Goes past the next value, a nested one whole.
    pub fn skip_value(&mut self) -> Result<(), Malformed> {
        self.value(TYPED_DEPTH_MAX, &mut |_| {})
    }

    /// Whether everything has been read.
    pub fn is_done(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Shows each token of the next value to `see`.
    fn value(&mut self, depth: usize, see: &mut dyn FnMut(Token<'a>)) -> Result<(), Malformed> {
        let depth = depth.checked_sub(1).ok_or(Malformed)?;
        loop {
            let token = self.next()?.ok_or(Malformed)?;
            if matches!(token, Token::Field(_) | Token::IntegerField(_)) {
                return Err(Malformed);
            }
            see(token);
            match token {
                Token::Face(_) => continue,
                Token::Array(length) | Token::Set(length) => {
                    for _ in 0..length {
                        self.value(depth, see)?;
                    }
                }
                Token::Map(length) => {
                    for _ in 0..length {
                        match self.next()? {
                            Some(field @ (Token::Field(_) | Token::IntegerField(_))) => see(field),
                            _ => return Err(Malformed),
                        }
                        self.value(depth, see)?;
                    }
                }
                _ => {}
            }
            return Ok(());
        }
    }

    fn number(&mut self) -> Result<u64, Malformed> {
        let (number, taken) = varint(self.bytes).ok_or(Malformed)?;
        self.bytes = &self.bytes[taken..];
        Ok(number)
    }

    /// A number of items, each of which takes `item_bytes` at least: more cannot follow.
    fn length(&mut self, item_bytes: usize) -> Result<usize, Malformed> {
        let length = usize::try_from(self.number()?).map_err(|_| Malformed)?;
        if length <= self.bytes.len() / item_bytes { Ok(length) } else { Err(Malformed) }
    }

    fn counted_bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.length(1)?;
        let (bytes, rest) = self.bytes.split_at(length);
        self.bytes = rest;
        Ok(bytes)
    }

    fn text(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.counted_bytes()?).map_err(|_| Malformed)
    }

    /// Text without a line end, which would end a client's reply.
    fn line(&mut self) -> Result<&'a str, Malformed> {
        let text = self.text()?;
        if text.bytes().any(|byte| matches!(byte, b'\r' | b'\n')) { Err(Malformed) } else { Ok(text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{Encoding, Piece};
    use crate::testkit::{Random, seeds};

    /// Makes the calls of one random value.
    fn write(reply: &mut Reply<'_>, random: &mut Random, depth: usize) {
        if random.below(8) == 0 {
            reply.set_face(FACES[random.below(4)]);
        }
        let number = (random.next() as i64) >> random.below(64);
        let text: String = (0..random.below(20)).map(|_| char::from(b' ' + random.below(90) as u8)).collect();
        let bytes: Vec<u8> = (0..random.below(300)).map(|_| random.next() as u8).collect();
        let lengths = if depth == 0 { 1 } else { 4 };
        match random.below(if depth == 0 { 11 } else { 14 }) {
            0 => reply.simple(&text),
            1 => reply.null(),
            2 => reply.null_array(),
            3 => reply.integer(number),
            4 => reply.double("-1.25"),
            5 => reply.boolean(random.below(2) == 0),
            6 => reply.bulk(&bytes),
            7 => reply.shared(&Rc::new(bytes.into())),
            8 => reply.verbatim(&format!("# {text}\r\nb:{number}\r\n")),
            9 => reply.error(&format!("ERR {text}")),
            10 => reply.unknown_command(&format!("ERR {text}")),
            kind => {
                let length = random.below(lengths);
                match kind {
                    11 => reply.array(length),
                    12 => reply.set(length),
                    _ => reply.map(length),
                }
                for _ in 0..length {
                    match kind {
                        13 if random.below(2) == 0 => reply.integer_field(number),
                        13 => reply.field(&text),
                        _ => {}
                    }
                    write(reply, random, depth - 1);
                }
            }
        }
    }

    fn flat(output: &Output) -> Vec<u8> {
        let bytes = output.pieces().map(|piece| match piece {
            Piece::Bytes(bytes) => bytes.to_vec(),
            Piece::Shared(value) => value.to_vec(),
        });
        bytes.collect::<Vec<_>>().concat()
    }

    /// The bus's bytes of a random value, and its long values.
    fn bus(seed: u64) -> (Vec<u8>, Vec<Rc<Blob>>) {
        let mut output = Output::default();
        let mut reply = Reply::new(&mut output, Encoding::Bus, Face::Typed);
        write(&mut reply, &mut Random::new(seed), 4);
        assert!(reply.is_whole());
        (output.bytes().to_vec(), output.longs().cloned().collect())
    }

    #[test]
    fn what_is_passed_on_is_what_would_have_been_written() {
        for seed in seeds(2000) {
            let (bytes, longs) = bus(seed);
            let typed = Typed::new(&bytes, &longs);
            assert_eq!(typed.check(), Ok(()), "seed {seed}");
            for encoding in [Encoding::Text, Encoding::Resp2, Encoding::Resp3, Encoding::Bus] {
                for face in FACES {
                    let (mut wanted, mut passed) = (Output::default(), Output::default());
                    write(&mut Reply::new(&mut wanted, encoding, face), &mut Random::new(seed), 4);
                    let mut reply = Reply::new(&mut passed, encoding, face);
                    let mut reader = typed.reader();
                    reader.pass_value(&mut reply).expect("a whole value");
                    assert!(reply.is_whole() && reader.is_done());
                    assert_eq!(flat(&passed), flat(&wanted), "seed {seed}, {encoding:?}, {face:?}");
                    assert_eq!(passed.shared_bytes(), wanted.shared_bytes(), "seed {seed}: long values stay whole");
                }
            }
        }
    }

    #[test]
    fn junk_is_told_and_never_panics() {
        for seed in seeds(500) {
            let (bytes, longs) = bus(seed);
            for cut in 0..bytes.len() {
                assert_eq!(Typed::new(&bytes[..cut], &longs).check(), Err(Malformed), "seed {seed}, cut at {cut}");
            }
            let longer = [&bytes[..], &[tag::NULL]].concat();
            assert_eq!(Typed::new(&longer, &longs).check(), Err(Malformed), "seed {seed}: more than one value");
            if !longs.is_empty() {
                assert_eq!(Typed::new(&bytes, &longs[1..]).check(), Err(Malformed), "seed {seed}: a value is missing");
            }
            let mut random = Random::new(!seed);
            for _ in 0..50 {
                let mut junk = bytes.clone();
                for _ in 0..=random.below(3) {
                    let at = random.below(junk.len());
                    junk[at] = random.next() as u8;
                }
                let typed = Typed::new(&junk, &longs);
                let mut output = Output::default();
                let mut reply = Reply::new(&mut output, Encoding::Resp3, Face::Typed);
                // It may still be a reply, another one; then it is whole.
                let passed = typed.reader().pass_value(&mut reply);
                assert!(typed.check().is_err() || passed.is_ok() && reply.is_whole(), "seed {seed}");
            }
        }
    }

    #[test]
    fn what_is_announced_must_follow() {
        let check = |bytes: &[u8]| Typed::new(bytes, &[]).check();
        assert_eq!(check(&[tag::ARRAY, 1, tag::NULL]), Ok(()));
        for bytes in [
            &[][..],
            &[0],
            &[200],
            &[tag::ARRAY],
            &[tag::ARRAY, 2, tag::NULL],
            &[tag::ARRAY, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1],
            &[tag::INTEGER, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2],
            &[tag::INTEGER, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x80, 0],
            &[tag::BULK, 3, b'a', b'b'],
            &[tag::SIMPLE, 2, b'\r', b'\n'],
            &[tag::ERROR, 1, 0xFF],
            &[tag::FACE, 4, tag::NULL],
            &[tag::FACE, 0],
            &[tag::LONG],
            &[tag::FIELD, 1, b'a'],
            &[tag::MAP, 1, tag::NULL, tag::NULL],
        ] {
            assert_eq!(check(bytes), Err(Malformed), "{bytes:?}");
        }
        let nested = |depth| [[tag::ARRAY, 1].repeat(depth), vec![tag::NULL]].concat();
        assert_eq!(check(&nested(TYPED_DEPTH_MAX - 1)), Ok(()));
        assert_eq!(check(&nested(TYPED_DEPTH_MAX)), Err(Malformed));
        assert_eq!(check(&nested(1_000_000)), Err(Malformed));
    }

    #[test]
    fn an_error_is_told_from_a_value() {
        let (bytes, longs) = (&[tag::ERROR, 5, b'E', b'R', b'R', b' ', b'x'], []);
        assert_eq!(Typed::new(bytes, &longs).error(), Some("ERR x"));
        assert_eq!(Typed::new(&[tag::NULL], &longs).error(), None);
        assert_eq!(Typed::new(&[], &longs).error(), None);
    }
}
