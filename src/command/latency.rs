//! LATENCY: how long commands took. Of Redis's monitor of single events there is nothing; the slow log and the turns in
//! INFO tell of those.

use super::measure::CallStats;
use super::sub::names;
use super::{CommandError, Ctx, Flow, Outcome, echo, lookup, short};
use crate::proto::{Args, Reply};
use crate::stats::Histogram;

/// `LATENCY HISTOGRAM [command ...]`: of a family, all its subcommands.
pub(super) fn histogram(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let measures = &ctx.state.measures;
    let mut found: Vec<(&str, &Histogram)> = Vec::new();
    if args.len() == 2 {
        measures.each(&mut |name, stats| found.extend(called(name, stats)));
    }
    for wanted in names(args, 2)? {
        let wanted = short(wanted);
        let family = wanted.split(|&byte| byte == b'|').next().unwrap_or_default();
        let Some(spec) = lookup(family) else { continue };
        measures.each_of(spec, &mut |name, stats| {
            if wanted.len() == family.len() || wanted.eq_ignore_ascii_case(name.as_bytes()) {
                found.extend(called(name, stats));
            }
        });
    }
    reply.map(found.len());
    for (name, histogram) in found {
        reply.field(name);
        reply.map(2);
        reply.named_integer("calls", histogram.count() as i64);
        reply.field("histogram_usec");
        let powers: Vec<(u64, u64)> = histogram.powers().collect();
        reply.map(powers.len());
        for (bound_ns, below) in powers {
            reply.integer_field((bound_ns / 1000) as i64);
            reply.integer(below as i64);
        }
    }
    Ok(Flow::Continue)
}

/// What is shown of a command that was called.
fn called<'a>(name: &'static str, stats: &'a CallStats) -> Option<(&'static str, &'a Histogram)> {
    Some((name, stats.histogram.as_ref()?))
}

/// `LATENCY LATEST`, `LATENCY HISTORY event`: no events are recorded.
pub(super) fn none(_ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    reply.array(0);
    Ok(Flow::Continue)
}

/// `LATENCY RESET [event ...]`: no events are forgotten. The histograms are CONFIG RESETSTAT's, as in Redis.
pub(super) fn reset(_ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    reply.integer(0);
    Ok(Flow::Continue)
}

/// `LATENCY GRAPH event`
pub(super) fn graph(_ctx: &mut Ctx<'_>, args: Args<'_>, _reply: &mut Reply<'_>) -> Outcome {
    Err(CommandError::Other(format!("ERR No samples available for event '{}'", echo(&args[2]))))
}
