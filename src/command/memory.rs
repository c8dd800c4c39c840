//! MEMORY: what keys and the server take; and what is done where that is more than the limit.

use super::{CommandError, Ctx, Flow, Node, Outcome, State, integer};
use crate::limits::{EVICTION_NS_MAX, EVICTIONS_UNTIMED_MAX};
use crate::proto::{Args, Reply};
use crate::stats::Fixed;

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
    match ctx.state.store.get(&args[2], ctx.state.now.ms) {
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
    let (dataset, clients) = (ctx.state.store.bytes_used(), ctx.state.node.client_bytes + ctx.state.node.held_bytes);
    let uncounted = ctx.state.measures.bytes_used() + ctx.state.slowlog.bytes_used();
    let total = ctx.state.counted_bytes() + uncounted;
    Usage { dataset, clients, uncounted, total, base: ctx.state.node.base_bytes }
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

impl State {
    /// What counts for the memory limit. What is measured of commands and the slow log do not: no key that goes would
    /// make them less.
    fn counted_bytes(&self) -> usize {
        let Node { client_bytes, held_bytes, buffer_bytes, .. } = self.node;
        self.store.bytes_used() + client_bytes + held_bytes + buffer_bytes
    }

    /// Whether no more is used than may be, with so many bytes more.
    fn has_room_for(&self, extra_bytes: usize) -> bool {
        (self.counted_bytes() + extra_bytes) as u64 <= self.settings.memory_bytes_max
    }

    /// Frees what has ended or was flushed, then entries that the policy chooses, until no more than the limit is used,
    /// with `extra_bytes` of a request at hand; for a bounded time.
    pub fn make_room(&mut self, extra_bytes: usize) -> Room {
        if self.settings.memory_bytes_max == 0 || self.has_room_for(extra_bytes) {
            return Room::Enough;
        }
        let until_ns = (self.host.clock_ns)() + EVICTION_NS_MAX;
        loop {
            for _ in 0..EVICTIONS_UNTIMED_MAX {
                let expired = self.store.sweep(self.now.ms, EVICTIONS_UNTIMED_MAX);
                self.stats.expired_keys += expired as u64;
                self.tell_expired();
                let freed = expired == 0 && self.store.free_buried(EVICTIONS_UNTIMED_MAX);
                if expired == 0 && !freed {
                    if !self.store.evict() {
                        return Room::None;
                    }
                    self.stats.evicted_keys += 1;
                    self.tell_evicted();
                }
                if self.has_room_for(extra_bytes) {
                    return Room::Enough;
                }
                if freed {
                    // To give memory back to the system takes about as long as to evict so many.
                    break;
                }
            }
            if (self.host.clock_ns)() > until_ns {
                return Room::Some;
            }
        }
    }

    /// The same on the way of a request: what it takes, the turn is to know of, whatever becomes of the request.
    pub(super) fn make_room_for(&mut self, extra_bytes: usize) -> Room {
        let room = self.make_room(extra_bytes);
        if room == Room::Some {
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
    let peak = ctx.state.measures.peak_bytes.max(total);
    let keys = ctx.state.store.len();
    reply.map(13);
    reply.named_integer("peak.allocated", peak as i64);
    reply.named_integer("total.allocated", total as i64);
    reply.named_integer("replication.backlog", 0);
    reply.named_integer("clients.slaves", 0);
    reply.named_integer("clients.normal", clients as i64);
    reply.named_integer("cluster.links", 0);
    reply.named_integer("aof.buffer", 0);
    reply.named_integer("overhead.total", (total - dataset) as i64);
    reply.named_integer("keys.count", keys as i64);
    reply.named_integer("keys.bytes-per-key", dataset.checked_div(keys).unwrap_or(0) as i64);
    reply.named_integer("dataset.bytes", dataset as i64);
    for (name, part, whole) in [("dataset.percentage", dataset, total), ("peak.percentage", total, peak)] {
        reply.field(name);
        reply.double(&Fixed::<4>::near(part as f64 * 100.0 / whole as f64).to_string());
    }
    Ok(Flow::Continue)
}

/// `MEMORY DOCTOR`
pub(super) fn doctor(_ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    reply.verbatim("Nothing to report: memento looks after its memory by itself.\r\n");
    Ok(Flow::Continue)
}
