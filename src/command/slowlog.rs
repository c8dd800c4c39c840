//! The slow log: the requests that took long, and SLOWLOG. What is secret never gets into it.

use super::table::CommandSpec;
use super::{CommandError, Ctx, Flow, Outcome};
use crate::limits::{SLOW_ARGUMENT_BYTES_MAX, SLOW_ARGUMENTS_MAX};
use crate::proto::{Args, Reply};
use std::collections::VecDeque;

/// What may be shown of a request's words to who did not send it: in the slow log, in MONITOR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// All of them.
    All,
    /// Those before this place; the others are secret.
    Before(u8),
    /// Those up to the word AUTH, in any case, and that; what follows it is secret.
    UpToAuth,
    /// The request is not shown at all: what it executes is shown for itself.
    Nothing,
}

impl Shown {
    /// How many words from the front may be shown.
    pub fn words(self, args: Args<'_>) -> usize {
        match self {
            Shown::All => args.len(),
            Shown::Before(place) => place.into(),
            Shown::UpToAuth => {
                let place = args.from(1).position(|word| word.eq_ignore_ascii_case(b"auth"));
                place.map_or(args.len(), |place| place + 2)
            }
            Shown::Nothing => 0,
        }
    }
}

/// A request that took long.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    id: i64,
    unix_s: i64,
    us: u64,
    words: Vec<Vec<u8>>,
    address: String,
    name: String,
}

/// The last requests that took long, the newest first.
#[derive(Default)]
pub struct SlowLog {
    entries: VecDeque<Entry>,
    next_id: i64,
}

impl SlowLog {
    /// Notes a request, as much of it as is kept; forgets the oldest ones beyond `entries_max`.
    #[cold]
    pub(super) fn push(
        &mut self,
        spec: &CommandSpec,
        args: Args<'_>,
        (unix_s, us): (i64, u64),
        (address, name): (String, String),
        entries_max: usize,
    ) {
        if spec.shown == Shown::Nothing {
            return;
        }
        let words = excerpt(args, spec.shown.words(args));
        self.entries.push_front(Entry { id: self.next_id, unix_s, us, words, address, name });
        self.next_id += 1;
        while self.entries.len() > entries_max {
            self.entries.pop_back();
        }
    }

    /// About what the log asks of the heap.
    pub(super) fn bytes_used(&self) -> usize {
        let words = self.entries.iter().flat_map(|entry| &entry.words);
        let word_bytes: usize = words.map(|word| word.len() + size_of::<Vec<u8>>()).sum();
        self.entries.capacity() * size_of::<Entry>() + word_bytes
    }
}

/// Notes a request that took so long.
#[cold]
pub(super) fn note(ctx: &mut Ctx<'_>, spec: &CommandSpec, args: Args<'_>, ns: u64) {
    let client = (ctx.peer.address(), String::from_utf8_lossy(ctx.session.name()).into_owned());
    let when = ((ctx.state.host.wall_us)() / 1_000_000, ns / 1000);
    ctx.state.slowlog.push(spec, args, when, client, ctx.state.settings.slow_entries_max);
}

/// The words of a request as the log keeps them, cut with Redis's remarks; from `shown` on, all are secret.
fn excerpt(args: Args<'_>, shown: usize) -> Vec<Vec<u8>> {
    let kept = args.len().min(SLOW_ARGUMENTS_MAX);
    let excerpt_one = |(place, word): (usize, &[u8])| {
        if place + 1 == kept && args.len() > kept {
            return format!("... ({} more arguments)", args.len() - kept + 1).into_bytes();
        }
        if place >= shown {
            return b"(redacted)".to_vec();
        }
        let Some((front, behind)) = word.split_at_checked(SLOW_ARGUMENT_BYTES_MAX) else { return word.to_vec() };
        let mut cut = front.to_vec();
        if !behind.is_empty() {
            cut.extend_from_slice(format!("... ({} more bytes)", behind.len()).as_bytes());
        }
        cut
    };
    args.from(0).take(kept).enumerate().map(excerpt_one).collect()
}

/// `SLOWLOG GET [count]`
pub(super) fn get(ctx: &mut Ctx<'_>, args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    if args.len() > 3 {
        let text = "ERR unknown subcommand or wrong number of arguments for 'get'. Try SLOWLOG HELP.";
        return Err(CommandError::Other(text.into()));
    }
    let entries = &ctx.state.slowlog.entries;
    let count = match args.get(2).map(crate::proto::integer) {
        None => 10,
        Some(Some(-1)) => entries.len(),
        Some(Some(count @ 0..)) => usize::try_from(count).unwrap_or(usize::MAX),
        Some(_) => return Err(CommandError::Other("ERR count should be greater than or equal to -1".into())),
    };
    let count = count.min(entries.len());
    reply.array(count);
    for entry in entries.iter().take(count) {
        reply.array(6);
        reply.integer(entry.id);
        reply.integer(entry.unix_s);
        reply.integer(entry.us as i64);
        reply.array(entry.words.len());
        entry.words.iter().for_each(|word| reply.bulk(word));
        reply.bulk(entry.address.as_bytes());
        reply.bulk(entry.name.as_bytes());
    }
    Ok(Flow::Continue)
}

/// `SLOWLOG LEN`
pub(super) fn len(ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    reply.integer(ctx.state.slowlog.entries.len() as i64);
    Ok(Flow::Continue)
}

/// `SLOWLOG RESET`; the ids go on.
pub(super) fn reset(ctx: &mut Ctx<'_>, _args: Args<'_>, reply: &mut Reply<'_>) -> Outcome {
    ctx.state.slowlog.entries = VecDeque::new();
    reply.ok();
    Ok(Flow::Continue)
}

#[cfg(test)]
mod tests {
    use super::super::lookup;
    use super::*;
    use crate::proto::{Parser, Words};

    /// Calls `test` with the words of a line.
    fn with_args<T>(line: &str, test: impl FnOnce(Args<'_>) -> T) -> T {
        let (line, mut lent) = (format!("{line}\n"), Words::default());
        let parsed = Parser::default().parse(line.as_bytes(), &mut lent, true, |_| 0);
        assert!(matches!(parsed, crate::proto::Parsed::Request { .. }), "{parsed:?}");
        test(Args::new(line.as_bytes(), &lent))
    }

    fn words(line: &str, shown: Shown) -> Vec<String> {
        with_args(line, |args| {
            let words = excerpt(args, shown.words(args));
            words.into_iter().map(|word| String::from_utf8(word).unwrap()).collect()
        })
    }

    #[test]
    fn long_requests_are_cut_as_redis_cuts_them() {
        let long = "x".repeat(200);
        assert_eq!(words(&format!("set k {long}"), Shown::All)[2], format!("{}... (72 more bytes)", "x".repeat(128)));
        let fits = "x".repeat(128);
        assert_eq!(words(&format!("set k {fits}"), Shown::All)[2], fits);
        assert_eq!(words(&"k ".repeat(32), Shown::All), vec!["k"; 32]);
        let many = words(&"k ".repeat(40), Shown::All);
        assert_eq!((many.len(), many[30].as_str(), many[31].as_str()), (32, "k", "... (9 more arguments)"));
    }

    #[test]
    fn secrets_do_not_get_in() {
        assert_eq!(words("AUTH secret", Shown::Before(1)), ["AUTH", "(redacted)"]);
        assert_eq!(words("AUTH user secret", Shown::Before(1)), ["AUTH", "(redacted)", "(redacted)"]);
        let hello = words("HELLO 3 Auth user secret SETNAME me", Shown::UpToAuth);
        assert_eq!(hello[..3], ["HELLO", "3", "Auth"]);
        assert!(hello[3..].iter().all(|word| word == "(redacted)"));
        // A name that looks like the option hides more, never less.
        let hello = words("HELLO 3 SETNAME auth AUTH user secret", Shown::UpToAuth);
        assert!(hello[4..].iter().all(|word| word == "(redacted)"), "{hello:?}");
        assert_eq!(words("HELLO 3 SETNAME me", Shown::UpToAuth), ["HELLO", "3", "SETNAME", "me"]);
    }

    #[test]
    fn the_oldest_are_forgotten_and_ids_go_on() {
        let mut log = SlowLog::default();
        let client = || ("127.0.0.1:5".to_string(), "me".to_string());
        let mut push = |entries_max| {
            with_args("get k", |args| log.push(lookup(b"get").unwrap(), args, (7, 9), client(), entries_max));
            log.entries.iter().map(|entry| entry.id).collect::<Vec<_>>()
        };
        assert_eq!((push(2), push(2), push(2)), (vec![0], vec![1, 0], vec![2, 1]));
        assert_eq!((push(0), push(5)), (vec![], vec![4]));
        let entry = &log.entries[0];
        assert_eq!((entry.unix_s, entry.us, &*entry.address, &*entry.name), (7, 9, "127.0.0.1:5", "me"));
    }
}
