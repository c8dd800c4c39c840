//! Numbers with a fraction as the command line has them: whole millionths. The library's own reading of floating point
//! takes tables of many kilobytes.

/// Millionths in one.
pub(super) const ONE: u64 = 1_000_000;

/// The millionths of `12`, `0.5` or `.5`.
pub(super) fn parse(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let (mut number, mut unit) = (0, ONE);
    if whole.len() + fraction.len() == 0 {
        return None;
    }
    if !whole.is_empty() {
        number = integer(whole)?.checked_mul(ONE)?;
    }
    for byte in fraction.bytes() {
        unit /= 10;
        if !byte.is_ascii_digit() || unit == 0 {
            return None;
        }
        number = number.checked_add(u64::from(byte - b'0') * unit)?;
    }
    Some(number)
}

/// The number that digits alone write.
pub(super) fn integer(text: &str) -> Option<u64> {
    let mut number = 0u64;
    for byte in text.bytes() {
        if !byte.is_ascii_digit() {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?;
    }
    if text.is_empty() { None } else { Some(number) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read() {
        for (word, millionths) in
            [("0", 0), ("12", 12_000_000), ("0.99", 990_000), ("0.000001", 1), ("100", 100_000_000), ("1.5", 1_500_000)]
        {
            assert_eq!(parse(word), Some(millionths));
        }
        assert_eq!((parse(".5"), parse("5."), parse("0.50")), (Some(500_000), Some(5_000_000), Some(500_000)));
        assert_eq!((integer("0"), integer("18446744073709551615")), (Some(0), Some(u64::MAX)));
        assert_eq!((integer(""), integer("+1"), integer("18446744073709551616")), (None, None, None));
        for wrong in ["", ".", "-1", "+1", "1.+5", "1e3", "0.0000001", "1.2.3", "NaN", " 1", "18446744073710"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
