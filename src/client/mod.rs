//! What the tools and the C library have in common: where a server is, [`resp`] that talks to it, [`reply`] that finds
//! its answers.

pub mod reply;
pub mod resp;

use std::io;
use std::time::Duration;

use getopts::Options;

pub use crate::sys::reason;
use crate::sys::sentence;

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

/// The server has closed the connection.
#[inline(never)]
pub(crate) fn closed(address: &str, in_answer: bool) -> io::Error {
    let when = if in_answer { "in the middle of an answer" } else { "without an answer" };
    sentence(io::ErrorKind::UnexpectedEof, format_args!("{address} closed the connection {when}"))
}

/// The connection broke off.
#[inline(never)]
pub(crate) fn lost(address: &str, error: &io::Error) -> io::Error {
    sentence(error.kind(), format_args!("the connection to {address} is lost: {}", reason(error)))
}

/// There is no more room for an answer.
#[inline(never)]
pub(crate) fn too_long(address: &str, bytes: usize) -> io::Error {
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

/// The names of an option that a word tells of, the short one empty where there is none, and whether a value follows: the
/// short one and a comma, the long one, `=` for the value.
pub fn option(word: &str) -> (&str, &str, bool) {
    let (short, long) = word.split_once(',').unwrap_or(("", word));
    let name = long.strip_suffix('=');
    (short, name.unwrap_or(long), name.is_some())
}

/// Adds options to those that a tool knows, each a word as [`option`] reads it.
pub fn add_options(options: &mut Options, words: &str) {
    for word in words.split_ascii_whitespace() {
        match option(word) {
            (short, long, true) => options.optopt(short, long, "", ""),
            (short, long, false) => options.optflag(short, long, ""),
        };
    }
}

/// The two parts of `HOST:PORT`; the host may have colons of its own.
#[inline(never)]
pub fn host_and_port(text: &str) -> Option<(&str, &str)> {
    let at = text.bytes().rposition(|byte| byte == b':')?;
    Some((&text[..at], &text[at + 1..]))
}

/// Where the node is that a line of the answer to CLUSTER NODES tells of, `id host:port@bus,name flags ...`.
#[inline(never)]
pub fn node_address(line: &str) -> Option<(&str, &str)> {
    let place = line.split(' ').nth(1)?;
    let end = place.bytes().position(|byte| matches!(byte, b'@' | b',')).unwrap_or(place.len());
    host_and_port(&place[..end])
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

#[cfg(test)]
mod tests {
    use super::*;

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
