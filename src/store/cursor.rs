//! Where a walk over the store stands, in a number that a client can keep for any time.
//!
//! A cursor names a slot and a position in it, never a page: pages may be split, joined and keyed between two steps. It
//! always lies where a page began or ended when the cursor was made. If by now it lies amid a page, the page is walked
//! whole; so a key that was there throughout is met at least once, maybe twice.

use super::hash::{POSITION_BITS, POSITIONS};
use super::slot::SlotId;

/// A place in a walk over the store; below 2^63, so that parsers of signed numbers take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(u64);

/// A position within a slot: the leading bits of the fast hash, or a keyed child and the leading bits of the keyed hash.
/// Lowest first: the bits of the keyed hash; a bit that tells the kinds apart; the bits of the fast hash. For a keyed
/// child, these are those that its keys share, then a 1, then zeros: so it tells the child from any that took its place,
/// since the keyed bits mean something in that very child alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position(u64);

const KEYED: u64 = 1 << POSITION_BITS;
const FAST_SHIFT: u32 = POSITION_BITS + 1;
/// One bit more than a position has, for the 1 that ends the shared ones.
const FAST_BITS: u32 = POSITION_BITS + 1;
const SLOT_SHIFT: u32 = FAST_SHIFT + FAST_BITS;

const _: () = assert!(crate::limits::SLOTS as u64 <= 1 << (63 - SLOT_SHIFT));

impl Cursor {
    /// Before everything; the number 0, by which a client also learns that a walk is over.
    pub const START: Cursor = Cursor(0);

    /// The cursor that [`Cursor::to_u64`] made this number of. Any other number is some place of the store too.
    pub fn from_u64(number: u64) -> Cursor {
        Cursor(number & (u64::MAX >> 1))
    }

    /// The number to give to a client.
    pub fn to_u64(self) -> u64 {
        self.0
    }

    /// The cursor at a position of a slot.
    pub(super) fn new(slot: SlotId, position: Position) -> Cursor {
        Cursor((slot.index() as u64) << SLOT_SHIFT | position.0)
    }

    /// The place before everything in a slot.
    pub fn at(slot: SlotId) -> Cursor {
        Cursor::new(slot, Position::START)
    }

    /// The slot.
    pub fn slot(self) -> SlotId {
        SlotId::wrapping((self.0 >> SLOT_SHIFT) as usize)
    }

    /// The position in the slot.
    pub(super) fn position(self) -> Position {
        Position(self.0 & ((1 << SLOT_SHIFT) - 1))
    }
}

impl Position {
    /// Before everything in the slot.
    pub(super) const START: Position = Position(0);

    /// Where the fast hash's leading bits are these; none at the slot's end.
    pub(super) fn before(fast: u32) -> Option<Position> {
        (fast < POSITIONS).then_some(Position(u64::from(fast) << (FAST_SHIFT + 1)))
    }

    /// In the keyed child that has the positions from `start` on that share `depth` bits.
    pub(super) fn inside(start: u32, depth: u32, keyed: u32) -> Position {
        let child = u64::from(start) << 1 | 1 << (POSITION_BITS - depth);
        Position(child << FAST_SHIFT | KEYED | u64::from(keyed))
    }

    /// The leading bits of the fast hash; in a keyed child, of some key that it may have.
    pub(super) fn fast(self) -> u32 {
        (self.0 >> (FAST_SHIFT + 1)) as u32
    }

    /// The leading bits of the keyed hash, if the position is in this very child.
    pub(super) fn within(self, start: u32, depth: u32) -> Option<u32> {
        let keyed = (self.0 % KEYED) as u32;
        (self == Position::inside(start, depth, keyed)).then_some(keyed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_keeps_slot_and_position() {
        let slot = SlotId::wrapping(8191);
        let last = Position::before(POSITIONS - 1).expect("a position");
        let inside = Position::inside(POSITIONS / 2, 1, POSITIONS - 1);
        for position in [Position::START, last, inside] {
            let cursor = Cursor::new(slot, position);
            assert!(cursor.to_u64() < 1 << 63);
            let cursor = Cursor::from_u64(cursor.to_u64());
            assert_eq!((cursor.slot(), cursor.position()), (slot, position));
        }
        assert_eq!(last.fast(), POSITIONS - 1);
        assert_eq!(Position::before(POSITIONS), None);
    }

    #[test]
    fn a_position_in_a_child_counts_in_no_other() {
        let (half, deepest) = (POSITIONS / 2, POSITION_BITS);
        assert_eq!(Position::inside(half, 1, 77).within(half, 1), Some(77));
        assert_eq!(Position::inside(half, 1, 77).within(half, 2), None);
        assert_eq!(Position::inside(half, 1, 77).within(0, 0), None);
        assert_eq!(Position::inside(0, 0, 77).within(0, 0), Some(77));
        assert_eq!(Position::inside(0, 0, 77).within(0, deepest), None);
        assert_eq!(Position::inside(5, deepest, 1).within(5, deepest), Some(1));
        assert_eq!(Position::inside(5, deepest, 1).fast(), 5);
        assert_eq!(Position::START.within(0, 0), None);
    }
}
