//! How long things took: a log-linear histogram of nanoseconds, after HdrHistogram.
//!
//! Up to 4 microseconds a bucket is 32 ns wide; from there on each power of two has 64 buckets, so that what is told
//! is at most a 64th above the truth. Knows no clock and no commands.

/// A bucket is at least so wide, as a power of two: clocks of small boxes step by tens of nanoseconds.
const UNIT_BITS: u32 = 5;

/// Buckets to a power of two, as a power of two.
const PARTS_BITS: u32 = 6;

/// What takes this long or longer, as a power of two (1.07 s), is counted in the last bucket. Redis tells no longer
/// times either.
const LIMIT_BITS: u32 = 30;

/// How many buckets there are: ten kilobytes of them.
const BUCKETS: usize = place((1 << LIMIT_BITS) - 1) + 1;

/// Where the buckets that a person reads begin: at a microsecond or so, and each is twice the one before.
const FIRST_POWER: u32 = 10;

/// Which bucket a time belongs to.
const fn place(ns: u64) -> usize {
    let units = ns >> UNIT_BITS;
    let octave = match units.checked_ilog2() {
        Some(log) if log > PARTS_BITS => (log - PARTS_BITS) as usize,
        _ => 0,
    };
    (octave << PARTS_BITS) + (units >> octave) as usize
}

/// The longest time of a bucket.
fn longest(place: usize) -> u64 {
    let octave = (place >> PARTS_BITS).saturating_sub(1);
    let part = place - (octave << PARTS_BITS);
    ((part as u64 + 1) << (octave as u32 + UNIT_BITS)) - 1
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Histogram {
    /// Zeroed memory fresh from the system is no memory yet: only pages that are counted in become resident.
    buckets: Box<[u64]>,
    count: u64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { buckets: vec![0; BUCKETS].into(), count: 0 }
    }
}

impl Histogram {
    /// What one asks of the heap.
    pub const BYTES: usize = BUCKETS * size_of::<u64>();

    /// Counts one time.
    pub fn record(&mut self, ns: u64) {
        self.record_many(ns, 1);
    }

    /// Counts a time that so many things took.
    #[cfg_attr(memento_small, optimize(speed))]
    pub fn record_many(&mut self, ns: u64, count: u64) {
        self.buckets[place(ns).min(BUCKETS - 1)] += count;
        self.count += count;
    }

    /// How many times were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The time in nanoseconds that `percent` of all do not exceed, rounded up to its bucket's end; 0 where nothing
    /// was counted.
    pub fn percentile(&self, percent: f64) -> u64 {
        let rank = ((percent / 100.0 * self.count as f64).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0;
        let found = self.buckets.iter().position(|&count| {
            seen += count;
            seen >= rank
        });
        found.map_or(0, longest)
    }

    /// For people: bounds in nanoseconds, each a power of two, and how many times are below. A bound that adds nothing
    /// is left out; the last one stands for all that is longer as well.
    pub fn powers(&self) -> impl Iterator<Item = (u64, u64)> {
        let (mut at, mut below) = (0, 0);
        (FIRST_POWER..=LIMIT_BITS).filter_map(move |power| {
            let before = below;
            // Bounds of buckets are bounds of powers of two as well, so that this is exact.
            let end = place(1 << power);
            below += self.buckets[at..end].iter().sum::<u64>();
            at = end;
            (below > before).then_some((1 << power, below))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{Random, seeds};

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        for bucket in 0..BUCKETS {
            let end = longest(bucket);
            assert_eq!((place(end), place(end + 1)), (bucket, bucket + 1));
        }
        assert_eq!((place(0), longest(BUCKETS - 1)), (0, (1 << LIMIT_BITS) - 1));
    }

    #[test]
    fn percentiles_are_within_a_64th_of_the_exact_ones() {
        for seed in seeds(20) {
            let mut random = Random::new(seed);
            let mut histogram = Histogram::default();
            let mut times: Vec<u64> = (0..1 + random.below(5000))
                .map(|_| {
                    let octave = random.below(LIMIT_BITS as usize);
                    (random.below(1 << 30) as u64) >> octave
                })
                .collect();
            times.iter().for_each(|&ns| histogram.record(ns));
            times.sort_unstable();
            for percent in [0.0, 1.0, 50.0, 90.0, 99.0, 99.9, 100.0] {
                let rank = (percent / 100.0 * times.len() as f64).ceil() as usize;
                let exact = times[rank.max(1) - 1];
                let told = histogram.percentile(percent);
                assert!(told >= exact && told <= exact + exact / 64 + 31, "seed {seed}: p{percent} {told}, {exact}");
            }
            for (bound, below) in histogram.powers() {
                assert_eq!(below, times.iter().filter(|&&ns| ns < bound).count() as u64, "seed {seed}");
            }
            assert_eq!(histogram.powers().last().map(|(_, below)| below), Some(times.len() as u64));
        }
    }

    #[test]
    fn what_takes_for_ever_is_counted_last() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.percentile(99.0), histogram.powers().count()), (0, 0));
        histogram.record(u64::MAX);
        assert_eq!(histogram.powers().collect::<Vec<_>>(), [(1 << 30, 1)]);
        assert_eq!((histogram.percentile(50.0), histogram.count()), ((1 << 30) - 1, 1));
    }
}
