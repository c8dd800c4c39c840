//! When keys end: EXPIRE, TTL and their kin.

use super::events::Event;
use super::{CommandError, Ctx, Flow, Now, Outcome, choice, echo, integer};
use crate::proto::{Args, Reply};

/// `EXPIRE key seconds [NX | XX | GT | LT]`
pub(super) fn expire(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    expire_at(ctx, args, "expire", reply, |now, time| now.deadline_ms(time.checked_mul(1000)?))
}

/// `PEXPIRE key milliseconds [NX | XX | GT | LT]`
pub(super) fn pexpire(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    expire_at(ctx, args, "pexpire", reply, Now::deadline_ms)
}

/// `EXPIREAT key unix-seconds [NX | XX | GT | LT]`
pub(super) fn expireat(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    expire_at(ctx, args, "expireat", reply, |now, time| Some(now.to_boot_ms(time.checked_mul(1000)?)))
}

/// `PEXPIREAT key unix-milliseconds [NX | XX | GT | LT]`
pub(super) fn pexpireat(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    expire_at(ctx, args, "pexpireat", reply, |now, time| Some(now.to_boot_ms(time)))
}

/// 1 when the expiry was set (or, being past, the key deleted), 0 when there is no such key or a condition fails.
/// `deadline_ms` makes the boot clock's time of the number given.
fn expire_at(
    ctx: &mut Ctx<'_>,
    args: Args<'_>,
    name: &'static str,
    reply: &mut Reply<'_>,
    deadline_ms: fn(Now, i64) -> Option<i64>,
) -> Outcome {
    let condition = Condition::parse(args)?;
    let at_ms = deadline_ms(ctx.state.now, integer(&args[2])?).ok_or(CommandError::ExpireTime(name))?;
    ctx.state.want_memory()?;
    let set = match ctx.state.store.get_mut(&args[1], ctx.state.now.ms) {
        None => false,
        Some(entry) if !condition.holds(at_ms, entry.expires_ms()) => false,
        Some(mut entry) if at_ms > ctx.state.now.ms as i64 => {
            entry.set_expires(Some(at_ms as u64));
            true
        }
        Some(_) => ctx.state.store.remove(&args[1], ctx.state.now.ms),
    };
    if set {
        let event = if at_ms > ctx.state.now.ms as i64 { Event::Expire } else { Event::Del };
        ctx.state.tell(event, &args[1]);
    }
    reply.integer(set.into());
    Ok(Flow::Continue)
}

/// On what the new expiry depends.
#[derive(Default)]
struct Condition {
    none_before: bool,
    some_before: bool,
    greater: bool,
    less: bool,
}

impl Condition {
    fn parse(args: Args<'_>) -> Result<Condition, CommandError> {
        let mut condition = Condition::default();
        for option in args.from(3) {
            match choice(option, &["nx", "xx", "gt", "lt"]) {
                Some(0) => condition.none_before = true,
                Some(1) => condition.some_before = true,
                Some(2) => condition.greater = true,
                Some(_) => condition.less = true,
                None => return Err(CommandError::Other(format!("ERR Unsupported option {}", echo(option)))),
            }
        }
        let Condition { none_before, some_before, greater, less } = condition;
        let clash = |what| Err(CommandError::Other(format!("ERR {what} options at the same time are not compatible")));
        if none_before && (some_before || greater || less) {
            return clash("NX and XX, GT or LT");
        }
        if greater && less {
            return clash("GT and LT");
        }
        Ok(condition)
    }

    /// A key without an expiry ends later than any that has one.
    fn holds(&self, new_ms: i64, old_ms: Option<u64>) -> bool {
        let old_or_never = old_ms.map_or(i64::MAX, |old_ms| old_ms as i64);
        !(self.none_before && old_ms.is_some()
            || self.some_before && old_ms.is_none()
            || self.greater && new_ms <= old_or_never
            || self.less && new_ms >= old_or_never)
    }
}

/// `TTL key`: seconds, rounded; -1 without an expiry, -2 without a key.
pub(super) fn ttl(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let left_ms = expiry_or_code(ctx, &args[1], left_ms);
    reply.integer(to_seconds(left_ms));
    Ok(Flow::Continue)
}

/// `PTTL key`: milliseconds; -1 without an expiry, -2 without a key.
pub(super) fn pttl(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let left_ms = expiry_or_code(ctx, &args[1], left_ms);
    reply.integer(left_ms);
    Ok(Flow::Continue)
}

fn left_ms(now: Now, expires_ms: u64) -> i64 {
    expires_ms.saturating_sub(now.ms) as i64
}

/// What `show` makes of the key's expiry; -1 without an expiry, -2 without a key.
fn expiry_or_code(ctx: &mut Ctx<'_>, key: &[u8], show: fn(Now, u64) -> i64) -> i64 {
    let now = ctx.state.now;
    match ctx.peek(key).map(|entry| entry.expires_ms()) {
        None => -2,
        Some(None) => -1,
        Some(Some(expires_ms)) => show(now, expires_ms),
    }
}

/// Milliseconds as seconds, rounded; a code as itself.
fn to_seconds(time_ms: i64) -> i64 {
    if time_ms < 0 { time_ms } else { time_ms.saturating_add(500) / 1000 }
}

/// `EXPIRETIME key`: when it ends, in seconds since the Unix epoch, rounded; -1 without an expiry, -2 without a key.
pub(super) fn expiretime(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let time_ms = expiry_or_code(ctx, &args[1], Now::to_wall_ms);
    reply.integer(to_seconds(time_ms));
    Ok(Flow::Continue)
}

/// `PEXPIRETIME key`: when it ends, in milliseconds since the Unix epoch; -1 without an expiry, -2 without a key.
pub(super) fn pexpiretime(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let time_ms = expiry_or_code(ctx, &args[1], Now::to_wall_ms);
    reply.integer(time_ms);
    Ok(Flow::Continue)
}

/// `PERSIST key`: 1 when it had an expiry.
pub(super) fn persist(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let had = match ctx.state.store.get_mut(&args[1], ctx.state.now.ms) {
        Some(mut entry) if entry.expires_ms().is_some() => {
            entry.set_expires(None);
            true
        }
        _ => false,
    };
    if had {
        ctx.state.tell(Event::Persist, &args[1]);
    }
    reply.integer(had.into());
    Ok(Flow::Continue)
}
