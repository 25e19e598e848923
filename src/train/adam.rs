//! Adam and AdamW with clipping.

use super::methods::{methods, state_of};
use super::optimiser::{Accumulation, Common, Method, Optimiser, Parameter, check, check_below_1, one_minus};
use crate::error::Result;
use crate::gpu::Tensor;
use crate::kernels::{ADAM, AdamParams};

/// The options of [`Adam`]; the defaults are those of PyTorch's `Adam`.
///
/// ```
/// use wgpu_gru::train::AdamOptions;
/// let adamw = AdamOptions { learning_rate: 1e-3, weight_decay: 0.01, max_norm: Some(1.0), ..AdamOptions::default() };
/// adamw.validate()?;
/// # Ok::<_, wgpu_gru::Error>(())
/// ```
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
    /// How much of a parameter each step takes away, as a multiple of the step size, finite and at least 0. It is
    /// decoupled from the gradient and its moments (Loshchilov and Hutter, 2019): with it this is
    /// [PyTorch's `AdamW`](https://docs.pytorch.org/docs/stable/generated/torch.optim.AdamW.html), whose default is
    /// 0.01, and not the `weight_decay` of its `Adam`. 0, the default, is none. Each [`Parameter`] can have its own.
    pub weight_decay: f32,
    /// All gradients are scaled down together so that their common norm is at most this (Pascanu, Mikolov and Bengio,
    /// 2013), over 0. `None`, the default, leaves them as they are. As in PyTorch's `clip_grad_norm_`, a NaN in one
    /// gradient makes all parameters NaN, and an infinite norm makes every finite gradient 0.
    pub max_norm: Option<f32>,
    /// Each number of a gradient goes to the range from -`clip_value` to `clip_value`, over 0, as in PyTorch's
    /// [`clip_grad_value_`](https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_value_.html): an
    /// infinity becomes its end, and a NaN stays one. `None`, the default, leaves them as they are. With
    /// [`max_norm`](Self::max_norm) that comes first.
    pub clip_value: Option<f32>,
    /// Leave a step out if any gradient is NaN or infinite, before it is clipped: parameters, moments and bias
    /// corrections stay as they were, and the step is counted in [`Adam::skipped`]. Off by default. Gradients that are
    /// finite are never left out, however large; set [`max_norm`](Self::max_norm) too, because the square of one over
    /// 1.8e19 overflows the second moment.
    pub skip_nonfinite: bool,
    /// A step is that of the gradients of several backward passes, which [`Adam::encode_accumulate`] adds up: so many
    /// rows train as one batch that are too many for one pass. It takes as much memory as the gradients once more.
    /// `None`, the default: a step reads the gradients themselves.
    ///
    /// Norm, clipping and [`skip_nonfinite`](Self::skip_nonfinite) are of the mean or the sum, not of single passes: a
    /// NaN or an infinity in one of them makes the sum NaN or infinite, and the step of all of them is left out. They
    /// are added in f32 one after the other, so a sum of k has a rounding error of k - 1 additions.
    pub accumulate: Option<Accumulation>,
}

impl Default for AdamOptions {
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            max_norm: None,
            clip_value: None,
            skip_nonfinite: false,
            accumulate: None,
        }
    }
}

impl AdamOptions {
    /// Checks every option.
    ///
    /// # Errors
    /// [`Error::InvalidOption`](crate::Error::InvalidOption) names the first that is out of its range or NaN.
    pub fn validate(&self) -> Result<()> {
        self.common().validate()?;
        check_below_1("beta1", self.beta1, "0 <= beta1 < 1")?;
        check_below_1("beta2", self.beta2, "0 <= beta2 < 1")?;
        let epsilon = self.epsilon;
        check("epsilon", epsilon, epsilon.is_finite() && epsilon > 0.0, "finite and over 0")
    }

    fn common(&self) -> Common {
        let &Self { learning_rate, weight_decay, max_norm, clip_value, skip_nonfinite, accumulate, .. } = self;
        Common { learning_rate, weight_decay, max_norm, clip_value, skip_nonfinite, accumulate }
    }
}

/// Adam (Kingma and Ba, 2015) over any number of parameters, with clipping by their global norm or by value; with
/// [`weight_decay`](AdamOptions::weight_decay) AdamW. Moments, norm and bias corrections stay on the GPU, so a step is
/// recorded without knowing which one it is.
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
/// # use wgpu_gru::train::{Adam, AdamOptions, Linear, Loss, Sgd, SgdOptions};
/// # let linear = Linear::new(gpu, 32, 4, 1)?;
/// # let features = wgpu_gru::Tensor::zeros(gpu, &[20, 32])?;
/// # let head = linear.unroll(&features, None)?;
/// let adam = Adam::new(head.pairs(), &AdamOptions::default())?;
/// gpu.submit(|encoder| Ok(adam.encode(encoder)))?; // one step
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Adam(Optimiser);

impl Adam {
    /// An optimiser of parameters with their gradients, of the same shape: pairs such as
    /// [`Unrolled::pairs`](crate::Unrolled::pairs) gives, or [`Parameter`]s. No parameter may share elements with
    /// another parameter or with any gradient, nor lie in the buffer of its own gradient. A gradient may be given
    /// twice; it then counts twice in the norm.
    ///
    /// # Errors
    /// [`Error`](crate::Error): `InvalidOption`, `ZeroSize` for no parameter at all, `ShapeMismatch`, `ForeignDevice`,
    /// `Aliased`, `LimitExceeded`, `OutOfMemory`, `DeviceLost`.
    pub fn new<'a, P: Into<Parameter<'a>>>(
        parameters: impl IntoIterator<Item = P>,
        options: &AdamOptions,
    ) -> Result<Self> {
        options.validate()?;
        let parameters: Vec<_> = parameters.into_iter().map(Into::into).collect();
        let &AdamOptions { beta1, beta2, epsilon, .. } = options;
        let betas = [beta1, beta2];
        let [one_minus_beta1, one_minus_beta2] = betas.map(one_minus);
        let method =
            Method { label: "adam", kernel: &ADAM, common: options.common(), betas, kept: &["exp_avg", "exp_avg_sq"] };
        let optimiser = Optimiser::new(&parameters, method, |builder, step| {
            let ((parameter, parameter_offset), (gradient, gradient_offset)) = (step.parameter, step.gradient);
            let params = AdamParams {
                len: step.len,
                parameter_offset,
                gradient_offset,
                workgroups: step.workgroups,
                beta1,
                beta2,
                one_minus_beta1,
                one_minus_beta2,
                epsilon,
                weight_decay: step.weight_decay,
            };
            let (moment1, moment2) = (step.kept[0], step.kept[1]);
            let storage = crate::kernels::Adam { state: step.state, gradient, parameter, moment1, moment2 };
            let kernel = builder.gpu().kernel(&ADAM, &[]);
            builder.once(kernel, &params, storage.storage(), [step.workgroups, 1, 1]);
        })?;
        Ok(Self(optimiser))
    }
}

methods!(Adam, "AdamOptions");
