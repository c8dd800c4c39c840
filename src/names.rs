//! Names that are found by their bytes, each with numbers: of those to whom it means something. A name is kept once, however
//! many refer to it.

use crate::pairs::Pairs;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;

/// Room for so many is not given back.
const ROOM_KEPT: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub struct Names {
    entries: Vec<(Rc<[u8]>, Vec<u64>)>,
    /// Where each name is, by its hash.
    places: Pairs,
    state: RandomState,
}

impl Names {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them, with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &(Rc<[u8]>, Vec<u64>)> {
        self.entries.iter()
    }

    /// The hash of a name, and its place if it is here.
    #[inline(never)]
    fn find(&self, name: &[u8]) -> (u64, Option<usize>) {
        let hash = self.state.hash_one(name);
        let mut from = (hash, 0);
        while let Some((_, place)) = self.places.since(from).filter(|&(other, _)| other == hash) {
            if *self.entries[place as usize].0 == *name {
                return (hash, Some(place as usize));
            }
            from.1 = place + 1;
        }
        (hash, None)
    }

    /// The numbers of a name; none where it is not here.
    pub fn get(&self, name: &[u8]) -> &[u64] {
        self.find(name).1.map_or(&[], |place| &self.entries[place].1)
    }

    /// The numbers of a name that is here; who takes the last one out removes the name, too.
    pub fn get_mut(&mut self, name: &[u8]) -> Option<&mut Vec<u64>> {
        self.find(name).1.map(|place| &mut self.entries[place].1)
    }

    /// The numbers of a name, none where it was not here, and the name as it is kept from now on.
    pub fn add(&mut self, name: &[u8]) -> (Rc<[u8]>, &mut Vec<u64>) {
        let kept = self.find(name).1.map_or_else(|| name.into(), |place| Rc::clone(&self.entries[place].0));
        (Rc::clone(&kept), self.add_kept(kept))
    }

    /// As [`Names::add`], of a name that is kept elsewhere, too.
    #[inline(never)]
    pub fn add_kept(&mut self, name: Rc<[u8]>) -> &mut Vec<u64> {
        let (hash, place) = self.find(&name);
        let place = place.unwrap_or_else(|| {
            self.places.insert((hash, self.entries.len() as u64));
            self.entries.push((name, Vec::new()));
            self.entries.len() - 1
        });
        &mut self.entries[place].1
    }

    /// Forgets a name; its numbers.
    #[inline(never)]
    pub fn remove(&mut self, name: &[u8]) -> Vec<u64> {
        let (hash, Some(place)) = self.find(name) else { return Vec::new() };
        self.places.remove((hash, place as u64));
        // The last one takes its place.
        let last = self.entries.len() - 1;
        if place < last {
            let hash = self.state.hash_one(&*self.entries[last].0);
            self.places.remove((hash, last as u64));
            self.places.insert((hash, place as u64));
        }
        let (_, numbers) = self.entries.swap_remove(place);
        if self.entries.capacity() > ROOM_KEPT && self.entries.len() < self.entries.capacity() / 8 {
            self.entries.shrink_to(2 * self.entries.len());
        }
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_once_and_goes_with_its_last_number() {
        let (mut common, mut own) = (Names::default(), Names::default());
        let (kept, numbers) = common.add(b"a");
        numbers.push(1);
        own.add_kept(Rc::clone(&kept)).push(7);
        let (again, numbers) = common.add(b"a");
        numbers.push(2);
        assert!(Rc::ptr_eq(&kept, &again));
        assert_eq!(
            (common.get(b"a"), own.get(b"a"), common.get(b"b"), common.len()),
            (&[1, 2][..], &[7][..], &[][..], 1)
        );
        common.get_mut(b"a").expect("its numbers").remove(0);
        assert_eq!(common.remove(b"a"), [2]);
        assert!(common.is_empty() && common.remove(b"a").is_empty() && common.get_mut(b"a").is_none());
    }

    #[test]
    fn room_for_many_is_given_back() {
        let mut names = Names::default();
        for number in 0..10_000_u32 {
            names.add(&number.to_le_bytes()).1.push(number.into());
        }
        for number in 0..9_990_u32 {
            assert_eq!(names.remove(&number.to_le_bytes()), [u64::from(number)]);
        }
        assert!(names.entries.capacity() <= 8 * ROOM_KEPT, "{}", names.entries.capacity());
        assert!((9_990..10_000_u32).all(|number| names.get(&number.to_le_bytes()) == [u64::from(number)]));
    }
}
