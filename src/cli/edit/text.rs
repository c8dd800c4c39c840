//! The line being edited: its text, where the cursor stands, what was cut out of it, and how to go back.

use super::width::width;

/// So many steps can be undone.
const UNDO_MAX: usize = 200;

/// What the last edit was, since some go on where the last one of their kind ended.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Last {
    #[default]
    Other,
    Typed,
    CutBack,
    CutOn,
}

/// A line, a cursor in it, and the edits that keys stand for. The cursor stands between characters, never before one
/// that takes no column of its own.
#[derive(Default)]
pub(super) struct Text {
    line: String,
    at: usize,
    cut: String,
    undo: Vec<(String, usize)>,
    last: Last,
}

/// Whether a byte belongs to a word, for the keys that go by words. (Beyond ASCII all do: which are letters would take a
/// table.)
fn in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii()
}

/// For those that go by blanks.
fn no_blank(byte: u8) -> bool {
    byte != b' ' && byte != b'\t'
}

impl Text {
    pub(super) fn line(&self) -> &str {
        &self.line
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Another line, with the cursor at its end; it can be undone.
    pub(super) fn replace(&mut self, line: &str) {
        self.remember(Last::Other);
        self.line = line.to_string();
        self.at = self.line.len();
    }

    /// Takes the line away for good: the next one begins empty.
    pub(super) fn take(&mut self) -> String {
        self.undo.clear();
        self.last = Last::Other;
        self.at = 0;
        std::mem::take(&mut self.line)
    }

    /// Keeps the line as it is for undo, but for edits that go on.
    fn remember(&mut self, kind: Last) {
        if kind == Last::Other || kind != self.last {
            if self.undo.len() == UNDO_MAX {
                self.undo.remove(0);
            }
            self.undo.push((self.line.clone(), self.at));
        }
        self.last = kind;
    }

    pub(super) fn insert(&mut self, char: char) {
        // A word is undone at a time.
        if matches!(char, ' ' | '\t') {
            self.last = Last::Other;
        }
        self.remember(Last::Typed);
        self.line.insert(self.at, char);
        self.at += char.len_utf8();
    }

    pub(super) fn undo(&mut self) {
        self.last = Last::Other;
        if let Some((line, at)) = self.undo.pop() {
            (self.line, self.at) = (line, at);
        }
    }

    /// Where the character before the cursor begins, with those that take no column of their own behind it.
    fn before(&self) -> usize {
        let chars = self.line[..self.at].char_indices();
        chars.rev().find(|&(_, char)| width(char) > 0).map_or(0, |(at, _)| at)
    }

    /// Where the character behind the cursor ends.
    fn behind(&self) -> usize {
        let mut chars = self.line[self.at..].char_indices().skip(1);
        chars.find(|&(_, char)| width(char) > 0).map_or(self.line.len(), |(at, _)| self.at + at)
    }

    fn word_before(&self, inside: fn(u8) -> bool) -> usize {
        let (bytes, mut at) = (self.line.as_bytes(), self.at);
        for wanted in [false, true] {
            while at > 0 && inside(bytes[at - 1]) == wanted {
                at -= 1;
            }
        }
        at
    }

    fn word_behind(&self) -> usize {
        let (bytes, mut at) = (self.line.as_bytes(), self.at);
        for wanted in [false, true] {
            while at < bytes.len() && in_word(bytes[at]) == wanted {
                at += 1;
            }
        }
        at
    }

    fn go(&mut self, at: usize) {
        self.last = Last::Other;
        self.at = at;
    }

    pub(super) fn left(&mut self) {
        self.go(self.before());
    }

    pub(super) fn right(&mut self) {
        self.go(self.behind());
    }

    pub(super) fn word_left(&mut self) {
        self.go(self.word_before(in_word));
    }

    pub(super) fn word_right(&mut self) {
        self.go(self.word_behind());
    }

    pub(super) fn home(&mut self) {
        self.go(0);
    }

    pub(super) fn end(&mut self) {
        self.go(self.line.len());
    }

    /// Deletes the character before the cursor.
    pub(super) fn backspace(&mut self) {
        let start = self.before();
        self.delete_from(start, self.at);
    }

    /// Deletes the character behind the cursor.
    pub(super) fn delete(&mut self) {
        let end = self.behind();
        self.delete_from(self.at, end);
    }

    fn delete_from(&mut self, start: usize, end: usize) {
        if start < end {
            self.remember(Last::Other);
            self.line.drain(start..end);
            self.at = start;
        }
    }

    /// Cuts from there to the cursor, or from the cursor to there; cuts one after the other are pasted as one.
    fn cut_to(&mut self, to: usize) {
        let (start, end) = (to.min(self.at), to.max(self.at));
        if start == end {
            return;
        }
        let kind = if to < self.at { Last::CutBack } else { Last::CutOn };
        let goes_on = matches!(self.last, Last::CutBack | Last::CutOn);
        self.remember(kind);
        let piece = self.line[start..end].to_string();
        self.line.drain(start..end);
        self.at = start;
        match (goes_on, kind) {
            (false, _) => self.cut = piece,
            (true, Last::CutBack) => self.cut.insert_str(0, &piece),
            (true, _) => self.cut += &piece,
        }
    }

    pub(super) fn cut_to_end(&mut self) {
        self.cut_to(self.line.len());
    }

    pub(super) fn cut_to_start(&mut self) {
        self.cut_to(0);
    }

    /// Cuts back to a blank.
    pub(super) fn cut_back(&mut self) {
        self.cut_to(self.word_before(no_blank));
    }

    pub(super) fn cut_word_left(&mut self) {
        self.cut_to(self.word_before(in_word));
    }

    pub(super) fn cut_word_right(&mut self) {
        self.cut_to(self.word_behind());
    }

    /// Puts what was cut where the cursor stands.
    pub(super) fn paste(&mut self) {
        self.remember(Last::Other);
        self.line.insert_str(self.at, &self.cut);
        self.at += self.cut.len();
    }

    /// Puts a word in place of what stands between `start` and the cursor.
    pub(super) fn complete(&mut self, start: usize, word: &str) {
        self.remember(Last::Other);
        self.line.drain(start..self.at);
        self.line.insert_str(start, word);
        self.at = start + word.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line with `|` where the cursor stands.
    fn text(line: &str) -> Text {
        let at = line.find('|').expect("a cursor");
        Text { line: line.replacen('|', "", 1), at, ..Text::default() }
    }

    fn shown(text: &Text) -> String {
        format!("{}|{}", &text.line[..text.at], &text.line[text.at..])
    }

    #[track_caller]
    fn check(before: &str, edits: &[fn(&mut Text)], after: &str) {
        let mut text = text(before);
        edits.iter().for_each(|edit| edit(&mut text));
        assert_eq!(shown(&text), after, "{before}");
    }

    #[test]
    fn moves_go_by_characters_words_and_ends() {
        check("a|b", &[Text::left], "|ab");
        check("|ab", &[Text::left], "|ab");
        check("a|b", &[Text::right, Text::right], "ab|");
        check("世|界", &[Text::left], "|世界");
        // An accent of its own goes with its letter.
        check("xe\u{301}|", &[Text::left], "x|e\u{301}");
        check("x|e\u{301}y", &[Text::right], "xe\u{301}|y");
        check("get  key:1|", &[Text::word_left], "get  key:|1");
        check("get  key:1|", &[Text::word_left, Text::word_left], "get  |key:1");
        check("|  get key", &[Text::word_right], "  get| key");
        check("ab|c", &[Text::home], "|abc");
        check("ab|c", &[Text::end], "abc|");
    }

    #[test]
    fn what_is_deleted_is_gone_and_what_is_cut_can_be_pasted() {
        check("aé|b", &[Text::backspace], "a|b");
        check("e\u{301}|", &[Text::backspace], "|");
        check("|ab", &[Text::backspace], "|ab");
        check("|ab", &[Text::delete], "|b");
        check("ab|", &[Text::delete], "ab|");
        check("ab|cd", &[Text::cut_to_end, Text::home, Text::paste], "cd|ab");
        check("ab|cd", &[Text::cut_to_start, Text::end, Text::paste], "cdab|");
        check("set key:1 |x", &[Text::cut_back], "set |x");
        check("set key:1|", &[Text::cut_word_left], "set key:|");
        check("|set key", &[Text::cut_word_right], "| key");
        // Several cuts are one.
        check("one two three|", &[Text::cut_back, Text::cut_back, Text::paste], "one two three|");
        check("|one two", &[Text::cut_word_right, Text::cut_word_right, Text::paste], "one two|");
        check("one two|", &[Text::cut_back, Text::home, Text::cut_to_end, Text::paste], "one |");
    }

    #[test]
    fn edits_are_undone_a_word_at_a_time() {
        let mut text = Text::default();
        "get key".chars().for_each(|char| text.insert(char));
        text.cut_back();
        text.paste();
        text.paste();
        text.undo();
        assert_eq!(shown(&text), "get key|");
        text.undo();
        text.undo();
        assert_eq!(shown(&text), "get key|");
        text.undo();
        assert_eq!(shown(&text), "get|");
        text.undo();
        text.undo();
        text.undo();
        assert_eq!(shown(&text), "|");
    }

    #[test]
    fn random_edits_keep_the_cursor_between_characters() {
        const EDITS: &[fn(&mut Text)] = &[
            Text::left,
            Text::right,
            Text::word_left,
            Text::word_right,
            Text::home,
            Text::end,
            Text::backspace,
            Text::delete,
            Text::cut_to_end,
            Text::cut_to_start,
            Text::cut_back,
            Text::cut_word_left,
            Text::cut_word_right,
            Text::paste,
            Text::undo,
        ];
        for seed in crate::testkit::seeds(200) {
            let mut random = crate::testkit::Random::new(seed);
            let mut text = Text::default();
            for _ in 0..200 {
                if random.below(2) == 0 {
                    text.insert(['a', ' ', 'é', '世', '\u{301}'][random.below(5)]);
                } else {
                    EDITS[random.below(EDITS.len())](&mut text);
                }
                assert!(text.line.is_char_boundary(text.at), "seed {seed}");
                if text.line.len() > 4000 {
                    text.take();
                }
            }
        }
    }
}
