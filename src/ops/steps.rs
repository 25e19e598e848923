//! The time loop of one cell: a chunk of steps forward, a chunk of steps backward.

use std::ops::Range;
use std::sync::Arc;

use super::{Matrix, Overrides, activation, clip};
use crate::config::{Cell, Reset};
use crate::gpu::{Gpu, Kernel, KernelSpec, ProgramBuilder, Tensor, View, view_of_parts};
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
    /// Which cell this is of the whole network: its place in `d_h_n`, `d_h0` and `squares`.
    pub(crate) index: usize,
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
    /// `[.., B, W, H]`, the chunk's steps from the first on.
    pub(crate) gates: &'a Tensor,
    /// W.
    pub(crate) gates_width: usize,
}

impl<'a> CellSteps<'a> {
    /// The steps in the order in which the direction takes them.
    fn order(&self) -> Vec<usize> {
        if self.reverse { self.steps.clone().rev().collect() } else { self.steps.clone().collect() }
    }

    /// From one step to the next one in time, as the kernels take it.
    fn direction(&self) -> u32 {
        if self.reverse { u32::MAX } else { 1 }
    }

    /// The slots that hold the states before and after a step.
    fn slots(&self, t: usize) -> [usize; 2] {
        if self.reverse { [t + 2, t + 1] } else { [t, t + 1] }
    }

    /// The first slot of the chunk, and how many there are.
    fn slot_range(&self) -> Range<usize> {
        if self.reverse { self.steps.start + 1..self.steps.end + 2 } else { self.steps.start..self.steps.end + 1 }
    }

    /// The elements of h that the chunk needs.
    fn states(&self) -> (&'a Tensor, Range<usize>) {
        let size = self.batch * self.h_stride;
        let slots = self.slot_range();
        (self.h, slots.start * size..slots.end * size)
    }

    /// Where the states before and after a step begin, in the elements of [`states`](Self::states).
    fn states_at(&self, t: usize) -> [u32; 2] {
        let first = self.slot_range().start;
        self.slots(t).map(|slot| ((slot - first) * self.batch * self.h_stride + self.h_column) as u32)
    }

    /// The elements of the gates of the chunk.
    fn chunk_gates(&self) -> (&'a Tensor, Range<usize>) {
        (self.gates, 0..self.rows() * self.gates_width * self.hidden)
    }

    /// Where the gates of a step begin, counted from those of the chunk's first step.
    fn gates_at(&self, t: usize) -> u32 {
        ((t - self.steps.start) * self.batch * self.gates_width * self.hidden) as u32
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
        Matrix::rows_of(self.gates, 0, self.rows(), self.gates_width * self.hidden)
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
        let [columns, rows, _] = time_loop.workgroups(time_loop.backward, UNITS, batch, hidden, 1);
        (columns * rows) as usize
    }
}

/// A binding of a part of each of some cells, and where those parts begin.
fn all_of<'a, 'b>(
    cells: &'b [CellSteps<'a>],
    part: impl Fn(&'b CellSteps<'a>) -> (&'a Tensor, Range<usize>),
) -> (View<'a>, Vec<u32>) {
    view_of_parts(&cells.iter().map(part).collect::<Vec<_>>())
}

fn whole(tensor: &Tensor) -> (&Tensor, Range<usize>) {
    (tensor, 0..tensor.len())
}

/// A number of the first cell, and how much larger it is for each next one, wrapping around.
fn first_and_next(of_cell: impl Iterator<Item = u32>) -> [u32; 2] {
    let values: Vec<u32> = of_cell.collect();
    let differences: Vec<u32> = values.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    debug_assert!(differences.windows(2).all(|pair| pair[0] == pair[1]), "cells that lie unevenly: {values:?}");
    [values[0], differences.first().copied().unwrap_or(0)]
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
    let (weight_hh, weights_at) = all_of(cells, |cell| whole(cell.packed.unwrap_or(cell.weight_hh)));
    // What is not there is not read.
    let (bias_hh, bias_at) = match any.bias_hh {
        Some(_) => all_of(cells, |cell| whole(cell.bias_hh.unwrap_or(cell.weight_hh))),
        None => (weight_hh, vec![0; cells.len()]),
    };
    let orders: Vec<Vec<usize>> = cells.iter().map(CellSteps::order).collect();
    let params = |step: usize, steps: usize| {
        let each = |value: &dyn Fn(usize, &CellSteps<'a>, usize) -> u32| {
            first_and_next(cells.iter().enumerate().map(|(number, cell)| value(number, cell, orders[number][step])))
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
    let groups: Vec<_> = any
        .forward_kernels(builder.gpu(), (time_loop.schedule, time_loop.forward), save)
        .into_iter()
        .map(|kernel| {
            let storage = Step { weight_hh, bias_hh, lengths: any.lengths.unwrap_or(weight_hh), h, gates };
            builder.group(kernel, &params(0, 0), storage.storage())
        })
        .collect();
    let workgroups = time_loop.workgroups(time_loop.forward, 1, any.batch, any.hidden, cells.len());
    let all: Vec<usize> = (0..any.steps.len()).collect();
    for steps in all.chunks(time_loop.steps) {
        for &group in &groups {
            builder.dispatch_with(group, &params(steps[0], steps.len()), workgroups);
        }
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
    let (weight_hh, weights_at) = all_of(cells, |cell| whole(cell.weight_hh));
    let of_step = any.batch * any.h_stride;
    let (d_output, d_output_at) =
        all_of(cells, |cell| (d.d_output, cell.steps.start * of_step..cell.steps.end * of_step));
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
    let orders: Vec<Vec<usize>> = cells.iter().map(|cell| cell.order().into_iter().rev().collect()).collect();
    let gates_of_step = (any.batch * any.gates_width * any.hidden) as u32;
    // A step that is one further than the last has no numbers of its own, but those of the step after it.
    let params = |step: usize| {
        let each = |value: &dyn Fn(usize, &CellSteps<'a>, usize) -> u32| {
            let last = any.steps.len() - 1;
            first_and_next(
                cells.iter().enumerate().map(|(number, cell)| value(number, cell, orders[number][step.min(last)])),
            )
        };
        let backwards = |cell: &CellSteps<'a>| cell.direction().wrapping_neg();
        let further = (step - step.min(any.steps.len() - 1)) as u32;
        let [t, next_t] = each(&|_, _, t| t as u32);
        let [direction, next_direction] = each(&|_, cell, _| backwards(cell));
        let [h_before, next_h_before] = each(&|number, cell, t| h_at[number] + cell.states_at(t)[0]);
        let [h_after, next_h_after] = each(&|number, cell, t| h_at[number] + cell.states_at(t)[1]);
        let [gates_offset, next_gates] = each(&|number, cell, t| {
            let further = further.wrapping_mul(backwards(cell)).wrapping_mul(gates_of_step);
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
    let kernels = any.backward_kernels(builder.gpu(), (time_loop.schedule, time_loop.backward), has_norms);
    let groups: Vec<_> = kernels
        .into_iter()
        .map(|kernel| {
            let lengths = any.lengths.unwrap_or(weight_hh);
            let storage = StepBackward { weight_hh, h, lengths, d_output, d_h_n, gates, d_h0, norms: squares };
            builder.group(kernel, &params(0), storage.storage())
        })
        .collect();
    let workgroups = time_loop.workgroups(time_loop.backward, UNITS, any.batch, any.hidden, cells.len());
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
        for &group in &groups {
            builder.dispatch_with(group, &params, workgroups);
        }
    }
    if time_loop.schedule == Schedule::PerStep {
        let params = StepBackwardParams { has_product: 1, has_final: 1, ..params(count) };
        builder.dispatch_with(groups[0], &params, workgroups);
    }
}

/// Packs weights `[R, H]` for the steps forward.
pub(crate) fn pack<'a>(builder: &mut ProgramBuilder<'a>, source: &'a Tensor, rows: usize, packed: &'a Tensor) {
    let fours = source.len() / rows / 4;
    let ((source, source_offset), (packed, packed_offset)) = (source.view(), packed.view());
    let workgroups = (rows * fours).div_ceil(256) as u32;
    let in_a_row = workgroups.min(builder.gpu().limits().max_compute_workgroups_per_dimension);
    let params = PackParams {
        rows: rows as u32,
        fours: fours as u32,
        source_offset: source_offset / 4,
        packed_offset: packed_offset / 4,
        workgroups: in_a_row,
    };
    let kernel = builder.gpu().kernel(&PACK, &[]);
    let storage = Pack { source, packed };
    builder.once(kernel, &params, storage.storage(), [in_a_row, workgroups.div_ceil(in_a_row), 1]);
}

/// Where the gradients of a cell's steps come from, and where they go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepsBackward<'a> {
    pub(crate) seq_len: usize,
    /// The chunk with which backward begins: there d_h comes from `d_h_n`.
    pub(crate) is_first_chunk: bool,
    /// `[T, B, DH]`
    pub(crate) d_output: &'a Tensor,
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
