// What the steps backward share. Offsets and strides are in elements of the binding. Division of work:
// shared/walk.wgsl.
//
// A lane owns four neighbouring units. workgroups: (ceil(H / (4 LANES)) or, for many steps, 1; ceil(B / ROWS); cells).

struct StepBackwardParams {
    // The number of steps; B and H.
    steps: u32,
    batch: u32,
    hidden: u32,
    // From one row's state, or gradient of the output, to the next row's.
    h_stride: u32,
    // 1: at the first step d_h comes from d_h_n. 0: from what the step after left in d_h0.
    from_d_h_n: u32,
    // 1: there is a step after the first one in time, whose gradients make the first recurrent product.
    has_product: u32,
    // 1: one more product follows the steps, which makes d_h0.
    has_final: u32,
    // From one workgroup's sums of squares of d_h to the next's.
    norms_stride: u32,

    // The first cell: its first step, for comparison with the lengths; -1, or 1 if it runs in reverse.
    t: u32,
    direction: u32,
    // The states before and after the first step, its gates, and the gradient of its output.
    h_before: u32,
    h_after: u32,
    gates_offset: u32,
    d_output_offset: u32,
    // The first row's gradients of the last and of the first state.
    d_h_n_offset: u32,
    d_h0_offset: u32,
    // Its weight_hh.
    weights_offset: u32,
    // Where its sums of squares of d_h go, one per workgroup.
    norms_offset: u32,

    // The difference of each from one cell to the next, modulo 2^32.
    next_t: u32,
    next_direction: u32,
    next_h_before: u32,
    next_h_after: u32,
    next_gates: u32,
    next_d_output: u32,
    next_d_h_n: u32,
    next_d_h0: u32,
    next_weights: u32,
    next_norms: u32,
}

// Sum the squares of d_h.
override HAS_NORMS: bool;

@group(0) @binding(0) var<uniform> params: StepBackwardParams;
@group(0) @binding(5) var<storage, read> d_output: array<f32>;
@group(0) @binding(6) var<storage, read> d_h_n: array<f32>;
@group(0) @binding(7) var<storage, read_write> d_h0: array<f32>;
// Not written without HAS_NORMS.
@group(0) @binding(8) var<storage, read_write> norms: array<f32>;

// One step of a cell: where its numbers lie.
struct StepOffsets {
    t: u32,
    before: u32,
    after: u32,
    gates: u32,
    // The step after it, and its gates.
    t_after: u32,
    gates_after: u32,
    d_output: u32,
    d_h_n: u32,
    d_h0: u32,
    weights: u32,
    norms: u32,
    from_d_h_n: bool,
    has_product: bool,
    is_final: bool,
}

// Step i of a cell.
fn step_offsets(cell: u32, i: u32) -> StepOffsets {
    let direction = params.direction + cell * params.next_direction;
    let ahead = direction * i;
    let states = ahead * params.batch * params.h_stride;
    let gates_of_step = params.batch * WIDTH * params.hidden;
    let gates_here = params.gates_offset + cell * params.next_gates + ahead * gates_of_step;
    let t = params.t + cell * params.next_t + ahead;
    return StepOffsets(
        t,
        params.h_before + cell * params.next_h_before + states,
        params.h_after + cell * params.next_h_after + states,
        gates_here,
        t - direction,
        gates_here - direction * gates_of_step,
        params.d_output_offset + cell * params.next_d_output + states,
        params.d_h_n_offset + cell * params.next_d_h_n,
        params.d_h0_offset + cell * params.next_d_h0,
        params.weights_offset + cell * params.next_weights,
        params.norms_offset + cell * params.next_norms + ahead,
        i == 0u && params.from_d_h_n != 0u,
        i > 0u || params.has_product != 0u,
        i == params.steps,
    );
}

// The kernel has `multiply`, the products of ROWS rows and four units, and `finish`, which makes one number of them and
// returns the square of d_h.
@compute @workgroup_size(LANES, SPLIT)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let row = workgroup.y * ROWS;
    let count = params.steps + params.has_final;
    let invocation = local.y * LANES + local.x;
    for (var i = 0u; i < count; i++) {
        let at = step_offsets(workgroup.z, i);
        var total = 0.0;
        for (var block = workgroup.x * LANES * 4u; block < params.hidden; block += workgroups.x * LANES * 4u) {
            let unit = block + local.x * 4u;
            multiply(at, row, min(unit, (params.hidden - 1u) / 4u * 4u), local.xy);
            slices_barrier();
            if unit < params.hidden {
                // A run-time count, so the compiler emits the epilogue once instead of unrolling it.
                let units = min(4u, params.hidden - unit);
                for (var e = local.y; e < rows_from(row) * units; e += SPLIT) {
                    let r = e / units;
                    let u = e % units;
                    total += finish(at, row + r, unit + u, sum_of_slices(r * 4u + u, local.x));
                }
            }
            slices_barrier();
        }
        store_norm(at, workgroup.y * workgroups.x + workgroup.x, invocation, total);
        step_barrier(i + 1u < count);
    }
}

// The sums of ROWS rows for the four units from `unit` on, over `blocks` blocks of H gradients from block `first` on,
// each times its H rows of weight_hh. The rows of gates begin at the components of rows0 and rows1. The last of three
// blocks lies one further, as hn does behind n.
fn products(
    at: StepOffsets,
    rows0: vec4<u32>,
    rows1: vec4<u32>,
    first: u32,
    blocks: u32,
    unit: u32,
    slice: u32,
) -> array<vec4<f32>, 8> {
    let hidden = params.hidden;
    let last_unit = min(3u, hidden - 1u - unit);
    var sum = array<vec4<f32>, 8>();
    for (var block = first; block < first + blocks; block++) {
        let column = select(block, 3u, blocks == 3u && block == 2u) * hidden;
        for (var k = first_part(slice); k < hidden; k += LOAD_WIDTH * SPLIT) {
            let columns = weight_columns(at.weights + (block * hidden + k) * hidden + unit, hidden, last_unit);
            let here = column + k;
            sum[0] = add_products(sum[0], columns, gates_from(rows0.x + here));
            if ROWS > 1u {
                sum[1] = add_products(sum[1], columns, gates_from(rows0.y + here));
                sum[2] = add_products(sum[2], columns, gates_from(rows0.z + here));
                sum[3] = add_products(sum[3], columns, gates_from(rows0.w + here));
            }
            if ROWS > 4u {
                sum[4] = add_products(sum[4], columns, gates_from(rows1.x + here));
                sum[5] = add_products(sum[5], columns, gates_from(rows1.y + here));
                sum[6] = add_products(sum[6], columns, gates_from(rows1.z + here));
                sum[7] = add_products(sum[7], columns, gates_from(rows1.w + here));
            }
        }
    }
    return sum;
}

// Stores the sums of all rows in workgroup memory. `local` is lane and slice.
fn store_sums(local: vec2<u32>, of_rows: array<vec4<f32>, 8>) {
    store_sums_of_row(local, 0u, of_rows[0]);
    if ROWS > 1u {
        store_sums_of_row(local, 1u, of_rows[1]);
        store_sums_of_row(local, 2u, of_rows[2]);
        store_sums_of_row(local, 3u, of_rows[3]);
    }
    if ROWS > 4u {
        store_sums_of_row(local, 4u, of_rows[4]);
        store_sums_of_row(local, 5u, of_rows[5]);
        store_sums_of_row(local, 6u, of_rows[6]);
        store_sums_of_row(local, 7u, of_rows[7]);
    }
}

fn store_sums_of_row(local: vec2<u32>, row: u32, values: vec4<f32>) {
    let at = (local.y * SUMS + 4u * row) * LANES + local.x;
    sums[at] = values.x;
    sums[at + LANES] = values.y;
    sums[at + 2u * LANES] = values.z;
    sums[at + 3u * LANES] = values.w;
}

// (9): d_h' of one number from what the step after left and the recurrent product, without d_output. A step that is
// over has no product: its gates are zero, but zero times a weight that is not finite is NaN.
fn d_state(at: StepOffsets, row: u32, unit: u32, recurrent: f32) -> f32 {
    let own = row * params.hidden + unit;
    if at.from_d_h_n {
        return d_h_n[at.d_h_n + own];
    }
    let d_h = d_h0[at.d_h0 + own];
    if !at.has_product || is_over(row, at.t_after) {
        return d_h;
    }
    return d_h + recurrent;
}

fn store_d_state(at: StepOffsets, row: u32, unit: u32, d_h: f32) {
    d_h0[at.d_h0 + row * params.hidden + unit] = d_h;
}

fn d_output_of(at: StepOffsets, row: u32, unit: u32) -> f32 {
    return d_output[at.d_output + row * params.h_stride + unit];
}

// Stores the sum of the squares of d_h of a workgroup. All of its invocations must reach it.
fn store_norm(at: StepOffsets, group: u32, invocation: u32, total: f32) {
    if HAS_NORMS {
        // `sums` has been read; the barrier at the end of the step keeps the next step's stores away.
        workgroupBarrier();
        sums[invocation] = total;
        workgroupBarrier();
        if invocation == 0u && !at.is_final {
            var sum = 0.0;
            for (var other = 0u; other < LANES * SPLIT; other++) {
                sum += sums[other];
            }
            norms[at.norms + group * params.norms_stride] = sum;
        }
    }
}
