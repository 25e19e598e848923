//! What the agents learn, and from whom: a teacher who always sees the light, in worlds that the CPU makes up.

use wgpu_gru::rng::SplitMix64;

use crate::world::{DT, OPEN, PERIOD, SENSES};

/// What an acceleration of 1 at the head of the net stands for.
pub(crate) const UNIT_OF_FORCE: f32 = 4.0;

/// What agents do, of which the teacher knows everything: pupils and light in one plane, lengths in halves of its
/// height.
#[derive(Debug, Clone)]
struct World {
    /// For each axis two waves of the light's path: amplitude, angular speed, phase.
    waves: [[[f32; 3]; 2]; 2],
    position: [f32; 2],
    velocity: [f32; 2],
    /// How far from the light the agent likes to be, and which way round: negative is with the clock.
    radius: f32,
    /// When its eyes open.
    phase: usize,
}

/// A sequence for each of some pupils.
#[derive(Debug)]
pub(crate) struct Lesson {
    /// `[T, B, SENSES]`
    pub(crate) senses: Vec<f32>,
    /// What the teacher does, in units of force, `[T, B, 2]`.
    pub(crate) forces: Vec<f32>,
}

/// Random numbers from -1 to 1.
#[derive(Debug)]
pub(crate) struct Dice(SplitMix64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SplitMix64::new(seed))
    }

    fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * (self.0.vec(1, 1.0)[0] + 1.0) / 2.0
    }
}

impl World {
    fn new(dice: &mut Dice) -> Self {
        let mut wave = |most: f32, slow: f32, fast: f32| {
            [dice.between(0.3, 1.0) * most, dice.between(slow, fast), dice.between(0.0, 6.3)]
        };
        let waves = [[wave(1.3, 0.2, 0.5), wave(0.3, 0.5, 1.1)], [wave(0.6, 0.3, 0.7), wave(0.2, 0.5, 1.1)]];
        let mut world = Self { waves, position: [0.0; 2], velocity: [0.0; 2], radius: 0.0, phase: 0 };
        let [light, _] = world.light(0);
        world.position = light.map(|at| at + dice.between(-1.6, 1.6));
        world.velocity = [0; 2].map(|_| dice.between(-0.6, 0.6));
        world.radius = dice.between(0.05, 0.4) * dice.between(-1.0, 1.0).signum();
        // Most begin with open eyes.
        world.phase = (dice.between(-20.0, PERIOD as f32).max(0.0) as usize).min(PERIOD - 1);
        world
    }

    /// Where the light is in a frame, and how fast it goes.
    fn light(&self, frame: usize) -> [[f32; 2]; 2] {
        let time = frame as f32 * DT;
        let sum = |of: &dyn Fn(&[f32; 3]) -> f32| self.waves.map(|axis| axis.iter().map(of).sum());
        let position = sum(&|&[amplitude, speed, phase]| amplitude * (speed * time + phase).sin());
        let velocity = sum(&|&[amplitude, speed, phase]| amplitude * speed * (speed * time + phase).cos());
        [position, velocity]
    }

    /// What the agent feels: whether its eyes are open, and if so where the light is from here and how it moves; its
    /// own velocity; where it likes to be.
    fn senses(&self, frame: usize) -> [f32; SENSES] {
        let open = if (frame + self.phase) % PERIOD < OPEN { 1.0 } else { 0.0 };
        let [light, velocity] = self.light(frame);
        let [x, y] = [0, 1].map(|axis| open * (light[axis] - self.position[axis]));
        let [u, v] = velocity.map(|velocity| open * velocity);
        [open, x, y, u, v, self.velocity[0], self.velocity[1], 4.0 * self.radius]
    }

    /// The teacher goes with the light, around it, and towards its circle.
    fn force(&self, frame: usize) -> [f32; 2] {
        let [light, velocity] = self.light(frame);
        let to = [light[0] - self.position[0], light[1] - self.position[1]];
        let distance = to[0].hypot(to[1]).max(1e-3);
        let [along, around] = [to.map(|x| x / distance), [-to[1] / distance, to[0] / distance]];
        let nearer = (3.0 * (distance - self.radius.abs())).clamp(-1.0, 1.0);
        [0, 1].map(|axis| {
            let wanted = velocity[axis] + nearer * along[axis] + 0.6 * self.radius.signum() * around[axis];
            (5.0 * (wanted - self.velocity[axis]) / UNIT_OF_FORCE).clamp(-1.5, 1.5)
        })
    }

    fn go(&mut self, force: [f32; 2]) {
        for ((velocity, position), force) in self.velocity.iter_mut().zip(&mut self.position).zip(force) {
            *velocity += UNIT_OF_FORCE * force * DT;
            *position += *velocity * DT;
        }
    }
}

/// Fresh worlds. The pupils are pushed about now and then, so that they learn what to do where the teacher never is.
pub(crate) fn lesson(frames: usize, pupils: usize, dice: &mut Dice) -> Lesson {
    let mut worlds: Vec<World> = (0..pupils).map(|_| World::new(dice)).collect();
    let (mut senses, mut forces) = (Vec::new(), Vec::new());
    for frame in 0..frames {
        for world in &mut worlds {
            senses.extend(world.senses(frame));
            let force = world.force(frame);
            forces.extend(force);
            let push = if dice.between(0.0, 1.0) < 0.08 { 2.5 } else { 0.25 };
            world.go(force.map(|force| force + push * dice.between(-1.0, 1.0)));
        }
    }
    Lesson { senses, forces }
}
