use std::collections::BTreeSet;

use super::*;
use crate::blob::HEAP_BYTES_MAX;
use crate::limits::INLINE_VALUE_BYTES_MAX;

impl Heap {
    /// Asserts that the blocks in use are exactly those that are owned, and so the long entries.
    pub(in crate::store) fn check(&self, owned: &BTreeSet<Handle>) {
        self.arena.check(owned);
        let places: Vec<u32> = owned.iter().filter_map(|&handle| self.entry(handle).place()).collect();
        self.longs.check(&places);
    }

    /// How many steps of memory the blocks are in.
    pub(in crate::store) fn step_count(&self) -> usize {
        self.arena.step_count()
    }
}

const CREATED_MS: u64 = (1 << 39) - 1;

fn times(created_ms: u64, expires_ms: Option<u64>) -> Times {
    Times::new(created_ms, expires_ms)
}

/// A heap with one entry, which is checked at each look.
struct One {
    heap: Heap,
    handle: Handle,
}

impl One {
    fn new(key: &[u8], value: &[u8], created_ms: u64, expires_ms: Option<u64>) -> One {
        let mut heap = Heap::default();
        let handle = heap.insert(key, value, times(created_ms, expires_ms));
        One { heap, handle }
    }

    fn change(&mut self, change: impl FnOnce(&mut Heap, Handle) -> Handle) {
        self.handle = change(&mut self.heap, self.handle);
    }

    fn entry(&self) -> Entry<'_> {
        self.heap.check(&BTreeSet::from([self.handle]));
        let entry = self.heap.entry(self.handle);
        assert_eq!(entry.bytes(), self.heap.bytes());
        entry
    }

    fn value(&self) -> &[u8] {
        self.entry().value().bytes()
    }
}

fn at_bound(extra: usize) -> Vec<u8> {
    vec![b'v'; INLINE_VALUE_BYTES_MAX + extra]
}

#[test]
fn parts_are_read_back() {
    for key_length in [0, 1, 127, 128, 255, 1024, 1025, 70_000] {
        for value_length in [0, 1, 100, 127, 128, INLINE_VALUE_BYTES_MAX, INLINE_VALUE_BYTES_MAX + 1] {
            for expires_ms in [None, Some(0), Some((1 << 40) - 2), Some((1 << 40) - 1), Some(u64::MAX)] {
                let (key, value) = (vec![b'k'; key_length], vec![b'v'; value_length]);
                let mut one = One::new(&key, &value, CREATED_MS, expires_ms);
                let is_parts = |one: &One, expires_ms| {
                    let entry = one.entry();
                    assert_eq!((entry.key(), entry.value().bytes()), (&key[..], &value[..]));
                    assert_eq!(entry.times(), times(CREATED_MS, expires_ms));
                    assert_eq!(matches!(entry.value(), Value::Shared(_)), value_length > INLINE_VALUE_BYTES_MAX);
                };
                is_parts(&one, expires_ms);
                for expires_ms in [Some(5), Some(u64::MAX - 1), Some(u64::MAX), None, None] {
                    one.change(|heap, handle| heap.set_late(handle, super::super::entry::late(expires_ms)));
                    is_parts(&one, expires_ms);
                }
                one.change(|heap, handle| heap.with_key(handle, b"other"));
                assert_eq!((one.entry().key(), one.value()), (&b"other"[..], &value[..]));
                one.change(|heap, handle| heap.with_key(handle, &key));
                is_parts(&one, None);
            }
        }
    }
}

#[test]
fn a_small_entry_is_one_block_with_seven_bytes_of_header() {
    let bytes = |key_length, value_length, expires_ms| {
        One::new(&vec![b'k'; key_length], &vec![b'v'; value_length], 1, expires_ms).entry().bytes()
    };
    assert_eq!(bytes(16, 17, None), 7 + 33);
    assert_eq!(bytes(16, 16, None), 8 + 32);
    assert_eq!(bytes(16, 21, None), 7 + 37);
    assert_eq!(bytes(16, 100, None), 8 + 116);
    assert_eq!(bytes(16, 16, Some(1)), 8 + 32, "a time is elsewhere");
    assert_eq!(bytes(16, 17, Some(u64::MAX)), 15 + 33);
}

/// A clock that runs for longer than creation times can tell stands still; nothing else comes to harm.
#[test]
fn a_creation_time_too_late_is_the_latest() {
    let one = One::new(b"key", b"value", u64::MAX, Some(u64::MAX));
    assert_eq!(one.entry().times(), times(CREATED_MS, Some(u64::MAX)));
}

#[test]
fn a_value_changes_kind_with_its_length() {
    let mut one = One::new(b"key", &at_bound(0), 1, Some(u64::MAX));
    assert!(matches!(one.entry().value(), Value::Inline(_)));
    one.change(|heap, handle| heap.append(handle, b"x"));
    assert!(matches!(one.entry().value(), Value::Shared(_)));
    one.change(|heap, handle| heap.set_value(handle, &at_bound(0)));
    assert!(matches!(one.entry().value(), Value::Inline(_)));
    one.change(|heap, handle| heap.prepend(handle, b"x"));
    assert!(matches!(one.entry().value(), Value::Shared(_)));
    assert_eq!(one.value()[..2], *b"xv");
    let entry = one.entry();
    assert_eq!((entry.key(), entry.times()), (&b"key"[..], times(1, Some(u64::MAX))));
}

#[test]
fn a_value_of_the_same_length_stays_where_it_is() {
    for value in [b"short".to_vec(), at_bound(1)] {
        let mut one = One::new(b"key", &value, 1, None);
        let before = one.value().as_ptr();
        one.change(|heap, handle| heap.replace(handle, b"key", &vec![b'w'; value.len()], times(2, None)));
        assert_eq!(one.value().as_ptr(), before);
        assert_eq!((one.value()[0], one.entry().created_ms()), (b'w', 2));
    }
}

#[test]
fn bytes_written_past_the_end_leave_zeros_between() {
    let mut one = One::new(b"key", b"ab", 1, None);
    one.change(|heap, handle| heap.write_at(handle, 4, b"ef"));
    assert_eq!(one.value(), b"ab\0\0ef");
    one.change(|heap, handle| heap.write_at(handle, 1, b"BC"));
    assert_eq!(one.value(), b"aBC\0ef");
    one.change(|heap, handle| heap.write_at(handle, INLINE_VALUE_BYTES_MAX, b"z"));
    assert_eq!(one.value().len(), INLINE_VALUE_BYTES_MAX + 1);
    assert_eq!(one.value()[..7], *b"aBC\0ef\0");
}

#[test]
fn appending_to_a_long_value_moves_it_seldom() {
    let mut one = One::new(b"key", &at_bound(1), 1, None);
    let mut moves = 0;
    for _ in 0..100_000 {
        let before = one.heap.entry(one.handle).value().bytes().as_ptr();
        one.handle = one.heap.append(one.handle, b"0123456789");
        let Value::Shared(value) = one.heap.entry(one.handle).value() else { panic!("a long value") };
        assert!(value.bytes_used() <= value.len() * 5 / 4 + HEAP_BYTES_MAX);
        moves += usize::from(value.as_ptr() != before);
    }
    assert!(moves < 30, "{moves}");
}

#[test]
fn a_pinned_value_stays_as_it_is() {
    let mut one = One::new(b"key", &at_bound(1), 1, None);
    let Value::Shared(value) = one.entry().value() else { panic!("a long value") };
    let pinned = Rc::clone(value);
    one.change(|heap, handle| heap.append(handle, b"x"));
    assert_eq!((*pinned).len(), INLINE_VALUE_BYTES_MAX + 1);
    assert_eq!(one.value().len(), INLINE_VALUE_BYTES_MAX + 2);
    one.change(|heap, handle| heap.set_value(handle, &at_bound(2)));
    assert_eq!(**pinned, at_bound(1));
}

#[test]
fn a_heap_is_freed_in_parts() {
    let mut heap = Heap::default();
    for number in 0..10_000u32 {
        heap.insert(&number.to_le_bytes(), b"value", times(1, None));
    }
    heap.insert(b"long", &at_bound(1), times(1, None));
    let parts = (0..).take_while(|_| heap.free_some()).count();
    assert!((4..100).contains(&parts), "{parts}");
    assert_eq!(heap.bytes(), 0);
}
