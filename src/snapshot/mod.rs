//! Snapshots: what they say ([`record`]).

pub mod record;
