#import shared/column_sums

// The gradient of the table of an embedding: d_weight [rows, dim], each row the sum of d_output [indices, dim] over the
// places whose number it is; zeros for a row without one, and for row `padding`.
//
// input [indices], whole numbers; order [indices]: its places in the order of their numbers (sort_indices). So the
// places of a row lie next to each other, and are found by bisection.
//
// A workgroup owns COLUMN_LANES columns of a row. workgroups: (x, y, 1), where x y is at least rows times
// dim / COLUMN_LANES and x is `workgroups`.
//
// Departures from the plain loop of the twin (reference::embedding_backward): those of shared/column_sums.wgsl, for the
// places of a row.

struct EmbeddingBackwardParams {
    indices: u32,
    dim: u32,
    rows: u32,
    input_offset: u32,
    // No row at all: 2^32 - 1.
    padding: u32,
    // Workgroups in a row of the grid.
    workgroups: u32,
}

@group(0) @binding(0) var<uniform> params: EmbeddingBackwardParams;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read> d_output: array<f32>;
@group(0) @binding(4) var<storage, read_write> d_weight: array<f32>;

// Where the places of the row begin and end.
var<workgroup> bounds: array<u32, 2>;

fn term(place: u32, column: u32) -> f32 {
    return d_output[order[bounds[0] + place] * params.dim + column];
}

// How many places have a smaller number than this.
fn places_before(number: u32) -> u32 {
    var low = 0u;
    var high = params.indices;
    while low < high {
        let center = (low + high) / 2u;
        if input[params.input_offset + order[center]] < number {
            low = center + 1u;
        } else {
            high = center;
        }
    }
    return low;
}

@compute @workgroup_size(COLUMN_LANES, ROW_LANES)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let tiles = (params.dim + COLUMN_LANES - 1u) / COLUMN_LANES;
    let tile = workgroup.y * params.workgroups + workgroup.x;
    let row = tile / tiles;
    let column = tile % tiles * COLUMN_LANES + local.x;
    if local.x < 2u && local.y == 0u {
        bounds[local.x] = places_before(row + local.x);
    }
    workgroupBarrier();
    let is_own = row < params.rows && column < params.dim;
    let places = select(0u, bounds[1] - bounds[0], is_own && row != params.padding);
    let sum = column_sum(local, places, column);
    if is_own && local.y == 0u {
        d_weight[row * params.dim + column] = sum;
    }
}
