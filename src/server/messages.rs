//! Published messages are given out, some in a turn.

use super::client::End;
use super::{Server, Source, Token};
use crate::limits::{
    MESSAGE_BYTES_AT_ONCE, MESSAGES_AT_ONCE, MESSAGES_NS_MAX, SUBSCRIBER_STUCK_BYTES_MAX, SUBSCRIBER_STUCK_MS,
    SUBSCRIBER_UNSENT_BYTES_MAX,
};
use crate::proto::Encoding;
use crate::pubsub::Receiver;
use crate::sys::clock;

impl Server {
    /// Lets those go on who wait to publish, and gives out messages for a bounded time. This comes after all requests of a
    /// turn, so that nobody gets a message before the answer to what has made it a subscriber.
    pub(super) fn serve_messages(&mut self) {
        if self.engine.state.pubsub.is_idle() && self.publishers.is_empty() {
            return;
        }
        let until_ns = clock::monotonic_ns() + MESSAGES_NS_MAX;
        let mut touched = Vec::new();
        self.engine.state.pubsub.end_some();
        self.give_lines(&mut touched);
        loop {
            let more = self.give_out(&mut touched);
            for token in touched.drain(..) {
                self.send_touched(token);
            }
            if !more || clock::monotonic_ns() >= until_ns {
                break;
            }
        }
        self.serve_publishers();
    }

    /// Whether somebody waits to publish, and can.
    pub(super) fn publishers_go_on(&self) -> bool {
        !self.publishers.is_empty() && self.engine.state.pause.is_none() && !self.engine.state.pubsub.must_wait()
    }

    fn serve_publishers(&mut self) {
        // Those of other nodes, who come behind these in a turn, have every other one for themselves.
        let others_wait = self.bus.as_ref().is_some_and(|bus| !bus.forwards.publishes.is_empty());
        if others_wait && self.engine.state.stats.turns.is_multiple_of(2) {
            return;
        }
        while self.publishers_go_on()
            && let Some(token) = self.publishers.pop_front()
        {
            self.engine.begin_share();
            self.end_pause(token);
            self.engine.end_share();
            if !self.engine.has_time() {
                return;
            }
        }
    }

    /// Queues some messages for those who are to get them; false where no more are on their way.
    fn give_out(&mut self, touched: &mut Vec<Token>) -> bool {
        let mut bytes = 0;
        for _ in 0..MESSAGES_AT_ONCE {
            let token = match self.engine.state.pubsub.next_receiver() {
                Receiver::Client(receiver) => Token::from_bits(receiver),
                Receiver::Later => return true,
                Receiver::Nobody => return false,
            };
            let Some(encoding) = self.takes(token) else { continue };
            let Some(Source::Client(client)) = self.reactor.get_mut(token) else { continue };
            // One that is not whole, since its channel's name is too long or memory was short, is for nobody.
            let message = self.engine.state.pubsub.message(encoding).filter(|message| message.lost().is_none());
            if let Some(message) = message {
                bytes += message.copied_bytes() + message.shared_bytes();
                client.conn.queue_message(message, &mut self.desk.pool);
                client.touch(token, touched);
            }
            if bytes >= MESSAGE_BYTES_AT_ONCE {
                break;
            }
        }
        true
    }

    /// Queues what was executed for those who watch that, all of it.
    fn give_lines(&mut self, touched: &mut Vec<Token>) {
        if self.engine.state.pubsub.lines.is_empty() {
            return;
        }
        let (lines, monitors) = self.engine.state.pubsub.take_lines();
        for &[monitor, from] in monitors.as_chunks::<2>().0 {
            let token = Token::from_bits(monitor);
            let Some(encoding) = self.takes(token) else { continue };
            let Some(Source::Client(client)) = self.reactor.get_mut(token) else { continue };
            let bytes = &lines.bytes()[from as usize..];
            if encoding == Encoding::Text {
                // Without the mark that a line of RESP begins with.
                for line in bytes.split_inclusive(|&byte| byte == b'\n') {
                    client.conn.queue_bytes(&line[1..], &mut self.desk.pool);
                }
            } else {
                client.conn.queue_bytes(bytes, &mut self.desk.pool);
            }
            client.touch(token, touched);
        }
    }

    /// How a client is told messages, if it is there and hears, and is not closed for what it has not taken.
    fn takes(&mut self, token: Token) -> Option<Encoding> {
        let Some(Source::Client(client)) = self.reactor.get_mut(token) else { return None };
        let session = &client.session;
        let encoding = session.encoding.unwrap_or(session.subscriber.as_ref()?.encoding);
        // Who has said that it ends hears no more.
        if client.conn.is_closing() {
            return None;
        }
        let (copied, pinned) = client.conn.output_bytes();
        if copied + pinned <= SUBSCRIBER_STUCK_BYTES_MAX {
            return Some(encoding);
        }
        // A long value that is being sent does not count; nor is a client stuck whose next reply is not there yet.
        let bytes = copied + pinned - client.conn.first_pinned_bytes();
        let quiet_ms = self.engine.state.now.ms.saturating_sub(client.active_ms);
        let stuck = client.conn.wants_write() && quiet_ms >= SUBSCRIBER_STUCK_MS;
        if bytes > if stuck { SUBSCRIBER_STUCK_BYTES_MAX } else { SUBSCRIBER_UNSENT_BYTES_MAX } {
            self.close(token, End::SlowSubscriber(bytes));
            return None;
        }
        Some(encoding)
    }
}
