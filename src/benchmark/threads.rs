//! Threads that work at the same time, and one that watches them.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::Failure;
use crate::client::reason;

/// A thread calls a few functions on small buffers; the default of 2 MiB is much for a small box with ten of them.
const STACK_BYTES: usize = 256 * 1024;

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
    let (failed, working) = (&AtomicBool::new(false), &AtomicUsize::new(0));
    let watcher = &thread::current();
    let mut failures: Vec<Option<Failure>> = Vec::new();
    failures.resize_with(jobs.len(), || None);
    let mut unstarted = None;
    thread::scope(|scope| {
        for (job, failure) in jobs.iter_mut().zip(&mut failures) {
            let work = move || {
                if let Err(what) = job.work(failed) {
                    failed.store(true, Ordering::Relaxed);
                    *failure = Some(what);
                }
                working.fetch_sub(1, Ordering::Relaxed);
                watcher.unpark();
            };
            working.fetch_add(1, Ordering::Relaxed);
            if let Err(error) = thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work) {
                working.fetch_sub(1, Ordering::Relaxed);
                failed.store(true, Ordering::Relaxed);
                unstarted = Some(Failure::Message(format!("cannot start a thread: {}", reason(&error))));
                break;
            }
        }
        while working.load(Ordering::Relaxed) > 0 {
            thread::park_timeout(WATCH_TIME);
            watch();
        }
        // The scope's end waits for the threads' own ends.
    });
    match failures.into_iter().flatten().next().or(unstarted) {
        Some(what) => Err(what),
        None => Ok(()),
    }
}
