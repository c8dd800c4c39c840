//! Values in Redis's serialised form: DUMP, RESTORE.

use super::events::Event;
use super::{CommandError, Ctx, Flow, Outcome, choice, integer};
use crate::blob::Blob;
use crate::dump::{self, Error, OVERHEAD_BYTES_MAX};
use crate::limits::{DUMP_BYTES_MAX, INLINE_VALUE_BYTES_MAX};
use crate::proto::{Args, Reply};
use crate::store::Expiry;
use std::rc::Rc;

/// `DUMP key`
pub(super) fn dump(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let Some(value) = ctx.find_value(ctx.key(args)) else {
        reply.null();
        return Ok(Flow::Continue);
    };
    let value = value.bytes();
    check_length(value.len())?;
    let payload = dump::encode(value)?;
    if payload.len() > INLINE_VALUE_BYTES_MAX {
        reply.shared(&Rc::new(payload))
    } else {
        reply.bulk(&payload)
    }
    Ok(Flow::Continue)
}

/// `RESTORE key ttl payload [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]`
pub(super) fn restore(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let options = Options::parse(args)?;
    let (key, now) = (&args[1], ctx.state.now);
    if !options.replace && ctx.state.store.get(key, now.ms).is_some() {
        return Err(CommandError::Other("BUSYKEY Target key name already exists.".into()));
    }
    let ttl = integer(&args[2])?;
    if ttl < 0 {
        return Err(CommandError::other("Invalid TTL value, must be >= 0"));
    }
    let payload = &args[3];
    check_length(payload.len().saturating_sub(OVERHEAD_BYTES_MAX))?;
    let bad_format = || CommandError::other("Bad data format");
    let packed = dump::decode(payload).map_err(|error| match error {
        Error::Seal => CommandError::other("DUMP payload version or checksum are wrong"),
        Error::Form => bad_format(),
    })?;
    check_length(packed.len())?;
    let mut value = Blob::for_arrival(packed.len(), packed.len())?;
    value.lengthen(packed.len());
    if !packed.write_to(&mut value) {
        return Err(bad_format());
    }
    let at_ms = match ttl {
        0 => None,
        _ if options.absolute => Some(now.to_boot_ms(ttl)),
        _ => Some(now.deadline_ms(ttl).ok_or(CommandError::ExpireTime("restore"))?),
    };
    match at_ms {
        // It has ended, and so has what it was to replace.
        Some(at_ms) if at_ms <= now.ms as i64 => {
            if ctx.state.store.remove(key, now.ms) {
                ctx.state.tell(Event::Del, key);
            }
        }
        _ => {
            value.shrink_to_fit();
            let expiry = at_ms.map_or(Expiry::Never, |at_ms| Expiry::At(at_ms as u64));
            ctx.state.store.upsert_shared(key, value.into(), expiry, now.ms);
            match options.used {
                Some((IDLETIME, seconds)) => ctx.state.store.set_idle_ms(key, seconds.saturating_mul(1000)),
                Some((_, count)) => ctx.state.store.set_use_count(key, count as u8),
                None => {}
            }
            ctx.state.tell(Event::Restore, key);
        }
    }
    reply.ok();
    Ok(Flow::Continue)
}

/// Refuses what would make everybody wait.
fn check_length(length: usize) -> Result<(), CommandError> {
    if length <= DUMP_BYTES_MAX {
        return Ok(());
    }
    Err(CommandError::Other(format!(
        "ERR value too long: DUMP and RESTORE take values of at most {DUMP_BYTES_MAX} bytes, use GET and SET"
    )))
}

/// What the words behind RESTORE's payload say.
#[derive(Default)]
struct Options {
    replace: bool,
    /// The time is one since the Unix epoch.
    absolute: bool,
    /// How long it was not used in seconds, or how often, and which of these is told.
    used: Option<(usize, u64)>,
}

/// The words that may stand behind the payload; and what is answered to a number behind the first two that is below 0, or
/// above this.
const WORDS: [&str; 4] = ["IDLETIME", "FREQ", "REPLACE", "ABSTTL"];
const IDLETIME: usize = 0;
const MOST: [(i64, &str); 2] =
    [(i64::MAX, "Invalid IDLETIME value, must be >= 0"), (255, "Invalid FREQ value, must be >= 0 and <= 255")];

impl Options {
    fn parse(args: Args<'_>) -> Result<Options, CommandError> {
        let mut options = Options::default();
        let mut words = args.from(4);
        while let Some(word) = words.next() {
            match choice(word, &WORDS) {
                Some(2) => options.replace = true,
                Some(3) => options.absolute = true,
                Some(which) if options.used.is_none_or(|(told, _)| told == which) => {
                    let number = integer(words.next().ok_or(CommandError::Syntax)?)?;
                    let (most, wrong) = MOST[which];
                    if !(0..=most).contains(&number) {
                        return Err(CommandError::other(wrong));
                    }
                    options.used = Some((which, number as u64));
                }
                _ => return Err(CommandError::Syntax),
            }
        }
        Ok(options)
    }
}
