//! The file of a snapshot: blocks, each with a checksum that goes on from the one before it, so that a block that is
//! missing, doubled or in another's place is noticed as one that is damaged is. What the blocks say is not known here.
//!
//! The file begins with 16 bytes, the head:
//!
//! | at | bytes | what |
//! | --- | --- | --- |
//! | 0 | 8 | `memento` and a line feed |
//! | 8 | 2 | the version of the file: 1 |
//! | 10 | 2 | the version of the values in it, as [`crate::dump`] has it: 10 |
//! | 12 | 4 | 0 |
//!
//! Blocks follow, the first at byte 16:
//!
//! | at | bytes | what |
//! | --- | --- | --- |
//! | 0 | 4 | the length of the payload, at most [`SNAPSHOT_BLOCK_BYTES_MAX`]; 0: this is the last block |
//! | 4 | 8 | the CRC-64 (that of DUMP) of the head and of all blocks so far, these eight bytes of theirs left out |
//! | 12 | length | the payload |
//!
//! Behind the last block nothing follows. All numbers are unsigned, the lowest byte first.
//!
//! Between this process and the server the payloads travel as chunks: the length in four bytes, and so many bytes. After
//! the last comes one of no bytes.

use super::child::{Failure, cannot, say};
use crate::dump::{VERSION, VERSION_MAX, crc64};
use crate::limits::SNAPSHOT_BLOCK_BYTES_MAX;
use crate::sys::files;
use std::os::fd::BorrowedFd;

const MAGIC: &[u8] = b"memento\n";

const FILE_VERSION: u16 = 1;

const HEAD_BYTES: usize = 16;

/// Before a chunk's bytes, and at the beginning of a block.
const LENGTH_BYTES: usize = 4;

/// Length and checksum, before a block's payload.
const BLOCK_HEAD_BYTES: usize = LENGTH_BYTES + 8;

/// So much is written before the disk is told to begin with it.
const SYNC_BYTES: u64 = 8 << 20;

/// What a file begins with.
const HEAD: [u8; HEAD_BYTES] = {
    let [file, file_high] = FILE_VERSION.to_le_bytes();
    let [values, values_high] = VERSION.to_le_bytes();
    let [m, e, m2, e2, n, t, o, end] = *b"memento\n";
    [m, e, m2, e2, n, t, o, end, file, file_high, values, values_high, 0, 0, 0, 0]
};

const DAMAGED: &str = "is damaged in the block at byte";
const CUT_OFF: &str = "is cut off at byte";
const LONGER: &str = "goes on behind its end, from byte";
const NEWER_FILE: &str = "needs a newer memento: this one reads version 1 of the file, not version";
const NEWER_VALUES: &str = "needs a newer memento: this one reads values up to version 12, not version";

// The sentences say so.
const _: () = assert!(FILE_VERSION == 1 && VERSION_MAX == 12);

/// A number of four bytes, not more than a block may have.
fn length(bytes: &[u8]) -> Option<usize> {
    let length = u32::from_le_bytes(*bytes.first_chunk()?) as usize;
    Some(length).filter(|&length| length <= SNAPSHOT_BLOCK_BYTES_MAX)
}

/// Makes a file of the chunks that come, up to the last; gives how long it is.
///
/// # Errors
/// Those of the file; that of a server that has gone before the last chunk.
#[inline(never)]
pub(super) fn write(from: BorrowedFd<'_>, file: BorrowedFd<'_>, path: &str) -> Result<u64, Failure> {
    let put = |bytes: &[u8]| files::write_all(file, bytes).map_err(|error| cannot("write", path, error));
    // A server that ends, whatever way, has nothing more to say, and nobody hears why there is no snapshot.
    let hear = |bytes: &mut [u8]| match files::fill(from, bytes) {
        Ok(count) if count == bytes.len() => Ok(()),
        _ => Err(Failure::new()),
    };
    // Where a block is made.
    let mut block = vec![0; BLOCK_HEAD_BYTES + SNAPSHOT_BLOCK_BYTES_MAX];
    put(&HEAD)?;
    let (mut sum, mut at, mut syncs) = (crc64(0, &HEAD), HEAD_BYTES as u64, 0);
    loop {
        hear(&mut block[..LENGTH_BYTES])?;
        let length = length(&block).ok_or("a chunk is longer than a block may be")?;
        let end = BLOCK_HEAD_BYTES + length;
        hear(&mut block[BLOCK_HEAD_BYTES..end])?;
        sum = crc64(crc64(sum, &block[..LENGTH_BYTES]), &block[BLOCK_HEAD_BYTES..end]);
        block[LENGTH_BYTES..BLOCK_HEAD_BYTES].copy_from_slice(&sum.to_le_bytes());
        put(&block[..end])?;
        at += end as u64;
        if length == 0 {
            return Ok(at);
        }
        if at - syncs >= SYNC_BYTES {
            files::begin_sync(file, syncs, at);
            syncs = at;
        }
    }
}

/// Sends what the blocks of a file say as chunks: each after it was found to be whole, the last one after all of the file
/// was.
///
/// # Errors
/// What is wrong with the file; that of a server that has gone.
#[inline(never)]
pub(super) fn read(file: BorrowedFd<'_>, path: &str, to: BorrowedFd<'_>) -> Result<(), Failure> {
    let take = |bytes: &mut [u8]| files::fill(file, bytes).map_err(|error| cannot("read", path, error));
    // What a block begins with is read together with what comes before it, the payload of another one or the head.
    let mut head = [0; HEAD_BYTES + BLOCK_HEAD_BYTES];
    let count = take(&mut head)?;
    if !head[..count].starts_with(MAGIC) {
        return Err(["'", path, "' is no snapshot of memento"].concat());
    }
    if count < head.len() {
        return wrong(path, CUT_OFF, count as u64);
    }
    let (head, first) = head.split_at(HEAD_BYTES);
    for (at, newest, what) in [(8, FILE_VERSION, NEWER_FILE), (10, VERSION_MAX, NEWER_VALUES)] {
        let version = u16::from_le_bytes([head[at], head[at + 1]]);
        if version > newest {
            return wrong(path, what, version.into());
        }
    }
    let (mut sum, mut at) = (crc64(0, head), HEAD_BYTES as u64);
    // Where chunks are made.
    let mut chunk = vec![0; LENGTH_BYTES + SNAPSHOT_BLOCK_BYTES_MAX + BLOCK_HEAD_BYTES];
    let mut begin = [0; BLOCK_HEAD_BYTES];
    begin.copy_from_slice(first);
    loop {
        let Some(length) = length(&begin) else { return wrong(path, DAMAGED, at) };
        // Behind the last block one byte is too many.
        let ahead = if length == 0 { 1 } else { BLOCK_HEAD_BYTES };
        let end = LENGTH_BYTES + length;
        chunk[..LENGTH_BYTES].copy_from_slice(&begin[..LENGTH_BYTES]);
        let count = take(&mut chunk[LENGTH_BYTES..end + ahead])?;
        // Up to here the file was read.
        let read = at + (BLOCK_HEAD_BYTES + count) as u64;
        if count < length {
            return wrong(path, CUT_OFF, read);
        }
        sum = crc64(sum, &chunk[..end]);
        if sum.to_le_bytes() != begin[LENGTH_BYTES..] {
            return wrong(path, DAMAGED, at);
        }
        if length == 0 && count > 0 {
            return wrong(path, LONGER, read - 1);
        }
        say(to, &chunk[..end])?;
        if length == 0 {
            return Ok(());
        }
        if count < length + ahead {
            return wrong(path, CUT_OFF, read);
        }
        begin.copy_from_slice(&chunk[end..end + ahead]);
        at = read - BLOCK_HEAD_BYTES as u64;
    }
}

/// This is wrong with the file, and what the number says of it.
#[inline(never)]
fn wrong(path: &str, what: &str, number: u64) -> Result<(), Failure> {
    Err(["'", path, "' ", what, " ", &number.to_string()].concat())
}
