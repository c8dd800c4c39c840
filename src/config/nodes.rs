//! The cluster's file: one node a line, `IP PORT NAME SELF`, and which of the lines is this node's own.
//!
//! Nothing here reads a file or the command line; texts come in, and a mistake goes out as one sentence that begins
//! with the file's name and the line's number.

use crate::limits::NODES_MAX;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The bus port of a node is its client port and so much more.
const BUS_PORT_OFFSET: u16 = 100;

/// A node's name may be so long: it stands in tables and in every log line about the node.
const NODE_NAME_BYTES_MAX: usize = 64;

/// The file may be so large; 256 lines of the longest kind are a thirtieth of it.
pub const NODES_FILE_BYTES_MAX: usize = 1 << 20;

/// What a line is to look like, for the mistakes whose remedy is to see it.
const FORM: &str = "a line is IP PORT NAME SELF, such as '127.0.0.1 8181 node0 0'";

/// What a name is to look like.
const NAME_FORM: &str = "a name is 1 to 64 printable ASCII characters without blanks and '#'";

/// A line of the cluster's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Where the other nodes reach it: its canonical IP, and the port of the bus.
    pub address: SocketAddr,
    /// What it is called.
    pub name: String,
}

impl Node {
    /// Where clients reach it.
    pub fn client_address(&self) -> SocketAddr {
        client_address(self.address)
    }
}

/// Where clients reach the node whose bus is there.
#[inline(never)]
fn client_address(bus: SocketAddr) -> SocketAddr {
    SocketAddr::new(bus.ip(), bus.port() - BUS_PORT_OFFSET)
}

/// What the command line says about which line is this node's own.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    /// `-i`.
    pub name: Option<String>,
    /// `-a`, each behind the option, as it was given; empty where it was not given.
    pub given: String,
    /// What they stand for.
    pub addresses: Vec<IpAddr>,
    /// `-p`.
    pub port: Option<u16>,
}

impl Hints {
    /// Is the address one of those given, or under a wildcard among them? A wildcard covers its own family alone, since
    /// that is all that is listened on. Where none was given, any will do.
    fn cover(&self, ip: IpAddr) -> bool {
        self.addresses.is_empty()
            || self.addresses.iter().any(|given| {
                let given = given.to_canonical();
                given == ip || (given.is_unspecified() && given.is_ipv4() == ip.is_ipv4())
            })
    }
}

/// A file that was understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nodes {
    /// In the order of the file.
    pub members: Vec<Node>,
    /// The line of each, from 1.
    lines: Vec<usize>,
    /// Which of them has SELF 1.
    marked: Option<usize>,
}

/// Reads the file's bytes; `file` is its name, for the mistakes.
///
/// # Errors
/// A sentence with file and line, for the first mistake in it.
#[inline(never)]
pub fn parse(file: &str, bytes: &[u8]) -> Result<Nodes, String> {
    if bytes.len() > NODES_FILE_BYTES_MAX {
        return Err(format!("{file}: it is larger than 1 MiB, so it cannot be a list of at most {NODES_MAX} nodes"));
    }
    // Editors of another system begin a text with this mark.
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let mut nodes = Nodes::default();
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let number = index + 1;
        nodes.add(number, line.strip_suffix(b"\r").unwrap_or(line)).map_err(|why| format!("{file}:{number}: {why}"))?;
    }
    if nodes.members.is_empty() {
        return Err(format!("{file}: there is no node in it; {FORM}"));
    }
    Ok(nodes)
}

impl Nodes {
    /// Takes one line, with or without a node in it.
    #[inline(never)]
    fn add(&mut self, number: usize, line: &[u8]) -> Result<(), String> {
        let end = line.iter().position(|&byte| byte == b'#').unwrap_or(line.len());
        let content = &line[..end];
        // A byte that does not show would make every other message a riddle.
        if let Some(byte) = content.iter().find(|&&byte| byte != b'\t' && !(b' '..=b'~').contains(&byte)) {
            return Err(format!("byte 0x{byte:02x} is no printable ASCII character; only comments may have others"));
        }
        let (mut fields, mut count) = ([""; 4], 0);
        for field in str::from_utf8(content).unwrap_or_default().split_ascii_whitespace() {
            if count < fields.len() {
                fields[count] = field;
            }
            count += 1;
        }
        if count == 0 {
            return Ok(());
        }
        if count != fields.len() {
            return Err(format!("{count} field{} instead of 4; {FORM}", if count == 1 { "" } else { "s" }));
        }
        let [ip, port, name, marked] = fields;
        let address = SocketAddr::new(ip_of(ip)?, port_of(port)?);
        check_name(name)?;
        let marked = match marked {
            "0" => false,
            "1" => true,
            _ => return Err(format!("SELF is '{}'; it is 1 on this node's own line, 0 on all others", cut(marked))),
        };
        self.check_unique(address, name)?;
        if self.members.len() == NODES_MAX {
            return Err(format!("one node too many; a cluster has at most {NODES_MAX}"));
        }
        if marked {
            if let Some(first) = self.marked {
                let first = self.lines[first];
                return Err(format!("SELF is 1 here and on line {first}; only this node's own line has it"));
            }
            self.marked = Some(self.members.len());
        }
        self.members.push(Node { address, name: name.to_string() });
        self.lines.push(number);
        Ok(())
    }

    /// Is there room beside the nodes before for one with this address and name?
    #[inline(never)]
    fn check_unique(&self, address: SocketAddr, name: &str) -> Result<(), String> {
        for (node, line) in self.members.iter().zip(&self.lines) {
            // Each node connects to all others from the address that stands here.
            if node.address.is_ipv4() != address.is_ipv4() {
                let (this, that) = if address.is_ipv4() { ("IPv4", "IPv6") } else { ("IPv6", "IPv4") };
                return Err(format!(
                    "{} is an {this} address, line {line} has an {that} one; the nodes need all the one or all the other",
                    address.ip()
                ));
            }
            if node.address == address {
                return taken(format_args!("the address {address}"), *line);
            }
            if node.name == name {
                return taken(format_args!("the name '{name}'"), *line);
            }
            // They could never listen both.
            for (bus, other) in [(node.address, address), (address, node.address)] {
                if bus == client_address(other) {
                    return Err(format!(
                        "port {} of {} is a bus port here or on line {line}, and a client port \
                         (bus port - {BUS_PORT_OFFSET}) on the other; choose ports that do not meet",
                        bus.port(),
                        bus.ip()
                    ));
                }
            }
        }
        Ok(())
    }

    /// The index of this node's own line: the one with SELF 1; else the one that the name says; else the one that
    /// address and port say. What else is said must not contradict it.
    ///
    /// # Errors
    /// A sentence that says what to do, where no line is this node's or something does not agree.
    #[inline(never)]
    pub fn own(&self, file: &str, hints: &Hints) -> Result<usize, String> {
        let named = hints.name.as_ref().and_then(|name| self.members.iter().position(|node| node.name == *name));
        let own = match self.marked.or(named) {
            Some(own) => own,
            None => self.placed(file, hints)?,
        };
        let (node, line) = (&self.members[own], self.lines[own]);
        if let (Some(name), Some(other)) = (&hints.name, named.filter(|&other| other != own)) {
            return Err(format!(
                "-i {name}: {file}:{} has this name for another node; this one is '{}' of line {line}",
                self.lines[other], node.name
            ));
        }
        let client = node.client_address();
        if let Some(port) = hints.port.filter(|&port| port != client.port()) {
            return Err(format!(
                "-p {port}: {file}:{line} says that this node's bus port is {}, so its client port is {} \
                 (bus port - {BUS_PORT_OFFSET}); leave out -p, or change one of them",
                node.address.port(),
                client.port()
            ));
        }
        if !hints.cover(client.ip()) {
            let wildcard = if client.is_ipv4() { "0.0.0.0" } else { "::" };
            return Err(format!(
                "{}: {file}:{line} says that this node is {}; leave out -a, or let it be that or {wildcard}",
                hints.given,
                client.ip()
            ));
        }
        Ok(own)
    }

    /// The one line that fits what was given of address and port.
    #[inline(never)]
    fn placed(&self, file: &str, hints: &Hints) -> Result<usize, String> {
        const HOW: &str = "-i NAME, or -a ADDRESS and -p PORT, say which line is this node's";
        let mut given = hints.given.clone();
        if let Some(port) = hints.port {
            given += if given.is_empty() { "-p " } else { " -p " };
            given += &port.to_string();
        }
        if given.is_empty() {
            return Err(match &hints.name {
                None => format!("{file}: no line has SELF 1; {HOW}"),
                Some(name) => format!(
                    "-i {name}: {file} has no node of that name, and no line with SELF 1; its nodes are {}",
                    self.list(|node| node.name.clone())
                ),
            });
        }
        let (mut own, mut count, mut lines) = (0, 0, String::new());
        for (index, node) in self.members.iter().enumerate() {
            let client = node.client_address();
            if hints.port.is_none_or(|port| port == client.port()) && hints.cover(client.ip()) {
                lines += if lines.is_empty() { "" } else { " or " };
                lines += &self.lines[index].to_string();
                (own, count) = (index, count + 1);
            }
        }
        match count {
            1 => Ok(own),
            0 => Err(format!(
                "{given}: no line of {file} has SELF 1 or is this address (PORT is the client port + \
                 {BUS_PORT_OFFSET}); its clients' addresses are {}",
                self.list(|node| node.client_address().to_string())
            )),
            _ => Err(format!("{given}: this may be line {lines} of {file}, and none has SELF 1; {HOW}")),
        }
    }

    /// Something of the first few, and how many more there are: a message stays a line.
    fn list(&self, show: fn(&Node) -> String) -> String {
        const SHOWN_MAX: usize = 8;
        let mut text = String::new();
        for (place, node) in self.members.iter().take(SHOWN_MAX).enumerate() {
            text += if place > 0 { ", " } else { "" };
            text += &show(node);
        }
        match self.members.len().saturating_sub(SHOWN_MAX) {
            0 => text,
            more => format!("{text} and {more} more"),
        }
    }
}

/// Something of a node's that an earlier line has.
#[inline(never)]
fn taken(what: fmt::Arguments<'_>, line: usize) -> Result<(), String> {
    Err(format!("{what} is on line {line} already; every node has its own"))
}

/// An address that a node may have, in its canonical form.
#[inline(never)]
fn ip_of(text: &str) -> Result<IpAddr, String> {
    let Ok(ip) = text.parse::<IpAddr>() else {
        let why = if text.starts_with('[') {
            "has brackets; an IPv6 address stands here as it is, such as ::1"
        } else {
            "is no numeric IP address; one such as 10.0.0.1 or fd00::1 is wanted"
        };
        return Err(format!("'{}' {why}", cut(text)));
    };
    let ip = ip.to_canonical();
    let why = match ip {
        _ if ip.is_unspecified() => "stands for every address of a box; the others must know which one to connect to",
        _ if ip.is_multicast() => "is a multicast address; a node has one of its own",
        IpAddr::V4(v4) if v4.is_broadcast() => "is the broadcast address; a node has one of its own",
        IpAddr::V6(v6) if v6.is_unicast_link_local() => {
            "is a link-local address, which means another box on every link; a global or unique local one is wanted"
        }
        _ => return Ok(ip),
    };
    Err(format!("{ip} {why}"))
}

/// A port that the bus may have.
fn port_of(text: &str) -> Result<u16, String> {
    match text.parse() {
        // As people write numbers: `parse` would take a plus too.
        Ok(port) if port > BUS_PORT_OFFSET && !text.starts_with('+') => Ok(port),
        _ => Err(format!(
            "PORT is '{}'; a number from {} to 65535 is wanted: the client port + {BUS_PORT_OFFSET}",
            cut(text),
            BUS_PORT_OFFSET + 1
        )),
    }
}

/// May a node be called so?
///
/// # Errors
/// A sentence that says what a name is.
pub fn check_name(name: &str) -> Result<(), String> {
    let shows = name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    if shows && (1..=NODE_NAME_BYTES_MAX).contains(&name.len()) {
        return Ok(());
    }
    Err(format!("'{}' is no name for a node; {NAME_FORM}", cut(name)))
}

/// What a message shows of a field: as much as fits into a line.
fn cut(text: &str) -> String {
    let mut shown = String::new();
    for (place, char) in text.chars().enumerate() {
        if place == NODE_NAME_BYTES_MAX {
            return shown + "...";
        }
        shown.push(if char.is_control() { '?' } else { char });
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(text: &str) -> Vec<String> {
        let nodes = parse("conf", text.as_bytes()).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        let shown = |(index, node): (usize, &Node)| {
            let marked = if nodes.marked == Some(index) { " *" } else { "" };
            format!("{} {}{marked}", node.address, node.name)
        };
        nodes.members.iter().enumerate().map(shown).collect()
    }

    #[test]
    fn lines_are_read_however_they_are_set() {
        for text in [
            "127.0.0.1 8181 node0 1\n10.9.0.1 101 b 0\n",
            "127.0.0.1 8181 node0 1\n10.9.0.1 101 b 0",
            "\u{feff}127.0.0.1 8181 node0 1\r\n10.9.0.1 101 b 0\r\n",
            "\n \t \n# nodes\n\t127.0.0.1\t 8181  node0\t1 \t\n  #x\n::FFFF:10.9.0.1 0101 b 0# \u{fc}\u{0} 1 2 3\n\r\n",
            "::ffff:127.0.0.1 8181 node0 1#\n10.9.0.1 101 b 0#",
        ] {
            assert_eq!(members(text), ["127.0.0.1:8181 node0 *", "10.9.0.1:101 b"], "{text:?}");
        }
        assert_eq!(
            members("::1 65535 !$%&'()*+,-./:;<=>?@[\\]^_`{|}~ 0"),
            ["[::1]:65535 !$%&'()*+,-./:;<=>?@[\\]^_`{|}~"]
        );
        assert_eq!(members(&format!("::1 8181 {} 1", "n".repeat(64))).len(), 1);
        // Ports may meet on different boxes.
        assert_eq!(members("10.0.0.1 8181 a 0\n10.0.0.2 8281 b 0\n10.0.0.3 8181 c 0 # x").len(), 3);
    }

    #[test]
    fn every_mistake_has_its_words() {
        let long = "n".repeat(65);
        for (text, wanted) in [
            ("", "conf: there is no node in it; a line is IP PORT NAME SELF, such as '127.0.0.1 8181 node0 0'"),
            ("# nothing\n\n", "conf: there is no node in it"),
            ("127.0.0.1 8181 node0\n", "conf:1: 3 fields instead of 4; a line is IP PORT NAME SELF"),
            ("\n127.0.0.1:8181\n", "conf:2: 1 field instead of 4; a line is"),
            ("127.0.0.1 8181 node 0 1\n", "conf:1: 5 fields instead of 4"),
            ("127.0.0.1 8181 node # 1\n", "conf:1: 3 fields instead of 4"),
            (
                "localhost 8181 a 0\n",
                "conf:1: 'localhost' is no numeric IP address; one such as 10.0.0.1 or fd00::1 is",
            ),
            ("127.0.0.01 8181 a 0\n", "conf:1: '127.0.0.01' is no numeric IP address"),
            ("127.1 8181 a 0\n", "conf:1: '127.1' is no numeric IP address"),
            ("fe80::1%eth0 8181 a 0\n", "conf:1: 'fe80::1%eth0' is no numeric IP address"),
            ("fe80::1 8181 a 0\n", "conf:1: fe80::1 is a link-local address"),
            ("[::1] 8181 a 0\n", "conf:1: '[::1]' has brackets; an IPv6 address stands here as it is, such as ::1"),
            ("0.0.0.0 8181 a 0\n", "conf:1: 0.0.0.0 stands for every address of a box; the others must know"),
            (":: 8181 a 0\n", "conf:1: :: stands for every address"),
            ("::ffff:0.0.0.0 8181 a 0\n", "conf:1: 0.0.0.0 stands for every address"),
            ("224.0.0.1 8181 a 0\n", "conf:1: 224.0.0.1 is a multicast address"),
            ("ff02::1 8181 a 0\n", "conf:1: ff02::1 is a multicast address"),
            ("255.255.255.255 8181 a 0\n", "conf:1: 255.255.255.255 is the broadcast address"),
            (
                "127.0.0.1 8181 a 0\n\n::1 8182 b 0\n",
                "conf:3: ::1 is an IPv6 address, line 1 has an IPv4 one; the nodes need all the one or all the other",
            ),
            ("::1 8181 a 0\n::ffff:127.0.0.1 8182 b 0\n", "conf:2: 127.0.0.1 is an IPv4 address, line 1 has an IPv6"),
            ("::1 100 a 0\n", "conf:1: PORT is '100'; a number from 101 to 65535 is wanted: the client port + 100"),
            ("::1 0 a 0\n", "conf:1: PORT is '0'"),
            ("::1 65536 a 0\n", "conf:1: PORT is '65536'"),
            ("::1 -8181 a 0\n", "conf:1: PORT is '-8181'"),
            ("::1 +8181 a 0\n", "conf:1: PORT is '+8181'"),
            ("::1 a 8181 0\n", "conf:1: PORT is 'a'"),
            ("::1 8181 a 2\n", "conf:1: SELF is '2'; it is 1 on this node's own line, 0 on all others"),
            ("::1 8181 a yes\n", "conf:1: SELF is 'yes'"),
            ("::1 8181 a 01\n", "conf:1: SELF is '01'"),
            (
                &format!("::1 8181 {long} 0\n"),
                "n...' is no name for a node; a name is 1 to 64 printable ASCII characters",
            ),
            (
                "::1 8181 a 1\n\n::1 8182 b 1\n",
                "conf:3: SELF is 1 here and on line 1; only this node's own line has it",
            ),
            ("::1 8181 a 0\n::1 8181 b 0\n", "conf:2: the address [::1]:8181 is on line 1 already"),
            ("127.0.0.1 8181 a 0\n#\n::ffff:127.0.0.1 8181 b 0\n", "conf:3: the address 127.0.0.1:8181 is on line 1"),
            ("::1 8181 a 0\n::1 8182 a 0\n", "conf:2: the name 'a' is on line 1 already; every node has its own"),
            (
                "::1 8181 a 0\n::1 8281 b 0\n",
                "conf:2: port 8181 of ::1 is a bus port here or on line 1, and a client port",
            ),
            (
                "::1 8281 a 0\n::1 8181 b 0\n",
                "conf:2: port 8181 of ::1 is a bus port here or on line 1, and a client port",
            ),
            (
                "::1 8181 k\u{fc}che 0\n",
                "conf:1: byte 0xc3 is no printable ASCII character; only comments may have others",
            ),
            ("::1 8181 a\u{7f} 0\n", "conf:1: byte 0x7f is no printable ASCII character"),
            ("::1 8181 a 0\r::1 8182 b 0\r", "conf:1: byte 0x0d is no printable ASCII character"),
            ("::1 8181 a 0\n\u{0}\n", "conf:2: byte 0x00 is no printable ASCII character"),
        ] {
            let error = parse("conf", text.as_bytes()).expect_err(text);
            let fits = if wanted.starts_with("conf") { error.starts_with(wanted) } else { error.contains(wanted) };
            assert!(fits && !error.contains('\n'), "{text:?}:\n got    {error}\n wanted {wanted}");
        }
        let error = parse("conf", b"::1 8181 a 0\n::1 8182 \xff 0\n").unwrap_err();
        assert!(error.starts_with("conf:2: byte 0xff"), "{error}");
    }

    #[test]
    fn what_is_too_much_is_refused() {
        let text: String = (0..=NODES_MAX).map(|number| format!("::1 {} n{number} 0\n", 101 + 200 * number)).collect();
        assert_eq!(members(text.rsplit_once("\n::").expect("lines").0).len(), NODES_MAX);
        let error = parse("conf", text.as_bytes()).unwrap_err();
        assert_eq!(error, "conf:257: one node too many; a cluster has at most 256");

        let mut text = b"::1 8181 a 0\n#".to_vec();
        text.resize(NODES_FILE_BYTES_MAX, b'x');
        assert!(parse("conf", &text).is_ok());
        text.push(b'x');
        let error = parse("conf", &text).unwrap_err();
        assert!(error.starts_with("conf: it is larger than 1 MiB"), "{error}");
        // One line of all that is not shown whole.
        let error = parse("conf", &vec![b'9'; NODES_FILE_BYTES_MAX]).unwrap_err();
        assert!(error.len() < 200, "{error}");
        let error = parse("conf", format!("::1 {} a 0", "9".repeat(1_000_000)).as_bytes()).unwrap_err();
        assert!(error.len() < 300, "{error}");
    }

    #[test]
    fn names_that_are_given_are_names() {
        for name in ["", "a b", "a\tb", "#a", "k\u{fc}che", "a\u{7f}", &"n".repeat(65)] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        assert_eq!(check_name("node-0.rack/1"), Ok(()));
    }
}
