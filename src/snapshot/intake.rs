//! What comes from the process that reads a snapshot: bytes, cut anywhere, that become keys again.

use super::record::{self, Record};
use crate::blob::{Blob, OutOfMemory};
use crate::dump::Value;

/// What was read went from the front when there is so much of it.
const READ_BYTES_KEPT: usize = 256 * 1024;

/// What is not stored yet of a snapshot.
#[derive(Default)]
pub struct Intake {
    bytes: Vec<u8>,
    /// What comes before this place was read.
    at: usize,
    /// A long value that is on its way.
    long: Option<Arrival>,
    begun: bool,
    /// The last record, once it was there.
    end: Option<u64>,
    /// How many records there were, the first one not counted.
    pub records: u64,
}

/// A key whose value is not all there yet.
struct Arrival {
    key: Vec<u8>,
    after_ms: Option<u64>,
    length: usize,
    value: Blob,
}

/// What is to be done next.
pub enum Step<'a> {
    /// More bytes are needed.
    More,
    /// Nothing, and the next one.
    Again,
    /// The snapshot began at this time of the wall clock.
    Begin(i64),
    /// A key, how long behind the beginning it ends, and its value.
    Key(&'a [u8], Option<u64>, Value<'a>),
    /// The same, of a long value.
    Long(Vec<u8>, Option<u64>, Blob),
    /// There is no such key any more.
    Gone(&'a [u8]),
    /// There is no key any more.
    Flushed,
}

/// Why there is no next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The bytes are no records, or not in an order that they can have.
    Wrong,
    /// The system has no memory for a value.
    NoMemory,
}

impl From<OutOfMemory> for Error {
    fn from(_: OutOfMemory) -> Error {
        Error::NoMemory
    }
}

impl Intake {
    /// More bytes have come.
    pub fn add(&mut self, bytes: &[u8]) {
        if self.at == self.bytes.len() || self.at >= READ_BYTES_KEPT {
            self.bytes.drain(..self.at);
            self.at = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether all that has come was read, the last record included, and its number of records is theirs.
    pub fn is_whole(&self) -> bool {
        self.at == self.bytes.len() && self.long.is_none() && self.end == Some(self.records)
    }

    /// The length of a long value that is on its way.
    pub fn arriving(&self) -> usize {
        self.long.as_ref().map_or(0, |arrival| arrival.length)
    }

    /// Reads on.
    ///
    /// # Errors
    /// When that cannot be.
    pub fn step(&mut self) -> Result<Step<'_>, Error> {
        if let Some(arrival) = &mut self.long {
            let rest = &self.bytes[self.at..];
            let count = rest.len().min(arrival.length - arrival.value.len());
            arrival.value.extend_from_slice(&rest[..count]);
            self.at += count;
            return Ok(match self.long.take_if(|arrival| arrival.value.len() == arrival.length) {
                Some(Arrival { key, after_ms, value, .. }) => Step::Long(key, after_ms, value),
                None => Step::More,
            });
        }
        let mut rest = &self.bytes[self.at..];
        let before = rest.len();
        let Some(record) = record::read(&mut rest).map_err(|_| Error::Wrong)? else { return Ok(Step::More) };
        self.at += before - rest.len();
        let begins = matches!(record, Record::Begin(_));
        if begins == self.begun || self.end.is_some() {
            return Err(Error::Wrong);
        }
        self.begun = true;
        self.records += u64::from(!begins);
        Ok(match record {
            Record::Begin(wall_ms) => Step::Begin(wall_ms),
            Record::Key(key, after_ms, value) => Step::Key(key, after_ms, value),
            Record::Long(key, after_ms, length) => {
                let value = Blob::for_arrival(length, length)?;
                self.long = Some(Arrival { key: key.to_vec(), after_ms, length, value });
                // What it was before takes no memory while this comes.
                Step::Gone(key)
            }
            Record::Gone(key) => Step::Gone(key),
            Record::Flushed => Step::Flushed,
            Record::End(records) => {
                self.records -= 1;
                self.end = Some(records);
                Step::Again
            }
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The keys that are there at the end, in the order of their records.
    pub(in super::super) fn keys(intake: &mut Intake) -> Vec<(Vec<u8>, Option<u64>, Vec<u8>)> {
        let mut found = Vec::new();
        loop {
            match intake.step().expect("records") {
                Step::More => break,
                Step::Begin(_) | Step::Again => {}
                Step::Key(key, after_ms, value) => {
                    let mut bytes = vec![0; value.len()];
                    assert!(value.write_to(&mut bytes));
                    found.push((key.to_vec(), after_ms, bytes));
                }
                Step::Long(key, after_ms, value) => found.push((key, after_ms, value.to_vec())),
                Step::Gone(gone) => found.retain(|(key, ..)| key != gone),
                Step::Flushed => found.clear(),
            }
        }
        assert!(intake.is_whole());
        found
    }

    fn outcome(records: &[u8]) -> Result<bool, Error> {
        let mut intake = Intake::default();
        intake.add(records);
        loop {
            if let Step::More = intake.step()? {
                return Ok(intake.is_whole());
            }
        }
    }

    #[test]
    fn what_cannot_be_is_told() {
        let record = |write: &dyn Fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            write(&mut out);
            out
        };
        let (begin, gone) = (record(&|out| record::begin(out, 1)), record(&|out| record::gone(out, b"k")));
        let end = |count| record(&|out| record::end(out, count));
        assert_eq!(outcome(&[&begin[..], &gone, &end(1)].concat()), Ok(true));
        assert_eq!(outcome(&[&begin[..], &end(0)].concat()), Ok(true));
        for records in [&[&begin[..], &gone, &end(2)][..], &[&begin, &gone], &[&begin, &gone[..2]], &[]] {
            assert_eq!(outcome(&records.concat()), Ok(false), "{records:?}");
        }
        for records in
            [&[&gone[..]][..], &[&begin, &begin], &[&begin, &end(0), &gone], &[&begin, b"Q"], &[b"B1234567\xff\0"]]
        {
            assert_eq!(outcome(&records.concat()), Err(Error::Wrong), "{records:?}");
        }
    }
}
