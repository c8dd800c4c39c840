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
        others + coming(true) + bytes <= bound || conn.is_next(place) && others <= bound
    }
}
