//! The whole server on a thread of its own, its system calls failing, falling short and coming late by a seed, with
//! clients whose calls are sound: every reply must come, once, in order.

use super::*;
use crate::cluster::{Map, Member};
use crate::sys::fault;
use crate::testkit::{Random, seeds};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// A server that suffers by `seed`; gives its port and the thread to join after SHUTDOWN.
fn start(seed: u64) -> (u16, thread::JoinHandle<io::Result<()>>) {
    let (send, receive) = mpsc::channel();
    let server = thread::spawn(move || {
        let mut server = Server::new(&Config { port: 0, ..Config::default() })?;
        send.send(server.engine.state.node.tcp_port).expect("the test waits for it");
        fault::begin(seed);
        server.run()
    });
    (receive.recv().expect("the server starts"), server)
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// A conversation on keys that begin with `name`: what is sent, and what must come back.
fn conversation(random: &mut Random, name: &str) -> (Vec<u8>, Vec<u8>) {
    let (mut sent, mut wanted) = (Vec::new(), Vec::new());
    let mut say = |request: &str, reply: &str| {
        sent.extend_from_slice(request.as_bytes());
        sent.extend_from_slice(if request.len().is_multiple_of(2) { b"\r\n" } else { b"\n" });
        wanted.extend_from_slice(reply.as_bytes());
    };
    let (mut value, mut count) = (None::<String>, 0);
    for _ in 0..60 {
        match random.below(9) {
            0 => {
                let new = "v".repeat(random.below(6000));
                say(&format!("SET {name}k {new}"), "OK\r\n");
                value = Some(new);
            }
            1 | 2 => say(&format!("GET {name}k"), &format!("{}\r\n", value.as_deref().unwrap_or("(null)"))),
            3 => {
                say(&format!("APPEND {name}k tail"), "OK\r\n");
                value = Some(value.unwrap_or_default() + "tail");
            }
            4 => {
                count += 3;
                say(&format!("INC {name}n 3"), &format!("{count}\r\n"));
            }
            5 => {
                let known = value.is_some();
                say(&format!("DEL {name}k"), if known { "OK\r\n" } else { "(null)\r\n" });
                value = None;
            }
            6 => say("NONSENSE here", "(Unknown command)\r\n"),
            7 => {
                let found = if value.is_some() { format!("{name}k\r\n") } else { "(empty)\r\n".into() };
                say(&format!("KEYS {name}k"), &found);
            }
            _ => say("", ""),
        }
    }
    (sent, wanted)
}

/// Sends in random pieces while another thread reads to the end; gives everything that came.
fn exchange(random: &mut Random, port: u16, sent: &[u8], half_close: bool) -> Vec<u8> {
    let mut stream = connect(port);
    let mut reader = stream.try_clone().unwrap();
    let received = thread::spawn(move || {
        let mut received = Vec::new();
        reader.read_to_end(&mut received).map(|_| received)
    });
    let mut at = 0;
    while at < sent.len() {
        let end = (at + 1 + random.below(3000)).min(sent.len());
        stream.write_all(&sent[at..end]).unwrap();
        at = end;
    }
    if half_close {
        stream.shutdown(Shutdown::Write).unwrap();
    } else {
        stream.write_all(b"QUIT\r\n").unwrap();
    }
    received.join().unwrap().unwrap()
}

#[test]
fn no_reply_is_lost_or_doubled_under_faults() {
    for seed in seeds(20) {
        let (port, server) = start(seed);
        let clients: Vec<_> = (0..3)
            .map(|number| {
                thread::spawn(move || {
                    let mut random = Random::new(seed * 100 + number);
                    let (sent, wanted) = conversation(&mut random, &format!("c{number}-"));
                    let received = exchange(&mut random, port, &sent, number == 0);
                    let agree = received.iter().zip(&wanted).take_while(|(a, b)| a == b).count();
                    let around = |bytes: &[u8]| {
                        let to = bytes.len().min(agree + 60);
                        String::from_utf8_lossy(&bytes[agree.saturating_sub(60)..to]).into_owned()
                    };
                    assert!(
                        received == wanted,
                        "seed {seed}, client {number}, byte {agree}: got {:?}, wanted {:?}",
                        around(&received),
                        around(&wanted)
                    );
                })
            })
            .collect();
        for client in clients {
            client.join().unwrap_or_else(|_| panic!("seed {seed} (MEMENTO_SEED={seed} runs it alone)"));
        }
        let mut random = Random::new(seed);
        exchange(&mut random, port, b"SHUTDOWN\r\n", false);
        server.join().unwrap().unwrap();
    }
}

#[test]
fn a_waiting_client_and_a_parked_answer_leave_nothing_behind() {
    let mut server = Server::new(&Config { port: 0, ..Config::default() }).unwrap();
    let port = server.engine.state.node.tcp_port;
    for number in 0..20_000 {
        server.engine.state.store.upsert(format!("key-{number}").as_bytes(), b"v", crate::store::Expiry::Never, 0);
    }
    let mut walker = connect(port);
    walker.write_all(b"KEYS *\r\n").unwrap();
    for _ in 0..8 {
        server.turn().unwrap();
    }
    assert!(server.walk_bytes > 0 && server.engine.state.node.waiting == 1);
    // A reset in the middle of the walk: what it holds goes with the client.
    let socket = reset_on_close(walker);
    drop(socket);
    while server.engine.state.node.clients > 0 {
        server.turn().unwrap();
    }
    assert_eq!((server.walk_bytes, server.engine.state.node.waiting), (0, 0));
}

#[test]
fn what_goes_on_is_told_of_less_and_less_often() {
    let mut noise = super::Noise::fading();
    let told: Vec<u64> = (0..200).filter(|second| noise.begins(second * 1000)).collect();
    assert_eq!(told, [0, 1, 3, 7, 15, 31, 63, 123, 183]);
    assert_eq!(noise.left_out, 191);
    // After a while of silence it is news again.
    assert!(noise.begins(400_000) && noise.begins(401_000));

    // What clients make is told of each second, since it may be another client.
    let mut noise = super::Noise::default();
    assert_eq!((0..50).filter(|tenth| noise.begins(tenth * 100)).count(), 5);
}

#[test]
fn no_nodes_trouble_hides_that_of_another() {
    let address = |port| std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let members = [8181, 8182, 8183].map(|port| Member { address: address(port), name: format!("node{port}") });
    let map = Map::new(members.into(), address(8181)).unwrap();
    let mut noises = super::forwards::Noises::new(map.len());
    for node in map.ids().map(Some).chain([None]) {
        assert!(noises.refusals(node).begins(1000) && noises.differences(node).begins(1000), "{node:?}");
        assert!(!noises.refusals(node).begins(1001) && !noises.differences(node).begins(1001), "{node:?}");
    }
    assert!(noises.junk.begins(1001));
}

/// Makes the coming close a reset (socket(7), `SO_LINGER` with no time).
fn reset_on_close(stream: TcpStream) -> TcpStream {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    nix::sys::socket::setsockopt(&stream, nix::sys::socket::sockopt::Linger, &linger).unwrap();
    stream
}
