//! The twins of losses and optimisers in f64: losses against their definitions and by finite differences, optimisers
//! against PyTorch, and where the norm is not finite. Learning rates against PyTorch.

use wgpu_gru::Error;
use wgpu_gru::reference::twins::accumulate::accumulate;
use wgpu_gru::reference::twins::adam::adam;
use wgpu_gru::reference::twins::adam_prepare::adam_prepare;
use wgpu_gru::reference::twins::bce::bce;
use wgpu_gru::reference::twins::mse::mse;
use wgpu_gru::reference::twins::sgd::{Descent, sgd};
use wgpu_gru::reference::twins::sum_squares::sum_squares;
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::train::{Accumulation, AdamOptions, LearningRate, SgdOptions};

mod support;

use support::adam as pytorch;
use support::numbers::wide;
use support::steps::{Kind, SHAPES, load};

/// The factor that clips, from a norm.
fn scale(norm: f64, max_norm: Option<f64>) -> f64 {
    adam_prepare(1, 0.1, [0.9, 0.999], [max_norm, None], norm * norm).scale
}

/// `torch.nn.utils.clip_grad_norm_` multiplies by `clamp(max_norm / (norm + 1e-6), max=1.0)`, and clamp lets a NaN
/// through.
#[test]
fn the_factor_that_clips() {
    assert!(scale(f64::NAN, Some(1.0)).is_nan());
    assert_eq!(scale(f64::INFINITY, Some(1.0)), 0.0);
    assert_eq!(scale(3.0, Some(1.0)), 1.0 / (3.0 + 1e-6));
    for below in [0.0, 0.5, 1.0 - 1e-5] {
        assert_eq!(scale(below, Some(1.0)), 1.0);
    }
    for any in [f64::NAN, f64::INFINITY, 3.0, 0.0] {
        assert_eq!(scale(any, None), 1.0, "without clipping");
    }
    let narrow = |sum| adam_prepare(1, 0.1_f32, [0.9, 0.999], [Some(1.0), None], sum).scale;
    assert!(narrow(f32::NAN).is_nan() && narrow(f32::INFINITY) == 0.0, "in f32 too");
}

#[test]
fn adam_is_that_of_pytorch() {
    for (max_norm, expected) in pytorch::AFTER {
        let mut parameter = pytorch::BEFORE.map(f64::from);
        let (mut moment1, mut moment2) = ([0.0; 7], [0.0; 7]);
        let AdamOptions { learning_rate, beta1, beta2, epsilon, .. } = pytorch::OPTIONS;
        let betas = [beta1, beta2].map(f64::from);
        for (step, gradient) in (1..).zip(pytorch::GRADIENTS) {
            let (rate, gradient) = (f64::from(learning_rate), gradient.map(f64::from));
            let state = adam_prepare(step, rate, betas, [max_norm.map(f64::from), None], sum_squares(&gradient));
            adam(&state, betas, [epsilon.into(), 0.0], &gradient, &mut parameter, &mut moment1, &mut moment2);
        }
        for (actual, expected) in parameter.iter().zip(expected) {
            assert!((actual - expected).abs() < 1e-12, "{actual} instead of {expected} with {max_norm:?}");
        }
    }
}

/// 20 steps with weight decay, momentum, clipping and gradients of several passes.
#[test]
fn steps_are_those_of_pytorch() {
    for case in load().steps {
        let (parameters, passes) = case.draw();
        let mut parameters = parameters.map(|parameter| wide(&parameter));
        let zeros = || SHAPES.map(|shape| vec![0.0; shape.iter().product()]);
        let (mut first, mut second) = (zeros(), zeros());
        let options = &case.options;
        let betas = options.betas.map(f64::from);
        let clip = [case.max_norm, case.clip_value].map(|limit| limit.map(f64::from));
        for (step, passes) in (1..).zip(passes) {
            let (mut gradients, mut count) = (zeros(), 0.0);
            for pass in passes {
                let mut counts = [count; 2];
                for ((gradient, accumulated), count) in pass.iter().zip(&mut gradients).zip(&mut counts) {
                    accumulate(&wide(gradient), accumulated, count);
                }
                count = counts[0];
            }
            if case.accumulate() == Some(Accumulation::Mean) {
                gradients.iter_mut().flatten().for_each(|gradient| *gradient /= count);
            }
            let state = adam_prepare(step, f64::from(options.lr), betas, clip, sum_squares(&gradients.concat()));
            for (index, gradient) in gradients.iter().enumerate() {
                let weight_decay = f64::from(case.weight_decays[index].unwrap_or(options.weight_decay));
                let parameter = &mut parameters[index];
                match case.optimiser {
                    Kind::Adam => {
                        let other = [f64::from(options.eps), weight_decay];
                        adam(&state, betas, other, gradient, parameter, &mut first[index], &mut second[index]);
                    }
                    Kind::Sgd => {
                        let [momentum, dampening] = [options.momentum, options.dampening].map(f64::from);
                        let descent = Descent { weight_decay, momentum, dampening, nesterov: options.nesterov };
                        sgd(&state, &descent, gradient, parameter, &mut first[index]);
                    }
                }
            }
            let Some(expected) = case.after.get(&(step as usize)) else { continue };
            for (actual, expected) in parameters.iter().flatten().zip(expected) {
                let error = (actual - expected).abs();
                assert!(error < 1e-12, "{actual} instead of {expected} after step {step} of {}", case.name);
            }
        }
    }
}

/// By the recursions of its schedulers.
#[test]
fn learning_rates_are_those_of_pytorch() {
    for case in load().rates {
        let rate = match (case.every, case.factor, case.steps, case.least) {
            (Some(every), Some(factor), ..) => LearningRate::step(case.rate, every, factor),
            (.., Some(steps), Some(least)) => LearningRate::cosine(case.rate, steps, least),
            _ => LearningRate::constant(case.rate),
        };
        let warm_up = case.warm_up.zip(case.from);
        let rate = rate.and_then(|rate| warm_up.map_or(Ok(rate), |(steps, from)| rate.warm_up(steps, from)));
        let rate = rate.expect("a rate");
        assert_eq!(case.rates.len(), 60, "steps");
        for (step, &expected) in (0..).zip(&case.rates) {
            let actual = f64::from(rate.at(step));
            // One rounding to f32, and those of the recursion.
            let allowed = expected.abs() * f64::from(f32::EPSILON) / 2.0 + 1e-14;
            assert!((actual - expected).abs() <= allowed, "{actual} instead of {expected} at step {step} of {rate:?}");
        }
    }
}

/// Steps without end give a rate all the same, and no wave loses its place.
#[test]
fn learning_rates_far_away() {
    let rate = LearningRate::cosine(1.0, 3, 0.0).expect("a rate");
    for step in 0..6 {
        // 2^60 is 4 more than a multiple of 6.
        assert_eq!(rate.at(step), rate.at(step + (1 << 60) + 2), "the same place of another wave");
    }
    let halved = LearningRate::step(1.0, 1, 0.5).expect("a rate");
    assert_eq!([halved.at(3), halved.at(u64::MAX)], [0.125, 0.0]);
    let warm = LearningRate::constant(2.0).and_then(|rate| rate.warm_up(u64::MAX, 0.0)).expect("a rate");
    assert_eq!([warm.at(0), warm.at(u64::MAX / 2), warm.at(u64::MAX)], [0.0, 1.0, 2.0]);
}

#[test]
fn options_out_of_range() {
    let invalid = |result: Result<(), Error>, wanted: &str| match result {
        Err(Error::InvalidOption { option, .. }) => assert_eq!(option, wanted),
        Err(Error::ZeroSize { what }) => assert_eq!(what, wanted),
        other => panic!("{other:?} instead of an invalid {wanted}"),
    };
    let rate = |made: Result<LearningRate, Error>| made.map(drop);
    for bad in [f32::NAN, f32::INFINITY, -1.0] {
        let adam = AdamOptions::default();
        invalid(AdamOptions { weight_decay: bad, ..adam }.validate(), "weight_decay");
        invalid(AdamOptions { clip_value: Some(bad), ..adam }.validate(), "clip_value");
        let sgd = SgdOptions::default();
        invalid(SgdOptions { weight_decay: bad, ..sgd }.validate(), "weight_decay");
        invalid(SgdOptions { clip_value: Some(bad), ..sgd }.validate(), "clip_value");
        invalid(SgdOptions { momentum: bad, ..sgd }.validate(), "momentum");
        invalid(SgdOptions { dampening: bad, ..sgd }.validate(), "dampening");
        invalid(rate(LearningRate::constant(bad)), "rate");
        invalid(rate(LearningRate::step(1.0, 1, bad)), "factor");
        invalid(rate(LearningRate::cosine(1.0, 1, bad)), "least");
        invalid(rate(LearningRate::constant(1.0).and_then(|rate| rate.warm_up(1, bad))), "from");
    }
    invalid(AdamOptions { clip_value: Some(0.0), ..AdamOptions::default() }.validate(), "clip_value");
    let nesterov = SgdOptions { nesterov: true, ..SgdOptions::default() };
    invalid(nesterov.validate(), "momentum");
    invalid(SgdOptions { momentum: 0.9, dampening: 0.1, ..nesterov }.validate(), "dampening");
    SgdOptions { momentum: 0.9, ..nesterov }.validate().expect("Nesterov's momentum");
    invalid(SgdOptions { momentum: 1.0, ..SgdOptions::default() }.validate(), "momentum");
    invalid(rate(LearningRate::step(1.0, 0, 0.5)), "every");
    invalid(rate(LearningRate::step(1.0, 1, 0.0)), "factor");
    invalid(rate(LearningRate::cosine(1.0, 0, 0.5)), "steps");
    invalid(rate(LearningRate::cosine(1.0, 1, 1.5)), "least");
    invalid(rate(LearningRate::constant(1.0).and_then(|rate| rate.warm_up(0, 0.5))), "warm_up");
}

/// A logit x and a label y, the loss -(y ln s + (1 - y) ln(1 - s)) and its slope s - y with s = 1 / (1 + e^-x), by
/// mpmath 1.3 with 60 digits. The second one is the example in PyTorch's documentation of `BCEWithLogitsLoss`.
const CROSS_ENTROPIES: [[f64; 4]; 11] = [
    [0.0, 1.0, std::f64::consts::LN_2, -0.5],
    [1.5, 1.0, 0.201_413_277_982_752_4, -0.182_425_523_806_356_35],
    [-1.5, 0.25, 0.576_413_277_982_752_4, -0.067_574_476_193_643_66],
    [2.0, 0.75, 0.626_928_011_042_972_5, 0.130_797_077_977_882_44],
    [20.0, 1.0, 2.061_153_620_314_381e-9, -2.061_153_618_190_203_6e-9],
    [-20.0, 0.0, 2.061_153_620_314_381e-9, 2.061_153_618_190_203_6e-9],
    [60.0, 1.0, 8.756_510_762_696_52e-27, -8.756_510_762_696_52e-27],
    [100.0, 0.0, 100.0, 1.0],
    [-100.0, 0.5, 50.0, -0.5],
    [3.0, -0.5, 4.548_587_351_573_742, 1.452_574_126_822_433_2],
    [-2.0, 2.0, 4.126_928_011_042_972, -1.880_797_077_977_882_4],
];

#[test]
fn binary_cross_entropy_is_that_of_its_definition() {
    for [x, y, loss, slope] in CROSS_ENTROPIES {
        let mut d = [0.0];
        let both = [bce(&[x], &[y], &mut d), d[0]];
        for (actual, expected) in both.into_iter().zip([loss, slope]) {
            assert!((actual / expected - 1.0).abs() < 1e-14, "{actual} instead of {expected} of {x} and {y}");
        }
    }
}

/// Central differences with a step of 1e-5 are off by 1e-10 times the third derivative, and by 1e-16 / 1e-5.
#[test]
fn gradients_of_losses_are_their_slopes() {
    for loss in [mse, bce] {
        let mut uniform = SplitMix64::new(3);
        let (prediction, expected) = (wide(&uniform.vec(9, 4.0)), wide(&uniform.vec(9, 2.0)));
        let mut d = [0.0; 9];
        loss(&prediction, &expected, &mut d);
        for (index, d) in d.into_iter().enumerate() {
            let along = |step: f64| {
                let mut moved = prediction.clone();
                moved[index] += step;
                loss(&moved, &expected, &mut [0.0; 9])
            };
            let slope = (along(1e-5) - along(-1e-5)) / 2e-5;
            assert!((d - slope).abs() < 1e-9, "{d} instead of {slope}");
        }
    }
}
