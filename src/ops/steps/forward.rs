//! The steps of a chunk forward, and what they read packed.

use std::sync::Arc;

use super::{ACTIVATION, CANDIDATE, CellSteps, Forms, GATE, all_of, all_weights, first_and_next, whole};
use crate::config::{Cell, Reset};
use crate::gpu::{Gpu, Kernel, ProgramBuilder, Tensor};
use crate::kernels::{
    GRU_RESET, GRU_RESET_F16, GRU_RESET_SCALAR, GRU_STEP, GRU_STEP_F16, GRU_STEP_SCALAR, PACK, PACK_F16, Pack,
    PackParams, RNN_STEP, RNN_STEP_F16, RNN_STEP_SCALAR, Step, StepParams,
};
use crate::ops::rows::grid;
use crate::ops::{Overrides, activation, clip};
use crate::plan::{Cut, TimeLoop};

impl CellSteps<'_> {
    /// The overrides that all steps forward share but for the cut.
    fn forward_options(&self, own: Overrides) -> Overrides {
        let mut overrides = vec![
            ("HAS_BIAS", f64::from(self.bias_hh.is_some())),
            ("PACKED", self.packed.map_or(0.0, |_| self.cell.gates() as f64)),
            ("HAS_LENGTHS", f64::from(self.lengths.is_some())),
        ];
        overrides.extend(clip(self.clip));
        overrides.extend(own);
        overrides
    }

    /// The kernels of a step, in their order.
    fn forward_kernels(&self, gpu: &Gpu, cut: (&TimeLoop, Cut), save: bool) -> Vec<Arc<Kernel>> {
        let kernel = |forms, products, own| self.kernel(gpu, forms, cut, products, self.forward_options(own));
        match self.cell {
            Cell::Rnn { nonlinearity } => {
                let forms: Forms = [&RNN_STEP, &RNN_STEP_SCALAR, &RNN_STEP_F16];
                let mut own = activation(ACTIVATION, nonlinearity);
                // The states tell everything but which of them the clip gave.
                own.push(("SAVE", f64::from(save && self.clip.is_some())));
                vec![kernel(forms, 1, own)]
            }
            Cell::Gru { reset, gate, candidate } => {
                let mut own = [activation(GATE, gate), activation(CANDIDATE, candidate)].concat();
                own.push(("RESET_BEFORE", f64::from(reset == Reset::Before)));
                own.push(("SAVE", f64::from(save)));
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
}

/// The forward steps of a chunk of cells that take them together: the directions of a layer, or one alone. Their numbers
/// lie in the same buffers, and their chunks are of one length. `save` keeps r, z, n and hn.
pub(crate) fn steps_forward<'a>(
    builder: &mut ProgramBuilder<'a>,
    cells: &[CellSteps<'a>],
    time_loop: &TimeLoop,
    save: bool,
) {
    let any = &cells[0];
    let (h, h_at) = all_of(cells, CellSteps::states);
    let (gates, gates_at) = all_of(cells, CellSteps::chunk_gates);
    let (weight_hh, weights_at) = all_weights(cells, true);
    // What is not there is not read.
    let (bias_hh, bias_at) = match any.bias_hh {
        Some(_) => all_of(cells, |cell| whole(cell.bias_hh.unwrap_or(cell.weight_hh))),
        None => (weight_hh, vec![0; cells.len()]),
    };
    let params = |step: usize, steps: usize| {
        let each = |value: &dyn Fn(usize, &CellSteps<'a>, usize) -> u32| {
            first_and_next(cells.iter().enumerate().map(|(number, cell)| value(number, cell, cell.nth(step))))
        };
        let [t, next_t] = each(&|_, _, t| t as u32);
        let [direction, next_direction] = each(&|_, cell, _| cell.direction());
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
    let kernels = any.forward_kernels(builder.gpu(), (time_loop, time_loop.forward), save);
    let workgroups = time_loop.workgroups(time_loop.forward, 1, any.batch, any.hidden, cells.len());
    let group = |kernel| {
        let storage = Step { weight_hh, bias_hh, lengths: any.lengths.unwrap_or(weight_hh), h, gates };
        builder.group(kernel, &params(0, 0), storage.storage())
    };
    let groups: Vec<_> = kernels.into_iter().map(group).collect();
    let all: Vec<usize> = (0..any.steps.len()).collect();
    for steps in all.chunks(time_loop.steps) {
        let params = params(steps[0], steps.len());
        groups.iter().for_each(|&group| builder.dispatch_with(group, &params, workgroups));
    }
}

/// How the steps read recurrent weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Packing {
    /// In the order of a GPU's steps forward, not in their own.
    pub(crate) side_by_side: bool,
    /// Two in a word.
    pub(crate) half: bool,
}

/// Copies weights `[R, H]`, H a multiple of 4, for the steps.
pub(crate) fn pack<'a>(
    builder: &mut ProgramBuilder<'a>,
    source: &'a Tensor,
    rows: usize,
    packing: Packing,
    packed: &'a Tensor,
) {
    let fours = source.len() / rows / 4;
    let ((source, source_offset), (packed, packed_offset)) = (source.view(), packed.view());
    let workgroups = (rows * fours).div_ceil(256) as u32;
    let [x, y] = grid(builder, workgroups);
    let params = PackParams {
        rows: rows as u32,
        vec4s: fours as u32,
        source_offset: source_offset / 4,
        packed_offset: packed_offset / if packing.half { 2 } else { 4 },
        side_by_side: u32::from(packing.side_by_side),
        workgroups: x,
    };
    let kernel = builder.gpu().kernel(if packing.half { &PACK_F16 } else { &PACK }, &[]);
    let storage = Pack { source, packed };
    builder.once(kernel, &params, storage.storage(), [x, y, 1]);
}
