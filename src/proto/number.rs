//! Integers as Redis reads and writes them.

/// Reads a signed 64-bit integer in Redis's grammar: decimal digits, `-` before a negative one, and nothing else:
/// no `+`, no leading zeros, no blanks, no `-0` (`string2ll` of Redis).
pub fn integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let negative = digits.len() < text.len();
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] => {}
        _ => return None,
    }
    // Summed up below zero, where there is room for one more than above.
    digits
        .iter()
        .try_fold(0i64, |sum, &byte| match byte {
            b'0'..=b'9' => sum.checked_mul(10)?.checked_sub(i64::from(byte - b'0')),
            _ => None,
        })
        .and_then(|sum| if negative { Some(sum) } else { sum.checked_neg() })
}

/// A signed 64-bit integer in decimal digits, without an allocation.
pub struct Digits {
    bytes: [u8; 20],
    start: u8,
}

impl Digits {
    /// The digits of `number`.
    pub fn of(number: i64) -> Digits {
        let (mut bytes, mut start, mut left) = ([0; 20], 20, number.unsigned_abs());
        loop {
            start -= 1;
            bytes[start] = b'0' + (left % 10) as u8;
            left /= 10;
            if left == 0 {
                break;
            }
        }
        if number < 0 {
            start -= 1;
            bytes[start] = b'-';
        }
        Digits { bytes, start: start as u8 }
    }

    /// The digits' bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.start as usize..]
    }
}

/// Appends a number, seven bits a byte, the lowest first; all bytes but the last have the highest bit set.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The number at the beginning of `bytes`, and how many bytes it takes; none where there is no whole one, or where it
/// does not fit.
#[inline]
pub fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    match *bytes {
        [first @ 0..0x80, ..] => Some((first.into(), 1)),
        _ => long_varint(bytes),
    }
}

fn long_varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut number = 0;
    for (index, &byte) in bytes.iter().enumerate().take(10) {
        let bits = u64::from(byte & 0x7f);
        // The tenth byte has room for one bit.
        if index == 9 && bits > 1 {
            return None;
        }
        number |= bits << (7 * index);
        if byte & 0x80 == 0 {
            return Some((number, index + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_and_written_the_same() {
        for number in [0, 1, -1, 9, 10, -10, 99, 100, 1_234_567_890, i64::MAX, i64::MIN, i64::MAX - 1, i64::MIN + 1] {
            let digits = Digits::of(number);
            assert_eq!(digits.bytes(), number.to_string().as_bytes());
            assert_eq!(integer(digits.bytes()), Some(number));
        }
    }

    #[test]
    fn what_is_no_integer() {
        for text in ["", "-", "+1", "007", "-0", "-01", " 1", "1 ", "1.0", "1e3", "0x1", "9223372036854775808"] {
            assert_eq!(integer(text.as_bytes()), None, "{text}");
        }
        assert_eq!(integer(b"-9223372036854775809"), None);
        assert_eq!(integer(b"99999999999999999999999999"), None);
    }

    #[test]
    fn varints() {
        for shift in 0..64 {
            for number in [(1u64 << shift) - 1, 1 << shift, u64::MAX >> shift] {
                let mut out = Vec::new();
                put_varint(&mut out, number);
                assert_eq!(varint(&out), Some((number, out.len())));
                (0..out.len()).for_each(|end| assert_eq!(varint(&out[..end]), None));
            }
        }
        assert_eq!(varint(&[0xff; 20]), None);
        let beyond = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02];
        assert_eq!(varint(&beyond), None);
    }
}
