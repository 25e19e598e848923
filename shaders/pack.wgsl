// The recurrent weights in the order in which the steps read them on a GPU: four of a row together, and the fours of
// neighbouring rows side by side, so that neighbouring lanes load neighbouring numbers.
//
// source [R, H], H a multiple of 4; packed [H / 4, R, 4]. Offsets are in fours of the binding.
//
// An invocation moves four numbers. workgroups: (ceil(R H / 4 / 256), or that many in rows of `workgroups`).

struct PackParams {
    // R and H / 4
    rows: u32,
    fours: u32,
    source_offset: u32,
    packed_offset: u32,
    // Workgroups in a row of the grid.
    workgroups: u32,
}

@group(0) @binding(0) var<uniform> params: PackParams;
@group(0) @binding(1) var<storage, read> source: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> packed: array<vec4<f32>>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let i = (workgroup.y * params.workgroups + workgroup.x) * 256u + local.x;
    if i < params.rows * params.fours {
        let row = i % params.rows;
        packed[params.packed_offset + i] = source[params.source_offset + row * params.fours + i / params.rows];
    }
}
