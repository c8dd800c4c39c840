//! LATENCY: how long commands took. Of Redis's monitor of single events there is nothing; the slow log and the turns in
//! INFO tell of those.

use super::measure::CallStats;
use super::sub::names;
use super::{CommandError, Ctx, Flow, Outcome, echo, lookup, short};
use crate::proto::{Args, Reply};
use crate::stats::Histogram;

/// `LATENCY HISTOGRAM [command ...]`: of a family, all its subcommands.
pub(super) fn histogram(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    fn called<'a>((name, stats): (&'static str, &'a CallStats)) -> Option<(&'static str, &'a Histogram)> {
        Some((name, stats.histogram.as_ref()?))
    }
    let measures = &ctx.state.measures;
    let found: Vec<(&str, &Histogram)> = if args.len() == 2 {
        measures.all().filter_map(called).collect()
    } else {
        let of_name = |name: &[u8]| {
            let name = short(name).to_ascii_lowercase();
            let family = name.split(|&byte| byte == b'|').next().and_then(lookup);
            let all = family.into_iter().flat_map(|spec| measures.of_row(spec.place(), spec));
            let wanted = all.filter(|&(full, _)| full.as_bytes() == name || !name.contains(&b'|'));
            wanted.filter_map(called).collect::<Vec<_>>()
        };
        names(args, 2)?.flat_map(of_name).collect()
    };
    reply.map(found.len());
    for (name, histogram) in found {
        reply.field(name);
        reply.map(2);
        reply.field("calls");
        reply.integer(histogram.count() as i64);
        reply.field("histogram_usec");
        reply.map(histogram.powers().count());
        for (bound_ns, below) in histogram.powers() {
            reply.integer_field((bound_ns / 1000) as i64);
            reply.integer(below as i64);
        }
    }
    Ok(Flow::Continue)
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
