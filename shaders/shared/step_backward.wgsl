// What the steps backward share. Offsets and strides are in elements of the binding. How the work is cut: shared/walk.wgsl.
//
// A lane owns four neighbouring units. workgroups: (ceil(H / (4 LANES)) or, for many steps, 1; ceil(B / ROWS); 1).

struct StepBackwardParams {
    // The first step, to be compared with the lengths; how many there are; -1, or 1 for a cell that runs in reverse.
    t: u32,
    steps: u32,
    direction: u32,
    batch: u32,
    hidden: u32,
    // From one row's state to the next row's.
    h_stride: u32,
    // The states before and after the first step.
    h_before: u32,
    h_after: u32,
    // The gates of the first step, and of the step whose gradients come before it.
    gates_offset: u32,
    gates_after: u32,
    // The gradient of the output at the first step, and from one row's to the next row's.
    d_output_offset: u32,
    d_output_stride: u32,
    // The first row's gradients of the last and of the first state.
    d_h_n_offset: u32,
    d_h0_offset: u32,
    // 1: at the first step d_h comes from d_h_n. 0: from what the step after left in d_h0.
    from_d_h_n: u32,
    // 1: there are gradients at gates_after, whose recurrent product belongs to the first step.
    has_product: u32,
    // 1: after the steps there is nothing but a last product: d_h0 is what comes of it.
    has_final: u32,
    // Where the sums of squares of d_h go, one a workgroup, and from one workgroup's to the next one's.
    norms_offset: u32,
    norms_stride: u32,
}

// Sum up the squares of d_h.
override HAS_NORMS: bool;

@group(0) @binding(0) var<uniform> params: StepBackwardParams;
@group(0) @binding(5) var<storage, read> d_output: array<f32>;
@group(0) @binding(6) var<storage, read> d_h_n: array<f32>;
@group(0) @binding(7) var<storage, read_write> d_h0: array<f32>;
// Not written without HAS_NORMS.
@group(0) @binding(8) var<storage, read_write> norms: array<f32>;

// One step, and where its numbers lie.
struct Place {
    t: u32,
    before: u32,
    after: u32,
    gates: u32,
    gates_after: u32,
    d_output: u32,
    from_d_h_n: bool,
    has_product: bool,
    is_final: bool,
}

// Step i of the dispatch. A direction of -1 wraps around, as the sums of u32 do.
fn place(i: u32) -> Place {
    let ahead = params.direction * i;
    let rows = ahead * params.batch;
    let gates_of_step = params.batch * WIDTH * params.hidden;
    let gates_here = params.gates_offset + ahead * gates_of_step;
    return Place(
        params.t + ahead,
        params.h_before + rows * params.h_stride,
        params.h_after + rows * params.h_stride,
        gates_here,
        select(gates_here - params.direction * gates_of_step, params.gates_after, i == 0u),
        params.d_output_offset + rows * params.d_output_stride,
        i == 0u && params.from_d_h_n != 0u,
        i > 0u || params.has_product != 0u,
        i == params.steps,
    );
}

// `multiply` and `finish` are the kernel's: the products of ROWS rows and four units, and what becomes of one number, which
// gives the square of d_h.
@compute @workgroup_size(LANES, SPLIT)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let row = workgroup.y * ROWS;
    let count = params.steps + params.has_final;
    for (var i = 0u; i < count; i++) {
        let at = place(i);
        var total = 0.0;
        for (var block = workgroup.x * LANES * 4u; block < params.hidden; block += workgroups.x * LANES * 4u) {
            let unit = block + local.x * 4u;
            multiply(at, row, min(unit, (params.hidden - 1u) / 4u * 4u), local.xy);
            meet();
            if unit < params.hidden {
                // Only as many as there are: so the loop has no fixed length, and what ends a step is compiled once.
                let units = min(4u, params.hidden - unit);
                for (var e = local.y; e < rows_from(row) * units; e += SPLIT) {
                    let r = e / units;
                    let u = e % units;
                    total += finish(at, row + r, unit + u, met(r * 4u + u, local.x));
                }
            }
            meet();
        }
        store_norm(at, workgroup.y * workgroups.x + workgroup.x, local.y * LANES + local.x, total, i);
        end_step(i + 1u < count);
    }
}

// The sums of ROWS rows and the four units from `unit` on: `blocks` blocks of H gradients from block `first` on, each with the
// H rows of weight_hh that it belongs to. The rows of gates begin at the components of rows0 and rows1; of three blocks the
// last lies one further, as hn does behind n.
fn products(
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
        for (var k = first_part(slice); k < hidden; k += STEP * SPLIT) {
            let columns = weight_columns((block * hidden + k) * hidden + unit, hidden, last_unit);
            let at = column + k;
            sum[0] = add_products(sum[0], columns, gates_from(rows0.x + at));
            if ROWS > 1u {
                sum[1] = add_products(sum[1], columns, gates_from(rows0.y + at));
                sum[2] = add_products(sum[2], columns, gates_from(rows0.z + at));
                sum[3] = add_products(sum[3], columns, gates_from(rows0.w + at));
            }
            if ROWS > 4u {
                sum[4] = add_products(sum[4], columns, gates_from(rows1.x + at));
                sum[5] = add_products(sum[5], columns, gates_from(rows1.y + at));
                sum[6] = add_products(sum[6], columns, gates_from(rows1.z + at));
                sum[7] = add_products(sum[7], columns, gates_from(rows1.w + at));
            }
        }
    }
    return sum;
}

// Leaves the sums of all rows to the workgroup. `local` is lane and slice.
fn leave(local: vec2<u32>, of_rows: array<vec4<f32>, 8>) {
    leave_row(local, 0u, of_rows[0]);
    if ROWS > 1u {
        leave_row(local, 1u, of_rows[1]);
        leave_row(local, 2u, of_rows[2]);
        leave_row(local, 3u, of_rows[3]);
    }
    if ROWS > 4u {
        leave_row(local, 4u, of_rows[4]);
        leave_row(local, 5u, of_rows[5]);
        leave_row(local, 6u, of_rows[6]);
        leave_row(local, 7u, of_rows[7]);
    }
}

fn leave_row(local: vec2<u32>, row: u32, values: vec4<f32>) {
    let at = (local.y * SUMS + 4u * row) * LANES + local.x;
    sums[at] = values.x;
    sums[at + LANES] = values.y;
    sums[at + 2u * LANES] = values.z;
    sums[at + 3u * LANES] = values.w;
}

// (9): d_h' of one number from what the step after left and the recurrent product; without d_output.
fn d_state(at: Place, row: u32, unit: u32, recurrent: f32) -> f32 {
    let own = row * params.hidden + unit;
    if at.from_d_h_n {
        return d_h_n[params.d_h_n_offset + own] + recurrent;
    }
    return d_h0[params.d_h0_offset + own] + recurrent;
}

fn store_d_state(row: u32, unit: u32, d_h: f32) {
    d_h0[params.d_h0_offset + row * params.hidden + unit] = d_h;
}

fn d_output_of(at: Place, row: u32, unit: u32) -> f32 {
    return d_output[at.d_output + row * params.d_output_stride + unit];
}

// The sum of the squares of d_h of a workgroup. Must be reached by all of its invocations.
fn store_norm(at: Place, group: u32, invocation: u32, total: f32, i: u32) {
    if HAS_NORMS {
        // The sums have been taken; what comes next is kept apart by the barrier at the end of the step.
        workgroupBarrier();
        sums[invocation] = total;
        workgroupBarrier();
        if invocation == 0u && !at.is_final {
            var sum = 0.0;
            for (var other = 0u; other < LANES * SPLIT; other++) {
                sum += sums[other];
            }
            norms[params.norms_offset + params.direction * i + group * params.norms_stride] = sum;
        }
    }
}
