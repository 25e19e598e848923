#import shared/matmul

// Matrix product of at most 8 rows, for GPUs: a step of a stream. Interface and bindings: shared/matmul.wgsl.
//
// A workgroup of 64 invocations owns 8 rows by 32 columns of c: 8 blocks of 4 columns, each of which has 8 slices of k.
// workgroups: (ceil(n / 32), ceil(m / 8), 1).
//
// Departures from the plain loop of the twin (reference::matmul):
// 1. Such a product is limited by loading b, so every number of b is loaded once, in blocks of 4 x 4, by neighbouring
//    invocations next to each other: slices are neighbours where k is contiguous in b, blocks of columns where n is.
// 2. The slices are summed in workgroup memory or, with SUBGROUP, in their subgroup. So the order of summation is not
//    that of the other kernels.
// 3. Rows and columns outside the matrices read the last ones inside, and are not stored. Past the end of k there are
//    zeros.
// 4. With LONG_K a sum has parts of 256 per slice: four k's are summed before they are added.

const BLOCKS: u32 = 8u;
const SLICES: u32 = 8u;
const ROWS: u32 = 8u;
// The length of a part: 256 k's per slice.
const PART: u32 = 2048u;

// The sums of 8 rows over one slice of k, for one block.
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
    // The sums of the parts so far.
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

// Stores one row of a block.
fn finish(group: vec3<u32>, block: u32, row: u32, sum: vec4<f32>) {
    let first = group.x * BLOCKS * 4u + block * 4u;
    store_c(group.y * ROWS + row, first, sum + bias_of(first));
}

#ifdef SUBGROUP

// For b that is stored [n, k]: neighbours load neighbouring numbers. 8 neighbours have one block. Subgroups have 8, 16,
// 32 or 64 invocations.
@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_size) size: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let block = (subgroup * size + lane) / 8u;
    let slice = lane % 8u;
    let sums = multiply(workgroup, block, slice);
    // Each of the 8 finishes one row.
    var sum = vec4<f32>();
    sum = select(sum, sum_of_8(sums[0]), slice == 0u);
    sum = select(sum, sum_of_8(sums[1]), slice == 1u);
    sum = select(sum, sum_of_8(sums[2]), slice == 2u);
    sum = select(sum, sum_of_8(sums[3]), slice == 3u);
    if params.m > 4u {
        sum = select(sum, sum_of_8(sums[4]), slice == 4u);
        sum = select(sum, sum_of_8(sums[5]), slice == 5u);
        sum = select(sum, sum_of_8(sums[6]), slice == 6u);
        sum = select(sum, sum_of_8(sums[7]), slice == 7u);
    }
    finish(workgroup, block, slice, sum);
}

// The sum over the 8 neighbours.
fn sum_of_8(part: vec4<f32>) -> vec4<f32> {
    let two = part + subgroupShuffleXor(part, 1u);
    let four = two + subgroupShuffleXor(two, 2u);
    return four + subgroupShuffleXor(four, 4u);
}

#else

// Four columns of a row, by slice, block and row.
var<workgroup> partial: array<vec4<f32>, 512>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) invocation: u32) {
    let high = invocation / 8u;
    let low = invocation % 8u;
    let block = select(low, high, TRANSPOSE_B);
    let slice = select(high, low, TRANSPOSE_B);
    let sums = multiply(workgroup, block, slice);
    let own = (slice * BLOCKS + block) * ROWS;
    partial[own] = sums[0];
    partial[own + 1u] = sums[1];
    partial[own + 2u] = sums[2];
    partial[own + 3u] = sums[3];
    partial[own + 4u] = sums[4];
    partial[own + 5u] = sums[5];
    partial[own + 6u] = sums[6];
    partial[own + 7u] = sums[7];
    workgroupBarrier();

    // Each invocation finishes one row of one block.
    var sum = vec4<f32>();
    for (var other = 0u; other < SLICES; other++) {
        sum += partial[(other * BLOCKS + low) * ROWS + high];
    }
    finish(workgroup, low, high, sum);
}

#endif
