//! What a client announces is believed only as its bytes arrive, and what is no RESP is answered in Redis's words.

mod support;

use std::io::{ErrorKind, Read};
use std::time::Duration;

use support::reference::Reference;
use support::{Client, Server, alone, beside, show, together, wait_for};

/// So many clients announce what they do not send.
const LIARS: usize = 50;

/// A server that is to close does so within this time.
const CLOSES: Duration = Duration::from_secs(3);

/// All of them together may cost so much.
const GROWTH_KB_MAX: i64 = 4 * 1024;

/// What framing errors get, before the connection is closed. The last column: does Redis say the same?
const PROTOCOL_ERRORS: &[(&str, &str, bool)] = &[
    ("*x\r\n", "invalid multibulk length", true),
    ("*1x\r\n", "invalid multibulk length", true),
    ("* 1\r\n", "invalid multibulk length", true),
    ("*+1\r\n", "invalid multibulk length", true),
    ("*01\r\n", "invalid multibulk length", true),
    ("*1.0\r\n", "invalid multibulk length", true),
    ("*2147483648\r\n", "invalid multibulk length", true),
    ("*99999999999999999999\r\n", "invalid multibulk length", true),
    // Here memento takes less than Redis does.
    ("*1048577\r\n", "invalid multibulk length", false),
    ("*2147483647\r\n", "invalid multibulk length", false),
    ("*1\r\n4\r\nPING\r\n", "expected '$', got '4'", true),
    ("*1\r\n:4\r\nPING\r\n", "expected '$', got ':'", true),
    ("*1\r\n*1\r\n$4\r\nPING\r\n", "expected '$', got '*'", true),
    ("*1\r\nPING\r\n", "expected '$', got 'P'", true),
    ("*2\r\n$4\r\nECHO\r\nx\r\n", "expected '$', got 'x'", true),
    ("*1\r\n$x\r\n", "invalid bulk length", true),
    ("*1\r\n$-1\r\n", "invalid bulk length", true),
    ("*1\r\n$04\r\nPING\r\n", "invalid bulk length", true),
    ("*1\r\n$+4\r\nPING\r\n", "invalid bulk length", true),
    ("*1\r\n$536870913\r\n", "invalid bulk length", true),
    ("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$99999999999\r\n", "invalid bulk length", true),
];

/// What comes back until the server closes; a server that does not is told of at the end.
fn answer(mut client: Client, bytes: &[u8]) -> String {
    // The server may close before it has taken all of it.
    client.send_if_open(bytes);
    client.stream.set_read_timeout(Some(CLOSES)).expect("a deadline");
    let mut received = Vec::new();
    let open = match client.stream.read_to_end(&mut received) {
        Ok(_) => "",
        Err(error) if error.kind() == ErrorKind::ConnectionReset => "",
        Err(_) => " (still open)",
    };
    format!("{}{open}", show(&received))
}

#[test]
fn protocol_errors_have_redis_s_words_and_close() {
    let _machine = together();
    let server = Server::start(&[]);
    let redis = Reference::start();
    let long = |start: &str| format!("{start}{}", "1".repeat(70_000));
    let mut cases: Vec<(String, &str, bool)> =
        PROTOCOL_ERRORS.iter().map(|&(bytes, words, shared)| (bytes.to_string(), words, shared)).collect();
    cases.push((long("*"), "too big mbulk count string", true));
    cases.push((long("*1\r\n$"), "too big bulk count string", true));
    let mut wrong = Vec::new();
    for (bytes, words, shared) in &cases {
        let wanted = show(format!("-ERR Protocol error: {words}\r\n").as_bytes());
        let mut check = |who: &str, client: Client, before: &str, reply: &str| {
            let got = answer(client, format!("{before}{bytes}").as_bytes());
            if got != format!("{reply}{wanted}") {
                wrong.push(format!("{who} to {}: wanted {reply}{wanted}, got {got}", show(bytes.as_bytes())));
            }
        };
        // Alone, and behind a request that is whole, which is answered first.
        check("memento", server.connect(), "", "");
        check("memento", server.connect(), "*1\r\n$4\r\nPING\r\n", "+PONG\\r\\n");
        if *shared && let Some(redis) = &redis {
            check("redis", redis.connect(), "", "");
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    server.connect().expect("PING", "PONG");
}

#[test]
fn what_is_announced_costs_nothing_before_it_comes() {
    let _machine = alone();
    let server = Server::start(&[]);
    let mut bystander = server.connect();
    bystander.barrier();
    let before = server.resident_kb();
    let value = "v".repeat(10_000);
    let announcements = [
        "*1000000\r\n".to_string(),
        "*1000000\r\n$4\r\nMGET\r\n$1\r\nk\r\n$1\r\nk\r\n".to_string(),
        "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\n".to_string(),
        format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\n{value}"),
        "*2\r\n$3\r\nGET\r\n$536870912\r\n".to_string(),
        "*1\r\n$536870912\r\n".to_string(),
    ];
    for announcement in &announcements {
        let mut liars: Vec<Client> = (0..LIARS).map(|_| server.connect()).collect();
        for liar in &mut liars {
            liar.send(announcement);
        }
        bystander.barrier();
        let growth = server.resident_kb() - before;
        assert!(
            growth < GROWTH_KB_MAX,
            "{LIARS} times {:?} cost {growth} kB",
            &announcement[..announcement.len().min(60)]
        );
        bystander.expect("EXISTS k", "0");
    }
}

#[test]
fn a_large_value_is_received_where_it_stays() {
    let _machine = alone();
    const BYTES: usize = 100_000_000;
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.barrier();
    let before = server.peak_kb();
    let value: Vec<u8> = (0..BYTES).map(|index| (index % 251) as u8).collect();
    client.send(format!("*3\r\n$3\r\nSET\r\n$5\r\nlarge\r\n${BYTES}\r\n"));
    client.send(&value);
    client.send("\r\n");
    assert_eq!(client.line(), "+OK");
    client.send("*2\r\n$3\r\nGET\r\n$5\r\nlarge\r\n");
    assert_eq!(client.line(), format!("${BYTES}"));
    assert!(client.exactly(BYTES) == value, "the value came back changed");
    assert_eq!(client.exactly(2), b"\r\n");
    let growth = server.peak_kb() - before;
    // A copy would double it. What is left over pays for the slack that lets a value grow in place.
    let most = (BYTES as i64 * 13 / 10) / 1024 + 8 * 1024;
    assert!(growth < most, "a value of {} kB took {growth} kB at the peak", BYTES / 1024);
    assert!(growth > BYTES as i64 / 1024, "the value was not in memory");
}

#[test]
fn who_holds_most_goes_where_all_together_hold_too_much() {
    let _machine = together();
    let server = Server::start(&["--maxmemory-clients", "4mb"]);
    let mut observer = server.connect();
    observer.expect("CONFIG GET maxmemory-clients", "maxmemory-clients: 4194304");
    let start = format!("SET k {}", "v".repeat(200_000));
    let mut modest: Vec<Client> = (0..5).map(|_| server.connect()).collect();
    modest.iter_mut().for_each(|client| client.send(&start));
    observer.barrier();
    // What a client has sent of a line, what it has queued, and what it does not read.
    let line = format!("SET k {}", "v".repeat(1_000_000));
    let mut lines: Vec<Client> = (0..4).map(|_| server.connect()).collect();
    let closed = lines.iter_mut().filter_map(|client| client.send_if_open(line.as_bytes()).then_some(client)).count();
    wait_for("a client to go for its line", || observer.info("evicted_clients") > 0);
    assert!(closed >= 3, "only {closed} could send their lines");
    drop(lines);
    wait_for("the lines to go", || observer.info("connected_clients") == 6);
    let before = observer.info("evicted_clients");
    let mut queueing = server.connect();
    queueing.send("MULTI\r\n");
    while queueing.send_if_open(format!("{line}\r\n").as_bytes()) && observer.info("evicted_clients") == before {}
    assert!(is_closed_after_replies(queueing), "who queues too much stays");
    observer.expect(&format!("SET value {}", "v".repeat(4000)), "OK");
    let mut deaf = server.connect();
    deaf.send(format!("MGET{}\r\n", " value".repeat(5000)));
    wait_for("a client to go for its replies", || observer.info("evicted_clients") > before + 1);
    assert_eq!(observer.info("evicted_clients"), before + 2);
    server.wait_for_log("and all clients together more than maxmemory-clients allows");
    // Those that hold little have lost nothing.
    for client in &mut modest {
        client.send("\r\n");
        assert_eq!(client.line(), "OK");
    }
    // More can be allowed, and then more is held; no limit is none.
    for allowed in ["16mb", "0"] {
        observer.expect(&format!("CONFIG SET maxmemory-clients {allowed}"), "OK");
        let before = observer.info("evicted_clients");
        let mut lines: Vec<Client> = (0..6).map(|_| server.connect()).collect();
        lines.iter_mut().for_each(|client| client.send(&line));
        lines.iter_mut().for_each(|client| client.expect("", "OK"));
        assert_eq!(observer.info("evicted_clients"), before, "{allowed}");
    }
}

/// Whether the server closes the connection, whatever replies come before.
fn is_closed_after_replies(client: Client) -> bool {
    !answer(client, b"").ends_with("(still open)")
}

#[test]
fn clients_that_go_for_what_they_hold_cost_no_more_than_they_may() {
    const HOLDERS: usize = 60;
    let _machine = alone();
    let server = Server::start(&["--maxmemory-clients", "8mb"]);
    let mut bystander = server.connect();
    bystander.barrier();
    let before_kb = server.peak_kb();
    let line = "v".repeat(1_000_000);
    let mut holders: Vec<Client> = (0..HOLDERS).map(|_| server.connect()).collect();
    let (sent, worst) = beside(&mut bystander, || {
        holders.iter_mut().map(|holder| usize::from(holder.send_if_open(line.as_bytes()))).sum::<usize>()
    });
    assert!(sent > 8, "only {sent} could send");
    wait_for("most to be closed", || bystander.info("evicted_clients") >= HOLDERS as u64 - 8);
    let grown_kb = server.peak_kb() - before_kb;
    let held = holders.iter_mut().filter(|holder| !is_closed_now(holder)).count();
    println!("{HOLDERS} lines of 1 MB: grown {grown_kb} kB, {held} are held, bystander's worst {worst:?}");
    assert!(grown_kb < 14 * 1024, "grown by {grown_kb} kB");
    assert!((1..=8).contains(&held), "{held} clients stay");
}

/// Whether the connection is closed by now; what is open says nothing.
fn is_closed_now(client: &Client) -> bool {
    client.stream.set_nonblocking(true).expect("a socket that does not wait");
    let peeked = client.stream.peek(&mut [0; 1]);
    client.stream.set_nonblocking(false).expect("a socket that waits");
    match peeked {
        Ok(count) => count == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}
