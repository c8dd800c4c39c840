//! What goes to the process that writes a snapshot: records, in chunks.
//!
//! A chunk is its length in four bytes, the lowest first, and so many bytes; one of no bytes is the last. Where a record
//! begins does not matter to it. Short values are copied; long ones are shared with the store until they are sent, so that
//! what is told of them is what they were when the record was made.

use super::record;
use crate::blob::Blob;
use crate::limits::{SNAPSHOT_CHUNK_BYTES, SNAPSHOT_STEP_BYTES};
use crate::store::{EntryRef, Value};
use std::rc::Rc;

/// Before each chunk.
const LENGTH_BYTES: usize = 4;

/// What a step adds at most, but for the last one and for a key that is longer than this.
const STEP_BYTES: usize = 2 * SNAPSHOT_STEP_BYTES as usize;

/// What is not sent yet of a snapshot.
#[derive(Default)]
pub struct Feed {
    /// Records, but for the bytes of long values.
    heads: Vec<u8>,
    /// What comes before this place is in a chunk.
    at: usize,
    /// Long values, and before which place in `heads` they belong.
    longs: Vec<(usize, Rc<Blob>)>,
    /// Of the first of them, so much is in a chunk.
    long_at: usize,
    /// What is being sent.
    chunk: Vec<u8>,
    sent: usize,
    /// Whether the last record is there, and the last chunk was made.
    ended: bool,
    closed: bool,
    /// How many records there were, the first one not counted.
    pub records: u64,
    /// How many bytes they are together.
    pub bytes: u64,
    /// How many of all that was told are in chunks.
    chunked: u64,
}

impl Feed {
    /// A snapshot that begins at this time of the wall clock.
    pub fn new(wall_ms: i64) -> Feed {
        let mut feed = Feed::default();
        record::begin(&mut feed.heads, wall_ms);
        feed
    }

    /// Whether there is memory for what one step tells.
    pub fn has_room(&mut self) -> bool {
        self.heads.try_reserve(STEP_BYTES).is_ok()
    }

    /// How many bytes are held: what is not in a chunk yet, and what is and could not be let go.
    pub fn held(&self) -> u64 {
        self.bytes.saturating_sub(self.chunked) + self.at as u64
    }

    /// Tells of a key; its end counts from `began_ms`.
    pub fn key(&mut self, entry: &EntryRef<'_>, began_ms: u64) {
        let before = self.heads.len();
        let after_ms = entry.expires_ms().map(|expires_ms| expires_ms.saturating_sub(began_ms));
        let value = entry.value();
        let plain = record::key(&mut self.heads, entry.key(), after_ms, value.bytes());
        match value {
            Value::Shared(blob) if !plain.is_empty() => {
                self.longs.push((self.heads.len(), Rc::clone(blob)));
                self.bytes += plain.len() as u64;
            }
            _ => self.heads.extend_from_slice(plain),
        }
        self.count(before);
    }

    /// Tells that a key is not there any more.
    pub fn gone(&mut self, key: &[u8]) {
        let before = self.heads.len();
        record::gone(&mut self.heads, key);
        self.count(before);
    }

    /// Tells that no key is there any more.
    pub fn flushed(&mut self) {
        let before = self.heads.len();
        record::flushed(&mut self.heads);
        self.count(before);
    }

    /// Tells that this was all.
    pub fn end(&mut self) {
        record::end(&mut self.heads, self.records);
        self.ended = true;
    }

    fn count(&mut self, before: usize) {
        self.records += 1;
        self.bytes += (self.heads.len() - before) as u64;
    }

    /// Whether all of it is sent, the end included.
    pub fn is_sent(&self) -> bool {
        self.closed && self.sent == self.chunk.len()
    }

    /// What is to be sent next; nothing where more has to be told first, or all is sent.
    pub fn unsent(&mut self) -> &[u8] {
        if self.sent == self.chunk.len() {
            self.sent = 0;
            self.chunk.clear();
            self.next_chunk();
        }
        &self.chunk[self.sent..]
    }

    /// So much of it was sent.
    pub fn advance(&mut self, sent: usize) {
        self.sent += sent;
    }

    fn next_chunk(&mut self) {
        self.chunk.extend_from_slice(&[0; LENGTH_BYTES]);
        loop {
            let room = LENGTH_BYTES + SNAPSHOT_CHUNK_BYTES - self.chunk.len();
            let until = self.longs.first().map_or(self.heads.len(), |&(before, _)| before);
            let heads = &self.heads[self.at..until];
            if !heads.is_empty() && room > 0 {
                let count = heads.len().min(room);
                self.chunk.extend_from_slice(&heads[..count]);
                self.at += count;
            } else if let Some((_, long)) = self.longs.first()
                && room > 0
            {
                let rest = &long[self.long_at..];
                let count = rest.len().min(room);
                self.chunk.extend_from_slice(&rest[..count]);
                self.long_at += count;
                if count == rest.len() {
                    self.longs.remove(0);
                    self.long_at = 0;
                }
            } else {
                break;
            }
        }
        // What is left moves, so that this waits until it is little.
        if self.heads.len() - self.at <= SNAPSHOT_CHUNK_BYTES {
            self.heads.drain(..self.at);
            self.heads.shrink_to(STEP_BYTES);
            for (before, _) in &mut self.longs {
                *before -= self.at;
            }
            self.at = 0;
        }
        let length = self.chunk.len() - LENGTH_BYTES;
        self.chunked += length as u64;
        if length == 0 && (!self.ended || self.closed) {
            self.chunk.clear();
            return;
        }
        self.closed = length == 0;
        self.chunk[..LENGTH_BYTES].copy_from_slice(&(length as u32).to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::super::intake::{Intake, tests::keys};
    use super::*;
    use crate::store::{Expiry, Store};
    use crate::testkit::{Random, seeds};

    /// All that is to be sent, in pieces of some size.
    fn sent(feed: &mut Feed, random: &mut Random) -> Vec<u8> {
        let mut out = Vec::new();
        loop {
            let unsent = feed.unsent();
            if unsent.is_empty() {
                return out;
            }
            let count = (1 + random.below(unsent.len())).min(unsent.len());
            out.extend_from_slice(&unsent[..count]);
            feed.advance(count);
        }
    }

    #[test]
    fn what_is_fed_is_taken_in() {
        for seed in seeds(20) {
            let mut random = Random::new(seed);
            let (mut store, mut feed, mut intake, mut wanted) =
                (Store::new(), Feed::new(5), Intake::default(), Vec::new());
            for number in 0..100_u32 {
                let length = [3, 100, 5000, 70_000, 200_000][random.below(5)];
                let (key, value) = (number.to_string(), vec![number as u8; length]);
                let ends = (number % 3 == 0).then_some(1_000_000 + u64::from(number));
                store.upsert(&key, &value, ends.map_or(Expiry::Never, Expiry::At), 10);
                feed.key(&store.get(&key, 10).expect("the entry"), 1_000_000);
                // What is changed behind it does not change what was told.
                store.get_mut(&key, 10).expect("the entry").append(b"later");
                wanted.push((key.into_bytes(), ends.map(|ends| ends - 1_000_000), value));
                assert!(feed.heads.len() < SNAPSHOT_CHUNK_BYTES + 2 * 5000, "what is sent goes");
                if feed.held() >= SNAPSHOT_CHUNK_BYTES as u64 {
                    let sent = sent(&mut feed, &mut random);
                    take_in(&mut intake, &sent);
                }
            }
            feed.end();
            let sent = sent(&mut feed, &mut random);
            take_in(&mut intake, &sent);
            assert_eq!((feed.records, feed.unsent()), (100, &[][..]), "seed {seed}");
            assert!(feed.bytes > wanted.iter().map(|(_, _, value)| value.len() as u64).sum());
            assert!(keys(&mut intake) == wanted, "seed {seed}");
        }
    }

    #[test]
    fn what_is_told_faster_than_it_is_sent_is_held_in_its_order() {
        for seed in seeds(20) {
            let mut random = Random::new(seed);
            let (mut store, mut feed, mut intake, mut wanted) =
                (Store::new(), Feed::new(5), Intake::default(), Vec::new());
            let (mut out, mut most) = (Vec::new(), 0);
            for number in 0..400_u32 {
                let value = vec![number as u8; [3, 4000, 5000, 200_000][random.below(4)]];
                let key = number.to_string();
                store.upsert(&key, &value, Expiry::Never, 10);
                feed.key(&store.get(&key, 10).expect("the entry"), 10);
                wanted.push((key.into_bytes(), None, value));
                most = most.max(feed.held());
                assert!(feed.heads.len() as u64 <= feed.held() + 9, "seed {seed}: more is held than counts");
                // Less often than something is told, and then more often.
                if random.below(3) == 0 || number > 200 {
                    let unsent = feed.unsent();
                    let count = (1 + random.below(SNAPSHOT_CHUNK_BYTES)).min(unsent.len());
                    out.extend_from_slice(&unsent[..count]);
                    feed.advance(count);
                }
            }
            assert!(most > 1 << 20, "seed {seed}: nothing was held");
            feed.end();
            out.extend(sent(&mut feed, &mut random));
            assert_eq!((feed.held(), feed.heads.len()), (0, 0), "seed {seed}");
            take_in(&mut intake, &out);
            assert!(keys(&mut intake) == wanted, "seed {seed}");
        }
    }

    /// Chunks, as a server takes them in; the last one has no bytes.
    fn take_in(intake: &mut Intake, mut sent: &[u8]) {
        while !sent.is_empty() {
            let (length, rest) = sent.split_first_chunk().expect("a length");
            let length = u32::from_le_bytes(*length) as usize;
            intake.add(&rest[..length]);
            sent = &rest[length..];
        }
    }
}
