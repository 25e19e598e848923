//! What a layer needs in bytes and workgroups, against what a device has.

use std::ops::Range;

use super::turns::Block;
use super::{Allocation, Keeps, Layout, TimeLoop, Tuning};
use crate::config::{Config, Direction};
use crate::error::{Error, Result};
use crate::gpu::{INDEX, INDICES, in_elements, side_by_side};
use crate::kernels::StepBackwardParams;
use crate::unroll::{Mode, Unroll};
use crate::weights::CellWeights;

const BINDING: &str = "max_storage_buffer_binding_size";
const WORKGROUPS: &str = "max_compute_workgroups_per_dimension";
const BUFFERS: &str = "max_buffers_and_acceleration_structures_per_shader_stage";

/// Chunks of all cells at most. More would take millions of products, and memory of the host without end to plan them.
const PIECES: u64 = 1 << 20;

/// Chunks of a wavefront over L layers: it takes as long as this many and L - 1 more, of which there are L times this many.
const WAVES: usize = 8;

pub(super) fn at_most(what: &'static str, limit: &'static str, required: u64, available: u64) -> Result<()> {
    if required > available { Err(Error::LimitExceeded { what, limit, required, available }) } else { Ok(()) }
}

/// What every kernel needs of a device, whatever the sizes. wgpu does not check workgroup limits after overrides are
/// resolved, so this does.
pub(super) fn check_kernels(tuning: &Tuning, limits: &wgpu::Limits) -> Result<()> {
    let [invocations, memory] = tuning.workgroup();
    let what = "the largest kernel";
    for (limit, required, available) in [
        ("max_compute_invocations_per_workgroup", invocations, limits.max_compute_invocations_per_workgroup),
        ("max_compute_workgroup_size_x", 256, limits.max_compute_workgroup_size_x),
        ("max_compute_workgroup_size_y", 16, limits.max_compute_workgroup_size_y),
        ("max_compute_workgroup_storage_size", memory, limits.max_compute_workgroup_storage_size),
        ("max_storage_buffers_per_shader_stage", 8, limits.max_storage_buffers_per_shader_stage),
        ("max_bindings_per_bind_group", 9, limits.max_bindings_per_bind_group),
        ("max_dynamic_uniform_buffers_per_pipeline_layout", 1, limits.max_dynamic_uniform_buffers_per_pipeline_layout),
        ("max_uniform_buffers_per_shader_stage", 1, limits.max_uniform_buffers_per_shader_stage),
        ("max_bind_groups", 1, limits.max_bind_groups),
        (BUFFERS, 9, limits.max_buffers_and_acceleration_structures_per_shader_stage),
    ] {
        at_most(what, limit, required, u64::from(available))?;
    }
    let uniform = size_of::<StepBackwardParams>() as u64;
    at_most(what, "max_uniform_buffer_binding_size", uniform, limits.max_uniform_buffer_binding_size)
}

/// Bytes of f32 numbers. What does not fit 64 bits saturates, and is over every limit.
fn bytes(sizes: &[usize]) -> u64 {
    sizes.iter().fold(4_u64, |bytes, &size| bytes.saturating_mul(size as u64))
}

/// Whether a binding holds what so many cells need at a time: the states of the directions of one layer, or of so many layers,
/// and the recurrent weights. The gates can be cut.
pub(super) fn fit_together(config: &Config, unroll: &Unroll, limits: &wgpu::Limits, cells: usize) -> bool {
    let width = config.output_size();
    let layers = (cells / config.directions()).max(1);
    // States of several layers each begin so far behind a multiple of the alignment that the second slot is at one.
    let state = unroll.batch().saturating_mul(width);
    let before = if layers > 1 && !state.is_multiple_of(in_elements(limits)) { in_elements(limits) } else { 0 };
    let states = state.saturating_mul(unroll.seq_len().saturating_add(2)).saturating_add(before);
    let states = bytes(&[side_by_side(layers, &[states], limits)[1]]);
    let gates = bytes(&[cells, unroll.batch(), 4, config.hidden_size()]);
    let slack = u64::from(limits.min_storage_buffer_offset_alignment);
    states.max(gates).saturating_add(slack) <= limits.max_storage_buffer_binding_size.min(4 * INDICES)
        && cells_a_buffer(config, limits) >= cells
}

/// How many cells have their recurrent weights in one buffer: all, where a binding holds them, or those of a layer, or each
/// has its own.
pub(crate) fn cells_a_buffer(config: &Config, limits: &wgpu::Limits) -> usize {
    let hidden = config.hidden_size();
    let weights = |cells: usize| bytes(&[side_by_side(cells, &[config.cell().gates(), hidden, hidden], limits)[1]]);
    let most = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size).min(4 * INDICES);
    let all = [config.num_cells(), config.directions()];
    all.into_iter().find(|&cells| weights(cells) <= most).unwrap_or(1)
}

/// T steps in as few pieces of at most `most` as are of one length or two and read the same backwards: a direction that runs
/// in reverse meets the same pieces.
fn evenly(seq_len: usize, most: usize) -> Vec<Range<usize>> {
    let pieces = seq_len.div_ceil(most);
    // An odd number in an even number of pieces has no middle.
    let pieces = if pieces.is_multiple_of(2) && !seq_len.is_multiple_of(2) { pieces + 1 } else { pieces };
    let (short, longer) = (seq_len / pieces, seq_len % pieces);
    let is_longer = |piece: usize| {
        let from_an_end = piece.min(pieces - 1 - piece);
        from_an_end < longer / 2 || (longer % 2 == 1 && 2 * piece + 1 == pieces)
    };
    let mut begin = 0;
    let piece = |index| {
        let end = begin + short + usize::from(is_longer(index));
        let range = begin..end;
        begin = end;
        range
    };
    (0..pieces).map(piece).collect()
}

pub(super) fn longest(chunks: &[Range<usize>]) -> usize {
    chunks.iter().map(ExactSizeIterator::len).max().unwrap_or_default()
}

/// The sizes of a layer.
#[derive(Clone, Copy)]
pub(super) struct Sizes<'a> {
    pub(super) config: &'a Config,
    pub(super) unroll: &'a Unroll,
    pub(super) layout: &'a Layout,
    pub(super) tuning: &'a Tuning,
    pub(super) time_loop: &'a TimeLoop,
    pub(super) limits: &'a wgpu::Limits,
}

impl Sizes<'_> {
    /// What is made for these chunks.
    pub(super) fn allocations(&self, chunks: &[Range<usize>], blocks: &[Block]) -> Vec<Allocation> {
        let chunk = longest(chunks);
        let (config, layout) = (self.config, self.layout);
        let (t, b) = (self.unroll.seq_len(), self.unroll.batch());
        let (i, h, width) = (config.input_size(), config.hidden_size(), config.output_size());
        let (cells, layers) = (config.num_cells(), config.layers());
        let (training, given) = (self.unroll.mode() == Mode::Training, self.unroll.given());
        let mut list: Vec<Allocation> = Vec::new();
        let mut make = |count: usize, name, sizes: &[usize], scratch: bool| {
            if count > 0 {
                list.push(Allocation { name, count, bytes: bytes(sizes), scratch });
            }
        };
        let one = usize::from;
        make(one(!given.input), "input", &[t, b, i], false);
        make(one(layout.copies_input), "arranged input", &[t, b, i], !training);
        // The layers of a wavefront lie in one buffer.
        let (buffers, a_buffer) = if layout.wavefront { (1, layers) } else { (layers, 1) };
        let beside = |shape: &[usize]| side_by_side(a_buffer, shape, self.limits)[1];
        let states = [layout.slots, b, width].iter().fold(1_usize, |len, &size| len.saturating_mul(size));
        make(buffers, "h", &[beside(&[layout.before_states.saturating_add(states)])], layout.scratch_states);
        if layout.keeps == Keeps::Gates {
            // A buffer a turn, of few lengths.
            let mut turns: Vec<[usize; 2]> =
                blocks.iter().flat_map(|block| &block.turns).map(|turn| [turn.parts.len(), turn.steps]).collect();
            turns.sort_unstable();
            for same in turns.chunk_by(|a, b| a == b) {
                let [cells, steps] = same[0];
                make(same.len(), "gates", &[cells, steps, b, layout.gates_width, h], false);
            }
        } else {
            make(1, "gates", &[layout.together, chunk, b, layout.gates_width, h], true);
        }
        if layout.keeps == Keeps::Halves {
            let mut lengths: Vec<usize> = chunks.iter().map(ExactSizeIterator::len).collect();
            lengths.sort_unstable();
            for same in lengths.chunk_by(|a, b| a == b) {
                make(cells * same.len(), "half gates", &[same[0], b, 2, h], false);
            }
        }
        make(if layout.has_dropout { layers - 1 } else { 0 }, "layer input", &[t, b, width], false);
        make(one(layout.copies_output && !given.output), "output", &[t, b, width], false);
        make(one(layout.copies_h0 && !given.h0), "h0", &[cells, b, h], false);
        make(one(layout.copies_h_n && !given.h_n), "h_n", &[cells, b, h], false);
        make(one(layout.carries(given)), "carried state", &[cells, b, h], true);
        make(one(self.unroll.has_lengths()), "lengths", &[b], false);
        make(one(given.sources), "sources of rows", &[b], false);
        let words = layout.words_of_weights(config);
        make(if layout.packs_weights { cells } else { 0 }, "packed weight_hh", &words, true);
        make(if layout.halves_weights { cells } else { 0 }, "half weight_hh", &words, !training);
        if training {
            make(one(layout.makes_gates_again(config)), "h_proj", &[chunk, b, 3, h], true);
            let last_is_given = one(given.d_output && !layout.copies_d_output);
            make(buffers - last_is_given, "d_output", &[beside(&[t, b, width])], false);
            make(one(layout.copies_d_output && !given.d_output), "batch-major d_output", &[t, b, width], false);
            make(one(layout.has_dropout), "d_dropped", &[t, b, width], true);
            make(one(!given.d_h_n), "d_h_n", &[cells, b, h], false);
            make(one(!given.d_h0), "d_h0", &[cells, b, h], false);
            if !given.gradients {
                // All layers but the first are alike; recurrent weights and their biases of several cells lie in one buffer.
                let [first, others] = [0, 1].map(|layer| CellWeights::shapes(config, layer));
                let together = cells_a_buffer(config, self.limits);
                for (place, name) in ["d_weight_ih", "d_weight_hh", "d_bias_ih", "d_bias_hh"].into_iter().enumerate() {
                    let is_recurrent = place % 2 == 1;
                    let groups = if is_recurrent {
                        [(cells / together, together, &first), (one(cells % together > 0), cells % together, &first)]
                    } else {
                        [(config.directions(), 1, &first), (cells - config.directions(), 1, &others)]
                    };
                    for (count, together, shapes) in groups {
                        let shape = &shapes[place];
                        let elements = side_by_side(together, shape, self.limits)[1];
                        make(if shape.contains(&0) { 0 } else { count }, name, &[elements], false);
                    }
                }
            }
            let d_input = self.unroll.has_input_gradient();
            make(one(d_input && !given.d_input), "d_input", &[t, b, i], false);
            make(one(d_input && config.is_batch_first()), "arranged d_input", &[t, b, i], true);
        }
        list
    }

    /// The time axis in pieces that every binding and every grid can hold.
    pub(super) fn chunks(&self, limits: &wgpu::Limits) -> Result<Vec<Range<usize>>> {
        let (seq_len, most) = (self.unroll.seq_len(), self.steps_in_a_chunk(limits)?);
        let pieces = (seq_len.div_ceil(most) as u64).saturating_mul(self.config.num_cells() as u64);
        at_most("the pieces of time of all cells", "what a plan holds", pieces, PIECES)?;
        if !self.layout.wavefront {
            return Ok(evenly(seq_len, most));
        }
        let steps = most.min(seq_len.div_ceil(WAVES));
        let chunk = |begin: usize| begin..(begin + steps).min(seq_len);
        let chunks: Vec<_> = (0..seq_len).step_by(steps).map(chunk).collect();
        if self.config.layer_direction() == Direction::Forward {
            return Ok(chunks);
        }
        // The last one of the direction is the one that may be shorter.
        Ok(chunks.into_iter().rev().map(|chunk| seq_len - chunk.end..seq_len - chunk.start).collect())
    }

    /// How many steps every binding and every grid of a chunk can hold.
    fn steps_in_a_chunk(&self, limits: &wgpu::Limits) -> Result<usize> {
        let (config, layout) = (self.config, self.layout);
        let (t, b, h) = (self.unroll.seq_len(), self.unroll.batch(), config.hidden_size());
        let workgroups = u64::from(limits.max_compute_workgroups_per_dimension);
        let [tile_rows, tile_columns] = self.tuning.matmul.tile().map(u64::from);
        let batch = b as u64;
        let inputs = config.input_size().max(config.layer_input_size(config.layers() - 1));
        let columns = (config.cell().gates() as u64).saturating_mul(h as u64).max(inputs as u64);
        at_most("the columns of the products", WORKGROUPS, columns.div_ceil(tile_rows.min(tile_columns)), workgroups)?;
        at_most("the rows of a step", WORKGROUPS, batch.div_ceil(u64::from(self.time_loop.forward.rows)), workgroups)?;
        at_most("the rows of one step's product", WORKGROUPS, batch.div_ceil(tile_rows.min(8)), workgroups)?;

        let available = limits.max_storage_buffer_binding_size;
        let gates = config.cell().gates();
        let fits = |what, bytes: u64| {
            at_most(what, BINDING, bytes, available)?;
            at_most(what, INDEX, bytes / 4, INDICES)
        };
        fits("weight_ih", bytes(&[gates, h, inputs]))?;
        fits("weight_hh", bytes(&[gates, h, h]))?;
        // A binding of n steps begins up to one alignment early, and reads one state past the chunk.
        let slack = u64::from(limits.min_storage_buffer_offset_alignment);
        let width = config.output_size();
        let mut steps = (workgroups * tile_rows.min(8) / batch).max(1);
        for (what, size, further) in [
            ("input", bytes(&[b, inputs]), 0),
            ("h", bytes(&[b, width]), 1),
            ("gates", bytes(&[layout.together, b, layout.gates_width, h]), 0),
        ] {
            fits(what, size.saturating_mul(1 + further).saturating_add(slack))?;
            steps = steps.min((available.min(4 * INDICES) - slack) / size - further);
        }
        // What is copied as a whole is bound as a whole.
        let copies = [
            (layout.copies_input, "input", bytes(&[t, b, config.input_size()])),
            (layout.copies_output || layout.has_dropout, "output", bytes(&[layout.slots, b, width])),
            (layout.copies_d_output, "d_output", bytes(&[t, b, width])),
        ];
        for (copied, what, size) in copies {
            fits(what, if copied { size.saturating_add(slack) } else { 0 })?;
        }
        let mut steps = steps.min(t as u64) as usize;
        if self.unroll.mode() == Mode::Training && layout.keeps != Keeps::Gates {
            // What one chunk keeps for a while is small beside what is kept for all steps.
            steps = steps.min(t.div_ceil(32));
        }
        Ok(steps)
    }
}
