// How the app draws: what was drawn fades, agents are added as streaks of light in the colours of their hidden units, and the
// sum is toned down to a picture.

// How bright one agent is.
override BRIGHTNESS: f32;

@group(0) @binding(0) var<storage, read> sky: Sky;
@group(0) @binding(1) var<storage, read> agents: array<Agent>;
@group(0) @binding(2) var<storage, read> hidden: array<f32>;
@group(0) @binding(3) var drawn: texture_2d<f32>;
// Width over height.
@group(0) @binding(4) var<uniform> aspect: f32;

struct Corner {
    @builtin(position) position: vec4<f32>,
    @location(0) at: vec2<f32>,
    @location(1) colour: vec3<f32>,
}

fn corner(vertex: u32) -> vec2<f32> {
    return vec2<f32>(f32(vertex & 1u), f32(vertex >> 1u)) * 2.0 - 1.0;
}

// A triangle over everything.
fn everywhere(vertex: u32) -> vec4<f32> {
    return vec4<f32>(f32((vertex << 1u) & 2u) * 2.0 - 1.0, f32(vertex & 2u) * 2.0 - 1.0, 0.0, 1.0);
}

@vertex
fn cover(@builtin(vertex_index) vertex: u32) -> @builtin(position) vec4<f32> {
    return everywhere(vertex);
}

// Nothing is added; the blend state takes its share of what is there.
@fragment
fn fade() -> @location(0) vec4<f32> {
    return vec4<f32>();
}

@vertex
fn streak(@builtin(vertex_index) vertex: u32, @builtin(instance_index) index: u32) -> Corner {
    let agent = agents[index];
    let speed = length(agent.velocity);
    let along = select(vec2<f32>(1.0, 0.0), agent.velocity / max(speed, 1e-6), speed > 1e-4);
    let at = corner(vertex);
    let long = 0.006 + 0.012 * min(speed, 1.5);
    let place = agent.position + at.x * long * along + at.y * 0.006 * vec2<f32>(-along.y, along.x);
    // Three units of its mind: what it believes of the light.
    let units = vec3<f32>(hidden[index * HIDDEN], hidden[index * HIDDEN + 1u], hidden[index * HIDDEN + 2u]);
    let warm = vec3<f32>(1.0, 0.45, 0.15);
    let cold = vec3<f32>(0.12, 0.45, 1.0);
    let third = vec3<f32>(0.65, 0.2, 0.95);
    var colour = mix(cold, warm, smoothstep(-0.35, 0.35, units.x));
    colour = mix(colour, third, 0.7 * smoothstep(0.1, 0.8, units.y));
    colour *= 0.75 + 0.5 * smoothstep(-0.7, 0.7, units.z);
    // Those whose eyes are open flare up.
    let open = (sky.frame + agent.phase) % PERIOD < OPEN;
    colour = select(colour, colour * 2.0 + vec3<f32>(0.35), open);
    return Corner(vec4<f32>(place.x / aspect, place.y, 0.0, 1.0), at, BRIGHTNESS * colour);
}

@fragment
fn glow(in: Corner) -> @location(0) vec4<f32> {
    let shape = exp(-4.0 * dot(in.at, in.at)) - exp(-4.0);
    return vec4<f32>(in.colour * max(shape, 0.0), 1.0);
}

@fragment
fn tone(@builtin(position) pixel: vec4<f32>) -> @location(0) vec4<f32> {
    let size = vec2<f32>(textureDimensions(drawn));
    let sum = textureLoad(drawn, vec2<i32>(pixel.xy), 0).rgb;
    let place = vec2<f32>((pixel.x / size.x * 2.0 - 1.0) * aspect, 1.0 - pixel.y / size.y * 2.0);
    let night = vec3<f32>(0.003, 0.004, 0.012) * (1.3 - 0.35 * length(place / vec2<f32>(aspect, 1.0)));
    // The light itself: a core and a halo.
    let far = distance(place, sky.light);
    let light = vec3<f32>(1.0, 0.93, 0.75) * (2.5 * exp(-far * far * 2500.0) + 0.22 * exp(-far * 26.0) + 0.05 * exp(-far * 5.0));
    let colour = 1.0 - exp(-(night + sum + light) * 1.5);
    return vec4<f32>(pow(colour, vec3<f32>(1.0 / 2.2)), 1.0);
}
