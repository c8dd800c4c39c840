//! What a terminal sends, told apart: characters and keys. The bytes may come in pieces cut anywhere.

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Key {
    /// A character, by itself or in a word of several keys.
    Char(char),
    /// A letter or sign with Ctrl held, as its capital: `Control(b'A')`; Tab is I, Enter is M, Backspace is H. Keys with a
    /// name of their own are those that have always done the same: Up is P, Down N, Left B, Right F, Home A, End E.
    Control(u8),
    /// A character with Alt held, or after Escape; b and f are Left and Right with Ctrl held.
    Alt(char),
    Delete,
    /// What follows is pasted, or, by false, typed again.
    Paste(bool),
}

/// A sequence of more bytes is none of a key that anybody has.
const SEQUENCE_BYTES_MAX: usize = 32;

/// Bytes that came and are no whole key yet.
#[derive(Default)]
pub(in crate::cli) struct Keys {
    bytes: Vec<u8>,
    /// So many of them were of keys that were taken.
    taken: usize,
}

impl Keys {
    pub(in crate::cli) fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole key; what means nothing is passed over. Escape alone waits for what follows it.
    pub(in crate::cli) fn next(&mut self) -> Option<Key> {
        loop {
            let Some((count, key)) = first(&self.bytes[self.taken..]) else {
                self.bytes.drain(..self.taken);
                self.taken = 0;
                return None;
            };
            self.taken += count;
            if key.is_some() {
                return key;
            }
        }
    }
}

/// The first key and how many bytes it takes, or `None` where there is no whole one.
fn first(bytes: &[u8]) -> Option<(usize, Option<Key>)> {
    match *bytes.first()? {
        0x1b => escaped(bytes),
        0x7f => Some((1, Some(Key::Control(b'H')))),
        byte @ 0..0x20 => Some((1, Some(Key::Control(if byte == b'\n' { b'M' } else { byte | 0x40 })))),
        _ => char(bytes).map(|(count, char)| (count, char.map(Key::Char))),
    }
}

/// A character of UTF-8; bytes that are none are passed over.
fn char(bytes: &[u8]) -> Option<(usize, Option<char>)> {
    match str::from_utf8(&bytes[..bytes.len().min(4)]) {
        Err(error) if error.valid_up_to() == 0 => error.error_len().map(|count| (count, None)),
        Err(error) => char(&bytes[..error.valid_up_to()]),
        Ok(text) => text.chars().next().map(|char| (char.len_utf8(), Some(char))),
    }
}

fn escaped(bytes: &[u8]) -> Option<(usize, Option<Key>)> {
    match *bytes.get(1)? {
        b'[' => {}
        b'O' => return bytes.get(2).map(|&last| (3, named(last, &[]))),
        0x1b => return Some((1, None)),
        0x7f | 0x08 => return Some((2, Some(Key::Alt('\x08')))),
        0..0x20 => return Some((2, None)),
        _ => return char(&bytes[1..]).map(|(count, char)| (count + 1, char.map(Key::Alt))),
    }
    let end = bytes.iter().skip(2).position(|byte| (0x40..0x7f).contains(byte));
    let Some(end) = end.map(|end| end + 2) else {
        return (bytes.len() > SEQUENCE_BYTES_MAX).then_some((bytes.len(), None));
    };
    Some((end + 1, named(bytes[end], &bytes[2..end])))
}

/// The key of a sequence by its last byte and its numbers, the second of which tells what else is held.
fn named(last: u8, numbers: &[u8]) -> Option<Key> {
    let mut numbers = numbers.split(|&byte| byte == b';');
    let key = numbers.next().unwrap_or_default();
    let held = numbers.next().is_some_and(|held| held != b"2");
    match (last, key) {
        (b'C', _) if held => Some(Key::Alt('f')),
        (b'D', _) if held => Some(Key::Alt('b')),
        (b'A', _) => Some(Key::Control(b'P')),
        (b'B', _) => Some(Key::Control(b'N')),
        (b'C', _) => Some(Key::Control(b'F')),
        (b'D', _) => Some(Key::Control(b'B')),
        (b'H', _) | (b'~', b"1" | b"7") => Some(Key::Control(b'A')),
        (b'F', _) | (b'~', b"4" | b"8") => Some(Key::Control(b'E')),
        (b'~', b"3") => Some(Key::Delete),
        (b'~', b"200") => Some(Key::Paste(true)),
        (b'~', b"201") => Some(Key::Paste(false)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_apart_however_the_bytes_are_cut() {
        let wire = "aé世😀\x01\r\n\x7f\t\x1bb\x1bé\x1b\x7f\x1b[A\x1b[1;5D\x1b[1;2C\x1bOH\x1b[4~\x1b[3~\x1b[200~\x1b[5~\x1b[B\x1b\x1b[C";
        let wanted = [
            Key::Char('a'),
            Key::Char('é'),
            Key::Char('世'),
            Key::Char('😀'),
            Key::Control(b'A'),
            Key::Control(b'M'),
            Key::Control(b'M'),
            Key::Control(b'H'),
            Key::Control(b'I'),
            Key::Alt('b'),
            Key::Alt('é'),
            Key::Alt('\x08'),
            Key::Control(b'P'),
            Key::Alt('b'),
            Key::Control(b'F'),
            Key::Control(b'A'),
            Key::Control(b'E'),
            Key::Delete,
            Key::Paste(true),
            Key::Control(b'N'),
            Key::Control(b'F'),
        ];
        for cut in 0..=wire.len() {
            let mut keys = Keys::default();
            let mut found = Vec::new();
            for piece in [&wire.as_bytes()[..cut], &wire.as_bytes()[cut..]] {
                keys.feed(piece);
                found.extend(std::iter::from_fn(|| keys.next()));
            }
            assert_eq!(found, wanted, "cut at {cut}");
        }
    }

    #[test]
    fn bytes_that_mean_nothing_are_passed_over() {
        let mut keys = Keys::default();
        keys.feed(b"\xff\xc3a\x1b[?99;99xb\x1b[");
        keys.feed(&[b'1'; 100]);
        keys.feed(b"c");
        let found: Vec<Key> = std::iter::from_fn(|| keys.next()).collect();
        assert_eq!(found, [Key::Char('a'), Key::Char('b')]);
        keys.feed(b"d");
        assert_eq!(keys.next(), Some(Key::Char('d')));
    }
}
