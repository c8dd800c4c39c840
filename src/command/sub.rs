//! Commands that are families of subcommands: finding the one that is meant, and HELP.

use super::route::Reach;
use super::table::{CommandSpec, Flags, Handler, Keys};
use super::texts::{Text, Texts, WrittenSub};
use super::{CommandError, Ctx, Flow, Outcome, echo};
use crate::limits::NAMES_ASKED_MAX;
use crate::proto::{Args, Reply};

/// A subcommand: a row within a row.
#[derive(Clone, Copy, Debug)]
pub struct Subcommand<T: 'static = Text> {
    /// Its name as Redis has it, `config|get`, in lower case; its arguments as HELP shows them; what it does, in a sentence
    /// without a full stop.
    pub text: T,
    /// How many words a request has, the command's and its own name included; negative: at least so many.
    pub arity: i8,
    /// Which of the words are keys.
    pub keys: Keys,
    /// What it concerns in a cluster.
    pub reach: Reach,
    /// What generic code must know of it.
    pub flags: Flags,
    /// The handler.
    pub run: Handler,
}

impl WrittenSub {
    /// What a subcommand says where it says nothing.
    pub(super) const ROW: WrittenSub =
        Subcommand { text: "", arity: 2, keys: Keys::NONE, reach: Reach::Node, flags: Flags::NONE, run: alone };

    /// The same row with another text.
    pub(super) const fn with(&self, text: Text) -> Subcommand {
        let Subcommand { arity, keys, reach, flags, run, .. } = *self;
        Subcommand { text, arity, keys, reach, flags, run }
    }
}

impl Subcommand {
    /// Its name with the command's.
    pub fn name(&self) -> &'static str {
        self.text.name()
    }

    /// The name without the command's.
    pub fn word(&self) -> &'static str {
        self.name().split_once('|').map_or(self.name(), |(_, word)| word)
    }
}

/// The words from `first` on, names that are asked for, unless they are too many.
pub(super) fn names<'a>(args: Args<'a>, first: usize) -> Result<impl Iterator<Item = &'a [u8]> + Clone, CommandError> {
    few_names(args, first, NAMES_ASKED_MAX)
}

/// As [`names`], so many at most.
pub(super) fn few_names<'a>(
    args: Args<'a>,
    first: usize,
    most: usize,
) -> Result<impl Iterator<Item = &'a [u8]> + Clone + use<'a>, CommandError> {
    if args.len() > first + most {
        return Err(CommandError::Other(format!("ERR too many names, ask for at most {most} at a time")));
    }
    Ok(args.from(first))
}

/// A subcommand that there is not, or not with so many words.
pub(super) fn not_so(args: Args<'_>, family: &str) -> CommandError {
    let text = "unknown subcommand or wrong number of arguments for";
    CommandError::Other(format!("ERR {text} '{}'. Try {family} HELP.", echo(&args[1])))
}

/// Which subcommand a request of a family means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meant {
    /// The command itself: no subcommand is named.
    Itself,
    /// This one.
    Sub(usize),
    /// HELP, which every family has.
    Help,
    /// None of those that there are.
    Unknown,
}

/// Finds the subcommand that a request means.
pub(super) fn find(spec: &CommandSpec, args: Args<'_>) -> Meant {
    let Some(word) = args.get(1).filter(|_| !spec.subcommands.is_empty()) else { return Meant::Itself };
    match spec.subcommands().iter().position(|sub| word.eq_ignore_ascii_case(sub.word().as_bytes())) {
        Some(sub) => Meant::Sub(sub),
        None if word.eq_ignore_ascii_case(b"help") => Meant::Help,
        None => Meant::Unknown,
    }
}

/// The error of a subcommand that does not exist.
pub(super) fn unknown(spec: &CommandSpec, args: Args<'_>) -> CommandError {
    let text = format!("ERR unknown subcommand '{}'. Try {} HELP.", echo(&args[1]), spec.name().to_ascii_uppercase());
    CommandError::Other(text)
}

/// `HELP` of a family, made from its rows.
#[cold]
#[inline(never)]
pub(super) fn help(spec: &CommandSpec, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    if args.len() > 2 {
        return Err(CommandError::Other(format!("ERR wrong number of arguments for '{}|help' command", spec.name())));
    }
    let name = spec.name().to_ascii_uppercase();
    let (subcommands, texts) = (spec.subcommands(), Texts::unpack());
    reply.array(3 + 2 * subcommands.len());
    reply.simple(&format!("{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    for sub in subcommands {
        reply.simple(format!("{} {}", sub.word().to_ascii_uppercase(), texts.usage(sub.text)).trim_end());
        reply.simple(&format!("    {}.", texts.summary(sub.text)));
    }
    reply.simple("HELP");
    reply.simple("    Prints this help.");
    Ok(Flow::Continue)
}

/// The handler of a family that does nothing without a subcommand; its arity refuses that before.
pub(super) fn alone(_ctx: &mut Ctx<'_>, _args: Args<'_>, _reply: &mut Reply<'_>) -> Outcome {
    Err(CommandError::Syntax)
}
