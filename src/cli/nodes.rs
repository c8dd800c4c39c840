//! The nodes of a cluster: what each says of itself in a table, and who has which slots as a picture. `--cluster` shows
//! them once, `--top` again and again.

use std::fmt::Write;
use std::time::Duration;

use super::options::Request;
use super::show::escaped;
use super::talk::Target;
use super::watch::{Info, short};
use super::{Failure, has, say, words};
use crate::client::node_address;
use crate::client::reply::Kind;
use crate::client::resp::{Deadline, RespClient, address};
use crate::sys::clock::monotonic_ns;

/// A node that says nothing for so long is shown as silent.
const PATIENCE: Duration = Duration::from_secs(2);

/// A node that was silent is not asked for so many nanoseconds: the others would wait for it at each look.
const SILENCE_NS: u64 = 5_000_000_000;

/// Slots as clients of clusters count them. memento has half as many: the second half is the first one again.
const SLOTS: usize = 16_384;
const HALF: usize = SLOTS / 2;

/// Who has a slot that nobody has.
const NOBODY: u16 = u16::MAX;

/// The picture has so many cells, in rows of so many.
const CELLS: usize = 256;
const CELLS_PER_ROW: usize = 64;

/// A node as the cluster knows it, and what it said last.
#[derive(Default)]
pub(super) struct Node {
    /// Empty for a server that is in no cluster.
    host: String,
    port: u16,
    address: String,
    /// In the words of CLUSTER NODES.
    flags: String,
    unlinked: bool,
    pub(super) client: Option<Box<RespClient>>,
    pub(super) said: Option<Info>,
    /// Until when it is not asked.
    asked_from_ns: u64,
}

/// The nodes of what CLUSTER NODES says, by address, and which of them has each slot, of memento's or of Redis Cluster's.
#[inline(never)]
fn parse(text: &str) -> (Vec<Node>, Vec<u16>) {
    let (mut nodes, mut owners, mut is_doubled) = (Vec::<Node>::new(), vec![NOBODY; SLOTS], true);
    for line in text.lines() {
        let words = words(line);
        let Some(node) = node(line, &words) else { continue };
        // There are few, so that this is as good as sorting, and smaller.
        let mut place = 0;
        while place < nodes.len() && (&*nodes[place].host, nodes[place].port) < (&*node.host, node.port) {
            place += 1;
        }
        nodes.insert(place, node);
        for owner in &mut owners {
            *owner += u16::from(usize::from(*owner) >= place && *owner != NOBODY);
        }
        for (_, word) in &words[8..] {
            let (first, last) = word.split_once('-').unwrap_or((word, word));
            if let (Ok(first), Ok(last)) = (first.parse::<usize>(), last.parse::<usize>())
                && first <= last
                && last < SLOTS
            {
                owners[first..=last].fill(place as u16);
                is_doubled &= (first < HALF) == (last < HALF);
            }
        }
    }
    if is_doubled && owners[..HALF] == owners[HALF..] {
        owners.truncate(HALF);
    }
    (nodes, owners)
}

fn node(line: &str, words: &[(usize, &str)]) -> Option<Node> {
    let word = |place: usize| words.get(place).map(|(_, word)| *word);
    let (flags, link) = (word(2)?, word(7)?);
    let (host, port) = node_address(line)?;
    let port = port.parse().ok()?;
    // It is shown: a server's words have nothing that a terminal obeys.
    let host = escaped(host.as_bytes());
    let unlinked = link != "connected" && !has(flags, "myself");
    Some(Node { address: address(&host, port), host, port, flags: flags.to_string(), unlinked, ..Node::default() })
}

/// The letter that stands for a node in the picture.
pub(super) fn letter(place: usize) -> char {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    char::from(LETTERS[place % LETTERS.len()])
}

/// Who has which slots: a letter for some slots that one node has, `+` for those of several, `.` where nobody has them.
#[inline(never)]
fn picture(owners: &[u16]) -> String {
    let mut text = String::new();
    let step = owners.len() / CELLS;
    for (place, cell) in owners.chunks(step.max(1)).enumerate() {
        if place % CELLS_PER_ROW == 0 {
            let _ = write!(text, "{:>6} ", place * step);
        }
        text.push(match cell[0] {
            _ if cell.iter().any(|owner| *owner != cell[0]) => '+',
            NOBODY => '.',
            owner => letter(owner.into()),
        });
        if place % CELLS_PER_ROW == CELLS_PER_ROW - 1 {
            text.push('\n');
        }
    }
    text
}

/// All of a cluster, or one server.
pub(super) struct Cluster {
    /// Where the first node is asked for. Its patience is that for each node: one that says nothing for so long is silent.
    target: Target,
    pub(super) nodes: Vec<Node>,
    /// By slot; empty for a server that is in no cluster.
    owners: Vec<u16>,
}

impl Cluster {
    /// All nodes; none is asked for more than the others.
    ///
    /// # Errors
    /// As [`Cluster::find`].
    pub(super) fn new(target: &Target, patience: Duration) -> Result<Cluster, Failure> {
        let target = Target { patience, ..target.clone() };
        let mut cluster = Cluster { target, nodes: Vec::new(), owners: Vec::new() };
        cluster.find()?;
        Ok(cluster)
    }

    /// Asks a node that is reached which nodes there are. A server that is in no cluster is looked at alone.
    ///
    /// # Errors
    /// When none can be reached.
    #[inline(never)]
    pub(super) fn find(&mut self) -> Result<(), Failure> {
        let patience = self.target.patience;
        let mut asked = None;
        for node in &mut self.nodes {
            let Some(client) = &mut node.client else { continue };
            match ask_nodes(client, patience) {
                Ok(text) => {
                    asked = Some(text);
                    break;
                }
                // The answer may still come, and would be taken for that to the next question.
                Err(_) => node.client = None,
            }
        }
        let text = match asked {
            Some(text) => text,
            None => {
                let mut client = self.target.connect()?;
                let text = ask_nodes(&mut client, patience)?;
                let address = client.address().to_string();
                self.nodes = vec![Node { address, client: Some(client), ..Node::default() }];
                text
            }
        };
        if text.is_empty() {
            return Ok(());
        }
        let (mut nodes, owners) = parse(&text);
        for node in &mut nodes {
            if let Some(known) = self.nodes.iter_mut().find(|known| known.address == node.address) {
                (node.client, node.asked_from_ns) = (known.client.take(), known.asked_from_ns);
            }
        }
        (self.nodes, self.owners) = (nodes, owners);
        Ok(())
    }

    /// Asks a node what it says of itself.
    #[inline(never)]
    pub(super) fn ask(&mut self, place: usize) {
        let node = &mut self.nodes[place];
        node.said = None;
        if monotonic_ns() < node.asked_from_ns {
            return;
        }
        node.said = node.figures(&self.target).ok();
        if node.said.is_none() {
            node.client = None;
            node.asked_from_ns = monotonic_ns() + SILENCE_NS;
        }
    }

    /// A line a node.
    #[inline(never)]
    pub(super) fn table(&self) -> String {
        let mut out = "   node                     state     slots      keys   memory  clients   per s\n".to_string();
        for (place, node) in self.nodes.iter().enumerate() {
            let state = match &node.said {
                None => "silent",
                _ if has(&node.flags, "fail") => "failing",
                _ if node.unlinked => "unlinked",
                _ => "up",
            };
            let own = self.owners.iter().filter(|owner| usize::from(**owner) == place).count();
            let slots = if self.owners.is_empty() { HALF } else { own };
            let _ = write!(out, " {} {:<24} {state:<8} {slots:>6}", letter(place), node.address);
            if let Some(info) = &node.said {
                let (keys, clients) = (info.keys(), info.number("connected_clients"));
                let (memory, rate) = (short(info.number("used_memory")), info.number("instantaneous_ops_per_sec"));
                let _ = write!(out, " {keys:>9} {memory:>8} {clients:>8} {rate:>7}");
            }
            out.push('\n');
        }
        out
    }

    /// The slots as a picture; nothing for a server that is in no cluster.
    pub(super) fn picture(&self) -> String {
        picture(&self.owners)
    }
}

/// What a server says that is in no cluster.
const ALONE: &[u8] = b"ERR This instance has cluster support disabled";

/// Which nodes there are, in the server's words; nothing where it is in no cluster.
fn ask_nodes(client: &mut RespClient, patience: Duration) -> Result<String, Failure> {
    let view = client.call(&[b"CLUSTER", b"NODES"], Deadline::after(patience))?;
    if view.kind() != Kind::Error {
        return Ok(String::from_utf8_lossy(view.bytes()).into_owned());
    }
    if view.bytes() == ALONE {
        return Ok(String::new());
    }
    Err(Failure::message(format_args!("CLUSTER NODES: {}", escaped(view.bytes()))))
}

impl Node {
    /// What a node says of itself, where it does.
    fn figures(&mut self, target: &Target) -> Result<Info, Failure> {
        let client = match &mut self.client {
            Some(client) => client,
            empty => {
                let mut target = target.clone();
                if !self.host.is_empty() {
                    (target.host, target.port, target.socket) = (self.host.clone(), self.port, None);
                }
                empty.insert(target.connect()?)
            }
        };
        Info::ask(client, target.patience)
    }
}

/// # Errors
/// When the server cannot be reached or is in no cluster.
pub(super) fn show(request: &Request) -> Result<(), Failure> {
    let mut cluster = Cluster::new(&request.target, PATIENCE)?;
    if cluster.owners.is_empty() {
        return Err(Failure::message(format_args!("{} is in no cluster", cluster.nodes[0].address)));
    }
    for place in 0..cluster.nodes.len() {
        cluster.ask(place);
    }
    say(format_args!("{}\n{}", cluster.table(), cluster.picture()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
        aa 127.0.0.1:8082@8182 master - 0 0 1 connected 4096-8191 12288-16383\n\
        bb 127.0.0.1:8081@8181 myself,master - 0 0 1 connected 0-4095 8192-12287\n\
        cc ::1:8083@8183,name master,fail - 0 0 1 disconnected\n\
        nonsense\n";

    #[test]
    fn nodes_are_read() {
        let (nodes, owners) = parse(TEXT);
        let shown: Vec<(&str, u16, bool)> =
            nodes.iter().map(|node| (node.address.as_str(), node.port, node.unlinked)).collect();
        let wanted = [("127.0.0.1:8081", 8081, false), ("127.0.0.1:8082", 8082, false), ("[::1]:8083", 8083, true)];
        assert_eq!(shown, wanted);
        // By address, not by line; and not twice.
        assert!(owners[..4096].iter().all(|owner| *owner == 0) && owners[4096..].iter().all(|owner| *owner == 1));
        assert_eq!(owners.len(), HALF);
        // One node of Redis Cluster has all there are.
        assert_eq!(parse("aa 127.0.0.1:1@2 myself,master - 0 0 1 connected 0-16383").1, vec![0; SLOTS]);
    }

    #[test]
    fn the_picture_shows_who_has_what() {
        let row = |start: usize, letters: &str| format!("{start:>6} {letters}\n");
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        let wanted = [row(0, &a), row(2048, &a), row(4096, &b), row(6144, &b)].concat();
        assert_eq!(picture(&parse(TEXT).1), wanted);
        // Whose names a terminal would obey.
        let text = "aa \x1b]0;t\x07:1@2 master - 0 0 1 connected 0-1";
        assert_eq!(parse(text).0[0].host, "\\x1b]0;t\\x07");
        // A cluster of others, whose second half is not the first one again.
        let text = "aa 127.0.0.1:1@2 master - 0 0 1 connected 0-4095 [1->-bb] 4097";
        let wanted = [
            row(0, &a),
            row(4096, &format!("+{}", ".".repeat(63))),
            row(8192, &".".repeat(64)),
            row(12288, &".".repeat(64)),
        ];
        assert_eq!(picture(&parse(text).1), wanted.concat());
    }
}
