//! Sums of a million numbers of one sign, each within 10^-5 of what it is: by every product, by the sum over rows, and as the
//! gradients of a layer. Such numbers are all rounded the same way, so that errors add up: one chain of them is off by 10^-3.

use wgpu_gru::Schedule;
use wgpu_gru::harness;
use wgpu_gru::reference::matmul::MatmulParams;
use wgpu_gru::wgpu::DeviceType;
use wgpu_gru::{Activation, Gpu, Gru, GruConfig, Rnn, RnnConfig, Tolerance, Unroll, Weights};

use crate::matmul::{kernels, operands};
use crate::support::{assert_as_planned, assert_close, read, run, tensor};

trials![products, sums_over_rows, gradients_of_a_layer, parts_of_dispatches];

/// What is added up: in f32 no sum of these is exact.
const CONSTANTS: [f32; 4] = [0.1, 1.0 / 3.0, 0.7, 1e-3];

/// Of a million; and where the parts of a sum and the ranges of dispatches end.
const TERMS: [usize; 2] = [1_000_000, 3 * 8192 + 65];

#[track_caller]
fn assert_sum(name: &str, sums: &[f32], exact: f64) {
    assert_close(name, sums, &vec![exact; sums.len()], Tolerance { abs: 0.0, rel: 1e-5 });
}

/// c = a^T b, where each column of a and of b is one constant throughout.
pub(crate) fn products(gpu: &Gpu) {
    for kernel in kernels(gpu) {
        // Loads of four numbers, and of one.
        for (terms, n) in [(TERMS[0], 4), (TERMS[1], 3)] {
            let [left, right] = [CONSTANTS.to_vec(), CONSTANTS[..n].to_vec()].map(|numbers| operands(kernel, numbers));
            let (a, b) =
                (tensor(gpu, &[terms, 4], &left.repeat(terms)), tensor(gpu, &[terms, n], &right.repeat(terms)));
            let c = tensor(gpu, &[4, n], &vec![f32::NAN; 4 * n]);
            let params = MatmulParams { m: 4, n, k: terms, transpose_a: true, transpose_b: false, accumulate: false };
            let program = harness::matmul(kernel, &params, &a, &b, None, &c).expect("a program");
            assert_eq!(program.dispatches(), terms.div_ceil(8192), "as many as the plan says of so many rows");
            run(gpu, &program);
            for (sums, left) in read(&c).chunks(n).zip(&left) {
                for (sum, right) in sums.iter().zip(&right) {
                    let exact = f64::from(*left) * f64::from(*right) * terms as f64;
                    assert_sum(&format!("{kernel:?} {terms} of {left} times {right}"), &[*sum], exact);
                }
            }
        }
    }
}

fn sums_over_rows(gpu: &Gpu) {
    for terms in TERMS {
        let input = tensor(gpu, &[terms, 4], &CONSTANTS.repeat(terms));
        let total = tensor(gpu, &[4], &[f32::NAN; 4]);
        run(gpu, &harness::sum_rows(false, &input, &total).expect("a program"));
        for (sum, constant) in read(&total).into_iter().zip(CONSTANTS) {
            assert_sum(&format!("{terms} of {constant}"), &[sum], f64::from(constant) * terms as f64);
        }
    }
}

/// Half a million rows: T 1000, B 500.
fn gradients_of_a_layer(gpu: &Gpu) {
    let (seq_len, batch) = (1000, 500);
    let config = RnnConfig::new(1, 1).nonlinearity(Activation::Linear);
    let mut weights = Weights::random(&config, 1);
    // Every step is as the first one: the state is 0.7 x + 0.2 = 0.9, and the gradient of each is 0.1.
    let cell = &mut weights.cells[0];
    (cell.weight_ih[0], cell.weight_hh[0], cell.bias_ih[0], cell.bias_hh[0]) = (0.7, 0.0, 0.2, 0.0);
    for class in [DeviceType::Cpu, DeviceType::DiscreteGpu] {
        let layer = Rnn::with_weights(gpu, config.clone(), &weights).expect("a layer");
        let unroll = Unroll::training(seq_len, batch).input_gradient(false).adapter_class(class);
        let mut net = layer.unroll(unroll).expect("an unroll");
        let rows = seq_len * batch;
        let x = tensor(gpu, net.input().shape(), &vec![1.0; rows]);
        let d_output = tensor(gpu, net.output().shape(), &vec![0.1; rows]);
        net.forward(&x, None).expect("a forward pass");
        let gradients = net.backward(Some(&d_output), None).expect("a backward pass");
        let exact = f64::from(0.1_f32) * rows as f64;
        let state = f64::from(read(net.h_n())[0]);
        assert!((state - 0.9).abs() < 1e-6, "{state}");
        let of_states = f64::from(0.1_f32) * state * (rows - batch) as f64;
        let exact = [exact, of_states, exact, exact];
        for ((name, gradient), exact) in gradients.parameters.named(&config).zip(exact) {
            assert_sum(&format!("{name} {class:?}"), &read(gradient), exact);
        }
    }
}

/// As many dispatches as the plan says, where there are more rows than one takes.
fn parts_of_dispatches(gpu: &Gpu) {
    for (batch, products) in [(8192, 2), (8193, 4), (16_384, 4), (16_385, 6)] {
        let layer = Gru::new(gpu, GruConfig::new(1, 1), 1).expect("a layer");
        let net = layer.unroll(Unroll::training(1, batch).input_gradient(false)).expect("an unroll");
        // One step and one that ends it, or both in one; the two biases.
        let steps = if net.plan().schedule() == Schedule::PerStep { 2 } else { 1 };
        assert_eq!(net.plan().backward_dispatches(), steps + 2 + products, "{batch}");
        assert_as_planned(&net);
    }
}
