//! The text protocol: one request a line, words between blanks, the last argument of some commands being the rest
//! of the line.

use super::{Form, ParseError, Parsed, Words};

/// The blanks of a longer line are counted before its words are marked: there may be no memory for so many marks.
const COUNTED_BYTES_MIN: usize = 16 * 1024;

/// See [`super::Parser::parse`]; `scanned` is how far earlier calls have looked.
#[cfg_attr(memento_small, optimize(speed))]
pub(super) fn parse(
    scanned: &mut u32,
    input: &[u8],
    words: &mut Words,
    line_bytes_max: usize,
    rest_of: impl FnOnce(&[u8]) -> usize,
) -> Parsed {
    let Some(found) = find_line_end(&input[*scanned as usize..]) else {
        // One byte of grace: it may be the CR of a line that is just as long as allowed.
        if input.len() > line_bytes_max + 1 {
            return Parsed::Broken(ParseError::LineTooLong);
        }
        *scanned = input.len() as u32;
        return Parsed::Incomplete { keep: input.len() };
    };
    let end = *scanned as usize + found;
    *scanned = 0;
    let line = input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]);
    if line.len() > line_bytes_max {
        return Parsed::Broken(ParseError::LineTooLong);
    }
    // So many words there are at most; few are not worth a look.
    if line.len() > COUNTED_BYTES_MIN && !words.make_room(1 + line.iter().filter(|&&byte| is_blank(byte)).count()) {
        return Parsed::Broken(ParseError::NoMemory);
    }
    let before = words.len();
    split(line, words, rest_of);
    let consumed = end + 1;
    if words.len() == before { Parsed::Blank { consumed } } else { Parsed::Request { consumed, form: Form::Line } }
}

/// Where the first LF is. Whole blocks are compared without a branch in between, which the compiler makes vector
/// code of.
#[cfg_attr(memento_small, optimize(speed))]
fn find_line_end(bytes: &[u8]) -> Option<usize> {
    const BLOCK: usize = 32;
    let blocks = bytes.chunks_exact(BLOCK);
    let clean = blocks.take_while(|block| !block.iter().fold(false, |any, &byte| any | (byte == b'\n'))).count();
    let from = clean * BLOCK;
    bytes[from..].iter().position(|&byte| byte == b'\n').map(|at| from + at)
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// Marks the words of `line`. The word that takes the rest of the line begins after the one blank that follows the
/// word before it, and may be empty; where that blank is missing there is no such word.
#[cfg_attr(memento_small, optimize(speed))]
fn split(line: &[u8], words: &mut Words, rest_of: impl FnOnce(&[u8]) -> usize) {
    let word_from = |from: usize| {
        let start = from + line[from..].iter().position(|&byte| !is_blank(byte))?;
        let length = line[start..].iter().position(|&byte| is_blank(byte)).unwrap_or(line.len() - start);
        Some(start..start + length)
    };
    let Some(name) = word_from(0) else { return };
    let rest = rest_of(&line[name.clone()]);
    let mut at = name.end;
    let first = words.len();
    words.push(name.start, name.end);
    loop {
        if words.len() - first == rest {
            if at < line.len() {
                words.push(at + 1, line.len());
            }
            return;
        }
        let Some(word) = word_from(at) else { return };
        at = word.end;
        words.push(word.start, word.end);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, parse_pieces};
    use super::*;
    use crate::limits::LINE_BYTES_MAX;

    /// As the command table has it for these names.
    fn rest_of(name: &[u8]) -> usize {
        match name.to_ascii_uppercase().as_slice() {
            b"ECHO" => 1,
            b"SET" => 2,
            b"SETEX" => 3,
            _ => 0,
        }
    }

    #[test]
    fn words_and_line_ends() {
        check(b"GET key\r\n", rest_of, &[&[b"GET", b"key"]]);
        check(b"GET key\n", rest_of, &[&[b"GET", b"key"]]);
        check(b" \t get \t key  \t\r\n", rest_of, &[&[b"get", b"key"]]);
        check(b"\r\n\n \t \r\nPING\r\n", rest_of, &[&[b"PING"]]);
        check(b"A\nB c\r\n", rest_of, &[&[b"A"], &[b"B", b"c"]]);
        check(b"GET a\rb\r\r\n", rest_of, &[&[b"GET", b"a\rb\r"]]);
        check(b"GET \"a b\"\n", rest_of, &[&[b"GET", b"\"a", b"b\""]]);
        check(b"GET \0\xff\n", rest_of, &[&[b"GET", b"\0\xff"]]);
    }

    #[test]
    fn the_rest_of_the_line() {
        check(b"SET k  two words \r\n", rest_of, &[&[b"SET", b"k", b" two words "]]);
        check(b"SET k \r\n", rest_of, &[&[b"SET", b"k", b""]]);
        check(b"SET k\r\n", rest_of, &[&[b"SET", b"k"]]);
        check(b"SET  \t k\tv\n", rest_of, &[&[b"SET", b"k", b"v"]]);
        check(b"SET k v EX 10\n", rest_of, &[&[b"SET", b"k", b"v EX 10"]]);
        check(b"SET  \n", rest_of, &[&[b"SET"]]);
        check(b"ECHO\r\n", rest_of, &[&[b"ECHO"]]);
        check(b"ECHO \r\n", rest_of, &[&[b"ECHO", b""]]);
        check(b"ECHO  a\r\n", rest_of, &[&[b"ECHO", b" a"]]);
        check(b"SETEX k  10  v w\r\n", rest_of, &[&[b"SETEX", b"k", b"10", b" v w"]]);
        check(b"SETEX k 10\r\n", rest_of, &[&[b"SETEX", b"k", b"10"]]);
    }

    #[test]
    fn a_line_end_is_found_wherever_it_is() {
        for length in 0..100 {
            let mut bytes = vec![b'x'; length];
            assert_eq!(find_line_end(&bytes), None);
            bytes.push(b'\n');
            bytes.extend_from_slice(b"y\ny");
            assert_eq!(find_line_end(&bytes), Some(length));
        }
    }

    #[test]
    fn a_line_without_an_end_asks_for_nothing() {
        assert_eq!(parse_pieces([&b"GET key"[..], b" more\r"], rest_of), (vec![], None));
    }

    #[test]
    fn the_longest_line_is_served_and_one_byte_more_is_not() {
        for end in [&b"\n"[..], b"\r\n"] {
            for (length, fits) in [(LINE_BYTES_MAX, true), (LINE_BYTES_MAX + 1, false)] {
                let line = [&vec![b'x'; length][..], end].concat();
                for piece in [line.len(), 65_536, 1000] {
                    let (requests, error) = parse_pieces(line.chunks(piece), rest_of);
                    assert_eq!(requests.len(), usize::from(fits), "{length} bytes in pieces of {piece}");
                    assert_eq!(error, (!fits).then_some(ParseError::LineTooLong));
                }
            }
        }
    }

    #[test]
    fn no_byte_is_scanned_twice() {
        let (mut scanned, mut words) = (0, Words::default());
        let input = vec![b'x'; 5000];
        for end in (1000..=5000).step_by(1000) {
            let parsed = parse(&mut scanned, &input[..end], &mut words, 5000, rest_of);
            assert_eq!(parsed, Parsed::Incomplete { keep: end });
            assert_eq!(scanned as usize, end);
        }
    }
}
