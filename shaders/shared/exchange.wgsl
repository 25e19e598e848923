// Steps by exchange, for an H whose recurrent weights many workgroups hold together: PARTS workgroups own ROWS rows
// of the batch for all steps of a dispatch, COLUMNS units each. Before each product they hand their part of the
// operand to each other. Here is how the work is divided; shared/sequence.wgsl has what is the same however it is.
// They are multiplied tile by tile: shared/tile.wgsl. workgroups: (PARTS, ceil(B / ROWS), cells).
//
// Departures from the plain loops of the twins, in all of these kernels:
// 1. The recurrent weights are loaded once and stay in registers: so the text is unrolled.
// 2. The operand goes from workgroup to workgroup through words of storage that carry a flag in the last bit, so that
//    there is no counter to wait at and no fence: a word is looked at until its flag is the one that is expected. The
//    flag of a half changes with each use of it. What is multiplied has lost its last bit; what is stored has not.
// 3. A half is written anew only after all have read it: who has all of the words after it knows that their writers
//    had.
// 4. All workgroups of some rows have to run at a time. They meet first; if some have not come after a while, those
//    that are there leave, and so will all: the settlement after the dispatch then computes these rows, to the same
//    bits.
// 5. After the meeting a workgroup whose look at a word was the last it had takes NaN for it, and so does all that
//    comes of it. No driver is known that stops a workgroup for so long.
// 6. Gates lie where x_proj lay and gradients where gates lay: an item replaces what only it reads.

// How often the first of a workgroup looks whether the others have come, and each invocation for words of the operand
// in all.
override MEETING_LOOKS: u32;
override LOOKS: u32;

var<workgroup> is_met: u32;

// Looks that have been had; and in bit `half` the flag of the words of that half, of those to come.
var<private> looks: u32;
var<private> flags: u32 = 3u;

// A word as it is now. What is added to its place is zero, which no compiler can know: one that takes the load out of a
// loop, as that of lavapipe does, would look at one number for ever.
fn look_again(at: u32, looks_had: u32) -> u32 {
    return atomicLoad(&ring[at + ((looks_had & params.steps) >> 31u)]);
}

// Whether all workgroups of these rows run. The decision is one word, which is final as soon as it counts PARTS or has
// its highest bit: so all agree.
fn meet(workgroup: vec3<u32>, invocation: u32) -> bool {
    const CLOSED = 0x80000000u;
    if invocation == 0u {
        let at = meeting_at(workgroup.z, workgroup.y);
        var seen = atomicAdd(&ring[at], 1u) + 1u;
        for (var look = 0u; seen < PARTS && look < MEETING_LOOKS; look++) {
            seen = look_again(at, look);
        }
        while seen < PARTS {
            let result = atomicCompareExchangeWeak(&ring[at], seen, seen | CLOSED);
            seen = select(result.old_value, seen | CLOSED, result.exchanged);
        }
        is_met = u32(seen == PARTS);
        if workgroup.x == 0u && seen != PARTS {
            for (var row = 0u; row < ROWS; row++) {
                atomicStore(&ring[abandoned_at(workgroup.z, workgroup.y * ROWS + row)], 1u);
            }
        }
    }
    return workgroupUniformLoad(&is_met) == 1u;
}

// Element k of the operand of an item's row, in a half: 0 or 1.
fn put(item: Item, half: u32, k: u32, value: f32) {
    atomicStore(&ring[ring_at(item.cell, half, item.row) + k], word_of(value) | ((flags >> half) & 1u));
}

// Where the word for element k of a row of a tile is found. Rows past the batch take those of the last one.
fn word_at(workgroup: vec3<u32>, half: u32, row: u32, k: u32) -> u32 {
    return ring_at(workgroup.z, half, min(workgroup.y * ROWS + row, params.batch - 1u)) + k;
}
