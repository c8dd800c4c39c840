//! How a key is stored, in Redis's terms: OBJECT.

use super::{CommandError, Ctx, Flow, Outcome, integer, unknown_subcommand};
use crate::proto::{Args, Reply};

const HELP: [&str; 15] = [
    "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "ENCODING <key>",
    "    Return the kind of internal representation used in order to store the value",
    "    associated with a <key>.",
    "FREQ <key>",
    "    Return the access frequency index of the <key>. The returned integer is",
    "    proportional to the logarithm of the recent access frequency of the key.",
    "IDLETIME <key>",
    "    Return the idle time of the <key>, that is the approximated number of",
    "    seconds elapsed since the last access to the key.",
    "REFCOUNT <key>",
    "    Return the number of references of the value associated with the specified",
    "    <key>.",
    "HELP",
    "    Prints this help.",
];

/// A value longer than this is one that Redis keeps apart from its key.
const EMBEDDED_BYTES_MAX: usize = 44;

/// `OBJECT ENCODING | REFCOUNT | IDLETIME | FREQ key`, `OBJECT HELP`
pub(super) fn object(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    match (args[1].to_ascii_lowercase().as_slice(), args.len()) {
        (b"help", 2) => {
            reply.array(HELP.len());
            HELP.iter().for_each(|line| reply.simple(line));
            return Ok(Flow::Continue);
        }
        (b"encoding" | b"refcount" | b"idletime" | b"freq", 3) => {}
        (b"encoding", _) => return Err(CommandError::Arity("object|encoding")),
        (b"freq", _) => return Err(CommandError::Arity("object|freq")),
        (b"help", _) => return Err(CommandError::Arity("object|help")),
        (b"idletime", _) => return Err(CommandError::Arity("object|idletime")),
        (b"refcount", _) => return Err(CommandError::Arity("object|refcount")),
        _ => return Err(unknown_subcommand("OBJECT", &args[1])),
    }
    let Some(entry) = ctx.find(&args[2]) else {
        reply.null();
        return Ok(Flow::Continue);
    };
    match args[1][0].to_ascii_lowercase() {
        b'e' => reply.bulk(encoding(entry.value().bytes()).as_bytes()),
        b'r' => reply.integer(1),
        b'i' => return Err(not_tracked("LRU", "idle time")),
        _ => return Err(not_tracked("LFU", "access frequency")),
    }
    Ok(Flow::Continue)
}

/// What Redis would store a value as that comes with SET.
fn encoding(value: &[u8]) -> &'static str {
    match value.len() {
        0..=20 if integer(value).is_ok() => "int",
        0..=EMBEDDED_BYTES_MAX => "embstr",
        _ => "raw",
    }
}

/// There is no memory policy that would need to know this of a key, so it is not known.
fn not_tracked(policy: &str, what: &str) -> CommandError {
    CommandError::Other(format!(
        "ERR An {policy} maxmemory policy is not selected, {what} not tracked. Please note that when switching between \
         policies at runtime LRU and LFU data will take some time to adjust."
    ))
}

#[cfg(test)]
mod tests {
    use super::encoding;

    #[test]
    fn encodings_come_from_the_bytes_alone() {
        for (value, wanted) in [
            ("0", "int"),
            ("-9223372036854775808", "int"),
            ("9223372036854775808", "embstr"),
            ("007", "embstr"),
            ("", "embstr"),
            ("12345678901234567890123456789012345678901234", "embstr"),
            ("123456789012345678901234567890123456789012345", "raw"),
        ] {
            assert_eq!(encoding(value.as_bytes()), wanted, "{value}");
        }
    }
}
