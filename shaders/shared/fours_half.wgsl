// Four weights as numbers of 16 bits, for pack.wgsl. Which of the two nearest ones a weight becomes is the device's choice.

alias Four = vec2<u32>;

// The largest number of 16 bits. What lies beyond it would become anything.
const LARGEST: f32 = 65504.0;

fn stored(weights: vec4<f32>) -> Four {
    let within = clamp(weights, vec4<f32>(-LARGEST), vec4<f32>(LARGEST));
    return vec2<u32>(pack2x16float(within.xy), pack2x16float(within.zw));
}
