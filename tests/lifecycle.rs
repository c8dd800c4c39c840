//! The process over real sockets: how connections begin and end, who waits for whom, signals, options, limits.

mod support;

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use support::{
    Client, DEADLINE, Scratch, Server, Start, alone, holds_within, need, ping_until, program, raise_descriptors,
    run_to_end, show, skip, together, unix_exchange, wait_for,
};

/// How long a client may wait for its answer while another one does its worst. What the machine's other work adds is
/// in it.
const BYSTANDER: Duration = Duration::from_millis(100);

/// How much the server may grow for one client that does its worst.
const GROWTH_KB_MAX: i64 = 8 * 1024;

/// Does the server refuse connections?
fn refuses(server: &Server) -> bool {
    TcpStream::connect(server.address()).is_err()
}

#[test]
fn a_half_closed_client_gets_all_its_replies() {
    let _machine = together();
    let server = Server::start(&[]);
    let value = "v".repeat(10_000);
    let mut request = format!("SET big {value}\r\n");
    let mut wanted = String::from("OK\r\n");
    for number in 1..=1000 {
        request.push_str("GET big\r\nINC n\r\n");
        wanted.push_str(&format!("{value}\r\n{number}\r\n"));
    }
    // The client reads only after it has sent everything and ended its side.
    let got = server.exchange(request.as_bytes());
    assert!(got == wanted.as_bytes(), "got {} of {} bytes: {}", got.len(), wanted.len(), show(&got));
    // An end before any request is an end.
    assert_eq!(server.exchange(b""), b"");
}

#[test]
fn a_reset_harms_nobody() {
    let _machine = together();
    let server = Server::start(&[]);
    let mut bystander = server.connect();
    bystander.expect(&format!("SET big {}", "v".repeat(500_000)), "OK");
    let before = server.descriptors();
    for request in ["", "SET k", "PING\r\n", "PING\r\nPING\r\nSET k v", "GET big\r\nGET big\r\nGET big\r\nGET big\r\n"]
    {
        for round in 0..50 {
            let mut client = server.connect();
            client.send(request);
            if round % 2 == 0 {
                bystander.barrier();
            }
            client.reset();
        }
        bystander.expect("PING", "PONG");
    }
    wait_for("the lost connections to be closed", || server.descriptors() == before);
    bystander.expect("EXISTS k", "0");
}

/// A client sends and does not read; `replies` is all that it must get when it does.
fn slow_reader(requests: &[u8], setup: &str, mut replies: impl FnMut(usize) -> Vec<u8>, count: usize) {
    let _machine = alone();
    let server = Server::start(&[]);
    let mut bystander = server.connect();
    if !setup.is_empty() {
        bystander.expect(setup, "OK");
    }
    bystander.barrier();
    let before_kb = server.resident_kb();
    let mut client = server.connect();
    let mut writer = client.share();
    let sent = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for piece in requests.chunks(4096) {
                writer.send(piece);
                sent.fetch_add(piece.len(), Ordering::Relaxed);
            }
        });
        let pinging = scope.spawn(|| ping_until(&mut bystander, &stop));
        // Stalled: for a while the server neither took more from the client nor grew.
        let mut last = ((0, 0), Instant::now());
        let mut most_kb = before_kb;
        wait_for("the server to stop reading", || {
            let now = (sent.load(Ordering::Relaxed), server.resident_kb());
            most_kb = most_kb.max(now.1);
            if now != last.0 {
                last = (now, Instant::now());
            }
            last.1.elapsed() > Duration::from_millis(300)
        });
        let grown_kb = most_kb - before_kb;
        for number in 0..count {
            let wanted = replies(number);
            let got = client.exactly(wanted.len());
            assert!(got == wanted, "reply {number}: wanted {}, got {}", show(&wanted), show(&got));
        }
        client.expect("ECHO the end", "the end");
        stop.store(true, Ordering::Relaxed);
        let (worst, pings) = pinging.join().expect("the bystander");
        println!("grown {grown_kb} kB while not reading; bystander: {pings} pings, worst {worst:?}");
        assert!(grown_kb <= GROWTH_KB_MAX, "grown by {grown_kb} kB for a client that does not read");
        assert!(worst < BYSTANDER, "a bystander waited {worst:?}");
    });
}

#[test]
fn a_slow_reader_of_small_replies_costs_its_limit() {
    let count = 400_000;
    let reply = |number: usize| format!("{number:0>98}\r\n").into_bytes();
    let requests: Vec<u8> = (0..count).flat_map(|number| [&b"ECHO "[..], &reply(number)].concat()).collect();
    slow_reader(&requests, "", reply, count);
}

#[test]
fn a_slow_reader_of_big_replies_costs_its_limit() {
    let (count, value) = (3000, "v".repeat(100_000));
    let requests = b"GET big\r\nINC n\r\n".repeat(count);
    slow_reader(
        &requests,
        &format!("SET big {value}"),
        |number| format!("{value}\r\n{}\r\n", number + 1).into_bytes(),
        count,
    );
}

#[test]
fn ten_thousand_idle_clients_are_held_and_answered() {
    let _machine = alone();
    let most = raise_descriptors();
    let count = if most >= 10_200 {
        10_000
    } else {
        skip(&format!("the limit of {most} descriptors does not allow 10000 clients"));
        most.saturating_sub(200)
    };
    let server = Server::start(&["--maxclients", "10100"]);
    // What the first client brings about is not an idle client's cost.
    let mut first = server.connect();
    first.barrier();
    let before_kb = server.resident_kb();
    let mut clients: Vec<TcpStream> = (0..count)
        .map(|number| TcpStream::connect(server.address()).unwrap_or_else(|error| panic!("client {number}: {error}")))
        .collect();
    first.barrier();
    for round in ["idle from the start", "after having been answered"] {
        for (number, client) in clients.iter_mut().enumerate() {
            client.set_read_timeout(Some(DEADLINE)).expect("a deadline");
            client.write_all(b"PING\r\n").expect("to send");
            let mut reply = [0; 6];
            client.read_exact(&mut reply).unwrap_or_else(|error| panic!("client {number}, {round}: {error}"));
            assert_eq!(&reply, b"PONG\r\n");
        }
        first.barrier();
        let grown = (server.resident_kb() - before_kb) * 1024 / i64::try_from(count).expect("a count");
        println!("{grown} bytes a client, {round}");
        assert!(grown < 512, "an idle client costs {grown} bytes, {round}");
    }
    // Being held costs no time.
    let (cpu_ms, start) = (server.cpu_ms(), Instant::now());
    thread::sleep(Duration::from_millis(500));
    let spent_ms = server.cpu_ms() - cpu_ms;
    assert!(spent_ms < 50.0, "{spent_ms} ms of processor time for idle clients in {:?}", start.elapsed());
    drop(clients);
    wait_for("the clients' descriptors to be closed", || server.descriptors() < 100);
    first.expect("PING", "PONG");
}

#[test]
fn a_full_pipeline_makes_nobody_wait() {
    const COUNT: usize = 1_000_000;
    let _machine = alone();
    let server = Server::start(&[]);
    let mut bystander = server.connect();
    let mut client = server.connect();
    let mut writer = client.share();
    let stop = AtomicBool::new(false);
    let requests = b"INC n\r\n".repeat(COUNT);
    let before_kb = server.resident_kb();
    thread::scope(|scope| {
        let pinging = scope.spawn(|| ping_until(&mut bystander, &stop));
        scope.spawn(|| writer.send(&requests));
        let start = Instant::now();
        let mut wanted = Vec::with_capacity(64 * 1024);
        for thousand in 0..COUNT / 1000 {
            wanted.clear();
            for number in thousand * 1000 + 1..=thousand * 1000 + 1000 {
                wanted.extend_from_slice(format!("{number}\r\n").as_bytes());
            }
            let got = client.exactly(wanted.len());
            assert!(got == wanted, "wanted {}, got {}", show(&wanted), show(&got));
        }
        let elapsed = start.elapsed();
        stop.store(true, Ordering::Relaxed);
        let (worst, pings) = pinging.join().expect("the bystander");
        println!("{COUNT} commands in {elapsed:?}; bystander: {pings} pings, worst {worst:?}");
        assert!(worst < BYSTANDER, "a bystander waited {worst:?}");
        let grown_kb = server.resident_kb() - before_kb;
        assert!(grown_kb <= GROWTH_KB_MAX, "grown by {grown_kb} kB");
    });
}

#[test]
fn an_endless_line_is_cut_off() {
    let _machine = alone();
    let server = Server::start(&[]);
    let mut bystander = server.connect();
    bystander.barrier();
    let (before_kb, before_ms) = (server.resident_kb(), server.cpu_ms());
    let mut client = server.connect();
    let mut reader = client.share();
    let stop = AtomicBool::new(false);
    let mut most_kb = before_kb;
    thread::scope(|scope| {
        let reading = scope.spawn(|| reader.rest());
        let pinging = scope.spawn(|| ping_until(&mut bystander, &stop));
        let piece = vec![b'x'; 64 * 1024];
        for _ in 0..1024 {
            if !client.send_if_open(&piece) {
                break;
            }
            most_kb = most_kb.max(server.resident_kb());
        }
        client.half_close();
        assert_eq!(show(&reading.join().expect("the reader")), "(error) line too long\\r\\n");
        stop.store(true, Ordering::Relaxed);
        let (worst, _) = pinging.join().expect("the bystander");
        assert!(worst < BYSTANDER, "a bystander waited {worst:?}");
    });
    bystander.barrier();
    let (grown_kb, spent_ms) = (most_kb.max(server.resident_kb()) - before_kb, server.cpu_ms() - before_ms);
    println!("64 MB without a line end: grown {grown_kb} kB, {spent_ms:.1} ms of processor time");
    assert!(grown_kb < 8 * 1024, "grown by {grown_kb} kB");
    assert!(spent_ms < 500.0, "{spent_ms} ms of processor time");
}

#[test]
fn a_long_line_may_come_in_many_pieces() {
    const PIECES: usize = 9000;
    let _machine = alone();
    let server = Server::start(&[]);
    let mut bystander = server.connect();
    let mut client = server.connect();
    bystander.barrier();
    let before_ms = server.cpu_ms();
    client.send("SET k ");
    for number in 0..PIECES {
        client.send([b'x'; 100]);
        // Every few pieces the server is made to look, so that the kernel cannot put them all together.
        if number % 3 == 0 {
            bystander.send("PING\r\n");
            assert_eq!(bystander.line(), "PONG");
        }
    }
    client.send("\r\n");
    assert_eq!(client.line(), "OK");
    client.expect("STRLEN k", &(PIECES * 100).to_string());
    let spent_ms = server.cpu_ms() - before_ms;
    println!("900 kB in {PIECES} pieces: {spent_ms:.1} ms of processor time");
    assert!(spent_ms < 1000.0, "{spent_ms} ms of processor time");
}

/// Eleven megabytes of replies are owed to the client: more than the kernel takes off the server's hands.
fn owed(server: &Server) -> (Client, usize) {
    let mut bystander = server.connect();
    let length = 900_000;
    bystander.expect(&format!("SET big {}", "v".repeat(length)), "OK");
    let mut client = server.connect();
    client.send("GET big\r\n".repeat(12));
    bystander.barrier();
    (client, 12 * (length + 2))
}

#[test]
fn the_first_signal_waits_for_what_is_owed() {
    let _machine = together();
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut server = Server::start(&[]);
        let (mut client, bytes) = owed(&server);
        let mut idle = server.connect();
        idle.expect("PING", "PONG");
        server.signal(signal);
        wait_for("no more connections", || refuses(&server));
        assert_eq!(idle.rest(), b"", "to whom nothing is owed");
        assert_eq!(client.rest().len(), bytes, "what was owed at {signal}");
        assert_eq!(server.wait_exit().code(), Some(0), "after {signal}");
    }
}

#[test]
fn a_signal_ends_a_server_without_clients_at_once() {
    let _machine = together();
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut server = Server::start(&[]);
        server.signal(signal);
        let start = Instant::now();
        assert_eq!(server.wait_exit().code(), Some(0), "after {signal}");
        assert!(start.elapsed() < Duration::from_secs(2), "{signal} took {:?}", start.elapsed());
    }
}

#[test]
fn signals_that_come_together_count_as_one() {
    let _machine = together();
    let mut server = Server::start(&[]);
    let (mut client, bytes) = owed(&server);
    // A supervisor and a terminal may both want it to end; neither of them was impatient.
    server.stop();
    server.signal(Signal::SIGTERM);
    server.signal(Signal::SIGINT);
    server.signal(Signal::SIGCONT);
    assert_eq!(client.rest().len(), bytes, "what was owed");
    assert_eq!(server.wait_exit().code(), Some(0));
}

#[test]
fn clients_that_merely_stay_hold_up_no_end() {
    let _machine = alone();
    let mut server = Server::start(&[]);
    let mut clients: Vec<Client> = (0..50).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(|client| client.expect("PING", "PONG"));
    let start = Instant::now();
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
    // A peer that is listened to until it ends its side would take two seconds.
    assert!(start.elapsed() < Duration::from_millis(500), "took {:?}", start.elapsed());
    drop(clients);
}

#[test]
fn the_second_signal_waits_for_nothing() {
    let _machine = together();
    let mut server = Server::start(&[]);
    // The client does not read, so that what it is owed stays owed.
    let (_client, _) = owed(&server);
    server.signal(Signal::SIGTERM);
    wait_for("no more connections", || refuses(&server));
    assert!(server.is_running(), "the first signal did not wait for what is owed");
    let start = Instant::now();
    server.signal(Signal::SIGTERM);
    server.wait_exit();
    assert!(start.elapsed() < Duration::from_secs(2), "took {:?}", start.elapsed());
}

#[test]
fn shutdown_ends_the_server() {
    let _machine = together();
    let mut server = Server::start(&[]);
    let (mut owed, bytes) = owed(&server);
    let mut client = server.connect();
    client.send("PING\r\nSHUTDOWN\r\n");
    assert_eq!(client.rest(), b"PONG\r\n");
    assert_eq!(owed.rest().len(), bytes);
    assert_eq!(server.wait_exit().code(), Some(0));
}

#[test]
fn running_out_of_descriptors_costs_no_time() {
    if !need("prlimit") {
        return;
    }
    let _machine = alone();
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.expect("SET k v", "OK");
    // No option leads here, since the number of clients stays below the limit: it is lowered under the server.
    let limit = |descriptors: String| {
        let id = server.id().to_string();
        let status = Command::new("prlimit").args(["--pid", &id, &format!("--nofile={descriptors}")]).status();
        assert!(status.expect("to run prlimit").success());
    };
    let (soft, hard) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).expect("the limit");
    limit(format!("{}:{hard}", server.descriptors()));
    // The kernel completes these connections; the server cannot accept them.
    let mut waiting: Vec<Client> = (0..20).map(|_| server.connect()).collect();
    for client in &mut waiting {
        client.send("GET k\r\n");
    }
    client.barrier();
    let (cpu_ms, start) = (server.cpu_ms(), Instant::now());
    while start.elapsed() < Duration::from_secs(1) {
        client.expect("GET k", "v");
        thread::sleep(Duration::from_millis(20));
    }
    let spent_ms = server.cpu_ms() - cpu_ms;
    println!("{spent_ms:.1} ms of processor time in {:?} without a descriptor", start.elapsed());
    assert!(spent_ms < 200.0, "{spent_ms} ms of processor time in {:?}", start.elapsed());
    limit(format!("{soft}:{hard}"));
    for client in &mut waiting {
        assert_eq!(client.line(), "v");
    }
    server.connect().expect("GET k", "v");
}

#[test]
fn a_freed_descriptor_lets_the_next_one_in() {
    if !need("prlimit") {
        return;
    }
    let _machine = together();
    let server = Server::start(&[]);
    let mut first = server.connect();
    first.expect("PING", "PONG");
    let id = server.id().to_string();
    let limit = format!("--nofile={}:", server.descriptors());
    assert!(Command::new("prlimit").args(["--pid", &id, &limit]).status().expect("to run prlimit").success());
    let mut second = server.connect();
    second.send("PING\r\n");
    first.barrier();
    drop(first);
    assert_eq!(second.line(), "PONG");
}

#[test]
fn one_client_too_many_is_told_so() {
    let _machine = together();
    let server = Server::start(&["--maxclients", "2"]);
    let mut first = server.connect();
    let mut second = server.connect();
    first.expect("PING", "PONG");
    second.expect("PING", "PONG");
    for _ in 0..5 {
        // Who says nothing first is taken for a library, which could not read an error in text.
        let mut third = server.connect();
        assert_eq!(show(&third.rest()), "-ERR max number of clients reached\\r\\n");
    }
    first.expect("PING", "PONG");
    drop(second);
    wait_for("room for another", || {
        let mut third = server.connect();
        third.send_if_open(b"PING\r\nQUIT\r\n");
        third.rest() == b"PONG\r\n"
    });
}

#[test]
fn who_is_refused_gets_to_know_why_even_if_he_speaks_later() {
    let server = Server::start(&["--maxclients", "1"]);
    let mut first = server.connect();
    first.expect("PING", "PONG");
    let before = server.descriptors();
    let mut refused: Vec<Client> = (0..100).map(|_| server.connect()).collect();
    wait_for("the refusals", || first.info("rejected_connections") == 100);
    // Those who stay are not kept for ever, nor all of them.
    assert!(server.descriptors() <= before + 16, "{before} descriptors before, {} now", server.descriptors());
    for client in &mut refused[..10] {
        // A closed socket would answer these with a reset.
        assert!(client.send_if_open(b"PING\r\n") && client.send_if_open(b"PING\r\n"));
        assert_eq!(show(&client.rest()), "-ERR max number of clients reached\\r\\n");
    }
    wait_for("the end of those who stay", || server.descriptors() == before);
    first.expect("PING", "PONG");
}

#[test]
fn few_descriptors_mean_few_clients() {
    let _machine = together();
    let server = Start::new(&[]).descriptors(64).start();
    let log = server.log();
    assert!(log.lines().any(|line| line.starts_with("[WRN]") && line.contains("32")), "no warning: {log}");
    let mut clients: Vec<Client> = (0..32).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.expect("PING", "PONG");
    }
    assert_eq!(show(&server.connect().rest()), "-ERR max number of clients reached\\r\\n");
    clients[31].expect("PING", "PONG");
}

#[test]
fn the_log_says_who_listens_where() {
    let _machine = together();
    let server = Server::start(&[]);
    let log = server.log();
    for line in log.lines() {
        let shape: String = line.chars().map(|char| if char.is_ascii_digit() { '0' } else { char }).collect();
        let level = ["[DBG]", "[INF]", "[WRN]", "[ERR]"].iter().find_map(|level| shape.strip_prefix(level));
        let time = level.and_then(|rest| rest.strip_prefix("[0000-00-00 00-00-00] - "));
        assert!(time.is_some(), "not [INF][YYYY-mm-dd hh-mm-ss] - text: {line:?}");
    }
    for wanted in [env!("CARGO_PKG_VERSION"), &server.id().to_string(), &format!("listening on {}", server.address())] {
        assert!(log.contains(wanted), "no {wanted:?} in {log}");
    }
    assert!(server.address().ip().is_loopback(), "{}", server.address());
    let before = log.lines().count();
    // Not verbose: a client is not worth a line.
    server.connect().expect("PING", "PONG");
    assert_eq!(server.log().lines().count(), before);
    let server = Server::start(&["-v"]);
    server.connect().expect("PING", "PONG");
    server.wait_for_log("[DBG]");
}

#[test]
fn a_taken_port_is_one_clear_line() {
    let _machine = together();
    let server = Server::start(&[]);
    let port = server.port().to_string();
    let (code, _, stderr) = run_to_end(Command::new(program()).args(["-p", &port]));
    assert_eq!(code, Some(1), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("memento: ") && stderr.contains(&port), "{stderr}");
    server.connect().expect("PING", "PONG");
}

#[test]
fn a_port_is_free_again_after_a_restart() {
    let _machine = together();
    let mut server = Server::start(&[]);
    let port = server.port().to_string();
    // The server closes first, so that its side of the connection keeps the address for a while.
    server.connect().send("PING\r\nQUIT\r\n");
    let mut client = server.connect();
    client.send("QUIT\r\n");
    client.rest();
    server.signal(Signal::SIGTERM);
    server.wait_exit();
    let again = Server::start(&["-p", &port]);
    assert_eq!(again.port().to_string(), port);
    again.connect().expect("PING", "PONG");
}

#[test]
fn wrong_usage_is_told_and_ends_with_2() {
    let _machine = together();
    let wrong: &[(&[&str], &str)] = &[
        (&["--no-such-option"], "no-such-option"),
        (&["-z"], "z"),
        (&["-p"], "p"),
        (&["-p", "65536"], "65536"),
        (&["-p", "-1"], "-1"),
        (&["-p", "http"], "http"),
        (&["-p", ""], "port"),
        (&["-p", "+6"], "+6"),
        (&["-s", ""], "socket"),
        (&["--port", "1e3"], "1e3"),
        (&["--maxclients", "many"], "many"),
        (&["--timeout", "-5"], "-5"),
        (&["--timeout", "soon"], "soon"),
        (&["--socket-mode", "9z"], "9z"),
        (&["--tcp-backlog", "x"], "x"),
        (&["--tcp-keepalive", "x"], "x"),
        (&["stray"], "stray"),
        (&["-c", "cluster.conf"], "cluster"),
        (&["-f", "file"], "No such file"),
        (&["-i", "1"], "cluster"),
    ];
    for (arguments, named) in wrong {
        let (code, stdout, stderr) = run_to_end(Command::new(program()).args(*arguments));
        assert_eq!(code, Some(2), "{arguments:?}: {stdout}{stderr}");
        assert!(stderr.starts_with("memento: ") && stderr.contains(named), "{arguments:?}: {stderr}");
        assert_eq!(stdout, "", "{arguments:?}");
    }
    // What is no text at all is named as far as it can be shown.
    let argument = OsStr::from_bytes(b"--socket=/tmp/\xff");
    let (code, stdout, stderr) = run_to_end(Command::new(program()).arg(argument));
    assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
    assert!(stderr.starts_with("memento: ") && stderr.contains("--socket=/tmp/"), "{stderr}");
    // A name that is no address is no usage error, but it is one clear line as well.
    let (code, _, stderr) = run_to_end(Command::new(program()).args(["-p", "0", "-a", "no.such.host.invalid"]));
    assert!(matches!(code, Some(1 | 2)), "{code:?}: {stderr}");
    assert!(stderr.starts_with("memento: ") && stderr.contains("no.such.host.invalid"), "{stderr}");
}

#[test]
fn help_and_version_are_printed() {
    let _machine = together();
    for option in ["-h", "--help"] {
        let (code, stdout, stderr) = run_to_end(Command::new(program()).arg(option));
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
        let options = "--address --port --socket --socket-mode --verbose --help --version --maxclients --timeout \
                       --tcp-keepalive --tcp-backlog";
        for option in options.split_whitespace() {
            assert!(stdout.contains(option), "no {option} in {stdout}");
        }
    }
    for option in ["-V", "--version"] {
        let (code, stdout, _) = run_to_end(Command::new(program()).arg(option));
        assert_eq!(code, Some(0));
        assert!(stdout.starts_with(concat!("memento ", env!("CARGO_PKG_VERSION"))), "{stdout}");
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("the socket").permissions().mode() & 0o7777
}

#[test]
fn a_unix_socket_serves_like_a_port() {
    let _machine = together();
    let scratch = Scratch::new();
    let path = scratch.path("sock");
    let name = path.to_str().expect("a plain path");
    let mut server = Start::new(&["-s", name]).listeners(2).start();
    assert!(server.addresses.iter().any(|address| address == name), "{:?}", server.addresses);
    assert_eq!(mode(&path), 0o660);
    assert_eq!(unix_exchange(&path, "SET k v\r\nGET k\r\nQUIT\r\n"), "OK\r\nv\r\n");
    server.connect().expect("GET k", "v");

    // A live one is refused, and goes on to serve.
    let (code, _, stderr) = run_to_end(Command::new(program()).args(["-p", "0", "-s", name]));
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.starts_with("memento: ") && stderr.contains(name) && stderr.lines().count() == 1, "{stderr}");
    assert_eq!(unix_exchange(&path, "GET k\r\nQUIT\r\n"), "v\r\n");

    // Its end removes it.
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
    assert!(!path.exists());

    // The mode as asked for.
    let server = Start::new(&["-s", name, "--socket-mode", "0600"]).listeners(2).start();
    assert_eq!(mode(&path), 0o600);
    drop(server);

    // That one was killed: its socket is stale, and replaced.
    assert!(path.exists());
    let _server = Start::new(&["-s", name]).listeners(2).start();
    assert_eq!(unix_exchange(&path, "PING\r\nQUIT\r\n"), "PONG\r\n");
    assert_eq!(mode(&path), 0o660);
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let _machine = together();
    let scratch = Scratch::new();
    let path = scratch.path("precious");
    let name = path.to_str().expect("a plain path");
    fs::write(&path, "data").expect("a file");
    let (code, _, stderr) = run_to_end(Command::new(program()).args(["-p", "0", "-s", name]));
    assert_eq!(code, Some(1), "{stderr}");
    assert_eq!(fs::read_to_string(&path).expect("the file"), "data");

    // A foreign listener's socket is live as well.
    let path = scratch.path("foreign");
    let name = path.to_str().expect("a plain path");
    let _listener = UnixListener::bind(&path).expect("a listener");
    let (code, _, stderr) = run_to_end(Command::new(program()).args(["-p", "0", "-s", name]));
    assert_eq!(code, Some(1), "{stderr}");
    assert!(fs::symlink_metadata(&path).expect("the socket").file_type().is_socket());

    // A path in no folder, and one too long for a socket.
    for path in [scratch.path("none/sock"), scratch.path(&"x".repeat(120))] {
        let name = path.to_str().expect("a plain path");
        let (code, _, stderr) = run_to_end(Command::new(program()).args(["-p", "0", "-s", name]));
        assert!(matches!(code, Some(1 | 2)), "{code:?}: {stderr}");
        assert!(stderr.starts_with("memento: "), "{stderr}");
    }
}

#[test]
fn several_addresses_are_served() {
    let _machine = together();
    let server = Start::new(&["-a", "127.0.0.1", "--address", "127.0.0.2"]).listeners(2).start();
    assert_eq!(server.addresses.len(), 2);
    for (address, ip) in server.addresses.iter().zip(["127.0.0.1:", "127.0.0.2:"]) {
        assert!(address.starts_with(ip), "{:?}", server.addresses);
        let mut client = Client::new(TcpStream::connect(address).expect("to connect"));
        client.expect("PING", "PONG");
    }
}

#[test]
fn names_and_ipv6_are_addresses() {
    let _machine = together();
    let server = Server::start(&["-a", "localhost"]);
    assert!(server.address().ip().is_loopback(), "{:?}", server.addresses);
    server.connect().expect("PING", "PONG");
    let server = Server::start(&["-a", "0.0.0.0"]);
    Client::new(TcpStream::connect(("127.0.0.1", server.port())).expect("to connect")).expect("PING", "PONG");

    if let Err(error) = TcpListener::bind("[::1]:0") {
        // A container without IPv6 is no fault of ours, not even in the continuous integration.
        println!("skipped: no IPv6 here ({error})");
        return;
    }
    let server = Server::start(&["-a", "::1"]);
    assert!(server.addresses[0].starts_with("[::1]:"), "{:?}", server.addresses);
    server.connect().expect("PING", "PONG");
    // Both protocols on one port each.
    let server = Start::new(&["-a", "127.0.0.1", "-a", "::1"]).listeners(2).start();
    for address in &server.addresses {
        Client::new(TcpStream::connect(address).expect("to connect")).expect("PING", "PONG");
    }
}

#[test]
fn idle_clients_are_closed_where_asked_for() {
    let _machine = together();
    let server = Server::start(&["--timeout", "1"]);
    let mut busy = server.connect();
    let mut idle = server.connect();
    let mut never = server.connect();
    idle.expect("PING", "PONG");
    let start = Instant::now();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let pinging = scope.spawn(|| ping_until(&mut busy, &stop));
        assert_eq!(idle.rest(), b"");
        let first = start.elapsed();
        assert_eq!(never.rest(), b"");
        assert!(first >= Duration::from_millis(800), "closed after {first:?}");
        assert!(start.elapsed() < Duration::from_secs(5), "closed after {:?}", start.elapsed());
        // The busy one outlives them by more than its own timeout.
        thread::sleep(Duration::from_millis(1300));
        stop.store(true, Ordering::Relaxed);
        pinging.join().expect("the busy client");
    });
    busy.expect("PING", "PONG");
    // By default nobody is closed.
    let server = Server::start(&[]);
    let mut lasting = server.connect();
    lasting.stream.set_read_timeout(Some(Duration::from_millis(1500))).expect("a deadline");
    let outcome = support::receive(&mut lasting.stream, &mut [0; 1]).map_err(|error| error.kind());
    assert!(matches!(outcome, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)), "{outcome:?}");
}

#[test]
fn a_full_standard_output_blocks_nobody() {
    let _machine = together();
    let mut server = Server::start(&["-v"]);
    server.stop_reading();
    // Lines enough to fill any pipe, were each written.
    for _ in 0..5000 {
        let mut client = server.connect();
        client.send("PING\r\nQUIT\r\n");
        assert_eq!(client.rest(), b"PONG\r\n");
    }
    server.connect().expect("PING", "PONG");
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
}

#[test]
fn a_closed_standard_output_ends_nobody() {
    let _machine = together();
    let mut server = Server::start(&["-v"]);
    server.close_output();
    for _ in 0..50 {
        server.connect().expect("PING", "PONG");
    }
    assert!(server.is_running());
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
}

/// Whether a server whose log cannot be read serves, and goes on while lines are lost; its port is one that was free a
/// moment ago.
fn serves_without_log(start: impl FnOnce(&str) -> Command) -> bool {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let mut child = start(&port.to_string()).spawn().expect("to start the program");
    let asks = || {
        // Nothing but answers may come: no line of the log.
        let mut client = Client::new(TcpStream::connect(("127.0.0.1", port)).ok()?);
        client.send("PING\r\nQUIT\r\n");
        Some(client.rest() == b"PONG\r\n")
    };
    let began = holds_within(Duration::from_secs(5), || asks() == Some(true));
    let goes_on = began && (0..50).all(|_| asks() == Some(true));
    child.kill().expect("our own child");
    child.wait().expect("our own child");
    goes_on
}

#[test]
fn a_full_disk_under_standard_output_ends_nobody() {
    let _machine = together();
    let Ok(full) = fs::OpenOptions::new().write(true).open("/dev/full") else {
        skip("there is no /dev/full");
        return;
    };
    assert!(serves_without_log(|port| {
        let mut command = Command::new(program());
        command.args(["-v", "-p", port]).stdin(Stdio::null()).stdout(full);
        command
    }));
}

/// A shell does this before it becomes the server: `$1` is a file that may be written to.
fn serves_within_shell(before: &str) -> bool {
    let scratch = Scratch::new();
    let log = scratch.path("log");
    serves_without_log(|port| {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("log=$1; shift; {before}")).arg("sh").arg(log).arg(program());
        shell.args(["-v", "-p", port]);
        shell
    })
}

#[test]
fn a_log_that_is_as_long_as_it_may_be_ends_nobody() {
    let _machine = together();
    // Blocks of 512 bytes; beyond them comes a signal that ends who does not expect it.
    assert!(serves_within_shell("ulimit -f 1 && exec \"$@\" > \"$log\" 2>&1"));
}

/// Descriptors 0 to 2 are free then: no listener and no client may get one, since the log would go there.
#[test]
fn who_inherits_no_standard_streams_serves_all_the_same() {
    let _machine = together();
    assert!(serves_within_shell("exec \"$@\" <&- >&- 2>&-"));
}

/// Gives a server a terminal as its standard output, and reads of it until the server listens. The port is printed;
/// from then on the terminal stays unread, until standard input ends.
const UNREAD_TERMINAL: &str = r#"
import os, pty, re, subprocess, sys
leader, follower = pty.openpty()
server = subprocess.Popen([sys.argv[1], "-v", "-p", "0"], stdin=subprocess.DEVNULL, stdout=follower)
text = b""
while not re.search(rb"listening on \S+:\d+\s", text):
    text += os.read(leader, 4096)
print(re.search(rb"listening on \S+:(\d+)\s", text)[1].decode(), flush=True)
sys.stdin.read()
server.kill()
server.wait()
"#;

#[test]
fn a_terminal_that_nobody_reads_blocks_nobody() {
    if !need("python3") {
        return;
    }
    let _machine = together();
    let mut command = Command::new("python3");
    command.args(["-c", UNREAD_TERMINAL]).arg(program()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("to run python3");
    let mut port = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut port).expect("the port");
    let port: u16 = port.trim().parse().expect("a port");
    let mut answers = Vec::new();
    // Lines enough to fill any terminal, were each written. Nothing is asserted before the script is told to end.
    for _ in 0..3000 {
        let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) else { break };
        let mut client = Client::new(stream);
        client.stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a deadline");
        client.send("PING\r\nQUIT\r\n");
        let mut answer = [0; 6];
        if client.stream.read_exact(&mut answer).is_err() {
            break;
        }
        answers.push(answer);
    }
    drop(child.stdin.take());
    child.wait().expect("our own child");
    assert_eq!(answers.len(), 3000, "the server stopped to answer");
    assert!(answers.iter().all(|answer| answer == b"PONG\r\n"));
}
