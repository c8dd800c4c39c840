//! The words of requests, where they lie: in the bytes received, or, a long one, in a buffer of its own.

use crate::blob::Blob;
use std::ops::{Index, Range};
use std::rc::Rc;

/// Where the words of the requests at hand lie, one request behind the other. Lent by the loop, so that no request
/// allocates it.
#[derive(Debug, Default)]
pub struct Words {
    spans: Vec<Span>,
    /// Long words, received straight into what may be stored.
    long: Vec<Rc<Blob>>,
}

/// A word's place in the bytes of its request; or, where `start` is [`LONG`], its index among the long ones.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    end: u32,
}

const LONG: u32 = u32::MAX;

/// A request whose words take less than this is nothing special.
const LARGE_BYTES_MIN: usize = 48 * 1024;

/// More room than this is not kept after the request that needed it.
const SPANS_KEPT_MAX: usize = 4096;

impl Words {
    /// How many words there are.
    #[expect(clippy::len_without_is_empty, reason = "asked only how many")]
    #[inline]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Forgets all words.
    pub fn clear(&mut self) {
        self.spans.clear();
        self.spans.shrink_to(SPANS_KEPT_MAX);
        self.long.clear();
    }

    /// Forgets the words behind the first `len`, of which none is a long one.
    pub fn truncate(&mut self, len: usize) {
        debug_assert!(self.spans[len..].iter().all(|span| span.start != LONG));
        self.spans.truncate(len);
    }

    /// Lets go of the long ones among the words with these numbers, which nobody will ask for again.
    pub fn let_go(&mut self, numbers: Range<usize>) {
        for span in self.spans[numbers].iter().filter(|span| span.start == LONG) {
            self.long[span.end as usize] = Rc::default();
        }
    }

    /// Makes room for so many more words, some slack included where there is memory for that, too; false where there is not
    /// enough.
    #[inline]
    pub fn make_room(&mut self, more: usize) -> bool {
        self.spans.try_reserve(more).or_else(|_| self.spans.try_reserve_exact(more)).is_ok()
    }

    /// Adds the words of a request that was parsed apart; false where there is no memory for them.
    pub(super) fn append(&mut self, mut words: Words) -> bool {
        if self.spans.is_empty() && self.long.is_empty() {
            *self = words;
            return true;
        }
        if !self.make_room(words.spans.len()) {
            return false;
        }
        let longs = self.long.len() as u32;
        let moved = |span: &Span| match span.start {
            LONG => Span { end: span.end + longs, ..*span },
            _ => *span,
        };
        self.spans.extend(words.spans.iter().map(moved));
        self.long.append(&mut words.long);
        true
    }

    /// Adds the word from `start` to `end` of the request's bytes.
    #[inline]
    pub fn push(&mut self, start: usize, end: usize) {
        self.spans.push(Span { start: start as u32, end: end as u32 });
    }

    /// Adds a long word.
    pub fn push_long(&mut self, word: Rc<Blob>) {
        self.spans.push(Span { start: LONG, end: self.long.len() as u32 });
        self.long.push(word);
    }

    /// The memory that they take, in bytes.
    pub(super) fn bytes_used(&self) -> usize {
        self.spans.capacity() * size_of::<Span>() + self.long.iter().map(|word| word.bytes_used()).sum::<usize>()
    }
}

/// A word, for who cares where it lies.
#[derive(Clone, Copy, Debug)]
pub enum Word<'a> {
    /// In the bytes received, which are gone after the request.
    Received(&'a [u8]),
    /// In a buffer of its own, which may be kept without a copy.
    Long(&'a Rc<Blob>),
}

/// The words of one request, the command's name first, borrowed from the bytes received.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    bytes: &'a [u8],
    spans: &'a [Span],
    long: &'a [Rc<Blob>],
}

impl<'a> Args<'a> {
    /// All the words, of one request that begins with `bytes`; at least one.
    pub fn new(bytes: &'a [u8], words: &'a Words) -> Args<'a> {
        Args::among(bytes, words, 0..words.len())
    }

    /// The words with these numbers, of a request that begins with `bytes`; at least one.
    #[inline]
    pub fn among(bytes: &'a [u8], words: &'a Words, numbers: Range<usize>) -> Args<'a> {
        debug_assert!(!numbers.is_empty());
        Args { bytes, spans: &words.spans[numbers], long: &words.long }
    }

    /// How many words, the name included.
    #[expect(clippy::len_without_is_empty, reason = "a request has at least its name")]
    #[inline]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// The command's name as it was sent.
    #[inline]
    pub fn name(&self) -> &'a [u8] {
        self.slice(self.spans[0])
    }

    /// Word `index`, 0 being the name, where there is one.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        self.spans.get(index).map(|&span| self.slice(span))
    }

    /// Word `index`, which must be there, and how it lies.
    pub fn word(&self, index: usize) -> Word<'a> {
        self.word_at(self.spans[index])
    }

    fn word_at(&self, span: Span) -> Word<'a> {
        match span.start {
            LONG => Word::Long(&self.long[span.end as usize]),
            _ => Word::Received(self.slice(span)),
        }
    }

    /// The words from `first` on.
    #[cfg_attr(memento_small, inline(never))]
    pub fn from(&self, first: usize) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        let args = *self;
        let spans = self.spans.get(first..).unwrap_or(&[]);
        spans.iter().map(move |&span| args.slice(span))
    }

    /// All the words, for who cares where they lie.
    pub fn words(&self) -> impl ExactSizeIterator<Item = Word<'a>> + use<'a> {
        let args = *self;
        self.spans.iter().map(move |&span| args.word_at(span))
    }

    /// Whether one of the words is a long one.
    #[inline]
    pub fn has_long(&self) -> bool {
        !self.long.is_empty() && self.spans.iter().any(|span| span.start == LONG)
    }

    /// Whether the words may be more than [`LARGE_BYTES_MIN`] together, as they seldom are: some of the batch are long ones,
    /// or the last one ends so far behind the first.
    #[inline]
    pub fn is_large(&self) -> bool {
        !self.long.is_empty() || self.spans.last().is_some_and(|last| last.end as usize > LARGE_BYTES_MIN)
    }

    /// The memory that the long words take, in bytes.
    pub fn long_bytes(&self) -> usize {
        let long_bytes = |word| if let Word::Long(word) = word { word.bytes_used() } else { 0 };
        if self.has_long() { self.words().map(long_bytes).sum() } else { 0 }
    }

    /// The request that begins with word `first` of this one: `COMMAND GETKEYS GET key` holds one.
    pub fn nested(&self, first: usize) -> Option<Args<'a>> {
        self.part(first, self.len().checked_sub(first)?)
    }

    /// The request of `count` words that begins with word `first` of this one, if there are so many and one at least.
    pub fn part(&self, first: usize, count: usize) -> Option<Args<'a>> {
        let spans = self.spans.get(first..first.checked_add(count)?).filter(|spans| !spans.is_empty())?;
        Some(Args { spans, ..*self })
    }

    #[inline]
    fn slice(&self, span: Span) -> &'a [u8] {
        match span.start {
            LONG => self.long_word(span),
            start => &self.bytes[start as usize..span.end as usize],
        }
    }

    #[cfg_attr(memento_small, inline(never))]
    fn long_word(&self, span: Span) -> &'a [u8] {
        &self.long[span.end as usize]
    }
}

impl Index<usize> for Args<'_> {
    type Output = [u8];

    #[inline]
    fn index(&self, index: usize) -> &[u8] {
        self.slice(self.spans[index])
    }
}

/// The words of a request that is to be executed later, in memory of their own; long ones are shared.
#[derive(Debug, Default)]
pub struct OwnedArgs {
    bytes: Vec<u8>,
    words: Words,
}

impl OwnedArgs {
    /// A copy of these words; none where there is no memory for it.
    #[inline(never)]
    pub fn new(args: Args<'_>) -> Option<OwnedArgs> {
        OwnedArgs::of(args.words())
    }

    /// A copy of these words, of which there is one at least; none where there is no memory for it.
    pub fn of<'a>(words: impl Iterator<Item = Word<'a>>) -> Option<OwnedArgs> {
        let mut owned = OwnedArgs::default();
        for word in words {
            if !owned.words.make_room(1) {
                return None;
            }
            match word {
                Word::Received(bytes) => {
                    let start = owned.bytes.len();
                    owned.bytes.try_reserve(bytes.len()).ok()?;
                    owned.bytes.extend_from_slice(bytes);
                    owned.words.push(start, owned.bytes.len());
                }
                Word::Long(word) => owned.words.push_long(Rc::clone(word)),
            }
        }
        Some(owned)
    }

    /// The words.
    pub fn args(&self) -> Args<'_> {
        Args::new(&self.bytes, &self.words)
    }

    /// The memory that they take, in bytes.
    pub fn bytes_used(&self) -> usize {
        size_of::<OwnedArgs>() + self.bytes.capacity() + self.words.bytes_used()
    }
}
