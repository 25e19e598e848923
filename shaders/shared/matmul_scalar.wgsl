// Four neighbours one by one, for products with an offset or a stride that is no multiple of four elements. Goes with
// shared/matmul.wgsl.

@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read_write> c: array<f32>;

// Four neighbours of a line of a that begins at element `line`, from `column` on. The gap may lie among them.
fn load_a(line: u32, column: u32) -> vec4<f32> {
    let at = line + beyond_gap(column + FOUR);
    // Past the end of the last line there is nothing to be read.
    let within = min(at, vec4<u32>(arrayLength(&a) - 1u));
    return vec4<f32>(a[within.x], a[within.y], a[within.z], a[within.w]);
}

fn load_b(index: u32) -> vec4<f32> {
    let within = min(index + FOUR, vec4<u32>(arrayLength(&b) - 1u));
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
    if ACCUMULATE {
        value += c[index];
    }
    c[index] = value;
}
