//! The twins of the optimisers in f64: against PyTorch, and where the norm is not finite.

use wgpu_gru::reference::adam::adam;
use wgpu_gru::reference::adam_prepare::adam_prepare;
use wgpu_gru::reference::sum_squares::sum_squares;

/// The factor that clips, from a norm.
fn scale(norm: f64, max_norm: Option<f64>) -> f64 {
    adam_prepare(1, 0.1, [0.9, 0.999], max_norm, norm * norm).scale
}

/// `torch.nn.utils.clip_grad_norm_` multiplies by `clamp(max_norm / (norm + 1e-6), max=1.0)`, and clamp lets a NaN through.
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

/// The numbers are those of `adam_against_pytorch` in `tests/gpu/train.rs`, where the script stands that printed them.
#[test]
fn adam_is_that_of_pytorch() {
    const D: [[f64; 7]; 3] = [
        [0.5, -1.0, 0.25, 2.0, -0.125, 1.5, -0.5],
        [0.25, 0.5, -0.5, 0.0, 1.0, -0.25, 0.125],
        [-0.5, 0.25, 0.125, -0.25, 0.5, 0.0, 0.5],
    ];
    const FREE: [f64; 7] = [
        0.378_008_294_467_363_34,
        -0.170_121_933_137_467_1,
        0.972_182_116_990_798_5,
        -0.004_248_525_761_129_27,
        -2.030_305_198_815_828_5,
        0.630_431_260_769_516_8,
        -1.424_263_959_651_171_5,
    ];
    const CLIPPED: [f64; 7] = [
        0.397_935_481_347_403_36,
        -0.218_094_344_533_259_07,
        0.994_989_030_838_101_6,
        0.007_787_475_538_420_022,
        -2.045_937_655_296_564_5,
        0.650_686_599_492_362_3,
        -1.462_274_955_608_76,
    ];
    for (max_norm, expected) in [(None, FREE), (Some(1.0), CLIPPED)] {
        let mut parameter = [0.5, -0.25, 1.0, 0.125, -2.0, 0.75, -1.5];
        let (mut moment1, mut moment2) = ([0.0; 7], [0.0; 7]);
        let betas = [0.875, 0.96875];
        for (step, gradient) in (1..).zip(&D) {
            let state = adam_prepare(step, 0.0625, betas, max_norm, sum_squares(gradient));
            adam(&state, betas, 1.0 / 64.0, gradient, &mut parameter, &mut moment1, &mut moment2);
        }
        for (actual, expected) in parameter.iter().zip(expected) {
            assert!((actual - expected).abs() < 1e-12, "{actual} instead of {expected} with {max_norm:?}");
        }
    }
}
