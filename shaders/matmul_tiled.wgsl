#import shared/matmul

// Matrix product for GPUs, through workgroup memory. Interface and bindings: shared/matmul.wgsl.
//
// A workgroup of 128 WARPS invocations, of 1 or 2 warps across and 4 down, owns a tile of 128 x 64 WARPS elements of c.
// An invocation owns 4 x 4 of each of the four quarters of the tile.
// workgroups: (ceil(n / (64 WARPS)), ceil(m / 128), parts of the sums).
//
// Departures from the plain loop of the twin (reference::matmul):
// 1. k is walked in slabs of 8. There are two of each operand, in turn: while one is multiplied, loads for the other
//    are under way, and a slab takes one barrier.
// 2. The first 64 invocations bring a block of 4 x 4 of a into each slab, the next 32 WARPS one of b, with loads of
//    four neighbours along the axis in which their memory is contiguous; neighbouring invocations load neighbouring
//    blocks. So each warp has one operand, and every scheduler of a multiprocessor has warps that load and warps that
//    do not.
// 3. Slabs lie with k outermost as vec4, so that transposes cost nothing in the inner loop: for each k, 4 loads of vec4
//    for 64 multiply-adds.
// 4. The vec4 of the last four k of a slab lie 4 places away, by an exclusive or: no two invocations of a quarter of a
//    warp hit the same bank, writing or reading.
// 5. Rows and columns outside the matrices read the last ones inside, and are not stored. Past the end of k there are
//    zeros.
// 6. With LONG_K a sum has parts of 128. Registers hold no second set of sums without being short of them, so each part
//    is added to c; unless that holds another long sum, whose chain of additions would become longer.

override WARPS: u32;

const ROWS: u32 = 128u;
const DEPTH: u32 = 8u;
// vec4 of a k in a slab of a. In one of b there are 16 WARPS.
const WIDTH_A: u32 = 32u;

var<workgroup> slab_a: array<vec4<f32>, 2u * DEPTH * WIDTH_A>;
var<workgroup> slab_b: array<vec4<f32>, 256u * WARPS>;

// The 4 x 4 of each quarter of the tile: above left, above right, below left, below right. Column i is row i.
struct Sums {
    quarter00: mat4x4<f32>,
    quarter01: mat4x4<f32>,
    quarter10: mat4x4<f32>,
    quarter11: mat4x4<f32>,
}

// What an invocation brings: blocks of a or of b, or nothing.
struct Errand {
    of_a: bool,
    of_b: bool,
    // The first of its four rows of op(a), or columns of op(b), and where the lines that hold them begin.
    at: u32,
    lines: vec4<u32>,
    // Its first k in a slab, and where it lies there.
    k: u32,
    place: u32,
}

@compute @workgroup_size(128u * WARPS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) invocation: u32) {
    let tile = workgroup.yx * vec2<u32>(ROWS, 64u * WARPS);
    let errand = errand_of(invocation, tile);
    // The 4 x 4 of a quarter that this invocation owns: a warp has 4 x 8 of these.
    let warp = invocation / 32u;
    let lane = invocation % 32u;
    let y = warp / WARPS * 4u + lane / 8u;
    let x = warp % WARPS * 8u + lane % 8u;
    let row = tile.x + y * 4u;
    let column = tile.y + x * 4u;

    part_of_sums = workgroup.z;
    // The sums of the parts so far, where c holds something else.
    var totals = Sums();
    let first = workgroup.z * params.part;
    let last = min(first + params.part, params.k);
    for (var begin = first; begin < last; begin += part_of_k(128u)) {
        let end = min(begin + part_of_k(128u), last);
        var sums = Sums();
        put(errand, 0u, block_of(errand, begin, end));
        workgroupBarrier();
        var slab = 0u;
        for (var k = begin; k < end; k += DEPTH) {
            // Behind the last slab there is one of zeros, which nobody multiplies.
            let next = block_of(errand, k + DEPTH, end);
            for (var k4 = 0u; k4 < DEPTH; k4 += 4u) {
                let from_a = (slab * DEPTH + k4) * WIDTH_A + (y ^ k4);
                let from_b = (slab * DEPTH + k4) * 16u * WARPS + (x ^ k4);
                add(&sums, from_a, from_b);
                add(&sums, from_a + WIDTH_A, from_b + 16u * WARPS);
                add(&sums, from_a + 2u * WIDTH_A, from_b + 32u * WARPS);
                add(&sums, from_a + 3u * WIDTH_A, from_b + 48u * WARPS);
            }
            slab = 1u - slab;
            put(errand, slab, next);
            workgroupBarrier();
        }

        if LONG_K && ACCUMULATE {
            totals.quarter00 += sums.quarter00;
            totals.quarter01 += sums.quarter01;
            totals.quarter10 += sums.quarter10;
            totals.quarter11 += sums.quarter11;
        } else {
            store_tile(row, column, sums, begin == first);
            adds_to_c = true;
        }
    }
    if LONG_K && ACCUMULATE {
        store_tile(row, column, totals, true);
    }
}

fn store_tile(row: u32, column: u32, sums: Sums, has_bias: bool) {
    let bias0 = select(vec4<f32>(), bias_of(column), has_bias);
    let bias1 = select(vec4<f32>(), bias_of(column + 32u * WARPS), has_bias);
    store_rows(row, column, sums.quarter00, bias0);
    store_rows(row, column + 32u * WARPS, sums.quarter01, bias1);
    store_rows(row + ROWS / 2u, column, sums.quarter10, bias0);
    store_rows(row + ROWS / 2u, column + 32u * WARPS, sums.quarter11, bias1);
}

fn errand_of(invocation: u32, tile: vec2<u32>) -> Errand {
    let of_a = invocation < ROWS / 2u;
    let of_b = !of_a && invocation < ROWS / 2u + 32u * WARPS;
    // Along the tile, along k.
    let width = select(16u * WARPS, WIDTH_A, of_a);
    let number = invocation - select(ROWS / 2u, 0u, of_a);
    let along_k = vec2<u32>(number / (DEPTH / 4u), number % (DEPTH / 4u));
    let along_tile = vec2<u32>(number % width, number / width);
    let block = select(along_tile, along_k, select(TRANSPOSE_B, !TRANSPOSE_A, of_a));
    let k = block.y * 4u;
    let place = k * width + (block.x ^ k);
    if of_a {
        let row = inside(tile.x + block.x * 4u, params.m);
        return Errand(of_a, of_b, row, lines_a(row), k, place);
    }
    let column = inside(tile.y + block.x * 4u, params.n);
    return Errand(of_a, of_b, column, lines_b(column), k, place);
}

// The block that an invocation brings into the slab from k on: zeros from `end` on.
fn block_of(errand: Errand, k: u32, end: u32) -> mat4x4<f32> {
    if errand.of_a && k + errand.k < end {
        return block_a(errand.lines, errand.at, k + errand.k);
    }
    if errand.of_b && k + errand.k < end {
        return block_b(errand.lines, errand.at, k + errand.k);
    }
    return mat4x4<f32>();
}

fn put(errand: Errand, slab: u32, block: mat4x4<f32>) {
    if errand.of_a {
        let at = slab * DEPTH * WIDTH_A + errand.place;
        slab_a[at] = block[0];
        slab_a[at + WIDTH_A] = block[1];
        slab_a[at + 2u * WIDTH_A] = block[2];
        slab_a[at + 3u * WIDTH_A] = block[3];
    } else if errand.of_b {
        let at = slab * 128u * WARPS + errand.place;
        slab_b[at] = block[0];
        slab_b[at + 16u * WARPS] = block[1];
        slab_b[at + 32u * WARPS] = block[2];
        slab_b[at + 48u * WARPS] = block[3];
    }
}

// Adds one k: its vec4 of a and b, and those half a tile further.
fn add(sums: ptr<function, Sums>, from_a: u32, from_b: u32) {
    let a0 = slab_a[from_a];
    let a1 = slab_a[from_a + WIDTH_A / 2u];
    let b0 = slab_b[from_b];
    let b1 = slab_b[from_b + 8u * WARPS];
    (*sums).quarter00 = add_outer((*sums).quarter00, a0, b0);
    (*sums).quarter01 = add_outer((*sums).quarter01, a0, b1);
    (*sums).quarter10 = add_outer((*sums).quarter10, a1, b0);
    (*sums).quarter11 = add_outer((*sums).quarter11, a1, b1);
}
