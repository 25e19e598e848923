//! The activations of gates and candidates.

/// An activation. ONNX's and Keras's names and parameters.
///
/// Each is accurate for every f32 number. The table bounds the error of a kernel in units in the last place (ulp) of
/// the exact result: 2^-23 times the power of two below it. The slope is taken from the value that was stored, so its
/// bound is against the exact slope of that value.
///
/// | activation | value | slope |
/// |---|---|---|
/// | sigmoid, tanh, softplus | 5 ulp | 2 ulp |
/// | softsign | 4 ulp | 3 ulp |
/// | elu | 4 ulp | 1 ulp |
/// | leaky relu | 1 ulp | exact |
/// | hard sigmoid | 2 ulp of the larger of \|alpha x\| (at most 1) and \|beta\| | exact |
/// | relu, thresholded relu, linear | exact | exact |
///
/// A device may take what is smaller than 2^-126, the least normal f32 number, for zero: arguments, values and slopes.
/// NaN gives NaN, and so does its slope, but for linear, whose slope is always 1. Of an infinity softsign is NaN, as
/// inf / inf is.
///
/// ```
/// use wgpu_gru::{Activation, GruConfig};
/// let config = GruConfig::new(8, 32).candidate_activation(Activation::Relu);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Activation {
    /// 1 / (1 + e^-x)
    Sigmoid,
    /// tanh x
    Tanh,
    /// max(0, x)
    Relu,
    /// max(0, min(1, alpha x + beta)). See [`Activation::HARD_SIGMOID_ONNX`] and [`Activation::HARD_SIGMOID_KERAS`].
    HardSigmoid {
        /// The slope.
        alpha: f32,
        /// The value at 0.
        beta: f32,
    },
    /// x where x >= 0, alpha x elsewhere
    LeakyRelu {
        /// The slope of the negative side. For training at least 0: only then does the output tell the side.
        alpha: f32,
    },
    /// x where x > theta, 0 elsewhere
    ThresholdedRelu {
        /// The threshold. For training at least 0: only then does the output tell the side.
        theta: f32,
    },
    /// x / (1 + |x|)
    Softsign,
    /// ln(1 + e^x)
    Softplus,
    /// x
    Linear,
    /// x where x > 0, alpha (e^x - 1) elsewhere
    Elu {
        /// Minus the value far out on the negative side. For training at least 0: only then does the output tell the side.
        alpha: f32,
    },
}

impl Activation {
    /// ONNX's and old Keras's hard sigmoid: slope 0.2.
    pub const HARD_SIGMOID_ONNX: Self = Self::HardSigmoid { alpha: 0.2, beta: 0.5 };
    /// Keras 3's hard sigmoid: slope 1/6.
    pub const HARD_SIGMOID_KERAS: Self = Self::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 };

    /// The number that the kernels know it by.
    pub(crate) fn code(self) -> u32 {
        match self {
            Self::Sigmoid => 0,
            Self::Tanh => 1,
            Self::Relu => 2,
            Self::HardSigmoid { .. } => 3,
            Self::LeakyRelu { .. } => 4,
            Self::ThresholdedRelu { .. } => 5,
            Self::Softsign => 6,
            Self::Softplus => 7,
            Self::Linear => 8,
            Self::Elu { .. } => 9,
        }
    }

    /// alpha (or theta) and beta; 0 where there is none.
    pub(crate) fn parameters(self) -> [f32; 2] {
        match self {
            Self::HardSigmoid { alpha, beta } => [alpha, beta],
            Self::LeakyRelu { alpha } | Self::Elu { alpha } => [alpha, 0.0],
            Self::ThresholdedRelu { theta } => [theta, 0.0],
            Self::Sigmoid | Self::Tanh | Self::Relu | Self::Softsign | Self::Softplus | Self::Linear => [0.0, 0.0],
        }
    }

    /// Whether the output lies in [-1, 1] and the slope has no jump, so that an output that is rounded tells the slope.
    pub(crate) fn is_smooth_and_bounded(self) -> bool {
        matches!(self, Self::Sigmoid | Self::Tanh | Self::Softsign)
    }

    /// Whether the output tells the derivative, which training needs.
    #[must_use]
    pub fn has_derivative(self) -> bool {
        match self {
            Self::LeakyRelu { alpha } | Self::Elu { alpha } => alpha >= 0.0,
            Self::ThresholdedRelu { theta } => theta >= 0.0,
            Self::Sigmoid | Self::Tanh | Self::Relu | Self::HardSigmoid { .. } => true,
            Self::Softsign | Self::Softplus | Self::Linear => true,
        }
    }
}
