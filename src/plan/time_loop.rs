//! How the time loop is laid out: which schedule, and how its workgroups are cut.

use super::cuts::{ExchangeCut, RowsCut, TileCut};
use super::feasible::{check_schedule, no_exchange};
use crate::config::{Cell, Config};
use crate::error::Result;
use crate::target::{INDICES, Target, bytes};
use crate::unroll::{Schedule, Unroll};

/// The time loop of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimeLoop {
    /// [`Schedule::Step`].
    Step {
        /// The cut of the steps forward.
        forward: TileCut,
        /// The cut of the steps backward.
        backward: TileCut,
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

/// Invocations of a GPU's workgroup that multiplies a tile.
const WORKGROUP: u32 = 256;

/// From this H on an invocation of a software rasteriser has four units backward.
const LONG: usize = 64;

/// Rows of the batch that the tile of a single step has at most: an invocation has up to 6 sums for each.
const MOST_TILE_ROWS: usize = 16;

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
        let step = Self::step(config, unroll.batch, target)?;
        let would_be = rows_are_best && unroll.schedule.is_none();
        Ok((step, if would_be { why_not } else { WhyNot::default() }))
    }

    /// One dispatch a step.
    fn step(config: &Config, batch: usize, target: &Target) -> Result<Self> {
        let [forward, backward] = [false, true].map(|backward| Self::tile_cut(config, batch, target, backward));
        Ok(Self::Step { forward: forward?, backward: backward? })
    }

    /// The tile of a single step: of as many rows as there are, up to a number that registers hold the sums of, since all of
    /// them share each weight; but of fewer where there would not be workgroups enough.
    fn tile_cut(config: &Config, batch: usize, target: &Target, backward: bool) -> Result<TileCut> {
        let (hidden, gates) = (config.hidden_size, config.cell().gates());
        let exact_stores = target.exact_stores;
        let most = batch.min(MOST_TILE_ROWS).next_power_of_two() as u32;
        if target.is_software() {
            // Eight invocations are the lanes of one vector there. The operand of one row is no work to share.
            let subgroup = target.has_subgroups_of_8().then_some(8).filter(|_| most > 1);
            // Forward a unit has three sums anyhow.
            let units = if backward && hidden.is_multiple_of(4) && hidden >= LONG { 4 } else { 1 };
            let cut =
                TileCut { slices: 1, groups: 8, splits: 1, units, rows: most, subgroup, exact_stores, software: true };
            return cut.within(gates, backward, &target.limits);
        }
        let (cut, resident) =
            (Self::lanes(target, backward, false), target.resident.unwrap_or(UNKNOWN_RESIDENT).max(1));
        let workgroups = |rows: u32| u64::from(cut.parts(hidden)) * batch.div_ceil(rows as usize) as u64;
        // Three quarters of what runs at a time.
        let enough = u64::from(resident) * 3 / 4;
        let fits = |rows: u32| TileCut { rows, ..cut }.within(gates, backward, &target.limits);
        // The compiler of a software rasteriser takes seconds for what is unrolled for many rows.
        let mut rows = if target.compiles_slowly { most.min(4) } else { most };
        while rows > 1 && (fits(rows).is_err() || (rows > 4 && workgroups(rows) < enough)) {
            rows /= 2;
        }
        fits(rows)
    }

    /// How a GPU's workgroup of 256 invocations is divided, with one row. A lane of a subgroup has several units, so that each
    /// load from workgroup memory serves several sums; a subgroup of 32 lanes has 16 units.
    fn lanes(target: &Target, backward: bool, is_wide: bool) -> TileCut {
        let (slices, units, subgroup) = match target.subgroups {
            Some([least, most]) if most <= 64 => {
                let units = if backward || is_wide { 4 } else { 2 };
                ((most * units / 16).clamp(1, least), units, Some(most))
            }
            _ => (1, 1, None),
        };
        let lanes = subgroup.map_or(16, |size| size.max(slices));
        let (groups, splits, exact_stores) = (lanes / slices, WORKGROUP / lanes, target.exact_stores);
        TileCut { slices, groups, splits, units, rows: 1, subgroup, exact_stores, software: false }
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
        let tile = Self::lanes(target, backward, hidden > 512);
        let cut = ExchangeCut { tile, rows: 1, ahead: false, looks: LOOKS };
        let of_word = if unroll.f16_weights { 2 } else { 1 };
        if cut.weights(gates, hidden) > of_word * REGISTERS {
            return Err(LARGE);
        }
        // As few rows as let all workgroups run at a time, where that is known; beyond it they run in turn.
        let resident = target.resident.unwrap_or(UNKNOWN_RESIDENT).max(1);
        let cells = config.directions();
        let of_rows = (tile.parts(hidden) as usize).saturating_mul(cells);
        let groups = (resident as usize / of_rows).max(1);
        let rows = unroll.batch.div_ceil(groups).min(MOST_EXCHANGE_ROWS).next_power_of_two() as u32;
        // More rows at a time make fewer waits, but take registers for their sums.
        let is_full = cut.weights(gates, hidden) > of_word * REGISTERS / 2;
        let at_a_time = match (backward, is_full) {
            (false, false) => 8,
            (true, true) => 2,
            _ => 4,
        };
        let tiles = [8, 4, 2, 1].into_iter().filter(|&of_tile| of_tile <= at_a_time.min(rows));
        let mut cuts = tiles.map(|of_tile| {
            let tile = TileCut { rows: of_tile, ..tile };
            ExchangeCut { tile, rows, ahead: !is_full && rows > of_tile, ..cut }
        });
        cuts.find(|cut| cut.fits(gates, hidden, backward, &target.limits)).ok_or(SMALL)
    }

    /// Where it was shown that so many workgroups run at a time.
    fn exchange_is_best(config: &Config, unroll: &Unroll, target: &Target, exchange: Self) -> bool {
        let Self::Exchange { forward, backward, .. } = exchange else { return false };
        let parts = forward.tile.parts(config.hidden_size).max(backward.tile.parts(config.hidden_size));
        unroll.seq_len > 1 && target.resident.is_some_and(|resident| parts <= resident)
    }

    fn rows_are_best(config: &Config, unroll: &Unroll, target: &Target) -> bool {
        if target.is_software() {
            config.hidden_size <= CPU_ROWS_HIDDEN && unroll.seq_len >= CPU_ROWS_STEPS
        } else {
            unroll.seq_len > 1
        }
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
        match self {
            Self::Rows { .. } => vec![(RowsCut::label(cell, backward), count)],
            Self::Exchange { .. } => ExchangeCut::labels(cell, backward).map(|label| (label, count)).to_vec(),
            Self::Step { .. } => {
                let mut kernels: Vec<_> = TileCut::labels(cell, backward).iter().map(|&label| (label, count)).collect();
                // Backward the last product is a dispatch of its own.
                kernels[0].1 += u64::from(backward);
                kernels
            }
        }
    }

    /// Into how many workgroups steps forward, or backward, divide the units of a cell and the rows of the batch.
    pub(crate) fn parts(&self, backward: bool, batch: usize, hidden: usize) -> [u32; 2] {
        let [units, rows] = match self {
            Self::Step { forward, .. } if !backward => [forward.parts(hidden), forward.rows],
            Self::Step { backward, .. } => [backward.parts(hidden), backward.rows],
            Self::Rows { forward, .. } if !backward => [1, forward.rows],
            Self::Rows { backward, .. } => [1, backward.rows],
            Self::Exchange { forward, .. } if !backward => [forward.tile.parts(hidden), forward.rows],
            Self::Exchange { backward, .. } => [backward.tile.parts(hidden), backward.rows],
        };
        [units, u32::try_from(batch.div_ceil(rows as usize)).unwrap_or(u32::MAX)]
    }

    /// Workgroups of a dispatch of such steps over so many cells.
    pub(crate) fn workgroups(&self, backward: bool, batch: usize, hidden: usize, cells: usize) -> [u32; 3] {
        let [units, rows] = self.parts(backward, batch, hidden);
        match self {
            // Those that read the same weights follow each other.
            Self::Step { .. } => [rows, units, cells as u32],
            _ => [units, rows, cells as u32],
        }
    }

    /// Workgroups of the second kernel of some steps, if there are two, from those of the first.
    pub(crate) fn second_workgroups(&self, batch: usize, first: [u32; 3]) -> [u32; 3] {
        match self {
            Self::Exchange { .. } => [1, batch as u32, first[2]],
            Self::Step { .. } | Self::Rows { .. } => first,
        }
    }

    /// The steps backward read weight_hh transposed.
    pub(crate) fn transposes_weights(&self) -> bool {
        matches!(self, Self::Step { backward, .. } if !backward.software)
    }

    /// Words by which the workgroups of so many cells exchange an operand, forward or backward.
    pub(crate) fn exchange_words(&self, cell: Cell, batch: usize, hidden: usize, cells: usize) -> Option<usize> {
        let Self::Exchange { forward, backward, .. } = self else { return None };
        let longest = hidden.saturating_mul(ExchangeCut::longest_backward(cell));
        Some(forward.words(batch, hidden).max(backward.words(batch, longest)).saturating_mul(cells))
    }

    /// How many sums of squares of d_h a step of a cell has: one for each row and all workgroups that have units of it.
    pub(crate) fn groups(&self, batch: usize, hidden: usize) -> usize {
        batch.saturating_mul(match self {
            Self::Step { backward, .. } => backward.parts(hidden) as usize,
            Self::Rows { .. } => 1,
            Self::Exchange { backward, .. } => backward.tile.parts(hidden) as usize,
        })
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
        planned_as(None, hidden, batch, &target(resident))
    }

    fn planned_as(schedule: Option<Schedule>, hidden: usize, batch: usize, target: &Target) -> TimeLoop {
        let config = GruConfig::new(4, hidden).erased();
        let unroll = Unroll { schedule, ..Unroll::training(9, batch) };
        TimeLoop::new(&config, &unroll, target).expect("it fits").0
    }

    /// A tile has as many rows as share its weights best, but not where that leaves a GPU half empty, nor more than there
    /// are or than a workgroup's memory holds.
    #[test]
    fn tiles_of_single_steps() {
        let rows = |hidden, batch, target: &Target| match planned_as(Some(Schedule::Step), hidden, batch, target) {
            TimeLoop::Step { forward, backward } => [forward.rows, backward.rows],
            other => panic!("{other:?}"),
        };
        let large = target(132);
        for (hidden, batch, expected) in
            [(1024, 1, 1), (2048, 3, 4), (512, 64, 16), (256, 32, 4), (128, 512, 16), (64, 64, 4), (16, 4096, 16)]
        {
            assert_eq!(rows(hidden, batch, &large), [expected; 2], "H {hidden}, B {batch}");
        }
        let small = Target { limits: Limits::default(), ..large };
        assert_eq!(rows(512, 64, &small), [8, 8], "16 KiB");
        let without = Target { subgroups: None, ..small };
        assert_eq!(rows(512, 64, &without), [4, 8], "and no subgroups");
    }

    /// All workgroups run at a time where they can, with as few rows each as that lets them have.
    #[test]
    fn exchanges_fit_the_device() {
        for (hidden, batch, rows) in [(256, 32, 4), (512, 64, 16), (1024, 64, 32), (1024, 1, 1), (132, 8, 1)] {
            let TimeLoop::Exchange { forward, backward, .. } = planned(hidden, batch, 132) else {
                panic!("H {hidden}")
            };
            for cut in [forward, backward] {
                let workgroups = cut.tile.parts(hidden) * (batch as u32).div_ceil(cut.rows);
                assert!(
                    cut.rows == rows && workgroups <= 132 && cut.rows.is_multiple_of(cut.tile.rows),
                    "H {hidden}: {cut:?}"
                );
                assert!(cut.tile.invocations() == 256 && cut.tile.slices <= 32, "H {hidden}: {cut:?}");
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
