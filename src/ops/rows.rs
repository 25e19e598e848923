//! Rows of states that go into their slot or out of it, begin anew, or go on from others.

use super::Arrangement;
use crate::gpu::{ProgramBuilder, View};
use crate::kernels::{MOVE_ROWS, MOVE_ROWS_SCALAR, MoveRows, MoveRowsParams, NUMBER, Number, NumberParams};

/// Rows `[rows, width]` from one place to another, of which the strides between rows count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MoveRowsArgs<'a> {
    pub(crate) rows: usize,
    pub(crate) width: usize,
    pub(crate) source: Arrangement<'a>,
    /// Whole numbers: row b of the destination is row `sources[b]`.
    pub(crate) sources: Option<View<'a>>,
    pub(crate) destination: Arrangement<'a>,
}

pub(crate) fn move_rows<'a>(builder: &mut ProgramBuilder<'a>, args: MoveRowsArgs<'a>) {
    let places = [args.source, args.destination];
    let offsets = places.map(|place| place.offset as usize);
    let strides = places.map(|place| place.strides[1]);
    let ends_whole = places.iter().all(|place| place.view.size.is_multiple_of(16));
    let by_fours = ends_whole && [args.width].iter().chain(&offsets).chain(&strides).all(|size| size.is_multiple_of(4));
    let (spec, item) = if by_fours { (&MOVE_ROWS, 4) } else { (&MOVE_ROWS_SCALAR, 1) };
    let [source_offset, destination_offset] = offsets.map(|offset| (offset / item) as u32);
    let [source_stride, destination_stride] = strides.map(|stride| (stride / item) as u32);
    let width = args.width / item;
    let [x, y] = grid(builder, (args.rows * width).div_ceil(256) as u32);
    let params = MoveRowsParams {
        rows: args.rows as u32,
        width: width as u32,
        source_offset,
        source_stride,
        destination_offset,
        destination_stride,
        workgroups: x,
    };
    // Something must be bound; without HAS_SOURCES it is not read.
    let sources = args.sources.unwrap_or(args.source.view);
    let storage = MoveRows { source: args.source.view, sources, destination: args.destination.view };
    let kernel = builder.gpu().kernel(spec, &[("HAS_SOURCES", f64::from(args.sources.is_some()))]);
    builder.once(kernel, &params, storage.storage(), [x, y, 1]);
}

/// Each row is its own source.
pub(crate) fn number<'a>(builder: &mut ProgramBuilder<'a>, sources: View<'a>, rows: usize) {
    let [x, y] = grid(builder, rows.div_ceil(256) as u32);
    let params = NumberParams { len: rows as u32, workgroups: x };
    let kernel = builder.gpu().kernel(&NUMBER, &[]);
    builder.once(kernel, &params, Number { sources }.storage(), [x, y, 1]);
}

/// So many workgroups in rows of at most as many as a grid may have.
pub(super) fn grid(builder: &ProgramBuilder<'_>, workgroups: u32) -> [u32; 2] {
    let x = workgroups.min(builder.gpu().limits().max_compute_workgroups_per_dimension.max(1));
    [x, workgroups.div_ceil(x)]
}
