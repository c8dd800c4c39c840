//! A slow node, or a client that does not read, holds up only who waits for it, and costs bounded memory.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::support::cluster::Cluster;
use super::support::{Client, StopAtEnd, alone, holds_within, show, wait_for};
use super::{not_linked, unknown};

/// How long a client may wait for its answer while another one waits for a node that stands still.
const BYSTANDER: Duration = Duration::from_millis(50);

/// Asks for the keys until stopped, each request answered before the next; gives the longest wait and how many there were.
fn ask_until(client: &mut Client, keys: &[&str], stop: &AtomicBool) -> (Duration, usize) {
    let (mut worst, mut count) = (Duration::ZERO, 0);
    while !stop.load(Ordering::Relaxed) {
        for key in keys {
            let start = Instant::now();
            client.send(format!("SET {key} {count}\r\nGET {key}\r\n"));
            assert_eq!((client.line().as_str(), client.line()), ("OK", count.to_string()));
            worst = worst.max(start.elapsed());
            count += 1;
        }
        thread::sleep(Duration::from_millis(1));
    }
    (worst, count)
}

#[test]
fn a_node_that_pauses_holds_up_only_who_waits_for_it() {
    const COUNT: usize = 20_000;
    let _machine = alone();
    let cluster = Cluster::start(3);
    let (own, paused, well) = (cluster.key_of(0, 0), cluster.key_of(1, 0), cluster.key_of(2, 0));
    let (mut client, mut bystander, mut other) = (cluster.connect(0), cluster.connect(0), cluster.connect(2));
    client.expect(&format!("SET {paused} 0"), "OK");
    let links = cluster.links_broken();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let stop = &stop;
        let _stop = StopAtEnd(stop);
        cluster.node(1).stop();
        let start = Instant::now();
        let mut writer = client.share();
        let requests = format!("INC {paused}\r\nINC {own}\r\n").repeat(COUNT);
        scope.spawn(move || writer.send(&requests));
        let (near, far) = (format!("{{{own}}}near"), format!("{{{own}}}far"));
        let bystanders = scope.spawn(move || ask_until(&mut bystander, &[&near, &well], stop));
        let others = scope.spawn(move || ask_until(&mut other, &[&far], stop));
        // Below the time after which it is given up.
        thread::sleep(Duration::from_secs(1).saturating_sub(start.elapsed()));
        stop.store(true, Ordering::Relaxed);
        let (worst, count) = bystanders.join().expect("the bystander");
        let (worst_other, _) = others.join().expect("the bystander of another node");
        println!("{count} requests beside the paused node, {worst:?} at most; through another node {worst_other:?}");
        cluster.node(1).signal(Signal::SIGCONT);
        for number in 1..=COUNT {
            let got = (client.line(), client.line());
            assert_eq!(got, (number.to_string(), number.to_string()));
        }
        assert!(worst < BYSTANDER && worst_other < BYSTANDER, "bystanders waited {worst:?} and {worst_other:?}");
    });
    assert_eq!(cluster.links_broken(), links, "a link broke in a pause of a second");
}

#[test]
fn a_client_that_does_not_read_forwarded_replies_costs_its_limit() {
    const COUNT: usize = 20_000;
    const GROWTH_KB_MAX: i64 = 24 * 1024;
    let _machine = alone();
    let cluster = Cluster::start(3);
    for bytes in [1_000, 50_000, 1_000_000] {
        let count = (COUNT * 20_000 / bytes).min(200_000);
        let (value, key) = ("v".repeat(bytes), cluster.key_of(1, bytes));
        let small = cluster.key_of(1, 1);
        let (mut setter, mut bystander) = (cluster.connect(1), cluster.connect(0));
        // A line has at most a mebibyte.
        setter.expect(&format!("SET {key} {value}"), "OK");
        bystander.expect(&format!("GET {key}"), &value);
        let before_kb = [0, 1].map(|node| cluster.node(node).resident_kb());
        let mut client = cluster.connect(0);
        let mut writer = client.share();
        let (stop, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
        let most_kb = [0, 1].map(|_| AtomicI64::new(0));
        thread::scope(|scope| {
            let (stop, sent, most_kb) = (&stop, &sent, &most_kb);
            let _stop = StopAtEnd(stop);
            let requests = format!("GET {key}\r\n").repeat(count);
            scope.spawn(move || {
                for piece in requests.as_bytes().chunks(4096) {
                    writer.send(piece);
                    sent.fetch_add(piece.len(), Ordering::Relaxed);
                }
            });
            let bystanders = scope.spawn(move || ask_until(&mut bystander, &[&small], stop));
            // Stalled: for a while nothing more was taken from the client, and neither node grew.
            let mut last = ((0, [0; 2]), Instant::now());
            wait_for("the node to stop reading", || {
                let now_kb = [0, 1].map(|node| cluster.node(node).resident_kb());
                for node in 0..2 {
                    most_kb[node].fetch_max(now_kb[node], Ordering::Relaxed);
                }
                let now = (sent.load(Ordering::Relaxed), now_kb);
                if now != last.0 {
                    last = (now, Instant::now());
                }
                last.1.elapsed() > Duration::from_millis(300)
            });
            let grown_kb = [0, 1].map(|node| most_kb[node].load(Ordering::Relaxed) - before_kb[node]);
            let wanted = [value.as_bytes(), b"\r\n"].concat();
            for number in 0..count {
                let got = client.exactly(wanted.len());
                assert!(got == wanted, "reply {number}: {}", show(&got));
            }
            client.expect("ECHO the end", "the end");
            stop.store(true, Ordering::Relaxed);
            let (worst, asked) = bystanders.join().expect("the bystander");
            println!(
                "{count} times {bytes} bytes: grown {grown_kb:?} kB; {asked} requests beside it, {worst:?} at most"
            );
            assert!(grown_kb.iter().all(|&kb| kb <= GROWTH_KB_MAX), "the nodes grew by {grown_kb:?} kB");
            assert!(worst < Duration::from_millis(150), "a bystander waited {worst:?}");
        });
    }
}

#[test]
fn a_pipeline_for_a_node_that_stands_still_costs_its_limit() {
    const COUNT: usize = 1_000_000;
    const GROWTH_KB_MAX: i64 = 30 * 1024;
    let _machine = alone();
    let cluster = Cluster::start(3);
    let (own, stopped) = (cluster.key_of(0, 0), cluster.key_of(1, 0));
    let (mut client, mut bystander) = (cluster.connect(0), cluster.connect(0));
    bystander.barrier();
    let before_kb = cluster.node(0).resident_kb();
    let requests = format!("SET {stopped} {}\r\n", "v".repeat(100)).repeat(COUNT);
    cluster.node(1).stop();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let stop = &stop;
        let _stop = StopAtEnd(stop);
        let bystanders = scope.spawn(move || ask_until(&mut bystander, &[&own], stop));
        let mut writer = client.share();
        scope.spawn(move || writer.send(requests));
        let (unknown, down) = (unknown(&cluster, 1), not_linked(&cluster, 1));
        let (mut most_kb, mut lost, mut refused) = (0, 0, 0);
        for number in 0..COUNT {
            let line = client.line();
            if line == unknown {
                lost += 1;
            } else if line == down {
                refused += 1;
            } else {
                panic!("reply {number}: {line}");
            }
            if number % 1000 == 0 {
                most_kb = most_kb.max(cluster.node(0).resident_kb());
            }
        }
        most_kb = most_kb.max(cluster.node(0).peak_kb().min(cluster.node(0).resident_kb()));
        stop.store(true, Ordering::Relaxed);
        let (worst, _) = bystanders.join().expect("the bystander");
        let grown_kb = most_kb - before_kb;
        println!("{lost} unknown, {refused} refused: grown {grown_kb} kB; a bystander waited {worst:?} at most");
        assert!(lost > 0 && grown_kb <= GROWTH_KB_MAX, "{lost} unknown, grown by {grown_kb} kB");
        assert!(worst < Duration::from_millis(100), "a bystander waited {worst:?}");
    });
    assert!(cluster.connect(0).info("cluster_waits") > 0);
    cluster.node(1).signal(Signal::SIGCONT);
    cluster.wait_until_served(0, 1);
    // What it had received before may have been executed, and nothing else.
    let answer = client.ask(&format!("GET {stopped}"));
    assert!(answer == "(null)" || answer == "v".repeat(100), "{answer}");
}

/// Two clients flood two nodes with requests for each other: neither may end in waiting for the other for ever.
#[test]
fn two_nodes_that_flood_each_other_go_on() {
    const COUNT: usize = 200;
    let _machine = alone();
    let cluster = Cluster::start(2);
    let value = "v".repeat(500_000);
    thread::scope(|scope| {
        let ends: Vec<_> = (0..4)
            .map(|number| {
                let (cluster, value) = (&cluster, &value);
                scope.spawn(move || {
                    let mut client = cluster.connect(number % 2);
                    let key = cluster.key_of(1 - number % 2, number);
                    let requests = format!("SET {key} {value}\r\nGET {key}\r\n").repeat(COUNT);
                    let wanted = format!("OK\r\n{value}\r\n");
                    let mut writer = client.share();
                    scope.spawn(move || writer.send(requests));
                    for round in 0..COUNT {
                        let got = client.exactly(wanted.len());
                        assert!(got == wanted.as_bytes(), "round {round}: {}", show(&got));
                    }
                })
            })
            .collect();
        assert!(holds_within(Duration::from_secs(60), || ends.iter().all(|end| end.is_finished())));
    });
}

/// What is put together of several nodes' long values is a copy, of which a client that does not read may not have many.
#[test]
fn unread_answers_of_several_nodes_cost_their_limit() {
    const VALUES: usize = 15;
    const COUNT: usize = 60;
    // Of one answer two thirds come from other nodes.
    const GROWTH_KB_MAX: i64 = 100 * 1024;
    let _machine = alone();
    let cluster = Cluster::start(3);
    let value = "v".repeat(1_000_000);
    let keys: Vec<String> = (0..VALUES).map(|number| cluster.key_of(number % 3, number)).collect();
    let (mut setter, mut bystander) = (cluster.connect(1), cluster.connect(0));
    for key in &keys {
        setter.expect(&format!("SET {key} {value}"), "OK");
    }
    bystander.barrier();
    let before_kb = [0, 1, 2].map(|node| cluster.node(node).resident_kb());
    let mut client = cluster.connect(0);
    client.send(format!("MGET {}\r\n", keys.join(" ")).repeat(COUNT));
    let (mut most_kb, mut last) = ([0; 3], Instant::now());
    wait_for("the nodes to stop growing", || {
        for (node, most_kb) in most_kb.iter_mut().enumerate() {
            let now_kb = cluster.node(node).resident_kb();
            if now_kb > *most_kb {
                (*most_kb, last) = (now_kb, Instant::now());
            }
        }
        last.elapsed() > Duration::from_millis(500)
    });
    let grown_kb = [0, 1, 2].map(|node| most_kb[node] - before_kb[node]);
    bystander.barrier();
    let wanted = format!("{}\r\n", vec![value; VALUES].join("\n"));
    for number in 0..COUNT {
        let got = client.exactly(wanted.len());
        assert!(got == wanted.as_bytes(), "reply {number}: {}", show(&got));
    }
    println!("{COUNT} unread answers of {VALUES} MB: grown {grown_kb:?} kB");
    assert!(grown_kb.iter().all(|&kb| kb <= GROWTH_KB_MAX), "the nodes grew by {grown_kb:?} kB");
}
