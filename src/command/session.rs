//! The connection and the server's end: PING, ECHO, QUIT, EXIT, SHUTDOWN.

use super::{CommandError, Ctx, Flow, Outcome};
use crate::proto::{Args, Reply};

/// `PING [message]`
pub(super) fn ping(_ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    match args.get(1) {
        None => reply.simple("PONG"),
        Some(_) if args.len() > 2 => return Err(CommandError::Arity("ping")),
        Some(message) => reply.bulk(message),
    }
    Ok(Flow::Continue)
}

/// `ECHO message`
pub(super) fn echo(_ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    reply.bulk(&args[1]);
    Ok(Flow::Continue)
}

/// `QUIT`, `EXIT`
pub(super) fn quit(_ctx: &mut Ctx<'_>, _args: Args<'_>, _reply: &mut Reply<'_>) -> Outcome {
    Ok(Flow::Close)
}

/// `SHUTDOWN [NOSAVE] [NOW] [FORCE]`: with Redis's words for what makes no difference here.
pub(super) fn shutdown(_ctx: &mut Ctx<'_>, args: Args<'_>, _reply: &mut Reply<'_>) -> Outcome {
    let error = |text: &str| Err(CommandError::Other(format!("ERR {text}")));
    for word in args.from(1) {
        match word.to_ascii_lowercase().as_slice() {
            b"nosave" | b"now" | b"force" => {}
            b"abort" if args.len() == 2 => return error("No shutdown in progress."),
            b"save" if args.len() == 2 => {
                return error("this server has no snapshots to save to, use SHUTDOWN NOSAVE");
            }
            _ => return Err(CommandError::Syntax),
        }
    }
    Ok(Flow::Shutdown)
}
