//! A snapshot is loaded: keys are taken from the process that reads the file, a piece a turn.

use super::snapshots::{KILLED, PATIENCE, Work};
use super::{Level, Server, Stage, State, Token, log};
use crate::command::{self, Room};
use crate::dump::Value;
use crate::limits::{LOADING_NS_MAX, LOADING_SLACK_PART, LOADING_TOLD_MS, SNAPSHOT_CHUNK_BYTES, SNAPSHOT_KEYS_AT_ONCE};
use crate::proto::Digits;
use crate::snapshot::{Error, Intake, LAST_WORDS, Step};
use crate::store::{Expiry, Key, Policy, SlotId};
use crate::sys::{clock, files, reason};
use std::io;

/// A snapshot that is loaded.
pub(super) struct Loading {
    child: Token,
    intake: Intake,
    /// Where what is received lies.
    buffer: Vec<u8>,
    /// What has come of a chunk's length.
    length: [u8; 4],
    length_len: usize,
    /// Of the chunk so much is missing.
    left: usize,
    stage: LoadingStage,
    /// What the reader says is wrong.
    wrong: Vec<u8>,
    /// By the boot clock, the moment that ends count from.
    base_ms: i64,
    began_ms: u64,
    /// When the log was last told how far it is.
    told_ms: u64,
    /// Whether there is something to be done without another event.
    pub(super) goes_on: bool,
}

/// What the chunks are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LoadingStage {
    /// How long the file is.
    Length,
    Records,
    Wrong,
    Ended,
}

/// Why a snapshot is not loaded.
enum Failure {
    /// It is no good.
    Bad(&'static str),
    /// The reader has said why.
    Told,
    /// It may be good.
    Other(&'static str),
}

impl Loading {
    /// Sorts what was received.
    #[inline(never)]
    fn unpack(&mut self, mut bytes: &[u8], loading: &mut command::Loading) {
        while let Some(&first) = bytes.first() {
            if self.left == 0 {
                self.length[self.length_len] = first;
                self.length_len += 1;
                bytes = &bytes[1..];
                if self.length_len == self.length.len() {
                    self.length_len = 0;
                    (self.left, self.stage) = match u32::from_le_bytes(self.length) {
                        0 => (0, LoadingStage::Ended),
                        LAST_WORDS => (usize::MAX, LoadingStage::Wrong),
                        length => (length as usize, self.stage),
                    };
                }
                continue;
            }
            let (part, rest) = bytes.split_at(self.left.min(bytes.len()));
            match self.stage {
                LoadingStage::Length => {
                    for &byte in part {
                        loading.bytes = loading.bytes >> 8 | u64::from(byte) << 56;
                    }
                }
                LoadingStage::Wrong => self.wrong.extend_from_slice(part),
                _ => {
                    loading.done += part.len() as u64;
                    self.intake.add(part);
                }
            }
            self.left -= part.len();
            if self.left == 0 {
                self.stage = LoadingStage::Records;
            }
            bytes = rest;
        }
    }

    /// Stores some of what has come; gives whether that was all of it.
    #[inline(never)]
    fn store(&mut self, state: &mut State) -> Result<bool, Failure> {
        let arriving = self.intake.arriving();
        match state.make_room(arriving) {
            Room::Some => return Ok(false),
            Room::None => {
                let bytes_max = state.settings.memory_bytes_max;
                // What clients hold will be given back; and a value that is too long will go, where anything may.
                let more = if state.settings.memory_policy == Policy::NoEviction { arriving } else { 0 };
                if (state.store.bytes_used() + more) as u64 > bytes_max + bytes_max / LOADING_SLACK_PART {
                    return Err(Failure::Other(
                        "it does not fit into --maxmemory, and --maxmemory-policy lets nothing go",
                    ));
                }
            }
            Room::Enough => {}
        }
        for _ in 0..SNAPSHOT_KEYS_AT_ONCE {
            if state.store.is_short() && !state.store.refill() {
                return Err(Failure::Other("the system has no memory for it"));
            }
            let (key, after_ms, value) = match self.intake.step() {
                Err(Error::Wrong) => return Err(Failure::Bad("it says of keys what cannot be")),
                Err(Error::NoMemory) => return Err(Failure::Other("the system has no memory for a value of it")),
                Ok(Step::More) => return Ok(true),
                Ok(Step::Again) => continue,
                Ok(Step::Begin(wall_ms)) => {
                    let now = state.now;
                    // What has passed since, unless the wall clock went back.
                    self.base_ms = now.ms as i64 - (now.to_wall_ms(now.ms).saturating_sub(wall_ms)).max(0);
                    continue;
                }
                Ok(Step::Flushed) => {
                    state.store.flush();
                    continue;
                }
                Ok(Step::Gone(key)) => {
                    state.store.remove(Key::from(key), state.now.ms);
                    continue;
                }
                Ok(Step::Key(key, after_ms, value)) => (key, after_ms, value),
                Ok(Step::Long(key, after_ms, value)) => {
                    if let Some(expiry) = expiry(after_ms, self.base_ms, &key, state) {
                        state.store.upsert_shared(&key, value.into(), expiry, state.now.ms);
                    }
                    continue;
                }
            };
            let Some(expiry) = expiry(after_ms, self.base_ms, key, state) else { continue };
            let digits;
            let bytes = match value {
                Value::Plain(bytes) => bytes,
                Value::Number(number) => {
                    digits = Digits::of(number);
                    digits.bytes()
                }
                Value::Packed(..) => unreachable!("records have no packed values"),
            };
            state.store.upsert(Key::from(key), bytes, expiry, state.now.ms);
        }
        Ok(false)
    }
}

/// When a key ends; none for one that has ended, which goes, and for one that another node has.
#[inline(never)]
fn expiry(after_ms: Option<u64>, base_ms: i64, key: &[u8], state: &mut State) -> Option<Expiry> {
    if state.slots.is_some_and(|own| !own.has(SlotId::of_key(key))) {
        state.snapshots.loaded_foreign += 1;
        return None;
    }
    let Some(after_ms) = after_ms else { return Some(Expiry::Never) };
    let at_ms = i64::try_from(after_ms).unwrap_or(i64::MAX).saturating_add(base_ms);
    if at_ms > state.now.ms as i64 {
        return Some(Expiry::At(at_ms as u64));
    }
    state.store.remove(Key::from(key), state.now.ms);
    state.snapshots.loaded_ended += 1;
    None
}

impl Server {
    /// Begins to load what the file has; until that is done, no keys are to be had. Where that cannot be begun, the server
    /// will end.
    #[inline(never)]
    pub(super) fn begin_loading(&mut self, ignore_bad: bool) {
        let child = match self.start_child(c"read") {
            Ok(child) => child,
            Err(what) => return self.refuse_to_load(&what),
        };
        self.snapshots.ignore_bad = ignore_bad;
        let State { now, snapshots, store, .. } = &mut self.engine.state;
        store.count_changes();
        snapshots.closed = Some(command::LOADING);
        snapshots.loading = Some(command::Loading { began_ms: now.ms, ..command::Loading::default() });
        self.snapshots.tried_ms = now.ms;
        self.snapshots.work = Work::Loading(Box::new(Loading {
            child,
            intake: Intake::default(),
            buffer: vec![0; SNAPSHOT_CHUNK_BYTES],
            length: [0; 4],
            length_len: 0,
            left: 0,
            stage: LoadingStage::Length,
            wrong: Vec::new(),
            base_ms: 0,
            began_ms: now.ms,
            told_ms: now.ms,
            goes_on: false,
        }));
    }

    #[inline(never)]
    pub(super) fn go_on_loading(&mut self) {
        let until_ns = clock::monotonic_ns() + LOADING_NS_MAX;
        let Work::Loading(mut loading) = std::mem::take(&mut self.snapshots.work) else { return };
        let outcome = self.load(&mut loading, until_ns);
        let done = loading.stage == LoadingStage::Ended && !loading.goes_on;
        match outcome {
            Ok(()) if !done => {
                self.tell_loading(&mut loading);
                self.snapshots.work = Work::Loading(loading);
            }
            Ok(()) => self.end_loading(&loading, None),
            Err(failure) => {
                let is_bad = match failure {
                    // What the reader says of the file itself begins with its name.
                    Failure::Told => loading.wrong.first() == Some(&b'\''),
                    Failure::Bad(what) | Failure::Other(what) => {
                        loading.wrong = what.into();
                        matches!(failure, Failure::Bad(_))
                    }
                };
                let what = String::from_utf8_lossy(&loading.wrong);
                if is_bad && self.snapshots.ignore_bad {
                    return self.end_loading(&loading, Some(&what));
                }
                let advice = "; move it away, or let --snapshot-ignore-bad do so, to start without it";
                self.refuse_to_load(&[&*what, if is_bad { advice } else { "" }].concat());
            }
        }
    }

    /// Loads some more.
    #[inline(never)]
    fn load(&mut self, loading: &mut Loading, until_ns: u64) -> Result<(), Failure> {
        loading.goes_on = true;
        loop {
            let all_stored = loading.store(&mut self.engine.state)?;
            if clock::monotonic_ns() >= until_ns {
                return Ok(());
            }
            if !all_stored {
                continue;
            }
            if loading.stage == LoadingStage::Ended {
                loading.goes_on = false;
                // A file that is not there has no records, not even the first.
                let any = self.engine.state.snapshots.loading.is_some_and(|loading| loading.bytes > 0);
                return if loading.intake.is_whole() || !any {
                    Ok(())
                } else {
                    Err(Failure::Bad("its last record is missing, or says something else"))
                };
            }
            let Some(socket) = self.child(loading.child) else { return Ok(()) };
            match socket.receive(&mut loading.buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    loading.goes_on = false;
                    return Ok(());
                }
                Ok(count) if count > 0 => {
                    let buffer = std::mem::take(&mut loading.buffer);
                    if let Some(figures) = &mut self.engine.state.snapshots.loading {
                        loading.unpack(&buffer[..count], figures);
                    }
                    loading.buffer = buffer;
                }
                _ if loading.wrong.is_empty() => {
                    return Err(Failure::Other(KILLED));
                }
                _ => return Err(Failure::Told),
            }
        }
    }

    /// Tells how far loading is, now and then.
    #[inline(never)]
    fn tell_loading(&mut self, loading: &mut Loading) {
        let now_ms = self.engine.state.now.ms;
        if now_ms < loading.told_ms + LOADING_TOLD_MS {
            return;
        }
        loading.told_ms = now_ms;
        self.manager.tell(PATIENCE);
        let command::Loading { bytes, done, .. } = self.engine.state.snapshots.loading.unwrap_or_default();
        let (percent, keys) = (done * 100 / bytes.max(1), self.engine.state.store.len());
        log::write(Level::Info, format_args!("loading the snapshot: {percent} %, {keys} keys"));
    }

    /// Serves what was loaded; or nothing, where that is bad and was moved aside.
    #[inline(never)]
    fn end_loading(&mut self, loading: &Loading, bad: Option<&str>) {
        drop(self.reactor.remove(loading.child));
        let State { settings, store, snapshots, now, .. } = &mut self.engine.state;
        let path = &settings.snapshot;
        if let Some(what) = bad {
            let aside = format!("{path}.bad-{}", now.to_wall_ms(now.ms));
            if let Err(error) = files::rename(path, &aside) {
                let what = format!("{what}; and it cannot be moved aside: {}", reason(&error));
                return self.refuse_to_load(&what);
            }
            log::write(Level::Error, format_args!("the snapshot was moved to '{aside}': {what}"));
            store.flush();
            snapshots.loaded_ended = 0;
        }
        snapshots.loaded = store.len() as u64;
        snapshots.changes = store.changes();
        (snapshots.closed, snapshots.loading) = (None, None);
        let (keys, ended, took_ms) = (snapshots.loaded, snapshots.loaded_ended, now.ms - loading.began_ms);
        if loading.intake.is_whole() && bad.is_none() {
            let text = format_args!("{keys} keys are loaded in {took_ms} ms; {ended} had ended meanwhile");
            log::write(Level::Info, text);
        } else if bad.is_none() {
            log::write(Level::Info, format_args!("there is no snapshot yet"));
        }
        if snapshots.loaded_foreign > 0 {
            let count = snapshots.loaded_foreign;
            log::write(
                Level::Warn,
                format_args!("{count} keys of the snapshot are left out: other nodes have their slots"),
            );
        }
        self.guard_all(false);
        self.manager.tell_ready(self.engine.state.now.ms);
    }

    /// Ends the server: what it was to load stays where it is.
    #[inline(never)]
    fn refuse_to_load(&mut self, what: &str) {
        self.failure = Some(self.named(what));
        self.stage = Stage::Ended;
    }
}
