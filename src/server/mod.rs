//! The server: the only place where sockets, connections, commands and the store meet.
//!
//! One pass of the loop is a turn: wait, read the clock, serve who is ready as far as the turn's share goes, go on
//! with who was cut short, see to deadlines, take back memory.

mod arrivals;
mod bus;
mod client;
mod clients;
mod engine;
mod forward;
mod forwards;
mod hands;
mod links;
mod loading;
mod manager;
mod merge;
mod messages;
mod newcomers;
mod offers;
mod refused;
mod saving;
mod snapshots;
mod start;
mod topology;

use crate::command::{Node, Session, State};
use crate::config::Config;
use crate::conn::{Batch, Desk};
use crate::limits::{
    ACCEPT_RETRY_MS, ACCEPTS_PER_TURN_MAX, LINGER_MS, NOISE_MS, NOISE_MS_MAX, SHUTDOWN_MS, TURN_BYTES_MAX, TURN_NS_MAX,
};
use crate::log::{self, Level};
use crate::reactor::{Event, Reactor, Token};
use crate::sys::clock;
use crate::sys::epoll::Interest;
use crate::sys::signal::Signals;
use crate::sys::socket::{Listener, Socket, TcpOptions};
use crate::timer::earlier_ms;
use arrivals::Arrival;
use bus::{Bus, Link};
use client::{Client, End};
use engine::{Ahead, Engine};
use manager::Manager;
use refused::Addresses;
use snapshots::Snapshots;
use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

/// Everything with a descriptor.
enum Source {
    Listener(Listener),
    BusListener(Listener),
    Signals(Signals),
    Client(Client),
    Refused(Socket),
    Link(Link),
    /// The process that writes or reads a snapshot.
    Child(Socket),
}

impl Reactor<Source> {
    /// The client of this name, if it is still there.
    #[inline(never)]
    fn client(&mut self, token: Token) -> Option<&mut Client> {
        match self.get_mut(token) {
            Some(Source::Client(client)) => Some(client),
            _ => None,
        }
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Source::Listener(listener) | Source::BusListener(listener) => listener.as_fd(),
            Source::Signals(signals) => signals.as_fd(),
            Source::Client(client) => client.as_fd(),
            Source::Refused(socket) | Source::Child(socket) => socket.as_fd(),
            Source::Link(link) => link.as_fd(),
        }
    }
}

/// See the module. In this order: what is asked for in many places lies near the front, where instructions that reach it
/// are short.
#[repr(C)]
pub struct Server {
    /// The other nodes, where this one is in a cluster.
    bus: Option<Box<Bus>>,
    /// What the walks of all clients hold.
    walk_bytes: usize,
    stage: Stage,
    engine: Engine,
    reactor: Reactor<Source>,
    desk: Desk,
    /// The one receive buffer, lent to whoever is read from.
    receive: Box<[u8]>,
    /// How far it is filled by what has arrived.
    received: usize,
    /// What was received and is not executed yet, in the order in which it came, and the requests in it.
    arrivals: Vec<Arrival>,
    batch: Batch<Ahead>,
    /// Clients that can go on without another byte: they had their share of an earlier turn.
    resumes: VecDeque<Token>,
    /// Clients with a request that waits for the end of a pause.
    paused: VecDeque<Token>,
    /// Clients with a message that waits until fewer are on their way.
    publishers: VecDeque<Token>,
    /// Of what clients hold, so much does not count: a long word that one of them is sending.
    spared_bytes: usize,
    listeners: Vec<Token>,
    /// Whether a lack of descriptors was told of since the last connection was accepted.
    accept_failure_told: bool,
    /// For the lines that tell of it.
    accept_noise: Noise,
    /// Whether protected mode keeps out who is not local.
    guarded: bool,
    /// What outsiders can have written to the log.
    noise: Noise,
    /// When a client may be due that has not sent a request yet.
    newcomers_due_ms: Option<u64>,
    /// Connections that were told that they are too many, and have not ended yet.
    refused: usize,
    /// Who started the server, and wants to hear of it.
    manager: Manager,
    /// How many clients each address has, where that is bounded.
    addresses: Addresses,
    next_client_id: u64,
    /// When the last turn ended: what the next wait counts from.
    turn_end_ms: u64,
    /// The snapshot that is made or loaded.
    snapshots: Snapshots,
    /// Why the server ends, where that is no good end.
    failure: Option<io::Error>,
}

/// Log lines that anybody can cause: one a second, and how many were left out.
#[derive(Clone)]
struct Noise {
    /// Until then nothing more is written.
    quiet_until_ms: u64,
    /// How long that was from the last line on.
    wait_ms: u64,
    /// How long it may become.
    wait_ms_max: u64,
    left_out: u64,
}

impl Default for Noise {
    fn default() -> Noise {
        Noise { quiet_until_ms: 0, wait_ms: 0, wait_ms_max: NOISE_MS, left_out: 0 }
    }
}

impl Noise {
    /// Of what goes on for days, such as a node that is refused whenever it tries: lines that become rarer and rarer.
    fn fading() -> Noise {
        Noise { wait_ms_max: NOISE_MS_MAX, ..Noise::default() }
    }

    /// May there be a line now? If not, it is counted.
    fn begins(&mut self, now_ms: u64) -> bool {
        if now_ms < self.quiet_until_ms {
            self.left_out += 1;
            return false;
        }
        let goes_on = now_ms < self.quiet_until_ms + self.wait_ms;
        self.wait_ms = if goes_on { (self.wait_ms * 2).min(self.wait_ms_max) } else { NOISE_MS };
        self.quiet_until_ms = now_ms + self.wait_ms;
        true
    }

    fn write(&mut self, now_ms: u64, text: std::fmt::Arguments<'_>) {
        if !self.begins(now_ms) {
            return;
        }
        match std::mem::take(&mut self.left_out) {
            0 => log::write(Level::Warn, text),
            count => log::write(Level::Warn, format_args!("{text}; {count} such lines were left out before")),
        }
    }
}

/// How far the server's life is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Serving,
    /// Nobody is accepted, and nothing read; what is owed is sent until this time of the boot clock.
    Ending(u64),
    /// Nobody is served any more, and the last snapshot is made.
    Saving,
    Ended,
}

impl Server {
    /// Serves until SIGTERM, SIGINT or SHUTDOWN.
    ///
    /// # Errors
    /// A sentence, where a snapshot cannot be loaded, or the last one not made; those of `epoll_wait(2)`, of which none is to
    /// be expected.
    pub fn run(&mut self) -> io::Result<()> {
        while self.stage != Stage::Ended {
            self.turn()?;
        }
        log::write(Level::Info, format_args!("ended"));
        self.failure.take().map_or(Ok(()), Err)
    }

    fn turn(&mut self) -> io::Result<()> {
        let until_ms = self.wake_ms();
        self.reactor.wait(self.turn_end_ms, until_ms)?;
        let (began_ms, began_ns) = (clock::boot_ms(), clock::monotonic_ns());
        self.engine.set_time(began_ms);
        self.engine.begin_events();
        self.engine.state.measures.ended_ns = began_ns;
        // What has arrived and finds no time left is parsed once more: nobody is cut short for those who are not there.
        let clients_ns = TURN_NS_MAX - self.snapshots.pressed_ns;
        self.engine.until_ns = began_ns + if self.resumes.is_empty() { clients_ns } else { clients_ns / 2 };
        self.serve_ready();
        self.engine.until_ns = began_ns + clients_ns;
        self.serve_resumed();
        self.serve_deadlines();
        self.serve_newcomers();
        self.serve_paused();
        self.serve_messages();
        self.serve_bus();
        // Before keys go for what clients hold.
        self.evict_clients();
        if !self.engine.state.settings.snapshot.is_empty() {
            self.serve_snapshots();
        }
        self.engine.take_back();
        self.apply_settings();
        self.see_to_the_end();
        self.manager.tell_life(began_ms);
        let turn_ns = clock::monotonic_ns() - began_ns;
        self.turn_end_ms = began_ms + turn_ns / 1_000_000;
        self.note_turn(turn_ns);
        let message_bytes = self.engine.state.pubsub.queue_bytes();
        let node = &mut self.engine.state.node;
        node.client_bytes = node.clients * size_of::<Source>() + self.walk_bytes;
        let bus_bytes = self.bus.as_ref().map_or(0, |bus| bus.cluster.bytes_used() + bus.forwards.publishes_bytes);
        node.buffer_bytes = self.receive.len() + self.desk.pool.bytes() + bus_bytes + message_bytes;
        self.engine.end_turn(turn_ns);
        Ok(())
    }

    /// After how long an idle client is closed.
    fn idle_timeout_ms(&self) -> Option<u64> {
        let timeout_s = self.engine.state.settings.timeout_s;
        (timeout_s > 0).then_some(timeout_s * 1000)
    }

    /// Passes on settings that a client has changed. The others are read when they are needed.
    fn apply_settings(&mut self) {
        if std::mem::take(&mut self.engine.state.settings.changed) {
            self.apply_changes();
        }
    }

    #[cfg_attr(memento_small, inline(never))]
    fn apply_changes(&mut self) {
        let options = TcpOptions { keepalive_s: self.engine.state.settings.keepalive_s };
        for &token in &self.listeners {
            if let Some(Source::Listener(listener)) = self.reactor.get_mut(token) {
                listener.set_options(options);
            }
        }
        self.newcomers_due_ms = Some(self.engine.state.now.ms);
        // Each client's own deadline then finds out when it is really due.
        let deadline_ms = Some(self.engine.state.now.ms + 1);
        for token in self.reactor.tokens() {
            if let Some(client) = self.reactor.client(token)
                && !client.has_deadline()
            {
                self.reactor.set_deadline(token, deadline_ms);
            }
        }
    }

    /// Until when the loop may sleep; the sources' own deadlines aside.
    #[cfg_attr(memento_small, optimize(speed))]
    fn wake_ms(&mut self) -> Option<u64> {
        let paused_go_on = self.engine.state.pause.is_none() && !self.paused.is_empty();
        let messages_go_on =
            !self.engine.state.pubsub.is_idle() || !self.publishers.is_empty() && self.publishers_go_on();
        if !self.resumes.is_empty()
            || paused_go_on
            || messages_go_on
            || self.engine.reclaiming
            || self.clients_hold_too_much()
        {
            return Some(0);
        }
        let ending_ms = match self.stage {
            Stage::Serving | Stage::Saving => None,
            Stage::Ending(until_ms) => Some(until_ms),
            Stage::Ended => Some(0),
        };
        let pause_ms = self.engine.state.pause.map(|pause| pause.until_ms);
        let bus_ms = match &self.bus {
            Some(_) if self.engine.state.pubsub.has_to_tell() => Some(0),
            bus => bus.as_ref().and_then(|bus| bus.wake_ms()),
        };
        let work_ms = self.engine.state.store.next_work_ms();
        let has_snapshots = !self.engine.state.settings.snapshot.is_empty();
        let snapshots_ms = if has_snapshots { self.snapshots_wake_ms() } else { None };
        let due = [ending_ms, pause_ms, self.newcomers_due_ms, bus_ms, work_ms, self.manager.wake_ms(), snapshots_ms];
        due.into_iter().fold(None, earlier_ms)
    }

    /// Half of a turn goes to who is ready (all of its time, where nobody was cut short before); what is left of the reports
    /// waits for the next turn. What comes from several clients is parsed before any of it is executed, so that what one of
    /// them has to wait for, a line of memory that is far away, comes while the others are seen to.
    fn serve_ready(&mut self) {
        let mut bytes = 0;
        while bytes < TURN_BYTES_MAX / 2 && self.engine.has_time() {
            let Some(event) = self.reactor.next_event() else { break };
            let is_client = matches!(self.reactor.get_mut(event.token), Some(Source::Client(_)));
            if !(is_client && self.may_receive()) {
                // What is not a client's may close clients, or change them.
                bytes += self.execute_arrivals();
            }
            bytes += self.serve(event);
        }
        self.execute_arrivals();
    }

    /// The other half goes to those that were cut short before, each once.
    fn serve_resumed(&mut self) {
        let mut bytes = 0;
        for _ in 0..self.resumes.len() {
            if let Some(token) = self.resumes.pop_front() {
                bytes += self.resume(token);
            }
            // Looked at behind the first one: whatever those that were ready have cost, somebody here goes on.
            if bytes >= TURN_BYTES_MAX / 2 || !self.engine.has_time() {
                return;
            }
        }
    }

    /// Serves one report; gives the bytes that were moved.
    fn serve(&mut self, event: Event) -> usize {
        match self.reactor.get_mut(event.token) {
            Some(Source::Client(_)) => self.serve_client(event),
            Some(Source::Refused(_)) => self.serve_refused(event.token),
            Some(Source::Link(_)) => self.serve_link(event),
            Some(Source::Child(_)) => {
                self.serve_child(event);
                0
            }
            Some(Source::BusListener(_)) => {
                self.accept_links(event.token);
                0
            }
            Some(Source::Listener(_)) => {
                self.accept(event.token);
                0
            }
            Some(Source::Signals(_)) => {
                self.read_signals(event.token);
                0
            }
            None => 0,
        }
    }

    fn serve_deadlines(&mut self) {
        while let Some(token) = self.reactor.expired(self.engine.state.now.ms) {
            match self.reactor.get_mut(token) {
                Some(Source::Client(_)) => self.client_deadline(token),
                Some(Source::Listener(_) | Source::BusListener(_)) => self.watch(token, Interest::READ),
                Some(Source::Refused(_)) => self.forget_refused(token),
                Some(Source::Link(_)) => self.link_deadline(token),
                _ => {}
            }
        }
    }

    /// Lets clients go on when their pause is over.
    fn serve_paused(&mut self) {
        if self.engine.state.pause.is_some_and(|pause| pause.until_ms <= self.engine.state.now.ms) {
            self.engine.state.pause = None;
        }
        while self.engine.state.pause.is_none()
            && let Some(token) = self.paused.pop_front()
        {
            self.engine.begin_share();
            self.end_pause(token);
            self.engine.end_share();
            if !self.engine.has_time() {
                return;
            }
        }
    }

    /// Accepts who waits, but no more than a turn's share; the level-triggered listener brings back the others.
    fn accept(&mut self, token: Token) {
        for _ in 0..ACCEPTS_PER_TURN_MAX {
            let Some(Source::Listener(listener)) = self.reactor.get_mut(token) else { return };
            match listener.accept() {
                Ok(socket) => self.welcome(socket),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if is_exhaustion(&error) => return self.pause_accepting(token, &error),
                // The connection was lost before it was taken (accept(2) lists the ways); the next one may be fine.
                Err(error) => log::write(Level::Debug, format_args!("a connection was lost in the queue: {error}")),
            }
        }
    }

    /// The listener stays readable while nobody can be accepted: it is not watched for a while, or the loop would
    /// spin.
    fn pause_accepting(&mut self, token: Token, error: &io::Error) {
        self.engine.state.stats.accept_pauses += 1;
        if !self.accept_failure_told {
            self.accept_failure_told = true;
            // Who comes and goes makes it begin again and again.
            let (now_ms, clients) = (self.engine.state.now.ms, self.engine.state.node.clients);
            let text = format_args!("cannot accept with {clients} clients, will try again: {error}");
            self.accept_noise.write(now_ms, text);
        }
        self.watch(token, Interest::NONE);
        self.reactor.set_deadline(token, Some(self.engine.state.now.ms + ACCEPT_RETRY_MS));
    }

    #[cfg_attr(memento_small, inline(never))]
    fn welcome(&mut self, socket: Socket) {
        self.accept_failure_told = false;
        let State { stats, node, now, access, settings, snapshots, .. } = &mut self.engine.state;
        stats.total_connections_received += 1;
        if node.clients >= settings.clients_max {
            stats.rejected_connections += 1;
            return self.refuse(socket, "max number of clients reached");
        }
        // Only where it is bounded, the kernel is asked; a Unix socket has no address.
        let is_bounded = settings.clients_per_address_max > 0;
        let address = if is_bounded { socket.peer().map(|peer| peer.ip().to_canonical()) } else { None };
        if let Some(address) = address
            && !self.addresses.add(address, settings.clients_per_address_max)
        {
            stats.rejected_by_address += 1;
            return self.refuse(socket, "max number of clients of one address reached");
        }
        let denied = self.guarded && !socket.is_local();
        let mut session = Session::new(self.next_client_id, now.ms, access.password.is_none(), denied);
        session.settle_guard(snapshots.closed.is_some());
        self.next_client_id += 1;
        let client = Client::new(socket, address, session, now.ms);
        match self.reactor.insert(Source::Client(client), Interest::READ) {
            Ok(token) => {
                node.clients += 1;
                log::write(Level::Debug, format_args!("a client came, {} are here", node.clients));
                self.set_client_deadline(token);
                self.expect_request();
            }
            Err(error) => {
                self.leave_address(address);
                let now_ms = self.engine.state.now.ms;
                self.accept_noise.write(now_ms, format_args!("a client cannot be watched: {error}"));
            }
        }
    }

    /// A client of this address has gone.
    fn leave_address(&mut self, address: Option<IpAddr>) {
        if let Some(address) = address {
            self.addresses.remove(address);
        }
    }

    /// Changes what a source is watched for. A change that the kernel has no memory for is a source that would hang:
    /// a client is closed, a listener tried again later.
    fn watch(&mut self, token: Token, interest: Interest) {
        let Err(error) = self.reactor.set_interest(token, interest) else { return };
        match self.reactor.get_mut(token) {
            Some(Source::Client(_)) => self.close(token, End::Error(error)),
            Some(Source::Link(_)) => self.break_link(token, &error),
            _ => self.reactor.set_deadline(token, Some(self.engine.state.now.ms + ACCEPT_RETRY_MS)),
        }
    }

    #[cfg_attr(memento_small, inline(never))]
    fn read_signals(&mut self, token: Token) {
        // Signals that came together, as from a supervisor that sends two, count as one.
        let mut last = None;
        while let Some(Source::Signals(signals)) = self.reactor.get_mut(token)
            && let Ok(Some(name)) = signals.next()
        {
            last = Some(name);
        }
        let Some(name) = last else { return };
        if self.stage == Stage::Serving {
            self.begin_end(name);
        } else {
            log::write(Level::Warn, format_args!("{name} again, ending at once"));
            self.give_up_last_snapshot();
            self.stage = Stage::Ended;
        }
    }

    /// Stops accepting and reading; what was received is executed, what is owed is sent.
    fn begin_end(&mut self, why: &str) {
        let clients = self.engine.state.node.clients;
        log::write(Level::Info, format_args!("{why}, ending; {clients} clients are sent what they are owed"));
        self.stage = Stage::Ending(self.engine.state.now.ms + SHUTDOWN_MS);
        self.manager.tell("STOPPING=1");
        // Who waits for the end of a pause is owed an answer as well.
        self.engine.state.pause = None;
        for listener in std::mem::take(&mut self.listeners) {
            // To close it is not enough where a service manager has it as well: it would go on to be reported.
            self.watch(listener, Interest::NONE);
            drop(self.reactor.remove(listener));
        }
        for token in self.reactor.tokens() {
            if let Some(client) = self.reactor.client(token) {
                client.conn.end();
                self.settle(token);
            }
        }
    }

    fn see_to_the_end(&mut self) {
        if self.engine.shutdown && self.stage == Stage::Serving {
            self.begin_end("SHUTDOWN");
        }
        if let Stage::Ending(until_ms) = self.stage {
            // Who waited for messages alone may go.
            if self.engine.state.pubsub.is_idle() {
                self.reactor.tokens().into_iter().for_each(|token| self.settle(token));
            }
            let clients = self.engine.state.node.clients;
            if clients > 0 && self.engine.state.now.ms >= until_ms {
                log::write(Level::Warn, format_args!("{clients} clients did not take what they are owed"));
            }
            if clients == 0 || self.engine.state.now.ms >= until_ms {
                self.stage = if self.wants_last_snapshot() { Stage::Saving } else { Stage::Ended };
            }
        }
        if self.stage == Stage::Saving {
            self.see_to_the_last_snapshot();
        }
    }
}

/// Whether an error of `accept4(2)` says that descriptors or memory have run out.
fn is_exhaustion(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests;
