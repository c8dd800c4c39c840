//! Integers of any width up to 64 bits within values: BITFIELD, BITFIELD_RO. The highest bit of each comes first.

use super::bits::{bit_offset, change};
use super::events::Event;
use super::{CommandError, Ctx, Flow, Outcome, choice, integer};
use crate::proto::{Args, Reply};
use crate::store::EntryMut;

/// `BITFIELD key [GET type offset | [OVERFLOW WRAP|SAT|FAIL] SET type offset value | INCRBY type offset increment ...]`: a
/// list of what each operation answers: GET and SET what was there, INCRBY what is there then; nothing where it failed.
pub(super) fn bitfield(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    execute(ctx, args, true, reply)
}

/// `BITFIELD_RO key [GET type offset ...]`
pub(super) fn bitfield_ro(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    execute(ctx, args, false, reply)
}

/// All operations are read before the first one is done, and then once more: a request may have very many.
fn execute(ctx: &mut Ctx<'_>, args: Args<'_>, may_write: bool, reply: &mut Reply<'_>) -> Outcome {
    let (mut count, mut end) = (0, 0);
    let mut operations = Operations::new(args);
    while let Some(operation) = operations.next()? {
        count += 1;
        if operation.verb != Verb::Get {
            end = end.max(operation.offset + u64::from(operation.field.width));
        }
    }
    let mut operations = Operations::new(args);
    if end == 0 {
        let value = ctx.find_value(ctx.key(args)).map_or(&b""[..], |value| value.bytes());
        reply.array(count);
        while let Some(operation) = operations.next()? {
            reply.integer(operation.outcome(value).map_or(0, |(old, _)| old));
        }
        return Ok(Flow::Continue);
    }
    if !may_write {
        return Err(CommandError::other("BITFIELD_RO only supports the GET subcommand"));
    }
    let mut changed = false;
    let grown = change(ctx, ctx.key(args), end.div_ceil(8) as usize, &mut |entry| {
        entry.try_reserve(entry.value().bytes().len())?;
        reply.array(count);
        while let Ok(Some(operation)) = operations.next() {
            match operation.outcome(entry.value().bytes()) {
                Some((old, new)) => {
                    if new != old {
                        changed = true;
                        operation.write(entry, new);
                    }
                    reply.integer(if operation.verb == Verb::Set { old } else { new });
                }
                None => reply.null(),
            }
        }
        Ok(())
    })?;
    if grown || changed {
        ctx.state.tell(Event::SetBit, &args[1]);
    }
    Ok(Flow::Continue)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Get,
    Set,
    Add,
}

/// What becomes of a number that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overflow {
    /// Its lowest bits are taken.
    Wrap,
    /// The number next to it that fits is taken.
    Saturate,
    /// Nothing is written.
    Fail,
}

/// What kind of integer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Field {
    signed: bool,
    /// At most 64 bits, 63 of an unsigned one.
    width: u32,
}

#[derive(Clone, Copy)]
struct Operation {
    verb: Verb,
    overflow: Overflow,
    field: Field,
    /// Its first bit.
    offset: u64,
    operand: i64,
}

/// The operations of a request, read one after the other.
struct Operations<'a> {
    args: Args<'a>,
    place: usize,
    overflow: Overflow,
}

impl<'a> Operations<'a> {
    fn new(args: Args<'a>) -> Operations<'a> {
        Operations { args, place: 2, overflow: Overflow::Wrap }
    }

    /// The next one; none at the end.
    fn next(&mut self) -> Result<Option<Operation>, CommandError> {
        loop {
            let Some(word) = self.args.get(self.place) else { return Ok(None) };
            let behind = self.args.len() - self.place - 1;
            let verb = match choice(word, &["GET", "SET", "INCRBY", "OVERFLOW"]) {
                Some(0) if behind >= 2 => Verb::Get,
                Some(1) if behind >= 3 => Verb::Set,
                Some(2) if behind >= 3 => Verb::Add,
                Some(3) if behind >= 1 => {
                    self.overflow = overflow(&self.args[self.place + 1])?;
                    self.place += 2;
                    continue;
                }
                _ => return Err(CommandError::Syntax),
            };
            let field = Field::parse(&self.args[self.place + 1])?;
            let offset = bit_offset(&self.args[self.place + 2], field.width)?;
            let operand = if verb == Verb::Get { 0 } else { integer(&self.args[self.place + 3])? };
            self.place += if verb == Verb::Get { 3 } else { 4 };
            return Ok(Some(Operation { verb, overflow: self.overflow, field, offset, operand }));
        }
    }
}

fn overflow(word: &[u8]) -> Result<Overflow, CommandError> {
    match choice(word, &["WRAP", "SAT", "FAIL"]) {
        Some(0) => Ok(Overflow::Wrap),
        Some(1) => Ok(Overflow::Saturate),
        Some(2) => Ok(Overflow::Fail),
        _ => Err(CommandError::other("Invalid OVERFLOW type specified")),
    }
}

impl Operation {
    /// The number that is there, and the one that is to be; none where that is a failure.
    #[inline(never)]
    fn outcome(&self, value: &[u8]) -> Option<(i64, i64)> {
        let Operation { verb, overflow, field, offset, operand } = *self;
        let old = field.value_of(load(value, offset), offset);
        // As Redis, which sets an unsigned integer to what the bits of a negative number mean without a sign.
        let wanted = match verb {
            Verb::Get => return Some((old, old)),
            Verb::Add => i128::from(old) + i128::from(operand),
            _ if field.signed => operand.into(),
            _ => i128::from(operand as u64),
        };
        Some((old, field.fitted(wanted, overflow)?))
    }

    /// Writes a number into a value that is long enough.
    fn write(&self, entry: &mut EntryMut<'_>, number: i64) {
        let Operation { field, offset, .. } = *self;
        let (shift, mask) = (field.shift(offset), field.mask());
        let bits = load(entry.value().bytes(), offset) & !(mask << shift) | (number as u128 & mask) << shift;
        let bytes = (offset % 8 + u64::from(field.width)).div_ceil(8) as usize;
        entry.write_at((offset / 8) as usize, &bits.to_be_bytes()[..bytes]);
    }
}

/// The sixteen bytes with a bit in the first of them; zeros behind the value's end.
fn load(value: &[u8], offset: u64) -> u128 {
    let mut bytes = [0; 16];
    let there = value.get((offset / 8) as usize..).unwrap_or_default();
    let count = there.len().min(bytes.len());
    bytes[..count].copy_from_slice(&there[..count]);
    u128::from_be_bytes(bytes)
}

impl Field {
    /// `i8`, `u63` and their like.
    fn parse(word: &[u8]) -> Result<Field, CommandError> {
        let signed = word.first() == Some(&b'i');
        let width = match word {
            [b'i' | b'u', digits @ ..] => crate::proto::integer(digits),
            _ => None,
        };
        match width {
            Some(width @ 1..=63) => Ok(Field { signed, width: width as u32 }),
            Some(64) if signed => Ok(Field { signed, width: 64 }),
            _ => Err(CommandError::other(
                "Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
            )),
        }
    }

    /// How many of sixteen bytes' bits are behind an integer that begins in the first of them.
    fn shift(self, offset: u64) -> u32 {
        128 - (offset % 8) as u32 - self.width
    }

    fn mask(self) -> u128 {
        (1 << self.width) - 1
    }

    /// The integer in sixteen bytes, in the first of which it begins.
    fn value_of(self, bits: u128, offset: u64) -> i64 {
        self.cut(bits >> self.shift(offset))
    }

    /// What the lowest bits mean.
    fn cut(self, bits: u128) -> i64 {
        let unused = 64 - self.width;
        let bits = (bits as u64) << unused;
        if self.signed { bits as i64 >> unused } else { (bits >> unused) as i64 }
    }

    /// What a number becomes that is to be such an integer; none where that is a failure.
    fn fitted(self, number: i128, overflow: Overflow) -> Option<i64> {
        let (least, most) = match self.signed {
            true => (-1 << (self.width - 1), (1 << (self.width - 1)) - 1),
            false => (0, (1 << self.width) - 1),
        };
        match overflow {
            _ if number >= least && number <= most => Some(number as i64),
            Overflow::Wrap => Some(self.cut(number as u128)),
            Overflow::Saturate => Some(if number < least { least } else { most } as i64),
            Overflow::Fail => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(word: &str) -> Field {
        Field::parse(word.as_bytes()).expect("a type")
    }

    #[test]
    fn types_are_those_of_redis() {
        assert_eq!(field("i64"), Field { signed: true, width: 64 });
        assert_eq!(field("u63"), Field { signed: false, width: 63 });
        for wrong in ["u64", "i65", "i0", "u-1", "8", "", "i", "I8", "i08", "i8 ", "x8"] {
            assert!(Field::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn integers_of_any_width_lie_at_any_bit() {
        let value = [0xA5, 0x5A, 0xFF, 0x00, 0x80, 0x01, 0x7F, 0xC3, 0x3C, 0x99];
        let bit = |place: u64| value.get((place / 8) as usize).map_or(0, |byte| byte << (place % 8) >> 7);
        for width in 1..=64 {
            for offset in 0..100 {
                let plain =
                    (offset..offset + u64::from(width)).fold(0u64, |sum, place| sum << 1 | u64::from(bit(place)));
                let signed = Field { signed: true, width }.value_of(load(&value, offset), offset);
                assert_eq!(signed, (plain << (64 - width)) as i64 >> (64 - width), "i{width} at {offset}");
                if width < 64 {
                    let unsigned = Field { signed: false, width }.value_of(load(&value, offset), offset);
                    assert_eq!(unsigned, plain as i64, "u{width} at {offset}");
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_overflows_as_in_redis() {
        let all = |word, number| {
            [Overflow::Wrap, Overflow::Saturate, Overflow::Fail].map(|overflow| field(word).fitted(number, overflow))
        };
        assert_eq!(all("u8", 255), [Some(255); 3]);
        assert_eq!(all("u8", 256), [Some(0), Some(255), None]);
        assert_eq!(all("u8", -1), [Some(255), Some(0), None]);
        assert_eq!(all("i8", 128), [Some(-128), Some(127), None]);
        assert_eq!(all("i8", -129), [Some(127), Some(-128), None]);
        assert_eq!(all("i64", i128::from(i64::MAX) + 1), [Some(i64::MIN), Some(i64::MAX), None]);
        assert_eq!(all("i64", i128::from(i64::MIN) - 1), [Some(i64::MAX), Some(i64::MIN), None]);
        assert_eq!(all("u63", i128::from(u64::MAX)), [Some(i64::MAX), Some(i64::MAX), None]);
        assert_eq!(all("u1", 3), [Some(1), Some(1), None]);
        assert_eq!(all("i1", 1), [Some(-1), Some(0), None]);
    }
}
