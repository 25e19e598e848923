//! The net that steers the agents, and the lessons it takes.

use wgpu_gru::train::{Adam, AdamOptions, Linear, Loss, UnrolledLinear};
use wgpu_gru::{Gpu, Gru, GruConfig, Result, Tensor, Unroll, Unrolled, wgpu};

use crate::school::{Dice, lesson};
use crate::world::{HIDDEN, SENSES};

/// Frames and pupils of a lesson.
const FRAMES: usize = 80;
const PUPILS: usize = 48;

/// A GRU, and a head that makes a force of its state.
#[derive(Debug)]
pub(crate) struct Mind {
    pub(crate) gru: Gru,
    pub(crate) head: Linear,
}

/// What trains a mind, on its own weights: whoever has a stream of it sees each lesson in the next frame.
#[derive(Debug)]
pub(crate) struct Lessons {
    net: Unrolled,
    heads: UnrolledLinear,
    loss: Loss,
    adam: Adam,
    dice: Dice,
}

impl Mind {
    /// One that knows nothing.
    pub(crate) fn new(gpu: &Gpu) -> Result<Self> {
        Ok(Self { gru: Gru::new(gpu, GruConfig::new(SENSES, HIDDEN), 1)?, head: Linear::new(gpu, HIDDEN, 2, 2)? })
    }

    /// Lessons for it. One that forgets learns each frame by itself.
    pub(crate) fn lessons(&self, forgets: bool) -> Result<Lessons> {
        let [frames, rows] = if forgets { [1, FRAMES * PUPILS] } else { [FRAMES, PUPILS] };
        let net = self.gru.unroll(Unroll::training(frames, rows).input_gradient(false))?;
        let heads = self.head.unroll(net.output(), net.d_output()?)?;
        let loss = Loss::mean_squared_error(heads.output(), heads.d_output())?;
        let options = AdamOptions { max_norm: Some(1.0), ..AdamOptions::default() };
        let adam = Adam::new(net.pairs()?.chain(heads.pairs()), &options)?;
        Ok(Lessons { net, heads, loss, adam, dice: Dice::new(3) })
    }
}

impl Lessons {
    /// Writes a fresh lesson and records it: fast at first, and slower to the end of the course, which is at 1. One for
    /// each submission.
    pub(crate) fn encode(&mut self, encoder: &mut wgpu::CommandEncoder, share: f32) -> Result<()> {
        self.adam.set_learning_rate(0.01 * (1.0 - share).max(0.02))?;
        let lesson = lesson(FRAMES, PUPILS, &mut self.dice);
        self.net.input().write(&lesson.senses)?;
        self.loss.expected().write(&lesson.forces)?;
        self.net.encode_forward(encoder)?;
        self.heads.encode_forward(encoder);
        self.loss.encode(encoder);
        self.heads.encode_backward(encoder)?;
        self.net.encode_backward(encoder)?;
        self.adam.encode(encoder);
        Ok(())
    }

    /// The mean squared error of the force in the last lesson, in units of force.
    pub(crate) fn loss(&self) -> &Tensor {
        self.loss.loss()
    }
}
