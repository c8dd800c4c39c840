//! memento: an in-memory key-value store for small Linux boxes.

pub mod benchmark;
pub mod buffer;
pub mod cli;
pub mod client;
pub mod command;
pub mod config;
pub mod conn;
pub mod limits;
pub mod log;
pub mod proto;
pub mod reactor;
pub mod server;
pub mod stats;
pub mod store;
pub mod sys;
#[cfg(test)]
pub(crate) mod testkit;
pub mod timer;
