//! The reactor: which descriptor is ready, which deadline is due. Knows nothing of what they are for.
//!
//! It owns the sources (anything with a descriptor) and names each by a [`Token`], an index with a generation: an
//! event of a source that was closed earlier in the same turn names a generation that is gone, and is dropped,
//! even when a new source has taken the index or the kernel has reused the descriptor's number.

use crate::sys::epoll::{Epoll, Interest, Ready};
use crate::timer::{Timers, earlier_ms};
use std::io;
use std::num::NonZero;
use std::os::fd::AsFd;

/// Room for so many sources is there at first. Allocators map so much by itself, where only what is used takes memory and
/// what is outgrown leaves no hole behind.
const PLACES_AT_FIRST: usize = 1024;

/// The name of a source: unique for as long as anybody may remember it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    index: u32,
    generation: u32,
}

impl Token {
    /// As a number.
    pub fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    /// The token of a number that [`Token::to_bits`] has made.
    pub fn from_bits(bits: u64) -> Token {
        Token { index: bits as u32, generation: (bits >> 32) as u32 }
    }
}

/// What is ready at one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Which source.
    pub token: Token,
    /// Reading will not block.
    pub readable: bool,
    /// Writing will not block.
    pub writable: bool,
    /// The connection is gone in both directions, or broken.
    pub hangup: bool,
}

/// The sources, what they are watched for, and their deadlines.
pub struct Reactor<S> {
    epoll: Epoll,
    places: Vec<Place<S>>,
    free: Vec<u32>,
    /// What the last wait reported, kept so that no turn allocates; from `handled` on, the loop has not handled it yet.
    ready: Vec<Ready>,
    handled: usize,
    timers: Timers,
}

/// Where a source lives. The generation grows each time that the place is vacated.
struct Place<S> {
    generation: u32,
    interest: Interest,
    /// There is no deadline at 0: that had passed when the box started.
    deadline_ms: Option<NonZero<u64>>,
    source: Option<S>,
}

impl<S: AsFd> Reactor<S> {
    /// A reactor that takes at most `events_max` reports from the kernel at a time.
    ///
    /// # Errors
    /// Those of `epoll_create1(2)`.
    pub fn new(events_max: usize) -> io::Result<Reactor<S>> {
        Ok(Reactor {
            epoll: Epoll::new(events_max)?,
            places: Vec::with_capacity(PLACES_AT_FIRST),
            free: Vec::new(),
            ready: Vec::with_capacity(events_max),
            handled: 0,
            timers: Timers::default(),
        })
    }

    /// Takes a source in and watches it.
    ///
    /// # Errors
    /// Those of `epoll_ctl(2)`; the source is dropped, and so closed.
    pub fn insert(&mut self, source: S, interest: Interest) -> io::Result<Token> {
        let index = self.free.last().copied().unwrap_or(self.places.len() as u32);
        let generation = self.places.get(index as usize).map_or(0, |place| place.generation);
        let token = Token { index, generation };
        self.epoll.add(source.as_fd(), interest, token.to_bits())?;
        let place = Place { generation, interest, deadline_ms: None, source: Some(source) };
        if self.free.pop().is_some() {
            self.places[index as usize] = place;
        } else {
            self.places.push(place);
        }
        Ok(token)
    }

    /// The source of this name, if it is still there.
    pub fn get_mut(&mut self, token: Token) -> Option<&mut S> {
        self.place(token)?.source.as_mut()
    }

    /// Gives a source back, no longer watched once it is dropped; its deadline is cancelled, and what is still
    /// reported of it will be dropped.
    pub fn remove(&mut self, token: Token) -> Option<S> {
        self.set_deadline(token, None);
        let place = self.place(token)?;
        place.generation = place.generation.wrapping_add(1);
        let source = place.source.take();
        self.free.push(token.index);
        source
    }

    /// Watches a source for something else; costs a system call only where it is a change.
    ///
    /// # Errors
    /// Those of `epoll_ctl(2)`.
    pub fn set_interest(&mut self, token: Token, interest: Interest) -> io::Result<()> {
        let Some(place) = Self::place_in(&mut self.places, token) else { return Ok(()) };
        if place.interest != interest
            && let Some(source) = &place.source
        {
            self.epoll.modify(source.as_fd(), interest, token.to_bits())?;
            place.interest = interest;
        }
        Ok(())
    }

    /// Sets, moves or (`None`) cancels the one deadline of a source.
    pub fn set_deadline(&mut self, token: Token, deadline_ms: Option<u64>) {
        let Some(place) = Self::place_in(&mut self.places, token) else { return };
        let deadline_ms = deadline_ms.map(|deadline_ms| NonZero::new(deadline_ms).unwrap_or(NonZero::<u64>::MIN));
        if let Some(before_ms) = std::mem::replace(&mut place.deadline_ms, deadline_ms) {
            self.timers.cancel(before_ms.get(), token.to_bits());
        }
        if let Some(deadline_ms) = deadline_ms {
            self.timers.set(deadline_ms.get(), token.to_bits());
        }
    }

    /// The next source whose deadline is due; its deadline is then gone.
    pub fn expired(&mut self, now_ms: u64) -> Option<Token> {
        let token = Token::from_bits(self.timers.expired(now_ms)?);
        if let Some(place) = self.place(token) {
            place.deadline_ms = None;
        }
        Some(token)
    }

    /// Waits for reports, unless some are left from before: until one comes, until the earliest deadline, and at
    /// most until `until_ms` (`None`: no further bound).
    ///
    /// # Errors
    /// Those of `epoll_wait(2)`.
    #[cfg_attr(memento_small, optimize(speed))]
    pub fn wait(&mut self, now_ms: u64, until_ms: Option<u64>) -> io::Result<()> {
        if self.handled < self.ready.len() {
            return Ok(());
        }
        self.handled = 0;
        self.ready.clear();
        let until_ms = earlier_ms(until_ms, self.timers.earliest_ms());
        self.epoll.wait(until_ms.map(|until_ms| until_ms.saturating_sub(now_ms)), &mut self.ready)
    }

    /// The next report of a source that is still there.
    #[cfg_attr(memento_small, optimize(speed))]
    pub fn next_event(&mut self) -> Option<Event> {
        while let Some(&Ready { data, readable, writable, hangup }) = self.ready.get(self.handled) {
            self.handled += 1;
            let token = Token::from_bits(data);
            if self.place(token).is_some() {
                return Some(Event { token, readable, writable, hangup });
            }
        }
        None
    }

    /// All sources.
    pub fn sources(&self) -> impl Iterator<Item = (Token, &S)> {
        let places = self.places.iter().zip(0..);
        places.filter_map(|(Place { generation, source, .. }, index)| {
            Some((Token { index, generation: *generation }, source.as_ref()?))
        })
    }

    /// The names of all sources.
    pub fn tokens(&self) -> Vec<Token> {
        self.sources().map(|(token, _)| token).collect()
    }

    fn place(&mut self, token: Token) -> Option<&mut Place<S>> {
        Self::place_in(&mut self.places, token)
    }

    fn place_in(places: &mut [Place<S>], token: Token) -> Option<&mut Place<S>> {
        let place = places.get_mut(token.index as usize)?;
        (place.generation == token.generation && place.source.is_some()).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    fn reactor() -> Reactor<UnixStream> {
        Reactor::new(16).unwrap()
    }

    #[test]
    fn an_event_of_a_closed_and_reused_place_is_dropped() {
        let mut reactor = reactor();
        let (mut here, a) = UnixStream::pair().unwrap();
        let (mut there, b) = UnixStream::pair().unwrap();
        let first = reactor.insert(a, Interest::READ).unwrap();
        let second = reactor.insert(b, Interest::READ).unwrap();
        here.write_all(b"x").unwrap();
        there.write_all(b"x").unwrap();
        reactor.wait(0, None).unwrap();
        let handled = reactor.next_event().unwrap().token;
        // While the first event is handled, the other source is closed, and a new one takes its place and number.
        let closed = if handled == first { second } else { first };
        drop(reactor.remove(closed));
        let (_kept, c) = UnixStream::pair().unwrap();
        let newcomer = reactor.insert(c, Interest::READ).unwrap();
        assert_eq!(newcomer.index, closed.index);
        assert_ne!(newcomer, closed);
        assert_eq!(reactor.next_event(), None);
        assert!(reactor.get_mut(closed).is_none() && reactor.get_mut(newcomer).is_some());
    }

    #[test]
    fn what_is_not_handled_stays_and_nothing_new_is_asked_before() {
        let mut reactor = reactor();
        let (mut here, a) = UnixStream::pair().unwrap();
        let token = reactor.insert(a, Interest::READ).unwrap();
        here.write_all(b"x").unwrap();
        reactor.wait(0, None).unwrap();
        reactor.wait(0, None).unwrap();
        assert_eq!(reactor.next_event().map(|event| event.token), Some(token));
        assert_eq!(reactor.next_event(), None);
        // Level-triggered: it is reported again for as long as it is true.
        reactor.wait(0, None).unwrap();
        assert!(reactor.next_event().is_some());
        reactor.set_interest(token, Interest::NONE).unwrap();
        reactor.wait(0, Some(0)).unwrap();
        assert_eq!(reactor.next_event(), None);
    }

    #[test]
    fn a_deadline_moves_and_goes_with_its_source() {
        let mut reactor = reactor();
        let (_here, a) = UnixStream::pair().unwrap();
        let token = reactor.insert(a, Interest::READ).unwrap();
        reactor.set_deadline(token, Some(50));
        reactor.set_deadline(token, Some(70));
        assert_eq!(reactor.expired(60), None);
        assert_eq!(reactor.expired(70), Some(token));
        assert_eq!(reactor.expired(1000), None);
        reactor.set_deadline(token, Some(90));
        drop(reactor.remove(token));
        assert_eq!(reactor.expired(1000), None);
        assert!(reactor.tokens().is_empty());
    }
}
