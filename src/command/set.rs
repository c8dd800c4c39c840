//! Setting a whole value, under conditions and for a time: SET and its kin, and GETEX, whose options are of the same
//! kind.

use super::events::Event;
use super::{CommandError, Ctx, Flow, Now, Outcome, choice, integer, reply_value, string};
use crate::proto::{Args, Reply, Word};
use crate::store::{Expiry, Key, Value};
use std::rc::Rc;

/// `SET key value [NX | XX | IFEQ value] [GET] [EX s | PX ms | EXAT unix-s | PXAT unix-ms | KEEPTTL]`: OK, or nothing
/// where the condition fails; with GET the old value.
#[cfg_attr(memento_small, optimize(speed))]
pub(super) fn set(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    if args.len() == 3 {
        store_value(ctx, args, ctx.key(args), 2, Expiry::Never);
        reply.ok();
        return Ok(Flow::Continue);
    }
    set_with_options(ctx, args, reply)
}

#[inline(never)]
fn set_with_options(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let options = Options::parse(args, 3, Options::set_word)?;
    let expiry = match options.time {
        Some((time, number)) => Expiry::At(time.deadline_ms(ctx.state.now, number, "set")?),
        None if options.keep => Expiry::Keep,
        None => Expiry::Never,
    };
    let key = ctx.key(args);
    if options.get {
        string::answer(ctx, key, reply);
    }
    let old = || ctx.state.store.get(key, ctx.state.now.ms).map(|entry| entry.value());
    let holds = matches!(options.condition, Condition::Always) || options.condition.holds(old());
    if holds {
        store_value(ctx, args, key, 2, expiry);
    }
    match holds {
        _ if options.get => {}
        true => reply.ok(),
        false => reply.null(),
    }
    Ok(Flow::Continue)
}

/// `SETNX key value`: 1 when it was set.
pub(super) fn setnx(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let key = ctx.key(args);
    let free = ctx.state.store.get(key, ctx.state.now.ms).is_none();
    if free {
        store_value(ctx, args, key, 2, Expiry::Never);
    }
    reply.integer(free.into());
    Ok(Flow::Continue)
}

/// `GETSET key value`: the old value.
pub(super) fn getset(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let key = ctx.key(args);
    string::answer(ctx, key, reply);
    store_value(ctx, args, key, 2, Expiry::Never);
    Ok(Flow::Continue)
}

/// `SETEX key seconds value`
pub(super) fn setex(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    set_expiring(ctx, args, Time::Seconds, "setex", reply)
}

/// `PSETEX key milliseconds value`
pub(super) fn psetex(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    set_expiring(ctx, args, Time::Milliseconds, "psetex", reply)
}

fn set_expiring(ctx: &mut Ctx<'_>, args: Args<'_>, time: Time, name: &'static str, reply: &mut Reply<'_>) -> Outcome {
    let at_ms = time.deadline_ms(ctx.state.now, &args[2], name)?;
    store_value(ctx, args, ctx.key(args), 3, Expiry::At(at_ms));
    reply.ok();
    Ok(Flow::Continue)
}

/// `MSET key value [key value ...]`
pub(super) fn mset(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    check_mset(args)?;
    store_pairs(ctx, args)?;
    reply.ok();
    Ok(Flow::Continue)
}

/// Refuses a key without a value.
pub(super) fn check_mset(args: Args<'_>) -> Result<(), CommandError> {
    if args.len().is_multiple_of(2) { Err(CommandError::Arity("mset")) } else { Ok(()) }
}

/// `MSETNX key value [key value ...]`: 1 when they were set, 0 when one of the keys was there and nothing is set.
pub(super) fn msetnx(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    if args.len().is_multiple_of(2) {
        return Err(CommandError::Arity("msetnx"));
    }
    let free = args.from(1).step_by(2).all(|key| ctx.state.store.get(key, ctx.state.now.ms).is_none());
    if free {
        store_pairs(ctx, args)?;
    }
    reply.integer(free.into());
    Ok(Flow::Continue)
}

/// Stores all pairs, or none where the system may not have the memory for all.
fn store_pairs(ctx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    // What was received into a buffer of its own takes no more.
    let bytes = args.words().map(|word| if let Word::Received(bytes) = word { bytes.len() } else { 0 }).sum();
    if !ctx.state.store.has_room(args.len(), bytes) {
        return Err(CommandError::NoMemory);
    }
    (1..args.len()).step_by(2).for_each(|place| store_value(ctx, args, args[place].into(), place + 1, Expiry::Never));
    Ok(())
}

/// Stores one of the request's words as the value of a key. Every whole value of a request comes through here: a
/// value that was received into a buffer of its own is stored with it. One that ends at once is not stored at all.
#[inline]
#[cfg_attr(memento_small, optimize(speed))]
fn store_value(ctx: &mut Ctx<'_>, args: Args<'_>, key: Key<'_>, value: usize, expiry: Expiry) {
    let now_ms = ctx.state.now.ms;
    if matches!(expiry, Expiry::At(at_ms) if at_ms <= now_ms) {
        if !ctx.state.store.remove(key, now_ms) {
            // To who watches it, it was there for a moment.
            ctx.state.store.note_change(key);
        }
        return tell_set(ctx, key, expiry);
    }
    match args.word(value) {
        Word::Received(bytes) => ctx.state.store.upsert(key, bytes, expiry, now_ms),
        Word::Long(value) => ctx.state.store.upsert_shared(key, Rc::clone(value), expiry, now_ms),
    }
    if ctx.state.pubsub.events != 0 {
        tell_set(ctx, key, expiry);
    }
}

/// The events of a value that was set, maybe for no time at all.
#[cold]
#[inline(never)]
fn tell_set(ctx: &mut Ctx<'_>, key: Key<'_>, expiry: Expiry) {
    ctx.state.tell(Event::Set, key.bytes);
    if let Expiry::At(at_ms) = expiry {
        ctx.state.tell(Event::Expire, key.bytes);
        if at_ms <= ctx.state.now.ms {
            ctx.state.tell(Event::Expired, key.bytes);
        }
    }
}

/// `GETEX key [EX s | PX ms | EXAT unix-s | PXAT unix-ms | PERSIST]`: the value, and its expiry is changed.
pub(super) fn getex(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let options = Options::parse(args, 2, Options::getex_word)?;
    if options.time.is_some() {
        ctx.state.want_memory()?;
    }
    let (key, now) = (&args[1], ctx.state.now);
    let Some(entry) = ctx.find(key) else {
        reply.null();
        return Ok(Flow::Continue);
    };
    let time = options.time.map(|(time, number)| time.deadline_ms(now, number, "getex")).transpose()?;
    reply_value(reply, entry.value());
    let expires = entry.expires_ms().is_some();
    match time {
        Some(at_ms) if at_ms <= now.ms => {
            ctx.state.store.remove(key, now.ms);
            ctx.state.tell(Event::Del, key);
        }
        None if !options.persist || !expires => {}
        // To have no time is what PERSIST asks for.
        time => {
            if let Some(mut entry) = ctx.state.store.get_mut(key, now.ms) {
                entry.set_expires(time);
            }
            ctx.state.tell(if time.is_some() { Event::Expire } else { Event::Persist }, key);
        }
    }
    Ok(Flow::Continue)
}

/// What the options of a command say.
#[derive(Default)]
struct Options<'a> {
    condition: Condition<'a>,
    /// Whether the old value is the answer.
    get: bool,
    /// Whether the expiry stays.
    keep: bool,
    /// Whether the expiry goes.
    persist: bool,
    /// When the key is to end.
    time: Option<(Time, &'a [u8])>,
}

/// On what it depends whether a value is set.
#[derive(Clone, Copy, Default)]
enum Condition<'a> {
    #[default]
    Always,
    /// There is no value.
    None,
    /// There is one.
    Some,
    /// It is this one.
    Equal(&'a [u8]),
}

impl Condition<'_> {
    fn holds(self, old: Option<Value<'_>>) -> bool {
        match self {
            Condition::Always => true,
            Condition::None => old.is_none(),
            Condition::Some => old.is_some(),
            Condition::Equal(value) => old.is_some_and(|old| old.bytes() == value),
        }
    }
}

/// How a time is given.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Time {
    /// From now on.
    Seconds,
    Milliseconds,
    /// Since the Unix epoch.
    UnixSeconds,
    UnixMilliseconds,
}

impl<'a> Options<'a> {
    /// Reads the words from `first` on. `take` takes an option, with the word after it where it needs that, and tells
    /// how many words it took; none where the option does not fit here.
    fn parse(args: Args<'a>, first: usize, take: Take<'a>) -> Result<Options<'a>, CommandError> {
        let (mut options, mut place) = (Options::default(), first);
        while let Some(word) = args.get(place) {
            place += take(&mut options, word, args.get(place + 1)).ok_or(CommandError::Syntax)?;
        }
        Ok(options)
    }

    /// Takes an option of SET. One may be repeated, as in Redis, unless it contradicts another.
    fn set_word(&mut self, word: &[u8], next: Option<&'a [u8]>) -> Option<usize> {
        match (choice(word, &["nx", "xx", "ifeq", "get", "keepttl"]), self.condition) {
            (Some(0), Condition::Always | Condition::None) => self.condition = Condition::None,
            (Some(1), Condition::Always | Condition::Some) => self.condition = Condition::Some,
            (Some(2), Condition::Always) => {
                self.condition = Condition::Equal(next?);
                return Some(2);
            }
            (Some(3), _) => self.get = true,
            (Some(4), _) if self.time.is_none() => self.keep = true,
            _ => return self.time_word(word, next),
        }
        Some(1)
    }

    /// Takes an option of GETEX.
    fn getex_word(&mut self, word: &[u8], next: Option<&'a [u8]>) -> Option<usize> {
        if self.time.is_none() && choice(word, &["persist"]).is_some() {
            self.persist = true;
            return Some(1);
        }
        self.time_word(word, next)
    }

    /// Takes an option that says when the key is to end.
    fn time_word(&mut self, word: &[u8], next: Option<&'a [u8]>) -> Option<usize> {
        let time = match choice(word, &["ex", "px", "exat", "pxat"])? {
            0 => Time::Seconds,
            1 => Time::Milliseconds,
            2 => Time::UnixSeconds,
            _ => Time::UnixMilliseconds,
        };
        let fits = !self.keep && !self.persist && self.time.is_none_or(|(before, _)| before == time);
        self.time = Some((time, next?));
        fits.then_some(2)
    }
}

/// Takes an option into what was read so far.
type Take<'a> = fn(&mut Options<'a>, &[u8], Option<&'a [u8]>) -> Option<usize>;

impl Time {
    /// The boot clock's time that `number` says, 0 for one before boot; an error in the name of a command for one that
    /// is not after the epoch (or not after now, where it counts from now) or that no clock will show.
    fn deadline_ms(self, now: Now, number: &[u8], name: &'static str) -> Result<u64, CommandError> {
        let unit_ms = match self {
            Time::Seconds | Time::UnixSeconds => 1000,
            Time::Milliseconds | Time::UnixMilliseconds => 1,
        };
        let bad_time = CommandError::ExpireTime(name);
        let time_ms = integer(number)?.checked_mul(unit_ms).filter(|&time_ms| time_ms > 0).ok_or(bad_time.clone())?;
        let at_ms = match self {
            Time::Seconds | Time::Milliseconds => now.deadline_ms(time_ms).ok_or(bad_time)?,
            Time::UnixSeconds | Time::UnixMilliseconds => now.to_boot_ms(time_ms),
        };
        Ok(u64::try_from(at_ms).unwrap_or(0))
    }
}
