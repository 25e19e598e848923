// Recurrent weights for shared/quads.wgsl, each a number of 16 bits: half the bytes to load.

@group(0) @binding(1) var<storage, read> weight_hh: array<vec2<u32>>;

fn weights_from(index: u32) -> vec4<f32> {
    let words = weight_hh[index >> 2u];
    return vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y));
}
