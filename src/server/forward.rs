//! Requests whose keys other nodes have: where they go, who waits for the answer, and how answers of several nodes
//! become one.

use super::bus::Bus;
use super::client::Client;
use super::engine::Serving;
use super::merge;
use super::{Noise, Token};
use crate::cluster::{Caller, Map, NodeId, Offer, Purpose, RequestHead, Sent};
use crate::command::{self, CommandSpec, Deferred, Flags, Merge, Route, Session, Walk};
use crate::conn::{Flow, Place};
use crate::limits::{FORWARDED_REPLY_BYTES_MAX, OUTPUT_HARD_BYTES_MAX, TURN_REPLY_BYTES};
use crate::proto::{Args, Encoding, Face, Output, OwnedArgs, Reply, Typed, Word};
use crate::store::SlotId;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

/// A client's reply that comes later, and how it is to be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Awaited {
    pub(super) client: Token,
    pub(super) place: Place,
    pub(super) encoding: Encoding,
    pub(super) face: Face,
    /// Whether the client does not want it (CLIENT REPLY).
    pub(super) muted: bool,
    /// Whether the request may have changed something, if no answer tells.
    pub(super) writes: bool,
}

impl Awaited {
    /// The reply at `place` of a client that has asked for this command.
    pub(super) fn new(client: Token, place: Place, encoding: Encoding, row: &CommandSpec, muted: bool) -> Awaited {
        let writes = row.flags.has(Flags::WRITE) || row.flags.has(Flags::ENDS_MULTI);
        Awaited { client, place, encoding, face: row.face, muted, writes }
    }
}

/// What comes back with an answer: for what it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ticket {
    /// It is a client's reply, which this node makes.
    Whole(NodeId, Awaited),
    /// It is the reply to WATCH of the client with this number: unless it is well, EXEC must do nothing.
    Watch(NodeId, Awaited, u64),
    /// It is a part of one.
    Part { split: usize, part: usize },
}

/// What has come of a part.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Nothing yet.
    Waiting,
    /// A typed reply.
    Whole { bytes: Vec<u8>, longs: Vec<Rc<Vec<u8>>> },
    /// The link broke before an answer came.
    Failed,
}

impl Outcome {
    /// What was written to `output`, or that it was too much.
    pub(super) fn of(output: &mut Output) -> Outcome {
        refuse_overflow(output);
        Outcome::Whole { bytes: output.bytes().to_vec(), longs: output.longs().cloned().collect() }
    }

    pub(super) fn of_typed(typed: Typed<'_>) -> Outcome {
        Outcome::Whole { bytes: typed.bytes().to_vec(), longs: typed.longs().to_vec() }
    }
}

/// An answer of which bytes were dropped, since there were too many, becomes an error.
pub(super) fn refuse_overflow(output: &mut Output) {
    if output.overflowed() {
        output.clear(0);
        let megabytes = OUTPUT_HARD_BYTES_MAX >> 20;
        let text = format!("ERR the answer has more than {megabytes} MB, ask for fewer keys at a time");
        Reply::new(output, Encoding::Bus, Face::Typed).error(&text);
    }
}

/// A part of a request that was split by owner.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) node: NodeId,
    pub(super) outcome: Outcome,
}

/// A request that several nodes answer.
#[derive(Debug)]
pub(super) struct Split {
    pub(super) awaited: Awaited,
    pub(super) merge: Merge,
    pub(super) parts: Vec<Part>,
    /// Of each key, in the order of the request, the part that it is in; where that matters.
    pub(super) keys: Vec<u16>,
    waiting: usize,
    /// Bytes of long answers that are on their way to it, or have come.
    expected_bytes: u64,
}

/// A walk that another node, or a split of ours, has asked for.
pub(super) struct Errand {
    pub(super) walk: Walk,
    pub(super) output: Output,
    pub(super) origin: Origin,
}

/// Who has asked.
pub(super) enum Origin {
    Node(Caller),
    Part { split: usize, part: usize },
}

/// What is on its way to other nodes and back, and what they have asked for.
pub(super) struct Forwards {
    map: Map,
    splits: Vec<Option<Split>>,
    free: Vec<usize>,
    errands: VecDeque<Errand>,
    /// What clients of other nodes watch here: a session for each.
    watchers: HashMap<(NodeId, u64), Session>,
    watcher_id: u64,
    /// Clients that wait until the link to a node has room.
    pub(super) corked: Vec<(NodeId, Token)>,
    /// Where the parts of this node are answered to.
    scratch: Output,
    /// What messages to clients call each node: its name, and where its clients go.
    pub(super) names: Vec<String>,
    /// What the log calls each node: its name, and where its bus is.
    bus_names: Vec<String>,
    /// As which other nodes' requests are executed.
    pub(super) session: Session,
    /// Clients that got a reply in this turn which is not sent yet.
    pub(super) touched: Vec<Token>,
    /// Answers too large to be passed on, or that nobody waits for any more.
    pub(super) declined: Vec<Offer>,
    /// Clients that went while a node was asked to watch for them.
    pub(super) orphans: Vec<(NodeId, u64)>,
    /// Nodes that have been linked, and have said how they are called.
    pub(super) renamed: Vec<NodeId>,
    pub(super) noises: Noises,
}

/// What the bus can make others write to the log. Each node has its own share, so that no node's trouble hides that of
/// another; all that is not in the list of nodes has one together.
pub(super) struct Noises {
    pub(super) junk: Noise,
    /// For each node, and behind them for strangers: that it is refused, and how its list differs.
    of_nodes: Vec<[Noise; 2]>,
}

impl Noises {
    pub(super) fn new(nodes: usize) -> Noises {
        Noises { junk: Noise::fading(), of_nodes: vec![[Noise::fading(), Noise::fading()]; nodes + 1] }
    }

    fn of(&mut self, node: Option<NodeId>) -> &mut [Noise; 2] {
        let strangers = self.of_nodes.len() - 1;
        &mut self.of_nodes[node.map_or(strangers, NodeId::index)]
    }

    /// For lines that say that a node is refused, or refuses us.
    pub(super) fn refusals(&mut self, node: Option<NodeId>) -> &mut Noise {
        &mut self.of(node)[0]
    }

    /// For lines that say how a node's list differs.
    pub(super) fn differences(&mut self, node: Option<NodeId>) -> &mut Noise {
        &mut self.of(node)[1]
    }
}

impl Forwards {
    /// Nothing on its way, in a cluster of these nodes.
    pub(super) fn new(map: &Map) -> Forwards {
        Forwards {
            map: map.clone(),
            splits: Vec::new(),
            free: Vec::new(),
            errands: VecDeque::new(),
            watchers: HashMap::new(),
            watcher_id: u64::MAX,
            corked: Vec::new(),
            scratch: Output::default(),
            names: vec![String::new(); map.len()],
            bus_names: vec![String::new(); map.len()],
            session: Session::new(0, 0, true, false),
            touched: Vec::new(),
            declined: Vec::new(),
            orphans: Vec::new(),
            renamed: map.ids().collect(),
            noises: Noises::new(map.len()),
        }
    }

    /// Notes a split whose parts are all waited for.
    fn begin(&mut self, awaited: Awaited, merge: Merge, nodes: impl Iterator<Item = NodeId>, keys: Vec<u16>) -> usize {
        let parts: Vec<Part> = nodes.map(|node| Part { node, outcome: Outcome::Waiting }).collect();
        let split = Split { awaited, merge, waiting: parts.len(), parts, keys, expected_bytes: 0 };
        let index = self.free.pop().unwrap_or(self.splits.len());
        if index == self.splits.len() {
            self.splits.push(None);
        }
        self.splits[index] = Some(split);
        index
    }

    /// So many more bytes are offered for a split: who waits for it, unless they make it too large.
    pub(super) fn expect_more(&mut self, split: usize, bytes: u64) -> Option<Awaited> {
        let split = self.splits[split].as_mut()?;
        let fits = split.expected_bytes + bytes <= FORWARDED_REPLY_BYTES_MAX;
        split.expected_bytes += if fits { bytes } else { 0 };
        fits.then_some(split.awaited)
    }

    /// A part has come out like this; gives the split back when it was the last one.
    pub(super) fn end_part(&mut self, split: usize, part: usize, outcome: Outcome) -> Option<Split> {
        let waits = self.splits[split].as_mut().expect("a split stays until its last part has come");
        waits.parts[part].outcome = outcome;
        waits.waiting -= 1;
        if waits.waiting > 0 {
            return None;
        }
        self.free.push(split);
        self.splits[split].take()
    }

    /// What clients are told that a node is called.
    pub(super) fn name(&self, node: NodeId) -> &str {
        &self.names[node.index()]
    }

    /// Who owns a slot.
    pub(super) fn owner(&self, slot: SlotId) -> NodeId {
        self.map.owner(slot)
    }

    /// What the log calls a node.
    pub(super) fn bus_name(&self, node: NodeId) -> &str {
        &self.bus_names[node.index()]
    }

    /// How a client goes on after its request went to `node`.
    fn flow_after(&mut self, node: NodeId, client: Token, sent: Sent) -> Flow {
        if sent.full {
            self.corked.push((node, client));
        }
        // What travels in pieces can be overtaken by what comes behind it, so that waits.
        match (sent.long, sent.full) {
            (true, _) => Flow::Wait,
            (false, true) => Flow::Cork,
            (false, false) => Flow::Later,
        }
    }

    /// Which nodes may have said a new name since this was asked last.
    pub(super) fn renamed(&mut self) -> Vec<NodeId> {
        std::mem::take(&mut self.renamed)
    }

    /// A node calls itself this.
    pub(super) fn rename(&mut self, node: NodeId, name: &str) {
        let member = self.map.member(node);
        self.names[node.index()] = format!("node {name} ({})", member.client_address());
        self.bus_names[node.index()] = format!("node {name} ({})", member.address);
    }

    /// A client has got a reply, which is sent at the end of the turn.
    pub(super) fn touch(&mut self, client: &mut Client, token: Token) {
        if !client.touched {
            client.touched = true;
            self.touched.push(token);
        }
    }

    /// Begins a walk that another node, or a split of ours, has asked for.
    pub(super) fn begin_errand(&mut self, walk: Walk, origin: Origin) {
        self.errands.push_back(Errand { walk, output: Output::default(), origin });
    }

    /// The walk that goes on next.
    pub(super) fn next_errand(&mut self) -> Option<Errand> {
        self.errands.pop_front()
    }

    /// A walk that is not done: the others go on first.
    pub(super) fn go_on_errand(&mut self, errand: Errand) {
        self.errands.push_back(errand);
    }

    /// Whether there are walks to go on with.
    pub(super) fn has_errands(&self) -> bool {
        !self.errands.is_empty()
    }

    /// The session of a client of another node: a new one, if it watches nothing.
    pub(super) fn take_watcher(&mut self, node: NodeId, client: u64) -> Session {
        self.watchers.remove(&(node, client)).unwrap_or_else(|| {
            // Our own clients are counted up from 1; these get their numbers from the other end.
            self.watcher_id -= 1;
            Session::new(self.watcher_id, 0, true, false)
        })
    }

    /// Keeps the session of a client of another node, if it watches something.
    pub(super) fn keep_watcher(&mut self, node: NodeId, client: u64, session: Session) {
        if session.transaction.is_some() {
            self.watchers.insert((node, client), session);
        }
    }

    /// A node has gone, and all its clients with it.
    pub(super) fn forget_node(&mut self, node: NodeId) -> Vec<Session> {
        let gone: Vec<_> = self.watchers.keys().filter(|(of, _)| *of == node).copied().collect();
        gone.iter().filter_map(|key| self.watchers.remove(key)).collect()
    }
}

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
        let sent = match route {
            Route::Slot(slot) => {
                let node = bus.map().owner(slot);
                self.send_whole(bus, row, Purpose::Plain, args.words(), Ticket::Whole(node, awaited))
            }
            Route::Watch(slot) => {
                let node = bus.map().owner(slot);
                self.send_whole(bus, row, Purpose::Watch, args.words(), Ticket::Watch(node, awaited, self.session.id))
            }
            Route::Exec(slot) => self.send_transaction(bus, row, bus.map().owner(slot), awaited),
            Route::Cluster(merge) => {
                let groups = bus.map().ids().map(|node| (node, all())).collect();
                self.send_parts(bus, row, Asked { merge, groups, keys: vec![] }, args, output, awaited)
            }
            Route::Split(merge) => {
                let (groups, keys) = group_by_owner(bus, row, args);
                self.send_parts(bus, row, Asked { merge, groups, keys }, args, output, awaited)
            }
        };
        self.bus = Some(bus);
        sent.unwrap_or_else(|error| {
            if let (Route::Watch(_), Some(transaction)) = (route, &mut self.session.transaction) {
                // Nobody watches the keys, so nobody could tell that they have changed.
                transaction.lose_watch();
            }
            self.engine.stats.count_error(&error);
            if !awaited.muted {
                Reply::new(output, awaited.encoding, awaited.face).error(&error);
            }
            Flow::Continue
        })
    }

    /// Sends a request to the one node that has its keys.
    fn send_whole<'w>(
        &mut self,
        bus: &mut Bus,
        row: &CommandSpec,
        purpose: Purpose,
        words: impl Iterator<Item = Word<'w>>,
        ticket: Ticket,
    ) -> Decision {
        let (Ticket::Whole(node, awaited) | Ticket::Watch(node, awaited, _)) = ticket else { unreachable!("no part") };
        let head = RequestHead { purpose, client: self.session.id, flags: row.flags.bits() };
        let Ok(sent) = bus.cluster.request(node, head, words, ticket) else {
            return Err(self.not_linked(bus, node));
        };
        self.engine.stats.cluster_forwarded += 1;
        Ok(bus.forwards.flow_after(node, awaited.client, sent))
    }

    /// Sends all that a client has queued, as one request; here its transaction is over.
    fn send_transaction(&mut self, bus: &mut Bus, row: &CommandSpec, node: NodeId, awaited: Awaited) -> Decision {
        let Some(transaction) = self.session.transaction.take() else { return Ok(Flow::Continue) };
        let mut counts = Vec::new();
        self.send_whole(bus, row, Purpose::Exec, transaction.words(&mut counts), Ticket::Whole(node, awaited))
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
        let split = bus.forwards.begin(awaited, merge, groups.iter().map(|&(node, _)| node), keys);
        let head = RequestHead { purpose: Purpose::Plain, client: self.session.id, flags: row.flags.bits() };
        // Walks take many turns, and what the client asks for next must not be done before they are.
        let mut flow = if merge == Merge::List { Flow::Wait } else { Flow::Later };
        for (part, (node, places)) in groups.iter().enumerate().filter(|(_, (node, _))| *node != own) {
            let words = places.iter().map(|&place| args.word(place));
            // It was up a moment ago, and nothing has happened since.
            if let Ok(sent) = bus.cluster.request(*node, head, words, Ticket::Part { split, part }) {
                self.engine.stats.cluster_forwarded += 1;
                flow = worse(flow, bus.forwards.flow_after(*node, awaited.client, sent));
            }
        }
        let Some((part, (_, places))) = groups.iter().enumerate().find(|(_, (node, _))| *node == own) else {
            return Ok(flow);
        };
        let here = OwnedArgs::of(places.iter().map(|&place| args.word(place)));
        let Some(outcome) = self.execute_part(bus, row, here.args(), Origin::Part { split, part }) else {
            return Ok(flow);
        };
        match bus.forwards.end_part(split, part, outcome) {
            None => Ok(flow),
            Some(split) => {
                if let Some(error) = merge::answer(&split, &bus.forwards, output) {
                    self.engine.stats.count_error(&error);
                }
                Ok(Flow::Continue)
            }
        }
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
        let flow = self.execute(Some(row), args, &mut output, Encoding::Bus);
        let outcome = match flow {
            command::Flow::Wait(Deferred::Walk(walk)) => {
                bus.forwards.errands.push_back(Errand { walk, output: Output::default(), origin });
                None
            }
            _ => Some(Outcome::of(&mut output)),
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
        self.engine.stats.cluster_down_replies += 1;
        format!("CLUSTERDOWN {} is not linked", bus.forwards.name(node))
    }
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

/// Of two ways to go on, the one that waits for more.
fn worse(one: Flow, other: Flow) -> Flow {
    let rank = |flow| match flow {
        Flow::Wait => 2,
        Flow::Cork => 1,
        _ => 0,
    };
    if rank(one) >= rank(other) { one } else { other }
}
