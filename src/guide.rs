//! How the crate lives in an app that has a GPU of its own: in a program on wgpu, in Bevy or another engine, in a
//! browser.
//!
//! # In your app
//! The app owns the device, the queue, the encoder and the frame. The crate is a guest:
//!
//! - [`Gpu::from_device`] takes clones of the handles. It replaces no handler, and needs no feature and no more than
//!   WebGPU's default limits; [`Config::required_limits`] and [`Gpu::recommended_features`] say what makes it faster.
//!   What a layer needs beyond the limits of the device is an [`Error::LimitExceeded`] that names the limit, before
//!   anything is made.
//! - Everything is made by the calls that make something: layers, [`Unrolled`], [`Stream`]. The calls named `encode_*`
//!   and `record_*` put commands into an encoder or an open compute pass of the app, and do nothing else: no
//!   submission, no buffer, no bind group, no wait. [`Gpu::activity`] counts what the crate does;
//!   `tests/gpu/promises.rs` holds it to that.
//! - Data goes through buffers on the GPU, both ways. [`Tensor::from_buffer`] makes a tensor of a slice of the app's
//!   buffer, to be given as one of the [`ExternalTensors`] of a layer; and every tensor that the crate hands out has a
//!   [`Tensor::binding`] for the app's shaders. Bind that, not the whole [`Tensor::buffer`]: the output of a layer lies
//!   in one buffer with the states before it.
//! - The only call that waits is `read`. The calls that submit say so: [`Gpu::submit`], [`Unrolled::forward`],
//!   [`Unrolled::backward`], [`Recurrent::forward`].
//!
//! A [`Stream`] is what most apps want: rows whose state stays on the GPU from frame to frame. Rows begin anew, move
//! and are copied by commands of the CPU ([`Stream::encode_reset_rows`] and others), or without it, by shaders that
//! write [`Stream::gather_indices`]. For a net that learns while the app runs, [`Recurrent::unroll`] for training
//! beside it on the same weights: the stream uses the new weights from its next step on. Weights are swapped by
//! [`Parameters::encode_copy_from`] between two frames, or lie in buffers of the app from the beginning
//! ([`Recurrent::with_parameters`]).
//!
//! A backward pass reads again what its forward pass has read: write inputs, first states, lengths and weights before
//! the forward pass is recorded, or after the backward pass. What the crate writes in between is
//! [`Error::ChangedSinceForward`]; what shaders of the app write in between nobody notices.
//!
//! Mistakes with the crate's own objects are an [`Error`] before anything is recorded. Of wgpu's handles the crate
//! finds what can be found: a buffer that was destroyed or is mapped where the crate itself writes, reads, submits or
//! makes something ([`Error::Refused`]), a pipeline cache or a buffer of another device. wgpu does not say which device
//! an encoder, a compute pass or a queue belongs to, nor whether a buffer is mapped: give [`Gpu::from_device`] the
//! queue of that very device, and the `encode_*` calls encoders of it. Otherwise it is wgpu that complains, to the
//! app's own error handler, when the encoder is finished or submitted.
//!
//! A compute pass of the app keeps its own bind groups but group 0; set pipeline and group 0 again behind a `record_*`
//! call. Everything is `Send + Sync`, so commands can be recorded on a thread of the app's choice.
//!
//! The whole of it, `examples/in_your_app.rs`:
//!
//! ```no_run
#![doc = include_str!("../examples/in_your_app.rs")]
//! ```
//!
//! # In a window, while it learns
//! `examples/engines` is a workspace of its own, with programs that open a window and that run inside Bevy. In `window`
//! the agents of `examples/flock` learn while they fly: the app has a surface and a frame, and records both the step of
//! its stream and a lesson into one encoder. What flies and learns in it, `examples/guide/live.rs` (`App`, `Mind` and
//! `Lessons` are `app.rs` and `mind.rs` in `examples/flock`):
//!
//! ```ignore
#![doc = include_str!("../examples/guide/live.rs")]
//! ```
//!
//! # In Bevy or another engine
//! The engine's wgpu has to be of the crate's version, 30 (`cargo tree -i wgpu` shows both): types of two versions are
//! different types. Bevy 0.20 is on wgpu 30; Bevy 0.19 was on 29, and 0.18 on 27. Where an engine is on another one, it
//! cannot share its device with this version of the crate.
//!
//! What is needed of an engine are the device, the queue, and a place in the frame at which commands are recorded. In
//! Bevy 0.20, `examples/guide/bevy.rs`, which `examples/engines/bevy` runs and holds to the same stream run by hand:
//!
//! ```ignore
#![doc = include_str!("../examples/guide/bevy.rs")]
//! ```
//!
//! - Make layers and streams at load time: pipelines are compiled then. [`Gpu::set_pipeline_cache`] takes the engine's cache.
//! - Make one [`Gpu`] and clone it: tensors of two count as those of two devices.
//! - An engine that has its own handler for lost devices keeps it. The crate then learns of a loss when a `read` fails; make the
//!   layers anew with the new device.
//! - Where a frame budget matters, [`Stream::explain`] tells dispatches, FLOPs and bytes of a step beforehand.
//!
//! # In a browser
//! The crate builds for `wasm32-unknown-unknown` with WebGPU as its backend. What blocks a thread is not there: no `*_blocking`
//! calls. Opening, reading and [`verify()`](crate::verify()) are async; recording is not.
//!
//! ```no_run
//! # async fn example() -> wgpu_gru::Result<()> {
//! use wgpu_gru::{Gpu, Gru, GruConfig, StreamOptions};
//! let gpu = Gpu::new().await?; // Err(Error::NoAdapter { .. }) where the browser has no WebGPU: tell the visitor
//! let gru = Gru::new(&gpu, GruConfig::new(8, 32), 1)?;
//! let stream = gru.stream(StreamOptions::new(64))?;
//! gpu.submit(|encoder| stream.encode_step(encoder))?;
//! let state: Vec<f32> = stream.state().read().await?; // on the event loop, not in front of it
//! # Ok(()) }
//! ```
//!
//! wgpu's handles are not `Send` there, and nothing of the crate is. `web/` in the repository holds a page that trains a model
//! while one looks, and the tests that run in Chromium and under Dawn.

#[cfg(doc)]
use crate::*;

#[doc = include_str!("../docs/options.md")]
pub mod options {}

#[doc = include_str!("../docs/weights.md")]
pub mod weights {}

#[doc = include_str!("../docs/memory.md")]
pub mod memory {}
