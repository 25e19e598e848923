//! The net that steers the agents, and how it learns.

use wgpu_gru::train::{Adam, AdamOptions, Linear, Loss};
use wgpu_gru::{Gpu, Gru, GruConfig, Result, Unroll};

use crate::school::{Dice, lesson};
use crate::{HIDDEN, SENSES};

/// Frames and pupils of a lesson.
const FRAMES: usize = 80;
const PUPILS: usize = 48;

/// A GRU, and a head that makes a force of its state.
#[derive(Debug)]
pub(crate) struct Mind {
    pub(crate) gru: Gru,
    pub(crate) head: Linear,
    /// It forgets everything after each frame: the rival.
    pub(crate) forgets: bool,
}

impl Mind {
    /// Trains a mind on lessons. One that forgets learns each frame by itself. Gives the loss of the last lessons too:
    /// the mean squared error of the force, in units of force.
    pub(crate) fn trained(gpu: &Gpu, steps: usize, forgets: bool, told: impl Fn(usize)) -> Result<(Self, f32)> {
        let gru = Gru::new(gpu, GruConfig::new(SENSES, HIDDEN), 1)?;
        let head = Linear::new(gpu, HIDDEN, 2, 2)?;
        let [frames, rows] = if forgets { [1, FRAMES * PUPILS] } else { [FRAMES, PUPILS] };
        let mut net = gru.unroll(Unroll::training(frames, rows).input_gradient(false))?;
        let heads = head.unroll(net.output(), net.d_output()?)?;
        let loss = Loss::mean_squared_error(heads.output(), heads.d_output())?;
        let options = AdamOptions { max_norm: Some(1.0), ..AdamOptions::default() };
        let adam = Adam::new(net.pairs()?.chain(heads.pairs()), &options)?;
        let mut dice = Dice::new(3);
        let mut last = Vec::new();
        for step in 0..steps {
            // Fast at first, and slower to the end.
            let share = step as f32 / steps as f32;
            adam.set_learning_rate(0.01 * (1.0 - share).max(0.02))?;
            let lesson = lesson(FRAMES, PUPILS, &mut dice);
            net.input().write(&lesson.senses)?;
            loss.expected().write(&lesson.forces)?;
            gpu.submit(|encoder| {
                net.encode_forward(encoder)?;
                heads.encode_forward(encoder);
                loss.encode(encoder);
                heads.encode_backward(encoder)?;
                net.encode_backward(encoder)?;
                adam.encode(encoder);
                Ok(())
            })?;
            if step + 20 >= steps {
                last.push(loss.loss().read_blocking()?[0]);
            }
            told(step + 1);
        }
        let mean = last.iter().sum::<f32>() / last.len() as f32;
        Ok((Self { gru, head, forgets }, mean))
    }
}
