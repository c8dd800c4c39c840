//! Any bytes, to the parser in pieces. What is done with the bytes, `bodies/parser_pieces.rs` says.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../bodies/parser_pieces.rs"]
mod parser_pieces;

fuzz_target!(|input: &[u8]| parser_pieces::run(input));
