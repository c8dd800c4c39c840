use super::*;

fn at_bound(extra: usize) -> Vec<u8> {
    vec![b'v'; INLINE_VALUE_BYTES_MAX + extra]
}

fn address(entry: &Entry) -> *const u8 {
    entry.value().bytes().as_ptr()
}

#[test]
fn parts_are_read_back() {
    for key_length in [0, 1, 255, 256, 70_000] {
        for value_length in [0, 1, 100, INLINE_VALUE_BYTES_MAX, INLINE_VALUE_BYTES_MAX + 1] {
            for expires_ms in [None, Some(0), Some(u64::MAX)] {
                let (key, value) = (vec![b'k'; key_length], vec![b'v'; value_length]);
                let mut entry = Entry::new(&key, &value, (1 << 48) - 1, expires_ms);
                let is_parts = |entry: &Entry, expires_ms| {
                    assert_eq!((entry.key(), entry.value().bytes()), (&key[..], &value[..]));
                    assert_eq!((entry.created_ms(), entry.expires_ms()), ((1 << 48) - 1, expires_ms));
                };
                is_parts(&entry, expires_ms);
                for expires_ms in [Some(5), Some(6), None, None] {
                    entry.set_expires(expires_ms);
                    is_parts(&entry, expires_ms);
                }
            }
        }
    }
}

#[test]
fn a_small_entry_is_one_block_with_eight_bytes_of_header() {
    assert_eq!(size_of::<Entry>(), 16);
    assert_eq!(Entry::new(b"sixteen bytes ok", b"sixteen bytes ok", 1, None).block_bytes(), 8 + 32);
    assert_eq!(Entry::new(b"sixteen bytes ok", b"sixteen bytes ok", 1, Some(1)).block_bytes(), 16 + 32);
}

#[test]
fn a_value_changes_kind_with_its_length() {
    let mut entry = Entry::new(b"key", &at_bound(0), 1, Some(9));
    assert!(matches!(entry.value(), Value::Inline(_)));
    entry.append(b"x");
    assert!(matches!(entry.value(), Value::Shared(_)));
    entry.set_value(&at_bound(0));
    assert!(matches!(entry.value(), Value::Inline(_)));
    entry.prepend(b"x");
    assert!(matches!(entry.value(), Value::Shared(_)));
    assert_eq!(entry.value().bytes()[..2], *b"xv");
    assert_eq!((entry.key(), entry.created_ms(), entry.expires_ms()), (&b"key"[..], 1, Some(9)));
}

#[test]
fn a_value_of_the_same_length_stays_where_it_is() {
    for value in [b"short".to_vec(), at_bound(1)] {
        let mut entry = Entry::new(b"key", &value, 1, None);
        let before = address(&entry);
        entry.replace(&vec![b'w'; value.len()], 2, None);
        assert_eq!(address(&entry), before);
        assert_eq!((entry.value().bytes()[0], entry.created_ms()), (b'w', 2));
    }
}

#[test]
fn bytes_written_past_the_end_leave_zeros_between() {
    let mut entry = Entry::new(b"key", b"ab", 1, None);
    entry.write_at(4, b"ef");
    assert_eq!(entry.value().bytes(), b"ab\0\0ef");
    entry.write_at(1, b"BC");
    assert_eq!(entry.value().bytes(), b"aBC\0ef");
    entry.write_at(INLINE_VALUE_BYTES_MAX, b"z");
    assert_eq!(entry.value().bytes().len(), INLINE_VALUE_BYTES_MAX + 1);
    assert_eq!(entry.value().bytes()[..7], *b"aBC\0ef\0");
}

#[test]
fn appending_to_a_long_value_copies_it_seldom() {
    let mut entry = Entry::new(b"key", &at_bound(1), 1, None);
    let mut capacities = std::collections::BTreeSet::new();
    for _ in 0..100_000 {
        entry.append(b"0123456789");
        let Value::Shared(value) = entry.value() else { panic!("a long value") };
        assert!(value.capacity() <= value.len() * 5 / 4 + 16);
        capacities.insert(value.capacity());
    }
    assert!(capacities.len() < 30, "{capacities:?}");
}

#[test]
fn a_pinned_value_stays_as_it_is() {
    let mut entry = Entry::new(b"key", &at_bound(1), 1, None);
    let Value::Shared(value) = entry.value() else { panic!("a long value") };
    let pinned = Rc::clone(value);
    entry.append(b"x");
    assert_eq!((*pinned).len(), INLINE_VALUE_BYTES_MAX + 1);
    assert_eq!(entry.value().bytes().len(), INLINE_VALUE_BYTES_MAX + 2);
    entry.set_value(&at_bound(2));
    assert_eq!(*pinned, at_bound(1));
}
