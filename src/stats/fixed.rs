//! Numbers with a fraction, of a fixed number of places: printed by the code that prints integers, which is small.

use std::fmt;

/// So many units of the last of so many places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixed<const PLACES: u32>(pub u64);

impl<const PLACES: u32> Fixed<PLACES> {
    const UNITS: u64 = 10_u64.pow(PLACES);

    /// The nearest to a number; none is below 0.
    pub fn near(number: f64) -> Fixed<PLACES> {
        Fixed((number * Self::UNITS as f64 + 0.5) as u64)
    }
}

impl<const PLACES: u32> fmt::Display for Fixed<PLACES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:0places$}", self.0 / Self::UNITS, self.0 % Self::UNITS, places = PLACES as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_the_standard_library_prints() {
        assert_eq!(Fixed::<3>(7).to_string(), "0.007");
        assert_eq!((Fixed::<2>::near(-1.0), Fixed::<2>::near(f64::NAN)), (Fixed(0), Fixed(0)));
        for number in [0.0, 0.004, 0.006, 0.5, 1.0, 9.996, 12.34, 99.994, 1023.99, 123_456_789.12, 1e12] {
            assert_eq!(Fixed::<2>::near(number).to_string(), format!("{number:.2}"));
            assert_eq!(Fixed::<6>::near(number).to_string(), format!("{number:.6}"));
        }
    }
}
