//! Publish and subscribe: who listens to what, and the messages that are on their way. Knows no sockets, no clock and no
//! commands; a client is a number.
//!
//! A message is put behind those that wait, and given out one receiver at a time, whenever the loop has time for some: so
//! that one for ten thousand holds nobody up, and everybody gets all messages in the same order. It is for the
//! subscriptions that are older than it, of which there may be fewer by then.

use crate::blob::{Blob, OutOfMemory};
use crate::limits::{
    INLINE_VALUE_BYTES_MAX, MATCH_STEPS_MAX, MESSAGES_BYTES_MAX, SUBSCRIPTION_NAMES_MAX, SUBSCRIPTIONS_MAX,
};
use crate::proto::{Encoding, Face, Output, OwnedArgs, PushWord, Reply, Word};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::rc::Rc;

/// What a subscription is to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The channel of this name.
    Channel = 0,
    /// All channels whose names match.
    Pattern = 1,
    /// What is executed: it has one name, an empty one.
    Monitor = 2,
}

/// Whether a pattern matches a text, and how many more steps matching may take.
pub type Matches = fn(&[u8], &[u8], &mut usize) -> bool;

/// What a subscription costs besides its name, about: a place with its client, one in the common table.
const SUBSCRIPTION_BYTES: usize = 128;

/// A message that there is no way to queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The patterns take too long to be matched.
    TooCostly,
    /// There is no memory for it.
    NoMemory,
}

/// What a client subscribes to.
#[derive(Debug)]
pub struct Subscriber {
    names: [HashMap<Rc<[u8]>, bool>; 3],
    names_bytes: usize,
    /// How it is told, where it has not said HELLO: as it asked.
    pub encoding: Encoding,
}

impl Subscriber {
    /// One that subscribes to nothing yet.
    pub fn new(encoding: Encoding) -> Subscriber {
        Subscriber { names: Default::default(), names_bytes: 0, encoding }
    }

    /// How many subscriptions of a kind it has.
    pub fn count(&self, kind: Kind) -> usize {
        self.names[kind as usize].len()
    }

    /// How many subscriptions to channels and patterns it has.
    pub fn total(&self) -> usize {
        self.count(Kind::Channel) + self.count(Kind::Pattern)
    }

    /// Whether it is told what is executed.
    pub fn monitors(&self) -> bool {
        self.count(Kind::Monitor) > 0
    }

    /// What it subscribes to.
    pub fn names(&self, kind: Kind) -> Vec<Rc<[u8]>> {
        let mut names = Vec::new();
        for name in self.names[kind as usize].keys() {
            names.push(Rc::clone(name));
        }
        names
    }

    /// The memory that its subscriptions take, in bytes.
    pub fn bytes_used(&self) -> usize {
        size_of::<Subscriber>() + self.names_bytes + self.total() * SUBSCRIPTION_BYTES
    }
}

/// A message on its way to the subscribers of one name.
struct Delivery {
    /// The number of the message: it is for subscriptions from before.
    number: u64,
    kind: Kind,
    /// What they subscribe to.
    name: Rc<[u8]>,
    channel: Rc<[u8]>,
    payload: Rc<Blob>,
    /// The first client that may not have got it.
    next: u64,
    /// As it is sent, once it was asked for.
    faces: [Option<Output>; 3],
}

impl Delivery {
    /// What it makes the server hold: the payload, copied into what is sent where it is short.
    fn bytes(&self) -> usize {
        let copies = if self.payload.len() > INLINE_VALUE_BYTES_MAX { 1 } else { 3 };
        size_of::<Delivery>() + copies * (self.payload.len() + self.channel.len() + self.name.len())
    }
}

/// Some clients, each with the number of the last message before it subscribed.
type Clients = BTreeSet<(u64, u64)>;

/// See the module.
#[derive(Default)]
pub struct PubSub {
    /// The subscribers of each name.
    names: [HashMap<Rc<[u8]>, Clients>; 3],
    /// How many messages there were.
    published: u64,
    queue: VecDeque<Delivery>,
    queue_bytes: usize,
    /// The client whose requests are being executed.
    pub asker: u64,
    /// Whether they are those of a transaction, amid which nothing can wait.
    pub in_transaction: bool,
    /// Messages of transactions, which the other nodes of a cluster are still to be told.
    pub for_others: Vec<OwnedArgs>,
    /// Which events of keys are published; 0: none.
    pub events: u16,
}

impl PubSub {
    /// Whether there is room for so many more subscriptions of a client.
    pub fn has_room(&self, subscriber: &Subscriber, kind: Kind, more: usize) -> bool {
        subscriber.total() + more <= SUBSCRIPTIONS_MAX
            && self.names[kind as usize].len() + more <= SUBSCRIPTION_NAMES_MAX
    }

    /// A client subscribes to a name. To do so twice is to do it once.
    pub fn subscribe(&mut self, client: u64, subscriber: &mut Subscriber, kind: Kind, name: &[u8]) {
        if subscriber.names[kind as usize].contains_key(name) {
            return;
        }
        let names = &mut self.names[kind as usize];
        let name: Rc<[u8]> = match names.get_key_value(name) {
            Some((kept, _)) => Rc::clone(kept),
            None => name.into(),
        };
        if let Some(clients) = names.get_mut(&name) {
            clients.insert((client, self.published));
        } else {
            let mut clients = Clients::new();
            clients.insert((client, self.published));
            names.insert(Rc::clone(&name), clients);
        }
        subscriber.names_bytes += name.len();
        subscriber.names[kind as usize].insert(name, true);
    }

    /// A client does not subscribe to a name any more.
    pub fn unsubscribe(&mut self, client: u64, subscriber: &mut Subscriber, kind: Kind, name: &[u8]) {
        if subscriber.names[kind as usize].remove(name).is_none() {
            return;
        }
        subscriber.names_bytes -= name.len();
        let names = &mut self.names[kind as usize];
        let Some(clients) = names.get_mut(name) else { return };
        if let Some(&place) = clients.range((client, 0)..).next() {
            debug_assert!(place.0 == client, "who subscribes to a name stands with it");
            clients.remove(&place);
        }
        if clients.is_empty() {
            names.remove(name);
        }
    }

    /// A client subscribes to nothing any more.
    pub fn leave(&mut self, client: u64, subscriber: &mut Subscriber) {
        for kind in [Kind::Channel, Kind::Pattern, Kind::Monitor] {
            for name in subscriber.names(kind) {
                self.unsubscribe(client, subscriber, kind, &name);
            }
        }
    }

    /// How many names of a kind have subscribers.
    pub fn count(&self, kind: Kind) -> usize {
        self.names[kind as usize].len()
    }

    /// The channels that have subscribers.
    pub fn channels(&self) -> impl Iterator<Item = &[u8]> {
        self.names[Kind::Channel as usize].keys().map(|name| &**name)
    }

    /// How many subscribers a channel has, those of patterns aside.
    pub fn subscribers(&self, channel: &[u8]) -> usize {
        self.names[Kind::Channel as usize].get(channel).map_or(0, Clients::len)
    }

    /// Whether nobody listens to any channel.
    pub fn is_empty(&self) -> bool {
        self.count(Kind::Channel) + self.count(Kind::Pattern) == 0
    }

    /// Whether anybody is told what is executed.
    #[inline]
    pub fn is_monitored(&self) -> bool {
        self.count(Kind::Monitor) > 0
    }

    /// Whether so many bytes of messages wait that who publishes has to wait as well.
    pub fn is_full(&self) -> bool {
        self.queue_bytes >= MESSAGES_BYTES_MAX
    }

    /// Whether no message is on its way.
    #[inline]
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// What the messages on their way make the server hold, in bytes.
    pub fn queue_bytes(&self) -> usize {
        self.queue_bytes
    }

    /// Queues a message for all who listen to a channel; how many they are, a client once for each of its subscriptions
    /// that fit. A long payload in a buffer of its own is not copied.
    ///
    /// # Errors
    /// When it cannot be queued; then nobody gets it.
    pub fn publish(&mut self, channel: &[u8], payload: Word<'_>, matches: Matches) -> Result<usize, Refusal> {
        let mut fitting = Vec::new();
        let mut receivers = 0;
        if let Some((name, clients)) = self.names[Kind::Channel as usize].get_key_value(channel) {
            receivers += clients.len();
            fitting.push((Kind::Channel, Rc::clone(name)));
        }
        let mut steps_left = MATCH_STEPS_MAX;
        for (name, clients) in &self.names[Kind::Pattern as usize] {
            if matches(name, channel, &mut steps_left) {
                receivers += clients.len();
                fitting.push((Kind::Pattern, Rc::clone(name)));
            }
            if steps_left == 0 {
                return Err(Refusal::TooCostly);
            }
        }
        self.published += 1;
        if fitting.is_empty() {
            return Ok(0);
        }
        let payload = match payload {
            Word::Long(payload) => Rc::clone(payload),
            Word::Received(bytes) => Rc::new(copied(bytes).map_err(|_| Refusal::NoMemory)?),
        };
        let channel: Rc<[u8]> = channel.into();
        for (kind, name) in fitting {
            self.push(kind, name, Rc::clone(&channel), Rc::clone(&payload));
        }
        Ok(receivers)
    }

    fn push(&mut self, kind: Kind, name: Rc<[u8]>, channel: Rc<[u8]>, payload: Rc<Blob>) {
        let delivery =
            Delivery { number: self.published, kind, name, channel, payload, next: 0, faces: Default::default() };
        self.queue_bytes += delivery.bytes();
        self.queue.push_back(delivery);
    }

    /// Queues a line, of ASCII alone, for all who are told what is executed.
    ///
    /// # Errors
    /// When it cannot be queued, or too much waits already; then nobody gets it.
    pub fn tell_monitors(&mut self, line: &[u8]) -> Result<(), Refusal> {
        if self.is_full() {
            return Err(Refusal::NoMemory);
        }
        let Some((name, _)) = self.names[Kind::Monitor as usize].get_key_value(&b""[..]) else { return Ok(()) };
        let name = Rc::clone(name);
        let payload = Rc::new(copied(line).map_err(|_| Refusal::NoMemory)?);
        self.published += 1;
        self.push(Kind::Monitor, Rc::clone(&name), name, payload);
        Ok(())
    }

    /// The client that is to get a message next: [`PubSub::message`] tells which.
    pub fn next_receiver(&mut self) -> Option<u64> {
        while let Some(delivery) = self.queue.front_mut() {
            if let Some(clients) = self.names[delivery.kind as usize].get(&delivery.name) {
                for &(client, since) in clients.range((delivery.next, 0)..) {
                    if since < delivery.number {
                        delivery.next = client.saturating_add(1);
                        return Some(client);
                    }
                }
            }
            self.queue_bytes -= delivery.bytes();
            self.queue.pop_front();
        }
        // The room of many is not kept for the next one.
        self.queue = VecDeque::new();
        None
    }

    /// The message for the client that was named last, as it is sent.
    pub fn message(&mut self, encoding: Encoding) -> Option<&Output> {
        let delivery = self.queue.front_mut()?;
        let face = match encoding {
            Encoding::Text => 0,
            Encoding::Resp2 => 1,
            Encoding::Resp3 | Encoding::Bus => 2,
        };
        if delivery.faces[face].is_none() {
            let mut output = Output::default();
            write(delivery, &mut Reply::new(&mut output, encoding, Face::Typed));
            delivery.faces[face] = Some(output);
        }
        delivery.faces[face].as_ref()
    }
}

/// A payload in memory of its own.
fn copied(bytes: &[u8]) -> Result<Blob, OutOfMemory> {
    let mut blob = Blob::try_with_room(bytes.len())?;
    blob.extend_from_slice(bytes);
    Ok(blob)
}

/// Writes a message: a short payload is copied, a long one sent from where it lies.
fn write(delivery: &Delivery, reply: &mut Reply<'_>) {
    let payload = match delivery.payload.len() {
        ..=INLINE_VALUE_BYTES_MAX => PushWord::Bytes(&delivery.payload),
        _ => PushWord::Shared(&delivery.payload),
    };
    let channel = PushWord::Bytes(&delivery.channel);
    match delivery.kind {
        Kind::Channel => reply.push(&[PushWord::Bytes(b"message"), channel, payload], false),
        Kind::Pattern => {
            reply.push(&[PushWord::Bytes(b"pmessage"), PushWord::Bytes(&delivery.name), channel, payload], false);
        }
        Kind::Monitor => reply.simple(str::from_utf8(&delivery.payload).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some clients, each with what it subscribes to.
    struct Desk {
        pubsub: PubSub,
        clients: Vec<Subscriber>,
    }

    impl Desk {
        fn new(clients: usize) -> Desk {
            let clients = (0..clients).map(|_| Subscriber::new(Encoding::Resp3)).collect();
            Desk { pubsub: PubSub::default(), clients }
        }

        fn subscribe(&mut self, client: usize, kind: Kind, name: &str) {
            self.pubsub.subscribe(client as u64, &mut self.clients[client], kind, name.as_bytes());
        }

        fn unsubscribe(&mut self, client: usize, kind: Kind, name: &str) {
            self.pubsub.unsubscribe(client as u64, &mut self.clients[client], kind, name.as_bytes());
        }

        fn publish(&mut self, channel: &str, payload: &str) -> usize {
            let matches: Matches = |pattern, text, _| text.starts_with(pattern.strip_suffix(b"*").unwrap_or(pattern));
            self.pubsub.publish(channel.as_bytes(), Word::Received(payload.as_bytes()), matches).expect("room")
        }

        /// The next message that is given out, and to whom.
        fn next(&mut self) -> Option<(u64, String)> {
            let client = self.pubsub.next_receiver()?;
            let output = self.pubsub.message(Encoding::Text)?;
            Some((client, String::from_utf8_lossy(output.plain().expect("it is short")).trim_end().into()))
        }

        fn all(&mut self) -> Vec<(u64, String)> {
            std::iter::from_fn(|| self.next()).collect()
        }
    }

    fn told(client: u64, text: &str) -> (u64, String) {
        (client, text.into())
    }

    #[test]
    fn messages_go_to_who_listens_in_order() {
        let mut desk = Desk::new(3);
        desk.subscribe(0, Kind::Channel, "news");
        desk.subscribe(2, Kind::Channel, "news");
        desk.subscribe(2, Kind::Channel, "news");
        desk.subscribe(1, Kind::Pattern, "n*");
        assert_eq!((desk.publish("news", "a"), desk.publish("night", "b"), desk.publish("other", "c")), (3, 1, 0));
        let wanted = [
            told(0, "message news a"),
            told(2, "message news a"),
            told(1, "pmessage n* news a"),
            told(1, "pmessage n* night b"),
        ];
        assert_eq!(desk.all(), wanted);
        assert!(desk.pubsub.is_idle() && desk.pubsub.queue_bytes() == 0);
    }

    #[test]
    fn a_message_is_for_older_subscriptions_alone() {
        let mut desk = Desk::new(4);
        for client in [0, 1, 2] {
            desk.subscribe(client, Kind::Channel, "ch");
        }
        assert_eq!(desk.publish("ch", "one"), 3);
        assert_eq!(desk.next(), Some(told(0, "message ch one")));
        // One comes, one goes, one goes and comes back, while the message is being given out.
        desk.subscribe(3, Kind::Channel, "ch");
        desk.unsubscribe(1, Kind::Channel, "ch");
        desk.unsubscribe(2, Kind::Channel, "ch");
        desk.subscribe(2, Kind::Channel, "ch");
        assert_eq!(desk.publish("ch", "two"), 3);
        let wanted = [told(0, "message ch two"), told(2, "message ch two"), told(3, "message ch two")];
        assert_eq!(desk.all(), wanted);
    }

    #[test]
    fn who_leaves_leaves_nothing_behind() {
        let mut desk = Desk::new(2);
        for client in [0, 1] {
            desk.subscribe(client, Kind::Channel, "a");
            desk.subscribe(client, Kind::Pattern, "a");
        }
        assert_eq!((desk.clients[0].total(), desk.pubsub.subscribers(b"a")), (2, 2));
        desk.publish("a", "gone");
        for client in [0, 1] {
            desk.pubsub.leave(client, &mut desk.clients[client as usize]);
            assert_eq!(desk.clients[client as usize].bytes_used(), size_of::<Subscriber>());
        }
        assert!(desk.pubsub.is_empty() && desk.pubsub.count(Kind::Pattern) == 0);
        assert_eq!((desk.all(), desk.pubsub.queue_bytes()), (vec![], 0));
    }

    #[test]
    fn a_long_payload_is_shared() {
        let mut desk = Desk::new(2);
        for client in [0, 1] {
            desk.subscribe(client, Kind::Channel, "ch");
        }
        let payload = Rc::new(Blob::from(vec![b'x'; 100_000]));
        desk.pubsub.publish(b"ch", Word::Long(&payload), |_, _, _| false).expect("room");
        for _ in 0..2 {
            desk.pubsub.next_receiver().expect("a receiver");
            let output = desk.pubsub.message(Encoding::Resp2).expect("a message");
            assert_eq!((output.copied_bytes(), output.shared_bytes()), (36, 100_000));
        }
        // Here, on its way, and as it is sent.
        assert_eq!(Rc::strong_count(&payload), 3);
        assert_eq!((desk.next(), Rc::strong_count(&payload)), (None, 1));
    }

    #[test]
    fn what_waits_is_bounded_and_so_is_what_a_client_has() {
        let mut desk = Desk::new(1);
        desk.subscribe(0, Kind::Channel, "ch");
        let payload = "x".repeat(1000);
        let mut messages = 0;
        while !desk.pubsub.is_full() {
            assert_eq!(desk.publish("ch", &payload), 1);
            messages += 1;
        }
        assert!(messages * 1000 <= MESSAGES_BYTES_MAX && desk.pubsub.queue_bytes() < MESSAGES_BYTES_MAX + 10_000);
        assert_eq!(desk.all().len(), messages);
        assert!(!desk.pubsub.is_full());
        assert!(desk.pubsub.has_room(&desk.clients[0], Kind::Channel, SUBSCRIPTIONS_MAX - 1));
        assert!(!desk.pubsub.has_room(&desk.clients[0], Kind::Pattern, SUBSCRIPTIONS_MAX));
    }

    #[test]
    fn patterns_that_take_too_long_are_refused() {
        let mut desk = Desk::new(1);
        desk.subscribe(0, Kind::Pattern, "p");
        let refused = desk.pubsub.publish(b"ch", Word::Received(b"x"), |_, _, steps_left| {
            *steps_left = 0;
            false
        });
        assert_eq!((refused, desk.pubsub.is_idle()), (Err(Refusal::TooCostly), true));
    }
}
