//! The cluster as commands show it.

use super::forwards::Ticket;
use crate::cluster::{Cluster, NodeId};
use crate::command::{NodeView, Topology};

impl Topology for Cluster<Ticket> {
    fn is_cluster(&self) -> bool {
        true
    }

    fn epoch(&self) -> u64 {
        self.map().epoch()
    }

    fn nodes(&self) -> Vec<NodeView> {
        self.map().ids().map(|node| view(self, node)).collect()
    }
}

fn view(cluster: &Cluster<Ticket>, node: NodeId) -> NodeView {
    let (map, peer) = (cluster.map(), cluster.peer(node));
    let address = map.member(node).address;
    NodeView {
        id: map.id_text(node),
        name: peer.name.to_string(),
        ip: address.ip(),
        port: map.member(node).client_address().port(),
        bus_port: address.port(),
        slots: map.slots(node),
        own: node == map.own(),
        up: peer.up,
        since_ms: peer.since_ms,
        rtt_us: peer.rtt_us,
        keys: peer.incarnation.map(|_| peer.keys),
        ping_sent_ms: None,
        pong_received_ms: None,
        in_flight: peer.in_flight,
        unsent_bytes: peer.unsent_bytes,
        frames_sent: peer.sent_requests,
        frames_received: peer.executed_requests,
    }
}

/// The cluster to a request of another node, which shows nothing of it but that it is there.
pub(super) struct AnyCluster;

impl Topology for AnyCluster {
    fn is_cluster(&self) -> bool {
        true
    }

    fn epoch(&self) -> u64 {
        0
    }

    fn nodes(&self) -> Vec<NodeView> {
        Vec::new()
    }
}
