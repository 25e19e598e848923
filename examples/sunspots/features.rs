//! What the network sees of the series, and what it is asked for.

use wgpu_gru::rng::SplitMix64;

/// Features of a month: see [`Features::input`].
pub(crate) const INPUTS: usize = 3;
/// Forecasts reach this many months ahead; the network gives all of them at once.
pub(crate) const HORIZONS: usize = 24;
/// Months that the network sees before it is asked for a forecast: more than a cycle.
pub(crate) const WINDOW: usize = 160;
/// Months at the begin of a training window in which the network only listens.
pub(crate) const WARM_UP: usize = 64;

/// Months of the slow and the fast trailing mean.
const SLOW: usize = 13;
const FAST: usize = 4;
/// How much larger or smaller the square roots of a training window may be made.
const GAIN: f32 = 0.4;

/// Square roots even out the noise, which grows with the count. Then mean 0 and deviation 1 over the training part.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    mean: f32,
    deviation: f32,
}

impl Scale {
    fn fit(roots: &[f32]) -> Self {
        let mean = roots.iter().sum::<f32>() / roots.len() as f32;
        let variance = roots.iter().map(|root| (root - mean).powi(2)).sum::<f32>() / roots.len() as f32;
        Self { mean, deviation: variance.sqrt() }
    }

    fn apply(self, root: f32) -> f32 {
        (root - self.mean) / self.deviation
    }

    /// The count to be expected where the standardised root has this mean and this variance.
    pub(crate) fn count(self, mean: f64, variance: f64) -> f64 {
        let deviation = f64::from(self.deviation);
        let root = (f64::from(self.mean) + deviation * mean).max(0.0);
        root * root + deviation * deviation * variance
    }
}

/// The series as the network sees it. What it sees of a month is made of that month and months before it alone.
#[derive(Debug, Clone)]
pub(crate) struct Features {
    /// From standardised roots to counts.
    pub(crate) scale: Scale,
    /// The standardised roots.
    pub(crate) standardised: Vec<f32>,
    roots: Vec<f32>,
    slow: Vec<f32>,
    fast: Vec<f32>,
}

impl Features {
    /// The first `training` months alone set the scale.
    pub(crate) fn new(counts: &[f32], training: usize) -> Self {
        let roots: Vec<f32> = counts.iter().map(|count| count.sqrt()).collect();
        let scale = Scale::fit(&roots[..training]);
        let standardised = roots.iter().map(|&root| scale.apply(root)).collect();
        Self { scale, standardised, slow: trailing_mean(&roots, SLOW), fast: trailing_mean(&roots, FAST), roots }
    }

    /// What the network sees of month `t`, as if all square roots were `gain` times as large.
    pub(crate) fn input(&self, t: usize, gain: f32) -> [f32; INPUTS] {
        [self.roots[t], self.fast[t], self.slow[t]].map(|root| self.scale.apply(gain * root))
    }

    /// The slow mean at month `t`. What the network gives is the difference from it.
    pub(crate) fn level(&self, t: usize, gain: f32) -> f32 {
        self.scale.apply(gain * self.slow[t])
    }

    /// The windows that end with each of `origins`, `[WINDOW, origins, INPUTS]`.
    pub(crate) fn windows(&self, origins: &[usize]) -> Vec<f32> {
        let mut x = Vec::with_capacity(WINDOW * origins.len() * INPUTS);
        for step in 0..WINDOW {
            x.extend(origins.iter().flat_map(|&origin| self.input(origin + 1 + step - WINDOW, 1.0)));
        }
        x
    }

    /// Draws `rows` windows from the first `training` months, what they are asked for included. Each gets a gain of its
    /// own: cycles come in many sizes, and there are few of them. Fills the input `[WINDOW, rows, INPUTS]` and what is
    /// expected `[WINDOW - WARM_UP, rows, HORIZONS]`.
    pub(crate) fn batch(
        &self,
        training: usize,
        rows: usize,
        random: &mut SplitMix64,
        x: &mut Vec<f32>,
        y: &mut Vec<f32>,
    ) {
        let starts = training - WINDOW - HORIZONS + 1;
        let rows: Vec<(usize, f32)> =
            (0..rows).map(|_| ((random.next_u64() % starts as u64) as usize, 1.0 + GAIN * random.next_f32())).collect();
        x.clear();
        y.clear();
        for step in 0..WINDOW {
            x.extend(rows.iter().flat_map(|&(start, gain)| self.input(start + step, gain)));
        }
        for step in WARM_UP..WINDOW {
            for &(start, gain) in &rows {
                let (now, level) = (start + step, self.level(start + step, gain));
                let ahead = &self.roots[now + 1..=now + HORIZONS];
                y.extend(ahead.iter().map(|root| self.scale.apply(gain * root) - level));
            }
        }
    }
}

/// The mean of each number and those before it, `months` in all, or as many as there are.
fn trailing_mean(values: &[f32], months: usize) -> Vec<f32> {
    let mean = |past: &[f32]| past.iter().sum::<f32>() / past.len() as f32;
    (0..values.len()).map(|t| mean(&values[(t + 1).saturating_sub(months)..=t])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Change everything after a month: what is seen at that month, and every training batch before it, stays.
    #[test]
    fn nothing_is_known_of_the_future() {
        let now = 600;
        let past: Vec<f32> = (0..800).map(|t| 50.0 + 40.0 * (t as f32 * 0.048).sin()).collect();
        let mut other = past.clone();
        other[now + 1..].fill(1e6);
        let [a, b] = [past, other].map(|counts| Features::new(&counts, now + 1));
        assert_eq!(a.windows(&[now - 7, now]), b.windows(&[now - 7, now]), "windows");
        assert_eq!(a.level(now, 1.0), b.level(now, 1.0), "level");
        let batch = |features: &Features| {
            let (mut x, mut y) = (Vec::new(), Vec::new());
            features.batch(now + 1, 500, &mut SplitMix64::new(3), &mut x, &mut y);
            (x, y)
        };
        assert_eq!(batch(&a), batch(&b), "training batches");
    }
}
