//! COMMAND: the table itself, in the shapes that Redis's clients read when they connect.

use super::sub::{Subcommand, names};
use super::table::{Family, Flags, Keys};
use super::{COMMANDS, CommandError, CommandSpec, Ctx, Flow, Outcome, Texts, glob, lookup};
use crate::limits::MATCH_STEPS_MAX;
use crate::proto::{Args, Reply};

/// `COMMAND`
pub(super) fn command(_ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    reply.array(COMMANDS.len());
    COMMANDS.iter().for_each(|spec| describe(spec, reply));
    Ok(Flow::Continue)
}

/// `COMMAND COUNT`
pub(super) fn count(_ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    reply.integer(COMMANDS.len() as i64);
    Ok(Flow::Continue)
}

/// `COMMAND INFO [name ...]`
pub(super) fn info(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    if args.len() == 2 {
        return command(ctx, args, reply);
    }
    let names = names(args, 2)?;
    reply.array(args.len() - 2);
    for name in names {
        match lookup(name) {
            Some(spec) => describe(spec, reply),
            None => describe_sub(name, reply),
        }
    }
    Ok(Flow::Continue)
}

/// `COMMAND LIST [FILTERBY MODULE name | ACLCAT category | PATTERN pattern]`
pub(super) fn list(_ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let mut all = COMMANDS.iter().map(|spec| spec.name());
    let found: Vec<&str> = match (args.get(2), args.get(3), args.get(4)) {
        (None, ..) => all.collect(),
        (Some(word), Some(by), Some(what)) if word.eq_ignore_ascii_case(b"filterby") && args.len() == 5 => {
            let is = |name: &str| by.eq_ignore_ascii_case(name.as_bytes());
            if is("pattern") {
                glob::matching(what, &mut || all.next(), &mut { MATCH_STEPS_MAX })?
            } else if is("aclcat") {
                let is = |category: &&str| category.as_bytes()[1..].eq_ignore_ascii_case(what);
                let has = |spec: &&CommandSpec| categories(spec.family, spec.flags).iter().any(is);
                COMMANDS.iter().filter(has).map(|spec| spec.name()).collect()
            } else if is("module") {
                // Modules there are none.
                Vec::new()
            } else {
                return Err(CommandError::Syntax);
            }
        }
        _ => return Err(CommandError::Syntax),
    };
    reply.array(found.len());
    found.iter().for_each(|name| reply.bulk(name.as_bytes()));
    Ok(Flow::Continue)
}

/// `COMMAND DOCS [name ...]`
pub(super) fn docs(_ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let known: Vec<&CommandSpec> =
        if args.len() == 2 { COMMANDS.iter().collect() } else { names(args, 2)?.filter_map(lookup).collect() };
    let texts = Texts::unpack();
    reply.map(known.len());
    for spec in known {
        reply.field(spec.name());
        reply.map(if spec.subcommands.is_empty() { 3 } else { 4 });
        document(texts.summary(spec.text), spec.family, texts.usage(spec.text), reply);
        if !spec.subcommands.is_empty() {
            reply.field("subcommands");
            reply.map(spec.subcommands().len());
            for sub in spec.subcommands() {
                reply.field(sub.name());
                reply.map(3);
                document(texts.summary(sub.text), spec.family, texts.usage(sub.text), reply);
            }
        }
    }
    Ok(Flow::Continue)
}

/// What COMMAND DOCS tells of a command, or of a subcommand: three fields.
fn document(summary: &str, family: Family, usage: &str, reply: &mut Reply<'_>) {
    for (name, text) in [("summary", summary), ("group", family.group()), ("usage", usage)] {
        reply.named_bulk(name, text.as_bytes());
    }
}

/// `COMMAND GETKEYS command [arg ...]`
pub(super) fn get_keys(_ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let (_, places) = keys_of(args)?;
    reply.array(places.len());
    places.into_iter().for_each(|place| reply.bulk(&args[place]));
    Ok(Flow::Continue)
}

/// `COMMAND GETKEYSANDFLAGS command [arg ...]`
pub(super) fn get_keys_and_flags(_ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let (flags, places) = keys_of(args)?;
    reply.array(places.len());
    for place in places {
        reply.array(2);
        reply.bulk(&args[place]);
        statuses(key_flags(flags), reply);
    }
    Ok(Flow::Continue)
}

/// Where the keys are of the request that stands behind the first two words, and what its command is.
fn keys_of(args: Args<'_>) -> Result<(Flags, Vec<usize>), CommandError> {
    let words = args.len() - 2;
    let bad = |text: &str| Err(CommandError::Other(format!("ERR {text}")));
    let Some(spec) = lookup(&args[2]) else { return bad("Invalid command specified") };
    let sub = args
        .get(3)
        .and_then(|word| spec.subcommands().iter().find(|sub| word.eq_ignore_ascii_case(sub.word().as_bytes())));
    let (keys, flags, takes) = match sub {
        Some(sub) => (sub.keys, sub.flags, super::table::fits(sub.arity, words)),
        None => (spec.keys, spec.flags, spec.takes(words)),
    };
    if keys.step == 0 {
        return bad("The command has no key arguments");
    }
    if !takes {
        return bad("Invalid number of arguments specified for command");
    }
    Ok((flags, keys.places(words).map(|place| place + 2).collect()))
}

/// A row as Redis 7 describes it, in ten elements: name, arity, flags, first key, last key, step, categories, tips, key
/// specifications, subcommands.
fn describe(spec: &CommandSpec, reply: &mut Reply<'_>) {
    begin(spec.name(), spec.arity, (spec.family, spec.flags), spec.keys, reply);
    reply.set(spec.subcommands().len());
    for sub in spec.subcommands() {
        describe_one_sub(spec, sub, reply);
    }
}

fn describe_one_sub(spec: &CommandSpec, sub: &Subcommand, reply: &mut Reply<'_>) {
    begin(sub.name(), sub.arity, (spec.family, sub.flags), sub.keys, reply);
    reply.set(0);
}

/// A subcommand by its full name, `config|get`.
fn describe_sub(name: &[u8], reply: &mut Reply<'_>) {
    let spec = name.split(|&byte| byte == b'|').next().and_then(lookup);
    let found = spec.and_then(|spec| {
        let sub = spec.subcommands().iter().find(|sub| name.eq_ignore_ascii_case(sub.name().as_bytes()))?;
        Some((spec, sub))
    });
    match found {
        Some((spec, sub)) => describe_one_sub(spec, sub, reply),
        None => reply.null(),
    }
}

/// The first nine elements.
fn begin(name: &str, arity: i8, (family, flags): (Family, Flags), keys: Keys, reply: &mut Reply<'_>) {
    reply.array(10);
    reply.bulk(name.as_bytes());
    reply.integer(arity.into());
    statuses(&flags.names().collect::<Vec<_>>(), reply);
    for place in [keys.first, keys.last, keys.step] {
        reply.integer(place.into());
    }
    statuses(&categories(family, flags), reply);
    // Tips, which rows do not have.
    reply.set(0);
    specify(keys, flags, reply);
}

fn statuses(words: &[&str], reply: &mut Reply<'_>) {
    reply.set(words.len());
    words.iter().for_each(|word| reply.simple(word));
}

/// Redis's categories of commands, in its order, as far as a row tells them: by its family, or by a flag.
fn categories(family: Family, flags: Flags) -> Vec<&'static str> {
    const ORDER: [(&str, Flags); 12] = [
        ("@keyspace", Flags::NONE),
        ("@read", Flags::READONLY),
        ("@write", Flags::WRITE),
        ("@string", Flags::NONE),
        ("@bitmap", Flags::NONE),
        ("@pubsub", Flags::NONE),
        ("@admin", Flags::ADMIN),
        ("@fast", Flags::FAST),
        ("@slow", Flags::NONE),
        ("@dangerous", Flags::ADMIN),
        ("@connection", Flags::NONE),
        ("@transaction", Flags::NONE),
    ];
    let of_family = family.category().unwrap_or_default();
    let mut categories = Vec::new();
    for (name, flag) in ORDER {
        if flags.has_any(flag) || name == of_family || name == "@slow" && !flags.has(Flags::FAST) {
            categories.push(name);
        }
    }
    categories
}

/// What a command does to its keys, in Redis's words; a row does not tell a command that only replaces a value from one
/// that reads it as well.
fn key_flags(flags: Flags) -> &'static [&'static str] {
    if flags.has(Flags::WRITE) { &["RW", "access", "update"] } else { &["RO", "access"] }
}

/// The one specification of keys that a row amounts to, or none.
fn specify(keys: Keys, flags: Flags, reply: &mut Reply<'_>) {
    if keys.step == 0 {
        return reply.set(0);
    }
    reply.set(1);
    reply.map(3);
    reply.field("flags");
    statuses(key_flags(flags), reply);
    reply.field("begin_search");
    reply.map(2);
    reply.named_bulk("type", b"index");
    reply.field("spec");
    reply.map(1);
    reply.named_integer("index", keys.first.into());
    reply.field("find_keys");
    reply.map(2);
    reply.named_bulk("type", b"range");
    reply.field("spec");
    reply.map(3);
    reply.field("lastkey");
    // Counted from the first key on, unless it is from the end.
    reply.integer(if keys.last < 0 { keys.last } else { keys.last - keys.first }.into());
    reply.named_integer("keystep", keys.step.into());
    reply.named_integer("limit", 0);
}
