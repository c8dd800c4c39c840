//! Replies: one vocabulary, four encodings, written straight into the output.
//!
//! A command says what its answer is, typed; how it is written is decided here. In the text protocol a list is
//! flattened, one item a line with bare LF between them, and CRLF ends the whole reply and only that. RESP2 and RESP3
//! are those of Redis's protocol specification. Between nodes a reply stays typed (`typed.rs`).

use super::typed::{self, Token};
use super::{Digits, Output, short_line};
use crate::blob::Blob;
use std::rc::Rc;

/// How replies are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// For people and shell scripts.
    #[default]
    Text,
    /// Redis's protocol, version 2.
    Resp2,
    /// Redis's protocol, version 3.
    Resp3,
    /// Typed, for another node, which encodes it for its client: every call is kept as it was made.
    Bus,
}

/// How a command's answer is written in the text protocol, where it has a form of its own there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Face {
    /// As what it is.
    #[default]
    Typed,
    /// An integer as `OK` for more than zero, else `(null)`.
    OkOrNull,
    /// An integer always as `OK`.
    Ok,
    /// Not at all.
    Silent,
}

/// A word of what a client is told beside its replies.
#[derive(Clone, Copy, Debug)]
pub enum PushWord<'a> {
    /// Bytes, copied.
    Bytes(&'a [u8]),
    /// Bytes, sent from where they are stored.
    Shared(&'a Rc<Blob>),
    /// An integer.
    Number(i64),
    /// Nothing.
    Null,
}

/// One reply being written. A command writes exactly one value: a scalar, or a list or map and then its items.
pub struct Reply<'a> {
    output: &'a mut Output,
    progress: Progress,
}

/// How far a reply is written: enough to go on with it in another output, turns later.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    encoding: Encoding,
    face: Face,
    /// Values still to come until the reply is whole.
    pending: usize,
    /// Whether a line of text stands here already.
    begun: bool,
    /// Whether the next value continues the line of its field.
    after_field: bool,
}

impl Progress {
    /// Of a reply that nothing is written of yet.
    pub fn new(encoding: Encoding, face: Face) -> Progress {
        Progress { encoding, face, pending: 1, begun: false, after_field: false }
    }
}

impl<'a> Reply<'a> {
    /// A reply at the end of `output`.
    pub fn new(output: &'a mut Output, encoding: Encoding, face: Face) -> Reply<'a> {
        Reply::resume(output, Progress::new(encoding, face))
    }

    /// Goes on with a reply at the end of `output`.
    pub fn resume(output: &'a mut Output, progress: Progress) -> Reply<'a> {
        Reply { output, progress }
    }

    /// How far it is, to go on later.
    pub fn suspend(self) -> Progress {
        self.progress
    }

    /// Whether nothing is missing.
    pub fn is_whole(&self) -> bool {
        self.progress.pending == 0
    }

    /// How it is written.
    pub fn encoding(&self) -> Encoding {
        self.progress.encoding
    }

    /// Writes what follows in another encoding: HELLO answers in the one that it asks for.
    pub fn set_encoding(&mut self, encoding: Encoding) {
        debug_assert!(self.progress.encoding != Encoding::Bus, "a client's encoding is its own node's affair");
        self.progress.encoding = encoding;
    }

    /// What follows, the answers inside that of EXEC, has this face.
    pub fn set_face(&mut self, face: Face) {
        self.progress.face = face;
        if self.progress.encoding == Encoding::Bus {
            typed::push(self.output, Token::Face(face));
        }
    }

    /// The reply `OK`.
    pub fn ok(&mut self) {
        self.simple("OK");
    }

    /// A status, such as `PONG`; no line end in it.
    pub fn simple(&mut self, status: &str) {
        match (self.progress.encoding, self.progress.face) {
            (Encoding::Text, Face::Silent) => self.progress.pending -= 1,
            (Encoding::Text, _) => self.text(status.as_bytes()),
            (Encoding::Bus, _) => self.typed(Token::Simple(status)),
            _ => self.line(b"+", status.as_bytes()),
        }
    }

    /// Nothing there, in the place of a value.
    pub fn null(&mut self) {
        match self.progress.encoding {
            Encoding::Text => self.text(b"(null)"),
            Encoding::Resp2 => self.line(b"$", b"-1"),
            Encoding::Resp3 => self.line(b"_", b""),
            Encoding::Bus => self.typed(Token::Null),
        }
    }

    /// Nothing there, in the place of a list.
    pub fn null_array(&mut self) {
        match self.progress.encoding {
            Encoding::Resp2 => self.line(b"*", b"-1"),
            Encoding::Bus => self.typed(Token::NullArray),
            _ => self.null(),
        }
    }

    /// An integer, or what the command's face makes of it in text.
    pub fn integer(&mut self, number: i64) {
        match (self.progress.encoding, self.progress.face) {
            (Encoding::Text, Face::OkOrNull) if number <= 0 => self.text(b"(null)"),
            (Encoding::Text, Face::OkOrNull | Face::Ok) => self.text(b"OK"),
            (Encoding::Text, _) => self.text(Digits::of(number).bytes()),
            (Encoding::Bus, _) => self.typed(Token::Integer(number)),
            _ => {
                self.output.push(Digits::of(number).line(b':'));
                self.end();
            }
        }
    }

    /// A number with a fraction, as its digits.
    pub fn double(&mut self, digits: &str) {
        match self.progress.encoding {
            Encoding::Resp3 => self.line(b",", digits.as_bytes()),
            Encoding::Bus => self.typed(Token::Double(digits)),
            _ => self.bulk(digits.as_bytes()),
        }
    }

    /// True or false; 1 or 0 where there is no such type.
    pub fn boolean(&mut self, truth: bool) {
        match self.progress.encoding {
            Encoding::Resp3 => self.line(b"#", if truth { b"t" } else { b"f" }),
            Encoding::Bus => self.typed(Token::Boolean(truth)),
            _ => self.integer(truth.into()),
        }
    }

    /// A value's bytes, copied.
    #[cfg_attr(memento_small, optimize(speed))]
    pub fn bulk(&mut self, bytes: &[u8]) {
        match self.progress.encoding {
            Encoding::Text => self.text(bytes),
            Encoding::Bus => self.typed(Token::Bulk(bytes)),
            Encoding::Resp2 | Encoding::Resp3 => {
                self.length(b"$", bytes.len());
                self.output.push(bytes);
                self.output.push(b"\r\n");
                self.end();
            }
        }
    }

    /// A value's bytes, sent from where they are stored.
    pub fn shared(&mut self, value: &Rc<Blob>) {
        match self.progress.encoding {
            Encoding::Text => {
                self.begin_text();
                self.output.push_shared(value);
                self.end_text();
            }
            Encoding::Bus => self.typed(Token::Long(value)),
            Encoding::Resp2 | Encoding::Resp3 => {
                self.length(b"$", value.len());
                self.output.push_shared(value);
                self.output.push(b"\r\n");
                self.end();
            }
        }
    }

    /// Text of several lines, each ended by CRLF, for a person to read.
    pub fn verbatim(&mut self, text: &str) {
        match self.progress.encoding {
            Encoding::Text => {
                self.begin_text();
                // Within a text reply a line ends with bare LF: CRLF would end the reply.
                for (index, line) in text.lines().enumerate() {
                    if index > 0 {
                        self.output.push(b"\n");
                    }
                    self.output.push(line.as_bytes());
                }
                self.end_text();
            }
            Encoding::Bus => self.typed(Token::Verbatim(text)),
            Encoding::Resp2 => self.bulk(text.as_bytes()),
            Encoding::Resp3 => {
                self.length(b"=", text.len() + 4);
                self.output.push(b"txt:");
                self.output.push(text.as_bytes());
                self.output.push(b"\r\n");
                self.end();
            }
        }
    }

    /// A list; its `length` values follow.
    pub fn array(&mut self, length: usize) {
        self.open(Token::Array(length), b"*", length, length);
    }

    /// A list without an order; its `length` values follow.
    pub fn set(&mut self, length: usize) {
        let mark = if self.progress.encoding == Encoding::Resp3 { b"~" } else { b"*" };
        self.open(Token::Set(length), mark, length, length);
    }

    /// What a client is told beside its replies, or in the place of one: a push in RESP3, a list in RESP2, in text a line
    /// of the words with a blank between each two. With `more`, another one follows in the place of the same reply.
    pub fn push(&mut self, words: &[PushWord<'_>], more: bool) {
        if self.progress.encoding == Encoding::Text {
            return self.push_line(words, more);
        }
        self.progress.pending += usize::from(more);
        let mark = if self.progress.encoding == Encoding::Resp3 { b">" } else { b"*" };
        self.open(Token::Array(words.len()), mark, words.len(), words.len());
        for word in words {
            match *word {
                PushWord::Bytes(bytes) => self.bulk(bytes),
                PushWord::Shared(value) => self.shared(value),
                PushWord::Number(number) => self.integer(number),
                PushWord::Null => self.null(),
            }
        }
    }

    /// A line of its own, unless it is an item of the list that a transaction answers.
    fn push_line(&mut self, words: &[PushWord<'_>], more: bool) {
        let alone = self.progress.pending == 1 && !self.progress.begun;
        self.begin_text();
        for (place, word) in words.iter().enumerate() {
            if place > 0 {
                self.output.push(b" ");
            }
            match *word {
                PushWord::Bytes(bytes) => self.output.push(bytes),
                PushWord::Shared(value) => self.output.push_shared(value),
                PushWord::Number(number) => self.output.push(Digits::of(number).bytes()),
                PushWord::Null => self.output.push(b"(null)"),
            }
        }
        if !more {
            self.end_text();
        } else if alone {
            self.output.push(b"\r\n");
            self.progress.begun = false;
        }
    }

    /// A map; `length` times [`Reply::field`] and a value follow.
    pub fn map(&mut self, length: usize) {
        match self.progress.encoding {
            Encoding::Resp3 => self.open(Token::Map(length), b"%", length, length),
            _ => self.open(Token::Map(length), b"*", length * 2, length),
        }
    }

    /// The name of the map's next value.
    pub fn field(&mut self, name: &str) {
        match self.progress.encoding {
            Encoding::Text => self.text_field(name.as_bytes()),
            Encoding::Bus => typed::push(self.output, Token::Field(name)),
            Encoding::Resp2 | Encoding::Resp3 => {
                // A field is no value of its own: it is not counted.
                self.progress.pending += 1;
                self.bulk(name.as_bytes());
            }
        }
    }

    /// A field of the map whose value is an integer.
    pub fn named_integer(&mut self, name: &str, number: i64) {
        self.field(name);
        self.integer(number);
    }

    /// A field of the map whose value is these bytes.
    pub fn named_bulk(&mut self, name: &str, bytes: &[u8]) {
        self.field(name);
        self.bulk(bytes);
    }

    /// As [`Reply::field`], of a map from integers.
    pub fn integer_field(&mut self, number: i64) {
        let digits = Digits::of(number);
        match self.progress.encoding {
            Encoding::Text => self.text_field(digits.bytes()),
            Encoding::Bus => typed::push(self.output, Token::IntegerField(number)),
            Encoding::Resp2 | Encoding::Resp3 => {
                self.progress.pending += 1;
                self.line(b":", digits.bytes());
            }
        }
    }

    /// An error; `text` begins with its code, `ERR` or another, and has no line end in it.
    pub fn error(&mut self, text: &str) {
        match self.progress.encoding {
            Encoding::Text => {
                self.begin_text();
                self.output.push(b"(error) ");
                self.output.push(text.strip_prefix("ERR ").unwrap_or(text).as_bytes());
                self.end_text();
            }
            Encoding::Bus => self.typed(Token::Error(text)),
            Encoding::Resp2 | Encoding::Resp3 => self.line(b"-", text.as_bytes()),
        }
    }

    /// There is no such command. The text protocol says no more than that; `error` says it in RESP.
    pub fn unknown_command(&mut self, error: &str) {
        match self.progress.encoding {
            Encoding::Text => self.text(b"(Unknown command)"),
            Encoding::Bus => self.typed(Token::UnknownCommand(error)),
            Encoding::Resp2 | Encoding::Resp3 => self.error(error),
        }
    }

    /// Makes the call that a token stands for.
    pub(super) fn token(&mut self, token: Token<'_>) {
        match token {
            Token::Face(face) => self.set_face(face),
            Token::Simple(status) => self.simple(status),
            Token::Null => self.null(),
            Token::NullArray => self.null_array(),
            Token::Integer(number) => self.integer(number),
            Token::Double(digits) => self.double(digits),
            Token::Boolean(truth) => self.boolean(truth),
            Token::Bulk(bytes) => self.bulk(bytes),
            Token::Long(value) => self.shared(value),
            Token::Verbatim(text) => self.verbatim(text),
            Token::Array(length) => self.array(length),
            Token::Set(length) => self.set(length),
            Token::Map(length) => self.map(length),
            Token::Field(name) => self.field(name),
            Token::IntegerField(number) => self.integer_field(number),
            Token::Error(text) => self.error(text),
            Token::UnknownCommand(error) => self.unknown_command(error),
        }
    }

    /// A value for another node, of one token.
    #[inline(never)]
    fn typed(&mut self, token: Token<'_>) {
        typed::push(self.output, token);
        self.end();
    }

    /// A RESP value of one line.
    #[inline]
    fn line(&mut self, mark: &[u8; 1], bytes: &[u8]) {
        self.output.push(mark);
        self.output.push(bytes);
        self.output.push(b"\r\n");
        self.end();
    }

    /// The line of a RESP value that says how long it is.
    #[inline(always)]
    fn length(&mut self, mark: &[u8; 1], length: usize) {
        match short_line(mark[0], length) {
            Some((bytes, count)) => self.output.push_few(bytes, count),
            None => self.long_length(mark[0], length),
        }
    }

    #[cfg_attr(memento_small, inline(never))]
    fn long_length(&mut self, mark: u8, length: usize) {
        self.output.push(Digits::of(length as i64).line(mark));
    }

    /// Begins a list that is announced with `announced` items and to which `values` values are still to be counted.
    fn open(&mut self, token: Token<'_>, mark: &[u8; 1], announced: usize, values: usize) {
        self.progress.pending += values;
        if self.progress.encoding == Encoding::Bus {
            self.typed(token);
        } else if self.progress.encoding != Encoding::Text {
            self.length(mark, announced);
            self.end();
        } else if self.progress.pending == 1 && !self.progress.begun {
            // A list's own place is taken by its items; where there are none at all, a word says so.
            self.text(b"(empty)");
        } else {
            self.end_text();
        }
    }

    /// A line of text.
    #[cfg_attr(memento_small, inline(never), optimize(speed))]
    fn text(&mut self, bytes: &[u8]) {
        self.begin_text();
        self.output.push(bytes);
        self.end_text();
    }

    fn text_field(&mut self, name: &[u8]) {
        self.begin_text();
        self.output.push(name);
        self.output.push(b": ");
        self.progress.after_field = true;
    }

    fn begin_text(&mut self) {
        if self.progress.begun && !self.progress.after_field {
            self.output.push(b"\n");
        }
        self.progress.begun = true;
        self.progress.after_field = false;
    }

    fn end_text(&mut self) {
        self.end();
        if self.progress.pending == 0 {
            self.output.push(b"\r\n");
        }
    }

    fn end(&mut self) {
        debug_assert!(self.progress.pending > 0, "a reply has one value");
        self.progress.pending -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(write: impl FnOnce(&mut Reply<'_>), wanted: &str) {
        check_face(Face::Typed, write, wanted);
    }

    fn check_face(face: Face, write: impl FnOnce(&mut Reply<'_>), wanted: &str) {
        check_all(Encoding::Text, face, write, wanted);
    }

    fn check_resp(write: fn(&mut Reply<'_>), resp2: &str, resp3: &str) {
        check_all(Encoding::Resp2, Face::Ok, write, resp2);
        check_all(Encoding::Resp3, Face::Silent, write, resp3);
    }

    fn check_all(encoding: Encoding, face: Face, write: impl FnOnce(&mut Reply<'_>), wanted: &str) {
        let mut output = Output::default();
        let mut reply = Reply::new(&mut output, encoding, face);
        write(&mut reply);
        assert!(reply.is_whole());
        assert_eq!(String::from_utf8_lossy(output.plain().unwrap()), wanted);
    }

    #[test]
    fn scalars() {
        check(|reply| reply.ok(), "OK\r\n");
        check(|reply| reply.simple("PONG"), "PONG\r\n");
        check(|reply| reply.null(), "(null)\r\n");
        check(|reply| reply.integer(-12), "-12\r\n");
        check(|reply| reply.bulk(b" a "), " a \r\n");
        check(|reply| reply.bulk(b""), "\r\n");
        check(|reply| reply.error("ERR syntax error"), "(error) syntax error\r\n");
        check(|reply| reply.error("NOAUTH no"), "(error) NOAUTH no\r\n");
        check(|reply| reply.unknown_command("ERR x"), "(Unknown command)\r\n");
        check(|reply| reply.verbatim("# A\r\nb:1\r\n"), "# A\nb:1\r\n");
    }

    #[test]
    fn faces() {
        check_face(Face::OkOrNull, |reply| reply.integer(2), "OK\r\n");
        check_face(Face::OkOrNull, |reply| reply.integer(0), "(null)\r\n");
        check_face(Face::Ok, |reply| reply.integer(0), "OK\r\n");
        check_face(Face::Silent, |reply| reply.ok(), "");
    }

    #[test]
    fn resp() {
        check_resp(|reply| reply.ok(), "+OK\r\n", "+OK\r\n");
        check_resp(|reply| reply.null(), "$-1\r\n", "_\r\n");
        check_resp(|reply| reply.null_array(), "*-1\r\n", "_\r\n");
        check_resp(|reply| reply.integer(-12), ":-12\r\n", ":-12\r\n");
        check_resp(|reply| reply.double("1.5"), "$3\r\n1.5\r\n", ",1.5\r\n");
        check_resp(|reply| reply.boolean(true), ":1\r\n", "#t\r\n");
        check_resp(|reply| reply.bulk(b"a\r\nb"), "$4\r\na\r\nb\r\n", "$4\r\na\r\nb\r\n");
        check_resp(|reply| reply.verbatim("a\r\n"), "$3\r\na\r\n\r\n", "=7\r\ntxt:a\r\n\r\n");
        check_resp(|reply| reply.error("ERR bad"), "-ERR bad\r\n", "-ERR bad\r\n");
        check_resp(|reply| reply.unknown_command("ERR x"), "-ERR x\r\n", "-ERR x\r\n");
        check_resp(|reply| reply.array(0), "*0\r\n", "*0\r\n");
        check_resp(
            |reply| {
                reply.map(2);
                reply.field("a");
                reply.integer(1);
                reply.field("b");
                reply.set(1);
                reply.simple("x");
            },
            "*4\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n*1\r\n+x\r\n",
            "%2\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n~1\r\n+x\r\n",
        );
    }

    #[test]
    fn what_comes_beside_replies_is_a_push_or_a_line() {
        let write: fn(&mut Reply<'_>) = |reply| {
            reply.push(&[PushWord::Bytes(b"subscribe"), PushWord::Bytes(b"a"), PushWord::Number(1)], true);
            reply.push(&[PushWord::Bytes(b"x"), PushWord::Null], false);
        };
        check(write, "subscribe a 1\r\nx (null)\r\n");
        let (resp2, resp3) = ("*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n", "*2\r\n$1\r\nx\r\n$-1\r\n");
        let pushed = ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n>2\r\n$1\r\nx\r\n_\r\n";
        check_resp(write, &format!("{resp2}{resp3}"), pushed);
        // In a transaction's answer, which ends with the only CRLF.
        check(
            |reply| {
                reply.array(2);
                reply.bulk(b"v");
                reply.push(&[PushWord::Bytes(b"a")], true);
                reply.push(&[PushWord::Bytes(b"b")], false);
            },
            "v\na\nb\r\n",
        );
    }

    #[test]
    fn lists_are_flattened_one_item_a_line() {
        check(|reply| reply.array(0), "(empty)\r\n");
        check(
            |reply| {
                reply.array(3);
                reply.bulk(b"a");
                reply.null();
                reply.integer(3);
            },
            "a\n(null)\n3\r\n",
        );
        check(
            |reply| {
                reply.array(3);
                reply.array(1);
                reply.bulk(b"a");
                reply.array(0);
                reply.array(2);
                reply.bulk(b"b");
                reply.bulk(b"c");
            },
            "a\nb\nc\r\n",
        );
        check(
            |reply| {
                reply.array(2);
                reply.bulk(b"0");
                reply.array(0);
            },
            "0\r\n",
        );
        check(
            |reply| {
                reply.array(2);
                reply.array(0);
                reply.array(0);
            },
            "(empty)\r\n",
        );
    }

    #[test]
    fn a_map_is_a_line_a_field() {
        check(
            |reply| {
                reply.map(1);
                reply.field("counts");
                reply.map(1);
                reply.integer_field(16);
                reply.integer(2);
            },
            "counts: 16: 2\r\n",
        );
        check(
            |reply| {
                reply.map(2);
                reply.field("key");
                reply.bulk(b"k");
                reply.field("list");
                reply.array(2);
                reply.bulk(b"x");
                reply.bulk(b"y");
            },
            "key: k\nlist: x\ny\r\n",
        );
    }

    #[test]
    fn a_reply_goes_on_in_another_output() {
        let (mut first, mut second) = (Output::default(), Output::default());
        let mut reply = Reply::new(&mut first, Encoding::Text, Face::Typed);
        reply.array(2);
        reply.bulk(b"a");
        let progress = reply.suspend();
        let mut reply = Reply::resume(&mut second, progress);
        reply.bulk(b"b");
        assert!(reply.is_whole());
        assert_eq!((first.plain(), second.plain()), (Some(&b"a"[..]), Some(&b"\nb\r\n"[..])));
    }

    #[test]
    fn a_shared_value_is_not_copied() {
        let value = Rc::new(Blob::from(vec![b'v'; 10_000]));
        let mut output = Output::default();
        Reply::new(&mut output, Encoding::Text, Face::Typed).shared(&value);
        assert_eq!((output.copied_bytes(), output.shared_bytes()), (2, 10_000));
    }
}
