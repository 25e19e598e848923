//! Layer, head, loss and optimiser together: one encoder, one submission.

use wgpu_gru::train::{Linear, MeanSquaredError};
use wgpu_gru::{Gpu, Gru, GruConfig, Tensor, Tolerance, Uniform, Unroll, Unrolled};

use crate::support::{Trainer, assert_close, largest, own, read, record, tensor, wide};

trials![training_lowers_the_loss, gradients_of_head_and_loss, gradient_through_head_into_the_layer];

/// A running mean of the input is learned.
fn training_lowers_the_loss(gpu: &Gpu) {
    let gpu = own(gpu);
    let (t, b) = (12, 6);
    let mut trainer = Trainer::new(&gpu, [t, b, 1, 9, 1]);
    let mut uniform = Uniform::new(3);
    let (mut first, mut last) = (0.0, 0.0);
    for step in 0..120 {
        let x = uniform.vec(t * b, 1.0);
        let mut mean = vec![0.0; b];
        let mut expected = Vec::new();
        for row in x.chunks_exact(b) {
            for (mean, x) in mean.iter_mut().zip(row) {
                *mean = 0.7 * *mean + 0.3 * x;
            }
            expected.extend_from_slice(&mean);
        }
        trainer.net.input().write(&x).expect("a write");
        trainer.loss.expected().write(&expected).expect("a write");
        let before = gpu.activity().submissions;
        record(&gpu, |encoder| trainer.encode(encoder));
        assert_eq!(gpu.activity().submissions, before + 1, "a training step is one submission");
        if step == 0 {
            first = read(trainer.loss.loss())[0];
        }
        if step >= 110 {
            last += read(trainer.loss.loss())[0] / 10.0;
        }
    }
    assert!(last < 0.1 * first, "loss {first} at first, {last} at last");
}

/// The loss of a linear layer in f64.
fn linear_loss(x: &[f64], weight: &[f64], bias: &[f64], expected: &[f64]) -> f64 {
    let (out, inputs) = (bias.len(), weight.len() / bias.len());
    let mut sum = 0.0;
    for (row, x) in x.chunks_exact(inputs).enumerate() {
        for o in 0..out {
            let y = bias[o] + (0..inputs).map(|i| weight[o * inputs + i] * x[i]).sum::<f64>();
            sum += (y - expected[row * out + o]).powi(2);
        }
    }
    sum / expected.len() as f64
}

/// Finite differences of a function of some numbers, of second order. For a quadratic function they are exact up to
/// rounding, about 1e-16 / 1e-4.
fn differences(at: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    const STEP: f64 = 1e-4;
    let mut point = at.to_vec();
    let mut slope = |index: usize| {
        point[index] = at[index] + STEP;
        let up = f(&point);
        point[index] = at[index] - STEP;
        let down = f(&point);
        point[index] = at[index];
        (up - down) / (2.0 * STEP)
    };
    (0..at.len()).map(&mut slope).collect()
}

fn gradients_of_head_and_loss(gpu: &Gpu) {
    for [rows, inputs, out] in [[1, 1, 1], [5, 3, 2], [7, 33, 5], [13, 4, 1], [3, 2, 35]] {
        let mut uniform = Uniform::new((rows * inputs * out) as u64);
        let x = uniform.vec(rows * inputs, 1.0);
        let weight = uniform.vec(out * inputs, 1.0 / (inputs as f32).sqrt());
        let bias = uniform.vec(out, 1.0);
        let expected = uniform.vec(rows * out, 1.0);

        let input = tensor(gpu, &[rows, inputs], &x);
        let d_input = Tensor::zeros(gpu, &[rows, inputs]).expect("a tensor");
        let linear = Linear::with_weights(gpu, [out, inputs], &weight, &bias).expect("a head");
        let head = linear.unroll(&input, &d_input).expect("an unroll");
        let loss = MeanSquaredError::new(head.output(), head.d_output()).expect("a loss");
        loss.expected().write(&expected).expect("a write");
        gpu.submit(|encoder| {
            head.encode_forward(encoder);
            loss.encode(encoder);
            head.encode_backward(encoder)
        })
        .expect("a submission");

        let [x, weight, bias, expected] = [x, weight, bias, expected].map(|values| wide(&values));
        let name = |tensor| format!("{rows} rows, {inputs} -> {out}: {tensor}");
        let exact = linear_loss(&x, &weight, &bias, &expected);
        let [d_weight, d_bias] = head.gradients();
        let forward = Tolerance::matmul(inputs).plus(Tolerance::matmul(rows * out));
        assert_close(&name("loss"), &read(loss.loss()), &[exact], forward.scaled(exact.max(1.0)));
        for (tensor_name, tensor, exact) in [
            ("d_input", &d_input, differences(&x, |x| linear_loss(x, &weight, &bias, &expected))),
            ("d_weight", d_weight, differences(&weight, |weight| linear_loss(&x, weight, &bias, &expected))),
            ("d_bias", d_bias, differences(&bias, |bias| linear_loss(&x, &weight, bias, &expected))),
        ] {
            let tolerance = Tolerance::matmul(inputs).plus(Tolerance::matmul(rows.max(out)));
            assert_close(&name(tensor_name), &read(tensor), &exact, tolerance.scaled(largest(&exact).max(1.0)));
        }
    }
}

/// The head writes its d_input where the layer's backward reads it: with head and loss the gradient of a bias of the
/// layer is the slope of the loss that the GPU itself gives.
fn gradient_through_head_into_the_layer(gpu: &Gpu) {
    let [t, b, i, h, out] = [4, 3, 2, 5, 2];
    let gru = Gru::new(gpu, GruConfig::new(i, h), 5).expect("a layer");
    let linear = Linear::new(gpu, h, out, 6).expect("a head");
    let mut net = gru.unroll(Unroll::training(t, b)).expect("an unroll");
    let head = linear.unroll(net.output(), net.d_output().expect("training")).expect("a head");
    let loss = MeanSquaredError::new(head.output(), head.d_output()).expect("a loss");
    let mut uniform = Uniform::new(8);
    net.input().write(&uniform.vec(t * b * i, 1.0)).expect("a write");
    loss.expected().write(&uniform.vec(t * b * out, 1.0)).expect("a write");
    let evaluate = |net: &mut Unrolled| {
        gpu.submit(|encoder| {
            net.encode_forward(encoder)?;
            head.encode_forward(encoder);
            loss.encode(encoder);
            head.encode_backward(encoder)?;
            net.encode_backward(encoder)
        })
        .expect("a submission");
        f64::from(read(loss.loss())[0])
    };
    evaluate(&mut net);
    let gradients = read(net.gradients().expect("training").parameters.cells[0].bias_ih.as_ref().expect("a bias"));
    let original = read(gru.parameters().cells[0].bias_ih.as_ref().expect("a bias"));
    // The loss has an error of a few u, and the difference one of step^2: at 2^-6 both are below 1 % of a slope of 0.05.
    const STEP: f32 = 1.0 / 64.0;
    for index in 0..3 * h {
        let mut side = |sign: f32| {
            let mut bias = original.clone();
            bias[index] += sign * STEP;
            gru.parameters().cells[0].bias_ih.as_ref().expect("a bias").write(&bias).expect("a write");
            evaluate(&mut net)
        };
        let slope = (side(1.0) - side(-1.0)) / f64::from(2.0 * STEP);
        let tolerance = Tolerance { abs: 5e-4, rel: 0.0 };
        assert_close(&format!("d_bias_ih[{index}]"), &gradients[index..=index], &[slope], tolerance);
    }
}
