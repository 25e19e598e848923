//! The numbers of PyTorch, Keras, ONNX Runtime and ONNX's reference for every option, on the GPU. Only the budgets are the crate's own.

use wgpu_gru::tolerance::UNIT_ROUNDOFF;
use wgpu_gru::verify::{Batch, expectation};
use wgpu_gru::{Error, Gpu, Recurrent, Tensor, Tolerance, Unroll};

use crate::support::golden_options::{Golden, load_all};
use crate::support::{assert_close, read, tensor};

trials![every_source];

fn batch(golden: &Golden) -> Batch {
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
    for golden in load_all() {
        let (config, batch) = (golden.config(), batch(&golden));
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
        if let Some(lengths) = &batch.lengths {
            net.set_lengths(lengths).expect("good lengths");
        }
        let like = |place: &Tensor, host: &[f32]| tensor(gpu, place.shape(), host);
        let (x, h0) = (like(net.input(), &batch.x), like(net.h0(), &batch.h0));
        let out = net.forward(&x, Some(&h0)).expect("a forward pass");
        let mut made = vec![("output".to_owned(), out.output), ("h_n".to_owned(), out.h_n)];
        if trains && golden.upstream().is_some() {
            let d_output = like(net.output(), &batch.d_output);
            let d_h_n = like(net.h_n(), &batch.d_h_n);
            let gradients = net.backward(Some(&d_output), Some(&d_h_n)).expect("a backward pass");
            made.push(("d_x".to_owned(), gradients.input.expect("it is wanted")));
            made.push(("d_h0".to_owned(), gradients.h0));
            let parameters = gradients.parameters.named(&config);
            made.extend(parameters.map(|(name, tensor)| (format!("d_{name}"), tensor.clone())));
        }
        let budgets = expectation(&config, &golden.weights(), &batch);
        for (name, expected) in golden.expected() {
            let Some((_, actual)) = made.iter().find(|(made, _)| *made == name) else {
                assert!(!trains, "{golden}: {name} was not made");
                continue;
            };
            let of = if name == "d_x" { "d_input" } else { &name };
            let budget = budgets.iter().find(|budget| budget.tensor == of).expect("a budget").tolerance;
            // Some sources have rounded a parameter, or all of their numbers, to f32.
            let source = Tolerance { abs: 32.0 * UNIT_ROUNDOFF, rel: 32.0 * UNIT_ROUNDOFF };
            assert_close(&format!("{golden}: {name}"), &read(actual), expected, budget.plus(source));
            compared += 1;
        }
    }
    assert!(compared > 700 && refused < 5, "{compared} tensors, {refused} layers that do not train");
}
