//! A snapshot is of one moment: that at which its last record is made. Clients change keys so that what was at one moment
//! can be told from a mixture of several.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::format::{self, Snapshot};
use crate::support::{Client, Scratch, Server, StopAtEnd, alone, wait_for};
use crate::{Random, children, file, fill, pause_us, read, seed, serve, signal_child};

/// Keys that stay as they are, so that a snapshot takes many turns and does not fit into what a socket holds.
const FILLERS: usize = 60_000;

/// So many more are all in one slot, with half of the staircase: a walk stands within it for many turns.
const CROWD: usize = 40_000;

/// The steps of the staircase.
const STEPS: u64 = 500;

/// The keys among which the token moves.
const PLACES: u64 = 100;

/// Accounts, and what all have together.
const ACCOUNTS: u64 = 40;
const SUM: u64 = ACCOUNTS * 1000;

/// Pairs of keys that come and go together.
const PAIRS: u64 = 50;

/// Long values: those of which each part is the same, those that grow.
const LONGS: u64 = 6;
const LONG_PARTS: usize = 25_000;

/// What a client has done: how many requests it had sent, and how many were answered.
#[derive(Default)]
struct Progress {
    sent: AtomicU64,
    answered: AtomicU64,
}

impl Progress {
    /// Sends requests, each of which gets so many lines of answer.
    fn ask(&self, client: &mut Client, requests: &[String], lines: usize) {
        self.sent.fetch_add(requests.len() as u64, Ordering::SeqCst);
        client.send(requests.concat());
        for _ in 0..requests.len() * lines {
            let line = client.line();
            assert!(!line.starts_with("(error)"), "{line}");
        }
        self.answered.fetch_add(requests.len() as u64, Ordering::SeqCst);
    }
}

/// The key of a step.
fn step_key(step: u64) -> String {
    let tag = if step.is_multiple_of(2) { "" } else { "{crowd}" };
    format!("{tag}stair{step}")
}

/// A staircase: each key of a row is counted up in turn, round after round.
fn climb(client: &mut Client, progress: &Progress, random: &mut Random, stop: &AtomicBool) {
    let mut at = 0;
    while !stop.load(Ordering::Relaxed) {
        let count = 1 + random.below(60);
        let requests: Vec<_> = (at..at + count).map(|at| format!("INCR {}\r\n", step_key(at % STEPS))).collect();
        progress.ask(client, &requests, 1);
        at += count;
        // Others are to have their turns, and rounds are to be few: those that differ by more are found by that.
        pause_us(200);
    }
}

/// The sum of all steps, which is how many there were, if they are those of one moment.
fn climbed(found: &Snapshot) -> u64 {
    let steps: Vec<_> = (0..STEPS).map(|step| found.number(&step_key(step))).collect();
    let sum = steps.iter().sum::<u64>();
    for (step, &value) in (0..).zip(&steps) {
        let wanted = sum / STEPS + u64::from(step < sum % STEPS);
        assert_eq!(value, wanted, "step {step} of {steps:?}");
    }
    sum
}

/// A token moves among keys; each request leaves one that has it.
fn roam(client: &mut Client, random: &mut Random, stop: &AtomicBool) {
    let mut at = 0;
    client.expect("SET token0 token", "OK");
    while !stop.load(Ordering::Relaxed) {
        let to = (at + 1 + random.below(PLACES - 1)) % PLACES;
        if random.below(2) == 0 {
            client.expect_line(&format!("RENAME token{at} token{to}"), "OK");
        } else {
            client.send(format!("MULTI\r\nCOPY token{at} token{to}\r\nDEL token{at}\r\nEXEC\r\n"));
            for wanted in ["OK", "QUEUED", "QUEUED", "1\nOK"] {
                assert_eq!(client.line(), wanted);
            }
        }
        at = to;
    }
}

/// What one account loses another one gets, in a transaction.
fn transfer(client: &mut Client, random: &mut Random, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let (from, to, amount) = (random.below(ACCOUNTS), random.below(ACCOUNTS), random.below(9));
        client.send(format!("MULTI\r\nDECRBY account{from} {amount}\r\nINCRBY account{to} {amount}\r\nEXEC\r\n"));
        (0..4).for_each(|_| assert!(!client.line().starts_with("(error)")));
    }
}

/// Two keys come and go together, by all ways in which keys go.
fn pair(client: &mut Client, random: &mut Random, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let (number, value) = (random.below(PAIRS), random.below(1_000_000));
        let (left, right) = (format!("left{number}"), format!("right{number}"));
        let gone = [
            format!("DEL {right}"),
            format!("UNLINK {right}"),
            format!("PEXPIRE {right} -1"),
            format!("PEXPIREAT {right} 1"),
            format!("GETDEL {right}"),
            format!("GETEX {right} PXAT 1"),
            format!("RENAME {right} elsewhere"),
        ];
        let (one, other) = match random.below(2) {
            0 => (format!("SET {left} {value}"), format!("SET {right} {value}")),
            _ => (format!("DEL {left}"), gone[random.below(gone.len() as u64) as usize].clone()),
        };
        // The words of RENAME's error, where there is nothing, do no harm.
        client.send(format!("MULTI\r\n{one}\r\n{other}\r\nEXEC\r\n"));
        (0..4).for_each(|_| drop(client.line()));
    }
}

/// Long values: some are replaced as a whole, others grow by a part.
fn lengthen(client: &mut Client, progress: &Progress, random: &mut Random, stop: &AtomicBool) {
    let mut grown = vec![LONG_PARTS; LONGS as usize];
    while !stop.load(Ordering::Relaxed) {
        let number = random.below(LONGS);
        if random.below(4) == 0 {
            let part = format!("{:08}", random.below(100_000_000));
            progress.ask(client, &[format!("SET same{number} {}\r\n", part.repeat(LONG_PARTS))], 1);
        } else {
            let length = &mut grown[number as usize];
            progress.ask(client, &[format!("APPEND grown{number} {length:08}\r\n")], 1);
            *length += 1;
        }
        pause_us(100);
    }
}

/// What holds at every moment.
fn check(found: &Snapshot) {
    let holders = (0..PLACES).filter(|place| found.text(&format!("token{place}")) == "token").count();
    assert_eq!(holders, 1, "of the token");
    let sum: i64 =
        (0..ACCOUNTS).map(|number| found.text(&format!("account{number}")).parse::<i64>().expect("one")).sum();
    assert_eq!(sum, SUM as i64);
    for number in 0..PAIRS {
        // What has ended is in the snapshot until it is swept.
        let live = |side: &str| {
            let value = found.keys.get(format!("{side}{number}").as_bytes());
            value.filter(|(_, after_ms)| *after_ms != Some(0)).map(|(value, _)| value)
        };
        assert_eq!(live("left"), live("right"), "pair {number}");
    }
    for number in 0..LONGS {
        let same = found.text(&format!("same{number}"));
        assert!(same.len() == 8 * LONG_PARTS && same[..8].repeat(LONG_PARTS) == same, "same{number} is a mixture");
        let grown = found.text(&format!("grown{number}"));
        let whole: String = (0..grown.len() / 8).map(|part| format!("{part:08}")).collect();
        assert!(grown.len() >= 8 * LONG_PARTS && whole == grown, "grown{number} was never this");
    }
    for (prefix, count) in [("filler", FILLERS), ("{crowd}filler", CROWD)] {
        let fillers = found.keys.iter().filter(|(key, _)| key.starts_with(prefix.as_bytes()));
        assert!(fillers.clone().all(|(_, (value, _))| value == b"stays"));
        assert_eq!(fillers.count(), count);
    }
}

/// A server that loads the file has what the file says.
fn check_loaded(path: &Path, found: &Snapshot) {
    let folder = Scratch::new();
    let copy = file(&folder);
    fs::copy(path, &copy).expect("a copy of the file");
    let server = serve(&copy);
    let mut client = server.connect();
    let live = found.keys.values().filter(|(_, after_ms)| after_ms.is_none()).count();
    client.expect("DBSIZE", &live.to_string());
    for key in (0..STEPS).map(step_key).chain((0..LONGS).map(|number| format!("grown{number}"))) {
        client.expect(&format!("GET {key}"), found.text(&key));
    }
}

/// Snapshots are made again and again while the work is done; each is looked at.
fn snapshots(server: &Server, path: &Path, count: usize, random: &mut Random, climbing: &Progress) {
    let mut client = server.connect();
    for round in 0..count {
        let mut earliest = climbing.answered.load(Ordering::SeqCst);
        let (made, rounds_before) = (client.info("rdb_saves"), earliest / STEPS);
        client.expect("BGSAVE", "Background saving started");
        let holds_up = random.below(3) > 0;
        pause_us(if holds_up { random.below(5000) } else { 0 });
        // Where it was faster than that, there is nothing to be held up.
        if let Some(&(writer, _)) = children(server).first().filter(|_| holds_up) {
            signal_child(writer, Signal::SIGSTOP);
            pause_us(random.below(100_000));
            // As long as the child has not taken all, the last record is not made: what is answered now is in it.
            if client.info("rdb_bgsave_in_progress") == 1 && client.info("current_save_keys_processed") < 60_000 {
                earliest = climbing.answered.load(Ordering::SeqCst);
            }
            signal_child(writer, Signal::SIGCONT);
        }
        wait_for("the snapshot", || client.info("rdb_saves") > made);
        let latest = climbing.sent.load(Ordering::SeqCst);
        let found = read(path);
        check(&found);
        let climbed = climbed(&found);
        assert!((earliest..=latest).contains(&climbed), "{climbed} is not within {earliest} to {latest}");
        eprintln!("snapshot {round}: {climbed} within {earliest} to {latest}, from round {rounds_before} on");
        if round == 0 || round + 1 == count {
            check_loaded(path, &found);
        }
    }
}

#[test]
fn a_snapshot_is_of_the_moment_at_which_its_last_record_is_made() {
    let _alone = alone();
    let seed = seed();
    let folder = Scratch::new();
    let path = file(&folder);
    let server = serve(&path);
    let mut client = server.connect();
    fill(&mut client, "filler", FILLERS, "stays");
    fill(&mut client, "{crowd}filler", CROWD, "stays");
    fill(&mut client, "account", ACCOUNTS as usize, "1000");
    let whole: String = (0..LONG_PARTS).map(|part| format!("{part:08}")).collect();
    fill(&mut client, "grown", LONGS as usize, &whole);
    fill(&mut client, "same", LONGS as usize, &"12345678".repeat(LONG_PARTS));
    let (stop, climbing, lengthening) = (AtomicBool::new(false), Progress::default(), Progress::default());
    let mut token = server.connect();
    token.expect("SET token0 token", "OK");
    std::thread::scope(|scope| {
        let _stop = StopAtEnd(&stop);
        let work = |work: &'static (dyn Fn(&mut Client, &mut Random, &AtomicBool) + Sync), salt: u64| {
            let (mut client, mut random, stop) = (server.connect(), Random(seed ^ salt), &stop);
            scope.spawn(move || work(&mut client, &mut random, stop));
        };
        work(&roam, 1);
        work(&transfer, 2);
        work(&pair, 3);
        let (mut climber, mut lengthener) = (server.connect(), server.connect());
        let (climbing, lengthening, stop) = (&climbing, &lengthening, &stop);
        scope.spawn(move || climb(&mut climber, climbing, &mut Random(seed ^ 4), stop));
        scope.spawn(move || lengthen(&mut lengthener, lengthening, &mut Random(seed ^ 5), stop));
        snapshots(&server, &path, 12, &mut Random(seed), climbing);
    });
}

#[test]
fn a_flush_amid_a_snapshot_leaves_nothing_of_what_was_before() {
    let _alone = alone();
    const ROW: u64 = 20_000;
    let seed = seed();
    let folder = Scratch::new();
    let path = file(&folder);
    let server = serve(&path);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = StopAtEnd(&stop);
        let (mut writer, mut random, stop) = (server.connect(), Random(seed ^ 1), &stop);
        scope.spawn(move || {
            for round in 1.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let row = 1 + random.below(ROW);
                let row: String = (0..row).map(|number| format!("SET row{number} {round}\r\n")).collect();
                let answers = "OK\r\n".len() * (1 + row.lines().count());
                writer.converse(format!("FLUSHALL\r\n{row}").as_bytes(), answers);
            }
        });
        let (mut client, mut random) = (server.connect(), Random(seed));
        let (begun, mut rows, mut made) = (Instant::now(), Vec::new(), 0);
        while made < 60 && begun.elapsed() < Duration::from_secs(6) {
            pause_us(random.below(20_000));
            client.expect("SAVE", "OK");
            made += 1;
            let found = read(&path);
            let round = found.text("row0").to_string();
            for number in 0..found.keys.len() {
                assert_eq!(found.text(&format!("row{number}")), round, "row{number} of {}", found.keys.len());
            }
            rows.push(found.keys.len());
        }
        eprintln!("{made} snapshots, of {rows:?} keys");
        assert!(rows.iter().filter(|&&row| row > 0).count() > made / 2);
    });
    // What is written by hand reads as what the server writes.
    assert_eq!(
        format::read(&format::file(&[&format::number(b'B', 7), b"F", &format::number(b'E', 1)])).expect("a file"),
        Snapshot { wall_ms: 7, ..Snapshot::default() }
    );
}
