//! The cluster's file. What is done with the bytes, `bodies/nodes.rs` says.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../bodies/nodes.rs"]
mod nodes;

fuzz_target!(|input: &[u8]| nodes::run(input));
