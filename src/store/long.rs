//! What is too long for a block: values that replies send from where they are stored, and very long keys. Each stands at
//! a place, whose number its entry's block has.

use std::rc::Rc;

/// A key with its value, either of them long.
pub(super) struct Long {
    pub(super) key: Box<[u8]>,
    pub(super) value: Rc<Vec<u8>>,
}

/// What an `Rc<Vec<u8>>` asks of the heap apart from the bytes: two counts and the vector's three words.
const SHARED_HEADER_BYTES: usize = 2 * size_of::<usize>() + size_of::<Vec<u8>>();

/// The long entries of a store.
#[derive(Default)]
pub(super) struct Longs {
    places: Vec<Option<Long>>,
    vacant: Vec<u32>,
    bytes: usize,
}

impl Long {
    /// Heap bytes that the entry asked for.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Option<Long>>() + self.key.len() + SHARED_HEADER_BYTES + self.value.capacity()
    }

    /// Sets the value, in its place where that is as long and nobody has it pinned.
    pub(super) fn set_value(&mut self, value: &[u8]) {
        match Rc::get_mut(&mut self.value) {
            Some(old) if old.len() == value.len() => old.copy_from_slice(value),
            _ => self.value = Rc::new(value.to_vec()),
        }
    }

    /// The value to be changed: the stored one, or a copy of it where a reply has it pinned. Slack of a quarter makes
    /// appending cheap on the whole, where doubling would waste half of a small box.
    pub(super) fn value_with_room(&mut self, extra: usize) -> &mut Vec<u8> {
        let length = self.value.len() + extra;
        if Rc::get_mut(&mut self.value).is_none() {
            let mut copy = Vec::with_capacity(length + length / 4);
            copy.extend_from_slice(&self.value);
            self.value = Rc::new(copy);
        }
        let value = Rc::get_mut(&mut self.value).expect("nobody else has what was just made");
        if length > value.capacity() {
            value.reserve_exact(extra + length / 4);
        }
        value
    }
}

impl Longs {
    /// Heap bytes of all.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What stands at a place.
    pub(super) fn get(&self, place: u32) -> &Long {
        self.places[place as usize].as_ref().expect("an entry's place is taken")
    }

    /// Finds a place for it.
    pub(super) fn add(&mut self, long: Long) -> u32 {
        self.bytes += long.bytes();
        match self.vacant.pop() {
            Some(place) => {
                self.places[place as usize] = Some(long);
                place
            }
            None => {
                self.places.push(Some(long));
                u32::try_from(self.places.len() - 1).expect("there are fewer long entries than blocks")
            }
        }
    }

    /// Changes what stands at a place.
    pub(super) fn change(&mut self, place: u32, change: impl FnOnce(&mut Long)) {
        let long = self.places[place as usize].as_mut().expect("an entry's place is taken");
        self.bytes -= long.bytes();
        change(long);
        self.bytes += long.bytes();
    }

    /// Takes out what stands at a place.
    pub(super) fn remove(&mut self, place: u32) -> Long {
        let long = self.places[place as usize].take().expect("an entry's place is taken");
        self.bytes -= long.bytes();
        self.vacant.push(place);
        if self.bytes == 0 {
            *self = Longs::default();
        }
        long
    }

    /// Drops one of the entries of a store that is being freed; false when there is none left.
    pub(super) fn pop(&mut self) -> bool {
        while let Some(place) = self.places.pop() {
            if let Some(long) = place {
                self.bytes -= long.bytes();
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
impl Longs {
    /// Asserts that the places taken are exactly these, and that the books are right.
    pub(super) fn check(&self, places: &[u32]) {
        let taken = (0..self.places.len() as u32).filter(|&place| self.places[place as usize].is_some());
        assert!(taken.eq(std::collections::BTreeSet::from_iter(places.iter().copied())));
        assert_eq!(places.len() + self.vacant.len(), self.places.len());
        assert_eq!(self.places.iter().flatten().map(Long::bytes).sum::<usize>(), self.bytes);
    }
}
