//! All clients together: what CLIENT asks about them (LIST, INFO, KILL), and who goes when they hold too much.

use super::client::{Client, End};
use super::{Server, Source, Token};
use crate::command::{ClientKind, Clients, Filter};
use crate::limits::CLIENTS_EVICTED_PER_TURN_MAX;
use crate::pairs::Pairs;
use crate::proto::{Encoding, Reply};
use crate::pubsub::{Kind, Subscriber};
use std::fmt::Write;
use std::net::SocketAddr;

/// What came of it.
pub(super) enum Answer {
    /// Lines to read.
    Text(String),
    /// How many were closed.
    Count(i64),
    /// It is done.
    Done,
    /// There is none such.
    NoSuchClient,
}

impl Answer {
    pub(super) fn write(&self, reply: &mut Reply<'_>) {
        match self {
            Answer::Text(text) => reply.verbatim(text),
            Answer::Count(count) => reply.integer(*count),
            Answer::Done => reply.ok(),
            Answer::NoSuchClient => reply.error("ERR No such client"),
        }
    }
}

impl Server {
    /// Does what the client `asker` asks about clients.
    pub(super) fn answer_clients(&mut self, asker: Token, request: &Clients) -> Answer {
        match request {
            Clients::Info => Answer::Text(self.describe(&[asker])),
            Clients::List(filter) => {
                let fitting = self.fitting(asker, filter);
                Answer::Text(self.describe(&fitting))
            }
            Clients::Kill(filter) => {
                let fitting = self.fitting(asker, filter);
                fitting.iter().for_each(|&token| self.kill(asker, token));
                Answer::Count(fitting.len() as i64)
            }
            Clients::KillAddress(address) => {
                let filter = Filter { address: Some(address.clone()), ..Filter::default() };
                let fitting = self.fitting(asker, &filter);
                fitting.iter().for_each(|&token| self.kill(asker, token));
                if fitting.is_empty() { Answer::NoSuchClient } else { Answer::Done }
            }
        }
    }

    /// Whether all clients together make the server hold more than they may.
    pub(super) fn clients_hold_too_much(&self) -> bool {
        let bytes_max = self.engine.state.settings.clients_bytes_max();
        bytes_max > 0 && self.engine.state.node.held_bytes.saturating_sub(self.spared_bytes) as u64 > bytes_max
    }

    /// Closes those clients first that make the server hold most, until all together hold no more than they may, or as many
    /// have gone as may go in a turn. Nobody is looked at where not too much is held.
    ///
    /// Of the words that are being received, the longest one does not count, unless it is longer than may be or the memory
    /// limit is reached and nothing may go for it: else no value could be stored that is longer than what clients may hold.
    /// What its client holds besides counts as everybody's.
    pub(super) fn evict_clients(&mut self) {
        self.spared_bytes = 0;
        if self.clients_hold_too_much() {
            self.evict_holders();
        }
    }

    #[cfg_attr(memento_small, inline(never))]
    fn evict_holders(&mut self) {
        let word_bytes_max = if self.engine.is_full { 0 } else { self.engine.state.settings.word_bytes_max() };
        let mut holders = Pairs::default();
        let mut spared = None;
        for token in self.reactor.tokens() {
            if let Some(client) = self.reactor.client(token)
                && client.held_bytes > 0
            {
                let holder = (client.held_bytes.into(), token.to_bits());
                holders.insert(holder);
                let long_bytes = client.conn.long_bytes();
                if long_bytes > self.spared_bytes && long_bytes as u64 <= word_bytes_max {
                    (spared, self.spared_bytes) = (Some(holder), long_bytes);
                }
            }
        }
        if !self.clients_hold_too_much() {
            return;
        }
        if let Some((bytes, token)) = spared {
            holders.remove((bytes, token));
            let others = bytes.saturating_sub(self.spared_bytes as u64);
            if others > 0 {
                holders.insert((others, token));
            }
        }
        for _ in 0..CLIENTS_EVICTED_PER_TURN_MAX {
            let Some((bytes, token)) = holders.last() else { return };
            holders.remove((bytes, token));
            if spared.is_some_and(|(_, spared)| spared == token) {
                // Its word goes with it.
                self.spared_bytes = 0;
            }
            self.close(Token::from_bits(token), End::Evicted(bytes as u32));
            if !self.clients_hold_too_much() {
                return;
            }
        }
    }

    /// Closes a client; the one that asks for it gets its answer first.
    fn kill(&mut self, asker: Token, token: Token) {
        if token != asker {
            return self.close(token, End::Killed);
        }
        if let Some(client) = self.reactor.client(token) {
            client.conn.close();
        }
    }

    fn fitting(&mut self, asker: Token, filter: &Filter) -> Vec<Token> {
        let mut tokens = self.reactor.tokens();
        tokens.retain(|&token| match self.reactor.get_mut(token) {
            Some(Source::Client(client)) => fits(client, filter) && !(filter.skip_me && token == asker),
            _ => false,
        });
        tokens
    }

    /// A line a client.
    fn describe(&mut self, tokens: &[Token]) -> String {
        let now_ms = self.engine.state.now.ms;
        let mut text = String::new();
        for &token in tokens {
            if let Some(client) = self.reactor.client(token) {
                describe(client, now_ms, &mut text);
            }
        }
        text
    }
}

fn fits(client: &Client, filter: &Filter) -> bool {
    let is = |wanted: &Option<String>, address: String| wanted.as_ref().is_none_or(|wanted| *wanted == address);
    filter.ids.as_ref().is_none_or(|ids| ids.contains(&client.session.id))
        && is(&filter.address, peer(client))
        && is(&filter.local_address, local(client))
        && filter.kind.is_none_or(|kind| kind == kind_of(client))
        && filter.default_user != Some(false)
}

fn kind_of(client: &Client) -> ClientKind {
    if client.session.is_subscriber() { ClientKind::Subscriber } else { ClientKind::Ordinary }
}

/// Where a client comes from.
pub(super) fn peer(client: &Client) -> String {
    address_of(client.socket.peer())
}

/// Where a client came to.
fn local(client: &Client) -> String {
    address_of(client.socket.local())
}

/// An address; a Unix socket has none, and neither has who is gone.
pub(super) fn address_of(address: Option<SocketAddr>) -> String {
    address.map_or_else(|| "unix:0".into(), |address| address.to_string())
}

/// The fields of Redis's CLIENT LIST; those that mean nothing here have the value of nothing.
fn describe(client: &mut Client, now_ms: u64, text: &mut String) {
    let seconds = |since_ms: u64| now_ms.saturating_sub(since_ms) / 1000;
    let printable = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let session = &client.session;
    let names = session.names.as_deref();
    let transaction = session.transaction.as_deref();
    let queued = transaction.and_then(|transaction| transaction.queued());
    let queue_bytes = transaction.map_or(0, |transaction| transaction.bytes_used());
    let (input, input_free) = client.conn.input_bytes();
    let (copied, pinned) = client.conn.output_bytes();
    let subscriber = session.subscriber.as_deref();
    let subscriptions = |kind| subscriber.map_or(0, |subscriber| subscriber.count(kind));
    let subscriber_bytes = subscriber.map_or(0, Subscriber::bytes_used);
    // Its bits: it has a transaction, subscribes, monitors.
    const FLAGS: [&str; 8] = ["N", "x", "P", "Px", "O", "Ox", "OP", "OPx"];
    let monitors = subscriber.is_some_and(|subscriber| subscriber.monitors);
    let bits = [queued.is_some(), session.is_subscriber(), monitors];
    let flags = FLAGS[bits.iter().rev().fold(0, |bits, &bit| 2 * bits + usize::from(bit))];
    // Writing into a String cannot fail.
    let _ = writeln!(
        text,
        "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={flags} db=0 sub={} psub={} ssub=0 multi={} \
         qbuf={input} qbuf-free={input_free} argv-mem=0 multi-mem={queue_bytes} rbs=0 rbp=0 obl=0 oll={} omem={} \
         tot-mem={} events=r cmd={} user=default redir=-1 resp={} lib-name={} lib-ver={}",
        session.id,
        peer(client),
        local(client),
        client.socket.number(),
        printable(session.name()),
        seconds(session.since_ms),
        seconds(client.active_ms),
        subscriptions(Kind::Channel),
        subscriptions(Kind::Pattern),
        queued.map_or(-1, |queued| queued as i64),
        usize::from(copied + pinned > 0),
        copied + pinned,
        size_of::<Client>() + input + input_free + copied + queue_bytes + subscriber_bytes,
        session.last().map_or("NULL", |spec| spec.name()),
        if session.encoding == Some(Encoding::Resp3) { 3 } else { 2 },
        names.map_or_else(String::new, |names| printable(&names.library)),
        names.map_or_else(String::new, |names| printable(&names.version)),
    );
}
