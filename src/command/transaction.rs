//! MULTI, EXEC, DISCARD, WATCH, UNWATCH: requests that are queued and executed as one.

use super::{CommandError, CommandSpec, Ctx, Deferred, Flow, Outcome, choose, run};
use crate::limits::TRANSACTION_BYTES_MAX;
use crate::proto::{Args, Face, OwnedArgs, Reply};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// What a client has queued, and what it watches.
#[derive(Debug, Default)]
pub struct Transaction {
    /// Whether MULTI was said.
    open: bool,
    /// Whether a request was refused since, so that EXEC will refuse the whole.
    poisoned: bool,
    queue: Vec<(&'static CommandSpec, OwnedArgs)>,
    queue_bytes: usize,
    /// The watched keys, and whether there was such a key: its expiry then counts as a change.
    watched: HashMap<Rc<[u8]>, bool>,
    watched_bytes: usize,
}

/// What a watched key costs besides its bytes, about: a place in the client's table and one in the common one.
const WATCHED_KEY_BYTES: usize = 128;

impl Transaction {
    /// How many requests are queued; `None` outside of MULTI.
    pub fn queued(&self) -> Option<usize> {
        self.open.then_some(self.queue.len())
    }

    /// The memory that the queue takes, in bytes.
    pub fn bytes_used(&self) -> usize {
        self.queue_bytes + self.watched_bytes
    }
}

/// Who watches which key, and whose keys have changed.
#[derive(Debug, Default)]
pub struct Watches {
    clients: HashMap<Rc<[u8]>, Vec<u64>>,
    changed: HashSet<u64>,
}

impl Watches {
    /// Whether nobody watches anything.
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// The watched keys.
    fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.clients.keys().map(|key| &**key)
    }

    /// Notes a watched key, and gives it as it is kept here.
    fn add(&mut self, key: &[u8], client: u64) -> Rc<[u8]> {
        let kept = self.clients.get_key_value(key).map_or_else(|| key.into(), |(kept, _)| Rc::clone(kept));
        self.clients.entry(Rc::clone(&kept)).or_default().push(client);
        kept
    }

    fn remove(&mut self, key: &[u8], client: u64) {
        if let Some(clients) = self.clients.get_mut(key) {
            clients.retain(|&other| other != client);
            if clients.is_empty() {
                self.clients.remove(key);
            }
        }
    }

    /// A key has changed.
    fn touch(&mut self, key: &[u8]) {
        if let Some(clients) = self.clients.get(key) {
            self.changed.extend(clients);
        }
    }
}

/// Whether a request is to be queued instead of executed.
pub(super) fn is_open(ctx: &Ctx<'_>) -> bool {
    ctx.session.transaction.as_ref().is_some_and(|transaction| transaction.open)
}

/// A request was refused before it could be queued: EXEC will refuse the whole.
pub(super) fn poison(ctx: &mut Ctx<'_>) {
    if let Some(transaction) = ctx.session.transaction.as_mut().filter(|transaction| transaction.open) {
        transaction.poisoned = true;
    }
}

/// EXEC was refused: the transaction is over. The error that says so.
pub(super) fn abort(ctx: &mut Ctx<'_>, error: &CommandError) -> CommandError {
    unwatch(ctx);
    ctx.session.transaction = None;
    let why = error.to_string();
    let why = why.strip_prefix("ERR ").unwrap_or(&why);
    CommandError::Other(format!("EXECABORT Transaction discarded because of: {why}"))
}

/// Queues a request.
pub(super) fn queue(ctx: &mut Ctx<'_>, spec: &'static CommandSpec, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let Some(transaction) = &mut ctx.session.transaction else { return Ok(Flow::Continue) };
    let owned = OwnedArgs::new(args);
    if transaction.bytes_used() + owned.bytes_used() > TRANSACTION_BYTES_MAX {
        transaction.poisoned = true;
        return Err(too_large());
    }
    transaction.queue_bytes += owned.bytes_used();
    transaction.queue.push((spec, owned));
    reply.set_face(Face::Typed);
    reply.simple("QUEUED");
    Ok(Flow::Continue)
}

fn too_large() -> CommandError {
    CommandError::Other(format!(
        "ERR a transaction and what it watches take at most {} MB",
        TRANSACTION_BYTES_MAX >> 20
    ))
}

/// `MULTI`
pub(super) fn multi(ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let transaction = ctx.session.transaction.get_or_insert_default();
    if transaction.open {
        return Err(CommandError::other("MULTI calls can not be nested"));
    }
    transaction.open = true;
    reply.ok();
    Ok(Flow::Continue)
}

/// `DISCARD`
pub(super) fn discard(ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    if !is_open(ctx) {
        return Err(CommandError::other("DISCARD without MULTI"));
    }
    unwatch(ctx);
    ctx.session.transaction = None;
    reply.ok();
    Ok(Flow::Continue)
}

/// `EXEC`: the answers of all that was queued; nothing where a watched key has changed.
pub(super) fn exec(ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    if !is_open(ctx) {
        return Err(CommandError::other("EXEC without MULTI"));
    }
    let changed = watched_changed(ctx);
    unwatch(ctx);
    let Some(transaction) = ctx.session.transaction.take() else { return Ok(Flow::Continue) };
    if transaction.poisoned {
        let text = "EXECABORT Transaction discarded because of previous errors.";
        return Err(CommandError::Other(text.into()));
    }
    if changed {
        reply.null_array();
        return Ok(Flow::Continue);
    }
    reply.array(transaction.queue.len());
    let mut after = Flow::Continue;
    for (spec, owned) in &transaction.queue {
        reply.set_face(spec.face);
        // It was found before it was queued.
        let Ok(chosen) = choose(spec, owned.args()) else { continue };
        match run(spec, chosen, ctx, owned.args(), reply) {
            Flow::Continue => {}
            Flow::Wait(deferred) => at_once(ctx, deferred, reply),
            other => after = other,
        }
    }
    Ok(after)
}

/// Inside a transaction nothing can wait: a walk is done whole, which is what makes it part of one moment.
fn at_once(ctx: &mut Ctx<'_>, deferred: Deferred, reply: &mut Reply<'_>) {
    match deferred {
        Deferred::Walk(walk) => walk.answer_at_once(ctx.store, ctx.now.ms, reply),
        Deferred::WrongPassword => reply.error(super::WRONG_PASSWORD),
        Deferred::Paused(..) => unreachable!("who is paused executes nothing"),
        Deferred::Clients(_) => reply.error("ERR CLIENT LIST, INFO and KILL are not for a transaction"),
    }
}

/// `WATCH key [key ...]`
pub(super) fn watch(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    if is_open(ctx) {
        return Err(CommandError::other("WATCH inside MULTI is not allowed"));
    }
    let transaction = ctx.session.transaction.get_or_insert_default();
    for key in args.from(1) {
        if transaction.watched.contains_key(key) {
            continue;
        }
        transaction.watched_bytes += key.len() + WATCHED_KEY_BYTES;
        if transaction.bytes_used() > TRANSACTION_BYTES_MAX {
            unwatch(ctx);
            return Err(too_large());
        }
        let existed = ctx.store.get(key, ctx.now.ms).is_some();
        transaction.watched.insert(ctx.watches.add(key, ctx.session.id), existed);
    }
    ctx.store.track_changes(true);
    reply.ok();
    Ok(Flow::Continue)
}

/// `UNWATCH`
pub(super) fn unwatch_all(ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    unwatch(ctx);
    reply.ok();
    Ok(Flow::Continue)
}

/// Forgets what the client watches.
pub(super) fn unwatch(ctx: &mut Ctx<'_>) {
    if let Some(transaction) = &mut ctx.session.transaction {
        forget(transaction, ctx.watches, ctx.session.id);
        if !transaction.open {
            ctx.session.transaction = None;
        }
        ctx.store.track_changes(!ctx.watches.is_empty());
    }
}

/// Takes a client's keys out of the table.
pub(super) fn forget(transaction: &mut Transaction, watches: &mut Watches, client: u64) {
    for (key, _) in transaction.watched.drain() {
        watches.remove(&key, client);
    }
    transaction.watched_bytes = 0;
    watches.changed.remove(&client);
}

/// Whether a key that the client watches was changed or has ended.
fn watched_changed(ctx: &Ctx<'_>) -> bool {
    let Some(transaction) = &ctx.session.transaction else { return false };
    ctx.watches.changed.contains(&ctx.session.id)
        || transaction.watched.iter().any(|(key, &existed)| existed && ctx.store.get(key, ctx.now.ms).is_none())
}

/// Marks the clients whose keys the last command has changed.
pub(super) fn mark_changes(ctx: &mut Ctx<'_>) {
    for key in ctx.store.take_changes() {
        ctx.watches.touch(&key);
    }
}

/// Every key is about to go: who watches one that is there is marked.
pub(super) fn mark_flush(ctx: &mut Ctx<'_>) {
    let there: Vec<Box<[u8]>> =
        ctx.watches.keys().filter(|key| ctx.store.get(key, ctx.now.ms).is_some()).map(Box::from).collect();
    there.iter().for_each(|key| ctx.watches.touch(key));
}
