// What the steps forward share: which step, and where its numbers lie. Offsets and strides are in elements of the binding.

struct StepParams {
    // The step of the sequence, to be compared with the lengths.
    t: u32,
    batch: u32,
    hidden: u32,
    // From one row's state to the next row's.
    h_stride: u32,
    // The states before and after the step.
    h_before: u32,
    h_after: u32,
    // The gates of the step.
    gates_offset: u32,
}

override LANES: u32;
// Rows of the batch that an invocation owns: 1 or 4.
override ROWS: u32;
override HAS_BIAS: bool;
// Rows have lengths: past its end a row keeps its state.
override HAS_LENGTHS: bool;

@group(0) @binding(0) var<uniform> params: StepParams;
@group(0) @binding(1) var<storage, read> weight_hh: array<f32>;
// Not read without HAS_BIAS.
@group(0) @binding(2) var<storage, read> bias_hh: array<f32>;
// Not read without HAS_LENGTHS.
@group(0) @binding(3) var<storage, read> lengths: array<u32>;
@group(0) @binding(4) var<storage, read_write> h: array<f32>;
@group(0) @binding(5) var<storage, read_write> gates: array<f32>;

fn bias_of(index: u32) -> f32 {
    if HAS_BIAS {
        return bias_hh[index];
    }
    return 0.0;
}

// Whether the sequence of a row is over before this step.
fn is_over(row: u32) -> bool {
    if HAS_LENGTHS {
        return params.t >= lengths[row];
    }
    return false;
}

// Whether that is so for all rows that an invocation owns: then there is nothing to multiply.
fn all_over(row: u32) -> bool {
    if HAS_LENGTHS {
        var over = is_over(row);
        for (var i = 1u; i < ROWS; i++) {
            over = over && (row + i >= params.batch || is_over(row + i));
        }
        return over;
    }
    return false;
}

// Where the states of the ROWS rows from `row` on begin; past the batch the last row.
fn state_rows(row: u32) -> vec4<u32> {
    let rows = min(vec4<u32>(row, row + 1u, row + 2u, row + 3u), vec4<u32>(params.batch - 1u));
    return params.h_before + rows * params.h_stride;
}

// Unit k of the states of these rows, one component a row.
fn states(rows: vec4<u32>, k: u32) -> vec4<f32> {
    if ROWS > 1u {
        return vec4<f32>(h[rows.x + k], h[rows.y + k], h[rows.z + k], h[rows.w + k]);
    }
    return vec4<f32>(h[rows.x + k], 0.0, 0.0, 0.0);
}

// One of four numbers, without indexing registers.
fn pick(values: vec4<f32>, i: u32) -> f32 {
    return select(select(values.x, values.y, i == 1u), select(values.z, values.w, i == 3u), i > 1u);
}

// How many of the ROWS rows from `row` on there are. A loop over them has no fixed length and is not unrolled: so what ends
// a step is compiled once.
fn rows_from(row: u32) -> u32 {
    return min(ROWS, params.batch - row);
}
