//! Layers on the GPU against the numbers of others: of PyTorch's `nn.GRU`, saturating cases among them, and for every
//! option of PyTorch, Keras, ONNX Runtime and ONNX's reference; and PyTorch's losses, embeddings and optimisers, by
//! themselves and together in training runs. Only the budgets are the crate's own.

use wgpu_gru::train::{Accumulation, Embedding, Linear, LossOptions, Parameter};
use wgpu_gru::verify::{Batch, expectation};
use wgpu_gru::{Error, ExternalTensors, Gpu, Recurrent, Tolerance, Unroll};

use crate::checks::steps::Options;
use crate::support::golden::{Golden, Precision, load_options, load_plain};
use crate::support::runs::{self, Given, Run, layer_weights};
use crate::support::steps::{self, SHAPES, STEPS};
use crate::support::train::{Kind, embeddings, losses, near};
use crate::support::trained::{Trained, budgets};
use crate::support::{assert_close, from_bits, kinds, read, record, results, tensor, wide, words, zeros};

trials![
    training_matches_pytorch,
    inference_matches_pytorch,
    every_source,
    losses_of_pytorch,
    embeddings_of_pytorch,
    optimisers_match_pytorch,
    runs_of_pytorch,
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
    assert_close(name, &actual, &expected, near(&expected));
}

fn losses_of_pytorch(gpu: &Gpu) {
    for case in losses() {
        let shape = [case.rows, case.columns];
        let (prediction, d) = (tensor(gpu, &shape, &case.prediction()), zeros(gpu, &shape));
        let ignore_index = case.ignored();
        let options = LossOptions { mask: case.weights.is_some(), ignore_index, ..LossOptions::default() };
        let loss = case.kind.make(options, &prediction, &d).expect("a loss");
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

/// What the crate calls an optimiser of PyTorch's, with what clips.
fn optimiser(
    kind: steps::Kind,
    options: &steps::Options,
    clip: [Option<f32>; 2],
    accumulate: Option<Accumulation>,
) -> Options {
    match kind {
        steps::Kind::Adam => Options::Adam(options.adam(clip, accumulate)),
        steps::Kind::Sgd => Options::Sgd(options.sgd(clip, accumulate)),
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
        let options = optimiser(case.optimiser, &case.options, case.clip(), case.accumulate());
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

/// A run by layer, head, loss and optimiser as an app makes them, one submission a step.
fn train(gpu: &Gpu, run: &Run, given: &Given) -> wgpu_gru::Result<Trained> {
    let [t, b, inputs, hidden, outputs] = run.sizes;
    let (of_table, others) = given.parameters.split_at(run.layer());
    let (of_layer, of_head) = others.split_at(4);
    let mut words = None;
    if let (Some(rows), Some(table)) = (run.vocabulary, of_table.first()) {
        let table = Embedding::with_weights(gpu, [rows, inputs], table)?;
        let table = run.padding_idx.map_or(Ok(table.clone()), |row| table.padding_idx(row))?;
        words = Some(table.unroll(&zeros(gpu, &run.outer()))?);
    }
    let (input, d_input) = words.as_ref().map(|words| (words.output().clone(), words.d_output().clone())).unzip();
    let layer = Recurrent::with_weights(gpu, run.config(), &layer_weights(of_layer))?;
    let unroll = Unroll::training(t, b).lengths(run.has_lengths()).input_gradient(words.is_some());
    let mut net = layer.unroll_with(unroll, &ExternalTensors { input, d_input, ..ExternalTensors::default() })?;
    let [states, d_states] = if run.of_last { [net.h_n(), net.d_h_n()?] } else { [net.output(), net.d_output()?] };
    let head = Linear::with_weights(gpu, [outputs, hidden], &of_head[0], &of_head[1])?.unroll(states, d_states)?;
    let (mask, ignore_index, batch_first) = (run.has_weights(), run.ignored(), run.batch_first);
    let options = LossOptions { mask, ignore_index, batch_first };
    let loss = run.kind.make(options, head.output(), head.d_output())?;
    let table = words.iter().flat_map(|words| words.pairs());
    let pairs: Vec<_> = table.chain(net.pairs()?).chain(head.pairs()).collect();
    let optimiser = optimiser(run.optimiser, &run.options, run.clip(), None);
    let optimiser = optimiser.make(pairs.iter().map(|&pair| pair.into()))?;
    let parameters: Vec<_> = pairs.iter().map(|(parameter, _)| (*parameter).clone()).collect();

    let mut losses = Vec::new();
    for step in &given.steps {
        let whole = |numbers: &[u32]| numbers.iter().map(|&number| number as usize).collect::<Vec<_>>();
        match &words {
            Some(words) => words.write_indices(&whole(&step.indices))?,
            None => net.input().write(&step.x)?,
        }
        match run.kind {
            Kind::CrossEntropy => loss.write_classes(&whole(&step.classes))?,
            Kind::MeanSquaredError | Kind::BinaryCrossEntropy => loss.expected().write(&step.numbers)?,
        }
        if let Some(lengths) = &step.lengths {
            net.set_lengths(lengths)?;
        }
        match (&step.weights, &step.lengths) {
            (Some(_), Some(lengths)) => loss.set_lengths(lengths)?,
            (Some(weights), None) => loss.mask()?.write(weights)?,
            (None, _) => {}
        }
        gpu.submit(|encoder| {
            words.iter().for_each(|words| words.encode_forward(encoder));
            net.encode_forward(encoder)?;
            head.encode_forward(encoder);
            loss.encode(encoder);
            head.encode_backward(encoder)?;
            net.encode_backward(encoder)?;
            words.iter().try_for_each(|words| words.encode_backward(encoder))?;
            optimiser.encode(encoder);
            Ok(())
        })?;
        losses.extend(wide(&read(loss.loss())));
    }
    Ok(Trained { losses, parameters: parameters.iter().map(|parameter| wide(&read(parameter))).collect() })
}

/// The loss of each of 20 steps and the parameters after them, with every loss and its options.
fn runs_of_pytorch(gpu: &Gpu) {
    for run in runs::load() {
        let given = run.draw();
        train(gpu, &run, &given).expect("a run").assert_near(&run, &budgets(&run, &given));
    }
}
