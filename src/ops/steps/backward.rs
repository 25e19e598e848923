//! The steps of a chunk back through time, and the gates that they need where forward did not keep them.

use std::sync::Arc;

use super::{ACTIVATION, CANDIDATE, CellSteps, Forms, GATE, all_of, all_weights, first_and_next};
use crate::config::{Cell, Reset};
use crate::gpu::{Gpu, Kernel, ProgramBuilder, Tensor, view_of_parts};
use crate::kernels::{
    GRU_GATES, GRU_RESET_BACKWARD, GRU_RESET_BACKWARD_F16, GRU_RESET_BACKWARD_SCALAR, GRU_STEP_BACKWARD,
    GRU_STEP_BACKWARD_F16, GRU_STEP_BACKWARD_SCALAR, GruGates, GruGatesParams, RNN_STEP_BACKWARD,
    RNN_STEP_BACKWARD_F16, RNN_STEP_BACKWARD_SCALAR, StepBackward, StepBackwardParams,
};
use crate::ops::{Overrides, activation, clip};
use crate::plan::{Cut, Schedule, TimeLoop};

/// Units that a lane of a step backward owns.
const UNITS: usize = 4;

/// Where the gradients of a cell's steps come from, and where they go.
#[derive(Debug, Clone)]
pub(crate) struct StepsBackward<'a> {
    pub(crate) seq_len: usize,
    /// The chunk with which backward begins: there d_h comes from `d_h_n`.
    pub(crate) is_first_chunk: bool,
    /// `[T, B, DH]` of each cell's layer.
    pub(crate) d_outputs: Vec<&'a Tensor>,
    /// `[LD, B, H]`
    pub(crate) d_h_n: &'a Tensor,
    /// `[LD, B, H]`
    pub(crate) d_h0: &'a Tensor,
    pub(crate) squares: Squares<'a>,
}

/// Where the sums of squares of d_h go.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Squares<'a> {
    /// `[LD, workgroups, T]`
    Wanted(&'a Tensor),
    /// Something else that is not bound twice.
    Unused(&'a Tensor),
}

impl CellSteps<'_> {
    fn backward_kernels(&self, gpu: &Gpu, cut: (&TimeLoop, Cut), norms: bool) -> Vec<Arc<Kernel>> {
        let kernel = |forms, norms: bool, own: Overrides| {
            let mut overrides =
                vec![("HAS_LENGTHS", f64::from(self.lengths.is_some())), ("HAS_NORMS", f64::from(norms))];
            overrides.extend(clip(self.clip));
            overrides.extend(own);
            self.kernel(gpu, forms, cut, UNITS as u32, overrides)
        };
        match self.cell {
            Cell::Rnn { nonlinearity } => {
                let forms: Forms = [&RNN_STEP_BACKWARD, &RNN_STEP_BACKWARD_SCALAR, &RNN_STEP_BACKWARD_F16];
                vec![kernel(forms, norms, activation(ACTIVATION, nonlinearity))]
            }
            Cell::Gru { reset, gate, candidate } => {
                let mut own = [activation(GATE, gate), activation(CANDIDATE, candidate)].concat();
                own.push(("RESET_BEFORE", f64::from(reset == Reset::Before)));
                let step = kernel([&GRU_STEP_BACKWARD, &GRU_STEP_BACKWARD_SCALAR, &GRU_STEP_BACKWARD_F16], norms, own);
                match reset {
                    Reset::After => vec![step],
                    Reset::Before => {
                        let forms: Forms = [&GRU_RESET_BACKWARD, &GRU_RESET_BACKWARD_SCALAR, &GRU_RESET_BACKWARD_F16];
                        // The norm is that of the d_h which the first of the two makes.
                        vec![step, kernel(forms, false, activation(GATE, gate))]
                    }
                }
            }
        }
    }

    /// How many workgroups a step backward has: so many sums of squares of d_h it makes.
    pub(crate) fn groups(batch: usize, hidden: usize, time_loop: &TimeLoop) -> usize {
        let [columns, rows, _] = time_loop.workgroups(time_loop.backward, UNITS, batch, hidden, 1);
        (columns * rows) as usize
    }
}

/// The backward steps of a chunk of cells that take them together, in the opposite order, at whose end the product of the
/// last of them is added to `d_h0`: so chunks share nothing but that.
pub(crate) fn steps_backward<'a>(
    builder: &mut ProgramBuilder<'a>,
    cells: &[CellSteps<'a>],
    time_loop: &TimeLoop,
    d: &StepsBackward<'a>,
) {
    let any = &cells[0];
    let state = any.batch * any.hidden;
    let (h, h_at) = all_of(cells, CellSteps::states);
    let (gates, gates_at) = all_of(cells, CellSteps::chunk_gates);
    let (weight_hh, weights_at) = all_weights(cells, false);
    let of_step = any.batch * any.h_stride;
    let d_outputs = cells
        .iter()
        .zip(&d.d_outputs)
        .map(|(cell, &d_output)| (d_output, cell.steps.start * of_step..cell.steps.end * of_step));
    let (d_output, d_output_at) = view_of_parts(&d_outputs.collect::<Vec<_>>());
    let own = |cell: &CellSteps<'a>| cell.index * state..(cell.index + 1) * state;
    let (d_h_n, d_h_n_at) = all_of(cells, |cell| (d.d_h_n, own(cell)));
    let (d_h0, d_h0_at) = all_of(cells, |cell| (d.d_h0, own(cell)));
    let (squares, squares_at) = match d.squares {
        Squares::Unused(tensor) => (tensor.view().0, vec![0; cells.len()]),
        Squares::Wanted(tensor) => {
            let of_cell = CellSteps::groups(any.batch, any.hidden, time_loop) * d.seq_len;
            all_of(cells, |cell| (tensor, cell.index * of_cell..(cell.index + 1) * of_cell))
        }
    };
    let has_norms = matches!(d.squares, Squares::Wanted(_));
    let gates_of_step = (any.batch * any.gates_width * any.hidden) as u32;
    // A step that is one further than the last has no numbers of its own, but those of the step after it.
    let params = |step: usize| {
        let nth_back = any.steps.len().checked_sub(1 + step);
        let each = |value: &dyn Fn(usize, &CellSteps<'a>, usize) -> u32| {
            let of_cell =
                |(number, cell): (usize, &CellSteps<'a>)| value(number, cell, cell.nth(nth_back.unwrap_or(0)));
            first_and_next(cells.iter().enumerate().map(of_cell))
        };
        let backwards = |cell: &CellSteps<'a>| cell.direction().wrapping_neg();
        let [t, next_t] = each(&|_, cell, t| {
            let further = if nth_back.is_none() { backwards(cell) } else { 0 };
            (t as u32).wrapping_add(further)
        });
        let [direction, next_direction] = each(&|_, cell, _| backwards(cell));
        let [h_before, next_h_before] = each(&|number, cell, t| h_at[number] + cell.states_at(t)[0]);
        let [h_after, next_h_after] = each(&|number, cell, t| h_at[number] + cell.states_at(t)[1]);
        let [gates_offset, next_gates] = each(&|number, cell, t| {
            let further = if nth_back.is_none() { backwards(cell).wrapping_mul(gates_of_step) } else { 0 };
            (gates_at[number] + cell.gates_at(t)).wrapping_add(further)
        });
        let [d_output_offset, next_d_output] =
            each(&|number, cell, t| d_output_at[number] + ((t - cell.steps.start) * of_step + cell.h_column) as u32);
        let [d_h_n_offset, next_d_h_n] = each(&|number, _, _| d_h_n_at[number]);
        let [d_h0_offset, next_d_h0] = each(&|number, _, _| d_h0_at[number]);
        let [weights_offset, next_weights] = each(&|number, _, _| weights_at[number]);
        let [norms_offset, next_norms] = each(&|number, _, t| squares_at[number] + t as u32);
        StepBackwardParams {
            steps: 0,
            batch: any.batch as u32,
            hidden: any.hidden as u32,
            h_stride: any.h_stride as u32,
            from_d_h_n: 0,
            has_product: 0,
            has_final: 0,
            norms_stride: d.seq_len as u32,
            t,
            direction,
            h_before,
            h_after,
            gates_offset,
            d_output_offset,
            d_h_n_offset,
            d_h0_offset,
            weights_offset,
            norms_offset,
            next_t,
            next_direction,
            next_h_before,
            next_h_after,
            next_gates,
            next_d_output,
            next_d_h_n,
            next_d_h0,
            next_weights,
            next_norms,
        }
    };
    let kernels = any.backward_kernels(builder.gpu(), (time_loop, time_loop.backward), has_norms);
    let workgroups = time_loop.workgroups(time_loop.backward, UNITS, any.batch, any.hidden, cells.len());
    let group = |kernel| {
        let lengths = any.lengths.unwrap_or(weight_hh);
        let storage = StepBackward { weight_hh, h, lengths, d_output, d_h_n, gates, d_h0, norms: squares };
        builder.group(kernel, &params(0), storage.storage())
    };
    let groups: Vec<_> = kernels.into_iter().map(group).collect();
    let count = any.steps.len();
    for first in (0..count).step_by(time_loop.steps) {
        let steps = time_loop.steps.min(count - first);
        let params = StepBackwardParams {
            steps: steps as u32,
            from_d_h_n: u32::from(d.is_first_chunk && first == 0),
            has_product: u32::from(first > 0),
            // Where a dispatch has one step, the last product is one of its own.
            has_final: u32::from(first + steps == count && time_loop.schedule != Schedule::PerStep),
            ..params(first)
        };
        groups.iter().for_each(|&group| builder.dispatch_with(group, &params, workgroups));
    }
    if time_loop.schedule == Schedule::PerStep {
        let params = StepBackwardParams { has_product: 1, has_final: 1, ..params(count) };
        builder.dispatch_with(groups[0], &params, workgroups);
    }
}

/// The gates of a chunk from x_proj in `gates` and the product in `h_proj` `[rows, 3H]`. `pass` is 0 or, for reset before
/// the product, 0 and then 1.
pub(crate) fn gru_gates<'a>(builder: &mut ProgramBuilder<'a>, steps: &CellSteps<'a>, h_proj: &'a Tensor, pass: u32) {
    let Cell::Gru { reset, gate, candidate } = steps.cell else { return };
    let (gates, h) = (steps.gates_matrix(), steps.h_before());
    let params = GruGatesParams {
        rows: steps.rows() as u32,
        hidden: steps.hidden as u32,
        gates_offset: gates.offset,
        h_offset: h.offset,
        h_stride: h.stride as u32,
        pass_index: pass,
    };
    let mut overrides = clip(steps.clip);
    overrides.extend(activation(GATE, gate));
    overrides.extend(activation(CANDIDATE, candidate));
    overrides.push(("RESET_BEFORE", f64::from(reset == Reset::Before)));
    let kernel = builder.gpu().kernel(&GRU_GATES, &overrides);
    let storage = GruGates { h: h.view, h_proj: h_proj.view().0, gates: gates.view };
    let workgroups = [(steps.hidden as u32).div_ceil(8), (steps.rows() as u32).div_ceil(8), 1];
    builder.once(kernel, &params, storage.storage(), workgroups);
}
