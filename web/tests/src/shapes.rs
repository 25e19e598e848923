//! Sizes around the tiles, for both classes of adapters and both schedules.

use wgpu_gru::Schedule;
use wgpu_gru::wgpu::DeviceType;
use wgpu_gru::{GruConfig, RnnConfig, Unroll};

use crate::run::{Outcome, Run, checks};

checks!["shapes": gru, rnn, inference, cuts];

/// T, B, H: one step of some rows; some steps of one row, some, many.
fn sizes() -> impl Iterator<Item = [usize; 3]> {
    const HIDDEN: [usize; 6] = [1, 3, 4, 5, 33, 64];
    [[1, 5], [7, 1], [7, 5], [7, 33]].into_iter().flat_map(|[t, b]| HIDDEN.map(|h| [t, b, h]))
}

/// As it is planned for both classes of adapters, with both schedules.
pub(crate) fn everywhere(unroll: Unroll) -> [Unroll; 4] {
    let planned = |class, schedule| unroll.adapter_class(class).schedule(schedule);
    [
        planned(DeviceType::Cpu, Schedule::PerStep),
        planned(DeviceType::Cpu, Schedule::PerSequence),
        planned(DeviceType::DiscreteGpu, Schedule::PerStep),
        planned(DeviceType::DiscreteGpu, Schedule::PerSequence),
    ]
}

async fn gru(run: &Run) -> Outcome {
    for [t, b, h] in sizes() {
        for unroll in everywhere(Unroll::training(t, b)) {
            run.layer(&GruConfig::new(3, h), unroll).await?;
        }
    }
    Ok(())
}

async fn rnn(run: &Run) -> Outcome {
    for [t, b, h] in sizes() {
        for unroll in everywhere(Unroll::training(t, b)) {
            run.layer(&RnnConfig::new(4, h), unroll).await?;
        }
    }
    Ok(())
}

async fn inference(run: &Run) -> Outcome {
    for [t, b, h] in [[1, 1, 1], [7, 1, 5], [7, 5, 33], [3, 33, 64]] {
        for unroll in everywhere(Unroll::inference(t, b)) {
            run.inference(&GruConfig::new(3, h), unroll).await?;
            run.inference(&RnnConfig::new(4, h), unroll).await?;
        }
    }
    Ok(())
}

/// The other numbers of rows that a workgroup can own.
async fn cuts(run: &Run) -> Outcome {
    for [t, b, h] in [[2, 17, 132], [2, 130, 36]] {
        for unroll in everywhere(Unroll::training(t, b)) {
            run.layer(&GruConfig::new(3, h), unroll).await?;
        }
    }
    Ok(())
}
