//! Steps of optimisers: weight decay by parameter, momentum, clipping by value. Against their twins, which PyTorch's
//! numbers hold.

use wgpu_gru::reference::twins::adam::adam;
use wgpu_gru::reference::twins::adam_prepare::adam_prepare;
use wgpu_gru::reference::twins::sgd::{Descent, sgd};
use wgpu_gru::reference::twins::sum_squares::sum_squares;
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::train::{Adam, AdamOptions, Parameter, Sgd, SgdOptions};
use wgpu_gru::wgpu::CommandEncoder;
use wgpu_gru::{Gpu, Tensor, Tolerance};

use super::{Outcome, bits, ensure, equal, flat, record, zeros};
use crate::support::{close, to_bits, wide};

checks![decay_against_the_twin, momentum_against_the_twin, no_decay_is_no_change, clipping_by_value,];

/// One element, the neighbours of a workgroup (256), and more than one element an invocation.
pub(super) const LENGTHS: [usize; 5] = [1, 255, 257, 1009, 300_007];

/// Either optimiser.
pub(crate) enum Any {
    Adam(Adam),
    Sgd(Sgd),
}

/// What an optimiser is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Options {
    Adam(AdamOptions),
    Sgd(SgdOptions),
}

impl Options {
    pub(crate) fn make<'a>(&self, parameters: impl IntoIterator<Item = Parameter<'a>>) -> wgpu_gru::Result<Any> {
        Ok(match self {
            Self::Adam(options) => Any::Adam(Adam::new(parameters, options)?),
            Self::Sgd(options) => Any::Sgd(Sgd::new(parameters, options)?),
        })
    }
}

impl Any {
    pub(crate) fn encode(&self, encoder: &mut CommandEncoder) {
        match self {
            Self::Adam(adam) => adam.encode(encoder),
            Self::Sgd(sgd) => sgd.encode(encoder),
        }
    }

    pub(crate) fn encode_accumulate(&self, encoder: &mut CommandEncoder) -> wgpu_gru::Result<()> {
        match self {
            Self::Adam(adam) => adam.encode_accumulate(encoder),
            Self::Sgd(sgd) => sgd.encode_accumulate(encoder),
        }
    }

    pub(super) fn named(&self) -> Vec<(String, &Tensor)> {
        match self {
            Self::Adam(adam) => adam.named("").collect(),
            Self::Sgd(sgd) => sgd.named("").collect(),
        }
    }

    pub(super) fn norm(&self) -> &Tensor {
        match self {
            Self::Adam(adam) => adam.norm(),
            Self::Sgd(sgd) => sgd.norm(),
        }
    }

    pub(super) async fn skipped(&self) -> wgpu_gru::Result<f32> {
        let skipped = match self {
            Self::Adam(adam) => adam.skipped(),
            Self::Sgd(sgd) => sgd.skipped(),
        };
        Ok(skipped.read().await?[0])
    }
}

/// Parameters with gradients, an optimiser of them, and their twins.
pub(super) struct Run {
    gpu: Gpu,
    options: Options,
    decays: Vec<Option<f32>>,
    pub(super) parameters: Vec<Tensor>,
    pub(super) gradients: Vec<Tensor>,
    pub(super) any: Any,
    exact: Vec<Vec<f64>>,
    first: Vec<Vec<f64>>,
    second: Vec<Vec<f64>>,
    steps: u32,
}

impl Run {
    /// Parameters of these lengths, each with its own decay or that of the options.
    pub(super) fn new(
        gpu: &Gpu,
        options: Options,
        lengths: &[usize],
        decays: &[Option<f32>],
        seed: u64,
    ) -> Outcome<Self> {
        let mut uniform = SplitMix64::new(seed);
        let hosts: Vec<_> = lengths.iter().map(|&len| uniform.vec(len, 1.0)).collect();
        // Each begins somewhere else in its buffer.
        let part = |(index, &len): (usize, &usize)| zeros(gpu, &[len + index + 3])?.outer(index + 3..len + index + 3);
        let make = || lengths.iter().enumerate().map(part).collect::<Result<Vec<_>, _>>();
        let (parameters, gradients) = (make()?, make()?);
        parameters.iter().zip(&hosts).try_for_each(|(parameter, host)| parameter.write(host))?;
        let decays: Vec<_> = (0..lengths.len()).map(|index| decays.get(index).copied().flatten()).collect();
        let of = |index: usize| Parameter {
            value: &parameters[index],
            gradient: &gradients[index],
            weight_decay: decays[index],
        };
        let any = options.make((0..lengths.len()).map(of))?;
        let exact: Vec<_> = hosts.iter().map(|host| wide(host)).collect();
        let none: Vec<_> = lengths.iter().map(|&len| vec![0.0; len]).collect();
        let (first, second, gpu) = (none.clone(), none, gpu.clone());
        Ok(Self { gpu, options, decays, parameters, gradients, any, exact, first, second, steps: 0 })
    }

    pub(super) fn draw(&self, uniform: &mut SplitMix64) -> Vec<Vec<f32>> {
        self.gradients.iter().map(|gradient| uniform.vec(gradient.len(), 1.0)).collect()
    }

    pub(super) fn write(&self, gradients: &[Vec<f32>]) -> wgpu_gru::Result<()> {
        self.gradients.iter().zip(gradients).try_for_each(|(gradient, host)| gradient.write(host))
    }

    pub(super) fn accumulate(&self, gradients: &[Vec<f32>]) -> wgpu_gru::Result<()> {
        self.write(gradients)?;
        self.gpu.submit(|encoder| self.any.encode_accumulate(encoder))
    }

    pub(super) fn step(&self) -> wgpu_gru::Result<()> {
        record(&self.gpu, |encoder| self.any.encode(encoder))
    }

    /// The step of the twins; gives the norm.
    pub(super) fn exact_step(&mut self, gradients: &[Vec<f64>]) -> f64 {
        self.steps += 1;
        let (rate, betas, clip, decay) = match self.options {
            Options::Adam(of) => {
                (of.learning_rate, [of.beta1, of.beta2], [of.max_norm, of.clip_value], of.weight_decay)
            }
            Options::Sgd(of) => (of.learning_rate, [0.0; 2], [of.max_norm, of.clip_value], of.weight_decay),
        };
        let (betas, clip) = (betas.map(f64::from), clip.map(|limit| limit.map(f64::from)));
        let state = adam_prepare(self.steps, f64::from(rate), betas, clip, sum_squares(&gradients.concat()));
        for (index, gradient) in gradients.iter().enumerate() {
            let weight_decay = f64::from(self.decays[index].unwrap_or(decay));
            let (exact, first) = (&mut self.exact[index], &mut self.first[index]);
            match self.options {
                Options::Adam(of) => {
                    let other = [f64::from(of.epsilon), weight_decay];
                    adam(&state, betas, other, gradient, exact, first, &mut self.second[index]);
                }
                Options::Sgd(SgdOptions { momentum, dampening, nesterov, .. }) => {
                    let [momentum, dampening] = [momentum, dampening].map(f64::from);
                    let descent = Descent { weight_decay, momentum, dampening, nesterov };
                    sgd(&state, &descent, gradient, exact, first);
                }
            }
        }
        state.norm
    }

    /// Steps of random gradients on both sides.
    async fn several(&mut self, steps: usize, tolerance: Tolerance) -> Outcome {
        let mut uniform = SplitMix64::new(21);
        for _ in 0..steps {
            let fresh = self.draw(&mut uniform);
            self.write(&fresh)?;
            self.step()?;
            self.exact_step(&fresh.iter().map(|host| wide(host)).collect::<Vec<_>>());
        }
        self.compare(tolerance).await
    }

    pub(super) async fn compare(&self, tolerance: Tolerance) -> Outcome {
        for (index, (parameter, exact)) in self.parameters.iter().zip(&self.exact).enumerate() {
            let name = format!("parameter {index} of {} with {:?}", parameter.len(), self.options);
            close(&name, &parameter.read().await?, exact, tolerance)?;
        }
        Ok(())
    }

    pub(super) async fn bits(&self) -> wgpu_gru::Result<Vec<Vec<u32>>> {
        let mut all = Vec::new();
        for tensor in self.parameters.iter().chain(self.any.named().into_iter().map(|(_, tensor)| tensor)) {
            all.push(bits(tensor).await?);
        }
        Ok(all)
    }
}

pub(super) fn adam_options() -> AdamOptions {
    AdamOptions { learning_rate: 0.01, ..AdamOptions::default() }
}

pub(super) fn sgd_options() -> SgdOptions {
    SgdOptions { learning_rate: 0.01, ..SgdOptions::default() }
}

const STEPS: usize = 20;

/// Decays that take away a twentieth in all steps, one of the options and some of their own.
async fn decay_against_the_twin(gpu: &Gpu) -> Outcome {
    let decays = [None, Some(0.0), Some(2.0), None, Some(0.125)];
    for max_norm in [None, Some(0.5)] {
        let adam = AdamOptions { weight_decay: 0.25, max_norm, ..adam_options() };
        let sgd = SgdOptions { weight_decay: 0.25, max_norm, ..sgd_options() };
        for options in [Options::Adam(adam), Options::Sgd(sgd)] {
            let mut run = Run::new(gpu, options, &LENGTHS, &decays, 3)?;
            run.several(STEPS, Tolerance::through_time(1, STEPS)).await?;
        }
    }
    Ok(())
}

async fn momentum_against_the_twin(gpu: &Gpu) -> Outcome {
    let plain = SgdOptions { momentum: 0.75, ..sgd_options() };
    for options in [
        plain,
        SgdOptions { dampening: 0.5, ..plain },
        SgdOptions { nesterov: true, ..plain },
        SgdOptions { nesterov: true, weight_decay: 0.25, max_norm: Some(2.0), ..plain },
        SgdOptions { dampening: 0.25, weight_decay: 0.5, clip_value: Some(0.25), ..plain },
    ] {
        let mut run = Run::new(gpu, Options::Sgd(options), &LENGTHS, &[None, Some(0.0), Some(1.0)], 4)?;
        run.several(STEPS, Tolerance::through_time(1, STEPS)).await?;
    }
    Ok(())
}

/// A decay of 0 is none, to the last bit, wherever it is said; and not of parameters that are not finite.
async fn no_decay_is_no_change(gpu: &Gpu) -> Outcome {
    let some = Options::Adam(AdamOptions { weight_decay: 0.5, ..adam_options() });
    let none = Options::Adam(adam_options());
    let own = [Some(0.0); 2];
    let mut all = Vec::new();
    for (options, decays) in [(none, &[][..]), (some, &own), (none, &own)] {
        let run = Run::new(gpu, options, &[257, 4], decays, 5)?;
        run.parameters[1].write(&[f32::INFINITY, -0.0, 0.0, f32::NEG_INFINITY])?;
        let mut uniform = SplitMix64::new(6);
        for _ in 0..STEPS {
            let mut fresh = run.draw(&mut uniform);
            fresh[1] = vec![1.0, 0.0, 0.0, -0.0];
            run.write(&fresh)?;
            run.step()?;
        }
        all.push(run.bits().await?);
    }
    let infinite = to_bits(&[f32::INFINITY, -0.0, 0.0, f32::NEG_INFINITY]);
    equal(&all[0][1], &infinite, "what no step moves")?;
    ensure(all.iter().all(|bits| *bits == all[0]), "three ways to say that there is no decay")
}

/// As clamp has it, of every kind of number; after the norm where there is one.
async fn clipping_by_value(gpu: &Gpu) -> Outcome {
    let below = |value: f32| f32::from_bits(value.to_bits() - 1);
    let above = |value: f32| f32::from_bits(value.to_bits() + 1);
    let limit = 0.3_f32;
    let numbers = [
        0.0,
        -0.0,
        1e-30,
        below(limit),
        limit,
        above(limit),
        -below(limit),
        -limit,
        -above(limit),
        3e38,
        -3e38,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        f32::from_bits(0xffc0_0001),
        f32::from_bits(0x7f80_0001),
    ];
    let (p, d) = (zeros(gpu, &[numbers.len()])?, flat(gpu, &numbers)?);
    let options = SgdOptions { learning_rate: 1.0, clip_value: Some(limit), ..sgd_options() };
    let sgd = Sgd::new([(&p, &d)], &options)?;
    record(gpu, |encoder| sgd.encode(encoder))?;
    for (number, moved) in numbers.into_iter().zip(p.read().await?) {
        let is_so = if number.is_nan() { moved.is_nan() } else { -moved == number.clamp(-limit, limit) };
        ensure(is_so, format_args!("{number:e} moves by {moved:e}"))?;
    }
    ensure(sgd.norm().read().await?[0].is_nan(), "the norm is that of what comes in")?;

    // 3 and 4 to a norm of 1: 0.6 and 0.8.
    let (p, d) = (zeros(gpu, &[2])?, flat(gpu, &[3.0, -4.0])?);
    let options = SgdOptions { max_norm: Some(1.0), clip_value: Some(0.7), ..options };
    let sgd = Sgd::new([(&p, &d)], &options)?;
    record(gpu, |encoder| sgd.encode(encoder))?;
    close("norm, then value", &p.read().await?, &[-0.6, 0.7], Tolerance { abs: 1e-6, rel: 0.0 })?;
    close("norm before both", &sgd.norm().read().await?, &[5.0], Tolerance::pointwise())?;

    // Values are clipped before the moments see them.
    let options = AdamOptions { clip_value: Some(0.25), weight_decay: 0.125, ..adam_options() };
    let mut run = Run::new(gpu, Options::Adam(options), &LENGTHS, &[], 8)?;
    run.several(STEPS, Tolerance::through_time(1, STEPS)).await
}
