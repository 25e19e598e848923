//! The twins of the optimisers in f64: against PyTorch, and where the norm is not finite.

use wgpu_gru::reference::twins::adam::adam;
use wgpu_gru::reference::twins::adam_prepare::adam_prepare;
use wgpu_gru::reference::twins::sum_squares::sum_squares;
use wgpu_gru::train::AdamOptions;

mod support;

use support::adam as pytorch;

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
