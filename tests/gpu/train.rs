//! Loss, norm, optimisers and clipping against their twins, and Adam against PyTorch. Then layer, head, loss and optimiser
//! together: one encoder, one submission.

use wgpu_gru::reference::adam::adam;
use wgpu_gru::reference::adam_prepare::adam_prepare;
use wgpu_gru::reference::mse::mse;
use wgpu_gru::reference::sgd::sgd;
use wgpu_gru::reference::sum_squares::sum_squares;
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::train::{Adam, AdamOptions, Linear, MeanSquaredError, Sgd, SgdOptions};
use wgpu_gru::{Gpu, Gru, GruConfig, Tensor, Tolerance, Unroll, Unrolled};

use crate::support::adam as pytorch;
use crate::support::{Trainer, assert_close, bits, largest, own, read, record, tensor, wide, zeros};

trials![
    mean_squared_error,
    global_norm,
    adam_against_the_twin,
    adam_against_pytorch,
    a_gradient_of_zero_moves_nothing,
    learning_rate,
    sgd_against_the_twin,
    sgd_by_hand,
    training_lowers_the_loss,
    gradients_of_head_and_loss,
    gradient_through_head_into_the_layer,
];

fn step(gpu: &Gpu, adam: &Adam) {
    record(gpu, |encoder| adam.encode(encoder));
}

/// One element, the neighbours of a workgroup (256), and more than one element an invocation.
const LENGTHS: [usize; 6] = [1, 255, 256, 257, 1009, 300_007];

fn mean_squared_error(gpu: &Gpu) {
    for len in LENGTHS {
        let mut uniform = SplitMix64::new(len as u64);
        let (prediction, expected) = (uniform.vec(len, 1.0), uniform.vec(len, 1.0));
        let mut exact_d = vec![0.0; len];
        let exact = mse(&wide(&prediction), &wide(&expected), &mut exact_d);
        let mut narrow_d = vec![0.0_f32; len];
        mse(&prediction, &expected, &mut narrow_d);

        let (prediction, d_prediction) = (tensor(gpu, &[len], &prediction), zeros(gpu, &[len]));
        let loss = MeanSquaredError::new(&prediction, &d_prediction).expect("a loss");
        loss.expected().write(&expected).expect("a write");
        record(gpu, |encoder| loss.encode(encoder));
        // A mean of squares: every term is divided by len, so the sum is of about 1.
        assert_close(&format!("loss of {len}"), &read(loss.loss()), &[exact], Tolerance::matmul(len));
        let tolerance = Tolerance::pointwise().scaled(1.0 / len as f64);
        let actual = read(&d_prediction);
        assert_close(&format!("d_prediction of {len} against f64"), &actual, &exact_d, tolerance);
        assert_close(&format!("d_prediction of {len} against f32"), &actual, &narrow_d, tolerance.plus(tolerance));
    }
}

/// Over several parameters of different sizes, all parts together.
fn global_norm(gpu: &Gpu) {
    let mut uniform = SplitMix64::new(5);
    let hosts = LENGTHS.map(|len| uniform.vec(len, 1.0));
    let gradients = hosts.each_ref().map(|host| tensor(gpu, &[host.len()], host));
    let parameters = LENGTHS.map(|len| zeros(gpu, &[len]));
    let pairs: Vec<_> = parameters.iter().zip(&gradients).collect();
    let adam = Adam::new(&pairs, &AdamOptions::default()).expect("an optimiser");
    step(gpu, &adam);
    let all = hosts.concat();
    let exact = sum_squares(&wide(&all)).sqrt();
    // The squares are all positive and their sum is len/3: its relative error is that of a sum of len terms of 1/len.
    let tolerance = Tolerance { abs: 0.0, rel: Tolerance::matmul(all.len()).abs };
    assert_close("norm", &read(adam.norm()), &[exact], tolerance);
}

fn adam_against_the_twin(gpu: &Gpu) {
    const STEPS: u32 = 60;
    const LENS: [usize; 3] = [1, 257, 1009];
    for max_norm in [None, Some(0.5_f32), Some(1e6)] {
        let options = AdamOptions { learning_rate: 0.01, max_norm, ..AdamOptions::default() };
        let mut uniform = SplitMix64::new(9);
        let hosts = LENS.map(|len| uniform.vec(len, 1.0));
        let parameters = hosts.each_ref().map(|host| tensor(gpu, &[host.len()], host));
        let gradients = LENS.map(|len| zeros(gpu, &[len]));
        let pairs: Vec<_> = parameters.iter().zip(&gradients).collect();
        let optimiser = Adam::new(&pairs, &options).expect("an optimiser");

        let mut exact = hosts.each_ref().map(|host| wide(host));
        let mut moments = LENS.map(|len| [vec![0.0; len], vec![0.0; len]]);
        let betas = [options.beta1, options.beta2].map(f64::from);
        for t in 1..=STEPS {
            let fresh = LENS.map(|len| uniform.vec(len, 1.0));
            let state = adam_prepare(
                t,
                f64::from(options.learning_rate),
                betas,
                max_norm.map(f64::from),
                sum_squares(&wide(&fresh.concat())),
            );
            for (index, gradient) in fresh.iter().enumerate() {
                gradients[index].write(gradient).expect("a write");
                let [moment1, moment2] = &mut moments[index];
                let epsilon = f64::from(options.epsilon);
                adam(&state, betas, epsilon, &wide(gradient), &mut exact[index], moment1, moment2);
            }
            step(gpu, &optimiser);
        }
        for (parameter, exact) in parameters.iter().zip(&exact) {
            let name = format!("parameter of {} with max_norm {max_norm:?}", parameter.len());
            // Each step rounds the parameter once, and a step of a few operations is added to it.
            assert_close(&name, &read(parameter), exact, Tolerance::through_time(1, STEPS as usize));
        }
    }
}

fn adam_against_pytorch(gpu: &Gpu) {
    for (max_norm, expected) in pytorch::AFTER {
        let (p, q) = pytorch::BEFORE.split_at(5);
        let (p, q) = (tensor(gpu, &[5], p), tensor(gpu, &[2, 1], q));
        let (d_p, d_q) = (zeros(gpu, &[5]), zeros(gpu, &[2, 1]));
        let options = AdamOptions { max_norm, ..pytorch::OPTIONS };
        let adam = Adam::new(&[(&p, &d_p), (&q, &d_q)], &options).expect("an optimiser");
        for (gradient, norm) in pytorch::GRADIENTS.iter().zip(pytorch::NORMS) {
            d_p.write(&gradient[..5]).expect("a write");
            d_q.write(&gradient[5..]).expect("a write");
            step(gpu, &adam);
            assert_close("norm", &read(adam.norm()), &[norm], Tolerance { abs: 0.0, rel: Tolerance::matmul(7).abs });
        }
        let (name, after) = (format!("parameters with max_norm {max_norm:?}"), [read(&p), read(&q)].concat());
        assert_close(&name, &after, &expected, Tolerance::through_time(1, 3));
    }
}

/// No 0/0, with clipping or without.
fn a_gradient_of_zero_moves_nothing(gpu: &Gpu) {
    for max_norm in [None, Some(1.0)] {
        let (parameter, gradient) = (tensor(gpu, &[3], &[1.0, -2.0, 0.5]), zeros(gpu, &[3]));
        let options = AdamOptions { max_norm, ..AdamOptions::default() };
        let adam = Adam::new(&[(&parameter, &gradient)], &options).expect("an optimiser");
        let before = bits(&parameter);
        step(gpu, &adam);
        assert_eq!(bits(&parameter), before, "max_norm {max_norm:?}");
        assert_close("norm", &read(adam.norm()), &[0.0], Tolerance::EXACT);
    }
}

/// The first step of Adam is the learning rate long, whatever the gradient; a rate of 0 is no step.
fn learning_rate(gpu: &Gpu) {
    let (parameter, gradient) = (zeros(gpu, &[2]), tensor(gpu, &[2], &[3.0, -0.01]));
    let adam = Adam::new(&[(&parameter, &gradient)], &AdamOptions::default()).expect("an optimiser");
    adam.set_learning_rate(0.0).expect("a rate");
    step(gpu, &adam);
    assert_close("parameter", &read(&parameter), &[0.0, 0.0], Tolerance::EXACT);
    adam.set_learning_rate(0.25).expect("a rate");
    step(gpu, &adam);
    assert_close(
        "parameter",
        &read(&parameter),
        &[-0.25, 0.25],
        Tolerance::through_time(1, 2).scaled(1.0).plus(Tolerance {
            abs: 0.0,
            // epsilon, beside the smallest gradient.
            rel: 1e-8 / 0.01,
        }),
    );
}

fn descend(gpu: &Gpu, sgd: &Sgd) {
    record(gpu, |encoder| sgd.encode(encoder));
}

fn sgd_against_the_twin(gpu: &Gpu) {
    const STEPS: usize = 20;
    for max_norm in [None, Some(0.5_f32), Some(1e6)] {
        let mut uniform = SplitMix64::new(11);
        let hosts = LENGTHS.map(|len| uniform.vec(len, 1.0));
        let parameters = hosts.each_ref().map(|host| tensor(gpu, &[host.len()], host));
        let gradients = LENGTHS.map(|len| zeros(gpu, &[len]));
        let pairs: Vec<_> = parameters.iter().zip(&gradients).collect();
        let optimiser = Sgd::new(&pairs, &SgdOptions { learning_rate: 0.01, max_norm, ..SgdOptions::default() })
            .expect("an optimiser");
        let mut exact = hosts.each_ref().map(|host| wide(host));
        for _ in 0..STEPS {
            let fresh = LENGTHS.map(|len| uniform.vec(len, 1.0));
            let squares = sum_squares(&wide(&fresh.concat()));
            let state = adam_prepare(1, f64::from(0.01_f32), [0.0, 0.0], max_norm.map(f64::from), squares);
            for ((gradient, exact), host) in gradients.iter().zip(&mut exact).zip(&fresh) {
                gradient.write(host).expect("a write");
                sgd(&state, &wide(host), exact);
            }
            descend(gpu, &optimiser);
            let tolerance = Tolerance { abs: 0.0, rel: Tolerance::matmul(LENGTHS.iter().sum()).abs };
            assert_close("norm", &read(optimiser.norm()), &[state.norm], tolerance);
        }
        for (parameter, exact) in parameters.iter().zip(&exact) {
            let name = format!("parameter of {} with max_norm {max_norm:?}", parameter.len());
            assert_close(&name, &read(parameter), exact, Tolerance::through_time(1, STEPS));
        }
    }
}

/// A gradient of norm 5 over two parameters: as it is, clipped to 1, with a rate of 0, and none at all.
fn sgd_by_hand(gpu: &Gpu) {
    for (max_norm, expected) in [(None, [-0.5, -1.0]), (Some(1.0), [0.7, 0.6]), (Some(8.0), [-0.5, -1.0])] {
        let (p, q) = (tensor(gpu, &[1], &[1.0]), tensor(gpu, &[1, 1], &[1.0]));
        let (d_p, d_q) = (tensor(gpu, &[1], &[3.0]), tensor(gpu, &[1, 1], &[4.0]));
        let sgd =
            Sgd::new(&[(&p, &d_p), (&q, &d_q)], &SgdOptions { learning_rate: 0.5, max_norm, ..SgdOptions::default() })
                .expect("sgd");
        descend(gpu, &sgd);
        // The factor that clips has PyTorch's 1e-6 in it.
        let tolerance = Tolerance { abs: 1e-6, rel: 0.0 };
        assert_close(&format!("max_norm {max_norm:?}"), &[read(&p), read(&q)].concat(), &expected, tolerance);
        assert_close("norm", &read(sgd.norm()), &[5.0], Tolerance::pointwise());

        let before = [bits(&p), bits(&q)];
        sgd.set_learning_rate(0.0).expect("a rate");
        descend(gpu, &sgd);
        assert_eq!([bits(&p), bits(&q)], before, "a rate of 0 is no step");
        sgd.set_learning_rate(1.0).expect("a rate");
        d_p.write(&[0.0]).expect("a write");
        d_q.write(&[0.0]).expect("a write");
        descend(gpu, &sgd);
        assert_eq!([bits(&p), bits(&q)], before, "a gradient of 0 moves nothing");
    }
}

/// A running mean of the input is learned.
fn training_lowers_the_loss(gpu: &Gpu) {
    let gpu = own(gpu);
    let (t, b) = (12, 6);
    let mut trainer = Trainer::new(&gpu, [t, b, 1, 9, 1]);
    let mut uniform = SplitMix64::new(3);
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
        let mut uniform = SplitMix64::new((rows * inputs * out) as u64);
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
    let mut uniform = SplitMix64::new(8);
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
