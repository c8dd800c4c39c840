//! What the simulation knows of every request: what was asked, what was executed, what was answered; and what must hold
//! between the three.

use super::super::{Purpose, Request, RequestHead};
use crate::blob::Blob;
use crate::proto::{Encoding, Face, Output, Reply, Typed, Word};
use crate::testkit::Random;
use std::collections::VecDeque;
use std::rc::Rc;

/// So many of the last things that happened are told with a failure.
const TRACE_LINES: usize = 60;

/// What comes back with an answer: which request it was, and which life of the node asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) serial: usize,
    pub(super) incarnation: u64,
}

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// A value of so many bytes, as a word that travels in pieces or as bytes of the head.
    Set {
        key: u8,
        bytes: usize,
        long: bool,
    },
    /// The value, from where it lies or copied.
    Get {
        key: u8,
        copied: bool,
    },
    Append {
        key: u8,
        bytes: usize,
    },
    Inc {
        key: u8,
    },
    /// Answered so much later.
    Slow {
        ms: u64,
    },
    Exec {
        commands: usize,
    },
    Watch {
        key: u8,
    },
    /// Has no answer.
    Forget,
}

impl Op {
    pub(super) fn head(self, client: usize) -> RequestHead {
        let purpose = match self {
            Op::Exec { .. } => Purpose::Exec,
            Op::Watch { .. } => Purpose::Watch,
            Op::Forget => Purpose::Forget,
            _ => Purpose::Plain,
        };
        RequestHead { purpose, client: client as u64, flags: if purpose == Purpose::Forget { 0 } else { 0x1234 } }
    }

    /// The words; the second one is the request's number, by which it is known everywhere.
    fn words(self, serial: usize) -> Vec<OwnWord> {
        let short = |text: &str| OwnWord::Short(text.as_bytes().to_vec());
        let number = short(&serial.to_string());
        let key = |key: u8| OwnWord::Short(vec![b'k', key]);
        match self {
            Op::Set { key: name, bytes, long } => {
                let value = value(serial, bytes);
                let value = if long { OwnWord::Long(Rc::new(value.into())) } else { OwnWord::Short(value) };
                vec![short("SET"), number, key(name), value]
            }
            Op::Get { key: name, .. } => vec![short("GET"), number, key(name)],
            Op::Append { key: name, bytes } => {
                vec![short("APPEND"), number, key(name), OwnWord::Short(value(serial, bytes))]
            }
            Op::Inc { key: name } => vec![short("INC"), number, key(name)],
            Op::Slow { .. } => vec![short("SLOW"), number],
            Op::Exec { commands } => {
                let mut words = vec![short("EXEC"), number];
                for _ in 0..commands {
                    words.extend([short("2"), short("GET"), short("")]);
                }
                words
            }
            Op::Watch { key: name } => vec![short("WATCH"), number, key(name)],
            Op::Forget => vec![short("FORGET"), number],
        }
    }
}

/// A word that the simulation made.
pub(super) enum OwnWord {
    Short(Vec<u8>),
    Long(Rc<Blob>),
}

impl OwnWord {
    pub(super) fn word(&self) -> Word<'_> {
        match self {
            OwnWord::Short(bytes) => Word::Received(bytes),
            OwnWord::Long(value) => Word::Long(value),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            OwnWord::Short(bytes) => bytes,
            OwnWord::Long(value) => value,
        }
    }
}

/// Bytes that no other request has, and no two pieces of which are the same.
fn value(serial: usize, bytes: usize) -> Vec<u8> {
    let mut value = vec![serial as u8; bytes];
    for (number, part) in value.chunks_exact_mut(500).enumerate() {
        part[..8].copy_from_slice(&(serial << 20 | number).to_le_bytes());
    }
    value
}

/// One request.
pub(super) struct Asked {
    pub(super) client: usize,
    pub(super) home: usize,
    pub(super) target: usize,
    pub(super) op: Op,
    pub(super) state: State,
    executed: bool,
    /// What was answered where it was executed.
    answer: Option<Given>,
}

/// An answer: its bytes, and its long values.
struct Given {
    bytes: Vec<u8>,
    longs: Vec<Rc<Blob>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// An answer must come.
    InFlight,
    Answered,
    /// The link broke.
    Failed,
    /// Not taken, since there was no link.
    Refused,
    /// The node that asked is no more, and nobody is left to be answered.
    Orphaned,
    /// Has no answer.
    Told,
}

/// How much of what was seen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Figures {
    pub(super) events: u64,
    pub(super) asked: u64,
    pub(super) answered: u64,
    pub(super) failed: u64,
    pub(super) failed_executed: u64,
    pub(super) refused: u64,
    pub(super) offered: u64,
    pub(super) long: u64,
    pub(super) full: u64,
    pub(super) downs: u64,
    pub(super) junk: u64,
}

impl Figures {
    pub(super) fn add(&mut self, more: &Figures) {
        let Figures { events, asked, answered, failed, failed_executed, refused, offered, long, full, downs, junk } =
            more;
        self.events += events;
        self.asked += asked;
        self.answered += answered;
        self.failed += failed;
        self.failed_executed += failed_executed;
        self.refused += refused;
        self.offered += offered;
        self.long += long;
        self.full += full;
        self.downs += downs;
        self.junk += junk;
    }
}

/// All requests, and what all nodes share.
pub(super) struct World {
    pub(super) random: Random,
    pub(super) now_ms: u64,
    pub(super) requests: Vec<Asked>,
    /// For each client and node the last request that was executed there.
    executed_last: Vec<Vec<usize>>,
    nodes: usize,
    /// For each node and each other one, how many answers are owed.
    pub(super) owed: Vec<Vec<usize>>,
    pub(super) figures: Figures,
    /// Nothing goes wrong, so no request may fail.
    pub(super) calm: bool,
    /// Nothing is expected of the outcome, but that nobody panics.
    pub(super) garbled: bool,
    /// The first thing that was wrong.
    pub(super) failure: Option<String>,
    trace: Option<VecDeque<String>>,
    printed: bool,
}

impl World {
    pub(super) fn new(random: Random, nodes: usize, calm: bool, trace: Trace) -> World {
        World {
            random,
            now_ms: 0,
            requests: Vec::new(),
            executed_last: Vec::new(),
            nodes,
            owed: vec![vec![0; nodes]; nodes],
            figures: Figures::default(),
            calm,
            garbled: false,
            failure: None,
            trace: (trace != Trace::Off).then(VecDeque::new),
            printed: trace == Trace::Printed,
        }
    }

    /// Remembers what happened, if anybody wants to know.
    pub(super) fn say(&mut self, what: impl FnOnce() -> String) {
        let Some(trace) = &mut self.trace else { return };
        let line = format!("{:6} ms  {}", self.now_ms, what());
        if self.printed {
            println!("{line}");
        }
        if trace.len() == TRACE_LINES {
            trace.pop_front();
        }
        trace.push_back(line);
    }

    /// Something is wrong; the first of it counts.
    pub(super) fn fail(&mut self, what: impl FnOnce() -> String) {
        if self.failure.is_none() && !self.garbled {
            let what = what();
            self.say(|| format!("WRONG: {what}"));
            self.failure = Some(what);
        }
    }

    /// The last things that happened, one a line.
    pub(super) fn last_events(&self) -> String {
        self.trace.iter().flatten().map(|line| format!("{line}\n")).collect()
    }

    /// A new request, with its number and words.
    pub(super) fn ask(&mut self, client: usize, home: usize, target: usize, op: Op) -> (usize, Vec<OwnWord>) {
        let serial = self.requests.len();
        if self.executed_last.len() <= client {
            self.executed_last.resize(client + 1, Vec::new());
        }
        self.executed_last[client].resize(self.nodes, 0);
        let state = if op == Op::Forget { State::Told } else { State::InFlight };
        self.requests.push(Asked { client, home, target, op, state, executed: false, answer: None });
        self.figures.asked += 1;
        if state == State::InFlight {
            self.owed[home][target] += 1;
        }
        self.say(|| format!("node {home} asks node {target} for client {client}: {serial} {op:?}"));
        (serial, op.words(serial))
    }

    /// A request could not be sent.
    pub(super) fn refused(&mut self, serial: usize) {
        self.say(|| format!("{serial} is not sent: no link"));
        self.end(serial, State::Refused);
        self.figures.refused += 1;
    }

    fn end(&mut self, serial: usize, state: State) {
        let asked = &mut self.requests[serial];
        if asked.state == State::InFlight {
            self.owed[asked.home][asked.target] -= 1;
        }
        asked.state = state;
    }

    /// A node executes a request: which one it is, after all that must hold of it was looked at.
    pub(super) fn executes(&mut self, node: usize, request: &Request<'_>) -> Option<(usize, Op)> {
        let args = request.args;
        let number = args.get(1).and_then(|number| std::str::from_utf8(number).ok()?.parse::<usize>().ok());
        let Some(serial) = number.filter(|&serial| serial < self.requests.len()) else {
            let words: Vec<_> = args.from(0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
            self.fail(|| format!("node {node} executes what nobody asked: {words:?}"));
            return None;
        };
        let asked = &mut self.requests[serial];
        let (client, op, home, target) = (asked.client, asked.op, asked.home, asked.target);
        let twice = std::mem::replace(&mut asked.executed, true);
        let state = asked.state;
        self.say(|| format!("node {node} executes {serial}"));
        if twice {
            self.fail(|| format!("{serial} is executed twice"));
        }
        if state == State::Refused {
            self.fail(|| format!("{serial} is executed although it was not sent"));
        }
        if target != node || request.from.index() != home {
            let from = request.from.index();
            self.fail(|| format!("{serial}, of node {home} to {target}, is executed on {node} as of {from}"));
        }
        let head = op.head(client);
        if (request.purpose, request.client, request.flags) != (head.purpose, head.client, head.flags) {
            self.fail(|| format!("{serial} changed its head on the way: {request:?}"));
        }
        let words = op.words(serial);
        let same = words.len() == args.len() && words.iter().zip(args.from(0)).all(|(word, arg)| word.bytes() == arg);
        if !same {
            let lengths: Vec<_> = args.from(0).map(<[u8]>::len).collect();
            self.fail(|| format!("{serial} changed its words on the way; their lengths are {lengths:?}"));
            return None;
        }
        // A client's requests are executed in its order, also over a link's end.
        let last = std::mem::replace(&mut self.executed_last[client][node], serial);
        if last > serial {
            self.fail(|| format!("{serial} is executed after {last} of the same client {client}"));
        }
        Some((serial, op))
    }

    /// What the node that executed a request answers, now or later.
    pub(super) fn answers(&mut self, serial: usize, output: &Output) {
        let (bytes, longs) = (output.bytes().to_vec(), output.longs().cloned().collect());
        self.requests[serial].answer = Some(Given { bytes, longs });
    }

    /// An answer came back.
    pub(super) fn answered(&mut self, ticket: &Ticket, reply: Typed<'_>) {
        let serial = ticket.serial;
        self.say(|| format!("{serial} is answered"));
        self.must_be_owed(serial);
        let mut output = Output::default();
        let mut reader = reply.reader();
        let whole = reader.pass_value(&mut Reply::new(&mut output, Encoding::Bus, Face::Typed));
        let done = whole.is_ok() && reader.is_done();
        match &self.requests[serial].answer {
            None => self.fail(|| format!("{serial} is answered without having been")),
            Some(Given { bytes, longs }) => {
                if !done || bytes != output.bytes() || !longs.iter().eq(output.longs()) {
                    self.fail(|| format!("{serial} has got another answer than it was given"));
                }
            }
        }
        self.end(serial, State::Answered);
        self.figures.answered += 1;
    }

    /// It is told that no answer will come.
    pub(super) fn unknown(&mut self, ticket: &Ticket, node: usize) {
        let serial = ticket.serial;
        self.say(|| format!("{serial} failed"));
        self.must_be_owed(serial);
        let asked = &self.requests[serial];
        self.figures.failed_executed += u64::from(asked.executed);
        let target = asked.target;
        if target != node {
            self.fail(|| format!("{serial}, sent to node {target}, is said to have failed at {node}"));
        }
        if self.calm {
            self.fail(|| format!("{serial} failed although nothing went wrong"));
        }
        self.end(serial, State::Failed);
        self.figures.failed += 1;
    }

    fn must_be_owed(&mut self, serial: usize) {
        let state = self.requests[serial].state;
        if state != State::InFlight {
            self.fail(|| format!("{serial} is answered, and was {state:?} before"));
        }
    }

    /// A node is no more: who waits for its answers is no more either.
    pub(super) fn orphan(&mut self, home: usize) {
        for serial in 0..self.requests.len() {
            if self.requests[serial].home == home && self.requests[serial].state == State::InFlight {
                self.end(serial, State::Orphaned);
            }
        }
    }

    /// The requests that nobody has answered.
    pub(super) fn unanswered(&self) -> Vec<usize> {
        let owed = |serial: &usize| self.requests[*serial].state == State::InFlight;
        (0..self.requests.len()).filter(owed).collect()
    }
}

/// What is kept of what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trace {
    Off,
    /// The last lines.
    Kept,
    /// All of it is printed at once.
    Printed,
}
