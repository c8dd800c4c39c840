//! Which nodes there are, and which slots each of them owns. Every node computes the same from the same list.

use super::sha256::sha256;
use crate::limits::{NODES_MAX, SLOTS};
use crate::store::slot::SlotId;
use std::net::SocketAddr;
use std::ops::Range;

/// The port of the bus lies so far above that for clients.
const BUS_PORT_OFFSET: u16 = 100;

/// A node, by its place in the list sorted by address: the same on every node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u16);

impl NodeId {
    /// The node at this place.
    pub(super) fn new(index: usize) -> NodeId {
        NodeId(index as u16)
    }

    /// The place, to index an array of [`Map::len`] items with.
    pub fn index(self) -> usize {
        self.0.into()
    }
}

/// One line of the list of nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Where its bus listens.
    pub address: SocketAddr,
    /// What people call it.
    pub name: String,
}

impl Member {
    /// Where it listens for clients.
    pub fn client_address(&self) -> SocketAddr {
        SocketAddr::new(self.address.ip(), self.address.port() - BUS_PORT_OFFSET)
    }
}

/// The static map: the nodes share the slots in contiguous ranges.
#[derive(Clone, Debug)]
pub struct Map {
    /// Sorted by address.
    members: Vec<Member>,
    own: NodeId,
    digest: [u8; 32],
}

impl Map {
    /// The map of these nodes as the one whose bus is at `own` sees it; an error says what is wrong with the list.
    #[inline(never)]
    pub fn new(listed: Vec<Member>, own: SocketAddr) -> Result<Map, String> {
        if listed.len() > NODES_MAX {
            return Err(format!("{} nodes are more than {NODES_MAX}", listed.len()));
        }
        let mut map = Map { members: Vec::with_capacity(listed.len()), own: NodeId(0), digest: [0; 32] };
        for mut member in listed {
            let address = canonical(member.address);
            member.address = address;
            if address.port() <= BUS_PORT_OFFSET {
                return Err(format!("{address}: a bus port is the client port plus {BUS_PORT_OFFSET}"));
            }
            let place = map.place(address);
            if map.members.get(place).is_some_and(|other| other.address == address) {
                return Err(format!("the address {address} stands there twice"));
            }
            map.members.insert(place, member);
        }
        map.own = map.find(own).ok_or_else(|| format!("{own} is not in the list of nodes"))?;
        let mut addresses = String::new();
        for member in &map.members {
            addresses += &format!("{}\n", member.address);
        }
        map.digest = sha256(&[addresses.as_bytes()]);
        Ok(map)
    }

    /// Where a node with this address is, or belongs.
    #[inline(never)]
    fn place(&self, address: SocketAddr) -> usize {
        self.members.partition_point(|member| member.address < address)
    }

    /// This node.
    pub fn own(&self) -> NodeId {
        self.own
    }

    /// How many nodes there are, this one included.
    #[expect(clippy::len_without_is_empty, reason = "this node is always in it")]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// All nodes, sorted by address.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = NodeId> + ExactSizeIterator + use<> {
        (0..self.members.len()).map(NodeId::new)
    }

    /// What the list says of a node.
    pub fn member(&self, node: NodeId) -> &Member {
        &self.members[node.index()]
    }

    /// The node whose bus is at this address.
    pub fn find(&self, address: SocketAddr) -> Option<NodeId> {
        let address = canonical(address);
        let place = self.place(address);
        (self.members.get(place)?.address == address).then_some(NodeId::new(place))
    }

    /// The bus addresses of all nodes, in order.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.members.iter().map(|member| member.address)
    }

    /// Who owns a slot.
    #[inline]
    pub fn owner(&self, slot: SlotId) -> NodeId {
        NodeId::new(((slot.index() + 1) * self.members.len() - 1) / SLOTS)
    }

    /// The slots that a node owns; the ranges of two nodes differ by at most one in size.
    pub fn slots(&self, node: NodeId) -> Range<usize> {
        let start = |index: usize| index * SLOTS / self.members.len();
        start(node.index())..start(node.index() + 1)
    }

    /// The number of this map: the static one is the first and only one.
    pub fn epoch(&self) -> u64 {
        1
    }

    /// What two nodes have in common when their lists hold the same addresses; names and order do not count.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// A node's name for cluster-aware clients, 40 hexadecimal digits: the same on every node and after every start.
    pub fn id_text(&self, node: NodeId) -> String {
        let digest = sha256(&[self.member(node).address.to_string().as_bytes()]);
        digest[..20].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// An address in the one form in which it is compared: an IPv4 address written as an IPv6 one is itself, and a scope,
/// which means something on one machine only, does not count.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(address: &str, name: &str) -> Member {
        Member { address: address.parse().expect("an address"), name: name.into() }
    }

    fn map(addresses: &[&str]) -> Result<Map, String> {
        let own = addresses.first().unwrap_or(&"127.0.0.1:1000").parse().expect("an address");
        Map::new(addresses.iter().map(|address| member(address, "n")).collect(), own)
    }

    #[test]
    fn each_slot_has_one_owner_and_ranges_are_even() {
        for count in (1..=20).chain([255, 256]) {
            let members = (0..count).map(|port| member(&format!("10.0.0.1:{}", 1000 + port), "n")).collect();
            let map = Map::new(members, "10.0.0.1:1000".parse().expect("an address")).expect("a map");
            let mut next = 0;
            for node in map.ids() {
                let slots = map.slots(node);
                assert_eq!(slots.start, next);
                assert!(slots.len() == SLOTS / count || slots.len() == SLOTS / count + 1);
                next = slots.end;
                for slot in slots {
                    assert_eq!(map.owner(SlotId::new(slot).expect("a slot")), node);
                }
            }
            assert_eq!(next, SLOTS);
        }
    }

    #[test]
    fn order_names_and_notation_do_not_count() {
        let one = map(&["127.0.0.1:1000", "127.0.0.2:900", "[::1]:900"]).expect("a map");
        let members =
            vec![member("[::1]:900", "c"), member("[::ffff:127.0.0.2]:900", "b"), member("127.0.0.1:1000", "a")];
        let two = Map::new(members, "[::1%7]:900".parse().expect("an address")).expect("a map");
        assert_eq!(one.digest(), two.digest());
        assert_eq!((one.own().index(), two.own().index(), one.len()), (0, 2, 3));
        assert!(one.ids().all(|node| one.member(node).address == two.member(node).address));
        assert_eq!(two.find("127.0.0.2:900".parse().expect("an address")), one.ids().nth(1));
        assert_eq!(two.member(two.own()).client_address().to_string(), "[::1]:800");
        let texts: Vec<String> = one.ids().map(|node| one.id_text(node)).collect();
        assert!(texts.iter().all(|text| text.len() == 40) && texts[0] != texts[1]);
        assert_eq!(texts[1], two.id_text(one.ids().nth(1).expect("a node")));
        assert_ne!(one.digest(), map(&["127.0.0.1:1000", "127.0.0.2:900"]).expect("a map").digest());
    }

    #[test]
    fn a_list_that_cannot_be_is_refused() {
        assert_eq!(map(&[]).expect_err("no map"), "127.0.0.1:1000 is not in the list of nodes");
        let twice = map(&["127.0.0.1:1000", "[::ffff:127.0.0.1]:1000"]);
        assert_eq!(twice.expect_err("no map"), "the address 127.0.0.1:1000 stands there twice");
        let low = map(&["127.0.0.1:100"]);
        assert_eq!(low.expect_err("no map"), "127.0.0.1:100: a bus port is the client port plus 100");
        let addresses: Vec<String> = (0..=NODES_MAX).map(|port| format!("127.0.0.1:{}", 1000 + port)).collect();
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        assert_eq!(map(&addresses).expect_err("no map"), "257 nodes are more than 256");
    }
}
