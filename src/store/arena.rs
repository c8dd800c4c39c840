//! Blocks of memory for entries: many sizes, each with steps of memory of its own, and handles of 32 bits.
//!
//! A handle counts units of four bytes, which reaches 16 GiB. All blocks of a step have one size, so that a freed one
//! fits the next of its class, and nothing is written beside the blocks. What a step knows of itself is four words in a
//! table; a step without blocks goes back to the system when that is asked for. Where many blocks were freed between
//! others, the owner of the handles is asked to move some (`thin`).
//!
//! The arena does not know what is in a block, nor who has its handle: whoever allocates one frees it, once.

use crate::sys::pages::{Pages, STEP_BYTES};
use crate::sys::reserve;

/// Handles count units of so many bytes, and blocks of up to [`FINE_BYTES_MAX`] are multiples of it.
const UNIT_BYTES: usize = 4;
const STEP_UNITS: usize = STEP_BYTES / UNIT_BYTES;

/// So many steps can be told apart by a handle.
const STEPS_MAX: usize = u32::MAX as usize / STEP_UNITS;

/// The smallest block.
const BLOCK_BYTES_MIN: usize = 8;

/// The largest block.
pub(super) const BLOCK_BYTES_MAX: usize = 8192;

/// Up to this size there is a class for every four bytes; from here on, 64 for each doubling, which wastes less than a
/// hundredth and keeps half-filled steps few.
const FINE_BYTES_MAX: usize = 512;
const FINE_CLASSES: usize = FINE_BYTES_MAX / UNIT_BYTES;
const CLASSES_PER_DOUBLING: usize = 64;
const CLASSES: usize =
    FINE_CLASSES + CLASSES_PER_DOUBLING * (BLOCK_BYTES_MAX / FINE_BYTES_MAX).trailing_zeros() as usize + 1;

/// No block, or no step.
const NONE: u32 = u32::MAX;
const NO_BLOCK: u16 = u16::MAX;

const _: () = assert!(STEP_UNITS < NO_BLOCK as usize && STEPS_MAX < NONE as usize);
const _: () = assert!(BLOCK_BYTES_MAX * 8 <= STEP_BYTES && FINE_BYTES_MAX.is_power_of_two());

/// Names a block. It is a plain number: whoever frees the block forgets every copy of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Handle(u32);

impl Handle {
    /// The number that it is.
    pub(super) fn number(self) -> u32 {
        self.0
    }

    /// The handle that is this number.
    pub(super) fn of_number(number: u32) -> Handle {
        Handle(number)
    }

    #[inline]
    fn step(self) -> usize {
        self.0 as usize / STEP_UNITS
    }

    #[inline]
    fn offset(self) -> usize {
        self.0 as usize % STEP_UNITS * UNIT_BYTES
    }
}

/// What is known of a step. One without memory is a link of the list of such.
#[derive(Clone, Copy)]
struct Info {
    /// How large its blocks are.
    block_units: u16,
    /// How many of them are in use.
    used: u16,
    /// Where the first of its freed blocks lies, which tells of the next one.
    freed: u16,
    /// Behind this nothing was ever allocated.
    fresh: u16,
    /// Whether its blocks are being moved away, so that none is to come.
    leaving: bool,
    /// Its neighbours among the steps of the class that have room.
    before: u32,
    after: u32,
}

/// What is known of a class.
#[derive(Clone, Copy)]
struct Class {
    /// The first of its steps that have room.
    roomy: u32,
    /// How many steps it has, and how many blocks of them are in use.
    steps: u32,
    used: u32,
}

impl Class {
    const EMPTY: Class = Class { roomy: NONE, steps: 0, used: 0 };
}

/// Blocks of any size up to [`BLOCK_BYTES_MAX`].
pub(super) struct Arena {
    steps: Vec<Option<Pages>>,
    infos: Vec<Info>,
    classes: Box<[Class]>,
    /// A class that was found thin, a step that was found loose, and one that is being emptied.
    thin: Option<usize>,
    loose: Option<u32>,
    emptying: Option<u32>,
    /// The first of the numbers of steps that have no memory.
    vacant: u32,
    /// Emptied steps. One is kept, so that a key that comes and goes does not ask the system each time; the others go
    /// one by one when [`Arena::release`] is called, since many may get empty in the same moment.
    spares: Vec<Pages>,
    bytes: usize,
}

impl Default for Arena {
    fn default() -> Arena {
        Arena {
            steps: Vec::new(),
            infos: Vec::new(),
            classes: Box::default(),
            thin: None,
            loose: None,
            emptying: None,
            vacant: NONE,
            spares: Vec::new(),
            bytes: 0,
        }
    }
}

/// How many bytes a block has that was asked for with so many.
pub(super) fn block_bytes(bytes: usize) -> usize {
    if bytes <= FINE_BYTES_MAX {
        return bytes.max(BLOCK_BYTES_MIN).next_multiple_of(UNIT_BYTES);
    }
    bytes.next_multiple_of(coarse_step(bytes))
}

/// What sizes are multiples of between this one's power of two and the next.
fn coarse_step(bytes: usize) -> usize {
    bytes.next_power_of_two() / 2 / CLASSES_PER_DOUBLING
}

/// The number of the class of a block's size.
fn class_of(block_bytes: usize) -> usize {
    if block_bytes <= FINE_BYTES_MAX {
        return block_bytes / UNIT_BYTES;
    }
    let half = block_bytes.next_power_of_two() / 2;
    let doublings = (half / FINE_BYTES_MAX).trailing_zeros() as usize;
    FINE_CLASSES + doublings * CLASSES_PER_DOUBLING + (block_bytes - half) / coarse_step(block_bytes)
}

impl Arena {
    /// The bytes of all blocks in use.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// A block of at least so many bytes, at most [`BLOCK_BYTES_MAX`]; what is in it is left over from whoever had it
    /// before. None when the system has no memory for it, or no handle is left.
    pub(super) fn alloc(&mut self, bytes: usize) -> Option<Handle> {
        let block_bytes = block_bytes(bytes);
        let class = class_of(block_bytes);
        let mut number = self.classes.get(class).map_or(NONE, |class| class.roomy);
        if number == NONE {
            number = self.open(class, block_bytes)?;
        }
        let info = &mut self.infos[number as usize];
        let unit = info.freed;
        let handle = if unit == NO_BLOCK {
            let unit = info.fresh;
            info.fresh += info.block_units;
            Handle(number * STEP_UNITS as u32 + u32::from(unit))
        } else {
            let handle = Handle(number * STEP_UNITS as u32 + u32::from(unit));
            self.infos[number as usize].freed = self.freed_after(handle);
            handle
        };
        let info = &mut self.infos[number as usize];
        info.used += 1;
        self.classes[class].used += 1;
        if !info.has_room() {
            self.unlist(number, class);
        }
        self.bytes += block_bytes;
        Some(handle)
    }

    /// As [`Arena::alloc`]. Where memory is short, whoever asks for it is refused before it comes to this, and what goes
    /// on takes from the reserve; when that is used up as well, the process ends.
    pub(super) fn take(&mut self, bytes: usize) -> Handle {
        self.alloc(bytes).unwrap_or_else(|| {
            std::alloc::handle_alloc_error(std::alloc::Layout::array::<u8>(bytes).expect("a block is small"))
        })
    }

    /// Takes a block back.
    pub(super) fn free(&mut self, handle: Handle) {
        let number = handle.step();
        let block_bytes = self.infos[number].block_bytes();
        if cfg!(debug_assertions) {
            // So that who still reads it notices.
            self.block_mut(handle)[..block_bytes].fill(0xDB);
        }
        let info = &mut self.infos[number];
        let (had_room, freed) = (info.has_room(), info.freed);
        info.freed = (handle.0 as usize % STEP_UNITS) as u16;
        info.used -= 1;
        let is_empty = info.used == 0;
        if info.is_loose() {
            self.loose = Some(number as u32);
        }
        self.bytes -= block_bytes;
        let class = class_of(block_bytes);
        self.classes[class].used -= 1;
        if self.classes[class].is_thin(block_bytes) {
            self.thin = Some(class);
        }
        if is_empty {
            if had_room {
                self.unlist(number as u32, class);
            }
            self.classes[class].steps -= 1;
            self.close(number);
            return;
        }
        self.block_mut(handle)[..2].copy_from_slice(&freed.to_le_bytes());
        if !had_room && self.infos[number].has_room() {
            self.enlist(number as u32, class);
        }
    }

    /// Where the next free block of the step lies.
    fn freed_after(&self, freed: Handle) -> u16 {
        u16::from_le_bytes(*self.block(freed).first_chunk().expect("a block has eight bytes"))
    }

    /// The bytes from a block's beginning to its step's end: who has the handle knows how many of them are the block's.
    #[inline]
    pub(super) fn block(&self, handle: Handle) -> &[u8] {
        let pages = self.steps[handle.step()].as_ref().expect("a block's step has memory");
        &pages.bytes()[handle.offset()..]
    }

    /// As [`Arena::block`], of a handle that may be void by now; none where no memory is.
    #[inline]
    pub(super) fn block_if_there(&self, handle: Handle) -> Option<&[u8]> {
        let pages = self.steps.get(handle.step())?.as_ref()?;
        Some(&pages.bytes()[handle.offset()..])
    }

    /// As [`Arena::block`], to be changed.
    #[inline]
    pub(super) fn block_mut(&mut self, handle: Handle) -> &mut [u8] {
        let pages = self.steps[handle.step()].as_mut().expect("a block's step has memory");
        &mut pages.bytes_mut()[handle.offset()..]
    }

    /// Gives a step of an arena that is being freed back, whatever is in it; false when there is none left.
    pub(super) fn give_back(&mut self) -> bool {
        while let Some(info) = self.infos.pop() {
            if self.steps.pop().flatten().is_some() {
                self.bytes -= usize::from(info.used) * info.block_bytes();
                return true;
            }
        }
        self.spares.pop().is_some()
    }

    /// Gives an emptied step back; false when there is none but the one that is kept.
    pub(super) fn release(&mut self) -> bool {
        if self.spares.len() > 1 {
            self.spares.pop();
            return true;
        }
        false
    }

    /// A step for this class, with room for all of its blocks.
    fn open(&mut self, class: usize, block_bytes: usize) -> Option<u32> {
        if self.vacant == NONE && self.steps.len() == STEPS_MAX {
            return None;
        }
        let pages = match self.spares.pop() {
            Some(pages) => pages,
            None => reserve::step()?,
        };
        let block_units = (block_bytes / UNIT_BYTES) as u16;
        let info = Info { block_units, used: 0, freed: NO_BLOCK, fresh: 0, leaving: false, before: NONE, after: NONE };
        let number = self.vacant;
        if number == NONE {
            self.steps.push(Some(pages));
            self.infos.push(info);
        } else {
            self.vacant = self.infos[number as usize].after;
            self.steps[number as usize] = Some(pages);
            self.infos[number as usize] = info;
        }
        if self.classes.is_empty() {
            self.classes = vec![Class::EMPTY; CLASSES].into();
        }
        self.classes[class].steps += 1;
        let number = if number == NONE { self.steps.len() as u32 - 1 } else { number };
        self.enlist(number, class);
        Some(number)
    }

    /// Keeps the memory of an empty step to be given back.
    fn close(&mut self, number: usize) {
        self.spares.extend(self.steps[number].take());
        self.emptying = self.emptying.filter(|&emptying| emptying != number as u32);
        if self.bytes == 0 {
            // Nothing is in use: the tables go as well.
            let spares = std::mem::take(&mut self.spares);
            *self = Arena { spares, ..Arena::default() };
            return;
        }
        self.infos[number].after = self.vacant;
        self.vacant = number as u32;
    }

    /// Puts a step first among those of its class that have room.
    fn enlist(&mut self, number: u32, class: usize) {
        let after = std::mem::replace(&mut self.classes[class].roomy, number);
        if after != NONE {
            self.infos[after as usize].before = number;
        }
        let info = &mut self.infos[number as usize];
        (info.before, info.after) = (NONE, after);
    }

    fn unlist(&mut self, number: u32, class: usize) {
        let Info { before, after, .. } = self.infos[number as usize];
        if before == NONE {
            self.classes[class].roomy = after;
        } else {
            self.infos[before as usize].after = after;
        }
        if after != NONE {
            self.infos[after as usize].before = before;
        }
    }
}

impl Info {
    fn block_bytes(&self) -> usize {
        usize::from(self.block_units) * UNIT_BYTES
    }

    fn has_room(&self) -> bool {
        !self.leaving
            && (self.freed != NO_BLOCK || usize::from(self.fresh) + usize::from(self.block_units) <= STEP_UNITS)
    }
}

mod thin;

#[cfg(test)]
mod tests;
