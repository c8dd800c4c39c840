//! One answer from those of several nodes: what a single node that had all the keys would have said.

use super::forwards::{Awaited, Forwards, Outcome, Split};
use crate::command::Merge;
use crate::limits::WALK_BYTES_MAX;
use crate::proto::{Malformed, Output, Reply, Token, Typed, TypedReader};
use std::hash::{BuildHasher, RandomState};

/// Writes the answer to a split request of which every part has an outcome; gives the error that it is, if it is one.
pub(super) fn answer(split: &Split, forwards: &Forwards, output: &mut Output) -> Option<String> {
    let Awaited { encoding, face, writes, muted, .. } = split.awaited;
    if muted {
        return None;
    }
    let mark = output.mark();
    // Each state has a key of its own, which nobody can foresee.
    let random = RandomState::new().hash_one(0);
    let mut outcomes = split.parts.iter().map(|part| (&part.outcome, part.node == forwards.own()));
    let mut reply = Reply::new(output, encoding, face);
    let fault = write(split.merge, &mut outcomes, &split.keys, random, &mut reply).err()?;
    output.truncate(mark);
    let name = |place: usize| forwards.name(split.parts[place].node);
    let several = writes && split.parts.len() > 1;
    let others = if several { "; the keys of other nodes were dealt with" } else { "" };
    let text = match fault {
        Fault::Broken(place) => broken(name(place), writes) + others,
        Fault::Refused(_, text) if split.parts.len() == 1 => text,
        Fault::Refused(place, text) => format!("{text}; so says {}{others}", name(place)),
        Fault::Strange(place) => strange(name(place)),
        Fault::TooLarge => format!("ERR the answer of all nodes together is larger than {} MB", WALK_BYTES_MAX >> 20),
    };
    Reply::new(output, encoding, face).error(&text);
    Some(text)
}

/// What a client is told whose request was in flight when the link to a node broke.
pub(super) fn broken(name: &str, writes: bool) -> String {
    if writes {
        format!("ERR outcome unknown: the link to {name} broke before it answered")
    } else {
        format!("ERR {name} did not answer: the link to it broke")
    }
}

/// What a client is told when a node's answer makes no sense: a fault of that node, or of this one.
pub(super) fn strange(name: &str) -> String {
    format!("ERR outcome unknown: {name} gave an answer that cannot be understood")
}

/// Why there is no whole answer.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    /// The part of this place has answered with an error, which is this text.
    Refused(usize, String),
    /// What the part of this place has sent is no answer to what was asked.
    Strange(usize),
    /// The link to the part of this place broke before it answered.
    Broken(usize),
    /// The parts are too long to be held together.
    TooLarge,
}

/// Writes the answer, or as much of it as there is before the fault shows. Of each outcome is said whether it is our own.
fn write(
    merge: Merge,
    outcomes: &mut dyn Iterator<Item = (&Outcome, bool)>,
    keys: &[u16],
    random: u64,
    reply: &mut Reply<'_>,
) -> Result<(), Fault> {
    let mut parts = Vec::new();
    for (place, (outcome, is_own)) in outcomes.enumerate() {
        let typed = match outcome {
            Outcome::Whole { bytes, longs } => Typed::new(bytes, longs),
            // A lost node has nobody who could be told.
            Outcome::Waiting | Outcome::Failed if merge == Merge::Reached => continue,
            Outcome::Waiting | Outcome::Failed => return Err(Fault::Broken(place)),
        };
        typed.check().map_err(|Malformed| Fault::Strange(place))?;
        if let Some(text) = typed.error() {
            // Nor has one whose own patterns take too long, or whose memory is short; of this node, the client is told.
            if merge == Merge::Reached && !is_own {
                continue;
            }
            return Err(Fault::Refused(place, text.to_string()));
        }
        parts.push(typed);
    }
    match merge {
        Merge::Sum | Merge::Reached => sum(&parts, reply),
        Merge::Ok => all_done(&parts, reply),
        Merge::Items => items(&parts, keys, reply),
        Merge::List => list(&parts, reply),
        Merge::Any => any(&parts, random, reply),
    }
}

/// The sum of integers.
fn sum(parts: &[Typed<'_>], reply: &mut Reply<'_>) -> Result<(), Fault> {
    let mut sum = 0i64;
    for (place, part) in parts.iter().enumerate() {
        let Ok(Some(Token::Integer(number))) = part.reader().next() else { return Err(Fault::Strange(place)) };
        sum = sum.saturating_add(number);
    }
    reply.integer(sum);
    Ok(())
}

/// `OK`, where all say so.
fn all_done(parts: &[Typed<'_>], reply: &mut Reply<'_>) -> Result<(), Fault> {
    let says_ok = |part: &Typed<'_>| part.reader().next() == Ok(Some(Token::Simple("OK")));
    match parts.iter().position(|part| !says_ok(part)) {
        Some(place) => return Err(Fault::Strange(place)),
        None => reply.ok(),
    }
    Ok(())
}

/// The readers of lists, each behind its length; and these lengths.
fn open<'a>(parts: &[Typed<'a>]) -> Result<Vec<(TypedReader<'a>, usize)>, Fault> {
    let mut lists = Vec::new();
    for (place, part) in parts.iter().enumerate() {
        let mut reader = part.reader();
        let Ok(Some(Token::Array(length))) = reader.next() else { return Err(Fault::Strange(place)) };
        lists.push((reader, length));
    }
    Ok(lists)
}

/// An item a key, in the order of the keys.
fn items(parts: &[Typed<'_>], keys: &[u16], reply: &mut Reply<'_>) -> Result<(), Fault> {
    let mut lists = open(parts)?;
    let mut wanted = vec![0; lists.len()];
    keys.iter().for_each(|&part| wanted[usize::from(part)] += 1);
    if let Some(place) = lists.iter().zip(&wanted).position(|((_, length), wanted)| length != wanted) {
        return Err(Fault::Strange(place));
    }
    reply.array(keys.len());
    for &part in keys {
        lists[usize::from(part)].0.pass_value(reply).map_err(|Malformed| Fault::Strange(part.into()))?;
    }
    Ok(())
}

/// The items of all, one node's behind another's.
fn list(parts: &[Typed<'_>], reply: &mut Reply<'_>) -> Result<(), Fault> {
    if parts.iter().map(|part| part.bytes().len()).sum::<usize>() > WALK_BYTES_MAX {
        return Err(Fault::TooLarge);
    }
    let lists = open(parts)?;
    reply.array(lists.iter().map(|(_, length)| length).sum());
    for (place, (mut reader, length)) in lists.into_iter().enumerate() {
        for _ in 0..length {
            reader.pass_value(reply).map_err(|Malformed| Fault::Strange(place))?;
        }
    }
    Ok(())
}

/// One of the answers that are there; nothing where there is none.
fn any(parts: &[Typed<'_>], random: u64, reply: &mut Reply<'_>) -> Result<(), Fault> {
    let mut there = Vec::new();
    for (place, part) in parts.iter().enumerate() {
        if part.reader().next() != Ok(Some(Token::Null)) {
            there.push(place);
        }
    }
    if there.is_empty() {
        reply.null();
        return Ok(());
    }
    let place = there[(random % there.len() as u64) as usize];
    parts[place].reader().pass_value(reply).map_err(|Malformed| Fault::Strange(place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{Encoding, Face};
    use std::rc::Rc;

    type Write = fn(&mut Reply<'_>);

    /// What the merge of these parts is in text, or why there is none.
    fn merged(merge: Merge, parts: &[Write], keys: &[u16], random: u64) -> Result<String, Fault> {
        let outcomes = parts.iter().map(|write| {
            let mut output = Output::default();
            write(&mut Reply::new(&mut output, Encoding::Bus, Face::Typed));
            Outcome::of(&mut output)
        });
        text(merge, &outcomes.collect::<Vec<_>>(), keys, random)
    }

    fn text(merge: Merge, outcomes: &[Outcome], keys: &[u16], random: u64) -> Result<String, Fault> {
        let mut output = Output::default();
        let mut reply = Reply::new(&mut output, Encoding::Resp2, Face::Typed);
        write(merge, &mut outcomes.iter().map(|outcome| (outcome, false)), keys, random, &mut reply)?;
        let flat = output.pieces().map(|piece| match piece {
            crate::proto::Piece::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            crate::proto::Piece::Shared(value) => format!("<{}>", value.len()),
        });
        Ok(flat.collect())
    }

    #[test]
    fn integers_are_summed_up_and_lists_joined() {
        let (two, three): (Write, Write) = (|reply| reply.integer(2), |reply| reply.integer(3));
        assert_eq!(merged(Merge::Sum, &[two, three], &[], 0), Ok(":5\r\n".into()));
        let (some, none): (Write, Write) = (
            |reply| {
                reply.array(2);
                reply.bulk(b"a");
                reply.bulk(b"b");
            },
            |reply| reply.array(0),
        );
        assert_eq!(merged(Merge::List, &[none, some, none, some], &[], 0).unwrap().matches("$1").count(), 4);
        assert_eq!(merged(Merge::List, &[none, none], &[], 0), Ok("*0\r\n".into()));
    }

    #[test]
    fn items_stand_where_their_keys_stood() {
        let parts: [Write; 2] = [
            |reply| {
                reply.array(2);
                reply.bulk(b"a");
                reply.shared(&Rc::new(vec![0; 9000].into()));
            },
            |reply| {
                reply.array(1);
                reply.null();
            },
        ];
        let wanted = "*3\r\n$1\r\na\r\n$-1\r\n$9000\r\n<9000>\r\n";
        assert_eq!(merged(Merge::Items, &parts, &[0, 1, 0], 0).unwrap(), wanted);
        assert_eq!(merged(Merge::Items, &parts, &[0, 1, 1], 0), Err(Fault::Strange(0)));
    }

    #[test]
    fn all_must_be_well_and_an_error_is_an_error() {
        let (ok, oom): (Write, Write) = (|reply| reply.ok(), |reply| reply.error("OOM no"));
        assert_eq!(merged(Merge::Ok, &[ok, ok], &[], 0), Ok("+OK\r\n".into()));
        assert_eq!(merged(Merge::Ok, &[ok, oom], &[], 0), Err(Fault::Refused(1, "OOM no".into())));
        assert_eq!(merged(Merge::Sum, &[ok, ok], &[], 0), Err(Fault::Strange(0)));
        let two: Write = |reply| reply.integer(2);
        assert_eq!(merged(Merge::Reached, &[two, oom, two], &[], 0), Ok(":4\r\n".into()));
        let mut output = Output::default();
        Reply::new(&mut output, Encoding::Bus, Face::Typed).error("OOM no");
        let (own, mut unused) = (Outcome::of(&mut output), Output::default());
        let mut reply = Reply::new(&mut unused, Encoding::Resp2, Face::Typed);
        let mut outcomes = [(&Outcome::Failed, false), (&own, true)].into_iter();
        let answer = write(Merge::Reached, &mut outcomes, &[], 0, &mut reply);
        assert_eq!(answer, Err(Fault::Refused(1, "OOM no".into())));
        assert_eq!(text(Merge::Reached, &[Outcome::Failed], &[], 0), Ok(":0\r\n".into()));
        assert_eq!(text(Merge::Ok, &[Outcome::Failed, Outcome::Failed], &[], 0), Err(Fault::Broken(0)));
        let junk = Outcome::Whole { bytes: vec![200, 1], longs: vec![] };
        assert_eq!(text(Merge::Ok, &[junk], &[], 0), Err(Fault::Strange(0)));
    }

    #[test]
    fn one_of_those_that_are_there_is_chosen() {
        let (null, key): (Write, Write) = (|reply| reply.null(), |reply| reply.bulk(b"k"));
        for random in 0..4 {
            assert_eq!(merged(Merge::Any, &[null, key, null], &[], random), Ok("$1\r\nk\r\n".into()));
        }
        assert_eq!(merged(Merge::Any, &[null, null], &[], 7), Ok("$-1\r\n".into()));
    }
}
