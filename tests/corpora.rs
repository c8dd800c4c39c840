//! The inputs in tests/fuzz/corpus/, tried without a fuzzer: what one has found stays found. Those of the target
//! `collisions` are tried beside the store, where its work is counted.

mod support;

#[path = "fuzz/bodies/bus.rs"]
mod bus;
#[path = "fuzz/bodies/nodes.rs"]
mod nodes;
#[path = "fuzz/bodies/parser.rs"]
mod parser;
#[path = "fuzz/bodies/parser_pieces.rs"]
mod parser_pieces;
#[path = "fuzz/bodies/resp.rs"]
mod resp;
#[path = "fuzz/bodies/restore.rs"]
mod restore;
#[path = "fuzz/bodies/server.rs"]
mod server;
#[path = "fuzz/bodies/snapshot.rs"]
mod snapshot;
#[path = "fuzz/bodies/text.rs"]
mod text;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use support::root;

/// The files of a target, which has some.
fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = root().join("tests/fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    paths.into_iter().map(|path| (path.clone(), fs::read(&path).expect("to read an input"))).collect()
}

fn replay(target: &str, run: fn(&[u8])) {
    for (path, input) in corpus(target) {
        // The file's name is what helps.
        catch_unwind(AssertUnwindSafe(|| run(&input))).unwrap_or_else(|_| panic!("{} fails", path.display()));
    }
}

#[test]
fn any_bytes_are_parsed() {
    replay("parser", parser::run);
}

#[test]
fn pieces_are_parsed_as_the_whole_is() {
    replay("parser_pieces", parser_pieces::run);
    replay("text", |input| text::run(input, parser_pieces::run));
    replay("resp", |input| resp::run(input, parser_pieces::run));
}

#[test]
fn frames_of_any_kind_keep_a_node_sound() {
    replay("bus", bus::run);
}

#[test]
fn any_file_is_nodes_or_one_mistake() {
    replay("nodes", nodes::run);
}

#[test]
fn any_payload_is_a_value_or_a_mistake() {
    replay("restore", restore::run);
}

#[test]
fn any_records_say_the_same_in_pieces() {
    replay("snapshot", snapshot::run);
}

#[test]
fn a_server_answers_pieces_as_it_answers_the_whole() {
    replay("server", server::run);
    server::end();
}

#[test]
fn the_inputs_stay_small_and_each_has_a_target() {
    let mut bytes = 0;
    for entry in fs::read_dir(root().join("tests/fuzz/corpus")).expect("the corpora") {
        let name = entry.expect("an entry").file_name().into_string().expect("a plain name");
        assert!(root().join(format!("tests/fuzz/fuzz_targets/{name}.rs")).is_file(), "{name} is no target");
        bytes += corpus(&name).iter().map(|(_, input)| input.len()).sum::<usize>();
    }
    assert!(bytes < 100_000, "{bytes} bytes of inputs");
}
