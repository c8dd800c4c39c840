//! Requests whose keys other nodes have: where they go.

use super::bus::Bus;
use super::engine::{Engine, Serving};
use super::forwards::{Awaited, Forwards, Origin, Outcome, Ticket};
use super::merge;
use crate::cluster::{Cluster, NodeId, Purpose, RequestHead};
use crate::command::{self, CommandSpec, Merge, NO_MEMORY, Route};
use crate::conn::Flow;
use crate::limits::{MESSAGE_TOLD_BYTES, MESSAGES_TOLD_BYTES_MAX, RECEIVED_WHOLE_BYTES_MAX, TURN_REPLY_BYTES};
use crate::proto::{Args, Encoding, Output, OwnedArgs, Reply, Word};
use crate::store::SlotId;
use crate::sys::reserve;

/// What a request is to its client now: how the conversation goes on, or the error that it is answered with at once.
type Decision = Result<Flow, String>;

impl Serving<'_> {
    /// Sends a request to those whose keys it names. The reply is written to `output`, or comes later to `awaited`.
    pub(super) fn forward(
        &mut self,
        row: &'static CommandSpec,
        route: Route,
        args: Args<'_>,
        output: &mut Output,
        awaited: Awaited,
    ) -> Flow {
        // Without a cluster nothing is ever routed elsewhere.
        let Some(bus) = self.bus.take() else { return Flow::Continue };
        let all = || (0..args.len()).collect::<Vec<_>>();
        let mut words = args.words();
        let sent = match route {
            _ if self.lacks_memory(route, args) => {
                if let Route::Exec(_) = route {
                    // The transaction is over, as wherever EXEC is refused.
                    command::forget(self.session, &mut self.engine.state.watches, &mut self.engine.state.store);
                }
                Err(NO_MEMORY.into())
            }
            Route::Slot(slot) => {
                let node = bus.map().owner(slot);
                self.send_whole(bus, row, Purpose::Plain, &mut || words.next(), Ticket::Whole(node, awaited))
            }
            Route::Watch(slot) => {
                let node = bus.map().owner(slot);
                self.send_whole(
                    bus,
                    row,
                    Purpose::Watch,
                    &mut || words.next(),
                    Ticket::Watch(node, awaited, self.session.id),
                )
            }
            Route::Exec(slot) => self.send_transaction(bus, row, bus.map().owner(slot), awaited),
            Route::Cluster(merge) => {
                let mut groups: Vec<_> = bus.map().ids().map(|node| (node, all())).collect();
                if merge == Merge::Reached {
                    let own = bus.map().own();
                    groups.retain(|&(node, _)| node == own || bus.cluster.is_up(node));
                }
                self.send_parts(bus, row, Asked { merge, groups, keys: vec![] }, args, output, awaited)
            }
            Route::Split(merge) => {
                let (groups, keys) = group_by_owner(bus, row, args);
                self.send_parts(bus, row, Asked { merge, groups, keys }, args, output, awaited)
            }
        };
        self.bus = Some(bus);
        self.forget_elsewhere();
        sent.unwrap_or_else(|error| {
            if let (Route::Watch(_), Some(transaction)) = (route, &mut self.session.transaction) {
                // Nobody watches the keys, so nobody could tell that they have changed.
                transaction.lose_watch();
            }
            self.engine.state.stats.count_error(&error);
            if !awaited.muted {
                Reply::new(output, awaited.encoding, awaited.face).error(&error);
            }
            Flow::Continue
        })
    }

    /// Whether there is no memory to send a long request on: what is copied of it on its way, and what is noted of each word.
    fn lacks_memory(&self, route: Route, args: Args<'_>) -> bool {
        const SURE_BYTES: usize = 128 * 1024;
        const WORD_BYTES: usize = 32;
        let bytes = match (route, &self.session.transaction) {
            (Route::Exec(_), Some(transaction)) => transaction.bytes_used(),
            _ => args.from(0).map(|word| word.len().min(RECEIVED_WHOLE_BYTES_MAX) + WORD_BYTES).sum(),
        };
        bytes > SURE_BYTES && !reserve::has_room(3 * bytes)
    }

    /// Sends a request to the one node that has its keys.
    fn send_whole<'w>(
        &mut self,
        bus: &mut Bus,
        row: &CommandSpec,
        purpose: Purpose,
        next_word: &mut dyn FnMut() -> Option<Word<'w>>,
        ticket: Ticket,
    ) -> Decision {
        let (Ticket::Whole(node, awaited) | Ticket::Watch(node, awaited, _)) = ticket else { unreachable!("no part") };
        let head = RequestHead { purpose, client: self.session.id, flags: row.flags.bits() };
        let Ok(sent) = bus.cluster.request(node, head, next_word, ticket) else {
            if let (Ticket::Watch(..), Some(transaction)) = (ticket, &mut self.session.transaction) {
                transaction.lose_watch();
            }
            return Err(self.not_linked(bus, node));
        };
        self.engine.state.stats.cluster_forwarded += 1;
        Ok(bus.forwards.flow_after(node, awaited.client, sent))
    }

    /// Sends all that a client has queued, as one request; here its transaction is over.
    fn send_transaction(&mut self, bus: &mut Bus, row: &CommandSpec, node: NodeId, awaited: Awaited) -> Decision {
        let Some(transaction) = self.session.transaction.take() else { return Ok(Flow::Continue) };
        let mut counts = Vec::new();
        let mut words = transaction.words(&mut counts);
        self.send_whole(bus, row, Purpose::Exec, &mut || words.next(), Ticket::Whole(node, awaited))
    }

    /// Sends each owner its part, and executes our own at once.
    fn send_parts(
        &mut self,
        bus: &mut Bus,
        row: &'static CommandSpec,
        asked: Asked,
        args: Args<'_>,
        output: &mut Output,
        awaited: Awaited,
    ) -> Decision {
        let own = bus.map().own();
        // Before anything is done anywhere: who cannot be asked makes the whole an error.
        if let Some(&(node, _)) = asked.groups.iter().find(|&&(node, _)| node != own && !bus.cluster.is_up(node)) {
            return Err(self.not_linked(bus, node));
        }
        let Asked { merge, groups, keys } = asked;
        let split = bus.forwards.begin(awaited, merge, (groups.len(), &|part| groups[part].0), keys);
        if merge == Merge::Reached {
            bus.forwards.weigh(split, told_bytes(args), &mut self.engine.state.pubsub);
        }
        let head = RequestHead { purpose: Purpose::Plain, client: self.session.id, flags: row.flags.bits() };
        // Walks take many turns, and what the client asks for next must not be done before they are.
        let mut flow = if merge == Merge::List { Flow::Wait } else { Flow::Later(0) };
        let mut done = None;
        for (part, (node, places)) in groups.iter().enumerate().filter(|(_, (node, _))| *node != own) {
            let mut words = places.iter().map(|&place| args.word(place));
            match bus.cluster.request(*node, head, &mut || words.next(), Ticket::Part { split, part }) {
                Ok(sent) => {
                    self.engine.state.stats.cluster_forwarded += 1;
                    flow = both(flow, bus.forwards.flow_after(*node, awaited.client, sent));
                }
                // It is linked, but has a million requests to answer.
                Err(_) => done = bus.forwards.end_part(split, part, Outcome::Failed),
            }
        }
        if let Some((part, (_, places))) = groups.iter().enumerate().find(|(_, (node, _))| *node == own) {
            let here = OwnedArgs::of(places.iter().map(|&place| args.word(place)));
            let origin = Origin::Part { split, part };
            let outcome = match here {
                Some(here) => self.execute_part(bus, row, here.args(), origin),
                None => Some(Outcome::no_memory()),
            };
            done = outcome.and_then(|outcome| bus.forwards.end_part(split, part, outcome));
        }
        let Some(split) = done else { return Ok(flow) };
        self.engine.state.pubsub.told_bytes -= split.told_bytes;
        if let Some(error) = merge::answer(&split, &bus.forwards, output) {
            self.engine.state.stats.count_error(&error);
        }
        Ok(Flow::Continue)
    }

    /// Executes our own part of a split; `None` where it takes many turns.
    fn execute_part(
        &mut self,
        bus: &mut Bus,
        row: &'static CommandSpec,
        args: Args<'_>,
        origin: Origin,
    ) -> Option<Outcome> {
        let mut output = std::mem::take(&mut bus.forwards.scratch);
        let flow = self.execute(Some(row), args, None, &mut output, Encoding::Bus);
        let outcome = match flow.walk() {
            Some(walk) => {
                bus.forwards.begin_errand(walk, origin, (bus.map().own(), self.session.id));
                None
            }
            None => Some(Outcome::of(&mut output)),
        };
        output.clear(TURN_REPLY_BYTES);
        bus.forwards.scratch = output;
        outcome
    }

    /// Lets the node that has watched keys for this client forget them, where it is to.
    pub(super) fn forget_elsewhere(&mut self) {
        if let Some(slot) = self.session.forget_elsewhere.take()
            && let Some(bus) = self.bus.as_deref_mut()
        {
            bus.tell_to_forget(slot, self.session.id);
        }
    }

    fn not_linked(&mut self, bus: &Bus, node: NodeId) -> String {
        self.engine.state.stats.cluster_down_replies += 1;
        format!("CLUSTERDOWN {} is not linked", bus.forwards.name(node))
    }
}

/// What counts of a message until all nodes have answered.
fn told_bytes(args: Args<'_>) -> usize {
    MESSAGE_TOLD_BYTES + args.from(0).map(<[u8]>::len).sum::<usize>()
}

/// So many requests to other nodes are made at a time of what transactions publish.
const TOLD_AT_ONCE: usize = 256;

/// Tells the other nodes what was published within transactions, as far as they are there, one message behind the other;
/// nobody waits for what they answer.
pub(super) fn tell_of_transactions(engine: &mut Engine, cluster: &mut Cluster<Ticket>, forwards: &mut Forwards) {
    let pubsub = &mut engine.state.pubsub;
    let mut messages = pubsub.take_for_others().into_iter();
    let head = RequestHead { purpose: Purpose::Plain, client: 0, flags: 0 };
    let mut nodes: Vec<NodeId> = Vec::new();
    for node in cluster.map().ids() {
        if node != cluster.map().own() && cluster.is_up(node) {
            nodes.push(node);
        }
    }
    // Who is not there is not told.
    if nodes.is_empty() {
        return;
    }
    let mut sent = 0;
    while pubsub.told_bytes < MESSAGES_TOLD_BYTES_MAX
        && sent < TOLD_AT_ONCE
        && let Some(message) = messages.next()
    {
        sent += nodes.len();
        engine.state.stats.cluster_forwarded += nodes.len() as u64;
        let split = forwards.begin(Awaited::nobody(), Merge::Reached, (nodes.len(), &|part| nodes[part]), vec![]);
        forwards.weigh(split, told_bytes(message.args()), pubsub);
        for (part, &node) in nodes.iter().enumerate() {
            let mut words = message.args().words();
            match cluster.request(node, head, &mut || words.next(), Ticket::Part { split, part }) {
                // What travels in pieces must not be overtaken by what was published behind it.
                Ok(sent) if sent.long => forwards.weigh(split, MESSAGES_TOLD_BYTES_MAX, pubsub),
                Ok(_) => {}
                Err(_) => {
                    engine.state.stats.messages_refused += 1;
                    if let Some(split) = forwards.end_part(split, part, Outcome::Failed) {
                        pubsub.told_bytes -= split.told_bytes;
                    }
                }
            }
        }
    }
    messages.for_each(|message| pubsub.keep_for_others(message));
}

/// Who is asked for which words of a request.
struct Asked {
    merge: Merge,
    groups: Vec<(NodeId, Vec<usize>)>,
    /// Of each key, which group it is in.
    keys: Vec<u16>,
}

/// The words of a request, sorted by the owner of their key: for each the name, and the keys with what belongs to them.
fn group_by_owner(bus: &Bus, row: &CommandSpec, args: Args<'_>) -> (Vec<(NodeId, Vec<usize>)>, Vec<u16>) {
    let mut groups: Vec<(NodeId, Vec<usize>)> = Vec::new();
    // Where each node's group is: a request may have a million keys.
    let mut places = vec![None; bus.map().len()];
    let mut keys = Vec::new();
    for place in row.key_places(args.len()) {
        let node = bus.map().owner(SlotId::of_key(&args[place]));
        let group = *places[node.index()].get_or_insert_with(|| {
            groups.push((node, vec![0]));
            groups.len() - 1
        });
        groups[group].1.extend(place..place + row.keys.step as usize);
        keys.push(group as u16);
    }
    (groups, keys)
}

/// How a client goes on after both.
fn both(one: Flow, other: Flow) -> Flow {
    match (one, other) {
        (Flow::Later(a), Flow::Later(b)) => Flow::Later(a.saturating_add(b)),
        (Flow::Later(a) | Flow::Cork(a), Flow::Later(b) | Flow::Cork(b)) => Flow::Cork(a.saturating_add(b)),
        _ => Flow::Wait,
    }
}
