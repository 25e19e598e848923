// Recurrent weights for shared/quads.wgsl.

@group(0) @binding(1) var<storage, read> weight_hh: array<vec4<f32>>;

fn weights_from(index: u32) -> vec4<f32> {
    return weight_hh[index >> 2u];
}
