//! Snapshots in the loop: keys are told to the process that writes them, a piece a turn, and taken from the one that reads
//! them. That process is a child of ours and one more descriptor of the loop; what may wait for a disk, it does.
//!
//! A snapshot is of the moment at which its last record is made: at the end of a turn, between requests. A walk tells of all
//! keys; of those that are changed behind it ([`crate::store::Store::begin_trail`]) it is told again, and what is said last
//! holds. So nobody has to wait, and nothing is copied before it is changed. Where keys change faster than the disk takes
//! them, the snapshot is given up, and the one before it stays.

use super::{Event, Interest, Level, Server, Socket, Source, Stage, State, Token, log};
use crate::command::{self, Making, Room};
use crate::dump::Value;
use crate::limits::{
    LAST_SNAPSHOT_MS, LOADING_NS_MAX, LOADING_TOLD_MS, SNAPSHOT_AGAIN_BYTES, SNAPSHOT_CHUNK_BYTES,
    SNAPSHOT_KEYS_AT_ONCE, SNAPSHOT_LAST_BYTES, SNAPSHOT_LAST_KEYS, SNAPSHOT_NS_MAX, SNAPSHOT_TRAIL_BYTES,
    SNAPSHOT_TRAIL_BYTES_MAX, SNAPSHOT_TRAIL_PART,
};
use crate::proto::Digits;
use crate::snapshot::{Error, Feed, Intake, LAST_WORDS, NAME, Step};
use crate::store::{Cursor, Expiry, Key, SlotId, Store};
use crate::sys::{clock, files, reason, sentence, spawn};
use std::ffi::{CStr, CString};
use std::io;

/// What a service manager is told, so that it waits for what takes long.
const PATIENCE: &str = "EXTEND_TIMEOUT_USEC=30000000";

const KILLED: &str = "its process ended before it was done; was it killed?";

/// What the server has of snapshots, besides what commands know of them.
#[derive(Default)]
pub(super) struct Snapshots {
    work: Work,
    /// Clients that wait for the one that is made.
    pub(super) waiting: Vec<Token>,
    /// When the last one was begun, or the server.
    tried_ms: u64,
    /// When the service manager was last asked for patience.
    patience_ms: u64,
    /// Whether one that cannot be loaded is moved aside.
    ignore_bad: bool,
    /// Whether the last one was begun.
    last_begun: bool,
}

/// What is being done.
#[derive(Default)]
enum Work {
    #[default]
    None,
    Saving(Box<Saving>),
    Loading(Box<Loading>),
}

/// A snapshot that is made.
struct Saving {
    child: Token,
    feed: Feed,
    /// Where the walk goes on; none behind its end.
    cursor: Option<Cursor>,
    /// Keys that it has met where enough was told of already.
    rest: Vec<Box<[u8]>>,
    /// What was told of keys because they had changed, in bytes.
    again_bytes: u64,
    /// Whether the child takes nothing just now.
    blocked: bool,
    /// When the last record was made, on the wall clock, and how many changes there were then.
    point: Option<(i64, u64)>,
    began_ms: u64,
    /// When the child last took or said something.
    moved_ms: u64,
    /// What it said, up to the end of a line.
    heard: Vec<u8>,
    /// A key that is told of again.
    key: Vec<u8>,
}

impl Saving {
    /// Whether there is something to be done without another event.
    fn can_go_on(&self) -> bool {
        !self.blocked && (self.point.is_none() || !self.feed.is_sent())
    }

    /// Tells some more, and gives whether that was all. An error says why there will be no snapshot.
    #[inline(never)]
    fn tell(&mut self, store: &mut Store, now_ms: u64) -> Result<bool, &'static str> {
        let Saving { feed, key, rest, began_ms, .. } = self;
        if store.trail_flushed() {
            feed.flushed();
        }
        let waiting = store.trail_len().unwrap_or(0);
        let walked_bytes = feed.bytes - self.again_bytes;
        let walks = self.cursor.is_some() || !rest.is_empty();
        if !walks && self.again_bytes > walked_bytes + SNAPSHOT_AGAIN_BYTES {
            return Err("keys change as fast as the disk takes them");
        }
        // Those that have changed and those that are walked over take turns by bytes, so that the walk comes to its end.
        if walks && (waiting == 0 || walked_bytes < self.again_bytes) {
            if let Some(key) = rest.pop() {
                store.get(&*key, now_ms).into_iter().for_each(|entry| feed.key(&entry, *began_ms));
            } else if let Some(from) = self.cursor {
                self.cursor = store.walk(from, now_ms, &mut |entry| match feed.is_stuffed() {
                    true => rest.push(entry.key().into()),
                    false => feed.key(&entry, *began_ms),
                });
            }
            return Ok(false);
        }
        let mut is_last = !walks && waiting <= SNAPSHOT_LAST_KEYS;
        let before = feed.bytes;
        for _ in 0..if is_last { waiting } else { SNAPSHOT_KEYS_AT_ONCE } {
            // Where these change faster than that is sent, they are held all the same: else there would never be an end.
            if feed.bytes - before > SNAPSHOT_LAST_BYTES && self.again_bytes <= walked_bytes {
                is_last = false;
                break;
            }
            if !store.trail_next(key) {
                break;
            }
            match store.get(&*key, now_ms) {
                Some(entry) => feed.key(&entry, *began_ms),
                None => feed.gone(key),
            }
        }
        self.again_bytes += feed.bytes - before;
        Ok(is_last)
    }
}

/// A snapshot that is loaded.
struct Loading {
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
    goes_on: bool,
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
        match state.make_room(0) {
            Room::Enough => {}
            Room::Some => return Ok(false),
            Room::None => {
                return Err(Failure::Other("it does not fit into --maxmemory, and --maxmemory-policy lets nothing go"));
            }
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
    /// Starts the process that writes or reads the file.
    #[inline(never)]
    fn start_child(&mut self, what: &CStr) -> Result<Token, String> {
        let path = CString::new(self.engine.state.settings.snapshot.as_bytes()).unwrap_or_default();
        let socket = spawn::itself(&[NAME, what, &path]);
        let token = socket.and_then(|socket| self.reactor.insert(Source::Child(socket), Interest::READ));
        token.map_err(|error| format!("its process cannot be started: {}", reason(&error)))
    }

    /// The socket of the child.
    fn child(&mut self, token: Token) -> Option<&Socket> {
        match self.reactor.get_mut(token) {
            Some(Source::Child(socket)) => Some(socket),
            _ => None,
        }
    }

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

    /// An error that concerns the file.
    fn named(&self, what: &str) -> io::Error {
        sentence(io::ErrorKind::Other, format_args!("--snapshot '{}': {what}", self.engine.state.settings.snapshot))
    }

    /// Begins a snapshot. The error is what a client is answered that wants one.
    #[inline(never)]
    pub(super) fn begin_saving(&mut self) -> Result<(), String> {
        if !matches!(self.snapshots.work, Work::None) {
            return Err(String::from("ERR Background save already in progress"));
        }
        let now = self.engine.state.now;
        self.snapshots.tried_ms = now.ms;
        self.snapshots.last_begun = self.stage == Stage::Saving;
        // The last one waits for the writer of one that was given up.
        let task = if self.snapshots.last_begun { c"write-last" } else { c"write" };
        let child = match self.start_child(task) {
            Ok(child) => child,
            Err(what) => {
                self.engine.state.snapshots.last_ms = Some(0);
                self.fail_saving(&what);
                return Err(format!("ERR {what}"));
            }
        };
        let State { store, snapshots, .. } = &mut self.engine.state;
        let part = store.bytes_used() / SNAPSHOT_TRAIL_PART;
        store.begin_trail(part.clamp(SNAPSHOT_TRAIL_BYTES, SNAPSHOT_TRAIL_BYTES_MAX));
        let keys = store.len() as u64;
        snapshots.making = Some(Making { began_ms: now.ms, keys, done: 0 });
        snapshots.turn_worst_us = 0;
        self.snapshots.work = Work::Saving(Box::new(Saving {
            child,
            feed: Feed::new(now.to_wall_ms(now.ms)),
            cursor: Some(Cursor::START),
            rest: Vec::new(),
            again_bytes: 0,
            blocked: false,
            point: None,
            began_ms: now.ms,
            moved_ms: now.ms,
            heard: Vec::new(),
            key: Vec::new(),
        }));
        log::write(Level::Info, format_args!("a snapshot of {keys} keys begins"));
        Ok(())
    }

    /// The child is ready.
    #[inline(never)]
    pub(super) fn serve_child(&mut self, event: Event) {
        match &mut self.snapshots.work {
            Work::Saving(saving) => {
                if event.writable {
                    saving.blocked = false;
                    self.watch(event.token, Interest::READ);
                }
                if event.readable || event.hangup {
                    self.hear(event.token);
                }
            }
            Work::Loading(loading) => loading.goes_on = true,
            Work::None => {}
        }
    }

    /// Hears what the writer says.
    #[inline(never)]
    fn hear(&mut self, token: Token) {
        let mut words = [0; 512];
        let received = self.child(token).map_or(Ok(0), |socket| socket.receive(&mut words));
        let Work::Saving(saving) = &mut self.snapshots.work else { return };
        match received {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Ok(count) if count > 0 => saving.heard.extend_from_slice(&words[..count]),
            _ => return self.end_saving(Err(KILLED.into())),
        }
        saving.moved_ms = self.engine.state.now.ms;
        while let Work::Saving(saving) = &mut self.snapshots.work
            && let Some(end) = saving.heard.iter().position(|&byte| byte == b'\n')
        {
            let line: Vec<u8> = saving.heard.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line[..end]);
            match line.split_once(' ') {
                Some(("failed", why)) => self.end_saving(Err(why.into())),
                Some(("done", bytes)) if saving.point.is_some() => self.end_saving(Ok(bytes.parse().unwrap_or(0))),
                _ => self.answer_savers(true, Ok(())),
            }
        }
    }

    /// The snapshot is on the disk, with so many bytes, or will never be there.
    #[inline(never)]
    fn end_saving(&mut self, outcome: Result<u64, String>) {
        let Work::Saving(saving) = std::mem::take(&mut self.snapshots.work) else { return };
        drop(self.reactor.remove(saving.child));
        let State { store, snapshots, now, .. } = &mut self.engine.state;
        store.end_trail();
        snapshots.making = None;
        let took_ms = now.ms - saving.began_ms;
        snapshots.last_ms = Some(took_ms);
        match outcome {
            Ok(bytes) => {
                let (wall_ms, changes) = saving.point.unwrap_or_default();
                (snapshots.last_wall_ms, snapshots.changes) = (wall_ms, changes);
                (snapshots.last_bytes, snapshots.error) = (bytes, None);
                snapshots.made += 1;
                let records = saving.feed.records;
                log::write(
                    Level::Info,
                    format_args!("the snapshot is written: {bytes} bytes, {records} records, {took_ms} ms"),
                );
                self.answer_savers(false, Ok(()));
            }
            Err(why) => {
                self.fail_saving(&why);
                self.answer_savers(false, Err(&format!("ERR the snapshot failed: {why}")));
            }
        }
    }

    /// Says that there is no snapshot.
    fn fail_saving(&mut self, why: &str) {
        log::write(Level::Error, format_args!("the snapshot failed, the one before it stays: {why}"));
        self.engine.state.snapshots.error = Some(why.into());
    }

    /// Goes on with what is being done, at the end of a turn's requests.
    #[inline(never)]
    pub(super) fn serve_snapshots(&mut self) {
        match &mut self.snapshots.work {
            Work::None => {
                if self.next_snapshot_ms().is_some_and(|due_ms| due_ms <= self.engine.state.now.ms) {
                    // Of what went wrong, the log and INFO tell.
                    let _ = self.begin_saving();
                }
            }
            Work::Saving(_) => self.go_on_saving(),
            Work::Loading(_) => self.go_on_loading(),
        }
    }

    /// When the next snapshot is due, if one is.
    fn next_snapshot_ms(&self) -> Option<u64> {
        let State { settings, store, snapshots, .. } = &self.engine.state;
        let due = settings.snapshot_interval_s > 0
            && !settings.snapshot.is_empty()
            && store.changes() != snapshots.changes
            && self.stage == Stage::Serving;
        due.then(|| self.snapshots.tried_ms + settings.snapshot_interval_s * 1000)
    }

    /// Until when the loop may sleep, as far as snapshots go.
    #[inline(never)]
    pub(super) fn snapshots_wake_ms(&self) -> Option<u64> {
        match &self.snapshots.work {
            Work::None => self.next_snapshot_ms(),
            Work::Saving(saving) if saving.can_go_on() => Some(0),
            Work::Loading(loading) if loading.goes_on => Some(0),
            // The service manager is to hear from us, and a disk that does nothing any more is to be noticed.
            _ => Some(self.engine.state.now.ms + LOADING_TOLD_MS),
        }
    }

    #[inline(never)]
    fn go_on_saving(&mut self) {
        let until_ns = clock::monotonic_ns() + SNAPSHOT_NS_MAX;
        let Server { snapshots, reactor, engine, .. } = self;
        let Work::Saving(saving) = &mut snapshots.work else { return };
        let Some(Source::Child(socket)) = reactor.get_mut(saving.child) else { return };
        let State { store, now, .. } = &mut engine.state;
        if saving.point.is_none() && store.trail_len().is_none() {
            return self.end_saving(Err(String::from("keys change faster than the disk takes them")));
        }
        while saving.can_go_on() {
            // What is left of the keys that changed in this turn has to be told of in this turn where it is the last.
            if saving.point.is_none() && !saving.feed.is_full() {
                match saving.tell(store, now.ms) {
                    Err(why) => return self.end_saving(Err(why.into())),
                    Ok(false) => {}
                    Ok(true) => {
                        saving.feed.end();
                        saving.point = Some((now.to_wall_ms(now.ms), store.changes()));
                        store.end_trail();
                    }
                }
            } else {
                match socket.send(saving.feed.unsent()) {
                    Ok(count) => {
                        saving.feed.advance(count);
                        saving.moved_ms = now.ms;
                    }
                    Err(error) => {
                        saving.blocked = true;
                        // A child that has ended has said why, which is read.
                        if error.kind() == io::ErrorKind::WouldBlock {
                            let child = saving.child;
                            self.watch(child, Interest { read: true, ..Interest::WRITE });
                        }
                        break;
                    }
                }
            }
            if clock::monotonic_ns() >= until_ns {
                break;
            }
        }
        if let Work::Saving(saving) = &self.snapshots.work
            && let Some(making) = &mut self.engine.state.snapshots.making
        {
            making.done = saving.feed.records;
        }
    }

    #[inline(never)]
    fn go_on_loading(&mut self) {
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

    /// From now on keys are to be had, or not.
    fn guard_all(&mut self, closed: bool) {
        for token in self.reactor.tokens() {
            if let Some(client) = self.reactor.client(token) {
                client.session.settle_guard(closed);
            }
        }
    }

    /// Ends the server: what it was to load stays where it is.
    #[inline(never)]
    fn refuse_to_load(&mut self, what: &str) {
        self.failure = Some(self.named(what));
        self.stage = Stage::Ended;
    }

    /// Whether the server is to end with a snapshot.
    pub(super) fn wants_last_snapshot(&self) -> bool {
        let State { settings, snapshots, store, .. } = &self.engine.state;
        let loads = matches!(self.snapshots.work, Work::Loading(_));
        let makes = matches!(self.snapshots.work, Work::Saving(_));
        // One that somebody took away is missed as well.
        let is_missing = || !self.snapshots.last_begun && files::to_read(settings.snapshot.as_ref()).is_err();
        let wanted = match snapshots.last {
            Some(wanted) => wanted && !self.snapshots.last_begun,
            None => store.changes() != snapshots.changes || !store.is_empty() && is_missing(),
        };
        !settings.snapshot.is_empty() && !loads && (makes && snapshots.last != Some(false) || wanted)
    }

    /// Goes on with the last snapshot: the one that is being made, or a new one where keys have changed since.
    #[inline(never)]
    pub(super) fn see_to_the_last_snapshot(&mut self) {
        let now_ms = self.engine.state.now.ms;
        if self.engine.state.snapshots.closed.is_none() {
            self.engine.state.snapshots.closed = Some(command::ENDING);
            self.engine.state.snapshots.error = None;
            // Of those that do not take what they are owed.
            self.guard_all(true);
        }
        if now_ms >= self.snapshots.patience_ms + LOADING_TOLD_MS {
            self.snapshots.patience_ms = now_ms;
            self.manager.tell(PATIENCE);
        }
        let outcome = match &self.snapshots.work {
            Work::Saving(saving) if now_ms < saving.moved_ms + LAST_SNAPSHOT_MS => return,
            Work::Saving(_) => Err(String::from("nothing was heard of the disk any more")),
            _ => match self.engine.state.snapshots.error.take() {
                Some(why) if self.snapshots.last_begun => Err(why),
                // One that was begun before may have failed since too much changed.
                _ if self.wants_last_snapshot() => self.begin_saving(),
                _ => {
                    self.stage = Stage::Ended;
                    return;
                }
            },
        };
        if let Err(why) = outcome {
            self.failure = Some(self.named(&format!("the last snapshot failed, the one before it stays: {why}")));
            self.stage = Stage::Ended;
        }
    }

    /// The server ends at once, whatever has changed.
    pub(super) fn give_up_last_snapshot(&mut self) {
        if self.wants_last_snapshot() {
            self.failure = Some(self.named("the last snapshot is not made, the one before it stays"));
        }
    }

    /// A turn took so long.
    pub(super) fn note_turn(&mut self, turn_ns: u64) {
        if let Some(worst_us) = self.engine.state.snapshots.making.is_some().then_some(turn_ns / 1000) {
            let snapshots = &mut self.engine.state.snapshots;
            snapshots.turn_worst_us = snapshots.turn_worst_us.max(worst_us);
        }
    }
}
