//! Threads that work at the same time, and one that watches them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Failure;
use crate::client::reason;
use crate::sys::threads;

/// How often is looked while all work.
pub(super) const WATCH_TIME: Duration = Duration::from_millis(500);

/// What a thread does.
pub(super) trait Job: Send {
    /// Does it. Ends soon where `failed` says that another one has failed.
    fn work(&mut self, failed: &AtomicBool) -> Result<(), Failure>;
}

/// A job, and how it has failed.
struct Watched<'a> {
    job: &'a mut dyn Job,
    failed: &'a AtomicBool,
    failure: Option<Failure>,
}

impl threads::Job for Watched<'_> {
    fn run(&mut self) {
        if let Err(what) = self.job.work(self.failed) {
            self.failed.store(true, Ordering::Relaxed);
            self.failure = Some(what);
        }
    }
}

/// Lets each work in a thread of its own, and calls `watch` now and then until all have ended. Gives the first failure,
/// in the order of the jobs.
pub(super) fn together(jobs: &mut dyn Iterator<Item = &mut dyn Job>, watch: &mut dyn FnMut()) -> Result<(), Failure> {
    let failed = &AtomicBool::new(false);
    let mut all = Vec::new();
    for job in jobs {
        all.push(Watched { job, failed, failure: None });
    }
    let started = threads::together(&mut all, WATCH_TIME, watch, failed);
    for each in all {
        if let Some(what) = each.failure {
            return Err(what);
        }
    }
    started.map_err(|error| Failure::Message(format!("cannot start a thread: {}", reason(&error))))
}
