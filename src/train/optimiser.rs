//! What the optimisers share: parameters with their gradients, options and their checks, the scalars of a step with the
//! global norm, clipping and skipping, gradients of several backward passes, and the state to be saved.

use crate::error::{Error, Result, expect_shape};
use crate::gpu::{Gpu, KernelSpec, Program, ProgramBuilder, Tensor, View};
use crate::kernels::{
    ACCUMULATE, ADAM_PREPARE, Accumulate, AccumulateParams, AdamPrepare, AdamPrepareParams, SUM_SQUARES,
};
use crate::lower::{element_workgroups, reduction_workgroups, sum_squares};
use crate::target::in_elements;

/// A parameter and its gradient, of the same shape. A pair of both becomes one; write it out where its weight decay is
/// not that of the options. Biases, say, usually have none:
///
/// ```no_run
/// # fn example(net: &wgpu_gru::Unrolled, options: &wgpu_gru::train::AdamOptions) -> wgpu_gru::Result<()> {
/// use wgpu_gru::train::{Adam, Parameter};
/// let decay_of = |shape: &[usize]| (shape.len() == 1).then_some(0.0);
/// let parameters = net.pairs()?.map(|(value, gradient)| {
///     Parameter { value, gradient, weight_decay: decay_of(value.shape()) }
/// });
/// let adam = Adam::new(parameters, options)?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Parameter<'a> {
    /// The parameter, which a step changes.
    pub value: &'a Tensor,
    /// Its gradient.
    pub gradient: &'a Tensor,
    /// Its weight decay, finite and at least 0; `None`: that of the options.
    pub weight_decay: Option<f32>,
}

impl<'a> From<(&'a Tensor, &'a Tensor)> for Parameter<'a> {
    fn from((value, gradient): (&'a Tensor, &'a Tensor)) -> Self {
        Self { value, gradient, weight_decay: None }
    }
}

impl<'a> From<&(&'a Tensor, &'a Tensor)> for Parameter<'a> {
    fn from(&pair: &(&'a Tensor, &'a Tensor)) -> Self {
        pair.into()
    }
}

impl<'a> From<&Self> for Parameter<'a> {
    fn from(&parameter: &Self) -> Self {
        parameter
    }
}

/// What becomes of the gradients of several backward passes: see [`AdamOptions::accumulate`](super::AdamOptions).
///
/// ```
/// use wgpu_gru::train::{Accumulation, AdamOptions};
/// let options = AdamOptions { accumulate: Some(Accumulation::Mean), ..AdamOptions::default() };
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Accumulation {
    /// A step takes their mean: k passes over batches of B rows, each with its mean loss, are one over k B rows.
    Mean,
    /// A step takes their sum, as `loss.backward()` of PyTorch adds it up.
    Sum,
}

pub(super) fn check(option: &'static str, value: f32, valid: bool, expected: &'static str) -> Result<()> {
    if valid { Ok(()) } else { Err(Error::InvalidOption { option, value: f64::from(value), expected }) }
}

pub(super) fn check_at_least_0(option: &'static str, value: f32) -> Result<()> {
    check(option, value, value.is_finite() && value >= 0.0, "finite and at least 0")
}

/// A number of which 1 is too large already.
pub(super) fn check_below_1(option: &'static str, value: f32, expected: &'static str) -> Result<()> {
    check(option, value, (0.0..1.0).contains(&value), expected)
}

/// The options that every optimiser has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Common {
    pub(super) learning_rate: f32,
    pub(super) weight_decay: f32,
    pub(super) max_norm: Option<f32>,
    pub(super) clip_value: Option<f32>,
    pub(super) skip_nonfinite: bool,
    pub(super) accumulate: Option<Accumulation>,
}

impl Common {
    pub(super) fn validate(&self) -> Result<()> {
        check_at_least_0("learning_rate", self.learning_rate)?;
        check_at_least_0("weight_decay", self.weight_decay)?;
        for (option, value) in [("max_norm", self.max_norm), ("clip_value", self.clip_value)] {
            value
                .map_or(Ok(()), |value| check(option, value, value.is_finite() && value > 0.0, "finite and over 0"))?;
        }
        Ok(())
    }
}

/// Checks parameters and their gradients, and gives their device.
fn check_parameters<'a>(parameters: &[Parameter<'a>]) -> Result<&'a Gpu> {
    let [first, ..] = parameters else { return Err(Error::ZeroSize { what: "number of parameters" }) };
    for (index, Parameter { value, gradient, weight_decay }) in parameters.iter().enumerate() {
        expect_shape("gradient", value.shape(), gradient.shape())?;
        first.value.expect_same_device("parameter", value)?;
        first.value.expect_same_device("gradient", gradient)?;
        weight_decay.map_or(Ok(()), |decay| check_at_least_0("weight_decay", decay))?;
        // One dispatch reads the gradient and writes the parameter, and a GPU binds whole buffers.
        if value.buffer() == gradient.buffer() {
            return Err(Error::Aliased { first: "parameter", second: "gradient" });
        }
        // Whichever came first would change what the other one needs, or be changed twice.
        for other in &parameters[..index] {
            if value.overlaps(other.value) {
                return Err(Error::Aliased { first: "parameter", second: "another parameter" });
            }
            if value.overlaps(other.gradient) || gradient.overlaps(other.value) {
                return Err(Error::Aliased { first: "parameter", second: "the gradient of another parameter" });
            }
        }
    }
    Ok(first.value.gpu())
}

/// How an optimiser takes its steps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Method<'a> {
    pub(super) label: &'static str,
    /// Takes the step of one parameter.
    pub(super) kernel: &'static KernelSpec,
    pub(super) common: Common,
    /// Decays whose bias is corrected; 0 where there is nothing to correct.
    pub(super) betas: [f32; 2],
    /// What is kept of each parameter, by PyTorch's names.
    pub(super) kept: &'a [&'static str],
}

/// The step of one parameter, to be recorded.
pub(super) struct Step<'a> {
    pub(super) len: u32,
    pub(super) workgroups: u32,
    pub(super) weight_decay: f32,
    pub(super) state: View<'a>,
    pub(super) parameter: (View<'a>, u32),
    pub(super) gradient: (View<'a>, u32),
    /// What is kept of it, in the order of [`Method::kept`].
    pub(super) kept: Vec<View<'a>>,
    /// Bound in place of what is not kept: WGSL has no binding of nothing.
    pub(super) nothing: View<'a>,
}

/// What every optimiser is.
#[derive(Debug)]
pub(super) struct Optimiser {
    /// See `shaders/shared/optimiser.wgsl`.
    scalars: Tensor,
    norm: Tensor,
    skipped: Tensor,
    /// What is to be saved, by name.
    named: Vec<(String, Tensor)>,
    /// What a step writes that others can read.
    writes: Vec<Tensor>,
    program: Program,
    accumulators: Option<Accumulators>,
}

/// The gradients of several backward passes.
#[derive(Debug)]
struct Accumulators {
    /// Those of all parameters, in one buffer: one command clears them, and one dispatch has the sum of their squares.
    all: Tensor,
    program: Program,
}

/// How many of the scalars stay from step to step.
const SAVED: usize = 4;

impl Optimiser {
    /// `record` adds the dispatch of a step of one parameter.
    pub(super) fn new(
        parameters: &[Parameter<'_>],
        method: Method<'_>,
        record: impl for<'a> Fn(&mut ProgramBuilder<'a>, Step<'a>),
    ) -> Result<Self> {
        let Method { label, kernel, common, betas, kept } = method;
        let gpu = check_parameters(parameters)?;
        gpu.check_kernels(&[&SUM_SQUARES, &ADAM_PREPARE, kernel])?;
        let scalars =
            Tensor::named(gpu, "optimiser state", &[8], Some(&[common.learning_rate, 0., 0., 0., 1., 0., 0., 0.]))?;
        let norm = Tensor::named(gpu, "norm", &[1], None)?;
        let skipped = Tensor::named(gpu, "steps left out", &[1], None)?;
        let mut moments = Vec::new();
        for parameter in parameters {
            let make = |&name: &&'static str| Tensor::named(gpu, name, parameter.value.shape(), None);
            moments.push(kept.iter().map(make).collect::<Result<Vec<_>>>()?);
        }
        let (accumulators, parts) = match common.accumulate {
            Some(_) => Accumulators::new(gpu, parameters, &scalars).map(|(all, parts)| (Some(all), parts))?,
            None => (None, Vec::new()),
        };

        // Whose squares are summed: all that was added up together, or each gradient.
        let summed: Vec<&Tensor> = match &accumulators {
            Some(accumulators) => vec![&accumulators.all],
            None => parameters.iter().map(|parameter| parameter.gradient).collect(),
        };
        let partials = summed.iter().map(|tensor| reduction_workgroups(tensor.len()) as usize).sum();
        let partial = Tensor::named(gpu, "partial sums of squares", &[partials, 3], None)?;
        let mut builder = ProgramBuilder::new(gpu, label);
        let mut at = 0;
        for tensor in summed {
            at += sum_squares(&mut builder, tensor, &partial, at);
        }
        let [one_minus_beta1, one_minus_beta2] = betas.map(one_minus);
        let params = AdamPrepareParams {
            partials: at as u32,
            clip: u32::from(common.max_norm.is_some()),
            max_norm: common.max_norm.unwrap_or(0.0),
            clip_value: common.clip_value.unwrap_or(f32::INFINITY),
            skip_nonfinite: u32::from(common.skip_nonfinite),
            accumulation: match common.accumulate {
                None => 0,
                Some(Accumulation::Sum) => 1,
                Some(Accumulation::Mean) => 2,
            },
            beta1: betas[0],
            beta2: betas[1],
            one_minus_beta1,
            one_minus_beta2,
        };
        let [partial, state, norm_view, skipped_view] =
            [&partial, &scalars, &norm, &skipped].map(|tensor| tensor.view().0);
        let storage = AdamPrepare { partial, state, norm: norm_view, skipped: skipped_view };
        builder.once(gpu.kernel(&ADAM_PREPARE, &[]), &params, storage.storage(), [1, 1, 1]);
        for (index, (parameter, moments)) in parameters.iter().zip(&moments).enumerate() {
            let step = Step {
                len: parameter.value.len() as u32,
                workgroups: element_workgroups(parameter.value.len()),
                weight_decay: parameter.weight_decay.unwrap_or(common.weight_decay),
                state,
                parameter: parameter.value.view(),
                gradient: parts.get(index).unwrap_or(parameter.gradient).view(),
                kept: moments.iter().map(|moment| moment.view().0).collect(),
                nothing: norm_view,
            };
            record(&mut builder, step);
        }
        let program = builder.build()?;

        let mut named =
            vec![("scalars".to_owned(), scalars.part(0, &[SAVED])), ("skipped".to_owned(), skipped.clone())];
        for (index, moments) in moments.into_iter().enumerate() {
            named.extend(kept.iter().zip(moments).map(|(name, moment)| (format!("{index}.{name}"), moment)));
            named.extend(parts.get(index).map(|part| (format!("{index}.accumulated"), part.clone())));
        }
        let values = parameters.iter().map(|parameter| parameter.value);
        let writes = values.chain(named.iter().map(|(_, tensor)| tensor)).chain([&norm]).cloned().collect();
        Ok(Self { scalars, norm, skipped, named, writes, program, accumulators })
    }

    pub(super) fn set_learning_rate(&self, learning_rate: f32) -> Result<()> {
        check_at_least_0("learning_rate", learning_rate)?;
        self.scalars.outer(0..1)?.write(&[learning_rate])
    }

    pub(super) fn norm(&self) -> &Tensor {
        &self.norm
    }

    pub(super) fn skipped(&self) -> &Tensor {
        &self.skipped
    }

    pub(super) fn named(&self, prefix: &str) -> impl Iterator<Item = (String, &Tensor)> {
        self.named.iter().map(move |(name, tensor)| (format!("{prefix}{name}"), tensor))
    }

    pub(super) fn encode(&self, encoder: &mut wgpu::CommandEncoder) {
        self.program.encode(encoder);
        if let Some(Accumulators { all, .. }) = &self.accumulators {
            encoder.clear_buffer(all.buffer(), all.byte_offset(), Some(all.byte_len()));
        }
        self.writes.iter().for_each(Tensor::mark_written);
    }

    pub(super) fn encode_accumulate(&self, encoder: &mut wgpu::CommandEncoder) -> Result<()> {
        let Accumulators { all, program } = self.accumulators.as_ref().ok_or(Error::NoAccumulation)?;
        program.encode(encoder);
        all.mark_written();
        self.scalars.mark_written();
        Ok(())
    }
}

impl Accumulators {
    /// Zeros, and the part of each parameter.
    fn new(gpu: &Gpu, parameters: &[Parameter<'_>], scalars: &Tensor) -> Result<(Self, Vec<Tensor>)> {
        gpu.check_kernels(&[&ACCUMULATE])?;
        // Each begins where a binding may, as all that is handed out does.
        let alignment = in_elements(gpu.limits());
        let mut begins = Vec::new();
        let mut len = 0_usize;
        for parameter in parameters {
            begins.push(len.div_ceil(alignment).saturating_mul(alignment));
            len = begins[begins.len() - 1].saturating_add(parameter.value.len());
        }
        let all = Tensor::named(gpu, "accumulated gradients", &[len], None)?;
        let parts: Vec<Tensor> =
            begins.into_iter().zip(parameters).map(|(begin, of)| all.part(begin, of.value.shape())).collect();
        let mut builder = ProgramBuilder::new(gpu, "accumulate gradients");
        for (index, (parameter, part)) in parameters.iter().zip(&parts).enumerate() {
            let workgroups = element_workgroups(part.len());
            let (gradient, gradient_offset) = parameter.gradient.view();
            let params =
                AccumulateParams { len: part.len() as u32, gradient_offset, workgroups, counts: u32::from(index == 0) };
            let storage = Accumulate { gradient, accumulated: part.view().0, state: scalars.view().0 };
            builder.once(gpu.kernel(&ACCUMULATE, &[]), &params, storage.storage(), [workgroups, 1, 1]);
        }
        let program = builder.build()?;
        Ok((Self { all, program }, parts))
    }
}

/// 1 less such a number, rounded once.
pub(super) fn one_minus(number: f32) -> f32 {
    (1.0 - f64::from(number)) as f32
}
