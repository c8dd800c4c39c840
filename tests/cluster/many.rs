//! Commands whose keys lie on several nodes, and those that tell of all keys.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::not_linked;
use super::support::cluster::{Cluster, ask_array, within};
use super::support::{Client, together, wait_for};

#[test]
fn commands_of_many_keys_are_split_and_put_together() {
    let _machine = together();
    let cluster = Cluster::start(3);
    for asked in 0..3 {
        let mut client = cluster.connect(asked);
        client.expect("FLUSH", "OK");
        let keys: Vec<String> = (0..90).map(|number| cluster.key_of(number % 3, number)).collect();
        let all = keys.join(" ");
        let pairs: String = keys.iter().enumerate().map(|(number, key)| format!(" {key} {number}")).collect();
        client.expect(&format!("MSET{pairs}"), "OK");
        client.expect("DBSIZE", "90");
        // In the order of the keys, which is not that of the nodes; twice where a key stands twice.
        let shuffled: Vec<usize> = (0..180).map(|number| number * 37 % 90).collect();
        let asked_for: Vec<String> = shuffled.iter().map(|&number| keys[number].clone()).collect();
        let wanted: Vec<String> = shuffled.iter().map(usize::to_string).collect();
        client.expect(&format!("MGET {}", asked_for.join(" ")), &wanted.join("\n"));
        client.expect(&format!("MGET {} nosuch:1 nosuch:2 {}", keys[5], keys[4]), "5\n(null)\n(null)\n4");
        // Of one key that stands twice the last value counts.
        client.expect(&format!("MSET {0} a {1} b {0} c {2} d", keys[0], keys[1], keys[2]), "OK");
        client.expect(&format!("MGET {} {} {}", keys[0], keys[1], keys[2]), "c\nb\nd");
        client.expect(&format!("EXISTS {all} {} nosuch", keys[7]), "91");
        client.expect(&format!("TOUCH {all} nosuch"), "90");
        client.expect("DEL nosuch:1 nosuch:2 nosuch:3 nosuch:4", "(null)");
        client.expect(&format!("DEL {} nosuch:1 {} {}", keys[0], keys[1], keys[2]), "OK");
        client.expect(&format!("EXISTS {all}"), "87");
        let some: Vec<&str> = keys[..10].iter().map(String::as_str).collect();
        let resp = |client: &mut Client, name: &str| ask_array(client, &[&[name], &some[..]].concat());
        assert_eq!(resp(&mut client, "EXISTS"), ":7\r\n");
        assert_eq!(resp(&mut client, "UNLINK"), ":7\r\n");
        assert_eq!(resp(&mut client, "DEL"), ":0\r\n");
        client.expect(&format!("UNLINK {}", keys[10]), "OK");
        client.expect("DBSIZE", "79");
        // Wrong ones are wrong before they are split.
        client.expect("MSET a 1 b", "(error) wrong number of arguments for 'mset' command");
        client.expect("MGET", "(error) wrong number of arguments for 'mget' command");
        client.expect("FLUSH", "OK");
        for reader in 0..3 {
            cluster.connect(reader).expect("DBSIZE", "0");
        }
    }
}

#[test]
fn a_large_mget_comes_whole() {
    const COUNT: usize = 30_000;
    let _machine = together();
    let cluster = Cluster::start(3);
    let (mut client, mut other) = (cluster.connect(0), cluster.connect(2));
    let value = |number: usize| format!("{number:0>width$}", width = 10 + number % 300);
    for from in (0..COUNT).step_by(1000) {
        let pairs: String = (from..from + 1000).map(|number| format!(" key:{number} {}", value(number))).collect();
        client.expect(&format!("MSET{pairs}"), "OK");
    }
    // Some that are sent from where they lie.
    let long = "v".repeat(300_000);
    let places = [17, 18, 10_000, 29_999];
    places.iter().for_each(|place| client.expect(&format!("SET key:{place} {long}"), "OK"));
    let request: String = (0..COUNT).map(|number| format!(" key:{number}")).collect();
    let wanted: Vec<String> =
        (0..COUNT).map(|number| if places.contains(&number) { long.clone() } else { value(number) }).collect();
    for client in [&mut client, &mut other] {
        let answer = client.ask(&format!("MGET{request}"));
        assert!(answer == wanted.join("\n"), "{} bytes instead of {}", answer.len(), wanted.join("\n").len());
        client.expect(&format!("EXISTS{request}"), &COUNT.to_string());
    }
    client.expect(&format!("DEL{request}"), "OK");
    other.expect("DBSIZE", "0");
}

#[test]
fn a_part_that_fails_fails_the_whole() {
    let _machine = together();
    let mut cluster = Cluster::start(3);
    let keys: Vec<String> = (0..3).map(|node| cluster.key_of(node, 0)).collect();
    let mut client = cluster.connect(0);
    client.expect(&format!("MSET {} 0 {} 1 {} 2", keys[0], keys[1], keys[2]), "OK");
    cluster.kill(2);
    let down = not_linked(&cluster, 2);
    within(Duration::from_secs(1), "the loss to be seen", || client.ask(&format!("GET {}", keys[2])) == down);
    let all = keys.join(" ");
    for name in ["MGET", "EXISTS", "TOUCH", "DEL", "UNLINK"] {
        client.expect(&format!("{name} {all}"), &down);
        let words: Vec<&str> = [name].into_iter().chain(keys.iter().map(String::as_str)).collect();
        assert_eq!(ask_array(&mut client, &words), format!("-{}\r\n", down.trim_start_matches("(error) ")));
    }
    client.expect(&format!("MSET {} a {} b {} c", keys[0], keys[1], keys[2]), &down);
    for request in ["KEYS *", "DBSIZE", "FLUSH", "FLUSHALL"] {
        client.expect(request, &down);
    }
    // Nothing was done where it could have been.
    client.expect(&format!("MGET {} {}", keys[0], keys[1]), "0\n1");
    client.expect(&format!("DEL {} {}", keys[0], keys[1]), "OK");
}

/// All that SCAN finds through this client, and how often.
fn scan(client: &mut Client, options: &str) -> BTreeMap<String, usize> {
    let (mut cursor, mut found) = (String::from("0"), BTreeMap::new());
    for call in 0.. {
        assert!(call < 100_000, "SCAN{options} does not end");
        let answer = client.ask(&format!("SCAN {cursor}{options}"));
        assert!(!answer.starts_with("(error)"), "SCAN {cursor}{options}: {answer}");
        let mut lines = answer.split('\n');
        cursor = lines.next().expect("a cursor").to_string();
        for key in lines.filter(|line| *line != "(empty)") {
            *found.entry(key.to_string()).or_default() += 1;
        }
        if cursor == "0" {
            break;
        }
    }
    found
}

/// Stores keys named by their numbers.
fn store(client: &mut Client, count: usize) -> BTreeSet<String> {
    let keys: BTreeSet<String> = (0..count).map(|number| format!("key:{number}")).collect();
    let requests: String = keys.iter().map(|key| format!("SET {key} v\r\n")).collect();
    assert!(client.converse(requests.as_bytes(), 4 * count) == b"OK\r\n".repeat(count));
    keys
}

#[test]
fn walks_tell_of_all_nodes_or_of_one() {
    const COUNT: usize = 5000;
    let _machine = together();
    let cluster = Cluster::start(3);
    let mut client = cluster.connect(0);
    assert!(scan(&mut client, "").is_empty());
    client.expect("KEYS *", "(empty)");
    client.expect("RANDOMKEY", "(null)");
    let keys = store(&mut client, COUNT);
    let mut apart: Vec<BTreeSet<String>> = Vec::new();
    for node in 0..3 {
        let mut client = cluster.connect(node);
        client.expect("DBSIZE", &COUNT.to_string());
        let listed: BTreeSet<String> = client.ask("KEYS *").split('\n').map(str::to_string).collect();
        assert!(listed == keys, "KEYS through node {node} finds {}", listed.len());
        assert_eq!(client.ask("KEYS key:*77").split('\n').count(), COUNT / 100);
        for options in ["", " COUNT 1000", " COUNT 3 MATCH key:*", " TYPE string"] {
            let found = scan(&mut client, options);
            assert!(found.keys().eq(keys.iter()), "SCAN{options} through node {node} finds {}", found.len());
            let twice = found.values().filter(|&&count| count > 1).count();
            assert!(twice == 0, "SCAN{options} through node {node} tells {twice} keys more than once, at rest");
        }
        assert_eq!(scan(&mut client, " MATCH key:*77").len(), COUNT / 100);
        // Each node is drawn from, sooner or later.
        let mut drawn = BTreeSet::new();
        wait_for("a key of each node", || {
            let key = client.ask("RANDOMKEY");
            assert!(keys.contains(&key), "{key}");
            drawn.extend(cluster.owner(&key));
            drawn.len() == 3
        });
        // Of this node alone.
        client.expect("READONLY", "OK");
        let own: BTreeSet<String> = client.ask("KEYS *").split('\n').map(str::to_string).collect();
        client.expect("DBSIZE", &own.len().to_string());
        let found = scan(&mut client, " COUNT 100");
        assert!(found.keys().eq(own.iter()) && found.values().all(|&count| count == 1), "node {node}: {}", found.len());
        assert!(own.iter().all(|key| cluster.owner(key).is_none_or(|owner| owner == node)));
        for _ in 0..20 {
            assert!(own.contains(&client.ask("RANDOMKEY")));
        }
        // Single keys are answered as ever.
        client.expect("GET key:1", "v");
        client.expect("MGET key:1 key:2 key:3 key:4", "v\nv\nv\nv");
        client.expect("READWRITE", "OK");
        client.expect("DBSIZE", &COUNT.to_string());
        client.expect("READONLY", "OK");
        client.expect("RESET", "RESET");
        client.expect("DBSIZE", &COUNT.to_string());
        apart.push(own);
    }
    let sum: usize = apart.iter().map(BTreeSet::len).sum();
    let whole: BTreeSet<String> = apart.into_iter().flatten().collect();
    assert!(sum == COUNT && whole == keys, "{sum} keys on the nodes, {} different ones", whole.len());
}

/// What a client sends behind a walk is executed behind it.
#[test]
fn a_walk_keeps_its_place_in_the_pipeline() {
    let _machine = together();
    let cluster = Cluster::start(3);
    let keys: Vec<String> = (0..12).map(|number| cluster.key_of(number % 3, number)).collect();
    let sets: String = keys.iter().map(|key| format!("SET {key} v\r\n")).collect();
    let done = "OK\r\n".repeat(keys.len());
    for asked in 0..3 {
        let mut client = cluster.connect(asked);
        client.send(format!(
            "FLUSH\r\nKEYS *\r\nDBSIZE\r\n{sets}DBSIZE\r\nKEYS *\r\nDEL {}\r\nDBSIZE\r\n",
            keys.join(" ")
        ));
        let nothing = format!("OK\r\n(empty)\r\n0\r\n{done}{}\r\n", keys.len());
        let got = String::from_utf8_lossy(&client.exactly(nothing.len())).into_owned();
        assert!(got == nothing, "through node {asked}: {got:?}");
        let listed = client.line();
        assert_eq!(listed.split('\n').count(), keys.len(), "through node {asked}: {listed:?}");
        assert_eq!((client.line(), client.line()), ("OK".to_string(), "0".to_string()));
    }
}

#[test]
fn a_walk_beside_writes_misses_nothing_that_stays() {
    const COUNT: usize = 3000;
    let _machine = together();
    let cluster = Cluster::start(3);
    let keys = store(&mut cluster.connect(1), COUNT);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for node in 0..2 {
            let (cluster, stop) = (&cluster, &stop);
            scope.spawn(move || {
                let mut client = cluster.connect(node);
                for round in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    // Growing and shrinking moves what stays.
                    let requests: String = (0..500).map(|n| format!("SET other:{node}:{round}:{n} v\r\n")).collect();
                    client.converse(requests.as_bytes(), 500 * 4);
                    let requests: String = (0..500).map(|n| format!("DEL other:{node}:{round}:{n}\r\n")).collect();
                    client.converse(requests.as_bytes(), 500 * 4);
                }
            });
        }
        let walks: Vec<_> = (0..3)
            .map(|node| {
                let (cluster, keys) = (&cluster, &keys);
                scope.spawn(move || {
                    for options in [" COUNT 50", " COUNT 500 MATCH key:*"] {
                        let found = scan(&mut cluster.connect(node), options);
                        let missing: Vec<_> = keys.iter().filter(|key| !found.contains_key(*key)).collect();
                        assert!(missing.is_empty(), "SCAN{options} through node {node} misses {missing:?}");
                    }
                })
            })
            .collect();
        let ends: Vec<bool> = walks.into_iter().map(|walk| walk.join().is_ok()).collect();
        stop.store(true, Ordering::Relaxed);
        assert_eq!(ends, [true; 3]);
    });
}

#[test]
fn a_flush_empties_all_nodes() {
    let _machine = together();
    let cluster = Cluster::start(3);
    let mut clients = cluster.connect_all();
    for (round, request) in ["FLUSH", "FLUSHDB", "FLUSHALL", "FLUSHALL SYNC", "flushall async"].into_iter().enumerate()
    {
        store(&mut clients[round % 3], 1000);
        clients[(round + 1) % 3].expect(request, "OK");
        for client in &mut clients {
            client.expect("DBSIZE", "0");
            client.expect("EXISTS key:1 key:2 key:3 key:4 key:5", "0");
        }
    }
    clients[0].expect("FLUSHALL FOO", "(error) syntax error");
    assert_eq!(ask_array(&mut clients[1], &["FLUSHALL"]), "+OK\r\n");
}

#[test]
fn slots_are_told_as_clients_count_them() {
    let _machine = together();
    let cluster = Cluster::start(3);
    let mut client = cluster.connect(0);
    for (key, slot) in [("123456789", 12739), ("{123456789}x", 12739), ("foo", 12182)] {
        client.expect(&format!("CLUSTER KEYSLOT {key}"), &slot.to_string());
    }
    let key = cluster.key_of(2, 0);
    let number: usize = client.ask(&format!("CLUSTER KEYSLOT {key}")).parse().expect("a slot");
    client.expect(&format!("MSET {key} 1 {{{key}}}b 2"), "OK");
    for asked in 0..3 {
        let mut client = cluster.connect(asked);
        // Their 16384 slots are our 8192 twice.
        for number in [number % 8192, number % 8192 + 8192] {
            client.expect(&format!("CLUSTER COUNTKEYSINSLOT {number}"), "2");
            let keys: BTreeSet<String> =
                client.ask(&format!("CLUSTER GETKEYSINSLOT {number} 10")).split('\n').map(str::to_string).collect();
            assert_eq!(keys, BTreeSet::from([key.clone(), format!("{{{key}}}b")]));
            assert_eq!(client.ask(&format!("CLUSTER GETKEYSINSLOT {number} 1")).split('\n').count(), 1);
        }
    }
    // Every slot has its node, twice over.
    let ranges = ask_array(&mut client, &["CLUSTER", "SLOTS"]);
    assert!(ranges.starts_with("*6\r\n*3\r\n:0\r\n"), "{ranges}");
    let shown: Vec<String> = (0..3).map(|node| cluster.connect(node).ask("CLUSTER SLOTS")).collect();
    assert!(shown.iter().all(|text| *text == shown[0]), "{shown:?}");
    let ids: BTreeSet<String> = (0..3).map(|node| cluster.connect(node).ask("CLUSTER MYID")).collect();
    assert!(ids.len() == 3 && ids.iter().all(|id| id.len() == 40), "{ids:?}");
    for node in 0..3 {
        let text = cluster.connect(node).ask("CLUSTER NODES");
        assert!(ids.iter().all(|id| text.contains(id.as_str())) && text.contains("myself,master"), "{text}");
        assert!((0..3).all(|other| text.contains(&cluster.address(other).to_string())), "{text}");
        let info = cluster.connect(node).ask("CLUSTER INFO");
        for field in ["cluster_state:ok", "cluster_slots_assigned:16384", "cluster_known_nodes:3", "cluster_size:3"] {
            assert!(info.contains(field), "{field} in {info}");
        }
    }
}
