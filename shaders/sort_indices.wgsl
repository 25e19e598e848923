// One pass of a merge sort of the places 0 .. len by what input [len] holds there, equal ones by their places: runs of
// `width` places that are in order become runs of twice as many. A place goes as far beyond the begin of these as
// places of its own run and of the other one come before it.
//
// source, destination [len]: places. With FIRST the runs are of one place each, and source is not read.
//
// An invocation takes every (256 * workgroups)-th place. The passes together have the twin reference::sort_indices.

struct SortIndicesParams {
    len: u32,
    width: u32,
    input_offset: u32,
    workgroups: u32,
}

override FIRST: bool;

@group(0) @binding(0) var<uniform> params: SortIndicesParams;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read> source: array<u32>;
@group(0) @binding(3) var<storage, read_write> destination: array<u32>;

fn place(k: u32) -> u32 {
    if FIRST {
        return k;
    }
    return source[k];
}

fn index(k: u32) -> u32 {
    return input[params.input_offset + place(k)];
}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) global: vec3<u32>) {
    for (var k = global.x; k < params.len; k += params.workgroups * 256u) {
        let own = index(k);
        let begin = k - k % (2u * params.width);
        let middle = min(begin + params.width, params.len);
        let is_left = k < middle;
        var low = select(begin, middle, is_left);
        var high = select(middle, min(middle + params.width, params.len), is_left);
        let passed = low;
        while low < high {
            let center = (low + high) / 2u;
            let other = index(center);
            if other < own || (!is_left && other == own) {
                low = center + 1u;
            } else {
                high = center;
            }
        }
        let before = k - select(middle, begin, is_left) + low - passed;
        destination[begin + before] = place(k);
    }
}
