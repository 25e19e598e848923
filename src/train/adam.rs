//! Adam with clipping by global norm.

use super::optimiser::{StepOptions, StepState, check, check_learning_rate, check_max_norm, check_pairs, one_minus};
use crate::error::Result;
use crate::gpu::{Program, ProgramBuilder, Tensor};
use crate::kernels::{ADAM, AdamParams};
use crate::lower::element_workgroups;

/// The options of [`Adam`]; the defaults are PyTorch's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamOptions {
    /// Step size, finite and at least 0.
    pub learning_rate: f32,
    /// Decay of the mean of gradients, in [0, 1).
    pub beta1: f32,
    /// Decay of the mean of squared gradients, in [0, 1).
    pub beta2: f32,
    /// Added to the square root, finite and over 0.
    pub epsilon: f32,
    /// All gradients are scaled down together so that their common norm is at most this (Pascanu, Mikolov and Bengio,
    /// 2013), over 0. `None`, the default, leaves them as they are. As in PyTorch's `clip_grad_norm_`, a NaN in one
    /// gradient makes all parameters NaN, and an infinite norm makes every finite gradient 0.
    pub max_norm: Option<f32>,
    /// Leave a step out if any gradient is NaN or infinite: parameters, moments and bias corrections stay as they were,
    /// and the step is counted in [`Adam::skipped`]. Off by default. Gradients that are finite are never left out,
    /// however large; set [`max_norm`](Self::max_norm) too, because the square of one over 1.8e19 overflows the second
    /// moment.
    pub skip_nonfinite: bool,
}

impl Default for AdamOptions {
    fn default() -> Self {
        Self { learning_rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, max_norm: None, skip_nonfinite: false }
    }
}

impl AdamOptions {
    /// Checks every option.
    ///
    /// # Errors
    /// [`Error::InvalidOption`](crate::Error::InvalidOption) names the first that is out of its range or NaN.
    pub fn validate(&self) -> Result<()> {
        check_learning_rate(self.learning_rate)?;
        let decay = 0.0..1.0;
        check("beta1", self.beta1, decay.contains(&self.beta1), "0 <= beta1 < 1")?;
        check("beta2", self.beta2, decay.contains(&self.beta2), "0 <= beta2 < 1")?;
        let epsilon = self.epsilon;
        check("epsilon", epsilon, epsilon.is_finite() && epsilon > 0.0, "finite and over 0")?;
        check_max_norm(self.max_norm)
    }
}

/// Adam (Kingma and Ba, 2015) over any number of parameters, with clipping by their global norm. Moments, norm and bias
/// corrections stay on the GPU, so a step is recorded without knowing which one it is.
#[derive(Debug)]
pub struct Adam {
    state: StepState,
    program: Program,
}

impl Adam {
    /// An optimiser of pairs of a parameter and its gradient, of the same shape. No parameter may share elements with
    /// another parameter or with any gradient, nor lie in the buffer of its own gradient. A gradient may be given
    /// twice; it then counts twice in the norm.
    ///
    /// # Errors
    /// [`Error`](crate::Error): `InvalidOption`, `ZeroSize` for no pair at all, `ShapeMismatch`, `ForeignDevice`,
    /// `Aliased`, `LimitExceeded`, `OutOfMemory`, `DeviceLost`.
    pub fn new(pairs: &[(&Tensor, &Tensor)], options: &AdamOptions) -> Result<Self> {
        options.validate()?;
        let gpu = check_pairs(pairs)?;
        let state = StepState::new(gpu, &ADAM, pairs, options.learning_rate)?;
        let mut moments = Vec::new();
        for (parameter, _) in pairs {
            moments.push([
                Tensor::named(gpu, "moment1", parameter.shape(), None)?,
                Tensor::named(gpu, "moment2", parameter.shape(), None)?,
            ]);
        }

        let mut builder = ProgramBuilder::new(gpu, "adam");
        let &AdamOptions { beta1, beta2, epsilon, max_norm, skip_nonfinite, .. } = options;
        let betas = [beta1, beta2];
        let [one_minus_beta1, one_minus_beta2] = one_minus(betas);
        state.prepare(&mut builder, pairs, StepOptions { max_norm, skip_nonfinite, betas });
        for ((parameter, gradient), [moment1, moment2]) in pairs.iter().zip(&moments) {
            let workgroups = element_workgroups(parameter.len());
            let (parameter_view, parameter_offset) = parameter.view();
            let (gradient_view, gradient_offset) = gradient.view();
            let params = AdamParams {
                len: parameter.len() as u32,
                parameter_offset,
                gradient_offset,
                workgroups,
                beta1,
                beta2,
                one_minus_beta1,
                one_minus_beta2,
                epsilon,
            };
            let storage = crate::kernels::Adam {
                state: state.scalars.view().0,
                gradient: gradient_view,
                parameter: parameter_view,
                moment1: moment1.view().0,
                moment2: moment2.view().0,
            };
            builder.once(gpu.kernel(&ADAM, &[]), &params, storage.storage(), [workgroups, 1, 1]);
        }
        let program = builder.build()?;
        Ok(Self { state, program })
    }

    /// Changes the step size, before the next submission's commands run.
    ///
    /// # Errors
    /// [`Error::InvalidOption`](crate::Error::InvalidOption).
    pub fn set_learning_rate(&self, learning_rate: f32) -> Result<()> {
        self.state.set_learning_rate(learning_rate)
    }

    /// The global norm of the gradients at the last step that was recorded, before clipping, `[1]`. No square in it
    /// overflows or vanishes: it is right wherever f32 holds the norm itself, up to 3.4e38. How many digits it keeps:
    /// [Long sums](crate::train#long-sums).
    #[must_use]
    pub fn norm(&self) -> &Tensor {
        &self.state.norm
    }

    /// How many steps were left out so far, `[1]`: see [`AdamOptions::skip_nonfinite`]. As an f32 it stops at
    /// 16,777,216.
    #[must_use]
    pub fn skipped(&self) -> &Tensor {
        &self.state.skipped
    }

    /// Records one step.
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder) {
        self.program.encode(encoder);
        self.state.mark_written();
    }
}
