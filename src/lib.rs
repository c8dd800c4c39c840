//! memento: an in-memory key-value store for small Linux boxes.

pub mod limits;
#[cfg(test)]
pub(crate) mod testkit;
