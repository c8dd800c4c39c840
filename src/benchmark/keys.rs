//! Which key is next: any alike, a few much more often than most, or one after the other. Knows numbers only.

use super::curves::{exp, ln};
use super::decimal;
use super::random::Random;
use super::text::Text;

/// How keys are chosen, as the command line says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keys {
    /// Each as often as any other.
    Uniform,
    /// The k-th in proportion to k to the power of minus so many millionths: that is how often what people ask for is
    /// asked for.
    Zipf(u64),
    /// From 0 up, and again from the start.
    Sequential,
}

/// Beyond this exponent all but every request is for the first few keys.
const EXPONENT_MAX: u64 = 20;

impl Keys {
    pub(super) fn parse(text: &str) -> Result<Keys, String> {
        let exponent = text.strip_prefix("zipf:").and_then(decimal::parse);
        match (text, exponent) {
            ("uniform", _) => Ok(Keys::Uniform),
            ("sequential", _) => Ok(Keys::Sequential),
            (_, Some(exponent)) if exponent > 0 && exponent <= EXPONENT_MAX * decimal::ONE => Ok(Keys::Zipf(exponent)),
            _ => Err(format!(
                "--keys wants uniform, sequential or zipf:NUMBER with a number up to {EXPONENT_MAX}, not '{text}'"
            )),
        }
    }

    pub(super) fn write(self, out: &mut Text) {
        match self {
            Keys::Uniform => out.add("uniform"),
            Keys::Zipf(exponent) => out.add("zipf:").millionths(exponent),
            Keys::Sequential => out.add("sequential"),
        };
    }
}

/// Chooses keys from 0 up to their count.
#[derive(Clone, Debug)]
pub(super) struct Chooser {
    count: u64,
    way: Way,
}

#[derive(Clone, Debug)]
enum Way {
    Uniform,
    Zipf(Zipf),
    /// The next, and what it grows by: so many choosers share the keys.
    Sequential(u64, u64),
}

impl Chooser {
    /// The chooser `number` of `of` for keys below `count`, which is not zero.
    pub(super) fn new(keys: Keys, count: u64, number: u64, of: u64) -> Chooser {
        let way = match keys {
            Keys::Uniform => Way::Uniform,
            Keys::Zipf(millionths) => Way::Zipf(Zipf::new(millionths as f64 / decimal::ONE as f64, count)),
            Keys::Sequential => Way::Sequential(number, of),
        };
        Chooser { count, way }
    }

    pub(super) fn next(&mut self, random: &mut Random) -> u64 {
        match &mut self.way {
            Way::Uniform => random.below(self.count),
            Way::Zipf(zipf) => zipf.next(random) - 1,
            Way::Sequential(next, step) => {
                let key = *next % self.count;
                *next += *step;
                key
            }
        }
    }
}

/// Ranks from 1 to `count` by Zipf's law, by rejection from an inversion (Hörmann and Derflinger, ACM TOMACS 1996): the
/// area under x^-exponent is cut at random and the cut's place rounded, and what the rounding has wrong is thrown away.
/// No table, and hardly more than one try for each rank, whatever the exponent.
#[derive(Clone, Debug)]
struct Zipf {
    exponent: f64,
    count: f64,
    /// The area is cut between these.
    area_first: f64,
    area_last: f64,
    /// A rank that is at most this far above its cut is always right.
    sure: f64,
}

impl Zipf {
    fn new(exponent: f64, count: u64) -> Zipf {
        let mut zipf = Zipf { exponent, count: count as f64, area_first: 0.0, area_last: 0.0, sure: 0.0 };
        zipf.area_first = zipf.area(1.5) - 1.0;
        zipf.area_last = zipf.area(zipf.count + 0.5);
        zipf.sure = 2.0 - zipf.place(zipf.area(2.5) - zipf.height(2.0));
        zipf
    }

    fn height(&self, x: f64) -> f64 {
        exp(-self.exponent * ln(x))
    }

    /// What 1 - exponent is; so near to 0 its quotients are not exact any more, and the limit is nearer.
    fn slope(&self) -> Option<f64> {
        Some(1.0 - self.exponent).filter(|slope| slope.abs() > 1e-8)
    }

    /// The area under the curve from 1 to `x`.
    fn area(&self, x: f64) -> f64 {
        let logarithm = ln(x);
        self.slope().map_or(logarithm, |slope| (exp(slope * logarithm) - 1.0) / slope)
    }

    /// Where the area from 1 on is `area`.
    fn place(&self, area: f64) -> f64 {
        // Rounding must not take it below what has a logarithm.
        exp(self.slope().map_or(area, |slope| ln((1.0 + area * slope).max(f64::MIN_POSITIVE)) / slope))
    }

    #[inline(never)]
    fn next(&self, random: &mut Random) -> u64 {
        loop {
            let area = self.area_last + random.fraction() * (self.area_first - self.area_last);
            let place = self.place(area);
            let rank = ((place + 0.5) as u64 as f64).clamp(1.0, self.count);
            if rank - place <= self.sure || area >= self.area(rank + 0.5) - self.height(rank) {
                return rank as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::seeds;

    #[test]
    fn names() {
        for (text, keys) in
            [("uniform", Keys::Uniform), ("sequential", Keys::Sequential), ("zipf:0.99", Keys::Zipf(990_000))]
        {
            let mut written = Text::default();
            keys.write(&mut written);
            assert_eq!((Keys::parse(text), written.0), (Ok(keys), text.to_string()));
        }
        for wrong in ["", "zipf", "zipf:", "zipf:0", "zipf:-1", "zipf:NaN", "zipf:21", "normal"] {
            assert!(Keys::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn choosers_in_order_share_the_keys() {
        let mut choosers: Vec<Chooser> = (0..3).map(|number| Chooser::new(Keys::Sequential, 10, number, 3)).collect();
        let mut random = Random::new(1);
        let mut next = |at: usize| choosers[at].next(&mut random);
        let found: Vec<u64> = (0..12).map(|turn| next(turn % 3)).collect();
        assert_eq!(found, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
    }

    /// Pearson's test of how often each key came against how often it should have: with so many degrees of freedom the
    /// sum is normal, and beyond five deviations no seed of these goes.
    fn check_shares(keys: Keys, count: usize, share: impl Fn(f64) -> f64) {
        let total: f64 = (1..=count).map(|rank| share(rank as f64)).sum();
        for seed in seeds(5) {
            let mut random = Random::new(seed);
            let mut chooser = Chooser::new(keys, count as u64, 0, 1);
            let draws = 200_000;
            let mut seen = vec![0.0; count];
            (0..draws).for_each(|_| seen[chooser.next(&mut random) as usize] += 1.0);
            // Ranks that hardly come are taken together, else one of them would be many deviations.
            let (mut sum, mut degrees, mut rest) = (0.0, -1.0, (0.0, 0.0));
            for rank in 1..=count {
                rest = (rest.0 + seen[rank - 1], rest.1 + share(rank as f64) / total * f64::from(draws));
                if rest.1 >= 20.0 || rank == count {
                    sum += (rest.0 - rest.1).powi(2) / rest.1.max(1e-9);
                    degrees += 1.0;
                    rest = (0.0, 0.0);
                }
            }
            let bound = degrees + 5.0 * f64::sqrt(2.0 * degrees) + 5.0;
            assert!(sum < bound, "seed {seed}: {keys:?} of {count}: {sum} of at most {bound}");
        }
    }

    #[test]
    fn keys_come_as_often_as_they_should() {
        check_shares(Keys::Uniform, 1000, |_| 1.0);
        for millionths in [200_000, 990_000, 1_000_000, 1_000_001, 1_500_000, 4_000_000] {
            let exponent = millionths as f64 / 1e6;
            for count in [2, 10, 1000, 100_000] {
                check_shares(Keys::Zipf(millionths), count, |rank| rank.powf(-exponent));
            }
        }
    }

    #[test]
    fn no_key_is_beyond_the_last_at_any_size() {
        for (exponent, count) in
            [(1, 1), (990_000, 1), (20_000_000, 1), (20_000_000, 1 << 39), (500_000, 999_999_999_999)]
        {
            let mut random = Random::new(3);
            let mut chooser = Chooser::new(Keys::Zipf(exponent), count, 0, 1);
            for _ in 0..10_000 {
                let key = chooser.next(&mut random);
                assert!(key < count, "{exponent}: {key} of {count}");
            }
        }
    }
}
