//! `--cluster`: the nodes of a cluster in a table, and who has which slots as a picture.

use std::fmt::Write;
use std::time::Duration;

use super::talk::Target;
use super::watch::{Info, short};
use super::{Failure, print};
use crate::client::reply::Kind;
use crate::client::resp::{Deadline, RespClient};

/// A node that says nothing for so long is shown as silent.
const PATIENCE: Duration = Duration::from_secs(2);

/// Slots as clients of clusters count them. memento has half as many: the second half is the first one again.
const SLOTS: usize = 16_384;

/// The picture has so many cells, in rows of so many.
const CELLS: usize = 256;
const CELLS_PER_ROW: usize = 64;

/// A node as the cluster knows it.
#[derive(Debug, PartialEq)]
struct Node {
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

    fn has(&self, slot: usize) -> bool {
        self.ranges.iter().any(|&(first, last)| first <= slot && slot <= last)
    }
}

/// The nodes of what CLUSTER NODES says, by address.
fn parse(text: &str) -> Vec<Node> {
    let mut nodes: Vec<Node> = text.lines().filter_map(node).collect();
    nodes.sort_by_key(|node| (node.host.clone(), node.port));
    nodes
}

fn node(line: &str) -> Option<Node> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let address = words.get(1)?.split(['@', ',']).next()?;
    let (host, port) = address.rsplit_once(':')?;
    let range = |word: &&str| {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        (first <= last && last < SLOTS).then_some((first, last))
    };
    Some(Node {
        host: host.to_string(),
        port: port.parse().ok()?,
        flags: words.get(2)?.to_string(),
        linked: *words.get(7)? == "connected" || words[2].contains("myself"),
        ranges: words[8..].iter().filter_map(range).collect(),
    })
}

/// The letter that stands for a node in the picture.
fn letter(place: usize) -> char {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    char::from(LETTERS[place % LETTERS.len()])
}

/// Who has which slots: a letter for some slots that one node has, `+` for those of several, `.` where nobody has them.
fn picture(nodes: &[Node]) -> String {
    let owner = |slot: usize| nodes.iter().position(|node| node.has(slot));
    let owners: Vec<Option<usize>> = (0..SLOTS).map(owner).collect();
    let (low, high) = owners.split_at(SLOTS / 2);
    let shown = if low == high { low } else { &owners[..] };
    let mut text = String::new();
    for (place, cell) in shown.chunks(shown.len() / CELLS).enumerate() {
        if place % CELLS_PER_ROW == 0 {
            let _ = write!(text, "{}{:>6} ", if place > 0 { "\n" } else { "" }, place * (shown.len() / CELLS));
        }
        let same = cell.iter().all(|owner| *owner == cell[0]);
        text.push(if same { cell[0].map_or('.', letter) } else { '+' });
    }
    text + "\n"
}

/// What a node says of itself, where it does.
fn figures(node: &Node, password: Option<&Vec<u8>>) -> Result<(Info, i64), Failure> {
    let mut client = RespClient::connect(&node.host, node.port, Deadline::after(PATIENCE))?;
    client.hello(3, password.map(Vec::as_slice), Deadline::after(PATIENCE))?;
    let info = Info::ask(&mut client, PATIENCE)?;
    // Of this node alone.
    client.call(&[b"READONLY"], Deadline::after(PATIENCE))?;
    let keys = client.call(&[b"DBSIZE"], Deadline::after(PATIENCE))?.integer().unwrap_or(0);
    Ok((info, keys))
}

/// # Errors
/// When the server cannot be reached or is in no cluster.
pub(super) fn show(target: &Target) -> Result<(), Failure> {
    let mut client = target.connect()?;
    let view = client.call(&[b"CLUSTER", b"NODES"], Deadline::after(PATIENCE))?;
    let text = String::from_utf8_lossy(view.bytes()).into_owned();
    if view.kind() == Kind::Error {
        return Err(Failure::Message(super::show::escaped(view.bytes())));
    }
    let nodes = parse(&text);
    let mut out = format!(
        "   {:<24} {:<10} {:>6} {:>9} {:>8} {:>8} {:>7}\n",
        "node", "state", "slots", "keys", "memory", "clients", "per s"
    );
    let whole = nodes.iter().all(|node| {
        node.ranges.iter().any(|range| range.0 < SLOTS / 2) == node.ranges.iter().any(|range| range.1 >= SLOTS / 2)
    });
    for (place, node) in nodes.iter().enumerate() {
        let address = if node.host.contains(':') {
            format!("[{}]:{}", node.host, node.port)
        } else {
            format!("{}:{}", node.host, node.port)
        };
        let said = figures(node, target.password.as_ref());
        let state = match (&said, node.linked) {
            (Err(_), _) => "silent",
            _ if node.flags.contains("fail") => "failing",
            (Ok(_), false) => "unlinked",
            (Ok(_), true) => "up",
        };
        let slots = if whole { node.owned() / 2 } else { node.owned() };
        let _ = write!(out, " {} {address:<24} {state:<10} {slots:>6}", letter(place));
        let _ = match said {
            Ok((info, keys)) => writeln!(
                out,
                " {keys:>9} {:>8} {:>8} {:>7}",
                short(info.number("used_memory")),
                info.number("connected_clients"),
                info.number("instantaneous_ops_per_sec"),
            ),
            Err(_) => writeln!(out),
        };
    }
    print(format!("{out}\n{}", picture(&nodes)).as_bytes())
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
        assert_eq!(picture(&parse(TEXT)), wanted);
        // A cluster of others, whose second half is not the first one again.
        let text = "aa 127.0.0.1:1@2 master - 0 0 1 connected 0-4095 [1->-bb] 4097";
        let wanted = [
            row(0, &a),
            row(4096, &format!("+{}", ".".repeat(63))),
            row(8192, &".".repeat(64)),
            row(12288, &".".repeat(64)),
        ];
        assert_eq!(picture(&parse(text)), wanted.concat());
    }
}
