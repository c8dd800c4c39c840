//! Clients that have asked for nothing yet, by when they are to have.
//!
//! All have the same time for it, so that whoever came first is due first: a queue is enough, and a client that has asked
//! costs nothing here. Who has asked, or gone, is forgotten once he is first, or when the queue is thinned.

use crate::limits::NEWCOMERS_SLACK;
use std::collections::VecDeque;

/// See the module; `K` names a client.
pub(super) struct Newcomers<K> {
    queue: VecDeque<(u64, K)>,
}

impl<K> Default for Newcomers<K> {
    fn default() -> Newcomers<K> {
        Newcomers { queue: VecDeque::new() }
    }
}

impl<K: Copy> Newcomers<K> {
    /// A client came, one of so many, and has until then. `waits` says of others whether they have still to ask.
    pub(super) fn add(&mut self, due_ms: u64, client: K, clients: usize, mut waits: impl FnMut(K) -> bool) {
        if self.queue.len() >= 2 * clients + NEWCOMERS_SLACK {
            self.queue.retain(|&(_, client)| waits(client));
        }
        self.queue.push_back((due_ms, client));
    }

    /// Who is due first of those that have still to ask, and when.
    pub(super) fn first(&mut self, mut waits: impl FnMut(K) -> bool) -> Option<(u64, K)> {
        while let Some(&(due_ms, client)) = self.queue.front() {
            if waits(client) {
                return Some((due_ms, client));
            }
            self.queue.pop_front();
        }
        self.queue.shrink_to(0);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_came_first_is_due_first_and_who_asked_is_forgotten() {
        let mut newcomers = Newcomers::default();
        assert_eq!(newcomers.first(|_| true), None);
        (0..5).for_each(|client| newcomers.add(100 + u64::from(client), client, 5, |_: u32| true));
        assert_eq!(newcomers.first(|_| true), Some((100, 0)));
        assert_eq!(newcomers.first(|client| client == 3), Some((103, 3)));
        assert_eq!(newcomers.first(|_| true), Some((103, 3)));
        assert_eq!(newcomers.first(|_| false), None);
        assert_eq!(newcomers.queue.capacity(), 0);
    }

    #[test]
    fn the_queue_is_bounded_by_the_clients_that_are_here() {
        let mut newcomers = Newcomers::default();
        // The first one never asks; all others do, and go.
        for client in 0..100_000u32 {
            newcomers.add(client.into(), client, 2, |other| other == 0);
            assert!(newcomers.queue.len() <= NEWCOMERS_SLACK + 4);
        }
        assert_eq!(newcomers.first(|client| client == 0), Some((0, 0)));
    }
}
