//! Gradient descent with clipping by global norm.

use super::optimiser::{StepOptions, StepState, check_learning_rate, check_max_norm, check_pairs};
use crate::error::Result;
use crate::gpu::{Program, ProgramBuilder, Tensor};
use crate::kernels::{SGD, SgdParams};
use crate::lower::element_workgroups;

/// The options of [`Sgd`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SgdOptions {
    /// Step size, finite and at least 0; 0.001, as PyTorch has it.
    pub learning_rate: f32,
    /// All gradients are scaled down together so that their common norm is at most this (Pascanu, Mikolov and Bengio,
    /// 2013), over 0. `None`, the default, leaves them as they are. As in PyTorch's `clip_grad_norm_`, a NaN in one
    /// gradient makes all parameters NaN, and an infinite norm makes every finite gradient 0.
    pub max_norm: Option<f32>,
    /// Leave a step out if any gradient is NaN or infinite: parameters stay as they were, and
    /// the step is counted in [`Sgd::skipped`]. Off by default. Gradients that are finite are never left out, however
    /// large.
    pub skip_nonfinite: bool,
}

impl Default for SgdOptions {
    fn default() -> Self {
        Self { learning_rate: 1e-3, max_norm: None, skip_nonfinite: false }
    }
}

impl SgdOptions {
    /// Checks every option.
    ///
    /// # Errors
    /// [`Error::InvalidOption`](crate::Error::InvalidOption) names the first that is out of its range or NaN.
    pub fn validate(&self) -> Result<()> {
        check_learning_rate(self.learning_rate)?;
        check_max_norm(self.max_norm)
    }
}

/// Plain gradient descent, parameter -= rate * gradient, over any number of parameters, with clipping by their global
/// norm. All on the GPU. A step is as long as the gradient, so on long sequences clipping matters here even more than
/// with [`Adam`](super::Adam).
#[derive(Debug)]
pub struct Sgd {
    state: StepState,
    program: Program,
}

impl Sgd {
    /// An optimiser of pairs of a parameter and its gradient, as [`Adam::new`](super::Adam::new) takes them.
    ///
    /// # Errors
    /// Those of [`Adam::new`](super::Adam::new).
    pub fn new(pairs: &[(&Tensor, &Tensor)], options: &SgdOptions) -> Result<Self> {
        options.validate()?;
        let gpu = check_pairs(pairs)?;
        let state = StepState::new(gpu, &SGD, pairs, options.learning_rate)?;
        let mut builder = ProgramBuilder::new(gpu, "sgd");
        let &SgdOptions { max_norm, skip_nonfinite, .. } = options;
        // There are no moments, so no bias to correct.
        state.prepare(&mut builder, pairs, StepOptions { max_norm, skip_nonfinite, betas: [0.0, 0.0] });
        for &(parameter, gradient) in pairs {
            let workgroups = element_workgroups(parameter.len());
            let (parameter_view, parameter_offset) = parameter.view();
            let (gradient_view, gradient_offset) = gradient.view();
            let params = SgdParams { len: parameter.len() as u32, parameter_offset, gradient_offset, workgroups };
            let storage = crate::kernels::Sgd {
                state: state.scalars.view().0,
                gradient: gradient_view,
                parameter: parameter_view,
            };
            builder.once(gpu.kernel(&SGD, &[]), &params, storage.storage(), [workgroups, 1, 1]);
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

    /// How many steps were left out so far, `[1]`: see [`SgdOptions::skip_nonfinite`]. As an f32 it stops at
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
