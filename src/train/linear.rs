//! A linear layer, the head of a recurrent one.

use super::seen::Seen;
use crate::error::{Error, Result, at_least_one, expect_shape};
use crate::gpu::{Gpu, Program, Tensor};
use crate::lower::program;
use crate::plan::InParts;
use crate::plan::ops::{Lister, Matrix, Op, Product, SumRows, Vector};
use crate::plan::tensors::{Id, Tensors};
use crate::rng::SplitMix64;
use crate::weights::{LoadReport, StateDict};

/// y = x W^T + b, as `nn.Linear`: weight `[out_features, in_features]`, bias `[out_features]`, or none.
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
/// use wgpu_gru::train::Linear;
/// let linear = Linear::new(gpu, 32, 10, 1)?;
/// assert_eq!(linear.parameters()[0].shape(), [10, 32]);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Linear {
    gpu: Gpu,
    weight: Tensor,
    bias: Option<Tensor>,
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
        let mut uniform = SplitMix64::new(seed);
        let weight = uniform.vec(out_features * in_features, bound);
        let bias = uniform.vec(out_features, bound);
        Self::with_weights(gpu, [out_features, in_features], &weight, &bias)
    }

    /// A layer with given weights; `shape` is `[out_features, in_features]`, and an empty bias is none.
    ///
    /// # Errors
    /// Those of [`Linear::new`], and [`Error::ShapeMismatch`].
    pub fn with_weights(gpu: &Gpu, shape: [usize; 2], weight: &[f32], bias: &[f32]) -> Result<Self> {
        let weight = Tensor::named(gpu, "weight", &shape, Some(weight))?;
        let bias = if bias.is_empty() { None } else { Some(Tensor::named(gpu, "bias", &shape[..1], Some(bias))?) };
        Ok(Self { gpu: gpu.clone(), weight, bias })
    }

    /// The layer whose `weight` and `bias` are under a prefix of a state dict, as those of an `nn.Linear`, and a report of
    /// what was used. Without a `bias` there it has none, as one with `bias=False`.
    ///
    /// # Errors
    /// Those of [`StateDict::get`], and of [`Linear::with_weights`].
    pub fn from_state_dict(gpu: &Gpu, dict: &StateDict, prefix: &str) -> Result<(Self, LoadReport)> {
        let names = Self::NAMES.map(|name| format!("{prefix}{name}"));
        let weight = dict.get(&names[0])?;
        let &[out_features, in_features] = weight.shape() else {
            let (expected, actual) = (vec![weight.values().len(), 1], weight.shape().to_vec());
            return Err(Error::ShapeMismatch { tensor: names[0].clone().into(), expected, actual });
        };
        let has_bias = dict.names().any(|name| name == names[1]);
        let bias = if has_bias { dict.get_shaped(&names[1], &[out_features])? } else { &[] };
        let layer = Self::with_weights(gpu, [out_features, in_features], weight.values(), bias)?;
        Ok((layer, dict.report(prefix, names.into_iter().take(1 + usize::from(has_bias)).collect())))
    }

    const NAMES: [&'static str; 2] = ["weight", "bias"];

    /// Weight and bias with PyTorch's names behind a prefix, for [`StateDict::read`] and [`StateDict::write`].
    pub fn named(&self, prefix: &str) -> impl Iterator<Item = (String, &Tensor)> {
        Self::NAMES.into_iter().map(move |name| format!("{prefix}{name}")).zip(self.parameters())
    }

    /// Weight `[out_features, in_features]` and, if there is one, bias `[out_features]`.
    #[must_use]
    pub fn parameters(&self) -> Vec<&Tensor> {
        std::iter::once(&self.weight).chain(&self.bias).collect()
    }

    /// Lays the layer out for training over the rows of `input` `[.., in_features]`, say the output of an unrolled GRU
    /// or its last state. Backward writes the gradient of the input into `d_input`, a tensor of the same shape; with
    /// `None`, as the first layer of a net wants it, that gradient is not computed.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`], [`Error::ForeignDevice`], [`Error::Aliased`] where `d_input` lies in a buffer of the
    /// input or of a weight, [`Error::LimitExceeded`], [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn unroll<'a>(&self, input: &Tensor, d_input: impl Into<Option<&'a Tensor>>) -> Result<UnrolledLinear> {
        let d_input = d_input.into();
        self.output_shape(input)?;
        if let Some(d_input) = d_input {
            expect_shape("d_input", input.shape(), d_input.shape())?;
            self.weight.expect_same_device("d_input", d_input)?;
            let parameters = Self::NAMES.into_iter().zip(self.parameters());
            for (first, read) in std::iter::once(("input", input)).chain(parameters) {
                if read.buffer() == d_input.buffer() {
                    return Err(Error::Aliased { first, second: "d_input" });
                }
            }
        }
        let forward = self.unroll_inference(input)?;
        let d_output = Tensor::named(&self.gpu, "d_output", forward.output.shape(), None)?;
        let d_weight = Tensor::named(&self.gpu, "d_weight", self.weight.shape(), None)?;
        let d_bias = match &self.bias {
            Some(bias) => Some(Tensor::named(&self.gpu, "d_bias", bias.shape(), None)?),
            None => None,
        };
        let backward = self.backward(input, &d_output, d_input, (&d_weight, d_bias.as_ref()))?;
        Ok(UnrolledLinear {
            forward,
            backward,
            input: input.clone(),
            weight: self.weight.clone(),
            bias: self.bias.clone(),
            d_output,
            d_weight,
            d_bias,
            d_input: d_input.cloned(),
            seen: Seen::nothing(),
        })
    }

    /// Lays the layer out over the rows of `input` `[.., in_features]` without gradients.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`], [`Error::ForeignDevice`], [`Error::LimitExceeded`], [`Error::OutOfMemory`],
    /// [`Error::DeviceLost`].
    pub fn unroll_inference(&self, input: &Tensor) -> Result<LinearInference> {
        let shape = self.output_shape(input)?;
        let output = Tensor::named(&self.gpu, "output", &shape, None)?;
        let [out_features, in_features] = self.features();
        let rows = input.len() / in_features;
        // Without a bias nothing names it.
        let tensors = [input, &self.weight, self.bias.as_ref().unwrap_or(&self.weight), &output];
        let (list, [x, weight, bias, y]) = given(tensors);
        let target = self.gpu.target();
        let mut ops = Lister::new(&list, &target, rows);
        ops.matmul(Product {
            size: [rows, out_features, in_features],
            a: Matrix::rows_of(x, 0, rows, in_features),
            transpose_a: false,
            b: Matrix::rows_of(weight, 0, out_features, in_features),
            transpose_b: true,
            bias: self.bias.is_some().then_some(Vector { tensor: bias, begin: 0 }),
            c: Matrix::rows_of(y, 0, rows, out_features),
            accumulate: false,
            rows: None,
        });
        let program = program(&self.gpu, "linear forward", &tensors.map(Tensor::clone), &ops.done())?;
        Ok(LinearInference { output, program })
    }

    fn backward(
        &self,
        input: &Tensor,
        d_output: &Tensor,
        d_input: Option<&Tensor>,
        (d_weight, of_bias): (&Tensor, Option<&Tensor>),
    ) -> Result<Program> {
        let [out_features, in_features] = self.features();
        let rows = input.len() / in_features;
        // What is not there nothing names.
        let (d_bias, d_x) = (of_bias.unwrap_or(d_weight), d_input.unwrap_or(d_weight));
        let target = self.gpu.target();
        // Few tiles and long sums: on a GPU one workgroup would take all of a sum.
        let room = InParts::of([out_features, in_features, rows], &target).map(|parts| {
            let shape = [parts.at_once, out_features, in_features];
            Tensor::named(&self.gpu, "parts of d_weight", &shape, None)
        });
        let room = room.transpose()?;
        let tensors = [input, &self.weight, d_output, d_weight, d_bias, d_x, room.as_ref().unwrap_or(d_weight)];
        let (list, [x, weight, d_y, d_weight, d_bias, d_x, parts]) = given(tensors);
        let mut ops = Lister::new(&list, &target, rows);
        let d_y = Matrix::rows_of(d_y, 0, rows, out_features);
        if d_input.is_some() {
            ops.matmul(Product {
                size: [rows, in_features, out_features],
                a: d_y.clone(),
                transpose_a: false,
                b: Matrix::rows_of(weight, 0, out_features, in_features),
                transpose_b: false,
                bias: None,
                c: Matrix::rows_of(d_x, 0, rows, in_features),
                accumulate: false,
                rows: None,
            });
        }
        let d_weight = Product {
            size: [out_features, in_features, rows],
            a: d_y.clone(),
            transpose_a: true,
            b: Matrix::rows_of(x, 0, rows, in_features),
            transpose_b: false,
            bias: None,
            c: Matrix::rows_of(d_weight, 0, out_features, in_features),
            accumulate: false,
            rows: None,
        };
        ops.sums_over_rows([(d_weight, room.is_some().then_some(parts))]);
        if of_bias.is_some() {
            ops.push(Op::SumRows(SumRows {
                input: d_y,
                size: [rows, out_features],
                total: Vector { tensor: d_bias, begin: 0 },
                accumulate: false,
                root: false,
            }));
        }
        program(&self.gpu, "linear backward", &tensors.map(Tensor::clone), &ops.done())
    }

    fn features(&self) -> [usize; 2] {
        [self.weight.shape()[0], self.weight.shape()[1]]
    }

    /// The shape of the output, after a look at the input.
    fn output_shape(&self, input: &Tensor) -> Result<Vec<usize>> {
        let [out_features, in_features] = self.features();
        let (mut expected, actual) = (input.shape().to_vec(), input.shape().to_vec());
        expected.pop();
        expected.push(in_features);
        if actual != expected {
            return Err(Error::ShapeMismatch { tensor: "input".into(), expected, actual });
        }
        self.weight.expect_same_device("input", input)?;
        expected.pop();
        expected.push(out_features);
        Ok(expected)
    }
}

/// A list of tensors that are there already, and their numbers.
fn given<const N: usize>(tensors: [&Tensor; N]) -> (Tensors, [Id; N]) {
    let mut list = Tensors::default();
    let ids = tensors.map(|tensor| list.external("a tensor", tensor.shape(), tensor.phase()));
    (list, ids)
}

/// A linear layer with its output, for inference.
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
/// # use wgpu_gru::{Gru, GruConfig, Unroll, train::Linear};
/// let net = Gru::new(gpu, GruConfig::new(8, 32), 1)?.unroll(Unroll::inference(20, 4))?;
/// let head = Linear::new(gpu, 32, 10, 1)?.unroll_inference(net.output())?;
/// gpu.submit(|encoder| Ok(head.encode_forward(encoder)))?;
/// assert_eq!(head.output().shape(), [20, 4, 10]);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct LinearInference {
    output: Tensor,
    program: Program,
}

impl LinearInference {
    /// The output, `[.., out_features]`.
    #[must_use]
    pub fn output(&self) -> &Tensor {
        &self.output
    }

    /// Records the output.
    pub fn encode_forward(&self, encoder: &mut wgpu::CommandEncoder) {
        self.program.encode(encoder);
        self.output.mark_written();
    }
}

/// A linear layer with its buffers and programs, for training.
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
/// # use wgpu_gru::{Gru, GruConfig, Unroll, train::Linear};
/// let net = Gru::new(gpu, GruConfig::new(8, 32), 1)?.unroll(Unroll::training(20, 4))?;
/// let head = Linear::new(gpu, 32, 10, 1)?.unroll(net.output(), net.d_output()?)?;
/// assert_eq!(head.d_output().shape(), [20, 4, 10]);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct UnrolledLinear {
    forward: LinearInference,
    backward: Program,
    input: Tensor,
    weight: Tensor,
    bias: Option<Tensor>,
    d_output: Tensor,
    d_weight: Tensor,
    d_bias: Option<Tensor>,
    d_input: Option<Tensor>,
    seen: Seen,
}

impl UnrolledLinear {
    /// The output, `[.., out_features]`.
    #[must_use]
    pub fn output(&self) -> &Tensor {
        &self.forward.output
    }

    /// The gradient of the loss with respect to the output, to be written.
    #[must_use]
    pub fn d_output(&self) -> &Tensor {
        &self.d_output
    }

    /// The gradients of weight and bias, in the order of [`Linear::parameters`].
    #[must_use]
    pub fn gradients(&self) -> Vec<&Tensor> {
        std::iter::once(&self.d_weight).chain(&self.d_bias).collect()
    }

    /// Weight and bias, each with its gradient: what an optimiser takes.
    #[must_use]
    pub fn pairs(&self) -> Vec<(&Tensor, &Tensor)> {
        std::iter::once((&self.weight, &self.d_weight)).chain(self.bias.iter().zip(&self.d_bias)).collect()
    }

    /// Records the output.
    pub fn encode_forward(&self, encoder: &mut wgpu::CommandEncoder) {
        self.forward.encode_forward(encoder);
        self.seen.note(self.newest().0);
    }

    /// Records the gradients of input, weight and bias.
    ///
    /// # Errors
    /// [`Error::BackwardWithoutForward`], and [`Error::ChangedSinceForward`] if the input was written since the last
    /// forward pass was recorded, or the weight while the gradient of the input is wanted. What the app's own shaders
    /// write is not noticed.
    pub fn encode_backward(&self, encoder: &mut wgpu::CommandEncoder) -> Result<()> {
        let (newest, tensor) = self.newest();
        self.seen.expect(newest, tensor)?;
        self.backward.encode(encoder);
        for tensor in self.gradients().into_iter().chain(&self.d_input) {
            tensor.mark_written();
        }
        Ok(())
    }

    /// The newest write of what backward reads of the forward pass, and which tensor it was.
    fn newest(&self) -> (u64, &'static str) {
        let input = (self.input.version(), "input");
        // The weight is needed for the gradient of the input alone.
        let weight = (self.weight.version(), "weight");
        if self.d_input.is_some() && weight.0 > input.0 { weight } else { input }
    }
}
