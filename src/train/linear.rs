//! A linear layer, the head of a recurrent one.

use crate::error::{Error, Result, at_least_one, expect_shape};
use crate::gpu::{Gpu, Program, ProgramBuilder, Tensor};
use crate::ops::{self, MatmulArgs, Matrix, SumRowsArgs, Vector};
use crate::plan::Tuning;
use crate::weights::Uniform;

/// y = x W^T + b, as `nn.Linear`: weight `[out_features, in_features]`, bias `[out_features]`.
#[derive(Debug, Clone)]
pub struct Linear {
    gpu: Gpu,
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// A layer with weights drawn from U(-1/sqrt(in), 1/sqrt(in)), as PyTorch draws them, from a seed.
    ///
    /// # Errors
    /// [`Error::ZeroSize`], [`Error::LimitExceeded`], [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn new(gpu: &Gpu, in_features: usize, out_features: usize, seed: u64) -> Result<Self> {
        at_least_one("in_features", in_features)?;
        at_least_one("out_features", out_features)?;
        Tensor::check_size(gpu, "weight", &[out_features, in_features])?;
        let bound = 1.0 / (in_features as f32).sqrt();
        let mut uniform = Uniform::new(seed);
        let weight = uniform.vec(out_features * in_features, bound);
        let bias = uniform.vec(out_features, bound);
        Self::with_weights(gpu, [out_features, in_features], &weight, &bias)
    }

    /// A layer with given weights; `shape` is `[out_features, in_features]`.
    ///
    /// # Errors
    /// Those of [`Linear::new`], and [`Error::ShapeMismatch`].
    pub fn with_weights(gpu: &Gpu, shape: [usize; 2], weight: &[f32], bias: &[f32]) -> Result<Self> {
        Ok(Self {
            gpu: gpu.clone(),
            weight: Tensor::named(gpu, "weight", &shape, Some(weight))?,
            bias: Tensor::named(gpu, "bias", &shape[..1], Some(bias))?,
        })
    }

    /// Weight `[out_features, in_features]` and bias `[out_features]`.
    #[must_use]
    pub fn parameters(&self) -> [&Tensor; 2] {
        [&self.weight, &self.bias]
    }

    /// Lays the layer out over the rows of `input` `[.., in_features]`, say the output of an unrolled GRU or its last
    /// state. Backward writes the gradient of the input into `d_input`, a tensor of the same shape.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`], [`Error::ForeignDevice`], [`Error::Aliased`], [`Error::LimitExceeded`],
    /// [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn unroll(&self, input: &Tensor, d_input: &Tensor) -> Result<UnrolledLinear> {
        let [out_features, in_features] = [self.weight.shape()[0], self.weight.shape()[1]];
        let mut shape = input.shape().to_vec();
        match shape.last_mut() {
            Some(last) if *last == in_features => *last = out_features,
            _ => {
                let mut expected = shape;
                expected.pop();
                expected.push(in_features);
                return Err(Error::ShapeMismatch { tensor: "input", expected, actual: input.shape().to_vec() });
            }
        }
        expect_shape("d_input", input.shape(), d_input.shape())?;
        self.weight.expect_same_device("input", input)?;
        self.weight.expect_same_device("d_input", d_input)?;
        if input.buffer() == d_input.buffer() {
            return Err(Error::Aliased { first: "input", second: "d_input" });
        }

        let rows = input.len() / in_features;
        let output = Tensor::named(&self.gpu, "output", &shape, None)?;
        let d_output = Tensor::named(&self.gpu, "d_output", &shape, None)?;
        let d_weight = Tensor::named(&self.gpu, "d_weight", self.weight.shape(), None)?;
        let d_bias = Tensor::named(&self.gpu, "d_bias", self.bias.shape(), None)?;
        let tuning = Tuning { few_rows: rows <= 8, ..Tuning::new(self.gpu.info().device_type) };

        let x = Matrix::of(input, in_features);
        let weight = Matrix::of(&self.weight, in_features);
        let d_y = Matrix::of(&d_output, out_features);
        let plain = MatmulArgs {
            size: [rows, out_features, in_features],
            a: x,
            transpose_a: false,
            b: weight,
            transpose_b: true,
            bias: Some(Vector::of(&self.bias, 0)),
            c: Matrix::of(&output, out_features),
            accumulate: false,
        };
        let mut builder = ProgramBuilder::new(&self.gpu, "linear forward");
        ops::matmul(&mut builder, &tuning, plain);
        let forward = builder.build()?;

        let mut builder = ProgramBuilder::new(&self.gpu, "linear backward");
        let d_input = Matrix::of(d_input, in_features);
        let size = [rows, in_features, out_features];
        let of_input = MatmulArgs { size, a: d_y, transpose_b: false, bias: None, c: d_input, ..plain };
        ops::matmul(&mut builder, &tuning, of_input);
        let of_weight = MatmulArgs {
            size: [out_features, in_features, rows],
            a: d_y,
            transpose_a: true,
            b: x,
            transpose_b: false,
            bias: None,
            c: Matrix::of(&d_weight, in_features),
            accumulate: false,
        };
        ops::matmul(&mut builder, &tuning, of_weight);
        let total = Vector::of(&d_bias, 0);
        let of_bias = SumRowsArgs { input: d_y, size: [rows, out_features], total, accumulate: false, root: false };
        ops::sum_rows(&mut builder, tuning.sum_lanes, of_bias);
        let backward = builder.build()?;
        Ok(UnrolledLinear { output, d_output, d_weight, d_bias, forward, backward })
    }
}

/// A linear layer with its buffers and programs.
#[derive(Debug)]
pub struct UnrolledLinear {
    output: Tensor,
    d_output: Tensor,
    d_weight: Tensor,
    d_bias: Tensor,
    forward: Program,
    backward: Program,
}

impl UnrolledLinear {
    /// The output, `[.., out_features]`.
    #[must_use]
    pub fn output(&self) -> &Tensor {
        &self.output
    }

    /// The gradient of the loss with respect to the output, to be written.
    #[must_use]
    pub fn d_output(&self) -> &Tensor {
        &self.d_output
    }

    /// The gradients of weight and bias, in the order of [`Linear::parameters`].
    #[must_use]
    pub fn gradients(&self) -> [&Tensor; 2] {
        [&self.d_weight, &self.d_bias]
    }

    /// Records the output.
    pub fn encode_forward(&self, encoder: &mut wgpu::CommandEncoder) {
        self.forward.encode(encoder);
    }

    /// Records the gradients of input, weight and bias. It needs the input as it was at the forward pass.
    pub fn encode_backward(&self, encoder: &mut wgpu::CommandEncoder) {
        self.backward.encode(encoder);
    }
}
