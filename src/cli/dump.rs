//! `--dump` and `--restore`: all keys with their values and ends, into a file and from it.
//! [`blocks`] tells of the file.

mod blocks;

use super::keys::{Scan, keys, lengths};
use super::options::Request;
use super::show::{date, escaped};
use super::talk::ask;
use super::watch::Info;
use super::{Failure, complain, failed, read_file, say, tell};
use crate::client::CONNECT_TIMEOUT;
use crate::client::reply::{Kind, View};
use crate::client::resp::{Deadline, RespClient, write_command};
use crate::sys::clock::{monotonic_ns, wall_ms};
use crate::sys::files;
use crate::sys::stdio::ERRORS;
use blocks::{Blocks, Entry, HEAD, crc32, put_entry, take_entry};

/// Values are asked for, and set, so many bytes at a time; a longer one alone.
const STEP_BYTES: i64 = 4 << 20;

/// So many errors are shown.
const SHOWN_MAX: u64 = 10;

pub(super) fn now_ms() -> u64 {
    wall_ms().max(0) as u64
}

/// How far it is, is told so often.
pub(super) const PAUSE_NS: u64 = 200_000_000;

/// How far it is, told now and then on a terminal.
#[derive(Default)]
struct Progress {
    /// Nothing before the first time.
    told_ns: u64,
}

impl Progress {
    #[inline(never)]
    fn tell(&mut self, done: u64, all: u64, keys: u64) {
        const CELLS: usize = 30;
        if monotonic_ns() - self.told_ns < PAUSE_NS || !ERRORS.is_terminal() {
            return;
        }
        self.told_ns = monotonic_ns();
        let percent = (done.min(all) * 100).checked_div(all).unwrap_or(100);
        let cells = percent as usize * CELLS / 100;
        tell(format_args!("[{:#<cells$}{:.<rest$}] {percent:>3} %  {keys} keys ", "", "", rest = CELLS - cells));
    }
}

/// A dump being written.
struct Dump<'a> {
    file: Blocks<'a>,
    path: &'a str,
    /// Entries in the file.
    count: u64,
    /// Keys that hold no strings, of another server.
    others: u64,
    /// The server is memento, which has a command that tells a key's value and end.
    has_getp: bool,
}

/// What asks for a key's value and end: each command, and how many words it has with the key.
const GETP: &[(&[u8], usize)] = &[(b"GETP", 2)];
const TRANSACTION: &[(&[u8], usize)] = &[(b"MULTI", 1), (b"GET", 2), (b"PEXPIRETIME", 2), (b"EXEC", 1)];

/// A key's value and end, as the answer to GETP or to EXEC has them; nothing where it has ended. The error is what the
/// server says instead.
fn value_and_end(view: View<'_>) -> Result<Option<(&[u8], u64)>, &[u8]> {
    const GETP_VALUES: usize = 8;
    let mut children = view.children();
    // GETP has four fields, each behind its name.
    let skip = if view.len() == GETP_VALUES { 3 } else { 0 };
    match (children.nth(skip), children.nth(skip)) {
        (Some(value), Some(ends)) if matches!(value.kind(), Kind::Bulk | Kind::Simple) => match ends.integer() {
            Some(ends) if ends >= -1 => Ok(Some((value.bytes(), u64::try_from(ends).unwrap_or(0)))),
            _ => Err(ends.bytes()),
        },
        (Some(value), _) if value.kind() == Kind::Null => Ok(None),
        (Some(value), _) => Err(value.bytes()),
        _ if view.kind() == Kind::Null => Ok(None),
        _ => Err(view.bytes()),
    }
}

impl Dump<'_> {
    /// Begins a file, or goes on with one that was begun `from` the same; gives the cursor to go on from.
    #[inline(never)]
    fn begin(&mut self, from: &str) -> Result<u64, Failure> {
        let path = self.path;
        if self.file.length == 0 {
            self.file.write(format!("{HEAD}{} {from}\n", now_ms()).as_bytes())?;
            return Ok(0);
        }
        let (begun, begun_from) = self.file.id.split_once(' ').unwrap_or_default();
        let begun = date(begun.parse().unwrap_or(0));
        if begun_from != from {
            return Err(Failure::message(format_args!(
                "'{path}' was begun on {begun} with another server, another start of it, or another --pattern; \
                 give the name of a new file"
            )));
        }
        let mut cursor = 0;
        while let Some(block) = self.file.next()? {
            if block.letter == b'E' {
                return Err(Failure::message(format_args!("'{path}' is a whole dump already")));
            }
            cursor = block.number;
            let mut entries = block.entries();
            while take_entry(&mut entries).is_some() {
                self.count += 1;
            }
        }
        self.file.cut()?;
        complain(format_args!("'{path}' was begun on {begun} and has {} keys, going on", self.count));
        Ok(cursor)
    }

    /// Asks for some keys' values and ends, and writes a block of them.
    #[inline(never)]
    fn take(&mut self, client: &mut RespClient, keys: &[&[u8]], cursor: u64) -> Result<(), Failure> {
        // Value and end must be of one moment: between two requests the key may be set anew.
        let asked = if self.has_getp { GETP } else { TRANSACTION };
        let mut commands = Vec::new();
        for key in keys {
            for &(name, count) in asked {
                write_command(&mut commands, [name, *key][..count].iter().copied());
            }
        }
        let mut payload = cursor.to_le_bytes().to_vec();
        let (mut place, mut count, mut others, mut wrong) = (0, 0, 0, None);
        client.exchange(&commands, keys.len() * asked.len(), Deadline::NEVER, &mut |view: View<'_>| {
            place += 1;
            if place % asked.len() > 0 && view.kind() != Kind::Error {
                return;
            }
            match value_and_end(view) {
                Ok(Some((value, ends_ms))) => {
                    put_entry(&mut payload, &Entry { key: keys[place / asked.len() - 1], value, ends_ms });
                    count += 1;
                }
                Ok(None) => {}
                Err(what) if what.starts_with(b"WRONGTYPE") => others += 1,
                Err(what) if wrong.is_none() => wrong = Some(escaped(what)),
                Err(_) => {}
            }
        })?;
        if let Some(what) = wrong {
            return Err(Failure::message(format_args!(
                "'{}' is not whole, and can be gone on with: {what}",
                self.path
            )));
        }
        self.count += count;
        self.others += others;
        self.file.put(b'K', &payload)
    }
}

/// Writes all keys, those that fit the pattern, into a file; one that is not whole is gone on with.
///
/// # Errors
/// Those of the file and the connection; the file can then be gone on with.
pub(super) fn dump(request: &Request) -> Result<(), Failure> {
    let (mut client, path) = (request.target.connect()?, &*request.path);
    let all = ask(&mut client, &[b"DBSIZE"], CONNECT_TIMEOUT)?.integer().unwrap_or(0);
    let info = Info::ask(&mut client, CONNECT_TIMEOUT)?;
    let from = format!("{} {}", info.text("run_id"), crc32(request.pattern().as_bytes()));
    let has_getp = !info.text("memento_version").is_empty();
    let mut dump = Dump { file: Blocks::open(path, true)?, path, count: 0, others: 0, has_getp };
    let mut scan = Scan::new(request);
    scan.cursor = dump.begin(&from)?;
    let mut progress = Progress::default();
    let mut cursor = scan.cursor;
    while let Some(step) = scan.next(&mut client)? {
        let keys = keys(&step);
        let lengths = lengths(&mut client, &keys)?;
        let mut start = 0;
        while start < keys.len() {
            let (mut end, mut bytes) = (start, 0);
            while end < keys.len() && (end == start || bytes + lengths[end] <= STEP_BYTES) {
                bytes += lengths[end].max(0);
                end += 1;
            }
            // Only after the last block of a step may the next one be begun with.
            dump.take(&mut client, &keys[start..end], if end == keys.len() { scan.cursor } else { cursor })?;
            start = end;
            progress.tell(dump.count, all.max(0) as u64, dump.count);
        }
        cursor = scan.cursor;
    }
    let count = dump.count;
    dump.file.put(b'E', &count.to_le_bytes())?;
    dump.file.end()?;
    tell(format_args!(""));
    if dump.others > 0 {
        complain(format_args!("left out, since they hold no strings: {}", dump.others));
    }
    say(format_args!("keys: {count}\n"))
}

/// A dump being set.
#[derive(Default)]
struct Restored {
    /// Entries of the file that are done: keys set, keys that had ended, or errors.
    entries: u64,
    set: u64,
    ended: u64,
    errors: u64,
}

impl Restored {
    /// Goes on where a note says, when it is of this file and this server: how far it was, and what was done before.
    #[inline(never)]
    fn go_on(&mut self, note: &str, whose: &str, blocks: &mut Blocks<'_>) -> Option<()> {
        let text = read_file(note.as_ref()).ok()?;
        let mut words = str::from_utf8(text.strip_prefix(whose.as_bytes())?).ok()?.split(' ');
        let mut numbers = [0; 4];
        for number in &mut numbers {
            *number = words.next()?.parse().ok()?;
        }
        let [at, entries, set, ended] = numbers;
        if at > blocks.at && at <= blocks.length {
            blocks.at = at;
            *self = Restored { entries, set, ended, errors: 0 };
            complain(format_args!("going on at byte {at} of '{}'", blocks.path));
        }
        Some(())
    }

    /// Sets the keys of a block.
    #[inline(never)]
    fn set(&mut self, client: &mut RespClient, blocks: &Blocks<'_>, mut left: &[u8]) -> Result<(), Failure> {
        let (mut commands, mut count, now) = (Vec::new(), 0, now_ms());
        while !left.is_empty() {
            let Some(entry) = take_entry(&mut left) else { return Err(blocks.wrong("a block is not whole")) };
            let ends = entry.ends_ms.to_string();
            let words = [b"SET", entry.key, entry.value, b"PXAT", ends.as_bytes()];
            let gone = [b"DEL", entry.key];
            let words = match entry.ends_ms {
                0 => &words[..3],
                // An entry of the same key before this one must not outlive it.
                ends_ms if ends_ms <= now => &gone[..],
                _ => &words[..],
            };
            write_command(&mut commands, words.iter().copied());
            count += 1;
        }
        self.entries += count as u64;
        client.exchange(&commands, count, Deadline::NEVER, &mut |view: View<'_>| match view.kind() {
            Kind::Error => {
                self.errors += 1;
                if self.errors <= SHOWN_MAX {
                    complain(format_args!("{}", escaped(view.bytes())));
                }
            }
            // How many DEL has deleted.
            Kind::Integer => self.ended += 1,
            _ => self.set += 1,
        })?;
        Ok(())
    }
}

/// Sets all keys of a file, and deletes those whose end has passed.
///
/// # Errors
/// Those of the file and the connection; it then goes on there the next time. When an answer was an error.
pub(super) fn restore(request: &Request) -> Result<(), Failure> {
    let (mut client, path) = (request.target.connect()?, &*request.path);
    let mut blocks = Blocks::open(path, false)?;
    // Where it is noted how far it is, so that one that was cut off goes on there.
    let note = format!("{path}.restored");
    let info = Info::ask(&mut client, CONNECT_TIMEOUT)?;
    let whose = format!("{} {} {}:", blocks.id, info.text("run_id"), client.address());
    let (mut done, mut whole, mut progress) = (Restored::default(), false, Progress::default());
    done.go_on(&note, &whose, &mut blocks);
    while let Some(block) = blocks.next()? {
        if block.letter == b'E' {
            whole = block.number == done.entries;
            break;
        }
        done.set(&mut client, &blocks, block.entries())?;
        let Restored { entries, set, ended, errors } = done;
        if errors > 0 {
            continue;
        }
        // Without the note it is begun anew the next time, which does no harm but takes longer.
        let text = format!("{whose}{} {entries} {set} {ended}", blocks.at);
        let _ = files::write(note.as_ref(), text.as_bytes());
        progress.tell(blocks.at, blocks.length, set);
    }
    tell(format_args!(""));
    let Restored { set, ended, errors, .. } = done;
    if !whole {
        complain(format_args!("'{path}' is not whole: what is missing was not dumped"));
    }
    if errors == 0 && whole {
        let _ = files::remove(note.as_ref());
    }
    say(format_args!("keys: {set}, ended meanwhile: {ended}, errors: {errors}\n"))?;
    failed(errors > 0 || !whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_told_from_none_and_from_an_error() {
        let getp = b"%4\r\n+key\r\n$1\r\nk\r\n+value\r\n$2\r\nv\n\r\n+creation_time\r\n:5\r\n+expire_time\r\n:9\r\n";
        for (wire, wanted) in [
            (&getp[..], "v\\n ends 9"),
            (b"*2\r\n$1\r\nv\r\n:-1\r\n", "v ends 0"),
            (b"*2\r\n$-1\r\n:-2\r\n", "none"),
            (b"_\r\n", "none"),
            (b"*2\r\n-WRONGTYPE no\r\n:-1\r\n", "no: WRONGTYPE no"),
            (b"*2\r\n$1\r\nv\r\n-ERR unknown\r\n", "no: ERR unknown"),
            (b"*2\r\n$1\r\nv\r\n:-2\r\n", "no: -2"),
            (b"-CLUSTERDOWN no\r\n", "no: CLUSTERDOWN no"),
            (b"*0\r\n", "no: "),
        ] {
            let mut parser = crate::client::reply::Parser::new();
            assert!(matches!(parser.parse(wire), Ok(Some(length)) if length == wire.len()));
            let shown = match value_and_end(parser.view(wire)) {
                Ok(Some((value, ends_ms))) => format!("{} ends {ends_ms}", value.escape_ascii()),
                Ok(None) => "none".to_string(),
                Err(what) => format!("no: {}", what.escape_ascii()),
            };
            assert_eq!(shown, wanted, "{}", wire.escape_ascii());
        }
    }
}
