//! What executes requests: the store and what commands may know of the server, without its sockets.

use super::bus::Bus;
use super::forwards::Awaited;
use super::topology::AnyCluster;
use super::{Noise, Token};
use crate::command::{
    self, Access, CommandSpec, Ctx, Deferred, Flags, Host, NO_MEMORY, NoCluster, Node, Now, Peer, Replies, Room,
    Session, Settings, State, Topology, execute, execute_queued, execute_unknown,
};
use crate::conn::{Flow, Place, Request, Service};
use crate::limits::{PACKING_NS_MAX, RECLAIM_ENTRIES_PER_TURN, SWEEP_ENTRIES_AT_ONCE, SWEEP_NS_MAX};
use crate::log::{self, Level};
use crate::proto::{Args, Encoding, Face, Form, Output, OwnedArgs, ParseError, Reply};
use crate::store::{DirectoryPart, Probe};
use crate::sys::{clock, resource};

static HOST: Host = Host { clock_ns: clock::monotonic_ns, wall_us: clock::wall_us, cpu_us: resource::cpu_us };

/// The wall clock may drift against the boot clock by so much before what is shown follows it: a time that was given
/// in wall time is then shown again as it was given.
const WALL_DRIFT_MS: i64 = 100;

/// In this order for the reason that [`super::Server`] tells.
#[repr(C)]
pub(super) struct Engine {
    /// Until when requests may be begun in this turn.
    pub(super) until_ns: u64,
    /// The row that the parser has asked for: that of the request that comes next.
    row: Option<&'static CommandSpec>,
    /// Whether a flushed store is still being taken back.
    pub(super) reclaiming: bool,
    /// Whether the memory limit is reached, and nothing may go.
    pub(super) is_full: bool,
    /// Whether a client has asked for the server's end.
    pub(super) shutdown: bool,
    /// Whether there is a shortage of memory, and whether the log was told of the last one.
    in_shortage: bool,
    shortage_told: bool,
    pub(super) state: State,
    shortage_noise: Noise,
    /// How many keys were evicted before this turn's end was last seen to.
    evicted_before: u64,
    /// When the wall clock was last compared.
    compared_ms: u64,
}

impl Engine {
    #[cfg_attr(memento_small, inline(never))]
    pub(super) fn new(node: Node, settings: Settings, access: Access, now_ms: u64) -> Engine {
        let now = Now { ms: now_ms, wall_offset_ms: clock::wall_ms() - now_ms as i64 };
        let mut state = State::new(node, settings, access, now, &HOST);
        state.store.set_policy(state.settings.memory_policy, state.settings.memory_samples);
        state.apply_events();
        // For when there is none: where it is missing now already, the first turn tells.
        state.store.refill();
        Engine {
            state,
            reclaiming: false,
            evicted_before: 0,
            is_full: false,
            shutdown: false,
            in_shortage: false,
            shortage_told: false,
            shortage_noise: Noise::fading(),
            until_ns: 0,
            row: None,
            compared_ms: now_ms,
        }
    }

    /// The time of a new turn.
    pub(super) fn set_time(&mut self, now_ms: u64) {
        self.state.now.ms = now_ms;
        self.state.store.pass_time(now_ms);
        self.state.measures.sample(self.state.now.ms, &self.state.stats);
        if self.state.now.ms >= self.compared_ms + WALL_DRIFT_MS as u64 {
            self.compared_ms = self.state.now.ms;
            self.follow_wall(clock::wall_ms());
        }
    }

    /// Where events of keys are wanted, those of entries that end come before those of the turn's requests.
    pub(super) fn begin_events(&mut self) {
        if self.state.pubsub.events != 0 {
            self.sweep();
        }
    }

    /// Follows the wall clock where it is off by more than it may be.
    fn follow_wall(&mut self, wall_ms: i64) {
        let offset_ms = wall_ms.saturating_sub(self.state.now.ms as i64);
        if offset_ms.abs_diff(self.state.now.wall_offset_ms) >= WALL_DRIFT_MS as u64 {
            self.state.now.wall_offset_ms = offset_ms;
        }
    }

    /// Whether requests may still be begun in this turn.
    #[inline]
    pub(super) fn has_time(&self) -> bool {
        self.state.measures.ended_ns < self.until_ns
    }

    /// Whether a request of this kind must wait.
    pub(super) fn is_paused(&self, row: &CommandSpec) -> bool {
        // A transaction is not looked into: EXEC may write.
        let writes = row.flags.has(Flags::WRITE) || row.flags.has(Flags::ENDS_MULTI);
        self.state.pause.is_some_and(|pause| pause.until_ms > self.state.now.ms && (writes || !pause.writes_only))
    }

    /// A client's share of the turn begins: what it was received with is not its first command's time.
    pub(super) fn begin_share(&mut self) {
        self.end_share();
        self.state.measures.ended_ns = clock::monotonic_ns();
    }

    /// A client's share of the turn ends: what is done with the replies is not its last command's time.
    pub(super) fn end_share(&mut self) {
        self.state.measures.settle(clock::monotonic_ns);
    }

    /// Fetches what requests will touch. The steps of one request wait for each other, those of many do not: so all take
    /// the first step before any takes the second.
    #[cfg_attr(memento_small, optimize(speed))]
    pub(super) fn fetch(&self, requests: &mut [Request<Ahead>]) {
        let store = &self.state.store;
        if store.is_deep() {
            for part in [DirectoryPart::Head, DirectoryPart::Place, DirectoryPart::Leaf] {
                each_probe(requests, |probe| store.probe_directory(probe, part));
            }
        }
        each_probe(requests, |probe| store.probe_page(probe));
        each_probe(requests, |probe| store.probe_entry(probe));
    }

    /// Takes back what expired, for a bounded time; says whether that was all.
    #[inline]
    fn sweep(&mut self) -> bool {
        let State { store, now, .. } = &mut self.state;
        if store.next_expiry_ms().is_some_and(|due_ms| due_ms <= now.ms) {
            return self.sweep_due();
        }
        // Nothing is due, as nearly always, so the clock is not asked.
        store.sweep(now.ms, SWEEP_ENTRIES_AT_ONCE);
        true
    }

    #[inline(never)]
    fn sweep_due(&mut self) -> bool {
        let until_ns = clock::monotonic_ns() + SWEEP_NS_MAX;
        loop {
            let State { store, stats, now, .. } = &mut self.state;
            let lag_ms = store.next_expiry_ms().map_or(0, |due_ms| now.ms.saturating_sub(due_ms));
            let swept = store.sweep(now.ms, SWEEP_ENTRIES_AT_ONCE);
            stats.expired_keys += swept as u64;
            let swept_all = store.next_expiry_ms().is_none_or(|due_ms| due_ms > now.ms);
            if swept > 0 {
                stats.expire_lag_worst_ms = stats.expire_lag_worst_ms.max(lag_ms);
                self.state.tell_expired();
            }
            // Where patterns take long, ends are told in later turns rather than not at all.
            if swept_all || self.state.pubsub.is_weary() || clock::monotonic_ns() >= until_ns {
                return swept_all;
            }
        }
    }

    /// Takes back a bounded amount of what expired and of what FLUSH has left, and makes room where memory is short.
    pub(super) fn take_back(&mut self) {
        // What has to wait for its end is worth more of the turn than memory that nobody uses.
        let entries = if self.sweep() { RECLAIM_ENTRIES_PER_TURN } else { RECLAIM_ENTRIES_PER_TURN / 8 };
        let State { store, stats, now, .. } = &mut self.state;
        self.reclaiming = store.reclaim(entries);
        if stats.evicted_keys > self.evicted_before {
            // Entries of other sizes come than go: the room that these leave is to be of use as fast as that.
            let until_ns = clock::monotonic_ns() + PACKING_NS_MAX;
            while self.reclaiming && clock::monotonic_ns() < until_ns {
                self.reclaiming = store.reclaim(RECLAIM_ENTRIES_PER_TURN);
            }
        }
        self.evicted_before = stats.evicted_keys;
        if store.is_short() && !self.in_shortage {
            self.in_shortage = true;
            stats.memory_shortages += 1;
            // Whoever stores and deletes makes it begin and end again and again.
            self.shortage_told = self.shortage_noise.begins(now.ms);
            if self.shortage_told {
                let text = "the system has no memory left: what needs some is refused until keys have gone";
                log::write(Level::Error, format_args!("{text}; maxmemory would have kept it from this"));
            }
        } else if self.in_shortage && (!store.is_short() || store.refill()) {
            self.in_shortage = false;
            if self.shortage_told {
                log::write(Level::Info, format_args!("the system has memory again"));
            }
        }
        let room = self.state.make_room(0);
        let State { stats, node, now, .. } = &mut self.state;
        self.reclaiming |= room == Room::Some;
        self.is_full = room == Room::None;
        match (room, node.exceeded_since_ms) {
            (Room::Enough, Some(since_ms)) => {
                stats.exceeded_ms += now.ms - since_ms;
                node.exceeded_since_ms = None;
            }
            (Room::Some | Room::None, None) => node.exceeded_since_ms = Some(now.ms),
            _ => {}
        }
        if !self.state.watches.is_empty() {
            self.state.watches.follow(&mut self.state.store);
        }
    }

    /// A turn that took so long has ended.
    pub(super) fn end_turn(&mut self, turn_ns: u64) {
        self.end_share();
        self.state.pubsub.end_turn();
        self.state.stats.turns += 1;
        self.state.stats.turn_worst_us = self.state.stats.turn_worst_us.max(turn_ns / 1000);
        self.state.measures.turns.record(turn_ns);
        let Node { client_bytes, held_bytes, buffer_bytes, .. } = self.state.node;
        let bytes = self.state.store.bytes_used() + client_bytes + held_bytes + buffer_bytes;
        self.state.measures.peak_bytes = self.state.measures.peak_bytes.max(bytes);
    }
}

/// Whether what a request has written from this byte on is sent to who wants no replies: what a subscriber is told is none,
/// as an error or a place in a transaction is.
pub(super) fn is_told(row: Option<&CommandSpec>, output: &Output, from: usize) -> bool {
    let told = matches!(output.bytes().get(from), Some(b'*' | b'>' | b's' | b'u' | b'p'));
    told && row.is_some_and(|row| row.flags.has(Flags::SUBSCRIBES))
}

/// Takes a step for each request that has a key.
#[inline]
fn each_probe(requests: &mut [Request<Ahead>], step: impl FnMut(&mut Probe)) {
    requests.iter_mut().filter_map(|request| request.ahead.probe.as_mut()).for_each(step);
}

/// A reply that comes later, and where it goes.
#[derive(Debug)]
pub(super) struct Promise {
    pub(super) place: Place,
    pub(super) deferred: Deferred,
    pub(super) encoding: Encoding,
    /// Whether the client does not want it (CLIENT REPLY).
    pub(super) muted: bool,
}

/// The engine at the service of one client.
pub(super) struct Serving<'a> {
    pub(super) engine: &'a mut Engine,
    pub(super) session: &'a mut Session,
    pub(super) peer: &'a dyn Peer,
    /// What the last request has promised.
    pub(super) promise: Option<Promise>,
    /// Whether it turned out to be a browser.
    pub(super) http: bool,
    /// The client's name in the loop; none where it is another node's.
    pub(super) client: Option<Token>,
    /// The other nodes, where there are any to be asked.
    pub(super) bus: Option<&'a mut Bus>,
}

/// What is known of a request before it is executed.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    row: Option<&'static CommandSpec>,
    /// Its first key's way through the store.
    probe: Option<Probe>,
}

impl Service for Serving<'_> {
    type Ahead = Ahead;

    #[cfg_attr(memento_small, optimize(speed))]
    fn foresee(&mut self, args: Args<'_>) -> Ahead {
        // Of a line, the parser has asked for the row already.
        let row = self.engine.row.take().or_else(|| command::lookup(args.name()));
        let key = row.and_then(|row| row.keys.first(args.len())).map(|place| &args[place]);
        Ahead { row, probe: key.map(|key| self.engine.state.store.probe(key)) }
    }

    fn fetch(&mut self, requests: &mut [Request<Ahead>]) {
        self.engine.fetch(requests);
    }

    #[cfg_attr(memento_small, optimize(speed))]
    fn rest_of(&mut self, name: &[u8]) -> usize {
        self.engine.row = command::lookup(name);
        self.engine.row.map_or(0, |row| row.rest.into())
    }

    fn has_time(&self) -> bool {
        // Amid a run of brief requests, of which a batch has only so many, the clock was not asked.
        self.engine.has_time() || self.engine.state.measures.is_amid_run()
    }

    fn end_batch(&mut self) {
        self.engine.begin_share();
    }

    fn trusts(&self) -> bool {
        // Who is kept out by protected mode may send no more than who has not said the password.
        self.session.authenticated && !(self.session.denied && self.engine.state.access.password.is_none())
    }

    fn reject(&mut self, error: ParseError, output: &mut Output) {
        let form = if error == ParseError::LineTooLong { Form::Line } else { Form::Array };
        Reply::new(output, self.session.encoding_of(form), Face::Typed).error(&error.text());
    }

    #[cfg_attr(memento_small, optimize(speed))]
    fn serve(&mut self, args: Args<'_>, form: Form, ahead: &Ahead, output: &mut Output, place: Place) -> Flow {
        let row = ahead.row;
        if row.is_none() && form == Form::Line && command::is_http(args.name()) {
            self.http = true;
            return Flow::Close;
        }
        let encoding = self.session.encoding_of(form);
        if self.session.replies != Replies::On {
            return self.serve_muted(row, args, encoding, ahead, output, place);
        }
        match self.execute_or_pause(row, args, ahead, output, encoding) {
            command::Flow::Continue => Flow::Continue,
            flow => self.follow(flow, (row, args), output, encoding, (place, false)),
        }
    }
}

impl<'a> Serving<'a> {
    /// The engine at the service of a client of ours.
    pub(super) fn of_client(
        engine: &'a mut Engine,
        session: &'a mut Session,
        peer: &'a dyn Peer,
        client: Token,
        bus: Option<&'a mut Bus>,
    ) -> Serving<'a> {
        engine.state.pubsub.asker = client.to_bits();
        Serving { engine, session, peer, promise: None, http: false, client: Some(client), bus }
    }

    /// The engine at the service of another node's client.
    pub(super) fn of_node(engine: &'a mut Engine, session: &'a mut Session, peer: &'a dyn Peer) -> Serving<'a> {
        Serving { engine, session, peer, promise: None, http: false, client: None, bus: None }
    }

    /// As [`Serving::serve`], for a client that may not want the reply (CLIENT REPLY).
    #[inline(never)]
    fn serve_muted(
        &mut self,
        row: Option<&'static CommandSpec>,
        args: Args<'_>,
        encoding: Encoding,
        ahead: &Ahead,
        output: &mut Output,
        place: Place,
    ) -> Flow {
        let (before, mark, before_bytes) = (self.session.replies, output.mark(), output.copied_bytes());
        if before == Replies::SkipNext {
            self.session.replies = Replies::Skip;
        }
        let flow = self.execute_or_pause(row, args, ahead, output, encoding);
        let skipped = self.session.replies == Replies::Skip;
        let muted = skipped || before == Replies::Off && self.session.replies == Replies::Off;
        if skipped {
            self.session.replies = Replies::On;
        }
        if muted && !is_told(row, output, before_bytes) {
            output.truncate(mark);
        }
        self.follow(flow, (row, args), output, encoding, (place, muted))
    }

    /// Executes one request, or says that it must wait.
    #[inline(always)]
    fn execute_or_pause(
        &mut self,
        row: Option<&'static CommandSpec>,
        args: Args<'_>,
        ahead: &Ahead,
        output: &mut Output,
        encoding: Encoding,
    ) -> command::Flow {
        let flow = match row.filter(|row| self.engine.is_paused(row)) {
            Some(row) => self.pause(row, args, &mut Reply::new(output, encoding, row.face)),
            None => self.execute(row, args, ahead.probe.as_ref(), output, encoding),
        };
        self.forget_elsewhere();
        flow
    }

    /// What the connection does after a command.
    #[inline(never)]
    fn follow(
        &mut self,
        flow: command::Flow,
        (row, args): (Option<&'static CommandSpec>, Args<'_>),
        output: &mut Output,
        encoding: Encoding,
        (place, muted): (Place, bool),
    ) -> Flow {
        match flow {
            command::Flow::Continue | command::Flow::Unanswered => Flow::Continue,
            command::Flow::Close => Flow::Close,
            command::Flow::Wait(deferred) => {
                self.promise = Some(Promise { place, deferred: *deferred, encoding, muted });
                Flow::Wait
            }
            command::Flow::Away(route) => match (row, self.client) {
                (Some(row), Some(client)) => {
                    self.forward(row, route, args, output, Awaited::new(client, place, encoding, row, muted))
                }
                // What comes from another node is never sent on to a third.
                _ => Flow::Continue,
            },
            command::Flow::Shutdown => {
                self.engine.shutdown = true;
                Flow::Close
            }
        }
    }

    /// Executes one request, a row's or an unknown one.
    #[inline]
    #[cfg_attr(memento_small, optimize(speed))]
    pub(super) fn execute(
        &mut self,
        row: Option<&'static CommandSpec>,
        args: Args<'_>,
        probe: Option<&Probe>,
        output: &mut Output,
        encoding: Encoding,
    ) -> command::Flow {
        let mut ctx = self.ctx(probe);
        match row {
            Some(row) => execute(row, &mut ctx, args, &mut Reply::new(output, encoding, row.face)),
            None => {
                execute_unknown(&mut ctx, args, &mut Reply::new(output, encoding, Face::Typed));
                command::Flow::Continue
            }
        }
    }

    /// Keeps a request until clients go on.
    #[cfg_attr(memento_small, inline(never))]
    fn pause(&mut self, row: &'static CommandSpec, args: Args<'_>, reply: &mut Reply<'_>) -> command::Flow {
        let Some(kept) = OwnedArgs::new(args) else {
            self.engine.state.stats.count_error(NO_MEMORY);
            reply.error(NO_MEMORY);
            return command::Flow::Continue;
        };
        command::Flow::Wait(Box::new(Deferred::Paused(row, kept)))
    }

    /// Executes what a client of another node has queued.
    pub(super) fn execute_queued(&mut self, args: Args<'_>, output: &mut Output) {
        execute_queued(&mut self.ctx(None), args, &mut Reply::new(output, Encoding::Bus, Face::Typed));
    }

    #[inline]
    fn ctx<'c>(&'c mut self, probe: Option<&'c Probe>) -> Ctx<'c> {
        let topology: &dyn Topology = match (&self.bus, self.engine.state.slots) {
            (Some(bus), _) => &bus.cluster,
            (None, Some(_)) => &AnyCluster,
            (None, None) => &NoCluster,
        };
        Ctx { state: &mut self.engine.state, session: self.session, peer: self.peer, topology, probe }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Expiry;

    /// Small boxes boot in 1970 and jump when the network tells them the time.
    #[test]
    fn a_wall_clock_that_jumps_by_years_ends_and_keeps_no_key() {
        const YEAR_MS: i64 = 365 * 86_400_000;
        let node = crate::server::start::node(0, 5_000);
        let mut engine = Engine::new(node, Settings::default(), Access::default(), 5_000);
        let start_ms = engine.state.now.to_wall_ms(5_000);
        engine.state.store.upsert(&b"short"[..], b"v", Expiry::At(6_000), 5_000);
        engine.state.store.upsert(&b"long"[..], b"v", Expiry::At(5_000 + 20 * YEAR_MS as u64), 5_000);
        for years in [30, -30, 50, -start_ms / YEAR_MS, 0] {
            let wall_ms = start_ms + years * YEAR_MS;
            engine.follow_wall(wall_ms);
            assert_eq!(engine.state.now.to_wall_ms(5_000), wall_ms, "{years} years on, the new time is shown");
            engine.take_back();
            for key in [&b"short"[..], &b"long"[..]] {
                assert!(engine.state.store.get(key, engine.state.now.ms).is_some(), "{years} years on");
            }
            assert_eq!(engine.state.store.next_expiry_ms(), Some(6_000));
        }
        engine.set_time(6_000);
        engine.take_back();
        assert!(engine.state.store.get(&b"short"[..], 6_000).is_none() && engine.state.store.len() == 1);
    }

    #[test]
    fn the_wall_clock_is_followed_only_where_it_is_off() {
        let node = crate::server::start::node(0, 5_000);
        let mut engine = Engine::new(node, Settings::default(), Access::default(), 5_000);
        let day_ms = 86_400_000;
        let mut check = |wall_ms: i64, wanted_offset_ms: i64| {
            engine.follow_wall(wall_ms);
            assert_eq!(engine.state.now.wall_offset_ms, wanted_offset_ms, "wall clock at {wall_ms}");
        };
        check(day_ms, day_ms - 5_000);
        check(day_ms + 99, day_ms - 5_000);
        check(day_ms - 99, day_ms - 5_000);
        check(day_ms + 100, day_ms - 4_900);
        // Before 1970, and as far off as a clock can be.
        check(-3_600_000, -3_605_000);
        check(i64::MAX, i64::MAX - 5_000);
        check(i64::MIN, i64::MIN);
    }
}
