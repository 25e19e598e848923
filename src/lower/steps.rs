//! What the steps forward and backward share: kernels by form, and bindings that several cells share.

use std::ops::Range;
use std::sync::Arc;

use super::{On, Overrides};
use crate::gpu::{Gpu, Kernel, KernelSpec, View, view_of_parts};
use crate::kernels::generated::{Exchange, Rows};
use crate::plan::ops::CellSteps;
use crate::plan::tensors::Id;
use crate::plan::{Cut, ExchangeCut, RowsCut};

/// A kernel that loads four numbers at once, for H that is a multiple of 4; one that loads single numbers; and one that
/// loads four f16 weights at once.
pub(super) type Forms = [&'static KernelSpec; 3];

pub(super) const GATE: [&str; 3] = ["GATE", "GATE_ALPHA", "GATE_BETA"];
pub(super) const CANDIDATE: [&str; 3] = ["CANDIDATE", "CANDIDATE_ALPHA", "CANDIDATE_BETA"];
pub(super) const ACTIVATION: [&str; 3] = ["ACTIVATION", "ALPHA", "BETA"];

/// From one step to the next one in time, as the kernels take it.
pub(super) fn direction(cell: &CellSteps) -> u32 {
    if cell.reverse { u32::MAX } else { 1 }
}

/// The kernel of single steps in the form that fits a cell, with the overrides that all steps share and its own.
pub(super) fn kernel(
    gpu: &Gpu,
    cell: &CellSteps,
    [vec4, scalar, f16]: Forms,
    cut: Cut,
    sums: u32,
    own: Overrides,
) -> Arc<Kernel> {
    let spec = match (cell.f16_weights, cell.is_vec4(cut)) {
        (true, _) => f16,
        (false, true) => vec4,
        (false, false) => scalar,
    };
    let mut overrides = vec![
        ("LANES", f64::from(cut.lanes)),
        ("SPLIT", f64::from(cut.split)),
        ("ROWS", f64::from(cut.rows)),
        ("SUMS", f64::from(sums * cut.rows)),
        ("SUMS_OF_ALL", f64::from(sums * cut.rows * cut.lanes * cut.split)),
    ];
    overrides.extend(own);
    gpu.kernel(spec, &overrides)
}

/// The kernel of steps by rows, with its overrides but those of the cell.
pub(super) fn rows(gpu: &Gpu, cell: &CellSteps, cut: RowsCut, backward: bool, own: &Overrides) -> Arc<Kernel> {
    let (hidden, f16_weights) = (cell.hidden as u32, cell.f16_weights);
    gpu.generated(&Rows { cell: cell.cell, backward, hidden, cut, f16_weights }, own)
}

/// The kernel of steps by exchange and that of their settlement, likewise.
pub(super) fn exchange(
    gpu: &Gpu,
    cell: &CellSteps,
    cut: ExchangeCut,
    backward: bool,
    own: &Overrides,
) -> Vec<Arc<Kernel>> {
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

/// The recurrent weights of some cells, packed or not, and where those begin, in weights.
pub(super) fn all_weights<'a>(on: On<'a>, cells: &[CellSteps], packed: bool) -> (View<'a>, Vec<u32>) {
    let weights = |cell: &CellSteps| whole(on, cell.packed.filter(|_| packed).unwrap_or(cell.weight_hh));
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
