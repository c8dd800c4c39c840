//! What a terminal is shown: text, and nothing that it would obey.

use std::io::{self, Write};

/// Writes text through, with `?` for control characters (but line feeds and tabs) and for what is no UTF-8: what a server
/// answers, and what others have stored there, must not move the cursor, rename the window or answer for the user.
pub(super) struct Plain<W>(pub(super) W);

impl<W: Write> Write for Plain<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut text = String::with_capacity(bytes.len());
        for chunk in bytes.utf8_chunks() {
            let shown = |char: char| if char.is_control() && !matches!(char, '\n' | '\t') { '?' } else { char };
            text.extend(chunk.valid().chars().map(shown));
            text.extend(chunk.invalid().iter().map(|_| '?'));
        }
        self.0.write_all(text.as_bytes()).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_that_a_terminal_would_obey() {
        let shown = |bytes: &[u8]| {
            let mut plain = Plain(Vec::new());
            plain.write_all(bytes).expect("a Vec takes all");
            String::from_utf8(plain.0).expect("text")
        };
        assert_eq!(shown(b"a\tb\n"), "a\tb\n");
        assert_eq!(shown("Grüße, 世界".as_bytes()), "Grüße, 世界");
        assert_eq!(shown(b"\x1b]0;title\x07\x1b[2J\rOK\x7f\0"), "?]0;title??[2J?OK??");
        // What stands for ESC and [ in one, as a character and as a byte.
        assert_eq!(shown("\u{9b}2J".as_bytes()), "?2J");
        assert_eq!(shown(b"\x9b2J\xff\xe2\x82"), "?2J???");
    }
}
