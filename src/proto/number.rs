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

/// Reads an amount of memory in Redis's grammar: decimal digits, then a unit in any case: none or `b` for bytes, `k`, `m`
/// and `g` for powers of 1000, `kb`, `mb` and `gb` for powers of 1024. As with Redis, no digits are 0; what 64 bits cannot
/// hold is as much as they can.
pub fn memory_size(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, unit) = text.split_at(digits);
    const UNITS: [(&str, u64); 8] = [
        ("", 1),
        ("b", 1),
        ("k", 1000),
        ("kb", 1 << 10),
        ("m", 1_000_000),
        ("mb", 1 << 20),
        ("g", 1_000_000_000),
        ("gb", 1 << 30),
    ];
    let (_, unit_bytes) = UNITS.iter().find(|(name, _)| unit.eq_ignore_ascii_case(name.as_bytes()))?;
    let more = |sum: u64, &byte: &u8| sum.saturating_mul(10).saturating_add(u64::from(byte - b'0'));
    Some(digits.iter().fold(0, more).saturating_mul(*unit_bytes))
}

/// A signed 64-bit integer in decimal digits, without an allocation.
pub struct Digits {
    bytes: [u8; DIGITS_END + 2],
    start: u8,
}

/// Behind a mark's byte there is room for the longest number, and then for a line's end.
const DIGITS_END: usize = 1 + 20;

/// The digits of the numbers below a hundred, two of each.
static PAIRS: [[u8; 2]; 100] = {
    let (mut pairs, mut number) = ([[0; 2]; 100], 0);
    while number < 100 {
        pairs[number] = [b'0' + number as u8 / 10, b'0' + number as u8 % 10];
        number += 1;
    }
    pairs
};

impl Digits {
    /// The digits of `number`.
    #[inline]
    pub fn of(number: i64) -> Digits {
        let (mut bytes, mut start, mut left) = ([0; DIGITS_END + 2], DIGITS_END, number.unsigned_abs());
        while left >= 100 {
            start -= 2;
            bytes[start..start + 2].copy_from_slice(&PAIRS[(left % 100) as usize]);
            left /= 100;
        }
        let [tens, ones] = PAIRS[left as usize];
        start -= 1;
        bytes[start] = ones;
        if left >= 10 {
            start -= 1;
            bytes[start] = tens;
        }
        if number < 0 {
            start -= 1;
            bytes[start] = b'-';
        }
        Digits { bytes, start: start as u8 }
    }

    /// The digits' bytes.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.start as usize..DIGITS_END]
    }

    /// The digits as a line of RESP: behind a mark, and before the line's end.
    #[inline]
    pub fn line(&mut self, mark: u8) -> &[u8] {
        let start = self.start as usize - 1;
        self.bytes[start] = mark;
        self.bytes[DIGITS_END..].copy_from_slice(b"\r\n");
        &self.bytes[start..]
    }
}

/// A number of at most three digits as a line of RESP, and how many bytes it has: what nearly every reply has, made
/// without a detour through memory.
#[inline]
pub fn short_line(mark: u8, number: usize) -> Option<([u8; 8], usize)> {
    const END: u64 = u16::from_le_bytes(*b"\r\n") as u64;
    let digit = |value: usize| u64::from(b'0') + value as u64;
    let (digits, count) = match number {
        0..10 => (digit(number), 1),
        10..100 => (digit(number / 10) | digit(number % 10) << 8, 2),
        100..1000 => (digit(number / 100) | digit(number / 10 % 10) << 8 | digit(number % 10) << 16, 3),
        _ => return None,
    };
    let line = u64::from(mark) | digits << 8 | END << (8 + 8 * count);
    Some((line.to_le_bytes(), 1 + count + 2))
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
    fn short_lines_are_those_of_the_digits() {
        for number in 0..1000 {
            let (bytes, count) = short_line(b'$', number).unwrap();
            assert_eq!(&bytes[..count], Digits::of(number as i64).line(b'$'), "{number}");
        }
        assert!(short_line(b'$', 1000).is_none());
    }

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
    fn amounts_of_memory() {
        for (text, bytes) in [
            ("0", 0),
            ("100", 100),
            ("100b", 100),
            ("10K", 10_000),
            ("10kb", 10_240),
            ("3M", 3_000_000),
            ("3mB", 3 << 20),
            ("2g", 2_000_000_000),
            ("2GB", 2 << 30),
            ("", 0),
            ("mb", 0),
            ("18446744073709551615", u64::MAX),
            ("99999999999999999999", u64::MAX),
            ("99999999999gb", u64::MAX),
        ] {
            assert_eq!(memory_size(text.as_bytes()), Some(bytes), "{text}");
        }
        for text in ["-1", "1x", "1.5mb", "10%", "10 mb", " 10", "kbb", "1kib", "1t"] {
            assert_eq!(memory_size(text.as_bytes()), None, "{text}");
        }
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
