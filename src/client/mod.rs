//! A blocking client of the text protocol over TCP, for the command line tool, the benchmark and the tests; [`resp`] has
//! one of RESP.
//!
//! It frames: a line out, a reply in. It knows neither commands nor what an answer means, and it cannot see the end of
//! a reply that has CRLF inside (a value stored through RESP can): the text protocol itself cannot say it.

pub mod reply;
pub mod resp;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::time::Duration;

use crate::limits::ANSWER_BYTES_MAX;
use crate::stats::Fixed;
pub use crate::sys::reason;
use crate::sys::{resolve, sentence};

/// Where the tools look for a server when they are not told.
pub const HOST_DEFAULT: &str = "127.0.0.1";

/// The port of the server when none is given.
pub const PORT_DEFAULT: u16 = 6737;

/// How long the tools wait for each address to take the connection: a box behind a slow radio link answers in a second
/// or two, and a person waits no longer than this for one that is switched off.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The read buffer at rest: many small replies in one system call, and little memory on a small box.
const READ_BYTES: usize = 16 * 1024;

/// One connection to a server.
pub struct Client {
    stream: TcpStream,
    address: String,
    replies: ReplyBuffer,
    out: Vec<u8>,
    reply_timeout: Option<Duration>,
}

impl Client {
    /// Connects to `host`, a numeric address (`::1` and `[::1]` alike) or a name, trying its addresses in turn and
    /// waiting at most `timeout` for each.
    ///
    /// # Errors
    /// A sentence that names host and port. The kind is `NotFound` when the name has no address, else that of the last
    /// address tried.
    pub fn connect(host: &str, port: u16, timeout: Duration) -> io::Result<Client> {
        let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let address = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let failed =
            |error: io::Error| sentence(error.kind(), format!("cannot connect to {address}: {}", reason(&error)));
        let found = resolve::addresses(host, port).map_err(failed)?;
        let stream = connect_any(&found, timeout).map_err(failed)?;
        // Without this the kernel holds back a small request until the answer to the one before is acknowledged.
        stream.set_nodelay(true).map_err(failed)?;
        Ok(Client { stream, address, replies: ReplyBuffer::new(), out: Vec::new(), reply_timeout: None })
    }

    /// `host:port` as asked for, with brackets around an IPv6 address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// How long `read_reply` waits for more bytes; `None`, as at the start, is for ever.
    ///
    /// # Errors
    /// When the timeout is zero.
    pub fn set_reply_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.stream.set_read_timeout(timeout)?;
        self.reply_timeout = timeout;
        Ok(())
    }

    /// Sends one line, given without its end.
    ///
    /// # Errors
    /// `InvalidInput` when the line holds a line feed, which would make it two requests; else what `write` says.
    pub fn send_line(&mut self, line: &[u8]) -> io::Result<()> {
        self.send_lines([line])
    }

    /// Sends lines, each given without its end, in one write. Nothing is read meanwhile: lines whose replies are more
    /// than the sockets' buffers hold would wait for ever, so send a bounded number, then read their replies.
    ///
    /// # Errors
    /// As `send_line`; then nothing was sent.
    pub fn send_lines<'a>(&mut self, lines: impl IntoIterator<Item = &'a [u8]>) -> io::Result<()> {
        self.out.clear();
        for line in lines {
            if line.contains(&b'\n') {
                return Err(sentence(io::ErrorKind::InvalidInput, "a command cannot hold a line feed".into()));
            }
            self.out.extend_from_slice(line);
            // CRLF and not LF, so that a value may end with a CR: the server takes one away.
            self.out.extend_from_slice(b"\r\n");
        }
        self.stream.write_all(&self.out).map_err(|error| self.broken(&error))
    }

    /// Says that no more lines will come; the server answers what it owes and closes.
    ///
    /// # Errors
    /// When the connection is already gone.
    pub fn end_lines(&mut self) -> io::Result<()> {
        self.stream.shutdown(std::net::Shutdown::Write).map_err(|error| self.broken(&error))
    }

    /// Waits for the next reply and lends its bytes without the CRLF at its end. The lines of one of several lines
    /// have bare LF between them.
    ///
    /// # Errors
    /// `UnexpectedEof` when the server closed the connection, `TimedOut` after the reply timeout, `OutOfMemory` for an
    /// answer of more than [`ANSWER_BYTES_MAX`] or than there is memory for, else what `read` says: each a sentence that
    /// names the server.
    pub fn read_reply(&mut self) -> io::Result<&[u8]> {
        let span = loop {
            if let Some(span) = self.replies.next_reply() {
                break span;
            }
            let space = self.replies.recv_space().map_err(|bytes| {
                let why =
                    format!("the answer of {} is not over after {bytes} bytes, and more cannot be held", self.address);
                sentence(io::ErrorKind::OutOfMemory, why)
            })?;
            match self.stream.read(space) {
                Ok(0) => return Err(self.closed()),
                Ok(count) => self.replies.recv_advance(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.broken(&error)),
            }
        };
        Ok(&self.replies.bytes[span])
    }

    /// Sends a line and waits for its reply.
    ///
    /// # Errors
    /// As `send_line` and `read_reply`.
    pub fn ask(&mut self, line: &[u8]) -> io::Result<&[u8]> {
        self.send_line(line)?;
        self.read_reply()
    }

    /// The bare connection, for who copies bytes instead of framing them.
    ///
    /// # Panics
    /// When bytes of the server are already in the read buffer, since they would be lost.
    pub fn into_stream(self) -> TcpStream {
        assert!(self.replies.is_empty(), "replies were read and not taken");
        self.stream
    }

    fn closed(&self) -> io::Error {
        let when = if self.replies.is_empty() { "without an answer" } else { "in the middle of an answer" };
        sentence(io::ErrorKind::UnexpectedEof, format!("{} closed the connection {when}", self.address))
    }

    fn broken(&self, error: &io::Error) -> io::Error {
        // A socket with a timeout tells of it as "would block".
        if let (io::ErrorKind::WouldBlock, Some(timeout)) = (error.kind(), self.reply_timeout) {
            let seconds = Fixed::<3>(timeout.as_millis() as u64).to_string();
            let seconds = seconds.trim_end_matches('0').trim_end_matches('.');
            let what = format!("{} did not answer within {seconds} s", self.address);
            return sentence(io::ErrorKind::TimedOut, what);
        }
        sentence(error.kind(), format!("the connection to {} is lost: {}", self.address, reason(error)))
    }
}

fn connect_any(addresses: &[SocketAddr], timeout: Duration) -> io::Result<TcpStream> {
    let mut last = sentence(io::ErrorKind::NotFound, "the name has no address".into());
    for address in addresses {
        match TcpStream::connect_timeout(address, timeout) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The port that a word of the command line names.
///
/// # Errors
/// A sentence, when the word is no number from 1 to 65535.
pub fn parse_port(word: &str) -> Result<u16, String> {
    match word.parse() {
        Ok(port) if port > 0 && word.bytes().all(|byte| byte.is_ascii_digit()) => Ok(port),
        _ => Err(format!("the port must be a number from 1 to 65535, not '{word}'")),
    }
}

/// Bytes of replies: `start..end` is received and not taken, and no reply ends in `start..scanned`, so that a byte is
/// looked at once however slowly a reply comes in.
///
/// Invariant: `start <= scanned <= end <= bytes.len()`.
struct ReplyBuffer {
    bytes: Vec<u8>,
    start: usize,
    scanned: usize,
    end: usize,
    /// It grows to no more than this.
    bytes_max: usize,
}

impl ReplyBuffer {
    fn new() -> ReplyBuffer {
        ReplyBuffer { bytes: vec![0; READ_BYTES], start: 0, scanned: 0, end: 0, bytes_max: ANSWER_BYTES_MAX }
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Takes the next whole reply: where it lies in `bytes` until `recv_space` is called, without its CRLF.
    fn next_reply(&mut self) -> Option<Range<usize>> {
        while let Some(offset) = self.bytes[self.scanned..self.end].iter().position(|&byte| byte == b'\n') {
            let feed = self.scanned + offset;
            self.scanned = feed + 1;
            if feed > self.start && self.bytes[feed - 1] == b'\r' {
                let span = self.start..feed - 1;
                self.start = self.scanned;
                return Some(span);
            }
        }
        self.scanned = self.end;
        None
    }

    /// Room for at least one more byte. What is kept moves to the front; the buffer doubles only when a reply fills
    /// it, so that memory follows the bytes that really came, and falls back after a big reply. The error is how many
    /// bytes are here when more cannot be.
    fn recv_space(&mut self) -> Result<&mut [u8], usize> {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.scanned -= self.start;
            self.start = 0;
        }
        if self.end == self.bytes.len() {
            let doubled = (self.end * 2).min(self.bytes_max);
            if doubled == self.end || self.bytes.try_reserve_exact(doubled - self.end).is_err() {
                return Err(self.end);
            }
            self.bytes.resize(doubled, 0);
        } else if self.end == 0 && self.bytes.len() > READ_BYTES {
            self.bytes = vec![0; READ_BYTES];
        }
        Ok(&mut self.bytes[self.end..])
    }

    fn recv_advance(&mut self, count: usize) {
        self.end += count;
        assert!(self.end <= self.bytes.len(), "more bytes received than there was room for");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds the pieces one after the other and gives back every reply found.
    fn replies(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut buffer = ReplyBuffer::new();
        let mut found = Vec::new();
        for piece in pieces {
            let mut rest = *piece;
            while !rest.is_empty() {
                let space = buffer.recv_space().expect("room");
                let count = rest.len().min(space.len());
                space[..count].copy_from_slice(&rest[..count]);
                buffer.recv_advance(count);
                rest = &rest[count..];
                while let Some(span) = buffer.next_reply() {
                    found.push(buffer.bytes[span].to_vec());
                }
                assert!(buffer.start <= buffer.scanned && buffer.scanned <= buffer.end);
            }
        }
        found
    }

    #[test]
    fn a_reply_ends_at_crlf_however_the_bytes_are_cut() {
        let wire = b"OK\r\n\r\none\ntwo\n\nthree\r\n\n\r\nlone\rcr\r\r\n\r\nlast\r";
        let wanted: Vec<&[u8]> = vec![b"OK", b"", b"one\ntwo\n\nthree", b"\n", b"lone\rcr\r", b""];
        assert_eq!(replies(&[wire]), wanted);
        for first in 0..=wire.len() {
            for second in first..=wire.len() {
                let pieces = [&wire[..first], &wire[first..second], &wire[second..]];
                assert_eq!(replies(&pieces), wanted, "cut at {first} and {second}");
            }
        }
        let bytes: Vec<&[u8]> = wire.chunks(1).collect();
        assert_eq!(replies(&bytes), wanted);
    }

    #[test]
    fn an_lf_after_the_cr_of_the_reply_before_is_not_an_end() {
        assert_eq!(replies(&[b"a\r\n", b"\nb\r\n"]), [b"a".to_vec(), b"\nb".to_vec()]);
    }

    #[test]
    fn replies_of_any_size_survive_any_cut() {
        for seed in crate::testkit::seeds(200) {
            let mut random = crate::testkit::Random::new(seed);
            let mut wanted = Vec::new();
            let mut wire = Vec::new();
            for _ in 0..random.below(20) {
                let bound = [10, 1000, 3 * READ_BYTES][random.below(3)];
                let length = random.below(bound);
                // Mostly the bytes that matter, but never the two that would end the reply early.
                let mut reply: Vec<u8> = (0..length).map(|_| b"\r\nx"[random.below(3)]).collect();
                (1..length).for_each(|at| {
                    if reply[at] == b'\n' && reply[at - 1] == b'\r' {
                        reply[at] = b'y'
                    }
                });
                wire.extend_from_slice(&reply);
                wire.extend_from_slice(b"\r\n");
                wanted.push(reply);
            }
            let mut pieces = Vec::new();
            let mut rest = wire.as_slice();
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(rest.len().min(1 + random.below(2 * READ_BYTES)));
                pieces.push(piece);
                rest = after;
            }
            assert!(replies(&pieces) == wanted, "seed {seed}");
        }
    }

    #[test]
    fn the_buffer_grows_for_a_big_reply_and_falls_back() {
        let mut buffer = ReplyBuffer::new();
        let mut sizes = Vec::new();
        let mut received = 0;
        while received < 3 * READ_BYTES {
            let space = buffer.recv_space().expect("room");
            let count = space.len().min(3 * READ_BYTES - received);
            space[..count].fill(b'x');
            buffer.recv_advance(count);
            received += count;
            assert!(buffer.next_reply().is_none());
            sizes.push(buffer.bytes.len() / READ_BYTES);
        }
        assert_eq!(sizes, [1, 2, 4]);
        buffer.recv_space().expect("room")[..2].copy_from_slice(b"\r\n");
        buffer.recv_advance(2);
        assert_eq!(buffer.next_reply(), Some(0..3 * READ_BYTES));
        buffer.recv_space().expect("room");
        assert_eq!(buffer.bytes.len(), READ_BYTES);
    }

    #[test]
    fn a_reply_without_an_end_has_a_bound() {
        let mut buffer = ReplyBuffer { bytes_max: 5 * READ_BYTES, ..ReplyBuffer::new() };
        let mut received = 0;
        while let Ok(space) = buffer.recv_space() {
            space.fill(b'x');
            let count = space.len();
            buffer.recv_advance(count);
            received += count;
            assert!(buffer.next_reply().is_none());
        }
        assert_eq!((received, buffer.recv_space().err()), (5 * READ_BYTES, Some(5 * READ_BYTES)));
        // One that just fits is a reply all the same, and leaves room for the next one.
        buffer.bytes[received - 2..].copy_from_slice(b"\r\n");
        buffer.scanned = 0;
        assert_eq!(buffer.next_reply(), Some(0..received - 2));
        assert!(buffer.recv_space().is_ok());
    }

    #[test]
    fn ports() {
        assert_eq!(parse_port("1"), Ok(1));
        assert_eq!(parse_port("65535"), Ok(65535));
        for word in ["", "0", "65536", "+80", "-1", "80a", " 80"] {
            assert!(parse_port(word).is_err(), "{word:?}");
        }
    }

    #[test]
    fn an_error_is_a_sentence_without_numbers() {
        let error = io::Error::from_raw_os_error(libc::ECONNREFUSED);
        assert_eq!(reason(&error), "Connection refused");
    }
}
