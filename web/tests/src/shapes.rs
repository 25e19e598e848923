//! Sizes around the tiles, for both classes of adapters and both schedules.

use wgpu_gru::{GruConfig, RnnConfig, Schedule, Unroll};

use crate::checks::{Outcome, check, check_inference, everywhere};
use crate::run::{Run, browser_checks};

browser_checks![gru, rnn, inference, cuts];

/// T, B, H: one step of some rows; some steps of one row, some, many.
fn sizes() -> impl Iterator<Item = [usize; 3]> {
    const HIDDEN: [usize; 6] = [1, 3, 4, 5, 33, 64];
    [[1, 5], [7, 1], [7, 5], [7, 33]].into_iter().flat_map(|[t, b]| HIDDEN.map(|h| [t, b, h]))
}

async fn gru(run: &Run) -> Outcome {
    for [t, b, h] in sizes() {
        for unroll in everywhere(Unroll::training(t, b)) {
            check(run.gpu(), &GruConfig::new(3, h), unroll).await?;
        }
    }
    Ok(())
}

async fn rnn(run: &Run) -> Outcome {
    for [t, b, h] in sizes() {
        for unroll in everywhere(Unroll::training(t, b)) {
            check(run.gpu(), &RnnConfig::new(4, h), unroll).await?;
        }
    }
    Ok(())
}

async fn inference(run: &Run) -> Outcome {
    for [t, b, h] in [[1, 1, 1], [7, 1, 5], [7, 5, 33], [3, 33, 64]] {
        for unroll in everywhere(Unroll::inference(t, b)) {
            check_inference(run.gpu(), &GruConfig::new(3, h), unroll).await?;
            check_inference(run.gpu(), &RnnConfig::new(4, h), unroll).await?;
        }
    }
    Ok(())
}

/// The other numbers of rows that a workgroup can own; and more units than a GPU takes by rows.
async fn cuts(run: &Run) -> Outcome {
    for [t, b, h] in [[2, 17, 132], [2, 130, 36], [2, 260, 12]] {
        let possible = |unroll: &Unroll| h <= 128 || unroll.schedule == Some(Schedule::Step);
        for unroll in everywhere(Unroll::training(t, b)).into_iter().filter(possible) {
            check(run.gpu(), &GruConfig::new(3, h), unroll).await?;
        }
    }
    Ok(())
}
