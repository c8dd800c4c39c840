//! MULTI, EXEC and WATCH through nodes that do not own the keys.

use super::support::cluster::{Cluster, array, ask_array};
use super::support::{Client, together, wait_for};

/// Sends the requests one by one; each answers what stands beside it.
#[track_caller]
fn check(client: &mut Client, cases: &[(&str, &str)], tag: &str) {
    for (request, wanted) in cases {
        client.expect_line(&request.replace('~', tag), &wanted.replace('~', tag));
    }
}

#[test]
fn a_transaction_runs_where_its_keys_are() {
    let _machine = together();
    let cluster = Cluster::start(3);
    for owner in 0..3 {
        let tag = cluster.tag_of(owner);
        for asked in 0..3 {
            let mut client = cluster.connect(asked);
            check(
                &mut client,
                &[
                    ("FLUSH", "OK"),
                    ("MULTI", "OK"),
                    ("SET ~k a b", "QUEUED"),
                    ("GET ~k", "QUEUED"),
                    ("APPEND ~k c", "QUEUED"),
                    ("DEL ~x ~y", "QUEUED"),
                    ("DEL ~none", "QUEUED"),
                    ("SET ~x v", "QUEUED"),
                    ("INC ~n", "QUEUED"),
                    ("INC ~k", "QUEUED"),
                    ("GET ~k", "QUEUED"),
                    ("EXISTS ~k ~n ~none", "QUEUED"),
                ],
                &tag,
            );
            let answer = client.ask_line("EXEC");
            let wanted = "OK\na b\nOK\n(null)\n(null)\nOK\n1\n(error) value is not an integer or out of range\na bc\n2";
            assert!(answer == wanted, "owner {owner}, asked {asked}: {answer:?}");
            client.expect_line(&format!("MGET {tag}k {tag}n"), "a bc\n1");
            check(
                &mut client,
                &[
                    ("EXEC", "(error) EXEC without MULTI"),
                    ("MULTI", "OK"),
                    ("MULTI", "(error) MULTI calls can not be nested"),
                    ("SET ~k gone", "QUEUED"),
                    ("DISCARD", "OK"),
                    ("GET ~k", "a bc"),
                    ("MULTI", "OK"),
                    ("SET ~k gone", "QUEUED"),
                    ("GET", "(error) wrong number of arguments for 'get' command"),
                    ("EXEC", "(error) EXECABORT Transaction discarded because of previous errors."),
                    ("GET ~k", "a bc"),
                    ("MULTI", "OK"),
                    ("EXEC", "(empty)"),
                    ("MULTI", "OK"),
                    ("PING", "QUEUED"),
                    ("EXEC", "PONG"),
                ],
                &tag,
            );
        }
    }
}

#[test]
fn a_transaction_answers_in_each_protocol() {
    let _machine = together();
    let cluster = Cluster::start(3);
    for owner in 0..3 {
        let tag = cluster.tag_of(owner);
        for asked in 0..3 {
            for protocol in ["2", "3"] {
                let mut client = cluster.connect(asked);
                client.expect_line("FLUSH", "OK");
                ask_array(&mut client, &["HELLO", protocol]);
                let key = |name: &str| format!("{tag}{name}");
                for words in [
                    &["SET", &key("k"), "two words"][..],
                    &["GET", &key("k")],
                    &["GET", &key("none")],
                    &["MGET", &key("k"), &key("none")],
                    &["INCR", &key("k")],
                    &["DEL", &key("k"), &key("none")],
                    &["PING"],
                    &["INCRBYFLOAT", &key("n"), "0.5"],
                ] {
                    if words[0] == "SET" {
                        client.send(array(&["MULTI"]));
                        assert_eq!(client.line(), "+OK");
                    }
                    client.send(array(words));
                    assert_eq!(client.line(), "+QUEUED");
                }
                let null = if protocol == "2" { "$-1\r\n" } else { "_\r\n" };
                let wanted = format!(
                    "*8\r\n+OK\r\n$9\r\ntwo words\r\n{null}*2\r\n$9\r\ntwo words\r\n{null}\
                     -ERR value is not an integer or out of range\r\n:1\r\n+PONG\r\n$3\r\n0.5\r\n"
                );
                let got = ask_array(&mut client, &["EXEC"]);
                assert!(got == wanted, "owner {owner}, asked {asked}, RESP{protocol}: {got:?}, wanted {wanted:?}");
            }
        }
    }
}

#[test]
fn a_transaction_crosses_no_slots() {
    let _machine = together();
    let cluster = Cluster::start(3);
    let crossing = "(error) CROSSSLOT Keys in request don't hash to the same slot";
    let (first, second) = (cluster.key_of(0, 1), cluster.key_of(1, 1));
    // Two slots of one node are two slots.
    let beside = cluster.key_of(0, 2);
    for asked in 0..3 {
        let mut client = cluster.connect(asked);
        for other in [&second, &beside] {
            client.expect_line("MULTI", "OK");
            client.expect_line(&format!("SET {first} v"), "QUEUED");
            client.expect_line(&format!("SET {other} v"), "QUEUED");
            client.expect_line("EXEC", crossing);
            client.expect_line(&format!("EXISTS {first} {other}"), "0");
            client.expect_line("EXEC", "(error) EXEC without MULTI");
            let of_two = ["MSETNX a 1 b 2", "RENAME a b", "RENAMENX a b", "COPY a b", "LCS a b", "WATCH a b"];
            for request in [&of_two[..], &["BITOP OR a a b", "BITOP OR b a a"]].concat() {
                let request = request.replace(" a", &format!(" {first}")).replace(" b", &format!(" {other}"));
                client.expect_line(&request, crossing);
            }
            // What is watched counts, wherever it is.
            client.expect_line(&format!("WATCH {first}"), "OK");
            client.expect_line(&format!("WATCH {other}"), crossing);
            client.expect_line("UNWATCH", "OK");
            client.expect_line(&format!("WATCH {first}"), "OK");
            client.expect_line("MULTI", "OK");
            client.expect_line(&format!("SET {other} v"), "QUEUED");
            client.expect_line("EXEC", crossing);
            client.expect_line(&format!("EXISTS {first} {other}"), "0");
        }
        for request in ["DBSIZE", "KEYS *", "FLUSHALL"] {
            client.expect_line("MULTI", "OK");
            client.expect_line(request, "QUEUED");
            client.expect_line(&format!("SET {first} v"), "QUEUED");
            client.expect_line("EXEC", crossing);
            client.expect_line(&format!("EXISTS {first}"), "0");
        }
        // An error in the queue is told when it is made.
        client.expect_line("MULTI", "OK");
        client.expect_line(&format!("RENAME {first} {second}"), crossing);
        client.expect_line("EXEC", "(error) EXECABORT Transaction discarded because of previous errors.");
    }
}

/// A transaction under WATCH; whether it ran.
#[track_caller]
fn runs(client: &mut Client, key: &str) -> bool {
    client.expect_line("MULTI", "OK");
    client.expect_line(&format!("GET {key}"), "QUEUED");
    client.expect_line(&format!("SET {key}:done{{{key}}} 1"), "QUEUED");
    match client.ask_line("EXEC").as_str() {
        "(null)" => false,
        answer => {
            assert!(answer.ends_with("\nOK"), "{answer}");
            true
        }
    }
}

#[test]
fn a_key_is_watched_through_any_node() {
    let _machine = together();
    let cluster = Cluster::start(3);
    for owner in 0..3 {
        let key = cluster.key_of(owner, 5);
        // A second key of the same slot.
        let tagged = format!("{{{key}}}x");
        for asked in 0..3 {
            for toucher in 0..3 {
                let (mut client, mut other) = (cluster.connect(asked), cluster.connect(toucher));
                other.expect_line(&format!("SET {key} v"), "OK");
                for (request, touches) in [
                    ("SET key 2", true),
                    ("GET key", false),
                    ("APPEND key x", true),
                    ("SETNX key x", false),
                    ("EXPIRE key 1000", true),
                    ("SET other x", false),
                    ("DEL key", true),
                    ("INC key", true),
                    ("FLUSH", true),
                    ("MSET key a unrelated b", true),
                ] {
                    client.expect_line(&format!("WATCH {key}"), "OK");
                    other.ask_line(&request.replace("key", &key).replace("other", &tagged));
                    let ran = runs(&mut client, &key);
                    assert_eq!(ran, !touches, "owner {owner}, asked {asked}, {request} through {toucher}");
                    // The watch is over either way.
                    other.ask_line(&format!("SET {key} {asked}"));
                    assert!(runs(&mut client, &key));
                }
                client.expect_line(&format!("WATCH {key} {tagged}"), "OK");
                other.expect_line(&format!("SET {tagged} v"), "OK");
                client.expect_line("UNWATCH", "OK");
                assert!(runs(&mut client, &key));
                client.expect_line(&format!("WATCH {key} {tagged}"), "OK");
                other.expect_line(&format!("SET {tagged} v"), "OK");
                client.expect_line("MULTI", "OK");
                client.expect_line("DISCARD", "OK");
                assert!(runs(&mut client, &key));
                // One's own change counts as well.
                client.expect_line(&format!("WATCH {key}"), "OK");
                client.expect_line(&format!("SET {key} mine"), "OK");
                assert!(!runs(&mut client, &key));
            }
        }
    }
}

#[test]
fn a_watched_key_that_ends_has_changed() {
    let _machine = together();
    let cluster = Cluster::start(3);
    let key = cluster.key_of(2, 0);
    let (mut client, mut other) = (cluster.connect(0), cluster.connect(1));
    client.expect_line(&format!("PSETEX {key} 30 v"), "OK");
    client.expect_line(&format!("WATCH {key}"), "OK");
    wait_for("the key to end", || other.ask_line(&format!("EXISTS {key}")) == "0");
    assert!(!runs(&mut client, &key));
    client.expect_line(&format!("PSETEX {key} 100000 v"), "OK");
    client.expect_line(&format!("WATCH {key}"), "OK");
    assert!(runs(&mut client, &key));
}

#[test]
fn a_client_that_goes_watches_no_longer() {
    let _machine = together();
    let cluster = Cluster::start(3);
    let key = cluster.key_of(2, 0);
    let mut owner = cluster.connect(2);
    owner.expect_line(&format!("SET {key} v"), "OK");
    for asked in 0..3 {
        for number in 0..20 {
            let mut client = cluster.connect(asked);
            client.expect_line(&format!("WATCH {key}"), "OK");
            match number % 4 {
                0 => client.reset(),
                1 => {
                    client.send("QUIT\r\n");
                    client.rest();
                }
                2 => client.expect_line("RESET", "RESET"),
                _ => drop(client),
            }
        }
    }
    owner.expect_line(&format!("SET {key} w"), "OK");
    // Another client does not inherit what one that is gone watched.
    for asked in 0..3 {
        let mut client = cluster.connect(asked);
        assert!(runs(&mut client, &key));
    }
}

/// Counting with WATCH from every node at once loses nothing.
#[test]
fn optimistic_counting_loses_nothing() {
    const EACH: usize = 100;
    let _machine = together();
    let cluster = Cluster::start(3);
    let key = cluster.key_of(1, 0);
    std::thread::scope(|scope| {
        for asked in 0..3 {
            let (cluster, key) = (&cluster, &key);
            scope.spawn(move || {
                let mut client = cluster.connect(asked);
                let mut done = 0;
                while done < EACH {
                    client.expect_line(&format!("WATCH {key}"), "OK");
                    let count: usize = client.ask_line(&format!("GET {key}")).parse().unwrap_or(0);
                    client.expect_line("MULTI", "OK");
                    client.expect_line(&format!("SET {key} {}", count + 1), "QUEUED");
                    match client.ask_line("EXEC").as_str() {
                        "OK" => done += 1,
                        "(null)" => {}
                        other => panic!("{other}"),
                    }
                }
            });
        }
    });
    cluster.connect(0).expect(&format!("GET {key}"), &(3 * EACH).to_string());
}
