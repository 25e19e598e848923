// Four weights as numbers of 16 bits (shared/f16.wgsl), for pack.wgsl.

alias Four = vec2<u32>;

fn stored(weights: vec4<f32>) -> Four {
    return vec2<u32>(packed_halves(weights.xy), packed_halves(weights.zw));
}
