//! The node and the table itself: TIME, INFO, COMMAND.

use super::{COMMANDS, CommandError, CommandSpec, Ctx, Flow, Outcome, lookup, unknown_subcommand};
use crate::log;
use crate::proto::{Args, Reply};
use crate::stats::COUNTERS;
use std::fmt::Write;

/// `TIME`: seconds and microseconds.
pub(super) fn time(ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let now_us = (ctx.wall_us)();
    reply.array(2);
    reply.bulk((now_us / 1_000_000).to_string().as_bytes());
    reply.bulk((now_us % 1_000_000).to_string().as_bytes());
    Ok(Flow::Continue)
}

/// A section of INFO: its name, and what writes its lines.
type Section = (&'static str, fn(&Ctx<'_>, &mut String));

const SECTIONS: [Section; 5] = [
    ("Server", info_server),
    ("Clients", info_clients),
    ("Memory", info_memory),
    ("Stats", info_stats),
    ("Keyspace", info_keyspace),
];

/// `INFO [section ...]`
pub(super) fn info(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let all = args.len() == 1
        || args
            .from(1)
            .any(|word| [&b"all"[..], b"default", b"everything"].iter().any(|all| word.eq_ignore_ascii_case(all)));
    let mut text = String::new();
    for (name, write) in SECTIONS {
        if all || args.from(1).any(|word| word.eq_ignore_ascii_case(name.as_bytes())) {
            if !text.is_empty() {
                text.push_str("\r\n");
            }
            text.push_str(&format!("# {name}\r\n"));
            write(ctx, &mut text);
        }
    }
    reply.verbatim(&text);
    Ok(Flow::Continue)
}

/// One line of INFO.
fn field(text: &mut String, name: &str, value: impl std::fmt::Display) {
    // Writing into a String cannot fail.
    let _ = write!(text, "{name}:{value}\r\n");
}

fn info_server(ctx: &Ctx<'_>, text: &mut String) {
    let uptime_s = ctx.now.ms.saturating_sub(ctx.node.started_ms) / 1000;
    field(text, "memento_version", env!("CARGO_PKG_VERSION"));
    field(text, "process_id", std::process::id());
    field(text, "run_id", &ctx.node.run_id);
    field(text, "tcp_port", ctx.node.tcp_port);
    field(text, "arch_bits", usize::BITS);
    field(text, "multiplexing_api", "epoll");
    field(text, "uptime_in_seconds", uptime_s);
    field(text, "uptime_in_days", uptime_s / 86_400);
}

fn info_clients(ctx: &Ctx<'_>, text: &mut String) {
    field(text, "connected_clients", ctx.node.clients);
    field(text, "maxclients", ctx.node.clients_max);
    field(text, "blocked_clients", ctx.node.waiting);
}

fn info_memory(ctx: &Ctx<'_>, text: &mut String) {
    field(text, "used_memory_dataset", ctx.store.bytes_used());
    field(text, "total_system_memory", ctx.node.memory_bytes);
}

fn info_stats(ctx: &Ctx<'_>, text: &mut String) {
    for (counter, value) in COUNTERS.iter().zip(ctx.stats.values()) {
        field(text, counter.name, value);
    }
    field(text, "log_lines_dropped", log::dropped());
}

fn info_keyspace(ctx: &Ctx<'_>, text: &mut String) {
    if !ctx.store.is_empty() {
        field(text, "db0", format_args!("keys={},expires={},avg_ttl=0", ctx.store.len(), ctx.store.expiring()));
    }
}

const COMMAND_HELP: [&str; 7] = [
    "COMMAND [<subcommand> [<arg> ...]]. Subcommands are:",
    "(none), INFO [<name> ...]: a row of the command table each: name, arity, flags, first key, last key, step",
    "COUNT: how many commands there are",
    "DOCS [<name> ...]: what commands do",
    "GETKEYS <command> [<arg> ...]: the keys of that request",
    "HELP: this",
    "LIST: the commands' names",
];

/// `COMMAND [COUNT | LIST | INFO | DOCS | GETKEYS | HELP]`
pub(super) fn command(_ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let Some(sub) = args.get(1) else {
        reply.array(COMMANDS.len());
        COMMANDS.iter().for_each(|spec| describe(spec, reply));
        return Ok(Flow::Continue);
    };
    match (sub.to_ascii_lowercase().as_slice(), args.len()) {
        (b"count", 2) => reply.integer(COMMANDS.len() as i64),
        (b"list", 2) => {
            reply.array(COMMANDS.len());
            COMMANDS.iter().for_each(|spec| reply.bulk(spec.name.as_bytes()));
        }
        (b"help", 2) => {
            reply.array(COMMAND_HELP.len());
            COMMAND_HELP.iter().for_each(|line| reply.simple(line));
        }
        (b"info", 2) => {
            reply.array(COMMANDS.len());
            COMMANDS.iter().for_each(|spec| describe(spec, reply));
        }
        (b"info", _) => {
            reply.array(args.len() - 2);
            for name in args.from(2) {
                match lookup(name) {
                    Some(spec) => describe(spec, reply),
                    None => reply.null(),
                }
            }
        }
        (b"docs", 2) => document(COMMANDS.iter(), COMMANDS.len(), reply),
        (b"docs", _) => {
            let known = || args.from(2).filter_map(lookup);
            document(known(), known().count(), reply);
        }
        (b"getkeys", 3..) => return get_keys(args, reply),
        (b"count", _) => return Err(CommandError::Arity("command|count")),
        (b"list", _) => return Err(CommandError::Arity("command|list")),
        (b"getkeys", _) => return Err(CommandError::Arity("command|getkeys")),
        _ => return Err(unknown_subcommand("COMMAND", sub)),
    }
    Ok(Flow::Continue)
}

/// A row as COMMAND INFO has it: name, arity, flags, first key, last key, step.
fn describe(spec: &CommandSpec, reply: &mut Reply<'_>) {
    reply.array(6);
    reply.bulk(spec.name.as_bytes());
    reply.integer(spec.arity.into());
    reply.array(spec.flags.names().count());
    spec.flags.names().for_each(|name| reply.simple(name));
    for place in [spec.keys.first, spec.keys.last, spec.keys.step] {
        reply.integer(place.into());
    }
}

fn document(specs: impl Iterator<Item = &'static CommandSpec>, count: usize, reply: &mut Reply<'_>) {
    reply.map(count);
    for spec in specs {
        reply.field(spec.name);
        reply.map(3);
        reply.field("summary");
        reply.bulk(spec.summary.as_bytes());
        reply.field("group");
        reply.bulk(spec.family.name().as_bytes());
        reply.field("usage");
        reply.bulk(spec.usage.as_bytes());
    }
}

/// `COMMAND GETKEYS command [arg ...]`
fn get_keys(args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let words = args.len() - 2;
    let bad = |text: &str| Err(CommandError::Other(format!("ERR {text}")));
    let Some(spec) = lookup(&args[2]) else { return bad("Invalid command specified") };
    if spec.keys.step == 0 {
        return bad("The command has no key arguments");
    }
    if !spec.takes(words) {
        return bad("Invalid number of arguments specified for command");
    }
    reply.array(spec.key_places(words).count());
    spec.key_places(words).for_each(|place| reply.bulk(&args[place + 2]));
    Ok(Flow::Continue)
}
