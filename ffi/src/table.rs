//! Which handles are open.
//!
//! What C has in its hands is no address but a number that is never given out twice, so that a handle that was closed, or
//! that never was one, is found out instead of followed. This table is all that the library keeps outside of handles; it
//! goes with the last one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Code, Failure, Outcome};
use crate::handle::Handle;

struct Table {
    last: usize,
    /// By number, which only grows.
    open: Vec<(usize, Arc<Handle>)>,
}

static TABLE: Mutex<Table> = Mutex::new(Table { last: 0, open: Vec::new() });

/// Numbers are so far apart: who counts on from a handle as if it were an address gets to none.
const STEP: usize = 16;

fn table() -> MutexGuard<'static, Table> {
    // Nothing that panics is done while it is held.
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn no_handle(number: usize) -> Failure {
    let text = if number == 0 { "the handle is NULL" } else { "the handle is closed, or never was one" };
    Failure::new(Code::Handle, text)
}

/// Opens a handle, and gives its number.
pub fn open(handle: Handle) -> Outcome<usize> {
    let mut table = table();
    // On 32 bits numbers come to an end after 268 million connections.
    let number = table.last.checked_add(STEP);
    let number = number.ok_or_else(|| Failure::new(Code::Memory, "there are no more numbers for handles"))?;
    table.open.try_reserve(1).map_err(|_| Failure::memory("a handle"))?;
    table.last = number;
    table.open.push((number, Arc::new(handle)));
    Ok(number)
}

/// The handle of a number.
pub fn find(number: usize) -> Outcome<Arc<Handle>> {
    let table = table();
    match table.open.binary_search_by_key(&number, |entry| entry.0) {
        Ok(at) => Ok(Arc::clone(&table.open[at].1)),
        Err(_) => Err(no_handle(number)),
    }
}

/// Takes the handle of a number out of the table; whoever is at work with it still has it.
pub fn close(number: usize) -> Outcome<Arc<Handle>> {
    let mut table = table();
    match table.open.binary_search_by_key(&number, |entry| entry.0) {
        Ok(at) => {
            let (_, handle) = table.open.remove(at);
            if table.open.is_empty() {
                table.open = Vec::new();
            }
            Ok(handle)
        }
        Err(_) => Err(no_handle(number)),
    }
}
