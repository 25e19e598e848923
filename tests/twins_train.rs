//! The twins of losses, embeddings and optimisers in f64: losses against their definitions and by finite differences,
//! all of them against PyTorch, by themselves and in training runs of whole models, and where the norm is not finite.
//! Learning rates against PyTorch.

use std::collections::BTreeSet;

use wgpu_gru::Error;
use wgpu_gru::reference::twins::accumulate::accumulate;
use wgpu_gru::reference::twins::adam::adam;
use wgpu_gru::reference::twins::adam_prepare::adam_prepare;
use wgpu_gru::reference::twins::bce::bce;
use wgpu_gru::reference::twins::cross_entropy::cross_entropy;
use wgpu_gru::reference::twins::embedding::embedding;
use wgpu_gru::reference::twins::embedding_backward::embedding_backward;
use wgpu_gru::reference::twins::mse::mse;
use wgpu_gru::reference::twins::sum_squares::sum_squares;
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::train::{Accumulation, AdamOptions, LearningRate, SgdOptions};

mod support;

use support::adam as pytorch;
use support::numbers::{kinds, wide};
use support::runs::{self, Batch, Given, Run};
use support::steps::{self, ByTwins, SHAPES};
use support::train::{Kind, Wanted, embeddings, losses};
use support::trained::{budgets, by_oracle, by_plan, train};

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
    for case in steps::load().steps {
        let (parameters, passes) = case.draw();
        let mut parameters = parameters.map(|parameter| wide(&parameter));
        let mut optimiser = ByTwins::new(case.optimiser, &case.options, case.clip(), &parameters);
        for (step, passes) in (1..).zip(passes) {
            let (mut gradients, mut count) = (SHAPES.map(|shape| vec![0.0; shape.iter().product()]), 0.0);
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
            optimiser.step(&gradients, &case.weight_decays, &mut parameters);
            let Some(expected) = case.after.get(&step) else { continue };
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
    for case in steps::load().rates {
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
        let both = [bce(&[x], &[y], None, &mut d), d[0]];
        for (actual, expected) in both.into_iter().zip([loss, slope]) {
            assert!((actual / expected - 1.0).abs() < 1e-14, "{actual} instead of {expected} of {x} and {y}");
        }
    }
}

/// Logits x, a class t, the loss ln(sum of e^x_j) - x_t and its slopes, by mpmath 1.3 with 60 digits.
const CLASSES: [(&[f64], u32, f64, &[f64]); 7] = [
    (
        &[1.5, -0.5, 0.25],
        0,
        0.351_951_863_802_801_7,
        &[-0.296_686_023_978_225_97, 0.095_183_196_149_175_02, 0.201_502_827_829_050_96],
    ),
    (&[20.0, 0.0], 0, 2.061_153_620_314_381e-9, &[-2.061_153_618_190_203_7e-9, 2.061_153_618_190_203_7e-9]),
    (
        &[-60.0, 0.0, -70.0],
        1,
        8.756_908_307_670_112e-27,
        &[8.756_510_762_696_52e-27, -8.756_908_307_670_112e-27, 3.975_449_735_908_647e-31],
    ),
    (&[100.0, -100.0, 0.0], 1, 200.0, &[1.0, -1.0, 3.720_075_976_020_836e-44]),
    (&[0.5, 0.5, 0.5, 0.5], 2, 1.386_294_361_119_890_6, &[0.25, 0.25, -0.75, 0.25]),
    (&[90.0, 89.0], 1, 1.313_261_687_518_222_8, &[0.731_058_578_630_004_9, -0.731_058_578_630_004_9]),
    (
        &[0.0, -30.0, -30.5],
        0,
        1.503_330_820_147_176_6e-13,
        &[-1.503_330_820_147_063_8e-13, 9.357_622_968_838_767e-14, 5.675_685_232_631_869_5e-14],
    ),
];

#[test]
fn cross_entropy_is_that_of_its_definition() {
    for (x, t, loss, slopes) in CLASSES {
        let mut d = vec![0.0; x.len()];
        let made = cross_entropy(x.len(), x, &[t], &[1.0], &mut d);
        for (actual, expected) in [made].iter().chain(&d).zip([loss].iter().chain(slopes)) {
            assert!((actual / expected - 1.0).abs() < 1e-14, "{actual} instead of {expected} of {x:?} and {t}");
        }
    }
}

/// Relative to the largest number of a tensor; and the same numbers are not finite.
fn assert_near(name: &str, actual: &[f64], expected: &[f64]) {
    assert_eq!(kinds(actual), kinds(expected), "{name}");
    let largest =
        expected.iter().filter(|value| value.is_finite()).fold(0.0, |most: f64, &value| most.max(value.abs()));
    for (&actual, &expected) in actual.iter().zip(expected).filter(|(actual, _)| actual.is_finite()) {
        assert!((actual - expected).abs() <= 4e-15 * largest, "{name}: {actual} instead of {expected}");
    }
}

#[test]
fn losses_are_those_of_pytorch() {
    for case in losses() {
        let (mut d, of_rows) = (vec![7.0; case.prediction.len()], case.weights.as_deref().map(wide));
        let (classes, ignored) = (case.classes(), case.ignored());
        let wanted = Wanted { numbers: &case.expected, classes: &classes, ignored, weights: of_rows.as_deref() };
        let loss = case.kind.by_twin(case.columns, &case.prediction, wanted, &mut d);
        assert_near(&format!("loss of {}", case.name), &[loss], &[case.loss]);
        assert_near(&format!("d_prediction of {}", case.name), &d, &case.d_prediction);
    }
}

#[test]
fn embeddings_are_those_of_pytorch() {
    for case in embeddings() {
        let size = [case.rows, case.dim];
        let (mut output, mut d_weight) = (vec![7.0; case.output.len()], vec![7.0; case.d_weight.len()]);
        embedding(size, &wide(&case.weight), &case.indices, &mut output);
        embedding_backward(size, &case.indices, case.padding_idx, &wide(&case.d_output), &mut d_weight);
        assert_near(&format!("output of {}", case.name), &output, &case.output);
        assert_near(&format!("d_weight of {}", case.name), &d_weight, &case.d_weight);
    }
}

/// Central differences with a step of 1e-5 are off by 1e-10 times the third derivative, and by 1e-16 / 1e-5.
fn assert_slopes(at: &[f64], slopes: &[f64], loss: impl Fn(&[f64]) -> f64) {
    for (index, d) in slopes.iter().enumerate() {
        let along = |step: f64| {
            let mut moved = at.to_vec();
            moved[index] += step;
            loss(&moved)
        };
        let slope = (along(1e-5) - along(-1e-5)) / 2e-5;
        assert!((d - slope).abs() < 1e-9, "{d} instead of {slope}");
    }
}

#[test]
fn gradients_of_losses_are_their_slopes() {
    for (loss, weights) in [mse, bce].into_iter().flat_map(|loss| [(loss, None), (loss, Some([1.0, 0.0, 0.7]))]) {
        let mut uniform = SplitMix64::new(3);
        let (prediction, expected) = (wide(&uniform.vec(9, 4.0)), wide(&uniform.vec(9, 2.0)));
        let of_rows = weights.as_ref().map(|weights| &weights[..]);
        let mut d = [0.0; 9];
        loss(&prediction, &expected, of_rows, &mut d);
        assert_slopes(&prediction, &d, |moved| loss(moved, &expected, of_rows, &mut [0.0; 9]));
    }
    for classes in [2, 3, 17] {
        let prediction = wide(&SplitMix64::new(4).vec(5 * classes, 4.0));
        let (t, weights) = ([0, 1, 1, 0, classes as u32 - 1], [1.0, 0.5, 0.0, 2.0, 1.0]);
        let loss = |at: &[f64], d: &mut [f64]| cross_entropy(classes, at, &t, &weights, d);
        let mut d = vec![0.0; 5 * classes];
        loss(&prediction, &mut d);
        assert!(d[2 * classes..3 * classes].iter().all(|&d| d == 0.0), "a row without a weight");
        assert_slopes(&prediction, &d, |moved| loss(moved, &mut vec![0.0; 5 * classes]));
    }
}

/// Of a sum of the output times some numbers: it is linear, so the differences are exact.
#[test]
fn the_gradient_of_an_embedding_is_its_slope() {
    let mut uniform = SplitMix64::new(6);
    let (weight, d_output) = (wide(&uniform.vec(4 * 3, 1.0)), wide(&uniform.vec(7 * 3, 1.0)));
    // The last one is no row.
    let indices = [2, 0, 2, 1, 2, 0, 4];
    let loss = |weight: &[f64]| {
        let mut output = [0.0; 7 * 3];
        embedding([4, 3], weight, &indices, &mut output);
        assert!(output[6 * 3..].iter().all(|value| value.is_nan()), "of no row");
        output[..6 * 3].iter().zip(&d_output).map(|(a, b)| a * b).sum()
    };
    let mut d = [7.0; 4 * 3];
    embedding_backward([4, 3], &indices, None, &d_output, &mut d);
    assert_slopes(&weight, &d, loss);
    embedding_backward([4, 3], &indices, Some(2), &d_output, &mut d);
    assert_eq!(d[2 * 3..], [0.0; 2 * 3], "the row of padding, and one that nothing names");
}

/// 20 steps of a whole model with every loss: in f64 with the layer by the oracle, and in f32 with the layer by the
/// operations of its plan.
#[test]
fn runs_are_those_of_pytorch() {
    for run in runs::load() {
        let given = run.draw();
        let budgets = budgets(&run, &given);
        train(&run, &given, by_plan).assert_near(&run, &budgets);
        train(&run, &given, by_oracle).assert_near(&run, &budgets.in_f64());
    }
}

/// Takes something away from a run; false where there is no such thing.
type Forget = fn(&mut Run, &mut Given) -> bool;

/// What of a run can be forgotten.
const FORGETFUL: [(&str, Forget); 10] = [
    ("which number is of which row", |run, given| {
        let columns = run.sizes[4];
        for Batch { numbers, classes, .. } in &mut given.steps {
            let [of_numbers, of_classes] = [columns.min(numbers.len()), 1.min(classes.len())];
            numbers.rotate_left(of_numbers);
            classes.rotate_left(of_classes);
        }
        true
    }),
    ("mask or weights", |run, given| {
        given.steps.iter_mut().for_each(|step| step.weights = None);
        run.has_weights() && !run.has_lengths()
    }),
    ("lengths", |run, given| {
        given.steps.iter_mut().for_each(|step| (step.lengths, step.weights) = (None, None));
        run.has_lengths()
    }),
    ("ignored class", |run, given| {
        let classes = run.sizes[4] as u32;
        given.steps.iter_mut().flat_map(|step| &mut step.classes).for_each(|class| *class %= classes);
        run.ignore_index.take().is_some()
    }),
    ("row of padding", |run, _| run.padding_idx.take().is_some()),
    ("max_norm", |run, _| run.max_norm.take().is_some()),
    ("clip_value", |run, _| run.clip_value.take().is_some()),
    ("weight_decay", |run, _| std::mem::take(&mut run.options.weight_decay) > 0.0),
    ("momentum", |run, _| std::mem::take(&mut run.options.momentum) > 0.0),
    ("nesterov", |run, _| std::mem::take(&mut run.options.nesterov)),
];

/// What is forgotten shows in every run that has it, and every loss has all that is its own.
#[test]
fn every_option_of_a_run_matters() {
    let mut seen = BTreeSet::new();
    for run in runs::load() {
        let given = run.draw();
        let budgets = budgets(&run, &given);
        for (what, forget) in FORGETFUL {
            let (mut run, mut given) = (run.clone(), given.clone());
            // What does not count is NaN.
            given.steps.iter_mut().flat_map(|step| &mut step.numbers).filter(|x| x.is_nan()).for_each(|x| *x = 0.0);
            if forget(&mut run, &mut given) {
                let out = train(&run, &given, by_oracle).disagreements(&run, &budgets);
                assert!(out.len() > run.losses.len(), "{} without {what} is nearly the same: {out:?}", run.name);
                seen.insert((run.kind, what));
            }
        }
    }
    let own = |kind| match kind {
        Kind::CrossEntropy => &["mask or weights", "lengths", "ignored class"][..],
        Kind::MeanSquaredError | Kind::BinaryCrossEntropy => &["mask or weights", "lengths"],
    };
    for kind in [Kind::MeanSquaredError, Kind::BinaryCrossEntropy, Kind::CrossEntropy] {
        assert!(own(kind).iter().all(|&what| seen.contains(&(kind, what))), "{kind:?}: only {seen:?}");
    }
    let options: BTreeSet<_> = seen.into_iter().map(|(_, what)| what).collect();
    assert!(FORGETFUL.iter().all(|(what, _)| options.contains(what)), "only {options:?}");
}
