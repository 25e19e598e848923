//! Learning rates that change from step to step.

use std::f64::consts::PI;

use super::optimiser::{check, check_at_least_0};
use crate::error::{Result, at_least_one};

/// What the learning rate is at each step: a function of the number of the step, which the app counts from 0, so it
/// goes on where a saved training ended. The formulas are those of PyTorch's schedulers in closed form, in f64.
///
/// ```no_run
/// # fn example(adam: &wgpu_gru::train::Adam) -> wgpu_gru::Result<()> {
/// use wgpu_gru::train::LearningRate;
/// let rate = LearningRate::cosine(1e-3, 9_500, 1e-5)?.warm_up(500, 0.1)?;
/// for step in 0..10_000 {
///     adam.set_learning_rate(rate.at(step))?;
///     // .. one submission ..
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LearningRate {
    rate: f32,
    decay: Decay,
    /// Steps, and the factor of the first one.
    warm_up: Option<(u64, f32)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Decay {
    None,
    Step { every: u64, factor: f32 },
    Cosine { steps: u64, least: f32 },
}

impl LearningRate {
    /// Always the same rate, finite and at least 0.
    ///
    /// # Errors
    /// [`Error::InvalidOption`](crate::Error::InvalidOption).
    pub fn constant(rate: f32) -> Result<Self> {
        Self::new(rate, Decay::None)
    }

    /// rate factor^floor(t / every) at step t, with a factor over 0 and at most 1:
    /// [`StepLR`](https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.StepLR.html).
    ///
    /// # Errors
    /// [`Error::InvalidOption`](crate::Error::InvalidOption), [`Error::ZeroSize`](crate::Error::ZeroSize).
    pub fn step(rate: f32, every: u64, factor: f32) -> Result<Self> {
        at_least_one_step("every", every)?;
        check("factor", factor, factor > 0.0 && factor <= 1.0, "0 < factor <= 1")?;
        Self::new(rate, Decay::Step { every, factor })
    }

    /// least + (rate - least) (1 + cos(π t / steps)) / 2 at step t, half a wave from the rate down to the least one
    /// (Loshchilov and Hutter, 2017, without restarts): [`CosineAnnealingLR`][1]. As there the wave goes on: past
    /// `steps` the rate rises again.
    ///
    /// [1]: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.CosineAnnealingLR.html
    ///
    /// # Errors
    /// [`Error::InvalidOption`](crate::Error::InvalidOption), [`Error::ZeroSize`](crate::Error::ZeroSize).
    pub fn cosine(rate: f32, steps: u64, least: f32) -> Result<Self> {
        at_least_one_step("steps", steps)?;
        check("least", least, least >= 0.0 && least <= rate, "0 <= least <= rate")?;
        Self::new(rate, Decay::Cosine { steps, least })
    }

    fn new(rate: f32, decay: Decay) -> Result<Self> {
        check_at_least_0("rate", rate)?;
        Ok(Self { rate, decay, warm_up: None })
    }

    /// The same with `steps` steps before it, from `from` times the rate in even steps up to it, where what this is
    /// begins with its step 0: rate (from + (1 - from) t / steps) at step t. `from` is in \[0, 1\].
    /// [`LinearLR`](https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.LinearLR.html) and then
    /// this, in a `SequentialLR`.
    ///
    /// # Errors
    /// [`Error::InvalidOption`](crate::Error::InvalidOption), [`Error::ZeroSize`](crate::Error::ZeroSize).
    pub fn warm_up(self, steps: u64, from: f32) -> Result<Self> {
        at_least_one_step("warm_up", steps)?;
        check("from", from, (0.0..=1.0).contains(&from), "0 <= from <= 1")?;
        Ok(Self { warm_up: Some((steps, from)), ..self })
    }

    /// The rate at this step, finite and at least 0.
    #[must_use]
    pub fn at(&self, step: u64) -> f32 {
        let rate = f64::from(self.rate);
        let before = self.warm_up.map_or(0, |(steps, _)| steps);
        let at = match (self.warm_up, step.checked_sub(before)) {
            (Some((steps, from)), None) => {
                let from = f64::from(from);
                rate * (from + (1.0 - from) * (step as f64 / steps as f64))
            }
            (_, after) => self.decay.of(rate, after.unwrap_or_default()),
        };
        at as f32
    }
}

impl Decay {
    fn of(self, rate: f64, step: u64) -> f64 {
        match self {
            Self::None => rate,
            Self::Step { every, factor } => rate * f64::from(factor).powf((step / every) as f64),
            Self::Cosine { steps, least } => {
                let least = f64::from(least);
                // A whole wave less is the same, and keeps its digits.
                let along = (u128::from(step) % (2 * u128::from(steps))) as f64 / steps as f64;
                least + (rate - least) * (1.0 + (PI * along).cos()) / 2.0
            }
        }
    }
}

fn at_least_one_step(what: &'static str, steps: u64) -> Result<()> {
    at_least_one(what, usize::from(steps > 0))
}
