//! Twin of `shaders/shared/activation.wgsl`.

use super::Real;
use crate::activation::Activation;

/// 1 / (1 + e^-x), without an overflow for any x.
pub fn sigmoid<R: Real>(x: R) -> R {
    let one = R::from_f64(1.0);
    let e = (-x.abs()).exp();
    let s = one / (one + e);
    if x >= R::default() { s } else { e * s }
}

/// tanh x, without an overflow for any x.
pub fn tanh_guarded<R: Real>(x: R) -> R {
    let one = R::from_f64(1.0);
    let e = (R::from_f64(-2.0) * x.abs()).exp();
    let t = (one - e) / (one + e);
    if x >= R::default() { t } else { -t }
}

/// ln(1 + e^x), without an overflow for any x.
fn softplus<R: Real>(x: R) -> R {
    let positive = if x >= R::default() { x } else { R::default() };
    positive + R::from_f64((-x.abs()).exp().into().ln_1p())
}

/// An activation of what the clip leaves of its argument.
pub fn activate<R: Real>(activation: Activation, clip: Option<f32>, x: R) -> R {
    let (zero, one) = (R::default(), R::from_f64(1.0));
    let x = clip.map_or(x, |limit| {
        let limit = R::from_f64(f64::from(limit));
        if x > limit {
            limit
        } else if x < -limit {
            -limit
        } else {
            x
        }
    });
    let [alpha, beta] = activation.parameters().map(|value| R::from_f64(f64::from(value)));
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
        Activation::Softsign => x / (one + x.abs()),
        Activation::Softplus => softplus(x),
        _ => x,
    }
}

/// Its slope, from its value y. A value at an end of the clip has slope 0.
pub fn activation_slope<R: Real>(activation: Activation, clip: Option<f32>, y: R) -> R {
    let (zero, one) = (R::default(), R::from_f64(1.0));
    if let Some(limit) = clip {
        let ends = [-limit, limit].map(|end| activate(activation, None, R::from_f64(f64::from(end))).into());
        let slack = 4e-7 * ends[0].abs().max(ends[1].abs()).max(1.0);
        let y: f64 = y.into();
        if y >= ends[0].max(ends[1]) - slack || y <= ends[0].min(ends[1]) + slack {
            return zero;
        }
    }
    let [alpha, _] = activation.parameters().map(|value| R::from_f64(f64::from(value)));
    let above = |inside: R, outside: R| if y > zero { inside } else { outside };
    match activation {
        Activation::Sigmoid => y * (one - y),
        Activation::Tanh => one - y * y,
        Activation::Relu | Activation::ThresholdedRelu { .. } => above(one, zero),
        Activation::HardSigmoid { .. } => above(if y < one { alpha } else { zero }, zero),
        Activation::LeakyRelu { .. } => above(one, alpha),
        Activation::Softsign => (one - y.abs()) * (one - y.abs()),
        Activation::Softplus => R::from_f64(-(-y.into()).exp_m1()),
        Activation::Linear => one,
    }
}
