// Matrix product for CPU-class adapters, without workgroup memory. Interface and bindings: shared/matmul.wgsl.
//
// A workgroup of 8 invocations owns 4 rows by 32 columns of c; an invocation owns 4 rows of the columns
// x, x + 8, x + 16, x + 24. workgroups: (ceil(n / 32), ceil(m / 4), 1).
//
// Departures from the plain loop of the twin (reference::matmul):
// 1. No barrier: a software rasteriser suspends every invocation of a workgroup at each one.
// 2. The row of a is the same for a whole workgroup, so its loads are scalar; neighbouring invocations read neighbouring
//    columns of b.
// 3. The 16 sums of an invocation stay in registers: 4 scalar and 4 vector loads for 16 multiply-adds.
// 4. Rows and columns outside the matrices read the last one inside, and are not stored.

const ROWS: u32 = 4u;
const LANES: u32 = 8u;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let row = workgroup.y * ROWS;
    let column = workgroup.x * LANES * 4u + local.x;
    let last_row = params.m - 1u;
    let last_column = params.n - 1u;
    let row0 = min(row, last_row);
    let row1 = min(row + 1u, last_row);
    let row2 = min(row + 2u, last_row);
    let row3 = min(row + 3u, last_row);
    let column0 = min(column, last_column);
    let column1 = min(column + LANES, last_column);
    let column2 = min(column + LANES * 2u, last_column);
    let column3 = min(column + LANES * 3u, last_column);

    // sumN: the four columns of row N.
    var sum0 = vec4<f32>();
    var sum1 = vec4<f32>();
    var sum2 = vec4<f32>();
    var sum3 = vec4<f32>();
    for (var k = 0u; k < params.k; k++) {
        let columns = vec4<f32>(
            b[b_index(k, column0)],
            b[b_index(k, column1)],
            b[b_index(k, column2)],
            b[b_index(k, column3)],
        );
        sum0 += a[a_index(row0, k)] * columns;
        sum1 += a[a_index(row1, k)] * columns;
        sum2 += a[a_index(row2, k)] * columns;
        sum3 += a[a_index(row3, k)] * columns;
    }

    store_row(row, column, sum0);
    store_row(row + 1u, column, sum1);
    store_row(row + 2u, column, sum2);
    store_row(row + 3u, column, sum3);
}

fn store_row(row: u32, column: u32, sums: vec4<f32>) {
    if row < params.m {
        if column < params.n { store_c(row, column, sums.x); }
        if column + LANES < params.n { store_c(row, column + LANES, sums.y); }
        if column + LANES * 2u < params.n { store_c(row, column + LANES * 2u, sums.z); }
        if column + LANES * 3u < params.n { store_c(row, column + LANES * 3u, sums.w); }
    }
}
