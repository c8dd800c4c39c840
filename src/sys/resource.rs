//! What the box and its limits allow: descriptors and memory.

use nix::errno::Errno;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::io;

/// How many descriptors this process may have open, after raising its own limit towards `wanted` as far as the
/// hard limit allows.
///
/// # Errors
/// Those of `prlimit(2)`.
#[allow(clippy::unnecessary_cast, reason = "the kernel's number has 32 bits on some targets")]
pub fn raise_descriptors(wanted: u64) -> io::Result<u64> {
    let limits = descriptors(None)?;
    let (soft, raised) = (limits.rlim_cur as u64, wanted.min(limits.rlim_max as u64));
    if raised > soft && descriptors(Some(libc::rlimit { rlim_cur: raised as libc::rlim_t, ..limits })).is_ok() {
        return Ok(raised);
    }
    Ok(soft)
}

/// This process's limits of descriptors, as they were before they became `new`. (setrlimit(3) of musl stops all threads
/// first, for kernels older than `prlimit(2)`.)
fn descriptors(new: Option<libc::rlimit>) -> nix::Result<libc::rlimit> {
    let mut before = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    let new = new.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the pointers are to live locals, or null, which changes nothing.
    Errno::result(unsafe { libc::prlimit(0, libc::RLIMIT_NOFILE, new, &mut before) })?;
    Ok(before)
}

/// The box's memory in bytes, or 0 where the kernel does not say. Asked by `sysinfo(2)`, since /proc may be absent.
pub fn memory_bytes() -> u64 {
    nix::sys::sysinfo::sysinfo().map_or(0, |info| info.ram_total())
}

/// Tells glibc's malloc not to collect small freed blocks apart: the next free of a large one would join them all in
/// one step, which took 200 ms after two million entries had been freed. Other C libraries do not do that.
pub fn steady_malloc() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt(3) changes a number inside malloc; it is called before there is any other thread.
    unsafe {
        libc::mallopt(libc::M_MXFAST, 0);
    }
}

/// Microseconds of processor time that this process has used: its own, and the kernel's for it (`getrusage(2)`).
pub fn cpu_us() -> (u64, u64) {
    getrusage(UsageWho::RUSAGE_SELF).map_or((0, 0), |usage| {
        (usage.user_time().num_microseconds() as u64, usage.system_time().num_microseconds() as u64)
    })
}

/// The most memory that was resident at once, in bytes; the kernel counts it, and /proc is not needed.
pub fn resident_peak_bytes() -> usize {
    // Linux tells kilobytes.
    getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| usage.max_rss() as usize * 1024)
}

/// The kernel's name and release and the machine, as `uname(2)` has them.
pub fn kernel() -> String {
    let Ok(name) = nix::sys::utsname::uname() else { return "Linux".into() };
    let mut text = name.sysname().to_string_lossy().into_owned();
    for word in [name.release(), name.machine()] {
        text.push(' ');
        text += &word.to_string_lossy();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_of_this_process() {
        assert!(resident_peak_bytes() > 100_000);
        assert!(kernel().starts_with("Linux "), "{}", kernel());
        let (user_us, system_us) = cpu_us();
        let later = cpu_us();
        assert!(later.0 >= user_us && later.1 >= system_us);
    }
}
