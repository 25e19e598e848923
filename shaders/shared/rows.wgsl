// Steps by rows, forward and backward, for small H: a workgroup owns ROWS rows of the batch for all steps of a
// dispatch. Here is how the work is divided; shared/sequence.wgsl has what is the same however it is.
//
// SLICES neighbouring invocations, a group, own UNITS neighbouring units. Each multiplies its slice of the operand,
// vec4 s, s + SLICES, s + 2 SLICES .. of it, for all rows and units of the group. Then the slices are added, and each
// invocation finishes some of the ROWS * UNITS numbers: its items. workgroups: (1, ceil(B / ROWS), cells).
//
// Departures from the plain loops of the twins, in all of these kernels:
// 1. The recurrent weights are loaded once and stay in registers. Hence the unrolled text: WGSL has no unroll hint, and
//    an array that a loop indexes leaves the registers.
// 2. What is multiplied, the operand, lies in workgroup memory: [2, ROWS, OPERAND]. A step with one product reads one
//    half and writes the other, so that it has one barrier. With two products each has a half of its own. Slices that
//    are added in workgroup memory take one more barrier a product.
// 3. What comes from storage is loaded some steps before its step, into registers of its own. A step takes what was
//    loaded out of them before it loads anew. How far ahead pays is measured: benches/RECORD.md.
// 4. Gates lie where x_proj lay and gradients where gates lay: an item replaces what only it reads.
// 5. Behind the operand's end there are zeros and weights of zero, up to a whole vec4 for every slice.

// Item e of an invocation.
fn item_of(workgroup: vec3<u32>, invocation: u32, e: u32) -> Item {
    let slice = invocation % SLICES;
    let index = e * SPREAD + slice % SPREAD;
    let row = workgroup.y * ROWS + index / UNITS;
    let unit = invocation / SLICES * UNITS + index % UNITS;
    let is_own = slice < SPREAD && index < ROWS * UNITS && row < params.batch && unit < HIDDEN;
    let there = min(row, params.batch - 1u);
    let there_unit = min(unit, HIDDEN - 1u);
    return Item(workgroup.z, there, there_unit, min(index / UNITS, ROWS - 1u), there_unit, is_own, end_of(there));
}

// Element k of the operand of an item's row, in a half: 0 or 1.
fn put(item: Item, half: u32, k: u32, value: f32) {
    set_operand((half * ROWS + item.local_row) * OPERAND + k, value);
}
