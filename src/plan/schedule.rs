//! Which schedule a layer has, and how its workgroups are cut: the rule of each class of adapter, and what else could be had.

use std::collections::HashSet;

use super::cuts::{ExchangeCut, RowsCut, TileCut};
use super::feasible::{WhyNot, check_schedule, no_exchange};
use super::time_loop::TimeLoop;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::schedule::{Schedule, Tuning};
use crate::target::{INDICES, Target, bytes};
use crate::unroll::Unroll;

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

/// Why a device holds no workgroup of some steps.
const SMALL: &str = "the device was opened for workgroups that are too small: see Gpu::recommended_limits";

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
    /// The choice for a layer on an adapter, and why it is not another one: what was measured on the device, if something
    /// was, or the rule. `benches/RECORD.md` holds what the rule comes from.
    pub(super) fn new(config: &Config, unroll: &Unroll, target: &Target) -> Result<(Self, WhyNot)> {
        match unroll.tuning {
            Some(tuning) => Ok((Self::tuned(config, unroll, target, tuning)?, WhyNot::default())),
            None => Self::by_rule(config, unroll, target),
        }
    }

    fn by_rule(config: &Config, unroll: &Unroll, target: &Target) -> Result<(Self, WhyNot)> {
        const UNSEEN: &str = "workgroups were not seen to exchange on this device: name Schedule::Exchange to try";
        let (rows, exchange) = (Self::rows(config, unroll, target), Self::exchange(config, unroll, target));
        let mut why_not = WhyNot { rows: rows.err(), exchange: exchange.err(), frame: None };
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

    /// What is worth a measurement: the choice of the rule first, then other cuts and schedules. Forward and backward are
    /// measured apart, so that it is no matter which of them stand together.
    pub(crate) fn candidates(config: &Config, unroll: &Unroll, target: &Target) -> Result<Vec<Self>> {
        let mut all = vec![Self::by_rule(config, unroll, target)?.0];
        let is_wanted = |schedule| unroll.schedule.is_none_or(|wanted| wanted == schedule);
        if is_wanted(Schedule::Step) {
            let cuts = |backward| Self::tile_cuts(config, unroll.batch, target, backward);
            let pairs = pairs([cuts(false)?, cuts(true)?]).into_iter();
            all.extend(pairs.map(|(forward, backward)| Self::Step { forward, backward }));
        }
        if let (Ok(Self::Rows { steps, .. }), true) =
            (Self::rows(config, unroll, target), is_wanted(Schedule::Rows) && unroll.seq_len > 1)
        {
            let cuts = |backward| Self::rows_cuts(config, unroll, target, backward).unwrap_or_default();
            let pairs = pairs([cuts(false), cuts(true)]).into_iter();
            all.extend(pairs.map(|(forward, backward)| Self::Rows { steps, forward, backward }));
        }
        // Workgroups of a software rasteriser run one after the other.
        let may_exchange =
            unroll.seq_len > 1 && !target.is_software() && Self::exchange(config, unroll, target).is_ok();
        if may_exchange && is_wanted(Schedule::Exchange) {
            let most = unroll.batch.min(MOST_EXCHANGE_ROWS).next_power_of_two() as u32;
            let cuts = |backward| -> Vec<_> {
                let rows = [1, 2, 4, 8, 16, 32].into_iter().filter(|&rows| rows <= most);
                rows.filter_map(|rows| Self::exchange_cut(config, unroll, target, backward, rows).ok()).collect()
            };
            let pairs = pairs([cuts(false), cuts(true)]).into_iter();
            all.extend(
                pairs
                    .filter_map(|(forward, backward)| Self::exchanging(config, unroll, target, forward, backward).ok()),
            );
        }
        let mut seen = HashSet::new();
        all.retain(|candidate| seen.insert(*candidate));
        Ok(all)
    }

    /// What was measured to be best: made of candidates, so that nothing is believed of a text but which of them it names.
    fn tuned(config: &Config, unroll: &Unroll, target: &Target, tuning: Tuning) -> Result<Self> {
        const BECAUSE: &str = "it is of another layer, device, unroll or version: tune again";
        let candidates = Self::candidates(config, unroll, target)?;
        let mut all = candidates.iter().flat_map(|forward| candidates.iter().filter_map(|other| forward.with(other)));
        let found = all.find(|candidate| candidate.tuning() == tuning);
        found.ok_or(Error::OptionUnavailable { option: "tuning", because: BECAUSE })
    }

    /// One dispatch a step.
    fn step(config: &Config, batch: usize, target: &Target) -> Result<Self> {
        let [forward, backward] = [false, true].map(|backward| Self::tile_cut(config, batch, target, backward));
        Ok(Self::Step { forward: forward?, backward: backward? })
    }

    /// The tile of a single step: of as many rows as there are, up to a number that registers hold the sums of, since all of
    /// them share each weight; but of fewer where there would not be workgroups enough.
    fn tile_cut(config: &Config, batch: usize, target: &Target, backward: bool) -> Result<TileCut> {
        let cuts = Self::tile_cuts(config, batch, target, backward)?;
        let workgroups =
            |cut: &TileCut| u64::from(cut.parts(config.hidden_size)) * batch.div_ceil(cut.rows as usize) as u64;
        // Three quarters of what runs at a time.
        let enough = u64::from(target.resident.unwrap_or(UNKNOWN_RESIDENT).max(1)) * 3 / 4;
        let is_best = |cut: &&TileCut| target.is_software() || cut.rows <= 4 || workgroups(cut) >= enough;
        Ok(*cuts.iter().find(is_best).unwrap_or(&cuts[cuts.len() - 1]))
    }

    /// The tiles that there can be, that of most rows first: at least one.
    fn tile_cuts(config: &Config, batch: usize, target: &Target, backward: bool) -> Result<Vec<TileCut>> {
        let (hidden, gates) = (config.hidden_size, config.cell().gates());
        let within = |cut: TileCut| cut.within(gates, backward, &target.limits);
        let most = batch.min(MOST_TILE_ROWS).next_power_of_two() as u32;
        if target.is_software() {
            // Eight invocations are the lanes of one vector there. The operand of one row is no work to share.
            let subgroup = target.has_subgroups_of_8().then_some(8).filter(|_| most > 1);
            // Forward a unit has three sums anyhow.
            let units = if backward && hidden.is_multiple_of(4) && hidden >= LONG { 4 } else { 1 };
            let exact_stores = target.exact_stores;
            let cut =
                TileCut { slices: 1, groups: 8, splits: 1, units, rows: most, subgroup, exact_stores, software: true };
            return Ok(vec![within(cut)?]);
        }
        let cut = Self::lanes(target, backward, false);
        let last = within(cut)?;
        // The compiler of a software rasteriser takes seconds for what is unrolled for many rows.
        let most = if target.compiles_slowly { most.min(4) } else { most };
        let more = [16, 8, 4, 2].into_iter().filter(|&rows| rows <= most);
        Ok(more.filter_map(|rows| within(TileCut { rows, ..cut }).ok()).chain([last]).collect())
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
        let cut = |backward| Self::rows_cut(config, unroll, target, backward);
        let steps = steps_within(DISPATCH_FLOPS, config, unroll);
        Ok(Self::Rows { steps, forward: cut(false)?, backward: cut(true)? })
    }

    fn rows_cut(
        config: &Config,
        unroll: &Unroll,
        target: &Target,
        backward: bool,
    ) -> std::result::Result<RowsCut, &'static str> {
        let cuts = Self::rows_cuts(config, unroll, target, backward)?;
        cuts.into_iter().find(|cut| cut.rows == 1 || unroll.batch > MANY_ROWS).ok_or(SMALL)
    }

    /// The cuts by rows that there can be, best first but for how many rows they have.
    fn rows_cuts(
        config: &Config,
        unroll: &Unroll,
        target: &Target,
        backward: bool,
    ) -> std::result::Result<Vec<RowsCut>, &'static str> {
        const LARGE: &str = "the recurrent weights are more than the registers of a workgroup hold";
        let (hidden, gates) = (config.hidden_size, config.cell().gates());
        let exact_stores = target.exact_stores;
        if target.is_software() {
            // Eight invocations are the lanes of one vector there, and what is called a register lies in memory.
            let subgroup = target.has_subgroups_of_8().then_some(8);
            let cut = RowsCut { slices: 1, units: 1, rows: 1, ahead: 1, subgroup, exact_stores, software: true };
            return Ok(Some(cut).filter(|cut| cut.fits(gates, hidden, backward, &target.limits)).into_iter().collect());
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
        let cuts = cuts.iter().filter(|&&[rows, ..]| rows as usize <= unroll.batch);
        let cuts = cuts.map(|&[rows, slices, units, ahead]| {
            let subgroup = target.subgroups.filter(|&[least, _]| least >= slices).map(|[_, most]| most);
            let ahead = if software { 1 } else { ahead };
            RowsCut { slices, units, rows, ahead, subgroup, exact_stores, software }
        });
        let in_registers = |cut: &RowsCut| cut.weights(gates, hidden) <= of_word * REGISTERS;
        Ok(cuts.filter(|cut| in_registers(cut) && cut.fits(gates, hidden, backward, &target.limits)).collect())
    }

    /// Steps by exchange, or why there are none.
    fn exchange(config: &Config, unroll: &Unroll, target: &Target) -> std::result::Result<Self, &'static str> {
        if let Some(because) = no_exchange(&target.limits) {
            return Err(because);
        }
        // The settlement has a workgroup for each row.
        const MANY: &str = "the batch has more rows than a grid has workgroups";
        if unroll.batch > target.limits.max_compute_workgroups_per_dimension as usize {
            return Err(MANY);
        }
        let cut = |backward| {
            let rows = Self::exchange_rows(config, unroll, target, backward);
            Self::exchange_cut(config, unroll, target, backward, rows)
        };
        Self::exchanging(config, unroll, target, cut(false)?, cut(true)?)
    }

    /// Steps by exchange with these cuts, if a binding holds what they exchange.
    fn exchanging(
        config: &Config,
        unroll: &Unroll,
        target: &Target,
        forward: ExchangeCut,
        backward: ExchangeCut,
    ) -> std::result::Result<Self, &'static str> {
        const WORDS: &str = "a binding does not hold the words that workgroups exchange";
        let hidden = config.hidden_size;
        let steps = steps_within(EXCHANGE_FLOPS, config, unroll);
        let exchange = Self::Exchange { steps, forward, backward };
        let words = exchange.exchange_words(config.cell(), unroll.batch, hidden, config.num_cells()).unwrap_or(0);
        let most = target.limits.max_storage_buffer_binding_size.min(target.limits.max_buffer_size);
        if bytes(&[words]) <= most.min(4 * INDICES) { Ok(exchange) } else { Err(WORDS) }
    }

    /// As few rows for a workgroup as let all of them run at a time, where that is known; beyond it they run in turn.
    fn exchange_rows(config: &Config, unroll: &Unroll, target: &Target, backward: bool) -> u32 {
        let resident = target.resident.unwrap_or(UNKNOWN_RESIDENT).max(1);
        let parts = Self::exchange_lanes(config, target, backward).parts(config.hidden_size);
        let groups = (resident as usize / (parts as usize).saturating_mul(config.directions())).max(1);
        unroll.batch.div_ceil(groups).min(MOST_EXCHANGE_ROWS).next_power_of_two() as u32
    }

    fn exchange_lanes(config: &Config, target: &Target, backward: bool) -> TileCut {
        Self::lanes(target, backward, config.hidden_size > 512)
    }

    /// The cut by exchange for workgroups that own so many rows.
    fn exchange_cut(
        config: &Config,
        unroll: &Unroll,
        target: &Target,
        backward: bool,
        rows: u32,
    ) -> std::result::Result<ExchangeCut, &'static str> {
        const LARGE: &str = "the recurrent weights are more than the registers of the workgroups hold";
        let (hidden, gates) = (config.hidden_size, config.cell().gates());
        let tile = Self::exchange_lanes(config, target, backward);
        let cut = ExchangeCut { tile, rows: 1, ahead: false, looks: LOOKS };
        let of_word = if unroll.f16_weights { 2 } else { 1 };
        if cut.weights(gates, hidden) > of_word * REGISTERS {
            return Err(LARGE);
        }
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
}

/// As many steps as have no more FLOPs than this in their recurrent products, but one at least.
fn steps_within(most: u64, config: &Config, unroll: &Unroll) -> usize {
    let sizes = [unroll.batch, config.cell().gates(), config.hidden_size, config.hidden_size];
    let flops = sizes.iter().fold(2_u64, |flops, &size| flops.saturating_mul(size as u64));
    usize::try_from(most / flops.max(1)).unwrap_or(usize::MAX).max(1)
}

/// Each of both lists at least once, the last of the shorter one as often as need be.
fn pairs<T: Copy>([forward, backward]: [Vec<T>; 2]) -> Vec<(T, T)> {
    let count = if forward.is_empty() || backward.is_empty() { 0 } else { forward.len().max(backward.len()) };
    (0..count).map(|i| (forward[i.min(forward.len() - 1)], backward[i.min(backward.len() - 1)])).collect()
}

#[cfg(test)]
mod tests {
    use wgpu::{DeviceType, Limits};

    use super::TimeLoop;
    use crate::config::{GruConfig, RnnConfig};
    use crate::schedule::Schedule;
    use crate::target::Target;
    use crate::unroll::Unroll;

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

    /// Each candidate of any layer on any of these devices is found again by its tuning, the rule's own comes first, and
    /// forward and backward can be of two of them.
    #[test]
    fn candidates_are_found_again() {
        let large = target(132);
        let small = Target { limits: Limits::default(), resident: None, ..large.clone() };
        let cpu = Target { class: DeviceType::Cpu, subgroups: Some([8, 8]), resident: None, ..large.clone() };
        for device in [&large, &small, &Target { subgroups: None, ..small.clone() }, &cpu] {
            for (hidden, batch) in
                [(1, 1), (7, 3), (64, 1), (128, 512), (256, 32), (512, 5), (1024, 64), (2048, 70_000)]
            {
                for config in [GruConfig::new(4, hidden).erased(), RnnConfig::new(4, hidden).erased()] {
                    let unroll = Unroll::training(9, batch);
                    let all = TimeLoop::candidates(&config, &unroll, device).expect("it fits");
                    let of = |unroll| TimeLoop::new(&config, &unroll, device).expect("it fits").0;
                    assert_eq!(of(unroll), all[0], "{config:?} {unroll:?}");
                    for candidate in &all {
                        assert_eq!(of(unroll.tuning(candidate.tuning())), *candidate, "{config:?} {unroll:?}");
                    }
                    let last = all[all.len() - 1];
                    let mut mixed = all.iter().filter_map(|other| last.with(other));
                    assert!(mixed.all(|both| of(unroll.tuning(both.tuning())) == both), "{config:?} {unroll:?}");
                    let both = [Schedule::Step, Schedule::Exchange];
                    if device.resident.is_some() && (256..=1024).contains(&hidden) {
                        assert!(both.iter().all(|&one| all.iter().any(|loops| loops.schedule() == one)), "{all:?}");
                    }
                }
            }
        }
    }
}
