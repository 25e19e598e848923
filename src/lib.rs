//! The recurrent layer for GPU apps: the gated recurrent unit, forward and backward through time, as WGSL compute kernels
//! on [wgpu], on Vulkan, Metal, DX12 and in browsers. The hidden state lives in GPU buffers, and every number is checked
//! against a CPU reference.
//!
//! ```no_run
//! use wgpu_gru::{Gpu, Gru, GruConfig, Tensor, Unroll};
//!
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
//! One time step, with the input x `[B, I]` and the state h `[B, H]` before it. It is the unit of Cho et al. (2014,
//! <https://arxiv.org/abs/1406.1078>) with the reset gate applied after the product, as cuDNN and PyTorch have it:
//!
//! ```text
//! r  = sigmoid(W_ir x + b_ir + W_hr h + b_hr)                        (1) reset gate
//! z  = sigmoid(W_iz x + b_iz + W_hz h + b_hz)                        (2) update gate
//! n  = tanh(W_in x + b_in + r * (W_hn h + b_hn))                     (3) candidate
//! h' = (1 - z) * n + z * h                                           (4) new state
//! ```
//!
//! Backward through time (Werbos 1990), given d_h', the gradient of the loss with respect to h', from the output at this
//! step and from the step after, with hn = W_hn h + b_hn:
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
//! # Shapes
//! PyTorch's names, time-major, row-major; the gates always in the order r, z, n. A gradient has the name of what it
//! belongs to with `d_` before it.
//!
//! | tensor                         | shape       |                                              |
//! |--------------------------------|-------------|----------------------------------------------|
//! | `input`                        | `[T, B, I]` | `seq_len`, `batch`, `input_size`             |
//! | `h0`, `h_n`                    | `[B, H]`    | first and last state, `hidden_size`          |
//! | `output`                       | `[T, B, H]` | the state after each step                    |
//! | `weight_ih`, `weight_hh`       | `[3H, I]`, `[3H, H]` | rows of r, then z, then n           |
//! | `bias_ih`, `bias_hh`           | `[3H]`      |                                              |
//!
//! # Where things are
//! [`Gpu`] and [`Tensor`] know wgpu; [`Gru`] and [`UnrolledGru`] are the layer; [`train`] has a head, a loss and an
//! optimiser; [`plan`] says beforehand what will be done; [`verify()`] checks this device against the CPU; [`cpu`] is the
//! fast CPU layer; [`mod@reference`] holds the references. `ARCHITECTURE.md` in the repository shows how they fit together.
//!
//! # Errors
//! Every mistake of the caller is an [`Error`] with what was expected and what came, before anything is recorded. Nothing
//! submits behind the app's back except the calls whose documentation says so, and only `read` waits.

pub mod activation;
pub mod config;
pub mod cpu;
pub mod error;
pub mod gpu;
#[doc(hidden)]
pub mod harness;
mod kernels;
pub mod layer;
mod ops;
pub mod plan;
pub mod reference;
pub mod tolerance;
pub mod train;
pub mod verify;
pub mod weights;

pub use activation::Activation;
pub use config::{Cell, Config, Direction, GruConfig, Mode, Reset, RnnConfig, Saved, Unroll};
pub use error::{Error, Result};
pub use gpu::{Gpu, GpuOptions, Tensor};
pub use layer::{Gradients, Gru, Output, Parameters, Recurrent, Rnn, Unrolled};
pub use plan::Plan;
pub use tolerance::Tolerance;
pub use verify::verify;
pub use weights::{CellWeights, Uniform, Weights};
pub use wgpu;
