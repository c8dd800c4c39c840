//! The bytes of a page's table: where things lie in its block, and how they are read and written there.
//!
//! A table begins with groups of sixteen lanes: a tag byte for each lane, a counter, a handle for each lane. While use is
//! tracked (`usage`) a column of marks follows: the tick up to which they have faded, and a byte a lane. Where entries of
//! the page end, a column of times follows: a lower bound of all of them; for each group a mask of the lanes that end
//! and how many such there are in the groups before; then the times, five bytes each, in the order of group and lane. So
//! a time takes its own bytes and little more, and an entry that does not end takes none.
//!
//! [`Shape`] tells what a table has and where: another column is one more part of it.

use super::account::work;
use super::arena::{BLOCK_BYTES_MAX, Handle};
use super::hash;
use super::usage::fade;
use crate::limits::PAGE_ENTRIES_MAX;
use crate::sys::simd::{LANES, lanes_equal, prefetch};

const HANDLE_BYTES: usize = 4;
const OVERFLOW_AT: usize = LANES;
const HANDLES_AT: usize = OVERFLOW_AT + 1;
const GROUP_BYTES: usize = HANDLES_AT + LANES * HANDLE_BYTES;

/// The tick up to which the marks have faded.
const TICK_BYTES: usize = 4;

/// The lower bound, and what each group has of the column.
const DUE_BYTES: usize = 8;
const MASK_BYTES: usize = 4;
const TIME_BYTES: usize = 5;

/// A time in a column that is this one may be any later one as well: the entry's block tells. Earlier ones are more than
/// thirty years of a clock that starts with the box.
pub(super) const TIME_LATE: u64 = (1 << (8 * TIME_BYTES)) - 1;

/// A counter that got here is no longer exact: it stays until the page is rebuilt.
pub(super) const OVERFLOW_MAX: u8 = u8::MAX;

/// A table with a column has a size of so many between one power of two and the next: what that leaves is room for more
/// times, and sizes are few, so that the arena's steps fill.
const SIZES_PER_DOUBLING: usize = 8;

/// Where an entry stands in a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) group: usize,
    pub(super) lane: usize,
}

/// An entry as an index knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Item {
    pub(super) handle: Handle,
    /// When it ends, if ever, at most [`TIME_LATE`].
    pub(super) time: Option<u64>,
}

/// What a table has: all offsets follow from it.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Shape {
    groups: u16,
    /// How many times the column has room for; without a column none.
    room: u16,
    /// Whether there is a column of marks.
    marked: bool,
}

impl Shape {
    /// So many groups, room for at least so many times, and a column of marks or none.
    pub(super) fn new(groups: usize, times: usize, marked: bool) -> Shape {
        let plain = Shape { groups: groups as u16, room: 0, marked };
        if times == 0 {
            return plain;
        }
        let needed = plain.times_at() + times * TIME_BYTES;
        let bytes = needed.next_multiple_of((needed.next_power_of_two() / 2 / SIZES_PER_DOUBLING).max(1));
        let room = ((bytes - plain.times_at()) / TIME_BYTES).min(groups * LANES);
        Shape { room: room as u16, ..plain }
    }

    pub(super) const fn groups(self) -> usize {
        self.groups as usize
    }

    pub(super) const fn room(self) -> usize {
        self.room as usize
    }

    /// How many bytes the table has.
    pub(super) const fn bytes(self) -> usize {
        if self.room == 0 { self.due_at() } else { self.bytes_with(self.room()) }
    }

    /// How many bytes are in use when so many entries end.
    pub(super) const fn bytes_with(self, times: usize) -> usize {
        if times == 0 { self.due_at() } else { self.time_at(times) }
    }

    /// The group after this one, the first after the last.
    #[inline]
    fn next(self, index: usize) -> usize {
        if index + 1 == self.groups() { 0 } else { index + 1 }
    }

    /// Whether there is a column of marks.
    pub(super) const fn is_marked(self) -> bool {
        self.marked
    }

    /// Where the groups end.
    pub(super) const fn marks_at(self) -> usize {
        self.groups() * GROUP_BYTES
    }

    /// Where the marks end.
    pub(super) const fn due_at(self) -> usize {
        self.marks_at() + if self.marked { TICK_BYTES + self.groups() * LANES } else { 0 }
    }

    fn mark_at(self, place: Place) -> usize {
        self.marks_at() + TICK_BYTES + place.group * LANES + place.lane
    }

    const fn mask_at(self, group: usize) -> usize {
        self.due_at() + DUE_BYTES + group * MASK_BYTES
    }

    const fn times_at(self) -> usize {
        self.mask_at(self.groups())
    }

    const fn time_at(self, index: usize) -> usize {
        self.times_at() + index * TIME_BYTES
    }
}

/// A page grows by a fifth of its groups when it has fewer than [`PAGE_ENTRIES_MAX`] entries, which are 29/32 of its lanes
/// at least: more groups than this it never has. This is one with all columns.
const LARGEST: Shape = {
    let groups = (PAGE_ENTRIES_MAX * 32).div_ceil(29 * LANES) * 6 / 5;
    Shape { groups: groups as u16, room: (groups * LANES) as u16, marked: true }
};
const _: () = assert!(LARGEST.bytes() <= BLOCK_BYTES_MAX);

/// A group of lanes, to be read.
#[derive(Clone, Copy)]
pub(super) struct Group<'a>(&'a [u8; GROUP_BYTES]);

impl Group<'_> {
    /// The lanes whose tag is this one, a bit each.
    #[inline]
    pub(super) fn lanes_with(self, tag: u8) -> u16 {
        lanes_equal(self.0.first_chunk().expect("a group has a tag a lane"), tag)
    }

    /// How many entries whose home is this group, or one before on their way, stand behind it.
    #[inline]
    pub(super) fn overflow(self) -> u8 {
        self.0[OVERFLOW_AT]
    }

    #[inline]
    pub(super) fn handle(self, lane: usize) -> Handle {
        let (handles, _) = self.0[HANDLES_AT..].as_chunks();
        Handle::of_number(u32::from_le_bytes(handles[lane]))
    }
}

/// The entries of a table that are still to come. A type of its own, since what is made of closures takes ten times the
/// code.
pub(super) struct Entries<'a> {
    table: Table<'a>,
    groups_begun: usize,
    /// What is left of the last group that was begun.
    lanes: u16,
}

impl Iterator for Entries<'_> {
    type Item = (Place, Handle);

    fn next(&mut self) -> Option<(Place, Handle)> {
        while self.lanes == 0 {
            if self.groups_begun == self.table.shape.groups() {
                return None;
            }
            self.lanes = !self.table.group(self.groups_begun).lanes_with(0);
            self.groups_begun += 1;
        }
        let place = Place { group: self.groups_begun - 1, lane: self.lanes.trailing_zeros() as usize };
        self.lanes &= self.lanes - 1;
        Some((place, self.table.group(place.group).handle(place.lane)))
    }
}

/// A table, to be read.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    bytes: &'a [u8],
    shape: Shape,
}

impl<'a> Table<'a> {
    /// The table that begins with these bytes, which may be followed by anything.
    #[inline]
    pub(super) fn of(bytes: &'a [u8], shape: Shape) -> Table<'a> {
        Table { bytes, shape }
    }

    #[inline]
    pub(super) fn group(self, index: usize) -> Group<'a> {
        Group(self.bytes[index * GROUP_BYTES..].first_chunk().expect("a table has all of its groups"))
    }

    /// The first entry that is `wanted` of those whose tag is that of this hash, from the home group on to the first
    /// group that nobody was pushed past.
    #[inline(always)]
    pub(super) fn search(self, hash: u64, mut wanted: impl FnMut(Handle) -> bool) -> Option<(Place, Handle)> {
        let mut index = hash::home(hash, self.shape.groups());
        for _ in 0..self.shape.groups() {
            let group = self.group(index);
            for lane in lanes(group.lanes_with(hash::tag(hash))) {
                let handle = group.handle(lane);
                if wanted(handle) {
                    return Some((Place { group: index, lane }, handle));
                }
            }
            if group.overflow() == 0 {
                return None;
            }
            index = self.shape.next(index);
        }
        None
    }

    /// All entries with where they stand, in the order of group and lane.
    pub(super) fn entries(self) -> Entries<'a> {
        Entries { table: self, groups_begun: 0, lanes: 0 }
    }

    /// When the entry at a place ends, if it does.
    #[cfg_attr(memento_small, inline(never))]
    pub(super) fn time(self, place: Place) -> Option<u64> {
        if self.shape.room == 0 {
            return None;
        }
        let mask = self.mask(place.group);
        (mask >> place.lane & 1 == 1).then(|| self.nth_time(self.time_index(place)))
    }

    /// The mark of the entry at a place, as it has faded by this tick; none where there is no column of marks.
    #[inline]
    pub(super) fn mark(self, place: Place, tick: u32) -> Option<u8> {
        if !self.shape.marked {
            return None;
        }
        let ticks = u8::try_from(tick.wrapping_sub(self.tick())).unwrap_or(u8::MAX);
        Some(self.bytes[self.shape.mark_at(place)].saturating_sub(ticks))
    }

    /// The tick up to which the marks have faded.
    fn tick(self) -> u32 {
        u32::from_le_bytes(*self.bytes[self.shape.marks_at()..].first_chunk().expect("a column of marks has a tick"))
    }

    /// The entries that end, with where they stand and when, in the order of group and lane.
    pub(super) fn ending(self) -> impl Iterator<Item = (Place, u64)> + use<'a> {
        let groups = if self.shape.room == 0 { 0 } else { self.shape.groups() };
        let places = (0..groups).flat_map(move |group| lanes(self.mask(group)).map(move |lane| Place { group, lane }));
        places.enumerate().map(move |(index, place)| (place, self.nth_time(index)))
    }

    /// The lower bound of the column's times.
    pub(super) fn due_ms(self) -> u64 {
        u64::from_le_bytes(*self.bytes[self.shape.due_at()..].first_chunk().expect("a column has a bound"))
    }

    /// Asks for the two lines of a group that a search reads.
    pub(super) fn prefetch_group(bytes: &[u8], index: usize) {
        if let Some(group) = bytes.get(index * GROUP_BYTES..) {
            prefetch(group);
            prefetch(group.get(GROUP_BYTES - 1..).unwrap_or_default());
        }
    }

    /// The first entry of a group with this hash's tag, if it has one; the bytes may be no table any more.
    pub(super) fn candidate(bytes: &[u8], index: usize, hash: u64) -> Option<Handle> {
        let group = Group(bytes.get(index * GROUP_BYTES..)?.first_chunk()?);
        let lane = lanes(group.lanes_with(hash::tag(hash))).next()?;
        Some(group.handle(lane))
    }

    /// The lanes of a group that end.
    pub(super) fn mask(self, group: usize) -> u16 {
        self.read_u16(self.shape.mask_at(group))
    }

    /// How many entries end in the groups before this one.
    pub(super) fn first_time(self, group: usize) -> usize {
        self.read_u16(self.shape.mask_at(group) + 2).into()
    }

    /// Which of the times is that of the entry at a place, or would be.
    fn time_index(self, place: Place) -> usize {
        let before = self.mask(place.group) & !(u16::MAX << place.lane);
        self.first_time(place.group) + before.count_ones() as usize
    }

    fn nth_time(self, index: usize) -> u64 {
        let at = self.shape.time_at(index);
        let mut time = [0; 8];
        time[..TIME_BYTES].copy_from_slice(&self.bytes[at..at + TIME_BYTES]);
        u64::from_le_bytes(time)
    }

    fn read_u16(self, at: usize) -> u16 {
        u16::from_le_bytes(*self.bytes[at..].first_chunk().expect("a column has two words a group"))
    }
}

/// A table, to be changed.
pub(super) struct TableMut<'a> {
    bytes: &'a mut [u8],
    shape: Shape,
}

impl<'a> TableMut<'a> {
    /// The table that begins with these bytes, which may be followed by anything.
    pub(super) fn of(bytes: &'a mut [u8], shape: Shape) -> TableMut<'a> {
        TableMut { bytes, shape }
    }

    /// Leaves all lanes free; of a column, see [`TableMut::clear_column`].
    pub(super) fn clear(&mut self) {
        let end = self.shape.due_at();
        self.bytes[..end].fill(0);
    }

    /// Leaves a column without times.
    pub(super) fn clear_column(&mut self) {
        let (due_at, times_at) = (self.shape.due_at(), self.shape.times_at());
        self.bytes[due_at..times_at].fill(0);
        self.set_due(u64::MAX);
    }

    /// Lets the marks fade by as many ticks as there were until this one.
    pub(super) fn fade_marks(&mut self, tick: u32) {
        let before = self.read().tick();
        if before != tick {
            let (marks_at, due_at) = (self.shape.marks_at(), self.shape.due_at());
            fade(&mut self.bytes[marks_at + TICK_BYTES..due_at], tick.wrapping_sub(before));
            self.bytes[marks_at..marks_at + TICK_BYTES].copy_from_slice(&tick.to_le_bytes());
        }
    }

    /// Sets the mark of the entry at a place; the marks have faded up to now.
    pub(super) fn set_mark(&mut self, place: Place, mark: u8) {
        self.bytes[self.shape.mark_at(place)] = mark;
    }

    /// Gives all entries this mark, as of this tick.
    pub(super) fn fill_marks(&mut self, mark: u8, tick: u32) {
        let (marks_at, due_at) = (self.shape.marks_at(), self.shape.due_at());
        self.bytes[marks_at + TICK_BYTES..due_at].fill(mark);
        self.bytes[marks_at..marks_at + TICK_BYTES].copy_from_slice(&tick.to_le_bytes());
    }

    /// Stands an entry in the first free lane from its home on; there is one.
    pub(super) fn place(&mut self, hash: u64, handle: Handle) -> Place {
        work::add(1);
        let mut index = hash::home(hash, self.shape.groups());
        let lane = loop {
            if let Some(lane) = lanes(self.read().group(index).lanes_with(0)).next() {
                break lane;
            }
            let overflow = self.overflow(index);
            *overflow = overflow.saturating_add(1);
            index = self.shape.next(index);
        };
        let place = Place { group: index, lane };
        self.bytes[index * GROUP_BYTES + lane] = hash::tag(hash);
        self.set_handle(place, handle);
        place
    }

    /// Frees the lane of an entry with this hash; its time stays to be removed.
    pub(super) fn remove(&mut self, hash: u64, place: Place) {
        let mut index = hash::home(hash, self.shape.groups());
        while index != place.group {
            let overflow = self.overflow(index);
            if *overflow != OVERFLOW_MAX {
                *overflow -= 1;
            }
            index = self.shape.next(index);
        }
        self.bytes[place.group * GROUP_BYTES + place.lane] = 0;
    }

    pub(super) fn set_handle(&mut self, place: Place, handle: Handle) {
        let at = place.group * GROUP_BYTES + HANDLES_AT + place.lane * HANDLE_BYTES;
        self.bytes[at..at + HANDLE_BYTES].copy_from_slice(&handle.number().to_le_bytes());
    }

    pub(super) fn set_due(&mut self, due_ms: u64) {
        let at = self.shape.due_at();
        self.bytes[at..at + DUE_BYTES].copy_from_slice(&due_ms.to_le_bytes());
    }

    /// Lowers the bound to a time that comes in.
    pub(super) fn lower_due(&mut self, time: u64) {
        if time < self.read().due_ms() {
            self.set_due(time);
        }
    }

    /// Sets the time of an entry that has one.
    pub(super) fn set_time(&mut self, place: Place, time: u64) {
        self.write_time(self.read().time_index(place), time);
    }

    /// Sets the time of an entry that has none, in a column that has `count` and room for one more.
    pub(super) fn insert_time(&mut self, place: Place, time: u64, count: usize) {
        let index = self.read().time_index(place);
        let (from, end) = (self.shape.time_at(index), self.shape.time_at(count));
        self.bytes.copy_within(from..end, from + TIME_BYTES);
        self.write_time(index, time);
        let mask = self.read().mask(place.group) | 1 << place.lane;
        self.write_u16(self.shape.mask_at(place.group), mask);
        self.shift_behind(place.group, 1);
    }

    /// Takes away the time of an entry that has one, from a column that has `count`.
    pub(super) fn remove_time(&mut self, place: Place, count: usize) {
        let index = self.read().time_index(place);
        let (from, end) = (self.shape.time_at(index + 1), self.shape.time_at(count));
        self.bytes.copy_within(from..end, from - TIME_BYTES);
        let mask = self.read().mask(place.group) & !(1 << place.lane);
        self.write_u16(self.shape.mask_at(place.group), mask);
        self.shift_behind(place.group, u16::MAX);
    }

    /// Takes away the times of the lanes that are free.
    pub(super) fn drop_times_of_free_lanes(&mut self) {
        let (mut from, mut to) = (0, 0);
        for group in 0..self.shape.groups() {
            let (mask, free) = (self.read().mask(group), self.read().group(group).lanes_with(0));
            self.write_u16(self.shape.mask_at(group) + 2, to as u16);
            self.write_u16(self.shape.mask_at(group), mask & !free);
            for lane in lanes(mask) {
                if free >> lane & 1 == 0 {
                    let time = self.read().nth_time(from);
                    self.write_time(to, time);
                    to += 1;
                }
                from += 1;
            }
        }
    }

    /// Writes a whole column: `time` tells when the entry in a lane ends, the lanes counted from the first group on.
    pub(super) fn write_column(&mut self, time: impl Fn(usize) -> Option<u64>) {
        let (mut index, mut due_ms) = (0, u64::MAX);
        for group in 0..self.shape.groups() {
            let (first, mut mask) = (index as u16, 0);
            for lane in lanes(!self.read().group(group).lanes_with(0)) {
                let Some(time) = time(group * LANES + lane) else { continue };
                mask |= 1 << lane;
                due_ms = due_ms.min(time);
                self.write_time(index, time);
                index += 1;
            }
            self.write_u16(self.shape.mask_at(group), mask);
            self.write_u16(self.shape.mask_at(group) + 2, first);
        }
        self.set_due(due_ms);
    }

    #[inline]
    fn read(&self) -> Table<'_> {
        Table::of(self.bytes, self.shape)
    }

    fn overflow(&mut self, group: usize) -> &mut u8 {
        &mut self.bytes[group * GROUP_BYTES + OVERFLOW_AT]
    }

    /// Adds to where the times of the groups behind this one begin, modulo 2^16.
    fn shift_behind(&mut self, group: usize, by: u16) {
        for group in group + 1..self.shape.groups() {
            let first = (self.read().first_time(group) as u16).wrapping_add(by);
            self.write_u16(self.shape.mask_at(group) + 2, first);
        }
    }

    fn write_time(&mut self, index: usize, time: u64) {
        let at = self.shape.time_at(index);
        self.bytes[at..at + TIME_BYTES].copy_from_slice(&time.to_le_bytes()[..TIME_BYTES]);
    }

    fn write_u16(&mut self, at: usize, word: u16) {
        self.bytes[at..at + 2].copy_from_slice(&word.to_le_bytes());
    }
}

/// The numbers of the set bits, lowest first.
pub(super) fn lanes(mut bits: u16) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lane = bits.trailing_zeros() as usize;
        bits &= bits.wrapping_sub(1);
        (lane < LANES).then_some(lane)
    })
}
