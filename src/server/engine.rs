//! What executes requests: the store and what commands may know of the server, without its sockets.

use crate::command::{self, ClientFacts, CommandSpec, Ctx, Host, Measures, Node, Now, Settings, SlowLog, Walk};
use crate::command::{execute, execute_unknown};
use crate::conn::{Flow, Place, Service};
use crate::log::{self, Level};
use crate::proto::{Args, Face, Output, Reply};
use crate::stats::Stats;
use crate::store::Store;
use crate::sys::{clock, resource};

static HOST: Host = Host { clock_ns: clock::monotonic_ns, cpu_us: resource::cpu_us };

/// The wall clock may drift against the boot clock by so much before what is shown follows it: a time that was given
/// in wall time is then shown again as it was given.
const WALL_DRIFT_MS: i64 = 100;

pub(super) struct Engine {
    pub(super) store: Store,
    pub(super) stats: Stats,
    pub(super) node: Node,
    pub(super) settings: Settings,
    pub(super) measures: Measures,
    pub(super) slowlog: SlowLog,
    pub(super) now: Now,
    /// Whether a flushed store is still being taken back.
    pub(super) reclaiming: bool,
    /// Whether a client has asked for the server's end.
    pub(super) shutdown: bool,
    /// A walk that the last request has begun, to be taken up by its client.
    pub(super) begun: Option<(Place, Walk)>,
    /// The row that the parser has asked for: that of the request that comes next.
    row: Option<&'static CommandSpec>,
    /// When the wall clock was last compared.
    compared_ms: u64,
}

impl Engine {
    pub(super) fn new(node: Node, settings: Settings, now_ms: u64) -> Engine {
        Engine {
            store: Store::new(),
            stats: Stats::default(),
            node,
            settings,
            measures: Measures::default(),
            slowlog: SlowLog::default(),
            now: Now { ms: now_ms, wall_offset_ms: clock::wall_ms() - now_ms as i64 },
            reclaiming: false,
            shutdown: false,
            begun: None,
            row: None,
            compared_ms: now_ms,
        }
    }

    /// The time of a new turn.
    pub(super) fn set_time(&mut self, now_ms: u64) {
        self.now.ms = now_ms;
        self.measures.sample(now_ms, &self.stats);
        if now_ms >= self.compared_ms + WALL_DRIFT_MS as u64 {
            self.compared_ms = now_ms;
            let offset_ms = clock::wall_ms() - now_ms as i64;
            if (offset_ms - self.now.wall_offset_ms).abs() >= WALL_DRIFT_MS {
                self.now.wall_offset_ms = offset_ms;
            }
        }
    }

    /// A client's share of the turn begins: what it was received with is not its first command's time.
    pub(super) fn begin_share(&mut self) {
        self.measures.ended_ns = clock::monotonic_ns();
    }

    /// A turn that took so long has ended.
    pub(super) fn end_turn(&mut self, turn_us: u64) {
        self.stats.turns += 1;
        self.stats.turn_worst_us = self.stats.turn_worst_us.max(turn_us);
        self.measures.turns.record(turn_us * 1000);
        let bytes = self.store.bytes_used() + self.node.client_bytes + self.node.buffer_bytes;
        self.measures.peak_bytes = self.measures.peak_bytes.max(bytes);
    }
}

impl Service for Engine {
    fn rest_of(&mut self, name: &[u8]) -> usize {
        self.row = command::lookup(name);
        self.row.map_or(0, |row| row.rest)
    }

    fn serve(&mut self, args: Args<'_>, output: &mut Output, place: Place) -> Flow {
        let Engine { store, stats, node, settings, measures, slowlog, now, row, .. } = self;
        let client = ClientFacts::default();
        let (now, wall_us, host) = (*now, clock::wall_us, &HOST);
        let mut ctx = Ctx { store, now, stats, node, settings, measures, slowlog, client, wall_us, host };
        let Some(row) = row.take() else {
            if command::is_http(args.name()) {
                log::write(Level::Warn, format_args!("an HTTP request came, its connection is closed"));
                return Flow::Close;
            }
            execute_unknown(&mut ctx, &mut Reply::new(output, Face::Typed));
            return Flow::Continue;
        };
        match execute(row, &mut ctx, args, &mut Reply::new(output, row.face)) {
            command::Flow::Continue => Flow::Continue,
            command::Flow::Close => Flow::Close,
            command::Flow::Wait(walk) => {
                self.begun = Some((place, walk));
                Flow::Wait
            }
            command::Flow::Shutdown => {
                self.shutdown = true;
                Flow::Close
            }
        }
    }
}
