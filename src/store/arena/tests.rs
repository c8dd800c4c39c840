use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::testkit::{Random, seeds};

impl Arena {
    /// Asserts that the blocks in use are exactly those that are owned, and that the tables agree with the blocks.
    pub(in crate::store) fn check(&self, owned: &BTreeSet<Handle>) {
        let mut in_use = BTreeSet::new();
        let mut bytes = 0;
        for (number, info) in self.infos.iter().enumerate().filter(|(number, _)| self.steps[*number].is_some()) {
            let first = (number * STEP_UNITS) as u32;
            let mut blocks: BTreeSet<Handle> =
                (0..info.fresh).step_by(info.block_units.into()).map(|unit| Handle(first + u32::from(unit))).collect();
            let mut freed = info.freed;
            while freed != NO_BLOCK {
                let handle = Handle(first + u32::from(freed));
                assert!(blocks.remove(&handle), "a freed block is one of the step's, and free once");
                freed = u16::from_le_bytes(*self.block(handle).first_chunk().expect("two bytes"));
            }
            assert_eq!(blocks.len(), usize::from(info.used));
            assert!(info.used > 0, "an empty step goes back");
            bytes += blocks.len() * info.block_bytes();
            in_use.append(&mut blocks);
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
        for (class, &first) in self.roomy.iter().enumerate() {
            let (mut before, mut number) = (NONE, first);
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
