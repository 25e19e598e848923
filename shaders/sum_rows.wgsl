#import shared/column_sums

// The sum over the rows of a matrix: total [columns] (+)= sum over i of input [i, columns]. Equation (10) for the
// biases.
//
// The matrix begins at input_offset and its rows lie input_stride elements apart; columns from `split` on lie `skip`
// further to the right, as in shared/matmul.wgsl.
//
// A workgroup owns COLUMN_LANES columns. workgroups: (x, y, 1), where x y is at least columns / COLUMN_LANES and x is
// `workgroups`.
//
// Departures from the plain loop of the twin (reference::sum_rows): those of shared/column_sums.wgsl. Neighbouring
// invocations read neighbouring columns.

struct SumRowsParams {
    rows: u32,
    columns: u32,
    input_offset: u32,
    input_stride: u32,
    split: u32,
    skip: u32,
    total_offset: u32,
    // 1: add to total. 0: replace it.
    accumulate: u32,
    // Workgroups in a row of the grid.
    workgroups: u32,
}

// Take the square root of the sum: a norm, if squares are summed.
override ROOT: bool;

@group(0) @binding(0) var<uniform> params: SumRowsParams;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> total: array<f32>;

fn term(row: u32, stored: u32) -> f32 {
    return input[params.input_offset + row * params.input_stride + stored];
}

@compute @workgroup_size(COLUMN_LANES, ROW_LANES)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let column = (workgroup.y * params.workgroups + workgroup.x) * COLUMN_LANES + local.x;
    let stored = column + select(0u, params.skip, column >= params.split);
    var sum = column_sum(local, select(0u, params.rows, column < params.columns), stored);
    if local.y == 0u && column < params.columns {
        if params.accumulate != 0u {
            sum += total[params.total_offset + column];
        }
        if ROOT {
            sum = sqrt(sum);
        }
        total[params.total_offset + column] = sum;
    }
}
