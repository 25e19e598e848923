//! Training on the GPU: an embedding, a linear head, losses, optimisers with clipping and gradients of several passes,
//! learning rates from step to step, first states that are learned. Each records into the app's encoder and leaves what
//! it makes in GPU tensors; nothing is read back unless the app does.
//!
//! ```no_run
//! use wgpu_gru::train::{Adam, AdamOptions, Linear, Loss};
//! use wgpu_gru::{Gpu, Gru, GruConfig, Unroll};
//!
//! # fn main() -> wgpu_gru::Result<()> {
//! let gpu = Gpu::new_blocking()?;
//! let gru = Gru::new(&gpu, GruConfig::new(1, 32), 1)?;
//! let linear = Linear::new(&gpu, 32, 1, 2)?;
//!
//! // Everything is made once ...
//! let mut net = gru.unroll(Unroll::training(64, 16).input_gradient(false))?;
//! let mut head = linear.unroll(net.output(), net.d_output()?)?;
//! let loss = Loss::mean_squared_error(head.output(), head.d_output())?;
//! let options = AdamOptions { max_norm: Some(1.0), ..AdamOptions::default() };
//! let adam = Adam::new(net.pairs()?.chain(head.pairs()), &options)?;
//!
//! // ... and recorded again and again: one submission a training step.
//! for _ in 0..100 {
//!     net.input().write(&[0.0; 64 * 16])?;
//!     loss.expected().write(&[0.0; 64 * 16])?;
//!     gpu.submit(|encoder| {
//!         net.encode_forward(encoder)?;
//!         head.encode_forward(encoder);
//!         loss.encode(encoder);
//!         head.encode_backward(encoder)?;
//!         net.encode_backward(encoder)?;
//!         adam.encode(encoder);
//!         Ok(())
//!     })?;
//! }
//! println!("loss {}", loss.loss().read_blocking()?[0]);
//! # Ok(()) }
//! ```
//!
//! # Long sums
//! A gradient of a weight or a bias is a sum over all R = T B rows, the loss and the global norm are sums over all
//! elements. The sums have parts, so that they keep their digits where all terms have one sign and each is rounded the
//! same way. With u = 2^-24, the rounding of one f32, and terms of one sign they are off by at most so much of
//! themselves:
//!
//! | sum                                         | bound                  | for example                     |
//! |---------------------------------------------|------------------------|---------------------------------|
//! | a gradient over R rows, T cut into C chunks | (200 + C + R / 8192) u | 2e-5 at 10^6 rows, 9e-5 at 10^7 |
//! | the loss of n elements                      | (150 + n / 2^22) u     | 1e-5 at 3 10^7, 2.4e-5 at 10^9  |
//! | the cross-entropy of R rows                 | (350 + R / 65536) u    | 2.2e-5 at 10^6                  |
//! | the norm of n elements                      | (150 + n / 2^22) u     | the same, of the largest tensor |
//! | a row of the gradient of an embedding       | (136 + n / 32768) u    | 1e-5 of n = 10^6 places         |
//!
//! The sum of the weights of a mask is another sum of the second kind. Accumulated gradients count as one tensor in
//! their norm. On lavapipe constants were off by a tenth to a fifth of that (`tests/checks/long_sums.rs`,
//! `tests/gpu/optimisers.rs`). Terms of both signs are off by as much of the sum of their sizes.

mod adam;
mod embedding;
mod first_state;
mod linear;
mod loss;
mod methods;
mod optimiser;
mod rate;
mod seen;
mod sgd;

pub use adam::{Adam, AdamOptions};
pub use embedding::{Embedding, EmbeddingInference, UnrolledEmbedding};
pub use first_state::FirstState;
pub use linear::{Linear, LinearInference, UnrolledLinear};
pub use loss::{Loss, LossOptions};
pub use optimiser::{Accumulation, Parameter};
pub use rate::LearningRate;
pub use sgd::{Sgd, SgdOptions};
