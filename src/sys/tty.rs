//! The terminal of the tools: its size, its keys one by one instead of by lines, and waiting for them.

use super::stdio::{INPUT, OUTPUT};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

/// Columns and rows of the terminal that standard output is; 80 and 24 where it does not say.
pub fn size() -> (usize, usize) {
    let mut size = MaybeUninit::<libc::winsize>::zeroed();
    // SAFETY: the call writes a winsize, for which there is room, and `size` is all zeros where it does not.
    let asked = unsafe { libc::ioctl(OUTPUT.as_fd().as_raw_fd(), libc::TIOCGWINSZ, size.as_mut_ptr()) };
    // SAFETY: four numbers of which zero is a value.
    let size = unsafe { size.assume_init() };
    if asked < 0 || size.ws_col == 0 || size.ws_row == 0 { (80, 24) } else { (size.ws_col.into(), size.ws_row.into()) }
}

/// Whether keys can be read one by one and what is typed is seen.
pub fn is_here() -> bool {
    INPUT.is_terminal() && OUTPUT.is_terminal()
}

/// Waits until something was received, or can be sent where `to_send` says so, or can be read from standard input where
/// `to_read` does; says whether the last is so.
///
/// # Errors
/// Those of `poll(2)`.
pub fn wait_for(socket: BorrowedFd<'_>, to_send: bool, to_read: bool) -> io::Result<bool> {
    let events = if to_send { PollFlags::POLLIN | PollFlags::POLLOUT } else { PollFlags::POLLIN };
    let mut fds = [PollFd::new(socket, events), PollFd::new(INPUT.as_fd(), PollFlags::POLLIN)];
    super::retry(|| poll(&mut fds[..1 + usize::from(to_read)], PollTimeout::NONE))?;
    Ok(to_read && fds[1].revents().is_some_and(|events| !events.is_empty()))
}

/// What has come.
#[derive(Default)]
pub struct Ready {
    /// Keys, or the terminal's end.
    pub keys: bool,
    /// The terminal has another size.
    pub resized: bool,
    /// The number of a signal that ends the program.
    pub ended: Option<i32>,
}

/// The terminal with its keys read one by one and not echoed, Ctrl-C among them; when this goes, it is as it was.
pub struct Keyboard {
    before: libc::termios,
    signals: SignalFd,
}

fn attributes() -> io::Result<libc::termios> {
    let mut found = MaybeUninit::<libc::termios>::uninit();
    // SAFETY: the call writes a termios, for which there is room.
    Errno::result(unsafe { libc::tcgetattr(INPUT.as_fd().as_raw_fd(), found.as_mut_ptr()) })?;
    // SAFETY: the call has succeeded, so that it is written.
    Ok(unsafe { found.assume_init() })
}

fn set(attributes: &libc::termios) -> io::Result<()> {
    // SAFETY: the attributes are lent for the call and only read.
    super::retry(|| Errno::result(unsafe { libc::tcsetattr(INPUT.as_fd().as_raw_fd(), libc::TCSADRAIN, attributes) }))?;
    Ok(())
}

impl Keyboard {
    /// Takes the terminal that standard input is. Signals that end the program or tell of another size are read from now
    /// on instead of interrupting.
    ///
    /// # Errors
    /// When standard input is no terminal, or those of `signalfd(2)`.
    pub fn new() -> io::Result<Keyboard> {
        let before = attributes()?;
        let mut set = SigSet::empty();
        for signal in [Signal::SIGWINCH, Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            set.add(signal);
        }
        set.thread_block()?;
        let signals = SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        let keyboard = Keyboard { before, signals };
        keyboard.take()?;
        // Where a panic ends the program, nothing is dropped. (The static program ends without calling this.)
        #[cfg(not(memento_small))]
        {
            let hook = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |what| {
                let _ = self::set(&before);
                hook(what);
            }));
        }
        Ok(keyboard)
    }

    /// Output keeps its line ends (OPOST stays).
    fn take(&self) -> io::Result<()> {
        let mut raw = self.before;
        raw.c_iflag &= !(libc::BRKINT | libc::ICRNL | libc::INPCK | libc::ISTRIP | libc::IXON);
        raw.c_lflag &= !(libc::ECHO | libc::ICANON | libc::IEXTEN | libc::ISIG);
        raw.c_cc[libc::VMIN] = 1;
        raw.c_cc[libc::VTIME] = 0;
        set(&raw)
    }

    /// Stops the program as Ctrl-Z does elsewhere, with the terminal as it was; returns when it goes on.
    ///
    /// # Errors
    /// Those of the terminal.
    pub fn suspend(&self) -> io::Result<()> {
        set(&self.before)?;
        kill(Pid::this(), Signal::SIGTSTP)?;
        self.take()
    }

    /// Waits until keys have come, or `other` is readable, or a signal came, or the time is over.
    ///
    /// # Errors
    /// Those of `poll(2)`.
    pub fn wait(&self, other: Option<BorrowedFd<'_>>, timeout: Option<Duration>) -> io::Result<Ready> {
        let asked = [INPUT.as_fd(), self.signals.as_fd(), other.unwrap_or(INPUT.as_fd())];
        let mut fds = asked.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        let count = if other.is_some() { 3 } else { 2 };
        // Rounded up, since a wait that is too short would become a busy one; no time stays none. One that is longer than
        // can be said ends early.
        let timeout = timeout.map_or(PollTimeout::NONE, |time| {
            let ms = time.as_millis() as u64 + u64::from(!time.subsec_nanos().is_multiple_of(1_000_000));
            PollTimeout::from(ms.min(u16::MAX.into()) as u16)
        });
        super::retry(|| poll(&mut fds[..count], timeout))?;
        let keys = fds[0].revents().is_some_and(|events| !events.is_empty());
        let mut ready = Ready { keys, ..Ready::default() };
        while let Some(signal) = super::retry(|| self.signals.read_signal())? {
            match signal.ssi_signo as i32 {
                libc::SIGWINCH => ready.resized = true,
                number => ready.ended = Some(number),
            }
        }
        Ok(ready)
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        // There is nothing to be done for a terminal that is gone.
        let _ = set(&self.before);
    }
}
