//! The executable: which of its three names was it called by?

#![cfg_attr(memento_small, feature(optimize_attribute))]

use memento::config::{self, Action};
use memento::server::Server;
use memento::sys::reserve::Allocator;
use memento::{benchmark, cli};
use std::io::{self, Write};
use std::path::Path;
use std::process::exit;

/// So that a server that runs out of memory can say so.
#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

// What is said for this crate is how the whole is optimised (scripts/build-static.sh), so that what is its own says the
// opposite.
#[cfg_attr(memento_small, optimize(size))]
fn main() {
    let mut args = std::env::args_os().map(|arg| arg.into_string());
    let called = args.next().and_then(Result::ok).unwrap_or_default();
    let name = Path::new(&called).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let mut rest = match args.collect::<Result<Vec<String>, _>>() {
        Ok(rest) => rest,
        Err(arg) => {
            eprintln!("memento: the argument '{}' is no UTF-8", arg.as_encoded_bytes().escape_ascii());
            exit(2);
        }
    };
    let tool = match name {
        "memento-cli" => "cli",
        "memento-benchmark" => "benchmark",
        _ if matches!(rest.first().map(String::as_str), Some("cli" | "benchmark")) => &rest.remove(0),
        _ => "",
    };
    exit(match tool {
        "cli" => cli::main(rest),
        "benchmark" => benchmark::main(rest),
        _ => serve(&rest),
    });
}

/// Runs the server; gives the exit status: 0, 1 for a failure, 2 for a wrong command line.
#[cfg_attr(memento_small, optimize(size))]
fn serve(args: &[String]) -> i32 {
    let config = match config::parse(args) {
        Ok(Action::Run(config)) => config,
        Ok(Action::Print(text)) => {
            let written = io::stdout().write_all(text.as_bytes());
            return match written {
                Ok(()) => 0,
                Err(error) => {
                    eprintln!("memento: standard output: {error}");
                    1
                }
            };
        }
        Err(error) => {
            eprintln!("memento: {error} (see memento --help)");
            return 2;
        }
    };
    let outcome = Server::new(&config).and_then(|mut server| {
        let outcome = server.run();
        // The kernel takes back millions of entries at once; freeing them one by one would take seconds.
        std::mem::forget(server);
        outcome
    });
    match outcome {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("memento: {error}");
            1
        }
    }
}
