//! The file of a snapshot, read and written by its description alone: nothing of the library is used, so that a file that
//! one memento writes stays one that another can read.

use std::collections::BTreeMap;

/// What a file begins with: its version and that of the values are 1 and 10.
pub const HEAD: &[u8; 16] = b"memento\n\x01\0\x0a\0\0\0\0\0";

/// What a file says.
#[derive(Debug, Default, PartialEq)]
pub struct Snapshot {
    /// When it was begun, in milliseconds since the Unix epoch.
    pub wall_ms: i64,
    /// Each key with its value and, where it ends, how many milliseconds behind the beginning.
    pub keys: BTreeMap<Vec<u8>, (Vec<u8>, Option<u64>)>,
}

impl Snapshot {
    /// The value of a key as text; empty where there is none.
    pub fn text(&self, key: &str) -> &str {
        self.keys.get(key.as_bytes()).map_or("", |(value, _)| std::str::from_utf8(value).expect("text"))
    }

    /// The value of a key as a number; 0 where there is none.
    pub fn number(&self, key: &str) -> u64 {
        let text = self.text(key);
        if text.is_empty() { 0 } else { text.parse().unwrap_or_else(|_| panic!("{key} is {text:?}")) }
    }
}

/// CRC-64 as DUMP has it (Jones; reflected, begun with 0), bit by bit in a table of 256.
fn crc64(mut sum: u64, bytes: &[u8]) -> u64 {
    const TABLE: [u64; 256] = {
        let mut table = [0; 256];
        let mut index = 0;
        while index < 256 {
            let mut value = index as u64;
            let mut bit = 0;
            while bit < 8 {
                value = if value & 1 == 1 { value >> 1 ^ 0x95ac_9329_ac4b_c9b5 } else { value >> 1 };
                bit += 1;
            }
            table[index] = value;
            index += 1;
        }
        table
    };
    for &byte in bytes {
        sum = sum >> 8 ^ TABLE[usize::from(sum as u8 ^ byte)];
    }
    sum
}

/// A file of these payloads, one a block.
pub fn file(payloads: &[&[u8]]) -> Vec<u8> {
    let mut file = HEAD.to_vec();
    let mut sum = crc64(0, HEAD);
    for payload in payloads.iter().copied().chain([&b""[..]]) {
        let length = (payload.len() as u32).to_le_bytes();
        sum = crc64(crc64(sum, &length), payload);
        file.extend_from_slice(&length);
        file.extend_from_slice(&sum.to_le_bytes());
        file.extend_from_slice(payload);
    }
    file
}

/// The record of a key.
pub fn key(key: &[u8], value: &[u8], after_ms: Option<u64>) -> Vec<u8> {
    let mut record = Vec::new();
    match after_ms {
        Some(after_ms) => {
            record.push(b'X');
            record.extend(after_ms.to_le_bytes());
        }
        None => record.push(b'K'),
    }
    put_length(&mut record, key.len());
    record.extend(key);
    record.push(0);
    put_length(&mut record, value.len());
    record.extend(value);
    record
}

/// The record of a letter and a number.
pub fn number(letter: u8, number: u64) -> Vec<u8> {
    [&[letter][..], &number.to_le_bytes()].concat()
}

fn put_length(record: &mut Vec<u8>, length: usize) {
    match length {
        0..64 => record.push(length as u8),
        64..16_384 => record.extend([0x40 | (length >> 8) as u8, length as u8]),
        _ => {
            record.push(0x80);
            record.extend((length as u32).to_be_bytes());
        }
    }
}

/// What is left of some bytes.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or_else(|| format!("{count} bytes are missing"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn number<const BYTES: usize>(&mut self) -> Result<u64, String> {
        Ok(self.take(BYTES)?.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn signed<const BYTES: usize>(&mut self) -> Result<Vec<u8>, String> {
        let shift = 64 - 8 * BYTES as u32;
        Ok(((self.number::<BYTES>()? << shift) as i64 >> shift).to_string().into_bytes())
    }

    /// Bytes behind their length, or a number.
    fn string(&mut self) -> Result<Vec<u8>, String> {
        let first = self.number::<1>()? as usize;
        let length = match first {
            0..0x40 => first,
            0x40..0x80 => (first & 0x3f) << 8 | self.number::<1>()? as usize,
            0x80 => self.take(4)?.iter().fold(0, |number, &byte| number << 8 | usize::from(byte)),
            0xc0 => return self.signed::<1>(),
            0xc1 => return self.signed::<2>(),
            0xc2 => return self.signed::<4>(),
            _ => return Err(format!("a length that begins with {first:#x}")),
        };
        Ok(self.take(length)?.to_vec())
    }
}

/// What a file says, or what is wrong with it.
pub fn read(file: &[u8]) -> Result<Snapshot, String> {
    let mut rest = Rest(file);
    let head = rest.take(16)?;
    if head != HEAD {
        return Err(format!("it begins with {:?}", head.escape_ascii().to_string()));
    }
    let (mut sum, mut payloads) = (crc64(0, head), Vec::new());
    loop {
        let length = rest.number::<4>()? as usize;
        let wanted = rest.number::<8>()?;
        let payload = rest.take(length)?;
        sum = crc64(crc64(sum, &(length as u32).to_le_bytes()), payload);
        if sum != wanted || length > 1 << 20 {
            return Err(format!("the block of {length} bytes before {} others is damaged", rest.0.len()));
        }
        if length == 0 {
            break;
        }
        payloads.extend_from_slice(payload);
    }
    if !rest.0.is_empty() {
        return Err(format!("{} bytes behind the end", rest.0.len()));
    }
    records(&payloads)
}

fn records(payloads: &[u8]) -> Result<Snapshot, String> {
    let mut rest = Rest(payloads);
    let (mut snapshot, mut count) = (Snapshot::default(), 0);
    loop {
        match (rest.number::<1>()? as u8, count) {
            (b'B', 0) => snapshot.wall_ms = rest.number::<8>()? as i64,
            (_, 0) => return Err("the first record is another one".into()),
            (letter @ (b'K' | b'X'), _) => {
                let after_ms = if letter == b'X' { Some(rest.number::<8>()?) } else { None };
                let key = rest.string()?;
                if rest.take(1)? != b"\0" {
                    return Err("a value that is no string".into());
                }
                let value = rest.string()?;
                snapshot.keys.insert(key, (value, after_ms));
            }
            (b'D', _) => drop(snapshot.keys.remove(&rest.string()?)),
            (b'F', _) => snapshot.keys.clear(),
            (b'E', _) if rest.number::<8>()? == count - 1 && rest.0.is_empty() => return Ok(snapshot),
            (letter, _) => return Err(format!("a record {letter:#x} behind {count} others")),
        }
        count += 1;
    }
}
