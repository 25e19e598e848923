//! The recurrent layer for GPU apps: the gated recurrent unit and the plain RNN, forward and backward through time, as
//! WGSL compute kernels on [wgpu], on Vulkan, Metal, DX12 and in browsers. The hidden state lives in GPU buffers, and
//! every number is checked against a CPU reference.
//!
//! ```no_run
//! use wgpu_gru::{Gpu, Gru, GruConfig, Tensor, Unroll};
//! # fn main() -> wgpu_gru::Result<()> {
//! let gpu = Gpu::new_blocking()?; // or Gpu::from_device(device, queue): the app's own
//! let gru = Gru::new(&gpu, GruConfig::new(28, 64), 1)?; // or Gru::with_weights
//!
//! // Convenient: GPU tensor in, GPU tensors out, nothing waits.
//! let x = Tensor::zeros(&gpu, &[20, 8, 28])?;
//! let out = gru.forward(&x, None)?;
//! let host: Vec<f32> = out.output.read_blocking()?; // the only wait there is
//!
//! // In a loop: everything is made once, then recorded into the app's own encoder.
//! let mut net = gru.unroll(Unroll::training(20, 8))?;
//! println!("{}", net.explain());
//! let mut encoder = gpu.device().create_command_encoder(&wgpu_gru::wgpu::CommandEncoderDescriptor::default());
//! net.encode_forward(&mut encoder)?; // no submit, no allocation
//! net.encode_backward(&mut encoder)?; // gradients in net.gradients()?, on the GPU
//! gpu.queue().submit([encoder.finish()]);
//! # Ok(()) }
//! ```
//!
//! # The mathematics
//! One time step of a GRU, with the input x `[B, I]` and the state h `[B, H]` before it. With the reset gate after the
//! product, (3), it is that of cuDNN and PyTorch; with the reset gate before it, (3'), that of Cho et al. (2014,
//! <https://arxiv.org/abs/1406.1078>):
//!
//! ```text
//! r  = sigmoid(W_ir x + b_ir + W_hr h + b_hr)                        (1) reset gate
//! z  = sigmoid(W_iz x + b_iz + W_hz h + b_hz)                        (2) update gate
//! n  = tanh(W_in x + b_in + r * (W_hn h + b_hn))                     (3) candidate, reset after the product
//! n  = tanh(W_in x + b_in + W_hn (r * h) + b_hn)                     (3') candidate, reset before the product
//! h' = (1 - z) * n + z * h                                           (4) new state
//! ```
//!
//! Backward through time (Werbos 1990), given d_h', the gradient of the loss with respect to h', from the output at
//! this step and from the step after, with hn = W_hn h + b_hn:
//!
//! ```text
//! d_n = d_h' * (1 - z)          d_an = d_n * (1 - n^2)               (5)
//! d_z = d_h' * (h - n)          d_az = d_z * z * (1 - z)             (6)
//! d_r = d_an * hn               d_ar = d_r * r * (1 - r)             (7)
//! d_x_proj = [d_ar, d_az, d_an]    d_h_proj = [d_ar, d_az, d_an * r] (8)
//! d_h = d_h' * z + d_h_proj . W_hh                                   (9)
//! d_x = d_x_proj . W_ih    dW_ih = sum d_x_proj^T x    dW_hh = sum d_h_proj^T h
//! db_ih = sum d_x_proj     db_hh = sum d_h_proj        sums over T and B   (10)
//! ```
//!
//! Reset before the product: with d_q = d_an . W_hn it is d_r = d_q * h, d_h gains d_q * r in the place of the product
//! with W_hn, d_h_proj = d_x_proj, and dW_hn = sum d_an^T (r * h). Other [activations](Activation) replace 1 - n^2 and
//! so on by their own slope, written from the activation's value. The plain RNN is h' = f(W_ih x + b_ih + W_hh h +
//! b_hh).
//!
//! # Shapes
//! PyTorch's names, time-major (or batch-major on request), row-major; the gates always in the order r, z, n. G is 3
//! for a GRU and 1 for a plain RNN, L the number of layers, D that of directions; `in` is I in the first layer and DH
//! above. A gradient has the name of what it belongs to with `d_` before it.
//!
//! | tensor                         | shape       |                                              |
//! |--------------------------------|-------------|----------------------------------------------|
//! | `input`                        | `[T, B, I]` | `seq_len`, `batch`, `input_size`             |
//! | `h0`, `h_n`                    | `[LD, B, H]` | first and last states, `hidden_size`        |
//! | `output`                       | `[T, B, DH]` | the state of the last layer after each step |
//! | `weight_ih`, `weight_hh`       | `[GH, in]`, `[GH, H]` | of each cell: rows of r, then z, then n |
//! | `bias_ih`, `bias_hh`           | `[GH]`      |                                              |
//!
//! # Where things are
//! [`Gpu`] and [`Tensor`] know wgpu; [`GruConfig`] and [`RnnConfig`] say what a layer is; [`Gru`], [`Rnn`] and
//! [`Unrolled`] are the layer, and [`Stream`] its form for apps that go on from frame to frame (the [`guide`] is about
//! those); [`StateDict`] brings weights from elsewhere and keeps them; [`train`] has an embedding, a head, losses and
//! optimisers; [`Plan`] says what will be done; [`verify()`] checks this device against the CPU, with the references of
//! [`mod@reference`]. `ARCHITECTURE.md` in the repository shows how they fit together.
//!
//! # Cargo features
//! None is on by default, and a GPU app needs none.
//!
//! | feature   | what it adds                                                                                            |
//! |-----------|---------------------------------------------------------------------------------------------------------|
//! | `cpu`     | module `cpu`: the fast CPU layer that the GPU is measured against, with gemm, pulp and rayon; not on wasm32 |
//! | `onnx`    | module `onnx`: GRU, RNN and linear nodes of models of ONNX, and layers written as such                 |
//! | `safetensors` | weights and checkpoints in files of safetensors: `StateDict::load` and `save`              |
//! | `keras`, `npz` | layers from what Keras 3 saves: module `keras`; arrays from files of NumPy: `StateDict::load_npz`  |
//! | `harness` | single kernels and checks of them, for this crate's own tests and benches; no promise of stability     |
//!
//! # Errors
//! Every mistake of the caller is an [`Error`] with what was expected and what came, before anything is recorded.
//! Nothing submits behind the app's back except the calls whose documentation says so, and only `read` waits.

#[cfg(all(feature = "cpu", target_arch = "wasm32"))]
compile_error!("the feature `cpu` of wgpu-gru is not for browsers: they lack its threads and instructions");

mod activation;
mod config;
#[cfg(all(feature = "cpu", not(target_arch = "wasm32")))]
pub mod cpu;
mod error;
pub mod f16;
mod finite;
mod gpu;
pub mod guide;
#[cfg(feature = "harness")]
#[doc(hidden)]
pub mod harness;
#[cfg(feature = "keras")]
pub mod keras;
mod kernels;
mod layer;
mod lower;
#[cfg(feature = "onnx")]
pub mod onnx;
mod plan;
pub mod reference;
mod report;
pub mod rng;
mod schedule;
mod target;
mod tolerance;
pub mod train;
mod unroll;
mod verification;
mod weights;

pub use activation::Activation;
pub use config::{Cell, Config, Direction, GruCell, GruConfig, Reset, RnnCell, RnnConfig};
pub use error::{Error, Result};
pub use gpu::{Activity, Gpu, GpuOptions, Program, Tensor};
pub use layer::{
    CellParameters, ExternalTensors, Gradients, Gru, Output, Parameters, Recurrent, Rnn, Stream, StreamOptions,
    Unrolled, Workspace,
};
pub use plan::{Allocation, ExchangeCut, FrameCut, MatmulKernel, Plan, RowsCut, TileCut, TimeLoop};
pub use schedule::{Schedule, Tuning};
pub use tolerance::{Comparison, Tolerance};
pub use unroll::{Mode, Saved, Unroll};
pub use verification::verify;
pub use weights::{Array, Biases, CellLayout, CellWeights, GateOrder, LoadReport, StateDict, Weights};
pub use wgpu;

/// What [`verify()`] is made of: batches, what the oracle says of them, and reports.
pub mod verify {
    pub use crate::finite::{FiniteCheck, NonFinite};
    pub use crate::report::{Report, TensorReport};
    pub use crate::verification::{Batch, Expectation, expectation, expectation_of, verify_batch};
}

/// The README's code is compiled with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
