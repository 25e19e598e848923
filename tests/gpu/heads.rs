//! The linear layer: for inference, without a gradient of its input, on parts of tensors, and what it refuses.

use wgpu_gru::rng::SplitMix64;
use wgpu_gru::train::{Linear, Loss, UnrolledLinear};
use wgpu_gru::{Error, Gpu, Gru, GruConfig, Tensor, Tolerance, Unroll};

use crate::support::{assert_close, assert_error, bits, read, record, tensor, wide, zeros};

trials![
    inference_makes_no_gradient,
    the_first_layer_of_a_net,
    at_an_offset,
    a_gradient_over_its_own_sources,
    backward_needs_the_forward_pass,
    what_changed_since_the_forward_pass,
    through_the_layers_of_a_net,
];

const SIZES: [usize; 3] = [11, 5, 3];

fn linear(gpu: &Gpu) -> (Linear, Tensor) {
    let [rows, inputs, out] = SIZES;
    let linear = Linear::new(gpu, inputs, out, 4).expect("a head");
    (linear, tensor(gpu, &[rows, inputs], &SplitMix64::new(9).vec(rows * inputs, 1.0)))
}

/// Forward and backward from these gradients of the output.
fn run(gpu: &Gpu, head: &UnrolledLinear, d_output: &[f32]) {
    head.d_output().write(d_output).expect("a write");
    gpu.submit(|encoder| {
        head.encode_forward(encoder);
        head.encode_backward(encoder)
    })
    .expect("a submission");
}

fn inference_makes_no_gradient(gpu: &Gpu) {
    let (linear, x) = linear(gpu);
    let training = linear.unroll(&x, None).expect("an unroll");
    let before = gpu.activity().buffers;
    let inference = linear.unroll_inference(&x).expect("an unroll");
    assert!(gpu.activity().buffers <= before + 2, "the output and the uniform alone");
    record(gpu, |encoder| {
        training.encode_forward(encoder);
        inference.encode_forward(encoder);
    });
    assert_eq!(bits(inference.output()), bits(training.output()), "the same output");
    assert!(read(inference.output()).iter().any(|&y| y != 0.0), "an output");
    assert_eq!(inference.output().shape(), &[SIZES[0], SIZES[2]], "rows by out_features");
    let wrong = zeros(gpu, &[SIZES[0], 4]);
    let expected =
        Error::ShapeMismatch { tensor: "input".into(), expected: vec![SIZES[0], SIZES[1]], actual: vec![SIZES[0], 4] };
    assert_error(linear.unroll_inference(&wrong), &expected);
    assert_error(linear.unroll(&wrong, None), &expected);
}

/// The gradients of weight and bias are the same without the one of the input.
fn the_first_layer_of_a_net(gpu: &Gpu) {
    let (linear, x) = linear(gpu);
    let d_x = zeros(gpu, x.shape());
    let (with, without) = (linear.unroll(&x, &d_x).expect("an unroll"), linear.unroll(&x, None).expect("an unroll"));
    let d_output = SplitMix64::new(3).vec(SIZES[0] * SIZES[2], 1.0);
    run(gpu, &with, &d_output);
    run(gpu, &without, &d_output);
    let all = |head: &UnrolledLinear| head.gradients().into_iter().map(bits).collect::<Vec<_>>();
    assert_eq!(all(&with), all(&without), "the same gradients");
    assert!(read(&d_x).iter().all(|&d| d != 0.0), "and that of the input where it is wanted");
}

/// A tensor of rows in the middle of a larger one, at an odd place.
fn part(gpu: &Gpu, begin: usize, shape: [usize; 2], host: &[f32]) -> (Tensor, Tensor) {
    let around = [&vec![7.0; begin], host, &[7.0; 3][..]].concat();
    let whole = tensor(gpu, &[around.len()], &around);
    let part = whole.outer(begin..begin + host.len()).and_then(|part| part.reshape(&shape)).expect("a part");
    (whole, part)
}

/// Rows few and many, features that are multiples of four and not, as parts and alone: the same numbers within a
/// rounding.
fn at_an_offset(gpu: &Gpu) {
    for [rows, inputs, out] in [[3, 4, 8], [3, 5, 2], [70, 8, 4], [70, 7, 33], [300_007, 1, 1]] {
        for [first, second] in [[3, 129], [64, 1], [68, 4]] {
            let mut uniform = SplitMix64::new(7);
            let host = uniform.vec(rows * inputs, 1.0);
            let d_output = uniform.vec(rows * out, 1.0 / rows as f32);
            let linear = Linear::new(gpu, inputs, out, 1).expect("a head");
            let (whole, x) = part(gpu, first, [rows, inputs], &host);
            let (d_whole, d_x) = part(gpu, second, [rows, inputs], &vec![0.0; rows * inputs]);
            let head = linear.unroll(&x, &d_x).expect("an unroll");
            run(gpu, &head, &d_output);

            let (alone, d_alone) = (tensor(gpu, &[rows, inputs], &host), zeros(gpu, &[rows, inputs]));
            let expected = linear.unroll(&alone, &d_alone).expect("an unroll");
            run(gpu, &expected, &d_output);
            let name = |tensor| format!("{tensor} of {rows} rows, {inputs} -> {out}, from {first} and {second} on");
            let tolerance = |n| Tolerance::matmul(n);
            assert_close(&name("output"), &read(head.output()), &read(expected.output()), tolerance(inputs));
            assert_close(&name("d_input"), &read(&d_x), &read(&d_alone), tolerance(out));
            for (gradient, expected) in head.gradients().into_iter().zip(expected.gradients()) {
                assert_close(&name("gradient"), &read(gradient), &read(expected), tolerance(rows));
            }
            // A plain loop over the same numbers, in f64.
            let [weight, bias] = [0, 1].map(|number| wide(&read(linear.parameters()[number])));
            let row = rows - 1;
            let last = &wide(&host)[row * inputs..];
            let y: Vec<f64> = (0..out)
                .map(|o| bias[o] + last.iter().zip(&weight[o * inputs..]).map(|(x, w)| x * w).sum::<f64>())
                .collect();
            assert_close(&name("last row"), &read(head.output())[row * out..], &y, tolerance(inputs));

            for (whole, begin) in [(&whole, first), (&d_whole, second)] {
                let mut all = read(whole);
                all.drain(begin..begin + rows * inputs);
                assert!(all.iter().all(|&value| value == 7.0), "nothing is written around a part");
            }
        }
    }
}

fn a_gradient_over_its_own_sources(gpu: &Gpu) {
    let refused = |first| Error::Aliased { first, second: "d_input" };
    // Square, so that the shapes fit.
    let linear = Linear::new(gpu, 4, 4, 1).expect("a head");
    let [weight, bias] = [0, 1].map(|number| linear.parameters()[number]);
    let both = zeros(gpu, &[8, 4]);
    let [x, d_x] = [0..4, 4..8].map(|range| both.outer(range).expect("a half"));
    let own = zeros(gpu, &[4, 4]);
    assert_error(linear.unroll(&own, weight), &refused("weight"));
    assert_error(linear.unroll(&own, &weight.clone()), &refused("weight"));
    assert_error(
        linear.unroll(&own.outer(0..1).and_then(|row| row.reshape(&[4])).expect("a row"), bias),
        &refused("bias"),
    );
    assert_error(linear.unroll(&own, &own), &refused("input"));
    assert_error(linear.unroll(&x, &d_x), &refused("input"));
    let error = Error::Aliased { first: "prediction", second: "d_prediction" };
    assert_error(Loss::mean_squared_error(&x, &d_x), &error);
    // To read one tensor twice is no mistake.
    linear.unroll_inference(weight).expect("the weights as input");
    run(gpu, &linear.unroll(weight, &own).expect("the weights as input"), &[1.0; 16]);
}

fn backward_needs_the_forward_pass(gpu: &Gpu) {
    let (linear, x) = linear(gpu);
    let head = linear.unroll(&x, None).expect("an unroll");
    assert_error(gpu.submit(|encoder| head.encode_backward(encoder)), &Error::BackwardWithoutForward);
    // What backward needs is still there after one.
    gpu.submit(|encoder| {
        head.encode_forward(encoder);
        head.encode_backward(encoder)?;
        head.encode_backward(encoder)
    })
    .expect("two backward passes");
}

fn what_changed_since_the_forward_pass(gpu: &Gpu) {
    let (linear, x) = linear(gpu);
    let d_x = zeros(gpu, x.shape());
    let (with, without) = (linear.unroll(&x, &d_x).expect("an unroll"), linear.unroll(&x, None).expect("an unroll"));
    let forward = || {
        record(gpu, |encoder| {
            with.encode_forward(encoder);
            without.encode_forward(encoder);
        });
    };
    let backward = |head: &UnrolledLinear| gpu.submit(|encoder| head.encode_backward(encoder));
    let changed = |tensor: &'static str| Error::ChangedSinceForward { tensor: tensor.into() };
    forward();
    x.outer(3..4).expect("a row").write(&[2.0; 5]).expect("a write");
    assert_error(backward(&with), &changed("input"));
    assert_error(backward(&without), &changed("input"));
    forward();
    backward(&with).expect("a backward pass");
    let weight = linear.parameters()[0];
    weight.write(&vec![0.5; weight.len()]).expect("a write");
    assert_error(backward(&with), &changed("weight"));
    backward(&without).expect("the weight is not needed");
    forward();
    backward(&with).expect("the newest weight");
    linear.parameters()[1].write(&[0.0; 3]).expect("a write");
    backward(&with).expect("the bias is not needed");
    // Another layer that writes its output where this one reads it.
    let below = linear.unroll_inference(&x).expect("an unroll");
    let above = Linear::new(gpu, 3, 2, 1).expect("a head").unroll(below.output(), None).expect("an unroll");
    gpu.submit(|encoder| {
        below.encode_forward(encoder);
        above.encode_forward(encoder);
        below.encode_forward(encoder);
        assert_error(above.encode_backward(encoder), &changed("input"));
        above.encode_forward(encoder);
        above.encode_backward(encoder)
    })
    .expect("a submission");
    // An optimiser between the passes.
    let d_weight = zeros(gpu, weight.shape());
    let sgd = wgpu_gru::train::Sgd::new([(weight, &d_weight)], &wgpu_gru::train::SgdOptions::default()).expect("sgd");
    record(gpu, |encoder| {
        with.encode_forward(encoder);
        sgd.encode(encoder);
        assert_error(with.encode_backward(encoder), &changed("weight"));
    });
}

/// Two linear layers around a GRU: the order of a training step is no change behind anybody's back.
fn through_the_layers_of_a_net(gpu: &Gpu) {
    let (t, b) = (3, 2);
    let x = tensor(gpu, &[t, b, 2], &SplitMix64::new(1).vec(t * b * 2, 1.0));
    let first = Linear::new(gpu, 2, 4, 1).expect("a layer");
    let first = first.unroll(&x, None).expect("an unroll");
    let gru = Gru::new(gpu, GruConfig::new(4, 4), 2).expect("a layer");
    let places = wgpu_gru::ExternalTensors {
        input: Some(first.output().clone()),
        d_input: Some(first.d_output().clone()),
        ..wgpu_gru::ExternalTensors::default()
    };
    let mut net = gru.unroll_with(Unroll::training(t, b), &places).expect("an unroll");
    let head = Linear::new(gpu, 4, 1, 3).expect("a head");
    let head = head.unroll(net.output(), net.d_output().expect("training")).expect("an unroll");
    let loss = Loss::mean_squared_error(head.output(), head.d_output()).expect("a loss");
    for _ in 0..2 {
        gpu.submit(|encoder| {
            first.encode_forward(encoder);
            net.encode_forward(encoder)?;
            head.encode_forward(encoder);
            loss.encode(encoder);
            head.encode_backward(encoder)?;
            net.encode_backward(encoder)?;
            first.encode_backward(encoder)
        })
        .expect("a submission");
    }
    assert!(first.gradients().iter().all(|gradient| read(gradient).iter().any(|&d| d != 0.0)), "gradients arrive");
}
