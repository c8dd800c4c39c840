//! Serving one client: read, execute, send, close.

use super::clients;
use super::engine::{Promise, Serving, is_told};
use super::forwards::Awaited;
use super::offers::Offers;
use super::{Bus, Engine, Event, Interest, LINGER_MS, Level, Server, Socket, Source, Stage, Token, log};
use crate::cluster::Offer;
use crate::command::{self, Deferred, Peer, Replies, Session, State, WRONG_PASSWORD, Walk};
use crate::conn::{self, Connection, Desk, HeldUp, Place};
use crate::limits::{SEND_PIECES_MAX, TURN_REPLY_BYTES, WALK_BYTES_MAX, WALK_ENTRIES_PER_TURN, WRONG_PASSWORD_MS};
use crate::proto::{Face, Lost, Output, Reply};
use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

/// What a step of a walk counts for in a turn's share of bytes: about as long as moving so many takes.
const WALK_STEP_BYTES: usize = 64 * 1024;

/// One client.
pub(super) struct Client {
    pub(super) socket: Socket,
    /// Where it comes from, where the clients of one address are counted; boxed, since that is seldom.
    address: Option<Box<IpAddr>>,
    pub(super) conn: Connection,
    pub(super) session: Session,
    /// The reply that comes later.
    promise: Option<Box<Promise>>,
    /// So much it was last seen to make the server hold.
    pub(super) held_bytes: u32,
    /// When bytes last moved.
    pub(super) active_ms: u64,
    /// Whether a whole request has come.
    pub(super) has_asked: bool,
    /// Whether it stands in the queue of those that can go on.
    queued: bool,
    /// Why its next requests wait, as was last seen.
    held_up: Option<HeldUp>,
    /// Whether its side is all that is waited for: ours has ended.
    lingering: bool,
    /// Whether it reads no more.
    deaf: bool,
    /// Whether its connection is known to be gone, while requests of it are still to be executed.
    gone: bool,
    /// Whether it got a reply of another node in this turn, which is not sent yet.
    touched: bool,
    /// The long answers of other nodes that it waits for.
    offers: Option<Box<Offers>>,
}

impl Client {
    pub(super) fn new(socket: Socket, address: Option<IpAddr>, session: Session, now_ms: u64) -> Client {
        let conn = Connection::default();
        Client {
            socket,
            address: address.map(Box::new),
            conn,
            session,
            promise: None,
            held_bytes: 0,
            active_ms: now_ms,
            has_asked: false,
            queued: false,
            held_up: None,
            lingering: false,
            deaf: false,
            gone: false,
            touched: false,
            offers: None,
        }
    }

    /// What it makes the server hold, in bytes: what it has sent, queued or watches, what it calls itself, what waits for the end of a pause or
    /// for other nodes, and copied replies. Values that are sent from where they are stored are the store's.
    fn bytes_held(&self) -> u32 {
        let (input, input_free) = self.conn.input_bytes();
        let (copied, _) = self.conn.output_bytes();
        let transaction = self.session.transaction.as_ref().map_or(0, |transaction| transaction.bytes_used());
        let paused = match self.promise.as_deref() {
            Some(Promise { deferred: Deferred::Paused(_, args), .. }) => args.bytes_used(),
            _ => 0,
        };
        let names = self.session.names.as_ref().map_or(0, |names| names.bytes_used());
        let subscriptions = self.session.subscriber.as_ref().map_or(0, |subscriber| subscriber.bytes_used());
        let held_bytes =
            input + input_free + copied + transaction + paused + names + subscriptions + self.conn.waiting_bytes();
        // A request may have a gigabyte, so that all together have less than four.
        u32::try_from(held_bytes).unwrap_or(u32::MAX)
    }

    /// The walk that makes its next reply.
    fn walk(&mut self) -> Option<&mut Walk> {
        match self.promise.as_deref_mut() {
            Some(Promise { deferred: Deferred::Walk(walk), .. }) => Some(walk),
            _ => None,
        }
    }

    /// Whether its deadline is for something else than idleness: its lingering, or the answer to a wrong password.
    pub(super) fn has_deadline(&self) -> bool {
        self.lingering
            || self.promise.as_ref().is_some_and(|promise| matches!(promise.deferred, Deferred::WrongPassword))
    }

    /// When it came, where it has not sent a request yet, nor broken the protocol.
    pub(super) fn waited_for_since_ms(&self) -> Option<u64> {
        (!self.has_asked && !self.lingering).then_some(self.session.since_ms)
    }

    /// Whether it can go on without another byte from its socket.
    fn can_go_on(&mut self) -> bool {
        !self.lingering && if self.walk().is_some() { self.conn.has_room() } else { self.conn.can_resume() }
    }

    /// It has got a reply, which is sent at the end of the turn, with all that are `touched`.
    pub(super) fn touch(&mut self, own: Token, touched: &mut Vec<Token>) {
        if !self.touched {
            self.touched = true;
            touched.push(own);
        }
    }

    /// Another node offers a long answer for the reply at `place`: whether it may come now.
    pub(super) fn take_offer(&mut self, place: Place, offer: Offer) -> bool {
        self.offers.get_or_insert_default().take(&self.conn, place, offer)
    }

    /// The answer to the reply at `place` has come.
    pub(super) fn end_offer(&mut self, place: Place) {
        if let Some(offers) = &mut self.offers {
            offers.done(place);
        }
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Why a connection ended; each end is counted once.
#[derive(Debug)]
pub(super) enum End {
    /// One side said so, and all is sent.
    Done,
    /// It was idle for too long.
    Idle,
    /// It sent no whole request in time.
    NoRequest,
    /// Another client has asked for it.
    Killed,
    /// A reply was larger than the limit.
    OutputLimit,
    /// The system has no memory for what it sent, or for its replies.
    NoMemory,
    /// It made the server hold so many bytes, and all clients together more than they may.
    Evicted(u32),
    /// It was still owed so many bytes of its replies and messages.
    SlowSubscriber(usize),
    /// It broke.
    Error(io::Error),
}

impl Server {
    /// Serves a client that is ready; gives the bytes that were moved.
    #[cfg_attr(memento_small, optimize(speed))]
    pub(super) fn serve_client(&mut self, event: Event) -> usize {
        let Some(Source::Client(client)) = self.reactor.get_mut(event.token) else { return 0 };
        if client.lingering {
            return self.linger(event.token);
        }
        let before = self.engine.state.stats.total_net_input_bytes + self.engine.state.stats.total_net_output_bytes;
        let reads = client.conn.wants_read() && (event.readable || event.hangup);
        let outcome = match (event.writable, reads) {
            // What it has sent is executed, though nobody will read the answers: it goes on when those of other nodes
            // have come.
            (false, false) if event.hangup && client.conn.waits() && client.promise.is_none() => {
                (client.gone, client.deaf) = (true, true);
                Ok(())
            }
            // Where nothing can be read or written any more, a hang-up is all that there is to tell.
            // What was received of it before is executed first.
            (false, false) if event.hangup && !client.queued => Err(End::Error(io::ErrorKind::ConnectionReset.into())),
            (true, _) => self.send_backlog(event.token),
            _ => Ok(()),
        };
        match outcome.and_then(|()| if reads { self.receive(event.token) } else { Ok(false) }) {
            Ok(true) => {}
            outcome => self.finish(event.token, outcome.map(|_| ())),
        }
        let after = self.engine.state.stats.total_net_input_bytes + self.engine.state.stats.total_net_output_bytes;
        // CONFIG RESETSTAT may have come in between.
        after.saturating_sub(before) as usize
    }

    /// Goes on with a client that was cut short; gives about the bytes that were moved.
    pub(super) fn resume(&mut self, token: Token) -> usize {
        let Some(client) = self.reactor.client(token) else { return 0 };
        client.queued = false;
        if !client.can_go_on() {
            return 0;
        }
        let walks = client.walk().is_some();
        let before = self.engine.state.stats.total_net_output_bytes;
        if walks {
            let outcome = self.step_walk(token);
            self.finish(token, outcome);
        } else {
            self.parse(token, 0);
            self.execute_arrivals();
        }
        let sent = self.engine.state.stats.total_net_output_bytes.saturating_sub(before) as usize;
        // Requests were executed too, if their replies could not be sent: that is work as well.
        if walks { WALK_STEP_BYTES } else { sent.max(TURN_REPLY_BYTES / 4) }
    }

    /// Sees to a reply that was promised.
    pub(super) fn keep(&mut self, token: Token, promise: Promise) -> Result<(), End> {
        let Promise { place, encoding, muted, .. } = promise;
        if let Deferred::Clients(request) = &promise.deferred {
            let answer = self.answer_clients(token, request);
            return self
                .fulfil(token, place, muted, |output| answer.write(&mut Reply::new(output, encoding, Face::Typed)));
        }
        if let Deferred::Snapshot { .. } = &promise.deferred
            && let Err(error) = self.begin_saving()
        {
            self.engine.state.stats.count_error(&error);
            return self.fulfil(token, place, muted, |output| Reply::new(output, encoding, Face::Typed).error(&error));
        }
        match promise.deferred {
            Deferred::Snapshot { .. } => self.snapshots.waiting.push(token),
            Deferred::WrongPassword => {
                self.reactor.set_deadline(token, Some(self.engine.state.now.ms + WRONG_PASSWORD_MS));
            }
            Deferred::Paused(row, _) if self.engine.is_paused(row) => self.paused.push_back(token),
            // Nobody is held up: too many messages are on their way.
            Deferred::Paused(..) => self.publishers.push_back(token),
            _ => {}
        }
        let Some(client) = self.reactor.client(token) else { return Ok(()) };
        client.promise = Some(Box::new(promise));
        self.engine.state.node.waiting += 1;
        Ok(())
    }

    /// Executes what waited for the end of a pause.
    #[cfg_attr(memento_small, inline(never))]
    pub(super) fn end_pause(&mut self, token: Token) {
        let Server { reactor, engine, desk, bus, .. } = self;
        let Some(client) = reactor.client(token) else { return };
        let paused = client.promise.take_if(|promise| matches!(promise.deferred, Deferred::Paused(..)));
        let Some(Promise { place, deferred: Deferred::Paused(row, args), encoding, muted }) = paused.map(|it| *it)
        else {
            return;
        };
        engine.state.node.waiting -= 1;
        client.active_ms = engine.state.now.ms;
        let Client { socket, conn, session, .. } = client;
        let mut serving = Serving::of_client(engine, session, socket, token, bus.as_deref_mut());
        let before = serving.session.replies;
        let flow = serving.execute(Some(row), args.args(), None, &mut desk.output, encoding);
        serving.forget_elsewhere();
        if let command::Flow::Away(route) = flow {
            let awaited = Awaited::new(token, place, encoding, row, muted);
            // Its place is there already, and holds what is behind it until it is answered.
            if serving.forward(row, route, args.args(), &mut desk.output, awaited) != conn::Flow::Continue {
                return self.finish(token, Ok(()));
            }
        }
        // CLIENT REPLY ON, held up, is answered.
        let unmuted = before == Replies::Off && session.replies == Replies::On;
        if muted && !unmuted && !is_told(Some(row), &desk.output, 0) {
            desk.output.clear(TURN_REPLY_BYTES);
        }
        let whole = !matches!(flow, command::Flow::Wait(_));
        conn.fill(place, desk, whole);
        let outcome = match flow {
            command::Flow::Wait(deferred) => self.keep(token, Promise { place, deferred: *deferred, encoding, muted }),
            command::Flow::Close => {
                conn.close();
                Ok(())
            }
            command::Flow::Shutdown => {
                engine.shutdown = true;
                conn.close();
                Ok(())
            }
            command::Flow::Continue | command::Flow::Unanswered | command::Flow::Away(_) => Ok(()),
        };
        let outcome = outcome.and_then(|()| self.send_backlog(token));
        self.finish(token, outcome);
    }

    /// Writes a reply that was promised, and sends it.
    fn fulfil(&mut self, token: Token, place: Place, muted: bool, write: impl FnOnce(&mut Output)) -> Result<(), End> {
        let Server { reactor, engine, desk, .. } = self;
        let Some(client) = reactor.client(token) else { return Ok(()) };
        if !muted {
            write(&mut desk.output);
        }
        client.conn.fill(place, desk, true);
        send(client, desk, engine)
    }

    /// A wrong password has been waited for long enough.
    fn answer_wrong_password(&mut self, token: Token, promise: &Promise) -> Result<(), End> {
        let (place, encoding) = (promise.place, promise.encoding);
        self.engine.state.stats.count_error(WRONG_PASSWORD);
        self.fulfil(token, place, promise.muted, |output| {
            Reply::new(output, encoding, Face::Typed).error(WRONG_PASSWORD);
        })
    }

    /// Answers who waits for a snapshot that has begun, in the background, or that has ended.
    #[inline(never)]
    pub(super) fn answer_savers(&mut self, begun: bool, outcome: Result<(), &str>) {
        for token in std::mem::take(&mut self.snapshots.waiting) {
            let Some(client) = self.reactor.client(token) else { continue };
            let Some(&Promise { place, deferred: Deferred::Snapshot { background }, encoding, muted }) =
                client.promise.as_deref()
            else {
                continue;
            };
            if begun && !background {
                self.snapshots.waiting.push(token);
                continue;
            }
            client.promise = None;
            client.active_ms = self.engine.state.now.ms;
            self.engine.state.node.waiting -= 1;
            if let Err(error) = outcome {
                self.engine.state.stats.count_error(error);
            }
            let outcome = self.fulfil(token, place, muted, |output| {
                let mut reply = Reply::new(output, encoding, Face::Typed);
                match outcome {
                    Ok(()) if background => reply.simple("Background saving started"),
                    Ok(()) => reply.ok(),
                    Err(error) => reply.error(error),
                }
            });
            self.finish(token, outcome);
        }
    }

    /// Does a piece of a client's walk, and sends what came of it.
    #[cfg_attr(memento_small, inline(never))]
    fn step_walk(&mut self, token: Token) -> Result<(), End> {
        let Server { reactor, engine, desk, walk_bytes, .. } = self;
        let Some(client) = reactor.client(token) else { return Ok(()) };
        let Some(Promise { place, deferred: Deferred::Walk(walk), muted, .. }) = client.promise.as_deref_mut() else {
            return Ok(());
        };
        *walk_bytes -= walk.bytes_used();
        let room = WALK_BYTES_MAX - *walk_bytes;
        if walk.is_searching() {
            // It is not the client that is waited for.
            client.active_ms = engine.state.now.ms;
        }
        let whole = walk.step(&engine.state.store, engine.state.now.ms, WALK_ENTRIES_PER_TURN, room, &mut desk.output);
        if *muted {
            desk.output.clear(TURN_REPLY_BYTES);
        }
        client.conn.fill(*place, desk, whole);
        if whole {
            client.promise = None;
            engine.state.node.waiting -= 1;
        } else {
            *walk_bytes += walk.bytes_used();
        }
        send(client, desk, engine)
    }

    /// Sends a client what other nodes have answered.
    pub(super) fn send_touched(&mut self, token: Token) {
        let Some(client) = self.reactor.client(token) else { return };
        client.touched = false;
        let outcome = self.send_backlog(token);
        self.finish(token, outcome);
    }

    fn send_backlog(&mut self, token: Token) -> Result<(), End> {
        let Server { reactor, engine, desk, .. } = self;
        let Some(client) = reactor.client(token) else { return Ok(()) };
        send(client, desk, engine)
    }

    /// Closes a client that failed; settles how one that did not goes on.
    pub(super) fn finish(&mut self, token: Token, outcome: Result<(), End>) {
        match outcome {
            Ok(()) => self.settle(token),
            Err(end) => self.fail(token, end),
        }
    }

    #[cfg_attr(memento_small, inline(never))]
    fn fail(&mut self, token: Token, end: End) {
        self.desk.output.clear(TURN_REPLY_BYTES);
        self.close(token, end);
    }

    /// Decides what a client is watched for, whether it is queued to go on, or that it is done.
    #[cfg_attr(memento_small, optimize(speed))]
    pub(super) fn settle(&mut self, token: Token) {
        let Some(Source::Client(client)) = self.reactor.get_mut(token) else { return };
        let held_bytes = client.bytes_held();
        let before_bytes = std::mem::replace(&mut client.held_bytes, held_bytes);
        self.engine.state.node.held_bytes += held_bytes as usize;
        self.engine.state.node.held_bytes -= before_bytes as usize;
        if client.lingering {
            return;
        }
        // When the server ends, who listens gets what was published before.
        if client.conn.is_done()
            && (self.stage == Stage::Serving
                || client.session.subscriber.is_none()
                || self.engine.state.pubsub.is_idle())
        {
            // When the server ends, only those are waited for that have sent more than was read.
            let lingers = client.conn.is_closing()
                || self.stage != Stage::Serving && client.socket.discard().is_ok_and(|count| count > 0);
            return if lingers { self.begin_linger(token) } else { self.close(token, End::Done) };
        }
        let held_up = client.conn.held_up();
        if held_up != client.held_up {
            client.held_up = held_up;
            match held_up {
                Some(HeldUp::ByItself) => self.engine.state.stats.client_output_pauses += 1,
                Some(HeldUp::ByOthers) => self.engine.state.stats.cluster_waits += 1,
                None => {}
            }
        }
        if client.can_go_on() && !client.queued {
            client.queued = true;
            self.resumes.push_back(token);
        }
        if let Some(bus) = &mut self.bus
            && client.offers.is_some()
        {
            grant_offers(client, bus);
        }
        let interest = match (client.conn.wants_read(), client.conn.wants_write()) {
            (false, false) if client.gone => Interest::GONE,
            (read, write) => Interest { read, write, ..Interest::NONE },
        };
        self.watch(token, interest);
    }

    /// Ends our side, and listens until the peer ends its own: a close with bytes unread would be a reset, which
    /// takes away our last words where the peer has not read them yet (RFC 1122, 4.2.2.13).
    #[cfg_attr(memento_small, inline(never))]
    fn begin_linger(&mut self, token: Token) {
        let Some(client) = self.reactor.client(token) else { return };
        client.lingering = true;
        client.socket.end_sending();
        self.reactor.set_deadline(token, Some(self.engine.state.now.ms + LINGER_MS));
        self.watch(token, Interest::READ);
    }

    /// Throws away what a peer still sends; closes when it has ended.
    fn linger(&mut self, token: Token) -> usize {
        let Some(client) = self.reactor.client(token) else { return 0 };
        match client.socket.discard() {
            Ok(count) if count > 0 => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            _ => {
                self.close(token, End::Done);
                0
            }
        }
    }

    /// A client's deadline is due: the end of its lingering, or of our patience with an idle one.
    #[cfg_attr(memento_small, inline(never))]
    pub(super) fn client_deadline(&mut self, token: Token) {
        let Some(client) = self.reactor.client(token) else { return };
        if client.lingering {
            return self.close(token, End::Done);
        }
        if let Some(promise) = client.promise.take_if(|promise| matches!(promise.deferred, Deferred::WrongPassword)) {
            self.engine.state.node.waiting -= 1;
            let outcome = self.answer_wrong_password(token, &promise);
            // The deadline was borrowed from the time-outs.
            self.set_client_deadline(token);
            return self.finish(token, outcome);
        }
        let paused = client
            .promise
            .as_ref()
            .is_some_and(|promise| matches!(promise.deferred, Deferred::Paused(..) | Deferred::Snapshot { .. }));
        // A walk waits for its client to read; other replies are waited for by the client.
        if paused || client.conn.waits() && client.promise.is_none() || client.session.subscriber.is_some() {
            // It is not idle, it is held up, or listens.
            client.active_ms = self.engine.state.now.ms;
        }
        let now_ms = self.engine.state.now.ms;
        match self.client_due_ms(token) {
            Some(due_ms) if due_ms <= now_ms => self.close(token, End::Idle),
            _ => self.set_client_deadline(token),
        }
    }

    /// When a client is to be closed if it goes on to do nothing; none where it may do nothing for ever.
    fn client_due_ms(&mut self, token: Token) -> Option<u64> {
        let idle_timeout_ms = self.idle_timeout_ms()?;
        Some(self.reactor.client(token)?.active_ms + idle_timeout_ms)
    }

    /// Lets a client be looked at when it is to be closed if it does nothing until then. It is not looked at earlier when
    /// it does something.
    pub(super) fn set_client_deadline(&mut self, token: Token) {
        let next_ms = self.engine.state.now.ms + 1;
        let deadline_ms = self.client_due_ms(token).map(|due_ms| due_ms.max(next_ms));
        self.reactor.set_deadline(token, deadline_ms);
    }

    pub(super) fn close(&mut self, token: Token, end: End) {
        let Some(Source::Client(mut client)) = self.reactor.remove(token) else { return };
        self.leave_address(client.address.as_deref().copied());
        let State { stats, node, watches, store, pubsub, .. } = &mut self.engine.state;
        node.clients -= 1;
        node.held_bytes -= client.held_bytes as usize;
        node.waiting -= usize::from(client.promise.is_some());
        self.walk_bytes -= client.walk().map_or(0, |walk| walk.bytes_used());
        command::forget(&mut client.session, watches, store);
        if let Some(subscriber) = client.session.subscriber.take() {
            pubsub.leave_later(token.to_bits(), subscriber);
        }
        if let Some(bus) = &mut self.bus {
            if let Some(slot) = client.session.forget_elsewhere {
                bus.tell_to_forget(slot, client.session.id);
            }
            // What nobody waits for any more is let go by the node that keeps it.
            bus.forwards.declined.extend(client.offers.iter().flat_map(|offers| offers.kept()));
        }
        client.conn.dismantle(&mut self.desk.pool);
        match end {
            End::Done => log::write(Level::Debug, format_args!("a client went, {} are here", node.clients)),
            End::Idle => {
                stats.closed_by_timeout += 1;
                log::write(Level::Debug, format_args!("an idle client was closed, {} are here", node.clients));
            }
            End::NoRequest => {
                stats.closed_by_first_request_timeout += 1;
                let (peer, seconds) = (clients::peer(&client), self.engine.state.settings.first_request_timeout_s);
                self.noise.write(
                    self.engine.state.now.ms,
                    format_args!("{peer} is closed, it sent no whole request in {seconds} s (first-request-timeout)"),
                );
            }
            End::Killed => {
                let peer = clients::peer(&client);
                self.noise.write(self.engine.state.now.ms, format_args!("{peer} is closed by CLIENT KILL"));
            }
            End::OutputLimit => {
                stats.client_output_buffer_limit_disconnections += 1;
                let peer = clients::peer(&client);
                self.noise
                    .write(self.engine.state.now.ms, format_args!("{peer} is closed, it asked for too large a reply"));
            }
            End::NoMemory => {
                stats.closed_by_memory_shortage += 1;
                let peer = clients::peer(&client);
                let text = "is closed, the system has no memory for what it sent or is owed";
                self.noise.write(self.engine.state.now.ms, format_args!("{peer} {text}"));
            }
            End::Evicted(bytes) => {
                stats.evicted_clients += 1;
                let peer = clients::peer(&client);
                let text = "and all clients together more than maxmemory-clients allows";
                self.noise.write(
                    self.engine.state.now.ms,
                    format_args!("{peer} is closed, it made the server hold {bytes} bytes, {text}"),
                );
            }
            End::SlowSubscriber(bytes) => {
                stats.closed_by_slow_subscription += 1;
                let peer = clients::peer(&client);
                let text = "bytes of the messages that it subscribed to and of its replies";
                self.noise.write(
                    self.engine.state.now.ms,
                    format_args!("{peer} is closed, it was still owed {bytes} {text}"),
                );
            }
            End::Error(error) => {
                stats.closed_by_peer_error += 1;
                log::write(Level::Debug, format_args!("a connection broke: {error}"));
            }
        }
    }
}

/// Lets the long answers come that a client has room for now.
#[cfg_attr(memento_small, inline(never))]
fn grant_offers(client: &mut Client, bus: &mut Bus) {
    let Some(offers) = &mut client.offers else { return };
    while let Some(offer) = offers.next(&client.conn) {
        bus.cluster.grant(offer.node, offer.id);
    }
    client.offers.take_if(|offers| offers.is_empty());
}

/// Sends the desk's output, or queues it behind what is already queued.
#[cfg_attr(memento_small, optimize(speed))]
pub(super) fn deliver(client: &mut Client, desk: &mut Desk, engine: &mut Engine) -> Result<(), End> {
    check_whole(client, desk)?;
    if client.deaf {
        desk.output.clear(TURN_REPLY_BYTES);
    }
    if desk.output.is_empty() {
        return Ok(());
    }
    if !client.conn.is_backlog_empty() {
        // The socket took no more before; it will be reported when it does.
        client.conn.queue_output(desk);
        return check_whole(client, desk);
    }
    let Some(bytes) = desk.output.plain() else {
        client.conn.queue_output(desk);
        return send(client, desk, engine);
    };
    let sent = moved(client.socket.send(bytes), client, engine)?;
    if !client.deaf {
        client.conn.queue_bytes(&bytes[sent..], &mut desk.pool);
    }
    desk.output.clear(TURN_REPLY_BYTES);
    check_whole(client, desk)
}

/// Whether all that a client sent, and all that it is owed, is there.
fn check_whole(client: &Client, desk: &Desk) -> Result<(), End> {
    match client.conn.lost().or(desk.output.lost()) {
        None => Ok(()),
        Some(Lost::TooLarge) => Err(End::OutputLimit),
        Some(Lost::NoMemory) => Err(End::NoMemory),
    }
}

/// Sends from the backlog with one call.
fn send(client: &mut Client, desk: &mut Desk, engine: &mut Engine) -> Result<(), End> {
    check_whole(client, desk)?;
    if client.conn.wants_write() {
        let mut pieces = [IoSlice::new(&[]); SEND_PIECES_MAX];
        let count = client.conn.gather(&mut pieces);
        let outcome = client.socket.send_pieces(&pieces[..count]);
        let sent = moved(outcome, client, engine)?;
        client.conn.advance(sent, &mut desk.pool);
        if client.deaf {
            client.conn.drop_output(&mut desk.pool);
        }
    }
    Ok(())
}

/// How many bytes a send has moved; a socket that takes nothing has moved none.
fn moved(outcome: io::Result<usize>, client: &mut Client, engine: &mut Engine) -> Result<usize, End> {
    match outcome {
        Ok(count) => {
            client.active_ms = engine.state.now.ms;
            engine.state.stats.total_net_output_bytes += count as u64;
            Ok(count)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        // A Unix peer that goes with replies unread is told of by the second of the two.
        Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {
            // The peer reads no more. What it has sent before is executed all the same, as it is when its end comes in
            // between; then its end is read.
            client.deaf = true;
            Ok(0)
        }
        Err(error) => Err(End::Error(error)),
    }
}

impl Peer for Socket {
    fn address(&self) -> String {
        clients::address_of(self.peer())
    }

    fn is_local(&self) -> bool {
        Socket::is_local(self)
    }
}
