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

mod map;
pub mod sha256;
pub mod wire;

pub use map::{Map, Member, NodeId};
pub use wire::{Purpose, Reason};

use crate::proto::{Args, Output, Typed, Word};
use std::io::IoSlice;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};

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
    /// The time that the last ping took to be answered, as exact as the times that we are told (milliseconds).
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

/// See the module. `T` is the ticket that comes back with an answer.
pub struct Cluster<T> {
    map: Map,
    tickets: PhantomData<T>,
}

#[expect(unused_variables, reason = "signatures first")]
impl<T> Cluster<T> {
    /// No link yet; every other node is dialled at once.
    pub fn new(map: Map, identity: Identity, now_ms: u64) -> Cluster<T> {
        todo!()
    }

    /// The static map.
    pub fn map(&self) -> &Map {
        &self.map
    }

    /// This node.
    pub fn own(&self) -> NodeId {
        self.map.own()
    }

    // Links.

    /// A node to be dialled now, from our listed address. Asked until none; the outcome is to be told, a late one
    /// (after [`crate::limits::HELLO_MS`]) as a failure.
    pub fn poll_connect(&mut self, now_ms: u64) -> Option<NodeId> {
        todo!()
    }

    /// A connection that we dialled is there.
    pub fn handle_connected(&mut self, now_ms: u64, node: NodeId) -> LinkId {
        todo!()
    }

    /// A connection that we dialled cannot be made.
    pub fn handle_connect_failed(&mut self, now_ms: u64, node: NodeId) {
        todo!()
    }

    /// Somebody connected to our bus port. None: close the connection, it is nobody of ours.
    pub fn handle_accepted(&mut self, now_ms: u64, peer: IpAddr) -> Option<LinkId> {
        todo!()
    }

    /// Bytes came, or, with none, those that are left go on. Requests in them are executed, tickets answered.
    pub fn handle_bytes(&mut self, now_ms: u64, link: LinkId, fresh: &[u8], host: &mut impl Host<T>) {
        todo!()
    }

    /// A link's connection ended or broke.
    pub fn handle_closed(&mut self, now_ms: u64, link: LinkId, why: &str, host: &mut impl Host<T>) {
        todo!()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now_ms: u64, host: &mut impl Host<T>) {
        todo!()
    }

    /// When [`Cluster::poll_connect`] and [`Cluster::handle_timeout`] are to be called again.
    pub fn next_timeout_ms(&self) -> Option<u64> {
        todo!()
    }

    /// A link whose connection is to be closed now; nothing more of it is handled.
    pub fn poll_close(&mut self) -> Option<LinkId> {
        todo!()
    }

    /// Whether bytes are left that can go on without new ones.
    pub fn can_resume(&self, link: LinkId) -> bool {
        todo!()
    }

    /// Whether the link is to be read from: always, but while much is left that can go on in the next turn.
    pub fn wants_read(&self, link: LinkId) -> bool {
        todo!()
    }

    // Sending.

    /// A link that has something new to send since it was named last.
    pub fn poll_send(&mut self) -> Option<LinkId> {
        todo!()
    }

    /// The next pieces to send, in order, and how many.
    pub fn gather<'a>(&'a self, link: LinkId, pieces: &mut [IoSlice<'a>]) -> usize {
        todo!()
    }

    /// So many bytes of what was gathered are sent.
    pub fn advance(&mut self, link: LinkId, count: usize) {
        todo!()
    }

    /// Whether something could be sent if the socket took it.
    pub fn wants_write(&self, link: LinkId) -> bool {
        todo!()
    }

    // Requests.

    /// Whether a node is linked.
    pub fn is_up(&self, node: NodeId) -> bool {
        todo!()
    }

    /// Whether every node is linked.
    pub fn is_formed(&self) -> bool {
        todo!()
    }

    /// How many other nodes are linked.
    pub fn linked(&self) -> usize {
        todo!()
    }

    /// Sends a request. The ticket comes back with its answer; at once, when the node is not linked.
    pub fn request<'w>(
        &mut self,
        node: NodeId,
        head: RequestHead,
        words: impl Iterator<Item = Word<'w>>,
        ticket: T,
    ) -> Result<Sent, T> {
        todo!()
    }

    /// Sends a [`Purpose::Forget`], which is not answered; says whether the node is linked.
    pub fn tell<'w>(&mut self, node: NodeId, client: u64, words: impl Iterator<Item = Word<'w>>) -> bool {
        todo!()
    }

    /// A node that was full and has room again, or is gone.
    pub fn poll_room(&mut self) -> Option<NodeId> {
        todo!()
    }

    /// Answers a request that was to be answered later.
    pub fn reply(&mut self, caller: Caller, output: &Output) {
        todo!()
    }

    /// A large answer that was offered may come.
    pub fn grant(&mut self, node: NodeId, id: u32) {
        todo!()
    }

    // Looks.

    /// What is known of another node.
    pub fn peer(&self, node: NodeId) -> PeerView<'_> {
        todo!()
    }

    /// How many keys this node holds, to be told to the others.
    pub fn set_keys(&mut self, keys: u64) {
        todo!()
    }
}
