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

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::time::Instant;

use differences::DIFFERENCES;
use generator::{Step, Word};
use run::{Counts, Pair};
use support::cluster::{Cluster, array};
use support::reference::Reference;
use support::{Client, Server, root, show};

/// So many requests are held against each other where nothing else is said.
const REQUESTS: usize = 360_000;

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

/// Runs the seeds, each after this change of its steps; the failures found, each with its smallest run.
fn compare(
    pair: &Pair,
    seeds: impl Iterator<Item = u64>,
    change: impl Fn(&mut Vec<Step>),
    counts: &mut Counts,
) -> String {
    let without = std::env::var("MEMENTO_ORACLE_WITHOUT").unwrap_or_default();
    let without: Vec<&str> = without.split(',').collect();
    let mut failures = String::new();
    let mut seen: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for seed in seeds {
        let mut steps = generator::steps(seed, REQUESTS_PER_RUN);
        generator::leave_out(&mut steps, &without);
        change(&mut steps);
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
    let failures = compare(&pair, seeds, |_| (), &mut counts);
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
    let failures = compare(&pair, 1_000_001..=1_000_012, |_| (), &mut counts);
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

/// What wants all its keys in one slot of a cluster.
const OF_ONE_SLOT: &[&str] =
    &["MULTI", "EXEC", "DISCARD", "WATCH", "UNWATCH", "MSETNX", "RENAME", "RENAMENX", "COPY", "LCS", "BITOP"];

/// So many seeds for one way through a cluster, and others for the next.
fn cluster_seeds(way: usize, count: u64) -> std::ops::Range<u64> {
    match number("MEMENTO_SEED") {
        Some(seed) => seed..seed + 1,
        None => {
            let first = 2_000_000 + way as u64 * count;
            first..first + count
        }
    }
}

/// Whatever a single server answers, a cluster does through any node: with keys of all slots, then with all keys in one
/// slot, in turn of each node, where transactions and the commands of two keys are asked for as well.
#[test]
fn a_cluster_answers_as_one_server_does() {
    let _machine = support::together();
    let (single, cluster) = (Server::start(&[]), Cluster::start(3));
    let mut failures = String::new();
    let mut counts = Counts::default();
    for asked in 0..3 {
        let pair = Pair { redis: single.address(), memento: cluster.address(asked) };
        let spread = |steps: &mut Vec<Step>| generator::leave_out(steps, OF_ONE_SLOT);
        let found = compare(&pair, cluster_seeds(asked, 5), spread, &mut counts);
        if !found.is_empty() {
            write!(failures, "\nthrough node {asked}, keys of all slots:{found}").expect("to write to a string");
        }
        for owner in 0..3 {
            let tag = cluster.tag_of(owner);
            let together = |steps: &mut Vec<Step>| generator::put_in_one_slot(steps, &tag);
            let found = compare(&pair, cluster_seeds(3 + 3 * asked + owner, 3), together, &mut counts);
            if !found.is_empty() {
                write!(failures, "\nthrough node {asked}, keys of node {owner}:{found}").expect("to write to a string");
            }
        }
    }
    say(&format!("a cluster beside one server: {} requests compared\n", counts.requests));
    assert!(failures.is_empty(), "{failures}");
}

/// What is answered late, or tells of the moment, of the server or of an order that is its own.
const NOT_IN_LINES: &[&str] = &[
    "CLIENT",
    "AUTH",
    "GETP",
    "HELLO",
    "INFO",
    "TIME",
    "KEYS",
    "SCAN",
    "RANDOMKEY",
    "TTL",
    "PTTL",
    "EXPIRETIME",
    "PEXPIRETIME",
    "LATENCY",
    "SLOWLOG",
    "MEMORY",
];

/// The requests of the steps as lines of text.
fn lines(steps: &[Step]) -> Vec<String> {
    let mut lines = Vec::new();
    for step in steps {
        let Step::Talk { groups, .. } = step else { continue };
        for request in groups.iter().flatten().filter(|request| !request.silent) {
            let words: Vec<Vec<u8>> = request.words.iter().map(Word::resolve).collect();
            let plain = |word: &Vec<u8>| !word.is_empty() && word.iter().all(u8::is_ascii_graphic);
            let left_out = NOT_IN_LINES.iter().any(|name| words[0].eq_ignore_ascii_case(name.as_bytes()));
            if words.iter().all(plain) && !left_out {
                lines.push(String::from_utf8(words.join(&b' ')).expect("plain bytes"));
            }
        }
    }
    lines
}

#[test]
fn a_cluster_answers_lines_as_one_server_does() {
    const AT_ONCE: usize = 40;
    let _machine = support::together();
    let (single, cluster) = (Server::start(&[]), Cluster::start(3));
    let mut compared = 0;
    // Every third run waits for keys to end, which they do not do at the same moment on both.
    for seed in cluster_seeds(0, 15).filter(|seed| !seed.is_multiple_of(3)) {
        for (asked, owner) in (0..3).flat_map(|asked| [None, Some(0), Some(1), Some(2)].map(|owner| (asked, owner))) {
            let mut steps = generator::steps(seed, REQUESTS_PER_RUN / 2);
            match owner {
                Some(owner) => generator::put_in_one_slot(&mut steps, &cluster.tag_of(owner)),
                None => generator::leave_out(&mut steps, OF_ONE_SLOT),
            }
            let mut clients = [single.connect(), cluster.connect(asked)];
            clients.iter_mut().for_each(|client| client.expect("FLUSH", "OK"));
            for piece in lines(&steps).chunks(AT_ONCE) {
                let request = piece.join("\n");
                let answers = clients.each_mut().map(|client| {
                    client.send(format!("{request}\nRESET\nECHO --end--\n"));
                    client.until(b"--end--\r\n")
                });
                let [wanted, got] = answers;
                let [wanted, got] = [wanted, got].map(String::into_bytes);
                let same = wanted.iter().zip(&got).take_while(|(wanted, got)| wanted == got).count();
                let around =
                    |bytes: &[u8]| show(&bytes[same.saturating_sub(60).min(bytes.len())..(same + 60).min(bytes.len())]);
                assert!(
                    wanted == got,
                    "MEMENTO_SEED={seed}, node {asked}, keys of {owner:?}:\n{request}\none server: {}\ncluster:    {}",
                    around(&wanted),
                    around(&got)
                );
                compared += piece.len();
            }
        }
    }
    assert!(compared > 5_000 || number("MEMENTO_SEED").is_some(), "only {compared} requests");
}

/// The names that the real Redis answers such a request with, in upper case, subcommands as two words.
fn redis_names(client: &mut Client, request: &[&str]) -> BTreeSet<String> {
    client.send(array(request));
    let count = client.line().strip_prefix('*').and_then(|count| count.parse().ok()).expect("a list");
    let mut names = BTreeSet::new();
    for _ in 0..count {
        client.until(b"\r\n");
        names.insert(client.line().replace('|', " ").to_uppercase());
    }
    names
}

/// The README names each command of Redis that is not here, other than those of types that are not, and no other.
#[test]
fn what_redis_has_besides_is_named() {
    let Some(redis) = Reference::start() else { return };
    let mut redis = redis.connect();
    let mut missing = redis_names(&mut redis, &["COMMAND", "LIST"]);
    for row in memento::command::COMMANDS {
        missing.remove(&row.name().to_uppercase());
        for sub in row.subcommands() {
            missing.remove(&sub.name().replace('|', " ").to_uppercase());
        }
        if !row.subcommands.is_empty() {
            missing.remove(&format!("{} HELP", row.name().to_uppercase()));
        }
    }
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md");
    let table = readme.split("<!-- missing -->").nth(1).and_then(|rest| rest.split("<!-- /missing -->").next());
    let named: BTreeSet<String> = table.expect("the table").split('`').skip(1).step_by(2).map(str::to_string).collect();
    let wrong: Vec<_> = named.difference(&missing).collect();
    assert!(wrong.is_empty(), "they are here, or Redis has them neither: {wrong:?}");
    for kind in ["hash", "list", "set", "sortedset", "stream", "geo", "hyperloglog", "scripting"] {
        for name in redis_names(&mut redis, &["COMMAND", "LIST", "FILTERBY", "ACLCAT", kind]) {
            missing.remove(&name);
        }
    }
    // A family that is named has no subcommand that need be.
    let unnamed: Vec<_> = missing
        .iter()
        .filter(|name| !named.contains(*name) && !named.contains(name.split(' ').next().expect("a name")))
        .collect();
    assert!(unnamed.is_empty(), "neither here nor named: {unnamed:?}");
}
