// Copies rows of states into their slot or out of it: row b is row b of the source or, with sources, row sources[b],
// and zero if the source has no such row. So rows of a stream begin anew, or continue from others.
//
// source, destination  item f of row b at offset + b * stride + f, where an item is a number or, with VEC4, four of
//                      them; all offsets and strides count items
// sources [rows]       whole numbers of the app; or, with HAS_LENGTHS, lengths: rows of length 0 become zero
//
// One invocation per item. workgroups: (x, y, 1), where x y is at least rows * width / 256 and x is `workgroups`.
// Twin: reference::move_rows, the same loop.

#ifdef VEC4
alias Item = vec4<f32>;
#else
alias Item = f32;
#endif

struct MoveRowsParams {
    rows: u32,
    width: u32,
    source_offset: u32,
    source_stride: u32,
    destination_offset: u32,
    destination_stride: u32,
    workgroups: u32,
}

override HAS_SOURCES: bool;
override HAS_LENGTHS: bool;

@group(0) @binding(0) var<uniform> params: MoveRowsParams;
@group(0) @binding(1) var<storage, read> source: array<Item>;
// Not read without HAS_SOURCES and HAS_LENGTHS.
@group(0) @binding(2) var<storage, read> sources: array<u32>;
@group(0) @binding(3) var<storage, read_write> destination: array<Item>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) invocation: u32) {
    let at = (workgroup.y * params.workgroups + workgroup.x) * 256u + invocation;
    if at >= params.rows * params.width {
        return;
    }
    let b = at / params.width;
    let f = at % params.width;
    var row = b;
    if HAS_SOURCES {
        row = sources[b];
    }
    if HAS_LENGTHS && sources[b] == 0u {
        row = params.rows;
    }
    var item = Item();
    if row < params.rows {
        item = source[params.source_offset + row * params.source_stride + f];
    }
    destination[params.destination_offset + b * params.destination_stride + f] = item;
}
