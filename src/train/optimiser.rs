//! What the optimisers share: their checks, and the scalars of a step with the global norm and the clipping.

use crate::error::{Error, Result, expect_shape};
use crate::gpu::{Gpu, ProgramBuilder, Tensor};
use crate::kernels::{ADAM_PREPARE, AdamPrepare, AdamPrepareParams};
use crate::ops::{self, reduction_workgroups};

pub(super) fn check(option: &'static str, value: f32, valid: bool, expected: &'static str) -> Result<()> {
    if valid { Ok(()) } else { Err(Error::InvalidOption { option, value: f64::from(value), expected }) }
}

pub(super) fn check_learning_rate(rate: f32) -> Result<()> {
    check("learning_rate", rate, rate.is_finite() && rate >= 0.0, "finite and at least 0")
}

pub(super) fn check_max_norm(max_norm: Option<f32>) -> Result<()> {
    max_norm.map_or(Ok(()), |norm| check("max_norm", norm, norm.is_finite() && norm > 0.0, "finite and over 0"))
}

/// Checks pairs of a parameter and its gradient, and gives their device.
pub(super) fn check_pairs<'a>(pairs: &[(&'a Tensor, &Tensor)]) -> Result<&'a Gpu> {
    let &[(first, _), ..] = pairs else { return Err(Error::ZeroSize { what: "number of parameters" }) };
    for (parameter, gradient) in pairs {
        expect_shape("gradient", parameter.shape(), gradient.shape())?;
        first.expect_same_device("parameter", parameter)?;
        first.expect_same_device("gradient", gradient)?;
        if parameter.buffer() == gradient.buffer() {
            return Err(Error::Aliased { first: "parameter", second: "gradient" });
        }
    }
    Ok(first.gpu())
}

/// The scalars of a step, on the GPU.
#[derive(Debug)]
pub(super) struct StepState {
    /// learning rate, two bias corrections, norm, scale: see `shaders/shared/adam.wgsl`.
    pub(super) scalars: Tensor,
    pub(super) norm: Tensor,
    partial: Tensor,
}

impl StepState {
    pub(super) fn new(gpu: &Gpu, pairs: &[(&Tensor, &Tensor)], learning_rate: f32) -> Result<Self> {
        let scalars = Tensor::named(gpu, "optimiser state", &[5], Some(&[learning_rate, 0.0, 0.0, 0.0, 1.0]))?;
        let partials = pairs.iter().map(|(_, gradient)| reduction_workgroups(gradient.len()) as usize).sum();
        let partial = Tensor::named(gpu, "partial sums of squares", &[partials], None)?;
        let norm = scalars.outer(3..4)?;
        Ok(Self { scalars, norm, partial })
    }

    /// The dispatches that make the norm, the factor that clips and the bias corrections.
    pub(super) fn prepare<'a>(
        &'a self,
        builder: &mut ProgramBuilder<'a>,
        pairs: &[(&'a Tensor, &'a Tensor)],
        max_norm: Option<f32>,
        [beta1, beta2]: [f32; 2],
    ) {
        let mut at = 0;
        for (_, gradient) in pairs {
            at += ops::sum_squares(builder, gradient, &self.partial, at);
        }
        let [one_minus_beta1, one_minus_beta2] = one_minus([beta1, beta2]);
        let params = AdamPrepareParams {
            partials: self.partial.len() as u32,
            clip: u32::from(max_norm.is_some()),
            max_norm: max_norm.unwrap_or(0.0),
            beta1,
            beta2,
            one_minus_beta1,
            one_minus_beta2,
        };
        let storage = AdamPrepare { partial: self.partial.view().0, state: self.scalars.view().0 };
        let kernel = builder.gpu().kernel(&ADAM_PREPARE, &[]);
        builder.once(kernel, &params, storage.storage(), [1, 1, 1]);
    }

    pub(super) fn set_learning_rate(&self, learning_rate: f32) -> Result<()> {
        check_learning_rate(learning_rate)?;
        self.scalars.outer(0..1)?.write(&[learning_rate])
    }
}

/// 1 - beta, rounded once.
pub(super) fn one_minus(betas: [f32; 2]) -> [f32; 2] {
    betas.map(|beta| (1.0 - f64::from(beta)) as f32)
}
