//! Lines, to the parser. What is done with the bytes, `bodies/text.rs` says.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../bodies/parser_pieces.rs"]
mod parser_pieces;
#[path = "../bodies/text.rs"]
mod text;

fuzz_target!(|input: &[u8]| text::run(input, parser_pieces::run));
