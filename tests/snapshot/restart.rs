//! What is saved is there again at the next start: by commands, at the end, after a while; and what the commands answer.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::loading::hold;
use crate::support::cluster::array;
use crate::support::{Client, Scratch, Server, Start, now_ms, together, wait_for};
use crate::{child, children, file, fill, identity, much, pause_us, persistence, read, serve, signal_child};
use crate::{wait_until_alone, wait_until_loaded, wait_until_saved};

/// Keys with values of every kind, none of which ends.
fn entries() -> Vec<(Vec<u8>, Vec<u8>)> {
    let bytes = |count: usize| (0..count).map(|at| ((at * at) >> 8) as u8 ^ at as u8).collect::<Vec<u8>>();
    let mut entries: Vec<(Vec<u8>, Vec<u8>)> = vec![
        (b"".to_vec(), b"of the empty key".to_vec()),
        (b"empty".to_vec(), Vec::new()),
        ((0..=255).collect(), (0..=255).rev().collect()),
        (b"\r\n \0 key".to_vec(), b"\r\n".to_vec()),
        (bytes(1_000_000), b"of a long key".to_vec()),
        (bytes(1_000_001), bytes(20_000)),
        (b"million".to_vec(), bytes(1_000_000)),
        (b"twenty millions".to_vec(), bytes(20_000_000)),
    ];
    for number in ["0", "-0", "007", "127", "128", "-129", "32768", "2147483648", "-9223372036854775808", "1e3", "3.25"]
    {
        entries.push((format!("number {number}").into_bytes(), number.as_bytes().to_vec()));
    }
    // Around each length at which something is stored or written in another way.
    for length in [1, 63, 64, 65, 255, 256, 4095, 4096, 4097, 16_383, 16_384, 65_535, 65_536, 65_537, (1 << 20) + 1] {
        entries.push((format!("length {length}").into_bytes(), bytes(length)));
        entries.push((vec![b'k'; length.min(100_000)], format!("of a key of {length}").into_bytes()));
    }
    entries
}

fn words(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend([format!("${}\r\n", word.len()).as_bytes(), word, b"\r\n"].concat());
    }
    bytes
}

#[track_caller]
fn expect_entries(server: &Server, entries: &[(Vec<u8>, Vec<u8>)]) {
    let mut client = server.connect();
    for (key, value) in entries {
        client.send(words(&[b"GET", key]));
        let wanted = [format!("${}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat();
        let got = client.exactly(wanted.len());
        assert!(got == wanted, "the key {} is another one", crate::support::show(key));
    }
}

/// The remaining time of a key, in milliseconds.
#[track_caller]
fn left_ms(client: &mut Client, key: &str) -> i64 {
    client.ask(&format!("PTTL {key}")).parse().expect("a number")
}

#[test]
fn what_was_saved_is_there_again_whatever_ends_the_server() {
    let _together = together();
    let folder = Scratch::new();
    let path = file(&folder);
    let entries = entries();
    let server = serve(&path);
    let mut client = server.connect();
    for (key, value) in &entries {
        client.send(words(&[b"SET", key, value]));
        assert_eq!(client.line(), "+OK");
    }
    client.expect("SET ends v", "OK");
    client.expect("PEXPIRE ends 1000000", "1");
    client.expect("SET soon v", "OK");
    client.expect("PEXPIRE soon 300", "1");
    let set = Instant::now();
    assert!(!path.exists());
    client.expect("SAVE", "OK");
    assert_eq!(fs::metadata(&path).expect("the file").permissions().mode() & 0o777, 0o600);
    let mut found = read(&path).keys;
    found.retain(|_, (_, after_ms)| after_ms.is_none());
    assert!(found.into_iter().map(|(key, (value, _))| (key, value)).eq({
        let mut sorted = entries.clone();
        sorted.sort();
        sorted
    }));
    drop((client, server));

    // Each ends in another way, and is not killed.
    let ends: &[(&str, Option<Signal>, bool)] = &[
        ("", Some(Signal::SIGTERM), true),
        ("", Some(Signal::SIGINT), true),
        ("SHUTDOWN", None, true),
        ("SHUTDOWN SAVE", None, true),
        ("SHUTDOWN NOW FORCE", None, true),
        ("SHUTDOWN NOSAVE", None, false),
        ("SHUTDOWN NOSAVE x", Some(Signal::SIGTERM), true),
    ];
    let mut round = 0;
    for &(request, signal, saves) in ends {
        let mut server = serve(&path);
        expect_entries(&server, &entries);
        let mut client = server.connect();
        assert_eq!(client.ask("EXISTS round"), if round > 0 { "1" } else { "0" });
        let left = left_ms(&mut client, "ends");
        let passed = set.elapsed().as_millis() as i64;
        // What has passed is subtracted, also what passed when no server was there.
        assert!((1_000_000 - passed - 100..=1_000_000 - passed + 100).contains(&left), "{left} after {passed}");
        if passed > 400 {
            client.expect("EXISTS soon", "0");
        }
        client.expect(&format!("SET round {}", round + 1), "OK");
        if !request.is_empty() {
            client.send(format!("{request}\r\n"));
        }
        if let Some(signal) = signal {
            if !request.is_empty() {
                assert_eq!(client.line(), "(error) syntax error");
            }
            server.signal(signal);
        }
        assert_eq!(client.rest(), b"");
        assert_eq!(server.wait_exit().code(), Some(0), "{request}");
        if saves {
            round += 1;
        }
        assert_eq!(read(&path).number("round"), round, "{request}");
    }
}

#[test]
fn where_nothing_has_changed_no_file_is_written_at_the_end() {
    let _together = together();
    let folder = Scratch::new();
    let path = file(&folder);
    // Where there is no file and nothing to keep, none is made.
    let mut server = serve(&path);
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
    assert!(!path.exists());
    let server = serve(&path);
    let mut client = server.connect();
    client.expect("SET k v", "OK");
    client.expect("SET ended v", "OK");
    client.expect("PEXPIRE ended 20", "1");
    client.expect("SAVE", "OK");
    let before = identity(&path);
    drop(server);
    let mut server = serve(&path);
    let mut client = server.connect();
    client.expect("GET k", "v");
    client.expect("DEL nothing", "(null)");
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
    assert_eq!(identity(&path), before);
    // One change is enough.
    let mut server = serve(&path);
    server.connect().expect("PERSIST k", "0");
    server.connect().expect("EXPIRE k 1000", "1");
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
    assert_ne!(identity(&path), before);
}

#[test]
fn a_snapshot_that_is_made_at_the_end_is_waited_for() {
    let _together = together();
    let folder = Scratch::new();
    let path = file(&folder);
    let mut server = serve(&path);
    let mut client = server.connect();
    fill(&mut client, "filler", 50_000, &much());
    client.expect("BGSAVE", "Background saving started");
    let writer = child(&server);
    signal_child(writer, Signal::SIGSTOP);
    client.expect("SET behind v", "OK");
    server.signal(Signal::SIGTERM);
    server.wait_for_log("ending");
    pause_us(100_000);
    assert!(server.is_running());
    signal_child(writer, Signal::SIGCONT);
    assert_eq!(server.wait_exit().code(), Some(0));
    assert_eq!((read(&path).keys.len(), read(&path).text("behind")), (50_001, "v"));
    assert_eq!(client.rest(), b"");
}

#[test]
fn a_snapshot_that_fails_while_the_server_ends_is_made_once_more() {
    let _together = together();
    let folder = Scratch::new();
    let path = file(&folder);
    let mut server = serve(&path);
    let mut client = server.connect();
    fill(&mut client, "filler", 50_000, &much());
    // Its writer is killed.
    client.expect("BGSAVE", "Background saving started");
    let writer = child(&server);
    signal_child(writer, Signal::SIGSTOP);
    server.signal(Signal::SIGTERM);
    server.wait_for_log("ending");
    signal_child(writer, Signal::SIGKILL);
    assert_eq!(server.wait_exit().code(), Some(0), "{}", server.log());
    assert_eq!(read(&path).keys.len(), 50_000);

    // A writer that stands still, to which nobody talks any more, has the new file: it is waited for.
    let (mut server, mut other) = (serve(&path), serve(&path));
    let mut client = server.connect();
    client.expect("BGSAVE", "Background saving started");
    let writer = child(&server);
    signal_child(writer, Signal::SIGSTOP);
    other.connect().expect("SET other v", "OK");
    other.signal(Signal::SIGTERM);
    other.wait_for_log("a snapshot of ");
    pause_us(100_000);
    assert!(other.is_running());
    server.signal(Signal::SIGKILL);
    server.wait_exit();
    signal_child(writer, Signal::SIGCONT);
    assert_eq!(other.wait_exit().code(), Some(0), "{}", other.log());
    assert_eq!(read(&path).text("other"), "v");
}

#[test]
fn after_the_interval_what_has_changed_is_written_and_nothing_else_is() {
    let _together = together();
    let folder = Scratch::new();
    let path = file(&folder);
    let path_text = path.to_str().expect("a plain path");
    let server = Start::new(&["--snapshot", path_text, "--snapshot-interval", "1"]).start();
    wait_until_loaded(&server);
    let mut client = server.connect();
    assert!(client.ask("CONFIG GET snapshot").contains(path_text));
    assert!(client.ask("CONFIG GET snapshot-interval").ends_with('1'));
    assert!(client.ask("CONFIG SET snapshot x").starts_with("(error) "));
    // Nothing has changed.
    pause_us(1_300_000);
    assert!(!path.exists());
    client.expect("SET k v", "OK");
    wait_for("the first snapshot", || path.exists());
    wait_until_saved(&mut client);
    let before = identity(&path);
    assert_eq!((client.info("rdb_saves"), client.info("rdb_changes_since_last_save")), (1, 0));
    pause_us(1_300_000);
    assert_eq!((identity(&path), client.info("rdb_saves")), (before, 1));
    // It is begun at once where it is due, and not before.
    client.expect("CONFIG SET snapshot-interval 3600", "OK");
    client.expect("SET k w", "OK");
    pause_us(1_300_000);
    assert_eq!((identity(&path), client.info("rdb_changes_since_last_save")), (before, 1));
    client.expect("CONFIG SET snapshot-interval 1", "OK");
    wait_for("the second snapshot", || client.info("rdb_saves") == 2);
    assert_eq!(read(&path).text("k"), "w");
    client.expect("CONFIG SET snapshot-interval 0", "OK");
    client.expect("SET k x", "OK");
    pause_us(1_300_000);
    assert_eq!(client.info("rdb_saves"), 2);
    assert!(client.ask("CONFIG SET snapshot-interval -1").starts_with("(error) "));
}

#[test]
fn while_one_is_made_another_one_is_refused_and_others_are_served() {
    let _together = together();
    let folder = Scratch::new();
    let path = file(&folder);
    let server = serve(&path);
    let (mut client, mut saver, mut other) = (server.connect(), server.connect(), server.connect());
    let value = much();
    fill(&mut client, "filler", 50_000, &value);
    let before: u64 = client.ask("LASTSAVE").parse().expect("a number");
    assert!(before <= now_ms() / 1000);
    saver.send(array(&["SAVE"]));
    let writer = child(&server);
    signal_child(writer, Signal::SIGSTOP);
    for request in ["BGSAVE", "SAVE", "BGSAVE SCHEDULE"] {
        client.expect(request, "(error) Background save already in progress");
    }
    assert_eq!(client.info("rdb_bgsave_in_progress"), 1);
    assert_eq!(client.info("current_save_keys_total"), 50_000);
    assert!(client.info("current_save_keys_processed") < 50_000);
    assert_ne!(persistence(&mut client, "rdb_current_bgsave_time_sec"), "-1");
    let asked = Instant::now();
    other.expect("GET filler7", &value);
    other.expect("SET k v", "OK");
    assert!(asked.elapsed() < Duration::from_secs(1));
    assert!(!path.exists());
    signal_child(writer, Signal::SIGCONT);
    // It is answered when the file is there.
    assert_eq!(saver.line(), "+OK");
    assert_eq!(read(&path).text("k"), "v");
    wait_for("its process to have gone", || children(&server).is_empty());
    assert_eq!(persistence(&mut client, "rdb_current_bgsave_time_sec"), "-1");
    assert_ne!(persistence(&mut client, "rdb_last_bgsave_time_sec"), "-1");
    assert_eq!(client.info("snapshot_last_bytes"), fs::metadata(&path).expect("the file").len());
    assert!(client.info("snapshot_last_turn_worst_usec") > 0);
    let last: u64 = client.ask("LASTSAVE").parse().expect("a number");
    assert!(last >= before && client.info("rdb_last_save_time") == last);
}

#[test]
fn who_waits_for_a_snapshot_and_goes_leaves_nothing_behind() {
    let _together = together();
    let folder = Scratch::new();
    let path = file(&folder);
    let server = serve(&path);
    let mut client = server.connect();
    fill(&mut client, "filler", 50_000, &much());
    let descriptors = server.descriptors();
    for round in 1..=3 {
        let mut saver = server.connect();
        saver.send("SAVE\r\nSET behind it\r\n");
        let writer = child(&server);
        signal_child(writer, Signal::SIGSTOP);
        match round {
            1 => drop(saver),
            2 => saver.reset(),
            // Who ends its sending is owed all answers.
            _ => {
                saver.half_close();
                signal_child(writer, Signal::SIGCONT);
                assert_eq!(saver.rest(), b"OK\r\nOK\r\n");
            }
        }
        client.barrier();
        signal_child(writer, Signal::SIGCONT);
        wait_for("the snapshot", || client.info("rdb_saves") == round);
        wait_until_alone(&server);
        wait_for("all to be as before", || {
            server.descriptors() == descriptors && client.info("connected_clients") == 1
        });
        client.expect("PING", "PONG");
    }
}

#[test]
fn what_is_missing_or_asked_for_is_written_at_the_end() {
    let _together = together();
    let folder = Scratch::new();
    let path = file(&folder);
    let mut server = serve(&path);
    server.connect().expect("SET k v", "OK");
    server.connect().expect("SAVE", "OK");
    let before = identity(&path);
    // Nothing has changed, and it is asked for.
    server.connect().send("SHUTDOWN SAVE NOW\r\n");
    assert_eq!(server.wait_exit().code(), Some(0));
    assert_ne!(identity(&path), before);
    let mut server = serve(&path);
    server.connect().expect("SHUTDOWN SAVE NOSAVE", "(error) syntax error");
    fs::rename(&path, folder.path("elsewhere")).expect("our own file");
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(0));
    assert_eq!(read(&path).keys.len(), 1);
    // A pipe in its place counts as missing, and keeps nobody waiting.
    let mut server = serve(&path);
    fs::remove_file(&path).expect("our own file");
    mkfifo(&path, Mode::S_IRWXU).expect("a pipe");
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(1));
}

#[test]
fn a_second_signal_ends_without_the_last_snapshot_and_says_so() {
    let _together = together();
    let folder = Scratch::new();
    let path = file(&folder);
    let mut server = serve(&path);
    server.connect().expect("SET k old", "OK");
    server.connect().expect("SAVE", "OK");
    let before = identity(&path);
    wait_until_alone(&server);
    server.connect().expect("SET k new", "OK");
    // Its writer waits for who has the new file.
    let lock = hold(&path);
    server.signal(Signal::SIGTERM);
    child(&server);
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_exit().code(), Some(1));
    drop(lock);
    assert_eq!(identity(&path), before);
}
