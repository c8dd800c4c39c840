//! RESP requests, to the parser. What is done with the bytes, `bodies/resp.rs` says.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../bodies/parser_pieces.rs"]
mod parser_pieces;
#[path = "../bodies/resp.rs"]
mod resp;

fuzz_target!(|input: &[u8]| resp::run(input, parser_pieces::run));
