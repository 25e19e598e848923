//! The list of operations: what is computed from which tensors, in order. A GPU executes it by way of `lower`, a CPU by
//! the twins (`reference::twins::run`).
//!
//! An operation names tensors by their number in [`Tensors`] and counts in elements. It holds every choice that depends
//! on sizes and on the device: which kernel, whether it loads `vec4`. Whatever is said of a plan (dispatches, FLOPs,
//! kernels) is a sum over this list.

use std::ops::Range;

use super::cuts::TileCut;
use super::frame::FrameCut;
use super::matmul::{self, MatmulKernel, ranges_of_rows};
use super::tensors::{Id, Tensors};
use super::time_loop::TimeLoop;
use crate::config::{Cell, Reset};
use crate::target::Target;

/// A matrix in a tensor: rows of `stride` elements, of which the columns in use may have a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Matrix {
    pub(crate) tensor: Id,
    /// The elements of the tensor in which it lies.
    pub(crate) elements: Range<usize>,
    /// How far behind the first of them it begins.
    pub(crate) offset: usize,
    pub(crate) stride: usize,
    /// Columns from the first number on lie the second further.
    pub(crate) gap: Option<(usize, usize)>,
}

impl Matrix {
    /// The elements of a tensor from `begin` on as `rows` rows of `stride`.
    pub(crate) fn rows_of(tensor: Id, begin: usize, rows: usize, stride: usize) -> Self {
        Self { tensor, elements: begin..begin + rows * stride, offset: 0, stride, gap: None }
    }

    /// The same from `elements` further on, such as from a column on.
    pub(crate) fn from(self, elements: usize) -> Self {
        Self { offset: self.offset + elements, ..self }
    }

    /// The same with a gap of `skip` before column `split`.
    pub(crate) fn with_gap(self, split: usize, skip: usize) -> Self {
        Self { gap: Some((split, skip)), ..self }
    }

    /// Where an element lies in the tensor.
    #[cfg(feature = "harness")]
    pub(crate) fn at(&self, row: usize, column: usize) -> usize {
        let gap = self.gap.filter(|&(split, _)| column >= split).map_or(0, |(_, skip)| skip);
        self.elements.start + self.offset + row * self.stride + column + gap
    }

    /// Whether every row can be loaded as `vec4`: begin, end and strides are multiples of four elements of the buffer.
    fn is_vec4(&self, tensors: &Tensors) -> bool {
        let phase = tensors.phase(self.tensor);
        let (split, skip) = self.gap.unwrap_or((0, 0));
        let sizes = [phase + self.elements.start + self.offset, phase + self.elements.end, self.stride, split, skip];
        sizes.iter().all(|size| size.is_multiple_of(4))
    }
}

/// A vector in a tensor, from an element on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Vector {
    pub(crate) tensor: Id,
    pub(crate) begin: usize,
}

/// c `[m, n]` (+)= op(a) `[m, k]` op(b) `[k, n]` + bias `[n]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Product {
    /// m, n, k.
    pub(crate) size: [usize; 3],
    pub(crate) a: Matrix,
    /// a is stored `[k, m]`.
    pub(crate) transpose_a: bool,
    pub(crate) b: Matrix,
    /// b is stored `[n, k]`.
    pub(crate) transpose_b: bool,
    pub(crate) bias: Option<Vector>,
    pub(crate) c: Matrix,
    /// Add to what c holds.
    pub(crate) accumulate: bool,
    /// Rows that are left out. Without a bias: one binding holds that or the words of the rows.
    pub(crate) rows: Option<RowsOfBatch>,
}

/// Of which rows of a batch the m rows of a product are, or with `transpose_a` the k's: those of step `first_step` from
/// row `first_row` on, and of the steps after it. Those that are over take no part; with `transpose_a` nor do those
/// before which an episode begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowsOfBatch {
    /// The lengths `[B]`, if there are any, and the starts of episodes, whole numbers.
    pub(crate) words: Id,
    pub(crate) has_lengths: bool,
    /// Where in `words` those begin, if the states before the steps are what is multiplied.
    pub(crate) starts: Option<usize>,
    /// The state before a step is that of the step with the next number.
    pub(crate) reverse: bool,
    pub(crate) first_step: usize,
    pub(crate) first_row: usize,
    /// B.
    pub(crate) batch: usize,
}

impl RowsOfBatch {
    /// The same so many rows further.
    pub(crate) fn further(self, rows: usize) -> Self {
        let row = self.first_row + rows;
        Self { first_step: self.first_step + row / self.batch, first_row: row % self.batch, ..self }
    }
}

/// A product and the kernel that computes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Matmul {
    pub(crate) product: Product,
    pub(crate) kernel: MatmulKernel,
    /// It loads four numbers at once.
    pub(crate) vec4: bool,
    /// Its slices meet in subgroups ([`MatmulKernel::FewRows`]).
    pub(crate) subgroups: bool,
    /// Its sums are taken in parts: then c is what a sum over these makes of them, an operation of its own.
    pub(crate) parts: Option<Parts>,
}

/// Parts `[parts, m, n]` of sums.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) parts: Id,
    /// Over which k's.
    pub(crate) range: Range<usize>,
    /// The terms of each.
    pub(crate) terms: usize,
}

impl Parts {
    pub(crate) fn count(&self) -> usize {
        self.range.len().div_ceil(self.terms)
    }
}

impl Matmul {
    pub(crate) fn new(product: Product, kernel: MatmulKernel, tensors: &Tensors, target: &Target) -> Self {
        let is_vec4 = |matrix: &Matrix| matrix.is_vec4(tensors);
        let vec4 = product.size[1].is_multiple_of(4) && [&product.a, &product.b, &product.c].into_iter().all(is_vec4);
        let subgroups = kernel == MatmulKernel::FewRows && vec4 && product.transpose_b && target.has_subgroups();
        Self { product, kernel, vec4, subgroups, parts: None }
    }

    /// The label of its kernel in the table.
    fn label(&self) -> &'static str {
        match (self.kernel, self.vec4) {
            (MatmulKernel::TiledLarge | MatmulKernel::Tiled, true) => "matmul_tiled",
            (MatmulKernel::TiledLarge | MatmulKernel::Tiled, false) => "matmul_tiled_scalar",
            (MatmulKernel::TiledSmall, true) => "matmul_small",
            (MatmulKernel::TiledSmall, false) => "matmul_small_scalar",
            (MatmulKernel::FewRows, true) if self.subgroups => "matmul_few_rows_subgroup",
            (MatmulKernel::FewRows, true) => "matmul_few_rows",
            (MatmulKernel::FewRows, false) => "matmul_few_rows_scalar",
            (MatmulKernel::Broadcast, true) => "matmul_broadcast",
            (MatmulKernel::Broadcast, false) => "matmul_broadcast_scalar",
            (MatmulKernel::Direct, true) => "matmul_direct",
            (MatmulKernel::Direct, false) => "matmul_direct_scalar",
            (MatmulKernel::Cooperative16 | MatmulKernel::Cooperative8, true) => "matmul_cooperative",
            (MatmulKernel::Cooperative16 | MatmulKernel::Cooperative8, false) => "matmul_cooperative_scalar",
        }
    }

    /// The rows of its sums, dispatch by dispatch: all of them at once, or ranges of those of a batch.
    pub(crate) fn ranges(&self) -> Vec<Range<usize>> {
        let k = self.product.size[2];
        if let Some(Parts { range, .. }) = &self.parts {
            return vec![range.clone()];
        }
        if self.product.transpose_a { ranges_of_rows(k).collect() } else { std::iter::once(0..k).collect() }
    }

    /// The sum of its parts, if it makes parts.
    fn sum_of_parts(&self) -> Option<SumRows> {
        let Product { size: [m, n, _], c, accumulate, .. } = &self.product;
        let parts = self.parts.as_ref()?;
        let (count, columns) = (parts.count(), m * n);
        Some(SumRows {
            input: Matrix::rows_of(parts.parts, 0, count, columns),
            size: [count, columns],
            total: Vector { tensor: c.tensor, begin: c.elements.start + c.offset },
            accumulate: *accumulate || parts.range.start > 0,
            root: false,
        })
    }
}

/// total `[columns]` (+)= the sum over the rows of input `[rows, columns]`; with `root` its square root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SumRows {
    pub(crate) input: Matrix,
    pub(crate) size: [usize; 2],
    pub(crate) total: Vector,
    pub(crate) accumulate: bool,
    pub(crate) root: bool,
}

/// Elements `[T, B, F]` in a tensor: element f of step t of row b lies `t strides[0] + b strides[1] + f` behind the
/// first; if `reversed`, with T - 1 - t in the place of t.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arrangement {
    pub(crate) tensor: Id,
    pub(crate) elements: Range<usize>,
    pub(crate) strides: [usize; 2],
    pub(crate) reversed: bool,
}

impl Arrangement {
    /// A whole tensor `[T, B, F]`, or `[B, T, F]` if batch-first.
    pub(crate) fn whole(tensor: Id, [steps, batch, width]: [usize; 3], batch_first: bool) -> Self {
        let strides = if batch_first { [width, steps * width] } else { [batch * width, width] };
        Self { tensor, elements: 0..steps * batch * width, strides, reversed: false }
    }

    /// The same with the last step first, if wanted.
    pub(crate) fn reversed(self, reversed: bool) -> Self {
        Self { reversed, ..self }
    }

    /// One step of rows `stride` apart, from an element of a tensor on.
    pub(crate) fn state(tensor: Id, begin: usize, batch: usize, stride: usize, width: usize) -> Self {
        Self { tensor, elements: begin..begin + (batch - 1) * stride + width, strides: [0, stride], reversed: false }
    }
}

/// Dropout between two layers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Dropout {
    /// Seed and count of forward passes.
    pub(crate) state: Id,
    pub(crate) layer: usize,
    /// The share of elements that become zero.
    pub(crate) rate: f32,
}

/// A copy of `[T, B, F]` into another arrangement.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Arrange {
    pub(crate) size: [usize; 3],
    pub(crate) source: Arrangement,
    pub(crate) destination: Arrangement,
    /// Zeros past the ends of the rows.
    pub(crate) lengths: Option<Id>,
    pub(crate) dropout: Option<Dropout>,
}

/// Rows `[rows, width]` from one place to another, of which the strides between rows count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MoveRows {
    pub(crate) rows: usize,
    pub(crate) width: usize,
    pub(crate) source: Arrangement,
    /// Whole numbers: row b of the destination is row `sources[b]`.
    pub(crate) sources: Option<Id>,
    /// Without sources: rows of length 0 become zero.
    pub(crate) lengths: Option<Id>,
    pub(crate) destination: Arrangement,
}

impl MoveRows {
    /// Whether rows can be moved four numbers at a time.
    pub(crate) fn is_vec4(&self, tensors: &Tensors) -> bool {
        let is_vec4 = |place: &Arrangement| {
            let phase = tensors.phase(place.tensor);
            [phase + place.elements.start, phase + place.elements.end, place.strides[1]]
                .iter()
                .all(|size| size.is_multiple_of(4))
        };
        self.width.is_multiple_of(4) && is_vec4(&self.source) && is_vec4(&self.destination)
    }
}

/// A copy of recurrent weights `[R, H]` for the steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pack {
    pub(crate) source: Id,
    pub(crate) packed: Id,
    /// R and H.
    pub(crate) size: [usize; 2],
    /// `[H, R]`, not in their own order.
    pub(crate) transposed: bool,
    /// As f16, two in a word. H is even.
    pub(crate) f16: bool,
}

/// Where episodes begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Episodes {
    /// `[T, B]`, words that are 0 where none begins. There is one more row of zeros behind it.
    pub(crate) starts: Id,
    /// Lengths and starts, and where in it the starts begin.
    pub(crate) words: Id,
    pub(crate) begin: usize,
}

/// One cell over a chunk of steps, and where its numbers lie.
///
/// The states of a layer lie in `h` `[S, B, DH]`, with those after step t at slot t + 1. A direction that runs forward
/// begins at slot 0, one that runs in reverse at slot T + 1.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CellSteps {
    pub(crate) cell: Cell,
    pub(crate) clip: Option<f32>,
    pub(crate) batch: usize,
    pub(crate) hidden: usize,
    /// Which cell this is of the whole network: its place in `d_h_n`, `d_h0` and `squares`.
    pub(crate) index: usize,
    pub(crate) reverse: bool,
    /// The steps of the chunk.
    pub(crate) steps: Range<usize>,
    /// `[GH, H]`, in its own order.
    pub(crate) weight_hh: Id,
    /// The same transposed, if the steps backward read it so.
    pub(crate) transposed: Option<Id>,
    /// Both hold two weights in a word.
    pub(crate) f16_weights: bool,
    pub(crate) bias_hh: Option<Id>,
    pub(crate) lengths: Option<Id>,
    pub(crate) episodes: Option<Episodes>,
    pub(crate) h: Id,
    /// DH, and in which column this direction's units begin.
    pub(crate) h_stride: usize,
    pub(crate) h_column: usize,
    /// `[.., B, W, H]`, the chunk's steps from the first on.
    pub(crate) gates: Id,
    /// W.
    pub(crate) gates_width: usize,
}

impl CellSteps {
    /// The step that the direction takes as number n of the chunk.
    pub(crate) fn nth(&self, n: usize) -> usize {
        if self.reverse { self.steps.end - 1 - n } else { self.steps.start + n }
    }

    /// The slots that hold the states before and after a step.
    pub(crate) fn slots(&self, t: usize) -> [usize; 2] {
        if self.reverse { [t + 2, t + 1] } else { [t, t + 1] }
    }

    /// The first slot of the chunk, and how many there are.
    fn slot_range(&self) -> Range<usize> {
        if self.reverse { self.steps.start + 1..self.steps.end + 2 } else { self.steps.start..self.steps.end + 1 }
    }

    /// The elements of h that the chunk needs.
    pub(crate) fn states(&self) -> (Id, Range<usize>) {
        let size = self.batch * self.h_stride;
        let slots = self.slot_range();
        (self.h, slots.start * size..slots.end * size)
    }

    /// Where the states before and after a step begin, in the elements of [`states`](Self::states).
    pub(crate) fn states_at(&self, t: usize) -> [u32; 2] {
        let first = self.slot_range().start;
        self.slots(t).map(|slot| ((slot - first) * self.batch * self.h_stride + self.h_column) as u32)
    }

    /// The elements of the gates of the chunk.
    pub(crate) fn chunk_gates(&self) -> (Id, Range<usize>) {
        (self.gates, 0..self.rows() * self.gates_width * self.hidden)
    }

    /// Where the gates of a step begin, counted from those of the chunk's first step.
    pub(crate) fn gates_at(&self, t: usize) -> u32 {
        ((t - self.steps.start) * self.batch * self.gates_width * self.hidden) as u32
    }

    /// The states before every step of the chunk as one matrix `[steps * B, H]`.
    pub(crate) fn h_before(&self) -> Matrix {
        let first = self.slots(self.steps.start)[0];
        let size = self.batch * self.h_stride;
        Matrix::rows_of(self.h, first * size, self.rows(), self.h_stride).from(self.h_column)
    }

    /// The gates of the chunk as one matrix `[steps * B, W * H]`.
    pub(crate) fn gates_matrix(&self) -> Matrix {
        Matrix::rows_of(self.gates, 0, self.rows(), self.gates_width * self.hidden)
    }

    /// Rows of the products: steps times B.
    pub(crate) fn rows(&self) -> usize {
        self.steps.len() * self.batch
    }

    /// Of which rows of the batch the rows of the chunk are, if they have lengths.
    pub(crate) fn row_lengths(&self) -> Option<RowsOfBatch> {
        let of = |words| RowsOfBatch { has_lengths: true, ..self.rows_of_batch(words) };
        self.lengths.map(of)
    }

    /// The same, without those before whose step an episode begins.
    pub(crate) fn rows_with_states(&self) -> Option<RowsOfBatch> {
        let Some(Episodes { words, begin, .. }) = self.episodes else { return self.row_lengths() };
        Some(RowsOfBatch { has_lengths: self.lengths.is_some(), starts: Some(begin), ..self.rows_of_batch(words) })
    }

    fn rows_of_batch(&self, words: Id) -> RowsOfBatch {
        let (first_step, batch, reverse) = (self.steps.start, self.batch, self.reverse);
        RowsOfBatch { words, has_lengths: false, starts: None, reverse, first_step, first_row: 0, batch }
    }

    /// Whether single steps load four weights at once: where they lie next to each other.
    pub(crate) fn is_vec4(&self, cut: TileCut, backward: bool) -> bool {
        self.hidden.is_multiple_of(4) && (!backward || !cut.software || cut.units == 4)
    }

    /// The sums of the gradients of its biases, cell `number` of those that take their steps together, if steps add them up:
    /// as many rows as there are sums, each with the numbers of a row of the gates that a bias has the gradient of. From
    /// element `begin` of a tensor on.
    pub(crate) fn sums_of_biases(
        &self,
        sums: Id,
        begin: usize,
        number: usize,
        time_loop: &TimeLoop,
    ) -> (Matrix, usize) {
        let rows = time_loop.sums_of_biases(self.steps.len()).unwrap_or_default() * self.batch;
        let width = gradients_of_biases(self.cell) * self.hidden;
        (Matrix::rows_of(sums, begin + number * rows * width, rows, width), rows)
    }

    /// FLOPs of the recurrent products of the chunk.
    fn flops(&self) -> u64 {
        flops(&[self.rows(), self.cell.gates() * self.hidden, self.hidden])
    }
}

/// The forward steps of a chunk of cells that take them together: layers of a wavefront, the directions of a layer, or
/// one cell alone. Their numbers lie in the same buffers, and their chunks are of one length.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Steps {
    /// At least one.
    pub(crate) cells: Vec<CellSteps>,
    pub(crate) time_loop: TimeLoop,
    /// By which workgroups exchange the operand, if they do.
    pub(crate) ring: Option<Id>,
    /// Leave in the gates what backward needs.
    pub(crate) save: bool,
}

/// The backward steps of a chunk of cells that take them together, in the opposite order, at whose end the product of
/// the last of them is added to `d_h0`: so chunks share nothing but that.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StepsBackward {
    /// At least one.
    pub(crate) cells: Vec<CellSteps>,
    pub(crate) time_loop: TimeLoop,
    pub(crate) ring: Option<Id>,
    pub(crate) seq_len: usize,
    /// The chunk with which backward begins: there d_h comes from `d_h_n`.
    pub(crate) is_first_chunk: bool,
    /// `[T, B, DH]` of each cell's layer.
    pub(crate) d_outputs: Vec<Id>,
    /// `[LD, B, H]`
    pub(crate) d_h_n: Id,
    /// `[LD, B, H]`
    pub(crate) d_h0: Id,
    /// What the steps add up, or, if nothing, something that is bound in its place: WGSL has no binding of nothing.
    pub(crate) sums: Id,
    /// Where in it the sums of squares of d_h begin, `[LD, workgroups, T]`, if norms are wanted.
    pub(crate) squares: Option<usize>,
    /// Where in it those of the gradients of the biases begin, `[cells, rows, numbers, H]`, if the steps add them up.
    pub(crate) biases: Option<usize>,
}

impl StepsBackward {
    /// Of both kernels, if there are two.
    pub(crate) fn workgroups(&self) -> [[u32; 3]; 2] {
        let any = &self.cells[0];
        let first = self.time_loop.workgroups(true, any.batch, any.hidden, self.cells.len());
        [first, self.time_loop.second_workgroups(any.batch, first)]
    }
}

impl Steps {
    /// Of both kernels, if there are two.
    pub(crate) fn workgroups(&self) -> [[u32; 3]; 2] {
        let any = &self.cells[0];
        let first = self.time_loop.workgroups(false, any.batch, any.hidden, self.cells.len());
        [first, self.time_loop.second_workgroups(any.batch, first)]
    }
}

/// The gates of a chunk from x_proj in `gates` and the product in `h_proj` `[rows, 3H]`. `pass` is 0 or, for reset
/// before the product, 0 and then 1.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RecomputeGates {
    pub(crate) steps: CellSteps,
    pub(crate) h_proj: Id,
    pub(crate) pass: u32,
}

/// The gates of a chunk to f16, or back: `[chunk, B, 2, H]` words of two.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct F16Gates {
    pub(crate) steps: CellSteps,
    pub(crate) f16: Id,
    /// From f16.
    pub(crate) unpack: bool,
}

/// One step of all layers, from the input to the new states.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Frame {
    pub(crate) cell: Cell,
    pub(crate) clip: Option<f32>,
    pub(crate) batch: usize,
    pub(crate) inputs: usize,
    pub(crate) hidden: usize,
    /// weight_ih and weight_hh, bias_ih and bias_hh of each layer: those of a kind lie evenly in one buffer.
    pub(crate) layers: Vec<([Id; 2], Option<[Id; 2]>)>,
    /// The recurrent weights count as rounded to f16.
    pub(crate) f16_weights: bool,
    /// `[B, I]`
    pub(crate) input: Id,
    /// The states before, `[L, B, H]`, and whether they lie in another buffer than those after.
    pub(crate) before: Id,
    pub(crate) before_is_apart: bool,
    /// The states after.
    pub(crate) state: Id,
    /// `[B, H]`, zero where a row rests.
    pub(crate) output: Id,
    /// Rows of length 0 rest.
    pub(crate) lengths: Option<Id>,
    /// Their state becomes zero.
    pub(crate) zero_empty_rows: bool,
    pub(crate) cut: FrameCut,
    /// Whether weight_ih, and weight_hh, is loaded four numbers at a time.
    pub(crate) vec4: [bool; 2],
}

impl Frame {
    /// How many numbers a layer reads of a row.
    pub(crate) fn width(&self, layer: usize) -> usize {
        if layer == 0 { self.inputs } else { self.hidden }
    }

    fn flops(&self) -> u64 {
        let units = self.cell.gates() * self.hidden;
        let of_layer = |layer: usize| flops(&[self.batch, units, self.width(layer) + self.hidden]);
        (0..self.layers.len()).map(of_layer).fold(0, u64::saturating_add)
    }
}

/// Rows of states from those that `sources` names, in all layers: row b of the gathered ones is row `sources[b]`, and zero
/// where that is no row. Then each row is its own source again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gather {
    pub(crate) layers: usize,
    pub(crate) rows: usize,
    pub(crate) width: usize,
    pub(crate) state: Id,
    pub(crate) sources: Id,
    pub(crate) gathered: Id,
    /// For a software rasteriser, where a barrier costs much: an invocation takes a whole row.
    pub(crate) software: bool,
}

/// One operation of a list.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Op {
    Matmul(Matmul),
    SumRows(SumRows),
    Arrange(Arrange),
    /// Rows and whether they go four numbers at a time.
    MoveRows(MoveRows, bool),
    /// Each of so many rows becomes its own source.
    Number {
        sources: Id,
        rows: usize,
    },
    /// One more forward pass in the state of dropout.
    Count {
        state: Id,
    },
    Pack(Pack),
    Steps(Steps),
    StepsBackward(StepsBackward),
    RecomputeGates(RecomputeGates),
    F16Gates(F16Gates),
    Frame(Frame),
    Gather(Gather),
}

impl Op {
    /// The kernels that compute it, by the labels of the table, with the number of dispatches of each.
    pub(crate) fn kernels(&self) -> Vec<(&'static str, u64)> {
        let one = |label: &'static str| vec![(label, 1)];
        match self {
            Self::Matmul(matmul) => {
                vec![(matmul.label(), matmul.ranges().len() as u64)]
            }
            Self::SumRows(_) => one("sum_rows"),
            Self::Arrange(_) => one("arrange"),
            Self::MoveRows(..) => one("move_rows"),
            Self::Number { .. } => one("number"),
            Self::Count { .. } => one("count"),
            Self::Pack(_) => one("pack"),
            Self::Steps(Steps { cells, time_loop, .. }) => {
                time_loop.kernels(cells[0].cell, cells[0].steps.len(), false)
            }
            Self::StepsBackward(StepsBackward { cells, time_loop, .. }) => {
                time_loop.kernels(cells[0].cell, cells[0].steps.len(), true)
            }
            Self::RecomputeGates(_) => one("gru_gates"),
            Self::Frame(frame) => one(FrameCut::label(frame.cell)),
            Self::Gather(_) => one("gather"),
            Self::F16Gates(F16Gates { unpack, .. }) => one(if *unpack { "gates_from_f16" } else { "f16_from_gates" }),
        }
    }

    /// How many dispatches it takes.
    pub(crate) fn dispatches(&self) -> u64 {
        self.kernels().iter().map(|(_, count)| count).sum()
    }

    /// The floating-point operations of its matrix products.
    pub(crate) fn flops(&self) -> u64 {
        let of_cells = |cells: &[CellSteps]| cells.iter().map(CellSteps::flops).fold(0, u64::saturating_add);
        match self {
            Self::Matmul(Matmul { product, parts, .. }) => {
                let [m, n, k] = product.size;
                flops(&[m, n, parts.as_ref().map_or(k, |parts| parts.range.len())])
            }
            Self::Steps(steps) => of_cells(&steps.cells),
            Self::StepsBackward(steps) => of_cells(&steps.cells),
            Self::Frame(frame) => frame.flops(),
            _ => 0,
        }
    }
}

/// Numbers of a unit that are the gradient of one of its biases: those of both biases of a gate are the same, but for the n of
/// a GRU whose reset gate acts after the product.
pub(crate) fn gradients_of_biases(cell: Cell) -> usize {
    match cell {
        Cell::Gru { reset: Reset::After, .. } => 4,
        Cell::Gru { reset: Reset::Before, .. } => 3,
        Cell::Rnn { .. } => 1,
    }
}

/// 2 times the sizes.
fn flops(sizes: &[usize]) -> u64 {
    sizes.iter().fold(2, |flops: u64, &size| flops.saturating_mul(size as u64))
}

/// Makes a list, and decides for each operation on the way in which form it is computed.
#[derive(Debug)]
pub(crate) struct Lister<'a> {
    tensors: &'a Tensors,
    target: &'a Target,
    /// All products have so few rows that these have a kernel of their own: see [`matmul::choose`].
    few_rows: bool,
    /// Products by cooperative matrices, where the device has them.
    f16_products: bool,
    list: Vec<Op>,
}

impl<'a> Lister<'a> {
    /// A list for products of so many rows in all.
    pub(crate) fn new(tensors: &'a Tensors, target: &'a Target, rows: usize) -> Self {
        let few_rows = rows <= matmul::FEW_ROWS;
        Self { tensors, target, few_rows, f16_products: false, list: Vec::new() }
    }

    /// The same with products by cooperative matrices, if `wanted`.
    pub(crate) fn with_f16_products(self, wanted: bool) -> Self {
        Self { f16_products: wanted, ..self }
    }

    pub(crate) fn matmul(&mut self, product: Product) {
        let kernel = self.kernel_of(&product, 1);
        self.push(Op::Matmul(Matmul::new(product, kernel, self.tensors, self.target)));
    }

    /// Gradients of weights, which are sums over many rows, with room for their parts where there is any. What is summed in
    /// parts has no barrier between the products of one and of the next, since they write to different buffers.
    pub(crate) fn sums_over_rows(&mut self, products: impl IntoIterator<Item = (Product, Option<Id>)>) {
        let (mut all, mut sums) = (Vec::new(), Vec::new());
        for (product, room) in products {
            let made = self.in_parts(product, room);
            // The next range of rows takes the room of the one before.
            let takes_turns = made.len() > 1;
            for matmul in made {
                let sum = matmul.sum_of_parts().map(Op::SumRows);
                all.push(Op::Matmul(matmul));
                if takes_turns { all.extend(sum) } else { sums.extend(sum) }
            }
        }
        self.list.extend(all.into_iter().chain(sums));
    }

    /// A product as it stands, or as its parts, range by range.
    fn in_parts(&self, product: Product, room: Option<Id>) -> Vec<Matmul> {
        let [_, n, k] = product.size;
        let can_have_parts =
            product.transpose_a && product.bias.is_none() && product.c.stride == n && !self.f16_products;
        let room = room
            .filter(|_| can_have_parts)
            .and_then(|parts| Some((parts, matmul::InParts::of(product.size, self.target)?)));
        let kernel = self.kernel_of(&product, room.map_or(1, |(_, of)| of.at_once));
        let whole = Matmul::new(product, kernel, self.tensors, self.target);
        let Some((parts, of)) = room.filter(|_| kernel.can_have_parts()) else { return vec![whole] };
        let matmul = |range| Matmul { parts: Some(Parts { parts, range, terms: of.terms }), ..whole.clone() };
        of.ranges(k).map(matmul).collect()
    }

    fn kernel_of(&self, product: &Product, parts: usize) -> MatmulKernel {
        let [m, n, k] = product.size;
        let is_long = product.transpose_a && matmul::is_long(k) && parts == 1;
        let adds_long_sums = is_long && (product.accumulate || ranges_of_rows(k).len() > 1);
        matmul::choose([m, n], self.few_rows, self.f16_products, parts, adds_long_sums, self.target)
    }

    pub(crate) fn move_rows(&mut self, rows: MoveRows) {
        let vec4 = rows.is_vec4(self.tensors);
        self.list.push(Op::MoveRows(rows, vec4));
    }

    pub(crate) fn push(&mut self, op: Op) {
        self.list.push(op);
    }

    pub(crate) fn done(self) -> Vec<Op> {
        self.list
    }
}
