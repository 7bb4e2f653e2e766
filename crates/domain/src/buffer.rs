//! Buffers for what is large.
//!
//! The allocator of glibc takes pages from the system for a large block and gives them back when it is freed, but learns from
//! each such block up to 32 MiB that blocks of its size had better be kept: from then on each thread's share of the heap holds
//! on to what it had (mallopt(3), `M_MMAP_THRESHOLD`). A few mails with large files would stay as resident memory for good,
//! once for each thread. Of larger blocks it learns nothing. So a large buffer asks for more than that: pages that nobody
//! touches cost nothing.

/// From this size on a buffer is a large one, in bytes.
const LARGE: usize = 256 * 1024;
/// More than the allocator learns from, in bytes.
const UNLEARNT: usize = 33 * 1024 * 1024;

/// An empty buffer with room for so many bytes.
#[must_use]
pub fn buffer(bytes: usize) -> Vec<u8> {
    Vec::with_capacity(capacity(bytes))
}

/// Adds a byte to a buffer whose length was not known before.
pub fn push(buffer: &mut Vec<u8>, byte: u8) {
    if buffer.len() == buffer.capacity() {
        let wanted = capacity(buffer.len() * 2 + 1);
        buffer.reserve_exact(wanted - buffer.len());
    }
    buffer.push(byte);
}

fn capacity(bytes: usize) -> usize {
    if bytes < LARGE {
        bytes
    } else {
        bytes.max(UNLEARNT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_buffer_has_more_room_than_the_allocator_learns_from() {
        assert_eq!(buffer(1000).capacity(), 1000);
        assert!(buffer(LARGE).capacity() > 32 * 1024 * 1024);
        assert!(buffer(UNLEARNT + 1).capacity() > UNLEARNT);
        let mut grown = Vec::new();
        for number in 0..LARGE * 2 {
            push(&mut grown, u8::try_from(number % 256).unwrap());
        }
        assert_eq!(grown[..3], [0, 1, 2]);
        assert!(grown.len() == LARGE * 2 && grown.capacity() >= UNLEARNT);
    }
}
