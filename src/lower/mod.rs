//! From an operation to dispatches: which kernel of the table, its uniform, overrides, bindings, number of workgroups.
//!
//! Nothing is chosen here that depends on sizes or on the device: that stands in the operation (`plan::ops`).

mod backward;
mod copies;
mod forward;
mod frame;
mod matmul;
mod steps;
mod sums;

pub(crate) use sums::{COLUMN_LANES, element_workgroups, reduction_workgroups, sum_squares};

use crate::activation::Activation;
use crate::error::Result;
use crate::gpu::{Gpu, Program, ProgramBuilder, Tensor, View};
use crate::plan::ops::{Matrix, Op, Vector};
use crate::plan::tensors::Id;

/// A list of overrides, in the order of the table.
type Overrides = Vec<(&'static str, f64)>;

/// The program of a list of operations.
pub(crate) fn program(gpu: &Gpu, label: &'static str, tensors: &[Tensor], list: &[Op]) -> Result<Program> {
    lowered(gpu, label, tensors, list).build()
}

/// The same before it is built: its pipelines are under way, so another one can be lowered meanwhile.
pub(crate) fn lowered<'a>(gpu: &'a Gpu, label: &'static str, tensors: &'a [Tensor], list: &[Op]) -> ProgramBuilder<'a> {
    let mut builder = ProgramBuilder::new(gpu, label);
    list.iter().for_each(|op| lower(&mut builder, tensors, op));
    builder
}

/// Adds the dispatches of an operation on these tensors, by their numbers.
pub(crate) fn lower<'a>(builder: &mut ProgramBuilder<'a>, tensors: &'a [Tensor], op: &Op) {
    let on = On(tensors);
    match op {
        Op::Matmul(args) => matmul::matmul(builder, on, args),
        Op::SumRows(args) => sums::sum_rows(builder, on, args),
        Op::Arrange(args) => copies::arrange(builder, on, args),
        Op::MoveRows(args, vec4) => copies::move_rows(builder, on, args, *vec4),
        &Op::Number { sources, rows } => copies::number(builder, on.whole(sources).0, rows),
        &Op::Count { state } => copies::count(builder, on.whole(state).0),
        Op::Pack(args) => copies::pack(builder, on, args),
        Op::Steps(args) => forward::steps(builder, on, args),
        Op::StepsBackward(args) => backward::steps(builder, on, args),
        Op::RecomputeGates(args) => backward::gru_gates(builder, on, args),
        Op::F16Gates(args) => copies::f16_gates(builder, on, args),
        Op::Frame(args) => frame::frame(builder, on, args),
        Op::Gather(args) => frame::gather(builder, on, args),
    }
}

/// The tensors that operations name by number.
#[derive(Debug, Clone, Copy)]
struct On<'a>(&'a [Tensor]);

impl<'a> On<'a> {
    fn tensor(self, id: Id) -> &'a Tensor {
        &self.0[id.index()]
    }

    /// A binding of a whole tensor, and how many elements of it come before the tensor.
    fn whole(self, id: Id) -> (View<'a>, u32) {
        self.tensor(id).view()
    }

    /// A binding of the elements of a matrix, and how many elements of it come before the matrix.
    fn matrix(self, matrix: &Matrix) -> (View<'a>, u32) {
        let (view, before) = self.tensor(matrix.tensor).view_of(matrix.elements.clone());
        (view, before + matrix.offset as u32)
    }

    /// The same of a vector.
    fn vector(self, vector: Vector) -> (View<'a>, u32) {
        let tensor = self.tensor(vector.tensor);
        tensor.view_of(vector.begin..tensor.len())
    }
}

/// The gap of a matrix as kernels take it.
fn split_and_skip(matrix: &Matrix) -> [u32; 2] {
    matrix.gap.map_or([u32::MAX, 0], |(split, skip)| [split as u32, skip as u32])
}

/// So many workgroups in rows of at most as many as a grid may have.
pub(crate) fn grid(builder: &ProgramBuilder<'_>, workgroups: u32) -> [u32; 2] {
    let x = workgroups.min(builder.gpu().limits().max_compute_workgroups_per_dimension.max(1));
    [x, workgroups.div_ceil(x)]
}

/// The three overrides of an activation.
fn activation(names: [&'static str; 3], activation: Activation) -> Overrides {
    let [alpha, beta] = activation.parameters().map(f64::from);
    names.into_iter().zip([f64::from(activation.code()), alpha, beta]).collect()
}

/// The two overrides of the clip.
fn clip(clip: Option<f32>) -> Overrides {
    vec![("HAS_CLIP", f64::from(clip.is_some())), ("CLIP", clip.map_or(0.0, f64::from))]
}
