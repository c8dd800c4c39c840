//! How links begin and end: dialling, accepting, deadlines, closing.

use super::link::{Link, Phase};
use super::node::Attempt;
use super::{Answer, Cluster, Host, LinkId, NodeId, Notice, wire};
use crate::limits::{HEARTBEAT_MS, HELLO_MS, REDIAL_MS, REDIAL_MS_MAX, SILENCE_MS, STRANGERS_MAX};
use std::net::IpAddr;

impl<T> Cluster<T> {
    /// A node to be dialled now, from our listed address. Asked until none; the outcome is to be told, one that is not
    /// there after [`HELLO_MS`] as a failure.
    pub fn poll_connect(&mut self, now_ms: u64) -> Option<NodeId> {
        while let Some(index) = self.dials.expired(now_ms) {
            let id = NodeId::new(index as usize);
            let node = &mut self.nodes[id.index()];
            node.is_due = false;
            if node.up.is_none() && node.attempt == Attempt::None {
                node.attempt = Attempt::Dialling;
                return Some(id);
            }
        }
        None
    }

    /// A connection that we dialled is there.
    pub fn handle_connected(&mut self, now_ms: u64, node: NodeId) -> LinkId {
        let peer = self.map.member(node).address.ip();
        let link = self.add(now_ms, Link::new(now_ms, peer, Some(node)));
        let known = &mut self.nodes[node.index()];
        let is_wanted = known.up.is_none() && known.attempt == Attempt::Dialling;
        if known.attempt == Attempt::Dialling {
            known.attempt = if is_wanted { Attempt::Link(link) } else { Attempt::None };
        }
        if is_wanted {
            self.say_hello(link);
        } else {
            self.finish(now_ms, link);
        }
        link
    }

    /// A connection that we dialled cannot be made.
    pub fn handle_connect_failed(&mut self, now_ms: u64, node: NodeId) {
        let known = &mut self.nodes[node.index()];
        if known.attempt != Attempt::Dialling {
            return;
        }
        known.attempt = Attempt::None;
        if known.up.is_none() {
            self.fail_attempt(now_ms, node, "it cannot be connected to");
        }
    }

    /// Somebody connected to our bus port. None: the connection is to be closed, it is nobody of ours.
    pub fn handle_accepted(&mut self, now_ms: u64, peer: IpAddr) -> Option<LinkId> {
        let peer = peer.to_canonical();
        if self.identity.secret.is_none() && !self.map.addresses().any(|address| address.ip() == peer) {
            return None;
        }
        let strangers =
            || self.links.iter().filter(|(_, link)| !link.initiated && link.phase != Phase::Up && !link.is_closing);
        if strangers().count() >= STRANGERS_MAX
            && let Some((oldest, _)) = strangers().min_by_key(|(_, link)| link.number)
        {
            self.finish(now_ms, oldest);
            self.drop_unsent(oldest);
        }
        Some(self.add(now_ms, Link::new(now_ms, peer, None)))
    }

    /// A link's connection ended or broke.
    pub fn handle_closed(&mut self, now_ms: u64, link: LinkId, why: &str, host: &mut impl Host<T>) {
        self.end(now_ms, link, why, host);
        self.remove(link);
    }

    /// Time has passed: pings are sent, links are given up on which nothing comes or nothing goes on.
    pub fn handle_timeout(&mut self, now_ms: u64, host: &mut impl Host<T>) {
        self.look_whether_formed(host);
        while let Some(link) = self.timers.expired(now_ms) {
            self.wake(now_ms, LinkId::from_bits(link), host);
        }
    }

    /// When [`Cluster::poll_connect`] and [`Cluster::handle_timeout`] are to be called again.
    pub fn next_timeout_ms(&self) -> Option<u64> {
        if self.is_formed() && !self.has_formed {
            // Alone, a node has formed its cluster as soon as somebody can be told.
            return Some(0);
        }
        self.dials.earliest_ms().into_iter().chain(self.timers.earliest_ms()).min()
    }

    /// A link whose connection is to be closed now; nothing more of it is handled.
    pub fn poll_close(&mut self) -> Option<LinkId> {
        while let Some(link) = self.closing.pop_front() {
            if self.remove(link) {
                return Some(link);
            }
        }
        None
    }

    fn add(&mut self, now_ms: u64, link: Link) -> LinkId {
        let id = self.links.insert(link);
        self.set_due(id, now_ms + HELLO_MS);
        id
    }

    /// Takes a link out; says whether it was there.
    fn remove(&mut self, id: LinkId) -> bool {
        let Some(link) = self.links.remove(id) else { return false };
        self.timers.cancel(link.wake_ms, id.to_bits());
        true
    }

    /// A link that is not up must have got further at that time.
    pub(super) fn set_due(&mut self, id: LinkId, due_ms: u64) {
        if let Some(link) = self.links.get_mut(id) {
            link.due_ms = due_ms;
            self.arm(id, due_ms);
        }
    }

    /// A link is to be looked at then.
    fn arm(&mut self, id: LinkId, wake_ms: u64) {
        let Some(link) = self.links.get_mut(id) else { return };
        self.timers.cancel(link.wake_ms, id.to_bits());
        link.wake_ms = wake_ms;
        self.timers.set(wake_ms, id.to_bits());
    }

    /// A link's deadline has come.
    fn wake(&mut self, now_ms: u64, id: LinkId, host: &mut impl Host<T>) {
        let Some(link) = self.links.get_mut(id) else { return };
        let (due_ms, phase) = (link.due_ms, link.phase);
        if phase == Phase::Up {
            if now_ms >= link.wake_ms + HEARTBEAT_MS && !link.was_waited_for {
                // We did not look for long: what came meanwhile waits to be received, and is no silence.
                link.was_waited_for = true;
                link.heard_ms = link.heard_ms.max((now_ms + HEARTBEAT_MS).saturating_sub(SILENCE_MS));
            }
            if now_ms >= link.heard_ms + SILENCE_MS {
                return self.end(now_ms, id, "nothing came from it for too long", host);
            }
            let silent_ms = link.heard_ms + SILENCE_MS;
            if now_ms >= due_ms {
                self.ping(now_ms, id);
            }
            let due_ms = self.links.get(id).map_or(silent_ms, |link| link.due_ms);
            return self.arm(id, silent_ms.min(due_ms));
        }
        match phase {
            Phase::Ending => self.drop_unsent(id),
            Phase::Hello if !link.initiated => self.junk(now_ms, id, "no hello came", host),
            Phase::Hello | Phase::Proof => self.end(now_ms, id, "its hello did not come in time", host),
            Phase::Spare => self.end(now_ms, id, "it was not welcomed", host),
            Phase::Refused | Phase::Up => self.end(now_ms, id, "it was refused", host),
        }
    }

    /// Asks for a sign of life.
    pub(super) fn ping(&mut self, now_ms: u64, id: LinkId) {
        let Some(link) = self.links.get_mut(id) else { return };
        self.pings += 1;
        // A ping that is not answered yet keeps its time, which is the one of interest.
        link.ping.get_or_insert((self.pings, self.clock_us));
        let token = link.ping.map_or(0, |(token, _)| token);
        wire::ping_frame(link.outbox.frames(), token, self.keys);
        link.due_ms = now_ms + HEARTBEAT_MS;
        self.name(id);
    }

    /// A link is up: it is looked after from now on.
    pub(super) fn look_after(&mut self, now_ms: u64, id: LinkId) {
        self.ping(now_ms, id);
        self.arm(id, now_ms + HEARTBEAT_MS);
    }

    /// The link has something new to send.
    #[inline]
    pub(super) fn name(&mut self, id: LinkId) {
        if let Some(link) = self.links.get_mut(id)
            && !link.is_named
        {
            link.is_named = true;
            self.sending.push_back(id);
        }
    }

    /// Ends a link, with all that follows from it.
    pub(super) fn end(&mut self, now_ms: u64, id: LinkId, why: &str, host: &mut impl Host<T>) {
        let Some(link) = self.links.get_mut(id) else { return };
        let (phase, node) = (link.phase, link.node);
        if phase == Phase::Up {
            link.outbox = Default::default();
        }
        self.finish(now_ms, id);
        let Some(node) = node else { return };
        if phase == Phase::Up {
            self.handle_down(now_ms, node, why, host);
        } else if self.nodes[node.index()].attempt == Attempt::Link(id) {
            self.fail_attempt(now_ms, node, why);
        }
    }

    /// Ends a link because of what came on it.
    pub(super) fn junk(&mut self, now_ms: u64, id: LinkId, why: &str, host: &mut impl Host<T>) {
        let Some(link) = self.links.get(id) else { return };
        host.notice(Notice::Junk { peer: link.peer, why });
        self.end(now_ms, id, why, host);
        self.drop_unsent(id);
    }

    /// Nothing more of a link is looked at, and it is closed once what it has to send is sent.
    pub(super) fn finish(&mut self, now_ms: u64, id: LinkId) {
        let Some(link) = self.links.get_mut(id) else { return };
        if link.phase != Phase::Ending {
            link.phase = Phase::Ending;
            link.inbox = Default::default();
            link.open = Default::default();
            link.handshake = None;
            if link.outbox.is_empty() {
                self.drop_unsent(id);
            } else {
                self.set_due(id, now_ms + HELLO_MS);
            }
        }
    }

    /// Closes a link that ends now, whatever it has still to send.
    pub(super) fn drop_unsent(&mut self, id: LinkId) {
        if let Some(link) = self.links.get_mut(id)
            && link.phase == Phase::Ending
            && !link.is_closing
        {
            link.is_closing = true;
            link.outbox = Default::default();
            self.closing.push_back(id);
        }
    }

    /// Our own try to link a node came to nothing.
    pub(super) fn fail_attempt(&mut self, now_ms: u64, node: NodeId, why: &str) {
        let known = &mut self.nodes[node.index()];
        known.attempt = Attempt::None;
        known.last_error.clear();
        known.last_error.push_str(why);
        self.dial_later(now_ms, node);
    }

    /// Tries it again, later after each failure, and not when everybody else does.
    fn dial_later(&mut self, now_ms: u64, node: NodeId) {
        let jitter = self.random();
        let known = &mut self.nodes[node.index()];
        if known.up.is_some() || known.is_due || known.attempt != Attempt::None {
            return;
        }
        let wait_ms = (REDIAL_MS << known.failures.min(16)).min(REDIAL_MS_MAX);
        known.failures += 1;
        known.is_due = true;
        self.dials.set(now_ms + wait_ms - jitter % (wait_ms / 4 + 1), node.index() as u64);
    }

    /// The link to a node has ended: what was in flight is answered, in order, and another link is looked for.
    fn handle_down(&mut self, now_ms: u64, node: NodeId, why: &str, host: &mut impl Host<T>) {
        let known = &mut self.nodes[node.index()];
        self.linked -= 1;
        known.up = None;
        known.rtt_us = None;
        known.last_error.clear();
        known.last_error.push_str(why);
        if now_ms.saturating_sub(known.since_ms) >= REDIAL_MS_MAX {
            // It was a link for a while: the next try is no repetition.
            known.failures = 0;
        }
        known.since_ms = now_ms;
        if known.is_full {
            known.is_full = false;
            self.rooms.push(node);
        }
        known.requests.drain().for_each(|ticket| host.answer(ticket, Answer::Failed { node }));
        #[cfg(test)]
        self.mutate_down(node);
        host.notice(Notice::Down { node, why });
        self.dial_later(now_ms, node);
        self.welcome_spare(now_ms, node, host);
    }

    /// The next number of the sequence that the seed began (splitmix64).
    pub(super) fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}
