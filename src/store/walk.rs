//! Tests only: walks over a store that changes meanwhile.

use std::collections::BTreeSet;

use super::model::Keys;
use super::spread::{colliding_key_of, tagged_key};
use super::*;
use crate::testkit::{Random, seeds};

/// One step of a walk, its keys added to those given.
fn step(store: &Store, from: Cursor, visits_max: usize, given: &mut BTreeSet<Vec<u8>>) -> Option<Cursor> {
    store.scan(from, visits_max, 1, &mut |entry| given.extend([entry.key().to_vec()]))
}

/// The rest of a walk.
fn finish(store: &Store, from: Cursor, given: &mut BTreeSet<Vec<u8>>) {
    let mut cursor = Some(from);
    while let Some(from) = cursor {
        cursor = step(store, from, 1, given);
    }
}

fn insert_all(store: &mut Store, keys: &[Vec<u8>]) {
    keys.iter().for_each(|key| store.upsert(key, b"", Expiry::Never, 1));
}

fn remove_all(store: &mut Store, keys: &[Vec<u8>]) {
    keys.iter().for_each(|key| assert!(store.remove(key, 1)));
}

/// Keys of one fast hash, under `{tag}`.
fn colliding_keys(target: u64, count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| colliding_key_of(*b"{tag}...", target, number)).collect()
}

/// A cursor made of fast bits is not to be read as a position of the keyed hash.
#[test]
fn a_page_that_became_keyed_is_walked_from_its_beginning() {
    for target in 1..9 {
        let mut store = Store::new();
        let stay: Vec<_> = (0..5000).map(tagged_key).collect();
        insert_all(&mut store, &stay);
        let crowd = colliding_keys(target, 600);
        let crowded = hash::position(hash::fast(&crowd[0]));
        let (mut cursor, mut given) = (Cursor::START, BTreeSet::new());
        loop {
            let mut more = BTreeSet::new();
            let next = step(&store, cursor, 1, &mut more).filter(|next| next.position().fast() <= crowded);
            let Some(next) = next else { break };
            given.append(&mut more);
            cursor = next;
        }
        insert_all(&mut store, &crowd);
        assert_eq!(store.census().keyed_children, 1);
        finish(&store, cursor, &mut given);
        assert!(stay.iter().all(|key| given.contains(key)), "target {target}");
    }
}

/// A cursor inside a keyed child that went, while another came that has its positions and more.
#[test]
fn a_position_in_a_keyed_child_that_went_is_not_one_in_another() {
    let is_lower = |key: &Vec<u8>| hash::fast(key) >> 63 == 0;
    let target = (1..).find(|&target| is_lower(&colliding_keys(target, 1)[0])).expect("every other one");
    let (lower, upper): (Vec<_>, Vec<_>) = (0..700).map(tagged_key).partition(is_lower);
    let (stay, go) = upper.split_at(100);
    let crowd = colliding_keys(target, 2000);
    let (mut store, mut given) = (Store::new(), BTreeSet::new());
    insert_all(&mut store, &upper);
    insert_all(&mut store, &lower);
    insert_all(&mut store, &crowd);

    let mut cursor = Cursor::START;
    for _ in 0..4 {
        cursor = step(&store, cursor, 1, &mut given).expect("a walk of many steps");
    }
    assert!(cursor.position().within(0, 1).is_some_and(|keyed| keyed > 0));
    assert!(stay.iter().all(|key| !given.contains(key)));

    remove_all(&mut store, &lower);
    remove_all(&mut store, &crowd);
    remove_all(&mut store, go);
    assert_eq!(store.census().page_lens, [stay.len()]);
    insert_all(&mut store, &crowd);
    assert_eq!(store.census().keyed_children, 1);
    finish(&store, cursor, &mut given);
    assert!(stay.iter().all(|key| given.contains(key)));
}

/// Scans with small steps while random writes and removals change everything around the keys that stay.
#[test]
fn a_scan_gives_every_key_that_stays() {
    for seed in seeds(12) {
        for keys in Keys::ALL {
            println!("MEMENTO_SEED={seed} {keys:?}");
            let mut random = Random::new(seed);
            let mut store = Store::new();
            let (stays, comes) = (200, 8000);
            for number in 0..stays {
                store.upsert(&keys.key(number), b"stays", Expiry::Never, 1);
            }
            for number in 0..random.below(comes) {
                store.upsert(&keys.key(stays + number), b"goes", Expiry::Never, 1);
            }
            let mut given = BTreeSet::new();
            let mut cursor = Cursor::START;
            loop {
                let next = step(&store, cursor, 1 + random.below(100), &mut given);
                let Some(next) = next else { break };
                cursor = Cursor::from_u64(next.to_u64());
                churn(&mut store, &mut random, keys, stays, comes);
            }
            for number in 0..stays {
                assert!(given.contains(&keys.key(number)), "key {number} was not given");
            }
        }
    }
}

/// Writes or removes a run of keys, sometimes nearly all, so that pages split, join, become keyed and cease to be.
fn churn(store: &mut Store, random: &mut Random, keys: Keys, stays: usize, comes: usize) {
    let count = [10, 100, comes][random.below(8).min(2) % 3];
    let (first, writes) = (random.below(comes), random.below(2) == 0);
    for number in (first..first + count).map(|number| stays + number % comes) {
        if writes {
            store.upsert(&keys.key(number), b"goes", Expiry::Never, 1);
        } else {
            store.remove(&keys.key(number), 1);
        }
    }
}

#[test]
fn a_slot_is_scanned_alone() {
    let mut store = Store::new();
    for number in 0..5000 {
        store.upsert(&Keys::Mixed.key(number), b"", Expiry::Never, 1);
        store.upsert(&Keys::Spread.key(number), b"", Expiry::Never, 1);
    }
    let slot = SlotId::of_key(b"{tag}");
    let (mut given, mut cursor) = (0, Some(Cursor::START));
    while let Some(from) = cursor {
        cursor = store.scan_slot(slot, from, 1, 1, &mut |entry| {
            assert_eq!(SlotId::of_key(entry.key()), slot);
            given += 1;
        });
    }
    assert_eq!(given, store.slot_len(slot));
}

#[test]
fn any_number_is_a_cursor() {
    for seed in seeds(4) {
        let mut random = Random::new(seed);
        let mut store = Store::new();
        for number in 0..3000 {
            store.upsert(&Keys::Mixed.key(number), b"", Expiry::Never, 1);
        }
        for _ in 0..2000 {
            let number = random.next() >> random.below(64);
            let slot = SlotId::of_key(b"{tag}");
            let _ = store.scan(Cursor::from_u64(number), 1, 1, &mut |_| ());
            let _ = store.scan_slot(slot, Cursor::from_u64(number), 1, 1, &mut |_| ());
        }
    }
}
