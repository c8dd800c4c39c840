//! Requests: a command with places for a key, a value and a random number, laid out once and filled in for each request
//! without allocating. Also the values themselves, each of which follows from its key.

use super::keys::Chooser;
use super::random::{Random, mix};
use crate::client::resp::{Digits, write_length};

/// The places of a command.
const KEY: &str = "__key__";
const RANDOM: &str = "__rand__";
const VALUE: &str = "__data__";

/// A number is written with so many digits, with zeros in front.
const DIGITS: usize = 12;

/// No more keys than have a number of so many digits.
pub(super) const KEYS_MAX: u64 = 10u64.pow(DIGITS as u32);

/// What a right reply is, besides one that is no error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Check {
    /// Anything.
    #[default]
    Any,
    /// OK.
    Ok,
    /// PONG.
    Pong,
    /// An integer.
    Integer,
    /// An integer in RESP, OK in lines: for APPEND.
    Length,
    /// How many keys there were; none is a miss.
    Count,
    /// The value of the key; nothing is a miss.
    Value,
}

/// What the test of this name sends, and what comes back.
pub(super) fn test(name: &str) -> Option<(&'static str, Check)> {
    Some(match name {
        "ping" => ("PING", Check::Pong),
        // With fill the keys are all of them, in order.
        "set" | "fill" => ("SET __key__ __data__", Check::Ok),
        "get" => ("GET __key__", Check::Value),
        "inc" => ("INCRBY n:__key__ 1", Check::Integer),
        "dec" => ("DECRBY n:__key__ 1", Check::Integer),
        "incf" => ("INCRBYFLOAT f:__key__ 0.5", Check::Any),
        "append" => ("APPEND a:__key__ __data__", Check::Length),
        "exists" => ("EXISTS __key__", Check::Count),
        "del" => ("DEL __key__", Check::Count),
        _ => return None,
    })
}

/// A kind of request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Template {
    pub(super) check: Check,
    /// The request without what is filled in.
    text: Vec<u8>,
    /// What is filled in, and before which byte of the text.
    places: Vec<(usize, Place)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Key,
    /// With zeros in front where it is a part of a word; alone it is a number, in RESP with its length before it.
    Digits,
    Number,
    /// In RESP with its length before it.
    Value,
}

/// How requests are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout<'a> {
    /// In RESP, else in lines.
    pub(super) resp: bool,
    /// What a key begins with, before its digits.
    pub(super) prefix: &'a str,
}

impl Template {
    /// The template of a command, whose words stand one blank apart.
    pub(super) fn new(command: &str, check: Check, layout: Layout) -> Result<Template, String> {
        let mut template = Template { check, text: Vec::new(), places: Vec::new() };
        let words = command.split_ascii_whitespace().count();
        if words == 0 {
            return Err("a command has a word at least".to_string());
        }
        if layout.resp {
            write_length(&mut template.text, b'*', words);
        }
        for word in command.split_ascii_whitespace() {
            let alone = if word == VALUE { Some(Place::Value) } else { (word == RANDOM).then_some(Place::Number) };
            if let Some(place) = alone {
                template.places.push((template.text.len(), place));
            } else {
                // How long it is has to be known before it is written.
                let mut alone = Template { check, text: Vec::new(), places: Vec::new() };
                let Some(filled_bytes) = alone.word(word, layout) else {
                    return Err(format!("{VALUE} is a word of its own, not a part of '{word}'"));
                };
                if layout.resp {
                    write_length(&mut template.text, b'$', alone.text.len() + filled_bytes);
                }
                template.word(word, layout);
            }
            template.text.extend_from_slice(if layout.resp { b"\r\n" } else { b" " });
        }
        if !layout.resp {
            template.text.pop();
            template.text.extend_from_slice(b"\r\n");
        }
        Ok(template)
    }

    /// Adds a word; gives how many bytes will be filled in, but nothing for one that has a value inside.
    fn word(&mut self, word: &str, layout: Layout) -> Option<usize> {
        let mut rest = word.as_bytes();
        let mut filled_bytes = 0;
        while let Some((&byte, after)) = rest.split_first() {
            let place = if rest.starts_with(KEY.as_bytes()) {
                rest = &rest[KEY.len()..];
                self.text.extend_from_slice(layout.prefix.as_bytes());
                Place::Key
            } else if rest.starts_with(RANDOM.as_bytes()) {
                rest = &rest[RANDOM.len()..];
                Place::Digits
            } else if rest.starts_with(VALUE.as_bytes()) {
                return None;
            } else {
                self.text.push(byte);
                rest = after;
                continue;
            };
            self.places.push((self.text.len(), place));
            filled_bytes += DIGITS;
        }
        Some(filled_bytes)
    }

    /// Adds a request; gives the number of its last key. A value is that of the key before it.
    #[cfg_attr(memento_small, optimize(speed))]
    pub(super) fn push(&self, out: &mut Vec<u8>, draw: &mut Draw) -> u64 {
        let mut key = 0;
        let mut from = 0;
        for &(at, place) in &self.places {
            out.extend_from_slice(&self.text[from..at]);
            from = at;
            match place {
                Place::Key => {
                    key = draw.keys.next(&mut draw.random);
                    push_digits(out, key);
                }
                Place::Digits => push_digits(out, draw.random.below(draw.randoms)),
                Place::Number => push_number(out, draw.random.below(draw.randoms), draw.resp),
                Place::Value => {
                    let value = draw.values.of(key);
                    if draw.resp {
                        write_length(out, b'$', value.len());
                    }
                    out.extend_from_slice(value);
                }
            }
        }
        out.extend_from_slice(&self.text[from..]);
        key
    }
}

/// What fills in the places.
pub(super) struct Draw<'a> {
    pub(super) random: Random,
    pub(super) keys: Chooser,
    /// Random numbers are below this.
    pub(super) randoms: u64,
    pub(super) values: &'a Values,
    pub(super) resp: bool,
}

#[cfg_attr(memento_small, optimize(speed))]
#[inline(never)]
fn push_digits(out: &mut Vec<u8>, number: u64) {
    let mut digits = [b'0'; DIGITS];
    // Halves have few enough digits for the short division.
    for (half, number) in digits.chunks_exact_mut(DIGITS / 2).zip([number / 1_000_000, number % 1_000_000]) {
        let mut number = number as u32;
        for digit in half.iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
    }
    out.extend_from_slice(&digits);
}

/// A number as a word.
#[inline(never)]
fn push_number(out: &mut Vec<u8>, number: u64, resp: bool) {
    let digits = Digits::of(number as i64);
    if resp {
        write_length(out, b'$', digits.bytes().len());
    }
    out.extend_from_slice(digits.bytes());
}

/// How far into the same text values of different keys may begin.
const OFFSETS: usize = 4096;

/// Values of letters and digits. That of a key is always the same, whoever writes it, so that everybody knows it.
#[derive(Clone, Debug)]
pub(super) struct Values {
    text: Vec<u8>,
    least: usize,
    most: usize,
}

impl Values {
    /// Values from `least` bytes to `most`.
    #[inline(never)]
    pub(super) fn new(least: usize, most: usize) -> Values {
        const LETTERS: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.";
        let mut random = Random::new(0);
        let mut text = vec![0; most + OFFSETS];
        for letter in &mut text {
            *letter = LETTERS[(random.bits() % 64) as usize];
        }
        Values { text, least, most }
    }

    pub(super) fn of(&self, key: u64) -> &[u8] {
        let bits = mix(key + 1);
        let length = self.least + (bits >> 32) as usize % (self.most - self.least + 1);
        &self.text[bits as usize % OFFSETS..][..length]
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::Keys;
    use super::*;
    use std::collections::HashSet;

    fn draw(values: &Values, resp: bool) -> Draw<'_> {
        // Keys from 7 on.
        let keys = Chooser::new(Keys::Sequential, 1000, 7, 1);
        Draw { random: Random::new(1), keys, randoms: 10, values, resp }
    }

    fn request(command: &str, resp: bool) -> (String, u64) {
        let layout = Layout { resp, prefix: "key:" };
        let template = Template::new(command, Check::Any, layout).expect("a template");
        let values = Values::new(3, 3);
        let mut out = Vec::new();
        let key = template.push(&mut out, &mut draw(&values, resp));
        let text = String::from_utf8(out).expect("text");
        (text.replace(std::str::from_utf8(values.of(7)).expect("text"), "VAL"), key)
    }

    #[test]
    fn requests_are_whole() {
        for (command, resp, wanted) in [
            ("GET __key__", false, "GET key:000000000007\r\n"),
            ("APPEND  a:__key__ __data__", false, "APPEND a:key:000000000007 VAL\r\n"),
            ("PING", true, "*1\r\n$4\r\nPING\r\n"),
            ("SET __key__ __data__", true, "*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000007\r\n$3\r\nVAL\r\n"),
            ("INCR a__key____b", true, "*2\r\n$4\r\nINCR\r\n$20\r\nakey:000000000007__b\r\n"),
            ("ECHO _a__keys__", true, "*2\r\n$4\r\nECHO\r\n$10\r\n_a__keys__\r\n"),
        ] {
            let (text, key) = request(command, resp);
            assert_eq!(text, wanted);
            assert_eq!(key, if command.contains(KEY) { 7 } else { 0 });
        }
        let (text, key) = request("MGET __key__ __key__", false);
        assert_eq!((text.as_str(), key), ("MGET key:000000000007 key:000000000008\r\n", 8));
        // Places that overlap: the first counts.
        assert_eq!(request("DEL x__key__rand__", true).0, "*2\r\n$3\r\nDEL\r\n$23\r\nxkey:000000000007rand__\r\n");
        let (text, _) = request("SETRANGE k __rand__ x__rand__", true);
        assert!(text.starts_with("*4\r\n$8\r\nSETRANGE\r\n$1\r\nk\r\n$1\r\n"), "{text}");
        assert!(text.contains("\r\n$13\r\nx00000000000"), "{text}");
    }

    #[test]
    fn wrong_commands_are_refused() {
        let layout = Layout { resp: true, prefix: "" };
        for command in ["", "  ", "SET k x__data__"] {
            assert!(Template::new(command, Check::Any, layout).is_err(), "{command}");
        }
        for name in "ping set get inc dec incf append exists del fill".split(' ') {
            let (command, check) = test(name).expect(name);
            assert!(Template::new(command, check, layout).is_ok(), "{command}");
        }
    }

    #[test]
    fn numbers_have_all_their_digits() {
        let mut out = Vec::new();
        for number in [0, 1, 999_999, 1_000_000, KEYS_MAX - 1, 123_456_789_012] {
            push_digits(&mut out, number);
        }
        let wanted = "000000000000000000000001000000999999000001000000999999999999123456789012";
        assert_eq!(out, wanted.as_bytes());
        let mut out = Vec::new();
        for length in [0, 9, 10, 536_870_912] {
            write_length(&mut out, b'$', length);
        }
        assert_eq!(out, b"$0\r\n$9\r\n$10\r\n$536870912\r\n");
        let mut out = Vec::new();
        for number in [0, 7, 10, KEYS_MAX - 1] {
            push_number(&mut out, number, true);
            push_number(&mut out, number, false);
        }
        assert_eq!(out, b"$1\r\n00$1\r\n77$2\r\n1010$12\r\n999999999999999999999999");
    }

    #[test]
    fn a_value_follows_from_its_key_and_tells_it_from_others() {
        let values = Values::new(10, 20);
        let again = Values::new(10, 20);
        let mut lengths = HashSet::new();
        let mut seen = HashSet::new();
        for key in 0..1000 {
            assert_eq!(values.of(key), again.of(key));
            lengths.insert(values.of(key).len());
            seen.insert(values.of(key));
        }
        assert_eq!(lengths.len(), 11);
        assert!(lengths.iter().all(|length| (10..=20).contains(length)));
        assert!(seen.len() > 850, "{}", seen.len());
        assert_eq!(Values::new(0, 0).of(5), b"");
    }
}
