//! One simulated node: the state machine, a small store, and the turns of a loop that knows no more of the network than
//! a real one does.

use super::super::link::Phase;
use super::super::{
    Answer, Caller, Cluster, Executed, Host, Identity, LinkId, Map, Member, NodeId, Notice, Offer, Purpose, Request,
};
use super::mutant::Mutant;
use super::network::{Network, Received, STRANGER, SideState};
use super::world::{Op, Ticket, World};
use crate::blob::Blob;
use crate::limits::INLINE_VALUE_BYTES_MAX;
use crate::proto::{Encoding, Face, Output, Reply};
use std::collections::{BTreeMap, VecDeque};
use std::io::IoSlice;
use std::net::SocketAddr;
use std::rc::Rc;

/// Why the state machine takes somebody for junk of whom nothing came.
const SILENCE: &str = "no hello came";

/// How long a ping or a pong is.
const PING_BYTES: usize = 21;

/// What all nodes are started with.
#[derive(Clone)]
pub(super) struct Setting {
    pub(super) nodes: usize,
    pub(super) secret: Option<Vec<u8>>,
    pub(super) mutant: Mutant,
}

impl Setting {
    /// Where a node's bus listens; they are sorted by it.
    pub(super) fn address(index: usize) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, index as u8 + 1], 6837))
    }

    fn map(&self, own: usize) -> Map {
        let member = |index| Member { address: Setting::address(index), name: format!("node{index}") };
        Map::new((0..self.nodes).map(member).collect(), Setting::address(own)).expect("a list of nodes")
    }
}

/// One life of a node.
pub(super) struct Node {
    pub(super) cluster: Cluster<Ticket>,
    pub(super) body: Body,
    pub(super) clients: Vec<Client>,
    /// So much its clock is ahead of the simulation's.
    pub(super) ahead_ms: u64,
    /// It gets no time.
    pub(super) paused: bool,
    /// It has something to do at once.
    pub(super) kicked: bool,
    /// The nodes that are to be fed no more, until they have room.
    full: Vec<bool>,
    ids: Vec<NodeId>,
}

/// What the state machine's host has.
pub(super) struct Body {
    index: usize,
    pub(super) incarnation: u64,
    values: BTreeMap<u8, Rc<Blob>>,
    counters: BTreeMap<u8, i64>,
    later: Vec<Later>,
    offers: Vec<(u64, Offer)>,
    /// So many requests are executed in this turn.
    budget: usize,
    pub(super) up: Vec<bool>,
    pub(super) formed: usize,
    answered: Vec<usize>,
}

/// An answer that is given later.
struct Later {
    at_ms: u64,
    caller: Caller,
    serial: usize,
}

/// A client of a node, and what it is yet to ask.
pub(super) struct Client {
    pub(super) number: usize,
    pub(super) waiting: VecDeque<(usize, Op)>,
    /// A request that travels in pieces: the next ones would overtake it.
    corked_by: Option<usize>,
}

impl Client {
    pub(super) fn new(number: usize) -> Client {
        Client { number, waiting: VecDeque::new(), corked_by: None }
    }
}

impl Node {
    pub(super) fn new(index: usize, setting: &Setting, clients: Vec<Client>, world: &mut World) -> Node {
        let incarnation = world.random.next();
        let identity = Identity {
            name: format!("node{index}"),
            incarnation,
            has_password: false,
            secret: setting.secret.clone(),
            seed: world.random.next(),
        };
        let ahead_ms = world.random.below(1_000_000) as u64;
        let map = setting.map(index);
        let ids = map.ids().collect();
        let mut cluster = Cluster::new(map, identity, world.now_ms + ahead_ms);
        cluster.mutation.mutant = setting.mutant;
        world.say(|| format!("node {index} starts, incarnation {incarnation:x}"));
        let body = Body {
            index,
            incarnation,
            values: BTreeMap::new(),
            counters: BTreeMap::new(),
            later: Vec::new(),
            offers: Vec::new(),
            budget: 0,
            up: vec![false; setting.nodes],
            formed: 0,
            answered: Vec::new(),
        };
        let full = vec![false; setting.nodes];
        Node { cluster, body, clients, ahead_ms, paused: false, kicked: true, full, ids }
    }

    /// When it has something to do, in the simulation's time.
    pub(super) fn due_ms(&self, network: &Network) -> Option<u64> {
        if self.paused {
            return None;
        }
        if self.kicked {
            return Some(0);
        }
        let timeout = self.cluster.next_timeout_ms().map(|at_ms| at_ms.saturating_sub(self.ahead_ms));
        let later = self.body.later.iter().map(|later| later.at_ms);
        let offers = self.body.offers.iter().map(|offer| offer.0);
        later
            .chain(offers)
            .chain(timeout)
            .chain(network.due_ms(self.body.index, |link| self.cluster.wants_read(link)))
            .min()
    }

    /// One turn of its loop. Nodes that may now be able to send more are added to `touched`.
    pub(super) fn turn(&mut self, network: &mut Network, world: &mut World, alive: &[bool], touched: &mut Vec<usize>) {
        self.kicked = false;
        self.body.budget = if world.random.below(4) == 0 { world.random.below(4) } else { usize::MAX };
        let late_timeout = world.random.below(2) == 0;
        if !late_timeout {
            self.timeout(world);
        }
        self.dialled(network, world, alive);
        self.accept(network, world);
        let count = network.connections.len();
        let first = world.random.below(count.max(1));
        for place in 0..count {
            self.read((first + place) % count, network, world, touched);
        }
        if late_timeout {
            self.timeout(world);
        }
        self.reply_later(world);
        self.feed(world);
        self.dial(network, world);
        self.close(network, world, touched);
        self.write(network, world);
        self.look(world);
    }

    fn now_ms(&self, world: &World) -> u64 {
        world.now_ms + self.ahead_ms
    }

    fn timeout(&mut self, world: &mut World) {
        let now_ms = self.now_ms(world);
        if self.cluster.next_timeout_ms().is_some_and(|at_ms| at_ms <= now_ms) {
            self.cluster.handle_timeout(now_ms, &mut SimHost { world, body: &mut self.body });
        }
    }

    /// What became of the calls.
    fn dialled(&mut self, network: &mut Network, world: &mut World, alive: &[bool]) {
        let (index, now_ms) = (self.body.index, self.now_ms(world));
        let mut place = 0;
        while place < network.dials.len() {
            let dial = &network.dials[place];
            let to = dial.to;
            match network.dialled(dial, world.now_ms) {
                Some(through) if dial.from == index => {
                    network.dials.remove(place);
                    if through && alive[to] {
                        let link = self.cluster.handle_connected(now_ms, self.ids[to]);
                        world.say(|| format!("node {index} reaches node {to}: {link:?}"));
                        let connection = network.connect(index, to);
                        network.connections[connection].sides[0].link = Some(link);
                    } else {
                        world.say(|| format!("node {index} does not reach node {to}"));
                        self.cluster.handle_connect_failed(now_ms, self.ids[to]);
                    }
                }
                _ => place += 1,
            }
        }
    }

    fn accept(&mut self, network: &mut Network, world: &mut World) {
        let (index, now_ms) = (self.body.index, self.now_ms(world));
        for connection in 0..network.connections.len() {
            let sides = &network.connections[connection].sides;
            if sides[1].node != index || sides[1].state != SideState::Waiting {
                continue;
            }
            // Strangers call from our own machine: none of the others does.
            let peer = if sides[0].node == STRANGER { index } else { sides[0].node };
            let link = self.cluster.handle_accepted(now_ms, Setting::address(peer).ip());
            world.say(|| format!("node {index} takes a connection of {peer}: {link:?}"));
            match link {
                Some(link) => {
                    let side = &mut network.connections[connection].sides[1];
                    (side.link, side.state) = (Some(link), SideState::Open);
                }
                None => network.close(world.now_ms, connection, 1, false, &mut world.random),
            }
        }
    }

    /// Takes what one connection has.
    fn read(&mut self, connection: usize, network: &mut Network, world: &mut World, touched: &mut Vec<usize>) {
        let (index, now_ms) = (self.body.index, self.now_ms(world));
        let Some(place) = network.connections[connection].side_of(index) else { return };
        let side = &network.connections[connection].sides[place];
        let (Some(link), SideState::Open) = (side.link, side.state) else { return };
        if self.cluster.can_resume(link) {
            self.cluster.handle_bytes(now_ms, link, &[], &mut SimHost { world, body: &mut self.body });
        }
        for _ in 0..1 + world.random.below(3) {
            if !self.cluster.wants_read(link) {
                break;
            }
            match network.receive(world.now_ms, connection, place, &mut world.random) {
                Received::Nothing => break,
                Received::Bytes(bytes) => {
                    touched.push(network.connections[connection].sides[1 - place].node);
                    let host = &mut SimHost { world, body: &mut self.body };
                    self.cluster.handle_bytes(now_ms, link, &bytes, host);
                }
                Received::End => {
                    world.say(|| format!("node {index} is told that {link:?} ended"));
                    let host = &mut SimHost { world, body: &mut self.body };
                    self.cluster.handle_closed(now_ms, link, "the connection ended", host);
                    network.close(world.now_ms, connection, place, false, &mut world.random);
                    break;
                }
            }
        }
    }

    fn reply_later(&mut self, world: &mut World) {
        let due = self.body.later.extract_if(.., |later| later.at_ms <= world.now_ms).collect::<Vec<_>>();
        for later in due {
            let mut output = Output::default();
            let mut reply = Reply::new(&mut output, Encoding::Bus, Face::Typed);
            reply.array(2);
            reply.integer(later.serial as i64);
            reply.simple("late");
            world.answers(later.serial, &output);
            self.cluster.reply(later.caller, &output);
        }
        let due = self.body.offers.extract_if(.., |(at_ms, _)| *at_ms <= world.now_ms).collect::<Vec<_>>();
        for (_, offer) in due {
            self.cluster.grant(offer.node, offer.id);
        }
    }

    /// Sends what the clients ask.
    fn feed(&mut self, world: &mut World) {
        let Node { cluster, body, clients, full, ids, .. } = self;
        while let Some(node) = cluster.poll_room() {
            full[node.index()] = false;
        }
        body.answered.sort_unstable();
        for client in clients {
            if client.corked_by.is_some_and(|serial| body.answered.binary_search(&serial).is_ok()) {
                client.corked_by = None;
            }
            while client.corked_by.is_none()
                && let Some(&(target, op)) = client.waiting.front()
                && !full[target]
            {
                client.waiting.pop_front();
                let (serial, words) = world.ask(client.number, body.index, target, op);
                let mut words = words.iter().map(|word| word.word());
                let head = op.head(client.number);
                if op == Op::Forget {
                    cluster.tell(ids[target], head.client, words);
                    continue;
                }
                let ticket = Ticket { serial, incarnation: body.incarnation };
                match cluster.request(ids[target], head, &mut || words.next(), ticket) {
                    Ok(sent) => {
                        full[target] = sent.full;
                        world.figures.full += u64::from(sent.full);
                        world.figures.long += u64::from(sent.long);
                        if sent.long {
                            client.corked_by = Some(serial);
                        }
                    }
                    Err(ticket) => {
                        if ticket != (Ticket { serial, incarnation: body.incarnation }) {
                            world.fail(|| format!("{ticket:?} comes back in the place of {serial}"));
                        }
                        world.refused(serial);
                    }
                }
            }
        }
        body.answered.clear();
    }

    fn dial(&mut self, network: &mut Network, world: &mut World) {
        let (index, now_ms) = (self.body.index, self.now_ms(world));
        for count in 0.. {
            let Some(node) = self.cluster.poll_connect(now_ms) else { break };
            let to = node.index();
            if to == index || count > network.dials.len() + 100 {
                return world.fail(|| format!("node {index} dials node {to} without an end"));
            }
            if network.dials.iter().any(|dial| dial.from == index && dial.to == to) {
                world.fail(|| format!("node {index} dials node {to}, and has not been told what became of it before"));
            }
            network.dial(world.now_ms, index, to, &mut world.random);
        }
    }

    fn close(&mut self, network: &mut Network, world: &mut World, touched: &mut Vec<usize>) {
        let index = self.body.index;
        while let Some(link) = self.cluster.poll_close() {
            let Some((connection, place)) = self.find(network, link) else {
                return world.fail(|| format!("node {index} closes {link:?}, which it has not"));
            };
            world.say(|| format!("node {index} closes {link:?}"));
            let reset = world.random.below(2) == 0;
            network.close(world.now_ms, connection, place, reset, &mut world.random);
            touched.push(network.connections[connection].sides[1 - place].node);
        }
    }

    /// Whether it waits for room to send, and there is some.
    pub(super) fn may_write(&self, network: &Network) -> bool {
        network.connections.iter().enumerate().any(|(number, connection)| {
            let side = connection.side_of(self.body.index);
            side.is_some_and(|side| connection.sides[side].armed && network.room(number, side) > 0)
        })
    }

    fn find(&self, network: &Network, link: LinkId) -> Option<(usize, usize)> {
        network.connections.iter().enumerate().find_map(|(number, connection)| {
            let place = connection.side_of(self.body.index)?;
            (connection.sides[place].link == Some(link)).then_some((number, place))
        })
    }

    /// Sends what is to be sent, as far as the network takes it.
    fn write(&mut self, network: &mut Network, world: &mut World) {
        let index = self.body.index;
        while let Some(link) = self.cluster.poll_send() {
            // One that has ended meanwhile is not looked for.
            if let Some((connection, place)) = self.find(network, link) {
                network.connections[connection].sides[place].armed = true;
            }
        }
        for connection in 0..network.connections.len() {
            let Some(place) = network.connections[connection].side_of(index) else { continue };
            let side = &network.connections[connection].sides[place];
            let Some(link) = side.link else { continue };
            if !side.armed {
                self.kicked |= self.cluster.can_resume(link);
                continue;
            }
            // A real loop sends once or a few times in a turn; what is left waits for the next one.
            for _ in 0..4 {
                let room = network.room(connection, place);
                if room == 0 || !self.cluster.wants_write(link) {
                    break;
                }
                let mut pieces = [IoSlice::new(&[]); 16];
                let asked = 1 + world.random.below(pieces.len());
                let count = self.cluster.gather(link, &mut pieces[..asked]);
                let mut bytes = Vec::new();
                let cut = if world.random.below(3) == 0 { 1 + world.random.below(room) } else { room };
                for piece in &pieces[..count] {
                    bytes.extend_from_slice(&piece[..piece.len().min(cut - bytes.len())]);
                }
                if bytes.is_empty() {
                    world.fail(|| format!("node {index} wants to write nothing to {link:?}"));
                    break;
                }
                self.cluster.advance(link, bytes.len());
                network.send(world.now_ms, connection, place, bytes, &mut world.random);
            }
            let armed = self.cluster.wants_write(link);
            network.connections[connection].sides[place].armed = armed;
            // With room left the loop is told at once that it may go on.
            self.kicked |= armed && network.room(connection, place) > 0;
            self.kicked |= self.cluster.can_resume(link);
        }
    }

    /// What must hold after every turn.
    fn look(&mut self, world: &mut World) {
        let index = self.body.index;
        for (other, up) in self.body.up.iter().enumerate().filter(|(other, _)| *other != index) {
            let view = self.cluster.peer(self.ids[other]);
            if *up != view.up || *up != self.cluster.is_up(self.ids[other]) {
                world.fail(|| format!("node {index} was told that node {other} is up: {up}, and is shown {view:?}"));
            }
            let owed = world.owed[index][other];
            if view.in_flight != owed {
                world.fail(|| format!("node {index} is owed {owed} answers by node {other}, and is shown {view:?}"));
            }
        }
    }

    /// What must hold when nothing has happened for long.
    pub(super) fn look_at_rest(&self, world: &mut World) {
        let index = self.body.index;
        if self.body.formed != 1 {
            let formed = self.body.formed;
            world.fail(|| format!("node {index} was told {formed} times that the cluster is formed"));
        }
        if !self.cluster.is_formed() {
            world.fail(|| format!("node {index} is not linked with all others at the end"));
        }
        let links = self.cluster.links.iter().count();
        if links + 1 != self.body.up.len() {
            world.fail(|| format!("node {index} has {links} links at rest"));
        }
        for (id, link) in self.cluster.links.iter() {
            let unsent = link.outbox.unsent_bytes();
            let (left, plain, open) = (link.inbox.left.len(), link.inbox.is_plain(), link.open.len());
            // A ping and a pong may be on their way.
            if unsent > 2 * PING_BYTES || left >= PING_BYTES || !plain || open > 0 || link.phase != Phase::Up {
                world.fail(|| {
                    format!(
                        "node {index} keeps at rest of {id:?} in {:?}: {unsent} bytes to send, {left} to look at, \
                        messages without an end: {}, {open} requests to answer",
                        link.phase, !plain
                    )
                });
            }
        }
        if !self.body.later.is_empty() || self.clients.iter().any(|client| !client.waiting.is_empty()) {
            world.fail(|| format!("node {index}: a client still waits to ask"));
        }
    }

    /// Whether all that its clients want has been asked.
    pub(super) fn is_done(&self) -> bool {
        self.body.later.is_empty() && self.clients.iter().all(|client| client.waiting.is_empty())
    }
}

struct SimHost<'a> {
    world: &'a mut World,
    body: &'a mut Body,
}

impl Host<Ticket> for SimHost<'_> {
    fn execute(&mut self, request: Request<'_>, output: &mut Output) -> Executed {
        let SimHost { world, body } = self;
        body.budget = body.budget.saturating_sub(1);
        if !output.is_empty() {
            world.fail(|| "the output for an answer is not empty".into());
        }
        let Some((serial, op)) = world.executes(body.index, &request) else { return Executed::Now };
        let mut reply = Reply::new(output, Encoding::Bus, Face::Typed);
        reply.array(2);
        reply.integer(serial as i64);
        match op {
            Op::Set { key, .. } => {
                let value = match request.args.word(3) {
                    crate::proto::Word::Long(value) => Rc::clone(value),
                    crate::proto::Word::Received(bytes) => Rc::new(bytes.into()),
                };
                body.values.insert(key, value);
                reply.ok();
            }
            Op::Get { key, copied } => match body.values.get(&key) {
                None => reply.null(),
                Some(value) if copied || value.len() < INLINE_VALUE_BYTES_MAX => reply.bulk(value),
                Some(value) => reply.shared(value),
            },
            Op::Append { key, .. } => {
                // A value that a reply on its way holds is left as it is.
                let value = Rc::make_mut(body.values.entry(key).or_default());
                value.extend_from_slice(&request.args[3]);
                if value.len() > 400_000 {
                    value.resize(0);
                }
                let length = value.len();
                reply.integer(length as i64);
            }
            Op::Inc { key } => {
                let counter = body.counters.entry(key).or_default();
                *counter += 1;
                reply.integer(*counter);
            }
            Op::Exec { commands } => {
                reply.array(commands);
                for key in 0..commands {
                    match body.values.get(&(key as u8)) {
                        Some(value) if value.len() >= INLINE_VALUE_BYTES_MAX => reply.shared(value),
                        Some(value) => reply.bulk(value),
                        None => reply.null(),
                    }
                }
            }
            Op::Watch { .. } | Op::Forget => reply.ok(),
            Op::Slow { ms } => {
                output.clear(0);
                body.later.push(Later { at_ms: world.now_ms + ms, caller: request.caller, serial });
                return Executed::Later;
            }
        }
        if request.purpose != Purpose::Forget {
            world.answers(serial, output);
        }
        Executed::Now
    }

    fn answer(&mut self, ticket: Ticket, answer: Answer<'_>) {
        let SimHost { world, body } = self;
        if ticket.incarnation != body.incarnation {
            world.fail(|| format!("{ticket:?} is answered to another life of its node"));
        }
        match answer {
            Answer::Reply(reply) => world.answered(&ticket, reply),
            Answer::Failed { node } => world.unknown(&ticket, node.index()),
        }
        body.answered.push(ticket.serial);
    }

    fn offer(&mut self, ticket: &Ticket, offer: Offer) -> bool {
        let SimHost { world, body } = self;
        world.figures.offered += 1;
        let serial = ticket.serial;
        world.say(|| format!("{serial} has a large answer: {offer:?}"));
        if world.random.below(2) == 0 {
            return true;
        }
        body.offers.push((world.now_ms + world.random.below(200) as u64, offer));
        false
    }

    fn has_time(&self) -> bool {
        self.body.budget > 0
    }

    fn notice(&mut self, notice: Notice<'_>) {
        let SimHost { world, body } = self;
        let index = body.index;
        world.say(|| format!("node {index}: {notice:?}"));
        match notice {
            Notice::Up { node } => {
                if std::mem::replace(&mut body.up[node.index()], true) {
                    world.fail(|| format!("node {index} is told twice that {node:?} is up"));
                }
            }
            Notice::Down { node, .. } => {
                world.figures.downs += 1;
                if !std::mem::replace(&mut body.up[node.index()], false) {
                    world.fail(|| format!("node {index} is told that {node:?}, which was not up, is down"));
                }
                let owed = world.owed[index][node.index()];
                if owed > 0 {
                    world.fail(|| format!("node {index} is told that {node:?} is down, and is owed {owed} answers"));
                }
                if world.calm {
                    world.fail(|| format!("{node:?} is down although nothing went wrong"));
                }
            }
            Notice::Formed => body.formed += 1,
            Notice::Junk { peer, why } => {
                world.figures.junk += 1;
                // Who is silent for too long may be a node; who talks nonsense may not.
                let own = Setting::address(index).ip() == peer;
                if !own && why != SILENCE {
                    world.fail(|| format!("node {index} takes {peer} for junk: {why}"));
                }
            }
            Notice::Refused { reason, .. } => {
                world.fail(|| format!("node {index}: a link is refused ({reason:?})"));
            }
            Notice::Differs { .. } | Notice::PasswordDiffers { .. } => {
                world.fail(|| format!("node {index}: nodes differ that do not"));
            }
        }
    }
}
