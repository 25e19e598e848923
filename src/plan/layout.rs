//! What the options of a layer mean for its buffers and copies.

use wgpu::{DeviceType, Limits};

use super::sizes::fit_together;
use crate::config::{Cell, Config, Direction, Reset};
use crate::gpu::in_elements;
use crate::unroll::{Given, Mode, Saved, Unroll};

/// Up to this B H the steps of one layer leave room on a GPU for those of the next one. A software rasteriser has a few cores
/// to fill, and pays for the smaller products.
const WAVEFRONT_SIZE: usize = 2048;

/// Steps from which on a wavefront is worth its chunks.
const WAVEFRONT_STEPS: usize = 16;

/// Why the layers cannot take their steps in a wavefront, if they cannot.
pub(super) fn no_wavefront(config: &Config, unroll: &Unroll, limits: &Limits) -> Option<&'static str> {
    if config.layers() == 1 {
        Some("there is one layer")
    } else if config.layer_direction() == Direction::Bidirectional {
        Some("a layer above two directions needs all steps of both")
    } else if unroll.mode() == Mode::Training && config.dropout_share() > 0.0 {
        Some("dropout acts on all steps of a layer at once")
    } else if unroll.seq_len() == 1 {
        Some("there is one step")
    } else if unroll.given().layers_apart {
        Some("the recurrent weights of the layers do not lie evenly in one buffer")
    } else if !fit_together(config, unroll, limits, config.layers()) {
        Some("a binding does not hold the states and recurrent weights of all layers")
    } else {
        None
    }
}

/// Why gates cannot be kept as halves, if they cannot.
pub(super) fn no_halves(config: &Config) -> Option<&'static str> {
    let activations = config.cell().activations();
    if matches!(config.cell(), Cell::Rnn { .. }) {
        None
    } else if config.clip_limit().is_some() {
        Some("slopes jump at the clip, which rounding might cross")
    } else if !activations.iter().all(|(_, activation)| activation.is_smooth_and_bounded()) {
        Some("an activation is not sigmoid, tanh or softsign")
    } else {
        None
    }
}

/// Why the steps cannot read recurrent weights as halves, if they cannot.
pub(super) fn no_half_weights(config: &Config) -> Option<&'static str> {
    (!config.hidden_size().is_multiple_of(4)).then_some("hidden_size is not a multiple of 4")
}

/// What forward keeps of the gates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// All of them, in a buffer a turn.
    Gates,
    /// All of them as halves, in a buffer a chunk; and those of one chunk, in one buffer for all cells.
    Halves,
    /// Those of one chunk, in one buffer for all cells.
    Nothing,
}

/// What the options of a layer mean for its buffers and copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The input is copied: from batch-major, or with zeros past the ends of rows.
    pub(crate) copies_input: bool,
    /// The output is copied: to batch-major, or with zeros past the ends of rows.
    pub(crate) copies_output: bool,
    /// `h0` and `h_n` are tensors of their own, not parts of the states: those of several cells, those that are given, and those
    /// that would begin where no binding may.
    pub(crate) copies_h0: bool,
    pub(crate) copies_h_n: bool,
    /// The gradient of the output is copied: from batch-major, or to those of the other layers of a wavefront.
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
    /// The steps forward read weight_hh packed: neighbouring lanes of a GPU then load neighbouring numbers. A software
    /// rasteriser loads lane by lane whatever the order.
    pub(crate) packs_weights: bool,
    /// The steps read weight_hh as halves.
    pub(crate) half_weights: bool,
    /// There is a copy of weight_hh as halves in its own order: for the steps backward, and for those forward that do not read
    /// it packed.
    pub(crate) halves_weights: bool,
    pub(crate) dispatches_a_step: usize,
    /// All layers take turns over chunks, each one chunk behind the one below it: so a GPU works on them at once.
    pub(crate) wavefront: bool,
    /// How many cells take their steps in the same dispatches at most: the layers of a wavefront, or the directions of a
    /// layer where a binding holds the numbers of both.
    pub(crate) together: usize,
}

impl Layout {
    /// Backward makes the gates of a GRU from its states.
    pub(crate) fn makes_gates_again(&self, config: &Config) -> bool {
        self.keeps == Keeps::Nothing && matches!(config.cell(), Cell::Gru { .. })
    }

    /// There is a tensor on the way from the last states to the first ones, where both lie in one buffer: inside of one nothing
    /// can be copied.
    pub(crate) fn carries(&self, given: Given) -> bool {
        !self.copies_h0 || given.states_share
    }

    /// The words of a cell's recurrent weights as the steps read them.
    pub(crate) fn words_of_weights(&self, config: &Config) -> [usize; 3] {
        let hidden = config.hidden_size();
        [config.cell().gates(), hidden, if self.half_weights { hidden / 2 } else { hidden }]
    }

    pub(super) fn new(config: &Config, unroll: &Unroll, limits: &Limits, device_type: DeviceType) -> Self {
        let (training, given) = (unroll.mode() == Mode::Training, unroll.given());
        let rearranged = config.is_batch_first() || unroll.has_lengths();
        let reverse = config.layer_direction() != Direction::Forward;
        let one_cell_forward = config.num_cells() == 1 && !reverse;
        let is_reset_before = matches!(config.cell(), Cell::Gru { reset: Reset::Before, .. });
        let small = unroll.batch().saturating_mul(config.hidden_size()) <= WAVEFRONT_SIZE
            && unroll.seq_len() >= WAVEFRONT_STEPS
            && device_type != DeviceType::Cpu;
        let wavefront = unroll.wanted_wavefront().unwrap_or(small) && no_wavefront(config, unroll, limits).is_none();
        // Where each weight is read once or so, as for a frame of few rows, reading them in another order costs as much as it saves.
        let many_rows = unroll.seq_len().saturating_mul(unroll.batch()) > 8;
        let packs_weights = device_type != DeviceType::Cpu && config.hidden_size().is_multiple_of(4) && many_rows;
        let copies_output = rearranged || given.output;
        // Whatever is handed out begins at a multiple of the alignment of bindings: here so many elements.
        let alignment = in_elements(limits);
        let state = unroll.batch().saturating_mul(config.output_size()) % alignment;
        let before_states = if copies_output { 0 } else { (alignment - state) % alignment };
        let is_bindable = |slot: usize| (before_states + slot % alignment * state).is_multiple_of(alignment);
        let copies_h0 = given.h0 || !one_cell_forward || !is_bindable(0);
        let copies_h_n = given.h_n || !one_cell_forward || !is_bindable(unroll.seq_len());
        Self {
            copies_input: rearranged,
            copies_output,
            copies_h0,
            copies_h_n,
            copies_d_output: config.is_batch_first() || (wavefront && given.d_output),
            scratch_states: !training && copies_output && copies_h0 && copies_h_n,
            has_dropout: training && config.dropout_share() > 0.0,
            slots: unroll.seq_len().saturating_add(if reverse { 2 } else { 1 }),
            before_states,
            gates_width: match config.cell() {
                Cell::Rnn { .. } => 1,
                Cell::Gru { .. } if training || is_reset_before => 4,
                Cell::Gru { .. } => 3,
            },
            keeps: match (unroll.saved_gates(), config.cell()) {
                _ if !training => Keeps::Nothing,
                // Which states of a plain RNN the clip gave, its states do not tell.
                (_, Cell::Rnn { .. }) if config.clip_limit().is_some() => Keeps::Gates,
                (Saved::Everything, _) => Keeps::Gates,
                (Saved::StatesOnly, _) | (Saved::Half, Cell::Rnn { .. }) => Keeps::Nothing,
                (Saved::Half, Cell::Gru { .. }) => Keeps::Halves,
            },
            is_reset_before,
            packs_weights,
            half_weights: unroll.has_half_weights(),
            halves_weights: unroll.has_half_weights() && (training || !packs_weights),
            dispatches_a_step: if is_reset_before { 2 } else { 1 },
            wavefront,
            together: if wavefront {
                config.layers()
            } else if !given.directions_apart && fit_together(config, unroll, limits, config.directions()) {
                config.directions()
            } else {
                1
            },
        }
    }
}
