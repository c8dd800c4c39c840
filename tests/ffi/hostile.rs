//! Servers that break the conversation.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What a server does with each connection, whenever something was received on it.
#[derive(Clone, Copy, Debug)]
pub enum What {
    /// It closes it.
    DiesBefore,
    /// It closes it in the middle of an answer.
    DiesWithin,
    /// It speaks another protocol.
    Garbage,
    /// It answers with arrays within arrays.
    Nested,
    /// It sends a byte now and then of an answer that is long.
    Slow,
    /// It sends nothing.
    Silent,
    /// It answers once, and then no more.
    Once,
    /// It answers once, and closes the connection.
    OnceAndDies,
    /// It answers with what nobody asked for.
    OtherTypes,
    /// It knows no such command.
    Refuses,
    /// It sends messages that nobody asked for, as fast as it can.
    Floods,
    /// It says that it has no room, and closes with most of the request unread, which resets the connection.
    Full,
    /// It answers with a row of a million numbers.
    Row,
    /// It confirms a subscription to `ch`, sends this behind it, and perhaps closes the connection.
    Confirms(&'static [u8], bool),
    /// It sends what looks like answers, by a seed.
    Anything(u64),
}

/// Starts such a server, which ends with the tests; gives its port.
pub fn start(what: What) -> u16 {
    serve(move |stream, number| match what {
        What::DiesBefore => answer(stream, |_| None),
        What::DiesWithin => answer(stream, |_| Some((b"$10\r\nabc".to_vec(), true))),
        What::Garbage => answer(stream, |_| Some((b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), false))),
        What::Nested => answer(stream, |_| Some((b"*1\r\n".repeat(100), false))),
        What::Slow => answer(stream, |stream| {
            stream.write_all(b"$100000\r\n").ok()?;
            while stream.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(10));
            }
            None
        }),
        What::Once => {
            let mut reply = b"+OK\r\n".to_vec();
            answer(stream, move |_| Some((std::mem::take(&mut reply), false)))
        }
        What::OnceAndDies => answer(stream, |_| Some((b"+OK\r\n".to_vec(), true))),
        What::OtherTypes => answer(stream, |_| Some((b"*1\r\n$-1\r\n".to_vec(), false))),
        What::Refuses => answer(stream, |_| Some((b"-ERR unknown command 'subscribe'\r\n".to_vec(), false))),
        What::Silent => answer(stream, |_| Some((Vec::new(), false))),
        What::Floods => answer(stream, |stream| {
            let messages = b">3\r\n$7\r\nmessage\r\n$1\r\nx\r\n$1\r\ny\r\n".repeat(1000);
            while stream.write_all(&messages).is_ok() {}
            None
        }),
        What::Full => full(stream),
        What::Row => {
            answer(stream, |_| Some(([b"*1000000\r\n".as_slice(), &b":1\r\n".repeat(1_000_000)].concat(), false)))
        }
        What::Confirms(more, is_last) => {
            let confirmed = b"*3\r\n$9\r\nsubscribe\r\n$2\r\nch\r\n:1\r\n";
            answer(stream, move |_| Some(([confirmed, more].concat(), is_last)))
        }
        What::Anything(seed) => {
            let mut state = seed.wrapping_mul(1000).wrapping_add(number);
            answer(stream, move |_| Some(anything(&mut state)))
        }
    })
}

/// Answers whatever is received with bytes, after which the connection may be closed; `None` closes it at once.
fn answer(mut stream: TcpStream, mut bytes: impl FnMut(&mut TcpStream) -> Option<(Vec<u8>, bool)>) {
    let mut buffer = vec![0; 1 << 20];
    while stream.read(&mut buffer).is_ok_and(|count| count > 0) {
        let Some((bytes, is_last)) = bytes(&mut stream) else { break };
        if stream.write_all(&bytes).is_err() || is_last {
            break;
        }
    }
    // What was received and not read would make the close a reset.
    let _ = stream.shutdown(std::net::Shutdown::Write);
    while stream.read(&mut buffer).is_ok_and(|count| count > 0) {}
}

/// The words of a server that takes no more clients.
pub const FULL: &str = "ERR max number of clients reached";

fn full(mut stream: TcpStream) {
    // Not a byte more than this is read, however much is sent.
    if stream.read(&mut [0; 10]).is_ok_and(|count| count > 0) {
        // In one piece: the reset takes with it what waits for an acknowledgement.
        let _ = stream.write_all(format!("-{FULL}\r\n").as_bytes());
    }
}

/// A few values, mostly whole, and whether the connection ends behind them.
fn anything(state: &mut u64) -> (Vec<u8>, bool) {
    let mut below = |bound: usize| {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) as usize % bound
    };
    let pieces: [&[u8]; 18] = [
        b"+OK\r\n",
        b":5\r\n",
        b"$3\r\na\0b\r\n",
        b"$-1\r\n",
        b"*0\r\n",
        b"-ERR no\r\n",
        b"*2\r\n:1\r\n$1\r\nx\r\n",
        b"%1\r\n+k\r\n",
        b"*3\r\n$9\r\nsubscribe\r\n$2\r\nch\r\n:1\r\n",
        b"*3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$2\r\nhi\r\n",
        b">2\r\n+a\r\n",
        b",1.5\r\n",
        b"*3\r\n$11\r\nunsubscribe\r\n$2\r\nch\r\n:0\r\n",
        b"*2\r\n*2\r\n:1\r\n*0\r\n:2\r\n",
        b"$100000\r\nx",
        b"*1000000\r\n",
        b"\0\xff",
        b"\r\n",
    ];
    let mut bytes = Vec::new();
    for _ in 0..1 + below(3) {
        // Those that break the rest come less often.
        let piece = below(100);
        bytes.extend_from_slice(pieces[if piece < 92 { piece % 14 } else { piece % 18 }]);
    }
    (bytes, below(10) == 0)
}

/// A server that wants a password and closes connections as ffi/tests/reconnect.c says; gives its port.
pub fn once_more() -> u16 {
    let was_last = std::sync::Arc::new(AtomicBool::new(false));
    serve(move |mut stream, _| {
        let mut words = Words(BufReader::new(stream.try_clone().expect("a second handle")));
        let (mut is_in, mut gets) = (false, 0);
        while let Some(request) = words.next_request() {
            let (reply, is_end): (&[u8], bool) = match &request.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["AUTH", "pw"] => (b"+OK\r\n", false),
                ["AUTH", "last"] if !was_last.swap(true, Ordering::Relaxed) => (b"+OK\r\n", true),
                ["AUTH", _] => (b"-WRONGPASS no such password\r\n", false),
                _ if !is_in => (b"-NOAUTH Authentication required.\r\n", false),
                ["GET", "bye"] => (b"$1\r\nv\r\n", true),
                ["GET", _] if gets == 0 => (b"$1\r\nv\r\n", false),
                _ => (b"$5\r\nab", true),
            };
            is_in |= request[0] == "AUTH" && reply[0] == b'+';
            gets += usize::from(request[0] == "GET");
            // A byte at a time: what comes slowly is as good as what comes at once.
            for byte in reply {
                if stream.write_all(&[*byte]).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            if is_end {
                return;
            }
        }
    })
}

/// Requests as arrays of words.
struct Words(BufReader<TcpStream>);

impl Words {
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.0.read_line(&mut line).ok().filter(|&count| count > 0)?;
        Some(line.trim_end().to_string())
    }

    fn next_request(&mut self) -> Option<Vec<String>> {
        let count: usize = self.line()?.strip_prefix('*')?.parse().ok()?;
        (0..count)
            .map(|_| {
                self.line()?;
                self.line()
            })
            .collect()
    }
}

/// Serves each connection in a thread of its own, with its number; gives the port.
fn serve(conversation: impl Fn(TcpStream, u64) + Clone + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let conversation = conversation.clone();
            let Ok(stream) = stream else { return };
            std::thread::spawn(move || conversation(stream, number as u64));
        }
    });
    port
}
