// The slices of matmul_few_rows.wgsl meet in their subgroup, of which 8 neighbours have one block. For b that is stored [n, k]:
// so neighbours load neighbouring numbers. Subgroups have 8, 16, 32 or 64 invocations.

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
    // Each of the 8 ends one row.
    var sum = vec4<f32>();
    sum = select(sum, met(sums[0]), slice == 0u);
    sum = select(sum, met(sums[1]), slice == 1u);
    sum = select(sum, met(sums[2]), slice == 2u);
    sum = select(sum, met(sums[3]), slice == 3u);
    if params.m > 4u {
        sum = select(sum, met(sums[4]), slice == 4u);
        sum = select(sum, met(sums[5]), slice == 5u);
        sum = select(sum, met(sums[6]), slice == 6u);
        sum = select(sum, met(sums[7]), slice == 7u);
    }
    finish(workgroup, block, slice, sum);
}

// The sum over the 8 neighbours.
fn met(part: vec4<f32>) -> vec4<f32> {
    let two = part + subgroupShuffleXor(part, 1u);
    let four = two + subgroupShuffleXor(two, 2u);
    return four + subgroupShuffleXor(four, 4u);
}
