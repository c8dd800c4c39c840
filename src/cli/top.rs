//! `--top`: a whole cluster at a glance, live, until q or Ctrl-C.

use std::fmt::Write;
use std::time::Duration;

use super::dump::now_ms;
use super::edit::width;
use super::nodes::{Cluster, letter};
use super::options::Request;
use super::show::{date, escaped};
use super::talk::ask;
use super::watch::{Info, short};
use super::{Failure, print};
use crate::client::resp::RespClient;
use crate::stats::Fixed;
use crate::sys::clock::monotonic_ns;
use crate::sys::tty::{self, Keyboard};

/// A node that says nothing for so long is shown as silent: the others are to be seen meanwhile.
const PATIENCE: Duration = Duration::from_millis(500);

/// So many of the last looks are drawn.
const RATES: usize = 60;

/// The terminal with a screen of the tool's own; when this goes, it is as it was.
struct OwnScreen;

impl Drop for OwnScreen {
    fn drop(&mut self) {
        let _ = print(b"\x1b[?25h\x1b[?1049l");
    }
}

/// What is seen.
struct Top {
    cluster: Cluster,
    /// Operations a second, the last look's at the end.
    rates: Vec<u64>,
    /// Requests that a node found slow, the newest first: when they were, and as a line.
    slow: Vec<(u64, String)>,
    /// Why nothing new is known. What was there last is still shown.
    trouble: String,
}

/// # Errors
/// When there is no terminal, or no server at the start.
pub(super) fn run(request: &Request) -> Result<(), Failure> {
    if !tty::is_here() {
        return Err(Failure::message(format_args!("--top wants a terminal; --stat and --cluster do not")));
    }
    let cluster = Cluster::new(&request.target, PATIENCE)?;
    let mut top = Top { cluster, rates: Vec::new(), slow: Vec::new(), trouble: String::new() };
    // What is taken last goes first.
    let keyboard = Keyboard::new().map_err(|error| Failure::at("cannot use the terminal", &error))?;
    let _screen = OwnScreen;
    print(b"\x1b[?1049h\x1b[?25l")?;
    let interval = request.interval.unwrap_or(Duration::from_secs(1));
    loop {
        if top.trouble.is_empty() && top.look(&keyboard)? {
            return Ok(());
        }
        let begun = monotonic_ns();
        loop {
            draw(&top.text())?;
            let elapsed = || Duration::from_nanos(monotonic_ns() - begun);
            if is_over(&keyboard, interval.saturating_sub(elapsed()))? {
                return Ok(());
            }
            if elapsed() >= interval {
                break;
            }
        }
        top.trouble = match top.cluster.find() {
            Ok(()) => String::new(),
            Err(failure) => failure.sentence()?,
        };
    }
}

/// Waits for a key or another size of the screen, and says whether the key ends it.
#[inline(never)]
fn is_over(keyboard: &Keyboard, time: Duration) -> Result<bool, Failure> {
    let ready = keyboard.wait(None, Some(time)).map_err(|error| Failure::at("cannot wait for keys", &error))?;
    if let Some(number) = ready.ended {
        return Err(Failure::status(128 + number));
    }
    let mut keys = Vec::new();
    Ok(ready.keys && (super::read_input(&mut keys)? == 0 || keys.iter().any(|key| b"qQ\x03\x04".contains(key))))
}

impl Top {
    /// Asks all nodes; says whether a key has ended it meanwhile: nodes that say nothing take time.
    #[inline(never)]
    fn look(&mut self, keyboard: &Keyboard) -> Result<bool, Failure> {
        self.slow.clear();
        for place in 0..self.cluster.nodes.len() {
            self.cluster.ask(place);
            let client = &mut self.cluster.nodes[place].client;
            if client.as_mut().is_some_and(|client| slow_commands(client, place, &mut self.slow).is_err()) {
                // The answer may still come, and would be taken for that to the next question.
                *client = None;
            }
            if is_over(keyboard, Duration::ZERO)? {
                return Ok(true);
            }
        }
        if self.rates.len() == RATES {
            self.rates.remove(0);
        }
        self.rates.push(self.sum("instantaneous_ops_per_sec"));
        Ok(false)
    }

    fn said(&self) -> impl Iterator<Item = &Info> {
        self.cluster.nodes.iter().filter_map(|node| node.said.as_ref())
    }

    #[inline(never)]
    fn sum(&self, field: &str) -> u64 {
        self.said().map(|info| info.number(field)).sum()
    }

    #[inline(never)]
    fn text(&self) -> String {
        let (hits, misses) = (self.sum("keyspace_hits"), self.sum("keyspace_misses"));
        let mut text = format!(
            "memento {}  {} of {} up  {}  q: quit\n\n",
            self.said().map(|info| info.text("memento_version")).next().unwrap_or(""),
            self.said().count(),
            self.cluster.nodes.len(),
            date(now_ms())
        );
        let _ = write!(
            text,
            "keys {}  memory {}  clients {}  hits {} %  evicted {}  errors {}\nper s {:<8} {}\n\n",
            self.said().map(Info::keys).sum::<u64>(),
            short(self.sum("used_memory")),
            self.sum("connected_clients"),
            (hits * 100).checked_div(hits + misses).unwrap_or(0),
            self.sum("evicted_keys"),
            self.sum("total_error_replies"),
            self.rates.last().copied().unwrap_or(0),
            bars(&self.rates)
        );
        if !self.trouble.is_empty() {
            text += &self.trouble;
            text += "\n\n";
        }
        text += &self.cluster.table();
        let picture = self.cluster.picture();
        if !picture.is_empty() {
            text += "\nslots\n";
            text += &picture;
        }
        if !self.slow.is_empty() {
            text += "\nslow commands\n";
        }
        for (_, line) in &self.slow {
            text += line;
            text.push('\n');
        }
        text
    }
}

/// The last slow commands of a node, among those of the others.
#[inline(never)]
fn slow_commands(client: &mut RespClient, node: usize, found: &mut Vec<(u64, String)>) -> Result<(), Failure> {
    let view = ask(client, &[b"SLOWLOG", b"GET", b"20"], PATIENCE)?;
    for entry in view.children() {
        let mut parts = entry.children();
        let (Some(time), Some(took), Some(words)) = (parts.nth(1), parts.next(), parts.next()) else { continue };
        let (Some(seconds), Some(took_us)) = (time.integer(), took.integer()) else { continue };
        let (seconds, took_us) = (seconds as u64, took_us as u64);
        let (when, took) = (date(seconds.saturating_mul(1000)), Fixed::<1>(took_us.saturating_add(50) / 100));
        let mut line = format!(" {} {when} {:>9} ms ", letter(node), took.to_string());
        for word in words.children() {
            line.push(' ');
            for char in escaped(word.bytes()).chars() {
                line.push(if char == '\n' { ' ' } else { char });
            }
        }
        let place = found.iter().position(|other| other.0 < seconds).unwrap_or(found.len());
        found.insert(place, (seconds, line));
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

/// Puts the lines on the screen, as far as they have room.
#[inline(never)]
fn draw(text: &str) -> Result<(), Failure> {
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
    out += "\x1b[J";
    print(out.as_bytes())
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
