//! Twin of the kernels `gru_frame` and `rnn_frame`: the step of every layer one after the other, from the input to the
//! new states.

use super::Real;
use super::gru_reset::gru_reset;
use super::gru_step::{GruOptions, GruStepParams, gru_step_with, product};
use super::rnn_step::{RnnStepParams, rnn_step};
use crate::config::{Cell, Reset};

/// Which frame of what.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FrameParams<'a> {
    /// B.
    pub batch: usize,
    /// I.
    pub inputs: usize,
    /// H.
    pub hidden: usize,
    /// What the layers are.
    pub cell: Cell,
    /// The limit of what goes into activations.
    pub clip: Option<f32>,
    /// How long each row is: one of 0 rests.
    pub lengths: Option<&'a [usize]>,
    /// The state before of a row of 0 counts as zero.
    pub zero_empty_rows: bool,
}

/// The weights of a layer: weight_ih `[GH, in]`, weight_hh `[GH, H]`; bias_ih and bias_hh `[GH]`, if there are any.
#[derive(Debug, Clone)]
pub struct FrameLayer<R> {
    /// weight_ih and weight_hh.
    pub weights: [Vec<R>; 2],
    /// bias_ih and bias_hh.
    pub biases: Option<[Vec<R>; 2]>,
}

/// From `input` `[B, I]` and the states `[L, B, H]` the new states and `output` `[B, H]`, which is zero where a row
/// rests.
///
/// # Panics
/// If a slice is too short for the sizes.
pub fn frame<R: Real>(
    params: &FrameParams<'_>,
    layers: &[FrameLayer<R>],
    input: &[R],
    before: &[R],
    state: &mut [R],
    output: &mut [R],
) {
    let &FrameParams { batch, inputs, hidden, cell, clip, lengths, zero_empty_rows } = params;
    let is_over = |row: usize| lengths.is_some_and(|lengths| lengths[row] == 0);
    let size = batch * hidden;
    let mut below = input.to_vec();
    for (layer, FrameLayer { weights: [weight_ih, weight_hh], biases }) in layers.iter().enumerate() {
        let width = if layer == 0 { inputs } else { hidden };
        let [bias_ih, bias_hh] = [0, 1].map(|kind| biases.as_ref().map(|biases| &biases[kind][..]));
        // The states before the step and after it, and the gates with x_proj in them, four numbers a unit where the
        // twin of the step has room for r h.
        let mut h = before[layer * size..][..size].to_vec();
        for row in (0..batch).filter(|&row| zero_empty_rows && is_over(row)) {
            h[row * hidden..][..hidden].fill(R::default());
        }
        h.resize(2 * size, R::default());
        let numbers = match cell {
            Cell::Gru { reset: Reset::Before, .. } => 4,
            _ => cell.gates(),
        };
        let mut gates = vec![R::default(); numbers * size];
        for row in 0..batch {
            for unit in 0..cell.gates() * hidden {
                gates[row * numbers * hidden + unit] =
                    product(weight_ih, bias_ih, unit, &below[row * width..][..width]);
            }
        }
        match cell {
            Cell::Rnn { nonlinearity: activation } => {
                let (save, lengths_after) = (false, None);
                let params = RnnStepParams { t: 0, batch, hidden, save, activation, clip, lengths, lengths_after };
                rnn_step(&params, weight_hh, bias_hh, &mut h, &mut gates);
            }
            Cell::Gru { reset, gate, candidate } => {
                let params = GruStepParams { t: 0, batch, hidden, save: false };
                let options = GruOptions { reset, gate, candidate, clip, lengths, lengths_after: None };
                if reset == Reset::Before {
                    gru_reset(&params, &options, weight_hh, bias_hh, &h, &mut gates);
                }
                gru_step_with(&params, &options, weight_hh, bias_hh, &mut h, &mut gates);
            }
        }
        below = h.split_off(size);
        state[layer * size..][..size].copy_from_slice(&below);
    }
    for (row, states) in below.chunks(hidden).enumerate() {
        let of_row = &mut output[row * hidden..][..hidden];
        if is_over(row) { of_row.fill(R::default()) } else { of_row.copy_from_slice(states) }
    }
}
