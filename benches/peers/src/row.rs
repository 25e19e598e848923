//! What was measured of one contestant, and what a list of times says.

use serde::{Deserialize, Serialize};

use crate::case::Pass;
use crate::reference::Reference;

/// One contestant in one pass over one size.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) contestant: String,
    pub(crate) size: String,
    pub(crate) pass: Pass,
    /// Milliseconds a run, one figure a round.
    pub(crate) rounds_ms: Vec<f64>,
    /// Of the run that was checked: it may have compiled and tuned.
    #[serde(default)]
    pub(crate) first_call_ms: Option<f64>,
    /// The largest share of the error budget that any element uses; 1 is all of it.
    #[serde(default)]
    pub(crate) budget_used: Option<f64>,
    #[serde(default)]
    pub(crate) note: Option<String>,
    /// For rows of another process: numbers to be checked here, and how much larger than that of f32 their budget is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    probes: Vec<Probe>,
    #[serde(default)]
    budget_scale: Option<f64>,
}

/// Every `stride`-th element of a tensor.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Probe {
    tensor: String,
    stride: usize,
    values: Vec<f64>,
}

/// The time to the first result.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FirstResult {
    pub(crate) contestant: String,
    pub(crate) size: String,
    pub(crate) pass: Pass,
    pub(crate) ms: Vec<f64>,
    /// Why there are no more. Who has a note is not let into the process of the others.
    pub(crate) note: Option<String>,
}

impl FirstResult {
    pub(crate) fn new(contestant: &str, size: &str, pass: Pass) -> Self {
        Self { contestant: contestant.into(), size: size.into(), pass, ms: Vec::new(), note: None }
    }
}

impl Row {
    pub(crate) fn new(contestant: &str, size: &str, pass: Pass) -> Self {
        Self {
            contestant: contestant.into(),
            size: size.into(),
            pass,
            rounds_ms: Vec::new(),
            first_call_ms: None,
            budget_used: None,
            note: None,
            probes: Vec::new(),
            budget_scale: None,
        }
    }

    /// Checks the probes of a row that came from another process; a row that is wrong loses its figures.
    pub(crate) fn check(&mut self, reference: &Reference) {
        let scale = self.budget_scale.unwrap_or(1.0);
        let result = self.probes.iter().try_fold(0.0, |most: f64, probe| {
            anyhow::Ok(most.max(reference.check(&probe.tensor, probe.stride.max(1), &probe.values, scale)?))
        });
        match result {
            // Of another run of this bench, which has checked it.
            Ok(_) if self.probes.is_empty() && self.budget_used.is_some() => {}
            Ok(_) if self.probes.is_empty() => self.note = Some("not checked".into()),
            Ok(share) => self.budget_used = Some(share),
            Err(error) => {
                self.note = Some(format!("failed: {error:#}"));
                self.rounds_ms.clear();
            }
        }
        self.probes.clear();
    }
}

/// Median, quartiles and ends of some figures.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) first: f64,
    pub(crate) median: f64,
    pub(crate) third: f64,
    pub(crate) most: f64,
}

impl Spread {
    pub(crate) fn of(figures: &[f64]) -> Option<Self> {
        let mut sorted = figures.to_vec();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        let at = |share: f64| {
            let place = share * last as f64;
            let below = place.floor() as usize;
            sorted[below] + (sorted[(below + 1).min(last)] - sorted[below]) * place.fract()
        };
        Some(Self { least: sorted[0], first: at(0.25), median: at(0.5), third: at(0.75), most: sorted[last] })
    }
}

/// Three digits.
pub(crate) fn digits(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value if value >= 1.0 => format!("{value:.2}"),
        value => format!("{value:.3}"),
    }
}
