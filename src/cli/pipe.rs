//! Lines from an input that is no terminal: copied to the server while the answers are copied back.
//!
//! Both directions run at once, since a server that stops reading from a client who does not take its answers would
//! otherwise hold both for ever. Bytes are copied, not framed, so memory does not depend on what passes.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;

use super::lines::Lines;
use super::show::escaped;
use super::talk::Target;
use super::{Failure, print, read_input};
use crate::client::reason;
use crate::client::reply::Kind;
use crate::client::resp::{Deadline, wants_no_password};
use crate::sys::tty;

/// What is received at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// The connection for the lines; a Unix socket is read, written and shut down in the same way.
fn connect(target: &Target) -> Result<(String, TcpStream), Failure> {
    let mut client = target.dial()?;
    if let Some(password) = &target.password {
        // An array, since a line has no words with blanks. Its answer is RESP, and nothing follows it yet.
        let reply = client.call(&[b"AUTH", password], Deadline::after(target.patience))?;
        // One who wants no password does not mind it.
        if reply.kind() == Kind::Error && !wants_no_password(reply.bytes()) {
            return Err(Failure::message(format_args!("{}", escaped(reply.bytes()))));
        }
    }
    Ok((client.address().to_string(), client.as_fd().try_clone_to_owned()?.into()))
}

/// Sends the lines of standard input, and prints each answer, followed by LF. Returns when the server has answered all
/// lines and closed. A last line without LF is sent with one.
///
/// # Errors
/// When input, output or connection fail; the last also when the server closes before the input's end, or owes answers.
#[inline(never)]
pub(super) fn run(target: &Target) -> Result<(), Failure> {
    let (address, mut socket) = connect(target)?;
    let (mut lines, mut ends) = (Lines::default(), ReplyEnds::default());
    let (mut received, mut text) = (vec![0; CHUNK_BYTES], Vec::new());
    // What was read, and how much of it is sent; whether there is no more to be read, which the server was told; why not.
    let (mut piece, mut sent, mut over, mut told, mut unread) = (Vec::new(), 0, false, false, None);
    let outcome = loop {
        let to_send = sent < piece.len();
        if tty::wait_for(socket.as_fd(), to_send, !to_send && !over)? {
            piece.clear();
            sent = 0;
            match read_input(&mut piece) {
                Ok(0) if lines.in_line() => piece.push(b'\n'),
                Ok(count) => over = count == 0,
                Err(failure) => (over, unread) = (true, Some(failure)),
            }
            // What follows the line that ends the connection is not sent.
            piece.truncate(lines.feed(&piece));
            over |= lines.ended();
        }
        if sent < piece.len() {
            match socket.write(&piece[sent..]) {
                Ok(count) => sent += count,
                Err(error) if is_early(error.kind()) => {}
                // The connection is gone, which is found and told below, after the last answer.
                Err(_) => piece.clear(),
            }
        }
        if over && !told && sent >= piece.len() {
            // The server is to answer the rest, and close.
            told = true;
            let _ = socket.shutdown(Shutdown::Write);
        }
        match socket.read(&mut received) {
            Ok(0) => break Ok(()),
            Ok(count) => {
                ends.translate(&received[..count], &mut text);
                print(&text)?;
                text.clear();
            }
            Err(error) if is_early(error.kind()) => {}
            Err(error) => break Err(error),
        }
    };
    ends.finish(&mut text);
    print(&text)?;
    if let Some(failure) = unread {
        return Err(failure);
    }
    let why = match (outcome, lines.owed()) {
        (Err(error), _) => reason(&error),
        _ if ends.in_reply => "the server closed it in the middle of an answer".to_string(),
        _ if !over && !lines.may_end() => "the server closed it before the input's end".to_string(),
        (_, Some(owed)) if over && owed > ends.count => format!("{owed} were owed"),
        _ => return Ok(()),
    };
    let count = ends.count;
    Err(Failure::message(format_args!("the connection to {address} is lost (answers received: {count}): {why}")))
}

/// Whether it can be done later.
fn is_early(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::Interrupted)
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
