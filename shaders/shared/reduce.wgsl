// The sum of one value per invocation over a workgroup of 256, always in the same order. All of them must reach it, and
// only once: the memory is not free for a second sum. All of them get the result.
//
// The kernel says what is summed: `alias Sum = f32;` or a vector.

const REDUCE_LANES: u32 = 256u;

var<workgroup> reduce_scratch: array<Sum, REDUCE_LANES>;

fn workgroup_sum(invocation: u32, value: Sum) -> Sum {
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
