//! The simulator: a whole cluster in one process on virtual time, by a seed.
//!
//! Each node is the real state machine; around it are a small store, clients that ask through their node for what others
//! hold, and a network that delays, holds up, cuts and forgets. What must hold is looked at after every turn of every
//! node, and once more when the faults have stopped and time has passed. Nothing here knows how the state machine does
//! its work: what it promises is enough.
//!
//! `MEMENTO_SEED=n cargo test --lib cluster::sim -- --nocapture` tells all that happens under a seed (`make sim SEED=n`);
//! `MEMENTO_SEEDS=n` says how many seeds are run.

mod mutant;
mod network;
mod node;
mod world;

use crate::testkit::{Random, seeds};
use mutant::Mutant;
pub(super) use mutant::Mutation;
use network::{Network, STRANGER, SideState};
use node::{Client, Node, Setting};
use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use world::{Figures, Op, Trace, World};

/// So many things happen under a seed, besides what comes of them.
const EVENTS: usize = 150;

/// After the faults everything must be well within so long. A large value over a thin link takes the most of it.
const HEAL_MS: u64 = 60_000;

/// With nothing to do, so long nothing may change but pings.
const REST_MS: u64 = 6_000;

/// A loop that has so many turns at one time stands still.
const TURNS_MAX: usize = 20_000;

struct Sim {
    setting: Setting,
    world: World,
    network: Network,
    /// Each node in its present life; none while it is down.
    nodes: Vec<Option<Node>>,
    alive: Vec<bool>,
    clients: usize,
    /// Values are no longer than this.
    value_bytes_max: usize,
    touched: Vec<usize>,
}

impl Sim {
    fn new(seed: u64, mutant: Mutant, trace: Trace) -> Sim {
        let mut random = Random::new(seed);
        let nodes = 2 + random.below(6);
        let secret = (random.below(2) == 0).then(|| random.next().to_le_bytes().to_vec());
        let network = Network::new(nodes, &mut random);
        let calm = random.below(10) == 0;
        let value_bytes_max = (network.window_bytes * 20).min(200_000);
        let world = World::new(random, nodes, calm, trace);
        let setting = Setting { nodes, secret, mutant };
        let mut sim = Sim {
            setting,
            world,
            network,
            nodes: (0..nodes).map(|_| None).collect(),
            alive: vec![false; nodes],
            clients: 0,
            value_bytes_max,
            touched: Vec::new(),
        };
        (0..nodes).for_each(|node| sim.start(node));
        sim
    }

    /// The whole of a seed: what was seen, or what was wrong.
    fn run(&mut self) -> Result<Figures, String> {
        for _ in 0..EVENTS {
            self.event();
            let pause_ms = match self.world.random.below(20) {
                0 => self.world.random.below(3000),
                1..4 => self.world.random.below(300),
                _ => self.world.random.below(12),
            };
            self.pass(self.world.now_ms + pause_ms as u64);
            self.outcome()?;
        }
        self.recover();
        let end_ms = self.world.now_ms + HEAL_MS;
        while self.world.now_ms < end_ms && !self.is_done() {
            self.pass(self.world.now_ms + 100);
            self.outcome()?;
        }
        self.pass(self.world.now_ms + REST_MS);
        self.look_at_rest();
        self.outcome()?;
        Ok(self.world.figures)
    }

    fn outcome(&mut self) -> Result<(), String> {
        self.world.failure.take().map_or(Ok(()), Err)
    }

    fn start(&mut self, index: usize) {
        let count = 1 + self.world.random.below(3);
        let clients = (0..count).map(|number| Client::new(self.clients + number)).collect();
        self.clients += count;
        self.nodes[index] = Some(Node::new(index, &self.setting, clients, &mut self.world));
        self.alive[index] = true;
    }

    /// One thing that happens from outside.
    fn event(&mut self) {
        self.world.figures.events += 1;
        if !self.world.calm && self.world.random.below(15) == 0 {
            self.recover();
        }
        let index = self.world.random.below(self.setting.nodes);
        let faults = if self.world.calm { 0 } else { 30 };
        match self.world.random.below(70 + faults) {
            0..60 => self.ask_some(index),
            60..70 => self.ask_all(index),
            70..76 => self.cut(),
            76..82 => self.hold(index),
            82..86 => self.pause(index),
            86..91 => self.stop_or_start(index),
            91..94 => self.step_clock(index),
            94..97 => self.lose_client(index),
            _ => self.stranger(index),
        }
    }

    fn op(&mut self) -> Op {
        let random = &mut self.world.random;
        let key = random.below(4) as u8;
        let bytes = match random.below(16) {
            0 => random.below(self.value_bytes_max),
            1 | 2 => random.below(8_000.min(self.value_bytes_max)),
            _ => random.below(40),
        };
        match random.below(20) {
            0..5 => Op::Set { key, bytes, long: bytes > 4096 && random.below(4) > 0 },
            5..10 => Op::Get { key, copied: random.below(4) == 0 },
            10..14 => Op::Inc { key },
            14 | 15 => Op::Append { key, bytes: bytes.min(50_000) },
            16 | 17 => Op::Slow { ms: random.below(400) as u64 },
            18 => Op::Exec { commands: random.below(4) },
            _ => Op::Watch { key },
        }
    }

    /// A node's client asks for some things in a row.
    fn ask_some(&mut self, index: usize) {
        let nodes = self.setting.nodes;
        let target = self.world.random.below(nodes);
        let count = match self.world.random.below(2000) {
            0..20 => 300,
            20 if self.value_bytes_max > 100_000 => return self.flood(index, target),
            _ => 1 + self.world.random.below(8),
        };
        for _ in 0..count {
            // Most of a pipeline goes to one node, so that more than one answer is on its way.
            let target = if self.world.random.below(4) == 0 { self.world.random.below(nodes) } else { target };
            let op = self.op();
            self.ask(index, target, op);
        }
    }

    /// So much in a row that a node is full.
    fn flood(&mut self, index: usize, target: usize) {
        (0..120).for_each(|number| self.ask(index, target, Op::Append { key: 0, bytes: 50_000 + number }));
    }

    /// A client asks every other node for its part of something.
    fn ask_all(&mut self, index: usize) {
        let op = self.op();
        (0..self.setting.nodes).for_each(|target| self.ask(index, target, op));
    }

    fn ask(&mut self, index: usize, target: usize, op: Op) {
        let Some(node) = &mut self.nodes[index] else { return };
        let client = self.world.random.below(node.clients.len());
        if target != index {
            node.clients[client].waiting.push_back((target, op));
            node.kicked = true;
        }
    }

    fn cut(&mut self) {
        let count = self.network.connections.len();
        if count > 0 {
            let connection = self.world.random.below(count);
            let sides = self.network.connections[connection].sides.each_ref().map(|side| side.node);
            self.world.say(|| format!("a connection between nodes {sides:?} is cut"));
            self.network.cut(self.world.now_ms, connection, &mut self.world.random);
        }
    }

    /// Two nodes do not hear each other, or one does not hear the other; or they do again.
    fn hold(&mut self, index: usize) {
        let nodes = self.setting.nodes;
        let held = self.world.random.below(2) == 0;
        let both = self.world.random.below(2) == 0;
        let alone = self.world.random.below(4) == 0;
        let other = self.world.random.below(nodes);
        for other in 0..nodes {
            if !held && self.world.random.below(2) == 0 {
                self.network.hold(index, other, false);
                self.network.hold(other, index, false);
            }
        }
        if held {
            let others = if alone { 0..nodes } else { other..other + 1 };
            for other in others {
                self.network.hold(index, other, true);
                if both {
                    self.network.hold(other, index, true);
                }
            }
        }
        self.world.say(|| format!("node {index}: held {held}, both ways {both}, from all {alone}, other {other}"));
    }

    fn pause(&mut self, index: usize) {
        if let Some(node) = &mut self.nodes[index] {
            node.paused = !node.paused;
            node.kicked = true;
            self.world.say(|| format!("node {index} paused: {}", node.paused));
        }
    }

    fn stop_or_start(&mut self, index: usize) {
        if !self.alive[index] {
            return self.start(index);
        }
        let power = self.world.random.below(3) == 0;
        self.world.say(|| format!("node {index} ends, by its power: {power}"));
        if power {
            self.network.lose_node(index);
        } else {
            for connection in 0..self.network.connections.len() {
                if let Some(place) = self.network.connections[connection].side_of(index) {
                    let reset = self.world.random.below(2) == 0;
                    self.network.close(self.world.now_ms, connection, place, reset, &mut self.world.random);
                }
            }
        }
        self.network.dials.retain(|dial| dial.from != index);
        self.world.orphan(index);
        self.nodes[index] = None;
        self.alive[index] = false;
        // Most are back at once, as after a crash that a supervisor sees.
        if self.world.random.below(2) == 0 {
            self.start(index);
        }
    }

    /// A clock goes forward: what a machine that slept sees, or one that was stopped with its clock going on.
    fn step_clock(&mut self, index: usize) {
        if let Some(node) = &mut self.nodes[index] {
            let step_ms = 1 + self.world.random.below(5000) as u64;
            node.ahead_ms += step_ms;
            self.world.say(|| format!("node {index}: the clock goes {step_ms} ms forward"));
        }
    }

    /// A client goes; another comes in its place. What it asked comes back all the same, and goes nowhere.
    fn lose_client(&mut self, index: usize) {
        let Some(node) = &mut self.nodes[index] else { return };
        let client = self.world.random.below(node.clients.len());
        let gone = &mut node.clients[client];
        gone.waiting.clear();
        gone.waiting.extend((0..self.setting.nodes).filter(|&target| target != index).map(|to| (to, Op::Forget)));
        node.clients.push(Client::new(self.clients));
        self.clients += 1;
        node.kicked = true;
    }

    /// Somebody who is no node connects, and says something or nothing.
    fn stranger(&mut self, index: usize) {
        if !self.alive[index] {
            return;
        }
        self.world.say(|| format!("a stranger connects to node {index}"));
        let connection = self.network.connect(STRANGER, index);
        let random = &mut self.world.random;
        let bytes: Vec<u8> = match random.below(3) {
            0 => Vec::new(),
            1 => (0..1 + random.below(200)).map(|_| random.next() as u8).collect(),
            _ => b"GET / HTTP/1.1\r\nHost: node\r\n\r\n".to_vec(),
        };
        if !bytes.is_empty() {
            self.network.send(self.world.now_ms, connection, 0, bytes, &mut self.world.random);
        }
        if self.world.random.below(2) == 0 {
            self.network.close(self.world.now_ms, connection, 0, false, &mut self.world.random);
        }
    }

    /// Time goes on; what is due happens.
    fn pass(&mut self, until_ms: u64) {
        let mut turns = 0;
        while self.world.failure.is_none() {
            let due = self.nodes.iter().flatten().filter_map(|node| node.due_ms(&self.network)).min();
            let Some(due_ms) = due.filter(|&due_ms| due_ms <= until_ms) else { break };
            turns = if due_ms > self.world.now_ms { 0 } else { turns + 1 };
            self.world.now_ms = self.world.now_ms.max(due_ms);
            if turns > TURNS_MAX {
                return self.world.fail(|| "the loops go round without an end".into());
            }
            let first = self.world.random.below(self.nodes.len());
            for place in 0..self.nodes.len() {
                let index = (first + place) % self.nodes.len();
                let Some(node) = &mut self.nodes[index] else { continue };
                if node.due_ms(&self.network).is_some_and(|due_ms| due_ms <= self.world.now_ms) {
                    node.turn(&mut self.network, &mut self.world, &self.alive, &mut self.touched);
                }
            }
            self.network.sweep();
            for index in self.touched.drain(..).filter(|&index| index != STRANGER) {
                if let Some(node) = &mut self.nodes[index] {
                    node.kicked |= node.may_write(&self.network);
                }
            }
        }
        self.world.now_ms = self.world.now_ms.max(until_ms);
    }

    /// What is held, paused or down is so no longer; what it did is left to be noticed.
    fn recover(&mut self) {
        self.world.say(|| "everything recovers".into());
        for index in 0..self.nodes.len() {
            for other in 0..self.nodes.len() {
                self.network.hold(index, other, false);
            }
            if !self.alive[index] {
                self.start(index);
            }
            if let Some(node) = &mut self.nodes[index] {
                node.paused = false;
                node.kicked = true;
            }
        }
    }

    fn is_done(&self) -> bool {
        let mut nodes = self.nodes.iter().flatten();
        nodes.all(|node| node.is_done() && node.cluster.is_formed()) && self.world.unanswered().is_empty()
    }

    /// What must hold when the faults are long gone.
    fn look_at_rest(&mut self) {
        let unanswered = self.world.unanswered();
        if !unanswered.is_empty() {
            self.world.fail(|| format!("never answered: {unanswered:?}"));
        }
        for node in self.nodes.iter().flatten() {
            node.look_at_rest(&mut self.world);
        }
        // Of each pair exactly one connection is left, and strangers have none.
        for a in 0..self.nodes.len() {
            for b in a + 1..self.nodes.len() {
                let between = self.network.connections.iter().filter(|connection| connection.is_between(a, b));
                let links = between.clone().count();
                let open = between.filter(|connection| {
                    connection.sides.iter().all(|side| side.state == SideState::Open && side.link.is_some())
                });
                let open = open.count();
                if (links, open) != (1, 1) {
                    let all = self.network.connections.iter().filter(|connection| connection.is_between(a, b));
                    let all: Vec<_> =
                        all.map(|all| all.sides.each_ref().map(|side| (side.node, side.link, side.state))).collect();
                    self.world.fail(|| format!("nodes {a} and {b} have {links} connections, {open} open: {all:?}"));
                }
            }
        }
        let strangers = self.network.connections.iter().filter(|connection| connection.side_of(STRANGER).is_some());
        let left = strangers.count();
        if left > 0 {
            self.world.fail(|| format!("{left} strangers are still connected"));
        }
    }
}

/// Runs one seed; when it goes wrong, once more to tell what happened last.
fn run(seed: u64, mutant: Mutant, trace: Trace) -> Result<Figures, String> {
    let mut sim = Sim::new(seed, mutant, trace);
    sim.run().map_err(|what| format!("{}seed {seed}: {what}", sim.world.last_events()))
}

/// Runs seeds on all processors; gives the sum of what was seen, or the lowest seed of those that went wrong.
fn run_all(seeds: RangeInclusive<u64>, mutant: Mutant) -> Result<Figures, (u64, String)> {
    let next = AtomicU64::new(*seeds.start());
    let seen = Mutex::new((Figures::default(), None::<(u64, String)>));
    let threads = thread::available_parallelism().map_or(1, |count| count.get());
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > *seeds.end() {
                        return;
                    }
                    let outcome = run(seed, mutant, Trace::Off);
                    let mut seen = seen.lock().expect("no thread panics with it");
                    match outcome {
                        Ok(figures) => seen.0.add(&figures),
                        Err(what) => {
                            // The others finish the seeds that they have begun.
                            next.store(seeds.end() + 1, Ordering::Relaxed);
                            if seen.1.as_ref().is_none_or(|(other, _)| seed < *other) {
                                seen.1 = Some((seed, what));
                            }
                        }
                    }
                }
            });
        }
    });
    let (figures, wrong) = seen.into_inner().expect("the threads have ended");
    wrong.map_or(Ok(figures), Err)
}

#[test]
fn every_promise_holds_under_faults() {
    let range = seeds(10_000);
    let single = range.start() == range.end();
    if single {
        let outcome = run(*range.start(), Mutant::None, Trace::Printed);
        return println!("{:?}", outcome.unwrap_or_else(|what| panic!("{what}")));
    }
    let start = std::time::Instant::now();
    let count = range.end() - range.start() + 1;
    match run_all(range, Mutant::None) {
        Err((seed, what)) => {
            let told = run(seed, Mutant::None, Trace::Kept).expect_err("what went wrong once");
            panic!("{told}\n({what}; MEMENTO_SEED={seed} tells all of it)");
        }
        Ok(figures) => {
            println!("{count} seeds in {:.1} s: {figures:?}", start.elapsed().as_secs_f64());
            // A simulation in which nothing happens would prove nothing.
            let Figures { answered, failed, failed_executed, refused, offered, long, downs, junk, .. } = figures;
            for (figure, least) in
                [(answered, 50), (failed, 2), (failed_executed, 1), (refused, 1), (offered, 1), (long, 1), (downs, 1)]
            {
                assert!(count < 100 || figure >= least * count / 2, "{figures:?}");
            }
            assert!(count < 100 || junk > 0);
        }
    }
}

/// Nodes that get frames in which bytes were changed close links, and go on.
#[test]
fn what_nodes_send_may_be_nonsense() {
    for seed in seeds(300) {
        let mut sim = Sim::new(seed, Mutant::None, Trace::Off);
        (sim.network.garbles, sim.world.garbled, sim.world.calm) = (true, true, false);
        for _ in 0..EVENTS {
            sim.event();
            let pause_ms = sim.world.random.below(100) as u64;
            sim.pass(sim.world.now_ms + pause_ms);
        }
        // Once they talk sense again, they are linked again.
        sim.network.garbles = false;
        sim.recover();
        sim.pass(sim.world.now_ms + HEAL_MS);
        let formed = sim.nodes.iter().flatten().all(|node| node.cluster.is_formed());
        // Not so all requests: one that was changed into another is not answered.
        assert!(formed, "seed {seed}");
    }
}

/// The mistakes that the simulation is there to find are found, and soon.
fn finds(mutant: Mutant) {
    let (seed, what) = run_all(1..=500, mutant).expect_err("a wrong cluster is found out");
    println!("{mutant:?} is found by seed {seed}: {what}");
}

#[test]
fn replies_matched_by_position_are_found() {
    finds(Mutant::RepliesByPosition);
}

#[test]
fn a_retry_after_a_broken_link_is_found() {
    finds(Mutant::Retries);
}

#[test]
fn pending_entries_that_stay_after_a_reply_are_found() {
    finds(Mutant::KeepsAnswered);
}

#[test]
fn pending_entries_that_stay_after_a_link_are_found() {
    finds(Mutant::KeepsFailed);
}
