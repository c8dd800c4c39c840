//! Runs steps against two servers, compares what they answer byte by byte, and makes a failing run small.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::differences::{DIFFERENCES, Exchange, excuse};
use super::generator::{Random, Step, Word};
use super::reply::{Found, Reply, parse};
use super::support::show;

/// A server that has not answered within this time will not.
const DEADLINE: Duration = Duration::from_secs(10);

/// While a failing run is made small, many shorter ones leave a reply out: less patience is needed there.
const DEADLINE_SMALL: Duration = Duration::from_millis(1500);

/// A server that is to close does so within this time, or it is asked again with more patience.
const CLOSES: Duration = Duration::from_millis(25);

/// So long may making one failing run small take.
const MINIMISING: Duration = Duration::from_secs(15);

/// Two servers, the one that is right first.
pub struct Pair {
    /// Redis.
    pub redis: SocketAddr,
    /// The server under test.
    pub memento: SocketAddr,
}

/// How often what happened.
#[derive(Default)]
pub struct Counts {
    /// Requests answered by both.
    pub requests: usize,
    /// Uses of each difference.
    pub differences: [usize; DIFFERENCES.len()],
}

/// Where the two first disagreed.
#[derive(Clone, Debug)]
pub struct Mismatch {
    /// The step.
    pub step: usize,
    /// What was asked.
    pub words: Vec<Vec<u8>>,
    /// What Redis answered, with what was wrong about it, if anything.
    pub redis: Vec<u8>,
    /// What memento answered.
    pub memento: Vec<u8>,
}

impl Mismatch {
    /// Mismatches that look alike have one cause, as a rule: an error by its first words, whatever it should have been.
    pub fn signature(&self) -> String {
        let name = show(&self.words[0].to_ascii_uppercase());
        let start = |bytes: &[u8], length: usize| show(&bytes[..bytes.len().min(length)]);
        match self.memento.first() {
            Some(b'-') => format!("{name}: {}", start(&self.memento, 20)),
            _ => format!("{name}: {} instead of {}", start(&self.memento, 1), start(&self.redis, 20)),
        }
    }
}

/// A connection that can be written to while it is read from: neither side may wait for the other for ever.
struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

/// What came back for some requests.
struct Received {
    bytes: Vec<u8>,
    /// Where each reply ends.
    ends: Vec<usize>,
    /// Why there are fewer than expected.
    trouble: Option<&'static str>,
}

impl Received {
    fn reply(&self, index: usize) -> Vec<u8> {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        self.bytes[start..self.ends[index]].to_vec()
    }

    /// What stands in the place of the reply that is missing.
    fn rest(&self) -> Vec<u8> {
        let rest = &self.bytes[self.ends.last().copied().unwrap_or(0)..];
        [b"(", self.trouble.unwrap_or("nothing").as_bytes(), b") ", rest].concat()
    }
}

impl Connection {
    fn new(address: SocketAddr) -> Connection {
        let stream = TcpStream::connect(address).expect("to connect");
        stream.set_nodelay(true).expect("TCP_NODELAY");
        stream.set_nonblocking(true).expect("a socket that does not wait");
        Connection { stream, received: Vec::new() }
    }

    /// Waits until it can be read, or written where that is wanted.
    fn wait(&self, write: bool, longest: Duration) {
        let mut flags = PollFlags::POLLIN;
        if write {
            flags |= PollFlags::POLLOUT;
        }
        let longest = PollTimeout::try_from(longest).expect("a short time");
        let _ = poll(&mut [PollFd::new(self.stream.as_fd(), flags)], longest);
    }

    /// Takes what has come; false at the end of the stream.
    fn receive(&mut self) -> bool {
        let mut piece = [0; 64 * 1024];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => return false,
                Ok(count) => self.received.extend_from_slice(&piece[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }

    /// Sends the pieces and takes so many replies.
    fn exchange(&mut self, pieces: &[&[u8]], expected: usize, deadline: Duration) -> Received {
        let start = Instant::now();
        let mut ends = Vec::new();
        let mut pieces = pieces.iter().copied().filter(|piece| !piece.is_empty());
        let mut piece = pieces.next().unwrap_or(b"");
        let trouble = loop {
            while !piece.is_empty() {
                match self.stream.write(piece) {
                    Ok(count) => piece = &piece[count..],
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    // The end of the stream tells the rest.
                    Err(_) => piece = b"",
                }
                if piece.is_empty() {
                    piece = pieces.next().unwrap_or(b"");
                    // The server gets a chance to see the pieces apart.
                    std::thread::yield_now();
                }
            }
            let open = self.receive();
            let mut garbage = false;
            while ends.len() < expected {
                match parse(&self.received, ends.last().copied().unwrap_or(0)) {
                    Found::Whole(_, end) => ends.push(end),
                    Found::Partial => break,
                    Found::Garbage => {
                        garbage = true;
                        break;
                    }
                }
            }
            if garbage {
                break Some("no RESP");
            }
            if ends.len() == expected && piece.is_empty() {
                break None;
            }
            if !open {
                break Some("closed");
            }
            if start.elapsed() > deadline {
                break Some("no answer in time");
            }
            self.wait(!piece.is_empty(), Duration::from_millis(500));
        };
        Received { bytes: std::mem::take(&mut self.received), ends, trouble }
    }

    /// Everything that comes until the end of the stream, or until nothing came for a while; whether it ended.
    fn until_closed(&mut self, patience: Duration) -> (Vec<u8>, bool) {
        loop {
            let had = self.received.len();
            if !self.receive() {
                return (std::mem::take(&mut self.received), true);
            }
            if self.received.len() == had {
                self.wait(false, patience);
                let before = self.received.len();
                if !self.receive() {
                    return (std::mem::take(&mut self.received), true);
                }
                if self.received.len() == before {
                    return (std::mem::take(&mut self.received), false);
                }
            }
        }
    }
}

/// One server with the two clients of a run.
struct Side {
    address: SocketAddr,
    clients: [Connection; 2],
}

impl Side {
    fn new(address: SocketAddr) -> Side {
        let mut side = Side { address, clients: [Connection::new(address), Connection::new(address)] };
        let cleared = side.clients[0].exchange(&[b"*1\r\n$8\r\nFLUSHALL\r\n"], 1, DEADLINE);
        assert!(cleared.bytes == b"+OK\r\n", "FLUSHALL answers {}", show(&cleared.bytes));
        // What a run may have set before, on this server or, of a cluster, on another one.
        let unset = b"CONFIG SET maxmemory 0 maxmemory-policy noeviction slowlog-max-len 128\r\n";
        let unset = side.clients[0].exchange(&[unset], 1, DEADLINE);
        assert!(unset.bytes.ends_with(b"OK\r\n"), "CONFIG SET answers {}", show(&unset.bytes));
        side
    }

    /// What a connection of its own gets for these bytes, and whether the server closed it then.
    fn alone(&self, bytes: &[u8], patience: Duration) -> (Vec<u8>, bool) {
        let mut connection = Connection::new(self.address);
        // So little fits into any socket, but the server may have closed before it has taken all.
        let _ = connection.stream.write_all(bytes);
        connection.until_closed(patience)
    }

    /// All that SCAN finds, sorted, or the reply that is no SCAN's.
    fn walk(&mut self, client: usize, options: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, Vec<u8>> {
        let mut found = Vec::new();
        let mut cursor = b"0".to_vec();
        for _ in 0..20_000 {
            let mut words = vec![b"SCAN".to_vec(), cursor];
            words.extend_from_slice(options);
            let received = self.clients[client].exchange(&[&encode(&words)], 1, DEADLINE);
            if received.trouble.is_some() {
                return Err(received.rest());
            }
            let Found::Whole(reply, _) = parse(&received.bytes, 0) else { return Err(received.bytes) };
            if reply.kind != b'*' || reply.items.len() != 2 {
                return Err(received.bytes);
            }
            found.extend(reply.items[1].items.iter().map(|item| item.text.clone()));
            cursor = reply.items[0].text.clone();
            if cursor == b"0" {
                found.sort_unstable();
                found.dedup();
                return Ok(found);
            }
        }
        Err(b"(SCAN does not end)".to_vec())
    }
}

/// A request as an array of bulks.
fn encode(words: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n", word.len()).into_bytes());
        bytes.extend(word);
        bytes.extend(b"\r\n");
    }
    bytes
}

/// Cuts at random places; a seed of 0 does not cut.
fn pieces(bytes: &[u8], seed: u64) -> Vec<&[u8]> {
    let mut random = Random(seed);
    if seed == 0 || bytes.len() < 2 || random.percent(40) {
        return vec![bytes];
    }
    if bytes.len() < 200 && random.percent(20) {
        return bytes.chunks(1).collect();
    }
    let mut cuts: Vec<usize> = (0..1 + random.below(4)).map(|_| random.below(bytes.len())).collect();
    cuts.sort_unstable();
    let mut pieces = Vec::new();
    let mut start = 0;
    for cut in cuts {
        pieces.push(&bytes[start..cut]);
        start = cut;
    }
    pieces.push(&bytes[start..]);
    pieces
}

/// A request and its two replies, where they are not to be excused.
type Disagreement = (Vec<Vec<u8>>, Vec<u8>, Vec<u8>);

/// Compares two replies; those of EXEC one by one, each with the request that was queued.
fn agree(
    words: &[Vec<u8>],
    queued: Option<&[Vec<Vec<u8>>]>,
    redis: &Reply,
    memento: &Reply,
    counts: &mut Counts,
) -> Result<(), Disagreement> {
    if redis == memento {
        return Ok(());
    }
    if let Some(queued) = queued
        && redis.kind == b'*'
        && memento.kind == b'*'
        && redis.items.len() == queued.len()
        && memento.items.len() == queued.len()
    {
        for ((redis, memento), words) in redis.items.iter().zip(&memento.items).zip(queued) {
            agree(words, None, redis, memento, counts)?;
        }
        return Ok(());
    }
    match excuse(&Exchange { words, redis, memento }) {
        Some(index) => {
            counts.differences[index] += 1;
            Ok(())
        }
        None => Err((words.to_vec(), redis.encode(), memento.encode())),
    }
}

/// Runs all steps on fresh connections and an empty store; stops where the two first disagree.
pub fn run(pair: &Pair, steps: &[Step], deadline: Duration, counts: &mut Counts) -> Result<(), Mismatch> {
    let mut redis = Side::new(pair.redis);
    let mut memento = Side::new(pair.memento);
    // What each client has queued, as the replies tell.
    let mut queues: [Vec<Vec<Vec<u8>>>; 2] = Default::default();
    for (step, what) in steps.iter().enumerate() {
        match what {
            Step::Wait { ms } => std::thread::sleep(Duration::from_millis(*ms)),
            Step::Walk { client, options } => {
                let options: Vec<Vec<u8>> = options.iter().map(Word::resolve).collect();
                let (left, right) = (redis.walk(*client, &options), memento.walk(*client, &options));
                counts.requests += 1;
                if left != right {
                    let text = |walk: &Result<Vec<Vec<u8>>, Vec<u8>>| match walk {
                        Ok(keys) => keys.join(&b", "[..]),
                        Err(bytes) => bytes.clone(),
                    };
                    let words = [vec![b"SCAN".to_vec(), b"(all)".to_vec()], options].concat();
                    return Err(Mismatch { step, words, redis: text(&left), memento: text(&right) });
                }
            }
            Step::Alone { bytes } => {
                counts.requests += 1;
                alone(&redis, &memento, bytes, step, counts)?;
            }
            Step::Talk { client, groups, cuts } => {
                // Moments are told once, so that both get the same bytes.
                let requests: Vec<(Vec<Vec<u8>>, bool)> = groups
                    .iter()
                    .flatten()
                    .map(|request| (request.words.iter().map(Word::resolve).collect(), request.silent))
                    .collect();
                let bytes: Vec<u8> = requests.iter().flat_map(|(words, _)| encode(words)).collect();
                let asked: Vec<&Vec<Vec<u8>>> =
                    requests.iter().filter(|(_, silent)| !silent).map(|(words, _)| words).collect();
                let pieces = pieces(&bytes, *cuts);
                let left = redis.clients[*client].exchange(&pieces, asked.len(), deadline);
                let right = memento.clients[*client].exchange(&pieces, asked.len(), deadline);
                let queue = &mut queues[*client];
                for (index, words) in asked.into_iter().enumerate() {
                    if index >= left.ends.len() || index >= right.ends.len() {
                        let reply =
                            |side: &Received| if index < side.ends.len() { side.reply(index) } else { side.rest() };
                        return Err(Mismatch {
                            step,
                            words: words.clone(),
                            redis: reply(&left),
                            memento: reply(&right),
                        });
                    }
                    let (left, right) = (left.reply(index), right.reply(index));
                    counts.requests += 1;
                    let name = words[0].to_ascii_uppercase();
                    if left != right {
                        let whole = |bytes: &[u8]| match parse(bytes, 0) {
                            Found::Whole(reply, _) => reply,
                            _ => unreachable!("it was parsed to find its end"),
                        };
                        let queued = (name == b"EXEC").then_some(&queue[..]);
                        agree(words, queued, &whole(&left), &whole(&right), counts)
                            .map_err(|(words, redis, memento)| Mismatch { step, words, redis, memento })?;
                    }
                    if left == b"+QUEUED\r\n" {
                        queue.push(words.clone());
                    } else if matches!(&name[..], b"EXEC" | b"DISCARD" | b"RESET") {
                        queue.clear();
                    }
                }
                for (received, expected) in [(&left, left.ends.len()), (&right, right.ends.len())] {
                    let end = received.ends.last().copied().unwrap_or(0);
                    if received.bytes.len() > end {
                        let words = vec![b"(more bytes than replies)".to_vec(), expected.to_string().into_bytes()];
                        return Err(Mismatch { step, words, redis: left.rest(), memento: right.rest() });
                    }
                }
            }
        }
    }
    Ok(())
}

fn alone(redis: &Side, memento: &Side, bytes: &[u8], step: usize, counts: &mut Counts) -> Result<(), Mismatch> {
    let mut patience = CLOSES;
    loop {
        let left = redis.alone(bytes, patience);
        // Where Redis closes, memento has all the time that it needs.
        let right = memento.alone(bytes, if left.1 { DEADLINE } else { patience });
        if left == right {
            return Ok(());
        }
        if patience < Duration::from_secs(1) {
            // A machine that is busy makes both slow: it is a difference only if it stays one.
            patience = Duration::from_secs(1);
            continue;
        }
        let words = vec![bytes.to_vec()];
        let text = |outcome: &(Vec<u8>, bool)| {
            let state: &[u8] = if outcome.1 { b" (closed)" } else { b" (open)" };
            [&outcome.0[..], state].concat()
        };
        // The replies before the error agree; the error itself may be excused.
        let last = |bytes: &[u8]| {
            let mut at = 0;
            let mut last = None;
            while let Found::Whole(reply, end) = parse(bytes, at) {
                at = end;
                last = Some(reply);
            }
            last
        };
        let nothing = Reply { kind: b'_', null: true, text: Vec::new(), items: Vec::new() };
        let replies = (last(&left.0).unwrap_or(nothing.clone()), last(&right.0).unwrap_or(nothing));
        // What is excused may be behind a PING.
        let start = bytes.windows(2).rposition(|window| window[0] == b'*').map_or(0, |_| skip_pings(bytes));
        let words_of_it = vec![bytes[start..].to_vec()];
        let exchange = Exchange { words: &words_of_it, redis: &replies.0, memento: &replies.1 };
        return match excuse(&exchange) {
            Some(index) => {
                counts.differences[index] += 1;
                Ok(())
            }
            None => Err(Mismatch { step, words, redis: text(&left), memento: text(&right) }),
        };
    }
}

/// Where the requests end that both answer.
fn skip_pings(bytes: &[u8]) -> usize {
    const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
    if bytes.starts_with(PING) { PING.len() } else { 0 }
}

/// The smallest run found that still fails in the same way, and how.
pub fn minimise(pair: &Pair, steps: &[Step], mismatch: &Mismatch) -> (Vec<Step>, Mismatch) {
    let start = Instant::now();
    let wanted = mismatch.signature();
    let fails = |steps: &[Step]| {
        let outcome = run(pair, steps, DEADLINE_SMALL, &mut Counts::default());
        outcome.err().filter(|other| other.signature() == wanted)
    };
    let mut best = (steps[..=mismatch.step].to_vec(), mismatch.clone());
    // First each group for itself, since what is apart can be left out; a run that fails only as it was keeps its steps.
    let mut apart = Vec::new();
    for step in &best.0 {
        match step {
            Step::Talk { client, groups, .. } => {
                let single = |group: &Vec<_>| Step::Talk { client: *client, groups: vec![group.clone()], cuts: 0 };
                apart.extend(groups.iter().map(single));
            }
            other => apart.push(other.clone()),
        }
    }
    if let Some(found) = fails(&apart) {
        apart.truncate(found.step + 1);
        best = (apart, found);
    }
    let mut size = best.0.len().div_ceil(2);
    loop {
        let mut at = 0;
        while at < best.0.len() && start.elapsed() < MINIMISING {
            let end = (at + size).min(best.0.len());
            let fewer = [&best.0[..at], &best.0[end..]].concat();
            match fails(&fewer) {
                Some(found) => best = (fewer[..=found.step].to_vec(), found),
                None => at = end,
            }
        }
        if size == 1 || start.elapsed() >= MINIMISING {
            return best;
        }
        size = size.div_ceil(2);
    }
}

/// The steps as a person reads them.
pub fn describe(steps: &[Step]) -> String {
    let mut text = String::new();
    let words = |words: &[Word]| {
        let shown: Vec<String> = words
            .iter()
            .map(|word| match word {
                Word::Bytes(bytes) => format!("\"{}\"", show(bytes)),
                Word::Moment { offset_ms, unit_ms } => format!("<now {offset_ms:+} ms, in units of {unit_ms} ms>"),
            })
            .collect();
        shown.join(" ")
    };
    for step in steps {
        match step {
            Step::Wait { ms } => text += &format!("  wait {ms} ms\n"),
            Step::Walk { client, options } => text += &format!("  client {client}: SCAN (all) {}\n", words(options)),
            Step::Alone { bytes } => text += &format!("  another connection: {}\n", show(bytes)),
            Step::Talk { client, groups, .. } => {
                for request in groups.iter().flatten() {
                    let silent = if request.silent { " (no reply)" } else { "" };
                    text += &format!("  client {client}: {}{silent}\n", words(&request.words));
                }
            }
        }
    }
    text
}

/// What a run of whole length is given.
pub const PATIENCE: Duration = DEADLINE;
