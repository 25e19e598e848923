//! What the optimisers share: their checks, and the scalars of a step with the global norm, clipping and skipping.

use crate::error::{Error, Result, expect_shape};
use crate::gpu::{Gpu, KernelSpec, ProgramBuilder, Tensor};
use crate::kernels::{ADAM_PREPARE, AdamPrepare, AdamPrepareParams, SUM_SQUARES};
use crate::lower::{reduction_workgroups, sum_squares};

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
    for (index, (parameter, gradient)) in pairs.iter().enumerate() {
        expect_shape("gradient", parameter.shape(), gradient.shape())?;
        first.expect_same_device("parameter", parameter)?;
        first.expect_same_device("gradient", gradient)?;
        // One dispatch reads the gradient and writes the parameter, and a GPU binds whole buffers.
        if parameter.buffer() == gradient.buffer() {
            return Err(Error::Aliased { first: "parameter", second: "gradient" });
        }
        // Whichever came first would change what the other one needs, or be changed twice.
        for (other, other_gradient) in &pairs[..index] {
            if parameter.overlaps(other) {
                return Err(Error::Aliased { first: "parameter", second: "another parameter" });
            }
            if parameter.overlaps(other_gradient) || gradient.overlaps(other) {
                return Err(Error::Aliased { first: "parameter", second: "the gradient of another parameter" });
            }
        }
    }
    Ok(first.gpu())
}

/// What every optimiser has.
#[derive(Debug)]
pub(super) struct StepState {
    /// Learning rate, two bias corrections, the factor that clips, whether the step is left out: see
    /// `shaders/shared/optimiser.wgsl`.
    pub(super) scalars: Tensor,
    pub(super) norm: Tensor,
    pub(super) skipped: Tensor,
    partial: Tensor,
    parameters: Vec<Tensor>,
}

/// How the scalars of a step are made.
#[derive(Debug, Clone, Copy)]
pub(super) struct StepOptions {
    pub(super) max_norm: Option<f32>,
    pub(super) skip_nonfinite: bool,
    pub(super) betas: [f32; 2],
}

impl StepState {
    /// `kernel` is the one that takes the step.
    pub(super) fn new(
        gpu: &Gpu,
        kernel: &'static KernelSpec,
        pairs: &[(&Tensor, &Tensor)],
        learning_rate: f32,
    ) -> Result<Self> {
        gpu.check_kernels(&[&SUM_SQUARES, &ADAM_PREPARE, kernel])?;
        let partials = pairs.iter().map(|(_, gradient)| reduction_workgroups(gradient.len()) as usize).sum();
        Ok(Self {
            scalars: Tensor::named(gpu, "optimiser state", &[5], Some(&[learning_rate, 0.0, 0.0, 1.0, 0.0]))?,
            norm: Tensor::named(gpu, "norm", &[1], None)?,
            skipped: Tensor::named(gpu, "steps left out", &[1], None)?,
            partial: Tensor::named(gpu, "partial sums of squares", &[partials, 3], None)?,
            parameters: pairs.iter().map(|&(parameter, _)| parameter.clone()).collect(),
        })
    }

    /// The dispatches that make the norm, the factor that clips, whether the step is left out, and the bias
    /// corrections.
    pub(super) fn prepare<'a>(
        &'a self,
        builder: &mut ProgramBuilder<'a>,
        pairs: &[(&'a Tensor, &'a Tensor)],
        options: StepOptions,
    ) {
        let mut at = 0;
        for (_, gradient) in pairs {
            at += sum_squares(builder, gradient, &self.partial, at);
        }
        let StepOptions { max_norm, skip_nonfinite, betas: [beta1, beta2] } = options;
        let [one_minus_beta1, one_minus_beta2] = one_minus([beta1, beta2]);
        let params = AdamPrepareParams {
            partials: at as u32,
            clip: u32::from(max_norm.is_some()),
            max_norm: max_norm.unwrap_or(0.0),
            skip_nonfinite: u32::from(skip_nonfinite),
            beta1,
            beta2,
            one_minus_beta1,
            one_minus_beta2,
        };
        let storage = AdamPrepare {
            partial: self.partial.view().0,
            state: self.scalars.view().0,
            norm: self.norm.view().0,
            skipped: self.skipped.view().0,
        };
        let kernel = builder.gpu().kernel(&ADAM_PREPARE, &[]);
        builder.once(kernel, &params, storage.storage(), [1, 1, 1]);
    }

    pub(super) fn set_learning_rate(&self, learning_rate: f32) -> Result<()> {
        check_learning_rate(learning_rate)?;
        self.scalars.outer(0..1)?.write(&[learning_rate])
    }

    /// Notes that a step was recorded.
    pub(super) fn mark_written(&self) {
        for tensor in self.parameters.iter().chain([&self.norm, &self.skipped]) {
            tensor.mark_written();
        }
    }
}

/// 1 - beta, rounded once.
pub(super) fn one_minus(betas: [f32; 2]) -> [f32; 2] {
    betas.map(|beta| (1.0 - f64::from(beta)) as f32)
}
