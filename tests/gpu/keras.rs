//! Layers from files that Keras wrote, and its numbers forward and backward.

use wgpu_gru::verify::expectation;
use wgpu_gru::{ExternalTensors, Gpu, Recurrent, Tolerance, Unroll};

use crate::support::keras::{FUNCTIONAL, SEQUENTIAL, cases, model, numbers};
use crate::support::{assert_close, read, record, results, zeros};

trials![layers_of_keras, a_model_of_keras, ready_layers];

/// Every recurrent layer of every file, with its gradients, within the budgets of the crate; and what Keras made was
/// rounded to f32.
fn layers_of_keras(gpu: &Gpu) {
    let mut compared = 0;
    for case in cases() {
        let layer = Recurrent::with_weights(gpu, case.config.clone(), &case.weights).expect("a layer");
        let mut net = layer.unroll(Unroll::training(case.batch.seq_len, case.batch.batch)).expect("an unroll");
        let made = results(&mut net, &case.batch);
        let budgets = expectation(&case.config, &case.weights, &case.batch);
        for (tensor, expected) in &case.expected {
            let actual = &made.iter().find(|(made, _)| made == tensor).expect(tensor).1;
            let budget = budgets.iter().find(|budget| budget.tensor == *tensor).expect("a budget").tolerance;
            let rounded = Tolerance { abs: 32.0 * Tolerance::UNIT_ROUNDOFF, rel: 32.0 * Tolerance::UNIT_ROUNDOFF };
            assert_close(&format!("{}: {tensor}", case.name), actual, expected, budget.plus(rounded));
            compared += 1;
        }
    }
    assert_eq!(compared, 44, "every array of every layer");
}

/// A whole model by the names of its layers: classes in, logits out.
fn a_model_of_keras(gpu: &Gpu) {
    let (model, numbers) = (model(SEQUENTIAL), numbers());
    let [classes, logits] = ["classes", "logits"].map(|name| numbers.get(name).expect(name));
    let [batch, seq_len] = *classes.shape() else { panic!("{:?}", classes.shape()) };
    let (table, _) = model.embedding(gpu, "embedding").expect("a table");
    let (both, report) = model.gru(gpu, &["bidirectional"]).expect("a GRU");
    assert_eq!((report.used.len(), report.unused.len()), (6, 0), "both directions");
    let (gru, _) = model.gru(gpu, &["gru_1"]).expect("a GRU");
    let (rnn, _) = model.rnn(gpu, &["simple_rnn"]).expect("an RNN");
    let (head, report) = model.linear(gpu, "dense").expect("a head");
    assert_eq!(report.used, ["layers/dense/vars/0", "layers/dense/vars/1"], "the head");

    let words = table.unroll(&zeros(gpu, &[batch, seq_len])).expect("an unroll");
    let unroll = || Unroll::inference(seq_len, batch);
    let reads = |input| ExternalTensors { input: Some(input), ..ExternalTensors::default() };
    let mut first = both.unroll_with(unroll(), &reads(words.output().clone())).expect("an unroll");
    let mut second = gru.unroll(unroll()).expect("an unroll");
    let mut third = rnn.unroll(unroll()).expect("an unroll");
    let head = head.unroll_inference(third.output()).expect("a head");
    let indices: Vec<usize> = classes.values().iter().map(|&class| class as usize).collect();
    words.write_indices(&indices).expect("classes");
    record(gpu, |commands| {
        words.encode_forward(commands);
        first.encode_forward(commands).expect("forward");
        second.input().encode_copy_from(commands, first.output()).expect("a copy");
        second.encode_forward(commands).expect("forward");
        third.input().encode_copy_from(commands, second.output()).expect("a copy");
        third.encode_forward(commands).expect("forward");
        head.encode_forward(commands);
    });
    // Three layers of 5 steps, of which one without a bound on its state, and a head.
    let tolerance = Tolerance::through_time(11, 3 * seq_len).scaled(4.0);
    assert_eq!(head.output().shape(), logits.shape(), "logits");
    assert_close("logits", &read(head.output()), logits.values(), tolerance);
}

/// Layers that become one, and a head without bias.
fn ready_layers(gpu: &Gpu) {
    let model = model(FUNCTIONAL);
    let (stack, report) = model.gru(gpu, &["stack/lower", "stack/upper"]).expect("two GRUs");
    assert_eq!((stack.config().num_layers, report.used.len()), (2, 6), "both layers");
    let (config, weights, _) = model.gru_weights(&["stack/lower", "stack/upper"]).expect("two GRUs");
    assert_eq!((stack.config(), stack.read_weights_blocking().expect("weights")), (&config, weights), "on the GPU");
    let (head, report) = model.linear(gpu, "head").expect("a head");
    assert_eq!(report.used, ["layers/dense/vars/0"], "no bias");
    let [weight] = head.parameters()[..] else { panic!("a weight and no bias") };
    let kernel = model.state_dict().get("layers/dense/vars/0").expect("a kernel");
    let [rows, columns] = *kernel.shape() else { panic!("{:?}", kernel.shape()) };
    assert_eq!(weight.shape(), [columns, rows], "PyTorch's");
    let weight = read(weight);
    for row in 0..rows {
        for column in 0..columns {
            assert_eq!(weight[column * rows + row], kernel.values()[row * columns + column], "transposed");
        }
    }
    assert!(model.embedding(gpu, "head").is_err() && model.linear(gpu, "cell").is_err(), "of another class");
}
