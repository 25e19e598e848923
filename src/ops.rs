//! What a dispatch of each kernel needs besides its buffers: the uniform, the overrides, the number of workgroups.
//! `layer` and `train` build their programs of these.

use std::ops::Range;

use crate::gpu::{ProgramBuilder, Tensor, View};
use crate::kernels::{
    GRU_STEP, GRU_STEP_BACKWARD, GruStep, GruStepBackward, GruStepBackwardParams, GruStepParams, MATMUL_DIRECT,
    MATMUL_TILED, Matmul, MatmulParams, SUM_ROWS, SUM_SQUARES, SumRows, SumRowsParams, SumSquares, SumSquaresParams,
};
use crate::plan::{MatmulKernel, Tuning};

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

    /// The same with a gap before column `split`.
    pub(crate) fn with_gap(self, split: usize, skip: usize) -> Self {
        Self { gap: Some((split, skip)), ..self }
    }

    fn split_and_skip(&self) -> [u32; 2] {
        self.gap.map_or([u32::MAX, 0], |(split, skip)| [split as u32, skip as u32])
    }
}

/// c `[m, n]` (+)= op(a) `[m, k]` op(b) `[k, n]` + bias `[n]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MatmulArgs<'a> {
    pub(crate) size: [usize; 3],
    pub(crate) a: Matrix<'a>,
    /// a is stored `[k, m]`.
    pub(crate) transpose_a: bool,
    pub(crate) b: Matrix<'a>,
    /// b is stored `[n, k]`.
    pub(crate) transpose_b: bool,
    pub(crate) bias: Option<View<'a>>,
    pub(crate) c: Matrix<'a>,
    /// Add to what c holds.
    pub(crate) accumulate: bool,
}

pub(crate) fn matmul<'a>(builder: &mut ProgramBuilder<'a>, kernel: MatmulKernel, args: MatmulArgs<'a>) {
    let [m, n, k] = args.size.map(|size| size as u32);
    let [a_split, a_skip] = args.a.split_and_skip();
    let params = MatmulParams {
        m,
        n,
        k,
        a_offset: args.a.offset,
        a_stride: args.a.stride as u32,
        a_split,
        a_skip,
        b_offset: args.b.offset,
        b_stride: args.b.stride as u32,
        c_offset: args.c.offset,
        c_stride: args.c.stride as u32,
        accumulate: u32::from(args.accumulate),
    };
    let overrides = [
        ("TRANSPOSE_A", f64::from(args.transpose_a)),
        ("TRANSPOSE_B", f64::from(args.transpose_b)),
        ("HAS_BIAS", f64::from(args.bias.is_some())),
    ];
    let spec = match kernel {
        MatmulKernel::Tiled => &MATMUL_TILED,
        MatmulKernel::Direct => &MATMUL_DIRECT,
    };
    let [rows, columns] = kernel.tile();
    let storage = Matmul {
        a: args.a.view,
        b: args.b.view,
        // Something must be bound; without HAS_BIAS it is not read.
        bias: args.bias.unwrap_or(args.b.view),
        c: args.c.view,
    };
    let kernel = builder.gpu().kernel(spec, &overrides);
    builder.once(kernel, &params, storage.storage(), [n.div_ceil(columns), m.div_ceil(rows), 1]);
}

/// total `[columns]` (+)= the sum over the rows of input `[rows, columns]`.
pub(crate) fn sum_rows<'a>(
    builder: &mut ProgramBuilder<'a>,
    lanes: [u32; 2],
    input: Matrix<'a>,
    [rows, columns]: [usize; 2],
    total: View<'a>,
    accumulate: bool,
) {
    let [split, skip] = input.split_and_skip();
    let params = SumRowsParams {
        rows: rows as u32,
        columns: columns as u32,
        input_offset: input.offset,
        input_stride: input.stride as u32,
        split,
        skip,
        accumulate: u32::from(accumulate),
    };
    let [column_lanes, row_lanes] = lanes;
    let overrides = [("COLUMN_LANES", f64::from(column_lanes)), ("ROW_LANES", f64::from(row_lanes))];
    let kernel = builder.gpu().kernel(&SUM_ROWS, &overrides);
    let storage = SumRows { input: input.view, total };
    builder.once(kernel, &params, storage.storage(), [(columns as u32).div_ceil(column_lanes), 1, 1]);
}

/// The buffers of the time loop of one layer, see `shaders/gru_step.wgsl`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recurrence<'a> {
    pub(crate) batch: usize,
    pub(crate) hidden: usize,
    pub(crate) weight_hh: &'a Tensor,
    /// `[T+1, B, H]`
    pub(crate) h: &'a Tensor,
    /// `[T, B, W, H]`
    pub(crate) gates: &'a Tensor,
}

impl<'a> Recurrence<'a> {
    /// The grid of a step whose workgroups own `units` units.
    fn workgroups(&self, tuning: &Tuning, units: u32) -> [u32; 3] {
        [(self.hidden as u32).div_ceil(units), (self.batch as u32).div_ceil(tuning.step_rows), 1]
    }

    fn states(&self, steps: Range<usize>) -> (View<'a>, u32) {
        let size = self.batch * self.hidden;
        self.h.view_of(steps.start * size..steps.end * size)
    }

    fn gates_of(&self, steps: Range<usize>, width: usize) -> (View<'a>, u32) {
        let size = self.batch * width * self.hidden;
        self.gates.view_of(steps.start * size..steps.end * size)
    }

    /// The forward steps of one chunk. `save` keeps r, z, n and hn.
    pub(crate) fn forward(
        &self,
        builder: &mut ProgramBuilder<'a>,
        tuning: &Tuning,
        steps: Range<usize>,
        bias_hh: &'a Tensor,
        save: bool,
    ) {
        let (h, h_offset) = self.states(steps.start..steps.end + 1);
        let (gates, gates_offset) = self.gates_of(steps.clone(), if save { 4 } else { 3 });
        let params = |t: usize| GruStepParams {
            t: t as u32,
            batch: self.batch as u32,
            hidden: self.hidden as u32,
            h_offset,
            gates_offset,
        };
        let overrides =
            [("LANES", f64::from(tuning.step_lanes)), ("ROWS", f64::from(tuning.step_rows)), ("SAVE", f64::from(save))];
        let kernel = builder.gpu().kernel(&GRU_STEP, &overrides);
        let storage = GruStep { weight_hh: self.weight_hh.view().0, bias_hh: bias_hh.view().0, h, gates };
        let group = builder.group(kernel, &params(0), storage.storage());
        for t in 0..steps.len() {
            builder.dispatch_with(group, &params(t), self.workgroups(tuning, tuning.step_lanes));
        }
    }

    /// The backward steps of one chunk, the last first; behind the first chunk also the final dispatch, which makes d_h0.
    pub(crate) fn backward(
        &self,
        builder: &mut ProgramBuilder<'a>,
        tuning: &Tuning,
        steps: Range<usize>,
        d: OutputGradients<'a>,
    ) {
        let seq_len = self.h.len() / (self.batch * self.hidden) - 1;
        let size = self.batch * self.hidden;
        let (h, h_offset) = self.states(steps.clone());
        let (gates, gates_offset) = self.gates_of(steps.start..(steps.end + 1).min(seq_len), 4);
        let (d_output, d_output_offset) = d.output.view_of(steps.start * size..steps.end * size);
        let params = |t: u32| GruStepBackwardParams {
            t,
            batch: self.batch as u32,
            hidden: self.hidden as u32,
            is_last: 0,
            is_final: 0,
            h_offset,
            gates_offset,
            d_output_offset,
        };
        let overrides = [
            ("LANES", f64::from(tuning.step_lanes)),
            ("ROWS", f64::from(tuning.step_rows)),
            ("UNITS", f64::from(tuning.step_backward_units)),
        ];
        let kernel = builder.gpu().kernel(&GRU_STEP_BACKWARD, &overrides);
        let storage = GruStepBackward {
            weight_hh: self.weight_hh.view().0,
            h,
            d_output,
            d_h_n: d.h_n.view().0,
            gates,
            d_h0: d.h0.view().0,
        };
        let group = builder.group(kernel, &params(0), storage.storage());
        let workgroups = self.workgroups(tuning, tuning.step_lanes * tuning.step_backward_units);
        for t in (0..steps.len()).rev() {
            let is_last = u32::from(steps.start + t + 1 == seq_len);
            builder.dispatch_with(group, &GruStepBackwardParams { is_last, ..params(t as u32) }, workgroups);
        }
        if steps.start == 0 {
            builder.dispatch_with(group, &GruStepBackwardParams { is_final: 1, ..params(u32::MAX) }, workgroups);
        }
    }
}

/// Where the gradients of the outputs come from, and where that of h0 goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OutputGradients<'a> {
    /// `[T, B, H]`
    pub(crate) output: &'a Tensor,
    /// `[B, H]`
    pub(crate) h_n: &'a Tensor,
    /// `[B, H]`
    pub(crate) h0: &'a Tensor,
}

/// How many workgroups of 256 an element-wise kernel gets: one an element up to this many, then each takes several.
pub(crate) fn element_workgroups(len: usize) -> u32 {
    (len.div_ceil(256)).min(1024) as u32
}

/// How many workgroups of 256 a reduction gets: at least 16 elements an invocation, since meeting costs more than adding.
pub(crate) fn reduction_workgroups(len: usize) -> u32 {
    (len.div_ceil(256 * 16)).min(256) as u32
}

/// The sum of the squares of a tensor, in parts, one a workgroup, from `first` on in `partial`. Gives how many there are.
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
