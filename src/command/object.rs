//! How a key is stored, in Redis's terms: OBJECT.

use super::{CommandError, Ctx, Flow, Outcome, integer};
use crate::proto::{Args, Reply};
use crate::store::Tracked;

/// A value longer than this is one that Redis keeps apart from its key.
const EMBEDDED_BYTES_MAX: usize = 44;

/// `OBJECT ENCODING key`
pub(super) fn encoding(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    match ctx.peek(&args[2]) {
        Some(entry) => reply.bulk(encoding_of(entry.value().bytes()).as_bytes()),
        None => reply.null(),
    }
    Ok(Flow::Continue)
}

/// `OBJECT REFCOUNT key`
pub(super) fn ref_count(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    match ctx.peek(&args[2]) {
        Some(_) => reply.integer(1),
        None => reply.null(),
    }
    Ok(Flow::Continue)
}

/// `OBJECT IDLETIME key`: seconds, as far as the memory policy tells times apart: the last sixty-fourth of a turnover of
/// all keys counts as 0.
pub(super) fn idle_time(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let tracked = ctx.state.settings.memory_policy.tracks();
    of_use(ctx, args, reply, |ctx, key| match tracked {
        Some(Tracked::Lately) => Ok(ctx.state.store.idle_ms(key).unwrap_or(0) / 1000),
        Some(Tracked::Often) => Err(not_tracked("LFU maxmemory policy is selected, idle time")),
        None => Err(not_tracked("LRU maxmemory policy is not selected, idle time")),
    })
}

/// `OBJECT FREQ key`
pub(super) fn freq(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let tracked = ctx.state.settings.memory_policy.tracks();
    of_use(ctx, args, reply, |ctx, key| match tracked {
        Some(Tracked::Often) => Ok(ctx.state.store.use_count(key).unwrap_or(0).into()),
        _ => Err(not_tracked("LFU maxmemory policy is not selected, access frequency")),
    })
}

/// Answers what is known of a key's use, for a key that is there.
fn of_use(
    ctx: &mut Ctx<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
    known: impl FnOnce(&mut Ctx<'_>, &[u8]) -> Result<u64, CommandError>,
) -> Outcome {
    let key = &args[2];
    match ctx.peek(key) {
        Some(_) => reply.integer(known(ctx, key)? as i64),
        None => reply.null(),
    }
    Ok(Flow::Continue)
}

/// What Redis would store a value as that comes with SET.
fn encoding_of(value: &[u8]) -> &'static str {
    match value.len() {
        0..=20 if integer(value).is_ok() => "int",
        0..=EMBEDDED_BYTES_MAX => "embstr",
        _ => "raw",
    }
}

/// The memory policy needs not to know this of a key, so it is not known.
fn not_tracked(why: &str) -> CommandError {
    CommandError::Other(format!(
        "ERR An {why} not tracked. Please note that when switching between policies at runtime LRU and LFU data will take \
         some time to adjust."
    ))
}

#[cfg(test)]
mod tests {
    use super::encoding_of;

    #[test]
    fn encodings_come_from_the_bytes_alone() {
        for (value, wanted) in [
            ("0", "int"),
            ("-9223372036854775808", "int"),
            ("9223372036854775808", "embstr"),
            ("007", "embstr"),
            ("", "embstr"),
            ("12345678901234567890123456789012345678901234", "embstr"),
            ("123456789012345678901234567890123456789012345", "raw"),
        ] {
            assert_eq!(encoding_of(value.as_bytes()), wanted, "{value}");
        }
    }
}
