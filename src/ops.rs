//! What a dispatch of each kernel needs besides its buffers: the uniform, the overrides, the number of workgroups.
//! `layer` and `train` build their programs of these. Steps are in [`steps`].

mod matmul;
mod rows;
mod steps;

#[cfg(feature = "harness")]
pub(crate) use matmul::matmul_by;
pub(crate) use matmul::{Lengths, MatmulArgs, matmul, matmul_with_lengths};
pub(crate) use rows::{MoveRowsArgs, move_rows, number};
pub(crate) use steps::{
    CellSteps, Packing, Squares, StepsBackward, gru_gates, halve, meeting, pack, steps_backward, steps_forward, widen,
};

use crate::activation::Activation;
use crate::gpu::{ProgramBuilder, Tensor, View};
use crate::kernels::{
    ARRANGE, Arrange, ArrangeParams, COUNT, Count, CountParams, SUM_ROWS, SUM_SQUARES, SumRows, SumRowsParams,
    SumSquares, SumSquaresParams,
};

/// A list of overrides, in the order of the table.
type Overrides = Vec<(&'static str, f64)>;

/// The three overrides of an activation.
fn activation(names: [&'static str; 3], activation: Activation) -> Overrides {
    let [alpha, beta] = activation.parameters().map(f64::from);
    names.into_iter().zip([f64::from(activation.code()), alpha, beta]).collect()
}

/// The two overrides of the clip.
fn clip(clip: Option<f32>) -> Overrides {
    vec![("HAS_CLIP", f64::from(clip.is_some())), ("CLIP", clip.map_or(0.0, f64::from))]
}

/// A matrix in a buffer: rows of `stride` elements, of which the columns in use may have a gap.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub(crate) view: View<'a>,
    pub(crate) offset: u32,
    pub(crate) stride: usize,
    /// Columns from the first number on lie the second further.
    pub(crate) gap: Option<(usize, usize)>,
}

impl<'a> Matrix<'a> {
    /// The elements of a tensor from `begin` on as `rows` rows of `stride`.
    pub(crate) fn rows_of(tensor: &'a Tensor, begin: usize, rows: usize, stride: usize) -> Self {
        let (view, offset) = tensor.view_of(begin..begin + rows * stride);
        Self { view, offset, stride, gap: None }
    }

    /// A whole tensor as rows of `stride`.
    pub(crate) fn of(tensor: &'a Tensor, stride: usize) -> Self {
        Self::rows_of(tensor, 0, tensor.len() / stride, stride)
    }

    /// The same from a column on.
    pub(crate) fn columns_from(self, column: usize) -> Self {
        Self { offset: self.offset + column as u32, ..self }
    }

    /// The same with a gap before column `split`.
    pub(crate) fn with_gap(self, split: usize, skip: usize) -> Self {
        Self { gap: Some((split, skip)), ..self }
    }

    /// Whether four neighbours from a multiple of four on can be loaded at once: everything is a multiple of four elements,
    /// the end of the binding too, which holds no part of four.
    fn is_aligned(&self) -> bool {
        let (split, skip) = self.gap.unwrap_or((0, 0));
        let sizes = [self.offset as usize, self.stride, split, skip];
        sizes.iter().all(|size| size.is_multiple_of(4)) && self.view.size.is_multiple_of(16)
    }

    fn split_and_skip(&self) -> [u32; 2] {
        self.gap.map_or([u32::MAX, 0], |(split, skip)| [split as u32, skip as u32])
    }
}

/// A vector in a buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vector<'a> {
    pub(crate) view: View<'a>,
    pub(crate) offset: u32,
}

impl<'a> Vector<'a> {
    /// A tensor from an element on.
    pub(crate) fn of(tensor: &'a Tensor, begin: usize) -> Self {
        let (view, offset) = tensor.view_of(begin..tensor.len());
        Self { view, offset }
    }
}

/// total `[columns]` (+)= the sum over the rows of input `[rows, columns]`; with `root` its square root.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SumRowsArgs<'a> {
    pub(crate) input: Matrix<'a>,
    pub(crate) size: [usize; 2],
    pub(crate) total: Vector<'a>,
    pub(crate) accumulate: bool,
    pub(crate) root: bool,
}

pub(crate) fn sum_rows<'a>(builder: &mut ProgramBuilder<'a>, lanes: [u32; 2], args: SumRowsArgs<'a>) {
    let [split, skip] = args.input.split_and_skip();
    let [rows, columns] = args.size.map(|size| size as u32);
    let [column_lanes, row_lanes] = lanes;
    let [x, y] = rows::grid(builder, columns.div_ceil(column_lanes));
    let params = SumRowsParams {
        rows,
        columns,
        input_offset: args.input.offset,
        input_stride: args.input.stride as u32,
        split,
        skip,
        total_offset: args.total.offset,
        accumulate: u32::from(args.accumulate),
        workgroups: x,
    };
    let overrides = [
        ("COLUMN_LANES", f64::from(column_lanes)),
        ("ROW_LANES", f64::from(row_lanes)),
        ("ROOT", f64::from(args.root)),
    ];
    let kernel = builder.gpu().kernel(&SUM_ROWS, &overrides);
    let storage = SumRows { input: args.input.view, total: args.total.view };
    builder.once(kernel, &params, storage.storage(), [x, y, 1]);
}

/// How many workgroups of 256 an element-wise kernel gets: one an element up to this many, then each takes several.
pub(crate) fn element_workgroups(len: usize) -> u32 {
    (len.div_ceil(256)).min(1024) as u32
}

/// How many workgroups of 256 a reduction gets: at least 16 elements an invocation, since meeting costs more than adding.
pub(crate) fn reduction_workgroups(len: usize) -> u32 {
    (len.div_ceil(256 * 16)).min(256) as u32
}

/// The sum of the squares of a tensor, in parts of three numbers, one a workgroup, from part `first` on in `partial`. Gives how
/// many parts there are.
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

/// Elements `[T, B, F]` in a buffer: element f of step t of row b lies at `offset + t strides[0] + b strides[1] + f`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrangement<'a> {
    pub(crate) view: View<'a>,
    pub(crate) offset: u32,
    pub(crate) strides: [usize; 2],
}

impl<'a> Arrangement<'a> {
    /// A tensor `[T, B, F]`, or `[B, T, F]` if batch-first.
    pub(crate) fn of(tensor: &'a Tensor, [steps, batch, width]: [usize; 3], batch_first: bool) -> Self {
        let (view, offset) = tensor.view();
        let strides = if batch_first { [width, steps * width] } else { [batch * width, width] };
        Self { view, offset, strides }
    }

    /// One step of rows `stride` apart, from an element of a tensor on.
    pub(crate) fn state(tensor: &'a Tensor, begin: usize, batch: usize, stride: usize, width: usize) -> Self {
        let (view, offset) = tensor.view_of(begin..begin + (batch - 1) * stride + width);
        Self { view, offset, strides: [0, stride] }
    }
}

/// Dropout between two layers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dropout<'a> {
    /// Seed and count of forward passes.
    pub(crate) state: View<'a>,
    pub(crate) layer: usize,
    pub(crate) share: f32,
}

/// Under which random number of 32 bits an element is dropped, and what the others are multiplied by.
pub(crate) fn dropout_constants(share: f32) -> (u32, f32) {
    ((f64::from(share) * 4_294_967_296.0) as u32, 1.0 / (1.0 - share))
}

/// A copy of `[T, B, F]` into another arrangement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ArrangeArgs<'a> {
    pub(crate) size: [usize; 3],
    pub(crate) source: Arrangement<'a>,
    pub(crate) destination: Arrangement<'a>,
    /// Zeros past the ends of the rows.
    pub(crate) lengths: Option<View<'a>>,
    pub(crate) dropout: Option<Dropout<'a>>,
}

pub(crate) fn arrange<'a>(builder: &mut ProgramBuilder<'a>, args: ArrangeArgs<'a>) {
    let [steps, batch, width] = args.size.map(|size| size as u32);
    let [source_stride_t, source_stride_b] = args.source.strides.map(|stride| stride as u32);
    let [destination_stride_t, destination_stride_b] = args.destination.strides.map(|stride| stride as u32);
    let (threshold, keep_scale) = dropout_constants(args.dropout.map_or(0.0, |dropout| dropout.share));
    let params = ArrangeParams {
        steps,
        batch,
        width,
        source_offset: args.source.offset,
        source_stride_t,
        source_stride_b,
        destination_offset: args.destination.offset,
        destination_stride_t,
        destination_stride_b,
        layer: args.dropout.map_or(0, |dropout| dropout.layer as u32),
        threshold,
        keep_scale,
    };
    let overrides =
        [("HAS_LENGTHS", f64::from(args.lengths.is_some())), ("HAS_DROPOUT", f64::from(args.dropout.is_some()))];
    let kernel = builder.gpu().kernel(&ARRANGE, &overrides);
    let storage = Arrange {
        source: args.source.view,
        // Something must be bound; what is not there is not read.
        lengths: args.lengths.unwrap_or(args.source.view),
        dropout: args.dropout.map_or(args.source.view, |dropout| dropout.state),
        destination: args.destination.view,
    };
    let rows = steps * batch;
    let y = rows.min(builder.gpu().limits().max_compute_workgroups_per_dimension.max(1));
    builder.once(kernel, &params, storage.storage(), [width.div_ceil(64), y, rows.div_ceil(y)]);
}

/// Counts one more forward pass.
pub(crate) fn count<'a>(builder: &mut ProgramBuilder<'a>, counter: View<'a>) {
    let kernel = builder.gpu().kernel(&COUNT, &[]);
    builder.once(kernel, &CountParams { by: 1 }, Count { counter }.storage(), [1, 1, 1]);
}
