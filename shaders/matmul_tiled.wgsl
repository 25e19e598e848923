// Matrix product for GPUs, through workgroup memory. Interface and bindings: shared/matmul.wgsl.
//
// A workgroup of 16 x 16 invocations owns a tile of 64 x 64 elements of c; an invocation owns 4 x 4 of them.
// workgroups: (ceil(n / 64), ceil(m / 64), 1).
//
// Departures from the plain loop of the twin (reference::matmul):
// 1. k is walked in slabs of 16. Each slab of a and b is loaded once by the whole workgroup, along the axis in which its
//    memory is contiguous, and read 64 times out of workgroup memory.
// 2. Both slabs lie with k outermost, so that transposes cost nothing in the inner loop.
// 3. The 16 sums of an invocation stay in registers: 8 loads for 16 multiply-adds.
// 4. Loads outside the matrices give 0 and stores outside are left out, so that any m, n, k >= 1 works.

const TILE: u32 = 64u;
const SLAB: u32 = 16u;
const INVOCATIONS: u32 = 256u;

var<workgroup> slab_a: array<f32, 1024>;
var<workgroup> slab_b: array<f32, 1024>;

@compute @workgroup_size(16, 16)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let first_row = workgroup.y * TILE;
    let first_column = workgroup.x * TILE;
    var sum0 = vec4<f32>();
    var sum1 = vec4<f32>();
    var sum2 = vec4<f32>();
    var sum3 = vec4<f32>();

    for (var first_k = 0u; first_k < params.k; first_k += SLAB) {
        for (var e = invocation; e < TILE * SLAB; e += INVOCATIONS) {
            let a_row = select(e / SLAB, e % TILE, TRANSPOSE_A);
            let a_k = select(e % SLAB, e / TILE, TRANSPOSE_A);
            var a_value = 0.0;
            if first_row + a_row < params.m && first_k + a_k < params.k {
                a_value = a[a_index(first_row + a_row, first_k + a_k)];
            }
            slab_a[a_k * TILE + a_row] = a_value;

            let b_column = select(e % TILE, e / SLAB, TRANSPOSE_B);
            let b_k = select(e / TILE, e % SLAB, TRANSPOSE_B);
            var b_value = 0.0;
            if first_column + b_column < params.n && first_k + b_k < params.k {
                b_value = b[b_index(first_k + b_k, first_column + b_column)];
            }
            slab_b[b_k * TILE + b_column] = b_value;
        }
        workgroupBarrier();
        for (var k = 0u; k < SLAB; k++) {
            let from_a = k * TILE + local.y * 4u;
            let from_b = k * TILE + local.x * 4u;
            let columns = vec4<f32>(slab_b[from_b], slab_b[from_b + 1u], slab_b[from_b + 2u], slab_b[from_b + 3u]);
            sum0 += slab_a[from_a] * columns;
            sum1 += slab_a[from_a + 1u] * columns;
            sum2 += slab_a[from_a + 2u] * columns;
            sum3 += slab_a[from_a + 3u] * columns;
        }
        workgroupBarrier();
    }

    let row = first_row + local.y * 4u;
    let column = first_column + local.x * 4u;
    store_row(row, column, sum0);
    store_row(row + 1u, column, sum1);
    store_row(row + 2u, column, sum2);
    store_row(row + 3u, column, sum3);
}

fn store_row(row: u32, column: u32, sums: vec4<f32>) {
    if row < params.m {
        if column < params.n { store_c(row, column, sums.x); }
        if column + 1u < params.n { store_c(row, column + 1u, sums.y); }
        if column + 2u < params.n { store_c(row, column + 2u, sums.z); }
        if column + 3u < params.n { store_c(row, column + 3u, sums.w); }
    }
}
