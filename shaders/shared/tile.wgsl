// How a workgroup multiplies a tile, TILE rows of the batch by COLUMNS units; src/kernels/generated/tile.rs writes out
// the sums.
//
// A subgroup is GROUPS groups of SLICES neighbouring invocations. A group owns UNITS neighbouring units, those of the
// same group in all subgroups. Each of its invocations, of all SPLITS subgroups, multiplies a slice of the operand of
// TILE rows, in workgroup memory. So a load from there serves UNITS units, and invocations that have the same slice
// share it. The slices are added in the subgroup, then in workgroup memory, where each invocation finishes some of the
// ROWS * COLUMNS numbers: its items, of which neighbours have neighbouring units. Where there are no subgroups, SLICES
// is 1.

// Item e of an invocation.
#ifdef SOFTWARE
fn item_of(workgroup: vec3<u32>, invocation: u32, e: u32) -> Item {
    let index = e / UNITS * COLUMNS + invocation * UNITS + e % UNITS;
#else
fn item_of(workgroup: vec3<u32>, invocation: u32, e: u32) -> Item {
    let index = e * WORKGROUP + invocation;
#endif
    let local_row = index / COLUMNS;
    let row = workgroup.y * ROWS + local_row;
    let unit = workgroup.x * COLUMNS + index % COLUMNS;
    let is_own = local_row < ROWS && row < params.batch && unit < HIDDEN;
    let there = min(row, params.batch - 1u);
    let there_unit = min(unit, HIDDEN - 1u);
    let local_there = min(local_row, ROWS - 1u);
    return Item(workgroup.z, there, there_unit, local_there, index % COLUMNS, is_own, end_of(there));
}

#ifdef SOFTWARE
#else

// Sums of slices of a tile: component, subgroup, row and unit.
var<workgroup> sums_of_subgroups: array<f32, SUMS>;

// Where the first component of a sum of a subgroup lies; the group's number e, rows before units.
fn sum_at(split: u32, group: u32, e: u32) -> u32 {
    return (split * TILE + e / UNITS) * COLUMNS + group * UNITS + e % UNITS;
}

#endif
