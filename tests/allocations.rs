//! No allocation on the way of a command: while requests for keys that exist are served, the thread of the server asks
//! the C library for no memory at all.
//!
//! Not promised of what keeps lists of its own as it goes: APPEND, EXPIRE and the exact sums of INCF.

mod support;

// The crate's lints are for the library's wall around unsafe code; this file is of that wall.
#[allow(unsafe_code)]
#[path = "../src/sys/allocations.rs"]
mod allocations;

use std::io::Write;
use std::net::TcpStream;
use std::thread::JoinHandle;

use memento::config::{self, Action};
use memento::server::Server;
use support::{Client, Scratch, alone, receive, wait_for};

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

/// How many requests of each kind are counted.
const COUNT: usize = 100_000;

/// How many keys they go to, in turn.
const KEYS: usize = 1000;

/// A server of this process, on a thread of its own that is watched.
struct Watched {
    thread: JoinHandle<()>,
    port: u16,
    _scratch: Scratch,
}

impl Watched {
    fn start() -> Watched {
        let scratch = Scratch::new();
        let socket = scratch.path("socket");
        let path = socket.to_str().expect("a plain path").to_string();
        let args = ["-p", "0", "--socket", &path].map(str::to_string);
        let Ok(Action::Run(config)) = config::parse(&args) else { panic!("no configuration") };
        let thread = std::thread::spawn(move || {
            let mut server = Server::new(&config).expect("a server");
            allocations::watch_this_thread();
            server.run().expect("a server that runs");
        });
        wait_for("the Unix socket", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
        // The port is any free one; the server tells it to who comes through the socket.
        let info = support::unix_exchange(&socket, "INFO server\r\nQUIT\r\n");
        let port = info.lines().find_map(|line| line.trim().strip_prefix("tcp_port:")).expect("the port");
        Watched { thread, port: port.parse().expect("a number"), _scratch: scratch }
    }

    fn connect(&self) -> Client {
        Client::new(TcpStream::connect(("127.0.0.1", self.port)).expect("to connect"))
    }

    fn end(self) {
        self.connect().send("SHUTDOWN\r\n");
        self.thread.join().expect("the server's thread");
    }
}

fn resp(words: &[&str]) -> Vec<u8> {
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        write!(request, "${}\r\n{word}\r\n", word.len()).expect("a Vec takes every write");
    }
    request
}

fn text(words: &[&str]) -> Vec<u8> {
    (words.join(" ") + "\r\n").into_bytes()
}

/// One kind of request: its words for a number.
struct Kind {
    name: &'static str,
    words: fn(usize) -> Vec<String>,
}

fn key(number: usize) -> String {
    format!("key:{:012}", number % KEYS)
}

const KINDS: &[Kind] = &[
    Kind { name: "SET", words: |number| vec!["SET".into(), key(number), format!("{number:032}")] },
    Kind { name: "GET", words: |number| vec!["GET".into(), key(number)] },
    Kind { name: "GET of no key", words: |number| vec!["GET".into(), format!("none:{number}")] },
    Kind {
        name: "SET of other lengths",
        words: |number| vec!["SET".into(), key(number), "v".repeat(1 + number * 7 % 200)],
    },
    Kind { name: "INC", words: |number| vec!["INC".into(), format!("counter:{}", number % KEYS)] },
    Kind { name: "MGET", words: |number| vec!["MGET".into(), key(number), key(number + 1)] },
    Kind { name: "EXISTS", words: |number| vec!["EXISTS".into(), key(number)] },
    Kind { name: "TTL", words: |number| vec!["TTL".into(), key(number)] },
    Kind { name: "PERSIST", words: |number| vec!["PERSIST".into(), key(number)] },
    Kind { name: "DEL", words: |number| vec!["DEL".into(), key(number)] },
    Kind { name: "SET again", words: |number| vec!["SET".into(), key(number), format!("{number:032}")] },
];

/// Sends requests, `depth` of them at a time, and reads that many replies.
fn converse(client: &mut Client, kind: &Kind, encode: fn(&[&str]) -> Vec<u8>, depth: usize, count: usize) {
    let stream = &mut client.stream;
    let mut received = vec![0; 64 * 1024];
    let ping: &[u8] = if encode(&["a"]).starts_with(b"*") { b"*1\r\n$4\r\nPING\r\n" } else { b"PING\r\n" };
    // Written once for all keys, and sent again and again.
    let batches = (0..KEYS.next_multiple_of(depth)).step_by(depth).map(|first| {
        let mut batch = Vec::new();
        for number in first..first + depth {
            let words = (kind.words)(number);
            batch.extend(encode(&words.iter().map(String::as_str).collect::<Vec<_>>()));
        }
        // A reply that ends the batch, whatever the others are.
        batch.extend_from_slice(ping);
        batch
    });
    let batches: Vec<Vec<u8>> = batches.collect();
    for batch in batches.iter().cycle().take(count.div_ceil(depth)) {
        stream.write_all(batch).expect("to send");
        let mut length = 0;
        while !received[..length].ends_with(b"PONG\r\n") {
            let count = receive(stream, &mut received[length..]).expect("a reply");
            assert!(count > 0, "the server has closed");
            length += count;
        }
        let replies = &received[..length];
        assert!(!replies.starts_with(b"-ERR") && !replies.starts_with(b"(error)"), "{}", support::show(replies));
    }
}

/// What a turn that is cut short needs is made when it is first needed, and that may be at any time, since a turn that
/// took long leaves requests for the next one. So it is made now: the buffer for what is left, by a request that comes
/// in two parts, and the list of who is to go on, by replies that are more than one turn makes.
fn warm_up(server: &Watched, client: &mut Client) {
    let request = resp(&["SET", "long", &"v".repeat(16 * 1024)]);
    let (first, second) = request.split_at(15 * 1024);
    client.send(first);
    // Whoever came later is answered after the first part was received.
    server.connect().barrier();
    client.send(second);
    assert_eq!(client.line(), "+OK");
    client.expect(&format!("SET long {}", "v".repeat(4000)), "OK");
    client.converse(&b"GET long\r\n".repeat(100), 100 * 4002);
    client.expect("DEL long", "OK");
    client.barrier();
}

#[test]
fn commands_on_keys_that_exist_allocate_nothing() {
    let _machine = alone();
    let server = Watched::start();
    let mut client = server.connect();
    // A request that the machine held up for 10 ms would be noted there.
    client.expect("CONFIG SET slowlog-log-slower-than -1", "OK");
    warm_up(&server, &mut client);
    // What does allocate is counted, and told where.
    allocations::begin();
    converse(&mut client, &Kind { name: "INFO", words: |_| vec!["INFO".into()] }, resp, 1, 1);
    let (allocated, first) = allocations::end();
    assert!(allocated > 0 && first.is_some_and(|trace| trace.contains("memento::command")), "{allocated}");
    let mut failures = Vec::new();
    for (protocol, encode) in [("RESP", resp as fn(&[&str]) -> Vec<u8>), ("text", text)] {
        for (depth, count) in [(1, COUNT / 50), (50, COUNT)] {
            for kind in KINDS {
                // The first round makes the keys, and the buffers that later ones use.
                converse(&mut client, kind, encode, depth, 2 * KEYS);
                allocations::begin();
                converse(&mut client, kind, encode, depth, count);
                let (allocated, first) = allocations::end();
                println!("{protocol:4} {depth:2} at a time, {count} times {}: {allocated} allocations", kind.name);
                if let Some(first) = first {
                    failures.push(format!("{protocol} {} ({allocated}), the first one:\n{first}", kind.name));
                }
            }
        }
    }
    server.end();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
