//! Tests of links and messages, over wires in memory.

mod handshake;
mod messages;
mod wires;
