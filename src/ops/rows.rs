//! Rows of a stream that begin anew or go on from others.

use super::Arrangement;
use crate::gpu::{ProgramBuilder, Tensor, View};
use crate::kernels::{GATHER, Gather, GatherParams, NUMBER, Number, NumberParams};

/// Rows `[rows, width]` of `source`, from an element on: row b of the destination is row `sources[b]` of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GatherArgs<'a> {
    pub(crate) rows: usize,
    pub(crate) width: usize,
    pub(crate) source: (&'a Tensor, usize),
    /// Whole numbers.
    pub(crate) sources: View<'a>,
    pub(crate) destination: Arrangement<'a>,
}

pub(crate) fn gather<'a>(builder: &mut ProgramBuilder<'a>, args: GatherArgs<'a>) {
    let [x, y] = grid(builder, args.rows * args.width);
    let (tensor, begin) = args.source;
    let (source, source_offset) = tensor.view_of(begin..begin + args.rows * args.width);
    let params = GatherParams {
        rows: args.rows as u32,
        width: args.width as u32,
        source_offset,
        destination_offset: args.destination.offset,
        destination_stride: args.destination.strides[1] as u32,
        workgroups: x,
    };
    let storage = Gather { source, sources: args.sources, destination: args.destination.view };
    let kernel = builder.gpu().kernel(&GATHER, &[]);
    builder.once(kernel, &params, storage.storage(), [x, y, 1]);
}

/// Each row is its own source.
pub(crate) fn number<'a>(builder: &mut ProgramBuilder<'a>, sources: View<'a>, rows: usize) {
    let [x, y] = grid(builder, rows);
    let params = NumberParams { len: rows as u32, workgroups: x };
    let kernel = builder.gpu().kernel(&NUMBER, &[]);
    builder.once(kernel, &params, Number { sources }.storage(), [x, y, 1]);
}

/// Workgroups of 256 for so many elements.
fn grid(builder: &ProgramBuilder<'_>, elements: usize) -> [u32; 2] {
    let workgroups = elements.div_ceil(256) as u32;
    let x = workgroups.min(builder.gpu().limits().max_compute_workgroups_per_dimension);
    [x, workgroups.div_ceil(x)]
}
