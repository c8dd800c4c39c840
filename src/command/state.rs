//! What commands work on, whoever asks: the store, the node, the settings, what is counted and measured.

use super::{CommandError, CommandSpec, Measures, OwnSlots, Pause, Settings, SlowLog, Snapshots, Watches};
use crate::proto::{Args, Word};
use crate::pubsub::PubSub;
use crate::stats::Stats;
use crate::store::Store;

/// What is there whoever asks. What is asked for most comes first: the instructions that reach what lies near are shorter.
#[repr(C)]
pub struct State {
    /// The turn's time.
    pub now: Now,
    /// What is measured of commands.
    pub measures: Measures,
    /// The keys.
    pub store: Store,
    /// What else the operating system knows.
    pub host: &'static Host,
    /// The slots that are this node's; none where there is no cluster.
    pub slots: Option<OwnSlots>,
    /// Until when which clients are held up.
    pub pause: Option<Pause>,
    /// The node.
    pub node: Node,
    /// The settings.
    pub settings: Settings,
    /// The requests that took long.
    pub slowlog: SlowLog,
    /// Who may come in.
    pub access: Access,
    /// Who watches which key.
    pub watches: Watches,
    /// Who subscribes to what.
    pub pubsub: PubSub,
    /// What is counted.
    pub stats: Stats,
    /// The snapshots.
    pub snapshots: Snapshots,
}

impl State {
    /// An empty store that nothing was asked of yet.
    pub fn new(node: Node, settings: Settings, access: Access, now: Now, host: &'static Host) -> State {
        State {
            store: Store::new(),
            now,
            stats: Stats::default(),
            snapshots: Snapshots { last_wall_ms: now.to_wall_ms(now.ms), ..Snapshots::default() },
            node,
            settings,
            measures: Measures::default(),
            slowlog: SlowLog::default(),
            access,
            watches: Watches::default(),
            pubsub: PubSub::default(),
            pause: None,
            slots: None,
            host,
        }
    }

    /// Looks whether the system has memory again, where it had none.
    pub(super) fn want_memory(&mut self) -> Result<(), CommandError> {
        if self.store.is_short() && !self.store.refill() { Err(CommandError::NoMemory) } else { Ok(()) }
    }

    /// As [`State::want_memory`], and whether there is enough for so many words of so many bytes together.
    pub(super) fn want_room(&mut self, words: usize, bytes: usize) -> Result<(), CommandError> {
        self.want_memory()?;
        if self.store.has_room(words, bytes) { Ok(()) } else { Err(CommandError::NoMemory) }
    }

    /// As [`State::want_memory`], and whether there is enough for what a request of this row may store of its words.
    pub(super) fn want_room_for(&mut self, spec: &CommandSpec, args: Args<'_>) -> Result<(), CommandError> {
        if !args.is_large() {
            return self.want_memory();
        }
        // What was received into a buffer of its own takes no more, unless it is a key.
        let received = |word| if let Word::Received(bytes) = word { bytes.len() } else { 0 };
        let long_key = |place| if let Word::Long(key) = args.word(place) { key.len() } else { 0 };
        let bytes =
            args.words().map(received).sum::<usize>() + spec.key_places(args.len()).map(long_key).sum::<usize>();
        self.want_room(args.len(), bytes)
    }
}

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
    pub(super) fn deadline_ms(self, after_ms: i64) -> Option<i64> {
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
    /// What the clients' own records and unfinished walks took at the end of the last turn.
    pub client_bytes: usize,
    /// What clients made the server hold: requests that are not whole or not executed, what is queued or watched, replies
    /// that are not sent.
    pub held_bytes: usize,
    /// Since when more memory is used than may be, where it is.
    pub exceeded_since_ms: Option<u64>,
    /// What the loop's buffers took then, and what waits to go to other nodes or came from them.
    pub buffer_bytes: usize,
}

/// Who may come in.
#[derive(Clone, Default)]
pub struct Access {
    /// What AUTH wants to hear; `None`: everybody may come in.
    pub password: Option<Vec<u8>>,
}

/// What the server asks of the operating system for commands.
pub struct Host {
    /// A monotonic clock in nanoseconds, to measure with.
    pub clock_ns: fn() -> u64,
    /// The wall clock to the microsecond, for what shows it.
    pub wall_us: fn() -> i64,
    /// Processor time used, in microseconds: the program's own, and the kernel's for it.
    pub cpu_us: fn() -> (u64, u64),
}
