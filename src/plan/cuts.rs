//! How the workgroups of the steps are cut.

use wgpu::Limits;

use crate::config::{Cell, Reset};
use crate::error::Result;
use crate::target::at_most;

/// How a workgroup multiplies a tile: `rows` rows of the batch by [`columns`](Self::columns) units.
///
/// It has `splits` subgroups of `groups` groups of `slices` invocations. A group has `units` units, those of the same group
/// in every subgroup. Each of its invocations, of all subgroups, multiplies a slice of the operand. Without subgroups a
/// group is one invocation.
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
/// use wgpu_gru::{Gru, GruConfig, Schedule, TimeLoop, Unroll};
/// let gru = Gru::new(gpu, GruConfig::new(8, 32), 1)?;
/// let net = gru.unroll(Unroll::inference(20, 4).schedule(Schedule::Step))?;
/// if let TimeLoop::Step { forward, .. } = net.plan().time_loop() {
///     println!("{} rows by {} units a workgroup", forward.rows, forward.columns());
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TileCut {
    /// Invocations of a group, each of which multiplies a slice. A power of two; 1 without subgroups.
    pub slices: u32,
    /// Groups of a subgroup.
    pub groups: u32,
    /// Subgroups, each of which multiplies further slices.
    pub splits: u32,
    /// Units of a group. A power of two.
    pub units: u32,
    /// Rows of the batch. A power of two.
    pub rows: u32,
    /// Slices are added in subgroups, which have so many invocations at most; otherwise in workgroup memory.
    pub subgroup: Option<u32>,
    /// As [`RowsCut::exact_stores`].
    pub exact_stores: bool,
    /// For a software rasteriser, where any barrier doubles the time: one split of one slice, without workgroup memory.
    /// Subgroups of 8 load an operand together.
    pub software: bool,
}

impl TileCut {
    /// The names of the kernels of a single step, in their order.
    pub(crate) fn labels(cell: Cell, backward: bool) -> &'static [&'static str] {
        match (cell, backward) {
            (Cell::Rnn { .. }, false) => &["rnn_step"],
            (Cell::Rnn { .. }, true) => &["rnn_step_backward"],
            (Cell::Gru { reset: Reset::After, .. }, false) => &["gru_step"],
            (Cell::Gru { reset: Reset::After, .. }, true) => &["gru_step_backward"],
            (Cell::Gru { reset: Reset::Before, .. }, false) => &["gru_reset", "gru_step"],
            (Cell::Gru { reset: Reset::Before, .. }, true) => &["gru_step_backward", "gru_reset_backward"],
        }
    }

    /// Units of a workgroup.
    #[must_use]
    pub fn columns(self) -> u32 {
        self.groups * self.units
    }

    /// Workgroups that have all units together.
    #[must_use]
    pub fn parts(self, hidden: usize) -> u32 {
        u32::try_from(hidden.div_ceil(self.columns() as usize)).unwrap_or(u32::MAX)
    }

    /// Invocations of a workgroup.
    pub(crate) fn invocations(self) -> u32 {
        self.slices * self.groups * self.splits
    }

    /// It works in subgroups.
    pub(crate) fn uses_subgroups(self) -> bool {
        self.subgroup.is_some() && (self.slices > 1 || self.broadcasts())
    }

    /// A subgroup of 8 loads an operand together, and it goes round.
    pub(crate) fn broadcasts(self) -> bool {
        self.software && self.subgroup == Some(8)
    }

    /// How many vec4 of the operand of a row a subgroup that broadcasts loads at once: with few rows some, so that no
    /// invocation loads what another one does.
    pub(crate) fn vec4s(self) -> u32 {
        if self.broadcasts() { (8 / self.rows).clamp(1, 4) } else { 1 }
    }

    /// Numbers of a row's operand that a single step brings into workgroup memory at a time: a vec4 for each slice.
    pub(crate) fn slab(self) -> u32 {
        4 * self.slices * self.splits
    }

    /// Bytes of workgroup memory of a single step, of a cell with so many gates.
    pub(crate) fn memory(self, gates: usize, backward: bool) -> u64 {
        let numbers = u64::from(self.rows * self.columns());
        let squares = if backward { numbers } else { 0 };
        if self.software {
            return 4 * squares;
        }
        let sums = if backward { 1 } else { gates as u64 } * u64::from(self.splits) * numbers;
        4 * (u64::from(self.rows * self.slab()) + sums + squares)
    }

    /// Itself, if a device with these limits holds such a workgroup of a single step.
    pub(super) fn within(self, gates: usize, backward: bool, limits: &Limits) -> Result<Self> {
        let what = if backward { "a step backward" } else { "a step" };
        let (invocations, memory) = (u64::from(self.invocations()), self.memory(gates, backward));
        let invocations_of_device = limits.max_compute_invocations_per_workgroup;
        for (limit, required, available) in [
            ("max_compute_invocations_per_workgroup", invocations, invocations_of_device),
            ("max_compute_workgroup_size_x", invocations, limits.max_compute_workgroup_size_x),
            ("max_compute_workgroup_storage_size", memory, limits.max_compute_workgroup_storage_size),
        ] {
            at_most(what, limit, required, u64::from(available))?;
        }
        Ok(self)
    }
}

/// How a workgroup of steps by rows is cut: groups of `slices` invocations, each of which owns `units` units of `rows`
/// rows of the batch.
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
/// use wgpu_gru::{Gru, GruConfig, Schedule, TimeLoop, Unroll};
/// let gru = Gru::new(gpu, GruConfig::new(8, 32), 1)?;
/// let net = gru.unroll(Unroll::inference(20, 4).schedule(Schedule::Rows))?;
/// if let TimeLoop::Rows { forward, .. } = net.plan().time_loop() {
///     println!("{} rows a workgroup", forward.rows);
/// }
/// # Ok(()) }
/// ```
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

    /// Steps over which the gradients of the biases are added up before the sums are stored: in a chain of more numbers of one
    /// sign digits would be lost.
    #[must_use]
    pub fn summed_steps(self) -> u32 {
        (64 / self.ahead).max(1) * self.ahead
    }

    /// Invocations of a workgroup for H: in subgroups, whole ones.
    pub(crate) fn invocations(self, hidden: usize) -> u32 {
        let invocations =
            u32::try_from(hidden).map_or(u32::MAX, |hidden| hidden.div_ceil(self.units).saturating_mul(self.slices));
        let whole = self.subgroup.filter(|_| self.uses_subgroups()).unwrap_or(1);
        invocations.checked_next_multiple_of(whole).unwrap_or(u32::MAX)
    }

    /// Weights that an invocation keeps, of `gates` gates.
    pub(super) fn weights(self, gates: usize, hidden: usize) -> usize {
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
    pub(super) fn fits(self, gates: usize, hidden: usize, backward: bool, limits: &Limits) -> bool {
        let most = limits.max_compute_invocations_per_workgroup.min(limits.max_compute_workgroup_size_x);
        self.invocations(hidden) <= most
            && self.memory(gates, hidden, backward) <= u64::from(limits.max_compute_workgroup_storage_size)
    }
}

/// How workgroups of steps by exchange are cut. Each owns the units of a tile for `rows` rows of the batch; so many of them
/// have all units, and run at a time.
///
/// ```no_run
/// # fn example(gpu: &wgpu_gru::Gpu) -> wgpu_gru::Result<()> {
/// use wgpu_gru::{Gru, GruConfig, Schedule, TimeLoop, Unroll};
/// let gru = Gru::new(gpu, GruConfig::new(8, 256), 1)?;
/// let net = gru.unroll(Unroll::inference(20, 4).schedule(Schedule::Exchange))?;
/// if let TimeLoop::Exchange { forward, .. } = net.plan().time_loop() {
///     println!("{forward:?}");
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExchangeCut {
    /// What a workgroup multiplies at a time.
    pub tile: TileCut,
    /// Rows of the batch that a workgroup owns: a multiple of those of a tile.
    pub rows: u32,
    /// The operand of the next rows is asked for before these are multiplied.
    pub ahead: bool,
    /// How often a workgroup looks whether the others have come, before all leave: 0 if they shall not even try.
    pub looks: u32,
}

impl ExchangeCut {
    /// The names of the kernel, and of its settlement.
    pub(crate) fn labels(cell: Cell, backward: bool) -> [&'static str; 2] {
        match (cell, backward) {
            (Cell::Gru { .. }, false) => ["gru_exchange", "gru_settlement"],
            (Cell::Gru { .. }, true) => ["gru_exchange_backward", "gru_settlement_backward"],
            (Cell::Rnn { .. }, false) => ["rnn_exchange", "rnn_settlement"],
            (Cell::Rnn { .. }, true) => ["rnn_exchange_backward", "rnn_settlement_backward"],
        }
    }

    /// How often an invocation looks for words after all have come: seconds.
    pub(crate) fn waiting_looks(self) -> u32 {
        self.looks.saturating_mul(256).max(1 << 24)
    }

    /// Weights that an invocation keeps, of `gates` gates.
    pub(super) fn weights(self, gates: usize, hidden: usize) -> usize {
        let TileCut { slices, splits, units, .. } = self.tile;
        gates.saturating_mul(hidden).saturating_mul(units as usize).div_ceil((slices * splits) as usize)
    }

    /// Bytes of workgroup memory at most.
    pub(crate) fn memory(self, gates: usize, hidden: usize, backward: bool) -> u64 {
        let TileCut { slices, splits, rows, .. } = self.tile;
        let [tile, columns, splits] = [rows, self.tile.columns(), splits].map(|size| size as usize);
        let longest = if backward { gates * hidden } else { hidden };
        let operand = tile * longest.next_multiple_of(4 * slices as usize * splits);
        let sums = if backward { 1 } else { gates } * splits * tile * columns;
        let squares = if backward { 2 * self.rows as usize * columns } else { 0 };
        // And of the settlement.
        let squares = squares.max(if backward { 2 * hidden } else { 0 });
        4 * (operand + sums + squares + 1) as u64
    }

    /// How many times H the longest operand backward is.
    pub(super) fn longest_backward(cell: Cell) -> usize {
        match cell {
            Cell::Rnn { .. } => 1,
            Cell::Gru { reset: Reset::Before, .. } => 2,
            Cell::Gru { reset: Reset::After, .. } => 3,
        }
    }

    /// Words of storage by which the workgroups of a cell meet and hand on an operand that is at most so long. Kept in
    /// step with `shaders/shared/exchange_ring.wgsl`.
    pub(crate) fn words(self, batch: usize, longest: usize) -> usize {
        let groups = batch.div_ceil(self.rows as usize);
        groups.saturating_mul(1 + self.rows as usize).saturating_add(batch.saturating_mul(longest).saturating_mul(2))
    }

    /// Whether a device with these limits holds a workgroup of a cell with so many gates.
    pub(super) fn fits(self, gates: usize, hidden: usize, backward: bool, limits: &Limits) -> bool {
        let most = limits.max_compute_invocations_per_workgroup.min(limits.max_compute_workgroup_size_x);
        self.tile.invocations().max(256) <= most
            && self.memory(gates, hidden, backward) <= u64::from(limits.max_compute_workgroup_storage_size)
    }
}
