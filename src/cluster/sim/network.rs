//! The network between simulated nodes: streams of bytes in order, which come late, stop, or end on one side only.

use super::super::LinkId;
use crate::testkit::Random;
use std::collections::VecDeque;

/// In the place of a node: a stranger, who has nothing but the connection.
pub(super) const STRANGER: usize = usize::MAX;

/// A network of so many nodes.
pub(super) struct Network {
    /// Those that a side is left of, in the order in which they came to be.
    pub(super) connections: Vec<Connection>,
    /// Calls that are not through yet.
    pub(super) dials: Vec<Dial>,
    /// Whether what a node sends to another is held up: lost, and sent again and again until it comes through.
    held: Vec<Vec<bool>>,
    /// So many bytes are on their way in one direction of a connection at most.
    pub(super) window_bytes: usize,
    /// Whether bytes are changed on their way, which TCP does not let happen: a node that writes nonsense does that.
    pub(super) garbles: bool,
    /// A piece takes at most so long.
    pub(super) delay_ms_max: u64,
}

/// A node calls another.
pub(super) struct Dial {
    pub(super) from: usize,
    pub(super) to: usize,
    /// When it is known whether there is a connection.
    pub(super) at_ms: u64,
    /// From then on it is given up.
    pub(super) until_ms: u64,
}

/// One connection; side 0 has called.
pub(super) struct Connection {
    pub(super) sides: [Side; 2],
}

/// One node's side of a connection.
pub(super) struct Side {
    pub(super) node: usize,
    /// By which the node's machine knows it; none when the machine does not, no longer, or not yet.
    pub(super) link: Option<LinkId>,
    pub(super) state: SideState,
    /// Whether the node has something to send over it, as far as it was told.
    pub(super) armed: bool,
    /// What is on its way to here.
    incoming: VecDeque<Parcel>,
    incoming_bytes: usize,
    /// When it is told that the other side ended, behind what is on its way.
    ends_at_ms: Option<u64>,
    /// Whether nothing that is sent comes to here any more, not even that there is no more.
    deaf: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SideState {
    /// The connection is made, the node has not taken it yet.
    Waiting,
    Open,
    Gone,
}

struct Parcel {
    at_ms: u64,
    bytes: Vec<u8>,
}

impl Side {
    fn new(node: usize, state: SideState) -> Side {
        let incoming = VecDeque::new();
        Side { node, link: None, state, armed: false, incoming, incoming_bytes: 0, ends_at_ms: None, deaf: false }
    }
}

impl Connection {
    /// Which side is the node's, if one is. A node never calls itself.
    pub(super) fn side_of(&self, node: usize) -> Option<usize> {
        self.sides.iter().position(|side| side.node == node)
    }

    pub(super) fn is_between(&self, a: usize, b: usize) -> bool {
        self.side_of(a).is_some() && self.side_of(b).is_some()
    }
}

impl Network {
    pub(super) fn new(nodes: usize, random: &mut Random) -> Network {
        Network {
            connections: Vec::new(),
            dials: Vec::new(),
            held: vec![vec![false; nodes]; nodes],
            garbles: false,
            window_bytes: [300, 5_000, 80_000, 400_000][random.below(4)],
            delay_ms_max: [0, 1, 3, 20][random.below(4)],
        }
    }

    /// Holds up what `from` sends to `to`, or lets it through.
    pub(super) fn hold(&mut self, from: usize, to: usize, held: bool) {
        self.held[from][to] = held;
    }

    pub(super) fn holds(&self, from: usize, to: usize) -> bool {
        from != STRANGER && to != STRANGER && self.held[from][to]
    }

    /// A node calls another.
    pub(super) fn dial(&mut self, now_ms: u64, from: usize, to: usize, random: &mut Random) {
        let at_ms = now_ms + random.below(self.delay_ms_max as usize + 1) as u64;
        self.dials.push(Dial { from, to, at_ms, until_ms: now_ms + 300 + random.below(700) as u64 });
    }

    /// Whether it is known by now what became of a call, and whether it came through.
    pub(super) fn dialled(&self, dial: &Dial, now_ms: u64) -> Option<bool> {
        if dial.until_ms <= now_ms {
            return Some(false);
        }
        let through = !self.holds(dial.from, dial.to) && !self.holds(dial.to, dial.from);
        (through && dial.at_ms <= now_ms).then_some(true)
    }

    /// A connection that the node called has not yet taken; its number.
    pub(super) fn connect(&mut self, from: usize, to: usize) -> usize {
        let sides = [Side::new(from, SideState::Open), Side::new(to, SideState::Waiting)];
        self.connections.push(Connection { sides });
        self.connections.len() - 1
    }

    /// When something happens to a node by itself; what it does not want to read is nothing.
    pub(super) fn due_ms(&self, node: usize, reads: impl Fn(LinkId) -> bool) -> Option<u64> {
        let dials = self.dials.iter().filter(|dial| dial.from == node).map(|dial| {
            let held = self.holds(dial.from, dial.to) || self.holds(dial.to, dial.from);
            if held { dial.until_ms } else { dial.at_ms }
        });
        let sides = self.connections.iter().filter_map(|connection| {
            let place = connection.side_of(node)?;
            let side = &connection.sides[place];
            match side.state {
                SideState::Gone => None,
                SideState::Waiting => Some(0),
                SideState::Open if self.holds(connection.sides[1 - place].node, node) => None,
                SideState::Open if !side.link.is_some_and(&reads) => None,
                SideState::Open => side.incoming.front().map(|parcel| parcel.at_ms).or(side.ends_at_ms),
            }
        });
        dials.chain(sides).min()
    }

    /// How many bytes a side may send now.
    pub(super) fn room(&self, connection: usize, side: usize) -> usize {
        let other = &self.connections[connection].sides[1 - side];
        if other.state == SideState::Gone && !other.deaf {
            // The kernel takes some more before it finds out.
            return 2000;
        }
        self.window_bytes.saturating_sub(other.incoming_bytes)
    }

    /// A side sends bytes.
    pub(super) fn send(&mut self, now_ms: u64, connection: usize, side: usize, bytes: Vec<u8>, random: &mut Random) {
        let mut bytes = bytes;
        if self.garbles && random.below(30) == 0 {
            for _ in 0..1 + random.below(4) {
                let at = random.below(bytes.len());
                bytes[at] = random.next() as u8;
            }
        }
        let delay_ms = random.below(self.delay_ms_max as usize + 1) as u64;
        let [first, second] = &mut self.connections[connection].sides;
        let (own, other) = if side == 0 { (first, second) } else { (second, first) };
        if other.deaf {
            // They stay with the sender, who is not told of anything.
            other.incoming_bytes += bytes.len();
            return;
        }
        if other.state == SideState::Gone {
            // Nobody is there: a reset comes back, unless nothing does.
            if !own.deaf && own.ends_at_ms.is_none() {
                own.ends_at_ms = Some(now_ms + delay_ms);
            }
            return;
        }
        // Bytes keep their order.
        let at_ms = other.incoming.back().map_or(0, |parcel| parcel.at_ms).max(now_ms + delay_ms);
        other.incoming_bytes += bytes.len();
        other.incoming.push_back(Parcel { at_ms, bytes });
    }

    /// What has come to a side by now, some of it; or that there is no more.
    pub(super) fn receive(&mut self, now_ms: u64, connection: usize, side: usize, random: &mut Random) -> Received {
        let sides = &self.connections[connection].sides;
        if self.holds(sides[1 - side].node, sides[side].node) {
            return Received::Nothing;
        }
        let own = &mut self.connections[connection].sides[side];
        match own.incoming.front_mut() {
            Some(parcel) if parcel.at_ms <= now_ms => {
                // A stream has no borders: a piece may be cut in two, or come together with the next ones.
                let cut = match random.below(4) {
                    0 => 1 + random.below(parcel.bytes.len()),
                    _ => parcel.bytes.len(),
                };
                let mut bytes = if cut < parcel.bytes.len() {
                    let rest = parcel.bytes.split_off(cut);
                    std::mem::replace(&mut parcel.bytes, rest)
                } else {
                    own.incoming.pop_front().expect("the front").bytes
                };
                while bytes.len() < 16 * 1024
                    && cut & 1 == 0
                    && own.incoming.front().is_some_and(|parcel| parcel.at_ms <= now_ms)
                {
                    bytes.extend(own.incoming.pop_front().expect("the front").bytes);
                }
                own.incoming_bytes -= bytes.len();
                Received::Bytes(bytes)
            }
            Some(_) => Received::Nothing,
            None if own.ends_at_ms.is_some_and(|at_ms| at_ms <= now_ms) => Received::End,
            None => Received::Nothing,
        }
    }

    /// A side closes; the other is told, sooner or later. With `reset` what is on its way there is lost.
    pub(super) fn close(&mut self, now_ms: u64, connection: usize, side: usize, reset: bool, random: &mut Random) {
        let delay_ms = random.below(self.delay_ms_max as usize + 1) as u64;
        let [first, second] = &mut self.connections[connection].sides;
        let (own, other) = if side == 0 { (first, second) } else { (second, first) };
        own.state = SideState::Gone;
        own.link = None;
        own.incoming.clear();
        own.incoming_bytes = 0;
        if reset {
            other.lose_some(random);
        }
        if !other.deaf && other.ends_at_ms.is_none() {
            let last_ms = other.incoming.back().map_or(0, |parcel| parcel.at_ms);
            other.ends_at_ms = Some(last_ms.max(now_ms + delay_ms));
        }
    }

    /// Something between the nodes breaks a connection: each side is told at a time of its own, or never.
    pub(super) fn cut(&mut self, now_ms: u64, connection: usize, random: &mut Random) {
        for side in &mut self.connections[connection].sides {
            side.lose_some(random);
            side.deaf = true;
            if random.below(3) > 0 {
                let last_ms = side.incoming.back().map_or(0, |parcel| parcel.at_ms);
                let told_ms = now_ms + [0, 50, 1200, 4000][random.below(4)];
                side.ends_at_ms = Some(last_ms.max(told_ms));
            }
        }
    }

    /// A machine loses its power: nobody is told of its connections' end.
    pub(super) fn lose_node(&mut self, node: usize) {
        for connection in &mut self.connections {
            if let Some(side) = connection.side_of(node) {
                connection.sides[side].state = SideState::Gone;
                connection.sides[side].link = None;
                connection.sides[1 - side].deaf = true;
            }
        }
    }

    /// Forgets the connections of which no side is left.
    pub(super) fn sweep(&mut self) {
        let left = |side: &Side| side.state != SideState::Gone && side.node != STRANGER;
        self.connections.retain(|connection| connection.sides.iter().any(left));
    }
}

impl Side {
    /// Loses what is on its way to here, from some place on.
    fn lose_some(&mut self, random: &mut Random) {
        self.incoming.truncate(random.below(self.incoming.len() + 1));
        if let Some(parcel) = self.incoming.back_mut() {
            parcel.bytes.truncate(1 + random.below(parcel.bytes.len()));
        }
        self.incoming_bytes = self.incoming.iter().map(|parcel| parcel.bytes.len()).sum();
    }
}

pub(super) enum Received {
    Nothing,
    Bytes(Vec<u8>),
    End,
}
