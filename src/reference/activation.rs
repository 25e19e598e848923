//! Twin of `shaders/shared/activation.wgsl`.

use super::Real;

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
