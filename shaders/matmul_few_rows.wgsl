#import shared/matmul
#ifdef VEC4
#import shared/matmul_vec4
#else
#import shared/matmul_scalar
#endif
#ifdef SUBGROUP
#import shared/slices_subgroup
#else
#import shared/slices_memory
#endif

// Matrix product of at most 8 rows, for GPUs: a step of a stream. Interface and bindings: shared/matmul.wgsl.
//
// A workgroup of 64 invocations owns 8 rows by 32 columns of c, of which there are 8 blocks of 4; for each block there are 8
// slices of k. workgroups: (ceil(n / 32), ceil(m / 8), 1).
//
// Departures from the plain loop of the twin (reference::matmul):
// 1. Such a product is limited by loading b, so every number of b is loaded once, in blocks of 4 x 4, by neighbouring
//    invocations next to each other: slices are neighbours where k is contiguous in b, blocks of columns where n is.
// 2. The slices meet in workgroup memory (shared/slices_memory.wgsl) or, where they are neighbours, in their subgroup
//    (shared/slices_subgroup.wgsl): so the sums are taken in another order than by the other kernels.
// 3. Rows and columns outside the matrices read the last ones inside, and are not stored. Past the end of k there are zeros.
// 4. With LONG_K a sum has parts of 256 a slice: four k's are summed up before they are added.

const BLOCKS: u32 = 8u;
const SLICES: u32 = 8u;
const ROWS: u32 = 8u;
// Where sums have parts, 256 k's a slice.
const PART: u32 = 2048u;

// The part of an invocation: which block and slice it has, and its sums of 8 rows.
fn multiply(group: vec3<u32>, block: u32, slice: u32) -> array<vec4<f32>, 8> {
    let row = group.y * ROWS;
    let row0 = inside(row, params.m);
    let row1 = inside(row + 4u, params.m);
    let column = inside(group.x * BLOCKS * 4u + block * 4u, params.n);
    let a_lines0 = lines_a(row0);
    let a_lines1 = lines_a(row1);
    let b_lines = lines_b(column);

    // Column i is row i.
    var sums0 = mat4x4<f32>();
    var sums1 = mat4x4<f32>();
    // The sums of the parts before.
    var totals0 = mat4x4<f32>();
    var totals1 = mat4x4<f32>();
    for (var begin = 0u; begin < params.k; begin += part_of_k(PART)) {
        let end_of_part = min(begin + part_of_k(PART), params.k);
        for (var k = begin + slice * 4u; k < end_of_part; k += SLICES * 4u) {
            let columns = block_b(b_lines, column, k);
            sums0 += columns * transpose(block_a(a_lines0, row0, k));
            if params.m > 4u {
                sums1 += columns * transpose(block_a(a_lines1, row1, k));
            }
        }
        if LONG_K {
            totals0 += sums0;
            totals1 += sums1;
            sums0 = mat4x4<f32>();
            sums1 = mat4x4<f32>();
        }
    }
    if LONG_K {
        sums0 = totals0;
        sums1 = totals1;
    }
    return array<vec4<f32>, 8>(
        sums0[0], sums0[1], sums0[2], sums0[3], sums1[0], sums1[1], sums1[2], sums1[3],
    );
}

// Stores one row of one block.
fn finish(group: vec3<u32>, block: u32, row: u32, sum: vec4<f32>) {
    let first = group.x * BLOCKS * 4u + block * 4u;
    store_c(group.y * ROWS + row, first, sum + bias_of(first));
}
