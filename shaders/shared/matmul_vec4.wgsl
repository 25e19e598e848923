// Four neighbours at once, for products whose offsets, strides, gap and bindings are all multiples of four elements, as
// they are where the sizes of a layer are: one load in place of four. Goes with shared/matmul.wgsl.

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

// The first `count` of `sums`, or all four, from element `index` of c on.
fn write_c(index: u32, count: u32, sums: vec4<f32>) {
    let at = index / 4u;
    var values = sums;
    if ACCUMULATE {
        values += c[at];
    }
    if N_TAIL && count < 4u {
        c[at].x = values.x;
        if count > 1u { c[at].y = values.y; }
        if count > 2u { c[at].z = values.z; }
    } else {
        c[at] = values;
    }
}
