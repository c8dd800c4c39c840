//! `memento-benchmark`: how many requests a second a server answers when each client waits for its answer.
//!
//! One request is under way on a connection at any time, so the figures tell of latency: of the network, the kernels
//! and the server together. Every answer is compared with the right one. The keys are deleted again when the time is
//! taken, whether or not they were there before, also after a failure if the connection still allows it.
//!
//! With options for a load it sends that instead ([`load`]).

mod curves;
mod decimal;
mod engine;
mod histogram;
mod keys;
mod load;
mod options;
mod random;
mod replies;
mod report;
mod schedule;
mod template;
mod text;
mod threads;

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use options::Parsed;
use text::Text;
use threads::{Job, together};

use crate::client::resp::{Deadline, RespClient};
use crate::client::{CONNECT_TIMEOUT, Target, closed, lost, reason, too_long};
use crate::sys::clock::monotonic_ns;
use crate::sys::socket::Socket;
use crate::sys::{dial, stdio};

/// A server that says nothing for so long is not measured but reported.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// The padding of the last growing key; with the name and number before it a key stays under 300 bytes, far below the
/// limit of a line, and small boxes can hold all of them.
const GROWTH_BYTES_MAX: u64 = 240;

/// Keys deleted by one line: with the longest ones it has under 32 KiB.
const DELETE_KEYS_MAX: u64 = 100;

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The requests of each part that one connection makes alone.
    pub operations: u64,
    /// The connections of the last part, each in a thread of its own.
    pub threads: u64,
    /// The requests of each type that each thread makes.
    pub thread_operations: u64,
}

impl Plan {
    /// What the tool does.
    pub const DEFAULT: Plan = Plan { operations: 100_000, threads: 10, thread_operations: 8_000 };
}

/// Runs the tool with the words after the program's name; gives back the exit status.
pub fn main(args: Vec<String>) -> i32 {
    let mut output = stdio::OUTPUT;
    let result = match options::parse(&args) {
        Ok(Parsed::Print(text)) => show(&mut output, text),
        Ok(Parsed::Measure { target, password }) => run(Plan::DEFAULT, &target, password.as_deref(), &mut output),
        Ok(Parsed::Load(settings)) => load::run(&settings, &mut output),
        Err(what) => {
            complain(&(what + "\nTry 'memento-benchmark --help'."));
            return 2;
        }
    };
    match result {
        Ok(()) | Err(Failure::OutputClosed) => 0,
        Err(Failure::Message(what)) => {
            complain(&what);
            1
        }
    }
}

/// Why a run ended early.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// A sentence: the server cannot be reached, a connection broke, an answer is wrong or late.
    Message(String),
    /// Nobody reads the figures any more: no reason to complain.
    OutputClosed,
}

/// The client's errors are whole sentences.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Message(error.to_string())
    }
}

fn complain(text: &str) {
    stdio::complain("memento-benchmark", text);
}

/// A connection whose password was right, where there is one.
#[inline(never)]
fn connect(target: &Target, password: Option<&[u8]>) -> Result<RespClient, Failure> {
    let mut client = RespClient::reach(target, CONNECT_TIMEOUT)?;
    if let Some(why) = client.authenticate(password, Deadline::after(CONNECT_TIMEOUT))? {
        let mut text = Text::default();
        text.add(&target.text()).add(": ").escaped(why);
        return Err(Failure::Message(text.0));
    }
    Ok(client)
}

/// Measures the server and writes what is going on and each part's figures to `output`, as they come.
///
/// # Errors
/// At the first thing that fails.
#[inline(never)]
pub fn run(plan: Plan, target: &Target, password: Option<&[u8]>, output: &mut dyn Write) -> Result<(), Failure> {
    let Plan { operations, threads, thread_operations } = plan;
    let mut alone = Worker::new(target, password, "")?;
    let parts = format!(
        " Nr. operations {operations}\n \
         1) SET keyone valueone\n \
         2) GET keyone\n \
         3) SET with growing keys\n \
         4) All previous operations in {threads} threads, each one performing {thread_operations} requests per type\n"
    );
    show(output, &parts)?;
    let measured = measure_alone(&mut alone, operations, output);
    measured.and(alone.delete(operations))?;

    let mut workers = Vec::new();
    for number in 0..threads {
        // Connected before the time starts; and each thread has keys of its own, so that each knows the right answers.
        workers.push(Worker::new(target, password, &format!(":{number}"))?);
    }
    let measured = perform_together(&mut workers, thread_operations).and_then(|elapsed_ns| {
        let label = format!("SET, GET, SET growing keys in {threads} threads");
        show(output, &figures(&label, threads * thread_operations * 3, elapsed_ns))
    });
    let deleted = workers.iter_mut().map(|worker| worker.delete(thread_operations));
    // Every worker deletes, even if one before it could not.
    measured.and(deleted.fold(Ok(()), Result::and))
}

fn measure_alone(worker: &mut Worker, operations: u64, output: &mut dyn Write) -> Result<(), Failure> {
    for (label, kind) in [("SET", Kind::Set), ("GET", Kind::Get), ("SET growing keys", Kind::SetGrowing)] {
        let start = monotonic_ns();
        worker.perform(kind, operations, &AtomicBool::new(false))?;
        show(output, &figures(label, operations, monotonic_ns() - start))?;
    }
    Ok(())
}

fn show(output: &mut dyn Write, text: &str) -> Result<(), Failure> {
    output.write_all(text.as_bytes()).and_then(|()| output.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::OutputClosed,
        _ => Failure::Message(format!("cannot write to standard output: {}", reason(&error))),
    })
}

fn figures(label: &str, operations: u64, elapsed_ns: u64) -> String {
    let mut text = Text::default();
    push_rate(text.add(" [").add(label).add("]"), operations, elapsed_ns);
    text.0 + "\n"
}

/// How long so many operations took.
fn push_rate(out: &mut Text, operations: u64, elapsed_ns: u64) {
    out.add(" - Elapsed time: ").seconds(elapsed_ns);
    out.add(" s  Op/s: ").fixed(rate(operations, elapsed_ns), 2);
}

/// Operations a second.
fn rate(operations: u64, elapsed_ns: u64) -> f64 {
    // What is nothing takes no time at all on a coarse clock.
    operations as f64 * 1e9 / elapsed_ns.max(1) as f64
}

/// Lets every worker do all three types of request in a thread of its own; gives back the nanoseconds from the first one's
/// start to the last one's end. Each thread reads the clock itself, because on a busy box the starter may run late.
#[inline(never)]
fn perform_together(workers: &mut [Worker], operations: u64) -> Result<u64, Failure> {
    let mut all = Vec::new();
    for worker in workers {
        all.push(All { worker, operations, start_ns: 0, end_ns: 0 });
    }
    together(&mut all.iter_mut().map(|each| -> &mut dyn Job { each }), &mut || ())?;
    let (mut first, mut last) = (u64::MAX, 0);
    for each in &all {
        (first, last) = (first.min(each.start_ns), last.max(each.end_ns));
    }
    Ok(last.saturating_sub(first))
}

/// All types of request by one worker, and from when to when they took.
struct All<'a> {
    worker: &'a mut Worker,
    operations: u64,
    start_ns: u64,
    end_ns: u64,
}

impl Job for All<'_> {
    fn work(&mut self, failed: &AtomicBool) -> Result<(), Failure> {
        self.start_ns = monotonic_ns();
        for kind in [Kind::Set, Kind::Get, Kind::SetGrowing] {
            self.worker.perform(kind, self.operations, failed)?;
        }
        self.end_ns = monotonic_ns();
        Ok(())
    }
}

/// The types of request.
#[derive(Clone, Copy)]
enum Kind {
    Set,
    Get,
    SetGrowing,
}

/// Far more than any right answer has.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// One connection and the keys it uses.
struct Worker {
    /// Waits for what it is to receive.
    socket: Socket,
    address: String,
    key: String,
    /// What a growing key begins with.
    growing: String,
    line: Vec<u8>,
    answer: Vec<u8>,
}

impl Worker {
    /// Its keys have `part` among them.
    #[inline(never)]
    fn new(target: &Target, password: Option<&[u8]>, part: &str) -> Result<Worker, Failure> {
        let (socket, address) = connect(target, password)?.into_socket();
        dial::block(socket.as_fd(), REPLY_TIMEOUT)?;
        let (key, growing) = (["keyone", part].concat(), ["key", part, ":"].concat());
        Ok(Worker { socket, address, key, growing, line: Vec::new(), answer: vec![0; ANSWER_BYTES_MAX] })
    }

    /// Sends the line and waits for its answer; gives both without their ends.
    #[inline(never)]
    fn ask(&mut self) -> Result<(&[u8], &[u8]), Failure> {
        let (address, mut sent, mut length) = (&self.address, 0, 0);
        let end = self.line.len();
        self.line.extend_from_slice(b"\r\n");
        while sent < self.line.len() {
            sent += self.socket.send(&self.line[sent..]).map_err(|error| lost(address, &error))?;
        }
        // Nothing was asked that another answer could be to: the end of what has come is that of the answer.
        while !self.answer[..length].ends_with(b"\r\n") {
            if length == ANSWER_BYTES_MAX {
                return Err(too_long(address, length).into());
            }
            match self.socket.receive(&mut self.answer[length..]) {
                Ok(0) => return Err(closed(address, length > 0).into()),
                Ok(count) => length += count,
                // How a socket tells that its time is over.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let seconds = REPLY_TIMEOUT.as_secs();
                    return Err(Failure::Message(format!("{address} did not answer within {seconds} s")));
                }
                Err(error) => return Err(lost(address, &error).into()),
            }
        }
        let answer = &self.answer[..length];
        Ok((&self.line[..end], answer.strip_suffix(b"\r\n").unwrap_or(answer)))
    }

    /// Makes `operations` requests, each after the answer to the one before. Stops early when another worker failed.
    fn perform(&mut self, kind: Kind, operations: u64, failed: &AtomicBool) -> Result<(), Failure> {
        for index in 0..operations {
            if failed.load(Ordering::Relaxed) {
                break;
            }
            self.request(kind, index, operations)?;
        }
        Ok(())
    }

    fn request(&mut self, kind: Kind, index: u64, operations: u64) -> Result<(), Failure> {
        self.line.clear();
        let wanted: &[u8] = match kind {
            Kind::Set => {
                self.line.extend_from_slice(b"SET ");
                self.line.extend_from_slice(self.key.as_bytes());
                self.line.extend_from_slice(b" valueone");
                b"OK"
            }
            Kind::Get => {
                self.line.extend_from_slice(b"GET ");
                self.line.extend_from_slice(self.key.as_bytes());
                b"valueone"
            }
            Kind::SetGrowing => {
                self.line.extend_from_slice(b"SET ");
                push_growing_key(&mut self.line, &self.growing, index, operations);
                self.line.extend_from_slice(b" valueone");
                b"OK"
            }
        };
        let (line, got) = self.ask()?;
        if got == wanted { Ok(()) } else { Err(Failure::Message(wrong(line, wanted, got))) }
    }

    /// Deletes the keys that so many operations of each type made, many at once: nobody waits for this to be measured.
    fn delete(&mut self, operations: u64) -> Result<(), Failure> {
        let mut index = 0;
        self.line.clear();
        self.line.extend_from_slice(b"DEL ");
        self.line.extend_from_slice(self.key.as_bytes());
        loop {
            let end = operations.min(index + DELETE_KEYS_MAX);
            for index in index..end {
                self.line.push(b' ');
                push_growing_key(&mut self.line, &self.growing, index, operations);
            }
            let (line, got) = self.ask()?;
            // A server that evicts keys may have none of them any more.
            if got != b"OK" && got != b"(null)" {
                return Err(Failure::Message(wrong(line, b"OK", got)));
            }
            index = end;
            if index == operations {
                return Ok(());
            }
            self.line.clear();
            self.line.extend_from_slice(b"DEL");
        }
    }
}

/// Adds the growing key of this index: the prefix, the index, a colon, then padding that grows evenly from nothing to
/// `GROWTH_BYTES_MAX` over all operations. The index makes it unique, and no key is shorter than the one before.
fn push_growing_key(line: &mut Vec<u8>, prefix: &str, index: u64, operations: u64) {
    write!(line, "{prefix}{index}:").expect("a Vec takes every write");
    let padding = index * GROWTH_BYTES_MAX / operations;
    line.resize(line.len() + padding as usize, b'x');
}

fn wrong(line: &[u8], wanted: &[u8], got: &[u8]) -> String {
    let mut text = Text::default();
    text.add("wrong answer: request '").escaped(line).add("', wanted '").escaped(wanted);
    text.add("', got '").escaped(got).add("'");
    text.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::thread;

    /// Asks a server of one connection twice.
    fn asked_twice(serve: impl FnOnce(TcpStream) + Send + 'static) -> [Result<String, String>; 2] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let server = thread::spawn(move || serve(listener.accept().expect("a client").0));
        let target = Target { name: "127.0.0.1".to_string(), port: Some(port) };
        let mut worker = Worker::new(&target, None, "").expect("a connection");
        dial::block(worker.socket.as_fd(), Duration::from_secs(1)).expect("a socket takes the option");
        let outcomes = [b"x", b"y"].map(|line| {
            worker.line.clear();
            worker.line.extend_from_slice(line);
            match worker.ask() {
                Ok((asked, answer)) => {
                    assert_eq!(asked, line);
                    Ok(String::from_utf8_lossy(answer).into_owned())
                }
                Err(Failure::Message(what)) => Err(what.replace(&target.text(), "SERVER")),
                Err(Failure::OutputClosed) => panic!("nothing is written"),
            }
        });
        drop(worker);
        server.join().expect("no panic");
        outcomes
    }

    fn read_line(stream: &mut TcpStream) {
        let mut byte = [0];
        while stream.read_exact(&mut byte).is_ok() && byte != *b"\n" {}
    }

    #[test]
    fn an_answer_is_waited_for_until_it_is_whole() {
        let outcomes = asked_twice(|mut stream| {
            read_line(&mut stream);
            for piece in ["one\n\nt", "wo", "\r", "\n"] {
                stream.write_all(piece.as_bytes()).expect("to send");
                thread::sleep(Duration::from_millis(20));
            }
            read_line(&mut stream);
            stream.write_all(b"half\r").expect("to send");
        });
        let ended = "SERVER closed the connection in the middle of an answer".to_string();
        assert_eq!(outcomes, [Ok("one\n\ntwo".to_string()), Err(ended)]);
    }

    #[test]
    fn a_server_that_does_not_answer_is_an_error() {
        let outcomes = asked_twice(|mut stream| {
            stream.write_all(b"OK\r\n").expect("to send");
            let _ = stream.read_to_end(&mut Vec::new());
        });
        assert_eq!(outcomes, [Ok("OK".to_string()), Err("SERVER did not answer within 10 s".to_string())]);
    }

    #[test]
    fn an_answer_without_an_end_is_an_error() {
        let [first, _] = asked_twice(|mut stream| while stream.write_all(&[b'x'; 4096]).is_ok() {});
        let error = "the answer of SERVER is not over after 16384 bytes, and more cannot be held";
        assert_eq!(first, Err(error.to_string()));
    }

    #[test]
    fn growing_keys_are_unique_and_grow() {
        for operations in [1, 7, 8_000, 100_000] {
            let mut seen = std::collections::HashSet::new();
            let mut length = 0;
            for index in 0..operations {
                let mut key = Vec::new();
                push_growing_key(&mut key, "key:9:", index, operations);
                assert!(key.len() >= length && key.len() < 300, "{index} of {operations}: {} bytes", key.len());
                length = key.len();
                assert!(seen.insert(key), "{index} of {operations} is not unique");
            }
        }
    }

    #[test]
    fn keys_of_different_threads_differ() {
        let mut seen = std::collections::HashSet::new();
        for prefix in ["key:", "key:0:", "key:1:", "key:10:"] {
            for index in 0..500 {
                let mut key = Vec::new();
                push_growing_key(&mut key, prefix, index, 500);
                assert!(seen.insert(key), "{prefix} {index}");
            }
        }
    }

    #[test]
    fn figures_are_lines_of_the_ordered_form() {
        let text = figures("SET", 100_000, 871_047_000);
        assert_eq!(text, " [SET] - Elapsed time: 0.871047 s  Op/s: 114804.37\n");
        assert!(figures("GET", 0, 0).ends_with("Op/s: 0.00\n"));
    }

    #[test]
    fn a_wrong_answer_is_shown_short_and_printable() {
        let text = wrong(b"GET k", b"OK", &[0x1b; 200]);
        assert!(text.starts_with(r"wrong answer: request 'GET k', wanted 'OK', got '\x1b\x1b"), "{text}");
        assert!(text.ends_with("\\x1b...'") && text.len() < 700, "{text}");
    }
}
