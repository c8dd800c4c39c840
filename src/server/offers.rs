//! Long answers of other nodes: how much of them a client may have on their way.
//!
//! A node keeps a long answer until it is asked for, where it costs nothing: it lies in its store. Here it would be a copy.
//! So a client that does not read gets no more of them than it may pin of this node's own values.

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

    /// What came for the reply at `place` is there, all of it.
    pub(super) fn done(&mut self, place: Place) {
        self.coming.retain(|(other, _)| *other != place);
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
        let (_, pinned) = conn.output_bytes();
        let coming = |same: bool| {
            let counted = self.coming.iter().filter(move |(other, _)| (*other == place) == same);
            counted.map(|(_, bytes)| bytes).sum::<u64>()
        };
        let others = pinned as u64 + coming(false);
        others + coming(true) + bytes <= bound || conn.is_next(place) && others <= bound
    }
}
