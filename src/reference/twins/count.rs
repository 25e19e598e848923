//! Twin of `shaders/count.wgsl`.

/// Adds to the count of forward passes; the seed beside it stays.
pub fn count(by: u32, counter: &mut [u32; 2]) {
    counter[1] = counter[1].wrapping_add(by);
}
