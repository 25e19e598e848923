// What the steps forward share. Their parameters: shared/step_params.wgsl. Division of work: shared/walk.wgsl.
//
// workgroups: (ceil(H / LANES); ceil(B / ROWS); cells).

// 0: weight_hh as given. Otherwise packed by pack.wgsl, with PACKED * H rows.
override PACKED: u32;

// The kernel has `multiply`, the products of one unit and ROWS rows, and `finish`, which makes one number of them.
@compute @workgroup_size(LANES, SPLIT)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let row = workgroup.y * ROWS;
    let unit = workgroup.x * LANES + local.x;
    let at = step_offsets(workgroup.z, 0u);
    if !all_over(row, at.t) {
        multiply(at, row, min(unit, params.hidden - 1u), local.xy);
    }
    slices_barrier();
    if unit < params.hidden {
        for (var r = local.y; r < rows_from(row); r += SPLIT) {
            finish(at, row + r, unit, local.x, r);
        }
    }
}

// Where a row of weight_hh begins, and the distance from each k to the next.
fn weight_row(at: StepOffsets, row: u32) -> u32 {
    return at.weights + row * select(4u, params.hidden, PACKED == 0u);
}

fn weight_stride() -> u32 {
    return select(PACKED * params.hidden, 1u, PACKED == 0u);
}

// Stores the sums of a product for rows 4 * quad to 4 * quad + 3 in workgroup memory. `local` is lane and slice.
fn store_sums(local: vec2<u32>, product: u32, quad: u32, values: vec4<f32>) {
    let at = (local.y * SUMS + product * ROWS + 4u * quad) * LANES + local.x;
    sums[at] = values.x;
    if ROWS > 1u {
        sums[at + LANES] = values.y;
        sums[at + 2u * LANES] = values.z;
        sums[at + 3u * LANES] = values.w;
    }
}

// The sum of a product over all slices, for one of the ROWS rows.
fn sum_of(lane: u32, product: u32, row: u32) -> f32 {
    return sum_of_slices(product * ROWS + row, lane);
}

// The product of a plain RNN and of a reset gate: a row of weight_hh with the states before the step.
fn multiply_one(at: StepOffsets, row: u32, unit: u32, local: vec2<u32>) {
    let weight = weight_row(at, unit);
    let stride = weight_stride();
    let rows0 = four_rows(at.before, row, params.h_stride);
    let rows1 = four_rows(at.before, row + 4u, params.h_stride);
    var sum0 = vec4<f32>();
    var sum1 = vec4<f32>();
    for (var k = first_part(local.y); k < params.hidden; k += LOAD_WIDTH * SPLIT) {
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
    store_sums(local, 0u, 0u, sum0);
    if ROWS > 4u {
        store_sums(local, 0u, 1u, sum1);
    }
}

fn states_of(rows: vec4<u32>, k: u32) -> Columns {
    return transposed(
        states_from(rows.x + k), states_from(rows.y + k), states_from(rows.z + k), states_from(rows.w + k),
    );
}

fn gates_of(rows: vec4<u32>, k: u32) -> Columns {
    return transposed(gates_from(rows.x + k), gates_from(rows.y + k), gates_from(rows.z + k), gates_from(rows.w + k));
}
