//! The fast CPU layer in f32: the honest rival of the GPU in every comparison.
//!
//! The products that do not depend on the state (`x . W_ih^T` of all steps before the loop, the gradients of the
//! weights and of the input after it) are one gemm each, on all threads. The loop over time is cut by rows of the
//! batch, which do not depend on each other: each thread takes its rows through all steps without waiting for another.
//! A step is one pass: the product with weights that are packed once, the gates and the blend are made of the same
//! registers.
//!
//! | buffer  | shape         | holds                                                                      |
//! |---------|---------------|----------------------------------------------------------------------------|
//! | `h`     | `[T+1, B, H]` | `h0`, then the output                                                      |
//! | `gates` | `[T, B, 4H]`  | `x_proj`, then r, z, n, hn, then `d_ar`, `d_az`, `d_an`, `d_an * r`        |
//!
//! For inference `gates` is `[T, B, 3H]` and holds `x_proj` alone.

mod activation;
mod backward;
mod forward;
mod product;

use crate::activation::Activation;
use crate::config::{Cell, Direction, GruConfig, Reset};
use crate::error::{Error, Result, expect_len};
use crate::unroll::{Mode, Unroll};
use crate::weights::{CellWeights, Weights};
use backward::{BackwardPack, BackwardRows, sum_rows};
use forward::{ForwardPack, ForwardRows};
use product::{Matrix, TILE_ROWS, multiply, multiply_long, room_for};
use pulp::Arch;
use rayon::prelude::*;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// How many products the time loop must have for each thread to be worth its start.
const PRODUCTS_PER_THREAD: usize = 1 << 18;

/// The weights as they came, and packed for the time loop.
#[derive(Debug)]
struct Packed {
    weights: CellWeights,
    forward: ForwardPack,
    /// Made by the first backward pass.
    backward: OnceLock<BackwardPack>,
}

impl Packed {
    fn new(config: &GruConfig, weights: &Weights) -> Result<Arc<Self>> {
        weights.validate(config)?;
        expect_plain(config)?;
        let weights = &weights.cells[0];
        let forward = ForwardPack::new(weights, config.hidden_size, product::lanes());
        Ok(Arc::new(Self { weights: weights.clone(), forward, backward: OnceLock::new() }))
    }

    fn backward(&self, units: usize) -> &BackwardPack {
        self.backward.get_or_init(|| BackwardPack::new(&self.weights, units, product::lanes()))
    }
}

/// The rival is the plain GRU that every framework has: one layer, forward in time, with biases, reset gate after the
/// product, sigmoid and tanh.
fn expect_plain(config: &GruConfig) -> Result<()> {
    let plain = Cell::Gru { reset: Reset::After, gate: Activation::Sigmoid, candidate: Activation::Tanh };
    let options = [
        ("the cell", config.cell() == plain),
        ("num_layers", config.num_layers == 1),
        ("direction", config.direction == Direction::Forward),
        ("bias", config.bias),
        ("batch_first", !config.batch_first),
        ("reversed_output", !config.reversed_output),
        ("clip", config.clip.is_none()),
    ];
    options.into_iter().find(|(_, plain)| !plain).map_or(Ok(()), |(option, _)| unavailable(option))
}

fn unavailable<T>(option: &'static str) -> Result<T> {
    let because = "the CPU layer is a plain GRU of one layer, forward in time, with biases";
    Err(Error::OptionUnavailable { option, because })
}

/// The weights of a layer, shared with everything that was unrolled from it.
type Shared = Arc<RwLock<Arc<Packed>>>;

/// A GRU layer on the CPU.
///
/// ```
/// use wgpu_gru::{GruConfig, Unroll, Weights, cpu::CpuGru};
/// # fn main() -> wgpu_gru::Result<()> {
/// let config = GruConfig::new(3, 5);
/// let gru = CpuGru::new(config.clone(), &Weights::random(&config, 1))?;
/// let mut net = gru.unroll(Unroll::training(4, 2))?;
/// net.forward(&[0.5; 4 * 2 * 3], None)?;
/// assert_eq!(net.output().len(), 4 * 2 * 5);
/// net.backward(None, Some(&[1.0; 2 * 5]))?;
/// assert_eq!(net.gradients().weights.weight_ih.len(), 3 * 5 * 3);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct CpuGru {
    config: GruConfig,
    weights: Shared,
}

impl CpuGru {
    /// A layer with these weights.
    ///
    /// # Errors
    /// [`Error::ZeroSize`] if a size of the config is 0, [`Error::ShapeMismatch`] if a weight has another shape,
    /// [`Error::OptionUnavailable`] for any option but the sizes.
    pub fn new(config: GruConfig, weights: &Weights) -> Result<Self> {
        let packed = Packed::new(&config, weights)?;
        Ok(Self { config, weights: Arc::new(RwLock::new(packed)) })
    }

    /// The sizes of the layer.
    #[must_use]
    pub fn config(&self) -> &GruConfig {
        &self.config
    }

    /// Changes the weights. Everything unrolled from this layer takes them from its next forward pass on; a backward
    /// pass uses those that its forward pass had.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] if a weight has another shape; the weights stay as they were.
    pub fn set_weights(&mut self, weights: &Weights) -> Result<()> {
        let packed = Packed::new(&self.config, weights)?;
        *self.weights.write().unwrap_or_else(PoisonError::into_inner) = packed;
        Ok(())
    }

    /// Lays the layer out over time and allocates everything that its passes need.
    ///
    /// # Errors
    /// [`Error::ZeroSize`] for no steps or no rows, [`Error::OptionUnavailable`] for an option that changes numbers and
    /// is not here, [`Error::OutOfMemory`] if the memory cannot be had.
    pub fn unroll(&self, unroll: Unroll) -> Result<CpuUnrolled> {
        unroll.validate()?;
        for (option, wanted) in [
            ("lengths", unroll.lengths),
            ("zero_empty_rows", unroll.zero_empty_rows),
            ("episode_starts", unroll.episode_starts),
            ("gradient_norms", unroll.gradient_norms),
        ] {
            if wanted {
                return unavailable(option);
            }
        }
        let (seq_len, batch) = (unroll.seq_len, unroll.batch);
        let (inputs, units) = (self.config.input_size, self.config.hidden_size);
        let training = unroll.mode == Mode::Training;
        let d_x_steps = if unroll.input_gradient { seq_len } else { 0 };
        let weight_sizes = if training { 3 * units } else { 0 };
        let room = room_for(seq_len.saturating_mul(batch), units.min(inputs) == 1);
        let gradients = CpuGradients {
            weights: CellWeights {
                weight_ih: zeros("gradient of weight_ih", &[weight_sizes, inputs])?,
                weight_hh: zeros("gradient of weight_hh", &[weight_sizes, units])?,
                bias_ih: zeros("gradient of bias_ih", &[weight_sizes])?,
                bias_hh: zeros("gradient of bias_hh", &[weight_sizes])?,
            },
            input: zeros("gradient of the input", &[d_x_steps, batch, inputs])?,
            h0: zeros("gradient of h0", &[if training { batch } else { 0 }, units])?,
        };
        Ok(CpuUnrolled {
            inputs,
            units,
            shared: Arc::clone(&self.weights),
            packed: None,
            x: zeros("input", &[if training { seq_len } else { 0 }, batch, inputs])?,
            h: zeros("hidden state", &[seq_len.saturating_add(1), batch, units])?,
            gates: zeros("gates", &[seq_len, batch, if training { 4 } else { 3 }, units])?,
            bias_sums: zeros("sums of the biases", &[4, units])?,
            room: zeros("parts of a gradient", &[room, weight_sizes, units.max(inputs)])?,
            gradients,
            unroll,
        })
    }
}

/// A vector of zeros, or an error where the memory cannot be had.
fn zeros(what: &'static str, shape: &[usize]) -> Result<Vec<f32>> {
    let len = shape.iter().try_fold(1_usize, |len, &size| len.checked_mul(size));
    let mut vec = Vec::new();
    match len {
        Some(len) if vec.try_reserve_exact(len).is_ok() => vec.resize(len, 0.0),
        _ => {
            let bytes = shape.iter().fold(4_u64, |bytes, &size| bytes.saturating_mul(size as u64));
            return Err(Error::OutOfMemory { what, bytes });
        }
    }
    Ok(vec)
}

/// What a backward pass gives.
///
/// ```
/// # use wgpu_gru::cpu::CpuGru;
/// # use wgpu_gru::{GruConfig, Unroll, Weights};
/// # let config = GruConfig::new(8, 32);
/// # let mut net = CpuGru::new(config.clone(), &Weights::random(&config, 1))?.unroll(Unroll::training(10, 4))?;
/// net.forward(&[0.5; 10 * 4 * 8], None)?;
/// net.backward(None, Some(&[1.0; 4 * 32]))?;
/// assert_eq!(net.gradients().weights.weight_hh.len(), 3 * 32 * 32);
/// # Ok::<_, wgpu_gru::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct CpuGradients {
    /// Of the weights, each of the shape of what it belongs to.
    pub weights: CellWeights,
    /// Of the input, `[T, B, I]`, or empty where [`Unroll::input_gradient`] was switched off.
    pub input: Vec<f32>,
    /// Of the initial state, `[B, H]`.
    pub h0: Vec<f32>,
}

/// A layer laid out over T steps of B rows, with every buffer that its passes need.
///
/// ```
/// use wgpu_gru::cpu::CpuGru;
/// use wgpu_gru::{GruConfig, Unroll, Weights};
/// let config = GruConfig::new(8, 32);
/// let mut net = CpuGru::new(config.clone(), &Weights::random(&config, 1))?.unroll(Unroll::training(10, 4))?;
/// net.forward(&[0.5; 10 * 4 * 8], None)?;
/// assert_eq!(net.h_n().len(), 4 * 32);
/// # Ok::<_, wgpu_gru::Error>(())
/// ```
#[derive(Debug)]
pub struct CpuUnrolled {
    unroll: Unroll,
    inputs: usize,
    units: usize,
    shared: Shared,
    /// The weights of the last forward pass, as long as no backward pass has used it up.
    packed: Option<Arc<Packed>>,
    x: Vec<f32>,
    h: Vec<f32>,
    gates: Vec<f32>,
    bias_sums: Vec<f32>,
    /// Room for parts of the gradient of a matrix of weights, where that is a sum over many rows.
    room: Vec<f32>,
    gradients: CpuGradients,
}

impl CpuUnrolled {
    /// Runs all steps: `x` is `[T, B, I]`, `h0` is `[B, H]`, or zeros if there is none.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] if `x` or `h0` has another length; nothing has changed then.
    pub fn forward(&mut self, x: &[f32], h0: Option<&[f32]>) -> Result<()> {
        let (seq_len, batch, inputs, units) = self.sizes();
        expect_len("x", &[seq_len, batch, inputs], x.len())?;
        if let Some(h0) = h0 {
            expect_len("h0", &[batch, units], h0.len())?;
        }
        let packed = Arc::clone(&self.shared.read().unwrap_or_else(PoisonError::into_inner));
        let training = self.unroll.mode == Mode::Training;
        let stride = if training { 4 * units } else { 3 * units };
        match h0 {
            Some(h0) => self.h[..batch * units].copy_from_slice(h0),
            None => self.h[..batch * units].fill(0.0),
        }
        if training {
            self.x.copy_from_slice(x);
        }

        let weight_ih = Matrix::new(&packed.weights.weight_ih, 3 * units, inputs, inputs);
        let x = Matrix::new(x, seq_len * batch, inputs, inputs);
        multiply(&mut self.gates, stride, x, weight_ih.transposed());

        let rows = self.rows_per_thread();
        let h = rows_of_steps(&mut self.h, batch, units, rows);
        let gates = rows_of_steps(&mut self.gates, batch, stride, rows);
        let parts = h.into_iter().zip(gates).map(|(h, gates)| {
            let rows = h[0].len() / units;
            ForwardRows { pack: &packed.forward, rows, h, gates }
        });
        on_threads(parts.collect(), |part| Arch::new().dispatch(part));
        self.packed = training.then_some(packed);
        Ok(())
    }

    /// The state after each step, `[T, B, H]`, of the last forward pass.
    #[must_use]
    pub fn output(&self) -> &[f32] {
        &self.h[self.unroll.batch * self.units..]
    }

    /// The state after the last step, `[B, H]`, of the last forward pass.
    #[must_use]
    pub fn h_n(&self) -> &[f32] {
        &self.h[self.unroll.seq_len * self.unroll.batch * self.units..]
    }

    /// Goes back through time and overwrites [`CpuUnrolled::gradients`]. `d_output` is `[T, B, H]`, `d_h_n` is `[B,
    /// H]`; one that is not given is zero. Each backward pass uses up the forward pass before it.
    ///
    /// # Errors
    /// [`Error::NotTraining`] if this was made for inference, [`Error::BackwardWithoutForward`] if there is no forward
    /// pass to use up, [`Error::ShapeMismatch`] if a gradient has another length; nothing has changed then.
    pub fn backward(&mut self, d_output: Option<&[f32]>, d_h_n: Option<&[f32]>) -> Result<()> {
        let (seq_len, batch, inputs, units) = self.sizes();
        if self.unroll.mode != Mode::Training {
            return Err(Error::NotTraining);
        }
        if let Some(d_output) = d_output {
            expect_len("d_output", &[seq_len, batch, units], d_output.len())?;
        }
        if let Some(d_h_n) = d_h_n {
            expect_len("d_h_n", &[batch, units], d_h_n.len())?;
        }
        let packed = self.packed.take().ok_or(Error::BackwardWithoutForward)?;
        let d_h = &mut self.gradients.h0;
        match d_h_n {
            Some(d_h_n) => d_h.copy_from_slice(d_h_n),
            None => d_h.fill(0.0),
        }

        let rows = rows_per_thread(seq_len, batch, units);
        let (pack, h) = (packed.backward(units), &self.h);
        let gates = rows_of_steps(&mut self.gates, batch, 4 * units, rows);
        let parts = gates.into_iter().zip(d_h.chunks_mut(rows * units)).enumerate().map(|(part, (gates, d_h))| {
            let (first, rows) = (part * rows, d_h.len() / units);
            BackwardRows { pack, first, rows, batch, h, d_output, gates, d_h }
        });
        on_threads(parts.collect(), |part| Arch::new().dispatch(part));
        self.weight_gradients(&packed.weights.weight_ih, seq_len * batch, inputs, units);
        Ok(())
    }

    /// (10), from the gradients of the gates in `gates`, over all `rows` T * B.
    fn weight_gradients(&mut self, weight_ih: &[f32], rows: usize, inputs: usize, units: usize) {
        let (stride, gates) = (4 * units, &self.gates);
        let CpuGradients { weights: gradients, input, .. } = &mut self.gradients;
        let d_x_proj = Matrix::new(gates, rows, 3 * units, stride);
        let (d_rz, d_hn) =
            (Matrix::new(gates, rows, 2 * units, stride), Matrix::new(&gates[3 * units..], rows, units, stride));
        let x = Matrix::new(&self.x, rows, inputs, inputs);
        let h = Matrix::new(&self.h, rows, units, units);
        let (to_rz, to_n) = gradients.weight_hh.split_at_mut(2 * units * units);
        let room = &mut self.room;
        multiply_long(&mut gradients.weight_ih, room, d_x_proj.transposed(), x);
        multiply_long(to_rz, room, d_rz.transposed(), h);
        multiply_long(to_n, room, d_hn.transposed(), h);
        if self.unroll.input_gradient {
            multiply(input, inputs, d_x_proj, Matrix::new(weight_ih, 3 * units, inputs, inputs));
        }

        sum_rows(gates, &mut self.bias_sums);
        gradients.bias_ih.copy_from_slice(&self.bias_sums[..3 * units]);
        gradients.bias_hh[..2 * units].copy_from_slice(&self.bias_sums[..2 * units]);
        gradients.bias_hh[2 * units..].copy_from_slice(&self.bias_sums[3 * units..]);
    }

    /// What the last backward pass made; zeros before it, and empty for inference.
    #[must_use]
    pub fn gradients(&self) -> &CpuGradients {
        &self.gradients
    }

    /// T, B, I, H.
    fn sizes(&self) -> (usize, usize, usize, usize) {
        (self.unroll.seq_len, self.unroll.batch, self.inputs, self.units)
    }

    fn rows_per_thread(&self) -> usize {
        rows_per_thread(self.unroll.seq_len, self.unroll.batch, self.units)
    }
}

/// How many rows of the batch a thread takes: whole tiles, so that a row is summed in the same order on any number of
/// threads.
fn rows_per_thread(seq_len: usize, batch: usize, units: usize) -> usize {
    let products = seq_len.saturating_mul(batch).saturating_mul(3 * units).saturating_mul(units);
    let threads = rayon::current_num_threads().min(products / PRODUCTS_PER_THREAD).max(1);
    batch.div_ceil(TILE_ROWS).div_ceil(threads) * TILE_ROWS
}

/// Cuts a buffer `[steps, batch, width]` by rows of the batch: for each part its rows of every step.
fn rows_of_steps(buffer: &mut [f32], batch: usize, width: usize, rows: usize) -> Vec<Vec<&mut [f32]>> {
    let steps = buffer.len() / (batch * width);
    let mut parts: Vec<Vec<&mut [f32]>> = (0..batch.div_ceil(rows)).map(|_| Vec::with_capacity(steps)).collect();
    for step in buffer.chunks_exact_mut(batch * width) {
        for (part, slice) in parts.iter_mut().zip(step.chunks_mut(rows * width)) {
            part.push(slice);
        }
    }
    parts
}

/// Runs every part, each on a thread of its own; a single one on this thread.
fn on_threads<P: Send>(parts: Vec<P>, run: impl Fn(P) + Send + Sync) {
    if parts.len() == 1 {
        parts.into_iter().for_each(run);
    } else {
        parts.into_par_iter().with_max_len(1).for_each(run);
    }
}
