//! How the time loop is laid out: one dispatch a step or many steps a dispatch, and how a workgroup is cut.

use wgpu::{DeviceType, Limits};

use super::feasible::check_schedule;
use crate::config::{Cell, Config, Reset};
use crate::error::Result;
use crate::target::{Target, at_most};
use crate::unroll::{Mode, Schedule, Unroll};

/// How a workgroup of a single step is cut: LANES by SPLIT invocations, over ROWS rows of the batch.
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

/// How a workgroup of steps by rows is cut: groups of `slices` invocations, each of which owns `units` units of `rows`
/// rows of the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RowsCut {
    /// Invocations of a group, each of which multiplies a slice.
    pub slices: u32,
    /// Units of a group: 1 forward.
    pub units: u32,
    /// Rows of the batch that a workgroup owns.
    pub rows: u32,
    /// How many steps before its step something is loaded.
    pub ahead: u32,
    /// Slices are added in subgroups, which have so many invocations at most; otherwise in workgroup memory. All of
    /// `slices`, `units` and `rows` are powers of two then.
    pub subgroup: Option<u32>,
    /// What is multiplied lies in vec4s, of which single components are stored: for devices where such a store leaves
    /// the others alone. On Vulkan it does, since SPIR-V has pointers to components. WGSL does not promise it: Chrome saw
    /// neighbours overwrite each other on Metal and on Direct3D (gpuweb issue 2112).
    pub exact_stores: bool,
    /// For the compiler of a software rasteriser, which takes some hundredths of a second for every load in a text: a
    /// loop loads the weights, and subgroups of 8 load an operand together if there is one slice.
    pub software: bool,
}

impl RowsCut {
    /// The kernel's name.
    pub(crate) fn label(cell: Cell, backward: bool) -> &'static str {
        match (cell, backward) {
            (Cell::Gru { .. }, false) => "gru_rows",
            (Cell::Gru { .. }, true) => "gru_rows_backward",
            (Cell::Rnn { .. }, false) => "rnn_rows",
            (Cell::Rnn { .. }, true) => "rnn_rows_backward",
        }
    }

    /// A subgroup of 8 loads an operand together.
    pub(crate) fn broadcasts(self) -> bool {
        self.software && self.slices == 1 && self.subgroup == Some(8)
    }

    /// It works in subgroups.
    pub(crate) fn uses_subgroups(self) -> bool {
        self.subgroup.is_some() && (self.slices > 1 || self.broadcasts())
    }

    /// What is multiplied for a row, rounded up to as much as is loaded at once.
    pub(crate) fn operand(self, len: usize) -> usize {
        len.next_multiple_of(if self.broadcasts() { 32 } else { 4 * self.slices as usize })
    }

    /// Invocations of a workgroup for H: in subgroups, whole ones.
    pub(crate) fn invocations(self, hidden: usize) -> u32 {
        let invocations =
            u32::try_from(hidden).map_or(u32::MAX, |hidden| hidden.div_ceil(self.units).saturating_mul(self.slices));
        let whole = self.subgroup.filter(|_| self.uses_subgroups()).unwrap_or(1);
        invocations.checked_next_multiple_of(whole).unwrap_or(u32::MAX)
    }

    /// Weights that an invocation keeps, of `gates` gates.
    fn weights(self, gates: usize, hidden: usize) -> usize {
        (gates * hidden * self.units as usize).div_ceil(self.slices as usize)
    }

    /// Bytes of workgroup memory at most.
    pub(crate) fn memory(self, gates: usize, hidden: usize, backward: bool) -> u64 {
        let operand = self.operand(if backward { gates * hidden } else { hidden });
        let squares = if backward { hidden } else { 0 };
        let halves = 2 * self.rows as usize * (operand + squares);
        let sums = if backward { 1 } else { gates } * (self.rows * self.units * self.invocations(hidden)) as usize;
        let partial = if self.slices > 1 && self.subgroup.is_none() { sums } else { 0 };
        4 * (halves + partial) as u64
    }

    /// Whether a device with these limits holds a workgroup of a cell with so many gates.
    fn fits(self, gates: usize, hidden: usize, backward: bool, limits: &Limits) -> bool {
        let most = limits.max_compute_invocations_per_workgroup.min(limits.max_compute_workgroup_size_x);
        self.invocations(hidden) <= most
            && self.memory(gates, hidden, backward) <= u64::from(limits.max_compute_workgroup_storage_size)
    }
}

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

/// On a software rasteriser steps by rows win at every size that was measured. Up to this H: for larger ones its compiler
/// takes seconds.
const CPU_ROWS_HIDDEN: usize = 160;

/// From this many steps on: for fewer it is worth more that layers of any H share the kernels of single steps.
const CPU_ROWS_STEPS: usize = 16;

impl TimeLoop {
    /// The choice for a layer on an adapter, and why it cannot be by rows, if that is so. `benches/RECORD.md` holds what
    /// was measured.
    pub(super) fn new(config: &Config, unroll: &Unroll, target: &Target) -> Result<(Self, Option<&'static str>)> {
        let rows = Self::rows(config, unroll, target);
        let because = rows.err();
        check_schedule(unroll, because)?;
        let is_wanted = match unroll.schedule {
            None => Self::rows_are_best(config, unroll, target),
            Some(schedule) => schedule == Schedule::Rows,
        };
        match rows {
            Ok(rows) if is_wanted => Ok((rows, None)),
            _ => {
                let step = Self::step(unroll.batch, config.hidden_size, target.class).within(&target.limits)?;
                Ok((step, because.filter(|_| is_wanted)))
            }
        }
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
        let ahead = match (backward, unroll.mode) {
            _ if software => 1,
            (false, Mode::Inference) => 8,
            (false, Mode::Training) => 4,
            (true, _) if hidden <= 64 => 4,
            (true, _) => 1,
        };
        let of_word = if unroll.f16_weights { 2 } else { 1 };
        if gates.saturating_mul(hidden).saturating_mul(hidden) > of_word * WORKGROUP_REGISTERS {
            return Err(LARGE);
        }
        // Rows, slices, units. Several rows want registers for their sums, so more slices for the weights.
        let cuts: &[[u32; 3]] = match backward {
            false => &[[4, 4, 1], [1, 2, 1], [1, 1, 1], [1, 4, 1]],
            true => &[[4, 8, 2], [1, 4, 2], [1, 2, 2], [1, 1, 1]],
        };
        let cuts = cuts.iter().filter(|&&[rows, ..]| rows == 1 || unroll.batch > MANY_ROWS);
        let mut cuts = cuts.map(|&[rows, slices, units]| {
            let subgroup = target.subgroups.filter(|&[least, _]| least >= slices).map(|[_, most]| most);
            RowsCut { slices, units, rows, ahead, subgroup, exact_stores, software }
        });
        let in_registers = |cut: &RowsCut| cut.weights(gates, hidden) <= of_word * REGISTERS;
        cuts.find(|cut| in_registers(cut) && cut.fits(gates, hidden, backward, &target.limits)).ok_or(SMALL)
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
        }
    }

    /// Steps of a dispatch at most.
    #[must_use]
    pub fn steps(&self) -> usize {
        match self {
            Self::Step { .. } => 1,
            &Self::Rows { steps, .. } => steps,
        }
    }

    /// The kernels of some steps of a cell in their order, with the number of dispatches of each.
    pub(crate) fn kernels(&self, cell: Cell, steps: usize, backward: bool) -> Vec<(&'static str, u64)> {
        let count = steps.div_ceil(self.steps()) as u64;
        // Backward the last product is a dispatch of its own.
        let with_last = count + 1;
        match (self, cell, backward) {
            (Self::Rows { .. }, cell, backward) => vec![(RowsCut::label(cell, backward), count)],
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
        };
        [columns, batch.div_ceil(rows as usize) as u32, cells as u32]
    }

    /// The same backward.
    pub(crate) fn backward_workgroups(&self, batch: usize, hidden: usize, cells: usize) -> [u32; 3] {
        let [columns, rows] = match self {
            // A lane owns four units.
            Self::Step { backward, .. } => [hidden.div_ceil(4 * backward.lanes as usize) as u32, backward.rows],
            Self::Rows { backward, .. } => [1, backward.rows],
        };
        [columns, batch.div_ceil(rows as usize) as u32, cells as u32]
    }

    /// How many sums of squares of d_h a step of a cell has: one per workgroup, by rows one per row.
    pub(crate) fn groups(&self, batch: usize, hidden: usize) -> usize {
        if let Self::Rows { .. } = self {
            return batch;
        }
        let [columns, rows, _] = self.backward_workgroups(batch, hidden, 1);
        (columns as usize).saturating_mul(rows as usize)
    }
}
