//! First states that are learned.

use crate::error::{Error, Result, expect_shape};
use crate::gpu::{Program, Tensor};
use crate::layer::Unrolled;
use crate::lower::program;
use crate::plan::ops::{Arrange, Arrangement, Matrix, Op, SumRows, Vector};
use crate::plan::tensors::Id;

/// First states of a layer that are a parameter, `[LD, 1, H]`, the same for every row of the batch: before the forward
/// pass they are copied to each row of [`Unrolled::h0`], and after the backward pass their gradient is the sum over the
/// rows of that of `h0`.
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu, gru: &wgpu_gru::Gru) -> wgpu_gru::Result<()> {
/// use wgpu_gru::train::{Adam, AdamOptions, FirstState};
/// use wgpu_gru::{Tensor, Unroll};
/// let state = Tensor::zeros(gpu, &[gru.config().num_cells(), 1, gru.config().hidden_size])?;
/// let mut net = gru.unroll(Unroll::training(64, 16))?;
/// let first = FirstState::new(&state, &net)?;
/// let adam = Adam::new(net.pairs()?.chain([first.pair()?]), &AdamOptions::default())?;
/// gpu.submit(|encoder| {
///     first.encode_forward(encoder);
///     net.encode_forward(encoder)?;
///     // .. head and loss ..
///     net.encode_backward(encoder)?;
///     first.encode_backward(encoder)?;
///     adam.encode(encoder);
///     Ok(())
/// })
/// # }
/// ```
#[derive(Debug)]
pub struct FirstState {
    state: Tensor,
    h0: Tensor,
    forward: Program,
    training: Option<Training>,
}

#[derive(Debug)]
struct Training {
    gradient: Tensor,
    d_h0: Tensor,
    backward: Program,
}

impl FirstState {
    /// The first states of a layer that is unrolled, for training or for inference. `state` is `[LD, 1, H]`; several
    /// layers may share it.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`], [`Error::ForeignDevice`], [`Error::Aliased`] where it lies in the buffer of `h0`;
    /// [`Error::LimitExceeded`], [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn new(state: &Tensor, net: &Unrolled) -> Result<Self> {
        let h0 = net.h0();
        let &[cells, batch, hidden] = h0.shape() else { unreachable!("states have three axes") };
        expect_shape("first state", &[cells, 1, hidden], state.shape())?;
        h0.expect_same_device("first state", state)?;
        if state.buffer() == h0.buffer() {
            return Err(Error::Aliased { first: "first state", second: "h0" });
        }
        let size = [cells, batch, hidden];
        let copy = Op::Arrange(Arrange {
            size,
            // From row to row it stays where it is.
            source: Arrangement { tensor: Id(0), elements: 0..cells * hidden, strides: [hidden, 0], reversed: false },
            destination: Arrangement::whole(Id(1), size, false),
            lengths: None,
            dropout: None,
        });
        let forward = program(h0.gpu(), "first state forward", &[state.clone(), h0.clone()], &[copy])?;
        let training = match net.gradients() {
            Ok(gradients) => Some(Training::new(size, &gradients.h0)?),
            Err(_) => None,
        };
        Ok(Self { state: state.clone(), h0: h0.clone(), forward, training })
    }

    /// The states with their gradient `[LD, 1, H]`, for an optimiser.
    ///
    /// # Errors
    /// [`Error::NotTraining`].
    pub fn pair(&self) -> Result<(&Tensor, &Tensor)> {
        Ok((&self.state, &self.training()?.gradient))
    }

    /// Records that every row begins with the states. It belongs before the forward pass.
    pub fn encode_forward(&self, encoder: &mut wgpu::CommandEncoder) {
        self.forward.encode(encoder);
        self.h0.mark_written();
    }

    /// Records the gradient. It belongs behind the backward pass.
    ///
    /// # Errors
    /// [`Error::NotTraining`], and [`Error::BackwardWithoutForward`] if no backward pass was recorded since the states
    /// were last written to `h0`.
    pub fn encode_backward(&self, encoder: &mut wgpu::CommandEncoder) -> Result<()> {
        let Training { gradient, d_h0, backward } = self.training()?;
        // Versions grow with every write of any tensor.
        if d_h0.version() <= self.h0.version() {
            return Err(Error::BackwardWithoutForward);
        }
        backward.encode(encoder);
        gradient.mark_written();
        Ok(())
    }

    fn training(&self) -> Result<&Training> {
        self.training.as_ref().ok_or(Error::NotTraining)
    }
}

impl Training {
    fn new([cells, batch, hidden]: [usize; 3], d_h0: &Tensor) -> Result<Self> {
        let gradient = Tensor::named(d_h0.gpu(), "d_first_state", &[cells, 1, hidden], None)?;
        let sums = (0..cells).map(|cell| {
            Op::SumRows(SumRows {
                input: Matrix::rows_of(Id(0), cell * batch * hidden, batch, hidden),
                size: [batch, hidden],
                total: Vector { tensor: Id(1), begin: cell * hidden },
                accumulate: false,
                root: false,
            })
        });
        let tensors = [d_h0.clone(), gradient.clone()];
        let backward = program(d_h0.gpu(), "first state backward", &tensors, &sums.collect::<Vec<_>>())?;
        Ok(Self { gradient, d_h0: d_h0.clone(), backward })
    }
}
