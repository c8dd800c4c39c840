//! MULTI, EXEC, DISCARD, WATCH, UNWATCH: requests that are queued and executed as one.

use super::route::{Aim, OwnSlots, Reach, Route, Span, cross_slot, one_slot};
use super::table::{Flags, Keys};
use super::{CommandError, CommandSpec, Ctx, Deferred, Flow, Outcome, Room, choose, lookup, refuse, run_apart};
use crate::limits::{TRANSACTION_BYTES_MAX, WATCHED_KEYS_MAX};
use crate::names::Names;
use crate::proto::{Args, Digits, Encoding, Face, OwnedArgs, Reply, Word};
use crate::store::{SlotId, Store};
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
    /// In a cluster, the slots of the queued keys.
    span: Span,
    /// In a cluster, the first queued request that this node alone can execute.
    bound: Option<&'static str>,
    /// In a cluster, the slot of the watched keys.
    watched_slot: Option<SlotId>,
    /// Whether that is another node's, which watches them.
    elsewhere: bool,
    /// Whether that node was lost, and with it what it knew: the keys count as changed.
    lost: bool,
    /// The watched keys, and whether there was such a key: its expiry then counts as a change.
    watched: Vec<(Rc<[u8]>, bool)>,
    watched_bytes: usize,
}

/// What a watched key costs besides its bytes, about: a place in the client's list and one in the common table.
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

    /// The slot of the keys that another node watches for the client.
    pub fn watch_elsewhere(&self) -> Option<SlotId> {
        self.watched_slot.filter(|_| self.elsewhere)
    }

    /// The node that watches for the client was lost: EXEC will do nothing, as if a key had changed.
    pub fn lose_watch(&mut self) {
        (self.watched_slot, self.elsewhere, self.lost) = (None, false, true);
    }

    /// The transaction as one request of many words: EXEC, then for each queued request the number of its words, and
    /// its words. [`super::execute_queued`] executes it. The numbers are put where the caller says.
    pub fn words<'a>(&'a self, counts: &'a mut Vec<Digits>) -> impl Iterator<Item = Word<'a>> {
        counts.clear();
        counts.extend(self.queue.iter().map(|(_, owned)| Digits::of(owned.args().len() as i64)));
        let counts = &*counts;
        let (mut exec, mut request, mut place) = (Some(Word::Received(b"EXEC")), 0, 0);
        std::iter::from_fn(move || {
            exec.take().or_else(|| {
                let args = self.queue.get(request)?.1.args();
                let word = match place {
                    0 => Word::Received(counts[request].bytes()),
                    _ => args.word(place - 1),
                };
                (request, place) = if place == args.len() { (request + 1, 0) } else { (request, place + 1) };
                Some(word)
            })
        })
    }
}

/// Who watches which key, and whose keys have changed.
#[derive(Debug, Default)]
pub struct Watches {
    clients: Names,
    changed: Vec<u64>,
}

/// Puts a client's number where it belongs: what came last has the highest, and is added without moving others.
fn add(numbers: &mut Vec<u64>, client: u64) {
    if let Err(place) = numbers.binary_search(&client) {
        numbers.insert(place, client);
    }
}

fn remove(numbers: &mut Vec<u64>, client: u64) {
    if let Ok(place) = numbers.binary_search(&client) {
        numbers.remove(place);
    }
}

impl Watches {
    /// Whether nobody watches anything.
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// The watched keys.
    fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.clients.iter().map(|(key, _)| &**key)
    }

    /// Whether a client watches a key already.
    fn has(&self, key: &[u8], client: u64) -> bool {
        self.clients.get(key).binary_search(&client).is_ok()
    }

    /// Notes a watched key, and gives it as it is kept here.
    fn add(&mut self, key: &[u8], client: u64) -> Rc<[u8]> {
        let (kept, clients) = self.clients.add(key);
        add(clients, client);
        kept
    }

    fn remove(&mut self, key: &[u8], client: u64) {
        let Some(clients) = self.clients.get_mut(key) else { return };
        remove(clients, client);
        if clients.is_empty() {
            self.clients.remove(key);
        }
    }

    /// Marks the clients whose keys the store says were changed.
    #[cold]
    #[inline(never)]
    pub fn follow(&mut self, store: &mut Store) {
        for key in store.take_changes() {
            self.touch(&key);
        }
    }

    /// A key has changed.
    fn touch(&mut self, key: &[u8]) {
        for &client in self.clients.get(key) {
            add(&mut self.changed, client);
        }
    }
}

/// Whether MULTI was said.
pub(super) fn is_open(ctx: &Ctx<'_>) -> bool {
    ctx.session.transaction.as_ref().is_some_and(|transaction| transaction.open)
}

/// Whether anything that is queued publishes.
pub(super) fn publishes(ctx: &Ctx<'_>) -> bool {
    let transaction = ctx.session.transaction.as_deref();
    transaction.is_some_and(|open| open.queue.iter().any(|(spec, _)| spec.flags.has(Flags::PUBLISHES)))
}

/// Whether a request of this row is to be queued instead of executed.
pub(super) fn queues(ctx: &Ctx<'_>, spec: &CommandSpec) -> bool {
    is_open(ctx) && !spec.flags.has(Flags::IMMEDIATE)
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

/// Queues a request that concerns this.
pub(super) fn queue(
    ctx: &mut Ctx<'_>,
    spec: &'static CommandSpec,
    args: Args<'_>,
    aim: Aim,
    reply: &mut Reply<'_>,
) -> Outcome {
    let Some(transaction) = &mut ctx.session.transaction else { return Ok(Flow::Continue) };
    let Some(owned) = OwnedArgs::new(args) else {
        transaction.poisoned = true;
        return Err(CommandError::NoMemory);
    };
    if transaction.bytes_used() + owned.bytes_used() > TRANSACTION_BYTES_MAX {
        transaction.poisoned = true;
        return Err(too_large());
    }
    transaction.span = transaction.span.and(aim.span);
    transaction.bound = transaction.bound.or(aim.bound.then(|| spec.name()));
    transaction.queue_bytes += owned.bytes_used();
    transaction.queue.push((spec, owned));
    reply.set_face(Face::Typed);
    reply.simple("QUEUED");
    Ok(Flow::Continue)
}

fn too_large() -> CommandError {
    CommandError::Other(format!(
        "ERR a transaction and what it watches take at most {} MB, and it watches at most {WATCHED_KEYS_MAX} keys",
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
    if let Some(own) = ctx.state.slots
        && let Some(slot) = owned_elsewhere(ctx, own)?
    {
        return Ok(Flow::Away(Route::Exec(slot)));
    }
    let denies = |transaction: &Transaction| transaction.queue.iter().any(|(spec, _)| spec.flags.has(Flags::DENYOOM));
    let denies = ctx.session.transaction.as_deref().is_some_and(denies);
    admit(ctx, denies, 0)?;
    let changed = watched_changed(ctx);
    unwatch(ctx);
    let Some(transaction) = ctx.session.transaction.take() else { return Ok(Flow::Continue) };
    if transaction.poisoned {
        let text = "EXECABORT Transaction discarded because of previous errors.";
        return Err(CommandError::Other(text.into()));
    }
    run_all(ctx, changed, &mut transaction.queue.iter().map(|(spec, owned)| (*spec, owned.args())), reply)
}

/// Whether there are keys, and memory where that is needed, for a transaction that is to be executed here.
fn admit(ctx: &mut Ctx<'_>, denies: bool, extra_bytes: usize) -> Result<(), CommandError> {
    let error = match ctx.state.snapshots.closed {
        Some(why) => CommandError::Other(why.into()),
        None => match denies && ctx.state.make_room_for(extra_bytes) == Room::None {
            true => CommandError::OutOfMemory,
            false => return Ok(()),
        },
    };
    Err(abort(ctx, &error))
}

/// Executes queued requests, one after the other; none where a watched key has changed.
fn run_all<'a>(
    ctx: &mut Ctx<'_>,
    changed: bool,
    requests: &mut dyn ExactSizeIterator<Item = (&'static CommandSpec, Args<'a>)>,
    reply: &mut Reply<'_>,
) -> Outcome {
    if changed {
        reply.null_array();
        return Ok(Flow::Continue);
    }
    reply.array(requests.len());
    let mut after = Flow::Continue;
    ctx.state.pubsub.in_transaction = true;
    for (spec, args) in requests {
        reply.set_face(spec.face);
        // It was found before it was queued.
        let Ok(chosen) = choose(spec, args) else { continue };
        // Those before it may have taken what there was.
        if spec.flags.has(Flags::DENYOOM)
            && let Err(error) = ctx.state.want_room_for(spec, args)
        {
            refuse(ctx, &error, reply);
            continue;
        }
        match run_apart(spec, chosen, ctx, args, reply) {
            Flow::Continue => {}
            Flow::Wait(deferred) => at_once(ctx, *deferred, reply),
            other => after = other,
        }
    }
    ctx.state.pubsub.in_transaction = false;
    Ok(after)
}

/// The slot that the transaction is to be executed at, if it is another node's. Where there is no such slot, because
/// the keys are in several or what is queued is this node's affair, the transaction is over.
fn owned_elsewhere(ctx: &mut Ctx<'_>, own: OwnSlots) -> Result<Option<SlotId>, CommandError> {
    let Some(transaction) = ctx.session.transaction.as_deref() else { return Ok(None) };
    // What will do nothing does it here.
    if transaction.poisoned || transaction.lost {
        return Ok(None);
    }
    let error = match transaction.span.and(transaction.watched_slot.map_or(Span::None, Span::One)) {
        Span::None => return Ok(None),
        Span::One(slot) if own.has(slot) => return Ok(None),
        Span::One(slot) => match transaction.bound {
            None => return Ok(Some(slot)),
            Some(name) => CommandError::Other(format!(
                "EXECABORT Transaction discarded because of: '{name}' concerns this node, the keys are another node's"
            )),
        },
        Span::Many => cross_slot(),
    };
    unwatch(ctx);
    ctx.session.transaction = None;
    Err(error)
}

/// Executes a transaction of another node's client, as [`Transaction::words`] wrote it.
pub(super) fn exec_queued(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let requests = read_queue(args);
    let denies = requests.iter().flatten().any(|(spec, _)| spec.flags.has(Flags::DENYOOM));
    admit(ctx, denies, args.long_bytes())?;
    let changed = watched_changed(ctx);
    unwatch(ctx);
    run_all(ctx, changed, &mut requests?.into_iter(), reply)
}

/// The requests in the words of a transaction. All that may be refused is refused before the first one is executed.
fn read_queue(args: Args<'_>) -> Result<Vec<(&'static CommandSpec, Args<'_>)>, CommandError> {
    let malformed = || CommandError::other("another node sent a transaction that is none");
    let (mut requests, mut at) = (Vec::new(), 1);
    while let Some(count) = args.get(at) {
        let count = crate::proto::integer(count).and_then(|count| usize::try_from(count).ok());
        let request = count.and_then(|count| args.part(at + 1, count)).ok_or_else(malformed)?;
        let spec = lookup(request.name()).ok_or_else(malformed)?;
        let (sub, handler) = choose(spec, request).map_err(|(_, error)| error)?;
        let reach = sub.map_or(spec.reach, |sub| spec.subcommands()[sub].reach);
        let foreign = matches!(reach, Reach::Node | Reach::Handled) && handler.is_some();
        if foreign || spec.flags.has(Flags::IMMEDIATE) {
            return Err(malformed());
        }
        at += 1 + request.len();
        requests.push((spec, request));
    }
    Ok(requests)
}

/// Inside a transaction nothing can wait: a walk is done whole, which is what makes it part of one moment.
fn at_once(ctx: &mut Ctx<'_>, deferred: Deferred, reply: &mut Reply<'_>) {
    match deferred {
        Deferred::Walk(walk) => walk.answer_at_once(&ctx.state.store, ctx.state.now.ms, reply),
        Deferred::WrongPassword => reply.error(super::WRONG_PASSWORD),
        Deferred::Paused(..) | Deferred::Snapshot { .. } => unreachable!("these are not executed in a transaction"),
        Deferred::Clients(_) => reply.error("ERR CLIENT LIST, INFO and KILL are not for a transaction"),
    }
}

/// `WATCH key [key ...]`
pub(super) fn watch(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    if is_open(ctx) {
        return Err(CommandError::other("WATCH inside MULTI is not allowed"));
    }
    let own = ctx.state.slots.filter(|_| reply.encoding() != Encoding::Bus);
    let slot = if own.is_some() { one_slot(Keys::ALL, args)? } else { None };
    let transaction = ctx.session.transaction.get_or_insert_default();
    if let Some(own) = own {
        if transaction.watched_slot.is_some_and(|watched| Some(watched) != slot) {
            return Err(cross_slot());
        }
        transaction.watched_slot = slot;
        if let Some(slot) = slot.filter(|&slot| !own.has(slot)) {
            transaction.elsewhere = true;
            return Ok(Flow::Away(Route::Watch(slot)));
        }
    }
    for key in args.from(1) {
        if ctx.state.watches.has(key, ctx.session.id) {
            continue;
        }
        transaction.watched_bytes += key.len() + WATCHED_KEY_BYTES;
        if transaction.bytes_used() > TRANSACTION_BYTES_MAX || transaction.watched.len() == WATCHED_KEYS_MAX {
            unwatch(ctx);
            return Err(too_large());
        }
        let existed = ctx.state.store.get(key, ctx.state.now.ms).is_some();
        transaction.watched.push((ctx.state.watches.add(key, ctx.session.id), existed));
    }
    ctx.state.store.track_changes(true);
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
        ctx.session.forget_elsewhere = transaction.watch_elsewhere().or(ctx.session.forget_elsewhere);
        forget(transaction, &mut ctx.state.watches, ctx.session.id);
        if !transaction.open {
            ctx.session.transaction = None;
        }
        ctx.state.store.track_changes(!ctx.state.watches.is_empty());
    }
}

/// Takes a client's keys out of the table.
pub(super) fn forget(transaction: &mut Transaction, watches: &mut Watches, client: u64) {
    for (key, _) in std::mem::take(&mut transaction.watched) {
        watches.remove(&key, client);
    }
    transaction.watched_bytes = 0;
    (transaction.watched_slot, transaction.elsewhere, transaction.lost) = (None, false, false);
    remove(&mut watches.changed, client);
}

/// Whether a key that the client watches was changed or has ended.
fn watched_changed(ctx: &Ctx<'_>) -> bool {
    let Some(transaction) = &ctx.session.transaction else { return false };
    transaction.lost
        || ctx.state.watches.changed.binary_search(&ctx.session.id).is_ok()
        || transaction
            .watched
            .iter()
            .any(|(key, existed)| *existed && ctx.state.store.get(key, ctx.state.now.ms).is_none())
}

/// Marks the clients whose keys the last command has changed.
pub(super) fn mark_changes(ctx: &mut Ctx<'_>) {
    ctx.state.watches.follow(&mut ctx.state.store);
}

/// Every key is about to go: who watches one that is there is marked.
pub(super) fn mark_flush(ctx: &mut Ctx<'_>) {
    let there: Vec<Box<[u8]>> = ctx
        .state
        .watches
        .keys()
        .filter(|&key| ctx.state.store.get(key, ctx.state.now.ms).is_some())
        .map(Box::from)
        .collect();
    there.iter().for_each(|key| ctx.state.watches.touch(key));
}
