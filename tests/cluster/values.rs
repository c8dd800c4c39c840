//! Long values through every node, beside small requests.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::support::cluster::{Cluster, array};
use super::support::{Client, StopAtEnd, alone, beside, limit_memory, need, show, together};
use super::{Random, seed};

/// SET as an array, whose value may be longer than a line.
fn set(key: &str, value: &[u8]) -> Vec<u8> {
    let head = format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${}\r\n", key.len(), value.len());
    [head.as_bytes(), value, b"\r\n"].concat()
}

#[track_caller]
fn expect_ok(client: &mut Client, request: &[u8]) {
    let got = client.converse(request, b"+OK\r\n".len());
    assert!(got == b"+OK\r\n", "{}", show(&got));
}

/// Asks for the key, and compares without keeping all of it.
#[track_caller]
fn expect_value(client: &mut Client, key: &str, value: &[u8]) {
    client.send(array(&["GET", key]));
    let head = client.line();
    assert_eq!(head, format!("${}", value.len()));
    for piece in value.chunks(1 << 20) {
        assert!(client.exactly(piece.len()) == piece, "a piece differs");
    }
    assert_eq!(client.exactly(2), b"\r\n");
}

/// Sets and gets a value of each node through each node, while others ask for small ones through the same nodes.
fn through_every_node(bytes: usize, pairs: &[(usize, usize)], longest: Duration) {
    let cluster = Cluster::start(3);
    let mut random = Random(seed());
    let mut value = random.bytes(bytes);
    let links = cluster.links_broken();
    let mut clients = cluster.connect_all();
    let small: Vec<String> = (0..3).map(|node| cluster.key_of(node, 1)).collect();
    small.iter().for_each(|key| clients[0].expect(&format!("SET {key} small"), "OK"));
    let (mut pinging, mut asking) = (cluster.connect(0), cluster.connect(1));
    let stop = AtomicBool::new(false);
    let ((), worst) = beside(&mut pinging, || {
        thread::scope(|scope| {
            let (stop, small) = (&stop, &small);
            let asked = scope.spawn(move || {
                let mut worst = Duration::ZERO;
                while !stop.load(Ordering::Relaxed) {
                    for key in small {
                        let start = Instant::now();
                        asking.send(format!("GET {key}\r\n"));
                        assert_eq!(asking.line(), "small");
                        worst = worst.max(start.elapsed());
                    }
                    thread::sleep(Duration::from_millis(1));
                }
                worst
            });
            {
                let _stop = StopAtEnd(stop);
                for &(owner, setter) in pairs {
                    // No two are alike.
                    value[..8].copy_from_slice(&random.bits().to_le_bytes());
                    let key = cluster.key_of(owner, 2);
                    let start = Instant::now();
                    expect_ok(&mut clients[setter], &set(&key, &value));
                    let set = start.elapsed();
                    for (reader, client) in clients.iter_mut().enumerate() {
                        if bytes < 100_000_000 || reader != setter {
                            expect_value(client, &key, &value);
                        }
                    }
                    println!(
                        "{bytes} bytes of node {owner} through {setter}: set in {set:?}, all in {:?}",
                        start.elapsed()
                    );
                    clients[setter].expect(&format!("DEL {key}"), "OK");
                }
            }
            let worst = asked.join().expect("the client of small values");
            let turns: Vec<u64> = clients.iter_mut().map(|client| client.info("turn_worst_us")).collect();
            println!("the longest turns took {turns:?} us");
            println!("small forwarded values took {worst:?} at most");
            assert!(worst < longest, "a small forwarded value took {worst:?}");
        });
    });
    println!("pings took {worst:?} at most");
    assert!(worst < longest, "a ping took {worst:?}");
    assert_eq!(cluster.links_broken(), links, "a link broke");
}

#[test]
fn three_megabytes_through_every_node() {
    let _machine = alone();
    let pairs: Vec<(usize, usize)> = (0..9).map(|number| (number / 3, number % 3)).collect();
    through_every_node(3_000_000, &pairs, Duration::from_millis(150));
}

#[test]
fn three_hundred_megabytes_through_every_node() {
    let _machine = alone();
    through_every_node(300_000_000, &[(0, 1), (2, 2)], Duration::from_millis(600));
}

/// Values around the lengths at which the way between nodes changes.
#[test]
fn values_of_every_length_arrive_whole() {
    let _machine = together();
    let seed = seed();
    let cluster = Cluster::start(3);
    thread::scope(|scope| {
        for asked in 0..3 {
            let cluster = &cluster;
            scope.spawn(move || {
                let mut random = Random(seed.wrapping_add(asked as u64));
                let mut client = cluster.connect(asked);
                let key = cluster.key_of((asked + 1) % 3, asked);
                let near = |edge: usize| edge.saturating_sub(40)..edge + 10;
                let edges = [0, 64, 256, 4096, 16_384, 32_768, 65_536, 131_072, 262_144].into_iter().flat_map(near);
                let more: Vec<usize> = (0..50).map(|_| random.below(400_000)).collect();
                for length in edges.chain(more) {
                    let value = random.bytes(length);
                    expect_ok(&mut client, &set(&key, &value));
                    expect_value(&mut client, &key, &value);
                }
            });
        }
    });
}

/// A long key, long values of several keys in one request, and a long one in a transaction.
#[test]
fn long_words_travel_in_any_place() {
    let _machine = together();
    let cluster = Cluster::start(3);
    let long = "v".repeat(900_000);
    for asked in 0..3 {
        let mut client = cluster.connect(asked);
        client.expect("FLUSH", "OK");
        for node in 0..3 {
            let key = format!("{}{}", cluster.tag_of(node), "k".repeat(300_000));
            client.expect(&format!("SET {key} {asked}"), "OK");
            client.expect(&format!("GET {key}"), &asked.to_string());
            client.expect(&format!("TTL {key}"), "-1");
            client.expect(&format!("DEL {key}"), "OK");
            let tag = cluster.tag_of(node);
            client.expect(&format!("APPEND {tag}a {long}"), "OK");
            client.expect(&format!("APPEND {tag}a {long}"), "OK");
            client.expect(&format!("STRLEN {tag}a"), "1800000");
            client.expect_line("MULTI", "OK");
            client.expect_line(&format!("GETSET {tag}a {long}"), "QUEUED");
            client.expect_line(&format!("SET {tag}b {long}"), "QUEUED");
            client.expect_line(&format!("MGET {tag}a {tag}b"), "QUEUED");
            let answer = client.ask_line("EXEC");
            let wanted = format!("{long}{long}\nOK\n{long}\n{long}");
            assert!(answer == wanted, "{} bytes instead of {}", answer.len(), wanted.len());
        }
        let keys: Vec<String> = (0..3).flat_map(|node| ["a", "b"].map(|name| cluster.tag_of(node) + name)).collect();
        let mut request = format!("*{}\r\n$4\r\nMSET\r\n", 1 + 2 * keys.len()).into_bytes();
        for (number, key) in keys.iter().enumerate() {
            let value = number.to_string().repeat(700_000);
            request.extend(format!("${}\r\n{key}\r\n${}\r\n{value}\r\n", key.len(), value.len()).as_bytes());
        }
        expect_ok(&mut client, &request);
        let answer = client.ask(&format!("MGET {}", keys.join(" ")));
        let wanted: Vec<String> = (0..6).map(|number: usize| number.to_string().repeat(700_000)).collect();
        assert!(answer == wanted.join("\n"), "{} bytes", answer.len());
    }
}

/// What a node may pass on is bounded by what it would hold: an answer of more than a gigabyte is refused before its first
/// byte travels, whichever way it is asked for.
#[test]
fn an_answer_of_more_than_a_gigabyte_is_not_passed_on() {
    const BYTES: usize = 6_000_000;
    const TIMES: usize = 200;
    let _machine = alone();
    let cluster = Cluster::start(2);
    let mut client = cluster.connect(0);
    let key = cluster.key_of(1, 1);
    expect_ok(&mut client, &set(&key, &vec![b'v'; BYTES]));
    let owner = cluster.node(1).id();
    let before_kb = cluster.node(0).peak_kb();
    let megabytes = (BYTES * TIMES) >> 20;
    let is_refused = |answer: &str| {
        assert!(
            answer.starts_with(&format!("-ERR the answer has {megabytes} MB, too much to be passed on")),
            "{answer}"
        );
    };
    // As one of several parts, and as the one answer to a transaction.
    client.send(array(&[&["MGET"], &[&key[..]; TIMES][..]].concat()));
    is_refused(&client.line());
    client.send(array(&["MULTI"]));
    assert_eq!(client.line(), "+OK");
    for _ in 0..TIMES {
        client.send(array(&["GET", &key]));
        assert_eq!(client.line(), "+QUEUED");
    }
    client.send(array(&["EXEC"]));
    is_refused(&client.line());
    let grown_kb = cluster.node(0).peak_kb() - before_kb;
    println!("refused answers of {megabytes} MB cost {grown_kb} kB");
    assert!(grown_kb < 16 * 1024, "grown by {grown_kb} kB");
    // All goes on, and what is less is passed on.
    client.expect(&format!("STRLEN {key}"), &BYTES.to_string());
    expect_value(&mut client, &key, &vec![b'v'; BYTES]);
    assert_eq!(cluster.node(1).id(), owner);
}

/// One node can have no more memory; what it is asked to pass on, or is sent by another, is refused or ends the link, and
/// neither node ends.
#[test]
fn a_node_without_memory_drops_what_it_cannot_take_and_goes_on() {
    let _machine = alone();
    if !need("prlimit") {
        return;
    }
    let mut cluster = Cluster::start(2);
    let (here, there) = (cluster.tag_of(0), cluster.tag_of(1));
    let (mut client, mut other) = (cluster.connect(0), cluster.connect(1));
    for tag in [&here, &there] {
        other.expect(&format!("SET {tag}small value"), "OK");
    }
    client.barrier();
    limit_memory(cluster.node(0), 16 << 20);
    // Pairs of so many bytes together, of words that are short enough to travel as a part of the request.
    let pairs = |tag: &str, bytes: usize| {
        let value = "v".repeat(30_000);
        let mut words = vec!["MSET".to_string()];
        (0..bytes / value.len()).for_each(|number| words.extend([format!("{tag}{number}"), value.clone()]));
        array(&words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    // It can be received, but not copied on its way.
    client.send(pairs(&there, 5_000_000));
    let answer = client.line();
    assert!(answer.starts_with("-OOM the system has no memory left"), "{answer}");
    client.expect(&format!("GET {there}small"), "value");
    // It comes from the other node, which is told nothing but that the link has ended.
    let links = cluster.links_broken();
    other.send(pairs(&here, 40_000_000));
    let answer = other.line();
    assert!(answer.starts_with("-ERR outcome unknown") || answer.starts_with("-OOM"), "{answer}");
    println!("40 MB sent to a node of 16: {answer}; links broken: {}", cluster.links_broken() - links);
    cluster.wait_until_served(1, 0);
    for tag in [&here, &there] {
        for asked in [&mut client, &mut other] {
            asked.expect(&format!("GET {tag}small"), "value");
        }
    }
    assert!(cluster.node_mut(0).is_running() && cluster.node_mut(1).is_running());
}
