//! Appending frames to a buffer.

use super::*;

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
    out.extend_from_slice(hello.digest);
    out.extend_from_slice(hello.nonce);
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
