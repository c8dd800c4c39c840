//! The executable: which of its three names was it called by?

#![cfg_attr(memento_small, feature(optimize_attribute))]
#![cfg_attr(memento_small, no_main)]

use memento::config::{self, Action};
use memento::server::Server;
use memento::sys::reserve::Allocator;
use memento::sys::stdio::{OUTPUT, complain};
use memento::{benchmark, cli, snapshot};
use std::ffi::OsString;
use std::io::Write;

/// So that a server that runs out of memory can say so.
#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

// What is said for this crate is how the whole is optimised (scripts/build-static.sh), so that what is its own says the
// opposite.
#[cfg_attr(memento_small, optimize(size))]
fn run(words: Vec<OsString>) -> i32 {
    let mut words = words.into_iter();
    let called = words.next().unwrap_or_default();
    let mut rest = Vec::new();
    for word in words {
        match word.into_string() {
            Ok(word) => rest.push(word),
            Err(word) => {
                let shown = word.as_encoded_bytes().escape_ascii();
                return failed(2, &format!("the argument '{shown}' is no UTF-8"));
            }
        }
    }
    // Behind the last slash: what the program's file is called.
    let called = called.as_encoded_bytes();
    let name = called.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    // As a server calls it, for what may block; no file has this name.
    if name == snapshot::NAME.to_bytes() {
        return snapshot::main(&rest);
    }
    let tool = match name {
        b"memento-cli" => "cli",
        b"memento-benchmark" => "benchmark",
        _ if matches!(rest.first().map(String::as_str), Some("cli" | "benchmark")) => &rest.remove(0),
        _ => "",
    };
    match tool {
        "cli" => cli::main(rest),
        "benchmark" => benchmark::main(rest),
        _ => serve(&rest),
    }
}

memento::program!(run);

/// Says what is wrong; gives the exit status.
#[cold]
#[cfg_attr(memento_small, optimize(size))]
fn failed(status: i32, what: &str) -> i32 {
    complain("memento", what);
    status
}

/// Runs the server; gives the exit status: 0, 1 for a failure, 2 for a wrong command line.
#[cfg_attr(memento_small, optimize(size))]
fn serve(args: &[String]) -> i32 {
    let config = match config::parse(args) {
        Ok(Action::Run(config)) => config,
        Ok(Action::Print(text)) => {
            let mut output = OUTPUT;
            return match output.write_all(text.as_bytes()) {
                Ok(()) => 0,
                Err(error) => failed(1, &format!("standard output: {error}")),
            };
        }
        Err(error) => return failed(2, &(error + " (see memento --help)")),
    };
    let outcome = Server::new(&config).and_then(|mut server| {
        let outcome = server.run();
        // The kernel takes back millions of entries at once; freeing them one by one would take seconds.
        std::mem::forget(server);
        outcome
    });
    match outcome {
        Ok(()) => 0,
        Err(error) => failed(1, &error.to_string()),
    }
}
