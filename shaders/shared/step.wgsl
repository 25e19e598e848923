// What the steps forward share. Offsets and strides are in elements of the binding. How the work is cut: shared/walk.wgsl.
//
// workgroups: (ceil(H / LANES) or, for many steps, 1; ceil(B / ROWS); 1).

struct StepParams {
    // The first step of the sequence, to be compared with the lengths; how many there are; 1, or -1 in reverse.
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
    // The gates of the first step.
    gates_offset: u32,
}

override HAS_BIAS: bool;
// 0: weight_hh is as it is given. Otherwise pack.wgsl has packed its PACKED H rows.
override PACKED: u32;

@group(0) @binding(0) var<uniform> params: StepParams;
// Not read without HAS_BIAS.
@group(0) @binding(5) var<storage, read> bias_hh: array<f32>;

// One step, and where its numbers lie.
struct Place {
    t: u32,
    before: u32,
    after: u32,
    gates: u32,
}

// Step i of the dispatch. A direction of -1 wraps around, as the sums of u32 do.
fn place(i: u32) -> Place {
    let ahead = params.direction * i;
    let states = ahead * params.batch * params.h_stride;
    return Place(
        params.t + ahead,
        params.h_before + states,
        params.h_after + states,
        params.gates_offset + ahead * params.batch * WIDTH * params.hidden,
    );
}

// `multiply` and `finish` are the kernel's: the products of one unit and ROWS rows, and what becomes of one number.
@compute @workgroup_size(LANES, SPLIT)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let row = workgroup.y * ROWS;
    for (var i = 0u; i < params.steps; i++) {
        let at = place(i);
        for (var block = workgroup.x * LANES; block < params.hidden; block += workgroups.x * LANES) {
            let unit = block + local.x;
            if !all_over(row, at.t) {
                multiply(at, row, min(unit, params.hidden - 1u), local.xy);
            }
            meet();
            if unit < params.hidden {
                for (var r = local.y; r < rows_from(row); r += SPLIT) {
                    finish(at, row + r, unit, local.x, r);
                }
            }
            meet();
        }
        end_step(i + 1u < params.steps);
    }
}

// Where a row of weight_hh begins, and how much further number k lies for each k.
fn weight_row(row: u32) -> u32 {
    return row * select(4u, params.hidden, PACKED == 0u);
}

fn weight_stride() -> u32 {
    return select(PACKED * params.hidden, 1u, PACKED == 0u);
}

fn bias_of(index: u32) -> f32 {
    if HAS_BIAS {
        return bias_hh[index];
    }
    return 0.0;
}

// Leaves the sums of product `product` for rows 4 quad, 4 quad + 1, .. to the workgroup. `local` is lane and slice.
fn leave(local: vec2<u32>, product: u32, quad: u32, values: vec4<f32>) {
    let at = (local.y * SUMS + product * ROWS + 4u * quad) * LANES + local.x;
    sums[at] = values.x;
    if ROWS > 1u {
        sums[at + LANES] = values.y;
        sums[at + 2u * LANES] = values.z;
        sums[at + 3u * LANES] = values.w;
    }
}

// What came of a product for one row of the ROWS.
fn sum_of(lane: u32, product: u32, row: u32) -> f32 {
    return met(product * ROWS + row, lane);
}

// The product that a plain RNN and a reset gate have: a row of weight_hh with the states before the step.
fn multiply_one(at: Place, row: u32, unit: u32, local: vec2<u32>) {
    let weight = weight_row(unit);
    let stride = weight_stride();
    let rows0 = four_rows(at.before, row, params.h_stride);
    let rows1 = four_rows(at.before, row + 4u, params.h_stride);
    var sum0 = vec4<f32>();
    var sum1 = vec4<f32>();
    for (var k = first_part(local.y); k < params.hidden; k += STEP * SPLIT) {
        let weights = weights_from(weight + k * stride);
        if ROWS == 1u {
            sum0.x += inner(weights, states_from(rows0.x + k));
        } else {
            sum0 = add_products(sum0, states_of(rows0, k), weights);
        }
        if ROWS > 4u {
            sum1 = add_products(sum1, states_of(rows1, k), weights);
        }
    }
    leave(local, 0u, 0u, sum0);
    if ROWS > 4u {
        leave(local, 0u, 1u, sum1);
    }
}

fn states_of(rows: vec4<u32>, k: u32) -> Columns {
    return turned(
        states_from(rows.x + k), states_from(rows.y + k), states_from(rows.z + k), states_from(rows.w + k),
    );
}

fn gates_of(rows: vec4<u32>, k: u32) -> Columns {
    return turned(gates_from(rows.x + k), gates_from(rows.y + k), gates_from(rows.z + k), gates_from(rows.w + k));
}
