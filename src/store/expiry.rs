//! Which entries end when: an exact index, kept in step with every change of an expiry.
//!
//! Records stand in order, in chunks; a search tree finds the chunk. All times of a chunk agree in their upper half, so
//! that a record takes eight bytes: the lower half, and the entry's handle.

use std::collections::BTreeMap;

use super::arena::Handle;

/// A chunk has at most so many records: moving them for one that comes in between takes some fifty nanoseconds.
const CHUNK_RECORDS_MAX: usize = 512;

/// A chunk grows and shrinks by so many records.
const CHUNK_STEP_RECORDS: usize = 32;

/// What the search tree takes for a chunk, by estimate: a key and a vector, and a third of a node is free.
const CHUNK_BYTES: usize = 64;

/// One entry that ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// When.
    pub(super) expires_ms: u64,
    /// Where it lies.
    pub(super) handle: Handle,
}

/// Where a chunk begins: nothing in it is before this. The upper half of the times in it, then the first record.
type Begin = (u32, u64);

impl Record {
    fn begin(self) -> Begin {
        ((self.expires_ms >> 32) as u32, self.expires_ms << 32 | u64::from(self.handle.number()))
    }

    fn of((upper, lower): Begin) -> Record {
        let expires_ms = u64::from(upper) << 32 | lower >> 32;
        Record { expires_ms, handle: Handle::of_number(lower as u32) }
    }
}

/// The records of all entries that end, the earliest first.
#[derive(Default)]
pub(super) struct ExpiryIndex {
    chunks: BTreeMap<Begin, Vec<u64>>,
    len: usize,
    /// How many records the chunks have room for.
    room: usize,
    /// All their times together: what the mean of them is made from.
    sum_ms: u128,
}

impl ExpiryIndex {
    /// How many entries end.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// About what the index asks of the heap.
    pub(super) fn bytes(&self) -> usize {
        self.room * size_of::<u64>() + self.chunks.len() * CHUNK_BYTES
    }

    /// The mean of the times at which entries end; none where none does.
    pub(super) fn mean_ms(&self) -> Option<u64> {
        self.sum_ms.checked_div(self.len as u128).map(|mean| mean as u64)
    }

    /// Notes an entry.
    pub(super) fn insert(&mut self, record: Record) {
        self.sum_ms += u128::from(record.expires_ms);
        self.len += 1;
        let (upper, lower) = record.begin();
        let chunk = self.chunks.range_mut((upper, 0)..=(upper, lower)).next_back();
        let Some((_, chunk)) = chunk else { return self.add_chunk((upper, lower), vec![lower]) };
        let at = chunk.partition_point(|&other| other < lower);
        debug_assert!(chunk.get(at) != Some(&lower), "an entry ends once");
        if chunk.len() < CHUNK_RECORDS_MAX {
            let room = chunk.capacity();
            if chunk.len() == room {
                chunk.reserve_exact(CHUNK_STEP_RECORDS);
            }
            chunk.insert(at, lower);
            self.room += chunk.capacity() - room;
        } else if at == chunk.len() {
            // Times mostly come in their order: such chunks stay full.
            self.add_chunk((upper, lower), vec![lower]);
        } else {
            let room = chunk.capacity();
            let behind = chunk.split_off(CHUNK_RECORDS_MAX / 2);
            let into_behind = lower > behind[0];
            if !into_behind {
                chunk.insert(at, lower);
            }
            chunk.shrink_to(chunk.len());
            self.room = self.room - room + chunk.capacity();
            let begin = (upper, behind[0]);
            self.add_chunk(begin, behind);
            if into_behind {
                self.len -= 1;
                self.sum_ms -= u128::from(record.expires_ms);
                self.insert(record);
            }
        }
    }

    /// Forgets an entry.
    pub(super) fn remove(&mut self, record: Record) {
        let (upper, lower) = record.begin();
        let chunk = self.chunks.range_mut((upper, 0)..=(upper, lower)).next_back();
        let found = chunk.and_then(|(begin, chunk)| chunk.binary_search(&lower).ok().map(|at| (*begin, chunk, at)));
        debug_assert!(found.is_some(), "an entry that ends has a record");
        let Some((begin, chunk, at)) = found else { return };
        self.sum_ms -= u128::from(record.expires_ms);
        self.len -= 1;
        let room = chunk.capacity();
        chunk.remove(at);
        if chunk.is_empty() {
            self.chunks.remove(&begin);
            self.room -= room;
        } else if chunk.len() + 2 * CHUNK_STEP_RECORDS <= room {
            chunk.shrink_to(chunk.len() + CHUNK_STEP_RECORDS);
            self.room = self.room - room + chunk.capacity();
        }
    }

    /// The entry that ends first.
    pub(super) fn first(&self) -> Option<Record> {
        let (&(upper, _), chunk) = self.chunks.first_key_value()?;
        Some(Record::of((upper, chunk[0])))
    }

    /// Forgets some entries of an index that is being freed, and tells how many; none when there is none left.
    pub(super) fn pop(&mut self) -> Option<usize> {
        let (_, chunk) = self.chunks.pop_first()?;
        self.len -= chunk.len();
        self.room -= chunk.capacity();
        Some(chunk.len())
    }

    fn add_chunk(&mut self, begin: Begin, chunk: Vec<u64>) {
        self.room += chunk.capacity();
        self.chunks.insert(begin, chunk);
    }
}

#[cfg(test)]
impl ExpiryIndex {
    /// Whether this very record is there.
    pub(super) fn contains(&self, record: Record) -> bool {
        let (upper, lower) = record.begin();
        let chunk = self.chunks.range((upper, 0)..=(upper, lower)).next_back();
        chunk.is_some_and(|(_, chunk)| chunk.binary_search(&lower).is_ok())
    }

    /// Asserts that chunks are in order and of their size, and that the books are right.
    pub(super) fn check(&self) {
        let mut before = None;
        let (mut len, mut room, mut sum_ms) = (0, 0, 0);
        for (&(upper, begin), chunk) in &self.chunks {
            assert!((1..=CHUNK_RECORDS_MAX).contains(&chunk.len()) && begin <= chunk[0]);
            assert!(chunk.capacity() <= chunk.len() + 2 * CHUNK_STEP_RECORDS);
            for &lower in chunk {
                assert!(before < Some((upper, lower)), "records are in order");
                before = Some((upper, lower));
                sum_ms += u128::from(Record::of((upper, lower)).expires_ms);
            }
            len += chunk.len();
            room += chunk.capacity();
        }
        assert_eq!((len, room, sum_ms), (self.len, self.room, self.sum_ms));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::testkit::{Random, seeds};

    #[test]
    fn random_records_agree_with_a_plain_set() {
        for seed in seeds(4) {
            println!("MEMENTO_SEED={seed}");
            let mut random = Random::new(seed);
            let (mut index, mut plain) = (ExpiryIndex::default(), BTreeSet::new());
            for step in 0..40_000u32 {
                let growing = step / 8000 % 2 == 0;
                let expires_ms = match random.below(4) {
                    // In order, close together, far apart, and at the ends of time.
                    0 => u64::from(step),
                    1 => 1000 + random.below(50) as u64,
                    2 => random.next() >> random.below(40),
                    _ => [0, u64::MAX, u64::from(u32::MAX), 1 << 32][random.below(4)],
                };
                let record = Record { expires_ms, handle: Handle::of_number(random.next() as u32) };
                if random.below(100) < if growing { 70 } else { 30 } {
                    if plain.insert((record.expires_ms, record.handle)) {
                        index.insert(record);
                    }
                } else if let Some(&(expires_ms, handle)) =
                    plain.range((record.expires_ms, record.handle)..).next().or(plain.first())
                {
                    plain.remove(&(expires_ms, handle));
                    index.remove(Record { expires_ms, handle });
                }
                let first = plain.first().map(|&(expires_ms, handle)| Record { expires_ms, handle });
                assert_eq!((index.len(), index.first()), (plain.len(), first));
                if step % 1000 == 0 {
                    index.check();
                    assert!(plain.iter().all(|&(expires_ms, handle)| index.contains(Record { expires_ms, handle })));
                }
            }
            let mut popped = 0;
            while let Some(records) = index.pop() {
                popped += records;
            }
            assert_eq!((popped, index.len(), index.bytes()), (plain.len(), 0, 0));
        }
    }

    #[test]
    fn a_record_takes_little_more_than_eight_bytes() {
        let mut random = Random::new(1);
        for in_order in [true, false] {
            let mut index = ExpiryIndex::default();
            for number in 0..100_000u32 {
                let expires_ms = if in_order { u64::from(number) } else { random.below(86_400_000) as u64 };
                index.insert(Record { expires_ms, handle: Handle::of_number(number) });
            }
            index.check();
            let bytes = index.bytes() as f64 / 100_000.0;
            assert!(bytes < 9.5, "{bytes}");
        }
    }
}
