// What the matmul kernels share: c [m, n] (+)= op(a) [m, k] . op(b) [k, n] + bias [n].
//
// op(a) is a or its transpose: a is stored [m, k], or [k, m] with TRANSPOSE_A; b likewise. Each operand begins at its
// offset, in elements, and its stored rows, the lines, lie `stride` elements apart. Stored columns of a from a_split on
// lie a_skip further to the right: so the gates r, z and hn are read out of the rows (r, z, n, hn) of the gates buffer.
//
// The bindings, and how four neighbours are read and written, come from matmul_vec4.wgsl or from matmul_scalar.wgsl. A
// kernel sees blocks of 4 x 4 alone: column i of a block is k + i, its components are 4 rows of op(a), or 4 columns of
// op(b). Transposing one is a renaming of registers.
//
// Where the m rows, or with TRANSPOSE_A the k's, are rows of the batch step by step, rows that are over take no part: what
// either operand holds of them is zero, a NaN too, and so is their row of c.

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
    // Where the bias or the lengths begin.
    words_offset: u32,
    c_offset: u32,
    c_stride: u32,
    // With lengths: the step and the row of the batch that row 0, or k = 0, is of; and B.
    first_step: u32,
    first_row: u32,
    batch: u32,
}

override TRANSPOSE_A: bool;
override TRANSPOSE_B: bool;
override HAS_BIAS: bool;
// Rows of the batch have lengths. Not with HAS_BIAS.
override HAS_LENGTHS: bool;
// Add to what c holds.
override ACCUMULATE: bool;
// Sums are long: each part of k is summed up by itself, in a chain of 64, and then added to the sum of the parts before it.
// One chain of n numbers of one sign can be off by n / 2 units in the last place, two of n and m by (n + m) / 2.
override LONG_K: bool;
// k is no multiple of 4: what a block holds past the end of k is made zero.
override K_TAIL: bool;
// n is no multiple of 4: the last columns are written one by one, as all are without vec4.
override N_TAIL: bool;

@group(0) @binding(0) var<uniform> params: MatmulParams;
// bias [n], the bits of numbers, with HAS_BIAS; lengths [B] with HAS_LENGTHS; otherwise not read.
@group(0) @binding(3) var<storage, read> words: array<u32>;

const FOUR = vec4<u32>(0u, 1u, 2u, 3u);

// The first of the four rows of op(a) that an invocation loads in place of those from `row` on: the last ones that there
// are, where `row` is past the end. They are not stored then.
fn inside(row: u32, rows: u32) -> u32 {
    return min(row, (rows - 1u) & ~3u);
}

// How many k's are summed up by themselves: all, or `long`.
fn part_of_k(long: u32) -> u32 {
    return select(params.k, long, LONG_K);
}

// Where the four lines begin that hold a block of op(a), at k = 0 where k counts lines.
fn lines_a(row: u32) -> vec4<u32> {
    if TRANSPOSE_A {
        return params.a_offset + FOUR * params.a_stride;
    }
    return params.a_offset + min(row + FOUR, vec4<u32>(params.m - 1u)) * params.a_stride;
}

fn lines_b(column: u32) -> vec4<u32> {
    if TRANSPOSE_B {
        return params.b_offset + min(column + FOUR, vec4<u32>(params.n - 1u)) * params.b_stride;
    }
    return params.b_offset + FOUR * params.b_stride;
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

// Zero past the end of k and in rows that are over, in both operands: whatever lies there, say a NaN, must not matter.
fn within_k(block: mat4x4<f32>, k: u32) -> mat4x4<f32> {
    let has_rows = HAS_LENGTHS && TRANSPOSE_A;
    if !K_TAIL && !has_rows {
        return block;
    }
    var counts = vec4<bool>(true);
    if K_TAIL {
        counts = k + FOUR < vec4<u32>(params.k);
    }
    if has_rows {
        // One division for the four.
        let first = place_of(k);
        let second = next(first);
        let third = next(second);
        let fourth = next(third);
        counts &= vec4<bool>(!is_over(first), !is_over(second), !is_over(third), !is_over(fourth));
    }
    let zero = vec4<f32>();
    return mat4x4<f32>(
        select(zero, block[0], counts.x),
        select(zero, block[1], counts.y),
        select(zero, block[2], counts.z),
        select(zero, block[3], counts.w),
    );
}

// The step and the row of the batch that row `at` of c, or with TRANSPOSE_A k = `at`, is of.
fn place_of(at: u32) -> vec2<u32> {
    let row = params.first_row + at;
    let step = row / params.batch;
    return vec2<u32>(params.first_step + step, row - step * params.batch);
}

fn next(place: vec2<u32>) -> vec2<u32> {
    let further = place + vec2<u32>(0u, 1u);
    return select(further, vec2<u32>(place.x + 1u, 0u), further.y == params.batch);
}

// Whether a row of the batch is over before a step.
fn is_over(place: vec2<u32>) -> bool {
    return place.x >= words[params.words_offset + place.y];
}

// The bias of 4 columns.
fn bias_of(column: u32) -> vec4<f32> {
    if !HAS_BIAS {
        return vec4<f32>();
    }
    let at = params.words_offset + min(column + FOUR, vec4<u32>(params.n - 1u));
    return bitcast<vec4<f32>>(vec4<u32>(words[at.x], words[at.y], words[at.z], words[at.w]));
}

// Writes 4 columns of a row of c, those of them that there are. `sums` are with the bias.
fn store_c(row: u32, column: u32, sums: vec4<f32>) {
    if row < params.m && column < params.n {
        var values = sums;
        if HAS_LENGTHS && !TRANSPOSE_A {
            values = select(sums, vec4<f32>(), is_over(place_of(row)));
        }
        write_c(params.c_offset + row * params.c_stride + column, params.n - column, values);
    }
}

// Column i of `sums` is row i of c.
fn store_rows(row: u32, column: u32, sums: mat4x4<f32>, bias: vec4<f32>) {
    store_c(row, column, sums[0] + bias);
    store_c(row + 1u, column, sums[1] + bias);
    store_c(row + 2u, column, sums[2] + bias);
    store_c(row + 3u, column, sums[3] + bias);
}
