//! Standard input, output and error, open before anything else runs.
//!
//! The standard library opens /dev/null for those that are closed, and ends the program where there is none, as in an
//! empty chroot. A descriptor that is opened later would take the number of one that is missing, and a client would be
//! sent the log.

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::os::fd::IntoRawFd;

/// Called by the C library before `main`.
#[used]
#[unsafe(link_section = ".init_array")]
static FIRST: extern "C" fn() = fill_standard_descriptors;

/// Whatever can be opened will do: what is written to a folder that is open for reading goes nowhere.
extern "C" fn fill_standard_descriptors() {
    for number in 0..3 {
        // SAFETY: fcntl(2) with F_GETFD only looks at the number.
        let is_open = unsafe { libc::fcntl(number, libc::F_GETFD) } >= 0;
        if is_open {
            continue;
        }
        let opened = open(c"/dev/null", OFlag::O_RDWR, Mode::empty())
            .or_else(|_| open(c"/", OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty()));
        // The kernel gives the lowest number that is free, which is this one.
        let _ = opened.map(IntoRawFd::into_raw_fd);
    }
}
