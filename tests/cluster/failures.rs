//! Nodes that are killed, stand still, and come back.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::support::cluster::{Cluster, within};
use super::support::{Client, StopAtEnd, alone, holds_within, together, wait_for};
use super::{Random, not_linked, seed, silent, unknown};

/// Within this time a killed node's keys answer an error, since the kernel reports the close.
const CLOSE_SEEN: Duration = Duration::from_millis(100);

/// Within this time a node that hangs is given up, or one that is there again is served.
const HANG_SEEN: Duration = Duration::from_secs(2);

/// Asks until stopped for keys whose nodes are well: each answer is right, and none takes long. Gives the longest wait.
fn goes_on(client: &mut Client, keys: &[String], stop: &AtomicBool) -> Duration {
    let (mut worst, mut count) = (Duration::ZERO, 0);
    // Once at least, however soon the others are done.
    while count == 0 || !stop.load(Ordering::Relaxed) {
        for key in keys {
            let start = Instant::now();
            client.expect(&format!("SET {key} {count}"), "OK");
            client.expect(&format!("GET {key}"), &count.to_string());
            worst = worst.max(start.elapsed());
            count += 1;
        }
        thread::sleep(Duration::from_micros(500));
    }
    worst
}

/// Does something while clients of these nodes work on keys of these nodes; gives the longest that one of them waited.
fn beside_others(cluster: &Cluster, nodes: &[usize], work: impl FnOnce()) -> Duration {
    let stop = AtomicBool::new(false);
    let mut clients: Vec<(Client, Vec<String>)> = nodes
        .iter()
        .map(|&asked| {
            let keys = nodes.iter().map(|&owner| cluster.key_of(owner, 1000 + asked)).collect();
            (cluster.connect(asked), keys)
        })
        .collect();
    thread::scope(|scope| {
        let stop = &stop;
        let going: Vec<_> =
            clients.iter_mut().map(|(client, keys)| scope.spawn(move || goes_on(client, keys, stop))).collect();
        {
            let _stop = StopAtEnd(stop);
            work();
        }
        going.into_iter().map(|client| client.join().expect("the others' keys")).max().expect("a client")
    })
}

#[test]
fn a_killed_node_is_missed_at_once_and_served_again_soon() {
    let _machine = alone();
    let mut cluster = Cluster::start(3);
    let key = cluster.key_of(2, 0);
    let mut clients = [cluster.connect(0), cluster.connect(1)];
    for round in 0..3 {
        for client in &mut clients {
            client.expect(&format!("SET {key} {round}"), "OK");
        }
        // Shared, since the work below changes the cluster.
        let address = cluster.address(2);
        let (down, request) = (not_linked(&cluster, 2), format!("GET {key}"));
        let id = nix::unistd::Pid::from_raw(i32::try_from(cluster.node(2).id()).expect("a process id"));
        let mut missed = Duration::ZERO;
        let worst = beside_others(&cluster, &[0, 1], || {
            nix::sys::signal::kill(id, Signal::SIGKILL).expect("to kill our own child");
            let start = Instant::now();
            for client in &mut clients {
                let answered = holds_within(CLOSE_SEEN, || client.ask(&request) == down);
                assert!(answered, "{} after {:?}", client.ask(&request), start.elapsed());
            }
            missed = start.elapsed();
            // And so it stays, whoever asks.
            for client in &mut clients {
                let start = Instant::now();
                client.expect(&request, &down);
                assert!(start.elapsed() < CLOSE_SEEN, "an error took {:?}", start.elapsed());
            }
        });
        println!("killed {address}: missed after {missed:?}; the others' keys took {worst:?} at most");
        assert!(missed < CLOSE_SEEN, "missed after {missed:?}");
        assert!(worst < Duration::from_millis(100), "the others' keys took {worst:?}");
        cluster.kill(2);
        cluster.launch(2);
        let start = Instant::now();
        for client in &mut clients {
            within(HANG_SEEN, "the node to be served again", || client.ask(&request) == "(null)");
        }
        println!("served again {:?} after it listened", start.elapsed());
        let (other, own) = (cluster.key_of(0, 0), cluster.key_of(2, 0));
        cluster.connect(2).expect(&format!("MSET {other} a {own} b"), "OK");
    }
}

#[test]
fn a_node_that_hangs_is_given_up_and_found_again() {
    let _machine = alone();
    let cluster = Cluster::start(3);
    let key = cluster.key_of(1, 0);
    let mut clients = [cluster.connect(0), cluster.connect(2)];
    clients[0].expect(&format!("SET {key} v"), "OK");
    cluster.node(1).stop();
    let start = Instant::now();
    clients[0].send(format!("GET {key}\r\n"));
    clients[1].send(format!("APPEND {key} w\r\n"));
    let worst = beside_others(&cluster, &[0, 2], || {
        assert_eq!(clients[0].line(), silent(&cluster, 1));
        assert_eq!(clients[1].line(), unknown(&cluster, 1));
        let took = start.elapsed();
        println!("given up after {took:?}");
        assert!(took < HANG_SEEN, "given up after {took:?}");
        for client in &mut clients {
            let start = Instant::now();
            client.expect(&format!("GET {key}"), &not_linked(&cluster, 1));
            assert!(start.elapsed() < CLOSE_SEEN, "an error took {:?}", start.elapsed());
        }
        // Dialling it again succeeds, since the kernel accepts for it; it must not count as linked.
        thread::sleep(Duration::from_millis(1500));
        for client in &mut clients {
            let start = Instant::now();
            client.expect(&format!("GET {key}"), &not_linked(&cluster, 1));
            assert!(start.elapsed() < CLOSE_SEEN, "an error took {:?}", start.elapsed());
        }
        cluster.node(1).signal(Signal::SIGCONT);
        let start = Instant::now();
        for client in &mut clients {
            // The write may have been executed, once.
            within(HANG_SEEN, "the node to be served again", || {
                ["v", "vw"].contains(&client.ask(&format!("GET {key}")).as_str())
            });
        }
        println!("served again {:?} after it went on", start.elapsed());
    });
    println!("the others' keys took {worst:?} at most");
    assert!(worst < Duration::from_millis(100), "the others' keys took {worst:?}");
    // It lost its links as well, and has them again.
    let mut client = cluster.connect(1);
    let other = cluster.key_of(2, 0);
    within(HANG_SEEN, "the node to see the others", || client.ask(&format!("SET {other} v")) == "OK");
}

#[test]
fn what_was_in_flight_is_answered_in_order() {
    let _machine = together();
    let mut cluster = Cluster::start(3);
    let mut client = cluster.connect(0);
    let (own, dead, well) = (cluster.key_of(0, 0), cluster.key_of(1, 0), cluster.key_of(2, 0));
    cluster.node(1).stop();
    let requests = format!(
        "SET {own} 1\r\nGET {dead}\r\nINC {own}\r\nINC {dead}\r\nSET {well} 5\r\nEXISTS {own} {dead} {well}\r\n\
         MGET {dead} {own}\r\nMSET {well} 6 {dead} 6\r\nGET {well}\r\nMULTI\r\nINC {dead}\r\nEXEC\r\nECHO last\r\n"
    );
    client.send(&requests);
    // A barrier on the connections: what was sent before has been read, and is on its way.
    let mut other = cluster.connect(0);
    other.barrier();
    within(Duration::from_secs(1), "the split write to reach the third node", || {
        other.ask(&format!("GET {well}")) == "6"
    });
    cluster.kill(1);
    let start = Instant::now();
    let (unknown, silent) = (unknown(&cluster, 1), silent(&cluster, 1));
    // Of what was split, the other parts are told of.
    let in_part = format!("{unknown}; the keys of other nodes were dealt with");
    let wanted =
        ["OK", &silent, "2", &unknown, "OK", &silent, &silent, &in_part, "6", "OK", "QUEUED", &unknown, "last"];
    for (number, wanted) in wanted.iter().enumerate() {
        assert_eq!(&client.line(), wanted, "reply {number}");
    }
    let took = start.elapsed();
    assert!(took < Duration::from_secs(1), "answered after {took:?}");
    client.expect(&format!("GET {dead}"), &not_linked(&cluster, 1));
}

/// Links break again and again under counting clients: what is counted is at least what was answered, and at most what
/// was answered and what is unknown. Nothing is counted twice.
#[test]
fn a_write_whose_link_breaks_happens_once_or_never() {
    const CLIENTS: usize = 4;
    const AT_ONCE: usize = 20;
    let _machine = together();
    let mut random = Random(seed());
    let cluster = Cluster::start(3);
    let keys: Vec<String> = (0..CLIENTS).map(|number| cluster.key_of(1, number)).collect();
    let stop = AtomicBool::new(false);
    let rounds = AtomicUsize::new(0);
    let counts: Vec<(u64, u64)> = thread::scope(|scope| {
        let counting: Vec<_> = keys
            .iter()
            .enumerate()
            .map(|(number, key)| {
                let mut client = cluster.connect(if number % 2 == 0 { 0 } else { 2 });
                let (stop, rounds, unknown, down) = (&stop, &rounds, unknown(&cluster, 1), not_linked(&cluster, 1));
                scope.spawn(move || {
                    let (mut done, mut lost, mut last) = (0, 0, 0);
                    while !stop.load(Ordering::Relaxed) {
                        client.send(format!("INC {key}\r\n").repeat(AT_ONCE));
                        for _ in 0..AT_ONCE {
                            let answer = client.line();
                            if let Ok(value) = answer.parse::<u64>() {
                                // A count is seen once, and only grows.
                                assert!(value > last, "{value} after {last}");
                                assert!(value <= done + lost + 1, "{value} of {done} and {lost}");
                                (done, last) = (done + 1, value);
                            } else if answer == unknown {
                                lost += 1;
                            } else {
                                assert_eq!(answer, down);
                            }
                        }
                        rounds.fetch_add(1, Ordering::Relaxed);
                    }
                    (done, lost)
                })
            })
            .collect();
        let breaking = scope.spawn(|| {
            for _ in 0..3 {
                let before = rounds.load(Ordering::Relaxed);
                wait_for("some counting", || rounds.load(Ordering::Relaxed) > before + 50);
                thread::sleep(Duration::from_millis(random.below(30) as u64));
                cluster.node(1).stop();
                // Longer than anybody is waited for.
                thread::sleep(Duration::from_millis(1800));
                cluster.node(1).signal(Signal::SIGCONT);
                cluster.wait_until_served(0, 1);
                cluster.wait_until_served(2, 1);
            }
        });
        let outcome = breaking.join();
        stop.store(true, Ordering::Relaxed);
        outcome.expect("to break links");
        counting.into_iter().map(|client| client.join().expect("a counting client")).collect()
    });
    let mut client = cluster.connect(1);
    for (key, (done, lost)) in keys.iter().zip(counts) {
        let value: u64 = client.ask(&format!("GET {key}")).parse().expect("a count");
        println!("{done} answered, {lost} unknown, {value} counted");
        assert!((done..=done + lost).contains(&value), "{done} answered, {lost} unknown, {value} counted");
        assert!(lost > 0, "no link broke with a request in flight");
    }
}

#[test]
fn all_may_be_killed_and_come_back_one_by_one() {
    let _machine = together();
    let mut cluster = Cluster::start(3);
    for node in [0, 1, 2, 1, 0, 2] {
        cluster.kill(node);
        cluster.launch(node);
        for other in 0..3 {
            within(HANG_SEEN, "the nodes to answer for each other", || {
                let mut client = cluster.connect(other);
                (0..3).all(|owner| client.ask(&format!("SET {} v", cluster.key_of(owner, 0))) == "OK")
            });
        }
    }
    for node in 0..3 {
        cluster.connect(node).expect("DBSIZE", "3");
    }
}
