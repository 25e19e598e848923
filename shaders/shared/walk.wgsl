// How single steps, forward and backward, divide their work. `params` is the kernel's.
//
// A workgroup owns ROWS rows of the batch and a block of units. It is LANES x SPLIT invocations. A lane owns some units
// of the rows; its SPLIT slices each take every SPLIT-th part of the products (split-K), and their sums are added in
// workgroup memory.

override LANES: u32;
override SPLIT: u32;
// Rows of the batch that a workgroup owns: 1, 4 or 8.
override ROWS: u32;
// The sums of an invocation.
override SUMS: u32;
// LANES * SPLIT * SUMS
override SUMS_OF_ALL: u32;
// Numbers per unit in the gates.
override WIDTH: u32;
// Rows have lengths: past its end a row keeps its state and has no gradients.
override HAS_LENGTHS: bool;

// Not read without HAS_LENGTHS.
@group(0) @binding(4) var<storage, read> lengths: array<u32>;

var<workgroup> sums: array<f32, SUMS_OF_ALL>;

// Whether the sequence of a row is over before step t.
fn is_over(row: u32, t: u32) -> bool {
    if HAS_LENGTHS {
        return t >= lengths[row];
    }
    return false;
}

// Whether all rows of a workgroup are over: then there is nothing to multiply.
fn all_over(row: u32, t: u32) -> bool {
    if HAS_LENGTHS {
        var over = true;
        for (var i = 0u; i < rows_from(row); i++) {
            over = over && is_over(row + i, t);
        }
        return over;
    }
    return false;
}

// How many of the ROWS rows from `row` on exist.
fn rows_from(row: u32) -> u32 {
    return min(ROWS, params.batch - row);
}

// Where rows `row` to `row` + 3 begin, `stride` apart; past the batch the last row.
fn four_rows(begin: u32, row: u32, stride: u32) -> vec4<u32> {
    return begin + min(vec4<u32>(row, row + 1u, row + 2u, row + 3u), vec4<u32>(params.batch - 1u)) * stride;
}

// Where a slice begins. 0 with one slice, so that the compiler knows that all lanes walk alike.
fn first_part(slice: u32) -> u32 {
    return select(LOAD_WIDTH * slice, 0u, SPLIT == 1u);
}

// Sum `index` of a lane, over its slices.
fn sum_of_slices(index: u32, lane: u32) -> f32 {
    var sum = 0.0;
    for (var slice = 0u; slice < SPLIT; slice++) {
        sum += sums[(slice * SUMS + index) * LANES + lane];
    }
    return sum;
}

// Between storing sums in workgroup memory and reading those of other slices. Without slices the code has no barrier:
// lavapipe compiles any kernel with a barrier to coroutines, which doubles both run time and compile time.
fn slices_barrier() {
    if SPLIT > 1u {
        workgroupBarrier();
    }
}
