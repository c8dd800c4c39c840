//! SUBSCRIBE, PUBLISH and their kin.

use super::sub::{few_names, names, not_so};
use super::{CommandError, CommandSpec, Ctx, Deferred, Flags, Flow, Outcome, glob, transaction};
use crate::limits::{MATCH_STEPS_MAX, SUBSCRIPTION_NAMES_MAX, SUBSCRIPTIONS_MAX};
use crate::proto::{Args, Encoding, OwnedArgs, PushWord, Reply};
use crate::pubsub::{Kind, PubSub, Refusal, Subscriber};

/// `SUBSCRIBE channel [channel ...]`
pub(super) fn subscribe(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    begin(ctx, Kind::Channel, b"subscribe", args, reply)
}

/// `PSUBSCRIBE pattern [pattern ...]`
pub(super) fn psubscribe(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    begin(ctx, Kind::Pattern, b"psubscribe", args, reply)
}

/// `UNSUBSCRIBE [channel ...]`
pub(super) fn unsubscribe(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    end(ctx, Kind::Channel, b"unsubscribe", args, reply)
}

/// `PUNSUBSCRIBE [pattern ...]`
pub(super) fn punsubscribe(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    end(ctx, Kind::Pattern, b"punsubscribe", args, reply)
}

/// Begins subscriptions; the client is told of each, with how many it has.
fn begin(ctx: &mut Ctx<'_>, kind: Kind, told: &[u8], args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    drop(few_names(args, 1, SUBSCRIPTIONS_MAX)?);
    ctx.state.want_room(args.len(), args.from(1).map(<[u8]>::len).sum())?;
    let (pubsub, subscriber) = subscriber_of(ctx, reply);
    let has_room = pubsub.has_room(subscriber, kind, &mut args.from(1));
    if has_room {
        for place in 1..args.len() {
            let name = &args[place];
            pubsub.subscribe(pubsub.asker, subscriber, kind, name);
            tell(told, PushWord::Bytes(name), subscriber.total(), place + 1 < args.len(), reply);
        }
    }
    settle(ctx);
    if !has_room {
        return Err(CommandError::Other(format!(
            "ERR too many subscriptions: a client has at most {SUBSCRIPTIONS_MAX}, all together \
             {SUBSCRIPTION_NAMES_MAX} channels and as many patterns"
        )));
    }
    Ok(Flow::Continue)
}

/// Who asks, as a subscriber.
pub(super) fn subscriber_of<'c>(ctx: &'c mut Ctx<'_>, reply: &Reply<'_>) -> (&'c mut PubSub, &'c mut Subscriber) {
    let subscriber = ctx.session.subscriber.get_or_insert_with(|| Box::new(Subscriber::new(reply.encoding())));
    subscriber.encoding = reply.encoding();
    (&mut ctx.state.pubsub, subscriber)
}

/// Ends subscriptions, all of a kind where none is named.
fn end(ctx: &mut Ctx<'_>, kind: Kind, told: &[u8], args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    drop(few_names(args, 1, SUBSCRIPTIONS_MAX)?);
    let (pubsub, subscriber) = subscriber_of(ctx, reply);
    let all = if args.len() == 1 { subscriber.names(kind, usize::MAX) } else { Vec::new() };
    let count = all.len() + args.len() - 1;
    if count == 0 {
        tell(told, PushWord::Null, subscriber.total(), false, reply);
    }
    for place in 0..count {
        let name = all.get(place).map_or_else(|| &args[place + 1], |name| &**name);
        pubsub.unsubscribe(subscriber, kind, name);
        tell(told, PushWord::Bytes(name), subscriber.total(), place + 1 < count, reply);
    }
    settle(ctx);
    Ok(Flow::Continue)
}

fn tell(told: &[u8], name: PushWord<'_>, total: usize, more: bool, reply: &mut Reply<'_>) {
    reply.push(&[PushWord::Bytes(told), name, PushWord::Number(total as i64)], more);
}

/// Ends all subscriptions of the client.
pub(super) fn leave(ctx: &mut Ctx<'_>) {
    if let Some(subscriber) = &mut ctx.session.subscriber {
        let pubsub = &mut ctx.state.pubsub;
        pubsub.leave(pubsub.asker, subscriber, usize::MAX);
    }
    settle(ctx);
}

/// Whether the client is a subscriber may have changed.
pub(super) fn settle(ctx: &mut Ctx<'_>) {
    ctx.session.subscriber.take_if(|subscriber| subscriber.total() == 0 && !subscriber.monitors);
    ctx.session.settle_guard(ctx.state.snapshots.closed.is_some());
}

/// A command that a subscriber may not use where it could not tell the answer from a message.
#[cold]
pub(super) fn not_now(name: &str) -> CommandError {
    CommandError::Other(format!(
        "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this \
         context"
    ))
}

/// `PUBLISH channel message`: how many get it, a client once for each of its subscriptions that fit.
pub(super) fn publish(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let told = queue(ctx, args);
    // A client of another node is not told of that.
    ctx.state.stats.messages_refused += u64::from(told.is_err());
    reply.integer(told? as i64);
    Ok(Flow::Continue)
}

fn queue(ctx: &mut Ctx<'_>, args: Args<'_>) -> Result<usize, CommandError> {
    ctx.state.want_room(1, args[1].len())?;
    let pubsub = &mut ctx.state.pubsub;
    // Who could wait has waited before; within a transaction nothing waits.
    if pubsub.is_full() || (pubsub.in_transaction && pubsub.is_full_for_others()) {
        return Err(CommandError::other("too many messages are on their way, publish fewer in a transaction"));
    }
    let is_for_others = pubsub.in_transaction && ctx.state.slots.is_some();
    let for_others = if is_for_others { Some(OwnedArgs::new(args).ok_or(CommandError::NoMemory)?) } else { None };
    let receivers = pubsub.publish(&args[1], args.word(2), glob::matches).map_err(|refusal| match refusal {
        Refusal::TooCostly => CommandError::other("the patterns of subscribers take too long for this channel's name"),
        Refusal::NoMemory => CommandError::NoMemory,
    })?;
    for_others.into_iter().for_each(|message| pubsub.keep_for_others(message));
    Ok(receivers)
}

/// Whether a request has to wait, since too many messages are on their way. What another node sends has waited already, and
/// so has a transaction, amid which nothing can.
#[inline(never)]
pub(super) fn has_to_wait(spec: &CommandSpec, ctx: &Ctx<'_>, reply: &Reply<'_>) -> bool {
    ctx.state.pubsub.must_wait()
        && !ctx.state.pubsub.in_transaction
        && reply.encoding() != Encoding::Bus
        && (spec.flags.has(Flags::PUBLISHES) || spec.flags.has(Flags::ENDS_MULTI) && transaction::publishes(ctx))
}

/// Keeps a request until fewer messages are on their way: so who publishes waits, and nobody else.
#[cold]
pub(super) fn wait(spec: &'static CommandSpec, ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Flow {
    match OwnedArgs::new(args) {
        Some(kept) => Flow::Wait(Box::new(Deferred::Paused(spec, kept))),
        None => super::refuse(ctx, &CommandError::NoMemory, reply),
    }
}

/// `PUBSUB CHANNELS [pattern]`
pub(super) fn channels(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    if args.len() > 3 {
        return Err(not_so(args, "PUBSUB"));
    }
    let pattern = args.get(2).unwrap_or(b"*");
    let mut steps_left = MATCH_STEPS_MAX;
    let mut found: Vec<&[u8]> = Vec::new();
    for channel in ctx.state.pubsub.channels() {
        if glob::matches(pattern, channel, &mut steps_left) {
            found.push(channel);
        }
    }
    if steps_left == 0 {
        return Err(CommandError::PatternTooCostly);
    }
    reply.array(found.len());
    found.iter().for_each(|channel| reply.bulk(channel));
    Ok(Flow::Continue)
}

/// `PUBSUB NUMSUB [channel ...]`
pub(super) fn count_subscribers(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    drop(names(args, 2)?);
    reply.array(2 * (args.len() - 2));
    for place in 2..args.len() {
        let channel = &args[place];
        reply.bulk(channel);
        reply.integer(ctx.state.pubsub.subscribers(channel) as i64);
    }
    Ok(Flow::Continue)
}

/// `PUBSUB NUMPAT`
pub(super) fn count_patterns(ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    reply.integer(ctx.state.pubsub.count(Kind::Pattern) as i64);
    Ok(Flow::Continue)
}
