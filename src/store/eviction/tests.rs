//! Which entries go, and that nothing else does.

use std::collections::BTreeMap;

use super::*;
use crate::store::model::Keys;
use crate::testkit::{Random, seeds};

const EVICTING: [Policy; 7] = [
    Policy::AllKeysLru,
    Policy::AllKeysLfu,
    Policy::AllKeysRandom,
    Policy::VolatileLru,
    Policy::VolatileLfu,
    Policy::VolatileTtl,
    Policy::VolatileRandom,
];

fn key(number: usize) -> Vec<u8> {
    Keys::Spread.key(number)
}

fn store(policy: Policy) -> Store {
    let mut store = Store::new();
    store.set_policy(policy, 8);
    store.pass_time(1000);
    store
}

/// Evicts so many, and gives the numbers of those that are left below `count`.
fn left_after(store: &mut Store, evictions: usize, count: usize) -> Vec<usize> {
    for _ in 0..evictions {
        assert!(store.evict());
    }
    (0..count).filter(|&number| store.get(&key(number), 1000).is_some()).collect()
}

#[test]
fn nothing_goes_that_may_not() {
    for policy in Policy::ALL {
        let mut store = store(policy);
        assert!(!store.evict(), "{policy}: an empty store");
        (0..100).for_each(|number| store.upsert(&key(number), b"v", Expiry::Never, 1000));
        (100..103).for_each(|number| store.upsert(&key(number), b"v", Expiry::At(5000), 1000));
        let evicted = (0..).take_while(|_| store.evict()).count();
        let wanted = match policy {
            Policy::NoEviction => 0,
            _ if policy.is_volatile() => 3,
            _ => 103,
        };
        assert_eq!((evicted, store.len()), (wanted, 103 - wanted), "{policy}");
        store.check();
    }
}

#[test]
fn what_was_used_lately_stays() {
    for policy in [Policy::AllKeysLru, Policy::VolatileLru] {
        let mut store = store(policy);
        (0..10_000).for_each(|number| store.upsert(&key(number), b"v", Expiry::At(9000), 1000));
        (0..10_000).step_by(4).for_each(|number| assert!(store.read(&key(number), 1000).is_some()));
        // Time for those that were read and those that came last to be told apart.
        (10_000..12_000).for_each(|number| store.upsert(&key(number), b"v", Expiry::At(9000), 1000));
        let left = left_after(&mut store, 4000, 10_000);
        let read = left.iter().filter(|number| *number % 4 == 0).count();
        assert!(read > 2480, "{policy}: {read} of 2500 that were read are left");
        // Of the others the earliest went first.
        let middle = left.iter().filter(|number| *number % 4 != 0 && **number >= 5000).count();
        assert!(middle * 4 > (left.len() - read) * 3, "{policy}: {middle} of {}", left.len() - read);
    }
}

#[test]
fn what_is_used_often_stays() {
    for policy in [Policy::AllKeysLfu, Policy::VolatileLfu] {
        let mut store = store(policy);
        (0..10_000).for_each(|number| store.upsert(&key(number), b"v", Expiry::At(9000), 1000));
        for _ in 0..30 {
            (0..10_000).step_by(4).for_each(|number| assert!(store.read(&key(number), 1000).is_some()));
        }
        let left = left_after(&mut store, 4000, 10_000);
        let often = left.iter().filter(|number| *number % 4 == 0).count();
        assert!(often > 2490, "{policy}: {often} of 2500 are left");
    }
}

#[test]
fn what_ends_first_goes_first() {
    let mut store = store(Policy::VolatileTtl);
    let mut random = Random::new(1);
    let mut ends: Vec<u64> = Vec::new();
    for number in 0..5000 {
        // Some are beyond what a column can tell, and some have no end.
        let expires_ms = match number % 100 {
            0 => (1 << 41) + random.below(1 << 20) as u64,
            1..50 => 2000 + random.below(1_000_000) as u64,
            _ => continue,
        };
        store.upsert(&key(number), b"v", Expiry::At(expires_ms), 1000);
        ends.push(expires_ms);
    }
    (5000..9000).for_each(|number| store.upsert(&key(number), b"v", Expiry::Never, 1000));
    ends.sort_unstable();
    for (gone, &wanted_ms) in ends.iter().enumerate() {
        let before_ms = store.expires_mean_ms();
        assert!(store.evict(), "{gone} have gone");
        assert!(before_ms.is_some() && store.expiring() == ends.len() - gone - 1);
        if let Some(&next_ms) = ends.get(gone + 1) {
            assert!(next_ms >= wanted_ms && store.next_expiry_ms() <= Some(next_ms));
        }
        if gone % 500 == 0 {
            let swept_after = store.next_expiry_ms().map_or(0, |due_ms| store.sweep(due_ms.min(wanted_ms) - 1, 10));
            assert_eq!(swept_after, 0, "what ends before has gone");
            store.check();
        }
    }
    assert!(!store.evict());
    assert_eq!(store.len(), 4000);
}

#[test]
fn any_entry_is_as_likely_to_go() {
    for keys in [Keys::Spread, Keys::Tagged] {
        let mut store = store(Policy::AllKeysRandom);
        (0..20_000).for_each(|number| store.upsert(&keys.key(number), b"v", Expiry::Never, 1000));
        (0..10_000).for_each(|_| assert!(store.evict()));
        let parts: Vec<usize> = (0..20)
            .map(|part| (part * 1000..(part + 1) * 1000).filter(|&n| store.get(&keys.key(n), 1000).is_some()).count())
            .collect();
        assert!(parts.iter().all(|part| (400..600).contains(part)), "{keys:?}: {parts:?}");
    }
}

#[test]
fn the_few_that_end_are_found_among_many_that_do_not() {
    for policy in EVICTING.into_iter().filter(|policy| policy.is_volatile()) {
        let mut store = store(policy);
        (0..100_000).for_each(|number| store.upsert(&key(number), b"v", Expiry::Never, 1000));
        (0..20).for_each(|number| store.upsert(&key(number * 5000), b"v", Expiry::At(5000 + number as u64), 1000));
        for gone in 0..20 {
            assert!(store.evict(), "{policy}: {gone} of 20");
        }
        assert!(!store.evict());
        assert_eq!((store.len(), store.expiring()), (99_980, 0), "{policy}");
    }
}

#[test]
fn use_is_remembered_while_pages_change() {
    for keys in Keys::ALL {
        let mut store = store(Policy::AllKeysLfu);
        store.upsert(&keys.key(0), b"v", Expiry::Never, 1000);
        (0..1000).for_each(|_| assert!(store.read(&keys.key(0), 1000).is_some()));
        let often = store.use_count(&keys.key(0)).expect("a key");
        assert!((12..=30).contains(&often), "{often}");
        // Pages grow, split and become keyed; get columns of times and lose them; shrink and are joined.
        (1..3000).for_each(|number| store.upsert(&keys.key(number), b"v", Expiry::Never, 1000));
        (1..2000).for_each(|number| store.get_mut(&keys.key(number), 1000).unwrap().set_expires(Some(5000)));
        store.check();
        assert_eq!(store.use_count(&keys.key(0)), Some(often), "{keys:?}");
        assert_eq!(store.use_count(&keys.key(2500)), Some(5));
        assert!((5..=6).contains(&store.use_count(&keys.key(1500)).expect("a key")));
        assert_eq!(store.sweep(5000, 5000), 1999);
        (2000..3000).for_each(|number| assert!(store.remove(&keys.key(number), 5000)));
        store.check();
        assert_eq!(store.use_count(&keys.key(0)), Some(often), "{keys:?}");
        // A minute later all counters are one less.
        store.pass_time(61_000);
        assert_eq!(store.use_count(&keys.key(0)), Some(often - 1));
    }
}

#[test]
fn use_may_be_told() {
    let [mut store, mut often] = [Policy::AllKeysLru, Policy::AllKeysLfu].map(store);
    (1..=300).for_each(|second| store.pass_time(second * 1000));
    store.upsert(b"key", b"v", Expiry::Never, 300_000);
    assert_eq!(store.idle_ms(b"key"), Some(0));
    for idle_ms in [60_000, 5000, 0] {
        store.set_idle_ms(b"key", idle_ms);
        let told_ms = store.idle_ms(b"key").expect("a key");
        assert!((idle_ms..=idle_ms + 20_000).contains(&told_ms), "{told_ms} of {idle_ms}");
    }
    // Longer than anything that is known.
    store.set_idle_ms(b"key", u64::MAX);
    assert!(store.idle_ms(b"key").is_some_and(|told_ms| told_ms >= 200_000));
    store.set_idle_ms(b"other", 1000);
    store.check();
    often.upsert(b"key", b"v", Expiry::Never, 1000);
    often.set_use_count(b"key", 77);
    often.set_idle_ms(b"key", 60_000);
    assert_eq!(often.use_count(b"key"), Some(77));
    often.check();
}

#[test]
fn marks_take_memory_only_while_they_are_needed() {
    let bytes = |policy: Option<Policy>| {
        let mut store = Store::new();
        (0..100_000).for_each(|number| store.upsert(&key(number), b"v", Expiry::Never, 1000));
        for policy in policy.into_iter() {
            store.set_policy(policy, 8);
        }
        (0..100_000).for_each(|number| assert!(store.read(&key(number), 1000).is_some()));
        (store.bytes_used(), store)
    };
    let (plain, _) = bytes(None);
    assert_eq!(bytes(Some(Policy::AllKeysRandom)).0, plain);
    let (marked, mut store) = bytes(Some(Policy::AllKeysLru));
    let each = (marked - plain) as f64 / 100_000.0;
    println!("{each:.2} bytes an entry");
    assert!((1.0..2.0).contains(&each), "{each} bytes an entry");
    // They go with the next change of their page's size.
    store.set_policy(Policy::NoEviction, 8);
    (0..100_000).filter(|number| number % 3 > 0).for_each(|number| assert!(store.remove(&key(number), 1000)));
    store.check();
    let mut fresh = Store::new();
    (0..100_000).step_by(3).for_each(|number| fresh.upsert(&key(number), b"v", Expiry::Never, 1000));
    let extra = store.bytes_used() as f64 / fresh.bytes_used() as f64;
    assert!(extra < 1.15, "{extra}");
}

#[test]
fn random_operations_under_a_limit_lose_nothing_but_what_was_evicted() {
    for seed in seeds(4) {
        for keys in Keys::ALL {
            println!("MEMENTO_SEED={seed} {keys:?}");
            let mut random = Random::new(seed);
            let mut store = Store::new();
            let mut model: BTreeMap<Vec<u8>, (Vec<u8>, bool)> = BTreeMap::new();
            store.track_changes(true);
            let (mut policy, mut now_ms, mut evicted) = (Policy::NoEviction, 1000, 0);
            for step in 0..6000 {
                if step % 500 == 0 {
                    policy = Policy::ALL[random.below(Policy::ALL.len())];
                    store.set_policy(policy, 1 + random.below(64));
                }
                now_ms += random.below(200) as u64;
                store.pass_time(now_ms);
                let key = keys.key(random.below(1500));
                match random.below(10) {
                    0..5 => {
                        let value = vec![b'v'; random.below(200)];
                        let ends = random.below(3) == 0;
                        store.upsert(&key, &value, if ends { Expiry::At(1 << 40) } else { Expiry::Never }, now_ms);
                        model.insert(key, (value, ends));
                    }
                    5 => assert_eq!(store.remove(&key, now_ms), model.remove(&key).is_some()),
                    6 if random.below(300) == 0 => {
                        store.flush();
                        model.clear();
                    }
                    7 => drop(store.reclaim(100)),
                    _ => {
                        let found = store.read(&key, now_ms).map(|entry| entry.value().bytes().to_vec());
                        assert_eq!(found.as_ref(), model.get(&key).map(|(value, _)| value));
                    }
                }
                store.take_changes();
                while store.len() > 400 + random.below(100) && store.evict() {
                    let changes = store.take_changes();
                    let [gone] = &changes[..] else { panic!("{} keys went at once", changes.len()) };
                    let (_, ended) = model.remove(&**gone).expect("a key that was there");
                    assert!(ended || !policy.is_volatile(), "{policy} has evicted what does not end");
                    assert!(store.get(&**gone, now_ms).is_none());
                    evicted += 1;
                }
                let may_go = match policy {
                    Policy::NoEviction => 0,
                    _ if policy.is_volatile() => store.expiring(),
                    _ => store.len(),
                };
                assert!(store.len() <= 500 || may_go == 0, "{policy} finds nothing to evict");
                assert_eq!(store.len(), model.len());
                if step % 250 == 0 {
                    store.check();
                    let ending = model.values().filter(|(_, ends)| *ends).count();
                    assert_eq!(store.expiring(), ending);
                }
            }
            assert!(evicted > 100, "{evicted} were evicted");
        }
    }
}
