//! What is measured of commands: how often each ran, how long it took, how it failed; and what the node does a second.

use super::COMMANDS;
use super::table::CommandSpec;
use crate::limits::{RATE_SAMPLE_MS, RATE_SAMPLES, RUN_CALLS_MAX};
use crate::stats::{Histogram, Stats};

/// What is measured of one command, or of one subcommand.
#[derive(Clone, Debug, Default)]
pub struct CallStats {
    /// Calls that reached the handler.
    pub calls: u64,
    /// What these took together, in nanoseconds.
    pub ns: u64,
    /// Calls that were answered with an error before the handler.
    pub rejected: u64,
    /// Calls that the handler answered with an error.
    pub failed: u64,
    /// How long the calls took; there from the first one on, since most commands are never called.
    pub histogram: Option<Histogram>,
}

impl CallStats {
    /// Counts a call that reached the handler.
    fn record(&mut self, ns: u64, failed: bool) {
        self.calls += 1;
        self.ns += ns;
        self.failed += u64::from(failed);
        self.histogram.get_or_insert_default().record(ns);
    }
}

/// The place of what is measured: a row, and which of its subcommands.
pub type CallPlace = (usize, Option<usize>);

#[derive(Clone, Debug, Default)]
struct RowStats {
    own: CallStats,
    subs: Box<[CallStats]>,
}

/// See the module.
pub struct Measures {
    /// When the last command ended, or the client's share of the turn began: the start of the next command. Commands
    /// that are not booked yet have begun then, too.
    pub ended_ns: u64,
    /// Brief commands of one row that came one behind the other, and are not booked yet.
    run: Option<Run>,
    /// How long turns took, waiting not included.
    pub turns: Histogram,
    /// The most memory that was in use at the end of a turn.
    pub peak_bytes: usize,
    rows: Box<[RowStats]>,
    /// The newest last.
    rates: Vec<Sample>,
}

/// See [`Measures::join`].
#[derive(Clone, Copy, Debug)]
struct Run {
    spec: &'static CommandSpec,
    calls: u32,
    failed: u32,
}

/// Counters as they stood once.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at_ms: u64,
    counters: [u64; 3],
}

fn counters(stats: &Stats) -> [u64; 3] {
    [stats.total_commands_processed, stats.total_net_input_bytes, stats.total_net_output_bytes]
}

impl Default for Measures {
    fn default() -> Measures {
        Measures {
            ended_ns: 0,
            run: None,
            turns: Histogram::default(),
            peak_bytes: 0,
            rows: empty_rows(),
            rates: Vec::with_capacity(RATE_SAMPLES),
        }
    }
}

fn empty_rows() -> Box<[RowStats]> {
    let empty = |spec: &CommandSpec| RowStats {
        own: CallStats::default(),
        subs: spec.subcommands().iter().map(|_| CallStats::default()).collect(),
    };
    COMMANDS.iter().map(empty).collect()
}

impl Measures {
    fn calls_mut(&mut self, (row, sub): CallPlace) -> &mut CallStats {
        let row = &mut self.rows[row];
        match sub {
            Some(sub) => &mut row.subs[sub],
            None => &mut row.own,
        }
    }

    /// Counts a call that was refused before its handler ran.
    pub fn reject(&mut self, place: CallPlace) {
        self.calls_mut(place).rejected += 1;
    }

    /// Whether commands wait to be booked.
    #[inline]
    pub fn is_amid_run(&self) -> bool {
        self.run.is_some()
    }

    /// Whether commands wait to be booked that a call of this row does not belong to: those are to be settled first.
    #[inline]
    pub(super) fn is_amid_another_run(&self, spec: &'static CommandSpec, brief: bool) -> bool {
        self.run.is_some_and(|run| !brief || run.calls == RUN_CALLS_MAX || !std::ptr::eq(run.spec, spec))
    }

    /// Counts a call of a brief command. Reading the clock takes longer than many a GET: calls of one row that come one
    /// behind the other share a reading, and the time that they took together.
    #[inline]
    pub(super) fn join(&mut self, spec: &'static CommandSpec, failed: bool) {
        let run = self.run.get_or_insert(Run { spec, calls: 0, failed: 0 });
        run.calls += 1;
        run.failed += u32::from(failed);
    }

    /// Books the commands that were not booked yet: the last of them has just ended.
    #[cfg_attr(memento_small, optimize(speed))]
    pub fn settle(&mut self, clock_ns: fn() -> u64) {
        let Some(Run { spec, calls, failed }) = self.run.take() else { return };
        let ended_ns = clock_ns();
        let ns = ended_ns.saturating_sub(std::mem::replace(&mut self.ended_ns, ended_ns));
        let stats = self.calls_mut((spec.place(), None));
        stats.calls += u64::from(calls);
        stats.ns += ns;
        stats.failed += u64::from(failed);
        stats.histogram.get_or_insert_default().record_many(ns / u64::from(calls), calls.into());
    }

    /// Counts a call that began at `began_ns` and has just ended; gives how long it took.
    pub(super) fn record(&mut self, place: CallPlace, began_ns: u64, ended_ns: u64, failed: bool) -> u64 {
        self.ended_ns = ended_ns;
        let ns = ended_ns.saturating_sub(began_ns);
        self.calls_mut(place).record(ns, failed);
        ns
    }

    /// Shows every command and subcommand to `see`, in the order of the table: its name, and what is measured.
    pub(super) fn each<'a>(&'a self, see: &mut dyn FnMut(&'static str, &'a CallStats)) {
        COMMANDS.iter().for_each(|spec| self.each_of(spec, see));
    }

    /// The same of one row and its subcommands.
    pub(super) fn each_of<'a>(&'a self, spec: &'static CommandSpec, see: &mut dyn FnMut(&'static str, &'a CallStats)) {
        let RowStats { own, subs } = &self.rows[spec.place()];
        see(spec.name(), own);
        for (sub, stats) in spec.subcommands().iter().zip(subs) {
            see(sub.name(), stats);
        }
    }

    /// Forgets all that was measured but the peak of memory.
    pub(super) fn reset(&mut self) {
        self.rows = empty_rows();
        self.turns = Histogram::default();
        self.rates.clear();
    }

    /// What the measures ask of the heap.
    pub(super) fn bytes_used(&self) -> usize {
        let mut bytes = Histogram::BYTES + self.rates.capacity() * size_of::<Sample>();
        self.each(&mut |_, stats| {
            bytes += size_of::<CallStats>() + if stats.histogram.is_some() { Histogram::BYTES } else { 0 };
        });
        bytes
    }

    /// Notes how the counters stand, if that was not done just before.
    pub fn sample(&mut self, now_ms: u64, stats: &Stats) {
        if self.rates.last().is_none_or(|last| now_ms >= last.at_ms + RATE_SAMPLE_MS) {
            if self.rates.len() == RATE_SAMPLES {
                self.rates.remove(0);
            }
            self.rates.push(Sample { at_ms: now_ms, counters: counters(stats) });
        }
    }

    /// Commands, bytes in and bytes out a second, over about the last second and a half. The loop sleeps while nothing
    /// happens and takes no samples then: the time since the last one counts.
    pub(super) fn rates(&self, now_ms: u64, stats: &Stats) -> [f64; 3] {
        let span_ms = RATE_SAMPLE_MS * RATE_SAMPLES as u64;
        // Over a shorter time than that between two samples, one busy moment would look like a rate.
        let is_old = |sample: &&Sample| sample.at_ms + RATE_SAMPLE_MS <= now_ms;
        let recent = self.rates.iter().filter(is_old).find(|sample| sample.at_ms + span_ms >= now_ms);
        let older = || self.rates.iter().rev().find(is_old);
        let Some(from) = recent.or_else(older) else { return [0.0; 3] };
        let seconds = (now_ms - from.at_ms) as f64 / 1000.0;
        let now = counters(stats);
        std::array::from_fn(|index| now[index].saturating_sub(from.counters[index]) as f64 / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_where_they_belong() {
        let mut measures = Measures::default();
        let place = super::super::lookup(b"get").unwrap().place();
        measures.reject((place, None));
        assert_eq!(measures.record((place, None), 100, 350, false), 250);
        assert_eq!(measures.record((place, None), 350, 400, true), 50);
        let mut used = Vec::new();
        measures.each(&mut |name, stats| used.extend((stats.calls > 0).then_some((name, stats))));
        let [("get", stats)] = used[..] else { panic!("{used:?}") };
        assert_eq!((stats.calls, stats.ns, stats.rejected, stats.failed), (2, 300, 1, 1));
        assert_eq!((stats.histogram.as_ref().map(Histogram::count), measures.ended_ns), (Some(2), 400));
        measures.reset();
        measures.each(&mut |name, stats| assert!(stats.calls == 0 && stats.histogram.is_none(), "{name}"));
    }

    /// What the clock and the histogram cost a command: `cargo test --lib -- --ignored --nocapture what_measuring_costs`.
    #[test]
    #[ignore = "prints a figure"]
    fn what_measuring_costs() {
        use crate::sys::clock;
        let place = (super::super::lookup(b"get").unwrap().place(), None);
        let mut measures = Measures { ended_ns: clock::monotonic_ns(), ..Measures::default() };
        let calls = 10_000_000;
        let began_ns = measures.ended_ns;
        (0..calls).for_each(|_| {
            std::hint::black_box(clock::monotonic_ns());
        });
        let read_ns = clock::monotonic_ns() - began_ns;
        let began_ns = clock::monotonic_ns();
        measures.ended_ns = began_ns;
        for _ in 0..calls {
            let began_ns = measures.ended_ns;
            std::hint::black_box(measures.record(place, began_ns, clock::monotonic_ns(), false));
        }
        let both_ns = measures.ended_ns - began_ns;
        println!("ns a command: clock {:.1}, clock and books {:.1}", read_ns as f64 / 1e7, both_ns as f64 / 1e7);
    }

    #[test]
    fn rates_follow_what_happens_and_fall_when_nothing_does() {
        let (mut measures, mut stats) = (Measures::default(), Stats::default());
        assert_eq!(measures.rates(5, &stats), [0.0; 3]);
        for turn in 0..1000 {
            measures.sample(turn * 10, &stats);
            stats.total_commands_processed += 20;
        }
        let [commands, ..] = measures.rates(10_000, &stats);
        assert!((commands - 2000.0).abs() < 20.0, "{commands}");
        let [commands, ..] = measures.rates(70_000, &stats);
        assert!(commands < 10.0, "{commands}");
        // Counters that were reset do not make a rate negative.
        assert_eq!(measures.rates(70_000, &Stats::default()), [0.0; 3]);
    }
}
