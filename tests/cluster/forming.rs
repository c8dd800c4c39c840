//! How nodes find each other, and what a node answers before they have.

use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use super::support::cluster::{Cluster, FORMED, cluster_info, within};
use super::support::{Scratch, Server, Start, alone, holds_within, program, run_to_end, show, skip, together};
use super::{ask_array, not_linked};

/// A line of the log, as CLUSTER.md has it.
#[track_caller]
fn is_logged_once(server: &Server) {
    let log = server.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(FORMED)).collect();
    let [line] = lines[..] else { panic!("{} lines say {FORMED:?}: {log}", lines.len()) };
    let form: String = line.chars().map(|char| if char.is_ascii_digit() { '9' } else { char }).collect();
    assert_eq!(form, format!("[INF][9999-99-99 99-99-99] - {FORMED}"));
}

#[test]
fn three_nodes_form_and_answer() {
    let _machine = together();
    let cluster = Cluster::start(3);
    let mut clients = cluster.connect_all();
    for owner in 0..3 {
        for asked in 0..3 {
            let key = cluster.key_of(owner, asked);
            clients[asked].expect(&format!("SET {key} from {asked}"), "OK");
            for reader in &mut clients {
                reader.expect(&format!("GET {key}"), &format!("from {asked}"));
            }
        }
    }
    for client in &mut clients {
        client.expect("DBSIZE", "9");
        client.expect("CLUSTER KEYSLOT 123456789", "12739");
        assert!(client.ask("CLUSTER INFO").contains("cluster_state:ok"), "{}", client.ask("CLUSTER INFO"));
    }
    (0..3).for_each(|node| is_logged_once(cluster.node(node)));
}

#[test]
fn seven_nodes_form_within_three_seconds() {
    let _machine = alone();
    let mut cluster = Cluster::prepare(7);
    (0..6).for_each(|node| cluster.launch(node));
    let start = Instant::now();
    cluster.launch(6);
    cluster.wait_until_formed();
    let took = start.elapsed();
    println!("seven nodes formed {took:?} after the last start");
    assert!(took < Duration::from_secs(3), "formed after {took:?}");
    let mut clients = cluster.connect_all();
    for owner in 0..7 {
        let key = cluster.key_of(owner, 0);
        clients[(owner + 3) % 7].expect(&format!("SET {key} v"), "OK");
        clients[(owner + 5) % 7].expect(&format!("GET {key}"), "v");
    }
    (0..7).for_each(|node| is_logged_once(cluster.node(node)));
}

/// Three nodes on these addresses, which answer for each other.
#[track_caller]
fn forms_on(ips: [&str; 3]) {
    let mut cluster = Cluster::prepare(3);
    for node in 0..3 {
        let line =
            |other: usize| format!("{} {} n{other} {}\n", ips[other], cluster.bus_port(other), u8::from(other == node));
        fs::write(cluster.file(node), (0..3).map(line).collect::<String>()).expect("to write");
        let server = cluster.start_of(node, &[]).start();
        cluster.put(node, server);
    }
    cluster.wait_until_formed();
    let mut clients = cluster.connect_all();
    for number in 0..60 {
        clients[number % 3].expect(&format!("SET key:{number} {number}"), "OK");
        clients[(number + 1) % 3].expect(&format!("GET key:{number}"), &number.to_string());
    }
    let nodes = clients[0].ask("CLUSTER NODES");
    for (node, ip) in ips.iter().enumerate() {
        let shown = format!(" {ip}:{}@{}", cluster.port(node), cluster.bus_port(node));
        assert!(nodes.contains(&shown), "{shown:?} in {nodes}");
    }
}

#[test]
fn nodes_of_the_newer_family_form() {
    let _machine = together();
    if TcpListener::bind("[::1]:0").is_err() {
        return skip("this machine has no IPv6");
    }
    forms_on(["::1"; 3]);
}

#[test]
fn nodes_on_several_addresses_form() {
    let _machine = together();
    forms_on(["127.0.0.1", "127.0.0.2", "127.3.2.1"]);
}

#[test]
fn a_cluster_of_one_is_a_server() {
    let _machine = together();
    let cluster = Cluster::start(1);
    let mut client = cluster.connect(0);
    client.expect("MSET a 1 b 2 c 3", "OK");
    client.expect("MGET c b a x", "3\n2\n1\n(null)");
    client.expect("DBSIZE", "3");
    is_logged_once(cluster.node(0));
}

#[test]
fn what_is_not_linked_is_refused_at_once() {
    let _machine = alone();
    let mut cluster = Cluster::prepare(3);
    cluster.launch(0);
    let mut client = cluster.connect(0);
    let (own, other, third) = (cluster.key_of(0, 0), cluster.key_of(1, 0), cluster.key_of(2, 0));
    let start = Instant::now();
    client.expect(&format!("SET {own} v"), "OK");
    client.expect(&format!("INC {own}:{{{own}}}"), "1");
    for request in ["GET key", "SET key v", "APPEND key v", "DEL key", "TTL key"] {
        client.expect(&request.replace("key", &other), &not_linked(&cluster, 1));
    }
    let refused = ask_array(&mut client, &["GET", &other]);
    assert_eq!(refused, format!("-{}\r\n", not_linked(&cluster, 1).trim_start_matches("(error) ")));
    // No part of it is executed.
    client.expect(&format!("MSET {own} changed {other} v"), &not_linked(&cluster, 1));
    client.expect(&format!("GET {own}"), "v");
    for request in ["FLUSH", "KEYS *", "DBSIZE"] {
        let answer = client.ask(request);
        assert!(answer.starts_with("(error) CLUSTERDOWN node "), "{request}: {answer}");
    }
    client.expect("PING", "PONG");
    assert!(client.ask("CLUSTER INFO").contains("cluster_state:fail"), "{}", client.ask("CLUSTER INFO"));
    client.expect("READONLY", "OK");
    client.expect("DBSIZE", "2");
    client.expect("READWRITE", "OK");
    let took = start.elapsed();
    assert!(took < Duration::from_millis(500), "answered in {took:?}");
    assert!(!cluster.node(0).log().contains(FORMED));

    // Each that comes is served, before all have come.
    cluster.launch(1);
    within(Duration::from_secs(2), "the second node", || client.ask(&format!("SET {other} v")) == "OK");
    client.expect(&format!("SET {third} v"), &not_linked(&cluster, 2));
    assert!((0..2).all(|node| !cluster.node(node).log().contains(FORMED)));
    cluster.launch(2);
    cluster.wait_until_formed();
    client.expect(&format!("SET {third} v"), "OK");
    client.expect("DBSIZE", "4");
    (0..3).for_each(|node| is_logged_once(cluster.node(node)));
}

#[test]
fn an_ended_node_comes_back_empty() {
    let _machine = together();
    let mut cluster = Cluster::start(3);
    let keys: Vec<String> = (0..3).map(|node| cluster.key_of(node, 0)).collect();
    let mut client = cluster.connect(0);
    keys.iter().for_each(|key| client.expect(&format!("SET {key} v"), "OK"));
    for node in [1, 2] {
        cluster.connect(node).send("SHUTDOWN\r\n");
        assert_eq!(cluster.node_mut(node).wait_exit().code(), Some(0));
        cluster.kill(node);
        within(Duration::from_secs(1), "the end to be seen", || {
            client.ask(&format!("GET {}", keys[node])) == not_linked(&cluster, node)
        });
        cluster.launch(node);
        let took = cluster.wait_until_served(0, node);
        println!("served again after {took:?}");
        cluster.node(node).wait_for_log(FORMED);
        client.expect(&format!("GET {}", keys[node]), "(null)");
        client.expect(&format!("GET {}", keys[0]), "v");
    }
    // That the first one lost its links and found them again makes no second line.
    is_logged_once(cluster.node(0));
}

/// Ends by itself, with an exit code of failure and these words on standard error.
#[track_caller]
fn does_not_start(command: &mut Command, words: &[&str]) {
    let (code, stdout, stderr) = run_to_end(command);
    assert!(matches!(code, Some(1 | 2)), "{command:?} ends with {code:?}: {stdout}{stderr}");
    for word in words {
        assert!(stderr.contains(word), "no {word:?} in what {command:?} says: {}", show(stderr.as_bytes()));
    }
}

#[test]
fn the_same_file_fits_all_nodes() {
    let _machine = together();
    let mut cluster = Cluster::prepare(3);
    let shuffled = format!(
        "# The nodes of a test.\n\n\t127.0.0.1\t{}   n2 0\n127.0.0.1 {} n0 0 # the first\n  127.0.0.1 {}\tn1\t0\n",
        cluster.bus_port(2),
        cluster.bus_port(0),
        cluster.bus_port(1)
    );
    (0..2).for_each(|node| fs::write(cluster.file(node), &shuffled).expect("to write"));
    // By its address, and by its name; the third one's file has another order and says itself.
    let port = cluster.port(0).to_string();
    let first = cluster.start_of(0, &["-a", "127.0.0.1", "-p", &port]).start();
    cluster.put(0, first);
    let second = cluster.start_of(1, &["-i", "n1"]).start();
    cluster.put(1, second);
    // The file alone is enough.
    let file = cluster.file(2);
    cluster.put(2, Start::new(&["-f", file.to_str().expect("a plain path")]).start());
    cluster.wait_until_formed();
    assert!((0..3).all(|node| cluster.node(node).port() == cluster.port(node)));
    let key = cluster.key_of(2, 0);
    cluster.connect(0).expect(&format!("SET {key} v"), "OK");
    cluster.connect(1).expect(&format!("GET {key}"), "v");
}

#[test]
fn a_name_of_the_command_line_is_shown() {
    let _machine = together();
    let mut cluster = Cluster::prepare(2);
    cluster.launch(0);
    let renamed = cluster.start_of(1, &["-i", "kitchen"]).start();
    cluster.put(1, renamed);
    cluster.wait_until_formed();
    for node in 0..2 {
        let table = cluster.connect(node).ask("CLUSTERINFO");
        assert!(table.contains("kitchen") && table.contains("n0"), "node {node} shows: {table}");
        assert!(table.contains(&cluster.address(0).to_string()), "node {node} shows: {table}");
    }
    let key = cluster.key_of(1, 0);
    cluster.kill(1);
    let mut client = cluster.connect(0);
    let (mut answer, wanted) = (String::new(), format!("(error) CLUSTERDOWN node kitchen ({})", cluster.address(1)));
    let seen = holds_within(Duration::from_secs(1), || {
        answer = client.ask(&format!("GET {key}"));
        answer.starts_with(&wanted)
    });
    assert!(seen, "{answer}");
}

#[test]
fn a_node_without_a_cluster_knows_nothing_of_it() {
    let _machine = together();
    let server = Server::start(&[]);
    let mut client = server.connect();
    assert!(client.ask("INFO cluster").contains("cluster_enabled:0"));
    client.expect("MSETNX a 1 b 2", "1");
    client.expect("RENAME a b", "OK");
    client.expect("READONLY", "(error) This instance has cluster support disabled");
    let cluster = Cluster::start(1);
    assert_eq!(cluster_info(&mut cluster.connect(0), "cluster_enabled"), 1);
}

#[test]
fn a_wrong_file_is_refused_with_its_line() {
    let _machine = together();
    let folder = Scratch::new();
    let path = folder.path("wrong.conf");
    let file = path.to_str().expect("a plain path");
    for (text, line) in [
        ("127.0.0.1 7101 a 1\n127.0.0.1 x b 0\n", ":2"),
        ("127.0.0.1 7101 a 1\n\n127.0.0.1 7102 b\n", ":3"),
        ("localhost 7101 a 1\n", ":1"),
        ("127.0.0.1 7101 a 2\n", ":1"),
        ("127.0.0.1 7101 a 1\n# comment\n127.0.0.1 7102 b 1\n", ":3"),
        ("127.0.0.1 7101 a 1\n127.0.0.1 7101 b 0\n", ":2"),
        ("127.0.0.1 7101 a 1\n127.0.0.1 7102 a 0\n", ":2"),
        ("127.0.0.1 99 a 1\n", ":1"),
        ("127.0.0.1 70000 a 1\n", ":1"),
    ] {
        fs::write(&path, text).expect("to write");
        does_not_start(Command::new(program()).args(["-c", "-f", file]), &["memento: ", &format!("{file}{line}")]);
    }
    fs::write(&path, "127.0.0.1 7101 a 0\n127.0.0.1 7102 b 0\n").expect("to write");
    does_not_start(Command::new(program()).args(["-c", "-f", file]), &["memento: ", "-i"]);
    does_not_start(Command::new(program()).args(["-c", "-f", file, "-i", "c"]), &["memento: ", "c"]);
    does_not_start(Command::new(program()).args(["-c", "-f", file, "-i", "a", "-p", "7002"]), &["memento: ", "7002"]);
    let missing = folder.path("missing.conf");
    let missing = missing.to_str().expect("a plain path");
    does_not_start(Command::new(program()).args(["-c", "-f", missing]), &["memento: ", missing]);
    // The default file is that of the home.
    let home = folder.path("");
    let mut command = Command::new(program());
    command.arg("-c").env("HOME", &home);
    does_not_start(&mut command, &["memento: ", ".memento"]);
}

#[test]
fn beyond_loopback_a_secret_is_wanted() {
    let _machine = together();
    let mut cluster = Cluster::prepare(1);
    // A documentation address, which nobody has.
    let lines = format!("{}192.0.2.1 8100 far 0\n", cluster.lines(Some(0)));
    fs::write(cluster.file(0), lines).expect("to write");
    does_not_start(&mut cluster.start_of(0, &[]).command(), &["memento: ", "--cluster-secret-file"]);
    let secret = cluster.path("secret");
    fs::write(&secret, "not very long, but a secret\n").expect("to write");
    let secret = secret.to_str().expect("a plain path").to_string();
    for options in [["--cluster-secret-file", &secret], ["--protected-mode", "no"]] {
        let server = cluster.start_of(0, &options).start();
        cluster.put(0, server);
        cluster.connect(0).expect("PING", "PONG");
        cluster.kill(0);
    }
    let none = cluster.path("none");
    let none = none.to_str().expect("a plain path");
    does_not_start(&mut cluster.start_of(0, &["--cluster-secret-file", none]).command(), &["memento: ", none]);
}
