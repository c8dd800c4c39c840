//! What the command table says to who types: completions, hints of arguments, help.

use super::edit::Advice;
use super::history;
use crate::command::{COMMANDS, CommandSpec, lookup};

/// The words that ask for help at the prompt.
const HELP: &[&str] = &["help", "?", "h"];

/// What is known from the table.
pub(super) struct Table;

fn words(line: &str) -> Vec<&str> {
    line.split([' ', '\t']).filter(|word| !word.is_empty()).collect()
}

/// The arguments of a usage: its words, what stands in brackets as one.
fn arguments(usage: &str) -> Vec<&str> {
    let (mut found, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, byte) in usage.bytes().chain([b' ']).enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' => depth -= 1,
            b' ' if depth == 0 => {
                found.push(&usage[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found
}

impl Advice for Table {
    fn hint(&self, line: &str) -> String {
        let words = words(line);
        let Some(row) = words.first().and_then(|name| lookup(name.as_bytes())) else { return String::new() };
        let (mut usage, mut given) = (row.usage, words.len() - 1);
        if given > 0 && !row.subcommands.is_empty() {
            let Some(sub) = row.subcommands.iter().find(|sub| sub.word().eq_ignore_ascii_case(words[1])) else {
                return String::new();
            };
            (usage, given) = (sub.usage, given - 1);
        }
        let mut arguments = arguments(usage);
        if row.rest > 0 {
            // The last of a line takes all that follows it.
            arguments.truncate(row.rest);
        }
        if arguments.last().is_some_and(|last| last.contains("...")) {
            given = given.min(arguments.len() - 1);
        }
        let left = arguments.get(given..).unwrap_or_default().join(" ");
        let space = if line.ends_with([' ', '\t']) || left.is_empty() { "" } else { " " };
        format!("{space}{left}")
    }

    fn completions(&self, line: &str) -> (usize, Vec<String>) {
        let start = line.rfind([' ', '\t']).map_or(0, |blank| blank + 1);
        let (before, typed) = (words(&line[..start]), &line[start..]);
        let mut names: Vec<&str> = match before.as_slice() {
            [] => COMMANDS.iter().map(|row| row.name).chain(["help"]).collect(),
            [word] if is_help(word) => COMMANDS.iter().map(|row| row.name).collect(),
            [word] => {
                lookup(word.as_bytes()).map_or(&[][..], |row| row.subcommands).iter().map(|sub| sub.word()).collect()
            }
            _ => Vec::new(),
        };
        names.retain(|name| name.get(..typed.len()).is_some_and(|start| start.eq_ignore_ascii_case(typed)));
        let sample = if typed.is_empty() { before.first().unwrap_or(&"") } else { typed };
        let small = sample.starts_with(|char: char| char.is_ascii_lowercase());
        (start, names.iter().map(|name| if small { name.to_string() } else { name.to_ascii_uppercase() }).collect())
    }

    fn secret(&self, line: &str) -> Option<usize> {
        history::secret(line)
    }
}

fn is_help(word: &str) -> bool {
    HELP.iter().any(|help| word.eq_ignore_ascii_case(help))
}

/// The answer to a line that asks for help, `help` alone or with a command.
pub(super) fn help(line: &str) -> Option<String> {
    match words(line).as_slice() {
        [word] if is_help(word) => Some(overview()),
        [word, name] if is_help(word) => Some(
            lookup(name.as_bytes())
                .map_or_else(|| format!("There is no command {name}; 'help' lists those that there are.\n"), describe),
        ),
        _ => None,
    }
}

fn overview() -> String {
    let mut text = String::new();
    let mut families: Vec<&str> = Vec::new();
    for row in COMMANDS {
        if !families.contains(&row.family.name()) {
            families.push(row.family.name());
        }
    }
    for family in families {
        let names = COMMANDS.iter().filter(|row| row.family.name() == family).map(|row| row.name.to_ascii_uppercase());
        text += &wrap(&format!("{family}:"), names);
    }
    text + "\nhelp COMMAND   what it does, and its arguments\n\
            Tab            complete a command     Ctrl-R   search the lines typed before\n\
            Ctrl-C         stop what runs         Ctrl-D   end (so do QUIT and EXIT)\n"
}

/// Words in lines of at most 78 columns, behind a title.
fn wrap(title: &str, words: impl Iterator<Item = String>) -> String {
    const COLUMNS: usize = 78;
    const INDENT: usize = 14;
    let mut text = format!("{title:INDENT$}");
    let mut column = INDENT;
    for word in words {
        if column + word.len() + 1 > COLUMNS {
            text += &format!("\n{:INDENT$}", "");
            column = INDENT;
        }
        column += word.len() + 1;
        text += &format!("{word} ");
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

fn describe(row: &CommandSpec) -> String {
    let mut text = format!("{} {}\n{}.\n", row.name.to_ascii_uppercase(), row.usage, row.summary);
    if row.rest > 0 {
        text += "Typed as a line, its last argument is the rest of the line, with all its blanks.\n";
    }
    for sub in row.subcommands {
        text += &format!("  {} {}: {}\n", sub.word().to_ascii_uppercase(), sub.usage, sub.summary).replace(" :", ":");
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
                assert!(!Table.hint(&format!("{}{end}", row.name)).contains('\n'), "{}", row.name);
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
            assert!(overview.contains(&format!(" {}", row.name.to_uppercase())), "{}", row.name);
        }
        assert!(overview.lines().all(|line| line.len() <= 79), "{overview}");
        let get = help("? get").expect("help");
        assert!(get.starts_with("GET key\nAnswer a value.\n"), "{get}");
        assert!(help("H config").expect("help").contains("\n  GET "));
        assert!(help("help nonsense").expect("help").contains("no command nonsense"));
        assert!(help("get help").is_none() && help("").is_none() && help("help get k").is_none());
    }
}
