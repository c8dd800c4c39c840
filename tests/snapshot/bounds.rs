//! A snapshot costs a bounded part of each turn, and of memory, whatever the disk does: nobody waits for it.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::{Client, Scratch, Server, StopAtEnd, alone, beside, need, program, root, wait_for};
use crate::{
    Random, child, file, fill, pause_us, persistence, read, serve, signal_child, wait_until_alone, wait_until_saved,
};

const KEYS: usize = 150_000;

/// So long a bystander may wait on a busy machine.
const WAIT_MAX: Duration = Duration::from_millis(50);

/// A prefix for keys of some length.
fn prefix() -> String {
    format!("{}:", "p".repeat(50))
}

/// A value of which so many take a writer so long that it can be stopped amid them.
fn value() -> String {
    "v".repeat(600)
}

/// Lets a snapshot come as far as this part of its keys, and stops its writer there.
#[track_caller]
fn stop_at(server: &Server, client: &mut Client, part: u64) -> i32 {
    let writer = child(server);
    signal_child(writer, Signal::SIGSTOP);
    wait_for("a part of the snapshot", || {
        assert_eq!(client.info("rdb_bgsave_in_progress"), 1, "the snapshot was faster than this test");
        if client.info("current_save_keys_processed") >= part {
            return true;
        }
        signal_child(writer, Signal::SIGCONT);
        pause_us(500);
        signal_child(writer, Signal::SIGSTOP);
        false
    });
    writer
}

#[test]
fn where_keys_change_faster_than_the_disk_takes_them_the_snapshot_is_given_up_and_nobody_waits() {
    let _alone = alone();
    let folder = Scratch::new();
    let path = file(&folder);
    let server = serve(&path);
    let (mut client, mut saver, mut bystander) = (server.connect(), server.connect(), server.connect());
    fill(&mut client, &prefix(), KEYS, &value());
    client.expect("SAVE", "OK");
    wait_until_alone(&server);
    saver.send("SAVE\r\n");
    let writer = stop_at(&server, &mut client, KEYS as u64 * 2 / 3);
    let (before, used) = (server.resident_kb(), client.info("used_memory") as i64 / 1024);
    // All keys are written again and again; of those behind the walk much more would have to be noted than may be.
    let new = |round: u64| value().replace('v', &round.to_string());
    let stop = AtomicBool::new(false);
    let (most, (_, worst)) = std::thread::scope(|scope| {
        let _stop = StopAtEnd(&stop);
        let watching = scope.spawn(|| {
            let mut most = 0;
            while !stop.load(Ordering::Relaxed) {
                most = most.max(server.resident_kb() - before);
                pause_us(2000);
            }
            most
        });
        let outcome =
            beside(&mut bystander, || (0..4).for_each(|round| fill(&mut client, &prefix(), KEYS, &new(round))));
        stop.store(true, Ordering::Relaxed);
        (watching.join().expect("a thread"), outcome)
    });
    // What is received, executed and sent at once is less than the first part of that.
    assert!(most < (1 << 10) + (8 << 10) + used / 50, "{most} kB more, of {used} kB");
    // By the clock others on this machine count as well; in the longest turn they hardly do.
    let turn = Duration::from_micros(client.info("snapshot_last_turn_worst_usec"));
    assert!(worst < WAIT_MAX || turn < WAIT_MAX / 5, "{worst:?}, a turn of {turn:?}");
    // The writer stands still, and it is given up nevertheless.
    let why = "keys change faster than the disk takes them";
    assert_eq!(saver.line(), format!("(error) the snapshot failed: {why}"));
    assert_eq!(persistence(&mut client, "snapshot_last_error"), why);
    assert_eq!(persistence(&mut client, "rdb_last_bgsave_status"), "err");
    let (old, wanted) = (read(&path), value());
    assert!(old.keys.len() == KEYS && old.keys.values().all(|(value, _)| value == wanted.as_bytes()));
    // The process that wrote it has the new file until it has noticed.
    assert!(client.ask("SAVE").ends_with("another process writes it"));
    signal_child(writer, Signal::SIGCONT);
    wait_for("the next snapshot", || client.ask("SAVE") == "OK");
    assert!(read(&path).keys.values().all(|(value, _)| value == new(3).as_bytes()));
    eprintln!("{most} kB more of {used} kB, a bystander waited for {worst:?}");
}

#[test]
fn a_server_that_is_kept_busy_makes_its_snapshots() {
    let _alone = alone();
    let folder = Scratch::new();
    let path = file(&folder);
    let server = serve(&path);
    let mut client = server.connect();
    fill(&mut client, "k", KEYS, "0");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = StopAtEnd(&stop);
        for writer in 0..4 {
            let mut busy = server.connect();
            let stop = &stop;
            scope.spawn(move || {
                let mut random = Random(writer);
                while !stop.load(Ordering::Relaxed) {
                    let requests: String =
                        (0..1000).map(|_| format!("INCRBY k{} 1\r\n", random.below(KEYS as u64))).collect();
                    busy.send(&requests);
                    (0..1000).for_each(|_| drop(busy.line()));
                }
            });
        }
        // Once it may fail, where the machine lets the others go on and the writer not.
        let made = (0..6).filter(|_| {
            pause_us(50_000);
            wait_until_alone(&server);
            client.ask("SAVE") == "OK"
        });
        assert!(made.count() >= 5);
        eprintln!("{} requests a second meanwhile", client.info("instantaneous_ops_per_sec"));
    });
    assert_eq!(read(&path).keys.len(), KEYS);
}

#[test]
fn what_changes_faster_than_it_can_be_copied_is_given_up_after_a_bounded_part_of_the_disk() {
    let _alone = alone();
    let folder = Scratch::new();
    let path = file(&folder);
    let server = serve(&path);
    let (mut client, mut saver) = (server.connect(), server.connect());
    // A byte of each is changed in a fraction of the time that the whole takes to be told of.
    const LONG: usize = 1000;
    fill(&mut client, "l", LONG, &"v".repeat(100_000));
    let requests: String = (0..LONG).map(|number| format!("SETRANGE l{number} 0 x\r\n")).collect();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = StopAtEnd(&stop);
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                client.converse(requests.as_bytes(), LONG * "100000\r\n".len());
            }
        });
        // The client may be late, or be kept from changing keys for a moment.
        let failed = "(error) the snapshot failed: keys change as fast as the disk takes them";
        wait_for("a snapshot to be given up", || saver.ask("SAVE") == failed);
    });
    wait_until_alone(&server);
    saver.expect("SAVE", "OK");
    assert_eq!(read(&path).keys.len(), LONG);
}

#[test]
fn keys_that_change_again_and_again_are_noted_once() {
    let _alone = alone();
    let folder = Scratch::new();
    let path = file(&folder);
    let server = serve(&path);
    let mut client = server.connect();
    fill(&mut client, &prefix(), KEYS, &value());
    client.expect("BGSAVE", "Background saving started");
    let writer = stop_at(&server, &mut client, KEYS as u64 * 2 / 3);
    // Each of a thousand keys a hundred times: more than may be noted, if each time counted.
    for round in 0..100 {
        fill(&mut client, &prefix(), 1000, &round.to_string());
    }
    signal_child(writer, Signal::SIGCONT);
    wait_until_saved(&mut client);
    assert_eq!(persistence(&mut client, "snapshot_last_error"), "");
    let found = read(&path);
    assert!((0..1000).all(|number| found.text(&format!("{}{number}", prefix())) == "99"));
    assert_eq!(found.keys.len(), KEYS);
}

#[test]
fn snapshots_and_their_loading_make_nobody_wait() {
    let _alone = alone();
    let folder = Scratch::new();
    let path = file(&folder);
    let server = serve(&path);
    let (mut client, mut bystander) = (server.connect(), server.connect());
    fill(&mut client, &prefix(), KEYS, "value");
    client.expect(&format!("SETRANGE long {} x", 100_000_000), "100000001");
    let (_, worst) = beside(&mut bystander, || {
        for _ in 0..3 {
            client.expect("SET k v", "OK");
            client.expect("SAVE", "OK");
        }
    });
    let turn = Duration::from_micros(client.info("snapshot_last_turn_worst_usec"));
    assert!(worst < WAIT_MAX && turn < WAIT_MAX, "{worst:?}, a turn of {turn:?}");
    drop((client, bystander, server));
    let server = crate::start(&path, &[]).start();
    let mut client = server.connect();
    // Who asks while keys are loaded is answered as fast.
    let mut asked = 0;
    let mut worst = Duration::ZERO;
    loop {
        let begun = std::time::Instant::now();
        let loading = client.info("loading");
        worst = worst.max(begun.elapsed());
        if loading == 0 {
            break;
        }
        asked += 1;
    }
    assert!(worst < WAIT_MAX, "{worst:?} in {asked} answers");
    client.expect("DBSIZE", &(KEYS + 2).to_string());
    client.expect("STRLEN long", "100000001");
}

#[test]
fn a_snapshot_takes_hardly_any_memory() {
    let _machine = alone();
    if !need("python3") {
        return;
    }
    let mut command = Command::new(root().join("scripts/snapshot_cost.py"));
    command.args(["--keys", "500000"]).env("BIN", program().parent().expect("a folder"));
    let output = command.output().expect("to run the script");
    let [table, error] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    println!("{table}{error}");
    assert!(output.status.success(), "{table}{error}");
    let row = table.lines().find_map(|line| line.strip_prefix("| memento |")).expect("memento's row");
    let percent = row.split('|').nth(2).and_then(|cell| cell.trim().strip_suffix(" %")).expect("a percentage");
    assert!(percent.parse::<i64>().expect("a number") <= 5, "{table}");
}
