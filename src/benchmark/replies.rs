//! Replies: where one ends, in either protocol, and whether it is right. Knows no sockets, and copies nothing.

use super::template::Check;
use crate::client::reply::number as integer;

/// A line that is only a length, a status or an error is over by then, whatever the server.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// What is to be thought of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Right,
    /// Nothing is there under the key, which is no mistake.
    Miss,
    Wrong,
}

/// How long the reply is that the bytes begin with; none where more must come first. `seen` bytes of it were looked at
/// before without an end. The error is for what is no reply at all.
pub(super) fn length(bytes: &[u8], resp: bool, seen: usize) -> Result<Option<usize>, ()> {
    if resp {
        return resp_length(bytes);
    }
    // The lines of one reply have bare line feeds between them.
    let mut from = seen.saturating_sub(1);
    while let Some(at) = bytes[from..].iter().position(|&byte| byte == b'\n') {
        from += at + 1;
        if from >= 2 && bytes[from - 2] == b'\r' {
            return Ok(Some(from));
        }
    }
    Ok(None)
}

fn resp_length(bytes: &[u8]) -> Result<Option<usize>, ()> {
    let mut at = 0usize;
    // Items that are still to come, those of lists in lists as well.
    let mut items = 1u64;
    while items > 0 {
        let Some(line) = bytes.get(at..).filter(|line| !line.is_empty()) else { return Ok(None) };
        let line = &line[..line.len().min(LINE_BYTES_MAX)];
        let Some(feed) = line.iter().position(|&byte| byte == b'\n') else {
            return if line.len() < LINE_BYTES_MAX { Ok(None) } else { Err(()) };
        };
        if feed < 2 || line[feed - 1] != b'\r' {
            return Err(());
        }
        let number = || integer(&line[1..feed - 1]).ok_or(());
        at += feed + 1;
        items -= 1;
        match line[0] {
            b'+' | b'-' | b':' | b'#' | b',' | b'(' => {}
            b'_' if feed == 2 => {}
            b'$' | b'=' | b'!' => {
                let bytes = number()?;
                if bytes >= 0 {
                    at += usize::try_from(bytes).map_err(|_| ())?.checked_add(2).ok_or(())?;
                }
            }
            b'*' | b'~' | b'>' => items = add(items, number()?.max(0))?,
            b'%' => items = add(items, number()?.checked_mul(2).ok_or(())?)?,
            _ => return Err(()),
        }
    }
    Ok((at <= bytes.len()).then_some(at))
}

fn add(items: u64, more: i64) -> Result<u64, ()> {
    u64::try_from(more).ok().and_then(|more| items.checked_add(more)).ok_or(())
}

/// Judges a whole reply. With a `value` given, it is that which a right one holds.
pub(super) fn judge(reply: &[u8], resp: bool, check: Check, value: Option<&[u8]>) -> Verdict {
    let right = |is_right: bool| if is_right { Verdict::Right } else { Verdict::Wrong };
    let Some(line) = reply.strip_suffix(b"\r\n") else { return Verdict::Wrong };
    let (error, nothing) = if resp {
        (reply[0] == b'-' || reply[0] == b'!', line == b"$-1" || line == b"_")
    } else {
        (line.starts_with(b"(error) ") || line == b"(Unknown command)", line == b"(null)")
    };
    if error {
        return Verdict::Wrong;
    }
    if nothing && matches!(check, Check::Value | Check::Count | Check::Any) {
        return Verdict::Miss;
    }
    // What stands behind the byte that tells the kind of a RESP reply.
    let behind = |kind: u8| if resp { line.strip_prefix(&[kind]) } else { Some(line) };
    match check {
        Check::Any => Verdict::Right,
        Check::Ok => right(behind(b'+') == Some(b"OK")),
        Check::Pong => right(behind(b'+') == Some(b"PONG")),
        Check::Length if !resp => right(line == b"OK"),
        Check::Integer | Check::Length => right(behind(b':').and_then(integer).is_some()),
        // In lines DEL says OK, and EXISTS a number.
        Check::Count if !resp && line == b"OK" => Verdict::Right,
        Check::Count => match behind(b':').and_then(integer) {
            Some(0) => Verdict::Miss,
            Some(1..) => Verdict::Right,
            _ => Verdict::Wrong,
        },
        Check::Value if !resp => right(value.is_none_or(|value| value == line)),
        Check::Value => {
            let held = line.strip_prefix(b"$").and_then(|rest| {
                let feed = rest.iter().position(|&byte| byte == b'\n')?;
                rest.get(feed + 1..)
            });
            right(held.is_some_and(|held| value.is_none_or(|value| value == held)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{Random, seeds};

    /// Replies in RESP and in lines.
    const WHOLE: &[(bool, &str)] = &[
        (true, "+OK\r\n"),
        (true, "-ERR no\r\n"),
        (true, ":-12\r\n"),
        (true, "$2\r\nab\r\n"),
        (true, "$4\r\n\r\n\r\n\r\n"),
        (true, "$0\r\n\r\n"),
        (true, "$-1\r\n"),
        (true, "_\r\n"),
        (true, "*-1\r\n"),
        (true, "*0\r\n"),
        (true, "*3\r\n:1\r\n*2\r\n+a\r\n$1\r\nb\r\n$-1\r\n"),
        (true, "%2\r\n+a\r\n:1\r\n+b\r\n*0\r\n"),
        (true, ",1.5\r\n"),
        (true, "#t\r\n"),
        (false, "OK\r\n"),
        (false, "\r\n"),
        (false, "one\ntwo\n\nlone\rcr\r\r\n"),
    ];

    #[test]
    fn a_reply_ends_where_it_ends_at_every_cut() {
        for &(resp, reply) in WHOLE {
            for cut in 0..reply.len() {
                let bytes = &reply.as_bytes()[..cut];
                assert_eq!(length(bytes, resp, 0), Ok(None), "{reply:?} cut at {cut}");
                let more = format!("{reply}more");
                assert_eq!(length(more.as_bytes(), resp, cut), Ok(Some(reply.len())), "{reply:?} after {cut}");
            }
        }
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        let endless = "1".repeat(LINE_BYTES_MAX);
        for wrong in [
            "OK\r\n",
            "+OK\n",
            "\r\n",
            "$\r\n",
            "$x\r\n",
            "*9223372036854775808\r\n",
            "*9223372036854775807\r\n%9223372036854775807\r\n",
            "%-1\r\n",
            ":1\r\n\n"[3..].trim_start_matches('\r'),
            &format!(":{endless}"),
        ] {
            assert_eq!(length(wrong.as_bytes(), true, 0), Err(()), "{}", &wrong[..wrong.len().min(50)]);
        }
    }

    #[test]
    fn random_bytes_do_no_harm() {
        for seed in seeds(300) {
            let mut random = Random::new(seed);
            let bytes: Vec<u8> = (0..random.below(60)).map(|_| b"*$%:-+_19\r\n\r\n\r\n"[random.below(15)]).collect();
            for resp in [true, false] {
                if let Ok(Some(end)) = length(&bytes, resp, 0) {
                    assert!(end <= bytes.len() && end >= 2, "seed {seed}");
                    judge(&bytes[..end], resp, Check::Value, Some(b"9"));
                }
            }
        }
    }

    #[test]
    fn right_ones_misses_and_wrong_ones() {
        use Check::{Any, Count, Integer, Length, Ok, Pong, Value};
        use Verdict::{Miss, Right, Wrong};
        for (resp, check, reply, verdict) in [
            (true, Ok, "+OK\r\n", Right),
            (true, Ok, "+NO\r\n", Wrong),
            (true, Ok, "$-1\r\n", Wrong),
            (true, Any, "$-1\r\n", Miss),
            (true, Any, "-ERR no\r\n", Wrong),
            (true, Any, "*0\r\n", Right),
            (true, Pong, "+PONG\r\n", Right),
            (true, Integer, ":-12\r\n", Right),
            (true, Integer, ":\r\n", Wrong),
            (true, Integer, "+1\r\n", Wrong),
            (true, Length, ":3\r\n", Right),
            (true, Count, ":1\r\n", Right),
            (true, Count, ":0\r\n", Miss),
            (true, Count, ":-1\r\n", Wrong),
            (true, Value, "$2\r\nab\r\n", Right),
            (true, Value, "$2\r\nac\r\n", Wrong),
            (true, Value, "$0\r\n\r\n", Wrong),
            (true, Value, "$-1\r\n", Miss),
            (true, Value, "_\r\n", Miss),
            (true, Value, "+ab\r\n", Wrong),
            (false, Ok, "OK\r\n", Right),
            (false, Ok, "OK \r\n", Wrong),
            (false, Any, "(Unknown command)\r\n", Wrong),
            (false, Integer, "12\r\n", Right),
            (false, Length, "OK\r\n", Right),
            (false, Count, "OK\r\n", Right),
            (false, Count, "0\r\n", Miss),
            (false, Count, "(null)\r\n", Miss),
            (false, Value, "ab\r\n", Right),
            (false, Value, "(null)\r\n", Miss),
            (false, Value, "(error) OOM\r\n", Wrong),
            (false, Value, "abc\r\n", Wrong),
        ] {
            assert_eq!(judge(reply.as_bytes(), resp, check, Some(b"ab")), verdict, "{check:?} {reply:?}");
        }
        // Who does not know the value takes any.
        assert_eq!(judge(b"$1\r\nx\r\n", true, Value, None), Right);
        assert_eq!(judge(b"x\r\n", false, Value, None), Right);
    }
}
