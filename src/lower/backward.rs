//! The steps of a chunk back through time, and the gates that they need where forward did not keep them.

use super::steps::{activations, all_of, all_weights, direction, first_and_next, kernels, parts, words_of_rows};
use super::{On, Overrides, clip};
use crate::config::{Cell, Reset};
use crate::gpu::ProgramBuilder;
use crate::kernels::{GRU_GATES, GruGates, GruGatesParams, StepBackward, StepBackwardParams};
use crate::plan::TimeLoop;
use crate::plan::ops::{CellSteps, RecomputeGates, StepsBackward, gradients_of_biases};

/// The overrides of the steps of a cell that do not divide their work.
fn options(args: &StepsBackward) -> Overrides {
    let cell = &args.cells[0];
    let mut overrides = vec![
        ("WIDTH", cell.gates_width as f64),
        ("HAS_LENGTHS", f64::from(cell.lengths.is_some())),
        ("STARTS", cell.episodes.map_or(0, |episodes| episodes.begin) as f64),
        ("HAS_NORMS", f64::from(args.squares.is_some())),
        ("HAS_BIASES", f64::from(args.biases.is_some())),
    ];
    overrides.extend(clip(cell.clip));
    overrides.extend(activations(cell));
    overrides
}

pub(super) fn steps<'a>(builder: &mut ProgramBuilder<'a>, on: On<'a>, d: &StepsBackward) {
    let StepsBackward { cells, time_loop, .. } = d;
    let any = &cells[0];
    let state = any.batch * any.hidden;
    let (h, h_at) = all_of(on, cells, CellSteps::states);
    let (gates, gates_at) = all_of(on, cells, CellSteps::chunk_gates);
    let (weight_hh, weights_at) = all_weights(on, cells, true);
    let of_step = any.batch * any.h_stride;
    let d_outputs = cells
        .iter()
        .zip(&d.d_outputs)
        .map(|(cell, &d_output)| (d_output, cell.steps.start * of_step..cell.steps.end * of_step));
    let (d_output, d_output_at) = parts(on, d_outputs);
    let own = |cell: &CellSteps| cell.index * state..(cell.index + 1) * state;
    let (d_h_n, d_h_n_at) = all_of(on, cells, |cell| (d.d_h_n, own(cell)));
    let (d_h0, d_h0_at) = all_of(on, cells, |cell| (d.d_h0, own(cell)));
    let (sums, sums_at) = on.whole(d.sums);
    let squares_of_cell = time_loop.groups(any.batch, any.hidden) * d.seq_len;
    let squares_at =
        |cell: &CellSteps| d.squares.map_or(0, |begin| sums_at + (begin + cell.index * squares_of_cell) as u32);
    let biases_at = |number: usize, cell: &CellSteps| {
        let of_cell = |begin| cell.sums_of_biases(d.sums, begin, number, time_loop).0.elements.start;
        d.biases.map_or(0, |begin| sums_at + of_cell(begin) as u32)
    };
    let gates_of_step = (any.batch * any.gates_width * any.hidden) as u32;
    // Index `steps.len()` is the final product: no gates of its own, it only reads those of the step after it.
    let params = |step: usize| {
        let nth_back = any.steps.len().checked_sub(1 + step);
        let each = |value: &dyn Fn(usize, &CellSteps, usize) -> u32| {
            let of_cell = |(number, cell): (usize, &CellSteps)| value(number, cell, cell.nth(nth_back.unwrap_or(0)));
            first_and_next(cells.iter().enumerate().map(of_cell))
        };
        let backwards = |cell: &CellSteps| direction(cell).wrapping_neg();
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
        let [norms_offset, next_norms] = each(&|_, cell, t| squares_at(cell) + t as u32);
        // Behind those of the dispatches before this one.
        let row = any.batch * gradients_of_biases(any.cell) * any.hidden;
        let before = time_loop.sums_of_biases(step).unwrap_or_default() * row;
        let [biases_offset, next_biases] = each(&|number, cell, _| biases_at(number, cell) + before as u32);
        StepBackwardParams {
            steps: 0,
            batch: any.batch as u32,
            hidden: any.hidden as u32,
            h_stride: any.h_stride as u32,
            from_d_h_n: 0,
            has_product: 0,
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
            biases_offset,
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
            next_biases,
        }
    };
    let lengths = words_of_rows(on, any).unwrap_or(weight_hh);
    let workgroups = d.workgroups();
    let kernels = kernels(builder.gpu(), any, *time_loop, true, &options(d));
    let group = |kernel| {
        let storage = StepBackward { weight_hh, h, lengths, d_output, d_h_n, gates, d_h0, sums };
        let ring = d.ring.map(|ring| on.whole(ring).0);
        builder.group(kernel, &params(0), storage.storage().into_iter().chain(ring).collect())
    };
    let groups: Vec<_> = kernels.into_iter().map(group).collect();
    let count = any.steps.len();
    for first in (0..count).step_by(time_loop.steps()) {
        let params = StepBackwardParams {
            steps: time_loop.steps().min(count - first) as u32,
            from_d_h_n: u32::from(d.is_first_chunk && first == 0),
            has_product: u32::from(first > 0),
            ..params(first)
        };
        for (&group, workgroups) in groups.iter().zip(workgroups) {
            builder.dispatch_with(group, &params, workgroups);
        }
    }
    if let TimeLoop::Step { .. } = time_loop {
        // The last product is a dispatch of its own, which has no step.
        let params = StepBackwardParams { has_product: 1, ..params(count) };
        builder.dispatch_with(groups[0], &params, workgroups[0]);
    }
}

pub(super) fn gru_gates<'a>(builder: &mut ProgramBuilder<'a>, on: On<'a>, args: &RecomputeGates) {
    let steps = &args.steps;
    let Cell::Gru { reset, .. } = steps.cell else { return };
    let states = steps.h_before();
    let ((gates, gates_offset), (h, h_offset)) = (on.matrix(&steps.gates_matrix()), on.matrix(&states));
    let [rows, hidden] = [steps.rows(), steps.hidden].map(|size| size as u32);
    let (h_stride, pass_index) = (states.stride as u32, args.pass);
    let params = GruGatesParams { rows, hidden, gates_offset, h_offset, h_stride, pass_index };
    let mut overrides = clip(steps.clip);
    overrides.extend(activations(steps));
    overrides.push(("RESET_BEFORE", f64::from(reset == Reset::Before)));
    let kernel = builder.gpu().kernel(&GRU_GATES, &overrides);
    let storage = GruGates { h, h_proj: on.whole(args.h_proj).0, gates };
    builder.once(kernel, &params, storage.storage(), [hidden.div_ceil(8), rows.div_ceil(8), 1]);
}
