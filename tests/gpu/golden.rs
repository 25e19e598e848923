//! The layer on the GPU against the numbers of PyTorch's `nn.GRU`, saturating cases among them.

use wgpu_gru::verify::Batch;
use wgpu_gru::{Gpu, Unroll};

use crate::support::golden::{Golden, load_all};
use crate::support::{assert_close, expectation, forward, gru, read, tensor};

trials![training_matches_pytorch, inference_matches_pytorch];

fn batch(golden: &Golden) -> Batch {
    Batch {
        seq_len: golden.seq_len,
        batch: golden.batch,
        x: golden.x.clone(),
        h0: golden.h0.clone(),
        d_output: golden.d_output.clone(),
        d_h_n: golden.d_h_n.clone(),
        lengths: None,
        dropout_seed: 0,
    }
}

fn training_matches_pytorch(gpu: &Gpu) {
    for golden in load_all() {
        let gru = gru(gpu, &golden.config(), &golden.weights());
        let mut net = gru.unroll(Unroll::training(golden.seq_len, golden.batch)).expect("an unroll");
        let out = forward(&mut net, gpu, &golden.x, Some(&golden.h0));
        let d_output = tensor(gpu, net.output().shape(), &golden.d_output);
        let d_h_n = tensor(gpu, net.h_n().shape(), &golden.d_h_n);
        let gradients = net.backward(Some(&d_output), Some(&d_h_n)).expect("a backward pass");
        let d_input = gradients.input.expect("the gradient of the input is wanted");
        let d_parameters: Vec<_> = gradients.parameters.tensors().collect();
        let [d_weight_ih, d_weight_hh, d_bias_ih, d_bias_hh] = d_parameters[..] else { panic!("four parameters") };

        // Only the budgets are the crate's own; every expected number is PyTorch's.
        let (_, budgets) = expectation(&golden.config(), &golden.weights(), &batch(&golden));
        let compared = [
            ("output", &out.output, &golden.output),
            ("h_n", &out.h_n, &golden.h_n),
            ("d_input", &d_input, &golden.d_x),
            ("d_h0", &gradients.h0, &golden.d_h0),
            ("d_weight_ih", d_weight_ih, &golden.d_weight_ih_l0),
            ("d_weight_hh", d_weight_hh, &golden.d_weight_hh_l0),
            ("d_bias_ih", d_bias_ih, &golden.d_bias_ih_l0),
            ("d_bias_hh", d_bias_hh, &golden.d_bias_hh_l0),
        ];
        for ((name, actual, expected), budget) in compared.into_iter().zip(budgets) {
            assert_close(&format!("{golden}: {name}"), &read(actual), expected, budget);
        }
    }
}

fn inference_matches_pytorch(gpu: &Gpu) {
    for golden in load_all() {
        let gru = gru(gpu, &golden.config(), &golden.weights());
        let x = tensor(gpu, &[golden.seq_len, golden.batch, golden.input_size], &golden.x);
        let h0 = tensor(gpu, &[1, golden.batch, golden.hidden_size], &golden.h0);
        let out = gru.forward(&x, Some(&h0)).expect("a forward pass");
        let (_, budgets) = expectation(&golden.config(), &golden.weights(), &batch(&golden));
        assert_close(&format!("{golden}: output"), &read(&out.output), &golden.output, budgets[0]);
        assert_close(&format!("{golden}: h_n"), &read(&out.h_n), &golden.h_n, budgets[1]);
    }
}
