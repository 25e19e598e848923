//! Loss, norm, optimisers, clipping and head against their twins in f64; and a training whose loss falls.

use wgpu_gru::reference::adam::adam;
use wgpu_gru::reference::adam_prepare::adam_prepare;
use wgpu_gru::reference::matmul::{MatmulParams, matmul};
use wgpu_gru::reference::mse::mse;
use wgpu_gru::reference::sgd::sgd;
use wgpu_gru::reference::sum_squares::sum_squares;
use wgpu_gru::train::{Adam, AdamOptions, Linear, MeanSquaredError, Sgd, SgdOptions};
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::{Gru, GruConfig, Tensor, Tolerance, Unroll};

use crate::run::{Failure, Outcome, Run, checks, ensure, largest, wide};

checks!["train": mean_squared_error, global_norm, adam_with_clipping, sgd_with_clipping, head, training_lowers_the_loss];

/// One element, the neighbours of a workgroup (256), and more than one element an invocation.
const LENGTHS: [usize; 6] = [1, 255, 256, 257, 1009, 300_007];

/// A gradient of each length.
fn fresh(uniform: &mut SplitMix64, lengths: &[usize]) -> Vec<Vec<f32>> {
    lengths.iter().map(|&len| uniform.vec(len, 1.0)).collect()
}

fn upload(run: &Run, hosts: &[Vec<f32>]) -> Outcome<Vec<Tensor>> {
    hosts.iter().map(|host| run.tensor(host)).collect()
}

async fn mean_squared_error(run: &Run) -> Outcome {
    for len in LENGTHS {
        let mut uniform = SplitMix64::new(len as u64);
        let (prediction, expected) = (uniform.vec(len, 1.0), uniform.vec(len, 1.0));
        let mut exact_d = vec![0.0; len];
        let exact = mse(&wide(&prediction), &wide(&expected), &mut exact_d);
        let (prediction, d_prediction) = (run.tensor(&prediction)?, Tensor::zeros(run.gpu(), &[len])?);
        let loss = MeanSquaredError::new(&prediction, &d_prediction)?;
        loss.expected().write(&expected)?;
        run.gpu().submit(|encoder| {
            loss.encode(encoder);
            Ok(())
        })?;
        run.close(&format!("loss of {len}"), &loss.loss().read().await?, &[exact], Tolerance::matmul(len))?;
        let tolerance = Tolerance::pointwise().scaled(1.0 / len as f64);
        run.close(&format!("d_prediction of {len}"), &d_prediction.read().await?, &exact_d, tolerance)?;
    }
    Ok(())
}

/// Over several parameters of different sizes, all parts together.
async fn global_norm(run: &Run) -> Outcome {
    let hosts = fresh(&mut SplitMix64::new(5), &LENGTHS);
    let gradients = upload(run, &hosts)?;
    let parameters = upload(run, &LENGTHS.map(|len| vec![0.0; len]))?;
    let pairs: Vec<_> = parameters.iter().zip(&gradients).collect();
    let adam = Adam::new(&pairs, &AdamOptions::default())?;
    run.gpu().submit(|encoder| {
        adam.encode(encoder);
        Ok(())
    })?;
    let all = hosts.concat();
    let tolerance = Tolerance { abs: 0.0, rel: Tolerance::matmul(all.len()).abs };
    run.close("norm", &adam.norm().read().await?, &[sum_squares(&wide(&all)).sqrt()], tolerance)
}

async fn adam_with_clipping(run: &Run) -> Outcome {
    const STEPS: u32 = 30;
    const LENS: [usize; 3] = [1, 257, 1009];
    for max_norm in [None, Some(0.5_f32), Some(1e6)] {
        let options = AdamOptions { learning_rate: 0.01, max_norm, ..AdamOptions::default() };
        let mut uniform = SplitMix64::new(9);
        let hosts = fresh(&mut uniform, &LENS);
        let parameters = upload(run, &hosts)?;
        let gradients = upload(run, &LENS.map(|len| vec![0.0; len]))?;
        let pairs: Vec<_> = parameters.iter().zip(&gradients).collect();
        let optimiser = Adam::new(&pairs, &options)?;
        let mut exact: Vec<Vec<f64>> = hosts.iter().map(|host| wide(host)).collect();
        let mut moments = LENS.map(|len| [vec![0.0; len], vec![0.0; len]]);
        let betas = [options.beta1, options.beta2].map(f64::from);
        for t in 1..=STEPS {
            let fresh = fresh(&mut uniform, &LENS);
            let squares = sum_squares(&wide(&fresh.concat()));
            let state = adam_prepare(t, f64::from(options.learning_rate), betas, max_norm.map(f64::from), squares);
            for (index, gradient) in fresh.iter().enumerate() {
                gradients[index].write(gradient)?;
                let [moment1, moment2] = &mut moments[index];
                let epsilon = f64::from(options.epsilon);
                adam(&state, betas, epsilon, &wide(gradient), &mut exact[index], moment1, moment2);
            }
            run.gpu().submit(|encoder| {
                optimiser.encode(encoder);
                Ok(())
            })?;
        }
        for (parameter, exact) in parameters.iter().zip(&exact) {
            let name = format!("parameter of {} with max_norm {max_norm:?}", parameter.len());
            run.close(&name, &parameter.read().await?, exact, Tolerance::through_time(1, STEPS as usize))?;
        }
    }
    Ok(())
}

async fn sgd_with_clipping(run: &Run) -> Outcome {
    const STEPS: usize = 10;
    for max_norm in [None, Some(0.5_f32), Some(1e6)] {
        let mut uniform = SplitMix64::new(11);
        let hosts = fresh(&mut uniform, &LENGTHS);
        let parameters = upload(run, &hosts)?;
        let gradients = upload(run, &LENGTHS.map(|len| vec![0.0; len]))?;
        let pairs: Vec<_> = parameters.iter().zip(&gradients).collect();
        let optimiser = Sgd::new(&pairs, &SgdOptions { learning_rate: 0.01, max_norm, ..SgdOptions::default() })?;
        let mut exact: Vec<Vec<f64>> = hosts.iter().map(|host| wide(host)).collect();
        for _ in 0..STEPS {
            let fresh = fresh(&mut uniform, &LENGTHS);
            let squares = sum_squares(&wide(&fresh.concat()));
            let state = adam_prepare(1, f64::from(0.01_f32), [0.0, 0.0], max_norm.map(f64::from), squares);
            for ((gradient, exact), host) in gradients.iter().zip(&mut exact).zip(&fresh) {
                gradient.write(host)?;
                sgd(&state, &wide(host), exact);
            }
            run.gpu().submit(|encoder| {
                optimiser.encode(encoder);
                Ok(())
            })?;
        }
        for (parameter, exact) in parameters.iter().zip(&exact) {
            let name = format!("parameter of {} with max_norm {max_norm:?}", parameter.len());
            run.close(&name, &parameter.read().await?, exact, Tolerance::through_time(1, STEPS))?;
        }
    }
    Ok(())
}

/// A linear head, the loss, and their gradients.
async fn head(run: &Run) -> Outcome {
    for [rows, inputs, out] in [[1, 1, 1], [5, 3, 2], [7, 33, 5], [13, 4, 1], [3, 2, 35]] {
        let mut uniform = SplitMix64::new((rows * inputs * out) as u64);
        let x = uniform.vec(rows * inputs, 1.0);
        let weight = uniform.vec(out * inputs, 1.0 / (inputs as f32).sqrt());
        let bias = uniform.vec(out, 1.0);
        let expected = uniform.vec(rows * out, 1.0);

        let input = Tensor::from_slice(run.gpu(), &[rows, inputs], &x)?;
        let d_input = Tensor::zeros(run.gpu(), &[rows, inputs])?;
        let linear = Linear::with_weights(run.gpu(), [out, inputs], &weight, &bias)?;
        let head = linear.unroll(&input, &d_input)?;
        let loss = MeanSquaredError::new(head.output(), head.d_output())?;
        loss.expected().write(&expected)?;
        run.gpu().submit(|encoder| {
            head.encode_forward(encoder);
            loss.encode(encoder);
            head.encode_backward(encoder)
        })?;

        let [x, weight, bias, expected] = [x, weight, bias, expected].map(|host| wide(&host));
        let product = |[m, n, k]: [usize; 3], transpose_a, transpose_b, a: &[f64], b: &[f64], bias: Option<&[f64]>| {
            let mut c = vec![0.0; m * n];
            matmul(&MatmulParams { m, n, k, transpose_a, transpose_b, accumulate: false }, a, b, bias, &mut c);
            c
        };
        let y = product([rows, out, inputs], false, true, &x, &weight, Some(&bias));
        let mut d_y = vec![0.0; rows * out];
        let exact_loss = mse(&y, &expected, &mut d_y);
        let name = |tensor| format!("{rows} rows, {inputs} to {out}: {tensor}");
        let forward = Tolerance::matmul(inputs).plus(Tolerance::matmul(rows * out));
        run.close(&name("loss"), &loss.loss().read().await?, &[exact_loss], forward.scaled(exact_loss.max(1.0)))?;
        let [d_weight, d_bias] = head.gradients();
        for (what, tensor, exact) in [
            ("d_input", &d_input, product([rows, inputs, out], false, false, &d_y, &weight, None)),
            ("d_weight", d_weight, product([out, inputs, rows], true, false, &d_y, &x, None)),
            ("d_bias", d_bias, product([out, 1, rows], true, false, &d_y, &vec![1.0; rows], None)),
        ] {
            let tolerance = Tolerance::matmul(inputs).plus(Tolerance::matmul(rows.max(out)));
            run.close(&name(what), &tensor.read().await?, &exact, tolerance.scaled(largest(&exact).max(1.0)))?;
        }
    }
    Ok(())
}

/// A running mean of the input is learned, with one submission a step that makes no object.
async fn training_lowers_the_loss(run: &Run) -> Outcome {
    let gpu = run.gpu();
    let [t, b, h] = [12, 6, 9];
    let gru = Gru::new(gpu, GruConfig::new(1, h), 1)?;
    let linear = Linear::new(gpu, h, 1, 2)?;
    let mut net = gru.unroll(Unroll::training(t, b).input_gradient(false))?;
    let head = linear.unroll(net.output(), net.d_output()?)?;
    let loss = MeanSquaredError::new(head.output(), head.d_output())?;
    let gradients = net.gradients()?.parameters.clone();
    let mut pairs: Vec<_> = gru.parameters().tensors().zip(gradients.tensors()).collect();
    pairs.extend(linear.parameters().into_iter().zip(head.gradients()));
    let options = AdamOptions { learning_rate: 0.02, max_norm: Some(1.0), ..AdamOptions::default() };
    let adam = Adam::new(&pairs, &options)?;

    let mut uniform = SplitMix64::new(3);
    let (mut first, mut last) = (None, 0.0);
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
        net.input().write(&x)?;
        loss.expected().write(&expected)?;
        let before = gpu.activity();
        gpu.submit(|encoder| {
            net.encode_forward(encoder)?;
            head.encode_forward(encoder);
            loss.encode(encoder);
            head.encode_backward(encoder)?;
            net.encode_backward(encoder)?;
            adam.encode(encoder);
            Ok(())
        })?;
        let after = gpu.activity();
        let only_submitted = wgpu_gru::Activity { submissions: before.submissions + 1, ..before };
        ensure(after == only_submitted, || format!("a step did more than submit: {before:?}, {after:?}"))?;
        if step % 10 == 0 || step >= 110 {
            last = loss.loss().read().await?[0];
            first.get_or_insert(last);
        }
    }
    let first = first.ok_or(Failure::from("no step"))?;
    ensure(last < 0.1 * first, || format!("loss {first} at first, {last} at last"))?;
    run.note(format!("loss {first:.4} at first, {last:.5} after 120 steps"));
    Ok(())
}
