//! Steps whose workgroups meet. What they exchange needs `@coherent` in the language of wgpu, which WebGPU does not have; without it
//! they are right on an adapter that is a CPU, whose memory is one.

use wgpu_gru::plan::Schedule;
use wgpu_gru::wgpu::DeviceType;
use wgpu_gru::{Direction, GruConfig, RnnConfig, Saved, Unroll, harness, wgpu};

use crate::checks::{Outcome, check, check_lengths};
use crate::run::{Run, browser_checks, open};

browser_checks![layers];

/// The name of this module among the checks, which are left out where the adapter is none; the last check names the kernels.
pub(crate) const MODULE: &str = "resident";

/// On a device of its own: its training has one buffer more than WebGPU's default limits allow.
async fn layers(run: &Run) -> Outcome {
    let limits = wgpu::Limits { max_storage_buffers_per_shader_stage: 9, ..wgpu::Limits::default() };
    let own = Run::new(open(limits).await?, run.beyond());
    harness::assume_coherent_memory(own.gpu());
    run.note(own.check(against_the_oracle(&own)).await?);
    run.also_made(own.gpu());
    Ok(())
}

async fn against_the_oracle(run: &Run) -> Outcome {
    for class in [DeviceType::Cpu, DeviceType::DiscreteGpu] {
        // One workgroup, which always goes on; two, forward and backward, many times; and more than there are cores.
        for [steps, batch, hidden] in [[7, 1, 4], [200, 1, 16], [200, 1, 64], [7, 9, 132]] {
            let unroll = Unroll::training(steps, batch).schedule(Schedule::Resident).adapter_class(class);
            check(run.gpu(), &GruConfig::new(5, hidden), unroll).await?;
            let config = RnnConfig::new(5, hidden).direction(Direction::Reverse);
            check(run.gpu(), &config, unroll.saved(Saved::StatesOnly)).await?;
        }
    }
    let unroll = Unroll::training(9, 3).schedule(Schedule::Resident);
    check_lengths(run.gpu(), &GruConfig::new(5, 8).direction(Direction::Bidirectional), unroll, &[9, 0, 4]).await?;
    Ok(())
}
