//! Replies: one vocabulary, encoded straight into the output.
//!
//! A command says what its answer is, typed; how it is written is decided here. In the text protocol a list is
//! flattened, one item a line with bare LF between them, and CRLF ends the whole reply and only that.

use super::{Digits, Output};
use std::rc::Rc;

/// How a command's integer answer is written in the text protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Face {
    /// As what it is.
    #[default]
    Typed,
    /// `OK` for more than zero, else `(null)`.
    OkOrNull,
    /// Always `OK`.
    Ok,
}

/// One reply being written. A command writes exactly one value: a scalar, or a list or map and then its items.
pub struct Reply<'a> {
    output: &'a mut Output,
    progress: Progress,
}

/// How far a reply is written: enough to go on with it in another output, turns later.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    face: Face,
    /// Values still to come until the reply is whole.
    pending: usize,
    /// Whether a line stands here already.
    begun: bool,
    /// Whether the next value continues the line of its field.
    after_field: bool,
}

impl Progress {
    /// Of a reply that nothing is written of yet.
    pub fn new(face: Face) -> Progress {
        Progress { face, pending: 1, begun: false, after_field: false }
    }
}

impl<'a> Reply<'a> {
    /// A reply at the end of `output`.
    pub fn new(output: &'a mut Output, face: Face) -> Reply<'a> {
        Reply::resume(output, Progress::new(face))
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

    /// The reply `OK`.
    pub fn ok(&mut self) {
        self.simple("OK");
    }

    /// A status, such as `PONG`; no line end in it.
    pub fn simple(&mut self, status: &str) {
        self.scalar(status.as_bytes());
    }

    /// Nothing there.
    pub fn null(&mut self) {
        self.scalar(b"(null)");
    }

    /// An integer, or what the command's face makes of it.
    pub fn integer(&mut self, number: i64) {
        match self.progress.face {
            Face::Typed => self.scalar(Digits::of(number).bytes()),
            Face::OkOrNull if number <= 0 => self.null(),
            Face::OkOrNull | Face::Ok => self.ok(),
        }
    }

    /// A value's bytes, copied.
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.scalar(bytes);
    }

    /// A value's bytes, sent from where they are stored.
    pub fn shared(&mut self, value: &Rc<Vec<u8>>) {
        self.begin();
        self.output.push_shared(value);
        self.end();
    }

    /// Text of several lines, each ended by CRLF, for a person to read.
    pub fn verbatim(&mut self, text: &str) {
        self.begin();
        // Within a text reply a line ends with bare LF: CRLF would end the reply.
        for (index, line) in text.trim_end_matches("\r\n").split("\r\n").enumerate() {
            if index > 0 {
                self.output.push(b"\n");
            }
            self.output.push(line.as_bytes());
        }
        self.end();
    }

    /// A list; its `length` values follow.
    pub fn array(&mut self, length: usize) {
        self.progress.pending += length;
        self.end_list();
    }

    /// A map; `length` times [`Reply::field`] and a value follow.
    pub fn map(&mut self, length: usize) {
        self.array(length);
    }

    /// The name of the map's next value.
    pub fn field(&mut self, name: &str) {
        self.begin();
        self.output.push(name.as_bytes());
        self.output.push(b": ");
        self.progress.after_field = true;
    }

    /// An error; `text` begins with its code, `ERR` or another.
    pub fn error(&mut self, text: &str) {
        self.begin();
        self.output.push(b"(error) ");
        self.output.push(text.strip_prefix("ERR ").unwrap_or(text).as_bytes());
        self.end();
    }

    /// There is no such command: the text protocol says no more than that.
    pub fn unknown_command(&mut self) {
        self.scalar(b"(Unknown command)");
    }

    fn scalar(&mut self, bytes: &[u8]) {
        self.begin();
        self.output.push(bytes);
        self.end();
    }

    fn begin(&mut self) {
        debug_assert!(self.progress.pending > 0, "a reply has one value");
        if self.progress.begun && !self.progress.after_field {
            self.output.push(b"\n");
        }
        self.progress.begun = true;
        self.progress.after_field = false;
    }

    fn end(&mut self) {
        self.progress.pending -= 1;
        if self.progress.pending == 0 {
            self.output.push(b"\r\n");
        }
    }

    /// A list's own place is taken by its items; where there are none at all, a word says so.
    fn end_list(&mut self) {
        if self.progress.pending == 1 && !self.progress.begun {
            self.scalar(b"(empty)");
        } else {
            self.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(write: impl FnOnce(&mut Reply<'_>), wanted: &str) {
        check_face(Face::Typed, write, wanted);
    }

    fn check_face(face: Face, write: impl FnOnce(&mut Reply<'_>), wanted: &str) {
        let mut output = Output::default();
        let mut reply = Reply::new(&mut output, face);
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
        check(|reply| reply.unknown_command(), "(Unknown command)\r\n");
        check(|reply| reply.verbatim("# A\r\nb:1\r\n"), "# A\nb:1\r\n");
    }

    #[test]
    fn faces() {
        check_face(Face::OkOrNull, |reply| reply.integer(2), "OK\r\n");
        check_face(Face::OkOrNull, |reply| reply.integer(0), "(null)\r\n");
        check_face(Face::Ok, |reply| reply.integer(0), "OK\r\n");
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
        let mut reply = Reply::new(&mut first, Face::Typed);
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
        let value = Rc::new(vec![b'v'; 10_000]);
        let mut output = Output::default();
        Reply::new(&mut output, Face::Typed).shared(&value);
        assert_eq!((output.copied_bytes(), output.shared_bytes()), (2, 10_000));
    }
}
