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

mod encode;
mod words;

pub use encode::*;
pub use words::*;

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
    pub digest: &'a [u8; 32],
    /// Whether its clients need a password.
    pub has_password: bool,
    /// Whether it wants a proof.
    pub has_secret: bool,
    /// Random for each hello.
    pub nonce: &'a [u8; 32],
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
#[inline(never)]
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
    let (digest, nonce) = (body.array(what)?, body.array(what)?);
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

#[cfg(test)]
mod tests;
