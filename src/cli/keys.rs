//! Looks at all keys: `--scan` lists them, `--bigkeys` finds the longest values.

use std::io::{self, IsTerminal};

use super::show::{self, Style};
use super::talk::Target;
use super::{Failure, print, tell};
use crate::client::reply::Kind;
use crate::client::resp::{Deadline, RespClient, write_command};
use crate::stats::Fixed;

/// So many keys are asked for at a time.
const COUNT: &[u8] = b"1000";

/// So many of the longest values are shown.
const SHOWN: usize = 10;

/// All keys of a server, a step at a time; a key may come more than once while others come and go.
pub(super) struct Scan<'a> {
    pub(super) pattern: Option<&'a str>,
    /// Where the next step begins.
    pub(super) cursor: u64,
    pub(super) is_over: bool,
}

impl<'a> Scan<'a> {
    pub(super) fn new(pattern: Option<&'a str>) -> Scan<'a> {
        Scan { pattern, cursor: 0, is_over: false }
    }

    /// The keys of the next step; `None` behind the last one.
    ///
    /// # Errors
    /// When the connection breaks or the server refuses.
    pub(super) fn next(&mut self, client: &mut RespClient) -> Result<Option<Vec<Vec<u8>>>, Failure> {
        if self.is_over {
            return Ok(None);
        }
        let cursor = self.cursor.to_string();
        let words = [b"SCAN", cursor.as_bytes(), b"COUNT", COUNT, b"MATCH", self.pattern.unwrap_or("").as_bytes()];
        let count = if self.pattern.is_some() { 6 } else { 4 };
        let view = client.call(&words[..count], Deadline::NEVER)?;
        let mut parts = view.children();
        let next = parts.next().and_then(|next| str::from_utf8(next.bytes()).ok()?.parse().ok());
        let (Some(next), Some(found)) = (next, parts.next()) else {
            return Err(Failure::message(format!("SCAN: {}", show::escaped(view.bytes()))));
        };
        self.cursor = next;
        self.is_over = next == 0;
        let mut keys = Vec::new();
        for key in found.children() {
            keys.push(key.bytes().to_vec());
        }
        Ok(Some(keys))
    }
}

/// The lengths of the keys' values; below zero for what holds no string, as another server may have.
///
/// # Errors
/// When the connection breaks.
pub(super) fn lengths(client: &mut RespClient, keys: &[Vec<u8>]) -> Result<Vec<i64>, Failure> {
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
pub(super) fn scan(target: &Target, pattern: Option<&str>, style: Style) -> Result<(), Failure> {
    let mut client = target.connect()?;
    let mut scan = Scan::new(pattern);
    while let Some(keys) = scan.next(&mut client)? {
        let mut out = Vec::new();
        for key in keys {
            show::print_string(style, &key, &mut out);
        }
        print(&out)?;
    }
    Ok(())
}

/// # Errors
/// As [`Scan::next`], and when nobody reads.
pub(super) fn biggest(target: &Target, pattern: Option<&str>) -> Result<(), Failure> {
    let mut client = target.connect()?;
    let progress = io::stderr().is_terminal();
    let (mut count, mut bytes, mut others) = (0_u64, 0_u64, 0_u64);
    // The longest first.
    let mut longest: Vec<(i64, Vec<u8>)> = Vec::new();
    let mut scan = Scan::new(pattern);
    while let Some(keys) = scan.next(&mut client)? {
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
                longest.insert(place, (length, key.clone()));
                longest.truncate(SHOWN);
            }
        }
        if progress {
            tell(format!("{count} keys "));
        }
    }
    if progress {
        tell(String::new());
    }
    let mut out = Vec::new();
    for (length, key) in &longest {
        out.extend_from_slice(format!("{length:>12}  ").as_bytes());
        show::escape(key, &mut out);
        out.push(b'\n');
    }
    let mean = Fixed::<1>((bytes.saturating_mul(10) + count / 2).checked_div(count).unwrap_or(0));
    out.extend_from_slice(format!("keys: {count}, bytes in values: {bytes}, mean: {mean}\n").as_bytes());
    if others > 0 {
        out.extend_from_slice(format!("no strings: {others}\n").as_bytes());
    }
    print(&out)
}
