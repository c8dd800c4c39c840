//! What a client announces is believed only as its bytes arrive, and what is no RESP is answered in Redis's words.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};

use support::reference::Reference;
use support::{Client, Scratch, Server, Start, alone, beside, show, together, unix_exchange, wait_for};

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
    // The limit, what one turn receives, and what the C library keeps of buffers that grew.
    assert!(grown_kb < 20 * 1024, "grown by {grown_kb} kB");
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

#[test]
fn one_address_has_no_more_clients_than_it_may() {
    let _machine = together();
    let folder = Scratch::new();
    let unix = folder.path("socket");
    let path = unix.to_str().expect("a plain path");
    let server = Start::new(&["--maxclients-per-address", "2", "-s", path]).listeners(2).start();
    let (mut first, mut second) = (server.connect(), server.connect());
    first.expect("CONFIG GET maxclients-per-address", "maxclients-per-address: 2");
    second.expect("PING", "PONG");
    for _ in 0..3 {
        let mut third = server.connect();
        assert_eq!(show(&third.rest()), "-ERR max number of clients of one address reached\\r\\n");
    }
    assert_eq!((first.info("rejected_by_address"), first.info("rejected_connections")), (3, 0));
    // Others are not counted with them: another address of this box, and the Unix socket.
    let elsewhere = connect_from("127.0.0.2", server.address());
    let mut other = Client::new(elsewhere);
    other.expect("PING", "PONG");
    for _ in 0..3 {
        assert_eq!(unix_exchange(&unix, "PING\r\nQUIT\r\n"), "PONG\r\n");
    }
    // Whoever goes makes room, by a reset too.
    second.reset();
    wait_for("the second to go", || first.info("connected_clients") == 2);
    server.connect().expect("PING", "PONG");
}

/// A connection from an address of this box.
fn connect_from(address: &str, to: SocketAddr) -> TcpStream {
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).expect("a socket");
    let from: SocketAddrV4 = format!("{address}:0").parse().expect("an address");
    bind(socket.as_raw_fd(), &SockaddrIn::from(from)).expect("an address of this box");
    let SocketAddr::V4(to) = to else { panic!("the server listens on {to}") };
    connect(socket.as_raw_fd(), &SockaddrIn::from(to)).expect("to connect");
    TcpStream::from(socket)
}

#[test]
fn who_sends_no_request_in_time_is_closed() {
    let _machine = together();
    let server = Server::start(&["--first-request-timeout", "1"]);
    let start = Instant::now();
    let (mut silent, mut half, mut asking) = (server.connect(), server.connect(), server.connect());
    half.send("ECHO ");
    asking.send("NONSENSE\r\n");
    assert_eq!(asking.line(), "(Unknown command)");
    // A byte now and then is no request.
    while start.elapsed() < Duration::from_millis(700) {
        half.send("x");
        std::thread::sleep(Duration::from_millis(100));
    }
    for client in [&mut silent, &mut half] {
        let received = show(&client.rest());
        assert!(received.is_empty() || received.starts_with("-ERR"), "{received}");
    }
    let elapsed = start.elapsed();
    println!("closed after {elapsed:?}");
    assert!((Duration::from_millis(950)..Duration::from_secs(4)).contains(&elapsed), "closed after {elapsed:?}");
    server.wait_for_log("it sent no whole request in 1 s (first-request-timeout)");
    // Who has asked for something may be silent as long as it likes.
    asking.expect("CONFIG SET timeout 0", "OK");
    std::thread::sleep(Duration::from_millis(300));
    assert!(asking.info("closed_by_first_request_timeout") >= 1);
    assert_eq!(asking.info("connected_clients"), 1);
}

#[test]
fn who_asks_for_too_large_a_reply_is_closed() {
    // 68 MB of copies, where 64 MiB are allowed.
    const WORDS: usize = 17_000;
    let _machine = together();
    let server = Server::start(&[]);
    let (mut client, mut other) = (server.connect(), server.connect());
    client.expect(&format!("SET k {}", "v".repeat(4000)), "OK");
    client.send(format!("MGET{}\r\n", " k".repeat(WORDS)));
    let received = client.rest();
    assert!(received.len() < WORDS * 4000, "all of it came");
    assert_eq!(other.info("client_output_buffer_limit_disconnections"), 1);
    server.wait_for_log("it asked for too large a reply");
    other.expect("STRLEN k", "4000");
}

#[test]
fn a_stopped_reader_costs_its_limit_and_no_time() {
    const BYTES: usize = 100_000;
    let _machine = alone();
    let server = Server::start(&[]);
    let (mut client, mut bystander) = (server.connect(), server.connect());
    client.expect(&format!("SET k {}", "v".repeat(BYTES)), "OK");
    bystander.barrier();
    let before_kb = server.peak_kb();
    // It never reads, and asks for as long as it may.
    client.stream.set_write_timeout(Some(Duration::from_millis(100))).expect("a deadline");
    let requests = "GET k\r\n".repeat(1000);
    let (asked, worst) = beside(&mut bystander, || {
        let (start, mut asked) = (Instant::now(), 0);
        while start.elapsed() < Duration::from_secs(3) {
            asked += (&client.stream).write(requests.as_bytes()).unwrap_or(0);
        }
        asked / "GET k\r\n".len()
    });
    let grown_kb = server.peak_kb() - before_kb;
    println!("{asked} replies of {BYTES} bytes asked for: grown {grown_kb} kB, bystander's worst {worst:?}");
    assert!(asked * BYTES > 100 << 20, "only {asked} were asked for");
    assert!(grown_kb < 80_000, "grown by {grown_kb} kB");
    assert!(bystander.info("client_output_pauses") > 0);
    // By the clock others on this machine count as well; in the longest turn they hardly do.
    let turn_us = bystander.info("turn_worst_us");
    println!("the longest turn {turn_us} us");
    assert!(turn_us < 10_000 || worst < Duration::from_millis(10), "a turn of {turn_us} us, a wait of {worst:?}");
}

#[test]
fn what_a_client_queues_is_bounded() {
    let _machine = together();
    let server = Server::start(&["--maxmemory-clients", "0"]);
    let mut client = server.connect();
    client.expect_line("MULTI", "OK");
    let request = format!("SET k {}", "v".repeat(1_000_000));
    let queued = (0..100).take_while(|_| client.ask_line(&request) == "QUEUED").count();
    assert!((60..68).contains(&queued), "{queued} MB were queued");
    assert!(client.ask_line("EXEC").starts_with("(error) EXECABORT"));
    client.expect("EXISTS k", "0");
}

#[test]
fn names_that_are_asked_for_are_few_and_patterns_cheap() {
    const NAMES: usize = 1024;
    let _machine = alone();
    let server = Server::start(&[]);
    let (mut client, mut bystander) = (server.connect(), server.connect());
    // Many clients make the search for some of them long.
    let _others: Vec<Client> = (0..500).map(|_| server.connect()).collect();
    let too_many = format!("(error) too many names, ask for at most {NAMES} at a time");
    let costly = "(error) matching this pattern takes too long, use a shorter one or fewer *";
    let class = format!("*[{}", "A".repeat(1_000_000));
    bystander.expect("CONFIG RESETSTAT", "OK");
    let (_, worst) = beside(&mut bystander, || {
        let families =
            ["CONFIG GET *", "COMMAND INFO set", "COMMAND DOCS set", "LATENCY HISTOGRAM set", "CLIENT LIST ID 1"];
        for request in families {
            let (command, name) = request.rsplit_once(' ').expect("a name");
            let asking = |count: usize| format!("{command}{}", format!(" {name}").repeat(count));
            assert_ne!(client.ask(&asking(NAMES)), too_many, "{command}");
            for count in [NAMES + 1, 100_000] {
                client.expect(&asking(count), &too_many);
            }
        }
        for request in ["CONFIG GET", "COMMAND LIST FILTERBY PATTERN"] {
            client.expect(&format!("{request} {class}"), costly);
        }
    });
    let turn_us = bystander.info("turn_worst_us");
    println!("the longest turn {turn_us} us, bystander's worst {worst:?}");
    assert!(turn_us < 250_000, "a turn of {turn_us} us");
    // The slow log cannot be told to keep everything.
    client.expect("CONFIG SET slowlog-max-len 1000000000", "OK");
    client.expect("CONFIG GET slowlog-max-len", "slowlog-max-len: 10000");
}

#[test]
fn a_client_watches_no_more_keys_than_it_may() {
    const KEYS: usize = 10_000;
    let _machine = together();
    let server = Server::start(&[]);
    let mut client = server.connect();
    let watch = |count: usize| format!("WATCH{}", (0..count).map(|number| format!(" k{number}")).collect::<String>());
    client.expect(&watch(KEYS), "OK");
    let error = "(error) a transaction and what it watches take at most 64 MB, and it watches at most 10000 keys";
    // What it watches already is not counted twice; one too many ends it all, so that EXEC is not done by mistake.
    client.expect("WATCH k0 k1", "OK");
    client.expect("WATCH other", error);
    client.expect(&watch(KEYS + 1), error);
    client.expect(&watch(KEYS), "OK");
    let mut other = server.connect();
    other.expect("SET k9999 v", "OK");
    client.expect_line("MULTI", "OK");
    client.expect_line("GET k9999", "QUEUED");
    client.expect_line("EXEC", "(null)");
}

#[test]
fn what_clients_call_themselves_counts() {
    const CLIENTS: usize = 200;
    let _machine = together();
    let server = Server::start(&[]);
    let mut observer = server.connect();
    let name = "n".repeat(1024);
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(Client::barrier);
    let before = observer.info("mem_clients_normal");
    for client in &mut clients {
        client.expect(&format!("CLIENT SETNAME {name}n"), "(error) Client names have at most 1024 bytes");
        for request in ["SETNAME", "SETINFO LIB-NAME", "SETINFO LIB-VER"] {
            client.expect(&format!("CLIENT {request} {name}"), "OK");
        }
    }
    let grown = observer.info("mem_clients_normal") - before;
    assert!(grown >= (CLIENTS * 3 * 1024) as u64, "{CLIENTS} clients with three names each count as {grown} bytes");
    observer.expect("CONFIG SET maxmemory-clients 100kb", "OK");
    wait_for("some to go", || observer.info("connected_clients") < 100);
    assert!(observer.info("evicted_clients") > 100);
}

/// Sends the beginning of a SET of so long a value, and as much of the value.
fn begin_value(client: &mut Client, key: &str, bytes: usize, sent: usize) -> bool {
    let head = format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${bytes}\r\n", key.len());
    client.send_if_open(head.as_bytes()) && client.send_if_open(&vec![b'v'; sent])
}

#[test]
fn one_value_at_a_time_may_be_longer_than_what_clients_may_hold() {
    const MB: usize = 1 << 20;
    let _machine = alone();
    // An eighth is 8 MB, a half is 32.
    let server = Server::start(&["--maxmemory", "64mb"]);
    let mut observer = server.connect();
    observer.expect("CONFIG GET maxmemory-clients", "maxmemory-clients: 8388608");
    let mut client = server.connect();
    for _ in 0..2 {
        assert!(begin_value(&mut client, "k", 28 * MB, 28 * MB) && client.send_if_open(b"\r\n"));
        assert_eq!(client.line(), "+OK");
    }
    assert_eq!((observer.ask("STRLEN k"), observer.info("evicted_clients")), ((28 * MB).to_string(), 0));
    observer.expect("DEL k", "OK");
    // While one value is on its way nobody is kept busy, and of two that are, the shorter one goes.
    assert!(begin_value(&mut client, "k", 28 * MB, 20 * MB));
    wait_for("it to be received", || observer.info("mem_clients_normal") > 20 * MB as u64);
    let turns = observer.info("turns");
    std::thread::sleep(Duration::from_millis(300));
    assert!(observer.info("turns") - turns < 100, "the loop spins");
    let mut second = server.connect();
    begin_value(&mut second, "other", 28 * MB, 18 * MB);
    wait_for("the second one to go", || observer.info("evicted_clients") == 1);
    assert!(client.send_if_open(&vec![b'v'; 8 * MB]) && client.send_if_open(b"\r\n"));
    assert_eq!((client.line(), observer.ask("STRLEN k")), ("+OK".into(), (28 * MB).to_string()));
    // What the same client holds besides is not spared, and nobody goes for it who holds less.
    observer.expect("DEL k", "OK");
    let evicted = observer.info("evicted_clients");
    let mut named = server.connect();
    named.expect("CLIENT SETNAME bystander", "OK");
    let mut hoarder = server.connect();
    hoarder.send(format!("*5\r\n$4\r\nMSET\r\n$1\r\na\r\n${}\r\n", 20 * MB));
    assert!(
        hoarder.send_if_open(&vec![b'v'; 20 * MB])
            && hoarder.send_if_open(format!("\r\n$1\r\nb\r\n${}\r\n", 20 * MB).as_bytes())
    );
    hoarder.send_if_open(&vec![b'v'; 10 * MB]);
    wait_for("the hoarder to go", || observer.info("evicted_clients") == evicted + 1);
    let turns = observer.info("turns");
    std::thread::sleep(Duration::from_millis(300));
    assert!(observer.info("turns") - turns < 100, "the loop spins");
    named.expect("CLIENT GETNAME", "bystander");
    assert_eq!(observer.info("evicted_clients"), evicted + 1);
    // Where no key may go for it, it does.
    let evicted = observer.info("evicted_clients");
    let mut third = server.connect();
    begin_value(&mut third, "third", 30 * MB, 30 * MB);
    observer.expect("SET small v", "OK");
    let mut fourth = server.connect();
    begin_value(&mut fourth, "fourth", 32 * MB, 31 * MB);
    wait_for("one to go", || observer.info("evicted_clients") > evicted);
    // Nor may it be longer than half of all, and where it was said what clients may hold, it is no exception.
    drop((second, third, fourth));
    observer.expect("FLUSH", "OK");
    for (setting, bytes) in [("", 40 * MB), ("CONFIG SET maxmemory-clients 8mb", 12 * MB)] {
        if !setting.is_empty() {
            observer.expect(setting, "OK");
        }
        let before = observer.info("evicted_clients");
        let mut large = server.connect();
        begin_value(&mut large, "k", bytes, bytes);
        wait_for("it to go", || observer.info("evicted_clients") == before + 1);
    }
}
