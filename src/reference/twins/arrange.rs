//! Twin of `shaders/arrange.wgsl`: dropout, zeros past the ends of rows, another arrangement.

use super::Real;

/// Copies `[T, B, F]` from one layout to another; true is `[B, T, F]`. Zeros past `lengths`, each element times its
/// factor.
///
/// # Panics
/// If a slice is too short for the sizes.
pub fn arrange<R: Real>(
    [steps, batch, width]: [usize; 3],
    [source_batch_first, destination_batch_first]: [bool; 2],
    source: &[R],
    lengths: Option<&[usize]>,
    factor: impl Fn(usize) -> R,
    destination: &mut [R],
) {
    let place = |batch_first: bool, t: usize, b: usize| if batch_first { b * steps + t } else { t * batch + b };
    for t in 0..steps {
        for b in 0..batch {
            for f in 0..width {
                let over = lengths.is_some_and(|lengths| t >= lengths[b]);
                let from = source[place(source_batch_first, t, b) * width + f];
                let value = if over { R::default() } else { from * factor((t * batch + b) * width + f) };
                destination[place(destination_batch_first, t, b) * width + f] = value;
            }
        }
    }
}
