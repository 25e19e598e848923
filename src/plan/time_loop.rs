//! How the time loop is laid out: which schedule, and how its workgroups are cut.

use wgpu::{DeviceType, Limits};

use super::cuts::{Cut, ExchangeCut, RowsCut};
use super::feasible::{check_schedule, no_exchange};
use crate::config::{Cell, Config, Reset};
use crate::error::Result;
use crate::target::{INDICES, Target, at_most, bytes};
use crate::unroll::{Schedule, Unroll};

/// The time loop of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimeLoop {
    /// [`Schedule::Step`].
    Step {
        /// The cut of the steps forward.
        forward: Cut,
        /// The cut of the steps backward.
        backward: Cut,
    },
    /// [`Schedule::Rows`].
    Rows {
        /// Steps of a dispatch at most.
        steps: usize,
        /// The cut of the steps forward.
        forward: RowsCut,
        /// The cut of the steps backward.
        backward: RowsCut,
    },
    /// [`Schedule::Exchange`].
    Exchange {
        /// Steps of a dispatch at most.
        steps: usize,
        /// The cut of the steps forward.
        forward: ExchangeCut,
        /// The cut of the steps backward.
        backward: ExchangeCut,
    },
}

/// Why a layer is not run by a schedule that would be chosen for it, if it could be had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct WhyNot {
    pub(super) rows: Option<&'static str>,
    pub(super) exchange: Option<&'static str>,
}

/// Sums that an invocation has for a row: the products of the gates forward, four units backward.
const FORWARD_SUMS: u32 = 3;
const BACKWARD_SUMS: u32 = 4;

/// FLOPs of a dispatch at most, so that none runs long enough for a watchdog: a slow GPU takes some tenths of a second.
const DISPATCH_FLOPS: u64 = 1 << 31;

/// Weights of 32 bits that an invocation keeps in registers at most. An NVIDIA GPU has 255 registers for each; of other
/// GPUs nobody has measured it yet.
const REGISTERS: usize = 192;

/// Weights of 32 bits that a workgroup keeps in registers at most: of the 65,536 registers of a multiprocessor three
/// quarters.
const WORKGROUP_REGISTERS: usize = 49_152;

/// From more rows of the batch on than this a GPU's workgroups own several.
const MANY_ROWS: usize = 256;

/// Workgroups of 256 invocations that are taken to run at a time on a device where nobody has looked.
const UNKNOWN_RESIDENT: u32 = 64;

/// Rows of the batch that a workgroup by exchange owns at most.
const MOST_EXCHANGE_ROWS: usize = 32;

/// On a software rasteriser steps by rows win at every size that was measured. Up to this H: for larger ones its compiler
/// takes seconds.
const CPU_ROWS_HIDDEN: usize = 160;

/// From this many steps on: for fewer it is worth more that layers of any H share the kernels of single steps.
const CPU_ROWS_STEPS: usize = 16;

/// FLOPs of a dispatch by exchange at most, which takes a fast GPU some hundredths of a second.
const EXCHANGE_FLOPS: u64 = 1 << 35;

/// How often the first invocation of a workgroup looks whether the others have come: some hundredths of a second on a GPU,
/// longer than workgroups that are ahead of them take.
const LOOKS: u32 = 1 << 16;

impl TimeLoop {
    /// The choice for a layer on an adapter, and why it is not another one. `benches/RECORD.md` holds what was measured.
    pub(super) fn new(config: &Config, unroll: &Unroll, target: &Target) -> Result<(Self, WhyNot)> {
        const UNSEEN: &str = "workgroups were not seen to exchange on this device: name Schedule::Exchange to try";
        let (rows, exchange) = (Self::rows(config, unroll, target), Self::exchange(config, unroll, target));
        let mut why_not = WhyNot { rows: rows.err(), exchange: exchange.err() };
        check_schedule(unroll, why_not)?;
        let is_chosen = |schedule, is_best: bool| unroll.schedule.map_or(is_best, |wanted| wanted == schedule);
        let rows_are_best = Self::rows_are_best(config, unroll, target);
        if let (Ok(rows), true) = (rows, is_chosen(Schedule::Rows, rows_are_best)) {
            return Ok((rows, WhyNot::default()));
        }
        if let Ok(exchange) = exchange {
            let is_best = Self::exchange_is_best(config, unroll, target, exchange);
            if is_chosen(Schedule::Exchange, is_best) {
                return Ok((exchange, WhyNot::default()));
            }
            why_not.exchange = Some(UNSEEN);
        }
        let step = Self::step(unroll.batch, config.hidden_size, target.class).within(&target.limits)?;
        let would_be = rows_are_best && unroll.schedule.is_none();
        Ok((step, if would_be { why_not } else { WhyNot::default() }))
    }

    /// One dispatch a step.
    #[must_use]
    pub fn step(batch: usize, hidden: usize, device: DeviceType) -> Self {
        let [forward, backward] = if device == DeviceType::Cpu {
            [Self::software_cut(batch, hidden); 2]
        } else {
            [1, 4].map(|units| Self::gpu_cut(batch, hidden, units))
        };
        Self::Step { forward, backward }
    }

    /// Steps by rows, or why there are none.
    fn rows(config: &Config, unroll: &Unroll, target: &Target) -> std::result::Result<Self, &'static str> {
        let (hidden, gates) = (config.hidden_size, config.cell().gates());
        let cut = |backward| Self::rows_cut(config, unroll, target, backward);
        let flops =
            [unroll.batch, gates, hidden, hidden].iter().fold(2_u64, |flops, &size| flops.saturating_mul(size as u64));
        let steps = usize::try_from(DISPATCH_FLOPS / flops.max(1)).unwrap_or(usize::MAX).max(1);
        Ok(Self::Rows { steps, forward: cut(false)?, backward: cut(true)? })
    }

    fn rows_cut(
        config: &Config,
        unroll: &Unroll,
        target: &Target,
        backward: bool,
    ) -> std::result::Result<RowsCut, &'static str> {
        const SMALL: &str = "the device was opened for workgroups that are too small: see Gpu::recommended_limits";
        const LARGE: &str = "the recurrent weights are more than the registers of a workgroup hold";
        let (hidden, gates) = (config.hidden_size, config.cell().gates());
        let exact_stores = target.exact_stores;
        if target.is_software() {
            // Eight invocations are the lanes of one vector there, and what is called a register lies in memory.
            let subgroup = target.has_subgroups_of_8().then_some(8);
            let cut = RowsCut { slices: 1, units: 1, rows: 1, ahead: 1, subgroup, exact_stores, software: true };
            return Some(cut).filter(|cut| cut.fits(gates, hidden, backward, &target.limits)).ok_or(SMALL);
        }
        let software = target.compiles_slowly;
        let of_word = if unroll.f16_weights { 2 } else { 1 };
        if gates.saturating_mul(hidden).saturating_mul(hidden) > of_word * WORKGROUP_REGISTERS {
            return Err(LARGE);
        }
        // Rows, slices, units, steps ahead: the first that a workgroup holds.
        let cuts: &[[u32; 4]] = match backward {
            false => &[[4, 2, 1, 1], [1, 2, 1, 1], [1, 1, 1, 1], [1, 4, 1, 1]],
            true if hidden <= 64 => &[[4, 4, 2, 1], [1, 4, 2, 4], [1, 1, 1, 1]],
            true => &[[4, 4, 2, 1], [1, 4, 2, 2], [1, 1, 1, 1]],
        };
        let cuts = cuts.iter().filter(|&&[rows, ..]| rows == 1 || unroll.batch > MANY_ROWS);
        let mut cuts = cuts.map(|&[rows, slices, units, ahead]| {
            let subgroup = target.subgroups.filter(|&[least, _]| least >= slices).map(|[_, most]| most);
            let ahead = if software { 1 } else { ahead };
            RowsCut { slices, units, rows, ahead, subgroup, exact_stores, software }
        });
        let in_registers = |cut: &RowsCut| cut.weights(gates, hidden) <= of_word * REGISTERS;
        cuts.find(|cut| in_registers(cut) && cut.fits(gates, hidden, backward, &target.limits)).ok_or(SMALL)
    }

    /// Steps by exchange, or why there are none.
    fn exchange(config: &Config, unroll: &Unroll, target: &Target) -> std::result::Result<Self, &'static str> {
        if let Some(because) = no_exchange(&target.limits) {
            return Err(because);
        }
        // The settlement has a workgroup for each row, and the words of all cells one binding.
        const MANY: &str = "the batch has more rows than a grid has workgroups";
        const WORDS: &str = "a binding does not hold the words that workgroups exchange";
        if unroll.batch > target.limits.max_compute_workgroups_per_dimension as usize {
            return Err(MANY);
        }
        let (hidden, gates) = (config.hidden_size, config.cell().gates());
        let cut = |backward| Self::exchange_cut(config, unroll, target, backward);
        let flops =
            [unroll.batch, gates, hidden, hidden].iter().fold(2_u64, |flops, &size| flops.saturating_mul(size as u64));
        let steps = usize::try_from(EXCHANGE_FLOPS / flops.max(1)).unwrap_or(usize::MAX).max(1);
        let exchange = Self::Exchange { steps, forward: cut(false)?, backward: cut(true)? };
        let words = exchange.exchange_words(config.cell(), unroll.batch, hidden, config.num_cells()).unwrap_or(0);
        let most = target.limits.max_storage_buffer_binding_size.min(target.limits.max_buffer_size);
        if bytes(&[words]) <= most.min(4 * INDICES) { Ok(exchange) } else { Err(WORDS) }
    }

    fn exchange_cut(
        config: &Config,
        unroll: &Unroll,
        target: &Target,
        backward: bool,
    ) -> std::result::Result<ExchangeCut, &'static str> {
        const LARGE: &str = "the recurrent weights are more than the registers of the workgroups hold";
        const SMALL: &str = "the device was opened for workgroups that are too small: see Gpu::recommended_limits";
        let (hidden, gates) = (config.hidden_size, config.cell().gates());
        let invocations = 256;
        // A lane of a subgroup has several units, so that each load from workgroup memory serves several sums; a subgroup of
        // 32 lanes has 16 units.
        let (slices, units, subgroup) = match target.subgroups {
            Some([least, most]) if most <= 64 => {
                let units = if backward || hidden > 512 { 4 } else { 2 };
                ((most * units / 16).clamp(1, least), units, Some(most))
            }
            _ => (1, 1, None),
        };
        let lanes = subgroup.map_or(16, |size| size.max(slices));
        let cut = ExchangeCut {
            slices,
            groups: lanes / slices,
            splits: invocations / lanes,
            units,
            rows: 1,
            tile: 1,
            ahead: false,
            subgroup,
            exact_stores: target.exact_stores,
            looks: LOOKS,
        };
        let of_word = if unroll.f16_weights { 2 } else { 1 };
        if cut.weights(gates, hidden) > of_word * REGISTERS {
            return Err(LARGE);
        }
        // As few rows as let all workgroups run at a time, where that is known; beyond it they run in turn.
        let resident = target.resident.unwrap_or(UNKNOWN_RESIDENT).max(1);
        let cells = config.directions();
        let of_rows = (cut.parts(hidden) as usize).saturating_mul(cells);
        let groups = (resident as usize / of_rows).max(1);
        let rows = unroll.batch.div_ceil(groups).min(MOST_EXCHANGE_ROWS).next_power_of_two() as u32;
        // More rows at a time make fewer waits, but take registers for their sums.
        let is_full = cut.weights(gates, hidden) > of_word * REGISTERS / 2;
        let at_a_time = match (backward, is_full) {
            (false, false) => 8,
            (true, true) => 2,
            _ => 4,
        };
        let tiles = [8, 4, 2, 1].into_iter().filter(|&tile| tile <= at_a_time.min(rows));
        let ahead = !is_full;
        let mut cuts = tiles.map(|tile| ExchangeCut { rows, tile, ahead: ahead && rows > tile, ..cut });
        cuts.find(|cut| cut.fits(gates, hidden, backward, &target.limits)).ok_or(SMALL)
    }

    /// Where it was shown that so many workgroups run at a time.
    fn exchange_is_best(config: &Config, unroll: &Unroll, target: &Target, exchange: Self) -> bool {
        let Self::Exchange { forward, backward, .. } = exchange else { return false };
        let parts = forward.parts(config.hidden_size).max(backward.parts(config.hidden_size));
        unroll.seq_len > 1 && target.resident.is_some_and(|resident| parts <= resident)
    }

    fn rows_are_best(config: &Config, unroll: &Unroll, target: &Target) -> bool {
        if target.is_software() {
            config.hidden_size <= CPU_ROWS_HIDDEN && unroll.seq_len >= CPU_ROWS_STEPS
        } else {
            unroll.seq_len > 1
        }
    }

    /// A software rasteriser runs 8 invocations as the lanes of one vector. It loads lane by lane, so every load costs,
    /// and is compiled for each lane: loads of four and many rows pay off where a product is long.
    fn software_cut(batch: usize, hidden: usize) -> Cut {
        let long = hidden >= 128;
        let rows = match batch {
            1 => 1,
            16.. if long => 8,
            _ => 4,
        };
        Cut { lanes: 8, split: 1, rows, vec4: long }
    }

    /// As many invocations as there are units to fill them with; slices where the batch is too small to fill a GPU.
    fn gpu_cut(batch: usize, hidden: usize, units: usize) -> Cut {
        let rows = match batch {
            1 => 1,
            2..=127 => 4,
            _ => 8,
        };
        // Invocations of a workgroup at most, by its memory (16 KiB), which slices fill.
        let most = match rows {
            1 => 256,
            4 if units == 1 => 256,
            8 if units == 4 => 64,
            _ => 128,
        };
        let lanes = 32;
        // Every slice has at least two fours of the products.
        let slices = (hidden / 8).clamp(1, 16).next_power_of_two() as u32;
        Cut { lanes, split: (most / lanes).min(slices).clamp(1, 16), rows, vec4: true }
    }

    /// Itself, if a device holds its workgroups.
    fn within(self, limits: &Limits) -> Result<Self> {
        if let Self::Step { forward, backward } = self {
            for (what, cut, sums) in [("a step", forward, FORWARD_SUMS), ("a step backward", backward, BACKWARD_SUMS)] {
                let invocations = u64::from(cut.lanes * cut.split);
                let most = limits.max_compute_workgroup_storage_size;
                for (limit, required, available) in [
                    (
                        "max_compute_invocations_per_workgroup",
                        invocations,
                        limits.max_compute_invocations_per_workgroup,
                    ),
                    ("max_compute_workgroup_size_x", u64::from(cut.lanes), limits.max_compute_workgroup_size_x),
                    ("max_compute_workgroup_size_y", u64::from(cut.split), limits.max_compute_workgroup_size_y),
                    ("max_compute_workgroup_storage_size", cut.memory(sums), most),
                ] {
                    at_most(what, limit, required, u64::from(available))?;
                }
            }
        }
        Ok(self)
    }

    /// How it is laid out over dispatches.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        match self {
            Self::Step { .. } => Schedule::Step,
            Self::Rows { .. } => Schedule::Rows,
            Self::Exchange { .. } => Schedule::Exchange,
        }
    }

    /// Steps of a dispatch at most.
    #[must_use]
    pub fn steps(&self) -> usize {
        match self {
            Self::Step { .. } => 1,
            &Self::Rows { steps, .. } | &Self::Exchange { steps, .. } => steps,
        }
    }

    /// The kernels of some steps of a cell in their order, with the number of dispatches of each.
    pub(crate) fn kernels(&self, cell: Cell, steps: usize, backward: bool) -> Vec<(&'static str, u64)> {
        let count = steps.div_ceil(self.steps()) as u64;
        // Backward the last product is a dispatch of its own.
        let with_last = count + 1;
        match (self, cell, backward) {
            (Self::Rows { .. }, cell, backward) => vec![(RowsCut::label(cell, backward), count)],
            (Self::Exchange { .. }, cell, backward) => {
                ExchangeCut::labels(cell, backward).map(|label| (label, count)).to_vec()
            }
            (_, Cell::Rnn { .. }, false) => vec![("rnn_step", count)],
            (_, Cell::Gru { reset: Reset::After, .. }, false) => vec![("gru_step", count)],
            (_, Cell::Gru { reset: Reset::Before, .. }, false) => vec![("gru_reset", count), ("gru_step", count)],
            (_, Cell::Rnn { .. }, true) => vec![("rnn_step_backward", with_last)],
            (_, Cell::Gru { reset: Reset::After, .. }, true) => vec![("gru_step_backward", with_last)],
            (_, Cell::Gru { reset: Reset::Before, .. }, true) => {
                vec![("gru_step_backward", with_last), ("gru_reset_backward", count)]
            }
        }
    }

    /// Workgroups of a dispatch of steps forward over so many cells.
    pub(crate) fn forward_workgroups(&self, batch: usize, hidden: usize, cells: usize) -> [u32; 3] {
        let [columns, rows] = match self {
            // A lane owns one unit.
            Self::Step { forward, .. } => [hidden.div_ceil(forward.lanes as usize) as u32, forward.rows],
            Self::Rows { forward, .. } => [1, forward.rows],
            Self::Exchange { forward, .. } => [forward.parts(hidden), forward.rows],
        };
        [columns, batch.div_ceil(rows as usize) as u32, cells as u32]
    }

    /// The same backward.
    pub(crate) fn backward_workgroups(&self, batch: usize, hidden: usize, cells: usize) -> [u32; 3] {
        let [columns, rows] = match self {
            // A lane owns four units.
            Self::Step { backward, .. } => [hidden.div_ceil(4 * backward.lanes as usize) as u32, backward.rows],
            Self::Rows { backward, .. } => [1, backward.rows],
            Self::Exchange { backward, .. } => [backward.parts(hidden), backward.rows],
        };
        [columns, batch.div_ceil(rows as usize) as u32, cells as u32]
    }

    /// Workgroups of the second kernel of some steps, if there are two, from those of the first.
    pub(crate) fn second_workgroups(&self, batch: usize, first: [u32; 3]) -> [u32; 3] {
        match self {
            Self::Exchange { .. } => [1, batch as u32, first[2]],
            Self::Step { .. } | Self::Rows { .. } => first,
        }
    }

    /// Words by which the workgroups of so many cells exchange an operand, forward or backward.
    pub(crate) fn exchange_words(&self, cell: Cell, batch: usize, hidden: usize, cells: usize) -> Option<usize> {
        let Self::Exchange { forward, backward, .. } = self else { return None };
        let longest = hidden.saturating_mul(ExchangeCut::longest_backward(cell));
        Some(forward.words(batch, hidden).max(backward.words(batch, longest)).saturating_mul(cells))
    }

    /// How many sums of squares of d_h a step of a cell has: one per workgroup; where that owns rows, one per row of it.
    pub(crate) fn groups(&self, batch: usize, hidden: usize) -> usize {
        match self {
            Self::Rows { .. } => return batch,
            Self::Exchange { backward, .. } => return batch.saturating_mul(backward.parts(hidden) as usize),
            Self::Step { .. } => {}
        }
        let [columns, rows, _] = self.backward_workgroups(batch, hidden, 1);
        (columns as usize).saturating_mul(rows as usize)
    }
}

#[cfg(test)]
mod tests {
    use wgpu::{DeviceType, Limits};

    use super::TimeLoop;
    use crate::config::GruConfig;
    use crate::target::Target;
    use crate::unroll::{Schedule, Unroll};

    /// A GPU where so many workgroups were seen to exchange.
    fn target(resident: u32) -> Target {
        let limits = Limits {
            max_compute_invocations_per_workgroup: 1024,
            max_compute_workgroup_size_x: 1024,
            max_compute_workgroup_storage_size: 49_152,
            max_storage_buffers_per_shader_stage: 9,
            ..Limits::default()
        };
        let target = Target::new(&limits, DeviceType::DiscreteGpu);
        Target { subgroups: Some([32, 32]), resident: Some(resident), exact_stores: true, ..target }
    }

    fn planned(hidden: usize, batch: usize, resident: u32) -> TimeLoop {
        let config = GruConfig::new(4, hidden).erased();
        TimeLoop::new(&config, &Unroll::training(9, batch), &target(resident)).expect("it fits").0
    }

    /// All workgroups run at a time where they can, with as few rows each as that lets them have.
    #[test]
    fn exchanges_fit_the_device() {
        for (hidden, batch, rows) in [(256, 32, 4), (512, 64, 16), (1024, 64, 32), (1024, 1, 1), (132, 8, 1)] {
            let TimeLoop::Exchange { forward, backward, .. } = planned(hidden, batch, 132) else {
                panic!("H {hidden}")
            };
            for cut in [forward, backward] {
                let workgroups = cut.parts(hidden) * (batch as u32).div_ceil(cut.rows);
                assert!(
                    cut.rows == rows && workgroups <= 132 && cut.rows.is_multiple_of(cut.tile),
                    "H {hidden}: {cut:?}"
                );
                assert!(cut.invocations() == 256 && cut.slices <= 32, "H {hidden}: {cut:?}");
            }
        }
        // More rows than workgroups at a time: some groups come after others.
        let TimeLoop::Exchange { forward, .. } = planned(512, 4096, 132) else { panic!("many rows") };
        assert_eq!(forward.rows, 32, "{forward:?}");
    }

    #[test]
    fn exchanges_are_for_what_rows_cannot_take() {
        let of = |hidden, resident| planned(hidden, 4, resident).schedule();
        assert_eq!([128, 129].map(|hidden| of(hidden, 132)), [Schedule::Rows, Schedule::Exchange]);
        // 64 workgroups have the units together: with fewer at a time none would ever meet. And what no registers hold.
        assert_eq!([64, 63].map(|resident| of(1024, resident)), [Schedule::Exchange, Schedule::Step]);
        assert_eq!(of(1028, 132), Schedule::Step);
        // A grid of 65,535 workgroups, and 128 MiB of words: 2 x 3 H a row backward.
        let many = |batch| planned(132, batch, 132).schedule();
        assert_eq!([40_000, 65_536].map(many), [Schedule::Exchange, Schedule::Step]);
        assert_eq!(planned(256, 40_000, 132).schedule(), Schedule::Step, "235 MiB");
    }
}
