//! Holds the f64 oracle to PyTorch, Keras and ONNX in every option: the golden vectors of `tests/golden/options`.

use std::collections::BTreeSet;

use wgpu_gru::Comparison;
use wgpu_gru::reference::oracle::{self, Run, widen};
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::{Cell, CellWeights, Config, Tolerance, Weights};

mod support;

use support::golden_options::{Golden, Precision, load_all};
use support::numbers::largest;

/// The unit round-off of f64, 2^-53.
const UNIT_ROUNDOFF: f64 = f64::EPSILON / 2.0;

/// The functions and products of one unit of one step, forward and backward: three exponentials with their divisions, and
/// the operations of (3) to (8), each good to one or two u.
const POINTWISE: usize = 32;

/// How far the oracle may be from a source, relative to the largest number of the tensor.
///
/// f64: u for every rounding on the longest way through the layers, as in `tests/golden.rs`. A step of a layer sums its
/// inputs and H products on the way forward (H more where the reset gate acts before the product) and the rows of all
/// gates on the way back; all go through T steps of every layer; a weight's gradient then sums T B rows. From 3e-14 to
/// 1e-13 here, of which the worst case uses a fiftieth.
///
/// f64 with a rounded parameter: Keras's hard sigmoid has the slope 1/6, and the nearest f32 is 2^-25 of it away. A step
/// moves its gates by that share of at most 1/2, a weight's gradient has the slope as a factor besides, and T steps add up:
/// less than T 2^-24. The worst case uses a seventh.
///
/// f32: 32 u of f32, 2e-6, for sums of at most 11 terms and 5 steps. The worst case, of ONNX Runtime, uses a third.
fn bound(golden: &Golden) -> f64 {
    let config = golden.config();
    let gates = config.cell().gates();
    let step = |layer| config.layer_input_size(layer) + (2 + gates) * config.hidden_size + POINTWISE;
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
    let forward = oracle::forward(config, &cells, run, &widen(&golden.x), &widen(&golden.h0));
    let mut made = vec![("output".to_owned(), forward.output.clone()), ("h_n".to_owned(), forward.h_n.clone())];
    if let Some((d_output, d_h_n)) = golden.upstream() {
        let gradients = oracle::backward(config, &cells, run, &forward, &widen(d_output), &widen(d_h_n));
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

/// What was drawn was drawn from the crate's own generator, in the order of the file. Biases and first states that the
/// source has not are zero.
#[test]
fn inputs_are_drawn_from_the_seed() {
    let drawn_or_zero = |actual: &[f32], drawn: &[f32]| actual == drawn || actual.iter().all(|&v| v == 0.0);
    for golden in load_all() {
        let Some(seed) = golden.seed else { continue };
        let (config, weights) = (golden.config(), golden.weights());
        for ((name, array), (_, drawn)) in weights.named(&config).zip(Weights::random(&config, seed).named(&config)) {
            let drawn: Vec<f32> = drawn.iter().map(|v| v * golden.weight_scale).collect();
            let may_be_zero = name.starts_with("bias_hh");
            assert!(array == drawn || may_be_zero && drawn_or_zero(array, &drawn), "{golden}: {name}");
        }
        let mut uniform = SplitMix64::new(seed);
        for _ in 0..config.num_parameters() {
            uniform.next_u64();
        }
        assert_eq!(golden.x, uniform.vec(golden.x.len(), 1.0), "{golden}: x");
        if golden.h0.iter().any(|&v| v != 0.0) {
            assert_eq!(golden.h0, uniform.vec(golden.h0.len(), 1.0), "{golden}: h0");
        }
        if let Some((d_output, d_h_n)) = golden.upstream() {
            assert_eq!(d_output, uniform.vec(d_output.len(), 1.0), "{golden}: d_output");
            assert_eq!(d_h_n, uniform.vec(d_h_n.len(), 1.0), "{golden}: d_h_n");
        }
    }
}

#[test]
fn swapped_reset_and_update_gates_are_found() {
    let mut spoiled_cases = 0;
    for golden in load_all() {
        if golden.config().cell().gates() == 1 {
            continue;
        }
        let mut weights = golden.weights();
        for CellWeights { weight_ih, weight_hh, bias_ih, bias_hh } in &mut weights.cells {
            for array in [weight_ih, weight_hh, bias_ih, bias_hh] {
                let gate = array.len() / 3;
                let (r, z_and_n) = array.split_at_mut(gate);
                r.swap_with_slice(&mut z_and_n[..gate]);
            }
        }
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
    for golden in load_all() {
        for (option, config, run) in golden.forgetful() {
            let made = oracle_tensors_of(&golden, &config, &run, &golden.weights());
            let agrees = disagreements(&golden, &made).is_empty();
            // With the same number in all weights and no biases, where the reset gate acts is all the same.
            let all_the_same = option == "reset" && golden.seed.is_none();
            assert!(!agrees || all_the_same, "{golden}: without {option} it is the same");
            seen.insert(option);
        }
    }
    let all = ["candidate_activation", "clip", "direction", "gate_activation", "lengths", "nonlinearity", "reset"];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), all, "options that are held");
}

/// The files hold every option with its gradients: each direction, bias, number of layers, lengths, clip and activation.
#[test]
fn every_option_is_there() {
    let mut held = BTreeSet::new();
    for golden in load_all().iter().filter(|golden| golden.upstream().is_some()) {
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
