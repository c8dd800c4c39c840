//! What talks to the bus port and does not belong there.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::support::cluster::{Cluster, FORMED, accepts, within};
use super::support::{alone, beside, receive, together, wait_for};
use super::{Random, not_linked, seed};

/// A stranger on the bus port.
fn stranger(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("to connect to the bus");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a deadline");
    stream.set_write_timeout(Some(Duration::from_secs(10))).expect("a deadline");
    stream
}

/// Sends the bytes, and waits until the node closes. How it closes does not matter.
fn is_closed_for(address: SocketAddr, bytes: &[u8]) -> Duration {
    let start = Instant::now();
    let mut stream = stranger(address);
    let _ = stream.write_all(bytes);
    let mut piece = [0; 4096];
    loop {
        match receive(&mut stream, &mut piece) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => {
                use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
                assert!(matches!(error.kind(), ConnectionReset | BrokenPipe), "not closed after {bytes:?}: {error}");
                break;
            }
        }
    }
    start.elapsed()
}

#[test]
fn junk_on_the_bus_harms_nobody() {
    let _machine = alone();
    let mut random = Random(seed());
    let cluster = Cluster::start(3);
    let bus = SocketAddr::from(([127, 0, 0, 1], cluster.bus_port(0)));
    let (local, remote) = (cluster.key_of(0, 0), cluster.key_of(1, 0));
    let mut client = cluster.connect(0);
    let links = cluster.links_broken();
    let log_before = cluster.node(0).log().len();
    let descriptors = cluster.node(0).descriptors();
    let mut bystander = cluster.connect(0);
    let before_kb = cluster.node(0).resident_kb();
    let http = b"GET / HTTP/1.1\r\nHost: memento\r\nAccept: */*\r\n\r\n".to_vec();
    let redis = b"*1\r\n$4\r\nPING\r\n".to_vec();
    let mut junk = vec![
        http,
        redis,
        b"\xff\xff\xff\xff".to_vec(),
        b"\xff\xff\xff\x7f\x00".to_vec(),
        [&b"\xff\xff\xff\xff\x00"[..], &vec![0; 100_000]].concat(),
        vec![0; 100_000],
        b"\x00\x00\x00\x00\x00".to_vec(),
        b"\x00\x40\x00\x00\x00".to_vec(),
    ];
    junk.extend((0..60).map(|_| {
        let length = 1 + random.below(3000);
        random.bytes(length)
    }));
    let start = Instant::now();
    let ((), worst) = beside(&mut bystander, || {
        for (number, bytes) in junk.iter().enumerate() {
            let took = is_closed_for(bus, bytes);
            // A beginning that is right so far is closed when its time is over.
            assert!(took < Duration::from_secs(5), "junk {number} was closed after {took:?}");
            client.expect(&format!("SET {local} {number}"), "OK");
            client.expect(&format!("SET {remote} {number}"), "OK");
        }
    });
    let elapsed = start.elapsed();
    wait_for("the strangers' descriptors to be closed", || cluster.node(0).descriptors() <= descriptors + 1);
    assert!(worst < Duration::from_millis(100), "a bystander waited {worst:?}");
    let grown_kb = cluster.node(0).resident_kb() - before_kb;
    println!("{} strangers in {elapsed:?}: grown {grown_kb} kB, bystander's worst {worst:?}", junk.len());
    assert!(grown_kb < 4 * 1024, "grown by {grown_kb} kB");
    // Told, but not each time.
    let log = cluster.node(0).log();
    let log = &log[log_before..];
    let (told, most) = (log.lines().count(), usize::try_from(elapsed.as_secs()).expect("few seconds") + 3);
    assert!((1..=most).contains(&told), "{told} lines for {} strangers: {log}", junk.len());
    assert_eq!(cluster.links_broken(), links, "a link broke");
    for node in 0..3 {
        for owner in 0..3 {
            cluster.connect(node).expect(&format!("SET {} v", cluster.key_of(owner, 9)), "OK");
        }
    }
}

/// What a node says first is taken down by one that it dials, and said again by others: whole, cut, spoilt, with more
/// behind it. Where a secret is shared that comes to nothing.
#[test]
fn hellos_that_are_spoilt_or_said_again_harm_nobody() {
    let _machine = together();
    let mut random = Random(seed());
    let mut cluster = Cluster::prepare(3);
    let secret = cluster.path("secret");
    fs::write(&secret, "what the nodes share\n").expect("to write a secret");
    let options = ["--cluster-secret-file", secret.to_str().expect("a plain path")];
    let absent = TcpListener::bind(("127.0.0.1", cluster.bus_port(2))).expect("the port of the absent node");
    for node in 0..2 {
        let server = cluster.start_of(node, &options).start();
        cluster.put(node, server);
    }
    let mut client = cluster.connect(0);
    let request = format!("SET {} v", cluster.key_of(1, 0));
    within(Duration::from_secs(3), "the two to be linked", || client.ask(&request) == "OK");
    let mut hellos: Vec<Vec<u8>> = Vec::new();
    while hellos.len() < 6 {
        let (mut stream, _) = absent.accept().expect("a node that dials");
        stream.set_read_timeout(Some(Duration::from_millis(300))).expect("a deadline");
        let mut piece = [0; 4096];
        let count = receive(&mut stream, &mut piece).unwrap_or(0);
        assert!(count > 0, "who dials says hello first");
        // And is answered by another's hello, or by its own.
        let answer = hellos.last().map_or(&piece[..count], Vec::as_slice);
        let _ = stream.write_all(answer);
        let _ = receive(&mut stream, &mut [0; 4096]);
        hellos.push(piece[..count].to_vec());
    }
    let spoil = |random: &mut Random, hello: &[u8]| {
        let mut bytes = hello.to_vec();
        match random.below(5) {
            0 => {}
            1 => bytes.truncate(random.below(bytes.len())),
            2 => bytes.extend(random.bytes(200)),
            _ => {
                let place = random.below(bytes.len());
                bytes[place] ^= 1 << random.below(8);
            }
        }
        bytes
    };
    thread::scope(|scope| {
        for target in 0..2 {
            let bus = SocketAddr::from(([127, 0, 0, 1], cluster.bus_port(target)));
            for _ in 0..40 {
                let place = random.below(hellos.len());
                let hello = spoil(&mut random, &hellos[place]);
                scope.spawn(move || {
                    let mut stream = stranger(bus);
                    let _ = stream.write_all(&hello);
                    let _ = stream.read_to_end(&mut Vec::new());
                });
            }
        }
        for _ in 0..6 {
            let (mut stream, _) = absent.accept().expect("a node that dials");
            let place = random.below(hellos.len());
            let hello = spoil(&mut random, &hellos[place]);
            scope.spawn(move || {
                stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a deadline");
                let _ = stream.write_all(&hello);
                let _ = stream.read_to_end(&mut Vec::new());
            });
        }
        for number in 0..200 {
            client.expect(&format!("SET {} {number}", cluster.key_of(1, 0)), "OK");
            thread::sleep(Duration::from_millis(5));
        }
    });
    assert_eq!(cluster.links_broken(), 0, "a link broke");
    drop(absent);
    let server = cluster.start_of(2, &options).start();
    cluster.put(2, server);
    cluster.wait_until_formed();
    client.expect(&format!("SET {} v", cluster.key_of(2, 0)), "OK");
}

#[test]
fn half_a_hello_and_silence_are_closed() {
    let _machine = together();
    let cluster = Cluster::start(2);
    let bus = SocketAddr::from(([127, 0, 0, 1], cluster.bus_port(0)));
    let descriptors = cluster.node(0).descriptors();
    for bytes in [&b""[..], b"\x20", b"\x20\x00\x00\x00\x00"] {
        let mut silent = stranger(bus);
        silent.write_all(bytes).expect("to send");
        let start = Instant::now();
        // Its own hello may come first; then the end.
        let mut rest = Vec::new();
        let _ = silent.read_to_end(&mut rest);
        let took = start.elapsed();
        assert!(took < Duration::from_secs(5), "{bytes:?} and silence: closed after {took:?}");
    }
    // One that ended its side is closed as well.
    let mut ended = stranger(bus);
    ended.shutdown(Shutdown::Write).expect("to end the sending side");
    let mut rest = Vec::new();
    let _ = ended.read_to_end(&mut rest);
    wait_for("the strangers' descriptors to be closed", || cluster.node(0).descriptors() <= descriptors);
}

#[test]
fn two_hundred_strangers_at_once_keep_nobody_out() {
    let _machine = alone();
    let mut cluster = Cluster::start(3);
    let bus = SocketAddr::from(([127, 0, 0, 1], cluster.bus_port(0)));
    let descriptors = cluster.node(0).descriptors();
    let mut bystander = cluster.connect(0);
    let strangers: Vec<TcpStream> = (0..200).map(|_| stranger(bus)).collect();
    let remote = cluster.key_of(1, 0);
    let ((), worst) = beside(&mut bystander, || {
        let mut client = cluster.connect(0);
        (0..200).for_each(|number| client.expect(&format!("SET {remote} {number}"), "OK"));
    });
    assert!(worst < Duration::from_millis(100), "a bystander waited {worst:?}");
    // A node that comes back finds its way through them.
    cluster.kill(2);
    cluster.launch(2);
    cluster.node(2).wait_for_log(FORMED);
    within(Duration::from_secs(3), "the node to be served", || {
        cluster.connect(0).ask(&format!("SET {} v", cluster.key_of(2, 0))) == "OK"
    });
    drop(strangers);
    wait_for("the strangers' descriptors to be closed", || cluster.node(0).descriptors() <= descriptors + 1);
}

#[test]
fn a_node_with_another_list_is_refused_and_both_say_why() {
    let _machine = together();
    let mut cluster = Cluster::prepare(3);
    // The third one knows of a fourth.
    let fourth = cluster.bus_port(2) + 7000;
    let lines = format!("{}127.0.0.1 {fourth} n3 0\n", cluster.lines(Some(2)));
    fs::write(cluster.file(2), lines).expect("to write");
    (0..3).for_each(|node| cluster.launch(node));
    let difference = format!("127.0.0.1:{fourth}");
    for node in [0, 1] {
        cluster.node(node).wait_for_log(&difference);
    }
    wait_for("the third log to say how the lists differ", || {
        let log = cluster.node(2).log();
        log.lines().any(|line| line.contains(&difference) && line.contains(&format!(":{}", cluster.bus_port(0))))
    });
    let mut client = cluster.connect(0);
    client.expect(&format!("SET {} v", cluster.key_of(1, 0)), "OK");
    client.expect(&format!("SET {} v", cluster.key_of(2, 0)), &not_linked(&cluster, 2));
    assert!((0..3).all(|node| !cluster.node(node).log().contains(FORMED)));
    // It is said once, and not with each try.
    thread::sleep(Duration::from_secs(2));
    for node in 0..3 {
        let log = cluster.node(node).log();
        let told = log.lines().filter(|line| line.contains(&difference)).count();
        assert!((1..=4).contains(&told), "{told} lines in {log}");
    }
    // When its file is mended it is let in.
    cluster.kill(2);
    fs::write(cluster.file(2), cluster.lines(Some(2))).expect("to write");
    cluster.launch(2);
    cluster.wait_until_formed();
    client.expect(&format!("SET {} v", cluster.key_of(2, 0)), "OK");
}

#[test]
fn a_node_without_the_secret_is_refused() {
    let _machine = together();
    for wrong in [true, false] {
        let mut cluster = Cluster::prepare(3);
        let secret = |name: &str, text: &str| {
            let path = cluster.path(name);
            fs::write(&path, text).expect("to write a secret");
            path.to_str().expect("a plain path").to_string()
        };
        let (right, other) = (secret("right", "what the nodes share\n"), secret("wrong", "what nobody shares\n"));
        for node in 0..2 {
            let server = cluster.start_of(node, &["--cluster-secret-file", &right]).start();
            cluster.put(node, server);
        }
        let options = ["--cluster-secret-file", &other];
        let server = cluster.start_of(2, if wrong { &options } else { &[] }).start();
        cluster.put(2, server);
        let mut client = cluster.connect(0);
        let request = format!("SET {} v", cluster.key_of(1, 0));
        within(Duration::from_secs(3), "the two that share a secret", || client.ask(&request) == "OK");
        for node in 0..3 {
            within(Duration::from_secs(5), "a log that says why", || {
                let log = cluster.node(node).log();
                log.lines().any(|line| line.contains("secret") && line.contains("127.0.0.1:"))
            });
        }
        client.expect(&format!("SET {} v", cluster.key_of(2, 0)), &not_linked(&cluster, 2));
        assert!((0..3).all(|node| {
            let log = cluster.node(node).log();
            !log.contains(FORMED) && !log.contains("what the nodes share")
        }));
        cluster.kill(2);
        let server = cluster.start_of(2, &["--cluster-secret-file", &right]).start();
        cluster.put(2, server);
        cluster.wait_until_formed();
        client.expect(&format!("SET {} v", cluster.key_of(2, 0)), "OK");
    }
}

#[test]
fn without_a_cluster_nothing_listens_for_a_bus() {
    let _machine = together();
    let cluster = Cluster::prepare(1);
    let port = cluster.port(0).to_string();
    let server = super::support::Server::start(&["-p", &port]);
    server.connect().expect("PING", "PONG");
    assert!(!accepts(SocketAddr::from(([127, 0, 0, 1], cluster.bus_port(0)))));
}
