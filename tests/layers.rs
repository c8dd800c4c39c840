//! Which way imports point, and who may hold a descriptor: the rules of the architecture, read from the source.
//!
//! A module that is not in the table fails the test, so that a new one gets its place when it is written.

mod support;

use support::source::{Source, lines_with_word, rust_files, test_only};

/// These may be used from anywhere.
const EVERYWHERE: &[&str] = &["limits", "log", "stats"];

/// A module, and what else of the crate it may name, from the crate's root on. A path allows all below it.
const MAY_USE: &[(&str, &[&str])] = &[
    ("limits", &[]),
    ("stats", &[]),
    // A line of the log carries the time and goes to standard output without blocking.
    ("log", &["sys"]),
    ("sys", &[]),
    // What a long value lies in, from the parser over the store to the reply.
    ("blob", &["sys::mapping"]),
    ("pairs", &[]),
    ("timer", &["pairs"]),
    ("buffer", &[]),
    ("proto", &["blob"]),
    ("store", &["blob", "pairs", "sys::mapping", "sys::pages", "sys::reserve", "sys::simd"]),
    ("reactor", &["sys", "timer"]),
    ("names", &["pairs"]),
    // What Redis packs its values with, and the compiler this program's texts.
    ("lzf", &[]),
    ("pubsub", &["blob", "names", "proto"]),
    // Numbers are written as Redis writes them.
    ("dump", &["blob", "lzf", "proto::Digits", "proto::integer"]),
    ("command", &["blob", "dump", "lzf", "names", "proto", "pubsub", "store"]),
    ("conn", &["blob", "buffer", "proto"]),
    ("cluster", &["blob", "buffer", "pairs", "proto", "store::slot", "timer"]),
    // The server and its tools are told passwords in the same ways.
    ("secret", &["sys::files", "sys::program", "sys::reason"]),
    // An amount of memory is read alike on the command line and by CONFIG.
    ("config", &["lzf", "proto::memory_size", "secret", "sys"]),
    ("client", &["proto", "sys::clock", "sys::dial", "sys::reason", "sys::resolve", "sys::sentence", "sys::socket"]),
    // The command table's names and help, nothing that runs a command.
    (
        "cli",
        &[
            "sys::clock",
            "sys::files",
            "sys::program",
            "sys::stdio",
            "sys::threads",
            "sys::tty",
            "client",
            "lzf",
            "secret",
            "command::COMMANDS",
            "command::CommandSpec",
            "command::Texts",
            "command::lookup",
        ],
    ),
    // What the reactor is to watch for has a name there.
    (
        "benchmark",
        &[
            "client",
            "lzf",
            "secret",
            "sys::alarm",
            "sys::clock",
            "sys::dial",
            "sys::epoll",
            "sys::resource",
            "sys::socket",
            "sys::stdio",
            "sys::threads",
        ],
    ),
    (
        "server",
        &[
            "blob", "dump", "pairs", "sys", "timer", "buffer", "proto", "pubsub", "store", "reactor", "command",
            "conn", "cluster", "config", "snapshot",
        ],
    ),
    ("snapshot", &["blob", "dump", "store", "sys"]),
    ("main", &["config", "server", "cli", "benchmark", "snapshot", "program", "sys::reserve", "sys::stdio"]),
];

/// The modules that may hold descriptors: in the server `server`, `reactor` and `sys`; the tools have their own, and so has
/// the process that reads and writes snapshots.
const HOLD_DESCRIPTORS: &[&str] = &["server", "reactor", "sys", "client", "cli", "benchmark", "snapshot"];

/// Types and traits by which a descriptor is held or had.
const DESCRIPTORS: &[&str] = &[
    "OwnedFd",
    "BorrowedFd",
    "RawFd",
    "AsFd",
    "AsRawFd",
    "IntoRawFd",
    "FromRawFd",
    "TcpStream",
    "TcpListener",
    "UnixStream",
    "UnixListener",
    "UdpSocket",
];

fn shipped_files() -> Vec<Source> {
    let mut files = rust_files("src");
    assert!(!files.is_empty(), "no source");
    let left_out = test_only(&files);
    files.retain(|file| !left_out.contains(&file.path));
    files
}

#[test]
fn imports_point_one_way() {
    let mut wrong = Vec::new();
    for file in shipped_files() {
        let module = file.module();
        // The crate's root only lists its modules.
        let Some(&own) = module.first() else { continue };
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == own) else {
            wrong.push(format!("{}: the module {own} has no line in the table of tests/layers.rs", file.path));
            continue;
        };
        for used in crate_paths(&file.shipped_code(), &module) {
            let first = used.split("::").next().expect("a first name");
            // A name of the crate's own root that is no module (a constant, say) has no layer.
            let allows = |path: &&str| *path == used || used.starts_with(&format!("{path}::"));
            if first != own && !EVERYWHERE.contains(&first) && !allowed.iter().any(allows) {
                wrong.push(format!("{}: {own} must not use {used}", file.path));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn few_hold_descriptors() {
    let mut wrong = Vec::new();
    for file in shipped_files() {
        let own = file.module().first().copied().unwrap_or("lib");
        if HOLD_DESCRIPTORS.contains(&own) {
            continue;
        }
        let code = file.shipped_code();
        for word in DESCRIPTORS {
            for line in lines_with_word(&code, word) {
                wrong.push(format!("{}:{line}: {own} holds a descriptor ({word})", file.path));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Every path into this crate, from its root: `crate::`, `memento::` (from the executable) and `super::` are resolved,
/// braces expanded. A path is as long as it is written, `sys::pages::Pages::new`.
fn crate_paths(code: &str, module: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for start in ["crate", "memento", "super"] {
        for (position, _) in code.match_indices(&format!("{start}::")) {
            let before = code[..position].chars().next_back().unwrap_or(' ');
            // Part of a longer word, or a later step of a chain that was taken at its start.
            if before.is_alphanumeric() || before == '_' || before == ':' {
                continue;
            }
            let mut prefix: Vec<String> = Vec::new();
            let mut rest = &code[position..];
            if start == "super" {
                let mut own: Vec<&str> = module.to_vec();
                while let Some(after) = rest.strip_prefix("super::") {
                    own.pop();
                    rest = after;
                }
                prefix = own.iter().map(|name| name.to_string()).collect();
            } else {
                rest = &rest[start.len() + 2..];
            }
            expand(&prefix, rest, &mut found);
        }
    }
    found
}

/// Reads one tree of a path; returns what follows it.
fn expand<'a>(prefix: &[String], text: &'a str, found: &mut Vec<String>) -> &'a str {
    let mut path = prefix.to_vec();
    let mut text = text.trim_start();
    loop {
        if let Some(mut inner) = text.strip_prefix('{') {
            loop {
                inner = inner.trim_start().trim_start_matches(',').trim_start();
                if let Some(after) = inner.strip_prefix('}') {
                    return after;
                }
                let after = expand(&path, inner, found);
                assert!(after.len() < inner.len(), "cannot read the import at {inner:.60}");
                inner = after;
            }
        }
        let end = text.find(|char: char| !char.is_alphanumeric() && char != '_').unwrap_or(text.len());
        if end == 0 {
            let star = text.strip_prefix('*').unwrap_or(text);
            found.push(path.join("::"));
            return star;
        }
        if text[..end] != *"self" {
            path.push(text[..end].to_string());
        }
        text = &text[end..];
        match text.strip_prefix("::") {
            Some(after) => text = after.trim_start(),
            None => {
                found.push(path.join("::"));
                let renamed = text.trim_start().strip_prefix("as ");
                return renamed.map_or(text, |name| name.trim_start_matches(|char: char| char.is_alphanumeric()));
            }
        }
    }
}

#[test]
fn the_reader_of_imports_sees_through_the_syntax() {
    let file = Source {
        path: "src/store/page.rs".into(),
        text: "\
//! Not crate::reactor, since this is a comment.
use crate::{limits::{self, SLOTS}, sys::pages::Pages as P, proto::*};
use super::slot::SlotId;
use super::super::timer;
fn f<'a>(c: char) { let s = \"crate::server\"; if c == '\"' { crate::conn::run('x') } }
#[cfg(test)]
mod tests {
    use crate::cluster;
}
fn g() { r#\"crate::benchmark \"# ; crate::cli::run() }
"
        .into(),
    };
    let mut paths = crate_paths(&file.shipped_code(), &file.module());
    paths.sort();
    let wanted = [
        "cli::run",
        "conn::run",
        "limits",
        "limits::SLOTS",
        "proto",
        "store::slot::SlotId",
        "sys::pages::Pages",
        "timer",
    ];
    assert_eq!(paths, wanted);
}
