//! Numbers that have become halves.

use wgpu_gru::f16::{from_f16, to_f16};

/// Each half, two in a word, is one of the two nearest to its number: which one, WGSL leaves to the device. Beyond the
/// largest it is that.
#[track_caller]
pub(crate) fn assert_halves(name: &str, words: &[u32], numbers: &[f32]) {
    assert_eq!(2 * words.len(), numbers.len(), "{name}");
    let halves = words.iter().flat_map(|word| [*word as u16, (*word >> 16) as u16]);
    for (half, &number) in halves.zip(numbers) {
        let number = number.clamp(-65504.0, 65504.0);
        let nearest = to_f16(number);
        // By bits a number of either sign grows away from zero.
        let other = if from_f16(nearest).abs() < number.abs() { nearest + 1 } else { nearest.saturating_sub(1) };
        let two = if from_f16(nearest) == number { [nearest; 2] } else { [nearest, other] };
        let is_near = two.iter().any(|&near| from_f16(near) == from_f16(half));
        assert!(is_near, "{name}: {:e} for {number:e}", from_f16(half));
    }
}
