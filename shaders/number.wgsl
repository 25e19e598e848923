// Numbers the rows of a stream after a step: sources[b] = b, so that each continues from itself.
//
// sources [len], whole numbers. workgroups: (x, y, 1), where x y is at least len / 256 and x is `workgroups`.
// Twin: reference::move_rows::number.

struct NumberParams {
    len: u32,
    workgroups: u32,
}

@group(0) @binding(0) var<uniform> params: NumberParams;
@group(0) @binding(1) var<storage, read_write> sources: array<u32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) invocation: u32) {
    let at = (workgroup.y * params.workgroups + workgroup.x) * 256u + invocation;
    if at < params.len {
        sources[at] = at;
    }
}
