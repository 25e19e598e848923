//! Mean squared error.

use crate::error::{Error, Result, expect_shape};
use crate::gpu::{Program, ProgramBuilder, Tensor};
use crate::kernels::{MSE, Mse, MseParams};
use crate::lower::{lower, reduction_workgroups};
use crate::plan::ops::{Matrix, Op, SumRows, Vector};
use crate::plan::tensors::Id;

/// The mean over all elements of (prediction - expected)^2, as `nn.MSELoss`, and its gradient.
#[derive(Debug)]
pub struct MeanSquaredError {
    expected: Tensor,
    loss: Tensor,
    d_prediction: Tensor,
    program: Program,
}

impl MeanSquaredError {
    /// The loss of `prediction`, whose gradient goes to `d_prediction`, a tensor of the same shape in another buffer.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`], [`Error::ForeignDevice`], [`Error::Aliased`], [`Error::LimitExceeded`],
    /// [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn new(prediction: &Tensor, d_prediction: &Tensor) -> Result<Self> {
        expect_shape("d_prediction", prediction.shape(), d_prediction.shape())?;
        prediction.expect_same_device("d_prediction", d_prediction)?;
        if prediction.buffer() == d_prediction.buffer() {
            return Err(Error::Aliased { first: "prediction", second: "d_prediction" });
        }
        let gpu = prediction.gpu();
        gpu.check_kernels(&[&MSE])?;
        let len = prediction.len();
        let workgroups = reduction_workgroups(len);
        let expected = Tensor::named(gpu, "expected", prediction.shape(), None)?;
        let loss = Tensor::named(gpu, "loss", &[1], None)?;
        let partial = Tensor::named(gpu, "partial losses", &[workgroups as usize], None)?;

        let (prediction_view, prediction_offset) = prediction.view();
        let (d_prediction_view, d_prediction_offset) = d_prediction.view();
        let params = MseParams {
            len: len as u32,
            prediction_offset,
            d_prediction_offset,
            workgroups,
            inverse_len: 1.0 / len as f32,
        };
        let storage = Mse {
            prediction: prediction_view,
            expected: expected.view().0,
            d_prediction: d_prediction_view,
            partial: partial.view().0,
        };
        let mut builder = ProgramBuilder::new(gpu, "mean squared error");
        builder.once(gpu.kernel(&MSE, &[]), &params, storage.storage(), [workgroups, 1, 1]);
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

    /// What is expected, in the shape of the prediction, to be written.
    #[must_use]
    pub fn expected(&self) -> &Tensor {
        &self.expected
    }

    /// The loss, `[1]`. How many digits it keeps: [Long sums](crate::train#long-sums).
    #[must_use]
    pub fn loss(&self) -> &Tensor {
        &self.loss
    }

    /// Records the loss and the gradient of the prediction.
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder) {
        self.program.encode(encoder);
        self.loss.mark_written();
        self.d_prediction.mark_written();
    }
}
