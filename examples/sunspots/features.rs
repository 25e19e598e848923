//! What the network sees of the series, and what it is asked for.

use wgpu_gru::Uniform;

/// Numbers of the network's input: see [`Features::input`].
pub const INPUTS: usize = 3;
/// Forecasts reach this many months ahead; the network gives all of them at once.
pub const HORIZONS: usize = 24;
/// Months of a window.
pub const WINDOW: usize = 160;
/// Months at the begin of a window in which the network listens and is not asked.
pub const WARM_UP: usize = 64;
/// Months of the trailing mean.
const TRAIL: usize = 13;

/// Square roots steady the noise, which grows with the count; then mean 0 and deviation 1 over the training part.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
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

    /// The count that is expected where the standardised root has this mean and variance.
    pub fn count(self, mean: f64, variance: f64) -> f64 {
        let (deviation, middle) = (f64::from(self.deviation), f64::from(self.mean));
        let root = (middle + deviation * mean).max(0.0);
        root * root + deviation * deviation * variance
    }
}

/// The series as the network sees it. Every number of a month is made of that month and months before it alone.
#[derive(Debug, Clone)]
pub struct Features {
    pub scale: Scale,
    roots: Vec<f32>,
    /// Trailing means of the roots.
    level: Vec<f32>,
    fast: Vec<f32>,
    /// Standardised roots.
    pub x: Vec<f32>,
}

fn trailing(roots: &[f32], months: usize) -> Vec<f32> {
    (0..roots.len())
        .map(|t| {
            let past = &roots[(t + 1).saturating_sub(months)..=t];
            past.iter().sum::<f32>() / past.len() as f32
        })
        .collect()
}

impl Features {
    /// The first `training` months set the scale.
    pub fn new(counts: &[f32], training: usize) -> Self {
        let roots: Vec<f32> = counts.iter().map(|count| count.sqrt()).collect();
        let scale = Scale::fit(&roots[..training]);
        let x = roots.iter().map(|&root| scale.apply(root)).collect();
        Self { scale, level: trailing(&roots, TRAIL), fast: trailing(&roots, 4), roots, x }
    }

    /// What the network sees of month `t`, as if all counts were larger by the square of `gain`.
    fn input(&self, t: usize, gain: f32) -> [f32; INPUTS] {
        let level = self.scale.apply(gain * self.level[t]);
        [self.scale.apply(gain * self.roots[t]), self.scale.apply(gain * self.fast[t]), level]
    }

    /// The network gives differences from the level that it sees.
    pub fn base(&self, t: usize, gain: f32) -> f32 {
        self.scale.apply(gain * self.level[t])
    }

    /// The windows that end with each of `origins`, `[WINDOW, origins, INPUTS]`.
    pub fn windows(&self, origins: &[usize]) -> Vec<f32> {
        let mut x = Vec::with_capacity(WINDOW * origins.len() * INPUTS);
        for step in 0..WINDOW {
            for &origin in origins {
                x.extend(self.input(origin + 1 + step - WINDOW, 1.0));
            }
        }
        x
    }

    /// A batch of training windows, drawn at random from the first `training` months, each with a gain of its own: cycles
    /// come in many sizes, and there are few of them. Gives the input `[WINDOW, B, INPUTS]` and what is expected
    /// `[WINDOW - WARM_UP, B, HORIZONS]`.
    pub fn batch(&self, training: usize, random: &mut Uniform, x: &mut Vec<f32>, y: &mut Vec<f32>, batch: usize) {
        let last = training - WINDOW - HORIZONS;
        let rows: Vec<(usize, f32)> = (0..batch)
            .map(|_| {
                let start = (random.next_u64() % (last as u64 + 1)) as usize;
                (start, 1.0 + crate::env("GAIN", 0.25) * random.next_f32())
            })
            .collect();
        x.clear();
        y.clear();
        let noise = crate::env("NOISE", 0.0);
        for step in 0..WINDOW {
            for &(start, gain) in &rows {
                x.extend(self.input(start + step, gain).map(|v| v + noise * random.next_f32()));
            }
        }
        for step in WARM_UP..WINDOW {
            for &(start, gain) in &rows {
                let t = start + step;
                let base = self.base(t, gain);
                y.extend((1..=HORIZONS).map(|ahead| self.scale.apply(gain * self.roots[t + ahead]) - base));
            }
        }
    }
}
