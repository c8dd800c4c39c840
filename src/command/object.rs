//! How a key is stored, in Redis's terms: OBJECT.

use super::{CommandError, Ctx, Flow, Outcome, integer};
use crate::proto::{Args, Reply};

/// A value longer than this is one that Redis keeps apart from its key.
const EMBEDDED_BYTES_MAX: usize = 44;

/// `OBJECT ENCODING key`
pub(super) fn encoding(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    match ctx.find(&args[2]) {
        Some(entry) => reply.bulk(encoding_of(entry.value().bytes()).as_bytes()),
        None => reply.null(),
    }
    Ok(Flow::Continue)
}

/// `OBJECT REFCOUNT key`
pub(super) fn ref_count(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    match ctx.find(&args[2]) {
        Some(_) => reply.integer(1),
        None => reply.null(),
    }
    Ok(Flow::Continue)
}

/// `OBJECT IDLETIME key`
pub(super) fn idle_time(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    untracked(ctx, args, reply, "LRU", "idle time")
}

/// `OBJECT FREQ key`
pub(super) fn freq(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    untracked(ctx, args, reply, "LFU", "access frequency")
}

fn untracked(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>, policy: &str, what: &str) -> Outcome {
    if ctx.find(&args[2]).is_some() {
        return Err(not_tracked(policy, what));
    }
    reply.null();
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

/// There is no memory policy that would need to know this of a key, so it is not known.
fn not_tracked(policy: &str, what: &str) -> CommandError {
    CommandError::Other(format!(
        "ERR An {policy} maxmemory policy is not selected, {what} not tracked. Please note that when switching between \
         policies at runtime LRU and LFU data will take some time to adjust."
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
