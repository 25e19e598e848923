//! The twins of the kernels, in f32 and in f64, put together as the GPU puts the kernels together, against the oracle.

use approx::{assert_abs_diff_eq, assert_relative_eq};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use wgpu_gru::reference::Real;
use wgpu_gru::reference::activation::{sigmoid, tanh_guarded};
use wgpu_gru::reference::gru_step::{GruStepParams, gru_step};
use wgpu_gru::reference::gru_step_backward::{GruStepBackwardParams, gru_step_backward};
use wgpu_gru::reference::matmul::{MatmulParams, matmul};
use wgpu_gru::reference::sum_rows::sum_rows;
use wgpu_gru::verify::Batch;
use wgpu_gru::{CellWeights, GruConfig, Tolerance, Weights};

mod support;

use support::numbers::{assert_close, wide};
use support::plain::expectation;

const NAMES: [&str; 8] = ["output", "h_n", "d_input", "d_h0", "d_weight_ih", "d_weight_hh", "d_bias_ih", "d_bias_hh"];

/// Some columns of rows of `width` parts of `part` numbers.
fn columns<R: Real>(values: &[R], part: usize, width: usize, taken: &[usize]) -> Vec<R> {
    let rows = values.chunks_exact(part * width);
    rows.flat_map(|row| taken.iter().flat_map(|&at| row[at * part..(at + 1) * part].iter().copied())).collect()
}

/// A whole layer forward and backward by the twins. The tensors in the order of [`NAMES`].
fn layer<R: Real>(
    config: &GruConfig,
    weights: &Weights,
    batch: &Batch,
    real: impl Fn(&[f32]) -> Vec<R>,
) -> [Vec<R>; 8] {
    let (seq_len, b, i, h) = (batch.seq_len, batch.batch, config.input_size(), config.hidden_size());
    let rows = seq_len * b;
    let [weight_ih, weight_hh, bias_ih, bias_hh] = weights.cells[0].arrays().map(&real);
    let (x, d_output, d_h_n) = (real(&batch.x), real(&batch.d_output), real(&batch.d_h_n));
    let zeros = |len: usize| vec![R::default(); len];

    let product =
        |[m, n, k]: [usize; 3], [transpose_a, transpose_b]: [bool; 2], a: &[R], b: &[R], bias: Option<&[R]>| {
            let mut c = zeros(m * n);
            matmul(&MatmulParams { m, n, k, transpose_a, transpose_b, accumulate: false }, a, b, bias, &mut c);
            c
        };
    let x_proj = product([rows, 3 * h, i], [false, true], &x, &weight_ih, Some(&bias_ih));
    let mut gates: Vec<R> = Vec::new();
    for row in x_proj.chunks_exact(3 * h) {
        gates.extend_from_slice(row);
        gates.resize(gates.len() + h, R::default());
    }
    let mut states = real(&batch.h0);
    states.resize((rows + b) * h, R::default());
    for t in 0..seq_len {
        let params = GruStepParams { t, batch: b, hidden: h, save: true };
        gru_step(&params, &weight_hh, &bias_hh, &mut states, &mut gates);
    }
    let mut d_h0 = zeros(b * h);
    for t in (0..seq_len).rev().map(Some).chain([None]) {
        let params = GruStepBackwardParams { seq_len, batch: b, hidden: h, t };
        gru_step_backward(&params, &weight_hh, &states, &d_output, &d_h_n, &mut gates, &mut d_h0);
    }

    let (d_x_proj, d_h_proj) = (columns(&gates, h, 4, &[0, 1, 2]), columns(&gates, h, 4, &[0, 1, 3]));
    let d_x = product([rows, i, 3 * h], [false, false], &d_x_proj, &weight_ih, None);
    let d_weight_ih = product([3 * h, i, rows], [true, false], &d_x_proj, &x, None);
    let d_weight_hh = product([3 * h, h, rows], [true, false], &d_h_proj, &states[..rows * h], None);
    let sum = |d_proj: &[R]| {
        let mut total = zeros(3 * h);
        sum_rows(rows, 3 * h, false, d_proj, &mut total);
        total
    };
    let (output, h_n) = (states[b * h..].to_vec(), states[rows * h..].to_vec());
    [output, h_n, d_x, d_h0, d_weight_ih, d_weight_hh, sum(&d_x_proj), sum(&d_h_proj)]
}

/// A bound for f32 as one for f64.
fn in_f64(tolerance: Tolerance) -> Tolerance {
    let ratio = f64::EPSILON / f64::from(f32::EPSILON);
    Tolerance { abs: tolerance.abs * ratio, rel: tolerance.rel * ratio }
}

fn check([t, b, i, h]: [usize; 4], x_scale: f32, weight_scale: f32, seed: u64) {
    let config = GruConfig::new(i, h);
    let mut weights = Weights::random(&config, seed);
    let CellWeights { weight_ih, weight_hh, bias_ih, bias_hh } = &mut weights.cells[0];
    for array in [weight_ih, weight_hh, bias_ih, bias_hh] {
        array.iter_mut().for_each(|weight| *weight *= weight_scale);
    }
    let mut batch = Batch::random(&config, t, b, seed.wrapping_add(1));
    batch.x.iter_mut().for_each(|x| *x *= x_scale);

    let (expected, budgets) = expectation(&config, &weights, &batch);
    let narrow = layer(&config, &weights, &batch, <[f32]>::to_vec);
    let exact = layer(&config, &weights, &batch, wide);
    for (index, (name, budget)) in NAMES.into_iter().zip(budgets).enumerate() {
        let name = format!("T={t} B={b} I={i} H={h} x to {x_scale}, weights times {weight_scale}: {name}");
        assert_close(&format!("{name} in f64"), &exact[index], &expected[index], in_f64(budget));
        assert_close(&format!("{name} in f32"), &narrow[index], &expected[index], budget);
    }
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 64, failure_persistence: None, rng_seed: RngSeed::Fixed(11), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn twins_make_the_oracle(t in 1_usize..12, b in 1_usize..7, i in 1_usize..20, h in 1_usize..20, seed: u64) {
        check([t, b, i, h], 1.0, 1.0, seed);
    }

    /// Inputs up to 1e3, far into saturation on both sides.
    #[test]
    fn saturating_inputs(t in 1_usize..6, b in 1_usize..4, i in 1_usize..9, h in 1_usize..9, seed: u64) {
        check([t, b, i, h], 1e3, 1.0, seed);
    }

    #[test]
    fn activations_are_those_of_libm(x in -1e4_f64..1e4) {
        activations(x);
    }
}

#[test]
fn ones_and_odd_ones() {
    for shape in [[1, 1, 1, 1], [1, 5, 3, 7], [9, 1, 2, 1], [3, 2, 1, 33], [2, 3, 31, 4]] {
        check(shape, 1.0, 1.0, 3);
    }
}

/// Within four units in the last place of 1.
const LAST_PLACES: f64 = 4.0 * f64::EPSILON;

fn activations(x: f64) {
    assert_abs_diff_eq!(sigmoid(x), 1.0 / (1.0 + (-x).exp()), epsilon = LAST_PLACES);
    assert_abs_diff_eq!(tanh_guarded(x), x.tanh(), epsilon = LAST_PLACES);
    // Odd, and symmetric about 1/2.
    assert_abs_diff_eq!(tanh_guarded(-x), -tanh_guarded(x), epsilon = 0.0);
    assert_abs_diff_eq!(sigmoid(-x) + sigmoid(x), 1.0, epsilon = LAST_PLACES);
    let narrow = x as f32;
    let tolerance = Tolerance::ulps(3.0);
    let expected = [1.0 / (1.0 + (-f64::from(narrow)).exp()), f64::from(narrow).tanh()];
    assert_close(
        &format!("activations of {narrow} in f32"),
        &[sigmoid(narrow), tanh_guarded(narrow)],
        &expected,
        tolerance,
    );
}

#[test]
fn activations_on_a_grid() {
    for step in -10_000..=10_000 {
        activations(f64::from(step));
        activations(f64::from(step) * 1e-3);
        activations(f64::from(step) * 1e-12);
    }
}

#[test]
fn activations_at_the_ends() {
    for zero in [0.0, -0.0] {
        assert_relative_eq!(sigmoid(zero), 0.5);
        assert_relative_eq!(tanh_guarded(zero), 0.0);
    }
    for (x, one, zero) in [(f64::INFINITY, 1.0, 0.0), (f64::MAX, 1.0, 0.0), (1e3, 1.0, 0.0)] {
        assert_eq!((sigmoid(x), tanh_guarded(x)), (one, one), "{x}");
        assert_eq!((sigmoid(-x), tanh_guarded(-x)), (zero, -one), "-{x}");
        let x = x as f32;
        assert_eq!((sigmoid(x), tanh_guarded(x), sigmoid(-x), tanh_guarded(-x)), (1.0, 1.0, 0.0, -1.0), "{x} in f32");
    }
    assert!(sigmoid(f64::NAN).is_nan() && tanh_guarded(f64::NAN).is_nan(), "NaN stays NaN");
    assert!(sigmoid(f32::NAN).is_nan() && tanh_guarded(f32::NAN).is_nan(), "NaN stays NaN in f32");
    // Far out on the small side the sigmoid is still the exponential, not 0.
    assert_relative_eq!(sigmoid(-700.0), (-700.0_f64).exp(), max_relative = 1e-15);
}
