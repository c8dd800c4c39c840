//! A few nodes, and wires between them that deliver at once or when they are told to.

use crate::cluster::{
    Answer, Caller, Cluster, Executed, Host, Identity, LinkId, Map, Member, NodeId, Notice, Offer, Purpose, Request,
    RequestHead,
};
use crate::proto::{Encoding, Face, Output, Reply, Token, Word};
use std::io::IoSlice;
use std::rc::Rc;

/// What a node is asked, and what it is told.
#[derive(Default)]
pub(super) struct Script {
    /// Each ticket with what it got: text, or `!` and the node that failed.
    pub(super) answers: Vec<(u32, String)>,
    pub(super) notices: Vec<String>,
    pub(super) executed: Vec<String>,
    /// Who waits for a later answer.
    pub(super) callers: Vec<Caller>,
    pub(super) offers: Vec<Offer>,
    /// Whether an offer is granted at once.
    pub(super) grants: bool,
    /// How many requests there is time for.
    pub(super) time: usize,
}

/// Shows bytes, long ones by their length and what they begin with.
pub(super) fn shown(bytes: &[u8]) -> String {
    match bytes.len() {
        0..=20 => String::from_utf8_lossy(bytes).into_owned(),
        length => format!("{}*{length}", String::from_utf8_lossy(&bytes[..1])),
    }
}

impl Host<u32> for Script {
    /// `ECHO word` answers the word, `LIST word...` all words, `BIG byte count` so many bytes; `LATER` is answered
    /// later.
    fn execute(&mut self, request: Request<'_>, output: &mut Output) -> Executed {
        let args = request.args;
        let words: Vec<String> = args.from(0).map(shown).collect();
        self.executed.push(format!("{:?} {} {} {}", request.purpose, request.client, request.flags, words.join(" ")));
        self.time = self.time.saturating_sub(1);
        let mut reply = Reply::new(output, Encoding::Bus, Face::Typed);
        let mut value = |word: Word<'_>| match word {
            Word::Received(bytes) => reply.bulk(bytes),
            Word::Long(value) => reply.shared(value),
        };
        match args.name() {
            b"ECHO" => value(args.word(1)),
            b"BIG" => {
                let count = String::from_utf8_lossy(&args[2]).parse().expect("a count");
                value(Word::Long(&Rc::new(vec![args[1][0]; count].into())));
            }
            b"LIST" => {
                reply.array(args.len() - 1);
                (1..args.len()).for_each(|index| match args.word(index) {
                    Word::Received(bytes) => reply.bulk(bytes),
                    Word::Long(value) => reply.shared(value),
                });
            }
            b"LATER" => {
                self.callers.push(request.caller);
                return Executed::Later;
            }
            _ => reply.ok(),
        }
        Executed::Now
    }

    fn answer(&mut self, ticket: u32, answer: Answer<'_>) {
        let text = match answer {
            Answer::Failed { node } => format!("!{}", node.index()),
            Answer::Reply(typed) => {
                if typed.check().is_err() {
                    return self.answers.push((ticket, "malformed".into()));
                }
                let mut reader = typed.reader();
                let mut texts = Vec::new();
                while let Some(token) = reader.next().expect("a token") {
                    match token {
                        Token::Simple(text) => texts.push(text.to_string()),
                        Token::Bulk(bytes) => texts.push(shown(bytes)),
                        Token::Long(value) => texts.push(shown(value)),
                        _ => {}
                    }
                }
                texts.join(" ")
            }
        };
        self.answers.push((ticket, text));
    }

    fn offer(&mut self, _: &u32, offer: Offer) -> bool {
        self.offers.push(offer);
        self.grants
    }

    fn has_time(&self) -> bool {
        self.time > 0
    }

    fn notice(&mut self, notice: Notice<'_>) {
        self.notices.push(match notice {
            Notice::Up { node } => format!("up {}", node.index()),
            Notice::Down { node, why } => format!("down {}: {why}", node.index()),
            Notice::Formed => "formed".into(),
            Notice::Junk { why, .. } => format!("junk: {why}"),
            Notice::Refused { by, reason, .. } => format!("refused by {by:?}: {reason:?}"),
            Notice::Differs { ours, theirs, .. } => format!("differs: {ours:?} {theirs:?}"),
            Notice::PasswordDiffers { node } => format!("password differs {}", node.index()),
        });
    }
}

/// One node and who speaks for it.
pub(super) struct Station {
    pub(super) cluster: Cluster<u32>,
    pub(super) script: Script,
}

/// One connection: a station and its link at each end, and what is on the way to each.
pub(super) struct Wire {
    pub(super) ends: [(usize, LinkId); 2],
    /// Nothing passes, and nobody is told.
    pub(super) is_cut: bool,
}

/// The stations, and the wires between them.
pub(super) struct World {
    pub(super) now_ms: u64,
    pub(super) stations: Vec<Station>,
    pub(super) wires: Vec<Wire>,
    /// So many bytes are delivered at a time.
    pub(super) bytes_max: usize,
    /// Stations that cannot be connected to.
    pub(super) unreachable: Vec<usize>,
}

/// The addresses of `count` nodes, in order; those of the same host but for the port.
pub(super) fn members(count: usize) -> Vec<Member> {
    (0..count)
        .map(|index| Member { address: ([127, 0, 0, 1], 1000 + index as u16).into(), name: format!("n{index}") })
        .collect()
}

pub(super) fn identity(number: u64) -> Identity {
    Identity { name: format!("n{number}"), incarnation: 100 + number, has_password: false, secret: None, seed: number }
}

impl World {
    /// So many nodes with the same list; nothing has happened yet.
    pub(super) fn new(count: usize) -> World {
        World::of((0..count).map(|index| (members(count), identity(index as u64))).collect())
    }

    /// A node for each list and identity: the one whose place it has.
    pub(super) fn of(nodes: Vec<(Vec<Member>, Identity)>) -> World {
        let mut world =
            World { now_ms: 10_000, stations: vec![], wires: vec![], bytes_max: usize::MAX, unreachable: vec![] };
        for (index, (members, identity)) in nodes.into_iter().enumerate() {
            world.stations.push(station(index, members, identity, world.now_ms));
        }
        world
    }

    /// Such a world whose links are up.
    pub(super) fn formed(count: usize) -> World {
        let mut world = World::new(count);
        world.run();
        for station in &mut world.stations {
            assert!(station.cluster.is_formed());
            station.script.notices.clear();
        }
        world
    }

    /// Ends a station with all its connections, and starts it again.
    pub(super) fn restart(&mut self, index: usize, identity: Identity) {
        for at in (0..self.wires.len()).rev() {
            if self.wires[at].ends.iter().any(|end| end.0 == index) {
                self.wires.swap_remove(at);
            }
        }
        self.stations[index] = station(index, members(self.stations.len()), identity, self.now_ms);
    }

    /// Lets happen what happens at once.
    pub(super) fn run(&mut self) {
        while self.step() {}
    }

    /// Lets time pass, ten milliseconds at a time.
    pub(super) fn pass(&mut self, ms: u64) {
        for _ in 0..ms / 10 {
            self.now_ms += 10;
            for Station { cluster, script } in &mut self.stations {
                if cluster.next_timeout_ms().is_some_and(|due_ms| due_ms <= self.now_ms) {
                    cluster.handle_timeout(self.now_ms, script);
                }
            }
            self.run();
        }
    }

    fn step(&mut self) -> bool {
        let mut moved = false;
        for index in 0..self.stations.len() {
            while let Some(node) = self.stations[index].cluster.poll_connect(self.now_ms) {
                self.connect(index, node);
                moved = true;
            }
            while let Some(link) = self.stations[index].cluster.poll_close() {
                self.hang_up(index, link);
                moved = true;
            }
            while let Some(link) = self.stations[index].cluster.poll_send() {
                moved |= self.send(index, link);
            }
        }
        let all: Vec<(usize, LinkId)> = self.wires.iter().flat_map(|wire| wire.ends).collect();
        for (index, link) in all {
            moved |= self.stations[index].cluster.wants_write(link) && self.send(index, link);
            if self.stations[index].cluster.can_resume(link) && self.stations[index].script.time > 0 {
                let Station { cluster, script } = &mut self.stations[index];
                cluster.handle_bytes(self.now_ms, link, &[], script);
                moved = true;
            }
        }
        moved
    }

    /// Connects a station to the node that it dials.
    fn connect(&mut self, from: usize, node: NodeId) {
        let address = self.stations[from].cluster.map().member(node).address;
        let to = usize::from(address.port()) - 1000;
        if self.unreachable.contains(&to) || to >= self.stations.len() {
            return self.stations[from].cluster.handle_connect_failed(self.now_ms, node);
        }
        let accepted = self.stations[to].cluster.handle_accepted(self.now_ms, [127, 0, 0, 1].into());
        let dialled = self.stations[from].cluster.handle_connected(self.now_ms, node);
        let Some(accepted) = accepted else { return };
        self.wires.push(Wire { ends: [(from, dialled), (to, accepted)], is_cut: false });
    }

    /// Sends once on a link; says whether anything was.
    fn send(&mut self, index: usize, link: LinkId) -> bool {
        let wire = self.wires.iter().find(|wire| wire.ends.contains(&(index, link)));
        let Some(wire) = wire.filter(|wire| !wire.is_cut) else { return false };
        let (to, far) = wire.ends[usize::from(wire.ends[0] == (index, link))];
        let mut pieces = [IoSlice::new(&[]); 8];
        let cluster = &mut self.stations[index].cluster;
        let count = cluster.gather(link, &mut pieces);
        let all = pieces[..count].iter().flat_map(|piece| piece.iter().copied());
        let bytes: Vec<u8> = all.take(self.bytes_max).collect();
        cluster.advance(link, bytes.len());
        let Station { cluster, script } = &mut self.stations[to];
        cluster.handle_bytes(self.now_ms, far, &bytes, script);
        !bytes.is_empty()
    }

    /// The other end of a connection is told that it ended.
    pub(super) fn hang_up(&mut self, index: usize, link: LinkId) {
        let Some(at) = self.wires.iter().position(|wire| wire.ends.contains(&(index, link))) else { return };
        let wire = self.wires.swap_remove(at);
        if !wire.is_cut {
            let (to, far) = wire.ends[usize::from(wire.ends[0] == (index, link))];
            let Station { cluster, script } = &mut self.stations[to];
            cluster.handle_closed(self.now_ms, far, "it hung up", script);
        }
    }

    /// Another node, as one sees it.
    pub(super) fn node(&self, index: usize) -> NodeId {
        self.stations[0].cluster.map().ids().nth(index).expect("a node")
    }

    /// A request of one station to another, in words.
    pub(super) fn ask(&mut self, from: usize, to: usize, ticket: u32, text: &str) {
        let words = text.split(' ').map(|word| Word::Received(word.as_bytes()));
        self.ask_words(from, to, ticket, words);
    }

    pub(super) fn ask_words<'w>(
        &mut self,
        from: usize,
        to: usize,
        ticket: u32,
        mut words: impl Iterator<Item = Word<'w>>,
    ) {
        let head = RequestHead { purpose: Purpose::Plain, client: 7, flags: 3 };
        let node = self.node(to);
        self.stations[from].cluster.request(node, head, &mut || words.next(), ticket).expect("a link");
    }

    pub(super) fn notices(&self, index: usize) -> &[String] {
        &self.stations[index].script.notices
    }
}

fn station(index: usize, members: Vec<Member>, identity: Identity, now_ms: u64) -> Station {
    let own = ([127, 0, 0, 1], 1000 + index as u16).into();
    let map = Map::new(members, own).expect("a map");
    let script = Script { grants: true, time: usize::MAX, ..Script::default() };
    Station { cluster: Cluster::new(map, identity, now_ms), script }
}
