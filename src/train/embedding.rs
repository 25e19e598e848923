//! An embedding, the first layer of a net whose input are words, notes or other numbered things.

use super::seen::Seen;
use crate::error::{Error, Result, at_least_one};
use crate::gpu::{Gpu, Program, ProgramBuilder, Tensor};
use crate::kernels::{
    self, EMBEDDING, EMBEDDING_BACKWARD, EmbeddingBackwardParams, EmbeddingParams, SORT_INDICES, SortIndicesParams,
};
use crate::lower::{COLUMN_LANES, element_workgroups, grid};
use crate::rng::SplitMix64;
use crate::weights::{LoadReport, StateDict};

/// A table of vectors, as [`nn.Embedding`](https://docs.pytorch.org/docs/stable/generated/torch.nn.Embedding.html):
/// weight `[num_embeddings, embedding_dim]`; of an index the output is the row of that number.
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
/// use wgpu_gru::train::Embedding;
/// use wgpu_gru::{ExternalTensors, Gru, GruConfig, Tensor, Unroll};
/// let embedding = Embedding::new(gpu, 30, 16, 1)?;
/// let words = embedding.unroll(&Tensor::zeros(gpu, &[64, 8])?)?; // T 64, B 8
/// words.write_indices(&[7; 64 * 8])?; // or by a shader, as array<u32>
/// // A GRU that reads its output, and writes the gradient of that.
/// let (input, d_input) = (Some(words.output().clone()), Some(words.d_output().clone()));
/// let places = ExternalTensors { input, d_input, ..ExternalTensors::default() };
/// let net = Gru::new(gpu, GruConfig::new(16, 32), 2)?.unroll_with(Unroll::training(64, 8), &places)?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Embedding {
    gpu: Gpu,
    weight: Tensor,
    padding_idx: Option<usize>,
}

impl Embedding {
    /// A table of numbers drawn from N(0, 1), as PyTorch draws them, from a seed.
    ///
    /// # Errors
    /// [`Error::ZeroSize`], [`Error::LimitExceeded`], [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn new(gpu: &Gpu, num_embeddings: usize, embedding_dim: usize, seed: u64) -> Result<Self> {
        let shape = [num_embeddings, embedding_dim];
        at_least_one("num_embeddings", num_embeddings)?;
        at_least_one("embedding_dim", embedding_dim)?;
        Tensor::check_size(gpu, "weight", &shape)?;
        Self::with_weights(gpu, shape, &SplitMix64::new(seed).normal_vec(num_embeddings * embedding_dim))
    }

    /// A table of given numbers; `shape` is `[num_embeddings, embedding_dim]`.
    ///
    /// # Errors
    /// Those of [`Embedding::new`], and [`Error::ShapeMismatch`].
    pub fn with_weights(gpu: &Gpu, shape: [usize; 2], weight: &[f32]) -> Result<Self> {
        let weight = Tensor::named(gpu, "weight", &shape, Some(weight))?;
        Ok(Self { gpu: gpu.clone(), weight, padding_idx: None })
    }

    /// The same table with a row that stands for padding: it becomes zeros, and its gradient is always 0, so that no
    /// optimiser moves it. Write other numbers into it afterwards if it is to hold some.
    ///
    /// # Errors
    /// [`Error::IndexOutOfRange`].
    pub fn padding_idx(self, index: usize) -> Result<Self> {
        let [len, dim] = self.size();
        if index >= len {
            return Err(Error::IndexOutOfRange { tensor: "padding_idx", place: 0, index, len });
        }
        self.weight.outer(index..index + 1)?.write(&vec![0.0; dim])?;
        Ok(Self { padding_idx: Some(index), ..self })
    }

    /// The table whose `weight` is under a prefix of a state dict, as that of an `nn.Embedding`, and a report of what was
    /// used.
    ///
    /// # Errors
    /// Those of [`StateDict::get`], and of [`Embedding::with_weights`].
    pub fn from_state_dict(gpu: &Gpu, dict: &StateDict, prefix: &str) -> Result<(Self, LoadReport)> {
        let name = format!("{prefix}weight");
        let weight = dict.get(&name)?;
        let &[num_embeddings, embedding_dim] = weight.shape() else {
            let (expected, actual) = (vec![weight.shape().first().copied().unwrap_or(1), 1], weight.shape().to_vec());
            return Err(Error::ShapeMismatch { tensor: name.into(), expected, actual });
        };
        let table = Self::with_weights(gpu, [num_embeddings, embedding_dim], weight.values())?;
        Ok((table, dict.report(prefix, vec![name])))
    }

    /// The weight with PyTorch's name behind a prefix, for [`StateDict::read`] and [`StateDict::write`].
    pub fn named(&self, prefix: &str) -> impl Iterator<Item = (String, &Tensor)> {
        [(format!("{prefix}weight"), &self.weight)].into_iter()
    }

    /// The weight, `[num_embeddings, embedding_dim]`.
    #[must_use]
    pub fn parameters(&self) -> [&Tensor; 1] {
        [&self.weight]
    }

    /// Lays the embedding out for training over indices `[..]`, whole numbers: [`UnrolledEmbedding::write_indices`]
    /// writes them, or a shader of the app as `array<u32>`; zeros, as a new tensor has, are the first row. An index that
    /// is no row has an output of NaN, and no part in any gradient.
    ///
    /// # Errors
    /// [`Error::ForeignDevice`], [`Error::LimitExceeded`], [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn unroll(&self, input: &Tensor) -> Result<UnrolledEmbedding> {
        self.gpu.check_kernels(&[&EMBEDDING, &SORT_INDICES, &EMBEDDING_BACKWARD])?;
        let forward = self.unroll_inference(input)?;
        let d_output = Tensor::named(&self.gpu, "d_output", forward.output.shape(), None)?;
        let d_weight = Tensor::named(&self.gpu, "d_weight", self.weight.shape(), None)?;
        let backward = self.backward(input, &d_output, &d_weight)?;
        let weight = self.weight.clone();
        Ok(UnrolledEmbedding { forward, backward, weight, d_output, d_weight, seen: Seen::nothing() })
    }

    /// Lays the embedding out over indices `[..]` without gradients.
    ///
    /// # Errors
    /// Those of [`Embedding::unroll`].
    pub fn unroll_inference(&self, input: &Tensor) -> Result<EmbeddingInference> {
        self.weight.expect_same_device("input", input)?;
        self.gpu.check_kernels(&[&EMBEDDING])?;
        let [rows, dim] = self.size();
        let output = Tensor::named(&self.gpu, "output", &[input.shape(), &[dim]].concat(), None)?;
        let workgroups = element_workgroups(output.len());
        let ((indices, input_offset), len) = (input.view(), output.len() as u32);
        let params = EmbeddingParams { len, dim: dim as u32, rows: rows as u32, input_offset, workgroups };
        let storage = kernels::Embedding { weight: self.weight.view().0, input: indices, output: output.view().0 };
        let mut builder = ProgramBuilder::new(&self.gpu, "embedding forward");
        builder.once(self.gpu.kernel(&EMBEDDING, &[]), &params, storage.storage(), [workgroups, 1, 1]);
        let program = builder.build()?;
        Ok(EmbeddingInference { output, program, input: input.clone(), rows })
    }

    /// Places in the order of their indices, by passes of a merge sort; then for each row of the table the sum over its
    /// places, which lie next to each other. So the work is that of N log N and of the gradient itself, whether a table
    /// is small and each row has many places, or large and few have any; and no sum depends on who comes first.
    fn backward(&self, input: &Tensor, d_output: &Tensor, d_weight: &Tensor) -> Result<Program> {
        let ([rows, dim], len) = (self.size(), input.len());
        let passes = len.next_power_of_two().ilog2().max(1);
        let order = |name| Tensor::named(&self.gpu, name, &[len], None);
        let orders = [order("order of indices")?, order("order of indices before a pass")?];
        let (indices, input_offset) = input.view();
        let mut builder = ProgramBuilder::new(&self.gpu, "embedding backward");
        let workgroups = element_workgroups(len);
        for pass in 0..passes {
            // The last one ends in the first of the two.
            let [destination, source] = [0, 1].map(|other| &orders[(passes - 1 - pass + other) as usize % 2]);
            let params = SortIndicesParams { len: len as u32, width: 1 << pass, input_offset, workgroups };
            let storage =
                kernels::SortIndices { input: indices, source: source.view().0, destination: destination.view().0 };
            let kernel = self.gpu.kernel(&SORT_INDICES, &[("FIRST", f64::from(pass == 0))]);
            builder.once(kernel, &params, storage.storage(), [workgroups, 1, 1]);
        }
        let [x, y] = grid(&builder, (rows * dim.div_ceil(COLUMN_LANES as usize)) as u32);
        let params = EmbeddingBackwardParams {
            indices: len as u32,
            dim: dim as u32,
            rows: rows as u32,
            input_offset,
            padding: self.padding_idx.map_or(u32::MAX, |index| index as u32),
            workgroups: x,
        };
        let storage = kernels::EmbeddingBackward {
            input: indices,
            order: orders[0].view().0,
            d_output: d_output.view().0,
            d_weight: d_weight.view().0,
        };
        builder.once(self.gpu.kernel(&EMBEDDING_BACKWARD, &[]), &params, storage.storage(), [x, y, 1]);
        builder.build()
    }

    /// num_embeddings and embedding_dim.
    fn size(&self) -> [usize; 2] {
        [self.weight.shape()[0], self.weight.shape()[1]]
    }
}

/// An embedding with its output, for inference.
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
/// use wgpu_gru::train::Embedding;
/// use wgpu_gru::{Gru, GruConfig, Unroll};
/// let net = Gru::new(gpu, GruConfig::new(16, 32), 1)?.unroll(Unroll::inference(20, 1))?;
/// let embedding = Embedding::new(gpu, 100, 16, 1)?.unroll_inference(net.input())?;
/// embedding.write_indices(&[7; 20])?; // below 100
/// gpu.submit(|encoder| Ok(embedding.encode_forward(encoder)))?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct EmbeddingInference {
    output: Tensor,
    program: Program,
    input: Tensor,
    rows: usize,
}

impl EmbeddingInference {
    /// Writes the indices. They arrive before the next submission's commands run.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`], [`Error::IndexOutOfRange`] for what is no row of the table, [`Error::BufferUsage`],
    /// [`Error::Refused`]; then nothing is written.
    pub fn write_indices(&self, indices: &[usize]) -> Result<()> {
        self.input.write_indices("indices", indices, self.rows, None)
    }

    /// The output, `[.., embedding_dim]`.
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

/// An embedding with its output and gradients, laid out by [`Embedding::unroll`].
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
/// use wgpu_gru::train::Embedding;
/// use wgpu_gru::{Gru, GruConfig, Unroll};
/// let mut net = Gru::new(gpu, GruConfig::new(16, 32), 1)?.unroll(Unroll::training(20, 1))?;
/// let embedding = Embedding::new(gpu, 100, 16, 1)?.unroll(net.input())?;
/// embedding.write_indices(&[7; 20])?;
/// gpu.submit(|encoder| {
///     embedding.encode_forward(encoder);
///     net.encode_forward(encoder)
/// })?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct UnrolledEmbedding {
    forward: EmbeddingInference,
    backward: Program,
    weight: Tensor,
    d_output: Tensor,
    d_weight: Tensor,
    seen: Seen,
}

impl UnrolledEmbedding {
    /// Writes the indices. They arrive before the next submission's commands run.
    ///
    /// # Errors
    /// Those of [`EmbeddingInference::write_indices`].
    pub fn write_indices(&self, indices: &[usize]) -> Result<()> {
        self.forward.write_indices(indices)
    }

    /// The output, `[.., embedding_dim]`.
    #[must_use]
    pub fn output(&self) -> &Tensor {
        &self.forward.output
    }

    /// The gradient of the loss with respect to the output, to be written.
    #[must_use]
    pub fn d_output(&self) -> &Tensor {
        &self.d_output
    }

    /// The gradient of the weight, in the order of [`Embedding::parameters`]: of each row the sum over all places that
    /// have its number, always in the same order; zeros of a row that nothing names.
    #[must_use]
    pub fn gradients(&self) -> [&Tensor; 1] {
        [&self.d_weight]
    }

    /// The weight with its gradient: what an optimiser takes.
    #[must_use]
    pub fn pairs(&self) -> [(&Tensor, &Tensor); 1] {
        [(&self.weight, &self.d_weight)]
    }

    /// Records the output.
    pub fn encode_forward(&self, encoder: &mut wgpu::CommandEncoder) {
        self.forward.encode_forward(encoder);
        self.seen.note(self.forward.input.version());
    }

    /// Records the gradient of the weight.
    ///
    /// # Errors
    /// [`Error::BackwardWithoutForward`], and [`Error::ChangedSinceForward`] if the indices were written since the last
    /// forward pass was recorded. What the app's own shaders write is not noticed.
    pub fn encode_backward(&self, encoder: &mut wgpu::CommandEncoder) -> Result<()> {
        self.seen.expect(self.forward.input.version(), "input")?;
        self.backward.encode(encoder);
        self.d_weight.mark_written();
        Ok(())
    }
}
