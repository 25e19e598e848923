//! What is right: the f64 oracle of wgpu-gru, or its CPU layer where the oracle would take minutes.

use anyhow::{Context, Result, bail};
use wgpu_gru::cpu::CpuGru;
use wgpu_gru::reference::oracle::widen;
use wgpu_gru::verify::{Expectation, expectation};
use wgpu_gru::{CellWeights, Tolerance};

use crate::case::{Case, Pass};

/// FLOPs of a training step up to which the oracle, at some 1 GFLOP/s, is asked.
pub(crate) const ORACLE_FLOPS: u64 = 10_000_000_000;

/// The right numbers of a case with their error budgets: h_n and the gradients of the weights.
#[derive(Debug)]
pub(crate) struct Reference {
    expectations: Vec<Expectation>,
    /// Who says so.
    pub(crate) by: &'static str,
}

impl Reference {
    /// Asks the oracle up to so many FLOPs of a training step.
    pub(crate) fn new(case: &Case, oracle_flops: u64) -> Result<Self> {
        if case.flops(Pass::Training)? <= oracle_flops {
            let expectations = expectation(&case.config, &case.weights, &case.batch);
            return Ok(Self { expectations, by: "f64 oracle" });
        }
        let mut cpu = CpuGru::new(case.config.clone(), &case.weights)?.unroll(case.unroll(Pass::Training))?;
        let batch = &case.batch;
        cpu.forward(&batch.x, Some(&batch.h0))?;
        cpu.backward(Some(&batch.d_output), None)?;
        let size = case.size;
        let time = Tolerance::through_time(size.inputs + size.units, size.steps);
        let sums = time
            .plus(Tolerance::through_time(3 * size.units, size.steps))
            .plus(Tolerance::matmul(size.steps * size.rows));
        let expect = |tensor: &str, values: &[f32], tolerance: Tolerance| {
            let most = values.iter().fold(1.0_f64, |most, &value| most.max(f64::from(value).abs()));
            // Both sides round.
            Expectation { tensor: tensor.into(), values: widen(values), tolerance: tolerance.scaled(2.0 * most) }
        };
        let mut expectations = vec![expect("h_n", cpu.h_n(), time)];
        for (name, values) in named(&cpu.gradients().weights) {
            expectations.push(expect(&name, values, sums));
        }
        Ok(Self { expectations, by: "wgpu-gru's CPU layer" })
    }

    /// The largest share of the error budget that h_n uses. Over 1, or NaN, is an error.
    pub(crate) fn check_state(&self, h_n: &[f32]) -> Result<f64> {
        self.check("h_n", 1, h_n, 1.0)
    }

    /// The largest share of the error budget that any gradient of the weights uses.
    pub(crate) fn check_gradients(&self, gradients: &CellWeights) -> Result<f64> {
        named(gradients).try_fold(0.0, |most: f64, (name, values)| Ok(most.max(self.check(&name, 1, values, 1.0)?)))
    }

    /// Every `stride`-th element of a tensor, from the first on; the budget is `scale` times as large as that of f32.
    pub(crate) fn check<V: Copy + Into<f64>>(
        &self,
        tensor: &str,
        stride: usize,
        values: &[V],
        scale: f64,
    ) -> Result<f64> {
        let expected = self.expectations.iter().find(|expected| expected.tensor == tensor);
        let expected = expected.with_context(|| format!("nothing is known of a tensor {tensor}"))?;
        let right: Vec<f64> = expected.values.iter().step_by(stride).copied().collect();
        if right.len() != values.len() {
            bail!("{tensor} has {} elements instead of {}", values.len(), right.len());
        }
        let Tolerance { abs, rel } = expected.tolerance;
        let worst = Tolerance { abs: abs * scale, rel: rel * scale }.compare(values, &right);
        if !worst.passed() {
            bail!("{tensor} is wrong: {worst:?}");
        }
        Ok(worst.share)
    }
}

/// The gradients of the weights with the names that [`Expectation`] has.
fn named(gradients: &CellWeights) -> impl Iterator<Item = (String, &[f32])> {
    CellWeights::NAMES.into_iter().zip(gradients.arrays()).map(|(name, values)| (format!("d_{name}_l0"), values))
}
