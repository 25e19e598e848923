//! Twin of `shaders/arrange.wgsl`: dropout, zeros past the ends of rows, another arrangement.

use super::Real;

/// The random number of 32 bits of an element: pcg4d (Jarzynski and Olano 2020), first word.
#[must_use]
pub fn pcg4d(seed: [u32; 4]) -> u32 {
    let [mut x, mut y, mut z, mut w] = seed.map(|v| v.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    x = x.wrapping_add(y.wrapping_mul(w));
    y = y.wrapping_add(z.wrapping_mul(x));
    z = z.wrapping_add(x.wrapping_mul(y));
    w = w.wrapping_add(y.wrapping_mul(z));
    [x, y, _, w] = [x, y, z, w].map(|v| v ^ (v >> 16));
    // Of the second round the first word alone is used.
    x.wrapping_add(y.wrapping_mul(w))
}

/// What an element, counted in time-major order, of the output of a layer is multiplied by in forward pass `pass`
/// (counted from 1) of a seed: 0 or 1 / (1 - share).
#[must_use]
pub fn dropout_factor(element: usize, layer: usize, seed: u32, pass: u32, share: f32) -> f32 {
    let threshold = (f64::from(share) * 4_294_967_296.0) as u32;
    let number = pcg4d([element as u32, layer as u32, seed, pass]);
    if number >= threshold { 1.0 / (1.0 - share) } else { 0.0 }
}

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
