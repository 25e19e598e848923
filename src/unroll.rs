//! How long and wide a layer is unrolled, and what for.

use crate::error::{Error, Result, at_least_one};
use crate::schedule::{Schedule, Tuning};

/// What an unrolled layer is for.
///
/// ```
/// use wgpu_gru::{Mode, Unroll};
/// assert_eq!(Unroll::training(20, 4).mode, Mode::Training);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Forward only. Nothing is kept for a backward pass.
    Inference,
    /// Forward keeps what backward uses up.
    Training,
}

/// What a forward pass keeps for the backward pass.
///
/// ```
/// use wgpu_gru::{Saved, Unroll};
/// let unroll = Unroll::training(10_000, 64).saved(Saved::Recompute); // a fifth of the memory of a pass
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Saved {
    /// The states and all gates: 5 numbers a unit and step of a GRU, so 20 T B H bytes a cell; 2 of a plain RNN, 8 T B
    /// H.
    #[default]
    Everything,
    /// The states alone: 1 number a unit and step, 4 T B H bytes a cell, and the gates of one chunk of T / 32 steps for
    /// all cells together. Backward makes the gates of one chunk after the other again, with one large product more.
    /// The gradients are the same within rounding: the sums of that product, and those over the chunks, are taken in
    /// another order. A plain RNN with a clip keeps one number more, as with [`Saved::Everything`]: which states the
    /// clip gave, they do not tell themselves. Each gradient is held to the same budget against the oracle as with
    /// [`Saved::Everything`] ([`Tolerance::through_time`](crate::Tolerance::through_time); `tests/checks/options.rs`,
    /// `states_only`).
    Recompute,
    /// The states as they are, and the gates as f16 numbers: 3 numbers of 4 bytes a unit and step of a GRU, so 12 T B H
    /// bytes a cell, and the gates of one chunk of T / 32 steps for all cells together. Backward works with numbers of
    /// 32 bits. It needs no feature of the device. The gradients of a layer are off by
    /// [`Tolerance::f16`](crate::Tolerance::f16) more; states and outputs are the same to the last bit. A plain RNN
    /// keeps what it keeps with [`Saved::Recompute`]. For gates and candidates of sigmoid, tanh and softsign without a
    /// clip: an output that is rounded then tells the slope.
    F16,
}

impl Saved {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Everything, Self::Recompute, Self::F16];
}

/// How a layer is laid out over time: T steps, B rows, for inference or training, and options.
///
/// ```
/// use wgpu_gru::{Saved, Unroll};
/// let unroll = Unroll::training(64, 32).input_gradient(false).saved(Saved::Recompute);
/// assert_eq!((unroll.seq_len, unroll.batch), (64, 32));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Unroll {
    /// T, the number of time steps.
    pub seq_len: usize,
    /// B, the number of rows.
    pub batch: usize,
    /// Inference or training.
    pub mode: Mode,
    /// Whether each row has a length of its own.
    pub lengths: bool,
    /// Whether the last state of a row of length 0 is zero.
    pub zero_empty_rows: bool,
    /// Whether episodes may begin inside of the sequence.
    pub episode_starts: bool,
    /// Whether backward makes the gradient of the input.
    pub input_gradient: bool,
    /// Whether backward reports the norms of `d_h`.
    pub gradient_norms: bool,
    /// What forward keeps for backward.
    pub saved: Saved,
    /// The schedule that was asked for, if one was.
    pub schedule: Option<Schedule>,
    /// What was measured on the device, if something was.
    pub tuning: Option<Tuning>,
    /// Whether a wavefront was asked for or forbidden, if either.
    pub wavefront: Option<bool>,
    /// Whether the steps read the recurrent weights as f16.
    pub f16_weights: bool,
    /// Whether the large products multiply f16 numbers.
    pub f16_products: bool,
    /// The class of adapter that was asked for, if one was.
    pub adapter_class: Option<wgpu::DeviceType>,
}

// Builders make a new value and change none: where one of a `Copy` type takes `mut self` and is called in a closure, rustc 1.95
// at opt-level 1 lets it change the caller's value (tests/plan.rs, `halves`, saw it).
impl Unroll {
    /// Forward only, over `seq_len` T steps of `batch` B rows. A single step of a small layer is one dispatch through all
    /// layers ([`Plan::frame`](crate::Plan::frame)), whose sums are taken in another order than those of a schedule: with
    /// one that is named ([`schedule`](Self::schedule)) the states are those of training to the last bit.
    #[must_use]
    pub fn inference(seq_len: usize, batch: usize) -> Self {
        Self {
            seq_len,
            batch,
            mode: Mode::Inference,
            lengths: false,
            zero_empty_rows: false,
            episode_starts: false,
            input_gradient: false,
            gradient_norms: false,
            saved: Saved::Everything,
            schedule: None,
            tuning: None,
            wavefront: None,
            f16_weights: false,
            f16_products: false,
            adapter_class: None,
        }
    }

    /// Forward and backward, over `seq_len` T steps of `batch` B rows.
    #[must_use]
    pub fn training(seq_len: usize, batch: usize) -> Self {
        Self { mode: Mode::Training, input_gradient: true, ..Self::inference(seq_len, batch) }
    }

    /// Whether each row has a length of its own, by default no. The lengths themselves are set on the unrolled layer,
    /// and are T by default.
    #[must_use]
    pub fn lengths(self, wanted: bool) -> Self {
        Self { lengths: wanted, ..self }
    }

    /// Whether the last state of a row of length 0 is zero, as ONNX Runtime has it, by default no: then it is the row's first
    /// state, as in Keras. (ONNX does not say which.) For inference with [`lengths`](Self::lengths).
    #[must_use]
    pub fn zero_empty_rows(self, wanted: bool) -> Self {
        Self { zero_empty_rows: wanted, ..self }
    }

    /// Whether episodes may begin inside of the sequence, by default no: at the steps that the app names for each row
    /// ([`Unrolled::set_episode_starts`](crate::Unrolled::set_episode_starts)) the state is zero, whatever came before,
    /// and no gradient passes. So one row holds several sequences one behind the other, as reinforcement learning and
    /// packed data have them. Not with [`Saved::Recompute`] of a GRU.
    #[must_use]
    pub fn episode_starts(self, wanted: bool) -> Self {
        Self { episode_starts: wanted, ..self }
    }

    /// Whether backward makes the gradient of the input too (the default). Without it a first layer saves one product
    /// and one buffer of `[T, B, I]`. For training only.
    #[must_use]
    pub fn input_gradient(self, wanted: bool) -> Self {
        Self { input_gradient: wanted, ..self }
    }

    /// Whether backward reports the norm of `d_h` at every step of every cell, by default no. For training only.
    #[must_use]
    pub fn gradient_norms(self, wanted: bool) -> Self {
        Self { gradient_norms: wanted, ..self }
    }

    /// What forward keeps for backward, by default everything. For training only.
    /// [`Plan`](crate::Plan) tells the bytes of each before anything is made.
    #[must_use]
    pub fn saved(self, saved: Saved) -> Self {
        Self { saved, ..self }
    }

    /// How the time loop is laid out over dispatches, where the plan is not to choose. The numbers are the same within
    /// rounding.
    #[must_use]
    pub fn schedule(self, schedule: Schedule) -> Self {
        Self { schedule: Some(schedule), ..self }
    }

    /// Run the steps as [`Recurrent::tune`](crate::Recurrent::tune) found it best for a layer of this kind, unrolled like
    /// this, on this device. The numbers are the same within rounding, and with the same tuning the same bits.
    #[must_use]
    pub fn tuning(self, tuning: Tuning) -> Self {
        Self { tuning: Some(tuning), ..self }
    }

    /// Whether layers are to take their steps in a wavefront, where the plan is not to choose: chunk by chunk, each
    /// layer one chunk behind the one below it, all in the same dispatches. A GPU that one layer does not fill then
    /// works on all of them; the steps of L layers take little longer than those of one. The numbers are the same
    /// within rounding. It can be had for two layers or more of one direction, without dropout.
    #[must_use]
    pub fn wavefront(self, wanted: bool) -> Self {
        Self { wavefront: Some(wanted), ..self }
    }

    /// Whether the steps read the recurrent weights as f16 numbers, by default no. They are half the bytes, of
    /// which a GPU loads all at every step; all sums have 32 bits. Each forward pass rounds the weights anew, which
    /// themselves keep their 32 bits, so that they can be trained. It needs no feature of the device, but a
    /// `hidden_size` that is a multiple of 4. A weight changes by up to 2^-10 of itself, below 2^-14 by up to 2^-24,
    /// and beyond 65504 to that; what that makes of the states and gradients of a layer is in their budgets, see
    /// [`expectation_of`](crate::verify::expectation_of). The weights of the input stay as they are: one large product
    /// reads them once for all steps.
    #[must_use]
    pub fn f16_weights(self, wanted: bool) -> Self {
        Self { f16_weights: wanted, ..self }
    }

    /// Whether the large products, those over all steps of a chunk, multiply f16 numbers, by default no: x_proj, the
    /// gradients of inputs and weights, and gates that are made again. The cooperative matrices of a GPU (tensor cores)
    /// do that; the device must have them, see [`Gpu::set_cooperative_matrices`](crate::Gpu::set_cooperative_matrices).
    /// All sums have 32 bits, and so have weights, states and gradients in memory.
    ///
    /// Each product changes by up to 2^-10 of itself for each of its two operands; what that makes of the states and
    /// gradients of a layer is in their budgets, see [`expectation_of`](crate::verify::expectation_of). Numbers beyond
    /// 65504 become that. Below 2^-14 a number changes by up to 2^-24, so below 2^-24 it may become zero, and a device
    /// may take any of these for zero: where gradients are that small, scale the loss and divide the gradients of the
    /// weights by as much.
    #[must_use]
    pub fn f16_products(self, wanted: bool) -> Self {
        Self { f16_products: wanted, ..self }
    }

    /// Plan as for this class of adapter, where that is not to go by the adapter itself: kernels, tiles and schedule.
    /// The numbers are the same within rounding, so a software adapter can test what a GPU will run.
    #[must_use]
    pub fn adapter_class(self, class: wgpu::DeviceType) -> Self {
        Self { adapter_class: Some(class), ..self }
    }

    /// Checks that there is at least one step and one row, and no option of training for inference.
    ///
    /// # Errors
    /// [`Error::ZeroSize`] for a `seq_len` or `batch` of 0; [`Error::TrainingOption`].
    pub fn validate(&self) -> Result<()> {
        at_least_one("seq_len", self.seq_len)?;
        at_least_one("batch", self.batch)?;
        let of_training = [
            ("input_gradient", self.input_gradient),
            ("gradient_norms", self.gradient_norms),
            ("saved", self.saved != Saved::Everything),
        ];
        match of_training.into_iter().find(|&(_, wanted)| wanted && self.mode == Mode::Inference) {
            Some((option, _)) => Err(Error::TrainingOption { option }),
            None => Ok(()),
        }
    }
}
