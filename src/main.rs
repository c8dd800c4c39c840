//! The executable: which of its three names was it called by?

use memento::config::{self, Action};
use memento::server::Server;
use memento::{benchmark, cli};
use std::io::{self, Write};
use std::path::Path;
use std::process::exit;

fn main() {
    let mut args = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned());
    let called = args.next().unwrap_or_default();
    let name = Path::new(&called).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let mut rest: Vec<String> = args.collect();
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
fn serve(args: &[String]) -> i32 {
    let config = match config::parse(args) {
        Ok(Action::Run(config)) => config,
        Ok(Action::Print(text)) => {
            // A closed standard output has nobody to tell.
            let _ = io::stdout().write_all(text.as_bytes());
            return 0;
        }
        Err(error) => {
            eprintln!("memento: {error} (see memento --help)");
            return 2;
        }
    };
    match Server::new(&config).and_then(|mut server| server.run()) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("memento: {error}");
            1
        }
    }
}
