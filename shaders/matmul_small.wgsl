#import shared/matmul

// Matrix product for GPUs, for products of few tiles: through workgroup memory, like matmul_tiled.wgsl, but with more
// workgroups. Interface and bindings: shared/matmul.wgsl.
//
// A workgroup of 8 x 8 invocations owns a tile of 32 x 32 elements of c, each invocation 4 x 4 of them.
// workgroups: (ceil(n / 32), ceil(m / 32), parts of the sums).
//
// Departures from the plain loop of the twin (reference::matmul):
// 1. k is walked in slabs of 32. Every invocation brings one block of 4 x 4 of a and one of b into each slab, with
//    loads of four neighbours along the axis in which their memory is contiguous; neighbouring invocations load
//    neighbouring blocks.
// 2. Both slabs lie with k outermost as vec4, so that transposes cost nothing in the inner loop: for each k, 2 loads of
//    vec4 for 16 multiply-adds.
// 3. The vec4 of a k are permuted by an exclusive or with the number of the block, so that no two invocations of a
//    quarter of a warp hit the same bank, writing or reading.
// 4. Rows and columns outside the matrices read the last ones inside, and are not stored. Past the end of k there are
//    zeros.
// 5. With LONG_K a sum has parts of 128.

// vec4 of a k in a slab, and blocks of 4 k's.
const WIDTH = 8u;
const DEPTH = 8u;

var<workgroup> slab_a: array<vec4<f32>, 256>;
var<workgroup> slab_b: array<vec4<f32>, 256>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) invocation: u32) {
    // Which block this invocation brings: along the tile, along k.
    let down = vec2<u32>(invocation % WIDTH, invocation / WIDTH);
    let across = vec2<u32>(invocation / DEPTH, invocation % DEPTH);
    let a_block = select(across, down, TRANSPOSE_A);
    let b_block = select(down, across, TRANSPOSE_B);
    let a_row = inside(workgroup.y * 32u + a_block.x * 4u, params.m);
    let b_column = inside(workgroup.x * 32u + b_block.x * 4u, params.n);
    let a_lines = lines_a(a_row);
    let b_lines = lines_b(b_column);
    let a_index = slab_index(a_block.x, a_block.y);
    let b_index = slab_index(b_block.x, b_block.y);
    // The 4 x 4 that this invocation owns.
    let x = invocation % 8u;
    let y = invocation / 8u;

    // Column i is row i of c.
    var sums = mat4x4<f32>();
    // The sums of the parts so far.
    var totals = mat4x4<f32>();
    part_of_sums = workgroup.z;
    let first = workgroup.z * params.part;
    let last = min(first + params.part, params.k);
    for (var begin = first; begin < last; begin += part_of_k(128u)) {
        let end_of_part = min(begin + part_of_k(128u), last);
        for (var k = begin; k < end_of_part; k += DEPTH * 4u) {
            var brought = mat4x4<f32>();
            if k + a_block.y * 4u < params.k {
                brought = block_a(a_lines, a_row, k + a_block.y * 4u);
            }
            slab_a[a_index] = brought[0];
            slab_a[a_index + WIDTH] = brought[1];
            slab_a[a_index + WIDTH * 2u] = brought[2];
            slab_a[a_index + WIDTH * 3u] = brought[3];
            brought = mat4x4<f32>();
            if k + b_block.y * 4u < params.k {
                brought = block_b(b_lines, b_column, k + b_block.y * 4u);
            }
            slab_b[b_index] = brought[0];
            slab_b[b_index + WIDTH] = brought[1];
            slab_b[b_index + WIDTH * 2u] = brought[2];
            slab_b[b_index + WIDTH * 3u] = brought[3];
            workgroupBarrier();
            for (var block = 0u; block < DEPTH; block++) {
                let from_a = slab_index(y, block);
                let from_b = slab_index(x, block);
                sums = add_outer(sums, slab_a[from_a], slab_b[from_b]);
                sums = add_outer(sums, slab_a[from_a + WIDTH], slab_b[from_b + WIDTH]);
                sums = add_outer(sums, slab_a[from_a + WIDTH * 2u], slab_b[from_b + WIDTH * 2u]);
                sums = add_outer(sums, slab_a[from_a + WIDTH * 3u], slab_b[from_b + WIDTH * 3u]);
            }
            workgroupBarrier();
        }
        if LONG_K {
            totals += sums;
            sums = mat4x4<f32>();
        }
    }
    if LONG_K {
        sums = totals;
    }

    let column = workgroup.x * 32u + x * 4u;
    store_rows(workgroup.y * 32u + y * 4u, column, sums, bias_of(column));
}

// Where vec4 `line` of the first k of a block lies in a slab. That of the next k lies WIDTH further.
fn slab_index(line: u32, block: u32) -> u32 {
    return block * 4u * WIDTH + (line ^ block);
}
