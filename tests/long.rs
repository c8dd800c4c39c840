//! Long values cost no more than their bytes: what is added to one is not copied with it, and what goes is given back in
//! steps that nobody notices. Time is told by the processor time of the server, since the machine may have other work.

mod support;

use support::{Client, Server, alone, show, wait_for};

const MB: usize = 1 << 20;

/// Sets a key, in RESP.
fn set(client: &mut Client, key: &str, value: &[u8]) {
    client.send(format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${}\r\n", key.len(), value.len()));
    client.send(value);
    client.send("\r\n");
    assert_eq!(client.line(), "+OK");
}

/// What a stretch of work was for the server: its turns, and the mean and the sum of the processor time that they took.
fn turns_of(server: &Server, observer: &mut Client, work: impl FnOnce(&mut Client)) -> (u64, f64, f64) {
    let (turns, cpu_ms) = (observer.info("turns"), server.cpu_ms());
    work(observer);
    let (turns, cpu_ms) = (observer.info("turns") - turns, server.cpu_ms() - cpu_ms);
    (turns, cpu_ms / turns as f64, cpu_ms)
}

#[test]
fn a_long_value_comes_in_short_turns_and_is_not_copied() {
    let _machine = alone();
    let server = Server::start(&[]);
    let (mut client, mut observer) = (server.connect(), server.connect());
    let value = vec![b'v'; 256 * MB];
    let before_kb = server.peak_kb();
    let (turns, turn_ms, cpu_ms) = turns_of(&server, &mut observer, |_| set(&mut client, "k", &value));
    let grown_kb = server.peak_kb() - before_kb;
    println!("{turns} turns of {turn_ms:.3} ms, {cpu_ms:.0} ms; grown {grown_kb} kB");
    assert!(turns >= 1000 && turn_ms < 1.0, "{turns} turns of {turn_ms} ms");
    assert!(grown_kb < (256 + 4) * 1024, "grown by {grown_kb} kB");
    let used = observer.info("used_memory") as usize;
    assert!((256 * MB..258 * MB).contains(&used), "{used} bytes used");
}

#[test]
fn what_is_appended_to_a_long_value_alone_is_copied() {
    let _machine = alone();
    let server = Server::start(&[]);
    let (mut client, mut observer) = (server.connect(), server.connect());
    set(&mut client, "k", &vec![b'v'; 100 * MB]);
    let before_kb = server.peak_kb();
    let mut appends_ms: Vec<f64> = (1..=1000)
        .map(|count| {
            let before_ms = server.cpu_ms();
            client.send("*3\r\n$6\r\nAPPEND\r\n$1\r\nk\r\n$10\r\n0123456789\r\n");
            assert_eq!(client.line(), format!(":{}", 100 * MB + 10 * count));
            server.cpu_ms() - before_ms
        })
        .collect();
    appends_ms.sort_by(f64::total_cmp);
    let (median_ms, worst_ms) = (appends_ms[500], appends_ms[999]);
    let grown_kb = server.peak_kb() - before_kb;
    println!("median {median_ms:.3} ms, worst {worst_ms:.3} ms; grown {grown_kb} kB");
    assert!(median_ms < 1.0, "an APPEND takes {median_ms} ms");
    // A copy would be there beside what it is of.
    assert!(grown_kb < 4 * 1024, "grown by {grown_kb} kB");
    let used = observer.info("used_memory") as usize;
    assert!((100 * MB..102 * MB).contains(&used), "{used} bytes used");
    client.send("*4\r\n$8\r\nGETRANGE\r\n$1\r\nk\r\n$3\r\n-12\r\n$2\r\n-1\r\n");
    assert_eq!((client.line(), client.line()), ("$12".into(), "890123456789".into()));
}

/// Lets a value go in some way, and sees its memory back.
fn check_goes(what: &str, server: &Server, observer: &mut Client, before: (i64, u64), go: impl FnOnce()) {
    let (before_kb, before_used) = before;
    let (turns, turn_ms, cpu_ms) = turns_of(server, observer, |observer| {
        go();
        wait_for("the memory to be back", || server.resident_kb() < before_kb + 4 * 1024);
        wait_for("the books to say so", || observer.info("used_memory") < before_used + MB as u64);
    });
    println!("{what}: {turns} turns of {turn_ms:.3} ms, {cpu_ms:.0} ms");
    assert!(turns >= 500 && turn_ms < 0.25, "{what}: {turns} turns of {turn_ms} ms");
    // On a machine without other work that is how long it takes.
    assert!(cpu_ms < 200.0, "{what}: {cpu_ms} ms");
}

#[test]
fn what_goes_is_given_back_in_short_turns() {
    let _machine = alone();
    let server = Server::start(&[]);
    let (mut client, mut observer) = (server.connect(), server.connect());
    let value = vec![b'v'; 256 * MB];
    observer.barrier();
    let before = (server.resident_kb(), observer.info("used_memory"));

    set(&mut client, "k", &value);
    check_goes("DEL", &server, &mut observer, before, || client.expect("DEL k", "OK"));

    set(&mut client, "k", &value);
    check_goes("SET", &server, &mut observer, before, || client.expect("SET k short", "OK"));

    value.chunks(16 * MB).enumerate().for_each(|(number, value)| set(&mut client, &format!("k{number}"), value));
    check_goes("FLUSHALL", &server, &mut observer, before, || client.expect("FLUSHALL", "OK"));

    set(&mut client, "k", &value);
    let mut reader = server.connect();
    reader.send("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
    assert_eq!(reader.line(), format!("${}", value.len()));
    client.expect("DEL k", "OK");
    // The reply still has it.
    client.barrier();
    let held_kb = server.resident_kb() - before.0;
    assert!(held_kb > 255 * 1024, "{held_kb} kB are held");
    check_goes("a reply", &server, &mut observer, before, || drop(reader));

    let mut sender = server.connect();
    sender.send(format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${}\r\n", value.len() + 1));
    sender.send(&value);
    wait_for("it to be received", || server.resident_kb() - before.0 > 255 * 1024);
    check_goes("a word in part", &server, &mut observer, before, || drop(sender));
    assert_eq!(show(client.ask("GET k").as_bytes()), "(null)");
}
