//! Commands: what a request means to the store, and what it answers.
//!
//! A command is a row of [`table::COMMANDS`]; [`lookup`] finds it and [`execute`] is the one door into it. Knows no
//! sockets: what a handler wants of the connection or of the server it says as a [`Flow`].

mod admin;
mod counter;
mod decimal;
mod docs;
mod expiry;
mod glob;
mod info;
mod key;
mod latency;
mod measure;
mod memory;
mod session;
mod settings;
mod slowlog;
mod string;
mod sub;
pub mod table;
mod walk;

pub use measure::Measures;
pub use settings::{DebugAccess, Settings, apply_log_level};
pub use slowlog::{Shown, SlowLog};
pub use sub::Subcommand;
pub use table::{COMMANDS, CommandSpec, Family, Flags, Keys, lookup};
pub use walk::Walk;

use crate::limits::ECHO_BYTES_MAX;
use crate::proto::{Args, Reply};
use crate::stats::Stats;
use crate::store::{EntryRef, Store, Value};
use std::fmt;

/// The time of a turn: one reading of the clocks serves every command in it.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Milliseconds since boot; what expiry runs on.
    pub ms: u64,
    /// Wall time less boot time, in milliseconds: turns the one into the other where it is shown or converted.
    pub wall_offset_ms: i64,
}

impl Now {
    /// A moment of the boot clock as milliseconds since the Unix epoch.
    pub fn to_wall_ms(self, boot_ms: u64) -> i64 {
        (boot_ms as i64).saturating_add(self.wall_offset_ms)
    }
}

/// What commands may tell of the node that runs them.
#[derive(Clone, Debug)]
pub struct Node {
    /// The client port, 0 where there is none.
    pub tcp_port: u16,
    /// The boot clock at start.
    pub started_ms: u64,
    /// Clients connected now.
    pub clients: usize,
    /// Clients whose answer is being made over several turns.
    pub waiting: usize,
    /// Forty hexadecimal digits, new at each start.
    pub run_id: String,
    /// The box's memory, 0 where it is not known.
    pub memory_bytes: u64,
    /// The kernel's name, release and machine.
    pub kernel: String,
    /// What was resident when the server began to serve: the program, its stack, its first buffers.
    pub base_bytes: usize,
    /// What the clients' own records and unfinished answers took at the end of the last turn.
    pub client_bytes: usize,
    /// What the loop's buffers took then.
    pub buffer_bytes: usize,
}

/// Who sends a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientFacts<'a> {
    /// Its address, as `127.0.0.1:4711`; as Redis has it, the path and `:0` for a Unix socket.
    pub address: &'a str,
    /// The name that it gave itself, or none.
    pub name: &'a str,
    /// Whether it is on this box.
    pub local: bool,
}

/// What the server asks of the operating system for commands.
pub struct Host {
    /// A monotonic clock in nanoseconds, to measure with.
    pub clock_ns: fn() -> u64,
    /// Processor time used, in microseconds: the program's own, and the kernel's for it.
    pub cpu_us: fn() -> (u64, u64),
}

/// Everything that a handler may use.
pub struct Ctx<'a> {
    /// The keys.
    pub store: &'a mut Store,
    /// The turn's time.
    pub now: Now,
    /// What is counted.
    pub stats: &'a mut Stats,
    /// The node.
    pub node: &'a Node,
    /// The settings.
    pub settings: &'a mut Settings,
    /// What is measured of commands.
    pub measures: &'a mut Measures,
    /// The requests that took long.
    pub slowlog: &'a mut SlowLog,
    /// Who asks.
    pub client: ClientFacts<'a>,
    /// The wall clock to the microsecond, for what shows it.
    pub wall_us: fn() -> i64,
    /// What else the operating system knows.
    pub host: &'a Host,
}

impl Ctx<'_> {
    /// The entry of `key` for a command that reads, counted as a hit or a miss.
    fn find(&mut self, key: &[u8]) -> Option<EntryRef<'_>> {
        let found = self.store.get(key, self.now.ms);
        match found {
            Some(_) => self.stats.keyspace_hits += 1,
            None => self.stats.keyspace_misses += 1,
        }
        found
    }
}

/// What the connection does after a command.
#[derive(Debug)]
pub enum Flow {
    /// Goes on.
    Continue,
    /// Ends, once the replies so far are sent; this command has none.
    Close,
    /// The reply comes later, and until then no further request of this client is executed.
    Wait(Walk),
    /// The server ends, as on SIGTERM; no reply.
    Shutdown,
}

/// An error reply; the connection lives.
#[derive(Clone, Debug, PartialEq, Eq)]
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
            CommandError::Arity(name) => write!(f, "ERR wrong number of arguments for '{name}' command"),
            CommandError::Other(text) => f.write_str(text),
        }
    }
}

/// What a handler returns.
type Outcome = Result<Flow, CommandError>;

/// Executes one request: the one door into the handlers. Writes exactly one reply, unless the flow says that there
/// is none.
///
/// The clock is read once, at the end: that is the start of the next command as well. What a command takes thus has its
/// own parsing in it, and a command that executes others has theirs.
pub fn execute(spec: &'static CommandSpec, ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Flow {
    ctx.stats.total_commands_processed += 1;
    let (sub, run) = match choose(spec, args) {
        Ok(chosen) => chosen,
        Err((sub, error)) => {
            ctx.measures.reject((spec.place(), sub));
            return refuse(ctx, &error, reply);
        }
    };
    let began_ns = ctx.measures.ended_ns;
    let outcome = match run {
        Some(run) => run(ctx, args, reply),
        None => sub::help(spec, args, reply),
    };
    let ended_ns = (ctx.host.clock_ns)();
    let ns = ctx.measures.record((spec.place(), sub), began_ns, ended_ns, outcome.is_err());
    if ctx.settings.is_slow(ns) {
        let noted = ((ctx.wall_us)() / 1_000_000, ns / 1000);
        ctx.slowlog.push(spec, args, noted, ctx.client, ctx.settings.slow_entries_max);
    }
    match outcome {
        Ok(flow) => {
            debug_assert!(reply.is_whole() || !matches!(flow, Flow::Continue), "{} answers", spec.name);
            flow
        }
        Err(error) => refuse(ctx, &error, reply),
    }
}

/// What runs a request: which subcommand, and its handler, none for HELP.
type Chosen = (Option<usize>, Option<table::Handler>);

/// Finds what runs a request; the errors are those that come before any handler, with the subcommand they concern.
fn choose(spec: &CommandSpec, args: Args<'_>) -> Result<Chosen, (Option<usize>, CommandError)> {
    if !spec.takes(args.len()) {
        return Err((None, CommandError::Arity(spec.name)));
    }
    match sub::find(spec, args) {
        sub::Meant::Itself => Ok((None, Some(spec.run))),
        sub::Meant::Help => Ok((None, None)),
        sub::Meant::Unknown => Err((None, sub::unknown(spec, args))),
        sub::Meant::Sub(index) => {
            let sub = &spec.subcommands[index];
            let fits = table::fits(sub.arity, args.len());
            if fits { Ok((Some(index), Some(sub.run))) } else { Err((Some(index), CommandError::Arity(sub.name))) }
        }
    }
}

/// Answers with an error, and counts it.
#[cold]
fn refuse(ctx: &mut Ctx<'_>, error: &CommandError, reply: &mut Reply<'_>) -> Flow {
    let text = error.to_string();
    ctx.stats.count_error(&text);
    reply.error(&text);
    Flow::Continue
}

/// Answers a request whose command does not exist.
pub fn execute_unknown(ctx: &mut Ctx<'_>, reply: &mut Reply<'_>) {
    ctx.stats.count_error("ERR");
    reply.unknown_command();
}

/// Whether a line is one of an HTTP request: a browser was tricked into talking to the port (cross-protocol
/// scripting), and what follows it would be executed.
pub fn is_http(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"POST") || name.eq_ignore_ascii_case(b"Host:")
}

/// Answers with a value: a short one is copied, a long one is sent from where it is stored.
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

/// Reads an argument as an integer.
fn integer(text: &[u8]) -> Result<i64, CommandError> {
    crate::proto::integer(text).ok_or(CommandError::NotInteger)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_echoed_is_cut_and_printable() {
        assert_eq!(echo(b"a\x1b[1m\xff b"), "a?[1m? b");
        assert_eq!(echo(&[b'x'; 1000]).len(), ECHO_BYTES_MAX);
    }

    #[test]
    fn http_is_told_from_commands() {
        assert!(is_http(b"POST") && is_http(b"host:") && !is_http(b"HOST") && !is_http(b"GET"));
    }
}
