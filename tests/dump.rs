//! Keys that move between memento and the real Redis, both ways, by DUMP and RESTORE: through the crate `redis`, which
//! minds no byte, and through redis-cli in a pipe.

mod support;

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use memento::dump::seal;
use redis::{Connection, RedisResult};
use support::cluster::Cluster;
use support::reference::Reference;
use support::{Server, need, together};

fn connect(address: SocketAddr) -> Connection {
    redis::Client::open(format!("redis://{address}/")).expect("a client").get_connection().expect("a connection")
}

fn ask<T: redis::FromRedisValue>(con: &mut Connection, words: &[&[u8]]) -> RedisResult<T> {
    let mut request = redis::cmd(std::str::from_utf8(words[0]).expect("a name"));
    request.arg(&words[1..]).query(con)
}

/// Values of all the forms that a payload has.
fn values() -> Vec<Vec<u8>> {
    let mut values: Vec<Vec<u8>> = vec![b"\0\r\n\xff two  words ".to_vec(), (0..=255).collect()];
    for number in
        [0, 1, -1, 127, 128, -128, -129, 32_767, -32_769, 2_147_483_647, -2_147_483_648, 2_147_483_648, i64::MIN]
    {
        values.push(number.to_string().into_bytes());
    }
    values.extend(["007", "+1", "-0", "12345678901234567890", ""].map(|text| text.as_bytes().to_vec()));
    // Random bytes (splitmix64, Steele et al., OOPSLA 2014), which nobody can pack, and others.
    let mut state = 1u64;
    let mut random = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ state >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB) as u8
    };
    for length in [1, 20, 63, 64, 4096, 4097, 16_383, 16_384, 70_000, 1_000_000] {
        values.push((0..length).map(|_| random()).collect());
        values.push(vec![b'v'; length]);
        values.push(b"some words again and ".iter().copied().cycle().take(length).collect());
        values.push((0..length).map(|_| random() % 4).collect());
    }
    values
}

/// Moves all values from one to the other; how many of them were packed.
fn move_all(from: &mut Connection, to: &mut Connection) -> usize {
    let mut packed = 0;
    for (number, value) in values().iter().enumerate() {
        let key = format!("key:{number}").into_bytes();
        let _: () = ask(from, &[b"SET", &key, value]).expect("OK");
        let payload: Vec<u8> = ask(from, &[b"DUMP", &key]).expect("a payload");
        packed += usize::from(payload[1] == 0xC3);
        let _: () = ask(to, &[b"DEL", &key]).expect("a number");
        let _: () = ask(to, &[b"RESTORE", &key, b"5000000", &payload]).expect("OK");
        let got: Vec<u8> = ask(to, &[b"GET", &key]).expect("a value");
        assert!(got == *value, "value {number} of {} bytes came as {} bytes", value.len(), got.len());
        let left_ms: i64 = ask(to, &[b"PTTL", &key]).expect("a time");
        assert!((4_900_000..=5_000_000).contains(&left_ms), "{left_ms} ms");
        let error = ask::<()>(to, &[b"RESTORE", &key, b"0", &payload]).expect_err("the key is there");
        assert_eq!(error.code(), Some("BUSYKEY"), "{error}");
        let _: () = ask(to, &[b"RESTORE", &key, b"0", &payload, b"REPLACE"]).expect("OK");
        assert_eq!(ask::<i64>(to, &[b"PTTL", &key]).expect("a time"), -1);
        // Whoever has packed it, the other says the same of it.
        let encoding: String = ask(to, &[b"OBJECT", b"ENCODING", &key]).expect("a word");
        assert_eq!(encoding, ask::<String>(from, &[b"OBJECT", b"ENCODING", &key]).expect("a word"), "value {number}");
    }
    packed
}

#[test]
fn values_move_between_redis_and_memento() {
    let _machine = together();
    let Some(redis) = Reference::start() else { return };
    let (server, cluster) = (Server::start(&[]), Cluster::start(3));
    let mut redis = connect(redis.address());
    // Through one node of the cluster: most of the keys are another one's.
    for address in [server.address(), cluster.address(1)] {
        let mut memento = connect(address);
        assert!(move_all(&mut redis, &mut memento) > 20, "Redis has packed too few for this to be a test");
        assert_eq!(move_all(&mut memento, &mut redis), 0);
    }
}

/// The bytes that redis-cli writes for this request, or for one whose last word it reads from its standard input.
fn redis_cli(address: SocketAddr, options: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("timeout")
        .args(["60", "redis-cli", "-h", &address.ip().to_string(), "-p", &address.port().to_string()])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("to start redis-cli");
    child.stdin.take().expect("a pipe").write_all(input).expect("to write");
    child.wait_with_output().expect("its output").stdout
}

#[test]
fn redis_cli_moves_a_key() {
    let _machine = together();
    if !need("redis-cli") {
        return;
    }
    let Some(redis) = Reference::start() else { return };
    let server = Server::start(&[]);
    let value = b"words, words, words, words, words\0and\xff more of them".repeat(20);
    for (from, to) in [(redis.address(), server.address()), (server.address(), redis.address())] {
        assert_eq!(redis_cli(from, &["-x", "SET", "moved"], &value), b"OK\n");
        let mut payload = redis_cli(from, &["--raw", "DUMP", "moved"], b"");
        assert_eq!(payload.pop(), Some(b'\n'));
        assert_eq!(redis_cli(to, &["DEL", "moved"], b"").last(), Some(&b'\n'));
        assert_eq!(redis_cli(to, &["-x", "RESTORE", "moved", "0"], &payload), b"OK\n");
        let mut got = redis_cli(to, &["--raw", "GET", "moved"], b"");
        assert_eq!(got.pop(), Some(b'\n'));
        assert!(got == value, "{} bytes came as {}", value.len(), got.len());
    }
}

#[test]
fn what_is_too_long_is_refused() {
    const BYTES_MAX: usize = 4 << 20;
    let _machine = support::alone();
    let server = Server::start(&[]);
    let (mut con, mut client) = (connect(server.address()), server.connect());
    let _: () = ask(&mut con, &[b"SET", b"k", &vec![b'v'; BYTES_MAX]]).expect("OK");
    client.expect("CONFIG RESETSTAT", "OK");
    let payload: Vec<u8> = ask(&mut con, &[b"DUMP", b"k"]).expect("a payload");
    let _: () = ask(&mut con, &[b"RESTORE", b"other", b"0", &payload]).expect("OK");
    // As much as can be, of as few bytes as can be.
    let mut packed = vec![0, b'v'];
    (0..BYTES_MAX / 264).for_each(|_| packed.extend([0xE0, 0xFF, 0]));
    let length = 1 + BYTES_MAX / 264 * 264;
    let restore = |con: &mut Connection, length: usize| {
        let mut payload = vec![0, 0xC3, 0x80];
        payload.extend((packed.len() as u32).to_be_bytes());
        payload.push(0x80);
        payload.extend((length as u32).to_be_bytes());
        payload.extend(&packed);
        payload.extend(seal(&payload));
        ask::<()>(con, &[b"RESTORE", b"packed", b"0", &payload, b"REPLACE"])
    };
    restore(&mut con, length).expect("OK");
    assert_eq!(ask::<usize>(&mut con, &[b"STRLEN", b"packed"]).expect("a length"), length);
    let turn_worst_ms = client.info("turn_worst_us") as f64 / 1000.0;
    println!("the longest turn {turn_worst_ms:.2} ms");
    assert!(turn_worst_ms < 100.0, "a turn of {turn_worst_ms} ms");

    let refused = format!("DUMP and RESTORE take values of at most {BYTES_MAX} bytes");
    let is_refused = |error: redis::RedisError| assert!(error.to_string().contains(&refused), "{error}");
    is_refused(restore(&mut con, BYTES_MAX + 1).expect_err("too long"));
    let resident_kb = server.resident_kb();
    // More than its bytes can become is not believed, nor is there memory taken for it.
    let error = restore(&mut con, 500 << 20).expect_err("too much");
    assert!(error.to_string().contains("Bad data format"), "{error}");
    assert!(server.resident_kb() - resident_kb < 1024);
    client.expect("APPEND k w", "OK");
    is_refused(ask::<()>(&mut con, &[b"DUMP", b"k"]).expect_err("too long"));
    let mut payload = vec![0, 0x80];
    payload.extend((BYTES_MAX as u32 + 1).to_be_bytes());
    payload.resize(payload.len() + BYTES_MAX + 1, b'v');
    payload.extend(seal(&payload));
    is_refused(ask::<()>(&mut con, &[b"RESTORE", b"new", b"0", &payload]).expect_err("too long"));
    client.expect("EXISTS new", "0");
}

#[test]
fn what_is_known_of_use_moves_as_well() {
    let _machine = together();
    let payload = b"\x00\x01a\x0a\x00\xbf\xfe\xef\x9b\x8f\x36\x7d\xb4";
    let restore = |policy: &str, option: &[u8], number: &[u8], about: &[u8], wanted: std::ops::RangeInclusive<i64>| {
        let server = Server::start(&["--maxmemory-policy", policy]);
        let mut con = connect(server.address());
        // The clock of use begins with the server, and what is longer ago is not told apart.
        support::wait_for("the number that was given", || {
            let words: [&[u8]; 7] = [b"RESTORE", b"k", b"0", payload, b"REPLACE", option, number];
            ask::<()>(&mut con, &words).expect("OK");
            wanted.contains(&ask(&mut con, &[b"OBJECT", about, b"k"]).expect("a number"))
        });
    };
    restore("allkeys-lfu", b"FREQ", b"77", b"FREQ", 77..=77);
    restore("allkeys-lfu", b"IDLETIME", b"77", b"FREQ", 5..=5);
    restore("allkeys-lru", b"IDLETIME", b"2", b"IDLETIME", 2..=4);
    restore("allkeys-lru", b"FREQ", b"200", b"IDLETIME", 0..=0);
}
