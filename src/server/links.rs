//! The connections to the other nodes, as more descriptors of the same loop: made, served and closed.

use super::bus::{Link, Stage};
use super::forward::tell_of_transactions;
use super::forwards::Ticket;
use super::hands::Hands;
use super::{Bus, Event, Interest, Level, Server, Socket, Source, Token, log};
use crate::cluster::{Cluster, LinkId, NodeId};
use crate::limits::{
    ACCEPTS_PER_TURN_MAX, BUS_KERNEL_BYTES, BUS_SEND_BYTES_PER_TURN, HELLO_MS, MISSED_MS, SEND_PIECES_MAX,
    TURN_REPLY_BYTES,
};
use std::io::{self, IoSlice};
use std::net::IpAddr;

impl Server {
    /// Lends the cluster and all that it may use. Nothing happens on a node that is alone.
    fn with_cluster<T>(&mut self, act: impl FnOnce(&mut Cluster<Ticket>, u64, &mut Hands<'_>) -> T) -> Option<T> {
        let Server { bus, reactor, engine, desk, walk_bytes, .. } = self;
        let Bus { cluster, forwards, .. } = &mut **bus.as_mut()?;
        let now_ms = engine.state.now.ms;
        cluster.set_clock_us(engine.state.measures.ended_ns / 1000);
        Some(act(cluster, now_ms, &mut Hands { engine, reactor, desk, forwards, walk_bytes }))
    }

    /// Accepts the connections of other nodes.
    #[cfg_attr(memento_small, inline(never))]
    pub(super) fn accept_links(&mut self, token: Token) {
        for _ in 0..ACCEPTS_PER_TURN_MAX {
            let Some(Source::BusListener(listener)) = self.reactor.get_mut(token) else { return };
            match listener.accept() {
                Ok(socket) => self.welcome_link(socket),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if super::is_exhaustion(&error) => return self.pause_accepting(token, &error),
                Err(error) => log::write(Level::Debug, format_args!("a link was lost in the queue: {error}")),
            }
        }
    }

    fn welcome_link(&mut self, socket: Socket) {
        // A peer that has gone already has no address.
        let Some(peer) = socket.peer() else { return };
        let link = self.with_cluster(|cluster, now_ms, _| cluster.handle_accepted(now_ms, peer.ip()));
        let Some(link) = link.flatten() else { return };
        socket.limit_unsent(BUS_KERNEL_BYTES);
        match self.reactor.insert(Source::Link(Link { socket, stage: Stage::Known(link) }), Interest::READ) {
            Ok(token) => {
                if let Some(bus) = &mut self.bus {
                    bus.connections.push((link, token));
                }
            }
            Err(error) => {
                let why = format!("it cannot be watched: {error}");
                self.with_cluster(|cluster, now_ms, hands| cluster.handle_closed(now_ms, link, &why, hands));
            }
        }
    }

    /// Connects to the nodes that the cluster wants to be connected to.
    #[cfg_attr(memento_small, inline(never))]
    fn dial(&mut self) {
        while let Some(bus) = &mut self.bus
            && let Some(node) = bus.cluster.poll_connect(self.engine.state.now.ms)
        {
            let map = bus.cluster.map();
            let own: IpAddr = map.member(map.own()).address.ip();
            let dialled = Socket::connect(own, map.member(node).address).and_then(|socket| {
                self.reactor.insert(Source::Link(Link { socket, stage: Stage::Dialling(node) }), Interest::WRITE)
            });
            match dialled {
                Ok(token) => self.reactor.set_deadline(token, Some(self.engine.state.now.ms + HELLO_MS)),
                Err(error) => self.dial_failed(node, &error),
            }
        }
    }

    /// A connection that was being made is there.
    #[cfg_attr(memento_small, inline(never))]
    fn dialled(&mut self, token: Token, node: NodeId) {
        let link = self.with_cluster(|cluster, now_ms, _| cluster.handle_connected(now_ms, node));
        self.reactor.set_deadline(token, None);
        if let (Some(link), Some(Source::Link(connection)), Some(bus)) =
            (link, self.reactor.get_mut(token), &mut self.bus)
        {
            connection.socket.limit_unsent(BUS_KERNEL_BYTES);
            connection.stage = Stage::Known(link);
            bus.connections.push((link, token));
            self.watch(token, Interest::READ);
        }
    }

    fn dial_failed(&mut self, node: NodeId, error: &io::Error) {
        if let Some(bus) = &mut self.bus {
            let (name, since_ms) = (bus.forwards.bus_name(node), bus.cluster.peer(node).since_ms);
            log::write(Level::Debug, format_args!("{name} cannot be reached: {error}"));
            let missed = self.engine.state.now.ms >= since_ms + MISSED_MS;
            if missed && !std::mem::replace(&mut bus.missed[node.index()], true) {
                let seconds = MISSED_MS / 1000;
                let text = format_args!(
                    "{name} cannot be reached for {seconds} seconds: {error}; it is tried again every second"
                );
                log::write(Level::Warn, text);
            }
        }
        self.with_cluster(|cluster, now_ms, _| cluster.handle_connect_failed(now_ms, node));
    }

    /// A connection that is being made has taken too long.
    pub(super) fn link_deadline(&mut self, token: Token) {
        if let Some(Source::Link(Link { stage: Stage::Dialling(_), .. })) = self.reactor.get_mut(token) {
            self.break_link(token, &io::ErrorKind::TimedOut.into());
        }
    }

    /// Serves a connection of the bus that is ready; gives the bytes that were moved.
    pub(super) fn serve_link(&mut self, event: Event) -> usize {
        let Some(Source::Link(Link { socket, stage })) = self.reactor.get_mut(event.token) else { return 0 };
        match *stage {
            Stage::Dialling(node) => {
                match socket.connect_outcome() {
                    Ok(()) => self.dialled(event.token, node),
                    Err(error) => {
                        drop(self.reactor.remove(event.token));
                        self.dial_failed(node, &error);
                    }
                }
                0
            }
            Stage::Known(link) => {
                let sent = if event.writable { self.send_link(event.token, link) } else { 0 };
                sent + if event.readable || event.hangup { self.receive_link(event.token, link) } else { 0 }
            }
        }
    }

    /// Receives once, and does what the bytes say.
    #[cfg_attr(memento_small, inline(never))]
    fn receive_link(&mut self, token: Token, link: LinkId) -> usize {
        let (Some(Source::Link(connection)), Some(bus)) = (self.reactor.get_mut(token), &mut self.bus) else {
            return 0;
        };
        let mut receive = std::mem::take(&mut bus.receive);
        let outcome = connection.socket.receive(&mut receive);
        self.engine.begin_share();
        let count = outcome.as_ref().map_or(0, |&count| count);
        match outcome {
            Ok(0) => self.end_link(link, "it has closed the link"),
            Ok(count) => {
                let received = &receive[..count];
                self.with_cluster(|cluster, now_ms, hands| cluster.handle_bytes(now_ms, link, received, hands));
                self.engine.end_share();
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => self.end_link(link, &error.to_string()),
        }
        if let Some(bus) = &mut self.bus {
            bus.receive = receive;
            if bus.cluster.can_resume(link) {
                self.settle_link(token, link);
            }
        }
        count
    }

    /// Sends what a link has to send, with one call where the socket takes it; gives the bytes that were moved.
    fn send_link(&mut self, token: Token, link: LinkId) -> usize {
        let (Some(Source::Link(connection)), Some(bus)) = (self.reactor.get_mut(token), &mut self.bus) else {
            return 0;
        };
        let (mut moved, mut failure) = (0, None);
        while bus.cluster.wants_write(link) && moved < BUS_SEND_BYTES_PER_TURN {
            let mut pieces = [IoSlice::new(&[]); SEND_PIECES_MAX];
            let count = bus.cluster.gather(link, &mut pieces);
            let whole: usize = pieces[..count].iter().map(|piece| piece.len()).sum();
            match connection.socket.send_pieces(&pieces[..count]) {
                Ok(sent) => {
                    bus.cluster.advance(link, sent);
                    moved += sent;
                    if sent < whole {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    failure = Some(error.to_string());
                    break;
                }
            }
        }
        if let Some(why) = failure {
            self.end_link(link, &why);
            return moved;
        }
        self.settle_link(token, link);
        moved
    }

    /// Decides what a link is watched for, and whether it is queued to go on.
    fn settle_link(&mut self, token: Token, link: LinkId) {
        if let Some(bus) = &mut self.bus {
            // Also where it could not go on before the peer took its answers: no further byte may come of that peer, if
            // all that it has to ask lies here.
            if bus.cluster.can_resume(link) && !bus.stalled.contains(&link) {
                bus.stalled.push(link);
            }
            let interest =
                Interest { read: bus.cluster.wants_read(link), write: bus.cluster.wants_write(link), ..Interest::NONE };
            self.watch(token, interest);
        }
    }

    /// Goes on with links whose requests were more than a turn's share.
    #[cfg_attr(memento_small, inline(never))]
    fn resume_links(&mut self) {
        let Some(bus) = &mut self.bus else { return };
        for link in std::mem::take(&mut bus.stalled) {
            self.engine.begin_share();
            let goes_on = self.with_cluster(|cluster, now_ms, hands| {
                if cluster.can_resume(link) {
                    cluster.handle_bytes(now_ms, link, &[], hands);
                }
                cluster.can_resume(link)
            });
            self.engine.end_share();
            let Some(bus) = &mut self.bus else { return };
            if goes_on == Some(true) {
                bus.stalled.push(link);
            } else if let Some(token) = bus.token_of(link) {
                self.settle_link(token, link);
            }
        }
    }

    /// A connection of the bus cannot go on.
    pub(super) fn break_link(&mut self, token: Token, error: &io::Error) {
        match self.reactor.get_mut(token) {
            Some(Source::Link(Link { stage: Stage::Known(link), .. })) => {
                let link = *link;
                self.end_link(link, &error.to_string());
            }
            Some(Source::Link(Link { stage: Stage::Dialling(node), .. })) => {
                let node = *node;
                drop(self.reactor.remove(token));
                self.dial_failed(node, error);
            }
            _ => {}
        }
    }

    /// A link's connection has ended or broken.
    fn end_link(&mut self, link: LinkId, why: &str) {
        self.with_cluster(|cluster, now_ms, hands| cluster.handle_closed(now_ms, link, why, hands));
        self.drop_connection(link);
    }

    /// Closes the connections that the cluster has done with.
    fn close_links(&mut self) {
        while let Some(bus) = &mut self.bus
            && let Some(link) = bus.cluster.poll_close()
        {
            self.drop_connection(link);
        }
    }

    fn drop_connection(&mut self, link: LinkId) {
        if let Some(bus) = &mut self.bus
            && let Some(token) = bus.token_of(link)
        {
            bus.connections.retain(|(known, _)| *known != link);
            drop(self.reactor.remove(token));
        }
    }

    /// What is left to do for the cluster at the end of a turn: what is due, then what was made is sent, to each client
    /// and each node with one call.
    pub(super) fn serve_bus(&mut self) {
        if self.bus.is_some() {
            self.serve_cluster();
        }
    }

    #[cfg_attr(memento_small, inline(never))]
    fn serve_cluster(&mut self) {
        let keys = self.engine.state.store.len() as u64;
        self.resume_links();
        self.with_cluster(|cluster, now_ms, hands| {
            cluster.set_keys(keys);
            cluster.handle_timeout(now_ms, hands);
            hands.step_errand(cluster);
            hands.step_publishes(cluster);
            tell_of_transactions(hands.engine, cluster, hands.forwards);
            hands.decline(cluster);
            hands.forget_orphans(cluster);
        });
        if let Some(bus) = &mut self.bus {
            bus.learn_names();
        }
        self.close_links();
        self.dial();
        self.uncork();
        self.send_to_touched();
        while let Some(bus) = &mut self.bus
            && let Some(link) = bus.cluster.poll_send()
        {
            if let Some(token) = bus.token_of(link) {
                self.send_link(token, link);
            }
        }
    }

    /// Lets clients go on that waited for room on a link that has some again.
    #[cfg_attr(memento_small, inline(never))]
    fn uncork(&mut self) {
        while let Some(bus) = &mut self.bus
            && let Some(node) = bus.cluster.poll_room()
        {
            for (full, token) in std::mem::take(&mut bus.forwards.corked) {
                if full != node {
                    if let Some(bus) = &mut self.bus {
                        bus.forwards.corked.push((full, token));
                    }
                } else if let Some(client) = self.reactor.client(token) {
                    client.conn.uncork();
                    self.settle(token);
                }
            }
        }
    }

    /// Sends clients what other nodes have answered.
    fn send_to_touched(&mut self) {
        let Some(bus) = &mut self.bus else { return };
        let mut touched = std::mem::take(&mut bus.forwards.touched);
        for token in touched.drain(..) {
            self.send_touched(token);
        }
        self.desk.output.clear(TURN_REPLY_BYTES);
        if let Some(bus) = &mut self.bus {
            bus.forwards.touched = touched;
        }
    }
}
