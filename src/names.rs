//! Names that are found by their bytes, each with numbers: of those to whom it means something. A name is kept once, however
//! many refer to it.

use std::collections::HashMap;
use std::rc::Rc;

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
        self.0.remove(name).unwrap_or_default()
    }
}
