// Single steps, for what neither rows nor exchange take: a dispatch makes one step. Here is how the work is divided;
// shared/sequence.wgsl has what is the same however it is.
//
// A workgroup owns ROWS rows of the batch and COLUMNS units, which it multiplies as one tile: shared/tile.wgsl.
// workgroups: (ceil(B / ROWS), ceil(H / COLUMNS), cells), so that those which read the same weights follow each other.
//
// Departures from the plain loops of the twins, in all of these kernels:
// 1. Weights are read once for all rows of a workgroup, by neighbours next to each other: backward from a copy of
//    weight_hh that is transposed.
// 2. The operand comes slab by slab into workgroup memory. With SOFTWARE there is none: a software rasteriser suspends
//    every invocation of a workgroup at each barrier. There an invocation has UNITS units by itself, and where
//    subgroups have 8 invocations each loads the operand of some rows, which go round by broadcasts.
// 3. A step backward begins with the product of the step after, since that needs all units of it. So one more product
//    ends each chunk: a dispatch without a step.
// 4. Where the reset gate acts before the product, what it is multiplied with needs all units, too: two dispatches a
//    step. Forward the first makes r and r * h, backward the second makes d_ar.
// 5. Rows past the batch read its last row, units past H the last unit; neither is stored.
// 6. One text does for every H: HIDDEN is a variable.

var<private> HIDDEN: u32;
// Sums of squares of d_h of a row and a step.
var<private> NORMS: u32;

fn begin_kernel() {
    HIDDEN = params.hidden;
    NORMS = (params.hidden + COLUMNS - 1u) / COLUMNS;
}

// The row of the batch that is row `local_row` of the workgroup.
fn row_of(workgroup: vec3<u32>, local_row: u32) -> u32 {
    return min(workgroup.y * ROWS + local_row, params.batch - 1u);
}

// Forward: where the state of a row begins before the step; with the highest bit if it is cut off.
fn begin_of_state(cell: u32, row: u32) -> u32 {
    let begin = step_offsets(cell, 0u).before + row * params.h_stride;
    return select(begin, begin | 0x80000000u, is_row_cut(cell, row, 0u));
}

fn state_at(begin: u32, k: u32) -> f32 {
    if STARTS == 0u {
        return h[begin + k];
    }
    return select(h[(begin & 0x7fffffffu) + k], 0.0, begin >= 0x80000000u);
}

// Element k of the operand of an item's row: the next dispatch finds it where it is stored anyhow, except for r * h.
fn put(item: Item, half: u32, k: u32, value: f32) {
#ifdef FORWARD_RESET
    if half == 1u && !is_over(item, 0u) {
        gates[gate_index(item, 0u) + 3u * HIDDEN] = value;
    }
#endif
}
