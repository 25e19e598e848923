//! The twins with every option of a step, put together to a layer, against the oracle; and the gates made again.

use wgpu_gru::reference::Real;
use wgpu_gru::reference::gru_gates::gru_gates;
use wgpu_gru::reference::gru_reset::gru_reset;
use wgpu_gru::reference::gru_reset_backward::gru_reset_backward;
use wgpu_gru::reference::gru_step::{GruOptions, GruStepParams, gru_step_with};
use wgpu_gru::reference::gru_step_backward::{GruStepBackwardParams, gru_step_backward_with};
use wgpu_gru::reference::matmul::{MatmulParams, matmul};
use wgpu_gru::reference::rnn_step::{RnnStepParams, rnn_step};
use wgpu_gru::reference::rnn_step_backward::rnn_step_backward;
use wgpu_gru::reference::sum_rows::sum_rows;
use wgpu_gru::verify::{Batch, expectation};
use wgpu_gru::{Activation, Cell, Config, GruConfig, Reset, RnnConfig, Tolerance, Weights};

mod support;

use support::numbers::{assert_close, wide};

/// h_n, d_input, d_h0, d_bias_ih of a layer by the twins; and the largest difference of the gates that are made again.
fn layer<R: Real>(config: &Config, weights: &Weights, batch: &Batch, real: fn(&[f32]) -> Vec<R>) -> ([Vec<R>; 4], f64) {
    let (seq_len, b, i, hidden) = (batch.seq_len, batch.batch, config.input_size(), config.hidden_size());
    let (rows, g) = (seq_len * b, config.cell().gates());
    let [weight_ih, weight_hh, bias_ih, bias_hh] = weights.cells[0].arrays().map(real);
    let (bias_ih, bias_hh) = (config.has_bias().then_some(bias_ih), config.has_bias().then_some(bias_hh));
    let product = |[m, n, k]: [usize; 3], transpose_b: bool, a: &[R], b: &[R], bias: Option<&[R]>| {
        let mut c = vec![R::default(); m * n];
        matmul(&MatmulParams { m, n, k, transpose_a: false, transpose_b, accumulate: false }, a, b, bias, &mut c);
        c
    };
    let x_proj = product([rows, g * hidden, i], true, &real(&batch.x), &weight_ih, bias_ih.as_deref());
    let width = if g == 3 { 4 } else { 1 };
    let mut gates = Vec::new();
    for row in x_proj.chunks_exact(g * hidden) {
        gates.extend_from_slice(row);
        gates.resize(gates.len() + (width - g) * hidden, R::default());
    }
    let projected = gates.clone();
    let mut h = real(&batch.h0);
    h.resize((rows + b) * hidden, R::default());
    let (d_output, d_h_n) = (real(&batch.d_output), real(&batch.d_h_n));
    let mut d_h0 = vec![R::default(); b * hidden];
    let lengths = batch.lengths.as_deref();
    let mut made_again = 0.0;

    match config.cell() {
        Cell::Rnn { nonlinearity: activation } => {
            let clip = config.clip_limit();
            let params =
                |t| RnnStepParams { t, batch: b, hidden, save: true, activation, clip, lengths, lengths_after: None };
            for t in 0..seq_len {
                rnn_step(&params(t), &weight_hh, bias_hh.as_deref(), &mut h, &mut gates);
            }
            for (t, is_final) in (0..seq_len).rev().map(|t| (t, false)).chain([(0, true)]) {
                let p = params(t);
                rnn_step_backward(&p, seq_len, is_final, &weight_hh, &h, &d_output, &d_h_n, &mut gates, &mut d_h0);
            }
        }
        Cell::Gru { reset, gate, candidate } => {
            let options =
                GruOptions { reset, gate, candidate, clip: config.clip_limit(), lengths, lengths_after: None };
            let params = |t| GruStepParams { t, batch: b, hidden, save: true };
            for t in 0..seq_len {
                if reset == Reset::Before {
                    gru_reset(&params(t), &options, &weight_hh, bias_hh.as_deref(), &h, &mut gates);
                }
                gru_step_with(&params(t), &options, &weight_hh, bias_hh.as_deref(), &mut h, &mut gates);
            }
            // The gates again, from states that are known: those of the rows that have not ended.
            let before = &h[..rows * hidden];
            let mut again = projected;
            let mut h_proj = product([rows, 3 * hidden, hidden], true, before, &weight_hh, bias_hh.as_deref());
            gru_gates([rows, hidden], &options, 0, before, &h_proj, &mut again);
            if reset == Reset::Before {
                for row in 0..rows {
                    let reset_states = again[(row * 4 + 3) * hidden..][..hidden].to_vec();
                    let of_n =
                        product([1, hidden, hidden], true, &reset_states, &weight_hh[2 * hidden * hidden..], None);
                    for (unit, value) in of_n.into_iter().enumerate() {
                        let bias = bias_hh.as_ref().map_or(R::default(), |bias| bias[2 * hidden + unit]);
                        h_proj[(row * 3 + 2) * hidden + unit] = value + bias;
                    }
                }
                gru_gates([rows, hidden], &options, 1, before, &h_proj, &mut again);
            }
            for row in (0..rows).filter(|row| !options.is_over(row % b, row / b)) {
                for at in row * 4 * hidden..(row + 1) * 4 * hidden {
                    // The same infinity is no difference.
                    let same = again[at] == gates[at];
                    let error: f64 = if same { 0.0 } else { (again[at] - gates[at]).abs().into() };
                    made_again = if error > made_again || error.is_nan() { error } else { made_again };
                }
            }
            for t in (0..seq_len).rev().map(Some).chain([None]) {
                let p = GruStepBackwardParams { seq_len, batch: b, hidden, t };
                gru_step_backward_with(&p, &options, &weight_hh, &h, &d_output, &d_h_n, &mut gates, &mut d_h0);
                if let (Reset::Before, Some(t)) = (reset, t) {
                    gru_reset_backward(&params(t), &options, &weight_hh, &h, &mut gates, &mut d_h0);
                }
            }
        }
    }
    let d_x_proj: Vec<R> = gates.chunks_exact(width * hidden).flat_map(|row| row[..g * hidden].to_vec()).collect();
    let d_input = product([rows, i, g * hidden], false, &d_x_proj, &weight_ih, None);
    let mut d_bias = vec![R::default(); g * hidden];
    sum_rows(rows, g * hidden, false, &d_x_proj, &mut d_bias);
    ([h[rows * hidden..].to_vec(), d_input, d_h0, d_bias], made_again)
}

fn check<C: Copy + Into<Cell>>(config: &Config<C>, lengths: Option<&[usize]>) {
    let config = config.erased();
    let weights = Weights::random(&config, 1);
    let mut batch = Batch::random(&config, 5, 3, 2);
    batch.lengths = lengths.map(<[usize]>::to_vec);
    let expected = expectation(&config, &weights, &batch);
    let (narrow, narrow_again) = layer(&config, &weights, &batch, <[f32]>::to_vec);
    let (exact, exact_again) = layer(&config, &weights, &batch, wide);
    assert!(narrow_again < 2e-6 && exact_again < 1e-14, "gates made again: {narrow_again:e}, {exact_again:e}");
    for (name, (narrow, exact)) in ["h_n", "d_input", "d_h0", "d_bias_ih_l0"].into_iter().zip(narrow.iter().zip(&exact))
    {
        // Without biases there is no gradient of one.
        let Some(expected) = expected.iter().find(|expected| expected.tensor == name) else { continue };
        let context = format!("{config:?} {lengths:?}: {name}");
        assert_close(&context, narrow, &expected.values, expected.tolerance);
        let ratio = f64::EPSILON / f64::from(f32::EPSILON);
        let tolerance = Tolerance { abs: expected.tolerance.abs * ratio, rel: expected.tolerance.rel * ratio };
        assert_close(&context, exact, &expected.values, tolerance);
    }
}

const ACTIVATIONS: [Activation; 9] = [
    Activation::Sigmoid,
    Activation::Tanh,
    Activation::Relu,
    Activation::HARD_SIGMOID_ONNX,
    Activation::LeakyRelu { alpha: 0.1 },
    Activation::ThresholdedRelu { theta: 0.1 },
    Activation::Softsign,
    Activation::Softplus,
    Activation::Linear,
];

#[test]
fn every_option_of_a_step() {
    for lengths in [None, Some(&[5, 0, 2][..])] {
        for reset in [Reset::After, Reset::Before] {
            let gru = || GruConfig::new(4, 6).reset(reset);
            check(&gru(), lengths);
            check(&gru().bias(false), lengths);
            check(&gru().clip(0.4), lengths);
            for activation in ACTIVATIONS {
                check(&gru().gate_activation(activation), lengths);
                check(&gru().candidate_activation(activation), lengths);
            }
        }
        for activation in ACTIVATIONS {
            check(&RnnConfig::new(4, 6).nonlinearity(activation), lengths);
            check(&RnnConfig::new(4, 6).nonlinearity(activation).clip(0.4).bias(false), lengths);
        }
    }
}
