//! The activations of the twins against those of the standard library.

use approx::{assert_abs_diff_eq, assert_relative_eq};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use wgpu_gru::Tolerance;
use wgpu_gru::reference::twins::activation::{sigmoid, tanh_guarded};

mod support;

use support::numbers::assert_close;

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64, failure_persistence: None, rng_seed: RngSeed::Fixed(11), ..ProptestConfig::default()
    })]

    #[test]
    fn activations_are_those_of_libm(x in -1e4_f64..1e4) {
        activations(x);
    }
}

/// Within four units in the last place of 1.
const LAST_PLACES: f64 = 4.0 * f64::EPSILON;

fn activations(x: f64) {
    assert_abs_diff_eq!(sigmoid(x), 1.0 / (1.0 + (-x).exp()), epsilon = LAST_PLACES);
    assert_abs_diff_eq!(tanh_guarded(x), x.tanh(), epsilon = LAST_PLACES);
    // Odd, and symmetric about 1/2.
    assert_abs_diff_eq!(tanh_guarded(-x), -tanh_guarded(x), epsilon = 0.0);
    assert_abs_diff_eq!(sigmoid(-x) + sigmoid(x), 1.0, epsilon = LAST_PLACES);
    let narrow = x as f32;
    let tolerance = Tolerance::ulps(3.0);
    let expected = [1.0 / (1.0 + (-f64::from(narrow)).exp()), f64::from(narrow).tanh()];
    assert_close(
        &format!("activations of {narrow} in f32"),
        &[sigmoid(narrow), tanh_guarded(narrow)],
        &expected,
        tolerance,
    );
}

#[test]
fn activations_on_a_grid() {
    for step in -10_000..=10_000 {
        activations(f64::from(step));
        activations(f64::from(step) * 1e-3);
        activations(f64::from(step) * 1e-12);
    }
}

#[test]
fn activations_at_the_ends() {
    for zero in [0.0, -0.0] {
        assert_relative_eq!(sigmoid(zero), 0.5);
        assert_relative_eq!(tanh_guarded(zero), 0.0);
    }
    for (x, one, zero) in [(f64::INFINITY, 1.0, 0.0), (f64::MAX, 1.0, 0.0), (1e3, 1.0, 0.0)] {
        assert_eq!((sigmoid(x), tanh_guarded(x)), (one, one), "{x}");
        assert_eq!((sigmoid(-x), tanh_guarded(-x)), (zero, -one), "-{x}");
        let x = x as f32;
        assert_eq!((sigmoid(x), tanh_guarded(x), sigmoid(-x), tanh_guarded(-x)), (1.0, 1.0, 0.0, -1.0), "{x} in f32");
    }
    assert!(sigmoid(f64::NAN).is_nan() && tanh_guarded(f64::NAN).is_nan(), "NaN stays NaN");
    assert!(sigmoid(f32::NAN).is_nan() && tanh_guarded(f32::NAN).is_nan(), "NaN stays NaN in f32");
    // Far out on the small side the sigmoid is still the exponential, not 0.
    assert_relative_eq!(sigmoid(-700.0), (-700.0_f64).exp(), max_relative = 1e-15);
}
