//! Which slot a key belongs to. Knows keys and nothing of what is stored under them.

use crate::limits::SLOTS;
use crate::sys::simd::{LANES, lanes_equal};

/// The number of a slot, below [`SLOTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId(u16);

impl SlotId {
    /// The slot with this number; none when the number is [`SLOTS`] or more.
    pub fn new(number: usize) -> Option<SlotId> {
        if number < SLOTS { Some(SlotId::wrapping(number)) } else { None }
    }

    /// The slot of a key: CRC16 of its tag, or of the whole key where it has none, modulo [`SLOTS`].
    pub fn of_key(key: &[u8]) -> SlotId {
        SlotId::wrapping(SlotId::crc_of_key(key).into())
    }

    /// The CRC16 that decides a key's slot, here and for clients that know another number of slots.
    pub fn crc_of_key(key: &[u8]) -> u16 {
        crc16(hashed_part(key))
    }

    /// The slot with this number modulo [`SLOTS`]. Clients of a cluster, which count twice as many, mean that one.
    pub fn wrapping(number: usize) -> SlotId {
        SlotId((number % SLOTS) as u16)
    }

    /// The number, to index an array of [`SLOTS`] items with.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The bytes of a key that decide its slot: those between the first `{` and the next `}`, where there are any.
fn hashed_part(key: &[u8]) -> &[u8] {
    let Some(open) = find_byte(key, b'{') else { return key };
    let tag = &key[open + 1..];
    match find_byte(tag, b'}') {
        None | Some(0) => key,
        Some(close) => &tag[..close],
    }
}

/// Where a byte is first, looked for in many bytes at a time: most keys are short and have none.
#[inline]
fn find_byte(bytes: &[u8], wanted: u8) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    let (blocks, bytes) = bytes.as_chunks::<LANES>();
    for (number, block) in blocks.iter().enumerate() {
        let found = lanes_equal(block, wanted);
        if found != 0 {
            return Some(number * LANES + found.trailing_zeros() as usize);
        }
    }
    let skipped = blocks.len() * LANES;
    let (words, tail) = bytes.as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        let differing = u64::from_le_bytes(*word) ^ (ONES * u64::from(wanted));
        // The lowest bit set is the highest one of the first zero byte; the borrow spoils only bytes behind it.
        let zeros = differing.wrapping_sub(ONES) & !differing & (ONES << 7);
        if zeros != 0 {
            return Some(skipped + number * 8 + zeros.trailing_zeros() as usize / 8);
        }
    }
    let at = tail.iter().position(|&byte| byte == wanted)?;
    Some(skipped + words.len() * 8 + at)
}

/// CRC16/XMODEM (polynomial 0x1021, start 0, nothing reflected), four bytes a step.
pub fn crc16(bytes: &[u8]) -> u16 {
    let (words, tail) = bytes.as_chunks::<4>();
    let mut crc = 0u16;
    for word in words {
        let [high, low] = crc.to_be_bytes();
        crc = CRC_TABLES[3][(word[0] ^ high) as usize]
            ^ CRC_TABLES[2][(word[1] ^ low) as usize]
            ^ CRC_TABLES[1][word[2] as usize]
            ^ CRC_TABLES[0][word[3] as usize];
    }
    for &byte in tail {
        crc = crc << 8 ^ CRC_TABLES[0][(byte ^ (crc >> 8) as u8) as usize];
    }
    crc
}

/// `CRC_TABLES[k][b]` is the CRC of the byte `b` followed by `k` zero bytes.
static CRC_TABLES: [[u16; 256]; 4] = crc_tables();

const fn crc_tables() -> [[u16; 256]; 4] {
    let mut tables = [[0u16; 256]; 4];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut zeros = 0;
        while zeros < 4 {
            crc = crc_shift_byte(crc);
            tables[zeros][byte] = crc;
            zeros += 1;
        }
        byte += 1;
    }
    tables
}

/// Divides eight more bits by the polynomial.
const fn crc_shift_byte(mut crc: u16) -> u16 {
    let mut bit = 0;
    while bit < 8 {
        crc = if crc & 0x8000 != 0 { crc << 1 ^ 0x1021 } else { crc << 1 };
        bit += 1;
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, bit by bit.
    fn crc16_plain(bytes: &[u8]) -> u16 {
        bytes.iter().fold(0, |crc, &byte| crc_shift_byte(crc ^ u16::from(byte) << 8))
    }

    #[test]
    fn crc_of_the_standard_vector() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(SlotId::of_key(b"123456789").index(), 12739 % SLOTS);
    }

    #[test]
    fn crc_of_every_length_is_the_plain_one() {
        let bytes: Vec<u8> = (0..100u32).map(|n| (n * 37 + 11) as u8).collect();
        for length in 0..bytes.len() {
            assert_eq!(crc16(&bytes[..length]), crc16_plain(&bytes[..length]), "length {length}");
        }
    }

    #[test]
    fn a_tag_decides_alone_unless_it_is_empty_or_open() {
        let slot = SlotId::of_key;
        assert_eq!(slot(b"{user}.a"), slot(b"user"));
        assert_eq!(slot(b"x{user}y{other}"), slot(b"user"));
        assert_eq!(slot(b"{{a}}"), slot(b"{a"));
        for whole in [&b"{}.a"[..], b"{open", b"}{", b""] {
            assert_eq!(slot(whole).index(), crc16_plain(whole) as usize % SLOTS);
        }
    }

    #[test]
    fn a_byte_is_found_where_it_is_first() {
        for length in 0..40 {
            for at in 0..length {
                for other in [0, b'{' - 1, b'{' + 1, b'{' ^ 0x80, 0xFF] {
                    let mut bytes = vec![other; length];
                    assert_eq!(find_byte(&bytes, b'{'), None);
                    bytes[at] = b'{';
                    assert_eq!(find_byte(&bytes, b'{'), Some(at));
                    bytes[length - 1] = b'{';
                    assert_eq!(find_byte(&bytes, b'{'), Some(at));
                }
            }
        }
    }

    #[test]
    fn numbers_out_of_range_are_no_slots() {
        assert_eq!(SlotId::new(SLOTS - 1).map(SlotId::index), Some(SLOTS - 1));
        assert_eq!(SlotId::new(SLOTS), None);
    }
}
