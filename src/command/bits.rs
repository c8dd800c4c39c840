//! Values as rows of bits: SETBIT, GETBIT, BITCOUNT, BITPOS, BITOP. The highest bit of a byte is its first.

use super::events::Event;
use super::{CommandError, Ctx, Deferred, Flow, Outcome, Walk, choice, integer};
use crate::blob::{Blob, OutOfMemory};
use crate::limits::{BITS_BYTES_MAX, BITS_BYTES_PER_TURN, VALUE_BYTES_MAX};
use crate::proto::{Args, Encoding, Face, Output, Reply};
use crate::store::{EntryMut, Expiry, Key, Store};

/// `SETBIT key offset value`: the bit that was there. What was not there before it becomes zeros.
pub(super) fn setbit(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let offset = bit_offset(&args[2], 0)?;
    let on = match &args[3] {
        b"0" => 0,
        b"1" => 0x80,
        _ => return Err(CommandError::other("bit is not an integer or out of range")),
    };
    let (place, shift) = ((offset / 8) as usize, offset % 8);
    let mut was = 0;
    let grown = change(ctx, ctx.key(args), place + 1, &mut |entry| {
        let byte = entry.value().bytes()[place];
        was = byte << shift & 0x80;
        if was != on {
            entry.try_reserve(entry.value().bytes().len())?;
            entry.write_at(place, &[byte ^ 0x80 >> shift]);
        }
        Ok(())
    })?;
    if grown || was != on {
        ctx.state.tell(Event::SetBit, &args[1]);
    }
    reply.integer(i64::from(was >> 7));
    Ok(Flow::Continue)
}

/// Changes the value of a key in its place, after it was made so long where it was shorter, or not there at all. What is
/// as long may be shared with a reply: `edit` sees to room of its own for it before it writes. Says whether it was made
/// longer.
pub(super) fn change(
    ctx: &mut Ctx<'_>,
    key: Key<'_>,
    length: usize,
    edit: &mut dyn FnMut(&mut EntryMut<'_>) -> Result<(), OutOfMemory>,
) -> Result<bool, CommandError> {
    if length > VALUE_BYTES_MAX {
        return Err(CommandError::ValueTooLong);
    }
    let (store, now_ms) = (&mut ctx.state.store, ctx.state.now.ms);
    let mut grown = false;
    loop {
        if let Some(mut entry) = store.get_mut(key, now_ms) {
            let before = entry.value().bytes().len();
            if before < length {
                entry.try_reserve(length)?;
                entry.write_at(length, b"");
                grown = true;
            }
            edit(&mut entry)?;
            return Ok(grown);
        }
        let mut value = Blob::try_with_room(length)?;
        value.resize(length);
        store.upsert_shared(key, value.into(), Expiry::Never, now_ms);
        grown = true;
    }
}

/// `GETBIT key offset`: 0 behind the value's end.
pub(super) fn getbit(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let offset = bit_offset(&args[2], 0)?;
    let byte = ctx.find_value(ctx.key(args)).and_then(|value| value.bytes().get((offset / 8) as usize).copied());
    reply.integer(i64::from(byte.unwrap_or(0) << (offset % 8) >> 7));
    Ok(Flow::Continue)
}

/// The place of a bit, in a value that may be there. Where a width is given, `#n` is the place of the n-th integer of it.
pub(super) fn bit_offset(text: &[u8], width: u32) -> Result<u64, CommandError> {
    let (digits, unit) = match text {
        [b'#', digits @ ..] if width > 0 => (digits, width.into()),
        _ => (text, 1),
    };
    crate::proto::integer(digits)
        .and_then(|number| number.checked_mul(unit))
        .and_then(|offset| u64::try_from(offset).ok())
        .filter(|offset| offset / 8 < VALUE_BYTES_MAX as u64)
        .ok_or_else(|| CommandError::other("bit offset is not an integer or out of range"))
}

/// `BITCOUNT key [start end [BYTE | BIT]]`: how many of the bits are set.
pub(super) fn bitcount(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let Some(value) = ctx.find_value(ctx.key(args)) else {
        reply.integer(0);
        return Ok(Flow::Continue);
    };
    let bytes = value.bytes();
    let length = bytes.len();
    let range = match args.len() {
        2 => range(0, -1, length, false),
        4 | 5 => {
            let (start, end) = (integer(&args[2])?, integer(&args[3])?);
            if start < 0 && end < 0 && start > end {
                reply.integer(0);
                return Ok(Flow::Continue);
            }
            range(start, end, length, counts_bits(args, 4)?)
        }
        _ => return Err(CommandError::Syntax),
    };
    look(&args[1], bytes, Look::new(range, Wanted::Count(0)), reply)
}

/// `BITPOS key bit [start [end [BYTE | BIT]]]`: the place of the first bit that is set, or clear; -1 where there is none.
pub(super) fn bitpos(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let bit = match integer(&args[2])? {
        0 => false,
        1 => true,
        _ => return Err(CommandError::other("The bit argument must be 1 or 0.")),
    };
    let Some(value) = ctx.find_value(ctx.key(args)) else {
        reply.integer(if bit { -1 } else { 0 });
        return Ok(Flow::Continue);
    };
    let bytes = value.bytes();
    let length = bytes.len();
    if args.len() > 6 {
        return Err(CommandError::Syntax);
    }
    let start = args.get(3).map_or(Ok(0), integer)?;
    let by_bit = counts_bits(args, 5)?;
    let end = args.get(4).map_or(Ok(-1), integer)?;
    let range = range(start, end, length, by_bit);
    // Who names no end is told of the zeros behind the value.
    let none = if bit || args.len() > 4 || range.0 == range.1 { -1 } else { length as i64 * 8 };
    look(&args[1], bytes, Look::new(range, Wanted::First(bit, none)), reply)
}

/// Whether a range is one of bits, as its unit says where there is one.
fn counts_bits(args: Args<'_>, place: usize) -> Result<bool, CommandError> {
    match args.get(place).map_or(Some(1), |unit| choice(unit, &["BIT", "BYTE"])) {
        Some(0) => Ok(true),
        Some(1) => Ok(false),
        _ => Err(CommandError::Syntax),
    }
}

/// The bits from a place to another one, which is included; places are of bits or bytes, negative ones counted from the
/// end. The end given back is not included.
fn range(start: i64, end: i64, length: usize, by_bit: bool) -> (u64, u64) {
    let unit = if by_bit { 1 } else { 8 };
    let total = length as i64 * 8 / unit;
    let place = |place: i64| if place < 0 { (place + total).max(0) } else { place };
    let (start, end) = (place(start), place(end).min(total - 1));
    if start > end { (0, 0) } else { ((start * unit) as u64, ((end + 1) * unit) as u64) }
}

/// What is asked about the bits of a range.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    /// How many are set, and so many were found up to here.
    Count(u64),
    /// Where the first one that is set, or clear, stands; and what is answered where there is none.
    First(bool, i64),
}

/// BITCOUNT or BITPOS on its way over a long value. Other clients' writes go on meanwhile: each piece is looked at as it
/// is then, and the value ends where it ends then. To keep the value would let others who change it copy all of it.
#[derive(Debug)]
pub struct Look {
    key: Vec<u8>,
    /// The bits that are left.
    range: (u64, u64),
    wanted: Wanted,
    encoding: Encoding,
}

/// Answers about a range of bits: at once, or over many turns where they are many.
fn look(key: &[u8], bytes: &[u8], mut look: Look, reply: &mut Reply<'_>) -> Outcome {
    if let Some(answer) = look.go_on(bytes) {
        reply.integer(answer);
        return Ok(Flow::Continue);
    }
    look.encoding = reply.encoding();
    look.key.try_reserve_exact(key.len()).map_err(|_| CommandError::NoMemory)?;
    look.key.extend_from_slice(key);
    Ok(Flow::Wait(Box::new(Deferred::Walk(Walk::Bits(look)))))
}

impl Look {
    fn new(range: (u64, u64), wanted: Wanted) -> Look {
        Look { key: Vec::new(), range, wanted, encoding: Encoding::default() }
    }

    /// Looks at a turn's share of the bits; the answer where it is known by then.
    fn go_on(&mut self, bytes: &[u8]) -> Option<i64> {
        let (from, end) = (self.range.0, self.range.1.min(bytes.len() as u64 * 8));
        let to = end.min((from / 8 + BITS_BYTES_PER_TURN as u64) * 8);
        if from < to {
            match &mut self.wanted {
                Wanted::Count(count) => *count += count_set(bytes, (from, to)),
                Wanted::First(bit, _) => {
                    if let Some(place) = find(bytes, (from, to), *bit) {
                        return Some(place as i64);
                    }
                }
            }
        }
        self.range.0 = to;
        (to >= end).then_some(match self.wanted {
            Wanted::Count(count) => count as i64,
            Wanted::First(_, none) => none,
        })
    }

    fn go_on_in(&mut self, store: &Store, now_ms: u64) -> Option<i64> {
        let value = store.get(&self.key[..], now_ms);
        self.go_on(value.map_or(&[], |entry| entry.value().bytes()))
    }

    /// Looks at a turn's share of the bits; true when the answer is written.
    pub(super) fn step(&mut self, store: &Store, now_ms: u64, output: &mut Output) -> bool {
        let answer = self.go_on_in(store, now_ms);
        if let Some(answer) = answer {
            Reply::new(output, self.encoding, Face::Typed).integer(answer);
        }
        answer.is_some()
    }

    /// Does all that is left in one step, unless that is too much.
    pub(super) fn answer_at_once(mut self, store: &Store, now_ms: u64, reply: &mut Reply<'_>) {
        if self.range.1 - self.range.0 > BITS_BYTES_MAX as u64 * 8 {
            return reply.error(&too_long("BITCOUNT and BITPOS within a transaction").to_string());
        }
        loop {
            if let Some(answer) = self.go_on_in(store, now_ms) {
                return reply.integer(answer);
            }
        }
    }
}

/// What is refused since it would make everybody wait.
fn too_long(what: &str) -> CommandError {
    CommandError::Other(format!("ERR values too long for {what}: they may have {BITS_BYTES_MAX} bytes"))
}

/// How many bits of a range are set.
fn count_set(bytes: &[u8], (from, to): (u64, u64)) -> u64 {
    if from == to {
        return 0;
    }
    let bytes = &bytes[(from / 8) as usize..to.div_ceil(8) as usize];
    // Of the first byte and the last one not all may be asked for.
    let before = bytes[0] & !(0xFF >> (from % 8));
    let behind = bytes[bytes.len() - 1] & (0xFF_u32 >> ((to + 7) % 8 + 1)) as u8;
    count_all(bytes) - u64::from(before.count_ones() + behind.count_ones())
}

/// How many bits are set: not marked as to be fast, since vectors gain little here and take half a kilobyte.
#[inline(never)]
fn count_all(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let of_words: u64 = words.iter().map(|word| u64::from(u64::from_ne_bytes(*word).count_ones())).sum();
    of_words + rest.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>()
}

/// The first bit of a range that is set, or clear.
fn find(bytes: &[u8], (from, to): (u64, u64), bit: bool) -> Option<u64> {
    let dull = if bit { 0 } else { 0xFF };
    let (mut at, end) = ((from / 8) as usize, to.div_ceil(8) as usize);
    // Bits before the range are passed over.
    let mut mask = 0xFF >> (from % 8);
    while at < end {
        let unlike = (bytes[at] ^ dull) & mask;
        if unlike != 0 {
            let place = at as u64 * 8 + u64::from(unlike.leading_zeros());
            return (place < to).then_some(place);
        }
        mask = 0xFF;
        at += 1;
        at += dull_bytes(&bytes[at..end], dull);
    }
    None
}

/// How many bytes at the beginning are this one: no more than there are, maybe some fewer.
#[cfg_attr(memento_small, optimize(speed))]
#[inline(never)]
fn dull_bytes(bytes: &[u8], dull: u8) -> usize {
    let (pieces, _) = bytes.as_chunks::<32>();
    let dull = u64::from_ne_bytes([dull; 8]);
    let mut count = 0;
    for piece in pieces {
        let (words, _) = piece.as_chunks::<8>();
        let unlike = |index: usize| u64::from_ne_bytes(words[index]) ^ dull;
        if unlike(0) | unlike(1) | unlike(2) | unlike(3) != 0 {
            break;
        }
        count += 32;
    }
    count
}

/// How BITOP makes one value of several, by name: each byte is this one at first, and a value's `other` makes of it
/// `byte & (other ^ turn | keep) ^ other & add`, so that one loop does for all.
const OPERATORS: [&str; 4] = ["AND", "OR", "XOR", "NOT"];
const MASKS: [Masks; 4] = [
    Masks { first: 0xFF, turn: 0, keep: 0, add: 0 },
    Masks { first: 0, turn: 0xFF, keep: 0, add: 0xFF },
    Masks { first: 0, turn: 0, keep: 0xFF, add: 0xFF },
    Masks { first: 0xFF, turn: 0, keep: 0xFF, add: 0xFF },
];

struct Masks {
    first: u8,
    turn: u8,
    keep: u8,
    add: u8,
}

/// `BITOP AND|OR|XOR|NOT destination key [key ...]`: the length of the result, which is that of the longest value; shorter
/// ones are taken as if zeros followed.
pub(super) fn bitop(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let operator = choice(&args[1], &OPERATORS).ok_or(CommandError::Syntax)?;
    if OPERATORS[operator] == "NOT" && args.len() > 4 {
        return Err(CommandError::other("BITOP NOT must be called with a single source key."));
    }
    let (destination, now_ms) = (&args[2], ctx.state.now.ms);
    let (mut longest, mut shortest, mut total) = (0, usize::MAX, 0);
    for key in args.from(3) {
        let length = ctx.find_value(key.into()).map_or(0, |value| value.bytes().len());
        (longest, shortest, total) = (length.max(longest), length.min(shortest), length.saturating_add(total));
    }
    if longest == 0 {
        if ctx.state.store.remove(destination, now_ms) {
            ctx.state.tell(Event::Del, destination);
        }
        reply.integer(0);
        return Ok(Flow::Continue);
    }
    if total > BITS_BYTES_MAX {
        return Err(too_long("BITOP"));
    }
    let mut result = Blob::for_arrival(longest, longest)?;
    result.lengthen(longest);
    let masks = &MASKS[operator];
    result.fill(masks.first);
    for key in args.from(3) {
        let value = ctx.state.store.get(key, now_ms).map_or(&b""[..], |entry| entry.value().bytes());
        combine(&mut result, value, masks);
    }
    if OPERATORS[operator] == "AND" {
        result[shortest..].fill(0);
    }
    result.shrink_to_fit();
    ctx.state.store.upsert_shared(destination, result.into(), Expiry::Never, now_ms);
    ctx.state.tell(Event::Set, destination);
    reply.integer(longest as i64);
    Ok(Flow::Continue)
}

/// Combines the first bytes of `result` with those of a value that is not longer.
#[cfg_attr(memento_small, optimize(speed))]
#[inline(never)]
fn combine(result: &mut [u8], value: &[u8], masks: &Masks) {
    let &Masks { turn, keep, add, .. } = masks;
    for (byte, other) in result.iter_mut().zip(value) {
        *byte = *byte & (other ^ turn | keep) ^ other & add;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{Random, seeds};

    #[test]
    fn offsets_are_those_of_redis() {
        let offset = |text: &str, width| bit_offset(text.as_bytes(), width).ok();
        assert_eq!((offset("0", 0), offset("7", 8), offset("#7", 8)), (Some(0), Some(7), Some(56)));
        assert_eq!(
            (offset("4294967295", 0), offset("#67108863", 64)),
            (Some(u64::from(u32::MAX)), Some(4_294_967_232))
        );
        for wrong in ["-1", "x", "", "4294967296", "#1", "07", "9223372036854775807"] {
            assert_eq!(offset(wrong, 0), None, "{wrong}");
        }
        for wrong in ["#-1", "##1", "#", "#67108864", "#9223372036854775807"] {
            assert_eq!(offset(wrong, 64), None, "{wrong}");
        }
    }

    #[test]
    fn ranges_are_those_of_redis() {
        let bits = |start, end| range(start, end, 3, true);
        assert_eq!((bits(0, -1), bits(5, 30), bits(-3, -2), bits(-99, 0)), ((0, 24), (5, 24), (21, 23), (0, 1)));
        assert_eq!((bits(4, 3), bits(24, 99), bits(i64::MAX, i64::MAX)), ((0, 0), (0, 0), (0, 0)));
        let bytes = |start, end| range(start, end, 3, false);
        assert_eq!((bytes(0, -1), bytes(1, 1), bytes(-2, 9)), ((0, 24), (8, 16), (8, 24)));
        assert_eq!((bytes(i64::MIN, i64::MAX), bytes(3, 3), range(0, -1, 0, false)), ((0, 24), (0, 0), (0, 0)));
    }

    #[test]
    fn bits_are_counted_and_found_as_one_by_one() {
        for seed in seeds(20) {
            let mut random = Random::new(seed);
            for _ in 0..300 {
                // Long rows of the same bits, as well as any.
                let dull = [0, 0xFF, random.next() as u8][random.below(3)];
                let mut bytes = vec![dull; random.below(200)];
                for _ in 0..random.below(4) {
                    if let Some(place) = random.next().checked_rem(bytes.len() as u64) {
                        bytes[place as usize] = random.next() as u8;
                    }
                }
                let bits = bytes.len() as u64 * 8;
                let from = random.below(bits as usize + 1) as u64;
                let to = from + random.below((bits - from) as usize + 1) as u64;
                let is_set = |place: u64| bytes[(place / 8) as usize] << (place % 8) & 0x80 != 0;
                let count = (from..to).filter(|&place| is_set(place)).count() as u64;
                assert_eq!(count_set(&bytes, (from, to)), count, "seed {seed}: {from} to {to} of {bytes:?}");
                for bit in [false, true] {
                    let first = (from..to).find(|&place| is_set(place) == bit);
                    assert_eq!(find(&bytes, (from, to), bit), first, "seed {seed}: {from} to {to} of {bytes:?}");
                }
            }
        }
    }

    /// What is looked at in several steps is what is looked at at once; what is changed meanwhile is looked at as it is.
    #[test]
    fn long_values_are_looked_at_in_steps() {
        let length = 3 * BITS_BYTES_PER_TURN + 5;
        let last = length - 2;
        let mut store = Store::new();
        let fill = |store: &mut Store, length: usize| {
            let mut value = vec![0xFF; length];
            if let Some(byte) = value.get_mut(last) {
                *byte = 0xF7;
            }
            store.upsert(b"k", &value, Expiry::Never, 1);
        };
        let bits = length as u64 * 8;
        let cut = BITS_BYTES_PER_TURN as i64 * 8;
        for (wanted, steps, answer, cut_answer) in [
            (Wanted::Count(0), 4, bits as i64 - 3 - 1, cut - 3 + 8),
            (Wanted::First(false, -1), 4, last as i64 * 8 + 4, -1),
            (Wanted::First(true, -1), 1, 3, 3),
        ] {
            let look = || Look { key: b"k".to_vec(), ..Look::new((3, bits), wanted) };
            fill(&mut store, length);
            let (mut output, mut once, mut walk, mut count) = (Output::default(), Output::default(), look(), 1);
            while !walk.step(&store, 1, &mut output) {
                count += 1;
                assert!(output.is_empty());
            }
            look().answer_at_once(&store, 1, &mut Reply::new(&mut once, Encoding::Text, Face::Typed));
            assert_eq!((count, output.bytes()), (steps, format!("{answer}\r\n").as_bytes()));
            assert_eq!(once.bytes(), output.bytes());
            // It becomes shorter after the first step, and then is gone.
            for gone in [false, true] {
                fill(&mut store, length);
                let (mut output, mut walk) = (Output::default(), look());
                let whole = walk.step(&store, 1, &mut output);
                fill(&mut store, BITS_BYTES_PER_TURN + 1);
                if gone {
                    store.remove(b"k", 1);
                }
                assert!(whole || walk.step(&store, 1, &mut output));
                let missing = if gone && matches!(wanted, Wanted::Count(_)) { 8 } else { 0 };
                assert_eq!(output.bytes(), format!("{}\r\n", cut_answer - missing).as_bytes());
            }
        }
        let look = Look { key: b"k".to_vec(), ..Look::new((0, BITS_BYTES_MAX as u64 * 8 + 1), Wanted::Count(0)) };
        let mut output = Output::default();
        look.answer_at_once(&store, 1, &mut Reply::new(&mut output, Encoding::Text, Face::Typed));
        assert!(output.bytes().starts_with(b"(error) values too long for BITCOUNT and BITPOS within a transaction"));
    }
}
