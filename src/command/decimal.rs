//! Decimal numbers that are added exactly, as digits: 0.1 + 0.2 is 0.3.

use crate::limits::DECIMAL_BYTES_MAX;
use std::cmp::Ordering;

/// A number has at most so many digits before the point, as a double has.
const INTEGER_DIGITS_MAX: usize = 308;

/// A sum is rounded to so many places after the point, as Redis shows its sums.
const PLACES_MAX: usize = 17;

/// A number with more places than this only tells on which side of a tie a sum is; that is all that is kept of it,
/// which bounds the work.
const SCALE_MAX: i64 = 2 * DECIMAL_BYTES_MAX as i64;

/// A decimal number of any length: `digits`, as an integer, divided by ten to the `scale`.
#[derive(Clone, Debug)]
pub(super) struct Decimal {
    negative: bool,
    /// Values 0 to 9, the most significant first.
    digits: Vec<u8>,
    /// How many of the digits, or of zeros before them, stand after the point.
    scale: usize,
}

impl Decimal {
    /// Reads `[+-]digits[.digits][e[+-]digits]`, where digits may be missing on one side of the point. No blanks, no
    /// inf, no nan, no hexadecimal.
    pub(super) fn parse(text: &[u8]) -> Option<Decimal> {
        if text.len() > DECIMAL_BYTES_MAX {
            return None;
        }
        let (negative, text) = sign(text);
        let (mantissa, exponent) = match text.iter().position(|byte| byte.eq_ignore_ascii_case(&b'e')) {
            Some(at) => (&text[..at], exponent(&text[at + 1..])?),
            None => (text, 0),
        };
        let point = mantissa.iter().position(|&byte| byte == b'.').unwrap_or(mantissa.len());
        let fraction = mantissa.get(point + 1..).unwrap_or(&[]);
        let mut digits = digits(&mantissa[..point])?;
        digits.extend(self::digits(fraction)?);
        if digits.is_empty() {
            return None;
        }
        Decimal::bounded(negative, digits, fraction.len() as i64 - exponent)
    }

    /// A number without superfluous zeros, if it is not too large.
    fn bounded(negative: bool, mut digits: Vec<u8>, mut scale: i64) -> Option<Decimal> {
        while digits.last() == Some(&0) {
            digits.pop();
            scale -= 1;
        }
        let leading = digits.iter().take_while(|&&digit| digit == 0).count();
        digits.drain(..leading);
        if digits.is_empty() {
            return Some(Decimal { negative: false, digits, scale: 0 });
        }
        if digits.len() as i64 - scale > INTEGER_DIGITS_MAX as i64 {
            return None;
        }
        if scale > SCALE_MAX {
            // The smallest number there is, in a place that no other number reaches.
            return Some(Decimal { negative, digits: vec![1], scale: SCALE_MAX as usize + 1 });
        }
        let zeros = usize::try_from(-scale).unwrap_or(0);
        digits.resize(digits.len() + zeros, 0);
        Some(Decimal { negative, digits, scale: scale.max(0) as usize })
    }

    /// The number with the other sign.
    pub(super) fn negated(self) -> Decimal {
        Decimal { negative: !self.negative, ..self }
    }

    /// The exact sum.
    pub(super) fn plus(self, other: Decimal) -> Decimal {
        let scale = self.scale.max(other.scale);
        let whole = |number: &Decimal| number.digits.len() - number.digits.len().min(number.scale);
        // One place more than either has, for a carry.
        let length = whole(&self).max(whole(&other)) + scale + 1;
        let (a, b) = (self.aligned(scale, length), other.aligned(scale, length));
        let (negative, digits) = if self.negative == other.negative {
            (self.negative, sum(&a, &b))
        } else {
            match a.cmp(&b) {
                Ordering::Less => (other.negative, difference(&b, &a)),
                _ => (self.negative, difference(&a, &b)),
            }
        };
        Decimal { negative, digits, scale }
    }

    /// The digits with zeros before and behind: `length` of them, `scale` of these after the point.
    fn aligned(&self, scale: usize, length: usize) -> Vec<u8> {
        let behind = scale - self.scale;
        let mut aligned = vec![0; length - behind - self.digits.len()];
        aligned.extend_from_slice(&self.digits);
        aligned.resize(length, 0);
        aligned
    }

    /// The number rounded (half to even) to 17 places, in plain digits without superfluous zeros; `None` when it is
    /// too large.
    pub(super) fn rounded(self) -> Option<String> {
        let Decimal { negative, mut scale, .. } = self;
        // At least one digit stands before the point, and one place is left for a carry.
        let length = self.digits.len().max(scale + 1) + 1;
        let mut digits = self.aligned(scale, length);
        if scale > PLACES_MAX {
            let tail = digits.split_off(length - (scale - PLACES_MAX));
            scale = PLACES_MAX;
            let last_is_odd = digits.last().is_some_and(|digit| digit % 2 == 1);
            let up = match tail[0].cmp(&5) {
                Ordering::Greater => true,
                Ordering::Equal => last_is_odd || tail[1..].iter().any(|&digit| digit > 0),
                Ordering::Less => false,
            };
            // Nines become zeros, and what stands before them is one more.
            let nines = if up { digits.iter().rev().take_while(|digit| **digit == 9).count() } else { 0 };
            let kept = digits.len() - nines;
            digits[kept..].fill(0);
            digits[kept - 1] += u8::from(up);
        }
        let point = digits.len() - scale;
        let is_zero = |digit: &u8| *digit == 0;
        let start = digits.iter().take_while(|digit| is_zero(digit)).count().min(point - 1);
        let end = digits.len() - digits[point..].iter().rev().take_while(|digit| is_zero(digit)).count();
        if point - start > INTEGER_DIGITS_MAX {
            return None;
        }
        let mut text = String::new();
        if negative && !digits.iter().all(is_zero) {
            text.push('-');
        }
        for (place, digit) in digits[..end].iter().enumerate().skip(start) {
            if place == point {
                text.push('.');
            }
            text.push(char::from(b'0' + digit));
        }
        Some(text)
    }
}

fn sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

fn digits(text: &[u8]) -> Option<Vec<u8>> {
    let mut digits = text.to_vec();
    for digit in &mut digits {
        *digit = digit.wrapping_sub(b'0');
        if *digit > 9 {
            return None;
        }
    }
    Some(digits)
}

/// An exponent; one that no number here can have comes out as one that is too large as well.
fn exponent(text: &[u8]) -> Option<i64> {
    let (negative, text) = sign(text);
    let digits = digits(text).filter(|digits| !digits.is_empty())?;
    let size = digits.iter().fold(0i64, |sum, &digit| (sum * 10 + i64::from(digit)).min(1 << 20));
    Some(if negative { -size } else { size })
}

/// The sum of two numbers of equal length, which has room for it.
fn sum(a: &[u8], b: &[u8]) -> Vec<u8> {
    let (mut out, mut carry) = (a.to_vec(), 0);
    for (digit, other) in out.iter_mut().zip(b).rev() {
        let both = *digit + other + carry;
        (*digit, carry) = (both % 10, both / 10);
    }
    debug_assert_eq!(carry, 0);
    out
}

/// The difference of two numbers of equal length, the first one not smaller.
fn difference(a: &[u8], b: &[u8]) -> Vec<u8> {
    let (mut out, mut borrow) = (a.to_vec(), 0);
    for (digit, other) in out.iter_mut().zip(b).rev() {
        let both = *digit + 10 - other - borrow;
        (*digit, borrow) = (both % 10, 1 - both / 10);
    }
    debug_assert_eq!(borrow, 0);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{Random, seeds};

    fn add(a: &str, b: &str) -> Option<String> {
        Decimal::parse(a.as_bytes())?.plus(Decimal::parse(b.as_bytes())?).rounded()
    }

    #[track_caller]
    fn check(a: &str, b: &str, wanted: &str) {
        assert_eq!(add(a, b).as_deref(), Some(wanted), "{a} + {b}");
        assert_eq!(add(b, a).as_deref(), Some(wanted), "{b} + {a}");
    }

    #[test]
    fn sums_are_exact() {
        check("0.1", "0.2", "0.3");
        check("10.50", "0.1", "10.6");
        check("5.0e3", "2.0e2", "5200");
        check("3", "-3", "0");
        check("-0", "0", "0");
        check("1", "-1.5", "-0.5");
        check("-2.25", "-0.75", "-3");
        check("999.9", "0.1", "1000");
        check(".5", "5.", "5.5");
        check("+1e-3", "0", "0.001");
        check("1e2", "1e-2", "100.01");
        check("123456789012345678901234567890", "1", "123456789012345678901234567891");
        check("0", "0.00000000000000001", "0.00000000000000001");
        check("1E+2", "0", "100");
        check("0e999999", "1", "1");
    }

    #[test]
    fn seventeen_places_half_to_even() {
        check("0", "0.000000000000000005", "0");
        check("0", "0.000000000000000015", "0.00000000000000002");
        check("0", "0.000000000000000025", "0.00000000000000002");
        check("0", "0.0000000000000000250001", "0.00000000000000003");
        check("0", "-0.000000000000000005", "0");
        check("0.99999999999999999", "0.000000000000000005", "1");
        check("0", "9.999999999999999999", "10");
        check("0", "1e-400", "0");
        // The tie is broken by what lies far behind it: both are added exactly before they are rounded.
        check("0.000000000000000005", "1e-400", "0.00000000000000001");
        check("0.000000000000000005", "1e-99999999999999999999", "0.00000000000000001");
        check("0.000000000000000005", "-1e-99999999999999999999", "0");
        check("0", "1e-99999999999999999999", "0");
    }

    #[test]
    fn what_is_no_number() {
        let long = "1".repeat(309);
        let wide = "0".repeat(DECIMAL_BYTES_MAX + 1);
        for text in [
            "",
            ".",
            "-",
            "+",
            "e5",
            "1e",
            "1e+",
            "1 ",
            " 1",
            "1..2",
            "1.2.3",
            "nan",
            "inf",
            "-inf",
            "infinity",
            "0x10",
            "1e309",
            "1e99999999999999999999",
            "1,5",
            "--1",
            "1e1.5",
            &long,
            &wide,
        ] {
            assert!(Decimal::parse(text.as_bytes()).is_none(), "{text}");
        }
        assert!(Decimal::parse("9".repeat(308).as_bytes()).is_some());
        assert_eq!(add(&"9".repeat(308), "1"), None);
        assert_eq!(add(&"9".repeat(308), "0.9"), Some("9".repeat(308) + ".9"));
    }

    #[test]
    fn sums_agree_with_wide_integers() {
        for seed in seeds(1) {
            let mut random = Random::new(seed);
            for _ in 0..20_000 {
                let (places, mut number) = (random.below(17), || (random.next() as i64 >> random.below(50)) as i128);
                let (a, b) = (number(), number());
                let unit = 10i128.pow(places as u32);
                let text = |n: i128| {
                    let sign = if n < 0 { "-" } else { "" };
                    format!("{sign}{}.{:0places$}", n.abs() / unit, n.abs() % unit)
                };
                let got = add(&text(a), &text(b)).unwrap();
                let trimmed = text(a + b);
                let wanted = trimmed.trim_end_matches('0').trim_end_matches('.');
                let wanted =
                    if places == 0 { text(a + b).split('.').next().unwrap().to_string() } else { wanted.into() };
                let wanted = if wanted == "-0" { "0".into() } else { wanted };
                assert_eq!(got, wanted, "seed {seed}: {} + {}", text(a), text(b));
            }
        }
    }
}
