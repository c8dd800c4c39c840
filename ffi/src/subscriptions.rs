//! Channels that are listened to, whom their messages are for, and how both outlive a connection.

use std::collections::BTreeMap;
use std::ffi::{c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use memento::client::reply::{Kind, View};
use memento::client::resp::Deadline;

use crate::error::{Code, Failure, Outcome};
use crate::handle::{Inner, copied, refusal, written};

/// A message as C sees it; it and all to which it leads hold while the callback works.
#[repr(C)]
pub struct Message {
    channel: *const c_char,
    channel_length: usize,
    payload: *const c_char,
    payload_length: usize,
    /// The pattern that was subscribed to, else NULL.
    pattern: *const c_char,
    pattern_length: usize,
}

/// C's function for messages.
pub type Callback = unsafe extern "C" fn(data: *mut c_void, message: *const Message);

/// Whom messages are for.
#[derive(Clone, Copy)]
pub struct Sink {
    /// The function ...
    pub callback: Callback,
    /// ... and what it is given.
    pub data: *mut c_void,
}

// SAFETY: the pointer is never followed here; C may use its handle in another thread, with all that belongs to it.
unsafe impl Send for Sink {}

/// What a name subscribes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A channel of this name.
    Channel,
    /// All channels that match it.
    Pattern,
}

impl What {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            What::Channel => ("subscribe", "unsubscribe"),
            What::Pattern => ("psubscribe", "punsubscribe"),
        }
    }
}

/// Channels and patterns.
#[derive(Default)]
pub struct Subscriptions {
    channels: BTreeMap<Vec<u8>, Sink>,
    patterns: BTreeMap<Vec<u8>, Sink>,
}

impl Subscriptions {
    /// Whether nothing is listened to.
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.patterns.is_empty()
    }

    fn of(&mut self, what: What) -> &mut BTreeMap<Vec<u8>, Sink> {
        match what {
            What::Channel => &mut self.channels,
            What::Pattern => &mut self.patterns,
        }
    }

    /// Hands a message over; false when it is none that we listen to.
    fn deliver(&self, view: View<'_>) -> bool {
        let words: Vec<&[u8]> = view.children().map(|child| child.bytes()).collect();
        let (sink, pattern, channel, payload) = match words[..] {
            [b"message", channel, payload] => (self.channels.get(channel), None, channel, payload),
            [b"pmessage", pattern, channel, payload] => (self.patterns.get(pattern), Some(pattern), channel, payload),
            _ => return false,
        };
        if let Some(sink) = sink {
            let message = Message {
                channel: channel.as_ptr().cast(),
                channel_length: channel.len(),
                payload: payload.as_ptr().cast(),
                payload_length: payload.len(),
                pattern: pattern.map_or(std::ptr::null(), |pattern| pattern.as_ptr().cast()),
                pattern_length: pattern.map_or(0, <[u8]>::len),
            };
            // SAFETY: C gave this function for this, and the message is whole while it works.
            unsafe { (sink.callback)(sink.data, &message) };
        }
        // One that crossed our word that we listen no more is for nobody.
        true
    }
}

/// Whether an answer confirms the word for a name.
fn confirms(view: View<'_>, word: &str, name: &[u8]) -> bool {
    let mut children = view.children();
    children.next().is_some_and(|first| first.is_word(word))
        && children.next().is_some_and(|second| second.bytes() == name)
}

impl Inner {
    /// Listens to a channel, or to a pattern.
    pub fn subscribe(&mut self, what: What, name: &[u8], sink: Sink, is_closed: &AtomicBool) -> Outcome<()> {
        let deadline = self.deadline();
        let kept = copied("name", name)?;
        if self.subscriptions.is_empty() {
            self.ready(deadline)?;
        } else if !self.is_connected() {
            self.subscribe_again(deadline, is_closed)?;
        }
        self.converse(what.words().0, &[name], deadline, is_closed)?;
        self.subscriptions.of(what).insert(kept, sink);
        Ok(())
    }

    /// Listens no more. Where there is no connection there is nobody to be told.
    pub fn unsubscribe(&mut self, what: What, name: &[u8], is_closed: &AtomicBool) -> Outcome<()> {
        if !self.subscriptions.of(what).contains_key(name) {
            return Err(Failure::new(Code::State, "the handle has no such subscription"));
        }
        if self.is_connected() {
            self.converse(what.words().1, &[name], self.deadline(), is_closed)?;
        }
        self.subscriptions.of(what).remove(name);
        Ok(())
    }

    /// A new connection, on which all is listened to as before.
    fn subscribe_again(&mut self, deadline: Deadline, is_closed: &AtomicBool) -> Outcome<()> {
        self.ready(deadline)?;
        for what in [What::Channel, What::Pattern] {
            let names = self.subscriptions.of(what).keys().map(|name| copied("name", name));
            let names: Vec<Vec<u8>> = names.collect::<Outcome<_>>().inspect_err(|_| self.disconnect())?;
            let names: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
            if !names.is_empty() {
                // A connection that listens to a part of them would lose messages unseen.
                self.converse(what.words().0, &names, deadline, is_closed).inspect_err(|_| self.disconnect())?;
            }
        }
        Ok(())
    }

    /// Sends a word with names and waits until each is confirmed; messages meanwhile go where they belong.
    fn converse(&mut self, word: &str, names: &[&[u8]], deadline: Deadline, is_closed: &AtomicBool) -> Outcome<()> {
        let words: Vec<&[u8]> = [word.as_bytes()].into_iter().chain(names.iter().copied()).collect();
        let command = written(&words)?;
        let sent = self.client()?.send(&command, deadline);
        self.kept(sent)?;
        let mut left = names;
        while let Some((name, rest)) = left.split_first() {
            let received = self.client()?.receive(deadline).map(|_| ());
            self.kept(received)?;
            let view = self.answer()?;
            if confirms(view, word, name) {
                left = rest;
            } else if view.kind() == Kind::Error {
                return Err(refusal(view));
            } else if !self.subscriptions.deliver(view) {
                return self.unexpected("a confirmation");
            } else if is_closed.load(Ordering::Relaxed) {
                return Err(closed_meanwhile());
            }
        }
        Ok(())
    }

    /// Hands over the messages that are there; where there are none, waits for at most so long (`None`: for ever) until
    /// there are. Gives how many there were.
    pub fn poll(&mut self, time: Option<Duration>, is_closed: &AtomicBool) -> Outcome<c_int> {
        if self.subscriptions.is_empty() {
            return Err(Failure::new(Code::State, "the handle has no subscriptions to poll for"));
        }
        if !self.is_connected() {
            self.subscribe_again(self.deadline(), is_closed)?;
        }
        let end = time.map(|time| Instant::now() + time);
        let mut count = 0;
        loop {
            loop {
                let found = self.client()?.buffered().map(|view| view.is_some());
                if !self.kept(found)? {
                    break;
                }
                let view = self.answer()?;
                if view.kind() == Kind::Error {
                    let failure = refusal(view);
                    self.disconnect();
                    return Err(failure);
                }
                if !self.subscriptions.deliver(view) {
                    return self.unexpected("a message");
                }
                if is_closed.load(Ordering::Relaxed) {
                    return Err(closed_meanwhile());
                }
                count += 1;
            }
            if count > 0 {
                return Ok(count);
            }
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            let more = self.client()?.receive_more(left);
            if !self.kept(more)? && left.is_some_and(|left| left.is_zero()) {
                return Ok(0);
            }
        }
    }
}

fn closed_meanwhile() -> Failure {
    Failure::new(Code::Handle, "the handle was closed by its callback")
}
