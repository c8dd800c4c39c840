//! INFO: sections of fields, with the names that Redis's monitoring tools read. Where memento has no such thing as a
//! field tells of, the field is left out, or says so truly (`maxmemory:0`).

use super::memory::{self, Usage};
use super::{Ctx, Flow, Outcome, REDIS_VERSION};
use crate::log;
use crate::proto::{Args, Reply};
use crate::pubsub::Kind;
use crate::stats::{COUNTED, Fixed, Histogram};
use std::fmt::Write;

/// A section.
struct Section {
    name: &'static str,
    /// Whether INFO alone shows it.
    default: bool,
    write: fn(&Ctx<'_>, &mut String),
}

macro_rules! sections {
    ($($name:literal, $default:literal, $write:ident;)*) => {
        /// The sections in the order in which they are shown, whatever the order they are asked for in.
        const SECTIONS: &[Section] = &[$(Section { name: $name, default: $default, write: $write },)*];
    };
}

sections! {
    "Server", true, server;
    "Clients", true, clients;
    "Memory", true, memory_section;
    "Persistence", true, persistence;
    "Stats", true, stats;
    "Replication", true, replication;
    "CPU", true, cpu;
    "Commandstats", false, command_stats;
    "Errorstats", true, error_stats;
    "Latencystats", false, latency_stats;
    "Cluster", true, cluster;
    "Memento", true, memento;
    "Keyspace", true, keyspace;
}

/// `INFO [section ...]`
pub(super) fn info(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let asked = |name: &str| args.from(1).any(|word| word.eq_ignore_ascii_case(name.as_bytes()));
    let all = asked("all") || asked("everything");
    let default = args.len() == 1 || asked("default");
    let mut text = String::new();
    for section in SECTIONS {
        if all || (default && section.default) || asked(section.name) {
            if !text.is_empty() {
                text.push_str("\r\n");
            }
            // Writing into a String cannot fail, here and below.
            let _ = write!(text, "# {}\r\n", section.name);
            (section.write)(ctx, &mut text);
        }
    }
    reply.verbatim(&text);
    Ok(Flow::Continue)
}

/// One line of INFO.
fn field(text: &mut String, name: &str, value: &str) {
    [name, ":", value, "\r\n"].iter().for_each(|part| text.push_str(part));
}

/// One line with a number.
fn number(text: &mut String, name: &str, value: u64) {
    field(text, name, &value.to_string());
}

/// One line with 0 for each of these: what is not there.
fn zeros(text: &mut String, names: &[&str]) {
    names.iter().for_each(|name| number(text, name, 0));
}

/// Two lines: a number of bytes, and the same for people.
fn bytes(text: &mut String, name: &str, bytes: u64) {
    number(text, name, bytes);
    field(text, &format!("{name}_human"), &human(bytes));
}

/// A number of bytes as Redis writes it for people.
fn human(bytes: u64) -> String {
    let units = [(40, 'T'), (30, 'G'), (20, 'M'), (10, 'K')];
    match units.into_iter().find(|(bits, _)| bytes >> bits > 0) {
        Some((bits, letter)) => format!("{}{letter}", Fixed::<2>::near(bytes as f64 / (1_u64 << bits) as f64)),
        None => format!("{bytes}B"),
    }
}

fn server(ctx: &Ctx<'_>, text: &mut String) {
    let uptime_s = ctx.state.now.ms.saturating_sub(ctx.state.node.started_ms) / 1000;
    // The version whose behaviour clients can count on; they choose by it what they send.
    field(text, "redis_version", REDIS_VERSION);
    field(text, "memento_version", env!("CARGO_PKG_VERSION"));
    field(text, "redis_mode", mode(ctx));
    field(text, "os", &ctx.state.node.kernel);
    number(text, "arch_bits", usize::BITS.into());
    field(text, "monotonic_clock", "POSIX clock_gettime");
    field(text, "multiplexing_api", "epoll");
    number(text, "process_id", std::process::id().into());
    field(text, "run_id", &ctx.state.node.run_id);
    number(text, "tcp_port", ctx.state.node.tcp_port.into());
    number(text, "server_time_usec", (ctx.state.host.wall_us)() as u64);
    number(text, "uptime_in_seconds", uptime_s);
    number(text, "uptime_in_days", uptime_s / 86_400);
    field(text, "config_file", "");
    number(text, "io_threads_active", 0);
}

/// What Redis calls the way in which it serves.
pub(super) fn mode(ctx: &Ctx<'_>) -> &'static str {
    if ctx.topology.is_cluster() { "cluster" } else { "standalone" }
}

fn clients(ctx: &Ctx<'_>, text: &mut String) {
    number(text, "connected_clients", ctx.state.node.clients as u64);
    number(text, "cluster_connections", 0);
    number(text, "maxclients", ctx.state.settings.clients_max as u64);
    number(text, "blocked_clients", ctx.state.node.waiting as u64);
}

/// `used_memory` is what the server asked for since it serves, by its own books; `used_memory_rss` adds the program as it
/// was when it began to serve, so that /proc is not needed. What the C library keeps of freed blocks is in neither.
fn memory_section(ctx: &Ctx<'_>, text: &mut String) {
    let Usage { dataset, clients, uncounted, total, base } = memory::taken(ctx);
    let peak = ctx.state.measures.peak_bytes.max(total);
    bytes(text, "used_memory", total as u64);
    bytes(text, "used_memory_rss", (base + total) as u64);
    bytes(text, "used_memory_peak", peak as u64);
    field(text, "used_memory_peak_perc", &percent(total, peak));
    number(text, "used_memory_overhead", (total - dataset) as u64);
    number(text, "used_memory_dataset", dataset as u64);
    field(text, "used_memory_dataset_perc", &percent(dataset, total));
    bytes(text, "total_system_memory", ctx.state.node.memory_bytes);
    bytes(text, "maxmemory", ctx.state.settings.memory_bytes_max);
    field(text, "maxmemory_policy", ctx.state.settings.memory_policy.name());
    number(text, "mem_not_counted_for_evict", uncounted as u64);
    number(text, "mem_clients_normal", clients as u64);
    number(text, "maxmemory_clients", ctx.state.settings.clients_bytes_max());
    zeros(text, &["mem_clients_slaves", "mem_aof_buffer"]);
    field(text, "mem_allocator", "libc");
    zeros(text, &["active_defrag_running", "lazyfree_pending_objects"]);
}

fn percent(part: usize, whole: usize) -> String {
    format!("{}%", Fixed::<2>::near(part as f64 * 100.0 / whole.max(1) as f64))
}

/// Snapshots, under the names that Redis has for its own.
fn persistence(ctx: &Ctx<'_>, text: &mut String) {
    let (now_ms, shots) = (ctx.state.now.ms, &ctx.state.snapshots);
    let seconds = |ms: Option<u64>| ms.map_or(-1, |ms| (ms / 1000) as i64).to_string();
    number(text, "loading", shots.loading.is_some().into());
    let making = shots.making.unwrap_or_default();
    number(text, "current_save_keys_processed", making.done);
    number(text, "current_save_keys_total", making.keys);
    let changes = ctx.state.store.changes().saturating_sub(shots.changes);
    number(text, "rdb_changes_since_last_save", changes);
    number(text, "rdb_bgsave_in_progress", shots.making.is_some().into());
    number(text, "rdb_last_save_time", (shots.last_wall_ms / 1000) as u64);
    field(text, "rdb_last_bgsave_status", if shots.error.is_some() { "err" } else { "ok" });
    field(text, "rdb_last_bgsave_time_sec", &seconds(shots.last_ms));
    field(text, "rdb_current_bgsave_time_sec", &seconds(shots.making.map(|making| now_ms - making.began_ms)));
    number(text, "rdb_saves", shots.made);
    number(text, "rdb_last_load_keys_loaded", shots.loaded);
    number(text, "rdb_last_load_keys_expired", shots.loaded_ended);
    field(text, "snapshot_last_error", shots.error.as_deref().unwrap_or_default());
    number(text, "snapshot_last_msec", shots.last_ms.unwrap_or(0));
    number(text, "snapshot_last_bytes", shots.last_bytes);
    number(text, "snapshot_last_turn_worst_usec", shots.turn_worst_us);
    if let Some(loading) = shots.loading {
        let (took_ms, left) = (now_ms - loading.began_ms, loading.bytes.saturating_sub(loading.done));
        number(text, "loading_start_time", (ctx.state.now.to_wall_ms(loading.began_ms) / 1000) as u64);
        number(text, "loading_total_bytes", loading.bytes);
        number(text, "loading_loaded_bytes", loading.done);
        field(text, "loading_loaded_perc", &percent(loading.done as usize, loading.bytes as usize));
        number(text, "loading_eta_seconds", took_ms * left / loading.done.max(1) / 1000);
    }
    zeros(text, &["async_loading", "aof_enabled", "aof_rewrite_in_progress"]);
}

fn stats(ctx: &Ctx<'_>, text: &mut String) {
    let [commands, bytes_in, bytes_out] = ctx.state.measures.rates(ctx.state.now.ms, &ctx.state.stats);
    number(text, "instantaneous_ops_per_sec", commands as u64);
    field(text, "instantaneous_input_kbps", &Fixed::<2>::near(bytes_in / 1024.0).to_string());
    field(text, "instantaneous_output_kbps", &Fixed::<2>::near(bytes_out / 1024.0).to_string());
    counters(ctx, text, false);
    let exceeded_ms = ctx.state.node.exceeded_since_ms.map_or(0, |since_ms| ctx.state.now.ms - since_ms);
    number(text, "total_eviction_exceeded_time", ctx.state.stats.exceeded_ms + exceeded_ms);
    number(text, "current_eviction_exceeded_time", exceeded_ms);
    number(text, "pubsub_channels", ctx.state.pubsub.count(Kind::Channel) as u64);
    number(text, "pubsub_patterns", ctx.state.pubsub.count(Kind::Pattern) as u64);
    zeros(text, &["total_forks", "latest_fork_usec"]);
    number(text, "log_lines_dropped", log::dropped());
}

/// What is counted, of the cluster or of all else.
fn counters(ctx: &Ctx<'_>, text: &mut String, of_cluster: bool) {
    for (name, value) in COUNTED.iter().zip(ctx.state.stats.values()) {
        if name.starts_with("cluster_") == of_cluster {
            number(text, name, value);
        }
    }
}

fn replication(ctx: &Ctx<'_>, text: &mut String) {
    field(text, "role", "master");
    number(text, "connected_slaves", 0);
    field(text, "master_replid", &ctx.state.node.run_id);
    number(text, "master_repl_offset", 0);
}

fn cpu(ctx: &Ctx<'_>, text: &mut String) {
    let (user_us, system_us) = (ctx.state.host.cpu_us)();
    field(text, "used_cpu_sys", &Fixed::<6>(system_us).to_string());
    field(text, "used_cpu_user", &Fixed::<6>(user_us).to_string());
}

fn command_stats(ctx: &Ctx<'_>, text: &mut String) {
    ctx.state.measures.each(&mut |name, stats| {
        if stats.calls + stats.rejected == 0 {
            return;
        }
        let usec = stats.ns / 1000;
        let per_call = Fixed::<2>::near(stats.ns as f64 / 1000.0 / stats.calls.max(1) as f64);
        let _ = write!(text, "cmdstat_{name}:calls={},usec={usec},usec_per_call={per_call}", stats.calls);
        let _ = write!(text, ",rejected_calls={},failed_calls={}\r\n", stats.rejected, stats.failed);
    });
}

fn error_stats(ctx: &Ctx<'_>, text: &mut String) {
    for (code, count) in ctx.state.stats.errors.iter() {
        let _ = write!(text, "errorstat_{code}:count={count}\r\n");
    }
}

fn latency_stats(ctx: &Ctx<'_>, text: &mut String) {
    ctx.state.measures.each(&mut |name, stats| {
        if let Some(histogram) = &stats.histogram {
            let _ = write!(text, "latency_percentiles_usec_{name}:{}\r\n", percentiles(histogram));
        }
    });
}

/// The percentiles that Redis shows, in microseconds.
fn percentiles(histogram: &Histogram) -> String {
    let of = |percent| Fixed::<3>(histogram.percentile(percent));
    format!("p50={},p99={},p99.9={}", of(50.0), of(99.0), of(99.9))
}

fn cluster(ctx: &Ctx<'_>, text: &mut String) {
    number(text, "cluster_enabled", ctx.topology.is_cluster().into());
    if ctx.topology.is_cluster() {
        let nodes = ctx.topology.nodes();
        field(text, "cluster_state", super::cluster::state(&nodes));
        number(text, "cluster_nodes", nodes.len() as u64);
        number(text, "cluster_linked", nodes.iter().filter(|node| node.up && !node.own).count() as u64);
        counters(ctx, text, true);
    }
}

/// How long the loop's turns took: what a client waits for, however short its own command is.
fn memento(ctx: &Ctx<'_>, text: &mut String) {
    let turns = &ctx.state.measures.turns;
    number(text, "turn_count", turns.count());
    number(text, "turn_longest_usec", ctx.state.stats.turn_worst_us);
    field(text, "turn_percentiles_usec", &percentiles(turns));
    // Bounds in microseconds, each with the turns that were shorter.
    let powers: Vec<String> = turns.powers().map(|(bound_ns, below)| format!("{}={below}", bound_ns / 1000)).collect();
    field(text, "turn_histogram_usec", &powers.join(","));
}

fn keyspace(ctx: &Ctx<'_>, text: &mut String) {
    if !ctx.state.store.is_empty() {
        let avg_ttl = ctx.state.store.expires_mean_ms().map_or(0, |mean_ms| mean_ms.saturating_sub(ctx.state.now.ms));
        let (keys, expires) = (ctx.state.store.len(), ctx.state.store.expiring());
        let _ = write!(text, "db0:keys={keys},expires={expires},avg_ttl={avg_ttl}\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_for_people() {
        for (bytes, wanted) in [(0, "0B"), (1023, "1023B"), (1024, "1.00K"), (1_509_280, "1.44M"), (3 << 30, "3.00G")] {
            assert_eq!(human(bytes), wanted);
        }
    }
}
