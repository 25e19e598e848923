//! Sigmoid and tanh on vectors: no branch, no table, no call into a maths library.
//!
//! Both are made of exp(-t) for t >= 0, which cannot overflow, with an absolute error below 2e-7 everywhere. NaN gives NaN.

use pulp::Simd;

/// Beyond this exp(-t) is held at its value here, 1.6e-38: the smallest that is still a normal number.
const MAX_EXPONENT: f32 = 87.0;

/// 1.5 * 2^23 + 127: a number around this has a unit of 1 in its last place, so adding it rounds to an integer, and its
/// low bits are that integer plus 127, the biased exponent of a power of two.
const ROUND_AND_BIAS: f32 = 12_582_912.0 + 127.0;

/// ln 2 in two parts; a product of the first with an integer below 2^8 is exact.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;

/// exp(f) = 1 + f + f^2 P(f) on [-ln 2 / 2, ln 2 / 2], the coefficients of Cephes' `expf`, highest first.
const EXP_POLYNOMIAL: [f32; 6] =
    [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5.000_000_1e-1];

/// exp(-t) for t in [0, [`MAX_EXPONENT`]], as 2^-k * exp(f) with f = k ln 2 - t.
#[inline(always)]
fn exp_of_negative<S: Simd>(simd: S, t: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    let round = simd.splat_f32s(ROUND_AND_BIAS);
    let biased = simd.negate_mul_add_e_f32s(t, simd.splat_f32s(std::f32::consts::LOG2_E), round);
    let k = simd.sub_f32s(round, biased);
    let f = simd.mul_add_e_f32s(k, simd.splat_f32s(LN_2_HIGH), simd.neg_f32s(t));
    let f = simd.mul_add_e_f32s(k, simd.splat_f32s(LN_2_LOW), f);

    let mut p = simd.splat_f32s(EXP_POLYNOMIAL[0]);
    for coefficient in &EXP_POLYNOMIAL[1..] {
        p = simd.mul_add_e_f32s(p, f, simd.splat_f32s(*coefficient));
    }
    let exp_f = simd.add_f32s(simd.mul_add_e_f32s(p, simd.mul_f32s(f, f), f), one);

    // The shift moves 127 - k to where a float has its exponent and everything above it out of the word.
    let power = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(biased), simd.splat_u32s(23));
    simd.mul_f32s(exp_f, simd.transmute_f32s_u32s(power))
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
    let e = exp_of_negative(simd, simd.min_f32s(simd.abs_f32s(x), simd.splat_f32s(MAX_EXPONENT)));
    let numerator = simd.select_f32s(simd.less_than_f32s(x, simd.splat_f32s(0.0)), e, one);
    nan_where_nan(simd, x, simd.div_f32s(numerator, simd.add_f32s(one, e)))
}

/// (1 - e) / (1 + e) with the sign of x, where e = exp(-2|x|).
#[inline(always)]
pub(super) fn tanh<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let (one, sign) = (simd.splat_f32s(1.0), simd.splat_f32s(-0.0));
    let magnitude = simd.abs_f32s(x);
    let e = exp_of_negative(simd, simd.min_f32s(simd.add_f32s(magnitude, magnitude), simd.splat_f32s(MAX_EXPONENT)));
    let value = simd.div_f32s(simd.sub_f32s(one, e), simd.add_f32s(one, e));
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

    /// Every 97th float of both signs, from zero to infinity.
    #[test]
    fn absolute_error_is_below_2e_7() {
        let mut x: Vec<f32> = (0..=f32::INFINITY.to_bits()).step_by(97).map(f32::from_bits).collect();
        x.extend([1e3, 87.0, 88.0, 43.5, f32::MAX, f32::INFINITY]);
        x.truncate(x.len() / 16 * 16);
        for sign in [1.0, -1.0] {
            let signed: Vec<f32> = x.iter().map(|v| v * sign).collect();
            for scalar in [false, true] {
                let (s, t) = both(&signed, scalar);
                let (mut worst_s, mut worst_t) = (0.0_f64, 0.0_f64);
                for ((&x, &s), &t) in signed.iter().zip(&s).zip(&t) {
                    let x = f64::from(x);
                    let error_s = (f64::from(s) - 1.0 / (1.0 + (-x).exp())).abs();
                    let error_t = (f64::from(t) - x.tanh()).abs();
                    assert!(error_s <= 2e-7 && error_t <= 2e-7, "at {x}: sigmoid {s}, tanh {t}");
                    (worst_s, worst_t) = (worst_s.max(error_s), worst_t.max(error_t));
                }
                assert!(worst_s > 0.0 && worst_t > 0.0, "rounding errors are expected");
            }
        }
    }

    #[test]
    fn nan_and_the_ends() {
        for scalar in [false, true] {
            let x = [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, 1e3, -1e3];
            let (s, t) = both(&[x, x].concat(), scalar);
            assert!(s[0].is_nan() && s[1].is_nan() && t[0].is_nan() && t[1].is_nan(), "NaN stays NaN");
            assert_eq!(t[2..8], [1.0, -1.0, 0.0, 0.0, 1.0, -1.0]);
            assert!(s[3] >= 0.0 && s[3] < 1e-37 && s[7] < 1e-37, "shut: {} and {}", s[3], s[7]);
            assert_eq!([s[2], s[4], s[5], s[6]], [1.0, 0.5, 0.5, 1.0]);
        }
    }
}
