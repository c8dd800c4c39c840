//! What is parsed and not executed yet, of many connections.

use crate::limits::BATCH_REQUESTS_MAX;
use crate::proto::{Args, Form, ParseError, Words};
use std::ops::Range;

/// Requests of some connections that are parsed and not executed yet, in the order in which they will be. `A` is what
/// who executes them has found out ahead of each.
#[derive(Debug)]
pub struct Batch<A> {
    pub(super) requests: Vec<Request<A>>,
    pub(super) words: Words,
}

/// A request that is parsed.
#[derive(Clone, Copy, Debug)]
pub struct Request<A> {
    /// What was found out ahead of its execution.
    pub ahead: A,
    /// Where its bytes begin and end among those of its connection.
    pub(super) start: u32,
    pub(super) end: u32,
    /// Where its words begin among those of the batch; they end where those of the next one begin.
    pub(super) words: u32,
    pub(super) form: Form,
}

/// What a connection has in a [`Batch`].
#[derive(Debug)]
pub struct Share {
    pub(super) requests: Range<usize>,
    /// Where the bytes of the last one end.
    pub(super) end: usize,
    pub(super) tail: Tail,
    /// Whether the bytes are those that the connection itself has, the fresh ones behind them.
    pub(super) kept: bool,
    /// Whether the first of the requests cannot be parsed again, since a part of its bytes was taken before.
    pub(super) amid: bool,
}

impl<A> Default for Batch<A> {
    fn default() -> Batch<A> {
        Batch { requests: Vec::new(), words: Words::default() }
    }
}

impl<A> Batch<A> {
    /// Whether it is time to execute what is here.
    pub fn is_full(&self) -> bool {
        self.requests.len() >= BATCH_REQUESTS_MAX
    }

    /// All that are here.
    pub fn requests(&mut self) -> &mut [Request<A>] {
        &mut self.requests
    }

    pub(super) fn args<'a>(&'a self, number: usize, input: &'a [u8]) -> Args<'a> {
        Args::among(&input[self.requests[number].start as usize..], &self.words, self.words_of(number))
    }

    /// Which of the words are those of a request.
    fn words_of(&self, number: usize) -> Range<usize> {
        let end = self.requests.get(number + 1).map_or(self.words.len(), |next| next.words as usize);
        self.requests[number].words as usize..end
    }

    /// Lets go of the long words of a request that was executed: what is stored of them is the store's alone.
    #[cold]
    #[inline(never)]
    pub(super) fn let_go(&mut self, number: usize) {
        self.words.let_go(self.words_of(number));
    }

    /// Forgets the requests from this one on.
    pub(super) fn truncate(&mut self, number: usize) {
        if let Some(request) = self.requests.get(number) {
            self.words.truncate(request.words as usize);
            self.requests.truncate(number);
        }
    }

    /// Forgets all that was executed.
    pub fn clear(&mut self) {
        self.requests.clear();
        self.requests.shrink_to(2 * BATCH_REQUESTS_MAX);
        self.words.clear();
    }
}

impl Share {
    /// Whether there is a request in it.
    pub fn has_requests(&self) -> bool {
        !self.requests.is_empty()
    }
}

/// What comes behind the requests of a share.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tail {
    /// Bytes that were not looked at, if any.
    More,
    /// The beginning of a request, of which so many bytes are needed again.
    Incomplete(usize),
    /// What is no request.
    Broken(ParseError),
}
