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
use memento::limits::REQUEST_BYTES_MAX;

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

/// A copy of what a caller gave.
pub fn copied(what: &str, bytes: &[u8]) -> Outcome<Vec<u8>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).map_err(|_| Failure::memory(&format!("the {what}")))?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

/// A command of these words.
pub fn written(words: &[&[u8]]) -> Outcome<Vec<u8>> {
    let bytes = bytes_of(words.iter().copied());
    if bytes > REQUEST_BYTES_MAX {
        return Err(Failure::invalid(format!("a command may have {REQUEST_BYTES_MAX} bytes")));
    }
    let mut command = Vec::new();
    command.try_reserve_exact(bytes).map_err(|_| Failure::memory("the command"))?;
    write_command(&mut command, words.iter().copied());
    Ok(command)
}

/// How many bytes a command has at most when it is written.
fn bytes_of<'a>(words: impl Iterator<Item = &'a [u8]>) -> usize {
    // The same long word may be given a million times: on 32 bits the sum must not begin anew.
    words.fold(32, |sum: usize, word| sum.saturating_add(word.len() + 32))
}

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
            match view.kind() {
                Kind::Simple => {}
                Kind::Error => return Err(refusal(view)),
                _ => return Err(Failure::new(Code::Protocol, "the answer to AUTH should be OK")),
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

    /// Gives back the memory of the last reply, which is handed over.
    pub fn forget_answer(&mut self) {
        if let Some(client) = &mut self.client {
            client.forget();
        }
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
                // A server that never stops sending is not waited for longer than one that sends nothing.
                if let Err(error) = deadline.left() {
                    break error.into();
                }
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
        self.ask_until(words, self.deadline())
    }

    /// As [`Inner::ask`], for a call that began before.
    pub fn ask_until(&mut self, words: &[&[u8]], deadline: Deadline) -> Outcome<()> {
        self.takes_commands()?;
        let command = written(words)?;
        self.ready(deadline)?;
        self.exchange(&command, deadline)?;
        let view = self.answer()?;
        if view.kind() == Kind::Error { Err(refusal(view)) } else { Ok(()) }
    }

    fn takes_commands(&self) -> Outcome<()> {
        if self.subscriptions.is_empty() {
            return Ok(());
        }
        let why = "a handle with subscriptions takes no other commands; use another handle for them";
        Err(Failure::new(Code::State, why))
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
        // The connection of a subscriber must not end for a call that it does not take.
        self.takes_commands()?;
        let copy = copied("password", password)?;
        // A connection that has to be made for this one must not be refused for the one before.
        let before = self.password.take();
        let outcome = match self.ask(&[b"AUTH", password]) {
            Ok(()) if self.answer()?.kind() == Kind::Simple => Ok(()),
            Ok(()) => self.unexpected("OK"),
            Err(failure) => Err(failure),
        };
        if outcome.is_ok() {
            self.password = Some(copy);
        } else if before.is_some() {
            // It may lack the password before; the next connection will not.
            self.disconnect();
            self.password = before;
        }
        outcome
    }

    /// Writes a command behind those of the pipeline.
    pub fn append<'a>(&mut self, words: impl ExactSizeIterator<Item = &'a [u8]> + Clone) -> Outcome<()> {
        let bytes = bytes_of(words.clone());
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

    /// Sends the pipeline, which is empty afterwards whatever becomes of it, and shows each reply, until
    /// `show` says that nobody wants more.
    pub fn run(&mut self, show: &mut dyn FnMut(usize, *const Node) -> bool) -> Outcome<()> {
        let mut pipeline = std::mem::take(&mut self.pipeline);
        let outcome = self.run_all(&pipeline, show);
        if pipeline.commands.capacity() <= PIPELINE_KEPT_BYTES {
            pipeline.commands.clear();
            self.pipeline.commands = pipeline.commands;
        }
        outcome
    }

    fn run_all(&mut self, pipeline: &Pipeline, show: &mut dyn FnMut(usize, *const Node) -> bool) -> Outcome<()> {
        if pipeline.count == 0 {
            return Ok(());
        }
        self.takes_commands()?;
        let deadline = self.deadline();
        self.ready(deadline)?;
        let Inner { client: Some(client), tree, .. } = self else {
            return Err(Failure::new(Code::Bug, "there is no connection"));
        };
        let (mut index, mut shown) = (0, Ok(()));
        let mut is_wanted = true;
        let outcome = client.exchange_while(&pipeline.commands, pipeline.count, deadline, &mut |view| {
            // Nobody asked for it.
            if view.kind() == Kind::Push {
                return true;
            }
            if shown.is_ok() {
                shown = tree.lend(view, &mut |node| is_wanted = show(index, node));
            }
            index += 1;
            is_wanted
        });
        if !is_wanted {
            self.disconnect();
        }
        self.kept(outcome)?;
        shown
    }

    /// The number of the connection's descriptor.
    pub fn descriptor(&mut self) -> Outcome<i32> {
        Ok(self.client()?.as_fd().as_raw_fd())
    }
}
