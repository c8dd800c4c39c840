//! Threads that work at the same time, and one that watches them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Failure;
use crate::client::reason;
use crate::sys::threads::{self, Work};

/// How often is looked while all work.
pub(super) const WATCH_TIME: Duration = Duration::from_millis(500);

/// What a thread does.
pub(super) trait Job: Send {
    /// Does it. Ends soon where `failed` says that another one has failed.
    fn work(&mut self, failed: &AtomicBool) -> Result<(), Failure>;
}

/// Lets each work in a thread of its own, and calls `watch` now and then until all have ended. Gives the first failure,
/// in the order of the jobs.
pub(super) fn together(jobs: &mut [&mut dyn Job], watch: &mut dyn FnMut()) -> Result<(), Failure> {
    let failed = &AtomicBool::new(false);
    let mut failures: Vec<Option<Failure>> = Vec::new();
    failures.resize_with(jobs.len(), || None);
    let mut works: Vec<Work<'_>> = Vec::new();
    for (job, failure) in jobs.iter_mut().zip(&mut failures) {
        works.push(Box::new(move || {
            if let Err(what) = job.work(failed) {
                failed.store(true, Ordering::Relaxed);
                *failure = Some(what);
            }
        }));
    }
    let started = threads::together(works, WATCH_TIME, watch, &mut || failed.store(true, Ordering::Relaxed));
    match failures.into_iter().flatten().next() {
        Some(what) => Err(what),
        None => started.map_err(|error| Failure::Message(format!("cannot start a thread: {}", reason(&error)))),
    }
}
