//! The command table as the program holds it: the compiler makes it from the rows. Their names are one text. What they say
//! of arguments and of what a command does, which is seldom asked for, is another one, packed.

use super::rows::ROWS;
use super::sub::Subcommand;
use super::table::{CommandSpec, Row};
use crate::lzf::packed;

/// A row as it is written.
pub(super) type Written = Row<&'static str, &'static [WrittenSub]>;

/// A row within a row as it is written.
pub(super) type WrittenSub = Subcommand<&'static str>;

/// A row's name, its arguments and what it does.
macro_rules! text {
    ($name:literal, $usage:literal, $summary:literal) => {
        concat!($name, "\n", $usage, "\n", $summary)
    };
}
pub(super) use text;

/// Where the texts of a row are.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    name_at: u16,
    usage_at: u16,
    name_bytes: u8,
}

impl Text {
    /// The name.
    #[inline(never)]
    pub const fn name(self) -> &'static str {
        let (_, from) = NAMES.split_at(self.name_at as usize);
        from.split_at(self.name_bytes as usize).0
    }
}

/// Which of all subcommands are a command's.
#[derive(Clone, Copy, Debug)]
pub struct Subs {
    first: u8,
    count: u8,
}

impl Subs {
    /// Whether there are none.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.count == 0
    }

    /// Their rows.
    pub fn rows(self) -> &'static [Subcommand] {
        &SUBCOMMANDS[usize::from(self.first)..][..usize::from(self.count)]
    }
}

/// What all rows say of themselves.
#[derive(Debug)]
pub struct Texts(String);

impl Texts {
    /// Unpacks it.
    #[inline(never)]
    pub fn unpack() -> Texts {
        const TEXTS: &str = as_text(&PARTS.texts);
        Texts(packed!(TEXTS).text())
    }

    /// The arguments of a command.
    pub fn usage(&self, text: Text) -> &str {
        self.line(text, 0)
    }

    /// What it does.
    pub fn summary(&self, text: Text) -> &str {
        self.line(text, 1)
    }

    fn line(&self, text: Text, line: usize) -> &str {
        self.0[usize::from(text.usage_at)..].lines().nth(line).unwrap_or_default()
    }
}

/// Every command, ordered by name.
pub static COMMANDS: &[CommandSpec] = &TABLE;

// Each by itself: what refers to a part of a constant has all of it in the program.
static TABLE: [CommandSpec; ROWS.len()] = PARTS.commands;

static SUBCOMMANDS: [Subcommand; SIZES.subcommands] = PARTS.subcommands;

static NAMES: &str = as_text(&NAME_BYTES);
static NAME_BYTES: [u8; SIZES.names] = PARTS.names;

/// What the rows become.
struct Parts {
    names: [u8; SIZES.names],
    texts: [u8; SIZES.texts],
    commands: [CommandSpec; ROWS.len()],
    subcommands: [Subcommand; SIZES.subcommands],
}

const PARTS: Parts = {
    let none = Text { name_at: 0, usage_at: 0, name_bytes: 0 };
    let mut parts = Parts {
        names: [0; _],
        texts: [0; _],
        commands: [ROWS[0].with(none, Subs { first: 0, count: 0 }); _],
        subcommands: [ROWS[0].subcommands[0].with(none); _],
    };
    let (mut at, mut row, mut subs) = (Sizes { names: 0, texts: 0, subcommands: 0 }, 0, 0);
    while row < ROWS.len() {
        let written = &ROWS[row];
        let text = parts.put(&mut at, written.text);
        let mine = Subs { first: subs as u8, count: written.subcommands.len() as u8 };
        parts.commands[row] = written.with(text, mine);
        let mut sub = 0;
        while sub < written.subcommands.len() {
            let text = parts.put(&mut at, written.subcommands[sub].text);
            parts.subcommands[subs] = written.subcommands[sub].with(text);
            sub += 1;
            subs += 1;
        }
        row += 1;
    }
    parts
};

impl Parts {
    /// Puts a row's texts behind those that are there.
    const fn put(&mut self, at: &mut Sizes, text: &str) -> Text {
        let (name, rest) = cut(text);
        let place = Text { name_at: at.names as u16, usage_at: at.texts as u16, name_bytes: name.len() as u8 };
        let (_, names) = self.names.split_at_mut(at.names);
        names.split_at_mut(name.len()).0.copy_from_slice(name.as_bytes());
        let (_, texts) = self.texts.split_at_mut(at.texts);
        texts.split_at_mut(rest.len()).0.copy_from_slice(rest.as_bytes());
        texts[rest.len()] = b'\n';
        at.add(text);
        place
    }
}

/// How much there is of all.
struct Sizes {
    names: usize,
    texts: usize,
    subcommands: usize,
}

impl Sizes {
    const fn add(&mut self, text: &str) {
        let (name, rest) = cut(text);
        self.names += name.len();
        self.texts += rest.len() + 1;
    }
}

const SIZES: Sizes = {
    let (mut sizes, mut row) = (Sizes { names: 0, texts: 0, subcommands: 0 }, 0);
    while row < ROWS.len() {
        sizes.add(ROWS[row].text);
        let mut sub = 0;
        while sub < ROWS[row].subcommands.len() {
            sizes.add(ROWS[row].subcommands[sub].text);
            sub += 1;
        }
        sizes.subcommands += sub;
        row += 1;
    }
    assert!(sizes.texts <= u16::MAX as usize && sizes.subcommands <= u8::MAX as usize);
    sizes
};

/// A text's first line, and what follows.
pub(super) const fn cut(text: &str) -> (&str, &str) {
    let mut end = 0;
    while text.as_bytes()[end] != b'\n' {
        end += 1;
    }
    (text.split_at(end).0, text.split_at(end + 1).1)
}

const fn as_text(bytes: &[u8]) -> &str {
    match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => panic!("texts are UTF-8"),
    }
}
