//! Adam with clipping by global norm.

use crate::error::{Error, Result, expect_shape};
use crate::gpu::{Program, ProgramBuilder, Tensor};
use crate::kernels::{ADAM, ADAM_PREPARE, AdamParams, AdamPrepare, AdamPrepareParams};
use crate::ops::{self, element_workgroups, reduction_workgroups};

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
    /// 2013), over 0. `None` leaves them as they are.
    pub max_norm: Option<f32>,
}

impl Default for AdamOptions {
    fn default() -> Self {
        Self { learning_rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, max_norm: None }
    }
}

impl AdamOptions {
    /// Checks every option.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] names the first that is out of its range or NaN.
    pub fn validate(&self) -> Result<()> {
        check_learning_rate(self.learning_rate)?;
        let decay = 0.0..1.0;
        check("beta1", self.beta1, decay.contains(&self.beta1), "0 <= beta1 < 1")?;
        check("beta2", self.beta2, decay.contains(&self.beta2), "0 <= beta2 < 1")?;
        let epsilon = self.epsilon;
        check("epsilon", epsilon, epsilon.is_finite() && epsilon > 0.0, "finite and over 0")?;
        self.max_norm
            .map_or(Ok(()), |norm| check("max_norm", norm, norm.is_finite() && norm > 0.0, "finite and over 0"))
    }
}

fn check_learning_rate(rate: f32) -> Result<()> {
    check("learning_rate", rate, rate.is_finite() && rate >= 0.0, "finite and at least 0")
}

fn check(option: &'static str, value: f32, valid: bool, expected: &'static str) -> Result<()> {
    if valid { Ok(()) } else { Err(Error::InvalidOption { option, value: f64::from(value), expected }) }
}

/// Adam (Kingma and Ba, 2015) over any number of parameters, with clipping by their global norm. All on the GPU: moments,
/// norm and the count of steps, so that a step is recorded without knowing which one it is.
#[derive(Debug)]
pub struct Adam {
    /// learning rate, two bias corrections, norm, scale: see `shaders/shared/adam.wgsl`.
    state: Tensor,
    norm: Tensor,
    program: Program,
}

impl Adam {
    /// An optimiser of pairs of a parameter and its gradient, of the same shape.
    ///
    /// # Errors
    /// [`Error::InvalidOption`], [`Error::ZeroSize`] for no pair at all, [`Error::ShapeMismatch`],
    /// [`Error::ForeignDevice`], [`Error::Aliased`], [`Error::LimitExceeded`], [`Error::OutOfMemory`],
    /// [`Error::DeviceLost`].
    pub fn new(pairs: &[(&Tensor, &Tensor)], options: &AdamOptions) -> Result<Self> {
        options.validate()?;
        let &[(first, _), ..] = pairs else { return Err(Error::ZeroSize { what: "number of parameters" }) };
        let gpu = first.gpu();
        for (parameter, gradient) in pairs {
            expect_shape("gradient", parameter.shape(), gradient.shape())?;
            first.expect_same_device("parameter", parameter)?;
            first.expect_same_device("gradient", gradient)?;
            if parameter.buffer() == gradient.buffer() {
                return Err(Error::Aliased { first: "parameter", second: "gradient" });
            }
        }

        let state = Tensor::named(gpu, "adam state", &[5], Some(&[options.learning_rate, 0.0, 0.0, 0.0, 1.0]))?;
        let partials = pairs.iter().map(|(_, gradient)| reduction_workgroups(gradient.len()) as usize).sum();
        let partial = Tensor::named(gpu, "partial sums of squares", &[partials], None)?;
        let mut moments = Vec::new();
        for (parameter, _) in pairs {
            moments.push([
                Tensor::named(gpu, "moment1", parameter.shape(), None)?,
                Tensor::named(gpu, "moment2", parameter.shape(), None)?,
            ]);
        }

        let mut builder = ProgramBuilder::new(gpu, "adam");
        let mut at = 0;
        for (_, gradient) in pairs {
            at += ops::sum_squares(&mut builder, gradient, &partial, at);
        }
        let &AdamOptions { beta1, beta2, epsilon, max_norm, .. } = options;
        let [one_minus_beta1, one_minus_beta2] = [beta1, beta2].map(|beta| (1.0 - f64::from(beta)) as f32);
        let params = AdamPrepareParams {
            partials: partials as u32,
            clip: u32::from(max_norm.is_some()),
            max_norm: max_norm.unwrap_or(0.0),
            beta1,
            beta2,
            one_minus_beta1,
            one_minus_beta2,
        };
        let storage = AdamPrepare { partial: partial.view().0, state: state.view().0 };
        builder.once(gpu.kernel(&ADAM_PREPARE, &[]), &params, storage.storage(), [1, 1, 1]);
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
                state: state.view().0,
                gradient: gradient_view,
                parameter: parameter_view,
                moment1: moment1.view().0,
                moment2: moment2.view().0,
            };
            builder.once(gpu.kernel(&ADAM, &[]), &params, storage.storage(), [workgroups, 1, 1]);
        }
        let program = builder.build()?;
        let norm = state.outer(3..4)?;
        Ok(Self { state, norm, program })
    }

    /// Changes the step size, before the next submission's commands run.
    ///
    /// # Errors
    /// [`Error::InvalidOption`].
    pub fn set_learning_rate(&self, learning_rate: f32) -> Result<()> {
        check_learning_rate(learning_rate)?;
        self.state.outer(0..1)?.write(&[learning_rate])
    }

    /// The global norm of the gradients at the last step, before clipping, `[1]`.
    #[must_use]
    pub fn norm(&self) -> &Tensor {
        &self.norm
    }

    /// Records one step.
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder) {
        self.program.encode(encoder);
    }
}
