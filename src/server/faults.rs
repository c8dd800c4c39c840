//! Servers whose connections break by a seed, one alone and three as a cluster, with clients whose calls are sound.
//!
//! What a client received is always the beginning of what it must receive; what was acknowledged is there; no more
//! conversations end early than calls failed; and what a broken connection leaves unknown is one of what it can be.

use super::*;
use crate::config::{ClusterConfig, Node as NodeLine};
use crate::sys::fault;
use crate::testkit::{Random, seeds};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Nothing here takes a tenth of it.
const DEADLINE: Duration = Duration::from_secs(30);

/// A server on a thread of its own; its end gives how many calls failed in a way that ends a connection.
struct Suffering {
    port: u16,
    thread: JoinHandle<usize>,
}

impl Suffering {
    fn start(config: Config, seed: u64, plan: fn(u64)) -> Suffering {
        let (send, receive) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut server = Server::new(&config).expect("a server");
            send.send(server.engine.state.node.tcp_port).expect("the test waits for it");
            plan(seed);
            server.run().expect("a loop that ends well");
            fault::broken()
        });
        Suffering { port: receive.recv().expect("the server starts"), thread }
    }

    /// Says SHUTDOWN until the server has heard it.
    fn end(self) -> usize {
        let began = Instant::now();
        while !self.thread.is_finished() {
            assert!(began.elapsed() < DEADLINE, "the server does not end");
            if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
                // Either may fail: the connection breaks, or the server has gone.
                let _ = stream.set_read_timeout(Some(DEADLINE)).and_then(|()| stream.write_all(b"SHUTDOWN\r\n"));
                let _ = stream.read_to_end(&mut Vec::new());
            }
        }
        self.thread.join().expect("the server's thread")
    }
}

fn connect(port: u16) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("the listener's queue has room");
    stream.set_read_timeout(Some(DEADLINE)).expect("a time-out");
    stream.set_nodelay(true).expect("a TCP connection");
    BufReader::new(stream)
}

/// Reads one reply of the text protocol; `None` where the connection ends before or within it.
fn reply(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = Vec::new();
    match reader.read_until(b'\n', &mut line) {
        Ok(_) if line.ends_with(b"\r\n") => {
            line.truncate(line.len() - 2);
            Some(String::from_utf8(line).expect("what was stored"))
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => panic!("no reply within {DEADLINE:?}"),
        _ => None,
    }
}

/// Asks until there is an answer that will do.
fn ask(port: u16, request: &str, will_do: fn(&str) -> bool) -> String {
    let began = Instant::now();
    loop {
        assert!(began.elapsed() < DEADLINE, "{request} is not answered within {DEADLINE:?}");
        let mut stream = connect(port);
        let _ = stream.get_mut().write_all(request.as_bytes());
        if let Some(answer) = reply(&mut stream)
            && will_do(&answer)
        {
            return answer;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// A key that one client alone writes, and the values one of which it has; `None` is a missing key.
struct Key {
    name: String,
    values: BTreeSet<Option<String>>,
}

impl Key {
    fn new(name: String) -> Key {
        Key { name, values: BTreeSet::from([None]) }
    }

    /// The value, where there is no doubt.
    fn value(&self) -> Option<&str> {
        assert_eq!(self.values.len(), 1);
        self.values.first().and_then(|value| value.as_deref())
    }
}

/// A request on a key: what is sent, what is to be answered, and the value then.
fn request(random: &mut Random, key: &Key, number: usize) -> (String, String, Option<String>) {
    let (name, value) = (&key.name, key.value());
    let same = value.map(str::to_string);
    match random.below(7) {
        0 | 1 => {
            let new = format!("{number}-{}", "v".repeat(random.below(10) * random.below(300)));
            (format!("SET {name} {new}"), "OK".into(), Some(new))
        }
        2 => (format!("APPEND {name} +{number}"), "OK".into(), Some(format!("{}+{number}", value.unwrap_or("")))),
        3 => (format!("DEL {name}"), if value.is_some() { "OK" } else { "(null)" }.into(), None),
        4 => (format!("STRLEN {name}"), value.map_or(0, str::len).to_string(), same),
        _ => (format!("GET {name}"), value.unwrap_or("(null)").into(), same),
    }
}

/// What came of a client's requests.
#[derive(Default)]
struct Told {
    /// Connections that ended before all was answered.
    cut: usize,
    /// Requests that another node did not answer, or may have done.
    unanswered: usize,
    answered: usize,
    /// Keys of which it is not known which value they have, and those that are known.
    keys: Vec<Key>,
}

/// Is this what a node says when another cannot be asked, and what it was asked was not done?
fn is_refusal(answer: &str) -> bool {
    answer.starts_with("(error) CLUSTERDOWN ")
}

/// Is this what a node says when it does not know whether another has done what it was asked?
fn is_doubt(answer: &str) -> bool {
    answer.starts_with("(error) outcome unknown: ") || answer.contains(" did not answer: the link to it broke")
}

/// Batches of requests, each of a batch on a key of its own; every reply is checked.
fn converse(seed: u64, client: u64, ports: &[u16], batches: usize, in_cluster: bool) -> Told {
    const KEYS: usize = 8;
    let mut random = Random::new(seed * 1000 + client);
    let mut told = Told::default();
    let mut names = (0..).map(|number| Key::new(format!("c{client}-{number}")));
    let mut keys: Vec<Key> = names.by_ref().take(KEYS).collect();
    let mut connection = None::<BufReader<TcpStream>>;
    for batch in 0..batches {
        let stream = connection.get_or_insert_with(|| connect(ports[random.below(ports.len())]));
        let asked: Vec<_> = (0..KEYS).map(|index| request(&mut random, &keys[index], batch * KEYS + index)).collect();
        let sent: String = asked.iter().map(|(request, ..)| format!("{request}\r\n")).collect();
        // A connection that has ended is found out by its reply.
        let _ = stream.get_mut().write_all(sent.as_bytes());
        let mut is_cut = false;
        for (key, (request, wanted, after)) in keys.iter_mut().zip(asked) {
            let answer = if is_cut { None } else { reply(stream) };
            match answer.as_deref() {
                Some(answer) if answer == wanted => {
                    told.answered += 1;
                    key.values = BTreeSet::from([after]);
                }
                Some(answer) if in_cluster && is_refusal(answer) => told.unanswered += 1,
                Some(answer) if in_cluster && is_doubt(answer) => {
                    told.unanswered += 1;
                    key.values.insert(after);
                }
                Some(answer) => {
                    panic!("seed {seed}, client {client}: {request:?} is answered {answer:?}, not {wanted:?}")
                }
                None => {
                    is_cut = true;
                    key.values.insert(after);
                }
            }
        }
        if is_cut {
            told.cut += 1;
            connection = None;
        }
        for key in keys.iter_mut().filter(|key| key.values.len() > 1) {
            // What is under way may still be done: the key is left alone until the end.
            told.keys.push(std::mem::replace(key, names.next().expect("no end of names")));
        }
    }
    told.keys.append(&mut keys);
    told
}

/// What the clients were told, together; each key is then looked at through each node.
fn run(seed: u64, ports: &[u16], batches: usize, in_cluster: bool) -> Told {
    let clients: Vec<_> = (0..3)
        .map(|client| {
            let ports = ports.to_vec();
            thread::spawn(move || converse(seed, client, &ports, batches, in_cluster))
        })
        .collect();
    let mut all = Told::default();
    for client in clients {
        let told = client.join().unwrap_or_else(|_| panic!("seed {seed} (MEMENTO_SEED={seed} runs it alone)"));
        all.cut += told.cut;
        all.unanswered += told.unanswered;
        all.answered += told.answered;
        all.keys.extend(told.keys);
    }
    // By now nothing is under way: a value that is seen once stays.
    for (index, key) in all.keys.iter_mut().enumerate() {
        let got = ask(ports[index % ports.len()], &format!("GET {}\r\n", key.name), |answer| {
            !is_refusal(answer) && !is_doubt(answer)
        });
        let got = (got != "(null)").then_some(got);
        assert!(key.values.contains(&got), "seed {seed}: {} has {got:?}, not one of {:?}", key.name, key.values);
        key.values = BTreeSet::from([got]);
    }
    all
}

/// Runs all seeds, a few at a time, since most of a run is waiting; gives how many there were, and what came of them
/// together.
fn each_seed(count: u64, run: fn(u64) -> Told) -> (usize, Told) {
    let seeds: Vec<u64> = seeds(count).collect();
    let mut all = Told::default();
    for few in seeds.chunks(4) {
        thread::scope(|scope| {
            let runs: Vec<_> = few.iter().map(|&seed| (seed, scope.spawn(move || run(seed)))).collect();
            for (seed, run) in runs {
                let told = run.join().unwrap_or_else(|_| panic!("seed {seed} (MEMENTO_SEED={seed} runs it alone)"));
                all.cut += told.cut;
                all.unanswered += told.unanswered;
                all.answered += told.answered;
            }
        });
    }
    println!(
        "{} seeds: {} answered, {} not, {} connections ended early",
        seeds.len(),
        all.answered,
        all.unanswered,
        all.cut
    );
    (seeds.len(), all)
}

#[test]
fn a_broken_connection_costs_its_own_replies_alone() {
    let (count, told) = each_seed(20, |seed| {
        let config = Config { port: 0, ..Config::default() };
        let server = Suffering::start(config, seed, |seed| fault::begin_breaking(seed, 10));
        let told = run(seed, &[server.port], 20, false);
        let broken = server.end();
        assert!(told.cut <= broken, "seed {seed}: {} connections ended early, {broken} calls failed", told.cut);
        told
    });
    // Else nothing was tried.
    assert!(told.answered > 100 * count && (count < 20 || told.cut > count));
}

/// Three nodes, each on a loopback address of its own, so that no port need be found that is free on all.
fn cluster(seed: u64, plan: fn(u64)) -> Vec<Suffering> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let (process, number) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let address = |node: u32| {
        let low = (number * 3 + node) % 250 + 1;
        let bytes = [127, process % 254 + 1, process / 254 % 256, low].map(|byte| u8::try_from(byte).expect("a byte"));
        SocketAddr::from((Ipv4Addr::from(bytes), 6837))
    };
    let members: Vec<NodeLine> =
        (0..3).map(|node| NodeLine { address: address(node), name: format!("node{node}") }).collect();
    let start = |own: usize| {
        let name = members[own].name.clone();
        let cluster = ClusterConfig { members: members.clone(), own, name, secret: None, file: "a test".into() };
        let config = Config { port: 0, cluster: Some(cluster), ..Config::default() };
        Suffering::start(config, seed * 3 + own as u64, plan)
    };
    let nodes: Vec<Suffering> = (0..3).map(start).collect();
    for node in &nodes {
        // Of these keys each node has some.
        for key in 0..9 {
            ask(node.port, &format!("EXISTS k{key}\r\n"), |answer| answer == "0");
        }
    }
    nodes
}

#[test]
fn no_reply_of_a_cluster_is_lost_or_doubled_under_faults() {
    each_seed(20, |seed| {
        let nodes = cluster(seed, fault::begin);
        let ports: Vec<u16> = nodes.iter().map(|node| node.port).collect();
        let told = run(seed, &ports, 12, false);
        assert!(told.cut == 0 && told.answered == 3 * 12 * 8, "seed {seed}: {} cut, {}", told.cut, told.answered);
        nodes.into_iter().for_each(|node| assert_eq!(node.end(), 0));
        told
    });
}

#[test]
fn a_cluster_whose_links_break_does_what_it_says() {
    let (count, told) = each_seed(20, |seed| {
        let nodes = cluster(seed, |seed| fault::begin_breaking(seed, 2));
        let ports: Vec<u16> = nodes.iter().map(|node| node.port).collect();
        let told = run(seed, &ports, 10, true);
        let broken: usize = nodes.into_iter().map(Suffering::end).sum();
        assert!(told.cut <= broken, "seed {seed}: {} connections ended early, {broken} calls failed", told.cut);
        told
    });
    // Else nothing was tried.
    assert!(told.answered > 50 * count && (count < 20 || told.unanswered > count && told.cut > 0));
}
