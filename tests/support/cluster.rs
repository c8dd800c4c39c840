//! Starts several servers as one cluster on loopback, each with a file of its own in a temporary folder.
//!
//! The nodes are numbered in the order of their addresses, which is that of their slots.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::{Client, Scratch, Server, Start, holds_within, wait_for};

/// The keyspace has so many slots.
pub const SLOTS: usize = 8192;

/// The bus port is the client port and this.
pub const BUS_OFFSET: u16 = 100;

/// What each node logs once.
pub const FORMED: &str = "Cluster successfully formed";

/// The slot of a key, computed bit by bit: CRC16 (XMODEM) of its tag, or of all of it, modulo 8192.
pub fn slot(key: &[u8]) -> usize {
    let tag = key.iter().position(|&byte| byte == b'{').and_then(|open| {
        let inner = &key[open + 1..];
        let close = inner.iter().position(|&byte| byte == b'}')?;
        (close > 0).then_some(&inner[..close])
    });
    let mut crc = 0u16;
    for byte in tag.unwrap_or(key) {
        crc ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 };
        }
    }
    usize::from(crc) % SLOTS
}

/// A client port that is free together with its bus port. Both lie below the ports that the system gives to outgoing
/// connections, so that a node that was killed finds its own free again.
fn free_port() -> u16 {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    const PORTS: u32 = 10_000;
    for _ in 0..PORTS {
        let index = (std::process::id() * 331 + COUNT.fetch_add(1, Ordering::Relaxed)) % PORTS;
        // Hundreds of client ports and of bus ports take turns.
        let port = u16::try_from(10_000 + index / 100 * 200 + index % 100).expect("a port");
        let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if free(port) && free(port + BUS_OFFSET) {
            return port;
        }
    }
    panic!("no free pair of ports");
}

/// Several servers that know of each other.
pub struct Cluster {
    ports: Vec<u16>,
    options: Vec<String>,
    nodes: Vec<Option<Server>>,
    folder: Scratch,
}

impl Cluster {
    /// Ports and files for so many nodes, none of which is started.
    pub fn prepare(count: usize) -> Cluster {
        let mut ports: Vec<u16> = (0..count).map(|_| free_port()).collect();
        ports.sort_unstable();
        let nodes = (0..count).map(|_| None).collect();
        let cluster = Cluster { ports, options: Vec::new(), nodes, folder: Scratch::new() };
        for node in 0..count {
            fs::write(cluster.file(node), cluster.lines(Some(node))).expect("to write the file of a node");
        }
        cluster
    }

    /// So many nodes that have formed.
    pub fn start(count: usize) -> Cluster {
        Cluster::prepare(count).with(&[])
    }

    /// All nodes with these options besides, when they have formed.
    pub fn with(mut self, options: &[&str]) -> Cluster {
        self.options = options.iter().map(|text| text.to_string()).collect();
        for node in 0..self.len() {
            self.launch(node);
        }
        self.wait_until_formed();
        self
    }

    /// How many nodes there are to be.
    pub fn len(&self) -> usize {
        self.ports.len()
    }

    /// The lines of a file, in which this node is its reader.
    pub fn lines(&self, own: Option<usize>) -> String {
        let line = |node: usize| {
            let own = u8::from(own == Some(node));
            format!("127.0.0.1 {} {} {own}\n", self.bus_port(node), self.name(node))
        };
        (0..self.len()).map(line).collect()
    }

    /// The file of a node.
    pub fn file(&self, node: usize) -> PathBuf {
        self.path(&format!("node{node}.conf"))
    }

    /// A path in the folder of the cluster.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path(name)
    }

    /// The client port of a node.
    pub fn port(&self, node: usize) -> u16 {
        self.ports[node]
    }

    /// The bus port of a node.
    pub fn bus_port(&self, node: usize) -> u16 {
        self.port(node) + BUS_OFFSET
    }

    /// Where clients reach a node.
    pub fn address(&self, node: usize) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port(node)))
    }

    /// What the files call a node.
    pub fn name(&self, node: usize) -> String {
        format!("n{node}")
    }

    /// What errors call a node.
    pub fn title(&self, node: usize) -> String {
        format!("{} ({})", self.name(node), self.address(node))
    }

    /// How a node is started, with these options besides those of all.
    pub fn start_of(&self, node: usize, options: &[&str]) -> Start {
        let file = self.file(node);
        let mut words = vec!["-c", "-f", file.to_str().expect("a plain path")];
        words.extend(self.options.iter().map(String::as_str));
        words.extend(options);
        Start::new(&words)
    }

    /// Starts a node, and waits until it listens.
    pub fn launch(&mut self, node: usize) {
        let server = self.start_of(node, &[]).start();
        self.put(node, server);
    }

    /// Takes this server for a node.
    pub fn put(&mut self, node: usize, server: Server) {
        assert!(self.nodes[node].is_none(), "node {node} runs already");
        self.nodes[node] = Some(server);
    }

    /// Waits until each node that runs said that the cluster has formed.
    #[track_caller]
    pub fn wait_until_formed(&self) {
        for server in self.nodes.iter().flatten() {
            server.wait_for_log(FORMED);
        }
    }

    /// A node that runs.
    #[track_caller]
    pub fn node(&self, node: usize) -> &Server {
        self.nodes[node].as_ref().expect("a node that runs")
    }

    /// A node that runs, to be waited for.
    #[track_caller]
    pub fn node_mut(&mut self, node: usize) -> &mut Server {
        self.nodes[node].as_mut().expect("a node that runs")
    }

    /// Kills a node, and waits for its end.
    pub fn kill(&mut self, node: usize) {
        drop(self.nodes[node].take().expect("a node that runs"));
    }

    /// A client of a node.
    #[track_caller]
    pub fn connect(&self, node: usize) -> Client {
        self.node(node).connect()
    }

    /// A client of each node.
    #[track_caller]
    pub fn connect_all(&self) -> Vec<Client> {
        (0..self.len()).map(|node| self.connect(node)).collect()
    }

    /// Which node has a key. None where its slot lies so near to the end of a range that one has to know how the
    /// ranges are rounded.
    pub fn owner(&self, key: &str) -> Option<usize> {
        let slot = slot(key.as_bytes());
        let of = |slot: usize| slot * self.len() / SLOTS;
        let (low, high) = (of(slot.saturating_sub(self.len())), of((slot + self.len()).min(SLOTS - 1)));
        (low == high).then_some(low)
    }

    /// A key of a node; another one for each number.
    pub fn key_of(&self, node: usize, number: usize) -> String {
        let mut keys = (0..).map(|salt| format!("k{number}-{salt}"));
        keys.find(|key| self.owner(key) == Some(node)).expect("a key of each node")
    }

    /// What stands in braces at the start of keys that are all of one slot of a node.
    pub fn tag_of(&self, node: usize) -> String {
        format!("{{{}}}", self.key_of(node, 0))
    }

    /// Waits until a node answers for the keys of another; gives how long it took.
    #[track_caller]
    pub fn wait_until_served(&self, asked: usize, owner: usize) -> Duration {
        let (start, key) = (Instant::now(), self.key_of(owner, usize::MAX));
        let mut client = self.connect(asked);
        wait_for("a node to be served", || !client.ask(&format!("EXISTS {key}")).starts_with("(error)"));
        start.elapsed()
    }

    /// How often a link that was up broke, as all nodes that run count it.
    #[track_caller]
    pub fn links_broken(&self) -> u64 {
        self.nodes.iter().flatten().map(|server| cluster_info(&mut server.connect(), "cluster_links_broken")).sum()
    }
}

/// The number in a field of INFO cluster.
#[track_caller]
pub fn cluster_info(client: &mut Client, field: &str) -> u64 {
    let text = client.ask("INFO cluster");
    let found = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let number = found.unwrap_or_else(|| panic!("no {field} in {text}")).trim();
    number.parse().unwrap_or_else(|_| panic!("{field}:{number} is no number"))
}

/// A request as an array of bulks.
pub fn array(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n{word}\r\n", word.len()).into_bytes());
    }
    bytes
}

/// Sends a request as an array, and gives the bytes of its reply.
#[track_caller]
pub fn ask_array(client: &mut Client, words: &[&str]) -> String {
    const MARK: &str = "--end-of-the-reply--";
    client.send([array(words), array(&["ECHO", MARK])].concat());
    client.until(format!("${}\r\n{MARK}\r\n", MARK.len()).as_bytes())
}

/// Does a connection to the address come about?
pub fn accepts(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_ok()
}

/// Waits for so long at most until the condition holds, and fails with what was waited for.
#[track_caller]
pub fn within(limit: Duration, what: &str, condition: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    assert!(holds_within(limit, condition), "not within {limit:?}: {what}");
    start.elapsed()
}
