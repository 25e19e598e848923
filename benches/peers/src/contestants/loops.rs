//! The anchor: what a page of plain f32 loops on one thread takes. Machines differ less in ratios to it than in
//! milliseconds.

use anyhow::Result;

use crate::case::{Case, Size, transpose};
use crate::contestants::Contestant;

/// Plain loops.
#[derive(Debug)]
pub(super) struct Loops {
    size: Size,
    /// `[I, 3H]` and `[H, 3H]`: transposed, so that the innermost loop runs over numbers that lie side by side.
    from_input: Vec<f32>,
    from_state: Vec<f32>,
    bias_ih: Vec<f32>,
    bias_hh: Vec<f32>,
    x: Vec<f32>,
    h0: Vec<f32>,
}

impl Loops {
    pub(super) fn new(case: &Case) -> Self {
        let cell = case.cell();
        Self {
            size: case.size,
            from_input: transpose(&cell.weight_ih, case.size.inputs),
            from_state: transpose(&cell.weight_hh, case.size.units),
            bias_ih: cell.bias_ih.clone(),
            bias_hh: cell.bias_hh.clone(),
            x: case.batch.x.clone(),
            h0: case.batch.h0.clone(),
        }
    }
}

impl Contestant for Loops {
    fn run(&mut self) -> Result<Vec<f32>> {
        let Size { rows, inputs, units, .. } = self.size;
        let mut h = self.h0.clone();
        let (mut a, mut b) = (vec![0.0; 3 * units], vec![0.0; 3 * units]);
        for x in self.x.chunks_exact(rows * inputs) {
            for (x, h) in x.chunks_exact(inputs).zip(h.chunks_exact_mut(units)) {
                project(&mut a, &self.bias_ih, &self.from_input, x);
                project(&mut b, &self.bias_hh, &self.from_state, h);
                for (unit, h) in h.iter_mut().enumerate() {
                    let r = sigmoid(a[unit] + b[unit]);
                    let z = sigmoid(a[units + unit] + b[units + unit]);
                    let n = (a[2 * units + unit] + r * b[2 * units + unit]).tanh();
                    *h = (1.0 - z) * n + z * *h;
                }
            }
        }
        Ok(h)
    }
}

/// `sums = bias + weights^T . source`.
fn project(sums: &mut [f32], bias: &[f32], weights: &[f32], source: &[f32]) {
    sums.copy_from_slice(bias);
    for (&value, weights) in source.iter().zip(weights.chunks_exact(bias.len())) {
        for (sum, &weight) in sums.iter_mut().zip(weights) {
            *sum += value * weight;
        }
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}
