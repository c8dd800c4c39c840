//! Memory that is kept back for the moment in which the system has none to give: who asks for some then is to be answered
//! with an error, and the work that was begun is to be ended.
//!
//! Each thread that calls [`refill`] has a reserve of its own: steps for the store, and as much again for the allocator,
//! which gets it by [`Allocator`] when the C library fails. Nothing of it is touched before, so that it takes addresses
//! and no memory. Once some of it is used, memory [is short](is_short) until [`refill`] has got all of it back.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::ptr;

use super::mapping::{self, Mapping};
use super::pages::{Pages, STEP_BYTES};
use super::{Held, held};

/// So many steps are for the store: what one request may take besides long values, many words in one request aside.
const STEPS: usize = 64;

/// So many are for everything else: buffers, lists, records of clients. The C library asks for a megabyte at a time.
const BALLAST_STEPS: usize = 32;

thread_local! {
    static SHORT: Cell<bool> = const { Cell::new(false) };
    static KEPT: RefCell<Held<Kept>> =
        const { RefCell::new(held(Kept { steps: Vec::new(), ballast: Ballast::NONE })) };
}

struct Kept {
    steps: Vec<Pages>,
    ballast: Ballast,
}

/// What is kept for the allocator: all of it, or nothing.
#[derive(Default)]
struct Ballast {
    steps: Vec<Pages>,
    /// What the C library has itself where the system has nothing: of what was freed between other blocks, nothing goes
    /// back to the system.
    blocks: Vec<Vec<u8>>,
}

impl Ballast {
    const NONE: Ballast = Ballast { steps: Vec::new(), blocks: Vec::new() };

    fn is_there(&self) -> bool {
        !self.steps.is_empty() || !self.blocks.is_empty()
    }
}

/// So many steps, or none where there are not so many.
fn steps(count: usize) -> Option<Vec<Pages>> {
    // Asked for at once first, so that a system that has not enough is left with what it has.
    let has_room = count == 0 || Mapping::map((count + 1) * STEP_BYTES).is_ok();
    mapping::give_back(usize::MAX);
    if !has_room {
        return None;
    }
    let mut steps = Vec::new();
    for _ in 0..count {
        steps.push(Pages::map().ok()?);
    }
    Some(steps)
}

/// As many bytes of the allocator's own.
fn blocks(count: usize) -> Option<Vec<Vec<u8>>> {
    let mut blocks = Vec::new();
    for _ in 0..count {
        let mut block = Vec::new();
        block.try_reserve_exact(STEP_BYTES).ok()?;
        blocks.push(block);
    }
    Some(blocks)
}

/// Whether some of the reserve was used and is not there again.
#[inline(always)]
pub fn is_short() -> bool {
    SHORT.get()
}

/// Keeps back what is missing; true when nothing is missing then.
pub fn refill() -> bool {
    let (missing, has_ballast) = KEPT.with_borrow(|kept| (STEPS - kept.steps.len(), kept.ballast.is_there()));
    // Nothing is borrowed meanwhile: what fails here may want the ballast.
    let new = steps(missing);
    if let Some(new) = new {
        KEPT.with_borrow_mut(|kept| kept.steps.extend(new));
        if !has_ballast && let Some(ballast) = new_ballast() {
            KEPT.with_borrow_mut(|kept| kept.ballast = ballast);
        }
    }
    let is_full = KEPT.with_borrow(|kept| kept.steps.len() == STEPS && kept.ballast.is_there());
    SHORT.set(!is_full);
    is_full
}

fn new_ballast() -> Option<Ballast> {
    let of_steps = || Some(Ballast { steps: steps(BALLAST_STEPS)?, ..Ballast::NONE });
    let of_blocks = || Some(Ballast { blocks: blocks(BALLAST_STEPS)?, ..Ballast::NONE });
    of_steps().or_else(of_blocks)
}

/// A step for the store: a new one, or where the system has none, one of the reserve. None where that is used up, or was
/// never filled.
pub fn step() -> Option<Pages> {
    let new = Pages::map().or_else(|_| {
        // What waits to be given back comes before what is kept.
        mapping::give_back(usize::MAX);
        Pages::map()
    });
    new.ok().or_else(|| {
        SHORT.set(true);
        KEPT.with_borrow_mut(|kept| kept.steps.pop())
    })
}

/// Whether the system could give so many bytes now. Where it could not, memory is short until [`refill`] has looked again.
pub fn has_room(bytes: usize) -> bool {
    let has_room = Mapping::map(bytes).is_ok();
    if !has_room {
        SHORT.set(true);
    }
    has_room
}

/// Gives what is kept for the allocator back to the system; false where nothing is, or at the thread's end.
#[cold]
#[inline(never)]
fn release_ballast() -> bool {
    let ballast = KEPT.try_with(|kept| kept.try_borrow_mut().map(|mut kept| std::mem::take(&mut kept.ballast)));
    let released = matches!(ballast, Ok(Ok(ref ballast)) if ballast.is_there());
    if released {
        SHORT.set(true);
    }
    released
}

/// The C library's allocator, which is asked once more with the reserve given back before it fails.
pub struct Allocator;

/// What malloc(3) gives is aligned to so much.
const MALLOC_ALIGN: usize = 2 * size_of::<usize>();

// SAFETY: a block is one of the C library's, or lies in one that is as much larger as its alignment may take, with the
// address of that before it. Where the C library fails it has changed nothing, and is called a second time.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() > MALLOC_ALIGN {
            return alloc_aligned(layout);
        }
        // SAFETY: malloc(3) may be called with any number.
        or_again(|| unsafe { libc::malloc(layout.size()) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.align() > MALLOC_ALIGN {
            let block = alloc_aligned(layout);
            if !block.is_null() {
                // SAFETY: the block has these bytes.
                unsafe { block.write_bytes(0, layout.size()) };
            }
            return block;
        }
        // SAFETY: calloc(3) may be called with any number.
        or_again(|| unsafe { libc::calloc(layout.size(), 1) })
    }

    unsafe fn dealloc(&self, mut block: *mut u8, layout: Layout) {
        if layout.align() > MALLOC_ALIGN {
            // SAFETY: the block is one of `alloc_aligned`, as the layout says.
            block = unsafe { whole(block).read() };
        }
        // SAFETY: this is what malloc(3), calloc(3) or realloc(3) gave, and the caller gives it back.
        unsafe { libc::free(block.cast()) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if layout.align() > MALLOC_ALIGN {
            // SAFETY: the caller promises that the new size makes a layout too.
            let new = alloc_aligned(unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) });
            if !new.is_null() {
                // SAFETY: both blocks have so many bytes, and they are two.
                unsafe { new.copy_from_nonoverlapping(block, new_size.min(layout.size())) };
                // SAFETY: as the caller promises; nothing uses the old block any more.
                unsafe { self.dealloc(block, layout) };
            }
            return new;
        }
        // SAFETY: as in `dealloc`. A realloc(3) that fails leaves the block as it is.
        or_again(|| unsafe { libc::realloc(block.cast(), new_size) })
    }
}

/// What `ask` gives; where it is nothing, what it gives once the reserve was given back.
#[inline(always)]
fn or_again(ask: impl Fn() -> *mut c_void) -> *mut u8 {
    let block = ask();
    if block.is_null() && release_ballast() { ask().cast() } else { block.cast() }
}

/// A block that is more aligned than malloc's are. (aligned_alloc(3) of musl is 1 kB that nobody needs but this.)
#[cold]
#[inline(never)]
fn alloc_aligned(layout: Layout) -> *mut u8 {
    let Some(bytes) = layout.size().checked_add(layout.align()) else { return ptr::null_mut() };
    // SAFETY: malloc(3) may be called with any number.
    let block = or_again(|| unsafe { libc::malloc(bytes) });
    if block.is_null() {
        return block;
    }
    // There are `align` bytes more than asked for.
    let aligned = block.wrapping_add(layout.align() - block.addr() % layout.align());
    // SAFETY: what malloc(3) gives is aligned to two addresses, so that there is room for one before what is aligned to more.
    unsafe { whole(aligned).write(block) };
    aligned
}

/// Where a block of `alloc_aligned` has the address of the C library's, before itself.
fn whole(aligned: *mut u8) -> *mut *mut u8 {
    aligned.cast::<*mut u8>().wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fault;

    #[test]
    fn the_reserve_is_used_where_the_system_has_nothing_and_comes_again() {
        assert!(!is_short() && refill());
        fault::exhaust(true);
        let steps: Vec<Pages> = std::iter::from_fn(step).collect();
        assert_eq!(steps.len(), STEPS);
        assert!(is_short() && !refill() && !has_room(1) && is_short());
        fault::exhaust(false);
        assert!(step().is_some() && is_short());
        assert!(refill() && !is_short());
        assert!(release_ballast() && is_short() && !release_ballast());
        // What the C library has left will do for itself.
        fault::exhaust(true);
        assert!(refill() && !is_short());
        fault::exhaust(false);
        assert!(release_ballast() && refill() && !is_short());
        drop(steps);
    }

    #[test]
    fn blocks_are_as_aligned_as_asked_for_and_keep_their_bytes() {
        for align in [1, 8, 16, 32, 64, 4096] {
            for size in [1, 7, 100, 5000] {
                let layout = Layout::from_size_align(size, align).expect("a layout");
                // SAFETY: the layout is of more than nothing.
                let block = unsafe { Allocator.alloc_zeroed(layout) };
                assert_eq!(block.addr() % align, 0);
                // SAFETY: the block has these bytes, which are zeros.
                let bytes = unsafe { std::slice::from_raw_parts_mut(block, size) };
                assert!(bytes.iter().all(|&byte| byte == 0));
                bytes.fill(7);
                // SAFETY: the block is one of this layout.
                let larger = unsafe { Allocator.realloc(block, layout, 3 * size) };
                assert_eq!(larger.addr() % align, 0);
                // SAFETY: these were there before.
                assert!(unsafe { std::slice::from_raw_parts(larger, size) }.iter().all(|&byte| byte == 7));
                let layout = Layout::from_size_align(3 * size, align).expect("a layout");
                // SAFETY: the block is one of this layout.
                unsafe { Allocator.dealloc(larger, layout) };
                // SAFETY: the layout is of more than nothing.
                let block = unsafe { Allocator.alloc(layout) };
                assert_eq!(block.addr() % align, 0);
                // SAFETY: the block is one of this layout.
                unsafe { Allocator.dealloc(block, layout) };
            }
        }
    }
}
