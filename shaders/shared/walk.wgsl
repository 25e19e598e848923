// How the work of steps, forward and backward, is cut. `params` is the kernel's.
//
// A dispatch makes one step or many, one after the other. A workgroup owns ROWS rows of the batch, and in each step the
// blocks of units that fall to it. With one step a dispatch (PerStep) the grid has a column for every block. With many
// (PerSequence) it has one column: a workgroup owns all units of its rows, and no other one needs what it makes, so a barrier
// of the workgroup is all that lies between two steps.
//
// A workgroup is LANES by SPLIT invocations. A lane owns some units of the rows; its SPLIT slices each take every SPLIT-th
// part of the products, and their sums meet in workgroup memory.

override LANES: u32;
override SPLIT: u32;
// Rows of the batch that a workgroup owns: 1, 4 or 8.
override ROWS: u32;
// How many sums an invocation has.
override SUMS: u32;
// LANES SPLIT SUMS
override SUMS_OF_ALL: u32;
// A dispatch makes more than one step. Without it there is no barrier in the code: a software rasteriser makes coroutines of
// invocations that may have to wait, which takes twice as long, to run as to compile.
override MANY: bool;
// Numbers a unit has in the gates.
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

// Whether that is so for all rows of a workgroup: then there is nothing to multiply.
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

// How many of the ROWS rows from `row` on there are.
fn rows_from(row: u32) -> u32 {
    return min(ROWS, params.batch - row);
}

// Where rows `row` to `row` + 3 begin, `stride` apart; past the batch the last row.
fn four_rows(begin: u32, row: u32, stride: u32) -> vec4<u32> {
    return begin + min(vec4<u32>(row, row + 1u, row + 2u, row + 3u), vec4<u32>(params.batch - 1u)) * stride;
}

// Where a slice begins. Said to be 0 where there is one slice: so a compiler knows that all lanes walk alike.
fn first_part(slice: u32) -> u32 {
    return select(STEP * slice, 0u, SPLIT == 1u);
}

// Sum `index` of a lane, over its slices.
fn met(index: u32, lane: u32) -> f32 {
    var sum = 0.0;
    for (var slice = 0u; slice < SPLIT; slice++) {
        sum += sums[(slice * SUMS + index) * LANES + lane];
    }
    return sum;
}

// Between what an invocation leaves in workgroup memory and what another one takes.
fn meet() {
    if SPLIT > 1u {
        workgroupBarrier();
    }
}

// Between two steps: what one invocation of a workgroup stored, all of it see.
fn end_step(more: bool) {
    if MANY && more {
        storageBarrier();
        workgroupBarrier();
    }
}
