//! Single kernels as programs, for this crate's own tests and benches. No promise of stability.

use crate::activation::Activation;
use crate::config::{Cell, Reset};
use crate::error::Result;
use crate::gpu::{Gpu, Program, ProgramBuilder, Tensor};
use crate::ops::{self, CellSteps, MatmulArgs, Matrix, StepsBackward, SumRowsArgs, Vector};
use crate::plan::{MatmulKernel, Tuning};
use crate::reference::matmul::MatmulParams;

/// Whether the GPU can run this kernel.
pub fn supports(gpu: &Gpu, kernel: MatmulKernel) -> bool {
    kernel != MatmulKernel::Broadcast || gpu.has_subgroups_of_8()
}

/// A matrix somewhere in a tensor: its first element, and how far apart its stored rows lie.
#[derive(Debug, Clone, Copy)]
pub struct Placed<'a> {
    pub tensor: &'a Tensor,
    pub begin: usize,
    pub stride: usize,
}

impl<'a> Placed<'a> {
    /// A tensor that holds nothing but rows of `stride`.
    pub fn whole(tensor: &'a Tensor, stride: usize) -> Self {
        Self { tensor, begin: 0, stride }
    }

    fn matrix(&self) -> Matrix<'a> {
        let rows = (self.tensor.len() - self.begin) / self.stride;
        Matrix::rows_of(self.tensor, self.begin, rows, self.stride)
    }
}

/// c (+)= op(a) op(b) + bias; the tensors hold nothing but the matrices.
pub fn matmul(
    kernel: MatmulKernel,
    params: &MatmulParams,
    a: &Tensor,
    b: &Tensor,
    bias: Option<&Tensor>,
    c: &Tensor,
) -> Result<Program> {
    let &MatmulParams { m, n, k, transpose_a, transpose_b, .. } = params;
    let a = Placed::whole(a, if transpose_a { m } else { k });
    let b = Placed::whole(b, if transpose_b { k } else { n });
    matmul_placed(kernel, params, [a, b, Placed::whole(c, n)], bias.map(|bias| (bias, 0)))
}

/// c (+)= op(a) op(b) + bias; the bias from an element on.
pub fn matmul_placed(
    kernel: MatmulKernel,
    params: &MatmulParams,
    [a, b, c]: [Placed<'_>; 3],
    bias: Option<(&Tensor, usize)>,
) -> Result<Program> {
    let &MatmulParams { m, n, k, transpose_a, transpose_b, accumulate } = params;
    let mut builder = ProgramBuilder::new(c.tensor.gpu(), "matmul");
    let args = MatmulArgs {
        size: [m, n, k],
        a: a.matrix(),
        transpose_a,
        b: b.matrix(),
        transpose_b,
        bias: bias.map(|(bias, begin)| Vector::of(bias, begin)),
        c: c.matrix(),
        accumulate,
    };
    ops::matmul_by(&mut builder, kernel, args);
    builder.build()
}

/// The gates r, z and hn out of rows (r, z, n, hn): d_h_proj^T b, as the gradient of `weight_hh` reads them.
pub fn matmul_with_gap(kernel: MatmulKernel, hidden: usize, gates: &Tensor, b: &Tensor, c: &Tensor) -> Result<Program> {
    let mut builder = ProgramBuilder::new(c.gpu(), "matmul with gap");
    let rows = gates.len() / (4 * hidden);
    let columns = b.len() / rows;
    let args = MatmulArgs {
        size: [3 * hidden, columns, rows],
        a: Matrix::of(gates, 4 * hidden).with_gap(2 * hidden, hidden),
        transpose_a: true,
        b: Matrix::of(b, columns),
        transpose_b: false,
        bias: None,
        c: Matrix::of(c, columns),
        accumulate: false,
    };
    ops::matmul_by(&mut builder, kernel, args);
    builder.build()
}

/// total (+)= the sum over the rows of input `[rows, columns]`.
pub fn sum_rows(lanes: [u32; 2], accumulate: bool, input: &Tensor, total: &Tensor) -> Result<Program> {
    let columns = total.len();
    let mut builder = ProgramBuilder::new(total.gpu(), "sum rows");
    let rows = input.len() / columns;
    let (input, total) = (Matrix::of(input, columns), Vector::of(total, 0));
    ops::sum_rows(&mut builder, lanes, SumRowsArgs { input, size: [rows, columns], total, accumulate, root: false });
    builder.build()
}

/// All steps of a GRU (reset after, sigmoid, tanh), `h` `[T+1, B, H]`, `gates` `[T, B, 4, H]`, or `[T, B, 3, H]` without
/// saving.
pub fn gru_steps(
    tuning: &Tuning,
    sizes: [usize; 3],
    weight_hh: &Tensor,
    bias_hh: &Tensor,
    h: &Tensor,
    gates: &Tensor,
) -> Result<Program> {
    let mut builder = ProgramBuilder::new(h.gpu(), "gru steps");
    let steps = plain_steps(sizes, weight_hh, Some(bias_hh), h, gates);
    steps.forward(&mut builder, tuning, steps.gates_width == 4);
    builder.build()
}

/// All steps of it backward, and the final dispatch. `d` is `d_output`, `d_h_n`, `d_h0`.
pub fn gru_steps_backward(
    tuning: &Tuning,
    sizes: [usize; 3],
    weight_hh: &Tensor,
    h: &Tensor,
    gates: &Tensor,
    [d_output, d_h_n, d_h0]: [&Tensor; 3],
) -> Result<Program> {
    let unused = Tensor::zeros(h.gpu(), &[1])?;
    let mut builder = ProgramBuilder::new(h.gpu(), "gru steps backward");
    let from = StepsBackward {
        seq_len: sizes[0],
        cell_index: 0,
        is_first_chunk: true,
        d_output,
        d_h_n,
        d_h0,
        norms: &unused,
        has_norms: false,
    };
    plain_steps(sizes, weight_hh, None, h, gates).backward(&mut builder, tuning, &from);
    builder.build()
}

fn plain_steps<'a>(
    [seq_len, batch, hidden]: [usize; 3],
    weight_hh: &'a Tensor,
    bias_hh: Option<&'a Tensor>,
    h: &'a Tensor,
    gates: &'a Tensor,
) -> CellSteps<'a> {
    CellSteps {
        cell: Cell::Gru { reset: Reset::After, gate: Activation::Sigmoid, candidate: Activation::Tanh },
        clip: None,
        batch,
        hidden,
        reverse: false,
        steps: 0..seq_len,
        weight_hh,
        bias_hh,
        lengths: None,
        h,
        h_stride: hidden,
        h_column: 0,
        gates,
        gates_first: 0,
        gates_width: gates.len() / (seq_len * batch * hidden),
    }
}
