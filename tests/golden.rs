//! Holds the f64 oracle to `torch.nn.GRU`: every output and gradient of the golden vectors of `tests/golden`.

use approx::assert_relative_eq;
use wgpu_gru::Comparison;
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::{CellWeights, Tolerance, Weights};

mod support;

use support::golden::{Golden, load_all};
use support::numbers::{largest, wide};
use support::plain as oracle;

/// The unit round-off of f64, 2^-53.
const UNIT_ROUNDOFF: f64 = f64::EPSILON / 2.0;

/// The functions and products of one unit of one step, forward and backward: three exponentials with their divisions, and
/// the operations of (3) to (8), each good to one or two u.
const POINTWISE: usize = 32;

/// How far the oracle may be from `nn.GRU`, relative to the largest number of the tensor: u for every rounding on the
/// longest way through the layer. A step sums I + H products on the way forward and 3H on the way back; both go through T
/// steps; a weight's gradient then sums T B rows. That every error points the same way never happens, which leaves room
/// for the errors of `nn.GRU` itself, and for weights so large that a step stretches an error instead of damping it.
/// From 4e-15 to 3e-13 here.
fn bound(golden: &Golden) -> f64 {
    let step = golden.input_size + golden.hidden_size + 3 * golden.hidden_size + POINTWISE;
    let longest = golden.seq_len * step + golden.seq_len * golden.batch;
    longest as f64 * UNIT_ROUNDOFF
}

/// All that a layer makes, by the names of `nn.GRU`.
type Tensors = [(&'static str, Vec<f64>); 8];

fn pytorch_tensors(golden: &Golden) -> Tensors {
    [
        ("output", golden.output.clone()),
        ("h_n", golden.h_n.clone()),
        ("d_x", golden.d_x.clone()),
        ("d_h0", golden.d_h0.clone()),
        ("d_weight_ih_l0", golden.d_weight_ih_l0.clone()),
        ("d_weight_hh_l0", golden.d_weight_hh_l0.clone()),
        ("d_bias_ih_l0", golden.d_bias_ih_l0.clone()),
        ("d_bias_hh_l0", golden.d_bias_hh_l0.clone()),
    ]
}

fn oracle_tensors(golden: &Golden, weights: &Weights) -> Tensors {
    let (config, weights) = (golden.config(), weights);
    let (x, h0) = (wide(&golden.x), wide(&golden.h0));
    let forward = oracle::forward(&config, weights, golden.seq_len, golden.batch, &x, &h0);
    let (d_output, d_h_n) = (wide(&golden.d_output), wide(&golden.d_h_n));
    let gradients = oracle::backward(&config, weights, &forward, &d_output, &d_h_n);
    [
        ("output", forward.output().to_vec()),
        ("h_n", forward.h_n().to_vec()),
        ("d_x", gradients.d_x),
        ("d_h0", gradients.d_h0),
        ("d_weight_ih_l0", gradients.d_weight_ih),
        ("d_weight_hh_l0", gradients.d_weight_hh),
        ("d_bias_ih_l0", gradients.d_bias_ih),
        ("d_bias_hh_l0", gradients.d_bias_hh),
    ]
}

/// The bound of one tensor, whose size is that of its largest number.
fn tolerance(golden: &Golden, expected: &[f64]) -> Tolerance {
    Tolerance { abs: bound(golden) * largest(expected), rel: 0.0 }
}

/// The tensors that are out of bound, each with its worst element.
fn disagreements(golden: &Golden, actual: &Tensors) -> Vec<(&'static str, Comparison)> {
    let mut found = Vec::new();
    for ((name, expected), (actual_name, actual)) in pytorch_tensors(golden).iter().zip(actual) {
        assert_eq!(name, actual_name, "tensors in another order");
        let worst = tolerance(golden, expected).compare(actual, expected);
        if !worst.passed() {
            found.push((*name, worst));
        }
    }
    found
}

#[test]
fn the_oracle_agrees_with_pytorch() {
    let mut failures = String::new();
    for golden in load_all() {
        for (tensor, worst) in disagreements(&golden, &oracle_tensors(&golden, &golden.weights())) {
            let Comparison { index, actual, expected, share, max_error } = worst;
            failures += &format!(
                "{golden}: {tensor}[{index}] is {actual:e}, PyTorch has {expected:e}: {share:.3} of the budget, \
                 largest error of the tensor {max_error:e}\n"
            );
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
}

/// The files are what `generate.py` says: the numbers that go in are drawn one after the other from the crate's own
/// generator, which thereby gives the same numbers in Rust and in Python.
#[test]
fn inputs_are_drawn_from_the_seed() {
    for golden in load_all() {
        let mut weights = Weights::random(&golden.config(), golden.seed);
        let CellWeights { weight_ih, weight_hh, bias_ih, bias_hh } = &mut weights.cells[0];
        for array in [weight_ih, weight_hh, bias_ih, bias_hh] {
            array.iter_mut().for_each(|v| *v *= golden.weight_scale);
        }
        assert_eq!(golden.weights(), weights, "{golden}: weights");

        let mut uniform = SplitMix64::new(golden.seed);
        for _ in 0..golden.config().num_parameters() {
            uniform.next_u64();
        }
        for t in 0..golden.seq_len {
            for b in 0..golden.batch {
                let row = &golden.x[(t * golden.batch + b) * golden.input_size..][..golden.input_size];
                let scale = golden.x_scales[(t + b) % golden.x_scales.len()];
                assert_eq!(row, uniform.vec(golden.input_size, scale), "{golden}: x at step {t}, row {b}");
            }
        }
        for (tensor, values) in [("h0", &golden.h0), ("d_output", &golden.d_output), ("d_h_n", &golden.d_h_n)] {
            assert_eq!(*values, uniform.vec(values.len(), 1.0), "{golden}: {tensor}");
        }
    }
}

/// `nn.GRU` computes what this crate calls a GRU: equations (1) to (10) by hand, where every size is 1.
#[test]
fn pytorch_computes_the_equations() {
    let goldens = load_all();
    let golden = goldens.iter().find(|golden| golden.name == "sizes_of_one").expect("the case is there");
    let gates = |values: &[f32]| <[f64; 3]>::try_from(wide(values)).expect("one number a gate");
    let sigmoid = |a: f64| 1.0 / (1.0 + (-a).exp());
    let [w_ir, w_iz, w_in] = gates(&golden.weight_ih_l0);
    let [w_hr, w_hz, w_hn] = gates(&golden.weight_hh_l0);
    let [b_ir, b_iz, b_in] = gates(&golden.bias_ih_l0);
    let [b_hr, b_hz, b_hn] = gates(&golden.bias_hh_l0);
    let (x, h) = (f64::from(golden.x[0]), f64::from(golden.h0[0]));

    let r = sigmoid(w_ir * x + b_ir + w_hr * h + b_hr);
    let z = sigmoid(w_iz * x + b_iz + w_hz * h + b_hz);
    let hn = w_hn * h + b_hn;
    let n = (w_in * x + b_in + r * hn).tanh();
    let d_h_new = f64::from(golden.d_output[0]) + f64::from(golden.d_h_n[0]);
    let d_an = d_h_new * (1.0 - z) * (1.0 - n * n);
    let d_az = d_h_new * (h - n) * z * (1.0 - z);
    let d_ar = d_an * hn * r * (1.0 - r);
    let d_hn = d_an * r;

    let near = |actual: &[f64], expected: &[f64]| {
        assert_relative_eq!(*actual, *expected, epsilon = 0.0, max_relative = 1e-14);
    };
    near(&golden.output, &[(1.0 - z) * n + z * h]);
    near(&golden.h_n, &[(1.0 - z) * n + z * h]);
    near(&golden.d_x, &[d_ar * w_ir + d_az * w_iz + d_an * w_in]);
    near(&golden.d_h0, &[d_h_new * z + d_ar * w_hr + d_az * w_hz + d_hn * w_hn]);
    near(&golden.d_weight_ih_l0, &[d_ar * x, d_az * x, d_an * x]);
    near(&golden.d_weight_hh_l0, &[d_ar * h, d_az * h, d_hn * h]);
    near(&golden.d_bias_ih_l0, &[d_ar, d_az, d_an]);
    near(&golden.d_bias_hh_l0, &[d_ar, d_az, d_hn]);
}

#[test]
fn h_n_is_the_last_output() {
    for golden in load_all() {
        assert_eq!(golden.output[golden.output.len() - golden.h_n.len()..], golden.h_n, "{golden}");
    }
}

/// The comparison sees wrong weights in every tensor of every case.
fn every_tensor_disagrees(what: &str, spoil: impl Fn(&mut Weights, usize)) {
    for golden in load_all() {
        let mut weights = golden.weights();
        spoil(&mut weights, golden.hidden_size);
        let found: Vec<_> =
            disagreements(&golden, &oracle_tensors(&golden, &weights)).iter().map(|(name, _)| *name).collect();
        let all = pytorch_tensors(&golden).map(|(name, _)| name);
        assert_eq!(found, all, "{golden}: {what} must show in all of these");
    }
}

#[test]
fn swapped_reset_and_update_gates_are_found() {
    every_tensor_disagrees("swapped gates", |weights, units| {
        let CellWeights { weight_ih, weight_hh, bias_ih, bias_hh } = &mut weights.cells[0];
        for array in [weight_ih, weight_hh, bias_ih, bias_hh] {
            let gate = array.len() / 3;
            assert_eq!(gate % units, 0, "whole rows");
            let (r, z_and_n) = array.split_at_mut(gate);
            r.swap_with_slice(&mut z_and_n[..gate]);
        }
    });
}

/// `b_hn` is inside of the product with r and `b_in` outside. No other pair of biases tells the two apart.
#[test]
fn swapped_biases_of_the_candidate_are_found() {
    every_tensor_disagrees("swapped biases", |weights, units| {
        let cell = &mut weights.cells[0];
        cell.bias_ih[2 * units..].swap_with_slice(&mut cell.bias_hh[2 * units..]);
    });
}

#[test]
fn one_wrong_element_is_found() {
    for golden in load_all() {
        let expected = pytorch_tensors(&golden);
        assert!(disagreements(&golden, &expected).is_empty(), "{golden}: PyTorch must agree with itself");
        for (which, (tensor, values)) in expected.iter().enumerate() {
            for index in [0, values.len() / 2, values.len() - 1] {
                for wrong in [values[index] + 1.5 * tolerance(&golden, values).abs, f64::NAN, f64::INFINITY] {
                    let mut spoiled = expected.clone();
                    spoiled[which].1[index] = wrong;
                    let found = disagreements(&golden, &spoiled);
                    let found: Vec<_> = found.iter().map(|(name, worst)| (*name, worst.index)).collect();
                    assert_eq!(found, [(*tensor, index)], "{golden}: {wrong} at {tensor}[{index}]");
                }
            }
        }
    }
}
