//! What once went wrong in a cluster of real processes.

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};
use support::{DEADLINE, Scratch, Server, wait_for};

/// Two nodes, and their folder.
struct Pair {
    nodes: [Option<Server>; 2],
    addresses: [SocketAddr; 2],
    scratch: Scratch,
}

/// A port for clients of which the bus's is free as well.
fn port() -> u16 {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        if let Some(bus) = port.checked_add(100)
            && TcpListener::bind(("127.0.0.1", bus)).is_ok()
        {
            return port;
        }
    }
}

impl Pair {
    fn start() -> Pair {
        let mut ports = [port(), port()];
        ports.sort_unstable();
        let scratch = Scratch::new();
        let list: String = ports.iter().map(|port| format!("127.0.0.1 {} n{port} 0\n", port + 100)).collect();
        std::fs::write(scratch.path("nodes"), list).expect("to write the list");
        let addresses = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let mut pair = Pair { nodes: [None, None], addresses, scratch };
        (0..2).for_each(|index| pair.start_node(index));
        pair.form();
        pair
    }

    fn start_node(&mut self, index: usize) {
        let (file, port) = (self.scratch.path("nodes"), self.addresses[index].port().to_string());
        let file = file.to_str().expect("a path");
        self.nodes[index] = Some(Server::start(&["-a", "127.0.0.1", "-p", &port, "-f", file]));
    }

    fn form(&self) {
        wait_for("a cluster", || (0..2).all(|index| self.client(index).ask("CLUSTER INFO").contains("state:ok")));
    }

    fn client(&self, index: usize) -> Client {
        let stream = TcpStream::connect(self.addresses[index]).expect("to connect");
        stream.set_read_timeout(Some(DEADLINE)).expect("a time-out");
        Client(stream)
    }

    /// A key of the second node.
    fn other_key(&self) -> String {
        let numbers = self.client(1).ask("CLUSTER NODES");
        let line = numbers.lines().find(|line| line.contains("myself")).expect("a node");
        let range = line.split(' ').nth(8).and_then(|range| range.split_once('-')).expect("a range");
        let (first, last): (u32, u32) = (range.0.parse().expect("a slot"), range.1.parse().expect("a slot"));
        let slot = |key: &str| -> u32 {
            let answer = self.client(0).ask(&format!("CLUSTER KEYSLOT {key}"));
            answer.trim().parse::<u32>().expect("a slot") % 8192
        };
        let keys = (0..).map(|number| format!("k{number}"));
        keys.into_iter().find(|key| (first..=last).contains(&slot(key))).expect("a key")
    }
}

struct Client(TcpStream);

impl Client {
    fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).expect("to send");
    }

    /// The answer to one line.
    fn ask(&mut self, line: &str) -> String {
        self.send(&format!("{line}\n"));
        self.answer()
    }

    /// One answer in text, which ends with CRLF: none that is asked for here has one inside but those of CLUSTER.
    fn answer(&mut self) -> String {
        let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
        while !bytes.ends_with(b"\r\n") {
            let count = self.0.read(&mut buffer).expect("an answer");
            assert!(count > 0, "the connection was closed");
            bytes.extend_from_slice(&buffer[..count]);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[test]
fn a_link_goes_on_as_soon_as_its_answers_are_taken() {
    const CLIENTS: usize = 8;
    const REQUESTS: usize = 256;
    let _alone = support::alone();
    let pair = Pair::start();
    let (key, value) = (pair.other_key(), "x".repeat(16_000));
    assert_eq!(pair.client(0).ask(&format!("SET {key} {value}")), "OK\r\n");
    let begun = Instant::now();
    let readers: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (mut client, text) = (pair.client(0), format!("GET {key}\n").repeat(REQUESTS));
            std::thread::spawn(move || {
                client.send(&text);
                let mut bytes = vec![0; REQUESTS * 16_002];
                client.0.read_exact(&mut bytes).expect("all answers");
            })
        })
        .collect();
    readers.into_iter().for_each(|reader| reader.join().expect("all answers"));
    // It took two seconds when each four megabytes waited for the next heartbeat.
    assert!(begun.elapsed() < Duration::from_millis(1200), "{:?}", begun.elapsed());
}

#[test]
fn what_is_skipped_and_held_up_stays_without_an_answer() {
    let _together = support::together();
    let pair = Pair::start();
    for key in [pair.other_key(), "b".into()] {
        let mut client = pair.client(0);
        client.send("CLIENT REPLY SKIP\n");
        assert_eq!(pair.client(0).ask("CLIENT PAUSE 200 WRITE"), "OK\r\n");
        client.send(&format!("SET {key} value\n"));
        assert_eq!(client.ask("PING"), "PONG\r\n");
    }
}

#[test]
fn what_could_not_be_watched_is_not_executed() {
    let _together = support::together();
    let mut pair = Pair::start();
    let (key, mut client) = (pair.other_key(), pair.client(0));
    drop(pair.nodes[1].take());
    wait_for("an error", || pair.client(0).ask(&format!("GET {key}")).contains("CLUSTERDOWN"));
    assert!(client.ask(&format!("WATCH {key}")).contains("CLUSTERDOWN"));
    pair.start_node(1);
    pair.form();
    assert_eq!(client.ask("MULTI"), "OK\r\n");
    assert_eq!(client.ask(&format!("SET {key} value")), "QUEUED\r\n");
    assert_eq!(client.ask("EXEC"), "(null)\r\n");
}
