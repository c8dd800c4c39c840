//! Looks at a server again and again: `--stat` prints figures, `--latency` times a PING.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use super::options::Request;
use super::{Failure, print};
use crate::client::reply::Kind;
use crate::client::resp::{Deadline, RespClient};

const SECOND: Duration = Duration::from_secs(1);

/// No look takes longer on a server that is well.
const PATIENCE: Duration = Duration::from_secs(10);

/// The head of a table is printed again after so many lines.
const PAGE: u64 = 20;

/// A PING is sent so often.
const PING_INTERVAL: Duration = Duration::from_millis(10);

/// What INFO says.
pub(super) struct Info(String);

impl Info {
    /// # Errors
    /// When the server does not answer.
    pub(super) fn ask(client: &mut RespClient, patience: Duration) -> io::Result<Info> {
        let view = client.call(&[b"INFO"], Deadline::after(patience))?;
        if view.kind() == Kind::Error {
            return Err(io::Error::other(super::show::escaped(view.bytes())));
        }
        Ok(Info(String::from_utf8_lossy(view.bytes()).into_owned()))
    }

    /// The value of a field.
    pub(super) fn text(&self, field: &str) -> &str {
        let values = self.0.lines().filter_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        values.map(str::trim_end).next().unwrap_or("")
    }

    pub(super) fn number(&self, field: &str) -> u64 {
        self.text(field).parse().unwrap_or(0)
    }

    /// How many keys there are: of `db0:keys=5,expires=0`.
    pub(super) fn keys(&self) -> u64 {
        let keys = self.text("db0").strip_prefix("keys=").and_then(|text| text.split(',').next());
        keys.and_then(|keys| keys.parse().ok()).unwrap_or(0)
    }
}

/// An amount in three digits or so.
pub(super) fn short(number: u64) -> String {
    let mut value = number as f64;
    let mut units = ["", "k", "M", "G", "T"].iter();
    let mut unit = units.next().unwrap_or(&"");
    while value >= 9999.5 {
        let Some(next) = units.next() else { break };
        (value, unit) = (value / 1000.0, next);
    }
    if unit.is_empty() || value >= 99.5 { format!("{value:.0}{unit}") } else { format!("{value:.1}{unit}") }
}

/// # Errors
/// When the connection breaks or nobody reads.
pub(super) fn stat(request: &Request) -> Result<(), Failure> {
    let mut client = request.target.connect()?;
    let mut left = if request.repeat_given { request.repeat } else { None };
    let mut before: Option<(u64, u64, Instant)> = None;
    let mut line = 0;
    while left != Some(0) {
        let info = Info::ask(&mut client, PATIENCE)?;
        let now = Instant::now();
        let (commands, hits) = (info.number("total_commands_processed"), info.number("keyspace_hits"));
        let rate = |count: u64, at: fn(&(u64, u64, Instant)) -> u64| {
            before.as_ref().map_or(0.0, |last| {
                count.saturating_sub(at(last)) as f64 / now.duration_since(last.2).as_secs_f64().max(0.001)
            })
        };
        if line % PAGE == 0 {
            print(b"      keys    memory  clients    requests     per s   hits/s   expired   evicted\n")?;
        }
        let text = format!(
            "{:>10} {:>9} {:>8} {:>11} {:>9.0} {:>8.0} {:>9} {:>9}\n",
            info.keys(),
            short(info.number("used_memory")),
            info.number("connected_clients"),
            commands,
            rate(commands, |last| last.0),
            rate(hits, |last| last.1),
            info.number("expired_keys"),
            info.number("evicted_keys"),
        );
        print(text.as_bytes())?;
        before = Some((commands, hits, now));
        line += 1;
        left = left.map(|left| left - 1);
        if left != Some(0) {
            std::thread::sleep(request.interval.unwrap_or(SECOND));
        }
    }
    Ok(())
}

/// On a terminal one line that changes, until Ctrl-C; elsewhere a line for each interval, one where nothing is said.
///
/// # Errors
/// When the connection breaks or nobody reads.
pub(super) fn latency(request: &Request) -> Result<(), Failure> {
    let mut client = request.target.connect()?;
    let is_terminal = io::stdout().is_terminal();
    let mut left = if is_terminal && !request.repeat_given { None } else { request.repeat };
    let interval = request.interval.unwrap_or(SECOND);
    let mut times: Vec<u32> = Vec::new();
    while left != Some(0) {
        let start = Instant::now();
        // With a line for each interval, it tells of this one.
        if !is_terminal {
            times.clear();
        }
        loop {
            let asked = Instant::now();
            let reply = client.call(&[b"PING"], Deadline::after(PATIENCE))?;
            if reply.kind() == Kind::Error {
                return Err(Failure::Message(super::show::escaped(reply.bytes())));
            }
            let time = u32::try_from(asked.elapsed().as_micros()).unwrap_or(u32::MAX);
            let place = times.partition_point(|&other| other < time);
            times.insert(place, time);
            // So long a memory is enough for a person, and the list is put in order at each.
            if times.len() > 10_000 {
                times.remove(times.len() / 2);
            }
            if start.elapsed() + PING_INTERVAL >= interval {
                break;
            }
            std::thread::sleep(PING_INTERVAL);
        }
        let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
        let mean = times.iter().map(|&time| f64::from(time)).sum::<f64>() / times.len() as f64;
        let (least, half, most) = (at(0.0), at(0.5), at(1.0));
        let text = format!(
            "PING in µs: least {least}, median {half}, mean {mean:.0}, 99 % {}, most {most}, of {}",
            at(0.99),
            times.len()
        );
        print(if is_terminal { format!("\r{text}\x1b[K") } else { format!("{text}\n") }.as_bytes())?;
        left = left.map(|left| left - 1);
    }
    if is_terminal { print(b"\n") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_is_read_by_fields() {
        let info = Info("# Server\r\nused_memory:123\r\nused_memory_human:1K\r\ndb0:keys=7,expires=1\r\n".to_string());
        assert_eq!((info.number("used_memory"), info.text("used_memory_human"), info.keys()), (123, "1K", 7));
        assert_eq!((info.number("nothing"), Info(String::new()).keys()), (0, 0));
    }

    #[test]
    fn amounts_are_short() {
        for (number, wanted) in
            [(0, "0"), (9999, "9999"), (10_000, "10.0k"), (123_456, "123k"), (99_400, "99.4k"), (12_345_678, "12.3M")]
        {
            assert_eq!(short(number), wanted);
        }
        assert!(short(u64::MAX).ends_with('T'));
    }
}
