//! Forecasts of the held-out months, and how far off they are.

use std::ops::Range;

use crate::baseline::Autoregression;
use crate::data::Series;
use crate::features::{Features, HORIZONS, WINDOW};

/// One solar cycle: about 11 years.
pub(crate) const CYCLE: usize = 131;

/// The months that no model has learned from, as indices into the series.
#[derive(Debug, Clone)]
pub(crate) struct HeldOut {
    pub(crate) months: Range<usize>,
}

impl HeldOut {
    /// The months from which a held-out month is forecast, from 1 to [`HORIZONS`] months ahead.
    pub(crate) fn origins(&self) -> Vec<usize> {
        (self.months.start - HORIZONS..self.months.end - 1).collect()
    }

    /// As many origins as `count`, spread over the training part.
    pub(crate) fn training_origins(&self, count: usize) -> Vec<usize> {
        let (first, last) = (WINDOW - 1, self.months.start - 1 - HORIZONS);
        (0..count).map(|index| first + index * (last - first) / count).collect()
    }
}

/// What one method says of the held-out months.
#[derive(Debug, Clone)]
pub(crate) struct Forecasts {
    pub(crate) name: String,
    first_origin: usize,
    /// `[origins, HORIZONS]`
    counts: Vec<f64>,
}

/// Root mean square error and mean absolute error.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Errors {
    pub(crate) rmse: f64,
    pub(crate) mae: f64,
}

impl Forecasts {
    /// A method that says the count from an origin and the number of months ahead.
    pub(crate) fn new(name: impl Into<String>, held_out: &HeldOut, count: impl Fn(usize, usize) -> f64) -> Self {
        let origins = held_out.origins();
        let counts = origins.iter().flat_map(|&origin| (1..=HORIZONS).map(move |ahead| (origin, ahead)));
        let counts = counts.map(|(origin, ahead)| count(origin, ahead)).collect();
        Self { name: name.into(), first_origin: origins[0], counts }
    }

    /// A method that says the standardised root, from its forecasts `[origins, HORIZONS]` for the held-out months and
    /// for origins in the training part. The count to be expected is larger than the square of the root to be expected,
    /// by the variance of the errors, which the training part tells.
    pub(crate) fn of_roots(
        name: impl Into<String>,
        features: &Features,
        held_out: &HeldOut,
        roots: &[f64],
        (training_origins, training_roots): (&[usize], &[f64]),
    ) -> Self {
        let mut variances = [0.0; HORIZONS];
        for (&origin, roots) in training_origins.iter().zip(training_roots.chunks_exact(HORIZONS)) {
            let truth = &features.standardised[origin + 1..];
            for ((variance, root), &truth) in variances.iter_mut().zip(roots).zip(truth) {
                *variance += (root - f64::from(truth)).powi(2) / training_origins.len() as f64;
            }
        }
        let first = held_out.origins()[0];
        Self::new(name, held_out, |origin, ahead| {
            features.scale.count(roots[(origin - first) * HORIZONS + ahead - 1], variances[ahead - 1])
        })
    }

    /// The forecast of month `target`, made `ahead` months before.
    pub(crate) fn of(&self, target: usize, ahead: usize) -> f64 {
        self.counts[(target - ahead - self.first_origin) * HORIZONS + ahead - 1]
    }

    /// The errors of the forecasts of all held-out months, each made `ahead` months before.
    pub(crate) fn errors(&self, series: &Series, held_out: &HeldOut, ahead: usize) -> Errors {
        let errors = held_out.months.clone().map(|month| self.of(month, ahead) - f64::from(series.values[month]));
        let (squares, sizes) =
            errors.fold((0.0, 0.0), |(squares, sizes), error| (squares + error * error, sizes + error.abs()));
        let months = held_out.months.len() as f64;
        Errors { rmse: (squares / months).sqrt(), mae: sizes / months }
    }
}

/// What the network has to beat: the last value, the last cycle, and two autoregressions.
pub(crate) fn baselines(series: &Series, features: &Features, held_out: &HeldOut) -> Vec<Forecasts> {
    let counts = &series.values;
    let mut list = vec![
        Forecasts::new("persistence", held_out, |origin, _| f64::from(counts[origin])),
        Forecasts::new("last cycle", held_out, |origin, ahead| f64::from(counts[origin + ahead - CYCLE])),
    ];
    let training = &features.standardised[..held_out.months.start];
    // By Akaike's criterion about two years of lags are best; a whole cycle of them forecasts better in fact.
    for order in [24, CYCLE + 1] {
        let Some(model) = Autoregression::fit(training, order) else { continue };
        let from = |origins: &[usize]| -> Vec<f64> {
            origins.iter().flat_map(|&origin| model.forecast(&features.standardised[..=origin], HORIZONS)).collect()
        };
        let spread = held_out.training_origins(500);
        let fit = from(&spread);
        let name = format!("AR({order})");
        list.push(Forecasts::of_roots(name, features, held_out, &from(&held_out.origins()), (&spread, &fit)));
    }
    list
}
