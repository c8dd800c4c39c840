//! LZF, in which Redis packs long strings: bytes as they are, and references to bytes that came before. The program's own
//! long texts are packed by the compiler: what they say is seldom asked for.

/// So many bytes one packed byte can become at most: three say "264 bytes that came before".
pub const RATIO_MAX: usize = LENGTH_MAX / 3;

/// Bytes as they are: so many at most, one more than the highest number below a reference's first byte.
const PLAIN_MAX: u8 = 32;

/// A reference is to two bytes more than its length says, which has three bits, or eight more where all three are set.
const LENGTH_MORE: usize = 7;

/// A reference is to so many bytes at most, and so far back.
const LENGTH_MAX: usize = 2 + LENGTH_MORE + u8::MAX as usize;
const DISTANCE_MAX: usize = 1 << 13;

/// A text that is packed in the program.
#[derive(Clone, Copy, Debug)]
pub struct Packed {
    bytes: &'static [u8],
    length: usize,
}

/// A constant text, packed.
macro_rules! packed {
    ($text:expr) => {{
        const PACKED: ([u8; $text.len()], usize) = $crate::lzf::pack($text.as_bytes());
        static BYTES: [u8; PACKED.1] = *PACKED.0.first_chunk().expect("a text that becomes shorter");
        $crate::lzf::Packed::new(&BYTES, $text.len())
    }};
}
pub(crate) use packed;

impl Packed {
    /// What [`packed`] makes.
    pub const fn new(bytes: &'static [u8], length: usize) -> Packed {
        Packed { bytes, length }
    }

    /// The text.
    pub fn text(self) -> String {
        let mut text = vec![0; self.length];
        let is_whole = unpack(self.bytes, &mut text);
        debug_assert!(is_whole);
        String::from_utf8(text).unwrap_or_default()
    }
}

/// Packs a text that gets shorter by it, for the compiler alone; the second is how many bytes it became.
#[allow(long_running_const_eval, reason = "the longest text has some 10 kB")]
pub const fn pack<const N: usize>(text: &[u8]) -> ([u8; N], usize) {
    // For each three bytes, where they (or others of the same sum) stood last, and where before that; counted from 1.
    let (mut last, mut before) = ([0; 1 << 12], [0; N]);
    // `plain`: where the bytes as they are begin that it ends with; 0: with none.
    let (mut out, mut end, mut plain) = ([0; N], 0, 0);
    let (mut at, mut known) = (0, 0);
    while at < N {
        let (mut length, mut distance) = (0, 0);
        let mut from = if at + 2 < N { last[sum(text, at)] } else { 0 };
        while from > 0 && at - (from - 1) <= DISTANCE_MAX {
            let mut same = 0;
            while at + same < N && same < LENGTH_MAX && text[from - 1 + same] == text[at + same] {
                same += 1;
            }
            if same > length {
                (length, distance) = (same, at - from);
            }
            from = before[from - 1];
        }
        if length < 3 {
            // Bytes as they are stand behind their number less 1.
            if plain == 0 || out[plain - 1] == PLAIN_MAX - 1 {
                end += 1;
                plain = end;
            } else {
                out[plain - 1] += 1;
            }
            out[end] = text[at];
            (end, length) = (end + 1, 1);
        } else {
            let more = length - 2;
            let is_long = more >= LENGTH_MORE;
            out[end] = (if is_long { LENGTH_MORE } else { more } << 5 | distance >> 8) as u8;
            if is_long {
                end += 1;
                out[end] = (more - LENGTH_MORE) as u8;
            }
            out[end + 1] = distance as u8;
            (end, plain) = (end + 2, 0);
        }
        at += length;
        while known < at && known + 2 < N {
            let sum = sum(text, known);
            (before[known], last[sum]) = (last[sum], known + 1);
            known += 1;
        }
    }
    (out, end)
}

/// A number for the three bytes from `at` on.
const fn sum(text: &[u8], at: usize) -> usize {
    (text[at] as usize ^ (text[at + 1] as usize) << 3 ^ (text[at + 2] as usize) << 6) & 0xFFF
}

/// Unpacks into exactly these bytes; false where the packed ones are no LZF, or are more or fewer.
pub fn unpack(packed: &[u8], out: &mut [u8]) -> bool {
    unpack_all(packed, out) == Some(out.len())
}

/// Unpacks, and tells how many bytes it became.
#[cfg_attr(memento_small, optimize(speed))]
fn unpack_all(packed: &[u8], out: &mut [u8]) -> Option<usize> {
    let (mut at, mut end) = (0, 0);
    while let Some(&control) = packed.get(at) {
        at += 1;
        if control < PLAIN_MAX {
            let count = usize::from(control) + 1;
            out.get_mut(end..end + count)?.copy_from_slice(packed.get(at..at + count)?);
            (at, end) = (at + count, end + count);
            continue;
        }
        let mut count = usize::from(control >> 5);
        if count == LENGTH_MORE {
            count += usize::from(*packed.get(at)?);
            at += 1;
        }
        let distance = usize::from(control & 0x1F) << 8 | usize::from(*packed.get(at)?);
        at += 1;
        let to = end + count + 2;
        let from = end.checked_sub(distance + 1).filter(|_| to <= out.len())?;
        if to <= 2 * end - from {
            out.copy_within(from..from + count + 2, end);
        } else {
            // Bytes that this writes are read again.
            for (read, write) in (from..).zip(end..to) {
                out[write] = out[read];
            }
        }
        end = to;
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(packed: &[u8], wanted: &[u8]) {
        let mut out = vec![0; wanted.len()];
        assert!(unpack(packed, &mut out));
        assert_eq!(out, wanted);
        // More or fewer are wanted, or some are missing.
        assert!(!unpack(packed, &mut vec![0; wanted.len() + 1]));
        for length in 0..wanted.len() {
            assert!(!unpack(packed, &mut out[..length]), "{length}");
        }
        for length in 0..packed.len() {
            assert!(!unpack(&packed[..length], &mut out), "{length}");
        }
    }

    #[test]
    fn what_the_compiler_packs_is_unpacked() {
        const TEXT: &str = include_str!("lzf.rs");
        assert_eq!(packed!(TEXT).text(), TEXT);
        let (bytes, packed) = pack::<600>(&[b'a'; 600]);
        check(&bytes[..packed], &[b'a'; 600]);
        assert!(packed < 12, "{packed}");
    }

    #[test]
    fn packed_bytes_are_unpacked() {
        check(b"\x02abc", b"abc");
        check(b"\x02abc\x20\x02", b"abcabc");
        check(b"\x00a\xe0\x1c\x00\x01aa", &[b'a'; 40]);
        check(b"\x01xy\xe0\xff\x01", &b"xy".repeat(133)[..266]);
    }

    #[test]
    fn what_was_not_there_is_not_referred_to() {
        assert!(!unpack(b"\x20\x00", &mut [0; 3]));
        assert!(!unpack(b"\x00a\x20\x01", &mut [0; 4]));
        assert!(!unpack(b"\x00a\xff\xff\xff", &mut [0; 265]));
        assert!(unpack(b"", &mut []) && !unpack(b"", &mut [0]));
    }
}
