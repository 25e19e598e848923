//! Sums of a million numbers of one sign, each within 10^-5 of what it is: by every product, by the sum over rows, and
//! as the gradients of a layer. Such numbers are all rounded the same way, so that errors add up: one chain of them is
//! off by 10^-3.

use wgpu_gru::Schedule;
use wgpu_gru::harness;
use wgpu_gru::reference::twins::matmul::MatmulParams;
use wgpu_gru::wgpu::DeviceType;
use wgpu_gru::{Activation, Gpu, Gru, GruConfig, Rnn, RnnConfig, Tolerance, Unroll, Weights};

use super::matmul::{kernels, operands};
use super::{BRIEF, Outcome, as_planned, ensure, equal, run, tensor};
use crate::support::close;

checks![products, sums_over_rows, gradients_of_a_layer, parts_of_dispatches];

/// What is added up: in f32 no sum of these is exact.
const CONSTANTS: [f32; 4] = [0.1, 1.0 / 3.0, 0.7, 1e-3];

/// Of a million; and where the parts of a sum and the ranges of dispatches end.
const TERMS: [usize; 2] = [1_000_000, 3 * 8192 + 65];

fn check_sum(name: &str, sums: &[f32], exact: f64) -> Outcome {
    Ok(close(name, sums, &vec![exact; sums.len()], Tolerance { abs: 0.0, rel: 1e-5 })?)
}

/// c = a^T b, where each column of a and of b is one constant throughout.
pub(crate) async fn products(gpu: &Gpu) -> Outcome {
    for kernel in kernels(gpu) {
        // Loads of four numbers, and of one: in browsers the fewer ones alone.
        for (terms, n) in [(TERMS[0], 4), (TERMS[1], 3)].into_iter().skip(usize::from(BRIEF)) {
            let [left, right] = [CONSTANTS.to_vec(), CONSTANTS[..n].to_vec()].map(|numbers| operands(kernel, numbers));
            let (a, b) =
                (tensor(gpu, &[terms, 4], &left.repeat(terms))?, tensor(gpu, &[terms, n], &right.repeat(terms))?);
            let c = tensor(gpu, &[4, n], &vec![f32::NAN; 4 * n])?;
            let params = MatmulParams { m: 4, n, k: terms, transpose_a: true, transpose_b: false, accumulate: false };
            let program = harness::matmul(kernel, &params, &a, &b, None, &c)?;
            equal(&program.dispatches(), &terms.div_ceil(8192), "as many as the plan says of so many rows")?;
            run(gpu, &program)?;
            for (sums, left) in c.read().await?.chunks(n).zip(&left) {
                for (sum, right) in sums.iter().zip(&right) {
                    let exact = f64::from(*left) * f64::from(*right) * terms as f64;
                    check_sum(&format!("{kernel:?} {terms} of {left} times {right}"), &[*sum], exact)?;
                }
            }
        }
    }
    Ok(())
}

async fn sums_over_rows(gpu: &Gpu) -> Outcome {
    for terms in TERMS {
        let input = tensor(gpu, &[terms, 4], &CONSTANTS.repeat(terms))?;
        let total = tensor(gpu, &[4], &[f32::NAN; 4])?;
        run(gpu, &harness::sum_rows(false, &input, &total)?)?;
        for (sum, constant) in total.read().await?.into_iter().zip(CONSTANTS) {
            check_sum(&format!("{terms} of {constant}"), &[sum], f64::from(constant) * terms as f64)?;
        }
    }
    Ok(())
}

/// Half a million rows: T 1000, B 500.
async fn gradients_of_a_layer(gpu: &Gpu) -> Outcome {
    let (seq_len, batch) = (1000, 500);
    let config = RnnConfig::new(1, 1).nonlinearity(Activation::Linear);
    let mut weights = Weights::random(&config, 1);
    // Every step is as the first one: the state is 0.7 x + 0.2 = 0.9, and the gradient of each is 0.1.
    let cell = &mut weights.cells[0];
    (cell.weight_ih[0], cell.weight_hh[0], cell.bias_ih[0], cell.bias_hh[0]) = (0.7, 0.0, 0.2, 0.0);
    for class in [DeviceType::Cpu, DeviceType::DiscreteGpu] {
        let layer = Rnn::with_weights(gpu, config.clone(), &weights)?;
        let unroll = Unroll::training(seq_len, batch).input_gradient(false).adapter_class(class);
        let mut net = layer.unroll(unroll)?;
        let rows = seq_len * batch;
        let x = tensor(gpu, net.input().shape(), &vec![1.0; rows])?;
        let d_output = tensor(gpu, net.output().shape(), &vec![0.1; rows])?;
        net.forward(&x, None)?;
        let gradients = net.backward(Some(&d_output), None)?;
        let exact = f64::from(0.1_f32) * rows as f64;
        let state = f64::from(net.h_n().read().await?[0]);
        ensure((state - 0.9).abs() < 1e-6, format_args!("{state}"))?;
        let of_states = f64::from(0.1_f32) * state * (rows - batch) as f64;
        let exact = [exact, of_states, exact, exact];
        for ((name, gradient), exact) in gradients.parameters.named(&config).zip(exact) {
            check_sum(&format!("{name} {class:?}"), &gradient.read().await?, exact)?;
        }
    }
    Ok(())
}

/// As many dispatches as the plan says, where there are more rows than one takes.
async fn parts_of_dispatches(gpu: &Gpu) -> Outcome {
    for (batch, products) in [(8192, 2), (8193, 4), (16_384, 4), (16_385, 6)] {
        let layer = Gru::new(gpu, GruConfig::new(1, 1), 1)?;
        let net = layer.unroll(Unroll::training(1, batch).input_gradient(false))?;
        // One step and one that ends it, or both in one; the two biases.
        let steps = if net.plan().schedule() == Schedule::Step { 2 } else { 1 };
        // A GPU takes each of the two products at once, in parts that it adds up in one more.
        let [_, kernels] = net.plan().kernels();
        let has_parts = kernels.iter().any(|&(name, count)| name == "sum_rows" && count > 2);
        let products = if has_parts { 4 } else { products };
        // Single steps of a GPU multiply by a copy of weight_hh that is transposed.
        let copies: usize = kernels.iter().filter(|(name, _)| *name == "pack").map(|(_, count)| count).sum();
        ensure(copies <= 1, format_args!("{batch}: {copies} copies"))?;
        equal(&net.plan().backward_dispatches(), &(steps + 2 + products + copies), format_args!("{batch}"))?;
        as_planned(&net)?;
    }
    Ok(())
}
