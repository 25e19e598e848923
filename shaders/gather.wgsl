// Copies rows of the states of a stream in all layers: row b becomes row sources[b], and zero if there is no such row.
// Then row b is its own source again. So rows begin anew, or continue from others, as shaders of the app say.
//
// state, gathered [layers, rows, width], from their offsets on
// sources [rows]  whole numbers of the app
//
// LANES invocations a row, which nobody else has: so what names its source can be replaced as soon as all of them know
// it. With SOFTWARE that is one, which needs no barrier. workgroups: (x, y, 1), where x y is at least rows / ROWS and
// x is `workgroups`. Twin: reference::gather, the same loop.

struct GatherParams {
    layers: u32,
    rows: u32,
    width: u32,
    state_offset: u32,
    gathered_offset: u32,
    workgroups: u32,
}

@group(0) @binding(0) var<uniform> params: GatherParams;
@group(0) @binding(1) var<storage, read> state: array<f32>;
@group(0) @binding(2) var<storage, read_write> sources: array<u32>;
@group(0) @binding(3) var<storage, read_write> gathered: array<f32>;

#ifdef SOFTWARE
const LANES: u32 = 1u;
const ROWS: u32 = 64u;
#else
const LANES: u32 = 32u;
const ROWS: u32 = 8u;
#endif

@compute @workgroup_size(LANES * ROWS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) invocation: u32) {
    let b = (workgroup.y * params.workgroups + workgroup.x) * ROWS + invocation / LANES;
    let lane = invocation % LANES;
    // Rows past the last one read that and store nothing.
    let there = min(b, params.rows - 1u);
    let is_there = b < params.rows;
    let row = sources[there];
#ifdef SOFTWARE
#else
    storageBarrier();
#endif
    if is_there && lane == 0u {
        sources[b] = b;
    }
    let size = select(0u, params.layers * params.width, is_there);
    for (var index = lane; index < size; index += LANES) {
        let layer = index / params.width * params.rows;
        let unit = index % params.width;
        var item = 0.0;
        if row < params.rows {
            item = state[params.state_offset + (layer + row) * params.width + unit];
        }
        gathered[params.gathered_offset + (layer + there) * params.width + unit] = item;
    }
}
