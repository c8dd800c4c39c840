//! One value in Redis's serialised form, as DUMP answers it and RESTORE takes it: a type, of which there is strings here;
//! the value, maybe as a number or packed; the version of the form; a checksum of all that. Knows neither commands nor
//! the store. What reads allocates nothing.

mod crc64;

pub use crc64::crc64;

use crate::blob::{Blob, OutOfMemory};
use crate::lzf;
use crate::proto::{Digits, integer};

/// The version that is written: that of Redis 7.0, which refuses later ones.
pub const VERSION: u16 = 10;

/// The latest version that is read. None has changed what a string looks like.
pub const VERSION_MAX: u16 = 12;

/// So much more than the value's bytes a payload has at most.
pub const OVERHEAD_BYTES_MAX: usize = HEAD_BYTES_MAX + SEAL_BYTES;

/// What stands before a value's bytes takes so many at most.
pub const HEAD_BYTES_MAX: usize = 6;

/// Version and checksum.
const SEAL_BYTES: usize = 2 + 8;

/// The type of strings.
pub const STRING: u8 = 0;

/// An integer of more digits than this, its sign included, is written as a string.
const NUMBER_BYTES_MAX: usize = 11;

/// The highest two bits of a length's first byte say how long the length is; all of both: that there is none, but one of
/// these forms.
const AS_I8: u8 = 0xC0;
const AS_I16: u8 = 0xC1;
const AS_I32: u8 = 0xC2;
const AS_LZF: u8 = 0xC3;
const LENGTH_32: u8 = 0x80;
const LENGTH_64: u8 = 0x81;

/// A length has no more bytes, its form included.
pub const LENGTH_BYTES_MAX: usize = 9;

/// Why bytes are no payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// They have a later version, or another checksum: something else, or spoilt.
    Seal,
    /// They are sealed, and what is in them is no string.
    Form,
}

/// A value as it stands in a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Its bytes.
    Plain(&'a [u8]),
    /// The digits of this number.
    Number(i64),
    /// LZF makes so many bytes of these.
    Packed(&'a [u8], usize),
}

/// A value's payload, of a value of less than 4 GiB.
///
/// # Errors
/// When there is no memory for it.
pub fn encode(value: &[u8]) -> Result<Blob, OutOfMemory> {
    let room = value.len() + OVERHEAD_BYTES_MAX;
    let mut out = Blob::for_arrival(room, room)?;
    let mut head = [0; HEAD_BYTES_MAX];
    let (count, plain) = begin(value, &mut head);
    out.extend_from_slice(&head[..count]);
    out.extend_from_slice(plain);
    let seal = seal(&out);
    out.extend_from_slice(&seal);
    Ok(out)
}

/// Writes how the payload of a value of less than 4 GiB begins; gives how many bytes that takes, and what follows as it is.
pub fn begin<'v>(value: &'v [u8], head: &mut [u8; HEAD_BYTES_MAX]) -> (usize, &'v [u8]) {
    head[0] = STRING;
    match integer(value).filter(|_| value.len() <= NUMBER_BYTES_MAX).map(i32::try_from) {
        Some(Ok(number)) => {
            let (form, count) = match number {
                -0x80..0x80 => (AS_I8, 1),
                -0x8000..0x8000 => (AS_I16, 2),
                _ => (AS_I32, 4),
            };
            head[1] = form;
            head[2..].copy_from_slice(&number.to_le_bytes());
            (2 + count, &[])
        }
        _ => (1 + write_length(value.len() as u32, head), value),
    }
}

/// Writes a length as it stands in a payload, from the second byte on; gives how many bytes it takes.
pub fn write_length(length: u32, head: &mut [u8; HEAD_BYTES_MAX]) -> usize {
    head[2..].copy_from_slice(&length.to_be_bytes());
    match length {
        0..0x40 => {
            head[1] = length as u8;
            1
        }
        0x40..0x4000 => {
            head[1..3].copy_from_slice(&(0x4000 | length as u16).to_be_bytes());
            2
        }
        _ => {
            head[1] = LENGTH_32;
            5
        }
    }
}

/// Version and checksum, which follow on this.
pub fn seal(body: &[u8]) -> [u8; SEAL_BYTES] {
    let version = VERSION.to_le_bytes();
    let checksum = crc64(crc64(0, body), &version);
    let mut seal = [0; SEAL_BYTES];
    seal[..2].copy_from_slice(&version);
    seal[2..].copy_from_slice(&checksum.to_le_bytes());
    seal
}

/// Finds the value in a payload. As in Redis, what stands between it and the version does not matter, and one that is said
/// to be longer goes on with version and checksum.
///
/// # Errors
/// When the bytes are no payload, or one of something else than a string.
pub fn decode(payload: &[u8]) -> Result<Value<'_>, Error> {
    let (rest, checksum) = payload.split_last_chunk().ok_or(Error::Seal)?;
    let (_, version) = rest.split_last_chunk().ok_or(Error::Seal)?;
    if u16::from_le_bytes(*version) > VERSION_MAX || u64::from_le_bytes(*checksum) != crc64(0, rest) {
        return Err(Error::Seal);
    }
    read_string(&mut &*payload).ok_or(Error::Form)
}

/// Takes a value off the front of bytes that begin as a payload does; none where they are no value, or not all of one.
pub fn read_string<'a>(bytes: &mut &'a [u8]) -> Option<Value<'a>> {
    let [STRING, form] = take(bytes, 2)?[..] else { return None };
    Some(match form {
        AS_I8 => Value::Number((take(bytes, 1)?[0] as i8).into()),
        AS_I16 => Value::Number(i16::from_le_bytes(*take(bytes, 2)?.first_chunk()?).into()),
        AS_I32 => Value::Number(i32::from_le_bytes(*take(bytes, 4)?.first_chunk()?).into()),
        AS_LZF => {
            let (packed, length) = (read_length(None, bytes)?, read_length(None, bytes)?);
            let packed = take(bytes, packed)?;
            // What is announced is not believed beyond what these bytes can become.
            Value::Packed(packed, Some(length).filter(|&length| length / lzf::RATIO_MAX <= packed.len())?)
        }
        _ => {
            let length = read_length(Some(form), bytes)?;
            Value::Plain(take(bytes, length)?)
        }
    })
}

/// Whether a length begins with this byte.
pub fn is_length(form: u8) -> bool {
    form <= LENGTH_64
}

/// Whether a value is a number that has this byte behind its type.
pub fn is_number(form: u8) -> bool {
    (AS_I8..=AS_I32).contains(&form)
}

/// A length, whose first byte may have been taken.
pub fn read_length(first: Option<u8>, bytes: &mut &[u8]) -> Option<usize> {
    let first = match first {
        Some(first) => first,
        None => take(bytes, 1)?[0],
    };
    let length = match first {
        0..0x40 => first.into(),
        0x40..0x80 => u64::from(first & 0x3F) << 8 | u64::from(take(bytes, 1)?[0]),
        LENGTH_32 => u32::from_be_bytes(*take(bytes, 4)?.first_chunk()?).into(),
        LENGTH_64 => u64::from_be_bytes(*take(bytes, 8)?.first_chunk()?),
        _ => return None,
    };
    usize::try_from(length).ok()
}

/// The next so many bytes.
pub fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

impl Value<'_> {
    /// How many bytes it has; packed ones may turn out to be another number.
    #[expect(clippy::len_without_is_empty, reason = "asked only how many")]
    pub fn len(&self) -> usize {
        match *self {
            Value::Plain(bytes) => bytes.len(),
            Value::Number(number) => Digits::of(number).bytes().len(),
            Value::Packed(_, length) => length,
        }
    }

    /// Writes it where there is room for exactly so many bytes; false where packed ones are spoilt.
    pub fn write_to(&self, out: &mut [u8]) -> bool {
        match *self {
            Value::Plain(bytes) => out.copy_from_slice(bytes),
            Value::Number(number) => out.copy_from_slice(Digits::of(number).bytes()),
            Value::Packed(packed, _) => return lzf::unpack(packed, out),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{Random, seeds};

    /// The value that a payload has.
    fn read(payload: &[u8]) -> Result<Vec<u8>, Error> {
        let value = decode(payload)?;
        let mut out = vec![0; value.len()];
        if value.write_to(&mut out) { Ok(out) } else { Err(Error::Form) }
    }

    fn sealed(body: &[u8]) -> Vec<u8> {
        let mut payload = body.to_vec();
        payload.extend(seal(&payload));
        payload
    }

    #[test]
    fn payloads_are_those_of_redis() {
        // What redis-server 7.0.15 answers to DUMP.
        let redis: [(&str, &[u8]); 7] = [
            ("", b"\x00\x00\x0a\x00\x5d\x9b\x5c\x40\x0f\x7f\xa2\xda"),
            ("a", b"\x00\x01a\x0a\x00\xbf\xfe\xef\x9b\x8f\x36\x7d\xb4"),
            ("12", b"\x00\xc0\x0c\x0a\x00\x3c\x2a\xf8\x51\x5c\x04\xbc\xd5"),
            ("-129", b"\x00\xc1\x7f\xff\x0a\x00\x17\x60\x82\x28\x54\x80\x84\x80"),
            ("70000", b"\x00\xc2\x70\x11\x01\x00\x0a\x00\x01\xa4\x08\xfe\x95\x30\x95\xa5"),
            ("2147483648", b"\x00\x0a2147483648\x0a\x00\xe7\xb1\x29\xa3\x4c\x1d\x76\xee"),
            ("007", b"\x00\x03007\x0a\x00\x72\x58\xe2\x7b\x4c\x69\xba\xd9"),
        ];
        for (value, wanted) in redis {
            assert_eq!(encode(value.as_bytes()).expect("memory")[..], *wanted, "{value}");
            assert_eq!(read(wanted), Ok(value.into()));
        }
        // This one it packs.
        let packed = b"\x00\xc3\x09\x28\x01xx\xe0\x1b\x00\x01xx\x0a\x00\x7a\x1d\x6c\xce\xa5\x40\x13\x33";
        assert_eq!(read(packed), Ok(vec![b'x'; 40]));
    }

    #[test]
    fn values_come_back() {
        for length in [0, 1, 11, 12, 63, 64, 16_383, 16_384, 70_000] {
            let value = vec![b'v'; length];
            let payload = encode(&value).expect("memory").to_vec();
            assert!(payload.len() <= length + OVERHEAD_BYTES_MAX);
            assert_eq!(read(&payload), Ok(value));
        }
        for number in [0, 1, -1, 127, 128, -128, -129, 32_767, 32_768, -32_769, i64::from(i32::MIN), 1 << 31, i64::MIN]
        {
            let payload = encode(number.to_string().as_bytes()).expect("memory").to_vec();
            assert_eq!(read(&payload), Ok(number.to_string().into_bytes()));
        }
    }

    #[test]
    fn what_is_sealed_otherwise_is_told() {
        let payload = encode(b"value").expect("memory").to_vec();
        for at in 0..payload.len() {
            assert_eq!(read(&payload[..at]), Err(Error::Seal));
            let mut spoilt = payload.clone();
            spoilt[at] ^= 1;
            assert_eq!(read(&spoilt), Err(Error::Seal));
        }
        for (version, wanted) in [(0, Ok(b"v".to_vec())), (12, Ok(b"v".to_vec())), (13, Err(Error::Seal))] {
            let mut payload = vec![0, 1, b'v', version, 0];
            let checksum = crc64(0, &payload);
            payload.extend(checksum.to_le_bytes());
            assert_eq!(read(&payload), wanted);
        }
    }

    #[test]
    fn what_is_no_string_is_told() {
        let wrong: [&[u8]; 12] = [
            b"",
            b"\x00",
            b"\x01\x01a",
            b"\x00\x0ca",
            b"\x00\x40",
            b"\x00\x80\x00\x00\x00",
            b"\x00\x80\xff\xff\xff\xffa",
            b"\x00\x81\xff\xff\xff\xff\xff\xff\xff\xffa",
            b"\x00\x82\x00",
            b"\x00\xc4\x00",
            b"\x00\xc3\x03\x81\x00\x00\x00\x00\x20\x00\x00\x00\x00a\x00",
            b"\x00\xc3\x02\x03\x00a",
        ];
        for body in wrong {
            assert_eq!(read(&sealed(body)), Err(Error::Form), "{body:?}");
        }
        // As Redis reads it.
        assert_eq!(read(&sealed(b"\x00\x02a")), Ok(b"a\x0a".to_vec()));
        assert_eq!(read(&sealed(b"\x00\xc0")), Ok(b"10".to_vec()));
        // What follows the value is nobody's.
        assert_eq!(read(&sealed(b"\x00\x01ajunk")), Ok(b"a".to_vec()));
        assert_eq!(read(&sealed(b"\x00\x81\x00\x00\x00\x00\x00\x00\x00\x01a")), Ok(b"a".to_vec()));
    }

    #[test]
    fn any_sealed_bytes_are_read_without_harm() {
        for seed in seeds(20) {
            let mut random = Random::new(seed);
            for _ in 0..2000 {
                let mut body = vec![0; 2 + random.below(40)];
                body.iter_mut().for_each(|byte| *byte = random.next() as u8 >> random.below(8));
                (body[0], body[1]) = (0, [0x80, 0x81, 0xC0, 0xC1, 0xC2, 0xC3, 0xC3, 0xC3, 5][random.below(9)]);
                if let Ok(value) = read(&sealed(&body)) {
                    assert!(value.len() <= 60 * lzf::RATIO_MAX, "seed {seed}: {body:?}");
                }
            }
        }
    }
}
