//! MONITOR: what is executed here, a line a request, for who watches. What is secret never gets into it.

use super::publish;
use super::table::{CommandSpec, Flags};
use super::{CommandError, Ctx, Flow, Outcome, Shown};
use crate::limits::{MONITOR_BYTES_MAX, MONITOR_LINES_BYTES_MAX, MONITORS_MAX};
use crate::proto::{Args, Digits, Output, Reply};

/// `MONITOR`
pub(super) fn monitor(ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    if ctx.state.pubsub.in_transaction {
        return Err(CommandError::other("MONITOR isn't allowed for DENY BLOCKING client"));
    }
    let (pubsub, subscriber) = publish::subscriber_of(ctx, reply);
    if subscriber.monitors {
        // As in Redis.
        return Ok(Flow::Unanswered);
    }
    if !pubsub.monitor(pubsub.asker, subscriber) {
        publish::settle(ctx);
        return Err(CommandError::Other(format!("ERR {MONITORS_MAX} clients monitor already, there may be no more")));
    }
    reply.ok();
    Ok(Flow::Continue)
}

/// Tells who watches of a request that was executed. What concerns the server alone is not told, as in Redis.
pub(super) fn tell(ctx: &mut Ctx<'_>, spec: &CommandSpec, sub: Option<usize>, args: Args<'_>) {
    let flags = sub.map_or(spec.flags, |sub| spec.subcommands()[sub].flags);
    if flags.has(Flags::ADMIN) {
        return;
    }
    let lines = &mut ctx.state.pubsub.lines;
    let mark = lines.mark();
    if lines.copied_bytes() < MONITOR_LINES_BYTES_MAX {
        let us = (ctx.state.host.wall_us)();
        // Of a number of seven digits that begins with 1 the others are the six of a fraction.
        let fraction = Digits::of(1_000_000 + us.rem_euclid(1_000_000));
        let (seconds, address) = (Digits::of(us.div_euclid(1_000_000)), ctx.peer.address());
        let begin: [&[u8]; 7] =
            [b"+", seconds.bytes(), b".", &fraction.bytes()[1..], b" [0 ", address.as_bytes(), b"]"];
        begin.into_iter().for_each(|part| lines.push(part));
        words(lines, spec, args);
        lines.push(b"\r\n");
        if lines.lost().is_none() {
            return;
        }
    }
    lines.truncate(mark);
    ctx.state.stats.monitor_lines_lost += 1;
}

/// The words of a request, as far as they may be shown.
fn words(line: &mut Output, spec: &CommandSpec, args: Args<'_>) {
    // Of a transaction, what it executes is shown for itself.
    let count = if spec.shown == Shown::Nothing { 1 } else { args.len() };
    let shown = spec.shown.words(args).max(1);
    let mut room = MONITOR_BYTES_MAX;
    for place in 0..count {
        if room == 0 {
            return more(line, b" ", count - place, b" more arguments)");
        }
        let word = if place < shown { &args[place] } else { b"(redacted)" };
        // Many that are empty take room as well.
        let kept = &word[..word.len().min(room)];
        room = room.saturating_sub(kept.len() + 1);
        line.push(b" \"");
        quote(kept, line);
        line.push(b"\"");
        if kept.len() < word.len() {
            more(line, b"", word.len() - kept.len(), b" more bytes)");
        }
    }
}

/// Says how much is left out.
fn more(line: &mut Output, before: &[u8], count: usize, of: &[u8]) {
    [before, b"... (", Digits::of(count as i64).bytes(), of].into_iter().for_each(|part| line.push(part));
}

/// Bytes as redis-cli shows them, so that all are one line of ASCII: at most four for one.
fn quote(bytes: &[u8], line: &mut Output) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for &byte in bytes {
        let letter = match byte {
            b'"' | b'\\' => byte,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            7 => b'a',
            8 => b'b',
            b' '..=b'~' => {
                line.push(&[byte]);
                continue;
            }
            _ => {
                line.push(&[b'\\', b'x', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
                continue;
            }
        };
        line.push(&[b'\\', letter]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_byte_is_shown_in_ascii() {
        let mut line = Output::default();
        quote(b"a \"\\\n\r\t\x07\x08\x00\x7f\xff~", &mut line);
        assert_eq!(line.bytes(), br#"a \"\\\n\r\t\a\b\x00\x7f\xff~"#);
        let all: Vec<u8> = (0..=255).collect();
        quote(&all, &mut line);
        assert!(line.bytes().iter().all(|byte| (b' '..=b'~').contains(byte)));
    }
}
