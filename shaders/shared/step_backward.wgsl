// What the steps backward share. Their parameters: shared/step_backward_params.wgsl. Division of work:
// shared/walk.wgsl.
//
// A lane owns four neighbouring units. workgroups: (ceil(H / (4 LANES)); ceil(B / ROWS); cells).

// The kernel has `multiply`, the products of ROWS rows and four units, and `finish`, which makes one number of them and
// returns the square of d_h.
@compute @workgroup_size(LANES, SPLIT)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let row = workgroup.y * ROWS;
    let unit = (workgroup.x * LANES + local.x) * 4u;
    let at = step_offsets(workgroup.z, 0u);
    multiply(at, row, min(unit, (params.hidden - 1u) / 4u * 4u), local.xy);
    slices_barrier();
    var total = 0.0;
    if unit < params.hidden {
        // A run-time count, so the compiler emits the epilogue once instead of unrolling it.
        let units = min(4u, params.hidden - unit);
        for (var e = local.y; e < rows_from(row) * units; e += SPLIT) {
            let r = e / units;
            let u = e % units;
            total += finish(at, row + r, unit + u, sum_of_slices(r * 4u + u, local.x));
        }
    }
    store_norm(at, workgroup.y * workgroups.x + workgroup.x, local.y * LANES + local.x, total);
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
        // After it `sums` has been read.
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
