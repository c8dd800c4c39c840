//! Loads: which servers are asked, from how many threads, in which turns, and what is told meanwhile.

use std::io::Write;
use std::sync::atomic::Ordering;

use super::engine::{Found, Shared, Task, Worker};
use super::keys::{Chooser, Keys};
use super::options::{Form, Part, Settings};
use super::random::{Random, mix};
use super::report::{self, Row};
use super::schedule::Schedule;
use super::template::{Draw, Values};
use super::text::Text;
use super::threads::{Job, WATCH_TIME, together};
use super::{Failure, REPLY_TIMEOUT, connect, rate, show};
use crate::client::resp::Deadline;
use crate::client::{Target, node_address, parse_port};
use crate::sys::clock::monotonic_ns;
use crate::sys::resource::raise_descriptors;
use crate::sys::stdio::ERRORS;

/// With two servers each part is cut in so many, which they are sent in turns: what else the machine does meets both.
const TURNS: u64 = 5;

/// Descriptors besides those of connections, generously.
const DESCRIPTORS_BESIDES: u64 = 64;

/// Nanoseconds in a millionth of a second.
const NS_EACH: u64 = 1000;

/// Makes the load and writes figures as they come.
///
/// # Errors
/// At the first reply that is wrong or late, or when a connection breaks.
#[inline(never)]
pub(super) fn run(settings: &Settings, output: &mut dyn Write) -> Result<(), Failure> {
    // Where they are still too few, the connection that finds none says so.
    let _ = raise_descriptors(settings.connections + settings.threads * 2 + DESCRIPTORS_BESIDES);
    let mut servers = Vec::new();
    for target in &settings.targets {
        let mut server = Server { name: target.text(), nodes: vec![target.clone()] };
        if settings.cluster {
            server.nodes = nodes_of(target, settings.password.as_deref())?;
        }
        servers.push(server);
    }
    let values = Values::new(settings.value_bytes.0, settings.value_bytes.1);
    show(output, &report::head(settings))?;
    let mut is_first = true;
    for part in &settings.parts {
        let rows = measure(settings, part, &servers, &values)?;
        for place in 0..rows[0].len() {
            let pair: Vec<&Row> = rows.iter().map(|rows| &rows[place]).collect();
            show(output, &report::figures(settings, &pair, is_first))?;
            is_first = false;
        }
    }
    show(output, report::foot(settings))
}

/// A server, with all its nodes where they are asked for.
struct Server {
    name: String,
    nodes: Vec<Target>,
}

/// A part at all servers. Gives the rows of each server: one for the whole part, and where it has several kinds of
/// requests, one for each of them.
#[inline(never)]
fn measure<'a>(
    settings: &'a Settings,
    part: &'a Part,
    servers: &'a [Server],
    values: &Values,
) -> Result<Vec<Vec<Row<'a>>>, Failure> {
    let mut all = Vec::new();
    for Server { name: server, .. } in servers {
        let mut rows = vec![Row { test: part.name, server, elapsed_ns: 0, found: Found::new() }];
        if part.shares.len() > 1 {
            for share in &part.shares {
                rows.push(Row { test: share.name, server, elapsed_ns: 0, found: Found::new() });
            }
        }
        all.push(rows);
    }
    let turns = if servers.len() > 1 && !part.is_fill { TURNS } else { 1 };
    for turn in 0..turns {
        for (server, rows) in servers.iter().zip(&mut all) {
            take_turn(settings, part, server, values, (turn, turns), rows)?;
        }
    }
    Ok(all)
}

/// The share of number `number` where `of` divide all evenly between them.
fn share_of(all: u64, number: u64, of: u64) -> u64 {
    all / of + u64::from(number < all % of)
}

/// One turn of a part at one server: what was found is added to its rows.
#[inline(never)]
fn take_turn(
    settings: &Settings,
    part: &Part,
    server: &Server,
    values: &Values,
    (turn, turns): (u64, u64),
    rows: &mut [Row],
) -> Result<(), Failure> {
    let threads = settings.threads;
    let (mut requests, mut seconds, mut warmup_ns) =
        (settings.requests, settings.seconds, settings.warmup * NS_EACH / turns);
    let (mut keys, mut rate) = (settings.keys, settings.rate);
    if part.is_fill {
        (requests, seconds, warmup_ns) = (Some(settings.key_space), None, 0);
        (keys, rate) = (Keys::Sequential, None);
    }
    let shared = Shared::default();
    // All are connected before the time starts.
    let mut connected = Vec::new();
    for number in 0..settings.connections {
        let node = &server.nodes[number as usize % server.nodes.len()];
        connected.push(connect(node, settings.password.as_deref())?.into_socket().0);
    }
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
            requests: requests.map(|requests| share_of(share_of(requests, turn, turns), number, threads)),
            schedule: rate.map(|rate| Schedule::new(rate, number, threads)),
            counted_from_ns: warmup_ns,
            end_ns: seconds.map_or(u64::MAX, |seconds| warmup_ns + seconds * NS_EACH / turns),
            shared: &shared,
            server: &server.name,
        };
        let sockets = connected.split_off(connected.len() - share_of(settings.connections, number, threads) as usize);
        workers.push(Worker::new(task, sockets)?);
    }
    let start_ns = monotonic_ns();
    for worker in &mut workers {
        worker.start_ns = start_ns;
    }
    let shows_progress = !settings.quiet && settings.form == Form::Text && ERRORS.is_terminal();
    let mut progress = Progress { name: part.name, start_ns, last: (start_ns, 0, 0), is_shown: false };
    let mut jobs = workers.iter_mut().map(|worker| -> &mut dyn Job { worker });
    let result = together(&mut jobs, &mut || {
        if shows_progress {
            progress.tell(&shared);
        }
    });
    progress.clear();
    result?;
    let mut last_ns = 0;
    for worker in &workers {
        last_ns = last_ns.max(worker.last_reply_ns);
        for (number, found) in worker.found.iter().enumerate() {
            rows[0].found.merge(found);
            if worker.found.len() > 1 {
                rows[number + 1].found.merge(found);
            }
        }
    }
    for row in rows {
        row.elapsed_ns += last_ns.saturating_sub(warmup_ns);
    }
    Ok(())
}

/// The line that is written over again on a terminal.
struct Progress<'a> {
    name: &'a str,
    start_ns: u64,
    /// When it was written last, and what was counted until then.
    last: (u64, u64, u64),
    is_shown: bool,
}

impl Progress<'_> {
    fn tell(&mut self, shared: &Shared) {
        let (before, answered_before, sum_before) = self.last;
        let now = monotonic_ns();
        if now - before < WATCH_TIME.as_nanos() as u64 {
            return;
        }
        let (answered, sum_ns) = (shared.answered.load(Ordering::Relaxed), shared.sum_ns.load(Ordering::Relaxed));
        let count = answered - answered_before;
        let mut line = Text::default();
        line.add("\r\x1b[K [")
            .add(&self.name.to_ascii_uppercase())
            .add("] ")
            .number((now - self.start_ns) / 1_000_000_000);
        line.add(" s  Op/s: ").fixed(rate(count, now - before), 0);
        line.add("  mean: ").fixed((sum_ns - sum_before) as f64 / 1000.0 / count.max(1) as f64, 1).add(" us");
        tell(&line.0);
        self.last = (now, answered, sum_ns);
        self.is_shown = true;
    }

    fn clear(&mut self) {
        if self.is_shown {
            tell("\r\x1b[K");
        }
    }
}

/// Writes to the terminal. Nobody misses it where it cannot be written.
fn tell(text: &str) {
    let mut errors = ERRORS;
    let _ = errors.write_all(text.as_bytes());
}

/// All nodes of the cluster of memento that this one belongs to.
#[inline(never)]
fn nodes_of(target: &Target, password: Option<&[u8]>) -> Result<Vec<Target>, Failure> {
    if target.port.is_none() {
        return Err(Failure::Message("--cluster wants HOST and PORT of a node, not a Unix socket".to_string()));
    }
    let mut client = connect(target, password)?;
    let answer = client.call(&[b"CLUSTER", b"NODES"], Deadline::after(REPLY_TIMEOUT))?.bytes();
    let nodes = nodes_in(std::str::from_utf8(answer).unwrap_or_default());
    if nodes.is_empty() {
        let mut text = Text::default();
        text.add(&target.text()).add(" names no nodes of a cluster: '").escaped(answer).add("'");
        return Err(Failure::Message(text.0));
    }
    Ok(nodes)
}

/// The nodes in the answer to CLUSTER NODES.
fn nodes_in(text: &str) -> Vec<Target> {
    let mut nodes = Vec::new();
    for line in text.lines() {
        if let Some((host, port)) = node_address(line)
            && let Ok(port) = parse_port(port)
        {
            nodes.push(Target { name: host.to_string(), port: Some(port) });
        }
    }
    nodes
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
