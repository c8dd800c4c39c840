//! The cluster: which node holds which slot, and the links between nodes. No descriptors, no clock.

pub mod sha256;
pub mod wire;
