//! The line editor: keys in, edits, what to send to the terminal out. It reads and writes nothing itself.

mod keys;
mod screen;
mod text;
mod width;

pub(super) use keys::{Key, Keys};
pub(super) use width::width;

use super::has;
use screen::Screen;
use text::Text;

/// What the editor asks about the line while it is typed.
pub(super) trait Advice {
    /// What may follow the line, to be shown behind it.
    fn hint(&self, line: &str) -> String;

    /// The words that may stand instead of the one at the line's end, and where that begins.
    fn completions(&self, line: &str) -> (usize, Vec<String>);

    /// Where a part of the line begins that is not for other eyes.
    fn secret(&self, line: &str) -> Option<usize>;
}

/// What a key led to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// The line is whole.
    Line(String),
    /// The line was given up.
    Dropped,
    /// There will be no more lines.
    End,
    /// The program is to be suspended.
    Suspend,
}

/// A search through the lines typed before.
struct Search {
    pattern: String,
    /// The line found, as its place in the history.
    place: usize,
    found: bool,
    /// The line before the search.
    before: String,
}

/// One line after the other, typed at a prompt.
pub(super) struct Editor {
    advice: &'static dyn Advice,
    /// What is to be sent to the terminal.
    pub(super) out: String,
    prompt: String,
    text: Text,
    screen: Screen,
    /// Which line of the history is shown; as many as there are lines: the new one.
    place: usize,
    /// The new line while one of the history is shown.
    new: String,
    search: Option<Search>,
    /// The next key is meant as itself.
    quoted: bool,
    /// What comes is pasted and not typed.
    pasting: bool,
}

impl Editor {
    pub(super) fn new(columns: usize, rows: usize, advice: &'static dyn Advice) -> Editor {
        Editor {
            advice,
            out: String::new(),
            prompt: String::new(),
            text: Text::default(),
            screen: Screen::new(columns, rows),
            place: 0,
            new: String::new(),
            search: None,
            quoted: false,
            pasting: false,
        }
    }

    /// Begins a line.
    pub(super) fn start(&mut self, prompt: &str, history: &[String]) {
        self.prompt = prompt.to_string();
        self.place = history.len();
        self.screen.leave();
        self.paint();
    }

    pub(super) fn resize(&mut self, columns: usize, rows: usize) {
        self.screen.resize(columns, rows);
        self.paint();
    }

    /// The line as it is now, seen.
    pub(super) fn paint(&mut self) {
        self.paint_with(true);
    }

    #[inline(never)]
    fn paint_with(&mut self, hinted: bool) {
        let Editor { advice, out, .. } = self;
        let (text, at) = (self.text.line(), self.text.at());
        let hint = if hinted && at == text.len() && self.search.is_none() { advice.hint(text) } else { String::new() };
        let secret = advice.secret(text).unwrap_or(text.len());
        let (mut line, mut cursor) = (String::new(), None);
        for (place, char) in text.char_indices() {
            if place == at {
                cursor = Some(line.len());
            }
            line.push(if place < secret { char } else { '*' });
        }
        let at = cursor.unwrap_or(line.len());
        let search = self.search.as_ref().map(|search| {
            format!("({} '{}') ", if search.found { "search" } else { "search finds no" }, search.pattern)
        });
        self.screen.paint(search.as_deref().unwrap_or(&self.prompt), &line, at, &hint, out);
    }

    /// Leaves the line as it is, without a hint, and goes to the row below it.
    pub(super) fn leave(&mut self) {
        self.search = None;
        self.text.end();
        self.paint_with(false);
        self.out += "\r\n";
        self.screen.leave();
    }

    fn finish(&mut self) -> String {
        self.leave();
        self.text.take()
    }

    /// Does what a key stands for; says when that ends the line. The line is to be painted when all keys that have come
    /// are done: many may come at once.
    #[inline(never)]
    pub(super) fn press(&mut self, key: Key, history: &[String]) -> Option<Done> {
        if let Key::Paste(begins) = key {
            self.pasting = begins;
            return None;
        }
        if std::mem::take(&mut self.quoted) || (self.pasting && key == Key::Control(b'I')) {
            match key {
                Key::Char(char) => self.text.insert(char),
                // A line feed would end the request.
                Key::Control(byte) if byte != b'M' => self.text.insert(char::from(byte & 0x1f)),
                _ => {}
            }
            return None;
        }
        if self.search.is_some() && self.press_in_search(key, history) {
            return None;
        }
        match key {
            Key::Char(char) => self.text.insert(char),
            Key::Control(b'B') => self.text.left(),
            Key::Control(b'F') => self.text.right(),
            Key::Alt('b') => self.text.word_left(),
            Key::Alt('f') => self.text.word_right(),
            Key::Control(b'A') => self.text.home(),
            Key::Control(b'E') => self.text.end(),
            Key::Control(b'H') => self.text.backspace(),
            Key::Control(b'D') if self.text.line().is_empty() => {
                self.out += "\r\n";
                return Some(Done::End);
            }
            Key::Delete | Key::Control(b'D') => self.text.delete(),
            Key::Control(b'K') => self.text.cut_to_end(),
            Key::Control(b'U') => self.text.cut_to_start(),
            Key::Control(b'W') => self.text.cut_back(),
            Key::Alt('\x08') => self.text.cut_word_left(),
            Key::Alt('d') => self.text.cut_word_right(),
            Key::Control(b'Y') => self.text.paste(),
            Key::Control(b'_') => self.text.undo(),
            Key::Control(b'V') => self.quoted = true,
            Key::Control(b'P') => self.show(self.place.wrapping_sub(1), history),
            Key::Control(b'N') => self.show(self.place + 1, history),
            Key::Alt('<') => self.show(0, history),
            Key::Alt('>') => self.show(history.len(), history),
            Key::Control(b'R') => {
                let before = self.text.line().to_string();
                self.search = Some(Search { pattern: String::new(), place: history.len(), found: true, before });
            }
            Key::Control(b'I') => self.complete(),
            Key::Control(b'L') => {
                self.out += "\x1b[H\x1b[2J";
                self.screen.leave();
            }
            Key::Control(b'M') => return Some(Done::Line(self.finish())),
            Key::Control(b'C') => {
                self.finish();
                return Some(Done::Dropped);
            }
            Key::Control(b'Z') => return Some(Done::Suspend),
            _ => {}
        }
        None
    }

    /// Shows a line of the history, or behind its last one the new one.
    fn show(&mut self, place: usize, history: &[String]) {
        if place > history.len() {
            return;
        }
        if self.place == history.len() {
            self.new = self.text.line().to_string();
        }
        self.place = place;
        self.text.replace(history.get(place).unwrap_or(&self.new));
    }

    /// Whether the key belongs to the search; any other ends it and does what it does elsewhere.
    #[inline(never)]
    fn press_in_search(&mut self, key: Key, history: &[String]) -> bool {
        let Some(search) = &mut self.search else { return false };
        let from = match key {
            Key::Char(char) => {
                search.pattern.push(char);
                search.place + 1
            }
            Key::Control(b'H') => {
                search.pattern.pop();
                history.len()
            }
            Key::Control(b'R') => search.place,
            Key::Control(b'G' | b'C') => {
                let before = std::mem::take(&mut search.before);
                self.search = None;
                self.text.replace(&before);
                return true;
            }
            _ => {
                self.search = None;
                return false;
            }
        };
        let lines = history[..from.min(history.len())].iter();
        let found = lines.rev().position(|line| has(line, &search.pattern) && line != self.text.line());
        // The line that is shown may fit the other pattern as well.
        let is_shown = search.place < history.len() && key != Key::Control(b'R');
        let fits = is_shown && has(self.text.line(), &search.pattern);
        search.found = fits || search.pattern.is_empty() || found.is_some();
        if let (false, false, Some(back)) = (fits, search.pattern.is_empty(), found) {
            search.place = from.min(history.len()) - 1 - back;
            self.place = search.place;
            self.text.replace(&history[search.place]);
        }
        true
    }

    /// Puts in what all words that fit have in common; where that is nothing more, shows them below the line.
    #[inline(never)]
    fn complete(&mut self) {
        let line = &self.text.line()[..self.text.at()];
        let (start, words) = self.advice.completions(line);
        let typed = line.len() - start;
        let Some(first) = words.first() else {
            self.out.push('\x07');
            return;
        };
        if words.len() == 1 {
            let word = format!("{first} ");
            self.text.complete(start, &word);
            return;
        }
        let common = |length: usize, word: &String| {
            first.bytes().zip(word.bytes()).take(length).take_while(|(one, other)| one == other).count()
        };
        let length = words.iter().fold(first.len(), common);
        if length > typed {
            let word = first[..length].to_string();
            self.text.complete(start, &word);
            return;
        }
        self.leave();
        let mut column = 0;
        for word in &words {
            // None is broken at the margin.
            if column > 0 && column + 2 + word.len() > self.screen.columns() {
                self.out += "\r\n";
                column = 0;
            }
            if column > 0 {
                self.out += "  ";
                column += 2;
            }
            self.out += word;
            column += word.len();
        }
        self.out += "\r\n";
    }
}

#[cfg(test)]
mod tests;
