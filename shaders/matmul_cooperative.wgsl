enable f16;
enable wgpu_cooperative_matrix;
#import shared/matmul

// Matrix product in f16 with f32 sums, for devices whose subgroups multiply matrices of 16 x 16 (SIZE_16) or of 8 x 8
// as a whole. Interface and bindings: shared/matmul.wgsl.
//
// A workgroup of 4 subgroups owns a tile of 4 x 4 matrices of c. Each subgroup owns one matrix of each quarter of the
// tile. workgroups: (ceil(n / TILE), ceil(m / TILE), 1).
//
// Departures from the plain loop of the twin (reference::matmul):
// 1. Operands become f16: finite ones beyond 65504 become that, below 2^-24 zero. A device may flush those below 2^-14
//    to zero too.
// 2. k is walked in slabs of 32. Invocations bring blocks of 4 x 4 into workgroup memory, as in matmul_tiled.wgsl. A
//    slab has the order of the operand's memory: four neighbours there are four neighbours here.
// 3. The sums are in matrices, whose elements no invocation can address. At the end one quarter of the tile after the
//    other goes through workgroup memory to c.
// 4. Rows and columns outside the matrices hold the last ones inside, and are not stored. Past the end of k there are
//    zeros.
// 5. With LONG_K a sum has parts of 64.
//
// What a whole subgroup does is never in a branch that depends on an invocation. No index into workgroup memory depends
// on anything but the number of the subgroup, the invocation and loops of constant length: a matrix begins at most at
// SLAB - (SIZE - 1) * line - SIZE, where line is ACROSS or DOWN, and so ends within.

#ifdef SIZE_16
const SIZE = 16u;

alias Left = coop_mat16x16<f16, A>;
alias Right = coop_mat16x16<f16, B>;
alias Sum = coop_mat16x16<f32, C>;
#else
const SIZE = 8u;

alias Left = coop_mat8x8<f16, A>;
alias Right = coop_mat8x8<f16, B>;
alias Sum = coop_mat8x8<f32, C>;
#endif

// The size of a subgroup.
override LANES: u32;

const TILE = 4u * SIZE;
const DEPTH = 32u;
// Lines of a slab: along k, or along the tile. They are longer by 16 bytes, so that the lines of a matrix begin in
// different banks.
const ACROSS = DEPTH + 8u;
const DOWN = TILE + 8u;
const SLAB = max(TILE * ACROSS, DEPTH * DOWN);
// Lines of a quarter of the tile.
const QUARTER = 2u * SIZE;
const LINE = QUARTER + 4u;
// The bits of 65504, the largest finite f16, as f32. A larger number could become anything.
const LARGEST = 0x477fe000u;

// Lines are rows of op(a), or its columns with TRANSPOSE_A.
var<workgroup> slab_a: array<f16, SLAB>;
// Lines are columns of op(b) with TRANSPOSE_B, or its rows.
var<workgroup> slab_b: array<f16, SLAB>;
var<workgroup> quarter: array<f32, QUARTER * LINE>;

@compute @workgroup_size(4u * LANES)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
    @builtin(subgroup_id) subgroup: u32,
) {
    let tile = workgroup.yx * TILE;
    // Where this subgroup's matrix begins in a quarter: row, column.
    let own = vec2<u32>(subgroup / 2u, subgroup % 2u) * SIZE;
    var sum00 = Sum();
    var sum01 = Sum();
    var sum10 = Sum();
    var sum11 = Sum();
    // The sums of the parts so far.
    var total00 = Sum();
    var total01 = Sum();
    var total10 = Sum();
    var total11 = Sum();
    for (var begin = 0u; begin < params.k; begin += part_of_k(64u)) {
        let end_of_part = min(begin + part_of_k(64u), params.k);
        for (var k = begin; k < end_of_part; k += DEPTH) {
            for (var block = invocation; block < TILE * DEPTH / 16u; block += 4u * LANES) {
                bring_a(tile.x, k, block);
                bring_b(tile.y, k, block);
            }
            workgroupBarrier();
            for (var step = 0u; step < DEPTH; step += SIZE) {
                let above = left(own.x, step);
                let below = left(own.x + QUARTER, step);
                let first = right(own.y, step);
                let second = right(own.y + QUARTER, step);
                sum00 = coopMultiplyAdd(above, first, sum00);
                sum01 = coopMultiplyAdd(above, second, sum01);
                sum10 = coopMultiplyAdd(below, first, sum10);
                sum11 = coopMultiplyAdd(below, second, sum11);
            }
            workgroupBarrier();
        }
        if LONG_K {
            total00 = total00 + sum00;
            sum00 = Sum();
            total01 = total01 + sum01;
            sum01 = Sum();
            total10 = total10 + sum10;
            sum10 = Sum();
            total11 = total11 + sum11;
            sum11 = Sum();
        }
    }
    if LONG_K {
        sum00 = total00;
        sum01 = total01;
        sum10 = total10;
        sum11 = total11;
    }

    coopStoreT(sum00, &quarter[own.x * LINE + own.y], LINE);
    store_quarter(tile, invocation);
    coopStoreT(sum01, &quarter[own.x * LINE + own.y], LINE);
    store_quarter(tile + vec2<u32>(0u, QUARTER), invocation);
    coopStoreT(sum10, &quarter[own.x * LINE + own.y], LINE);
    store_quarter(tile + vec2<u32>(QUARTER, 0u), invocation);
    coopStoreT(sum11, &quarter[own.x * LINE + own.y], LINE);
    store_quarter(tile + vec2<u32>(QUARTER), invocation);
}

// The matrix of op(a) from a row and k of the slab on.
fn left(row: u32, k: u32) -> Left {
    if TRANSPOSE_A {
        return coopLoad<Left>(&slab_a[k * DOWN + row], DOWN);
    }
    return coopLoadT<Left>(&slab_a[row * ACROSS + k], ACROSS);
}

// The matrix of op(b) from a column and k of the slab on.
fn right(column: u32, k: u32) -> Right {
    if TRANSPOSE_B {
        return coopLoad<Right>(&slab_b[column * ACROSS + k], ACROSS);
    }
    return coopLoadT<Right>(&slab_b[k * DOWN + column], DOWN);
}

// Where a block of 4 x 4 begins in the slab, along the tile and along k: neighbouring blocks are neighbours in memory.
fn block_origin(block: u32, is_along_k: bool) -> vec2<u32> {
    let across = vec2<u32>(block / (DEPTH / 4u), block % (DEPTH / 4u));
    let down = vec2<u32>(block % (TILE / 4u), block / (TILE / 4u));
    return 4u * select(down, across, is_along_k);
}

// A block of op(a), of the slab from k on, of the rows from `tile` on.
fn bring_a(tile: u32, k: u32, block: u32) {
    let at = block_origin(block, !TRANSPOSE_A);
    var brought = mat4x4<f32>();
    if k + at.y < params.k {
        let row = inside(tile + at.x, params.m);
        brought = block_a(lines_a(row), row, k + at.y);
    }
    if TRANSPOSE_A {
        let first = at.y * DOWN + at.x;
        put_a(first, brought[0]);
        put_a(first + DOWN, brought[1]);
        put_a(first + 2u * DOWN, brought[2]);
        put_a(first + 3u * DOWN, brought[3]);
    } else {
        let first = at.x * ACROSS + at.y;
        let rows = transpose(brought);
        put_a(first, rows[0]);
        put_a(first + ACROSS, rows[1]);
        put_a(first + 2u * ACROSS, rows[2]);
        put_a(first + 3u * ACROSS, rows[3]);
    }
}

fn bring_b(tile: u32, k: u32, block: u32) {
    let at = block_origin(block, TRANSPOSE_B);
    var brought = mat4x4<f32>();
    if k + at.y < params.k {
        let column = inside(tile + at.x, params.n);
        brought = block_b(lines_b(column), column, k + at.y);
    }
    if TRANSPOSE_B {
        let first = at.x * ACROSS + at.y;
        let columns = transpose(brought);
        put_b(first, columns[0]);
        put_b(first + ACROSS, columns[1]);
        put_b(first + 2u * ACROSS, columns[2]);
        put_b(first + 3u * ACROSS, columns[3]);
    } else {
        let first = at.y * DOWN + at.x;
        put_b(first, brought[0]);
        put_b(first + DOWN, brought[1]);
        put_b(first + 2u * DOWN, brought[2]);
        put_b(first + 3u * DOWN, brought[3]);
    }
}

fn put_a(at: u32, numbers: vec4<f32>) {
    let values = to_f16(numbers);
    slab_a[at] = values.x;
    slab_a[at + 1u] = values.y;
    slab_a[at + 2u] = values.z;
    slab_a[at + 3u] = values.w;
}

fn put_b(at: u32, numbers: vec4<f32>) {
    let values = to_f16(numbers);
    slab_b[at] = values.x;
    slab_b[at + 1u] = values.y;
    slab_b[at + 2u] = values.z;
    slab_b[at + 3u] = values.w;
}

// A finite number beyond the largest becomes that. Infinity and NaN, found by their bits, stay what they are: they must
// show.
fn to_f16(numbers: vec4<f32>) -> vec4<f16> {
    let bits = bitcast<vec4<u32>>(numbers);
    let size = bits & vec4<u32>(0x7fffffffu);
    let largest = bitcast<vec4<f32>>((bits & vec4<u32>(0x80000000u)) | vec4<u32>(LARGEST));
    let beyond = (size > vec4<u32>(LARGEST)) & (size < vec4<u32>(0x7f800000u));
    return vec4<f16>(select(numbers, largest, beyond));
}

// Writes a quarter of the tile, four neighbours per invocation; `corner` is its first row and column in c.
fn store_quarter(corner: vec2<u32>, invocation: u32) {
    workgroupBarrier();
    for (var i = invocation; i < QUARTER * QUARTER / 4u; i += 4u * LANES) {
        let row = i / (QUARTER / 4u);
        let column = i % (QUARTER / 4u) * 4u;
        let at = row * LINE + column;
        let sums = vec4<f32>(quarter[at], quarter[at + 1u], quarter[at + 2u], quarter[at + 3u]);
        store_c(corner.x + row, corner.y + column, sums + bias_of(corner.y + column));
    }
    workgroupBarrier();
}
