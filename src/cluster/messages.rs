//! Requests and replies: what came is taken apart where it lies, what is to go is put into the outbox of its link.

use super::inbox::{Kind, NO_MEMORY, Stall};
use super::link::{Link, Phase};
use super::outbox::OwnedReply;
use super::wire::{self, Frame, HeadWord, HeadWords};
use super::{
    Answer, Caller, Cluster, Desk, Executed, Host, LinkId, NodeId, Offer, Purpose, Request, RequestHead, Sent,
};
use crate::buffer::append;
use crate::limits::{
    ARGS_MAX, BUS_PIECE_BYTES_MAX, BUS_WHOLE_REPLY_BYTES_MAX, FRAME_BYTES_MAX, LINK_BYTES_MAX, LINK_HELD_BYTES_MAX,
    LINK_LEFT_BYTES_MAX, LINK_REQUESTS_HARD_MAX, LINK_REQUESTS_MAX, LINK_UNSENT_BYTES, REQUEST_BYTES_MAX,
    STRANGER_BYTES_MAX,
};
use crate::proto::{Args, Encoding, Face, Output, Reply, Typed, Word};
use std::mem;

/// A request may have so many bytes; that of a client that is as long as it may be fits, the marks of its words too.
const REQUEST_MAX: u64 = REQUEST_BYTES_MAX as u64 + 8 * ARGS_MAX as u64;

/// A transaction may have so many words: more requests than these are beyond its bytes.
const EXEC_WORDS_MAX: usize = 16 * ARGS_MAX;

/// A [`Purpose::Forget`] has this id, which no other request has; nothing is answered to it.
const NO_ID: u32 = u32::MAX;

/// What a client is told whose answer finds no room.
const TOO_MANY_HELD: &str =
    "ERR the answer is lost: too many long ones wait to be passed on, ask for fewer at a time or for less";

/// What a client is told for whose answer there is no memory.
const NO_MEMORY_TO_HOLD: &str = "OOM the system has no memory left for this answer";

/// A request as its last frame tells it.
struct Arrived<'a> {
    id: u32,
    head: RequestHead,
    words: &'a [u8],
}

impl<T> Cluster<T> {
    /// Bytes came, or, with none, those that are left go on. Requests in them are executed, tickets answered.
    pub fn handle_bytes(&mut self, now_ms: u64, link: LinkId, fresh: &[u8], host: &mut impl Host<T>) {
        let Some(known) = self.links.get_mut(link).filter(|link| link.phase != Phase::Ending) else { return };
        if !fresh.is_empty() {
            known.heard_ms = now_ms;
            known.was_waited_for = false;
            if let Some(node) = known.node {
                self.nodes[node.index()].received_bytes += fresh.len() as u64;
            }
        }
        let mut left = mem::take(&mut known.inbox.left);
        let mut desk = mem::take(&mut self.desk);
        let was_left = !left.is_empty();
        if was_left && !append(&mut left, fresh) {
            drop(left);
            self.desk = desk;
            return self.end(now_ms, link, NO_MEMORY, host);
        }
        let bytes = if was_left { &left } else { fresh };
        let (used, stall) = self.handle_frames(now_ms, link, bytes, &mut desk, host);
        // Long words must not stay here, nor values that were answered.
        desk.words.clear();
        desk.output.clear(BUS_PIECE_BYTES_MAX);
        self.desk = desk;
        if was_left {
            left.drain(..used);
            if left.len() <= FRAME_BYTES_MAX {
                left.shrink_to(2 * FRAME_BYTES_MAX);
            }
        } else if !append(&mut left, &fresh[used..]) {
            return self.end(now_ms, link, NO_MEMORY, host);
        }
        let Some(known) = self.links.get_mut(link).filter(|link| link.phase != Phase::Ending) else { return };
        let left_bytes = left.len();
        known.inbox.left = left;
        known.inbox.stall = stall;
        if left_bytes > LINK_LEFT_BYTES_MAX {
            self.end(now_ms, link, "it does not take its answers", host);
        }
    }

    /// Handles frames from the front of `bytes`; says how many bytes it took, and why not more.
    fn handle_frames(
        &mut self,
        now_ms: u64,
        id: LinkId,
        bytes: &[u8],
        desk: &mut Desk,
        host: &mut impl Host<T>,
    ) -> (usize, Stall) {
        let mut used = 0;
        while used < bytes.len() {
            let Some(link) = self.links.get(id) else { break };
            let phase = link.phase;
            if phase == Phase::Ending {
                break;
            }
            let frame_bytes_max = if phase == Phase::Up { FRAME_BYTES_MAX } else { STRANGER_BYTES_MAX };
            let (frame, taken) = match wire::decode(&bytes[used..], frame_bytes_max) {
                Ok(Some(found)) => found,
                Ok(None) => break,
                Err(wrong) => {
                    self.junk(now_ms, id, &wrong.to_string(), host);
                    break;
                }
            };
            let is_request = matches!(frame, Frame::Request { .. });
            let is_answered = is_request || matches!(frame, Frame::Ping { .. });
            if is_answered && link.outbox.unasked_bytes() >= LINK_UNSENT_BYTES {
                return (used, Stall::Unsent);
            }
            let handled = if phase == Phase::Up {
                self.handle_frame(id, frame, desk, host)
            } else {
                self.handle_young(now_ms, id, (frame, &bytes[used..used + taken]), host)
            };
            used += taken;
            match handled {
                Ok(()) => {}
                Err(NO_MEMORY) => {
                    self.end(now_ms, id, NO_MEMORY, host);
                    break;
                }
                Err(wrong) => {
                    self.junk(now_ms, id, wrong, host);
                    break;
                }
            }
            if is_request && used < bytes.len() && !host.has_time() {
                return (used, Stall::Time);
            }
        }
        (used, Stall::Incomplete)
    }

    /// Handles a frame of a link that is up.
    #[inline]
    fn handle_frame(
        &mut self,
        id: LinkId,
        frame: Frame<'_>,
        desk: &mut Desk,
        host: &mut impl Host<T>,
    ) -> Result<(), &'static str> {
        let Some(node) = self.links.get(id).and_then(|link| link.node) else { return Ok(()) };
        match frame {
            Frame::Request { id: request, purpose, client, flags, words } => {
                let head = RequestHead { purpose, client, flags };
                self.execute(id, Arrived { id: request, head, words }, desk, host)
            }
            Frame::Reply { id: request, bytes } => self.handle_reply(id, node, request, bytes, host),
            _ => self.handle_rare(id, node, &frame, host),
        }
    }

    /// Handles a frame that is not met for each command.
    #[inline(never)]
    fn handle_rare(
        &mut self,
        id: LinkId,
        node: NodeId,
        frame: &Frame<'_>,
        host: &mut impl Host<T>,
    ) -> Result<(), &'static str> {
        let Some(link) = self.links.get_mut(id) else { return Ok(()) };
        match *frame {
            Frame::RequestPart { id: request, bytes } => link.inbox.part(Kind::Request, request, bytes, REQUEST_MAX),
            Frame::RequestLong(piece) => {
                link.inbox.piece(Kind::Request, piece.id, (piece.bytes, piece.total), REQUEST_MAX)
            }
            Frame::ReplyPart { id: request, bytes } => {
                let bytes_max = self.reply_bytes_max(node, request)?;
                let Some(link) = self.links.get_mut(id) else { return Ok(()) };
                link.inbox.part(Kind::Reply, request, bytes, bytes_max)
            }
            Frame::ReplyLong(piece) => {
                let bytes_max = self.reply_bytes_max(node, piece.id)?;
                let Some(link) = self.links.get_mut(id) else { return Ok(()) };
                link.inbox.piece(Kind::Reply, piece.id, (piece.bytes, piece.total), bytes_max)
            }
            Frame::ReplySize { id: request, total } => self.handle_offer(node, request, total, host),
            Frame::Grant { id: request } => self.handle_grant(id, request),
            Frame::Decline { id: request } => match link.open.release(request) {
                Some(reply) => {
                    link.held_bytes -= reply.bytes.len();
                    Ok(())
                }
                None => Err("a refusal of what was not offered"),
            },
            Frame::Ping { token, keys } => {
                self.nodes[node.index()].keys = keys;
                wire::pong_frame(link.outbox.frames(), token, self.keys);
                self.name(id);
                Ok(())
            }
            Frame::Pong { token, keys } => {
                let known = &mut self.nodes[node.index()];
                known.keys = keys;
                if let Some((asked, sent_us)) = link.ping
                    && asked == token
                {
                    link.ping = None;
                    known.rtt_us = Some(self.clock_us.saturating_sub(sent_us));
                }
                Ok(())
            }
            Frame::Refuse(refusal) => Err(refusal.reason.text()),
            _ => Err("a frame of a new link on one that is up"),
        }
    }

    /// Executes a request, and answers it unless that is done later.
    #[inline]
    fn execute(
        &mut self,
        link_id: LinkId,
        arrived: Arrived<'_>,
        desk: &mut Desk,
        host: &mut impl Host<T>,
    ) -> Result<(), &'static str> {
        let Some(link) = self.links.get_mut(link_id) else { return Ok(()) };
        let Some(from) = link.node else { return Ok(()) };
        let Arrived { id, head: RequestHead { purpose, client, flags }, words } = arrived;
        if link.open.has(id) || link.open.len() >= LINK_REQUESTS_HARD_MAX {
            return Err("a request with the id of another one, or one too many");
        }
        let mut partial = if link.inbox.is_plain() { None } else { link.inbox.take(Kind::Request, id)? };
        let mut longs = Vec::new();
        let bytes = match &mut partial {
            None => words,
            Some(partial) => {
                if partial.bytes + words.len() as u64 > REQUEST_MAX {
                    return Err("a message that is too long");
                }
                longs = mem::take(&mut partial.longs);
                if !append(&mut partial.head, words) {
                    return Err(NO_MEMORY);
                }
                &partial.head
            }
        };
        desk.words.clear();
        let mut longs = longs.into_iter();
        for word in HeadWords::new(bytes) {
            if !desk.words.make_room(1) {
                return Err(NO_MEMORY);
            }
            match word {
                Ok(HeadWord::Here { start, end }) => desk.words.push(start, end),
                Ok(HeadWord::Long { bytes }) => {
                    let long = longs.next().filter(|long| long.len() as u64 == bytes);
                    desk.words.push_long(long.ok_or("a long word that did not come")?);
                }
                Err(_) => return Err("a word that cannot be"),
            }
        }
        let words_max = if purpose == Purpose::Exec { EXEC_WORDS_MAX } else { ARGS_MAX };
        if longs.next().is_some() || desk.words.len() > words_max {
            return Err("more words than a request may have");
        }
        if desk.words.len() == 0 {
            if purpose != Purpose::Forget {
                return Err("a request without a word");
            }
            desk.words.push(0, 0);
        }
        let caller = Caller { link: link_id, id };
        let args = Args::new(bytes, &desk.words);
        self.nodes[from.index()].executed_requests += 1;
        desk.output.clear(BUS_PIECE_BYTES_MAX);
        let executed = host.execute(Request { from, caller, client, purpose, flags, args }, &mut desk.output);
        if purpose == Purpose::Forget {
            return Ok(());
        }
        match executed {
            Executed::Now => {
                put_reply(link, id, &desk.output);
                self.name(link_id);
            }
            Executed::Later => link.open.begin(id),
        }
        Ok(())
    }

    /// Answers a request that was to be answered later. Nothing happens when its link has ended, or when it is
    /// answered already.
    pub fn reply(&mut self, caller: Caller, output: &Output) {
        let Some(link) = self.links.get_mut(caller.link) else { return };
        if link.open.end(caller.id) {
            put_reply(link, caller.id, output);
            self.name(caller.link);
        }
    }

    /// The reply to a request of ours is whole.
    #[inline]
    fn handle_reply(
        &mut self,
        link: LinkId,
        node: NodeId,
        id: u32,
        bytes: &[u8],
        host: &mut impl Host<T>,
    ) -> Result<(), &'static str> {
        let bytes_max = self.reply_bytes_max(node, id)?;
        let Some(link) = self.links.get_mut(link) else { return Ok(()) };
        let mut partial = if link.inbox.is_plain() { None } else { link.inbox.take(Kind::Reply, id)? };
        let so_far = partial.as_ref().map_or(0, |partial| partial.bytes);
        if so_far + bytes.len() as u64 > bytes_max {
            return Err("a message that is too long");
        }
        #[cfg(test)]
        let id = self.mutate_reply(node, id);
        let known = &mut self.nodes[node.index()];
        let Some(flight) = known.requests.remove(id) else { return Ok(()) };
        if known.has_room_again() {
            self.rooms.push(node);
        }
        let typed = match &mut partial {
            None => Typed::new(bytes, &[]),
            Some(partial) => {
                if !append(&mut partial.head, bytes) {
                    // The request counts as one whose link broke, as it does now.
                    host.answer(flight.ticket, Answer::Failed { node });
                    return Err(NO_MEMORY);
                }
                Typed::new(&partial.head, &partial.longs)
            }
        };
        host.answer(flight.ticket, Answer::Reply(typed));
        Ok(())
    }

    /// How large the reply to a request may be as things stand.
    #[inline]
    fn reply_bytes_max(&mut self, node: NodeId, id: u32) -> Result<u64, &'static str> {
        let flight = self.nodes[node.index()].requests.get(id).ok_or("a reply to no request")?;
        match flight.announced {
            None => Ok(BUS_PIECE_BYTES_MAX as u64),
            Some(bytes) if flight.granted => Ok(bytes),
            Some(_) => Err("a large reply that was not granted"),
        }
    }

    fn handle_offer(&mut self, node: NodeId, id: u32, bytes: u64, host: &mut impl Host<T>) -> Result<(), &'static str> {
        let flight = self.nodes[node.index()].requests.get(id).ok_or("the size of a reply to no request")?;
        if flight.announced.replace(bytes).is_some() {
            return Err("the size of a reply a second time");
        }
        if host.offer(&flight.ticket, Offer { node, id, bytes }) {
            self.grant(node, id);
        }
        Ok(())
    }

    /// A large reply that was offered may come. Nothing happens when it may already, or never will.
    pub fn grant(&mut self, node: NodeId, id: u32) {
        let known = &mut self.nodes[node.index()];
        let (Some(flight), Some(up)) = (known.requests.get(id), known.up) else { return };
        if flight.announced.is_some()
            && !mem::replace(&mut flight.granted, true)
            && let Some(link) = self.links.get_mut(up)
        {
            wire::grant_frame(link.outbox.frames(), id);
            self.name(up);
        }
    }

    /// A large reply that was offered is not wanted: the request counts as answered, and its ticket is given back.
    pub fn decline(&mut self, node: NodeId, id: u32) -> Option<T> {
        let known = &mut self.nodes[node.index()];
        let (flight, up) = (known.requests.get(id)?, known.up?);
        if flight.announced.is_none() || flight.granted {
            return None;
        }
        let flight = known.requests.remove(id)?;
        if known.has_room_again() {
            self.rooms.push(node);
        }
        if let Some(link) = self.links.get_mut(up) {
            wire::decline_frame(link.outbox.frames(), id);
            self.name(up);
        }
        Some(flight.ticket)
    }

    fn handle_grant(&mut self, link_id: LinkId, id: u32) -> Result<(), &'static str> {
        let Some(link) = self.links.get_mut(link_id) else { return Ok(()) };
        match link.open.release(id) {
            Some(reply) => {
                link.held_bytes -= reply.bytes.len();
                link.outbox.reply(id, reply);
            }
            None => return Err("a grant of what was not offered"),
        }
        self.name(link_id);
        Ok(())
    }

    /// Sends a request of these words. The ticket comes back with its answer, or at once when the node is not linked (or has a million
    /// requests to answer).
    pub fn request<'w>(
        &mut self,
        node: NodeId,
        head: RequestHead,
        next_word: &mut dyn FnMut() -> Option<Word<'w>>,
        ticket: T,
    ) -> Result<Sent, T> {
        debug_assert!(head.purpose != Purpose::Forget, "it has no answer");
        let known = &mut self.nodes[node.index()];
        let Some(up) = known.up.filter(|_| known.requests.len() < LINK_REQUESTS_HARD_MAX) else { return Err(ticket) };
        let Some(link) = self.links.get_mut(up) else { return Err(ticket) };
        let id = known.requests.insert(ticket);
        #[cfg(test)]
        let asked = std::iter::from_fn(next_word).collect::<Vec<_>>();
        #[cfg(test)]
        let mut left = asked.iter().copied();
        #[cfg(test)]
        let next_word: &mut dyn FnMut() -> Option<Word<'w>> = &mut || left.next();
        let put = link.outbox.request(id, head, next_word);
        known.requests.weigh(id, put.bytes);
        known.is_full |= known.requests.len() >= LINK_REQUESTS_MAX || known.requests.bytes() >= LINK_BYTES_MAX;
        let full = known.is_full;
        self.name(up);
        #[cfg(test)]
        self.mutate_request(node, id, head, &asked);
        Ok(Sent { bytes: put.bytes, long: put.long, full })
    }

    /// Sends a [`Purpose::Forget`], which is not answered; says whether the node is linked.
    pub fn tell<'w>(&mut self, node: NodeId, client: u64, mut words: impl Iterator<Item = Word<'w>>) -> bool {
        let Some(up) = self.nodes[node.index()].up else { return false };
        let Some(link) = self.links.get_mut(up) else { return false };
        link.outbox.request(NO_ID, RequestHead { purpose: Purpose::Forget, client, flags: 0 }, &mut || words.next());
        self.name(up);
        true
    }

    /// A node that was full and has room again, or is no longer linked.
    pub fn poll_room(&mut self) -> Option<NodeId> {
        if self.rooms.is_empty() { None } else { Some(self.rooms.remove(0)) }
    }
}

/// Puts a reply into the outbox, or holds it where it is too large to be sent unasked.
#[inline]
fn put_reply(link: &mut Link, id: u32, output: &Output) {
    let bytes = output.copied_bytes() + output.shared_bytes();
    if output.lost().is_some() {
        // Nothing that could be sent is whole. No reply is empty, so the other side takes it for what it is.
        link.outbox.short_reply(id, &[]);
    } else if bytes <= BUS_WHOLE_REPLY_BYTES_MAX && output.plain().is_some() {
        link.outbox.short_reply(id, output.bytes());
    } else if bytes > BUS_PIECE_BYTES_MAX
        && link.held_bytes + link.outbox.copied_bytes() + output.copied_bytes() > LINK_HELD_BYTES_MAX
    {
        // Its link is fed by clients that ask for more than they take. A request does not wait for room, since what
        // makes room stands behind it on the link.
        put_error(link, id, TOO_MANY_HELD);
    } else if let Some(reply) = OwnedReply::new(output) {
        if bytes <= BUS_PIECE_BYTES_MAX {
            return link.outbox.reply(id, reply);
        }
        wire::reply_size_frame(link.outbox.frames(), id, bytes as u64);
        link.held_bytes += output.copied_bytes();
        link.open.hold(id, reply);
    } else {
        put_error(link, id, NO_MEMORY_TO_HOLD);
    }
}

/// Puts a reply that is an error into the outbox.
fn put_error(link: &mut Link, id: u32, text: &str) {
    let mut error = Output::default();
    Reply::new(&mut error, Encoding::Bus, Face::Typed).error(text);
    link.outbox.short_reply(id, error.bytes());
}
