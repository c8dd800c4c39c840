//! Published messages are given out, some in a turn.

use super::client::End;
use super::{Server, Source, Token};
use crate::limits::{MESSAGE_BYTES_AT_ONCE, MESSAGES_AT_ONCE, MESSAGES_NS_MAX, SUBSCRIBER_UNSENT_BYTES_MAX};
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
        !self.publishers.is_empty() && self.engine.state.pause.is_none() && !self.engine.state.pubsub.is_full()
    }

    fn serve_publishers(&mut self) {
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
            let Some(receiver) = self.engine.state.pubsub.next_receiver() else { return false };
            let token = Token::from_bits(receiver);
            let Some(Source::Client(client)) = self.reactor.get_mut(token) else { continue };
            let Some(subscriber) = &client.session.subscriber else { continue };
            // Who has said that it ends hears no more.
            if client.conn.is_closing() {
                continue;
            }
            let (copied, pinned) = client.conn.output_bytes();
            if copied + pinned > SUBSCRIBER_UNSENT_BYTES_MAX {
                self.close(token, End::SlowSubscriber(copied + pinned));
                continue;
            }
            let encoding = client.session.encoding.unwrap_or(subscriber.encoding);
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
}
