// Copies [T, B, F] from one arrangement to another: time-major or batch-major, with gaps; past the end of a row zeros; with
// dropout.
//
// source, destination  element f of step t of row b at offset + t * stride_t + b * stride_b + f
// lengths [B]; dropout [2]: seed, and how many forward passes were made
//
// An invocation takes one element. workgroups: (ceil(F / 64), rows, T B / rows rounded up), where rows is at most 65535.
//
// Dropout (Srivastava et al. 2014): an element is kept if a random number of its own is at least `threshold`, and is then
// multiplied by `keep_scale` = 1 / (1 - p); the others are multiplied by 0, which is no number where they are not finite. The number is pcg4d (Jarzynski and Olano 2020) of its place, the layer, the
// seed and the pass: so the backward pass and the CPU draw the same.
// Twin: reference::arrange, the same loop.

struct ArrangeParams {
    steps: u32,
    batch: u32,
    width: u32,
    source_offset: u32,
    source_stride_t: u32,
    source_stride_b: u32,
    destination_offset: u32,
    destination_stride_t: u32,
    destination_stride_b: u32,
    // Dropout: which layer, and p as a part of 2^32.
    layer: u32,
    threshold: u32,
    keep_scale: f32,
}

override HAS_LENGTHS: bool;
override HAS_DROPOUT: bool;

@group(0) @binding(0) var<uniform> params: ArrangeParams;
@group(0) @binding(1) var<storage, read> source: array<f32>;
// Not read without HAS_LENGTHS.
@group(0) @binding(2) var<storage, read> lengths: array<u32>;
// Not read without HAS_DROPOUT.
@group(0) @binding(3) var<storage, read> dropout: array<u32>;
@group(0) @binding(4) var<storage, read_write> destination: array<f32>;

fn pcg4d(seed: vec4<u32>) -> u32 {
    var v = seed * 1664525u + 1013904223u;
    v.x += v.y * v.w;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    v.w += v.y * v.z;
    v ^= v >> vec4<u32>(16u);
    // Of the second round the first word alone is used.
    return v.x + v.y * v.w;
}

// By its bits: a compiler may take it that there is nothing but finite numbers.
fn times_zero(value: f32) -> f32 {
    let bits = bitcast<u32>(value);
    return bitcast<f32>(select(0u, bits | 0x00400000u, (bits & 0x7f800000u) == 0x7f800000u));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>) {
    let at = global.z * workgroups.y + global.y;
    let f = global.x;
    if f >= params.width || at >= params.steps * params.batch {
        return;
    }
    let t = at / params.batch;
    let b = at % params.batch;
    var value = source[params.source_offset + t * params.source_stride_t + b * params.source_stride_b + f];
    if HAS_LENGTHS {
        if t >= lengths[b] {
            value = 0.0;
        }
    }
    if HAS_DROPOUT {
        let number = pcg4d(vec4<u32>(at * params.width + f, params.layer, dropout[0], dropout[1]));
        if number >= params.threshold {
            value *= params.keep_scale;
        } else {
            value = times_zero(value);
        }
    }
    destination[params.destination_offset + t * params.destination_stride_t + b * params.destination_stride_b + f] = value;
}
