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

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::super::Failure;
use crate::client::reason;

pub(super) const HEAD: &str = "memento-dump 1 ";
const HEAD_BYTES_MAX: u64 = 128;

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
    let (key_length, rest) = bytes.split_first_chunk::<4>()?;
    let (value_length, rest) = rest.split_first_chunk::<4>()?;
    let (ends_ms, rest) = rest.split_first_chunk::<8>()?;
    let (key, rest) = rest.split_at_checked(u32::from_le_bytes(*key_length) as usize)?;
    let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*value_length) as usize)?;
    *bytes = rest;
    Some(Entry { key, value, ends_ms: u64::from_le_bytes(*ends_ms) })
}

/// A file of blocks, as far as it was read.
pub(super) struct Blocks {
    file: BufReader<File>,
    path: PathBuf,
    /// When it was begun, with which server and for which keys.
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

impl Blocks {
    /// # Errors
    /// When this is no dump, or those of the file.
    pub(super) fn open(path: &Path) -> Result<Blocks, Failure> {
        let failed = |error: io::Error| Failure::Message(format!("'{}': {}", path.display(), reason(&error)));
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let mut file = BufReader::new(file);
        let mut head = Vec::new();
        io::BufRead::read_until(&mut file.by_ref().take(HEAD_BYTES_MAX), b'\n', &mut head).map_err(failed)?;
        let line = str::from_utf8(&head).ok().and_then(|line| line.strip_prefix(HEAD)?.strip_suffix('\n'));
        let Some(id) = line.map(str::to_string) else {
            return Err(Failure::Message(format!("'{}' is no dump of memento-cli", path.display())));
        };
        Ok(Blocks { file, path: path.to_path_buf(), id, length, at: head.len() as u64 })
    }

    /// Goes on with the block at this place.
    ///
    /// # Errors
    /// Those of the file.
    pub(super) fn go_to(&mut self, at: u64) -> Result<(), Failure> {
        self.file.seek(SeekFrom::Start(at)).map_err(|error| Failure::at("cannot read the dump", &error))?;
        self.at = at;
        Ok(())
    }

    pub(super) fn wrong(&self, what: &str) -> Failure {
        Failure::Message(format!("'{}': {what} at byte {}", self.path.display(), self.at))
    }

    /// The next block; `None` where the file ends, in a block or before one.
    ///
    /// # Errors
    /// When the block is damaged, or those of the file.
    pub(super) fn next(&mut self) -> Result<Option<Block>, Failure> {
        let mut head = [0; 9];
        if self.length - self.at < FRAME_BYTES {
            return Ok(None);
        }
        let failed = |error: io::Error| Failure::at("cannot read the dump", &error);
        self.file.read_exact(&mut head).map_err(failed)?;
        let length = u64::from(u32::from_le_bytes([head[1], head[2], head[3], head[4]]));
        // A length that is not the one that was written would make a whole file look like one that was cut off.
        let is_head = head[5..] == crc32(&head[..5]).to_le_bytes();
        if !is_head || !matches!(head[0], b'K' | b'E') || length < 8 {
            return Err(self.wrong("no block is"));
        }
        if self.length - self.at < FRAME_BYTES + length {
            return Ok(None);
        }
        let mut payload = vec![0; length as usize];
        self.file.read_exact(&mut payload).map_err(failed)?;
        let mut sum = [0; 4];
        self.file.read_exact(&mut sum).map_err(failed)?;
        if u32::from_le_bytes(sum) != crc32(&payload) {
            return Err(self.wrong("a block has another checksum than it should have"));
        }
        self.at += FRAME_BYTES + length;
        let number = payload.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        Ok(Some(Block { letter: head[0], number, payload }))
    }
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
