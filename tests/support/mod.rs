//! Starts the finished program and talks to it as a client would, for the tests beside it.
//!
//! Nothing here knows the library. Nothing waits for a time to pass: each wait is for a condition, with a deadline
//! after which the test fails and shows what the server said.

// Every test program compiles this module for itself and uses a part of it.
#![allow(dead_code)]

pub mod cluster;
pub mod reference;
pub mod source;

use std::fs;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, Once, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{setsockopt, sockopt};
use nix::unistd::Pid;

/// No answer, no start and no end takes longer, however busy the machine is.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// The program under test: the one cargo built, or that of `MEMENTO_BIN`.
pub fn program() -> PathBuf {
    match std::env::var_os("MEMENTO_BIN") {
        Some(path) => fs::canonicalize(&path).unwrap_or_else(|error| panic!("MEMENTO_BIN {path:?}: {error}")),
        None => PathBuf::from(env!("CARGO_BIN_EXE_memento")),
    }
}

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Is this the continuous integration, where nothing may be skipped?
pub fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

/// Says that something is left out; in the continuous integration that is a failure.
pub fn skip(why: &str) {
    assert!(!in_ci(), "{why}, and nothing may be skipped with CI=true");
    eprintln!("skipped: {why}");
}

/// Is the program on the path? Where it is not, the test is to return at once.
pub fn need(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    if !found {
        skip(&format!("{program} is not installed"));
    }
    found
}

/// Tests that measure time or memory take the machine for themselves; all others share it.
static MACHINE: RwLock<()> = RwLock::new(());

/// Held by a test that measures: no other test of the same program runs meanwhile.
pub fn alone() -> RwLockWriteGuard<'static, ()> {
    MACHINE.write().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Held by a test that does not measure.
pub fn together() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Waits until the condition holds, and says whether it did before the deadline.
pub fn holds_within(deadline: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if condition() {
            return true;
        }
        if start.elapsed() > deadline {
            return false;
        }
        // Only so as not to take the processor from the server: the condition decides, not this pause.
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until the condition holds; fails, naming what was waited for, when it does not.
#[track_caller]
pub fn wait_for(what: &str, condition: impl FnMut() -> bool) {
    assert!(holds_within(DEADLINE, condition), "not within {DEADLINE:?}: {what}");
}

/// Milliseconds since the Unix epoch, by the wall clock.
pub fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock after 1970");
    u64::try_from(since.as_millis()).expect("a clock before the year 584556019")
}

/// Bytes as a person reads them: escapes for what is not printable, long ones cut in the middle.
pub fn show(bytes: &[u8]) -> String {
    const SHOWN: usize = 400;
    if bytes.len() > 2 * SHOWN {
        let (head, tail) = (&bytes[..SHOWN], &bytes[bytes.len() - SHOWN..]);
        return format!("{} ...({} bytes)... {}", head.escape_ascii(), bytes.len(), tail.escape_ascii());
    }
    bytes.escape_ascii().to_string()
}

/// Lifts this process's own limit of descriptors as far as it may, once; servers started later inherit it.
/// Returns how many there may be.
pub fn raise_descriptors() -> u64 {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit of descriptors");
        setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("to raise the limit of descriptors");
    });
    getrlimit(Resource::RLIMIT_NOFILE).expect("the limit of descriptors").0
}

/// A folder of this test's own, removed with all that is in it.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes the folder.
    pub fn new() -> Scratch {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        // The path stays short, since a Unix socket's may have 107 bytes only.
        let path = std::env::temp_dir().join(format!("memento-test-{}-{number}", std::process::id()));
        fs::create_dir(&path).expect("a folder for the test");
        Scratch(path)
    }

    /// The path of a name in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// How a server is to be started.
pub struct Start {
    prefix: Vec<String>,
    arguments: Vec<String>,
    descriptors: Option<u64>,
    listeners: usize,
}

impl Start {
    /// With these options, on a port that the system chooses where they name none.
    pub fn new(arguments: &[&str]) -> Start {
        let arguments = arguments.iter().map(|text| text.to_string()).collect();
        Start { prefix: Vec::new(), arguments, descriptors: None, listeners: 1 }
    }

    /// By way of another program with its options, which becomes the server: the process id must stay that of the child.
    pub fn within(mut self, prefix: &[&str]) -> Start {
        self.prefix = prefix.iter().map(|text| text.to_string()).collect();
        self
    }

    /// Under a limit of descriptors.
    pub fn descriptors(mut self, limit: u64) -> Start {
        self.descriptors = Some(limit);
        self
    }

    /// Waits for so many listening lines instead of one.
    pub fn listeners(mut self, count: usize) -> Start {
        self.listeners = count;
        self
    }

    /// The command, for tests that run it in another way; standard streams are as the caller sets them.
    pub fn command(&self) -> Command {
        let mut command = match self.descriptors {
            // A shell sets the limit and becomes the server, so that the process id stays that of the child.
            Some(limit) => {
                let mut shell = Command::new("sh");
                shell.arg("-c").arg(format!("ulimit -n {limit} && exec \"$0\" \"$@\"")).arg(program());
                shell
            }
            None => match self.prefix.split_first() {
                Some((first, rest)) => {
                    let mut command = Command::new(first);
                    command.args(rest).arg(program());
                    command
                }
                None => Command::new(program()),
            },
        };
        // The file of a cluster tells the port.
        if !self.arguments.iter().any(|argument| argument == "-p" || argument == "-f") {
            command.args(["-p", "0"]);
        }
        command.args(&self.arguments).stdin(Stdio::null());
        command
    }

    /// Starts it and waits until it listens.
    pub fn start(&self) -> Server {
        raise_descriptors();
        let mut child = self.command().stdout(Stdio::piped()).spawn().expect("to start the program");
        let stdout = child.stdout.take().expect("a pipe");
        let log = Arc::new(Log::default());
        let (reading, orders) = channel();
        let drained = Arc::clone(&log);
        std::thread::spawn(move || drained.drain(stdout, &orders));
        let mut server = Server { child, log, reading, addresses: Vec::new() };
        server.wait_for_listeners(self.listeners);
        server
    }
}

/// What the server wrote on standard output so far.
#[derive(Default)]
struct Log {
    text: Mutex<(String, bool)>,
    changed: Condvar,
}

/// What the thread that reads the server's standard output is told.
enum Reading {
    /// Read no more, but keep the pipe open.
    Stop,
    /// Close the pipe.
    Close,
}

impl Log {
    /// Reads until the end of the stream, or until it is told to stop.
    fn drain(&self, stdout: ChildStdout, orders: &Receiver<Reading>) {
        let mut lines = BufReader::new(stdout);
        let mut line = Vec::new();
        loop {
            line.clear();
            let count = lines.read_until(b'\n', &mut line).unwrap_or(0);
            let mut text = self.text.lock().expect("the log");
            text.0.push_str(&String::from_utf8_lossy(&line));
            text.1 = count == 0;
            self.changed.notify_all();
            drop(text);
            if count == 0 {
                return;
            }
            match orders.try_recv() {
                Ok(Reading::Stop) => {
                    // The pipe stays open until the server's owner goes away.
                    let _ = orders.recv();
                    return;
                }
                Ok(Reading::Close) => return,
                Err(_) => {}
            }
        }
    }
}

/// A running server; it is killed, by its own process id, when this is dropped.
pub struct Server {
    child: Child,
    log: Arc<Log>,
    reading: Sender<Reading>,
    /// What follows `listening on ` in each such line, in their order.
    pub addresses: Vec<String>,
}

impl Server {
    /// A server on 127.0.0.1 with these options.
    pub fn start(arguments: &[&str]) -> Server {
        Start::new(arguments).start()
    }

    fn wait_for_listeners(&mut self, count: usize) {
        let started = Instant::now();
        let mut text = self.log.text.lock().expect("the log");
        loop {
            // A line still being written has no line feed yet.
            let whole = text.0.rfind('\n').map_or("", |end| &text.0[..end]);
            let addresses: Vec<_> = whole.lines().filter_map(|line| line.split_once("listening on ")).collect();
            if addresses.len() >= count {
                self.addresses = addresses.iter().map(|(_, address)| address.trim().to_string()).collect();
                return;
            }
            assert!(!text.1, "the server ended before it listened; it wrote: {}", text.0);
            assert!(started.elapsed() < DEADLINE, "no line 'listening on'; it wrote: {}", text.0);
            text = self.log.changed.wait_timeout(text, Duration::from_millis(100)).expect("the log").0;
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote on standard output so far.
    pub fn log(&self) -> String {
        self.log.text.lock().expect("the log").0.clone()
    }

    /// Waits until what it wrote contains the text.
    #[track_caller]
    pub fn wait_for_log(&self, text: &str) {
        assert!(holds_within(DEADLINE, || self.log().contains(text)), "no {text:?} in the log: {}", self.log());
    }

    /// Reads no more of its standard output (after the line that is next), so that the pipe fills.
    pub fn stop_reading(&self) {
        self.reading.send(Reading::Stop).expect("the reading thread");
    }

    /// Closes its standard output (after the line that is next).
    pub fn close_output(&self) {
        self.reading.send(Reading::Close).expect("the reading thread");
    }

    /// The first TCP address it listens on.
    pub fn address(&self) -> SocketAddr {
        let found = self.addresses.iter().find_map(|text| text.parse().ok());
        found.unwrap_or_else(|| panic!("no TCP address in {:?}", self.addresses))
    }

    /// The port of that address.
    pub fn port(&self) -> u16 {
        self.address().port()
    }

    /// A client of it.
    #[track_caller]
    pub fn connect(&self) -> Client {
        match TcpStream::connect(self.address()) {
            Ok(stream) => Client::new(stream),
            Err(error) => panic!("cannot connect to {}: {error}; log: {}", self.address(), self.log()),
        }
    }

    /// A client sends the bytes and ends its sending side; all that comes back until the server closes.
    #[track_caller]
    pub fn exchange(&self, bytes: &[u8]) -> Vec<u8> {
        let mut client = self.connect();
        client.send(bytes);
        client.half_close();
        client.rest()
    }

    /// Processor time it used so far, in milliseconds.
    pub fn cpu_ms(&self) -> f64 {
        // The scheduler's own account counts nanoseconds; that in `stat` counts hundredths of a second.
        if let Ok(text) = fs::read_to_string(format!("/proc/{}/schedstat", self.id())) {
            let field = text.split_whitespace().next().expect("a field");
            return field.parse::<f64>().expect("a number") / 1e6;
        }
        let text = fs::read_to_string(format!("/proc/{}/stat", self.id())).expect("the process's stat");
        let (_, fields) = text.rsplit_once(')').expect("the name's end");
        let fields: Vec<_> = fields.split_whitespace().collect();
        fields[11..13].iter().map(|text| text.parse::<f64>().expect("a number") * 10.0).sum()
    }

    /// Resident memory of its own (not that of files mapped), in kilobytes.
    pub fn resident_kb(&self) -> i64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.id())).expect("the process's status");
        let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a kernel that tells RssAnon");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// The most memory that it ever had, in kilobytes.
    pub fn peak_kb(&self) -> i64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.id())).expect("the process's status");
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a kernel that tells VmHWM");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// How many descriptors it holds.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.id())).expect("the process's descriptors").count()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.id()).expect("a process id");
        kill(Pid::from_raw(id), signal).expect("to send a signal to our own child");
    }

    /// Stops it with SIGSTOP, and waits until it stands still: what is sent to it meanwhile comes together.
    pub fn stop(&self) {
        self.signal(Signal::SIGSTOP);
        wait_for("the server to stand still", || {
            let text = fs::read_to_string(format!("/proc/{}/stat", self.id())).expect("the process's stat");
            let (_, fields) = text.rsplit_once(") ").expect("the name's end");
            fields.starts_with('T')
        });
    }

    /// Waits until it ends by itself.
    #[track_caller]
    pub fn wait_exit(&mut self) -> ExitStatus {
        let mut status = None;
        let ended = holds_within(DEADLINE, || {
            status = self.child.try_wait().expect("our own child");
            status.is_some()
        });
        assert!(ended, "the server does not end; log: {}", self.log());
        status.expect("a status")
    }

    /// Has it not ended yet?
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("our own child").is_none()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that a failed test has stopped would stay, and with it the pipe that the tests' output goes through.
        if std::thread::panicking() {
            let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.id())).unwrap_or_default();
            for child in children.split_ascii_whitespace().filter_map(|id| id.parse().ok()) {
                let _ = kill(Pid::from_raw(child), Signal::SIGKILL);
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the call gives that is not interrupted. On a socket with a deadline one may be though no signal has a handler,
/// when the process was stopped and goes on (signal(7)): with the whole machine, where it is a virtual one.
pub fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// What one read gives.
pub fn receive(stream: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    uninterrupted(|| stream.read(buffer))
}

/// A client over TCP. Every wait ends at the deadline with a failed test.
pub struct Client {
    /// The socket, for what the methods do not offer.
    pub stream: TcpStream,
    received: Vec<u8>,
}

impl Client {
    /// Over this connection.
    pub fn new(stream: TcpStream) -> Client {
        // Without this the kernel would gather the pieces that a test sends one by one.
        stream.set_nodelay(true).expect("TCP_NODELAY");
        stream.set_read_timeout(Some(DEADLINE)).expect("a deadline");
        stream.set_write_timeout(Some(DEADLINE)).expect("a deadline");
        Client { stream, received: Vec::new() }
    }

    /// A client on the same connection, for a second thread. Bytes already received stay with the first.
    pub fn share(&self) -> Client {
        Client { stream: self.stream.try_clone().expect("a second handle"), received: Vec::new() }
    }

    /// Sends all of it.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("to send");
    }

    /// Sends it unless the server has closed, which is no failure here.
    pub fn send_if_open(&mut self, bytes: &[u8]) -> bool {
        match self.stream.write_all(bytes) {
            Ok(()) => true,
            Err(error) if is_closed(error.kind()) => false,
            Err(error) => panic!("to send: {error}"),
        }
    }

    /// Ends the sending side.
    pub fn half_close(&mut self) {
        // The server may have closed first.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Receives more; false at the end of the stream.
    #[track_caller]
    fn receive(&mut self) -> bool {
        let mut piece = [0; 64 * 1024];
        match receive(&mut self.stream, &mut piece) {
            Ok(0) => false,
            Ok(count) => {
                self.received.extend_from_slice(&piece[..count]);
                true
            }
            // A server that closes with input unread resets the connection, after what it sent has arrived.
            Err(error) if is_closed(error.kind()) => false,
            Err(error) => panic!("waiting for more than {:?}: {error}", show(&self.received)),
        }
    }

    /// The next bytes, exactly so many.
    #[track_caller]
    pub fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.received.len() < count {
            assert!(self.receive(), "closed after {:?}, wanted {count} bytes", show(&self.received));
        }
        self.received.drain(..count).collect()
    }

    /// The bytes up to CRLF, without it.
    #[track_caller]
    pub fn line(&mut self) -> String {
        self.until(b"\r\n")
    }

    /// The bytes up to the mark, without it.
    #[track_caller]
    pub fn until(&mut self, mark: &[u8]) -> String {
        let mut looked = 0;
        loop {
            let found = self.received[looked..].windows(mark.len()).position(|window| window == mark);
            if let Some(position) = found {
                let line: Vec<u8> = self.received.drain(..looked + position + mark.len()).collect();
                return String::from_utf8_lossy(&line[..line.len() - mark.len()]).into_owned();
            }
            looked = self.received.len().saturating_sub(mark.len() - 1);
            assert!(self.receive(), "closed after {:?}, wanted {:?}", show(&self.received), show(mark));
        }
    }

    /// Everything until the server closes.
    #[track_caller]
    pub fn rest(&mut self) -> Vec<u8> {
        while self.receive() {}
        std::mem::take(&mut self.received)
    }

    /// Sends one request and returns its whole answer without the CRLF at its end. A second request marks where the
    /// answer ends, so that it may hold line ends of its own.
    #[track_caller]
    pub fn ask(&mut self, request: &str) -> String {
        const MARK: &str = "--end-of-the-answer--";
        self.send(format!("{request}\r\nECHO {MARK}\r\n"));
        let answer = self.until(format!("{MARK}\r\n").as_bytes());
        match answer.strip_suffix("\r\n") {
            Some(answer) => answer.to_string(),
            None => panic!("the answer to {request:?} does not end in CRLF: {answer:?}"),
        }
    }

    /// Asks and compares.
    #[track_caller]
    pub fn expect(&mut self, request: &str, wanted: &str) {
        let got = self.ask(request);
        assert!(got == wanted, "\nrequest: {request}\nwanted:  {wanted:?}\ngot:     {got:?}");
    }

    /// Sends one request whose answer has no CRLF but at its end, and returns it without. Within a transaction a second
    /// request would be no mark: it would be queued.
    #[track_caller]
    pub fn ask_line(&mut self, request: &str) -> String {
        self.send(format!("{request}\r\n"));
        self.line()
    }

    /// Asks so and compares.
    #[track_caller]
    pub fn expect_line(&mut self, request: &str, wanted: &str) {
        let got = self.ask_line(request);
        assert!(got == wanted, "\nrequest: {request}\nwanted:  {wanted:?}\ngot:     {got:?}");
    }

    /// The number that INFO has in a field.
    #[track_caller]
    pub fn info(&mut self, field: &str) -> u64 {
        let text = self.ask("INFO");
        let found = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let number = found.unwrap_or_else(|| panic!("no {field} in {text}")).trim();
        number.parse().unwrap_or_else(|_| panic!("{field}:{number} is no number"))
    }

    /// Reads and forgets bytes, more than a test may keep, until they end with the mark, which must be the last that is
    /// owed. Gives how many came before it.
    #[track_caller]
    pub fn skip_to(&mut self, mark: &[u8]) -> usize {
        let mut skipped = 0;
        while !self.received.ends_with(mark) {
            let past = self.received.len().saturating_sub(mark.len());
            self.received.drain(..past);
            skipped += past;
            assert!(self.receive(), "closed after {skipped} bytes, wanted {:?}", show(mark));
        }
        skipped += self.received.len() - mark.len();
        self.received.clear();
        skipped
    }

    /// Sends all the requests while it reads so many bytes of replies.
    #[track_caller]
    pub fn converse(&mut self, requests: &[u8], reply_bytes: usize) -> Vec<u8> {
        let mut writer = self.share();
        std::thread::scope(|scope| {
            scope.spawn(move || writer.send(requests));
            self.exactly(reply_bytes)
        })
    }

    /// Ends the connection with a reset instead of an orderly end.
    pub fn reset(self) {
        let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
        setsockopt(&self.stream, sockopt::Linger, &linger).expect("SO_LINGER");
    }

    /// Returns when the server has read all that any client sent before this call: its single thread sees one
    /// client's bytes in the same look as those of others that came earlier, or in an earlier one, and it may have
    /// seen the first PING in the middle of that look.
    #[track_caller]
    pub fn barrier(&mut self) {
        for _ in 0..2 {
            self.send("PING\r\n");
            assert_eq!(self.line(), "PONG");
        }
    }
}

fn is_closed(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted)
}

/// Pings until told to stop; returns the longest wait and the number of answers.
pub fn ping_until(client: &mut Client, stop: &AtomicBool) -> (Duration, usize) {
    let mut worst = Duration::ZERO;
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        let sent = Instant::now();
        client.send("PING\r\n");
        assert_eq!(client.line(), "PONG");
        worst = worst.max(sent.elapsed());
        count += 1;
        // A ping now and then: the bystander is not to be a load of its own.
        std::thread::sleep(Duration::from_micros(500));
    }
    (worst, count)
}

/// Sets the flag when it goes: work that fails must end those beside it too, or the test would hang instead of failing.
pub struct StopAtEnd<'a>(pub &'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Does the work while a bystander pings; gives what came of it, and the bystander's longest wait.
pub fn beside<T>(bystander: &mut Client, work: impl FnOnce() -> T) -> (T, Duration) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let pinging = scope.spawn(|| ping_until(bystander, &stop));
        let outcome = {
            let _stop = StopAtEnd(&stop);
            work()
        };
        let (worst, _) = pinging.join().expect("the bystander");
        (outcome, worst)
    })
}

/// A client on a Unix socket that sends the request; all that comes back until the server closes.
#[track_caller]
pub fn unix_exchange(path: &Path, request: &str) -> String {
    let mut stream = UnixStream::connect(path).expect("to connect to the Unix socket");
    stream.set_read_timeout(Some(DEADLINE)).expect("a deadline");
    stream.write_all(request.as_bytes()).expect("to send");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the answer");
    answer
}

/// The end of a program that was to end by itself: exit code, standard output, standard error.
#[track_caller]
pub fn run_to_end(command: &mut Command) -> (Option<i32>, String, String) {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("to run");
    let mut ended = false;
    let in_time = holds_within(DEADLINE, || {
        ended = child.try_wait().expect("our own child").is_some();
        ended
    });
    if !in_time {
        let _ = child.kill();
    }
    let output = child.wait_with_output().expect("its output");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(in_time, "{command:?} does not end; it wrote: {stdout}{stderr}");
    (output.status.code(), stdout, stderr)
}

/// Lets a server's addresses end so many bytes behind what it has now, by the program prlimit.
pub fn limit_memory(server: &Server, bytes: u64) {
    let text = std::fs::read_to_string(format!("/proc/{}/statm", server.id())).expect("the process's memory");
    let pages: u64 = text.split(' ').next().expect("a field").parse().expect("a number");
    let (id, limit) = (server.id().to_string(), format!("--as={}", pages * 4096 + bytes));
    let limited = Command::new("prlimit").args(["--pid", &id, &limit]).status();
    assert!(limited.expect("prlimit").success());
}
