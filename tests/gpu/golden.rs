//! Layers on the GPU against the numbers of others: of PyTorch's `nn.GRU`, saturating cases among them, and for every option of
//! PyTorch, Keras, ONNX Runtime and ONNX's reference. Only the budgets are the crate's own.

use wgpu_gru::verify::{self, Batch};
use wgpu_gru::{Error, Gpu, Recurrent, Tolerance, Unroll};

use crate::support::golden::{Golden, load_all};
use crate::support::{assert_close, expectation, golden_options, gru, read, results, tensor};

trials![training_matches_pytorch, inference_matches_pytorch, every_source];

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
        let made = results(&mut net, &batch(&golden));
        let expected = [
            &golden.output,
            &golden.h_n,
            &golden.d_x,
            &golden.d_h0,
            &golden.d_weight_ih_l0,
            &golden.d_weight_hh_l0,
            &golden.d_bias_ih_l0,
            &golden.d_bias_hh_l0,
        ];
        // Only the budgets are the crate's own; every expected number is PyTorch's.
        let (_, budgets) = expectation(&golden.config(), &golden.weights(), &batch(&golden));
        assert_eq!(made.len(), expected.len(), "{golden}: a tensor for each");
        for (((name, actual), expected), budget) in made.iter().zip(expected).zip(budgets) {
            assert_close(&format!("{golden}: {name}"), actual, expected, budget);
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

fn batch_of_options(golden: &golden_options::Golden) -> Batch {
    let config = golden.config();
    let mut batch = Batch::random(&config, golden.seq_len, golden.batch, 1);
    batch.lengths = golden.run().lengths;
    batch.x.clone_from(&golden.x);
    batch.h0.clone_from(&golden.h0);
    if let Some((d_output, d_h_n)) = golden.upstream() {
        (batch.d_output, batch.d_h_n) = (d_output.to_vec(), d_h_n.to_vec());
    }
    batch
}

fn every_source(gpu: &Gpu) {
    let (mut compared, mut refused) = (0, 0);
    for golden in golden_options::load_all() {
        let (config, batch) = (golden.config(), batch_of_options(&golden));
        let layer = Recurrent::with_weights(gpu, config.clone(), &golden.weights()).expect("a layer");
        let has_lengths = batch.lengths.is_some();
        let mode = |training| {
            let [t, b] = [golden.seq_len, golden.batch];
            if training {
                Unroll::training(t, b).lengths(has_lengths)
            } else {
                Unroll::inference(t, b).lengths(has_lengths)
            }
        };
        // An activation without a slope from its value, which cannot be trained: inference alone.
        let training = layer.unroll(mode(true));
        let trains = !matches!(training, Err(Error::NoDerivative { .. }));
        refused += usize::from(!trains);
        let mut net = if trains { training } else { layer.unroll(mode(false)) }.expect("an unroll");
        let made = results(&mut net, &batch);
        let budgets = verify::expectation(&config, &golden.weights(), &batch);
        for (name, expected) in golden.expected() {
            let name = if name == "d_x" { "d_input" } else { &name };
            let Some((_, actual)) = made.iter().find(|(made, _)| made == name) else {
                assert!(!trains, "{golden}: {name} was not made");
                continue;
            };
            let budget = budgets.iter().find(|budget| budget.tensor == name).expect("a budget").tolerance;
            // Some sources have rounded a parameter, or all of their numbers, to f32.
            let source = Tolerance { abs: 32.0 * Tolerance::UNIT_ROUNDOFF, rel: 32.0 * Tolerance::UNIT_ROUNDOFF };
            assert_close(&format!("{golden}: {name}"), actual, expected, budget.plus(source));
            compared += 1;
        }
    }
    assert!(compared > 700 && refused < 5, "{compared} tensors, {refused} layers that do not train");
}
