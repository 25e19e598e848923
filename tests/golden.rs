//! Holds the f64 oracle to PyTorch, Keras and ONNX, a plain GRU at many sizes and every option: the golden vectors of
//! `tests/golden`.

use std::collections::BTreeSet;

use approx::assert_relative_eq;
use wgpu_gru::Comparison;
use wgpu_gru::reference::oracle::{self, Run};
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::{Cell, CellWeights, Config, Reset, Tolerance, Weights};

mod support;

use support::golden::{Golden, Precision, load_all, load_options, load_plain};
use support::numbers::{largest, wide};

/// The unit round-off of f64, 2^-53.
const UNIT_ROUNDOFF: f64 = f64::EPSILON / 2.0;

/// The functions and products of one unit of one step, forward and backward: three exponentials with their divisions,
/// and the operations of (3) to (8), each good to one or two u.
const POINTWISE: usize = 32;

/// How far the oracle may be from a source, relative to the largest number of the tensor.
///
/// f64: u for every rounding on the longest way through the layers. A step of a layer sums its inputs and H products on
/// the way forward (H more where the reset gate acts before the product) and the rows of all gates on the way back; all
/// go through T steps of every layer; a weight's gradient then sums T B rows. That every error points the same way
/// never happens, which leaves room for the errors of the source itself, and for weights so large that a step stretches
/// an error instead of damping it. From 4e-15 to 3e-13 here.
///
/// f64 with a rounded parameter: Keras's hard sigmoid has the slope 1/6, and the nearest f32 is 2^-25 of it away. A
/// step moves its gates by that share of at most 1/2, a weight's gradient has the slope as a factor besides, and T
/// steps add up: less than T 2^-24. The worst case uses a seventh.
///
/// f32: 32 u of f32, 2e-6, for sums of at most 11 terms and 5 steps. The worst case, of ONNX Runtime, uses a third.
fn bound(golden: &Golden) -> f64 {
    let config = golden.config();
    let is_before = matches!(config.cell(), Cell::Gru { reset: Reset::Before, .. });
    let products = 1 + config.cell().gates() + usize::from(is_before);
    let step = |layer| config.layer_input_size(layer) + products * config.hidden_size + POINTWISE;
    let longest = golden.seq_len * (0..config.num_layers).map(step).sum::<usize>() + golden.seq_len * golden.batch;
    let f64_bound = longest as f64 * UNIT_ROUNDOFF;
    match golden.precision {
        Precision::F64 => f64_bound,
        Precision::F64RoundedParameter => f64_bound + golden.seq_len as f64 * Tolerance::UNIT_ROUNDOFF,
        Precision::F32 => 32.0 * Tolerance::UNIT_ROUNDOFF,
    }
}

/// What the oracle makes of it, in the order of `Golden::expected`.
fn oracle_tensors(golden: &Golden, weights: &Weights) -> Vec<(String, Vec<f64>)> {
    oracle_tensors_of(golden, &golden.config(), &golden.run(), weights)
}

/// The same with another config and run.
fn oracle_tensors_of(golden: &Golden, config: &Config, run: &Run, weights: &Weights) -> Vec<(String, Vec<f64>)> {
    let cells = oracle::cells(weights);
    let forward = oracle::forward(config, &cells, run, &wide(&golden.x), &wide(&golden.h0));
    let mut made = vec![("output".to_owned(), forward.output.clone()), ("h_n".to_owned(), forward.h_n.clone())];
    if let Some((d_output, d_h_n)) = golden.upstream() {
        let gradients = oracle::backward(config, &cells, run, &forward, &wide(d_output), &wide(d_h_n));
        made.extend([("d_x".to_owned(), gradients.d_x), ("d_h0".to_owned(), gradients.d_h0)]);
        let names = weights.named(&golden.config()).map(|(name, _)| format!("d_{name}")).collect::<Vec<_>>();
        let arrays = gradients.cells.into_iter().flat_map(|c| [c.weight_ih, c.weight_hh, c.bias_ih, c.bias_hh]);
        made.extend(names.into_iter().zip(arrays.filter(|array| !array.is_empty())));
    }
    let find = |name: &String| made.iter().position(|(made, _)| made == name).expect("the oracle makes every tensor");
    golden.expected().iter().map(|(name, _)| made[find(name)].clone()).collect()
}

/// The bound of one tensor, whose size is that of its largest number.
fn tolerance(golden: &Golden, expected: &[f64]) -> Tolerance {
    Tolerance { abs: bound(golden) * largest(expected), rel: 0.0 }
}

/// The tensors that are out of bound, each with its worst element.
fn disagreements(golden: &Golden, actual: &[(String, Vec<f64>)]) -> Vec<(String, Comparison)> {
    let expected = golden.expected();
    assert_eq!(expected.len(), actual.len(), "{golden}: number of tensors");
    let mut found = Vec::new();
    for ((name, expected), (actual_name, actual)) in expected.into_iter().zip(actual) {
        assert_eq!(name, *actual_name, "{golden}: tensors in another order");
        let worst = tolerance(golden, expected).compare(actual, expected);
        if !worst.passed() {
            found.push((name, worst));
        }
    }
    found
}

#[test]
fn the_oracle_agrees_with_every_source() {
    let mut failures = String::new();
    for golden in load_all() {
        for (tensor, worst) in disagreements(&golden, &oracle_tensors(&golden, &golden.weights())) {
            let Comparison { index, actual, expected, share, max_error } = worst;
            failures += &format!(
                "{golden}: {tensor}[{index}] is {actual:e}, expected {expected:e}: {share:.3} of the budget, largest \
                 error of the tensor {max_error:e}\n"
            );
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
}

/// What was drawn was drawn from the crate's own generator, in the order of the file, which thereby gives the same
/// numbers in Rust and in Python. Biases and first states that a source has not are zero.
fn assert_drawn(golden: &Golden, seed: u64, may_be_zero: bool) {
    let is_drawn = |values: &[f32], drawn: &[f32], may_be_zero: bool| {
        values == drawn || (may_be_zero && values.iter().all(|&value| value == 0.0))
    };
    let (config, weights) = (golden.config(), golden.weights());
    for ((name, array), (_, drawn)) in weights.named(&config).zip(Weights::random(&config, seed).named(&config)) {
        let drawn: Vec<f32> = drawn.iter().map(|v| v * golden.weight_scale).collect();
        assert!(is_drawn(array, &drawn, may_be_zero && name.starts_with("bias_hh")), "{golden}: {name}");
    }
    let mut uniform = SplitMix64::new(seed);
    for _ in 0..config.num_parameters() {
        uniform.next_u64();
    }
    for (index, row) in golden.x.chunks(config.input_size).enumerate() {
        let [t, b] = [index / golden.batch, index % golden.batch];
        let scale = golden.x_scales[(t + b) % golden.x_scales.len()];
        assert_eq!(row, uniform.vec(row.len(), scale), "{golden}: row {index} of x");
    }
    if !may_be_zero || golden.h0.iter().any(|&value| value != 0.0) {
        assert_eq!(golden.h0, uniform.vec(golden.h0.len(), 1.0), "{golden}: h0");
    }
    if let Some((d_output, d_h_n)) = golden.upstream() {
        assert_eq!(d_output, uniform.vec(d_output.len(), 1.0), "{golden}: d_output");
        assert_eq!(d_h_n, uniform.vec(d_h_n.len(), 1.0), "{golden}: d_h_n");
    }
}

#[test]
fn inputs_are_drawn_from_the_seed() {
    for golden in load_plain() {
        assert_drawn(&golden, golden.seed.expect("all are drawn"), false);
    }
    for golden in load_options() {
        golden.seed.into_iter().for_each(|seed| assert_drawn(&golden, seed, true));
    }
}

/// `nn.GRU` computes what this crate calls a GRU: equations (1) to (10) by hand, where every size is 1.
#[test]
fn pytorch_computes_the_equations() {
    let goldens = load_plain();
    let golden = goldens.iter().find(|golden| golden.name == "sizes_of_one").expect("the case is there");
    let gates = |values: &[f32]| <[f64; 3]>::try_from(wide(values)).expect("one number a gate");
    let sigmoid = |a: f64| 1.0 / (1.0 + (-a).exp());
    let cell = &golden.weights().cells[0];
    let [[w_ir, w_iz, w_in], [w_hr, w_hz, w_hn], [b_ir, b_iz, b_in], [b_hr, b_hz, b_hn]] = cell.arrays().map(gates);
    let (x, h) = (f64::from(golden.x[0]), f64::from(golden.h0[0]));

    let r = sigmoid(w_ir * x + b_ir + w_hr * h + b_hr);
    let z = sigmoid(w_iz * x + b_iz + w_hz * h + b_hz);
    let hn = w_hn * h + b_hn;
    let n = (w_in * x + b_in + r * hn).tanh();
    let (d_output, d_h_n) = golden.upstream().expect("gradients");
    let d_h_new = f64::from(d_output[0]) + f64::from(d_h_n[0]);
    let d_an = d_h_new * (1.0 - z) * (1.0 - n * n);
    let d_az = d_h_new * (h - n) * z * (1.0 - z);
    let d_ar = d_an * hn * r * (1.0 - r);
    let d_hn = d_an * r;

    let expected = [
        ("output", vec![(1.0 - z) * n + z * h]),
        ("h_n", vec![(1.0 - z) * n + z * h]),
        ("d_x", vec![d_ar * w_ir + d_az * w_iz + d_an * w_in]),
        ("d_h0", vec![d_h_new * z + d_ar * w_hr + d_az * w_hz + d_hn * w_hn]),
        ("d_bias_hh_l0", vec![d_ar, d_az, d_hn]),
        ("d_bias_ih_l0", vec![d_ar, d_az, d_an]),
        ("d_weight_hh_l0", vec![d_ar * h, d_az * h, d_hn * h]),
        ("d_weight_ih_l0", vec![d_ar * x, d_az * x, d_an * x]),
    ];
    for ((name, actual), (expected_name, expected)) in golden.expected().into_iter().zip(expected) {
        assert_eq!(name, expected_name, "tensors in another order");
        assert_relative_eq!(*actual, *expected, epsilon = 0.0, max_relative = 1e-14);
    }
}

#[test]
fn h_n_is_the_last_output() {
    for golden in load_plain() {
        let (output, h_n) = (golden.output.as_deref().expect("an output"), golden.h_n.as_deref().expect("last states"));
        assert_eq!(&output[output.len() - h_n.len()..], h_n, "{golden}");
    }
}

/// The comparison sees wrong weights in every tensor of every plain case.
fn every_tensor_disagrees(what: &str, spoil: impl Fn(&mut CellWeights, usize)) {
    for golden in load_plain() {
        let mut weights = golden.weights();
        spoil(&mut weights.cells[0], golden.config().hidden_size);
        let found = disagreements(&golden, &oracle_tensors(&golden, &weights));
        let (found, all): (Vec<_>, Vec<_>) = (
            found.iter().map(|(name, _)| name).collect(),
            golden.expected().into_iter().map(|(name, _)| name).collect(),
        );
        assert!(found.into_iter().eq(&all), "{golden}: {what} must show in all of {all:?}");
    }
}

fn swap_reset_and_update_gates(cell: &mut CellWeights) {
    let CellWeights { weight_ih, weight_hh, bias_ih, bias_hh } = cell;
    for array in [weight_ih, weight_hh, bias_ih, bias_hh] {
        let gate = array.len() / 3;
        let (r, z_and_n) = array.split_at_mut(gate);
        r.swap_with_slice(&mut z_and_n[..gate]);
    }
}

#[test]
fn swapped_gates_show_in_every_tensor() {
    every_tensor_disagrees("swapped gates", |cell, _| swap_reset_and_update_gates(cell));
}

/// `b_hn` is inside of the product with r and `b_in` outside. No other pair of biases tells the two apart.
#[test]
fn swapped_biases_of_the_candidate_are_found() {
    every_tensor_disagrees("swapped biases", |cell, units| {
        cell.bias_ih[2 * units..].swap_with_slice(&mut cell.bias_hh[2 * units..]);
    });
}

#[test]
fn swapped_reset_and_update_gates_are_found() {
    let mut spoiled_cases = 0;
    for golden in load_options() {
        if golden.config().cell().gates() == 1 {
            continue;
        }
        let mut weights = golden.weights();
        weights.cells.iter_mut().for_each(swap_reset_and_update_gates);
        // Some of the node tests of ONNX have the same number everywhere.
        let constant = golden.weights() == weights;
        assert!(!constant || golden.seed.is_none(), "{golden}: the gates have the same weights");
        if !constant {
            assert!(!disagreements(&golden, &oracle_tensors(&golden, &weights)).is_empty(), "{golden}: swapped gates");
            spoiled_cases += 1;
        }
    }
    assert!(spoiled_cases > 40, "only {spoiled_cases} GRUs");
}

/// An option that is set and forgotten shows in every case that sets it.
#[test]
fn every_option_matters() {
    let mut seen = BTreeSet::new();
    for golden in load_options() {
        for (option, config, run) in golden.forgetful() {
            let made = oracle_tensors_of(&golden, &config, &run, &golden.weights());
            let agrees = disagreements(&golden, &made).is_empty();
            // With the same number in all weights and no biases, where the reset gate acts is all the same.
            let all_the_same = option == "reset" && golden.seed.is_none();
            assert!(!agrees || all_the_same, "{golden}: without {option} it is the same");
            seen.insert(option);
        }
    }
    let all = "candidate_activation clip direction gate_activation lengths nonlinearity reset \
               reverse_candidate_activation reverse_gate_activation reverse_nonlinearity";
    assert_eq!(seen.into_iter().collect::<Vec<_>>().join(" "), all, "options that are held");
}

/// The files hold every option with its gradients: each direction, bias, number of layers, lengths, clip and
/// activation.
#[test]
fn every_option_is_there() {
    let mut held = BTreeSet::new();
    for golden in load_options().iter().filter(|golden| golden.upstream().is_some()) {
        let (config, lengths) = (golden.config(), golden.run().lengths);
        let direction = format!("{:?}", config.direction);
        let (cell, activations) = match config.cell() {
            Cell::Gru { reset, gate, candidate } => {
                (format!("GRU, reset {reset:?}"), vec![("gate", gate), ("candidate", candidate)])
            }
            Cell::Rnn { nonlinearity } => ("RNN".to_owned(), vec![("nonlinearity", nonlinearity)]),
        };
        held.extend(activations.iter().map(|(place, activation)| {
            let name = format!("{activation:?}");
            format!("{place} {}", name.split(' ').next().expect("a name"))
        }));
        let mut hold = |what: String| held.insert(format!("{cell}: {what}"));
        hold(format!("bias {}", config.bias));
        hold(format!("batch first {}", config.batch_first));
        hold(format!("{} layers", config.num_layers));
        hold(direction.clone());
        if config.clip.is_some() {
            hold("clip".to_owned());
        }
        if let Some(lengths) = lengths {
            hold(format!("{direction}, lengths"));
            if lengths.contains(&0) {
                hold("length 0".to_owned());
            }
        }
    }
    let activations = "Sigmoid Tanh Relu HardSigmoid LeakyRelu ThresholdedRelu Softsign Softplus Linear"
        .split(' ')
        .flat_map(|name| ["gate", "candidate", "nonlinearity"].map(|place| format!("{place} {name}")));
    let cells = ["GRU, reset After", "GRU, reset Before", "RNN"].into_iter().flat_map(|cell| {
        let options = "bias true;bias false;batch first true;batch first false;1 layers;2 layers;3 layers;Forward;Reverse;\
                       Bidirectional;clip;Forward, lengths;Reverse, lengths;Bidirectional, lengths;length 0";
        options.split(';').map(move |option| format!("{cell}: {option}"))
    });
    let wanted: BTreeSet<String> = activations.chain(cells).collect();
    assert!(held == wanted, "missing: {:?}", wanted.difference(&held));
}

#[test]
fn one_wrong_element_is_found() {
    for golden in load_all() {
        let expected: Vec<_> = golden.expected().into_iter().map(|(name, values)| (name, values.to_vec())).collect();
        assert!(disagreements(&golden, &expected).is_empty(), "{golden}: a source must agree with itself");
        for (which, (tensor, values)) in expected.iter().enumerate() {
            for index in [0, values.len() / 2, values.len() - 1] {
                for wrong in [values[index] + 1.5 * tolerance(&golden, values).abs, f64::NAN, f64::INFINITY] {
                    let mut spoiled = expected.clone();
                    spoiled[which].1[index] = wrong;
                    let found = disagreements(&golden, &spoiled);
                    let found: Vec<_> = found.iter().map(|(name, worst)| (name, worst.index)).collect();
                    assert_eq!(found, [(tensor, index)], "{golden}: {wrong} at {tensor}[{index}]");
                }
            }
        }
    }
}
