//! No request makes others wait, and no client costs more than its limit: requests that cost much and answer little,
//! patterns, walks over large keys, clients that do not read, noise in the log.

mod support;

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use support::{Client, Server, alone, beside, limit_memory, need, show, together, wait_for};

/// How long a client may wait for its answer while another one does its worst. What the machine's other work adds is
/// in it.
const BYSTANDER: Duration = Duration::from_millis(150);

/// Stores keys named by their numbers, `before` and `after` around each number.
fn store_many(client: &mut Client, count: usize, before: &str, after: &str) {
    for thousand in 0..count.div_ceil(1000) {
        let numbers = thousand * 1000..count.min((thousand + 1) * 1000);
        let requests: String = numbers.clone().map(|number| format!("SET {before}{number}{after} v\r\n")).collect();
        let replies = client.converse(requests.as_bytes(), numbers.len() * 4);
        assert!(replies == b"OK\r\n".repeat(numbers.len()), "{}", show(&replies));
    }
}

#[test]
fn flushes_in_a_row_leave_nothing_behind() {
    const COUNT: usize = 20_000;
    let _machine = alone();
    let server = Server::start(&[]);
    let (mut client, mut bystander) = (server.connect(), server.connect());
    bystander.barrier();
    let before_kb = server.peak_kb();
    // Each flush leaves an index to be freed later: faster than they are freed, they must not come.
    let (replies, worst) =
        beside(&mut bystander, || client.converse(&b"SET a b\nFLUSH\n".repeat(COUNT), COUNT * "OK\r\nOK\r\n".len()));
    assert!(replies == b"OK\r\n".repeat(2 * COUNT), "{}", show(&replies));
    let grown_kb = server.peak_kb() - before_kb;
    println!("{COUNT} flushes: grown {grown_kb} kB, bystander's worst {worst:?}");
    assert!(grown_kb < 2 * 1024, "grown by {grown_kb} kB");
    assert!(worst < BYSTANDER, "a bystander waited {worst:?}");
}

/// Requests that take long and answer little, many of which come with one receive: each turn is to execute few.
fn costly(setup: impl FnOnce(&mut Client), request: &str, count: usize) {
    let _machine = alone();
    let server = Server::start(&[]);
    let (mut client, mut bystander) = (server.connect(), server.connect());
    setup(&mut client);
    let reply = client.ask(request) + "\r\n";
    // What one costs: a single request is never cut.
    let mut single_ms: f64 = 0.0;
    for _ in 0..10 {
        let before_ms = server.cpu_ms();
        client.ask(request);
        single_ms = single_ms.max(server.cpu_ms() - before_ms);
    }
    let pipeline = |client: &mut Client| {
        let replies = client.converse(format!("{request}\n").repeat(count).as_bytes(), reply.len() * count);
        assert!(replies == reply.repeat(count).as_bytes(), "{}", show(&replies));
    };
    // Other work on the machine makes a turn longer by the clock, but not by the processor time that it takes.
    let (turns, cpu_ms) = (client.info("turns"), server.cpu_ms());
    pipeline(&mut client);
    let (turns, cpu_ms) = (client.info("turns") - turns, server.cpu_ms() - cpu_ms);
    let turn_ms = cpu_ms / turns as f64;
    println!("{count} times {request}: one {single_ms:.2} ms; {turns} turns of {turn_ms:.2} ms");
    assert!(turn_ms < single_ms + 2.0, "a turn took {turn_ms} ms, a request {single_ms} ms");

    // Another client's wait, beside requests that come one by one and beside the pipeline.
    let ((), control) = beside(&mut bystander, || (0..count.min(50)).for_each(|_| drop(client.ask(request))));
    client.expect("CONFIG RESETSTAT", "OK");
    let ((), worst) = beside(&mut bystander, || pipeline(&mut client));
    let turn_worst_ms = client.info("turn_worst_us") as f64 / 1000.0;
    println!("the longest turn {turn_worst_ms:.2} ms; bystander's worst {worst:?}, one by one {control:?}");
    assert!(turn_worst_ms < 2.0 * single_ms + 40.0, "a turn of {turn_worst_ms} ms");
    assert!(worst < control + BYSTANDER, "a bystander waited {worst:?}");
}

#[test]
fn prepending_to_a_large_value_in_a_row_makes_nobody_wait() {
    let append = format!("APPEND k {}", "v".repeat(1_000_000));
    costly(|client| (0..20).for_each(|_| client.expect(&append, "OK")), "PREPEND k x", 50);
}

#[test]
fn scans_that_find_nothing_in_a_row_make_nobody_wait() {
    costly(|client| store_many(client, 100_000, "key:", ""), "SCAN 0 COUNT 2048 MATCH *z", 600);
}

#[test]
fn sums_of_many_digits_in_a_row_make_nobody_wait() {
    costly(|_| (), "INCF k 1e-5000", 3000);
}

#[test]
fn bits_of_long_values_make_nobody_wait() {
    let _machine = alone();
    let server = Server::start(&[]);
    let (mut client, mut bystander) = (server.connect(), server.connect());
    client.expect("SETBIT k 1600000007 1", "0");
    client.expect("CONFIG RESETSTAT", "OK");
    for (request, wanted) in [("BITCOUNT k", "1"), ("BITPOS k 1", "1600000007"), ("BITPOS k 0 -1 -1", "1600000000")] {
        let (elapsed, worst) = beside(&mut bystander, || {
            let start = Instant::now();
            client.expect(request, wanted);
            start.elapsed()
        });
        println!("{request} in {elapsed:?}, bystander's worst {worst:?}");
        assert!(worst < BYSTANDER, "a bystander waited {worst:?}");
    }
    let turn_worst_ms = client.info("turn_worst_us") as f64 / 1000.0;
    println!("the longest turn {turn_worst_ms:.2} ms");
    assert!(turn_worst_ms < 40.0, "a turn of {turn_worst_ms} ms");
    // Who changes the value meanwhile neither waits nor copies it.
    let resident_kb = server.resident_kb();
    let ((), worst) = beside(&mut bystander, || {
        client.send("BITCOUNT k\n");
        let mut other = server.connect();
        (0..200).for_each(|round| other.expect(&format!("SETBIT k {round} {}", round % 2), "0"));
        assert!((1..=101).contains(&client.line().parse::<u64>().expect("a number")));
    });
    println!("beside a writer: bystander's worst {worst:?}");
    assert!(worst < BYSTANDER, "a bystander waited {worst:?}");
    let grown_kb = server.resident_kb() - resident_kb;
    assert!(grown_kb < 50_000, "grown by {grown_kb} kB");
    // What cannot be done in pieces is refused.
    let bound = "they may have 8388608 bytes";
    client.expect_line("MULTI", "OK");
    client.expect_line("BITPOS k 1", "QUEUED");
    client.expect_line("BITCOUNT k", "QUEUED");
    let answer = client.ask_line("EXEC");
    let refused = format!("(error) values too long for BITCOUNT and BITPOS within a transaction: {bound}");
    assert_eq!(answer, format!("1\n{refused}"));
    client.expect("BITOP NOT other k", &format!("(error) values too long for BITOP: {bound}"));
}

#[test]
fn many_operations_on_a_long_key_note_it_once() {
    const OPERATIONS: usize = 100_000;
    let _machine = alone();
    let server = Server::start(&[]);
    let (mut client, mut watching) = (server.connect(), server.connect());
    let key = "k".repeat(500_000);
    watching.expect(&format!("WATCH {key}"), "OK");
    client.expect(&format!("SETBIT {key} 7 0"), "0");
    let mut request = format!("*{}\r\n$8\r\nBITFIELD\r\n${}\r\n{key}\r\n", 2 + 4 * OPERATIONS, key.len());
    request += &"$6\r\nINCRBY\r\n$2\r\nu8\r\n$1\r\n0\r\n$1\r\n1\r\n".repeat(OPERATIONS);
    let before_kb = server.peak_kb();
    client.send(request);
    client.skip_to(format!(":{}\r\n", OPERATIONS % 256).as_bytes());
    let grown_kb = server.peak_kb() - before_kb;
    println!("{OPERATIONS} operations: grown {grown_kb} kB");
    assert!(grown_kb < 50_000, "grown by {grown_kb} kB");
    watching.expect_line("MULTI", "OK");
    watching.expect_line("EXEC", "(null)");
}

#[test]
fn combining_long_values_in_a_row_makes_nobody_wait() {
    costly(|client| client.expect("SETBIT k 67108863 1", "0"), "BITOP NOT other k", 50);
}

#[test]
fn a_pattern_that_would_take_hours_is_refused() {
    let _machine = alone();
    let mut server = Server::start(&[]);
    let (mut client, mut bystander) = (server.connect(), server.connect());
    client.expect(&format!("SET {} v", "a".repeat(500_000)), "OK");
    let refused = "(error) matching this pattern takes too long, use a shorter one or fewer *";
    for literal_bytes in [1000, 100_000, 250_000] {
        // Each place of the key is a beginning that fails at the very end of the pattern.
        let pattern = format!("*{}b", "a".repeat(literal_bytes));
        for request in [format!("KEYS {pattern}"), format!("SCAN 0 MATCH {pattern}")] {
            let (elapsed, worst) = beside(&mut bystander, || {
                let start = Instant::now();
                client.expect(&request, refused);
                start.elapsed()
            });
            println!("{}: {elapsed:?}, bystander's worst {worst:?}", &request[..15]);
            assert!(elapsed < Duration::from_secs(1), "{} took {elapsed:?}", &request[..15]);
            assert!(worst < Duration::from_millis(500), "a bystander waited {worst:?}");
        }
    }
    // Many stars are no harm: only the last one is ever taken up again.
    client.expect(&format!("KEYS {}b", "*a".repeat(1000)), "(empty)");
    // Nor can the end be held up; what one receive takes was read before it.
    client.send(format!("KEYS *{}b\r\n", "a".repeat(1000)).repeat(10));
    bystander.barrier();
    let start = Instant::now();
    server.signal(Signal::SIGTERM);
    assert_eq!(show(&client.rest()), show(format!("{refused}\r\n").repeat(10).as_bytes()));
    assert_eq!(server.wait_exit().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(5), "took {:?}", start.elapsed());
}

#[test]
fn walks_over_large_keys_are_answered_and_bounded() {
    const COUNT: usize = 600;
    let _machine = alone();
    let server = Server::start(&[]);
    let mut client = server.connect();
    let tail = "k".repeat(500_000);
    for number in 0..COUNT {
        client.expect(&format!("SET {number}-{tail} v"), "OK");
    }
    let before_kb = server.peak_kb();
    client.expect("KEYS *", "(error) too many keys match: KEYS of all clients may hold 64 MB, use SCAN");
    client.expect("SCAN 0 COUNT 2048", "(error) the keys here are too long to be listed");
    assert_eq!(client.ask("KEYS 7-*").len(), tail.len() + 2);
    // What the errors advise does lead to all of them.
    let (mut cursor, mut found) = (String::from("0"), 0);
    loop {
        let answer = client.ask(&format!("SCAN {cursor} COUNT 5"));
        let mut words = answer.split('\n');
        cursor = words.next().expect("a cursor").to_string();
        found += words.filter(|word| word.len() > tail.len()).count();
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(found, COUNT);
    let grown_kb = server.peak_kb() - before_kb;
    println!("grown {grown_kb} kB");
    assert!(grown_kb < 100 * 1024, "grown by {grown_kb} kB");
}

/// What KEYS holds just keeps to its limit here, and what is written around each key in RESP does not.
#[test]
fn a_walk_that_just_keeps_to_its_limit_is_answered() {
    const COUNT: usize = 128;
    const KEY_BYTES: usize = (64 << 20) / COUNT - 8;
    let _machine = alone();
    let server = Server::start(&[]);
    let (mut client, mut bystander) = (server.connect(), server.connect());
    for number in 0..COUNT {
        client.expect(&format!("SET {number:k>3}{} v", "k".repeat(KEY_BYTES - 3)), "OK");
    }
    let before_kb = server.peak_kb();
    let ((first, bytes), worst) = beside(&mut bystander, || {
        client.send("*2\r\n$4\r\nKEYS\r\n$1\r\n*\r\n*2\r\n$4\r\nECHO\r\n$7\r\nthe end\r\n");
        let first = client.line();
        (first, client.skip_to(b"$7\r\nthe end\r\n"))
    });
    let whole = COUNT * (format!("${KEY_BYTES}\r\n").len() + KEY_BYTES + 2);
    let is_whole = if first == format!("*{COUNT}") { bytes == whole } else { first.starts_with("-ERR ") };
    assert!(is_whole, "{first} and {bytes} bytes instead of {whole}");
    let grown_kb = server.peak_kb() - before_kb;
    println!("{first}: grown {grown_kb} kB, bystander's worst {worst:?}");
    assert!(grown_kb < 100 * 1024, "grown by {grown_kb} kB");
    assert!(worst < BYSTANDER, "a bystander waited {worst:?}");
}

#[test]
fn a_walk_that_nobody_reads_ends_with_the_timeout() {
    let _machine = alone();
    let server = Server::start(&["--timeout", "1"]);
    let mut observer = server.connect();
    // Together they are more than the kernel takes off the server's hands.
    store_many(&mut observer, 200_000, &"k".repeat(100), "");
    let mut client = server.connect();
    client.send("KEYS *\r\n");
    wait_for("the walk to begin", || observer.info("blocked_clients") == 1);
    let mut sent = observer.info("total_net_output_bytes");
    wait_for("the client's buffers to be full", || {
        // INFO's own reply is some kilobytes.
        let before = std::mem::replace(&mut sent, observer.info("total_net_output_bytes"));
        sent - before < 10_000 && sent > 1_000_000
    });
    assert_eq!(observer.info("blocked_clients"), 1, "the client was closed before it could be idle");
    let turns = observer.info("turns");
    wait_for("the client to be closed", || {
        // Each look is a turn or two of its own.
        std::thread::sleep(Duration::from_millis(50));
        observer.info("blocked_clients") == 0
    });
    let turns = observer.info("turns") - turns;
    println!("{turns} turns while a client did not read");
    assert!(turns < 200, "the loop made {turns} turns for a client that does not read");
    assert_eq!((observer.info("closed_by_timeout"), observer.info("connected_clients")), (1, 1));
}

#[test]
fn what_is_no_request_leaves_few_lines_in_the_log() {
    const COUNT: u64 = 200;
    let _machine = together();
    let server = Server::start(&[]);
    let mut observer = server.connect();
    let start = Instant::now();
    let mut first = None;
    for _ in 0..COUNT {
        let mut client = server.connect();
        first = first.or(Some(client.stream.local_addr().expect("an address")));
        client.send("POST / HTTP/1.1\r\nHost: memento\r\n\r\n");
        client.half_close();
        client.rest();
    }
    assert_eq!(observer.info("closed_by_protocol_error"), COUNT);
    let seconds = usize::try_from(start.elapsed().as_secs()).expect("few seconds");
    server.wait_for_log(&format!("{} is closed, it sent an HTTP request", first.expect("a first client")));
    let log = server.log();
    let lines = log.lines().filter(|line| line.contains("is closed")).count();
    assert!(lines <= seconds + 2, "{lines} lines in {seconds} s: {log}");
    // Nor do those that others close.
    for _ in 0..COUNT {
        let mut client = server.connect();
        client.barrier();
        let address = client.stream.local_addr().expect("an address");
        observer.expect(&format!("CLIENT KILL {address}"), "OK");
    }
    let seconds = usize::try_from(start.elapsed().as_secs()).expect("few seconds");
    let lines = server.log().lines().filter(|line| line.contains("is closed")).count();
    assert!(lines <= seconds + 2, "{lines} lines in {seconds} s: {}", server.log());
}

#[test]
fn shortages_of_memory_that_come_and_go_leave_few_lines_in_the_log() {
    const ROUNDS: u64 = 30;
    let _machine = alone();
    if !need("prlimit") {
        return;
    }
    let server = server_of_little_memory();
    let mut client = server.connect();
    let (start, value) = (Instant::now(), "v".repeat(70_000));
    for _ in 0..ROUNDS {
        store_until_refused(&mut client, |number| format!("SET key{number} {value}"), 2000);
        client.expect("FLUSH", "OK");
        wait_for("memory to come back", || client.ask("SET key v") == "OK");
    }
    let (seconds, shortages) = (start.elapsed().as_secs(), client.info("memory_shortages"));
    let lines = server.log().lines().filter(|line| line.contains("the system has")).count();
    println!("{shortages} shortages in {seconds} s: {lines} lines");
    assert!(shortages >= ROUNDS / 2, "only {shortages} shortages");
    // Two a time, one a second at first and fewer then.
    assert!(lines as u64 <= 2 * (seconds + 1), "{lines} lines in {seconds} s: {}", server.log());
}

#[test]
fn the_room_of_a_large_reply_is_given_back() {
    const WORDS: usize = 200_000;
    let _machine = alone();
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.expect(&format!("SET k {}", "v".repeat(5000)), "OK");
    client.barrier();
    let before_kb = server.resident_kb();
    let mut kept_kb = Vec::new();
    for _ in 0..3 {
        client.send(format!("MGET{}\r\nECHO the end\r\n", " k".repeat(WORDS)));
        // A gigabyte, all of it the one value's bytes; what is kept for it is a note for each word.
        let bytes = client.skip_to(b"the end\r\n");
        assert!(bytes >= WORDS * 5000, "{bytes} bytes came");
        client.barrier();
        kept_kb.push(server.resident_kb() - before_kb);
    }
    println!("kept after each reply: {kept_kb:?} kB");
    assert!(kept_kb[0] < 8 * 1024, "{kept_kb:?} kB are kept after the replies");
    // Once large blocks were freed, the C library gives back less; but it takes no more for each further reply.
    assert!(kept_kb[2] < 24 * 1024, "{kept_kb:?} kB are kept after the replies");
}

/// Expiry is exact, not sampled: keys that are due go at their time though nobody asks for them, however many others have
/// a time as well, and a bystander does not wait for it.
#[test]
fn keys_that_are_due_go_at_once_among_many_others() {
    const OTHERS: usize = 200_000;
    const DUE: usize = 20_000;
    let _machine = alone();
    let server = Server::start(&[]);
    let (mut client, mut bystander) = (server.connect(), server.connect());
    let mut store = |count: usize, name: &str, left_ms: u64| {
        for thousand in 0..count / 1000 {
            let request = |number| format!("PSETEX {name}{number} {left_ms} v\r\n");
            let requests: String = (thousand * 1000..(thousand + 1) * 1000).map(request).collect();
            assert!(client.converse(requests.as_bytes(), 4000) == b"OK\r\n".repeat(1000));
        }
    };
    store(OTHERS, "other", 3_600_000);
    store(DUE, "due", 2_000);
    let mut observer = server.connect();
    assert_eq!(observer.info("expired_keys"), 0, "the machine was too slow to set them in time");
    let (_, worst) = beside(&mut bystander, || {
        wait_for("the keys to go", || observer.info("expired_keys") == DUE as u64);
    });
    observer.expect("DBSIZE", &OTHERS.to_string());
    let lag_ms = observer.info("expire_lag_worst_ms");
    println!("{DUE} keys went at most {lag_ms} ms late; a bystander's worst {worst:?}");
    assert!(lag_ms < 200, "{lag_ms} ms late");
    assert!(worst < BYSTANDER, "a bystander waited {worst:?}");
}

/// Sends requests until the answer is another than OK, at most so many; gives that answer, and how many were OK.
fn store_until_refused(client: &mut Client, request: impl Fn(usize) -> String, most: usize) -> (String, usize) {
    const BATCH: usize = 50;
    for batch in 0..most / BATCH {
        let numbers = batch * BATCH..(batch + 1) * BATCH;
        client.send(numbers.clone().map(|number| request(number) + "\r\n").collect::<String>());
        let answers: Vec<String> = numbers.map(|_| client.line()).collect();
        if let Some(place) = answers.iter().position(|answer| answer != "OK") {
            return (answers[place].clone(), batch * BATCH + place);
        }
    }
    panic!("{most} requests were not too many");
}

/// A server whose addresses end 24 MB behind what it has when it is idle.
fn server_of_little_memory() -> Server {
    let server = Server::start(&[]);
    server.connect().barrier();
    limit_memory(&server, 24 << 20);
    server
}

#[test]
fn where_the_system_has_no_memory_writes_are_refused_and_all_else_goes_on() {
    const REFUSED: &str = "(error) OOM the system has no memory left";
    let _machine = alone();
    if !need("prlimit") {
        return;
    }
    // Entries of one block, of a list of their own, and of a mapping of their own each.
    for (bytes, most) in [(40, 1_000_000), (1000, 50_000), (10_000, 5000), (70_000, 2000)] {
        let mut server = server_of_little_memory();
        let (mut client, mut other) = (server.connect(), server.connect());
        let value = "v".repeat(bytes);
        let start = Instant::now();
        let (answer, stored) = store_until_refused(&mut client, |number| format!("SET key{number} {value}"), most);
        assert!(answer.starts_with(REFUSED), "{bytes}: {answer}");
        let stored_bytes = stored * bytes;
        println!("values of {bytes}: {stored} fit ({stored_bytes} bytes) in {:?}", start.elapsed());
        assert!(stored_bytes > 10 << 20, "{bytes}: only {stored_bytes} bytes were stored");
        // Whatever needs memory is refused, and what does not is served, to old clients and new ones.
        let requests =
            ["SET other v", "APPEND key0 more", "MSET a 1 b 2", "INC number", "EXPIRE key0 100", "RENAME key0 z"];
        // A server that is short of large pieces may have small ones.
        for request in requests.iter().filter(|_| bytes <= 1000) {
            let answer = other.ask(request);
            assert!(answer.starts_with(REFUSED), "{bytes}: {request}: {answer}");
        }
        let mut third = server.connect();
        // Behind the one that was refused, one may have found room again.
        let there: usize = third.ask("DBSIZE").parse().expect("a number");
        assert!((stored..stored + 50).contains(&there), "{bytes}: {there} keys, {stored} before one was refused");
        assert!(third.ask("GET key0") == value && third.ask(&format!("GET key{}", stored - 1)) == value);
        assert!(third.info("memory_shortages") > 0);
        server.wait_for_log("the system has no memory left");
        // Deleting goes on whatever memory that takes, and makes room: keys here and there where the store can move the
        // others together, those next to each other where the C library is to have whole pieces again.
        let scattered = bytes <= 1000;
        let gone: Vec<usize> =
            (0..stored).filter(|number| if scattered { number % 2 == 0 } else { *number < stored / 2 }).collect();
        for some in gone.chunks(500) {
            let requests: String = some.iter().map(|number| format!("DEL key{number}\r\n")).collect();
            let answers = client.converse(requests.as_bytes(), some.len() * 4);
            assert!(answers == b"OK\r\n".repeat(some.len()), "{bytes}: {}", show(&answers));
        }
        wait_for("memory to come back", || other.ask("SET other v") == "OK");
        server.wait_for_log("the system has memory again");
        let kept = if scattered { 1 } else { stored - 1 };
        assert!(third.ask(&format!("GET key{kept}")) == value);
        client.expect("DBSIZE", &(there - gone.len() + 1).to_string());
        client.expect("FLUSH", "OK");
        client.expect(&format!("SET key {value}"), "OK");
        assert!(server.is_running());
    }
}

#[test]
fn a_request_that_the_system_has_no_memory_for_is_refused_alone() {
    let _machine = alone();
    if !need("prlimit") {
        return;
    }
    let mut server = server_of_little_memory();
    let (mut client, mut other) = (server.connect(), server.connect());
    client.expect("SET k value", "OK");
    let refused = "(error) OOM the system has no memory left for this";
    for request in [
        "SETRANGE k 500000000 x",
        "SETRANGE new 500000000 x",
        "SETBIT k 4000000000 1",
        "SETBIT new 4000000000 1",
        "BITFIELD k SET u8 4000000000 1",
    ] {
        let answer = client.ask(request);
        assert!(answer.starts_with(refused), "{request}: {answer}");
    }
    client.expect("GET k", "value");
    client.expect("EXISTS new", "0");
    // A value as it is received: the client is told, and only that one goes.
    let mut large = server.connect();
    large.send("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$200000000\r\n");
    let piece = vec![b'v'; 1 << 20];
    while large.send_if_open(&piece) {}
    let said = show(&large.rest());
    assert!(said.is_empty() || said.starts_with("-OOM the system has no memory left"), "{said}");
    wait_for("memory to come back", || other.ask("SET other v") == "OK");
    other.expect("GET k", "value");
    // Appending grows a value until nothing more fits, and leaves it whole then.
    let more = "m".repeat(10_000);
    let (answer, count) = store_until_refused(&mut client, |_| format!("APPEND long {more}"), 10_000);
    assert!(answer.starts_with("(error) OOM"), "{answer}");
    other.expect("DEL k", "OK");
    let length: usize = other.ask("STRLEN long").parse().expect("a length");
    assert!(length >= count * more.len(), "{length} bytes of {count} parts");
    other.expect("DEL long", "OK");
    wait_for("memory to come back", || other.ask("SET k v") == "OK");
    assert!(server.is_running());
}

/// A word of so many bytes, in RESP.
fn word(bytes: usize) -> String {
    format!("${bytes}\r\n{}\r\n", "w".repeat(bytes))
}

/// Buffers that clients make the server fill, each in a way of its own, until the system has no memory left. Whoever asks
/// for too much is told so, or closed; all others go on, and the keys stay.
#[test]
fn clients_whose_buffers_find_no_memory_go_alone() {
    let _machine = alone();
    if !need("prlimit") {
        return;
    }
    let mut server = server_of_little_memory();
    let mut other = server.connect();
    other.expect("SET k value", "OK");
    other.expect(&format!("SET inline {}", "v".repeat(4000)), "OK");
    let mut check = |what: &str| {
        other.expect("GET k", "value");
        wait_for(&format!("memory to come back after {what}"), || other.ask("SET other v") == "OK");
        assert_eq!(server.connect().ask("GET k"), "value", "after {what}");
        let closed = other.info("closed_by_memory_shortage");
        println!("{what}: {closed} closed so far");
        closed
    };

    // Lines that are not ended, one a client.
    let line = "x".repeat(1_000_000);
    let mut clients: Vec<Client> = (0..60).map(|_| server.connect()).collect();
    let sent = clients.iter_mut().filter_map(|client| client.send_if_open(line.as_bytes()).then_some(())).count();
    assert!(sent >= 10, "only {sent} lines could be sent");
    let mut observer = server.connect();
    wait_for("some to be closed", || observer.info("closed_by_memory_shortage") >= 30);
    check("lines without an end");
    drop(clients);
    let before = check("they are gone");

    // One request of many words that are short enough to be kept together.
    let mut client = server.connect();
    client.send("*2000\r\n$4\r\nMGET\r\n");
    let some = word(30_000);
    // What comes behind the error is thrown away, so that the error is not.
    let sent = (0..1998).take_while(|_| client.send_if_open(some.as_bytes())).count();
    client.half_close();
    println!("{sent} words were taken");
    let said = show(&client.rest());
    assert!(said.is_empty() || said.starts_with("-OOM the system has no memory left for this request"), "{said}");
    assert!(check("a request of many words") > before);

    // So many words that what is noted of each is more than there is.
    for words in [200_000, 1_000_000] {
        let mut client = server.connect();
        let answered = client.send_if_open(format!("*{words}\r\n{}", "$1\r\nk\r\n".repeat(words)).as_bytes());
        let mut client = server.connect();
        let line_answered = client.send_if_open(format!("MGET{}\r\n", " k".repeat(250_000)).as_bytes());
        println!("{words} words sent: {answered}, in a line: {line_answered}");
        check("very many words");
    }

    // Replies: copies, notes of values that are stored, keys.
    let before = check("nothing");
    // The log is to have a line of this, too.
    std::thread::sleep(Duration::from_millis(1100));
    for count in [15_000, 16_000] {
        let mut client = server.connect();
        client.send(format!("MGET{}\r\n", " inline".repeat(count)));
        let received = client.rest().len();
        assert!(received < count * 4000, "{received} bytes came");
        check("a large reply");
    }
    assert!(check("large replies") >= before + 2);
    server.wait_for_log("is closed, the system has no memory for what it sent or is owed");

    // What is queued, and what a pause holds up.
    let request = format!("SET queued {}\r\n", "v".repeat(900_000));
    let mut client = server.connect();
    client.send("MULTI\r\n");
    let queued = (0..60).take_while(|_| client.send_if_open(request.as_bytes())).count();
    client.send_if_open(b"EXEC\r\nQUIT\r\n");
    client.half_close();
    // It is refused as a whole, or closed before.
    let said = show(&client.rest());
    println!("{queued} requests sent for a transaction: {}", &said[said.len().saturating_sub(100)..]);
    assert!(
        said.starts_with("OK") && !said.contains("QUEUED\\r\\nOK") && said.matches("QUEUED").count() < 30,
        "{said}"
    );
    check("a transaction");
    observer.expect("EXISTS queued", "0");
    observer.expect("CLIENT PAUSE 3000 WRITE", "OK");
    let mut held: Vec<Client> = (0..40).map(|_| server.connect()).collect();
    let sent = held.iter_mut().map(|client| usize::from(client.send_if_open(request.as_bytes()))).sum::<usize>();
    println!("{sent} of 40 sent during the pause");
    observer.expect("GET k", "value");
    observer.expect("CLIENT UNPAUSE", "OK");
    drop(held);
    check("a pause");
    assert!(server.is_running());
}
