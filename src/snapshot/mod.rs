//! Snapshots: what they say (`record`), how that leaves the server ([`Feed`]) and comes back ([`Intake`]); and the process
//! that has their file in between ([`main`]), which may wait for a disk where the server may not.

mod blocks;
mod child;
mod feed;
mod intake;
mod record;

pub use child::{LAST_WORDS, NAME, main};
pub use feed::Feed;
pub use intake::{Error, Intake, Step};
