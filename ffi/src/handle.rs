//! A handle: where the server is, the connection while there is one, and what is kept for the next one.
//!
//! A conversation that broke is over: the connection is closed, and the next call makes a new one. Nothing is sent twice.

use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use memento::client::reply::{Kind, View};
use memento::client::resp::{Deadline, RespClient, write_command};

use crate::error::{Code, Failure, Outcome};
use crate::reply::{Node, Tree};
use crate::subscriptions::Subscriptions;

/// Where a server is.
pub enum Target {
    /// At a host's port.
    Tcp(String, u16),
    /// At a Unix socket's path.
    Unix(PathBuf),
}

/// What C holds by its number. The lock is for those who share a handle against the rules, and for callbacks that use the
/// handle they are called from: they get an error.
pub struct Handle {
    /// Set by `memento_close`, which a callback may call.
    pub is_closed: AtomicBool,
    /// All else.
    pub inner: Mutex<Inner>,
}

/// What a call works with.
pub struct Inner {
    target: Target,
    timeout: Option<Duration>,
    client: Option<RespClient>,
    password: Option<Vec<u8>>,
    pipeline: Pipeline,
    tree: Tree,
    /// The channels that are listened to.
    pub(crate) subscriptions: Subscriptions,
    /// What went wrong last, with a NUL at its end.
    pub last_error: Vec<u8>,
}

/// Commands that are to be sent together.
#[derive(Default)]
struct Pipeline {
    commands: Vec<u8>,
    count: usize,
}

/// Commands and their replies are kept in a buffer of at most so many bytes for the next pipeline.
const PIPELINE_KEPT_BYTES: usize = 1 << 20;

/// The commands of a pipeline may have so many bytes together.
const PIPELINE_BYTES_MAX: usize = 1 << 30;

impl Handle {
    /// A handle with a connection.
    pub fn connect(target: Target, timeout_ms: i32) -> Outcome<Handle> {
        let timeout = match timeout_ms {
            0 => None,
            1.. => Some(Duration::from_millis(timeout_ms as u64)),
            _ => return Err(Failure::invalid("the timeout is negative; 0 waits for ever")),
        };
        let mut inner = Inner {
            target,
            timeout,
            client: None,
            password: None,
            pipeline: Pipeline::default(),
            tree: Tree::default(),
            subscriptions: Subscriptions::default(),
            last_error: vec![0],
        };
        inner.connect(inner.deadline())?;
        Ok(Handle { is_closed: AtomicBool::new(false), inner: Mutex::new(inner) })
    }

    /// Whether `memento_close` was called meanwhile.
    pub fn was_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }
}

/// So much of what a server says is kept as an error.
const ERROR_BYTES_MAX: usize = 1024;

/// The failure that an error of the server is.
pub fn refusal(view: View<'_>) -> Failure {
    let bytes = view.bytes();
    Failure::new(Code::Reply, String::from_utf8_lossy(&bytes[..bytes.len().min(ERROR_BYTES_MAX)]))
}

impl Inner {
    /// When a call that begins now is to end.
    pub fn deadline(&self) -> Deadline {
        self.timeout.map_or(Deadline::NEVER, Deadline::after)
    }

    /// Makes a new connection in the place of any before, with the password.
    fn connect(&mut self, deadline: Deadline) -> Outcome<()> {
        self.client = None;
        let made = match &self.target {
            Target::Tcp(host, port) => RespClient::connect(host, *port, deadline),
            Target::Unix(path) => RespClient::connect_unix(path, deadline),
        };
        let mut client = made.map_err(|error| Failure::connecting(&error))?;
        if let Some(password) = &self.password {
            let view = client.call(&[b"AUTH", password], deadline)?;
            if view.kind() == Kind::Error {
                return Err(refusal(view));
            }
        }
        self.client = Some(client);
        Ok(())
    }

    /// Ends the connection; the next call makes another one.
    pub fn disconnect(&mut self) {
        self.client = None;
    }

    /// The connection as it is.
    pub fn client(&mut self) -> Outcome<&mut RespClient> {
        self.client
            .as_mut()
            .ok_or_else(|| Failure::new(Code::Closed, "there is no connection; the next call makes one"))
    }

    /// Whether there is a connection.
    pub fn is_connected(&self) -> bool {
        self.client.is_some()
    }

    /// Makes sure of a connection on which nothing is owed. One that ended since the last call is made anew: nothing of
    /// this call was sent on it.
    pub fn ready(&mut self, deadline: Deadline) -> Outcome<()> {
        let failure = match &mut self.client {
            None => return self.connect(deadline),
            Some(client) => loop {
                match client.try_receive() {
                    Ok(None) => return Ok(()),
                    Ok(Some(view)) if view.kind() == Kind::Push => {}
                    // What a server says before it closes: that it has too many clients, for example.
                    Ok(Some(view)) if view.kind() == Kind::Error => break refusal(view),
                    Ok(Some(view)) => {
                        break Failure::new(
                            Code::Protocol,
                            format!("the server sent what nobody asked for: {:?}", view.kind()),
                        );
                    }
                    Err(error) => match Failure::from(error) {
                        ended if ended.code == Code::Closed => return self.connect(deadline),
                        failure => break failure,
                    },
                }
            },
        };
        self.disconnect();
        Err(failure)
    }

    /// Sends a command and waits for its reply, which [`Inner::answer`] then lends. An error of the server is one here.
    pub fn ask(&mut self, words: &[&[u8]]) -> Outcome<()> {
        let mut command = Vec::new();
        let bytes: usize = words.iter().map(|word| word.len() + 32).sum();
        command.try_reserve_exact(bytes + 32).map_err(|_| Failure::memory("the command"))?;
        write_command(&mut command, words.iter().copied());
        self.ask_written(&command)
    }

    /// As [`Inner::ask`], with a command that is written already.
    pub fn ask_written(&mut self, command: &[u8]) -> Outcome<()> {
        if !self.subscriptions.is_empty() {
            let why = "a handle with subscriptions takes no other commands; use another handle for them";
            return Err(Failure::new(Code::State, why));
        }
        let deadline = self.deadline();
        self.ready(deadline)?;
        self.exchange(command, deadline)?;
        let view = self.answer()?;
        if view.kind() == Kind::Error { Err(refusal(view)) } else { Ok(()) }
    }

    /// Sends one command and waits for what is its reply; closes the connection where that fails.
    fn exchange(&mut self, command: &[u8], deadline: Deadline) -> Outcome<()> {
        let client = self.client()?;
        let mut conversation = || {
            client.send(command, deadline)?;
            while client.receive(deadline)?.kind() == Kind::Push {}
            Ok(())
        };
        let outcome = conversation();
        self.kept(outcome)
    }

    /// Passes an outcome on; where it is an error the connection is closed.
    pub fn kept<T>(&mut self, outcome: std::io::Result<T>) -> Outcome<T> {
        outcome.map_err(|error| {
            self.disconnect();
            error.into()
        })
    }

    /// The reply to what was asked.
    pub fn answer(&self) -> Outcome<View<'_>> {
        let last = self.client.as_ref().and_then(RespClient::last);
        last.ok_or_else(|| Failure::new(Code::Bug, "there is no answer"))
    }

    /// An answer that is none to this command: the conversation has lost its place.
    pub fn unexpected<T>(&mut self, wanted: &str) -> Outcome<T> {
        let came = self.answer().map(|view| format!("{:?}", view.kind())).unwrap_or_default();
        self.disconnect();
        Err(Failure::new(Code::Protocol, format!("the answer should be {wanted}, and is of the type {came}")))
    }

    /// The password for this connection and those after it.
    pub fn auth(&mut self, password: &[u8]) -> Outcome<()> {
        self.ask(&[b"AUTH", password])?;
        if self.answer()?.kind() != Kind::Simple {
            return self.unexpected("OK");
        }
        self.password = Some(password.to_vec());
        Ok(())
    }

    /// Writes a command behind those of the pipeline.
    pub fn append<'a>(&mut self, words: impl ExactSizeIterator<Item = &'a [u8]> + Clone) -> Outcome<()> {
        let mut bytes = 32;
        for word in words.clone() {
            bytes += word.len() + 32;
        }
        let commands = &mut self.pipeline.commands;
        if bytes > PIPELINE_BYTES_MAX - commands.len() {
            return Err(Failure::invalid(format!("the commands of a pipeline may have {PIPELINE_BYTES_MAX} bytes")));
        }
        if bytes > commands.capacity() - commands.len() {
            commands.try_reserve(bytes).map_err(|_| Failure::memory("the pipeline"))?;
        }
        write_command(commands, words);
        self.pipeline.count += 1;
        Ok(())
    }

    /// Sends the pipeline, which is empty afterwards whatever becomes of it, and shows each reply.
    pub fn run(&mut self, show: &mut dyn FnMut(usize, *const Node)) -> Outcome<()> {
        let mut pipeline = std::mem::take(&mut self.pipeline);
        let outcome = self.run_all(&pipeline, show);
        if pipeline.commands.capacity() <= PIPELINE_KEPT_BYTES {
            pipeline.commands.clear();
            self.pipeline.commands = pipeline.commands;
        }
        outcome
    }

    fn run_all(&mut self, pipeline: &Pipeline, show: &mut dyn FnMut(usize, *const Node)) -> Outcome<()> {
        if pipeline.count == 0 {
            return Ok(());
        }
        if !self.subscriptions.is_empty() {
            let why = "a handle with subscriptions takes no other commands; use another handle for them";
            return Err(Failure::new(Code::State, why));
        }
        let deadline = self.deadline();
        self.ready(deadline)?;
        let Inner { client: Some(client), tree, .. } = self else {
            return Err(Failure::new(Code::Bug, "there is no connection"));
        };
        let (mut index, mut shown) = (0, Ok(()));
        let outcome = client.exchange(&pipeline.commands, pipeline.count, deadline, &mut |view| {
            if shown.is_ok() {
                shown = tree.lend(view, &mut |node| show(index, node));
            }
            index += 1;
        });
        while client.take_push().is_some() {}
        self.kept(outcome)?;
        shown
    }

    /// The number of the connection's descriptor.
    pub fn descriptor(&mut self) -> Outcome<i32> {
        Ok(self.client()?.as_fd().as_raw_fd())
    }
}
