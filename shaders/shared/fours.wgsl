// Four weights as they are, for pack.wgsl.

alias Four = vec4<f32>;

fn stored(weights: vec4<f32>) -> Four {
    return weights;
}
