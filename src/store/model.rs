//! Tests only: the store against a model that is plainly right, under random operations.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::spread::colliding_key;
use super::table::TIME_LATE;
use super::*;
use crate::limits::INLINE_VALUE_BYTES_MAX;
use crate::sys::pages::STEP_BYTES;
use crate::testkit::{Random, seeds};

/// A set of keys to draw from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Keys {
    Spread,
    Tagged,
    /// All with one fast hash.
    Colliding,
    /// Half tagged, half of one fast hash, in one slot.
    Mixed,
}

impl Keys {
    pub(super) const ALL: [Keys; 4] = [Keys::Spread, Keys::Tagged, Keys::Colliding, Keys::Mixed];

    pub(super) fn key(self, number: usize) -> Vec<u8> {
        match self {
            Keys::Spread => format!("key:{number}").into_bytes(),
            Keys::Tagged => format!("{{tag}}{number}").into_bytes(),
            Keys::Colliding => colliding_key(number),
            Keys::Mixed if number.is_multiple_of(2) => colliding_key(number),
            Keys::Mixed => Keys::Tagged.key(number),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Known {
    value: Vec<u8>,
    created_ms: u64,
    expires_ms: Option<u64>,
}

/// The store and its model, side by side.
struct Pair {
    random: Random,
    keys: Keys,
    key_count: usize,
    /// How many of the expiries that are set are one.
    ending_percent: usize,
    now_ms: u64,
    store: Store,
    model: BTreeMap<Vec<u8>, Known>,
    /// Whether changes are tracked, and the keys that the last step is to have changed.
    tracking: bool,
    changed: Vec<Vec<u8>>,
}

impl Pair {
    fn new(seed: u64, keys: Keys, key_count: usize) -> Pair {
        let mut random = Random::new(seed);
        let (store, model) = (Store::new(), BTreeMap::new());
        // Sometimes the last times that a column has room for come while the test runs.
        let now_ms = [1000, TIME_LATE - 2000][random.below(8) / 7];
        let (tracking, changed) = (false, Vec::new());
        Pair { random, keys, key_count, ending_percent: 50, now_ms, store, model, tracking, changed }
    }

    fn random_key(&mut self) -> Vec<u8> {
        self.keys.key(self.random.below(self.key_count))
    }

    fn random_bytes(&mut self) -> Vec<u8> {
        let length = match self.random.below(100) {
            0 => INLINE_VALUE_BYTES_MAX - 8 + self.random.below(200),
            1..20 => self.random.below(300),
            _ => self.random.below(12),
        };
        (0..length).map(|_| self.random.next() as u8).collect()
    }

    fn random_expiry(&mut self) -> Option<u64> {
        let shift = self.random.below(4000) as u64;
        let expires_ms = match self.random.below(20) {
            // Around where a column has no room for the time, and at the end of all times.
            0 => TIME_LATE - 2 + shift % 4,
            1 => u64::MAX - shift,
            _ => self.now_ms + shift,
        };
        (self.random.below(100) < self.ending_percent).then_some(expires_ms)
    }

    /// What an entry tells that is made now: the clock of creation times ends before the test's.
    fn created_ms(&self) -> u64 {
        self.now_ms.min((1 << 39) - 1)
    }

    /// The model's live entry.
    fn known(&self, key: &[u8]) -> Option<&Known> {
        self.model.get(key).filter(|known| known.expires_ms.is_none_or(|at| at > self.now_ms))
    }

    /// One random operation; `growing` makes writes likelier than removals.
    fn step(&mut self, growing: bool) {
        let choice = self.random.below(100);
        let writes = if growing { 60 } else { 20 };
        match choice {
            _ if choice < writes => self.upsert(),
            _ if choice < 70 => self.remove(),
            70..73 => self.rename(),
            73..76 => self.copy(),
            76..82 => self.get(),
            82..97 => self.edit(),
            97 => self.now_ms += self.random.below(200) as u64,
            98 => self.sweep(),
            _ => self.reclaim(),
        }
        self.compare_changes();
    }

    /// What the store says that the step has changed; now and then, tracking is switched.
    fn compare_changes(&mut self) {
        let mut changed = std::mem::take(&mut self.changed);
        if !self.tracking {
            changed.clear();
        }
        if self.random.below(50) == 0 {
            self.tracking = !self.tracking;
            self.store.track_changes(self.tracking);
            // What was not taken before the end of tracking is forgotten.
            changed.retain(|_| self.tracking);
        }
        let told: Vec<Vec<u8>> = self.store.take_changes().into_iter().map(Vec::from).collect();
        assert_eq!(told, changed);
    }

    fn upsert(&mut self) {
        let (key, value) = (self.random_key(), self.random_bytes());
        let kept = self.known(&key).and_then(|known| known.expires_ms);
        let expiry = match (self.random.below(3), self.random_expiry()) {
            (0, _) => Expiry::Keep,
            (_, None) => Expiry::Never,
            (_, Some(expires_ms)) => Expiry::At(expires_ms),
        };
        if self.random.below(2) == 0 {
            self.store.upsert(&key, &value, expiry, self.now_ms);
        } else {
            self.store.upsert_shared(&key, std::rc::Rc::new(value.clone()), expiry, self.now_ms);
        }
        self.changed.push(key.clone());
        self.model.insert(key, Known { value, created_ms: self.created_ms(), expires_ms: expiry.resolve(kept) });
    }

    fn remove(&mut self) {
        let key = self.random_key();
        let known = self.known(&key).is_some();
        assert_eq!(self.store.remove(&key, self.now_ms), known);
        self.model.remove(&key);
        if known {
            self.changed.push(key);
        }
    }

    fn rename(&mut self) {
        let (from, to) = (self.random_key(), self.random_key());
        let known = self.known(&from).cloned();
        assert_eq!(self.store.rename(&from, &to, self.now_ms), known.is_some());
        let Some(known) = known else { return };
        if from != to {
            self.model.remove(&from);
            self.model.insert(to.clone(), known);
            self.changed.extend([from, to]);
        }
    }

    fn copy(&mut self) {
        let (from, to) = (self.random_key(), self.random_key());
        let known = self.known(&from).cloned();
        assert_eq!(self.store.copy(&from, &to, self.now_ms), known.is_some());
        let Some(known) = known else { return };
        let bytes = |store: &Store, key| store.get(key, self.now_ms).map(|entry| entry.value().bytes().as_ptr());
        if known.value.len() > INLINE_VALUE_BYTES_MAX {
            assert_eq!(bytes(&self.store, &from), bytes(&self.store, &to), "a long value is shared");
        }
        self.model.insert(to.clone(), Known { created_ms: self.created_ms(), ..known });
        self.changed.push(to);
    }

    fn get(&mut self) {
        let key = self.random_key();
        let entry = self.store.get(&key, self.now_ms);
        assert_eq!(entry.map(known_of).as_ref(), self.known(&key));
        let random = self.store.random(self.random.next(), self.now_ms).map(|entry| entry.key());
        match random {
            Some(key) => assert!(self.known(key).is_some()),
            None => assert!(self.model.keys().all(|key| self.known(key).is_none() || self.model.len() > 4096)),
        }
    }

    fn edit(&mut self) {
        let (key, bytes, expiry) = (self.random_key(), self.random_bytes(), self.random_expiry());
        let (choice, offset) = (self.random.below(5), self.random.below(40));
        let mut known = self.known(&key).cloned();
        let entry = self.store.get_mut(&key, self.now_ms);
        assert_eq!(entry.is_some(), known.is_some());
        let (Some(mut entry), Some(known)) = (entry, &mut known) else { return };
        let pinned = match entry.value() {
            Value::Shared(value) if offset % 2 == 0 => Some((Rc::clone(value), value.to_vec())),
            _ => None,
        };
        match choice {
            0 => {
                entry.set_value(&bytes);
                known.value = bytes;
            }
            1 => {
                entry.append(&bytes);
                known.value.extend(bytes);
            }
            2 => {
                entry.prepend(&bytes);
                known.value.splice(0..0, bytes);
            }
            3 => {
                entry.write_at(offset, &bytes);
                known.value.resize(known.value.len().max(offset + bytes.len()), 0);
                known.value[offset..offset + bytes.len()].copy_from_slice(&bytes);
            }
            _ => {
                entry.set_expires(expiry);
                known.expires_ms = expiry;
            }
        }
        assert_eq!((entry.key(), entry.value().bytes()), (&key[..], &known.value[..]));
        if let Some((pinned, before)) = pinned {
            assert_eq!(*pinned, before, "a pinned value does not change");
        }
        self.changed.push(key.clone());
        self.model.insert(key, known.clone());
    }

    fn sweep(&mut self) {
        let entries_max = self.random.below(100);
        let due = |known: &Known| known.expires_ms.is_some_and(|at| at <= self.now_ms);
        let due_count = self.model.values().filter(|known| due(known)).count();
        let all = self.random.below(2) == 0;
        let mut swept = self.store.sweep(self.now_ms, entries_max);
        assert!(swept <= due_count.min(entries_max));
        while all && self.store.next_expiry_ms().is_some_and(|due_ms| due_ms <= self.now_ms) {
            swept += self.store.sweep(self.now_ms, 1 + entries_max);
        }
        // Which of the entries have gone, the store is asked for.
        let store = &self.store;
        let before = self.model.len();
        self.model.retain(|key, known| {
            let swept = store.item(key.into()).is_none();
            assert!(!swept || known.expires_ms.is_some_and(|at| at <= self.now_ms));
            !swept
        });
        assert_eq!(before - self.model.len(), swept);
        assert!(!all || swept == due_count);
    }

    /// A piece of what a quiet store does, which is not waited for here.
    fn reclaim(&mut self) {
        let work_max = self.random.below(600);
        self.store.reclaim(work_max);
        if self.random.below(20) == 0 {
            self.store.tidy.begin();
        }
        if let Some((round, at)) = self.store.tidy.at() {
            self.store.tidy_some(round, at, work_max);
        }
    }

    /// Everything that is seen from outside, and everything inside.
    fn compare(&self) {
        self.store.check();
        assert_eq!(self.store.len(), self.model.len());
        let first = self.model.values().filter_map(|known| known.expires_ms).min();
        let next = self.store.next_expiry_ms();
        assert!(next <= first && next.is_some() == first.is_some());
        let mut seen = BTreeMap::new();
        let mut cursor = Cursor::START;
        loop {
            let next = self.store.scan(cursor, 100, self.now_ms, &mut |entry| {
                assert!(seen.insert(entry.key().to_vec(), known_of(entry)).is_none(), "given twice");
            });
            let Some(next) = next else { break };
            assert_ne!(next, Cursor::START);
            cursor = next;
        }
        let live = self.model.iter().filter(|(key, _)| self.known(key).is_some());
        assert!(live.eq(seen.iter()), "a scan gives what is there");
    }
}

fn known_of(entry: EntryRef<'_>) -> Known {
    let value = entry.value().bytes().to_vec();
    Known { value, created_ms: entry.created_ms(), expires_ms: entry.expires_ms() }
}

#[test]
fn random_operations_agree_with_the_model() {
    for seed in seeds(6) {
        for keys in Keys::ALL {
            for key_count in [10, 300, 6000] {
                println!("MEMENTO_SEED={seed} {keys:?} {key_count}");
                let mut pair = Pair::new(seed, keys, key_count);
                for round in 0..8 {
                    pair.ending_percent = [0, 2, 50, 100][pair.random.below(4)];
                    for _ in 0..key_count.max(200) {
                        pair.step(round % 4 < 2);
                    }
                    if round == 5 && seed % 2 == 0 {
                        pair.store.flush();
                        pair.model.clear();
                    }
                    pair.compare();
                }
            }
        }
    }
}

#[test]
fn a_store_emptied_is_as_small_as_a_new_one() {
    for keys in Keys::ALL {
        let mut store = Store::new();
        let base = store.bytes_used();
        store.upsert(b"few", b"value", Expiry::At(50), 1);
        store.flush();
        assert_eq!(store.bytes_used(), base, "a few entries are freed at once");
        for number in 0..20_000 {
            let expiry = if number % 3 == 0 { Expiry::At(50) } else { Expiry::Never };
            store.upsert(&keys.key(number), b"value", expiry, 1);
        }
        store.check();
        for number in 0..10_000 {
            assert!(store.remove(&keys.key(number), 2));
        }
        store.check();
        for number in 10_000..20_000 {
            let live = number % 3 != 0;
            assert_eq!(store.remove(&keys.key(number), 60), live);
        }
        assert_eq!((store.len(), store.expiring(), store.bytes_used()), (0, 0, base), "{keys:?}");
    }
}

#[test]
fn a_flush_is_reclaimed_in_small_parts() {
    for keys in Keys::ALL {
        let mut store = Store::new();
        let base = store.bytes_used();
        store.upsert(b"few", b"value", Expiry::At(50), 1);
        store.flush();
        assert_eq!(store.bytes_used(), base, "a few entries are freed at once");
        for number in 0..20_000 {
            let expiry = if number % 3 == 0 { Expiry::At(50) } else { Expiry::Never };
            store.upsert(&keys.key(number), b"value", expiry, 1);
        }
        let full = store.bytes_used();
        store.flush();
        assert_eq!((store.len(), store.expiring()), (0, 0));
        // A flush frees a little itself, and never much.
        assert!(store.bytes_used() >= full / 2 && store.bytes_used() < full + crate::limits::SLOTS * 8);
        assert!(store.get(&keys.key(1), 1).is_none());
        store.upsert(b"new", b"value", Expiry::Never, 1);
        let (mut steps, mut before) = (0, store.bytes_used());
        while store.reclaim(100) {
            steps += 1;
            assert!(before - store.bytes_used() < 4 * STEP_BYTES, "{before} to {}", store.bytes_used());
            before = store.bytes_used();
            if steps % 16 == 0 {
                store.check();
            }
        }
        assert!(steps >= full / (4 * STEP_BYTES), "{steps}");
        assert!(store.remove(b"new", 1));
        assert_eq!(store.bytes_used(), base);
    }
}

#[test]
fn entries_move_together_when_most_have_gone() {
    for keys in Keys::ALL {
        let mut store = Store::new();
        let expiry = |number: usize| if number.is_multiple_of(3) { Expiry::At(50) } else { Expiry::Never };
        for number in 0..30_000 {
            store.upsert(&keys.key(number), b"0123456789abcdef", expiry(number), 1);
        }
        let full = store.heap.step_count();
        for number in (0..30_000).filter(|number| number % 10 != 0) {
            assert!(store.remove(&keys.key(number), 1));
        }
        while store.reclaim(100) {}
        store.check();
        println!("{keys:?}: {} steps of {full}", store.heap.step_count());
        assert!(store.heap.step_count() <= full / 3);
        for number in (0..30_000).step_by(10) {
            let entry = store.get(&keys.key(number), 1).expect("an entry that stays");
            assert_eq!((entry.value().bytes(), entry.created_ms()), (&b"0123456789abcdef"[..], 1));
            assert_eq!(entry.expires_ms().is_some(), number.is_multiple_of(3));
        }
        assert_eq!(store.sweep(50, 30_000), 1000);
        store.check();
    }
}

/// Pages of a store that grew have room for more; when it has been quiet for a while, they have not.
#[test]
fn pages_of_a_quiet_store_get_small() {
    // Pages of few entries are half a group too large on the average.
    for (keys, tenths_max) in [(Keys::Spread, 85), (Keys::Tagged, 62), (Keys::Mixed, 62)] {
        let mut store = Store::new();
        let expiry = |number: usize| if number.is_multiple_of(3) { Expiry::At(1 << 35) } else { Expiry::Never };
        for number in 0..200_000 {
            store.upsert(&keys.key(number), b"value", expiry(number), 1);
            if number % 1000 == 0 {
                store.sweep(number as u64, 10);
                assert!(!store.reclaim(10), "a store that is written to is let alone");
            }
        }
        let full = store.tables.bytes();
        let mut now_ms = 200_000;
        for _ in 0..3 {
            assert!(store.next_work_ms().is_some_and(|next_ms| next_ms <= now_ms));
            store.sweep(now_ms, 10);
            now_ms += 1000;
        }
        assert!(store.reclaim(512));
        while store.reclaim(512) {}
        store.check();
        assert_eq!(store.next_work_ms(), store.next_expiry_ms(), "then there is rest");
        let (now, expiring) = (store.tables.bytes(), store.expiring());
        println!("{keys:?}: {full} bytes of tables, then {now}");
        assert!(now < full && now - expiring * 5 < 200_000 * tenths_max / 10);
        for number in 0..200_000 {
            assert!(store.get(&keys.key(number), 1).is_some());
        }
    }
}

/// A probe is a hint: it may come too early, too late, or for a key that is not there, and changes nothing.
#[test]
fn a_probe_leaves_everything_as_it_is() {
    for keys in Keys::ALL {
        let mut store = Store::new();
        let mut random = Random::new(1);
        let mut probes = Vec::new();
        for round in 0..20_000 {
            let key = keys.key(random.below(3000));
            let mut probe = store.probe(&key);
            store.probe_page(&mut probe);
            store.probe_entry(&mut probe);
            match random.below(3) {
                0 => drop(store.remove(&key, 1)),
                _ => store.upsert(probe.key(&key), &key, Expiry::Never, 1),
            }
            assert_eq!(
                store.get(probe.key(&key), 1).map(|entry| entry.key()),
                store.get(&key, 1).map(|entry| entry.key())
            );
            probes.push(probe);
            if round % 5000 == 0 {
                store.flush();
                while store.reclaim(1000) {}
            }
            probes[..].iter_mut().rev().take(3).for_each(|probe| store.probe_entry(probe));
        }
        store.flush();
        while store.reclaim(1000) {}
        probes.iter_mut().for_each(|probe| store.probe_entry(probe));
        probes.iter_mut().for_each(|probe| store.probe_page(probe));
    }
}
