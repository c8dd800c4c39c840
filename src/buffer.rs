//! Buffers that are lent: a connection holds one only while it has bytes that wait.

use crate::limits::{POOL_BUFFER_BYTES_MAX, POOL_BUFFERS_MAX};

/// Adds bytes at the end of a buffer whose length outsiders choose; false where the system has no memory for it, and the
/// buffer is as it was.
pub fn append(buffer: &mut Vec<u8>, bytes: &[u8]) -> bool {
    let has_room = make_room(buffer, bytes.len());
    if has_room {
        buffer.extend_from_slice(bytes);
    }
    has_room
}

/// Makes room for so many more, some slack included where there is memory for that, too; false where there is not enough.
pub fn make_room<T>(items: &mut Vec<T>, more: usize) -> bool {
    items.try_reserve(more).or_else(|_| items.try_reserve_exact(more)).is_ok()
}

/// Buffers that nobody needs now, for who needs one next.
#[derive(Default)]
pub struct BufferPool {
    free: Vec<Vec<u8>>,
}

impl BufferPool {
    /// An empty buffer; what it holds room for is memory already paid for.
    pub fn lend(&mut self) -> Vec<u8> {
        self.free.pop().unwrap_or_default()
    }

    /// Takes a buffer back, whatever is in it. A large one is freed instead, and so is one too many.
    pub fn give_back(&mut self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        if capacity > 0 && capacity <= POOL_BUFFER_BYTES_MAX && self.free.len() < POOL_BUFFERS_MAX {
            buffer.clear();
            self.free.push(buffer);
        }
    }

    /// How many bytes the buffers here have room for.
    pub fn bytes(&self) -> usize {
        self.free.iter().map(Vec::capacity).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_empty_with_its_room() {
        let mut pool = BufferPool::default();
        let mut buffer = pool.lend();
        assert_eq!(buffer.capacity(), 0);
        buffer.extend_from_slice(&[7; 1000]);
        pool.give_back(buffer);
        let again = pool.lend();
        assert!(again.is_empty() && again.capacity() >= 1000);
        assert_eq!(pool.bytes(), 0);
    }

    #[test]
    fn what_there_is_no_memory_for_changes_nothing() {
        let mut buffer = b"abc".to_vec();
        // What no allocator is asked for.
        assert!(!make_room(&mut buffer, isize::MAX as usize) && buffer == b"abc");
        assert!(append(&mut buffer, b"def") && buffer == b"abcdef");
    }

    #[test]
    fn what_the_pool_keeps_is_bounded() {
        let mut pool = BufferPool::default();
        pool.give_back(Vec::new());
        pool.give_back(Vec::with_capacity(POOL_BUFFER_BYTES_MAX + 1));
        assert_eq!(pool.bytes(), 0);
        for _ in 0..POOL_BUFFERS_MAX + 10 {
            pool.give_back(Vec::with_capacity(POOL_BUFFER_BYTES_MAX));
        }
        assert_eq!(pool.bytes(), POOL_BUFFERS_MAX * POOL_BUFFER_BYTES_MAX);
    }
}
