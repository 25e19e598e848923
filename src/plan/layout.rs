//! What the options of a layer mean for its buffers and copies.

use super::external::External;
use super::feasible::{fit_together, no_wavefront};
use super::frame::FrameCut;
use super::time_loop::TimeLoop;
use crate::config::{Cell, Config, Direction, Reset};
use crate::target::Target;
use crate::target::in_elements;
use crate::unroll::{Mode, Saved, Unroll};

/// Up to this B H the steps of one layer leave room on a GPU for those of the next one. A software rasteriser has a few
/// cores to fill, and pays for the smaller products.
const WAVEFRONT_SIZE: usize = 2048;

/// Steps from which on a wavefront is worth its chunks.
const WAVEFRONT_STEPS: usize = 16;

/// What forward keeps of the gates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// All of them, in a buffer per turn.
    Gates,
    /// All of them as f16, in a buffer per chunk; and those of one chunk, in one buffer for all cells.
    F16,
    /// Those of one chunk, in one buffer for all cells.
    Nothing,
}

/// What the options of a layer mean for its buffers and copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// One dispatch takes the step through all layers.
    pub(crate) frame: Option<FrameCut>,
    /// The input is copied: from batch-major, or with zeros past the ends of rows.
    pub(crate) copies_input: bool,
    /// The output is copied: to batch-major, to the opposite order of steps, or with zeros past the ends of rows. Or it is
    /// a tensor of its own, where a frame writes it.
    pub(crate) copies_output: bool,
    /// `h0` and `h_n` are tensors of their own, not parts of the states: those of several cells, those that are given,
    /// those that would begin where no binding may, and those of a frame.
    pub(crate) copies_h0: bool,
    pub(crate) copies_h_n: bool,
    /// The gradient of the output is copied: from batch-major, from the opposite order of steps, or to those of the
    /// other layers of a wavefront.
    pub(crate) copies_d_output: bool,
    /// Nothing but the passes needs the states: inference whose first and last states and output are copied.
    pub(crate) scratch_states: bool,
    pub(crate) has_dropout: bool,
    /// Slots of states: T + 1, or T + 2 where a direction begins at the end.
    pub(crate) slots: usize,
    /// Elements that lie before the first slot, so that the second one, where the output begins, can be bound.
    pub(crate) before_states: usize,
    /// Numbers a unit has in the gates buffer.
    pub(crate) gates_width: usize,
    pub(crate) keeps: Keeps,
    pub(crate) is_reset_before: bool,
    /// Single steps backward read weight_hh transposed: neighbouring lanes of a GPU then load neighbouring numbers. A
    /// software rasteriser loads lane by lane whatever the order, and other steps read each weight once.
    pub(crate) transposes_weights: bool,
    /// The steps read a copy of weight_hh as f16. (A frame rounds what it reads.)
    pub(crate) f16_weights: bool,
    /// All layers take turns over chunks, each one chunk behind the one below it: so a GPU works on them at once.
    pub(crate) wavefront: bool,
    /// How many cells take their steps in the same dispatches at most: the layers of a wavefront, or the directions of
    /// a layer where a binding holds the numbers of both.
    pub(crate) together: usize,
}

impl Layout {
    /// Backward makes the gates of a GRU from its states.
    pub(crate) fn makes_gates_again(&self, config: &Config) -> bool {
        self.keeps == Keeps::Nothing && matches!(config.cell(), Cell::Gru { .. })
    }

    /// There is a tensor on the way from the last states to the first ones, where both lie in one buffer: inside of one
    /// nothing can be copied. A stream's frame has it on the way from row to row.
    pub(crate) fn carries(&self, external: &External) -> bool {
        !self.copies_h0 || external.states_share || self.frame.is_some()
    }

    /// The words of a cell's recurrent weights as the steps read them.
    pub(crate) fn words_of_weights(&self, config: &Config) -> [usize; 3] {
        let hidden = config.hidden_size;
        [config.cell().gates(), hidden, if self.f16_weights { hidden / 2 } else { hidden }]
    }

    pub(super) fn new(
        config: &Config,
        unroll: &Unroll,
        external: &External,
        target: &Target,
        time_loop: &TimeLoop,
        frame: Option<FrameCut>,
    ) -> Self {
        let (training, limits) = (unroll.mode == Mode::Training, &target.limits);
        let rearranged = config.batch_first || unroll.lengths;
        let reverse = config.direction != Direction::Forward;
        let one_cell_forward = config.num_cells() == 1 && !reverse;
        let is_reset_before = matches!(config.cell(), Cell::Gru { reset: Reset::Before, .. });
        let small = unroll.batch.saturating_mul(config.hidden_size) <= WAVEFRONT_SIZE
            && unroll.seq_len >= WAVEFRONT_STEPS
            && !target.is_software();
        let wavefront = unroll.wavefront.unwrap_or(small) && no_wavefront(config, unroll, external, limits).is_none();
        let is_frame = frame.is_some();
        let copies_output = rearranged || config.reversed_output || external.output.is_some() || is_frame;
        // Whatever is handed out begins at a multiple of the alignment of bindings: here so many elements.
        let alignment = in_elements(limits);
        let state = unroll.batch.saturating_mul(config.output_size()) % alignment;
        let before_states = if copies_output { 0 } else { (alignment - state) % alignment };
        let is_bindable = |slot: usize| (before_states + slot % alignment * state).is_multiple_of(alignment);
        // They become zero on the way.
        let copies_h0 =
            unroll.zero_empty_rows || external.h0.is_some() || !one_cell_forward || !is_bindable(0) || is_frame;
        let copies_h_n = external.h_n.is_some() || !one_cell_forward || !is_bindable(unroll.seq_len) || is_frame;
        Self {
            frame,
            copies_input: rearranged && !is_frame,
            copies_output,
            copies_h0,
            copies_h_n,
            copies_d_output: config.batch_first || config.reversed_output || (wavefront && external.d_output.is_some()),
            scratch_states: !training && copies_output && copies_h0 && copies_h_n,
            has_dropout: training && config.dropout > 0.0,
            slots: unroll.seq_len.saturating_add(if reverse { 2 } else { 1 }),
            before_states,
            gates_width: match config.cell() {
                Cell::Rnn { .. } => 1,
                Cell::Gru { .. } if training || is_reset_before => 4,
                Cell::Gru { .. } => 3,
            },
            keeps: match (unroll.saved, config.cell()) {
                _ if !training => Keeps::Nothing,
                // Which states of a plain RNN the clip gave, its states do not tell.
                (_, Cell::Rnn { .. }) if config.clip.is_some() => Keeps::Gates,
                (Saved::Everything, _) => Keeps::Gates,
                (Saved::Recompute, _) | (Saved::F16, Cell::Rnn { .. }) => Keeps::Nothing,
                (Saved::F16, Cell::Gru { .. }) => Keeps::F16,
            },
            is_reset_before,
            transposes_weights: training && time_loop.transposes_weights(),
            f16_weights: unroll.f16_weights && !is_frame,
            wavefront,
            together: if wavefront {
                config.num_layers
            } else if !external.directions_apart
                && config.directions_alike()
                && fit_together(config, unroll, limits, config.directions())
            {
                config.directions()
            } else {
                1
            },
        }
    }
}
