//! Tests only: an allocator that counts what one thread asks of it.
//!
//! No part of the library: `tests/allocations.rs` compiles this file, which stands where unsafe code may, and makes it
//! the allocator of a whole test program. Only the thread that asked to be watched is counted, and only while counting
//! is switched on. What is given back is not counted. The first request that is counted leaves a backtrace, so that a
//! failing test says where it came from.

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The system's allocator, counted.
pub(crate) struct Counting;

thread_local! {
    /// Whether this thread is watched. It has no destructor, so that it can be read as long as the thread allocates.
    static WATCHED: Cell<bool> = const { Cell::new(false) };
}

static IS_ON: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicU64 = AtomicU64::new(0);
static FIRST: Mutex<Option<String>> = Mutex::new(None);

/// From now on what this thread allocates is counted, while counting is on.
pub(crate) fn watch_this_thread() {
    WATCHED.set(true);
}

/// Begins to count, from zero.
pub(crate) fn begin() {
    *FIRST.lock().unwrap_or_else(PoisonError::into_inner) = None;
    COUNT.store(0, Ordering::SeqCst);
    IS_ON.store(true, Ordering::SeqCst);
}

/// Ends counting: how many allocations there were, and where the first came from.
pub(crate) fn end() -> (u64, Option<String>) {
    IS_ON.store(false, Ordering::SeqCst);
    (COUNT.load(Ordering::SeqCst), FIRST.lock().unwrap_or_else(PoisonError::into_inner).take())
}

fn note() {
    if !WATCHED.get() || !IS_ON.load(Ordering::SeqCst) || COUNT.fetch_add(1, Ordering::SeqCst) > 0 {
        return;
    }
    // A backtrace allocates as well: not counted.
    WATCHED.set(false);
    let trace = Backtrace::force_capture().to_string();
    *FIRST.lock().unwrap_or_else(PoisonError::into_inner) = Some(trace);
    WATCHED.set(true);
}

// SAFETY: every call is handed on to the system's allocator as it came; what is counted beside it touches none of the
// memory. Counting may allocate once, on a thread that is then not watched, so that it does not call itself.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller keeps GlobalAlloc's contract, which is the same there.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above; the block came from System.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        note();
        // SAFETY: as above; the block came from System.
        unsafe { System.realloc(block, layout, new_size) }
    }
}
