//! The time loop of one cell: a chunk of steps forward, a chunk of steps backward.

use std::ops::Range;
use std::sync::Arc;

use super::{Matrix, Overrides, activation, clip};
use crate::config::{Cell, Reset};
use crate::gpu::{Gpu, Kernel, KernelSpec, ProgramBuilder, Tensor, View};
use crate::kernels::{
    GRU_GATES, GRU_RESET, GRU_RESET_BACKWARD, GRU_RESET_BACKWARD_SINGLES, GRU_RESET_SINGLES, GRU_STEP,
    GRU_STEP_BACKWARD, GRU_STEP_BACKWARD_SINGLES, GRU_STEP_SINGLES, GruGates, GruGatesParams, PACK, Pack, PackParams,
    RNN_STEP, RNN_STEP_BACKWARD, RNN_STEP_BACKWARD_SINGLES, RNN_STEP_SINGLES, Step, StepBackward, StepBackwardParams,
    StepParams,
};
use crate::plan::{Cut, Schedule, TimeLoop};

/// A kernel by fours, for H that is a multiple of 4, and by single numbers.
type Forms = [&'static KernelSpec; 2];

/// Units that a lane of a step backward owns.
const UNITS: usize = 4;

const GATE: [&str; 3] = ["GATE", "GATE_ALPHA", "GATE_BETA"];
const CANDIDATE: [&str; 3] = ["CANDIDATE", "CANDIDATE_ALPHA", "CANDIDATE_BETA"];
const ACTIVATION: [&str; 3] = ["ACTIVATION", "ALPHA", "BETA"];

/// One cell over a chunk of steps, and where its numbers lie.
///
/// The states of a layer lie in `h` `[S, B, DH]`, with those after step t at slot t + 1. A direction that runs forward
/// begins at slot 0, one that runs in reverse at slot T + 1.
#[derive(Debug, Clone)]
pub(crate) struct CellSteps<'a> {
    pub(crate) cell: Cell,
    pub(crate) clip: Option<f32>,
    pub(crate) batch: usize,
    pub(crate) hidden: usize,
    pub(crate) reverse: bool,
    /// The steps of the chunk.
    pub(crate) steps: Range<usize>,
    pub(crate) weight_hh: &'a Tensor,
    /// The same as `pack` leaves it, if the steps forward read it so.
    pub(crate) packed: Option<&'a Tensor>,
    pub(crate) bias_hh: Option<&'a Tensor>,
    pub(crate) lengths: Option<View<'a>>,
    pub(crate) h: &'a Tensor,
    /// DH, and in which column this direction's units begin.
    pub(crate) h_stride: usize,
    pub(crate) h_column: usize,
    /// `[.., B, W, H]`, and which of its steps is the first of the chunk.
    pub(crate) gates: &'a Tensor,
    pub(crate) gates_first: usize,
    /// W.
    pub(crate) gates_width: usize,
}

impl<'a> CellSteps<'a> {
    /// The steps in the order in which the direction takes them.
    fn order(&self) -> Vec<usize> {
        if self.reverse { self.steps.clone().rev().collect() } else { self.steps.clone().collect() }
    }

    /// The slots that hold the states before and after a step.
    fn slots(&self, t: usize) -> [usize; 2] {
        if self.reverse { [t + 2, t + 1] } else { [t, t + 1] }
    }

    /// The first slot of the chunk, and how many there are.
    fn slot_range(&self) -> Range<usize> {
        if self.reverse { self.steps.start + 1..self.steps.end + 2 } else { self.steps.start..self.steps.end + 1 }
    }

    fn states(&self) -> (View<'a>, u32) {
        let size = self.batch * self.h_stride;
        let slots = self.slot_range();
        self.h.view_of(slots.start * size..slots.end * size)
    }

    /// The states before every step of the chunk as one matrix `[steps * B, H]`.
    pub(crate) fn h_before(&self) -> Matrix<'a> {
        let first = self.slots(self.steps.start)[0];
        let size = self.batch * self.h_stride;
        let rows = self.steps.len() * self.batch;
        Matrix::rows_of(self.h, first * size, rows, self.h_stride).columns_from(self.h_column)
    }

    /// The gates of the chunk as one matrix `[steps * B, W * H]`.
    pub(crate) fn gates_matrix(&self) -> Matrix<'a> {
        let stride = self.gates_width * self.hidden;
        Matrix::rows_of(self.gates, self.gates_first * self.batch * stride, self.rows(), stride)
    }

    /// Rows of the products: steps times B.
    pub(crate) fn rows(&self) -> usize {
        self.steps.len() * self.batch
    }

    /// The kernel in the form that fits H, with the overrides that all steps share and its own.
    fn kernel(
        &self,
        gpu: &Gpu,
        [quads, singles]: Forms,
        (schedule, cut): (Schedule, Cut),
        sums: u32,
        own: Overrides,
    ) -> Arc<Kernel> {
        let spec = if cut.quads && self.hidden.is_multiple_of(4) { quads } else { singles };
        let mut overrides = vec![
            ("LANES", f64::from(cut.lanes)),
            ("SPLIT", f64::from(cut.split)),
            ("ROWS", f64::from(cut.rows)),
            ("SUMS", f64::from(sums * cut.rows)),
            ("SUMS_OF_ALL", f64::from(sums * cut.rows * cut.lanes * cut.split)),
            ("MANY", f64::from(schedule != Schedule::PerStep)),
            ("WIDTH", self.gates_width as f64),
        ];
        overrides.extend(own);
        gpu.kernel(spec, &overrides)
    }

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
    fn forward_kernels(&self, gpu: &Gpu, cut: (Schedule, Cut), save: bool) -> Vec<Arc<Kernel>> {
        let kernel = |forms, products, own| self.kernel(gpu, forms, cut, products, self.forward_options(own));
        match self.cell {
            Cell::Rnn { nonlinearity } => {
                vec![kernel([&RNN_STEP, &RNN_STEP_SINGLES], 1, activation(ACTIVATION, nonlinearity))]
            }
            Cell::Gru { reset, gate, candidate } => {
                let mut own = [activation(GATE, gate), activation(CANDIDATE, candidate)].concat();
                own.push(("RESET_BEFORE", f64::from(reset == Reset::Before)));
                own.push(("SAVE", f64::from(save)));
                let step = |products| kernel([&GRU_STEP, &GRU_STEP_SINGLES], products, own.clone());
                match reset {
                    Reset::After => vec![step(3)],
                    Reset::Before => {
                        let forms: Forms = [&GRU_RESET, &GRU_RESET_SINGLES];
                        vec![kernel(forms, 1, activation(GATE, gate)), step(2)]
                    }
                }
            }
        }
    }

    /// The forward steps of the chunk. `save` keeps r, z, n and hn.
    pub(crate) fn forward(&self, builder: &mut ProgramBuilder<'a>, time_loop: &TimeLoop, save: bool) {
        let (h, h_offset) = self.states();
        let gates = self.gates_matrix();
        let state = self.batch * self.h_stride;
        let params = |t: usize, steps: usize| {
            let at = |slot: usize| h_offset + ((slot - self.slot_range().start) * state) as u32 + self.h_column as u32;
            let [before, after] = self.slots(t);
            StepParams {
                t: t as u32,
                steps: steps as u32,
                direction: if self.reverse { u32::MAX } else { 1 },
                batch: self.batch as u32,
                hidden: self.hidden as u32,
                h_stride: self.h_stride as u32,
                h_before: at(before),
                h_after: at(after),
                gates_offset: gates.offset + self.gates_step(t),
            }
        };
        let weight_hh = self.packed.unwrap_or(self.weight_hh).view().0;
        let groups: Vec<_> = self
            .forward_kernels(builder.gpu(), (time_loop.schedule, time_loop.forward), save)
            .into_iter()
            .map(|kernel| {
                let storage = Step {
                    weight_hh,
                    // What is not there is not read.
                    bias_hh: self.bias_hh.map_or(weight_hh, |bias| bias.view().0),
                    lengths: self.lengths.unwrap_or(weight_hh),
                    h,
                    gates: gates.view,
                };
                builder.group(kernel, &params(self.steps.start, 0), storage.storage())
            })
            .collect();
        let workgroups = time_loop.workgroups(time_loop.forward, 1, self.batch, self.hidden);
        for steps in self.order().chunks(time_loop.steps) {
            for &group in &groups {
                builder.dispatch_with(group, &params(steps[0], steps.len()), workgroups);
            }
        }
    }

    /// Where the gates of a step begin, counted from those of the chunk's first step.
    fn gates_step(&self, t: usize) -> u32 {
        ((t - self.steps.start) * self.batch * self.gates_width * self.hidden) as u32
    }

    fn backward_kernels(&self, gpu: &Gpu, cut: (Schedule, Cut), norms: bool) -> Vec<Arc<Kernel>> {
        let kernel = |forms, norms: bool, own: Overrides| {
            let mut overrides =
                vec![("HAS_LENGTHS", f64::from(self.lengths.is_some())), ("HAS_NORMS", f64::from(norms))];
            overrides.extend(clip(self.clip));
            overrides.extend(own);
            self.kernel(gpu, forms, cut, UNITS as u32, overrides)
        };
        match self.cell {
            Cell::Rnn { nonlinearity } => {
                let forms: Forms = [&RNN_STEP_BACKWARD, &RNN_STEP_BACKWARD_SINGLES];
                vec![kernel(forms, norms, activation(ACTIVATION, nonlinearity))]
            }
            Cell::Gru { reset, gate, candidate } => {
                let mut own = [activation(GATE, gate), activation(CANDIDATE, candidate)].concat();
                own.push(("RESET_BEFORE", f64::from(reset == Reset::Before)));
                let step = kernel([&GRU_STEP_BACKWARD, &GRU_STEP_BACKWARD_SINGLES], norms, own);
                match reset {
                    Reset::After => vec![step],
                    Reset::Before => {
                        let forms: Forms = [&GRU_RESET_BACKWARD, &GRU_RESET_BACKWARD_SINGLES];
                        // The norm is that of the d_h which the first of the two makes.
                        vec![step, kernel(forms, false, activation(GATE, gate))]
                    }
                }
            }
        }
    }

    /// How many workgroups a step backward has: so many sums of squares of d_h it makes.
    pub(crate) fn groups(batch: usize, hidden: usize, time_loop: &TimeLoop) -> usize {
        let [columns, rows, _] = time_loop.workgroups(time_loop.backward, UNITS, batch, hidden);
        (columns * rows) as usize
    }

    /// The backward steps of the chunk, in the opposite order, at whose end the product of the last of them is added to
    /// `d_h0`: so chunks share nothing but that.
    pub(crate) fn backward(&self, builder: &mut ProgramBuilder<'a>, time_loop: &TimeLoop, d: &StepsBackward<'a>) {
        let (h, h_offset) = self.states();
        let gates = self.gates_matrix();
        let state = self.batch * self.h_stride;
        let rows = self.steps.start * self.batch..self.steps.end * self.batch;
        let (d_output, d_output_offset) = d.d_output.view_of(rows.start * self.h_stride..rows.end * self.h_stride);
        let first = d.cell_index * self.batch * self.hidden;
        let own = first..first + self.batch * self.hidden;
        let ((d_h_n, d_h_n_offset), (d_h0, d_h0_offset)) = (d.d_h_n.view_of(own.clone()), d.d_h0.view_of(own));
        let (norms, norms_first) = d.norms.view();
        let params = |t: usize| {
            let slot =
                |slot: usize| h_offset + ((slot - self.slot_range().start) * state) as u32 + self.h_column as u32;
            let [before, after] = self.slots(t);
            StepBackwardParams {
                t: t as u32,
                steps: 0,
                direction: if self.reverse { 1 } else { u32::MAX },
                batch: self.batch as u32,
                hidden: self.hidden as u32,
                h_stride: self.h_stride as u32,
                h_before: slot(before),
                h_after: slot(after),
                gates_offset: gates.offset + self.gates_step(t),
                gates_after: 0,
                d_output_offset: d_output_offset + ((t - self.steps.start) * state) as u32 + self.h_column as u32,
                d_output_stride: self.h_stride as u32,
                d_h_n_offset,
                d_h0_offset,
                from_d_h_n: 0,
                has_product: 0,
                has_final: 0,
                norms_offset: norms_first + t as u32,
                norms_stride: d.seq_len as u32,
            }
        };
        let weight_hh = self.weight_hh.view().0;
        let kernels = self.backward_kernels(builder.gpu(), (time_loop.schedule, time_loop.backward), d.has_norms);
        let groups: Vec<_> = kernels
            .into_iter()
            .map(|kernel| {
                let storage = StepBackward {
                    weight_hh,
                    h,
                    lengths: self.lengths.unwrap_or(weight_hh),
                    d_output,
                    d_h_n,
                    gates: gates.view,
                    d_h0,
                    norms,
                };
                builder.group(kernel, &params(self.steps.start), storage.storage())
            })
            .collect();
        let workgroups = time_loop.workgroups(time_loop.backward, UNITS, self.batch, self.hidden);
        let order: Vec<usize> = self.order().into_iter().rev().collect();
        let mut after: Option<usize> = None;
        for steps in order.chunks(time_loop.steps) {
            let last = steps[steps.len() - 1];
            let ends_chunk = last == order[order.len() - 1];
            let params = StepBackwardParams {
                steps: steps.len() as u32,
                from_d_h_n: u32::from(d.is_first_chunk && after.is_none()),
                has_product: u32::from(after.is_some()),
                gates_after: after.map_or(0, |after| gates.offset + self.gates_step(after)),
                // Where a dispatch has one step, the last product is one of its own.
                has_final: u32::from(ends_chunk && time_loop.schedule != Schedule::PerStep),
                ..params(steps[0])
            };
            for &group in &groups {
                builder.dispatch_with(group, &params, workgroups);
            }
            after = Some(last);
        }
        if let (Schedule::PerStep, Some(t)) = (time_loop.schedule, after) {
            let gates_after = gates.offset + self.gates_step(t);
            let params = StepBackwardParams { has_product: 1, gates_after, has_final: 1, ..params(t) };
            builder.dispatch_with(groups[0], &params, workgroups);
        }
    }
}

/// Packs weights `[R, H]` for the steps forward.
pub(crate) fn pack<'a>(builder: &mut ProgramBuilder<'a>, source: &'a Tensor, rows: usize, packed: &'a Tensor) {
    let fours = source.len() / rows / 4;
    let workgroups = (rows * fours).div_ceil(256) as u32;
    let in_a_row = workgroups.min(builder.gpu().limits().max_compute_workgroups_per_dimension);
    let params = PackParams { rows: rows as u32, fours: fours as u32, workgroups: in_a_row };
    let kernel = builder.gpu().kernel(&PACK, &[]);
    let storage = Pack { source: source.view().0, packed: packed.view().0 };
    builder.once(kernel, &params, storage.storage(), [in_a_row, workgroups.div_ceil(in_a_row), 1]);
}

/// Where the gradients of a cell's steps come from, and where they go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepsBackward<'a> {
    pub(crate) seq_len: usize,
    /// Which cell this is, in `d_h_n` and `d_h0`.
    pub(crate) cell_index: usize,
    /// The chunk with which backward begins: there d_h comes from `d_h_n`.
    pub(crate) is_first_chunk: bool,
    /// `[T, B, DH]`
    pub(crate) d_output: &'a Tensor,
    /// `[LD, B, H]`
    pub(crate) d_h_n: &'a Tensor,
    /// `[LD, B, H]`
    pub(crate) d_h0: &'a Tensor,
    /// `[workgroups, T]` with `has_norms`; something else that is not bound twice without.
    pub(crate) norms: &'a Tensor,
    pub(crate) has_norms: bool,
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
