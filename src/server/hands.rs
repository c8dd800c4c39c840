//! The cluster's hands in the server: requests of other nodes are executed, answers reach the clients that wait for them,
//! news reach the log.

use super::engine::{Engine, Serving};
use super::forwards::{Awaited, Errand, Forwards, Origin, Outcome, Ticket, refuse_overflow};
use super::{Level, Source, log, merge};
use crate::cluster::{Answer, Cluster, Executed, Host, NodeId, Notice, Offer, Purpose, Request, Side};
use crate::command::{self, Flags, Peer, Reach};
use crate::conn::Desk;
use crate::limits::{FORWARDED_REPLY_BYTES_MAX, WALK_BYTES_MAX, WALK_ENTRIES_PER_TURN};
use crate::proto::{Encoding, Face, Output, OwnedArgs, Reply, Typed};
use crate::reactor::{Reactor, Token};
use std::net::{IpAddr, SocketAddr};

/// What the cluster may use of the server.
pub(super) struct Hands<'a> {
    pub(super) engine: &'a mut Engine,
    pub(super) reactor: &'a mut Reactor<Source>,
    pub(super) desk: &'a mut Desk,
    pub(super) forwards: &'a mut Forwards,
    pub(super) walk_bytes: &'a mut usize,
}

/// Where a request of another node comes from.
struct OtherNode<'a>(&'a str);

impl Peer for OtherNode<'_> {
    fn address(&self) -> String {
        self.0.to_string()
    }

    fn is_local(&self) -> bool {
        false
    }
}

impl Host<Ticket> for Hands<'_> {
    fn execute(&mut self, request: Request<'_>, output: &mut Output) -> Executed {
        self.engine.state.stats.cluster_served += 1;
        let mut executed = Executed::Now;
        match request.purpose {
            Purpose::Plain => executed = self.execute_plain(&request, output),
            Purpose::Watch => self.watch(&request, output),
            Purpose::Forget => self.forget(&request),
            Purpose::Exec => self.execute_transaction(&request, output),
        }
        refuse_overflow(output);
        executed
    }

    fn answer(&mut self, ticket: Ticket, answer: Answer<'_>) {
        match ticket {
            Ticket::Whole(node, awaited) => self.answer_whole(node, awaited, &answer),
            Ticket::Watch(node, awaited, client) => {
                self.end_watch(node, awaited.client, client, &answer);
                self.answer_whole(node, awaited, &answer);
            }
            Ticket::Part { split, part } => {
                let outcome = match answer {
                    Answer::Reply(typed) => Outcome::of_typed(typed),
                    Answer::Failed { .. } => Outcome::Failed,
                };
                self.end_part(split, part, outcome);
            }
        }
    }

    fn offer(&mut self, ticket: &Ticket, offer: Offer) -> bool {
        let awaited = match *ticket {
            Ticket::Whole(_, awaited) => Some(awaited),
            Ticket::Watch(..) => return true,
            // A split counts as one answer.
            Ticket::Part { split, .. } => self.forwards.expect_more(split, offer.bytes),
        };
        let fits = awaited.filter(|_| offer.bytes <= FORWARDED_REPLY_BYTES_MAX);
        match fits.map(|Awaited { client, place, .. }| (self.reactor.get_mut(client), place)) {
            Some((Some(Source::Client(waiting)), place)) => waiting.take_offer(place, offer),
            // It is too large, or nobody waits for it any more.
            _ => {
                self.forwards.declined.push(offer);
                false
            }
        }
    }

    fn has_time(&self) -> bool {
        self.engine.has_time()
    }

    fn notice(&mut self, notice: Notice<'_>) {
        match notice {
            Notice::Up { node } => {
                self.forwards.renamed.push(node);
                log::write(Level::Info, format_args!("linked with {}", self.forwards.bus_name(node)));
            }
            Notice::Formed => log::write(Level::Info, format_args!("Cluster successfully formed")),
            Notice::Down { node, why } => {
                self.engine.state.stats.cluster_links_broken += 1;
                let name = self.forwards.bus_name(node);
                log::write(Level::Warn, format_args!("the link to {name} is lost: {why}"));
                for mut session in self.forwards.forget_node(node) {
                    command::forget(&mut session, &mut self.engine.state.watches, &mut self.engine.state.store);
                }
                self.lose_watches(node);
            }
            Notice::Junk { peer, why } => {
                self.engine.state.stats.cluster_frames_refused += 1;
                let text =
                    format_args!("a connection from {peer} to the bus is closed, what it sent is no node's: {why}");
                self.forwards.noises.junk.write(self.engine.state.now.ms, text);
            }
            Notice::Refused { node, peer, by, reason } => {
                self.engine.state.stats.cluster_links_refused += 1;
                let (who, verb) = (self.who(node, peer), if by == Side::Us { "is refused" } else { "refuses us" });
                let noise = self.forwards.noises.refusals(node);
                noise.write(self.engine.state.now.ms, format_args!("{who} {verb}: {}", reason.text()));
            }
            Notice::Differs { node, peer, ours, theirs } => {
                let who = self.who(node, peer);
                let (ours, theirs) = (list(ours), list(theirs));
                let text = format_args!("{who} has another list of nodes: only ours has {ours}, only theirs {theirs}");
                self.forwards.noises.differences(node).write(self.engine.state.now.ms, text);
            }
            Notice::PasswordDiffers { node } => {
                let name = self.forwards.bus_name(node);
                let text =
                    format_args!("of this node and {name} only one wants a password: set it on both, or on none");
                log::write(Level::Warn, text);
            }
        }
    }
}

/// Addresses in a row, a few of many.
fn list(addresses: &[SocketAddr]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = addresses.iter().take(SHOWN).map(SocketAddr::to_string).collect();
    match addresses.len() {
        0 => "none".into(),
        count if count > SHOWN => format!("{} and {} more", shown.join(", "), count - SHOWN),
        _ => shown.join(", "),
    }
}

impl Hands<'_> {
    /// Executes a request that needs nothing but the store.
    fn execute_plain(&mut self, request: &Request<'_>, output: &mut Output) -> Executed {
        // What concerns more than the request itself has a purpose of its own.
        let row = command::lookup(request.args.name()).filter(|row| row.reach != Reach::Handled);
        let waits = self.engine.state.pubsub.is_full() || !self.forwards.publishes.is_empty();
        if waits
            && row.is_some_and(|row| row.flags.has(Flags::PUBLISHES))
            && let Some(args) = OwnedArgs::new(request.args)
        {
            self.forwards.publishes_bytes += args.bytes_used();
            self.forwards.publishes.push((request.caller, request.from, args));
            return Executed::Later;
        }
        let peer = OtherNode(&self.forwards.names[request.from.index()]);
        let mut serving = Serving::of_node(self.engine, &mut self.forwards.session, &peer);
        match serving.execute(row, request.args, None, output, Encoding::Bus).walk() {
            Some(walk) => {
                self.forwards.begin_errand(walk, Origin::Node(request.caller), (request.from, request.client));
                Executed::Later
            }
            None => Executed::Now,
        }
    }

    /// Watches keys for a client of another node.
    fn watch(&mut self, request: &Request<'_>, output: &mut Output) {
        let watch = command::lookup(b"watch");
        let (session, name) = self.forwards.watching(request.from, request.client);
        Serving::of_node(self.engine, session, &OtherNode(name)).execute(
            watch,
            request.args,
            None,
            output,
            Encoding::Bus,
        );
        if session.transaction.is_none() {
            self.forwards.take_watcher(request.from, request.client);
        }
    }

    /// Watches nothing for that client any more.
    fn forget(&mut self, request: &Request<'_>) {
        let mut session = self.forwards.take_watcher(request.from, request.client);
        command::forget(&mut session, &mut self.engine.state.watches, &mut self.engine.state.store);
    }

    /// Executes what a client of another node has queued, unless a key that it watches has changed.
    fn execute_transaction(&mut self, request: &Request<'_>, output: &mut Output) {
        let mut session = self.forwards.take_watcher(request.from, request.client);
        let peer = OtherNode(&self.forwards.names[request.from.index()]);
        Serving::of_node(self.engine, &mut session, &peer).execute_queued(request.args, output);
    }

    /// What has become of a WATCH at another node.
    fn end_watch(&mut self, node: NodeId, token: Token, client: u64, answer: &Answer<'_>) {
        let well = matches!(answer, Answer::Reply(typed) if typed.error().is_none());
        match self.reactor.get_mut(token) {
            // It may watch keys of another node by now.
            Some(Source::Client(waiting)) if !well => {
                if let Some(transaction) = &mut waiting.session.transaction
                    && transaction.watch_elsewhere().is_some_and(|slot| self.forwards.owner(slot) == node)
                {
                    transaction.lose_watch();
                }
            }
            Some(_) => {}
            // That it went was told when it went, which overtakes a long request.
            None => self.forwards.orphans.push((node, client)),
        }
    }

    /// Lets other nodes forget what they watch for clients that have gone.
    pub(super) fn forget_orphans(&mut self, cluster: &mut Cluster<Ticket>) {
        for (node, client) in self.forwards.orphans.drain(..) {
            cluster.tell(node, client, std::iter::empty());
        }
    }

    /// What a node has watched for our clients it has forgotten: their transactions do nothing.
    fn lose_watches(&mut self, node: NodeId) {
        for token in self.reactor.tokens() {
            if let Some(client) = self.reactor.client(token)
                && let Some(transaction) = &mut client.session.transaction
                && transaction.watch_elsewhere().is_some_and(|slot| self.forwards.owner(slot) == node)
            {
                transaction.lose_watch();
            }
        }
    }

    /// Who is at the other end of a link: a node, as far as one is known.
    fn who(&self, node: Option<NodeId>, peer: IpAddr) -> String {
        node.map_or_else(
            || format!("who connects from {peer} to the bus"),
            |node| self.forwards.bus_name(node).to_string(),
        )
    }

    /// Lets go the answers that are too large to be passed on, or that nobody waits for any more.
    pub(super) fn decline(&mut self, cluster: &mut Cluster<Ticket>) {
        while let Some(offer) = self.forwards.declined.pop() {
            let mut output = Output::default();
            let megabytes = offer.bytes >> 20;
            let name = self.forwards.name(offer.node);
            let text =
                format!("ERR the answer has {megabytes} MB, too much to be passed on: ask {name} itself, or for less");
            Reply::new(&mut output, Encoding::Bus, Face::Typed).error(&text);
            if let Some(ticket) = cluster.decline(offer.node, offer.id) {
                self.answer(ticket, Answer::Reply(Typed::new(output.bytes(), &[])));
            }
        }
    }

    /// The answer to a request that went to one node.
    fn answer_whole(&mut self, node: NodeId, awaited: Awaited, answer: &Answer<'_>) {
        let Awaited { client, place, encoding, face, muted, writes } = awaited;
        let Some(waiting) = self.reactor.client(client) else { return };
        let mut reply = Reply::new(&mut self.desk.output, encoding, face);
        let error = match answer {
            _ if muted => None,
            // What is checked can be passed on.
            Answer::Reply(typed) if typed.check().and_then(|()| typed.reader().pass_value(&mut reply)).is_ok() => None,
            Answer::Reply(_) => Some(merge::strange(self.forwards.name(node))),
            Answer::Failed { .. } => {
                self.engine.state.stats.cluster_outcomes_unknown += u64::from(writes);
                Some(merge::broken(self.forwards.name(node), writes))
            }
        };
        if let Some(text) = error {
            self.engine.state.stats.count_error(&text);
            reply.error(&text);
        }
        waiting.conn.fill(place, self.desk, true);
        waiting.end_offer(place);
        waiting.touch(client, &mut self.forwards.touched);
    }

    /// A part of a split has come; the last one makes the answer.
    fn end_part(&mut self, split: usize, part: usize, outcome: Outcome) {
        let Some(split) = self.forwards.end_part(split, part, outcome) else { return };
        self.engine.state.pubsub.told_bytes -= split.told_bytes;
        let Awaited { client, place, writes, .. } = split.awaited;
        if writes && split.parts.iter().any(|part| matches!(part.outcome, Outcome::Failed)) {
            self.engine.state.stats.cluster_outcomes_unknown += 1;
        }
        let Some(waiting) = self.reactor.client(client) else { return };
        if let Some(error) = merge::answer(&split, self.forwards, &mut self.desk.output) {
            self.engine.state.stats.count_error(&error);
        }
        waiting.conn.fill(place, self.desk, true);
        waiting.end_offer(place);
        waiting.touch(client, &mut self.forwards.touched);
    }

    /// Executes what other nodes have published while too many messages were on their way here, in the order in which it
    /// came, as far as there is room now.
    pub(super) fn step_publishes(&mut self, cluster: &mut Cluster<Ticket>) {
        let mut done = 0;
        while (done == 0 || self.engine.has_time())
            && !self.engine.state.pubsub.is_full()
            && let Some((caller, from, args)) = self.forwards.publishes.get(done)
        {
            let mut output = Output::default();
            let row = command::lookup(args.args().name());
            let peer = OtherNode(&self.forwards.names[from.index()]);
            let mut serving = Serving::of_node(self.engine, &mut self.forwards.session, &peer);
            serving.execute(row, args.args(), None, &mut output, Encoding::Bus);
            cluster.reply(*caller, &output);
            self.forwards.publishes_bytes -= args.bytes_used();
            done += 1;
        }
        self.forwards.publishes.drain(..done);
    }

    /// Does a piece of the walk that was asked for first.
    pub(super) fn step_errand(&mut self, cluster: &mut Cluster<Ticket>) {
        let Some(mut errand) = self.forwards.next_errand() else { return };
        let Errand { walk, output, origin, .. } = &mut *errand;
        *self.walk_bytes -= walk.bytes_used();
        let room = WALK_BYTES_MAX - *self.walk_bytes;
        if !walk.step(&self.engine.state.store, self.engine.state.now.ms, WALK_ENTRIES_PER_TURN, room, output) {
            *self.walk_bytes += walk.bytes_used();
            return self.forwards.go_on_errand(errand);
        }
        match *origin {
            Origin::Node(caller) => {
                refuse_overflow(output);
                cluster.reply(caller, output);
            }
            Origin::Part { split, part } => self.end_part(split, part, Outcome::of(output)),
        }
    }
}
