//! What takes many turns: KEYS, which is a walk over all keys; BITCOUNT and BITPOS of long values.

use super::CommandError;
use super::bits::Look;
use super::glob::Matcher;
use crate::limits::{TURN_REPLY_BYTES, WALK_BYTES_MAX, WALK_ENTRIES_PER_TURN};
use crate::proto::{Encoding, Face, Output, Progress, Reply};
use crate::store::{Cursor, Store};

/// A command on its way that takes many turns.
#[derive(Debug)]
pub enum Walk {
    /// KEYS.
    Keys(KeysWalk),
    /// BITCOUNT, BITPOS.
    Bits(Look),
}

impl Walk {
    /// Does a bounded piece of it, looking at or answering about `entries_max` keys; what is answered goes to
    /// `output`. What it finds may take `bytes_max`, or the answer is an error. `true` when the reply is whole.
    pub fn step(
        &mut self,
        store: &Store,
        now_ms: u64,
        entries_max: usize,
        bytes_max: usize,
        output: &mut Output,
    ) -> bool {
        match self {
            Walk::Keys(walk) => walk.step(store, now_ms, entries_max, bytes_max, output),
            Walk::Bits(look) => look.step(store, now_ms, output),
        }
    }

    /// Does all of it in one step: inside a transaction nothing may come in between.
    pub(super) fn answer_at_once(self, store: &Store, now_ms: u64, reply: &mut Reply<'_>) {
        match self {
            Walk::Keys(walk) => walk.answer_at_once(store, now_ms, reply),
            Walk::Bits(look) => look.answer_at_once(store, now_ms, reply),
        }
    }

    /// Whether the answer is still being made; after that it is its client that is waited for.
    pub fn is_searching(&self) -> bool {
        match self {
            Walk::Keys(walk) => matches!(walk.stage, Stage::Searching(_)),
            Walk::Bits(_) => true,
        }
    }

    /// The memory that what was found takes, in bytes.
    pub fn bytes_used(&self) -> usize {
        match self {
            Walk::Keys(walk) => walk.found.bytes_used(),
            Walk::Bits(_) => 0,
        }
    }
}

/// KEYS on its way. The client's next requests wait for its end, so to that client it is one moment; other clients'
/// writes go on meanwhile, and a key that exists throughout is found.
#[derive(Debug)]
pub struct KeysWalk {
    pattern: Box<[u8]>,
    encoding: Encoding,
    found: Found,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The store is looked through from here on.
    Searching(Cursor),
    /// The store is done; the answer begins.
    Found,
    /// The keys before this one are answered.
    Answering(usize, Progress),
}

impl KeysWalk {
    /// A walk for the keys that match `pattern`.
    pub(super) fn new(pattern: &[u8], encoding: Encoding) -> KeysWalk {
        KeysWalk { pattern: pattern.into(), encoding, found: Found::default(), stage: Stage::Searching(Cursor::START) }
    }

    fn step(&mut self, store: &Store, now_ms: u64, entries_max: usize, bytes_max: usize, output: &mut Output) -> bool {
        match self.stage {
            Stage::Searching(from) => {
                match self.search(store, from, now_ms, entries_max, bytes_max) {
                    Ok(next) => self.stage = next.map_or(Stage::Found, Stage::Searching),
                    Err(error) => {
                        Reply::new(output, self.encoding, Face::Typed).error(&error.to_string());
                        return true;
                    }
                }
                false
            }
            Stage::Found => {
                let mut reply = Reply::new(output, self.encoding, Face::Typed);
                reply.array(self.found.len());
                let whole = reply.is_whole();
                self.stage = Stage::Answering(0, reply.suspend());
                whole
            }
            Stage::Answering(from, progress) => {
                let mut reply = Reply::resume(output, progress);
                // A turn's share of bytes at most, and one key at least.
                let to = self.found.len().min(from + entries_max);
                let to = self.found.fitting(from, to, TURN_REPLY_BYTES);
                (from..to).for_each(|index| reply.bulk(self.found.key(index)));
                let whole = reply.is_whole();
                self.stage = Stage::Answering(to, reply.suspend());
                whole
            }
        }
    }

    fn answer_at_once(mut self, store: &Store, now_ms: u64, reply: &mut Reply<'_>) {
        let mut next = Some(Cursor::START);
        while let Some(from) = next {
            match self.search(store, from, now_ms, WALK_ENTRIES_PER_TURN, WALK_BYTES_MAX) {
                Ok(further) => next = further,
                Err(error) => return reply.error(&error.to_string()),
            }
        }
        self.found.answer(self.found.len(), reply);
    }

    /// Looks at about `entries_max` keys; gives where to go on.
    fn search(
        &mut self,
        store: &Store,
        from: Cursor,
        now_ms: u64,
        entries_max: usize,
        bytes_max: usize,
    ) -> Result<Option<Cursor>, CommandError> {
        let KeysWalk { pattern, found, .. } = self;
        let mut matcher = Matcher::new(pattern);
        let mut has_room = true;
        let next = store.scan(from, entries_max, now_ms, &mut |entry| {
            if has_room && found.bytes_used() <= bytes_max && matcher.matches(entry.key()) {
                has_room = found.push(entry.key());
            }
        });
        if !has_room {
            return Err(CommandError::NoMemory);
        }
        if matcher.gave_up() {
            return Err(CommandError::PatternTooCostly);
        }
        if found.bytes_used() > bytes_max {
            let megabytes = WALK_BYTES_MAX >> 20;
            let text = format!("ERR too many keys match: KEYS of all clients may hold {megabytes} MB, use SCAN");
            return Err(CommandError::Other(text));
        }
        Ok(next)
    }
}

/// Keys that were found, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Found {
    bytes: Vec<u8>,
    /// Where each key ends.
    ends: Vec<usize>,
}

impl Found {
    /// Adds a key; false where there is no memory for it.
    pub(super) fn push(&mut self, key: &[u8]) -> bool {
        let has_room = self.bytes.try_reserve(key.len()).is_ok() && self.ends.try_reserve(1).is_ok();
        if has_room {
            self.bytes.extend_from_slice(key);
            self.ends.push(self.bytes.len());
        }
        has_room
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    fn key(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start..self.ends[index]]
    }

    /// Answers with the first so many.
    pub(super) fn answer(&self, count: usize, reply: &mut Reply<'_>) {
        reply.array(count);
        (0..count).for_each(|index| reply.bulk(self.key(index)));
    }

    /// How far the keys from `from` on, and before `to`, take no more than so many bytes: one at least.
    fn fitting(&self, from: usize, to: usize, bytes_max: usize) -> usize {
        let start = if from == 0 { 0 } else { self.ends[from - 1] };
        let count = self.ends[from..to].partition_point(|&end| end - start <= bytes_max);
        to.min(from + count.max(1))
    }

    pub(super) fn bytes_used(&self) -> usize {
        self.bytes.len() + size_of_val(&self.ends[..])
    }
}
