//! MONITOR: what is executed here, a line a request, for who watches. What is secret never gets into it.

use super::publish;
use super::table::{CommandSpec, Flags};
use super::{CommandError, Ctx, Flow, Outcome};
use crate::limits::MONITOR_BYTES_MAX;
use crate::proto::{Args, Reply};
use crate::pubsub::Kind;

/// `MONITOR`
pub(super) fn monitor(ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    if ctx.state.pubsub.in_transaction {
        return Err(CommandError::other("MONITOR isn't allowed for DENY BLOCKING client"));
    }
    ctx.state.want_room(1, 0)?;
    publish::listen(ctx, Kind::Monitor, b"", reply);
    reply.ok();
    Ok(Flow::Continue)
}

/// Tells who watches of a request that was executed. What concerns the server alone is not told, as in Redis.
#[cold]
#[inline(never)]
pub(super) fn tell(ctx: &mut Ctx<'_>, spec: &CommandSpec, sub: Option<usize>, args: Args<'_>) {
    let flags = sub.map_or(spec.flags, |sub| spec.subcommands[sub].flags);
    if flags.has(Flags::ADMIN) {
        return;
    }
    let us = (ctx.state.host.wall_us)();
    let begin = format!("{}.{:06} [0 {}]", us / 1_000_000, us % 1_000_000, ctx.peer.address());
    let told = line(begin, spec, args).and_then(|line| ctx.state.pubsub.tell_monitors(&line).ok());
    ctx.state.stats.monitor_lines_lost += u64::from(told.is_none());
}

/// The words of a request behind the beginning of a line; none where there is no memory for it.
fn line(begin: String, spec: &CommandSpec, args: Args<'_>) -> Option<Vec<u8>> {
    let mut line = begin.into_bytes();
    // A transaction that another node sends is in a form of its own.
    let own = !args.name().eq_ignore_ascii_case(spec.name.as_bytes());
    let (count, shown) = if own { (1, 1) } else { (args.len(), spec.shown.words(args).max(1)) };
    let mut room = MONITOR_BYTES_MAX;
    for place in 0..count {
        if room == 0 {
            push(&mut line, format!(" ... ({} more arguments)", count - place).as_bytes())?;
            break;
        }
        let word = match place {
            0 if own => spec.name.as_bytes(),
            _ if place < shown => &args[place],
            _ => b"(redacted)",
        };
        // Many that are empty take room as well.
        let kept = &word[..word.len().min(room)];
        room = room.saturating_sub(kept.len() + 1);
        line.try_reserve(4 * kept.len() + 3).ok()?;
        line.extend_from_slice(b" \"");
        quote(kept, &mut line);
        line.push(b'"');
        if kept.len() < word.len() {
            push(&mut line, format!("... ({} more bytes)", word.len() - kept.len()).as_bytes())?;
        }
    }
    Some(line)
}

fn push(line: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    line.try_reserve(bytes.len()).ok()?;
    line.extend_from_slice(bytes);
    Some(())
}

/// Bytes as redis-cli shows them, so that all are one line of ASCII: at most four for one.
fn quote(bytes: &[u8], line: &mut Vec<u8>) {
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
                line.push(byte);
                continue;
            }
            _ => {
                line.extend_from_slice(&[b'\\', b'x', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
                continue;
            }
        };
        line.extend_from_slice(&[b'\\', letter]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_byte_is_shown_in_ascii() {
        let mut line = Vec::new();
        quote(b"a \"\\\n\r\t\x07\x08\x00\x7f\xff~", &mut line);
        assert_eq!(line, br#"a \"\\\n\r\t\a\b\x00\x7f\xff~"#);
        let all: Vec<u8> = (0..=255).collect();
        quote(&all, &mut line);
        assert!(line.iter().all(|byte| (b' '..=b'~').contains(byte)));
    }
}
