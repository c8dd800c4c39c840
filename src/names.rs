//! Names that are found by their bytes, each with numbers: of those to whom it means something. A name is kept once, however
//! many refer to it.

use std::collections::HashMap;
use std::rc::Rc;

/// Room for so many is not given back.
const ROOM_KEPT: usize = 64;

/// See the module.
#[derive(Debug)]
pub struct Names(HashMap<Rc<[u8]>, Vec<u64>>);

impl Default for Names {
    #[inline(never)]
    fn default() -> Names {
        Names(HashMap::new())
    }
}

impl Names {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them, with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (&Rc<[u8]>, &Vec<u64>)> {
        self.0.iter()
    }

    /// The numbers of a name; none where it is not here.
    #[inline(never)]
    pub fn get(&self, name: &[u8]) -> &[u64] {
        self.0.get(name).map_or(&[], |numbers| numbers)
    }

    /// The numbers of a name that is here; who takes the last one out removes the name, too.
    #[inline(never)]
    pub fn get_mut(&mut self, name: &[u8]) -> Option<&mut Vec<u64>> {
        self.0.get_mut(name)
    }

    /// The numbers of a name, none where it was not here, and the name as it is kept from now on.
    pub fn add(&mut self, name: &[u8]) -> (Rc<[u8]>, &mut Vec<u64>) {
        let kept = self.0.get_key_value(name).map_or_else(|| name.into(), |(kept, _)| Rc::clone(kept));
        (Rc::clone(&kept), self.add_kept(kept))
    }

    /// As [`Names::add`], of a name that is kept elsewhere, too.
    #[inline(never)]
    pub fn add_kept(&mut self, name: Rc<[u8]>) -> &mut Vec<u64> {
        self.0.entry(name).or_default()
    }

    /// Forgets a name; its numbers.
    #[inline(never)]
    pub fn remove(&mut self, name: &[u8]) -> Vec<u64> {
        let numbers = self.0.remove(name).unwrap_or_default();
        // To look at all of a few names must not take as long as it took when there were many.
        if self.0.capacity() > ROOM_KEPT && self.0.len() < self.0.capacity() / 8 {
            self.0.shrink_to(2 * self.0.len());
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
        assert!(names.0.capacity() <= 8 * ROOM_KEPT, "{}", names.0.capacity());
        assert!((9_990..10_000_u32).all(|number| names.get(&number.to_le_bytes()) == [u64::from(number)]));
    }
}
