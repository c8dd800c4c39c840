//! LZF, in which Redis packs long strings: bytes as they are, and references to bytes that came before.

/// So many bytes one packed byte can become at most: three say "264 bytes that came before".
pub(super) const RATIO_MAX: usize = 88;

/// Bytes as they are: so many at most, one more than the highest number below a reference's first byte.
const PLAIN_MAX: u8 = 32;

/// A reference is to two bytes more than its length says, which has three bits, or eight more where all three are set.
const LENGTH_MORE: usize = 7;

/// Unpacks into exactly these bytes; false where the packed ones are no LZF, or are more or fewer.
pub(super) fn unpack(packed: &[u8], out: &mut [u8]) -> bool {
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
