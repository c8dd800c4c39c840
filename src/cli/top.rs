//! `--top`: a whole cluster at a glance, live, until q or Ctrl-C.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use super::dump::now_ms;
use super::edit::width;
use super::nodes::{Cluster, letter};
use super::show::{date, escaped};
use super::talk::Target;
use super::watch::short;
use super::{Failure, Why, print, say};
use crate::client::resp::{Deadline, RespClient};
use crate::stats::Fixed;
use crate::sys::tty::{self, Keyboard};

/// A node that says nothing for so long is shown as silent: the others are to be seen meanwhile.
const PATIENCE: Duration = Duration::from_millis(500);

/// So many of the last looks are drawn.
const RATES: usize = 60;

/// The terminal with a screen of the tool's own; when this goes, it is as it was.
struct OwnScreen;

impl OwnScreen {
    fn take() -> Result<OwnScreen, Failure> {
        print(b"\x1b[?1049h\x1b[?25l")?;
        Ok(OwnScreen)
    }
}

impl Drop for OwnScreen {
    fn drop(&mut self) {
        let mut output = io::stdout();
        let _ = output.write_all(b"\x1b[?25h\x1b[?1049l").and_then(|()| output.flush());
    }
}

/// # Errors
/// When there is no terminal, or no server at the start.
pub(super) fn run(target: &Target, interval: Option<Duration>) -> Result<(), Failure> {
    if !tty::is_here() {
        return Err(Failure::message("--top wants a terminal; --stat and --cluster do not".to_string()));
    }
    let mut cluster = Cluster::new(target, PATIENCE);
    cluster.find()?;
    // What is taken last goes first.
    let keyboard = Keyboard::new().map_err(|error| Failure::at("cannot use the terminal", &error))?;
    let _screen = OwnScreen::take()?;
    let interval = interval.unwrap_or(Duration::from_secs(1));
    let mut rates = Vec::new();
    let mut slow = Vec::new();
    let mut trouble = None;
    loop {
        // What was there last is still shown, with what is wrong.
        let count = if trouble.is_none() { cluster.nodes.len() } else { 0 };
        if count > 0 {
            slow.clear();
        }
        for place in 0..count {
            cluster.ask(place);
            let watched = &mut cluster.nodes[place];
            if let Some(client) = &mut watched.client
                && slow_commands(client, place, &mut slow).is_err()
            {
                // The answer may still come, and would be taken for that to the next question.
                watched.client = None;
            }
            // Nodes that say nothing take time, but not the keys.
            if is_over(&keyboard, Duration::ZERO)? {
                return Ok(());
            }
        }
        if rates.len() == RATES {
            rates.remove(0);
        }
        rates.push(sum(&cluster, "instantaneous_ops_per_sec"));
        let begun = Instant::now();
        loop {
            draw(lines(&cluster, &rates, &slow, trouble.as_deref()))?;
            if is_over(&keyboard, interval.saturating_sub(begun.elapsed()))? {
                return Ok(());
            }
            if begun.elapsed() >= interval {
                break;
            }
        }
        trouble = match cluster.find() {
            Ok(()) => None,
            Err(failure) => Some(failure.sentence()?),
        };
    }
}

/// Waits for a key or another size of the screen, and says whether the key ends it.
fn is_over(keyboard: &Keyboard, time: Duration) -> Result<bool, Failure> {
    let failed = |error: io::Error| Failure::at("cannot use the terminal", &error);
    let ready = keyboard.wait(None, Some(time)).map_err(failed)?;
    if let Some(number) = ready.ended {
        return Err(Failure::of(Why::Signal(number)));
    }
    if !ready.keys {
        return Ok(false);
    }
    let mut keys = [0; 64];
    let count = keyboard.read(&mut keys).map_err(failed)?;
    Ok(count == 0 || keys[..count].iter().any(|key| matches!(key, b'q' | b'Q' | 3 | 4)))
}

fn sum(cluster: &Cluster<'_>, field: &str) -> u64 {
    cluster.nodes.iter().filter_map(|watched| watched.said.as_ref()).map(|(info, _)| info.number(field)).sum()
}

/// A request that a node found slow.
struct Slow {
    at_seconds: i64,
    text: String,
}

/// The last slow commands of a node, among those of the others: the newest first.
fn slow_commands(client: &mut RespClient, node: usize, found: &mut Vec<Slow>) -> io::Result<()> {
    let view = client.call(&[b"SLOWLOG", b"GET", b"20"], Deadline::after(PATIENCE))?;
    for entry in view.children() {
        let mut parts = entry.children();
        let (Some(time), Some(took), Some(words)) = (parts.nth(1), parts.next(), parts.next()) else { continue };
        let (Some(at_seconds), Some(took_us)) = (time.integer(), took.integer()) else { continue };
        let when = date(u64::try_from(at_seconds).unwrap_or(0).saturating_mul(1000));
        let took = Fixed::<1>(u64::try_from(took_us).unwrap_or(0).saturating_add(50) / 100).to_string();
        let mut text = format!(" {} {when} {took:>9} ms ", letter(node));
        for word in words.children() {
            text.push(' ');
            for char in escaped(word.bytes()).chars() {
                text.push(if char == '\n' { ' ' } else { char });
            }
        }
        let place = found.iter().position(|other| other.at_seconds < at_seconds).unwrap_or(found.len());
        found.insert(place, Slow { at_seconds, text });
    }
    Ok(())
}

/// Bars as high as the numbers, the highest as high as can be.
fn bars(rates: &[u64]) -> String {
    let mut most = 1;
    for &rate in rates {
        most = most.max(rate);
    }
    let mut text = String::new();
    for rate in rates {
        // From '▁' to '█'.
        text.push(char::from_u32(0x2581 + (rate * 7 / most) as u32).unwrap_or(' '));
    }
    text
}

fn lines(cluster: &Cluster<'_>, rates: &[u64], slow: &[Slow], trouble: Option<&str>) -> String {
    let said = || cluster.nodes.iter().filter_map(|watched| watched.said.as_ref());
    let keys: i64 = said().map(|(_, keys)| keys).sum();
    let (hits, misses) = (sum(cluster, "keyspace_hits"), sum(cluster, "keyspace_misses"));
    let version = said().map(|(info, _)| info.text("memento_version")).next().unwrap_or("");
    let mut text = format!(
        "memento {version}  {} of {} up  {}  q: quit\n\nkeys {keys}  memory {}  clients {}  hits {} %  evicted {}  errors {}\n\
         per s {:<8} {}\n\n",
        said().count(),
        cluster.nodes.len(),
        date(now_ms()),
        short(sum(cluster, "used_memory")),
        sum(cluster, "connected_clients"),
        (hits * 100).checked_div(hits + misses).unwrap_or(0),
        sum(cluster, "evicted_keys"),
        sum(cluster, "total_error_replies"),
        rates.last().copied().unwrap_or(0),
        bars(rates),
    );
    if let Some(why) = trouble {
        text += why;
        text += "\n\n";
    }
    text += &cluster.table();
    let picture = cluster.picture();
    if !picture.is_empty() {
        text += "\nslots\n";
        text += &picture;
    }
    if !slow.is_empty() {
        text += "\nslow commands\n";
        for slow in slow {
            text += &slow.text;
            text.push('\n');
        }
    }
    text
}

/// Puts the lines on the screen, as far as they have room.
fn draw(text: String) -> Result<(), Failure> {
    let (columns, rows) = tty::size();
    let mut out = String::from("\x1b[H");
    for (place, line) in text.lines().take(rows).enumerate() {
        if place > 0 {
            out += "\r\n";
        }
        let mut taken = 0;
        for char in line.chars() {
            // What a node says is no order to the terminal.
            let char = if char.is_control() { ' ' } else { char };
            taken += width(char);
            // A row that is full would leave the cursor where nothing is cleared behind it.
            if taken >= columns {
                break;
            }
            out.push(char);
        }
        out += "\x1b[K";
    }
    say(out + "\x1b[J")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_high_as_the_numbers() {
        assert_eq!(bars(&[0, 1, 7, 3]), "▁▂█▄");
        assert_eq!(bars(&[0, 0]), "▁▁");
        assert_eq!(bars(&[]), "");
    }
}
