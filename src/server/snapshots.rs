//! Snapshots in the loop: keys are told to the process that writes them, a piece a turn, and taken from the one that reads
//! them. That process is a child of ours and one more descriptor of the loop; what may wait for a disk, it does.
//!
//! A snapshot is of the moment at which its last record is made: at the end of a turn, between requests. A walk tells of all
//! keys; of those that are changed behind it ([`crate::store::Store::begin_trail`]) it is told again, and what is said last
//! holds. So nobody has to wait, and nothing is copied before it is changed. Where keys change faster than the disk takes
//! them, the snapshot is given up, and the one before it stays.

use super::loading::Loading;
use super::saving::Saving;
use super::{Event, Interest, Server, Socket, Source, Stage, State, Token};
use crate::command;
use crate::limits::{LAST_SNAPSHOT_MS, LOADING_TOLD_MS};
use crate::snapshot::NAME;
use crate::sys::{files, reason, sentence, spawn};
use std::ffi::{CStr, CString};
use std::io;

/// What a service manager is told, so that it waits for what takes long.
pub(super) const PATIENCE: &str = "EXTEND_TIMEOUT_USEC=30000000";

pub(super) const KILLED: &str = "its process ended before it was done; was it killed?";

/// What the server has of snapshots, besides what commands know of them.
#[derive(Default)]
pub(super) struct Snapshots {
    pub(super) work: Work,
    /// Clients that wait for the one that is made.
    pub(super) waiting: Vec<Token>,
    /// When the last one was begun, or the server.
    pub(super) tried_ms: u64,
    /// What it takes of the turn besides its own part.
    pub(super) pressed_ns: u64,
    /// When the service manager was last asked for patience.
    patience_ms: u64,
    /// Whether one that cannot be loaded is moved aside.
    pub(super) ignore_bad: bool,
    /// Whether the last one was begun.
    pub(super) last_begun: bool,
}

/// What is being done.
#[derive(Default)]
pub(super) enum Work {
    #[default]
    None,
    Saving(Box<Saving>),
    Loading(Box<Loading>),
}

impl Server {
    /// Starts the process that writes or reads the file.
    #[inline(never)]
    pub(super) fn start_child(&mut self, what: &CStr) -> Result<Token, String> {
        let path = CString::new(self.engine.state.settings.snapshot.as_bytes()).unwrap_or_default();
        let socket = spawn::itself(&[NAME, what, &path]);
        let token = socket.and_then(|socket| self.reactor.insert(Source::Child(socket), Interest::READ));
        token.map_err(|error| format!("its process cannot be started: {}", reason(&error)))
    }

    /// The socket of the child.
    pub(super) fn child(&mut self, token: Token) -> Option<&Socket> {
        match self.reactor.get_mut(token) {
            Some(Source::Child(socket)) => Some(socket),
            _ => None,
        }
    }

    /// An error that concerns the file.
    pub(super) fn named(&self, what: &str) -> io::Error {
        sentence(io::ErrorKind::Other, format_args!("--snapshot '{}': {what}", self.engine.state.settings.snapshot))
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

    /// From now on keys are to be had, or not.
    pub(super) fn guard_all(&mut self, closed: bool) {
        for token in self.reactor.tokens() {
            if let Some(client) = self.reactor.client(token) {
                client.session.settle_guard(closed);
            }
        }
    }

    /// Whether the server is to end with a snapshot.
    pub(super) fn wants_last_snapshot(&self) -> bool {
        let State { settings, snapshots, store, .. } = &self.engine.state;
        let loads = matches!(self.snapshots.work, Work::Loading(_));
        let makes = matches!(self.snapshots.work, Work::Saving(_));
        // One that somebody took away is missed as well.
        let is_missing = || !self.snapshots.last_begun && files::only_file(settings.snapshot.as_ref()).is_err();
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
            // Until now nobody waited for it.
            if let Work::Saving(saving) = &mut self.snapshots.work {
                saving.moved_ms = now_ms;
            }
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
            self.failure = Some(self.named(&format!("the last snapshot failed, no whole one is lost: {why}")));
            self.stage = Stage::Ended;
        }
    }

    /// The server ends at once, whatever has changed.
    pub(super) fn give_up_last_snapshot(&mut self) {
        if self.wants_last_snapshot() {
            self.failure = Some(self.named("the last snapshot is not made, no whole one is lost"));
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
