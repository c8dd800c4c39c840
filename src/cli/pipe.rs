//! Lines from an input that is no terminal: copied to the server while the answers are copied back.
//!
//! Both directions run at once, since a server that stops reading from a client who does not take its answers would
//! otherwise hold both for ever. Bytes are copied, not framed, so memory does not depend on what passes.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use super::Failure;
use super::lines::Lines;
use crate::client::{Client, reason};
use crate::sys::threads;

/// What is read or received at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// How far the thread that sends has come.
enum Sending {
    /// There may be more to send, unless the server took one of these lines as the last.
    Open { may_end: bool },
    /// This is all; so many replies are owed, if that can be told.
    Done(Option<u64>),
    /// The input cannot be read.
    Failed(io::Error),
}

/// Sends the lines of `input`, and writes each answer to `output`, followed by LF. Returns when the server has answered
/// all lines and closed. A last line without LF is sent with one.
///
/// # Errors
/// When input, output or connection fail; the last also when the server closes before the input's end, or owes answers.
pub(super) fn run(client: Client, input: impl Read + Send + 'static, output: &mut dyn Write) -> Result<(), Failure> {
    let address = client.address().to_string();
    let mut receiver = client.into_stream();
    let sender = receiver.try_clone().map_err(|error| Failure::at("cannot use the connection twice", &error))?;
    let sending = Arc::new(Mutex::new(Sending::Open { may_end: false }));
    let told = Arc::clone(&sending);
    // The thread is not joined: it may sit in a read of an input that never ends when the server is long gone.
    threads::start(Box::new(move || send(input, sender, &told)))
        .map_err(|error| Failure::at("cannot start the thread that sends", &error))?;

    let mut ends = ReplyEnds::default();
    let received = receive(&mut receiver, &mut ends, output)?;
    let state = &*sending.lock().unwrap_or_else(PoisonError::into_inner);
    let lost = |why: &str| {
        let count = ends.count;
        Err(Failure::Message(format!("the connection to {address} is lost (answers received: {count}): {why}")))
    };
    match (state, received) {
        (Sending::Failed(error), _) => Err(Failure::at("cannot read standard input", error)),
        (_, Err(error)) => lost(&reason(&error)),
        _ if ends.in_reply => lost("the server closed it in the middle of an answer"),
        (Sending::Open { may_end: false }, _) => lost("the server closed it before the input's end"),
        (Sending::Done(Some(owed)), _) if *owed > ends.count => lost(&format!("{owed} were owed")),
        _ => Ok(()),
    }
}

/// Copies the input into the socket, then half-closes it, which tells the server to answer the rest and close.
fn send(mut input: impl Read, mut socket: TcpStream, told: &Mutex<Sending>) {
    let tell = |state| *told.lock().unwrap_or_else(PoisonError::into_inner) = state;
    let mut lines = Lines::default();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = match input.read(&mut chunk) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                tell(Sending::Failed(error));
                break;
            }
        };
        let at_end = count == 0;
        let bytes = if at_end && lines.in_line() { b"\n" } else { &chunk[..count] };
        let wanted = lines.feed(bytes);
        // Told before it is sent: the server may close at once, and the receiver then looks here.
        let last = at_end || lines.ended();
        tell(if last { Sending::Done(lines.owed()) } else { Sending::Open { may_end: lines.may_end() } });
        // When this fails, the receiver finds the connection gone as well, and reports it after the last answer.
        if socket.write_all(&bytes[..wanted]).is_err() || last {
            break;
        }
    }
    // It fails only when the connection is gone, which the receiver finds out.
    let _ = socket.shutdown(Shutdown::Write);
}

/// Copies answers to the output until the server closes; the inner error is that of the socket.
fn receive(
    socket: &mut TcpStream,
    ends: &mut ReplyEnds,
    output: &mut dyn Write,
) -> Result<Result<(), io::Error>, Failure> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut text = Vec::with_capacity(CHUNK_BYTES + 1);
    loop {
        let received = match socket.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            received => received,
        };
        text.clear();
        match received {
            Ok(count) if count > 0 => ends.translate(&chunk[..count], &mut text),
            _ => ends.finish(&mut text),
        }
        output.write_all(&text).and_then(|()| output.flush()).map_err(|error| Failure::output(&error))?;
        match received {
            Ok(0) => return Ok(Ok(())),
            Ok(_) => {}
            Err(error) => return Ok(Err(error)),
        }
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
