// The app's own world: a light that wanders, and agents that feel and move. Between the two the GRU thinks.

// What whoever looks on wants.
struct Wish {
    // Where the light is to go while it is held.
    hand: vec2<f32>,
    held: u32,
    // The mind begins anew in every frame.
    forgets: u32,
}

override DT: f32;
override SENSES: u32;
override UNIT_OF_FORCE: f32;

@group(0) @binding(0) var<storage, read_write> sky: Sky;
@group(0) @binding(1) var<storage, read_write> agents: array<Agent>;
// The input of the stream: [agents, SENSES].
@group(0) @binding(2) var<storage, read_write> senses: array<f32>;
// The state of the stream: [agents, HIDDEN].
@group(0) @binding(3) var<storage, read> hidden: array<f32>;
// From which row each row goes on.
@group(0) @binding(4) var<storage, read_write> sources: array<u32>;
// The head: [2, HIDDEN] and [2].
@group(0) @binding(5) var<storage, read> weight: array<f32>;
@group(0) @binding(6) var<storage, read> bias: array<f32>;
@group(0) @binding(7) var<uniform> wish: Wish;

// How fast the light goes when it leaves its path or comes back: not much faster than those that the mind learned from.
const HASTE: f32 = 1.5;

fn random(agent: ptr<function, Agent>) -> f32 {
    // A step of PCG.
    let state = (*agent).seed * 747796405u + 2891336453u;
    (*agent).seed = state;
    let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
    return f32((word >> 22u) ^ word) / 4294967296.0;
}

// Anywhere, at rest, for a while.
fn born(seed: u32) -> Agent {
    var agent = Agent(vec2<f32>(), vec2<f32>(), 0.0, 0u, 0u, seed);
    agent.position = vec2<f32>(random(&agent) * 4.0 - 2.0, random(&agent) * 2.0 - 1.0);
    let share = random(&agent);
    agent.radius = (0.05 + 0.35 * share) * select(-1.0, 1.0, random(&agent) < 0.6);
    agent.phase = u32(random(&agent) * f32(PERIOD));
    agent.left = 240u + u32(random(&agent) * 600.0);
    return agent;
}

// Before the first frame.
@compute @workgroup_size(64)
fn begin(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < arrayLength(&agents) {
        agents[id.x] = born(id.x * 1664525u + 1013904223u);
    }
}

// The light goes on: along its path, or to the hand that holds it. One invocation.
@compute @workgroup_size(1)
fn shine() {
    let time = f32(sky.frame) * DT;
    let path = vec2<f32>(
        1.1 * sin(0.3 * time + 0.4) + 0.2 * sin(0.8 * time),
        0.4 * sin(0.5 * time + 1.1) + 0.15 * sin(0.9 * time + 0.5),
    );
    let velocity = vec2<f32>(
        0.33 * cos(0.3 * time + 0.4) + 0.16 * cos(0.8 * time),
        0.2 * cos(0.5 * time + 1.1) + 0.135 * cos(0.9 * time + 0.5),
    );
    let away = select(vec2<f32>(), wish.hand - path, wish.held != 0u);
    var step = 0.15 * (away - sky.away);
    step *= min(1.0, HASTE * DT / max(length(step), 1e-6));
    sky.away += step;
    sky.light = path + sky.away;
    sky.velocity = velocity + step / DT;
    sky.frame += 1u;
}

@compute @workgroup_size(64)
fn feel(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= arrayLength(&agents) {
        return;
    }
    let agent = agents[id.x];
    let open = f32((sky.frame + agent.phase) % PERIOD < OPEN);
    let to = open * (sky.light - agent.position);
    let first = id.x * SENSES;
    senses[first] = open;
    senses[first + 1u] = to.x;
    senses[first + 2u] = to.y;
    senses[first + 3u] = open * sky.velocity.x;
    senses[first + 4u] = open * sky.velocity.y;
    senses[first + 5u] = agent.velocity.x;
    senses[first + 6u] = agent.velocity.y;
    senses[first + 7u] = 4.0 * agent.radius;
    if wish.forgets != 0u {
        sources[id.x] = 0xffffffffu;
    }
}

@compute @workgroup_size(64)
fn act(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= arrayLength(&agents) {
        return;
    }
    var agent = agents[id.x];
    var force = vec2<f32>(bias[0], bias[1]);
    for (var unit = 0u; unit < HIDDEN; unit++) {
        force += hidden[id.x * HIDDEN + unit] * vec2<f32>(weight[unit], weight[HIDDEN + unit]);
    }
    agent.velocity += UNIT_OF_FORCE * clamp(force, vec2<f32>(-1.5), vec2<f32>(1.5)) * DT;
    agent.position += agent.velocity * DT;
    agent.left -= 1u;
    if agent.left == 0u {
        agent = born(agent.seed);
        // A fresh mind: its row begins anew.
        sources[id.x] = 0xffffffffu;
    }
    agents[id.x] = agent;
}
