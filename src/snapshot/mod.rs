//! Snapshots: the process that writes and reads their file ([`main`]), which may wait for a disk where the server may not.

mod blocks;
mod child;

pub use child::{LAST_WORDS, NAME, main};
