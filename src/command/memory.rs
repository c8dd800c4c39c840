//! MEMORY: what keys and the server take; and what is done where that is more than the limit.

use super::{CommandError, Ctx, Flow, Host, Node, Outcome, Settings, integer};
use crate::limits::{EVICTION_NS_MAX, EVICTIONS_UNTIMED_MAX};
use crate::proto::{Args, Reply};
use crate::stats::Stats;
use crate::store::Store;

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
    /// What the memory limit does not count.
    pub(super) uncounted: usize,
    /// Everything that the server asked for since it serves.
    pub(super) total: usize,
    /// The program itself as it stood when it began to serve.
    pub(super) base: usize,
}

/// What takes memory now, by memento's own books.
pub(super) fn taken(ctx: &Ctx<'_>) -> Usage {
    let (dataset, clients) = (ctx.store.bytes_used(), ctx.node.client_bytes + ctx.node.held_bytes);
    let uncounted = ctx.measures.bytes_used() + ctx.slowlog.bytes_used();
    let total = counted(ctx.store, ctx.node) + uncounted;
    Usage { dataset, clients, uncounted, total, base: ctx.node.base_bytes }
}

/// What counts for the memory limit. What is measured of commands and the slow log do not: no key that goes would make
/// them less.
fn counted(store: &Store, node: &Node) -> usize {
    store.bytes_used() + node.client_bytes + node.held_bytes + node.buffer_bytes
}

/// How it stands with memory after room was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// No more is used than may be.
    Enough,
    /// Less than enough was made in the time that there is; more can be made next time.
    Some,
    /// All that may go has gone, and it is not enough.
    None,
}

/// Frees what has ended or was flushed, then entries that the policy chooses, until no more than the limit is used, with
/// `extra_bytes` of a request at hand; for a bounded time.
pub fn make_room(
    store: &mut Store,
    node: &Node,
    settings: &Settings,
    stats: &mut Stats,
    (now_ms, extra_bytes): (u64, usize),
    host: &Host,
) -> Room {
    let is_enough = |store: &Store| (counted(store, node) + extra_bytes) as u64 <= settings.memory_bytes_max;
    if settings.memory_bytes_max == 0 || is_enough(store) {
        return Room::Enough;
    }
    let until_ns = (host.clock_ns)() + EVICTION_NS_MAX;
    loop {
        for _ in 0..EVICTIONS_UNTIMED_MAX {
            let expired = store.sweep(now_ms, EVICTIONS_UNTIMED_MAX);
            stats.expired_keys += expired as u64;
            let freed = expired == 0 && store.free_buried(EVICTIONS_UNTIMED_MAX);
            if expired == 0 && !freed {
                if !store.evict() {
                    return Room::None;
                }
                stats.evicted_keys += 1;
            }
            if is_enough(store) {
                return Room::Enough;
            }
            if freed {
                // To give memory back to the system takes about as long as to evict so many.
                break;
            }
        }
        if (host.clock_ns)() > until_ns {
            return Room::Some;
        }
    }
}

impl Ctx<'_> {
    /// Makes room for a request that has so many bytes in buffers of its own.
    pub(super) fn make_room(&mut self, extra_bytes: usize) -> Room {
        let times = (self.now.ms, extra_bytes);
        let room = make_room(self.store, self.node, self.settings, self.stats, times, self.host);
        if room == Room::Some {
            // It took its time, which the turn is to know of whatever becomes of the request.
            self.measures.settle(self.host.clock_ns);
            self.measures.ended_ns = (self.host.clock_ns)();
        }
        room
    }
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
