//! Frames from another node. What is done with the bytes, `bodies/bus.rs` says.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../bodies/bus.rs"]
mod bus;

fuzz_target!(|input: &[u8]| bus::run(input));
