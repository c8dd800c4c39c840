//! Starts the real Redis beside the program, for the tests that hold one against the other.
//!
//! It gets a port and a folder of its own, so that a service that the package may have started is neither used nor
//! disturbed.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use super::{Client, Scratch, holds_within, need, run_to_end, skip};

/// The version that PROTOCOL's words, and so the tests, are taken from; what follows the last point does not matter.
pub const VERSION: &str = "7.0.";

/// A running redis-server; it is killed, by its own process id, when this is dropped.
pub struct Reference {
    child: Child,
    address: SocketAddr,
    // Its working directory goes with it.
    _folder: Scratch,
}

impl Reference {
    /// Starts one on a free port of 127.0.0.1; none where it is not installed or of another version, which is said.
    pub fn start() -> Option<Reference> {
        if !need("redis-server") {
            return None;
        }
        let (_, version, _) = run_to_end(Command::new("redis-server").arg("--version"));
        if !version.contains(&format!("v={VERSION}")) {
            skip(&format!("redis-server is not of version {VERSION}x but: {}", version.trim()));
            return None;
        }
        // Between asking for a free port and binding it somebody else may have taken it.
        for _ in 0..10 {
            if let Some(reference) = Reference::start_once() {
                return Some(reference);
            }
        }
        panic!("redis-server does not start on any of ten free ports");
    }

    fn start_once() -> Option<Reference> {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("a bound listener");
        drop(free);
        Reference::start_at(address)
    }

    /// Ends it, and starts another one in its place, without keys.
    pub fn restart(self) -> Reference {
        let address = self.address;
        drop(self);
        Reference::start_at(address).expect("redis-server on the port that it had")
    }

    fn start_at(address: SocketAddr) -> Option<Reference> {
        let folder = Scratch::new();
        let port = address.port().to_string();
        let child = Command::new("redis-server")
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"])
            .arg("--dir")
            .arg(folder.path(""))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("to start redis-server");
        let mut reference = Reference { child, address, _folder: folder };
        let up = holds_within(super::DEADLINE, || {
            TcpStream::connect(address).is_ok() || reference.child.try_wait().expect("our own child").is_some()
        });
        let running = reference.child.try_wait().expect("our own child").is_none();
        (up && running).then_some(reference)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A new connection to it.
    pub fn connect(&self) -> Client {
        Client::new(TcpStream::connect(self.address).expect("to connect to redis-server"))
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
