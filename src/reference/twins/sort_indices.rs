//! Twin of all passes of `shaders/sort_indices.wgsl`.

/// The places of `input` in the order of what they hold, equal ones in their own.
#[must_use]
pub fn sort_indices(input: &[u32]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..input.len() as u32).collect();
    order.sort_by_key(|&place| input[place as usize]);
    order
}
