//! The masks of dropout, which kernels, twins and the oracle draw alike.

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
