// Counts forward passes: dropout draws from their number. One invocation; workgroups: (1, 1, 1).
//
// counter [2]: the seed, and the count. Twin: reference::count.

struct CountParams {
    by: u32,
}

@group(0) @binding(0) var<uniform> params: CountParams;
@group(0) @binding(1) var<storage, read_write> counter: array<u32>;

@compute @workgroup_size(1)
fn main() {
    counter[1] += params.by;
}
