//! Twin of `shaders/shared/activation.wgsl`.

use super::Real;
use crate::activation::Activation;

/// 1 / (1 + e^-x), without an overflow for any x.
pub fn sigmoid<R: Real>(x: R) -> R {
    let one = R::from_f64(1.0);
    let e = (-x.abs()).exp();
    (if x < R::default() { e } else { one }) / (one + e)
}

/// tanh x, without an overflow for any x.
pub fn tanh_guarded<R: Real>(x: R) -> R {
    let two = R::from_f64(2.0);
    let q = one_minus_exp(-two * x.abs());
    let t = q / (two - q);
    // Of 0 the sign too.
    if x == R::default() {
        x
    } else if x < R::default() {
        -t
    } else {
        t
    }
}

/// 1 - e^x.
fn one_minus_exp<R: Real>(x: R) -> R {
    -x.exp_m1()
}

/// ln(1 + e^x), without an overflow for any x.
pub fn softplus<R: Real>(x: R) -> R {
    let positive = if x > R::default() { x } else { R::default() };
    positive + (-x.abs()).exp().ln_1p()
}

/// x / (1 + |x|).
fn softsign<R: Real>(x: R) -> R {
    x / (R::from_f64(1.0) + x.abs())
}

/// Whether the clip changes an argument. One that equals it is left as it is, and so is NaN.
pub fn is_clipped<R: Real>(clip: Option<f32>, x: R) -> bool {
    clip.is_some_and(|limit| x.abs() > R::from_f64(f64::from(limit)))
}

/// `size` with the sign of another number.
fn with_sign_of<R: Real>(size: f64, other: R) -> R {
    R::from_f64(if other < R::default() { -size } else { size })
}

/// An activation of what the clip leaves of its argument.
pub fn activate<R: Real>(activation: Activation, clip: Option<f32>, x: R) -> R {
    let (zero, one) = (R::default(), R::from_f64(1.0));
    let x = match clip {
        Some(limit) if is_clipped(clip, x) => with_sign_of(f64::from(limit), x),
        _ => x,
    };
    let [alpha, beta] = activation.parameters().map(|value| R::from_f64(f64::from(value)));
    // Each comparison is written so that NaN stays NaN.
    match activation {
        Activation::Sigmoid => sigmoid(x),
        Activation::Tanh => tanh_guarded(x),
        Activation::Relu if x < zero => zero,
        Activation::HardSigmoid { .. } => {
            let line = alpha * x + beta;
            if line < zero {
                zero
            } else if line > one {
                one
            } else {
                line
            }
        }
        Activation::LeakyRelu { .. } if x < zero => alpha * x,
        Activation::ThresholdedRelu { .. } if x <= alpha => zero,
        Activation::Softsign => softsign(x),
        Activation::Softplus => softplus(x),
        Activation::Elu { .. } if x < zero => alpha * x.exp_m1(),
        _ => x,
    }
}

/// What is kept for backward of the value y of an argument x: y itself, or, where the clip changed x, an infinity with
/// the sign of x. With a clip no value is infinite, so the one cannot be taken for the other.
pub fn kept<R: Real>(clip: Option<f32>, x: R, y: R) -> R {
    if is_clipped(clip, x) { with_sign_of(f64::INFINITY, x) } else { y }
}

/// Whether what was kept says that the clip changed the argument.
pub fn is_mark<R: Real>(clip: Option<f32>, y: R) -> bool {
    clip.is_some() && y.abs() == R::from_f64(f64::INFINITY)
}

/// The value that was kept.
pub fn value_of_kept<R: Real>(activation: Activation, clip: Option<f32>, y: R) -> R {
    match clip {
        Some(limit) if is_mark(clip, y) => activate(activation, None, with_sign_of(f64::from(limit), y)),
        _ => y,
    }
}

/// The slope there: 0 where the clip changed the argument.
pub fn slope_of_kept<R: Real>(activation: Activation, clip: Option<f32>, y: R) -> R {
    if is_mark(clip, y) { R::default() } else { activation_slope(activation, y) }
}

/// The derivative of an activation, from its value y. NaN where that is NaN, but for the one whose slope does not
/// depend on it.
#[expect(clippy::eq_op, reason = "NaN differs from itself")]
pub fn activation_slope<R: Real>(activation: Activation, y: R) -> R {
    let (zero, one) = (R::default(), R::from_f64(1.0));
    if y != y && activation != Activation::Linear {
        return y;
    }
    let [alpha, _] = activation.parameters().map(|value| R::from_f64(f64::from(value)));
    let above = |inside: R, outside: R| if y > zero { inside } else { outside };
    match activation {
        Activation::Sigmoid => y * (one - y),
        Activation::Tanh => (one - y) * (one + y),
        Activation::Relu | Activation::ThresholdedRelu { .. } => above(one, zero),
        Activation::HardSigmoid { .. } => above(if y < one { alpha } else { zero }, zero),
        Activation::LeakyRelu { .. } => above(one, alpha),
        Activation::Softsign => (one - y.abs()) * (one - y.abs()),
        Activation::Softplus => one_minus_exp(-y),
        Activation::Linear => one,
        Activation::Elu { .. } => above(one, y + alpha),
    }
}
