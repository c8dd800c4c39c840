//! Looks at a server again and again: `--stat` prints figures, `--latency` times a PING.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use super::options::Request;
use super::{Failure, print, say};
use crate::client::reply::Kind;
use crate::client::resp::{Deadline, RespClient};
use crate::stats::{Fixed, Histogram};

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
    const UNITS: [char; 4] = ['k', 'M', 'G', 'T'];
    if number < 10_000 {
        return number.to_string();
    }
    let (mut scale, mut unit) = (1000, 0);
    while number / scale >= 10_000 && unit + 1 < UNITS.len() {
        (scale, unit) = (scale * 1000, unit + 1);
    }
    let tenths = number.saturating_add(scale / 20) / (scale / 10);
    let unit = UNITS[unit];
    if tenths < 995 {
        return format!("{}{unit}", Fixed::<1>(tenths));
    }
    format!("{}{unit}", number.saturating_add(scale / 2) / scale)
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
        let (commands_before, hits_before, at) = before.unwrap_or((commands, hits, now));
        let ms = (now.duration_since(at).as_millis() as u64).max(1);
        let rate = |count: u64, before: u64| count.saturating_sub(before).saturating_mul(1000) / ms;
        if line % PAGE == 0 {
            print(b"      keys    memory  clients    requests     per s   hits/s   expired   evicted\n")?;
        }
        let text = format!(
            "{:>10} {:>9} {:>8} {:>11} {:>9} {:>8} {:>9} {:>9}\n",
            info.keys(),
            short(info.number("used_memory")),
            info.number("connected_clients"),
            commands,
            rate(commands, commands_before),
            rate(hits, hits_before),
            info.number("expired_keys"),
            info.number("evicted_keys"),
        );
        say(text)?;
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
    let (mut times, mut sum, mut least, mut most) = (Histogram::default(), 0_u64, u64::MAX, 0_u64);
    while left != Some(0) {
        let start = Instant::now();
        // With a line for each interval, it tells of this one.
        if !is_terminal {
            (times, sum, least, most) = (Histogram::default(), 0, u64::MAX, 0);
        }
        loop {
            let asked = Instant::now();
            let reply = client.call(&[b"PING"], Deadline::after(PATIENCE))?;
            if reply.kind() == Kind::Error {
                return Err(Failure::message(super::show::escaped(reply.bytes())));
            }
            let ns = asked.elapsed().as_nanos() as u64;
            times.record(ns);
            (sum, least, most) = (sum + ns, least.min(ns), most.max(ns));
            if start.elapsed() + PING_INTERVAL >= interval {
                break;
            }
            std::thread::sleep(PING_INTERVAL);
        }
        // A part of a hundred is told at most a 64th too long.
        let at = |percent: f64| times.percentile(percent).clamp(least, most) / 1000;
        let text = format!(
            "PING in µs: least {}, median {}, mean {}, 99 % {}, most {}, of {}",
            least / 1000,
            at(50.0),
            sum / times.count() / 1000,
            at(99.0),
            most / 1000,
            times.count()
        );
        say(if is_terminal { format!("\r{text}\x1b[K") } else { text + "\n" })?;
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
        assert_eq!((short(99_960), short(u64::MAX)), ("100k".to_string(), "18446744T".to_string()));
    }
}
