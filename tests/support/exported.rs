//! Layers that were exported, and run by ONNX Runtime.

use std::path::PathBuf;

use wgpu_gru::onnx::Export;
use wgpu_gru::verify::Batch;
use wgpu_gru::{Activation, Config, Direction, GruConfig, Reset, RnnConfig, Weights};

/// Their names, what they are, and how they were written.
pub(crate) fn all() -> Vec<(&'static str, Config, Export)> {
    let (plain, lengths) = (Export::default(), Export::default().lengths(true));
    let elu = Activation::Elu { alpha: 0.7 };
    let hard = Activation::HardSigmoid { alpha: 0.3, beta: 0.4 };
    let leaky = Activation::LeakyRelu { alpha: 0.05 };
    let thresholded = Activation::ThresholdedRelu { theta: 0.1 };
    let both = Direction::Bidirectional;
    vec![
        ("gru", GruConfig::new(3, 4).erased(), plain.clone()),
        (
            "gru_zero_h0",
            GruConfig::new(3, 4).num_layers(2).bias(false).batch_first(true).erased(),
            plain.clone().h0(false),
        ),
        (
            "gru_before_directions_apart",
            GruConfig::new(3, 4)
                .num_layers(2)
                .reset(Reset::Before)
                .direction(both)
                .gate_activation(hard)
                .candidate_activation(elu)
                .reverse_gate_activation(Activation::Softsign)
                .reverse_candidate_activation(leaky)
                .clip(0.5)
                .erased(),
            lengths.clone(),
        ),
        (
            "gru_reverse_batch_first",
            GruConfig::new(3, 4).num_layers(3).direction(Direction::Reverse).batch_first(true).dropout(0.5).erased(),
            lengths.clone(),
        ),
        (
            "gru_reversed_output",
            GruConfig::new(3, 4).direction(Direction::Reverse).batch_first(true).reversed_output(true).erased(),
            lengths.clone(),
        ),
        ("gru_linear", GruConfig::new(2, 3).candidate_activation(Activation::Linear).erased(), plain.clone()),
        (
            "rnn_directions_apart",
            RnnConfig::new(3, 4)
                .direction(both)
                .nonlinearity(thresholded)
                .reverse_nonlinearity(Activation::Linear)
                .erased(),
            lengths,
        ),
        ("rnn_relu", RnnConfig::new(3, 4).num_layers(2).nonlinearity(Activation::Relu).clip(0.3).erased(), plain),
    ]
}

pub(crate) fn weights(config: &Config) -> Weights {
    Weights::random(config, 11)
}

/// A file of `tests/golden/onnx/exported`.
pub(crate) fn path(name: &str) -> PathBuf {
    super::onnx::path("exported").join(name)
}

/// What went into such a model, and what ONNX Runtime made of it.
pub(crate) fn numbers(name: &str, config: &Config) -> (Batch, Vec<(&'static str, Vec<f64>)>) {
    let numbers = super::onnx::numbers(&format!("exported/{name}"));
    let x = &numbers.inputs["input"];
    let [batch, seq_len] = if config.batch_first { [0, 1] } else { [1, 0] }.map(|axis: usize| x.shape[axis]);
    let lengths = numbers.inputs.get("lengths");
    let lengths = lengths.map(|lengths| lengths.values.iter().map(|&length| length as usize).collect());
    let zeros = || vec![0.0; config.num_cells() * batch * config.hidden_size];
    let h0 = numbers.inputs.get("h0").map_or_else(zeros, super::onnx::Values::narrow);
    let batch = Batch { lengths, x: x.narrow(), h0, ..Batch::random(config, seq_len, batch, 1) };
    (batch, ["output", "h_n"].map(|name| (name, numbers.outputs[name].values.clone())).to_vec())
}
