//! A layer laid out over time: its buffers, its plan, and its two programs.

use crate::config::{Cell, Config};
use crate::error::{Error, Result, expect_len, expect_lengths, expect_shape};
use crate::gpu::{Gpu, Program, ProgramBuilder, Tensor};
use crate::layer::memory::Memory;
use crate::layer::watch::{Saved, Watch, written_by_backward, written_by_forward};
use crate::layer::{ExternalTensors, Parameters, Recurrent};
use crate::lower::lowered;
use crate::plan::External;
use crate::plan::Plan;
use crate::plan::buffers::{CellTensors, TrainingRoles};
use crate::plan::tensors::Id;
use crate::unroll::Unroll;

/// A layer laid out over T steps of B rows. Every buffer, bind group and pipeline is made when this is; recording makes
/// nothing, submits nothing, and waits for nothing.
///
/// Write the input into [`input`](Self::input) (from the host, or on the GPU), and the first states into
/// [`h0`](Self::h0), which are initially zero and keep what is written. After a forward pass [`output`](Self::output)
/// and [`h_n`](Self::h_n) hold the states. For training write the gradients of the loss into
/// [`d_output`](Self::d_output) and [`d_h_n`](Self::d_h_n), which are initially zero; after a backward pass
/// [`gradients`](Self::gradients) holds the rest. A backward pass reads again what its forward pass has read, so write
/// that before the forward pass is recorded ([`Error::ChangedSinceForward`]).
///
/// B is at most 4 times the device's `max_compute_workgroups_per_dimension`, so 262,140 rows with WebGPU's default
/// limits, and for many shapes twice that. Batch-first tensors, and outputs of rows with lengths, are copied as a
/// whole: one that is larger than `max_storage_buffer_binding_size` is refused, where a time-major layer is cut into
/// chunks.
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
/// use wgpu_gru::{Gru, GruConfig, Unroll};
/// let gru = Gru::new(gpu, GruConfig::new(8, 32), 1)?;
/// let mut net = gru.unroll(Unroll::training(64, 16))?;
/// net.input().write(&[0.0; 64 * 16 * 8])?;
/// net.d_output()?.write(&[1.0; 64 * 16 * 32])?;
/// gpu.submit(|encoder| {
///     net.encode_forward(encoder)?;
///     net.encode_backward(encoder)
/// })?;
/// let d_weight_hh = net.gradients()?.parameters.cells[0].weight_hh.read_blocking()?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Unrolled {
    gpu: Gpu,
    config: Config,
    unroll: Unroll,
    plan: Plan,
    memory: Memory,
    forward: Program,
    /// What the forward pass writes that others can read.
    writes: Vec<Tensor>,
    training: Option<Training>,
}

#[derive(Debug)]
struct Training {
    gradients: Gradients,
    backward: Program,
    /// What the backward pass writes that others can read.
    writes: Vec<Tensor>,
    /// What it reads as the forward pass has left it.
    reads: Watch,
    /// The forward pass whose gates no backward pass has used up.
    saved: Saved,
}

/// What a forward pass gives, on the GPU: handles to tensors that the next forward pass of the same [`Unrolled`] writes
/// over. L is the number of layers, D that of directions.
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
/// # use wgpu_gru::{Gru, GruConfig, Tensor};
/// # let gru = Gru::new(gpu, GruConfig::new(8, 32), 1)?;
/// let out = gru.forward(&Tensor::zeros(gpu, &[20, 4, 8])?, None)?;
/// let (output, h_n) = (out.output.read_blocking()?, out.h_n.read_blocking()?);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Output {
    /// The state of the last layer after each step, `[T, B, DH]`, or `[B, T, DH]` if batch-first. Zero past a row's
    /// end.
    pub output: Tensor,
    /// The state of each cell after its last step, `[LD, B, H]`.
    pub h_n: Tensor,
}

/// What a backward pass gives, on the GPU. Each backward pass replaces the gradients; it does not add to them.
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
/// # use wgpu_gru::{Gru, GruConfig, Tensor, Unroll};
/// # let gru = Gru::new(gpu, GruConfig::new(8, 32), 1)?;
/// let mut net = gru.unroll(Unroll::training(20, 4))?;
/// net.forward(&Tensor::zeros(gpu, &[20, 4, 8])?, None)?;
/// let gradients = net.backward(Some(&Tensor::zeros(gpu, &[20, 4, 32])?), None)?;
/// assert_eq!(gradients.h0.shape(), [1, 4, 32]);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Gradients {
    /// The gradients of weights and biases.
    pub parameters: Parameters,
    /// The gradient of the input, in its layout, unless [`Unroll::input_gradient`] says that it is not wanted.
    pub input: Option<Tensor>,
    /// The gradients of the first states, `[LD, B, H]`.
    pub h0: Tensor,
    /// The norm of d_h' at each step of each cell, over all rows and units, `[LD, T]`, if [`Unroll::gradient_norms`]
    /// asks for it. d_h' is the whole gradient of the loss with respect to the state after the step.
    pub norms: Option<Tensor>,
}

impl Unrolled {
    /// `sources`: the rows of the first states are gathered.
    pub(super) fn new<C: Copy + Into<Cell>>(
        layer: &Recurrent<C>,
        unroll: &Unroll,
        places: &ExternalTensors,
        sources: bool,
    ) -> Result<Self> {
        let (gpu, config) = (layer.gpu(), layer.config().erased());
        config.validate()?;
        unroll.validate()?;
        let external = External { sources, ..places.validate(gpu, &config, unroll, layer.parameters())? };
        let plan = Plan::with(&config, unroll, &external, &gpu.target())?;
        let memory = Memory::new(gpu, &plan, places, layer.parameters())?;
        let roles = plan.roles();
        if let Some(lengths) = roles.lengths {
            memory.tensor(lengths).write_words(&vec![unroll.seq_len as u32; unroll.batch])?;
        }
        if let Some(sources) = roles.sources {
            memory.tensor(sources).write_words(&(0..unroll.batch as u32).collect::<Vec<_>>())?;
        }
        let [forward, backward] = plan.passes();
        let forward = lowered(gpu, "gru forward", &memory.tensors, forward);
        let backward = roles.training.as_ref().map(|_| lowered(gpu, "gru backward", &memory.tensors, backward));
        // Both wait for their pipelines, whatever becomes of the other.
        let (forward, backward) = (forward.build(), backward.map(ProgramBuilder::build).transpose());
        let (forward, backward) = (forward?, backward?);
        let training = match (&roles.training, &memory.d_parameters, backward) {
            (Some(d), Some(d_parameters), Some(backward)) => {
                let tensor = |id: Id| memory.tensor(id).clone();
                let gradients = Gradients {
                    parameters: d_parameters.clone(),
                    input: d.d_input.map(tensor),
                    h0: tensor(d.d_h0),
                    norms: d.norms.map(tensor),
                };
                let reads = Watch::new(&config, unroll, &plan, layer.parameters(), &memory);
                let writes = written_by_backward(d, d_parameters, &memory);
                Some(Training { gradients, backward, writes, reads, saved: Saved::default() })
            }
            _ => None,
        };
        let writes = written_by_forward(&plan, &memory)?;
        Ok(Self { gpu: gpu.clone(), config, unroll: *unroll, plan, memory, forward, writes, training })
    }

    /// What the layer is.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// How it is laid out over time.
    #[must_use]
    pub fn unroll(&self) -> &Unroll {
        &self.unroll
    }

    /// What will be done: schedule, tiles, chunks, dispatches, FLOPs, bytes.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The plan in words: operations, kernels and buffers, as they are.
    #[must_use]
    pub fn explain(&self) -> String {
        self.plan.to_string()
    }

    /// For tests: the kernels of the programs of both passes, with the number of dispatches of each.
    #[doc(hidden)]
    #[must_use]
    pub fn recorded(&self) -> [Vec<(&'static str, usize)>; 2] {
        [self.forward.kernels(), self.training.as_ref().map_or_else(Vec::new, |training| training.backward.kernels())]
    }

    /// The input, `[T, B, I]`, or `[B, T, I]` if batch-first, to be written. With lengths, what it holds past a row's
    /// end does not matter.
    #[must_use]
    pub fn input(&self) -> &Tensor {
        self.memory.tensor(self.plan.roles().input)
    }

    /// The first states, `[LD, B, H]`, to be written; initially zero. Layer by layer, the forward direction first.
    #[must_use]
    pub fn h0(&self) -> &Tensor {
        self.memory.tensor(self.plan.roles().h0)
    }

    /// The state of the last layer after each step, `[T, B, DH]`, or `[B, T, DH]` if batch-first. Zero past a row's
    /// end.
    #[must_use]
    pub fn output(&self) -> &Tensor {
        self.memory.tensor(self.plan.roles().output)
    }

    /// The state of each cell after its last step, `[LD, B, H]`: with lengths after the last of each row.
    #[must_use]
    pub fn h_n(&self) -> &Tensor {
        self.memory.tensor(self.plan.roles().h_n)
    }

    /// For tests: all states of a layer, `[slots, B, DH]`, those after step t at slot t + 1: T + 1 slots, and one more
    /// where a direction begins at the end. Past its end a row keeps its state. They may be scratch of a workspace, and
    /// begin where no binding may. `None` for a layer that there is not.
    #[doc(hidden)]
    #[must_use]
    pub fn states(&self, layer: usize) -> Option<&Tensor> {
        self.plan.roles().h.get(layer).map(|&id| self.memory.tensor(id))
    }

    /// Sets how long each row is, before the next submission's commands run. They are T by default. A length of 0 is
    /// allowed: such a row has no output, and keeps its first state.
    ///
    /// # Errors
    /// [`Error::NoLengths`], [`Error::ShapeMismatch`], [`Error::LengthExceeded`]; then no length has changed.
    pub fn set_lengths(&self, lengths: &[usize]) -> Result<()> {
        let tensor = self.lengths().ok_or(Error::NoLengths)?;
        expect_len("lengths", &[self.unroll.batch], lengths.len())?;
        expect_lengths(lengths, self.unroll.seq_len)?;
        tensor.write_words(&lengths.iter().map(|&length| length as u32).collect::<Vec<_>>())
    }

    /// Sets the seed of dropout, before the next submission's commands run, and begins to count the forward passes
    /// anew: the masks of the first, second, .. forward pass from here on are those of the seed. It is 0 by default.
    ///
    /// # Errors
    /// [`Error::NoDropout`].
    pub fn set_dropout_seed(&self, seed: u32) -> Result<()> {
        self.set_dropout_state([seed, 0])
    }

    /// Sets seed and count as [`dropout_state`](Self::dropout_state) has told them: the masks go on as they would have
    /// gone on there.
    ///
    /// # Errors
    /// [`Error::NoDropout`].
    pub fn set_dropout_state(&self, state: [u32; 2]) -> Result<()> {
        self.dropout()?.write_words(&state)
    }

    /// The seed of dropout, and the number of forward passes since it was set, which the GPU counts: what a checkpoint
    /// of a training run needs of dropout.
    ///
    /// # Errors
    /// [`Error::NoDropout`], and those of [`Tensor::read`].
    pub async fn dropout_state(&self) -> Result<[u32; 2]> {
        let words = self.dropout()?.read().await?;
        Ok([0, 1].map(|place| words[place].to_bits()))
    }

    /// [`Unrolled::dropout_state`], blocking this thread.
    ///
    /// # Errors
    /// As [`Unrolled::dropout_state`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn dropout_state_blocking(&self) -> Result<[u32; 2]> {
        pollster::block_on(self.dropout_state())
    }

    fn dropout(&self) -> Result<&Tensor> {
        self.tensor(self.plan.roles().dropout).ok_or(Error::NoDropout)
    }

    /// The gradient of the loss with respect to [`output`](Self::output), in its layout, to be written; initially zero.
    /// What it holds past a row's end does not matter.
    ///
    /// # Errors
    /// [`Error::NotTraining`].
    pub fn d_output(&self) -> Result<&Tensor> {
        Ok(self.memory.tensor(self.training_roles()?.d_output))
    }

    /// The gradient of the loss with respect to [`h_n`](Self::h_n), `[LD, B, H]`, to be written; initially zero. It is
    /// added to that of the last step of [`d_output`](Self::d_output).
    ///
    /// # Errors
    /// [`Error::NotTraining`].
    pub fn d_h_n(&self) -> Result<&Tensor> {
        Ok(self.memory.tensor(self.training_roles()?.d_h_n))
    }

    /// What the backward pass makes.
    ///
    /// # Errors
    /// [`Error::NotTraining`].
    pub fn gradients(&self) -> Result<&Gradients> {
        Ok(&self.training()?.gradients)
    }

    /// The weights and biases, each with its gradient, in PyTorch's order: what an optimiser takes.
    ///
    /// # Errors
    /// [`Error::NotTraining`].
    pub fn pairs(&self) -> Result<impl Iterator<Item = (&Tensor, &Tensor)>> {
        let of =
            |ids: &[CellTensors]| ids.iter().flatten().flatten().map(|&id| self.memory.tensor(id)).collect::<Vec<_>>();
        let (weights, gradients) = (of(&self.plan.roles().weights), of(&self.training_roles()?.d_weights));
        Ok(weights.into_iter().zip(gradients))
    }

    /// Records the forward pass into the app's encoder, as one compute pass.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], where that is known; then nothing is recorded.
    pub fn encode_forward(&mut self, encoder: &mut wgpu::CommandEncoder) -> Result<()> {
        self.inference()?.encode(encoder);
        if let Some(training) = &mut self.training {
            training.reads.remember();
            encoder.on_submitted_work_done(training.saved.record());
        }
        Ok(())
    }

    /// The forward pass without what it is to keep, to be recorded now.
    pub(super) fn inference(&self) -> Result<&Program> {
        self.gpu.expect_alive()?;
        self.writes.iter().for_each(Tensor::mark_written);
        Ok(&self.forward)
    }

    pub(super) fn gather_indices(&self) -> Option<&Tensor> {
        self.tensor(self.plan.roles().sources)
    }

    pub(super) fn lengths(&self) -> Option<&Tensor> {
        self.tensor(self.plan.roles().lengths)
    }

    /// Where episodes begin, `[T, B]`, initially nowhere, for shaders of the app to write as `array<u32>`: not 0 where row b
    /// begins a new one with step t. Between step t - 1 and t nothing passes then: a direction that runs forward takes
    /// step t from a state of zero (step 0, too: its first state takes no part), one that runs in reverse step t - 1. The
    /// gradient of a state that was cut off is zero. What is said of steps past a row's end has no effect.
    ///
    /// # Errors
    /// [`Error::NoEpisodeStarts`].
    pub fn episode_starts(&self) -> Result<&Tensor> {
        self.tensor(self.plan.roles().episodes.map(|episodes| episodes.starts)).ok_or(Error::NoEpisodeStarts)
    }

    /// Sets [`episode_starts`](Self::episode_starts) from the host, `[T, B]`, before the next submission's commands run.
    ///
    /// # Errors
    /// [`Error::NoEpisodeStarts`], [`Error::ShapeMismatch`]; then none has changed.
    pub fn set_episode_starts(&self, starts: &[bool]) -> Result<()> {
        let tensor = self.episode_starts()?;
        expect_len("episode_starts", tensor.shape(), starts.len())?;
        tensor.write_words(&starts.iter().map(|&start| u32::from(start)).collect::<Vec<_>>())
    }

    /// Room for the states of a layer, `[1, B, DH]`, which nothing reads that the next pass has not written: those before
    /// the first step, or those on their way to them.
    pub(super) fn room_for_states(&self, layer: usize) -> Result<Tensor> {
        match self.states(layer) {
            Some(states) => states.outer(0..1),
            None => self.carried().unwrap_or(self.h0()).outer(layer..layer + 1),
        }
    }

    /// Records the backward pass into the app's encoder, as one compute pass. It uses up what the forward pass saved,
    /// and reads again what that has read: see [`Error::ChangedSinceForward`]. Submit both in the order in which they
    /// were recorded.
    ///
    /// What shaders and copies of the app write in between is not noticed, nor that the encoder of the forward pass is
    /// dropped after the backward pass has been recorded.
    ///
    /// # Errors
    /// [`Error::NotTraining`], [`Error::BackwardWithoutForward`], [`Error::ChangedSinceForward`],
    /// [`Error::DeviceLost`]; then nothing is recorded.
    pub fn encode_backward(&mut self, encoder: &mut wgpu::CommandEncoder) -> Result<()> {
        self.begin_backward()?.encode(encoder);
        Ok(())
    }

    fn begin_backward(&mut self) -> Result<&Program> {
        self.gpu.expect_alive()?;
        let training = self.training.as_mut().ok_or(Error::NotTraining)?;
        if !training.saved.is_there() {
            return Err(Error::BackwardWithoutForward);
        }
        training.reads.expect_unchanged()?;
        training.saved.use_up();
        training.writes.iter().for_each(Tensor::mark_written);
        Ok(&training.backward)
    }

    /// Records the forward pass into a compute pass that is open: of the app, or of other layers. Bind group 0 and the
    /// pipeline of the pass are changed.
    ///
    /// # Errors
    /// As [`encode_forward`](Self::encode_forward).
    pub fn record_forward(&mut self, pass: &mut wgpu::ComputePass<'_>) -> Result<()> {
        self.inference()?.record(pass);
        if let Some(training) = &mut self.training {
            training.reads.remember();
            pass.on_submitted_work_done(training.saved.record());
        }
        Ok(())
    }

    /// Records the backward pass into a compute pass that is open. Bind group 0 and the pipeline of the pass are
    /// changed.
    ///
    /// # Errors
    /// As [`encode_backward`](Self::encode_backward).
    pub fn record_backward(&mut self, pass: &mut wgpu::ComputePass<'_>) -> Result<()> {
        self.begin_backward()?.record(pass);
        Ok(())
    }

    /// Records that the last states become the first ones of the next forward pass: a long stream is so cut into
    /// segments, whose state goes on while the gradient is cut (truncated back-propagation through time). It belongs
    /// behind the backward pass of a segment: where the first states are a part of what the forward pass saved, a
    /// backward pass after it is refused ([`Error::ChangedSinceForward`]).
    ///
    /// # Errors
    /// Those of [`Tensor::encode_copy_from`].
    pub fn encode_carry_state(&self, encoder: &mut wgpu::CommandEncoder) -> Result<()> {
        self.encode_first_states(encoder, self.h_n())
    }

    /// Copies states to the place of the first ones, unless they lie there.
    fn encode_first_states(&self, encoder: &mut wgpu::CommandEncoder, source: &Tensor) -> Result<()> {
        let h0 = self.h0();
        match self.carried() {
            // Inside of a buffer nothing can be copied.
            Some(carried) if source.is_beside(h0) => {
                carried.encode_copy_from(encoder, source)?;
                h0.encode_copy_from(encoder, carried)
            }
            _ => encode_copy_or_clear(encoder, h0, Some(source)),
        }
    }

    /// Copies x and `h0` `[LD, B, H]` (zero if `None`) to their places, runs the forward pass and submits it. It does
    /// not wait. `h0` may be what an earlier pass has left, such as [`Output::h_n`].
    ///
    /// What comes back are handles to the layer's own tensors: the next forward pass writes over them.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`], [`Error::ForeignDevice`], [`Error::Refused`] for a buffer of the app that was
    /// destroyed or is mapped; then nothing is submitted.
    pub fn forward(&mut self, x: &Tensor, h0: Option<&Tensor>) -> Result<Output> {
        let (input, first) = (self.input().clone(), self.h0().clone());
        self.expect("x", x, &input)?;
        if let Some(h0) = h0 {
            self.expect("h0", h0, &first)?;
        }
        expect_copy_or_clear(&input, Some(x))?;
        let way = self.carried().filter(|_| h0.is_some_and(|h0| h0.is_beside(&first)));
        expect_copy_or_clear(way.unwrap_or(&first), h0)?;
        let gpu = self.gpu.clone();
        let submitted = gpu.submit(|encoder| {
            encode_copy_or_clear(encoder, &input, Some(x))?;
            match h0 {
                Some(h0) => self.encode_first_states(encoder, h0)?,
                None => first.encode_clear(encoder)?,
            }
            self.encode_forward(encoder)
        });
        // Recorded, and refused by wgpu.
        if let (Err(_), Some(training)) = (&submitted, &mut self.training) {
            training.saved.use_up();
        }
        submitted?;
        Ok(Output { output: self.output().clone(), h_n: self.h_n().clone() })
    }

    /// Copies the gradients of the outputs (zero if `None`) to their places, runs the backward pass and submits it. It
    /// does not wait.
    ///
    /// # Errors
    /// [`Error::NotTraining`], [`Error::BackwardWithoutForward`], [`Error::ChangedSinceForward`],
    /// [`Error::ShapeMismatch`], [`Error::ForeignDevice`], [`Error::Refused`]; then nothing is submitted.
    pub fn backward(&mut self, d_output: Option<&Tensor>, d_h_n: Option<&Tensor>) -> Result<Gradients> {
        let training = self.training()?;
        if !training.saved.is_there() {
            return Err(Error::BackwardWithoutForward);
        }
        training.reads.expect_unchanged()?;
        let places = [("d_output", self.d_output()?.clone(), d_output), ("d_h_n", self.d_h_n()?.clone(), d_h_n)];
        for (name, place, source) in &places {
            if let Some(source) = source {
                self.expect(name, source, place)?;
            }
        }
        let gpu = self.gpu.clone();
        gpu.submit(|encoder| {
            for (_, place, source) in &places {
                encode_copy_or_clear(encoder, place, *source)?;
            }
            self.encode_backward(encoder)
        })?;
        Ok(self.gradients()?.clone())
    }

    fn training(&self) -> Result<&Training> {
        self.training.as_ref().ok_or(Error::NotTraining)
    }

    fn training_roles(&self) -> Result<&TrainingRoles> {
        self.plan.roles().training.as_ref().ok_or(Error::NotTraining)
    }

    pub(super) fn memory(&self) -> &Memory {
        &self.memory
    }

    fn tensor(&self, id: Option<Id>) -> Option<&Tensor> {
        id.map(|id| self.memory.tensor(id))
    }

    /// On the way to `h0` from what lies in its buffer.
    fn carried(&self) -> Option<&Tensor> {
        self.tensor(self.plan.roles().carried)
    }

    fn expect(&self, name: &'static str, tensor: &Tensor, place: &Tensor) -> Result<()> {
        expect_shape(name, place.shape(), tensor.shape())?;
        place.expect_same_device(name, tensor)
    }
}

/// Checks that [`encode_copy_or_clear`] can be recorded.
fn expect_copy_or_clear(place: &Tensor, source: Option<&Tensor>) -> Result<()> {
    match source {
        Some(source) if source.is_same_memory(place) => Ok(()),
        Some(source) => place.expect_copy_from(source),
        None => place.expect_usage("tensor to clear", wgpu::BufferUsages::COPY_DST),
    }
}

/// Copies `source` to its place unless it lies there already, or clears the place.
fn encode_copy_or_clear(encoder: &mut wgpu::CommandEncoder, place: &Tensor, source: Option<&Tensor>) -> Result<()> {
    match source {
        Some(source) if source.is_same_memory(place) => Ok(()),
        Some(source) => place.encode_copy_from(encoder, source),
        None => place.encode_clear(encoder),
    }
}
