//! Long answers of other nodes: how much of them a client may have on their way.
//!
//! A node keeps a long answer until it is asked for, where it costs nothing: it lies in its store. Here it would be a copy.
//! So a client that does not read gets no more of them than it may pin of this node's own values. The parts of a split
//! are offers for the same reply, and are counted as one.

use crate::cluster::Offer;
use crate::conn::{Connection, Place};
use crate::limits::OUTPUT_PINNED_BYTES;

/// The long answers that a client waits for.
#[derive(Debug, Default)]
pub(super) struct Offers {
    /// On their way.
    coming: Vec<(Place, u64)>,
    /// Kept by the nodes that have them.
    kept: Vec<(Place, Offer)>,
}

impl Offers {
    /// An answer is offered for the reply at `place`. `true`: it may come; else it is kept, and [`Offers::next`] names
    /// it when there is room.
    pub(super) fn take(&mut self, conn: &Connection, place: Place, offer: Offer) -> bool {
        let fits = self.fits(conn, place, offer.bytes);
        if fits {
            self.coming.push((place, offer.bytes));
        } else {
            self.kept.push((place, offer));
        }
        fits
    }

    /// The reply at `place` is there, all of it, or an error in its stead: nothing more of it is to come.
    pub(super) fn done(&mut self, place: Place) {
        self.coming.retain(|(other, _)| *other != place);
        // Where the link broke, what was offered on it is no more.
        self.kept.retain(|(other, _)| *other != place);
    }

    /// A kept answer that may come now.
    pub(super) fn next(&mut self, conn: &Connection) -> Option<Offer> {
        let at = self.kept.iter().position(|(place, offer)| self.fits(conn, *place, offer.bytes))?;
        let (place, offer) = self.kept.swap_remove(at);
        self.coming.push((place, offer.bytes));
        Some(offer)
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.coming.is_empty() && self.kept.is_empty()
    }

    /// All that is kept: nobody waits for it any more.
    pub(super) fn kept(&self) -> impl Iterator<Item = Offer> {
        self.kept.iter().map(|(_, offer)| *offer)
    }

    /// One that is larger than the bound comes too, all parts of it, when it is the next one to be sent and what is before
    /// it has been sent: it could never come otherwise, and all behind it would wait.
    fn fits(&self, conn: &Connection, place: Place, bytes: u64) -> bool {
        let bound = OUTPUT_PINNED_BYTES as u64;
        let (copied, pinned) = conn.output_bytes();
        let coming = |own: bool| {
            self.coming.iter().filter(|(other, _)| (*other == place) == own).map(|(_, bytes)| bytes).sum::<u64>()
        };
        let others = (copied + pinned) as u64 + coming(false);
        others + coming(true) + bytes <= bound || conn.is_next(place) && (others <= bound || !conn.wants_write())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Map, Member};
    use crate::conn::{Desk, Flow, Request, Service};
    use crate::proto::{Args, Encoding, Face, Form, Output, ParseError, Reply};

    /// Each request's answer comes later.
    #[derive(Default)]
    struct Later(Vec<Place>);

    impl Service for Later {
        type Ahead = ();

        fn foresee(&mut self, _: Args<'_>) {}

        fn fetch(&mut self, _: &mut [Request<()>]) {}

        fn rest_of(&mut self, _: &[u8]) -> usize {
            0
        }

        fn end_batch(&mut self) {}

        fn trusts(&self) -> bool {
            true
        }

        fn serve(&mut self, _: Args<'_>, _: Form, _: &(), _: &mut Output, place: Place) -> Flow {
            self.0.push(place);
            Flow::Later(1)
        }

        fn has_time(&self) -> bool {
            true
        }

        fn reject(&mut self, _: ParseError, _: &mut Output) {}
    }

    /// A connection that waits for so many replies, and their places.
    fn waiting(requests: usize) -> (Connection, Desk, Vec<Place>) {
        let (mut conn, mut desk, mut later) = (Connection::default(), Desk::default(), Later::default());
        conn.take("GET k\n".repeat(requests).as_bytes(), &mut desk, &mut later);
        (conn, desk, later.0)
    }

    fn offer(map: &Map, bytes: usize) -> Offer {
        Offer { node: map.own(), id: 0, bytes: bytes as u64 }
    }

    fn map() -> Map {
        let address = "127.0.0.1:1000".parse().expect("an address");
        Map::new(vec![Member { address, name: "n".into() }], address).expect("a map")
    }

    #[test]
    fn a_link_that_breaks_leaves_nothing_to_wait_for() {
        let (map, (conn, _, places)) = (map(), waiting(3));
        let mut offers = Offers::default();
        let offer = offer(&map, OUTPUT_PINNED_BYTES);
        assert!(offers.take(&conn, places[0], offer));
        assert!(!offers.take(&conn, places[1], offer) && !offers.take(&conn, places[2], offer));
        places.iter().for_each(|&place| offers.done(place));
        assert!(offers.is_empty() && offers.next(&conn).is_none());
    }

    #[test]
    fn copied_bytes_that_are_not_taken_count() {
        let (map, (mut conn, mut desk, places)) = (map(), waiting(2));
        let mut offers = Offers::default();
        let offer = offer(&map, 2 * OUTPUT_PINNED_BYTES);
        assert!(offers.take(&conn, places[0], offer));
        Reply::new(&mut desk.output, Encoding::Resp2, Face::Typed).bulk(&vec![b'x'; 2 * OUTPUT_PINNED_BYTES]);
        conn.fill(places[0], &mut desk, true);
        offers.done(places[0]);
        assert!(!offers.take(&conn, places[1], offer));
        conn.drop_output(&mut desk.pool);
        assert_eq!(offers.next(&conn), Some(offer));
    }

    #[test]
    fn the_parts_of_the_next_reply_all_come() {
        let (map, (conn, _, places)) = (map(), waiting(2));
        let mut offers = Offers::default();
        let offer = offer(&map, 2 * OUTPUT_PINNED_BYTES);
        assert!(offers.take(&conn, places[0], offer) && offers.take(&conn, places[0], offer));
        assert!(!offers.take(&conn, places[1], offer));
    }
}
