//! Layers from models of ONNX: those that exporters wrote, and the crate's own, against the numbers of ONNX Runtime.

use wgpu_gru::onnx::{Model, Op};
use wgpu_gru::train::Linear;
use wgpu_gru::verify::{Batch, expectation_of};
use wgpu_gru::{Config, Gpu, Recurrent, Tolerance, Unroll, Weights};

use crate::support::onnx::{Case, MODELS};
use crate::support::{assert_close, exported, read, record, results, tensor};

trials![models_of_exporters, rows_of_length_0, exports];

/// Holds the output and the last states of a layer to what a runtime made of the model; the output.
fn compare(
    name: &str,
    layer: &Recurrent,
    weights: &Weights,
    batch: &Batch,
    expected: &[(&'static str, Vec<f64>)],
) -> Vec<f32> {
    let has_lengths = batch.lengths.is_some();
    let unroll = Unroll::inference(batch.seq_len, batch.batch).lengths(has_lengths);
    compare_unrolled(name, layer, unroll, weights, batch, expected)
}

/// The same by an unroll.
fn compare_unrolled(
    name: &str,
    layer: &Recurrent,
    unroll: Unroll,
    weights: &Weights,
    batch: &Batch,
    expected: &[(&'static str, Vec<f64>)],
) -> Vec<f32> {
    let config: &Config = layer.config();
    let mut net = layer.unroll(unroll).unwrap_or_else(|error| panic!("{name}: {error}"));
    let (made, budgets) = (results(&mut net, batch), expectation_of(config, &unroll, weights, batch));
    assert!(!expected.is_empty(), "{name}: something is expected");
    for (tensor, expected) in expected {
        let (_, actual) = made.iter().find(|(made, _)| made == tensor).expect("a tensor");
        let budget = budgets.iter().find(|budget| budget.tensor == *tensor).expect("a budget").tolerance;
        // The runtime's own rounding, as in `golden.rs`.
        let rounded = Tolerance { abs: 32.0 * Tolerance::UNIT_ROUNDOFF, rel: 32.0 * Tolerance::UNIT_ROUNDOFF };
        assert_close(&format!("{name}: {tensor}"), actual, expected, budget.plus(rounded));
    }
    made.into_iter().find(|(made, _)| made == "output").expect("an output").1
}

fn models_of_exporters(gpu: &Gpu) {
    let mut heads = 0;
    for name in MODELS {
        let case = Case::load(name);
        let layer = Recurrent::from_onnx(gpu, &case.layer).unwrap_or_else(|error| panic!("{name}: {error}"));
        let output = compare(name, &layer, &case.layer.weights, &case.batch, &case.expected);

        let Some(node) = case.model.nodes().iter().find(|node| matches!(node.op, Op::Gemm | Op::MatMul)) else {
            continue;
        };
        let head = Linear::from_onnx(gpu, &case.model.linear(&node.name).expect("a head")).expect("a head");
        let shape = [output.len() / layer.config().output_size(), layer.config().output_size()];
        let head = head.unroll_inference(&tensor(gpu, &shape, &output)).expect("a head");
        record(gpu, |encoder| head.encode_forward(encoder));
        let expected =
            case.numbers.outputs.values().find(|values| values.shape.last() == Some(&2)).expect("its output");
        // Sums of at most 8 products of numbers up to 1, after the rounding of both layers.
        let budget = Tolerance::through_time(12, 4 * case.batch.seq_len).plus(Tolerance::matmul(8).scaled(8.0));
        assert_close(&format!("{name}: the head"), &read(head.output()), &expected.values, budget);
        heads += 1;
    }
    assert_eq!(heads, 6, "heads of PyTorch and Keras");
}

/// As ONNX Runtime has them, whatever the first state is.
fn rows_of_length_0(gpu: &Gpu) {
    let mut case = Case::load("every_attribute");
    case.batch.h0 = case.layer.h0().expect("first states of the file").values().to_vec();
    assert_eq!(case.batch.lengths.as_deref(), Some(&[3, 0, 5][..]), "a row of length 0");
    let layer = Recurrent::from_onnx(gpu, &case.layer).expect("a layer");
    let unroll = Unroll::inference(case.batch.seq_len, 3).lengths(true).zero_empty_rows(true);
    compare_unrolled("zero_empty_rows", &layer, unroll, &case.layer.weights, &case.batch, &case.expected);
}

fn exports(gpu: &Gpu) {
    for (name, config, export) in exported::all() {
        let weights = exported::weights(&config);
        let (batch, expected) = exported::numbers(name, &config);
        let model = Model::from_bytes(export.to_bytes(&config, &weights).expect("a model")).expect("a model");
        let layer = model.layer(&model.nodes()[0].name).expect("a layer");
        let read_again = Recurrent::from_onnx(gpu, &layer).expect("a layer");
        compare(name, &read_again, &weights, &batch, &expected);
    }
}
