//! What came on one link and is not done with: bytes that are no whole frame yet, and messages that come in pieces.
//!
//! Nothing is allocated by a size that is only announced, and what a message may have in all is bounded.

use crate::blob::Blob;
use crate::buffer::append;
use crate::limits::{BUS_PIECE_BYTES_MAX, LINK_STREAMS_MAX};
use std::rc::Rc;

/// Why a link ends that brings more than there is memory for; the node is linked again, and asks for less or waits.
pub(super) const NO_MEMORY: &str = "the system has no memory left for what it sent";

/// Why bytes are left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stall {
    /// They are no whole frame.
    #[default]
    Incomplete,
    /// The turn had no time for them.
    Time,
    /// The peer does not take its answers.
    Unsent,
}

/// See the module.
#[derive(Default)]
pub(super) struct Inbox {
    /// Received and not looked at.
    pub(super) left: Vec<u8>,
    pub(super) stall: Stall,
    partials: Vec<Partial>,
}

/// Which kind of message it is: the two have ids of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Request,
    Reply,
}

/// A message of which the end is missing.
pub(super) struct Partial {
    kind: Kind,
    id: u32,
    /// The beginning of its words or bytes.
    pub(super) head: Vec<u8>,
    /// Its long values so far.
    pub(super) longs: Vec<Rc<Blob>>,
    /// The long value that is on its way, and how long it will be.
    long: Option<(Blob, usize)>,
    /// Bytes so far.
    pub(super) bytes: u64,
}

impl Inbox {
    /// The memory that it takes, in bytes.
    pub(super) fn bytes_used(&self) -> usize {
        self.left.capacity() + self.partials.iter().map(|partial| partial.bytes as usize).sum::<usize>()
    }

    /// Adds to the head of a message that may have `bytes_max` bytes in all.
    pub(super) fn part(&mut self, kind: Kind, id: u32, bytes: &[u8], bytes_max: u64) -> Result<(), &'static str> {
        let partial = self.partial(kind, id, bytes.len(), bytes_max)?;
        if append(&mut partial.head, bytes) { Ok(()) } else { Err(NO_MEMORY) }
    }

    /// Adds a piece of a long value of `total` bytes to such a message.
    pub(super) fn piece(
        &mut self,
        kind: Kind,
        id: u32,
        (bytes, total): (&[u8], u32),
        bytes_max: u64,
    ) -> Result<(), &'static str> {
        let partial = self.partial(kind, id, bytes.len(), bytes_max)?;
        let total = total as usize;
        let (mut value, announced) = match partial.long.take() {
            Some(begun) => begun,
            // What is announced beyond a piece is not believed before it comes.
            None => (Blob::try_with_room(total.min(BUS_PIECE_BYTES_MAX)).map_err(|_| NO_MEMORY)?, total),
        };
        if announced != total {
            return Err("a long value that changes its length");
        }
        let missing = total - value.len();
        if bytes.len() > missing {
            return Err("more of a long value than was announced");
        }
        value.try_reserve(bytes.len()).map_err(|_| NO_MEMORY)?;
        value.extend_from_slice(bytes);
        if value.len() < total {
            partial.long = Some((value, total));
        } else {
            partial.longs.push(Rc::new(value));
        }
        Ok(())
    }

    /// Takes a message out whose last frame has come; none, if that is all there is of it.
    pub(super) fn take(&mut self, kind: Kind, id: u32) -> Result<Option<Partial>, &'static str> {
        let found = self.partials.iter().position(|partial| partial.kind == kind && partial.id == id);
        let Some(partial) = found.map(|index| self.partials.swap_remove(index)) else { return Ok(None) };
        if partial.long.is_some() { Err("a message that ends within a long value") } else { Ok(Some(partial)) }
    }

    /// Whether every message so far came in one frame.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.partials.is_empty()
    }

    /// The message that so many more bytes belong to.
    fn partial(&mut self, kind: Kind, id: u32, more: usize, bytes_max: u64) -> Result<&mut Partial, &'static str> {
        let found = self.partials.iter().position(|partial| partial.kind == kind && partial.id == id);
        let index = match found {
            Some(index) => index,
            // Those that take turns, and one that is sent at once.
            None if self.partials.len() > LINK_STREAMS_MAX => return Err("too many messages at a time"),
            None => {
                self.partials.push(Partial { kind, id, head: Vec::new(), longs: Vec::new(), long: None, bytes: 0 });
                self.partials.len() - 1
            }
        };
        let partial = &mut self.partials[index];
        partial.bytes += more as u64;
        if partial.bytes > bytes_max { Err("a message that is too long") } else { Ok(partial) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_put_together() {
        let mut inbox = Inbox::default();
        inbox.piece(Kind::Request, 1, (b"ab", 3), 10).expect("a piece");
        inbox.part(Kind::Request, 1, b"he", 10).expect("a part");
        inbox.piece(Kind::Reply, 1, (b"xy", 2), 10).expect("a piece");
        inbox.piece(Kind::Request, 1, (b"c", 3), 10).expect("a piece");
        inbox.piece(Kind::Request, 1, (b"d", 1), 10).expect("a piece");
        inbox.part(Kind::Request, 1, b"ad", 10).expect("a part");
        let partial = inbox.take(Kind::Request, 1).expect("whole").expect("a message");
        assert_eq!((&partial.head[..], partial.bytes), (&b"head"[..], 8));
        assert_eq!(partial.longs, [Rc::new(Blob::from(&b"abc"[..])), Rc::new(Blob::from(&b"d"[..]))]);
        assert!(inbox.take(Kind::Request, 1).expect("nothing").is_none() && !inbox.is_plain());
        assert!(inbox.take(Kind::Reply, 1).expect("whole").is_some() && inbox.is_plain());
    }

    #[test]
    fn what_cannot_be_is_noticed() {
        let mut inbox = Inbox::default();
        let wrong = |result: Result<(), &'static str>| result.expect_err("wrong");
        inbox.piece(Kind::Request, 1, (b"ab", 3), 10).expect("a piece");
        assert_eq!(wrong(inbox.piece(Kind::Request, 1, (b"c", 4), 10)), "a long value that changes its length");
        let mut inbox = Inbox::default();
        inbox.piece(Kind::Request, 1, (b"ab", 3), 10).expect("a piece");
        assert_eq!(wrong(inbox.piece(Kind::Request, 1, (b"cd", 3), 10)), "more of a long value than was announced");
        let mut inbox = Inbox::default();
        inbox.piece(Kind::Request, 1, (b"ab", 3), 3).expect("a piece");
        assert_eq!(wrong(inbox.part(Kind::Request, 1, b"cd", 3)), "a message that is too long");
        assert_eq!(inbox.take(Kind::Request, 1).err(), Some("a message that ends within a long value"));
        let mut inbox = Inbox::default();
        (0..=LINK_STREAMS_MAX as u32).for_each(|id| inbox.part(Kind::Reply, id, b"x", 1).expect("a part"));
        assert_eq!(wrong(inbox.part(Kind::Reply, 99, b"x", 1)), "too many messages at a time");
    }

    #[test]
    fn no_more_is_reserved_than_comes() {
        let mut inbox = Inbox::default();
        inbox.piece(Kind::Reply, 1, (b"ab", 1 << 29), 1 << 30).expect("a piece");
        assert!(inbox.partials[0].long.as_ref().expect("a value").0.bytes_used() <= BUS_PIECE_BYTES_MAX);
    }
}
