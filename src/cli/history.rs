//! The lines typed before, kept in a file that nobody else may read.

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use super::{read_file, words};
use crate::sys::files;

/// So many lines are remembered.
const LINES_MAX: usize = 1000;

/// A file of more is no history, or one of very long lines.
const BYTES_MAX: usize = 4 << 20;

/// A line of more is not remembered.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// The lines, the oldest first, and where they are kept.
#[derive(Default)]
pub(super) struct History {
    pub(super) lines: Vec<String>,
    path: Option<PathBuf>,
}

impl History {
    /// The lines of the file, as far as they can be read; a file with many more than are remembered is cut to these.
    #[inline(never)]
    pub(super) fn load(path: PathBuf) -> History {
        let bytes = read_file(path.as_os_str()).unwrap_or_default();
        // The newest lines are at the end; the first one may be cut.
        let start = bytes.len().saturating_sub(BYTES_MAX);
        let mut lines = Vec::new();
        for line in String::from_utf8_lossy(&bytes[start..]).lines().skip(usize::from(start > 0)) {
            if !line.is_empty() {
                lines.push(line.to_string());
            }
        }
        let is_long = start > 0 || lines.len() > 2 * LINES_MAX;
        lines = lines.split_off(lines.len().saturating_sub(LINES_MAX));
        if is_long {
            // It can be done the next time as well.
            let mut text = String::new();
            for line in &lines {
                text += line;
                text.push('\n');
            }
            let _ = files::write(&path, text.as_bytes());
        }
        History { lines, path: Some(path) }
    }

    /// Remembers a line, unless it is blank, begins with a blank, is the last one again, or holds a password.
    #[inline(never)]
    pub(super) fn add(&mut self, line: &str) {
        let unwanted = line.is_empty() || line.starts_with([' ', '\t']) || line.len() > LINE_BYTES_MAX;
        if unwanted || self.lines.last().is_some_and(|last| last == line) || secret(line).is_some() {
            return;
        }
        if self.lines.len() >= LINES_MAX {
            self.lines.remove(0);
        }
        self.lines.push(line.to_string());
        if let Some(path) = &self.path {
            // A box may have no home that can be written to: the lines of this time are remembered all the same.
            let _ = append(path, line);
        }
    }
}

fn append(path: &Path, line: &str) -> io::Result<()> {
    let file = files::to_append(path)?;
    files::close_to_others(file.as_fd())?;
    // In one call, since several tools may do so at once.
    files::write_all(file.as_fd(), [line, "\n"].concat().as_bytes())
}

/// Where in a line a password begins: AUTH's arguments, HELLO's behind AUTH, the value of a setting that is one.
pub(super) fn secret(line: &str) -> Option<usize> {
    let words = words(line);
    let is = |place: usize, name: &str| {
        let Some((_, word)) = words.get(place) else { return false };
        let mut word = word.as_bytes();
        while let [b'"' | b'\'', rest @ ..] | [rest @ .., b'"' | b'\''] = word {
            word = rest;
        }
        word.eq_ignore_ascii_case(name.as_bytes())
    };
    let place = if is(0, "auth") {
        0
    } else if is(0, "hello") {
        (1..words.len()).find(|&place| is(place, "auth"))?
    } else if is(0, "config") && is(1, "set") {
        (2..words.len()).find(|&place| ["requirepass", "masterauth"].iter().any(|name| is(place, name)))?
    } else {
        return None;
    };
    let (at, word) = words[place];
    let end = at + word.len() + 1;
    (end <= line.len()).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    fn file(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("memento-history-{}-{name}", std::process::id()))
    }

    #[test]
    fn passwords_are_found() {
        for (line, wanted) in [
            ("AUTH secret", Some(5)),
            ("  auth default secret", Some(7)),
            ("auth ", Some(5)),
            ("auth", None),
            ("hello 3 AUTH default secret", Some(13)),
            ("hello 3", None),
            ("config set maxmemory 1 requirepass x", Some(35)),
            ("CONFIG SET \"requirepass\" x", Some(25)),
            ("config get requirepass", None),
            ("get auth x", None),
            ("", None),
        ] {
            assert_eq!(secret(line), wanted, "{line:?}");
        }
    }

    #[test]
    fn lines_are_kept_in_a_file_of_ones_own() {
        let path = file("own");
        let mut history = History::load(path.clone());
        for line in ["get a", "get a", "", " get hidden", "AUTH secret", "config set requirepass x", "set b é"] {
            history.add(line);
        }
        assert_eq!(history.lines, ["get a", "set b é"]);
        assert_eq!(fs::read_to_string(&path).expect("the file"), "get a\nset b é\n");
        let mode = || fs::metadata(&path).expect("the file").permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600);
        // One that others may read is closed to them before anything is added.
        fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("our own file");
        History::load(path.clone()).add("get c");
        assert_eq!((mode(), History::load(path.clone()).lines.len()), (0o600, 3));
        fs::remove_file(path).expect("the file");
    }

    #[test]
    fn the_file_and_what_is_remembered_have_bounds() {
        let path = file("long");
        let text: String = (0..3000).map(|number| format!("get {number}\n")).collect();
        fs::write(&path, text).expect("the file");
        let mut history = History::load(path.clone());
        assert_eq!((history.lines.len(), history.lines[0].as_str()), (LINES_MAX, "get 2000"));
        history.add("get last");
        history.add(&"x".repeat(LINE_BYTES_MAX + 1));
        assert_eq!((history.lines.len(), history.lines[0].as_str()), (LINES_MAX, "get 2001"));
        let kept = fs::read_to_string(&path).expect("the file");
        assert_eq!((kept.lines().count(), kept.lines().last()), (LINES_MAX + 1, Some("get last")));
        fs::remove_file(path).expect("the file");
    }

    #[test]
    fn of_a_file_that_is_too_long_the_newest_lines_are_read() {
        let path = file("huge");
        let text = format!("get first\n{}\nget last\n", "x".repeat(BYTES_MAX));
        fs::write(&path, text).expect("the file");
        assert_eq!(History::load(path.clone()).lines, ["get last"]);
        // It is cut, so that it does not grow for ever.
        assert_eq!(fs::read_to_string(&path).expect("the file"), "get last\n");
        fs::remove_file(path).expect("the file");
    }

    #[test]
    fn without_a_place_to_write_there_is_a_history_still() {
        let mut history = History::load(PathBuf::from("/nowhere/at/all"));
        history.add("get a");
        assert_eq!(history.lines, ["get a"]);
    }
}
