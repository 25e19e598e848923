// Copies rows of first states to their slot: row b is row sources[b], or zero where there is no such row. So rows of a stream
// begin anew, or go on from others.
//
// source [rows, width] from source_offset on; sources [rows], whole numbers of the app;
// destination: element f of row b at destination_offset + b * destination_stride + f
//
// An invocation takes one element. workgroups: (x, y, 1), where x y is at least rows * width / 256 and x is `workgroups`.
// Twin: reference::gather, the same loop.

struct GatherParams {
    rows: u32,
    width: u32,
    source_offset: u32,
    destination_offset: u32,
    destination_stride: u32,
    workgroups: u32,
}

@group(0) @binding(0) var<uniform> params: GatherParams;
@group(0) @binding(1) var<storage, read> source: array<f32>;
@group(0) @binding(2) var<storage, read> sources: array<u32>;
@group(0) @binding(3) var<storage, read_write> destination: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) invocation: u32) {
    let at = (workgroup.y * params.workgroups + workgroup.x) * 256u + invocation;
    if at >= params.rows * params.width {
        return;
    }
    let b = at / params.width;
    let f = at % params.width;
    let row = sources[b];
    var value = 0.0;
    if row < params.rows {
        value = source[params.source_offset + row * params.width + f];
    }
    destination[params.destination_offset + b * params.destination_stride + f] = value;
}
