//! Sums of a million numbers of one sign, each within 10^-5 of what it is: by every product, by the sum over rows, and as the
//! gradients of a layer. Such numbers are all rounded the same way, so that errors add up: one chain of them is off by 10^-3.

use wgpu_gru::harness;
use wgpu_gru::plan::Schedule;
use wgpu_gru::reference::matmul::MatmulParams;
use wgpu_gru::train::{MeanSquaredError, Sgd, SgdOptions};
use wgpu_gru::wgpu::DeviceType;
use wgpu_gru::{Activation, Gpu, Gru, GruConfig, Rnn, RnnConfig, Tensor, Unroll, Weights};

use crate::device::{read, run, tensor};
use crate::matmul::{kernels, operands};
use crate::options::recorded;

trials![products, sums_over_rows, losses_and_norms, gradients_of_a_layer, parts_of_dispatches];

/// What is added up: in f32 no sum of these is exact.
const CONSTANTS: [f32; 4] = [0.1, 1.0 / 3.0, 0.7, 1e-3];

/// Of a million; and where the parts of a sum and the ranges of dispatches end.
const TERMS: [usize; 2] = [1_000_000, 3 * 8192 + 65];

#[track_caller]
fn assert_sum(name: &str, sums: &[f32], exact: f64) {
    for &sum in sums {
        let error = (f64::from(sum) / exact - 1.0).abs();
        assert!(error < 1e-5, "{name}: {sum} for {exact} is {error:.1e} off");
    }
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
        for lanes in [[32, 8], [8, 1]] {
            let total = tensor(gpu, &[4], &[f32::NAN; 4]);
            run(gpu, &harness::sum_rows(lanes, false, &input, &total).expect("a program"));
            for (sum, constant) in read(&total).into_iter().zip(CONSTANTS) {
                assert_sum(&format!("{lanes:?} {terms} of {constant}"), &[sum], f64::from(constant) * terms as f64);
            }
        }
    }
}

/// As many as a binding of 128 MiB holds, nearly: 449 of them an invocation, in 7 parts and one term. In one chain the
/// loss is off by up to 4e-6, in parts by 6e-7.
fn losses_and_norms(gpu: &Gpu) {
    let terms = 7 * (1 << 22) + 65;
    for constant in [0.7, 1.0 / 3.0] {
        let constants = tensor(gpu, &[terms], &vec![constant; terms]);
        let [parameter, d_prediction] = [0, 1].map(|_| Tensor::zeros(gpu, &[terms]).expect("a tensor"));
        let loss = MeanSquaredError::new(&constants, &d_prediction).expect("a loss");
        let options = SgdOptions { max_norm: Some(1.0), ..SgdOptions::default() };
        let sgd = Sgd::new(&[(&parameter, &constants)], &options).expect("an optimiser");
        gpu.submit(|encoder| {
            loss.encode(encoder);
            sgd.encode(encoder);
            Ok(())
        })
        .expect("a submission");
        let square = f64::from(constant) * f64::from(constant);
        let exact = [square, (square * terms as f64).sqrt()];
        for (name, exact, actual) in [("loss", exact[0], loss.loss()), ("norm", exact[1], sgd.norm())] {
            let error = (f64::from(read(actual)[0]) / exact - 1.0).abs();
            assert!(error < 1.5e-6, "{name} of {constant}: {error:.1e} off");
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
        assert_eq!(recorded(&net, "recorded backward"), net.plan().backward_dispatches(), "{batch}");
    }
}
