//! Connections beyond a limit: told so, and listened to until they end, or the answer would not arrive.

use super::client::DISCARDED_BYTES;
use super::{Server, Source};
use crate::limits::{LINGER_MS, REFUSED_MAX};
use crate::reactor::Token;
use crate::sys::epoll::Interest;
use crate::sys::socket::Socket;
use std::io;

impl Server {
    /// Tells a connection that it is one too many, and why.
    pub(super) fn refuse(&mut self, socket: Socket, why: &str) {
        // What it may have sent already tells the protocol. Who waits for a greeting is most likely a library.
        let mut buffer = [0; DISCARDED_BYTES];
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
        match socket.discard(&mut [0; DISCARDED_BYTES]) {
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
