//! Losses: means over all elements, with their gradients.

use crate::error::{Error, Result, expect_shape};
use crate::gpu::{KernelSpec, Program, ProgramBuilder, Tensor};
use crate::kernels::{self, BCE, LossParams, MSE};
use crate::lower::{lower, reduction_workgroups};
use crate::plan::ops::{Matrix, Op, SumRows, Vector};
use crate::plan::tensors::Id;

/// The mean over all elements of (prediction - expected)^2, as `nn.MSELoss`, and its gradient.
#[derive(Debug)]
pub struct MeanSquaredError(Loss);

impl MeanSquaredError {
    /// The loss of `prediction`, whose gradient goes to `d_prediction`, a tensor of the same shape in another buffer.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`], [`Error::ForeignDevice`], [`Error::Aliased`], [`Error::LimitExceeded`],
    /// [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn new(prediction: &Tensor, d_prediction: &Tensor) -> Result<Self> {
        let names = ["prediction", "d_prediction"];
        Loss::new(&MSE, "mean squared error", names, prediction, d_prediction).map(Self)
    }

    /// What is expected, in the shape of the prediction, to be written.
    #[must_use]
    pub fn expected(&self) -> &Tensor {
        &self.0.expected
    }

    /// The loss, `[1]`. How many digits it keeps: [Long sums](crate::train#long-sums).
    #[must_use]
    pub fn loss(&self) -> &Tensor {
        &self.0.loss
    }

    /// Records the loss and the gradient of the prediction.
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder) {
        self.0.encode(encoder);
    }
}

/// The mean over all elements of the cross-entropy of two classes, as
/// [`nn.BCEWithLogitsLoss`](https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html), and its
/// gradient. The prediction is a logit x, that is ln(s / (1 - s)) of the probability s = 1 / (1 + e^-x) of the first
/// class; what is expected is a label y, 1 for that class and 0 for the other one, or any other number:
///
/// ```text
/// loss = mean of -(y ln s + (1 - y) ln(1 - s))          d_x = (s - y) / len
/// ```
///
/// It needs no sigmoid behind the head, and is accurate for every finite logit: for labels of 0 and 1 the loss of a
/// logit and its gradient are right to 6 units in the last place, down to 2^-126, where s - 1 itself is 0 from x = 17
/// on. While labels are in \[0, 1\] nothing overflows, nor does the sum of many.
///
/// NaN in a logit or in a label gives a loss of NaN, and a gradient of NaN in that place. The gradient of an infinite
/// logit is finite; its loss is infinite, but NaN if the label is wholly on its side, as 0 times infinity is.
#[derive(Debug)]
pub struct BinaryCrossEntropy(Loss);

impl BinaryCrossEntropy {
    /// The loss of `logits`, whose gradient goes to `d_logits`, a tensor of the same shape in another buffer.
    ///
    /// # Errors
    /// Those of [`MeanSquaredError::new`].
    pub fn new(logits: &Tensor, d_logits: &Tensor) -> Result<Self> {
        Loss::new(&BCE, "binary cross-entropy", ["logits", "d_logits"], logits, d_logits).map(Self)
    }

    /// The labels, in the shape of the logits, to be written.
    #[must_use]
    pub fn expected(&self) -> &Tensor {
        &self.0.expected
    }

    /// The loss, `[1]`. How many digits it keeps: [Long sums](crate::train#long-sums).
    #[must_use]
    pub fn loss(&self) -> &Tensor {
        &self.0.loss
    }

    /// Records the loss and the gradient of the logits.
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder) {
        self.0.encode(encoder);
    }
}

/// What every loss has.
#[derive(Debug)]
struct Loss {
    expected: Tensor,
    loss: Tensor,
    d_prediction: Tensor,
    program: Program,
}

impl Loss {
    /// By a kernel of `shaders/shared/loss.wgsl`; `names` are those of the two tensors.
    fn new(
        kernel: &'static KernelSpec,
        label: &'static str,
        names: [&'static str; 2],
        prediction: &Tensor,
        d_prediction: &Tensor,
    ) -> Result<Self> {
        let [first, second] = names;
        expect_shape(second, prediction.shape(), d_prediction.shape())?;
        prediction.expect_same_device(second, d_prediction)?;
        if prediction.buffer() == d_prediction.buffer() {
            return Err(Error::Aliased { first, second });
        }
        let gpu = prediction.gpu();
        gpu.check_kernels(&[kernel])?;
        let len = prediction.len();
        let workgroups = reduction_workgroups(len);
        let expected = Tensor::named(gpu, "expected", prediction.shape(), None)?;
        let loss = Tensor::named(gpu, "loss", &[1], None)?;
        let partial = Tensor::named(gpu, "partial losses", &[workgroups as usize], None)?;

        let (prediction_view, prediction_offset) = prediction.view();
        let (d_prediction_view, d_prediction_offset) = d_prediction.view();
        let params = LossParams {
            len: len as u32,
            prediction_offset,
            d_prediction_offset,
            workgroups,
            inverse_len: 1.0 / len as f32,
        };
        let storage = kernels::Loss {
            prediction: prediction_view,
            expected: expected.view().0,
            d_prediction: d_prediction_view,
            partial: partial.view().0,
        };
        let mut builder = ProgramBuilder::new(gpu, label);
        builder.once(gpu.kernel(kernel, &[]), &params, storage.storage(), [workgroups, 1, 1]);
        let rows = workgroups as usize;
        let tensors = [partial.clone(), loss.clone()];
        let sum = Op::SumRows(SumRows {
            input: Matrix::rows_of(Id(0), 0, rows, 1),
            size: [rows, 1],
            total: Vector { tensor: Id(1), begin: 0 },
            accumulate: false,
            root: false,
        });
        lower(&mut builder, &tensors, &sum);
        let program = builder.build()?;
        Ok(Self { expected, loss, d_prediction: d_prediction.clone(), program })
    }

    fn encode(&self, encoder: &mut wgpu::CommandEncoder) {
        self.program.encode(encoder);
        self.loss.mark_written();
        self.d_prediction.mark_written();
    }
}
