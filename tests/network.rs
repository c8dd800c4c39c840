//! Three nodes on hosts of their own, as far as the kernel can pretend them: network namespaces, joined by a switch whose
//! wires are cut, one way as well, delayed and made lossy.
//!
//! The switch is a script over TAP devices (network/switch.py), since not every kernel has netem. Clients come through
//! Unix sockets, which namespaces do not part. `MEMENTO_SEED=n` repeats what the switch loses.

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::cluster::{FORMED, SLOTS, slot, within};
use support::{DEADLINE, Scratch, Server, Start, StopAtEnd, need, root, skip, wait_for};

const NODES: usize = 3;

const CLIENT_PORT: u16 = 7001;

/// Within this time a client that waits for a node that cannot be reached has an error. What the machine's other work adds
/// is in it.
const ERROR_AFTER: Duration = Duration::from_millis(2300);

/// Within this time after the wires are well again all nodes are linked.
const HEALED_AFTER: Duration = Duration::from_secs(3);

/// Namespaces, the switch between them, and a node in each.
struct Network {
    nodes: Vec<Server>,
    switch: Option<(Child, ChildStdin, BufReader<ChildStdout>)>,
    namespaces: Vec<String>,
    folder: Scratch,
}

/// Runs `ip`; what it said where it fails.
fn ip(words: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(words).stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).trim().to_string()) }
}

impl Network {
    /// Nodes that have formed; none where programs or rights are missing, which is said.
    fn start(seed: u64) -> Option<Network> {
        if !need("ip") || !need("python3") {
            return None;
        }
        let mut network = Network { nodes: Vec::new(), switch: None, namespaces: Vec::new(), folder: Scratch::new() };
        for node in 0..NODES {
            let name = format!("memento-{}-{node}", std::process::id());
            if let Err(error) = ip(&["netns", "add", &name]) {
                skip(&format!("no network namespace can be made: {error}"));
                return None;
            }
            network.namespaces.push(name);
        }
        if fs::OpenOptions::new().read(true).write(true).open("/dev/net/tun").is_err() {
            skip("/dev/net/tun cannot be opened");
            return None;
        }
        let mut command = Command::new("python3");
        // The name of a device has 15 bytes at most.
        command.arg(root().join("tests/network/switch.py")).arg(seed.to_string());
        command.arg(format!("mt{}p", std::process::id())).args(&network.namespaces);
        let mut switch = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("to run python3");
        let (stdin, stdout) = (switch.stdin.take().expect("a pipe"), switch.stdout.take().expect("a pipe"));
        network.switch = Some((switch, stdin, BufReader::new(stdout)));
        network.is_done();
        network.launch();
        Some(network)
    }

    fn launch(&mut self) {
        let lines: String =
            (0..NODES).map(|node| format!("{} {} host{node} 0\n", host(node), CLIENT_PORT + 100)).collect();
        let (file, secret) = (self.folder.path("cluster.conf"), self.folder.path("secret"));
        fs::write(&file, lines).expect("to write the file");
        fs::write(&secret, "shared by three hosts\n").expect("to write the secret");
        for node in 0..NODES {
            let (name, socket) = (format!("host{node}"), self.socket(node));
            let path = |path: &PathBuf| path.to_str().expect("a plain path").to_string();
            let words =
                ["-f", &path(&file), "-i", &name, "-s", &path(&socket), "--cluster-secret-file", &path(&secret)];
            let within = ["ip", "netns", "exec", &self.namespaces[node]];
            self.nodes.push(Start::new(&words).within(&within).start());
            wait_for("the Unix socket", || UnixStream::connect(&socket).is_ok());
        }
        self.nodes.iter().for_each(|node| node.wait_for_log(FORMED));
    }

    fn socket(&self, node: usize) -> PathBuf {
        self.folder.path(&format!("node{node}.sock"))
    }

    fn connect(&self, node: usize) -> Talk {
        let stream = UnixStream::connect(self.socket(node)).expect("to connect to the Unix socket");
        stream.set_read_timeout(Some(DEADLINE)).expect("a deadline");
        Talk { stream: BufReader::new(stream) }
    }

    /// Waits for the switch's word.
    fn is_done(&mut self) {
        let (_, _, stdout) = self.switch.as_mut().expect("the switch");
        let mut line = String::new();
        stdout.read_line(&mut line).expect("the switch's answer");
        assert_eq!(line, "ok\n", "the switch does not work");
    }

    /// Gives the switch an order.
    fn order(&mut self, order: &str) {
        let (_, stdin, _) = self.switch.as_mut().expect("the switch");
        writeln!(stdin, "{order}").expect("to give an order");
        self.is_done();
    }

    /// Waits until each node answers for the keys of each.
    fn wait_until_whole(&self, limit: Duration) -> Duration {
        let start = Instant::now();
        for asked in 0..NODES {
            let mut client = self.connect(asked);
            for owner in 0..NODES {
                within(limit.saturating_sub(start.elapsed()), "the nodes to be linked again", || {
                    !client.ask(&format!("GET {}", key_of(owner, 999))).starts_with("(error)")
                });
            }
        }
        start.elapsed()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if thread::panicking() {
            self.nodes.iter().for_each(|node| eprintln!("{}", node.log()));
        }
        self.nodes.clear();
        if let Some((mut switch, _, _)) = self.switch.take() {
            let _ = switch.kill();
            let _ = switch.wait();
        }
        for name in &self.namespaces {
            if let Err(error) = ip(&["netns", "del", name]) {
                eprintln!("{name} is left behind: {error}");
            }
        }
    }
}

fn host(node: usize) -> String {
    format!("10.77.0.{}", node + 1)
}

/// A key of a node, not so near to the end of a range that one has to know how ranges are rounded.
fn key_of(node: usize, number: usize) -> String {
    let owner = |at: usize| at * NODES / SLOTS;
    let mut keys = (0..).map(|salt| format!("k{number}-{salt}"));
    let of_node = |key: &String| {
        let at = slot(key.as_bytes());
        at >= NODES && at + NODES < SLOTS && owner(at - NODES) == node && owner(at + NODES) == node
    };
    keys.find(of_node).expect("a key of each node")
}

/// A client on a Unix socket; each answer is one line.
struct Talk {
    stream: BufReader<UnixStream>,
}

impl Talk {
    fn ask(&mut self, request: &str) -> String {
        self.stream.get_mut().write_all(format!("{request}\r\n").as_bytes()).expect("to send");
        self.line()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("an answer");
        line.trim_end_matches("\r\n").to_string()
    }
}

/// What one client of a node found.
#[derive(Debug, Default)]
struct Found {
    answered: usize,
    unknown: usize,
    refused: usize,
    longest: Duration,
}

/// Sets, counts and gets keys of its own on every node, through one; whatever an answer says must be true.
fn check_model(client: &mut Talk, number: usize, stop: &AtomicBool) -> Found {
    #[derive(Clone)]
    struct Key {
        name: String,
        /// What may be stored, as far as the answers tell.
        may_be: Vec<String>,
        counter: String,
        counted: u64,
        lost: u64,
    }
    let mut keys: Vec<Key> = (0..NODES)
        .map(|owner| Key {
            name: key_of(owner, number),
            may_be: vec!["(null)".to_string()],
            counter: format!("{{{}}}counter", key_of(owner, number)),
            counted: 0,
            lost: 0,
        })
        .collect();
    let mut found = Found::default();
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) {
        round += 1;
        for key in &mut keys {
            let value = format!("{number}:{round}");
            let requests =
                [format!("SET {} {value}", key.name), format!("GET {}", key.name), format!("INC {}", key.counter)];
            for (kind, request) in requests.iter().enumerate() {
                let start = Instant::now();
                let answer = client.ask(request);
                found.longest = found.longest.max(start.elapsed());
                if answer.starts_with("(error) outcome unknown: ") {
                    assert!(kind != 1, "a read has no outcome: {answer}");
                    found.unknown += 1;
                    match kind {
                        0 => key.may_be.push(value.clone()),
                        _ => key.lost += 1,
                    }
                } else if answer.starts_with("(error) ") {
                    let silent = answer.ends_with("did not answer: the link to it broke");
                    assert!(answer.contains(" is not linked") || (kind == 1 && silent), "{request}: {answer}");
                    found.refused += 1;
                } else {
                    found.answered += 1;
                    match kind {
                        0 => {
                            assert_eq!(answer, "OK", "{request}");
                            key.may_be = vec![value.clone()];
                        }
                        1 => {
                            assert!(
                                key.may_be.contains(&answer),
                                "{request}: {answer}, and not one of {:?}",
                                key.may_be
                            );
                            key.may_be = vec![answer];
                        }
                        _ => {
                            let count: u64 = answer.parse().unwrap_or_else(|_| panic!("{request}: {answer}"));
                            let most = key.counted + key.lost + 1;
                            assert!((key.counted + 1..=most).contains(&count), "{request}: {count}, at most {most}");
                            // What was lost and is counted now is known.
                            key.lost = most - count;
                            key.counted = count;
                        }
                    }
                }
            }
        }
        thread::sleep(Duration::from_millis(5));
    }
    found
}

#[test]
fn wires_are_cut_slow_and_lossy() {
    let seed = std::env::var("MEMENTO_SEED").map_or_else(|_| support::now_ms(), |text| text.parse().expect("a number"));
    println!("MEMENTO_SEED={seed}");
    let Some(mut network) = Network::start(seed) else { return };
    let mut clients: Vec<Talk> = (0..NODES).map(|node| network.connect(node)).collect();
    let key = |owner: usize| key_of(owner, 500);
    let down =
        |node: usize| format!("(error) CLUSTERDOWN node host{node} ({}:{CLIENT_PORT}) is not linked", host(node));
    let stop = AtomicBool::new(false);
    let mut checking: Vec<Talk> = (0..2 * NODES).map(|number| network.connect(number % NODES)).collect();
    thread::scope(|scope| {
        let stop = &stop;
        let _stop = StopAtEnd(stop);
        let models: Vec<_> = checking
            .iter_mut()
            .enumerate()
            .map(|(number, client)| scope.spawn(move || check_model(client, number, stop)))
            .collect();

        // A wire of 50 ms each way is only slow.
        network.order("delay 50");
        let links = network.nodes.iter().map(|node| node.log().len()).collect::<Vec<_>>();
        let start = Instant::now();
        for (asked, client) in clients.iter_mut().enumerate() {
            for owner in 0..NODES {
                let start = Instant::now();
                assert_eq!(client.ask(&format!("SET {} {asked}", key(owner))), "OK");
                let took = start.elapsed();
                assert!(owner == asked || took >= Duration::from_millis(100), "the switch is not slow: {took:?}");
                assert!(took < Duration::from_millis(400), "a slow wire made it {took:?}");
            }
            // What is pipelined waits once, and not once each.
            let pipeline =
                format!("INC {}:n{{{}}}\r\n", key((asked + 1) % NODES), key((asked + 1) % NODES)).repeat(200);
            let start = Instant::now();
            client.stream.get_mut().write_all(pipeline.as_bytes()).expect("to send");
            for number in 1..=200 {
                assert_eq!(client.line(), number.to_string());
            }
            assert!(start.elapsed() < Duration::from_millis(800), "200 requests took {:?}", start.elapsed());
        }
        thread::sleep(Duration::from_secs(1).saturating_sub(start.elapsed()));
        let now = network.nodes.iter().map(|node| node.log().len()).collect::<Vec<_>>();
        assert_eq!(now, links, "a slow wire broke a link");
        println!("slow wires: {:?}", start.elapsed());

        // A lossy one is slow now and then.
        network.order("delay 5");
        network.order("loss 3");
        for round in 0..30 {
            let (owner, asked) = (round % NODES, round / NODES % NODES);
            let answer = clients[asked].ask(&format!("SET {} {round}", key(owner)));
            assert!(answer == "OK" || answer.starts_with("(error) "), "{answer}");
            if answer == "OK" {
                let answer = clients[asked].ask(&format!("GET {}", key(owner)));
                assert!(answer == round.to_string() || answer.starts_with("(error) "), "{answer}");
            }
        }
        network.order("heal");
        println!("lossy wires: whole again after {:?}", network.wait_until_whole(HEALED_AFTER));

        // One host is cut off: the others go on without it, and it without them.
        network.order("cut 2");
        let start = Instant::now();
        for (asked, owner) in [(0, 2), (1, 2), (2, 0), (2, 1)] {
            let limit = ERROR_AFTER.saturating_sub(start.elapsed());
            within(limit, "the cut to be seen", || clients[asked].ask(&format!("GET {}", key(owner))) == down(owner));
        }
        println!("a host cut off: seen by all after {:?}", start.elapsed());
        for (asked, owner) in [(0, 0), (0, 1), (1, 0), (1, 1), (2, 2)] {
            let start = Instant::now();
            assert_eq!(clients[asked].ask(&format!("SET {} {asked}", key(owner))), "OK");
            assert!(start.elapsed() < Duration::from_millis(100), "{asked} for {owner}: {:?}", start.elapsed());
        }
        for (asked, owner) in [(0, 2), (1, 2), (2, 0), (2, 1)] {
            let start = Instant::now();
            assert_eq!(clients[asked].ask(&format!("SET {} lost", key(owner))), down(owner));
            assert!(start.elapsed() < Duration::from_millis(100), "{asked} for {owner}: {:?}", start.elapsed());
        }
        network.order("heal");
        println!("whole again after {:?}", network.wait_until_whole(HEALED_AFTER));
        assert_eq!(clients[0].ask(&format!("GET {}", key(2))), "2");

        // A wire that leads one way only is no wire.
        network.order("cut 1 0");
        let start = Instant::now();
        for (asked, owner) in [(0, 1), (1, 0)] {
            // What came after the other side had given up waits for as long once more.
            let limit = (2 * ERROR_AFTER).saturating_sub(start.elapsed());
            within(limit, "the cut to be seen", || clients[asked].ask(&format!("GET {}", key(owner))) == down(owner));
        }
        println!("a wire cut one way: seen by both after {:?}", start.elapsed());
        assert_eq!(clients[2].ask(&format!("SET {} through", key(1))), "OK");
        assert_eq!(clients[2].ask(&format!("SET {} through", key(0))), "OK");
        network.order("heal");
        println!("whole again after {:?}", network.wait_until_whole(HEALED_AFTER));
        assert_eq!(clients[1].ask(&format!("GET {}", key(0))), "through");

        // The host's own end of the wire goes down, and comes up again.
        let device = format!("mt{}p1", std::process::id());
        ip(&["-n", &network.namespaces[1], "link", "set", &device, "down"]).expect("to take the device down");
        let start = Instant::now();
        for (asked, owner) in [(0, 1), (2, 1), (1, 0), (1, 2)] {
            let limit = ERROR_AFTER.saturating_sub(start.elapsed());
            within(limit, "the end to be seen", || clients[asked].ask(&format!("GET {}", key(owner))) == down(owner));
        }
        ip(&["-n", &network.namespaces[1], "link", "set", &device, "up"]).expect("to take the device up");
        println!("whole again after {:?}", network.wait_until_whole(HEALED_AFTER));

        // Short cuts, faster than anybody could give up, are not seen as such.
        let links = network.nodes.iter().map(|node| node.log().len()).collect::<Vec<_>>();
        for _ in 0..3 {
            network.order("cut 0");
            thread::sleep(Duration::from_millis(200));
            network.order("heal");
            thread::sleep(Duration::from_millis(700));
        }
        let now = network.nodes.iter().map(|node| node.log().len()).collect::<Vec<_>>();
        assert_eq!(now, links, "a short cut broke a link");

        stop.store(true, Ordering::Relaxed);
        for (number, model) in models.into_iter().enumerate() {
            let found = model.join().expect("a client that checks");
            println!("client {number} of node {}: {found:?}", number % NODES);
            assert!(found.answered > 100 && found.longest < ERROR_AFTER, "{found:?}");
        }
    });
}
