//! What a row of the command table says, and finding one by its name. Everything that must know of commands reads the rows:
//! parsing (the rest of the line), arity errors, routing by key, COMMAND, help, the README.

use super::route::Reach;
use super::rows::ROWS;
use super::sub::Subcommand;
use super::texts::{COMMANDS, Subs, Text, Written, cut};
use super::{CommandError, Ctx, Outcome, Shown, key, set};
use crate::proto::{Args, Face, Reply};

/// What runs a command.
pub type Handler = fn(&mut Ctx<'_>, Args<'_>, &mut Reply<'_>) -> Outcome;

/// A command.
pub type CommandSpec = Row<Text, Subs>;

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row<T: 'static, S> {
    /// Its name, in lower case; its arguments as help shows them; what it does, in a sentence without a full stop.
    pub text: T,
    /// The family that it belongs to.
    pub family: Family,
    /// How many words a request has, the name included; negative: at least so many.
    pub arity: i8,
    /// Which of its words are keys.
    pub keys: Keys,
    /// What it concerns in a cluster.
    pub reach: Reach,
    /// What is wrong with a request of the right length that its handler would refuse whatever the keys hold; asked
    /// before it is cut up or sent to several nodes, since none may do its part then.
    pub check: Check,
    /// Which word takes the rest of the line in the text protocol; 0: none.
    pub rest: u8,
    /// What generic code must know of it.
    pub flags: Flags,
    /// How the text protocol writes its integer.
    pub face: Face,
    /// What of a request may be shown to others, in the slow log for example.
    pub shown: Shown,
    /// The commands that the second word chooses between; where there are any, `run` is for a request of one word.
    pub subcommands: S,
    /// The handler.
    pub run: Handler,
}

/// What refuses requests by their words alone.
#[derive(Clone, Copy, Debug)]
pub enum Check {
    /// Nothing does.
    Nothing,
    /// FLUSHALL and its kin know some words.
    Flush,
    /// MSET wants a value for each key.
    Pairs,
}

impl Written {
    /// The same row with another text, and its subcommands by their places.
    pub(super) const fn with(&self, text: Text, subcommands: Subs) -> CommandSpec {
        let Row { family, arity, keys, reach, check, rest, flags, face, shown, run, .. } = *self;
        Row { text, family, arity, keys, reach, check, rest, flags, face, shown, subcommands, run }
    }
}

impl Check {
    /// What is wrong with a request.
    #[inline(never)]
    pub(super) fn look_at(self, args: Args<'_>) -> Result<(), CommandError> {
        match self {
            Check::Nothing => Ok(()),
            Check::Flush => key::check_flush(args),
            Check::Pairs => set::check_mset(args),
        }
    }
}

/// Commands that belong together; the README and COMMAND DOCS group by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Whole values.
    String,
    /// Values that are numbers.
    Counter,
    /// Values that are rows of bits.
    Bits,
    /// Keys, whatever they hold.
    Key,
    /// When keys end.
    Expiry,
    /// Messages.
    Publish,
    /// Several requests as one.
    Transaction,
    /// The client's own connection.
    Connection,
    /// The node and the whole store.
    Server,
    /// The cluster.
    Cluster,
}

impl Family {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Family::String => "string",
            Family::Counter => "counter",
            Family::Bits => "bits",
            Family::Key => "key",
            Family::Expiry => "expiry",
            Family::Publish => "publish",
            Family::Transaction => "transactions",
            Family::Connection => "connection",
            Family::Server => "server",
            Family::Cluster => "cluster",
        }
    }

    /// Redis's group of commands, for COMMAND DOCS.
    pub fn group(self) -> &'static str {
        match self {
            Family::String | Family::Counter => "string",
            Family::Bits => "bitmap",
            Family::Key | Family::Expiry => "generic",
            Family::Publish => "pubsub",
            Family::Transaction => "transactions",
            Family::Connection => "connection",
            Family::Server => "server",
            Family::Cluster => "cluster",
        }
    }

    /// Redis's category of commands for access control, where there is one for the family.
    pub fn category(self) -> Option<&'static str> {
        match self {
            Family::String | Family::Counter => Some("@string"),
            Family::Bits => Some("@bitmap"),
            Family::Key | Family::Expiry => Some("@keyspace"),
            Family::Publish => Some("@pubsub"),
            Family::Transaction => Some("@transaction"),
            Family::Connection => Some("@connection"),
            Family::Server | Family::Cluster => None,
        }
    }
}

/// Which words are keys: from `first` to `last` (negative: counted from the end), every `step`-th; all zero: none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    /// The first key's place.
    pub first: i8,
    /// The last key's place.
    pub last: i8,
    /// The distance from key to key.
    pub step: i8,
}

impl Keys {
    /// No key.
    pub const NONE: Keys = Keys { first: 0, last: 0, step: 0 };
    pub(super) const ONE: Keys = Keys { first: 1, last: 1, step: 1 };
    pub(super) const SECOND: Keys = Keys { first: 2, last: 2, step: 1 };
    pub(super) const ALL: Keys = Keys { first: 1, last: -1, step: 1 };
    pub(super) const FROM_SECOND: Keys = Keys { first: 2, last: -1, step: 1 };
    pub(super) const TWO: Keys = Keys { first: 1, last: 2, step: 1 };
    pub(super) const PAIRS: Keys = Keys { first: 1, last: -1, step: 2 };

    /// The place of the first key in a request of `words` words.
    #[inline]
    pub fn first(self, words: usize) -> Option<usize> {
        (self.first > 0 && (self.first as usize) < words).then_some(self.first as usize)
    }

    /// The places of the keys in a request of `words` words.
    pub fn places(self, words: usize) -> impl Iterator<Item = usize> {
        let (first, last) = (i32::from(self.first), i32::from(self.last));
        let last = if last < 0 { words as i32 + last } else { last.min(words as i32 - 1) };
        let end = if self.step == 0 { 0 } else { last + 1 };
        (first..end).step_by(self.step.max(1) as usize).map(|place| place as usize)
    }
}

/// What generic code must know of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(u16);

impl Flags {
    /// Nothing.
    pub const NONE: Flags = Flags(0);
    /// It may change keys.
    pub const WRITE: Flags = Flags(1);
    /// It reads keys and changes none.
    pub const READONLY: Flags = Flags(2);
    /// It may need memory, and is refused when there is none.
    pub const DENYOOM: Flags = Flags(4);
    /// It does a constant amount of work.
    pub const FAST: Flags = Flags(8);
    /// It concerns the operator.
    pub const ADMIN: Flags = Flags(16);

    /// It may be used before AUTH, and under protected mode.
    pub const NO_AUTH: Flags = Flags(32 | 64);
    /// It may be used under protected mode.
    pub const UNPROTECTED: Flags = Flags(64);
    /// It is executed, not queued, between MULTI and EXEC.
    pub const IMMEDIATE: Flags = Flags(128);
    /// It ends a transaction, also by being refused.
    pub const ENDS_MULTI: Flags = Flags(512);
    /// It is refused unless `--enable-debug-command` allows it.
    pub const DEBUG: Flags = Flags(1024);
    /// It takes about the same short time whatever it is given; told to nobody.
    pub const BRIEF: Flags = Flags(2048);
    /// It is refused between MULTI and EXEC.
    pub const NO_MULTI: Flags = Flags(256);
    /// It may be used by who has subscriptions and does not speak RESP3.
    pub const SUBSCRIBED: Flags = Flags(4096);
    /// It concerns messages.
    pub const PUBSUB: Flags = Flags(8192);
    /// It begins or ends subscriptions, of which the client is told whatever replies it wants.
    pub const SUBSCRIBES: Flags = Flags(4096 | 8192);
    /// It publishes, and waits where too many messages are on their way.
    pub const PUBLISHES: Flags = Flags(8192 | 16384);
    /// It is refused until all keys are loaded, as what reads or writes keys is.
    pub const LOADED: Flags = Flags(32768);

    const NAMES: [(Flags, &'static str); 8] = [
        (Flags::WRITE, "write"),
        (Flags::READONLY, "readonly"),
        (Flags::DENYOOM, "denyoom"),
        (Flags::FAST, "fast"),
        (Flags::ADMIN, "admin"),
        (Flags::PUBSUB, "pubsub"),
        (Flags::NO_AUTH, "no_auth"),
        (Flags::NO_MULTI, "no_multi"),
    ];

    /// These and those.
    pub const fn and(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// Whether all of `other` are among these.
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether one of `other` is among these.
    #[inline]
    pub const fn has_any(self, other: Flags) -> bool {
        self.0 & other.0 != 0
    }

    /// As a number that another node of the same version reads.
    pub fn bits(self) -> u16 {
        self.0
    }

    /// Their names, as COMMAND INFO gives them.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Flags::NAMES.into_iter().filter(move |&(flag, _)| self.has(flag)).map(|(_, name)| name)
    }
}

impl CommandSpec {
    /// Its name, in lower case.
    pub const fn name(&self) -> &'static str {
        self.text.name()
    }

    /// The commands that the second word chooses between.
    pub fn subcommands(&self) -> &'static [Subcommand] {
        self.subcommands.rows()
    }

    /// Whether a request of `words` words, the name included, fits its arity.
    pub fn takes(&self, words: usize) -> bool {
        fits(self.arity, words)
    }

    /// Which row it is, counted from 0.
    pub fn place(&self) -> usize {
        // A row is only ever had from the table, so that its place is told by its address.
        (std::ptr::from_ref(self).addr() - COMMANDS.as_ptr().addr()) / size_of::<CommandSpec>()
    }

    /// What the text protocol writes for an integer, where that is not its digits.
    pub fn text_of_integer(&self, number: i64) -> Option<&'static str> {
        match self.face {
            Face::OkOrNull if number <= 0 => Some("(null)"),
            Face::OkOrNull | Face::Ok => Some("OK"),
            Face::Typed | Face::Silent => None,
        }
    }

    /// Whether the text protocol does not answer it, unless with an error.
    pub fn is_silent(&self) -> bool {
        self.face == Face::Silent
    }

    /// The places of the keys in a request of `words` words.
    pub fn key_places(&self, words: usize) -> impl Iterator<Item = usize> + use<> {
        self.keys.places(words)
    }
}

/// Whether so many words fit an arity.
#[inline]
pub(super) fn fits(arity: i8, words: usize) -> bool {
    if arity < 0 { words >= arity.unsigned_abs() as usize } else { words == arity as usize }
}

/// The row of a command, its name in any case.
#[inline]
#[cfg_attr(memento_small, optimize(speed))]
pub fn lookup(name: &[u8]) -> Option<&'static CommandSpec> {
    // A number does not tell how many zeros it begins with.
    let folded = fold_words(name).filter(|_| name[0] != 0)?;
    let mut place = place_of(folded);
    loop {
        let row = INDEX[place];
        if row == EMPTY {
            return None;
        }
        if FOLDED[row as usize] == folded {
            return Some(&COMMANDS[row as usize]);
        }
        place = (place + 1) % INDEX.len();
    }
}

/// A name in lower case in one number, as [`fold`] has it, a word at a time.
#[inline]
fn fold_words(name: &[u8]) -> Option<u128> {
    let word = |from: usize| Some(u32::from_be_bytes(*name.get(from..)?.first_chunk()?));
    match name.len() {
        3 => Some(u128::from(lower_case(u64::from(name[0]) << 16 | u64::from(name[1]) << 8 | u64::from(name[2])))),
        // Two words that overlap hold all of it.
        len @ 4..=8 => {
            let (first, last) = (u64::from(word(0)?), u64::from(word(len - 4)?));
            Some(u128::from(lower_case(first << (8 * (len - 4)) | last)))
        }
        _ => fold(name),
    }
}

/// Eight bytes with their capital letters made small.
fn lower_case(bytes: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    let low_bits = bytes & (ONES * 0x7F);
    // The highest bit of each byte tells: at least `A`, beyond `Z`, no ASCII at all.
    let (from_a, beyond_z) = (low_bits + ONES * (0x80 - b'A' as u64), low_bits + ONES * (0x7F - b'Z' as u64));
    let capital = from_a & !beyond_z & !bytes & (ONES << 7);
    bytes | capital >> 2
}

/// A name in lower case in one number, or `None` for one that is longer than any command's.
const fn fold(name: &[u8]) -> Option<u128> {
    if name.is_empty() || name.len() > 16 {
        return None;
    }
    let (mut folded, mut at) = (0, 0);
    while at < name.len() {
        folded = folded << 8 | name[at].to_ascii_lowercase() as u128;
        at += 1;
    }
    Some(folded)
}

const EMPTY: u8 = u8::MAX;

/// With so many places, most rows are found at the first.
const INDEX_BITS: u32 = 9;

/// Where a name is looked for first in [`INDEX`]: multiplicative hashing (Knuth, volume 3, 6.4), by a multiplier
/// that was searched for: it sends hardly any two of our names to the same place.
const fn place_of(folded: u128) -> usize {
    let half = folded as u64 ^ (folded >> 64) as u64;
    (half.wrapping_mul(0x87A2_9063_8C6E_78B3) >> (64 - INDEX_BITS)) as usize
}

/// The rows' names, folded.
static FOLDED: [u128; COMMANDS.len()] = {
    let (mut folded, mut row) = ([0; COMMANDS.len()], 0);
    while row < COMMANDS.len() {
        folded[row] = match fold(cut(ROWS[row].text).0.as_bytes()) {
            Some(name) => name,
            None => panic!("a command's name has at most 16 bytes"),
        };
        row += 1;
    }
    folded
};

/// An open hash table of rows, filled by the compiler.
static INDEX: [u8; 1 << INDEX_BITS] = {
    let (mut index, mut row) = ([EMPTY; 1 << INDEX_BITS], 0);
    while row < FOLDED.len() {
        let mut place = place_of(FOLDED[row]);
        while index[place] != EMPTY {
            place = (place + 1) % index.len();
        }
        index[place] = row as u8;
        row += 1;
    }
    index
};

#[cfg(test)]
mod tests {
    use super::super::texts::Texts;
    use super::*;

    #[test]
    fn every_row_is_found_in_any_case_and_nothing_else() {
        for spec in COMMANDS {
            for name in [spec.name().to_string(), spec.name().to_uppercase()] {
                assert_eq!(lookup(name.as_bytes()).map(|found| found.name()), Some(spec.name()));
            }
        }
        for name in ["", "ge", "gett", "set\0", "\0get", "averylongnamethatisnocommand", "\u{e9}"] {
            assert!(lookup(name.as_bytes()).is_none(), "{name}");
        }
    }

    #[test]
    fn nearly_every_row_is_found_at_the_first_place() {
        let strays: Vec<&str> = (0..COMMANDS.len())
            .filter(|&row| usize::from(INDEX[place_of(FOLDED[row])]) != row)
            .map(|row| COMMANDS[row].name())
            .collect();
        assert!(strays.len() <= COMMANDS.len() / 20, "{strays:?}");
        assert!(
            !strays.iter().any(|name| ["get", "set", "del", "incr", "mget", "expire"].contains(name)),
            "{strays:?}"
        );
    }

    #[test]
    fn rows_are_coherent() {
        let texts = Texts::unpack();
        for (place, spec) in COMMANDS.iter().enumerate() {
            assert_eq!(spec.place(), place);
            for sub in spec.subcommands() {
                assert_eq!(sub.name(), format!("{}|{}", spec.name(), sub.word()));
                assert_eq!(texts.usage(sub.text).is_empty(), sub.arity == 2, "{}: usage and arity", sub.name());
                assert!(
                    !texts.summary(sub.text).is_empty() && !texts.summary(sub.text).ends_with('.'),
                    "{}",
                    sub.name()
                );
                assert_eq!(spec.rest, 0, "{}: words and the rest of the line", sub.name());
            }
            assert!(
                spec.subcommands().is_sorted_by_key(|sub| sub.name()),
                "{}: subcommands stand by name",
                spec.name()
            );
            assert!(
                !texts.summary(spec.text).is_empty() && !texts.summary(spec.text).ends_with('.'),
                "{}",
                spec.name()
            );
            assert_eq!(texts.usage(spec.text).is_empty(), spec.arity == 1, "{}: usage and arity", spec.name());
            assert!(!(spec.flags.has(Flags::WRITE) && spec.flags.has(Flags::READONLY)), "{}", spec.name());
            assert!(!spec.flags.has(Flags::DENYOOM) || spec.flags.has(Flags::WRITE), "{}", spec.name());
            // The word that takes the rest of the line is the last one that a request must have: options behind it can
            // only be told from it where words have lengths of their own.
            let words_min = spec.arity.unsigned_abs();
            assert!(spec.rest == 0 || words_min == spec.rest + 1, "{}: rest and arity", spec.name());
        }
    }

    #[test]
    fn arity_and_keys() {
        let row = |name: &str| lookup(name.as_bytes()).unwrap();
        assert!(row("get").takes(2) && !row("get").takes(3) && !row("get").takes(1));
        assert!(row("mget").takes(2) && row("mget").takes(200) && !row("mget").takes(1));
        let places = |name: &str, words| row(name).key_places(words).collect::<Vec<_>>();
        assert_eq!(places("get", 2), [1]);
        assert_eq!(places("mget", 4), [1, 2, 3]);
        assert_eq!(places("mset", 5), [1, 3]);
        assert_eq!(places("bitop", 5), [2, 3, 4]);
        assert_eq!(places("ping", 1), [0; 0]);
        assert_eq!(places("get", 1), [0; 0]);
    }
}
