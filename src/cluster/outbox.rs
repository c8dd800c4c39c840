//! What is to be sent on one link: frames in one buffer, and between them pieces of values, sent from where they lie.
//!
//! A message that is short enough is put in whole. A longer one is a stream: when little else is left to
//! send, the next stream in turn puts in its next piece. So a small frame never waits for more than the pieces that are
//! in already, and streams never wait for each other.

use super::RequestHead;
use super::wire;
use crate::blob::Blob;
use crate::buffer::append;
use crate::limits::{BUS_PIECE_BYTES_MAX, BUS_WHOLE_REPLY_BYTES_MAX, LINK_STREAMS_MAX};
use crate::proto::{Output, Word};
use std::collections::VecDeque;
use std::io::IoSlice;
use std::rc::Rc;

/// Room for so many bytes is kept when all is sent.
const KEPT_BYTES: usize = 4 * BUS_PIECE_BYTES_MAX;

/// See the module.
#[derive(Default)]
pub(super) struct Outbox {
    /// Frames, and the headers of pieces.
    bytes: Vec<u8>,
    /// So many of `bytes` are sent.
    sent: usize,
    /// Pieces of values between the bytes, in order.
    shared: VecDeque<Shared>,
    shared_bytes: usize,
    /// Messages that are put in piece by piece. The first few take turns, those behind them wait.
    streams: VecDeque<Stream>,
    /// Bytes of their heads that are not put in yet: these are copies, as `bytes` are.
    head_bytes: usize,
    /// Those of `head_bytes` that the other node did not ask for.
    unasked_bytes: usize,
    /// Whose turn it is.
    turn: usize,
}

/// A part of a value, to be sent when the bytes before `at` are.
struct Shared {
    at: usize,
    value: Rc<Blob>,
    start: usize,
    end: usize,
}

/// What a message is, beside its words or bytes.
#[derive(Clone, Copy)]
enum Kind {
    Request { id: u32, head: RequestHead },
    Reply { id: u32 },
}

/// A message of which a part is not put in yet.
struct Stream {
    kind: Kind,
    head: Vec<u8>,
    head_at: usize,
    longs: VecDeque<Rc<Blob>>,
    /// So much of the first of the long values is put in.
    long_at: usize,
    /// Whether it is a reply that the other node did not have to ask for, since it is short.
    unasked: bool,
}

/// A typed reply in memory of its own; its long values are shared with who stores them.
pub(super) struct OwnedReply {
    pub(super) bytes: Vec<u8>,
    pub(super) longs: VecDeque<Rc<Blob>>,
}

/// How a request was put in.
pub(super) struct Put {
    /// So many bytes of it were copied.
    pub(super) bytes: usize,
    /// Whether it travels in pieces.
    pub(super) long: bool,
}

impl Outbox {
    /// Where frames are appended that are whole already.
    pub(super) fn frames(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Puts a request in.
    pub(super) fn request<'w>(
        &mut self,
        id: u32,
        head: RequestHead,
        next_word: &mut dyn FnMut() -> Option<Word<'w>>,
    ) -> Put {
        let frame = wire::begin_request(&mut self.bytes, id, head.purpose, head.client, head.flags);
        let mut longs = VecDeque::new();
        while let Some(word) = next_word() {
            match word {
                Word::Long(value) if !value.is_empty() => {
                    wire::put_long_word(&mut self.bytes, value.len());
                    longs.push_back(Rc::clone(value));
                }
                Word::Long(value) => wire::put_word(&mut self.bytes, value),
                Word::Received(bytes) => wire::put_word(&mut self.bytes, bytes),
            }
        }
        let bytes = frame.bytes(&self.bytes);
        if longs.is_empty() && bytes <= BUS_PIECE_BYTES_MAX {
            frame.finish(&mut self.bytes);
            return Put { bytes, long: false };
        }
        let words = self.bytes.split_off(self.bytes.len() - (bytes - wire::REQUEST_HEADER_BYTES));
        frame.cancel(&mut self.bytes);
        let long = self.put(Stream {
            kind: Kind::Request { id, head },
            head: words,
            head_at: 0,
            longs,
            long_at: 0,
            unasked: false,
        });
        Put { bytes, long }
    }

    /// Puts a reply in that has no long values and is not longer than a piece.
    #[inline]
    pub(super) fn short_reply(&mut self, id: u32, bytes: &[u8]) {
        let frame = wire::begin_reply(&mut self.bytes, id);
        self.bytes.extend_from_slice(bytes);
        frame.finish(&mut self.bytes);
    }

    /// Puts any other reply in.
    pub(super) fn reply(&mut self, id: u32, reply: OwnedReply) {
        let OwnedReply { bytes, longs } = reply;
        self.put(Stream { kind: Kind::Reply { id }, head: bytes, head_at: 0, longs, long_at: 0, unasked: false });
    }

    /// Puts a message in, whole or as a stream; says whether it is one.
    fn put(&mut self, mut stream: Stream) -> bool {
        let whole_bytes_max = match stream.kind {
            Kind::Request { .. } => BUS_PIECE_BYTES_MAX,
            // Replies may overtake each other.
            Kind::Reply { .. } => BUS_WHOLE_REPLY_BYTES_MAX,
        };
        if stream.left_bytes() <= whole_bytes_max {
            while self.put_piece(&mut stream) {}
            return false;
        }
        // What is longer than a piece has been granted.
        stream.unasked = stream.left_bytes() <= BUS_PIECE_BYTES_MAX;
        self.head_bytes += stream.head.len();
        self.unasked_bytes += if stream.unasked { stream.head.len() } else { 0 };
        self.streams.push_back(stream);
        self.fill();
        true
    }

    /// Lets streams put in pieces until there is something to send for a while.
    fn fill(&mut self) {
        let mut streams = std::mem::take(&mut self.streams);
        while !streams.is_empty() && self.waiting_bytes() < BUS_PIECE_BYTES_MAX {
            let index = self.turn % streams.len().min(LINK_STREAMS_MAX);
            let stream = &mut streams[index];
            let before = stream.head_at;
            let goes_on = self.put_piece(stream);
            let put = if goes_on { stream.head_at } else { stream.head.len() } - before;
            self.head_bytes -= put;
            self.unasked_bytes -= if stream.unasked { put } else { 0 };
            self.turn = index + usize::from(goes_on);
            if !goes_on {
                // The first one takes its place, behind those that it stood before: each has its turn as before.
                streams.swap_remove_front(index);
            }
        }
        self.streams = streams;
    }

    /// Puts in the next piece of a message; says whether there is more of it.
    fn put_piece(&mut self, stream: &mut Stream) -> bool {
        if let Some(value) = stream.longs.front() {
            let start = stream.long_at;
            let end = value.len().min(start + BUS_PIECE_BYTES_MAX);
            let total = value.len() as u32;
            let header = match stream.kind {
                Kind::Request { id, .. } => wire::request_long_header(id, total, end - start),
                Kind::Reply { id } => wire::reply_long_header(id, total, end - start),
            };
            self.bytes.extend_from_slice(&header);
            self.shared.push_back(Shared { at: self.bytes.len(), value: Rc::clone(value), start, end });
            self.shared_bytes += end - start;
            stream.long_at = end;
            if end == value.len() {
                stream.longs.pop_front();
                stream.long_at = 0;
            }
            return true;
        }
        let rest = &stream.head[stream.head_at..];
        if rest.len() > BUS_PIECE_BYTES_MAX {
            let part = &rest[..BUS_PIECE_BYTES_MAX];
            match stream.kind {
                Kind::Request { id, .. } => wire::request_part_frame(&mut self.bytes, id, part),
                Kind::Reply { id } => wire::reply_part_frame(&mut self.bytes, id, part),
            }
            stream.head_at += part.len();
            return true;
        }
        let frame = match stream.kind {
            Kind::Request { id, head: RequestHead { purpose, client, flags } } => {
                wire::begin_request(&mut self.bytes, id, purpose, client, flags)
            }
            Kind::Reply { id } => wire::begin_reply(&mut self.bytes, id),
        };
        self.bytes.extend_from_slice(rest);
        frame.finish(&mut self.bytes);
        false
    }

    /// Bytes that wait for the socket alone.
    #[inline]
    pub(super) fn waiting_bytes(&self) -> usize {
        self.bytes.len() - self.sent + self.shared_bytes
    }

    /// Copied bytes that are not sent.
    pub(super) fn copied_bytes(&self) -> usize {
        self.bytes.len() - self.sent + self.head_bytes
    }

    /// Copied bytes that are not sent, and that the other node did not ask for.
    #[inline]
    pub(super) fn unasked_bytes(&self) -> usize {
        self.bytes.len() - self.sent + self.unasked_bytes
    }

    /// All bytes that are not sent.
    pub(super) fn unsent_bytes(&self) -> usize {
        self.waiting_bytes() + self.streams.iter().map(Stream::left_bytes).sum::<usize>()
    }

    /// Whether all is sent.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting_bytes() == 0
    }

    /// The next pieces to send, in order, and how many.
    pub(super) fn gather<'a>(&'a self, pieces: &mut [IoSlice<'a>]) -> usize {
        let mut at = self.sent;
        let mut count = 0;
        let mut add = |bytes: &'a [u8]| {
            if !bytes.is_empty() && count < pieces.len() {
                pieces[count] = IoSlice::new(bytes);
                count += 1;
            }
            count < pieces.len()
        };
        for shared in &self.shared {
            let before = &self.bytes[at..shared.at];
            at = shared.at;
            if !add(before) || !add(&shared.value[shared.start..shared.end]) {
                return count;
            }
        }
        add(&self.bytes[at..]);
        count
    }

    /// So many bytes of what was gathered are sent.
    pub(super) fn advance(&mut self, mut count: usize) {
        while let Some(shared) = self.shared.front_mut() {
            let step = count.min(shared.at - self.sent);
            self.sent += step;
            count -= step;
            let step = count.min(shared.end - shared.start);
            shared.start += step;
            self.shared_bytes -= step;
            count -= step;
            if shared.start < shared.end {
                break;
            }
            self.shared.pop_front();
        }
        self.sent += count;
        assert!(self.sent <= self.bytes.len(), "more was sent than gathered");
        self.tidy();
        self.fill();
    }

    /// Takes away what is sent, once it is worth it.
    fn tidy(&mut self) {
        if self.is_empty() {
            self.bytes.clear();
            self.bytes.shrink_to(KEPT_BYTES);
            self.sent = 0;
        } else if self.sent >= BUS_PIECE_BYTES_MAX && self.sent >= self.bytes.len() / 2 {
            self.bytes.drain(..self.sent);
            self.shared.iter_mut().for_each(|shared| shared.at -= self.sent);
            self.sent = 0;
        }
    }
}

impl OwnedReply {
    /// A copy of what was written; long values are shared. None where there is no memory for it.
    pub(super) fn new(output: &Output) -> Option<OwnedReply> {
        let mut bytes = Vec::new();
        append(&mut bytes, output.bytes()).then(|| OwnedReply { bytes, longs: output.longs().map(Rc::clone).collect() })
    }
}

impl Stream {
    fn left_bytes(&self) -> usize {
        self.head.len() - self.head_at + self.longs.iter().map(|long| long.len()).sum::<usize>() - self.long_at
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::{Frame, Purpose, decode};
    use super::*;
    use crate::limits::FRAME_BYTES_MAX;
    use crate::testkit::{Random, seeds};

    const HEAD: RequestHead = RequestHead { purpose: Purpose::Plain, client: 1, flags: 0 };

    fn ask<'w>(outbox: &mut Outbox, id: u32, words: impl IntoIterator<Item = Word<'w>>) -> Put {
        let mut words = words.into_iter();
        outbox.request(id, HEAD, &mut || words.next())
    }

    /// Sends up to `count` bytes, over as many pieces as are asked for at a time.
    fn send(outbox: &mut Outbox, count: usize, pieces_max: usize, wire: &mut Vec<u8>) {
        let mut pieces = vec![IoSlice::new(&[]); pieces_max];
        let gathered = outbox.gather(&mut pieces);
        let bytes: Vec<u8> = pieces[..gathered].iter().flat_map(|piece| piece.iter().copied()).take(count).collect();
        outbox.advance(bytes.len());
        wire.extend_from_slice(&bytes);
    }

    /// Each frame's kind and id, in order.
    fn frames(mut wire: &[u8]) -> Vec<(char, u32)> {
        let mut found = Vec::new();
        while let Some((frame, taken)) = decode(wire, FRAME_BYTES_MAX).expect("frames") {
            found.push(match frame {
                Frame::Request { id, .. } => ('r', id),
                Frame::RequestPart { id, .. } => ('p', id),
                Frame::RequestLong(piece) => ('l', piece.id),
                other => panic!("{other:?}"),
            });
            wire = &wire[taken..];
        }
        assert!(wire.is_empty());
        found
    }

    #[test]
    fn small_frames_overtake_and_streams_take_turns() {
        let mut outbox = Outbox::default();
        let value = Rc::new(Blob::from(vec![b'v'; 3 * BUS_PIECE_BYTES_MAX]));
        assert!(ask(&mut outbox, 1, [Word::Long(&value)]).long);
        assert!(ask(&mut outbox, 2, [Word::Long(&value)]).long);
        let put = ask(&mut outbox, 3, [Word::Received(b"x")]);
        assert!(!put.long && put.bytes == wire::REQUEST_HEADER_BYTES + 2);
        let mut wire = Vec::new();
        while !outbox.is_empty() {
            send(&mut outbox, usize::MAX, 64, &mut wire);
        }
        let wanted = [('l', 1), ('r', 3), ('l', 2), ('l', 1), ('l', 2), ('l', 1), ('l', 2), ('r', 1), ('r', 2)];
        assert_eq!(frames(&wire), wanted);
        assert_eq!(Rc::strong_count(&value), 1);
        assert_eq!((outbox.unsent_bytes(), outbox.bytes.len()), (0, 0));
    }

    #[test]
    fn a_long_head_goes_in_parts_and_a_short_value_at_once() {
        let mut outbox = Outbox::default();
        let word = vec![b'w'; 2 * BUS_PIECE_BYTES_MAX];
        assert!(ask(&mut outbox, 1, [Word::Received(&word), Word::Received(b"x")]).long);
        let value = Rc::new(Blob::from(vec![b'v'; 1000]));
        let words = [Word::Received(b"SET"), Word::Long(&value), Word::Long(&value)];
        assert!(!ask(&mut outbox, 2, words).long);
        let mut wire = Vec::new();
        while !outbox.is_empty() {
            send(&mut outbox, usize::MAX, 64, &mut wire);
        }
        assert_eq!(frames(&wire), [('p', 1), ('l', 2), ('l', 2), ('r', 2), ('p', 1), ('r', 1)]);
    }

    /// Whatever is put in when, and however it is cut, the same frames come out for each message.
    #[test]
    fn any_cut_gives_whole_frames() {
        for seed in seeds(60) {
            let mut random = Random::new(seed);
            let (mut outbox, mut wire, mut asked) = (Outbox::default(), Vec::new(), 0);
            while asked < 40 || !outbox.is_empty() {
                if asked < 40 && random.below(3) == 0 {
                    let value = Rc::new(Blob::from(vec![asked as u8; 1 + random.below(200_000)]));
                    let word = vec![asked as u8; random.below(100)];
                    let words = [Word::Received(&word), Word::Long(&value), Word::Received(&value)];
                    let count = [1, 1, 1, 2, 3][random.below(5)];
                    ask(&mut outbox, asked, words.into_iter().take(count));
                    asked += 1;
                }
                let most = [3, 3000, 100_000][random.below(3)];
                let count = random.below(most);
                send(&mut outbox, count, 1 + random.below(5), &mut wire);
                let bytes: usize = outbox.shared.iter().map(|shared| shared.end - shared.start).sum();
                assert_eq!(bytes, outbox.shared_bytes, "seed {seed}");
            }
            let mut ended: Vec<u32> =
                frames(&wire).iter().filter(|frame| frame.0 == 'r').map(|frame| frame.1).collect();
            ended.sort_unstable();
            assert_eq!(ended, (0..40).collect::<Vec<_>>(), "seed {seed}");
        }
    }
}
