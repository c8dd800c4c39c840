//! From a connection to a link: who the peer is, whether it is one of ours, and which link to it is kept.
//!
//! The initiator says hello; the acceptor looks at it and says hello as well; the initiator looks at that and sends its
//! proof; the acceptor looks at it and sends its own. So a stranger gets no proof to try secrets on, and where there is a
//! secret, the list of nodes is shown to nobody who has not proved to know it. A proof is an HMAC, under the secret that all nodes have, of the sender's role and of both
//! hellos as they were sent, so it covers names, addresses and the nonces of both sides. Where there is no secret the
//! key is empty: the proof then shows only that the peer answers now, and is no connection that a dead process left.
//!
//! Each node dials every other one, so there may be two links between them. The one with the lower address says welcome
//! on the first whose hellos are done; that one is up. A further one is a spare: the other side may have seen
//! the first one break. It is welcomed when the first one ends, and else closed after a while. A node whose
//! incarnation is another one has been started anew: what there was before is closed at once.

use super::link::{Handshake, Phase};
use super::map::canonical;
use super::node::Attempt;
use super::wire::{self, Frame, Hello, Refusal};
use super::{Cluster, Host, LinkId, NodeId, Notice, Reason, Side};
use super::{sha256, sha256::hmac_sha256};
use crate::limits::{HELLO_MS, SPARE_MS};
use std::net::SocketAddr;

impl<T> Cluster<T> {
    /// Handles a frame, given with its bytes, of a link that is not up.
    pub(super) fn handle_young(
        &mut self,
        now_ms: u64,
        id: LinkId,
        (frame, bytes): (Frame<'_>, &[u8]),
        host: &mut impl Host<T>,
    ) -> Result<(), &'static str> {
        let Some(link) = self.links.get(id) else { return Ok(()) };
        match (link.phase, frame) {
            (Phase::Hello, Frame::Hello(hello)) => self.handle_hello(now_ms, id, (hello, bytes), host),
            (Phase::Hello, Frame::OtherVersion(_)) => self.refuse(now_ms, id, Reason::Version, host),
            (Phase::Proof, Frame::Proof(proof)) => self.handle_proof(now_ms, id, proof, host),
            (Phase::Spare, Frame::Welcome) => return self.handle_welcome(now_ms, id, host),
            (_, Frame::Refuse(refusal)) => self.handle_refusal(now_ms, id, refusal, host),
            // Sent before the peer knew.
            (Phase::Refused, Frame::Proof(_) | Frame::Welcome) => {}
            _ => return Err("a frame before its time"),
        }
        Ok(())
    }

    /// Says who we are.
    pub(super) fn say_hello(&mut self, id: LinkId) {
        let nonce = self.nonce();
        let Some(link) = self.links.get_mut(id) else { return };
        let Some(handshake) = &mut link.handshake else { return };
        let hello = Hello {
            incarnation: self.identity.incarnation,
            address: self.map.member(self.map.own()).address,
            name: &self.identity.name,
            digest: &self.map.digest(),
            has_password: self.identity.has_password,
            has_secret: self.identity.secret.is_some(),
            nonce: &nonce,
        };
        wire::hello_frame(&mut handshake.own_hello, &hello);
        link.outbox.frames().extend_from_slice(&handshake.own_hello);
        self.name(id);
    }

    /// What nobody can guess, made from what nobody else knows and a count.
    fn nonce(&mut self) -> [u8; 32] {
        self.nonces += 1;
        let secret = self.identity.secret.as_deref().unwrap_or_default();
        let numbers = [self.identity.seed, self.identity.incarnation, self.nonces].map(u64::to_le_bytes);
        hmac_sha256(secret, &[b"nonce", numbers.as_flattened()])
    }

    /// The proof of one side's knowledge of the secret.
    fn proof(&self, handshake: &Handshake, initiated: bool, by: Side) -> [u8; 32] {
        let Handshake { own_hello, peer_hello, .. } = handshake;
        let (initiator, acceptor) = if initiated { (own_hello, peer_hello) } else { (peer_hello, own_hello) };
        let role = if (by == Side::Us) == initiated { b"initiator" } else { b"acceptor." };
        let secret = self.identity.secret.as_deref().unwrap_or_default();
        hmac_sha256(secret, &[role, initiator, acceptor])
    }

    fn send_proof(&mut self, id: LinkId) {
        let Some(link) = self.links.get(id) else { return };
        let Some(handshake) = &link.handshake else { return };
        let proof = self.proof(handshake, link.initiated, Side::Us);
        if let Some(link) = self.links.get_mut(id) {
            wire::proof_frame(link.outbox.frames(), &proof);
            self.name(id);
        }
    }

    fn handle_hello(&mut self, now_ms: u64, id: LinkId, (hello, bytes): (Hello<'_>, &[u8]), host: &mut impl Host<T>) {
        let verdict = self.check_hello(id, &hello).err();
        // Who disagrees on the list is shown ours, so where there is a secret it has to prove first that it is one of us.
        let waits = self.identity.secret.is_some() && verdict == Some(Reason::List);
        if let Some(reason) = verdict.filter(|_| !waits) {
            if let Some(link) = self.links.get_mut(id) {
                link.node = link.node.or(self.map.find(hello.address));
            }
            return self.refuse(now_ms, id, reason, host);
        }
        let node = self.map.find(hello.address);
        let Some(link) = self.links.get_mut(id) else { return };
        let Some(handshake) = &mut link.handshake else { return };
        handshake.peer_hello = bytes.to_vec();
        handshake.name = hello.name.to_string();
        handshake.has_password = hello.has_password;
        handshake.verdict = verdict;
        link.node = link.node.or(node);
        link.incarnation = hello.incarnation;
        link.phase = Phase::Proof;
        if link.initiated {
            self.send_proof(id);
        } else {
            self.say_hello(id);
        }
    }

    /// Whether the peer may be who it says, as far as a hello tells.
    fn check_hello(&self, id: LinkId, hello: &Hello<'_>) -> Result<(), Reason> {
        let Some(link) = self.links.get(id) else { return Ok(()) };
        let address = canonical(hello.address);
        if hello.has_secret != self.identity.secret.is_some() {
            return Err(Reason::Secret);
        }
        if *hello.digest != self.map.digest() {
            return Err(Reason::List);
        }
        let node = self.map.find(address).ok_or(Reason::NotListed)?;
        if node == self.map.own() {
            return Err(Reason::Itself);
        }
        if link.initiated && link.node != Some(node) {
            return Err(Reason::OtherNode);
        }
        if self.identity.secret.is_none() && address.ip() != link.peer {
            // Nothing shows that it is who it says, other than where it is connected from.
            return Err(Reason::NotListed);
        }
        Ok(())
    }

    fn handle_proof(&mut self, now_ms: u64, id: LinkId, proof: &[u8; 32], host: &mut impl Host<T>) {
        let Some(link) = self.links.get(id) else { return };
        let Some(handshake) = &link.handshake else { return };
        if !sha256::equal(proof, &self.proof(handshake, link.initiated, Side::Peer)) {
            return self.refuse(now_ms, id, Reason::Secret, host);
        }
        let verdict = handshake.verdict;
        if !link.initiated {
            self.send_proof(id);
        }
        let Some(link) = self.links.get_mut(id) else { return };
        if let Some(handshake) = &mut link.handshake {
            handshake.is_proven = true;
        }
        if let Some(reason) = verdict {
            return self.refuse(now_ms, id, reason, host);
        }
        let Some(node) = link.node else { return };
        self.handle_done(now_ms, id, node, host);
    }

    /// The hellos are done: the link may be welcomed.
    fn handle_done(&mut self, now_ms: u64, id: LinkId, node: NodeId, host: &mut impl Host<T>) {
        let Some(link) = self.links.get_mut(id) else { return };
        link.phase = Phase::Spare;
        let incarnation = link.incarnation;
        self.set_due(id, now_ms + SPARE_MS);
        // Spares of another incarnation, and those that the peer began before, since it begins one at a time.
        let initiated = self.links.get(id).is_some_and(|link| link.initiated);
        let stale: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(other, link)| {
                let is_older = !initiated && !link.initiated;
                *other != id && link.is_spare_to(node) && (link.incarnation != incarnation || is_older)
            })
            .map(|(other, _)| other)
            .collect();
        stale.into_iter().for_each(|other| self.end(now_ms, other, "another link took its place", host));
        match self.nodes[node.index()].up.and_then(|up| self.links.get(up).map(|link| (up, link.incarnation))) {
            None => self.welcome_spare(now_ms, node, host),
            Some((up, before)) if before != incarnation => self.end(now_ms, up, "it was started anew", host),
            Some(_) => {}
        }
    }

    /// Says welcome on a spare link to a node that has no other, if it is ours to say.
    pub(super) fn welcome_spare(&mut self, now_ms: u64, node: NodeId, host: &mut impl Host<T>) {
        if self.map.own() > node {
            return;
        }
        let spares = self.links.iter().filter(|(_, link)| link.is_spare_to(node));
        let Some((id, _)) = spares.max_by_key(|(_, link)| link.number) else { return };
        if let Some(link) = self.links.get_mut(id) {
            wire::welcome_frame(link.outbox.frames());
            self.handle_up(now_ms, id, node, host);
        }
    }

    fn handle_welcome(&mut self, now_ms: u64, id: LinkId, host: &mut impl Host<T>) -> Result<(), &'static str> {
        let Some(node) = self.links.get(id).and_then(|link| link.node) else { return Ok(()) };
        if self.map.own() < node {
            return Err("a welcome that is not its to say");
        }
        if let Some(up) = self.nodes[node.index()].up {
            // The other side has seen it break before we did.
            self.end(now_ms, up, "another link took its place", host);
        }
        self.handle_up(now_ms, id, node, host);
        Ok(())
    }

    /// The link is the one to this node.
    fn handle_up(&mut self, now_ms: u64, id: LinkId, node: NodeId, host: &mut impl Host<T>) {
        let Some(link) = self.links.get_mut(id) else { return };
        link.phase = Phase::Up;
        link.heard_ms = now_ms;
        let handshake = link.handshake.take().unwrap_or_default();
        let known = &mut self.nodes[node.index()];
        known.up = Some(id);
        known.since_ms = now_ms;
        known.incarnation = Some(link.incarnation);
        known.name = handshake.name;
        known.forgive();
        self.linked += 1;
        let attempt = known.attempt;
        if let Attempt::Link(own) = attempt {
            known.attempt = Attempt::None;
            if own != id {
                self.finish(now_ms, own);
            }
        }
        #[cfg(test)]
        self.mutate_up(node);
        self.look_after(now_ms, id);
        host.notice(Notice::Up { node });
        if handshake.has_password != self.identity.has_password {
            host.notice(Notice::PasswordDiffers { node });
        }
        self.look_whether_formed(host);
    }

    /// Wants no link with the peer, says why, and waits for what it says to that.
    fn refuse(&mut self, now_ms: u64, id: LinkId, reason: Reason, host: &mut impl Host<T>) {
        self.send_refusal(id, reason);
        let is_news = self.tell_refusal(id, Side::Us, reason, host);
        self.give_up_attempt(now_ms, id, reason);
        self.set_due(id, now_ms + HELLO_MS);
        if let Some(link) = self.links.get_mut(id) {
            link.phase = Phase::Refused;
            if let Some(handshake) = &mut link.handshake {
                handshake.tells_difference = is_news;
            }
        }
    }

    fn send_refusal(&mut self, id: LinkId, reason: Reason) {
        let is_trusted = self.may_see_list(id);
        if let Some(link) = self.links.get_mut(id) {
            // Only who disagrees on the list is shown it.
            let shown = if reason == Reason::List && is_trusted { self.map.len() } else { 0 };
            wire::refuse_frame(link.outbox.frames(), reason, self.map.addresses().take(shown));
            self.name(id);
        }
    }

    /// Whether the peer may be shown the list of nodes, and is believed what it shows: it has proved to know the secret,
    /// where there is one.
    fn may_see_list(&self, id: LinkId) -> bool {
        let handshake = self.links.get(id).and_then(|link| link.handshake.as_ref());
        self.identity.secret.is_none() || handshake.is_some_and(|handshake| handshake.is_proven)
    }

    /// The peer wants no link, or answers to our refusal.
    fn handle_refusal(&mut self, now_ms: u64, id: LinkId, refusal: Refusal<'_>, host: &mut impl Host<T>) {
        let Some(link) = self.links.get(id) else { return };
        let (node, peer) = (link.node, link.peer);
        let is_answer = link.phase == Phase::Refused;
        let is_news = match &link.handshake {
            Some(handshake) if is_answer => handshake.tells_difference,
            _ => self.tell_refusal(id, Side::Peer, refusal.reason, host),
        };
        if refusal.reason == Reason::List && self.may_see_list(id) {
            if is_news {
                let listed: Vec<SocketAddr> = refusal.addresses().map(canonical).collect();
                let ours: Vec<_> = self.map.addresses().filter(|address| !listed.contains(address)).collect();
                let theirs: Vec<_> = listed.into_iter().filter(|&address| self.map.find(address).is_none()).collect();
                host.notice(Notice::Differs { node, peer, ours: &ours, theirs: &theirs });
            }
            if !is_answer {
                self.send_refusal(id, Reason::List);
            }
        }
        self.give_up_attempt(now_ms, id, refusal.reason);
        self.finish(now_ms, id);
    }

    /// Tells of a refusal, if it is another one than before; says whether it is.
    fn tell_refusal(&mut self, id: LinkId, by: Side, reason: Reason, host: &mut impl Host<T>) -> bool {
        let Some(link) = self.links.get(id) else { return false };
        let (node, peer) = (link.node, link.peer);
        let is_news = node.is_none_or(|node| self.nodes[node.index()].is_news(by, reason));
        if is_news {
            host.notice(Notice::Refused { node, peer, by, reason });
        }
        is_news
    }

    /// There is no use in trying again soon.
    fn give_up_attempt(&mut self, now_ms: u64, id: LinkId, reason: Reason) {
        let Some(node) = self.links.get(id).and_then(|link| link.node) else { return };
        let known = &mut self.nodes[node.index()];
        if known.attempt == Attempt::Link(id) {
            known.failures = u32::MAX / 2;
            self.fail_attempt(now_ms, node, reason.text());
        }
    }
}

impl Reason {
    /// The reason, to follow "refused: ".
    pub fn text(self) -> &'static str {
        match self {
            Reason::Version => "the versions of the bus protocol differ",
            Reason::List => "the lists of nodes differ",
            Reason::Secret => "the secrets differ, or only one side has one",
            Reason::NotListed => "its address is not in the list of nodes, or not where it is connected from",
            Reason::Itself => "it gives the address of the node that it is linked to",
            Reason::OtherNode => "it is another node than was dialled",
            Reason::Enough => "there are links enough",
        }
    }
}
