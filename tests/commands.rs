//! A case for every row of the command table, and a row for every case.
//!
//! A new command gets a line in `CASES` and a function, below or in a file of tests/commands/, which sends the command
//! its good and its wrong arguments. The words of the errors are Redis 7.0's.

#[path = "commands/bits.rs"]
mod bits_cases;
#[path = "commands/cluster.rs"]
mod cluster_cases;
#[path = "commands/connection.rs"]
mod connection_cases;
#[path = "commands/keys.rs"]
mod keys_cases;
#[path = "commands/publish.rs"]
mod publish_cases;
#[path = "commands/snapshot.rs"]
mod snapshot_cases;
#[path = "commands/strings.rs"]
mod string_cases;
mod support;

use std::collections::BTreeSet;

use memento::command::COMMANDS;
use support::cluster::Cluster;
use support::{Client, Server, now_ms, wait_for};

/// A row's name and its case, which gets a server of its own.
type Case = (&'static str, fn(&mut Server));

const CASES: &[Case] = &[
    ("ACL", acl),
    ("APPEND", append),
    ("ASKING", cluster_cases::asking),
    ("AUTH", connection_cases::auth),
    ("BGSAVE", snapshot_cases::bgsave),
    ("BITCOUNT", bits_cases::bitcount),
    ("BITFIELD", bits_cases::bitfield),
    ("BITFIELD_RO", bits_cases::bitfield_ro),
    ("BITOP", bits_cases::bitop),
    ("BITPOS", bits_cases::bitpos),
    ("CLIENT", connection_cases::client),
    ("DISCARD", connection_cases::discard),
    ("EXEC", connection_cases::exec),
    ("HELLO", connection_cases::hello),
    ("MULTI", connection_cases::multi),
    ("RESET", connection_cases::reset),
    ("SELECT", connection_cases::select),
    ("UNWATCH", connection_cases::unwatch),
    ("WATCH", connection_cases::watch),
    ("CLUSTER", cluster_cases::cluster),
    ("CLUSTERINFO", cluster_cases::clusterinfo),
    ("COMMAND", command),
    ("COPY", keys_cases::copy),
    ("CONFIG", config),
    ("DBSIZE", dbsize),
    ("DEBUG", debug),
    ("DEC", dec),
    ("DECF", decf),
    ("DECR", string_cases::decr),
    ("DECRBY", string_cases::decrby),
    ("DEL", del),
    ("DELIFEQ", string_cases::delifeq),
    ("DUMP", keys_cases::dump),
    ("ECHO", echo),
    ("EXISTS", exists),
    ("EXIT", exit),
    ("EXPIRE", expire),
    ("EXPIREAT", keys_cases::expireat),
    ("EXPIRETIME", keys_cases::expiretime),
    ("FLUSH", flush),
    ("FLUSHALL", keys_cases::flushall),
    ("FLUSHDB", keys_cases::flushdb),
    ("GET", get),
    ("GETBIT", bits_cases::getbit),
    ("GETDEL", string_cases::getdel),
    ("GETEX", string_cases::getex),
    ("GETP", getp),
    ("GETRANGE", string_cases::getrange),
    ("GETSET", getset),
    ("INC", inc),
    ("INCF", incf),
    ("INCR", string_cases::incr),
    ("INCRBY", string_cases::incrby),
    ("INCRBYFLOAT", string_cases::incrbyfloat),
    ("INFO", info),
    ("KEYS", keys),
    ("LASTSAVE", snapshot_cases::lastsave),
    ("LCS", string_cases::lcs),
    ("LATENCY", latency),
    ("MEMORY", memory),
    ("MGET", mget),
    ("MONITOR", publish_cases::monitor),
    ("MSET", mset),
    ("MSETNX", string_cases::msetnx),
    ("OBJECT", keys_cases::object),
    ("PERSIST", persist),
    ("PEXPIRE", pexpire),
    ("PEXPIREAT", keys_cases::pexpireat),
    ("PEXPIRETIME", keys_cases::pexpiretime),
    ("PING", ping),
    ("PREPEND", prepend),
    ("PSETEX", psetex),
    ("PSUBSCRIBE", publish_cases::psubscribe),
    ("PTTL", pttl),
    ("PUBLISH", publish_cases::publish),
    ("PUBSUB", publish_cases::pubsub),
    ("PUNSUBSCRIBE", publish_cases::punsubscribe),
    ("QUIT", quit),
    ("RANDOMKEY", keys_cases::randomkey),
    ("READONLY", cluster_cases::readonly),
    ("READWRITE", cluster_cases::readwrite),
    ("RENAME", keys_cases::rename),
    ("RENAMENX", keys_cases::renamenx),
    ("RESTORE", keys_cases::restore),
    ("SAVE", snapshot_cases::save),
    ("SCAN", scan),
    ("SET", set),
    ("SETBIT", bits_cases::setbit),
    ("SETEX", setex),
    ("SETNX", setnx),
    ("SETRANGE", string_cases::setrange),
    ("SHUTDOWN", shutdown),
    ("SLOWLOG", slowlog),
    ("STRLEN", strlen),
    ("SUBSCRIBE", publish_cases::subscribe),
    ("SUBSTR", string_cases::substr),
    ("TIME", time),
    ("TOUCH", keys_cases::touch),
    ("TTL", ttl),
    ("TYPE", keys_cases::kind),
    ("UNLINK", keys_cases::unlink),
    ("UNSUBSCRIBE", publish_cases::unsubscribe),
];

const NOT_INTEGER: &str = "(error) value is not an integer or out of range";
const NOT_FLOAT: &str = "(error) value is not a valid float";
const OVERFLOW: &str = "(error) increment or decrement would overflow";
const SYNTAX: &str = "(error) syntax error";

#[test]
fn every_row_has_a_case() {
    let rows: BTreeSet<String> = COMMANDS.iter().map(|row| row.name().to_uppercase()).collect();
    let cases: BTreeSet<String> = CASES.iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(rows.len(), COMMANDS.len(), "a name stands in two rows");
    assert_eq!(cases.len(), CASES.len(), "a name has two cases");
    let without_case: Vec<_> = rows.difference(&cases).collect();
    let without_row: Vec<_> = cases.difference(&rows).collect();
    assert!(without_case.is_empty() && without_row.is_empty(), "no case: {without_case:?}, no row: {without_row:?}");
}

#[test]
fn every_case_holds() {
    let _machine = support::together();
    let mut failed = Vec::new();
    for (name, case) in CASES {
        // Each runs to its end, so that one run tells of all that is wrong.
        let outcome = std::panic::catch_unwind(|| case(&mut Server::start(&[])));
        if outcome.is_err() {
            failed.push(*name);
        }
    }
    assert!(failed.is_empty(), "failed, with the reasons above: {failed:?}");
}

/// Their cases tell of a node alone: of its clients, its settings, its figures, its end, or its share of a walk.
const OF_A_NODE: &[&str] = &[
    "ASKING",
    "AUTH",
    "CLIENT",
    "CLUSTER",
    "CLUSTERINFO",
    "CONFIG",
    "DEBUG",
    "FLUSH",
    "HELLO",
    "INFO",
    "LATENCY",
    "MEMORY",
    "READONLY",
    "READWRITE",
    "RESET",
    "SCAN",
    "SHUTDOWN",
    "SLOWLOG",
];

/// Their cases have keys of several slots; with a tag they are tried in oracle.rs.
const OF_SEVERAL_SLOTS: &[&str] = &["BITOP", "COPY", "LCS", "MSETNX", "MULTI", "RENAME", "RENAMENX", "WATCH"];

#[test]
fn every_case_holds_through_every_node_of_a_cluster() {
    let _machine = support::together();
    let left_out = [OF_A_NODE, OF_SEVERAL_SLOTS].concat();
    assert!(left_out.iter().all(|name| CASES.iter().any(|(case, _)| case == name)), "{left_out:?}");
    let mut cluster = Cluster::start(3);
    let mut failed = Vec::new();
    for (name, case) in CASES.iter().filter(|(name, _)| !left_out.contains(name)) {
        for node in 0..cluster.len() {
            cluster.connect(node).expect("FLUSH", "OK");
            let server = cluster.node_mut(node);
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case(server))).is_err() {
                failed.push(format!("{name} through node {node}"));
            }
        }
    }
    assert!(failed.is_empty(), "failed, with the reasons above: {failed:?}");
}

/// Any case of the name finds the row, and so does none but the name.
#[test]
fn names_are_found_in_any_case() {
    let _machine = support::together();
    let server = Server::start(&[]);
    let mut client = server.connect();
    for row in COMMANDS {
        for name in [format!("{}x", row.name()), format!("x{}", row.name()), row.name()[1..].to_string()] {
            if !COMMANDS.iter().any(|row| row.name().eq_ignore_ascii_case(&name)) {
                client.expect(&format!("{name} a b"), "(Unknown command)");
            }
        }
    }
    client.expect("pInG", "PONG");
    client.expect("sEt k v", "OK");
}

/// Requests and what each answers, in their order on one connection.
#[track_caller]
fn check(client: &mut Client, cases: &[(&str, &str)]) {
    for (request, wanted) in cases {
        client.expect(request, wanted);
    }
}

/// These calls have a wrong number of arguments.
#[track_caller]
fn wrong_arity(client: &mut Client, calls: &[&str]) {
    for call in calls {
        let name = call.split(' ').next().expect("a name").to_ascii_lowercase();
        client.expect(call, &format!("(error) wrong number of arguments for '{name}' command"));
    }
}

fn set(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["SET", "SET k"]);
    check(client, &[("SET k v", "OK"), ("GET k", "v"), ("SET k a b  c", "OK"), ("GET k", "a b  c")]);
    // A new value has no expiry.
    check(client, &[("EXPIRE k 100", "1"), ("SET k w", "OK"), ("TTL k", "-1")]);
    // From nothing to longer than any buffer, and back.
    for length in [0, 1, 63, 64, 255, 256, 4095, 4096, 4097, 65_535, 65_536, 1_000_000, 3] {
        let value = "v".repeat(length);
        client.expect(&format!("SET k {value}"), "OK");
        client.expect("GET k", &value);
    }
    let key = "k".repeat(100_000);
    check(client, &[(&format!("SET {key} v"), "OK"), (&format!("GET {key}"), "v")]);
}

fn get(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["GET", "GET a b"]);
    check(client, &[("GET k", "(null)"), ("SET k v", "OK"), ("GET k", "v"), ("GET K", "(null)")]);
}

fn del(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["DEL"]);
    check(client, &[("DEL k", "(null)"), ("MSET a 1 b 2 c 3", "OK"), ("DEL a", "OK"), ("GET a", "(null)")]);
    check(client, &[("DEL a b c", "OK"), ("DBSIZE", "0"), ("DEL a b c", "(null)")]);
}

fn inc(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["INC", "INC k 1 2"]);
    check(client, &[("INC k", "1"), ("INC k 9", "10"), ("INC k -20", "-10"), ("GET k", "-10")]);
    check(client, &[("INC k x", NOT_INTEGER), ("INC k 1.5", NOT_INTEGER), ("GET k", "-10")]);
    check(client, &[("SET k 9223372036854775807", "OK"), ("INC k", OVERFLOW), ("GET k", "9223372036854775807")]);
    check(client, &[("SET k v", "OK"), ("INC k", NOT_INTEGER), ("GET k", "v")]);
}

fn dec(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["DEC", "DEC k 1 2"]);
    check(client, &[("DEC k", "-1"), ("DEC k 9", "-10"), ("DEC k -20", "10"), ("GET k", "10")]);
    check(client, &[("DEC k x", NOT_INTEGER), ("GET k", "10")]);
    check(client, &[("SET k -9223372036854775808", "OK"), ("DEC k", OVERFLOW), ("GET k", "-9223372036854775808")]);
    check(client, &[("SET k v", "OK"), ("DEC k", NOT_INTEGER), ("GET k", "v")]);
}

fn incf(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["INCF", "INCF k 1 2"]);
    check(client, &[("INCF k", "1"), ("INCF k 0.1", "1.1"), ("INCF k 0.2", "1.3"), ("GET k", "1.3")]);
    check(client, &[("INCF k x", NOT_FLOAT), ("INCF k nan", NOT_FLOAT), ("GET k", "1.3")]);
    check(client, &[("SET k v", "OK"), ("INCF k", NOT_FLOAT), ("GET k", "v")]);
}

fn decf(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["DECF", "DECF k 1 2"]);
    check(client, &[("DECF k", "-1"), ("DECF k 0.1", "-1.1"), ("DECF k -3.1", "2"), ("GET k", "2")]);
    check(client, &[("DECF k inf", NOT_FLOAT), ("GET k", "2"), ("SET k v", "OK"), ("DECF k", NOT_FLOAT)]);
}

fn getp(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["GETP", "GETP a b"]);
    client.expect("GETP k", "(null)");
    let before = now_ms() - 150;
    client.expect("SETEX k 50 a b", "OK");
    let answer = client.ask("GETP k");
    let fields: Vec<&str> = answer.split('\n').collect();
    assert_eq!(fields[..2], ["key: k", "value: a b"], "{answer}");
    let number = |line: &str, name: &str| line.strip_prefix(name).expect(name).parse::<u64>().expect("a time");
    let created = number(fields[2], "creation_time: ");
    let expires = number(fields[3], "expire_time: ");
    assert!((before..=now_ms() + 150).contains(&created), "{answer}");
    assert!((before..=now_ms() + 150).contains(&(expires - 50_000)), "{answer}");
    client.expect("PERSIST k", "1");
    assert_eq!(client.ask("GETP k").split('\n').nth(3), Some("expire_time: -1"));
}

fn append(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["APPEND", "APPEND k"]);
    check(client, &[("APPEND k a", "OK"), ("APPEND k b  c", "OK"), ("GET k", "ab  c"), ("EXPIRE k 100", "1")]);
    check(client, &[("APPEND k d", "OK"), ("TTL k", "100")]);
    client.expect("SET k ", "OK");
    let piece = "0123456789".repeat(100);
    for _ in 0..200 {
        client.expect(&format!("APPEND k {piece}"), "OK");
    }
    client.expect("GET k", &piece.repeat(200));
}

fn prepend(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["PREPEND", "PREPEND k"]);
    check(client, &[("PREPEND k c", "OK"), ("PREPEND k a b ", "OK"), ("GET k", "a b c"), ("EXPIRE k 100", "1")]);
    check(client, &[("PREPEND k x", "OK"), ("GET k", "xa b c"), ("TTL k", "100")]);
}

fn flush(server: &mut Server) {
    let client = &mut server.connect();
    check(client, &[("FLUSH", "OK"), ("MSET a 1 b 2", "OK"), ("SETEX c 100 3", "OK"), ("DBSIZE", "3")]);
    check(client, &[("FLUSH", "OK"), ("DBSIZE", "0"), ("GET a", "(null)"), ("SCAN 0", "0"), ("SET a 2", "OK")]);
    check(client, &[("GET a", "2"), ("DBSIZE", "1")]);
}

/// Nothing comes back, and the connection ends.
fn goodbye(server: &mut Server, request: &str) {
    let mut client = server.connect();
    client.send(format!("PING\r\n{request}\r\nPING\r\n"));
    assert_eq!(client.rest(), b"PONG\r\n");
    server.connect().expect("PING", "PONG");
}

fn quit(server: &mut Server) {
    goodbye(server, "QUIT");
}

fn exit(server: &mut Server) {
    goodbye(server, "EXIT");
}

fn ping(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["PING a b"]);
    check(client, &[("PING", "PONG"), ("PING hello", "hello")]);
}

fn echo(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["ECHO"]);
    check(client, &[("ECHO hello", "hello"), ("ECHO two  words ", "two  words "), ("ECHO ", "")]);
}

fn exists(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["EXISTS"]);
    check(client, &[("EXISTS k", "0"), ("SET k v", "OK"), ("EXISTS k", "1"), ("EXISTS k x k", "2")]);
}

fn strlen(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["STRLEN", "STRLEN a b"]);
    check(client, &[("STRLEN k", "0"), ("SET k four", "OK"), ("STRLEN k", "4"), ("SET k ", "OK"), ("STRLEN k", "0")]);
}

fn mget(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["MGET"]);
    check(
        client,
        &[("MGET a", "(null)"), ("MSET a 1 b 2", "OK"), ("MGET a", "1"), ("MGET b x a a", "2\n(null)\n1\n1")],
    );
}

fn mset(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["MSET", "MSET a", "MSET a 1 b"]);
    check(client, &[("DBSIZE", "0"), ("MSET a 1 b 2 a 3", "OK"), ("MGET a b", "3\n2"), ("EXPIRE a 100", "1")]);
    check(client, &[("MSET a 4", "OK"), ("TTL a", "-1")]);
}

fn setnx(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["SETNX", "SETNX k"]);
    check(client, &[("SETNX k a b", "1"), ("SETNX k c", "0"), ("GET k", "a b")]);
}

fn getset(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["GETSET", "GETSET k"]);
    check(
        client,
        &[("GETSET k a", "(null)"), ("EXPIRE k 100", "1"), ("GETSET k b c", "a"), ("GET k", "b c"), ("TTL k", "-1")],
    );
}

fn expire(server: &mut Server) {
    expires(server, "EXPIRE", "TTL", 1);
}

fn pexpire(server: &mut Server) {
    expires(server, "PEXPIRE", "PTTL", 1000);
}

fn expires(server: &mut Server, name: &str, left: &str, unit: i64) {
    let client = &mut server.connect();
    wrong_arity(client, &[name, &format!("{name} k")]);
    let mut call = |arguments: &str, wanted: &str| client.expect(&format!("{name} {arguments}"), wanted);
    call("k 100", "0");
    call("k x", NOT_INTEGER);
    call("k 1.5", NOT_INTEGER);
    client.expect("SET k v", "OK");
    let mut call = |arguments: &str, wanted: &str| client.expect(&format!("{name} {arguments}"), wanted);
    call("k x", NOT_INTEGER);
    call("k 100 FOO", "(error) Unsupported option FOO");
    for options in ["NX XX", "XX NX", "NX GT", "NX LT"] {
        let words = "(error) NX and XX, GT or LT options at the same time are not compatible";
        call(&format!("k 100 {options}"), words);
    }
    call("k 100 GT LT", "(error) GT and LT options at the same time are not compatible");
    let words = format!("(error) invalid expire time in '{}' command", name.to_ascii_lowercase());
    call("k 9223372036854775807", &words);
    // Without an expiry the key counts as living for ever.
    let n = |seconds: i64| seconds * unit;
    call(&format!("k {} XX", n(100)), "0");
    call(&format!("k {} GT", n(100)), "0");
    call(&format!("k {} NX", n(100)), "1");
    call(&format!("k {} NX", n(200)), "0");
    call(&format!("k {} gt", n(50)), "0");
    call(&format!("k {} GT", n(200)), "1");
    call(&format!("k {} LT", n(300)), "0");
    call(&format!("k {} lt", n(100)), "1");
    call(&format!("k {} XX", n(400)), "1");
    call(&format!("k {} XX GT", n(300)), "0");
    let time: i64 = client.ask(&format!("{left} k")).parse().expect("digits");
    assert!((n(395)..=n(400)).contains(&time), "{left} answers {time}");
    // In the past: the key is deleted.
    client.expect(&format!("{name} k -1"), "1");
    client.expect("EXISTS k", "0");
    check(client, &[("SET k v", "OK"), (&format!("{name} k 0"), "1"), ("GET k", "(null)"), ("DBSIZE", "0")]);
    // At its time it is gone.
    check(client, &[("SET k v", "OK"), (&format!("{name} k {}", unit.min(20)), "1")]);
    wait_for("the end of the key", || client.ask("GET k") == "(null)");
}

fn ttl(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["TTL", "TTL a b"]);
    check(client, &[("TTL k", "-2"), ("SET k v", "OK"), ("TTL k", "-1"), ("SETEX k 100 v", "OK"), ("TTL k", "100")]);
    // Rounded to the nearest second, as Redis does.
    check(client, &[("PSETEX k 100400 v", "OK"), ("TTL k", "100")]);
}

fn pttl(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["PTTL", "PTTL a b"]);
    check(client, &[("PTTL k", "-2"), ("SET k v", "OK"), ("PTTL k", "-1"), ("SETEX k 100 v", "OK")]);
    let left: i64 = client.ask("PTTL k").parse().expect("digits");
    assert!((95_000..=100_000).contains(&left), "{left}");
}

fn persist(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["PERSIST", "PERSIST a b"]);
    check(
        client,
        &[("PERSIST k", "0"), ("SET k v", "OK"), ("PERSIST k", "0"), ("EXPIRE k 100", "1"), ("PERSIST k", "1")],
    );
    check(client, &[("TTL k", "-1"), ("PERSIST k", "0"), ("GET k", "v")]);
}

fn setex(server: &mut Server) {
    sets_with_expiry(server, "SETEX", 100);
}

fn psetex(server: &mut Server) {
    sets_with_expiry(server, "PSETEX", 100_000);
}

fn sets_with_expiry(server: &mut Server, name: &str, time: i64) {
    let client = &mut server.connect();
    wrong_arity(client, &[name, &format!("{name} k"), &format!("{name} k 100")]);
    check(client, &[(&format!("{name} k {time} a  b"), "OK"), ("GET k", "a  b"), ("TTL k", "100")]);
    let words = format!("(error) invalid expire time in '{}' command", name.to_ascii_lowercase());
    for bad in ["0", "-1", "9223372036854775807"] {
        client.expect(&format!("{name} k {bad} new"), &words);
    }
    for bad in ["x", "1.5", "+1", "9223372036854775808"] {
        client.expect(&format!("{name} k {bad} new"), NOT_INTEGER);
    }
    check(client, &[("GET k", "a  b"), ("TTL k", "100")]);
}

/// The items of a list, in the order of their bytes.
fn sorted(answer: &str) -> Vec<&str> {
    let mut items: Vec<&str> = answer.split('\n').collect();
    items.sort_unstable();
    items
}

fn keys(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["KEYS", "KEYS a b"]);
    client.expect("KEYS *", "(empty)");
    client.expect("MSET hello 1 hallo 1 hxllo 1 heello 1 h*llo 1 other 1", "OK");
    let patterns: &[(&str, &[&str])] = &[
        ("*", &["h*llo", "hallo", "heello", "hello", "hxllo", "other"]),
        ("h?llo", &["h*llo", "hallo", "hello", "hxllo"]),
        ("h*llo", &["h*llo", "hallo", "heello", "hello", "hxllo"]),
        ("h[ae]llo", &["hallo", "hello"]),
        ("h[^e]llo", &["h*llo", "hallo", "hxllo"]),
        ("h[a-f]llo", &["hallo", "hello"]),
        ("h\\*llo", &["h*llo"]),
        ("other", &["other"]),
        ("HELLO", &["(empty)"]),
    ];
    for (pattern, wanted) in patterns {
        let answer = client.ask(&format!("KEYS {pattern}"));
        assert_eq!(sorted(&answer), *wanted, "KEYS {pattern}");
    }
}

fn scan(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["SCAN"]);
    check(client, &[("SCAN 0", "0"), ("SCAN x", "(error) invalid cursor"), ("SCAN 1.5", "(error) invalid cursor")]);
    check(client, &[("SCAN 0 COUNT 0", SYNTAX), ("SCAN 0 COUNT -1", SYNTAX), ("SCAN 0 COUNT x", NOT_INTEGER)]);
    check(client, &[("SCAN 0 MATCH", SYNTAX), ("SCAN 0 COUNT", SYNTAX), ("SCAN 0 FOO x", SYNTAX)]);
    let count = 3000;
    for number in 0..count {
        client.expect(&format!("SET key:{number} v"), "OK");
    }
    for options in ["", " COUNT 1000", " count 7 match key:*"] {
        let mut cursor = String::from("0");
        let mut found = BTreeSet::new();
        for turn in 0.. {
            assert!(turn < 100_000, "SCAN{options} does not end");
            let answer = client.ask(&format!("SCAN {cursor}{options}"));
            let mut items = answer.split('\n');
            cursor = items.next().expect("a cursor").to_string();
            found.extend(items.map(str::to_string));
            if cursor == "0" {
                break;
            }
        }
        assert_eq!(found.len(), count, "SCAN{options}");
    }
    // One call looks at no more than a turn's share of keys, whatever COUNT says.
    let first = client.ask("SCAN 0 COUNT 100000000");
    assert!(!first.starts_with("0\n") && first.split('\n').count() > 1000, "{first:.100}");
}

fn dbsize(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["DBSIZE x"]);
    check(client, &[("DBSIZE", "0"), ("MSET a 1 b 2", "OK"), ("DBSIZE", "2"), ("DEL a", "OK"), ("DBSIZE", "1")]);
}

fn time(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["TIME x"]);
    let before = now_ms();
    let answer = client.ask("TIME");
    let numbers: Vec<u64> = answer.split('\n').map(|line| line.parse().expect("digits")).collect();
    let [seconds, microseconds] = numbers[..] else { panic!("two lines, not {answer:?}") };
    assert!(microseconds < 1_000_000, "{answer:?}");
    let told = seconds * 1000 + microseconds / 1000;
    assert!((before - 150..=now_ms() + 150).contains(&told), "{answer:?} at {before}");
}

fn info(server: &mut Server) {
    let client = &mut server.connect();
    let all = client.ask("INFO");
    assert!(all.starts_with("# "), "{all:?}");
    for line in all.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, _) = line.split_once(':').unwrap_or_else(|| panic!("no field and value: {line:?}"));
        let plain = |char: char| char.is_ascii_alphanumeric() || char == '_';
        assert!(!name.is_empty() && name.chars().all(plain), "{line:?}");
    }
    let server_part = client.ask("INFO server");
    assert!(server_part.to_ascii_lowercase().starts_with("# server"), "{server_part:?}");
    assert!(server_part.len() < all.len(), "one section is as long as all");
    for field in ["redis_version:7.0.15", "memento_version:", "used_memory_rss:", "maxmemory:0", "role:master"] {
        assert!(all.contains(&format!("\n{field}")), "{field} in {all}");
    }
    // Sections come in their own order, and these two only when they are asked for.
    client.expect("SETEX k 100 v", "OK");
    client.expect("INCF k", NOT_FLOAT);
    client.expect("GET", "(error) wrong number of arguments for 'get' command");
    assert!(!client.ask("INFO default").contains("cmdstat_"));
    let some = client.ask("INFO keyspace COMMANDSTATS");
    let place = |text: &str| some.find(text).unwrap_or_else(|| panic!("{text} in {some}"));
    assert!(place("# Commandstats") < place("# Keyspace"), "{some}");
    place("cmdstat_setex:calls=1,");
    assert!(some.contains("cmdstat_get:calls=0,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=0"), "{some}");
    assert!(some.lines().any(|line| line.starts_with("cmdstat_incf:calls=1,") && line.ends_with("failed_calls=1")));
    let keyspace = client.ask("INFO keyspace");
    let left = keyspace.split("db0:keys=1,expires=1,avg_ttl=").nth(1).expect(&keyspace);
    assert!((90_000..=100_000).contains(&left.parse::<u32>().expect("digits")), "{keyspace}");
    for name in ["all", "EVERYTHING"] {
        let text = client.ask(&format!("INFO {name}"));
        assert!(
            text.contains("latency_percentiles_usec_setex:p50=") && text.contains("errorstat_ERR:count=2"),
            "{text}"
        );
    }
    // A section that does not exist is empty.
    client.expect("INFO nosuchsection", "");
}

fn command(server: &mut Server) {
    let client = &mut server.connect();
    client.expect("COMMAND COUNT", &COMMANDS.len().to_string());
    client.expect("COMMAND COUNT x", "(error) wrong number of arguments for 'command|count' command");
    let answer = client.ask("COMMAND LIST");
    let listed: BTreeSet<String> = answer.split('\n').map(str::to_ascii_lowercase).collect();
    let rows: BTreeSet<String> = COMMANDS.iter().map(|row| row.name().to_ascii_lowercase()).collect();
    assert_eq!(listed, rows);
    let whole = client.ask("COMMAND");
    for name in &rows {
        assert!(whole.split('\n').any(|line| line == name), "COMMAND does not tell of {name}");
    }
    // Name, arity, flags, first key, last key, step come first, as in Redis.
    let get = client.ask("COMMAND INFO get");
    let lines: Vec<&str> = get.split('\n').collect();
    assert_eq!(lines[..2], ["get", "2"], "{get}");
    assert!(lines.contains(&"readonly"), "{get}");
    client.expect("COMMAND INFO nosuch", "(null)");
    let sub = client.ask("COMMAND INFO config|get");
    assert!(sub.starts_with("config|get\n-3\nadmin\n0\n0\n0\n@admin"), "{sub}");
    client.expect("COMMAND LIST FILTERBY PATTERN *setnx", "msetnx\nsetnx");
    client.expect("COMMAND LIST FILTERBY MODULE x", "(empty)");
    check(client, &[("COMMAND LIST FILTERBY FOO x", SYNTAX), ("COMMAND LIST FOO", SYNTAX)]);
    let strings = client.ask("COMMAND LIST FILTERBY ACLCAT string");
    assert!(strings.contains("get\n") && !strings.contains("ping"), "{strings}");
    assert!(client.ask("COMMAND DOCS get nosuch").starts_with("get: summary: "), "a map in a map");
    client.expect("COMMAND GETKEYSANDFLAGS MSET a 1 b 2", "a\nRW\naccess\nupdate\nb\nRW\naccess\nupdate");
    client.expect("COMMAND GETKEYS MEMORY USAGE k", "k");
    client.expect("COMMAND GETKEYS PING x", "(error) The command has no key arguments");
    client.expect("COMMAND GETKEYS GET a b", "(error) Invalid number of arguments specified for command");
    client.expect("COMMAND GETKEYS SET k v", "k");
    client.expect("COMMAND GETKEYS MSET a 1 b 2", "a\nb");
    client.expect("COMMAND GETKEYS NOSUCH a", "(error) Invalid command specified");
    client.expect("COMMAND FOO", "(error) unknown subcommand 'FOO'. Try COMMAND HELP.");
}

fn acl(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["ACL"]);
    check(
        client,
        &[
            ("ACL WHOAMI", "default"),
            ("ACL WHOAMI x", "(error) wrong number of arguments for 'acl|whoami' command"),
            ("ACL LIST", "(error) unknown subcommand 'LIST'. Try ACL HELP."),
        ],
    );
    assert!(
        client.ask("ACL HELP").starts_with("ACL <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\nWHOAMI\n")
    );
}

fn config(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["CONFIG"]);
    let failed =
        |name: &str, why: &str| format!("(error) CONFIG SET failed (possibly related to argument '{name}') - {why}");
    let immutable = "can't set immutable config";
    check(
        client,
        &[
            ("CONFIG GET timeout", "timeout: 0"),
            (
                "CONFIG GET MAXCL* slowlog-max-len nosuch",
                "maxclients: 10000\nmaxclients-per-address: 0\nslowlog-max-len: 128",
            ),
            ("CONFIG GET nosuch", "(empty)"),
            ("CONFIG GET save", "save: "),
            ("CONFIG GET", "(error) wrong number of arguments for 'config|get' command"),
            ("CONFIG SET timeout", "(error) wrong number of arguments for 'config|set' command"),
            ("CONFIG SET timeout 1 x", SYNTAX),
            ("CONFIG SET nosuch 1", "(error) Unknown option or number of arguments for CONFIG SET - 'nosuch'"),
            ("CONFIG SET databases 2", &failed("databases", immutable)),
            ("CONFIG SET port 1", &failed("port", immutable)),
            ("CONFIG SET appendonly no maxmemory 0", "OK"),
            ("CONFIG SET timeout x", &failed("timeout", "argument couldn't be parsed into an integer")),
            ("CONFIG SET timeout -1", &failed("timeout", "argument must be between 0 and 2147483647 inclusive")),
            ("CONFIG SET timeout 1 timeout 2", &failed("timeout", "duplicate parameter")),
            // All or nothing.
            ("CONFIG SET timeout 7 port 1", &failed("port", immutable)),
            ("CONFIG GET timeout", "timeout: 0"),
            ("CONFIG SET Timeout 7 LOGLEVEL warning tcp-keepalive 20 maxclients 1", "OK"),
            ("CONFIG GET loglevel tcp-keepalive timeout", "loglevel: warning\ntcp-keepalive: 20\ntimeout: 7"),
            ("CONFIG REWRITE", "(error) The server is running without a config file"),
            ("CONFIG FOO", "(error) unknown subcommand 'FOO'. Try CONFIG HELP."),
        ],
    );
    assert!(server.connect().rest().starts_with(b"-ERR max number of clients reached"));
    // A client that was there before the timeout was set is closed too.
    client.expect("CONFIG SET timeout 1 maxclients 100", "OK");
    assert_eq!(client.rest(), b"");
    let client = &mut server.connect();
    client.expect("CONFIG SET timeout 0", "OK");
    client.expect("CONFIG RESETSTAT", "OK");
    let stats = client.ask("INFO stats errorstats commandstats");
    assert!(stats.contains("total_error_replies:0\n") && !stats.contains("errorstat_"), "{stats}");
    assert!(stats.contains("cmdstat_config|resetstat:calls=1,") && !stats.contains("config|get"), "{stats}");
    client.expect("PING", "PONG");
}

fn debug(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["DEBUG"]);
    assert!(client.ask("DEBUG SLEEP 0").starts_with("(error) DEBUG command not allowed. If the enable-debug-command"));
    let server = Server::start(&["--enable-debug-command", "yes"]);
    let client = &mut server.connect();
    client.expect("CONFIG GET enable-debug-command", "enable-debug-command: yes");
    let before = now_ms();
    client.expect("DEBUG SLEEP 0.05", "OK");
    assert!(now_ms() - before >= 49);
    let words = "(error) unknown subcommand or wrong number of arguments for 'FOO'. Try DEBUG HELP.";
    client.expect("DEBUG FOO", words);
    // What held up the server is seen in every figure of it.
    let lines = client.ask("SLOWLOG GET");
    let lines: Vec<&str> = lines.split('\n').collect();
    assert_eq!((lines[0], &lines[3..6]), ("0", &["DEBUG", "SLEEP", "0.05"][..]), "{lines:?}");
    assert!(lines[2].parse::<u64>().expect("digits") >= 50_000, "{lines:?}");
    let histogram = client.ask("LATENCY HISTOGRAM debug");
    assert!(histogram.starts_with("debug: calls: 2\nhistogram_usec: "), "{histogram}");
    assert!(client.ask("INFO memento").contains("turn_longest_usec:5"));
}

fn latency(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["LATENCY"]);
    client.expect("SET k v", "OK");
    let one = client.ask("LATENCY HISTOGRAM SET nosuch");
    assert!(one.starts_with("set: calls: 1\nhistogram_usec: ") && one.ends_with(": 1"), "{one}");
    assert!(client.ask("LATENCY HISTOGRAM").contains(&one));
    assert!(client.ask("LATENCY HISTOGRAM latency").starts_with("latency|histogram: calls: 2\n"));
    assert!(client.ask("LATENCY HISTOGRAM latency|histogram get").starts_with("latency|histogram: calls: 3\n"));
    check(
        client,
        &[
            ("LATENCY LATEST", "(empty)"),
            ("LATENCY HISTORY command", "(empty)"),
            ("LATENCY RESET", "0"),
            ("LATENCY GRAPH command", "(error) No samples available for event 'command'"),
            ("LATENCY DOCTOR", "(error) unknown subcommand 'DOCTOR'. Try LATENCY HELP."),
        ],
    );
}

fn memory(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["MEMORY"]);
    check(client, &[("MEMORY USAGE k", "(null)"), ("SET k v", "OK")]);
    let mut bytes = |call: &str| client.ask(call).parse::<usize>().expect(call);
    let small = bytes("MEMORY USAGE k");
    assert!((10..100).contains(&small), "{small}");
    assert_eq!(bytes("MEMORY USAGE k SAMPLES 0"), small);
    client.expect(&format!("SET k {}", "v".repeat(10_000)), "OK");
    let large: usize = client.ask("MEMORY USAGE k").parse().expect("digits");
    assert!((10_000..11_000).contains(&large), "{large}");
    check(
        client,
        &[
            ("MEMORY USAGE", "(error) wrong number of arguments for 'memory|usage' command"),
            ("MEMORY USAGE k SAMPLES", SYNTAX),
            ("MEMORY USAGE k SAMPLES -1", SYNTAX),
            ("MEMORY USAGE k SAMPLES x", NOT_INTEGER),
            ("MEMORY USAGE k FOO 1", SYNTAX),
            ("MEMORY FOO", "(error) unknown subcommand 'FOO'. Try MEMORY HELP."),
        ],
    );
    let stats = client.ask("MEMORY STATS");
    assert!(stats.starts_with("peak.allocated: ") && stats.contains("\nkeys.count: 1\n"), "{stats}");
}

fn slowlog(server: &mut Server) {
    let client = &mut server.connect();
    wrong_arity(client, &["SLOWLOG"]);
    client.expect("SLOWLOG GET", "(empty)");
    // In one write, since each request is in the log then: the marks of other answers as well.
    client.send("CONFIG SET slowlog-log-slower-than 0\nSET k a b\nSLOWLOG LEN\n");
    client.send("CONFIG SET slowlog-log-slower-than -1\n");
    assert_eq!([(); 4].map(|()| client.line()), ["OK", "OK", "2", "OK"]);
    client.expect("SLOWLOG LEN", "3");
    let lines = client.ask("SLOWLOG GET 2");
    let lines: Vec<&str> = lines.split('\n').collect();
    assert_eq!((lines[0], lines[3], lines[4]), ("2", "SLOWLOG", "LEN"), "{lines:?}");
    assert_eq!((lines[7], &lines[10..13]), ("1", &["SET", "k", "a b"][..]), "{lines:?}");
    let told: u64 = lines[1].parse().expect("a time");
    assert!(told.abs_diff(now_ms() / 1000) <= 2, "{lines:?}");
    let negative = "(error) count should be greater than or equal to -1";
    check(
        client,
        &[
            ("SLOWLOG GET -2", negative),
            ("SLOWLOG GET x", negative),
            ("SLOWLOG GET 0", "(empty)"),
            ("SLOWLOG GET 1 2", "(error) unknown subcommand or wrong number of arguments for 'get'. Try SLOWLOG HELP."),
            ("SLOWLOG RESET", "OK"),
            ("SLOWLOG LEN", "0"),
            ("SLOWLOG FOO", "(error) unknown subcommand 'FOO'. Try SLOWLOG HELP."),
        ],
    );
}

fn shutdown(server: &mut Server) {
    let client = &mut server.connect();
    check(client, &[("SHUTDOWN FOO", SYNTAX), ("SHUTDOWN NOSAVE SAVE", SYNTAX), ("SHUTDOWN ABORT NOW", SYNTAX)]);
    client.expect("SHUTDOWN ABORT", "(error) No shutdown in progress.");
    client.expect("SHUTDOWN SAVE", "(error) this server makes no snapshots, use SHUTDOWN NOSAVE");
    client.expect("SET k v", "OK");
    client.send("GET k\r\nSHUTDOWN nosave NOW force\r\nGET k\r\n");
    assert_eq!(client.rest(), b"v\r\n");
    assert_eq!(server.wait_exit().code(), Some(0));
}
