//! What the options of a layer mean for its buffers and copies.

use wgpu::{DeviceType, Limits};

use super::sizes::fit_together;
use crate::config::{Cell, Config, Direction, Reset};
use crate::unroll::{Mode, Saved, Unroll};

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
    } else if !fit_together(config, unroll, limits, config.layers()) {
        Some("a binding does not hold the states and recurrent weights of all layers")
    } else {
        None
    }
}

/// What the options of a layer mean for its buffers and copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The input is copied: from batch-major, or with zeros past the ends of rows.
    pub(crate) copies_input: bool,
    /// The output is copied: to batch-major, or with zeros past the ends of rows.
    pub(crate) copies_output: bool,
    /// `h0` and `h_n` are tensors of their own, not parts of the states.
    pub(crate) copies_h0: bool,
    pub(crate) copies_h_n: bool,
    pub(crate) has_dropout: bool,
    /// Slots of states: T + 1, or T + 2 where a direction begins at the end.
    pub(crate) slots: usize,
    /// Numbers a unit has in the gates buffer.
    pub(crate) gates_width: usize,
    /// The gates of all steps are kept, a buffer a cell; otherwise those of one chunk, one buffer for all cells.
    pub(crate) keeps_gates: bool,
    pub(crate) is_reset_before: bool,
    /// The steps forward read weight_hh packed: neighbouring lanes of a GPU then load neighbouring numbers. A software
    /// rasteriser loads lane by lane whatever the order.
    pub(crate) packs_weights: bool,
    pub(crate) dispatches_a_step: usize,
    /// All layers take turns over chunks, each one chunk behind the one below it: so a GPU works on them at once.
    pub(crate) wavefront: bool,
    /// How many cells take their steps in the same dispatches at most: the layers of a wavefront, or the directions of a
    /// layer where a binding holds the numbers of both.
    pub(crate) together: usize,
}

impl Layout {
    pub(super) fn new(config: &Config, unroll: &Unroll, limits: &Limits, device_type: DeviceType) -> Self {
        let training = unroll.mode() == Mode::Training;
        let rearranged = config.is_batch_first() || unroll.has_lengths();
        let reverse = config.layer_direction() != Direction::Forward;
        let one_cell_forward = config.num_cells() == 1 && !reverse;
        let is_reset_before = matches!(config.cell(), Cell::Gru { reset: Reset::Before, .. });
        let small = unroll.batch().saturating_mul(config.hidden_size()) <= WAVEFRONT_SIZE
            && unroll.seq_len() >= WAVEFRONT_STEPS
            && device_type != DeviceType::Cpu;
        let wavefront = unroll.wanted_wavefront().unwrap_or(small) && no_wavefront(config, unroll, limits).is_none();
        Self {
            copies_input: rearranged,
            copies_output: rearranged,
            copies_h0: !one_cell_forward,
            copies_h_n: !one_cell_forward,
            has_dropout: training && config.dropout_share() > 0.0,
            slots: unroll.seq_len().saturating_add(if reverse { 2 } else { 1 }),
            gates_width: match config.cell() {
                Cell::Rnn { .. } => 1,
                Cell::Gru { .. } if training || is_reset_before => 4,
                Cell::Gru { .. } => 3,
            },
            keeps_gates: training && unroll.saved_gates() == Saved::Everything,
            is_reset_before,
            packs_weights: device_type != DeviceType::Cpu && config.hidden_size().is_multiple_of(4),
            dispatches_a_step: if is_reset_before { 2 } else { 1 },
            wavefront,
            together: if wavefront {
                config.layers()
            } else if fit_together(config, unroll, limits, config.directions()) {
                config.directions()
            } else {
                1
            },
        }
    }
}
