//! A blocking client of the text protocol over TCP, for the benchmark and the tests; [`resp`] has one of RESP.
//!
//! It frames: a line out, a reply in. It knows neither commands nor what an answer means, and it cannot see the end of
//! a reply that has CRLF inside (a value stored through RESP can): the text protocol itself cannot say it.

pub mod reply;
pub mod resp;

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use getopts::Options;

use crate::limits::ANSWER_BYTES_MAX;
use crate::stats::Fixed;
pub use crate::sys::reason;
use crate::sys::sentence;
use resp::Deadline;

/// Where the tools look for a server when they are not told.
pub const HOST_DEFAULT: &str = "127.0.0.1";

/// The port of the server when none is given.
pub const PORT_DEFAULT: u16 = 6737;

/// How long the tools wait for each address to take the connection: a box behind a slow radio link answers in a second
/// or two, and a person waits no longer than this for one that is switched off.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The read buffer at rest: many small replies in one system call, and little memory on a small box.
const READ_BYTES: usize = 16 * 1024;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The host, a numeric address (`::1` and `[::1]` alike) or a name; or the path of a Unix socket.
    pub name: String,
    /// None at a Unix socket.
    pub port: Option<u16>,
}

impl Target {
    /// As people write it.
    pub fn text(&self) -> String {
        self.port.map_or_else(|| self.name.clone(), |port| resp::address(&self.name, port))
    }
}

/// One connection to a server.
pub struct Client {
    stream: TcpStream,
    address: String,
    replies: ReplyBuffer,
    out: Vec<u8>,
    reply_timeout: Option<Duration>,
}

impl Client {
    /// Connects to `target`, trying a name's addresses in turn and waiting at most `timeout` for each; and says the
    /// password, where there is one. A server that wants none does not mind it.
    ///
    /// # Errors
    /// A sentence that names the target. The kind is `NotFound` when the name has no address, `PermissionDenied` when the
    /// password is refused, else that of the last address tried.
    pub fn connect(target: &Target, password: Option<&[u8]>, timeout: Duration) -> io::Result<Client> {
        let (socket, address) = match target.port {
            Some(port) => resp::dial_host(&target.name, port, &|count| Deadline::after(timeout * count as u32))?,
            None => resp::dial_unix(Path::new(&target.name), Deadline::after(timeout))?,
        };
        let stream = stream(socket.as_fd())?;
        let mut client = Client { stream, address, replies: ReplyBuffer::new(), out: Vec::new(), reply_timeout: None };
        if let Some(password) = password {
            client.authenticate(password, timeout)?;
        }
        Ok(client)
    }

    /// An array, since a line has no words with blanks: it is answered in RESP.
    #[inline(never)]
    fn authenticate(&mut self, password: &[u8], timeout: Duration) -> io::Result<()> {
        self.set_reply_timeout(Some(timeout))?;
        resp::write_command(&mut self.out, [b"AUTH", password].iter().copied());
        self.stream.write_all(&self.out).map_err(|error| self.broken(&error))?;
        let reply = self.read_reply()?;
        if !reply.starts_with(b"+") && !resp::wants_no_password(reply.get(1..).unwrap_or_default()) {
            let why = String::from_utf8_lossy(reply).into_owned();
            let why = why.trim_start_matches('-');
            return Err(sentence(io::ErrorKind::PermissionDenied, format_args!("{}: {why}", self.address)));
        }
        self.set_reply_timeout(None)
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
                return Err(sentence(io::ErrorKind::InvalidInput, format_args!("a command cannot hold a line feed")));
            }
            self.out.extend_from_slice(line);
            // CRLF and not LF, so that a value may end with a CR: the server takes one away.
            self.out.extend_from_slice(b"\r\n");
        }
        self.stream.write_all(&self.out).map_err(|error| self.broken(&error))
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
            let space = self.replies.recv_space().map_err(|bytes| too_long(&self.address, bytes))?;
            match self.stream.read(space) {
                Ok(0) => return Err(closed(&self.address, !self.replies.is_empty())),
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

    fn broken(&self, error: &io::Error) -> io::Error {
        // A socket with a timeout tells of it as "would block".
        if let (io::ErrorKind::WouldBlock, Some(timeout)) = (error.kind(), self.reply_timeout) {
            let seconds = Fixed::<3>(timeout.as_millis() as u64).to_string();
            let seconds = seconds.trim_end_matches('0').trim_end_matches('.');
            let what = format_args!("{} did not answer within {seconds} s", self.address);
            return sentence(io::ErrorKind::TimedOut, what);
        }
        lost(&self.address, error)
    }
}

/// The server has closed the connection.
#[inline(never)]
fn closed(address: &str, in_answer: bool) -> io::Error {
    let when = if in_answer { "in the middle of an answer" } else { "without an answer" };
    sentence(io::ErrorKind::UnexpectedEof, format_args!("{address} closed the connection {when}"))
}

/// The connection broke off.
#[inline(never)]
fn lost(address: &str, error: &io::Error) -> io::Error {
    sentence(error.kind(), format_args!("the connection to {address} is lost: {}", reason(error)))
}

/// There is no more room for an answer.
#[inline(never)]
fn too_long(address: &str, bytes: usize) -> io::Error {
    let what = format_args!("the answer of {address} is not over after {bytes} bytes, and more cannot be held");
    sentence(io::ErrorKind::OutOfMemory, what)
}

/// Room for at least one more byte behind `bytes[start..end]`, which is kept and moves to the front. The buffer doubles only
/// when a reply fills it, so that memory follows the bytes that really came, and falls back after a big reply. The error is
/// how many bytes are here when more cannot be.
#[inline(never)]
fn room<'a>(bytes: &'a mut Vec<u8>, start: usize, end: &mut usize, bytes_max: usize) -> Result<&'a mut [u8], usize> {
    // What has its place at the front already may be a long answer that comes in many pieces.
    if start > 0 {
        bytes.copy_within(start..*end, 0);
        *end -= start;
    }
    if *end == bytes.len() {
        let doubled = (*end * 2).min(bytes_max);
        if doubled == *end || bytes.try_reserve_exact(doubled - *end).is_err() {
            return Err(*end);
        }
        bytes.resize(doubled, 0);
    } else if *end == 0 && bytes.len() > READ_BYTES {
        *bytes = vec![0; READ_BYTES];
    }
    Ok(&mut bytes[*end..])
}

/// The same connection once more, of the standard library's kind, which waits. What reads, writes and shuts down is the
/// same for a Unix socket.
///
/// # Errors
/// When there is no descriptor left.
pub fn stream(socket: BorrowedFd<'_>) -> io::Result<TcpStream> {
    let stream = TcpStream::from(socket.try_clone_to_owned()?);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// Adds options to those that a tool knows. Each is a word: the short name and a comma where there is one, the long name,
/// `=` where a value follows.
pub fn add_options(options: &mut Options, words: &str) {
    for word in words.split_ascii_whitespace() {
        let (short, long) = word.split_once(',').unwrap_or(("", word));
        match long.strip_suffix('=') {
            Some(name) => options.optopt(short, name, "", ""),
            None => options.optflag(short, long, ""),
        };
    }
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

    /// Room for at least one more byte, as [`room`] makes it.
    fn recv_space(&mut self) -> Result<&mut [u8], usize> {
        self.scanned -= self.start;
        room(&mut self.bytes, std::mem::take(&mut self.start), &mut self.end, self.bytes_max)
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
