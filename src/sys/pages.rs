//! Memory from the system, in steps of one size, given back as soon as nobody needs it.
//!
//! Knows nothing of what lies in it. What it hands out is always initialised: the kernel gives zeros.

use std::ffi::c_void;
use std::io;
use std::num::NonZero;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munmap};

use super::{Call, fault};

/// So much is mapped at a time: a multiple of every size of page that Linux has on our machines (4, 16 and 64 KiB), and
/// little enough for a box of 16 MB. Only what is touched takes memory.
pub const STEP_BYTES: usize = 64 * 1024;

const STEP_SIZE: NonZero<usize> = NonZero::new(STEP_BYTES).expect("a step has bytes");

/// The size of a page: 4, 16 or 64 KiB on our machines.
pub(super) fn page_bytes() -> usize {
    static PAGE_BYTES: AtomicUsize = AtomicUsize::new(0);
    let known = PAGE_BYTES.load(Relaxed);
    if known > 0 {
        return known;
    }
    // SAFETY: getauxval(3) only looks for a number that the kernel has told.
    let told = unsafe { libc::getauxval(libc::AT_PAGESZ) } as usize;
    assert!(told.is_power_of_two(), "the kernel tells the size of its pages");
    PAGE_BYTES.store(told, Relaxed);
    told
}

/// A mapping of [`STEP_BYTES`], zeros at first; dropping it gives the memory back.
pub struct Pages {
    start: NonNull<[u8; STEP_BYTES]>,
}

impl Pages {
    /// Maps one more step.
    ///
    /// # Errors
    /// Those of `mmap(2)`: above all `ENOMEM`, when the system or this process has no more to give.
    pub fn map() -> io::Result<Pages> {
        fault::allow(Call::Step, STEP_BYTES)?;
        let start = map_anonymous(STEP_SIZE)?;
        Ok(Pages { start: start.cast() })
    }

    /// The bytes.
    #[inline]
    pub fn bytes(&self) -> &[u8; STEP_BYTES] {
        // SAFETY: `map` made the mapping this large, zeroed and readable; only `drop` ends it, and the borrow of `self`
        // keeps it and every writer away meanwhile.
        unsafe { self.start.as_ref() }
    }

    /// Gives the memory behind the first so many bytes back, as far as whole pages of the machine can be: what is read
    /// there is zeros or what it was.
    pub fn forget_from(&mut self, bytes: usize) {
        let start = bytes.next_multiple_of(page_bytes());
        if start < STEP_BYTES {
            // SAFETY: the offset is within the mapping.
            let from = unsafe { self.start.cast::<u8>().add(start) };
            // SAFETY: the range is the rest of the mapping, which `self` owns; anonymous memory becomes zeros by this, so
            // that it stays initialised. A failure changes nothing.
            let _ = unsafe { madvise(from.cast(), STEP_BYTES - start, MmapAdvise::MADV_DONTNEED) };
        }
    }

    /// The bytes, to be changed.
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8; STEP_BYTES] {
        // SAFETY: as in `bytes`, and the mapping is writable; `self` is its only owner and borrowed for writing.
        unsafe { self.start.as_mut() }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: `self` owns this mapping, `map` made it of this size, and nothing borrows from what is dropped.
        unsafe { unmap(self.start.cast(), STEP_BYTES) };
    }
}

/// Maps so many bytes, zeros, at an address that the kernel chooses.
pub(super) fn map_anonymous(bytes: NonZero<usize>) -> io::Result<NonNull<c_void>> {
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new private mapping at an address that the kernel chooses touches nothing that exists.
    let start = unsafe { mmap_anonymous(None, bytes, protection, MapFlags::MAP_PRIVATE) }?;
    // A huge page would stall at its first touch and stay whole where a few steps are given back. A kernel that has
    // none refuses, which is as well.
    // SAFETY: the range is the mapping just made; the advice changes no byte of it.
    let _ = unsafe { madvise(start, bytes.get(), MmapAdvise::MADV_NOHUGEPAGE) };
    Ok(start)
}

/// Gives the memory of a range back.
///
/// # Safety
/// The range is whole pages of a mapping of [`map_anonymous`]; the caller owns them, and nobody reads or writes them any
/// more.
pub(super) unsafe fn unmap(start: NonNull<c_void>, bytes: usize) {
    // SAFETY: as the caller promises.
    let unmapped = unsafe { munmap(start, bytes) };
    if unmapped.is_err() {
        // The kernel would have to cut a mapping in two and has too many already: the memory goes back all the same,
        // only the addresses are lost.
        // SAFETY: the range is still this mapping, which nobody will read again.
        let _ = unsafe { madvise(start, bytes, MmapAdvise::MADV_DONTNEED) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_zeros_and_keeps_what_is_written() {
        let mut pages = Pages::map().expect("a step of memory");
        assert!(pages.bytes().iter().all(|&byte| byte == 0));
        pages.bytes_mut().fill(7);
        assert!(pages.bytes().iter().all(|&byte| byte == 7));
    }

    #[test]
    fn the_rest_of_a_step_is_forgotten() {
        let mut pages = Pages::map().expect("a step of memory");
        pages.bytes_mut().fill(7);
        pages.forget_from(5000);
        assert!(pages.bytes()[..5000].iter().all(|&byte| byte == 7));
        // Machines with the largest pages keep all.
        let rest = &pages.bytes()[STEP_BYTES / 2..];
        assert!(rest.iter().all(|&byte| byte == 0) || rest.iter().all(|&byte| byte == 7));
        pages.bytes_mut()[STEP_BYTES - 1] = 9;
        assert_eq!(pages.bytes()[STEP_BYTES - 1], 9);
    }

    #[test]
    fn steps_are_apart_and_are_given_back() {
        // Together far more than the machine has, if they were not given back.
        for _ in 0..100 {
            let mut many: Vec<Pages> = (0..64).map(|_| Pages::map().expect("a step of memory")).collect();
            for (number, pages) in many.iter_mut().enumerate() {
                assert!(pages.bytes().iter().all(|&byte| byte == 0));
                pages.bytes_mut().fill(number as u8);
            }
            for (number, pages) in many.iter().enumerate() {
                assert!(pages.bytes().iter().all(|&byte| byte == number as u8));
            }
        }
    }

    #[test]
    fn an_owner_is_told_from_none_without_a_word_more() {
        assert_eq!(size_of::<Option<Pages>>(), size_of::<usize>());
    }
}
