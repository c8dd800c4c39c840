//! What RESTORE takes. What is done with the bytes, `bodies/restore.rs` says.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../bodies/restore.rs"]
mod restore;

fuzz_target!(|input: &[u8]| restore::run(input));
