//! One line per event on standard output: `[INF][2026-11-22 08-31-48] - text`.
//!
//! A line is written only if standard output takes it at once; else it is dropped and counted, since a log that
//! nobody reads must not stop the server.

use crate::limits::LOG_LINE_BYTES_MAX;
use crate::sys::{clock, stdout};
use std::fmt::{Arguments, Write};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For whom searches a fault; shown with `--verbose`.
    Debug,
    /// What happens in the normal course.
    Info,
    /// What the operator should look at.
    Warn,
    /// What failed.
    Error,
}

/// The least level that is shown.
static LEAST: AtomicU8 = AtomicU8::new(Level::Info as u8);
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Shows lines of this level and those that matter more.
pub fn set_least(level: Level) {
    LEAST.store(level as u8, Relaxed);
}

/// How many lines were dropped because standard output did not take them.
pub fn dropped() -> u64 {
    DROPPED.load(Relaxed)
}

/// Writes one line: `log::write(Level::Info, format_args!("..."))`.
pub fn write(level: Level, text: Arguments<'_>) {
    if (level as u8) < LEAST.load(Relaxed) {
        return;
    }
    if !stdout::write_now(&line(level, clock::local_time(), text)) {
        DROPPED.fetch_add(1, Relaxed);
    }
}

/// The line's bytes. Control characters become `?`: what a client sent must not forge a line or paint a terminal.
fn line(level: Level, at: clock::LocalTime, text: Arguments<'_>) -> Vec<u8> {
    let name = match level {
        Level::Debug => "DBG",
        Level::Info => "INF",
        Level::Warn => "WRN",
        Level::Error => "ERR",
    };
    let mut line = String::with_capacity(128);
    // Writing into a String cannot fail.
    let _ = write!(
        line,
        "[{name}][{:04}-{:02}-{:02} {:02}-{:02}-{:02}] - {text}",
        at.year, at.month, at.day, at.hour, at.minute, at.second
    );
    let mut bytes = line.into_bytes();
    bytes.truncate(LOG_LINE_BYTES_MAX - 1);
    bytes.iter_mut().filter(|byte| byte.is_ascii_control()).for_each(|byte| *byte = b'?');
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_level_time_and_text_and_no_control_characters() {
        let at = clock::LocalTime { year: 2026, month: 11, day: 2, hour: 8, minute: 31, second: 5 };
        let got = line(Level::Warn, at, format_args!("a\nb\x1b[1m"));
        assert_eq!(got, b"[WRN][2026-11-02 08-31-05] - a?b?[1m\n");
    }

    #[test]
    fn a_long_line_is_cut() {
        let got = line(Level::Info, clock::LocalTime::default(), format_args!("{}", "x".repeat(10_000)));
        assert_eq!((got.len(), got.last()), (LOG_LINE_BYTES_MAX, Some(&b'\n')));
    }
}
