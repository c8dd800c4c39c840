//! What the command table says to who types: completions, hints of arguments, help.

use super::edit::Advice;
use super::{has, history, words};
use crate::command::{COMMANDS, CommandSpec, Texts, lookup};

/// The words that ask for help at the prompt.
const HELP: &[&str] = &["help", "?", "h"];

/// What is known from the table.
pub(super) struct Table;

/// The arguments of a usage, as where each begins and ends: its words, what stands in brackets as one.
fn arguments(usage: &str) -> Vec<(usize, usize)> {
    let (mut found, mut depth, mut start) = (Vec::new(), 0, 0);
    for at in 0..=usage.len() {
        match usage.as_bytes().get(at) {
            Some(b'[') => depth += 1,
            Some(b']') => depth -= 1,
            None | Some(b' ') if depth == 0 => {
                found.push((start, at));
                start = at + 1;
            }
            _ => {}
        }
    }
    found
}

impl Advice for Table {
    #[inline(never)]
    fn hint(&self, line: &str) -> String {
        let words = words(line);
        let Some(row) = words.first().and_then(|(_, name)| lookup(name.as_bytes())) else { return String::new() };
        let texts = Texts::unpack();
        let (mut usage, mut given) = (texts.usage(row.text), words.len() - 1);
        if given > 0 && !row.subcommands.is_empty() {
            let Some(sub) = row.subcommands().iter().find(|sub| sub.word().eq_ignore_ascii_case(words[1].1)) else {
                return String::new();
            };
            (usage, given) = (texts.usage(sub.text), given - 1);
        }
        let mut arguments = arguments(usage);
        if row.rest > 0 {
            // The last of a line takes all that follows it.
            arguments.truncate(row.rest.into());
        }
        let (last, end) = arguments.last().copied().unwrap_or_default();
        if has(&usage[last..end], "...") {
            given = given.min(arguments.len() - 1);
        }
        let mut hint = String::new();
        if let Some(&(start, _)) = arguments.get(given)
            && start < end
        {
            if !ends_blank(line) {
                hint.push(' ');
            }
            hint += &usage[start..end];
        }
        hint
    }

    #[inline(never)]
    fn completions(&self, line: &str) -> (usize, Vec<String>) {
        let mut before = words(line);
        let start = if ends_blank(line) { line.len() } else { before.pop().map_or(0, |(start, _)| start) };
        let typed = &line[start..];
        let sample = if typed.is_empty() { before.first().map_or("", |(_, word)| word) } else { typed };
        let is_small = sample.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
        let mut found = Vec::new();
        let mut offer = |name: &str| {
            if name.as_bytes().get(..typed.len()).is_some_and(|start| start.eq_ignore_ascii_case(typed.as_bytes())) {
                found.push(if is_small { name.to_string() } else { name.to_ascii_uppercase() });
            }
        };
        match before.first() {
            _ if before.len() > 1 => {}
            Some((_, word)) if !is_help(word) => {
                if let Some(row) = lookup(word.as_bytes()) {
                    row.subcommands().iter().for_each(|sub| offer(sub.word()));
                }
            }
            first => {
                for row in COMMANDS {
                    offer(row.name());
                }
                if first.is_none() {
                    offer("help");
                }
            }
        }
        (start, found)
    }

    fn secret(&self, line: &str) -> Option<usize> {
        history::secret(line)
    }
}

fn is_help(word: &str) -> bool {
    HELP.iter().any(|help| word.eq_ignore_ascii_case(help))
}

fn ends_blank(line: &str) -> bool {
    matches!(line.as_bytes().last(), Some(b' ' | b'\t'))
}

/// The answer to a line that asks for help, `help` alone or with a command.
#[inline(never)]
pub(super) fn help(line: &str) -> Option<String> {
    match words(line).as_slice() {
        [(_, word)] if is_help(word) => Some(overview()),
        [(_, word), (_, name)] if is_help(word) => Some(match lookup(name.as_bytes()) {
            Some(row) => describe(row),
            None => format!("There is no command {name}; 'help' lists those that there are.\n"),
        }),
        _ => None,
    }
}

/// The names of all commands, a paragraph a family.
fn overview() -> String {
    const COLUMNS: usize = 78;
    const INDENT: usize = 13;
    let mut text = String::new();
    for (place, first) in COMMANDS.iter().enumerate() {
        let family = first.family.name();
        if COMMANDS[..place].iter().any(|row| row.family.name() == family) {
            continue;
        }
        let mut start = text.len();
        text += family;
        text.push(':');
        for row in &COMMANDS[place..] {
            if row.family.name() != family {
                continue;
            }
            if text.len() + 1 + row.name().len() > start + COLUMNS {
                text.push('\n');
                start = text.len();
            }
            while text.len() < start + INDENT {
                text.push(' ');
            }
            text.push(' ');
            text += &row.name().to_ascii_uppercase();
        }
        text.push('\n');
    }
    text + "\nhelp COMMAND   what it does, and its arguments\n\
            Tab            complete a command     Ctrl-R   search the lines typed before\n\
            Ctrl-C         stop what runs         Ctrl-D   end (so do QUIT and EXIT)\n"
}

fn describe(row: &CommandSpec) -> String {
    let texts = Texts::unpack();
    let mut text =
        format!("{} {}\n{}.\n", row.name().to_ascii_uppercase(), texts.usage(row.text), texts.summary(row.text));
    if row.rest > 0 {
        text += "Typed as a line, its last argument is the rest of the line, with all its blanks.\n";
    }
    for sub in row.subcommands() {
        text += "  ";
        text += &sub.word().to_ascii_uppercase();
        if !texts.usage(sub.text).is_empty() {
            text.push(' ');
            text += texts.usage(sub.text);
        }
        text += ": ";
        text += texts.summary(sub.text);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_are_the_arguments_that_are_left() {
        for (line, wanted) in [
            ("ge", ""),
            ("get", " key"),
            ("GET ", "key"),
            ("get k", ""),
            ("get k ", ""),
            ("  expire k", " seconds [NX | XX | GT | LT]"),
            ("expire k 10 ", "[NX | XX | GT | LT]"),
            ("set", " key value"),
            ("set k ", "value"),
            ("set k v ", ""),
            ("setex k 10 ", "value"),
            ("del", " key [key ...]"),
            ("del a b c ", "[key ...]"),
            ("client", " GETNAME | HELP"),
            ("client kill ", "<ip:port> | <option> <value> ..."),
            ("client ki", ""),
            ("config get", " <pattern>"),
            ("nonsense ", ""),
            ("ping", " [message]"),
        ] {
            let hint = Table.hint(line);
            let same =
                if line == "client" || line == "config get" { hint.starts_with(&wanted[..9]) } else { hint == wanted };
            assert!(same, "{line:?}: {hint:?}");
        }
        // Whatever is typed, a hint is one line.
        for row in COMMANDS {
            for end in ["", " ", " a", " a b c d e f "] {
                assert!(!Table.hint(&format!("{}{end}", row.name())).contains('\n'), "{}", row.name());
            }
        }
    }

    #[test]
    fn commands_and_their_second_words_are_completed() {
        let all = |line: &str| Table.completions(line).1.join(" ");
        assert_eq!(all("getr"), "getrange");
        assert_eq!(all("GETR"), "GETRANGE");
        assert_eq!(all("hel"), "hello help");
        assert_eq!(Table.completions("  cluster key"), (10, vec!["keyslot".to_string()]));
        assert_eq!(all("SLOWLOG "), "GET LEN RESET");
        assert_eq!(all("help exp"), "expire expireat expiretime");
        assert_eq!(all("get k"), "");
        assert_eq!(all("é"), "");
        assert_eq!(Table.completions("").1.len(), COMMANDS.len() + 1);
    }

    #[test]
    fn help_tells_of_all_commands_or_of_one() {
        let overview = help(" help ").expect("help");
        for row in COMMANDS {
            assert!(overview.contains(&format!(" {}", row.name().to_uppercase())), "{}", row.name());
        }
        assert!(overview.lines().all(|line| line.len() <= 79), "{overview}");
        let get = help("? get").expect("help");
        assert!(get.starts_with("GET key\nAnswer a value.\n"), "{get}");
        assert!(help("H config").expect("help").contains("\n  GET "));
        assert!(help("help nonsense").expect("help").contains("no command nonsense"));
        assert!(help("get help").is_none() && help("").is_none() && help("help get k").is_none());
    }
}
