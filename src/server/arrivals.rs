//! What arrives from clients: received and parsed client by client, then executed together.

use super::client::{Client, End, deliver};
use super::engine::Serving;
use super::{Engine, Noise, Server, Source, State, Token, clients};
use crate::conn::Share;
use crate::limits::{RECEIVE_BYTES, RECEIVE_BYTES_PER_BATCH};
use crate::proto::ParseError;
use std::io;
use std::ops::Range;

/// What was received from a client, parsed and not executed yet.
pub(super) struct Arrival {
    token: Token,
    /// Where the bytes are in the receive buffer.
    fresh: Range<usize>,
    share: Share,
}

impl Server {
    /// Receives once, and parses what came; whether something has arrived that is to be executed.
    #[cfg_attr(memento_small, optimize(speed))]
    pub(super) fn receive(&mut self, token: Token) -> Result<bool, End> {
        let Server { reactor, engine, receive, received, .. } = self;
        let Some(Source::Client(client)) = reactor.get_mut(token) else { return Ok(false) };
        let Client { socket, conn, active_ms, .. } = client;
        // The bytes of a long word go straight to where they will stay.
        let space = conn.recv_space();
        let direct = space.is_some();
        match socket.receive(space.unwrap_or(&mut receive[*received..*received + RECEIVE_BYTES])) {
            Ok(0) => conn.peer_ended(),
            Ok(count) => {
                *active_ms = engine.state.now.ms;
                engine.state.stats.total_net_input_bytes += count as u64;
                if !direct {
                    self.parse(token, count);
                    return Ok(true);
                } else if conn.recv_advance(count) {
                    self.parse(token, 0);
                    return Ok(true);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(End::Error(error)),
        }
        Ok(false)
    }

    /// Parses what is whole after `count` more bytes were received; it will be executed with all that arrived.
    #[cfg_attr(memento_small, optimize(speed))]
    pub(super) fn parse(&mut self, token: Token, count: usize) {
        let Server { reactor, engine, receive, received, batch, arrivals, bus, .. } = self;
        let Some(Source::Client(client)) = reactor.get_mut(token) else { return };
        let fresh = *received..*received + count;
        let mut serving = Serving::of_client(engine, &mut client.session, &client.socket, token, bus.as_deref_mut());
        let share = client.conn.parse(&receive[fresh.clone()], batch, &mut serving);
        client.has_asked |= share.has_requests();
        *received = fresh.end;
        arrivals.push(Arrival { token, fresh, share });
    }

    /// Whether one more client may be received from before what arrived is executed.
    pub(super) fn may_receive(&self) -> bool {
        self.received < RECEIVE_BYTES_PER_BATCH && !self.batch.is_full()
    }

    /// Executes what has arrived; gives the bytes that were sent.
    #[cfg_attr(memento_small, optimize(speed))]
    pub(super) fn execute_arrivals(&mut self) -> usize {
        let before = self.engine.state.stats.total_net_output_bytes;
        self.engine.fetch(self.batch.requests());
        let mut arrivals = std::mem::take(&mut self.arrivals);
        for (number, arrival) in arrivals.drain(..).enumerate() {
            let token = arrival.token;
            // The first one was waited for with all others: whatever time it is, it goes on.
            let outcome =
                if number > 0 && !self.engine.has_time() { self.postpone(arrival) } else { self.execute(arrival) };
            self.finish(token, outcome);
        }
        self.arrivals = arrivals;
        self.received = 0;
        // A long word must not stay for as long as nobody asks for anything.
        self.batch.clear();
        self.engine.state.stats.total_net_output_bytes.saturating_sub(before) as usize
    }

    /// Leaves what arrived to a later turn; executes what cannot be left.
    #[inline(never)]
    fn postpone(&mut self, arrival: Arrival) -> Result<(), End> {
        let Server { reactor, receive, desk, .. } = self;
        let Arrival { token, fresh, share } = arrival;
        let Some(client) = reactor.client(token) else { return Ok(()) };
        match client.conn.postpone(&receive[fresh.clone()], share, &mut desk.pool) {
            Ok(()) => Ok(()),
            Err(share) => self.execute(Arrival { token, fresh, share }),
        }
    }

    /// Executes what has arrived from one client, and sends the replies with one call.
    #[cfg_attr(memento_small, optimize(speed))]
    fn execute(&mut self, Arrival { token, fresh, share }: Arrival) -> Result<(), End> {
        let Server { reactor, engine, desk, receive, batch, bus, .. } = self;
        let Some(Source::Client(client)) = reactor.get_mut(token) else { return Ok(()) };
        engine.begin_share();
        // What it has sent becomes requests now, and what these store is counted as stored.
        engine.state.node.held_bytes -= std::mem::take(&mut client.held_bytes) as usize;
        let bus = bus.as_deref_mut();
        let mut serving = Serving::of_client(engine, &mut client.session, &client.socket, token, bus);
        let broken = client.conn.execute(&receive[fresh], share, batch, desk, &mut serving);
        let Serving { promise, http: serving_http, .. } = serving;
        engine.end_share();
        if broken.is_some() || serving_http {
            tell_of_broken(client, broken, engine, &mut self.noise);
        }
        deliver(client, desk, engine)?;
        promise.map_or(Ok(()), |promise| self.keep(token, promise))
    }
}

/// Counts and tells that a client is closed for what it sent: an error, or else a request of HTTP.
#[cold]
fn tell_of_broken(client: &Client, broken: Option<ParseError>, engine: &mut Engine, noise: &mut Noise) {
    let State { stats, now, .. } = &mut engine.state;
    let peer = clients::peer(client);
    let Some(error) = broken else {
        stats.closed_by_protocol_error += 1;
        return noise.write(now.ms, format_args!("{peer} is closed, it sent an HTTP request"));
    };
    let why = error.text();
    stats.count_error(&why);
    let (counter, what) = match error {
        ParseError::NoMemory => (&mut stats.closed_by_memory_shortage, "its request is too large"),
        _ => (&mut stats.closed_by_protocol_error, "what it sent is no request"),
    };
    *counter += 1;
    noise.write(now.ms, format_args!("{peer} is closed, {what}: {why}"));
}
