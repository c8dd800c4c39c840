//! Connections beyond a limit: told so, and listened to until they end, or the answer would not arrive.

use super::{Server, Source};
use crate::limits::{LINGER_MS, RECEIVE_BYTES, REFUSED_MAX};
use crate::pairs::Pairs;
use crate::reactor::Token;
use crate::sys::epoll::Interest;
use crate::sys::socket::Socket;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::IpAddr;

impl Server {
    /// Tells a connection that it is one too many, and why.
    pub(super) fn refuse(&mut self, socket: Socket, why: &str) {
        // What it may have sent already tells the protocol. Who waits for a greeting is most likely a library.
        let mut buffer = [0; RECEIVE_BYTES];
        let spoken = socket.receive(&mut buffer).unwrap_or(0);
        let is_text = buffer[..spoken].first().is_some_and(|&byte| byte != b'*');
        let mark = if is_text { "(error) " } else { "-ERR " };
        // A peer that has gone already needs no answer.
        let _ = socket.send(format!("{mark}{why}\r\n").as_bytes());
        socket.end_sending();
        // What comes after a close is answered with a reset, which takes the answer away where it is not read yet. Of
        // a flood, a few are spared that.
        if self.refused < REFUSED_MAX
            && let Ok(token) = self.reactor.insert(Source::Refused(socket), Interest::READ)
        {
            self.refused += 1;
            self.reactor.set_deadline(token, Some(self.engine.state.now.ms + LINGER_MS));
        }
    }

    /// Throws away what a refused connection still sends; closes it when it has ended.
    pub(super) fn serve_refused(&mut self, token: Token) -> usize {
        let Some(Source::Refused(socket)) = self.reactor.get_mut(token) else { return 0 };
        match socket.discard() {
            Ok(count) if count > 0 => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            _ => {
                self.forget_refused(token);
                0
            }
        }
    }

    pub(super) fn forget_refused(&mut self, token: Token) {
        if self.reactor.remove(token).is_some() {
            self.refused -= 1;
        }
    }
}

/// How many clients each address has that has any.
#[derive(Default)]
pub(super) struct Addresses {
    /// Makes of an address a number that no other one has, as far as anybody can bring about.
    hasher: RandomState,
    /// That number, with how many there are.
    counts: Pairs,
}

impl Addresses {
    /// Counts one more; false where there are so many already.
    pub(super) fn add(&mut self, address: IpAddr, most: usize) -> bool {
        let (number, count) = self.find(address);
        if count >= most as u64 {
            return false;
        }
        self.counts.remove((number, count));
        self.counts.insert((number, count + 1))
    }

    /// Counts one less.
    pub(super) fn remove(&mut self, address: IpAddr) {
        let (number, count) = self.find(address);
        if self.counts.remove((number, count)) && count > 1 {
            self.counts.insert((number, count - 1));
        }
    }

    fn find(&self, address: IpAddr) -> (u64, u64) {
        let octets = match address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        let number = self.hasher.hash_one(&octets[..]);
        self.counts.since((number, 0)).filter(|(found, _)| *found == number).unwrap_or((number, 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_is_counted_by_itself() {
        let mut addresses = Addresses::default();
        let [a, b, c]: [IpAddr; 3] = ["10.0.0.1", "10.0.0.2", "::1"].map(|text| text.parse().expect("an address"));
        for _ in 0..3 {
            assert!(addresses.add(a, 2) && addresses.add(a, 2) && !addresses.add(a, 2));
            assert!(addresses.add(b, 1) && !addresses.add(b, 1) && addresses.add(c, 1) && !addresses.add(c, 1));
            addresses.remove(a);
            assert!(addresses.add(a, 2) && !addresses.add(a, 2));
            for address in [a, a, b, c] {
                addresses.remove(address);
            }
            assert!(addresses.counts.first().is_none());
            // One too many is none.
            addresses.remove(a);
            assert!(addresses.counts.first().is_none());
        }
    }
}
