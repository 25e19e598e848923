//! The gates of a chunk as halves, and back.

use super::CellSteps;
use crate::gpu::{KernelSpec, ProgramBuilder, Tensor};
use crate::kernels::{F16_FROM_GATES, GATES_FROM_F16, GatesF16, GatesF16Params};

/// Keeps the gates of a chunk, two in a word, in `halves` `[chunk, B, 2, H]`.
pub(crate) fn halve<'a>(builder: &mut ProgramBuilder<'a>, steps: &CellSteps<'a>, halves: &'a Tensor) {
    convert(builder, &F16_FROM_GATES, steps, halves);
}

/// The gates of a chunk from what [`halve`] kept.
pub(crate) fn widen<'a>(builder: &mut ProgramBuilder<'a>, steps: &CellSteps<'a>, halves: &'a Tensor) {
    convert(builder, &GATES_FROM_F16, steps, halves);
}

fn convert<'a>(builder: &mut ProgramBuilder<'a>, spec: &'static KernelSpec, steps: &CellSteps<'a>, halves: &'a Tensor) {
    let (gates, (halves, halves_offset)) = (steps.gates_matrix(), halves.view());
    let [rows, hidden] = [steps.rows(), steps.hidden].map(|size| size as u32);
    let params = GatesF16Params { rows, hidden, gates_offset: gates.offset, packed_offset: halves_offset };
    let kernel = builder.gpu().kernel(spec, &[]);
    let storage = GatesF16 { gates: gates.view, packed: halves };
    builder.once(kernel, &params, storage.storage(), [hidden.div_ceil(8), rows.div_ceil(8), 1]);
}
