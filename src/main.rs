//! The executable: which of its three names was it called by?

fn main() {}
