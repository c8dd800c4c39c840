//! Every bound in one place, the unit last in its name.
//!
//! The assertions at the end hold how the bounds relate; change one and the build says which other it breaks.

/// The keyspace is cut into so many slots (PROTOCOL: CRC16 of the key, modulo this).
pub const SLOTS: usize = 8192;

/// A page of a slot's index holds at most so many entries; a fuller one splits in two.
pub const PAGE_ENTRIES_MAX: usize = 512;

/// A value longer than this is kept in a buffer of its own, shared with the replies that send it.
pub const INLINE_VALUE_BYTES_MAX: usize = 4 * 1024;

const _: () = assert!(SLOTS.is_power_of_two() && SLOTS <= 1 << 13);
