//! Two passes side by side.

use std::time::{Duration, Instant};

use wgpu_gru::verify::{Batch, FiniteCheck, verify_batch};
use wgpu_gru::{Gpu, Gru, GruConfig, Mode, Result, Unroll, Unrolled};

use crate::support::is_quick;

pub(crate) const HEAD: &str = "
### one thing changed

Milliseconds of a pass until the GPU is done, medians. `ratio` is the median over the rounds of the one over the other: under 1
the thing that is named makes it faster.

| what | T, B, I, H | pass | with | without | ratio | quartiles |
|---|---|---|---|---|---|---|
";

/// A pass that was verified.
pub(crate) struct Pass {
    gru: Gru,
    net: Unrolled,
    check: Option<FiniteCheck>,
}

impl Pass {
    pub(crate) fn new(gpu: &Gpu, (config, unroll): (GruConfig, Unroll)) -> Result<Self> {
        let gru = Gru::new(gpu, config.clone(), 1)?;
        let batch = Batch::random(&config, unroll.seq_len, unroll.batch, 2);
        if unroll.mode == Mode::Training {
            let mut net = gru.unroll(unroll)?;
            pollster::block_on(verify_batch(&gru, &mut net, &batch))?;
            return Ok(Self { gru, net, check: None });
        }
        let net = gru.unroll(unroll)?;
        net.input().write(&batch.x)?;
        net.h0().write(&batch.h0)?;
        let mut pass = Self { gru, net, check: None };
        pass.time(1)?;
        let weights = pollster::block_on(pass.gru.read_weights())?;
        let expected = wgpu_gru::verify::expectation_of(&config, &unroll, &weights, &batch);
        let worst = expected[0].tolerance.compare(&pass.net.output().read_blocking()?, &expected[0].values);
        assert!(worst.passed(), "{unroll:?}: {worst:?}");
        Ok(pass)
    }

    /// The same with a look at every number that it leaves.
    pub(crate) fn checked(self) -> Result<Self> {
        let check = Some(self.net.finite_check()?);
        Ok(Self { check, ..self })
    }

    /// Seconds of a pass, until the GPU is done.
    fn time(&mut self, passes: u32) -> Result<f64> {
        let begin = Instant::now();
        for _ in 0..passes {
            let Self { net, check, gru } = self;
            gru.gpu().submit(|encoder| {
                net.encode_forward(encoder)?;
                if net.unroll().mode == Mode::Training {
                    net.encode_backward(encoder)?;
                }
                if let Some(check) = check {
                    check.encode(encoder);
                }
                Ok(())
            })?;
        }
        self.gru.gpu().wait_blocking()?;
        Ok(begin.elapsed().as_secs_f64() / f64::from(passes))
    }
}

/// A row of the table.
pub(crate) fn compare(what: &str, mut with: Pass, mut without: Pass) -> Result<String> {
    let least = Duration::from_millis(if is_quick() { 5 } else { 40 }).as_secs_f64();
    let passes = [&mut with, &mut without].map(|pass| Ok((least / pass.time(1)?).ceil().clamp(1.0, 1e4) as u32));
    let [many, few]: [Result<u32>; 2] = passes;
    let (many, few) = (many?, few?);
    let (mut times, mut others, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..if is_quick() { 3 } else { 11 } {
        // Each round begins with another one.
        let (time, other) = if round % 2 == 0 {
            let time = with.time(many)?;
            (time, without.time(few)?)
        } else {
            let other = without.time(few)?;
            (with.time(many)?, other)
        };
        times.push(time);
        others.push(other);
        ratios.push(time / other);
    }
    let at = |figures: &mut Vec<f64>, quarter: usize| {
        figures.sort_by(f64::total_cmp);
        figures[(figures.len() - 1) * quarter / 4]
    };
    let (config, unroll) = (with.net.config(), with.net.unroll());
    let pass = if unroll.mode == Mode::Training { "training" } else { "forward" };
    Ok(format!(
        "| {what} | {}, {}, {}, {} | {pass} | {:.3} | {:.3} | {:.2} | {:.2} to {:.2} |\n",
        unroll.seq_len,
        unroll.batch,
        config.input_size,
        config.hidden_size,
        1e3 * at(&mut times, 2),
        1e3 * at(&mut others, 2),
        at(&mut ratios, 2),
        at(&mut ratios, 1),
        at(&mut ratios, 3),
    ))
}
