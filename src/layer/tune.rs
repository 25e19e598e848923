//! Which time loop is fastest on this device: measured.

#[cfg(not(target_arch = "wasm32"))]
use std::time::{Duration, Instant};
#[cfg(target_arch = "wasm32")]
use web_time::{Duration, Instant};

use crate::config::Cell;
use crate::error::Result;
use crate::layer::Recurrent;
use crate::plan::{Plan, TimeLoop};
use crate::schedule::Tuning;
use crate::unroll::{Mode, Unroll};

/// Passes of a candidate that are timed at most, after one that is not.
const ROUNDS: usize = 9;

/// Where passes are slow, fewer.
const PATIENCE: Duration = Duration::from_millis(300);

/// Steps of a first round, after which what takes several times as long as the best is left out: on a device whose
/// workgroups do not run at a time an exchange may take seconds.
const FIRST_STEPS: usize = 8;
const FAR_BEHIND: f64 = 3.0;

/// What is gained at least by another choice than that of the rule.
const GAIN: f64 = 0.97;

/// A candidate, and the seconds of its forward and of its backward pass.
type Timed = (TimeLoop, [f64; 2]);

impl<C: Copy + Into<Cell>> Recurrent<C> {
    /// Times, on this device, the ways in which the steps of this layer can be run when it is unrolled like this, and says
    /// which is fastest: for [`Unroll::tuning`], for every layer of these sizes. What the plan would do by itself stays
    /// unless something else is at least 3 % faster. An [`Unroll::schedule`] leaves only the cuts of that to be chosen.
    ///
    /// It makes the layer's buffers again for each of some 3 to 20 candidates, one after the other, submits and waits: do it
    /// once, when nothing else runs, and keep the text of what it gives.
    ///
    /// ```no_run
    /// # fn example(gpu: &wgpu_gru::Gpu, stored: Option<String>) -> wgpu_gru::Result<()> {
    /// use wgpu_gru::{Gru, GruConfig, Unroll};
    /// let (gru, unroll) = (Gru::new(gpu, GruConfig::new(64, 256), 1)?, Unroll::training(128, 32));
    /// // What is kept does not fit after an update of the crate, or on another device: then it is refused, and made anew.
    /// let kept = stored.and_then(|text| gru.unroll(unroll.tuning(text.parse().ok()?)).ok());
    /// let net = match kept {
    ///     Some(net) => net,
    ///     None => gru.unroll(unroll.tuning(gru.tune_blocking(unroll)?))?,
    /// };
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Those of [`unroll`](Self::unroll) and [`Tensor::read`](crate::Tensor::read).
    pub async fn tune(&self, unroll: Unroll) -> Result<Tuning> {
        let unroll = Unroll { tuning: None, ..unroll };
        let candidates = Plan::candidates(&self.config().erased(), &unroll, &self.gpu().target())?;
        let mut timed: Vec<Timed> = candidates.into_iter().map(|candidate| (candidate, [0.0; 2])).collect();
        let first = Some(FIRST_STEPS).filter(|&steps| steps < unroll.seq_len);
        for seq_len in first.into_iter().chain([unroll.seq_len]) {
            if timed.len() > 1 {
                for (candidate, seconds) in &mut timed {
                    *seconds = self.time(Unroll { seq_len, ..unroll.tuning(candidate.tuning()) }).await?;
                }
                leave_out_what_is_far_behind(&mut timed);
            }
        }
        Ok(fastest(&timed).tuning())
    }

    /// [`tune`](Self::tune), blocking this thread.
    ///
    /// # Errors
    /// As [`tune`](Self::tune).
    #[cfg(not(target_arch = "wasm32"))]
    pub fn tune_blocking(&self, unroll: Unroll) -> Result<Tuning> {
        pollster::block_on(self.tune(unroll))
    }

    /// For tests: what [`tune`](Self::tune) times.
    ///
    /// # Errors
    /// As [`tune`](Self::tune).
    #[doc(hidden)]
    pub fn tunings(&self, unroll: Unroll) -> Result<Vec<Tuning>> {
        let candidates = Plan::candidates(&self.config().erased(), &unroll, &self.gpu().target())?;
        Ok(candidates.into_iter().map(TimeLoop::tuning).collect())
    }

    /// Medians of the seconds of a forward pass and of a backward pass, from its submission until it is done.
    async fn time(&self, unroll: Unroll) -> Result<[f64; 2]> {
        let mut net = self.unroll(unroll)?;
        let states = net.h_n().len();
        let one_number = net.h_n().reshape(&[states])?.outer(0..1)?;
        let (begin, mut seconds) = (Instant::now(), [Vec::new(), Vec::new()]);
        for round in 0..=ROUNDS {
            for (backward, seconds) in
                seconds.iter_mut().enumerate().take(1 + usize::from(unroll.mode == Mode::Training))
            {
                let start = Instant::now();
                self.gpu().submit(|encoder| match backward {
                    0 => net.encode_forward(encoder),
                    _ => net.encode_backward(encoder),
                })?;
                one_number.read().await?;
                // The first one may be compiled while it runs.
                if round > 0 {
                    seconds.push(start.elapsed().as_secs_f64());
                }
            }
            if round > 0 && begin.elapsed() > PATIENCE {
                break;
            }
        }
        Ok(seconds.map(median))
    }
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied().unwrap_or(0.0)
}

/// The least seconds of all forward passes, or of all backward passes.
fn least<'a>(timed: impl Iterator<Item = &'a Timed>, backward: usize) -> Option<&'a Timed> {
    timed.min_by(|(_, a), (_, b)| a[backward].total_cmp(&b[backward]))
}

fn leave_out_what_is_far_behind(timed: &mut Vec<Timed>) {
    let bounds = [0, 1].map(|pass| least(timed.iter(), pass).map_or(0.0, |(_, best)| FAR_BEHIND * best[pass]));
    timed.retain(|(_, seconds)| seconds[0] <= bounds[0] || seconds[1] < bounds[1]);
}

/// The best forward and the best backward of a schedule. The first one that was timed, if none is clearly better.
fn fastest(timed: &[Timed]) -> TimeLoop {
    let (first, of_first) = timed[0];
    let (mut best, mut seconds) = (first, GAIN * of_first.iter().sum::<f64>());
    for (candidate, _) in timed {
        let same = || timed.iter().filter(|(other, _)| other.schedule() == candidate.schedule());
        let (Some(forward), Some(backward)) = (least(same(), 0), least(same(), 1)) else { continue };
        let sum = forward.1[0] + backward.1[1];
        if let (Some(both), true) = (forward.0.with(&backward.0), sum < seconds) {
            (best, seconds) = (both, sum);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::{Timed, fastest, leave_out_what_is_far_behind};
    use crate::config::GruConfig;
    use crate::plan::Plan;
    use crate::schedule::Schedule;
    use crate::target::Target;
    use crate::unroll::Unroll;

    /// Some candidates of single steps, then some by rows, with these seconds.
    fn timed(step: &[[f64; 2]], rows: &[[f64; 2]]) -> Vec<Timed> {
        let target = Target::new(&wgpu::Limits::default(), wgpu::DeviceType::DiscreteGpu);
        let config = GruConfig::new(4, 24).erased();
        let mut all = Vec::new();
        for (schedule, seconds) in [(Schedule::Step, step), (Schedule::Rows, rows)] {
            let unroll = Unroll::training(9, 16).schedule(schedule);
            let candidates = Plan::candidates(&config, &unroll, &target).expect("it fits");
            assert!(candidates.len() >= seconds.len(), "{schedule:?}: {}", candidates.len());
            all.extend(candidates.into_iter().zip(seconds.iter().copied()));
        }
        all
    }

    /// Forward and backward are of two candidates, but of one schedule.
    #[test]
    fn the_best_of_each_pass() {
        let all = timed(&[[5.0, 9.0], [2.0, 9.0], [9.0, 3.0]], &[[1.0, 7.0], [7.0, 1.0], [4.0, 4.0]]);
        assert_eq!(Some(fastest(&all)), all[3].0.with(&all[4].0), "1 + 1 by rows");
        let all = timed(&[[5.0, 9.0], [2.0, 9.0], [9.0, 3.0]], &[[1.0, 7.0], [1.5, 8.0]]);
        assert_eq!(Some(fastest(&all)), all[1].0.with(&all[2].0), "2 + 3 by steps, not 1 + 3");
        let inference = timed(&[[5.0, 0.0]], &[[4.0, 0.0], [3.0, 0.0]]);
        assert_eq!(fastest(&inference).schedule(), Schedule::Rows, "{inference:?}");
    }

    /// A choice that is hardly better may be noise.
    #[test]
    fn what_the_plan_does_anyhow_stays() {
        let all = timed(&[[1.0, 1.0], [0.99, 0.99]], &[[0.98, 0.99]]);
        assert_eq!(fastest(&all), all[0].0);
    }

    /// What is good at one pass stays.
    #[test]
    fn far_behind() {
        let mut all = timed(&[[1.0, 5.0], [3.1, 15.1]], &[[2.9, 99.0]]);
        leave_out_what_is_far_behind(&mut all);
        assert_eq!(all.len(), 2, "far behind in both passes");
        let mut inference = timed(&[[1.0, 0.0], [3.1, 0.0]], &[[2.9, 0.0]]);
        leave_out_what_is_far_behind(&mut inference);
        assert_eq!(inference.len(), 2, "no backward pass");
    }
}
