//! Publish and subscribe: who listens to what, and the messages that are on their way; and who watches what is executed.
//! Knows no sockets, no clock and no commands; a client is a number.
//!
//! A message is put behind those that wait, and given out one receiver at a time, whenever the loop has time for some: so
//! that one for ten thousand holds nobody up, and everybody gets all messages in the same order. It is for the
//! subscriptions that are older than it, of which there may be fewer by then: messages and subscriptions are numbered in
//! one row.

use crate::blob::{Blob, OutOfMemory};
use crate::limits::{
    INLINE_VALUE_BYTES_MAX, MESSAGES_BYTES_MAX, MESSAGES_TOLD_BYTES_MAX, MONITORS_MAX, PATTERN_STEPS_MAX,
    PATTERN_STEPS_PER_TURN, SUBSCRIPTION_NAMES_MAX, SUBSCRIPTIONS_ENDED_AT_ONCE, SUBSCRIPTIONS_MAX,
};
use crate::names::Names;
use crate::proto::{Encoding, Face, Output, OwnedArgs, PushWord, Reply, Word};
use std::collections::VecDeque;
use std::mem;
use std::rc::Rc;

/// What a subscription is to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The channel of this name.
    Channel = 0,
    /// All channels whose names match.
    Pattern = 1,
}

/// Whether a pattern matches a text, and how many more steps matching may take.
pub type Matches = fn(&[u8], &[u8], &mut usize) -> bool;

/// What a subscription costs besides its name, about: a place with its client, one in the common table.
const SUBSCRIPTION_BYTES: usize = 256;

/// To come to a pattern takes about as long as so many steps of matching it.
const PATTERN_STEPS: usize = 8;

/// So many names and messages that nobody is left for are passed at a time.
const PASSED_AT_ONCE: usize = 256;

/// The room of so many messages is kept where none waits.
const ROOM_KEPT: usize = 32;

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
    /// Each name with the number of the subscription.
    names: [Names; 2],
    names_bytes: usize,
    /// Whether it is told what is executed.
    pub monitors: bool,
    /// How it is told, where it has not said HELLO: as it asked.
    pub encoding: Encoding,
}

impl Subscriber {
    /// One that subscribes to nothing yet.
    pub fn new(encoding: Encoding) -> Subscriber {
        Subscriber { names: Default::default(), names_bytes: 0, monitors: false, encoding }
    }

    /// How many subscriptions of a kind it has.
    pub fn count(&self, kind: Kind) -> usize {
        self.names[kind as usize].len()
    }

    /// How many subscriptions it has.
    pub fn total(&self) -> usize {
        self.count(Kind::Channel) + self.count(Kind::Pattern)
    }

    /// What it subscribes to, of which so many at most.
    pub fn names(&self, kind: Kind, most: usize) -> Vec<Rc<[u8]>> {
        let mut names = Vec::new();
        for (name, _) in self.names[kind as usize].iter() {
            if names.len() == most {
                break;
            }
            names.push(Rc::clone(name));
        }
        names
    }

    /// The memory that its subscriptions take, in bytes.
    pub fn bytes_used(&self) -> usize {
        size_of::<Subscriber>() + self.names_bytes + self.total() * SUBSCRIPTION_BYTES
    }
}

/// A message on its way.
struct Message {
    /// It is for subscriptions from before.
    number: u64,
    channel: Box<[u8]>,
    payload: Rc<Blob>,
    /// The patterns that fit its channel.
    patterns: Vec<Rc<[u8]>>,
}

impl Message {
    /// What it makes the server hold, in bytes.
    fn bytes(&self) -> usize {
        let patterns = self.patterns.len() * size_of::<Rc<[u8]>>();
        size_of::<Message>() + self.payload.len() + self.channel.len() + patterns
    }

    /// What those subscribe to who get it: the channel is the first, then come the patterns.
    fn name(&self, place: usize) -> Option<(Kind, &[u8])> {
        match place {
            0 => Some((Kind::Channel, &*self.channel)),
            _ => self.patterns.get(place - 1).map(|name| (Kind::Pattern, &**name)),
        }
    }

    /// Writes it for who subscribes to the name of this place: a short payload is copied, a long one sent from where it lies.
    fn write(&self, place: usize, reply: &mut Reply<'_>) {
        let payload = match self.payload.len() {
            ..=INLINE_VALUE_BYTES_MAX => PushWord::Bytes(&self.payload),
            _ => PushWord::Shared(&self.payload),
        };
        let channel = PushWord::Bytes(&self.channel);
        match self.name(place) {
            Some((Kind::Pattern, name)) => {
                reply.push(&[PushWord::Bytes(b"pmessage"), PushWord::Bytes(name), channel, payload], false);
            }
            _ => reply.push(&[PushWord::Bytes(b"message"), channel, payload], false),
        }
    }
}

/// How far the first message is.
#[derive(Default)]
struct Front {
    /// The name whose subscribers get it now.
    place: usize,
    /// The first subscription that may not have got it.
    next: u64,
    /// As it is sent to these, in the encoding that was asked for last.
    face: Output,
    encoding: Option<Encoding>,
}

impl Front {
    /// It is to be sent in this encoding, or is another one.
    #[inline(never)]
    fn begin(&mut self, encoding: Option<Encoding>) {
        self.encoding = encoding;
        self.face.clear(INLINE_VALUE_BYTES_MAX);
    }
}

/// Who is to get a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// This client: [`PubSub::message`] tells which.
    Client(u64),
    /// It takes another call to find one.
    Later,
    /// Nobody, no message is on its way.
    Nobody,
}

/// See the module.
#[derive(Default)]
pub struct PubSub {
    /// The subscriptions to each name: the number and the client of each, side by side, the oldest first.
    names: [Names; 2],
    /// How many subscriptions and messages there were.
    number: u64,
    queue: VecDeque<Message>,
    queue_bytes: usize,
    front: Front,
    /// The steps that patterns took in this turn.
    steps: usize,
    /// Clients that have gone, whose subscriptions are still to be ended.
    leaving: Vec<(u64, Box<Subscriber>)>,
    /// Who is told what is executed, and how much of the lines is from before, side by side.
    monitors: Vec<u64>,
    /// What was executed and is not told yet, a line of RESP each.
    pub lines: Output,
    /// The client whose requests are being executed.
    pub asker: u64,
    /// Whether they are those of a transaction, amid which nothing can wait.
    pub in_transaction: bool,
    /// Messages of transactions, which the other nodes of a cluster are still to be told.
    for_others: Vec<OwnedArgs>,
    others_bytes: usize,
    /// What other nodes were told and have not answered, in bytes.
    pub told_bytes: usize,
    /// Which events of keys are published; 0: none.
    pub events: u16,
}

impl PubSub {
    /// Whether there is room for a client's subscriptions to these names, of which those count that are new.
    pub fn has_room(&self, subscriber: &Subscriber, kind: Kind, names: &mut dyn Iterator<Item = &[u8]>) -> bool {
        let (mut own, mut all) = (subscriber.total(), self.count(kind));
        for name in names {
            own += usize::from(subscriber.names[kind as usize].get(name).is_empty());
            all += usize::from(self.names[kind as usize].get(name).is_empty());
        }
        own <= SUBSCRIPTIONS_MAX && all <= SUBSCRIPTION_NAMES_MAX
    }

    /// A client subscribes to a name. To do so twice is to do it once.
    pub fn subscribe(&mut self, client: u64, subscriber: &mut Subscriber, kind: Kind, name: &[u8]) {
        if !subscriber.names[kind as usize].get(name).is_empty() {
            return;
        }
        self.number += 1;
        let (kept, clients) = self.names[kind as usize].add(name);
        clients.extend_from_slice(&[self.number, client]);
        subscriber.names_bytes += name.len();
        subscriber.names[kind as usize].add_kept(kept).push(self.number);
    }

    /// A client does not subscribe to a name any more.
    pub fn unsubscribe(&mut self, subscriber: &mut Subscriber, kind: Kind, name: &[u8]) {
        let Some(&number) = subscriber.names[kind as usize].remove(name).first() else { return };
        subscriber.names_bytes -= name.len();
        let names = &mut self.names[kind as usize];
        let Some(clients) = names.get_mut(name) else { return };
        let place = since(clients, number);
        debug_assert!(clients[2 * place] == number, "who subscribes to a name stands with it");
        remove_pair(clients, place);
        if clients.is_empty() {
            names.remove(name);
        }
    }

    /// A client does not subscribe to anything any more, as far as it has no more than so many subscriptions; how many
    /// more it could have had.
    pub fn leave(&mut self, client: u64, subscriber: &mut Subscriber, mut most: usize) -> usize {
        if mem::take(&mut subscriber.monitors)
            && let Some(place) = self.monitors.as_chunks::<2>().0.iter().position(|pair| pair[0] == client)
        {
            remove_pair(&mut self.monitors, place);
        }
        for kind in [Kind::Channel, Kind::Pattern] {
            for name in subscriber.names(kind, most) {
                self.unsubscribe(subscriber, kind, &name);
                most -= 1;
            }
        }
        most
    }

    /// A client has gone: its subscriptions are ended by and by.
    pub fn leave_later(&mut self, client: u64, subscriber: Box<Subscriber>) {
        self.leaving.push((client, subscriber));
    }

    /// Ends some subscriptions of those who have gone.
    pub fn end_some(&mut self) {
        let mut most = SUBSCRIPTIONS_ENDED_AT_ONCE;
        while most > 0
            && let Some((client, mut subscriber)) = self.leaving.pop()
        {
            // One that had none takes a while as well.
            most = self.leave(client, &mut subscriber, most).saturating_sub(1);
            if subscriber.total() > 0 {
                self.leaving.push((client, subscriber));
            }
        }
    }

    /// A client is told what is executed from now on; false where too many are.
    pub fn monitor(&mut self, client: u64, subscriber: &mut Subscriber) -> bool {
        if self.monitors.len() == 2 * MONITORS_MAX {
            return false;
        }
        self.monitors.extend_from_slice(&[client, self.lines.copied_bytes() as u64]);
        subscriber.monitors = true;
        true
    }

    /// Whether anybody is told what is executed.
    #[inline]
    pub fn is_monitored(&self) -> bool {
        !self.monitors.is_empty()
    }

    /// The lines that are to be told; to whom, and which part of them is from before, side by side.
    pub fn take_lines(&mut self) -> (Output, Vec<u64>) {
        let monitors = self.monitors.clone();
        self.monitors.as_chunks_mut::<2>().0.iter_mut().for_each(|pair| pair[1] = 0);
        (mem::take(&mut self.lines), monitors)
    }

    /// How many names of a kind have subscribers.
    pub fn count(&self, kind: Kind) -> usize {
        self.names[kind as usize].len()
    }

    /// The channels that have subscribers.
    pub fn channels(&self) -> impl Iterator<Item = &[u8]> {
        self.names[Kind::Channel as usize].iter().map(|(name, _)| &**name)
    }

    /// How many subscribers a channel has, those of patterns aside.
    pub fn subscribers(&self, channel: &[u8]) -> usize {
        self.names[Kind::Channel as usize].get(channel).len() / 2
    }

    /// Whether nobody listens to any channel.
    pub fn is_empty(&self) -> bool {
        self.count(Kind::Channel) + self.count(Kind::Pattern) == 0
    }

    /// Whether who publishes for itself has to wait: until there is room here, and other nodes have answered for what was
    /// published before. So no more than a part of what a link may have unanswered is messages.
    pub fn must_wait(&self) -> bool {
        self.is_full() || self.told_bytes >= MESSAGES_TOLD_BYTES_MAX || !self.for_others.is_empty()
    }

    /// Whether so many bytes of messages wait, or patterns took so long in this turn, that there is no room for more.
    pub fn is_full(&self) -> bool {
        self.queue_bytes >= MESSAGES_BYTES_MAX || self.is_weary()
    }

    /// Whether so many bytes of what transactions publish wait to be told to other nodes that there is no room for more.
    /// That holds up nobody else: two nodes that are full of what is for the other one would wait for each other for ever.
    pub fn is_full_for_others(&self) -> bool {
        self.others_bytes >= MESSAGES_BYTES_MAX
    }

    /// Whether something is to be told to other nodes that there is room for now.
    pub fn has_to_tell(&self) -> bool {
        !self.for_others.is_empty() && self.told_bytes < MESSAGES_TOLD_BYTES_MAX
    }

    /// Whether patterns took so long in this turn that no more are to be matched.
    pub fn is_weary(&self) -> bool {
        self.steps >= PATTERN_STEPS_PER_TURN
    }

    /// The turn is over.
    pub fn end_turn(&mut self) {
        self.steps = 0;
    }

    /// Whether nothing is left to do.
    #[inline(always)]
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.lines.is_empty() && self.leaving.is_empty()
    }

    /// What the messages on their way make the server hold, in bytes.
    pub fn queue_bytes(&self) -> usize {
        self.queue_bytes + self.others_bytes
    }

    /// Keeps a message of a transaction for the other nodes of a cluster.
    pub fn keep_for_others(&mut self, message: OwnedArgs) {
        self.others_bytes += message.bytes_used();
        self.for_others.push(message);
    }

    /// What was kept for them.
    pub fn take_for_others(&mut self) -> Vec<OwnedArgs> {
        self.others_bytes = 0;
        mem::take(&mut self.for_others)
    }

    /// Queues a message for all who listen to a channel; how many they are, a client once for each of its subscriptions
    /// that fit. A long payload in a buffer of its own is not copied.
    ///
    /// # Errors
    /// When it cannot be queued; then nobody gets it.
    pub fn publish(&mut self, channel: &[u8], payload: Word<'_>, matches: Matches) -> Result<usize, Refusal> {
        let mut receivers = self.subscribers(channel);
        // They are looked for once: when the message's turn comes, only who they are is.
        let mut patterns = Vec::new();
        let mut steps_left = PATTERN_STEPS_MAX;
        for (name, clients) in self.names[Kind::Pattern as usize].iter() {
            steps_left = steps_left.saturating_sub(PATTERN_STEPS);
            if matches(name, channel, &mut steps_left) {
                patterns.try_reserve(1).map_err(|_| Refusal::NoMemory)?;
                patterns.push(Rc::clone(name));
                receivers += clients.len() / 2;
            }
            if steps_left == 0 {
                self.steps += PATTERN_STEPS_MAX;
                return Err(Refusal::TooCostly);
            }
        }
        self.steps += PATTERN_STEPS_MAX - steps_left;
        if receivers == 0 {
            return Ok(0);
        }
        let payload = match payload {
            Word::Long(payload) => Rc::clone(payload),
            Word::Received(bytes) => Rc::new(copied(bytes).map_err(|_| Refusal::NoMemory)?),
        };
        self.queue.try_reserve(1).map_err(|_| Refusal::NoMemory)?;
        self.number += 1;
        let message = Message { number: self.number, channel: channel.into(), payload, patterns };
        self.queue_bytes += message.bytes();
        self.queue.push_back(message);
        Ok(receivers)
    }

    /// Who is to get a message next.
    pub fn next_receiver(&mut self) -> Receiver {
        for _ in 0..PASSED_AT_ONCE {
            let Some(message) = self.queue.front() else {
                // The room of many is not kept for the next one.
                if self.queue.capacity() > ROOM_KEPT {
                    self.queue = VecDeque::new();
                }
                return Receiver::Nobody;
            };
            let Some((kind, name)) = message.name(self.front.place) else {
                self.queue_bytes -= message.bytes();
                self.queue.pop_front();
                self.front.place = 0;
                continue;
            };
            let clients = self.names[kind as usize].get(name);
            if let Some(&[number, client]) = clients.as_chunks::<2>().0.get(since(clients, self.front.next))
                && number < message.number
            {
                self.front.next = number + 1;
                return Receiver::Client(client);
            }
            self.front.place += 1;
            self.front.next = 0;
            self.front.begin(None);
        }
        Receiver::Later
    }

    /// The message for the client that was named last, as it is sent.
    pub fn message(&mut self, encoding: Encoding) -> Option<&Output> {
        let message = self.queue.front()?;
        let front = &mut self.front;
        if front.encoding != Some(encoding) {
            front.begin(Some(encoding));
            message.write(front.place, &mut Reply::new(&mut front.face, encoding, Face::Typed));
        }
        Some(&front.face)
    }
}

/// The place of the first pair whose number is not below this one.
fn since(pairs: &[u64], number: u64) -> usize {
    pairs.as_chunks::<2>().0.partition_point(|pair| pair[0] < number)
}

/// Takes a pair out; the room of many that have gone is not kept.
fn remove_pair(pairs: &mut Vec<u64>, place: usize) {
    pairs.copy_within(2 * place + 2.., 2 * place);
    pairs.truncate(pairs.len() - 2);
    if pairs.len() < pairs.capacity() / 4 {
        pairs.shrink_to_fit();
    }
}

/// A payload in memory of its own.
fn copied(bytes: &[u8]) -> Result<Blob, OutOfMemory> {
    let mut blob = Blob::try_with_room(bytes.len())?;
    blob.extend_from_slice(bytes);
    Ok(blob)
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
            self.pubsub.unsubscribe(&mut self.clients[client], kind, name.as_bytes());
        }

        fn publish(&mut self, channel: &str, payload: &str) -> usize {
            let matches: Matches = |pattern, text, _| text.starts_with(pattern.strip_suffix(b"*").unwrap_or(pattern));
            self.pubsub.publish(channel.as_bytes(), Word::Received(payload.as_bytes()), matches).expect("room")
        }

        /// The next message that is given out, and to whom.
        fn next(&mut self) -> Option<(u64, String)> {
            let client = loop {
                match self.pubsub.next_receiver() {
                    Receiver::Client(client) => break client,
                    Receiver::Later => {}
                    Receiver::Nobody => return None,
                }
            };
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
        let wanted = [told(0, "message ch two"), told(3, "message ch two"), told(2, "message ch two")];
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
            desk.pubsub.leave(client, &mut desk.clients[client as usize], usize::MAX);
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
            assert!(matches!(desk.pubsub.next_receiver(), Receiver::Client(_)));
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
        // What it has already is nothing new.
        let names: Vec<String> = (1..=SUBSCRIPTIONS_MAX).map(|number| number.to_string()).collect();
        let has_room = |kind, most| {
            let mut names = names.iter().take(most).map(String::as_bytes).chain([&b"ch"[..]]);
            desk.pubsub.has_room(&desk.clients[0], kind, &mut names)
        };
        assert!(has_room(Kind::Channel, SUBSCRIPTIONS_MAX - 1) && !has_room(Kind::Channel, SUBSCRIPTIONS_MAX));
        assert!(has_room(Kind::Pattern, SUBSCRIPTIONS_MAX - 2) && !has_room(Kind::Pattern, SUBSCRIPTIONS_MAX - 1));
    }

    /// However many patterns fit, there is one message; and whose turn it is, is found a piece at a time.
    #[test]
    fn a_message_for_many_patterns_takes_little() {
        const PATTERNS: usize = 5000;
        let mut desk = Desk::new(1);
        for number in 0..PATTERNS {
            let pattern = "c".repeat(number % 50) + &"*".repeat(1 + number / 50);
            desk.subscribe(0, Kind::Pattern, &pattern);
        }
        let matches: Matches = |_, _, _| true;
        assert_eq!(desk.pubsub.publish(b"ch", Word::Received(b"x"), matches), Ok(PATTERNS));
        assert!(desk.pubsub.queue_bytes() < 20 * PATTERNS, "{} bytes", desk.pubsub.queue_bytes());
        desk.pubsub.leave(0, &mut desk.clients[0], usize::MAX);
        let mut calls = 1;
        while desk.pubsub.next_receiver() == Receiver::Later {
            calls += 1;
        }
        assert_eq!(calls, PATTERNS / PASSED_AT_ONCE + 1);
        assert!(desk.pubsub.is_idle() && desk.pubsub.queue_bytes() == 0);
    }

    #[test]
    fn who_has_gone_leaves_a_piece_at_a_time() {
        let mut desk = Desk::new(3);
        for number in 0..SUBSCRIPTIONS_ENDED_AT_ONCE {
            desk.subscribe(0, Kind::Channel, &number.to_string());
            desk.subscribe(1, Kind::Pattern, &number.to_string());
        }
        desk.subscribe(2, Kind::Channel, "1");
        for client in [0, 1] {
            let subscriber = std::mem::replace(&mut desk.clients[client], Subscriber::new(Encoding::Resp3));
            desk.pubsub.leave_later(client as u64, Box::new(subscriber));
        }
        let mut calls = 0;
        while !desk.pubsub.is_idle() {
            let before = desk.pubsub.count(Kind::Channel) + desk.pubsub.count(Kind::Pattern);
            desk.pubsub.end_some();
            let left = desk.pubsub.count(Kind::Channel) + desk.pubsub.count(Kind::Pattern);
            assert!(before - left <= SUBSCRIPTIONS_ENDED_AT_ONCE);
            calls += 1;
        }
        assert!((2..=4).contains(&calls), "{calls}");
        assert_eq!((desk.pubsub.count(Kind::Channel), desk.pubsub.count(Kind::Pattern)), (1, 0));
        assert_eq!((desk.publish("1", "x"), desk.all()), (1, vec![told(2, "message 1 x")]));
    }

    #[test]
    fn who_monitors_is_told_what_comes_later() {
        let mut desk = Desk::new(MONITORS_MAX + 1);
        desk.pubsub.lines.push(b"+before\r\n");
        for client in 0..MONITORS_MAX {
            assert!(desk.pubsub.monitor(client as u64, &mut desk.clients[client]));
        }
        assert!(!desk.pubsub.monitor(99, &mut desk.clients[MONITORS_MAX]), "too many");
        desk.pubsub.lines.push(b"+behind\r\n");
        let (lines, monitors) = desk.pubsub.take_lines();
        assert_eq!((lines.bytes(), &monitors[..4]), (&b"+before\r\n+behind\r\n"[..], &[0, 9, 1, 9][..]));
        desk.pubsub.lines.push(b"+x\r\n");
        assert_eq!(desk.pubsub.take_lines().1[..4], [0, 0, 1, 0]);
        desk.pubsub.leave(0, &mut desk.clients[0], usize::MAX);
        assert_eq!(desk.pubsub.take_lines().1[..2], [1, 0]);
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
        // That was enough for a turn, and then there is a new one.
        assert!(desk.pubsub.is_full());
        desk.pubsub.end_turn();
        assert!(!desk.pubsub.is_full());
    }
}
