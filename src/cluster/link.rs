//! One link: how far it is, what is to be sent on it, what came. And the table of all links.

use super::inbox::Inbox;
use super::outbox::{Outbox, OwnedReply};
use super::{LinkId, NodeId, Reason};
use crate::pairs::Pairs;
use std::net::IpAddr;

/// How far a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The peer's hello is to come.
    Hello,
    /// Its proof is to come.
    Proof,
    /// The hellos are done. The node with the lower address says welcome, now or when it has no other link.
    Spare,
    /// Requests and replies travel.
    Up,
    /// We refused the peer; its list of nodes may still come.
    Refused,
    /// It ends; what is to be sent still is, nothing that comes is looked at.
    Ending,
}

/// What the proofs are made of, and what holds once they are right.
#[derive(Default)]
pub(super) struct Handshake {
    /// Our hello, the whole frame.
    pub(super) own_hello: Vec<u8>,
    /// The peer's hello, the whole frame.
    pub(super) peer_hello: Vec<u8>,
    pub(super) name: String,
    pub(super) has_password: bool,
    /// Why the peer will be refused once it has proved to know the secret.
    pub(super) verdict: Option<Reason>,
    /// Whether it has proved that.
    pub(super) is_proven: bool,
    /// Whether how the lists of nodes differ is worth telling.
    pub(super) tells_difference: bool,
}

/// The requests of the peer that are not answered yet.
#[derive(Default)]
pub(super) struct Open {
    /// Each with how it stands, in two numbers, as the sets of others have: [`EXECUTING`], or one more
    /// than the place of its answer.
    ids: Pairs,
    /// The answers that wait for their grants.
    held: Vec<Option<Box<OwnedReply>>>,
    /// Places of it that are free.
    free: Vec<usize>,
}

/// The host answers it later.
const EXECUTING: u64 = 0;

impl Open {
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn has(&self, id: u32) -> bool {
        self.how(id).is_some()
    }

    /// How it stands.
    fn how(&self, id: u32) -> Option<u64> {
        let id = u64::from(id);
        self.ids.since((id, 0)).filter(|&(found, _)| found == id).map(|(_, how)| how)
    }

    /// The host will answer it.
    pub(super) fn begin(&mut self, id: u32) {
        self.ids.insert((id.into(), EXECUTING));
    }

    /// The host answers it; whether it was to.
    pub(super) fn end(&mut self, id: u32) -> bool {
        self.ids.remove((id.into(), EXECUTING))
    }

    /// Its answer waits for the grant.
    pub(super) fn hold(&mut self, id: u32, reply: OwnedReply) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.held.push(None);
            self.held.len() - 1
        });
        self.held[place] = Some(Box::new(reply));
        self.ids.insert((id.into(), place as u64 + 1));
    }

    /// The answer that waited.
    pub(super) fn release(&mut self, id: u32) -> Option<OwnedReply> {
        let how = self.how(id).filter(|&how| how != EXECUTING)?;
        self.ids.remove((id.into(), how));
        let place = how as usize - 1;
        let reply = self.held[place].take()?;
        self.free.push(place);
        // What a burst has needed is not kept.
        if self.free.len() == self.held.len() {
            (self.held, self.free) = (Vec::new(), Vec::new());
        }
        Some(*reply)
    }
}

/// See the module. What is asked for most comes first: the instructions that reach what lies near are shorter.
#[repr(C)]
pub(super) struct Link {
    pub(super) phase: Phase,
    /// Whether we dialled.
    pub(super) initiated: bool,
    /// Whether it stands among those to be closed.
    pub(super) is_closing: bool,
    /// Whether it stands among those that have something new to send.
    pub(super) is_named: bool,
    /// Whether time was given, since something came last, for bytes that waited while we did not look.
    pub(super) was_waited_for: bool,
    /// Which node it is, once that is known: for one that we dialled at once, else when its hello said so.
    pub(super) node: Option<NodeId>,
    pub(super) outbox: Outbox,
    /// Only until the link is up.
    pub(super) handshake: Option<Box<Handshake>>,
    pub(super) inbox: Inbox,
    /// That of its hello.
    pub(super) incarnation: u64,
    /// Where the peer is connected from, or was dialled.
    pub(super) peer: IpAddr,
    /// The order in which links began.
    pub(super) number: u64,
    /// When something came last.
    pub(super) heard_ms: u64,
    /// When the next ping is due; before the link is up, when it must have got further.
    pub(super) due_ms: u64,
    /// Its deadline among the timers.
    pub(super) wake_ms: u64,
    /// The ping that is not answered yet, and when it was sent, in microseconds.
    pub(super) ping: Option<(u64, u64)>,
    pub(super) open: Open,
    /// The copied bytes of the answers among them that wait for their grants.
    pub(super) held_bytes: usize,
}

impl Link {
    pub(super) fn new(now_ms: u64, peer: IpAddr, node: Option<NodeId>) -> Link {
        Link {
            initiated: node.is_some(),
            peer,
            node,
            incarnation: 0,
            phase: Phase::Hello,
            handshake: Some(Box::default()),
            inbox: Inbox::default(),
            outbox: Outbox::default(),
            number: 0,
            is_closing: false,
            is_named: false,
            heard_ms: now_ms,
            was_waited_for: false,
            due_ms: now_ms,
            wake_ms: 0,
            ping: None,
            open: Open::default(),
            held_bytes: 0,
        }
    }

    /// Whether it is a spare one to this node.
    pub(super) fn is_spare_to(&self, node: NodeId) -> bool {
        self.phase == Phase::Spare && self.node == Some(node)
    }
}

/// All links, by their ids.
#[derive(Default)]
pub(super) struct Links {
    places: Vec<Place>,
    free: Vec<u32>,
    made: u64,
}

#[derive(Default)]
struct Place {
    generation: u32,
    link: Option<Box<Link>>,
}

impl Links {
    pub(super) fn insert(&mut self, mut link: Link) -> LinkId {
        self.made += 1;
        link.number = self.made;
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            self.places.len() as u32 - 1
        });
        let place = &mut self.places[index as usize];
        place.link = Some(Box::new(link));
        LinkId { index, generation: place.generation }
    }

    #[cfg_attr(memento_small, inline(never))]
    pub(super) fn get(&self, id: LinkId) -> Option<&Link> {
        let place = self.places.get(id.index())?;
        if place.generation == id.generation { place.link.as_deref() } else { None }
    }

    #[cfg_attr(memento_small, inline(never))]
    pub(super) fn get_mut(&mut self, id: LinkId) -> Option<&mut Link> {
        let place = self.places.get_mut(id.index())?;
        if place.generation == id.generation { place.link.as_deref_mut() } else { None }
    }

    /// Takes a link out; its id means nothing afterwards.
    pub(super) fn remove(&mut self, id: LinkId) -> Option<Box<Link>> {
        let place = self.places.get_mut(id.index())?;
        if place.generation != id.generation {
            return None;
        }
        let link = place.link.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(id.index);
        Some(link)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (LinkId, &Link)> {
        self.places.iter().enumerate().filter_map(|(index, place)| {
            let id = LinkId { index: index as u32, generation: place.generation };
            place.link.as_deref().map(|link| (id, link))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    fn reply(id: u32) -> OwnedReply {
        OwnedReply { bytes: id.to_le_bytes().to_vec(), longs: VecDeque::new() }
    }

    #[test]
    fn answers_are_released_in_any_order_and_leave_no_room_behind() {
        let mut open = Open::default();
        (0..1000).for_each(|id| open.hold(id, reply(id)));
        open.begin(1000);
        assert_eq!((open.len(), open.has(0), open.has(999), open.has(1001)), (1001, true, true, false));
        // What is executed has no answer yet, and what waits for its grant is answered.
        assert!(open.release(1000).is_none() && !open.end(999));
        // Backwards, then forwards, and twice.
        for id in (500..1000).rev().chain(0..500) {
            assert_eq!(open.release(id).map(|reply| reply.bytes), Some(id.to_le_bytes().to_vec()));
            assert!(open.release(id).is_none());
        }
        assert_eq!((open.len(), open.held.capacity(), open.free.capacity()), (1, 0, 0));
        assert!(open.end(1000) && !open.end(1000) && open.len() == 0);
    }

    #[test]
    fn places_are_used_again() {
        let mut open = Open::default();
        open.hold(0, reply(0));
        for id in 1..1000 {
            open.hold(id, reply(id));
            assert_eq!(open.release(id).map(|reply| reply.bytes), Some(id.to_le_bytes().to_vec()));
        }
        assert_eq!(open.held.len(), 2);
    }
}
