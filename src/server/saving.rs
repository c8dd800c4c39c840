//! A snapshot is made: keys are told to the process that writes them, a piece a turn.

use super::snapshots::{KILLED, Work};
use super::{Interest, Level, Server, Source, Stage, State, Token, log};
use crate::command::Making;
use crate::limits::{
    SNAPSHOT_AGAIN_BYTES, SNAPSHOT_CHUNK_BYTES, SNAPSHOT_HELD_BYTES, SNAPSHOT_KEYS_AT_ONCE, SNAPSHOT_LAST_BYTES,
    SNAPSHOT_LAST_KEYS, SNAPSHOT_NS_MAX, SNAPSHOT_PART, SNAPSHOT_PART_BYTES_MAX, SNAPSHOT_PRESSED_NS_MAX,
    SNAPSHOT_STEP_BYTES, SNAPSHOT_TRAIL_BYTES,
};
use crate::snapshot::Feed;
use crate::store::{Cursor, Store};
use crate::sys::clock;
use std::io;

/// A snapshot that is made.
pub(super) struct Saving {
    pub(super) child: Token,
    feed: Feed,
    /// So many bytes may be told before they are sent ...
    hold: u64,
    /// ... and so many more where keys change fast.
    hold_more: u64,
    /// Where the walk goes on; none behind its end.
    cursor: Option<Cursor>,
    /// Keys that it has met where enough was told of already.
    rest: Vec<Box<[u8]>>,
    /// What was told of keys because they had changed, in bytes.
    again_bytes: u64,
    /// Whether the child takes nothing just now.
    pub(super) blocked: bool,
    /// When the last record was made, on the wall clock, and how many changes there were then.
    point: Option<(i64, u64)>,
    began_ms: u64,
    /// When the child last took or said something.
    pub(super) moved_ms: u64,
    /// What it said, up to the end of a line.
    heard: Vec<u8>,
    /// A key that is told of again.
    key: Vec<u8>,
}

impl Saving {
    /// Whether there is something to be done without another event.
    pub(super) fn can_go_on(&self) -> bool {
        self.can_tell() || !self.blocked && !self.feed.is_sent()
    }

    /// Whether more is to be told before what was told is sent.
    fn can_tell(&self) -> bool {
        self.point.is_none() && self.feed.held() < self.hold
    }

    /// How near it is to being given up since keys change as fast as they are told of, as a part of `whole`: all of it when
    /// each key was told of once, so that it comes to its end.
    fn pressure(&self, store: &mut Store, whole: u64) -> u64 {
        match self.point {
            Some(_) => 0,
            None if self.walks() => store.trail_part(whole),
            None => whole,
        }
    }

    /// Whether there are keys that were not told of even once.
    fn walks(&self) -> bool {
        self.cursor.is_some() || !self.rest.is_empty()
    }

    /// Tells some more, and gives whether that was all. An error says why there will be no snapshot.
    #[inline(never)]
    fn tell(&mut self, store: &mut Store, now_ms: u64) -> Result<bool, &'static str> {
        let walks = self.walks();
        let Saving { feed, key, rest, began_ms, .. } = self;
        if store.trail_flushed() {
            feed.flushed();
        }
        let waiting = store.trail_len().unwrap_or(0);
        let before = feed.bytes;
        let walked_bytes = before - self.again_bytes;
        if !walks && self.again_bytes > walked_bytes + SNAPSHOT_AGAIN_BYTES {
            return Err("keys change as fast as the disk takes them");
        }
        // Those that have changed and those that are walked over take turns by bytes, so that the walk comes to its end.
        if walks && (waiting == 0 || walked_bytes < self.again_bytes) {
            if let Some(key) = rest.pop() {
                store.get(&*key, now_ms).into_iter().for_each(|entry| feed.key(&entry, *began_ms));
            } else if let Some(from) = self.cursor {
                self.cursor = store.walk(from, now_ms, &mut |entry| match feed.bytes - before > SNAPSHOT_STEP_BYTES {
                    true => rest.push(entry.key().into()),
                    false => feed.key(&entry, *began_ms),
                });
            }
            return Ok(false);
        }
        let mut is_last = !walks && waiting <= SNAPSHOT_LAST_KEYS;
        let bytes_max = if is_last { SNAPSHOT_LAST_BYTES } else { SNAPSHOT_STEP_BYTES };
        for _ in 0..if is_last { waiting } else { SNAPSHOT_KEYS_AT_ONCE } {
            // Where these change faster than that is sent, the last ones are held all the same: else there would never be
            // an end.
            if feed.bytes - before > bytes_max && (!is_last || self.again_bytes <= walked_bytes) {
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

impl Server {
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
        let part = (store.bytes_used() / SNAPSHOT_PART).min(SNAPSHOT_PART_BYTES_MAX);
        store.begin_trail(part.max(SNAPSHOT_TRAIL_BYTES));
        let keys = store.len() as u64;
        snapshots.making = Some(Making { began_ms: now.ms, keys, done: 0 });
        snapshots.turn_worst_us = 0;
        self.snapshots.work = Work::Saving(Box::new(Saving {
            child,
            hold: SNAPSHOT_CHUNK_BYTES as u64,
            hold_more: part.max(SNAPSHOT_HELD_BYTES) as u64,
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

    /// Hears what the writer says.
    #[inline(never)]
    pub(super) fn hear(&mut self, token: Token) {
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

    #[inline(never)]
    pub(super) fn go_on_saving(&mut self) {
        let Server { snapshots, reactor, engine, .. } = self;
        let Work::Saving(saving) = &mut snapshots.work else { return };
        let Some(Source::Child(socket)) = reactor.get_mut(saving.child) else { return };
        let State { store, now, .. } = &mut engine.state;
        let until_ns = clock::monotonic_ns() + SNAPSHOT_NS_MAX + snapshots.pressed_ns;
        // Clients are slowed down, at most by half, and more is held until the child takes it.
        snapshots.pressed_ns = saving.pressure(store, SNAPSHOT_PRESSED_NS_MAX);
        saving.hold = SNAPSHOT_CHUNK_BYTES as u64 + saving.pressure(store, saving.hold_more);
        if saving.point.is_none() && store.trail_len().is_none() {
            return self.end_saving(Err(String::from("keys change faster than the disk takes them")));
        }
        let was_blocked = saving.blocked;
        while saving.can_go_on() {
            let is_enough = saving.feed.held() >= SNAPSHOT_CHUNK_BYTES as u64;
            // Who writes is not kept waiting for what is only held.
            if saving.can_tell() && (saving.blocked || !is_enough) {
                if is_enough && !saving.feed.has_room() {
                    saving.hold = 0;
                    continue;
                }
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
                    // It takes nothing just now; or it has ended, and has said why, which is read.
                    Err(_) => saving.blocked = true,
                }
            }
            if clock::monotonic_ns() >= until_ns {
                break;
            }
        }
        if let Some(making) = &mut engine.state.snapshots.making {
            making.done = saving.feed.records;
        }
        let (child, blocks) = (saving.child, saving.blocked && !was_blocked);
        if blocks {
            self.watch(child, Interest { read: true, ..Interest::WRITE });
        }
    }

    /// The snapshot is on the disk, with so many bytes, or will never be there.
    #[inline(never)]
    fn end_saving(&mut self, outcome: Result<u64, String>) {
        let Work::Saving(saving) = std::mem::take(&mut self.snapshots.work) else { return };
        drop(self.reactor.remove(saving.child));
        self.snapshots.pressed_ns = 0;
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
        log::write(Level::Error, format_args!("the snapshot failed, no whole one is lost: {why}"));
        self.engine.state.snapshots.error = Some(why.into());
    }
}
