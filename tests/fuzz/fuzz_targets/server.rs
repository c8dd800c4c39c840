//! A whole server. What is done with the bytes, `bodies/server.rs` says.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../bodies/server.rs"]
mod server;

fuzz_target!(|input: &[u8]| server::run(input));
