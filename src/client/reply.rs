//! Replies in RESP2 and RESP3, found in what was received and looked at where they lie.
//!
//! A reply is a tree of values. The parser makes one row of nodes of it, each before those within it, so that a reply
//! costs no allocation once the row has grown: [`View`] walks the row. Nothing is believed that was only announced: a
//! node is made when its own bytes are here.

use std::fmt;

#[cfg(test)]
mod tests;

use crate::limits::{ANSWER_BYTES_MAX, REPLY_DEPTH_MAX, REPLY_VALUES_MAX};

/// A header (`$5`, `*3`, `:-12`) may be so long: the longest number has 20 characters.
const HEADER_BYTES_MAX: usize = 32;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A simple string: `+OK`.
    Simple,
    /// An error, short (`-ERR`) or long (`!`).
    Error,
    /// A signed 64-bit integer.
    Integer,
    /// A string of any bytes.
    Bulk,
    /// Nothing: RESP3's null, and RESP2's null string and null array.
    Null,
    /// An array.
    Array,
    /// A map; its children are a key, its value, the next key.
    Map,
    /// A set.
    Set,
    /// What nobody asked for: a message of a subscription, for example.
    Push,
    /// A number with a fraction, kept in the server's own characters; `inf`, `-inf` and `nan` too.
    Double,
    /// True or false.
    Boolean,
    /// An integer of any size, in digits.
    BigNumber,
    /// A text with its format; the format (`txt`, `mkd`) is not among its bytes.
    Verbatim,
}

/// A value's place in the row, and in the bytes of its reply.
#[derive(Clone, Copy, Debug)]
struct Node {
    kind: Kind,
    /// Where its bytes begin; of a verbatim string, behind the format.
    start: u32,
    /// How many bytes it has, or how many children.
    length: u32,
    /// How many nodes it takes in the row, with those within it.
    nodes: u32,
}

/// Offsets and lengths are kept in 32 bits.
const _: () = assert!(ANSWER_BYTES_MAX < u32::MAX as usize && size_of::<Node>() == 16);

/// A value of a reply. Its bytes are lent by whoever holds the reply.
#[derive(Clone, Copy)]
pub struct View<'a> {
    bytes: &'a [u8],
    nodes: &'a [Node],
}

impl<'a> View<'a> {
    /// What it is.
    #[cfg_attr(memento_small, inline(never))]
    pub fn kind(&self) -> Kind {
        self.nodes[0].kind
    }

    /// Whether it has children and no bytes of its own.
    pub fn is_aggregate(&self) -> bool {
        matches!(self.kind(), Kind::Array | Kind::Map | Kind::Set | Kind::Push)
    }

    /// Its bytes: of strings and errors what they say, of numbers the digits, of a boolean `t` or `f`; none where it is
    /// null or has children.
    pub fn bytes(&self) -> &'a [u8] {
        let node = &self.nodes[0];
        if self.is_aggregate() { &[] } else { &self.bytes[node.start as usize..][..node.length as usize] }
    }

    /// The number of an integer, 1 or 0 of a boolean; `None` of anything else.
    pub fn integer(&self) -> Option<i64> {
        match self.kind() {
            Kind::Integer => number(self.bytes()),
            Kind::Boolean => Some(i64::from(self.bytes() == b"t")),
            _ => None,
        }
    }

    /// The three characters that say what a verbatim string is; none of anything else.
    pub fn format(&self) -> &'a [u8] {
        match (self.kind(), self.nodes[0].start as usize) {
            (Kind::Verbatim, start) => &self.bytes[start - 4..start - 1],
            _ => &[],
        }
    }

    /// How many children it has; of a map, keys and values together.
    pub fn len(&self) -> usize {
        if self.is_aggregate() { self.nodes[0].length as usize } else { 0 }
    }

    /// Whether it has no children.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its children, in order.
    pub fn children(&self) -> Children<'a> {
        let end = if self.is_aggregate() { self.nodes[0].nodes as usize } else { 1 };
        Children { bytes: self.bytes, nodes: &self.nodes[1..end] }
    }

    /// Whether its bytes are these; of a word that a server writes in either case.
    pub fn is_word(&self, word: &str) -> bool {
        self.bytes().eq_ignore_ascii_case(word.as_bytes())
    }

    /// How many values it is, itself and those within it.
    pub fn values(&self) -> usize {
        self.nodes[0].nodes as usize
    }

    /// A copy that outlives what was received.
    pub fn to_reply(&self) -> Reply {
        Reply { bytes: self.bytes.into(), nodes: self.nodes[..self.values()].into() }
    }
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind())?;
        if self.is_aggregate() {
            return f.debug_list().entries(self.children()).finish();
        }
        write!(f, "({})", self.bytes().escape_ascii())
    }
}

/// The children of a value, one after the other.
#[derive(Clone)]
pub struct Children<'a> {
    bytes: &'a [u8],
    nodes: &'a [Node],
}

impl<'a> Iterator for Children<'a> {
    type Item = View<'a>;

    #[cfg_attr(memento_small, inline(never))]
    fn next(&mut self) -> Option<View<'a>> {
        let count = self.nodes.first()?.nodes as usize;
        let (own, rest) = self.nodes.split_at(count);
        self.nodes = rest;
        Some(View { bytes: self.bytes, nodes: own })
    }
}

/// A whole reply that owns its bytes.
pub struct Reply {
    bytes: Box<[u8]>,
    nodes: Box<[Node]>,
}

impl Reply {
    /// Its outermost value.
    pub fn view(&self) -> View<'_> {
        View { bytes: &self.bytes, nodes: &self.nodes }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}

/// Why there is no reply.
#[derive(Debug, PartialEq, Eq)]
pub enum Unparsed {
    /// The bytes are none: a sentence without its subject, which says what came.
    Nonsense(String),
    /// There is no memory for so many values.
    Memory,
}

/// An aggregate that is not whole yet.
#[derive(Clone, Copy)]
struct Open {
    node: u32,
    left: u64,
    /// RESP3's attributes: what they hold is parsed and forgotten.
    is_attribute: bool,
}

/// Finds one reply after the other. It goes on where it stopped, so that no byte of a reply is looked at twice however
/// slowly it comes, except for the few of a header.
pub struct Parser {
    nodes: Vec<Node>,
    open: Vec<Open>,
    /// So many bytes of the reply are parsed ...
    at: usize,
    /// ... and so many behind them have no line's end.
    looked: usize,
    is_done: bool,
    /// A reply may have so many values.
    values_max: usize,
}

/// Nodes are given back beyond so many when the next reply begins.
const NODES_KEPT_MAX: usize = 4096;

impl Default for Parser {
    fn default() -> Parser {
        Parser::new()
    }
}

impl Parser {
    /// At the start of a reply.
    pub fn new() -> Parser {
        Parser { nodes: Vec::new(), open: Vec::new(), at: 0, looked: 0, is_done: false, values_max: REPLY_VALUES_MAX }
    }

    /// Looks for the end of the reply that begins where `bytes` begin, of which more may come: gives how many bytes it
    /// has, or `None` when it is not whole yet; the same bytes and more are then to be given again. After a whole one the
    /// next call begins a new reply.
    ///
    /// # Errors
    /// When this is no reply, or there is no memory for it.
    pub fn parse(&mut self, bytes: &[u8]) -> Result<Option<usize>, Unparsed> {
        self.forget();
        while let Some(is_whole) = self.value(bytes)? {
            if is_whole && self.close() {
                self.is_done = true;
                return Ok(Some(self.at));
            }
        }
        Ok(None)
    }

    /// Gives back what the last whole reply took.
    pub fn forget(&mut self) {
        if self.is_done {
            self.nodes.clear();
            if self.nodes.capacity() > NODES_KEPT_MAX {
                self.nodes.shrink_to(0);
            }
            (self.at, self.looked, self.is_done) = (0, 0, false);
        }
    }

    /// The reply that `parse` has found whole, in the same bytes.
    pub fn view<'a>(&'a self, bytes: &'a [u8]) -> View<'a> {
        assert!(self.is_done, "no whole reply");
        View { bytes: &bytes[..self.at], nodes: &self.nodes }
    }

    /// Parses one value's own bytes. `Some(true)`: it is whole; `Some(false)`: its children follow, or it was only said
    /// that they have attributes; `None`: more must come.
    fn value(&mut self, bytes: &[u8]) -> Result<Option<bool>, Unparsed> {
        let rest = &bytes[self.at..];
        let Some(&mark) = rest.first() else { return Ok(None) };
        let header_max = match mark {
            b'+' | b'-' | b'(' => ANSWER_BYTES_MAX,
            b':' | b'$' | b'*' | b'_' | b'#' | b',' | b'!' | b'=' | b'%' | b'~' | b'>' | b'|' => HEADER_BYTES_MAX,
            _ => return Err(nonsense("no reply begins with", rest)),
        };
        // A double may be written with all the digits that it has.
        let header_max = if mark == b',' { 512 } else { header_max };
        let Some(feed) = rest[self.looked..].iter().position(|&byte| byte == b'\n') else {
            self.looked = rest.len();
            return if rest.len() > header_max { Err(nonsense("no line's end in", rest)) } else { Ok(None) };
        };
        let feed = self.looked + feed;
        self.looked = 0;
        if feed > header_max || rest[feed - 1] != b'\r' || feed < 2 {
            return Err(nonsense("no line's end in", rest));
        }
        let line = &rest[1..feed - 1];
        let start = self.at + 1;
        let leaf = match mark {
            b'+' => Kind::Simple,
            b'-' => Kind::Error,
            b':' if number(line).is_some() => Kind::Integer,
            b'_' if line.is_empty() => Kind::Null,
            b'#' if line == b"t" || line == b"f" => Kind::Boolean,
            b',' if is_double(line) => Kind::Double,
            b'(' if is_digits(line) => Kind::BigNumber,
            b':' | b'_' | b'#' | b',' | b'(' => return Err(nonsense("no value is", rest)),
            _ => return self.measured(bytes, mark, line, feed + 1),
        };
        self.push(leaf, start, line.len())?;
        self.at += feed + 1;
        Ok(Some(true))
    }

    /// A value whose header says how long it is.
    fn measured(&mut self, bytes: &[u8], mark: u8, line: &[u8], header: usize) -> Result<Option<bool>, Unparsed> {
        let rest = &bytes[self.at..];
        let body = self.at + header;
        if line == b"-1" && matches!(mark, b'$' | b'*') {
            self.push(Kind::Null, body, 0)?;
            self.at = body;
            return Ok(Some(true));
        }
        let length = number(line).and_then(|length| usize::try_from(length).ok());
        let Some(length) = length.filter(|&length| length <= ANSWER_BYTES_MAX) else {
            return Err(nonsense("no length is in", rest));
        };
        let kind = match mark {
            b'$' => Kind::Bulk,
            b'!' => Kind::Error,
            b'=' => Kind::Verbatim,
            b'~' => return self.begin(Kind::Set, length, body, rest),
            b'>' => return self.begin(Kind::Push, length, body, rest),
            b'%' => return self.begin(Kind::Map, length * 2, body, rest),
            b'|' => return self.begin(Kind::Map, length * 2, body, rest),
            _ => return self.begin(Kind::Array, length, body, rest),
        };
        let Some(end) = bytes.get(body + length..body + length + 2) else { return Ok(None) };
        if end != b"\r\n" {
            return Err(nonsense("a string has another length than", rest));
        }
        match kind {
            Kind::Verbatim if length < 4 || bytes[body + 3] != b':' => return Err(nonsense("no format is in", rest)),
            Kind::Verbatim => self.push(kind, body + 4, length - 4)?,
            _ => self.push(kind, body, length)?,
        }
        self.at = body + length + 2;
        Ok(Some(true))
    }

    /// An aggregate begins.
    fn begin(&mut self, kind: Kind, length: usize, body: usize, rest: &[u8]) -> Result<Option<bool>, Unparsed> {
        let is_attribute = rest[0] == b'|';
        if self.open.len() == REPLY_DEPTH_MAX {
            return Err(Unparsed::Nonsense(format!("it is nested more than {REPLY_DEPTH_MAX} deep")));
        }
        let node = self.nodes.len() as u32;
        self.push(kind, body, length)?;
        self.at = body;
        if length == 0 && !is_attribute {
            return Ok(Some(true));
        }
        self.open.push(Open { node, left: length as u64, is_attribute });
        if length == 0 {
            self.end_attributes();
        }
        Ok(Some(false))
    }

    fn push(&mut self, kind: Kind, start: usize, length: usize) -> Result<(), Unparsed> {
        if self.nodes.len() == self.values_max {
            return Err(Unparsed::Nonsense(format!("it has more than {} values", self.values_max)));
        }
        if self.nodes.len() == self.nodes.capacity() && self.nodes.try_reserve(self.nodes.len().max(16)).is_err() {
            return Err(Unparsed::Memory);
        }
        self.nodes.push(Node { kind, start: start as u32, length: length as u32, nodes: 1 });
        Ok(())
    }

    /// A value is whole: closes what is whole with it, and says whether the reply is.
    fn close(&mut self) -> bool {
        while let Some(last) = self.open.last_mut() {
            last.left -= 1;
            if last.left > 0 {
                return false;
            }
            if last.is_attribute {
                // What they were about still comes.
                self.end_attributes();
                return false;
            }
            let node = last.node as usize;
            self.nodes[node].nodes = (self.nodes.len() - node) as u32;
            self.open.pop();
        }
        true
    }

    fn end_attributes(&mut self) {
        let ended = self.open.pop().expect("attributes are open");
        self.nodes.truncate(ended.node as usize);
    }
}

/// A signed 64-bit integer; RESP3 allows a plus sign.
#[inline(never)]
pub(crate) fn number(text: &[u8]) -> Option<i64> {
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] => (1, digits),
        digits => (1, digits),
    };
    let mut number = if digits.is_empty() { None } else { Some(0_i64) };
    for &byte in digits {
        let digit = if byte.is_ascii_digit() { sign * i64::from(byte - b'0') } else { return None };
        number = number?.checked_mul(10)?.checked_add(digit);
    }
    number
}

fn is_digits(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

/// Digits with a point and an exponent, where there are any, or a word for what is no number of digits.
fn is_double(text: &[u8]) -> bool {
    let unsigned = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    if unsigned.eq_ignore_ascii_case(b"inf") || unsigned.eq_ignore_ascii_case(b"nan") {
        return true;
    }
    let exponent = unsigned.iter().position(|byte| byte.eq_ignore_ascii_case(&b'e'));
    let (digits, exponent) = unsigned.split_at(exponent.unwrap_or(unsigned.len()));
    let points = digits.iter().filter(|&&byte| byte == b'.').count();
    points <= 1
        && digits.len() > points
        && digits.iter().all(|&byte| byte == b'.' || byte.is_ascii_digit())
        && (exponent.is_empty() || is_digits(&exponent[1..]))
}

/// What is wrong, and the beginning of what came.
fn nonsense(what: &str, bytes: &[u8]) -> Unparsed {
    const SHOWN: usize = 40;
    let shown = &bytes[..bytes.len().min(SHOWN)];
    let more = if bytes.len() > SHOWN { "..." } else { "" };
    Unparsed::Nonsense(format!("{what} '{}'{more}", shown.escape_ascii()))
}
