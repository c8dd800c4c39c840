//! The frames that nodes send each other: found where they lie, and appended to a buffer.
//!
//! A frame is a length (32 bits, little endian like all numbers here, of what follows it), a byte that tells the kind,
//! and what belongs to the kind. Nothing is allocated, and no length is believed before its bytes are there: a frame is
//! shown whole or not at all, and the limit holds for the length that is announced.
//!
//! What a frame means, and in which order they may come, is not known here.
//!
//! # Messages
//!
//! A request or a reply has a head and, belonging to it, any number of long values. A short one is a single frame. Of a
//! longer one the `..Part` frames carry the beginning of the head, the `..Long` frames the long values, one after the
//! other in pieces, and the frame `Request` or `Reply` the rest of the head; it comes last and ends the message.

use crate::limits::{BUS_PIECE_BYTES_MAX, FRAME_BYTES_MAX, NAME_BYTES_MAX, VALUE_BYTES_MAX};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The version of all that is written here. Nodes of different versions do not talk to each other.
pub const VERSION: u16 = 1;

/// The beginning of a hello, by which junk is told from a node.
const MAGIC: [u8; 8] = *b"memento\n";

/// The length that a frame begins with.
const LENGTH_BYTES: usize = 4;

const HELLO: u8 = 1;
const PROOF: u8 = 2;
const WELCOME: u8 = 3;
const REFUSE: u8 = 4;
const PING: u8 = 5;
const PONG: u8 = 6;
const REQUEST: u8 = 7;
const REQUEST_PART: u8 = 8;
const REQUEST_LONG: u8 = 9;
const REPLY: u8 = 10;
const REPLY_PART: u8 = 11;
const REPLY_LONG: u8 = 12;
const REPLY_SIZE: u8 = 13;
const GRANT: u8 = 14;
const DECLINE: u8 = 15;

/// How many bytes stand before the bytes of a piece of a long value.
pub const LONG_HEADER_BYTES: usize = LENGTH_BYTES + 1 + 4 + 4;

/// How many bytes stand before the words of a request.
pub const REQUEST_HEADER_BYTES: usize = LENGTH_BYTES + 1 + 4 + 1 + 8 + 2;

// The largest frames are a request with as many words as fit in a piece, and a piece.
const _: () = assert!(FRAME_BYTES_MAX >= BUS_PIECE_BYTES_MAX + REQUEST_HEADER_BYTES);
const _: () = assert!(FRAME_BYTES_MAX >= BUS_PIECE_BYTES_MAX + LONG_HEADER_BYTES);

/// One message from node to node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Who the sender is; each side's first frame.
    Hello(Hello<'a>),
    /// A hello of another version, of which no more can be read.
    OtherVersion(u16),
    /// The proof that the sender knows the secret.
    Proof(&'a [u8; 32]),
    /// The link is up.
    Welcome,
    /// The sender wants no link, and closes this one.
    Refuse(Refusal<'a>),
    /// Asks for a pong.
    Ping {
        /// Comes back in the pong.
        token: u64,
        /// How many keys the sender holds.
        keys: u64,
    },
    /// Answers a ping.
    Pong {
        /// That of the ping.
        token: u64,
        /// How many keys the sender holds.
        keys: u64,
    },
    /// A request, or the end of one.
    Request {
        /// By which it is answered.
        id: u32,
        /// What it is for.
        purpose: Purpose,
        /// The client it is for, by the number that its node gave it.
        client: u64,
        /// The flags of the command's row.
        flags: u16,
        /// The words, or the last of them: [`HeadWords`] reads them, once what the parts brought stands before.
        words: &'a [u8],
    },
    /// The words at the beginning of a long request.
    RequestPart {
        /// That of the request.
        id: u32,
        /// Cut anywhere; at least one byte.
        bytes: &'a [u8],
    },
    /// A piece of a long word.
    RequestLong(Piece<'a>),
    /// A reply, or the end of one.
    Reply {
        /// That of the request.
        id: u32,
        /// The typed reply, or the last bytes of it.
        bytes: &'a [u8],
    },
    /// Bytes at the beginning of a long reply.
    ReplyPart {
        /// That of the request.
        id: u32,
        /// Cut anywhere; at least one byte.
        bytes: &'a [u8],
    },
    /// A piece of a long value in a reply.
    ReplyLong(Piece<'a>),
    /// A large reply waits for its grant.
    ReplySize {
        /// That of the request.
        id: u32,
        /// How large it is in all.
        total: u64,
    },
    /// The large reply may be sent.
    Grant {
        /// That of the request.
        id: u32,
    },
    /// The reply of which this was the size is not wanted any more.
    Decline {
        /// Which request's.
        id: u32,
    },
}

/// Who a node is, and what its peer has to agree with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello<'a> {
    /// Random for each start of the node.
    pub incarnation: u64,
    /// That of its bus, by which the others know it.
    pub address: SocketAddr,
    /// What people call it.
    pub name: &'a str,
    /// Of the addresses of all nodes.
    pub digest: [u8; 32],
    /// Whether its clients need a password.
    pub has_password: bool,
    /// Whether it wants a proof.
    pub has_secret: bool,
    /// Random for each hello.
    pub nonce: [u8; 32],
}

/// A piece of a long value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// That of the request.
    pub id: u32,
    /// The length of the whole value; not zero, and no more than a value may have.
    pub total: u32,
    /// At least one byte, and no more than the total.
    pub bytes: &'a [u8],
}

/// Why a node wants no link, and which nodes it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal<'a> {
    /// The reason.
    pub reason: Reason,
    /// Looked through when the frame was found.
    addresses: &'a [u8],
}

impl Refusal<'_> {
    /// The bus addresses in the list of who refuses.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        let mut rest = Reader(self.addresses);
        std::iter::from_fn(move || if rest.0.is_empty() { None } else { rest.address().ok() })
    }
}

/// Why a node wants no link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// The versions of what is spoken differ.
    Version = 1,
    /// The lists of nodes differ.
    List = 2,
    /// The secrets differ, or only one side has one.
    Secret = 3,
    /// Its peer's address is not in its list.
    NotListed = 4,
    /// Its peer gives its own address: it called itself, or another node was told to be it.
    Itself = 5,
    /// Its peer reached it in the place of another node.
    OtherNode = 6,
    /// Two links to the peer are there already.
    Enough = 7,
}

impl Reason {
    const ALL: [Reason; 7] = [
        Reason::Version,
        Reason::List,
        Reason::Secret,
        Reason::NotListed,
        Reason::Itself,
        Reason::OtherNode,
        Reason::Enough,
    ];
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Purpose {
    /// One command.
    Plain = 0,
    /// WATCH of some keys.
    Watch = 1,
    /// What is kept of the client can go; there is no answer.
    Forget = 2,
    /// A transaction: for each of its commands a word that tells how many words it has, in decimal, and these.
    Exec = 3,
}

impl Purpose {
    const ALL: [Purpose; 4] = [Purpose::Plain, Purpose::Watch, Purpose::Forget, Purpose::Exec];
}

/// What is wrong with bytes that are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// A frame without a kind.
    Empty,
    /// More than a frame may have, or more than one may have before the link is up.
    TooLong {
        /// What was announced.
        bytes: u32,
    },
    /// No such kind.
    Kind(u8),
    /// A hello that does not begin like one.
    NoMagic,
    /// A frame that ends before it is complete.
    Short {
        /// What the frame is, or what in it.
        what: &'static str,
    },
    /// A frame with more bytes than belong to it.
    Rest {
        /// What the frame is, or what in it.
        what: &'static str,
    },
    /// A value that has no meaning in its place.
    Value {
        /// What it is.
        what: &'static str,
    },
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::Empty => write!(f, "a frame of no bytes"),
            Malformed::TooLong { bytes } => write!(f, "a frame of {bytes} bytes"),
            Malformed::Kind(kind) => write!(f, "a frame of the unknown kind {kind}"),
            Malformed::NoMagic => write!(f, "no hello of a node"),
            Malformed::Short { what } => write!(f, "{what} that is too short"),
            Malformed::Rest { what } => write!(f, "{what} with bytes that do not belong to it"),
            Malformed::Value { what } => write!(f, "{what} that cannot be"),
        }
    }
}

/// The frame at the beginning of `bytes`, and how many bytes it takes; none where more bytes are needed.
///
/// With its length a frame may take `limit` bytes: [`FRAME_BYTES_MAX`], or less as long as the peer is a stranger.
pub fn decode(bytes: &[u8], limit: usize) -> Result<Option<(Frame<'_>, usize)>, Malformed> {
    let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    let announced = u32::from_le_bytes(*length);
    let length = announced as usize;
    if length > limit.saturating_sub(LENGTH_BYTES) {
        return Err(Malformed::TooLong { bytes: announced });
    }
    if length == 0 {
        return Err(Malformed::Empty);
    }
    let Some(frame) = rest.get(..length) else {
        // Junk is told as early as possible, not only when as many bytes came as its beginning happens to announce.
        return match rest {
            [kind, ..] if !(HELLO..=DECLINE).contains(kind) => Err(Malformed::Kind(*kind)),
            [HELLO, begun @ ..] if !MAGIC.starts_with(&begun[..begun.len().min(MAGIC.len())]) => {
                Err(Malformed::NoMagic)
            }
            _ => Ok(None),
        };
    };
    let (kind, body) = (frame[0], Reader(&frame[1..]));
    let frame = match kind {
        REQUEST => request(body)?,
        REPLY => {
            let (id, bytes) = body.id("a reply")?;
            Frame::Reply { id, bytes }
        }
        _ => other(kind, body)?,
    };
    Ok(Some((frame, LENGTH_BYTES + length)))
}

#[inline]
fn request(body: Reader<'_>) -> Result<Frame<'_>, Malformed> {
    const FIXED: usize = REQUEST_HEADER_BYTES - LENGTH_BYTES - 1;
    let short = Malformed::Short { what: "a request" };
    let (&[a, b, c, d, purpose, ref numbers @ ..], words) = body.0.split_first_chunk::<FIXED>().ok_or(short)?;
    let [e, f, g, h, i, j, k, l, m, n] = *numbers;
    let unknown = Malformed::Value { what: "the purpose of a request" };
    Ok(Frame::Request {
        id: u32::from_le_bytes([a, b, c, d]),
        purpose: *Purpose::ALL.get(usize::from(purpose)).ok_or(unknown)?,
        client: u64::from_le_bytes([e, f, g, h, i, j, k, l]),
        flags: u16::from_le_bytes([m, n]),
        words,
    })
}

/// The frames that are not met for each command.
fn other(kind: u8, mut body: Reader<'_>) -> Result<Frame<'_>, Malformed> {
    let what = match kind {
        HELLO => return hello(body),
        REFUSE => return refuse(body),
        REQUEST_PART | REPLY_PART => {
            let what = "a part of a message";
            let (id, bytes) = body.id(what)?;
            if bytes.is_empty() {
                return Err(Malformed::Short { what });
            }
            return Ok(match kind {
                REQUEST_PART => Frame::RequestPart { id, bytes },
                _ => Frame::ReplyPart { id, bytes },
            });
        }
        REQUEST_LONG => return Ok(Frame::RequestLong(piece(body)?)),
        REPLY_LONG => return Ok(Frame::ReplyLong(piece(body)?)),
        PROOF => "a proof",
        WELCOME => "a welcome",
        PING => "a ping",
        PONG => "a pong",
        REPLY_SIZE => "the size of a reply",
        GRANT => "a grant",
        DECLINE => "a refusal of a reply",
        _ => return Err(Malformed::Kind(kind)),
    };
    let frame = match kind {
        PROOF => Frame::Proof(body.array(what)?),
        WELCOME => Frame::Welcome,
        PING => Frame::Ping { token: body.u64(what)?, keys: body.u64(what)? },
        PONG => Frame::Pong { token: body.u64(what)?, keys: body.u64(what)? },
        REPLY_SIZE => Frame::ReplySize { id: body.u32(what)?, total: body.u64(what)? },
        GRANT => Frame::Grant { id: body.u32(what)? },
        _ => Frame::Decline { id: body.u32(what)? },
    };
    body.end(what)?;
    Ok(frame)
}

fn hello(mut body: Reader<'_>) -> Result<Frame<'_>, Malformed> {
    let what = "a hello";
    if *body.array::<{ MAGIC.len() }>(what)? != MAGIC {
        return Err(Malformed::NoMagic);
    }
    let version = u16::from_le_bytes(*body.array(what)?);
    if version != VERSION {
        return Ok(Frame::OtherVersion(version));
    }
    let (incarnation, address) = (body.u64(what)?, body.address()?);
    let name = Malformed::Value { what: "a name" };
    let length = usize::from(u16::from_le_bytes(*body.array(what)?));
    let text = std::str::from_utf8(body.take(length, what)?).map_err(|_| name)?;
    // It is shown in logs and tables.
    if length > NAME_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(name);
    }
    let (digest, nonce) = (*body.array(what)?, *body.array(what)?);
    let [flags] = *body.array(what)?;
    if flags > 3 {
        return Err(Malformed::Value { what: "the flags of a hello" });
    }
    body.end(what)?;
    let (has_password, has_secret) = (flags & 1 != 0, flags & 2 != 0);
    Ok(Frame::Hello(Hello { incarnation, address, name: text, digest, has_password, has_secret, nonce }))
}

fn refuse(mut body: Reader<'_>) -> Result<Frame<'_>, Malformed> {
    let [number] = *body.array("a refusal")?;
    let reason = Reason::ALL.into_iter().find(|&reason| reason as u8 == number);
    let reason = reason.ok_or(Malformed::Value { what: "the reason of a refusal" })?;
    let addresses = body.0;
    while !body.0.is_empty() {
        body.address()?;
    }
    Ok(Frame::Refuse(Refusal { reason, addresses }))
}

fn piece(mut body: Reader<'_>) -> Result<Piece<'_>, Malformed> {
    let what = "a piece of a value";
    let (id, total, bytes) = (body.u32(what)?, body.u32(what)?, body.0);
    if bytes.is_empty() {
        return Err(Malformed::Short { what });
    }
    if bytes.len() > total as usize || total as usize > VALUE_BYTES_MAX {
        return Err(Malformed::Value { what: "the length of a value" });
    }
    Ok(Piece { id, total, bytes })
}

/// What is left to read of a frame.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed::Short { what })?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<&'a [u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed::Short { what })?;
        self.0 = rest;
        Ok(taken)
    }

    fn u32(&mut self, what: &'static str) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(*self.array(what)?))
    }

    fn u64(&mut self, what: &'static str) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(*self.array(what)?))
    }

    /// An id, and what follows it.
    #[inline]
    fn id(mut self, what: &'static str) -> Result<(u32, &'a [u8]), Malformed> {
        Ok((self.u32(what)?, self.0))
    }

    fn address(&mut self) -> Result<SocketAddr, Malformed> {
        let what = "an address";
        let ip = match *self.array(what)? {
            [4] => IpAddr::V4(Ipv4Addr::from(*self.array::<4>(what)?)),
            [6] => IpAddr::V6(Ipv6Addr::from(*self.array::<16>(what)?)),
            _ => return Err(Malformed::Value { what }),
        };
        Ok(SocketAddr::new(ip, u16::from_le_bytes(*self.array(what)?)))
    }

    fn end(&self, what: &'static str) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed::Rest { what }) }
    }
}

/// A frame that is being appended; its length is filled in at the end.
#[must_use = "the frame has no length yet"]
#[derive(Debug)]
pub struct Begun {
    at: usize,
}

impl Begun {
    fn new(out: &mut Vec<u8>, kind: u8) -> Begun {
        let at = out.len();
        out.extend_from_slice(&[0, 0, 0, 0, kind]);
        Begun { at }
    }

    /// How many bytes of the frame are there, its length included.
    pub fn bytes(&self, out: &[u8]) -> usize {
        out.len() - self.at
    }

    /// Ends the frame. The caller sees to it that it is not longer than [`FRAME_BYTES_MAX`].
    pub fn finish(self, out: &mut [u8]) {
        debug_assert!(self.bytes(out) <= FRAME_BYTES_MAX);
        let length = (self.bytes(out) - LENGTH_BYTES) as u32;
        out[self.at..self.at + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
    }

    /// Takes the frame back.
    pub fn cancel(self, out: &mut Vec<u8>) {
        out.truncate(self.at);
    }
}

/// Appends a hello.
pub fn hello_frame(out: &mut Vec<u8>, hello: &Hello<'_>) {
    let frame = Begun::new(out, HELLO);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&hello.incarnation.to_le_bytes());
    put_address(out, hello.address);
    out.extend_from_slice(&(hello.name.len() as u16).to_le_bytes());
    out.extend_from_slice(hello.name.as_bytes());
    out.extend_from_slice(&hello.digest);
    out.extend_from_slice(&hello.nonce);
    out.push(u8::from(hello.has_password) | u8::from(hello.has_secret) << 1);
    frame.finish(out);
}

/// Appends a proof.
pub fn proof_frame(out: &mut Vec<u8>, proof: &[u8; 32]) {
    let frame = Begun::new(out, PROOF);
    out.extend_from_slice(proof);
    frame.finish(out);
}

/// Appends a welcome.
pub fn welcome_frame(out: &mut Vec<u8>) {
    Begun::new(out, WELCOME).finish(out);
}

/// Appends a refusal, with the list of who refuses.
pub fn refuse_frame(out: &mut Vec<u8>, reason: Reason, addresses: impl Iterator<Item = SocketAddr>) {
    let frame = Begun::new(out, REFUSE);
    out.push(reason as u8);
    addresses.for_each(|address| put_address(out, address));
    frame.finish(out);
}

/// Appends a ping.
pub fn ping_frame(out: &mut Vec<u8>, token: u64, keys: u64) {
    numbers_frame(out, PING, token, keys);
}

/// Appends a pong.
pub fn pong_frame(out: &mut Vec<u8>, token: u64, keys: u64) {
    numbers_frame(out, PONG, token, keys);
}

fn numbers_frame(out: &mut Vec<u8>, kind: u8, token: u64, keys: u64) {
    let frame = Begun::new(out, kind);
    out.extend_from_slice(&token.to_le_bytes());
    out.extend_from_slice(&keys.to_le_bytes());
    frame.finish(out);
}

/// Begins a request, or the last frame of one; its words, or the last bytes of them, are to be appended.
pub fn begin_request(out: &mut Vec<u8>, id: u32, purpose: Purpose, client: u64, flags: u16) -> Begun {
    let frame = Begun::new(out, REQUEST);
    out.extend_from_slice(&id.to_le_bytes());
    out.push(purpose as u8);
    out.extend_from_slice(&client.to_le_bytes());
    out.extend_from_slice(&flags.to_le_bytes());
    frame
}

/// Begins a reply, or the last frame of one; its bytes, or the last of them, are to be appended.
pub fn begin_reply(out: &mut Vec<u8>, id: u32) -> Begun {
    let frame = Begun::new(out, REPLY);
    out.extend_from_slice(&id.to_le_bytes());
    frame
}

/// Appends a part of a long request's words.
pub fn request_part_frame(out: &mut Vec<u8>, id: u32, bytes: &[u8]) {
    part_frame(out, REQUEST_PART, id, bytes);
}

/// Appends a part of a long reply's bytes.
pub fn reply_part_frame(out: &mut Vec<u8>, id: u32, bytes: &[u8]) {
    part_frame(out, REPLY_PART, id, bytes);
}

fn part_frame(out: &mut Vec<u8>, kind: u8, id: u32, bytes: &[u8]) {
    let frame = Begun::new(out, kind);
    out.extend_from_slice(&id.to_le_bytes());
    out.extend_from_slice(bytes);
    frame.finish(out);
}

/// What stands before `piece` bytes, sent from where they lie, of a long word of `total` bytes.
pub fn request_long_header(id: u32, total: u32, piece: usize) -> [u8; LONG_HEADER_BYTES] {
    long_header(REQUEST_LONG, id, total, piece)
}

/// What stands before `piece` bytes, sent from where they lie, of a long value of `total` bytes in a reply.
pub fn reply_long_header(id: u32, total: u32, piece: usize) -> [u8; LONG_HEADER_BYTES] {
    long_header(REPLY_LONG, id, total, piece)
}

fn long_header(kind: u8, id: u32, total: u32, piece: usize) -> [u8; LONG_HEADER_BYTES] {
    debug_assert!((1..=BUS_PIECE_BYTES_MAX).contains(&piece) && piece <= total as usize);
    let length = (LONG_HEADER_BYTES - LENGTH_BYTES + piece) as u32;
    let ([a, b, c, d], [e, f, g, h], [i, j, k, l]) = (length.to_le_bytes(), id.to_le_bytes(), total.to_le_bytes());
    [a, b, c, d, kind, e, f, g, h, i, j, k, l]
}

/// Appends the size of a reply that waits for its grant.
pub fn reply_size_frame(out: &mut Vec<u8>, id: u32, total: u64) {
    let frame = Begun::new(out, REPLY_SIZE);
    out.extend_from_slice(&id.to_le_bytes());
    out.extend_from_slice(&total.to_le_bytes());
    frame.finish(out);
}

/// Appends a grant.
pub fn grant_frame(out: &mut Vec<u8>, id: u32) {
    let frame = Begun::new(out, GRANT);
    out.extend_from_slice(&id.to_le_bytes());
    frame.finish(out);
}

/// A frame that lets a large reply go, which nobody will ask for.
pub fn decline_frame(out: &mut Vec<u8>, id: u32) {
    let frame = Begun::new(out, DECLINE);
    out.extend_from_slice(&id.to_le_bytes());
    frame.finish(out);
}

/// IPv4 addresses written as IPv6 ones are the same; a scope means something on one machine only.
fn put_address(out: &mut Vec<u8>, address: SocketAddr) {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => {
            out.push(4);
            out.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            out.push(6);
            out.extend_from_slice(&ip.octets());
        }
    }
    out.extend_from_slice(&address.port().to_le_bytes());
}

/// Appends a word to a request's words.
#[inline]
pub fn put_word(out: &mut Vec<u8>, word: &[u8]) {
    put_varint(out, (word.len() as u64) << 1);
    out.extend_from_slice(word);
}

/// Appends the mark of a word of so many bytes that travels in pieces.
pub fn put_long_word(out: &mut Vec<u8>, bytes: usize) {
    put_varint(out, (bytes as u64) << 1 | 1);
}

/// Appends a number, seven bits a byte, the lowest first; all bytes but the last have the highest bit set.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The number at the beginning of `bytes`, and how many bytes it takes; none where there is no whole one, or where it
/// does not fit.
#[inline]
pub fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    match *bytes {
        [first @ 0..0x80, ..] => Some((first.into(), 1)),
        _ => long_varint(bytes),
    }
}

fn long_varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut number = 0;
    for (index, &byte) in bytes.iter().enumerate().take(10) {
        let bits = u64::from(byte & 0x7f);
        // The tenth byte has room for one bit.
        if index == 9 && bits > 1 {
            return None;
        }
        number |= bits << (7 * index);
        if byte & 0x80 == 0 {
            return Some((number, index + 1));
        }
    }
    None
}

/// A word of a request, by where its bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadWord {
    /// From `start` to `end` of the words' bytes.
    Here {
        /// Its first byte.
        start: usize,
        /// Behind its last byte.
        end: usize,
    },
    /// The next of the long words; it has so many bytes.
    Long {
        /// How many.
        bytes: u64,
    },
}

/// The words of a request, one after the other, until they end or are seen to be none.
#[derive(Clone, Debug)]
pub struct HeadWords<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> HeadWords<'a> {
    /// Of the bytes that are left when the parts and the last frame of a request are put together.
    pub fn new(bytes: &'a [u8]) -> HeadWords<'a> {
        HeadWords { bytes, at: 0 }
    }
}

impl Iterator for HeadWords<'_> {
    type Item = Result<HeadWord, Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Result<HeadWord, Malformed>> {
        let rest = &self.bytes[self.at..];
        if rest.is_empty() {
            return None;
        }
        let word = match varint(rest) {
            Some((mark, taken)) if mark & 1 == 0 && mark >> 1 <= (rest.len() - taken) as u64 => {
                let start = self.at + taken;
                let end = start + (mark >> 1) as usize;
                self.at = end;
                Ok(HeadWord::Here { start, end })
            }
            Some((mark, taken)) if mark & 1 == 1 => {
                self.at += taken;
                Ok(HeadWord::Long { bytes: mark >> 1 })
            }
            _ => {
                self.at = self.bytes.len();
                Err(Malformed::Value { what: "a word of a request" })
            }
        };
        Some(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::STRANGER_BYTES_MAX;
    use crate::testkit::{Random, seeds};

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    fn sample_hello(name: &str) -> Hello<'_> {
        Hello {
            incarnation: 0x0123_4567_89ab_cdef,
            address: address("10.1.2.3:6837"),
            name,
            digest: [7; 32],
            has_password: false,
            has_secret: true,
            nonce: [9; 32],
        }
    }

    /// One frame of each kind as it is encoded, and what it is to be found as.
    fn samples(check: &mut dyn FnMut(&[u8], Frame<'_>)) {
        fn encoded(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
            // A frame begins anywhere in the buffer.
            let mut out = b"before".to_vec();
            encode(&mut out);
            out.split_off(6)
        }
        let hello = sample_hello("böse");
        check(&encoded(|out| hello_frame(out, &hello)), Frame::Hello(hello));
        let hello = Hello { address: address("[2001:db8::1]:1"), name: "", has_password: true, ..hello };
        check(&encoded(|out| hello_frame(out, &hello)), Frame::Hello(hello));
        check(&encoded(|out| proof_frame(out, &[3; 32])), Frame::Proof(&[3; 32]));
        check(&encoded(welcome_frame), Frame::Welcome);
        for reason in Reason::ALL {
            let refusal = Refusal { reason, addresses: &[] };
            check(&encoded(|out| refuse_frame(out, reason, std::iter::empty())), Frame::Refuse(refusal));
        }
        check(&encoded(|out| ping_frame(out, u64::MAX, 2)), Frame::Ping { token: u64::MAX, keys: 2 });
        check(&encoded(|out| pong_frame(out, 1, u64::MAX)), Frame::Pong { token: 1, keys: u64::MAX });
        for purpose in Purpose::ALL {
            let (client, flags) = (u64::MAX - 5, 0xfedc);
            let bytes = encoded(|out| {
                let frame = begin_request(out, 0x8000_0001, purpose, client, flags);
                put_word(out, b"SET");
                put_word(out, b"");
                put_long_word(out, 70_000);
                assert_eq!(frame.bytes(out), REQUEST_HEADER_BYTES + 4 + 1 + 3);
                frame.finish(out);
            });
            let words = &[6, b'S', b'E', b'T', 0, 0xe1, 0xc5, 0x08];
            check(&bytes, Frame::Request { id: 0x8000_0001, purpose, client, flags, words });
        }
        check(&encoded(|out| request_part_frame(out, 5, b"xyz")), Frame::RequestPart { id: 5, bytes: b"xyz" });
        check(&encoded(|out| reply_part_frame(out, 6, b"z")), Frame::ReplyPart { id: 6, bytes: b"z" });
        let piece = Piece { id: 7, total: 70_000, bytes: &[b'v'; 300] };
        let long = |header: [u8; LONG_HEADER_BYTES]| [&header[..], piece.bytes].concat();
        check(&long(request_long_header(7, 70_000, 300)), Frame::RequestLong(piece));
        check(&long(reply_long_header(7, 70_000, 300)), Frame::ReplyLong(piece));
        let reply = encoded(|out| {
            let frame = begin_reply(out, 8);
            out.extend_from_slice(b"typed");
            frame.finish(out);
        });
        check(&reply, Frame::Reply { id: 8, bytes: b"typed" });
        check(&encoded(|out| reply_size_frame(out, 9, 1 << 40)), Frame::ReplySize { id: 9, total: 1 << 40 });
        check(&encoded(|out| grant_frame(out, u32::MAX)), Frame::Grant { id: u32::MAX });
        check(&encoded(|out| decline_frame(out, 7)), Frame::Decline { id: 7 });
    }

    #[test]
    fn every_frame_is_found_as_it_was_written() {
        samples(&mut |bytes, frame| {
            assert_eq!(decode(bytes, FRAME_BYTES_MAX), Ok(Some((frame, bytes.len()))));
            assert_eq!(decode(bytes, bytes.len()), Ok(Some((frame, bytes.len()))));
            let more = [bytes, b"more"].concat();
            assert_eq!(decode(&more, FRAME_BYTES_MAX), Ok(Some((frame, bytes.len()))));
        });
    }

    #[test]
    fn a_frame_that_is_cut_is_waited_for() {
        samples(&mut |bytes, _| {
            for end in 0..bytes.len() {
                assert_eq!(decode(&bytes[..end], FRAME_BYTES_MAX), Ok(None), "{end} of {}", bytes.len());
            }
        });
    }

    /// A frame whose length says that it ends early, or late, is found wrong or as one that may end anywhere.
    #[test]
    fn a_wrong_length_is_noticed() {
        samples(&mut |bytes, frame| {
            let open = matches!(frame, Frame::Request { .. } | Frame::RequestPart { .. } | Frame::Reply { .. })
                || matches!(frame, Frame::ReplyPart { .. } | Frame::RequestLong(_) | Frame::ReplyLong(_));
            for length in 0..bytes.len() + 3 {
                let mut wrong = [bytes, b"abc"].concat();
                wrong[..LENGTH_BYTES].copy_from_slice(&(length as u32).to_le_bytes());
                let found = decode(&wrong, FRAME_BYTES_MAX).map(|found| found.map(|(_, bytes)| bytes));
                if length + LENGTH_BYTES == bytes.len() || (open && found.is_ok()) {
                    assert_eq!(found, Ok((length + LENGTH_BYTES <= wrong.len()).then_some(length + LENGTH_BYTES)));
                } else if length + LENGTH_BYTES <= wrong.len() {
                    assert!(found.is_err(), "{length} of {} in {frame:?}", bytes.len());
                }
            }
        });
    }

    fn malformed(kind: u8, body: &[u8]) -> String {
        let frame = [&(body.len() as u32 + 1).to_le_bytes()[..], &[kind], body].concat();
        decode(&frame, FRAME_BYTES_MAX).expect_err("no frame").to_string()
    }

    #[test]
    fn what_is_wrong_is_told() {
        assert_eq!(malformed(0, b""), "a frame of the unknown kind 0");
        assert_eq!(malformed(16, b"x"), "a frame of the unknown kind 16");
        assert_eq!(malformed(HELLO, b"memento\0........"), "no hello of a node");
        assert_eq!(malformed(HELLO, b"mem"), "a hello that is too short");
        assert_eq!(malformed(PROOF, &[0; 31]), "a proof that is too short");
        assert_eq!(malformed(PROOF, &[0; 33]), "a proof with bytes that do not belong to it");
        assert_eq!(malformed(REFUSE, &[0]), "the reason of a refusal that cannot be");
        assert_eq!(malformed(REFUSE, &[1, 5]), "an address that cannot be");
        assert_eq!(malformed(REFUSE, &[1, 4, 127, 0]), "an address that is too short");
        assert_eq!(malformed(REQUEST, &[0; 14]), "a request that is too short");
        assert_eq!(malformed(REQUEST, &[9; 15]), "the purpose of a request that cannot be");
        assert_eq!(malformed(REQUEST_PART, &[0; 4]), "a part of a message that is too short");
        assert_eq!(malformed(REPLY_LONG, &[0; 8]), "a piece of a value that is too short");
        assert_eq!(malformed(REPLY_LONG, &[0, 0, 0, 0, 1, 0, 0, 0, 5, 5]), "the length of a value that cannot be");
        assert_eq!(malformed(REQUEST_LONG, &[0, 0, 0, 0, 1, 0, 0, 0x20, 5]), "the length of a value that cannot be");
        assert_eq!(decode(&[0; 4], FRAME_BYTES_MAX), Err(Malformed::Empty));
        for (name, wrong) in [("a\nb", true), (&"n".repeat(NAME_BYTES_MAX + 1), true), ("a b", false)] {
            let mut out = Vec::new();
            hello_frame(&mut out, &sample_hello(name));
            assert_eq!(decode(&out, FRAME_BYTES_MAX).is_err(), wrong, "{name}");
        }
    }

    #[test]
    fn a_hello_of_another_version_is_told_by_its_version_alone() {
        let body = [&MAGIC[..], &[2, 1], b"whatever it says"].concat();
        let frame = [&(body.len() as u32 + 1).to_le_bytes()[..], &[HELLO], &body].concat();
        assert_eq!(decode(&frame, STRANGER_BYTES_MAX), Ok(Some((Frame::OtherVersion(0x0102), frame.len()))));
    }

    #[test]
    fn no_frame_is_longer_than_the_limit() {
        let header = |bytes: usize| ((bytes - LENGTH_BYTES) as u32).to_le_bytes();
        for limit in [STRANGER_BYTES_MAX, FRAME_BYTES_MAX] {
            assert_eq!(decode(&header(limit), limit), Ok(None));
            assert_eq!(decode(&header(limit + 1), limit), Err(Malformed::TooLong { bytes: limit as u32 - 3 }));
        }
        assert_eq!(decode(&[0xff; 4], FRAME_BYTES_MAX), Err(Malformed::TooLong { bytes: u32::MAX }));
        // Junk is not waited for.
        assert_eq!(decode(b"GET / HTTP/1.1\r\n", STRANGER_BYTES_MAX).map(|_| ()), {
            Err(Malformed::TooLong { bytes: u32::from_le_bytes(*b"GET ") })
        });
        assert_eq!(decode(&[9, 0, 0, 0, 99], STRANGER_BYTES_MAX), Err(Malformed::Kind(99)));
        assert_eq!(decode(&[9, 0, 0, 0, HELLO, b'm', b'x'], STRANGER_BYTES_MAX), Err(Malformed::NoMagic));
    }

    #[test]
    fn the_list_of_who_refuses_comes_along() {
        let list = ["127.0.0.1:6837", "[::1]:6838", "255.255.255.255:65535"].map(address);
        let mut out = Vec::new();
        refuse_frame(&mut out, Reason::List, list.into_iter());
        let Ok(Some((Frame::Refuse(refusal), _))) = decode(&out, STRANGER_BYTES_MAX) else { panic!("a refusal") };
        assert_eq!(refusal.reason, Reason::List);
        assert_eq!(refusal.addresses().collect::<Vec<_>>(), list);
        // However it was written, an address is the same.
        let mut out = Vec::new();
        refuse_frame(&mut out, Reason::List, [address("[::ffff:10.0.0.1]:5")].into_iter());
        let Ok(Some((Frame::Refuse(refusal), _))) = decode(&out, STRANGER_BYTES_MAX) else { panic!("a refusal") };
        assert_eq!(refusal.addresses().collect::<Vec<_>>(), [address("10.0.0.1:5")]);
    }

    #[test]
    fn varints() {
        for shift in 0..64 {
            for number in [(1u64 << shift) - 1, 1 << shift, u64::MAX >> shift] {
                let mut out = Vec::new();
                put_varint(&mut out, number);
                assert_eq!(varint(&out), Some((number, out.len())));
                (0..out.len()).for_each(|end| assert_eq!(varint(&out[..end]), None));
            }
        }
        assert_eq!(varint(&[0xff; 20]), None);
        let beyond = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02];
        assert_eq!(varint(&beyond), None);
    }

    #[test]
    fn words_are_found_where_they_lie() {
        let mut out = Vec::new();
        put_word(&mut out, b"SET");
        put_word(&mut out, &[b'k'; 200]);
        put_long_word(&mut out, VALUE_BYTES_MAX);
        put_word(&mut out, b"");
        let words: Vec<HeadWord> = HeadWords::new(&out).map(|word| word.expect("a word")).collect();
        let bytes = VALUE_BYTES_MAX as u64;
        let here = |start, end| HeadWord::Here { start, end };
        assert_eq!(words, [here(1, 4), here(6, 206), HeadWord::Long { bytes }, here(out.len(), out.len())]);
        // A word that says more than there is ends the reading.
        out.push(8);
        out.extend_from_slice(b"abc");
        assert_eq!(HeadWords::new(&out).filter(|word| word.is_err()).count(), 1);
        assert!(HeadWords::new(&out).last().expect("an item").is_err());
    }

    #[test]
    fn a_frame_can_be_taken_back() {
        let mut out = b"kept".to_vec();
        let frame = begin_request(&mut out, 1, Purpose::Plain, 2, 3);
        put_word(&mut out, b"word");
        frame.cancel(&mut out);
        assert_eq!(out, b"kept");
    }

    /// What `decode` promises of any bytes at all.
    fn check_any(mut bytes: &[u8], limit: usize) {
        while let Ok(Some((frame, taken))) = decode(bytes, limit) {
            assert!(taken > LENGTH_BYTES && taken <= bytes.len() && taken <= limit);
            match frame {
                Frame::Request { words, .. } => {
                    let mut end_before = 0;
                    for word in HeadWords::new(words) {
                        if let Ok(HeadWord::Here { start, end }) = word {
                            assert!(start > end_before && start <= end && end <= words.len());
                            end_before = end;
                        }
                    }
                }
                Frame::Refuse(refusal) => assert!(refusal.addresses().count() <= taken / 7),
                Frame::RequestLong(piece) | Frame::ReplyLong(piece) => {
                    assert!(piece.bytes.len() <= piece.total as usize && piece.total as usize <= VALUE_BYTES_MAX);
                }
                _ => {}
            }
            bytes = &bytes[taken..];
        }
    }

    /// Random bytes behind a good header, and good frames with some bytes changed, in a row: nothing panics.
    #[test]
    fn any_bytes_are_looked_at_without_harm() {
        for seed in seeds(20_000) {
            let mut random = Random::new(seed);
            let mut stream = Vec::new();
            samples(&mut |bytes, _| {
                let start = stream.len();
                match random.below(3) {
                    0 => {
                        let length = 1 + random.below(60);
                        stream.extend_from_slice(&(length as u32).to_le_bytes());
                        stream.push(random.below(17) as u8);
                        stream.extend((1..length).map(|_| random.next() as u8));
                    }
                    1 => stream.extend_from_slice(bytes),
                    _ => {
                        stream.extend_from_slice(bytes);
                        for _ in 0..1 + random.below(3) {
                            let at = start + LENGTH_BYTES + random.below(bytes.len() - LENGTH_BYTES);
                            stream[at] = random.next() as u8;
                        }
                    }
                }
                check_any(&stream[start..], FRAME_BYTES_MAX);
                // Cut short as well, with a length that agrees.
                let end = start + LENGTH_BYTES + 1 + random.below(stream.len() - start - LENGTH_BYTES);
                let mut cut = stream[start..end].to_vec();
                let length = (cut.len() - LENGTH_BYTES) as u32;
                cut[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
                check_any(&cut, FRAME_BYTES_MAX);
            });
            check_any(&stream, FRAME_BYTES_MAX);
            check_any(&stream[random.below(stream.len())..], STRANGER_BYTES_MAX);
        }
    }
}
