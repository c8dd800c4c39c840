//! Clients that have to ask for something in time.
//!
//! Nothing is kept of them but when the first of those that are here is due. Then all clients are looked through, at
//! most once a second, so that who is late has a second more at the worst.

use super::client::End;
use super::{Server, Source};
use crate::limits::NEWCOMERS_SCAN_MS;

impl Server {
    /// A client came, and has to send its first request in time.
    pub(super) fn expect_request(&mut self) {
        let (now_ms, allowed_ms) = (self.engine.state.now.ms, self.first_request_timeout_ms());
        if self.newcomers_due_ms.is_none() {
            self.newcomers_due_ms = allowed_ms.map(|allowed_ms| now_ms + allowed_ms);
        }
    }

    /// Closes clients that sent no request in time, when the first of them may be due.
    pub(super) fn serve_newcomers(&mut self) {
        let now_ms = self.engine.state.now.ms;
        if self.newcomers_due_ms.is_some_and(|due_ms| due_ms <= now_ms) {
            self.close_late(now_ms);
        }
    }

    #[cfg_attr(memento_small, inline(never))]
    fn close_late(&mut self, now_ms: u64) {
        let allowed_ms = self.first_request_timeout_ms();
        let (mut late, mut next_ms) = (Vec::new(), None);
        for (token, source) in self.reactor.sources() {
            if let Source::Client(client) = source
                && let Some(since_ms) = client.waited_for_since_ms()
                && let Some(due_ms) = allowed_ms.map(|allowed_ms| since_ms + allowed_ms)
            {
                if due_ms <= now_ms {
                    late.push(token);
                } else {
                    next_ms = Some(next_ms.map_or(due_ms, |next_ms: u64| next_ms.min(due_ms)));
                }
            }
        }
        self.newcomers_due_ms = next_ms.map(|next_ms| next_ms.max(now_ms + NEWCOMERS_SCAN_MS));
        late.into_iter().for_each(|token| self.close(token, End::NoRequest));
    }

    fn first_request_timeout_ms(&self) -> Option<u64> {
        let timeout_s = self.engine.state.settings.first_request_timeout_s;
        (timeout_s > 0).then_some(timeout_s * 1000)
    }
}
