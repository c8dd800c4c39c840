//! What is on its way to other nodes and back: who waits for which answer, and what others have asked for.

use super::{Noise, Token};
use crate::blob::Blob;
use crate::buffer::append;
use crate::cluster::{Caller, Map, NodeId, Offer, Sent};
use crate::command::{CommandSpec, Flags, Merge, Session, Walk};
use crate::conn::{Flow, Place};
use crate::limits::{FORWARDED_REPLY_BYTES_MAX, OUTPUT_HARD_BYTES_MAX};
use crate::proto::{Encoding, Face, Lost, Output, OwnedArgs, Reply, Typed};
use crate::pubsub::PubSub;
use crate::store::SlotId;
use std::collections::VecDeque;
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
    /// No reply: nobody waits.
    pub(super) fn nobody() -> Awaited {
        let client = Token::from_bits(u64::MAX);
        Awaited { client, place: Place::NONE, encoding: Encoding::Bus, face: Face::Typed, muted: true, writes: false }
    }

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
    Whole { bytes: Vec<u8>, longs: Vec<Rc<Blob>> },
    /// The link broke before an answer came.
    Failed,
}

impl Outcome {
    /// What was written to `output`, or that it was too much.
    pub(super) fn of(output: &mut Output) -> Outcome {
        refuse_overflow(output);
        Outcome::copied(output.bytes(), output.longs().cloned().collect())
    }

    pub(super) fn of_typed(typed: Typed<'_>) -> Outcome {
        Outcome::copied(typed.bytes(), typed.longs().to_vec())
    }

    /// What stands for an answer that there is no memory for.
    pub(super) fn no_memory() -> Outcome {
        let mut output = Output::default();
        Reply::new(&mut output, Encoding::Bus, Face::Typed).error(NO_MEMORY_FOR_ANSWER);
        Outcome::Whole { bytes: output.bytes().to_vec(), longs: Vec::new() }
    }

    fn copied(bytes: &[u8], longs: Vec<Rc<Blob>>) -> Outcome {
        let mut copy = Vec::new();
        if append(&mut copy, bytes) { Outcome::Whole { bytes: copy, longs } } else { Outcome::no_memory() }
    }
}

/// An answer of which bytes were dropped, since there were too many or there was no memory, becomes an error.
pub(super) fn refuse_overflow(output: &mut Output) {
    let Some(lost) = output.lost() else { return };
    output.clear(0);
    let text = match lost {
        Lost::TooLarge => {
            let megabytes = OUTPUT_HARD_BYTES_MAX >> 20;
            format!("ERR the answer has more than {megabytes} MB, ask for fewer keys at a time")
        }
        Lost::NoMemory => NO_MEMORY_FOR_ANSWER.into(),
    };
    Reply::new(output, Encoding::Bus, Face::Typed).error(&text);
}

/// What is said where the system has no memory for an answer.
const NO_MEMORY_FOR_ANSWER: &str = "OOM the system has no memory left for this answer";

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
    /// So much of what is published it is, in bytes.
    pub(super) told_bytes: usize,
}

/// A walk that another node, or a split of ours, has asked for.
pub(super) struct Errand {
    pub(super) walk: Walk,
    pub(super) output: Output,
    pub(super) origin: Origin,
    /// The client for whom it is.
    pub(super) asker: (NodeId, u64),
}

/// Where its answer goes.
pub(super) enum Origin {
    Node(Caller),
    Part { split: usize, part: usize },
}

/// What is on its way to other nodes and back, and what they have asked for.
pub(super) struct Forwards {
    map: Rc<Map>,
    splits: Vec<Option<Split>>,
    free: Vec<usize>,
    errands: VecDeque<Box<Errand>>,
    /// For whom the last piece of one was done.
    last_asker: (NodeId, u64),
    /// What others publish, which waits until fewer messages are on their way.
    pub(super) publishes: Vec<(Caller, NodeId, OwnedArgs)>,
    pub(super) publishes_bytes: usize,
    /// What clients of other nodes watch here: a session for each, by node and client.
    watchers: Vec<(NodeId, u64, Box<Session>)>,
    watcher_id: u64,
    /// Clients that wait until the link to a node has room.
    pub(super) corked: Vec<(NodeId, Token)>,
    /// Where the parts of this node are answered to.
    pub(super) scratch: Output,
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
    /// For each node, and behind them for strangers: that it is refused, then how its list differs.
    of_nodes: Vec<Noise>,
}

impl Noises {
    pub(super) fn new(nodes: usize) -> Noises {
        Noises { junk: Noise::fading(), of_nodes: vec![Noise::fading(); 2 * (nodes + 1)] }
    }

    /// Where those of a node begin.
    fn place(&self, node: Option<NodeId>) -> usize {
        node.map_or(self.of_nodes.len() - 2, |node| 2 * node.index())
    }

    /// For lines that say that a node is refused, or refuses us.
    pub(super) fn refusals(&mut self, node: Option<NodeId>) -> &mut Noise {
        let place = self.place(node);
        &mut self.of_nodes[place]
    }

    /// For lines that say how a node's list differs.
    pub(super) fn differences(&mut self, node: Option<NodeId>) -> &mut Noise {
        let place = self.place(node) + 1;
        &mut self.of_nodes[place]
    }
}

impl Forwards {
    /// Nothing on its way, in a cluster of these nodes.
    #[inline(never)]
    pub(super) fn new(map: &Rc<Map>) -> Forwards {
        Forwards {
            map: Rc::clone(map),
            splits: Vec::new(),
            free: Vec::new(),
            errands: VecDeque::new(),
            last_asker: (map.own(), 0),
            publishes: Vec::new(),
            publishes_bytes: 0,
            watchers: Vec::new(),
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

    /// Notes a split of so many parts, each for a node, which are all waited for.
    pub(super) fn begin(
        &mut self,
        awaited: Awaited,
        merge: Merge,
        (count, node): (usize, &dyn Fn(usize) -> NodeId),
        keys: Vec<u16>,
    ) -> usize {
        let mut parts = Vec::new();
        for part in 0..count {
            parts.push(Part { node: node(part), outcome: Outcome::Waiting });
        }
        let split = Split { awaited, merge, waiting: parts.len(), parts, keys, expected_bytes: 0, told_bytes: 0 };
        let index = self.free.pop().unwrap_or(self.splits.len());
        if index == self.splits.len() {
            self.splits.push(None);
        }
        self.splits[index] = Some(split);
        index
    }

    /// A split, which is still waited for, is so much of what is published.
    pub(super) fn weigh(&mut self, split: usize, told_bytes: usize, pubsub: &mut PubSub) {
        if let Some(split) = &mut self.splits[split] {
            split.told_bytes += told_bytes;
            pubsub.told_bytes += told_bytes;
        }
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

    /// This node.
    pub(super) fn own(&self) -> NodeId {
        self.map.own()
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
    pub(super) fn flow_after(&mut self, node: NodeId, client: Token, sent: Sent) -> Flow {
        if sent.full {
            self.corked.push((node, client));
        }
        // What travels in pieces can be overtaken by what comes behind it, so that waits.
        let bytes = u32::try_from(sent.bytes).unwrap_or(u32::MAX);
        match (sent.long, sent.full) {
            (true, _) => Flow::Wait,
            (false, true) => Flow::Cork(bytes),
            (false, false) => Flow::Later(bytes),
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

    /// Begins a walk that a client of another node, or a split of ours, has asked for.
    pub(super) fn begin_errand(&mut self, walk: Walk, origin: Origin, asker: (NodeId, u64)) {
        self.errands.push_back(Box::new(Errand { walk, output: Output::default(), origin, asker }));
    }

    /// The walk that goes on next: of another client than the last one, if there is such, so that who asks for many at once
    /// does not hold up the others.
    pub(super) fn next_errand(&mut self) -> Option<Box<Errand>> {
        for _ in 0..self.errands.len() {
            let errand = self.errands.pop_front()?;
            if errand.asker != self.last_asker {
                self.last_asker = errand.asker;
                return Some(errand);
            }
            self.errands.push_back(errand);
        }
        self.errands.pop_front()
    }

    /// A walk that is not done: the others go on first.
    pub(super) fn go_on_errand(&mut self, errand: Box<Errand>) {
        self.errands.push_back(errand);
    }

    /// Whether there are walks to go on with.
    pub(super) fn has_errands(&self) -> bool {
        !self.errands.is_empty()
    }

    /// The session of a client of another node, which goes: a new one, if it watches nothing.
    pub(super) fn take_watcher(&mut self, node: NodeId, client: u64) -> Session {
        match self.watcher(node, client) {
            Ok(place) => *self.watchers.remove(place).2,
            Err(_) => self.new_watcher(),
        }
    }

    /// The session of a client of another node that is about to watch something, and stays; and that node's name.
    pub(super) fn watching(&mut self, node: NodeId, client: u64) -> (&mut Session, &str) {
        let place = self.watcher(node, client).unwrap_or_else(|place| {
            let session = self.new_watcher();
            self.watchers.insert(place, (node, client, Box::new(session)));
            place
        });
        (&mut self.watchers[place].2, &self.names[node.index()])
    }

    fn new_watcher(&mut self) -> Session {
        // Our own clients are counted up from 1; these get their numbers from the other end.
        self.watcher_id -= 1;
        Session::new(self.watcher_id, 0, true, false)
    }

    /// The place of a client of another node, or where it would be.
    fn watcher(&self, node: NodeId, client: u64) -> Result<usize, usize> {
        self.watchers.binary_search_by_key(&(node, client), |&(node, client, _)| (node, client))
    }

    /// A node has gone, and all its clients with it.
    #[expect(clippy::vec_box, reason = "they stand boxed in their row")]
    pub(super) fn forget_node(&mut self, node: NodeId) -> Vec<Box<Session>> {
        let start = self.watchers.partition_point(|&(of, ..)| of < node);
        let end = self.watchers.partition_point(|&(of, ..)| of <= node);
        self.watchers.drain(start..end).map(|(.., session)| session).collect()
    }
}
