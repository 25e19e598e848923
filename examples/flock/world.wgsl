// What both shaders of the app know of its world.

struct Agent {
    position: vec2<f32>,
    velocity: vec2<f32>,
    // How far from the light it likes to be, and which way round: negative is with the clock.
    radius: f32,
    // When its eyes open, and how many frames it has left.
    phase: u32,
    left: u32,
    seed: u32,
}

struct Sky {
    light: vec2<f32>,
    // How fast it goes.
    velocity: vec2<f32>,
    // How far it is from its path.
    away: vec2<f32>,
    frame: u32,
}

override HIDDEN: u32;
// Of so many frames an agent's eyes are open in a few.
override PERIOD: u32;
override OPEN: u32;

