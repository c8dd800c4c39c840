//! A blocking client of RESP over TCP or a Unix socket, where each wait has a deadline.
//!
//! It sends what it is given, and finds the replies; it knows neither commands (but HELLO) nor what an answer means. The
//! socket itself never blocks: whoever waits for something else as well polls [`RespClient::as_fd`] and calls
//! [`RespClient::try_receive`]. After an error the conversation has lost its place: drop the client and connect again.

#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use super::reply::{Kind, Parser, Reply, Unparsed, View};
use super::{READ_BYTES, Target, closed, lost, reason, room, too_long};
use crate::limits::ANSWER_BYTES_MAX;
pub(crate) use crate::proto::Digits;
use crate::stats::Fixed;
use crate::sys::{clock::monotonic_ns, dial, resolve, sentence, socket::Socket};

/// Where a listener's queue is full, it is tried again so often.
const QUEUE_RETRY: Duration = Duration::from_millis(5);

/// When waiting ends. Two numbers, in nanoseconds, so that it is handed on in registers.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    /// By the clock that does not jump.
    at: u64,
    /// How long it was until then; [`u64::MAX`]: there is no end.
    time: u64,
}

impl Deadline {
    /// Never.
    pub const NEVER: Deadline = Deadline { at: 0, time: u64::MAX };

    /// So long after now.
    #[inline(never)]
    pub fn after(time: Duration) -> Deadline {
        // What the clock cannot hold is never.
        let time = time.as_secs().saturating_mul(SECOND).saturating_add(time.subsec_nanos().into());
        match monotonic_ns().checked_add(time) {
            Some(at) => Deadline { at, time },
            None => Deadline::NEVER,
        }
    }

    /// How long it is until then; `None` where there is no end.
    ///
    /// # Errors
    /// `TimedOut` when it is over.
    #[inline(never)]
    pub fn left(self) -> io::Result<Option<Duration>> {
        if self.time == u64::MAX {
            return Ok(None);
        }
        let left = self.at.saturating_sub(monotonic_ns());
        if left > 0 {
            return Ok(Some(Duration::from_nanos(left)));
        }
        let mut time = Fixed::<3>(self.time / 1_000_000).to_string();
        while time.ends_with('0') {
            time.pop();
        }
        let time = time.strip_suffix('.').unwrap_or(&time);
        Err(sentence(io::ErrorKind::TimedOut, format_args!("no answer within {time} s")))
    }

    /// The first of so many equal parts of the time until then.
    fn share(self, parts: usize) -> Deadline {
        match self.left() {
            Ok(Some(left)) if parts > 1 => Deadline::after(left / parts as u32),
            _ => self,
        }
    }
}

const SECOND: u64 = 1_000_000_000;

/// Writes a command behind what is in `out`: an array of its words.
pub fn write_command<'a>(out: &mut Vec<u8>, words: impl ExactSizeIterator<Item = &'a [u8]>) {
    write_header(out, words.len());
    words.for_each(|word| write_word(out, word));
}

/// Begins a command of so many words, which [`write_word`] is to write.
pub fn write_header(out: &mut Vec<u8>, words: usize) {
    write_length(out, b'*', words);
}

/// Writes the line of a length, behind the byte that tells of what.
#[inline(never)]
pub(crate) fn write_length(out: &mut Vec<u8>, kind: u8, length: usize) {
    out.extend_from_slice(Digits::of(length as i64).line(kind));
}

/// Writes one word of a command.
#[inline(never)]
pub fn write_word(out: &mut Vec<u8>, word: &[u8]) {
    write_length(out, b'$', word.len());
    out.extend_from_slice(word);
    out.extend_from_slice(b"\r\n");
}

/// One connection to a server.
pub struct RespClient {
    socket: Socket,
    address: String,
    input: Input,
    output: Vec<u8>,
    /// Pushes that were kept, and before them those that are given next, the first one last.
    pushes: Vec<Reply>,
    next_pushes: Vec<Reply>,
}

impl RespClient {
    /// Connects to `host`, a numeric address (`::1` and `[::1]` alike) or a name, trying its addresses in turn, each for
    /// its part of the time.
    ///
    /// # Errors
    /// A sentence that names host and port. The kind is `NotFound` when the name has no address, else that of the last
    /// address tried; `TimedOut` at the deadline.
    pub fn connect(host: &str, port: u16, deadline: Deadline) -> io::Result<RespClient> {
        let (socket, address) = dial_host(host, port, &|_| deadline)?;
        Ok(RespClient::new(socket, address))
    }

    /// Connects to the Unix socket at `path`.
    ///
    /// # Errors
    /// As [`RespClient::connect`], with the path in the place of host and port.
    pub fn connect_unix(path: &Path, deadline: Deadline) -> io::Result<RespClient> {
        let (socket, address) = dial_unix(path, deadline)?;
        Ok(RespClient::new(socket, address))
    }

    /// Connects to `target`, trying a name's addresses in turn and waiting at most `time` for each.
    ///
    /// # Errors
    /// As [`RespClient::connect`] and [`RespClient::connect_unix`].
    pub fn reach(target: &Target, time: Duration) -> io::Result<RespClient> {
        let (socket, address) = match target.port {
            Some(port) => dial_host(&target.name, port, &|count| Deadline::after(time * count as u32))?,
            None => dial_unix(Path::new(&target.name), Deadline::after(time))?,
        };
        Ok(RespClient::new(socket, address))
    }

    #[inline(never)]
    fn new(socket: Socket, address: String) -> RespClient {
        RespClient {
            socket,
            address,
            input: Input::new(),
            output: Vec::new(),
            pushes: Vec::new(),
            next_pushes: Vec::new(),
        }
    }

    /// `host:port` as asked for, with brackets around an IPv6 address; or the path.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The bare connection, which never blocks, for who copies bytes instead of framing them.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// The same for who has no other use of this, with [`RespClient::address`].
    ///
    /// # Panics
    /// When bytes of the server are already received, since they would be lost.
    pub fn into_socket(self) -> (Socket, String) {
        assert!(!self.has_buffered(), "replies were received and not taken");
        (self.socket, self.address)
    }

    /// Sends a command and waits for its reply. Pushes that come before it are kept for [`RespClient::take_push`].
    ///
    /// # Errors
    /// As [`RespClient::send`] and [`RespClient::receive`].
    pub fn call(&mut self, words: &[&[u8]], deadline: Deadline) -> io::Result<View<'_>> {
        let mut output = std::mem::take(&mut self.output);
        output.clear();
        write_command(&mut output, words.iter().copied());
        let sent = self.send(&output, deadline);
        // A long value's memory is not kept.
        if output.capacity() <= READ_BYTES {
            self.output = output;
        }
        sent?;
        loop {
            self.wait_for_reply(deadline)?;
            if self.input.view().kind() != Kind::Push {
                return Ok(self.input.view());
            }
            self.pushes.push(self.input.view().to_reply());
        }
    }

    /// HELLO with the protocol's version, 2 or 3, and with a password where there is one; gives its reply.
    ///
    /// # Errors
    /// As [`RespClient::call`]. That the server refuses is no error, but a reply of this kind.
    pub fn hello(&mut self, version: u8, password: Option<&[u8]>, deadline: Deadline) -> io::Result<View<'_>> {
        let digits = Digits::of(i64::from(version));
        let mut words: Vec<&[u8]> = vec![b"HELLO", digits.bytes()];
        if let Some(password) = password {
            words.extend([b"AUTH".as_slice(), b"default", password]);
        }
        self.call(&words, deadline)
    }

    /// Says the password, where there is one, and no HELLO: lines are answered in text behind it. Gives why it is refused,
    /// in the server's words; a server that wants none does not mind it.
    ///
    /// # Errors
    /// As [`RespClient::call`].
    #[inline(never)]
    pub fn authenticate(&mut self, password: Option<&[u8]>, deadline: Deadline) -> io::Result<Option<&[u8]>> {
        let Some(password) = password else { return Ok(None) };
        // An array, since a line has no words with blanks.
        let reply = self.call(&[b"AUTH", password], deadline)?;
        let is_wanted = !reply.bytes().starts_with(b"ERR AUTH <password> called without any");
        Ok((reply.kind() == Kind::Error && is_wanted).then(|| reply.bytes()))
    }

    /// A push that came before the reply to a call.
    pub fn take_push(&mut self) -> Option<Reply> {
        if self.next_pushes.is_empty() {
            std::mem::swap(&mut self.pushes, &mut self.next_pushes);
            self.next_pushes.reverse();
        }
        self.next_pushes.pop()
    }

    /// Sends bytes as they are: commands, or lines. Meanwhile it receives, since a server may take no more before its
    /// replies are taken: with them, at most [`ANSWER_BYTES_MAX`] are kept.
    ///
    /// A server that closes the connection before it took all may have said why: where what it said begins with an error
    /// (behind pushes), this succeeds, and the error is what is received next.
    ///
    /// # Errors
    /// `TimedOut`, `UnexpectedEof` when the server has closed the connection, `OutOfMemory`, else what `send(2)` says:
    /// each a sentence that names the server.
    pub fn send(&mut self, bytes: &[u8], deadline: Deadline) -> io::Result<()> {
        match self.send_all(bytes, deadline) {
            Err(error) if is_end(&error) && self.was_refused() => Ok(()),
            outcome => outcome,
        }
    }

    fn send_all(&mut self, bytes: &[u8], deadline: Deadline) -> io::Result<()> {
        let mut rest = bytes;
        while !self.try_send(&mut rest)? {
            if self.wait(true, deadline)?.receive {
                self.fill()?;
            }
        }
        Ok(())
    }

    /// Whether a server that has ended the connection left an error as its last words, which are then kept.
    fn was_refused(&mut self) -> bool {
        self.drain();
        while self.parse().unwrap_or(false) {
            match self.input.view().kind() {
                Kind::Push => self.pushes.push(self.input.view().to_reply()),
                Kind::Error => {
                    self.input.is_kept = true;
                    return true;
                }
                _ => break,
            }
        }
        false
    }

    /// Receives what came before the connection ended.
    fn drain(&mut self) {
        while self.fill().unwrap_or(false) {}
    }

    /// Sends commands that were written by [`write_command`], and hands over the replies to so many as they come, while
    /// more are sent. Pushes among them are kept for [`RespClient::take_push`].
    ///
    /// # Errors
    /// As [`RespClient::send`] and [`RespClient::receive`]; what was handed over before holds.
    pub fn exchange(
        &mut self,
        commands: &[u8],
        count: usize,
        deadline: Deadline,
        handle: &mut dyn FnMut(View<'_>),
    ) -> io::Result<()> {
        let mut pushes = std::mem::take(&mut self.pushes);
        let outcome = self.exchange_while(commands, count, deadline, &mut |view| {
            if view.kind() == Kind::Push {
                pushes.push(view.to_reply());
            } else {
                handle(view);
            }
            true
        });
        self.pushes = pushes;
        outcome
    }

    /// As [`RespClient::exchange`], with pushes handed over too, until `handle` says that it wants no more: then the
    /// conversation has lost its place.
    ///
    /// # Errors
    /// As [`RespClient::exchange`].
    pub fn exchange_while(
        &mut self,
        commands: &[u8],
        count: usize,
        deadline: Deadline,
        handle: &mut dyn FnMut(View<'_>) -> bool,
    ) -> io::Result<()> {
        let (mut rest, mut left) = (commands, count);
        let mut is_refused = false;
        while left > 0 {
            let sent = self.try_send(&mut rest);
            if sent.is_err() {
                // What was answered before counts, above all why the connection was closed.
                self.drain();
            }
            while left > 0 && self.parse()? {
                let view = self.input.view();
                left -= usize::from(view.kind() != Kind::Push);
                is_refused = view.kind() == Kind::Error;
                if !handle(view) {
                    return Ok(());
                }
            }
            let all_sent = sent?;
            if left > 0 && self.wait(!all_sent, deadline)?.receive {
                self.fill()?;
            }
        }
        if !rest.is_empty() && is_refused {
            let why = format_args!("{} answered with an error before all was asked", self.address);
            return Err(sentence(io::ErrorKind::UnexpectedEof, why));
        }
        if !rest.is_empty() {
            let why = format_args!("what {} sent is no answer: it came before all was asked", self.address);
            return Err(sentence(io::ErrorKind::InvalidData, why));
        }
        Ok(())
    }

    /// Waits for the next reply or push, and lends it until the next call.
    ///
    /// # Errors
    /// `UnexpectedEof` when the server closed the connection, `TimedOut`, `InvalidData` for what is no reply,
    /// `OutOfMemory` for one of more than [`ANSWER_BYTES_MAX`] or than there is memory for, else what `recv(2)` says:
    /// each a sentence that names the server.
    pub fn receive(&mut self, deadline: Deadline) -> io::Result<View<'_>> {
        self.wait_for_reply(deadline)?;
        Ok(self.input.view())
    }

    /// The next reply or push, where it has come whole; never waits.
    ///
    /// # Errors
    /// As [`RespClient::receive`], without `TimedOut`.
    pub fn try_receive(&mut self) -> io::Result<Option<View<'_>>> {
        loop {
            if self.parse()? {
                return Ok(Some(self.input.view()));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// The next reply or push among what was received already; makes no system call.
    ///
    /// # Errors
    /// `InvalidData` for what is no reply, `OutOfMemory` for one of more values than there is memory for.
    pub fn buffered(&mut self) -> io::Result<Option<View<'_>>> {
        Ok(if self.parse()? { Some(self.input.view()) } else { None })
    }

    /// Waits for at most so long (`None`: for ever) and receives what is there; false when nothing came.
    ///
    /// # Errors
    /// As [`RespClient::receive`], without `TimedOut`.
    pub fn receive_more(&mut self, time: Option<Duration>) -> io::Result<bool> {
        let ready = dial::wait(self.socket.as_fd(), false, time).map_err(|error| self.lost(&error))?;
        Ok(ready.receive && self.fill()?)
    }

    /// The reply or push that was found last, as long as nothing was received since.
    pub fn last(&self) -> Option<View<'_>> {
        (self.input.taken > 0).then(|| self.input.view())
    }

    /// Gives back what the reply that was found last takes: it is lent no more.
    pub fn forget(&mut self) {
        self.input.forget();
    }

    /// Whether bytes were received that no reply was made of: `poll(2)` does not tell of them.
    pub fn has_buffered(&self) -> bool {
        self.input.is_kept || !self.input.is_empty()
    }

    fn wait_for_reply(&mut self, deadline: Deadline) -> io::Result<()> {
        while !self.parse()? {
            if self.wait(false, deadline)?.receive {
                self.fill()?;
            }
        }
        Ok(())
    }

    fn wait(&self, to_send: bool, deadline: Deadline) -> io::Result<dial::Ready> {
        let left =
            deadline.left().map_err(|error| sentence(error.kind(), format_args!("{} gave {error}", self.address)))?;
        dial::wait(self.socket.as_fd(), to_send, left).map_err(|error| self.lost(&error))
    }

    /// Sends what the socket takes, and says whether that was all.
    fn try_send(&mut self, rest: &mut &[u8]) -> io::Result<bool> {
        while !rest.is_empty() {
            match self.socket.send(rest) {
                Ok(count) => *rest = &rest[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(self.lost(&error)),
            }
        }
        Ok(true)
    }

    /// Receives what is there; false when nothing is.
    fn fill(&mut self) -> io::Result<bool> {
        let space = self.input.space().map_err(|bytes| too_long(&self.address, bytes))?;
        match self.socket.receive(space) {
            Ok(0) => Err(closed(&self.address, !self.input.is_empty())),
            Ok(count) => {
                self.input.end += count;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(self.lost(&error)),
        }
    }

    fn parse(&mut self) -> io::Result<bool> {
        self.input.next().map_err(|error| match error {
            Unparsed::Nonsense(what) => {
                let why = format_args!("what {} sent is no answer: {what}", self.address);
                sentence(io::ErrorKind::InvalidData, why)
            }
            Unparsed::Memory => {
                let why = format_args!("the answer of {} has more values than there is memory for", self.address);
                sentence(io::ErrorKind::OutOfMemory, why)
            }
        })
    }

    fn lost(&self, error: &io::Error) -> io::Error {
        lost(&self.address, error)
    }
}

impl AsFd for RespClient {
    /// The connection, to be waited for beside others: when it is readable, [`RespClient::try_receive`] has something to
    /// do. Look at [`RespClient::has_buffered`] first.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Whether an error says that the connection has ended.
fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

/// Connects to `host`, a numeric address or a name, trying its addresses in turn, each for its part of the time that
/// there is for so many. Gives `host:port` as well.
fn dial_host(host: &str, port: u16, deadline: &dyn Fn(usize) -> Deadline) -> io::Result<(Socket, String)> {
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let address = address(host, port);
    let found = resolve::addresses(host, port).map_err(|error| cannot_connect(&address, &error))?;
    let deadline = deadline(found.len());
    // There is an address at least, so that what is said is another error.
    let mut last = io::ErrorKind::NotFound.into();
    for (place, &peer) in found.iter().enumerate() {
        // An address that is silent leaves time for those behind it.
        let deadline = deadline.share(found.len() - place);
        match dial::tcp(peer).and_then(|socket| connected(socket, deadline)) {
            Ok(socket) => return Ok((socket, address)),
            Err(error) => last = error,
        }
    }
    Err(cannot_connect(&address, &last))
}

/// Connects to the Unix socket at `path`, and gives the path as text.
fn dial_unix(path: &Path, deadline: Deadline) -> io::Result<(Socket, String)> {
    let address = path.to_string_lossy().into_owned();
    loop {
        match dial::unix(path) {
            Ok(socket) => return Ok((socket, address)),
            // The kernel has no way to wait for a place in the queue of a listener.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let left = deadline.left().map_err(|error| cannot_connect(&address, &error))?;
                std::thread::sleep(left.map_or(QUEUE_RETRY, |left| left.min(QUEUE_RETRY)));
            }
            Err(error) => return Err(cannot_connect(&address, &error)),
        }
    }
}

/// `host:port`, with brackets around an IPv6 address.
#[inline(never)]
pub fn address(host: &str, port: u16) -> String {
    let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
    format!("{open}{host}{close}:{port}")
}

fn cannot_connect(address: &str, error: &io::Error) -> io::Error {
    sentence(error.kind(), format_args!("cannot connect to {address}: {}", reason(error)))
}

/// Waits until a connect that was begun is decided.
fn connected(socket: Socket, deadline: Deadline) -> io::Result<Socket> {
    while !dial::wait(socket.as_fd(), true, deadline.left()?)?.send {}
    socket.connect_outcome()?;
    Ok(socket)
}

/// What was received: `start..end` belongs to no reply that was taken; `taken` bytes before it are the last one, which is
/// lent until more is received.
///
/// Invariant: `taken <= start <= end <= bytes.len()`.
struct Input {
    bytes: Vec<u8>,
    taken: usize,
    start: usize,
    end: usize,
    parser: Parser,
    /// The reply that was taken last is the next one once more.
    is_kept: bool,
    /// It grows to no more than this.
    bytes_max: usize,
}

impl Input {
    fn new() -> Input {
        Input {
            bytes: vec![0; READ_BYTES],
            taken: 0,
            start: 0,
            end: 0,
            parser: Parser::new(),
            is_kept: false,
            bytes_max: ANSWER_BYTES_MAX,
        }
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Takes the next reply; false when it is not whole.
    fn next(&mut self) -> Result<bool, Unparsed> {
        if std::mem::take(&mut self.is_kept) {
            return Ok(true);
        }
        // The parser has begun with the next one: none is lent any more.
        self.taken = 0;
        let Some(length) = self.parser.parse(&self.bytes[self.start..self.end])? else { return Ok(false) };
        self.taken = length;
        self.start += length;
        Ok(true)
    }

    /// The reply that was taken last is lent no more: a big one's memory is given back, unless more was received with it.
    fn forget(&mut self) {
        if self.is_kept {
            return;
        }
        self.taken = 0;
        self.parser.forget();
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
            self.bytes.truncate(READ_BYTES);
            self.bytes.shrink_to_fit();
        }
    }

    /// The reply that was taken last.
    fn view(&self) -> View<'_> {
        self.parser.view(&self.bytes[self.start - self.taken..self.start])
    }

    /// Room for at least one more byte, as [`room`] makes it.
    fn space(&mut self) -> Result<&mut [u8], usize> {
        self.taken = 0;
        room(&mut self.bytes, std::mem::take(&mut self.start), &mut self.end, self.bytes_max)
    }
}
