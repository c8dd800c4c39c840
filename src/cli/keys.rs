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

/// What is done with some keys.
type Handle<'a> = &'a mut dyn FnMut(&mut RespClient, Vec<Vec<u8>>) -> Result<(), Failure>;

/// Hands over the keys a step at a time; a key may come more than once while others come and go.
///
/// # Errors
/// When the connection breaks, the server refuses, or `handle` fails.
fn each(client: &mut RespClient, pattern: Option<&str>, handle: Handle<'_>) -> Result<(), Failure> {
    let mut cursor = b"0".to_vec();
    loop {
        let (keys, next) = step(client, &cursor, pattern)?;
        handle(client, keys)?;
        if next == b"0" {
            return Ok(());
        }
        cursor = next;
    }
}

/// The keys at a cursor of SCAN, and the next cursor.
///
/// # Errors
/// When the connection breaks or the server refuses.
pub(super) fn step(
    client: &mut RespClient,
    cursor: &[u8],
    pattern: Option<&str>,
) -> Result<(Vec<Vec<u8>>, Vec<u8>), Failure> {
    let mut words: Vec<&[u8]> = vec![b"SCAN", cursor, b"COUNT", COUNT];
    if let Some(pattern) = pattern {
        words.extend([b"MATCH", pattern.as_bytes()]);
    }
    let view = client.call(&words, Deadline::NEVER)?;
    let mut parts = view.children();
    let (Some(next), Some(keys)) = (parts.next(), parts.next()) else {
        return Err(Failure::Message(format!("SCAN: {}", show::escaped(view.bytes()))));
    };
    Ok((keys.children().map(|key| key.bytes().to_vec()).collect(), next.bytes().to_vec()))
}

/// # Errors
/// As [`each`], and when nobody reads.
pub(super) fn scan(target: &Target, pattern: Option<&str>, style: Style) -> Result<(), Failure> {
    let mut client = target.connect()?;
    each(&mut client, pattern, &mut |_, keys| {
        let mut out = Vec::new();
        for key in keys {
            show::print_string(style, &key, &mut out);
        }
        print(&out)
    })
}

/// # Errors
/// As [`each`], and when nobody reads.
pub(super) fn biggest(target: &Target, pattern: Option<&str>) -> Result<(), Failure> {
    let mut client = target.connect()?;
    let progress = io::stderr().is_terminal();
    let (mut count, mut bytes, mut others) = (0_u64, 0_u64, 0_u64);
    // The longest first.
    let mut longest: Vec<(u64, Vec<u8>)> = Vec::new();
    each(&mut client, pattern, &mut |client, keys| {
        let mut commands = Vec::new();
        for key in &keys {
            write_command(&mut commands, [b"STRLEN".as_slice(), key].iter().copied());
        }
        let mut lengths = Vec::with_capacity(keys.len());
        client.exchange(&commands, keys.len(), Deadline::NEVER, &mut |view| {
            lengths.push((view.kind() == Kind::Integer).then(|| view.integer().unwrap_or_default() as u64));
        })?;
        for (key, length) in keys.into_iter().zip(lengths) {
            // Another server may hold what is no string.
            let Some(length) = length else {
                others += 1;
                continue;
            };
            count += 1;
            bytes += length;
            // A key that comes twice is one.
            let item = (length, key);
            let place = longest.partition_point(|other| *other > item);
            if place < SHOWN && longest.get(place) != Some(&item) {
                longest.insert(place, item);
                longest.truncate(SHOWN);
            }
        }
        if progress {
            tell(&format!("{count} keys "));
        }
        Ok(())
    })?;
    if progress {
        tell("");
    }
    let mut out = Vec::new();
    for (length, key) in longest {
        out.extend_from_slice(format!("{length:>12}  ").as_bytes());
        show::escape(&key, &mut out);
        out.push(b'\n');
    }
    let mean = Fixed::<1>((bytes.saturating_mul(10) + count / 2).checked_div(count).unwrap_or(0));
    out.extend_from_slice(format!("keys: {count}, bytes in values: {bytes}, mean: {mean}\n").as_bytes());
    if others > 0 {
        out.extend_from_slice(format!("no strings: {others}\n").as_bytes());
    }
    print(&out)
}
