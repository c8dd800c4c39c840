//! Reads the program's own source, roughly: comments and literals are blanked, items for tests cut out.

use std::fs;
use std::path::Path;

/// A source file of the repository.
pub struct Source {
    /// Its path from the root, with slashes.
    pub path: String,
    /// What it holds.
    pub text: String,
}

impl Source {
    /// The code alone: comments and the contents of literals are blanks, line ends stay.
    pub fn code(&self) -> String {
        code_only(&self.text)
    }

    /// The code alone, without the items under `#[cfg(test)]`.
    pub fn shipped_code(&self) -> String {
        without_tests(&self.code())
    }

    /// The path of modules from the crate's root: `store::page` is `["store", "page"]`, `lib.rs` is empty.
    pub fn module(&self) -> Vec<&str> {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path).trim_end_matches(".rs");
        let mut names: Vec<&str> = inside.split('/').collect();
        if names.last() == Some(&"mod") || names == ["lib"] {
            names.pop();
        }
        names
    }
}

/// Every Rust file under a folder of the repository, by path.
pub fn rust_files(folder: &str) -> Vec<Source> {
    let root = super::root();
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(read(root, &path));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn read(root: &Path, path: &Path) -> Source {
    let name = path.strip_prefix(root).expect("a path under the root").to_str().expect("a plain name").to_string();
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"));
    Source { path: name, text }
}

/// The paths of files that only tests compile: those whose `mod` line stands under `#[cfg(test)]`, and what is in their
/// folders.
pub fn test_only(files: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        let code = file.code();
        for (start, _) in code.match_indices("#[cfg(test)]") {
            let item = &code[start..start + item_length(&code[start..])];
            let Some(declared) = item.trim_end().strip_suffix(';') else { continue };
            let mut words = declared.split_whitespace().rev();
            let (name, keyword) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
            if keyword == "mod" {
                let mut path = file.module();
                path.push(name);
                let path = path.join("/");
                let (own, folder) = (format!("src/{path}.rs"), format!("src/{path}/"));
                let is_part = |path: &&String| **path == own || path.starts_with(&folder);
                found.extend(files.iter().map(|file| &file.path).filter(is_part).cloned());
            }
        }
    }
    found
}

/// How long the item at the start is: to its semicolon, or to the brace that closes it.
fn item_length(code: &str) -> usize {
    let mut depth = 0usize;
    for (position, byte) in code.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return position + 1;
                }
            }
            b';' if depth == 0 => return position + 1,
            _ => {}
        }
    }
    code.len()
}

/// Cuts out the items under `#[cfg(test)]`; line ends stay, so that line numbers hold.
pub fn without_tests(code: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(start) = rest.find("#[cfg(test)]") {
        kept.push_str(&rest[..start]);
        let length = item_length(&rest[start..]);
        kept.extend(rest[start..start + length].chars().filter(|&char| char == '\n'));
        rest = &rest[start + length..];
    }
    kept.push_str(rest);
    kept
}

/// Blanks comments and what stands inside of string and character literals.
pub fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    let mut blank = |from: usize, to: usize| {
        for byte in &mut code[from..to] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    };
    while at < bytes.len() {
        let rest = &bytes[at..];
        let word_before = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
        if rest.starts_with(b"//") {
            let end = at + rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
            blank(at, end);
            at = end;
        } else if rest.starts_with(b"/*") {
            let mut depth = 0;
            let mut end = at;
            while end < bytes.len() {
                if bytes[end..].starts_with(b"/*") {
                    depth += 1;
                    end += 2;
                } else if bytes[end..].starts_with(b"*/") {
                    depth -= 1;
                    end += 2;
                    if depth == 0 {
                        break;
                    }
                } else {
                    end += 1;
                }
            }
            blank(at, end.min(bytes.len()));
            at = end;
        } else if let (Some(hashes), false) = (raw_string_hashes(rest), word_before) {
            let open = at + rest.iter().position(|&byte| byte == b'"').expect("a quote") + 1;
            let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
            let length = bytes[open..].windows(close.len()).position(|window| window == close);
            let end = open + length.unwrap_or(bytes.len() - open);
            blank(open, end);
            at = end + close.len();
        } else if rest[0] == b'"' {
            let mut end = at + 1;
            while end < bytes.len() && bytes[end] != b'"' {
                end += if bytes[end] == b'\\' { 2 } else { 1 };
            }
            blank(at + 1, end.min(bytes.len()));
            at = end + 1;
        } else if rest[0] == b'\'' {
            // A quote opens a character literal, or a lifetime, which has no closing quote.
            let end = if rest.get(1) == Some(&b'\\') {
                rest.iter().skip(3).position(|&byte| byte == b'\'').map(|length| at + 3 + length)
            } else {
                let width = std::str::from_utf8(&rest[1..]).ok().and_then(|text| text.chars().next());
                let width = width.map_or(1, char::len_utf8);
                (rest.get(1 + width) == Some(&b'\'')).then_some(at + 1 + width)
            };
            match end {
                Some(end) => {
                    blank(at + 1, end);
                    at = end + 1;
                }
                None => at += 1,
            }
        } else {
            at += 1;
        }
    }
    String::from_utf8(code).expect("only whole characters are blanked")
}

/// The number of hashes of a raw string that starts here.
fn raw_string_hashes(bytes: &[u8]) -> Option<usize> {
    let bytes = bytes.strip_prefix(b"b").or(bytes.strip_prefix(b"c")).unwrap_or(bytes).strip_prefix(b"r")?;
    let hashes = bytes.iter().take_while(|&&byte| byte == b'#').count();
    (bytes.get(hashes) == Some(&b'"')).then_some(hashes)
}

/// The lines (from 1) on which the word stands by itself.
pub fn lines_with_word(code: &str, word: &str) -> Vec<usize> {
    let is_part = |char: char| char.is_alphanumeric() || char == '_';
    let mut lines = Vec::new();
    for (number, line) in code.lines().enumerate() {
        for (start, _) in line.match_indices(word) {
            let before = line[..start].chars().next_back().is_some_and(is_part);
            let after = line[start + word.len()..].chars().next().is_some_and(is_part);
            if !before && !after {
                lines.push(number + 1);
            }
        }
    }
    lines.dedup();
    lines
}
