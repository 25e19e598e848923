// What the matmul kernels share: c [m, n] (+)= op(a) [m, k] . op(b) [k, n] + bias [n].
//
// op(a) is a or its transpose: a is stored [m, k], or [k, m] with TRANSPOSE_A; b likewise. Each operand begins at its
// offset, in elements, and its stored rows, the lines, lie `stride` elements apart. Stored columns of a from a_split on
// lie a_skip further to the right: so the gates r, z and hn are read out of the rows (r, z, n, hn) of the gates buffer.
//
// A kernel sees only blocks of 4 x 4: column i of a block is k + i, its components are 4 rows of op(a), or 4 columns of
// op(b). Transposing one only renames registers. How four neighbours are read and written is at the end of this file:
// with VEC4 at once, otherwise (scalar) one by one.
//
// Where the m rows, or with TRANSPOSE_A the k's, are the rows of the batch step by step, rows that are over take no
// part: whatever the operands hold there counts as zero, even NaN, and so does their row of c. With TRANSPOSE_A nor do
// rows before whose step an episode begins: the state that was there is cut off.

struct MatmulParams {
    m: u32,
    n: u32,
    k: u32,
    a_offset: u32,
    a_stride: u32,
    a_split: u32,
    a_skip: u32,
    b_offset: u32,
    b_stride: u32,
    // Where the bias begins, or the lengths.
    words_offset: u32,
    c_offset: u32,
    c_stride: u32,
    // Terms of a part of the sums: k, or fewer where workgroup.z is the number of a part (the tiled kernels).
    part: u32,
    // With lengths: which step and which row of the batch row 0 is, or k = 0; and B.
    first_step: u32,
    first_row: u32,
    batch: u32,
    // With starts of episodes: where those of step 0 begin, [.., B]; and 1 if the state before a step is that of the
    // step with the next number.
    starts_offset: u32,
    reverse: u32,
}

override TRANSPOSE_A: bool;
override TRANSPOSE_B: bool;
override HAS_BIAS: bool;
// Rows of the batch have lengths. Not with HAS_BIAS.
override HAS_LENGTHS: bool;
// Episodes begin inside of the sequence. Not with HAS_BIAS; only with TRANSPOSE_A.
override HAS_STARTS: bool;
// Add to what c holds.
override ACCUMULATE: bool;
// Sums are long: each part of k is summed by itself, in a short chain, and then added to the sum of the parts so far. A
// chain of n additions of numbers of one sign can be off by n / 2 units in the last place, chains of n and m by (n + m)
// / 2.
override LONG_K: bool;
// k is no multiple of 4: what a block holds past the end of k is made zero.
override K_TAIL: bool;

@group(0) @binding(0) var<uniform> params: MatmulParams;
// bias [n], as the bits of f32, with HAS_BIAS; lengths [B] with HAS_LENGTHS, starts of episodes with HAS_STARTS;
// otherwise not read.
@group(0) @binding(3) var<storage, read> words: array<u32>;

// Which part of the sums this workgroup has: parts [parts, m, n] lie one behind the other.
var<private> part_of_sums: u32;
// Whether c holds the sums of the parts before, of the same numbers.
var<private> adds_to_c: bool;

const IOTA = vec4<u32>(0u, 1u, 2u, 3u);

// The first of the four rows of op(a) that an invocation loads: `row`, or where that is past the end the last multiple
// of 4, whose rows are then not stored.
fn inside(row: u32, rows: u32) -> u32 {
    return min(row, (rows - 1u) & ~3u);
}

// The length of a part of k: all of it or, with LONG_K, `long`.
fn part_of_k(long: u32) -> u32 {
    return select(params.k, long, LONG_K);
}

// Where the four lines begin that hold a block of op(a); where lines are k's, those from k = 0 on.
fn lines_a(row: u32) -> vec4<u32> {
    if TRANSPOSE_A {
        return params.a_offset + IOTA * params.a_stride;
    }
    return params.a_offset + min(row + IOTA, vec4<u32>(params.m - 1u)) * params.a_stride;
}

fn lines_b(column: u32) -> vec4<u32> {
    if TRANSPOSE_B {
        return params.b_offset + min(column + IOTA, vec4<u32>(params.n - 1u)) * params.b_stride;
    }
    return params.b_offset + IOTA * params.b_stride;
}

// Where a stored column of a lies in its line.
fn beyond_gap(column: vec4<u32>) -> vec4<u32> {
    return column + select(vec4<u32>(), vec4<u32>(params.a_skip), column >= vec4<u32>(params.a_split));
}

// A block of op(a): 4 rows, 4 k's. `row` and k are multiples of 4.
fn block_a(lines: vec4<u32>, row: u32, k: u32) -> mat4x4<f32> {
    if TRANSPOSE_A {
        let at = lines + k * params.a_stride;
        return within_k(mat4x4<f32>(load_a(at.x, row), load_a(at.y, row), load_a(at.z, row), load_a(at.w, row)), k);
    }
    return within_k(
        transpose(mat4x4<f32>(load_a(lines.x, k), load_a(lines.y, k), load_a(lines.z, k), load_a(lines.w, k))),
        k,
    );
}

// A block of op(b): 4 columns, 4 k's. `column` and k are multiples of 4.
fn block_b(lines: vec4<u32>, column: u32, k: u32) -> mat4x4<f32> {
    if TRANSPOSE_B {
        return within_k(
            transpose(mat4x4<f32>(load_b(lines.x + k), load_b(lines.y + k), load_b(lines.z + k), load_b(lines.w + k))),
            k,
        );
    }
    let at = lines + (k * params.b_stride + column);
    return within_k(mat4x4<f32>(load_b(at.x), load_b(at.y), load_b(at.z), load_b(at.w)), k);
}

// Zero past the end of k and in rows that are over, in both operands: what lies there must not matter, not even NaN.
fn within_k(block: mat4x4<f32>, k: u32) -> mat4x4<f32> {
    let has_rows = (HAS_LENGTHS || HAS_STARTS) && TRANSPOSE_A;
    if !K_TAIL && !has_rows {
        return block;
    }
    var counts = vec4<bool>(true);
    if K_TAIL {
        counts = k + IOTA < vec4<u32>(params.k);
    }
    if has_rows {
        // One division for the four.
        let first = step_and_row(k);
        let second = next_row(first);
        let third = next_row(second);
        let fourth = next_row(third);
        counts = vec4<bool>(
            takes_part(first, counts.x),
            takes_part(second, counts.y),
            takes_part(third, counts.z),
            takes_part(fourth, counts.w),
        );
    }
    let zero = vec4<f32>();
    return mat4x4<f32>(
        select(zero, block[0], counts.x),
        select(zero, block[1], counts.y),
        select(zero, block[2], counts.z),
        select(zero, block[3], counts.w),
    );
}

// Which step and which row of the batch row `at` of c is or, with TRANSPOSE_A, k = `at`.
fn step_and_row(at: u32) -> vec2<u32> {
    let row = params.first_row + at;
    let step = row / params.batch;
    return vec2<u32>(params.first_step + step, row - step * params.batch);
}

fn next_row(place: vec2<u32>) -> vec2<u32> {
    let further = place + vec2<u32>(0u, 1u);
    return select(further, vec2<u32>(place.x + 1u, 0u), further.y == params.batch);
}

// Whether a row of the batch is over before a step.
fn is_over(place: vec2<u32>) -> bool {
    return place.x >= words[params.words_offset + place.y];
}

fn takes_part(place: vec2<u32>, is_there: bool) -> bool {
    var out = !is_there;
    if HAS_LENGTHS {
        out |= is_over(place);
    }
    if HAS_STARTS {
        let start = place + vec2<u32>(params.reverse, 0u);
        if is_there && !(HAS_LENGTHS && is_over(start)) {
            out |= words[params.starts_offset + start.x * params.batch + start.y] != 0u;
        }
    }
    return !out;
}

// The bias of 4 columns.
fn bias_of(column: u32) -> vec4<f32> {
    if !HAS_BIAS {
        return vec4<f32>();
    }
    let at = params.words_offset + min(column + IOTA, vec4<u32>(params.n - 1u));
    return bitcast<vec4<f32>>(vec4<u32>(words[at.x], words[at.y], words[at.z], words[at.w]));
}

// Writes those of 4 columns of a row of c that exist. `sums` include the bias.
// Both bounds are looked at, with `&`: a branch for each doubles what SwiftShader's compiler takes, 16 times in a tile.
fn store_c(row: u32, column: u32, sums: vec4<f32>) {
    if (row < params.m) & (column < params.n) {
        var values = sums;
        if HAS_LENGTHS && !TRANSPOSE_A {
            values = select(sums, vec4<f32>(), is_over(step_and_row(row)));
        }
        let line = part_of_sums * params.m + row;
        write_c(params.c_offset + line * params.c_stride + column, params.n - column, values);
    }
}

// Adds one k to sums of 4 x 4, of which column i is row i.
fn add_outer(sums: mat4x4<f32>, a: vec4<f32>, b: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(
        fma(vec4<f32>(a.x), b, sums[0]),
        fma(vec4<f32>(a.y), b, sums[1]),
        fma(vec4<f32>(a.z), b, sums[2]),
        fma(vec4<f32>(a.w), b, sums[3]),
    );
}

// Column i of `sums` is row i of c.
fn store_rows(row: u32, column: u32, sums: mat4x4<f32>, bias: vec4<f32>) {
    store_c(row, column, sums[0] + bias);
    store_c(row + 1u, column, sums[1] + bias);
    store_c(row + 2u, column, sums[2] + bias);
    store_c(row + 3u, column, sums[3] + bias);
}

#ifdef VEC4

// For products whose n, offsets, strides, gap and bindings are all multiples of four elements, as they are where the
// sizes of a layer are: one load in place of four.
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> c: array<vec4<f32>>;

// Four neighbours of a line of a that begins at element `line`, from `column` on.
fn load_a(line: u32, column: u32) -> vec4<f32> {
    let at = (line + beyond_gap(vec4<u32>(column)).x) / 4u;
    // Past the end of k there may be nothing to be read.
    return a[select(at, min(at, arrayLength(&a) - 1u), K_TAIL)];
}

fn load_b(index: u32) -> vec4<f32> {
    let at = index / 4u;
    return b[select(at, min(at, arrayLength(&b) - 1u), K_TAIL)];
}

// Writes from element `index` of c on. All four exist.
fn write_c(index: u32, count: u32, sums: vec4<f32>) {
    let at = index / 4u;
    var values = sums;
    if ACCUMULATE || adds_to_c {
        values += c[at];
    }
    c[at] = values;
}

#else

@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read_write> c: array<f32>;

// Four neighbours of a line of a that begins at element `line`, from `column` on. The gap may lie among them.
fn load_a(line: u32, column: u32) -> vec4<f32> {
    let at = line + beyond_gap(column + IOTA);
    // Past the end of the last line there is nothing to be read.
    let within = min(at, vec4<u32>(arrayLength(&a) - 1u));
    return vec4<f32>(a[within.x], a[within.y], a[within.z], a[within.w]);
}

fn load_b(index: u32) -> vec4<f32> {
    let within = min(index + IOTA, vec4<u32>(arrayLength(&b) - 1u));
    return vec4<f32>(b[within.x], b[within.y], b[within.z], b[within.w]);
}

// The first `count` of `sums`, or all four, from element `index` of c on.
fn write_c(index: u32, count: u32, sums: vec4<f32>) {
    write_one(index, sums.x);
    if count > 1u { write_one(index + 1u, sums.y); }
    if count > 2u { write_one(index + 2u, sums.z); }
    if count > 3u { write_one(index + 3u, sums.w); }
}

fn write_one(index: u32, sum: f32) {
    var value = sum;
    if ACCUMULATE || adds_to_c {
        value += c[index];
    }
    c[index] = value;
}

#endif
