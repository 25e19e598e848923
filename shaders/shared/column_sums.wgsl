// The sum of a column over rows. A workgroup of COLUMN_LANES x ROW_LANES takes COLUMN_LANES columns; an invocation sums
// every ROW_LANES-th row of one. The kernel says what is summed: `term` of a row and a column.
//
// The ROW_LANES partial sums of a column are added in workgroup memory, always in the same order: no atomics, so the
// same bits every time.
//
// An invocation sums PART rows, PART of these sums, and then those. A chain of n additions of numbers of one sign can
// be off by n / 2 units in the last place, so a sum of a million rows is off by (64 + 64 + 31 + 8) / 2 at most.

const PART: u32 = 64u;
const COLUMN_LANES: u32 = 32u;
const ROW_LANES: u32 = 8u;

var<workgroup> partial: array<f32, COLUMN_LANES * ROW_LANES>;

// All invocations must reach it, and only once; those of lane 0 of the rows get the sum.
fn column_sum(lanes: vec3<u32>, rows: u32, column: u32) -> f32 {
    var sum = 0.0;
    for (var begin = lanes.y; begin < rows; begin += PART * PART * ROW_LANES) {
        let end = min(begin + PART * PART * ROW_LANES, rows);
        var sum_of_parts = 0.0;
        for (var part = begin; part < end; part += PART * ROW_LANES) {
            let end_of_part = min(part + PART * ROW_LANES, end);
            var sum_of_part = 0.0;
            for (var row = part; row < end_of_part; row += ROW_LANES) {
                sum_of_part += term(row, column);
            }
            sum_of_parts += sum_of_part;
        }
        sum += sum_of_parts;
    }
    partial[lanes.y * COLUMN_LANES + lanes.x] = sum;
    workgroupBarrier();
    if lanes.y == 0u {
        for (var lane = 1u; lane < ROW_LANES; lane++) {
            sum += partial[lane * COLUMN_LANES + lanes.x];
        }
    }
    return sum;
}
