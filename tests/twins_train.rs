//! The twins of losses and optimisers in f64: losses against their definitions and by finite differences, optimisers
//! against PyTorch, and where the norm is not finite.

use wgpu_gru::reference::twins::adam::adam;
use wgpu_gru::reference::twins::adam_prepare::adam_prepare;
use wgpu_gru::reference::twins::bce::bce;
use wgpu_gru::reference::twins::mse::mse;
use wgpu_gru::reference::twins::sum_squares::sum_squares;
use wgpu_gru::rng::SplitMix64;
use wgpu_gru::train::AdamOptions;

mod support;

use support::adam as pytorch;
use support::numbers::wide;

/// The factor that clips, from a norm.
fn scale(norm: f64, max_norm: Option<f64>) -> f64 {
    adam_prepare(1, 0.1, [0.9, 0.999], max_norm, norm * norm).scale
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
    let narrow = |sum| adam_prepare(1, 0.1_f32, [0.9, 0.999], Some(1.0), sum).scale;
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
            let state = adam_prepare(step, rate, betas, max_norm.map(f64::from), sum_squares(&gradient));
            adam(&state, betas, epsilon.into(), &gradient, &mut parameter, &mut moment1, &mut moment2);
        }
        for (actual, expected) in parameter.iter().zip(expected) {
            assert!((actual - expected).abs() < 1e-12, "{actual} instead of {expected} with {max_norm:?}");
        }
    }
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
