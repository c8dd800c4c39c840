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

use super::child::{Child, Failed, WRITE};
use crate::dump::{VERSION, VERSION_MAX, crc64};
use crate::limits::SNAPSHOT_BLOCK_BYTES_MAX;
use crate::sys::files;
use std::os::fd::BorrowedFd;

const MAGIC: &[u8; 8] = b"memento\n";

const FILE_VERSION: u16 = 1;

const HEAD_BYTES: usize = 16;

/// A chunk's length, which a block begins with, too.
const LENGTH_BYTES: usize = 4;

/// Length and checksum, before a block's payload.
const BLOCK_HEAD_BYTES: usize = LENGTH_BYTES + 8;

/// So much is written before the disk is told to begin with it.
const SYNC_BYTES: u64 = 8 << 20;

const READ: &str = "cannot read '%': ";
const DAMAGED: &str = "'%' is damaged in the block at byte ";
const CUT_OFF: &str = "'%' is cut off at byte ";
const LONGER: &str = "'%' goes on behind its end, from byte ";
const NEWER_FILE: &str = "'%' needs a newer memento: this one reads version 1 of the file, not version ";
const NEWER_VALUES: &str = "'%' needs a newer memento: this one reads values up to version 12, not version ";

// The sentences say so.
const _: () = assert!(FILE_VERSION == 1 && VERSION_MAX == 12);

/// What a file begins with.
const HEAD: [u8; HEAD_BYTES] = {
    let (mut head, mut at) = ([0; HEAD_BYTES], 0);
    while at < MAGIC.len() {
        head[at] = MAGIC[at];
        at += 1;
    }
    [head[8], head[9]] = FILE_VERSION.to_le_bytes();
    [head[10], head[11]] = VERSION.to_le_bytes();
    head
};

/// A block, or the memory for one.
struct Block(Vec<u8>);

impl Block {
    fn new() -> Block {
        Block(vec![0; BLOCK_HEAD_BYTES + SNAPSHOT_BLOCK_BYTES_MAX])
    }

    /// Where it ends, if it has a length that it may have.
    fn end(&self) -> Option<usize> {
        let length = u32::from_le_bytes(*self.0.first_chunk()?) as usize;
        (length <= SNAPSHOT_BLOCK_BYTES_MAX).then_some(BLOCK_HEAD_BYTES + length)
    }

    /// Its checksum, behind that of the block before it.
    #[inline(never)]
    fn sum(&self, before: u64, end: usize) -> [u8; 8] {
        crc64(crc64(before, &self.0[..LENGTH_BYTES]), &self.0[BLOCK_HEAD_BYTES..end]).to_le_bytes()
    }
}

/// Makes a file of the chunks that come, up to the last; gives how long it is.
///
/// # Errors
/// Those of the file; that of a server that has gone before the last chunk.
#[inline(never)]
pub(super) fn write(child: &mut Child<'_>, file: BorrowedFd<'_>) -> Result<u64, Failed> {
    let mut block = Block::new();
    child.done(files::write_all(file, &HEAD), WRITE)?;
    let (mut sum, mut at, mut synced) = (crc64(0, &HEAD), HEAD_BYTES as u64, 0);
    loop {
        child.hear(&mut block.0[..LENGTH_BYTES])?;
        // A server that says more at once is none.
        let end = block.end().ok_or(Failed)?;
        child.hear(&mut block.0[BLOCK_HEAD_BYTES..end])?;
        let bytes = block.sum(sum, end);
        sum = u64::from_le_bytes(bytes);
        block.0[LENGTH_BYTES..BLOCK_HEAD_BYTES].copy_from_slice(&bytes);
        child.done(files::write_all(file, &block.0[..end]), WRITE)?;
        at += end as u64;
        if end == BLOCK_HEAD_BYTES {
            return Ok(at);
        }
        if at - synced >= SYNC_BYTES {
            files::begin_sync(file, synced, at);
            synced = at;
        }
    }
}

/// Sends what the blocks of a file of this length say as chunks, but for the one of no bytes: each after it was found to be whole. It
/// succeeds when all of the file was.
///
/// # Errors
/// What is wrong with the file; that of a server that has gone.
#[inline(never)]
pub(super) fn read(child: &mut Child<'_>, file: BorrowedFd<'_>, length: u64) -> Result<(), Failed> {
    let mut head = [0; HEAD_BYTES];
    let count = child.done(files::fill(file, &mut head), READ)?;
    if !head.starts_with(MAGIC) {
        return Err(child.wrong("'%' is no snapshot of memento", ""));
    }
    if count < HEAD_BYTES {
        return Err(child.spoilt(CUT_OFF, count as u64));
    }
    for (at, newest, what) in [(8, FILE_VERSION, NEWER_FILE), (10, VERSION_MAX, NEWER_VALUES)] {
        let version = u16::from_le_bytes([head[at], head[at + 1]]);
        if version > newest {
            return Err(child.spoilt(what, version.into()));
        }
    }
    let (mut sum, mut at) = (crc64(0, &head), HEAD_BYTES as u64);
    let mut block = Block::new();
    loop {
        take(child, file, &mut block.0[..BLOCK_HEAD_BYTES], length)?;
        let Some(end) = block.end() else { return Err(child.spoilt(DAMAGED, at)) };
        take(child, file, &mut block.0[BLOCK_HEAD_BYTES..end], length)?;
        let bytes = block.sum(sum, end);
        if block.0[LENGTH_BYTES..BLOCK_HEAD_BYTES] != bytes {
            return Err(child.spoilt(DAMAGED, at));
        }
        sum = u64::from_le_bytes(bytes);
        at += end as u64;
        if end == BLOCK_HEAD_BYTES {
            return if at == length { Ok(()) } else { Err(child.spoilt(LONGER, at)) };
        }
        // What stands before the payload in a chunk.
        block.0.copy_within(..LENGTH_BYTES, BLOCK_HEAD_BYTES - LENGTH_BYTES);
        child.say(&block.0[BLOCK_HEAD_BYTES - LENGTH_BYTES..end])?;
    }
}

/// Fills the bytes with what comes next in a file that is so long.
#[inline(never)]
fn take(child: &mut Child<'_>, file: BorrowedFd<'_>, bytes: &mut [u8], length: u64) -> Result<(), Failed> {
    let count = child.done(files::fill(file, bytes), READ)?;
    if count == bytes.len() { Ok(()) } else { Err(child.spoilt(CUT_OFF, length)) }
}
