//! How the time axis is cut into chunks, so that every binding and every grid of workgroups is within its limit.

use std::ops::Range;

use super::layout::{Keeps, Layout};
use super::matmul::MatmulKernel;
use super::time_loop::TimeLoop;
use crate::config::{Config, Direction};
use crate::error::Result;
use crate::target::Target;
use crate::target::{INDEX, INDICES, at_most, bytes};
use crate::unroll::{Mode, Unroll};

const BINDING: &str = "max_storage_buffer_binding_size";
const WORKGROUPS: &str = "max_compute_workgroups_per_dimension";

/// Chunks of all cells at most. More would take a hundred thousand products, and memory of the host without end to list
/// them.
const PIECES: u64 = 1 << 14;

/// Chunks per layer in a wavefront: L layers take `WAVES + L - 1` chunk times instead of `L * WAVES`.
const WAVES: usize = 8;

/// Splits T steps into the fewest chunks of at most `most` steps whose lengths differ by at most one and form a
/// palindrome: a direction that runs in reverse meets the same chunks.
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

/// What the chunks of a layer depend on.
#[derive(Clone, Copy)]
pub(super) struct Sizes<'a> {
    pub(super) config: &'a Config,
    pub(super) unroll: &'a Unroll,
    pub(super) target: &'a Target,
    pub(super) layout: &'a Layout,
    pub(super) time_loop: &'a TimeLoop,
}

impl Sizes<'_> {
    /// The time axis in pieces that every binding and every grid can hold.
    pub(super) fn chunks(&self) -> Result<Vec<Range<usize>>> {
        let (seq_len, most) = (self.unroll.seq_len, self.steps_in_a_chunk()?);
        let pieces = (seq_len.div_ceil(most) as u64).saturating_mul(self.config.num_cells() as u64);
        at_most("the pieces of time of all cells", "what a plan holds", pieces, PIECES)?;
        if !self.layout.wavefront {
            return Ok(evenly(seq_len, most));
        }
        let steps = most.min(seq_len.div_ceil(WAVES));
        let chunk = |begin: usize| begin..(begin + steps).min(seq_len);
        let chunks: Vec<_> = (0..seq_len).step_by(steps).map(chunk).collect();
        if self.config.direction == Direction::Forward {
            return Ok(chunks);
        }
        // The last one of the direction is the one that may be shorter.
        Ok(chunks.into_iter().rev().map(|chunk| seq_len - chunk.end..seq_len - chunk.start).collect())
    }

    /// How many steps every binding and every grid of a chunk can hold.
    fn steps_in_a_chunk(&self) -> Result<usize> {
        let Self { config, layout, .. } = *self;
        let limits = &self.target.limits;
        let (t, b, h) = (self.unroll.seq_len, self.unroll.batch, config.hidden_size);
        let workgroups = u64::from(limits.max_compute_workgroups_per_dimension);
        let [tile_rows, tile_columns] = MatmulKernel::of_class(self.target).tile().map(u64::from);
        let batch = b as u64;
        let inputs = config.input_size.max(config.layer_input_size(config.num_layers - 1));
        let columns = (config.cell().gates() as u64).saturating_mul(h as u64).max(inputs as u64);
        at_most("the columns of the products", WORKGROUPS, columns.div_ceil(tile_rows.min(tile_columns)), workgroups)?;
        for backward in [false, true] {
            let [units, rows] = self.time_loop.parts(backward, b, h).map(u64::from);
            at_most("the units of a step", WORKGROUPS, units, workgroups)?;
            at_most("the rows of a step", WORKGROUPS, rows, workgroups)?;
        }
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
            (layout.copies_input, "input", bytes(&[t, b, config.input_size])),
            (layout.copies_output || layout.has_dropout, "output", bytes(&[layout.slots, b, width])),
            (layout.copies_d_output, "d_output", bytes(&[t, b, width])),
            // Behind them there is a row of zeros, before them the lengths.
            (self.unroll.episode_starts, "episode starts", bytes(&[t.saturating_add(2), b])),
        ];
        for (copied, what, size) in copies {
            fits(what, if copied { size.saturating_add(slack) } else { 0 })?;
        }
        let mut steps = steps.min(t as u64) as usize;
        if self.unroll.mode == Mode::Training && layout.keeps != Keeps::Gates {
            // What one chunk keeps for a while is small beside what is kept for all steps.
            steps = steps.min(t.div_ceil(32));
        }
        Ok(steps)
    }
}
