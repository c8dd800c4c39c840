//! What the box and its limits allow: descriptors and memory.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::io;

/// How many descriptors this process may have open, after raising its own limit towards `wanted` as far as the
/// hard limit allows.
///
/// # Errors
/// Those of `getrlimit(2)`.
pub fn raise_descriptors(wanted: u64) -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let raised = wanted.min(hard);
    if raised > soft && setrlimit(Resource::RLIMIT_NOFILE, raised, hard).is_ok() {
        return Ok(raised);
    }
    Ok(soft)
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
