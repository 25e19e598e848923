#import shared/matmul

// Matrix product for GPUs, through workgroup memory. Interface and bindings: shared/matmul.wgsl.
//
// A workgroup of 8 x 8 invocations owns a tile of TILE x TILE elements of c, 64 or 32. An invocation owns 4 x 4 of each
// of the four quarters of a tile of 64, or 4 x 4 of a tile of 32.
// workgroups: (ceil(n / TILE), ceil(m / TILE), parts of the sums).
//
// Departures from the plain loop of the twin (reference::matmul):
// 1. k is walked in slabs of 16 (of 32 with the small tile). Every invocation brings one block of 4 x 4 of a and one of
//    b into each slab, with loads of four neighbours along the axis in which their memory is contiguous; neighbouring
//    invocations load neighbouring blocks.
// 2. Both slabs lie with k outermost as vec4, so that transposes cost nothing in the inner loop: for each k, 4 loads of
//    vec4 for 64 multiply-adds (2 for 16).
// 3. The vec4 of a k are permuted by an exclusive or with the number of the block, so that no two invocations of a
//    quarter of a warp hit the same bank, writing or reading.
// 4. Rows and columns outside the matrices read the last ones inside, and are not stored. Past the end of k there are
//    zeros.
// 5. With LONG_K a sum has parts of 64.

override TILE: u32;

// 1024 numbers of each operand.
var<workgroup> slab_a: array<vec4<f32>, 256>;
var<workgroup> slab_b: array<vec4<f32>, 256>;

// The 4 x 4 of each quarter of the tile: above left, above right, below left, below right. Column i is row i.
struct Sums {
    quarter00: mat4x4<f32>,
    quarter01: mat4x4<f32>,
    quarter10: mat4x4<f32>,
    quarter11: mat4x4<f32>,
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) invocation: u32) {
    // How many vec4 a k has in a slab, and how many blocks of 4 k's there are.
    let width = TILE / 4u;
    let depth = 64u / width;
    // Which block this invocation brings: along the tile, along k.
    let down = vec2<u32>(invocation % width, invocation / width);
    let across = vec2<u32>(invocation / depth, invocation % depth);
    let a_block = select(across, down, TRANSPOSE_A);
    let b_block = select(down, across, TRANSPOSE_B);
    let a_row = inside(workgroup.y * TILE + a_block.x * 4u, params.m);
    let b_column = inside(workgroup.x * TILE + b_block.x * 4u, params.n);
    let a_lines = lines_a(a_row);
    let b_lines = lines_b(b_column);
    let a_index = slab_index(a_block.x, a_block.y);
    let b_index = slab_index(b_block.x, b_block.y);
    // The 4 x 4 of a quarter that this invocation owns.
    let x = invocation % 8u;
    let y = invocation / 8u;

    var sums = Sums();
    // The sums of the parts so far.
    var totals = Sums();
    part_of_sums = workgroup.z;
    let first = workgroup.z * params.part;
    let last = min(first + params.part, params.k);
    for (var begin = first; begin < last; begin += part_of_k(64u)) {
        let end_of_part = min(begin + part_of_k(64u), last);
        for (var k = begin; k < end_of_part; k += depth * 4u) {
            var brought = mat4x4<f32>();
            if k + a_block.y * 4u < params.k {
                brought = block_a(a_lines, a_row, k + a_block.y * 4u);
            }
            slab_a[a_index] = brought[0];
            slab_a[a_index + width] = brought[1];
            slab_a[a_index + width * 2u] = brought[2];
            slab_a[a_index + width * 3u] = brought[3];
            brought = mat4x4<f32>();
            if k + b_block.y * 4u < params.k {
                brought = block_b(b_lines, b_column, k + b_block.y * 4u);
            }
            slab_b[b_index] = brought[0];
            slab_b[b_index + width] = brought[1];
            slab_b[b_index + width * 2u] = brought[2];
            slab_b[b_index + width * 3u] = brought[3];
            workgroupBarrier();
            for (var block = 0u; block < depth; block++) {
                let from_a = slab_index(y, block);
                let from_b = slab_index(x, block);
                add(&sums, from_a, from_b);
                add(&sums, from_a + width, from_b + width);
                add(&sums, from_a + width * 2u, from_b + width * 2u);
                add(&sums, from_a + width * 3u, from_b + width * 3u);
            }
            workgroupBarrier();
        }
        if LONG_K {
            add_part(&totals, sums);
            sums = Sums();
        }
    }
    if LONG_K {
        sums = totals;
    }

    let row = workgroup.y * TILE + y * 4u;
    let column = workgroup.x * TILE + x * 4u;
    let bias0 = bias_of(column);
    store_rows(row, column, sums.quarter00, bias0);
    if TILE == 64u {
        let bias1 = bias_of(column + 32u);
        store_rows(row, column + 32u, sums.quarter01, bias1);
        store_rows(row + 32u, column, sums.quarter10, bias0);
        store_rows(row + 32u, column + 32u, sums.quarter11, bias1);
    }
}

// Where vec4 `line` of the first k of a block lies in a slab. That of the next k lies TILE / 4 further.
fn slab_index(line: u32, block: u32) -> u32 {
    return block * TILE + (line ^ (block * (TILE / 32u)));
}

fn add_part(totals: ptr<function, Sums>, part: Sums) {
    (*totals).quarter00 += part.quarter00;
    if TILE == 64u {
        (*totals).quarter01 += part.quarter01;
        (*totals).quarter10 += part.quarter10;
        (*totals).quarter11 += part.quarter11;
    }
}

// Adds one k: its vec4 of a and b, and those 8 further in the slab, which is 32 rows and 32 columns further in the
// tile.
fn add(sums: ptr<function, Sums>, from_a: u32, from_b: u32) {
    let a0 = slab_a[from_a];
    let b0 = slab_b[from_b];
    (*sums).quarter00 = add_outer((*sums).quarter00, a0, b0);
    if TILE == 64u {
        let a1 = slab_a[from_a + 8u];
        let b1 = slab_b[from_b + 8u];
        (*sums).quarter01 = add_outer((*sums).quarter01, a0, b1);
        (*sums).quarter10 = add_outer((*sums).quarter10, a1, b0);
        (*sums).quarter11 = add_outer((*sums).quarter11, a1, b1);
    }
}

fn add_outer(sums: mat4x4<f32>, a: vec4<f32>, b: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(
        fma(vec4<f32>(a.x), b, sums[0]),
        fma(vec4<f32>(a.y), b, sums[1]),
        fma(vec4<f32>(a.z), b, sums[2]),
        fma(vec4<f32>(a.w), b, sums[3]),
    );
}
