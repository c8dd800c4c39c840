//! Looks at a server again and again: `--stat` prints figures, `--latency` times a PING.

use std::time::Duration;

use super::options::{FOR_EVER, Request};
use super::talk::ask;
use super::{Failure, print, say};
use crate::client::resp::RespClient;
use crate::stats::{Fixed, Histogram};
use crate::sys::clock::monotonic_ns;
use crate::sys::stdio::OUTPUT;

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
    pub(super) fn ask(client: &mut RespClient, patience: Duration) -> Result<Info, Failure> {
        let view = ask(client, &[b"INFO"], patience)?;
        Ok(Info(String::from_utf8_lossy(view.bytes()).into_owned()))
    }

    /// The value of a field.
    #[inline(never)]
    pub(super) fn text(&self, field: &str) -> &str {
        let mut values = self.0.lines().filter_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        values.next().unwrap_or("")
    }

    #[inline(never)]
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
    let (mut line, mut before) = (0, (0, 0, 0));
    request.repeat(FOR_EVER, Some(request.interval.unwrap_or(SECOND)), &mut || {
        let info = Info::ask(&mut client, PATIENCE)?;
        let now = (info.number("total_commands_processed"), info.number("keyspace_hits"), monotonic_ns());
        if line == 0 {
            before = now;
        }
        let ms = ((now.2 - before.2) / 1_000_000).max(1);
        let rate = |count: u64, before: u64| count.saturating_sub(before).saturating_mul(1000) / ms;
        if line % PAGE == 0 {
            print(b"      keys    memory  clients    requests     per s   hits/s   expired   evicted\n")?;
        }
        say(format_args!(
            "{:>10} {:>9} {:>8} {:>11} {:>9} {:>8} {:>9} {:>9}\n",
            info.keys(),
            short(info.number("used_memory")),
            info.number("connected_clients"),
            now.0,
            rate(now.0, before.0),
            rate(now.1, before.1),
            info.number("expired_keys"),
            info.number("evicted_keys"),
        ))?;
        before = now;
        line += 1;
        Ok(())
    })
}

/// How long answers took, in nanoseconds.
struct Times {
    parts: Histogram,
    sum: u64,
    least: u64,
    most: u64,
}

/// On a terminal one line that changes, until Ctrl-C; elsewhere a line for each interval, one where nothing is said.
///
/// # Errors
/// When the connection breaks or nobody reads.
pub(super) fn latency(request: &Request) -> Result<(), Failure> {
    let mut client = request.target.connect()?;
    let is_terminal = OUTPUT.is_terminal();
    let interval = request.interval.unwrap_or(SECOND);
    let none = || Times { parts: Histogram::default(), sum: 0, least: u64::MAX, most: 0 };
    let mut times = none();
    request.repeat(if is_terminal { FOR_EVER } else { 1 }, None, &mut || {
        // With a line for each interval, it tells of this one.
        if !is_terminal {
            times = none();
        }
        let start = monotonic_ns();
        loop {
            let asked = monotonic_ns();
            ask(&mut client, &[b"PING"], PATIENCE)?;
            let now = monotonic_ns();
            let ns = now - asked;
            times.parts.record(ns);
            (times.sum, times.least, times.most) = (times.sum + ns, times.least.min(ns), times.most.max(ns));
            if Duration::from_nanos(now - start) + PING_INTERVAL >= interval {
                break;
            }
            std::thread::sleep(PING_INTERVAL);
        }
        let Times { parts, sum, least, most } = &times;
        // A part of a hundred is told at most a 64th too long.
        let at = |percent: f64| parts.percentile(percent).clamp(*least, *most) / 1000;
        let (begin, end) = if is_terminal { ("\r", "\x1b[K") } else { ("", "\n") };
        say(format_args!(
            "{begin}PING in µs: least {}, median {}, mean {}, 99 % {}, most {}, of {}{end}",
            least / 1000,
            at(50.0),
            sum / parts.count() / 1000,
            at(99.0),
            most / 1000,
            parts.count()
        ))
    })?;
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
