//! A layer that goes on from frame to frame, whose state stays on the GPU.

use crate::config::{Cell, Config, Direction};
use crate::error::{Error, Result, expect_shape};
use crate::gpu::{Gpu, Tensor};
use crate::layer::{ExternalTensors, Recurrent, Unrolled};
use crate::plan::Plan;
use crate::unroll::{Mode, Unroll};

/// How many rows a stream has, and how many frames a step takes.
///
/// ```
/// use wgpu_gru::StreamOptions;
/// let options = StreamOptions::new(4096).frames(1).gather(true);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamOptions {
    unroll: Unroll,
    gather: bool,
}

impl StreamOptions {
    /// `rows` B of one frame a step.
    #[must_use]
    pub fn new(rows: usize) -> Self {
        Self { unroll: Unroll::inference(1, rows), gather: false }
    }

    /// How many frames T a step takes at once, by default 1. The products over all of them are one.
    #[must_use]
    pub fn frames(self, frames: usize) -> Self {
        Self { unroll: Unroll { seq_len: frames, ..self.unroll }, ..self }
    }

    /// Whether shaders of the app say from which row each row goes on, by default no. See [`Stream::gather_indices`].
    #[must_use]
    pub fn gather(self, wanted: bool) -> Self {
        Self { gather: wanted, ..self }
    }

    /// Whether each row has a number of frames of its own, by default no: a row of 0 rests, and keeps its state. See
    /// [`Stream::lengths`].
    #[must_use]
    pub fn lengths(self, wanted: bool) -> Self {
        Self { unroll: self.unroll.lengths(wanted), ..self }
    }

    /// Further options of the layer's steps, such as a schedule, by those of an [`Unroll`]; how long and wide that is
    /// and whether it has lengths stay; its rows begin anew between steps alone.
    #[must_use]
    pub fn with(self, options: impl FnOnce(Unroll) -> Unroll) -> Self {
        let Unroll { seq_len, batch, lengths, zero_empty_rows, episode_starts, .. } = self.unroll;
        let unroll = Unroll { seq_len, batch, lengths, zero_empty_rows, episode_starts, ..options(self.unroll) };
        Self { unroll, ..self }
    }
}

/// A layer that goes on from frame to frame: B rows, each with a state of its own, which stays on the GPU. L is the
/// number of layers.
///
/// A step of one frame takes one dispatch through all layers, two with [`StreamOptions::gather`], where the weights of
/// all layers together are small (512 KiB) and there are buffers enough to bind them; otherwise, with frames T > 1, and
/// where a schedule is named, it takes some for each layer. [`explain`](Self::explain) says which, and why.
///
/// Everything is made when the stream is. A step reads [`input`](Self::input) and the [`state`](Self::state), and
/// leaves the new state in its place: bind that in shaders of the app ([`Tensor::binding`]). Rows can be reset, copied,
/// saved and restored between two steps in two ways, both on the GPU: recorded by the CPU with the `encode_*` calls, or
/// by shaders of the app through [`gather_indices`](Self::gather_indices).
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu, frames: impl Iterator<Item = wgpu_gru::Tensor>) -> wgpu_gru::Result<()> {
/// use wgpu_gru::{Gru, GruConfig, StreamOptions};
/// let gru = Gru::new(gpu, GruConfig::new(8, 32), 1)?;
/// let stream = gru.stream(StreamOptions::new(100))?;
/// let snapshot = stream.snapshot()?;
/// for frame in frames {
///     let mut encoder = gpu.device().create_command_encoder(&Default::default());
///     stream.encode_reset_rows(&mut encoder, &[3])?; // row 3 begins anew, from a state of zero
///     stream.input().encode_copy_from(&mut encoder, &frame)?; // or let a shader write it
///     stream.encode_step(&mut encoder)?;
///     stream.encode_save(&mut encoder, &snapshot)?;
///     gpu.queue().submit([encoder.finish()]);
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Stream {
    gpu: Gpu,
    state: Tensor,
    net: Unrolled,
    rows: usize,
}

impl Stream {
    pub(super) fn new<C: Copy + Into<Cell>>(
        layer: &Recurrent<C>,
        options: StreamOptions,
        places: &ExternalTensors,
    ) -> Result<Self> {
        let (gpu, config) = (layer.gpu(), layer.config().erased());
        config.validate()?;
        options.unroll.validate()?;
        if options.unroll.mode == Mode::Training {
            return Err(Error::OptionUnavailable { option: "training", because: "a stream has no backward pass" });
        }
        if config.direction != Direction::Forward {
            let because = "a direction that runs in reverse begins at the last frame";
            return Err(Error::OptionUnavailable { option: "a stream", because });
        }
        let rows = options.unroll.batch;
        let state = match (&places.h0, &places.h_n) {
            (None, None) => Tensor::named(gpu, "state", &[config.num_cells(), rows, config.hidden_size], None)?,
            (Some(state), None) => state.clone(),
            (Some(state), Some(h_n)) if state.is_same_memory(h_n) => state.clone(),
            _ => {
                let because = "h_n of a stream is the state, which is to be given as h0";
                return Err(Error::OptionUnavailable { option: "a place for h_n", because });
            }
        };
        let places = ExternalTensors { h0: Some(state.clone()), h_n: Some(state.clone()), ..places.clone() };
        let net = Unrolled::new(layer, &options.unroll, &places, options.gather)?;
        Ok(Self { gpu: gpu.clone(), state, net, rows })
    }

    /// What the layer is.
    #[must_use]
    pub fn config(&self) -> &Config {
        self.net.config()
    }

    /// B.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// T, the frames of a step.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.net.unroll().seq_len
    }

    /// What a step does: schedule, dispatches, FLOPs, bytes. The state is not among the buffers.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        self.net.plan()
    }

    /// The plan in words, with the dispatches as they are recorded, kernel by kernel.
    #[must_use]
    pub fn explain(&self) -> String {
        self.net.explain()
    }

    /// The frames of the next step, `[T, B, I]`, or `[B, T, I]` if batch-first, to be written.
    #[must_use]
    pub fn input(&self) -> &Tensor {
        self.net.input()
    }

    /// The state of the last layer after each frame of the last step, `[T, B, H]`, or `[B, T, H]` if batch-first. Zero
    /// past a row's end.
    #[must_use]
    pub fn output(&self) -> &Tensor {
        self.net.output()
    }

    /// The state of each layer after the last step, `[L, B, H]`, initially zero. It stays where it is, and may be
    /// written.
    #[must_use]
    pub fn state(&self) -> &Tensor {
        &self.state
    }

    /// From which row each row goes on, `[B]`, for shaders of the app to write as `array<u32>`: before a step row b
    /// becomes what row `indices[b]` was after the last one, in all layers, and zero where that is no row, such as
    /// 0xffffffff. All rows change at once, so rows can be swapped or moved together. A step reads them and sets row b
    /// back to b.
    ///
    /// # Errors
    /// [`Error::OptionUnavailable`] for a stream that was made without.
    pub fn gather_indices(&self) -> Result<&Tensor> {
        let because = "the stream was made without: see StreamOptions::gather";
        self.net.gather_indices().ok_or(Error::OptionUnavailable { option: "gather_indices", because })
    }

    /// How many frames each row takes in a step, `[B]`, initially T, for shaders of the app to write as `array<u32>`. A
    /// row of 0 rests: its state stays and its output is zero. What is over T counts as T.
    ///
    /// # Errors
    /// [`Error::NoLengths`].
    pub fn lengths(&self) -> Result<&Tensor> {
        self.net.lengths().ok_or(Error::NoLengths)
    }

    /// Sets [`lengths`](Self::lengths) from the host, before the next submission's commands run.
    ///
    /// # Errors
    /// Those of [`Unrolled::set_lengths`].
    pub fn set_lengths(&self, lengths: &[usize]) -> Result<()> {
        self.net.set_lengths(lengths)
    }

    /// Records a step into the app's encoder, as one compute pass.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], where that is known; then nothing is recorded.
    pub fn encode_step(&self, encoder: &mut wgpu::CommandEncoder) -> Result<()> {
        self.net.inference()?.encode(encoder);
        Ok(())
    }

    /// Records a step into a compute pass that is open. Bind group 0 and the pipeline of the pass are changed.
    ///
    /// # Errors
    /// As [`encode_step`](Self::encode_step).
    pub fn record_step(&self, pass: &mut wgpu::ComputePass<'_>) -> Result<()> {
        self.net.inference()?.record(pass);
        Ok(())
    }

    /// Records that all rows begin anew, from a state of zero.
    ///
    /// # Errors
    /// [`Error::BufferUsage`], as that of the other calls, for a state in a buffer of the app that lacks a usage.
    pub fn encode_reset(&self, encoder: &mut wgpu::CommandEncoder) -> Result<()> {
        self.state.encode_clear(encoder)
    }

    /// Records that some rows begin anew, from a state of zero.
    ///
    /// # Errors
    /// [`Error::NoSuchRow`], [`Error::BufferUsage`]; then nothing is recorded.
    pub fn encode_reset_rows(&self, encoder: &mut wgpu::CommandEncoder, rows: &[usize]) -> Result<()> {
        rows.iter().try_for_each(|&row| self.expect_row(row))?;
        self.state.expect_usage("state", wgpu::BufferUsages::COPY_DST)?;
        for layer in 0..self.layers() {
            // Neighbours at once.
            for run in rows.chunk_by(|&row, &next| next == row + 1) {
                let at = self.place(&self.state, layer, run[0]);
                encoder.clear_buffer(self.state.buffer(), at, Some(run.len() as u64 * self.row_bytes()));
            }
        }
        self.state.mark_written();
        Ok(())
    }

    /// Records that rows become copies of others: each pair is from and to. All are read before one is written, so rows
    /// can be swapped.
    ///
    /// # Errors
    /// [`Error::NoSuchRow`], [`Error::RowUnavailable`] for a row that is to become two, [`Error::BufferUsage`]; then
    /// nothing is recorded.
    pub fn encode_copy_rows(&self, encoder: &mut wgpu::CommandEncoder, pairs: &[(usize, usize)]) -> Result<()> {
        let mut named = vec![false; self.rows()];
        for &(from, to) in pairs {
            self.expect_row(from)?;
            self.expect_row(to)?;
            if std::mem::replace(&mut named[to], true) {
                return Err(Error::RowUnavailable { row: to, because: "it is to become a copy of two rows" });
            }
        }
        self.state.expect_usage("state", wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST)?;
        for layer in 0..self.layers() {
            // By way of room that the next step writes: inside a buffer nothing is copied.
            let slot = self.net.room_for_states(layer)?;
            let (state, bytes) = (self.state.buffer(), self.row_bytes());
            let in_slot = |row: usize| slot.byte_offset() + row as u64 * bytes;
            for &(from, to) in pairs {
                encoder.copy_buffer_to_buffer(
                    state,
                    self.place(&self.state, layer, from),
                    slot.buffer(),
                    in_slot(to),
                    bytes,
                );
            }
            for &(_, to) in pairs {
                encoder.copy_buffer_to_buffer(
                    slot.buffer(),
                    in_slot(to),
                    state,
                    self.place(&self.state, layer, to),
                    bytes,
                );
            }
        }
        self.state.mark_written();
        Ok(())
    }

    /// Room for the state of all rows, of its shape, to be filled by [`encode_save`](Self::encode_save). It makes a
    /// buffer.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`], [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn snapshot(&self) -> Result<Tensor> {
        Tensor::named(&self.gpu, "snapshot", self.state.shape(), None)
    }

    /// Records a copy of the state into a snapshot.
    ///
    /// # Errors
    /// Those of [`Tensor::encode_copy_from`]; then nothing is recorded.
    pub fn encode_save(&self, encoder: &mut wgpu::CommandEncoder, snapshot: &Tensor) -> Result<()> {
        snapshot.encode_copy_from(encoder, &self.state)
    }

    /// Records that the state of all rows becomes that of a snapshot.
    ///
    /// # Errors
    /// Those of [`Tensor::encode_copy_from`]; then nothing is recorded.
    pub fn encode_restore(&self, encoder: &mut wgpu::CommandEncoder, snapshot: &Tensor) -> Result<()> {
        self.state.encode_copy_from(encoder, snapshot)
    }

    /// Records that rows become those of a snapshot: each pair is a row of the snapshot and one of the stream. The
    /// snapshot may have another number of rows, such as the state of another stream of the same layer.
    ///
    /// # Errors
    /// [`Error::NoSuchRow`], [`Error::ShapeMismatch`], [`Error::ForeignDevice`], [`Error::Aliased`],
    /// [`Error::BufferUsage`]; then nothing is recorded.
    pub fn encode_restore_rows(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        snapshot: &Tensor,
        pairs: &[(usize, usize)],
    ) -> Result<()> {
        let mut expected = self.state.shape().to_vec();
        let rows = snapshot.shape().get(1).copied().unwrap_or_default();
        expected[1] = rows;
        expect_shape("snapshot", &expected, snapshot.shape())?;
        for &(from, to) in pairs {
            if from >= rows {
                return Err(Error::NoSuchRow { row: from, rows });
            }
            self.expect_row(to)?;
        }
        self.state.expect_same_device("snapshot", snapshot)?;
        if snapshot.buffer() == self.state.buffer() {
            return Err(Error::Aliased { first: "snapshot", second: "state" });
        }
        snapshot.expect_usage("snapshot", wgpu::BufferUsages::COPY_SRC)?;
        self.state.expect_usage("state", wgpu::BufferUsages::COPY_DST)?;
        for layer in 0..self.layers() {
            for &(from, to) in pairs {
                let (source, target) = (self.place(snapshot, layer, from), self.place(&self.state, layer, to));
                encoder.copy_buffer_to_buffer(snapshot.buffer(), source, self.state.buffer(), target, self.row_bytes());
            }
        }
        self.state.mark_written();
        Ok(())
    }

    fn expect_row(&self, row: usize) -> Result<()> {
        let rows = self.rows();
        if row < rows { Ok(()) } else { Err(Error::NoSuchRow { row, rows }) }
    }

    fn layers(&self) -> usize {
        self.state.shape()[0]
    }

    fn row_bytes(&self) -> u64 {
        self.state.shape()[2] as u64 * 4
    }

    /// Where a row of a layer begins in the buffer of the state or of a snapshot.
    fn place(&self, tensor: &Tensor, layer: usize, row: usize) -> u64 {
        tensor.byte_offset() + (layer * tensor.shape()[1] + row) as u64 * self.row_bytes()
    }
}
