//! The node: TIME, ACL, DEBUG.

use super::decimal::Decimal;
use super::sub::not_so;
use super::{CommandError, Ctx, DebugAccess, Flow, Outcome};
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

/// Reads seconds, cut behind nine places after the point; none where they are negative.
fn duration(seconds: &[u8]) -> Option<Duration> {
    let text = Decimal::parse(seconds)?.rounded()?;
    let (whole, places) = text.split_once('.').unwrap_or((&text, ""));
    let ns = format!("{places:0<9.9}");
    Some(Duration::new(whole.parse().ok()?, ns.parse().ok()?))
}

/// `DEBUG SLEEP seconds`: holds up the whole server, for tests.
pub(super) fn debug(_ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let seconds = args.get(2).filter(|_| args[1].eq_ignore_ascii_case(b"sleep") && args.len() == 3);
    let Some(seconds) = seconds else {
        return Err(not_so(args, "DEBUG"));
    };
    // What is no number is none at all, as in Redis.
    std::thread::sleep(duration(seconds).unwrap_or_default());
    reply.ok();
    Ok(Flow::Continue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_their_parts() {
        let us = |text: &str| duration(text.as_bytes()).map(|time| time.as_micros());
        assert_eq!([us("0"), us("2"), us("0.25"), us("+.5")], [Some(0), Some(2_000_000), Some(250_000), Some(500_000)]);
        assert_eq!([us("1e-3"), us("0.0000019999")], [Some(1000), Some(1)]);
        assert_eq!([us("-1"), us("-0.5"), us("inf"), us("nan"), us(""), us("1s"), us("1e30")], [None; 7]);
    }
}
