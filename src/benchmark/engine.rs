//! One thread of a load: its connections, what is under way on each, and how long it takes.
//!
//! In a closed loop a connection sends a batch and the next one when the last reply has come; the times are those from
//! a batch's sending to each reply. In an open loop requests go out when they are due, to the next connection that has
//! room, and their times count from when they were due: what waits for room is not hidden.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::histogram::Histogram;
use super::options::{Part, Settings};
use super::replies::{self, Verdict};
use super::schedule::Schedule;
use super::template::{Check, Draw};
use super::text::Text;
use super::threads::Job;
use super::{Failure, REPLY_TIMEOUT};
use crate::client::reason;
use crate::limits::ANSWER_BYTES_MAX;
use crate::sys::alarm::Alarm;
use crate::sys::clock::monotonic_ns;
use crate::sys::epoll::{Epoll, Interest, Ready};
use crate::sys::socket::Socket;

/// So much is received at a time.
const READ_BYTES: usize = 256 * 1024;

/// Room for so many requests under way on a connection is there at first.
const FLIGHTS_AT_FIRST: usize = 1024;

/// A thread looks so often at least whether another one has failed.
const LOOK_MS: u64 = 100;

/// So many are served between two waits.
const EVENTS_MAX: usize = 256;

/// What the alarm is reported as; connections have their places.
const ALARM: u64 = u64::MAX;

/// What the threads tell while they run.
#[derive(Default)]
pub(super) struct Shared {
    /// Replies of which times are counted, and their times.
    pub(super) answered: AtomicU64,
    pub(super) sum_ns: AtomicU64,
}

/// What is found out about one kind of request.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) times: Histogram,
    /// For how many nothing was there.
    pub(super) misses: u64,
}

impl Found {
    pub(super) fn new() -> Found {
        Found { times: Histogram::new(), misses: 0 }
    }

    pub(super) fn merge(&mut self, other: &Found) {
        self.times.merge(&other.times);
        self.misses += other.misses;
    }
}

/// A request that is not answered.
struct Flight {
    /// The place of its kind among the part's.
    share: u32,
    /// Of its key.
    key: u64,
    /// When it was due in an open loop, else when its batch was put together.
    due_ns: u64,
}

struct Connection {
    socket: Socket,
    out: Vec<u8>,
    sent: usize,
    /// Not all could be sent: it is watched for room.
    is_full: bool,
    /// The beginning of a reply, and how much of it was looked at.
    received: Vec<u8>,
    seen: usize,
    flights: VecDeque<Flight>,
    /// When the batch was sent, in a closed loop.
    began_ns: u64,
}

/// What a thread is to do.
pub(super) struct Task<'a> {
    pub(super) settings: &'a Settings,
    pub(super) part: &'a Part,
    pub(super) draw: Draw<'a>,
    /// So many requests count, where a number ends it.
    pub(super) requests: Option<u64>,
    pub(super) schedule: Option<Schedule>,
    /// What begins before does not count.
    pub(super) counted_from_ns: u64,
    /// Nothing begins from then on.
    pub(super) end_ns: u64,
    pub(super) shared: &'a Shared,
    /// For who reads of failures.
    pub(super) server: &'a str,
}

/// A thread at work.
pub(super) struct Worker<'a> {
    /// Times are told from here.
    pub(super) start_ns: u64,
    task: Task<'a>,
    epoll: Epoll,
    connections: Vec<Connection>,
    /// In an open loop: comes when the next request is due.
    alarm: Option<Alarm>,
    /// What it is set to; 0 for nothing.
    alarm_ns: u64,
    /// Something was sent or received since this was looked at last.
    is_moving: bool,
    /// Where replies are received before it is known whether they are whole.
    space: Vec<u8>,
    /// Of those that count.
    issued: u64,
    /// Of all in an open loop.
    scheduled: u64,
    in_flight: usize,
    /// Whose turn it is in an open loop, and which have something new to send.
    turn: usize,
    unsent: Vec<usize>,
    weights: u64,
    /// Of each kind of request.
    pub(super) found: Vec<Found>,
    pub(super) last_reply_ns: u64,
}

impl<'a> Worker<'a> {
    #[inline(never)]
    pub(super) fn new(task: Task<'a>, sockets: Vec<Socket>) -> Result<Worker<'a>, Failure> {
        let epoll = Epoll::new(EVENTS_MAX)?;
        let mut alarm = None;
        if task.schedule.is_some() {
            let new = Alarm::new()?;
            epoll.add(&new, Interest::READ, ALARM)?;
            alarm = Some(new);
        }
        // What is never used need not be there: more grows as it is wanted.
        let room = task.settings.pipeline.min(FLIGHTS_AT_FIRST);
        let mut connections = Vec::new();
        for socket in sockets {
            epoll.add(&socket, Interest::READ, connections.len() as u64)?;
            connections.push(Connection {
                socket,
                out: Vec::new(),
                sent: 0,
                is_full: false,
                received: Vec::new(),
                seen: 0,
                flights: VecDeque::with_capacity(room),
                began_ns: 0,
            });
        }
        let (mut weights, mut found) = (0, Vec::new());
        for share in &task.part.shares {
            weights += share.weight;
            found.push(Found::new());
        }
        Ok(Worker {
            start_ns: 0,
            task,
            epoll,
            connections,
            alarm,
            alarm_ns: 0,
            is_moving: false,
            space: vec![0; READ_BYTES],
            issued: 0,
            scheduled: 0,
            in_flight: 0,
            turn: 0,
            unsent: Vec::new(),
            weights,
            found,
            last_reply_ns: 0,
        })
    }

    fn now_ns(&self) -> u64 {
        monotonic_ns() - self.start_ns
    }

    /// Sets the alarm, or unsets it with 0.
    fn set_alarm(&mut self, at_ns: u64, now_ns: u64) -> io::Result<()> {
        let Some(alarm) = &self.alarm else { return Ok(()) };
        if at_ns == self.alarm_ns {
            return Ok(());
        }
        self.alarm_ns = at_ns;
        if at_ns > 0 { alarm.set(Duration::from_nanos(at_ns - now_ns)) } else { alarm.unset() }
    }

    /// Whether a request may begin at this time.
    fn may_begin(&self, at_ns: u64) -> bool {
        at_ns < self.task.end_ns && self.task.requests.is_none_or(|requests| self.issued < requests)
    }

    /// In an open loop: sends what is due, sets the alarm for what will be; tells whether anything will be.
    fn send_due(&mut self, now_ns: u64) -> Result<bool, Failure> {
        let Some(schedule) = self.task.schedule else { return Ok(false) };
        let is_more = loop {
            let due_ns = schedule.due_ns(self.scheduled);
            if !self.may_begin(due_ns) {
                break false;
            }
            if due_ns > now_ns {
                self.set_alarm(due_ns, now_ns)?;
                break true;
            }
            let Some(place) = self.next_with_room() else { break true };
            if self.connections[place].out.is_empty() {
                self.unsent.push(place);
            }
            self.push_request(place, due_ns);
            self.scheduled += 1;
        };
        while let Some(place) = self.unsent.pop() {
            self.send(place)?;
        }
        Ok(is_more)
    }

    fn next_with_room(&mut self) -> Option<usize> {
        if self.in_flight >= self.connections.len() * self.task.settings.pipeline {
            return None;
        }
        for _ in 0..self.connections.len() {
            let place = self.turn;
            self.turn = if place + 1 < self.connections.len() { place + 1 } else { 0 };
            if self.connections[place].flights.len() < self.task.settings.pipeline {
                return Some(place);
            }
        }
        None
    }

    /// In a closed loop: sends the next batch, unless the end has come.
    fn begin_batch(&mut self, place: usize) -> Result<(), Failure> {
        let now_ns = self.now_ns();
        for _ in 0..self.task.settings.pipeline {
            if !self.may_begin(now_ns) {
                break;
            }
            self.push_request(place, now_ns);
        }
        self.connections[place].began_ns = self.now_ns();
        self.send(place)
    }

    /// Adds a request to what the connection is to send; it begins at this time.
    #[cfg_attr(memento_small, optimize(speed))]
    fn push_request(&mut self, place: usize, at_ns: u64) {
        let Worker { task, connections, .. } = self;
        let connection = &mut connections[place];
        let shares = &task.part.shares;
        let mut share = 0;
        if shares.len() > 1 {
            let mut place = task.draw.random.below(self.weights);
            while place >= shares[share].weight {
                place -= shares[share].weight;
                share += 1;
            }
        }
        let key = shares[share].template.push(&mut connection.out, &mut task.draw);
        connection.flights.push_back(Flight { share: share as u32, key, due_ns: at_ns });
        self.in_flight += 1;
        self.issued += u64::from(at_ns >= task.counted_from_ns);
    }

    fn send(&mut self, place: usize) -> Result<(), Failure> {
        let connection = &mut self.connections[place];
        let mut is_full = false;
        while connection.sent < connection.out.len() {
            match connection.socket.send(&connection.out[connection.sent..]) {
                Ok(count) => {
                    connection.sent += count;
                    self.is_moving = true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    is_full = true;
                    break;
                }
                Err(error) => return Err(lost(&self.task, &error)),
            }
        }
        if !is_full {
            connection.out.clear();
            connection.sent = 0;
        }
        if is_full != connection.is_full {
            let interest = Interest { write: is_full, ..Interest::READ };
            self.epoll.modify(&connection.socket, interest, place as u64)?;
            connection.is_full = is_full;
        }
        Ok(())
    }

    /// Serves a connection.
    fn serve(&mut self, event: Ready) -> Result<(), Failure> {
        let place = event.data as usize;
        if event.writable {
            self.send(place)?;
        }
        let count = match self.connections[place].socket.receive(&mut self.space) {
            Ok(0) => return Err(Failure::Message(format!("{} closed a connection", self.task.server))),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(lost(&self.task, &error)),
        };
        let now_ns = self.now_ns();
        self.last_reply_ns = now_ns;
        self.is_moving = true;
        let connection = &mut self.connections[place];
        self.in_flight -= take(&self.task, &mut self.found, connection, &self.space[..count], now_ns)?;
        if self.task.schedule.is_none() && connection.flights.is_empty() {
            self.begin_batch(place)?;
        }
        Ok(())
    }
}

impl Job for Worker<'_> {
    /// What is found, and when the last reply came, is kept.
    fn work(&mut self, failed: &AtomicBool) -> Result<(), Failure> {
        if self.task.schedule.is_none() {
            for place in 0..self.connections.len() {
                self.begin_batch(place)?;
            }
        }
        let mut ready = Vec::with_capacity(EVENTS_MAX);
        let mut progress_ns = self.now_ns();
        while !failed.load(Ordering::Relaxed) {
            let now_ns = self.now_ns();
            let is_more = self.send_due(now_ns)?;
            if self.in_flight == 0 && !is_more {
                break;
            }
            if std::mem::take(&mut self.is_moving) || self.in_flight == 0 {
                progress_ns = now_ns;
            } else if now_ns.saturating_sub(progress_ns) >= REPLY_TIMEOUT.as_secs() * 1_000_000_000 {
                let (server, missing) = (self.task.server, self.in_flight);
                let seconds = REPLY_TIMEOUT.as_secs();
                let what = format!("{server}: no answer for {seconds} s: {missing} are missing");
                return Err(Failure::Message(what));
            }
            ready.clear();
            self.epoll.wait(Some(LOOK_MS), &mut ready)?;
            for event in &ready {
                if event.data == ALARM {
                    // What is due next is looked at in any case.
                    self.set_alarm(0, 0)?;
                } else {
                    self.serve(*event)?;
                }
            }
        }
        Ok(())
    }
}

/// Takes what was received: counts and checks the whole replies and keeps the rest. Gives how many replies there were.
fn take(
    task: &Task,
    found: &mut [Found],
    connection: &mut Connection,
    fresh: &[u8],
    now_ns: u64,
) -> Result<usize, Failure> {
    // What is left of the read before is the beginning of this one; mostly there is nothing.
    let is_fresh = connection.received.is_empty();
    if !is_fresh {
        keep(&mut connection.received, fresh, task.server)?;
    }
    let bytes = if is_fresh { fresh } else { &connection.received[..] };
    let mut at = 0;
    let (mut took, mut sum_ns, mut counted) = (0, 0, 0);
    // Replies of one batch have the same time, and are counted together.
    let mut run = (0, 0, 0);
    while at < bytes.len() {
        let Some(flight) = connection.flights.front() else {
            let mut text = Text::default();
            text.add(task.server).add(" sends more answers than it was asked for: '").escaped(&bytes[at..]).add("'");
            return Err(Failure::Message(text.0));
        };
        let Ok(length) = replies::length(&bytes[at..], task.settings.resp, connection.seen) else {
            return Err(wrong(task, flight, &bytes[at..]));
        };
        let Some(length) = length else { break };
        connection.seen = 0;
        let reply = &bytes[at..at + length];
        let share = flight.share as usize;
        let (check, value) = expected(task, flight);
        let verdict = replies::judge(reply, task.settings.resp, check, value);
        if verdict == Verdict::Wrong {
            return Err(wrong(task, flight, reply));
        }
        let began_ns = if task.schedule.is_some() { flight.due_ns } else { connection.began_ns };
        if flight.due_ns >= task.counted_from_ns {
            let ns = now_ns.saturating_sub(began_ns);
            found[share].misses += u64::from(verdict == Verdict::Miss);
            if (share, ns) != (run.0, run.1) {
                found[run.0].times.record(run.1, run.2);
                run = (share, ns, 0);
            }
            run.2 += 1;
            sum_ns += ns;
            counted += 1;
        }
        connection.flights.pop_front();
        at += length;
        took += 1;
    }
    found[run.0].times.record(run.1, run.2);
    task.shared.answered.fetch_add(counted, Ordering::Relaxed);
    task.shared.sum_ns.fetch_add(sum_ns, Ordering::Relaxed);
    connection.seen = bytes.len() - at;
    if is_fresh {
        keep(&mut connection.received, &fresh[at..], task.server)?;
    } else {
        connection.received.drain(..at);
    }
    Ok(took)
}

/// What is wanted of a reply: of which kind, and where values are checked, which.
fn expected<'a>(task: &'a Task, flight: &Flight) -> (Check, Option<&'a [u8]>) {
    let check = task.part.shares[flight.share as usize].template.check;
    let value = (task.settings.verify && check == Check::Value).then(|| task.draw.values.of(flight.key));
    (check, value)
}

/// Adds to a reply that is not over; memory follows what has really come.
fn keep(received: &mut Vec<u8>, more: &[u8], server: &str) -> Result<(), Failure> {
    let bytes = received.len();
    if bytes + more.len() > ANSWER_BYTES_MAX || received.try_reserve(more.len()).is_err() {
        let what = format!("the answer of {server} is not over after {bytes} bytes, and more cannot be held");
        return Err(Failure::Message(what));
    }
    received.extend_from_slice(more);
    Ok(())
}

fn lost(task: &Task, error: &io::Error) -> Failure {
    Failure::Message(format!("a connection to {} is lost: {}", task.server, reason(error)))
}

#[cold]
#[inline(never)]
fn wrong(task: &Task, flight: &Flight, reply: &[u8]) -> Failure {
    let mut text = Text::default();
    text.add(task.server).add(": wrong answer to ").add(task.part.shares[flight.share as usize].name);
    text.add(", key number ").number(flight.key).add(": ");
    if let Some(value) = expected(task, flight).1 {
        text.add("wanted '").escaped(value).add("', ");
    }
    text.add("got '").escaped(reply).add("'");
    Failure::Message(text.0)
}
