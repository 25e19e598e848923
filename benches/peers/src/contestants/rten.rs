//! rten on the CPU, with an ONNX model of one GRU node that is made in memory. Its weights are packed when it is
//! loaded.

use std::cell::RefCell;

use anyhow::Result;
use rten::{Model, ModelOptions, NodeId};
use rten_onnx::onnx::{
    AttributeProto, AttributeType, DataType, Dimension, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    TensorProto, TensorShapeProto, TypeProto, TypeProtoTensor, ValueInfoProto,
};
use rten_onnx::protobuf::{EncodeMessage, ValueWriter};
use rten_tensor::NdTensor;
use rten_tensor::prelude::*;

use crate::case::{Case, Size};
use crate::contestants::Contestant;

/// rten's GRU.
pub(super) struct RtenGru {
    model: Model,
    inputs: [NodeId; 2],
    output: NodeId,
    /// `[T, B, I]`
    x: NdTensor<f32, 3>,
    /// `[1, B, H]`
    h0: NdTensor<f32, 3>,
}

impl RtenGru {
    pub(super) fn new(case: &Case) -> Result<Self> {
        let mut bytes = Vec::new();
        model(case).encode(ValueWriter::new(&mut bytes))?;
        let model = ModelOptions::with_all_ops().prepack_weights(true).load(bytes)?;
        let Size { steps, rows, inputs, units, .. } = case.size;
        Ok(Self {
            inputs: [model.node_id("X")?, model.node_id("initial_h")?],
            output: model.node_id("Y_h")?,
            model,
            x: NdTensor::from_data([steps, rows, inputs], case.batch.x.clone()),
            h0: NdTensor::from_data([1, rows, units], case.batch.h0.clone()),
        })
    }
}

impl Contestant for RtenGru {
    fn run(&mut self) -> Result<Vec<f32>> {
        let [x, h0] = self.inputs;
        let inputs = vec![(x, self.x.view().into()), (h0, self.h0.view().into())];
        let [h_n] = self.model.run_n(inputs, [self.output], None)?;
        let h_n: NdTensor<f32, 3> = h_n.try_into()?;
        Ok(h_n.to_vec())
    }
}

/// The model: X and `initial_h` go in, `Y_h` comes out.
fn model(case: &Case) -> ModelProto {
    let Size { steps, rows, inputs, units, .. } = case.size;
    let cell = case.cell();
    let biases = [in_order_of_onnx(&cell.bias_ih, 1, units), in_order_of_onnx(&cell.bias_hh, 1, units)].concat();
    let node = NodeProto {
        name: text("gru"),
        op_type: text("GRU"),
        input: ["X", "W", "R", "B", "", "initial_h"].map(String::from).into(),
        output: ["", "Y_h"].map(String::from).into(),
        attribute: vec![whole("hidden_size", units), whole("linear_before_reset", 1)],
        ..Default::default()
    };
    let graph = GraphProto {
        node: vec![node],
        initializer: vec![
            constant("W", &[1, 3 * units, inputs], &in_order_of_onnx(&cell.weight_ih, inputs, units)),
            constant("R", &[1, 3 * units, units], &in_order_of_onnx(&cell.weight_hh, units, units)),
            constant("B", &[1, 6 * units], &biases),
        ],
        input: vec![value("X", &[steps, rows, inputs]), value("initial_h", &[1, rows, units])],
        output: vec![value("Y_h", &[1, rows, units])],
        ..Default::default()
    };
    let opset = OperatorSetIdProto { version: Some(14), ..Default::default() };
    ModelProto { ir_version: Some(8), graph: Some(graph), opset_import: vec![opset], ..Default::default() }
}

/// PyTorch's r, z, n as ONNX's z, r, n.
fn in_order_of_onnx(values: &[f32], width: usize, units: usize) -> Vec<f32> {
    let gate = |index: usize| &values[index * units * width..][..units * width];
    [gate(1), gate(0), gate(2)].concat()
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn whole(name: &str, number: usize) -> AttributeProto {
    AttributeProto { name: text(name), i: Some(number as i64), r#type: Some(AttributeType::INT), ..Default::default() }
}

fn constant(name: &str, shape: &[usize], values: &[f32]) -> TensorProto {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    TensorProto {
        name: text(name),
        dims: shape.iter().map(|&size| size as i64).collect(),
        data_type: Some(DataType::FLOAT),
        raw_data: Some(RefCell::new(bytes)),
        ..Default::default()
    }
}

fn value(name: &str, shape: &[usize]) -> ValueInfoProto {
    let dim = |&size: &usize| Dimension { dim_value: Some(size as i64), ..Default::default() };
    let shape = TensorShapeProto { dim: shape.iter().map(dim).collect() };
    let tensor = TypeProtoTensor { elem_type: Some(DataType::FLOAT), shape: Some(shape) };
    ValueInfoProto { name: text(name), r#type: Some(TypeProto { tensor_type: Some(tensor), ..Default::default() }) }
}
