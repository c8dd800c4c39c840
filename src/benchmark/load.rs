//! Loads: which servers are asked, from how many threads, in which turns, and what is told meanwhile.

use std::io::{self, IsTerminal, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use super::engine::{Found, Shared, Task, Worker};
use super::keys::{Chooser, Keys};
use super::options::{Form, Part, Settings, Target};
use super::random::{Random, mix};
use super::report::{self, Row};
use super::schedule::Schedule;
use super::template::{Draw, Values};
use super::{Failure, REPLY_TIMEOUT, STACK_BYTES, show};
use crate::client::{CONNECT_TIMEOUT, Client, reason};

/// With two servers each part is cut in so many, which they are sent in turns: what else the machine does meets both.
const TURNS: u64 = 5;

/// How often progress is told.
const PROGRESS_TIME: Duration = Duration::from_millis(500);

/// Nanoseconds in a millionth of a second.
const NS_EACH: u64 = 1000;

/// A server, with all its nodes where they are asked for.
struct Server {
    name: String,
    nodes: Vec<Target>,
}

/// Makes the load and writes figures as they come.
///
/// # Errors
/// At the first reply that is wrong or late, or when a connection breaks.
pub(super) fn run(settings: &Settings, output: &mut dyn Write) -> Result<(), Failure> {
    let mut servers = Vec::new();
    for target in [Some(&settings.target), settings.compared.as_ref()].into_iter().flatten() {
        let nodes = if settings.cluster { nodes_of(target)? } else { vec![target.clone()] };
        servers.push(Server { name: target.text(), nodes });
    }
    let values = Values::new(settings.value_bytes.0, settings.value_bytes.1);
    show(output, &report::head(settings))?;
    let mut is_first = true;
    for part in &settings.parts {
        let turns = if servers.len() > 1 && !part.is_fill { TURNS } else { 1 };
        let mut totals: Vec<Total> = servers.iter().map(|_| Total::new(part)).collect();
        for turn in 0..turns {
            for (server, total) in servers.iter().zip(&mut totals) {
                measure(settings, part, server, &values, (turn, turns), total)?;
            }
        }
        for rows in rows(part, &servers, &totals) {
            show(output, &report::figures(settings, &rows, is_first))?;
            is_first = false;
        }
    }
    show(output, report::foot(settings))
}

/// What all turns of a part found at one server, for each kind of request.
struct Total {
    found: Vec<Found>,
    seconds: f64,
}

impl Total {
    fn new(part: &Part) -> Total {
        Total { found: vec![Found::new(); part.shares.len()], seconds: 0.0 }
    }
}

/// A row of each server for the whole part, and where it has several kinds of requests, for each of them.
fn rows(part: &Part, servers: &[Server], totals: &[Total]) -> Vec<Vec<Row>> {
    let row = |test: &str, place: usize, found: Found| Row {
        test: test.to_string(),
        server: servers[place].name.clone(),
        seconds: totals[place].seconds,
        found,
    };
    let whole = |(place, total): (usize, &Total)| {
        let mut all = Found::new();
        total.found.iter().for_each(|found| all.merge(found));
        row(&part.name, place, all)
    };
    let mut rows = vec![totals.iter().enumerate().map(whole).collect()];
    if part.shares.len() > 1 {
        for (number, share) in part.shares.iter().enumerate() {
            let each = totals.iter().enumerate();
            rows.push(each.map(|(place, total)| row(&share.name, place, total.found[number].clone())).collect());
        }
    }
    rows
}

/// One turn of a part at one server.
fn measure(
    settings: &Settings,
    part: &Part,
    server: &Server,
    values: &Values,
    (turn, turns): (u64, u64),
    total: &mut Total,
) -> Result<(), Failure> {
    let threads = settings.threads;
    let share_of = |all: u64, number: u64, of: u64| all / of + u64::from(number < all % of);
    let requests = if part.is_fill { Some(settings.key_space) } else { settings.requests };
    let requests = requests.map(|requests| share_of(requests, turn, turns));
    let warmup = if part.is_fill { 0 } else { settings.warmup };
    let seconds = if part.is_fill { None } else { settings.seconds };
    let warmup_ns = warmup * NS_EACH;
    let keys = if part.is_fill { Keys::Sequential } else { settings.keys };
    let shared = Shared::default();

    // All are connected before the time starts.
    let mut connected = Vec::new();
    for number in 0..settings.connections {
        connected.push(connect(&server.nodes[number as usize % server.nodes.len()])?);
    }
    let start = Instant::now();
    let mut workers = Vec::new();
    for number in 0..threads {
        // Another turn has other random numbers, but two servers have the same.
        let seed = mix(settings.seed ^ mix(turn * threads + number + 1));
        let task = Task {
            settings,
            part,
            draw: Draw {
                random: Random::new(seed),
                keys: Chooser::new(keys, settings.key_space, number, threads),
                randoms: settings.key_space,
                values,
                resp: settings.resp,
            },
            requests: requests.map(|requests| share_of(requests, number, threads)),
            schedule: settings.rate.map(|rate| Schedule::new(rate, number, threads)),
            start,
            counted_from_ns: warmup_ns,
            end_ns: seconds.map_or(u64::MAX, |seconds| warmup_ns + seconds * NS_EACH / turns),
            shared: &shared,
            server: &server.name,
        };
        let streams = connected.split_off(connected.len() - share_of(settings.connections, number, threads) as usize);
        workers.push(Worker::new(task, streams)?);
    }
    let shows_progress = !settings.quiet && settings.form == Form::Text && io::stderr().is_terminal();
    let results = thread::scope(|scope| {
        let watcher = thread::current();
        let mut running = Vec::new();
        for worker in workers {
            let (watcher, shared) = (watcher.clone(), &shared);
            let work = move || {
                let result = worker.work();
                if result.is_err() {
                    shared.failed.store(true, Ordering::Relaxed);
                }
                watcher.unpark();
                result
            };
            match thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work) {
                Ok(thread) => running.push(thread),
                Err(error) => {
                    shared.failed.store(true, Ordering::Relaxed);
                    return Err(Failure::Message(format!("cannot start a thread: {}", reason(&error))));
                }
            }
        }
        let mut progress = Progress { name: &part.name, start, last: (start, 0, 0), is_shown: false };
        while running.iter().any(|thread| !thread.is_finished()) {
            thread::park_timeout(PROGRESS_TIME);
            if shows_progress {
                progress.tell(&shared);
            }
        }
        progress.clear();
        let joined = running.into_iter().map(|thread| thread.join().expect("a worker does not panic"));
        joined.collect::<Result<Vec<_>, Failure>>()
    })?;
    let mut last_ns = 0;
    for (found, reply_ns) in results {
        total.found.iter_mut().zip(&found).for_each(|(total, found)| total.merge(found));
        last_ns = last_ns.max(reply_ns);
    }
    total.seconds += last_ns.saturating_sub(warmup_ns) as f64 / 1e9;
    Ok(())
}

/// The line that is written over again on a terminal.
struct Progress<'a> {
    name: &'a str,
    start: Instant,
    /// When it was written last, and what was counted until then.
    last: (Instant, u64, u64),
    is_shown: bool,
}

impl Progress<'_> {
    fn tell(&mut self, shared: &Shared) {
        let (before, answered_before, sum_before) = self.last;
        let now = Instant::now();
        if now - before < PROGRESS_TIME {
            return;
        }
        let (answered, sum_ns) = (shared.answered.load(Ordering::Relaxed), shared.sum_ns.load(Ordering::Relaxed));
        let count = answered - answered_before;
        let line = format!(
            "\r\x1b[K [{}] {:.0} s  Op/s: {:.0}  mean: {:.1} us",
            self.name.to_ascii_uppercase(),
            (now - self.start).as_secs_f64(),
            count as f64 / (now - before).as_secs_f64(),
            (sum_ns - sum_before) as f64 / 1000.0 / count.max(1) as f64
        );
        // Nobody misses it where it cannot be written.
        let _ = io::stderr().write_all(line.as_bytes());
        self.last = (now, answered, sum_ns);
        self.is_shown = true;
    }

    fn clear(&mut self) {
        if self.is_shown {
            let _ = io::stderr().write_all(b"\r\x1b[K");
        }
    }
}

/// A connection whose kind nobody needs to know any more.
fn connect(target: &Target) -> Result<TcpStream, Failure> {
    match target {
        Target::Tcp { host, port } => Ok(Client::connect(host, *port, CONNECT_TIMEOUT)?.into_stream()),
        Target::Unix(path) => match UnixStream::connect(path) {
            Ok(stream) => Ok(TcpStream::from(OwnedFd::from(stream))),
            Err(error) => Err(Failure::Message(format!("cannot connect to {path}: {}", reason(&error)))),
        },
    }
}

/// All nodes of the cluster of memento that this one belongs to.
fn nodes_of(target: &Target) -> Result<Vec<Target>, Failure> {
    let Target::Tcp { host, port } = target else {
        return Err(Failure::Message("--cluster wants HOST and PORT of a node, not a Unix socket".to_string()));
    };
    let mut client = Client::connect(host, *port, CONNECT_TIMEOUT)?;
    client.set_reply_timeout(Some(REPLY_TIMEOUT))?;
    let answer = client.ask(b"CLUSTER NODES")?;
    let nodes = nodes_in(&String::from_utf8_lossy(answer));
    if nodes.is_empty() {
        let shown = answer[..answer.len().min(128)].escape_ascii();
        return Err(Failure::Message(format!("{} names no nodes of a cluster: '{shown}'", target.text())));
    }
    Ok(nodes)
}

/// The nodes in the answer to CLUSTER NODES: `id address:port@bus flags ...` a line.
fn nodes_in(text: &str) -> Vec<Target> {
    let node = |line: &str| {
        let (host, port) = line.split(' ').nth(1)?.split('@').next()?.rsplit_once(':')?;
        Some(Target::Tcp { host: host.to_string(), port: port.parse().ok()? })
    };
    text.lines().filter_map(node).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_of_a_cluster() {
        let text = "07c3 127.0.0.1:7000@7100,node0 myself,master - 0 0 0 connected 0-8191\n\
                    67ed ::1:7001@7101 master - 0 0 0 connected 8192-16383\n\n";
        let found: Vec<String> = nodes_in(text).iter().map(Target::text).collect();
        assert_eq!(found, ["127.0.0.1:7000", "[::1]:7001"]);
        assert_eq!(nodes_in("(error) ERR This instance has cluster support disabled"), []);
    }
}
