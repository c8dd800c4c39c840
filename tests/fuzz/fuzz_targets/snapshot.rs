//! The records of a snapshot. What is done with the bytes, `bodies/snapshot.rs` says.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../bodies/snapshot.rs"]
mod snapshot;

fuzz_target!(|input: &[u8]| snapshot::run(input));
