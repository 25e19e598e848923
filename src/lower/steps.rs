//! What the steps forward and backward share: kernels, and bindings that several cells share.

use std::ops::Range;
use std::sync::Arc;

use super::{On, Overrides, activation};
use crate::config::Cell;
use crate::gpu::{Gpu, Kernel, View, view_of_parts};
use crate::kernels::generated::{Exchange, Rows, Step};
use crate::plan::ops::CellSteps;
use crate::plan::tensors::Id;
use crate::plan::{ExchangeCut, RowsCut, TileCut, TimeLoop};

/// The overrides of the activations of a cell.
pub(super) fn activations(cell: &CellSteps) -> Overrides {
    activations_of(cell.cell)
}

pub(super) fn activations_of(cell: Cell) -> Overrides {
    match cell {
        Cell::Rnn { nonlinearity } => activation(["ACTIVATION", "ALPHA", "BETA"], nonlinearity),
        Cell::Gru { gate, candidate, .. } => [
            activation(["GATE", "GATE_ALPHA", "GATE_BETA"], gate),
            activation(["CANDIDATE", "CANDIDATE_ALPHA", "CANDIDATE_BETA"], candidate),
        ]
        .concat(),
    }
}

/// From one step to the next one in time, as the kernels take it.
pub(super) fn direction(cell: &CellSteps) -> u32 {
    if cell.reverse { u32::MAX } else { 1 }
}

/// The kernels of some steps in their order, with the overrides that do not divide their work.
pub(super) fn kernels(
    gpu: &Gpu,
    cell: &CellSteps,
    time_loop: TimeLoop,
    backward: bool,
    own: &Overrides,
) -> Vec<Arc<Kernel>> {
    match time_loop {
        TimeLoop::Rows { forward, .. } if !backward => rows(gpu, cell, forward, false, own),
        TimeLoop::Rows { backward, .. } => rows(gpu, cell, backward, true, own),
        TimeLoop::Exchange { forward, .. } if !backward => exchange(gpu, cell, forward, false, own),
        TimeLoop::Exchange { backward, .. } => exchange(gpu, cell, backward, true, own),
        TimeLoop::Step { forward, .. } if !backward => single_step(gpu, cell, forward, false, own),
        TimeLoop::Step { backward, .. } => single_step(gpu, cell, backward, true, own),
    }
}

/// The kernels of a single step.
fn single_step(gpu: &Gpu, cell: &CellSteps, cut: TileCut, backward: bool, own: &Overrides) -> Vec<Arc<Kernel>> {
    let (f16_weights, vec4) = (cell.f16_weights, cell.is_vec4(cut, backward));
    let kernel = |second| Step { cell: cell.cell, backward, second, cut, f16_weights, vec4 };
    let count = TileCut::labels(cell.cell, backward).len();
    [false, true][..count].iter().map(|&second| gpu.generated(&kernel(second), own)).collect()
}

/// The kernel of steps by rows, with its overrides but those of the cell.
fn rows(gpu: &Gpu, cell: &CellSteps, cut: RowsCut, backward: bool, own: &Overrides) -> Vec<Arc<Kernel>> {
    let (hidden, f16_weights) = (cell.hidden as u32, cell.f16_weights);
    vec![gpu.generated(&Rows { cell: cell.cell, backward, hidden, cut, f16_weights }, own)]
}

/// The kernel of steps by exchange and that of their settlement, likewise.
fn exchange(gpu: &Gpu, cell: &CellSteps, cut: ExchangeCut, backward: bool, own: &Overrides) -> Vec<Arc<Kernel>> {
    let (hidden, f16_weights) = (cell.hidden as u32, cell.f16_weights);
    let kernel = |settles| Exchange { cell: cell.cell, backward, hidden, cut, f16_weights, settles };
    let looks = [("MEETING_LOOKS", f64::from(cut.looks)), ("LOOKS", f64::from(cut.waiting_looks()))];
    vec![gpu.generated(&kernel(false), &[&own[..], &looks].concat()), gpu.generated(&kernel(true), own)]
}

/// A binding of a part of each of some cells, and where those parts begin.
pub(super) fn all_of<'a>(
    on: On<'a>,
    cells: &[CellSteps],
    part: impl Fn(&CellSteps) -> (Id, Range<usize>),
) -> (View<'a>, Vec<u32>) {
    parts(on, cells.iter().map(part))
}

/// A binding of parts of one buffer, and where they begin.
pub(super) fn parts<'a>(on: On<'a>, parts: impl Iterator<Item = (Id, Range<usize>)>) -> (View<'a>, Vec<u32>) {
    view_of_parts(&parts.map(|(tensor, elements)| (on.tensor(tensor), elements)).collect::<Vec<_>>())
}

/// The recurrent weights of some cells as the steps of a direction read them, and where those begin, in weights.
pub(super) fn all_weights<'a>(on: On<'a>, cells: &[CellSteps], backward: bool) -> (View<'a>, Vec<u32>) {
    let weights = |cell: &CellSteps| whole(on, cell.transposed.filter(|_| backward).unwrap_or(cell.weight_hh));
    let (view, words) = all_of(on, cells, weights);
    let in_a_word = if cells[0].f16_weights { 2 } else { 1 };
    (view, words.into_iter().map(|word| word * in_a_word).collect())
}

pub(super) fn whole(on: On<'_>, tensor: Id) -> (Id, Range<usize>) {
    (tensor, 0..on.tensor(tensor).len())
}

/// A number of the first cell, and how much larger it is for each next one, wrapping around.
pub(super) fn first_and_next(of_cell: impl Iterator<Item = u32>) -> [u32; 2] {
    let values: Vec<u32> = of_cell.collect();
    let differences: Vec<u32> = values.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    debug_assert!(differences.windows(2).all(|pair| pair[0] == pair[1]), "cells that lie unevenly: {values:?}");
    [values[0], differences.first().copied().unwrap_or(0)]
}

/// Lengths and starts of episodes, if there are any.
pub(super) fn words_of_rows<'a>(on: On<'a>, cell: &CellSteps) -> Option<View<'a>> {
    let words = cell.episodes.map(|episodes| episodes.words).or(cell.lengths);
    words.map(|words| on.whole(words).0)
}
