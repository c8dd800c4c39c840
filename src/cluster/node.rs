//! What this node knows of another one, whichever link there is to it.

use super::requests::Requests;
use super::{LinkId, Reason, Side};
use crate::limits::{LINK_BYTES_MAX, LINK_REQUESTS_MAX};

/// Our own try to link a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// None is under way.
    None,
    /// The connection is not there yet.
    Dialling,
    /// The connection is there, the link is not up.
    Link(LinkId),
}

/// See the module.
pub(super) struct Node<T> {
    /// What it calls itself; before it was linked, what the list calls it.
    pub(super) name: String,
    /// The link that is up.
    pub(super) up: Option<LinkId>,
    pub(super) attempt: Attempt,
    /// Tries in a row that failed.
    pub(super) failures: u32,
    /// Whether the next try has its time among the timers.
    pub(super) is_due: bool,
    /// Since when it is linked, or is not.
    pub(super) since_ms: u64,
    pub(super) rtt_us: Option<u64>,
    pub(super) keys: u64,
    pub(super) incarnation: Option<u64>,
    pub(super) requests: Requests<T>,
    /// Whether somebody was told to stop feeding it.
    pub(super) is_full: bool,
    /// Why links were refused since it was linked last, by us and by it: told once.
    refused: [Option<Reason>; 2],
    pub(super) sent_bytes: u64,
    pub(super) received_bytes: u64,
    pub(super) executed_requests: u64,
    pub(super) last_error: String,
}

impl<T> Node<T> {
    /// Whether it was full and has half of its room again; it then is no longer full.
    pub(super) fn has_room_again(&mut self) -> bool {
        let has_room = self.requests.len() <= LINK_REQUESTS_MAX / 2 && self.requests.bytes() <= LINK_BYTES_MAX / 2;
        has_room && std::mem::take(&mut self.is_full)
    }

    /// A node that is tried at once.
    pub(super) fn new(name: String, now_ms: u64) -> Node<T> {
        Node {
            name,
            up: None,
            attempt: Attempt::None,
            failures: 0,
            is_due: true,
            since_ms: now_ms,
            rtt_us: None,
            keys: 0,
            incarnation: None,
            requests: Requests::new(),
            is_full: false,
            refused: [None; 2],
            sent_bytes: 0,
            received_bytes: 0,
            executed_requests: 0,
            last_error: String::new(),
        }
    }

    /// Remembers a refusal; says whether it is another one than the last.
    pub(super) fn is_news(&mut self, by: Side, reason: Reason) -> bool {
        self.refused[by as usize].replace(reason) != Some(reason)
    }

    /// Forgets the refusals: a link is up.
    pub(super) fn forgive(&mut self) {
        self.refused = [None; 2];
    }
}
