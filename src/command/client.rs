//! CLIENT: what a client says of itself, and what it asks of others.

use super::session::{Replies, check_name, set_name};
use super::{CommandError, Ctx, Deferred, Flow, Outcome, echo, integer, unknown_subcommand};
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

/// Which clients are meant; what is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Their numbers.
    pub ids: Option<Vec<u64>>,
    /// Where they come from.
    pub address: Option<String>,
    /// Where they came to.
    pub local_address: Option<String>,
    /// Whether they are ordinary clients; there are no others here.
    pub ordinary: Option<bool>,
    /// Whether they are the default user's; there are no others here.
    pub default_user: Option<bool>,
    /// Whether the asking one is left out.
    pub skip_me: bool,
}

/// `CLIENT subcommand ...`
pub(super) fn client(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let sub = args[1].to_ascii_lowercase();
    let words = args.len();
    match (sub.as_slice(), words) {
        (b"id", 2) => reply.integer(ctx.session.id as i64),
        (b"getname", 2) if ctx.session.name().is_empty() => reply.null(),
        (b"getname", 2) => reply.bulk(ctx.session.name()),
        (b"setname", 3) => {
            check_name(&args[2])?;
            set_name(ctx.session, &args[2]);
            reply.ok();
        }
        (b"setinfo", 4) => {
            set_info(ctx, &args[2], &args[3])?;
            reply.ok();
        }
        (b"info", 2) => return Ok(Flow::Wait(Deferred::Clients(Clients::Info))),
        (b"list", _) => return Ok(Flow::Wait(Deferred::Clients(Clients::List(list_filter(args)?)))),
        (b"kill", 3) => return Ok(Flow::Wait(Deferred::Clients(Clients::KillAddress(echo(&args[2]))))),
        (b"kill", 4..) => return Ok(Flow::Wait(Deferred::Clients(Clients::Kill(kill_filter(args)?)))),
        (b"reply", 3) => return set_replies(ctx, &args[2], reply),
        (b"no-evict", 3) => {
            ctx.session.no_evict = on_or_off(&args[2])?;
            reply.ok();
        }
        (b"no-touch", 3) => {
            ctx.session.no_touch = on_or_off(&args[2])?;
            reply.ok();
        }
        (b"help", 2) => {
            reply.array(HELP.len());
            HELP.iter().for_each(|line| reply.simple(line));
        }
        (
            b"id" | b"getname" | b"setname" | b"setinfo" | b"info" | b"kill" | b"reply" | b"no-evict" | b"no-touch",
            _,
        ) => {
            return Err(CommandError::Other(format!(
                "ERR wrong number of arguments for 'client|{}' command",
                echo(&sub)
            )));
        }
        _ => return Err(unknown_subcommand("CLIENT", &args[1])),
    }
    Ok(Flow::Continue)
}

const HELP: [&str; 12] = [
    "CLIENT <subcommand> [<arg> ...]. Subcommands are:",
    "GETNAME: the connection's name",
    "HELP: this",
    "ID: the connection's number",
    "INFO: what is known of the connection",
    "KILL <ip:port>: close the connection from there",
    "KILL <option> <value> ...: close those that fit: ADDR, LADDR, ID, TYPE normal, USER default, SKIPME yes|no",
    "LIST [TYPE normal | ID <id> ...]: what is known of connections, a line each",
    "NO-EVICT on|off, NO-TOUCH on|off: what eviction does for the connection",
    "REPLY on|off|skip: which replies are sent",
    "SETINFO LIB-NAME|LIB-VER <value>: what library it uses",
    "SETNAME <name>: give the connection a name",
];

fn on_or_off(word: &[u8]) -> Result<bool, CommandError> {
    match word.to_ascii_lowercase().as_slice() {
        b"on" => Ok(true),
        b"off" => Ok(false),
        _ => Err(CommandError::Syntax),
    }
}

fn set_info(ctx: &mut Ctx<'_>, attribute: &[u8], value: &[u8]) -> Result<(), CommandError> {
    let name = attribute.to_ascii_lowercase();
    let clean = value.iter().all(u8::is_ascii_graphic);
    if !matches!(name.as_slice(), b"lib-name" | b"lib-ver") {
        return Err(CommandError::Other(format!("ERR Unrecognized option '{}'", echo(attribute))));
    }
    if !clean {
        let text = format!("ERR {} cannot contain spaces, newlines or special characters.", echo(&name));
        return Err(CommandError::Other(text));
    }
    let names = ctx.session.names.get_or_insert_default();
    let place = if name == b"lib-name" { &mut names.library } else { &mut names.version };
    *place = value.to_vec();
    Ok(())
}

/// `CLIENT REPLY ON|OFF|SKIP`: only ON is answered.
fn set_replies(ctx: &mut Ctx<'_>, mode: &[u8], reply: &mut Reply<'_>) -> Outcome {
    ctx.session.replies = match mode.to_ascii_lowercase().as_slice() {
        b"on" => Replies::On,
        b"off" => Replies::Off,
        b"skip" if ctx.session.replies == Replies::Off => Replies::Off,
        b"skip" => Replies::SkipNext,
        _ => return Err(CommandError::Syntax),
    };
    if ctx.session.replies != Replies::On {
        return Ok(Flow::Unanswered);
    }
    reply.ok();
    Ok(Flow::Continue)
}

/// `CLIENT LIST [TYPE type] | [ID id ...]`
fn list_filter(args: Args<'_>) -> Result<Filter, CommandError> {
    let mut filter = Filter::default();
    let Some(option) = args.get(2) else { return Ok(filter) };
    if option.eq_ignore_ascii_case(b"TYPE") && args.len() == 4 {
        filter.ordinary = Some(is_ordinary(&args[3])?);
    } else if option.eq_ignore_ascii_case(b"ID") && args.len() > 3 {
        let ids = args.from(3).map(|id| client_id(id).ok_or_else(|| CommandError::other("Invalid client ID")));
        filter.ids = Some(ids.collect::<Result<_, _>>()?);
    } else {
        return Err(CommandError::Syntax);
    }
    Ok(filter)
}

/// `CLIENT KILL option value ...`
fn kill_filter(args: Args<'_>) -> Result<Filter, CommandError> {
    let mut filter = Filter { skip_me: true, ..Filter::default() };
    if !args.len().is_multiple_of(2) {
        return Err(CommandError::Syntax);
    }
    for at in (2..args.len()).step_by(2) {
        let value = &args[at + 1];
        match args[at].to_ascii_lowercase().as_slice() {
            b"id" => {
                let id = client_id(value);
                let wrong = || CommandError::other("client-id should be greater than 0");
                integer(value).map_err(|_| wrong())?;
                filter.ids = Some(vec![id.ok_or_else(wrong)?]);
            }
            b"type" => filter.ordinary = Some(is_ordinary(value)?),
            b"addr" => filter.address = Some(echo(value)),
            b"laddr" => filter.local_address = Some(echo(value)),
            b"user" if value == b"default" => filter.default_user = Some(true),
            b"user" => return Err(CommandError::Other(format!("ERR No such user '{}'", echo(value)))),
            b"skipme" => match value.to_ascii_lowercase().as_slice() {
                b"yes" => filter.skip_me = true,
                b"no" => filter.skip_me = false,
                _ => return Err(CommandError::Syntax),
            },
            _ => return Err(CommandError::Syntax),
        }
    }
    Ok(filter)
}

fn client_id(text: &[u8]) -> Option<u64> {
    crate::proto::integer(text).and_then(|id| u64::try_from(id).ok()).filter(|&id| id > 0)
}

/// Whether a client type is the ordinary one; others that Redis knows match nobody.
fn is_ordinary(kind: &[u8]) -> Result<bool, CommandError> {
    match kind.to_ascii_lowercase().as_slice() {
        b"normal" => Ok(true),
        b"master" | b"replica" | b"slave" | b"pubsub" => Ok(false),
        _ => Err(CommandError::Other(format!("ERR Unknown client type '{}'", echo(kind)))),
    }
}
