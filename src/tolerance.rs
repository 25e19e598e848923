//! How far two results may be apart: bounds derived from the unit round-off and the length of the sums.
//!
//! A sum of k products of f32 numbers rounds k times, each time by at most u = 2^-24 of the partial sum. Where the
//! partial sums are at most 1 and the roundings do not conspire, the error is about λ √k u with a small λ (Higham and
//! Mary 2019, "A new approach to probabilistic rounding error analysis"). Partial sums of at most 1 are what weights
//! from U(±1/√k) and states in [-1, 1] give; for other numbers call [`Tolerance::scaled`]. λ is
//! [`LAMBDA`](Tolerance::LAMBDA).

/// An absolute and a relative bound. `a` is within it of a reference if `|a - ref| <= abs + rel * |ref|`; NaN never is.
///
/// ```
/// use wgpu_gru::Tolerance;
/// let budget = Tolerance::matmul(128); // sums of 128 products
/// assert!(budget.accepts(1.0 + 1e-7, 1.0));
/// assert!(!budget.accepts(f64::NAN, 1.0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// The absolute part.
    pub abs: f64,
    /// The part relative to the reference.
    pub rel: f64,
}

impl Tolerance {
    /// The unit round-off of f32, 2^-24.
    pub const UNIT_ROUNDOFF: f64 = 1.0 / (1_u64 << 24) as f64;

    /// By how much a number may change, relative to itself, when it is stored as one of 16 bits, 2^-10: WGSL leaves it
    /// to the device which of the two nearest ones it becomes. Below 2^-14 the distance is 2^-24, whatever the number.
    pub const F16_ROUNDOFF: f64 = 1.0 / 1024.0;

    /// λ of the probabilistic bound: about how many standard deviations of the rounding error are allowed.
    pub const LAMBDA: f64 = 2.0;

    /// No difference at all.
    pub const EXACT: Self = Self { abs: 0.0, rel: 0.0 };

    /// For a number that is right to so many units in its last place, however small it is. A device may take what is
    /// below 2^-126 for zero. [`Activation`](crate::Activation) has the units of each activation.
    #[must_use]
    pub fn ulps(count: f64) -> Self {
        Self { abs: f64::from(f32::MIN_POSITIVE), rel: count * 2.0 * Self::UNIT_ROUNDOFF }
    }

    /// For a sum of a few terms of about 1, each of a few operations and one activation ([`ulps`](Self::ulps)): the
    /// blend of a step. Its terms may cancel, so it has an absolute part.
    #[must_use]
    pub fn pointwise() -> Self {
        Self { abs: 8.0 * Self::UNIT_ROUNDOFF, rel: 8.0 * Self::UNIT_ROUNDOFF }
    }

    /// For a sum of `k` products. Where all have one sign their roundings do conspire, and one chain of them may be off
    /// by k u; so sums over many rows have parts, see [Long sums](crate::train#long-sums).
    #[must_use]
    pub fn matmul(k: usize) -> Self {
        let k = k.max(1) as f64;
        Self { abs: Self::LAMBDA * k.sqrt() * Self::UNIT_ROUNDOFF, rel: Self::LAMBDA * Self::UNIT_ROUNDOFF }
    }

    /// For a recurrence of `t` steps that each sum `k` products and take a few functions of the sum. The update gate
    /// makes each step a convex blend of the state before and the candidate, so the errors of the steps add up.
    #[must_use]
    pub fn through_time(k: usize, t: usize) -> Self {
        let (step, t) = (Self::matmul(k).plus(Self::pointwise()), t.max(1) as f64);
        Self { abs: step.abs * t.sqrt(), rel: step.rel * t.sqrt() }
    }

    /// For a function, or a sum of about 1, of numbers that are stored as f16: [`LAMBDA`](Self::LAMBDA) times
    /// [`F16_ROUNDOFF`](Self::F16_ROUNDOFF).
    ///
    /// A number 2^e m with 1 <= m < 2 has neighbours 2^(e-10) apart. A device that cuts off (as AMD's v_cvt_pkrtz does)
    /// is wrong by 2^(e-10) u with u uniform in [0, 1), and relative to the number by 2^-10 u / m; the mean of u^2 is
    /// 1/3 and that of 1/m^2 is 1/2, so the root mean square is 2^-10 / √6. One that rounds to the nearest is wrong by
    /// half of that. So the bound is five standard deviations of the former, ten of the latter: room for the few
    /// numbers that such a function has, each rounded by itself.
    #[must_use]
    pub fn f16() -> Self {
        Self { abs: Self::LAMBDA * Self::F16_ROUNDOFF, rel: Self::LAMBDA * Self::F16_ROUNDOFF }
    }

    /// The sum of two bounds, for a computation of two parts.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { abs: self.abs + other.abs, rel: self.rel + other.rel }
    }

    /// The absolute part times `scale`, the size of the numbers that are summed.
    #[must_use]
    pub fn scaled(self, scale: f64) -> Self {
        Self { abs: self.abs * scale, rel: self.rel }
    }

    /// How much of the budget the difference uses: 1 is all of it. Infinite where a value is not finite and not the
    /// same.
    #[must_use]
    pub fn share(&self, actual: f64, expected: f64) -> f64 {
        if actual == expected {
            return 0.0;
        }
        let share = (actual - expected).abs() / (self.abs + self.rel * expected.abs());
        if share.is_nan() { f64::INFINITY } else { share }
    }

    /// Whether `actual` is within the bound of `expected`. NaN never is.
    #[must_use]
    pub fn accepts(&self, actual: f64, expected: f64) -> bool {
        self.share(actual, expected) <= 1.0
    }

    /// The worst element of a whole array.
    ///
    /// # Panics
    /// If the two lengths differ: that is a bug of the comparison, not a rounding error.
    #[must_use]
    pub fn compare<A: Copy + Into<f64>, E: Copy + Into<f64>>(&self, actual: &[A], expected: &[E]) -> Comparison {
        assert_eq!(actual.len(), expected.len(), "arrays of different lengths cannot be compared");
        let mut worst = Comparison { index: 0, actual: 0.0, expected: 0.0, share: 0.0, max_error: 0.0 };
        for (index, (&a, &e)) in actual.iter().zip(expected).enumerate() {
            let (a, e) = (a.into(), e.into());
            let share = self.share(a, e);
            let error = if a == e { 0.0 } else { (a - e).abs() };
            worst.max_error = if error.is_nan() { f64::INFINITY } else { worst.max_error.max(error) };
            if share > worst.share || index == 0 {
                worst = Comparison { index, actual: a, expected: e, share, max_error: worst.max_error };
            }
        }
        worst
    }
}

/// The worst element of a comparison.
///
/// ```
/// use wgpu_gru::Tolerance;
/// let worst = Tolerance::EXACT.compare(&[1.0_f32, 2.5], &[1.0_f64, 2.0]);
/// assert_eq!((worst.index, worst.max_error), (1, 0.5));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// Where the largest share of the budget is used.
    pub index: usize,
    /// The value there.
    pub actual: f64,
    /// The reference there.
    pub expected: f64,
    /// The share of the budget used there; over 1 is a failure.
    pub share: f64,
    /// The largest absolute error anywhere.
    pub max_error: f64,
}

impl Comparison {
    /// Whether every element is within the bound. Written so that NaN fails.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.share <= 1.0
    }
}
