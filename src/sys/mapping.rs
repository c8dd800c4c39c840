//! Memory for one long value: a mapping of its own, which grows without a copy and is given back in small steps.
//!
//! To unmap much at once takes long: some tens of milliseconds for 256 MiB. So nothing is unmapped where a mapping is
//! dropped or cut. What it leaves waits in a list of its thread, from which [`give_back`] takes a bounded piece at a
//! time; who runs the loop calls it. That what waits does not pile up is the part of who fills a mapping: so many bytes
//! as it writes into new memory, it gives back first. At the end of the process nothing of this matters.
//!
//! The kernel makes each page when its first byte comes, which takes longer than to receive a page's bytes. So some
//! mappings that are dropped are kept as spares, whose pages are there: where long values come and go, the next one takes
//! the memory of one that went ([`Mapping::spare`]). Who runs the loop lets them go when they are of no more use.
//!
//! Like [`super::pages`], it knows nothing of what lies in it, and what it hands out is always initialised.

use std::cell::RefCell;
use std::ffi::c_void;
use std::io;
use std::num::NonZero;
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::sys::mman::{MRemapFlags, mremap};

use super::pages::{map_anonymous, page_bytes, unmap};
use super::{Call, Held, fault, held};

/// From this size on, mappings begin at a multiple of it: so much a page of the kernel's tables tells of (where pages have
/// 4 KiB), and between two such places the kernel moves whole tables, not single pages: 256 MiB in 0.1 ms instead of 0.8.
const TABLE_BYTES: usize = 2 << 20;

/// A spare has at least so many bytes that were touched; a smaller one is not worth the search.
const SPARE_BYTES_MIN: usize = 64 * 1024;

/// All spares of a thread have at most so many, and one at most half of that.
const SPARES_BYTES_MAX: usize = 8 << 20;

/// A mapping of whole pages, zeros at first. Only pages that were touched take memory.
pub struct Mapping {
    range: Range,
}

impl Mapping {
    /// Maps room for so many bytes, and what is missing to whole pages.
    ///
    /// # Errors
    /// Those of `mmap(2)`: `ENOMEM`, when the system or this process has no more to give, or has too many mappings.
    pub fn map(room: usize) -> io::Result<Mapping> {
        let bytes = whole_pages(room)?;
        let start = retry_with_all_given_back(|| {
            fault::allow(Call::Map, bytes.get())?;
            map_aligned(bytes)
        })?;
        Ok(Mapping { range: Range { start: start.cast(), bytes: bytes.get(), touched: 0 } })
    }

    /// One that was dropped, with room for so many bytes at least, if there is such a spare: it may be larger, and what is
    /// in it is left over from before.
    pub fn spare(room: usize) -> Option<Mapping> {
        WAITING.with_borrow_mut(|waiting| waiting.take_spare(room)).map(|range| Mapping { range })
    }

    /// Makes room for so many bytes at least, and moves none: where the room behind is taken, the kernel gives the same
    /// pages another address.
    ///
    /// # Errors
    /// Those of `mremap(2)`, as of [`Mapping::map`]; nothing has changed then.
    pub fn grow(&mut self, room: usize) -> io::Result<()> {
        let bytes = whole_pages(room)?;
        if bytes.get() <= self.range.bytes {
            return Ok(());
        }
        let start = retry_with_all_given_back(|| {
            fault::allow(Call::Map, bytes.get())?;
            self.remap(bytes)
        })?;
        (self.range.start, self.range.bytes) = (start.cast(), bytes.get());
        Ok(())
    }

    /// Has the kernel make the mapping so large, where it is or elsewhere; says where it begins then.
    fn remap(&mut self, bytes: NonZero<usize>) -> io::Result<NonNull<c_void>> {
        let (start, old_bytes) = (self.range.start.cast(), self.range.bytes);
        // SAFETY: the range is this mapping, which `self` owns, and which nobody borrows while `self` is borrowed for
        // writing; all of it lies in one mapping of the kernel, since one call made it.
        let stays = unsafe { mremap(start, old_bytes, bytes.get(), MRemapFlags::empty(), None) };
        if let Ok(start) = stays {
            return Ok(start);
        }
        // Where there are not addresses enough for both, the kernel finds a place by itself.
        let place = if bytes.get() < TABLE_BYTES { None } else { map_aligned(bytes).ok() };
        let fixed = if place.is_some() { MRemapFlags::MREMAP_FIXED } else { MRemapFlags::empty() };
        // If this fails, the place, of which nothing was touched, may be another thread's by now, so that it must not be
        // unmapped: rather its addresses are lost.
        // SAFETY: as before, and what is at the new place is a mapping as large that nobody else knows of.
        let start = unsafe { mremap(start, old_bytes, bytes.get(), MRemapFlags::MREMAP_MAYMOVE | fixed, place) }?;
        Ok(start)
    }

    /// Leaves the pages behind the first so many bytes to be given back; of those bytes there is one at least.
    pub fn cut(&mut self, room: usize) {
        let bytes = whole_pages(room).map_or(usize::MAX, NonZero::get);
        if bytes >= self.range.bytes {
            return;
        }
        let Range { start, bytes: old_bytes, touched } = self.range;
        // SAFETY: `bytes` is less than the mapping has.
        let behind = unsafe { start.add(bytes) };
        wait(Range { start: behind, bytes: old_bytes - bytes, touched: touched.saturating_sub(bytes) });
        (self.range.bytes, self.range.touched) = (bytes, touched.min(bytes));
    }

    /// For how many bytes there is room.
    pub fn room(&self) -> usize {
        self.range.bytes
    }

    /// How many bytes may have memory: all up to the last one that was ever to be written, in whole pages.
    pub fn bytes_used(&self) -> usize {
        self.range.touched
    }

    /// The bytes of the room.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        let Range { start, bytes, .. } = self.range;
        // SAFETY: this is the mapping, zeroed and readable; `whole_pages` bounds it to what a slice may have. It changes
        // and ends through `&mut self` and `drop` alone, which the borrow of `self` keeps away.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), bytes) }
    }

    /// The first so many bytes, to be written; no more than there is room for.
    #[inline]
    pub fn bytes_mut(&mut self, end: usize) -> &mut [u8] {
        assert!(end <= self.range.bytes, "there is room");
        if end > self.range.touched {
            self.range.touched = end.next_multiple_of(page_bytes());
        }
        // SAFETY: as in `bytes`, and the mapping is writable; `self` is its only owner and borrowed for writing.
        unsafe { std::slice::from_raw_parts_mut(self.range.start.as_ptr(), end) }
    }

    /// Makes the bytes from `from` to `to`, for which there is room, zeros. What was never touched is so already, and
    /// stays untouched.
    pub fn zero(&mut self, from: usize, to: usize) {
        let to = to.min(self.range.touched);
        if from < to {
            self.bytes_mut(to)[from..].fill(0);
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let range = std::mem::replace(&mut self.range, Range::NONE);
        // At the end of the thread there is no list any more; then the range is dropped.
        let _ = WAITING.try_with(|waiting| waiting.borrow_mut().keep_or_wait(range));
    }
}

/// Whole pages with an owner; where it is dropped itself, they are unmapped there and then.
struct Range {
    start: NonNull<u8>,
    bytes: usize,
    /// Of those, the first so many may have memory: a multiple of the page.
    touched: usize,
}

impl Range {
    const NONE: Range = Range { start: NonNull::dangling(), bytes: 0, touched: 0 };

    /// Unmaps all but the first so many bytes, a multiple of the page.
    fn keep(&mut self, bytes: usize) {
        if bytes >= self.bytes {
            return;
        }
        // SAFETY: `bytes` is less than the range has.
        let behind = unsafe { self.start.add(bytes) };
        // SAFETY: these are whole pages that `map_anonymous` made (or `mremap` from those), `self` owns them, and what is
        // a range of its own is borrowed by nobody.
        unsafe { unmap(behind.cast(), self.bytes - bytes) };
        (self.bytes, self.touched) = (bytes, self.touched.min(bytes));
    }
}

impl Drop for Range {
    fn drop(&mut self) {
        self.keep(0);
    }
}

/// What waits to be given back.
struct Waiting {
    ranges: Vec<Range>,
    /// The bytes of all that may have memory.
    touched: usize,
    /// What does not wait yet, since it may be taken again; and the same of these.
    spares: Vec<Range>,
    spares_touched: usize,
    /// Whether a spare came or was taken since that was last asked.
    spares_used: bool,
}

thread_local! {
    // A mapping cannot leave its thread.
    static WAITING: RefCell<Held<Waiting>> = const { RefCell::new(held(Waiting::NONE)) };
}

impl Waiting {
    const NONE: Waiting =
        Waiting { ranges: Vec::new(), touched: 0, spares: Vec::new(), spares_touched: 0, spares_used: false };

    fn wait(&mut self, range: Range) {
        self.touched += range.touched;
        self.ranges.push(range);
    }

    /// Keeps a range as a spare, if it makes a good one.
    fn keep_or_wait(&mut self, range: Range) {
        let is_good = (SPARE_BYTES_MIN..=SPARES_BYTES_MAX / 2).contains(&range.touched);
        if !is_good || self.spares_touched + range.touched > SPARES_BYTES_MAX {
            return self.wait(range);
        }
        self.spares_used = true;
        self.spares_touched += range.touched;
        self.spares.push(range);
    }

    /// The smallest spare with room for so many bytes.
    fn take_spare(&mut self, room: usize) -> Option<Range> {
        let fitting = self.spares.iter().enumerate().filter(|(_, range)| range.bytes >= room);
        let (number, _) = fitting.min_by_key(|(_, range)| range.touched)?;
        let range = self.spares.swap_remove(number);
        self.spares_touched -= range.touched;
        self.spares_used = true;
        Some(range)
    }

    fn let_spares_go(&mut self) {
        for range in std::mem::take(&mut self.spares) {
            self.wait(range);
        }
        self.spares_touched = 0;
    }

    fn give_back(&mut self, bytes_max: usize) -> bool {
        let page = page_bytes();
        let mut left = bytes_max - bytes_max % page;
        while left > 0
            && let Some(range) = self.ranges.last_mut()
        {
            let step = range.touched.min(left);
            // What was never touched goes along: that costs a call, and a call counts as a page.
            range.keep(range.touched - step);
            self.touched -= step;
            left -= step.max(page);
            if range.bytes == 0 {
                self.ranges.pop();
            }
        }
        if self.ranges.is_empty() {
            self.ranges = Vec::new();
        }
        !self.ranges.is_empty()
    }
}

/// Has a range wait to be given back.
fn wait(range: Range) {
    // As where a mapping is dropped.
    let _ = WAITING.try_with(|waiting| waiting.borrow_mut().wait(range));
}

/// Whether this thread has spares; and whether one came or was taken since the last call.
pub fn spares() -> (bool, bool) {
    WAITING.with_borrow_mut(|waiting| (!waiting.spares.is_empty(), std::mem::take(&mut waiting.spares_used)))
}

/// Whether this thread has spares.
pub fn has_spares() -> bool {
    WAITING.with_borrow(|waiting| !waiting.spares.is_empty())
}

/// Has all spares wait to be given back.
pub fn let_spares_go() {
    WAITING.with_borrow_mut(|waiting| waiting.let_spares_go());
}

/// Gives back up to so many bytes, and at least a page where `bytes_max` is one, of what this thread's mappings have
/// left. True while there is more.
pub fn give_back(bytes_max: usize) -> bool {
    // Nearly always nothing waits.
    WAITING.with_borrow_mut(|waiting| !waiting.ranges.is_empty() && waiting.give_back(bytes_max))
}

/// How many bytes this thread's mappings have left that are not given back yet and may have memory, spares included.
pub fn waiting_bytes() -> usize {
    WAITING.with_borrow(|waiting| waiting.touched + waiting.spares_touched)
}

/// Makes a call once more where it fails while there is something to be given back: rather a long step than none.
fn retry_with_all_given_back<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let first = call();
    if first.is_ok() || WAITING.with_borrow(|waiting| waiting.ranges.is_empty() && waiting.spares.is_empty()) {
        return first;
    }
    let_spares_go();
    give_back(usize::MAX);
    call()
}

/// As [`map_anonymous`], but what is large begins at a multiple of [`TABLE_BYTES`].
fn map_aligned(bytes: NonZero<usize>) -> io::Result<NonNull<c_void>> {
    if bytes.get() < TABLE_BYTES {
        return map_anonymous(bytes);
    }
    let around_bytes = bytes.checked_add(TABLE_BYTES).ok_or(Errno::ENOMEM)?;
    let around = map_anonymous(around_bytes)?;
    let before = around.addr().get().next_multiple_of(TABLE_BYTES) - around.addr().get();
    // SAFETY: `before` is at most `TABLE_BYTES`, and so many bytes more than asked for were mapped.
    let start = unsafe { around.add(before) };
    // SAFETY: as before.
    let behind = unsafe { start.add(bytes.get()) };
    for (start, bytes) in [(around, before), (behind, TABLE_BYTES - before)] {
        if bytes > 0 {
            // SAFETY: these are whole pages of what was just mapped, and nobody was told of them.
            unsafe { unmap(start, bytes) };
        }
    }
    Ok(start)
}

/// The bytes of the pages that so many bytes need, one at least.
fn whole_pages(bytes: usize) -> io::Result<NonZero<usize>> {
    let whole = bytes.max(1).checked_next_multiple_of(page_bytes());
    // A slice may be no longer.
    let whole = whole.filter(|&bytes| isize::try_from(bytes).is_ok()).and_then(NonZero::new);
    whole.ok_or_else(|| Errno::ENOMEM.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How much of a range is resident, in bytes, by `mincore(2)`.
    fn resident(mapping: &Mapping) -> usize {
        let mut pages = vec![0u8; mapping.room() / page_bytes()];
        let (start, bytes) = (mapping.range.start.as_ptr(), mapping.room());
        // SAFETY: the range is the mapping, which is borrowed, and there is a byte for each of its pages.
        let told = unsafe { libc::mincore(start.cast(), bytes, pages.as_mut_ptr()) };
        assert_eq!(told, 0, "{}", io::Error::last_os_error());
        pages.iter().filter(|&&page| page & 1 == 1).count() * page_bytes()
    }

    /// Gives back all that other parts of this test's thread may have left.
    fn nothing_waits() {
        let_spares_go();
        give_back(usize::MAX);
        assert_eq!(waiting_bytes(), 0);
    }

    #[test]
    fn only_what_is_touched_takes_memory() {
        let page = page_bytes();
        let mut mapping = Mapping::map(100 * page - 1).expect("a mapping");
        assert_eq!((mapping.room(), mapping.bytes_used(), resident(&mapping)), (100 * page, 0, 0));
        mapping.bytes_mut(3 * page + 1).fill(7);
        assert_eq!((mapping.bytes_used(), resident(&mapping)), (4 * page, 4 * page));
        mapping.zero(page, 50 * page);
        assert_eq!((mapping.bytes_used(), resident(&mapping)), (4 * page, 4 * page));
        assert!(mapping.bytes()[..page].iter().all(|&byte| byte == 7));
        assert!(mapping.bytes()[page..].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn growing_keeps_what_is_there() {
        let page = page_bytes();
        let mut mapping = Mapping::map(page).expect("a mapping");
        // So that it cannot grow where it is, at least once.
        let mut others = Vec::new();
        for pages in 1..100 {
            mapping.grow(pages * page).expect("room");
            others.push(Mapping::map(page).expect("a mapping"));
            mapping.bytes_mut(pages * page)[(pages - 1) * page..].fill(pages as u8);
        }
        for (number, bytes) in mapping.bytes().chunks(page).enumerate() {
            assert!(bytes.iter().all(|&byte| byte == number as u8 + 1));
        }
        assert_eq!(resident(&mapping), mapping.room());
    }

    #[test]
    fn a_large_mapping_begins_where_a_table_does() {
        let page = page_bytes();
        let is_aligned = |mapping: &Mapping| mapping.bytes().as_ptr().addr().is_multiple_of(TABLE_BYTES);
        // Whatever lies beside it.
        let mut others = Vec::new();
        for number in 1..40 {
            others.push(Mapping::map(number * page).expect("a mapping"));
            let mut mapping = Mapping::map(TABLE_BYTES + number * page).expect("a mapping");
            assert!(is_aligned(&mapping));
            mapping.bytes_mut(TABLE_BYTES + page)[TABLE_BYTES..].fill(7);
            others.push(Mapping::map(page).expect("a mapping"));
            mapping.grow((number + 1) * TABLE_BYTES).expect("room");
            assert!(is_aligned(&mapping) && mapping.bytes()[TABLE_BYTES..][..page].iter().all(|&byte| byte == 7));
            assert_eq!(resident(&mapping), page);
            others.push(mapping);
        }
    }

    #[test]
    fn what_the_kernel_refuses_changes_nothing() {
        let mut mapping = Mapping::map(1).expect("a mapping");
        mapping.bytes_mut(1).fill(7);
        // More than a slice may have, and more than there are addresses; with 32 bits there may be enough for one slice.
        let addresses = if usize::BITS > 32 { isize::MAX as usize - page_bytes() } else { usize::MAX };
        for room in [usize::MAX, isize::MAX as usize, addresses] {
            assert_eq!(Mapping::map(room).err().and_then(|error| error.raw_os_error()), Some(libc::ENOMEM));
            assert!(mapping.grow(room).is_err());
        }
        assert_eq!((mapping.room(), mapping.bytes()[0]), (page_bytes(), 7));
    }

    #[test]
    fn what_is_dropped_goes_back_in_steps_from_its_end() {
        nothing_waits();
        let page = page_bytes();
        let mut mapping = Mapping::map(100 * page).expect("a mapping");
        mapping.bytes_mut(10 * page).fill(7);
        mapping.cut(8 * page);
        assert_eq!((mapping.room(), mapping.bytes_used(), waiting_bytes()), (8 * page, 8 * page, 2 * page));
        assert!(!give_back(2 * page) && waiting_bytes() == 0);
        drop(mapping);
        for left in (0..8).rev() {
            assert_eq!(give_back(page + page / 2), left > 0);
            assert_eq!(waiting_bytes(), left * page);
        }
        assert!(!give_back(page));
        // What was never touched goes at once, but each such range counts as a page.
        (0..5).for_each(|_| drop(Mapping::map(100 * page).expect("a mapping")));
        assert_eq!(waiting_bytes(), 0);
        assert!(give_back(3 * page) && WAITING.with_borrow(|waiting| waiting.ranges.len() == 2));
        assert!(!give_back(3 * page));
        // Less than a page is nothing.
        drop(Mapping::map(1).expect("a mapping"));
        assert!(give_back(page - 1) && !give_back(page));
    }

    #[test]
    fn a_mapping_that_was_dropped_is_taken_again() {
        nothing_waits();
        let dropped = |kib: usize| {
            let mut mapping = Mapping::map(kib << 10).expect("a mapping");
            mapping.bytes_mut(kib << 10).fill(7);
        };
        // Too small, too large, and two good ones.
        [32, 5 << 10, 256, 1 << 10].into_iter().for_each(dropped);
        assert_eq!(spares(), (true, true));
        assert_eq!(spares(), (true, false));
        assert_eq!(waiting_bytes(), (32 + (5 << 10) + 256 + (1 << 10)) << 10);
        assert!(Mapping::spare(2 << 20).is_none());
        // The smaller one that fits, with all that is in it.
        let spare = Mapping::spare(100 << 10).expect("a spare");
        assert_eq!((spare.room(), spare.bytes_used(), spare.bytes()[200 << 10]), (256 << 10, 256 << 10, 7));
        assert_eq!(spares(), (true, true));
        // No more than so much is kept.
        (0..10).for_each(|_| dropped(1 << 10));
        let kept = WAITING.with_borrow(|waiting| waiting.spares_touched);
        assert_eq!(kept, SPARES_BYTES_MAX);
        let_spares_go();
        assert!(!has_spares() && Mapping::spare(1).is_none());
        while give_back(1 << 20) {}
        assert_eq!(waiting_bytes(), 0);
    }

    #[test]
    fn a_call_that_fails_is_made_again_when_all_is_given_back() {
        nothing_waits();
        let calls_until_success = || {
            let mut calls = 0;
            let result = retry_with_all_given_back(|| {
                calls += 1;
                if calls == 1 { Err(Errno::ENOMEM.into()) } else { Ok(calls) }
            });
            result.ok()
        };
        assert_eq!(calls_until_success(), None);
        drop(Mapping::map(1).expect("a mapping"));
        assert_eq!(calls_until_success(), Some(2));
        assert!(!give_back(page_bytes()));
    }
}
