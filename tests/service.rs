//! The server under a service manager: sockets that it is passed, and what it tells of itself. The manager is this test.

mod support;

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use support::{Client, DEADLINE, Scratch, Start, run_to_end, uninterrupted, unix_exchange, wait_for};

/// The next datagram.
fn heard(manager: &UnixDatagram) -> String {
    manager.set_read_timeout(Some(DEADLINE)).expect("a deadline");
    let mut bytes = [0; 256];
    let count = uninterrupted(|| manager.recv(&mut bytes)).expect("a datagram before the deadline");
    String::from_utf8_lossy(&bytes[..count]).into_owned()
}

/// A server that is told of a manager, and of more by environment variables.
fn notifying(socket: &str, variables: &[&str]) -> support::Server {
    let socket = format!("NOTIFY_SOCKET={socket}");
    let prefix: Vec<&str> = ["env", &socket].into_iter().chain(variables.iter().copied()).collect();
    Start::new(&[]).within(&prefix).start()
}

#[test]
fn the_manager_hears_of_the_start_the_life_and_the_end() {
    let scratch = Scratch::new();
    let path = scratch.path("notify");
    let manager = UnixDatagram::bind(&path).expect("a socket");
    let mut server = notifying(path.to_str().expect("a path"), &["WATCHDOG_USEC=400000"]);
    assert_eq!(heard(&manager), "READY=1");
    let mut last = Instant::now();
    for _ in 0..5 {
        assert_eq!(heard(&manager), "WATCHDOG=1");
        // Half of the time is the aim; a machine that stalls for longer than all of it is not the server's fault.
        assert!(last.elapsed() < Duration::from_secs(4), "{:?}", last.elapsed());
        last = Instant::now();
    }
    // It sleeps in between.
    let before_ms = server.cpu_ms();
    (0..5).for_each(|_| assert_eq!(heard(&manager), "WATCHDOG=1"));
    assert!(server.cpu_ms() - before_ms < 200.0);
    server.signal(Signal::SIGTERM);
    assert!(server.wait_exit().success());
    wait_for("STOPPING=1", || heard(&manager) == "STOPPING=1");
}

#[test]
fn the_manager_hears_of_the_start_when_the_keys_are_loaded() {
    let scratch = Scratch::new();
    let (path, dump) = (scratch.path("notify"), scratch.path("dump"));
    let dump = dump.to_str().expect("a path");
    let mut first = Start::new(&["--snapshot", dump]).start();
    // A file that is not there has to be looked for as well.
    wait_for("an answer", || first.connect().ask_line("SET key value") == "OK");
    first.signal(Signal::SIGTERM);
    assert!(first.wait_exit().success());
    let manager = UnixDatagram::bind(&path).expect("a socket");
    let socket = format!("NOTIFY_SOCKET={}", path.to_str().expect("a path"));
    let server = Start::new(&["--snapshot", dump]).within(&["env", &socket]).start();
    assert_eq!(heard(&manager), "READY=1");
    // Nobody is answered LOADING any more.
    server.connect().expect_line("GET key", "value");
}

#[test]
fn an_abstract_socket_and_anothers_watchdog() {
    let name = format!("memento-test-notify-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let manager = UnixDatagram::bind_addr(&address).expect("a socket");
    let mut server = notifying(&format!("@{name}"), &["WATCHDOG_USEC=1000", "WATCHDOG_PID=1"]);
    assert_eq!(heard(&manager), "READY=1");
    server.signal(Signal::SIGTERM);
    assert!(server.wait_exit().success());
    assert_eq!(heard(&manager), "STOPPING=1");
}

#[test]
fn a_manager_that_does_not_listen_holds_up_nobody() {
    let scratch = Scratch::new();
    let path = scratch.path("notify");
    // Nobody reads: after some datagrams the kernel takes no more.
    let _manager = UnixDatagram::bind(&path).expect("a socket");
    let full = notifying(path.to_str().expect("a path"), &["WATCHDOG_USEC=2000"]);
    let absent = notifying("/nonexistent/notify", &["WATCHDOG_USEC=2000"]);
    let nonsense = notifying("vsock:2:1234", &["WATCHDOG_USEC=2000"]);
    nonsense.wait_for_log("the service manager is told nothing");
    std::thread::sleep(Duration::from_millis(100));
    for mut server in [full, absent, nonsense] {
        server.connect().expect("PING", "PONG");
        server.signal(Signal::SIGTERM);
        assert!(server.wait_exit().success());
    }
}

/// The program with its standard input as the descriptor 3 and its standard error as 4, as a manager passes sockets.
fn passing(count: &str, pid: &str) -> Command {
    let script = format!("export LISTEN_PID={pid} LISTEN_FDS={count}; exec \"$@\" 3<&0 4<&2 </dev/null 2>/dev/null");
    Start::new(&[]).within(&["sh", "-c", &script, "sh"]).command()
}

#[test]
fn sockets_that_are_passed_are_served() {
    let scratch = Scratch::new();
    let path = scratch.path("sock");
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    let unix = UnixListener::bind(&path).expect("a socket");
    let port = tcp.local_addr().expect("an address").port();
    // Who comes before the server waits for it.
    let early = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a connection");
    let mut command = passing("2", "$$");
    command.stdin(Stdio::from(OwnedFd::from(tcp))).stderr(Stdio::from(OwnedFd::from(unix)));
    let mut child = command.stdout(Stdio::null()).spawn().expect("the program");
    drop(command);
    Client::new(early).expect("SET k early", "OK");
    assert_eq!(unix_exchange(&path, "GET k\r\nQUIT\r\n"), "early\r\n");
    let mut client = Client::new(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a connection"));
    assert_eq!(client.info("tcp_port"), u64::from(port));
    client.send("SHUTDOWN\r\n");
    assert!(child.wait().expect("its end").success());
    // The file is the manager's.
    assert!(path.exists());
}

#[test]
fn what_is_passed_and_is_no_listener_is_told() {
    let ends = |command: &mut Command| {
        let (code, _, error) = run_to_end(command);
        (code, error)
    };
    let script = |count: &str, pid: &str| {
        let script = format!("export LISTEN_PID={pid} LISTEN_FDS={count}; exec \"$@\" 3</dev/null");
        Start::new(&["-v"]).within(&["sh", "-c", &script, "sh"]).command()
    };
    let (code, error) = ends(&mut script("1", "$$"));
    assert_eq!(code, Some(1), "{error}");
    assert_eq!(error, "memento: LISTEN_FDS: the descriptor 3 is no stream socket that listens\n");
    for count in ["-1", "65", "many"] {
        let (code, error) = ends(&mut script(count, "$$"));
        assert_eq!(code, Some(1), "{error}");
        assert_eq!(error, format!("memento: LISTEN_FDS is '{count}', no number from 0 to 64\n"));
    }
    // What was passed to another process, which started this one, is none of its business.
    let script = "export LISTEN_PID=1 LISTEN_FDS=1; exec \"$@\" 3</dev/null";
    Start::new(&[]).within(&["sh", "-c", script, "sh"]).start().connect().expect("PING", "PONG");
}
