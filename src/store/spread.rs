//! Tests only: what steps cost, however keys are spread or crafted.

use std::time::{Duration, Instant};

use super::account::work;
use super::*;
use crate::limits::PAGE_ENTRIES_MAX;
use crate::testkit::Random;

/// The constant of fxhash, and how it takes a word in: the attack below is built on it.
const FX_SEED: u64 = 0x517c_c1b7_2722_0a95;

fn fx_add(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(5) ^ word).wrapping_mul(FX_SEED)
}

/// Keys of 24 bytes that begin with a word of eight, all with one fast hash for one target: the last word undoes what
/// those before did.
pub(super) fn colliding_key_of(first: [u8; 8], target: u64, number: usize) -> Vec<u8> {
    let middle = (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let hash = [24, u64::from_ne_bytes(first), middle].into_iter().fold(0, fx_add);
    let last = hash.rotate_left(5) ^ target;
    [first, middle.to_ne_bytes(), last.to_ne_bytes()].concat()
}

/// Such keys in the slot of `{tag}`.
pub(super) fn colliding_key(number: usize) -> Vec<u8> {
    colliding_key_of(*b"{tag}...", 0x1234_5678_9ABC_DEF0, number)
}

pub(super) fn tagged_key(number: usize) -> Vec<u8> {
    format!("{{tag}}{number:011}").into_bytes()
}

fn spread_key(number: usize) -> Vec<u8> {
    format!("k{number:015}").into_bytes()
}

/// The work of inserting keys, then of looking each up.
#[derive(Debug, Default)]
struct Cost {
    insert: u64,
    insert_longest: u64,
    /// Printed, not asserted: the machine may have been busy with something else.
    insert_longest_us: u128,
    lookup: u64,
    lookup_longest: u64,
}

fn cost(store: &mut Store, count: usize, key: fn(usize) -> Vec<u8>) -> Cost {
    let mut cost = Cost::default();
    work::take();
    for number in 0..count {
        let key = key(number);
        let began = Instant::now();
        store.upsert(&key, b"0123456789abcdef", Expiry::Never, 1);
        cost.insert_longest_us = cost.insert_longest_us.max(began.elapsed().as_micros());
        let step = work::take();
        cost.insert += step;
        cost.insert_longest = cost.insert_longest.max(step);
    }
    for number in 0..count {
        assert!(store.get(&key(number), 1).is_some());
        let step = work::take();
        cost.lookup += step;
        cost.lookup_longest = cost.lookup_longest.max(step);
    }
    cost
}

#[path = "../../tests/fuzz/bodies/collisions.rs"]
mod collisions;

/// The inputs that a fuzzer kept: keys of its choice, crafted ones among them.
#[test]
fn inputs_of_the_fuzzer_cost_a_bounded_amount_of_work() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/corpus/collisions");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        let store = std::cell::RefCell::new(Store::new());
        let insert = |key: &[u8]| {
            work::take();
            store.borrow_mut().upsert(key, b"value", Expiry::Never, 1);
            work::take()
        };
        let look_up = |key: &[u8]| {
            work::take();
            let is_there = store.borrow().get(key, 1).is_some();
            (is_there, work::take())
        };
        collisions::run(&std::fs::read(&path).unwrap(), insert, look_up);
        store.borrow().check();
        count += 1;
    }
    assert!(count > 2, "{count} inputs in {folder}");
}

#[test]
fn crafted_keys_collide() {
    let hash = hash::fast(&colliding_key(0));
    assert!((1..1000).all(|number| hash::fast(&colliding_key(number)) == hash));
    assert_ne!(colliding_key(1), colliding_key(2));
}

#[test]
fn colliding_keys_cost_a_bounded_multiple_of_random_ones() {
    const COUNT: usize = 32_768;
    let (mut attacked, mut plain) = (Store::new(), Store::new());
    let attack = cost(&mut attacked, COUNT, colliding_key);
    let random = cost(&mut plain, COUNT, tagged_key);
    println!("colliding {attack:?}\nrandom    {random:?}");
    assert_eq!(attacked.census().keyed_children, 1);
    assert_eq!(plain.census().keyed_children, 0);
    // The page is keyed when it is crowded, at the seventeenth key; from then on these are keys like others.
    assert!(attack.insert <= random.insert * 5 / 4);
    assert!(attack.lookup <= random.lookup * 5 / 4);
    assert!(attack.insert_longest <= random.insert_longest + PAGE_ENTRIES_MAX as u64);
    assert!(attack.lookup_longest <= random.lookup_longest + 4);
    attacked.check();
}

/// The same attack on many slots at once: no page gets full, yet none is searched key by key.
#[test]
fn a_few_colliding_keys_in_many_slots_cost_little() {
    let mut store = Store::new();
    let mut compares_longest = 0;
    for slot in 0..100usize {
        for number in 0..200 {
            let first = format!("{{{slot:03}}}...");
            let key = colliding_key_of(*first.as_bytes().first_chunk().expect("eight bytes"), 1, number);
            store.upsert(&key, b"", Expiry::Never, 1);
            work::take();
            assert!(store.get(&key, 1).is_some());
            compares_longest = compares_longest.max(work::take());
        }
    }
    store.check();
    assert_eq!(store.census().keyed_children, 100);
    assert!(compares_longest <= 20, "{compares_longest}");
}

/// An attacker peels: each split would part one entry from the others, for a directory of great depth and few entries.
#[test]
fn a_directory_does_not_grow_by_depth_without_entries() {
    let mut store = Store::new();
    let wanted = |bits: u32| move |key: &Vec<u8>| hash::fast(key) >> (64 - bits) == 0;
    let deep = (0..).map(tagged_key).filter(wanted(10)).take(2 * PAGE_ENTRIES_MAX);
    for key in deep {
        store.upsert(&key, b"", Expiry::Never, 1);
    }
    store.check();
    let census = store.census();
    println!("{} places, {} keyed children, pages {:?}", census.places, census.keyed_children, census.page_lens);
    assert_eq!(census.keyed_children, 1);
    assert!(census.places <= 16);
}

/// The longest step with a million keys under one tag is a few pages' work, as it is with one full page a slot.
///
/// Spread keys fill a page only to about 122 at this size, so their longest step is a rehash of such a page; a tagged
/// step is at most a count and a split of a page four times as full (both halves placed anew), the rebuild of nothing
/// else, and the copying of a directory (a cache line for 16 pages). Hence the factor of 12, and the bound that counts:
/// a constant.
#[test]
fn no_step_depends_on_how_keys_are_spread() {
    const COUNT: usize = 1_000_000;
    let mut longest = Vec::new();
    for key in [spread_key as fn(usize) -> Vec<u8>, tagged_key] {
        let mut store = Store::new();
        let began = Instant::now();
        let cost = cost(&mut store, COUNT, key);
        let took = began.elapsed();
        let census = store.census();
        println!(
            "{took:?} {cost:?} pages {} places {} bytes an entry {:.1}",
            census.page_lens.len(),
            census.places,
            store.bytes_used() as f64 / COUNT as f64
        );
        assert_eq!(census.keyed_children, 0);
        assert_eq!(store.len(), COUNT);
        work::take();
        let mut remove_longest = 0;
        for number in 0..COUNT {
            assert!(store.remove(&key(number), 1));
            remove_longest = remove_longest.max(work::take());
        }
        println!("longest removal {remove_longest}");
        assert_eq!(store.bytes_used(), Store::new().bytes_used());
        longest.push(cost.insert_longest.max(remove_longest));
        assert!(cost.lookup_longest <= 16);
    }
    assert!(longest[1] <= longest[0] * 12, "{longest:?}");
    assert!(longest[1] <= 3 * PAGE_ENTRIES_MAX as u64, "{longest:?}");
}

#[test]
fn numbered_keys_fill_pages_evenly() {
    let kinds: [fn(usize) -> Vec<u8>; 3] = [
        tagged_key,
        |number| format!("{{tag}}key:{number}").into_bytes(),
        |number| format!("{{tag}}k{number:015}").into_bytes(),
    ];
    for key in kinds {
        let mut store = Store::new();
        for number in 0..200_000 {
            store.upsert(&key(number), b"", Expiry::Never, 1);
        }
        let census = store.census();
        let mean = census.entries / census.page_lens.len();
        println!("{} pages, {mean} entries each, {} places", census.page_lens.len(), census.places);
        assert!(census.keyed_children == 0 && mean > PAGE_ENTRIES_MAX / 2);
    }
}

/// Slots are drawn by their entries: a few keys outside of a full slot are not drawn more often than their share.
#[test]
fn random_entries_are_fair_to_a_full_slot() {
    let mut store = Store::new();
    for number in 0..9_000 {
        store.upsert(&tagged_key(number), b"", Expiry::Never, 1);
    }
    for number in 0..1_000 {
        store.upsert(&spread_key(number), b"", Expiry::Never, 1);
    }
    let mut random = Random::new(1);
    let outside = (0..10_000).filter(|_| {
        let entry = store.random(random.next(), 1).expect("the store is not empty");
        entry.key()[0] == b'k'
    });
    let outside = outside.count();
    assert!((800..1200).contains(&outside), "{outside}");
}

/// Timings, by hand: `cargo test --release -- --ignored --nocapture timings`.
#[test]
#[ignore = "a measurement, not a test"]
fn timings() {
    for count in [100_000, 1_000_000] {
        let mut random = Random::new(7);
        let keys: Vec<[u8; 16]> = (0..count).map(|_| std::array::from_fn(|_| b'a' + random.below(26) as u8)).collect();
        // Drawn in another order than stored, but read in a row: so only the store's own cache misses count.
        let drawn: Vec<[u8; 16]> = (0..count).map(|_| keys[random.below(count)]).collect();
        let mut store = Store::new();
        let time = |what: &str, run: &mut dyn FnMut()| {
            let began = Instant::now();
            run();
            println!("{count:8} {what:10} {:6.1} ns", began.elapsed().as_nanos() as f64 / count as f64);
        };
        time("slot", &mut || assert!(drawn.iter().map(|key| SlotId::of_key(key).index()).sum::<usize>() > 0));
        time("hash", &mut || assert!(drawn.iter().fold(0, |sum, key| sum ^ hash::fast(key)) > 0));
        time("insert", &mut || keys.iter().for_each(|key| store.upsert(key, key, Expiry::Never, 1)));
        time("get", &mut || drawn.iter().for_each(|key| assert!(store.get(key, 1).is_some())));
        time("overwrite", &mut || drawn.iter().for_each(|key| store.upsert(key, key, Expiry::Never, 1)));
        time("miss", &mut || drawn.iter().for_each(|key| assert!(store.get(&key[..15], 1).is_none())));
        println!("{count:8} bytes an entry {:.1}", store.bytes_used() as f64 / count as f64);
        time("remove", &mut || keys.iter().for_each(|key| assert!(store.remove(key, 1))));
    }
}

/// What the expiry of many keys costs, by hand as the timings above.
#[test]
#[ignore = "a measurement, not a test"]
fn sweep_timings() {
    let one_in_many = |number: usize| if number % 1001 == 7 { 50 } else { 3_600_000 };
    time_sweep("1,000 due among 1M that are not", 1_001_000, one_in_many);
    time_sweep("300,000 in one second", 300_000, |number| 50 + number as u64 % 1000);
}

/// Sweeps at 1050 ms, each turn timed alone.
fn time_sweep(what: &str, count: usize, expires_ms: impl Fn(usize) -> u64) {
    let mut store = Store::new();
    for number in 0..count {
        store.upsert(&spread_key(number), b"0123456789abcdef", Expiry::At(expires_ms(number)), 1);
    }
    let (mut swept, mut longest) = (0, Duration::ZERO);
    let began = Instant::now();
    while store.next_expiry_ms().is_some_and(|due_ms| due_ms <= 1050) {
        let turn = Instant::now();
        swept += store.sweep(1050, 512);
        longest = longest.max(turn.elapsed());
    }
    println!("{what}: {swept} gone in {:?}, the longest turn {longest:?}", began.elapsed());
}
