//! The cluster: which node owns which slot, and the links between nodes. No descriptors, no clock, and no chance but
//! what a seed gives.
//!
//! [`Cluster`] is told what happens (`handle_*`), asked for requests to be sent, and asked what is to be done
//! (`poll_*`), each until it answers none. What it learns goes to a [`Host`], which executes the requests of other
//! nodes and gets the answers to its own.
//!
//! Of each pair of nodes either one dials the other until a link is up; one of the two links is kept (`handshake.rs`).
//! A request travels at most once: when its link breaks it is answered [`Answer::Failed`], never sent again.
//!
//! # Order of calls
//!
//! Connections are made where [`Cluster::poll_connect`] says, and the outcome is told, a refused or late one too. Of a
//! link's connection the bytes received are shown to [`Cluster::handle_bytes`], and what [`Cluster::gather`] shows is
//! sent, once [`Cluster::poll_send`] or [`Cluster::wants_write`] names it; between `gather` and `advance` nothing else
//! is called. A link ends when [`Cluster::poll_close`] names it, or when [`Cluster::handle_closed`] tells that its
//! connection did; its id means nothing afterwards, and is ignored.

mod handshake;
mod inbox;
mod link;
mod links;
mod map;
mod messages;
mod node;
mod outbox;
mod requests;
pub mod sha256;
#[cfg(test)]
mod sim;
pub mod wire;

pub use map::{Map, Member, NodeId};
pub use wire::{Purpose, Reason};

use crate::limits::{LINK_LEFT_BYTES, LINK_UNSENT_BYTES};
use crate::proto::{Args, Output, Typed, Words};
use crate::timer::Timers;
use inbox::Stall;
use link::{Link, Links, Phase};
use node::Node;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

/// A connection to another node, or to what may be one. Those of links that ended are never given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId {
    index: u32,
    generation: u32,
}

impl LinkId {
    /// A small number that no other link has at the same time.
    pub fn index(self) -> usize {
        self.index as usize
    }

    fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    fn from_bits(bits: u64) -> LinkId {
        LinkId { index: bits as u32, generation: (bits >> 32) as u32 }
    }
}

/// To whom a later answer goes; to nobody, when the link has ended meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    link: LinkId,
    id: u32,
}

/// What this node tells of itself.
#[derive(Clone, Debug)]
pub struct Identity {
    /// What people call it.
    pub name: String,
    /// Random for each start.
    pub incarnation: u64,
    /// Whether its clients need a password.
    pub has_password: bool,
    /// What all nodes have to know, where one is set.
    pub secret: Option<Vec<u8>>,
    /// Random, and known to nobody else: nonces and waiting times come from it.
    pub seed: u64,
}

/// A request of another node.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Which node.
    pub from: NodeId,
    /// Where its answer goes.
    pub caller: Caller,
    /// Its client, by the number that the node gave it.
    pub client: u64,
    /// What it is for.
    pub purpose: Purpose,
    /// The flags of the command's row.
    pub flags: u16,
    /// The words. A [`Purpose::Forget`] that has none has one empty word.
    pub args: Args<'a>,
}

/// What stands before the words of a request.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead {
    /// What it is for.
    pub purpose: Purpose,
    /// The client, by a number of our own.
    pub client: u64,
    /// The flags of the command's row.
    pub flags: u16,
}

/// How a request was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// How many bytes of it were copied to be sent.
    pub bytes: usize,
    /// It travels in pieces, and later requests overtake it.
    pub long: bool,
    /// The node has its limit of unanswered requests: who feeds it should stop until [`Cluster::poll_room`] names it.
    pub full: bool,
}

/// How a request of another node was executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Executed {
    /// Its answer is written.
    Now,
    /// Its answer comes later, by [`Cluster::reply`].
    Later,
}

/// What became of a request.
#[derive(Clone, Copy, Debug)]
pub enum Answer<'a> {
    /// It was answered; whether well-formed is for the host to check.
    Reply(Typed<'a>),
    /// The link broke while it was in flight: it was executed, or not.
    Failed {
        /// The node that did not answer.
        node: NodeId,
    },
}

/// An answer that is too large to be sent unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Who offers it.
    pub node: NodeId,
    /// Of which request; for [`Cluster::grant`].
    pub id: u32,
    /// How large it is, in bytes.
    pub bytes: u64,
}

/// One of the two sides of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// This node.
    Us,
    /// The other one.
    Peer,
}

/// What is worth a line in the log, a count, or cleaning up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice<'a> {
    /// A node is linked.
    Up {
        /// Which.
        node: NodeId,
    },
    /// A node is no longer linked; all that was in flight is answered.
    Down {
        /// Which.
        node: NodeId,
        /// What ended the link.
        why: &'a str,
    },
    /// Every node is linked; told once.
    Formed,
    /// Somebody sent what no node sends, or nothing; the link is closed.
    Junk {
        /// Who: where it is connected from.
        peer: IpAddr,
        /// What was wrong.
        why: &'a str,
    },
    /// A link was refused. Told once for each change, not at each try, where the node is known.
    Refused {
        /// Which node it is, or says to be.
        node: Option<NodeId>,
        /// Where it is connected from.
        peer: IpAddr,
        /// Who refused.
        by: Side,
        /// Why.
        reason: Reason,
    },
    /// How the lists of nodes differ, after a refusal for that.
    Differs {
        /// Which node it is, or says to be.
        node: Option<NodeId>,
        /// Where it is connected from.
        peer: IpAddr,
        /// Bus addresses that only our list has.
        ours: &'a [SocketAddr],
        /// Bus addresses that only the other one has.
        theirs: &'a [SocketAddr],
    },
    /// Clients of one of the two need a password, those of the other do not.
    PasswordDiffers {
        /// Which node.
        node: NodeId,
    },
}

/// Who executes requests and waits for answers.
pub trait Host<T> {
    /// Executes a request of another node. The answer, one value in the encoding of the bus, is to be in the output,
    /// which was empty, if it is there now. What is written for a [`Purpose::Forget`] goes nowhere.
    fn execute(&mut self, request: Request<'_>, output: &mut Output) -> Executed;

    /// What became of a request of ours. Each ticket comes back exactly once.
    fn answer(&mut self, ticket: T, answer: Answer<'_>);

    /// A large answer waits at the other node, and is kept there as it is. It comes when true is answered, or
    /// [`Cluster::grant`] says so.
    fn offer(&mut self, ticket: &T, offer: Offer) -> bool;

    /// Whether the turn has time for one more request.
    fn has_time(&self) -> bool;

    /// Something happened.
    fn notice(&mut self, notice: Notice<'_>);
}

/// What is known of another node.
#[derive(Clone, Copy, Debug)]
pub struct PeerView<'a> {
    /// What it calls itself; what our list calls it, as long as it was never linked.
    pub name: &'a str,
    /// Whether it is linked.
    pub up: bool,
    /// Since when it is linked, or is not.
    pub since_ms: u64,
    /// The time that the last ping took to be answered, by the clock of [`Cluster::set_clock_us`].
    pub rtt_us: Option<u64>,
    /// How many keys it said to hold.
    pub keys: u64,
    /// Its incarnation, if it was ever linked.
    pub incarnation: Option<u64>,
    /// Requests of ours that it has not answered.
    pub in_flight: usize,
    /// Bytes that wait to be sent to it.
    pub unsent_bytes: usize,
    /// Bytes sent to it over all links so far.
    pub sent_bytes: u64,
    /// Bytes received of it over all links so far.
    pub received_bytes: u64,
    /// Requests sent to it so far.
    pub sent_requests: u64,
    /// Requests of it that were executed so far.
    pub executed_requests: u64,
    /// What ended its last link, or the last try to make one; empty if nothing ever did.
    pub last_error: &'a str,
}

/// What is lent to the handling of a frame, so that nothing is allocated for it.
#[derive(Default)]
struct Desk {
    words: Words,
    output: Output,
}

/// See the module. `T` is the ticket that comes back with an answer. What is asked for most comes first: the instructions
/// that reach what lies near are shorter.
#[repr(C)]
pub struct Cluster<T> {
    nodes: Vec<Node<T>>,
    links: Links,
    map: Rc<Map>,
    clock_us: u64,
    /// How many nodes have a link that is up.
    linked: usize,
    has_formed: bool,
    /// When nodes are dialled.
    dials: Timers,
    /// When links are looked at.
    timers: Timers,
    closing: VecDeque<LinkId>,
    sending: VecDeque<LinkId>,
    rooms: Vec<NodeId>,
    desk: Desk,
    /// Of this node, for the others to know.
    keys: u64,
    random: u64,
    nonces: u64,
    pings: u64,
    identity: Identity,
    #[cfg(test)]
    mutation: sim::Mutation,
}

impl<T> Cluster<T> {
    /// No link yet; every other node is dialled at once.
    #[inline(never)]
    pub fn new(map: Map, identity: Identity, now_ms: u64) -> Cluster<T> {
        let (mut dials, mut nodes) = (Timers::default(), Vec::new());
        for node in map.ids() {
            let mut name = &map.member(node).name;
            if node == map.own() {
                name = &identity.name;
            } else {
                dials.set(now_ms, node.index() as u64);
            }
            nodes.push(Node::new(name.clone(), now_ms));
        }
        Cluster {
            nodes,
            links: Links::default(),
            linked: 0,
            has_formed: false,
            dials,
            timers: Timers::default(),
            closing: VecDeque::new(),
            sending: VecDeque::new(),
            rooms: Vec::new(),
            desk: Desk::default(),
            keys: 0,
            random: identity.seed,
            nonces: 0,
            pings: 0,
            clock_us: 0,
            #[cfg(test)]
            mutation: sim::Mutation::default(),
            map: Rc::new(map),
            identity,
        }
    }

    /// The time by a clock of the host's choice: round trips are measured by it, and nothing else.
    pub fn set_clock_us(&mut self, clock_us: u64) {
        self.clock_us = clock_us;
    }

    /// The static map.
    pub fn map(&self) -> &Rc<Map> {
        &self.map
    }

    /// This node.
    pub fn own(&self) -> NodeId {
        self.map.own()
    }

    /// Whether a node is linked; this one is not, to itself.
    pub fn is_up(&self, node: NodeId) -> bool {
        self.nodes[node.index()].up.is_some()
    }

    /// Whether every other node is linked.
    pub fn is_formed(&self) -> bool {
        self.linked + 1 == self.map.len()
    }

    /// How many other nodes are linked.
    pub fn linked(&self) -> usize {
        self.linked
    }

    /// What is known of another node.
    pub fn peer(&self, node: NodeId) -> PeerView<'_> {
        let known = &self.nodes[node.index()];
        let link = known.up.and_then(|up| self.links.get(up));
        PeerView {
            name: &known.name,
            up: known.up.is_some(),
            since_ms: known.since_ms,
            rtt_us: known.rtt_us,
            keys: known.keys,
            incarnation: known.incarnation,
            in_flight: known.requests.len(),
            unsent_bytes: link.map_or(0, |link| link.outbox.unsent_bytes()),
            sent_bytes: known.sent_bytes,
            received_bytes: known.received_bytes,
            sent_requests: known.requests.made(),
            executed_requests: known.executed_requests,
            last_error: &known.last_error,
        }
    }

    /// The memory that is held for other nodes, or of theirs, in bytes: what came and is not done with, what waits to be
    /// sent. Values that lie where they are stored are not counted.
    pub fn bytes_used(&self) -> usize {
        let of_link = |link: &Link| link.outbox.copied_bytes() + link.held_bytes + link.inbox.bytes_used();
        let ups = self.nodes.iter().filter_map(|node| self.links.get(node.up?));
        ups.map(of_link).sum()
    }

    /// How many keys this node holds, to be told to the others.
    pub fn set_keys(&mut self, keys: u64) {
        self.keys = keys;
    }

    /// Whether bytes are left that can go on without new ones: [`Cluster::handle_bytes`] with none does that.
    pub fn can_resume(&self, link: LinkId) -> bool {
        let Some(link) = self.links.get(link) else { return false };
        match link.inbox.stall {
            Stall::Incomplete => false,
            Stall::Time => true,
            Stall::Unsent => link.outbox.unasked_bytes() <= LINK_UNSENT_BYTES / 2,
        }
    }

    /// Whether the link is to be read from: always, but while much is left that can go on in the next turn. A full
    /// outbox is no reason, so two nodes never wait for each other.
    pub fn wants_read(&self, link: LinkId) -> bool {
        let Some(known) = self.links.get(link) else { return false };
        known.phase != Phase::Ending && (known.inbox.left.len() < LINK_LEFT_BYTES || !self.can_resume(link))
    }

    /// A link that has something new to send since it was named last.
    pub fn poll_send(&mut self) -> Option<LinkId> {
        while let Some(id) = self.sending.pop_front() {
            let Some(link) = self.links.get_mut(id) else { continue };
            link.is_named = false;
            if !link.outbox.is_empty() {
                return Some(id);
            }
        }
        None
    }

    /// The next pieces to send, in order, and how many. They are as they are until [`Cluster::advance`] is called, and
    /// more may follow them then.
    pub fn gather<'a>(&'a self, link: LinkId, pieces: &mut [IoSlice<'a>]) -> usize {
        self.links.get(link).map_or(0, |link| link.outbox.gather(pieces))
    }

    /// So many bytes of what was gathered are sent.
    pub fn advance(&mut self, id: LinkId, count: usize) {
        let Some(link) = self.links.get_mut(id) else { return };
        link.outbox.advance(count);
        if let Some(node) = link.node {
            self.nodes[node.index()].sent_bytes += count as u64;
        }
        if link.phase == Phase::Ending && link.outbox.is_empty() {
            self.drop_unsent(id);
        }
    }

    /// Whether something could be sent if the socket took it.
    pub fn wants_write(&self, link: LinkId) -> bool {
        self.links.get(link).is_some_and(|link| !link.outbox.is_empty())
    }

    /// Tells, once, that every node is linked.
    fn look_whether_formed(&mut self, host: &mut impl Host<T>) {
        if !self.has_formed && self.is_formed() {
            self.has_formed = true;
            host.notice(Notice::Formed);
        }
    }
}

#[cfg(test)]
mod tests;
