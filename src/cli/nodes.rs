//! The nodes of a cluster: what each says of itself in a table, and who has which slots as a picture. `--cluster` shows
//! them once, `--top` again and again.

use std::fmt::Write;
use std::time::{Duration, Instant};

use super::show::escaped;
use super::talk::Target;
use super::watch::{Info, short};
use super::{Failure, has, say, words};
use crate::client::reply::Kind;
use crate::client::resp::{Deadline, RespClient};

/// A node that says nothing for so long is shown as silent.
const PATIENCE: Duration = Duration::from_secs(2);

/// A node that was silent is not asked for so long: the others would wait for it at each look.
const SILENCE: Duration = Duration::from_secs(5);

/// Slots as clients of clusters count them. memento has half as many: the second half is the first one again.
const SLOTS: usize = 16_384;

/// The picture has so many cells, in rows of so many.
const CELLS: usize = 256;
const CELLS_PER_ROW: usize = 64;

/// A node as the cluster knows it.
#[derive(Debug, PartialEq)]
pub(super) struct Node {
    host: String,
    port: u16,
    /// In the words of CLUSTER NODES.
    flags: String,
    linked: bool,
    ranges: Vec<(usize, usize)>,
}

impl Node {
    fn owned(&self) -> usize {
        self.ranges.iter().map(|(first, last)| last + 1 - first).sum()
    }
}

/// The nodes of what CLUSTER NODES says, by address.
fn parse(text: &str) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    for line in text.lines() {
        let Some(node) = node(line) else { continue };
        // There are few, so that this is as good as sorting, and smaller.
        let mut place = 0;
        while place < nodes.len() && (&*nodes[place].host, nodes[place].port) < (&*node.host, node.port) {
            place += 1;
        }
        nodes.insert(place, node);
    }
    nodes
}

fn node(line: &str) -> Option<Node> {
    let words = words(line);
    let word = |place: usize| words.get(place).map(|(_, word)| *word);
    let address = word(1)?;
    let end = address.bytes().position(|byte| matches!(byte, b'@' | b',')).unwrap_or(address.len());
    let (host, port) = address[..end].rsplit_once(':')?;
    let (port, flags, link) = (port.parse().ok()?, word(2)?, word(7)?);
    let mut ranges = Vec::new();
    for (_, word) in &words[8..] {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        if let (Ok(first), Ok(last)) = (first.parse(), last.parse())
            && first <= last
            && last < SLOTS
        {
            ranges.push((first, last));
        }
    }
    Some(Node {
        // It is shown: a server's words have nothing that a terminal obeys.
        host: escaped(host.as_bytes()),
        port,
        flags: flags.to_string(),
        linked: link == "connected" || has(flags, "myself"),
        ranges,
    })
}

/// The letter that stands for a node in the picture.
pub(super) fn letter(place: usize) -> char {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    char::from(LETTERS[place % LETTERS.len()])
}

/// Who has which slots: a letter for some slots that one node has, `+` for those of several, `.` where nobody has them.
fn picture(nodes: &[&Node]) -> String {
    let mut owners = vec![b'.'; SLOTS];
    for (place, node) in nodes.iter().enumerate() {
        for &(first, last) in &node.ranges {
            owners[first..=last].fill(letter(place) as u8);
        }
    }
    if owners[..SLOTS / 2] == owners[SLOTS / 2..] {
        owners.truncate(SLOTS / 2);
    }
    let mut text = String::new();
    let step = owners.len() / CELLS;
    for place in 0..CELLS {
        let cell = &owners[place * step..(place + 1) * step];
        if place % CELLS_PER_ROW == 0 {
            text += &format!("{:>6} ", place * step);
        }
        let same = cell.iter().all(|owner| *owner == cell[0]);
        text.push(if same { cell[0].into() } else { '+' });
        if place % CELLS_PER_ROW == CELLS_PER_ROW - 1 {
            text.push('\n');
        }
    }
    text
}

/// A node that is looked at, and what it said last.
pub(super) struct Watched {
    /// `None`: a server that is in no cluster.
    node: Option<Node>,
    address: String,
    pub(super) client: Option<RespClient>,
    pub(super) said: Option<(Info, i64)>,
    /// Since when it has said nothing.
    silent: Option<Instant>,
}

/// All of a cluster, or one server.
pub(super) struct Cluster<'a> {
    target: &'a Target,
    patience: Duration,
    pub(super) nodes: Vec<Watched>,
}

impl<'a> Cluster<'a> {
    /// Nothing is asked yet. A node that says nothing for so long is shown as silent.
    pub(super) fn new(target: &'a Target, patience: Duration) -> Cluster<'a> {
        Cluster { target, patience, nodes: Vec::new() }
    }

    /// Asks a node that is reached which nodes there are. A server that is in no cluster is looked at alone.
    ///
    /// # Errors
    /// When none can be reached.
    pub(super) fn find(&mut self) -> Result<(), Failure> {
        let mut asked = None;
        for watched in &mut self.nodes {
            let Some(client) = &mut watched.client else { continue };
            match ask_nodes(client, self.patience) {
                Ok(found) => {
                    asked = Some(found);
                    break;
                }
                // The answer may still come, and would be taken for that to the next question.
                Err(_) => watched.client = None,
            }
        }
        let found = match asked {
            Some(found) => found,
            None => {
                let mut client = self.target.connect()?;
                let found = ask_nodes(&mut client, self.patience)?;
                if found.is_none() {
                    let address = client.address().to_string();
                    self.nodes = vec![Watched { node: None, address, client: Some(client), said: None, silent: None }];
                }
                found
            }
        };
        if let Some(found) = found {
            let mut before = std::mem::take(&mut self.nodes);
            for node in found {
                let address = match node.host.contains(':') {
                    true => format!("[{}]:{}", node.host, node.port),
                    false => format!("{}:{}", node.host, node.port),
                };
                let known = before.iter_mut().find(|watched| watched.address == address);
                let (client, silent) = known.map_or((None, None), |watched| (watched.client.take(), watched.silent));
                self.nodes.push(Watched { node: Some(node), address, client, said: None, silent });
            }
        }
        Ok(())
    }

    /// Asks a node what it says of itself.
    pub(super) fn ask(&mut self, place: usize) {
        let watched = &mut self.nodes[place];
        watched.said = None;
        if watched.silent.is_some_and(|since| since.elapsed() < SILENCE) {
            return;
        }
        watched.said = watched.figures(self.target, self.patience).ok();
        watched.silent = None;
        if watched.said.is_none() {
            watched.client = None;
            watched.silent = Some(Instant::now());
        }
    }

    /// A line a node.
    pub(super) fn table(&self) -> String {
        let mut out = format!(
            "   {:<24} {:<8} {:>6} {:>9} {:>8} {:>8} {:>7}\n",
            "node", "state", "slots", "keys", "memory", "clients", "per s"
        );
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        for watched in &self.nodes {
            if let Some(node) = &watched.node {
                ranges.extend_from_slice(&node.ranges);
            }
        }
        // memento's slots are shown twice to clients.
        let doubled = ranges.iter().all(|&(first, last)| {
            let other = (SLOTS / 2 + first) % SLOTS;
            ranges.iter().any(|range| *range == (other, other + last - first))
        });
        for (place, watched) in self.nodes.iter().enumerate() {
            let (state, slots) = match (&watched.said, &watched.node) {
                (None, node) => ("silent", node.as_ref().map_or(0, Node::owned)),
                (_, Some(node)) if has(&node.flags, "fail") => ("failing", node.owned()),
                (_, Some(node)) if !node.linked => ("unlinked", node.owned()),
                (_, node) => ("up", node.as_ref().map_or(SLOTS, Node::owned)),
            };
            let slots = if doubled { slots / 2 } else { slots };
            let _ = write!(out, " {} {:<24} {state:<8} {slots:>6}", letter(place), watched.address);
            if let Some((info, keys)) = &watched.said {
                let _ = write!(
                    out,
                    " {keys:>9} {:>8} {:>8} {:>7}",
                    short(info.number("used_memory")),
                    info.number("connected_clients"),
                    info.number("instantaneous_ops_per_sec"),
                );
            }
            out.push('\n');
        }
        out
    }

    /// The slots as a picture; nothing for a server that is in no cluster.
    pub(super) fn picture(&self) -> String {
        let nodes: Vec<&Node> = self.nodes.iter().filter_map(|watched| watched.node.as_ref()).collect();
        if nodes.is_empty() { String::new() } else { picture(&nodes) }
    }
}

/// What a server says that is in no cluster.
const ALONE: &[u8] = b"ERR This instance has cluster support disabled";

/// The nodes that there are; none where the server is in no cluster.
fn ask_nodes(client: &mut RespClient, patience: Duration) -> Result<Option<Vec<Node>>, Failure> {
    let view = client.call(&[b"CLUSTER", b"NODES"], Deadline::after(patience))?;
    let said = view.bytes();
    match view.kind() {
        Kind::Bulk | Kind::Verbatim | Kind::Simple => Ok(Some(parse(&String::from_utf8_lossy(said)))),
        Kind::Error if said == ALONE || said.starts_with(b"ERR unknown command") => Ok(None),
        _ => Err(Failure::message(format!("CLUSTER NODES: {}", escaped(said)))),
    }
}

impl Watched {
    /// What a node says of itself, where it does.
    fn figures(&mut self, target: &Target, patience: Duration) -> Result<(Info, i64), Failure> {
        let client = match (&mut self.client, &self.node) {
            (Some(client), _) => client,
            (empty, Some(node)) => {
                let mut client = RespClient::connect(&node.host, node.port, Deadline::after(patience))?;
                client.hello(3, target.password.as_deref(), Deadline::after(patience))?;
                // Its own keys alone are counted.
                client.call(&[b"READONLY"], Deadline::after(patience))?;
                empty.insert(client)
            }
            (empty, None) => empty.insert(target.connect()?),
        };
        let info = Info::ask(client, patience)?;
        let keys = client.call(&[b"DBSIZE"], Deadline::after(patience))?.integer().unwrap_or(0);
        Ok((info, keys))
    }
}

/// # Errors
/// When the server cannot be reached or is in no cluster.
pub(super) fn show(target: &Target) -> Result<(), Failure> {
    let mut cluster = Cluster::new(target, PATIENCE);
    cluster.find()?;
    for place in 0..cluster.nodes.len() {
        cluster.ask(place);
    }
    let picture = cluster.picture();
    if picture.is_empty() {
        return Err(Failure::message(format!("{} is in no cluster", cluster.nodes[0].address)));
    }
    say(format!("{}\n{picture}", cluster.table()))
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
        let nodes = parse(TEXT);
        let shown: Vec<(&str, u16, bool, usize)> =
            nodes.iter().map(|node| (node.host.as_str(), node.port, node.linked, node.owned())).collect();
        assert_eq!(shown, [("127.0.0.1", 8081, true, 8192), ("127.0.0.1", 8082, true, 8192), ("::1", 8083, false, 0)]);
    }

    #[test]
    fn the_picture_shows_who_has_what() {
        let row = |start: usize, letters: &str| format!("{start:>6} {letters}\n");
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        let wanted = [row(0, &a), row(2048, &a), row(4096, &b), row(6144, &b)].concat();
        assert_eq!(picture(&parse(TEXT).iter().collect::<Vec<_>>()), wanted);
        // Whose names a terminal would obey.
        let text = "aa \x1b]0;t\x07:1@2 master - 0 0 1 connected 0-1";
        assert_eq!(parse(text)[0].host, "\\x1b]0;t\\x07");
        // A cluster of others, whose second half is not the first one again.
        let text = "aa 127.0.0.1:1@2 master - 0 0 1 connected 0-4095 [1->-bb] 4097";
        let wanted = [
            row(0, &a),
            row(4096, &format!("+{}", ".".repeat(63))),
            row(8192, &".".repeat(64)),
            row(12288, &".".repeat(64)),
        ];
        assert_eq!(picture(&parse(text).iter().collect::<Vec<_>>()), wanted.concat());
    }
}
