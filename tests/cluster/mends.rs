//! What once went wrong: clients that wait longer than they need, and requests that are executed though they must not be.

use std::thread;
use std::time::{Duration, Instant};

use super::support::cluster::{Cluster, array};
use super::support::{alone, together, wait_for};

#[test]
fn a_link_goes_on_as_soon_as_its_answers_are_taken() {
    const CLIENTS: usize = 8;
    const REQUESTS: usize = 256;
    let _machine = alone();
    let cluster = Cluster::start(2);
    let (key, value) = (cluster.key_of(1, 0), "x".repeat(16_000));
    cluster.connect(0).expect(&format!("SET {key} {value}"), "OK");
    let begun = Instant::now();
    let readers: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (mut client, text) = (cluster.connect(0), format!("GET {key}\r\n").repeat(REQUESTS));
            thread::spawn(move || {
                client.send(&text);
                client.exactly(REQUESTS * 16_002);
            })
        })
        .collect();
    readers.into_iter().for_each(|reader| reader.join().expect("all answers"));
    // It took two seconds when each four megabytes waited for the next heartbeat.
    assert!(begun.elapsed() < Duration::from_millis(1200), "{:?}", begun.elapsed());
}

#[test]
fn many_costly_requests_of_one_client_hold_up_no_other_one() {
    let _machine = alone();
    let cluster = Cluster::start(2);
    let (costly, cheap) = (cluster.key_of(1, 0), cluster.key_of(1, 1));
    let mut bystander = cluster.connect(0);
    bystander.expect(&format!("SET {costly} {}", "x".repeat(4000)), "OK");
    bystander.expect(&format!("SET {cheap} value"), "OK");
    // Each asks for 40 MB. All of them were executed before what the bystander asks for: seconds, and more in a slow build.
    let mut words = vec![costly.as_str(); 10_001];
    words[0] = "MGET";
    let mut greedy = cluster.connect(0);
    for _ in 0..20 {
        greedy.send(array(&words));
    }
    let begun = Instant::now();
    bystander.expect(&format!("GET {cheap}"), "value");
    assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
}

#[test]
fn long_looks_of_one_client_hold_up_no_other_one() {
    const LOOKS: usize = 100;
    let _machine = alone();
    let cluster = Cluster::start(2);
    let (long, short) = (cluster.key_of(1, 0), cluster.key_of(1, 1));
    let mut bystander = cluster.connect(0);
    // 32 MiB and 16 MiB: a piece of 1 MiB is looked at in a turn.
    bystander.expect(&format!("SETBIT {long} 268435455 1"), "0");
    bystander.expect(&format!("SETBIT {short} 134217727 1"), "0");
    let mut greedy = cluster.connect(0);
    let begun = Instant::now();
    greedy.send(format!("BITCOUNT {long}\r\n").repeat(LOOKS));
    std::thread::sleep(Duration::from_millis(20));
    let asked = Instant::now();
    bystander.expect(&format!("BITCOUNT {short}"), "1");
    let waited = asked.elapsed();
    for _ in 0..LOOKS {
        assert_eq!(greedy.line(), "1");
    }
    let all = begun.elapsed();
    println!("16 MiB in {waited:?}, beside {LOOKS} times 32 MiB in {all:?}");
    assert!(5 * waited < all, "{waited:?} of {all:?}");
}

#[test]
fn what_is_skipped_and_held_up_stays_without_an_answer() {
    let _machine = together();
    let cluster = Cluster::start(2);
    for key in [cluster.key_of(1, 0), cluster.key_of(0, 0)] {
        let mut client = cluster.connect(0);
        client.send("CLIENT REPLY SKIP\r\n");
        cluster.connect(0).expect("CLIENT PAUSE 200 WRITE", "OK");
        client.send(format!("SET {key} value\r\n"));
        client.expect("PING", "PONG");
    }
}

#[test]
fn what_could_not_be_watched_is_not_executed() {
    let _machine = together();
    let mut cluster = Cluster::start(2);
    let (key, own) = (cluster.key_of(1, 0), cluster.key_of(0, 0));
    let (mut client, mut other) = (cluster.connect(0), cluster.connect(0));
    cluster.kill(1);
    wait_for("an error", || cluster.connect(0).ask(&format!("GET {key}")).contains("CLUSTERDOWN"));
    assert!(client.ask(&format!("WATCH {key}")).contains("CLUSTERDOWN"));
    assert!(other.ask(&format!("WATCH {key}")).contains("CLUSTERDOWN"));
    // Nor is what has keys elsewhere.
    other.expect_line("MULTI", "OK");
    other.expect_line(&format!("SET {own} value"), "QUEUED");
    other.expect_line("EXEC", "(null)");
    cluster.launch(1);
    cluster.wait_until_served(0, 1);
    client.expect_line("MULTI", "OK");
    client.expect_line(&format!("SET {key} value"), "QUEUED");
    client.expect_line("EXEC", "(null)");
    client.expect_line(&format!("GET {key}"), "(null)");
}
