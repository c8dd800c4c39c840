//! The requests to one node that are not answered yet, found by their ids without a search.

use crate::limits::LINK_REQUESTS_HARD_MAX;
use crate::pairs::Pairs;
use std::{iter, mem};

/// So many bits of an id are the place in the table; the others count how often the place was used, so that the id of
/// an answered request is not that of the next one.
const PLACE_BITS: u32 = 20;

// One place is never used, so that one id is never given.
const _: () = assert!(LINK_REQUESTS_HARD_MAX < 1 << PLACE_BITS);

/// A request on its way.
pub(super) struct Flight<T> {
    /// What goes back with the answer.
    pub(super) ticket: T,
    /// How many were made before it.
    number: u64,
    /// So many bytes it took; long values do not count.
    bytes: usize,
    /// How large the answer is, where the node asked before sending it.
    pub(super) announced: Option<u64>,
    /// Whether that was granted.
    pub(super) granted: bool,
}

struct Place<T> {
    uses: u32,
    flight: Option<Flight<T>>,
}

/// See the module.
pub(super) struct Requests<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
    made: u64,
    bytes: usize,
}

impl<T> Requests<T> {
    pub(super) fn new() -> Requests<T> {
        Requests { places: Vec::new(), free: Vec::new(), made: 0, bytes: 0 }
    }

    /// How many are unanswered.
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// How many bytes they took.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many were made in all.
    pub(super) fn made(&self) -> u64 {
        self.made
    }

    /// Takes a request in, and gives its id.
    #[inline]
    pub(super) fn insert(&mut self, ticket: T) -> u32 {
        let flight = Flight { ticket, number: self.made, bytes: 0, announced: None, granted: false };
        self.made += 1;
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                self.places.push(Place { uses: 0, flight: None });
                self.places.len() as u32 - 1
            }
        };
        let place = &mut self.places[index as usize];
        place.flight = Some(flight);
        index | place.uses << PLACE_BITS
    }

    /// Says how many bytes a request took.
    #[inline]
    pub(super) fn weigh(&mut self, id: u32, bytes: usize) {
        if let Some(flight) = self.get(id) {
            flight.bytes = bytes;
            self.bytes += bytes;
        }
    }

    /// The request with this id, if it is unanswered.
    #[inline]
    pub(super) fn get(&mut self, id: u32) -> Option<&mut Flight<T>> {
        let place = self.places.get_mut((id & ((1 << PLACE_BITS) - 1)) as usize)?;
        if place.uses == id >> PLACE_BITS { place.flight.as_mut() } else { None }
    }

    /// Takes the request with this id out.
    #[inline]
    pub(super) fn remove(&mut self, id: u32) -> Option<Flight<T>> {
        let index = id & ((1 << PLACE_BITS) - 1);
        let place = self.places.get_mut(index as usize)?;
        if place.uses != id >> PLACE_BITS {
            return None;
        }
        let flight = place.flight.take()?;
        place.uses = (place.uses + 1) & (u32::MAX >> PLACE_BITS);
        self.free.push(index);
        self.bytes -= flight.bytes;
        Some(flight)
    }

    /// Takes all of them out: the tickets in the order in which the requests were made.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = T> + use<T> {
        self.free = Vec::new();
        self.bytes = 0;
        let mut places = mem::take(&mut self.places);
        let mut order = Pairs::default();
        for (place, index) in places.iter().zip(0..) {
            if let Some(flight) = &place.flight {
                order.insert((flight.number, index));
            }
        }
        iter::from_fn(move || {
            let first = order.first()?;
            order.remove(first);
            places[first.1 as usize].flight.take().map(|flight| flight.ticket)
        })
    }

    /// An entry that stays, for a test to find.
    #[cfg(test)]
    pub(super) fn leak(&mut self) {
        self.places.push(Place { uses: 0, flight: None });
    }

    /// The id of the request that was made first, of those that are unanswered.
    #[cfg(test)]
    pub(super) fn oldest(&self) -> Option<u32> {
        let flights = self.places.iter().enumerate().filter_map(|(index, place)| {
            place.flight.as_ref().map(|flight| (flight.number, index as u32 | place.uses << PLACE_BITS))
        });
        flights.min().map(|(_, id)| id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_used_again_only_after_its_answer_and_not_at_once() {
        let mut requests = Requests::new();
        let ids: Vec<u32> = (0..100).map(|ticket| requests.insert(ticket)).collect();
        assert!((1..100).all(|index| !ids[..index].contains(&ids[index])));
        requests.weigh(ids[7], 30);
        requests.weigh(ids[8], 12);
        assert_eq!((requests.len(), requests.bytes()), (100, 42));
        assert_eq!(requests.remove(ids[7]).map(|flight| flight.ticket), Some(7));
        assert!(requests.remove(ids[7]).is_none() && requests.get(ids[7]).is_none());
        assert_eq!((requests.len(), requests.bytes()), (99, 12));
        let again = requests.insert(100);
        assert!(!ids.contains(&again));
        assert!(requests.remove(ids[7]).is_none() && requests.get(again).is_some());
        assert!(requests.get(u32::MAX).is_none() && requests.remove(1 << 19).is_none());
    }

    #[test]
    fn what_is_left_comes_out_in_the_order_of_asking() {
        let mut requests = Requests::new();
        let ids: Vec<u32> = (0..10).map(|ticket| requests.insert(ticket)).collect();
        assert!((2..6).all(|index| requests.remove(ids[index]).is_some()));
        let later: Vec<u32> = (10..13).map(|ticket| requests.insert(ticket)).collect();
        assert!(later.iter().all(|id| !ids.contains(id)));
        assert_eq!(requests.drain().collect::<Vec<_>>(), [0, 1, 6, 7, 8, 9, 10, 11, 12]);
        assert_eq!((requests.len(), requests.bytes(), requests.made()), (0, 0, 13));
    }
}
