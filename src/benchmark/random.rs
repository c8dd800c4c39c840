//! Random numbers for a load: from one seed the same on every machine.

/// Splitmix64 (Steele et al., OOPSLA 2014).
#[derive(Clone, Debug)]
pub(super) struct Random {
    state: u64,
}

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random { state: seed }
    }

    /// The next 64 random bits.
    pub(super) fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.state)
    }

    /// A number below `bound`, or 0 for no bound. The upper half of a product is one, without a division (Lemire, ACM
    /// TOMACS 2019); the bias is that of `bound` to 2^64.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from 0 on, below 1.
    pub(super) fn fraction(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Bits in which nothing of the number's order is left.
pub(super) fn mix(number: u64) -> u64 {
    let mut bits = number;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit;

    #[test]
    fn numbers_are_below_their_bound_and_all_of_them_come() {
        for seed in testkit::seeds(10) {
            let mut random = Random::new(seed);
            for bound in [1, 2, 7, 1000] {
                let mut seen = vec![false; bound];
                for _ in 0..bound * 50 {
                    seen[random.below(bound as u64) as usize] = true;
                }
                let missing = seen.iter().filter(|seen| !**seen).count();
                assert_eq!(missing, 0, "seed {seed}: of {bound}");
            }
            let mean = (0..10_000).map(|_| random.fraction()).sum::<f64>() / 10_000.0;
            assert!((mean - 0.5).abs() < 0.02, "seed {seed}: {mean}");
        }
    }

    #[test]
    fn a_seed_names_one_sequence_the_same_as_elsewhere() {
        let mut ours = Random::new(7);
        let mut theirs = testkit::Random::new(7);
        for _ in 0..100 {
            assert_eq!(ours.bits(), theirs.next());
        }
        assert_ne!(Random::new(8).bits(), Random::new(7).bits());
    }
}
