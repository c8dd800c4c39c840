//! Any bytes, to the parser. What is done with the bytes, `bodies/parser.rs` says.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../bodies/parser.rs"]
mod parser;

fuzz_target!(|input: &[u8]| parser::run(input));
