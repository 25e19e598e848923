//! Norm, optimisers and clipping against their twins, and Adam against PyTorch. Then layer, head, loss and optimiser
//! together: one encoder, one submission.

use wgpu_gru::Activity;
use wgpu_gru::reference::twins::adam::adam;
use wgpu_gru::reference::twins::adam_prepare::adam_prepare;
use wgpu_gru::reference::twins::sgd::{Descent, sgd};
use wgpu_gru::reference::twins::sum_squares::sum_squares;
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::train::{Adam, AdamOptions, Linear, Loss, Sgd, SgdOptions, UnrolledLinear};
use wgpu_gru::wgpu::CommandEncoder;
use wgpu_gru::{Gpu, Gru, GruConfig, Tensor, Tolerance, Unroll, Unrolled};

use super::{Outcome, bits, ensure, equal, flat, record, tensor, zeros};
use crate::support::{adam as pytorch, close, largest, own_device, wide};

checks![
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

/// One element, the neighbours of a workgroup (256), and more than one element an invocation.
pub(crate) const LENGTHS: [usize; 6] = [1, 255, 256, 257, 1009, 300_007];

/// A tensor for each.
fn upload(gpu: &Gpu, hosts: &[Vec<f32>]) -> wgpu_gru::Result<Vec<Tensor>> {
    hosts.iter().map(|host| flat(gpu, host)).collect()
}

/// Over several parameters of different sizes, all parts together.
async fn global_norm(gpu: &Gpu) -> Outcome {
    let mut uniform = SplitMix64::new(5);
    let hosts = LENGTHS.map(|len| uniform.vec(len, 1.0));
    let (gradients, parameters) = (upload(gpu, &hosts)?, upload(gpu, &LENGTHS.map(|len| vec![0.0; len]))?);
    let pairs: Vec<_> = parameters.iter().zip(&gradients).collect();
    let adam = Adam::new(&pairs, &AdamOptions::default())?;
    record(gpu, |encoder| adam.encode(encoder))?;
    let all = hosts.concat();
    let exact = sum_squares(&wide(&all)).sqrt();
    // The squares are all positive and their sum is len/3: its relative error is that of a sum of len terms of 1/len.
    let tolerance = Tolerance { abs: 0.0, rel: Tolerance::matmul(all.len()).abs };
    close("norm", &adam.norm().read().await?, &[exact], tolerance)?;
    Ok(())
}

async fn adam_against_the_twin(gpu: &Gpu) -> Outcome {
    const STEPS: u32 = 60;
    const LENS: [usize; 3] = [1, 257, 1009];
    for max_norm in [None, Some(0.5_f32), Some(1e6)] {
        let options = AdamOptions { learning_rate: 0.01, max_norm, ..AdamOptions::default() };
        let mut uniform = SplitMix64::new(9);
        let hosts = LENS.map(|len| uniform.vec(len, 1.0));
        let (parameters, gradients) = (upload(gpu, &hosts)?, upload(gpu, &LENS.map(|len| vec![0.0; len]))?);
        let pairs: Vec<_> = parameters.iter().zip(&gradients).collect();
        let optimiser = Adam::new(&pairs, &options)?;

        let mut exact = hosts.each_ref().map(|host| wide(host));
        let mut moments = LENS.map(|len| [vec![0.0; len], vec![0.0; len]]);
        let betas = [options.beta1, options.beta2].map(f64::from);
        for t in 1..=STEPS {
            let fresh = LENS.map(|len| uniform.vec(len, 1.0));
            let squares = sum_squares(&wide(&fresh.concat()));
            let state =
                adam_prepare(t, f64::from(options.learning_rate), betas, [max_norm.map(f64::from), None], squares);
            for (index, gradient) in fresh.iter().enumerate() {
                gradients[index].write(gradient)?;
                let [moment1, moment2] = &mut moments[index];
                let epsilon = f64::from(options.epsilon);
                adam(&state, betas, [epsilon, 0.0], &wide(gradient), &mut exact[index], moment1, moment2);
            }
            record(gpu, |encoder| optimiser.encode(encoder))?;
        }
        for (parameter, exact) in parameters.iter().zip(&exact) {
            let name = format!("parameter of {} with max_norm {max_norm:?}", parameter.len());
            // Each step rounds the parameter once, and a step of a few operations is added to it.
            close(&name, &parameter.read().await?, exact, Tolerance::through_time(1, STEPS as usize))?;
        }
    }
    Ok(())
}

async fn adam_against_pytorch(gpu: &Gpu) -> Outcome {
    for (max_norm, expected) in pytorch::AFTER {
        let (p, q) = pytorch::BEFORE.split_at(5);
        let (p, q) = (tensor(gpu, &[5], p)?, tensor(gpu, &[2, 1], q)?);
        let (d_p, d_q) = (zeros(gpu, &[5])?, zeros(gpu, &[2, 1])?);
        let options = AdamOptions { max_norm, ..pytorch::OPTIONS };
        let adam = Adam::new([(&p, &d_p), (&q, &d_q)], &options)?;
        for (gradient, norm) in pytorch::GRADIENTS.iter().zip(pytorch::NORMS) {
            d_p.write(&gradient[..5])?;
            d_q.write(&gradient[5..])?;
            record(gpu, |encoder| adam.encode(encoder))?;
            close("norm", &adam.norm().read().await?, &[norm], Tolerance { abs: 0.0, rel: Tolerance::matmul(7).abs })?;
        }
        let (name, after) =
            (format!("parameters with max_norm {max_norm:?}"), [p.read().await?, q.read().await?].concat());
        close(&name, &after, &expected, Tolerance::through_time(1, 3))?;
    }
    Ok(())
}

/// No 0/0, with clipping or without.
async fn a_gradient_of_zero_moves_nothing(gpu: &Gpu) -> Outcome {
    for max_norm in [None, Some(1.0)] {
        let (parameter, gradient) = (tensor(gpu, &[3], &[1.0, -2.0, 0.5])?, zeros(gpu, &[3])?);
        let options = AdamOptions { max_norm, ..AdamOptions::default() };
        let adam = Adam::new([(&parameter, &gradient)], &options)?;
        let before = bits(&parameter).await?;
        record(gpu, |encoder| adam.encode(encoder))?;
        equal(&bits(&parameter).await?, &before, format_args!("max_norm {max_norm:?}"))?;
        close("norm", &adam.norm().read().await?, &[0.0], Tolerance::EXACT)?;
    }
    Ok(())
}

/// The first step of Adam is the learning rate long, whatever the gradient; a rate of 0 is no step.
async fn learning_rate(gpu: &Gpu) -> Outcome {
    let (parameter, gradient) = (zeros(gpu, &[2])?, tensor(gpu, &[2], &[3.0, -0.01])?);
    let adam = Adam::new([(&parameter, &gradient)], &AdamOptions::default())?;
    adam.set_learning_rate(0.0)?;
    record(gpu, |encoder| adam.encode(encoder))?;
    close("parameter", &parameter.read().await?, &[0.0, 0.0], Tolerance::EXACT)?;
    adam.set_learning_rate(0.25)?;
    record(gpu, |encoder| adam.encode(encoder))?;
    // epsilon, beside the smallest gradient.
    let tolerance = Tolerance::through_time(1, 2).plus(Tolerance { abs: 0.0, rel: 1e-8 / 0.01 });
    Ok(close("parameter", &parameter.read().await?, &[-0.25, 0.25], tolerance)?)
}

async fn sgd_against_the_twin(gpu: &Gpu) -> Outcome {
    const STEPS: usize = 20;
    for max_norm in [None, Some(0.5_f32), Some(1e6)] {
        let mut uniform = SplitMix64::new(11);
        let hosts = LENGTHS.map(|len| uniform.vec(len, 1.0));
        let (parameters, gradients) = (upload(gpu, &hosts)?, upload(gpu, &LENGTHS.map(|len| vec![0.0; len]))?);
        let pairs: Vec<_> = parameters.iter().zip(&gradients).collect();
        let optimiser = Sgd::new(&pairs, &SgdOptions { learning_rate: 0.01, max_norm, ..SgdOptions::default() })?;
        let mut exact = hosts.each_ref().map(|host| wide(host));
        for _ in 0..STEPS {
            let fresh = LENGTHS.map(|len| uniform.vec(len, 1.0));
            let squares = sum_squares(&wide(&fresh.concat()));
            let state = adam_prepare(1, f64::from(0.01_f32), [0.0, 0.0], [max_norm.map(f64::from), None], squares);
            for ((gradient, exact), host) in gradients.iter().zip(&mut exact).zip(&fresh) {
                gradient.write(host)?;
                sgd(&state, &Descent::default(), &wide(host), exact, &mut []);
            }
            record(gpu, |encoder| optimiser.encode(encoder))?;
            let tolerance = Tolerance { abs: 0.0, rel: Tolerance::matmul(LENGTHS.iter().sum()).abs };
            close("norm", &optimiser.norm().read().await?, &[state.norm], tolerance)?;
        }
        for (parameter, exact) in parameters.iter().zip(&exact) {
            let name = format!("parameter of {} with max_norm {max_norm:?}", parameter.len());
            close(&name, &parameter.read().await?, exact, Tolerance::through_time(1, STEPS))?;
        }
    }
    Ok(())
}

/// A gradient of norm 5 over two parameters: as it is, clipped to 1, with a rate of 0, and none at all.
async fn sgd_by_hand(gpu: &Gpu) -> Outcome {
    for (max_norm, expected) in [(None, [-0.5, -1.0]), (Some(1.0), [0.7, 0.6]), (Some(8.0), [-0.5, -1.0])] {
        let (p, q) = (tensor(gpu, &[1], &[1.0])?, tensor(gpu, &[1, 1], &[1.0])?);
        let (d_p, d_q) = (tensor(gpu, &[1], &[3.0])?, tensor(gpu, &[1, 1], &[4.0])?);
        let sgd =
            Sgd::new([(&p, &d_p), (&q, &d_q)], &SgdOptions { learning_rate: 0.5, max_norm, ..SgdOptions::default() })?;
        record(gpu, |encoder| sgd.encode(encoder))?;
        // The factor that clips has PyTorch's 1e-6 in it.
        let tolerance = Tolerance { abs: 1e-6, rel: 0.0 };
        close(&format!("max_norm {max_norm:?}"), &[p.read().await?, q.read().await?].concat(), &expected, tolerance)?;
        close("norm", &sgd.norm().read().await?, &[5.0], Tolerance::pointwise())?;

        let before = [bits(&p).await?, bits(&q).await?];
        sgd.set_learning_rate(0.0)?;
        record(gpu, |encoder| sgd.encode(encoder))?;
        equal(&[bits(&p).await?, bits(&q).await?], &before, "a rate of 0 is no step")?;
        sgd.set_learning_rate(1.0)?;
        d_p.write(&[0.0])?;
        d_q.write(&[0.0])?;
        record(gpu, |encoder| sgd.encode(encoder))?;
        equal(&[bits(&p).await?, bits(&q).await?], &before, "a gradient of 0 moves nothing")?;
    }
    Ok(())
}

/// A GRU with a linear head over every step, its loss and its optimiser.
pub(crate) struct Trainer {
    net: Unrolled,
    head: UnrolledLinear,
    loss: Loss,
    adam: Adam,
}

impl Trainer {
    /// Of T, B, I, H and the outputs of the head.
    pub(crate) fn new(gpu: &Gpu, [t, b, i, h, out]: [usize; 5]) -> wgpu_gru::Result<Self> {
        let gru = Gru::new(gpu, GruConfig::new(i, h), 1)?;
        let linear = Linear::new(gpu, h, out, 2)?;
        let net = gru.unroll(Unroll::training(t, b).input_gradient(false))?;
        let head = linear.unroll(net.output(), net.d_output()?)?;
        let loss = Loss::mean_squared_error(head.output(), head.d_output())?;
        let options = AdamOptions { learning_rate: 0.02, max_norm: Some(1.0), ..AdamOptions::default() };
        let adam = Adam::new(net.pairs()?.chain(head.pairs()), &options)?;
        Ok(Self { net, head, loss, adam })
    }

    /// A whole training step.
    pub(crate) fn encode(&mut self, encoder: &mut CommandEncoder) -> wgpu_gru::Result<()> {
        self.net.encode_forward(encoder)?;
        self.head.encode_forward(encoder);
        self.loss.encode(encoder);
        self.head.encode_backward(encoder)?;
        self.net.encode_backward(encoder)?;
        self.adam.encode(encoder);
        Ok(())
    }
}

/// A running mean of the input is learned, with one submission a step that makes no object.
async fn training_lowers_the_loss(gpu: &Gpu) -> Outcome {
    let gpu = own_device(gpu).await?;
    let (t, b) = (12, 6);
    let mut trainer = Trainer::new(&gpu, [t, b, 1, 9, 1])?;
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
        trainer.net.input().write(&x)?;
        trainer.loss.expected().write(&expected)?;
        let before = gpu.activity();
        gpu.submit(|encoder| trainer.encode(encoder))?;
        let only_submitted = Activity { submissions: before.submissions + 1, ..before };
        equal(&gpu.activity(), &only_submitted, "a training step is one submission")?;
        if step == 0 {
            first = trainer.loss.loss().read().await?[0];
        }
        if step >= 110 {
            last += trainer.loss.loss().read().await?[0] / 10.0;
        }
    }
    ensure(last < 0.1 * first, format_args!("loss {first} at first, {last} at last"))
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

async fn gradients_of_head_and_loss(gpu: &Gpu) -> Outcome {
    let sizes = [[1, 1, 1], [5, 3, 2], [7, 33, 5], [13, 4, 1], [3, 2, 35]];
    for ([rows, inputs, out], has_bias) in sizes.into_iter().flat_map(|sizes| [true, false].map(|bias| (sizes, bias))) {
        let mut uniform = SplitMix64::new((rows * inputs * out) as u64);
        let x = uniform.vec(rows * inputs, 1.0);
        let weight = uniform.vec(out * inputs, 1.0 / (inputs as f32).sqrt());
        let bias = if has_bias { uniform.vec(out, 1.0) } else { vec![] };
        let expected = uniform.vec(rows * out, 1.0);

        let input = tensor(gpu, &[rows, inputs], &x)?;
        let d_input = zeros(gpu, &[rows, inputs])?;
        let linear = Linear::with_weights(gpu, [out, inputs], &weight, &bias)?;
        let head = linear.unroll(&input, &d_input)?;
        let loss = Loss::mean_squared_error(head.output(), head.d_output())?;
        loss.expected().write(&expected)?;
        gpu.submit(|encoder| {
            head.encode_forward(encoder);
            loss.encode(encoder);
            head.encode_backward(encoder)
        })?;

        let [x, weight, mut bias, expected] = [x, weight, bias, expected].map(|values| wide(&values));
        // No bias is one of zeros that nothing learns.
        bias.resize(out, 0.0);
        let name = |tensor| format!("{rows} rows, {inputs} -> {out}, bias {has_bias}: {tensor}");
        let exact = linear_loss(&x, &weight, &bias, &expected);
        let gradients = head.gradients();
        equal(&[gradients.len(), head.pairs().len()], &[1 + usize::from(has_bias); 2], name("gradients"))?;
        let forward = Tolerance::matmul(inputs).plus(Tolerance::matmul(rows * out));
        close(&name("loss"), &loss.loss().read().await?, &[exact], forward.scaled(exact.max(1.0)))?;
        for (tensor_name, tensor, exact) in [
            ("d_input", &d_input, differences(&x, |x| linear_loss(x, &weight, &bias, &expected))),
            ("d_weight", gradients[0], differences(&weight, |weight| linear_loss(&x, weight, &bias, &expected))),
            (
                "d_bias",
                gradients[gradients.len() - 1],
                differences(&bias, |bias| linear_loss(&x, &weight, bias, &expected)),
            ),
        ]
        .into_iter()
        .take(2 + usize::from(has_bias))
        {
            let tolerance = Tolerance::matmul(inputs).plus(Tolerance::matmul(rows.max(out)));
            close(&name(tensor_name), &tensor.read().await?, &exact, tolerance.scaled(largest(&exact).max(1.0)))?;
        }
    }
    Ok(())
}

/// The head writes its d_input where the layer's backward reads it: with head and loss the gradient of a bias of the
/// layer is the slope of the loss that the GPU itself gives.
async fn gradient_through_head_into_the_layer(gpu: &Gpu) -> Outcome {
    let [t, b, i, h, out] = [4, 3, 2, 5, 2];
    let gru = Gru::new(gpu, GruConfig::new(i, h), 5)?;
    let linear = Linear::new(gpu, h, out, 6)?;
    let mut net = gru.unroll(Unroll::training(t, b))?;
    let head = linear.unroll(net.output(), net.d_output()?)?;
    let loss = Loss::mean_squared_error(head.output(), head.d_output())?;
    let mut uniform = SplitMix64::new(8);
    net.input().write(&uniform.vec(t * b * i, 1.0))?;
    loss.expected().write(&uniform.vec(t * b * out, 1.0))?;
    let evaluate = async |net: &mut Unrolled| -> Outcome<f64> {
        gpu.submit(|encoder| {
            net.encode_forward(encoder)?;
            head.encode_forward(encoder);
            loss.encode(encoder);
            head.encode_backward(encoder)?;
            net.encode_backward(encoder)
        })?;
        Ok(f64::from(loss.loss().read().await?[0]))
    };
    evaluate(&mut net).await?;
    let [gradient, bias] =
        [&net.gradients()?.parameters, gru.parameters()].map(|all| all.cells[0].bias_ih.clone().ok_or("no bias"));
    let (gradient, bias) = (gradient?.read().await?, bias?);
    let original = bias.read().await?;
    // The loss has an error of a few u, and the difference one of step^2: at 2^-6 both are below 1 % of a slope of
    // 0.05.
    const STEP: f32 = 1.0 / 64.0;
    for index in 0..3 * h {
        let mut difference = 0.0;
        for sign in [1.0, -1.0] {
            let mut moved = original.clone();
            moved[index] += sign * STEP;
            bias.write(&moved)?;
            difference += f64::from(sign) * evaluate(&mut net).await?;
        }
        let (slope, tolerance) = (difference / f64::from(2.0 * STEP), Tolerance { abs: 5e-4, rel: 0.0 });
        close(&format!("d_bias_ih[{index}]"), &gradient[index..=index], &[slope], tolerance)?;
    }
    Ok(())
}
