//! What the service manager that started the server is told: that it serves, that it lives, that it ends.

use crate::log::{self, Level};
use crate::sys::service::{self, Notifier};

/// A manager that did not hear that the server serves is told again after so long.
const READY_AGAIN_MS: u64 = 100;

/// The service manager; where there is none, nothing is told.
pub(super) struct Manager {
    notifier: Option<Notifier>,
    /// How often it is told that the server lives; never, where it does not want to hear that.
    life_ms: Option<u64>,
    next_life_ms: u64,
    /// Whether it has still to hear that the server serves.
    owes_ready: bool,
}

impl Manager {
    /// The manager that the environment names. A server that cannot tell how it is serves all the same.
    #[cfg_attr(memento_small, inline(never))]
    pub(super) fn new(now_ms: u64) -> Manager {
        let notifier = Notifier::from_environment().unwrap_or_else(|error| {
            log::write(Level::Warn, format_args!("the service manager is told nothing: {error}"));
            None
        });
        // Twice in the time after which the manager takes the server for dead.
        let life_ms = service::watchdog_ms().filter(|_| notifier.is_some()).map(|ms| (ms / 2).max(1));
        Manager { notifier, life_ms, next_life_ms: now_ms, owes_ready: false }
    }

    /// Sends a state; says whether it went.
    pub(super) fn tell(&self, state: &str) -> bool {
        let told = self.notifier.as_ref().map_or(Ok(()), |notifier| notifier.tell(state));
        if let Err(error) = &told {
            log::write(Level::Debug, format_args!("the service manager was not told {state}: {error}"));
        }
        told.is_ok()
    }

    /// Tells that the server serves. A manager that has no room to hear it is told again: without it, it would end a
    /// server that is well.
    pub(super) fn tell_ready(&mut self, now_ms: u64) {
        self.owes_ready = !self.tell("READY=1");
        if self.owes_ready {
            self.next_life_ms = now_ms + READY_AGAIN_MS;
        }
    }

    /// Tells what the manager is to hear by now: that the server serves, or that it lives.
    pub(super) fn tell_life(&mut self, now_ms: u64) {
        if now_ms < self.next_life_ms {
            return;
        }
        if self.owes_ready {
            self.tell_ready(now_ms);
        } else if let Some(life_ms) = self.life_ms {
            self.tell("WATCHDOG=1");
            self.next_life_ms = now_ms + life_ms;
        }
    }

    /// Until when the loop may sleep.
    pub(super) fn wake_ms(&self) -> Option<u64> {
        (self.owes_ready || self.life_ms.is_some()).then_some(self.next_life_ms)
    }
}
