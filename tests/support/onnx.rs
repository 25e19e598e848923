//! Models that exporters wrote, and what ONNX Runtime makes of them: `tests/golden/onnx`, see `tests/golden/README.md`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use wgpu_gru::onnx::{FirstState, Layer, Model, Op};
use wgpu_gru::verify::Batch;

/// An array of a file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Values {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f64>,
}

impl Values {
    /// The same numbers as f32, which they were.
    pub(crate) fn narrow(&self) -> Vec<f32> {
        self.values.iter().map(|&value| value as f32).collect()
    }

    /// In another order of axes.
    pub(crate) fn transposed(&self, order: &[usize]) -> Self {
        let strides = |shape: &[usize]| {
            let mut strides = vec![1; shape.len()];
            (1..shape.len()).rev().for_each(|axis| strides[axis - 1] = strides[axis] * shape[axis]);
            strides
        };
        let shape: Vec<usize> = order.iter().map(|&axis| self.shape[axis]).collect();
        let (from, to) = (strides(&self.shape), strides(&shape));
        let place = |index: usize| -> usize {
            (0..shape.len()).map(|axis| index / to[axis] % shape[axis] * from[order[axis]]).sum()
        };
        let values = (0..self.values.len()).map(|index| self.values[place(index)]).collect();
        Self { shape, values }
    }
}

/// What goes into a model and what comes out, by the names of the graph; and the weights, where the source told them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Numbers {
    pub(crate) source: String,
    pub(crate) inputs: BTreeMap<String, Values>,
    pub(crate) outputs: BTreeMap<String, Values>,
    pub(crate) weights: BTreeMap<String, Values>,
}

/// The place of a file of `tests/golden/onnx`.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/onnx").join(name)
}

pub(crate) fn load(name: &str) -> Model {
    Model::load(path(&format!("{name}.onnx"))).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(crate) fn numbers(name: &str) -> Numbers {
    let text = fs::read_to_string(path(&format!("{name}.json"))).unwrap_or_else(|error| panic!("{name}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every model whose nodes are one layer, with numbers.
pub(crate) const MODELS: [&str; 13] = [
    "torchscript_gru",
    "torchscript_gru_bidirectional",
    "torchscript_rnn",
    "torchscript_rnn_bidirectional",
    "torchscript_gru_packed",
    "dynamo_gru",
    "dynamo_gru_bidirectional",
    "dynamo_gru_as_it_stands",
    "keras_gru",
    "keras_gru_bidirectional",
    "every_attribute",
    "defaults",
    "layout_1",
];

/// A model with one layer, what goes into it, and what comes out.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) model: Model,
    pub(crate) numbers: Numbers,
    pub(crate) layer: Layer,
    pub(crate) batch: Batch,
    /// `output` and `h_n`, as far as the source tells them, in the layout of the config.
    pub(crate) expected: Vec<(&'static str, Vec<f64>)>,
}

impl Case {
    /// # Panics
    /// Where the nodes are not one layer, or anything of the files is not used.
    pub(crate) fn load(name: &'static str) -> Self {
        let (model, numbers) = (load(name), numbers(name));
        let is_recurrent = |op| matches!(op, Op::Gru | Op::Rnn);
        let nodes: Vec<_> = model.nodes().iter().filter(|node| is_recurrent(node.op)).collect();
        let layer = model.layer(&nodes[0].name).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(nodes.iter().map(|node| &node.name).eq(&layer.nodes), "{name}: all nodes, {:?}", layer.nodes);

        let config = &layer.config;
        let is_input = |value: &&Values| value.shape.len() == 3 && value.shape[2] == config.input_size;
        let x = numbers.inputs.get(&layer.input).filter(is_input).unwrap_or_else(|| panic!("{name}: {}", layer.input));
        let [batch, seq_len] = if config.batch_first { [0, 1] } else { [1, 0] }.map(|axis: usize| x.shape[axis]);
        let lengths = numbers.inputs.get("lengths");
        assert_eq!(lengths.is_some(), layer.lengths.is_some(), "{name}: lengths");
        let lengths: Option<Vec<usize>> =
            lengths.map(|lengths| lengths.values.iter().map(|&length| length as usize).collect());
        let mut h0 = match (numbers.inputs.get("h0"), &layer.first_states[0]) {
            // That of a node which is batch-first itself, [B, D, H].
            (Some(h0), FirstState::Given(value)) if value == "h0" && name == "layout_1" => {
                h0.transposed(&[1, 0, 2]).narrow()
            }
            (Some(h0), FirstState::Given(_)) => h0.narrow(),
            (None, FirstState::Constant(_)) => layer.h0().expect("numbers").values().to_vec(),
            (None, FirstState::Zero) => vec![0.0; config.num_cells() * batch * config.hidden_size],
            other => panic!("{name}: {other:?}"),
        };
        // Rows of length 0 as ONNX Runtime has them: see the documentation of `wgpu_gru::onnx`.
        for row in (0..batch).filter(|&row| lengths.as_ref().is_some_and(|lengths| lengths[row] == 0)) {
            for state in h0.chunks_mut(batch * config.hidden_size) {
                state[row * config.hidden_size..][..config.hidden_size].fill(0.0);
            }
        }
        let batch = Batch { lengths, x: x.narrow(), h0, ..Batch::random(config, seq_len, batch, 1) };
        let expected = expected(&layer, &numbers);
        assert!(!expected.is_empty(), "{name}: something is expected");
        Self { name, model, numbers, layer, batch, expected }
    }
}

fn expected(layer: &Layer, numbers: &Numbers) -> Vec<(&'static str, Vec<f64>)> {
    let output = match (&layer.output, numbers.outputs.get("Y")) {
        (Some(output), _) => numbers.outputs.get(output).cloned(),
        // [B, T, D, H] is [B, T, DH], and [T, D, B, H] is not.
        (None, Some(y)) if layer.config.batch_first => Some(y.clone()),
        (None, Some(y)) => Some(y.transposed(&[0, 2, 1, 3])),
        (None, None) => None,
    };
    let h_n = numbers.outputs.get("h_n").cloned();
    let y_h = numbers.outputs.get("Y_h");
    let h_n =
        h_n.or_else(|| y_h.map(|y_h| if layer.config.batch_first { y_h.transposed(&[1, 0, 2]) } else { y_h.clone() }));
    let both = [("output", output), ("h_n", h_n)];
    both.into_iter().filter_map(|(name, values)| Some((name, values?.values))).collect()
}
