//! Looks at all keys: `--scan` lists them, `--bigkeys` finds the longest values.

use std::fmt::Write;
use std::time::Duration;

use super::options::Request;
use super::show;
use super::talk::ask;
use super::{Failure, print, tell};
use crate::client::reply::{Kind, Reply};
use crate::client::resp::{Deadline, RespClient, write_command};
use crate::stats::Fixed;

/// So many keys are asked for at a time.
const COUNT: &[u8] = b"1000";

/// So many of the longest values are shown.
const SHOWN: usize = 10;

/// All keys of a server, a step at a time; a key may come more than once while others come and go.
pub(super) struct Scan<'a> {
    pattern: &'a str,
    /// Where the next step begins.
    pub(super) cursor: u64,
    pub(super) is_over: bool,
}

impl<'a> Scan<'a> {
    pub(super) fn new(request: &'a Request) -> Scan<'a> {
        Scan { pattern: request.pattern(), cursor: 0, is_over: false }
    }

    /// The answer with the [`keys`] of the next step; `None` behind the last one.
    ///
    /// # Errors
    /// When the connection breaks or the server refuses.
    #[inline(never)]
    pub(super) fn next(&mut self, client: &mut RespClient) -> Result<Option<Reply>, Failure> {
        if self.is_over {
            return Ok(None);
        }
        let cursor = self.cursor.to_string();
        let words = [b"SCAN", cursor.as_bytes(), b"COUNT", COUNT, b"MATCH", self.pattern.as_bytes()];
        let view = ask(client, &words, Duration::MAX)?;
        let mut parts = view.children();
        let next = parts.next().and_then(|next| str::from_utf8(next.bytes()).ok()?.parse().ok());
        let (Some(next), Some(_)) = (next, parts.next()) else {
            return Err(Failure::message(format_args!("SCAN is answered with something else")));
        };
        self.cursor = next;
        self.is_over = next == 0;
        Ok(Some(view.to_reply()))
    }
}

/// The keys of a step.
pub(super) fn keys(step: &Reply) -> Vec<&[u8]> {
    let mut keys = Vec::new();
    for list in step.view().children().skip(1) {
        for key in list.children() {
            keys.push(key.bytes());
        }
    }
    keys
}

/// The lengths of the keys' values; below zero for what holds no string, as another server may have.
///
/// # Errors
/// When the connection breaks.
#[inline(never)]
pub(super) fn lengths(client: &mut RespClient, keys: &[&[u8]]) -> Result<Vec<i64>, Failure> {
    let mut commands = Vec::new();
    for key in keys {
        write_command(&mut commands, [b"STRLEN".as_slice(), key].iter().copied());
    }
    let mut lengths = Vec::new();
    client.exchange(&commands, keys.len(), Deadline::NEVER, &mut |view| {
        lengths.push(if view.kind() == Kind::Integer { view.integer().unwrap_or(-1) } else { -1 });
    })?;
    Ok(lengths)
}

/// # Errors
/// As [`Scan::next`], and when nobody reads.
pub(super) fn scan(request: &Request) -> Result<(), Failure> {
    let mut client = request.target.connect()?;
    let mut scan = Scan::new(request);
    while let Some(step) = scan.next(&mut client)? {
        let mut out = Vec::new();
        for key in keys(&step) {
            show::print_string(request.style, key, &mut out);
        }
        print(&out)?;
    }
    Ok(())
}

/// # Errors
/// As [`Scan::next`], and when nobody reads.
pub(super) fn biggest(request: &Request) -> Result<(), Failure> {
    let mut client = request.target.connect()?;
    let (mut count, mut bytes, mut others) = (0_u64, 0_u64, 0_u64);
    // The longest first.
    let mut longest: Vec<(i64, Vec<u8>)> = Vec::new();
    let mut scan = Scan::new(request);
    while let Some(step) = scan.next(&mut client)? {
        let keys = keys(&step);
        let lengths = lengths(&mut client, &keys)?;
        for (key, &length) in keys.iter().zip(&lengths) {
            if length < 0 {
                others += 1;
                continue;
            }
            count += 1;
            bytes += length as u64;
            // A key that comes twice is one.
            let (mut place, mut is_known) = (0, false);
            for other in &longest {
                place += usize::from(other.0 >= length);
                is_known |= other.1 == *key;
            }
            if place < SHOWN && !is_known {
                longest.insert(place, (length, key.to_vec()));
                longest.truncate(SHOWN);
            }
        }
        tell(format_args!("{count} keys "));
    }
    tell(format_args!(""));
    let mut out = String::new();
    for (length, key) in &longest {
        let _ = writeln!(out, "{length:>12}  {}", show::escaped(key));
    }
    let mean = Fixed::<1>((bytes.saturating_mul(10) + count / 2).checked_div(count).unwrap_or(0));
    let _ = writeln!(out, "keys: {count}, bytes in values: {bytes}, mean: {mean}");
    if others > 0 {
        let _ = writeln!(out, "no strings: {others}");
    }
    print(out.as_bytes())
}
