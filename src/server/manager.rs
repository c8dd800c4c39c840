//! What the service manager that started the server is told: that it serves, that it lives, that it ends.

use crate::log::{self, Level};
use crate::sys::service::{self, Notifier};

/// The service manager; where there is none, nothing is told.
pub(super) struct Manager {
    notifier: Option<Notifier>,
    /// How often it is told that the server lives; never, where it does not want to hear that.
    life_ms: Option<u64>,
    next_life_ms: u64,
}

impl Manager {
    /// The manager that the environment names. A server that cannot tell how it is serves all the same.
    pub(super) fn new(now_ms: u64) -> Manager {
        let notifier = Notifier::from_environment().unwrap_or_else(|error| {
            log::write(Level::Warn, format_args!("the service manager is told nothing: {error}"));
            None
        });
        // Twice in the time after which the manager takes the server for dead.
        let life_ms = service::watchdog_ms().filter(|_| notifier.is_some()).map(|ms| (ms / 2).max(1));
        Manager { notifier, life_ms, next_life_ms: now_ms }
    }

    /// Sends a state.
    pub(super) fn tell(&self, state: &str) {
        if let Some(notifier) = &self.notifier
            && let Err(error) = notifier.tell(state)
        {
            log::write(Level::Debug, format_args!("the service manager was not told {state}: {error}"));
        }
    }

    /// Tells that the server lives, when it is time to.
    pub(super) fn tell_life(&mut self, now_ms: u64) {
        if let Some(life_ms) = self.life_ms
            && now_ms >= self.next_life_ms
        {
            self.tell("WATCHDOG=1");
            self.next_life_ms = now_ms + life_ms;
        }
    }

    /// Until when the loop may sleep.
    pub(super) fn wake_ms(&self) -> Option<u64> {
        self.life_ms.map(|_| self.next_life_ms)
    }
}
