//! The checksum of Redis's serialised values: CRC-64 with Jones's polynomial, reflected, beginning with 0.

/// 0xAD93D23594C935A9, its bits in reverse.
const POLYNOMIAL: u64 = 0x95AC_9329_AC4B_C9B5;

/// What four bits do to the rest. A table for a byte would have two kilobytes of the program.
static NIBBLES: [u64; 16] = {
    let (mut table, mut index) = ([0; 16], 0);
    while index < table.len() {
        let (mut crc, mut bit) = (index as u64, 0);
        while bit < 4 {
            crc = crc >> 1 ^ if crc & 1 == 1 { POLYNOMIAL } else { 0 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
};

/// For so many bytes it pays to make a table of what a byte does at each of eight places, which takes some microseconds.
const TABLES_BYTES_MIN: usize = 4096;

/// Goes on with the checksum of what came before; 0 where there was nothing.
pub fn crc64(before: u64, bytes: &[u8]) -> u64 {
    let (mut crc, mut rest) = (before, bytes);
    if bytes.len() >= TABLES_BYTES_MIN {
        (crc, rest) = by_eight(before, bytes);
    }
    for &byte in rest {
        crc = after_byte(crc ^ u64::from(byte));
    }
    crc
}

fn after_byte(crc: u64) -> u64 {
    let crc = crc >> 4 ^ NIBBLES[(crc & 15) as usize];
    crc >> 4 ^ NIBBLES[(crc & 15) as usize]
}

/// Takes eight bytes at a time (Kounavis and Berry, 2005); the checksum, and the bytes that are left.
#[cfg_attr(memento_small, optimize(speed))]
#[inline(never)]
fn by_eight(before: u64, bytes: &[u8]) -> (u64, &[u8]) {
    let mut tables = [[0; 256]; 8];
    for byte in 0..256 {
        let mut crc = byte as u64;
        for table in &mut tables {
            crc = after_byte(crc);
            table[byte] = crc;
        }
    }
    let (words, rest) = bytes.as_chunks::<8>();
    let mut crc = before;
    for word in words {
        let bytes = (crc ^ u64::from_le_bytes(*word)).to_le_bytes();
        crc = 0;
        for (place, &byte) in bytes.iter().enumerate() {
            crc ^= tables[7 - place][usize::from(byte)];
        }
    }
    (crc, rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::Random;

    fn bit_by_bit(bytes: &[u8]) -> u64 {
        bytes.iter().fold(0, |crc, &byte| {
            (0..8).fold(crc ^ u64::from(byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { POLYNOMIAL } else { 0 })
        })
    }

    #[test]
    fn the_check_value_is_the_published_one() {
        assert_eq!(crc64(0, b"123456789"), 0xE9C6_D914_C4B8_D9CA);
        assert_eq!((crc64(0, b""), POLYNOMIAL.reverse_bits()), (0, 0xAD93_D235_94C9_35A9));
    }

    #[test]
    fn any_length_gives_what_the_bits_do() {
        let mut random = Random::new(1);
        let bytes: Vec<u8> = (0..3 * TABLES_BYTES_MIN).map(|_| random.next() as u8).collect();
        for length in (0..20).chain(TABLES_BYTES_MIN - 3..TABLES_BYTES_MIN + 20).chain([bytes.len()]) {
            let bytes = &bytes[..length];
            assert_eq!(crc64(0, bytes), bit_by_bit(bytes), "{length}");
            let (first, second) = bytes.split_at(length / 3);
            assert_eq!(crc64(crc64(0, first), second), bit_by_bit(bytes), "{length}");
        }
    }
}
