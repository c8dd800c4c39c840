//! The bus: what the server has of its cluster.
//!
//! What is said between nodes, and which connections count, [`crate::cluster`] decides.

use super::forwards::{Forwards, Ticket};
use super::{Socket, Token};
use crate::cluster::{Cluster, LinkId, Map, NodeId};
use crate::limits::BUS_RECEIVE_BYTES;
use crate::store::SlotId;
use std::os::fd::{AsFd, BorrowedFd};

/// What the server has of a cluster.
pub(super) struct Bus {
    pub(super) cluster: Cluster<Ticket>,
    pub(super) forwards: Forwards,
    /// The connection of each link.
    pub(super) connections: Vec<(LinkId, Token)>,
    /// Links with requests that were received and not executed yet: they had their share of a turn.
    pub(super) stalled: Vec<LinkId>,
    /// Where links are received into.
    pub(super) receive: Box<[u8]>,
    /// Nodes of which the log tells that they cannot be reached; they were not linked since.
    pub(super) missed: Vec<bool>,
}

/// A connection of the bus.
pub(super) struct Link {
    pub(super) socket: Socket,
    pub(super) stage: Stage,
}

/// How far a connection of the bus is.
#[derive(Clone, Copy)]
pub(super) enum Stage {
    /// It is being made, to this node.
    Dialling(NodeId),
    /// The cluster knows it.
    Known(LinkId),
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Bus {
    #[inline(never)]
    pub(super) fn new(cluster: Cluster<Ticket>) -> Box<Bus> {
        let forwards = Forwards::new(cluster.map());
        let receive = vec![0; BUS_RECEIVE_BYTES].into();
        let missed = vec![false; cluster.map().len()];
        let bus = Bus { cluster, forwards, connections: Vec::new(), stalled: Vec::new(), receive, missed };
        let mut bus = Box::new(bus);
        bus.learn_names();
        bus
    }

    /// Who is in the cluster.
    pub(super) fn map(&self) -> &Map {
        self.cluster.map()
    }

    /// Lets the owner of `slot` forget what it watches for a client.
    #[cfg_attr(memento_small, inline(never))]
    pub(super) fn tell_to_forget(&mut self, slot: SlotId, client: u64) {
        let node = self.map().owner(slot);
        // Who is not linked has forgotten it already.
        self.cluster.tell(node, client, std::iter::empty());
    }

    /// Until when the loop may sleep; `Some(0)` where something is left to do.
    pub(super) fn wake_ms(&self) -> Option<u64> {
        let busy = !self.stalled.is_empty()
            || self.forwards.has_errands()
            || !self.forwards.publishes.is_empty()
            || !self.forwards.declined.is_empty();
        if busy { Some(0) } else { self.cluster.next_timeout_ms() }
    }

    /// Calls the nodes what they call themselves, once they are linked; before, what the list calls them.
    pub(super) fn learn_names(&mut self) {
        for node in self.forwards.renamed() {
            self.forwards.rename(node, self.cluster.peer(node).name);
            self.missed[node.index()] = false;
        }
    }

    pub(super) fn token_of(&self, link: LinkId) -> Option<Token> {
        self.connections.iter().find(|(known, _)| *known == link).map(|&(_, token)| token)
    }
}
