use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::testkit::{Random, seeds};

impl Arena {
    /// Asserts that the blocks in use are exactly those that are owned, and that the tables agree with the blocks.
    pub(in crate::store) fn check(&self, owned: &BTreeSet<Handle>) {
        let mut in_use = BTreeSet::new();
        let mut bytes = 0;
        let mut classes = vec![Class::EMPTY; CLASSES];
        for (number, info) in self.infos.iter().enumerate().filter(|(number, _)| self.steps[*number].is_some()) {
            let mut blocks = Vec::new();
            self.list_blocks(number as u32, 0, usize::MAX, &mut blocks);
            assert_eq!(blocks.len(), usize::from(info.used));
            assert!(info.used > 0, "an empty step goes back");
            bytes += blocks.len() * info.block_bytes();
            let class = &mut classes[class_of(info.block_bytes())];
            class.steps += 1;
            class.used += blocks.len() as u32;
            in_use.extend(blocks);
        }
        for (class, counted) in self.classes.iter().zip(classes) {
            assert_eq!((class.steps, class.used), (counted.steps, counted.used));
        }
        assert!(in_use == *owned, "blocks in use are those that are owned");
        assert_eq!(bytes, self.bytes);
        let mut vacant = 0;
        let mut number = self.vacant;
        while number != NONE {
            assert!(self.steps[number as usize].is_none());
            vacant += 1;
            number = self.infos[number as usize].after;
        }
        assert_eq!(vacant, self.steps.iter().filter(|step| step.is_none()).count());
        self.check_roomy();
    }

    /// Asserts that the steps with room are in the lists of their classes, and no others.
    fn check_roomy(&self) {
        let mut listed = 0;
        for (class, known) in self.classes.iter().enumerate() {
            let (mut before, mut number) = (NONE, known.roomy);
            while number != NONE {
                let info = &self.infos[number as usize];
                assert!(info.has_room() && info.before == before && class_of(info.block_bytes()) == class);
                listed += 1;
                (before, number) = (number, info.after);
            }
        }
        let roomy = |number: &usize| self.steps[*number].is_some() && self.infos[*number].has_room();
        assert_eq!(listed, (0..self.infos.len()).filter(roomy).count());
    }

    /// The bytes of all steps up to the last block that was ever there, or since the last cut.
    fn touched_bytes(&self) -> usize {
        let infos = self.infos.iter().zip(&self.steps).filter(|(_, step)| step.is_some());
        infos.map(|(info, _)| usize::from(info.fresh) * UNIT_BYTES).sum()
    }

    /// How many steps have memory, the spare one not counted.
    pub(in crate::store) fn step_count(&self) -> usize {
        self.steps.iter().flatten().count()
    }
}

#[test]
fn sizes_and_classes_agree() {
    let mut sizes = BTreeMap::new();
    for bytes in 0..=BLOCK_BYTES_MAX {
        let block = block_bytes(bytes);
        assert!(block >= bytes && block.is_multiple_of(UNIT_BYTES) && block_bytes(block) == block);
        assert!(block - bytes < UNIT_BYTES.max(bytes / 32) || bytes < BLOCK_BYTES_MIN, "{bytes} in {block}");
        let class = class_of(block);
        assert!(class < CLASSES);
        assert_eq!(*sizes.entry(class).or_insert(block), block, "a class has one size");
    }
    assert!(sizes.values().is_sorted(), "larger classes have larger blocks");
}

/// A block that is in use, with what was written into it.
struct Held {
    handle: Handle,
    bytes: usize,
    mark: u8,
}

/// Blocks come and go at random; each keeps what is written into it, and none touches another.
#[test]
fn blocks_are_apart_and_keep_their_bytes() {
    for seed in seeds(4) {
        println!("MEMENTO_SEED={seed}");
        let mut random = Random::new(seed);
        let (mut arena, mut held) = (Arena::default(), Vec::<Held>::new());
        for round in 0..20_000 {
            let few = round / 4000 % 2 == 1;
            if random.below(100) < if few { 30 } else { 60 } || held.is_empty() {
                let bytes = [random.below(64), random.below(300), random.below(BLOCK_BYTES_MAX + 1)][random.below(3)];
                let handle = arena.alloc(bytes).expect("memory");
                let mark = random.next() as u8;
                arena.block_mut(handle)[..bytes].fill(mark);
                held.push(Held { handle, bytes, mark });
            } else {
                let Held { handle, bytes, mark } = held.swap_remove(random.below(held.len()));
                assert!(arena.block(handle)[..bytes].iter().all(|&byte| byte == mark));
                arena.free(handle);
            }
            if round % 500 == 0 {
                arena.check(&held.iter().map(|held| held.handle).collect());
                assert_eq!(arena.bytes(), held.iter().map(|held| block_bytes(held.bytes)).sum::<usize>());
            }
        }
        for Held { handle, bytes, mark } in held {
            assert!(arena.block(handle)[..bytes].iter().all(|&byte| byte == mark));
            arena.free(handle);
        }
        assert_eq!((arena.bytes(), arena.step_count(), arena.infos.capacity()), (0, 0, 0));
    }
}

#[test]
fn blocks_of_one_size_lie_close() {
    let mut arena = Arena::default();
    let handles: Vec<Handle> = (0..100_000).map(|_| arena.alloc(39).expect("memory")).collect();
    assert_eq!(arena.bytes(), 4_000_000);
    assert_eq!(arena.step_count(), 4_000_000usize.div_ceil(STEP_BYTES / 40 * 40));
    handles.iter().for_each(|&handle| arena.free(handle));
    assert_eq!(arena.step_count(), 0);
}

#[test]
fn an_arena_is_given_back_step_by_step() {
    let mut arena = Arena::default();
    let handles: Vec<Handle> = (0..10_000).map(|_| arena.alloc(40).expect("memory")).collect();
    handles.iter().step_by(3).for_each(|&handle| arena.free(handle));
    let steps = arena.step_count();
    assert_eq!((0..).take_while(|_| arena.give_back()).count(), steps);
    assert_eq!(arena.bytes(), 0);
}

/// Moves blocks as the owner of the handles does; returns how many. Blocks are 40 bytes large, or as told.
fn compact(arena: &mut Arena, held: &mut [Handle], block_bytes: impl Fn(usize) -> usize) -> usize {
    let mut leaving = Vec::new();
    arena.leave_thin(300, &mut leaving);
    assert!(leaving.len() <= 300);
    for &old in &leaving {
        let number = held.iter().position(|&handle| handle == old).expect("a block that is held");
        let new = arena.alloc(block_bytes(number)).expect("memory");
        let bytes: [u8; 4] = *arena.block(old).first_chunk().expect("four bytes");
        arena.block_mut(new)[..4].copy_from_slice(&bytes);
        held[number] = new;
    }
    leaving.iter().for_each(|&old| arena.free(old));
    leaving.len()
}

#[test]
fn thin_steps_are_emptied() {
    let mut arena = Arena::default();
    let mut held: Vec<Handle> = (0..50_000).map(|_| arena.alloc(40).expect("memory")).collect();
    let full = arena.step_count();
    assert_eq!(compact(&mut arena, &mut held, |_| 40), 0, "a full arena is not thin");
    for number in (0..held.len()).rev().filter(|number| number % 10 != 0) {
        arena.free(held.swap_remove(number));
    }
    for (number, &handle) in held.iter().enumerate() {
        arena.block_mut(handle)[..4].copy_from_slice(&(number as u32).to_le_bytes());
    }
    let mut moved = 0;
    loop {
        let step = compact(&mut arena, &mut held, |_| 40);
        moved += step;
        if step == 0 {
            break;
        }
        arena.check(&held.iter().copied().collect());
    }
    assert!(moved > 0 && arena.step_count() <= full / 6, "{} of {full}", arena.step_count());
    for (number, &handle) in held.iter().enumerate() {
        assert_eq!(arena.block(handle)[..4], (number as u32).to_le_bytes());
    }
}

/// Of each of many sizes a step, most blocks of which are freed.
#[test]
fn loose_steps_are_packed() {
    let bytes_of = |number: usize| 8 + number / 100 * 4;
    let mut arena = Arena::default();
    let all: Vec<Handle> = (0..10_000).map(|number| arena.alloc(bytes_of(number)).expect("memory")).collect();
    let full = arena.touched_bytes();
    let goes = |number: &usize| !(number * 7).is_multiple_of(10);
    (0..all.len()).filter(goes).for_each(|number| arena.free(all[number]));
    let stays: Vec<usize> = (0..all.len()).filter(|number| !goes(number)).collect();
    let mut held: Vec<Handle> = stays.iter().map(|&number| all[number]).collect();
    for (&number, &handle) in stays.iter().zip(&held) {
        arena.block_mut(handle)[..4].copy_from_slice(&(number as u32).to_le_bytes());
    }
    while compact(&mut arena, &mut held, |place| bytes_of(stays[place])) > 0 {
        arena.check(&held.iter().copied().collect());
    }
    println!("{} of {full}, {} in use", arena.touched_bytes(), arena.bytes());
    assert!(arena.touched_bytes() < arena.bytes() + 100 * STEP_BYTES / 4 && arena.touched_bytes() < full / 2);
    for (&number, &handle) in stays.iter().zip(&held) {
        assert_eq!(arena.block(handle)[..4], (number as u32).to_le_bytes());
    }
}
