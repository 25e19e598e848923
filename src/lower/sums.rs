//! Sums over rows, and sums of squares.

use super::{On, grid, split_and_skip};
use crate::gpu::{ProgramBuilder, Tensor};
use crate::kernels::{SUM_ROWS, SUM_SQUARES, SumRows, SumRowsParams, SumSquares, SumSquaresParams};
use crate::plan::ops;

/// Columns of a workgroup of `shared/column_sums.wgsl`.
pub(crate) const COLUMN_LANES: u32 = 32;

pub(super) fn sum_rows<'a>(builder: &mut ProgramBuilder<'a>, on: On<'a>, args: &ops::SumRows) {
    let [split, skip] = split_and_skip(&args.input);
    let ((input, input_offset), (total, total_offset)) = (on.matrix(&args.input), on.vector(args.total));
    let [rows, columns] = args.size.map(|size| size as u32);
    let [x, y] = grid(builder, columns.div_ceil(COLUMN_LANES));
    let params = SumRowsParams {
        rows,
        columns,
        input_offset,
        input_stride: args.input.stride as u32,
        split,
        skip,
        total_offset,
        accumulate: u32::from(args.accumulate),
        workgroups: x,
    };
    let kernel = builder.gpu().kernel(&SUM_ROWS, &[("ROOT", f64::from(args.root))]);
    builder.once(kernel, &params, SumRows { input, total }.storage(), [x, y, 1]);
}

/// How many workgroups of 256 an element-wise kernel gets: one an element up to this many, then each takes several.
pub(crate) fn element_workgroups(len: usize) -> u32 {
    (len.div_ceil(256)).min(1024) as u32
}

/// How many workgroups of 256 a reduction gets: at least 16 elements an invocation, since meeting costs more than
/// adding.
pub(crate) fn reduction_workgroups(len: usize) -> u32 {
    (len.div_ceil(256 * 16)).min(256) as u32
}

/// The sum of the squares of a tensor, in parts of three numbers, one a workgroup, from part `first` on in `partial`.
/// Gives how many parts there are.
pub(crate) fn sum_squares<'a>(
    builder: &mut ProgramBuilder<'a>,
    input: &'a Tensor,
    partial: &'a Tensor,
    first: usize,
) -> usize {
    let workgroups = reduction_workgroups(input.len());
    let (input_view, input_offset) = input.view();
    let params = SumSquaresParams { len: input.len() as u32, input_offset, partial_offset: first as u32, workgroups };
    let storage = SumSquares { input: input_view, partial: partial.view().0 };
    let kernel = builder.gpu().kernel(&SUM_SQUARES, &[]);
    builder.once(kernel, &params, storage.storage(), [workgroups, 1, 1]);
    workgroups as usize
}
