//! Lines from an input that is no terminal: copied to the server while the answers are copied back.
//!
//! Both directions run at once, since a server that stops reading from a client who does not take its answers would
//! otherwise hold both for ever. Bytes are copied, not framed, so memory does not depend on what passes.

use std::io::{self, ErrorKind};
use std::os::fd::AsFd;

use super::lines::Lines;
use super::show::escaped;
use super::talk::Target;
use super::{Failure, print, read_input};
use crate::client::reason;
use crate::client::resp::{Deadline, RespClient};
use crate::sys::tty;

/// What is received at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// The connection for the lines.
#[inline(never)]
fn connect(target: &Target) -> Result<Box<RespClient>, Failure> {
    let mut client = target.dial()?;
    if let Some(why) = client.authenticate(target.password.as_deref(), Deadline::after(target.patience))? {
        return Err(Failure::message(format_args!("{}", escaped(why))));
    }
    Ok(client)
}

/// Sends the lines of standard input, and prints each answer, followed by LF. Returns when the server has answered all
/// lines and closed. A last line without LF is sent with one.
///
/// # Errors
/// When input, output or connection fail; the last also when the server closes before the input's end, or owes answers.
pub(super) fn run(target: &Target) -> Result<(), Failure> {
    let client = connect(target)?;
    let mut copy = Copying::default();
    copy.run(&client)?;
    copy.judge(client.address())
}

/// What is copied, and how far it is.
#[derive(Default)]
struct Copying {
    lines: Lines,
    /// What was read, and how much of it is sent.
    piece: Vec<u8>,
    sent: usize,
    /// There is no more to be read, and why not.
    over: bool,
    unread: Option<Failure>,
    /// The server was told so: it is to answer the rest, and close.
    told: bool,
    ends: ReplyEnds,
    /// Answers that are to be printed.
    text: Vec<u8>,
    /// How the connection broke off.
    broken: Option<io::Error>,
}

impl Copying {
    /// Copies until the connection ends.
    ///
    /// # Errors
    /// When there is nothing to wait for, or nobody reads.
    #[inline(never)]
    fn run(&mut self, client: &RespClient) -> Result<(), Failure> {
        let mut received = vec![0; CHUNK_BYTES];
        loop {
            let to_send = self.sent < self.piece.len();
            if tty::wait_for(client.as_fd(), to_send, !to_send && !self.over)? {
                self.read();
            }
            if self.sent < self.piece.len() {
                match client.socket().send(&self.piece[self.sent..]) {
                    Ok(count) => self.sent += count,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    // The connection is gone, which is found and told below, after the last answer.
                    Err(_) => self.piece.clear(),
                }
            }
            if self.over && !self.told && self.sent >= self.piece.len() {
                self.told = true;
                client.socket().end_sending();
            }
            match client.socket().receive(&mut received) {
                Ok(0) => break,
                Ok(count) => {
                    self.ends.translate(&received[..count], &mut self.text);
                    print(&self.text)?;
                    self.text.clear();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => {
                    self.broken = Some(error);
                    break;
                }
            }
        }
        self.ends.finish(&mut self.text);
        print(&self.text)
    }

    /// Reads a piece of what is to be sent.
    fn read(&mut self) {
        self.piece.clear();
        self.sent = 0;
        match read_input(&mut self.piece) {
            Ok(0) if self.lines.in_line() => self.piece.push(b'\n'),
            Ok(count) => self.over = count == 0,
            Err(failure) => (self.over, self.unread) = (true, Some(failure)),
        }
        // What follows the line that ends the connection is not sent.
        self.piece.truncate(self.lines.feed(&self.piece));
        self.over |= self.lines.ended();
    }

    /// Whether all went as it should.
    #[inline(never)]
    fn judge(self, address: &str) -> Result<(), Failure> {
        if let Some(failure) = self.unread {
            return Err(failure);
        }
        let count = self.ends.count;
        let why = match (&self.broken, self.lines.owed()) {
            (Some(error), _) => reason(error),
            _ if self.ends.in_reply => "the server closed it in the middle of an answer".to_string(),
            _ if !self.over && !self.lines.may_end() => "the server closed it before the input's end".to_string(),
            (_, Some(owed)) if self.over && owed > count => format!("{owed} were owed"),
            _ => return Ok(()),
        };
        Err(Failure::message(format_args!("the connection to {address} is lost (answers received: {count}): {why}")))
    }
}

/// Turns the CRLF at the end of each reply into LF, and counts the replies.
#[derive(Default)]
struct ReplyEnds {
    /// The last byte was a CR, held back until the next one tells whether it ends the reply.
    held: bool,
    in_reply: bool,
    count: u64,
}

impl ReplyEnds {
    fn translate(&mut self, bytes: &[u8], text: &mut Vec<u8>) {
        for &byte in bytes {
            let ends = self.held && byte == b'\n';
            if self.held && !ends {
                text.push(b'\r');
            }
            self.held = byte == b'\r';
            if !self.held {
                text.push(byte);
            }
            self.in_reply = !ends;
            self.count += u64::from(ends);
        }
    }

    /// The connection is over: a CR held back was a byte of the answer.
    fn finish(&mut self, text: &mut Vec<u8>) {
        if std::mem::take(&mut self.held) {
            text.push(b'\r');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reply_ends_become_lf_however_they_are_cut() {
        let wire = b"OK\r\n\r\none\ntwo\r\nlone\rcr\r\r\n\n\r\nrest\r";
        let wanted = b"OK\n\none\ntwo\nlone\rcr\r\n\n\nrest\r";
        for first in 0..=wire.len() {
            for second in first..=wire.len() {
                let mut ends = ReplyEnds::default();
                let mut text = Vec::new();
                for piece in [&wire[..first], &wire[first..second], &wire[second..]] {
                    ends.translate(piece, &mut text);
                }
                ends.finish(&mut text);
                assert_eq!(text, wanted, "cut at {first} and {second}");
                assert_eq!((ends.count, ends.in_reply), (5, true));
            }
        }
    }
}
