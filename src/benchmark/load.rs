//! `memento-benchmark --load`: one kind of request from many connections at once, several under way on each.
//!
//! One thread sends a batch on each connection and the next one when the last reply of a batch has come, so that the
//! times are those of whole batches. Replies are compared with the right ones. Knows nothing of who else is measured:
//! it speaks RESP too, so that it can load any server that does, and leaves the keys for the next load.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use super::{Failure, REPLY_TIMEOUT, show};
use crate::client::{CONNECT_TIMEOUT, Client, reason};
use crate::reactor::{Event, Reactor, Token};
use crate::stats::{Fixed, Histogram};
use crate::sys::epoll::Interest;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Each key once, in order, with SET.
    Fill,
    /// SET of random keys.
    Set,
    /// GET of random keys, which must be there as Fill or Set has left them.
    Get,
    /// INCRBY 1 of random counters of its own.
    Inc,
    /// APPEND to random values of its own.
    Append,
    /// EXISTS of random keys, which must be there.
    Exists,
    /// PING.
    Ping,
}

/// The kinds and their names.
pub const KINDS: &[(&str, Kind)] = &[
    ("fill", Kind::Fill),
    ("set", Kind::Set),
    ("get", Kind::Get),
    ("inc", Kind::Inc),
    ("append", Kind::Append),
    ("exists", Kind::Exists),
    ("ping", Kind::Ping),
];

/// How a load is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// What is asked for.
    pub kind: Kind,
    /// In RESP, else in lines.
    pub resp: bool,
    /// Requests under way on a connection.
    pub pipeline: usize,
    /// Connections, all served by one thread.
    pub connections: usize,
    /// Requests in all.
    pub requests: u64,
    /// How many different keys.
    pub keys: u64,
    /// What a key begins with; twelve digits follow.
    pub prefix: String,
    /// The length of a value.
    pub value_bytes: usize,
}

impl Default for Load {
    fn default() -> Load {
        Load {
            kind: Kind::Get,
            resp: true,
            pipeline: 1,
            connections: 50,
            requests: 100_000,
            keys: 100_000,
            prefix: "key:".to_string(),
            value_bytes: 32,
        }
    }
}

/// The line of an integer is shorter than this, whatever the server.
const INTEGER_LINE_BYTES_MAX: usize = 64;

/// The right reply to each request.
enum Wanted {
    /// These bytes.
    Exactly(Vec<u8>),
    /// Digits behind these bytes, and the end of a line.
    Integer(&'static [u8]),
}

impl Wanted {
    fn of(load: &Load, value: &[u8]) -> Wanted {
        let (line, integer): (&[u8], &[u8]) = if load.resp { (b"+OK\r\n", b":") } else { (b"OK\r\n", b"") };
        match load.kind {
            Kind::Fill | Kind::Set => Wanted::Exactly(line.to_vec()),
            Kind::Get if load.resp => {
                let head = format!("${}\r\n", value.len()).into_bytes();
                Wanted::Exactly([&head, value, b"\r\n"].concat())
            }
            Kind::Get => Wanted::Exactly([value, b"\r\n"].concat()),
            Kind::Append if !load.resp => Wanted::Exactly(line.to_vec()),
            Kind::Inc | Kind::Append => Wanted::Integer(integer),
            Kind::Exists => Wanted::Exactly([integer, b"1\r\n"].concat()),
            Kind::Ping => Wanted::Exactly(if load.resp { b"+PONG\r\n".to_vec() } else { b"PONG\r\n".to_vec() }),
        }
    }

    /// How long the reply is that the bytes begin with; none where more must come first.
    fn length(&self, bytes: &[u8]) -> Result<Option<usize>, Failure> {
        let wrong = || {
            let got = bytes[..bytes.len().min(128)].escape_ascii();
            Failure::Message(format!("wrong answer: got '{got}'"))
        };
        match self {
            Wanted::Exactly(wanted) => {
                let part = wanted.len().min(bytes.len());
                if bytes[..part] != wanted[..part] {
                    return Err(wrong());
                }
                Ok((part == wanted.len()).then_some(part))
            }
            Wanted::Integer(before) => {
                let line = &bytes[..bytes.len().min(INTEGER_LINE_BYTES_MAX)];
                let Some(end) = line.iter().position(|&byte| byte == b'\n') else {
                    return if line.len() < INTEGER_LINE_BYTES_MAX { Ok(None) } else { Err(wrong()) };
                };
                let digits = bytes[..end].strip_prefix(*before).and_then(|line| line.strip_suffix(b"\r"));
                match digits {
                    Some(digits) if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => Ok(Some(end + 1)),
                    _ => Err(wrong()),
                }
            }
        }
    }
}

/// A connection with its batch.
struct Connection {
    stream: TcpStream,
    out: Vec<u8>,
    sent: usize,
    received: Vec<u8>,
    outstanding: usize,
    began: Instant,
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// A load under way.
struct Run<'a> {
    load: &'a Load,
    value: Vec<u8>,
    wanted: Wanted,
    reactor: Reactor<Connection>,
    /// Where replies are received before it is known whether they are whole.
    space: Vec<u8>,
    random: u64,
    issued: u64,
    done: u64,
    times: Histogram,
    longest_ns: u64,
}

/// Loads the server and writes one line of figures.
///
/// # Errors
/// At the first reply that is wrong or late, or when a connection breaks.
pub(super) fn run(load: &Load, host: &str, port: u16, output: &mut dyn Write) -> Result<(), Failure> {
    let value: Vec<u8> = (b'a'..=b'z').cycle().take(load.value_bytes).collect();
    let wanted = Wanted::of(load, &value);
    let mut run = Run {
        load,
        value,
        wanted,
        reactor: Reactor::new(256)?,
        space: vec![0; 256 * 1024],
        random: 0x2545_F491_4F6C_DD1D,
        issued: 0,
        done: 0,
        times: Histogram::default(),
        longest_ns: 0,
    };
    let mut tokens = Vec::new();
    for _ in 0..load.connections {
        let stream = Client::connect(host, port, CONNECT_TIMEOUT)?.into_stream();
        stream.set_nonblocking(true)?;
        let (out, received) = (Vec::new(), Vec::new());
        let connection = Connection { stream, out, sent: 0, received, outstanding: 0, began: Instant::now() };
        tokens.push(run.reactor.insert(connection, Interest::READ)?);
    }
    let start = Instant::now();
    for token in tokens {
        run.begin_batch(token)?;
    }
    run.finish(start)?;
    let seconds = start.elapsed().as_secs_f64().max(1e-9);
    let [p50, p99, p999] = [50.0, 99.0, 99.9].map(|percent| (run.times.percentile(percent) + 500) / 1000);
    let name = KINDS.iter().find(|(_, kind)| *kind == load.kind).map_or("", |(name, _)| name).to_ascii_uppercase();
    let line = format!(
        " [{name}] - Elapsed time: {} s  Op/s: {}  p50: {p50} us  p99: {p99} us  \
         p99.9: {p999} us  max: {} us\n",
        Fixed::<6>::near(seconds),
        Fixed::<2>::near(run.done as f64 / seconds),
        (run.longest_ns + 500) / 1000
    );
    show(output, &line)
}

impl Run<'_> {
    /// Serves the connections until every reply has come.
    fn finish(&mut self, start: Instant) -> Result<(), Failure> {
        let now_ms = || start.elapsed().as_millis() as u64;
        let mut progress_ms = now_ms();
        while self.done < self.load.requests {
            let waiting_ms = now_ms();
            self.reactor.wait(waiting_ms, Some(progress_ms + REPLY_TIMEOUT.as_millis() as u64))?;
            let before = self.done;
            while let Some(event) = self.reactor.next_event() {
                self.serve(event)?;
            }
            if self.done > before {
                progress_ms = now_ms();
            } else if now_ms() - progress_ms >= REPLY_TIMEOUT.as_millis() as u64 {
                let (done, requests) = (self.done, self.load.requests);
                let seconds = REPLY_TIMEOUT.as_secs();
                return Err(Failure::Message(format!("no answer for {seconds}s: {done} of {requests} came")));
            }
        }
        Ok(())
    }

    fn serve(&mut self, event: Event) -> Result<(), Failure> {
        if event.writable {
            self.send(event.token)?;
        }
        let Some(connection) = self.reactor.get_mut(event.token) else { return Ok(()) };
        let count = match connection.stream.read(&mut self.space) {
            Ok(0) => return Err(Failure::Message("the server closed a connection".to_string())),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(Failure::Message(reason(&error))),
        };
        // What is left of the read before is the beginning of this one; mostly there is nothing.
        let is_fresh = connection.received.is_empty();
        if !is_fresh {
            connection.received.extend_from_slice(&self.space[..count]);
        }
        let bytes = if is_fresh { &self.space[..count] } else { &connection.received[..] };
        let mut at = 0;
        while connection.outstanding > 0
            && at < bytes.len()
            && let Some(length) = self.wanted.length(&bytes[at..])?
        {
            at += length;
            connection.outstanding -= 1;
            self.done += 1;
        }
        if is_fresh {
            connection.received.extend_from_slice(&self.space[at..count]);
        } else {
            connection.received.drain(..at);
        }
        if connection.outstanding > 0 {
            return Ok(());
        }
        if !connection.received.is_empty() {
            return Err(Failure::Message("more answers than requests".to_string()));
        }
        let took_ns = connection.began.elapsed().as_nanos() as u64;
        self.times.record(took_ns);
        self.longest_ns = self.longest_ns.max(took_ns);
        self.begin_batch(event.token)
    }

    fn begin_batch(&mut self, token: Token) -> Result<(), Failure> {
        let Some(connection) = self.reactor.get_mut(token) else { return Ok(()) };
        let count = (self.load.requests - self.issued).min(self.load.pipeline as u64);
        if count == 0 {
            return Ok(());
        }
        connection.out.clear();
        connection.sent = 0;
        for number in self.issued..self.issued + count {
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            let key = if self.load.kind == Kind::Fill { number } else { self.random } % self.load.keys;
            push_request(&mut connection.out, self.load, key, &self.value);
        }
        connection.outstanding = count as usize;
        self.issued += count;
        connection.began = Instant::now();
        self.send(token)
    }

    fn send(&mut self, token: Token) -> Result<(), Failure> {
        let Some(connection) = self.reactor.get_mut(token) else { return Ok(()) };
        while connection.sent < connection.out.len() {
            match connection.stream.write(&connection.out[connection.sent..]) {
                Ok(count) => connection.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(self.reactor.set_interest(token, Interest { write: true, ..Interest::READ })?);
                }
                Err(error) => return Err(Failure::Message(reason(&error))),
            }
        }
        Ok(self.reactor.set_interest(token, Interest::READ)?)
    }
}

/// Adds one request for the key of this number.
fn push_request(out: &mut Vec<u8>, load: &Load, number: u64, value: &[u8]) {
    let key = |family: &str| format!("{}{family}{number:012}", load.prefix);
    let (name, key, last): (&str, String, Option<&[u8]>) = match load.kind {
        Kind::Fill | Kind::Set => ("SET", key(""), Some(value)),
        Kind::Get => ("GET", key(""), None),
        Kind::Exists => ("EXISTS", key(""), None),
        Kind::Inc => ("INCRBY", key("n:"), Some(b"1")),
        Kind::Append => ("APPEND", key("a:"), Some(value)),
        Kind::Ping => ("PING", String::new(), None),
    };
    let words = [Some(name.as_bytes()), Some(key.as_bytes()).filter(|key| !key.is_empty()), last];
    let words = words.into_iter().flatten();
    let written = if load.resp {
        write!(out, "*{}\r\n", words.clone().count()).and_then(|()| {
            words.into_iter().try_for_each(|word| {
                write!(out, "${}\r\n", word.len())?;
                out.extend_from_slice(word);
                out.write_all(b"\r\n")
            })
        })
    } else {
        for (place, word) in words.enumerate() {
            out.extend_from_slice(if place == 0 { b"" } else { b" " });
            out.extend_from_slice(word);
        }
        out.write_all(b"\r\n")
    };
    written.expect("a Vec takes every write");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: Kind, resp: bool) -> String {
        let load = Load { kind, resp, ..Load::default() };
        let mut out = Vec::new();
        push_request(&mut out, &load, 7, b"v");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn requests_are_whole() {
        assert_eq!(request(Kind::Get, false), "GET key:000000000007\r\n");
        assert_eq!(request(Kind::Append, false), "APPEND key:a:000000000007 v\r\n");
        assert_eq!(request(Kind::Ping, true), "*1\r\n$4\r\nPING\r\n");
        assert_eq!(request(Kind::Fill, true), "*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000007\r\n$1\r\nv\r\n");
    }

    #[test]
    fn replies_are_told_at_every_cut_and_wrong_ones_refused() {
        for (kind, resp, reply) in [
            (Kind::Set, true, "+OK\r\n"),
            (Kind::Get, true, "$2\r\nab\r\n"),
            (Kind::Get, false, "ab\r\n"),
            (Kind::Inc, true, ":12\r\n"),
            (Kind::Inc, false, "12\r\n"),
            (Kind::Append, false, "OK\r\n"),
            (Kind::Exists, true, ":1\r\n"),
            (Kind::Ping, false, "PONG\r\n"),
        ] {
            let wanted = Wanted::of(&Load { kind, resp, ..Load::default() }, b"ab");
            for cut in 0..reply.len() {
                assert_eq!(wanted.length(&reply.as_bytes()[..cut]), Ok(None), "{kind:?}");
            }
            assert_eq!(wanted.length(format!("{reply}more").as_bytes()), Ok(Some(reply.len())), "{kind:?}");
            let endless = "1".repeat(INTEGER_LINE_BYTES_MAX);
            for wrong in [&endless[..], "-ERR no\r\n", "$-1\r\n", "(null)\r\n", ":\r\n", "\r\n"] {
                assert!(wanted.length(wrong.as_bytes()).is_err(), "{kind:?}: {wrong}");
            }
        }
    }
}
