//! The bytes of one long value: a buffer that may become very large, and is cheap to enlarge and to let go at any size.
//!
//! Up to [`HEAP_BYTES_MAX`] they lie in a vector. More have a mapping of their own: it grows without a copy, what was
//! never written takes no memory, and where it is dropped it goes back to the system in small steps
//! ([`crate::sys::mapping`]). Where the system has no mapping to give, though it has memory (the number of mappings is
//! limited, too), a vector has to do.
//!
//! Shared as `Rc<Blob>`: the parser receives a long word into one, the store keeps it, replies send it from there. The
//! module knows of none of them.

use std::alloc::{Layout, handle_alloc_error};
use std::collections::TryReserveError;
use std::fmt;
use std::ops::{Deref, DerefMut};

use crate::limits::LET_GO_BYTES_PER_TURN;
use crate::sys::mapping::{self, Mapping};

/// Longer ones have a mapping.
pub const HEAP_BYTES_MAX: usize = 64 * 1024;

/// One that has become this short has none any more: far from the other bound, so that none goes to and fro.
const HEAP_BYTES_AGAIN: usize = HEAP_BYTES_MAX / 2;

/// See the module.
pub struct Blob(Place);

enum Place {
    Heap(Vec<u8>),
    /// So many of the mapping's bytes are the blob's.
    Mapped(Mapping, usize),
}

/// There is no memory for so many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory {
    /// How many bytes the blob was to have room for.
    pub bytes: usize,
}

impl Blob {
    /// An empty one with room for so many bytes. The process ends where there is no memory.
    pub fn with_room(bytes: usize) -> Blob {
        Blob::try_with_room(bytes).unwrap_or_else(|error| error.end())
    }

    /// As [`Blob::with_room`], for lengths that outsiders choose.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn try_with_room(bytes: usize) -> Result<Blob, OutOfMemory> {
        let mut blob = Blob::default();
        blob.try_move(bytes, bytes)?;
        Ok(blob)
    }

    /// An empty one with room for so many bytes, which will have `length` if all goes well: a value that is on its way. It
    /// takes the memory of one that went, if there is such.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn for_arrival(room: usize, length: usize) -> Result<Blob, OutOfMemory> {
        let spare = if length > HEAP_BYTES_MAX { Mapping::spare(room) } else { None };
        match spare {
            Some(mapping) => Ok(Blob(Place::Mapped(mapping, 0))),
            None => Blob::try_with_room(room),
        }
    }

    /// Becomes so long, which is longer than it is; what the new bytes are is not said, since they are about to be written
    /// over.
    pub fn lengthen(&mut self, new_len: usize) {
        self.reserve(new_len - self.len());
        match &mut self.0 {
            Place::Heap(vec) => vec.resize(new_len, 0),
            Place::Mapped(mapping, len) => {
                // As in `resize`.
                mapping::give_back(new_len.saturating_sub(mapping.bytes_used()).min(LET_GO_BYTES_PER_TURN));
                mapping.bytes_mut(new_len);
                *len = new_len;
            }
        }
    }

    /// Makes room for `extra` more bytes, and some slack: a quarter, so that what is added little by little is moved
    /// seldom; doubling would waste half of a small box. After that, neither adding so many nor overwriting can fail.
    ///
    /// # Errors
    /// When there is no memory, nor addresses, for so much; nothing has changed then.
    pub fn try_reserve(&mut self, extra: usize) -> Result<(), OutOfMemory> {
        let room = self.len().checked_add(extra).ok_or(OutOfMemory { bytes: usize::MAX })?;
        if room <= self.room() {
            return Ok(());
        }
        let slack = room.saturating_add(room / 4);
        // Slack that is not written costs nothing in a mapping, but in a vector it does.
        let wanted = if room <= HEAP_BYTES_MAX { slack.min(HEAP_BYTES_MAX) } else { slack };
        self.try_move(room, wanted)
    }

    /// As [`Blob::try_reserve`]. The process ends where there is no memory.
    pub fn reserve(&mut self, extra: usize) {
        self.try_reserve(extra).unwrap_or_else(|error| error.end());
    }

    /// Adds bytes at the end.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        match &mut self.0 {
            Place::Heap(vec) => vec.extend_from_slice(bytes),
            Place::Mapped(mapping, len) => {
                // So that what others have let go does not pile up.
                mapping::give_back(bytes.len());
                let end = *len + bytes.len();
                mapping.bytes_mut(end)[*len..].copy_from_slice(bytes);
                *len = end;
            }
        }
    }

    /// Adds bytes before the first one.
    pub fn prepend(&mut self, bytes: &[u8]) {
        let len = self.len();
        self.resize(len + bytes.len());
        self.copy_within(..len, bytes.len());
        self[..bytes.len()].copy_from_slice(bytes);
    }

    /// Writes bytes over those from `offset` on; what lies between the old end and `offset` becomes zeros.
    pub fn write_at(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if end > self.len() {
            self.resize(end);
        }
        self[offset..end].copy_from_slice(bytes);
    }

    /// Becomes so long: bytes are taken away at the end, and their memory is let go, or zeros are added there.
    pub fn resize(&mut self, new_len: usize) {
        if new_len < self.len() {
            return self.truncate(new_len);
        }
        self.reserve(new_len - self.len());
        match &mut self.0 {
            Place::Heap(vec) => vec.resize(new_len, 0),
            Place::Mapped(mapping, len) => {
                // Bytes that follow are written at once; where it is made very long, few of them will be.
                mapping::give_back((new_len - *len).min(LET_GO_BYTES_PER_TURN));
                mapping.zero(*len, new_len);
                *len = new_len;
            }
        }
    }

    fn truncate(&mut self, new_len: usize) {
        match &mut self.0 {
            Place::Mapped(mapping, len) if new_len > HEAP_BYTES_AGAIN => {
                mapping.cut(new_len);
                *len = new_len;
            }
            Place::Heap(vec) => {
                vec.truncate(new_len);
                vec.shrink_to_fit();
            }
            Place::Mapped(..) => *self = Blob::from(&self[..new_len]),
        }
    }

    /// Lets go of the slack that costs something.
    pub fn shrink_to_fit(&mut self) {
        match &mut self.0 {
            Place::Heap(vec) => vec.shrink_to_fit(),
            // Room that was never written costs nothing; of a spare's there is maybe much that was.
            Place::Mapped(mapping, len) if mapping.bytes_used() > *len => mapping.cut(*len),
            Place::Mapped(..) => {}
        }
    }

    /// Becomes these bytes, in the same place where they fit it.
    pub fn set(&mut self, bytes: &[u8]) {
        match &self.0 {
            Place::Heap(vec) if vec.len() != bytes.len() => *self = Blob::from(bytes),
            Place::Mapped(..) if bytes.len() <= HEAP_BYTES_AGAIN => *self = Blob::from(bytes),
            _ => {
                self.resize(bytes.len());
                self.copy_from_slice(bytes);
            }
        }
    }

    /// The memory that the bytes take, in bytes: what was asked for of the heap; of a mapping, all pages up to the last one
    /// that was written. Room behind that takes none.
    pub fn bytes_used(&self) -> usize {
        match &self.0 {
            Place::Heap(vec) => vec.capacity(),
            Place::Mapped(mapping, _) => mapping.bytes_used(),
        }
    }

    /// For how many bytes there is room.
    fn room(&self) -> usize {
        match &self.0 {
            Place::Heap(vec) => vec.capacity(),
            Place::Mapped(mapping, _) => mapping.room(),
        }
    }

    /// Has room for `room` bytes at least, which is more than now, and better for `wanted`.
    fn try_move(&mut self, room: usize, wanted: usize) -> Result<(), OutOfMemory> {
        if room > HEAP_BYTES_MAX {
            match &mut self.0 {
                Place::Mapped(mapping, _) => {
                    if mapping.grow(wanted).or_else(|_| mapping.grow(room)).is_ok() {
                        return Ok(());
                    }
                }
                Place::Heap(vec) => {
                    if let Ok(mut mapping) = Mapping::map(wanted).or_else(|_| Mapping::map(room)) {
                        mapping.bytes_mut(vec.len()).copy_from_slice(vec);
                        self.0 = Place::Mapped(mapping, vec.len());
                        return Ok(());
                    }
                }
            }
        }
        let moved = match &mut self.0 {
            Place::Heap(vec) => {
                let extra = |room: usize| room - vec.len();
                let (room, wanted) = (extra(room), extra(wanted));
                vec.try_reserve_exact(wanted).or_else(|_| vec.try_reserve_exact(room))
            }
            Place::Mapped(mapping, len) => copied(&mapping.bytes()[..*len], room).map(|vec| self.0 = Place::Heap(vec)),
        };
        moved.map_err(|_| OutOfMemory { bytes: room })
    }
}

/// A copy in a vector with this room.
fn copied(bytes: &[u8], room: usize) -> Result<Vec<u8>, TryReserveError> {
    let mut vec = Vec::new();
    vec.try_reserve_exact(room)?;
    vec.extend_from_slice(bytes);
    Ok(vec)
}

impl OutOfMemory {
    /// Ends the process, as it does wherever else memory runs out.
    fn end(self) -> ! {
        handle_alloc_error(Layout::array::<u8>(self.bytes).unwrap_or(Layout::new::<u8>()))
    }
}

impl Clone for Blob {
    fn clone(&self) -> Blob {
        Blob::from(&self[..])
    }
}

impl Default for Blob {
    fn default() -> Blob {
        Blob(Place::Heap(Vec::new()))
    }
}

impl From<&[u8]> for Blob {
    fn from(bytes: &[u8]) -> Blob {
        let mut blob = Blob::with_room(bytes.len());
        blob.extend_from_slice(bytes);
        blob
    }
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Blob {
        if bytes.len() <= HEAP_BYTES_MAX { Blob(Place::Heap(bytes)) } else { Blob::from(&bytes[..]) }
    }
}

impl Deref for Blob {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Place::Heap(vec) => vec,
            Place::Mapped(mapping, len) => &mapping.bytes()[..*len],
        }
    }
}

impl DerefMut for Blob {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.0 {
            Place::Heap(vec) => vec,
            Place::Mapped(mapping, len) => mapping.bytes_mut(*len),
        }
    }
}

impl PartialEq for Blob {
    fn eq(&self, other: &Blob) -> bool {
        **self == **other
    }
}

impl Eq for Blob {}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fault;
    use crate::testkit::{Random, seeds};
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike;

    fn is_mapped(blob: &Blob) -> bool {
        matches!(blob.0, Place::Mapped(..))
    }

    /// A length near where something changes, or any.
    fn random_length(random: &mut Random) -> usize {
        let near = [0, HEAP_BYTES_AGAIN, HEAP_BYTES_MAX, 2 * HEAP_BYTES_MAX][random.below(4)];
        match random.below(3) {
            0 => random.below(300_000),
            _ => (near + random.below(9)).saturating_sub(4),
        }
    }

    fn random_bytes(random: &mut Random, length: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..length.div_ceil(8)).flat_map(|_| random.next().to_le_bytes()).collect();
        bytes.truncate(length);
        bytes
    }

    /// A blob and a vector that are to be the same after any operations.
    fn run(seed: u64) {
        let mut random = Random::new(seed);
        let (mut blob, mut model) = (Blob::default(), Vec::new());
        for _ in 0..200 {
            let length = random_length(&mut random);
            let choice = random.below(8);
            // Adding is bounded, so that the bounds are crossed again and again.
            let more = random_bytes(&mut random, if choice < 3 { length % 3000 } else { length });
            match choice {
                0 => {
                    blob.extend_from_slice(&more);
                    model.extend_from_slice(&more);
                }
                1 => {
                    blob.prepend(&more);
                    model.splice(0..0, more);
                }
                2 => {
                    let offset = random_length(&mut random);
                    blob.write_at(offset, &more);
                    model.resize(model.len().max(offset + more.len()), 0);
                    model[offset..offset + more.len()].copy_from_slice(&more);
                }
                3 => {
                    blob.resize(length);
                    model.resize(length, 0);
                }
                4 => {
                    blob.set(&more);
                    model = more;
                }
                5 => {
                    blob = Blob::from(more.clone());
                    model = more;
                }
                6 => blob.reserve(length),
                _ => drop(mapping::give_back(length)),
            }
            assert!(*blob == *model, "seed {seed}: {} bytes, {} wanted", blob.len(), model.len());
        }
    }

    #[test]
    fn a_blob_is_a_vector() {
        for seed in seeds(30) {
            run(seed);
        }
    }

    /// As where a process has as many mappings as it may: some calls fail, and the same bytes are there all the same.
    #[test]
    fn without_mappings_a_vector_has_to_do() {
        for seed in seeds(30) {
            fault::begin(seed);
            run(seed);
        }
    }

    #[test]
    fn a_mapping_begins_and_ends_at_its_bounds() {
        let mut blob = Blob::from(vec![b'v'; HEAP_BYTES_MAX]);
        assert!(!is_mapped(&blob));
        blob.extend_from_slice(b"w");
        assert!(is_mapped(&blob));
        blob.resize(HEAP_BYTES_AGAIN + 1);
        assert!(is_mapped(&blob));
        blob.resize(HEAP_BYTES_AGAIN);
        assert!(!is_mapped(&blob) && blob.bytes_used() == HEAP_BYTES_AGAIN);
        blob.resize(HEAP_BYTES_MAX);
        assert!(!is_mapped(&blob));
        assert!(blob[..HEAP_BYTES_AGAIN].iter().all(|&byte| byte == b'v'));
        assert!(blob[HEAP_BYTES_AGAIN..].iter().all(|&byte| byte == 0));
        assert!(is_mapped(&Blob::with_room(HEAP_BYTES_MAX + 1)) && !is_mapped(&Blob::with_room(HEAP_BYTES_MAX)));
    }

    #[test]
    fn slack_counts_in_a_vector_alone() {
        let mut blob = Blob::from(vec![b'v'; 10_000]);
        assert_eq!(blob.bytes_used(), 10_000);
        blob.extend_from_slice(b"w");
        assert_eq!(blob.bytes_used(), 12_501);
        blob.shrink_to_fit();
        assert_eq!(blob.bytes_used(), 10_001);
        let mut blob = Blob::from(vec![b'v'; HEAP_BYTES_MAX]);
        blob.resize(1_000_000);
        blob.extend_from_slice(b"w");
        assert!(blob.bytes_used() < 1_000_000 + HEAP_BYTES_MAX + 1 && blob.room() >= 1_250_000, "{}", blob.room());
    }

    #[test]
    fn a_shorter_blob_lets_its_memory_go() {
        mapping::give_back(usize::MAX);
        let mut blob = Blob::from(vec![b'v'; 1 << 20]);
        blob.resize(512 << 10);
        assert_eq!((blob.bytes_used(), mapping::waiting_bytes()), (512 << 10, 512 << 10));
        // Whoever fills new memory has given back as much.
        blob.extend_from_slice(&[b'v'; 256 << 10]);
        assert_eq!((blob.bytes_used(), mapping::waiting_bytes()), (768 << 10, 256 << 10));
        blob.set(&[b'w'; 256 << 10]);
        assert_eq!((blob.bytes_used(), mapping::waiting_bytes()), (256 << 10, 768 << 10));
        drop(blob);
        assert_eq!(mapping::waiting_bytes(), 1 << 20);
        mapping::let_spares_go();
        while mapping::give_back(LET_GO_BYTES_PER_TURN) {}
        assert_eq!(mapping::waiting_bytes(), 0);
    }

    #[test]
    fn appending_to_a_large_blob_copies_nothing() {
        let mut blob = Blob::with_room(100 << 20);
        blob.resize(100 << 20);
        blob.fill(b'v');
        let before_us = cpu_us();
        let mut moves = 0;
        for _ in 0..100_000 {
            let start = blob.as_ptr();
            blob.extend_from_slice(b"0123456789");
            moves += usize::from(blob.as_ptr() != start);
        }
        // To copy the bytes once would take tens of milliseconds.
        let spent_us = cpu_us() - before_us;
        println!("{spent_us} us, {moves} moves");
        assert!(moves <= 1 && spent_us < 100_000, "{spent_us} us");
        assert!(blob[..100 << 20].iter().all(|&byte| byte == b'v') && blob.ends_with(b"0123456789"));
    }

    /// The processor time that this thread has used.
    fn cpu_us() -> i64 {
        let usage = getrusage(UsageWho::RUSAGE_THREAD).expect("the kernel tells it");
        (usage.user_time() + usage.system_time()).num_microseconds()
    }

    #[test]
    fn too_much_is_refused_and_changes_nothing() {
        for length in [0, 10, HEAP_BYTES_MAX + 1] {
            let mut blob = Blob::from(vec![b'v'; length]);
            // What no allocator is asked for, since sanitizers take the asking for an error.
            for extra in [usize::MAX, isize::MAX as usize + 1] {
                assert!(blob.try_reserve(extra).is_err());
            }
            assert!(blob.len() == length && blob.iter().all(|&byte| byte == b'v'));
        }
    }

    #[test]
    fn it_is_a_word_larger_than_a_vector() {
        assert_eq!(size_of::<Blob>(), size_of::<Vec<u8>>() + size_of::<usize>());
    }
}
