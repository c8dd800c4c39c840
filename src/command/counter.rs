//! Values that are numbers: INC, DEC, INCF, DECF, and Redis's names for them.

use super::decimal::Decimal;
use super::events::Event;
use super::{CommandError, Ctx, Flow, Outcome, integer};
use crate::proto::{Args, Digits, Reply};
use crate::store::{Expiry, Key};

/// `INC key [qty]`
pub(super) fn inc(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    add(ctx, args, reply, i64::checked_add)
}

/// `DEC key [qty]`
pub(super) fn dec(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    add(ctx, args, reply, i64::checked_sub)
}

/// `DECRBY key qty`
pub(super) fn decrby(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    // Redis adds the negative, and there is none of this one.
    if integer(&args[2])? == i64::MIN {
        return Err(CommandError::Other("ERR decrement would overflow".into()));
    }
    dec(ctx, args, reply)
}

fn add(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>, sum: fn(i64, i64) -> Option<i64>) -> Outcome {
    let quantity = optional(args)?.map_or(Ok(1), integer)?;
    let key = ctx.key(args);
    let old = match ctx.state.store.get(key, ctx.state.now.ms) {
        Some(entry) => integer(entry.value().bytes())?,
        None => 0,
    };
    let new = sum(old, quantity).ok_or(CommandError::Overflow)?;
    put(ctx, key, Digits::of(new).bytes(), Event::IncrBy);
    reply.integer(new);
    Ok(Flow::Continue)
}

/// `INCF key [qty]`
pub(super) fn incf(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    add_decimal(ctx, args, reply, |quantity| quantity)
}

/// `DECF key [qty]`
pub(super) fn decf(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    add_decimal(ctx, args, reply, Decimal::negated)
}

/// `INCRBYFLOAT key qty`: as INCF, with Redis's word for infinity.
pub(super) fn incrbyfloat(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let old = ctx.state.store.get(&args[1], ctx.state.now.ms).map_or(&b"0"[..], |entry| entry.value().bytes());
    let infinite = [old, &args[2]].map(is_infinite);
    let is_number = |(text, infinite): (&[u8], bool)| infinite || Decimal::parse(text).is_some();
    if infinite != [false; 2] && [old, &args[2]].into_iter().zip(infinite).all(is_number) {
        return Err(CommandError::FloatOverflow);
    }
    incf(ctx, args, reply)
}

/// Whether this is what `strtold(3)` takes for infinity.
fn is_infinite(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    text.eq_ignore_ascii_case(b"inf") || text.eq_ignore_ascii_case(b"infinity")
}

fn add_decimal(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>, signed: fn(Decimal) -> Decimal) -> Outcome {
    let decimal = |text| Decimal::parse(text).ok_or(CommandError::NotFloat);
    let quantity = decimal(optional(args)?.unwrap_or(b"1"))?;
    let old = match ctx.state.store.get(&args[1], ctx.state.now.ms) {
        Some(entry) => decimal(entry.value().bytes())?,
        None => decimal(b"0")?,
    };
    let new = old.plus(signed(quantity)).rounded().ok_or(CommandError::FloatOverflow)?;
    put(ctx, ctx.key(args), new.as_bytes(), Event::IncrByFloat);
    reply.bulk(new.as_bytes());
    Ok(Flow::Continue)
}

/// The quantity, where one is given; more words than that are too many.
fn optional(args: Args<'_>) -> Result<Option<&[u8]>, CommandError> {
    if args.len() > 3 {
        let name = super::lookup(args.name()).map_or("", |spec| spec.name());
        return Err(CommandError::Arity(name));
    }
    Ok(args.get(2))
}

/// Changes a number in place, or makes the key.
fn put(ctx: &mut Ctx<'_>, key: Key<'_>, number: &[u8], event: Event) {
    match ctx.state.store.get_mut(key, ctx.state.now.ms) {
        Some(mut entry) => entry.set_value(number),
        None => ctx.state.store.upsert(key, number, Expiry::Never, ctx.state.now.ms),
    }
    if ctx.state.pubsub.events != 0 {
        ctx.state.tell(event, key.bytes);
    }
}
