//! Whole values: SET, GET and their kin.

use super::{CommandError, Ctx, Flow, Outcome, integer, reply_value};
use crate::limits::VALUE_BYTES_MAX;
use crate::proto::{Args, Reply};
use crate::store::Expiry;

/// `SET key value`
pub(super) fn set(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    ctx.store.upsert(&args[1], &args[2], Expiry::Never, ctx.now.ms);
    reply.ok();
    Ok(Flow::Continue)
}

/// `SETNX key value`: 1 when it was set.
pub(super) fn setnx(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let free = ctx.store.get(&args[1], ctx.now.ms).is_none();
    if free {
        ctx.store.upsert(&args[1], &args[2], Expiry::Never, ctx.now.ms);
    }
    reply.integer(free.into());
    Ok(Flow::Continue)
}

/// `GETSET key value`: the old value.
pub(super) fn getset(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    get(ctx, args, reply)?;
    ctx.store.upsert(&args[1], &args[2], Expiry::Never, ctx.now.ms);
    Ok(Flow::Continue)
}

/// `SETEX key seconds value`
pub(super) fn setex(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    set_expiring(ctx, args, 1000, "setex", reply)
}

/// `PSETEX key milliseconds value`
pub(super) fn psetex(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    set_expiring(ctx, args, 1, "psetex", reply)
}

fn set_expiring(ctx: &mut Ctx<'_>, args: Args<'_>, unit_ms: i64, name: &'static str, reply: &mut Reply<'_>) -> Outcome {
    let time = integer(&args[2])?;
    let bad_time = CommandError::ExpireTime(name);
    let after_ms = time.checked_mul(unit_ms).filter(|&after_ms| after_ms > 0).ok_or(bad_time.clone())?;
    let at_ms = super::expiry::deadline_ms(ctx.now, after_ms).ok_or(bad_time)?;
    ctx.store.upsert(&args[1], &args[3], Expiry::At(at_ms as u64), ctx.now.ms);
    reply.ok();
    Ok(Flow::Continue)
}

/// `GET key`
pub(super) fn get(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    answer(ctx, &args[1], reply);
    Ok(Flow::Continue)
}

/// `MGET key [key ...]`
pub(super) fn mget(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    reply.array(args.len() - 1);
    args.from(1).for_each(|key| answer(ctx, key, reply));
    Ok(Flow::Continue)
}

fn answer(ctx: &mut Ctx<'_>, key: &[u8], reply: &mut Reply<'_>) {
    match ctx.find(key) {
        Some(entry) => reply_value(reply, entry.value()),
        None => reply.null(),
    }
}

/// `MSET key value [key value ...]`
pub(super) fn mset(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    if args.len().is_multiple_of(2) {
        return Err(CommandError::Arity("mset"));
    }
    for place in (1..args.len()).step_by(2) {
        ctx.store.upsert(&args[place], &args[place + 1], Expiry::Never, ctx.now.ms);
    }
    reply.ok();
    Ok(Flow::Continue)
}

/// `STRLEN key`: 0 for a missing one.
pub(super) fn strlen(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let length = ctx.find(&args[1]).map_or(0, |entry| entry.value().bytes().len());
    reply.integer(length as i64);
    Ok(Flow::Continue)
}

/// `APPEND key value`: the new length.
pub(super) fn append(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    extend(ctx, args, reply, |entry, bytes| entry.append(bytes))
}

/// `PREPEND key value`: the new length.
pub(super) fn prepend(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    extend(ctx, args, reply, |entry, bytes| entry.prepend(bytes))
}

fn extend(
    ctx: &mut Ctx<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
    change: fn(&mut crate::store::EntryMut<'_>, &[u8]),
) -> Outcome {
    let (key, more) = (&args[1], &args[2]);
    let length = match ctx.store.get_mut(key, ctx.now.ms) {
        Some(mut entry) => {
            let length = entry.value().bytes().len() + more.len();
            if length > VALUE_BYTES_MAX {
                return Err(CommandError::ValueTooLong);
            }
            change(&mut entry, more);
            length
        }
        None => {
            ctx.store.upsert(key, more, Expiry::Never, ctx.now.ms);
            more.len()
        }
    };
    reply.integer(length as i64);
    Ok(Flow::Continue)
}
