//! SAVE, BGSAVE, LASTSAVE; and what is known of snapshots.

use super::{CommandError, Ctx, Deferred, Flow, Outcome};
use crate::proto::{Args, Reply};

/// What is answered to whoever wants keys that are being loaded.
pub const LOADING: &str = "LOADING memento is loading its keys";

/// What is answered to whoever wants keys when the last snapshot is being made: it would not be told of changes.
pub const ENDING: &str = "LOADING memento is ending, and writes its keys";

/// Snapshots: the one that is made or loaded, and what became of others.
#[derive(Default)]
pub struct Snapshots {
    /// What is answered to requests that need keys, while there are none to be had.
    pub closed: Option<&'static str>,
    /// What is being loaded.
    pub loading: Option<Loading>,
    /// What is being made.
    pub making: Option<Making>,
    /// How many were made.
    pub made: u64,
    /// What went wrong with the last one.
    pub error: Option<String>,
    /// When the last good one was of, in milliseconds since the Unix epoch; the server's start, before there is one.
    pub last_wall_ms: i64,
    /// How long the last one took, whatever became of it.
    pub last_ms: Option<u64>,
    /// How long its file is, if it is good.
    pub last_bytes: u64,
    /// The longest turn of the loop while it was made.
    pub turn_worst_us: u64,
    /// How many changes had been counted when the last good one was of.
    pub changes: u64,
    /// Entries that were loaded at the start.
    pub loaded: u64,
    /// Entries of that snapshot that had ended meanwhile.
    pub loaded_ended: u64,
    /// Entries of that snapshot whose slots are other nodes', which were left out.
    pub loaded_foreign: u64,
    /// Whether the server is to end with one, or without, whatever has changed; where that was said.
    pub last: Option<bool>,
}

/// How far loading is.
#[derive(Clone, Copy, Default)]
pub struct Loading {
    /// When it began, by the boot clock.
    pub began_ms: u64,
    /// How long the file is.
    pub bytes: u64,
    /// How much of it has come.
    pub done: u64,
}

/// How far a snapshot is.
#[derive(Clone, Copy, Default)]
pub struct Making {
    /// When it began, by the boot clock.
    pub began_ms: u64,
    /// So many keys there were.
    pub keys: u64,
    /// So many were told of.
    pub done: u64,
}

/// Lets the server make a snapshot, which answers.
fn make(ctx: &Ctx<'_>, background: bool) -> Outcome {
    if ctx.state.settings.snapshot.is_empty() {
        return Err(CommandError::other("this server makes no snapshots: start it with --snapshot FILE"));
    }
    Ok(Flow::Wait(Box::new(Deferred::Snapshot { background })))
}

/// `SAVE`: answered when the snapshot is on the disk; meanwhile others are served.
pub(super) fn save(ctx: &mut Ctx<'_>, _args: Args<'_>, _reply: &mut Reply<'_>) -> Outcome {
    make(ctx, false)
}

/// `BGSAVE [SCHEDULE]`: answered when the file is there to be written.
pub(super) fn bgsave(ctx: &mut Ctx<'_>, args: Args<'_>, _reply: &mut Reply<'_>) -> Outcome {
    match args.get(1) {
        Some(word) if !word.eq_ignore_ascii_case(b"schedule") || args.len() > 2 => Err(CommandError::Syntax),
        _ => make(ctx, true),
    }
}

/// `LASTSAVE`
pub(super) fn lastsave(ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    reply.integer(ctx.state.snapshots.last_wall_ms / 1000);
    Ok(Flow::Continue)
}
