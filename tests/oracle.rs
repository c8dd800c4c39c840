//! Holds memento against the real Redis: both get the same random requests, and must answer with the same bytes.
//!
//! A run begins with an empty store and two clients on each server, whose requests are interleaved in a fixed order. It
//! is made from its seed alone, runs of even seeds in RESP3. What differs on purpose stands in oracle/differences.rs.
//!
//! `MEMENTO_SEED=n` runs that seed alone; `MEMENTO_ORACLE_COMMANDS=n` sets how many requests there are in all;
//! `MEMENTO_ORACLE_WITHOUT=SCAN,CONFIG` leaves these commands out, so that what is known to be wrong does not hide what is
//! not; `MEMENTO_ORACLE_AGAINST=redis` puts a second Redis in memento's place, which tries the test itself.

mod support;

#[path = "oracle/differences.rs"]
mod differences;
#[path = "oracle/generator.rs"]
mod generator;
#[path = "oracle/reply.rs"]
mod reply;
#[path = "oracle/run.rs"]
mod run;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Instant;

use differences::DIFFERENCES;
use run::{Counts, Pair};
use support::reference::Reference;
use support::{Server, show};

/// So many requests are held against each other where nothing else is said.
const REQUESTS: usize = 300_000;

/// So many make one run: enough that keys collide in every way, few enough that a failing one is soon made small.
const REQUESTS_PER_RUN: usize = 1000;

/// After so many different failures the rest would not be read.
const FAILURES_MAX: usize = 25;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// Says it also where the test succeeds, whose output cargo keeps to itself.
fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Runs the seeds; the failures found, each with its smallest run.
fn compare(pair: &Pair, seeds: impl Iterator<Item = u64>, counts: &mut Counts) -> String {
    let without = std::env::var("MEMENTO_ORACLE_WITHOUT").unwrap_or_default();
    let without: Vec<&str> = without.split(',').collect();
    let mut failures = String::new();
    let mut seen: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for seed in seeds {
        let mut steps = generator::steps(seed, REQUESTS_PER_RUN);
        generator::leave_out(&mut steps, &without);
        let Err(mismatch) = run::run(pair, &steps, run::PATIENCE, counts) else { continue };
        let seeds = seen.entry(mismatch.signature()).or_default();
        seeds.push(seed);
        if seeds.len() > 1 {
            continue;
        }
        let (smallest, found) = run::minimise(pair, &steps, &mismatch);
        let words: Vec<String> = found.words.iter().map(|word| format!("\"{}\"", show(word))).collect();
        let failure = format!(
            "\nMEMENTO_SEED={seed} fails; {} of its steps are enough:\n{}to {}\n  redis answers   {}\n  memento answers {}\n",
            smallest.len(),
            run::describe(&smallest),
            words.join(" "),
            show(&found.redis),
            show(&found.memento),
        );
        // At once as well, since a run with many failures takes its time.
        say(&failure);
        failures += &failure;
        if seen.len() >= FAILURES_MAX {
            writeln!(failures, "\nstopped after {FAILURES_MAX} different failures").expect("to write to a string");
            break;
        }
    }
    for (signature, seeds) in seen.iter().filter(|(_, seeds)| seeds.len() > 1) {
        writeln!(failures, "also with seeds {:?}: {signature}", &seeds[1..]).expect("to write to a string");
    }
    failures
}

#[test]
fn memento_answers_as_redis_does() {
    let _machine = support::together();
    let Some(redis) = Reference::start() else { return };
    let against_redis = std::env::var("MEMENTO_ORACLE_AGAINST").is_ok_and(|value| value == "redis");
    let other = against_redis.then(Reference::start).flatten();
    let server = other.is_none().then(|| Server::start(&[]));
    let memento = match (&other, &server) {
        (Some(other), _) => other.address(),
        (None, Some(server)) => server.address(),
        (None, None) => unreachable!("one of the two was started"),
    };
    let pair = Pair { redis: redis.address(), memento };
    let requests = number("MEMENTO_ORACLE_COMMANDS").unwrap_or(REQUESTS as u64);
    let runs = requests.div_ceil(REQUESTS_PER_RUN as u64);
    let one = number("MEMENTO_SEED");
    let seeds = one.map_or(1..=runs, |seed| seed..=seed);
    let start = Instant::now();
    let mut counts = Counts::default();
    let failures = compare(&pair, seeds, &mut counts);
    let mut report =
        format!("oracle: {} requests compared in {:.1} s\n", counts.requests, start.elapsed().as_secs_f64());
    for (difference, count) in DIFFERENCES.iter().zip(counts.differences) {
        writeln!(report, "  {:<18} {count:>7}  {}", difference.name, difference.reason).expect("to write to a string");
        // One seed alone does not meet them all, and a second Redis hardly any.
        if count == 0 && one.is_none() && !against_redis && requests >= REQUESTS as u64 {
            writeln!(report, "    never used: take it out, or let the generator ask for it")
                .expect("to write to a string");
        }
    }
    say(&report);
    assert!(failures.is_empty(), "{failures}");
}

/// Redis held against Redis: what fails here is wrong with the test.
#[test]
fn the_oracle_agrees_with_itself() {
    let _machine = support::together();
    let (Some(redis), Some(other)) = (Reference::start(), Reference::start()) else { return };
    let pair = Pair { redis: redis.address(), memento: other.address() };
    let mut counts = Counts::default();
    let failures = compare(&pair, 1_000_001..=1_000_012, &mut counts);
    assert!(failures.is_empty(), "{failures}");
    assert!(counts.requests > 10_000, "only {} requests", counts.requests);
}

/// A generator that changed from one build to the next could not repeat what it found.
#[test]
fn a_seed_is_a_run() {
    let text = |seed| run::describe(&generator::steps(seed, 500));
    assert_eq!(text(7), text(7));
    assert_ne!(text(7), text(8));
}
