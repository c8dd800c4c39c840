//! Clients that go, and nodes that are told to end, while requests are on their way.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::support::cluster::{Cluster, within};
use super::support::{DEADLINE, show, together, wait_for};
use super::{not_linked, silent, unknown};

#[test]
fn a_half_closed_client_gets_all_that_was_forwarded() {
    let _machine = together();
    let cluster = Cluster::start(3);
    let value = "v".repeat(10_000);
    for asked in 0..3 {
        let (mut request, mut wanted) = (String::new(), String::new());
        for owner in 0..3 {
            request +=
                &format!("SET {} {value}\r\nDEL {{{}}}n\r\n", cluster.key_of(owner, 0), cluster.key_of(owner, 0));
        }
        for number in 1..=500 {
            for owner in 0..3 {
                let key = cluster.key_of(owner, 0);
                request += &format!("GET {key}\r\nINC {{{key}}}n\r\n");
                wanted += &format!("{value}\r\n{number}\r\n");
            }
        }
        for ending in ["", "QUIT\r\nPING\r\n"] {
            let got = cluster.node(asked).exchange(format!("{request}{ending}").as_bytes());
            let got = String::from_utf8_lossy(&got);
            assert!(
                got.ends_with(&wanted),
                "through node {asked}, {ending:?}: {} bytes: {}",
                got.len(),
                show(got.as_bytes())
            );
        }
    }
}

/// Each goes in the middle of what it asked for: nobody else sees any of it, and nothing is left.
#[test]
fn clients_that_go_leave_nothing_behind() {
    const CLIENTS: usize = 300;
    let _machine = together();
    let cluster = Cluster::start(3);
    let descriptors: Vec<usize> = (0..3).map(|node| cluster.node(node).descriptors()).collect();
    let long = "v".repeat(200_000);
    let keys: Vec<String> = (0..3).map(|owner| cluster.key_of(owner, 0)).collect();
    let mut witness = cluster.connect(0);
    for key in &keys {
        witness.expect(&format!("SET {key} {long}"), "OK");
    }
    for number in 0..CLIENTS {
        let mut client = cluster.connect(number % 3);
        let key = &keys[(number + 1 + number / 3 % 2) % 3];
        client.send(match number % 6 {
            0 => format!("INC {{{key}}}n\r\n").repeat(50),
            1 => format!("GET {key}\r\n").repeat(50),
            2 => format!("SET {{{key}}}long {long}\r\n").repeat(4),
            3 => format!("MGET {}\r\nKEYS *\r\nDBSIZE\r\n", keys.join(" ")).repeat(10),
            4 => format!("WATCH {{{key}}}n\r\nMULTI\r\nINC {{{key}}}n\r\nEXEC\r\n").repeat(10),
            // In the middle of a request that is forwarded in pieces.
            _ => format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n$300000\r\n{long}", key.len()),
        });
        match number % 4 {
            0 => client.reset(),
            1 => thread::sleep(Duration::from_millis(1)),
            2 => client.half_close(),
            _ => {}
        }
        if number % 10 == 0 {
            witness.expect("PING", "PONG");
        }
    }
    for key in &keys {
        witness.expect(&format!("GET {key}"), &long);
        // The key of those that no client counted in is not there.
        let count = witness.ask(&format!("GET {{{key}}}n")).replace("(null)", "0").parse::<usize>().expect("a count");
        assert!(count <= CLIENTS * 60, "{count}");
    }
    wait_for("the lost clients' descriptors to be closed", || {
        (0..3).all(|node| cluster.node(node).descriptors() <= descriptors[node] + 1)
    });
    assert_eq!(cluster.links_broken(), 0, "a link broke");
    for asked in 0..3 {
        let mut client = cluster.connect(asked);
        for key in &keys {
            client.expect(&format!("SET {key} v"), "OK");
            client.expect(&format!("GET {key}"), "v");
        }
    }
}

#[test]
fn a_node_that_is_told_to_end_waits_for_what_it_forwarded() {
    let _machine = together();
    let mut cluster = Cluster::start(3);
    let key = cluster.key_of(1, 0);
    let mut client = cluster.connect(0);
    cluster.node(1).stop();
    client.send(format!("INC {key}\r\n").repeat(100));
    let mut other = cluster.connect(0);
    other.barrier();
    cluster.node(0).signal(Signal::SIGTERM);
    wait_for("no more connections", || !super::support::cluster::accepts(cluster.address(0)));
    cluster.node(1).signal(Signal::SIGCONT);
    let wanted: String = (1..=100).map(|number| format!("{number}\r\n")).collect();
    assert_eq!(String::from_utf8_lossy(&client.rest()), wanted);
    assert_eq!(cluster.node_mut(0).wait_exit().code(), Some(0));
}

#[test]
fn an_owner_that_is_told_to_end_leaves_no_question_open() {
    let _machine = together();
    let mut cluster = Cluster::start(3);
    let key = cluster.key_of(1, 0);
    let mut clients = [cluster.connect(0), cluster.connect(2)];
    let start = Instant::now();
    for client in &mut clients {
        client.send(format!("INC {key}\r\nGET {key}\r\n").repeat(2000));
    }
    cluster.node(1).signal(Signal::SIGTERM);
    let errors = [unknown(&cluster, 1), silent(&cluster, 1), not_linked(&cluster, 1)];
    for client in &mut clients {
        let mut failed = false;
        for number in 0..4000 {
            let line = client.line();
            let is_error = errors.contains(&line);
            assert!(is_error || (!failed && line.parse::<u64>().is_ok()), "reply {number}: {line}");
            failed |= is_error;
        }
    }
    assert_eq!(cluster.node_mut(1).wait_exit().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(5), "took {:?}", start.elapsed());
    within(Duration::from_secs(1), "the end to be seen", || clients[0].ask(&format!("GET {key}")) == errors[2]);
}

/// A password is wanted of clients, of every node's own; between the nodes it has no part.
#[test]
fn a_password_is_for_clients() {
    let _machine = together();
    let cluster = Cluster::prepare(3);
    let file = cluster.path("password");
    fs::write(&file, "open sesame\n").expect("to write");
    let file = file.to_str().expect("a plain path").to_string();
    let mut cluster = cluster.with(&["--password-file", &file]);
    let key = cluster.key_of(1, 0);
    let mut client = cluster.connect(0);
    client.send(format!("GET {key}\r\nMGET {key} a b c\r\n"));
    let required = "(error) NOAUTH Authentication required.";
    assert_eq!((client.line().as_str(), client.line().as_str()), (required, required));
    client.expect_line("AUTH open sesame", "(error) WRONGPASS invalid username-password pair or user is disabled.");
    client.send("*2\r\n$4\r\nAUTH\r\n$11\r\nopen sesame\r\n");
    assert_eq!(client.line(), "+OK");
    client.expect(&format!("SET {key} v"), "OK");
    client.expect("FLUSH", "OK");
    // One that wants none beside others that do is told of in the logs.
    cluster.kill(2);
    let lines = cluster.file(2);
    let server = super::support::Server::start(&["-f", lines.to_str().expect("a plain path")]);
    server.wait_for_log(super::support::cluster::FORMED);
    let told = super::support::holds_within(DEADLINE, || {
        [server.log(), cluster.node(0).log()].iter().any(|log| log.contains("password"))
    });
    assert!(told, "{}{}", server.log(), cluster.node(0).log());
}
