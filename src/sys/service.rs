//! What a service manager such as systemd says and wants to hear, without its library: sockets that listen already
//! (sd_listen_fds(3)), and datagrams that tell how the service is (sd_notify(3)). All of it comes in the environment;
//! where nothing is there, nothing is done.

use super::program::variable;
use super::sentence;
use super::socket::{self, Listener};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, sendto, socket as open};
use std::ffi::{CStr, OsStr};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The first descriptor that is passed, by the convention.
const PASSED_FIRST: RawFd = 3;

/// Nobody passes more; what is larger is nonsense that must not keep the start busy.
const PASSED_MAX: usize = 64;

fn wrong(what: String) -> io::Error {
    sentence(io::ErrorKind::InvalidInput, format_args!("{what}"))
}

/// The number in an environment variable; `None` where it is absent, or no number.
fn number(name: &CStr) -> Option<u64> {
    text(name)?.parse().ok()
}

/// The text in an environment variable; `None` where it is absent, or no text.
fn text(name: &CStr) -> Option<String> {
    variable(name)?.into_string().ok()
}

/// The listening sockets that were passed to this process, in their order; none where `LISTEN_PID` names another one.
///
/// # Errors
/// A sentence, where `LISTEN_FDS` is no number or a descriptor is no stream socket that listens.
pub fn passed_listeners() -> io::Result<Vec<Listener>> {
    if number(c"LISTEN_PID") != Some(std::process::id().into()) {
        return Ok(Vec::new());
    }
    let Some(text) = text(c"LISTEN_FDS") else { return Ok(Vec::new()) };
    let count = match text.parse::<usize>() {
        Ok(count) if count <= PASSED_MAX => count,
        _ => return Err(wrong(format!("LISTEN_FDS is '{text}', no number from 0 to {PASSED_MAX}"))),
    };
    let mut listeners = Vec::new();
    for raw in PASSED_FIRST..PASSED_FIRST + count as RawFd {
        if !socket::listens(raw) {
            return Err(wrong(format!("LISTEN_FDS: the descriptor {raw} is no stream socket that listens")));
        }
        // SAFETY: the manager opened this descriptor for us, as LISTEN_PID says, and nothing in this process has taken it:
        // the start calls this once.
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };
        let passed = Listener::passed(fd);
        listeners.push(passed.map_err(|error| wrong(format!("LISTEN_FDS: the descriptor {raw}: {error}")))?);
    }
    Ok(listeners)
}

/// The way to the service manager.
pub struct Notifier {
    fd: OwnedFd,
    address: UnixAddr,
}

impl Notifier {
    /// The way that `NOTIFY_SOCKET` names; `None` where it is not set.
    ///
    /// # Errors
    /// A sentence, where it names no Unix socket; those of `socket(2)`.
    pub fn from_environment() -> io::Result<Option<Notifier>> {
        let Some(name) = variable(c"NOTIFY_SOCKET").filter(|name| !name.is_empty()) else { return Ok(None) };
        let address = notify_address(&name).map_err(|_| {
            let shown = name.as_encoded_bytes().escape_ascii();
            wrong(format!("NOTIFY_SOCKET is '{shown}': no path, and no @ with an abstract name"))
        })?;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = open(AddressFamily::Unix, SockType::Datagram, flags, None)?;
        Ok(Some(Notifier { fd, address }))
    }

    /// Sends a state such as `READY=1`. A manager that does not listen just now makes nobody wait.
    ///
    /// # Errors
    /// Those of `sendto(2)`.
    pub fn tell(&self, state: &str) -> io::Result<()> {
        super::retry(|| sendto(self.fd.as_raw_fd(), state.as_bytes(), &self.address, MsgFlags::MSG_NOSIGNAL))?;
        Ok(())
    }
}

/// A path, or an abstract name behind `@`.
fn notify_address(name: &OsStr) -> nix::Result<UnixAddr> {
    match name.as_bytes() {
        [b'@', name @ ..] if !name.is_empty() => UnixAddr::new_abstract(name),
        [b'/', ..] => UnixAddr::new(super::c_path(Path::new(name))?.as_c_str()),
        _ => Err(Errno::EINVAL),
    }
}

/// How often the manager wants to hear `WATCHDOG=1`, in milliseconds: at least once in that time. `None` where it does
/// not, or wants it of another process.
pub fn watchdog_ms() -> Option<u64> {
    let is_ours = variable(c"WATCHDOG_PID").is_none() || number(c"WATCHDOG_PID") == Some(std::process::id().into());
    let us = number(c"WATCHDOG_USEC").filter(|&us| us > 0 && is_ours)?;
    Some((us / 1000).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manager_is_named_by_a_path_or_an_abstract_name() {
        let address = |name: &str| notify_address(OsStr::new(name));
        assert_eq!(address("/run/notify").expect("a path").path(), Some("/run/notify".as_ref()));
        assert_eq!(address("@/org/notify").expect("a name").as_abstract(), Some(&b"/org/notify"[..]));
        for name in ["@", "vsock:2:1234", "run/notify", &format!("/{}", "x".repeat(200))] {
            assert!(address(name).is_err(), "{name}");
        }
    }
}
