//! What the server counts: each counter is declared once, with its name in INFO, its unit and its meaning.

mod fixed;
mod histogram;

pub use fixed::Fixed;
pub use histogram::Histogram;

/// A counter as it is declared: for readers of the source, so that the program has no more of it than the name.
#[cfg(test)]
#[derive(Debug)]
struct Counter {
    name: &'static str,
    /// What one of it is.
    unit: &'static str,
    meaning: &'static str,
}

macro_rules! counters {
    ($($field:ident, $unit:literal, $meaning:literal;)*) => {
        /// The counters of one server, all zero at start.
        #[derive(Clone, Debug, Default)]
        pub struct Stats {
            $(#[doc = $meaning] pub $field: u64,)*
            /// The error replies, by their codes.
            pub errors: ErrorCounts,
            /// For how many milliseconds more memory was used than may be, but for the time since it last became so.
            pub exceeded_ms: u64,
        }

        #[cfg(test)]
        const COUNTERS: &[Counter] = &[$(Counter { name: stringify!($field), unit: $unit, meaning: $meaning },)*];

        /// What is counted, as INFO names it, in the order of [`Stats::values`].
        pub static COUNTED: &[&str] = &[$(stringify!($field),)*];

        impl Stats {
            /// The values, in the order of [`COUNTED`].
            pub fn values(&self) -> Vec<u64> {
                vec![$(self.$field,)*]
            }
        }
    };
}

counters! {
    total_connections_received, "connections", "Connections taken from the listeners.";
    rejected_connections, "connections", "Connections refused because maxclients was reached.";
    rejected_by_address, "connections", "Connections refused because their address had as many as it may.";
    accept_pauses, "pauses", "Times that accepting stopped because descriptors or memory ran out.";
    total_commands_processed, "commands", "Commands executed, those answered with an error included.";
    total_error_replies, "replies", "Error replies sent.";
    total_net_input_bytes, "bytes", "Bytes received from clients.";
    total_net_output_bytes, "bytes", "Bytes sent to clients.";
    keyspace_hits, "lookups", "Lookups of a key by a reading command that found it.";
    keyspace_misses, "lookups", "Lookups of a key by a reading command that did not find it.";
    expired_keys, "keys", "Expired keys whose memory was taken back.";
    expire_lag_worst_ms, "milliseconds", "The longest that an expired key has waited for its memory to be taken back.";
    evicted_keys, "keys", "Keys that the memory policy has let go.";
    memory_shortages, "times", "Times that the system had no memory to give, so that what needs some is refused.";
    closed_by_memory_shortage, "connections", "Clients closed because the system had no memory for what they sent or were owed.";
    evicted_clients, "connections", "Clients closed because all together made the server hold more than they may.";
    acl_access_denied_auth, "attempts", "Wrong passwords.";
    closed_by_timeout, "connections", "Clients closed because they were idle for longer than the timeout.";
    closed_by_first_request_timeout, "connections", "Clients closed because they had sent no whole request in time.";
    client_output_pauses, "times", "Times that a client's next requests waited because it had not taken its replies.";
    client_output_buffer_limit_disconnections, "connections", "Clients closed because one reply was too large.";
    closed_by_slow_subscription, "connections", "Clients closed because they did not take the messages they subscribed to.";
    keyspace_events_lost, "messages", "Events of keys that nobody was told of, since too many messages were on their way or patterns took too long.";
    messages_refused, "messages", "Messages that nobody here was told of, since too many were on their way, patterns took too long or memory was short.";
    monitor_lines_lost, "lines", "Requests that no MONITOR was told of, since a turn had too many.";
    closed_by_protocol_error, "connections", "Clients closed because what they sent was no request.";
    closed_by_peer_error, "connections", "Clients lost to a reset or another error of the connection.";
    cluster_forwarded, "requests", "Requests sent to other nodes, each part of one that was cut up counted.";
    cluster_served, "requests", "Requests executed for other nodes.";
    cluster_waits, "times", "Times that a client's next requests waited because other nodes owed it too much.";
    cluster_links_broken, "links", "Links to other nodes that were up and broke.";
    cluster_links_refused, "links", "Links of other nodes that were refused.";
    cluster_frames_refused, "frames", "Frames of other nodes that were none.";
    cluster_outcomes_unknown, "replies", "Writes whose link broke before they were answered.";
    cluster_down_replies, "replies", "Requests refused because a node was not linked.";
    turns, "turns", "Passes of the loop.";
    turn_worst_us, "microseconds", "The longest pass of the loop, waiting not included.";
}

/// So many codes are told apart, since a code may come from outside (a handler's words are ours, but a bug is cheap to
/// bound); Redis has the same bound.
const CODES_MAX: usize = 128;

/// How many error replies each code has had: `ERR`, `NOAUTH`, ...
#[derive(Clone, Debug, Default)]
pub struct ErrorCounts {
    counts: Vec<(Box<str>, u64)>,
}

impl ErrorCounts {
    /// Every code that occurred, and how often.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.counts.iter().map(|(code, count)| (&**code, *count))
    }
}

impl Stats {
    /// Counts an error reply; `text` begins with its code.
    pub fn count_error(&mut self, text: &str) {
        self.total_error_replies += 1;
        let code = text.split(' ').next().unwrap_or(text);
        let counts = &mut self.errors.counts;
        if let Some((_, count)) = counts.iter_mut().find(|(known, _)| **known == *code) {
            *count += 1;
        } else if counts.len() < CODES_MAX {
            counts.push((code.into(), 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn errors_are_counted_by_their_code() {
        let mut stats = Stats::default();
        ["ERR a b", "NOAUTH x", "ERR c", "OOM"].into_iter().for_each(|text| stats.count_error(text));
        assert_eq!(stats.errors.iter().collect::<Vec<_>>(), [("ERR", 2), ("NOAUTH", 1), ("OOM", 1)]);
        (0..1000).for_each(|number| stats.count_error(&format!("E{number}")));
        assert_eq!((stats.errors.iter().count(), stats.total_error_replies), (CODES_MAX, 1004));
    }

    #[test]
    fn every_counter_has_a_name_of_its_own_a_unit_and_a_sentence() {
        let names: HashSet<_> = COUNTERS.iter().map(|counter| counter.name).collect();
        assert_eq!(names.len(), COUNTERS.len());
        assert_eq!((Stats::default().values().len(), COUNTED.len()), (COUNTERS.len(), COUNTERS.len()));
        for counter in COUNTERS {
            assert!(!counter.unit.is_empty() && counter.meaning.ends_with('.'), "{counter:?}");
        }
    }
}
