//! Keys that the input chooses, or crafts so that the fast hash of all is the same: the work of inserting each and of
//! looking it up stays bounded. The caller has the store, and counts.

use std::collections::HashSet;

/// A lookup may look closely at so many entries. Spread keys need two or three; crafted ones share a page with at most
/// sixteen others until it is keyed, and their tags may be alike by chance.
const LOOKUP_WORK_MAX: u64 = 40;

/// An insertion may split the fullest page twice, place its entries anew, and copy a directory.
const INSERT_WORK_MAX: u64 = 4 * 512;

/// All insertions together, for each key: splits are rare.
const INSERT_WORK_MEAN_MAX: u64 = 24;

/// So many keys are crafted at most: enough for a slot to split its pages.
const CRAFTED_MAX: usize = 2000;

/// The constant of fxhash, and how it takes a word in.
const FX_SEED: u64 = 0x517c_c1b7_2722_0a95;

fn fx_add(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(5) ^ word).wrapping_mul(FX_SEED)
}

/// Keys of 24 bytes with one hash: the last word undoes what those before it did.
fn crafted(first: [u8; 8], target: u64, number: u64) -> Vec<u8> {
    let middle = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let hash = [24, u64::from_ne_bytes(first), middle].into_iter().fold(0, fx_add);
    let last = hash.rotate_left(5) ^ target;
    [first, middle.to_ne_bytes(), last.to_ne_bytes()].concat()
}

/// The keys that an input stands for. Its first byte says how the others are read.
fn keys(input: &[u8]) -> Vec<Vec<u8>> {
    let Some((&mode, rest)) = input.split_first() else { return Vec::new() };
    match mode % 3 {
        // Groups of crafted keys: a target, how many, and what they begin with, which may be a tag.
        0 => {
            let mut keys = Vec::new();
            for group in rest.chunks_exact(18) {
                let (target, after) = group.split_first_chunk().expect("eight bytes");
                let (first, count) = after.split_first_chunk().expect("eight bytes");
                let count = usize::from(u16::from_le_bytes([count[0], count[1]])) % CRAFTED_MAX;
                let numbers = 0..count.min(CRAFTED_MAX - keys.len()) as u64;
                keys.extend(numbers.map(|number| crafted(*first, u64::from_le_bytes(*target), number)));
            }
            keys
        }
        // Keys as they are, of one length, of which some are in one slot.
        1 => {
            let Some((&length, rest)) = rest.split_first() else { return Vec::new() };
            let tag: &[u8] = if length >= 128 { b"{t}" } else { b"" };
            rest.chunks(usize::from(length % 32) + 1).map(|key| [tag, key].concat()).collect()
        }
        // Keys parted by line ends.
        _ => rest.split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect(),
    }
}

/// Tries one input: `insert` gives the work of inserting a key, `look_up` whether it is there, and the work.
pub fn run(input: &[u8], mut insert: impl FnMut(&[u8]) -> u64, mut look_up: impl FnMut(&[u8]) -> (bool, u64)) {
    let keys = keys(input);
    let mut there = HashSet::new();
    let mut sum = 0;
    for key in &keys {
        let (is_there, work) = look_up(key);
        assert_eq!(is_there, there.contains(key), "{key:?} before it is inserted");
        assert!(work <= LOOKUP_WORK_MAX, "{key:?} is looked for with {work} steps");
        let work = insert(key);
        assert!(work <= INSERT_WORK_MAX, "{key:?} is inserted with {work} steps");
        sum += work;
        there.insert(key);
    }
    let count = keys.len() as u64;
    assert!(sum <= INSERT_WORK_MEAN_MAX * count + INSERT_WORK_MAX, "{count} keys are inserted with {sum} steps");
    for key in &keys {
        let (is_there, work) = look_up(key);
        assert!(is_there && work <= LOOKUP_WORK_MAX, "{key:?} is found: {is_there}, with {work} steps");
    }
}
