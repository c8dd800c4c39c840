//! CLIENT: what a client says of itself, and what it asks of others.

use super::session::{self, Replies, check_name};
use super::sub::names;
use super::{CommandError, Ctx, Deferred, Flow, Outcome, choice, echo};
use crate::limits::{NAME_BYTES_MAX, PAUSE_MS_MAX};
use crate::proto::{Args, Reply};

/// What the server is to do with its clients, which no handler can see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clients {
    /// To tell of those that fit, a line each.
    List(Filter),
    /// To tell of this one.
    Info,
    /// To close those that fit, and say how many they were.
    Kill(Filter),
    /// To close the one at this address, or say that there is none.
    KillAddress(String),
}

/// Clients are held up: their requests wait, and so do their replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Until this time of the boot clock.
    pub until_ms: u64,
    /// Only requests that may change keys.
    pub writes_only: bool,
}

/// What a client is to Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// One with requests.
    Ordinary,
    /// One with subscriptions.
    Subscriber,
    /// One that there is none of here.
    Other,
}

/// Which clients are meant; what is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Their numbers.
    pub ids: Option<Vec<u64>>,
    /// Where they come from.
    pub address: Option<String>,
    /// Where they came to.
    pub local_address: Option<String>,
    /// Whether they are ordinary clients, or subscribers; those of other kinds are not here.
    pub kind: Option<ClientKind>,
    /// Whether they are the default user's; there are no others here.
    pub default_user: Option<bool>,
    /// Whether the asking one is left out.
    pub skip_me: bool,
}

/// `CLIENT ID`
pub(super) fn id(ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    reply.integer(ctx.session.id as i64);
    Ok(Flow::Continue)
}

/// `CLIENT GETNAME`
pub(super) fn get_name(ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    match ctx.session.name() {
        b"" => reply.null(),
        name => reply.bulk(name),
    }
    Ok(Flow::Continue)
}

/// `CLIENT SETNAME name`
pub(super) fn set_name(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    check_name(&args[2])?;
    session::set_name(ctx.session, &args[2]);
    reply.ok();
    Ok(Flow::Continue)
}

/// `CLIENT INFO`
pub(super) fn info(_ctx: &mut Ctx<'_>, _args: Args<'_>, _reply: &mut Reply<'_>) -> Outcome {
    Ok(Flow::Wait(Box::new(Deferred::Clients(Clients::Info))))
}

/// `CLIENT LIST [TYPE type] | [ID id ...]`
pub(super) fn list(_ctx: &mut Ctx<'_>, args: Args<'_>, _reply: &mut Reply<'_>) -> Outcome {
    Ok(Flow::Wait(Box::new(Deferred::Clients(Clients::List(list_filter(args)?)))))
}

/// `CLIENT KILL address`, `CLIENT KILL option value ...`
pub(super) fn kill(_ctx: &mut Ctx<'_>, args: Args<'_>, _reply: &mut Reply<'_>) -> Outcome {
    let request = match args.len() {
        3 => Clients::KillAddress(echo(&args[2])),
        _ => Clients::Kill(kill_filter(args)?),
    };
    Ok(Flow::Wait(Box::new(Deferred::Clients(request))))
}

/// `CLIENT NO-EVICT on|off`
pub(super) fn no_evict(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    ctx.session.no_evict = on_or_off(&args[2])?;
    reply.ok();
    Ok(Flow::Continue)
}

/// `CLIENT NO-TOUCH on|off`
pub(super) fn no_touch(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    ctx.session.no_touch = on_or_off(&args[2])?;
    reply.ok();
    Ok(Flow::Continue)
}

/// `CLIENT PAUSE milliseconds [WRITE|ALL]`: a longer pause is not shortened, and a wider one not narrowed.
pub(super) fn pause(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let writes_only = match args.get(3).map(|word| choice(word, &["all", "write"])) {
        None | Some(Some(0)) => false,
        Some(Some(_)) => true,
        Some(None) => return Err(CommandError::other("CLIENT PAUSE mode must be WRITE or ALL")),
    };
    if args.len() > 4 {
        return Err(CommandError::Syntax);
    }
    let after_ms = match crate::proto::integer(&args[2]) {
        None => return Err(CommandError::other("timeout is not an integer or out of range")),
        Some(..0) => return Err(CommandError::other("timeout is negative")),
        Some(after_ms) if after_ms > PAUSE_MS_MAX => return Err(CommandError::other("timeout is out of range")),
        Some(after_ms) => after_ms as u64,
    };
    let until_ms = ctx.state.now.ms + after_ms;
    let before = ctx.state.pause.filter(|before| before.until_ms > ctx.state.now.ms);
    ctx.state.pause = Some(Pause {
        until_ms: before.map_or(until_ms, |before| before.until_ms.max(until_ms)),
        writes_only: writes_only && before.is_none_or(|before| before.writes_only),
    });
    reply.ok();
    Ok(Flow::Continue)
}

/// `CLIENT UNPAUSE`
pub(super) fn unpause(ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    ctx.state.pause = None;
    reply.ok();
    Ok(Flow::Continue)
}

fn on_or_off(word: &[u8]) -> Result<bool, CommandError> {
    choice(word, &["off", "on"]).map(|place| place == 1).ok_or(CommandError::Syntax)
}

/// What CLIENT SETINFO takes.
const ATTRIBUTES: [&str; 2] = ["lib-name", "lib-ver"];

/// `CLIENT SETINFO LIB-NAME|LIB-VER value`
pub(super) fn set_info(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let (attribute, value) = (&args[2], &args[3]);
    let clean = value.len() <= NAME_BYTES_MAX && value.iter().all(u8::is_ascii_graphic);
    let Some(which) = choice(attribute, &ATTRIBUTES) else {
        return Err(CommandError::Other(format!("ERR Unrecognized option '{}'", echo(attribute))));
    };
    if !clean {
        let name = ATTRIBUTES[which];
        let text = format!("ERR {name} cannot contain spaces, newlines or special characters.");
        return Err(CommandError::Other(text));
    }
    let names = ctx.session.names.get_or_insert_default();
    let place = if which == 0 { &mut names.library } else { &mut names.version };
    *place = value.to_vec();
    reply.ok();
    Ok(Flow::Continue)
}

/// `CLIENT REPLY ON|OFF|SKIP`: only ON is answered.
pub(super) fn set_replies(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    ctx.session.replies = match choice(&args[2], &["on", "off", "skip"]).ok_or(CommandError::Syntax)? {
        0 => Replies::On,
        2 if ctx.session.replies != Replies::Off => Replies::SkipNext,
        _ => Replies::Off,
    };
    if ctx.session.replies != Replies::On {
        return Ok(Flow::Unanswered);
    }
    reply.ok();
    Ok(Flow::Continue)
}

fn list_filter(args: Args<'_>) -> Result<Filter, CommandError> {
    let mut filter = Filter::default();
    let Some(option) = args.get(2) else { return Ok(filter) };
    if option.eq_ignore_ascii_case(b"TYPE") && args.len() == 4 {
        filter.kind = Some(client_kind(&args[3])?);
    } else if option.eq_ignore_ascii_case(b"ID") && args.len() > 3 {
        let mut ids = Vec::new();
        for id in names(args, 3)? {
            ids.push(client_id(id).ok_or_else(|| CommandError::other("Invalid client ID"))?);
        }
        filter.ids = Some(ids);
    } else {
        return Err(CommandError::Syntax);
    }
    Ok(filter)
}

fn kill_filter(args: Args<'_>) -> Result<Filter, CommandError> {
    let mut filter = Filter { skip_me: true, ..Filter::default() };
    if !args.len().is_multiple_of(2) {
        return Err(CommandError::Syntax);
    }
    let mut words = args.from(2);
    while let (Some(option), Some(value)) = (words.next(), words.next()) {
        let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
        if is("id") {
            let wrong = || CommandError::other("client-id should be greater than 0");
            filter.ids = Some(vec![client_id(value).ok_or_else(wrong)?]);
        } else if is("type") {
            filter.kind = Some(client_kind(value)?);
        } else if is("addr") {
            filter.address = Some(echo(value));
        } else if is("laddr") {
            filter.local_address = Some(echo(value));
        } else if is("user") {
            if value != b"default" {
                return Err(CommandError::Other(format!("ERR No such user '{}'", echo(value))));
            }
            filter.default_user = Some(true);
        } else if is("skipme") {
            filter.skip_me = choice(value, &["no", "yes"]).ok_or(CommandError::Syntax)? == 1;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    Ok(filter)
}

fn client_id(text: &[u8]) -> Option<u64> {
    crate::proto::integer(text).and_then(|id| u64::try_from(id).ok()).filter(|&id| id > 0)
}

/// The kind of client that a word names.
fn client_kind(kind: &[u8]) -> Result<ClientKind, CommandError> {
    match choice(kind, &["normal", "pubsub", "master", "replica", "slave"]) {
        Some(0) => Ok(ClientKind::Ordinary),
        Some(1) => Ok(ClientKind::Subscriber),
        Some(_) => Ok(ClientKind::Other),
        None => Err(CommandError::Other(format!("ERR Unknown client type '{}'", echo(kind)))),
    }
}
