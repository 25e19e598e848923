//! How the time loop is laid out: one dispatch a step or many steps a dispatch, and how a workgroup is cut.

use wgpu::DeviceType;

use super::feasible::{check_schedule, no_loop_in_a_dispatch};
use crate::config::Config;
use crate::error::Result;
use crate::target::{Target, at_most};
use crate::unroll::{Schedule, Unroll};

/// How a workgroup of a step is cut: LANES by SPLIT invocations, over ROWS rows of the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cut {
    /// Lanes, each of which owns one unit forward and four units backward.
    pub lanes: u32,
    /// Slices of the products of a lane.
    pub split: u32,
    /// Rows of the batch: 1, 4 or 8.
    pub rows: u32,
    /// Four numbers a load where H is a multiple of 4.
    pub vec4: bool,
}

impl Cut {
    /// Bytes of workgroup memory, for so many sums an invocation and row.
    fn memory(self, sums: u32) -> u64 {
        u64::from(self.lanes * self.split * sums * self.rows) * 4
    }
}

/// The time loop of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeLoop {
    /// One dispatch a step, or many steps a dispatch.
    pub schedule: Schedule,
    /// Steps of a dispatch at most: 1 with [`Schedule::PerStep`].
    pub steps: usize,
    /// The cut of the steps forward.
    pub forward: Cut,
    /// The cut of the steps backward.
    pub backward: Cut,
}

/// Sums that an invocation has for a row: the products of the gates forward, four units backward.
const FORWARD_SUMS: u32 = 3;
const BACKWARD_SUMS: u32 = 4;

/// FLOPs of a dispatch at most, so that none runs long enough for a watchdog: a slow GPU takes some tenths of a second.
const DISPATCH_FLOPS: u64 = 1 << 31;

/// Up to this hidden size a GPU walks over time in one workgroup: its weights then lie in the first caches.
const GPU_SEQUENCE_HIDDEN: usize = 128;

/// Up to this B H^2 one core makes a step of a software rasteriser sooner than a launch for two.
const CPU_SEQUENCE_SIZE: usize = 128 * 128;

/// From this many steps on what launches take is more than what the longer compilation takes.
const CPU_SEQUENCE_STEPS: usize = 16;

impl TimeLoop {
    /// The choice for a layer on an adapter. `benches/RECORD.md` holds what was measured.
    pub(super) fn new(config: &Config, unroll: &Unroll, target: &Target) -> Result<Self> {
        check_schedule(config, unroll)?;
        let (batch, hidden) = (unroll.batch, config.hidden_size);
        let (device, limits) = (target.class, &target.limits);
        let best = || Self::best_schedule(config, unroll, device);
        let schedule = unroll.schedule.unwrap_or_else(best);
        let time_loop = Self::cut(schedule, batch, hidden, config.cell().gates(), device);
        for (what, cut, sums) in
            [("a step", time_loop.forward, FORWARD_SUMS), ("a step backward", time_loop.backward, BACKWARD_SUMS)]
        {
            let invocations = u64::from(cut.lanes * cut.split);
            for (limit, required, available) in [
                ("max_compute_invocations_per_workgroup", invocations, limits.max_compute_invocations_per_workgroup),
                ("max_compute_workgroup_size_x", u64::from(cut.lanes), limits.max_compute_workgroup_size_x),
                ("max_compute_workgroup_size_y", u64::from(cut.split), limits.max_compute_workgroup_size_y),
                ("max_compute_workgroup_storage_size", cut.memory(sums), limits.max_compute_workgroup_storage_size),
            ] {
                at_most(what, limit, required, u64::from(available))?;
            }
        }
        Ok(time_loop)
    }

    /// The time loop of a schedule, for a GRU (3 gates) or a plain RNN (1).
    #[must_use]
    pub fn cut(schedule: Schedule, batch: usize, hidden: usize, gates: usize, device: DeviceType) -> Self {
        let steps = match schedule {
            Schedule::PerStep => 1,
            Schedule::PerSequence => {
                let flops =
                    [batch, gates, hidden, hidden].iter().fold(2_u64, |flops, &size| flops.saturating_mul(size as u64));
                usize::try_from(DISPATCH_FLOPS / flops.max(1)).unwrap_or(usize::MAX).max(1)
            }
        };
        let [forward, backward] = if device == DeviceType::Cpu {
            [Self::software_cut(schedule, batch, hidden); 2]
        } else {
            [1, 4].map(|units| Self::gpu_cut(schedule, batch, hidden, units))
        };
        Self { schedule, steps, forward, backward }
    }

    fn best_schedule(config: &Config, unroll: &Unroll, device: DeviceType) -> Schedule {
        let (hidden, Unroll { batch, seq_len, .. }) = (config.hidden_size, *unroll);
        let small = if device == DeviceType::Cpu {
            batch.saturating_mul(hidden.saturating_mul(hidden)) <= CPU_SEQUENCE_SIZE && seq_len >= CPU_SEQUENCE_STEPS
        } else {
            hidden <= GPU_SEQUENCE_HIDDEN
        };
        if small && seq_len > 1 && no_loop_in_a_dispatch(config).is_none() {
            Schedule::PerSequence
        } else {
            Schedule::PerStep
        }
    }

    /// A software rasteriser runs 8 invocations as the lanes of one vector. It loads lane by lane, so every load costs,
    /// and is compiled for each lane: loads of four and many rows pay off where a product is long.
    fn software_cut(schedule: Schedule, batch: usize, hidden: usize) -> Cut {
        let long = hidden >= 128;
        let rows = match batch {
            1 => 1,
            16.. if long => 8,
            _ => 4,
        };
        Cut { lanes: 8, split: 1, rows, vec4: long || schedule == Schedule::PerSequence }
    }

    /// As many invocations as there are units to fill them with; slices where the batch is too small to fill a GPU.
    fn gpu_cut(schedule: Schedule, batch: usize, hidden: usize, units: usize) -> Cut {
        let rows = match (schedule, batch) {
            (_, 1) => 1,
            (Schedule::PerSequence, 2..=64) => 1,
            (Schedule::PerSequence, _) | (_, 2..=127) => 4,
            (_, _) => 8,
        };
        // Invocations of a workgroup at most, by its memory (16 KiB), which slices fill.
        let most = match rows {
            1 => 256,
            4 if units == 1 => 256,
            8 if units == 4 => 64,
            _ => 128,
        };
        let lanes = match schedule {
            Schedule::PerStep => 32,
            Schedule::PerSequence => hidden.div_ceil(units).min(128).next_power_of_two().max(8) as u32,
        };
        // Every slice has at least two fours of the products.
        let slices = (hidden / 8).clamp(1, 16).next_power_of_two() as u32;
        Cut { lanes, split: (most / lanes).min(slices).clamp(1, 16), rows, vec4: true }
    }

    /// Dispatches of so many steps forward.
    pub(crate) fn dispatches(&self, steps: usize) -> usize {
        steps.div_ceil(self.steps)
    }

    /// Dispatches of so many steps backward, with the last product.
    pub(crate) fn backward_dispatches(&self, steps: usize) -> usize {
        match self.schedule {
            Schedule::PerStep => steps + 1,
            Schedule::PerSequence => self.dispatches(steps),
        }
    }

    /// Workgroups of a dispatch of steps forward over so many cells: a lane owns one unit.
    pub(crate) fn forward_workgroups(&self, batch: usize, hidden: usize, cells: usize) -> [u32; 3] {
        self.workgroups(self.forward, 1, [batch, hidden, cells])
    }

    /// The same backward: a lane owns four units.
    pub(crate) fn backward_workgroups(&self, batch: usize, hidden: usize, cells: usize) -> [u32; 3] {
        self.workgroups(self.backward, 4, [batch, hidden, cells])
    }

    /// How many sums of squares of d_h a step of a cell has: one per workgroup.
    pub(crate) fn groups(&self, batch: usize, hidden: usize) -> usize {
        let [columns, rows, _] = self.backward_workgroups(batch, hidden, 1);
        (columns as usize).saturating_mul(rows as usize)
    }

    fn workgroups(&self, cut: Cut, units: usize, [batch, hidden, cells]: [usize; 3]) -> [u32; 3] {
        let columns = match self.schedule {
            Schedule::PerStep => hidden.div_ceil(cut.lanes as usize * units),
            Schedule::PerSequence => 1,
        };
        [columns as u32, batch.div_ceil(cut.rows as usize) as u32, cells as u32]
    }
}
