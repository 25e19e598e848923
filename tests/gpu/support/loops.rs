//! Ways to make the steps of a layer.

use wgpu_gru::wgpu::Backend;
use wgpu_gru::{ExchangeCut, Gpu, RowsCut, TileCut, TimeLoop};

use super::has_large_subgroups;

/// All schedules, each with the cuts that adapters get and with odd ones.
pub(crate) fn time_loops(gpu: &Gpu) -> Vec<TimeLoop> {
    single_steps(gpu).chain(by_rows(gpu)).chain(by_exchange(gpu)).collect()
}

/// Slices, splits, units of a group, rows, units of a workgroup; whether slices are added in subgroups; and whether it is
/// for a software rasteriser.
const STEP: [([u32; 5], bool, bool); 7] = [
    ([1, 1, 1, 16, 8], true, true),
    ([1, 4, 1, 2, 16], false, false),
    ([1, 1, 1, 4, 8], false, true),
    ([4, 2, 2, 4, 16], true, false),
    ([8, 1, 4, 8, 16], true, false),
    ([1, 2, 2, 1, 32], false, false),
    ([1, 1, 4, 4, 32], true, true),
];

/// A dispatch a step, in ways that the adapter can have.
pub(crate) fn single_steps(gpu: &Gpu) -> impl Iterator<Item = TimeLoop> {
    let info = gpu.info();
    let has_subgroups = has_large_subgroups(gpu);
    let (largest, is_vulkan) = (info.subgroup_max_size, info.backend == Backend::Vulkan);
    let cut = move |number: usize| {
        let ([slices, splits, units, rows, columns], in_subgroups, software) = STEP[number % STEP.len()];
        let subgroup = (in_subgroups && has_subgroups).then_some(largest);
        let (groups, splits) = match subgroup {
            // A workgroup of whole subgroups.
            Some(size) if !software => (columns / units, splits * size / (slices * columns / units).min(size)),
            _ => (columns / units, splits),
        };
        let slices = if subgroup.is_some() { slices } else { 1 };
        TileCut {
            slices,
            groups,
            splits,
            units,
            rows,
            subgroup,
            exact_stores: is_vulkan && number.is_multiple_of(2),
            software,
        }
    };
    // Forward and backward need not have the same cut.
    (0..STEP.len()).map(move |i| TimeLoop::Step { forward: cut(i), backward: cut(i + 2) })
}

/// Slices, units, rows, steps ahead, whether slices are added in subgroups. Three slices of a unit are not in one vector
/// of a software adapter, so their barrier counts.
const ROWS: [(u32, u32, u32, u32, bool); 8] = [
    (1, 1, 1, 1, true),
    (2, 2, 1, 3, true),
    (3, 1, 2, 2, false),
    (4, 2, 1, 4, true),
    (2, 1, 4, 1, true),
    (4, 2, 4, 1, false),
    (8, 2, 1, 2, true),
    (2, 1, 3, 1, false),
];

/// Steps by rows in ways that the adapter can have, three of them in a dispatch.
pub(crate) fn by_rows(gpu: &Gpu) -> impl Iterator<Item = TimeLoop> {
    let info = gpu.info();
    let has_subgroups = has_large_subgroups(gpu);
    let (largest, is_vulkan) = (info.subgroup_max_size, info.backend == Backend::Vulkan);
    ROWS.into_iter().enumerate().map(move |(number, (slices, units, rows, ahead, in_subgroups))| {
        let subgroup = (in_subgroups && has_subgroups).then_some(largest);
        let exact_stores = is_vulkan && number % 2 == 0;
        let cut = |units| RowsCut { slices, units, rows, ahead, subgroup, exact_stores, software: number % 4 < 3 };
        TimeLoop::Rows { steps: 3, forward: cut(1), backward: cut(units) }
    })
}

/// Slices, splits, units of a group, rows and how many at a time, units of a workgroup; whether slices are added in
/// subgroups; and whether workgroups try to meet, as two of a software adapter can: if not, the settlement does all of it.
const EXCHANGE: [([u32; 6], bool, bool); 4] = [
    ([1, 2, 2, 1, 1, 32], false, true),
    ([1, 3, 2, 3, 1, 18], false, false),
    ([4, 2, 4, 4, 2, 32], true, true),
    ([8, 1, 4, 8, 4, 16], true, false),
];

/// Steps by exchange in ways that the adapter can have, three of them in a dispatch.
pub(crate) fn by_exchange(gpu: &Gpu) -> impl Iterator<Item = TimeLoop> {
    let info = gpu.info();
    let has_subgroups = has_large_subgroups(gpu);
    let (largest, is_vulkan) = (info.subgroup_max_size, info.backend == Backend::Vulkan);
    EXCHANGE.into_iter().enumerate().filter_map(
        move |(number, ([slices, splits, units, rows, tile, columns], in_subgroups, meets))| {
            let subgroup = in_subgroups.then_some(largest);
            let (groups, splits) = match subgroup {
                // A workgroup of whole subgroups.
                Some(size) => (columns / units, splits * size / (slices * columns / units).min(size)),
                None => (columns / units, splits),
            };
            let exact_stores = is_vulkan && number % 2 == 0;
            let looks = if meets { 1 << 16 } else { 0 };
            let ahead = number == 2;
            let software = false;
            let tile = TileCut { slices, groups, splits, units, rows: tile, subgroup, exact_stores, software };
            let cut = ExchangeCut { tile, rows, ahead, looks };
            (has_subgroups || !in_subgroups).then_some(TimeLoop::Exchange { steps: 3, forward: cut, backward: cut })
        },
    )
}
