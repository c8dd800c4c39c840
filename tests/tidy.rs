//! Facts about the repository that are easy to break unseen.

mod support;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::process::Command;

use support::source::{lines_with_word, rust_files};
use support::{need, root};

/// What may stand at the top of the repository; dot files besides.
const TOP: &[&str] =
    &["Cargo.toml", "Cargo.lock", "CHANGELOG.md", "LICENSE", "Makefile", "README.md", "ffi", "scripts", "src", "tests"];

/// The crates named in Cargo.toml that are part of the program.
const DIRECT: &[&str] = &["fxhash", "getopts", "libc", "nix"];

/// What those bring along; autocfg and cfg_aliases only run while building.
const BROUGHT: &[&str] = &["autocfg", "bitflags", "byteorder", "cfg-if", "cfg_aliases", "memoffset"];

/// The crates that the tests alone use: a client that others wrote.
const DIRECT_OF_TESTS: &[&str] = &["redis"];

/// What that one brings along, on systems that are not ours as well; no part of it is in the program.
const BROUGHT_BY_TESTS: &[&str] = &[
    "arcstr",
    "bytes",
    "chacha20",
    "combine",
    "cpufeatures",
    "crc16",
    "displaydoc",
    "form_urlencoded",
    "getrandom",
    "icu_collections",
    "icu_locale_core",
    "icu_normalizer",
    "icu_normalizer_data",
    "icu_properties",
    "icu_properties_data",
    "icu_provider",
    "idna",
    "idna_adapter",
    "itoa",
    "litemap",
    "memchr",
    "percent-encoding",
    "potential_utf",
    "proc-macro2",
    "quote",
    "r-efi",
    "rand",
    "rand_core",
    "ryu",
    "serde",
    "serde_core",
    "serde_derive",
    "smallvec",
    "socket2",
    "stable_deref_trait",
    "syn",
    "synstructure",
    "tinystr",
    "unicode-ident",
    "url",
    "utf8_iter",
    "utf_types",
    "windows-link",
    "windows-sys",
    "writeable",
    "xxhash-rust",
    "yoke",
    "yoke-derive",
    "zerofrom",
    "zerofrom-derive",
    "zerotrie",
    "zerovec",
    "zerovec-derive",
];

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The files that git knows; none where there is no git or no repository.
fn tracked() -> Vec<String> {
    if !need("git") {
        return Vec::new();
    }
    // The marker says that whoever owns the folder, its list of files may be read.
    let output = Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("to run git");
    if !output.status.success() {
        support::skip("this is no clone of the repository");
        return Vec::new();
    }
    let names = String::from_utf8(output.stdout).expect("plain names");
    names.split_terminator('\0').filter(|name| root().join(name).is_file()).map(str::to_string).collect()
}

#[test]
fn unsafe_stands_where_it_may() {
    let mut wrong = Vec::new();
    for file in ["src", "tests", "ffi"].iter().flat_map(|folder| rust_files(folder)) {
        if file.path.starts_with("src/sys/") || file.path.starts_with("ffi/src/") {
            continue;
        }
        let lines = lines_with_word(&file.code(), "unsafe");
        wrong.extend(lines.iter().map(|line| format!("{}:{line}", file.path)));
    }
    assert!(wrong.is_empty(), "unsafe outside of src/sys/ and ffi/src/:\n{}", wrong.join("\n"));
}

/// The code map is the module documentation of the crate's root. A name without a folder stands in the folder of the
/// name before it on the same line.
#[test]
fn the_code_map_names_every_file() {
    let map = read("src/lib.rs");
    let mut named = BTreeSet::new();
    for line in map.lines().filter_map(|line| line.strip_prefix("//!")) {
        let mut folder = String::new();
        for word in line.split(|char: char| char.is_whitespace() || "`,;()[]|".contains(char)) {
            let word = word.trim_end_matches(['.', ':']);
            if !word.ends_with(".rs") {
                continue;
            }
            let word = word.strip_prefix("src/").unwrap_or(word);
            match word.rsplit_once('/') {
                Some((path, _)) => folder = format!("{path}/"),
                None if !root().join("src").join(word).is_file() => {
                    named.insert(format!("src/{folder}{word}"));
                    continue;
                }
                None => {}
            }
            named.insert(format!("src/{word}"));
        }
    }
    let there: BTreeSet<String> = rust_files("src").into_iter().map(|file| file.path).collect();
    let unnamed: Vec<_> = there.difference(&named).filter(|path| *path != "src/lib.rs").collect();
    let gone: Vec<_> = named.difference(&there).collect();
    assert!(unnamed.is_empty() && gone.is_empty(), "not in the map of src/lib.rs: {unnamed:?}; not there: {gone:?}");
}

/// `MEMENTO_BLESS=1 cargo test --test tidy` writes the table into the README.
#[test]
fn the_readme_lists_the_commands() {
    const START: &str = "<!-- commands -->\n";
    const END: &str = "<!-- /commands -->";
    let mut table = String::from("| command | what it does |\n| --- | --- |\n");
    let texts = memento::command::Texts::unpack();
    for row in memento::command::COMMANDS {
        let usage = format!("{} {}", row.name().to_uppercase(), texts.usage(row.text));
        let line = format!("| `{}` | {} |", usage.trim(), texts.summary(row.text));
        // A bar would end the cell.
        let cells = line.trim_start_matches("| ").trim_end_matches(" |").replace("` | ", "`\0 ").replace('|', "\\|");
        writeln!(table, "| {} |", cells.replace("`\0 ", "` | ")).expect("to write to a string");
    }
    let readme = read("README.md");
    let start = readme.find(START).expect("the line <!-- commands --> in README.md") + START.len();
    let end = start + readme[start..].find(END).expect("the line <!-- /commands --> in README.md");
    if readme[start..end] == table {
        return;
    }
    if std::env::var_os("MEMENTO_BLESS").is_some() {
        let blessed = format!("{}{table}{}", &readme[..start], &readme[end..]);
        fs::write(root().join("README.md"), blessed).expect("to write README.md");
        return;
    }
    panic!("README.md's table of commands is not the rows; MEMENTO_BLESS=1 writes it:\n{table}");
}

/// The table in `src/limits.rs` of what comes from outside names tests, each behind its file.
#[test]
fn the_tests_that_show_the_bounds_exist() {
    let table = read("src/limits.rs");
    let rows: Vec<&str> = table.lines().filter_map(|line| line.strip_prefix("//! | ")).skip(2).collect();
    let (mut missing, mut named) = (Vec::new(), 0);
    for row in &rows {
        let cells: Vec<&str> = row.trim_end_matches(" |").split(" | ").collect();
        let &[what, bounds, tests] = &cells[..] else { panic!("three cells: {row}") };
        // A heading among the rows.
        if what.starts_with("**") {
            continue;
        }
        assert!(!bounds.trim().is_empty() && !tests.trim().is_empty(), "nothing bounds or shows: {what}");
        for part in tests.split("; ") {
            let (file, names) = part.split_once("`: ").unwrap_or((part.trim_end_matches('`'), ""));
            let text = read(file.trim_start_matches('`'));
            for name in names.split(", ").filter(|name| !name.is_empty()) {
                named += 1;
                if !text.contains(&format!("fn {}(", name.trim())) {
                    missing.push(part.to_string());
                }
            }
        }
        // What bounds it is a name of this file.
        for name in
            bounds.split('`').skip(1).step_by(2).filter(|name| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
        {
            assert!(table.contains(&format!("pub const {name}:")), "{name} is no bound");
        }
    }
    assert!(missing.is_empty(), "no such tests: {missing:?}");
    assert!(rows.len() > 40 && named > 90, "{} rows name {named} tests", rows.len());
}

#[test]
fn the_dependencies_are_the_ones_we_chose() {
    let manifest = read("Cargo.toml");
    let mut section = "";
    let (mut direct, mut of_tests) = (BTreeSet::new(), BTreeSet::new());
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if let Some((name, _)) = line.split_once('=')
            && section.contains("dependencies")
            && !line.starts_with('#')
        {
            match section {
                "[dependencies]" => direct.insert(name.trim()),
                "[dev-dependencies]" => of_tests.insert(name.trim()),
                _ => panic!("{line} in {section}"),
            };
        }
    }
    assert_eq!(direct, DIRECT.iter().copied().collect());
    assert_eq!(of_tests, DIRECT_OF_TESTS.iter().copied().collect());

    let lock = read("Cargo.lock");
    let locked = lock.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    let locked: BTreeSet<&str> = locked.filter(|name| !["memento", "memento-ffi"].contains(name)).collect();
    let listed = [DIRECT, BROUGHT, DIRECT_OF_TESTS, BROUGHT_BY_TESTS];
    assert_eq!(locked, listed.into_iter().flatten().copied().collect());
    // The C library has what the program has.
    let manifest = read("ffi/Cargo.toml");
    let section = manifest.split("[dependencies]\n").nth(1).expect("dependencies").split("\n\n").next();
    let of_ffi: Vec<_> = section.expect("a section").lines().filter_map(|line| line.split([' ', '=']).next()).collect();
    assert_eq!(of_ffi, ["memento", "libc"]);
    // What the program is made of, as cargo sees it: nothing of the tests' is among it.
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_string());
    let output = Command::new(cargo)
        .args(["tree", "--locked", "--offline", "--edges", "normal,build", "--prefix", "none", "--format", "{p}"])
        .current_dir(root())
        .output()
        .expect("to run cargo");
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).expect("plain names");
    let built: BTreeSet<&str> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let program = ["memento"].iter().chain(DIRECT).chain(BROUGHT);
    assert_eq!(built, program.copied().collect());
}

#[test]
fn the_top_of_the_repository_stays_short() {
    let top: BTreeSet<String> =
        tracked().iter().map(|path| path.split('/').next().expect("a first part").to_string()).collect();
    let wrong: Vec<_> = top.iter().filter(|name| !name.starts_with('.') && !TOP.contains(&name.as_str())).collect();
    assert!(wrong.is_empty(), "at the top of the repository: {wrong:?}");
}

#[test]
fn text_has_no_untidy_ends() {
    // Written apart, so that this file does not find itself.
    let notes = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let mut wrong = Vec::new();
    // Inputs of the fuzzer are bytes that mean something, whatever they look like.
    for path in tracked().into_iter().filter(|path| !path.starts_with("tests/fuzz/corpus/")) {
        let Ok(text) = fs::read_to_string(root().join(&path)) else { continue };
        for (number, line) in text.lines().enumerate() {
            // Make wants a tab at the start of a recipe.
            let tabs = if path == "Makefile" { line.trim_start_matches('\t') } else { line };
            let mut say = |what: &str| wrong.push(format!("{path}:{}: {what}", number + 1));
            if tabs.contains('\t') && !path.ends_with(".c") && !path.ends_with(".h") {
                say("a tab");
            }
            if line.ends_with([' ', '\t', '\r']) {
                say("a blank at the end");
            }
            for note in notes {
                if !lines_with_word(line, note).is_empty() {
                    say(note);
                }
            }
        }
        if !text.is_empty() && !text.ends_with('\n') {
            wrong.push(format!("{path}: no line feed at the end"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn help_lists_every_target() {
    if !need("make") {
        return;
    }
    let makefile = read("Makefile");
    let targets = makefile.lines().filter_map(|line| line.strip_prefix(".PHONY:")).flat_map(str::split_whitespace);
    let targets: BTreeSet<String> = targets.map(str::to_string).collect();
    // Run from within make test, the inner make must not take the outer one's flags for its own.
    let output = Command::new("make")
        .args(["--no-print-directory", "help"])
        .env_remove("MAKEFLAGS")
        .env_remove("MFLAGS")
        .env_remove("MAKELEVEL")
        .current_dir(root())
        .output()
        .expect("to run make");
    assert!(output.status.success(), "make help: {}", String::from_utf8_lossy(&output.stderr));
    let help = String::from_utf8(output.stdout).expect("plain text");
    let listed = help.lines().filter(|line| line.split_whitespace().nth(1).is_some());
    let listed: BTreeSet<String> =
        listed.map(|line| line.split_whitespace().next().expect("a word").to_string()).collect();
    assert_eq!(listed, targets);
    for name in
        ["all", "run", "cluster", "test", "check", "bench", "fuzz", "size", "install", "uninstall", "clean", "help"]
    {
        assert!(targets.contains(name), "no target {name}");
    }
}

#[test]
fn scripts_can_be_run() {
    use std::os::unix::fs::PermissionsExt;
    for path in tracked() {
        let is_script = path.ends_with(".sh") || path == ".ci/run";
        // What is sourced is not run.
        if !is_script || path.ends_with("/lib.sh") {
            continue;
        }
        let mode = fs::metadata(root().join(&path)).expect("a script").permissions().mode();
        assert!(mode & 0o111 != 0, "{path} is not executable");
        assert!(read(&path).starts_with("#!"), "{path} does not say what runs it");
    }
}
