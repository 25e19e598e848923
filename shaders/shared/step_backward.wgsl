// What the steps backward share. Offsets and strides are in elements of the binding. How the work is cut: shared/walk.wgsl.
//
// A lane owns four neighbouring units. workgroups: (ceil(H / (4 LANES)) or, for many steps, 1; ceil(B / ROWS);
// cells).

struct StepBackwardParams {
    // How many steps; B and H.
    steps: u32,
    batch: u32,
    hidden: u32,
    // From one row's state, or gradient of the output, to the next row's.
    h_stride: u32,
    // 1: at the first step d_h comes from d_h_n. 0: from what the step after left in d_h0.
    from_d_h_n: u32,
    // 1: there are gradients of the step after the first one, whose recurrent product belongs to it.
    has_product: u32,
    // 1: after the steps there is nothing but a last product: d_h0 is what comes of it.
    has_final: u32,
    // From one workgroup's sums of squares of d_h to the next one's.
    norms_stride: u32,

    // The first cell: its first step, to be compared with the lengths; -1, or 1 if it runs in reverse.
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
    // Where its sums of squares of d_h go, one a workgroup.
    norms_offset: u32,

    // How much larger each of them is for the next cell. What is smaller wraps around, as the sums of u32 do.
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

// Sum up the squares of d_h.
override HAS_NORMS: bool;

@group(0) @binding(0) var<uniform> params: StepBackwardParams;
@group(0) @binding(5) var<storage, read> d_output: array<f32>;
@group(0) @binding(6) var<storage, read> d_h_n: array<f32>;
@group(0) @binding(7) var<storage, read_write> d_h0: array<f32>;
// Not written without HAS_NORMS.
@group(0) @binding(8) var<storage, read_write> norms: array<f32>;

// One step of a cell, and where its numbers lie.
struct Place {
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
fn place(cell: u32, i: u32) -> Place {
    let direction = params.direction + cell * params.next_direction;
    let ahead = direction * i;
    let states = ahead * params.batch * params.h_stride;
    let gates_of_step = params.batch * WIDTH * params.hidden;
    let gates_here = params.gates_offset + cell * params.next_gates + ahead * gates_of_step;
    let t = params.t + cell * params.next_t + ahead;
    return Place(
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
    let invocation = local.y * LANES + local.x;
    for (var i = 0u; i < count; i++) {
        let at = place(workgroup.z, i);
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
        store_norm(at, workgroup.y * workgroups.x + workgroup.x, invocation, total);
        end_step(i + 1u < count);
    }
}

// The sums of ROWS rows and the four units from `unit` on: `blocks` blocks of H gradients from block `first` on, each with the
// H rows of weight_hh that it belongs to. The rows of gates begin at the components of rows0 and rows1; of three blocks the
// last lies one further, as hn does behind n.
fn products(
    at: Place,
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

// (9): d_h' of one number from what the step after left and the recurrent product; without d_output. Of a step that is over
// there is no product: its gates are zero, but a zero times a weight that is not finite is no number.
fn d_state(at: Place, row: u32, unit: u32, recurrent: f32) -> f32 {
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

fn store_d_state(at: Place, row: u32, unit: u32, d_h: f32) {
    d_h0[at.d_h0 + row * params.hidden + unit] = d_h;
}

fn d_output_of(at: Place, row: u32, unit: u32) -> f32 {
    return d_output[at.d_output + row * params.h_stride + unit];
}

// The sum of the squares of d_h of a workgroup. Must be reached by all of its invocations.
fn store_norm(at: Place, group: u32, invocation: u32, total: f32) {
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
            norms[at.norms + group * params.norms_stride] = sum;
        }
    }
}
