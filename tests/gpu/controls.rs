//! Negative controls: wrong results that the comparisons must see.

use wgpu_gru::verify::{Batch, Report, verify_batch};
use wgpu_gru::{CellWeights, Error, Gpu, GruConfig, Tensor, Unroll, Unrolled, Weights};

use crate::support::{bits, expectation, forward, gru, read, tensor};

trials![
    swapped_gates_are_found,
    swapped_biases_of_the_candidate_are_found,
    a_transposed_weight_is_found,
    one_wrong_element_is_found,
    nan_goes_through_and_is_found,
    a_stale_state_is_found,
    a_step_too_few_is_found,
];

const SIZES: [usize; 4] = [6, 3, 4, 7];

fn config() -> GruConfig {
    GruConfig::new(SIZES[2], SIZES[3])
}

fn batch() -> Batch {
    Batch::random(&config(), SIZES[0], SIZES[1], 2)
}

/// The layer runs with `run`, and is held against the oracle with `expected`: what a kernel would do that took the one
/// for the other.
fn over_budget(gpu: &Gpu, run: &Weights, expected: &Weights) -> Report {
    let mut net = gru(gpu, &config(), run).unroll(Unroll::training(SIZES[0], SIZES[1])).expect("an unroll");
    match pollster::block_on(verify_batch(&gru(gpu, &config(), expected), &mut net, &batch())) {
        Err(Error::OverBudget(report)) => *report,
        other => panic!("{other:?}, expected OverBudget"),
    }
}

/// Every tensor is far over its budget, not just over it.
fn assert_all_far_off(report: &Report) {
    assert_eq!(report.tensors.len(), 8, "{report}");
    for tensor in &report.tensors {
        assert!(tensor.worst.share > 100.0, "{}: {} is the share in\n{report}", tensor.tensor, tensor.worst.share);
    }
    assert!(!report.passed() && report.to_string().matches("OVER BUDGET").count() == 8, "{report}");
    let text = Error::OverBudget(Box::new(report.clone())).to_string();
    assert!(text.contains("verification failed") && text.contains("d_bias_hh"), "{text}");
}

fn swapped_gates_are_found(gpu: &Gpu) {
    let weights = Weights::random(&config(), 1);
    let mut swapped = weights.clone();
    let CellWeights { weight_ih, weight_hh, bias_ih, bias_hh } = &mut swapped.cells[0];
    for array in [weight_ih, weight_hh, bias_ih, bias_hh] {
        let gate = array.len() / 3;
        let (r, rest) = array.split_at_mut(gate);
        r.swap_with_slice(&mut rest[..gate]);
    }
    assert_all_far_off(&over_budget(gpu, &swapped, &weights));
}

/// b_hn lies inside of the product with r, b_in outside.
fn swapped_biases_of_the_candidate_are_found(gpu: &Gpu) {
    let weights = Weights::random(&config(), 1);
    let mut swapped = weights.clone();
    let candidate = 2 * SIZES[3]..;
    let swapped_cell = &mut swapped.cells[0];
    swapped_cell.bias_ih[candidate.clone()].swap_with_slice(&mut swapped_cell.bias_hh[candidate]);
    assert_all_far_off(&over_budget(gpu, &swapped, &weights));
}

fn a_transposed_weight_is_found(gpu: &Gpu) {
    let weights = Weights::random(&config(), 1);
    let mut transposed = weights.clone();
    let h = SIZES[3];
    for row in 0..h {
        for column in 0..h {
            transposed.cells[0].weight_hh[row * h + column] = weights.cells[0].weight_hh[column * h + row];
        }
    }
    assert_all_far_off(&over_budget(gpu, &transposed, &weights));
}

/// What the GPU made passes; with one element off by a little more than the budget, or not a number, it does not.
fn one_wrong_element_is_found(gpu: &Gpu) {
    let weights = Weights::random(&config(), 1);
    let mut net = gru(gpu, &config(), &weights).unroll(Unroll::inference(SIZES[0], SIZES[1])).expect("an unroll");
    let batch = batch();
    let output = read(&forward(&mut net, gpu, &batch.x, Some(&batch.h0)).output);
    let (expected, budgets) = expectation(&config(), &weights, &batch);
    let (expected, budget) = (&expected[0], budgets[0]);
    assert!(budget.compare(&output, expected).passed(), "the untouched output passes");
    for index in [0, output.len() / 2, output.len() - 1] {
        let allowed = budget.abs + budget.rel * expected[index].abs();
        for wrong in [expected[index] + 1.5 * allowed, expected[index] - 1.5 * allowed, f64::NAN, f64::INFINITY] {
            let mut spoiled = output.clone();
            spoiled[index] = wrong as f32;
            let worst = budget.compare(&spoiled, expected);
            assert!(!worst.passed() && worst.index == index, "{wrong} at {index}: {worst:?}");
        }
    }
}

/// NaN in a weight of unit 0 is NaN in that unit at once, and everywhere one step later; and it fails, though the
/// oracle has NaN in the same places.
fn nan_goes_through_and_is_found(gpu: &Gpu) {
    let mut weights = Weights::random(&config(), 1);
    weights.cells[0].weight_ih[0] = f32::NAN;
    let batch = batch();
    let mut net = gru(gpu, &config(), &weights).unroll(Unroll::training(SIZES[0], SIZES[1])).expect("an unroll");
    let output = read(&forward(&mut net, gpu, &batch.x, Some(&batch.h0)).output);
    let (first, rest) = output.split_at(SIZES[1] * SIZES[3]);
    for (index, state) in first.iter().enumerate() {
        assert_eq!(state.is_nan(), index % SIZES[3] == 0, "unit {index} after one step is {state}");
    }
    assert!(rest.iter().all(|state| state.is_nan()), "every unit after two steps");
    let report = over_budget(gpu, &weights, &weights);
    assert!(report.worst_share().is_infinite() && !report.passed(), "{report}");
}

/// The output of the batch in an unroll, recorded without touching h0.
fn output_from_there(gpu: &Gpu, net: &mut Unrolled, batch: &Batch) -> Vec<f32> {
    net.input().write(&batch.x).expect("a write");
    gpu.submit(|encoder| net.encode_forward(encoder)).expect("a submission");
    read(net.output())
}

/// h0 keeps what was written; who forgets to reset it gets another output, and the comparison says so.
fn a_stale_state_is_found(gpu: &Gpu) {
    let weights = Weights::random(&config(), 1);
    let mut net = gru(gpu, &config(), &weights).unroll(Unroll::inference(SIZES[0], SIZES[1])).expect("an unroll");
    let mut batch = batch();
    forward(&mut net, gpu, &batch.x, Some(&batch.h0));
    batch.h0.fill(0.0);
    let (expected, budgets) = expectation(&config(), &weights, &batch);
    let stale = output_from_there(gpu, &mut net, &batch);
    assert!(budgets[0].compare(&stale, &expected[0]).share > 100.0, "a stale state must be seen");
    gpu.submit(|encoder| net.h0().encode_clear(encoder)).expect("a submission");
    let fresh = output_from_there(gpu, &mut net, &batch);
    assert!(budgets[0].compare(&fresh, &expected[0]).passed(), "and a cleared one not");
}

/// An output that was not written, or lies one step off.
fn a_step_too_few_is_found(gpu: &Gpu) {
    let weights = Weights::random(&config(), 1);
    let mut net = gru(gpu, &config(), &weights).unroll(Unroll::inference(SIZES[0], SIZES[1])).expect("an unroll");
    let batch = batch();
    forward(&mut net, gpu, &batch.x, Some(&batch.h0));
    let (expected, budgets) = expectation(&config(), &weights, &batch);
    let one_off = net.states(0).expect("one layer").outer(0..SIZES[0]).expect("h[..T]");
    assert!(budgets[0].compare(&read(&one_off), &expected[0]).share > 100.0, "h[..T] is not the output");
    let untouched = Tensor::zeros(gpu, &[SIZES[0], SIZES[1], SIZES[3]]).expect("a tensor");
    assert!(budgets[0].compare(&read(&untouched), &expected[0]).share > 100.0, "zeros are not the output");
    let copy = tensor(gpu, net.output().shape(), &read(net.output()));
    assert_eq!(bits(&copy), bits(net.output()), "a round trip keeps every bit");
}
