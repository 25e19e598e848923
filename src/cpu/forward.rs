//! The recurrent half of the forward pass, (1) to (4): all steps of some rows of the batch, on one thread.

use super::activation::{sigmoid, tanh};
use super::product::{TILE_VECTORS, add_tile, for_row_tiles, load, panel, store};
use crate::weights::GruWeights;
use pulp::{Simd, WithSimd};
use std::array::from_fn;

/// How many bias vectors a block of units has: r, z, n of the state, n of the input.
const BIASES: usize = 4;

/// `weight_hh` and the biases, packed for blocks of as many units as a vector holds. The units past H are zeros.
#[derive(Debug)]
pub(super) struct ForwardPack {
    units: usize,
    /// `[blocks, H, 3, lanes]`: the weights of gates r, z, n from element k of the state to the units of a block.
    weights: Vec<f32>,
    /// `[blocks, 4, lanes]`: `b_ir + b_hr`, `b_iz + b_hz`, `b_hn`, `b_in`.
    biases: Vec<f32>,
}

impl ForwardPack {
    pub(super) fn new(weights: &GruWeights, units: usize, lanes: usize) -> Self {
        let blocks = units.div_ceil(lanes);
        let mut packed = vec![0.0; blocks * units * TILE_VECTORS * lanes];
        let mut biases = vec![0.0; blocks * BIASES * lanes];
        for unit in 0..units {
            let (block, lane) = (unit / lanes, unit % lanes);
            for gate in 0..3 {
                let row = &weights.weight_hh[(gate * units + unit) * units..][..units];
                for (k, &w) in row.iter().enumerate() {
                    packed[((block * units + k) * TILE_VECTORS + gate) * lanes + lane] = w;
                }
            }
            let (ih, hh) = (&weights.bias_ih, &weights.bias_hh);
            let n = 2 * units + unit;
            let bias = [ih[unit] + hh[unit], ih[units + unit] + hh[units + unit], hh[n], ih[n]];
            for (which, value) in bias.into_iter().enumerate() {
                biases[(block * BIASES + which) * lanes + lane] = value;
            }
        }
        Self { units, weights: packed, biases }
    }
}

/// The rows of the batch that one thread takes through all T steps. No other thread needs them.
pub(super) struct ForwardRows<'a> {
    pub(super) pack: &'a ForwardPack,
    /// How many rows.
    pub(super) rows: usize,
    /// The state before each step and after the last, T+1 times `[rows, H]`.
    pub(super) h: Vec<&'a mut [f32]>,
    /// T times `[rows, 3H]` of `x_proj` without biases, or `[rows, 4H]`: then r, z, n, hn are saved in its place.
    pub(super) gates: Vec<&'a mut [f32]>,
}

impl WithSimd for ForwardRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        for (t, gates) in self.gates.iter_mut().enumerate() {
            let (before, after) = self.h.split_at_mut(t + 1);
            step(simd, self.pack, self.rows, before[t], after[0], gates);
        }
    }
}

/// One step of all rows. A block of units outside, so that its weights stay in the cache for all rows.
#[inline(always)]
fn step<S: Simd>(simd: S, pack: &ForwardPack, rows: usize, h: &[f32], h_new: &mut [f32], gates: &mut [f32]) {
    let (units, lanes) = (pack.units, S::F32_LANES);
    let weights = pack.weights.chunks_exact(units * TILE_VECTORS * lanes);
    let biases = pack.biases.chunks_exact(BIASES * lanes);
    for (block, (weights, biases)) in weights.zip(biases).enumerate() {
        let first = block * lanes;
        for_row_tiles!(rows, |row, R| tile::<S, R>(simd, units, first, row, weights, biases, h, h_new, gates));
    }
}

/// One step of R rows and the units of one block, from `first` on.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "the inner loop of the step, apart only for the number of rows")]
fn tile<S: Simd, const R: usize>(
    simd: S,
    units: usize,
    first: usize,
    row: usize,
    weights: &[f32],
    biases: &[f32],
    h: &[f32],
    h_new: &mut [f32],
    gates: &mut [f32],
) {
    let width = (units - first).min(S::F32_LANES);
    let stride = if h.len() * 4 == gates.len() { 4 * units } else { 3 * units };
    let biases = S::as_simd_f32s(biases).0;
    let mut sums = [[biases[0], biases[1], biases[2]]; R];
    let h_rows: [&[f32]; R] = from_fn(|i| &h[(row + i) * units..][..units]);
    add_tile(simd, panel::<S>(weights), h_rows, &mut sums);

    for i in 0..R {
        let gates = &mut gates[(row + i) * stride..][..stride];
        let at = |gate: usize| gate * units + first..gate * units + first + width;
        let [sum_r, sum_z, hn] = sums[i];
        let r = sigmoid(simd, simd.add_f32s(sum_r, load(simd, &gates[at(0)]))); // (1)
        let z = sigmoid(simd, simd.add_f32s(sum_z, load(simd, &gates[at(1)]))); // (2)
        let x_n = simd.add_f32s(biases[3], load(simd, &gates[at(2)]));
        let n = tanh(simd, simd.mul_add_e_f32s(r, hn, x_n)); // (3)
        let h_old = load(simd, &h_rows[i][at(0)]);
        let new = simd.mul_add_e_f32s(z, simd.sub_f32s(h_old, n), n); // (4) as n + z * (h - n)
        store(simd, &mut h_new[(row + i) * units..][at(0)], new);
        if stride == 4 * units {
            for (gate, value) in [r, z, n, hn].into_iter().enumerate() {
                store(simd, &mut gates[at(gate)], value);
            }
        }
    }
}
