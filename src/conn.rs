//! One client's conversation: bytes that are no whole request yet, and replies that are not sent yet, in order.
//!
//! Makes no system calls and knows no commands: it hands each request to a [`Service`] and obeys the [`Flow`] that
//! comes back. At rest it owns no buffer.

use crate::blob::Blob;
mod batch;

pub use batch::{Batch, Request, Share};

use crate::buffer::{BufferPool, append};
use crate::limits::{
    BATCH_REQUESTS_MAX, OUTPUT_PINNED_BYTES, OUTPUT_SOFT_BYTES_MAX, POOL_BUFFER_BYTES_MAX, REPLIES_WAITING_BYTES,
    REPLIES_WAITING_MAX, SEND_BYTES_MAX, SEND_PIECES_MAX, TURN_REPLY_BYTES,
};
use crate::proto::{Args, Form, Lost, Output, ParseError, Parsed, Parser, Piece};
use batch::Tail;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::mem;
use std::ops::Range;
use std::rc::Rc;

/// What the loop owns and lends to the connection that it serves.
#[derive(Default)]
pub struct Desk {
    /// Where replies are written first.
    pub output: Output,
    /// Buffers for what must wait.
    pub pool: BufferPool,
}

/// Who executes requests.
pub trait Service {
    /// What it finds out of a request before that is executed.
    type Ahead;

    /// Of a command's name as it was sent: which of its words takes the rest of the line (0: none).
    fn rest_of(&mut self, name: &[u8]) -> usize;

    /// Whether the client may send more than what it takes to authenticate.
    fn trusts(&self) -> bool;

    /// A request that will be executed soon: what it will touch can be looked for.
    fn foresee(&mut self, args: Args<'_>) -> Self::Ahead;

    /// What these requests will touch is fetched now, so that nothing is waited for when they are executed.
    fn fetch(&mut self, requests: &mut [Request<Self::Ahead>]);

    /// Executes one request and writes its reply to `output`; `place` names the reply in case that it comes later.
    fn serve(&mut self, args: Args<'_>, form: Form, ahead: &Self::Ahead, output: &mut Output, place: Place) -> Flow;

    /// Whether the turn has time for one more request.
    fn has_time(&self) -> bool;

    /// All that was parsed is executed, and more is there: it is time to see what time it is.
    fn end_batch(&mut self);

    /// Answers bytes that are no request.
    fn reject(&mut self, error: ParseError, output: &mut Output);
}

/// What a connection does after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Goes on with the next one.
    Continue,
    /// Ends, once the replies so far are sent.
    Close,
    /// The reply comes later, to the place that was named; the requests behind it go on, their replies wait for it, as
    /// long as all that are waited for are not too many, nor of too many bytes: this one has so many.
    Later(u32),
    /// As [`Flow::Later`], and nothing further is executed before [`Connection::uncork`]: where it went, there is no
    /// room for more.
    Cork(u32),
    /// The reply comes later, to the place that was named; until then no further request is executed.
    Wait,
}

/// Why a client's next requests wait, other than for their turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldUp {
    /// It has not taken its replies.
    ByItself,
    /// Too many replies are waited for, or where its requests go there is no room for more.
    ByOthers,
}

/// The place of a reply in the order of a connection's replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u32);

impl Place {
    /// No place.
    pub const NONE: Place = Place(u32::MAX);
}

/// How the conversation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Both sides may speak.
    Open,
    /// The peer has ended its side; what it asked for before is still answered.
    PeerEnded,
    /// We end: no further request is executed, what is owed is still sent.
    Closing,
}

/// A part of what is still to be sent.
enum Part {
    /// Copied bytes in a lent buffer; so many are sent already.
    Bytes(Vec<u8>, usize),
    /// A stored value; so many of its bytes are sent already.
    Shared(Rc<Blob>, usize),
    /// A reply that comes later, to a request of so many bytes; nothing behind it may be sent before.
    Waiting(Place, u32),
}

/// See the module.
pub struct Connection {
    /// Received and not executed.
    input: Vec<u8>,
    parser: Parser,
    /// Replies that were not sent at once.
    backlog: VecDeque<Part>,
    /// Copied bytes in the backlog.
    backlog_bytes: usize,
    /// Bytes of stored values in the backlog.
    pinned_bytes: usize,
    phase: Phase,
    /// The waiting reply that holds up the requests behind it.
    held: Option<Place>,
    /// Whether the requests hold for room elsewhere.
    corked: bool,
    /// How many replies are waited for.
    waiting: u16,
    /// How many bytes the requests had that they are for.
    waiting_bytes: u32,
    /// Whether `input` may hold a whole request, whose client had its share of the turn.
    stalled: bool,
    next_place: u32,
    /// Whether a part of what is queued, or of what came, is not there, and why: it cannot go on.
    lost: Option<Lost>,
}

impl Default for Connection {
    fn default() -> Connection {
        Connection {
            input: Vec::new(),
            parser: Parser::default(),
            backlog: VecDeque::new(),
            backlog_bytes: 0,
            pinned_bytes: 0,
            phase: Phase::Open,
            held: None,
            corked: false,
            waiting: 0,
            waiting_bytes: 0,
            stalled: false,
            next_place: 0,
            lost: None,
        }
    }
}

impl Connection {
    /// Parses what `fresh`, received behind all before it, makes whole, as far as there is room in the batch, for
    /// [`Connection::execute`] or [`Connection::postpone`], one of which follows with the same `fresh`.
    pub fn parse<S: Service>(&mut self, fresh: &[u8], batch: &mut Batch<S::Ahead>, service: &mut S) -> Share {
        if self.input.is_empty() {
            return self.parse_from(0, fresh, false, batch, service);
        }
        self.parse_behind(fresh, batch, service)
    }

    /// The same where something is kept that comes before it.
    #[cfg_attr(memento_small, inline(never))]
    fn parse_behind<S: Service>(&mut self, fresh: &[u8], batch: &mut Batch<S::Ahead>, service: &mut S) -> Share {
        let mut input = mem::take(&mut self.input);
        if !append(&mut input, fresh) {
            // What it holds goes, so that the others have it.
            self.parser = Parser::default();
            let first = batch.requests.len();
            let tail = Tail::Broken(ParseError::NoMemory);
            return Share { requests: first..first, end: 0, tail, kept: false, amid: false };
        }
        let share = self.parse_from(0, &input, true, batch, service);
        self.input = input;
        share
    }

    /// Parses requests from `start` on.
    #[cfg_attr(memento_small, optimize(speed))]
    fn parse_from<S: Service>(
        &mut self,
        start: usize,
        input: &[u8],
        kept: bool,
        batch: &mut Batch<S::Ahead>,
        service: &mut S,
    ) -> Share {
        let (trusted, amid, first) = (service.trusts(), self.parser.is_amid(), batch.requests.len());
        let mut share = Share { requests: first..first, end: start, tail: Tail::More, kept, amid };
        if self.phase == Phase::Closing || amid && !self.has_room_for(0, 0) {
            return share;
        }
        // What comes behind AUTH is parsed by what AUTH has changed. And what cannot be parsed again is executed, so
        // that nothing else is.
        let most = if amid || !trusted { first + 1 } else { first.max(BATCH_REQUESTS_MAX - 1) + 1 };
        while share.end < input.len() && share.requests.end < most {
            let (bytes, words) = (&input[share.end..], batch.words.len());
            match self.parser.parse(bytes, &mut batch.words, trusted, |name| service.rest_of(name)) {
                Parsed::Incomplete { keep } => {
                    share.tail = Tail::Incomplete(keep);
                    break;
                }
                Parsed::Broken(error) => {
                    share.tail = Tail::Broken(error);
                    break;
                }
                Parsed::Blank { consumed } => share.end += consumed,
                Parsed::Request { consumed, form } => {
                    let ahead = service.foresee(Args::among(bytes, &batch.words, words..batch.words.len()));
                    let end = share.end + consumed;
                    let [start, stop, words] = [share.end, end, words].map(|place| place as u32);
                    batch.requests.push(Request { start, end: stop, words, form, ahead });
                    (share.end, share.requests.end) = (end, batch.requests.len());
                }
            }
        }
        share
    }

    /// Executes what was parsed, and what is whole behind it, as far as the client's share of a turn goes. The replies
    /// are in `desk.output` afterwards (and, before a waiting one, in the backlog). Bytes that are no request end the
    /// conversation after their error reply; they are returned for the log.
    pub fn execute<S: Service>(
        &mut self,
        fresh: &[u8],
        share: Share,
        batch: &mut Batch<S::Ahead>,
        desk: &mut Desk,
        service: &mut S,
    ) -> Option<ParseError> {
        if share.kept {
            return self.execute_kept(share, batch, desk, service);
        }
        let mark = batch.requests.len();
        let (left, broken) = self.run(fresh, share, batch, desk, service);
        batch.truncate(mark);
        if !self.keep(&fresh[left], &mut desk.pool) {
            self.lose(Lost::NoMemory);
        }
        broken
    }

    /// The same of what is kept.
    #[cfg_attr(memento_small, inline(never))]
    fn execute_kept<S: Service>(
        &mut self,
        share: Share,
        batch: &mut Batch<S::Ahead>,
        desk: &mut Desk,
        service: &mut S,
    ) -> Option<ParseError> {
        let mark = batch.requests.len();
        let mut input = mem::take(&mut self.input);
        let (left, broken) = self.run(&input, share, batch, desk, service);
        batch.truncate(mark);
        if left.is_empty() {
            desk.pool.give_back(input);
        } else {
            input.truncate(left.end);
            input.drain(..left.start);
            if input.capacity() > POOL_BUFFER_BYTES_MAX && input.len() <= POOL_BUFFER_BYTES_MAX / 2 {
                // A long line has gone; its room must not stay for the few bytes behind it.
                input.shrink_to_fit();
            }
            self.input = input;
        }
        broken
    }

    /// Leaves all of a share to a later turn, as far as that is possible: if not, it is given back.
    pub fn postpone(&mut self, fresh: &[u8], share: Share, pool: &mut BufferPool) -> Result<(), Share> {
        if share.amid || !share.has_requests() || self.phase == Phase::Closing {
            return Err(share);
        }
        if !share.kept && !self.keep(fresh, pool) {
            return Err(share);
        }
        self.stall();
        Ok(())
    }

    /// Keeps what was received; false where there is no memory for it.
    fn keep(&mut self, bytes: &[u8], pool: &mut BufferPool) -> bool {
        if !bytes.is_empty() {
            self.input = pool.lend();
        }
        append(&mut self.input, bytes)
    }

    /// A part of the conversation is not there, so that it cannot go on.
    fn lose(&mut self, lost: Lost) {
        self.lost.get_or_insert(lost);
        self.close();
    }

    /// What is left of the input is parsed again, once the client goes on.
    #[cfg_attr(memento_small, inline(never))]
    fn stall(&mut self) {
        self.stalled = true;
        self.parser = Parser::default();
    }

    /// Executes requests, those of the share first, and says which bytes of the input are left for later.
    #[cfg_attr(memento_small, optimize(speed))]
    fn run<S: Service>(
        &mut self,
        input: &[u8],
        mut share: Share,
        batch: &mut Batch<S::Ahead>,
        desk: &mut Desk,
        service: &mut S,
    ) -> (Range<usize>, Option<ParseError>) {
        let mark = batch.requests.len();
        self.stalled = false;
        if self.phase == Phase::Closing {
            return (0..0, None);
        }
        loop {
            for number in share.requests.clone() {
                let &Request { start, end, form, ref ahead, .. } = &batch.requests[number];
                let (start, end) = (start as usize, end as usize);
                if !share.amid && !self.may_execute(&desk.output) {
                    self.stall();
                    return (start..input.len(), None);
                }
                self.serve(batch.args(number, input), form, ahead, desk, service);
                if share.amid {
                    batch.let_go(number);
                }
                if self.phase == Phase::Closing {
                    return (0..0, None);
                }
                if !service.has_time() && end < input.len() {
                    self.stall();
                    return (end..input.len(), None);
                }
            }
            match share.tail {
                Tail::Incomplete(keep) => return (share.end..share.end + keep, None),
                Tail::Broken(error) => {
                    service.reject(error, &mut desk.output);
                    self.phase = Phase::Closing;
                    return (0..0, Some(error));
                }
                Tail::More if share.end == input.len() => return (0..0, None),
                Tail::More => {
                    service.end_batch();
                    if !self.may_execute(&desk.output) || !service.has_time() && share.has_requests() {
                        self.stalled = true;
                        return (share.end..input.len(), None);
                    }
                    // What other connections have in the batch stays there.
                    batch.truncate(mark);
                    share = self.parse_from(share.end, input, share.kept, batch, service);
                    service.fetch(&mut batch.requests[mark..]);
                }
            }
        }
    }

    /// Executes one request.
    #[cfg_attr(memento_small, optimize(speed))]
    fn serve<S: Service>(&mut self, args: Args<'_>, form: Form, ahead: &S::Ahead, desk: &mut Desk, service: &mut S) {
        let place = Place(self.next_place);
        let flow = service.serve(args, form, ahead, &mut desk.output, place);
        match flow {
            Flow::Continue => {}
            Flow::Close => self.phase = Phase::Closing,
            Flow::Later(_) | Flow::Cork(_) | Flow::Wait => self.wait(place, flow, desk),
        }
    }

    /// The reply at `place` comes later.
    #[cfg_attr(memento_small, inline(never))]
    fn wait(&mut self, place: Place, flow: Flow, desk: &mut Desk) {
        let bytes = if let Flow::Later(bytes) | Flow::Cork(bytes) = flow { bytes } else { 0 };
        self.next_place = self.next_place.wrapping_add(1);
        self.queue_output(desk);
        self.backlog.push_back(Part::Waiting(place, bytes));
        self.waiting += 1;
        self.waiting_bytes = self.waiting_bytes.saturating_add(bytes);
        self.corked |= matches!(flow, Flow::Cork(_));
        if flow == Flow::Wait {
            self.held = Some(place);
        }
    }

    /// Where the next bytes are to be received, if they belong to a long word: straight into what will be stored.
    pub fn recv_space(&mut self) -> Option<&mut [u8]> {
        self.parser.recv_space()
    }

    /// So many bytes were received into the space; once the word is whole, [`Connection::execute`] goes on.
    pub fn recv_advance(&mut self, count: usize) -> bool {
        self.parser.recv_advance(count)
    }

    /// Bytes received and not executed, and how many more the buffer that holds them has room for.
    pub fn input_bytes(&self) -> (usize, usize) {
        (self.input.len() + self.parser.bytes_used(), self.input.capacity() - self.input.len())
    }

    /// Those of them that belong to a long word which is being received.
    pub fn long_bytes(&self) -> usize {
        self.parser.long_bytes()
    }

    /// Bytes that wait to be sent: copied ones, and those of stored values.
    pub fn output_bytes(&self) -> (usize, usize) {
        (self.backlog_bytes, self.pinned_bytes)
    }

    /// Of these, those of the first stored value.
    pub fn first_pinned_bytes(&self) -> usize {
        let first = self
            .backlog
            .iter()
            .find_map(|part| if let Part::Shared(value, _) = part { Some(value.len()) } else { None });
        first.unwrap_or(0)
    }

    /// Bytes of the requests whose replies are waited for, as far as those count who answer them.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting_bytes as usize
    }

    /// Whether a part of it is not there, and why: the conversation cannot go on.
    pub fn lost(&self) -> Option<Lost> {
        self.lost
    }

    /// We end: what it sent and was not executed never will be; what is owed is still sent.
    pub fn close(&mut self) {
        self.phase = Phase::Closing;
        self.stalled = false;
    }

    /// Whether nobody else is waited for.
    fn may_go_on(&self) -> bool {
        self.held.is_none()
            && !self.corked
            && usize::from(self.waiting) < REPLIES_WAITING_MAX
            && self.waiting_bytes < REPLIES_WAITING_BYTES
    }

    /// Whether its next requests have to wait, whether there are some or not.
    #[inline]
    pub fn held_up(&self) -> Option<HeldUp> {
        if self.backlog_bytes >= OUTPUT_SOFT_BYTES_MAX || self.pinned_bytes >= OUTPUT_PINNED_BYTES {
            Some(HeldUp::ByItself)
        } else if self.corked
            || usize::from(self.waiting) >= REPLIES_WAITING_MAX
            || self.waiting_bytes >= REPLIES_WAITING_BYTES
        {
            Some(HeldUp::ByOthers)
        } else {
            None
        }
    }

    /// There is room again where the last request went.
    pub fn uncork(&mut self) {
        self.corked = false;
    }

    /// Whether one more request may be executed in this turn.
    #[inline]
    fn may_execute(&self, output: &Output) -> bool {
        self.has_room_for(output.copied_bytes(), output.shared_bytes())
    }

    /// Whether one more request may be executed behind replies of so many bytes.
    #[inline]
    fn has_room_for(&self, copied_bytes: usize, shared_bytes: usize) -> bool {
        self.may_go_on()
            && copied_bytes < TURN_REPLY_BYTES
            && self.backlog_bytes < OUTPUT_SOFT_BYTES_MAX
            && self.pinned_bytes + shared_bytes < OUTPUT_PINNED_BYTES
    }

    /// The peer has ended its side: half a request is forgotten, what is owed is still sent.
    pub fn peer_ended(&mut self) {
        if self.phase == Phase::Open {
            self.phase = Phase::PeerEnded;
        }
    }

    /// We end: what was received is still executed and answered, nothing more is read.
    pub fn end(&mut self) {
        self.peer_ended();
    }

    /// Whether bytes may be read for it: it is open, and has room for what they ask for.
    pub fn wants_read(&self) -> bool {
        self.phase == Phase::Open && !self.stalled && self.may_go_on() && self.backlog_bytes < OUTPUT_SOFT_BYTES_MAX
    }

    /// Whether something could be sent if the socket took it.
    pub fn wants_write(&self) -> bool {
        !matches!(self.backlog.front(), None | Some(Part::Waiting(..)))
    }

    /// Whether requests are left that can go on without another byte from the client. After a pause they go on
    /// only when half of the backlog is gone, so that they do not go on one by one.
    pub fn can_resume(&self) -> bool {
        self.stalled
            && self.may_go_on()
            && self.backlog_bytes <= OUTPUT_SOFT_BYTES_MAX / 2
            && self.pinned_bytes <= OUTPUT_PINNED_BYTES / 2
    }

    /// Whether more of a waiting reply may be written now. Where nothing stands before it, messages that wait behind it can go
    /// only when it is written.
    pub fn has_room(&self) -> bool {
        !self.wants_write() || self.backlog_bytes <= OUTPUT_SOFT_BYTES_MAX / 2
    }

    /// Whether a reply is waited for.
    pub fn waits(&self) -> bool {
        self.waiting > 0
    }

    /// Whether the reply at `place` is the first one that is waited for.
    pub fn is_next(&self, place: Place) -> bool {
        let first = self.backlog.iter().find(|part| matches!(part, Part::Waiting(..)));
        matches!(first, Some(Part::Waiting(next, _)) if *next == place)
    }

    /// Whether we were the ones to end the conversation.
    pub fn is_closing(&self) -> bool {
        self.phase == Phase::Closing
    }

    /// Whether nothing is left to do for it: one side has ended, and nothing is owed.
    pub fn is_done(&self) -> bool {
        let executed =
            self.phase == Phase::Closing || self.phase == Phase::PeerEnded && !self.stalled && self.waiting == 0;
        executed && self.backlog.is_empty()
    }

    /// Whether it waits for nobody but its client.
    pub fn is_idle(&self) -> bool {
        !self.stalled && self.backlog.is_empty()
    }

    /// Whether the output may be sent at once, or something is queued before it.
    pub fn is_backlog_empty(&self) -> bool {
        self.backlog.is_empty()
    }

    /// Queues `bytes`, which the socket did not take.
    pub fn queue_bytes(&mut self, bytes: &[u8], pool: &mut BufferPool) {
        if bytes.is_empty() {
            return;
        }
        let at = self.backlog.len();
        let at = if at > 0 && matches!(self.backlog[at - 1], Part::Bytes(..)) { at - 1 } else { at };
        self.insert_bytes(at, bytes, pool);
    }

    /// Queues all of the desk's output, and empties it.
    #[cfg_attr(memento_small, inline(never))]
    pub fn queue_output(&mut self, desk: &mut Desk) {
        self.queue_message(&desk.output, &mut desk.pool);
        desk.output.clear(TURN_REPLY_BYTES);
    }

    /// Queues what comes beside the replies, behind those that there are, or that are waited for.
    pub fn queue_message(&mut self, message: &Output, pool: &mut BufferPool) {
        self.lost = self.lost.or(message.lost());
        for piece in message.pieces() {
            match piece {
                Piece::Bytes(bytes) => self.queue_bytes(bytes, pool),
                Piece::Shared(value) => self.insert_shared(self.backlog.len(), value),
            }
        }
    }

    /// Puts the desk's output, more of the reply that waits at `place`, before what waits, and empties it. With
    /// `whole`, the reply is complete, and the requests behind it go on. Says whether there was such a place.
    pub fn fill(&mut self, place: Place, desk: &mut Desk, whole: bool) -> bool {
        self.lost = self.lost.or(desk.output.lost());
        let waits = |part: &Part| matches!(part, Part::Waiting(other, _) if *other == place);
        let found = self.backlog.iter().position(waits);
        if let Some(mut at) = found {
            for piece in desk.output.pieces() {
                match piece {
                    Piece::Bytes(bytes) => {
                        let joins = at > 0 && matches!(self.backlog[at - 1], Part::Bytes(..));
                        at -= usize::from(joins);
                        self.insert_bytes(at, bytes, &mut desk.pool);
                    }
                    Piece::Shared(value) => self.insert_shared(at, value),
                }
                if self.lost.is_some() {
                    // The piece may not be there, and those behind it are of no use: the connection ends.
                    break;
                }
                at += 1;
            }
            if self.lost.is_some() {
                at = self.backlog.iter().position(waits).unwrap_or(at);
            }
            if whole {
                if let Some(Part::Waiting(_, bytes)) = take(&mut self.backlog, at) {
                    self.waiting_bytes = self.waiting_bytes.saturating_sub(bytes);
                }
                self.waiting -= 1;
                if self.held == Some(place) {
                    self.held = None;
                }
            }
        }
        desk.output.clear(TURN_REPLY_BYTES);
        found.is_some()
    }

    /// Appends to the bytes at `at`, or makes room for them there.
    fn insert_bytes(&mut self, at: usize, bytes: &[u8], pool: &mut BufferPool) {
        let before = self.backlog_bytes;
        self.backlog_bytes += bytes.len();
        if let Some(Part::Bytes(buffer, _)) = self.backlog.get_mut(at) {
            if append(buffer, bytes) {
                return;
            }
        } else {
            let mut buffer = pool.lend();
            if append(&mut buffer, bytes) && self.backlog.try_reserve(1).is_ok() {
                return put(&mut self.backlog, at, Part::Bytes(buffer, 0));
            }
        }
        self.backlog_bytes = before;
        self.lost.get_or_insert(Lost::NoMemory);
    }

    fn insert_shared(&mut self, at: usize, value: &Rc<Blob>) {
        if self.backlog.try_reserve(1).is_err() {
            self.lost.get_or_insert(Lost::NoMemory);
            return;
        }
        self.pinned_bytes += value.len();
        put(&mut self.backlog, at, Part::Shared(Rc::clone(value), 0));
    }

    /// The next pieces to send, in order, and how many: as much as one call is to send.
    pub fn gather<'a>(&'a self, pieces: &mut [IoSlice<'a>; SEND_PIECES_MAX]) -> usize {
        let (mut count, mut left) = (0, SEND_BYTES_MAX);
        for part in self.backlog.iter().take(SEND_PIECES_MAX) {
            let bytes = match part {
                Part::Bytes(buffer, sent) => &buffer[*sent..],
                Part::Shared(value, sent) => &value[*sent..],
                Part::Waiting(..) => break,
            };
            let bytes = &bytes[..bytes.len().min(left)];
            pieces[count] = IoSlice::new(bytes);
            count += 1;
            left -= bytes.len();
            if left == 0 {
                break;
            }
        }
        count
    }

    /// So many bytes of what was gathered are sent.
    pub fn advance(&mut self, mut count: usize, pool: &mut BufferPool) {
        while let Some(part) = self.backlog.front_mut() {
            let (left, sent) = match part {
                Part::Bytes(buffer, sent) => (buffer.len() - *sent, sent),
                Part::Shared(value, sent) => (value.len() - *sent, sent),
                Part::Waiting(..) => break,
            };
            let step = left.min(count);
            *sent += step;
            count -= step;
            if step < left {
                return;
            }
            match self.backlog.pop_front() {
                Some(Part::Bytes(buffer, _)) => {
                    self.backlog_bytes -= buffer.len();
                    pool.give_back(buffer);
                }
                Some(Part::Shared(value, _)) => self.pinned_bytes -= value.len(),
                _ => {}
            }
        }
        if self.backlog.is_empty() {
            // A connection at rest owns no memory but its own.
            self.backlog = VecDeque::new();
        }
    }

    /// Forgets the replies that nobody will read; a place that waits keeps waiting.
    pub fn drop_output(&mut self, pool: &mut BufferPool) {
        (self.backlog_bytes, self.pinned_bytes) = (0, 0);
        for part in mem::take(&mut self.backlog) {
            match part {
                Part::Bytes(buffer, _) => pool.give_back(buffer),
                Part::Shared(..) => {}
                Part::Waiting(..) => self.backlog.push_back(part),
            }
        }
    }

    /// Gives back what it was lent, at its end.
    pub fn dismantle(&mut self, pool: &mut BufferPool) {
        pool.give_back(mem::take(&mut self.input));
        self.drop_output(pool);
    }
}

#[cfg(test)]
impl Connection {
    /// Parses and executes what was received, alone in a batch.
    pub(crate) fn take<S: Service>(&mut self, fresh: &[u8], desk: &mut Desk, service: &mut S) -> Option<ParseError> {
        let mut batch = Batch::default();
        let share = self.parse(fresh, &mut batch, service);
        service.fetch(batch.requests());
        self.execute(fresh, share, &mut batch, desk, service)
    }
}

/// Puts a part where it belongs, mostly at one of the ends: there is room for it.
#[inline(never)]
fn put(parts: &mut VecDeque<Part>, at: usize, part: Part) {
    let len = parts.len();
    if at < len / 2 {
        parts.push_front(part);
        (0..at).for_each(|place| parts.swap(place, place + 1));
    } else {
        parts.push_back(part);
        (at..len).rev().for_each(|place| parts.swap(place, place + 1));
    }
}

/// Takes a part out, mostly the first one.
#[inline(never)]
fn take(parts: &mut VecDeque<Part>, at: usize) -> Option<Part> {
    (0..at).rev().for_each(|place| parts.swap(place, place + 1));
    parts.pop_front()
}

#[cfg(test)]
mod tests;
