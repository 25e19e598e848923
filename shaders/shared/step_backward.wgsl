// What the steps backward share: which step, where its numbers lie, and the recurrent part of d_h. Offsets and strides are
// in elements of the binding.

struct StepBackwardParams {
    // The step of the sequence, to be compared with the lengths.
    t: u32,
    batch: u32,
    hidden: u32,
    // From one row's state to the next row's.
    h_stride: u32,
    // The states before and after the step.
    h_before: u32,
    h_after: u32,
    // The gates of the step, and of the step that came after it.
    gates_offset: u32,
    gates_after: u32,
    // The gradient of the output at the step, and from one row's to the next row's.
    d_output_offset: u32,
    d_output_stride: u32,
    // The first row's gradients of the last and of the first state.
    d_h_n_offset: u32,
    d_h0_offset: u32,
    // 1: d_h comes from d_h_n. 0: from what the step after left in d_h0.
    from_d_h_n: u32,
    // 1: the step after has gradients at gates_after, whose recurrent product is added.
    has_product: u32,
    // 1: there is nothing but that product: d_h0 is what comes of it.
    is_final: u32,
    // Where the sums of squares of d_h go, one a workgroup, and from one workgroup's to the next one's.
    norms_offset: u32,
    norms_stride: u32,
}

override LANES: u32;
// Rows of the batch that an invocation owns: 1 or 4.
override ROWS: u32;
// Units that an invocation owns: 1 or 4.
override UNITS: u32;
// Rows have lengths: past its end a row has no gradients.
override HAS_LENGTHS: bool;
// Sum up the squares of d_h.
override HAS_NORMS: bool;

@group(0) @binding(0) var<uniform> params: StepBackwardParams;
@group(0) @binding(1) var<storage, read> weight_hh: array<f32>;
@group(0) @binding(2) var<storage, read> h: array<f32>;
// Not read without HAS_LENGTHS.
@group(0) @binding(3) var<storage, read> lengths: array<u32>;
@group(0) @binding(4) var<storage, read> d_output: array<f32>;
@group(0) @binding(5) var<storage, read> d_h_n: array<f32>;
@group(0) @binding(6) var<storage, read_write> gates: array<f32>;
@group(0) @binding(7) var<storage, read_write> d_h0: array<f32>;
// Not written without HAS_NORMS.
@group(0) @binding(8) var<storage, read_write> norms: array<f32>;

var<workgroup> squares: array<f32, LANES>;

// Whether the sequence of a row is over before this step.
fn is_over(row: u32) -> bool {
    if HAS_LENGTHS {
        return params.t >= lengths[row];
    }
    return false;
}

// Where the ROWS rows from `row` on begin in gates of `width` numbers a row; past the batch the last row.
fn gate_rows(begin: u32, row: u32, width: u32) -> vec4<u32> {
    let rows = min(vec4<u32>(row, row + 1u, row + 2u, row + 3u), vec4<u32>(params.batch - 1u));
    return begin + rows * width;
}

// sums[u][r] += sum over k of d_proj[row r, column + k] * weight_hh[weight + k, unit u]: a block of H rows of weight_hh.
fn add_product(sums: ptr<function, array<vec4<f32>, 4>>, rows: vec4<u32>, column: u32, weight: u32, unit: u32) {
    let hidden = params.hidden;
    let units = min(
        vec4<u32>(unit, unit + LANES, unit + LANES * 2u, unit + LANES * 3u),
        vec4<u32>(hidden - 1u),
    );
    let first = rows + column;
    var sum0 = (*sums)[0];
    var sum1 = (*sums)[1];
    var sum2 = (*sums)[2];
    var sum3 = (*sums)[3];
    for (var k = 0u; k < hidden; k++) {
        var d_proj = vec4<f32>(gates[first.x + k], 0.0, 0.0, 0.0);
        if ROWS > 1u {
            d_proj = vec4<f32>(d_proj.x, gates[first.y + k], gates[first.z + k], gates[first.w + k]);
        }
        let weight_row = (weight + k) * hidden;
        sum0 += weight_hh[weight_row + units.x] * d_proj;
        if UNITS > 1u {
            sum1 += weight_hh[weight_row + units.y] * d_proj;
            sum2 += weight_hh[weight_row + units.z] * d_proj;
            sum3 += weight_hh[weight_row + units.w] * d_proj;
        }
    }
    *sums = array<vec4<f32>, 4>(sum0, sum1, sum2, sum3);
}

// One of four numbers, without indexing registers.
fn pick(values: vec4<f32>, i: u32) -> f32 {
    return select(select(values.x, values.y, i == 1u), select(values.z, values.w, i == 3u), i > 1u);
}

fn pick_row(sums: array<vec4<f32>, 4>, i: u32) -> vec4<f32> {
    if UNITS == 1u {
        return sums[0];
    }
    return select(select(sums[0], sums[1], i == 1u), select(sums[2], sums[3], i == 3u), i > 1u);
}

// Takes each number of a block of UNITS units by ROWS rows through `finish` of the kernel, and gives the sum of what comes
// out. The loops end where the layer does: so they have no fixed length and are not unrolled, and `finish` is compiled once.
fn finish_block(row: u32, unit: u32, sums: array<vec4<f32>, 4>) -> f32 {
    var total = 0.0;
    let rows = min(ROWS, params.batch - row);
    let units = min(UNITS, (params.hidden - unit + LANES - 1u) / LANES);
    for (var u = 0u; u < units; u++) {
        let of_unit = pick_row(sums, u);
        for (var r = 0u; r < rows; r++) {
            total += finish(row + r, unit + u * LANES, pick(of_unit, r));
        }
    }
    return total;
}

// (9): d_h' of one number from what the step after left and the recurrent product; without d_output.
fn d_state(row: u32, unit: u32, recurrent: f32) -> f32 {
    let own = row * params.hidden + unit;
    var d_h = 0.0;
    if params.from_d_h_n != 0u {
        d_h = d_h_n[params.d_h_n_offset + own];
    } else {
        d_h = d_h0[params.d_h0_offset + own];
    }
    return d_h + recurrent;
}

fn store_d_state(row: u32, unit: u32, d_h: f32) {
    d_h0[params.d_h0_offset + row * params.hidden + unit] = d_h;
}

fn d_output_of(row: u32, unit: u32) -> f32 {
    return d_output[params.d_output_offset + row * params.d_output_stride + unit];
}

// The sum of the squares of d_h of a workgroup. Must be reached by all of its invocations.
fn store_norm(workgroup: vec2<u32>, groups: u32, lane: u32, total: f32) {
    if HAS_NORMS && params.is_final == 0u {
        squares[lane] = total;
        workgroupBarrier();
        if lane == 0u {
            var sum = 0.0;
            for (var i = 0u; i < LANES; i++) {
                sum += squares[i];
            }
            norms[params.norms_offset + (workgroup.y * groups + workgroup.x) * params.norms_stride] = sum;
        }
    }
}
