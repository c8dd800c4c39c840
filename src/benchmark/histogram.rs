//! Latencies with three digits: a log-linear histogram of nanoseconds, after HdrHistogram.
//!
//! Up to 2 microseconds each nanosecond has a bucket of its own; from there on each power of two has 1024, so that what
//! is told is at most a thousandth above the truth. The least, the greatest and the mean are exact. Knows no clock.
//! (That of [`crate::stats`] has two digits: a server has one for each of its commands.)

use super::text::Text;

/// Buckets to a power of two, as a power of two.
const PARTS_BITS: u32 = 10;

/// What takes this long or longer, as a power of two (73 minutes), is counted in the last bucket.
const LIMIT_BITS: u32 = 42;

const BUCKETS: usize = place((1 << LIMIT_BITS) - 1) + 1;

/// Which bucket a time belongs to.
const fn place(ns: u64) -> usize {
    let octave = match ns.checked_ilog2() {
        Some(log) if log > PARTS_BITS => (log - PARTS_BITS) as usize,
        _ => 0,
    };
    (octave << PARTS_BITS) + (ns >> octave) as usize
}

/// The longest time of a bucket.
fn longest(place: usize) -> u64 {
    let octave = (place >> PARTS_BITS).saturating_sub(1);
    let part = place - (octave << PARTS_BITS);
    ((part as u64 + 1) << octave) - 1
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    /// Zeroed memory fresh from the system is no memory yet: only pages that are counted in become resident.
    buckets: Box<[u64]>,
    count: u64,
    sum_ns: f64,
    min_ns: u64,
    max_ns: u64,
}

impl Histogram {
    pub(super) fn new() -> Histogram {
        Histogram { buckets: vec![0; BUCKETS].into(), count: 0, sum_ns: 0.0, min_ns: u64::MAX, max_ns: 0 }
    }

    /// Counts a time that so many requests took.
    #[cfg_attr(memento_small, optimize(speed))]
    pub(super) fn record(&mut self, ns: u64, count: u64) {
        if count == 0 {
            return;
        }
        self.buckets[place(ns).min(BUCKETS - 1)] += count;
        self.count += count;
        self.sum_ns += ns as f64 * count as f64;
        self.min_ns = self.min_ns.min(ns);
        self.max_ns = self.max_ns.max(ns);
    }

    /// Counts what the other has counted as well.
    pub(super) fn merge(&mut self, other: &Histogram) {
        for (count, more) in self.buckets.iter_mut().zip(&other.buckets) {
            *count += more;
        }
        self.count += other.count;
        self.sum_ns += other.sum_ns;
        self.min_ns = self.min_ns.min(other.min_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The shortest time; 0 where nothing was counted, as for all that follow.
    pub(super) fn min(&self) -> u64 {
        if self.count == 0 { 0 } else { self.min_ns }
    }

    pub(super) fn max(&self) -> u64 {
        self.max_ns
    }

    pub(super) fn mean(&self) -> f64 {
        self.sum_ns / self.count.max(1) as f64
    }

    /// The time in nanoseconds that so many of 10,000 do not exceed, rounded up to its bucket's end, and never above the
    /// longest.
    pub(super) fn percentile(&self, of_myriad: u64) -> u64 {
        let rank = (self.count * of_myriad).div_ceil(10_000).max(1);
        let mut seen = 0;
        for (bucket, &count) in self.buckets[..BUCKETS - 1].iter().enumerate() {
            seen += count;
            if seen >= rank {
                return longest(bucket).min(self.max_ns);
            }
        }
        self.max_ns
    }

    /// A picture for a terminal: a line for each half of a power of two between the least and the greatest, with how
    /// many took at most so long, in percent and as a bar.
    #[inline(never)]
    pub(super) fn picture(&self, out: &mut Text) {
        const WIDTH: u64 = 50;
        // Bounds of buckets are bounds of these halves as well, so that each is exact.
        let bound = |line: usize| (2 + line as u64 % 2) << (line / 2 + 7);
        let mut lines = [0u64; 2 * (LIMIT_BITS as usize - 8)];
        let (mut line, mut most) = (0, 1);
        for (bucket, &count) in self.buckets.iter().enumerate() {
            while line < lines.len() - 1 && bucket >= place(bound(line)) {
                line += 1;
            }
            lines[line] += count;
            most = most.max(lines[line]);
        }
        let mut left = self.count;
        for (line, &count) in lines.iter().enumerate() {
            // Nothing before the first that is there, nor behind the last one.
            if left > 0 && (count > 0 || left < self.count) {
                out.wide(bound(line) as f64 / 1000.0, 1, 14).add(" us ");
                out.wide(count as f64 * 100.0 / self.count as f64, 3, 8).add("%");
                // What is there is seen, however few.
                let bar = (count * WIDTH).div_ceil(most);
                for at in 0..bar {
                    out.add(if at == 0 { " #" } else { "#" });
                }
                out.add("\n");
            }
            left -= count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{Random, seeds};

    fn picture(histogram: &Histogram) -> String {
        let mut text = Text::default();
        histogram.picture(&mut text);
        text.0
    }

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        for bucket in 0..BUCKETS {
            let end = longest(bucket);
            assert_eq!((place(end), place(end + 1)), (bucket, bucket + 1));
        }
        assert_eq!((place(0), longest(BUCKETS - 1)), (0, (1 << LIMIT_BITS) - 1));
    }

    #[test]
    fn percentiles_are_within_a_thousandth_also_of_merged_parts() {
        for seed in seeds(20) {
            let mut random = Random::new(seed);
            let mut parts = [Histogram::new(), Histogram::new(), Histogram::new()];
            let mut times = Vec::new();
            for _ in 0..1 + random.below(5000) {
                let ns = (random.next() >> 22) >> random.below(41);
                let count = 1 + random.below(3);
                parts[random.below(3)].record(ns, count as u64);
                times.extend(std::iter::repeat_n(ns, count));
            }
            times.sort_unstable();
            let mut all = Histogram::new();
            parts.iter().for_each(|part| all.merge(part));
            assert_eq!(all.count(), times.len() as u64);
            assert_eq!((all.min(), all.max()), (times[0], times[times.len() - 1]));
            let mean = times.iter().map(|&ns| ns as f64).sum::<f64>() / times.len() as f64;
            assert!((all.mean() - mean).abs() <= mean * 1e-9, "seed {seed}: {} {mean}", all.mean());
            for of_myriad in [0, 100, 5000, 9000, 9900, 9990, 9999, 10_000] {
                let rank = (times.len() * of_myriad).div_ceil(10_000);
                let exact = times[rank.max(1) - 1];
                let told = all.percentile(of_myriad as u64);
                assert!(told >= exact && told <= exact + exact / 1000, "seed {seed}: {of_myriad} {told}, {exact}");
            }
        }
    }

    #[test]
    fn ranks_are_exact() {
        let mut histogram = Histogram::new();
        (1..=1000).for_each(|ns| histogram.record(ns, 1));
        let found = [5000, 9000, 9900, 9990, 9999].map(|of_myriad| histogram.percentile(of_myriad));
        assert_eq!(found, [500, 900, 990, 999, 1000]);
    }

    #[test]
    fn nothing_is_nothing_and_what_takes_for_ever_is_told_exactly() {
        let mut histogram = Histogram::new();
        assert_eq!((histogram.min(), histogram.max(), histogram.percentile(9900)), (0, 0, 0));
        assert_eq!((histogram.mean(), picture(&histogram)), (0.0, String::new()));
        histogram.record(5, 0);
        assert_eq!(histogram.count(), 0);
        histogram.record(u64::MAX, 1);
        assert_eq!((histogram.percentile(5000), histogram.count()), (u64::MAX, 1));
    }

    #[test]
    fn the_picture_has_a_bar_for_all_that_came() {
        let mut histogram = Histogram::new();
        histogram.record(70_000, 100);
        histogram.record(98_000, 50);
        histogram.record(150_000, 1);
        histogram.record(300_000, 49);
        let wanted = format!(
            "          98.3 us   75.000% {}\n         131.1 us    0.000%\n         196.6 us    0.500% #\n         \
             262.1 us    0.000%\n         393.2 us   24.500% {}\n",
            "#".repeat(50),
            "#".repeat(17)
        );
        assert_eq!(picture(&histogram), wanted);
    }
}
