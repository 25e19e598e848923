//! The time loop of a layer's cells: a chunk of steps forward, a chunk of steps backward.

use std::ops::Range;
use std::sync::Arc;

use super::{Matrix, Overrides};
use crate::config::Cell;
use crate::gpu::{Gpu, Kernel, KernelSpec, Tensor, View, view_of_parts};
use crate::plan::{Cut, Schedule, TimeLoop};

mod backward;
mod forward;
mod half;

pub(crate) use backward::{Squares, StepsBackward, gru_gates, steps_backward};
pub(crate) use forward::{Packing, pack, steps_forward};
pub(crate) use half::{halve, widen};

/// A kernel by fours, for H that is a multiple of 4; by single numbers; and by fours with weights of 16 bits.
type Forms = [&'static KernelSpec; 3];

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
    /// The same in the order of a GPU's steps forward, if they read it so.
    pub(crate) packed: Option<&'a Tensor>,
    /// Both hold two weights in a word.
    pub(crate) half_weights: bool,
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
    /// The step that the direction takes as number n of the chunk.
    fn nth(&self, n: usize) -> usize {
        if self.reverse { self.steps.end - 1 - n } else { self.steps.start + n }
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
        [quads, singles, halves]: Forms,
        (time_loop, cut): (&TimeLoop, Cut),
        sums: u32,
        own: Overrides,
    ) -> Arc<Kernel> {
        let is_quads = cut.quads && self.hidden.is_multiple_of(4);
        let spec = match (self.half_weights, is_quads) {
            (true, _) => halves,
            (false, true) => quads,
            (false, false) => singles,
        };
        let mut overrides = vec![
            ("LANES", f64::from(cut.lanes)),
            ("SPLIT", f64::from(cut.split)),
            ("ROWS", f64::from(cut.rows)),
            ("SUMS", f64::from(sums * cut.rows)),
            ("SUMS_OF_ALL", f64::from(sums * cut.rows * cut.lanes * cut.split)),
            ("MANY", f64::from(time_loop.schedule != Schedule::PerStep)),
            ("WIDTH", self.gates_width as f64),
        ];
        overrides.extend(own);
        gpu.kernel(spec, &overrides)
    }
}

/// A binding of a part of each of some cells, and where those parts begin.
fn all_of<'a, 'b>(
    cells: &'b [CellSteps<'a>],
    part: impl Fn(&'b CellSteps<'a>) -> (&'a Tensor, Range<usize>),
) -> (View<'a>, Vec<u32>) {
    view_of_parts(&cells.iter().map(part).collect::<Vec<_>>())
}

/// The recurrent weights of some cells, packed or not, and where those begin, in weights.
fn all_weights<'a>(cells: &[CellSteps<'a>], packed: bool) -> (View<'a>, Vec<u32>) {
    let (view, words) = all_of(cells, |cell| whole(cell.packed.filter(|_| packed).unwrap_or(cell.weight_hh)));
    let in_a_word = if cells[0].half_weights { 2 } else { 1 };
    (view, words.into_iter().map(|word| word * in_a_word).collect())
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
