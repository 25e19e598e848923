//! Layers written as models of ONNX.

use prost::Message;
use prost::bytes::Bytes;

use super::activations;
use super::proto::{self, attribute_type, data_type};
use crate::config::{Cell, Config, Direction, Reset};
use crate::error::{Error, Result};
use crate::weights::{CellLayout, Weights};

/// The versions of format and operators that are written: of December 2020, so that old runtimes read them.
const IR_VERSION: i64 = 7;
const OPSET: i64 = 13;
/// What protobuf holds in one message.
const MOST_BYTES: usize = i32::MAX as usize;

/// How a layer is written as a model of ONNX, which ONNX Runtime runs with the same numbers.
///
/// | value of the graph | shape | |
/// |---|---|---|
/// | `input` | `[T, B, I]`, or batch-first | |
/// | `h0` | `[LD, B, H]` | with [`Export::h0`], else zeros |
/// | `lengths` | `[B]`, int32 | with [`Export::lengths`] |
/// | `output` | `[T, B, DH]`, or batch-first | |
/// | `h_n` | `[LD, B, H]` | |
///
/// T and B are whatever comes in. Each layer is a node, `gru_l0` and so on; dropout, which acts in training only, is
/// left out.
///
/// ```
/// use wgpu_gru::onnx::{Export, Model};
/// use wgpu_gru::{GruConfig, Weights};
/// let config = GruConfig::new(3, 4).num_layers(2);
/// let weights = Weights::random(&config, 1);
/// let bytes = Export::default().lengths(true).to_bytes(&config, &weights)?;
/// let layer = Model::from_bytes(bytes)?.gru("gru_l0")?;
/// assert_eq!((layer.config, layer.weights), (config, weights));
/// # Ok::<(), wgpu_gru::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Export {
    /// Whether the first states are an input of the graph.
    pub h0: bool,
    /// Whether the lengths of the rows are an input of the graph.
    pub lengths: bool,
}

impl Default for Export {
    /// With first states, without lengths.
    fn default() -> Self {
        Self { h0: true, lengths: false }
    }
}

impl Export {
    /// Whether the first states are an input of the graph, by default yes.
    #[must_use]
    pub fn h0(mut self, h0: bool) -> Self {
        self.h0 = h0;
        self
    }

    /// Whether the lengths of the rows are an input of the graph, by default no. The last state of a row of length 0 is
    /// then its first state, as it is here; ONNX Runtime alone would make it zero, so the graph has a node for that.
    #[must_use]
    pub fn lengths(mut self, lengths: bool) -> Self {
        self.lengths = lengths;
        self
    }

    /// The bytes of a model: the same ones for the same layer.
    ///
    /// # Errors
    /// Those of [`Weights::validate`]; [`Error::LimitExceeded`] for a layer of 2 GB and more, which the format does not
    /// hold.
    pub fn to_bytes<C: Copy + Into<Cell>>(&self, config: &Config<C>, weights: &Weights) -> Result<Vec<u8>> {
        weights.validate(config)?;
        // All else is small.
        expect_fits(config.num_parameters().saturating_mul(4).saturating_add(config.num_layers.saturating_mul(4096)))?;
        let mut writer = Writer::default();
        self.layers(&mut writer, config, weights)?;
        let model = proto::Model {
            ir_version: IR_VERSION,
            producer_name: env!("CARGO_PKG_NAME").into(),
            // So that the bytes of a layer stay the same.
            producer_version: String::new(),
            graph: vec![self.graph(writer, config)],
            opset_import: vec![encoded(&proto::OperatorSet { domain: String::new(), version: OPSET })],
        };
        expect_fits(model.encoded_len())?;
        Ok(model.encode_to_vec())
    }

    /// Writes a model, [`Export::to_bytes`], so that a failure leaves the file that was there as it was.
    ///
    /// # Errors
    /// Those of [`Export::to_bytes`], and [`Error::File`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn save<C: Copy + Into<Cell>>(
        &self,
        path: impl AsRef<std::path::Path>,
        config: &Config<C>,
        weights: &Weights,
    ) -> Result<()> {
        crate::weights::file::save(path.as_ref(), &self.to_bytes(config, weights)?)
    }

    fn graph<C: Copy + Into<Cell>>(&self, writer: Writer, config: &Config<C>) -> Bytes {
        let [outer, inner] = if config.batch_first { ["batch", "seq_len"] } else { ["seq_len", "batch"] };
        let sequence = |name: &str, size: usize| {
            info(name, data_type::FLOAT, &[Size::Named(outer), Size::Named(inner), Size::Of(size)])
        };
        let states = |name: &str| {
            let sizes = [Size::Of(config.num_cells()), Size::Named("batch"), Size::Of(config.hidden_size)];
            info(name, data_type::FLOAT, &sizes)
        };
        let mut input = vec![sequence("input", config.input_size)];
        if self.h0 {
            input.push(states("h0"));
        }
        if self.lengths {
            input.push(info("lengths", data_type::INT32, &[Size::Named("batch")]));
        }
        encoded(&proto::Graph {
            node: writer.nodes,
            name: env!("CARGO_PKG_NAME").into(),
            initializer: writer.initializers,
            input,
            output: vec![sequence("output", config.output_size()), states("h_n")],
            value_info: vec![],
        })
    }

    fn layers<C: Copy + Into<Cell>>(&self, writer: &mut Writer, config: &Config<C>, weights: &Weights) -> Result<()> {
        let (directions, layers) = (config.directions(), config.num_layers);
        let op = if config.cell().gates() == 3 { "GRU" } else { "RNN" };
        let mut value = "input".to_owned();
        if config.batch_first {
            writer.node("Transpose", &["input"], &["input_by_step"], &[integers("perm", vec![1, 0, 2])]);
            value = "input_by_step".into();
        }
        // Y is [T, D, B, H].
        if directions == 2 {
            writer.whole_numbers("features", &[0, 0, -1]);
        } else {
            writer.whole_numbers("directions", &[1]);
        }
        if self.h0 && layers > 1 {
            writer.whole_numbers("cells", &vec![directions as i64; layers]);
            let parts: Vec<_> = (0..layers).map(|layer| format!("h0_l{layer}")).collect();
            let parts: Vec<_> = parts.iter().map(String::as_str).collect();
            writer.node("Split", &["h0", "cells"], &parts, &[integer("axis", 0)]);
        }
        for layer in 0..layers {
            let h0 = match (self.h0, layers) {
                (false, _) => String::new(),
                (true, 1) => "h0".into(),
                (true, _) => format!("h0_l{layer}"),
            };
            let b = writer.weights(config, weights, layer)?;
            let [w, r] = ["W", "R"].map(|letter| format!("{letter}_l{layer}"));
            let mut inputs = vec![&*value, &*w, &*r, &*b, if self.lengths { "lengths" } else { "" }, &*h0];
            while inputs.last() == Some(&"") {
                inputs.pop();
            }
            let [y, h_n] = ["Y", "h_n"].map(|name| format!("{name}_l{layer}"));
            let name = format!("{}_l{layer}", op.to_lowercase());
            writer.named_node(&name, op, &inputs, &[&y, &h_n], &attributes(config));
            let is_last = layer + 1 == layers && !config.batch_first && !config.reversed_output;
            let output = if is_last { "output".into() } else { format!("output_l{layer}") };
            if directions == 2 {
                let by_row = format!("Y_by_row_l{layer}");
                writer.node("Transpose", &[&y], &[&by_row], &[integers("perm", vec![0, 2, 1, 3])]);
                writer.node("Reshape", &[&by_row, "features"], &[&output], &[]);
            } else {
                writer.node("Squeeze", &[&y, "directions"], &[&output], &[]);
            }
            value = output;
        }
        if config.batch_first {
            let output = if config.reversed_output { "output_by_row" } else { "output" };
            writer.node("Transpose", &[&value], &[output], &[integers("perm", vec![1, 0, 2])]);
            value = output.into();
        }
        if config.reversed_output {
            for (name, number) in
                [("backwards", -1), ("before_all", i64::MIN), ("time_axis", i64::from(config.batch_first))]
            {
                writer.whole_numbers(name, &[number]);
            }
            writer.node("Slice", &[&value, "backwards", "before_all", "time_axis", "backwards"], &["output"], &[]);
        }
        self.last_states(writer, layers);
        Ok(())
    }

    fn last_states(&self, writer: &mut Writer, layers: usize) {
        let states: Vec<_> = (0..layers).map(|layer| format!("h_n_l{layer}")).collect();
        let states: Vec<_> = states.iter().map(String::as_str).collect();
        let keeps_first = self.lengths && self.h0;
        let all = if keeps_first { "h_n_or_zero" } else { "h_n" };
        writer.node("Concat", &states, &[all], &[integer("axis", 0)]);
        if keeps_first {
            let zero = proto::Tensor { data_type: data_type::INT32, raw_data: vec![0; 4].into(), ..Default::default() };
            writer.initializer("no_step", zero);
            writer.whole_numbers("outer_axes", &[0, 2]);
            writer.node("Equal", &["lengths", "no_step"], &["is_empty"], &[]);
            writer.node("Unsqueeze", &["is_empty", "outer_axes"], &["is_empty_row"], &[]);
            writer.node("Where", &["is_empty_row", "h0", all], &["h_n"], &[]);
        }
    }
}

fn expect_fits(required: usize) -> Result<()> {
    if required <= MOST_BYTES {
        return Ok(());
    }
    let (what, limit) = ("the bytes of a model of ONNX", "what one file holds");
    Err(Error::LimitExceeded { what, limit, required: required as u64, available: MOST_BYTES as u64 })
}

/// What a node says of its layer.
fn attributes<C: Copy + Into<Cell>>(config: &Config<C>) -> Vec<proto::Attribute> {
    let direction = match config.direction {
        Direction::Forward => "forward",
        Direction::Reverse => "reverse",
        Direction::Bidirectional => "bidirectional",
    };
    let mut of_node = vec![
        integer("hidden_size", config.hidden_size as i64),
        proto::Attribute { s: Some(direction.into()), ..attribute("direction", attribute_type::STRING) },
    ];
    let (mut names, mut alphas, mut betas) = (Vec::new(), Vec::new(), Vec::new());
    for (_, activation) in config.activations() {
        let (name, alpha, beta) = activations::write(activation);
        names.push(name.into());
        alphas.extend(alpha);
        betas.extend(beta);
    }
    of_node.push(proto::Attribute { strings: names, ..attribute("activations", attribute_type::STRINGS) });
    for (name, floats) in [("activation_alpha", alphas), ("activation_beta", betas)] {
        if !floats.is_empty() {
            of_node.push(proto::Attribute { floats, ..attribute(name, attribute_type::FLOATS) });
        }
    }
    if let Some(clip) = config.clip {
        of_node.push(proto::Attribute { f: Some(clip), ..attribute("clip", attribute_type::FLOAT) });
    }
    if let Cell::Gru { reset, .. } = config.cell() {
        of_node.push(integer("linear_before_reset", i64::from(reset == Reset::After)));
    }
    of_node
}

fn attribute(name: &str, r#type: i32) -> proto::Attribute {
    proto::Attribute { name: name.into(), r#type, ..Default::default() }
}

fn integer(name: &str, value: i64) -> proto::Attribute {
    proto::Attribute { i: Some(value), ..attribute(name, attribute_type::INT) }
}

fn integers(name: &str, ints: Vec<i64>) -> proto::Attribute {
    proto::Attribute { ints, ..attribute(name, attribute_type::INTS) }
}

fn encoded(message: &impl Message) -> Bytes {
    message.encode_to_vec().into()
}

/// A size of a value of the graph.
enum Size {
    Of(usize),
    Named(&'static str),
}

fn info(name: &str, elem_type: i32, sizes: &[Size]) -> Bytes {
    let dim = sizes.iter().map(|size| match size {
        Size::Of(size) => proto::Dimension { dim_value: Some(*size as i64), dim_param: None },
        Size::Named(name) => proto::Dimension { dim_value: None, dim_param: Some((*name).into()) },
    });
    let tensor_type = proto::TensorType { elem_type, shape: Some(proto::Shape { dim: dim.collect() }) };
    encoded(&proto::ValueInfo { name: name.into(), r#type: Some(proto::Type { tensor_type: Some(tensor_type) }) })
}

/// Nodes and numbers of a graph, in their order.
#[derive(Default)]
struct Writer {
    nodes: Vec<Bytes>,
    initializers: Vec<Bytes>,
}

impl Writer {
    /// A node whose name is that of its first output.
    fn node(&mut self, op: &str, inputs: &[&str], outputs: &[&str], attributes: &[proto::Attribute]) {
        self.named_node(&format!("make_{}", outputs[0]), op, inputs, outputs, attributes);
    }

    fn named_node(&mut self, name: &str, op: &str, inputs: &[&str], outputs: &[&str], attributes: &[proto::Attribute]) {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        self.nodes.push(encoded(&proto::Node {
            input: names(inputs),
            output: names(outputs),
            name: name.into(),
            op_type: op.into(),
            attribute: attributes.iter().map(encoded).collect(),
            domain: String::new(),
        }));
    }

    fn initializer(&mut self, name: &str, tensor: proto::Tensor) {
        self.initializers.push(encoded(&proto::Tensor { name: name.into(), ..tensor }));
    }

    fn whole_numbers(&mut self, name: &str, values: &[i64]) {
        let raw_data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let (dims, raw_data) = (vec![values.len() as i64], raw_data.into());
        self.initializer(name, proto::Tensor { dims, data_type: data_type::INT64, raw_data, ..Default::default() });
    }

    /// W, R and B of a layer; the name of B, empty where there are no biases.
    fn weights<C: Copy + Into<Cell>>(&mut self, config: &Config<C>, weights: &Weights, layer: usize) -> Result<String> {
        let directions = config.directions();
        let (mut w, mut r, mut b) = (Vec::new(), Vec::new(), Vec::new());
        for cell in &weights.cells[layer * directions..][..directions] {
            let [weight_ih, weight_hh, bias_ih, bias_hh] = cell.to_layout(config, layer, CellLayout::ONNX)?;
            w.extend(weight_ih);
            r.extend(weight_hh);
            b.extend([bias_ih, bias_hh].concat());
        }
        let rows = config.cell().gates() * config.hidden_size;
        for (letter, shape, values) in [
            ("W", &[directions, rows, config.layer_input_size(layer)][..], w),
            ("R", &[directions, rows, config.hidden_size], r),
            ("B", &[directions, 2 * rows], b),
        ] {
            if !values.is_empty() {
                let raw_data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                let (dims, raw_data) = (shape.iter().map(|&size| size as i64).collect(), raw_data.into());
                let tensor = proto::Tensor { dims, data_type: data_type::FLOAT, raw_data, ..Default::default() };
                self.initializer(&format!("{letter}_l{layer}"), tensor);
            }
        }
        Ok(if config.bias { format!("B_l{layer}") } else { String::new() })
    }
}
