//! The steps of a chunk forward.

use super::steps::{activations, all_of, all_weights, direction, first_and_next, kernels, whole, words_of_rows};
use super::{On, Overrides, clip};
use crate::config::Cell;
use crate::gpu::ProgramBuilder;
use crate::kernels::{Step, StepParams};
use crate::plan::ops::{CellSteps, Steps};

/// The overrides of the steps of a cell that do not divide their work.
fn options(Steps { cells, save, .. }: &Steps) -> Overrides {
    let cell = &cells[0];
    let mut overrides = vec![
        ("WIDTH", cell.gates_width as f64),
        ("HAS_BIAS", f64::from(cell.bias_hh.is_some())),
        ("HAS_LENGTHS", f64::from(cell.lengths.is_some())),
        ("STARTS", cell.episodes.map_or(0, |episodes| episodes.begin) as f64),
    ];
    overrides.extend(clip(cell.clip));
    overrides.extend(activations(cell));
    // The states of a plain RNN tell everything but which of them the clip gave.
    let is_saved = *save && (cell.clip.is_some() || matches!(cell.cell, Cell::Gru { .. }));
    overrides.push(("SAVE", f64::from(is_saved)));
    overrides
}

pub(super) fn steps<'a>(builder: &mut ProgramBuilder<'a>, on: On<'a>, args: &Steps) {
    let Steps { cells, time_loop, .. } = args;
    let any = &cells[0];
    let (h, h_at) = all_of(on, cells, CellSteps::states);
    let (gates, gates_at) = all_of(on, cells, CellSteps::chunk_gates);
    let (weight_hh, weights_at) = all_weights(on, cells, false);
    // What is not there is not read.
    let (bias_hh, bias_at) = match any.bias_hh {
        Some(_) => all_of(on, cells, |cell| whole(on, cell.bias_hh.unwrap_or(cell.weight_hh))),
        None => (weight_hh, vec![0; cells.len()]),
    };
    let params = |step: usize, steps: usize| {
        let each = |value: &dyn Fn(usize, &CellSteps, usize) -> u32| {
            first_and_next(cells.iter().enumerate().map(|(number, cell)| value(number, cell, cell.nth(step))))
        };
        let [t, next_t] = each(&|_, _, t| t as u32);
        let [direction, next_direction] = each(&|_, cell, _| direction(cell));
        let [h_before, next_h_before] = each(&|number, cell, t| h_at[number] + cell.states_at(t)[0]);
        let [h_after, next_h_after] = each(&|number, cell, t| h_at[number] + cell.states_at(t)[1]);
        let [gates_offset, next_gates] = each(&|number, cell, t| gates_at[number] + cell.gates_at(t));
        let [weights_offset, next_weights] = each(&|number, _, _| weights_at[number]);
        let [bias_offset, next_bias] = each(&|number, _, _| bias_at[number]);
        StepParams {
            steps: steps as u32,
            batch: any.batch as u32,
            hidden: any.hidden as u32,
            h_stride: any.h_stride as u32,
            t,
            direction,
            h_before,
            h_after,
            gates_offset,
            weights_offset,
            bias_offset,
            next_t,
            next_direction,
            next_h_before,
            next_h_after,
            next_gates,
            next_weights,
            next_bias,
        }
    };
    let lengths = words_of_rows(on, any).unwrap_or(weight_hh);
    let workgroups = args.workgroups();
    let kernels = kernels(builder.gpu(), any, *time_loop, false, &options(args));
    let group = |kernel| {
        let storage = Step { weight_hh, bias_hh, lengths, h, gates };
        let ring = args.ring.map(|ring| on.whole(ring).0);
        builder.group(kernel, &params(0, 0), storage.storage().into_iter().chain(ring).collect())
    };
    let groups: Vec<_> = kernels.into_iter().map(group).collect();
    let all: Vec<usize> = (0..any.steps.len()).collect();
    for steps in all.chunks(time_loop.steps()) {
        let params = params(steps[0], steps.len());
        for (&group, workgroups) in groups.iter().zip(workgroups) {
            builder.dispatch_with(group, &params, workgroups);
        }
    }
}
