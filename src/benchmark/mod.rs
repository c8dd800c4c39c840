//! `memento-benchmark`: how many requests a second a server answers when each client waits for its answer.
//!
//! One request is under way on a connection at any time, so the figures tell of latency: of the network, the kernels
//! and the server together. Every answer is compared with the right one. The keys are deleted again when the time is
//! taken, whether or not they were there before, also after a failure if the connection still allows it.

mod load;

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use getopts::Options;

use load::{KINDS, Load};

use crate::client::{CONNECT_TIMEOUT, Client, HOST_DEFAULT, PORT_DEFAULT, parse_port, reason};
use crate::stats::Fixed;

const USAGE: &str = "\
Usage: memento-benchmark [-h] [-V] [HOST [PORT]]

Measures how many requests a second a memento server answers, one at a time on
each connection, and checks every answer.

  HOST       an address or a name (127.0.0.1)
  PORT       its port (6737)

  -h, --help       print this
  -V, --version    print the version

  --load KIND          send one kind of request from one thread instead, and
                       print one line: fill (each key once), set, get, inc,
                       append, exists or ping
  --protocol NAME      in resp (the default) or text
  --pipeline N         N requests under way on each connection (1)
  --connections N      (50)
  --requests N         (100000)
  --keys N             so many keys (100000), which stay
  --prefix TEXT        what a key begins with (key:)
  --value-bytes N      (32)

Without --load it sets the key 'keyone' and keys that begin with 'keyone:' or 'key:', and
deletes them in the end. Do not run it where such keys are of use.

The status is 0, or 1 when the server cannot be reached or an answer is wrong,
or 2 when this usage was not followed.
";

/// A server that says nothing for so long is not measured but reported.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// The padding of the last growing key; with the name and number before it a key stays under 300 bytes, far below the
/// limit of a line, and small boxes can hold all of them.
const GROWTH_BYTES_MAX: u64 = 240;

/// Keys deleted by one line: with the longest ones it has under 32 KiB.
const DELETE_KEYS_MAX: u64 = 100;

/// A thread calls a few functions on small buffers; the default of 2 MiB is much for a small box with ten of them.
const STACK_BYTES: usize = 256 * 1024;

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The requests of each part that one connection makes alone.
    pub operations: u64,
    /// The connections of the last part, each in a thread of its own.
    pub threads: u64,
    /// The requests of each type that each thread makes.
    pub thread_operations: u64,
}

impl Plan {
    /// What the tool does.
    pub const DEFAULT: Plan = Plan { operations: 100_000, threads: 10, thread_operations: 8_000 };
}

/// Runs the tool with the words after the program's name; gives back the exit status.
pub fn main(args: Vec<String>) -> i32 {
    let result = match parse(&args) {
        Ok(Parsed::Print(text)) => show(&mut io::stdout(), &text),
        Ok(Parsed::Measure { host, port }) => run(Plan::DEFAULT, &host, port, &mut io::stdout()),
        Ok(Parsed::Load { load, host, port }) => load::run(&load, &host, port, &mut io::stdout()),
        Err(what) => {
            complain(&format!("{what}\nTry 'memento-benchmark --help'."));
            return 2;
        }
    };
    match result {
        Ok(()) | Err(Failure::OutputClosed) => 0,
        Err(Failure::Message(what)) => {
            complain(&what);
            1
        }
    }
}

/// Why a run ended early.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// A sentence: the server cannot be reached, a connection broke, an answer is wrong or late.
    Message(String),
    /// Nobody reads the figures any more: no reason to complain.
    OutputClosed,
}

/// The client's errors are whole sentences.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Message(error.to_string())
    }
}

/// A closed standard error must not stop the tool, as `eprintln` would.
fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "memento-benchmark: {text}");
}

#[derive(Debug, PartialEq)]
enum Parsed {
    Print(String),
    Measure { host: String, port: u16 },
    Load { load: Load, host: String, port: u16 },
}

/// The options that take a value.
const VALUES: &[&str] = &["load", "protocol", "pipeline", "connections", "requests", "keys", "prefix", "value-bytes"];

fn parse(args: &[String]) -> Result<Parsed, String> {
    let mut options = Options::new();
    options.optflag("h", "help", "").optflag("V", "version", "");
    for name in VALUES {
        options.optopt("", name, "", "");
    }
    let matches = options.parse(args).map_err(|fail| fail.to_string())?;
    if matches.opt_present("help") {
        return Ok(Parsed::Print(USAGE.to_string()));
    }
    if matches.opt_present("version") {
        return Ok(Parsed::Print(format!("memento-benchmark {}\n", env!("CARGO_PKG_VERSION"))));
    }
    let name_of = |word: &String| {
        if word.trim().is_empty() { Err("the host has no name".to_string()) } else { Ok(word.clone()) }
    };
    let (host, port) = match matches.free.as_slice() {
        [] => (HOST_DEFAULT.to_string(), PORT_DEFAULT),
        [name] => (name_of(name)?, PORT_DEFAULT),
        [name, port] => (name_of(name)?, parse_port(port)?),
        [_, _, more, ..] => return Err(format!("'{more}' is too much: only HOST and PORT are taken")),
    };
    let Some(kind) = matches.opt_str("load") else {
        return match VALUES.iter().find(|name| matches.opt_present(name)) {
            Some(name) => Err(format!("--{name} is only of use with --load")),
            None => Ok(Parsed::Measure { host, port }),
        };
    };
    let Some(&(_, kind)) = KINDS.iter().find(|(name, _)| *name == kind) else {
        return Err(format!("--load {kind}: no such kind of request"));
    };
    let number = |name: &str, default: u64, least: u64| match matches.opt_str(name) {
        None => Ok(default),
        Some(text) => match text.parse() {
            Ok(number) if number >= least && number <= 1 << 40 => Ok(number),
            _ => Err(format!("--{name} wants a number of at least {least}, not '{text}'")),
        },
    };
    let resp = match matches.opt_str("protocol").as_deref() {
        None | Some("resp") => true,
        Some("text") => false,
        Some(other) => return Err(format!("--protocol is resp or text, not '{other}'")),
    };
    let default = Load::default();
    let load = Load {
        kind,
        resp,
        pipeline: number("pipeline", default.pipeline as u64, 1)? as usize,
        connections: number("connections", default.connections as u64, 1)? as usize,
        requests: number("requests", default.requests, 1)?,
        keys: number("keys", default.keys, 1)?,
        prefix: matches.opt_str("prefix").unwrap_or(default.prefix),
        value_bytes: number("value-bytes", default.value_bytes as u64, 0)? as usize,
    };
    Ok(Parsed::Load { load, host, port })
}

/// Measures the server and writes what is going on and each part's figures to `output`, as they come.
///
/// # Errors
/// At the first thing that fails.
pub fn run(plan: Plan, host: &str, port: u16, output: &mut dyn Write) -> Result<(), Failure> {
    let connect = || {
        let mut client = Client::connect(host, port, CONNECT_TIMEOUT)?;
        client.set_reply_timeout(Some(REPLY_TIMEOUT))?;
        Ok::<Client, io::Error>(client)
    };
    let Plan { operations, threads, thread_operations } = plan;
    let mut alone = Worker::new(connect()?, "keyone".to_string(), "key:".to_string());
    let parts = format!(
        " Nr. operations {operations}\n \
         1) SET keyone valueone\n \
         2) GET keyone\n \
         3) SET with growing keys\n \
         4) All previous operations in {threads} threads, each one performing {thread_operations} requests per type\n"
    );
    show(output, &parts)?;
    let measured = measure_alone(&mut alone, operations, output);
    measured.and(alone.delete(operations))?;

    let mut workers = Vec::new();
    for number in 0..threads {
        // Connected before the time starts; and each thread has keys of its own, so that each knows the right answers.
        workers.push(Worker::new(connect()?, format!("keyone:{number}"), format!("key:{number}:")));
    }
    let measured = perform_together(&mut workers, thread_operations).and_then(|elapsed| {
        let label = format!("SET, GET, SET growing keys in {threads} threads");
        show(output, &figures(&label, threads * thread_operations * 3, elapsed))
    });
    let deleted = workers.iter_mut().map(|worker| worker.delete(thread_operations));
    // Every worker deletes, even if one before it could not.
    measured.and(deleted.fold(Ok(()), Result::and))
}

fn measure_alone(worker: &mut Worker, operations: u64, output: &mut dyn Write) -> Result<(), Failure> {
    for (label, kind) in [("SET", Kind::Set), ("GET", Kind::Get), ("SET growing keys", Kind::SetGrowing)] {
        let start = Instant::now();
        worker.perform(kind, operations, &AtomicBool::new(false))?;
        show(output, &figures(label, operations, start.elapsed()))?;
    }
    Ok(())
}

fn show(output: &mut dyn Write, text: &str) -> Result<(), Failure> {
    output.write_all(text.as_bytes()).and_then(|()| output.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::OutputClosed,
        _ => Failure::Message(format!("cannot write to standard output: {}", reason(&error))),
    })
}

fn figures(label: &str, operations: u64, elapsed: Duration) -> String {
    // A plan of nothing takes no time at all on a coarse clock.
    let seconds = elapsed.as_secs_f64().max(1e-9);
    format!(
        " [{label}] - Elapsed time: {} s  Op/s: {}\n",
        Fixed::<6>::near(seconds),
        Fixed::<2>::near(operations as f64 / seconds)
    )
}

/// Lets every worker do all three types of request in a thread of its own; gives back the time from the first one's
/// start to the last one's end. Each thread reads the clock itself, because on a busy box the starter may run late.
fn perform_together(workers: &mut [Worker], operations: u64) -> Result<Duration, Failure> {
    let failed = AtomicBool::new(false);
    let failed = &failed;
    let times = thread::scope(|scope| {
        let mut running = Vec::new();
        for worker in workers {
            let work = move || {
                let start = Instant::now();
                for kind in [Kind::Set, Kind::Get, Kind::SetGrowing] {
                    worker.perform(kind, operations, failed)?;
                }
                Ok((start, Instant::now()))
            };
            match thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work) {
                Ok(thread) => running.push(thread),
                Err(error) => {
                    failed.store(true, Ordering::Relaxed);
                    return Err(Failure::Message(format!("cannot start a thread: {}", reason(&error))));
                }
            }
        }
        let joined = running.into_iter().map(|thread| thread.join().expect("a worker does not panic"));
        // All are joined before the first error is told.
        joined.collect::<Vec<_>>().into_iter().collect::<Result<Vec<(Instant, Instant)>, Failure>>()
    })?;
    let first = times.iter().map(|(start, _)| *start).min();
    let last = times.iter().map(|(_, end)| *end).max();
    Ok(first.zip(last).map_or(Duration::ZERO, |(first, last)| last - first))
}

/// The types of request.
#[derive(Clone, Copy)]
enum Kind {
    Set,
    Get,
    SetGrowing,
}

/// One connection and the keys it uses.
struct Worker {
    client: Client,
    key: String,
    /// What a growing key begins with.
    growing: String,
    line: Vec<u8>,
}

impl Worker {
    fn new(client: Client, key: String, growing: String) -> Worker {
        Worker { client, key, growing, line: Vec::new() }
    }

    /// Makes `operations` requests, each after the answer to the one before. Stops early when another worker failed,
    /// and tells the others when this one does.
    fn perform(&mut self, kind: Kind, operations: u64, failed: &AtomicBool) -> Result<(), Failure> {
        for index in 0..operations {
            if failed.load(Ordering::Relaxed) {
                break;
            }
            if let Err(what) = self.request(kind, index, operations) {
                failed.store(true, Ordering::Relaxed);
                return Err(what);
            }
        }
        Ok(())
    }

    fn request(&mut self, kind: Kind, index: u64, operations: u64) -> Result<(), Failure> {
        self.line.clear();
        let wanted: &[u8] = match kind {
            Kind::Set => {
                self.line.extend_from_slice(b"SET ");
                self.line.extend_from_slice(self.key.as_bytes());
                self.line.extend_from_slice(b" valueone");
                b"OK"
            }
            Kind::Get => {
                self.line.extend_from_slice(b"GET ");
                self.line.extend_from_slice(self.key.as_bytes());
                b"valueone"
            }
            Kind::SetGrowing => {
                self.line.extend_from_slice(b"SET ");
                push_growing_key(&mut self.line, &self.growing, index, operations);
                self.line.extend_from_slice(b" valueone");
                b"OK"
            }
        };
        let got = self.client.ask(&self.line)?;
        if got == wanted { Ok(()) } else { Err(Failure::Message(wrong(&self.line, wanted, got))) }
    }

    /// Deletes the keys that so many operations of each type made, many at once: nobody waits for this to be measured.
    fn delete(&mut self, operations: u64) -> Result<(), Failure> {
        let mut index = 0;
        self.line.clear();
        self.line.extend_from_slice(b"DEL ");
        self.line.extend_from_slice(self.key.as_bytes());
        loop {
            let end = operations.min(index + DELETE_KEYS_MAX);
            for index in index..end {
                self.line.push(b' ');
                push_growing_key(&mut self.line, &self.growing, index, operations);
            }
            let got = self.client.ask(&self.line)?;
            // A server that evicts keys may have none of them any more.
            if got != b"OK" && got != b"(null)" {
                return Err(Failure::Message(wrong(&self.line, b"OK", got)));
            }
            index = end;
            if index == operations {
                return Ok(());
            }
            self.line.clear();
            self.line.extend_from_slice(b"DEL");
        }
    }
}

/// Adds the growing key of this index: the prefix, the index, a colon, then padding that grows evenly from nothing to
/// `GROWTH_BYTES_MAX` over all operations. The index makes it unique, and no key is shorter than the one before.
fn push_growing_key(line: &mut Vec<u8>, prefix: &str, index: u64, operations: u64) {
    write!(line, "{prefix}{index}:").expect("a Vec takes every write");
    let padding = index * GROWTH_BYTES_MAX / operations;
    line.resize(line.len() + padding as usize, b'x');
}

fn wrong(line: &[u8], wanted: &[u8], got: &[u8]) -> String {
    let [line, wanted, got] = [line, wanted, got].map(|bytes| {
        // Only the start of something long is of interest, and no byte of a server's answer is sent raw to a terminal.
        let text = bytes[..bytes.len().min(128)].escape_ascii().to_string();
        if bytes.len() > 128 { text + "..." } else { text }
    });
    format!("wrong answer: request '{line}', wanted '{wanted}', got '{got}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &[&str]) -> Result<Parsed, String> {
        parse(&line.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn arguments() {
        for (line, host, port) in [
            (&[][..], "127.0.0.1", 6737),
            (&["box"], "box", 6737),
            (&["box", "80"], "box", 80),
            (&["::1", "80"], "::1", 80),
        ] {
            assert_eq!(parsed(line), Ok(Parsed::Measure { host: host.to_string(), port }), "{line:?}");
        }
        assert_eq!(parsed(&["box", "-h"]), Ok(Parsed::Print(USAGE.to_string())));
        assert!(matches!(parsed(&["-V"]), Ok(Parsed::Print(text)) if text.starts_with("memento-benchmark ")));
        for line in [&["-x"][..], &["box", "eighty"], &["box", "0"], &["box", "80", "more"], &[""]] {
            assert!(parsed(line).is_err(), "{line:?}");
        }
        let line = ["--load", "set", "--protocol", "text", "--pipeline", "16", "--prefix", "{t}", "box"];
        let load =
            Load { kind: load::Kind::Set, resp: false, pipeline: 16, prefix: "{t}".to_string(), ..Load::default() };
        assert_eq!(parsed(&line), Ok(Parsed::Load { load, host: "box".to_string(), port: 6737 }));
        for line in [
            &["--keys", "5"][..],
            &["--load", "walk"],
            &["--load", "get", "--pipeline", "0"],
            &["--load", "get", "--protocol", "http"],
        ] {
            assert!(parsed(line).is_err(), "{line:?}");
        }
    }

    #[test]
    fn growing_keys_are_unique_and_grow() {
        for operations in [1, 7, 8_000, 100_000] {
            let mut seen = std::collections::HashSet::new();
            let mut length = 0;
            for index in 0..operations {
                let mut key = Vec::new();
                push_growing_key(&mut key, "key:9:", index, operations);
                assert!(key.len() >= length && key.len() < 300, "{index} of {operations}: {} bytes", key.len());
                length = key.len();
                assert!(seen.insert(key), "{index} of {operations} is not unique");
            }
        }
    }

    #[test]
    fn keys_of_different_threads_differ() {
        let mut seen = std::collections::HashSet::new();
        for prefix in ["key:", "key:0:", "key:1:", "key:10:"] {
            for index in 0..500 {
                let mut key = Vec::new();
                push_growing_key(&mut key, prefix, index, 500);
                assert!(seen.insert(key), "{prefix} {index}");
            }
        }
    }

    #[test]
    fn figures_are_lines_of_the_ordered_form() {
        let text = figures("SET", 100_000, Duration::from_micros(871_047));
        assert_eq!(text, " [SET] - Elapsed time: 0.871047 s  Op/s: 114804.37\n");
        assert!(figures("GET", 0, Duration::ZERO).ends_with("Op/s: 0.00\n"));
    }

    #[test]
    fn a_wrong_answer_is_shown_short_and_printable() {
        let text = wrong(b"GET k", b"OK", &[0x1b; 200]);
        assert!(text.starts_with(r"wrong answer: request 'GET k', wanted 'OK', got '\x1b\x1b"), "{text}");
        assert!(text.ends_with("\\x1b...'") && text.len() < 700, "{text}");
    }
}
