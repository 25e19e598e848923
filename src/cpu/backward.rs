//! The recurrent half of the backward pass, (5) to (9), and the sums of the biases in (10).

use super::product::{TILE_VECTORS, add_tile, for_row_tiles, load, panel, store};
use crate::weights::CellWeights;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use std::array::from_fn;

/// `weight_hh` packed for products from the left: `[blocks, 3H, 3 * lanes]` of its columns. Columns past H are zeros.
#[derive(Debug)]
pub(super) struct BackwardPack {
    units: usize,
    weights: Vec<f32>,
}

impl BackwardPack {
    pub(super) fn new(weights: &CellWeights, units: usize, lanes: usize) -> Self {
        let width = TILE_VECTORS * lanes;
        let mut packed = vec![0.0; units.div_ceil(width) * 3 * units * width];
        for (block, panel) in packed.chunks_exact_mut(3 * units * width).enumerate() {
            let columns = block * width..units.min((block + 1) * width);
            for (row, to) in weights.weight_hh.chunks_exact(units).zip(panel.chunks_exact_mut(width)) {
                to[..columns.len()].copy_from_slice(&row[columns.clone()]);
            }
        }
        Self { units, weights: packed }
    }
}

/// The rows of the batch that one thread takes back through all T steps.
pub(super) struct BackwardRows<'a> {
    pub(super) pack: &'a BackwardPack,
    /// The first of the rows, and how many.
    pub(super) first: usize,
    pub(super) rows: usize,
    /// B, of the whole batch.
    pub(super) batch: usize,
    /// The states of the whole batch, `[T+1, B, H]`.
    pub(super) h: &'a [f32],
    /// The gradient of the output of the whole batch, `[T, B, H]`.
    pub(super) d_output: Option<&'a [f32]>,
    /// T times `[rows, 4H]`: r, z, n, hn, in whose place come `d_ar`, `d_az`, `d_an`, `d_an * r`.
    pub(super) gates: Vec<&'a mut [f32]>,
    /// `[rows, H]`: the gradient of the last state, which becomes that of the first.
    pub(super) d_h: &'a mut [f32],
}

impl WithSimd for BackwardRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let units = self.pack.units;
        for (t, gates) in self.gates.iter_mut().enumerate().rev() {
            for row in 0..self.rows {
                let at = (t * self.batch + self.first + row) * units;
                let h = &self.h[at..][..units];
                let d_output = self.d_output.map(|d_output| &d_output[at..][..units]);
                let gates = &mut gates[row * 4 * units..][..4 * units];
                gate_gradients(simd, h, d_output, gates, &mut self.d_h[row * units..][..units]);
            }
            add_state_gradient(simd, self.pack, self.rows, gates, self.d_h);
        }
    }
}

/// (5) to (8) of one row, and `d_h = d_h' * z`, the first term of (9).
#[inline(always)]
fn gate_gradients<S: Simd>(simd: S, h: &[f32], d_output: Option<&[f32]>, gates: &mut [f32], d_h: &mut [f32]) {
    let units = h.len();
    let one = simd.splat_f32s(1.0);
    let (gate_r, rest) = gates.split_at_mut(units);
    let (gate_z, rest) = rest.split_at_mut(units);
    let (gate_n, gate_hn) = rest.split_at_mut(units);
    for first in (0..units).step_by(S::F32_LANES) {
        let at = first..units.min(first + S::F32_LANES);
        let mut d_new = load(simd, &d_h[at.clone()]);
        if let Some(d_output) = d_output {
            d_new = simd.add_f32s(d_new, load(simd, &d_output[at.clone()]));
        }
        let (r, z) = (load(simd, &gate_r[at.clone()]), load(simd, &gate_z[at.clone()]));
        let (n, hn) = (load(simd, &gate_n[at.clone()]), load(simd, &gate_hn[at.clone()]));
        let h = load(simd, &h[at.clone()]);

        let d_n = simd.mul_f32s(d_new, simd.sub_f32s(one, z)); // (5)
        let d_an = simd.mul_f32s(d_n, simd.mul_f32s(simd.sub_f32s(one, n), simd.add_f32s(one, n)));
        let d_z = simd.mul_f32s(d_new, simd.sub_f32s(h, n)); // (6)
        let d_az = simd.mul_f32s(d_z, simd.mul_f32s(z, simd.sub_f32s(one, z)));
        let d_r = simd.mul_f32s(d_an, hn); // (7)
        let d_ar = simd.mul_f32s(d_r, simd.mul_f32s(r, simd.sub_f32s(one, r)));

        store(simd, &mut gate_r[at.clone()], d_ar); // (8)
        store(simd, &mut gate_z[at.clone()], d_az);
        store(simd, &mut gate_n[at.clone()], d_an);
        store(simd, &mut gate_hn[at.clone()], simd.mul_f32s(d_an, r));
        store(simd, &mut d_h[at], simd.mul_f32s(d_new, z));
    }
}

/// `d_h += d_h_proj . W_hh`, the second term of (9), of all rows.
#[inline(always)]
fn add_state_gradient<S: Simd>(simd: S, pack: &BackwardPack, rows: usize, gates: &[f32], d_h: &mut [f32]) {
    let width = TILE_VECTORS * S::F32_LANES;
    for (block, weights) in pack.weights.chunks_exact(3 * pack.units * width).enumerate() {
        for_row_tiles!(rows, |row, R| tile::<S, R>(simd, pack.units, block * width, row, weights, gates, d_h));
    }
}

/// R rows and the columns of one block, from `first` on.
#[inline(always)]
fn tile<S: Simd, const R: usize>(
    simd: S,
    units: usize,
    first: usize,
    row: usize,
    weights: &[f32],
    gates: &[f32],
    d_h: &mut [f32],
) {
    let at = |i: usize, v: usize| {
        let start = (first + v * S::F32_LANES).min(units);
        (row + i) * units + start..(row + i) * units + units.min(start + S::F32_LANES)
    };
    let mut sums: [[S::f32s; TILE_VECTORS]; R] = from_fn(|i| from_fn(|v| load(simd, &d_h[at(i, v)])));
    let panel = panel::<S>(weights);
    // d_h_proj is d_ar, d_az and, past d_an, d_an * r.
    let d_gates: [&[f32]; R] = from_fn(|i| &gates[(row + i) * 4 * units..][..4 * units]);
    add_tile(simd, &panel[..2 * units], d_gates.map(|d| &d[..2 * units]), &mut sums);
    add_tile(simd, &panel[2 * units..], d_gates.map(|d| &d[3 * units..]), &mut sums);
    for i in 0..R {
        for v in 0..TILE_VECTORS {
            store(simd, &mut d_h[at(i, v)], sums[i][v]);
        }
    }
}

/// The sums over all rows of a row-major matrix, column by column: db_* of (10). Blocks of rows are summed apart, and
/// blocks of such blocks, so that the rounding error grows with the length of each and with how many there are, not
/// with their product.
pub(super) fn sum_rows(matrix: &[f32], sums: &mut [f32]) {
    const ROWS: usize = 64;
    const BLOCKS: usize = 256;
    const COLUMNS: usize = 128;
    let stride = sums.len();
    let add = |sums: &mut [f32], values: &[f32]| sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
    sums.par_chunks_mut(COLUMNS).enumerate().for_each(|(block, sums)| {
        sums.fill(0.0);
        let columns = block * COLUMNS..block * COLUMNS + sums.len();
        for blocks in matrix.chunks(BLOCKS * ROWS * stride) {
            let mut of_blocks = [0.0; COLUMNS];
            for rows in blocks.chunks(ROWS * stride) {
                let mut part = [0.0; COLUMNS];
                rows.chunks_exact(stride).for_each(|row| add(&mut part[..columns.len()], &row[columns.clone()]));
                add(&mut of_blocks, &part);
            }
            add(sums, &of_blocks);
        }
    });
}
