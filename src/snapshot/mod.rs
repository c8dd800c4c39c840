//! Snapshots: what they say ([`record`]), how that leaves the server ([`feed`]) and comes back ([`intake`]). The process that
//! has the file in between, and may wait for a disk, is a child of the server's.

mod feed;
mod intake;
mod record;

pub use feed::Feed;
pub use intake::{Error, Intake, Step};
