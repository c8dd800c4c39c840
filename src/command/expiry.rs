//! When keys end: EXPIRE, TTL and their kin.

use super::{CommandError, Ctx, Flow, Now, Outcome, echo, integer};
use crate::proto::{Args, Reply};

/// `EXPIRE key seconds [NX | XX | GT | LT]`
pub(super) fn expire(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    expire_after(ctx, args, 1000, "expire", reply)
}

/// `PEXPIRE key milliseconds [NX | XX | GT | LT]`
pub(super) fn pexpire(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    expire_after(ctx, args, 1, "pexpire", reply)
}

/// 1 when the expiry was set (or, being past, the key deleted), 0 when there is no such key or a condition fails.
fn expire_after(ctx: &mut Ctx<'_>, args: Args<'_>, unit_ms: i64, name: &'static str, reply: &mut Reply<'_>) -> Outcome {
    let condition = Condition::parse(args)?;
    let after_ms = integer(&args[2])?.checked_mul(unit_ms).ok_or(CommandError::ExpireTime(name))?;
    let at_ms = deadline_ms(ctx.now, after_ms).ok_or(CommandError::ExpireTime(name))?;
    let set = match ctx.store.get_mut(&args[1], ctx.now.ms) {
        None => false,
        Some(entry) if !condition.holds(at_ms, entry.expires_ms()) => false,
        Some(mut entry) if after_ms > 0 => {
            entry.set_expires(Some(at_ms as u64));
            true
        }
        Some(_) => ctx.store.remove(&args[1], ctx.now.ms),
    };
    reply.integer(set.into());
    Ok(Flow::Continue)
}

/// The boot clock's time `after_ms` from now, which may have passed; `None` for one that no clock will show. The
/// bound is that of the wall clock, as for Redis.
pub(super) fn deadline_ms(now: Now, after_ms: i64) -> Option<i64> {
    after_ms.checked_add(now.to_wall_ms(now.ms).max(0))?;
    Some(after_ms.saturating_add(now.ms as i64))
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
            let flag = match option.to_ascii_uppercase().as_slice() {
                b"NX" => &mut condition.none_before,
                b"XX" => &mut condition.some_before,
                b"GT" => &mut condition.greater,
                b"LT" => &mut condition.less,
                _ => return Err(CommandError::Other(format!("ERR Unsupported option {}", echo(option)))),
            };
            *flag = true;
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
    let left = left_ms(ctx, &args[1]);
    reply.integer(if left < 0 { left } else { left.saturating_add(500) / 1000 });
    Ok(Flow::Continue)
}

/// `PTTL key`: milliseconds; -1 without an expiry, -2 without a key.
pub(super) fn pttl(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let left = left_ms(ctx, &args[1]);
    reply.integer(left);
    Ok(Flow::Continue)
}

fn left_ms(ctx: &mut Ctx<'_>, key: &[u8]) -> i64 {
    let now_ms = ctx.now.ms;
    match ctx.find(key).map(|entry| entry.expires_ms()) {
        None => -2,
        Some(None) => -1,
        Some(Some(expires_ms)) => expires_ms.saturating_sub(now_ms) as i64,
    }
}

/// `PERSIST key`: 1 when it had an expiry.
pub(super) fn persist(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let had = match ctx.store.get_mut(&args[1], ctx.now.ms) {
        Some(mut entry) if entry.expires_ms().is_some() => {
            entry.set_expires(None);
            true
        }
        _ => false,
    };
    reply.integer(had.into());
    Ok(Flow::Continue)
}
