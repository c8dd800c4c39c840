//! A prompt and a line on a terminal, over as many rows as they need: what to send so that it is seen.

use std::fmt::Write;
use std::ops::Range;

use super::width::width;

/// A terminal's size, and where the last painting left the cursor.
pub(super) struct Screen {
    columns: usize,
    rows: usize,
    /// What was painted, prompt and line up to the cursor, to find its place again when the width changes.
    painted: String,
    /// The cursor's row, counted from the first one painted.
    row: usize,
}

/// Moves the cursor, up by `A`, to the right by `C`.
fn go(count: usize, letter: char, out: &mut String) {
    if count > 0 {
        let _ = write!(out, "\x1b[{count}{letter}");
    }
}

impl Screen {
    pub(super) fn new(columns: usize, rows: usize) -> Screen {
        // Two columns are the least in which every character has room.
        Screen { columns: columns.max(2), rows: rows.max(1), painted: String::new(), row: 0 }
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// Writes those of the texts' rows that are wanted, one text behind the other; gives for each the row and the column
    /// where what follows it would stand.
    #[inline(never)]
    fn put(&self, texts: [&str; 3], wanted: Range<usize>, out: &mut String) -> [(usize, usize); 3] {
        let (mut row, mut column) = (0, 0);
        let places = texts.map(|text| {
            for char in text.chars() {
                let wide = width(char);
                if column + wide > self.columns {
                    // What does not fit stands on the next row; the terminal goes there when this one is full.
                    if wanted.contains(&row) {
                        out.extend(std::iter::repeat_n(' ', self.columns - column));
                    }
                    (row, column) = (row + 1, 0);
                }
                column += wide;
                if !wanted.contains(&row) {
                    continue;
                }
                if char.is_control() {
                    out.push('^');
                    out.push(if char.is_ascii() { char::from(char as u8 ^ 0x40) } else { '?' });
                } else {
                    out.push(char);
                }
            }
            if column == self.columns { (row + 1, 0) } else { (row, column) }
        });
        // A full row goes over into the next one by itself, but not until a character follows.
        if column == self.columns && wanted.contains(&(row + 1)) {
            *out += "\r\n";
        }
        places
    }

    /// The terminal has another size. Most break the rows anew, so that the cursor is looked for where it stands then.
    pub(super) fn resize(&mut self, columns: usize, rows: usize) {
        (self.columns, self.rows) = (columns.max(2), rows.max(1));
        let [(row, _), ..] = self.put([&self.painted, "", ""], 0..0, &mut String::new());
        self.row = row.min(self.rows - 1);
    }

    /// What is there is left; the next painting begins where the cursor stands, at the start of a row.
    pub(super) fn leave(&mut self) {
        self.painted.clear();
        self.row = 0;
    }

    /// Paints over what was painted before. The cursor stands before `line[at..]`; a hint stands behind the line where it
    /// has room on the last row. Of more rows than the terminal has, those around the cursor are shown.
    #[inline(never)]
    pub(super) fn paint(&mut self, prompt: &str, line: &str, at: usize, hint: &str, out: &mut String) {
        go(self.row, 'A', out);
        out.push('\r');
        let texts = [prompt, &line[..at], &line[at..]];
        let [_, (cursor_row, cursor_column), (end_row, end_column)] = self.put(texts, 0..0, out);
        let first = (cursor_row + 1).saturating_sub(self.rows);
        let last = end_row.min(first + self.rows - 1);
        self.put(texts, first..last + 1, out);
        let mut end = self.columns;
        if last == end_row {
            end = end_column;
            let room = self.columns - end;
            let start = out.len();
            *out += "\x1b[2m";
            let hint_start = out.len();
            let mut taken = 0;
            for char in hint.chars() {
                taken += width(char);
                if taken >= room {
                    break;
                }
                end += width(char);
                out.push(char);
            }
            if out.len() == hint_start {
                out.truncate(start);
            } else {
                *out += "\x1b[m";
            }
        }
        // At the margin the cursor stands on the last character still, and nothing is left to clear on that row.
        if end < self.columns {
            *out += "\x1b[J";
        }
        go(last - cursor_row, 'A', out);
        out.push('\r');
        go(cursor_column, 'C', out);
        self.row = cursor_row - first;
        self.painted = format!("{prompt}{}", &line[..at]);
    }
}

#[cfg(test)]
pub(super) mod model {
    //! A terminal of the tests: what it shows after what it was sent.

    use super::width;

    pub(in crate::cli::edit) struct Terminal {
        pub(in crate::cli::edit) cells: Vec<Vec<String>>,
        columns: usize,
        pub(in crate::cli::edit) row: usize,
        pub(in crate::cli::edit) column: usize,
    }

    impl Terminal {
        pub(in crate::cli::edit) fn new(columns: usize, rows: usize) -> Terminal {
            Terminal { cells: vec![vec![" ".to_string(); columns]; rows], columns, row: 0, column: 0 }
        }

        fn feed_line(&mut self) {
            if self.row + 1 < self.cells.len() {
                self.row += 1;
            } else {
                self.cells.remove(0);
                self.cells.push(vec![" ".to_string(); self.columns]);
            }
        }

        pub(in crate::cli::edit) fn send(&mut self, text: &str) {
            let mut chars = text.chars();
            while let Some(char) = chars.next() {
                match char {
                    '\r' => self.column = 0,
                    '\n' => self.feed_line(),
                    '\x07' => {}
                    '\x1b' => {
                        assert_eq!(chars.next(), Some('['));
                        let (mut sequence, mut letter) = (String::new(), 'x');
                        for char in chars.by_ref() {
                            letter = char;
                            if char.is_alphabetic() {
                                break;
                            }
                            sequence.push(char);
                        }
                        self.obey(letter, &sequence);
                    }
                    _ => self.print(char),
                }
            }
        }

        fn obey(&mut self, letter: char, number: &str) {
            let count: usize = number.parse().unwrap_or(1);
            match letter {
                'A' => self.row = self.row.saturating_sub(count),
                'C' => self.column = (self.column + count).min(self.columns - 1),
                'H' => (self.row, self.column) = (0, 0),
                'J' => {
                    let start = if number == "2" { (0, 0) } else { (self.row, self.column.min(self.columns - 1)) };
                    for (row, cells) in self.cells.iter_mut().enumerate() {
                        for (column, cell) in cells.iter_mut().enumerate() {
                            if (row, column) >= start {
                                *cell = " ".to_string();
                            }
                        }
                    }
                }
                'm' => {}
                _ => panic!("a terminal is asked for {number:?}{letter:?}"),
            }
        }

        fn print(&mut self, char: char) {
            let wide = width(char);
            if wide == 0 {
                let column = self.column.saturating_sub(1).min(self.columns - 1);
                self.cells[self.row][column].push(char);
                return;
            }
            if self.column + wide > self.columns {
                self.column = 0;
                self.feed_line();
            }
            self.cells[self.row][self.column] = char.to_string();
            if wide == 2 {
                self.cells[self.row][self.column + 1] = String::new();
            }
            self.column += wide;
        }

        pub(in crate::cli::edit) fn shown(&self) -> String {
            let rows: Vec<String> = self.cells.iter().map(|row| row.concat().trim_end().to_string()).collect();
            rows.join("\n").trim_end().to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::model::Terminal;
    use super::*;

    /// What a terminal shows of a painting after another one, and its cursor.
    fn painted(size: (usize, usize), paintings: &[(&str, usize, &str)]) -> (String, usize, usize) {
        let mut terminal = Terminal::new(size.0, size.1);
        let mut screen = Screen::new(size.0, size.1);
        for &(line, at, hint) in paintings {
            let mut out = String::new();
            screen.paint("> ", line, at, hint, &mut out);
            terminal.send(&out);
        }
        (terminal.shown(), terminal.row, terminal.column)
    }

    #[test]
    fn a_line_is_seen_with_its_cursor_and_hint() {
        assert_eq!(painted((20, 3), &[("", 0, "")]), (">".to_string(), 0, 2));
        assert_eq!(painted((20, 3), &[("get k", 5, "")]), ("> get k".to_string(), 0, 7));
        assert_eq!(painted((20, 3), &[("get k", 1, "")]), ("> get k".to_string(), 0, 3));
        assert_eq!(painted((20, 3), &[("get", 3, " key")]), ("> get key".to_string(), 0, 5));
        assert_eq!(painted((8, 3), &[("get", 3, " key")]), ("> get k".to_string(), 0, 5));
        assert_eq!(painted((20, 3), &[("long line", 9, " x"), ("a", 1, "")]), ("> a".to_string(), 0, 3));
        assert_eq!(painted((20, 3), &[("a\tb\x1b", 4, "")]), ("> a^Ib^[".to_string(), 0, 8));
    }

    #[test]
    fn a_long_line_goes_over_several_rows() {
        assert_eq!(painted((5, 4), &[("abcdefg", 7, "")]), ("> abc\ndefg".to_string(), 1, 4));
        // The cursor stands on the next row when the last one is full.
        assert_eq!(painted((5, 4), &[("abc", 3, "hint")]), ("> abc\nhint".to_string(), 1, 0));
        assert_eq!(painted((5, 4), &[("abcdefgh", 3, "")]), ("> abc\ndefgh".to_string(), 1, 0));
        assert_eq!(painted((5, 4), &[("abcdefgh", 8, ""), ("ab", 1, "")]), ("> ab".to_string(), 0, 3));
        // A wide character does not stand on two rows.
        assert_eq!(painted((5, 4), &[("ab世界", 8, "")]), ("> ab\n世界".to_string(), 1, 4));
        assert_eq!(painted((5, 4), &[("abe\u{301}", 5, "")]).0, "> abe\u{301}");
    }

    #[test]
    fn of_more_rows_than_there_are_those_around_the_cursor_are_seen() {
        let line = "abc11111222223333344";
        assert_eq!(painted((5, 3), &[(line, 20, "")]), ("22222\n33333\n44".to_string(), 2, 2));
        assert_eq!(painted((5, 3), &[(line, 20, ""), (line, 0, "")]), ("> abc\n11111\n22222".to_string(), 0, 2));
        assert_eq!(painted((5, 3), &[(line, 0, ""), (line, 20, "")]), ("22222\n33333\n44".to_string(), 2, 2));
    }

    #[test]
    fn random_lines_are_seen_as_one_painted_alone() {
        for seed in crate::testkit::seeds(300) {
            let mut random = crate::testkit::Random::new(seed);
            let size = (2 + random.below(12), 1 + random.below(5));
            let mut terminal = Terminal::new(size.0, size.1);
            let mut screen = Screen::new(size.0, size.1);
            for _ in 0..20 {
                let chars: Vec<char> =
                    (0..random.below(40)).map(|_| ['a', 'b', '世', '\t', 'é'][random.below(5)]).collect();
                let line: String = chars.iter().collect();
                let at = chars[..random.below(chars.len() + 1)].iter().map(|char| char.len_utf8()).sum();
                let hint = ["", " key value"][random.below(2)];
                let mut out = String::new();
                screen.paint("> ", &line, at, hint, &mut out);
                terminal.send(&out);
                let alone = painted(size, &[(&line, at, hint)]);
                assert_eq!((terminal.shown(), terminal.column), (alone.0, alone.2), "seed {seed}: {line:?} at {at}");
            }
        }
    }

    #[test]
    fn another_width_finds_the_cursor_again() {
        let mut screen = Screen::new(10, 5);
        let mut out = String::new();
        screen.paint("> ", "abcdefghijkl", 12, "", &mut out);
        // The terminal breaks the rows anew.
        let mut terminal = Terminal::new(5, 5);
        terminal.send("> abcdefghijkl");
        screen.resize(5, 5);
        out.clear();
        screen.paint("> ", "abcdefghijkl", 12, "", &mut out);
        terminal.send(&out);
        assert_eq!((terminal.shown(), terminal.row, terminal.column), ("> abc\ndefgh\nijkl".to_string(), 2, 4));
    }
}
