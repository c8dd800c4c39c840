//! Ends that something is in the way of: a store that is full, a socket's path that leads elsewhere, clients that are
//! gone before they are answered.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

use support::{
    Client, DEADLINE, Scratch, Server, Start, alone, program, run_to_end, show, together, unix_exchange, wait_for,
};

#[test]
fn a_full_store_ends_at_once() {
    const COUNT: usize = 1_000_000;
    let _machine = alone();
    let mut server = Server::start(&[]);
    let mut client = server.connect();
    for ten_thousand in 0..COUNT / 10_000 {
        let requests: String =
            (0..10_000).map(|number| format!("SET key:{} value\r\n", ten_thousand * 10_000 + number)).collect();
        let replies = client.converse(requests.as_bytes(), 10_000 * "OK\r\n".len());
        assert!(replies == b"OK\r\n".repeat(10_000), "{}", show(&replies));
    }
    client.expect("DBSIZE", &COUNT.to_string());
    let start = Instant::now();
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
    println!("{COUNT} keys: ended within {:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(1), "took {:?}", start.elapsed());
}

#[test]
fn a_path_that_leads_to_another_server_is_left_to_it() {
    let _machine = together();
    let scratch = Scratch::new();
    let path = scratch.path("s.sock");
    let name = path.to_str().expect("a plain path");
    let mut first = Start::new(&["-s", name]).listeners(2).start();
    fs::remove_file(&path).expect("to remove the socket");
    let _second = Start::new(&["-s", name]).listeners(2).start();
    assert_eq!(unix_exchange(&path, "SET k second\r\nQUIT\r\n"), "OK\r\n");
    first.signal(Signal::SIGTERM);
    assert_eq!(first.wait_exit().code(), Some(0));
    assert_eq!(unix_exchange(&path, "GET k\r\nQUIT\r\n"), "second\r\n");
}

/// Connects until the listener's queue takes no more; an ordinary connect would wait then.
fn fill_queue(path: &Path) -> Vec<OwnedFd> {
    let address = UnixAddr::new(path).expect("a short path");
    let mut waiting = Vec::new();
    loop {
        let fd = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_NONBLOCK, None).expect("a socket");
        match connect(fd.as_raw_fd(), &address) {
            Ok(()) => waiting.push(fd),
            Err(Errno::EAGAIN) => return waiting,
            Err(error) => panic!("connection {}: {error}", waiting.len()),
        }
        assert!(waiting.len() < 1000, "a queue of one place takes any number");
    }
}

#[test]
fn a_listener_whose_queue_is_full_is_live() {
    let _machine = together();
    let scratch = Scratch::new();
    let path = scratch.path("s.sock");
    let name = path.to_str().expect("a plain path");
    let server = Start::new(&["-s", name, "--tcp-backlog", "1"]).listeners(2).start();
    server.stop();
    let waiting = fill_queue(&path);
    let start = Instant::now();
    let (code, _, stderr) = run_to_end(Command::new(program()).args(["-p", "0", "-s", name]));
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("another process listens on it") && stderr.contains(name), "{stderr}");
    assert!(start.elapsed() < Duration::from_secs(5), "took {:?}", start.elapsed());
    server.signal(Signal::SIGCONT);
    drop(waiting);
    assert_eq!(unix_exchange(&path, "PING\r\nQUIT\r\n"), "PONG\r\n");
}

/// A client on a Unix socket sends requests and is gone before it has read one reply. On TCP its end would be a reset,
/// which takes away what it sent; here the kernel keeps it.
fn sends_and_goes(count: usize, stopped: bool) {
    let _machine = together();
    let scratch = Scratch::new();
    let path = scratch.path("s.sock");
    let server = Start::new(&["-s", path.to_str().expect("a plain path")]).listeners(2).start();
    let mut observer = server.connect();
    observer.barrier();
    if stopped {
        server.stop();
    }
    let mut client = UnixStream::connect(&path).expect("to connect to the Unix socket");
    client.set_write_timeout(Some(DEADLINE)).expect("a deadline");
    let requests: String = (0..count).map(|number| format!("SET key:{number} v\r\n")).collect();
    client.write_all(requests.as_bytes()).expect("to send");
    drop(client);
    if stopped {
        server.signal(Signal::SIGCONT);
    }
    wait_for("the client to be accepted", || observer.info("total_connections_received") == 2);
    wait_for("the client to be gone", || observer.info("connected_clients") == 1);
    let broken = observer.info("closed_by_peer_error");
    assert_eq!(observer.ask("DBSIZE"), count.to_string(), "broken connections: {broken}");
}

#[test]
fn what_was_sent_before_the_end_is_executed() {
    for round in 0..10 {
        println!("round {round}");
        sends_and_goes(2000, true);
        sends_and_goes(2000, false);
        sends_and_goes(50_000, false);
    }
}

/// Does INFO count so many clients whose answers come later?
fn waits_for(observer: &mut Client, clients: u64) {
    wait_for(&format!("{clients} clients to be waiting"), || observer.info("blocked_clients") == clients);
}

#[test]
fn who_goes_while_a_password_is_refused_waits_no_more() {
    let _machine = together();
    let scratch = Scratch::new();
    let path = scratch.path("password");
    fs::write(&path, "secret\n").expect("a file");
    let server = Server::start(&["--password-file", path.to_str().expect("a plain path")]);
    let mut observer = server.connect();
    observer.expect("AUTH secret", "OK");
    for _ in 0..5 {
        let mut clients: Vec<Client> = (0..20).map(|_| server.connect()).collect();
        clients.iter_mut().for_each(|client| client.send("AUTH wrong\r\n"));
        // The refusal takes a while; most of them wait for it still.
        wait_for("one to be waiting", || observer.info("blocked_clients") > 0);
        clients.into_iter().for_each(Client::reset);
        waits_for(&mut observer, 0);
        wait_for("the lost clients to be closed", || observer.info("connected_clients") == 1);
        assert_eq!(observer.info("blocked_clients"), 0);
    }
    // Who stays is answered.
    let mut client = server.connect();
    client.send("AUTH wrong\r\n");
    assert!(client.line().starts_with("(error) "));
    waits_for(&mut observer, 0);
}

#[test]
fn who_goes_during_a_pause_waits_no_more() {
    let _machine = together();
    let server = Server::start(&[]);
    let mut observer = server.connect();
    observer.expect("CLIENT PAUSE 2000 WRITE", "OK");
    let mut clients: Vec<Client> = (0..20).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(|client| client.send("SET k v\r\n"));
    waits_for(&mut observer, 20);
    clients.into_iter().for_each(Client::reset);
    waits_for(&mut observer, 0);
    // The pause ends with nobody in it, and what was asked for by who is gone is not done.
    observer.expect("SET other v", "OK");
    assert_eq!((observer.info("blocked_clients"), observer.info("connected_clients")), (0, 1));
    observer.expect("EXISTS k", "0");
    // An orderly end is no reset: its requests are executed when the pause is over.
    observer.expect("CLIENT PAUSE 300 WRITE", "OK");
    let mut client = server.connect();
    client.send("SET k v\r\n");
    client.half_close();
    let mut answer = Vec::new();
    client.stream.read_to_end(&mut answer).expect("the answer");
    assert_eq!(answer, b"OK\r\n");
    waits_for(&mut observer, 0);
    observer.expect("GET k", "v");
}

/// Requests of all kinds, one behind the other, and how many bytes their replies have.
fn conversation() -> Vec<u8> {
    let long = "v".repeat(40_000);
    let mut bytes = b"PING\r\nSET a 1\r\nMULTI\r\nINC a\r\nEXEC\r\nGET a\r\n".to_vec();
    bytes.extend(format!("*3\r\n$3\r\nSET\r\n$4\r\nlong\r\n${}\r\n{long}\r\n", long.len()).into_bytes());
    bytes.extend(b"*2\r\n$6\r\nSTRLEN\r\n$4\r\nlong\r\nKEYS a\r\nECHO end\r\n");
    bytes
}

/// The places where a conversation is cut: every one but those amid the long value, of which some.
fn cuts(bytes: &[u8]) -> Vec<usize> {
    (0..=bytes.len()).filter(|&place| place % 5000 == 0 || bytes[..place].last() != Some(&b'v')).collect()
}

#[test]
fn a_conversation_may_end_at_every_point() {
    let _machine = together();
    let server = Server::start(&[]);
    let mut bystander = server.connect();
    bystander.barrier();
    let before = server.descriptors();
    let bytes = conversation();
    let whole = server.exchange(&bytes);
    assert!(whole.ends_with(b"end\r\n"), "{}", show(&whole));
    let (mut answered, mut resets) = (0, 0);
    for cut in cuts(&bytes) {
        // By a half close: what was asked for by then is answered, and no more.
        bystander.expect("FLUSH", "OK");
        let got = server.exchange(&bytes[..cut]);
        let is_part = whole.starts_with(&got) && got.len() >= answered;
        assert!(is_part, "cut at {cut}: {} of {}", show(&got), show(&whole));
        answered = got.len();
        // By a reset, at once and once the server has looked at it.
        for looks in [false, true] {
            let mut client = server.connect();
            client.send(&bytes[..cut]);
            if looks {
                bystander.barrier();
            }
            client.reset();
            resets += 1;
        }
        bystander.expect("PING", "PONG");
    }
    assert_eq!(answered, whole.len());
    wait_for("all connections to be closed", || server.descriptors() == before);
    println!("{resets} resets");
    assert!(resets > 200);
}

#[test]
fn signals_of_terminals_and_pipes_end_nothing() {
    let _machine = together();
    let mut server = Server::start(&[]);
    let mut client = server.connect();
    for signal in [Signal::SIGHUP, Signal::SIGPIPE] {
        server.signal(signal);
        client.barrier();
    }
    assert!(server.is_running());
}

/// Two hundred thousand connections a minute take less than half of a processor, and leave nothing behind.
#[test]
fn many_connections_leave_nothing_behind() {
    const COUNT: usize = 20_000;
    // A tenth of a minute's worth of them.
    const CPU_MS_MAX: f64 = 3000.0;
    const ROUNDS: usize = 5;
    let _machine = alone();
    let server = Server::start(&[]);
    let mut observer = server.connect();
    let connect_some = |count: usize| {
        for _ in 0..count {
            let mut client = server.connect();
            client.send("PING\r\n");
            assert_eq!(client.line(), "PONG");
            // So that no port of this box waits for a minute.
            client.reset();
        }
    };
    connect_some(1000);
    wait_for("the first ones to be closed", || observer.info("connected_clients") == 1);
    let (descriptors, resident_kb) = (server.descriptors(), server.resident_kb());
    // What a virtual machine takes from its guests counts as theirs: a round in which it took nothing is enough.
    let (mut rounds, mut spent_ms) = (0, f64::INFINITY);
    while spent_ms >= CPU_MS_MAX && rounds < ROUNDS {
        let (start, cpu_ms) = (Instant::now(), server.cpu_ms());
        connect_some(COUNT);
        let elapsed = start.elapsed();
        wait_for("all to be closed", || observer.info("connected_clients") == 1);
        spent_ms = server.cpu_ms() - cpu_ms;
        rounds += 1;
        println!("{COUNT} connections in {elapsed:?}: {spent_ms:.0} ms of processor time");
    }
    let grown_kb = server.resident_kb() - resident_kb;
    assert_eq!(server.descriptors(), descriptors);
    assert!(grown_kb < 256, "grown by {grown_kb} kB");
    assert!(spent_ms < CPU_MS_MAX, "{spent_ms} ms of processor time");
    assert_eq!(observer.info("total_connections_received"), (1 + 1000 + rounds * COUNT) as u64);
}
