//! Whole layers against the oracle, and what the layer promises beside numbers.

use wgpu_gru::verify::{Batch, Report};
use wgpu_gru::{Gpu, Gru, GruConfig, Unroll, Unrolled, Weights, verify, wgpu};

use crate::support::{assert_close, bits, expectation, forward, gru, open, read, tensor, verify_batch};

trials![
    shapes,
    inference_equals_training,
    zero_first_state,
    only_d_output,
    only_d_h_n,
    without_input_gradient,
    default_limits,
    same_bits_twice,
    backward_leaves_the_states,
    two_forwards_in_one_encoder,
    own_tensors_need_no_copy,
    state_carried_over,
    new_weights_take_effect,
    verify_passes_and_reports,
];

/// T, B, I, H.
const SHAPES: [[usize; 4]; 14] = [
    [1, 1, 1, 1],
    [1, 5, 3, 7],
    [7, 1, 5, 3],
    [2, 2, 2, 33],
    [13, 3, 1, 1],
    [5, 7, 29, 11],
    [3, 4, 65, 8],
    [4, 5, 2, 64],
    [3, 33, 17, 31],
    [31, 2, 3, 5],
    [6, 4, 32, 32],
    [2, 9, 63, 65],
    [100, 1, 1, 6],
    [8, 13, 37, 41],
];

fn random(gpu: &Gpu, [t, b, i, h]: [usize; 4], seed: u64) -> (Gru, Unrolled, Batch) {
    let config = GruConfig::new(i, h);
    let gru = Gru::new(gpu, config.clone(), seed).expect("a layer");
    let net = gru.unroll(Unroll::training(t, b)).expect("an unroll");
    (gru, net, Batch::random(&config, t, b, seed + 1))
}

/// Everything of a batch with a layer, against the oracle.
fn check(gru: &Gru, net: &mut Unrolled, batch: &Batch) -> Report {
    pollster::block_on(verify_batch(gru, net, batch)).unwrap_or_else(|error| panic!("{}: {error}", net.explain()))
}

fn shapes(gpu: &Gpu) {
    for (seed, shape) in (1..).zip(SHAPES) {
        let (gru, mut net, batch) = random(gpu, shape, seed);
        check(&gru, &mut net, &batch);
    }
}

/// The two modes run the same operations on the states, by the same schedule: a single step of inference has one of its own.
fn inference_equals_training(gpu: &Gpu) {
    for (seed, shape) in (1..).zip(SHAPES) {
        let (gru, mut net, batch) = random(gpu, shape, seed);
        let trained = forward(&mut net, gpu, &batch.x, Some(&batch.h0));
        let inference = Unroll::inference(batch.seq_len, batch.batch).schedule(net.plan().schedule());
        let mut net = gru.unroll(inference).expect("an unroll");
        let inferred = forward(&mut net, gpu, &batch.x, Some(&batch.h0));
        assert_eq!(bits(&inferred.output), bits(&trained.output), "{shape:?}");
        assert_eq!(bits(&inferred.h_n), bits(&trained.h_n), "{shape:?}");
    }
}

/// `None` clears what an earlier pass left in h0; a state that is written stays for `encode_forward`.
fn zero_first_state(gpu: &Gpu) {
    let (gru, mut net, mut batch) = random(gpu, [5, 3, 4, 7], 1);
    forward(&mut net, gpu, &batch.x, Some(&batch.h0));
    let out = forward(&mut net, gpu, &batch.x, None);
    batch.h0.fill(0.0);
    let weights = pollster::block_on(gru.read_weights()).expect("the weights");
    let (expected, budgets) = expectation(gru.config(), &weights, &batch);
    assert_close("output", &read(&out.output), &expected[0], budgets[0]);
    assert!(read(net.h0()).iter().all(|&state| state == 0.0), "h0 is zero");
}

/// Backward with `None` in one place, where the place held numbers of an earlier pass.
fn with_gradients(gpu: &Gpu, of_output: bool, of_h_n: bool) {
    let (gru, mut net, mut batch) = random(gpu, [5, 3, 4, 7], 2);
    check(&gru, &mut net, &batch);
    forward(&mut net, gpu, &batch.x, Some(&batch.h0));
    let d_output = of_output.then(|| tensor(gpu, net.output().shape(), &batch.d_output));
    let d_h_n = of_h_n.then(|| tensor(gpu, net.h_n().shape(), &batch.d_h_n));
    let gradients = net.backward(d_output.as_ref(), d_h_n.as_ref()).expect("a backward pass");
    if !of_output {
        batch.d_output.fill(0.0);
    }
    if !of_h_n {
        batch.d_h_n.fill(0.0);
    }
    let weights = pollster::block_on(gru.read_weights()).expect("the weights");
    let (expected, budgets) = expectation(gru.config(), &weights, &batch);
    let d_input = gradients.input.expect("the gradient of the input is wanted");
    let tensors = [&d_input, &gradients.h0].into_iter().chain(gradients.parameters.tensors());
    for (index, tensor) in (2..).zip(tensors) {
        assert_close(&format!("gradient {index}"), &read(tensor), &expected[index], budgets[index]);
    }
}

fn only_d_output(gpu: &Gpu) {
    with_gradients(gpu, true, false);
}

fn only_d_h_n(gpu: &Gpu) {
    with_gradients(gpu, false, true);
}

fn without_input_gradient(gpu: &Gpu) {
    let (gru, mut net, batch) = random(gpu, [6, 3, 9, 5], 3);
    let full = check(&gru, &mut net, &batch);
    let mut less = gru.unroll(Unroll::training(6, 3).input_gradient(false)).expect("an unroll");
    assert!(less.gradients().expect("training").input.is_none(), "no gradient of the input");
    let report = check(&gru, &mut less, &batch);
    assert_eq!(report.tensors.len(), 7, "{report}");
    assert_eq!(less.plan().backward_dispatches() + 1, net.plan().backward_dispatches(), "one product less");
    let others: Vec<_> = full.tensors.into_iter().filter(|tensor| tensor.tensor != "d_input").collect();
    assert_eq!(report.tensors, others, "the other tensors are the same, bit by bit");
}

/// No feature, and nothing but WebGPU's default limits.
fn default_limits(gpu: &Gpu) {
    let gpu = open(gpu, wgpu::Limits::default());
    assert_eq!(gpu.limits().max_storage_buffer_binding_size, 128 << 20, "WebGPU's own");
    let (gru, mut net, batch) = random(&gpu, [7, 6, 19, 37], 4);
    check(&gru, &mut net, &batch);
}

fn all_bits(net: &Unrolled) -> Vec<Vec<u32>> {
    let gradients = net.gradients().expect("training");
    let input = gradients.input.as_ref().expect("the gradient of the input is wanted");
    [net.states(0).expect("one layer"), &gradients.h0, input]
        .into_iter()
        .chain(gradients.parameters.tensors())
        .map(bits)
        .collect()
}

fn same_bits_twice(gpu: &Gpu) {
    for shape in [[9, 5, 7, 33], [3, 4, 65, 8], [20, 1, 2, 5]] {
        let (gru, mut net, batch) = random(gpu, shape, 5);
        check(&gru, &mut net, &batch);
        let first = all_bits(&net);
        check(&gru, &mut net, &batch);
        assert_eq!(all_bits(&net), first, "{shape:?}: once more in the same buffers");
        let (gru, mut net, batch) = random(gpu, shape, 5);
        check(&gru, &mut net, &batch);
        assert_eq!(all_bits(&net), first, "{shape:?}: in fresh buffers");
    }
}

fn backward_leaves_the_states(gpu: &Gpu) {
    let (_, mut net, batch) = random(gpu, [5, 3, 4, 7], 6);
    forward(&mut net, gpu, &batch.x, Some(&batch.h0));
    let (states, input) = (bits(net.states(0).expect("one layer")), bits(net.input()));
    let d_h_n = tensor(gpu, net.h_n().shape(), &batch.d_h_n);
    net.backward(None, Some(&d_h_n)).expect("a backward pass");
    assert_eq!((bits(net.states(0).expect("one layer")), bits(net.input())), (states, input), "states and input");
}

/// The second forward overwrites all of the first; a backward after it is that of the second.
fn two_forwards_in_one_encoder(gpu: &Gpu) {
    let (gru, mut net, batch) = random(gpu, [5, 3, 4, 7], 7);
    check(&gru, &mut net, &batch);
    let expected = all_bits(&net);
    gpu.submit(|encoder| {
        net.encode_forward(encoder)?;
        net.encode_forward(encoder)?;
        net.encode_backward(encoder)
    })
    .expect("a submission");
    assert_eq!(all_bits(&net), expected, "as from one forward");
}

/// The layer's own tensors may be given to it: they are where they belong.
fn own_tensors_need_no_copy(gpu: &Gpu) {
    let (gru, mut net, batch) = random(gpu, [5, 3, 4, 7], 8);
    check(&gru, &mut net, &batch);
    let expected = all_bits(&net);
    net.input().write(&batch.x).expect("a write");
    net.h0().write(&batch.h0).expect("a write");
    let (x, h0) = (net.input().clone(), net.h0().clone());
    net.forward(&x, Some(&h0)).expect("a forward pass");
    let (d_output, d_h_n) = (net.d_output().expect("training").clone(), net.d_h_n().expect("training").clone());
    net.backward(Some(&d_output), Some(&d_h_n)).expect("a backward pass");
    assert_eq!(all_bits(&net), expected, "as from tensors of the caller");
}

/// A sequence in two halves, with the state handed on through another tensor, is the whole sequence.
fn state_carried_over(gpu: &Gpu) {
    let (gru, mut whole, batch) = random(gpu, [6, 3, 4, 7], 9);
    let out = forward(&mut whole, gpu, &batch.x, Some(&batch.h0));
    let mut half = gru.unroll(Unroll::inference(3, 3)).expect("an unroll");
    let state = tensor(gpu, &[1, 3, 7], &batch.h0);
    let mut states = Vec::new();
    for x in batch.x.chunks_exact(3 * 3 * 4) {
        let out = half.forward(&tensor(gpu, &[3, 3, 4], x), Some(&state)).expect("a forward pass");
        gpu.submit(|encoder| state.encode_copy_from(encoder, &out.h_n)).expect("a copy");
        states.extend(bits(&out.output));
    }
    assert_eq!(states, bits(&out.output), "two halves are the whole");
}

/// What was unrolled before uses the new weights.
fn new_weights_take_effect(gpu: &Gpu) {
    let (gru, mut net, batch) = random(gpu, [5, 3, 4, 7], 10);
    check(&gru, &mut net, &batch);
    let before = bits(net.output());
    let weights = Weights::random(gru.config(), 99);
    gru.set_weights(&weights).expect("new weights");
    assert_eq!(pollster::block_on(gru.read_weights()).expect("the weights"), weights, "what was set");
    check(&gru, &mut net, &batch);
    assert_ne!(bits(net.output()), before, "another output");
}

fn verify_passes_and_reports(gpu: &Gpu) {
    let names =
        ["output", "h_n", "d_input", "d_h0", "d_weight_ih_l0", "d_weight_hh_l0", "d_bias_ih_l0", "d_bias_hh_l0"];
    for [t, b, i, h] in [[1, 1, 1, 1], [20, 8, 28, 64], [5, 3, 7, 33]] {
        let report = pollster::block_on(verify(gpu, &GruConfig::new(i, h), t, b, 1)).expect("verification");
        assert!(report.passed() && report.worst_share() <= 1.0, "{report}");
        let found: Vec<_> = report.tensors.iter().map(|tensor| tensor.tensor.as_str()).collect();
        assert_eq!(found, names, "every tensor, in order");
        let text = report.to_string();
        for name in names {
            assert!(text.contains(name), "{name} is not in:\n{text}");
        }
        assert_eq!(text.matches("% of the budget").count(), names.len(), "{text}");
        assert!(!text.contains("OVER BUDGET"), "{text}");
    }
    // A custom first state far outside of [-1, 1] is within its budget too.
    let config = GruConfig::new(2, 3);
    let gru = gru(gpu, &config, &Weights::random(&config, 3));
    let mut net = gru.unroll(Unroll::training(3, 2)).expect("an unroll");
    let mut batch = Batch::random(&config, 3, 2, 4);
    batch.h0.iter_mut().for_each(|state| *state *= 100.0);
    check(&gru, &mut net, &batch);
}
