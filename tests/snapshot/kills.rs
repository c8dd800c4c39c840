//! The server or the process that writes its snapshot is killed at any moment: the file is the old one or the new one.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use nix::sys::signal::Signal;

use crate::support::{Client, Scratch, Server, StopAtEnd, alone, wait_for};
use crate::{
    Random, child, children, file, fill, pause_us, persistence, read, seed, serve, signal_child, wait_until_saved,
};

const KILLS: u64 = 100;

const FILLERS: usize = 30_000;

/// The keys of a pair are written together; more of them than a turn sees.
const PAIRS: u64 = 300;

/// Writes pairs until it is stopped, or nobody is there any more.
fn write_pairs(mut client: Client, mut random: Random, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let (number, value) = (random.below(PAIRS), random.below(1000));
        let both = format!("MULTI\r\nSET left{number} {value}\r\nSET right{number} {value}\r\nEXEC\r\n");
        if !client.send_if_open(both.as_bytes()) {
            return;
        }
        pause_us(50);
    }
}

/// The generation that the file is of, if it is whole.
fn generation(path: &Path) -> u64 {
    let found = read(path);
    let fillers = found.keys.range(b"filler".to_vec()..b"fillet".to_vec()).count();
    assert_eq!(fillers, FILLERS);
    for number in 0..PAIRS {
        assert_eq!(found.text(&format!("left{number}")), found.text(&format!("right{number}")), "pair {number}");
    }
    found.number("generation")
}

/// A server with keys, a first snapshot of which there is, and how many microseconds that took.
fn prepare(path: &Path) -> (Server, u64) {
    let server = serve(path);
    let mut client = server.connect();
    fill(&mut client, "filler", FILLERS, "stays");
    client.expect("SET generation 1", "OK");
    client.expect("SAVE", "OK");
    let begun = Instant::now();
    client.expect("SAVE", "OK");
    let took_us = begun.elapsed().as_micros() as u64;
    (server, took_us)
}

#[test]
fn a_server_that_is_killed_leaves_the_old_snapshot_or_the_new_one() {
    let _alone = alone();
    let seed = seed();
    let mut random = Random(seed);
    let folder = Scratch::new();
    let path = file(&folder);
    let (mut server, took_us) = prepare(&path);
    let (mut last, mut new) = (1, 0);
    for kill in 0..KILLS {
        let (stop, mut client) = (AtomicBool::new(false), server.connect());
        std::thread::scope(|scope| {
            let _stop = StopAtEnd(&stop);
            let (writer, random_writer, stop) = (server.connect(), Random(seed ^ kill), &stop);
            scope.spawn(move || write_pairs(writer, random_writer, stop));
            client.expect(&format!("SET generation {}", last + 1), "OK");
            client.send("BGSAVE\r\n");
            // Writing goes on beside it, so that it takes longer.
            pause_us(random.below(took_us * 3 / 2));
            server.signal(Signal::SIGKILL);
            server.wait_exit();
        });
        server = serve(&path);
        let mut client = server.connect();
        let found: u64 = client.ask("GET generation").parse().expect("a number");
        assert!(found == last || found == last + 1, "kill {kill}: generation {found} behind {last}");
        assert_eq!(generation(&path), found, "kill {kill}");
        new += found - last;
        last = found;
    }
    eprintln!("{KILLS} kills, snapshots take {took_us} us, {new} were of the new generation");
    assert!((1..KILLS).contains(&new), "the moments are all before the end, or all behind it: {new}");
}

#[test]
fn a_writer_that_is_killed_leaves_the_old_snapshot_or_the_new_one_and_the_server_goes_on() {
    let _alone = alone();
    let seed = seed();
    let mut random = Random(seed);
    let folder = Scratch::new();
    let path = file(&folder);
    let (server, took_us) = prepare(&path);
    let mut client = server.connect();
    let stop = AtomicBool::new(false);
    let (mut failed, mut new, mut last) = (0, 0, 1);
    std::thread::scope(|scope| {
        let _stop = StopAtEnd(&stop);
        let (mut writer, mut random_writer, stop) = (server.connect(), Random(!seed), &stop);
        scope.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let (number, value) = (random_writer.below(PAIRS), random_writer.below(1000));
                writer.send(format!("MULTI\r\nSET left{number} {value}\r\nSET right{number} {value}\r\nEXEC\r\n"));
                (0..4).for_each(|_| drop(writer.line()));
            }
        });
        // The writer is one of those.
        wait_for("the writer", || !client.ask("EXISTS left0 left1 left2 left3").starts_with('0'));
        let descriptors = server.descriptors();
        for kill in 0..KILLS {
            let saves = client.info("rdb_saves");
            client.expect(&format!("SET generation {}", last + 1), "OK");
            client.expect("BGSAVE", "Background saving started");
            pause_us(random.below(took_us * 3 / 2));
            if let Some((writer, _)) = children(&server).first() {
                signal_child(*writer, Signal::SIGKILL);
            }
            wait_until_saved(&mut client);
            let found = generation(&path);
            let is_made = client.info("rdb_saves") > saves;
            assert!(
                if is_made { found == last + 1 } else { found == last || found == last + 1 },
                "kill {kill}: {found}"
            );
            assert_eq!(persistence(&mut client, "rdb_last_bgsave_status"), if is_made { "ok" } else { "err" });
            if !is_made {
                let error = persistence(&mut client, "snapshot_last_error");
                assert_eq!(error, "its process ended before it was done; was it killed?");
                failed += 1;
            }
            new += found - last;
            last = found;
            if kill % 10 == 0 {
                client.expect("SAVE", "OK");
                assert_eq!(persistence(&mut client, "rdb_last_bgsave_status"), "ok");
                last = client.ask("GET generation").parse().expect("a number");
                assert_eq!(generation(&path), last);
            }
            wait_for("all processes to have gone", || children(&server).is_empty());
            assert_eq!(server.descriptors(), descriptors, "kill {kill}");
        }
    });
    eprintln!("{KILLS} kills, snapshots take {took_us} us, {failed} failed, {new} were of the new generation");
    assert!((1..KILLS).contains(&failed));
    server.wait_for_log("the snapshot failed, no whole one is lost: its process ended before it was done");
    // Of a client that waits for it, too.
    client.send("SAVE\r\n");
    signal_child(child(&server), Signal::SIGKILL);
    assert_eq!(client.line(), "(error) the snapshot failed: its process ended before it was done; was it killed?");
    let server = serve(&path);
    server.connect().expect("DBSIZE", &read(&path).keys.len().to_string());
}
