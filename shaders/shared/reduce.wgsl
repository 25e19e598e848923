// The sum of one number of each of the 256 invocations of a workgroup, always in the same order. Must be reached by all of
// them. The result is valid in all of them.

const REDUCE_LANES: u32 = 256u;

var<workgroup> reduce_scratch: array<f32, REDUCE_LANES>;

fn workgroup_sum(invocation: u32, value: f32) -> f32 {
    reduce_scratch[invocation] = value;
    workgroupBarrier();
    for (var width = REDUCE_LANES / 2u; width > 0u; width /= 2u) {
        if invocation < width {
            reduce_scratch[invocation] += reduce_scratch[invocation + width];
        }
        workgroupBarrier();
    }
    return reduce_scratch[0];
}
