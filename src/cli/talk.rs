//! Talking to a server in RESP: connecting, greeting, one request and its answer at a time.

use std::io;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::path::PathBuf;

use super::Failure;
use super::lines::{self, Answer};
use super::show::{Row, Style, print};
use crate::client::CONNECT_TIMEOUT;
use crate::client::reply::{Kind, View};
use crate::client::resp::{Deadline, RespClient, write_command};
use crate::command::lookup;

/// Where the server is, and what lets us in.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Target {
    pub(super) host: String,
    pub(super) host_given: bool,
    pub(super) port: u16,
    pub(super) socket: Option<PathBuf>,
    pub(super) password: Option<Vec<u8>>,
}

impl Target {
    fn failed(&self, error: &io::Error) -> Failure {
        // Most likely a command with a slip of the finger.
        let known = error.kind() != io::ErrorKind::NotFound || !self.host_given || self.socket.is_some();
        let hint = if known { "" } else { " (and it is not the name of a command)" };
        Failure::message(format!("{error}{hint}"))
    }

    /// A connection of the text protocol, for who copies lines.
    ///
    /// # Errors
    /// When there is no connection, or the server does not want us.
    pub(super) fn connect_text(&self) -> Result<(String, TcpStream), Failure> {
        let mut client = self.connect_resp()?;
        if let Some(password) = &self.password {
            // An array, since a line has no words with blanks. Its answer is RESP, and nothing follows it yet.
            let reply = client.call(&[b"AUTH", password], Deadline::after(CONNECT_TIMEOUT))?;
            // One who wants no password does not mind it.
            if reply.kind() == Kind::Error && !reply.bytes().starts_with(b"ERR AUTH <password> called without any") {
                return Err(Failure::message(super::show::escaped(reply.bytes())));
            }
        }
        let stream = crate::client::stream(client.as_fd())?;
        Ok((client.address().to_string(), stream))
    }

    /// A connection of RESP, greeted.
    ///
    /// # Errors
    /// As [`Target::connect_text`].
    pub(super) fn connect(&self) -> Result<RespClient, Failure> {
        let talk = Talk::connect(self, Style::Raw)?;
        match talk.refusal {
            Some(why) => Err(Failure::message(why)),
            None => Ok(talk.client),
        }
    }

    fn connect_resp(&self) -> Result<RespClient, Failure> {
        let deadline = Deadline::after(CONNECT_TIMEOUT);
        let connected = match &self.socket {
            Some(path) => RespClient::connect_unix(path, deadline),
            None => RespClient::connect(&self.host, self.port, deadline),
        };
        connected.map_err(|error| self.failed(&error))
    }
}

/// One connection and what is known of it.
pub(super) struct Talk {
    pub(super) client: RespClient,
    style: Style,
    /// A line is answered in RESP: the server has taken our HELLO.
    lines: bool,
    /// Why it has not, in its words.
    pub(super) refusal: Option<String>,
    /// The commands queued since MULTI.
    queued: Option<Vec<Row>>,
    row: Row,
}

impl Talk {
    /// Connects and says HELLO. A server that refuses it, for want of a password say, is talked to all the same.
    ///
    /// # Errors
    /// When there is no connection, or it breaks off.
    pub(super) fn connect(target: &Target, style: Style) -> Result<Talk, Failure> {
        let client = target.connect_resp()?;
        let mut talk = Talk { client, style, lines: false, refusal: None, queued: None, row: None };
        talk.greet(target.password.as_deref())?;
        Ok(talk)
    }

    fn greet(&mut self, password: Option<&[u8]>) -> Result<(), Failure> {
        // A wrong password is answered late on purpose.
        let reply = self.client.hello(3, password, Deadline::after(CONNECT_TIMEOUT))?;
        (self.lines, self.refusal) = (true, None);
        if reply.kind() == Kind::Error {
            let why = super::show::escaped(reply.bytes());
            // Servers older than HELLO answer lines in RESP at once.
            self.lines = why.starts_with("ERR unknown command");
            self.refusal = Some(why);
            if let (true, Some(password)) = (self.lines, password) {
                let reply = self.client.call(&[b"AUTH", password], Deadline::after(CONNECT_TIMEOUT))?;
                let denied = reply.kind() == Kind::Error;
                self.refusal = denied.then(|| super::show::escaped(reply.bytes()));
            } else if self.lines {
                self.refusal = None;
            }
        }
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
        let mut out = Vec::new();
        self.row = self.write_line(line, &mut out);
        self.client.send(&out, Deadline::NEVER)?;
        Ok(lines::answer(line))
    }

    /// Writes a line as it is to be sent, nothing for one of blanks alone; gives the row of its command.
    pub(super) fn write_line(&self, line: &[u8], out: &mut Vec<u8>) -> Row {
        let words = split(line);
        let name = words.first()?;
        if self.lines {
            out.extend_from_slice(line);
            // CRLF and not LF, so that a value may end with a CR: the server takes one away.
            out.extend_from_slice(b"\r\n");
        } else {
            // A line would be answered as text, whose end cannot always be told.
            write_command(out, words.iter().copied());
        }
        lookup(name)
    }

    /// Sends what was written for so many lines with one answer each, while the answers are taken, and
    /// handed over printed, with whether each is an error.
    ///
    /// # Errors
    /// When the connection breaks.
    pub(super) fn exchange(
        &mut self,
        written: &[u8],
        rows: &[Row],
        handle: &mut dyn FnMut(Vec<u8>, bool),
    ) -> io::Result<()> {
        let Talk { client, style, queued, .. } = self;
        let mut rows_left = rows.iter();
        client.exchange(written, rows.len(), Deadline::NEVER, &mut |view: View<'_>| {
            let mut out = Vec::new();
            let error = answered(view, *style, *rows_left.next().unwrap_or(&None), queued, &mut out);
            handle(out, error);
        })
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
        let was_auth = self.row.is_some_and(|row| row.name == "auth" || row.name == "hello" || row.name == "reset");
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
fn answered(view: View<'_>, style: Style, row: Row, queued: &mut Option<Vec<Row>>, out: &mut Vec<u8>) -> bool {
    let error = super::show::is_error(view);
    match (queued.as_mut(), row.map(|row| row.name)) {
        (None, Some("multi")) if !error => *queued = Some(Vec::new()),
        (Some(rows), _) if view.bytes() == b"QUEUED" => {
            rows.push(row);
            print(style, view, None, out);
            return false;
        }
        (Some(_), Some("discard" | "reset")) if !error => *queued = None,
        (Some(_), Some("exec")) => {
            let rows = queued.take().unwrap_or_default();
            let faces = matches!(style, Style::Raw | Style::People { .. });
            if faces && !rows.is_empty() && rows.len() == view.len() {
                view.children().zip(rows).for_each(|(child, row)| print(style, child, row, out));
                return error;
            }
        }
        _ => {}
    }
    print(style, view, row, out);
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
