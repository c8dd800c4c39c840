//! Serving one client: read, execute, send, close.

use super::{Engine, Event, Interest, LINGER_MS, Level, Server, Socket, Source, Stage, Token, log};
use crate::command::Walk;
use crate::conn::{Connection, Desk, Place};
use crate::limits::{SEND_PIECES_MAX, TURN_REPLY_BYTES, WALK_BYTES_MAX, WALK_ENTRIES_PER_TURN};
use crate::proto::ParseError;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};

/// What a step of a walk counts for in a turn's share of bytes: about as long as moving so many takes.
const WALK_STEP_BYTES: usize = 64 * 1024;

/// One client.
pub(super) struct Client {
    socket: Socket,
    pub(super) conn: Connection,
    /// The answer that is made over several turns, and its place among the replies.
    walk: Option<Box<(Place, Walk)>>,
    /// When bytes last moved.
    active_ms: u64,
    /// Whether it stands in the queue of those that can go on.
    queued: bool,
    /// Whether its side is all that is waited for: ours has ended.
    lingering: bool,
}

impl Client {
    pub(super) fn new(socket: Socket, now_ms: u64) -> Client {
        let conn = Connection::default();
        Client { socket, conn, walk: None, active_ms: now_ms, queued: false, lingering: false }
    }

    /// Whether our side has ended, and its own is waited for.
    pub(super) fn is_lingering(&self) -> bool {
        self.lingering
    }

    /// Whether it can go on without another byte from its socket.
    fn can_go_on(&self) -> bool {
        !self.lingering && if self.walk.is_some() { self.conn.has_room() } else { self.conn.can_resume() }
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Why a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// One side said so, and all is sent.
    Done,
    /// It was idle for too long.
    Idle,
    /// A reply was larger than the limit.
    OutputLimit,
    /// It broke.
    Error(io::Error),
}

impl Server {
    /// Serves a client that is ready; gives the bytes that were moved.
    pub(super) fn serve_client(&mut self, event: Event) -> usize {
        let Some(Source::Client(client)) = self.reactor.get_mut(event.token) else { return 0 };
        if client.lingering {
            return self.linger(event.token);
        }
        let before = self.engine.stats.total_net_input_bytes + self.engine.stats.total_net_output_bytes;
        let reads = client.conn.wants_read() && (event.readable || event.hangup);
        let outcome = match (event.writable, reads) {
            // Where nothing can be read or written any more, a hang-up is all that there is to tell.
            (false, false) if event.hangup => Err(End::Error(io::ErrorKind::ConnectionReset.into())),
            (true, _) => self.send_backlog(event.token),
            _ => Ok(()),
        };
        let outcome = outcome.and_then(|()| if reads { self.receive(event.token) } else { Ok(()) });
        self.finish(event.token, outcome);
        let after = self.engine.stats.total_net_input_bytes + self.engine.stats.total_net_output_bytes;
        // CONFIG RESETSTAT may have come in between.
        after.saturating_sub(before) as usize
    }

    /// Goes on with a client that was cut short; gives about the bytes that were moved.
    pub(super) fn resume(&mut self, token: Token) -> usize {
        let Some(Source::Client(client)) = self.reactor.get_mut(token) else { return 0 };
        client.queued = false;
        if !client.can_go_on() {
            return 0;
        }
        let walks = client.walk.is_some();
        let before = self.engine.stats.total_net_output_bytes;
        let outcome = if walks { self.step_walk(token) } else { self.execute(token, 0) };
        self.finish(token, outcome);
        let sent = self.engine.stats.total_net_output_bytes.saturating_sub(before) as usize;
        // Requests were executed too, if their replies could not be sent: that is work as well.
        if walks { WALK_STEP_BYTES } else { sent.max(TURN_REPLY_BYTES / 4) }
    }

    /// Receives once, and executes what came.
    fn receive(&mut self, token: Token) -> Result<(), End> {
        let Some(Source::Client(client)) = self.reactor.get_mut(token) else { return Ok(()) };
        match client.socket.receive(&mut self.receive) {
            Ok(0) => client.conn.peer_ended(),
            Ok(count) => {
                client.active_ms = self.engine.now.ms;
                self.engine.stats.total_net_input_bytes += count as u64;
                self.execute(token, count)?;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(End::Error(error)),
        }
        Ok(())
    }

    /// Executes what is whole after `received` more bytes, and sends the replies with one call.
    fn execute(&mut self, token: Token, received: usize) -> Result<(), End> {
        let Server { reactor, engine, desk, receive, .. } = self;
        let Some(Source::Client(client)) = reactor.get_mut(token) else { return Ok(()) };
        engine.begin_share();
        let broken = client.conn.execute(&receive[..received], desk, engine);
        if let Some(walk) = engine.begun.take() {
            client.walk = Some(Box::new(walk));
            engine.node.waiting += 1;
        }
        if let Some(error) = broken {
            engine.stats.closed_by_protocol_error += 1;
            engine.stats.count_error(error.text());
            let ParseError::LineTooLong = error;
            log::write(Level::Warn, format_args!("a client sent too long a line, its connection is closed"));
        }
        deliver(client, desk, engine)
    }

    /// Does a piece of a client's walk, and sends what came of it.
    fn step_walk(&mut self, token: Token) -> Result<(), End> {
        let Server { reactor, engine, desk, walk_bytes, .. } = self;
        let Some(Source::Client(client)) = reactor.get_mut(token) else { return Ok(()) };
        let Some(walk) = &mut client.walk else { return Ok(()) };
        let (place, walk) = &mut **walk;
        *walk_bytes -= walk.bytes_used();
        let room = WALK_BYTES_MAX - *walk_bytes;
        let whole = walk.step(&engine.store, engine.now.ms, WALK_ENTRIES_PER_TURN, room, &mut desk.output);
        *walk_bytes += walk.bytes_used();
        client.conn.fill(*place, desk, whole);
        if whole {
            *walk_bytes -= walk.bytes_used();
            client.walk = None;
            engine.node.waiting -= 1;
        }
        send(client, desk, engine)
    }

    fn send_backlog(&mut self, token: Token) -> Result<(), End> {
        let Server { reactor, engine, desk, .. } = self;
        let Some(Source::Client(client)) = reactor.get_mut(token) else { return Ok(()) };
        send(client, desk, engine)
    }

    /// Closes a client that failed; settles how one that did not goes on.
    fn finish(&mut self, token: Token, outcome: Result<(), End>) {
        match outcome {
            Ok(()) => self.settle(token),
            Err(end) => {
                self.desk.output.clear(TURN_REPLY_BYTES);
                self.close(token, end);
            }
        }
    }

    /// Decides what a client is watched for, whether it is queued to go on, or that it is done.
    pub(super) fn settle(&mut self, token: Token) {
        let Some(Source::Client(client)) = self.reactor.get_mut(token) else { return };
        if client.lingering {
            return;
        }
        if client.conn.is_done() {
            let ours = client.conn.is_closing() || self.stage != Stage::Serving;
            // A peer that has been silent has nothing under way that a reset could answer.
            let recent = self.engine.now.ms < client.active_ms + LINGER_MS;
            return if ours && recent { self.begin_linger(token) } else { self.close(token, End::Done) };
        }
        if client.can_go_on() && !client.queued {
            client.queued = true;
            self.resumes.push_back(token);
        }
        let interest = Interest { read: client.conn.wants_read(), write: client.conn.wants_write() };
        self.watch(token, interest);
    }

    /// Ends our side, and listens until the peer ends its own: a close with bytes unread would be a reset, which
    /// takes away our last words where the peer has not read them yet (RFC 1122, 4.2.2.13).
    fn begin_linger(&mut self, token: Token) {
        let Some(Source::Client(client)) = self.reactor.get_mut(token) else { return };
        client.lingering = true;
        client.socket.end_sending();
        self.reactor.set_deadline(token, Some(self.engine.now.ms + LINGER_MS));
        self.watch(token, Interest::READ);
    }

    /// Throws away what a peer still sends; closes when it has ended.
    fn linger(&mut self, token: Token) -> usize {
        let Some(Source::Client(client)) = self.reactor.get_mut(token) else { return 0 };
        match client.socket.discard(&mut self.receive) {
            Ok(count) if count > 0 => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            _ => {
                self.close(token, End::Done);
                0
            }
        }
    }

    /// A client's deadline is due: the end of its lingering, or of our patience with an idle one.
    pub(super) fn client_deadline(&mut self, token: Token) {
        let idle_timeout_ms = self.idle_timeout_ms();
        let Some(Source::Client(client)) = self.reactor.get_mut(token) else { return };
        if client.lingering {
            return self.close(token, End::Done);
        }
        let Some(timeout_ms) = idle_timeout_ms else { return };
        let due_ms = client.active_ms + timeout_ms;
        if due_ms <= self.engine.now.ms && client.walk.is_none() {
            self.close(token, End::Idle);
        } else {
            let next_ms = due_ms.max(self.engine.now.ms + 1);
            self.reactor.set_deadline(token, Some(next_ms));
        }
    }

    pub(super) fn close(&mut self, token: Token, end: End) {
        let Some(Source::Client(mut client)) = self.reactor.remove(token) else { return };
        let Engine { stats, node, .. } = &mut self.engine;
        node.clients -= 1;
        if let Some(walk) = &client.walk {
            node.waiting -= 1;
            self.walk_bytes -= walk.1.bytes_used();
        }
        client.conn.dismantle(&mut self.desk.pool);
        match end {
            End::Done => log::write(Level::Debug, format_args!("a client went, {} are here", node.clients)),
            End::Idle => {
                stats.closed_by_timeout += 1;
                log::write(Level::Debug, format_args!("an idle client was closed, {} are here", node.clients));
            }
            End::OutputLimit => {
                stats.closed_by_output_limit += 1;
                log::write(Level::Warn, format_args!("a client asked for too large a reply, its connection is closed"));
            }
            End::Error(error) => {
                stats.closed_by_peer_error += 1;
                log::write(Level::Debug, format_args!("a connection broke: {error}"));
            }
        }
    }
}

/// Sends the desk's output, or queues it behind what is already queued.
fn deliver(client: &mut Client, desk: &mut Desk, engine: &mut Engine) -> Result<(), End> {
    if desk.output.overflowed() {
        return Err(End::OutputLimit);
    }
    if desk.output.is_empty() {
        return Ok(());
    }
    if !client.conn.is_backlog_empty() {
        // The socket took no more before; it will be reported when it does.
        client.conn.queue_output(desk);
        return Ok(());
    }
    let Some(bytes) = desk.output.plain() else {
        client.conn.queue_output(desk);
        return send(client, desk, engine);
    };
    let sent = moved(client.socket.send(bytes), client, engine)?;
    client.conn.queue_bytes(&bytes[sent..], &mut desk.pool);
    desk.output.clear(TURN_REPLY_BYTES);
    Ok(())
}

/// Sends from the backlog with one call.
fn send(client: &mut Client, desk: &mut Desk, engine: &mut Engine) -> Result<(), End> {
    if client.conn.wants_write() {
        let mut pieces = [IoSlice::new(&[]); SEND_PIECES_MAX];
        let count = client.conn.gather(&mut pieces);
        let outcome = client.socket.send_pieces(&pieces[..count]);
        let sent = moved(outcome, client, engine)?;
        client.conn.advance(sent, &mut desk.pool);
    }
    Ok(())
}

/// How many bytes a send has moved; a socket that takes nothing has moved none.
fn moved(outcome: io::Result<usize>, client: &mut Client, engine: &mut Engine) -> Result<usize, End> {
    match outcome {
        Ok(count) => {
            client.active_ms = engine.now.ms;
            engine.stats.total_net_output_bytes += count as u64;
            Ok(count)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        Err(error) => Err(End::Error(error)),
    }
}

/// Tells a connection beyond the limit so, and closes it.
pub(super) fn reject(socket: &Socket, buffer: &mut [u8]) {
    // What it may have sent already is read first, or the close would be a reset that takes the answer away.
    let _ = socket.discard(buffer);
    let _ = socket.send(b"(error) max number of clients reached\r\n");
}
