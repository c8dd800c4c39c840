//! The longest common subsequence of two values: LCS.

use super::{CommandError, Ctx, Flow, Outcome, choice, integer};
use crate::limits::LCS_STEPS_MAX;
use crate::proto::{Args, Reply};

/// `LCS key1 key2 [LEN] [IDX] [MINMATCHLEN length] [WITHMATCHLEN]`: the subsequence, its length, or where its pieces
/// stand.
pub(super) fn lcs(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    let now_ms = ctx.state.now.ms;
    // Looked up once to be counted, and then again to be held both at the same time.
    for key in args.from(1).take(2) {
        ctx.find(key);
    }
    let value =
        |place: usize| ctx.state.store.get(&args[place], now_ms).map_or(&b""[..], |entry| entry.value().bytes());
    let options = Options::parse(args)?;
    let table = Table::new(value(1), value(2))?;
    if options.positions {
        options.answer_positions(&table, reply);
    } else if options.length {
        reply.integer(table.length().into());
    } else {
        reply.bulk(&table.subsequence());
    }
    Ok(Flow::Continue)
}

#[derive(Default)]
struct Options {
    length: bool,
    positions: bool,
    with_match_length: bool,
    match_length_min: usize,
}

impl Options {
    fn parse(args: Args<'_>) -> Result<Options, CommandError> {
        let mut options = Options::default();
        let mut words = args.from(3);
        while let Some(word) = words.next() {
            match choice(word, &["len", "idx", "withmatchlen", "minmatchlen"]).ok_or(CommandError::Syntax)? {
                0 => options.length = true,
                1 => options.positions = true,
                2 => options.with_match_length = true,
                _ => {
                    let length = integer(words.next().ok_or(CommandError::Syntax)?)?;
                    options.match_length_min = usize::try_from(length).unwrap_or(0);
                }
            }
        }
        if options.length && options.positions {
            let text = "ERR If you want both the length and indexes, please just use IDX.";
            return Err(CommandError::Other(text.into()));
        }
        Ok(options)
    }

    /// The pieces that are long enough, the last one first, and the length of the whole.
    fn answer_positions(&self, table: &Table<'_>, reply: &mut Reply<'_>) {
        let mut pieces = table.pieces();
        pieces.retain(|piece| piece.length >= self.match_length_min);
        reply.map(2);
        reply.field("matches");
        reply.array(pieces.len());
        for piece in pieces {
            reply.array(if self.with_match_length { 3 } else { 2 });
            for start in [piece.a_start, piece.b_start] {
                reply.array(2);
                reply.integer(start as i64);
                reply.integer((start + piece.length - 1) as i64);
            }
            if self.with_match_length {
                reply.integer(piece.length as i64);
            }
        }
        reply.named_integer("len", table.length().into());
    }
}

/// The lengths of the longest common subsequences of all beginnings of two texts.
struct Table<'a> {
    a: &'a [u8],
    b: &'a [u8],
    /// A row for each byte of `a`, a number for each byte of `b`. None is longer than the shorter of the texts, and
    /// that is at most the root of [`LCS_STEPS_MAX`].
    lengths: Vec<u16>,
}

/// Bytes that stand in both texts without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    a_start: usize,
    b_start: usize,
    length: usize,
}

impl<'a> Table<'a> {
    fn new(a: &'a [u8], b: &'a [u8]) -> Result<Table<'a>, CommandError> {
        let steps = a.len().checked_mul(b.len()).filter(|&steps| steps <= LCS_STEPS_MAX);
        let too_long = || {
            let text = format!("ERR strings too long for LCS: the product of their lengths exceeds {LCS_STEPS_MAX}");
            CommandError::Other(text)
        };
        let mut table = Table { a, b, lengths: vec![0; steps.ok_or_else(too_long)?] };
        if table.lengths.is_empty() {
            // The other text may be very long.
            return Ok(table);
        }
        for (i, &byte) in a.iter().enumerate() {
            let (before, row) = table.lengths.split_at_mut(i * b.len());
            let above = before.len().checked_sub(b.len()).map_or(&[][..], |start| &before[start..]);
            let (mut left, mut above_left) = (0, 0);
            for (j, (cell, &other)) in row.iter_mut().zip(b).enumerate() {
                let over = above.get(j).copied().unwrap_or(0);
                *cell = if byte == other { above_left + 1 } else { left.max(over) };
                (left, above_left) = (*cell, over);
            }
        }
        Ok(table)
    }

    /// The length for the first `i` bytes of `a` and the first `j` of `b`.
    fn at(&self, i: usize, j: usize) -> u16 {
        if i == 0 || j == 0 { 0 } else { self.lengths[(i - 1) * self.b.len() + j - 1] }
    }

    /// The length of the whole.
    fn length(&self) -> u16 {
        self.at(self.a.len(), self.b.len())
    }

    /// The places of the subsequence's bytes in both texts, from the last one to the first. Where there are several
    /// longest ones, it is the one that Redis finds.
    fn places(&self) -> impl Iterator<Item = (usize, usize)> {
        let (mut i, mut j) = (self.a.len(), self.b.len());
        std::iter::from_fn(move || {
            while i > 0 && j > 0 {
                if self.a[i - 1] == self.b[j - 1] {
                    (i, j) = (i - 1, j - 1);
                    return Some((i, j));
                }
                if self.at(i - 1, j) > self.at(i, j - 1) {
                    i -= 1;
                } else {
                    j -= 1;
                }
            }
            None
        })
    }

    /// The subsequence.
    fn subsequence(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.places().map(|(i, _)| self.a[i]).collect();
        bytes.reverse();
        bytes
    }

    /// The subsequence in pieces without a gap, the last one first.
    fn pieces(&self) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = Vec::new();
        for (i, j) in self.places() {
            match pieces.last_mut() {
                Some(piece) if piece.a_start == i + 1 && piece.b_start == j + 1 => {
                    *piece = Piece { a_start: i, b_start: j, length: piece.length + 1 };
                }
                _ => pieces.push(Piece { a_start: i, b_start: j, length: 1 }),
            }
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(a: &'static str, b: &'static str) -> Table<'static> {
        Table::new(a.as_bytes(), b.as_bytes()).unwrap()
    }

    #[test]
    fn subsequences() {
        for (a, b, wanted) in [
            ("ohmytext", "mynewtext", "mytext"),
            ("", "abc", ""),
            ("abc", "", ""),
            ("abc", "xyz", ""),
            ("abc", "abc", "abc"),
            ("a", "banana", "a"),
        ] {
            let table = table(a, b);
            assert_eq!((table.subsequence(), table.length()), (wanted.into(), wanted.len() as u16), "{a} {b}");
        }
    }

    #[test]
    fn pieces_come_last_first() {
        let pieces = table("ohmytext", "mynewtext").pieces();
        let piece = |a_start, b_start, length| Piece { a_start, b_start, length };
        assert_eq!(pieces, [piece(4, 5, 4), piece(2, 0, 2)]);
    }

    #[test]
    fn what_takes_too_long_is_refused() {
        let (short, long) = (vec![b'a'; 2048], vec![b'a'; LCS_STEPS_MAX + 1]);
        assert_eq!(Table::new(&short, &short).map(|table| table.length()).ok(), Some(2048));
        assert!(Table::new(&short, &long[..2049]).is_err() && Table::new(&long, &short[..1]).is_err());
        assert!(Table::new(&long, b"").is_ok());
    }
}
