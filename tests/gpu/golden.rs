//! Layers on the GPU against the numbers of others: of PyTorch's `nn.GRU`, saturating cases among them, and for every
//! option of PyTorch, Keras, ONNX Runtime and ONNX's reference; and PyTorch's losses, embeddings and optimisers. Only the
//! budgets are the crate's own.

use wgpu_gru::train::{Embedding, LossOptions, Parameter};
use wgpu_gru::verify::{Batch, expectation};
use wgpu_gru::{Error, Gpu, Recurrent, Tolerance, Unroll};

use crate::checks::steps::Options;
use crate::support::golden::{Golden, Precision, load_options, load_plain};
use crate::support::steps::{self, SHAPES, STEPS};
use crate::support::train::{Kind, embeddings, losses};
use crate::support::{assert_close, from_bits, kinds, read, record, results, tensor, wide, words, zeros};

trials![
    training_matches_pytorch,
    inference_matches_pytorch,
    every_source,
    losses_of_pytorch,
    embeddings_of_pytorch,
    optimisers_match_pytorch,
];

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

/// Holds everything that a layer makes to what the source expects, and gives how much that was. `None`: the layer is
/// refused, since an activation has no slope from its value.
fn compare(gpu: &Gpu, golden: &Golden, training: bool) -> Option<usize> {
    let (config, batch, [t, b]) = (golden.config(), batch(golden), [golden.seq_len, golden.batch]);
    let layer = Recurrent::with_weights(gpu, config.clone(), &golden.weights()).expect("a layer");
    let unroll = if training { Unroll::training(t, b) } else { Unroll::inference(t, b) };
    let mut net = match layer.unroll(unroll.lengths(batch.lengths.is_some())) {
        Err(Error::NoDerivative { .. }) => return None,
        net => net.expect("an unroll"),
    };
    let (made, budgets) = (results(&mut net, &batch), expectation(&config, &golden.weights(), &batch));
    let mut compared = 0;
    for (name, expected) in golden.expected() {
        let name = if name == "d_x" { "d_input" } else { &name };
        let Some((_, actual)) = made.iter().find(|(made, _)| made == name) else {
            assert!(!training, "{golden}: {name} was not made");
            continue;
        };
        let budget = budgets.iter().find(|budget| budget.tensor == name).expect("a budget").tolerance;
        // Some sources have rounded a parameter, or all of their numbers, to f32.
        let rounded = Tolerance { abs: 32.0 * Tolerance::UNIT_ROUNDOFF, rel: 32.0 * Tolerance::UNIT_ROUNDOFF };
        let budget = if golden.precision == Precision::F64 { budget } else { budget.plus(rounded) };
        assert_close(&format!("{golden}: {name}"), actual, expected, budget);
        compared += 1;
    }
    Some(compared)
}

fn training_matches_pytorch(gpu: &Gpu) {
    for golden in load_plain() {
        assert_eq!(compare(gpu, &golden, true), Some(8), "{golden}: every tensor");
    }
}

fn inference_matches_pytorch(gpu: &Gpu) {
    for golden in load_plain() {
        assert_eq!(compare(gpu, &golden, false), Some(2), "{golden}: output and last states");
    }
}

/// In training; without where that is refused.
fn every_source(gpu: &Gpu) {
    let (mut compared, mut refused) = (0, 0);
    for golden in load_options() {
        compared += compare(gpu, &golden, true).unwrap_or_else(|| {
            refused += 1;
            compare(gpu, &golden, false).expect("inference works")
        });
    }
    assert!(compared > 700 && refused < 5, "{compared} tensors, {refused} layers that do not train");
}

/// Numbers within a few units of the largest, and the same ones that are not finite.
#[track_caller]
fn assert_near(name: &str, actual: &[f32], expected: &[f64]) {
    assert_eq!(kinds(&wide(actual)), kinds(expected), "{name}");
    let finite = actual.iter().zip(expected).filter(|(_, expected)| expected.is_finite());
    let (actual, expected): (Vec<f32>, Vec<f64>) = finite.unzip();
    let largest = expected.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
    assert_close(name, &actual, &expected, Tolerance::pointwise().scaled(4.0 * largest));
}

fn losses_of_pytorch(gpu: &Gpu) {
    for case in losses() {
        let shape = [case.rows, case.columns];
        let (prediction, d) = (tensor(gpu, &shape, &case.prediction()), zeros(gpu, &shape));
        let ignore_index = case.ignored();
        let options = LossOptions { mask: case.weights.is_some(), ignore_index, ..LossOptions::default() };
        let loss = match case.kind {
            Kind::MeanSquaredError => options.mean_squared_error(&prediction, &d),
            Kind::BinaryCrossEntropy => options.binary_cross_entropy(&prediction, &d),
            Kind::CrossEntropy => options.cross_entropy(&prediction, &d),
        };
        let loss = loss.expect("a loss");
        let is_of_classes = case.kind == Kind::CrossEntropy;
        let expected = if is_of_classes { from_bits(&case.classes()) } else { case.expected() };
        loss.expected().write(&expected).expect("what is expected");
        if let Some(weights) = &case.weights {
            loss.mask().and_then(|mask| mask.write(weights)).expect("a mask");
        }
        record(gpu, |encoder| loss.encode(encoder));
        assert_near(&format!("loss of {}", case.name), &read(loss.loss()), &[case.loss]);
        assert_near(&format!("d_prediction of {}", case.name), &read(&d), &case.d_prediction);
    }
}

fn embeddings_of_pytorch(gpu: &Gpu) {
    for case in embeddings() {
        let table = Embedding::with_weights(gpu, [case.rows, case.dim], &case.weight).expect("a table");
        let table = match case.padding_idx {
            // PyTorch's function leaves the row as it is; here it becomes zeros first.
            Some(padding) => {
                let table = table.padding_idx(padding).expect("a row");
                table.parameters()[0].write(&case.weight).expect("weights");
                table
            }
            None => table,
        };
        let layer = table.unroll(&words(gpu, &case.indices)).expect("an unroll");
        layer.d_output().write(&case.d_output).expect("a gradient");
        gpu.submit(|encoder| {
            layer.encode_forward(encoder);
            layer.encode_backward(encoder)
        })
        .expect("a submission");
        assert_near(&format!("output of {}", case.name), &read(layer.output()), &case.output);
        assert_near(&format!("d_weight of {}", case.name), &read(layer.gradients()[0]), &case.d_weight);
    }
}

/// 20 steps with weight decay, momentum, clipping and gradients of several passes.
fn optimisers_match_pytorch(gpu: &Gpu) {
    for case in steps::load().steps {
        let (parameters, passes) = case.draw();
        let parameters: Vec<_> =
            SHAPES.into_iter().zip(&parameters).map(|(shape, host)| tensor(gpu, shape, host)).collect();
        let gradients = SHAPES.map(|shape| zeros(gpu, shape));
        let of = |index: usize| {
            let (value, gradient) = (&parameters[index], &gradients[index]);
            Parameter { value, gradient, weight_decay: case.weight_decays[index] }
        };
        let options = match case.optimiser {
            steps::Kind::Adam => Options::Adam(case.adam()),
            steps::Kind::Sgd => Options::Sgd(case.sgd()),
        };
        let optimiser = options.make([of(0), of(1)]).expect("an optimiser");
        for (step, passes) in (1..).zip(passes) {
            for pass in passes {
                gradients.iter().zip(&pass).for_each(|(gradient, host)| gradient.write(host).expect("a write"));
                if case.accumulate().is_some() {
                    gpu.submit(|encoder| optimiser.encode_accumulate(encoder)).expect("a submission");
                }
            }
            record(gpu, |encoder| optimiser.encode(encoder));
            let Some(expected) = case.after.get(&step) else { continue };
            let actual: Vec<_> = parameters.iter().flat_map(read).collect();
            let tolerance = Tolerance::through_time(1, STEPS);
            assert_close(&format!("parameters after step {step} of {}", case.name), &actual, expected, tolerance);
        }
    }
}
