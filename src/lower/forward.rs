//! The steps of a chunk forward.

use std::sync::Arc;

use super::steps::{
    ACTIVATION, CANDIDATE, Forms, GATE, all_of, all_weights, direction, exchange, first_and_next, kernel, rows, whole,
};
use super::{On, Overrides, activation, clip};
use crate::config::{Cell, Reset};
use crate::gpu::{Gpu, Kernel, ProgramBuilder};
use crate::kernels::{
    GRU_RESET, GRU_RESET_F16, GRU_RESET_SCALAR, GRU_STEP, GRU_STEP_F16, GRU_STEP_SCALAR, RNN_STEP, RNN_STEP_F16,
    RNN_STEP_SCALAR, Step, StepParams,
};
use crate::plan::TimeLoop;
use crate::plan::ops::{CellSteps, Steps};

/// The overrides that all steps forward share but for the cut.
fn options(cell: &CellSteps, own: Overrides) -> Overrides {
    let mut overrides = vec![
        ("WIDTH", cell.gates_width as f64),
        ("HAS_BIAS", f64::from(cell.bias_hh.is_some())),
        ("HAS_LENGTHS", f64::from(cell.lengths.is_some())),
    ];
    overrides.extend(clip(cell.clip));
    overrides.extend(own);
    overrides
}

/// The kernels of a step, in their order.
fn kernels(gpu: &Gpu, Steps { cells, time_loop, save, .. }: &Steps) -> Vec<Arc<Kernel>> {
    let cell = &cells[0];
    let mut own = match cell.cell {
        // The states tell everything but which of them the clip gave.
        Cell::Rnn { nonlinearity } => {
            [activation(ACTIVATION, nonlinearity), vec![("SAVE", f64::from(*save && cell.clip.is_some()))]].concat()
        }
        Cell::Gru { gate, candidate, .. } => {
            [activation(GATE, gate), activation(CANDIDATE, candidate), vec![("SAVE", f64::from(*save))]].concat()
        }
    };
    let cut = match *time_loop {
        TimeLoop::Rows { forward, .. } => return vec![rows(gpu, cell, forward, false, &options(cell, own))],
        TimeLoop::Exchange { forward, .. } => return exchange(gpu, cell, forward, false, &options(cell, own)),
        TimeLoop::Step { forward, .. } => forward,
    };
    let kernel = |forms, products, mut own: Overrides| {
        own.push(("PACKED", cell.packed.map_or(0.0, |_| cell.cell.gates() as f64)));
        kernel(gpu, cell, forms, cut, products, options(cell, own))
    };
    match cell.cell {
        Cell::Rnn { .. } => vec![kernel([&RNN_STEP, &RNN_STEP_SCALAR, &RNN_STEP_F16], 1, own)],
        Cell::Gru { reset, gate, .. } => {
            own.push(("RESET_BEFORE", f64::from(reset == Reset::Before)));
            let step = |products| kernel([&GRU_STEP, &GRU_STEP_SCALAR, &GRU_STEP_F16], products, own.clone());
            match reset {
                Reset::After => vec![step(3)],
                Reset::Before => {
                    let forms: Forms = [&GRU_RESET, &GRU_RESET_SCALAR, &GRU_RESET_F16];
                    vec![kernel(forms, 1, activation(GATE, gate)), step(2)]
                }
            }
        }
    }
}

pub(super) fn steps<'a>(builder: &mut ProgramBuilder<'a>, on: On<'a>, args: &Steps) {
    let Steps { cells, time_loop, .. } = args;
    let any = &cells[0];
    let (h, h_at) = all_of(on, cells, CellSteps::states);
    let (gates, gates_at) = all_of(on, cells, CellSteps::chunk_gates);
    let (weight_hh, weights_at) = all_weights(on, cells, true);
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
    let lengths = any.lengths.map_or(weight_hh, |lengths| on.whole(lengths).0);
    let workgroups = args.workgroups();
    let kernels = kernels(builder.gpu(), args);
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
