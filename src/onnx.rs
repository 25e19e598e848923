//! Models of ONNX: the GRUs, plain RNNs and linear layers in them, and layers written as models.
//!
//! ```no_run
//! use wgpu_gru::onnx::{FirstState, Model};
//! use wgpu_gru::{Gru, train::Linear};
//! # fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
//! let model = Model::load("model.onnx")?;
//! for node in model.nodes() {
//!     println!("{node:?}"); // name, operator, sizes, direction, and the layer that it stands on
//! }
//! let layer = model.gru("/encoder/GRU")?; // with the layers above and below: config, weights, a report
//! assert_eq!(layer.first_states, [FirstState::Zero, FirstState::Zero]);
//! let gru = Gru::from_onnx(gpu, &layer)?;
//! let head = Linear::from_onnx(gpu, &model.linear("/head/MatMul")?)?;
//! # Ok(()) }
//! ```
//!
//! # What is read
//! Nodes `GRU` and `RNN` of opset 7 and later with every attribute, where the activations are among those that this
//! crate has; their numbers as FLOAT, FLOAT16, BFLOAT16, or DOUBLE where f32 holds each of them, in the file or in
//! files beside it, also where the graph slices, joins or turns them. [`Model::gru`] makes one layer of nodes that
//! stand on each other, and `Gemm` and `MatMul` are [linear layers](Model::linear).
//!
//! | exporter | what it writes |
//! |---|---|
//! | PyTorch, `dynamo=True` | `nn.GRU` as nodes; an `nn.RNN` as its single steps, which are no layer here |
//! | PyTorch, `dynamo=False` | `nn.GRU` and `nn.RNN` as nodes |
//! | tf2onnx on Keras 2 | `GRU` with `reset_after=True` as nodes; the others as loops, which are no layer here |
//! | Keras 3, `model.export(format="onnx")` | loops: such a model is better read from Keras's own file |
//!
//! # Rows of length 0
//! Their output is zero here as in ONNX Runtime. Their last state is the first state here, as in Keras, and zero in
//! ONNX Runtime, whatever the first state is; ONNX does not say. Who wants ONNX Runtime's numbers unrolls the layer
//! with [`Unroll::zero_empty_rows`](crate::Unroll::zero_empty_rows). What [`Export`] writes has this crate's numbers in
//! ONNX Runtime as well.

pub use crate::weights::onnx::{Export, FirstState, Layer, Linear, Model, Node, Op};
