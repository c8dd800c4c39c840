//! Commands: what a request means to the store, and what it answers.
//!
//! A command is a row of [`table::COMMANDS`]; [`lookup`] finds it and [`execute`] is the one door into it. Knows no
//! sockets: what a handler wants of the connection or of the server it says as a [`Flow`].

mod admin;
mod counter;
mod decimal;
mod expiry;
mod glob;
mod key;
mod lcs;
mod object;
mod session;
mod set;
mod string;
pub mod table;
mod walk;

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

    /// A moment since the Unix epoch as the boot clock's, negative for one before boot.
    pub fn to_boot_ms(self, wall_ms: i64) -> i64 {
        wall_ms.saturating_sub(self.wall_offset_ms)
    }

    /// The boot clock's time `after_ms` from now, which may have passed; `None` for one that no clock will show. The
    /// bound is that of the wall clock, as for Redis.
    fn deadline_ms(self, after_ms: i64) -> Option<i64> {
        after_ms.checked_add(self.to_wall_ms(self.ms).max(0))?;
        Some(after_ms.saturating_add(self.ms as i64))
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
    /// Clients that may be connected.
    pub clients_max: usize,
    /// Clients whose answer is being made over several turns.
    pub waiting: usize,
    /// Forty hexadecimal digits, new at each start.
    pub run_id: String,
    /// The box's memory, 0 where it is not known.
    pub memory_bytes: u64,
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
    /// The wall clock to the microsecond, for TIME alone.
    pub wall_us: fn() -> i64,
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
    /// A key that must be there and is not.
    NoSuchKey,
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
            CommandError::NoSuchKey => f.write_str("ERR no such key"),
            CommandError::Arity(name) => write!(f, "ERR wrong number of arguments for '{name}' command"),
            CommandError::Other(text) => f.write_str(text),
        }
    }
}

/// What a handler returns.
type Outcome = Result<Flow, CommandError>;

/// Executes one request: the one door into the handlers. Writes exactly one reply, unless the flow says that there
/// is none.
pub fn execute(spec: &CommandSpec, ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Flow {
    ctx.stats.total_commands_processed += 1;
    let outcome =
        if spec.takes(args.len()) { (spec.run)(ctx, args, reply) } else { Err(CommandError::Arity(spec.name)) };
    match outcome {
        Ok(flow) => {
            debug_assert!(reply.is_whole() || !matches!(flow, Flow::Continue), "{} answers", spec.name);
            flow
        }
        Err(error) => {
            ctx.stats.total_error_replies += 1;
            reply.error(&error.to_string());
            Flow::Continue
        }
    }
}

/// Answers a request whose command does not exist.
pub fn execute_unknown(ctx: &mut Ctx<'_>, reply: &mut Reply<'_>) {
    ctx.stats.total_error_replies += 1;
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

/// A subcommand that the container of this name does not have.
fn unknown_subcommand(container: &str, sub: &[u8]) -> CommandError {
    CommandError::Other(format!("ERR unknown subcommand '{}'. Try {container} HELP.", echo(sub)))
}

/// Reads an argument as an integer.
fn integer(text: &[u8]) -> Result<i64, CommandError> {
    crate::proto::integer(text).ok_or(CommandError::NotInteger)
}

#[cfg(test)]
mod tests;
