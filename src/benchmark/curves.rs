//! The exponential and the logarithm, for how often keys come: the library's own bring tables of many kilobytes, and are
//! exact to the last bit, which nobody needs here.

use std::f64::consts::{LN_2, SQRT_2};

const FRACTION_BITS: u32 = 52;
const BIAS: i64 = 1023;

/// The logarithm of a normal number over 0.
#[cfg_attr(memento_small, optimize(speed))]
#[inline(never)]
pub(super) fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut power = (bits >> FRACTION_BITS) as i64 - BIAS;
    let mut part = f64::from_bits(bits & ((1 << FRACTION_BITS) - 1) | (BIAS as u64) << FRACTION_BITS);
    if part > SQRT_2 {
        part /= 2.0;
        power += 1;
    }
    // Twice the area tangent of this, which is below 0.172: its powers fall fast.
    let z = (part - 1.0) / (part + 1.0);
    let mut sum = 0.0;
    let mut odd = 21.0;
    while odd > 0.0 {
        sum = sum * z * z + 1.0 / odd;
        odd -= 2.0;
    }
    power as f64 * LN_2 + 2.0 * z * sum
}

/// e to the power of x, which is between the logarithms of the least and the greatest normal number.
#[cfg_attr(memento_small, optimize(speed))]
#[inline(never)]
pub(super) fn exp(x: f64) -> f64 {
    // The nearest integer: a cast goes towards 0.
    let power = (x / LN_2 + if x < 0.0 { -0.5 } else { 0.5 }) as i64 as f64;
    let rest = x - power * LN_2;
    let mut sum = 1.0;
    let mut step = 13.0;
    while step > 0.0 {
        sum = 1.0 + sum * rest / step;
        step -= 1.0;
    }
    let power = (power as i64 + BIAS).clamp(1, 2 * BIAS) as u64;
    sum * f64::from_bits(power << FRACTION_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{Random, seeds};

    #[test]
    fn they_are_near_enough_to_the_exact_ones() {
        for seed in seeds(10) {
            let mut random = Random::new(seed);
            for _ in 0..10_000 {
                let x = (random.below(1_400_000) as f64 - 700_000.0) / 1000.0;
                assert!((exp(x) / x.exp() - 1.0).abs() < 1e-12, "seed {seed}: exp {x}");
                let x = x.exp();
                assert!((ln(x) - x.ln()).abs() < 1e-14 * (1.0 + x.ln().abs()), "seed {seed}: ln {x}");
                let x = 1.0 + random.below(1000) as f64 / 1e6;
                assert!((ln(x) - x.ln()).abs() < 1e-15, "seed {seed}: ln {x}");
            }
        }
        assert_eq!((ln(1.0), exp(0.0), ln(2.0), ln(f64::MIN_POSITIVE).round()), (0.0, 1.0, LN_2, -708.0));
    }
}
