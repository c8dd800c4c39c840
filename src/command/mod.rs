//! Commands: what a request means to the store, and what it answers.
//!
//! A command is a row of [`table::COMMANDS`]; [`lookup`] finds it and [`execute`] is the one door into it. Knows no
//! sockets: what a handler wants of the connection or of the server it says as a [`Flow`].

mod admin;
mod bitfield;
mod bits;
mod client;
mod cluster;
mod counter;
mod decimal;
mod docs;
mod dump;
mod events;
mod expiry;
mod families;
mod glob;
mod info;
mod key;
mod latency;
mod lcs;
mod measure;
mod memory;
mod monitor;
mod object;
mod publish;
mod route;
mod rows;
mod session;
mod set;
mod settings;
mod slowlog;
mod snapshot;
mod state;
mod string;
mod sub;
pub mod table;
mod texts;
mod transaction;
mod walk;

pub use client::{ClientKind, Clients, Filter, Pause};
pub use cluster::{NoCluster, NodeView, Topology};
pub use events::parse as event_classes;
pub use measure::Measures;
pub use memory::Room;
pub use route::{Merge, OwnSlots, Reach, Route};
pub use session::{Names, Replies, Session};
pub use settings::{DebugAccess, Settings, apply_log_level};
pub use slowlog::{Shown, SlowLog};
pub use snapshot::{ENDING, LOADING, Loading, Making, Snapshots};
pub use state::{Access, Host, Node, Now, State};
pub use sub::Subcommand;
pub use table::{CommandSpec, Family, Flags, Keys, lookup};
pub use texts::{COMMANDS, Texts};
pub use transaction::{Transaction, Watches};
pub use walk::Walk;

use crate::blob::OutOfMemory;
use crate::limits::ECHO_BYTES_MAX;
use crate::proto::{Args, Encoding, OwnedArgs, Reply};
use crate::store::{EntryRef, Key, Probe, Store, Value};
use route::Aim;
use std::fmt;

/// The version of Redis whose commands, answers and errors are followed; what clients are told.
pub const REDIS_VERSION: &str = "7.0.15";

/// What a wrong password is answered with, in Redis's words.
pub const WRONG_PASSWORD: &str = "WRONGPASS invalid username-password pair or user is disabled.";

/// What is answered where the system has no memory to give.
pub const NO_MEMORY: &str =
    "OOM the system has no memory left for this: delete keys, or set a maxmemory that the box has";

/// Where a client comes from; asked only when it is to be shown.
pub trait Peer {
    /// Its address, as `127.0.0.1:4711`; as Redis has it, the path and `:0` for a Unix socket.
    fn address(&self) -> String;

    /// Whether it is on this box.
    fn is_local(&self) -> bool;
}

/// Everything that a handler may use.
pub struct Ctx<'a> {
    /// What is there whoever asks.
    pub state: &'a mut State,
    /// The client that asks.
    pub session: &'a mut Session,
    /// Where it comes from.
    pub peer: &'a dyn Peer,
    /// The cluster, to be shown.
    pub topology: &'a dyn Topology,
    /// What is known of the request's first key, if it was looked for ahead.
    pub probe: Option<&'a Probe>,
}

impl Ctx<'_> {
    /// The first word of the request behind its name, which is its only key or the first one.
    #[inline(always)]
    fn key<'k>(&self, args: Args<'k>) -> Key<'k> {
        let key = args.get(1).expect("its arity asks for a key");
        self.probe.map_or_else(|| key.into(), |probe| probe.key(key))
    }

    /// The entry of `key` for a command that uses its value, counted as a hit or a miss. The memory policy hears of the
    /// use, unless the client does not want that.
    fn find<'k>(&mut self, key: impl Into<Key<'k>>) -> Option<EntryRef<'_>> {
        self.find_apart(key.into())
    }

    #[cfg_attr(memento_small, inline(never))]
    fn find_apart(&mut self, key: Key<'_>) -> Option<EntryRef<'_>> {
        self.find_here(key)
    }

    /// As [`Ctx::find`], its code put where it is used.
    #[inline(always)]
    fn find_here(&mut self, key: Key<'_>) -> Option<EntryRef<'_>> {
        let now_ms = self.state.now.ms;
        let touches = self.state.store.tracks_use() && !self.session.no_touch;
        let found = if touches { self.state.store.read(key, now_ms) } else { self.state.store.get(key, now_ms) };
        self.state.stats.keyspace_hits += u64::from(found.is_some());
        self.state.stats.keyspace_misses += u64::from(found.is_none());
        if found.is_none() && self.state.pubsub.events & events::MISS != 0 {
            events::miss(&mut self.state.pubsub, &mut self.state.stats, key.bytes);
        }
        found
    }

    /// The value of `key`, as [`Ctx::find`] finds it: for commands to which one more call does not matter.
    #[inline(never)]
    fn find_value<'k>(&mut self, key: Key<'k>) -> Option<Value<'_>> {
        self.find(key).map(|entry| entry.value())
    }

    /// The entry of `key` for a command that asks about it without using it, counted as a hit or a miss.
    fn peek<'k>(&mut self, key: impl Into<Key<'k>>) -> Option<EntryRef<'_>> {
        let key = key.into();
        let found = self.state.store.get(key, self.state.now.ms);
        self.state.stats.keyspace_hits += u64::from(found.is_some());
        self.state.stats.keyspace_misses += u64::from(found.is_none());
        if found.is_none() && self.state.pubsub.events & events::MISS != 0 {
            events::miss(&mut self.state.pubsub, &mut self.state.stats, key.bytes);
        }
        found
    }
}

/// What the connection does after a command.
#[derive(Debug)]
pub enum Flow {
    /// Goes on; the reply is written.
    Continue,
    /// Goes on; this command has no reply.
    Unanswered,
    /// Ends, once the replies so far are sent.
    Close,
    /// The reply comes later, and until then no further request of this client is executed.
    Wait(Box<Deferred>),
    /// The server ends, as on SIGTERM; no reply.
    Shutdown,
    /// The request is to be executed elsewhere, and the reply comes from there; nothing is written.
    Away(Route),
}

impl Flow {
    /// The walk that makes the reply, if one does.
    pub fn walk(self) -> Option<Walk> {
        match self {
            Flow::Wait(deferred) => match *deferred {
                Deferred::Walk(walk) => Some(walk),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Why a reply comes later.
#[derive(Debug)]
pub enum Deferred {
    /// It takes many turns.
    Walk(Walk),
    /// It is [`WRONG_PASSWORD`], after a while: who guesses must wait.
    WrongPassword,
    /// It is about clients, of which the server knows.
    Clients(Clients),
    /// A snapshot is to be made; a background one is answered when it has begun.
    Snapshot {
        /// Whether it is one.
        background: bool,
    },
    /// The request itself is executed later: clients are paused.
    Paused(&'static CommandSpec, OwnedArgs),
}

/// An error reply; the connection lives. With a tag of its own: in the words of a `String`, where the compiler would
/// hide it, it takes ten bytes of code wherever an outcome is made or looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CommandError {
    /// Options that contradict each other or are none.
    Syntax,
    /// Text that is no signed 64-bit integer.
    NotInteger,
    /// Text that is no decimal number, or too large a one.
    NotFloat,
    /// A sum beyond 64 bits.
    Overflow,
    /// A sum of more than 308 integer digits.
    FloatOverflow,
    /// A time that has passed or is too far away, for the command of this name.
    ExpireTime(&'static str),
    /// A value that would be longer than allowed.
    ValueTooLong,
    /// A pattern that would keep everybody waiting.
    PatternTooCostly,
    /// A key that must be there and is not.
    NoSuchKey,
    /// A request that needs memory where the limit is reached and nothing may go.
    OutOfMemory,
    /// A request that needs memory where the system has none to give.
    NoMemory,
    /// A number of arguments that the command of this name does not take.
    Arity(&'static str),
    /// Any other, in full, its code first.
    Other(String),
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CommandError::Syntax => f.write_str("ERR syntax error"),
            CommandError::NotInteger => f.write_str("ERR value is not an integer or out of range"),
            CommandError::NotFloat => f.write_str("ERR value is not a valid float"),
            CommandError::Overflow => f.write_str("ERR increment or decrement would overflow"),
            CommandError::FloatOverflow => f.write_str("ERR increment would produce NaN or Infinity"),
            CommandError::ExpireTime(name) => write!(f, "ERR invalid expire time in '{name}' command"),
            CommandError::ValueTooLong => f.write_str("ERR string exceeds maximum allowed size (proto-max-bulk-len)"),
            CommandError::PatternTooCostly => {
                f.write_str("ERR matching this pattern takes too long, use a shorter one or fewer *")
            }
            CommandError::OutOfMemory => f.write_str("OOM command not allowed when used memory > 'maxmemory'."),
            CommandError::NoMemory => f.write_str(NO_MEMORY),
            CommandError::NoSuchKey => f.write_str("ERR no such key"),
            CommandError::Arity(name) => write!(f, "ERR wrong number of arguments for '{name}' command"),
            CommandError::Other(text) => f.write_str(text),
        }
    }
}

impl From<OutOfMemory> for CommandError {
    fn from(_: OutOfMemory) -> CommandError {
        CommandError::NoMemory
    }
}

impl CommandError {
    /// An error of no special kind; its code is `ERR`.
    fn other(text: &str) -> CommandError {
        CommandError::Other(format!("ERR {text}"))
    }
}

/// What a handler returns.
type Outcome = Result<Flow, CommandError>;

/// Executes one request, or queues it in a transaction. Writes exactly one reply, unless the flow says that there is
/// none, or that it comes later.
///
/// In a cluster, a request that is not this node's alone is not executed but sent [`Flow::Away`]. One whose reply is
/// [`Encoding::Bus`] has been sent here, or cut up here, and is executed on what this node has.
#[inline(always)]
#[cfg_attr(memento_small, optimize(speed))]
pub fn execute(spec: &'static CommandSpec, ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Flow {
    ctx.session.set_last(spec);
    if is_plain(spec, ctx, args) {
        run(spec, (None, Some(spec.run)), ctx, args, reply)
    } else {
        execute_guarded(spec, ctx, args, reply)
    }
}

/// Executes a request that something is to be looked into before.
#[cfg_attr(memento_small, optimize(speed))]
#[inline(never)]
fn execute_guarded(spec: &'static CommandSpec, ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Flow {
    let flow = match choose(spec, args).and_then(|chosen| admit(spec, ctx, chosen)) {
        Err(rejection) => reject(spec, rejection, ctx, reply),
        Ok(chosen) if ctx.state.slots.is_some() => execute_in_cluster(spec, chosen, ctx, args, reply),
        Ok(chosen) => match lacks_memory(spec, ctx, args) {
            Some(error) => reject(spec, (chosen.0, error), ctx, reply),
            None if transaction::queues(ctx, spec) => queue(spec, Aim::default(), ctx, args, reply),
            None => run_apart(spec, chosen, ctx, args, reply),
        },
    };
    if !ctx.state.watches.is_empty() {
        transaction::mark_changes(ctx);
    }
    flow
}

/// Whether nothing is to be looked into before a request is run, as with nearly all of them.
#[inline(always)]
fn is_plain(spec: &CommandSpec, ctx: &Ctx<'_>, args: Args<'_>) -> bool {
    let session = &*ctx.session;
    spec.subcommands.is_empty()
        && spec.takes(args.len())
        && session.authenticated
        && !session.guarded
        && session.transaction.is_none()
        && !spec.flags.has_any(Flags::DEBUG.and(Flags::ENDS_MULTI).and(Flags::PUBLISHES))
        && ctx.state.slots.is_none()
        && ctx.state.settings.memory_bytes_max == 0
        && !ctx.state.store.is_short()
        && ctx.state.watches.is_empty()
        && !args.is_large()
}

/// Executes a request here, queues it, or says where it is to be executed.
#[cfg_attr(memento_small, optimize(speed))]
#[inline(never)]
fn execute_in_cluster(
    spec: &'static CommandSpec,
    chosen: Chosen,
    ctx: &mut Ctx<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Flow {
    let aim = match aim(spec, ctx, chosen, args, reply.encoding() == Encoding::Bus) {
        Ok(aim) => aim,
        Err(rejection) => return reject(spec, rejection, ctx, reply),
    };
    // Where a request is only passed on, its owner knows whether it has the keys, and whether there is memory for it.
    if aim.route.is_none()
        && let Some(error) = lacks_keys(spec, ctx, chosen)
    {
        return reject(spec, (chosen.0, error), ctx, reply);
    }
    if (aim.route.is_none() || transaction::queues(ctx, spec))
        && let Some(error) = lacks_memory(spec, ctx, args)
    {
        return reject(spec, (chosen.0, error), ctx, reply);
    }
    match aim.route {
        _ if transaction::queues(ctx, spec) => queue(spec, aim, ctx, args, reply),
        None => run_apart(spec, chosen, ctx, args, reply),
        Some(_) if publish::has_to_wait(spec, ctx, reply) => publish::wait(spec, ctx, args, reply),
        Some(route) => match spec.check.look_at(args) {
            Ok(()) => Flow::Away(route),
            Err(error) => refuse(ctx, &error, reply),
        },
    }
}

fn queue(spec: &'static CommandSpec, aim: Aim, ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Flow {
    transaction::queue(ctx, spec, args, aim, reply).unwrap_or_else(|error| refuse(ctx, &error, reply))
}

/// Executes a transaction that was queued at another node: the words that [`Transaction::words`] gave there. What its
/// client watches is in the session.
pub fn execute_queued(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Flow {
    let exec = lookup(b"exec").expect("EXEC has a row");
    ctx.session.set_last(exec);
    let flow = run_apart(exec, (None, Some(transaction::exec_queued)), ctx, args, reply);
    if !ctx.state.watches.is_empty() {
        transaction::mark_changes(ctx);
    }
    flow
}

/// Makes room for a request that may need memory, and says what is wrong where there is none to be made. What is queued
/// needs some as well, whatever it is.
#[cfg_attr(memento_small, inline(never))]
fn lacks_memory(spec: &CommandSpec, ctx: &mut Ctx<'_>, args: Args<'_>) -> Option<CommandError> {
    if !spec.flags.has(Flags::DENYOOM) && !transaction::queues(ctx, spec) {
        return None;
    }
    let limited = ctx.state.settings.memory_bytes_max > 0;
    if limited && ctx.state.make_room_for(args.long_bytes()) == Room::None {
        return Some(CommandError::OutOfMemory);
    }
    ctx.state.want_room_for(spec, args).err()
}

/// Runs a handler: the one door, and so the place where commands are measured.
///
/// The clock is read once, at the end: that is the start of the next command as well. Parsing is not in what a command
/// takes, since it is done for many at once; what others take that it executes is. Brief commands share a reading.
#[inline(always)]
fn run(
    spec: &'static CommandSpec,
    (sub, handler): Chosen,
    ctx: &mut Ctx<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Flow {
    ctx.state.stats.total_commands_processed += 1;
    let brief = spec.flags.has(Flags::BRIEF)
        && !ctx.state.settings.wants_every_time(spec.flags)
        && !args.has_long()
        && !ctx.state.pubsub.is_monitored();
    if ctx.state.measures.is_amid_another_run(spec, brief) {
        ctx.state.measures.settle(ctx.state.host.clock_ns);
    }
    let began_ns = ctx.state.measures.ended_ns;
    if ctx.state.pubsub.events != 0 {
        events::end_keys(ctx.state, spec, args);
    }
    let outcome = match handler {
        Some(handler) => handler(ctx, args, reply),
        None => sub::help(spec, args, reply),
    };
    if brief {
        ctx.state.measures.join(spec, outcome.is_err());
    } else {
        book(ctx, (spec, sub), args, began_ns, &outcome);
    }
    match outcome {
        // Said again, since to move it would be to wait for what was written to it piece by piece.
        Ok(Flow::Continue) => Flow::Continue,
        Ok(flow) => flow,
        Err(error) => fail(ctx, error, reply),
    }
}

/// Measures a request that has just been executed and began then.
#[inline(never)]
fn book(
    ctx: &mut Ctx<'_>,
    (spec, sub): (&'static CommandSpec, Option<usize>),
    args: Args<'_>,
    began_ns: u64,
    outcome: &Outcome,
) {
    // Those that it executed itself.
    ctx.state.measures.settle(ctx.state.host.clock_ns);
    let ended_ns = (ctx.state.host.clock_ns)();
    let ns = ctx.state.measures.record((spec.place(), sub), began_ns, ended_ns, outcome.is_err());
    if ctx.state.settings.is_slow(ns) || ctx.state.pubsub.is_monitored() {
        note(ctx, (spec, sub), args, ns, matches!(outcome, Ok(Flow::Away(_))));
    }
}

/// Notes a request that was executed, as far as anybody wants to know. What is only passed on, its owner tells of.
#[cold]
#[inline(never)]
fn note(ctx: &mut Ctx<'_>, (spec, sub): (&CommandSpec, Option<usize>), args: Args<'_>, ns: u64, is_passed_on: bool) {
    if ctx.state.settings.is_slow(ns) {
        slowlog::note(ctx, spec, args, ns);
    }
    if ctx.state.pubsub.is_monitored() && !is_passed_on {
        monitor::tell(ctx, spec, sub, args);
    }
}

/// As [`run`], where something was looked into before: its code is there once. Who publishes may have to wait.
#[cfg_attr(memento_small, optimize(speed))]
#[inline(never)]
fn run_apart(
    spec: &'static CommandSpec,
    chosen: Chosen,
    ctx: &mut Ctx<'_>,
    args: Args<'_>,
    reply: &mut Reply<'_>,
) -> Flow {
    match publish::has_to_wait(spec, ctx, reply) {
        true => publish::wait(spec, ctx, args, reply),
        false => run(spec, chosen, ctx, args, reply),
    }
}

/// What runs a request: which subcommand, and its handler, none for HELP.
type Chosen = (Option<usize>, Option<table::Handler>);

/// Why a request is not even tried, and the subcommand that it concerns.
type Rejection = (Option<usize>, CommandError);

/// Finds what runs a request; the errors are those that come before any handler.
fn choose(spec: &CommandSpec, args: Args<'_>) -> Result<Chosen, Rejection> {
    if !spec.takes(args.len()) {
        return Err((None, CommandError::Arity(spec.name())));
    }
    match sub::find(spec, args) {
        sub::Meant::Itself => Ok((None, Some(spec.run))),
        sub::Meant::Help => Ok((None, None)),
        sub::Meant::Unknown => Err((None, sub::unknown(spec, args))),
        sub::Meant::Sub(index) => {
            let sub = &spec.subcommands()[index];
            let fits = table::fits(sub.arity, args.len());
            if fits { Ok((Some(index), Some(sub.run))) } else { Err((Some(index), CommandError::Arity(sub.name()))) }
        }
    }
}

/// Lets a request pass, or says why not, in the order in which Redis looks.
#[cfg_attr(memento_small, inline(never))]
fn admit(spec: &CommandSpec, ctx: &Ctx<'_>, chosen: Chosen) -> Result<Chosen, Rejection> {
    let error = if !ctx.session.authenticated && !spec.flags.has(Flags::NO_AUTH) {
        CommandError::Other("NOAUTH Authentication required.".into())
    } else if ctx.session.denied && ctx.state.access.password.is_none() && !spec.flags.has(Flags::UNPROTECTED) {
        CommandError::Other(DENIED.into())
    } else if ctx.state.slots.is_none()
        && let Some(error) = lacks_keys(spec, ctx, chosen)
    {
        error
    } else if spec.flags.has(Flags::NO_MULTI) && transaction::is_open(ctx) {
        CommandError::other("Command not allowed inside a transaction")
    } else if spec.flags.has(Flags::DEBUG)
        && let Err(error) = admin::check_debug(ctx)
    {
        error
    } else if ctx.session.is_subscriber()
        && ctx.session.encoding != Some(Encoding::Resp3)
        && !spec.flags.has(Flags::SUBSCRIBED)
    {
        publish::not_now(chosen.0.map_or(spec.name(), |sub| spec.subcommands()[sub].name()))
    } else {
        return Ok(chosen);
    };
    Err((chosen.0, error))
}

/// Why a request is refused that needs keys, while there are none to be had.
fn lacks_keys(spec: &CommandSpec, ctx: &Ctx<'_>, (sub, _): Chosen) -> Option<CommandError> {
    let why = ctx.state.snapshots.closed?;
    let needs = |flags: Flags| flags.has_any(Flags::READONLY.and(Flags::WRITE).and(Flags::LOADED));
    let needs_keys = needs(spec.flags) || sub.is_some_and(|sub| needs(spec.subcommands()[sub].flags));
    needs_keys.then(|| CommandError::Other(why.into()))
}

/// What a request concerns; nothing where there is no cluster, and this node's keys where another one has sent it here.
#[cfg_attr(memento_small, inline(never))]
fn aim(spec: &CommandSpec, ctx: &Ctx<'_>, chosen: Chosen, args: Args<'_>, arrived: bool) -> Result<Aim, Rejection> {
    let Some(own) = ctx.state.slots else { return Ok(Aim::default()) };
    let (sub, handler) = chosen;
    let row = sub.map(|sub| &spec.subcommands()[sub]);
    let known = ctx.probe.map(|probe| probe.slot());
    let aim =
        route::aim(spec, row, (handler.is_none(), known), ctx.session, own, args).map_err(|error| (sub, error))?;
    match arrived {
        true if aim.bound => Err((sub, CommandError::other("another node has nothing to ask of this one but keys"))),
        true => Ok(Aim::default()),
        false => Ok(aim),
    }
}

/// What who comes from elsewhere is told while no password keeps the others out.
const DENIED: &str = "DENIED memento is running in protected mode because protected mode is enabled and no password is \
    set. In this mode connections are only accepted from the box itself. To let others in, either give the server a \
    password with --password-file FILE or MEMENTO_PASSWORD, or switch this off with --protected-mode no, or let it \
    listen on the loopback interface alone, which is what it does without -a.";

/// Answers a request that is not even tried.
#[cold]
fn reject(spec: &'static CommandSpec, (sub, error): Rejection, ctx: &mut Ctx<'_>, reply: &mut Reply<'_>) -> Flow {
    ctx.state.measures.reject((spec.place(), sub));
    let error = if spec.flags.has(Flags::ENDS_MULTI) {
        transaction::abort(ctx, &error)
    } else {
        transaction::poison(ctx);
        error
    };
    refuse(ctx, &error, reply)
}

/// Answers with the error that a handler gave.
#[cold]
#[inline(never)]
fn fail(ctx: &mut Ctx<'_>, error: CommandError, reply: &mut Reply<'_>) -> Flow {
    refuse(ctx, &error, reply)
}

/// Answers with an error, and counts it.
#[cold]
fn refuse(ctx: &mut Ctx<'_>, error: &CommandError, reply: &mut Reply<'_>) -> Flow {
    let text = error.to_string();
    ctx.state.stats.count_error(&text);
    reply.error(&text);
    Flow::Continue
}

/// Answers a request whose command does not exist.
#[cold]
pub fn execute_unknown(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) {
    ctx.state.stats.count_error("ERR");
    transaction::poison(ctx);
    let mut shown = String::new();
    for word in args.from(1) {
        if shown.len() >= ECHO_BYTES_MAX {
            break;
        }
        let room = ECHO_BYTES_MAX - shown.len();
        shown += &format!("'{:.room$}' ", echo(word));
    }
    let name = echo(args.name());
    reply.unknown_command(&format!("ERR unknown command '{name}', with args beginning with: {shown}"));
}

/// A client has gone: nobody watches for it any more. Where it watched keys of another node, the session says so in
/// `forget_elsewhere`.
pub fn forget(session: &mut Session, watches: &mut Watches, store: &mut Store) {
    if let Some(mut transaction) = session.transaction.take() {
        session.forget_elsewhere = transaction.watch_elsewhere().or(session.forget_elsewhere);
        transaction::forget(&mut transaction, watches, session.id);
        store.track_changes(!watches.is_empty());
    }
}

/// Whether a line is one of an HTTP request: a browser was tricked into talking to the port (cross-protocol
/// scripting), and what follows it would be executed.
#[cfg_attr(memento_small, inline(never))]
pub fn is_http(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"POST") || name.eq_ignore_ascii_case(b"Host:")
}

/// Answers with a value: a short one is copied, a long one is sent from where it is stored.
#[inline(always)]
fn reply_value(reply: &mut Reply<'_>, value: Value<'_>) {
    match value {
        Value::Inline(bytes) => reply.bulk(bytes),
        Value::Shared(value) => reply.shared(value),
    }
}

/// What a client sent, fit to be shown: cut, and without bytes that could paint a terminal.
fn echo(bytes: &[u8]) -> String {
    let shown = bytes.iter().take(ECHO_BYTES_MAX);
    shown.map(|&byte| if byte.is_ascii_graphic() || byte == b' ' { char::from(byte) } else { '?' }).collect()
}

/// Which of these a word is, in any case.
fn choice(word: &[u8], choices: &[&str]) -> Option<usize> {
    choices.iter().position(|choice| word.eq_ignore_ascii_case(choice.as_bytes()))
}

/// The beginning of a word that chooses between others, which are shorter: a copy of all of it, in another case, would be
/// one more of what may have half a gigabyte.
fn short(word: &[u8]) -> &[u8] {
    &word[..word.len().min(ECHO_BYTES_MAX)]
}

/// Reads an argument as an integer.
fn integer(text: &[u8]) -> Result<i64, CommandError> {
    crate::proto::integer(text).ok_or(CommandError::NotInteger)
}

#[cfg(test)]
mod tests;
