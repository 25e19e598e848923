// The sum over the rows of a matrix: total [columns] (+)= sum over i of input [i, columns]. Equation (10) for the
// biases.
//
// The matrix begins at input_offset and its rows lie input_stride elements apart; columns from `split` on lie `skip`
// further to the right, as in shared/matmul.wgsl.
//
// A workgroup of COLUMN_LANES x ROW_LANES invocations owns COLUMN_LANES columns; an invocation sums every ROW_LANES-th
// row of one column. workgroups: (x, y, 1), where x y is at least columns / COLUMN_LANES and x is `workgroups`.
//
// Departures from the plain loop of the twin (reference::sum_rows):
// 1. Neighbouring invocations read neighbouring columns.
// 2. The ROW_LANES partial sums of a column are added in workgroup memory, always in the same order: no atomics, so the
//    same bits every time. ROW_LANES = 1 needs none of it.
// 3. An invocation sums PART rows, PART of these sums, and then those. A chain of n additions of numbers of one sign
//    can be off by n / 2 units in the last place, so a sum of a million rows is off by (64 + 64 + 31 + 8) / 2 at most.

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

const PART: u32 = 64u;

override COLUMN_LANES: u32;
override ROW_LANES: u32;
// Take the square root of the sum: a norm, if squares are summed.
override ROOT: bool;

@group(0) @binding(0) var<uniform> params: SumRowsParams;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> total: array<f32>;

var<workgroup> partial: array<f32, COLUMN_LANES * ROW_LANES>;

@compute @workgroup_size(COLUMN_LANES, ROW_LANES)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let column = (workgroup.y * params.workgroups + workgroup.x) * COLUMN_LANES + local.x;
    let stored = column + select(0u, params.skip, column >= params.split);
    var sum = 0.0;
    if column < params.columns {
        for (var begin = local.y; begin < params.rows; begin += PART * PART * ROW_LANES) {
            let end = min(begin + PART * PART * ROW_LANES, params.rows);
            var sum_of_parts = 0.0;
            for (var part = begin; part < end; part += PART * ROW_LANES) {
                let end_of_part = min(part + PART * ROW_LANES, end);
                var sum_of_part = 0.0;
                for (var row = part; row < end_of_part; row += ROW_LANES) {
                    sum_of_part += input[params.input_offset + row * params.input_stride + stored];
                }
                sum_of_parts += sum_of_part;
            }
            sum += sum_of_parts;
        }
    }
    if ROW_LANES > 1u {
        partial[local.y * COLUMN_LANES + local.x] = sum;
        workgroupBarrier();
        if local.y == 0u {
            for (var lane = 1u; lane < ROW_LANES; lane++) {
                sum += partial[lane * COLUMN_LANES + local.x];
            }
        }
    }
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
