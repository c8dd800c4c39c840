//! Tests only: random numbers from a seed that can be printed and given again.

/// A small generator (splitmix64, Steele et al., OOPSLA 2014): one seed, one sequence, on every machine.
pub(crate) struct Random {
    state: u64,
}

impl Random {
    /// The sequence of this seed.
    pub(crate) fn new(seed: u64) -> Random {
        Random { state: seed }
    }

    /// The next 64 random bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// The seeds that a random test runs: those given in `MEMENTO_SEED` (one number), else `1..=count`,
/// where `MEMENTO_SEEDS` overrides the count.
pub(crate) fn seeds(count: u64) -> std::ops::RangeInclusive<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    match number("MEMENTO_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number("MEMENTO_SEEDS").unwrap_or(count),
    }
}
