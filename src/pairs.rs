//! An ordered set of pairs of numbers, in rows that are so short that to move a part of one is cheap: a tree would be no
//! faster for as many as there are, and takes four times the code.

/// A row has so many pairs at most.
const ROW_MAX: usize = 256;

/// See the module. No row is empty.
#[derive(Debug, Default)]
pub struct Pairs {
    rows: Vec<Vec<(u64, u64)>>,
    len: usize,
}

impl Pairs {
    /// How many there are.
    #[expect(clippy::len_without_is_empty, reason = "asked only how many")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The last pair.
    pub fn last(&self) -> Option<(u64, u64)> {
        self.rows.last()?.last().copied()
    }

    /// The first pair.
    pub fn first(&self) -> Option<(u64, u64)> {
        self.rows.first()?.first().copied()
    }

    /// The first pair that is not before this one.
    pub fn since(&self, pair: (u64, u64)) -> Option<(u64, u64)> {
        let (row, place) = self.find(pair);
        self.rows.get(row)?.get(place).copied()
    }

    /// The row and the place of the first pair that is not before this one; a row behind the last one where there is none.
    fn find(&self, pair: (u64, u64)) -> (usize, usize) {
        let row = self.rows.partition_point(|row| row.last().is_some_and(|&last| last < pair));
        let place = self.rows.get(row).map_or(0, |row| row.partition_point(|&other| other < pair));
        (row, place)
    }

    /// Takes a pair in; false where it was there.
    #[inline(never)]
    pub fn insert(&mut self, pair: (u64, u64)) -> bool {
        let (mut row, mut place) = self.find(pair);
        if row == self.rows.len() {
            // Behind all, it belongs into the last row.
            match row.checked_sub(1) {
                Some(last) => (row, place) = (last, self.rows[last].len()),
                None => self.rows.push(Vec::new()),
            }
        }
        let pairs = &mut self.rows[row];
        if pairs.get(place) == Some(&pair) {
            return false;
        }
        self.len += 1;
        if pairs.len() < ROW_MAX {
            pairs.insert(place, pair);
            return true;
        }
        // Who comes in order, as deadlines do, leaves full rows behind.
        let mut behind = pairs.split_off(if place == ROW_MAX { ROW_MAX } else { ROW_MAX / 2 });
        if place > pairs.len() || behind.is_empty() {
            behind.insert(place - pairs.len(), pair);
        } else {
            pairs.insert(place, pair);
        }
        self.rows.insert(row + 1, behind);
        true
    }

    /// Takes a pair out; false where it was not there.
    #[inline(never)]
    pub fn remove(&mut self, pair: (u64, u64)) -> bool {
        let (row, place) = self.find(pair);
        let Some(pairs) = self.rows.get_mut(row).filter(|pairs| pairs.get(place) == Some(&pair)) else { return false };
        self.len -= 1;
        pairs.remove(place);
        if pairs.is_empty() {
            self.rows.remove(row);
            return true;
        }
        // Rows with few pairs become one.
        for row in [row, row.saturating_sub(1)] {
            let count: usize = self.rows.iter().skip(row).take(2).map(Vec::len).sum();
            if count <= ROW_MAX / 2 && row + 1 < self.rows.len() {
                let next = self.rows.remove(row + 1);
                self.rows[row].extend_from_slice(&next);
                break;
            }
        }
        true
    }
}

#[cfg(test)]
impl Pairs {
    /// All of them, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.rows.iter().flatten().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{Random, seeds};
    use std::collections::BTreeSet;

    #[test]
    fn it_does_what_a_tree_does() {
        for seed in seeds(5) {
            let mut random = Random::new(seed);
            let (mut pairs, mut tree) = (Pairs::default(), BTreeSet::new());
            for step in 0..20_000 {
                // Many, then few, then many; in order at times, and often what is there.
                let grows = step / 4000 % 2 == 0;
                let pair = match random.below(3) {
                    0 => (step as u64, 0),
                    1 => tree.range((random.below(20_000) as u64, 0)..).next().copied().unwrap_or((7, 7)),
                    _ => (random.below(20_000) as u64, random.below(3) as u64),
                };
                if random.below(100) < if grows { 90 } else { 5 } {
                    assert_eq!(pairs.insert(pair), tree.insert(pair));
                } else {
                    assert_eq!(pairs.remove(pair), tree.remove(&pair));
                    let first = tree.pop_first();
                    assert!(first.is_none_or(|first| pairs.remove(first)));
                }
                assert_eq!((pairs.first(), pairs.last()), (tree.first().copied(), tree.last().copied()));
                assert_eq!(pairs.len(), tree.len());
                let from = (random.below(20_000) as u64, 1);
                assert_eq!(pairs.since(from), tree.range(from..).next().copied());
                assert!(pairs.rows.iter().all(|row| !row.is_empty() && row.len() <= ROW_MAX));
            }
            assert!(pairs.iter().eq(tree.iter().copied()));
            assert!(pairs.rows.len() <= 2 + tree.len() / (ROW_MAX / 4), "{} rows for {}", pairs.rows.len(), tree.len());
        }
    }
}
