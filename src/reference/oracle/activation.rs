//! The activations and their slopes, from their definitions.

use crate::activation::Activation;

/// An activation, from its definition.
#[must_use]
pub fn activate(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Sigmoid => sigmoid(x),
        Activation::Tanh => x.tanh(),
        Activation::Relu => {
            if x > 0.0 || x.is_nan() {
                x
            } else {
                0.0
            }
        }
        Activation::HardSigmoid { alpha, beta } => (f64::from(alpha) * x + f64::from(beta)).clamp(0.0, 1.0),
        Activation::LeakyRelu { alpha } => {
            if x >= 0.0 {
                x
            } else {
                f64::from(alpha) * x
            }
        }
        Activation::ThresholdedRelu { theta } => {
            if x > f64::from(theta) || x.is_nan() {
                x
            } else {
                0.0
            }
        }
        Activation::Softsign => x / (1.0 + x.abs()),
        Activation::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
        Activation::Linear => x,
        Activation::Elu { alpha } => {
            if x > 0.0 {
                x
            } else {
                f64::from(alpha) * x.exp_m1()
            }
        }
    }
}

/// Its derivative, from its definition. At a kink, that of the left side. NaN where the value is NaN, but for the one
/// whose slope does not depend on the argument.
#[must_use]
pub fn slope(activation: Activation, x: f64) -> f64 {
    if activation != Activation::Linear && activate(activation, x).is_nan() {
        return f64::NAN;
    }
    match activation {
        Activation::Sigmoid => sigmoid(x) * sigmoid(-x),
        Activation::Tanh => 1.0 - x.tanh() * x.tanh(),
        Activation::Relu => {
            if x > 0.0 {
                1.0
            } else {
                0.0
            }
        }
        Activation::HardSigmoid { alpha, beta } => {
            let line = f64::from(alpha) * x + f64::from(beta);
            if line > 0.0 && line < 1.0 { f64::from(alpha) } else { 0.0 }
        }
        Activation::LeakyRelu { alpha } => {
            if x > 0.0 {
                1.0
            } else {
                f64::from(alpha)
            }
        }
        Activation::ThresholdedRelu { theta } => {
            if x > f64::from(theta) {
                1.0
            } else {
                0.0
            }
        }
        Activation::Softsign => 1.0 / ((1.0 + x.abs()) * (1.0 + x.abs())),
        Activation::Softplus => sigmoid(x),
        Activation::Linear => 1.0,
        Activation::Elu { alpha } => {
            if x > 0.0 {
                1.0
            } else {
                f64::from(alpha) * x.exp()
            }
        }
    }
}

/// 1 / (1 + exp(-x)) without overflow: the exponential is only taken of numbers that are not positive.
fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

#[cfg(test)]
mod tests {
    use super::sigmoid;

    #[test]
    fn sigmoid_is_stable_far_out() {
        for x in [0.0, 1e-300, 1.0, 36.0, 700.0, 1e3, 1e308, f64::INFINITY] {
            let (up, down) = (sigmoid(x), sigmoid(-x));
            assert!((0.5..=1.0).contains(&up) && (0.0..=0.5).contains(&down), "sigmoid at {x}: {up} and {down}");
            approx::assert_abs_diff_eq!(up + down, 1.0, epsilon = 1e-15);
        }
        approx::assert_relative_eq!(sigmoid(-700.0), (-700.0_f64).exp(), max_relative = 1e-14);
        assert!(sigmoid(f64::NAN).is_nan(), "NaN stays NaN");
    }
}
