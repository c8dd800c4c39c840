//! The file of a dump: blocks with checksums.
//!
//! The file begins with a line, `memento-dump 1 BEGUN SERVER PATTERN`: the milliseconds of the Unix epoch at which it
//! was begun, the server's `run_id`, and in digits the CRC-32 of the pattern that the keys were to fit. Blocks follow: a
//! letter, the payload's length in four bytes, the CRC-32 (that of gzip) of these five, the payload, and its CRC-32.
//! All numbers are unsigned, the lowest byte first.
//!
//! | letter | payload |
//! | --- | --- |
//! | `K` | the cursor of SCAN by which a dump that was cut off goes on, in eight bytes; then entries |
//! | entry | the lengths of key and value in four bytes each, in eight when the key ends (0: never), key, value |
//! | `E` | eight bytes: how many entries there are; it is the last block, and without it the dump is not whole |
//!
//! A key may be there twice, since a dump that goes on repeats a step: the later entry holds, also one that has ended
//! meanwhile.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::super::Failure;
use crate::client::reason;
use crate::sys::files;

pub(super) const HEAD: &str = "memento-dump 1 ";
const HEAD_BYTES_MAX: usize = 128;

/// Letter, length and checksums around a payload.
const FRAME_BYTES: u64 = 13;

/// The CRC-32 of gzip, half a byte at a time.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 16] = {
        let (mut table, mut at) = ([0; 16], 0);
        while at < 16 {
            let (mut value, mut bit) = (at as u32, 0);
            while bit < 4 {
                value = if value & 1 == 1 { value >> 1 ^ 0xEDB8_8320 } else { value >> 1 };
                bit += 1;
            }
            table[at] = value;
            at += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |crc: u32, &byte| {
        let crc = crc ^ u32::from(byte);
        let crc = crc >> 4 ^ TABLE[(crc & 15) as usize];
        crc >> 4 ^ TABLE[(crc & 15) as usize]
    })
}

/// An entry of a block.
pub(super) struct Entry<'a> {
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
    /// 0: never.
    pub(super) ends_ms: u64,
}

pub(super) fn put_entry(out: &mut Vec<u8>, entry: &Entry<'_>) {
    out.extend_from_slice(&(entry.key.len() as u32).to_le_bytes());
    out.extend_from_slice(&(entry.value.len() as u32).to_le_bytes());
    out.extend_from_slice(&entry.ends_ms.to_le_bytes());
    out.extend_from_slice(entry.key);
    out.extend_from_slice(entry.value);
}

/// Takes an entry off the front; `None` where there is no whole one.
pub(super) fn take_entry<'a>(bytes: &mut &'a [u8]) -> Option<Entry<'a>> {
    let (head, rest) = bytes.split_at_checked(16)?;
    let (key, rest) = rest.split_at_checked(number(&head[..4]) as usize)?;
    let (value, rest) = rest.split_at_checked(number(&head[4..8]) as usize)?;
    *bytes = rest;
    Some(Entry { key, value, ends_ms: number(&head[8..]) })
}

/// A number, its lowest byte first.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rfold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// A file of blocks, as far as it was read or written.
pub(super) struct Blocks<'a> {
    file: OwnedFd,
    pub(super) path: &'a str,
    /// When it was begun, with which server and for which keys; empty for an empty file.
    pub(super) id: String,
    pub(super) length: u64,
    /// Where the next block begins.
    pub(super) at: u64,
}

/// A block, and what it begins with.
pub(super) struct Block {
    pub(super) letter: u8,
    pub(super) number: u64,
    payload: Vec<u8>,
}

impl Block {
    pub(super) fn entries(&self) -> &[u8] {
        &self.payload[8..]
    }
}

impl<'a> Blocks<'a> {
    /// Opens a file to be read, or to be made where it is not there, and appended to.
    ///
    /// # Errors
    /// When this is no dump, or those of the file.
    pub(super) fn open(path: &'a str, to_write: bool) -> Result<Blocks<'a>, Failure> {
        let open = if to_write { files::to_append } else { files::to_read };
        let file = open(path.as_ref()).map_err(|error| failed(path, error))?;
        let length = files::length(file.as_fd()).map_err(|error| failed(path, error))?;
        let mut blocks = Blocks { file, path, id: String::new(), length, at: 0 };
        if length == 0 && to_write {
            return Ok(blocks);
        }
        let mut head = vec![0; HEAD_BYTES_MAX.min(length as usize)];
        blocks.read(&mut head, 0)?;
        let end = head.iter().position(|&byte| byte == b'\n').unwrap_or(0);
        let Some(id) = str::from_utf8(&head[..end]).unwrap_or("").strip_prefix(HEAD) else {
            return Err(Failure::message(format_args!("'{path}' is no dump of memento-cli")));
        };
        blocks.id += id;
        blocks.at = end as u64 + 1;
        Ok(blocks)
    }

    fn read(&self, bytes: &mut [u8], at: u64) -> Result<(), Failure> {
        self.done(files::read_at(self.file.as_fd(), bytes, at))
    }

    /// What came of a call for the file; an error has its name.
    fn done(&self, outcome: io::Result<()>) -> Result<(), Failure> {
        outcome.map_err(|error| failed(self.path, error))
    }

    pub(super) fn wrong(&self, what: &str) -> Failure {
        Failure::message(format_args!("'{}': {what} at byte {}", self.path, self.at))
    }

    /// The next block; `None` where the file ends, in a block or before one.
    ///
    /// # Errors
    /// When the block is damaged, or those of the file.
    pub(super) fn next(&mut self) -> Result<Option<Block>, Failure> {
        let left = self.length - self.at;
        if left < FRAME_BYTES {
            return Ok(None);
        }
        let mut head = [0; 9];
        self.read(&mut head, self.at)?;
        // A length that is not the one that was written would make a whole file look like one that was cut off.
        let (letter, length) = (head[0], number(&head[1..5]));
        if number(&head[5..]) != crc32(&head[..5]).into() || !matches!(letter, b'K' | b'E') || length < 8 {
            return Err(self.wrong("no block is"));
        }
        if left < FRAME_BYTES + length {
            return Ok(None);
        }
        let mut payload = vec![0; length as usize + 4];
        self.read(&mut payload, self.at + 9)?;
        let sum = number(&payload[length as usize..]);
        payload.truncate(length as usize);
        if sum != crc32(&payload).into() {
            return Err(self.wrong("a block has another checksum than it should have"));
        }
        self.at += FRAME_BYTES + length;
        Ok(Some(Block { letter, number: number(&payload[..8]), payload }))
    }

    /// What was cut off in the middle of a block goes.
    ///
    /// # Errors
    /// Those of the file.
    pub(super) fn cut(&self) -> Result<(), Failure> {
        self.done(files::truncate(self.file.as_fd(), self.at))
    }

    /// # Errors
    /// Those of the file.
    pub(super) fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        self.done(files::write_all(self.file.as_fd(), bytes))
    }

    /// # Errors
    /// Those of the file.
    pub(super) fn put(&self, letter: u8, payload: &[u8]) -> Result<(), Failure> {
        let mut head = vec![letter];
        head.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        head.extend_from_slice(&crc32(&head).to_le_bytes());
        self.write(&head)?;
        self.write(payload)?;
        self.write(&crc32(payload).to_le_bytes())
    }

    /// # Errors
    /// Those of the file.
    pub(super) fn end(&self) -> Result<(), Failure> {
        self.done(files::sync(self.file.as_fd()))
    }
}

#[inline(never)]
fn failed(path: &str, error: io::Error) -> Failure {
    Failure::message(format_args!("'{path}': {}", reason(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_gzip() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn entries_are_found_again_and_parts_of_them_are_none() {
        let mut bytes = Vec::new();
        put_entry(&mut bytes, &Entry { key: b"k\n", value: b"\0\xff", ends_ms: 7 });
        for cut in 0..bytes.len() {
            assert!(take_entry(&mut &bytes[..cut]).is_none(), "cut at {cut}");
        }
        put_entry(&mut bytes, &Entry { key: b"", value: b"", ends_ms: 0 });
        let mut left = &bytes[..];
        let first = take_entry(&mut left).expect("an entry");
        assert_eq!((first.key, first.value, first.ends_ms), (&b"k\n"[..], &b"\0\xff"[..], 7));
        let second = take_entry(&mut left).expect("an entry");
        assert_eq!((second.key.len(), second.value.len(), second.ends_ms, left.len()), (0, 0, 0, 0));
    }
}
