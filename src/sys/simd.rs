//! Sixteen bytes compared at once: by SSE2 on x86-64, by NEON on aarch64, in two machine words elsewhere. And memory that
//! is asked for before it is read.
//!
//! The form in machine words is built everywhere, so that the tests hold the others to it.

/// How many bytes are compared at a time.
pub const LANES: usize = 16;

/// Which of the bytes are this one, a bit each, the first lowest.
#[inline]
pub fn lanes_equal(bytes: &[u8; LANES], wanted: u8) -> u16 {
    by_machine(bytes, wanted)
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn by_machine(bytes: &[u8; LANES], wanted: u8) -> u16 {
    // SAFETY: SSE2 is part of every x86-64 processor, and of what Rust builds for it.
    unsafe { by_sse2(bytes, wanted) }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "sse2")]
fn by_sse2(bytes: &[u8; LANES], wanted: u8) -> u16 {
    use std::arch::x86_64::{__m128i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8};
    let start: *const __m128i = bytes.as_ptr().cast();
    // SAFETY: the reference promises sixteen bytes, and this load takes any alignment.
    let bytes = unsafe { _mm_loadu_si128(start) };
    _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(wanted as i8))) as u16
}

#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
#[inline]
fn by_machine(bytes: &[u8; LANES], wanted: u8) -> u16 {
    // SAFETY: NEON is part of aarch64 as Rust builds for it.
    unsafe { by_neon(bytes, wanted) }
}

#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
#[inline]
#[target_feature(enable = "neon")]
fn by_neon(bytes: &[u8; LANES], wanted: u8) -> u16 {
    use std::arch::aarch64::{vaddv_u8, vandq_u8, vceqq_u8, vdupq_n_u8, vget_high_u8, vget_low_u8, vld1q_u8};
    const BITS: [u8; LANES] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];
    // SAFETY: the reference promises sixteen bytes.
    let bytes = unsafe { vld1q_u8(bytes.as_ptr()) };
    // SAFETY: the constant has sixteen bytes.
    let bits = unsafe { vld1q_u8(BITS.as_ptr()) };
    let equal = vandq_u8(vceqq_u8(bytes, vdupq_n_u8(wanted)), bits);
    u16::from_le_bytes([vaddv_u8(vget_low_u8(equal)), vaddv_u8(vget_high_u8(equal))])
}

#[cfg(not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little"))))]
#[inline]
fn by_machine(bytes: &[u8; LANES], wanted: u8) -> u16 {
    by_words(bytes, wanted)
}

/// The same in two machine words. Arithmetic, because the compiler turns a loop with compares into a mixture of vector
/// and scalar code twice as long.
#[allow(dead_code, reason = "where there is a vector form, only tests use this one")]
#[inline]
fn by_words(bytes: &[u8; LANES], wanted: u8) -> u16 {
    let (words, _) = bytes.as_chunks::<8>();
    u16::from_le_bytes([word_equal(words[0], wanted), word_equal(words[1], wanted)])
}

#[inline]
fn word_equal(bytes: [u8; 8], wanted: u8) -> u8 {
    const ONES: u64 = u64::MAX / 255;
    const LOW_BITS: u64 = ONES * 0x7F;
    let differing = u64::from_le_bytes(bytes) ^ (ONES * u64::from(wanted));
    // A byte's high bit becomes set unless the whole byte was zero; no carry leaves a byte.
    let nonzero = ((differing & LOW_BITS) + LOW_BITS) | differing | LOW_BITS;
    // Gathers the lowest bits of the bytes in the highest byte, the first one lowest.
    ((!nonzero >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8
}

/// What a processor fetches at a time, on most machines.
pub const LINE_BYTES: usize = 64;

/// Asks the processor for the line where the first of these items begins, for a read that comes soon. It changes nothing
/// else.
#[inline]
pub fn prefetch<T>(items: &[T]) {
    if !items.is_empty() {
        prefetch_by_machine(items.as_ptr().cast());
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn prefetch_by_machine(start: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a hint, which reads nothing as far as the program can see, and faults at no address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(start.cast()) }
}

#[cfg(target_arch = "aarch64")]
#[inline]
fn prefetch_by_machine(start: *const u8) {
    // SAFETY: a hint, which reads nothing as far as the program can see, and faults at no address.
    unsafe { std::arch::asm!("prfm pldl1keep, [{}]", in(reg) start, options(nostack, preserves_flags, readonly)) }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
#[inline]
fn prefetch_by_machine(_start: *const u8) {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{Random, seeds};

    #[test]
    fn equal_bytes_are_told_lane_by_lane() {
        for seed in seeds(1) {
            let mut random = Random::new(seed);
            for _ in 0..20_000 {
                let choices = [0, 1, 0x7F, 0x80, 0x81, 0xFF, random.next() as u8];
                let bytes = std::array::from_fn(|_| choices[random.below(choices.len())]);
                let wanted = choices[random.below(choices.len())];
                let plain = (0..LANES).filter(|&lane| bytes[lane] == wanted).fold(0, |mask, lane| mask | 1 << lane);
                assert_eq!(lanes_equal(&bytes, wanted), plain, "seed {seed}: {wanted} in {bytes:?}");
                assert_eq!(by_words(&bytes, wanted), plain, "seed {seed}: {wanted} in {bytes:?}");
            }
        }
    }
}
