//! The memory limit: what counts, who is refused, which keys go, and that nobody waits for it.

mod support;

use std::process::Command;

use support::cluster::{Cluster, ask_array};
use support::reference::Reference;
use support::{Client, Server, alone, root, show, together, wait_for};

const OOM: &str = "(error) OOM command not allowed when used memory > 'maxmemory'.";

const MIB: u64 = 1 << 20;

/// Under a flood no more than this is used beyond the limit.
const MARGIN: u64 = MIB;

/// What counts for the limit.
fn counted(client: &mut Client) -> u64 {
    client.info("used_memory") - client.info("mem_not_counted_for_evict")
}

/// Requests that store values of very different lengths under new keys, and how many.
fn mixed(from: usize, bytes: usize, ends: bool) -> (Vec<u8>, usize) {
    let (mut requests, mut count) = (Vec::new(), 0);
    while requests.len() < bytes {
        let number = from + count;
        let draw = number.wrapping_mul(0x9E37_79B9) >> 8;
        let length = match draw % 100 {
            0 => 100_000 + draw % 300_000,
            1..5 => 4_000 + draw % 50_000,
            5..30 => 200 + draw % 3_800,
            _ => 16 + draw % 184,
        };
        let name =
            if ends { format!("SETEX key:{number} {} ", 1000 + draw % 1000) } else { format!("SET key:{number} ") };
        requests.extend(name.bytes());
        requests.resize(requests.len() + length, b'v');
        requests.push(b'\n');
        count += 1;
    }
    (requests, count)
}

/// Stores so many mixed values; all must be stored.
fn flood(client: &mut Client, from: usize, bytes: usize, ends: bool) -> usize {
    let (requests, count) = mixed(from, bytes, ends);
    let replies = client.converse(&requests, 4 * count);
    assert!(replies == b"OK\r\n".repeat(count), "{}", show(&replies));
    count
}

#[test]
fn a_flood_of_mixed_sizes_stays_under_the_limit() {
    const LIMIT: u64 = 64 * MIB;
    let _machine = alone();
    for policy in [
        "allkeys-lru",
        "allkeys-lfu",
        "allkeys-random",
        "volatile-lru",
        "volatile-lfu",
        "volatile-ttl",
        "volatile-random",
    ] {
        let server = Server::start(&["--maxmemory", "64mb", "--maxmemory-policy", policy]);
        let (mut client, mut number, mut most, mut kb) = (server.connect(), 0, 0, 0);
        for _ in 0..150 {
            number += flood(&mut client, number, MIB as usize, policy.starts_with("volatile"));
            most = most.max(counted(&mut client));
            kb = kb.max(server.resident_kb());
        }
        let (evicted, left) = (client.info("evicted_keys"), client.ask("DBSIZE"));
        println!("{policy}: {number} keys set, {evicted} evicted, {left} left; at most {most} bytes, {kb} kB resident");
        assert!(most <= LIMIT + MARGIN, "{policy}: {most} bytes were used");
        assert!(counted(&mut client) > LIMIT / 8 * 7, "{policy}: more went than had to");
        assert!((kb as u64) << 10 <= LIMIT / 4 * 5, "{policy}: {kb} kB are resident");
        assert_eq!(evicted + left.parse::<u64>().expect("a number"), number as u64, "{policy}");
    }
}

#[test]
fn without_eviction_writes_are_refused_and_reads_answered() {
    let _machine = together();
    let server = Server::start(&["--maxmemory", "4mb"]);
    let mut client = server.connect();
    let value = "v".repeat(100_000);
    let stored = (0..100).take_while(|number| client.ask(&format!("SET key{number} {value}")) == "OK").count();
    assert!((20..50).contains(&stored), "{stored} values were stored");
    client.expect("SET k v", OOM);
    client.expect("STRLEN key0", "100000");
    client.expect("APPEND key0 x", OOM);
    client.expect("MSET a b c d", OOM);
    client.expect("INCR n", OOM);
    client.expect("RENAME key0 renamed", "OK");
    client.expect("EXPIRE renamed 1000", "1");
    client.expect("CONFIG SET maxmemory-policy volatile-ttl", "OK");
    client.expect("SET k v", "OK");
    client.expect("EXISTS renamed k", "1");
    client.expect("SET k v", "OK");
    client.expect("CONFIG SET maxmemory 1mb", "OK");
    client.expect("SET k v", OOM);
    // Queued requests take memory as well, whatever they are.
    client.expect_line("MULTI", "OK");
    client.expect_line("GET k", OOM);
    client.expect_line("EXEC", "(error) EXECABORT Transaction discarded because of previous errors.");
    client.expect_line("CONFIG SET maxmemory 0", "OK");
    client.expect_line("MULTI", "OK");
    client.expect_line("GET k", "QUEUED");
    client.expect_line("SET k w", "QUEUED");
    let mut other = server.connect();
    other.expect("CONFIG SET maxmemory 1mb", "OK");
    let error = format!("(error) EXECABORT Transaction discarded because of: {}", OOM.trim_start_matches("(error) "));
    client.expect_line("EXEC", &error);
    client.expect("GET k", "v");
    assert!(client.info("current_eviction_exceeded_time") <= client.info("total_eviction_exceeded_time"));
    for number in 1..stored {
        client.expect(&format!("DEL key{number}"), "OK");
    }
    client.expect("SET k v", "OK");
    wait_for("the time beyond the limit to end", || client.info("current_eviction_exceeded_time") == 0);
}

#[test]
fn a_lower_limit_is_worked_down_bit_by_bit() {
    let _machine = alone();
    let server = Server::start(&["--maxmemory", "1gb", "--maxmemory-policy", "allkeys-lru"]);
    let mut client = server.connect();
    for thousands in 0..400 {
        let requests: String = (0..1000).map(|number| format!("SET key:{thousands}:{number} {:0100}\n", 0)).collect();
        assert_eq!(client.converse(requests.as_bytes(), 4000), b"OK\r\n".repeat(1000));
    }
    let full = counted(&mut client);
    client.expect("CONFIG RESETSTAT", "OK");
    let (turns, cpu_ms) = (client.info("turns"), server.cpu_ms());
    client.expect(&format!("CONFIG SET maxmemory {}", full / 4), "OK");
    // Whoever writes meanwhile is not refused.
    client.expect("SET new value", "OK");
    wait_for("the limit to be kept", || counted(&mut client) <= full / 4);
    let (turns, cpu_ms) = (client.info("turns") - turns, server.cpu_ms() - cpu_ms);
    let (worst_us, evicted) = (client.info("turn_worst_us"), client.info("evicted_keys"));
    let turn_ms = cpu_ms / turns as f64;
    println!("{evicted} keys in {turns} turns of {turn_ms:.3} ms, the longest {worst_us} us");
    assert!(turns > 100 && turn_ms < 1.0, "{turns} turns of {turn_ms} ms");
    // By the clock a turn may be longer than it is by the processor, where the machine is busy.
    assert!(worst_us < 40_000, "a turn of {worst_us} us");
    assert!(counted(&mut client) > full / 5, "more went than had to");
}

#[test]
fn a_value_beyond_the_limit_is_refused() {
    let _machine = alone();
    // The value itself is what the client holds until it is stored.
    let options = ["--maxmemory", "32mb", "--maxmemory-policy", "allkeys-lru", "--maxmemory-clients", "0"];
    let server = Server::start(&options);
    let (mut client, mut other) = (server.connect(), server.connect());
    other.expect("SET small value", "OK");
    let value = "v".repeat(64 << 20);
    client.send(format!("*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n${}\r\n{value}\r\n", value.len()));
    assert_eq!(client.line(), OOM.replace("(error) ", "-"));
    other.expect("SET small value", "OK");
    other.expect("EXISTS big", "0");
    other.expect("GET small", "value");
    wait_for("what was received to be given back", || counted(&mut other) < 2 * MIB);
    // What is being received counts as well, and makes the keys go that are there.
    flood(&mut other, 0, 40 << 20, false);
    assert!(counted(&mut other) > 28 * MIB);
    client.send(format!("*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n${}\r\n{}", 24 << 20, &value[..20 << 20]));
    wait_for("keys to go", || {
        let (all, dataset) = (counted(&mut other), other.info("used_memory_dataset"));
        all <= 32 * MIB + MARGIN && dataset < 14 * MIB
    });
    client.send(format!("{}\r\n", &value[..4 << 20]));
    assert_eq!(client.line(), "+OK");
    assert!(counted(&mut other) <= 32 * MIB + MARGIN);
}

#[test]
fn a_transaction_notices_that_a_watched_key_was_evicted() {
    let _machine = together();
    let server = Server::start(&["--maxmemory-policy", "allkeys-random"]);
    let (mut client, mut other) = (server.connect(), server.connect());
    for transaction in ["GET there", "SET there again"] {
        client.expect_line("SET there value", "OK");
        client.expect_line("WATCH there missing", "OK");
        other.expect("CONFIG SET maxmemory 1", "OK");
        wait_for("the key to go", || other.ask("EXISTS there") == "0");
        other.expect("CONFIG SET maxmemory 0", "OK");
        client.expect_line("MULTI", "OK");
        client.expect_line(transaction, "QUEUED");
        client.expect_line("EXEC", "(null)");
    }
    assert_eq!(other.info("evicted_keys"), 2);
}

#[test]
fn what_is_known_of_use_is_told() {
    let _machine = together();
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.expect("SET k v", "OK");
    let note =
        "Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.";
    let freq = format!("(error) An LFU maxmemory policy is not selected, access frequency not tracked. {note}");
    for policy in ["noeviction", "allkeys-lru", "volatile-ttl"] {
        client.expect(&format!("CONFIG SET maxmemory-policy {policy}"), "OK");
        client.expect("OBJECT FREQ k", &freq);
        client.expect("OBJECT FREQ none", "(null)");
    }
    client.expect("CONFIG SET maxmemory-policy volatile-lfu", "OK");
    client.expect(
        "OBJECT IDLETIME k",
        &format!("(error) An LFU maxmemory policy is selected, idle time not tracked. {note}"),
    );
    client.expect("OBJECT FREQ k", "5");
    client.expect("SET new v", "OK");
    client.expect("OBJECT FREQ new", "5");
    client.expect("GET new", "v");
    client.expect("OBJECT FREQ new", "6");
    for asking in ["TTL new", "EXISTS new", "TYPE new", "OBJECT ENCODING new", "MEMORY USAGE new"] {
        client.ask(asking);
        client.expect("OBJECT FREQ new", "6");
    }
    for _ in 0..1000 {
        client.expect("GET new", "v");
    }
    let often: u8 = client.ask("OBJECT FREQ new").parse().expect("a number");
    assert!((13..28).contains(&often), "{often}");
    client.expect("CLIENT NO-TOUCH on", "OK");
    client.expect("SET quiet v", "OK");
    client.expect("GET quiet", "v");
    client.expect("OBJECT FREQ quiet", "5");
    client.expect("TOUCH quiet", "1");
    client.expect("OBJECT FREQ quiet", "6");
    client.expect("CLIENT NO-TOUCH off", "OK");

    client.expect("CONFIG SET maxmemory-policy allkeys-lru", "OK");
    client.expect("GET k", "v");
    client.expect("OBJECT IDLETIME k", "0");
    wait_for("a key to be idle", || client.ask("OBJECT IDLETIME k") != "0");
    client.expect("GET k", "v");
    client.expect("OBJECT IDLETIME k", "0");
    client.expect("OBJECT IDLETIME none", "(null)");
}

#[test]
fn the_owner_of_a_key_decides_whether_there_is_memory() {
    let _machine = together();
    let mut cluster = Cluster::prepare(2);
    cluster.launch(0);
    let full = cluster.start_of(1, &["--maxmemory", "1"]).start();
    cluster.put(1, full);
    cluster.wait_until_formed();
    let (mut open, mut full) = (cluster.connect(0), cluster.connect(1));
    let (of_open, of_full) = (cluster.key_of(0, 1), cluster.key_of(1, 1));
    for client in [&mut open, &mut full] {
        client.expect(&format!("SET {of_open} v"), "OK");
        client.expect(&format!("SET {of_full} v"), OOM);
        client.expect(&format!("GET {of_full}"), "(null)");
    }
    open.expect_line("MULTI", "OK");
    open.expect_line(&format!("SET {of_full} v"), "QUEUED");
    let error = format!("(error) EXECABORT Transaction discarded because of: {}", OOM.trim_start_matches("(error) "));
    open.expect_line("EXEC", &error);
    let error = ask_array(&mut open, &["MSET", &of_open, "w", &of_full, "w"]);
    assert!(error.starts_with("-OOM "), "{error}");
}

#[test]
fn as_many_accesses_hit_as_with_redis() {
    let _machine = alone();
    if Reference::start().is_none() || !support::need("python3") {
        return;
    }
    let mut command = Command::new(root().join("scripts/hit_ratio.py"));
    command.arg("--memento").arg(support::program());
    // A short trace scatters by a few tenths of a percent.
    command.args(["--traces", "zipf", "--keys", "20000", "--accesses", "200000", "--sets", "0", "--margin", "2"]);
    command.args(["--policies", "allkeys-lru,allkeys-lfu,volatile-lru,volatile-lfu,volatile-ttl"]);
    // It takes longer than others may, and ends by itself where a server does not answer.
    let output = command.output().expect("to run the script");
    let [table, error] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    println!("{table}{error}");
    assert!(output.status.success(), "{table}{error}");
}
