//! The one tolerance type: what it lets through, what it does not, and what it says.

use approx::{assert_abs_diff_eq, assert_relative_eq};
use wgpu_gru::Tolerance;

const HALF: Tolerance = Tolerance { abs: 0.5, rel: 0.25 };

#[test]
fn share_of_the_budget() {
    // 0.5 + 0.25 * 2 = 1 is allowed.
    assert_abs_diff_eq!(HALF.share(2.5, 2.0), 0.5);
    assert_abs_diff_eq!(HALF.share(1.0, 2.0), 1.0);
    assert_abs_diff_eq!(HALF.share(-4.0, -2.0), 2.0);
    assert!(HALF.accepts(1.0, 2.0) && HALF.accepts(3.0, 2.0), "the bound itself is within it");
    assert!(!HALF.accepts(3.001, 2.0) && !HALF.accepts(0.999, 2.0), "a little more is not");
}

#[test]
fn what_is_not_a_number_fails() {
    for (actual, expected) in [
        (f64::NAN, 1.0),
        (1.0, f64::NAN),
        (f64::NAN, f64::NAN),
        (f64::INFINITY, 1.0),
        (f64::NEG_INFINITY, f64::INFINITY),
        (1.0, f64::INFINITY),
        (f64::NAN, f64::INFINITY),
    ] {
        for tolerance in
            [Tolerance::EXACT, HALF, Tolerance { abs: 0.0, rel: 1.0 }, Tolerance { abs: f64::MAX, rel: 0.0 }]
        {
            assert!(!tolerance.accepts(actual, expected), "{actual} against {expected} with {tolerance:?}");
            let worst = tolerance.compare(&[0.0, actual, 0.0], &[0.0, expected, 0.0]);
            assert!(!worst.passed() && worst.index == 1, "{worst:?}");
            assert!(worst.max_error.is_infinite(), "{worst:?}");
        }
    }
    assert!(HALF.accepts(f64::INFINITY, f64::INFINITY), "the same infinity is the same number");
}

#[test]
fn exact_means_exact() {
    assert!(Tolerance::EXACT.accepts(0.1, 0.1) && Tolerance::EXACT.accepts(-0.0, 0.0), "equal numbers");
    assert!(!Tolerance::EXACT.accepts(1.0 + f64::EPSILON, 1.0), "one unit in the last place");
    assert!(!Tolerance::EXACT.accepts(f64::MIN_POSITIVE, 0.0), "next to nothing");
}

#[test]
fn one_wrong_element_is_found_wherever_it_is() {
    let expected: Vec<f32> = (0..100).map(|i| (i as f32 * 0.37).sin()).collect();
    assert!(Tolerance::pointwise().compare(&expected, &expected).passed(), "the same numbers");
    for index in 0..expected.len() {
        let mut actual = expected.clone();
        actual[index] += 1e-4;
        let worst = Tolerance::pointwise().compare(&actual, &expected);
        assert!(!worst.passed() && worst.index == index, "{worst:?}");
        assert_abs_diff_eq!(worst.max_error, 1e-4, epsilon = 1e-6);
        assert_relative_eq!(worst.actual - worst.expected, 1e-4, max_relative = 1e-2);
    }
}

/// The largest share counts, not the largest error.
#[test]
fn the_worst_element_is_that_of_the_largest_share() {
    let tolerance = Tolerance { abs: 0.0, rel: 0.1 };
    let worst = tolerance.compare(&[105.0, 1.09, 0.0], &[100.0, 1.0, 0.0]);
    assert_eq!(worst.index, 1);
    assert_abs_diff_eq!(worst.share, 0.9, epsilon = 1e-12);
    assert_abs_diff_eq!(worst.max_error, 5.0);
}

#[test]
#[should_panic(expected = "different lengths")]
fn different_lengths_cannot_be_compared() {
    let _ = HALF.compare(&[1.0, 2.0], &[1.0]);
}

/// The bounds are the derived ones: they grow with the square root of the length, and are far below a wrong result.
#[test]
fn bounds_are_derived() {
    assert_relative_eq!(Tolerance::matmul(1).abs, Tolerance::LAMBDA * Tolerance::UNIT_ROUNDOFF);
    assert_relative_eq!(Tolerance::matmul(400).abs, 20.0 * Tolerance::matmul(1).abs);
    assert_relative_eq!(Tolerance::matmul(0).abs, Tolerance::matmul(1).abs);
    let one = Tolerance::through_time(64, 1);
    assert_relative_eq!(one.abs, Tolerance::matmul(64).abs + Tolerance::pointwise().abs);
    assert_relative_eq!(Tolerance::through_time(64, 100).abs, 10.0 * one.abs);
    let sum = Tolerance::matmul(9).plus(Tolerance::pointwise());
    assert_relative_eq!(sum.rel, Tolerance::matmul(9).rel + Tolerance::pointwise().rel);
    let scaled = one.scaled(3.0);
    assert_relative_eq!(scaled.abs, 3.0 * one.abs);
    assert_relative_eq!(scaled.rel, one.rel);
    // The largest layer of the benches, and still four digits.
    assert!(Tolerance::through_time(1024 + 1024, 128).abs < 1e-4, "a bound that lets anything through is none");
}
