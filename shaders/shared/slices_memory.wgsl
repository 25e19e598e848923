// The slices of matmul_few_rows.wgsl meet in workgroup memory.

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

    // Each invocation ends one row of one block.
    var sum = vec4<f32>();
    for (var other = 0u; other < SLICES; other++) {
        sum += partial[(other * BLOCKS + low) * ROWS + high];
    }
    finish(workgroup, low, high, sum);
}
