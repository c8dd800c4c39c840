//! The node: TIME, ACL, DEBUG.

use super::{CommandError, Ctx, DebugAccess, Flow, Outcome, echo};
use crate::proto::{Args, Reply};
use std::time::Duration;

/// `TIME`: seconds and microseconds.
pub(super) fn time(ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let now_us = (ctx.state.host.wall_us)();
    reply.array(2);
    reply.bulk((now_us / 1_000_000).to_string().as_bytes());
    reply.bulk((now_us % 1_000_000).to_string().as_bytes());
    Ok(Flow::Continue)
}

/// `ACL WHOAMI`: there is one user.
pub(super) fn whoami(_ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    reply.bulk(b"default");
    Ok(Flow::Continue)
}

/// Whether DEBUG may be used by this client.
pub(super) fn check_debug(ctx: &Ctx<'_>) -> Result<(), CommandError> {
    let allowed = match ctx.state.settings.debug_access {
        DebugAccess::No => false,
        DebugAccess::Local => ctx.peer.is_local(),
        DebugAccess::Yes => true,
    };
    if allowed {
        return Ok(());
    }
    Err(CommandError::other(
        "DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a \
         local connection, otherwise you need to set this option in the configuration file, and then restart the \
         server.",
    ))
}

/// `DEBUG SLEEP seconds`: holds up the whole server, for tests.
pub(super) fn debug(_ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let seconds = args.get(2).filter(|_| args[1].eq_ignore_ascii_case(b"sleep") && args.len() == 3);
    let Some(seconds) = seconds else {
        let text =
            format!("ERR unknown subcommand or wrong number of arguments for '{}'. Try DEBUG HELP.", echo(&args[1]));
        return Err(CommandError::Other(text));
    };
    // What is no number is none at all, as in Redis.
    let seconds = std::str::from_utf8(seconds).ok().and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    std::thread::sleep(Duration::try_from_secs_f64(seconds).unwrap_or_default());
    reply.ok();
    Ok(Flow::Continue)
}
