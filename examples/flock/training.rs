//! The course before the app runs, and what it was good for.

use wgpu_gru::{Error, Gpu, Result, Tensor};

use crate::app::{AGENT, App, SKY, Wish};
use crate::mind::Mind;

/// Trains a mind, and gives the loss of the last lessons too.
pub(crate) fn train(gpu: &Gpu, steps: usize, forgets: bool, told: impl Fn(usize)) -> Result<(Mind, f32)> {
    let mind = Mind::new(gpu)?;
    let mut lessons = mind.lessons(forgets)?;
    let mut last = Vec::new();
    for step in 0..steps {
        gpu.submit(|encoder| lessons.encode(encoder, step as f32 / steps as f32))?;
        if step + 20 >= steps {
            last.push(lessons.loss().read_blocking()?[0]);
        }
        told(step + 1);
    }
    let mean = last.iter().sum::<f32>() / last.len() as f32;
    Ok((mind, mean))
}

/// How far agents with this mind are from their circles around the light, for half of them at most, over some frames.
/// Here the CPU looks, every tenth frame.
pub(crate) fn score(gpu: &Gpu, mind: &Mind, forgets: bool, agents: usize, frames: usize) -> Result<f32> {
    let app = App::new(gpu, agents, mind)?;
    app.wish(Wish { forgets: forgets.into(), ..Wish::default() });
    let creatures = Tensor::from_buffer(gpu, app.creatures.slice(..), &[agents, AGENT])?;
    let sky = Tensor::from_buffer(gpu, app.sky.slice(..), &[SKY])?;
    let mut off = Vec::new();
    for frame in 0..frames {
        gpu.submit(|encoder| app.record_frame(encoder))?;
        if frame % 10 == 9 && 3 * frame >= frames {
            let sky = sky.read_blocking()?;
            off.extend(creatures.read_blocking()?.chunks_exact(AGENT).map(|agent| {
                let distance = (agent[0] - sky[0]).hypot(agent[1] - sky[1]);
                (distance - agent[4].abs()).abs()
            }));
        }
    }
    if off.is_empty() {
        return Err(Error::ZeroSize { what: "frames that are looked at" });
    }
    let middle = off.len() / 2;
    Ok(*off.select_nth_unstable_by(middle, f32::total_cmp).1)
}
