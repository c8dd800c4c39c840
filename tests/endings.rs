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
