//! MEMORY: what keys and the server take.

use super::{CommandError, Ctx, Flow, Outcome, integer};
use crate::proto::{Args, Reply};

/// About what an index takes for an entry beside its block: a place in a page and a tag, and the page's free places
/// (measured over a million keys).
const INDEX_BYTES: usize = 8;

/// About what an entry that ends takes there besides: a time, and its share of what says whose it is.
const EXPIRY_BYTES: usize = 6;

/// `MEMORY USAGE key [SAMPLES count]`: the bytes of the entry's own block, and its share of the index.
pub(super) fn usage(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    match (args.get(3), args.get(4)) {
        (None, None) => {}
        (Some(word), Some(count)) if word.eq_ignore_ascii_case(b"samples") => {
            // There are no nested values to sample; only a bad call is told.
            if integer(count)? < 0 || args.len() > 5 {
                return Err(CommandError::Syntax);
            }
        }
        _ => return Err(CommandError::Syntax),
    }
    match ctx.store.get(&args[2], ctx.now.ms) {
        Some(entry) => {
            let expiry_bytes = if entry.expires_ms().is_some() { EXPIRY_BYTES } else { 0 };
            reply.integer((entry.block_bytes() + INDEX_BYTES + expiry_bytes) as i64);
        }
        None => reply.null(),
    }
    Ok(Flow::Continue)
}

/// What takes memory, in bytes.
pub(super) struct Usage {
    /// Keys and values with their index.
    pub(super) dataset: usize,
    /// What belongs to clients: their records and what they wait for.
    pub(super) clients: usize,
    /// Everything that the server asked for since it serves.
    pub(super) total: usize,
    /// The program itself as it stood when it began to serve.
    pub(super) base: usize,
}

/// What takes memory now, by memento's own books. Copied bytes that wait in a client's own input and backlog are not in
/// them; those are bounded by the limits of a connection.
pub(super) fn taken(ctx: &Ctx<'_>) -> Usage {
    let (dataset, clients) = (ctx.store.bytes_used(), ctx.node.client_bytes);
    let total = dataset + clients + ctx.node.buffer_bytes + ctx.measures.bytes_used() + ctx.slowlog.bytes_used();
    Usage { dataset, clients, total, base: ctx.node.base_bytes }
}

/// `MEMORY STATS`: Redis's fields that mean something here. What Redis has for scripts, replicas and its allocator is
/// left out or zero.
pub(super) fn stats(ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let Usage { dataset, clients, total, .. } = taken(ctx);
    let peak = ctx.measures.peak_bytes.max(total);
    let keys = ctx.store.len();
    let integers = [
        ("peak.allocated", peak),
        ("total.allocated", total),
        ("replication.backlog", 0),
        ("clients.slaves", 0),
        ("clients.normal", clients),
        ("cluster.links", 0),
        ("aof.buffer", 0),
        ("overhead.total", total - dataset),
        ("keys.count", keys),
        ("keys.bytes-per-key", dataset.checked_div(keys).unwrap_or(0)),
        ("dataset.bytes", dataset),
    ];
    let percents = [("dataset.percentage", dataset, total), ("peak.percentage", total, peak)];
    reply.map(integers.len() + percents.len());
    for (name, value) in integers {
        reply.field(name);
        reply.integer(value as i64);
    }
    for (name, part, whole) in percents {
        reply.field(name);
        reply.double(&(part as f64 * 100.0 / whole as f64).to_string());
    }
    Ok(Flow::Continue)
}

/// `MEMORY DOCTOR`
pub(super) fn doctor(_ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    reply.verbatim("Nothing to report: memento looks after its memory by itself.\r\n");
    Ok(Flow::Continue)
}
