// What follows an exchange: a workgroup for each row. If the workgroups of its rows did not all run at a time, it takes
// all steps of its row, with weights from storage, in the order of sums that the exchange has, and an operand without
// its last bit, so to the same bits. Then it leaves zeros in the ring. workgroups: (1, B, cells).

var<workgroup> was_abandoned: u32;

// Item e of an invocation.
fn item_of(workgroup: vec3<u32>, invocation: u32, e: u32) -> Item {
    let unit = e * WORKGROUP + invocation;
    let there = min(unit, HIDDEN - 1u);
    return Item(workgroup.z, workgroup.y, there, 0u, there, unit < HIDDEN, end_of(workgroup.y));
}

// Whether this row is still to be done. No other workgroup looks at what it clears.
fn is_abandoned(workgroup: vec3<u32>, invocation: u32) -> bool {
    if invocation == 0u {
        was_abandoned = atomicLoad(&ring[abandoned_at(workgroup.z, workgroup.y)]);
        atomicStore(&ring[abandoned_at(workgroup.z, workgroup.y)], 0u);
        if workgroup.y % GROUP_ROWS == 0u {
            atomicStore(&ring[meeting_at(workgroup.z, workgroup.y / GROUP_ROWS)], 0u);
        }
    }
    return workgroupUniformLoad(&was_abandoned) == 1u;
}

fn clear_ring(workgroup: vec3<u32>, invocation: u32) {
    for (var half = 0u; half < 2u; half++) {
        for (var k = invocation; k < RING; k += WORKGROUP) {
            atomicStore(&ring[ring_at(workgroup.z, half, workgroup.y) + k], 0u);
        }
    }
}

// Element k of the operand, in a half: 0 or 1.
fn put(item: Item, half: u32, k: u32, value: f32) {
    atomicStore(&ring[ring_at(item.cell, half, item.row) + k], word_of(value));
}

// Elements k to k + 3 of an operand that is `len` long: zero behind it.
fn operand_of(item: Item, half: u32, k: u32, len: u32) -> vec4<f32> {
    let begin = ring_at(item.cell, half, item.row);
    let last = len - 1u;
    let words = vec4<u32>(
        atomicLoad(&ring[begin + min(k, last)]),
        atomicLoad(&ring[begin + min(k + 1u, last)]),
        atomicLoad(&ring[begin + min(k + 2u, last)]),
        atomicLoad(&ring[begin + min(k + 3u, last)]),
    );
    let numbers = bitcast<vec4<f32>>(words);
    return select(vec4<f32>(), numbers, vec4<u32>(k, k + 1u, k + 2u, k + 3u) < vec4<u32>(len));
}
