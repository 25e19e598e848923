//! How long and wide a layer is unrolled, and what for.

use crate::error::{Result, at_least_one};

/// What an unrolled layer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Forward only. Nothing is kept for a backward pass.
    Inference,
    /// Forward keeps what backward uses up.
    Training,
}

/// What a forward pass keeps for the backward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Saved {
    /// The states and all gates: 5 numbers a unit and step of a GRU, 2 of a plain RNN.
    #[default]
    Everything,
    /// The states alone: 1 number a unit and step. Backward makes the gates of one chunk of steps after the other again,
    /// with one large product more. The gradients are the same within rounding: the sums of a product are taken in another
    /// order.
    StatesOnly,
}

/// How a layer is laid out over time: T steps, B rows, for inference or training, and options.
///
/// ```
/// use wgpu_gru::{Saved, Unroll};
/// let unroll = Unroll::training(64, 32).input_gradient(false).saved(Saved::StatesOnly);
/// assert_eq!((unroll.seq_len(), unroll.batch()), (64, 32));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Unroll {
    seq_len: usize,
    batch: usize,
    mode: Mode,
    lengths: bool,
    input_gradient: bool,
    gradient_norms: bool,
    saved: Saved,
}

impl Unroll {
    /// Forward only, over `seq_len` T steps of `batch` B rows.
    #[must_use]
    pub fn inference(seq_len: usize, batch: usize) -> Self {
        Self {
            seq_len,
            batch,
            mode: Mode::Inference,
            lengths: false,
            input_gradient: false,
            gradient_norms: false,
            saved: Saved::Everything,
        }
    }

    /// Forward and backward, over `seq_len` T steps of `batch` B rows.
    #[must_use]
    pub fn training(seq_len: usize, batch: usize) -> Self {
        Self { mode: Mode::Training, input_gradient: true, ..Self::inference(seq_len, batch) }
    }

    /// Whether each row has a length of its own, at first no. The lengths themselves are set on the unrolled layer, and are
    /// T at first.
    #[must_use]
    pub fn lengths(mut self, wanted: bool) -> Self {
        self.lengths = wanted;
        self
    }

    /// Whether backward makes the gradient of the input too (the default). Without it a first layer saves one product
    /// and one buffer of `[T, B, I]`. It has no meaning for inference.
    #[must_use]
    pub fn input_gradient(mut self, wanted: bool) -> Self {
        self.input_gradient = wanted && self.mode == Mode::Training;
        self
    }

    /// Whether backward reports the norm of `d_h` at every step of every cell, at first no. It has no meaning for inference.
    #[must_use]
    pub fn gradient_norms(mut self, wanted: bool) -> Self {
        self.gradient_norms = wanted && self.mode == Mode::Training;
        self
    }

    /// What forward keeps for backward, at first everything. It has no meaning for inference.
    #[must_use]
    pub fn saved(mut self, saved: Saved) -> Self {
        self.saved = saved;
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

    /// Whether each row has a length of its own.
    #[must_use]
    pub fn has_lengths(&self) -> bool {
        self.lengths
    }

    /// Whether backward makes the gradient of the input.
    #[must_use]
    pub fn has_input_gradient(&self) -> bool {
        self.input_gradient
    }

    /// Whether backward reports norms.
    #[must_use]
    pub fn has_gradient_norms(&self) -> bool {
        self.gradient_norms
    }

    /// What forward keeps for backward.
    #[must_use]
    pub fn saved_gates(&self) -> Saved {
        self.saved
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
