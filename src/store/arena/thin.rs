//! Memory between blocks: where many were freed between others, and how that room goes back to the system.
//!
//! Where the other steps of a class have room for all blocks of one, that one is emptied. Where a step cannot be emptied,
//! since its class has too few, its blocks move together at its beginning, and the rest of it is given back; so many
//! classes of a few blocks each do not hold a step each.

use super::*;

/// Of the steps of a thin class, the emptiest of so many is emptied.
const THIN_STEPS_SEEN: usize = 16;

/// A step is loose when so many bytes between its blocks are free, and more than its blocks take.
const LOOSE_BYTES: usize = STEP_BYTES / 4;

/// Steps are told apart by how far they are filled, in so many parts.
const FILLS: usize = 64;

impl Class {
    /// Whether more than a quarter of the room for blocks of this size is free, and a step at least: then the other steps
    /// have room for all blocks of any one.
    pub(super) fn is_thin(&self, block_bytes: usize) -> bool {
        let step_blocks = (STEP_BYTES / block_bytes) as u32;
        let free = self.steps * step_blocks - self.used;
        free > self.steps * step_blocks / 4 && free >= step_blocks && self.steps > 1
    }
}

impl Info {
    /// Whether the step would be much smaller if its blocks stood together.
    pub(super) fn is_loose(&self) -> bool {
        let used = usize::from(self.used) * self.block_bytes();
        let free = usize::from(self.fresh) * UNIT_BYTES - used;
        free >= LOOSE_BYTES && free > used && used > 0 && !self.leaving
    }

    /// How many blocks the step has room for.
    fn step_blocks(&self) -> usize {
        STEP_UNITS / usize::from(self.block_units)
    }

    /// How far it is filled, up to [`FILLS`].
    fn fill(&self) -> usize {
        usize::from(self.used) * FILLS / self.step_blocks()
    }

    /// The first unit behind all blocks, if they stood together.
    fn packed(&self) -> u16 {
        self.used * self.block_units
    }
}

impl Arena {
    /// Adds some blocks to `blocks`, at most so many, that are better elsewhere. The caller moves each: allocates one of
    /// the same size, and when this is done for all, frees the old ones. None when there is nothing to gain by it.
    pub(in crate::store) fn leave_thin(&mut self, blocks_max: usize, blocks: &mut Vec<Handle>) {
        if self.emptying.is_none() {
            self.emptying = self.thin_step();
        }
        match self.emptying {
            Some(number) => self.list_blocks(number, 0, blocks_max, blocks),
            None => self.pack_loose_step(blocks_max, blocks),
        }
    }

    /// Marks the emptiest steps of each class as being left, as many as the room of its other steps makes needless. The
    /// caller moves each block that [`Arena::is_leaving`].
    pub(in crate::store) fn leave_thin_steps(&mut self) {
        for class in 0..self.classes.len() {
            let (mut counts, mut room) = ([0; FILLS + 1], 0);
            let mut next = self.classes[class].roomy;
            while next != NONE {
                let info = &self.infos[next as usize];
                next = info.after;
                counts[info.fill()] += 1;
                room += info.step_blocks() - usize::from(info.used);
            }
            for (fill, &count) in counts.iter().enumerate() {
                if count > 0 {
                    self.leave_steps(class, fill, &mut room);
                }
            }
        }
    }

    /// Marks the steps of a class that are filled so far as being left, while the others have room for their blocks.
    fn leave_steps(&mut self, class: usize, fill: usize, room: &mut usize) {
        let mut next = self.classes[class].roomy;
        while next != NONE {
            let (number, info) = (next, &self.infos[next as usize]);
            next = info.after;
            // The step's own room goes with it, and its blocks take as much of the others'.
            if info.fill() == fill
                && let Some(left) = room.checked_sub(info.step_blocks())
            {
                *room = left;
                self.leave(number, class);
            }
        }
    }

    /// Whether a block's step is being left.
    pub(in crate::store) fn is_leaving(&self, handle: Handle) -> bool {
        self.infos[handle.step()].leaving
    }

    /// No block is to come into a step any more.
    fn leave(&mut self, number: u32, class: usize) {
        self.unlist(number, class);
        self.infos[number as usize].leaving = true;
    }

    /// A step of a thin class, which is left from now on.
    fn thin_step(&mut self) -> Option<u32> {
        // A class that was thin when a block was freed may be so no more, and another one be thin.
        if self.thin.is_some_and(|class| !self.is_thin(class)) {
            self.thin = (0..self.classes.len()).find(|&class| self.is_thin(class));
        }
        let class = self.thin?;
        let mut number = self.classes[class].roomy;
        let mut next = number;
        for _ in 0..THIN_STEPS_SEEN {
            let Some(info) = self.infos.get(next as usize) else { break };
            if info.used < self.infos[number as usize].used {
                number = next;
            }
            next = info.after;
        }
        self.leave(number, class);
        Some(number)
    }

    /// Whether a class is thin; one that is has steps with room.
    fn is_thin(&self, class: usize) -> bool {
        let class = &self.classes[class];
        class.roomy != NONE && class.is_thin(self.infos[class.roomy as usize].block_bytes())
    }

    /// The blocks of a loose step that stand behind where all would end if they stood together; the next blocks of its
    /// class come into the room between the others. A loose step without such blocks gives the rest of its memory back.
    fn pack_loose_step(&mut self, blocks_max: usize, blocks: &mut Vec<Handle>) {
        while let Some(number) = self.loose {
            let info = self.infos[number as usize];
            if self.steps[number as usize].is_some() && info.is_loose() {
                self.list_blocks(number, info.packed(), blocks_max, blocks);
                if !blocks.is_empty() {
                    return self.order_free_blocks(number);
                }
                self.cut_off(number);
            }
            let is_loose = |number: &usize| self.steps[*number].is_some() && self.infos[*number].is_loose();
            self.loose = (0..self.infos.len()).find(is_loose).map(|number| number as u32);
        }
    }

    /// Puts a step first among the roomy ones of its class, and its first free block first among those.
    fn order_free_blocks(&mut self, number: u32) {
        let class = class_of(self.infos[number as usize].block_bytes());
        self.unlist(number, class);
        self.enlist(number, class);
        let first = number * STEP_UNITS as u32;
        let handle = |unit: u16| Handle(first + u32::from(unit));
        let free = self.free_blocks(number);
        let Info { fresh, block_units, .. } = self.infos[number as usize];
        let mut after = NO_BLOCK;
        for place in (0..fresh / block_units).rev().filter(|&place| free.has(place.into())) {
            let unit = place * block_units;
            self.block_mut(handle(unit))[..2].copy_from_slice(&after.to_le_bytes());
            after = unit;
        }
        self.infos[number as usize].freed = after;
    }

    /// Gives back what is behind the blocks of a step that stand together.
    fn cut_off(&mut self, number: u32) {
        let info = &mut self.infos[number as usize];
        info.fresh = info.packed();
        info.freed = NO_BLOCK;
        let end = usize::from(info.fresh) * UNIT_BYTES;
        if let Some(pages) = &mut self.steps[number as usize] {
            pages.forget_from(end);
        }
    }

    /// Adds the blocks of a step to `blocks`, without those that are free, in order, from this unit on; at most so many.
    pub(super) fn list_blocks(&self, number: u32, from: u16, blocks_max: usize, blocks: &mut Vec<Handle>) {
        let free = self.free_blocks(number);
        let info = &self.infos[number as usize];
        let (mut place, mut unit, mut left) = (0, 0, blocks_max);
        while unit < info.fresh && left > 0 {
            if unit >= from && !free.has(place) {
                blocks.push(Handle(number * STEP_UNITS as u32 + u32::from(unit)));
                left -= 1;
            }
            place += 1;
            unit += info.block_units;
        }
    }

    /// Which blocks of a step were freed.
    fn free_blocks(&self, number: u32) -> Places {
        let info = &self.infos[number as usize];
        let first = number * STEP_UNITS as u32;
        let (mut free, mut unit) = (Places([0; PLACE_WORDS]), info.freed);
        while unit != NO_BLOCK {
            free.add(usize::from(unit / info.block_units));
            unit = self.freed_after(Handle(first + u32::from(unit)));
        }
        free
    }
}

const PLACE_WORDS: usize = STEP_BYTES / BLOCK_BYTES_MIN / 64;

/// Some of the places that a step has for blocks.
struct Places([u64; PLACE_WORDS]);

impl Places {
    fn add(&mut self, place: usize) {
        self.0[place / 64] |= 1 << (place % 64);
    }

    fn has(&self, place: usize) -> bool {
        self.0[place / 64] >> (place % 64) & 1 == 1
    }
}
