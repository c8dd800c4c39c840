//! Talking to a server in RESP: connecting, greeting, one request and its answer at a time.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::lines::{self, Answer};
use super::show::{self, Row, Style};
use super::{Failure, print};
use crate::client::reply::{Kind, View};
use crate::client::resp::{Deadline, RespClient, write_command};
use crate::command::lookup;

/// Where the server is, and what lets us in.
#[derive(Clone, Default)]
pub(super) struct Target {
    pub(super) host: String,
    pub(super) host_given: bool,
    pub(super) port: u16,
    pub(super) socket: Option<String>,
    pub(super) password: Option<Vec<u8>>,
    /// How long it may take to be let in, each address and each answer.
    pub(super) patience: Duration,
}

impl Target {
    /// A connection, greeted by HELLO.
    ///
    /// # Errors
    /// When there is no connection, or the server does not want us.
    pub(super) fn connect(&self) -> Result<Box<RespClient>, Failure> {
        let talk = Talk::connect(self, Style::Raw)?;
        match &talk.refusal {
            Some(why) => Err(Failure::message(format_args!("{why}"))),
            None => Ok(talk.client),
        }
    }

    /// A connection that was asked for nothing yet.
    ///
    /// # Errors
    /// When there is none.
    #[inline(never)]
    pub(super) fn dial(&self) -> Result<Box<RespClient>, Failure> {
        let deadline = Deadline::after(self.patience);
        let dialled = match &self.socket {
            Some(path) => RespClient::connect_unix(Path::new(path), deadline),
            None => RespClient::connect(&self.host, self.port, deadline),
        };
        dialled.map(Box::new).map_err(|error| {
            // Most likely a command with a slip of the finger.
            let known = error.kind() != io::ErrorKind::NotFound || !self.host_given || self.socket.is_some();
            let hint = if known { "" } else { " (and it is not the name of a command)" };
            Failure::message(format_args!("{error}{hint}"))
        })
    }
}

/// Asks for something that is answered with no error, as long as somebody who waits would.
///
/// # Errors
/// When the connection breaks, and what the server says instead.
#[inline(never)]
pub(super) fn ask<'a>(client: &'a mut RespClient, words: &[&[u8]], patience: Duration) -> Result<View<'a>, Failure> {
    let view = client.call(words, Deadline::after(patience))?;
    if view.kind() == Kind::Error {
        let (name, why) = (show::escaped(words[0]), show::escaped(view.bytes()));
        return Err(Failure::message(format_args!("{name}: {why}")));
    }
    Ok(view)
}

/// One connection and what is known of it.
pub(super) struct Talk {
    pub(super) client: Box<RespClient>,
    style: Style,
    /// A wrong password is answered late on purpose.
    patience: Duration,
    /// Why the server has not taken our HELLO, in its words. It then answers lines as text, whose end cannot always be
    /// told: they are sent as arrays.
    pub(super) refusal: Option<String>,
    /// The commands queued since MULTI.
    queued: Option<Vec<Row>>,
    row: Row,
}

/// Lines that are sent together.
#[derive(Default)]
pub(super) struct Batch {
    written: Vec<u8>,
    rows: Vec<Row>,
}

impl Talk {
    /// Connects and says HELLO. A server that refuses it, for want of a password say, is talked to all the same.
    ///
    /// # Errors
    /// When there is no connection, or it breaks off.
    #[inline(never)]
    pub(super) fn connect(target: &Target, style: Style) -> Result<Box<Talk>, Failure> {
        let (client, patience) = (target.dial()?, target.patience);
        let mut talk = Box::new(Talk { client, style, patience, refusal: None, queued: None, row: None });
        talk.greet(target.password.as_deref())?;
        Ok(talk)
    }

    #[inline(never)]
    fn greet(&mut self, password: Option<&[u8]>) -> Result<(), Failure> {
        let reply = self.client.hello(3, password, Deadline::after(self.patience))?;
        self.refusal = (reply.kind() == Kind::Error).then(|| show::escaped(reply.bytes()));
        Ok(())
    }

    pub(super) fn in_transaction(&self) -> bool {
        self.queued.is_some()
    }

    /// Sends words as they are; says what will be answered.
    ///
    /// # Errors
    /// When the connection breaks.
    pub(super) fn send_words(&mut self, words: &[&[u8]]) -> Result<Answer, Failure> {
        let mut out = Vec::new();
        write_command(&mut out, words.iter().copied());
        self.row = words.first().and_then(|name| lookup(name));
        self.client.send(&out, Deadline::NEVER)?;
        let mut head = Vec::new();
        for word in words.iter().take(2) {
            head.extend_from_slice(word);
            head.push(b' ');
        }
        Ok(lines::answer(head.trim_ascii_end()))
    }

    /// Sends a line of the text protocol; says what will be answered.
    ///
    /// # Errors
    /// When the connection breaks.
    pub(super) fn send_line(&mut self, line: &[u8]) -> Result<Answer, Failure> {
        let mut batch = Batch::default();
        self.put(line, &mut batch);
        self.row = batch.rows.pop().flatten();
        self.client.send(&batch.written, Deadline::NEVER)?;
        Ok(lines::answer(line))
    }

    /// Puts a line, which has a word at least, behind those that are to be sent together.
    #[inline(never)]
    pub(super) fn put(&self, line: &[u8], batch: &mut Batch) {
        let words = split(line);
        if self.refusal.is_none() {
            batch.written.extend_from_slice(line);
            // CRLF and not LF, so that a value may end with a CR: the server takes one away.
            batch.written.extend_from_slice(b"\r\n");
        } else {
            write_command(&mut batch.written, words.iter().copied());
        }
        batch.rows.push(words.first().and_then(|name| lookup(name)));
    }

    /// Sends lines with one answer each, and prints the answers as they come; says whether one was an error.
    ///
    /// # Errors
    /// When the connection breaks, or nobody reads.
    #[inline(never)]
    pub(super) fn run(&mut self, batch: &mut Batch) -> Result<bool, Failure> {
        const PRINT_BYTES: usize = 64 * 1024;
        let Batch { written, rows } = std::mem::take(batch);
        let Talk { client, style, queued, .. } = self;
        let mut rows_left = rows.iter();
        let (mut out, mut failed, mut printed) = (Vec::new(), false, Ok(()));
        let exchanged = client.exchange(&written, rows.len(), Deadline::NEVER, &mut |view: View<'_>| {
            failed |= answered(view, *style, *rows_left.next().unwrap_or(&None), queued, &mut out);
            if out.len() >= PRINT_BYTES && printed.is_ok() {
                printed = print(&out);
                out.clear();
            }
        });
        printed?;
        // What was answered before the connection broke is printed as well.
        print(&out)?;
        exchanged?;
        Ok(failed)
    }

    /// Drops what came and was not asked for, as further answers to UNSUBSCRIBE.
    ///
    /// # Errors
    /// When the connection breaks.
    pub(super) fn forget_unasked(&mut self) -> io::Result<()> {
        while self.client.try_receive()?.is_some() {}
        Ok(())
    }

    /// The next answer, if it is here; printed into `out`, and whether it is an error.
    ///
    /// # Errors
    /// When the connection breaks.
    pub(super) fn try_answer(&mut self, out: &mut Vec<u8>) -> io::Result<Option<bool>> {
        let Some(view) = self.client.try_receive()? else { return Ok(None) };
        Ok(Some(answered(view, self.style, self.row, &mut self.queued, out)))
    }

    /// Waits for the next answer; prints it into `out`, and says whether it is an error.
    ///
    /// # Errors
    /// When the connection breaks.
    pub(super) fn answer(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        let view = self.client.receive(Deadline::NEVER)?;
        Ok(answered(view, self.style, self.row, &mut self.queued, out))
    }

    /// After AUTH was answered: a server that has refused our HELLO may take it now.
    ///
    /// # Errors
    /// When the connection breaks.
    pub(super) fn greet_again(&mut self) -> Result<(), Failure> {
        let was_auth =
            self.row.is_some_and(|row| row.name() == "auth" || row.name() == "hello" || row.name() == "reset");
        if was_auth { self.greet(None) } else { Ok(()) }
    }
}

/// Whether the answer to a line is to be waited for before more is sent: it changes how the next ones are answered, or is
/// a push, which is no answer where several lines are sent together.
pub(super) fn is_apart(line: &[u8]) -> bool {
    const APART: [&str; 5] = ["auth", "hello", "reset", "unsubscribe", "punsubscribe"];
    let words = split(line);
    words.first().is_some_and(|name| APART.iter().any(|apart| name.eq_ignore_ascii_case(apart.as_bytes())))
}

/// Prints an answer. What MULTI queues is remembered, so that EXEC's answers have the faces of their commands.
#[inline(never)]
fn answered(view: View<'_>, style: Style, row: Row, queued: &mut Option<Vec<Row>>, out: &mut Vec<u8>) -> bool {
    let error = show::is_error(view);
    match (queued.as_mut(), row.map(|row| row.name())) {
        (None, Some("multi")) if !error => *queued = Some(Vec::new()),
        (Some(rows), _) if view.bytes() == b"QUEUED" => {
            rows.push(row);
            show::print(style, view, None, out);
            return false;
        }
        (Some(_), Some("discard" | "reset")) if !error => *queued = None,
        (Some(_), Some("exec")) => {
            let rows = queued.take().unwrap_or_default();
            let faces = matches!(style, Style::Raw | Style::People { .. });
            if faces && !rows.is_empty() && rows.len() == view.len() {
                view.children().zip(rows).for_each(|(child, row)| show::print(style, child, row, out));
                return error;
            }
        }
        _ => {}
    }
    show::print(style, view, row, out);
    error
}

/// The words of a line as the text protocol has them: the last argument of some commands is the rest of the line.
fn split(line: &[u8]) -> Vec<&[u8]> {
    let blank = |byte: &u8| *byte == b' ' || *byte == b'\t';
    let mut words = Vec::new();
    // Which word takes the rest; 0: none.
    let mut rest = 0;
    let mut left = line;
    while let Some(start) = left.iter().position(|byte| !blank(byte)) {
        left = &left[start..];
        let end = left.iter().position(blank).unwrap_or(left.len());
        words.push(&left[..end]);
        if words.len() == 1 {
            rest = lookup(words[0]).map_or(0, |row| row.rest);
        }
        // The word before the rest ends with one blank.
        if words.len() == usize::from(rest) && end < left.len() {
            words.push(&left[end + 1..]);
            break;
        }
        left = &left[end..];
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_the_conversation_is_sent_alone() {
        for line in ["AUTH x", " hello 3", "reset", "UNSUBSCRIBE", "punsubscribe a*"] {
            assert!(is_apart(line.as_bytes()), "{line}");
        }
        for line in ["", "GET auth", "authx"] {
            assert!(!is_apart(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn lines_are_split_as_the_text_protocol_has_them() {
        for (line, wanted) in [
            ("", &[][..]),
            (" \t ", &[]),
            ("GET k", &["GET", "k"]),
            ("  get \t k  ", &["get", "k"]),
            ("SET k  two words ", &["SET", "k", " two words "]),
            ("SET k ", &["SET", "k", ""]),
            ("SET k", &["SET", "k"]),
            ("setex  k  10 a b", &["setex", "k", "10", "a b"]),
            ("ECHO  a ", &["ECHO", " a "]),
            ("nonsense a  b", &["nonsense", "a", "b"]),
        ] {
            let words: Vec<&str> =
                split(line.as_bytes()).iter().map(|word| str::from_utf8(word).expect("text")).collect();
            assert_eq!(words, wanted, "{line:?}");
        }
    }
}
