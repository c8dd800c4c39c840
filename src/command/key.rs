//! Keys, whatever they hold: DEL, EXISTS, RENAME, COPY, GETP, KEYS, SCAN, DBSIZE, FLUSH and their kin.

use super::events::Event;
use super::glob::Matcher;
use super::walk::{Found, KeysWalk};
use super::{CommandError, Ctx, Deferred, Flow, Outcome, Walk, choice, integer, reply_value};
use crate::limits::{SCAN_BYTES_MAX, SCAN_ENTRIES_MAX, SWEEP_ENTRIES_AT_ONCE};
use crate::proto::{Args, Digits, Reply};
use crate::store::{Cursor, unforeseen};

/// `DEL key [key ...]`, `UNLINK key [key ...]`: how many there were.
pub(super) fn del(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let mut deleted = 0;
    for key in args.from(1) {
        if ctx.state.store.remove(key, ctx.state.now.ms) {
            ctx.state.tell(Event::Del, key);
            deleted += 1;
        }
    }
    reply.integer(deleted);
    Ok(Flow::Continue)
}

/// `EXISTS key [key ...]`: how many there are; a key named twice counts twice.
pub(super) fn exists(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let found = args.from(1).filter(|&key| ctx.peek(key).is_some()).count();
    reply.integer(found as i64);
    Ok(Flow::Continue)
}

/// `TOUCH key [key ...]`: as EXISTS, and each is used, whatever CLIENT NO-TOUCH says.
pub(super) fn touch(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    for key in args.from(1) {
        ctx.state.store.read(key, ctx.state.now.ms);
    }
    exists(ctx, args, reply)
}

/// `TYPE key`: all there is are strings.
pub(super) fn kind(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    reply.simple(if ctx.peek(&args[1]).is_some() { "string" } else { "none" });
    Ok(Flow::Continue)
}

/// `RANDOMKEY`
pub(super) fn randomkey(ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    match ctx.state.store.random(unforeseen(), ctx.state.now.ms) {
        Some(entry) => reply.bulk(entry.key()),
        None => reply.null(),
    }
    Ok(Flow::Continue)
}

/// `RENAME key newkey`
pub(super) fn rename(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    ctx.state.want_room(1, args[2].len())?;
    if !ctx.state.store.rename(&args[1], &args[2], ctx.state.now.ms) {
        return Err(CommandError::NoSuchKey);
    }
    tell_renamed(ctx, args);
    reply.ok();
    Ok(Flow::Continue)
}

/// `RENAMENX key newkey`: 1 when there was no `newkey`.
pub(super) fn renamenx(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    if ctx.state.store.get(&args[1], ctx.state.now.ms).is_none() {
        return Err(CommandError::NoSuchKey);
    }
    ctx.state.want_room(1, args[2].len())?;
    let free = ctx.state.store.get(&args[2], ctx.state.now.ms).is_none();
    let renamed = free && ctx.state.store.rename(&args[1], &args[2], ctx.state.now.ms);
    if renamed {
        tell_renamed(ctx, args);
    }
    reply.integer(renamed.into());
    Ok(Flow::Continue)
}

/// A key has another name; its own is none.
fn tell_renamed(ctx: &mut Ctx<'_>, args: Args<'_>) {
    if args[1] != args[2] {
        ctx.state.tell(Event::RenameFrom, &args[1]);
        ctx.state.tell(Event::RenameTo, &args[2]);
    }
}

/// `COPY source destination [DB 0] [REPLACE]`: 1 when it was copied.
pub(super) fn copy(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let replace = parse_copy(args)?;
    let (from, to, now_ms) = (&args[1], &args[2], ctx.state.now.ms);
    if from == to {
        return Err(CommandError::Other("ERR source and destination objects are the same".into()));
    }
    let found = ctx.find(from).is_some();
    let free = replace || ctx.state.store.get(to, now_ms).is_none();
    let copied = found && free && ctx.state.store.copy(from, to, now_ms);
    if copied {
        ctx.state.tell(Event::CopyTo, to);
    }
    reply.integer(copied.into());
    Ok(Flow::Continue)
}

/// Whether COPY may replace its destination.
fn parse_copy(args: Args<'_>) -> Result<bool, CommandError> {
    let mut replace = false;
    let mut words = args.from(3);
    while let Some(option) = words.next() {
        if option.eq_ignore_ascii_case(b"REPLACE") {
            replace = true;
        } else if option.eq_ignore_ascii_case(b"DB") {
            check_database(words.next().ok_or(CommandError::Syntax)?)?;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    Ok(replace)
}

/// There is one database, of number 0.
fn check_database(number: &[u8]) -> Result<(), CommandError> {
    let text = match i32::try_from(integer(number)?) {
        Ok(0) => return Ok(()),
        Ok(_) => "ERR DB index is out of range".into(),
        Err(_) => format!("ERR value is out of range, value must between {} and {}", i32::MIN, i32::MAX),
    };
    Err(CommandError::Other(text))
}

/// `GETP key`: its properties; times in milliseconds since the Unix epoch, -1 for no expiry.
pub(super) fn getp(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let now = ctx.state.now;
    let Some(entry) = ctx.find(&args[1]) else {
        reply.null();
        return Ok(Flow::Continue);
    };
    reply.map(4);
    reply.named_bulk("key", entry.key());
    reply.field("value");
    reply_value(reply, entry.value());
    reply.named_integer("creation_time", now.to_wall_ms(entry.created_ms()));
    reply.named_integer("expire_time", entry.expires_ms().map_or(-1, |expires_ms| now.to_wall_ms(expires_ms)));
    Ok(Flow::Continue)
}

/// `DBSIZE`
pub(super) fn dbsize(ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    // What has ended since the last sweep does not count, unless it is very much.
    ctx.state.stats.expired_keys += ctx.state.store.sweep(ctx.state.now.ms, SWEEP_ENTRIES_AT_ONCE) as u64;
    ctx.state.tell_expired();
    reply.integer(ctx.state.store.len() as i64);
    Ok(Flow::Continue)
}

/// `FLUSH`: every key is gone at once; their memory comes back over the next turns.
pub(super) fn flush(ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    super::transaction::mark_flush(ctx);
    ctx.state.store.flush();
    reply.ok();
    Ok(Flow::Continue)
}

/// `FLUSHDB [ASYNC | SYNC]`, `FLUSHALL [ASYNC | SYNC]`: as FLUSH, whichever way is asked for.
pub(super) fn flush_all(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    check_flush(args)?;
    flush(ctx, args, reply)
}

/// Refuses a way of flushing that there is not.
pub(super) fn check_flush(args: Args<'_>) -> Result<(), CommandError> {
    let known = args.from(1).all(|word| choice(word, &["async", "sync"]).is_some());
    if known && args.len() <= 2 { Ok(()) } else { Err(CommandError::Syntax) }
}

/// `KEYS pattern`: a walk over all keys, made in slices.
pub(super) fn keys(_ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let walk = KeysWalk::new(&args[1], reply.encoding());
    Ok(Flow::Wait(Box::new(Deferred::Walk(Walk::Keys(walk)))))
}

/// `SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]`: the next cursor, and some keys.
pub(super) fn scan(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let cursor = parse_cursor(&args[1]).ok_or_else(|| CommandError::other("invalid cursor"))?;
    let options = ScanOptions::parse(args)?;
    let (mut found, mut has_room) = (Found::default(), true);
    let mut matcher = options.pattern.map(Matcher::new);
    let next = ctx.state.store.scan(cursor, options.count, ctx.state.now.ms, &mut |entry| {
        let fits = options.strings && matcher.as_mut().is_none_or(|matcher| matcher.matches(entry.key()));
        if fits && found.bytes_used() <= SCAN_BYTES_MAX {
            has_room &= found.push(entry.key());
        }
    });
    if matcher.is_some_and(|matcher| matcher.gave_up()) {
        return Err(CommandError::PatternTooCostly);
    }
    if found.bytes_used() > SCAN_BYTES_MAX {
        return Err(CommandError::other("the keys here are too long to be listed"));
    }
    if !has_room {
        return Err(CommandError::NoMemory);
    }
    // In a cluster the walk goes on at the next node, unless the client asks each by itself.
    let behind = || ctx.state.slots.filter(|_| !ctx.session.readonly)?.behind();
    let next = next.or_else(behind);
    reply.array(2);
    reply.bulk(Digits::of(next.map_or(0, Cursor::to_u64) as i64).bytes());
    found.answer(found.len(), reply);
    Ok(Flow::Continue)
}

/// A cursor as Redis reads it, by strtoul(3): digits with or without a sign, a negative one wrapping around.
pub(super) fn parse_cursor(text: &[u8]) -> Option<Cursor> {
    // To C, a string ends with its first NUL.
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        _ => (false, text),
    };
    if text.is_empty() {
        return Some(Cursor::START);
    }
    let number: u64 = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?.parse().ok()?;
    Some(Cursor::from_u64(if negative { number.wrapping_neg() } else { number }))
}

struct ScanOptions<'a> {
    pattern: Option<&'a [u8]>,
    /// How many entries to look at.
    count: usize,
    /// Whether strings, which are all there is, are asked for.
    strings: bool,
}

impl<'a> ScanOptions<'a> {
    fn parse(args: Args<'a>) -> Result<ScanOptions<'a>, CommandError> {
        let mut options = ScanOptions { pattern: None, count: 10, strings: true };
        let mut words = args.from(2);
        while let Some(option) = words.next() {
            let value = words.next().ok_or(CommandError::Syntax)?;
            if option.eq_ignore_ascii_case(b"MATCH") {
                options.pattern = Some(value);
            } else if option.eq_ignore_ascii_case(b"COUNT") {
                let count = usize::try_from(integer(value)?).ok().filter(|&count| count > 0);
                options.count = count.ok_or(CommandError::Syntax)?.min(SCAN_ENTRIES_MAX);
            } else if option.eq_ignore_ascii_case(b"TYPE") {
                options.strings = value.eq_ignore_ascii_case(b"string");
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }
}
