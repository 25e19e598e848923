//! What a layer is, and how long and wide it is unrolled.

use crate::error::{Result, at_least_one};

/// A GRU layer: `input_size` I features in, `hidden_size` H units.
///
/// The names are those of PyTorch's `nn.GRU`.
///
/// ```
/// use wgpu_gru::GruConfig;
/// let config = GruConfig::new(28, 64);
/// assert_eq!((config.input_size(), config.hidden_size()), (28, 64));
/// assert_eq!(config.num_parameters(), 3 * 64 * (28 + 64 + 2));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GruConfig {
    input_size: usize,
    hidden_size: usize,
}

impl GruConfig {
    /// A layer with `input_size` features in and `hidden_size` units, candidate with the reset gate after the product.
    #[must_use]
    pub fn new(input_size: usize, hidden_size: usize) -> Self {
        Self { input_size, hidden_size }
    }

    /// I, the number of features of the input.
    #[must_use]
    pub fn input_size(&self) -> usize {
        self.input_size
    }

    /// H, the number of units of the hidden state.
    #[must_use]
    pub fn hidden_size(&self) -> usize {
        self.hidden_size
    }

    /// How many numbers the weights and biases hold.
    #[must_use]
    pub fn num_parameters(&self) -> usize {
        3 * self.hidden_size * (self.input_size + self.hidden_size + 2)
    }

    /// Checks that the layer can exist. Everything that takes a config calls this first.
    ///
    /// # Errors
    /// [`Error::ZeroSize`](crate::Error::ZeroSize) for an `input_size` or `hidden_size` of 0.
    pub fn validate(&self) -> Result<()> {
        at_least_one("input_size", self.input_size)?;
        at_least_one("hidden_size", self.hidden_size)
    }
}

/// What an unrolled layer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Forward only. Nothing is saved for a backward pass.
    Inference,
    /// Forward saves r, z, n and hn of every step, backward uses them up.
    Training,
}

/// How a layer is laid out over time: T steps, B rows, for inference or training.
///
/// ```
/// use wgpu_gru::Unroll;
/// let unroll = Unroll::training(64, 32).input_gradient(false);
/// assert_eq!((unroll.seq_len(), unroll.batch()), (64, 32));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Unroll {
    seq_len: usize,
    batch: usize,
    mode: Mode,
    input_gradient: bool,
}

impl Unroll {
    /// Forward only, over `seq_len` T steps of `batch` B rows.
    #[must_use]
    pub fn inference(seq_len: usize, batch: usize) -> Self {
        Self { seq_len, batch, mode: Mode::Inference, input_gradient: false }
    }

    /// Forward and backward, over `seq_len` T steps of `batch` B rows.
    #[must_use]
    pub fn training(seq_len: usize, batch: usize) -> Self {
        Self { seq_len, batch, mode: Mode::Training, input_gradient: true }
    }

    /// Whether backward makes the gradient of the input too (the default). Without it a first layer saves one product
    /// and one buffer of `[T, B, I]`. It has no meaning for inference.
    #[must_use]
    pub fn input_gradient(mut self, wanted: bool) -> Self {
        self.input_gradient = wanted && self.mode == Mode::Training;
        self
    }

    /// T, the number of time steps.
    #[must_use]
    pub fn seq_len(&self) -> usize {
        self.seq_len
    }

    /// B, the number of rows.
    #[must_use]
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Inference or training.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether backward makes the gradient of the input.
    #[must_use]
    pub fn has_input_gradient(&self) -> bool {
        self.input_gradient
    }

    /// Checks that there is at least one step and one row.
    ///
    /// # Errors
    /// [`Error::ZeroSize`](crate::Error::ZeroSize) for a `seq_len` or `batch` of 0.
    pub fn validate(&self) -> Result<()> {
        at_least_one("seq_len", self.seq_len)?;
        at_least_one("batch", self.batch)
    }
}
