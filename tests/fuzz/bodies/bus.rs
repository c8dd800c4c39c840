//! Any bytes, as frames from another node: looked at whole, one after the other, and, cut into pieces whose lengths the
//! first bytes tell, given to a node over a link that is up. Nothing panics, and what is kept stays bounded.

use memento::cluster::wire::{self, Frame, HeadWord, HeadWords};
use memento::cluster::{
    Answer, Caller, Cluster, Executed, Host, Identity, LinkId, Map, Member, Notice, Offer, Purpose, Request,
    RequestHead,
};
use memento::limits::{FRAME_BYTES_MAX, STRANGER_BYTES_MAX};
use memento::proto::{Encoding, Face, Output, Reply, Word};
use std::io::IoSlice;
use std::net::SocketAddr;

/// What `wire::decode` promises of any bytes.
fn decode_all(mut bytes: &[u8], limit: usize) {
    while let Ok(Some((frame, taken))) = wire::decode(bytes, limit) {
        assert!(taken > 4 && taken <= bytes.len() && taken <= limit);
        match frame {
            Frame::Request { words, .. } => {
                let mut last = 0;
                for word in HeadWords::new(words).map_while(Result::ok) {
                    if let HeadWord::Here { start, end } = word {
                        assert!(start > last && start <= end && end <= words.len());
                        last = end;
                    }
                }
            }
            Frame::Refuse(refusal) => assert!(refusal.addresses().count() <= taken / 7),
            Frame::RequestLong(piece) | Frame::ReplyLong(piece) => assert!(piece.bytes.len() <= piece.total as usize),
            _ => {}
        }
        bytes = &bytes[taken..];
    }
}

/// A host that answers everything, some of it later, some of it largely.
#[derive(Default)]
struct Any {
    later: Vec<Caller>,
    is_up: bool,
    executed: usize,
    answered: usize,
}

impl Host<u32> for Any {
    fn execute(&mut self, request: Request<'_>, output: &mut Output) -> Executed {
        self.executed += 1;
        assert!(request.args.from(0).count() == request.args.len());
        match request.args.name().first() {
            Some(b'L') => {
                self.later.push(request.caller);
                return Executed::Later;
            }
            Some(b'B') => Reply::new(output, Encoding::Bus, Face::Typed).bulk(&[b'b'; 100_000]),
            _ => Reply::new(output, Encoding::Bus, Face::Typed).ok(),
        }
        Executed::Now
    }

    fn answer(&mut self, _ticket: u32, answer: Answer<'_>) {
        self.answered += 1;
        if let Answer::Reply(reply) = answer {
            let mut output = Output::default();
            let _ = reply.reader().pass_value(&mut Reply::new(&mut output, Encoding::Resp3, Face::Typed));
        }
    }

    fn offer(&mut self, ticket: &u32, _offer: Offer) -> bool {
        ticket.is_multiple_of(2)
    }

    fn has_time(&self) -> bool {
        true
    }

    fn notice(&mut self, notice: Notice<'_>) {
        match notice {
            Notice::Up { .. } => self.is_up = true,
            Notice::Down { .. } => self.is_up = false,
            _ => {}
        }
    }
}

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], 6837))
}

/// One of two nodes.
fn node(number: u8) -> Cluster<u32> {
    let members = [1, 2].map(|last| Member { address: address(last), name: format!("node{last}") });
    let map = Map::new(members.to_vec(), address(number)).expect("a list of nodes");
    let (name, incarnation, seed) = (format!("node{number}"), number.into(), number.into());
    Cluster::new(map, Identity { name, incarnation, has_password: false, secret: None, seed }, 1000)
}

/// Node 1 with a link to node 2 that is up: the two have talked, and what comes from now on is the input.
fn linked(host: &mut Any) -> (Cluster<u32>, LinkId) {
    let (mut cluster, mut peer) = (node(1), node(2));
    let link = cluster.handle_accepted(1000, address(2).ip()).expect("a listed address");
    let first = peer.poll_connect(1000).expect("a node to dial");
    let back = peer.handle_connected(1000, first);
    for _ in 0..5 {
        cluster.handle_bytes(1000, link, &drain(&mut peer, back), host);
        peer.handle_bytes(1000, back, &drain(&mut cluster, link), &mut Any::default());
    }
    (cluster, link)
}

/// Takes all that a node has to send.
fn drain(cluster: &mut Cluster<u32>, link: LinkId) -> Vec<u8> {
    let mut sent = Vec::new();
    while cluster.wants_write(link) {
        let mut pieces = [IoSlice::new(&[]); 8];
        let count = cluster.gather(link, &mut pieces);
        let before = sent.len();
        pieces[..count].iter().for_each(|piece| sent.extend_from_slice(piece));
        assert!(sent.len() > before, "it wants to write nothing");
        cluster.advance(link, sent.len() - before);
    }
    sent
}

/// Frames whose lengths are right, of a kind and with a length that a byte each tells: bytes by chance seldom have them.
fn framed(mut input: &[u8]) -> Vec<u8> {
    let mut frames = Vec::new();
    while let [kind, length, rest @ ..] = input {
        let (body, after) = rest.split_at(usize::from(*length).min(rest.len()));
        frames.extend_from_slice(&(body.len() as u32 + 1).to_le_bytes());
        frames.push(kind % 16);
        frames.extend_from_slice(body);
        input = after;
    }
    frames
}

/// Tries one input.
pub fn run(input: &[u8]) {
    let Some((lengths, bytes)) = input.split_at_checked(4) else { return };
    let frames;
    let mut bytes = if lengths[0] % 4 == 0 {
        bytes
    } else {
        frames = framed(bytes);
        &frames[..]
    };
    decode_all(bytes, FRAME_BYTES_MAX);
    decode_all(bytes, STRANGER_BYTES_MAX);

    let mut host = Any::default();
    let (mut cluster, link) = linked(&mut host);
    assert!(host.is_up, "the link is up after a good hello");
    drain(&mut cluster, link);
    // Some requests are on their way, so that replies have something to answer.
    let peer = cluster.map().ids().nth(1).expect("two nodes");
    let asked = 5;
    for ticket in 0..asked {
        let head = RequestHead { purpose: Purpose::Plain, client: 1, flags: 0 };
        let mut words = [Word::Received(b"GET"), Word::Received(b"key")].into_iter();
        let sent = cluster.request(peer, head, &mut || words.next(), ticket);
        assert!(sent.is_ok());
    }
    let mut now_ms = 1000;
    let mut lengths = lengths.iter().cycle().map(|&length| usize::from(length) + 1);
    while !bytes.is_empty() && host.is_up {
        let (piece, rest) = bytes.split_at(lengths.next().expect("a cycle").min(bytes.len()));
        bytes = rest;
        cluster.handle_bytes(now_ms, link, piece, &mut host);
        while cluster.can_resume(link) {
            drain(&mut cluster, link);
            cluster.handle_bytes(now_ms, link, &[], &mut host);
        }
        if let Some(caller) = host.later.pop() {
            let mut output = Output::default();
            Reply::new(&mut output, Encoding::Bus, Face::Typed).ok();
            cluster.reply(caller, &output);
        }
        now_ms += 1;
        cluster.handle_timeout(now_ms, &mut host);
        drain(&mut cluster, link);
    }
    cluster.handle_closed(now_ms, link, "the input ended", &mut host);
    assert_eq!(host.answered, asked as usize, "each request is answered once");
    assert!(!cluster.is_up(peer));
}
