// The place of the largest number of each row. One workgroup a row.
//
// Of equal numbers the first one counts, as in NumPy and PyTorch; NaN is less than all others, so it is picked from
// a row of nothing else alone.

// [rows, columns], the bits of f32: WGSL lets a compiler assume that no number is NaN, and take the smallest for 0.
@group(0) @binding(0) var<storage, read> logits: array<u32>;
// [rows]
@group(0) @binding(1) var<storage, read_write> picked: array<u32>;

override COLUMNS: u32;

const LANES = 64u;

struct Candidate {
    key: u32,
    column: u32,
}

var<workgroup> candidates: array<Candidate, LANES>;

// Whole numbers in the order of the f32 that they stand for. -0 is as large as 0; NaN becomes 0, the least of all.
fn key_of(bits: u32) -> u32 {
    let size = bits & 0x7fffffffu;
    if size > 0x7f800000u {
        return 0u;
    }
    return select(0x80000000u + size, 0x80000000u - size, bits != size);
}

fn better(a: Candidate, b: Candidate) -> Candidate {
    if b.key > a.key || (b.key == a.key && b.column < a.column) {
        return b;
    }
    return a;
}

@compute @workgroup_size(64)
fn argmax(@builtin(workgroup_id) row: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    // Behind the last column: a lane that has none never wins against one that has.
    var best = Candidate(0u, COLUMNS);
    for (var column = lane; column < COLUMNS; column += LANES) {
        best = better(best, Candidate(key_of(logits[row.x * COLUMNS + column]), column));
    }
    candidates[lane] = best;
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            candidates[lane] = better(candidates[lane], candidates[lane + half]);
        }
    }
    if lane == 0u {
        picked[row.x] = candidates[0].column;
    }
}
