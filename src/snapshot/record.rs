//! The records of a snapshot, one behind the other. What is said of a key last holds, so that a key that is changed while
//! the snapshot is made is told of again.
//!
//! | letter | what follows |
//! | --- | --- |
//! | `B` | the first record: the wall clock in eight bytes, milliseconds since the Unix epoch; all ends count from it |
//! | `K` | a key: its length, its bytes, and its value as the payload of DUMP begins (type, length, bytes; no version and no checksum) |
//! | `X` | the same of a key that ends: before it, in eight bytes, how many milliseconds behind the time of `B` |
//! | `D` | a key, its length and its bytes, that is not there any more |
//! | `F` | no key is there any more |
//! | `E` | the last record: in eight bytes how many records there were before it, `B` not counted |
//!
//! Eight bytes are a number, the lowest byte first; the length of a key is written as those in a payload are.

use crate::dump::{self, HEAD_BYTES_MAX, Value};
use crate::limits::{INLINE_VALUE_BYTES_MAX, VALUE_BYTES_MAX};

/// A value of more bytes than this is told of before it is there.
const WHOLE_BYTES_MAX: usize = INLINE_VALUE_BYTES_MAX;

/// One record, as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// It begins, at this time of the wall clock.
    Begin(i64),
    /// A key, when it ends, and its value.
    Key(&'a [u8], Option<u64>, Value<'a>),
    /// The same; the value's bytes follow, so many.
    Long(&'a [u8], Option<u64>, usize),
    /// A key that is not there any more.
    Gone(&'a [u8]),
    /// No key is there any more.
    Flushed,
    /// It ends, after so many records.
    End(u64),
}

/// Bytes that are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wrong;

/// Writes a record of a letter and a number.
pub fn number(out: &mut Vec<u8>, letter: u8, number: u64) {
    out.push(letter);
    out.extend_from_slice(&number.to_le_bytes());
}

/// Writes the first record.
pub fn begin(out: &mut Vec<u8>, wall_ms: i64) {
    number(out, b'B', wall_ms as u64);
}

/// Writes that no key is there any more.
pub fn flushed(out: &mut Vec<u8>) {
    out.push(b'F');
}

/// Writes the last record.
pub fn end(out: &mut Vec<u8>, records: u64) {
    number(out, b'E', records);
}

/// Writes that a key is not there any more.
pub fn gone(out: &mut Vec<u8>, key: &[u8]) {
    out.push(b'D');
    put_key(out, key);
}

/// Writes a key with its value, and gives what of the value has to follow: all of it, or nothing of a number.
pub fn key<'v>(out: &mut Vec<u8>, key: &[u8], after_ms: Option<u64>, value: &'v [u8]) -> &'v [u8] {
    match after_ms {
        Some(after_ms) => number(out, b'X', after_ms),
        None => out.push(b'K'),
    }
    put_key(out, key);
    let mut head = [0; HEAD_BYTES_MAX];
    let (count, plain) = dump::begin(value, &mut head);
    out.extend_from_slice(&head[..count]);
    plain
}

fn put_key(out: &mut Vec<u8>, key: &[u8]) {
    let mut head = [0; HEAD_BYTES_MAX];
    let count = dump::write_length(key.len() as u32, &mut head);
    out.extend_from_slice(&head[1..=count]);
    out.extend_from_slice(key);
}

fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u64::from_le_bytes(*number))
}

/// Takes a length off the front, which no key and no value may exceed.
fn take_length(bytes: &mut &[u8]) -> Result<Option<usize>, Wrong> {
    let is_there = bytes.len() >= dump::LENGTH_BYTES_MAX;
    match bytes.first() {
        Some(&form) if !dump::is_length(form) => Err(Wrong),
        _ => match dump::read_length(None, bytes) {
            Some(length) if length > VALUE_BYTES_MAX => Err(Wrong),
            // More than an address can be, where those have four bytes.
            None if is_there => Err(Wrong),
            length => Ok(length),
        },
    }
}

fn take_key<'a>(bytes: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Wrong> {
    Ok(take_length(bytes)?.and_then(|length| dump::take(bytes, length)))
}

/// Takes a record off the front of `bytes`; none where it is not all there, but for the bytes of a long value.
///
/// # Errors
/// When there is none, whatever follows.
pub fn read<'a>(bytes: &mut &'a [u8]) -> Result<Option<Record<'a>>, Wrong> {
    let Some((&letter, rest)) = bytes.split_first() else { return Ok(None) };
    let mut rest = rest;
    let record = match letter {
        b'B' => take_number(&mut rest).map(|wall_ms| Record::Begin(wall_ms as i64)),
        b'K' => read_key(&mut rest, None)?,
        b'X' => match take_number(&mut rest) {
            Some(after_ms) => read_key(&mut rest, Some(after_ms))?,
            None => None,
        },
        b'D' => take_key(&mut rest)?.map(Record::Gone),
        b'F' => Some(Record::Flushed),
        b'E' => take_number(&mut rest).map(Record::End),
        _ => return Err(Wrong),
    };
    if record.is_some() {
        *bytes = rest;
    }
    Ok(record)
}

fn read_key<'a>(bytes: &mut &'a [u8], after_ms: Option<u64>) -> Result<Option<Record<'a>>, Wrong> {
    let Some(key) = take_key(bytes)? else { return Ok(None) };
    match bytes.first() {
        Some(&dump::STRING) => {}
        Some(_) => return Err(Wrong),
        None => return Ok(None),
    }
    let Some(&form) = bytes.get(1) else { return Ok(None) };
    if dump::is_number(form) {
        return Ok(dump::read_string(bytes).map(|number| Record::Key(key, after_ms, number)));
    }
    *bytes = &bytes[1..];
    Ok(match take_length(bytes)? {
        Some(length) if length > WHOLE_BYTES_MAX => Some(Record::Long(key, after_ms, length)),
        Some(length) => dump::take(bytes, length).map(|plain| Record::Key(key, after_ms, Value::Plain(plain))),
        None => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_they_were_written_and_parts_are_none() {
        let long = vec![b'l'; WHOLE_BYTES_MAX + 1];
        let mut out = Vec::new();
        begin(&mut out, -1);
        for (name, after_ms, value) in [
            (&b"key"[..], None, &b"value"[..]),
            (b"", Some(7), b"-129"),
            (b"12", Some(u64::MAX), b""),
            (&long, None, b"v"),
        ] {
            let plain = key(&mut out, name, after_ms, value);
            out.extend_from_slice(plain);
        }
        gone(&mut out, b"gone");
        flushed(&mut out);
        assert_eq!(key(&mut out, b"k", Some(1), &long), long);
        let wanted = [
            Record::Begin(-1),
            Record::Key(b"key", None, Value::Plain(b"value")),
            Record::Key(b"", Some(7), Value::Number(-129)),
            Record::Key(b"12", Some(u64::MAX), Value::Plain(b"")),
            Record::Key(&long, None, Value::Plain(b"v")),
            Record::Gone(b"gone"),
            Record::Flushed,
            Record::Long(b"k", Some(1), long.len()),
        ];
        let mut rest = &out[..];
        for wanted in wanted {
            let before = rest;
            assert_eq!(read(&mut rest), Ok(Some(wanted)));
            for cut in 0..before.len() - rest.len() {
                let mut part = &before[..cut];
                assert_eq!((read(&mut part), part.len()), (Ok(None), cut), "{wanted:?} cut at {cut}");
            }
        }
        assert!(rest.is_empty());
        end(&mut out, 8);
        assert_eq!(read(&mut &out[out.len() - 9..]), Ok(Some(Record::End(8))));
        // Another letter; a key without a length, a key that is too long; a value that is no string, is packed, has no length,
        // is too long.
        for wrong in [
            &b"Q"[..],
            b"K\xc0",
            b"D\x82",
            b"D\x80\x20\0\0\x01",
            b"K\x01k\x01",
            b"K\x01k\0\xc3",
            b"K\x01k\0\xff",
            b"K\x01k\0\x80\x20\0\0\x01",
        ] {
            assert_eq!(read(&mut &wrong[..]), Err(Wrong), "{}", wrong.escape_ascii());
        }
    }
}
