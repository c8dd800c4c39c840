//! One thread of a load: its connections on a reactor, what is under way on each, and how long it takes.
//!
//! In a closed loop a connection sends a batch and the next one when the last reply has come; the times are those from
//! a batch's sending to each reply. In an open loop requests go out when they are due, to the next connection that has
//! room, and their times count from when they were due: what waits for room is not hidden.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::histogram::Histogram;
use super::options::{Part, Settings};
use super::replies::{self, Verdict};
use super::schedule::Schedule;
use super::template::{Check, Draw};
use super::{Failure, REPLY_TIMEOUT};
use crate::client::reason;
use crate::limits::ANSWER_BYTES_MAX;
use crate::reactor::{Event, Reactor, Token};
use crate::sys::alarm::Alarm;
use crate::sys::epoll::Interest;

/// So much is received at a time.
const READ_BYTES: usize = 256 * 1024;

/// Room for so many requests under way on a connection is there at first.
const FLIGHTS_AT_FIRST: usize = 1024;

/// A thread looks so often at least whether another one has failed.
const LOOK_MS: u64 = 100;

/// What the threads tell while they run.
#[derive(Default)]
pub(super) struct Shared {
    /// Replies of which times are counted, and their times.
    pub(super) answered: AtomicU64,
    pub(super) sum_ns: AtomicU64,
    /// One has failed: the others need not go on.
    pub(super) failed: AtomicBool,
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
    /// When it was due, in an open loop.
    due_ns: u64,
}

struct Connection {
    stream: TcpStream,
    out: Vec<u8>,
    sent: usize,
    /// The beginning of a reply, and how much of it was looked at.
    received: Vec<u8>,
    seen: usize,
    flights: VecDeque<Flight>,
    /// When the batch was sent, in a closed loop.
    began_ns: u64,
}

/// What the reactor watches.
enum Source {
    Connection(Box<Connection>),
    Alarm(Alarm),
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Source::Connection(connection) => connection.stream.as_fd(),
            Source::Alarm(alarm) => alarm.as_fd(),
        }
    }
}

/// What a thread is to do.
pub(super) struct Task<'a> {
    pub(super) settings: &'a Settings,
    pub(super) part: &'a Part,
    pub(super) draw: Draw<'a>,
    /// So many requests count, where a number ends it.
    pub(super) requests: Option<u64>,
    pub(super) schedule: Option<Schedule>,
    /// Times are told from here.
    pub(super) start: Instant,
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
    task: Task<'a>,
    reactor: Reactor<Source>,
    connections: Vec<Token>,
    /// In an open loop: comes when the next request is due.
    alarm: Option<Token>,
    /// Where replies are received before it is known whether they are whole.
    space: Vec<u8>,
    /// Of those that count.
    issued: u64,
    /// Of all in an open loop.
    scheduled: u64,
    in_flight: usize,
    /// Whose turn it is in an open loop, and which have something new to send.
    turn: usize,
    unsent: Vec<Token>,
    weights: u64,
    found: Vec<Found>,
    last_reply_ns: u64,
}

impl<'a> Worker<'a> {
    pub(super) fn new(task: Task<'a>, streams: Vec<TcpStream>) -> Result<Worker<'a>, Failure> {
        let mut reactor = Reactor::new(256)?;
        let alarm = match task.schedule {
            Some(_) => Some(reactor.insert(Source::Alarm(Alarm::new()?), Interest::READ)?),
            None => None,
        };
        // What is never used need not be there: more grows as it is wanted.
        let room = task.settings.pipeline.min(FLIGHTS_AT_FIRST);
        let mut connections = Vec::new();
        for stream in streams {
            stream.set_nonblocking(true)?;
            let flights = VecDeque::with_capacity(room);
            let (out, received) = (Vec::new(), Vec::new());
            let connection = Connection { stream, out, sent: 0, received, seen: 0, flights, began_ns: 0 };
            connections.push(reactor.insert(Source::Connection(Box::new(connection)), Interest::READ)?);
        }
        Ok(Worker {
            reactor,
            connections,
            alarm,
            space: vec![0; READ_BYTES],
            issued: 0,
            scheduled: 0,
            in_flight: 0,
            turn: 0,
            unsent: Vec::new(),
            weights: task.part.shares.iter().map(|share| share.weight).sum(),
            found: vec![Found::new(); task.part.shares.len()],
            last_reply_ns: 0,
            task,
        })
    }

    /// Does the work; gives what was found of each kind of request, and when the last reply came.
    pub(super) fn work(mut self) -> Result<(Vec<Found>, u64), Failure> {
        if self.task.schedule.is_none() {
            for place in 0..self.connections.len() {
                self.begin_batch(self.connections[place])?;
            }
        }
        let mut progress_ns = self.now_ns();
        while !self.task.shared.failed.load(Ordering::Relaxed) {
            let now_ns = self.now_ns();
            let is_more = self.send_due(now_ns)?;
            if self.in_flight == 0 {
                if !is_more {
                    break;
                }
                progress_ns = now_ns;
            } else if now_ns.saturating_sub(progress_ns) >= REPLY_TIMEOUT.as_nanos() as u64 {
                let (server, missing) = (self.task.server, self.in_flight);
                let seconds = REPLY_TIMEOUT.as_secs();
                let what = format!("{server}: no answer for {seconds} s: {missing} are missing");
                return Err(Failure::Message(what));
            }
            let now_ms = now_ns / 1_000_000;
            self.reactor.wait(now_ms, Some(now_ms + LOOK_MS))?;
            while let Some(event) = self.reactor.next_event() {
                if Some(event.token) == self.alarm {
                    // What is due next is looked at in any case.
                    self.set_alarm(None)?;
                } else if self.serve(event)? {
                    progress_ns = self.last_reply_ns;
                }
            }
        }
        Ok((self.found, self.last_reply_ns))
    }

    fn now_ns(&self) -> u64 {
        self.task.start.elapsed().as_nanos() as u64
    }

    fn set_alarm(&mut self, after_ns: Option<u64>) -> io::Result<()> {
        match self.alarm.and_then(|alarm| self.reactor.get_mut(alarm)) {
            Some(Source::Alarm(alarm)) => match after_ns {
                Some(ns) => alarm.set(Duration::from_nanos(ns)),
                None => alarm.unset(),
            },
            _ => Ok(()),
        }
    }

    fn connection(&mut self, token: Token) -> Option<&mut Connection> {
        match self.reactor.get_mut(token) {
            Some(Source::Connection(connection)) => Some(connection),
            _ => None,
        }
    }

    /// Whether a request may begin at this time.
    fn may_begin(&self, at_ns: u64) -> bool {
        at_ns < self.task.end_ns && self.task.requests.is_none_or(|requests| self.issued < requests)
    }

    /// In an open loop: sends what is due, sets the alarm for what will be; tells whether anything will be.
    fn send_due(&mut self, now_ns: u64) -> Result<bool, Failure> {
        let Some(schedule) = self.task.schedule else { return Ok(false) };
        loop {
            let due_ns = schedule.due_ns(self.scheduled);
            if !self.may_begin(due_ns) {
                break;
            }
            if due_ns > now_ns {
                self.set_alarm(Some(due_ns - now_ns))?;
                break;
            }
            let Some(token) = self.next_with_room() else { break };
            self.push_request(token, due_ns);
            self.scheduled += 1;
        }
        while let Some(token) = self.unsent.pop() {
            self.send(token)?;
        }
        Ok(self.may_begin(schedule.due_ns(self.scheduled)))
    }

    fn next_with_room(&mut self) -> Option<Token> {
        let (count, pipeline) = (self.connections.len(), self.task.settings.pipeline);
        for step in 0..count {
            let place = (self.turn + step) % count;
            let token = self.connections[place];
            if self.connection(token).is_some_and(|connection| connection.flights.len() < pipeline) {
                self.turn = (place + 1) % count;
                return Some(token);
            }
        }
        None
    }

    /// In a closed loop: sends the next batch, unless the end has come.
    fn begin_batch(&mut self, token: Token) -> Result<(), Failure> {
        let now_ns = self.now_ns();
        for _ in 0..self.task.settings.pipeline {
            if !self.may_begin(now_ns) {
                break;
            }
            self.push_request(token, now_ns);
        }
        self.unsent.clear();
        let now_ns = self.now_ns();
        if let Some(connection) = self.connection(token) {
            connection.began_ns = now_ns;
        }
        self.send(token)
    }

    /// Adds a request to what the connection is to send; it begins at this time.
    fn push_request(&mut self, token: Token, at_ns: u64) {
        let Worker { reactor, task, weights, .. } = self;
        let Some(Source::Connection(connection)) = reactor.get_mut(token) else { return };
        if connection.out.is_empty() {
            self.unsent.push(token);
        }
        let shares = &task.part.shares;
        let mut share = 0;
        if shares.len() > 1 {
            let mut place = task.draw.random.below(*weights);
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

    fn send(&mut self, token: Token) -> Result<(), Failure> {
        let server = self.task.server;
        let Some(connection) = self.connection(token) else { return Ok(()) };
        while connection.sent < connection.out.len() {
            match connection.stream.write(&connection.out[connection.sent..]) {
                Ok(count) => connection.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(self.reactor.set_interest(token, Interest { write: true, ..Interest::READ })?);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(lost(server, &error)),
            }
        }
        connection.out.clear();
        connection.sent = 0;
        Ok(self.reactor.set_interest(token, Interest::READ)?)
    }

    /// Serves a connection; tells whether anything came.
    fn serve(&mut self, event: Event) -> Result<bool, Failure> {
        if event.writable {
            self.send(event.token)?;
        }
        let server = self.task.server;
        let Some(Source::Connection(connection)) = self.reactor.get_mut(event.token) else { return Ok(false) };
        let count = match connection.stream.read(&mut self.space) {
            Ok(0) => return Err(Failure::Message(format!("{server} closed a connection"))),
            Ok(count) => count,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return Ok(false);
            }
            Err(error) => return Err(lost(server, &error)),
        };
        let now_ns = self.now_ns();
        self.last_reply_ns = now_ns;
        // The connection is out of the reactor's hands while its replies are counted.
        let Some(Source::Connection(connection)) = self.reactor.get_mut(event.token) else { return Ok(false) };
        let took = take(&self.task, &mut self.found, connection, &self.space[..count], now_ns)?;
        self.in_flight -= took;
        if self.task.schedule.is_none() && connection.flights.is_empty() {
            self.begin_batch(event.token)?;
        }
        Ok(true)
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
            return Err(Failure::Message(format!("{} sends more answers than it was asked for", task.server)));
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
        if began_ns >= task.counted_from_ns {
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

fn lost(server: &str, error: &io::Error) -> Failure {
    Failure::Message(format!("a connection to {server} is lost: {}", reason(error)))
}

fn wrong(task: &Task, flight: &Flight, reply: &[u8]) -> Failure {
    // Only the start of something long is of interest, and no byte of a server's answer is sent raw to a terminal.
    let show = |bytes: &[u8]| {
        let text = bytes[..bytes.len().min(128)].escape_ascii().to_string();
        if bytes.len() > 128 { text + "..." } else { text }
    };
    let name = &task.part.shares[flight.share as usize].name;
    let wanted = match expected(task, flight).1 {
        Some(value) => format!("wanted '{}', ", show(value)),
        None => String::new(),
    };
    let (server, key, got) = (task.server, flight.key, show(reply));
    Failure::Message(format!("{server}: wrong answer to {name}, key number {key}: {wanted}got '{got}'"))
}
