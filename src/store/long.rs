//! What is too long for a block: values that replies send from where they are stored, and very long keys. Each stands at
//! a place, whose number its entry's block has.

use std::rc::Rc;

use crate::blob::{Blob, OutOfMemory};

/// A key with its value, either of them long.
pub(super) struct Long {
    pub(super) key: Box<[u8]>,
    pub(super) value: Rc<Blob>,
}

/// What an `Rc<Blob>` asks of the heap apart from the bytes: two counts and the blob itself.
const SHARED_HEADER_BYTES: usize = 2 * size_of::<usize>() + size_of::<Blob>();

/// A change of a value in its place.
#[derive(Clone, Copy)]
pub(super) enum Edit<'a> {
    /// Bytes come behind the last one.
    Append(&'a [u8]),
    /// Bytes come before the first one.
    Prepend(&'a [u8]),
    /// Bytes are written over those from an offset on; what lies between the old end and the offset becomes zeros.
    WriteAt(usize, &'a [u8]),
}

impl Edit<'_> {
    /// How long a value will be that is so long.
    pub(super) fn new_len(&self, len: usize) -> usize {
        match self {
            Edit::Append(bytes) | Edit::Prepend(bytes) => len + bytes.len(),
            Edit::WriteAt(offset, bytes) => len.max(offset + bytes.len()),
        }
    }

    /// Changes the value that begins at `start` of a buffer and ends at its end.
    pub(super) fn change_buffer(self, buffer: &mut Vec<u8>, start: usize) {
        match self {
            Edit::Append(bytes) => buffer.extend_from_slice(bytes),
            Edit::Prepend(bytes) => {
                let (old_end, moved) = (buffer.len(), start + bytes.len());
                buffer.resize(old_end + bytes.len(), 0);
                buffer.copy_within(start..old_end, moved);
                buffer[start..moved].copy_from_slice(bytes);
            }
            Edit::WriteAt(offset, bytes) => {
                let (from, to) = (start + offset, start + offset + bytes.len());
                buffer.resize(buffer.len().max(to), 0);
                buffer[from..to].copy_from_slice(bytes);
            }
        }
    }

    /// Changes a value that is kept apart.
    fn change(self, value: &mut Blob) {
        match self {
            Edit::Append(bytes) => value.extend_from_slice(bytes),
            Edit::Prepend(bytes) => value.prepend(bytes),
            Edit::WriteAt(offset, bytes) => value.write_at(offset, bytes),
        }
    }
}

/// The long entries of a store.
#[derive(Default)]
pub(super) struct Longs {
    places: Vec<Option<Long>>,
    vacant: Vec<u32>,
    bytes: usize,
}

impl Long {
    /// Heap bytes that the entry asked for.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Option<Long>>() + self.key.len() + SHARED_HEADER_BYTES + self.value.bytes_used()
    }

    /// Sets the value, in its place where nobody has it pinned.
    pub(super) fn set_value(&mut self, value: &[u8]) {
        match Rc::get_mut(&mut self.value) {
            Some(old) => old.set(value),
            None => self.value = Rc::new(value.into()),
        }
    }

    /// Makes sure that the value can become so long: it has room for it then, and is no reply's.
    fn try_reserve(&mut self, len: usize) -> Result<(), OutOfMemory> {
        let extra = len.saturating_sub(self.value.len());
        if let Some(value) = Rc::get_mut(&mut self.value) {
            return value.try_reserve(extra);
        }
        let mut copy = Blob::default();
        copy.try_reserve(self.value.len() + extra)?;
        copy.extend_from_slice(&self.value);
        self.value = Rc::new(copy);
        Ok(())
    }

    /// Changes the value, or a copy of it where a reply has it pinned.
    pub(super) fn edit(&mut self, edit: Edit<'_>) {
        if Rc::get_mut(&mut self.value).is_none() {
            let mut copy = Blob::default();
            copy.reserve(edit.new_len(self.value.len()));
            copy.extend_from_slice(&self.value);
            self.value = Rc::new(copy);
        }
        edit.change(Rc::get_mut(&mut self.value).expect("nobody else has what was just made"));
    }
}

impl Longs {
    /// Heap bytes of all.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What stands at a place.
    pub(super) fn get(&self, place: u32) -> &Long {
        self.places[place as usize].as_ref().expect("an entry's place is taken")
    }

    /// Finds a place for it.
    pub(super) fn add(&mut self, long: Long) -> u32 {
        self.bytes += long.bytes();
        match self.vacant.pop() {
            Some(place) => {
                self.places[place as usize] = Some(long);
                place
            }
            None => {
                self.places.push(Some(long));
                u32::try_from(self.places.len() - 1).expect("there are fewer long entries than blocks")
            }
        }
    }

    /// Changes what stands at a place.
    pub(super) fn change(&mut self, place: u32, change: impl FnOnce(&mut Long)) {
        let long = self.places[place as usize].as_mut().expect("an entry's place is taken");
        self.bytes -= long.bytes();
        change(long);
        self.bytes += long.bytes();
    }

    /// Makes sure that what stands at a place can become so long.
    pub(super) fn try_reserve(&mut self, place: u32, len: usize) -> Result<(), OutOfMemory> {
        let mut outcome = Ok(());
        self.change(place, |long| outcome = long.try_reserve(len));
        outcome
    }

    /// Takes out what stands at a place.
    pub(super) fn remove(&mut self, place: u32) -> Long {
        let long = self.places[place as usize].take().expect("an entry's place is taken");
        self.bytes -= long.bytes();
        self.vacant.push(place);
        if self.vacant.len() == self.places.len() {
            *self = Longs::default();
        }
        long
    }

    /// Drops one of the entries of a store that is being freed; false when there is none left.
    pub(super) fn pop(&mut self) -> bool {
        while let Some(place) = self.places.pop() {
            if let Some(long) = place {
                self.bytes -= long.bytes();
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
impl Longs {
    /// Asserts that the places taken are exactly these, and that the books are right.
    pub(super) fn check(&self, places: &[u32]) {
        let taken = (0..self.places.len() as u32).filter(|&place| self.places[place as usize].is_some());
        assert!(taken.eq(std::collections::BTreeSet::from_iter(places.iter().copied())));
        assert_eq!(places.len() + self.vacant.len(), self.places.len());
        assert_eq!(self.places.iter().flatten().map(Long::bytes).sum::<usize>(), self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use crate::limits::LET_GO_BYTES_PER_TURN;
    use crate::store::{Expiry, Store};

    const VALUE_BYTES: usize = 16 * LET_GO_BYTES_PER_TURN;

    /// Has the store let a value of [`VALUE_BYTES`] go: its memory goes back in so many pieces, and counts until then.
    fn check_goes(let_go: impl FnOnce(&mut Store)) {
        let mut store = Store::new();
        store.upsert(b"other", b"value", Expiry::Never, 1);
        let other_bytes = store.bytes_used();
        store.upsert(b"key", &vec![b'v'; VALUE_BYTES], Expiry::At(5), 1);
        let bytes = store.bytes_used() - other_bytes;
        assert!((VALUE_BYTES..VALUE_BYTES + 4096).contains(&bytes), "{bytes}");
        assert!(!store.reclaim(512));
        let_go(&mut store);
        let mut pieces = 1;
        while store.reclaim(512) {
            pieces += 1;
            let left = VALUE_BYTES.saturating_sub(pieces * LET_GO_BYTES_PER_TURN);
            assert!(store.bytes_used() >= left, "{} of {left}", store.bytes_used());
        }
        // What was set in its place is short.
        assert!(store.bytes_used() < other_bytes + 4096, "{} of {other_bytes}", store.bytes_used());
        assert!((15..=20).contains(&pieces), "{pieces} pieces");
    }

    #[test]
    fn a_large_value_that_goes_is_given_back_in_pieces() {
        check_goes(|store| assert!(store.remove(b"key", 1)));
        check_goes(|store| store.upsert(b"key", b"short", Expiry::Never, 1));
        check_goes(|store| store.get_mut(b"key", 1).expect("the entry").set_value(b"short"));
        check_goes(|store| assert!(store.rename(b"other", b"key", 1)));
        check_goes(|store| assert_eq!(store.sweep(5, 10), 1));
        check_goes(Store::flush);
    }
}
