//! Keys that may be crafted. What is done with the bytes, `bodies/collisions.rs` says.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../bodies/collisions.rs"]
mod collisions;

use memento::store::{Expiry, Store, take_work};
use std::cell::RefCell;

fn tried(input: &[u8]) {
    let store = RefCell::new(Store::new());
    let insert = |key: &[u8]| {
        take_work();
        store.borrow_mut().upsert(key, b"value", Expiry::Never, 1);
        take_work()
    };
    let look_up = |key: &[u8]| {
        take_work();
        let is_there = store.borrow().get(key, 1).is_some();
        (is_there, take_work())
    };
    collisions::run(input, insert, look_up);
}

fuzz_target!(|input: &[u8]| tried(input));
