//! What the store asked of the heap; and, in tests, how much work a step was.

/// Heap bytes requested and not yet given back.
#[derive(Default)]
pub(super) struct Account {
    bytes: usize,
}

impl Account {
    /// The balance.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// So many bytes were requested.
    pub(super) fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// So many bytes were given back.
    pub(super) fn sub(&mut self, bytes: usize) {
        self.bytes -= bytes;
    }

    /// Something of `before` bytes now has `after`.
    pub(super) fn change(&mut self, before: usize, after: usize) {
        self.bytes = self.bytes - before + after;
    }
}

/// Work is counted in entries looked at closely or moved, and in cache lines of directories copied: each is about one
/// cache miss, which is what a step's time is made of. Outside tests and fuzzing, counting compiles to
/// nothing.
pub(super) mod work {
    #[cfg(any(test, fuzzing))]
    thread_local! {
        static DONE: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
    }

    /// Counts so many units.
    #[inline(always)]
    pub(in crate::store) fn add(_units: usize) {
        #[cfg(any(test, fuzzing))]
        DONE.set(DONE.get() + _units as u64);
    }

    /// The units since the last call.
    #[cfg(any(test, fuzzing))]
    pub fn take() -> u64 {
        DONE.replace(0)
    }
}
