//! Gradient descent with momentum and clipping.

use super::methods::{methods, state_of};
use super::optimiser::{Accumulation, Common, Method, Optimiser, Parameter, check, check_below_1, one_minus};
use crate::error::Result;
use crate::gpu::Tensor;
use crate::kernels::{SGD, SgdParams};

/// The options of [`Sgd`]; the defaults are PyTorch's.
///
/// ```
/// use wgpu_gru::train::SgdOptions;
/// let nesterov = SgdOptions { learning_rate: 0.1, momentum: 0.9, nesterov: true, ..SgdOptions::default() };
/// nesterov.validate()?;
/// # Ok::<_, wgpu_gru::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SgdOptions {
    /// Step size, finite and at least 0; 0.001, as PyTorch has it.
    pub learning_rate: f32,
    /// How much of the steps before goes on, in [0, 1); 0, the default, is none, and takes no memory.
    pub momentum: f32,
    /// How much of a gradient the momentum leaves out, in [0, 1): not of the first one, as in PyTorch. Without momentum
    /// it does nothing.
    pub dampening: f32,
    /// Nesterov's form of the momentum, which needs some, and no dampening.
    pub nesterov: bool,
    /// So much of a parameter is added to its gradient, after that was clipped: the penalty weight_decay |w|^2 / 2.
    /// Finite and at least 0, the default. Each [`Parameter`] can have its own.
    pub weight_decay: f32,
    /// All gradients are scaled down together so that their common norm is at most this (Pascanu, Mikolov and Bengio,
    /// 2013), over 0. `None`, the default, leaves them as they are. As in PyTorch's `clip_grad_norm_`, a NaN in one
    /// gradient makes all parameters NaN, and an infinite norm makes every finite gradient 0.
    pub max_norm: Option<f32>,
    /// As [`AdamOptions::clip_value`](super::AdamOptions::clip_value).
    pub clip_value: Option<f32>,
    /// Leave a step out if any gradient is NaN or infinite, before it is clipped: parameters and momentum stay as they
    /// were, and the step is counted in [`Sgd::skipped`]. Off by default. Gradients that are finite are never left out,
    /// however large.
    pub skip_nonfinite: bool,
    /// As [`AdamOptions::accumulate`](super::AdamOptions::accumulate).
    pub accumulate: Option<Accumulation>,
}

impl Default for SgdOptions {
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            momentum: 0.0,
            dampening: 0.0,
            nesterov: false,
            weight_decay: 0.0,
            max_norm: None,
            clip_value: None,
            skip_nonfinite: false,
            accumulate: None,
        }
    }
}

impl SgdOptions {
    /// Checks every option.
    ///
    /// # Errors
    /// [`Error::InvalidOption`](crate::Error::InvalidOption) names the first that is out of its range or NaN.
    pub fn validate(&self) -> Result<()> {
        self.common().validate()?;
        let (momentum, dampening) = (self.momentum, self.dampening);
        check_below_1("momentum", momentum, "0 <= momentum < 1")?;
        check_below_1("dampening", dampening, "0 <= dampening < 1")?;
        if self.nesterov {
            check("momentum", momentum, momentum > 0.0, "over 0 with nesterov")?;
            check("dampening", dampening, dampening == 0.0, "0 with nesterov")?;
        }
        Ok(())
    }

    fn common(&self) -> Common {
        let &Self { learning_rate, weight_decay, max_norm, clip_value, skip_nonfinite, accumulate, .. } = self;
        Common { learning_rate, weight_decay, max_norm, clip_value, skip_nonfinite, accumulate }
    }
}

/// Gradient descent over any number of parameters, with clipping by their global norm or by value, all on the GPU, as
/// [PyTorch's `SGD`](https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html) takes its steps:
///
/// ```text
/// g = clipped gradient + weight_decay parameter
/// b = momentum b + (1 - dampening) g, at the first step b = g
/// parameter -= learning_rate b, with nesterov learning_rate (g + momentum b), without momentum learning_rate g
/// ```
///
/// A step is as long as the gradient, so on long sequences clipping matters here even more than with
/// [`Adam`](super::Adam).
#[derive(Debug)]
pub struct Sgd(Optimiser);

impl Sgd {
    /// An optimiser of parameters with their gradients, as [`Adam::new`](super::Adam::new) takes them.
    ///
    /// # Errors
    /// Those of [`Adam::new`](super::Adam::new).
    pub fn new<'a, P: Into<Parameter<'a>>>(
        parameters: impl IntoIterator<Item = P>,
        options: &SgdOptions,
    ) -> Result<Self> {
        options.validate()?;
        let parameters: Vec<_> = parameters.into_iter().map(Into::into).collect();
        let &SgdOptions { momentum, dampening, nesterov, .. } = options;
        let kept: &[_] = if momentum > 0.0 { &["momentum_buffer"] } else { &[] };
        // There is no bias to correct.
        let method = Method { label: "sgd", kernel: &SGD, common: options.common(), betas: [0.0, 0.0], kept };
        let optimiser = Optimiser::new(&parameters, method, |builder, step| {
            let ((parameter, parameter_offset), (gradient, gradient_offset)) = (step.parameter, step.gradient);
            let params = SgdParams {
                len: step.len,
                parameter_offset,
                gradient_offset,
                workgroups: step.workgroups,
                weight_decay: step.weight_decay,
                momentum,
                one_minus_dampening: one_minus(dampening),
                nesterov: u32::from(nesterov),
            };
            let momentum = step.kept.first().copied().unwrap_or(step.nothing);
            let storage = crate::kernels::Sgd { state: step.state, gradient, parameter, momentum };
            let kernel = builder.gpu().kernel(&SGD, &[]);
            builder.once(kernel, &params, storage.storage(), [step.workgroups, 1, 1]);
        })?;
        Ok(Self(optimiser))
    }
}

methods!(Sgd, "SgdOptions");
