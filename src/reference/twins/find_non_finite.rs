//! Twin of `shaders/find_non_finite.wgsl`.

/// The place of the first number that is NaN or infinite, in the order in which the steps are taken: `input` is `[steps,
/// rows, columns]`, from the last step on if it is reversed. The place counts in that order.
///
/// # Panics
/// If `input` has another length.
#[must_use]
pub fn find_non_finite(input: &[f32], [steps, rows, columns]: [usize; 3], reversed: bool) -> Option<usize> {
    assert_eq!(input.len(), steps * rows * columns, "as many numbers as the shape has");
    for step in 0..steps {
        let taken = if reversed { steps - 1 - step } else { step };
        for rest in 0..rows * columns {
            if !input[taken * rows * columns + rest].is_finite() {
                return Some(step * rows * columns + rest);
            }
        }
    }
    None
}
