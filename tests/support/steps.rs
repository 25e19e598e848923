//! Reads `tests/golden/optimisers.json`: what PyTorch's optimisers and schedulers make. See `tests/golden/README.md`.
//! And optimisers by PyTorch's names, with their twins.

use std::collections::BTreeMap;

use serde::Deserialize;
use wgpu_gru::reference::twins::Real;
use wgpu_gru::reference::twins::adam::adam;
use wgpu_gru::reference::twins::adam_prepare::adam_prepare;
use wgpu_gru::reference::twins::sgd::{Descent, sgd};
use wgpu_gru::reference::twins::sum_squares::sum_squares;
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::train::{Accumulation, AdamOptions, SgdOptions};

/// Steps of a case.
pub(crate) const STEPS: usize = 20;

/// The shapes of the two parameters.
pub(crate) const SHAPES: [&[usize]; 2] = [&[5], &[2, 3]];

/// All that is in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Numbers {
    #[serde(rename = "torch")]
    _torch: String,
    /// Optimisers.
    pub steps: Vec<Case>,
    /// Learning rates.
    pub rates: Vec<Rates>,
}

/// Which optimiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Adam,
    Sgd,
}

/// An optimiser of two parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub name: String,
    pub optimiser: Kind,
    pub options: Options,
    /// Of each parameter, if it is not that of the options.
    pub weight_decays: [Option<f32>; 2],
    pub max_norm: Option<f32>,
    pub clip_value: Option<f32>,
    /// Backward passes of a step.
    pub passes: usize,
    accumulate: Option<Sums>,
    /// Of the `SplitMix64` that parameters and gradients are drawn from.
    seed: u64,
    /// After these steps both parameters, one behind the other.
    pub after: BTreeMap<usize, Vec<f64>>,
}

/// By PyTorch's names.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    pub lr: f32,
    pub weight_decay: f32,
    #[serde(default)]
    pub betas: [f32; 2],
    #[serde(default)]
    pub eps: f32,
    #[serde(default)]
    pub momentum: f32,
    #[serde(default)]
    pub dampening: f32,
    #[serde(default)]
    pub nesterov: bool,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Sums {
    Mean,
    Sum,
}

/// A learning rate at the steps from 0 on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rates {
    pub rate: f32,
    /// Of `StepLR`.
    pub every: Option<u64>,
    pub factor: Option<f32>,
    /// Of `CosineAnnealingLR`.
    pub steps: Option<u64>,
    pub least: Option<f32>,
    /// Of `LinearLR`.
    pub warm_up: Option<u64>,
    pub from: Option<f32>,
    pub rates: Vec<f64>,
}

/// Of both parameters.
pub(crate) type Both = [Vec<f32>; 2];

impl Case {
    /// The parameters, and the gradients of each pass of each step.
    pub(crate) fn draw(&self) -> (Both, Vec<Vec<Both>>) {
        let mut uniform = SplitMix64::new(self.seed);
        let mut both = || SHAPES.map(|shape| uniform.vec(shape.iter().product(), 1.0));
        let parameters = both();
        (parameters, (0..STEPS).map(|_| (0..self.passes).map(|_| both()).collect()).collect())
    }

    /// What a step takes of its passes.
    pub(crate) fn accumulate(&self) -> Option<Accumulation> {
        self.accumulate.map(|sums| match sums {
            Sums::Mean => Accumulation::Mean,
            Sums::Sum => Accumulation::Sum,
        })
    }

    /// The most that the norm of all gradients may be, and each by itself.
    pub(crate) fn clip(&self) -> [Option<f32>; 2] {
        [self.max_norm, self.clip_value]
    }
}

impl Options {
    pub(crate) fn adam(
        &self,
        [max_norm, clip_value]: [Option<f32>; 2],
        accumulate: Option<Accumulation>,
    ) -> AdamOptions {
        let &Self { lr, betas: [beta1, beta2], eps, weight_decay, .. } = self;
        AdamOptions {
            learning_rate: lr,
            beta1,
            beta2,
            epsilon: eps,
            weight_decay,
            max_norm,
            clip_value,
            skip_nonfinite: false,
            accumulate,
        }
    }

    pub(crate) fn sgd(&self, [max_norm, clip_value]: [Option<f32>; 2], accumulate: Option<Accumulation>) -> SgdOptions {
        let &Self { lr, weight_decay, momentum, dampening, nesterov, .. } = self;
        SgdOptions {
            learning_rate: lr,
            momentum,
            dampening,
            nesterov,
            weight_decay,
            max_norm,
            clip_value,
            skip_nonfinite: false,
            accumulate,
        }
    }
}

/// An optimiser by its twins, with its state.
#[derive(Debug)]
pub(crate) struct ByTwins<'a, R> {
    kind: Kind,
    options: &'a Options,
    clip: [Option<R>; 2],
    /// Steps that were taken.
    steps: u32,
    /// Two of each parameter, of which gradient descent takes one.
    moments: Vec<[Vec<R>; 2]>,
}

impl<'a, R: Real> ByTwins<'a, R> {
    pub(crate) fn new(kind: Kind, options: &'a Options, clip: [Option<f32>; 2], parameters: &[Vec<R>]) -> Self {
        let zeros = |parameter: &Vec<R>| [(); 2].map(|()| vec![R::default(); parameter.len()]);
        let clip = clip.map(|limit| limit.map(|limit| R::from_f64(limit.into())));
        Self { kind, options, clip, steps: 0, moments: parameters.iter().map(zeros).collect() }
    }

    /// A step. `weight_decays`: those of the parameters that have one of their own.
    pub(crate) fn step(&mut self, gradients: &[Vec<R>], weight_decays: &[Option<f32>], parameters: &mut [Vec<R>]) {
        self.steps += 1;
        let of = |value: f32| R::from_f64(value.into());
        let options = self.options;
        let betas = options.betas.map(of);
        let state = adam_prepare(self.steps, of(options.lr), betas, self.clip, sum_squares(&gradients.concat()));
        for (index, (gradient, [first, second])) in gradients.iter().zip(&mut self.moments).enumerate() {
            let own = weight_decays.get(index).copied().flatten();
            let (weight_decay, parameter) = (of(own.unwrap_or(options.weight_decay)), &mut parameters[index]);
            match self.kind {
                Kind::Adam => adam(&state, betas, [of(options.eps), weight_decay], gradient, parameter, first, second),
                Kind::Sgd => {
                    let [momentum, dampening] = [options.momentum, options.dampening].map(of);
                    let descent = Descent { weight_decay, momentum, dampening, nesterov: options.nesterov };
                    sgd(&state, &descent, gradient, parameter, first);
                }
            }
        }
    }
}

/// All of the file.
///
/// # Panics
/// If it cannot be read, or holds something else.
pub(crate) fn load() -> Numbers {
    let path = "tests/golden/optimisers.json";
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let numbers: Numbers = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert_eq!([numbers.steps.len(), numbers.rates.len()], [13, 7], "cases");
    numbers
}
