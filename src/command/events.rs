//! What becomes of keys, published for who listens: `notify-keyspace-events`.
//!
//! Off, it costs a branch where a key is changed. What is told is Redis's: a message to `__keyspace@0__:KEY`, which is the
//! event, and one to `__keyevent@0__:EVENT`, which is the key.

use super::{CommandSpec, State, glob};
use crate::limits::EVENT_KEY_BYTES_MAX;
use crate::proto::{Args, Word};
use crate::pubsub::PubSub;
use crate::stats::Stats;

/// Events of keys, whatever they hold.
const GENERIC: u16 = 1;
/// Events of strings.
const STRING: u16 = 1 << 1;
/// Entries go since their time has come.
const EXPIRED: u16 = 1 << 6;
const EVICTED: u16 = 1 << 7;
const KEYSPACE: u16 = 1 << 11;
const KEYEVENT: u16 = 1 << 12;
/// Keys are read that are not there.
pub(super) const MISS: u16 = 1 << 13;

/// What becomes of a key: those of a class stand side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    CopyTo,
    Del,
    Expire,
    Persist,
    RenameFrom,
    RenameTo,
    Restore,
    Append,
    IncrBy,
    IncrByFloat,
    Prepend,
    Set,
    SetBit,
    SetRange,
    Evicted,
    Expired,
    KeyMiss,
}

/// What they are called, in their order.
const NAMES: &[u8] =
    b"copy_to del expire persist rename_from rename_to restore append incrby incrbyfloat prepend set setbit \
    setrange evicted expired keymiss";

impl Event {
    fn class(self) -> u16 {
        match self {
            Event::KeyMiss => MISS,
            Event::Expired => EXPIRED,
            Event::Evicted => EVICTED,
            _ if self >= Event::Append => STRING,
            _ => GENERIC,
        }
    }

    fn name(self) -> &'static [u8] {
        NAMES.split(|&byte| byte == b' ').nth(self as usize).unwrap_or_default()
    }
}

/// The letters of Redis's classes, each for the bit of its place. Those of other types are accepted and never fire, and
/// neither does `n`, for keys that are new; the first ten are in `A`, and `n` is told only where `A` is not, as in Redis.
const LETTERS: &[u8] = b"g$lshzxetdnKEm";
const ALL: u16 = (1 << 10) - 1;
const NEW: u16 = 1 << 10;

/// The classes that letters name; none where one is no class's.
pub fn parse(text: &str) -> Option<u16> {
    let mut classes = 0;
    for letter in text.bytes() {
        classes |= match LETTERS.iter().position(|&known| known == letter) {
            Some(place) => 1 << place,
            None if letter == b'A' => ALL,
            None => return None,
        };
    }
    Some(classes)
}

/// The letters of classes, in Redis's order.
pub(super) fn letters(classes: u16) -> String {
    let mut text = String::new();
    let mut left = classes;
    if classes & ALL == ALL {
        text.push('A');
        left &= !(ALL | NEW);
    }
    for (place, &letter) in LETTERS.iter().enumerate() {
        if left & 1 << place != 0 {
            text.push(char::from(letter));
        }
    }
    text
}

impl State {
    /// Lets all who make events know which ones are wanted.
    pub fn apply_events(&mut self) {
        let events = self.settings.events;
        self.pubsub.events = if events & (KEYSPACE | KEYEVENT) == 0 { 0 } else { events };
        self.store.follow_ends(self.pubsub.events & (EXPIRED | EVICTED) != 0);
    }

    /// An event of a key, after it has taken effect.
    #[cold]
    #[inline(never)]
    pub(super) fn tell(&mut self, event: Event, key: &[u8]) {
        if self.pubsub.events & event.class() != 0 {
            publish(&mut self.pubsub, &mut self.stats, event.name(), key);
        }
    }

    /// Entries may have gone because their time had come.
    #[inline]
    pub fn tell_expired(&mut self) {
        if self.pubsub.events != 0 {
            self.tell_ends(Event::Expired);
        }
    }

    /// An entry may have gone because memory is short.
    #[inline]
    pub(super) fn tell_evicted(&mut self) {
        if self.pubsub.events != 0 {
            self.tell_ends(Event::Evicted);
        }
    }

    #[cold]
    #[inline(never)]
    fn tell_ends(&mut self, event: Event) {
        for key in self.store.take_ends() {
            self.tell(event, &key);
        }
    }
}

/// Before a command comes to keys whose time has come, their ends are told, as in Redis: the sweep may not be there yet.
#[cold]
#[inline(never)]
pub(super) fn end_keys(state: &mut State, spec: &CommandSpec, args: Args<'_>) {
    for place in spec.key_places(args.len()) {
        if state.store.end(&args[place], state.now.ms) {
            state.stats.expired_keys += 1;
            state.tell(Event::Expired, &args[place]);
        }
    }
}

/// A key was looked for and is not there.
#[cold]
#[inline(never)]
pub(super) fn miss(pubsub: &mut PubSub, stats: &mut Stats, key: &[u8]) {
    publish(pubsub, stats, Event::KeyMiss.name(), key);
}

/// Publishes an event of a key; it is left out where too many messages are on their way.
fn publish(pubsub: &mut PubSub, stats: &mut Stats, event: &[u8], key: &[u8]) {
    if key.len() > EVENT_KEY_BYTES_MAX || pubsub.is_empty() {
        return;
    }
    for (class, begin, of, payload) in
        [(KEYSPACE, &b"__keyspace@0__:"[..], key, event), (KEYEVENT, b"__keyevent@0__:", event, key)]
    {
        if pubsub.events & class != 0 {
            let channel = [begin, of].concat();
            let is_lost = pubsub.is_full() || pubsub.publish(&channel, Word::Received(payload), glob::matches).is_err();
            stats.keyspace_events_lost += u64::from(is_lost);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_their_names_and_classes() {
        for (event, name, class) in [
            (Event::CopyTo, "copy_to", GENERIC),
            (Event::Restore, "restore", GENERIC),
            (Event::Append, "append", STRING),
            (Event::SetRange, "setrange", STRING),
            (Event::Evicted, "evicted", EVICTED),
            (Event::KeyMiss, "keymiss", MISS),
        ] {
            assert_eq!((event.name(), event.class()), (name.as_bytes(), class));
        }
    }

    #[test]
    fn classes_have_redis_s_letters_in_its_order() {
        for (given, told) in [
            ("", ""),
            ("KEA", "AKE"),
            ("Kx", "xK"),
            ("Eg$lshzxetdmn", "AEm"),
            ("KEn", "nKE"),
            ("AKEnm", "AKEm"),
            ("KEg$lshzxet", "g$lshzxetKE"),
            ("KEd", "dKE"),
        ] {
            assert_eq!(parse(given).map(letters).as_deref(), Some(told), "{given}");
        }
        for wrong in ["q", "Kq", "kea", " "] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        for (class, letter) in
            [(GENERIC, "g"), (STRING, "$"), (EXPIRED, "x"), (EVICTED, "e"), (KEYSPACE, "K"), (KEYEVENT, "E")]
        {
            assert_eq!(letters(class), letter);
        }
    }
}
