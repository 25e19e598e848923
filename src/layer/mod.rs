//! Recurrent layers on the GPU: their parameters, and their unrolled forms.

mod finite;
mod make;
mod memory;
#[cfg(feature = "onnx")]
mod onnx;
mod parameters;
mod places;
mod state_dict;
mod stream;
mod tune;
mod unrolled;
mod watch;
mod workspace;

pub use parameters::{CellParameters, Parameters};
pub use places::ExternalTensors;
pub use stream::{Stream, StreamOptions};
pub use unrolled::{Gradients, Output, Unrolled};
pub use workspace::Workspace;

use crate::config::{Cell, Config, GruCell, RnnCell};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, Tensor};
use crate::plan::Plan;
use crate::unroll::Unroll;
use crate::weights::Weights;

/// A recurrent layer whose parameters live on a GPU: [`Gru`] or [`Rnn`]. The equations are in the
/// [crate's documentation](crate).
///
/// A clone is another handle to the same parameters.
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
/// use wgpu_gru::{Gru, GruConfig, Recurrent, RnnConfig};
/// let gru = Gru::new(gpu, GruConfig::new(8, 32), 1)?;
/// // One whose kind is known at run time only.
/// let any = Recurrent::new(gpu, RnnConfig::new(8, 32).erased(), 1)?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Recurrent<C = Cell> {
    gpu: Gpu,
    config: Config<C>,
    parameters: Parameters,
}

/// A GRU: the gated recurrent unit of Cho et al. (2014).
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
/// use wgpu_gru::{Gru, GruConfig, Tensor};
/// let gru = Gru::new(gpu, GruConfig::new(8, 32), 1)?;
/// let out = gru.forward(&Tensor::zeros(gpu, &[20, 4, 8])?, None)?;
/// assert_eq!(out.output.shape(), [20, 4, 32]);
/// # Ok(()) }
/// ```
pub type Gru = Recurrent<GruCell>;

/// A plain RNN.
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
/// use wgpu_gru::{Rnn, RnnConfig};
/// let rnn = Rnn::new(gpu, RnnConfig::new(8, 32), 1)?;
/// # Ok(()) }
/// ```
pub type Rnn = Recurrent<RnnCell>;

impl<C: Copy + Into<Cell>> Config<C> {
    /// The limits to open a device with on which this layer is to run, out of what the adapter offers
    /// ([`wgpu::Adapter::limits`]): the [`recommended_limits`](Gpu::recommended_limits), since the plan can use more than
    /// it needs. An app joins them with what it needs itself:
    ///
    /// ```no_run
    /// # fn example(adapter: &wgpu_gru::wgpu::Adapter, own: wgpu_gru::wgpu::Limits) -> wgpu_gru::Result<()> {
    /// use wgpu_gru::{Gpu, GruConfig, wgpu};
    /// let limits = GruConfig::new(8, 64).required_limits(&adapter.limits())?;
    /// let descriptor = wgpu::DeviceDescriptor {
    ///     required_features: Gpu::recommended_features(adapter.features()),
    ///     required_limits: limits.or_better_values_from(&own),
    ///     ..Default::default()
    /// };
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Those of [`Config::validate`], and [`Error::LimitExceeded`], which names the limit, where the adapter offers too
    /// little for one step of one row.
    pub fn required_limits(&self, offered: &wgpu::Limits) -> Result<wgpu::Limits> {
        let limits = Gpu::recommended_limits(offered);
        Plan::new(self, &Unroll::inference(1, 1), &limits, wgpu::DeviceType::Other)?;
        Ok(limits)
    }
}

impl<C: Copy + Into<Cell>> Recurrent<C> {
    /// A layer with random weights, see [`Weights::random`].
    ///
    /// # Errors
    /// Those of [`Config::validate`]; [`Error::LimitExceeded`], [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn new(gpu: &Gpu, config: Config<C>, seed: u64) -> Result<Self> {
        config.validate()?;
        Parameters::check_sizes(gpu, &config.erased())?;
        let weights = Weights::random(&config, seed);
        Self::with_weights(gpu, config, &weights)
    }

    /// A layer with given weights.
    ///
    /// # Errors
    /// Those of [`Recurrent::new`], and [`Error::ShapeMismatch`].
    pub fn with_weights(gpu: &Gpu, config: Config<C>, weights: &Weights) -> Result<Self> {
        weights.validate(&config)?;
        let parameters = Parameters::new(gpu, &config.erased(), Some(weights))?;
        Ok(Self { gpu: gpu.clone(), config, parameters })
    }

    /// A layer whose weights lie in given tensors, such as buffers of the app ([`Tensor::from_buffer`]): what the app
    /// writes there the next pass uses. Where a layer has several cells, they take their steps in the same dispatches
    /// only if their recurrent weights (and the biases of those) lie evenly in one buffer.
    ///
    /// # Errors
    /// Those of [`Config::validate`]; [`Error::ShapeMismatch`], [`Error::ForeignDevice`], and, where H is a multiple of
    /// 4, [`Error::Misaligned`] for a tensor that begins at no multiple of 16 bytes.
    pub fn with_parameters(gpu: &Gpu, config: Config<C>, parameters: Parameters) -> Result<Self> {
        config.validate()?;
        parameters.validate(gpu, &config.erased(), "")?;
        Ok(Self { gpu: gpu.clone(), config, parameters })
    }

    /// The GPU that it lives on.
    #[must_use]
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// What the layer is.
    #[must_use]
    pub fn config(&self) -> &Config<C> {
        &self.config
    }

    /// The weights and biases on the GPU.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Replaces the weights, before the next submission's commands run. Everything that was unrolled uses the new ones.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`], [`Error::BufferUsage`]; then no weight has changed.
    pub fn set_weights(&self, weights: &Weights) -> Result<()> {
        weights.validate(&self.config)?;
        self.parameters.write(weights)
    }

    /// Reads the weights, with one wait.
    ///
    /// # Errors
    /// Those of [`Tensor::read`].
    pub async fn read_weights(&self) -> Result<Weights> {
        self.parameters.read().await
    }

    /// [`Recurrent::read_weights`], blocking this thread.
    ///
    /// # Errors
    /// Those of [`Tensor::read`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn read_weights_blocking(&self) -> Result<Weights> {
        self.parameters.read_blocking()
    }

    /// Lays the layer out over time: plans, and makes every buffer, bind group and pipeline, once.
    ///
    /// # Errors
    /// Before anything is made those of [`Plan::new`](crate::Plan::new), and [`Error::OptionUnavailable`] for
    /// [`Unroll::f16_products`] on a [`Gpu`] that was told of no cooperative matrices; [`Error::OutOfMemory`],
    /// [`Error::DeviceLost`].
    pub fn unroll(&self, unroll: Unroll) -> Result<Unrolled> {
        self.unroll_with(unroll, &ExternalTensors::default())
    }

    /// [`unroll`](Self::unroll) with some of the tensors given, such as buffers of the app.
    ///
    /// # Errors
    /// Those of [`unroll`](Self::unroll), and [`Error::ShapeMismatch`], [`Error::ForeignDevice`],
    /// [`Error::Misaligned`], [`Error::Aliased`]; [`Error::TrainingOption`] for a gradient where there is no backward
    /// pass.
    pub fn unroll_with(&self, unroll: Unroll, places: &ExternalTensors) -> Result<Unrolled> {
        Unrolled::new(self, &unroll, places, false)
    }

    /// A stream of frames for so many rows, whose state stays on the GPU from one frame to the next.
    ///
    /// # Errors
    /// Those of [`unroll`](Self::unroll), and [`Error::OptionUnavailable`] for a layer one of whose directions runs in
    /// reverse.
    pub fn stream(&self, options: StreamOptions) -> Result<Stream> {
        self.stream_with(options, &ExternalTensors::default())
    }

    /// [`stream`](Self::stream) with some of the tensors given: `input`, `output`, `workspace`, and as `h0` the state,
    /// such as that of another stream of this layer for chunks of another length.
    ///
    /// # Errors
    /// Those of [`stream`](Self::stream) and [`unroll_with`](Self::unroll_with).
    pub fn stream_with(&self, options: StreamOptions, places: &ExternalTensors) -> Result<Stream> {
        Stream::new(self, options, places)
    }

    /// Runs x `[T, B, I]`, or `[B, T, I]` if batch-first, through the layer from `h0` `[LD, B, H]`, or from zero. It
    /// makes an inference unroll for the shape of x, submits, and does not wait. In a loop keep one [`Unrolled`]
    /// instead: it makes its buffers once.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`], [`Error::ForeignDevice`], and those of [`Recurrent::unroll`].
    pub fn forward(&self, x: &Tensor, h0: Option<&Tensor>) -> Result<Output> {
        let (outer, inner) = match *x.shape() {
            [outer, inner, input_size] if input_size == self.config.input_size => (outer, inner),
            // The sizes that are free are shown as they came, or as 1.
            ref shape => {
                let size = |axis: usize| shape.get(axis).copied().unwrap_or(1);
                let expected = vec![size(0), size(1), self.config.input_size];
                return Err(Error::ShapeMismatch { tensor: "x".into(), expected, actual: shape.to_vec() });
            }
        };
        let (seq_len, batch) = if self.config.batch_first { (inner, outer) } else { (outer, inner) };
        self.unroll(Unroll::inference(seq_len, batch))?.forward(x, h0)
    }
}
