//! Keys pressed on the terminal of the tests, and what is seen of them.

use super::screen::model::Terminal;
use super::*;

/// What the tests' tool knows: GET and GETDEL with a hint, and PASS, whose argument is secret.
struct Known;

impl Advice for Known {
    fn hint(&self, line: &str) -> String {
        if line == "get" { " key".to_string() } else { String::new() }
    }

    fn completions(&self, line: &str) -> (usize, Vec<String>) {
        let words = ["get", "getdel", "ping"].iter().filter(|word| word.starts_with(line));
        (0, words.map(|word| word.to_string()).collect())
    }

    fn secret(&self, line: &str) -> Option<usize> {
        line.starts_with("pass ").then_some(5)
    }
}

struct Desk {
    editor: Editor,
    keys: Keys,
    terminal: Terminal,
    history: Vec<String>,
}

impl Desk {
    fn new(history: &[&str]) -> Desk {
        let history: Vec<String> = history.iter().map(|line| line.to_string()).collect();
        let mut desk =
            Desk { editor: Editor::new(30, 6, &Known), keys: Keys::default(), terminal: Terminal::new(30, 6), history };
        desk.editor.start("> ", &desk.history);
        desk.shows();
        desk
    }

    /// Types; gives back what the keys led to.
    fn types(&mut self, bytes: &str) -> Vec<Done> {
        self.keys.feed(bytes.as_bytes());
        let mut done = Vec::new();
        while let Some(key) = self.keys.next() {
            match self.editor.press(key, &self.history) {
                None => self.editor.paint(),
                Some(end) => done.push(end),
            }
            self.shows();
        }
        done
    }

    /// The terminal gets what is to be sent to it.
    fn shows(&mut self) {
        self.terminal.send(&std::mem::take(&mut self.editor.out));
    }

    #[track_caller]
    fn sees(&mut self, typed: &str, shown: &str) {
        assert_eq!(self.types(typed), []);
        assert_eq!(self.terminal.shown(), shown, "{typed:?}");
    }
}

fn line(text: &str) -> Done {
    Done::Line(text.to_string())
}

#[test]
fn a_line_is_typed_edited_and_sent() {
    let mut desk = Desk::new(&[]);
    desk.sees("set k v", "> set k v");
    desk.sees("\x01\x1bf\x1b[C\x7fé", "> seték v");
    assert_eq!(desk.types("\x7f\x04 k1\x05\r"), [line("set k1 v")]);
    assert_eq!(desk.terminal.shown(), "> set k1 v");
    assert_eq!((desk.terminal.row, desk.terminal.column), (1, 0));
    assert_eq!(desk.types("\r"), [line("")]);
}

#[test]
fn keys_that_end_drop_or_leave_the_line() {
    assert_eq!(Desk::new(&[]).types("\x04"), [Done::End]);
    assert_eq!(Desk::new(&[]).types("ab\x03\r"), [Done::Dropped, line("")]);
    assert_eq!(Desk::new(&[]).types("ab\x1ac\r"), [Done::Suspend, line("abc")]);
    // Nothing to delete is no end.
    assert_eq!(Desk::new(&[]).types("ab\x04\r"), [line("ab")]);
}

#[test]
fn a_key_may_be_meant_as_itself() {
    let mut desk = Desk::new(&[]);
    desk.sees("a\x16\tb\x16\x03", "> a^Ib^C");
    assert_eq!(desk.types("\x16\r\r"), [line("a\tb\x03")]);
}

#[test]
fn what_is_pasted_completes_nothing() {
    let mut desk = Desk::new(&[]);
    desk.sees("\x1b[200~get\tk\x1b[201~", "> get^Ik");
    assert_eq!(desk.types("\r"), [line("get\tk")]);
    desk.types("\x1b[200~g\tx\x1b[201~\x15");
    assert_eq!(desk.types("p\t\r"), [line("ping ")]);
}

#[test]
fn a_hint_stands_behind_the_line_and_is_no_part_of_it() {
    let mut desk = Desk::new(&[]);
    desk.sees("get", "> get key");
    desk.sees("\x1b[D", "> get");
    assert_eq!(desk.types("\x05\r"), [line("get")]);
    assert_eq!(desk.terminal.shown(), "> get");
}

#[test]
fn what_is_secret_is_not_seen() {
    let mut desk = Desk::new(&[]);
    desk.sees("pass sésame", "> pass ******");
    desk.sees("\x1b[D\x1b[D\x7f", "> pass *****");
    assert_eq!(desk.terminal.column, 2 + 5 + 3);
    assert_eq!(desk.types("\r"), [line("pass sésme")]);
    assert_eq!(desk.terminal.shown(), "> pass *****");
}

#[test]
fn tab_completes_or_shows_what_fits() {
    let mut desk = Desk::new(&[]);
    desk.sees("p\t", "> ping");
    desk.sees("\x15g\t", "> get key");
    desk.sees("\t", "> get\nget  getdel\n> get key");
    desk.sees("d\t", "> get\nget  getdel\n> getdel");
    assert_eq!(desk.types("x\t\r"), [line("getdel x")]);
}

#[test]
fn what_fits_is_shown_in_whole_words() {
    let mut editor = Editor::new(12, 6, &Known);
    editor.start("> ", &[]);
    editor.press(Key::Control(b'I'), &[]);
    assert!(editor.out.ends_with("\r\nget  getdel\r\nping\r\n"), "{:?}", editor.out);
}

#[test]
fn lines_typed_before_come_back() {
    let mut desk = Desk::new(&["one", "two"]);
    desk.sees("new\x1b[A", "> two");
    desk.sees("\x1b[A\x1b[A\x1b[A", "> one");
    desk.sees("\x1b[B\x1b[B\x1b[B", "> new");
    desk.sees("\x1b<", "> one");
    desk.sees("\x1b>", "> new");
    desk.sees("\x10x\x1f", "> two");
    assert_eq!(desk.types("\r"), [line("two")]);
}

#[test]
fn lines_typed_before_are_searched() {
    let mut desk = Desk::new(&["set a 1", "get b", "set c 3", "set c 3"]);
    desk.sees("x\x12", "(search '') x");
    desk.sees("se", "(search 'se') set c 3");
    desk.sees("\x12", "(search 'se') set a 1");
    desk.sees("\x12", "(search finds no 'se') set a 1");
    desk.sees("\x07", "> x");
    desk.sees("\x12b", "(search 'b') get b");
    desk.sees("z", "(search finds no 'bz') get b");
    desk.sees("\x7f", "(search 'b') get b");
    desk.sees("\x1b[D!", "> get !b");
    assert_eq!(desk.types("\x12a 1\r"), [line("set a 1")]);
}

#[test]
fn the_screen_is_cleared_and_resized() {
    let mut desk = Desk::new(&[]);
    desk.sees("one\r".trim_end(), "> one");
    desk.types("\r");
    desk.sees("two\x0c", "> two");
    assert_eq!(desk.terminal.row, 0);
    desk.editor.resize(4, 6);
    let mut narrow = Terminal::new(4, 6);
    narrow.send("> two");
    narrow.send(&desk.editor.out);
    assert_eq!((narrow.shown(), narrow.row, narrow.column), ("> tw\no".to_string(), 1, 1));
}
