//! Copies: into another arrangement, of rows of states, of weights and gates in another format; and counters.

use super::{On, grid};
use crate::gpu::{ProgramBuilder, View};
use crate::kernels::{
    ARRANGE, Arrange, ArrangeParams, COUNT, Count, CountParams, F16_FROM_GATES, GATES_FROM_F16, GatesF16,
    GatesF16Params, MOVE_ROWS, MOVE_ROWS_SCALAR, MoveRows, MoveRowsParams, NUMBER, Number, NumberParams, PACK,
    PACK_F16, Pack, PackParams,
};
use crate::plan::ops::{self, Arrangement};

/// Under which random number of 32 bits an element is dropped, and what the others are multiplied by.
pub(crate) fn dropout_constants(rate: f32) -> (u32, f32) {
    ((f64::from(rate) * 4_294_967_296.0) as u32, 1.0 / (1.0 - rate))
}

/// A binding of the elements, and how many elements of it come before them.
fn arrangement<'a>(on: On<'a>, place: &Arrangement) -> (View<'a>, u32) {
    on.tensor(place.tensor).view_of(place.elements.clone())
}

/// Where the first step lies and the strides, modulo 2^32.
fn steps_from(place: &Arrangement, offset: u32, steps: u32) -> (u32, [u32; 2]) {
    let [stride_t, stride_b] = place.strides.map(|stride| stride as u32);
    if place.reversed {
        (offset + (steps - 1) * stride_t, [stride_t.wrapping_neg(), stride_b])
    } else {
        (offset, [stride_t, stride_b])
    }
}

pub(super) fn arrange<'a>(builder: &mut ProgramBuilder<'a>, on: On<'a>, args: &ops::Arrange) {
    let ((source, source_offset), (destination, destination_offset)) =
        (arrangement(on, &args.source), arrangement(on, &args.destination));
    let [steps, batch, width] = args.size.map(|size| size as u32);
    let (source_offset, [source_stride_t, source_stride_b]) = steps_from(&args.source, source_offset, steps);
    let (destination_offset, [destination_stride_t, destination_stride_b]) =
        steps_from(&args.destination, destination_offset, steps);
    let (threshold, keep_scale) = dropout_constants(args.dropout.map_or(0.0, |dropout| dropout.rate));
    let params = ArrangeParams {
        steps,
        batch,
        width,
        source_offset,
        source_stride_t,
        source_stride_b,
        destination_offset,
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
        source,
        // Something must be bound; what is not there is not read.
        lengths: args.lengths.map_or(source, |lengths| on.whole(lengths).0),
        dropout: args.dropout.map_or(source, |dropout| on.whole(dropout.state).0),
        destination,
    };
    let rows = steps * batch;
    let y = rows.min(builder.gpu().limits().max_compute_workgroups_per_dimension.max(1));
    builder.once(kernel, &params, storage.storage(), [width.div_ceil(64), y, rows.div_ceil(y)]);
}

pub(super) fn move_rows<'a>(builder: &mut ProgramBuilder<'a>, on: On<'a>, args: &ops::MoveRows, vec4: bool) {
    let ((source, source_offset), (destination, destination_offset)) =
        (arrangement(on, &args.source), arrangement(on, &args.destination));
    let (spec, item) = if vec4 { (&MOVE_ROWS, 4) } else { (&MOVE_ROWS_SCALAR, 1) };
    let [source_stride, destination_stride] =
        [&args.source, &args.destination].map(|place| (place.strides[1] / item) as u32);
    let width = args.width / item;
    let [x, y] = grid(builder, (args.rows * width).div_ceil(256) as u32);
    let params = MoveRowsParams {
        rows: args.rows as u32,
        width: width as u32,
        source_offset: source_offset / item as u32,
        source_stride,
        destination_offset: destination_offset / item as u32,
        destination_stride,
        workgroups: x,
    };
    // Something must be bound; without HAS_SOURCES it is not read.
    let sources = args.sources.map_or(source, |sources| on.whole(sources).0);
    let kernel = builder.gpu().kernel(spec, &[("HAS_SOURCES", f64::from(args.sources.is_some()))]);
    builder.once(kernel, &params, MoveRows { source, sources, destination }.storage(), [x, y, 1]);
}

/// Each row becomes its own source.
pub(super) fn number<'a>(builder: &mut ProgramBuilder<'a>, sources: View<'a>, rows: usize) {
    let [x, y] = grid(builder, rows.div_ceil(256) as u32);
    let params = NumberParams { len: rows as u32, workgroups: x };
    let kernel = builder.gpu().kernel(&NUMBER, &[]);
    builder.once(kernel, &params, Number { sources }.storage(), [x, y, 1]);
}

/// Counts one more forward pass.
pub(super) fn count<'a>(builder: &mut ProgramBuilder<'a>, counter: View<'a>) {
    let kernel = builder.gpu().kernel(&COUNT, &[]);
    builder.once(kernel, &CountParams { by: 1 }, Count { counter }.storage(), [1, 1, 1]);
}

/// Recurrent weights as the steps read them.
pub(super) fn pack<'a>(builder: &mut ProgramBuilder<'a>, on: On<'a>, args: &ops::Pack) {
    let ((source, source_offset), (packed, packed_offset)) = (on.whole(args.source), on.whole(args.packed));
    let [rows, columns] = args.size;
    let words = rows * columns / if args.f16 { 2 } else { 1 };
    let [x, y] = grid(builder, words.div_ceil(256) as u32);
    let params = PackParams {
        rows: rows as u32,
        columns: columns as u32,
        source_offset,
        packed_offset,
        transposed: u32::from(args.transposed),
        workgroups: x,
    };
    let kernel = builder.gpu().kernel(if args.f16 { &PACK_F16 } else { &PACK }, &[]);
    builder.once(kernel, &params, Pack { source, packed }.storage(), [x, y, 1]);
}

/// The gates of a chunk to f16, or back.
pub(super) fn f16_gates<'a>(builder: &mut ProgramBuilder<'a>, on: On<'a>, args: &ops::F16Gates) {
    let ((gates, gates_offset), (packed, before)) = (on.matrix(&args.steps.gates_matrix()), on.whole(args.f16));
    debug_assert_eq!(before, 0, "f16 gates begin where their buffer does");
    let [rows, hidden] = [args.steps.rows(), args.steps.hidden].map(|size| size as u32);
    let params = GatesF16Params { rows, hidden, gates_offset };
    let kernel = builder.gpu().kernel(if args.unpack { &GATES_FROM_F16 } else { &F16_FROM_GATES }, &[]);
    builder.once(kernel, &params, GatesF16 { gates, packed }.storage(), [hidden.div_ceil(8), rows.div_ceil(8), 1]);
}
