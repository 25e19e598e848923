// Copies [T, B, F] into another layout: time-major or batch-major, with gaps; zeros past the end of a row; with
// dropout.
//
// source, destination  element f of step t of row b at offset + t * stride_t + b * stride_b + f
// lengths [B]; dropout [2]: the seed, and the number of forward passes so far
//
// One invocation per element. workgroups: (ceil(F / 64), y, ceil(T B / y)), where y is at most 65535.
//
// Dropout (Srivastava et al. 2014): an element whose random number is at least `threshold` is kept and multiplied by
// `keep_scale` = 1 / (1 - p). The others are multiplied by 0, which gives NaN where they are not finite. The random
// number is pcg4d (Jarzynski and Olano 2020) of position, layer, seed and pass, so the backward pass and the CPU draw
// the same.
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
    // Dropout: the layer, and p in units of 2^-32.
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
    // Only the first word of the second round is used.
    return v.x + v.y * v.w;
}

// By its bits, since a compiler may assume that every number is finite.
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
    let to = params.destination_offset + t * params.destination_stride_t + b * params.destination_stride_b + f;
    destination[to] = value;
}
