//! Sigmoid and tanh on vectors: no branch, no table, no call into a maths library.
//!
//! Both are made of exp(-t) for t >= 0, which cannot overflow, and both are accurate to 4 units in the last place of
//! the result for every f32 number. NaN gives NaN.

use pulp::Simd;

/// From here on exp(-t) is less than 2^-126, and counts as 0.
const MAX_EXPONENT: f32 = 88.0;

/// 1.5 * 2^23 + 127: a number around this has a unit of 1 in its last place, so adding it rounds to an integer, and its
/// low bits are that integer plus 127, the biased exponent of a power of two.
const ROUND_AND_BIAS: f32 = 12_582_912.0 + 127.0;

/// ln 2 in two parts; a product of the first with an integer below 2^8 is exact.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;

/// exp(f) = 1 + f + f^2 P(f) on [-ln 2 / 2, ln 2 / 2], the coefficients of Cephes' `expf`, highest first.
const EXP_POLYNOMIAL: [f32; 6] = [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];

/// exp(-t) = scale (1 + rest) for t in [0, [`MAX_EXPONENT`]], with scale = 2^-k and rest = exp(f) - 1, f = k ln 2 - t.
#[inline(always)]
fn exp_of_negative<S: Simd>(simd: S, t: S::f32s) -> (S::f32s, S::f32s) {
    let round = simd.splat_f32s(ROUND_AND_BIAS);
    let biased = simd.negate_mul_add_e_f32s(t, simd.splat_f32s(std::f32::consts::LOG2_E), round);
    let k = simd.sub_f32s(round, biased);
    let f = simd.mul_add_e_f32s(k, simd.splat_f32s(LN_2_HIGH), simd.neg_f32s(t));
    let f = simd.mul_add_e_f32s(k, simd.splat_f32s(LN_2_LOW), f);

    let mut p = simd.splat_f32s(EXP_POLYNOMIAL[0]);
    for coefficient in &EXP_POLYNOMIAL[1..] {
        p = simd.mul_add_e_f32s(p, f, simd.splat_f32s(*coefficient));
    }
    let rest = simd.mul_add_e_f32s(p, simd.mul_f32s(f, f), f);

    // The shift moves 127 - k to where a float has its exponent and everything above it out of the word. For k = 127
    // that leaves 0.
    let power = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(biased), simd.splat_u32s(23));
    (simd.transmute_f32s_u32s(power), rest)
}

/// `value`, or NaN where x is NaN.
#[inline(always)]
fn nan_where_nan<S: Simd>(simd: S, x: S::f32s, value: S::f32s) -> S::f32s {
    simd.select_f32s(simd.equal_f32s(x, x), value, x)
}

/// 1 / (1 + exp(-x)), as e / (1 + e) for negative x, where e = exp(-|x|).
#[inline(always)]
pub(super) fn sigmoid<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    let (scale, rest) = exp_of_negative(simd, simd.min_f32s(simd.abs_f32s(x), simd.splat_f32s(MAX_EXPONENT)));
    let e = simd.mul_add_e_f32s(scale, rest, scale);
    let numerator = simd.select_f32s(simd.less_than_f32s(x, simd.splat_f32s(0.0)), e, one);
    nan_where_nan(simd, x, simd.div_f32s(numerator, simd.add_f32s(one, e)))
}

/// q / (2 - q) with the sign of x, where q = 1 - exp(-2|x|) = (1 - scale) - scale rest, which does not cancel: where x
/// is small, scale is 1.
#[inline(always)]
pub(super) fn tanh<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let (one, two, sign) = (simd.splat_f32s(1.0), simd.splat_f32s(2.0), simd.splat_f32s(-0.0));
    let magnitude = simd.abs_f32s(x);
    let t = simd.min_f32s(simd.add_f32s(magnitude, magnitude), simd.splat_f32s(MAX_EXPONENT));
    let (scale, rest) = exp_of_negative(simd, t);
    let q = simd.negate_mul_add_e_f32s(scale, rest, simd.sub_f32s(one, scale));
    let value = simd.div_f32s(q, simd.sub_f32s(two, q));
    nan_where_nan(simd, x, simd.or_f32s(value, simd.and_f32s(x, sign)))
}

#[cfg(test)]
mod tests {
    use super::{sigmoid, tanh};
    use pulp::{Arch, Scalar, Simd, WithSimd};

    /// Applies both functions to every number, in place: the first array becomes sigmoid, the second tanh.
    struct Both<'a>(&'a mut [f32], &'a mut [f32]);

    impl WithSimd for Both<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            for x in S::as_mut_simd_f32s(self.0).0 {
                *x = sigmoid(simd, *x);
            }
            for x in S::as_mut_simd_f32s(self.1).0 {
                *x = tanh(simd, *x);
            }
        }
    }

    fn both(x: &[f32], scalar: bool) -> (Vec<f32>, Vec<f32>) {
        let (mut s, mut t) = (x.to_vec(), x.to_vec());
        if scalar {
            Scalar.vectorize(Both(&mut s, &mut t));
        } else {
            Arch::new().dispatch(Both(&mut s, &mut t));
        }
        (s, t)
    }

    /// The distance in units in the last place of the exact result; those of the least normal number below that.
    fn ulps(actual: f32, exact: f64) -> f64 {
        let exponent = exact.abs().max(f64::from(f32::MIN_POSITIVE)).log2().floor() as i32;
        (f64::from(actual) - exact).abs() / 2_f64.powi(exponent - 23)
    }

    /// 1 / (1 + exp(-x)) in f64, without cancellation.
    fn exact_sigmoid(x: f64) -> f64 {
        if x >= 0.0 { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / (1.0 + x.exp()) }
    }

    /// Every 97th float of both signs, from zero to infinity. A sigmoid below 2^-126 may be 0.
    #[test]
    fn within_4_units_in_the_last_place() {
        let mut x: Vec<f32> = (0..=f32::INFINITY.to_bits()).step_by(97).map(f32::from_bits).collect();
        x.extend([1e3, 87.0, 87.3, 87.4, 87.7, 88.0, 104.0, 43.5, f32::MAX, f32::INFINITY]);
        x.truncate(x.len() / 16 * 16);
        let mut worst = [0.0_f64; 2];
        for sign in [1.0, -1.0] {
            let signed: Vec<f32> = x.iter().map(|v| v * sign).collect();
            for scalar in [false, true] {
                let (s, t) = both(&signed, scalar);
                for ((&x, &s), &t) in signed.iter().zip(&s).zip(&t) {
                    let exact = exact_sigmoid(f64::from(x));
                    let flushed = s == 0.0 && exact < f64::from(f32::MIN_POSITIVE);
                    let error_s = if flushed { 0.0 } else { ulps(s, exact) };
                    let error_t = ulps(t, f64::from(x).tanh());
                    assert!(
                        error_s <= 4.0 && error_t <= 4.0,
                        "at {x:e}: sigmoid {s:e} {error_s}, tanh {t:e} {error_t}"
                    );
                    worst = [worst[0].max(error_s), worst[1].max(error_t)];
                }
            }
        }
        assert!(worst.iter().all(|&worst| worst > 0.5), "rounding errors are expected: {worst:?}");
    }

    #[test]
    fn nan_and_the_ends() {
        for scalar in [false, true] {
            let x = [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, 1e3, -1e3];
            let (s, t) = both(&[x, x].concat(), scalar);
            assert!(s[0].is_nan() && s[1].is_nan() && t[0].is_nan() && t[1].is_nan(), "NaN stays NaN");
            assert_eq!(t[2..8], [1.0, -1.0, 0.0, 0.0, 1.0, -1.0]);
            assert!(t[5].is_sign_negative(), "-0 stays -0");
            assert_eq!([s[2], s[3], s[4], s[5], s[6], s[7]], [1.0, 0.0, 0.5, 0.5, 1.0, 0.0]);
        }
    }
}
