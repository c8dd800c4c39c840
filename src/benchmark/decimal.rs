//! Numbers with a fraction as the command line has them: whole millionths. The library's own reading and writing of
//! floating point takes tables of many kilobytes.

/// Millionths in one.
pub(super) const ONE: u64 = 1_000_000;

/// Digits behind the point.
const DIGITS: usize = 6;

/// The millionths of `12`, `0.5` or `.5`.
pub(super) fn parse(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.len() + fraction.len() == 0 || fraction.len() > DIGITS {
        return None;
    }
    let number = |digits: &str| if digits.is_empty() { Some(0) } else { integer(digits) };
    let fraction = number(fraction)? * 10u64.pow((DIGITS - fraction.len()) as u32);
    number(whole)?.checked_mul(ONE)?.checked_add(fraction)
}

/// The number that digits alone write.
pub(super) fn integer(text: &str) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.bytes().try_fold(0u64, |number, byte| match byte {
        b'0'..=b'9' => number.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })
}

/// As short as can be.
pub(super) fn text(millionths: u64) -> String {
    let text = format!("{}.{:06}", millionths / ONE, millionths % ONE);
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written() {
        for (word, millionths) in
            [("0", 0), ("12", 12_000_000), ("0.99", 990_000), ("0.000001", 1), ("100", 100_000_000), ("1.5", 1_500_000)]
        {
            assert_eq!((parse(word), text(millionths)), (Some(millionths), word.to_string()));
        }
        assert_eq!((parse(".5"), parse("5."), parse("0.50")), (Some(500_000), Some(5_000_000), Some(500_000)));
        assert_eq!((integer("0"), integer("18446744073709551615")), (Some(0), Some(u64::MAX)));
        assert_eq!((integer(""), integer("+1"), integer("18446744073709551616")), (None, None, None));
        for wrong in ["", ".", "-1", "+1", "1.+5", "1e3", "0.0000001", "1.2.3", "NaN", " 1", "18446744073710"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
