//! Messages: who gets which, in what order, and that nobody else waits for them.

mod support;

use std::io::Read;
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use support::cluster::{Cluster, array};
use support::reference::Reference;
use support::{
    Client, DEADLINE, Scratch, Server, StopAtEnd, alone, ping_until, raise_descriptors, skip, together, wait_for,
};

/// A client that has subscribed to a channel with a line.
#[track_caller]
fn listener(server: &Server, channel: &str) -> Client {
    let mut client = server.connect();
    client.expect_line(&format!("SUBSCRIBE {channel}"), &format!("subscribe {channel} 1"));
    client
}

#[test]
fn everybody_gets_all_in_order_in_every_protocol() {
    const MESSAGES: usize = 3000;
    let _machine = together();
    let server = Server::start(&[]);
    let mut text = listener(&server, "ch");
    let (mut resp2, mut resp3) = (server.connect(), server.connect());
    resp2.send(array(&["SUBSCRIBE", "ch"]));
    assert_eq!(resp2.exactly(31), b"*3\r\n$9\r\nsubscribe\r\n$2\r\nch\r\n:1\r\n");
    resp3.send("HELLO 3\r\nPSUBSCRIBE c*\r\n");
    resp3.until(b">3\r\n$10\r\npsubscribe\r\n$2\r\nc*\r\n:1\r\n");
    let mut publisher = server.connect();
    let requests: String = (0..MESSAGES).map(|number| format!("PUBLISH ch {number}\r\n")).collect();
    assert_eq!(publisher.converse(requests.as_bytes(), 3 * MESSAGES), "3\r\n".repeat(MESSAGES).as_bytes());
    for number in 0..MESSAGES {
        let (payload, length) = (number.to_string(), number.to_string().len());
        assert_eq!(text.line(), format!("message ch {number}"));
        let wanted = format!("*3\r\n$7\r\nmessage\r\n$2\r\nch\r\n${length}\r\n{payload}\r\n");
        assert_eq!(String::from_utf8_lossy(&resp2.exactly(wanted.len())), wanted);
        let wanted = format!(">4\r\n$8\r\npmessage\r\n$2\r\nc*\r\n$2\r\nch\r\n${length}\r\n{payload}\r\n");
        assert_eq!(String::from_utf8_lossy(&resp3.exactly(wanted.len())), wanted);
    }
    // A push stands between whole replies, behind those that are owed already.
    resp3.send("ECHO before\r\nPUBLISH ch own\r\nECHO behind\r\n");
    let replies = "$6\r\nbefore\r\n:3\r\n$6\r\nbehind\r\n";
    let wanted = format!("{replies}>4\r\n$8\r\npmessage\r\n$2\r\nc*\r\n$2\r\nch\r\n$3\r\nown\r\n");
    assert_eq!(String::from_utf8_lossy(&resp3.exactly(wanted.len())), wanted);
}

#[test]
fn a_long_message_is_the_same_for_all_and_held_once() {
    const BYTES: usize = 3 << 20;
    const LISTENERS: usize = 20;
    let _machine = alone();
    let server = Server::start(&[]);
    let mut listeners: Vec<Client> = (0..LISTENERS).map(|_| listener(&server, "ch")).collect();
    let mut publisher = server.connect();
    let payload = "v".repeat(BYTES);
    let before_kb = server.peak_kb();
    publisher.send(array(&["PUBLISH", "ch", &payload]));
    assert_eq!(publisher.line(), format!(":{LISTENERS}"));
    for client in &mut listeners {
        let line = client.line();
        assert!(line.strip_prefix("message ch ") == Some(&payload), "{} bytes", line.len());
    }
    let grown_kb = server.peak_kb() - before_kb;
    assert!(grown_kb < 4 * (BYTES / 1024) as i64, "grown by {grown_kb} kB for a message of {} kB", BYTES / 1024);
    wait_for("the memory of the message to come back", || server.resident_kb() < (BYTES / 1024) as i64);
}

/// One message for ten thousand: nobody else waits for that, and nothing is left of it.
#[test]
fn ten_thousand_subscribers_make_nobody_wait() {
    const LISTENERS: usize = 10_000;
    const MESSAGES: usize = 5;
    let _machine = alone();
    if raise_descriptors() < LISTENERS as u64 + 200 {
        return skip("the limit of descriptors is too low for ten thousand clients");
    }
    let server = Server::start(&["--maxclients", "10100"]);
    let (mut publisher, mut bystander) = (server.connect(), server.connect());
    let mut listeners: Vec<Client> = (0..LISTENERS).map(|_| server.connect()).collect();
    for client in &mut listeners {
        client.send("SUBSCRIBE ch\r\n");
    }
    for client in &mut listeners {
        assert_eq!(client.line(), "subscribe ch 1");
    }
    let before_kb = server.resident_kb();
    // By the clock others on this machine count as well; in the longest turn they hardly do, and not each time.
    let calm = (0..5).any(|_| {
        publisher.expect("CONFIG RESETSTAT", "OK");
        let stop = AtomicBool::new(false);
        let (worst, answered) = std::thread::scope(|scope| {
            let pings = scope.spawn(|| ping_until(&mut bystander, &stop));
            let _stop = StopAtEnd(&stop);
            let began = Instant::now();
            for number in 0..MESSAGES {
                publisher.expect_line(&format!("PUBLISH ch {number}"), &LISTENERS.to_string());
            }
            let answered = began.elapsed();
            for client in &mut listeners {
                for number in 0..MESSAGES {
                    assert_eq!(client.line(), format!("message ch {number}"));
                }
            }
            stop.store(true, Ordering::Relaxed);
            (pings.join().expect("the bystander").0, answered)
        });
        let turn_us = publisher.info("turn_worst_us");
        println!("{MESSAGES} for {LISTENERS}: answered in {answered:?}, a wait of {worst:?}, a turn of {turn_us} us");
        turn_us < 10_000 || worst < Duration::from_millis(10)
    });
    assert!(calm, "others waited, each time");
    let grown_kb = server.resident_kb() - before_kb;
    assert!(grown_kb < 1000, "grown by {grown_kb} kB");
    drop(listeners);
    wait_for("all to be gone", || publisher.info("pubsub_channels") == 0);
}

#[test]
fn a_slow_subscriber_is_closed_and_others_go_on() {
    const MESSAGES: usize = 40_000;
    const BYTES: usize = 1000;
    let _machine = together();
    let server = Server::start(&[]);
    let (mut slow, mut quick) = (listener(&server, "ch"), listener(&server, "ch"));
    let mut publisher = server.connect();
    let request = format!("PUBLISH ch {}\r\n", "v".repeat(BYTES));
    let message = format!("message ch {}\r\n", "v".repeat(BYTES));
    let received = std::thread::scope(|scope| {
        let quick = scope.spawn(move || {
            let mut received = 0;
            let mut bytes = vec![0; 1 << 20];
            while received < MESSAGES * message.len() {
                received += support::receive(&mut quick.stream, &mut bytes).expect("messages");
            }
            received == MESSAGES * message.len()
        });
        let mut answers = publisher.share();
        scope.spawn(move || publisher.send(request.repeat(MESSAGES)));
        let mut last = String::new();
        for _ in 0..MESSAGES {
            last = answers.line();
        }
        assert_eq!(last, "1", "the slow one is not there any more");
        quick.join().expect("the quick one")
    });
    assert!(received, "the quick one got something else");
    server.wait_for_log("of the messages that it subscribed to and of its replies");
    let got = slow.rest().len();
    assert!(got < MESSAGES * BYTES && got > 4 << 20, "the slow one got {got} bytes");
    assert_eq!(server.connect().info("closed_by_slow_subscription"), 1);
}

/// Who has published was told how many get it.
#[test]
fn what_was_published_before_the_end_is_told() {
    const LISTENERS: usize = 50;
    const MESSAGES: usize = 2000;
    let _machine = together();
    let mut server = Server::start(&[]);
    let mut listeners: Vec<Client> = (0..LISTENERS).map(|_| listener(&server, "ch")).collect();
    let mut publisher = server.connect();
    let requests: String = (0..MESSAGES).map(|number| format!("PUBLISH ch {number}\r\n")).collect();
    publisher.converse(requests.as_bytes(), MESSAGES * "50\r\n".len());
    server.signal(Signal::SIGTERM);
    let wanted: String = (0..MESSAGES).map(|number| format!("message ch {number}\r\n")).collect();
    for client in &mut listeners {
        let got = client.rest();
        assert!(got == wanted.as_bytes(), "{} of {} bytes", got.len(), wanted.len());
    }
    assert!(server.wait_exit().success());
}

/// Long ones that are being sent, and what comes behind them, are no sign of slowness.
#[test]
fn long_messages_close_nobody_who_takes_them() {
    const BYTES: usize = 9 << 20;
    let _machine = together();
    let server = Server::start(&[]);
    let mut client = listener(&server, "ch");
    client.expect_line("PSUBSCRIBE c*", "psubscribe c* 2");
    let mut publisher = server.connect();
    let payload = "v".repeat(BYTES);
    publisher.send([array(&["PUBLISH", "ch", &payload]), array(&["PUBLISH", "ch", "short"])].concat());
    assert_eq!([publisher.line(), publisher.line()], [":2", ":2"]);
    for message in [&payload, "short"] {
        assert!(client.line().strip_prefix("message ch ") == Some(message));
        assert!(client.line().strip_prefix("pmessage c* ch ") == Some(message));
    }
    assert_eq!(publisher.info("closed_by_slow_subscription"), 0);
}

/// Within a transaction nothing waits: what finds no room is refused, and what each message takes is the same for many
/// patterns.
#[test]
fn what_a_transaction_publishes_is_bounded() {
    const MESSAGES: usize = 100_000;
    const PATTERNS: usize = 10;
    let _machine = alone();
    let server = Server::start(&[]);
    let mut client = server.connect();
    for number in 1..=PATTERNS {
        client.expect_line(
            &format!("PSUBSCRIBE {}", "*".repeat(number)),
            &format!("psubscribe {} {number}", "*".repeat(number)),
        );
    }
    let mut publisher = server.connect();
    publisher.expect_line("MULTI", "OK");
    publisher.converse("PUBLISH ch x\r\n".repeat(MESSAGES).as_bytes(), MESSAGES * "QUEUED\r\n".len());
    let before_kb = server.peak_kb();
    let answer = publisher.ask("EXEC");
    let (told, refused) = answer.lines().partition::<Vec<&str>, _>(|&line| line == PATTERNS.to_string());
    assert_eq!(told.len() + refused.len(), MESSAGES);
    assert!(told.len() > 1000, "{} of them were published", told.len());
    assert!(!refused.is_empty() && refused.iter().all(|line| line.contains("too many messages")), "{:?}", refused[0]);
    for _ in 0..told.len() * PATTERNS {
        assert!(client.line().starts_with("pmessage *"));
    }
    let grown_kb = server.peak_kb() - before_kb;
    println!("{} messages for {PATTERNS} patterns: grown by {grown_kb} kB", told.len());
    assert!(grown_kb < 60_000, "grown by {grown_kb} kB");
}

/// Patterns that take long cost a turn no more than they may, however many events there are.
#[test]
fn many_patterns_make_nobody_wait() {
    const PATTERNS: usize = 10_000;
    let _machine = alone();
    let server = Server::start(&["--notify-keyspace-events", "KEA"]);
    let (mut client, mut other) = (server.connect(), server.connect());
    let patterns: Vec<String> = (0..PATTERNS).map(|number| format!("*a*a*a*a*{number}b")).collect();
    client.send(format!("PSUBSCRIBE {}\r\n", patterns.join(" ")));
    for _ in 0..PATTERNS {
        client.line();
    }
    let pairs: Vec<String> = (0..1000).map(|number| format!("{}{number} v", "a".repeat(40))).collect();
    other.expect("CONFIG RESETSTAT", "OK");
    let began = Instant::now();
    other.expect_line(&format!("MSET {}", pairs.join(" ")), "OK");
    let (took, turn_us) = (began.elapsed(), other.info("turn_worst_us"));
    let lost = other.info("keyspace_events_lost");
    println!("an MSET of 1000 keys for {PATTERNS} patterns: {took:?}, a turn of {turn_us} us, {lost} events lost");
    assert!(turn_us < 200_000 && lost > 1000, "a turn of {turn_us} us, {lost} events lost");
}

/// Many messages for many: who publishes waits, rather than that messages pile up; the others do not.
#[test]
fn who_publishes_too_much_waits() {
    const LISTENERS: usize = 100;
    const MESSAGES: usize = 20_000;
    let _machine = alone();
    let server = Server::start(&[]);
    let (mut publisher, mut bystander) = (server.connect(), server.connect());
    let mut listeners: Vec<Client> = (0..LISTENERS).map(|_| listener(&server, "ch")).collect();
    let payload = "v".repeat(250);
    let (request, message) = (format!("PUBLISH ch {payload}\r\n"), format!("message ch {payload}\r\n"));
    let wanted = LISTENERS * MESSAGES * message.len();
    let before_kb = server.peak_kb();
    let (stop, received, seen) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let _stop = StopAtEnd(&stop);
        scope.spawn(|| {
            let mut bytes = vec![0; 1 << 16];
            for client in &listeners {
                client.stream.set_nonblocking(true).expect("to be asked without waiting");
            }
            while !stop.load(Ordering::Relaxed) && received.load(Ordering::Relaxed) < wanted {
                for client in &mut listeners {
                    while let Ok(count @ 1..) = client.stream.read(&mut bytes) {
                        received.fetch_add(count, Ordering::Relaxed);
                    }
                }
            }
        });
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let waiting = bystander.info("blocked_clients");
                seen.fetch_max(waiting as usize, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let mut answers = publisher.share();
        let requests = request.repeat(MESSAGES);
        scope.spawn(move || publisher.send(requests));
        for _ in 0..MESSAGES {
            assert_eq!(answers.line(), LISTENERS.to_string());
        }
        assert!(
            support::holds_within(3 * DEADLINE, || received.load(Ordering::Relaxed) == wanted),
            "{} of {wanted} bytes came",
            received.load(Ordering::Relaxed)
        );
    });
    let grown_kb = server.peak_kb() - before_kb;
    println!("{wanted} bytes of messages: grown by {grown_kb} kB");
    assert_eq!(seen.load(Ordering::Relaxed), 1, "the publisher has not waited");
    assert!(grown_kb < 50_000, "grown by {grown_kb} kB");
}

/// A publisher that waits is gone as any client is, in the middle of its requests: what it has published is told, in order,
/// and nothing waits for it any more.
#[test]
fn who_waits_to_publish_may_go() {
    const LISTENERS: usize = 20;
    const MESSAGES: usize = 20_000;
    let _machine = alone();
    let server = Server::start(&[]);
    let mut bystander = server.connect();
    let mut listeners: Vec<Client> = (0..LISTENERS).map(|_| listener(&server, "ch")).collect();
    for client in &mut listeners {
        client.stream.set_nonblocking(true).expect("to be asked without waiting");
    }
    let (stop, heard) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        let _stop = StopAtEnd(&stop);
        scope.spawn(|| {
            let mut bytes = vec![0; 1 << 16];
            while !stop.load(Ordering::Relaxed) {
                for (place, client) in listeners.iter_mut().enumerate() {
                    while let Ok(count @ 1..) = client.stream.read(&mut bytes) {
                        if place == 0 {
                            heard.lock().expect("the bytes").extend_from_slice(&bytes[..count]);
                        }
                    }
                }
            }
        });
        for (round, kills) in [false, true].into_iter().enumerate() {
            let mut publisher = server.connect();
            let id = publisher.ask("CLIENT ID");
            let requests: String =
                (0..MESSAGES).map(|number| format!("PUBLISH ch {round}:{number}:{}\r\n", "v".repeat(240))).collect();
            let mut sender = publisher.share();
            scope.spawn(move || sender.send_if_open(requests.as_bytes()));
            wait_for("the publisher to wait", || bystander.info("blocked_clients") == 1);
            if kills {
                bystander.expect(&format!("CLIENT KILL ID {id}"), "1");
            } else {
                publisher.stream.shutdown(Shutdown::Both).expect("a connection");
            }
            let left = LISTENERS as u64 + 1;
            wait_for("it to be gone", || bystander.info("connected_clients") == left);
            assert_eq!(bystander.info("blocked_clients"), 0);
            bystander.expect(&format!("PUBLISH ch {round}:end"), &LISTENERS.to_string());
            let end = format!("message ch {round}:end\r\n");
            wait_for("the last message", || heard.lock().expect("the bytes").ends_with(end.as_bytes()));
            let heard = String::from_utf8(std::mem::take(&mut *heard.lock().expect("the bytes"))).expect("text");
            let count = heard.lines().count() - 1;
            for (number, line) in heard.lines().take(count).enumerate() {
                assert!(line.starts_with(&format!("message ch {round}:{number}:v")), "{line}");
            }
            println!("{count} of {MESSAGES} messages, then it was gone");
            assert!(count > 0 && count < MESSAGES);
        }
    });
}

/// While clients are paused, who subscribes waits, and then hears all.
#[test]
fn who_subscribes_in_a_pause_waits_for_its_end() {
    let _machine = together();
    let server = Server::start(&[]);
    let (mut client, mut other, mut first) = (server.connect(), server.connect(), listener(&server, "ch"));
    let began = Instant::now();
    other.expect("CLIENT PAUSE 500", "OK");
    client.send("SUBSCRIBE ch\r\n");
    assert_eq!(client.line(), "subscribe ch 1");
    assert!(began.elapsed() >= Duration::from_millis(500), "{:?}", began.elapsed());
    other.expect("PUBLISH ch x", "2");
    assert_eq!((client.line(), first.line()), ("message ch x".to_string(), "message ch x".to_string()));
}

#[test]
fn who_has_not_said_the_password_hears_nothing() {
    let _machine = together();
    let scratch = Scratch::new();
    let path = scratch.path("password");
    std::fs::write(&path, "secret\n").expect("a file");
    let server = Server::start(&["--password-file", path.to_str().expect("a path")]);
    let mut client = server.connect();
    for request in
        ["SUBSCRIBE ch", "PSUBSCRIBE *", "UNSUBSCRIBE", "PUNSUBSCRIBE", "PUBLISH ch x", "PUBSUB CHANNELS", "MONITOR"]
    {
        assert_eq!(client.ask_line(request), "(error) NOAUTH Authentication required.", "{request}");
    }
    let mut other = server.connect();
    other.expect_line("AUTH secret", "OK");
    other.expect("PUBLISH ch x", "0");
    client.expect_line("AUTH secret", "OK");
    client.expect_line("SUBSCRIBE ch", "subscribe ch 1");
    other.expect("PUBLISH ch x", "1");
    assert_eq!(client.line(), "message ch x");
}

#[test]
fn subscriptions_are_bounded_and_counted() {
    const MOST: usize = 10_000;
    let _machine = together();
    let server = Server::start(&[]);
    let mut client = server.connect();
    let names = |count: usize| (0..count).map(|number| format!(" ch{number}")).collect::<String>();
    let refused = client.ask_line(&format!("SUBSCRIBE{}", names(MOST + 1)));
    assert_eq!(refused, "(error) too many names, ask for at most 10000 at a time");
    client.expect("PING", "PONG");
    client.send(format!("SUBSCRIBE{}\r\n", names(MOST)));
    for number in 0..MOST {
        assert_eq!(client.line(), format!("subscribe ch{number} {}", number + 1));
    }
    let refused = client.ask_line("SUBSCRIBE ch0 more");
    assert!(refused.starts_with("(error) too many subscriptions: a client has at most 10000"), "{refused}");
    // What it has is nothing new.
    client.send(format!("SUBSCRIBE{}\r\n", names(MOST)));
    for number in 0..MOST {
        assert_eq!(client.line(), format!("subscribe ch{number} {MOST}"));
    }
    let mut other = server.connect();
    assert_eq!(other.info("pubsub_channels"), MOST as u64);
    let line = other.ask("CLIENT LIST TYPE pubsub");
    let bytes = line.split("tot-mem=").nth(1).and_then(|rest| rest.split(' ').next()).expect("a field");
    assert!(bytes.parse::<usize>().expect("a number") > 100 * MOST, "{line}");
    client.send("UNSUBSCRIBE\r\n");
    let mut last = String::new();
    for _ in 0..MOST {
        last = client.line();
    }
    assert!(last.ends_with(" 0"), "{last}");
    client.expect("PING", "PONG");
    assert_eq!(other.info("pubsub_channels"), 0);
    // Who goes with as many leaves nothing behind, and nobody waits for that.
    for kind in ["SUBSCRIBE", "PSUBSCRIBE"] {
        for _ in 0..20 {
            let mut client = server.connect();
            client.send(format!("{kind}{}\r\n", names(MOST / 2)));
            client.skip_to(format!("ch{} {}\r\n", MOST / 2 - 1, MOST / 2).as_bytes());
        }
    }
    wait_for("all to be gone", || other.info("pubsub_channels") + other.info("pubsub_patterns") == 0);
}

#[test]
fn a_subscriber_is_never_idle() {
    let _machine = together();
    let server = Server::start(&["--timeout", "1"]);
    let (mut client, mut idle) = (listener(&server, "ch"), server.connect());
    assert_eq!(idle.rest(), b"", "the idle one is closed");
    server.connect().expect("PUBLISH ch x", "1");
    assert_eq!(client.line(), "message ch x");
}

/// Two nodes, each with much for the other one that a transaction has published, do not wait for each other.
#[test]
fn nodes_that_have_much_for_each_other_go_on() {
    const ROUNDS: usize = 10;
    let _machine = alone();
    let cluster = Cluster::start(2);
    let mut listeners: Vec<Client> = (0..2).map(|node| cluster.connect(node)).collect();
    for client in &mut listeners {
        client.expect_line("SUBSCRIBE ch", "subscribe ch 1");
    }
    let mut publishers: Vec<Client> = (0..2).map(|node| cluster.connect(node)).collect();
    let payloads = [2 << 20, 5 << 20].map(|bytes| "v".repeat(bytes));
    for round in 0..ROUNDS {
        for (node, client) in publishers.iter_mut().enumerate() {
            client.send(array(&["MULTI"]));
            client.until(b"+OK\r\n");
            for payload in &payloads {
                client.send(array(&["PUBLISH", "ch", &format!("{round}:{node}:{payload}")]));
                client.until(b"+QUEUED\r\n");
            }
        }
        let at_once = Barrier::new(2);
        std::thread::scope(|scope| {
            for client in &mut publishers {
                let at_once = &at_once;
                scope.spawn(move || {
                    at_once.wait();
                    client.send(array(&["EXEC"]));
                    assert_eq!(client.exactly(12), b"*2\r\n:1\r\n:1\r\n");
                });
            }
            for client in &mut listeners {
                scope.spawn(|| {
                    let mut heard: Vec<String> = (0..4).map(|_| client.line()).collect();
                    heard.sort();
                    for (line, (node, payload)) in heard.iter().zip([(0, 0), (0, 1), (1, 0), (1, 1)]) {
                        let begin = format!("message ch {round}:{node}:v");
                        let bytes = begin.len() - 1 + payloads[payload].len();
                        assert!(
                            line.starts_with(&begin) && line.len() == bytes,
                            "{} bytes: {}",
                            line.len(),
                            &line[..20]
                        );
                    }
                });
            }
        });
        for client in &mut publishers {
            client.send(array(&["PUBLISH", "other", "x"]));
            client.until(b":0\r\n");
        }
    }
}

/// Through any node to all; a lost one counts 0, and nobody hears of it.
#[test]
fn messages_reach_all_nodes() {
    let _machine = together();
    let mut cluster = Cluster::start(3);
    let mut listeners: Vec<Client> = (0..3).map(|node| listener(cluster.node(node), "ch")).collect();
    for node in 0..3 {
        cluster.connect(node).expect(&format!("PUBLISH ch from {node}"), "3");
        for client in &mut listeners {
            assert_eq!(client.line(), format!("message ch from {node}"));
        }
        // Of its own subscribers alone a node tells.
        cluster.connect(node).expect("PUBSUB NUMSUB ch", "ch\n1");
    }
    // A transaction tells all from where its keys are, and answers the receivers there.
    for node in 0..3 {
        let key = cluster.key_of(node, 1);
        let mut client = cluster.connect(0);
        let set = format!("SET {key} v");
        for (request, wanted) in [("MULTI", "OK"), (&*set, "QUEUED"), ("PUBLISH ch within", "QUEUED")] {
            client.expect_line(request, wanted);
        }
        client.expect_line("EXEC", "OK\n1");
        for client in &mut listeners {
            assert_eq!(client.line(), "message ch within");
        }
    }
    // In order, also where the payload travels in pieces.
    let mut client = cluster.connect(1);
    let long = "v".repeat(300_000);
    client.send([array(&["PUBLISH", "ch", &long]), array(&["PUBLISH", "ch", "short"])].concat());
    assert_eq!([client.line(), client.line()], [":3", ":3"]);
    for client in &mut listeners {
        assert!(client.line() == format!("message ch {long}") && client.line() == "message ch short");
    }
    cluster.kill(2);
    let mut client = cluster.connect(0);
    let mut published = 0;
    for number in 0..50 {
        let count = client.ask_line(&format!("PUBLISH ch {number}"));
        assert_eq!(count, "2", "never an error, whatever becomes of the node");
        published += 1;
    }
    for client in &mut listeners[..2] {
        for number in 0..published {
            assert_eq!(client.line(), format!("message ch {number}"));
        }
    }
}

/// What a transaction publishes reaches the other nodes in its order, long or short, and before what is published next;
/// also where one of them stands still for a while.
#[test]
fn what_a_transaction_publishes_reaches_all_in_order() {
    const PAIRS: usize = 5;
    const SHORT: usize = 1500;
    let _machine = together();
    let cluster = Cluster::start(3);
    let mut listeners: Vec<Client> = (0..3).map(|node| listener(cluster.node(node), "ch")).collect();
    let long = "v".repeat(300_000);
    for node in 0..3 {
        let mut requests = array(&["MULTI"]);
        for number in 0..PAIRS {
            requests.extend(array(&["PUBLISH", "ch", &long]));
            requests.extend(array(&["PUBLISH", "ch", &number.to_string()]));
        }
        requests.extend(array(&["EXEC"]));
        requests.extend(array(&["PUBLISH", "ch", "last"]));
        let mut client = cluster.connect(node);
        client.send(requests);
        client.until(b":3\r\n");
        for client in &mut listeners {
            for number in 0..PAIRS {
                assert!(client.line() == format!("message ch {long}"), "the long one before {number}");
                assert_eq!(client.line(), format!("message ch {number}"));
            }
            assert_eq!(client.line(), "message ch last");
        }
    }
    let mut client = cluster.connect(0);
    let mut requests = array(&["MULTI"]);
    let payload = "v".repeat(1000);
    for number in 0..SHORT {
        requests.extend(array(&["PUBLISH", "ch", &format!("{number} {payload}")]));
    }
    requests.extend(array(&["EXEC"]));
    cluster.node(2).signal(Signal::SIGSTOP);
    client.send(requests);
    client.until(format!("*{SHORT}\r\n").as_bytes());
    std::thread::sleep(Duration::from_millis(200));
    cluster.node(2).signal(Signal::SIGCONT);
    for client in &mut listeners {
        for number in 0..SHORT {
            assert_eq!(client.line(), format!("message ch {number} {payload}"));
        }
    }
    assert_eq!(cluster.links_broken(), 0);
    assert!((0..3).all(|node| cluster.connect(node).info("messages_refused") == 0));
}

/// Very many messages from one node to another whose clients are many: those who publish wait, and who asks that node for
/// something else does not.
#[test]
fn who_publishes_does_not_fill_the_links() {
    const LISTENERS: usize = 100;
    const PUBLISHERS: usize = 64;
    const EACH: usize = 256;
    let _machine = alone();
    let cluster = Cluster::start(2);
    let key = cluster.key_of(1, 1);
    let mut bystander = cluster.connect(0);
    bystander.expect_line(&format!("SET {key} v"), "OK");
    let mut watcher = listener(cluster.node(1), "ch");
    let mut listeners: Vec<Client> = (1..LISTENERS).map(|_| listener(cluster.node(1), "ch")).collect();
    // The last one is of the node that has the listeners.
    let mut publishers: Vec<Client> = (0..=PUBLISHERS).map(|number| cluster.connect(number / PUBLISHERS)).collect();
    let stop = AtomicBool::new(false);
    let (worst, asked) = std::thread::scope(|scope| {
        let _stop = StopAtEnd(&stop);
        scope.spawn(|| {
            let mut bytes = vec![0; 1 << 16];
            for client in &listeners {
                client.stream.set_nonblocking(true).expect("to be asked without waiting");
            }
            while !stop.load(Ordering::Relaxed) {
                for client in &mut listeners {
                    while let Ok(1..) = client.stream.read(&mut bytes) {}
                }
            }
        });
        let asking = scope.spawn(|| {
            let (mut worst, mut asked) = (Duration::ZERO, 0);
            while !stop.load(Ordering::Relaxed) {
                let sent = Instant::now();
                bystander.expect_line(&format!("GET {key}"), "v");
                worst = worst.max(sent.elapsed());
                asked += 1;
                std::thread::sleep(Duration::from_millis(1));
            }
            (worst, asked)
        });
        for (publisher, client) in publishers.iter_mut().enumerate() {
            let requests: String = (0..EACH).map(|number| format!("PUBLISH ch {publisher} {number}\r\n")).collect();
            client.send(requests);
        }
        // Each one's messages come in its order.
        let mut next = vec![0; PUBLISHERS + 1];
        for _ in 0..(PUBLISHERS + 1) * EACH {
            let line = watcher.line();
            let mut words = line.strip_prefix("message ch ").expect("a message").split(' ');
            let [publisher, number] = [(); 2].map(|()| words.next().and_then(|word| word.parse::<usize>().ok()));
            let publisher = publisher.expect("a publisher");
            assert_eq!(number, Some(next[publisher]), "of publisher {publisher}");
            next[publisher] += 1;
        }
        for client in &mut publishers {
            for _ in 0..EACH {
                assert_eq!(client.line(), LISTENERS.to_string());
            }
        }
        stop.store(true, Ordering::Relaxed);
        asking.join().expect("who asks")
    });
    println!("{asked} requests beside {} messages: a wait of {worst:?}", (PUBLISHERS + 1) * EACH);
    assert!(asked > 20 && worst < Duration::from_millis(250), "{asked} requests, a wait of {worst:?}");
}

/// What is done to keys in the test of events: lines, whose words are sent as arrays.
const CHANGES: &str = "SET a 1,SET a 2 EX 100,SET a 3 PX 100000 GET,SET n x NX,SET n y NX,SET q y XX,SETNX s 1,SETNX s 2,\
SETEX e 100 v,PSETEX e 100000 v,GETSET a 5,MSET m1 1 m2 2,MSETNX m3 3 m4 4,MSETNX m3 3 m5 5,APPEND a 6,APPEND new x,\
SETRANGE a 1 zz,SETRANGE a 1 ,SETRANGE sr 3 q,INCR i,DECR i,INCRBY i 5,DECRBY i 3,INCRBYFLOAT i 1.5,INCR a,EXPIRE i 100,\
EXPIRE nokey 100,PEXPIRE i 100000,EXPIREAT i 99999999999,PEXPIREAT i 99999999999000,EXPIRE i 100 NX,PERSIST i,PERSIST i,\
EXPIRE s -1,GETEX a EX 100,GETEX a PERSIST,GETEX a PERSIST,GETEX a,GETEX a EXAT 1,GETDEL i,GETDEL i,SET r1 v,SET r2 v,\
RENAME r1 r2,RENAME r2 r2,RENAMENX r2 r3,SET r4 v,RENAMENX r3 r4,COPY r3 c,COPY r3 c,COPY r3 c REPLACE,DEL c r3 nokey,\
UNLINK r4 nokey,GET a,TOUCH m1,SET p v PXAT 1,GET p,SETEX k1 100 v,SET k1 w KEEPTTL,SET k1 w,MULTI,SET t 1,INCR t,DEL t,\
EXEC,SETBIT b 7 1,SETBIT b 7 1,SETBIT b 100 0,SETBIT b 100 0,BITOP NOT nb b,BITOP OR nb nokey,BITOP OR nb nokey,\
BITFIELD b SET u8 0 255,BITFIELD b SET u8 0 255,BITFIELD b OVERFLOW FAIL INCRBY u8 0 1,BITFIELD nf GET u8 0,\
BITFIELD b INCRBY u8 800 0,BITFIELD_RO b GET u8 0,FLUSHALL,SET last 1";

/// RESTORE of a short value, which no line can hold.
fn restore(key: &str, ttl: &str, options: &[&str]) -> Vec<u8> {
    let payload = memento::dump::encode(b"a value").expect("memory").to_vec();
    let mut request = format!("*{}\r\n", options.len() + 4).into_bytes();
    let words = ["RESTORE", key, ttl].map(str::as_bytes).into_iter().chain([&payload[..]]);
    for word in words.chain(options.iter().map(|word| word.as_bytes())) {
        request.extend(format!("${}\r\n", word.len()).as_bytes());
        request.extend(word);
        request.extend(b"\r\n");
    }
    request
}

/// The events that the changes make, as a subscriber of RESP2 gets them.
fn events(client: &mut Client, listener: &mut Client, classes: &str) -> String {
    client.send(array(&["FLUSHALL"]));
    client.send(array(&["CONFIG", "SET", "notify-keyspace-events", classes]));
    client.until(b"+OK\r\n+OK\r\n");
    listener.send(array(&["PSUBSCRIBE", "__key*"]));
    listener.until(b":1\r\n");
    for line in CHANGES.split(',') {
        client.send(array(&line.split(' ').collect::<Vec<_>>()));
    }
    for (key, ttl, options) in [
        ("r", "0", &[][..]),
        ("r", "0", &[]),
        ("r", "100000", &["REPLACE"]),
        ("r", "1", &["REPLACE", "ABSTTL"]),
        ("r", "1", &["REPLACE", "ABSTTL"]),
    ] {
        client.send(restore(key, ttl, options));
    }
    client.send(array(&["PUBLISH", "__key-end", "that-is-all"]));
    client.send(array(&["ECHO", "mark"]));
    client.until(b"mark\r\n");
    let events = listener.until(b"$9\r\n__key-end\r\n$11\r\nthat-is-all\r\n");
    listener.send(array(&["PUNSUBSCRIBE"]));
    listener.until(b":0\r\n");
    events
}

#[test]
fn events_of_keys_are_those_of_redis() {
    let _machine = together();
    let Some(redis) = Reference::start() else { return };
    let server = Server::start(&[]);
    let (mut ours, mut theirs) = (server.connect(), redis.connect());
    let (mut our_listener, mut their_listener) = (server.connect(), redis.connect());
    for classes in ["KEA", "K$", "Eg", "Ex", "KEg$", "A", "Elshztd", ""] {
        let got = events(&mut ours, &mut our_listener, classes);
        let wanted = events(&mut theirs, &mut their_listener, classes);
        let differs = got.lines().zip(wanted.lines()).position(|(got, wanted)| got != wanted);
        assert!(got == wanted, "{classes}, from line {differs:?} on:\n{got}\n--- wanted:\n{wanted}");
        let any = classes != "A" && !classes.is_empty() && classes != "Elshztd";
        assert_eq!(got.contains("__key") && got.matches("pmessage").count() > 1, any, "{classes}");
    }
    // Our own commands have the events of what they do.
    ours.send(array(&["CONFIG", "SET", "notify-keyspace-events", "E$"]));
    ours.until(b"+OK\r\n");
    let mut listener = server.connect();
    listener.expect_line("PSUBSCRIBE __keyevent*", "psubscribe __keyevent* 1");
    ours.send("PREPEND k 1\r\nINCF k\r\nDECF k\r\nINC k\r\nDELIFEQ k 1\r\nFLUSH\r\n");
    for event in ["prepend", "incrbyfloat", "incrbyfloat", "incrby"] {
        assert_eq!(listener.line(), format!("pmessage __keyevent* __keyevent@0__:{event} k"));
    }
}

#[test]
fn a_key_s_end_is_told_when_it_comes() {
    const LIFE_MS: u64 = 150;
    let _machine = together();
    let server = Server::start(&["--notify-keyspace-events", "Ex"]);
    let mut client = server.connect();
    let mut ends = listener(&server, "__keyevent@0__:expired");
    client.expect("CONFIG GET notify-keyspace-events", "notify-keyspace-events: xE");
    for round in 0..3 {
        let began = Instant::now();
        client.expect_line(&format!("PSETEX key{round} {LIFE_MS} v"), "OK");
        // Nobody asks for it.
        assert_eq!(ends.line(), format!("message __keyevent@0__:expired key{round}"));
        let (after, lag_ms) = (began.elapsed(), client.info("expire_lag_worst_ms"));
        assert!(after >= Duration::from_millis(LIFE_MS - 2), "after {after:?}");
        assert!(lag_ms < 100 && after < DEADLINE / 10, "after {after:?}, {lag_ms} ms late");
        client.expect("DBSIZE", "0");
    }
    // Who sets a key whose time has come first hears of its end.
    client.expect_line("PSETEX again 20 v", "OK");
    assert_eq!(ends.line(), "message __keyevent@0__:expired again");
}

#[test]
fn a_key_that_must_go_is_told_of() {
    let _machine = together();
    let server =
        Server::start(&["--maxmemory", "4mb", "--maxmemory-policy", "allkeys-lru", "--notify-keyspace-events", "Ke"]);
    let mut client = server.connect();
    let mut listener = server.connect();
    listener.expect_line("PSUBSCRIBE __keyspace@0__:*", "psubscribe __keyspace@0__:* 1");
    let value = "v".repeat(1000);
    let requests: String = (0..6000).map(|number| format!("SET k{number} {value}\r\n")).collect();
    client.converse(requests.as_bytes(), 4 * 6000);
    // Messages that are on their way take memory as well, so that a few more keys may go for them.
    let mut evicted = 0;
    wait_for("what went and what is left to be all", || {
        evicted = client.info("evicted_keys");
        evicted + client.ask("DBSIZE").parse::<u64>().expect("a number") == 6000
    });
    assert!(evicted > 1000, "{evicted} went");
    let mut gone = std::collections::BTreeSet::new();
    for _ in 0..evicted {
        let line = listener.line();
        let key = line
            .strip_prefix("pmessage __keyspace@0__:* __keyspace@0__:")
            .and_then(|rest| rest.strip_suffix(" evicted"));
        assert!(gone.insert(key.unwrap_or_else(|| panic!("{line}")).to_string()), "{line} for a second time");
    }
    for key in gone.iter().take(100) {
        client.expect(&format!("EXISTS {key}"), "0");
    }
}

/// What MONITOR tells of requests up to one that is the last, without times and addresses.
fn monitored(monitor: &mut Client, client: &mut Client, requests: &[Vec<u8>]) -> Vec<String> {
    monitor.send(array(&["MONITOR"]));
    monitor.until(b"+OK\r\n");
    for request in requests {
        client.send(request);
    }
    client.send(array(&["ECHO", "that is all"]));
    client.until(b"that is all\r\n");
    let mut lines = Vec::new();
    loop {
        let line = monitor.line();
        let (time, rest) = line.strip_prefix('+').and_then(|line| line.split_once(" [0 ")).expect("a line of MONITOR");
        assert!(time.parse::<f64>().is_ok_and(|seconds| seconds > 1e9), "{line}");
        let (address, words) = rest.split_once("] ").expect("an address");
        assert!(address.starts_with("127.0.0.1:"), "{line}");
        if words.ends_with(r#""that is all""#) {
            return lines;
        }
        lines.push(words.to_string());
    }
}

#[test]
fn who_monitors_sees_what_is_executed() {
    let _machine = together();
    let Some(redis) = Reference::start() else { return };
    let server = Server::start(&[]);
    let words = |line: &str| array(&line.split(' ').collect::<Vec<_>>());
    let mut requests: Vec<Vec<u8>> = [
        "PING",
        "set k v",
        "GET k",
        "GET nokey",
        "INCR k",
        "NOSUCH x",
        "GET",
        "CONFIG GET maxclients",
        "CLIENT ID",
        "CLIENT SETNAME x",
        "CLIENT LIST",
        "SLOWLOG LEN",
        "MULTI",
        "SET t 1",
        "GET t",
        "EXEC",
        "EXEC",
        "MULTI",
        "DISCARD",
        "WATCH k",
        "UNWATCH",
        "AUTH secret",
        "AUTH default secret",
        "HELLO 2 AUTH default secret",
        "KEYS *",
        "SCAN 0",
        "OBJECT HELP",
        "PUBLISH ch m",
        "DEBUG JMAP",
        "COMMAND COUNT",
        "MEMORY USAGE k",
        "LATENCY RESET",
        "INFO server",
        "FLUSHALL",
        "SELECT 0",
        "TIME",
        "DBSIZE",
        "BITFIELD k GET u8 0",
    ]
    .map(words)
    .into();
    requests.push(array(&["SET", "all \t\r\n\"\\\x07\x08\x00\x7f", ""]));
    requests.push(b"*2\r\n$4\r\nECHO\r\n$3\r\n\xff\x80\x1b\r\n".to_vec());
    let wanted = monitored(&mut redis.connect(), &mut redis.connect(), &requests);
    let (mut monitor, mut client) = (server.connect(), server.connect());
    let got = monitored(&mut monitor, &mut client, &requests);
    assert_eq!(got, wanted);
    assert!(got.iter().all(|line| !line.contains("secret")), "{got:?}");

    // Of a long request the beginning is shown. This client has not said HELLO.
    drop(client);
    let mut client = server.connect();
    let long = "v".repeat(100_000);
    client.send(array(&["SET", "long", &long]));
    client.until(b"+OK\r\n");
    let line = monitor.line();
    assert!(line.ends_with(" more bytes)") && line.contains(r#""long" "vvv"#) && line.len() < 20_000, "{}", line.len());
    // CLIENT LIST knows it, and RESET ends it.
    let monitors = client.ask("CLIENT LIST").lines().filter(|line| line.contains(" flags=O ")).count();
    assert_eq!(monitors, 1);
    monitor.send(array(&["RESET"]));
    monitor.until(b"+RESET\r\n");
    client.expect_line("SET k v", "OK");
    monitor.send(array(&["ECHO", "nothing before"]));
    assert_eq!(monitor.until(b"nothing before\r\n"), "$14\r\n");
    // One of lines is told lines; and who has gone is told nothing.
    let mut lines = server.connect();
    lines.expect_line("MONITOR", "OK");
    client.expect_line("SET k two  words", "OK");
    assert!(lines.line().ends_with(r#" "SET" "k" "two  words""#));
    drop(lines);
    wait_for("the monitor to be gone", || client.info("connected_clients") == 2);
    client.expect_line("SET k v", "OK");
}

/// Of a turn with very many requests the first ones are told of; the others are counted.
#[test]
fn what_monitors_are_not_told_of_is_counted() {
    const REQUESTS: usize = 1000;
    let _machine = together();
    let server = Server::start(&[]);
    let (mut monitor, mut client, mut other) = (server.connect(), server.connect(), server.connect());
    monitor.expect_line("MONITOR", "OK");
    // A transaction is one turn's.
    client.send(array(&["MULTI"]));
    client.until(b"+OK\r\n");
    let request = array(&["SET", "k", &"v".repeat(1000)]);
    client.converse(&request.repeat(REQUESTS), 9 * REQUESTS);
    client.send(array(&["EXEC"]));
    client.exactly("*1000\r\n".len() + 5 * REQUESTS);
    let lost = other.info("monitor_lines_lost");
    // What it is told of behind them is told in a turn with little.
    client.send(array(&["ECHO", "that is all"]));
    let mut told = 0;
    loop {
        let line = monitor.line();
        if line.ends_with(r#""that is all""#) {
            break;
        }
        told += u64::from(line.contains(r#"] "SET" "k" "#));
    }
    println!("{told} told, {lost} lost");
    // EXEC itself is lost as well.
    assert_eq!(told + lost, REQUESTS as u64 + 1);
    assert!(lost > 0 && told > 5);
}

#[test]
fn a_node_tells_monitors_what_it_executes() {
    let _machine = together();
    let cluster = Cluster::start(2);
    let (near, far) = (cluster.key_of(0, 0), cluster.key_of(1, 0));
    let mut monitors: Vec<Client> = (0..2).map(|node| cluster.connect(node)).collect();
    for monitor in &mut monitors {
        monitor.expect_line("MONITOR", "OK");
    }
    let mut client = cluster.connect(0);
    client.expect_line(&format!("SET {near} 1"), "OK");
    client.expect_line(&format!("SET {far} 2"), "OK");
    assert!(monitors[0].line().ends_with(&format!(r#" "SET" "{near}" "1""#)));
    assert!(monitors[1].line().ends_with(&format!(r#" "SET" "{far}" "2""#)));
    for (request, wanted) in [("MULTI", "OK"), (&*format!("SET {far} 3"), "QUEUED"), ("EXEC", "OK")] {
        client.expect_line(request, wanted);
    }
    assert!(monitors[0].line().ends_with(r#" "MULTI""#));
    assert!(monitors[1].line().ends_with(&format!(r#" "SET" "{far}" "3""#)));
    assert!(monitors[1].line().ends_with(r#" "EXEC""#));
    // Who only passes it on tells nothing of it.
    client.expect_line(&format!("SET {near} 4"), "OK");
    assert!(monitors[0].line().ends_with(&format!(r#" "SET" "{near}" "4""#)));
}
