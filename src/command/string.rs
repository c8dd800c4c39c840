//! Values that are read, or changed in place: GET, APPEND, SETRANGE and their kin.

use super::events::Event;
use super::{CommandError, Ctx, Flow, Outcome, integer, reply_value};
use crate::blob::Blob;
use crate::limits::VALUE_BYTES_MAX;
use crate::proto::{Args, Reply};
use crate::store::{EntryMut, Expiry, Key};

/// `GET key`
#[cfg_attr(memento_small, optimize(speed))]
pub(super) fn get(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    answer_here(ctx, ctx.key(args), reply);
    Ok(Flow::Continue)
}

/// `MGET key [key ...]`
pub(super) fn mget(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    reply.array(args.len() - 1);
    args.from(1).for_each(|key| answer(ctx, key.into(), reply));
    Ok(Flow::Continue)
}

/// Answers with the value of a key.
#[cfg_attr(memento_small, inline(never))]
pub(super) fn answer(ctx: &mut Ctx<'_>, key: Key<'_>, reply: &mut Reply<'_>) {
    answer_here(ctx, key, reply);
}

/// As [`answer`], its code put where it is used.
#[inline(always)]
fn answer_here(ctx: &mut Ctx<'_>, key: Key<'_>, reply: &mut Reply<'_>) {
    match ctx.find_here(key) {
        Some(entry) => reply_value(reply, entry.value()),
        None => reply.null(),
    }
}

/// `GETDEL key`: the value, which is deleted.
pub(super) fn getdel(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let key = ctx.key(args);
    answer(ctx, key, reply);
    if ctx.state.store.remove(key, ctx.state.now.ms) {
        ctx.state.tell(Event::Del, key.bytes);
    }
    Ok(Flow::Continue)
}

/// `DELIFEQ key value`: 1 when the key had that value, and is deleted.
pub(super) fn delifeq(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let (key, now_ms) = (&args[1], ctx.state.now.ms);
    let equal = ctx.state.store.get(key, now_ms).is_some_and(|entry| *entry.value().bytes() == args[2]);
    let deleted = equal && ctx.state.store.remove(key, now_ms);
    if deleted {
        ctx.state.tell(Event::Del, key);
    }
    reply.integer(deleted.into());
    Ok(Flow::Continue)
}

/// `STRLEN key`: 0 for a missing one.
pub(super) fn strlen(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let length = ctx.find(ctx.key(args)).map_or(0, |entry| entry.value().bytes().len());
    reply.integer(length as i64);
    Ok(Flow::Continue)
}

/// `GETRANGE key start end`, `SUBSTR key start end`: a part of the value, both ends included, negative places counted
/// from the value's end.
pub(super) fn getrange(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let (start, end) = (integer(&args[2])?, integer(&args[3])?);
    let Some(entry) = ctx.find(&args[1]) else {
        reply.bulk(b"");
        return Ok(Flow::Continue);
    };
    let value = entry.value();
    let bytes = value.bytes();
    match range(start, end, bytes.len()) {
        (0, end) if end == bytes.len() => reply_value(reply, value),
        (start, end) => reply.bulk(&bytes[start..end]),
    }
    Ok(Flow::Continue)
}

/// Which bytes of so many are meant, the end not included. A place before the first one is the first, at the range's
/// end too, as in Redis.
fn range(start: i64, end: i64, length: usize) -> (usize, usize) {
    let length = length as i64;
    if start < 0 && end < 0 && start > end {
        return (0, 0);
    }
    let place = |place: i64| if place < 0 { place.saturating_add(length).max(0) } else { place };
    let (start, end) = (place(start), place(end).min(length - 1));
    if start > end { (0, 0) } else { (start as usize, end as usize + 1) }
}

/// `SETRANGE key offset value`: the new length. What was not there before the offset becomes zeros.
pub(super) fn setrange(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let offset = integer(&args[2])?;
    let out_of_range = || CommandError::Other("ERR offset is out of range".into());
    let offset = usize::try_from(offset).map_err(|_| out_of_range())?;
    let (key, part, now_ms) = (&args[1], &args[3], ctx.state.now.ms);
    let old = ctx.state.store.get_mut(key, now_ms);
    let length = old.as_ref().map_or(0, |entry| entry.value().bytes().len());
    if part.is_empty() {
        reply.integer(length as i64);
        return Ok(Flow::Continue);
    }
    let end = offset.checked_add(part.len()).filter(|&end| end <= VALUE_BYTES_MAX);
    let end = end.ok_or(CommandError::ValueTooLong)?;
    match old {
        Some(mut entry) => {
            entry.try_reserve(length.max(end))?;
            entry.write_at(offset, part);
        }
        None => {
            let mut value = Blob::try_with_room(end)?;
            value.write_at(offset, part);
            ctx.state.store.upsert_shared(key, value.into(), Expiry::Never, now_ms);
        }
    }
    ctx.state.tell(Event::SetRange, key);
    reply.integer(length.max(end) as i64);
    Ok(Flow::Continue)
}

/// `APPEND key value`: the new length.
pub(super) fn append(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    extend(ctx, args, reply, Event::Append, |entry, bytes| entry.append(bytes))
}

/// `PREPEND key value`: the new length.
pub(super) fn prepend(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    extend(ctx, args, reply, Event::Prepend, |entry, bytes| entry.prepend(bytes))
}

fn extend(
    ctx: &mut Ctx<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
    event: Event,
    change: fn(&mut EntryMut<'_>, &[u8]),
) -> Outcome {
    let (key, more) = (ctx.key(args), &args[2]);
    let length = match ctx.state.store.get_mut(key, ctx.state.now.ms) {
        Some(mut entry) => {
            let length = entry.value().bytes().len() + more.len();
            if length > VALUE_BYTES_MAX {
                return Err(CommandError::ValueTooLong);
            }
            entry.try_reserve(length)?;
            change(&mut entry, more);
            length
        }
        None => {
            ctx.state.store.upsert(key, more, Expiry::Never, ctx.state.now.ms);
            more.len()
        }
    };
    ctx.state.tell(event, key.bytes);
    reply.integer(length as i64);
    Ok(Flow::Continue)
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn ranges_are_those_of_redis() {
        let part = |start, end| {
            let (start, end) = range(start, end, 5);
            &"hello"[start..end]
        };
        assert_eq!((part(0, -1), part(1, 3), part(-3, -2), part(3, 100)), ("hello", "ell", "ll", "lo"));
        assert_eq!((part(-100, 1), part(3, 2), part(5, 9), part(-1, -2)), ("he", "", "", ""));
        assert_eq!((part(0, -100), part(1, -100), part(i64::MIN, i64::MAX)), ("h", "", "hello"));
        assert_eq!(range(0, -1, 0), (0, 0));
        assert_eq!(range(i64::MIN, i64::MIN, 0), (0, 0));
    }
}
